//! Values that come home when a step has run again: nobody else writes to them in a transaction of the step that does, so that
//! what is noted at its end is the step's own doing.

use super::last::Wrong;
use super::made;
use super::migrate::Unit;
use crate::checkpoint::Names;
use crate::checkpoint::file::Saved;
use crate::checkpoint::keep::aside;
use crate::checkpoint::since::{self, Moment};
use crate::digest;
use crate::executor::Runner;
use dunlin_core::copy::reading::{Bound, Reading};
use dunlin_core::plan::inverse::{self, Renames, is_harmless};
use dunlin_core::plan::lower::Block;
use dunlin_core::schema::label;
use dunlin_core::sql::{Condition, Kind, ObjectRef, StatementClass};
use dunlin_engines::DbError;
use std::ops::Range;

/// The tables with such values that some statements write to.
pub(super) struct Reached {
    /// As people see them, by the names under which the values come home.
    labels: Vec<String>,
    /// Their names before the statements, and after them.
    before: Names,
    after: Names,
    /// They, as they are.
    bound: Vec<Bound>,
}

/// A table with values that wait: its schema, the name under which they come home, and the columns.
struct Table {
    schema: Option<String>,
    name: String,
    over: Vec<String>,
    /// The name that it has when the unit begins.
    there: String,
}

impl Table {
    /// The name that it has when so many of a unit's statements have run.
    fn name_after(&self, renames: &[Renames]) -> String {
        // A statement may leave out the schema that goes without saying.
        let mut names = [self.schema.as_deref(), None].into_iter().map(|schema| {
            let first = ObjectRef::table(schema, &self.there);
            inverse::name_after(renames, &first).name
        });
        let found = names.find(|name| *name != self.there);
        found.unwrap_or_else(|| self.there.clone())
    }

    /// Whether a statement may change the values, where it has this name.
    fn is_written(&self, class: &StatementClass, name: &str) -> bool {
        let is_it = |object: &ObjectRef| object.name.eq_ignore_ascii_case(name);
        if class.kind == Kind::Ddl {
            let of_it = |column: &ObjectRef| {
                let mut over = self.over.iter();
                let parent = column.parent.as_deref().unwrap_or_default();
                parent.eq_ignore_ascii_case(name)
                    && over.any(|one| one.eq_ignore_ascii_case(&column.name))
            };
            let mut post = class.post.iter();
            return post.any(|post| matches!(post, Condition::ColumnType(it, _) if of_it(it)));
        }
        !is_harmless(class) && (class.touches.is_empty() || class.touches.iter().any(is_it))
    }
}

fn tables(runner: &Runner<'_>) -> Vec<Table> {
    let Some(waiting) = &runner.since else {
        return vec![];
    };
    let saved = waiting.archives.iter().flat_map(|one| &one.saved);
    let saved = saved.filter(|saved| !saved.over.is_empty());
    let table = |saved: &Saved| {
        let there = waiting.names.there(saved.schema.as_deref(), &saved.name);
        Table {
            schema: saved.schema.clone(),
            name: saved.name.clone(),
            over: saved.over.clone(),
            there: there.to_owned(),
        }
    };
    saved.map(table).collect()
}

/// The tables with values that come home which these statements write to. Nothing may be read in their transaction before this.
pub(super) async fn reached(
    runner: &mut Runner<'_>,
    unit: &Unit<'_>,
    statements: Range<usize>,
) -> Result<Option<Reached>, DbError> {
    let all = tables(runner);
    if all.is_empty() {
        return Ok(None);
    }
    let renames = made::renames(runner, unit);
    let written = |table: &Table| {
        statements.clone().any(|at| {
            let name = table.name_after(&renames[..at]);
            table.is_written(&unit.lowered.classes[at], &name)
        })
    };
    let mut found = Reached {
        labels: vec![],
        before: Names::default(),
        after: Names::default(),
        bound: vec![],
    };
    let shapes = digest::shapes(&mut *runner.work).await?;
    let (_, there) = Reading::derive(&shapes);
    for table in all.iter().filter(|table| written(table)) {
        let schema = table.schema.as_deref();
        let name = table.name_after(&renames[..statements.start]);
        let is = |one: &&Bound| one.schema == table.schema && one.table.eq_ignore_ascii_case(&name);
        let label = label(schema, &table.name);
        let Some(bound) = there.iter().find(is) else {
            continue;
        };
        if found.labels.contains(&label) {
            continue;
        }
        found.before.add(schema, &table.name, &name);
        let after = table.name_after(&renames[..statements.end]);
        found.after.add(schema, &table.name, &after);
        found.labels.push(label);
        found.bound.push(bound.clone());
    }
    Ok((!found.bound.is_empty()).then_some(found))
}

/// At the beginning of their transaction: keeps other writers from them up to its end, and looks what these have written up
/// to now.
pub(super) async fn hold(runner: &mut Runner<'_>, reached: &Reached) -> Result<(), Wrong> {
    let work = &mut *runner.work;
    let change = work.dialect().change();
    match (change.hold(&reached.bound), change.for_update()) {
        (Some(lock), _) => {
            let _ = work.execute(&lock).await?;
        }
        // Its transaction has the only writer.
        (None, "") => {}
        (None, lock) => {
            for table in &reached.bound {
                let all = work
                    .dialect()
                    .count_rows(table.schema.as_deref(), &table.table);
                let _ = work
                    .query(&format!("{}{lock}", all.sql), &all.params)
                    .await?;
            }
        }
    }
    aside(work, true).await?;
    let mut looked = Ok(0);
    for checkpoint in runner.since.iter().flat_map(|since| &since.archives) {
        let at = (&reached.before, Moment::Held);
        let only = Some(reached.labels.as_slice());
        let work = &mut *runner.work;
        looked = looked.and(since::look(runner.world, work, checkpoint, at, only).await);
    }
    let back = aside(&mut *runner.work, false).await;
    looked?;
    back?;
    Ok(())
}

/// At the end of their transaction: notes what they have left. Where that cannot be read the values stay as they are, and
/// are listed.
pub(super) async fn note(runner: &mut Runner<'_>, reached: Option<&Reached>, last: bool) {
    if let Some(reached) = reached {
        let names = (&reached.after, Moment::at_end(last));
        since::note(runner, true, names, Some(&reached.labels)).await;
    }
}

/// When a unit has run: tables have the names that it has given them, and what it has left is noted already. Whatever is
/// another thing by now is others'.
pub(super) fn ended(runner: &mut Runner<'_>, unit: &Unit<'_>) {
    let renames = made::renames(runner, unit);
    let mut names = Names::default();
    for table in tables(runner) {
        let is = table.name_after(&renames);
        names.add(table.schema.as_deref(), &table.name, &is);
    }
    if let Some(waiting) = &mut runner.since {
        waiting.names = names;
        waiting.noted = true;
    }
}

/// Before a statement that commits by itself, from which nobody keeps others: looks what these have written up to now.
pub(super) async fn alone(
    runner: &mut Runner<'_>,
    unit: &Unit<'_>,
    block: &Block,
) -> Result<Option<Reached>, DbError> {
    let reached = reached(runner, unit, block.statements.clone()).await?;
    if let Some(reached) = &reached {
        let names = (&reached.before, Moment::Again);
        since::note(runner, false, names, Some(&reached.labels)).await;
    }
    Ok(reached)
}

/// After it.
pub(super) async fn after_alone(runner: &mut Runner<'_>, reached: Option<&Reached>) {
    if let Some(reached) = reached {
        let names = (&reached.after, Moment::Halfway);
        since::note(runner, false, names, Some(&reached.labels)).await;
    }
}
