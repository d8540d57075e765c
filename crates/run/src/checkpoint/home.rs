//! Bringing home what an undo has destroyed: rows of a table that is made again, values of a column that is added again.
//!
//! What stands there by now is never written over: a row of the same key that is not as it was, a value that somebody has
//! written into the column. Such rows are left alone and listed. Done twice, it does the same as done once.

use super::Names;
use super::file::{Checkpoint, Saved};
use super::frame::{self, Change};
use super::hashes::{Hashes, KEYS_SHOWN, Stored, each_now, key_of, shown_key};
use super::restore::{self, refused, targets};
use super::taken::{Put, put_each};
use super::{over, since, taken};
use crate::backup::archive::cell_of;
use crate::digest::{self, TableDigest, table_digest};
use crate::executor::Runner;
use crate::observe;
use crate::steps::migrate::json;
use crate::world::World;
use async_trait::async_trait;
use dunlin_core::copy::digest::bucket;
use dunlin_core::copy::reading::Bound;
use dunlin_core::copy::{Cell, RowHasher};
use dunlin_core::event::Sink;
use dunlin_core::failure::{Failure, FailureClass};
use dunlin_core::journal::archive::{Came, Home, Part};
use dunlin_core::journal::{self, Writing};
use dunlin_core::schema::{Catalog, Column, Table};
use dunlin_core::sql::{Condition, ObjectKind, ObjectRef, Unwritten};
use dunlin_core::value::Value;
use dunlin_engines::{DbError, Purpose, Session};
use std::collections::{BTreeMap, HashMap, HashSet};

/// Rows whose values are sorted by what they are before they are sent.
const WINDOW: usize = 2_000;

/// The tables of a checkpoint whose rows are, at this moment, what the file holds; by the names that they have by now.
pub async fn still(
    world: &World,
    checkpoint: &Checkpoint,
    names: &Names,
    sink: &mut dyn Sink,
) -> Result<Vec<String>, Failure> {
    let mut session = world.open(Purpose::Read).await?;
    let found = match digest::begin_snapshot(&mut *session).await {
        Err(error) => Err(refused(&error)),
        Ok(()) => {
            let all: Vec<String> = checkpoint.saved.iter().map(Saved::label).collect();
            still_of(&mut *session, checkpoint, (&all, names), sink).await
        }
    };
    let _ = digest::end_snapshot(&mut *session).await;
    session.close().await;
    found.map_err(|failure| world.redact(failure))
}

/// As [`still`], of some of its tables and as the session sees them.
pub(crate) async fn still_of(
    session: &mut dyn Session,
    checkpoint: &Checkpoint,
    (tables, names): (&[String], &Names),
    sink: &mut dyn Sink,
) -> Result<Vec<String>, Failure> {
    let wrong = |error| refused(&error);
    let now = observe::whole(session).await.map_err(wrong)?;
    let shapes = digest::shapes(session).await.map_err(wrong)?;
    let mut then = restore::open(checkpoint)?.catalog;
    for table in &mut then.tables {
        table.name = names.there(table.schema.as_deref(), &table.name).to_owned();
    }
    let mut still = vec![];
    for (saved, expected) in checkpoint.saved.iter().zip(&checkpoint.tables) {
        let label = saved.label();
        if !tables
            .iter()
            .any(|table| table.eq_ignore_ascii_case(&label))
        {
            continue;
        }
        let there = Saved {
            name: names.there(saved.schema.as_deref(), &saved.name).to_owned(),
            ..saved.clone()
        };
        let Ok(bound) = targets(std::slice::from_ref(&there), &then, &now, &shapes) else {
            continue;
        };
        for table in &bound {
            let found = match saved.only.as_deref() {
                None => digest::digest_table(session, table, sink).await,
                Some(only) => some_rows(session, table, only).await,
            };
            if found.map_err(wrong)?.agrees(expected) {
                still.push(label.clone());
            }
        }
    }
    Ok(still)
}

/// The digest of some rows of a table.
pub(crate) async fn some_rows(
    session: &mut dyn Session,
    table: &Bound,
    only: &str,
) -> Result<TableDigest, DbError> {
    let (rows, change) = (session.dialect().rows(), session.dialect().change());
    let mut hasher = RowHasher::new(table.types(), rows.typing());
    let sql = change.filtered(&rows.select(table), Some(only));
    let mut source = session.stream(&sql).await?;
    while let Some(batch) = source.next().await? {
        for at in 0..batch.len() {
            hasher.row(batch.row(at));
        }
    }
    Ok(table_digest(table, &hasher))
}

