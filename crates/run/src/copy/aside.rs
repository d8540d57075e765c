//! Rows that a key of the target refuses: named under the policy `fail`, under the others written down and taken out of the
//! target before the key is made. Those of foreign keys: [`super::orphans`].
//!
//! What is taken out and the record of it are one transaction: a copy that dies goes on behind it. A row's hash is taken out of
//! the digest with the row, as it was read from the target: the proof stays one of every row that was sent.

use super::Copying;
use super::ledger::{self, Done};
use super::rejects::Reject;
use super::rows::{self, Tally};
use crate::observe;
use dunlin_core::copy::plan::TablePlan;
use dunlin_core::copy::policy::{Hazard, Policy};
use dunlin_core::copy::reading::{Bound, BoundColumn, ColumnShape};
use dunlin_core::copy::stages::{Made, Of};
use dunlin_core::copy::{Cell, Digest, RowHasher};
use dunlin_core::dialect::aside::Indexed;
use dunlin_core::dialect::catalog::Part;
use dunlin_core::failure::{ErrorClass, Failure, FailureClass};
use dunlin_core::journal;
use dunlin_core::schema::{ForeignKey, NeutralType, Scope, Table, label};
use dunlin_engines::{DbError, Session};

/// Columns of a table, by name.
pub(super) fn bound(
    schema: Option<&str>,
    name: &str,
    columns: &[String],
    of: Option<&Table>,
) -> Bound {
    let column = |name: &String| {
        let known = of.and_then(|table| table.column(name));
        let shape = ColumnShape {
            name: name.clone(),
            native: known.map_or(String::new(), |column| column.native.clone()),
            ty: known.map_or(NeutralType::Text, |column| column.neutral.clone()),
            generated: false,
        };
        BoundColumn {
            ty: shape.ty.clone(),
            shape,
        }
    };
    Bound {
        name: label(schema, name),
        schema: schema.map(str::to_owned),
        table: name.to_owned(),
        own_rows: false,
        columns: columns.iter().map(column).collect(),
    }
}

/// Rows that are taken out.
pub(super) struct Out<'o> {
    pub(super) hazard: Hazard,
    /// The columns of the target by which they are refused.
    pub(super) columns: &'o [String],
    pub(super) why: &'o str,
    /// Statements without which nobody can say which rows.
    pub(super) before: &'o [String],
    /// Which rows.
    pub(super) only: &'o str,
    /// The statement that removes them.
    pub(super) remove: &'o str,
}

