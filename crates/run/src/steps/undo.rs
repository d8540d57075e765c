//! Taking back a migration that failed without a crash: transaction, else derived inverse statement by statement, else
//! the backup, when the run has ended (`backup/automatic.rs`). All or nothing: a half undo would leave what neither the
//! script nor the journal describes.

use super::block::{describe, roll_back};
use super::counted::{default_schema, is_same, name_of};
use super::guard::switch_on;
use super::locks;
use super::made::{self, Made};
use super::migrate::Unit;
use super::still;
use crate::executor::Runner;
use crate::observe;
use crate::settle;
use dunlin_core::event::Event;
use dunlin_core::failure::{ErrorClass, Failure};
use dunlin_core::journal::{self, BlockDetail, Direction, Writing};
use dunlin_core::plan::inverse::{self, Renames, is_covered, is_harmless};
use dunlin_core::plan::lower::{Block, Mode};
use dunlin_core::redact::head_of;
use dunlin_core::schema::Table;
use dunlin_core::source::OnFailure;
use dunlin_core::sql::{Condition, Kind, ObjectKind, ObjectRef, Unwritten};
use dunlin_engines::{DbError, Halted};
use std::collections::BTreeMap;

/// Takes back what a failed unit did, as `on_failure` says. Gives whether the database is as it was before the unit.
pub async fn after_failure(
    runner: &mut Runner<'_>,
    unit: &mut Unit<'_>,
    failure: &mut Failure,
) -> bool {
    if unit.done_blocks.is_empty() {
        return true;
    }
    // A step that looks again begins anew.
    let wanted = match failure.code {
        still::OVERTAKEN => OnFailure::Undo,
        _ => runner.on_failure,
    };
    let forward = unit.direction != Direction::Down;
    if wanted == OnFailure::Undo && forward && derive(runner, unit, failure).await {
        return true;
    }
    match wanted {
        OnFailure::Stop => {
            failure.hints.push("`on_failure = \"stop\"`: what was done stands; mend the script and run again, it goes on from here".into());
            false
        }
        _ if !forward => {
            failure.hints.push(
                "mend the undo part and run `dunlin down` again: it goes on from here".into(),
            );
            false
        }
        // Once the run has ended the backup comes back, and what stands here goes with it; or it is said why not.
        _ if runner.backup.is_some() => false,
        OnFailure::Undo => {
            let stands = "what was done stands: mend the script and run again, it goes on from there (there is no backup of this run)";
            match failure.hints.last_mut() {
                Some(why) => why.push_str(&format!("; {stands}")),
                None => failure.hints.push(stands.into()),
            }
            false
        }
        OnFailure::Restore => {
            failure
                .hints
                .push("there is no backup of this run to restore".into());
            false
        }
    }
}

/// One thing to run for a block's undo.
struct Inverse {
    block: usize,
    statements: Vec<String>,
}

async fn derive(runner: &mut Runner<'_>, unit: &mut Unit<'_>, failure: &mut Failure) -> bool {
    let mut renames = made::renames(runner, unit);
    renames.truncate(done_until(unit));
    let inverses = match plan(unit, &renames) {
        Ok(inverses) => inverses,
        Err(why) => {
            failure.hints.push(why);
            return false;
        }
    };
    if let Err(why) = nothing_of_others(runner, unit, &renames).await {
        failure
            .hints
            .push(format!("not taken back by inverses: {why}"));
        return false;
    }
    for inverse in inverses {
        if let Err(why) = take_back(runner, unit, failure, (&inverse, &renames)).await {
            failure.hints.push(why);
            return false;
        }
    }
    true
}

