//! Rows that refer to rows that are not there: set aside where the policy says so, else the end of the copy. Also in a target
//! that looks at no foreign key while rows come, and in tables that were there.

use super::aside::{Out, bound};
use super::broken::hint;
use super::look::Looked;
use super::repair::unique;
use super::rows::Tally;
use super::{Copying, Existing, What, ledger};
use dunlin_core::bulk::choose::references as referred;
use dunlin_core::copy::policy::{Hazard, Policy};
use dunlin_core::copy::reading::Bound;
use dunlin_core::dialect::aside::{AsideDialect, Old};
use dunlin_core::dialect::landing::Inline;
use dunlin_core::event::{Event, Sink};
use dunlin_core::failure::{Failure, FailureClass};
use dunlin_core::finding::{Finding, Place};
use dunlin_core::schema::order::parent;
use dunlin_core::schema::{ForeignKey, Table};
use dunlin_engines::{DbError, Session};

/// A foreign key of a table whose rows were copied.
pub(super) struct Reference<'l> {
    /// The table's place in the plan.
    pub(super) at: usize,
    pub(super) key: &'l ForeignKey,
    pub(super) child: Bound,
    pub(super) parent: Bound,
    /// The row that it refers to is one, and found by a key.
    known: bool,
    /// The rows that referred to nothing before, where they can be told from ours.
    old: Option<Old>,
}

/// What to do where a row of ours refers to the very nothing that one of the target's own refers to.
pub(super) const ALIKE: &str = "in a table without a primary key, rows that refer to the same row that is not there cannot be told \
    apart: give it a key, or mend the rows that are there";

impl Reference<'_> {
    /// Rows of ours may not be told from some that were there.
    pub(super) fn is_blurred(&self) -> bool {
        self.old.as_ref().is_some_and(|old| old.shared)
    }

    pub(super) fn columns(&self) -> Vec<usize> {
        (0..self.key.columns.len()).collect()
    }

    /// That a row refers to one that is not there, and did not do so before.
    pub(super) fn orphans(&self, aside: &dyn AsideDialect) -> String {
        aside.orphans(
            &self.child,
            &self.parent,
            &self.columns(),
            self.old.as_ref(),
        )
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
                old: None,
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
        let aside = self.to.dialect().aside();
        let mut session = self.another().await?;
        self.prepared(&mut *session).await?;
        let mut any = false;
        for of in &references {
            let only = of.orphans(aside);
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
        let (columns, aside) = (of.columns(), self.to.dialect().aside());
        Orphans {
            only: of.orphans(aside),
            why: format!("refers to a row of {} that is not there", of.parent.label()),
            remove: aside.remove_orphans(&of.child, &of.parent, &columns, of.old.as_ref()),
        }
    }

    /// The foreign keys of tables that are there: those whose orphans are set aside within the transaction that fills the
    /// tables, and those whose orphans end it. Where rows are added, rows that refer to nothing already are told from ours by
    /// their keys, in tables without one by what they refer to.
    pub(super) async fn references_there(
        &self,
        places: &[usize],
        set_aside: bool,
        session: &mut dyn Session,
    ) -> Result<Vec<Reference<'_>>, Failure> {
        let mut found = self.references(Whose::There, set_aside);
        found.retain(|of| places.contains(&of.at));
        if self.job.existing == Some(Existing::Replace) {
            return Ok(found);
        }
        let mut told = vec![];
        for (number, mut of) in found.drain(..).enumerate() {
            let only = of.orphans(self.to.dialect().aside());
            if self.counted(&of.child, &only, session).await?.is_none() {
                told.push(of);
                continue;
            }
            let (schema, name) = (of.child.schema.as_deref(), &of.child.table);
            let table = self.looked.there.table(schema, name);
            if let Some(table) = table {
                let key = table.keys.iter().find(|key| key.primary);
                let old = Old {
                    name: format!("dunlin_old_{}{number}", u8::from(set_aside)),
                    key: key.map_or_else(|| of.key.columns.clone(), |key| key.columns.clone()),
                    shared: key.is_none(),
                };
                // Who may not make such a table cannot tell them apart either.
                if self.made_for(&old, table, session).await? {
                    of.old = Some(old);
                    told.push(of);
                }
            }
        }
        Ok(told)
    }

    async fn made_for(
        &self,
        old: &Old,
        table: &Table,
        session: &mut dyn Session,
    ) -> Result<bool, Failure> {
        for sql in old.make(self.to.dialect().aside(), table) {
            match session.execute(&sql).await {
                Ok(_) => {}
                Err(error) if error.class.is_lost() => return Err(self.untold(&error)),
                Err(_) => return Ok(false),
            }
        }
        Ok(true)
    }

    fn untold(&self, error: &DbError) -> Failure {
        let doing = "rows that refer to nothing already cannot be told from those that come";
        ledger::failure(self.to, error, doing)
    }

    /// Writes down which rows refer to nothing already, in the open transaction, before any come.
    pub(super) async fn note_old<'r>(
        &self,
        references: impl Iterator<Item = &'r Reference<'r>>,
        session: &mut dyn Session,
    ) -> Result<(), Failure> {
        let aside = self.to.dialect().aside();
        for of in references {
            let Some(old) = &of.old else { continue };
            let only = aside.orphans(&of.child, &of.parent, &of.columns(), None);
            let noted = session.execute(&old.fill(aside, &of.child, &only)).await;
            noted.map_err(|error| self.untold(&error))?;
        }
        Ok(())
    }

    /// Whether rows came that refer to nothing, and under whose policy that ends the copy: which.
    pub(super) async fn none_came(
        &self,
        references: &[Reference<'_>],
        session: &mut dyn Session,
    ) -> Result<(), Failure> {
        for of in references {
            let Some(said) = self.said_of_orphans(of, session).await? else {
                continue;
            };
            let message = format!("{said}: nothing was changed");
            let failure = Failure::new(FailureClass::Failed, Hazard::Orphan.code(), message);
            return Err(failure.hint(hint(Hazard::Orphan)));
        }
        Ok(())
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
