//! The last look at what a statement of an undo takes away: other writers are kept from it, it is read once more and
//! archived anew where they have written since, and it goes under the same lock. Where statements share a transaction that
//! transaction is it, from its first statement on.
//!
//! A session under the lock of a statement that commits by itself may reach no other table: what is recorded meanwhile,
//! another session writes.

use super::counted::{counted_of, default_schema, name_of};
use super::locks;
use super::made;
use super::migrate::Unit;
use super::over::{noted, written_over};
use super::send::{With, execute_with};
use crate::checkpoint::keep::{Older, Seen, answer, as_left, aside, others_write};
use crate::checkpoint::since;
use crate::checkpoint::{self, Checkpoint, Chosen, Names};
use crate::executor::Runner;
use dunlin_core::failure::{ErrorClass, Failure};
use dunlin_core::journal::Writing;
use dunlin_core::plan::delete;
use dunlin_core::plan::inverse::{self, Renames, is_harmless};
use dunlin_core::plan::lower::Block;
use dunlin_core::schema::label;
use dunlin_core::sql::{Kind, ObjectKind, ObjectRef, StatementClass};
use dunlin_engines::{DbError, Halted, Purpose};
use std::collections::BTreeMap;
use std::ops::Range;

/// Makes the record of an archive; whether it stands beside the one before it.
type Record = Box<dyn Fn(&Checkpoint, bool) -> Writing + Send + Sync>;

/// What an undo takes away, as it was when it was looked at and archived.
pub struct Last {
    /// The name of archives.
    name: String,
    /// What was seen and is not archived: it must be so still.
    pub(super) seen: Vec<Seen>,
    /// The archive.
    made: Option<Checkpoint>,
    /// Archives before it whose values are written over once more.
    pub(super) older: Vec<Older>,
    /// What is in it.
    chosen: Chosen,
    /// The record of an archive.
    record: Record,
    /// What was archived anew under a lock.
    pub(crate) anew: Vec<Anew>,
    /// What was archived anew in the transaction that is open.
    here: Option<Anew>,
    /// Rows that the script's own statements have put into tables, or taken out of them, by the names that they say;
    /// `None`: it cannot be told.
    moved: BTreeMap<String, Option<i64>>,
    /// The same, before the transaction that is open.
    moved_before: BTreeMap<String, Option<i64>>,
}

/// An archive that was made when somebody had written since the one before it.
pub(crate) struct Anew {
    /// It.
    pub(crate) archive: Checkpoint,
    /// What the one before it holds besides comes home, too: the undo itself has changed the table by then.
    pub(crate) beside: bool,
}

/// A table of which something is known and from which a statement takes something.
pub(super) struct Concern {
    /// As people see it, by the name that it has before the undo.
    pub(super) table: String,
    /// Its schema and that name.
    pub(super) schema: Option<String>,
    pub(super) was: String,
    /// The name that it has by now.
    pub(super) is: String,
    /// The whole table goes.
    whole: bool,
    /// Columns that go.
    columns: Vec<String>,
    /// A statement on rows reaches it.
    rows: bool,
    /// The script itself has changed rows or tables before.
    own: bool,
}

impl Concern {
    /// Whether a name is one of its names.
    fn is_named(&self, name: &str) -> bool {
        name.eq_ignore_ascii_case(&self.was) || name.eq_ignore_ascii_case(&self.is)
    }

    /// Whether nothing but rows of it goes.
    pub(super) fn is_of_rows(&self) -> bool {
        !self.whole && self.columns.is_empty()
    }

    /// Whether something that was seen is about what goes.
    pub(super) fn is_about(&self, seen: &Seen) -> bool {
        let same = |name: &str, other: &str| name.eq_ignore_ascii_case(other);
        same(&seen.table, &self.table)
            && match &seen.column {
                Some(column) => self.columns.iter().any(|name| same(name, column)),
                None if seen.some => self.whole || self.rows || self.columns.is_empty(),
                None => self.whole,
            }
    }
}

impl Last {
    /// What is known; `None`: nothing.
    pub(crate) fn of(
        name: String,
        seen: Vec<Seen>,
        (made, older): (Option<Checkpoint>, Vec<Older>),
        chosen: Chosen,
        record: Record,
    ) -> Option<Last> {
        (!seen.is_empty() || made.is_some()).then(|| Last {
            name,
            seen,
            made,
            older,
            chosen,
            record,
            anew: vec![],
            here: None,
            moved: BTreeMap::new(),
            moved_before: BTreeMap::new(),
        })
    }