/// Takes one block back, with its records.
async fn take_back(
    runner: &mut Runner<'_>,
    unit: &mut Unit<'_>,
    failure: &mut Failure,
    (inverse, renames): (&Inverse, &[Renames]),
) -> Result<(), String> {
    let block = unit.lowered.blocks[inverse.block].clone();
    let what = describe(unit, &block);
    let is_work = !inverse.statements.is_empty();
    if is_work {
        let what = runner.world.redactor.apply(&what);
        runner.sink.event(&Event::Undoing { what });
    }
    let version = unit.migration.version.0.clone();
    let mut detail =
        serde_json::json!({ "why": "taken back after a failure", "sql": inverse.statements });
    let record = |event, detail| Writing::block(event, &version, block.index, &block.hash, detail);
    let undone = record(journal::Event::Undone, detail.clone());
    let failed = |error: &DbError| {
        format!(
            "taking back {what} failed ({}); what was done before it stands",
            error.message
        )
    };
    if block.mode == Mode::Together && !runner.one_transaction {
        // As it was done in one transaction with its record, so it goes.
        let gone = in_one_transaction(runner, unit, &block, (inverse, renames), undone).await;
        gone.map_err(|error| failed(&error))?;
    } else {
        // Committed before the first inverse: should the runner die in between, the next one asks which way it went.
        let seen = settle::look(runner, unit, block.statements.start).await;
        let seen = seen.map_err(|wrong| wrong.message)?;
        detail["undo_catalog"] = seen.catalog.into();
        runner.pending.push(record(journal::Event::Undoing, detail));
        let unwritten = |error: DbError| {
            format!(
                "not taken back: the journal could not be written ({})",
                error.message
            )
        };
        runner.flush().await.map_err(unwritten)?;
        let gone = under_locks(runner, unit, (inverse, renames)).await;
        gone.map_err(|error| failed(&error))?;
        let mut began = unit.done_blocks.iter();
        let began = began.rfind(|(index, _)| *index == inverse.block);
        if let Some((_, began)) = began {
            let class = &unit.lowered.classes[block.statements.start];
            let dropped = settle::drop_made_beside(runner, class, began).await;
            dropped.map_err(|error| failed(&error))?;
        }
        runner.pending.push(undone);
    }
    if is_work {
        failure.undone.push(what);
    }
    unit.undone.push(inverse.block);
    runner.flush().await.map_err(|error| error.message)
}

/// The tables of the unit's own that the statements of an inverse drop, and those of which they drop columns, by the names that
/// they have before it; and what holds of each as long as nobody else has written into it. Nothing may be read before this in
/// the transaction in which they go.
async fn drops(
    runner: &mut Runner<'_>,
    unit: &Unit<'_>,
    (inverse, renames): (&Inverse, &[Renames]),
) -> Result<(Vec<ObjectRef>, Vec<Condition>), DbError> {
    let (dialect, lex) = (runner.work.dialect(), runner.work.lex_mode());
    let each = inverse.statements.iter();
    let each = each.map(|sql| {
        (
            dialect.classify(sql, lex),
            inverse::renames(sql, dialect, lex),
        )
    });
    let (classes, own): (Vec<_>, Vec<_>) = each.unzip();
    let gone = inverse::gone(&classes, &own);
    let of = |kind| gone.iter().filter(move |gone| gone.object.kind == kind);
    let all = made_here(unit, renames);
    let end = unit.lowered.blocks[inverse.block].statements.end;
    let default = default_schema(runner);
    let tables = of(ObjectKind::Table).filter_map(|gone| {
        let made = all.iter().find(|made| made.is(&gone.object, &default))?;
        let is = made.at(end)?;
        Some((is.clone(), own_rows(runner, unit, (made, is), &default)))
    });
    let (mut tables, mut own): (Vec<_>, Vec<_>) = tables.unzip();
    let columns = of(ObjectKind::Column).filter_map(|gone| {
        let parent = gone.was.parent.as_deref()?;
        let table = ObjectRef::table(gone.was.schema.as_deref(), parent);
        let ours = all.iter().any(|made| made.is(&table, &default));
        (!ours).then_some((table, &gone.was))
    });
    let columns: Vec<(ObjectRef, &ObjectRef)> = columns.collect();
    if columns.is_empty() {
        return Ok((tables, own));
    }
    let catalog = observe::whole(&mut *runner.work).await?;
    let lookup = observe::lookup(&mut *runner.work, runner.world.engine.database()).await?;
    for (table, column) in columns {
        let found = lookup.table(&catalog, &table);
        own.extend(found.and_then(|found| unwritten(found, column)));
        if !tables.contains(&table) {
            tables.push(table);
        }
    }
    Ok((tables, own))
}

