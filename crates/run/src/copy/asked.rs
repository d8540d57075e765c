//! A target is asked which keys it takes for one: its collations decide, and no two engines have the same.
//!
//! The keys of all rows wait in a table of the session's own, beside their hashes; another one with an index like the table's
//! keeps the first of those that are equal. What comes back are hashes alone: of keys that met another one, and of keys that
//! a row of the table has already. Both tables are empty again when the transaction ends.

use super::once::{HELD, Sieve};
use super::rows::{self, Source, Stopped};
use super::table::Pipe;
use super::{Copying, ledger};
use dunlin_core::copy::Cell;
use dunlin_core::copy::plan::TablePlan;
use dunlin_core::copy::policy::{Hazard, Policy};
use dunlin_core::dialect::aside::{Asking, Once, WAITING};
use dunlin_core::dialect::bulk::{TargetColumn, TargetTable};
use dunlin_core::failure::Failure;
use dunlin_core::schema::{NeutralType, Table};
use dunlin_engines::{DbError, Session};
use std::sync::Arc;

/// Of larger tables the rows that meet are not looked for where they only are to be named. It takes two readings, and of so
/// many hashes about as many meet by chance in the field of bits as can be held: n² / 2^29.
const NAMED_ROWS: u64 = 20_000_000;

/// A table whose keys are asked about.
pub(super) struct Pair<'p> {
    /// Its place in the plan.
    pub(super) at: usize,
    /// As it is in the target.
    pub(super) table: &'p Table,
    /// Rows are added to its own.
    pub(super) added: bool,
}

/// The table in which keys wait, as it is loaded.
fn waiting(plan: &TablePlan, asking: &Asking<'_>, columns: &[usize]) -> TargetTable {
    let hash = |name: String| TargetColumn {
        name,
        native: "char(32)".into(),
        ty: NeutralType::Text,
    };
    let column = |at: &usize| {
        let column = &plan.columns[*at];
        TargetColumn {
            name: column.target.clone(),
            native: column.target_native.clone(),
            ty: column.ty.clone(),
        }
    };
    let hashes = asking.hashes().into_iter().map(hash);
    TargetTable {
        schema: asking.aside.own().map(str::to_owned),
        name: WAITING.to_owned(),
        columns: hashes.chain(columns.iter().map(column)).collect(),
    }
}

/// A sieve comes back from each reading.
fn gone() -> Failure {
    Failure::refused("duplicate-key", "no key was looked at")
}