    /// A table of which something is known, by its schema and the name that it has before the undo.
    fn known(&self, first: &ObjectRef) -> Option<(Option<String>, String)> {
        let is = |wanted: &str| {
            let saved = self.made.iter().flat_map(|made| &made.saved);
            let saved = saved.map(|one| (one.schema.as_deref(), one.name.as_str()));
            let seen = self.seen.iter().map(|seen| seen.question.table());
            let mut all = seen.chain(saved);
            all.find(|(schema, name)| label(*schema, name).eq_ignore_ascii_case(wanted))
        };
        // A statement may name the schema that goes without saying.
        let found = is(&label(first.schema.as_deref(), &first.name)).or_else(|| is(&first.name));
        found.map(|(schema, name)| (schema.map(str::to_owned), name.to_owned()))
    }

    /// Whether single rows of a table are known, which a statement on rows takes away.
    fn knows_rows(&self, first: &ObjectRef) -> bool {
        let Some((schema, name)) = self.known(first) else {
            return false;
        };
        let table = label(schema.as_deref(), &name);
        let is = |name: &String| name.eq_ignore_ascii_case(&table);
        let mut seen = self.seen.iter();
        seen.any(|seen| seen.some && is(&seen.table))
            || self.chosen.rows.iter().any(|(name, _)| is(name))
    }

    /// Of what is archived that which is of these tables.
    fn only(&self, tables: &[String]) -> Chosen {
        let of = |name: &String| tables.iter().any(|table| table.eq_ignore_ascii_case(name));
        let mut chosen = self.chosen.clone();
        chosen.tables.retain(of);
        chosen.columns.retain(|(table, _)| of(table));
        chosen.rows.retain(|(table, _)| of(table));
        chosen.over.retain(|(table, _)| of(table));
        chosen
    }

    /// The archives that hold values which are written over, the oldest first.
    pub(super) fn of_values(&self) -> Vec<&Checkpoint> {
        let older = self.older.iter().map(|one| &one.archive);
        let anew = self.anew.iter().chain(&self.here).map(|anew| &anew.archive);
        let all = older.chain(&self.made).chain(anew);
        all.filter(|one| since::is_of(one)).collect()
    }

    /// The newest archive of a table.
    fn newest(&self, table: &str) -> Option<&Checkpoint> {
        let anew = self.anew.iter().rev().map(|anew| &anew.archive);
        anew.chain(&self.made).find(|archive| {
            let mut saved = archive.saved.iter();
            saved.any(|saved| saved.label().eq_ignore_ascii_case(table))
        })
    }

    /// A transaction begins.
    pub(super) fn begins(&mut self) {
        self.moved_before.clone_from(&self.moved);
    }

    /// The transaction in which something was archived anew has come to its end.
    pub(super) fn ended(&mut self, kept: bool) {
        if !kept {
            self.moved.clone_from(&self.moved_before);
        }
        match (self.here.take(), kept) {
            (Some(anew), true) => self.anew.push(anew),
            // It is swept or dropped by hand otherwise.
            (Some(anew), false) => drop(checkpoint::drop(&anew.archive)),
            (None, _) => {}
        }
    }
}

/// Keeps how many rows a statement of the script has moved.
pub(super) fn count(runner: &mut Runner<'_>, class: &StatementClass, rows: u64) {
    let Some(last) = &mut runner.last else {
        return;
    };
    if matches!(class.kind, Kind::Ddl) || is_harmless(class) {
        return;
    }
    let rows = i64::try_from(rows).unwrap_or(i64::MAX);
    for table in &class.touches {
        let moved = last.moved.entry(name_of(table)).or_insert(Some(0));
        *moved = match (*moved, class.verb.as_str(), class.touches.len()) {
            (Some(before), "DELETE", 1) => Some(before.saturating_sub(rows)),
            (Some(before), "INSERT", 1) => Some(before.saturating_add(rows)),
            (Some(before), "UPDATE", 1) => Some(before),
            _ => None,
        };
    }
}

