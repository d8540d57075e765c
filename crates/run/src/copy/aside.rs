//! Rows that a key or a foreign key of the target refuses: named under the policy `fail`, under the others written down and
//! taken out of the target before the key is made.
//!
//! What is taken out and the record of it are one transaction: a copy that dies goes on behind it. A row's hash is taken out of
//! the digest with the row, as it was read from the target: the proof stays one of every row that was sent.

use super::ledger::{self, Done};
use super::look::Looked;
use super::rejects::Reject;
use super::rows::{self, Tally};
use super::{Copying, What};
use crate::observe;
use dunlin_core::copy::plan::TablePlan;
use dunlin_core::copy::policy::{Hazard, Policy};
use dunlin_core::copy::reading::{Bound, BoundColumn, ColumnShape};
use dunlin_core::copy::stages::{Made, Of};
use dunlin_core::copy::{Cell, Digest, RowHasher};
use dunlin_core::dialect::aside::Once;
use dunlin_core::dialect::catalog::Part;
use dunlin_core::event::{Event, Sink};
use dunlin_core::failure::{ErrorClass, Failure, FailureClass};
use dunlin_core::journal;
use dunlin_core::schema::{ForeignKey, NeutralType, Scope, Table, label};
use dunlin_engines::{DbError, Session};

/// How many keys a message shows.
const SHOWN: usize = 3;

/// What to do about rows that a key refuses.
pub(super) fn hint(hazard: Hazard) -> String {
    format!(
        "`--resume --policy {}=reject` sets such rows aside and writes them down; or mend them in the source \
         (`dunlin check`, `dunlin clean`) and copy anew",
        hazard.code()
    )
}

/// Columns of a table, by name.
fn bound(schema: Option<&str>, name: &str, columns: &[String], of: Option<&Table>) -> Bound {
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

/// A foreign key of a table whose rows were copied.
struct Reference<'l> {
    /// The table's place in the plan.
    at: usize,
    key: &'l ForeignKey,
    child: Bound,
    parent: Bound,
}

impl Reference<'_> {
    fn columns(&self) -> Vec<usize> {
        (0..self.key.columns.len()).collect()
    }
}

/// The foreign keys of tables that were copied.
fn references(looked: &Looked) -> Vec<Reference<'_>> {
    let catalog = &looked.plan.catalog;
    let mut found = vec![];
    for (at, plan) in looked.plan.tables.iter().enumerate() {
        let Some(table) = catalog.table(plan.target.0.as_deref(), &plan.target.1) else {
            continue;
        };
        found.extend(table.foreign_keys.iter().filter_map(|key| {
            let schema = key.references_schema.as_deref();
            let parent = catalog
                .table(schema, &key.references)
                .or_else(|| looked.there.table(schema, &key.references));
            let mut columns = key.references_columns.clone();
            if columns.is_empty() {
                let primary = parent?.keys.iter().find(|key| key.primary)?;
                columns.clone_from(&primary.columns);
            }
            let own = table.schema.as_deref();
            Some(Reference {
                at,
                key,
                child: bound(own, &table.name, &key.columns, Some(table)),
                parent: bound(schema, &key.references, &columns, parent),
            })
        }));
    }
    found
}

/// Rows that are taken out.
struct Out<'o> {
    hazard: Hazard,
    /// The columns of the target by which they are refused.
    columns: &'o [String],
    why: &'o str,
    /// Which rows.
    only: &'o str,
    /// The statement that removes them.
    remove: &'o str,
}

