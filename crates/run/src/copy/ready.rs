//! Before a copy: what was seen, whether it may begin, and the lease under which it writes.

use super::ends::{Readers, Soundness};
use super::ledger::{self, History};
use super::look::{self, Looked};
use super::short::{Short, changed, is_again};
use super::{Job, interrupted, rows};
use crate::checkpoint::transactional;
use crate::control::{Control, Stop};
use crate::journal_store::Pen;
use crate::lease;
use crate::world::World;
use dunlin_core::copy::plan::TablePlan;
use dunlin_core::copy::reading::Bound;
use dunlin_core::copy::stages::stages;
use dunlin_core::event::Sink;
use dunlin_core::failure::Failure;
use dunlin_core::finding::{Finding, any_error};
use dunlin_engines::{Purpose, Session};
use std::sync::atomic::{AtomicBool, Ordering};

/// The target's lease, unless a plan holds it, and a session that writes under it.
pub(super) async fn take(
    to: &World,
    job: &Job,
    sink: &mut dyn Sink,
    control: &mut Control,
) -> Result<(Option<lease::Lease>, Pen, Box<dyn Session>), Failure> {
    if let Some(pen) = job.step.as_ref().and_then(|step| step.pen.clone()) {
        return Ok((None, pen, to.open(Purpose::Tool).await?));
    }
    let (held, work) = lease::acquire(to, Purpose::Tool, job.wait, sink, control).await?;
    let pen = Pen {
        run: to.run_id(),
        token: held.token,
    };
    Ok((Some(held), pen, work))
}

/// What was seen, what is known of a copy to go on with, and the plan's hash.
pub(super) struct Seen<'w> {
    pub(super) looked: Looked,
    /// Whether the source is damaged, where that is still being asked.
    pub(super) sound: Soundness<'w>,
    pub(super) history: History,
    pub(super) hash: String,
}

/// Looks, and reads what is known; refused where the copy may not begin. `short`: types may be taken for granted.
pub(super) async fn begun<'w>(
    from: &'w World,
    to: &World,
    job: &Job,
    readers: &mut Readers,
    (sink, control): (&mut dyn Sink, &mut Control),
    short: bool,
) -> Result<Seen<'w>, Failure> {
    tokio::select! {
        seen = ready(from, to, job, readers, sink, short) => seen,
        () = control.until(Stop::Soon) => Err(interrupted("interrupted: nothing was written")),
    }
}

async fn ready<'w>(
    from: &'w World,
    to: &World,
    job: &Job,
    readers: &mut Readers,
    sink: &mut dyn Sink,
    short: bool,
) -> Result<Seen<'w>, Failure> {
    let mut target = to.open(Purpose::Read).await?;
    let history = ledger::read(to, &mut *target).await;
    let way = match &history {
        _ if !short => Short::No,
        Ok(history) if job.resume && history.goes_on() => Short::These(history.granted.clone()),
        _ => Short::of(job),
    };
    let looked = seen(from, to, job, readers, (&mut *target, sink), &way).await;
    let whole = match (&looked, job.existing) {
        (Ok((looked, _)), Some(_)) => {
            let plans = &looked.plan.tables;
            let there = |plan: &&TablePlan| {
                let (schema, name) = &plan.target;
                looked.there.table(schema.as_deref(), name).is_some()
            };
            let tables: Vec<Bound> = plans.iter().filter(there).map(rows::target).collect();
            all_or_nothing(&mut *target, &tables).await
        }
        _ => Ok(()),
    };
    target.close().await;
    let ((looked, sound), history) = (looked?, history?);
    whole?;
    if any_error(&looked.findings) {
        return Err(unplannable(&looked.findings));
    }
    let hash = ledger::hash(&looked.plan, &from.engine.describe());
    let goes_on = job.resume && history.hash == hash;
    if job.resume && history.open && !goes_on {
        return Err(changed());
    }
    if !goes_on {
        look::vacant(&looked, job.existing)?;
    }
    let history = if goes_on { history } else { History::default() };
    Ok(Seen {
        looked,
        sound,
        history,
        hash,
    })
}

/// Refuses tables that are there and keep what a transaction wrote that came to nothing: rows would be added once more by
/// whoever goes on, and the proof would take the first for what was there before.
pub(super) async fn all_or_nothing(
    target: &mut dyn Session,
    tables: &[Bound],
) -> Result<(), Failure> {
    transactional(target, tables).await.map_err(|mut failure| {
        if failure.code == "checkpoint-shape" {
            failure.code = "copy-not-transactional";
            failure.hints = vec!["give the table a transactional storage engine first".into()];
        }
        failure
    })
}

/// Looks at both ends: at every value, or by the short way where that may be gone. By the short way rows may go over while it
/// is still being asked whether their source is damaged: what such a copy makes can be taken back.
async fn seen<'w>(
    from: &'w World,
    to: &World,
    job: &Job,
    readers: &mut Readers,
    (target, sink): (&mut dyn Session, &mut dyn Sink),
    way: &Short,
) -> Result<(Looked, Soundness<'w>), Failure> {
    if *way != Short::Sampled {
        let looked = look::look(from, to, job, readers, target, way, sink).await?;
        return Ok((looked, Soundness::known()));
    }
    let mut sound = Soundness::of(from);
    let looking = look::look_only(from, to, job, readers, target, way, sink);
    let looked = sound.beside(looking).await?;
    let looked = match looked {
        Ok(looked) if looked.granted.iter().any(Option::is_some) => looked,
        // A damaged file is refused as such, whatever the look stumbles over.
        looked => {
            sound.answer().await?;
            return Ok((looked?, sound));
        }
    };
    // A copy that may begin again makes nothing but tables, each by itself: those it can take back.
    let stages = stages(&looked.plan.catalog, to.dialect());
    let alone = stages.before.is_empty() && stages.early.is_empty();
    if looked.to.transactional_ddl && alone {
        return Ok((looked, sound));
    }
    let looking = look::look_only(from, to, job, readers, target, &Short::No, sink);
    let looked = sound.beside(looking).await?;
    sound.answer().await?;
    Ok((looked?, sound))
}

/// Does the work while it is asked whether the source is damaged. Outside: it is, or nobody can say; then the work has come
/// to an orderly end before, so that nothing of it is committed later. Inside: what the work came to.
pub(super) async fn beside<T>(
    sound: &mut Soundness<'_>,
    work: impl Future<Output = Result<T, Failure>>,
    broken: &AtomicBool,
) -> Result<Result<T, Failure>, Failure> {
    tokio::pin!(work);
    let done = tokio::select! {
        biased;
        done = &mut work => done,
        answer = sound.answer() => match answer {
            Ok(()) => work.await,
            Err(failure) => {
                broken.store(true, Ordering::Relaxed);
                let _ = work.await;
                return Err(failure);
            }
        },
    };
    // A damaged file is refused as such, whatever its rows stumble over.
    if !done.as_ref().is_err_and(is_again) {
        sound.answer().await?;
    }
    Ok(done)
}

pub(super) fn unplannable(findings: &[Finding]) -> Failure {
    let errors: Vec<&Finding> = findings
        .iter()
        .filter(|finding| finding.severity == dunlin_core::finding::Severity::Error)
        .collect();
    let code = errors
        .first()
        .map_or("nothing-to-copy", |finding| finding.code);
    let sentences: Vec<&str> = errors
        .iter()
        .take(5)
        .map(|finding| finding.message.as_str())
        .collect();
    let mut failure = Failure::refused(code, sentences.join("; "));
    failure
        .hints
        .extend(errors.iter().filter_map(|finding| finding.help.clone()));
    failure
}