/// Under a lock: whether what is about to go holds what the unit has written, and nothing of others still.
async fn still_own(runner: &mut Runner<'_>, own: &[Condition]) -> Result<(), DbError> {
    for condition in own {
        let why = match holds(runner, condition).await {
            Ok(true) => continue,
            Ok(false) => "somebody writes into it at this very moment".to_owned(),
            Err(why) => why,
        };
        return Err(DbError::new(ErrorClass::Other, why));
    }
    Ok(())
}

/// Runs the statements of an inverse one by one, each committing by itself: what they drop is locked and looked at once more.
/// Where a lock is a transaction's, they go in one.
async fn under_locks(
    runner: &mut Runner<'_>,
    unit: &Unit<'_>,
    (inverse, renames): (&Inverse, &[Renames]),
) -> Result<(), DbError> {
    let (tables, own) = drops(runner, unit, (inverse, renames)).await?;
    if runner.work.caps().transactional_ddl && !tables.is_empty() {
        runner.work.begin().await?;
        let gone = async {
            locks::tables_within(&mut *runner.work, &tables).await?;
            gone(runner, &own, inverse).await?;
            runner.work.commit().await
        }
        .await;
        roll_back(runner, true).await;
        return gone;
    }
    let hold = locks::tables(runner, &tables).await?;
    let gone = gone(runner, &own, inverse).await;
    for statement in &hold.free {
        // Where this fails the session is gone, and its locks with it.
        let _ = runner.work.execute(statement).await;
    }
    gone
}

/// Under a lock: a last look, and what goes.
async fn gone(
    runner: &mut Runner<'_>,
    own: &[Condition],
    inverse: &Inverse,
) -> Result<(), DbError> {
    still_own(runner, own).await?;
    for sql in &inverse.statements {
        let _ = runner.work.execute(sql).await?;
    }
    Ok(())
}

async fn in_one_transaction(
    runner: &mut Runner<'_>,
    unit: &Unit<'_>,
    block: &Block,
    (inverse, renames): (&Inverse, &[Renames]),
    undone: Writing,
) -> Result<(), DbError> {
    runner.flush().await?;
    // What had to be switched for the block has to be for its way back.
    let guard = block.guard.clone().unwrap_or_default();
    let switches = switch_on(&mut *runner.work, &guard).await?;
    let gone = async {
        let (tables, own) = drops(runner, unit, (inverse, renames)).await?;
        runner.work.begin().await?;
        locks::tables_within(&mut *runner.work, &tables).await?;
        gone(runner, &own, inverse).await?;
        let pen = runner.pen.clone();
        let records = [undone];
        let ended = pen.append_and_commit(runner.world, &mut *runner.work, &records);
        ended.await.map_err(Halted::into_error)
    }
    .await;
    roll_back(runner, true).await;
    for statement in switches {
        // A lost connection takes its switches with it; any other failure here shows at the next statement.
        let _ = runner.work.execute(&statement).await;
    }
    gone
}

/// The tables that this unit itself made, and that are there.
fn made_here(unit: &Unit<'_>, renames: &[Renames]) -> Vec<Made> {
    let done = unit.done_blocks.iter().flat_map(|(index, detail)| {
        let statements = unit.lowered.blocks[*index].statements.clone();
        statements.map(move |at| (at, detail))
    });
    let makes = done.filter(|(at, detail)| {
        let class = &unit.lowered.classes[*at];
        // Within a transaction nobody has looked what was there: what is made without IF NOT EXISTS was not.
        let anew = match detail.held.as_slice() {
            [] => !class.if_not_exists,
            held => held.iter().any(|held| !held),
        };
        class.kind == Kind::Ddl && anew
    });
    made::tables(unit, makes.map(|(at, _)| at), done_until(unit), renames)
}

/// The first statement behind those that are done.
fn done_until(unit: &Unit<'_>) -> usize {
    let blocks = unit.done_blocks.iter();
    let ends = blocks.map(|(index, _)| unit.lowered.blocks[*index].statements.end);
    ends.max().unwrap_or(0)
}

