//! What is a step's own of what its undo would take away, told by the digests of what it has left.

use super::Walk;
use super::held::Asked;
use crate::checkpoint::Names;
use crate::checkpoint::keep::Seen;
use crate::steps::left;
use dunlin_core::failure::Failure;
use dunlin_core::journal::{self, Applied, Left, UnitState};
use dunlin_core::plan::inverse::{self, is_harmless};
use dunlin_core::schema::{Catalog, Table};
use dunlin_core::source::plan::{StepDoc, UndoSpec};
use dunlin_core::source::{Migration, Script};
use dunlin_core::sql::{Condition, Kind, ObjectKind, ObjectRef};
use dunlin_engines::Session;
use std::collections::BTreeSet;
use std::sync::Arc;

impl Asked<'_> {
    /// What the step has left of a table, of a column of it, or of the rows that meet a condition.
    pub fn left_of(&self, table: &str, column: Option<&str>, only: Option<&str>) -> Option<&Left> {
        let of = || {
            self.left
                .iter()
                .filter(|left| left.is_of(table, column, only))
        };
        of().find(|left| left.table == table)
            .or_else(|| of().next())
    }
}

/// Whether what was seen is nothing but what the step has left, and has put there. Where that was not written down, numbers
/// have told.
pub async fn is_own(
    walk: &mut Walk<'_, '_>,
    seen: &mut Seen,
    names: &Names,
    (asked, catalog): (&Asked<'_>, &Catalog),
) -> Result<bool, Failure> {
    let Some(left) = &seen.left else {
        return Ok(true);
    };
    let found = left.put.is_some_and(|put| left.rows > put);
    let found = found && writes_plainly(&asked.migration.up, catalog, &*walk.runner.work);
    let world = walk.runner.world;
    let still = !found && left::still_there(world, left, names, walk.runner.sink).await?;
    if !still {
        seen.left = None;
    }
    Ok(still)
}

/// Whether a script puts rows into nothing but the tables that it names.
fn writes_plainly(up: &Script, catalog: &Catalog, work: &dyn Session) -> bool {
    let classify = |sql| work.dialect().classify(sql, work.lex_mode());
    let classes = up.statements.iter().map(|one| classify(&one.sql));
    let touched = classes.filter(|class| matches!(class.kind, Kind::Dml | Kind::CopyIn));
    let mut touched = touched.flat_map(|class| class.touches);
    // Not into the parts of a table, by a view or by a trigger.
    let plain = |table: &Table| {
        let mut options = table.options.keys();
        table.triggers.is_empty() && !options.any(|option| option.starts_with("partition"))
    };
    touched.all(|object| {
        let mut tables = catalog.tables.iter();
        let found = tables.find(|table| table.name.eq_ignore_ascii_case(&object.name));
        found.is_some_and(plain)
    })
}

/// What a step has left. Where a later step of the plan may have written what is not taken back before this one, that is
/// another thing by now, without any doing of others. `half`: its undo, where that stands half way.
pub fn of_step(walk: &Walk<'_, '_>, doc: &StepDoc, key: &str, half: Option<&Script>) -> Vec<Left> {
    let plan = walk.ask.doc;
    let phases = plan.phases.iter();
    let steps = phases.flat_map(|phase| phase.steps.iter().map(move |step| (phase, step)));
    let later = steps.skip_while(|(_, step)| !std::ptr::eq(*step, doc));
    let mut stays = later.skip(1).filter(|(_, step)| {
        let exact = UndoSpec::Derive == step.undo || UndoSpec::Restore == step.undo;
        !exact && !matches!(step.undo, UndoSpec::Sql(_))
    });
    let ran = stays.any(|(phase, step)| {
        let key = journal::plan::step_key(&plan.name, &phase.id, &step.id);
        walk.history.steps.contains_key(&key)
    });
    match applied(walk.history.steps.get(key)) {
        Some(applied) if !ran => untouched(applied.stands.clone(), half, &*walk.runner.work),
        _ => vec![],
    }
}

/// What a migration has left. What those touch that its step applied `later` is not as it was left, and its step's own still.
pub fn of_migration(
    state: Option<&UnitState>,
    later: &[Arc<Migration>],
    half: Option<&Script>,
    work: &dyn Session,
) -> Vec<Left> {
    let left = applied(state).map_or(vec![], |unit| unit.stands.clone());
    let mut left = untouched(left, half, work);
    if !left.is_empty() {
        let touched = touched(later, work);
        left.retain(|left| !touched.iter().any(|name| is_name_of(name, &left.table)));
    }
    left
}

/// What of it an undo that stands half way has not changed by itself.
fn untouched(mut stands: Vec<Left>, undo: Option<&Script>, work: &dyn Session) -> Vec<Left> {
    let Some(undo) = undo.filter(|_| !stands.is_empty()) else {
        return stands;
    };
    let (classes, renamed) = left::read(undo, work);
    let each = classes.iter().enumerate();
    let changes: Vec<_> = each.filter(|(_, class)| !is_harmless(class)).collect();
    stands.retain(|left| {
        let is_it = |at: usize, object: &ObjectRef| {
            let name = object.parent.as_ref().unwrap_or(&object.name);
            let named = ObjectRef::table(object.schema.as_deref(), name);
            let first = inverse::first_of(&renamed[..at], &named);
            is_name_of(&first.name.to_lowercase(), &left.table)
        };
        let column = |object: &&ObjectRef| object.kind == ObjectKind::Column;
        let mut changes = changes.iter();
        !changes.any(|(at, class)| match class.kind {
            // The column that goes goes with all that is looked at of it.
            Kind::Ddl => {
                let told = class.post.iter().filter_map(|post| match post {
                    Condition::Exists(it) | Condition::Missing(it) => Some(it),
                    Condition::ColumnType(it, _) => Some(it),
                    _ => None,
                });
                let mut columns = class.touches.iter().chain(told).filter(|it| column(it));
                left.column.is_empty() && columns.any(|it| is_it(*at, it))
            }
            _ if !left.only.is_empty() && class.verb == "DELETE" => false,
            _ => class.touches.is_empty() || class.touches.iter().any(|it| is_it(*at, it)),
        })
    });
    stands
}

/// How many rows were written on the way to a state.
pub fn rows(state: Option<&UnitState>) -> u64 {
    applied(state).and_then(|applied| applied.rows).unwrap_or(0)
}

/// What is known of the way forward. Taking it back was interrupted: what it had written then is its own still.
fn applied(state: Option<&UnitState>) -> Option<&Applied> {
    match state {
        Some(UnitState::Applied(applied)) => Some(applied),
        Some(UnitState::InFlight(flight)) => flight.before.as_ref(),
        _ => None,
    }
}

/// The names of what migrations touch, in lower case.
fn touched(migrations: &[Arc<Migration>], work: &dyn Session) -> BTreeSet<String> {
    let statements = migrations.iter().flat_map(|one| &one.up.statements);
    let classes = statements.map(|one| work.dialect().classify(&one.sql, work.lex_mode()));
    let touches = classes.flat_map(|class| class.touches);
    let name = |object: ObjectRef| object.parent.unwrap_or(object.name).to_lowercase();
    touches.map(name).collect()
}

/// Whether a table's label, with its schema or without, ends with a name.
fn is_name_of(name: &str, label: &str) -> bool {
    let label = label.to_lowercase();
    label == name || label.ends_with(&format!(".{name}"))
}
