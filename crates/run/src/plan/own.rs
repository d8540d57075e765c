//! What is a step's own of what its undo would take away, told by the digests of what it has left.

use super::Walk;
use crate::checkpoint::Names;
use crate::checkpoint::keep::Seen;
use crate::observe;
use crate::steps::left;
use crate::trouble;
use dunlin_core::failure::Failure;
use dunlin_core::journal::{self, Applied, Left, UnitState};
use dunlin_core::plan::inverse::{self, Renames, is_harmless};
use dunlin_core::plan::steps::{self, Facts, Later, Operations};
use dunlin_core::schema::lookup::Lookup;
use dunlin_core::schema::{Catalog, Table};
use dunlin_core::source::plan::{PhaseDoc, StepDoc, StepSpec, UndoSpec};
use dunlin_core::source::{Migration, Script, TransactionMode};
use dunlin_core::sql::{Condition, Kind, ObjectKind, ObjectRef};
use dunlin_engines::Session;
use std::collections::BTreeSet;
use std::sync::Arc;

/// An undo that is about to run: a step's own, or that of a migration which a step has applied.
#[derive(Debug)]
pub struct Asked<'a> {
    /// Its statements.
    pub migration: &'a Migration,
    /// How many rows were written on the way forward.
    pub own: u64,
    /// What the step has left, where it was written down.
    pub left: Vec<Left>,
    /// Where others may have written what it would meet.
    pub later: Vec<Later>,
    /// Somebody wrote it.
    pub written: bool,
    /// Each of its statements commits by itself.
    pub apart: bool,
    /// It stands half way.
    pub half: bool,
    /// So many of its statements have been done.
    pub done: usize,
    /// The names of tables, in lower case, that are not as they will be when its turn comes: what stands before it is to be
    /// taken back first.
    pub unsure: BTreeSet<String>,
    /// Tables of `later` that it has given another name by then.
    pub names: Names,
}

impl<'a> Asked<'a> {
    /// The undo of a step.
    pub async fn of_step(
        walk: &mut Walk<'_, '_>,
        doc: &StepDoc,
        key: &str,
        operations: &Operations,
        migration: &'a Migration,
    ) -> Result<Self, Failure> {
        let half = walk.history.flight(key).is_some();
        let undo = migration.undo.as_ref().filter(|_| half);
        let (inserted, names) = inserted(walk, doc, operations, undo).await?;
        let mut later = operations.later.clone();
        later.extend(inserted);
        Ok(Asked {
            migration,
            own: rows(walk.history.steps.get(key)),
            left: of_step(walk, doc, key, undo),
            later,
            written: matches!(doc.undo, UndoSpec::Sql(_)),
            apart: operations.apart,
            half,
            done: 0,
            unsure: BTreeSet::new(),
            names,
        })
    }

    /// The undo of a migration, which is in this state; its step has applied some others later.
    pub fn of_migration(
        migration: &'a Migration,
        state: Option<&UnitState>,
        later: &[Arc<Migration>],
        work: &dyn Session,
    ) -> Self {
        let half = matches!(state, Some(UnitState::InFlight(_)));
        let undo = migration.undo.as_ref().filter(|_| half);
        Asked {
            migration,
            own: rows(state),
            left: of_migration(state, later, undo, work),
            later: vec![],
            written: true,
            apart: migration.transaction == TransactionMode::None,
            half,
            done: 0,
            unsure: BTreeSet::new(),
            names: Names::default(),
        }
    }
}

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

    /// Whether the keys by which a derived undo deletes rows of a table tell of every column of them.
    pub fn tells_all_of(&self, label: &str) -> bool {
        let later = self.later.iter().filter(|later| later.destroys);
        let mut later = later.filter(|later| later.table == label).peekable();
        !self.written && later.peek().is_some() && later.all(|later| later.whole)
    }

    /// Whether a table is not as it will be when its turn comes.
    pub fn is_unsure(&self, label: &str) -> bool {
        self.unsure.iter().any(|name| is_name_of(name, label))
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
        let tables = catalog.tables.iter();
        let named = |table: &&Table| table.name.eq_ignore_ascii_case(&object.name);
        let mut namesakes = tables.filter(named).peekable();
        namesakes.peek().is_some() && namesakes.all(plain)
    })
}

