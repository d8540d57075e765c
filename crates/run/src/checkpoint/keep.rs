//! Keeping tables around a step, within the step's own transaction: nobody else writes to them between the checkpoint and
//! the moment when what the step left is written down, so that every difference is the step's.

use super::file::Checkpoint;
use super::merge::note_after;
use super::write::create_in;
use super::{Chosen, restore};
use crate::executor::Runner;
use crate::world::World;
use crate::{digest, observe};
use dunlin_core::copy::reading::{Bound, Reading};
use dunlin_core::event::Sink;
use dunlin_core::failure::Failure;
use dunlin_engines::{DbError, Session};

/// What is kept around the transaction of a step.
#[derive(Debug, Clone, Default)]
pub struct Keep {
    /// The checkpoint's name.
    pub name: String,
    /// The tables.
    pub tables: Vec<String>,
    /// The checkpoint, once it is made.
    pub made: Option<Checkpoint>,
    /// The tables as they are.
    bound: Vec<Bound>,
}

impl Keep {
    /// Keeps these tables under a name.
    pub fn new(name: String, tables: Vec<String>) -> Keep {
        Keep {
            name,
            tables,
            ..Keep::default()
        }
    }

    /// Before the transaction: how it must begin, so that what it reads is held. Nothing may be read in it before that.
    pub(crate) async fn before(&mut self, session: &mut dyn Session) -> Result<(), DbError> {
        let shapes = digest::shapes(session).await?;
        let (_, mut bound) = Reading::derive(&shapes);
        bound.retain(|table| self.tables.contains(&table.label()));
        self.bound = bound;
        for sql in session.dialect().change().before_hold() {
            session.execute(sql).await?;
        }
        Ok(())
    }

    /// At the beginning of the transaction: other writers are kept out, where a statement does that.
    pub(crate) async fn hold(&self, session: &mut dyn Session) -> Result<(), DbError> {
        match session.dialect().change().hold(&self.bound) {
            Some(sql) if !self.bound.is_empty() => session.execute(&sql).await.map(|_| ()),
            _ => Ok(()),
        }
    }

    /// Saves the rows as they are before the step.
    pub(crate) async fn save(
        &mut self,
        world: &World,
        session: &mut dyn Session,
        sink: &mut dyn Sink,
    ) -> Result<(), Failure> {
        let chosen = Chosen {
            tables: self.tables.clone(),
            ..Chosen::default()
        };
        // Where no statement holds the tables, reading the rows does.
        let locked = session.dialect().change().hold(&[]).is_none();
        aside(session, true).await?;
        let made = create_in(world, session, &self.name, &chosen, locked, sink).await;
        let back = aside(session, false).await;
        self.made = Some(made?);
        back
    }

    /// When the step's statements have run: writes down what they have left. Gives the checkpoint's id.
    pub(crate) async fn note(
        &self,
        world: &World,
        session: &mut dyn Session,
    ) -> Result<Option<String>, Failure> {
        let Some(made) = &self.made else {
            return Ok(None);
        };
        aside(session, true).await?;
        let noted = note_after(world, session, made).await;
        let back = aside(session, false).await;
        noted?;
        back?;
        Ok(Some(made.id.clone()))
    }

    /// The transaction was rolled back: nothing is to be brought back by this.
    pub(crate) fn discard(&mut self) {
        if let Some(made) = self.made.take() {
            // It is swept or dropped by hand otherwise.
            let _ = super::drop(&made);
        }
    }
}

/// Begins a transaction of a run; where tables are kept around it, nobody else writes to them from here on.
pub(crate) async fn begin(runner: &mut Runner<'_>) -> Result<(), DbError> {
    let work = &mut *runner.work;
    match &mut runner.keep {
        None => work.begin().await,
        Some(keep) => {
            keep.before(work).await?;
            work.begin().await?;
            keep.hold(work).await
        }
    }
}

/// Saves the tables that are kept around the transaction of a run.
pub(crate) async fn save(runner: &mut Runner<'_>) -> Result<(), Failure> {
    match &mut runner.keep {
        None => Ok(()),
        Some(keep) => {
            keep.save(runner.world, &mut *runner.work, runner.sink)
                .await
        }
    }
}

/// Into the settings under which rows are read exactly, and out of them again.
async fn aside(session: &mut dyn Session, into: bool) -> Result<(), Failure> {
    let (before, after) = session.dialect().change().aside();
    for sql in if into { before } else { after } {
        let done = session.execute(sql).await;
        done.map_err(|error| restore::refused(&error))?;
    }
    Ok(())
}

/// Whether all of these tables are there and transactional.
pub(crate) async fn may_keep(session: &mut dyn Session, tables: &[String]) -> Result<(), Failure> {
    let wrong = |error| restore::refused(&error);
    let there = observe::whole(session).await.map_err(wrong)?;
    let shapes = digest::shapes(session).await.map_err(wrong)?;
    let (_, mut bound) = Reading::derive(&shapes);
    bound.retain(|table| {
        tables.contains(&table.label())
            && there.table(table.schema.as_deref(), &table.table).is_some()
    });
    restore::transactional(session, &bound).await
}
