//! Values that an undo's statements write over and that archives hold: whose they are before, and what is left there after.

use super::last::{Concern, Last, concerned};
use super::left;
use super::made;
use super::migrate::Unit;
use crate::checkpoint::Names;
use crate::checkpoint::keep::{Seen, answer, aside, look_at_older};
use crate::checkpoint::since::{self, Moment};
use crate::executor::Runner;
use crate::trouble;
use dunlin_core::event::Sink;
use dunlin_core::failure::Failure;
use dunlin_core::plan::inverse;
use dunlin_core::plan::lower::Block;
use dunlin_core::sql::ObjectRef;
use dunlin_engines::{DbError, Session};

/// Looks whose the values are that archives hold already, before they are written over.
pub(super) async fn written_over(
    runner: &mut Runner<'_>,
    last: &Last,
    concerned: &[Concern],
    names: &Names,
) -> Result<(), Failure> {
    let all = last.of_values();
    if all.is_empty() {
        return Ok(());
    }
    let tables: Vec<String> = concerned.iter().map(|one| one.table.clone()).collect();
    let work = &mut *runner.work;
    aside(work, true).await?;
    let at = (names, Some(tables.as_slice()));
    let mut looked = look_at_older(runner.world, work, &last.older, at).await;
    let own = all.into_iter().filter(|one| {
        let mut older = last.older.iter();
        !older.any(|older| older.archive.id == one.id)
    });
    for archive in own {
        if looked.is_ok() {
            let at = (names, Moment::Begins);
            let seen = since::look(runner.world, work, archive, at, Some(&tables)).await;
            looked = seen.map(drop);
        }
    }
    let back = aside(work, false).await;
    looked?;
    back
}

/// At the end of a block's transaction: notes what its statements have left in values that they have written over.
pub(super) async fn after(
    runner: &mut Runner<'_>,
    unit: &Unit<'_>,
    block: &Block,
) -> Result<(), Failure> {
    let concerned = concerned(runner, unit, block.statements.clone());
    noted(runner, unit, &concerned, block.statements.end).await
}

pub(super) async fn noted(
    runner: &mut Runner<'_>,
    unit: &Unit<'_>,
    concerned: &[Concern],
    end: usize,
) -> Result<(), Failure> {
    let Some(mut last) = runner.last.take() else {
        return Ok(());
    };
    let values = last.seen.iter().any(|seen| seen.over.is_some());
    let noted = match values && !concerned.is_empty() {
        true => note(runner, unit, (&mut last, concerned), end).await,
        false => Ok(()),
    };
    runner.last = Some(last);
    noted
}

async fn note(
    runner: &mut Runner<'_>,
    unit: &Unit<'_>,
    (last, concerned): (&mut Last, &[Concern]),
    end: usize,
) -> Result<(), Failure> {
    let renamed = made::renames(runner, unit);
    let mut names = Names::default();
    for one in concerned {
        let schema = one.schema.as_deref();
        let after = |name: &str| {
            let first = ObjectRef::table(schema, name);
            inverse::name_after(&renamed[..end], &first)
        };
        // A statement may leave out the schema that goes without saying.
        let bare = inverse::name_after(&renamed[..end], &ObjectRef::table(None, &one.was));
        let after = after(&one.was);
        let is = if after.name == one.was { bare } else { after };
        names.add(schema, &one.was, &is.name);
    }
    let tables: Vec<String> = concerned.iter().map(|one| one.table.clone()).collect();
    let work = &mut *runner.work;
    aside(work, true).await?;
    let mut noted = Ok(0);
    for archive in last.of_values() {
        let at = (&names, Moment::Undone);
        noted = noted.and(since::look(runner.world, work, archive, at, Some(&tables)).await);
    }
    // What the statements to come will meet has been changed by these perhaps.
    let about = |seen: &&mut Seen| {
        let mut all = concerned.iter();
        seen.over.is_some_and(|at| at >= end) && all.any(|concern| concern.is_about(seen))
    };
    for seen in last.seen.iter_mut().filter(about) {
        noted = noted.and(again(work, seen, &names, runner.sink).await);
    }
    let back = aside(work, false).await;
    noted?;
    back
}

/// Asks again for what a statement to come will meet.
async fn again(
    work: &mut dyn Session,
    seen: &mut Seen,
    names: &Names,
    sink: &mut dyn Sink,
) -> Result<u64, Failure> {
    let wrong =
        |error: DbError| trouble::failed(&error, "cannot look at what the undo writes over");
    seen.number = answer(work, seen, names, "").await.map_err(wrong)?;
    if let Some(left) = &mut seen.left {
        left::renew(work, left, names, sink).await.map_err(wrong)?;
    }
    Ok(0)
}
