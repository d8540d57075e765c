//! Whose the values are that an undo has written over, from the undo up to the moment when its step has run again: beside the
//! archive that holds what they were lies, for each of its rows, a hash of what the undo, and later the step, has left there.
//!
//! Before either of them runs it is looked which rows still are what was noted: whatever is not, others have written, and it
//! never counts as the step's own again. When it has run it is noted what it has left. Hashes are of the key and the columns
//! that are written over, so that nobody is in the way who has written other columns of the row.
//!
//! A note is written before the transaction commits in which it is taken. What was noted before it counts beside it until the
//! next look, for that transaction may have been rolled back.
//!
//! ```text
//! "DUNLIN-SINCE 1\n"  for each table: 'T' its label;  'R' the hash of the key, what was noted before, what is noted now
//! 'E'
//! ```

use super::file::{Checkpoint, Saved};
use super::hashes::{Hashes, each_row};
use super::keep::aside;
use super::restore::refused;
use super::{Names, folder};
use crate::backup::archive::{Reader, put};
use crate::backup::{Temporary, disk, private_file};
use crate::executor::Runner;
use crate::world::World;
use crate::{digest, scratch};
use dunlin_core::copy::digest::bucket;
use dunlin_core::copy::reading::{Bound, Reading};
use dunlin_core::copy::{Cell, Typing};
use dunlin_core::failure::Failure;
use dunlin_engines::{Purpose, Session};
use std::collections::HashMap;
use std::fs::File;
use std::io::{BufReader, BufWriter, Write};
use std::path::PathBuf;

const MAGIC: &[u8; 15] = b"DUNLIN-SINCE 1\n";

/// What is known of one row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Known {
    before: u128,
    now: u128,
}

impl Known {
    /// Others have written there.
    const LOST: Known = Known { before: 0, now: 0 };
    /// An archive before this one holds what was there before the undo: here is what the undo itself has left.
    const CLAIMED: Known = Known { before: 1, now: 1 };

    fn is(hash: u128) -> Known {
        Known {
            before: hash,
            now: hash,
        }
    }

    fn is_plain(self) -> bool {
        ![Known::LOST, Known::CLAIMED].contains(&self)
    }

    /// Whether a row is as it was left.
    pub(super) fn is_left(self, hash: u128) -> bool {
        self.is_plain() && self.now == hash
    }

    /// Whether the row comes home from an archive before this one.
    pub(super) fn is_claimed(self) -> bool {
        self == Known::CLAIMED
    }
}

/// Where it lies.
pub(super) fn path(checkpoint: &Checkpoint) -> PathBuf {
    checkpoint.path.with_extension("since")
}

/// Whether an archive holds values that were written over in rows that stay.
pub(crate) fn is_of(checkpoint: &Checkpoint) -> bool {
    checkpoint.saved.iter().any(|saved| !saved.over.is_empty())
}

/// The key of a table and the columns that are written over. `None`: there are none, or they are its key, so that their rows are
/// not found again.
pub(super) fn part_of(saved: &Saved) -> Option<Saved> {
    let of_key = |name: &String| saved.key.contains(name);
    if saved.over.is_empty() || saved.key.is_empty() || saved.over.iter().any(of_key) {
        return None;
    }
    let columns: Vec<String> = saved.key.iter().chain(&saved.over).cloned().collect();
    let types = columns.iter().map(|name| {
        let mut places = saved.columns.iter().zip(&saved.types);
        places.find_map(|(column, of)| (column == name).then(|| of.clone()))
    });
    let types = types.collect::<Option<Vec<_>>>()?;
    Some(Saved {
        columns,
        types,
        ..saved.clone()
    })
}

/// Where the columns of a part stand among those of the whole.
pub(super) fn places(part: &Saved, saved: &Saved) -> Vec<usize> {
    let place = |name: &String| saved.columns.iter().position(|column| column == name);
    part.columns.iter().filter_map(place).collect()
}