impl Copying<'_> {
    /// The first reading of a sieve, and what the target says of the keys that it met.
    pub(super) async fn asked(
        &self,
        pair: &Pair<'_>,
        mut sieve: Sieve,
        reader: &mut dyn Session,
        writer: &mut dyn Session,
    ) -> Result<Sieve, Failure> {
        let plan = &self.looked.plan.tables[pair.at];
        let wrong = |error: &DbError| {
            let doing = format!(
                "the target cannot be asked about the keys of {}",
                plan.target.1
            );
            ledger::failure(self.to, error, &doing)
        };
        let columns = sieve.ask();
        let name = |at: &usize| plan.columns[*at].target.clone();
        let names: Vec<String> = columns.iter().map(name).collect();
        let parts: Vec<Once> = sieve.keys().iter().map(|key| key.once.clone()).collect();
        let asking = Asking {
            aside: writer.dialect().aside(),
            table: pair.table,
            keys: &parts,
            columns: &names,
        };
        for sql in asking.make() {
            let Err(error) = writer.execute(&sql).await else {
                continue;
            };
            if error.class.is_lost() {
                return Err(wrong(&error));
            }
            // Who may not make such a table has keys told apart as the source does it.
            sieve.ask_nothing();
            let select = self.select(pair.at);
            let read = self
                .read_through(pair.at, reader, &select, Some(sieve))
                .await?;
            return read.1.ok_or_else(gone);
        }
        writer.begin().await.map_err(|error| wrong(&error))?;
        let waiting = waiting(plan, &asking, &columns);
        let outcome = async {
            let mut sieve = self.waits(pair.at, &waiting, sieve, reader, writer).await?;
            let said = told(&asking, pair.added, &mut sieve, writer).await;
            said.map_err(|error| wrong(&error))?;
            Ok(sieve)
        };
        let outcome = outcome.await;
        let _ = writer.rollback().await;
        for sql in asking.clear() {
            // They go with their session in any case.
            let _ = writer.execute(&sql).await;
        }
        outcome
    }

    /// Reads a table, and has the keys of its rows wait.
    async fn waits(
        &self,
        at: usize,
        waiting: &TargetTable,
        sieve: Sieve,
        reader: &mut dyn Session,
        writer: &mut dyn Session,
    ) -> Result<Sieve, Failure> {
        let plan = &self.looked.plan.tables[at];
        let policies = Arc::new(self.job.policies.clone());
        let nowhere = Arc::new(super::rejects::Rejects::nowhere());
        let done = Arc::default();
        let way = self.way(at, &policies, &nowhere, &done);
        let stopped = |stopped| self.stopped(plan, stopped);
        let bulk = writer.dialect().bulk();
        let encoder = bulk.encoder(waiting).map_err(|sentence| {
            let message = format!("{}: {sentence}", plan.target.1);
            Failure::refused("column-not-loadable", message)
        })?;
        let sink = writer
            .load(&bulk.load(waiting, false), waiting.columns.len())
            .await
            .map_err(|error| stopped(Stopped::Target(error)))?;
        let select = self.select(at);
        let source = Source {
            session: reader,
            select: &select,
        };
        let carried = rows::carry(&way, source, sink, encoder, Some(sieve)).await;
        let (_, sieve) = carried.map_err(stopped)?;
        sieve.ok_or_else(gone)
    }

    /// The same where it is one.
    pub(super) async fn named_if_twice(
        &self,
        at: usize,
        failure: Failure,
        pipe: &mut Pipe<'_>,
    ) -> Failure {
        if failure.code != Hazard::DuplicateKey.code() {
            return failure;
        }
        self.named(at, failure, pipe).await
    }

    /// A refusal because of a key, with the rows that meet in it. Where they cannot be told it stays as it is.
    pub(super) async fn named(
        &self,
        at: usize,
        mut failure: Failure,
        pipe: &mut Pipe<'_>,
    ) -> Failure {
        let plan = &self.looked.plan.tables[at];
        let fails = plan.columns.iter().all(|column| {
            self.policy(plan, Some(&column.target), Hazard::DuplicateKey) == Policy::Fail
        });
        if !fails || self.looked.sizes[at].rows > NAMED_ROWS {
            return failure;
        }
        let Ok(Some(mut sieve)) = self.sieve(at, pipe.reader, pipe.writer).await else {
            return failure;
        };
        sieve.naming();
        let select = self.select(at);
        let again = self
            .read_through(at, pipe.reader, &select, Some(sieve))
            .await;
        if let Err(said) = again
            && said.code == Hazard::DuplicateKey.code()
        {
            failure.message = format!("{}: {}", failure.message, said.message);
        }
        failure
    }
}

/// What the target says of the keys that wait.
async fn told(
    asking: &Asking<'_>,
    added: bool,
    sieve: &mut Sieve,
    session: &mut dyn Session,
) -> Result<(), DbError> {
    // One more than can be held says that they are too many.
    let most = HELD + 1;
    for (number, once) in asking.keys.iter().enumerate() {
        let met = match once.is_plain() {
            true => {
                session.execute(&asking.keep(number)).await?;
                asking.met(number, most)
            }
            false => asking.alike(number, most),
        };
        for (hash, first) in hashes(&met, session).await? {
            sieve.meets(hash, first.unwrap_or(hash));
        }
        if !added {
            continue;
        }
        for (hash, _) in hashes(&asking.there(number, most), session).await? {
            sieve.is_there(hash);
        }
    }
    Ok(())
}

/// The hashes of an answer, one or two in a row.
async fn hashes(
    sql: &str,
    session: &mut dyn Session,
) -> Result<Vec<(u128, Option<u128>)>, DbError> {
    let hash = |cell: Option<Cell<'_>>| match cell {
        Some(Cell::Text(text)) => u128::from_str_radix(text, 16).ok(),
        _ => None,
    };
    let mut found = vec![];
    let mut stream = session.stream(sql).await?;
    while let Some(batch) = stream.next().await? {
        for row in 0..batch.len() {
            let mut cells = batch.row(row);
            let first = hash(cells.next());
            found.extend(first.map(|first| (first, hash(cells.next()))));
        }
    }
    Ok(found)
}
