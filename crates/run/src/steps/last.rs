//! The last look at what a statement of an undo takes away, where statements commit by themselves: other writers are kept
//! from the table, it is read once more and archived anew where they have written since, and it goes under the same lock.
//!
//! A session under such a lock reaches no other table: what is recorded meanwhile, another session writes.

use super::migrate::Unit;
use super::send::{With, execute_with};
use crate::checkpoint::keep::{Seen, aside, still};
use crate::checkpoint::{self, Checkpoint, Chosen};
use crate::executor::Runner;
use dunlin_core::dialect::catalog::Hold;
use dunlin_core::event::Event;
use dunlin_core::failure::{ErrorClass, Failure};
use dunlin_core::journal::Writing;
use dunlin_core::plan::inverse::is_harmless;
use dunlin_core::sql::{Condition, Kind, ObjectKind, StatementClass};
use dunlin_engines::{DbError, Halted, Purpose};

/// What an undo takes away, as it was when it was looked at and archived.
pub struct Last {
    /// The name of archives.
    pub(crate) name: String,
    /// What was seen and is not archived: it must be so still.
    pub(crate) seen: Vec<Seen>,
    /// The archive.
    pub(crate) made: Option<Checkpoint>,
    /// What is in it.
    pub(crate) chosen: Chosen,
    /// The record of an archive.
    pub(crate) record: Box<dyn Fn(&Checkpoint) -> Writing + Send + Sync>,
    /// What was archived anew under a lock.
    pub(crate) anew: Vec<Checkpoint>,
}

impl Last {
    fn knows(&self, table: &str) -> bool {
        let is = |name: &String| name.eq_ignore_ascii_case(table);
        let saved = self.made.iter().flat_map(|made| &made.saved);
        self.seen.iter().any(|seen| is(&seen.table))
            || saved.map(|one| one.label()).any(|label| is(&label))
    }

    /// Of what is archived that which is of these tables.
    fn only(&self, tables: &[String]) -> Chosen {
        let of = |name: &String| tables.iter().any(|table| table.eq_ignore_ascii_case(name));
        let mut chosen = self.chosen.clone();
        chosen.tables.retain(of);
        chosen.columns.retain(|(table, _)| of(table));
        chosen.rows.retain(|(table, _)| of(table));
        chosen
    }
}

/// The tables that a statement takes away, or columns of them, of which something is known. What the script itself has
/// changed by then is not as it was seen, and nobody else did it: of that nothing is known any more.
fn concerned(runner: &Runner<'_>, unit: &Unit<'_>, at: usize) -> Vec<String> {
    let Some(last) = &runner.last else {
        return vec![];
    };
    let classes = &unit.lowered.classes;
    let before = &classes[..at];
    let harmless = |class: &StatementClass| is_harmless(class) || class.kind == Kind::Ddl;
    if !before.iter().all(harmless) {
        return vec![];
    }
    let changed = |name: &String| {
        let mut objects = before.iter().flat_map(|class| &class.touches);
        objects.any(|object| {
            let table = object.parent.as_ref().unwrap_or(&object.name);
            table.eq_ignore_ascii_case(name)
        })
    };
    let gone = classes[at].post.iter();
    let gone = gone.filter_map(|condition| match condition {
        Condition::Missing(object) if object.kind == ObjectKind::Table => Some(&object.name),
        Condition::Missing(object) if object.kind == ObjectKind::Column => object.parent.as_ref(),
        _ => None,
    });
    let known = gone.filter(|name| last.knows(name) && !changed(name));
    let mut tables: Vec<String> = known.cloned().collect();
    tables.sort();
    tables.dedup();
    tables
}

/// Whether a last look is to be taken before a statement: its record cannot go with it then.
pub(super) fn concerns(runner: &Runner<'_>, unit: &Unit<'_>, at: usize) -> bool {
    !concerned(runner, unit, at).is_empty()
}