/// What is known of the rows of one bucket.
pub(super) fn known(
    checkpoint: &Checkpoint,
    label: &str,
    (number, count): (u32, u32),
) -> Result<HashMap<u128, Known>, Failure> {
    let mut found = HashMap::new();
    let path = path(checkpoint);
    let file = match File::open(&path) {
        Ok(file) => file,
        // Nothing of it is known to be the step's own then.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(found),
        Err(error) => return Err(disk(&path, &error)),
    };
    // Of what cannot be read nothing is known.
    let read = || -> std::io::Result<()> {
        let mut reader = Reader(BufReader::new(file));
        let mut here = false;
        if reader.array::<15>()? != *MAGIC {
            return Err(std::io::Error::other("it is of another kind"));
        }
        loop {
            match reader.array::<1>()?[0] {
                b'T' => here = reader.text()? == label,
                b'R' => {
                    let mut hash = || reader.array::<16>().map(u128::from_le_bytes);
                    let (key, before, now) = (hash()?, hash()?, hash()?);
                    if here && bucket(key, count) == number {
                        found.insert(key, Known { before, now });
                    }
                }
                b'E' => return Ok(()),
                _ => return Err(std::io::Error::other("a record of no known kind")),
            }
        }
    };
    let _ = read();
    Ok(found)
}

/// Writes it anew.
struct Notes {
    part: Temporary,
    out: BufWriter<File>,
}

impl Notes {
    fn new(world: &World, checkpoint: &Checkpoint) -> Result<Notes, Failure> {
        let mark = scratch::mark(world);
        let part = Temporary(folder(world).join(format!(".{}.{mark}.since", checkpoint.id)));
        let file = private_file(&part.0).map_err(|error| disk(&part.0, &error))?;
        let mut notes = Notes {
            part,
            out: BufWriter::new(file),
        };
        notes.write(|out| out.write_all(MAGIC))?;
        Ok(notes)
    }

    fn write(
        &mut self,
        write: impl FnOnce(&mut BufWriter<File>) -> std::io::Result<()>,
    ) -> Result<(), Failure> {
        write(&mut self.out).map_err(|error| disk(&self.part.0, &error))
    }

    /// Rows of a table follow. Gives its label.
    fn table(&mut self, saved: &Saved) -> Result<String, Failure> {
        let label = saved.label();
        self.write(|out| put(out, b'T', label.as_bytes()))?;
        Ok(label)
    }

    fn row(&mut self, key: u128, known: Known) -> Result<(), Failure> {
        self.write(|out| {
            out.write_all(b"R")?;
            out.write_all(&key.to_le_bytes())?;
            out.write_all(&known.before.to_le_bytes())?;
            out.write_all(&known.now.to_le_bytes())
        })
    }

    fn end(mut self, checkpoint: &Checkpoint) -> Result<(), Failure> {
        self.write(|out| {
            out.write_all(b"E")?;
            out.flush()?;
            out.get_ref().sync_all()
        })?;
        let path = path(checkpoint);
        std::fs::rename(&self.part.0, &path).map_err(|error| disk(&path, &error))
    }
}

/// Begins with the rows as they are in an archive. `older`: archives whose rows, as far as they still are what was noted of
/// them, are not this one's.
pub(crate) fn start(
    world: &World,
    typing: Typing,
    checkpoint: &Checkpoint,
    older: &[&Checkpoint],
) -> Result<(), Failure> {
    if !is_of(checkpoint) {
        return Ok(());
    }
    let mut notes = Notes::new(world, checkpoint)?;
    for (saved, digest) in checkpoint.saved.iter().zip(&checkpoint.tables) {
        let Some(part) = part_of(saved) else {
            continue;
        };
        let label = notes.table(saved)?;
        let mut hashes = Hashes::new(&part, typing, digest.rows)?;
        let places = places(&part, saved);
        let before = older.iter().filter(|older| {
            let mut all = older.saved.iter();
            let like = all.find(|one| one.label() == label).and_then(part_of);
            like.is_some_and(|like| like.columns == part.columns)
        });
        let before: Vec<&&Checkpoint> = before.collect();
        for number in 0..hashes.count {
            let at = (number, hashes.count);
            let claims = before.iter().map(|older| known(older, &label, at));
            let claims = claims.collect::<Result<Vec<_>, _>>()?;
            let mut rows = vec![];
            each_row(checkpoint, &label, |row| {
                let cells: Vec<_> = places.iter().map(|at| row[*at].clone()).collect();
                let (key, hash) = hashes.of_values(&cells);
                if bucket(key, hashes.count) == number {
                    let mut all = claims.iter();
                    let claimed =
                        all.any(|older| older.get(&key).is_some_and(|one| one.is_left(hash)));
                    let known = if claimed {
                        Known::CLAIMED
                    } else {
                        Known::is(hash)
                    };
                    rows.push((key, known));
                }
                Ok(())
            })?;
            for (key, known) in rows {
                notes.row(key, known)?;
            }
        }
    }
    notes.end(checkpoint)
}