impl Copying<'_> {
    /// The column of the source behind one of the target.
    fn source_column<'p>(plan: &'p TablePlan, target: &'p str) -> &'p str {
        let found = plan.columns.iter().find(|column| column.target == target);
        found.map_or(target, |column| column.source.as_str())
    }

    fn policy(&self, plan: &TablePlan, column: Option<&String>, hazard: Hazard) -> Policy {
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
        let late = [Hazard::Orphan.code(), Hazard::DuplicateKey.code()];
        self.rejects.strike(|line| {
            let table = line["table"].as_str().unwrap_or_default();
            let Some(done) = self.history.tables.get(table) else {
                return true;
            };
            let of_load = done.once && line["code"] == Hazard::DuplicateKey.code();
            if of_load || !late.iter().any(|code| line["code"] == *code) {
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
    async fn free(&mut self) -> Result<(), Failure> {
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
        for made in made {
            let (Some(place), Of::ForeignKey(number)) = (made.table, made.of) else {
                continue;
            };
            let table = &self.looked.plan.catalog.tables[place];
            let key = &table.foreign_keys[number];
            let same = |found: &&ForeignKey| {
                found.columns == key.columns && found.references == key.references
            };
            let found = there.table(table.schema.as_deref(), &table.name);
            let found = found.and_then(|found| found.foreign_keys.iter().find(same));
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

    /// Takes rows out that refer to rows that are not there, where the policy says so: again and again, for what refers to
    /// them has nothing to refer to either.
    pub(super) async fn without_orphans(
        &mut self,
        tallies: &mut [Tally],
        sink: &mut dyn Sink,
    ) -> Result<(), Failure> {
        if self.job.what == What::Schema {
            return Ok(());
        }
        let policed = |this: &Self, of: &Reference<'_>| {
            let plan = &this.looked.plan.tables[of.at];
            this.policy(plan, of.key.columns.first(), Hazard::Orphan) != Policy::Fail
        };
        let mut references = references(self.looked);
        references.retain(|of| policed(self, of));
        if references.is_empty() {
            return Ok(());
        }
        let (rules, aside) = (self.to.dialect().rules(), self.to.dialect().aside());
        let mut session = self.another().await?;
        let mut first = true;
        loop {
            let mut removed = 0;
            for of in &references {
                let columns = of.columns();
                let only = rules.orphans(&of.child, &columns, &of.parent, &columns);
                if first
                    && !self
                        .counted(&of.child, &only, &mut *session)
                        .await?
                        .is_empty()
                {
                    // Nothing that cascades, and nothing that is in the way.
                    self.free().await?;
                    first = false;
                }
                let why = format!("refers to a row of {} that is not there", of.parent.label());
                let out = Out {
                    hazard: Hazard::Orphan,
                    columns: &of.key.columns,
                    why: &why,
                    only: &only,
                    remove: &aside.remove_orphans(&of.child, &columns, &of.parent, &columns),
                };
                let gone = self
                    .take_out(of.at, &out, &mut *session, &mut tallies[of.at])
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

    /// How many rows, where there are any.
    async fn counted(
        &self,
        table: &Bound,
        only: &str,
        session: &mut dyn Session,
    ) -> Result<String, Failure> {
        let sql = session.dialect().rules().count(table, Some(only));
        let rows = session.query(&sql, &[]).await.map_err(|error| {
            ledger::failure(self.to, &error, "rows without a parent cannot be counted")
        })?;
        let count = rows.first().and_then(|row| Some(row.first()?.shown()));
        Ok(count.filter(|count| count != "0").unwrap_or_default())
    }

    /// Takes rows out that repeat a key, where the engine shows which came first. `false`: it does not, or there are none.
    pub(super) async fn without_repeats(
        &self,
        made: &Made,
        at: usize,
        session: &mut dyn Session,
        tally: &mut Tally,
    ) -> Result<bool, Failure> {
        let Some((table, once, columns)) = self.once(made) else {
            return Ok(false);
        };
        let aside = self.to.dialect().aside();
        let Some(only) = aside.repeated(table, once) else {
            return Ok(false);
        };
        let plan = rows::target(&self.looked.plan.tables[at]);
        let out = Out {
            hazard: Hazard::DuplicateKey,
            columns: &columns,
            why: Hazard::DuplicateKey.sentence(),
            only: &only,
            remove: &aside.remove(&plan, &only),
        };
        Ok(self.take_out(at, &out, session, tally).await? > 0)
    }

    /// What is to be unique, and by which columns.
    fn once(&self, made: &Made) -> Option<(&Table, Once<'_>, Vec<String>)> {
        let table = &self.looked.plan.catalog.tables[made.table?];
        match made.of {
            Of::Key(number) => {
                let key = &table.keys[number];
                Some((table, Once::Key(key), key.columns.clone()))
            }
            Of::Index(number) => {
                let index = &table.indexes[number];
                let plain = index.parts.iter().filter(|part| !part.expression);
                let names = plain.map(|part| part.what.clone()).collect();
                index.unique.then_some((table, Once::Index(index), names))
            }
            _ => None,
        }
    }

    /// Whether what breaks this key is set aside.
    pub(super) fn sets_repeats_aside(&self, made: &Made, at: usize) -> bool {
        let plan = &self.looked.plan.tables[at];
        self.once(made).is_some_and(|(_, _, columns)| {
            self.policy(plan, columns.first(), Hazard::DuplicateKey) != Policy::Fail
        })
    }

    /// Reads rows, writes them down and removes them, in one transaction with the record.
    async fn take_out(
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
        for pin in session.dialect().change().pins() {
            session.execute(pin).await.map_err(|error| wrong(&error))?;
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
        let wrong = |error: &DbError| {
            let doing = format!("rows of {} cannot be set aside", plan.target.1);
            ledger::failure(self.to, error, &doing)
        };
        let gone = self.write_down(plan, at, out, session).await?;
        if gone.rows == 0 {
            return Ok(0);
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
        let mut after = tally.clone();
        after.removed = after.removed.merge(gone);
        let detail = serde_json::to_value(Done::of(plan, &after)).unwrap_or_default();
        let record = ledger::record(journal::Event::Done, "table", &self.hash, detail);
        self.rejects.sync().map_err(|failure| *failure)?;
        ledger::commit(self.to, session, &self.pen, record).await?;
        *tally = after;
        Ok(gone.rows)
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

    /// What a key that its rows break says: which rows, how many of them, and what can be done.
    pub(super) async fn broken(
        &self,
        made: &Made,
        error: &DbError,
        session: &mut dyn Session,
    ) -> Failure {
        let doing = format!("the {} cannot be made", made.what);
        let mut failure = ledger::failure(self.to, error, &doing);
        let (hazard, said) = match error.class {
            ErrorClass::Unique => (Hazard::DuplicateKey, self.repeats(made, session).await),
            ErrorClass::ForeignKey => (Hazard::Orphan, self.orphans(made, session).await),
            ErrorClass::Data if matches!(made.of, Of::Key(_) | Of::Index(_)) => {
                failure.code = Hazard::TooLong.code();
                failure.hints.push(
                    "a value is too long for the index: leave its row out at the source, or its table (`--exclude`)".into(),
                );
                return failure;
            }
            _ => return failure,
        };
        failure.code = hazard.code();
        if let Some(said) = said {
            failure.message = format!("{doing}: {said}");
        }
        failure.hints.push(hint(hazard));
        failure
    }

    /// Rows that refer to nothing, in words.
    async fn orphans(&self, made: &Made, session: &mut dyn Session) -> Option<String> {
        let Of::ForeignKey(number) = made.of else {
            return None;
        };
        let key = &self.looked.plan.catalog.tables[made.table?].foreign_keys[number];
        let mut references = references(self.looked);
        references.retain(|of| std::ptr::eq(of.key, key));
        let of = references.first()?;
        let rules = session.dialect().rules();
        let columns = of.columns();
        let only = rules.orphans(&of.child, &columns, &of.parent, &columns);
        let count = self.counted(&of.child, &only, session).await.ok()?;
        let some = format!(
            "{} LIMIT {SHOWN}",
            rules.select(&of.child, &columns, Some(&only))
        );
        let examples = examples(session, &some, &key.columns).await?;
        Some(format!(
            "{count} rows of {} refer to rows of {} that are not there ({examples})",
            of.child.label(),
            of.parent.label()
        ))
    }

    /// Rows that have the same key, in words.
    async fn repeats(&self, made: &Made, session: &mut dyn Session) -> Option<String> {
        let (table, once, columns) = self.once(made)?;
        let plain = match once {
            Once::Key(_) => true,
            Once::Index(index) => {
                index.predicate.is_none() && index.parts.iter().all(|part| !part.expression)
            }
        };
        if !plain {
            return None;
        }
        let of = bound(table.schema.as_deref(), &table.name, &columns, Some(table));
        let all: Vec<usize> = (0..columns.len()).collect();
        let sql = session.dialect().aside().repeats(&of, &all);
        let rows = session.query(&sql, &[]).await.ok()?;
        let more: i64 = rows
            .iter()
            .filter_map(|row| Some(row.last()?.as_i64()? - 1))
            .sum();
        let shown = rows.iter().take(SHOWN).map(|row| named(&columns, row));
        (more > 0).then(|| {
            format!(
                "{more} rows of {} have a key that another row has ({})",
                of.label(),
                shown.collect::<Vec<_>>().join("; ")
            )
        })
    }
}

/// `a = 1, b = x`.
fn named(columns: &[String], row: &[dunlin_core::value::Value]) -> String {
    let pairs = columns.iter().zip(row);
    let pairs = pairs.map(|(name, value)| format!("{name} = {}", value.shown()));
    pairs.collect::<Vec<_>>().join(", ")
}

async fn examples(session: &mut dyn Session, sql: &str, columns: &[String]) -> Option<String> {
    let rows = session.query(sql, &[]).await.ok()?;
    let shown: Vec<String> = rows.iter().map(|row| named(columns, row)).collect();
    (!shown.is_empty()).then(|| shown.join("; "))
}

fn unfree(table: &Table, why: &str) -> Failure {
    let message = format!(
        "a foreign key of {} cannot be dropped: {why}",
        table.label()
    );
    Failure::new(FailureClass::Failed, "foreign-key-violated", message)
}
