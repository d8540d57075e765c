//! Rows that refer to rows that are not there: set aside where the policy says so, else the end of the copy. Also in a target
//! that looks at no foreign key while rows come, and in tables that were there.

use super::aside::{Out, bound};
use super::broken::hint;
use super::look::Looked;
use super::repair::unique;
use super::rows::Tally;
use super::{Copying, Existing, What};
use dunlin_core::bulk::choose::references as referred;
use dunlin_core::copy::policy::{Hazard, Policy};
use dunlin_core::copy::reading::Bound;
use dunlin_core::dialect::landing::Inline;
use dunlin_core::dialect::rules::RulesDialect;
use dunlin_core::event::{Event, Sink};
use dunlin_core::failure::{Failure, FailureClass};
use dunlin_core::finding::{Finding, Place};
use dunlin_core::schema::ForeignKey;
use dunlin_core::schema::order::parent;
use dunlin_engines::Session;

/// A foreign key of a table whose rows were copied.
pub(super) struct Reference<'l> {
    /// The table's place in the plan.
    pub(super) at: usize,
    pub(super) key: &'l ForeignKey,
    pub(super) child: Bound,
    pub(super) parent: Bound,
    /// The row that it refers to is one, and found by a key.
    known: bool,
}

impl Reference<'_> {
    pub(super) fn columns(&self) -> Vec<usize> {
        (0..self.key.columns.len()).collect()
    }

    /// That a row refers to one that is not there.
    pub(super) fn orphans(&self, rules: &dyn RulesDialect) -> String {
        let columns = self.columns();
        rules.orphans(&self.child, &columns, &self.parent, &columns)
    }
}

/// Whose foreign keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Whose {
    /// Of tables that the copy makes.
    Made,
    /// Of tables that were there.
    There,
}

/// The foreign keys of tables that were copied.
pub(super) fn references(looked: &Looked, whose: Whose) -> Vec<Reference<'_>> {
    let (made, there) = (&looked.plan.catalog, &looked.there);
    let of = match whose {
        Whose::Made => made,
        Whose::There => there,
    };
    let mut found = vec![];
    for (at, plan) in looked.plan.tables.iter().enumerate() {
        let (schema, name) = (plan.target.0.as_deref(), &plan.target.1);
        let Some(table) = of.table(schema, name) else {
            continue;
        };
        if whose == Whose::There && made.table(schema, name).is_some() {
            continue;
        }
        found.extend(table.foreign_keys.iter().filter_map(|key| {
            let schema = key.references_schema.as_deref();
            let parent = [made, there]
                .into_iter()
                .find_map(|catalog| parent(&catalog.tables, key).map(|at| &catalog.tables[at]));
            let columns = match parent {
                Some(parent) => referred(key, parent)?,
                None if key.references_columns.is_empty() => return None,
                None => key.references_columns.clone(),
            };
            let names: Vec<&str> = columns.iter().map(String::as_str).collect();
            let own = table.schema.as_deref();
            Some(Reference {
                at,
                key,
                known: parent.is_some_and(|parent| unique(parent, &names)),
                child: bound(own, &table.name, &key.columns, Some(table)),
                parent: bound(schema, &key.references, &columns, parent),
            })
        }));
    }
    found
}

/// Rows that refer to nothing: which, why they are taken out, and the statement that removes them.
struct Orphans {
    only: String,
    why: String,
    remove: String,
}

impl Orphans {
    fn out<'o>(&'o self, of: &'o Reference<'_>) -> Out<'o> {
        Out {
            hazard: Hazard::Orphan,
            columns: &of.key.columns,
            why: &self.why,
            before: &[],
            only: &self.only,
            remove: &self.remove,
        }
    }
}