/// When it is looked, or noted, how the rows are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Moment {
    /// Something is about to run that changes them.
    Begins,
    /// Something that stands half way is about to go on: what it has left up to then is noted.
    Again,
    /// A transaction that changes them has begun, and nobody else does up to its end.
    Held,
    /// Something has run in part.
    Halfway,
    /// The undo has run: rows that are not there any more it has taken away itself.
    Undone,
    /// The step has run.
    Done,
}

impl Moment {
    /// After a part of a step that may be its last.
    pub(crate) fn at_end(last: bool) -> Moment {
        match last {
            true => Moment::Done,
            false => Moment::Halfway,
        }
    }

    /// What is known of a row by how it is now.
    fn after(self, known: Known, now: Option<u128>) -> Option<Known> {
        if !known.is_plain() {
            return Some(known);
        }
        Some(match (self, now) {
            (Moment::Begins, Some(now)) if now == known.now || now == known.before => {
                Known::is(now)
            }
            (Moment::Again, Some(now)) if now == known.now || now == known.before => known,
            (Moment::Held, Some(now)) if now == known.now => known,
            // The transaction in which it was noted was rolled back.
            (Moment::Held, Some(now)) if now == known.before => Known::is(now),
            // Should all of it be taken back, what was there before all of it counts.
            (Moment::Halfway, Some(now)) => Known {
                before: known.before,
                now,
            },
            (Moment::Halfway, None) => known,
            (Moment::Undone | Moment::Done, Some(now)) => Known {
                before: known.now,
                now,
            },
            (Moment::Undone, None) => return None,
            (Moment::Begins | Moment::Again | Moment::Held, _) | (Moment::Done, None) => {
                Known::LOST
            }
        })
    }
}

/// Looks at the rows of an archive, or notes how they are, as a session sees them and by the names that their tables have; of some
/// of its tables, where they are named. Gives how many of them others have written, of which that was not known.
pub(crate) async fn look(
    world: &World,
    session: &mut dyn Session,
    checkpoint: &Checkpoint,
    (names, moment): (&Names, Moment),
    only: Option<&[String]>,
) -> Result<u64, Failure> {
    let mut lost = 0;
    if !path(checkpoint).exists() {
        return Ok(lost);
    }
    let mut notes = Notes::new(world, checkpoint)?;
    for (saved, digest) in checkpoint.saved.iter().zip(&checkpoint.tables) {
        let Some(part) = part_of(saved) else {
            continue;
        };
        let label = notes.table(saved)?;
        let asked = only.is_none_or(|only| only.contains(&label));
        let table = match asked {
            true => bound(session, &part, names).await?,
            false => None,
        };
        let typing = session.dialect().rows().typing();
        let mut hashes = Hashes::new(&part, typing, digest.rows)?;
        for number in 0..hashes.count {
            let known = known(checkpoint, &label, (number, hashes.count))?;
            let now = match &table {
                Some(table) => now(session, (table, moment), &mut hashes, &known).await?,
                None => HashMap::new(),
            };
            for (key, one) in known {
                let after = match (&table, moment) {
                    // It is not asked for; or has another name, or another shape, than it will be found by.
                    _ if !asked => Some(one),
                    (None, _) if moment != Moment::Begins => Some(one),
                    _ => moment.after(one, now.get(&key).copied()),
                };
                lost += u64::from(one.is_plain() && after == Some(Known::LOST));
                if let Some(after) = after {
                    notes.row(key, after)?;
                }
            }
        }
    }
    notes.end(checkpoint)?;
    Ok(lost)
}