/// The table of an object, or the object that is one.
fn table_of(object: &ObjectRef) -> ObjectRef {
    let name = object.parent.as_ref().unwrap_or(&object.name);
    ObjectRef::table(object.schema.as_deref(), name)
}

/// The tables that statements take away, or columns or rows of them, of which something is known.
pub(super) fn concerned(
    runner: &Runner<'_>,
    unit: &Unit<'_>,
    statements: Range<usize>,
) -> Vec<Concern> {
    let Some(last) = &runner.last else {
        return vec![];
    };
    let classes = &unit.lowered.classes;
    let renamed = made::renames(runner, unit);
    let mut found: BTreeMap<String, Concern> = BTreeMap::new();
    let mut concern = |first: &ObjectRef, what: &dyn Fn(&mut Concern)| {
        let Some((schema, was)) = last.known(first) else {
            return;
        };
        let after = inverse::name_after(&renamed[..statements.start], first);
        let is = if after == *first {
            was.clone()
        } else {
            after.name
        };
        let table = label(schema.as_deref(), &was);
        let one = found.entry(table.to_lowercase());
        what(one.or_insert_with(|| Concern {
            table,
            schema,
            was,
            is,
            whole: false,
            columns: vec![],
            rows: false,
            own: false,
        }));
    };
    let gone = inverse::gone(classes, &renamed);
    for at in statements.clone() {
        for gone in gone.iter().filter(|gone| gone.at == at) {
            concern(&table_of(&gone.was), &|one| match gone.object.kind {
                ObjectKind::Column => one.columns.push(gone.object.name.clone()),
                _ => one.whole = true,
            });
        }
        let first = |table: &ObjectRef| inverse::first_of(&renamed[..at], &table_of(table));
        for table in delete::emptied(&classes[at]) {
            concern(&first(table), &|one| one.whole = true);
        }
        if matches!(classes[at].kind, Kind::Dml | Kind::CopyIn) {
            let touched = classes[at].touches.iter().map(first);
            for table in touched.filter(|table| last.knows_rows(table)) {
                concern(&table, &|one| one.rows = true);
            }
        }
    }
    let mut found: Vec<Concern> = found.into_values().collect();
    for one in &mut found {
        one.own = changed_before(unit, statements.start, &renamed, one);
    }
    found
}

/// Whether the script itself has changed a table or its rows before a statement. What an earlier run did was there when it
/// was looked at, and another name changes nothing.
fn changed_before(unit: &Unit<'_>, at: usize, renamed: &[Renames], table: &Concern) -> bool {
    let blocks = &unit.lowered.blocks;
    let from = blocks.get(unit.first);
    let from = from.map_or(0, |block| block.statements.start);
    let before = unit.lowered.classes.get(from..at).unwrap_or_default();
    let mut changes = before.iter().zip(renamed.get(from..).unwrap_or_default());
    changes.any(|(class, renamed)| {
        // A statement on rows may reach others, by triggers and foreign keys.
        let is_it = |object: &ObjectRef| table.is_named(&table_of(object).name);
        let renames = |object: &ObjectRef| {
            let mut pairs = renamed.iter();
            pairs.any(|(from, to)| [from, to].contains(&object))
        };
        let touched = || {
            class
                .touches
                .iter()
                .any(|object| is_it(object) && !renames(object))
        };
        !is_harmless(class) && (class.kind != Kind::Ddl || touched())
    })
}

/// Whether a last look is to be taken before a statement: its record cannot go with it then.
pub(super) fn concerns(runner: &Runner<'_>, unit: &Unit<'_>, block: &Block) -> bool {
    !concerned(runner, unit, block.statements.clone()).is_empty()
}

/// Sends a statement; after a last look, and under its lock, where it takes away something that is known.
pub(super) async fn execute(
    runner: &mut Runner<'_>,
    unit: &Unit<'_>,
    at: usize,
    with: With<'_>,
) -> Result<u64, Halted> {
    let concerned = concerned(runner, unit, at..at + 1);
    if concerned.is_empty() {
        return execute_with(runner, unit, at, with).await;
    }
    let hold = match joined(&unit.lowered.classes[at]) {
        // Under a lock it would reach none of the others.
        true => locks::none(runner, &concerned),
        false => locks::alone(runner, &concerned)
            .await
            .map_err(Halted::After)?,
    };
    let looked = look(runner, (&concerned, at), Way::Alone).await;
    let sent = match looked {
        Ok(_) => match execute_with(runner, unit, at, with).await {
            Ok(rows) => {
                let noted = noted(runner, unit, &concerned, at + 1).await;
                noted
                    .map(|()| rows)
                    .map_err(|failure| Halted::After(as_error(failure)))
            }
            Err(halted) => Err(halted),
        },
        Err(Wrong::Error(error)) => Err(Halted::After(error)),
        Err(Wrong::Failure(failure)) => Err(Halted::After(as_error(failure))),
    };
    for statement in &hold.free {
        // Where this fails the session is gone, and its locks with it.
        let _ = runner.work.execute(statement).await;
    }
    sent
}

