//! A copy that is taken back: the database that it filled, and had found empty, is emptied. That goes only while the copy's
//! mark stands in that database's journal and every table still holds what the copy left there; it is looked at once more
//! under the lock under which it goes.

use super::moving::{digests, ends, pen_for, spelled};
use super::{Walk, notes};
use crate::checkpoint::keep::{aside, others_write};
use crate::checkpoint::{self, Checkpoint, Chosen};
use crate::copy::ledger;
use crate::digest::{self, Scope};
use crate::drop_all::Look;
use crate::journal_store::Pen;
use crate::world::World;
use crate::{drop_all, inspect, lease, observe, trouble};
use async_trait::async_trait;
use dunlin_core::event::{Event, Sink};
use dunlin_core::failure::{Failure, FailureClass};
use dunlin_core::journal::{self, Direction};
use dunlin_core::source::plan::{StepDoc, StepSpec};
use dunlin_engines::{Purpose, Session};
use std::collections::BTreeMap;

/// Takes a copy back: what it has made in its target goes, where nobody has written to it since.
pub async fn uncopy(
    walk: &mut Walk<'_, '_>,
    doc: &StepDoc,
    key: &str,
    (mark, left): (&str, Option<&BTreeMap<String, String>>),
) -> Result<(), Failure> {
    let StepSpec::Copy(spec) = &doc.kind else {
        let message = format!(
            "step `{}` copies no more, and what it copied is not known",
            doc.id
        );
        return Err(Failure::new(FailureClass::Failed, "no-inverse", message));
    };
    let (_, to) = ends(walk.runner.world, walk.ask.project, doc, spec)?;
    let gone = |walk: &mut Walk<'_, '_>| notes::end(walk, doc, key, Direction::Down, 0, None);
    // A file that is not there holds nothing of it.
    if to.engine.file().is_some_and(|file| !file.exists()) {
        gone(walk);
        return walk.flush().await;
    }
    let (held, pen, mut work) = match pen_for(walk, &to) {
        Some(pen) => (None, pen, to.open(Purpose::Tool).await?),
        None => {
            let (wait, mut control) = (walk.ask.wait_for_lease, walk.runner.control.clone());
            let taken = lease::acquire(&to, Purpose::Tool, wait, walk.runner.sink, &mut control);
            let (held, work) = taken.await?;
            let pen = Pen {
                run: to.run_id(),
                token: held.token,
            };
            (Some(held), pen, work)
        }
    };
    let outcome = empty(walk, doc, &to, &mut *work, &pen, (mark, left)).await;
    work.close().await;
    if let Some(held) = held {
        held.release().await;
    }
    outcome.map_err(|failure| to.redact(failure))?;
    gone(walk);
    walk.flush().await
}

async fn empty(
    walk: &mut Walk<'_, '_>,
    doc: &StepDoc,
    to: &World,
    work: &mut dyn Session,
    pen: &Pen,
    (mark, left): (&str, Option<&BTreeMap<String, String>>),
) -> Result<(), Failure> {
    let history = ledger::read(to, work).await?;
    if history.mark.as_deref() != Some(mark) {
        // It never began, or what it made is gone already: whatever is there is somebody else's.
        return Ok(());
    }
    let mut still = left.cloned();
    if let Some(left) = &mut still {
        let now = digests(walk, to, work).await?;
        let changed: Vec<String> = now
            .into_iter()
            .filter(|(table, digest)| left.get(table) != Some(&spelled(digest)))
            .map(|(table, _)| table)
            .collect();
        if !changed.is_empty() {
            let kept = keep_changed(walk, doc, to, changed).await?;
            let kept = kept.tables.iter();
            left.extend(kept.map(|table| (table.table.clone(), spelled(table))));
        }
    }
    let catalog = observe::catalog(work, &inspect::scope(to)).await;
    let catalog =
        catalog.map_err(|error| trouble::failed(&error, "what the copy made cannot be read"))?;
    let record = ledger::record(
        journal::Event::Undone,
        "run",
        &history.hash,
        serde_json::json!({ "by": to.who }),
    );
    let tables = catalog.tables.iter().map(|table| table.label()).collect();
    let mut last = still.map(|still| Last { tables, still });
    let look = last.as_mut().map(|last| last as &mut dyn Look);
    let sink = &mut *walk.runner.sink;
    drop_all::drop_found(to, work, pen, (&catalog, look), record, sink).await
}

/// The last look at tables that go.
struct Last {
    tables: Vec<String>,
    /// What they hold as long as nobody has written there.
    still: BTreeMap<String, String>,
}

#[async_trait]
impl Look for Last {
    async fn look(&mut self, work: &mut dyn Session, sink: &mut dyn Sink) -> Result<(), Failure> {
        if self.tables.is_empty() {
            return Ok(());
        }
        let scope = Scope {
            tables: self.tables.clone(),
            except: vec![],
        };
        aside(work, true).await?;
        let now = digest::digest_here(work, &scope, None, sink).await;
        let back = aside(work, false).await;
        let now = now.map_err(|error| trouble::failed(&error, "cannot look at what goes"))?;
        back?;
        let mut all = now.tables.iter();
        match all.find(|now| self.still.get(&now.table) != Some(&spelled(now))) {
            Some(changed) => Err(others_write(&changed.table)),
            None => Ok(()),
        }
    }
}

/// What others have written into a copy since is archived, where a person has said that it may go.
async fn keep_changed(
    walk: &mut Walk<'_, '_>,
    doc: &StepDoc,
    to: &World,
    tables: Vec<String>,
) -> Result<Checkpoint, Failure> {
    if !walk.ask.discard_later {
        let message = format!(
            "taking step `{}` back would destroy what it did not write: {} of {} changed since",
            doc.id,
            tables.join(", "),
            to.config.name
        );
        let failure = Failure::new(FailureClass::Failed, "would-destroy", message);
        return Err(failure.hint("with `--discard-later` these tables are archived first, as a checkpoint of that database"));
    }
    let chosen = Chosen {
        tables,
        ..Chosen::default()
    };
    let name = format!("before-undo-of-{}", doc.id);
    let made = checkpoint::create(to, &name, &chosen, walk.runner.sink).await?;
    walk.runner.sink.event(&Event::Note {
        message: format!(
            "step `{}`: what was written since is in the checkpoint {} ({})",
            doc.id,
            made.name,
            made.path.display()
        ),
    });
    Ok(made)
}