/// The inverses of all done blocks, newest first; an error says which one has none.
fn plan(unit: &Unit<'_>, renames: &[Renames]) -> Result<Vec<Inverse>, String> {
    let made = made_here(unit, renames);
    let mut inverses = vec![];
    for (index, detail) in unit.done_blocks.iter().rev() {
        let block = &unit.lowered.blocks[*index];
        if block.mode == Mode::Session {
            continue;
        }
        let mut statements = vec![];
        for at in block.statements.clone().rev() {
            let class = &unit.lowered.classes[at];
            let created_nothing = class.if_not_exists && detail.held.iter().all(|held| *held);
            let made: Vec<&ObjectRef> = made.iter().filter_map(|made| made.at(at)).collect();
            if is_harmless(class) || is_covered(class, &made) || created_nothing {
                continue;
            }
            match &class.inverse {
                Some(inverse) => statements.extend(inverse.iter().cloned()),
                None => return Err(format!("{} has no derived inverse", describe(unit, block))),
            }
        }
        inverses.push(Inverse {
            block: *index,
            statements,
        });
    }
    Ok(inverses)
}

/// Counts what a statement put into a table.
pub fn count(runner: &mut Runner<'_>, unit: &Unit<'_>, at: usize, rows: u64) {
    runner.rows = runner.rows.saturating_add(rows);
    let class = &unit.lowered.classes[at];
    if !matches!(class.kind, Kind::Dml | Kind::CopyIn) {
        return;
    }
    let inserts = class.kind == Kind::CopyIn
        || head_of(&unit.script.statements[at].sql)
            .get(..6)
            .is_some_and(|word| word.eq_ignore_ascii_case("insert"));
    for table in &class.touches {
        let counted = runner.wrote.entry(name_of(table)).or_insert(Some(0));
        *counted = match *counted {
            Some(before) if inserts && class.touches.len() == 1 => Some(before + rows),
            _ => None,
        };
    }
}

/// What a block's statements have put into tables that its unit makes, for the record of its end: who goes on after this
/// runner's death must tell the unit's rows from those of others.
pub fn wrote_by(
    runner: &Runner<'_>,
    unit: &Unit<'_>,
    block: &Block,
) -> BTreeMap<String, Option<u64>> {
    let classes = &unit.lowered.classes;
    let is_made = |table: &ObjectRef| {
        classes.iter().flat_map(|class| &class.post).any(|post| {
            matches!(post, Condition::Exists(object)
                if object.kind == ObjectKind::Table && object.name.eq_ignore_ascii_case(&table.name))
        })
    };
    let touched = block.statements.clone().flat_map(|at| &classes[at].touches);
    let wrote = touched.filter_map(|table| {
        let name = name_of(table);
        let rows = runner.wrote.get(&name)?;
        is_made(table).then_some((name, *rows))
    });
    wrote.collect()
}

/// Takes over what a block has written that an earlier runner has done.
pub fn wrote_before(runner: &mut Runner<'_>, done: &BlockDetail) {
    runner.rows = runner.rows.saturating_add(done.rows.unwrap_or(0));
    let wrote = done.wrote.iter();
    runner
        .wrote
        .extend(wrote.map(|(table, rows)| (table.clone(), *rows)));
}

/// What an undo would destroy and the unit did not write (invariant 17): rows of tables that it made, values of columns
/// that it added.
async fn nothing_of_others(
    runner: &mut Runner<'_>,
    unit: &Unit<'_>,
    renames: &[Renames],
) -> Result<(), String> {
    let tables = made_here(unit, renames);
    let default = default_schema(runner);
    for made in &tables {
        let Some(table) = made.now() else { continue };
        let condition = own_rows(runner, unit, (made, table), &default);
        if !holds(runner, &condition).await? {
            return Err(format!(
                "{table} holds rows that the migration did not write"
            ));
        }
    }
    let columns = added_here(unit, renames);
    if columns.is_empty() {
        return Ok(());
    }
    let catalog = observe::whole(&mut *runner.work)
        .await
        .map_err(|error| error.message)?;
    let database = runner.world.engine.database();
    let lookup = observe::lookup(&mut *runner.work, database).await;
    let lookup = lookup.map_err(|error| error.message)?;
    for column in columns {
        let parent = column.parent.as_deref().unwrap_or_default();
        let table = ObjectRef::table(column.schema.as_deref(), parent);
        let own = |made: &ObjectRef| is_same(made, &table, &default) == Some(true);
        if tables.iter().filter_map(Made::now).any(own) {
            continue;
        }
        let Some(table) = lookup.table(&catalog, &table) else {
            // Gone; or the catalog does not speak of it.
            if holds(runner, &Condition::Exists(column.clone())).await? {
                return Err(format!(
                    "{column} is not in this database: what it holds is not looked at"
                ));
            }
            continue;
        };
        let Some(condition) = unwritten(table, &column) else {
            continue;
        };
        if !holds(runner, &condition).await? {
            return Err(format!(
                "{column} holds values that the migration did not write"
            ));
        }
    }
    Ok(())
}