/// Whether a statement on rows of a table that knows no transactions reads others beside it.
fn joined(class: &StatementClass) -> bool {
    class.kind == Kind::Dml && (!class.reads.is_empty() || class.touches.len() > 1)
}

/// Before the transaction of a block in which a last look is taken: how it must begin, so that what is read is held.
pub(super) async fn before(runner: &mut Runner<'_>) -> Result<(), DbError> {
    for sql in runner.work.dialect().change().before_hold() {
        let _ = runner.work.execute(sql).await?;
    }
    Ok(())
}

/// What stops a look.
pub(super) enum Wrong {
    /// What was sent: it may be tried again.
    Error(DbError),
    /// What was found.
    Failure(Failure),
}

impl From<DbError> for Wrong {
    fn from(error: DbError) -> Self {
        Wrong::Error(error)
    }
}

impl From<Failure> for Wrong {
    fn from(failure: Failure) -> Self {
        Wrong::Failure(failure)
    }
}

/// At the beginning of a block's transaction: takes the last look at all that its statements take away, and keeps other
/// writers from it up to the end of the transaction. Gives what is to be recorded with it.
pub(super) async fn within(
    runner: &mut Runner<'_>,
    unit: &Unit<'_>,
    block: &Block,
) -> Result<Option<Writing>, Wrong> {
    let concerned = concerned(runner, unit, block.statements.clone());
    if concerned.is_empty() {
        return Ok(None);
    }
    locks::within(&mut *runner.work, &concerned).await?;
    look(runner, (&concerned, block.statements.start), Way::Within).await
}

/// A failure as the error of the statement before which it came.
fn as_error(failure: Failure) -> DbError {
    let mut error = DbError::new(ErrorClass::Other, failure.message);
    error.code = failure.code.to_owned();
    error.hint = failure.hints.into_iter().next();
    error
}

/// Where a look is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// Under the lock of a statement that commits by itself.
    Alone,
    /// In the transaction of the statements.
    Within,
}

async fn look(
    runner: &mut Runner<'_>,
    (concerned, from): (&[Concern], usize),
    way: Way,
) -> Result<Option<Writing>, Wrong> {
    let Some(mut last) = runner.last.take() else {
        return Ok(None);
    };
    let looked = look_at(runner, &mut last, (concerned, from), way).await;
    runner.last = Some(last);
    looked
}

