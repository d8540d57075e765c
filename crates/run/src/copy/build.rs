//! Indexes and foreign keys by less work than one statement for each and one look at every row: all plain indexes of a table
//! in one reading of it, and foreign keys of rows that one query has looked at while nobody could write.
//!
//! What an engine refuses of this is made one by one, as on engines that offer nothing of the kind, and says there why.

use super::after::{pressed, until_pressed};
use super::orphans::{Whose, references};
use super::{Copying, What, ledger};
use crate::control::Control;
use crate::observe;
use dunlin_core::bulk::choose::references as referred;
use dunlin_core::copy::reading::Bound;
use dunlin_core::copy::stages::{Made, Of};
use dunlin_core::dialect::landing::Held;
use dunlin_core::failure::{ErrorClass, Failure};
use dunlin_core::journal;
use dunlin_core::schema::order::parent;
use dunlin_core::schema::{Catalog, ForeignKey, Index, Scope, Table};
use dunlin_engines::{DbError, Session};

/// Whether a key or unique index of the table is over these columns: without its checks an engine takes others too.
fn is_key(table: &Table, columns: &[String]) -> bool {
    let over = |index: &Index| {
        let plain = index
            .parts
            .iter()
            .all(|part| !part.expression && part.length.is_none());
        let names = index.parts.iter().map(|part| &part.what);
        index.unique && index.predicate.is_none() && plain && names.eq(columns)
    };
    table.keys.iter().any(|key| key.columns == columns) || table.indexes.iter().any(over)
}