/// A part of a checkpoint that comes home.
#[derive(Debug, Clone)]
pub struct Coming {
    /// What it is.
    pub part: Part,
    /// The columns of its table that a newer archive has brought home: its values count there. `None`: there is no newer
    /// one.
    pub known: Option<Vec<String>>,
}

/// Brings these parts of a checkpoint home, in one transaction together with the record of it under `unit`.
///
/// # Errors
/// A table that is not there or has another shape, rows that would refer to nothing: nothing is changed then.
pub async fn bring_home(
    runner: &mut Runner<'_>,
    checkpoint: &Checkpoint,
    parts: &[Coming],
    (unit, hash): (&str, &str),
) -> Result<Home, Failure> {
    checkpoint.check()?;
    let there = observe::whole(&mut *runner.work).await;
    let mut homing = Homing {
        checkpoint,
        parts,
        unit,
        hash,
        there: there.map_err(|error| refused(&error))?,
        home: Home {
            checkpoint: checkpoint.id.clone(),
            ..Home::default()
        },
    };
    frame::run(runner, checkpoint, &mut homing).await?;
    Ok(homing.home)
}

struct Homing<'h> {
    checkpoint: &'h Checkpoint,
    parts: &'h [Coming],
    unit: &'h str,
    hash: &'h str,
    there: Catalog,
    home: Home,
}

#[async_trait]
impl Change for Homing<'_> {
    async fn change(&mut self, work: &mut dyn Session, targets: &[Bound]) -> Result<(), Failure> {
        for (saved, target) in self.checkpoint.saved.iter().zip(targets) {
            let label = saved.label();
            if let Some(coming) = self.parts.iter().find(|one| one.part.table == label) {
                // What the step has just put in their place goes, and nothing else.
                for sql in &coming.part.own {
                    work.execute(sql).await.map_err(|error| refused(&error))?;
                }
                let came = self.table(work, saved, target, coming).await?;
                self.home.came.push(came);
            }
        }
        restore::raise(work, targets, &self.checkpoint.saved, false).await
    }

    fn records(&self) -> Vec<Writing> {
        let detail = json(&self.home);
        vec![Writing::unit(
            journal::Event::Home,
            self.unit,
            self.hash,
            detail,
        )]
    }

    fn again(&mut self) {
        self.home.came.clear();
    }
}

impl Homing<'_> {
    async fn table(
        &self,
        work: &mut dyn Session,
        saved: &Saved,
        target: &Bound,
        coming: &Coming,
    ) -> Result<Came, Failure> {
        let count = work
            .dialect()
            .count_rows(target.schema.as_deref(), &target.table);
        let rows = work.query(&count.sql, &count.params).await;
        let rows = rows.map_err(|error| refused(&error))?;
        let now = rows.first().and_then(|row| row.first()?.as_i64());
        let places = self.checkpoint.saved.iter().zip(&self.checkpoint.tables);
        let digests = places.filter(|(found, _)| *found == saved);
        let kept = digests.map(|(_, digest)| digest.rows).sum::<u64>();
        let rows = kept.max(now.and_then(|now| u64::try_from(now).ok()).unwrap_or(0));
        let typing = work.dialect().rows().typing();
        // A row without a key is itself its key.
        let keyless = saved.key.is_empty();
        let keyed = Saved {
            key: match keyless {
                true => saved.columns.clone(),
                false => saved.key.clone(),
            },
            ..saved.clone()
        };
        let mut one = One {
            checkpoint: self.checkpoint,
            hashes: Hashes::new(&keyed, typing, rows)?,
            saved: &keyed,
            keyless,
            target,
            known: coming.known.as_deref(),
            taken: HashSet::new(),
        };
        let mut came = Came {
            table: saved.label(),
            ..Came::default()
        };
        let table = self.there.table(saved.schema.as_deref(), &saved.name);
        match saved.partial {
            // Nothing but values that were written over.
            true if coming.part.values => {}
            true => one.values(work, table, &mut came).await?,
            false => {
                one.rows(work, &mut came).await?;
                // Of rows that a newer archive has brought home, the columns that it had not any more.
                if one.known.is_some() && !keyless {
                    one.values(work, table, &mut Came::default()).await?;
                }
            }
        }
        if !saved.over.is_empty() {
            let mut beside = Came::default();
            let came = match coming.part.values {
                true => &mut came,
                false => &mut beside,
            };
            let refused = over::bring(work, self.checkpoint, (saved, target), table, came).await?;
            one.taken.extend(refused);
        }
        one.prove(work, &mut came).await?;
        Ok(came)
    }
}

/// What stands in the table, by the hash of the key: the hash of the row, and how often.
type There = HashMap<u128, (u128, u64)>;