impl Copying<'_> {
    /// The foreign keys whose orphans are set aside, or those where they are not.
    fn references(&self, whose: Whose, set_aside: bool) -> Vec<Reference<'_>> {
        let mut found = references(self.looked, whose);
        let asked = |of: &Reference<'_>| {
            let plan = &self.looked.plan.tables[of.at];
            let policy = self.policy(plan, of.key.columns.first(), Hazard::Orphan);
            (policy != Policy::Fail) == set_aside
        };
        // An engine that makes keys with the table makes those, too, that can never hold.
        let all = self.to.dialect().landing().inline() != Inline::Everything;
        found.retain(|of| (all || of.known) && asked(of));
        found
    }

    /// Takes rows out that refer to rows that are not there, where the policy says so: again and again, for what refers to
    /// them has nothing to refer to either.
    pub(super) async fn without_orphans(
        &mut self,
        tallies: &mut [Tally],
        sink: &mut dyn Sink,
    ) -> Result<(), Failure> {
        let references = self.references(Whose::Made, true);
        if self.job.what == What::Schema || references.is_empty() {
            return Ok(());
        }
        let rules = self.to.dialect().rules();
        let mut session = self.another().await?;
        self.prepared(&mut *session).await?;
        let mut any = false;
        for of in &references {
            let only = of.orphans(rules);
            any = any
                || self
                    .counted(&of.child, &only, &mut *session)
                    .await?
                    .is_some();
        }
        drop(references);
        if any {
            // Nothing that cascades, and nothing that is in the way.
            self.free().await?;
        }
        let references = self.references(Whose::Made, true);
        loop {
            let mut removed = 0;
            for of in &references {
                let orphans = self.orphans_of(of);
                let tally = &mut tallies[of.at];
                let gone = self
                    .take_out(of.at, &orphans.out(of), &mut *session, tally)
                    .await?;
                if gone > 0 {
                    sink.event(&Event::Note {
                        message: format!(
                            "{gone} rows of {} refer to rows of {} that are not there: set aside",
                            of.child.label(),
                            of.parent.label()
                        ),
                    });
                }
                removed += gone;
            }
            if removed == 0 {
                break;
            }
        }
        session.close().await;
        Ok(())
    }

    fn orphans_of(&self, of: &Reference<'_>) -> Orphans {
        let (columns, dialect) = (of.columns(), self.to.dialect());
        let aside = dialect.aside();
        Orphans {
            only: of.orphans(dialect.rules()),
            why: format!("refers to a row of {} that is not there", of.parent.label()),
            remove: aside.remove_orphans(&of.child, &columns, &of.parent, &columns),
        }
    }

    /// The foreign keys of tables that are there, whose orphans are set aside within the transaction that fills the tables.
    /// Where rows are added, those are left out of which rows refer to nothing already: nobody could tell them from ours.
    pub(super) async fn references_there(
        &self,
        session: &mut dyn Session,
    ) -> Result<Vec<Reference<'_>>, Failure> {
        let mut found = self.references(Whose::There, true);
        if self.job.existing == Some(Existing::Replace) {
            return Ok(found);
        }
        let mut clean = vec![];
        for of in found.drain(..) {
            let only = of.orphans(self.to.dialect().rules());
            if self.counted(&of.child, &only, session).await?.is_none() {
                clean.push(of);
            }
        }
        Ok(clean)
    }

    /// Takes rows out that refer to rows that are not there, in the open transaction. `tallies`: of the tables at these places.
    pub(super) async fn strike_orphans(
        &self,
        references: &[Reference<'_>],
        places: &[usize],
        tallies: &mut [Tally],
        session: &mut dyn Session,
    ) -> Result<(), Failure> {
        loop {
            let mut removed = 0;
            for of in references {
                let Some(place) = places.iter().position(|at| *at == of.at) else {
                    continue;
                };
                let orphans = self.orphans_of(of);
                let gone = self.strike(of.at, &orphans.out(of), session).await?;
                tallies[place].removed = tallies[place].removed.merge(gone);
                removed += gone.rows;
            }
            if removed == 0 {
                return Ok(());
            }
        }
    }

    /// Where the target looks at no foreign key while rows come: whether it holds rows that refer to nothing. They end the
    /// copy; a copy from a database of the same engine keeps them, as they were there, and names them.
    pub(super) async fn orphans_that_stay(&self, as_is: bool) -> Result<Vec<Finding>, Failure> {
        let references = self.references(Whose::Made, false);
        let looks = self.to.dialect().landing().inline() != Inline::Everything;
        if self.job.what == What::Schema || references.is_empty() || looks {
            return Ok(vec![]);
        }
        let mut session = self.another().await?;
        let mut found = vec![];
        for of in &references {
            let Some(said) = self.said_of_orphans(of, &mut *session).await? else {
                continue;
            };
            if !as_is {
                let mut failure = Failure::new(FailureClass::Failed, Hazard::Orphan.code(), said)
                    .hint(hint(Hazard::Orphan));
                failure
                    .done
                    .push("all rows are in the target; `--resume` goes on from here".into());
                return Err(failure);
            }
            let place = Place::object(of.child.label());
            found.push(Finding::warning(
                Hazard::Orphan.code(),
                place,
                format!("{said}, as in the source"),
            ));
        }
        session.close().await;
        Ok(found)
    }
}