impl Copying<'_> {
    /// Makes the plain indexes of a table in one statement, where the engine has one. Gives what is left to be made.
    pub(super) async fn at_once<'m>(
        &self,
        group: &[&'m Made],
        session: &mut dyn Session,
        control: &Control,
    ) -> Result<Vec<&'m Made>, Failure> {
        let catalog = &self.looked.plan.catalog;
        let fresh = |made: &Made| !self.history.made.contains(&ledger::made(&made.what));
        let index = |made: &Made| match (made.table, made.of) {
            (Some(table), Of::Index(number)) if fresh(made) => {
                catalog.tables[table].indexes.get(number)
            }
            _ => None,
        };
        let all: Vec<&Index> = group.iter().filter_map(|made| index(made)).collect();
        let table = group.first().and_then(|made| made.table);
        let sql = table.and_then(|table| {
            let landing = session.dialect().landing();
            landing.at_once(&catalog.tables[table], &all)
        });
        let Some(sql) = sql else {
            return Ok(group.to_vec());
        };
        let canceller = session.canceller();
        if let Err(error) = until_pressed(&*canceller, control, session.execute(&sql)).await {
            if error.class == ErrorClass::Cancelled {
                pressed(control)?;
            }
            return Ok(group.to_vec());
        }
        let (done, left): (Vec<&Made>, Vec<&Made>) =
            group.iter().partition(|made| index(made).is_some());
        let records: Vec<_> = done
            .iter()
            .map(|made| {
                let detail = serde_json::json!({ "made": made.what });
                let name = ledger::made(&made.what);
                ledger::record(journal::Event::Done, &name, &self.hash, detail)
            })
            .collect();
        let written = self.pen.append(self.to, session, &records).await;
        written.map_err(|error| ledger::failure(self.to, &error, "cannot write the journal"))?;
        Ok(left)
    }

    /// Adds a foreign key after a look at its rows, while nobody can write to either table. `false`: not so here, and
    /// nothing has happened.
    pub(super) async fn proven_key(
        &self,
        made: &Made,
        session: &mut dyn Session,
        control: &Control,
    ) -> Result<bool, Failure> {
        let done = self.history.made.contains(&ledger::made(&made.what));
        let Some((child, parent, held)) = self.held(made, session).filter(|_| !done) else {
            return Ok(false);
        };
        for sql in &held.hold {
            if session.execute(sql).await.is_err() {
                free(&held, session).await;
                return Ok(false);
            }
        }
        let added = self
            .add_held(made, (&child, &parent), &held, session, control)
            .await;
        free(&held, session).await;
        match added {
            Ok(()) => self.made(made, session).await.map(|()| true),
            Err(error) => {
                if error.class == ErrorClass::Cancelled {
                    pressed(control)?;
                }
                Err(self.not_made(made, &error, session).await)
            }
        }
    }

    /// Whether a foreign key is there that no record speaks of: the run before this one died in between, and a key without a
    /// name of its own would be made twice.
    pub(super) async fn stands(
        &self,
        made: &Made,
        session: &mut dyn Session,
    ) -> Result<bool, Failure> {
        let recorded = |made: &Made| self.history.made.contains(&ledger::made(&made.what));
        let Of::ForeignKey(number) = made.of else {
            return Ok(false);
        };
        let together = session.caps().transactional_ddl;
        if together || !self.history.goes_on() || recorded(made) {
            return Ok(false);
        }
        let Some(place) = made.table else {
            return Ok(false);
        };
        let table = &self.looked.plan.catalog.tables[place];
        let key = &table.foreign_keys[number];
        let scope = Scope::new(vec![], vec![], &self.to.names, self.to.sql.tables.clone());
        let there = observe::catalog(session, &scope).await;
        let there = there.map_err(|error| {
            ledger::failure(self.to, &error, "the target's foreign keys cannot be read")
        })?;
        let of = |catalog: &Catalog, key: &ForeignKey| {
            let parent = parent(&catalog.tables, key).map(|at| &catalog.tables[at]);
            let columns = parent.and_then(|parent| referred(key, parent));
            let columns = columns.unwrap_or_else(|| key.references_columns.clone());
            (key.columns.clone(), key.references.to_lowercase(), columns)
        };
        let wanted = of(&self.looked.plan.catalog, key);
        let found = there.table(table.schema.as_deref(), &table.name);
        let found = found.map_or(&[][..], |found| &found.foreign_keys);
        let found = found.iter().filter(|key| of(&there, key) == wanted).count();
        // The source may have the same key twice: those before this one are there by now.
        let ours = self.stages.after.iter().filter(|other| {
            let Of::ForeignKey(at) = other.of else {
                return false;
            };
            let made = other.table == Some(place) && (at < number || recorded(other));
            made && of(&self.looked.plan.catalog, &table.foreign_keys[at]) == wanted
        });
        Ok(found > ours.count())
    }

    /// Both ends of a foreign key, and how their rows are held, where the engine takes a key on our word.
    fn held(&self, made: &Made, session: &dyn Session) -> Option<(Bound, Bound, Held)> {
        let Of::ForeignKey(number) = made.of else {
            return None;
        };
        let catalog = &self.looked.plan.catalog;
        let key = catalog.tables[made.table?].foreign_keys.get(number)?;
        let all = references(self.looked, Whose::Made);
        let of = all.into_iter().find(|of| std::ptr::eq(of.key, key))?;
        let schema = key.references_schema.as_deref();
        let made = catalog.table(schema, &key.references);
        let table = made.or_else(|| self.looked.there.table(schema, &key.references))?;
        let columns: Vec<String> = of
            .parent
            .columns
            .iter()
            .map(|c| c.shape.name.clone())
            .collect();
        if !is_key(table, &columns) || self.job.what == What::Data {
            return None;
        }
        let held = session.dialect().landing().held(&of.child, &of.parent)?;
        Some((of.child, of.parent, held))
    }

    /// The look and the key, in between others that hold the tables.
    async fn add_held(
        &self,
        made: &Made,
        (child, parent): (&Bound, &Bound),
        held: &Held,
        session: &mut dyn Session,
        control: &Control,
    ) -> Result<(), DbError> {
        let rules = session.dialect().rules();
        let columns: Vec<usize> = (0..child.columns.len()).collect();
        let only = rules.orphans(child, &columns, parent, &columns);
        let one = format!("{} LIMIT 1", rules.select(child, &[], Some(&only)));
        let canceller = session.canceller();
        let found = until_pressed(&*canceller, control, session.query(&one, &[])).await?;
        if !found.is_empty() {
            let message = "rows refer to rows that are not there";
            return Err(DbError::new(ErrorClass::ForeignKey, message));
        }
        for sql in held.trust {
            session.execute(sql).await?;
        }
        self.run_all(made, session, control).await
    }
}

async fn free(held: &Held, session: &mut dyn Session) {
    for sql in held.free {
        // A session that cannot do it is lost, and its locks with it: what comes next says so.
        let _ = session.execute(sql).await;
    }
}