/// One table.
struct One<'o> {
    checkpoint: &'o Checkpoint,
    saved: &'o Saved,
    keyless: bool,
    target: &'o Bound,
    hashes: Hashes,
    /// As [`Coming::known`].
    known: Option<&'o [String]>,
    /// The keys of rows that did not come, for others have taken what is unique in them.
    taken: HashSet<u128>,
}

/// The rows of the file, bucket by bucket, beside what stands in the table of the bucket that they are in.
#[derive(Default)]
struct Beside<'s> {
    bucket: u32,
    there: There,
    /// Of values that were written over: what is known of the rows since.
    since: HashMap<u128, since::Known>,
    stored: Option<Stored<'s>>,
}

impl<'o> One<'o> {
    /// The next row of the file, with its key's hash and its own.
    async fn next(
        &mut self,
        work: &mut dyn Session,
        beside: &mut Beside<'o>,
    ) -> Result<Option<(Vec<Value>, u128, u128)>, Failure> {
        while beside.bucket < self.hashes.count {
            if beside.stored.is_none() {
                beside.there = self.there(work, beside.bucket).await?;
                if !self.saved.over.is_empty() {
                    let at = (beside.bucket, self.hashes.count);
                    beside.since = since::known(self.checkpoint, &self.saved.label(), at)?;
                }
            }
            let stored = match &mut beside.stored {
                Some(stored) => stored,
                none => none.insert(Stored::open(self.checkpoint, &self.saved.label())?),
            };
            while let Some(row) = stored.next()? {
                let (key, hash) = self.hashes.of_values(&row);
                if bucket(key, self.hashes.count) == beside.bucket {
                    return Ok(Some((row, key, hash)));
                }
            }
            beside.stored = None;
            beside.bucket += 1;
        }
        Ok(None)
    }

    async fn there(&mut self, work: &mut dyn Session, number: u32) -> Result<There, Failure> {
        let mut there = There::new();
        let hashes = &mut self.hashes;
        let take = |row: &[Cell<'_>]| {
            let (key, hash) = hashes.of(row);
            if bucket(key, hashes.count) == number {
                there.entry(key).or_insert((hash, 0)).1 += 1;
            }
            Ok(())
        };
        each_now(work, self.target, take, &self.checkpoint.path).await?;
        Ok(there)
    }

    /// Where a row of the file stands; `None`: nothing of its key is there. Of rows without a key each is met once.
    fn met(&self, there: &mut There, key: u128, hash: u128) -> Option<bool> {
        let (now, times) = there.get_mut(&key).filter(|(_, times)| *times > 0)?;
        if self.keyless {
            *times -= 1;
        }
        Some(*now == hash)
    }

    /// Puts the rows in that are not there.
    async fn rows(&mut self, work: &mut dyn Session, came: &mut Came) -> Result<(), Failure> {
        let mut coming = taken::Beside::new(work, self.target);
        let mut beside = Beside::default();
        while let Some((row, key, hash)) = self.next(work, &mut beside).await? {
            match self.met(&mut beside.there, key, hash) {
                Some(true) => came.same += 1,
                Some(false) => came.left += 1,
                // The undo has left it there, and somebody has taken it away since.
                None if beside.since.contains_key(&key) => came.left += 1,
                None => {
                    came.rows += 1;
                    coming.row(work, key, row).await?;
                }
            }
        }
        coming.flush(work).await?;
        let taken = coming.taken.len() as u64;
        (came.rows, came.left) = (came.rows - taken, came.left + taken);
        self.taken.extend(coming.taken);
        Ok(())
    }

    /// Gives columns the values that they held, in rows where nobody has written them since.
    async fn values(
        &mut self,
        work: &mut dyn Session,
        table: Option<&Table>,
        came: &mut Came,
    ) -> Result<(), Failure> {
        let table = table.ok_or_else(|| {
            let message = format!("table {} is not there any more", self.saved.label());
            Failure::refused("checkpoint-shape", message)
        })?;
        let columns = self.columns(work, table).await?;
        let (mut beside, mut waiting) = (Beside::default(), vec![]);
        while let Some((row, key, hash)) = self.next(work, &mut beside).await? {
            match beside.there.get(&key) {
                Some((now, _)) if *now == hash => came.same += 1,
                Some(_) => waiting.push(row),
                None => {}
            }
            if waiting.len() >= WINDOW {
                self.send(work, &columns, std::mem::take(&mut waiting))
                    .await?;
            }
        }
        self.send(work, &columns, waiting).await
    }

