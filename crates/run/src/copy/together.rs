//! Tables that are there and refer to one another: what is replaced or added comes in one transaction, children going first and
//! parents coming first. Whatever dies in between, the target holds what it held before, or all of the new.

use super::broken::hint;
use super::ledger::{self, Done};
use super::once::Sieve;
use super::orphans::{ALIKE, Reference};
use super::rows::{self, Tally};
use super::table::Pipe;
use super::works::ticking;
use super::{Copying, Existing};
use crate::checkpoint::quiet::Quiet;
use dunlin_core::copy::policy::Hazard;
use dunlin_core::event::Sink;
use dunlin_core::failure::{Failure, FailureClass};
use dunlin_core::journal::{self, Writing};
use dunlin_core::schema::order::{order, parent};
use dunlin_core::schema::{Table, label};
use dunlin_engines::{DbError, Session};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Tables that refer to one another.
#[derive(Debug)]
struct Group {
    /// Their places in the plan, parents first.
    tables: Vec<usize>,
    /// There is no such order: some refer in a circle.
    circle: bool,
}

/// A failure, and the table in which it came, where it was one's.
type Fell = (Option<usize>, Failure);

fn anywhere(failure: Failure) -> Fell {
    (None, failure)
}

impl Copying<'_> {
    /// Does the tables that are there and refer to others: each group whole, unless it is done.
    pub(super) async fn related(
        &self,
        known: &mut [Option<Tally>],
        reader: &mut dyn Session,
        sink: &mut dyn Sink,
    ) -> Result<(), Failure> {
        let done: Vec<Arc<AtomicU64>> = known.iter().map(|_| Arc::default()).collect();
        for group in self.groups_there() {
            if group.tables.iter().all(|at| known[*at].is_some()) {
                continue;
            }
            let tallies = ticking(self, self.together(&group, reader, &done), &done, sink).await?;
            for (at, tally) in group.tables.iter().zip(tallies) {
                known[*at] = Some(tally);
            }
        }
        Ok(())
    }

    /// The tables that are there and have foreign keys, or are referred to by them.
    fn groups_there(&self) -> Vec<Group> {
        if self.job.existing.is_none() {
            return vec![];
        }
        let plans = self.looked.plan.tables.iter().enumerate();
        let (places, tables): (Vec<usize>, Vec<Table>) = plans
            .filter_map(|(at, plan)| {
                let there = self
                    .looked
                    .there
                    .table(plan.target.0.as_deref(), &plan.target.1);
                Some((at, there?.clone()))
            })
            .unzip();
        let ordered = order(&tables);
        let mut of: Vec<usize> = (0..tables.len()).collect();
        for (at, table) in tables.iter().enumerate() {
            for key in &table.foreign_keys {
                if let Some(parent) = parent(&tables, key) {
                    let (from, to) = (of[at], of[parent]);
                    of.iter_mut()
                        .filter(|group| **group == from)
                        .for_each(|group| *group = to);
                }
            }
        }
        let groups: BTreeSet<usize> = of.iter().copied().collect();
        let group = |number: usize| {
            let members = ordered.order.iter().copied().filter(|at| of[*at] == number);
            let members: Vec<usize> = members.collect();
            let refers = members
                .iter()
                .any(|at| !tables[*at].foreign_keys.is_empty());
            refers.then(|| Group {
                circle: ordered
                    .cycles
                    .iter()
                    .flatten()
                    .any(|at| members.contains(at)),
                tables: members.iter().map(|at| places[*at]).collect(),
            })
        };
        groups.into_iter().filter_map(group).collect()
    }

    /// A group in one transaction. Where rows have a key twice and are set aside for it, once more without them.
    async fn together(
        &self,
        group: &Group,
        reader: &mut dyn Session,
        done: &[Arc<AtomicU64>],
    ) -> Result<Vec<Tally>, Failure> {
        let mut once = BTreeSet::new();
        loop {
            let mut writer = self.another().await?;
            self.prepared(&mut *writer).await?;
            let mut sieves = BTreeMap::new();
            for at in &once {
                sieves.insert(*at, self.sieve(*at, reader, &mut *writer).await?);
            }
            let outcome = self.all_of(group, reader, &mut *writer, done, sieves).await;
            if outcome.is_err() {
                let _ = writer.rollback().await;
            }
            let (at, failure) = match outcome {
                Ok(tallies) => {
                    writer.close().await;
                    return Ok(tallies);
                }
                Err(fell) => fell,
            };
            let twice = failure.code == Hazard::DuplicateKey.code();
            let failure = match at.filter(|_| twice) {
                Some(at) => {
                    let mut pipe = Pipe {
                        reader,
                        writer: &mut *writer,
                        done: &done[at],
                    };
                    self.named(at, failure, &mut pipe).await
                }
                None => failure,
            };
            writer.close().await;
            let again = at.filter(|at| {
                twice && self.sets_aside(&self.looked.plan.tables[*at]) && once.insert(*at)
            });
            if again.is_none() {
                return Err(failure);
            }
            let name = |at: &usize| {
                let plan = &self.looked.plan.tables[*at];
                label(plan.source.0.as_deref(), &plan.source.1)
            };
            let names: Vec<String> = group.tables.iter().map(name).collect();
            self.rejects
                .strike(|line| names.iter().any(|name| line["table"] == name.as_str()))
                .map_err(|failure| *failure)?;
            group
                .tables
                .iter()
                .for_each(|at| done[*at].store(0, Ordering::Relaxed));
        }
    }

    async fn all_of(
        &self,
        group: &Group,
        reader: &mut dyn Session,
        writer: &mut dyn Session,
        done: &[Arc<AtomicU64>],
        mut once: BTreeMap<usize, Option<Sieve>>,
    ) -> Result<Vec<Tally>, Fell> {
        let wrong = |error: &DbError| {
            anywhere(ledger::failure(
                self.to,
                error,
                "tables that refer to one another cannot be filled",
            ))
        };
        let plans = &self.looked.plan.tables;
        let (aside, named, mut quiet) = self.watched(group, writer).await.map_err(anywhere)?;
        writer.begin().await.map_err(|error| wrong(&error))?;
        if let Some(quiet) = &mut quiet {
            quiet.open(writer).await.map_err(anywhere)?;
        }
        let noted = self.note_old(aside.iter().chain(&named), writer).await;
        noted.map_err(anywhere)?;
        if self.job.existing == Some(Existing::Replace) {
            for at in group.tables.iter().rev() {
                let clear = writer.dialect().change().clear(&rows::target(&plans[*at]));
                writer
                    .execute(&clear)
                    .await
                    .map_err(|error| wrong(&error))?;
            }
            quiet.iter_mut().for_each(Quiet::anew);
        }
        let mut tallies = vec![];
        for at in &group.tables {
            let sieve = once.remove(at).flatten();
            let mut pipe = Pipe {
                reader,
                writer,
                done: &done[*at],
            };
            let tally = self.pour(*at, &mut pipe, false, sieve).await;
            let tally = tally.map_err(|failure| (Some(*at), failure))?;
            tallies.push(tally);
        }
        self.strike_orphans(&aside, &group.tables, &mut tallies, writer)
            .await
            .map_err(anywhere)?;
        if let Some(quiet) = &quiet {
            self.none_came(&named, writer).await.map_err(anywhere)?;
            let blurred = aside.iter().chain(&named).any(Reference::is_blurred);
            let looked = looked_at(quiet, writer).await;
            looked.map_err(|failure| match blurred {
                true => anywhere(failure.hint(ALIKE)),
                false => anywhere(failure),
            })?;
        }
        self.rejects.sync().map_err(|failure| anywhere(*failure))?;
        let done = group.tables.iter().zip(&tallies);
        let record = |(at, tally): (&usize, &Tally)| {
            let detail = serde_json::to_value(Done::of(&plans[*at], tally)).unwrap_or_default();
            ledger::record(journal::Event::Done, "table", &self.hash, detail)
        };
        let records: Vec<Writing> = done.map(record).collect();
        ledger::commit_all(self.to, writer, &self.pen, &records)
            .await
            .map_err(anywhere)?;
        Ok(tallies)
    }

    /// The foreign keys of a group whose orphans are set aside, those where they are named, and what watches them all.
    async fn watched(
        &self,
        group: &Group,
        writer: &mut dyn Session,
    ) -> Result<(Vec<Reference<'_>>, Vec<Reference<'_>>, Option<Quiet>), Failure> {
        let aside = self.references_there(&group.tables, true, writer).await?;
        let quiet = self.keys_of(group, !aside.is_empty(), writer)?;
        let named = match quiet {
            Some(_) => self.references_there(&group.tables, false, writer).await?,
            // The server itself names the first.
            None => vec![],
        };
        Ok((aside, named, quiet))
    }

    /// What watches the foreign keys of a group, where the server does not look at them meanwhile: because nothing of it does,
    /// or because they go for the time of the transaction. `None`: the server looks, and the order is one that it takes.
    /// `aside`: rows come that it would refuse, and are set aside afterwards.
    fn keys_of(
        &self,
        group: &Group,
        aside: bool,
        writer: &dyn Session,
    ) -> Result<Option<Quiet>, Failure> {
        let dialect = writer.dialect();
        if dialect.change().drops_keys() && !group.circle && !aside {
            return Ok(None);
        }
        let there = &self.looked.there;
        let table = |at: &usize| {
            let (schema, name) = &self.looked.plan.tables[*at].target;
            let mut table = there.table(schema.as_deref(), name)?.clone();
            // Those that are there go on firing.
            table.triggers.clear();
            Some(table)
        };
        let tables: Vec<Table> = group.tables.iter().filter_map(table).collect();
        let tables: Vec<&Table> = tables.iter().collect();
        Quiet::plan(dialect, false, there, &tables).map(Some)
    }
}

/// Looks at the keys that nobody looked at meanwhile, and makes those again that were dropped.
async fn looked_at(quiet: &Quiet, writer: &mut dyn Session) -> Result<(), Failure> {
    if let Some(lost) = quiet.referred(writer).await? {
        let message = format!(
            "{} rows of {} would refer to rows of {} that are not there: nothing was changed",
            lost.rows, lost.child, lost.parent
        );
        return Err(
            Failure::new(FailureClass::Failed, Hazard::Orphan.code(), message)
                .hint(hint(Hazard::Orphan)),
        );
    }
    quiet.settle(writer).await
}