/// What holds of a column that the unit has added as long as nobody has written into it. A computed column holds nothing of its
/// own; one that is gone, nothing at all.
fn unwritten(table: &Table, column: &ObjectRef) -> Option<Condition> {
    let mut found = table.columns.iter();
    let found = found.find(|found| found.name.eq_ignore_ascii_case(&column.name));
    let found = found.filter(|found| found.generated.is_none())?;
    Some(Condition::Unwritten(Unwritten {
        column: column.clone(),
        default: found.default.clone(),
        nullable: found.nullable,
    }))
}

/// What holds of a table that the unit has made as long as nobody else has written into it.
fn own_rows(
    runner: &Runner<'_>,
    unit: &Unit<'_>,
    (made, table): (&Made, &ObjectRef),
    default: &str,
) -> Condition {
    let touched = unit.done_blocks.iter().any(|(index, _)| {
        unit.lowered.blocks[*index].statements.clone().any(|at| {
            let class = &unit.lowered.classes[at];
            let mut touches = class.touches.iter();
            class.kind != Kind::Ddl && touches.any(|object| made.may_be(object, default))
        })
    });
    match (touched, made.wrote(runner, default)) {
        (true, Some(rows)) if rows > 0 => Condition::Rows(table.clone(), rows),
        // Changed, or filled by what does not tell: how many rows are the migration's own is not known.
        _ => Condition::Empty(table.clone()),
    }
}

/// Columns that this unit itself added, of tables by the names that these have now.
fn added_here(unit: &Unit<'_>, renames: &[Renames]) -> Vec<ObjectRef> {
    let mut columns = vec![];
    for (index, detail) in &unit.done_blocks {
        for at in unit.lowered.blocks[*index].statements.clone() {
            for (number, condition) in unit.lowered.classes[at].post.iter().enumerate() {
                // What was there before is not ours to drop, and is not dropped.
                let was_there = detail.held.get(number).copied().unwrap_or(false);
                // What only gets this name is not dropped either: it gets its old name back, with all that it holds.
                let is_new = |object: &ObjectRef| renames[at].iter().all(|(_, to)| to != object);
                match condition {
                    Condition::Exists(object)
                        if object.kind == ObjectKind::Column && !was_there && is_new(object) =>
                    {
                        columns.push(renamed(object, &renames[at + 1..]));
                    }
                    _ => {}
                }
            }
        }
    }
    columns
}

/// A column of a table by the name that these statements leave it.
fn renamed(column: &ObjectRef, after: &[Renames]) -> ObjectRef {
    let mut column = column.clone();
    if let Some(parent) = &column.parent {
        let table = ObjectRef::table(column.schema.as_deref(), parent);
        column.parent = Some(inverse::name_after(after, &table).name);
    }
    column
}

async fn holds(runner: &mut Runner<'_>, condition: &Condition) -> Result<bool, String> {
    let Some(query) = runner.work.dialect().probe(condition) else {
        return Err("it cannot be told whether others have written since".into());
    };
    let rows = runner
        .work
        .query(&query.sql, &query.params)
        .await
        .map_err(|error| error.message)?;
    let answer = rows.first().and_then(|row| row.first());
    Ok(answer.and_then(|value| value.as_bool()).unwrap_or(false))
}