impl Copying<'_> {
    /// The column of the source behind one of the target.
    fn source_column<'p>(plan: &'p TablePlan, target: &'p str) -> &'p str {
        let found = plan.columns.iter().find(|column| column.target == target);
        found.map_or(target, |column| column.source.as_str())
    }

    pub(super) fn policy(
        &self,
        plan: &TablePlan,
        column: Option<&String>,
        hazard: Hazard,
    ) -> Policy {
        let table = label(plan.source.0.as_deref(), &plan.source.1);
        let column = column.map_or("", |name| Self::source_column(plan, name));
        self.job.policies.of(&table, column, hazard)
    }

    /// Of rejects that a run before this one wrote those are struck out whose rows come again.
    pub(super) fn known_rejects(&self) -> Result<(), Box<Failure>> {
        if !self.history.goes_on() {
            return Ok(());
        }
        let mut removed: std::collections::BTreeMap<&str, u64> = self
            .history
            .tables
            .iter()
            .map(|(table, done)| (table.as_str(), done.removed.0))
            .collect();
        self.rejects.strike(|line| {
            let table = line["table"].as_str().unwrap_or_default();
            let Some(done) = self.history.tables.get(table) else {
                return true;
            };
            let taken_out = match line["code"].as_str().and_then(Hazard::by_code) {
                Some(Hazard::Orphan) => true,
                Some(Hazard::DuplicateKey) => !done.once,
                Some(Hazard::TooLong) => line["reason"] != Hazard::TooLong.sentence(),
                _ => false,
            };
            if !taken_out {
                return false;
            }
            let left = removed.get_mut(table).filter(|left| **left > 0);
            left.map(|left| *left -= 1).is_none()
        })
    }

    /// A table is done no more, and with it what was made of it.
    pub(super) async fn undone(
        &mut self,
        at: usize,
        detail: serde_json::Value,
    ) -> Result<(), Failure> {
        self.free().await?;
        let place = self.place(&self.looked.plan.tables[at]);
        let mut records = vec![ledger::record(
            journal::Event::Undone,
            "table",
            &self.hash,
            detail,
        )];
        for made in &self.stages.after {
            let name = ledger::made(&made.what);
            let dropped = place.is_some_and(|place| !self.stages.early.contains(&place));
            if made.table == place && dropped && self.history.made.contains(&name) {
                let detail = serde_json::json!({ "made": made.what });
                records.push(ledger::record(
                    journal::Event::Undone,
                    &name,
                    &self.hash,
                    detail,
                ));
                self.history.made.retain(|known| *known != name);
            }
        }
        let written = self.pen.append(self.to, &mut *self.work, &records).await;
        written.map_err(|error| ledger::failure(self.to, &error, "cannot write the journal"))
    }

    /// Drops the foreign keys that were made: rows are going to be removed that they speak of.
    pub(super) async fn free(&mut self) -> Result<(), Failure> {
        let stages = self.stages;
        let is_made = |made: &&Made| {
            matches!(made.of, Of::ForeignKey(_))
                && self.history.made.contains(&ledger::made(&made.what))
        };
        let made: Vec<&Made> = stages.after.iter().filter(is_made).collect();
        if made.is_empty() {
            return Ok(());
        }
        let wrong =
            |error: &DbError| ledger::failure(self.to, error, "a foreign key cannot be dropped");
        let scope = Scope::new(vec![], vec![], &self.to.names, self.to.sql.tables.clone());
        let there = observe::catalog(&mut *self.work, &scope)
            .await
            .map_err(|error| wrong(&error))?;
        let dialect = self.to.dialect();
        let mut dropped: Vec<&ForeignKey> = vec![];
        for made in made {
            let (Some(place), Of::ForeignKey(number)) = (made.table, made.of) else {
                continue;
            };
            let table = &self.looked.plan.catalog.tables[place];
            let key = &table.foreign_keys[number];
            // Of two that are alike each is dropped once.
            let same = |found: &&ForeignKey| {
                let fresh = !dropped.iter().any(|gone| std::ptr::eq(*gone, *found));
                fresh && found.columns == key.columns && found.references == key.references
            };
            let found = there.table(table.schema.as_deref(), &table.name);
            let found = found.and_then(|found| found.foreign_keys.iter().find(same));
            dropped.extend(found);
            let detail = serde_json::json!({ "made": made.what });
            let name = ledger::made(&made.what);
            // The record first: what is dropped and recorded as made would never be made again.
            let record = ledger::record(journal::Event::Undone, &name, &self.hash, detail);
            let written = self.pen.append(self.to, &mut *self.work, &[record]).await;
            written.map_err(|error| wrong(&error))?;
            self.history.made.retain(|known| *known != name);
            let drop = found.map(|found| dialect.catalog().drop(Part::ForeignKey(table, found)));
            for sql in drop
                .transpose()
                .map_err(|why| unfree(table, &why))?
                .unwrap_or_default()
            {
                let dropped = self.work.execute(&sql).await;
                dropped.map_err(|error| wrong(&error))?;
            }
        }
        Ok(())
    }

    /// How many rows, where there are any.
    pub(super) async fn counted(
        &self,
        table: &Bound,
        only: &str,
        session: &mut dyn Session,
    ) -> Result<Option<String>, Failure> {
        let sql = session.dialect().rules().count(table, Some(only));
        let rows = session.query(&sql, &[]).await.map_err(|error| {
            ledger::failure(self.to, &error, "rows without a parent cannot be counted")
        })?;
        let count = rows.first().and_then(|row| Some(row.first()?.shown()));
        Ok(count.filter(|count| count != "0"))
    }

    /// Takes the rows out for which a key or an index cannot be made, where the engine shows which they are. `false`: it does
    /// not, or there are none.
    pub(super) async fn without(
        &self,
        hazard: Hazard,
        made: &Made,
        at: usize,
        session: &mut dyn Session,
        tally: &mut Tally,
    ) -> Result<bool, Failure> {
        let Some((table, of, columns)) = self.indexed(made) else {
            return Ok(false);
        };
        let aside = self.to.dialect().aside();
        let found = match hazard {
            Hazard::DuplicateKey => aside.repeated(table, of).map(|only| {
                let why = hazard.sentence().to_owned();
                (vec![], only, why)
            }),
            _ => aside.too_long(table, of).map(|long| {
                let why = format!("is too long for the {}", made.what);
                (long.before, long.only, why)
            }),
        };
        let Some((before, only, why)) = found else {
            return Ok(false);
        };
        let plan = rows::target(&self.looked.plan.tables[at]);
        let out = Out {
            hazard,
            columns: &columns,
            why: &why,
            before: &before,
            only: &only,
            remove: &aside.remove(&plan, &only),
        };
        Ok(self.take_out(at, &out, session, tally).await? > 0)
    }

    /// What has an index, and over which columns.
    pub(super) fn indexed(&self, made: &Made) -> Option<(&Table, Indexed<'_>, Vec<String>)> {
        let table = &self.looked.plan.catalog.tables[made.table?];
        match made.of {
            Of::Key(number) => {
                let key = &table.keys[number];
                Some((table, Indexed::Key(key), key.columns.clone()))
            }
            Of::Index(number) => {
                let index = &table.indexes[number];
                let plain = index.parts.iter().filter(|part| !part.expression);
                let names = plain.map(|part| part.what.clone()).collect();
                Some((table, Indexed::Index(index), names))
            }
            _ => None,
        }
    }

    /// What is the matter with rows for which a key or an index cannot be made, where they are set aside for it.
    pub(super) fn set_aside_for(&self, made: &Made, at: usize, error: &DbError) -> Option<Hazard> {
        let (_, _, columns) = self.indexed(made)?;
        let hazard = match error.class {
            ErrorClass::Unique => Hazard::DuplicateKey,
            ErrorClass::Data => Hazard::TooLong,
            _ => return None,
        };
        let policy = self.policy(&self.looked.plan.tables[at], columns.first(), hazard);
        (policy != Policy::Fail).then_some(hazard)
    }

    /// Reads rows, writes them down and removes them, in one transaction with the record.
    pub(super) async fn take_out(
        &self,
        at: usize,
        out: &Out<'_>,
        session: &mut dyn Session,
        tally: &mut Tally,
    ) -> Result<u64, Failure> {
        let plan = &self.looked.plan.tables[at];
        let wrong = |error: &DbError| {
            let doing = format!("rows of {} cannot be set aside", plan.target.1);
            ledger::failure(self.to, error, &doing)
        };
        session.begin().await.map_err(|error| wrong(&error))?;
        let pins = session.dialect().change().pins().iter().copied();
        for sql in pins.chain(out.before.iter().map(String::as_str)) {
            session.execute(sql).await.map_err(|error| wrong(&error))?;
        }
        let outcome = self.take_out_in(plan, at, out, session, tally).await;
        match outcome {
            Ok(0) => {
                let _ = session.rollback().await;
                Ok(0)
            }
            Ok(gone) => Ok(gone),
            Err(failure) => {
                let _ = session.rollback().await;
                Err(failure)
            }
        }
    }

    async fn take_out_in(
        &self,
        plan: &TablePlan,
        at: usize,
        out: &Out<'_>,
        session: &mut dyn Session,
        tally: &mut Tally,
    ) -> Result<u64, Failure> {
        let gone = self.strike(at, out, session).await?;
        if gone.rows == 0 {
            return Ok(0);
        }
        let mut after = tally.clone();
        after.removed = after.removed.merge(gone);
        let detail = serde_json::to_value(Done::of(plan, &after)).unwrap_or_default();
        let record = ledger::record(journal::Event::Done, "table", &self.hash, detail);
        self.rejects.sync().map_err(|failure| *failure)?;
        ledger::commit(self.to, session, &self.pen, record).await?;
        *tally = after;
        Ok(gone.rows)
    }

    /// Writes rows down and removes them, in the open transaction. Gives their digest.
    pub(super) async fn strike(
        &self,
        at: usize,
        out: &Out<'_>,
        session: &mut dyn Session,
    ) -> Result<Digest, Failure> {
        let plan = &self.looked.plan.tables[at];
        let wrong = |error: &DbError| {
            let doing = format!("rows of {} cannot be set aside", plan.target.1);
            ledger::failure(self.to, error, &doing)
        };
        let gone = self.write_down(plan, at, out, session).await?;
        if gone.rows == 0 {
            return Ok(gone);
        }
        let removed = session.execute(out.remove).await;
        let removed = removed.map_err(|error| wrong(&error))?;
        if removed != gone.rows {
            let message = format!(
                "{} rows of {} are to be set aside, and {removed} were removed: somebody else writes there",
                gone.rows, plan.target.1
            );
            return Err(wrong(&DbError::new(ErrorClass::Other, message)));
        }
        Ok(gone)
    }

    /// Writes the rows down and gives their digest.
    async fn write_down(
        &self,
        plan: &TablePlan,
        at: usize,
        out: &Out<'_>,
        session: &mut dyn Session,
    ) -> Result<Digest, Failure> {
        let doing = format!("rows of {} cannot be read", plan.target.1);
        let wrong = |error: &DbError| ledger::failure(self.to, error, &doing);
        let table = rows::target(plan);
        let dialect = session.dialect();
        let select = dialect.rows().select(&table);
        let select = dialect.change().filtered(&select, Some(out.only));
        let mut hasher = RowHasher::new(table.types(), dialect.rows().typing());
        let place = |name: &String| plan.columns.iter().position(|c| c.target == *name);
        let by: Vec<usize> = out.columns.iter().filter_map(place).collect();
        let of_source = |name: &String| plan.columns.iter().position(|c| c.source == *name);
        let key: Vec<usize> = self.looked.keys[at].iter().filter_map(of_source).collect();
        let name = label(plan.source.0.as_deref(), &plan.source.1);
        let mut stream = session
            .stream(&select)
            .await
            .map_err(|error| wrong(&error))?;
        while let Some(batch) = stream.next().await.map_err(|error| wrong(&error))? {
            for row in 0..batch.len() {
                hasher.row(batch.row(row));
                let cells: Vec<Cell<'_>> = batch.row(row).collect();
                let named = |at: &usize| (plan.columns[*at].source.clone(), cells[*at]);
                let names: Vec<&str> = by
                    .iter()
                    .map(|at| plan.columns[*at].source.as_str())
                    .collect();
                let reject = Reject {
                    table: &name,
                    key: &key.iter().map(named).collect::<Vec<_>>(),
                    column: &names.join(", "),
                    code: out.hazard.code(),
                    value: by.first().map_or(Cell::Null, |at| cells[*at]),
                    reason: out.why,
                };
                self.rejects.write(&reject).map_err(|failure| *failure)?;
            }
        }
        Ok(hasher.digest())
    }
}

fn unfree(table: &Table, why: &str) -> Failure {
    let message = format!(
        "a foreign key of {} cannot be dropped: {why}",
        table.label()
    );
    Failure::new(FailureClass::Failed, "foreign-key-violated", message)
}
