//! A checkpoint as the undo of a step: rows that still are what the step left come back to what they were, and rows that
//! others have changed since are left alone and listed.
//!
//! [`note_after`] is called when the step is done. It compares every row with the checkpoint and writes, beside the
//! checkpoint's file, those that differ: the row as it was, and the hash of what it is. That is all that [`merge`] needs.
//!
//! ```text
//! "DUNLIN-ROWS 1\n"  'C' the checkpoint's id
//! for each table:  'T' its label;  'B' the row as it was, the hash of what it is (NULL: it is gone);  'I' the key of a
//! row that came, its hash
//! 'E'
//! ```
//! Rows are taken by buckets of their keys' hashes, so that memory does not grow with the table: each bucket costs one
//! more reading of it.

use super::file::{Checkpoint, Saved};
use super::quiet::{self, Quiet};
use super::restore::{self, refused, targets};
use crate::backup::archive::{self, Putter, Reader, Writer, cell_of, cell_out, damaged, put};
use crate::backup::{Temporary, disk};
use crate::executor::Runner;
use crate::journal_store;
use crate::world::World;
use crate::{digest, observe, scratch, trouble};
use dunlin_core::copy::digest::bucket;
use dunlin_core::copy::reading::Bound;
use dunlin_core::copy::{Cell, RowHasher, Typing};
use dunlin_core::failure::Failure;
use dunlin_core::journal::Writing;
use dunlin_core::schema::{Catalog, NeutralType, Table};
use dunlin_core::value::Value;
use dunlin_engines::{Halted, Session};
use std::collections::{HashMap, HashSet};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

/// Rows of one bucket: a hash of the key and one of the row, some 50 bytes each, are 20 MB.
const BUCKET_ROWS: u64 = 400_000;
/// How many keys of rows that were left alone are shown.
const KEYS_SHOWN: usize = 20;
/// Keys in one statement.
const CHUNK: usize = 500;

/// What a merge did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Merged {
    /// Rows that are as they were.
    pub rows: u64,
    /// By table: how many rows were left alone, and the first of their keys.
    pub left: Vec<(String, u64, Vec<String>)>,
}

/// Where the differences lie.
pub(super) fn path_after(checkpoint: &Checkpoint) -> PathBuf {
    checkpoint.path.with_extension("after")
}

/// Hashes of rows and of their keys.
struct Hashes {
    row: RowHasher,
    key: RowHasher,
    /// Places of the key's columns.
    places: Vec<usize>,
    count: u32,
}

impl Hashes {
    fn new(saved: &Saved, typing: Typing, rows: u64) -> Result<Hashes, Failure> {
        let place = |name: &String| saved.columns.iter().position(|column| column == name);
        let places: Option<Vec<usize>> = saved.key.iter().map(place).collect();
        let places = places.filter(|places| !places.is_empty()).ok_or_else(|| {
            let message = format!(
                "{} has no key by which a row of the checkpoint is found again",
                saved.label()
            );
            Failure::refused("no-unique-key", message)
                .hint("`dunlin checkpoint restore` by name needs none: it replaces every row")
        })?;
        let types: Vec<NeutralType> = places.iter().map(|at| saved.types[*at].clone()).collect();
        Ok(Hashes {
            row: RowHasher::new(saved.types.clone(), typing),
            key: RowHasher::new(types, typing),
            places,
            count: u32::try_from(rows / BUCKET_ROWS + 1).unwrap_or(u32::MAX),
        })
    }

    /// Of a row: its key's hash and its own.
    fn of<'a>(&mut self, row: &[Cell<'a>]) -> (u128, u128) {
        let key = self.key.row(self.places.iter().map(|at| row[*at]));
        (key, self.row.row(row.iter().copied()))
    }

    fn of_values(&mut self, row: &[Value]) -> (u128, u128) {
        let cells: Vec<Cell<'_>> = row.iter().map(cell_of).collect();
        self.of(&cells)
    }
}