    /// The columns that are not of the key, and how to tell that nobody has written them.
    async fn columns(&self, work: &mut dyn Session, table: &Table) -> Result<Columns, Failure> {
        let change = work.dialect().change();
        let mut columns = Columns {
            some: vec![],
            still: vec![],
        };
        for column in &table.columns {
            let saved = self.saved.columns.iter();
            let place = saved.clone().position(|name| *name == column.name);
            match place.filter(|place| !self.hashes.places.contains(place)) {
                None if column.on_update.is_some() => columns.still.push(column.name.clone()),
                None => {}
                Some(_) if self.known.is_some_and(|known| known.contains(&column.name)) => {}
                Some(_) if self.saved.over.contains(&column.name) => {}
                Some(place) => {
                    let added = unwritten(table, column);
                    let default = column.default.as_deref();
                    let known = column.nullable || default.is_some();
                    let only = match known && added.is_constant() {
                        true => Some(change.as_made(&column.name, default)),
                        // What rows got when the column was made is one value; where there is a second one nobody can
                        // tell which is whose.
                        false if is_untouched(work, added).await? => None,
                        false => continue,
                    };
                    columns.some.push((place, only));
                }
            }
        }
        Ok(columns)
    }

    /// Gives rows their values; those that a unique key refuses stay as they are.
    async fn send(
        &mut self,
        work: &mut dyn Session,
        columns: &Columns,
        rows: Vec<Vec<Value>>,
    ) -> Result<(), Failure> {
        let mut puts = vec![];
        for (place, only) in &columns.some {
            let mut groups: BTreeMap<String, (&Value, Vec<Vec<Value>>)> = BTreeMap::new();
            for row in &rows {
                let value = &row[*place];
                let group = groups.entry(format!("{value:?}"));
                let (_, keys) = group.or_insert_with(|| (value, vec![]));
                keys.push(key_of(self.saved, row));
            }
            puts.extend(groups.into_values().map(|(value, keys)| Put {
                column: *place,
                value,
                keys,
                only: only.as_deref(),
            }));
        }
        let to = (self.target, &*self.hashes.places, &*columns.still);
        let refused = put_each(work, to, &puts).await?;
        for key in &refused {
            let hash = self.hashes.key.row(key.iter().map(cell_of));
            self.taken.insert(hash);
        }
        Ok(())
    }

    /// Reads the table again: every row of the file that was not left alone is there as the file has it.
    async fn prove(&mut self, work: &mut dyn Session, came: &mut Came) -> Result<(), Failure> {
        let (mut left, mut kept) = (0_u64, 0_u64);
        let mut beside = Beside::default();
        while let Some((row, key, hash)) = self.next(work, &mut beside).await? {
            if self.met(&mut beside.there, key, hash) == Some(true) {
                kept += 1;
                continue;
            }
            if beside
                .since
                .get(&key)
                .is_some_and(|known| known.is_claimed())
            {
                continue;
            }
            left += 1;
            if came.keys.len() < KEYS_SHOWN {
                let mut shown = shown_key(self.saved, &key_of(self.saved, &row));
                if self.taken.contains(&key) {
                    shown.push_str(&format!(": {}", taken::WHY));
                }
                came.keys.push(shown);
            }
        }
        if self.saved.partial || self.known.is_some() || !self.saved.over.is_empty() {
            came.left = left;
            came.rows = kept.saturating_sub(came.same);
            return Ok(());
        }
        if left == came.left && kept == came.rows + came.same {
            return Ok(());
        }
        let message = format!(
            "{}: the rows that were put back are not as they were, so nothing was changed",
            came.table
        );
        Err(Failure::new(
            FailureClass::Mismatch,
            "backup-unequal",
            message,
        ))
    }
}

/// Columns that get values.
struct Columns {
    /// Their places, and the condition under which nobody has written a row's value; `None`: nobody has written any.
    some: Vec<(usize, Option<String>)>,
    /// Columns that an update would change by itself.
    still: Vec<String>,
}

fn unwritten(table: &Table, column: &Column) -> Unwritten {
    let object = ObjectRef {
        kind: ObjectKind::Column,
        schema: table.schema.clone(),
        parent: Some(table.name.clone()),
        name: column.name.clone(),
    };
    Unwritten {
        column: object,
        default: column.default.clone(),
        nullable: column.nullable,
    }
}

async fn is_untouched(work: &mut dyn Session, column: Unwritten) -> Result<bool, Failure> {
    let Some(query) = work.dialect().probe(&Condition::Unwritten(column)) else {
        return Ok(false);
    };
    let rows = work.query(&query.sql, &query.params).await;
    let rows = rows.map_err(|error| refused(&error))?;
    let answer = rows.first().and_then(|row| row.first());
    Ok(answer.and_then(Value::as_bool).unwrap_or(false))
}
