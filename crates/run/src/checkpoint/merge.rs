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
use super::frame::{self, Change, found};
use super::hashes::{Hashes, KEYS_SHOWN, cells, each_now, each_row, key_of, shown_key};
use super::restore::refused;
use super::taken::{Beside, WHY};
use crate::backup::archive::{self, Reader, Writer, cell_of, cell_out, damaged, put};
use crate::backup::{Temporary, disk};
use crate::executor::Runner;
use crate::scratch;
use crate::world::World;
use async_trait::async_trait;
use dunlin_core::copy::Cell;
use dunlin_core::copy::digest::bucket;
use dunlin_core::copy::reading::Bound;
use dunlin_core::failure::Failure;
use dunlin_core::journal::Writing;
use dunlin_core::value::Value;
use dunlin_engines::Session;
use std::collections::{HashMap, HashSet};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

/// Keys in one statement.
const CHUNK: usize = 500;
/// How often rows are put back without those that others' values keep from coming.
const ROUNDS: usize = 100;

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

/// Brings the rows back that a step has changed and nobody since, in one transaction together with `records`.
///
/// # Errors
/// Where [`note_after`] was not called there is nothing to tell the step's rows from others' by. Rows that would be left
/// without what they refer to stop it, as in a restore; nothing is changed then.
pub async fn merge(
    runner: &mut Runner<'_>,
    checkpoint: &Checkpoint,
    records: &(dyn Fn(&Merged) -> Vec<Writing> + Sync),
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
    let mut merging = Merging {
        checkpoint,
        records,
        merged: Merged::default(),
    };
    frame::run(runner, checkpoint, &mut merging).await?;
    Ok(merging.merged)
}

struct Merging<'m> {
    checkpoint: &'m Checkpoint,
    records: &'m (dyn Fn(&Merged) -> Vec<Writing> + Sync),
    merged: Merged,
}

#[async_trait]
impl Change for Merging<'_> {
    async fn change(&mut self, work: &mut dyn Session, targets: &[Bound]) -> Result<(), Failure> {
        for (saved, target) in self.checkpoint.saved.iter().zip(targets) {
            merge_table(work, self.checkpoint, saved, target, &mut self.merged).await?;
        }
        Ok(())
    }

    fn records(&self) -> Vec<Writing> {
        (self.records)(&self.merged)
    }

    fn again(&mut self) {
        self.merged = Merged::default();
    }
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
    // What others have taken keeps a row from coming, and what then stays of the step may keep another one.
    let mut taken = HashSet::new();
    for _ in 0..ROUNDS {
        let mut left = Left {
            taken: &taken,
            keys: HashSet::new(),
            shown: vec![],
        };
        let around = work.dialect().change().part();
        let around = around.map(|sql| sql.replace("dunlin_part", "dunlin_merge"));
        execute(work, &around[0]).await?;
        for number in 0..hashes.count {
            let (hashes, left) = (&mut hashes, &mut left);
            let goes = decide(work, checkpoint, saved, target, hashes, number, left).await?;
            for keys in goes.chunks(CHUNK) {
                let query = work.dialect().change().remove(target, &hashes.places, keys);
                let done = work.execute_with(&query.sql, &query.params).await;
                done.map_err(|error| refused(&error))?;
            }
        }
        let (rows, more) = come(work, checkpoint, (saved, target), &mut hashes, &left).await?;
        if more.is_empty() {
            execute(work, &around[1]).await?;
            merged.rows += rows;
            if !left.keys.is_empty() {
                let left = (label, left.keys.len() as u64, left.shown);
                merged.left.push(left);
            }
            return Ok(());
        }
        execute(work, &around[2]).await?;
        execute(work, &around[1]).await?;
        taken.extend(more);
    }
    let message = format!(
        "{label}: others have taken what is unique in rows that were to come back, and each that stays is in the way of another"
    );
    Err(Failure::refused("unique-violated", message)
        .hint("nothing has been changed; give those rows other values, and run it again"))
}

async fn execute(work: &mut dyn Session, sql: &str) -> Result<(), Failure> {
    let done = work.execute(sql).await;
    done.map(drop).map_err(|error| refused(&error))
}

/// Puts the rows in as they were: how many were brought back, and the keys of those that a unique key refuses. Every row
/// that goes is gone before one comes: unique values may have changed places.
async fn come(
    work: &mut dyn Session,
    checkpoint: &Checkpoint,
    (saved, target): (&Saved, &Bound),
    hashes: &mut Hashes,
    left: &Left<'_>,
) -> Result<(u64, Vec<u128>), Failure> {
    // A key that is looked at in the end is looked at row by row.
    let settled = work.dialect().change().settled();
    for sql in settled {
        execute(work, sql).await?;
    }
    let mut beside = Beside::new(work, target);
    let (mut rows, mut differing) = (0, Rows::open(checkpoint)?);
    while let Some((of, row)) = differing.next()? {
        if of != saved {
            continue;
        }
        let key = hashes.key.row(row.key.iter().map(cell_of));
        if left.keys.contains(&key) {
            continue;
        }
        rows += 1;
        if let Some(before) = row.before {
            beside.row(work, key, before).await?;
        }
    }
    beside.flush(work).await?;
    Ok((rows, beside.taken))
}

/// Rows that are left alone.
struct Left<'t> {
    /// Those that cannot come, for others have taken what is unique in them.
    taken: &'t HashSet<u128>,
    keys: HashSet<u128>,
    /// The first of them, for people.
    shown: Vec<String>,
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
    left: &mut Left<'_>,
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
    // Where the key has gone since, several rows may have it: which of them is the step's cannot be told.
    let mut several: HashSet<u128> = HashSet::new();
    let take = |row: &[Cell<'_>]| {
        let (key, hash) = hashes.of(row);
        if expected.contains_key(&key) && now.insert(key, hash).is_some() {
            several.insert(key);
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
        let own = now.get(&key).copied() == row.after && !several.contains(&key);
        let is_taken = left.taken.contains(&key);
        if own && !is_taken {
            if row.after.is_some() {
                goes.push(row.key);
            }
            return;
        }
        left.keys.insert(key);
        if left.shown.len() < KEYS_SHOWN {
            let mut shown = shown_key(saved, &row.key);
            if is_taken {
                shown.push_str(&format!(": {WHY}"));
            }
            left.shown.push(shown);
        }
    })?;
    Ok(goes)
}