async fn look_at(
    runner: &mut Runner<'_>,
    last: &mut Last,
    (concerned, from): (&[Concern], usize),
    way: Way,
) -> Result<Option<Writing>, Wrong> {
    let default = default_schema(runner);
    let work = &mut *runner.work;
    let change = work.dialect().change();
    // Where no statement holds the tables, reading the rows does; the first read of the transaction, so that every later
    // one sees what is held.
    let by_reading = way == Way::Within && change.lock(&[]).is_none();
    let lock = if by_reading { change.for_update() } else { "" };
    let mut names = Names::default();
    for one in concerned {
        names.add(one.schema.as_deref(), &one.was, &one.is);
    }
    for concern in concerned {
        for seen in last.seen.iter().filter(|seen| concern.is_about(seen)) {
            if seen.over.is_some_and(|at| at < from) {
                continue;
            }
            let now = answer(work, seen, &names, lock).await?;
            if !seen.archived && !may_be(last, seen, concern, &default, now) {
                return Err(others_write(&seen.table).into());
            }
        }
    }
    // What the script itself has changed since is not what the step has left, and nothing of others either.
    let others = |seen: &&Seen| {
        let is_about = |concern: &&Concern| concern.is_about(seen);
        let concern = concerned.iter().find(is_about);
        match seen.over {
            // Noted anew after each of its statements.
            Some(at) => at >= from && concern.is_some(),
            None => concern.is_some_and(|concern| !concern.own),
        }
    };
    let seen: Vec<&Seen> = last.seen.iter().filter(others).collect();
    as_left(work, &seen, &names, runner.sink).await?;
    written_over(runner, last, concerned, &names).await?;
    let work = &mut *runner.work;
    let known = |concern: &&Concern| last.newest(&concern.table).is_some();
    let archived: Vec<&Concern> = concerned.iter().filter(known).collect();
    if archived.is_empty() {
        return Ok(None);
    }
    aside(work, true).await?;
    let anew = anew(runner, last, &archived, names).await;
    let back = aside(&mut *runner.work, false).await;
    let Some(anew) = anew? else {
        back?;
        return Ok(None);
    };
    let record = (last.record)(&anew.archive, anew.beside);
    if way == Way::Within {
        last.here = Some(anew);
        back?;
        return Ok(Some(record));
    }
    // Committed before anything goes.
    let world = runner.world;
    let mut other = world.open(Purpose::Tool).await?;
    let written = runner.pen.append(world, &mut *other, &[record]).await;
    other.close().await;
    written.map_err(|error| runner.trouble(&error, "the archive could not be recorded"))?;
    last.anew.push(anew);
    back?;
    Ok(None)
}

/// Whether nobody else has changed an answer. What the script's own statements did is counted; where it is not known what
/// they did there can only be less.
fn may_be(last: &Last, seen: &Seen, concern: &Concern, default: &str, now: u64) -> bool {
    if !concern.own || seen.over.is_some() {
        return now == seen.number;
    }
    let table = |name: &str| ObjectRef::table(concern.schema.as_deref(), name);
    let mut moves = counted_of(&last.moved, &table(&concern.was), default);
    if !concern.is.eq_ignore_ascii_case(&concern.was) {
        moves.extend(counted_of(&last.moved, &table(&concern.is), default));
    }
    let sum = |all: Option<i64>, moved: &Option<i64>| Some(all?.saturating_add((*moved)?));
    let moved = (!moves.is_empty()).then(|| moves.iter().fold(Some(0), sum));
    if seen.some && !seen.of_rows && moved.is_some() {
        // Which rows a DELETE finds after the script has changed some itself, nobody can say.
        return true;
    }
    let of_table = seen.column.is_none() && !seen.some;
    let moved = moved.flatten().filter(|_| of_table).unwrap_or(0);
    now <= seen.number.saturating_add_signed(moved)
}

/// Archives what is not any more as it was archived.
async fn anew(
    runner: &mut Runner<'_>,
    last: &Last,
    archived: &[&Concern],
    names: Names,
) -> Result<Option<Anew>, Failure> {
    let world = runner.world;
    let work = &mut *runner.work;
    let (mut changed, mut beside) = (vec![], false);
    for concern in archived {
        let Some(newest) = last.newest(&concern.table) else {
            continue;
        };
        let table = std::slice::from_ref(&concern.table);
        let same = checkpoint::still_of(work, newest, (table, &names), runner.sink).await?;
        if same.is_empty() {
            changed.push(concern.table.clone());
            let older = last.older.iter().map(|one| &one.archive);
            let mut older = older.flat_map(|one| &one.saved);
            beside |= concern.own || older.any(|saved| saved.label() == concern.table);
        }
    }
    let chosen = Chosen {
        names,
        ..last.only(&changed)
    };
    if chosen.tables.is_empty() && chosen.columns.is_empty() && chosen.rows.is_empty() {
        return Ok(None);
    }
    let made = checkpoint::create_in(world, work, &last.name, &chosen, false, runner.sink).await;
    let archive = made.map_err(checkpoint::keep::not_archived)?;
    if beside && archive.tables.iter().all(|table| table.rows == 0) {
        // What the script took away itself lies in the archive before this one.
        let _ = checkpoint::drop(&archive);
        return Ok(None);
    }
    let older = if beside { last.of_values() } else { vec![] };
    let typing = work.dialect().rows().typing();
    let started = since::start(world, typing, &archive, &older);
    started.map_err(checkpoint::keep::not_archived)?;
    Ok(Some(Anew { archive, beside }))
}