/// What a step has left. Where a later step of the plan may have written what is not taken back before this one, that is
/// another thing by now, without any doing of others. `half`: its undo, where that stands half way.
pub fn of_step(walk: &Walk<'_, '_>, doc: &StepDoc, key: &str, half: Option<&Script>) -> Vec<Left> {
    let plan = walk.ask.doc;
    let phases = plan.phases.iter();
    let steps = phases.flat_map(|phase| phase.steps.iter().map(move |step| (phase, step)));
    let later = steps.skip_while(|(_, step)| !std::ptr::eq(*step, doc));
    let known = |phase: &PhaseDoc, step: &StepDoc| {
        let key = journal::plan::step_key(&plan.name, &phase.id, &step.id);
        walk.history.steps.contains_key(&key)
    };
    let later: Vec<&StepDoc> = later
        .skip(1)
        .filter(|(phase, step)| known(phase, step))
        .map(|(_, step)| step)
        .collect();
    let ran = later.iter().any(|step| {
        let exact = UndoSpec::Derive == step.undo || UndoSpec::Restore == step.undo;
        !exact && !matches!(step.undo, UndoSpec::Sql(_))
    });
    let left = applied(walk.history.steps.get(key)).map(|applied| applied.stands.clone());
    let mut left = untouched(left.unwrap_or_default(), half, &*walk.runner.work);
    if ran {
        // Rows that it made count by their number. Values are the step's own as long as they are what it has left.
        left.retain(|left| !left.over.is_empty());
    }
    if doc.undo == UndoSpec::Derive {
        // Who changes rows and changes them back moves what the server dates by itself: its keys tell of such a row.
        left.retain(|left| left.only.is_empty() || !later.iter().any(|step| names(step, left)));
    }
    left
}

/// Whether the statements of a step, and an undo that somebody wrote, may be about what was left.
fn names(step: &StepDoc, left: &Left) -> bool {
    let (StepSpec::Sql(up), UndoSpec::Sql(_)) = (&step.kind, &step.undo) else {
        return false;
    };
    let table = left.table.to_lowercase();
    let table = table.rsplit('.').next().unwrap_or_default();
    up.text.to_lowercase().contains(table)
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
        // Values are compared when those are taken back.
        let is_it = |left: &Left| touched.iter().any(|name| is_name_of(name, &left.table));
        left.retain(|left| !left.over.is_empty() || !is_it(left));
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
        // Values are compared for what the undo has still to do.
        let values = !left.over.is_empty();
        values
            || !changes.any(|(at, class)| match class.kind {
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
pub fn touched(migrations: &[Arc<Migration>], work: &dyn Session) -> BTreeSet<String> {
    let statements = migrations.iter().flat_map(|one| &one.up.statements);
    let classes = statements.map(|one| work.dialect().classify(&one.sql, work.lex_mode()));
    let touches = classes.flat_map(|class| class.touches);
    touches.map(name).collect()
}

fn name(object: ObjectRef) -> String {
    object.parent.unwrap_or(object.name).to_lowercase()
}

/// Whether a table's label, with its schema or without, ends with a name.
fn is_name_of(name: &str, label: &str) -> bool {
    let label = label.to_lowercase();
    label == name || label.ends_with(&format!(".{name}"))
}

/// Of a step whose undo was derived: what finds the rows that it inserted and somebody has changed.
async fn inserted(
    walk: &mut Walk<'_, '_>,
    doc: &StepDoc,
    operations: &Operations,
    half: Option<&Script>,
) -> Result<(Vec<Later>, Names), Failure> {
    let mut names = Names::default();
    if doc.undo != UndoSpec::Derive || !matches!(doc.kind, StepSpec::Sql(_)) {
        return Ok((vec![], names));
    }
    let work = &mut *walk.runner.work;
    let catalog = observe::whole(work).await;
    let mut catalog = catalog
        .map_err(|error| trouble::failed(&error, "cannot look at what was written since"))?;
    if let Some(undo) = half {
        let (dialect, lex) = (work.dialect(), work.lex_mode());
        let undo = undo.statements.iter();
        let renames = undo.map(|statement| inverse::renames(&statement.sql, dialect, lex));
        names = as_before(&mut catalog, &renames.collect::<Vec<_>>());
    }
    let facts = Facts {
        dialect: work.dialect(),
        caps: work.caps(),
        lex: work.lex_mode(),
        catalog: &catalog,
        plugins: &[],
    };
    Ok((steps::sql::inserted(&operations.up, &facts), names))
}

/// Gives the tables of a catalog the names that they had before an undo which stands half way.
fn as_before(catalog: &mut Catalog, renames: &[Renames]) -> Names {
    let mut names = Names::default();
    for at in 0..catalog.tables.len() {
        let table = &catalog.tables[at];
        let there = ObjectRef::table(table.schema.as_deref(), &table.name);
        let was = inverse::first_of(renames, &there);
        if was != there && Lookup::default().table(catalog, &was).is_none() {
            names.add(was.schema.as_deref(), &was.name, &there.name);
            catalog.tables[at].name = was.name;
        }
    }
    names
}