/// Sends a statement; after a last look, and under its lock, where it takes away something that is known.
pub(super) async fn execute(
    runner: &mut Runner<'_>,
    unit: &Unit<'_>,
    at: usize,
    with: With<'_>,
) -> Result<u64, Halted> {
    let tables = concerned(runner, unit, at);
    if tables.is_empty() {
        return execute_with(runner, unit, at, with).await;
    }
    let hold = hold(runner, &tables).await.map_err(Halted::After)?;
    let looked = look(runner, &tables).await;
    let sent = match looked {
        Ok(()) => execute_with(runner, unit, at, with).await,
        Err(failure) => Err(Halted::After(as_error(failure))),
    };
    for statement in &hold.free {
        // Where this fails the session is gone, and its locks with it.
        let _ = runner.work.execute(statement).await;
    }
    sent
}

/// Locks the tables. Where this user may not, it is said, and the look is as close as it can be.
async fn hold(runner: &mut Runner<'_>, tables: &[String]) -> Result<Hold, DbError> {
    let named: Vec<(Option<&str>, &str)> =
        tables.iter().map(|name| (None, name.as_str())).collect();
    let hold = runner.work.dialect().catalog().hold(&named);
    for statement in &hold.take {
        match runner.work.execute(statement).await {
            Ok(_) => {}
            Err(error) if error.class == ErrorClass::PermissionDenied => {
                let message = format!(
                    "warning: {} cannot be locked, so what others write while it is dropped is not seen: {}",
                    tables.join(", "),
                    error.message
                );
                runner.sink.event(&Event::Note { message });
                return Ok(Hold::default());
            }
            Err(error) => return Err(error),
        }
    }
    Ok(hold)
}

/// A failure as the error of the statement before which it came.
fn as_error(failure: Failure) -> DbError {
    let mut error = DbError::new(ErrorClass::Other, failure.message);
    error.code = failure.code.to_owned();
    error.hint = failure.hints.into_iter().next();
    error
}

async fn look(runner: &mut Runner<'_>, tables: &[String]) -> Result<(), Failure> {
    let Some(mut last) = runner.last.take() else {
        return Ok(());
    };
    let looked = look_at(runner, &mut last, tables).await;
    runner.last = Some(last);
    looked
}

async fn look_at(
    runner: &mut Runner<'_>,
    last: &mut Last,
    tables: &[String],
) -> Result<(), Failure> {
    let of = |name: &str| tables.iter().any(|table| table.eq_ignore_ascii_case(name));
    for seen in last.seen.iter().filter(|seen| of(&seen.table)) {
        still(&mut *runner.work, seen).await?;
    }
    let Some(made) = &last.made else {
        return Ok(());
    };
    if !made.saved.iter().any(|saved| of(&saved.label())) {
        return Ok(());
    }
    aside(&mut *runner.work, true).await?;
    let archived = anew(runner, last, made, tables).await;
    let back = aside(&mut *runner.work, false).await;
    last.anew.extend(archived?);
    back
}

/// Archives what is not any more as it was archived. The record is committed before anything goes.
async fn anew(
    runner: &mut Runner<'_>,
    last: &Last,
    made: &Checkpoint,
    tables: &[String],
) -> Result<Option<Checkpoint>, Failure> {
    let world = runner.world;
    let work = &mut *runner.work;
    let same = checkpoint::still_of(work, made, tables, runner.sink).await?;
    let changed: Vec<String> = tables
        .iter()
        .filter(|table| !same.contains(*table))
        .cloned()
        .collect();
    let chosen = last.only(&changed);
    if chosen.tables.is_empty() && chosen.columns.is_empty() && chosen.rows.is_empty() {
        return Ok(None);
    }
    let anew = checkpoint::create_in(world, work, &last.name, &chosen, false, runner.sink).await;
    let anew = anew.map_err(checkpoint::keep::not_archived)?;
    let mut other = world.open(Purpose::Tool).await?;
    let record = (last.record)(&anew);
    let written = runner.pen.append(world, &mut *other, &[record]).await;
    other.close().await;
    written.map_err(|error| runner.trouble(&error, "the archive could not be recorded"))?;
    Ok(Some(anew))
}