/// Gives every row of one table of a checkpoint's file to `take`.
fn each_row(
    checkpoint: &Checkpoint,
    label: &str,
    mut take: impl FnMut(Vec<Value>) -> std::io::Result<()>,
) -> Result<(), Failure> {
    let io = |error: std::io::Error| damaged(&checkpoint.path, &error);
    let mut content = restore::open(checkpoint)?;
    let (mut tag, mut current) = (content.tag, None);
    loop {
        match (tag, current) {
            (b'T', _) => {
                let found = content.reader.text().map_err(io)?;
                current = checkpoint.saved.iter().find(|saved| saved.label() == found);
            }
            (b'R', Some(saved)) => {
                let row = cells(&mut content.reader, saved.columns.len()).map_err(io)?;
                if saved.label() == label {
                    take(row).map_err(|error| disk(&checkpoint.path, &error))?;
                }
            }
            (b'E', _) => return Ok(()),
            _ => return Err(io(std::io::Error::other("a record of no known kind"))),
        }
        tag = content.reader.array::<1>().map_err(io)?[0];
    }
}

fn cells(reader: &mut Reader<impl Read>, width: usize) -> std::io::Result<Vec<Value>> {
    (0..width).map(|_| reader.cell()).collect()
}

/// Gives every row that the session sees now to `take`, as the checkpoint holds it.
async fn each_now(
    session: &mut dyn Session,
    target: &Bound,
    mut take: impl FnMut(&[Cell<'_>]) -> std::io::Result<()>,
    path: &Path,
) -> Result<(), Failure> {
    let sql = session.dialect().change().select_locked(target);
    let mut source = session
        .stream(&sql)
        .await
        .map_err(|error| refused(&error))?;
    while let Some(batch) = source.next().await.map_err(|error| refused(&error))? {
        for at in 0..batch.len() {
            let row: Vec<Cell<'_>> = batch.row(at).collect();
            take(&row).map_err(|error| disk(path, &error))?;
        }
    }
    Ok(())
}

/// The tables of a checkpoint as they are now, and the catalog of everything.
async fn found(
    session: &mut dyn Session,
    checkpoint: &Checkpoint,
) -> Result<(Vec<Bound>, Catalog), Failure> {
    let there = observe::whole(session)
        .await
        .map_err(|error| refused(&error))?;
    let shapes = digest::shapes(session)
        .await
        .map_err(|error| refused(&error))?;
    let then = restore::open(checkpoint)?.catalog;
    let targets = targets(&checkpoint.saved, &then, &there, &shapes)?;
    Ok((targets, there))
}

/// Writes down what a step has left: the rows that are not as the checkpoint holds them. Called when the step is done,
/// in a transaction or outside of one.
pub async fn note_after(
    world: &World,
    session: &mut dyn Session,
    checkpoint: &Checkpoint,
) -> Result<(), Failure> {
    checkpoint.check()?;
    let path = path_after(checkpoint);
    let mark = scratch::mark(world);
    let folder = super::folder(world);
    let part = Temporary(folder.join(format!(".{}.{mark}.after", checkpoint.id)));
    let io = |error: std::io::Error| disk(&part.0, &error);
    let (targets, _) = found(session, checkpoint).await?;
    let mut out = Writer::new(&part.0).map_err(io)?;
    put(&mut out, b'C', checkpoint.id.as_bytes()).map_err(io)?;
    for ((saved, target), digest) in checkpoint
        .saved
        .iter()
        .zip(&targets)
        .zip(&checkpoint.tables)
    {
        put(&mut out, b'T', saved.label().as_bytes()).map_err(io)?;
        let typing = session.dialect().rows().typing();
        let mut hashes = Hashes::new(saved, typing, digest.rows)?;
        for number in 0..hashes.count {
            one_bucket(
                session,
                checkpoint,
                saved,
                target,
                &mut hashes,
                number,
                &mut out,
                &part.0,
            )
            .await?;
        }
    }
    out.finish().map_err(io)?;
    std::fs::rename(&part.0, &path).map_err(|error| disk(&path, &error))
}

#[allow(clippy::too_many_arguments)]
async fn one_bucket(
    session: &mut dyn Session,
    checkpoint: &Checkpoint,
    saved: &Saved,
    target: &Bound,
    hashes: &mut Hashes,
    number: u32,
    out: &mut Writer,
    path: &Path,
) -> Result<(), Failure> {
    let mut then: HashMap<u128, u128> = HashMap::new();
    let mut now: HashMap<u128, u128> = HashMap::new();
    let label = saved.label();
    each_row(checkpoint, &label, |row| {
        let (key, hash) = hashes.of_values(&row);
        if bucket(key, hashes.count) == number {
            then.insert(key, hash);
        }
        Ok(())
    })?;
    let take = |row: &[Cell<'_>]| {
        let (key, hash) = hashes.of(row);
        if bucket(key, hashes.count) != number {
            return Ok(());
        }
        match then.get(&key) {
            Some(old) if *old == hash => {
                then.remove(&key);
            }
            Some(_) => {
                now.insert(key, hash);
            }
            None => {
                out.write_all(b"I")?;
                for at in &hashes.places {
                    cell_out(out, row[*at])?;
                }
                cell_out(out, Cell::Bytes(&hash.to_le_bytes()))?;
            }
        }
        Ok(())
    };
    each_now(session, target, take, path).await?;
    if then.is_empty() {
        return Ok(());
    }
    each_row(checkpoint, &label, |row| {
        let (key, _) = hashes.of_values(&row);
        if bucket(key, hashes.count) != number || !then.contains_key(&key) {
            return Ok(());
        }
        out.write_all(b"B")?;
        for value in &row {
            cell_out(out, cell_of(value))?;
        }
        match now.get(&key) {
            Some(hash) => cell_out(out, Cell::Bytes(&hash.to_le_bytes())),
            None => cell_out(out, Cell::Null),
        }
    })
}

/// A row that the step changed.
struct Differing {
    key: Vec<Value>,
    /// As it was; `None`: it came with the step.
    before: Option<Vec<Value>>,
    /// The hash of what the step left; `None`: it took the row away.
    after: Option<u128>,
}

/// Gives every row of one table that the step changed to `take`.
fn each_differing(
    checkpoint: &Checkpoint,
    label: &str,
    mut take: impl FnMut(Differing),
) -> Result<(), Failure> {
    let mut rows = Rows::open(checkpoint)?;
    while let Some((saved, row)) = rows.next()? {
        if saved.label() == label {
            take(row);
        }
    }
    Ok(())
}

/// The rows of the file of differences.
struct Rows<'c, R: Read> {
    checkpoint: &'c Checkpoint,
    path: PathBuf,
    reader: Reader<R>,
    current: Option<&'c Saved>,
}

impl<'c> Rows<'c, Box<dyn Read + Send>> {
    fn open(checkpoint: &'c Checkpoint) -> Result<Self, Failure> {
        let path = path_after(checkpoint);
        let mut reader = archive::open_boxed(&path, u64::MAX)?;
        let id = reader.text().map_err(|error| damaged(&path, &error))?;
        if id != checkpoint.id {
            let error = std::io::Error::other("it belongs to another checkpoint");
            return Err(damaged(&path, &error));
        }
        Ok(Rows {
            checkpoint,
            path,
            reader,
            current: None,
        })
    }
}

impl<'c, R: Read> Rows<'c, R> {
    fn next(&mut self) -> Result<Option<(&'c Saved, Differing)>, Failure> {
        let path = self.path.clone();
        self.read().map_err(|error| damaged(&path, &error))
    }

    fn read(&mut self) -> std::io::Result<Option<(&'c Saved, Differing)>> {
        let bad = |why: &str| std::io::Error::other(why.to_owned());
        loop {
            let tag = self.reader.array::<1>()?[0];
            if tag == b'E' {
                return Ok(None);
            }
            if tag == b'T' {
                let label = self.reader.text()?;
                let mut all = self.checkpoint.saved.iter();
                self.current = all.find(|saved| saved.label() == label);
                continue;
            }
            let saved = self.current.ok_or_else(|| bad("a row before its table"))?;
            let (key, before) = match tag {
                b'I' => (cells(&mut self.reader, saved.key.len())?, None),
                b'B' => {
                    let row = cells(&mut self.reader, saved.columns.len())?;
                    (key_of(saved, &row), Some(row))
                }
                _ => return Err(bad("a record of no known kind")),
            };
            let after = match self.reader.cell()? {
                Value::Null => None,
                Value::Bytes(bytes) => {
                    let hash = bytes
                        .try_into()
                        .map_err(|_| bad("a hash of no known length"))?;
                    Some(u128::from_le_bytes(hash))
                }
                _ => return Err(bad("a hash of no known kind")),
            };
            return Ok(Some((saved, Differing { key, before, after })));
        }
    }
}

fn key_of(saved: &Saved, row: &[Value]) -> Vec<Value> {
    let place = |name: &String| saved.columns.iter().position(|column| column == name);
    let places = saved.key.iter().filter_map(place);
    places.filter_map(|at| row.get(at).cloned()).collect()
}

/// Brings the rows back that a step has changed and nobody since, in one transaction together with `records`.
///
/// # Errors
/// Where [`note_after`] was not called there is nothing to tell the step's rows from others' by. Rows that would be left
/// without what they refer to stop it, as in a restore; nothing is changed then.
pub async fn merge(
    runner: &mut Runner<'_>,
    checkpoint: &Checkpoint,
    records: &[Writing],
) -> Result<Merged, Failure> {
    checkpoint.check()?;
    let after = path_after(checkpoint);
    if !after.exists() {
        let message = format!(
            "what the step left was not written down, so its rows cannot be told from others' ({})",
            checkpoint.name
        );
        return Err(Failure::refused("no-checkpoint", message).hint(format!(
            "`dunlin checkpoint restore {}` brings every row back, others' changes since included",
            checkpoint.id
        )));
    }
    archive::check(&after, u64::MAX)?;
    let flushed = runner.flush().await;
    flushed.map_err(|error| runner.trouble(&error, "the journal could not be written"))?;
    let (world, pen) = (runner.world, runner.pen.clone());
    let work = &mut *runner.work;
    quiet::mend(world, work, &pen).await?;
    let (targets, there) = found(work, checkpoint).await?;
    let commits = !work.caps().transactional_ddl;
    let mut own = restore::tables(&there, &targets);
    if commits {
        let mut catalog = Catalog {
            tables: own,
            ..Catalog::default()
        };
        let exact = observe::exact(work, &mut catalog).await;
        exact.map_err(|error| refused(&error))?;
        own = catalog.tables;
    }
    let own: Vec<&Table> = own.iter().collect();
    let mut quiet = Quiet::plan(work.dialect(), commits, &there, &own)?;
    let begun = quiet.before(world, work, &pen).await;
    let outcome = match begun {
        Ok(()) => within(runner, checkpoint, &targets, &mut quiet, records).await,
        Err(failure) => Err(failure),
    };
    if outcome.is_err() {
        let _ = runner.work.rollback().await;
    }
    let ended = quiet.after(world, &mut *runner.work, &pen).await;
    let merged = outcome?;
    ended?;
    Ok(merged)
}

async fn within(
    runner: &mut Runner<'_>,
    checkpoint: &Checkpoint,
    targets: &[Bound],
    quiet: &mut Quiet,
    records: &[Writing],
) -> Result<Merged, Failure> {
    let work = &mut *runner.work;
    quiet.begin(work, targets).await?;
    quiet.open(work).await?;
    let mut merged = Merged::default();
    for (saved, target) in checkpoint.saved.iter().zip(targets) {
        merge_table(work, checkpoint, saved, target, &mut merged).await?;
    }
    quiet.close(work).await?;
    if records.is_empty() {
        let done = work.commit().await;
        done.map_err(|error| trouble::failed(&error, "the merge could not be committed"))?;
        return Ok(merged);
    }
    let pen = runner.pen.clone();
    let ended = pen.append_and_commit(runner.world, work, records).await;
    ended.map_err(|halted| match halted {
        Halted::Record(error) if journal_store::is_fenced(&error) => journal_store::fenced(),
        Halted::Record(error) | Halted::Statement(error) => refused(&error),
        Halted::After(error) => trouble::failed(&error, "the merge could not be committed"),
    })?;
    Ok(merged)
}

async fn merge_table(
    work: &mut dyn Session,
    checkpoint: &Checkpoint,
    saved: &Saved,
    target: &Bound,
    merged: &mut Merged,
) -> Result<(), Failure> {
    let label = saved.label();
    let mut count = 0_u64;
    each_differing(checkpoint, &label, |_| count += 1)?;
    if count == 0 {
        return Ok(());
    }
    let typing = work.dialect().rows().typing();
    let mut hashes = Hashes::new(saved, typing, count)?;
    let (mut left, mut shown) = (HashSet::new(), vec![]);
    for number in 0..hashes.count {
        let goes = decide(
            work,
            checkpoint,
            saved,
            target,
            &mut hashes,
            number,
            &mut left,
            &mut shown,
        )
        .await?;
        for keys in goes.chunks(CHUNK) {
            let query = work.dialect().change().remove(target, &hashes.places, keys);
            let done = work.execute_with(&query.sql, &query.params).await;
            done.map_err(|error| refused(&error))?;
        }
    }
    // Every row that goes is gone before one comes: unique values may have changed places.
    let mut putter = Putter::new(work.dialect(), target);
    let mut rows = Rows::open(checkpoint)?;
    while let Some((of, row)) = rows.next()? {
        if of != saved || left.contains(&hashes.key.row(row.key.iter().map(cell_of))) {
            continue;
        }
        merged.rows += 1;
        if let Some(before) = &row.before {
            putter.row(before);
            putter.send(work).await.map_err(|error| refused(&error))?;
        }
    }
    putter.flush(work).await.map_err(|error| refused(&error))?;
    if !left.is_empty() {
        merged.left.push((label, left.len() as u64, shown));
    }
    Ok(())
}

/// Of one bucket: the keys of rows that go, for they are what the step left. The others are left alone.
#[allow(clippy::too_many_arguments)]
async fn decide(
    work: &mut dyn Session,
    checkpoint: &Checkpoint,
    saved: &Saved,
    target: &Bound,
    hashes: &mut Hashes,
    number: u32,
    left: &mut HashSet<u128>,
    shown: &mut Vec<String>,
) -> Result<Vec<Vec<Value>>, Failure> {
    let label = saved.label();
    let mut expected: HashMap<u128, Option<u128>> = HashMap::new();
    each_differing(checkpoint, &label, |row| {
        let key = hashes.key.row(row.key.iter().map(cell_of));
        if bucket(key, hashes.count) == number {
            expected.insert(key, row.after);
        }
    })?;
    let mut now: HashMap<u128, u128> = HashMap::new();
    let take = |row: &[Cell<'_>]| {
        let (key, hash) = hashes.of(row);
        if expected.contains_key(&key) {
            now.insert(key, hash);
        }
        Ok(())
    };
    each_now(work, target, take, &checkpoint.path).await?;
    let mut goes = vec![];
    each_differing(checkpoint, &label, |row| {
        let key = hashes.key.row(row.key.iter().map(cell_of));
        if bucket(key, hashes.count) != number {
            return;
        }
        if now.get(&key).copied() == row.after {
            if row.after.is_some() {
                goes.push(row.key);
            }
            return;
        }
        left.insert(key);
        if shown.len() < KEYS_SHOWN {
            let parts = saved.key.iter().zip(&row.key);
            let parts = parts.map(|(name, value)| format!("{name} = {}", value.shown()));
            shown.push(parts.collect::<Vec<_>>().join(", "));
        }
    })?;
    Ok(goes)
}