/// The hashes of rows of which something is known.
async fn now(
    session: &mut dyn Session,
    (table, moment): (&Bound, Moment),
    hashes: &mut Hashes,
    known: &HashMap<u128, Known>,
) -> Result<HashMap<u128, u128>, Failure> {
    let mut found = HashMap::new();
    let change = session.dialect().change();
    let sql = match change.hold(std::slice::from_ref(table)) {
        // Read without a lock, all that its statements meet later would be seen as it is now.
        None if moment == Moment::Held => change.select_locked(table),
        _ => session.dialect().rows().select(table),
    };
    let source = session.stream(&sql).await;
    let mut source = source.map_err(|error| refused(&error))?;
    while let Some(batch) = source.next().await.map_err(|error| refused(&error))? {
        for at in 0..batch.len() {
            let row: Vec<Cell<'_>> = batch.row(at).collect();
            let (key, hash) = hashes.of(&row);
            if known.contains_key(&key) {
                found.insert(key, hash);
            }
        }
    }
    Ok(found)
}

/// A table as it is there, with the columns of a part. `None`: it is not, or one of them.
async fn bound(
    session: &mut dyn Session,
    part: &Saved,
    names: &Names,
) -> Result<Option<Bound>, Failure> {
    let shapes = digest::shapes(session).await;
    let (_, all) = Reading::derive(&shapes.map_err(|error| refused(&error))?);
    let name = names.there(part.schema.as_deref(), &part.name);
    let is = |table: &Bound| table.schema == part.schema && table.table.eq_ignore_ascii_case(name);
    let Some(mut table) = all.into_iter().find(is) else {
        return Ok(None);
    };
    let columns = part.columns.iter().map(|name| {
        let mut there = table.columns.iter();
        there.find(|column| column.shape.name == *name).cloned()
    });
    let Some(columns) = columns.collect::<Option<Vec<_>>>() else {
        return Ok(None);
    };
    table.columns = columns;
    Ok(Some(table))
}

/// Archives whose values come home when a step has run that is about to.
pub struct Waiting {
    /// They.
    pub(crate) archives: Vec<Checkpoint>,
    /// The names that their tables have when the step, or the next migration of it, begins.
    pub(crate) names: Names,
    /// It is noted what the step has left.
    pub(crate) noted: bool,
}

/// Notes what a step, or a part of it, has left in rows whose values come home; of some tables, where they are named. Where
/// that cannot be read they stay as they are, and are listed.
pub(crate) async fn note(
    runner: &mut Runner<'_>,
    inside: bool,
    (names, moment): (&Names, Moment),
    only: Option<&[String]>,
) {
    let Some(waiting) = &runner.since else {
        return;
    };
    let (world, work) = (runner.world, &mut *runner.work);
    let all = &waiting.archives;
    match inside {
        true => {
            if aside(work, true).await.is_ok() {
                for checkpoint in all {
                    let _ = look(world, work, checkpoint, (names, moment), only).await;
                }
                // What went wrong within goes back with it, or shows at the next statement.
                let _ = aside(work, false).await;
            }
        }
        false => drop(look_outside(world, all, (names, moment), only).await),
    }
}

/// As [`look`], by a session of its own.
pub(crate) async fn look_outside(
    world: &World,
    all: &[Checkpoint],
    (names, moment): (&Names, Moment),
    only: Option<&[String]>,
) -> Result<(), Failure> {
    let mut session = world.open(Purpose::Read).await?;
    let mut found = digest::begin_snapshot(&mut *session)
        .await
        .map_err(|error| refused(&error));
    for checkpoint in all {
        if found.is_ok() {
            let looked = look(world, &mut *session, checkpoint, (names, moment), only).await;
            found = looked.map(drop);
        }
    }
    session.close().await;
    found.map_err(|failure| world.redact(failure))
}
