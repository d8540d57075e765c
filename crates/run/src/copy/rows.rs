//! One table's rows on their way: read, converted, hashed and encoded where they are read, and loaded beside it, with at
//! most a few pieces in between, so that memory does not grow with the rows.

use super::once::Sieve;
use super::rejects::{Reject, Rejects};
use super::short::{Granted, Guard};
use dunlin_core::copy::convert::{Converter, Slot};
use dunlin_core::copy::digest::row_hash;
use dunlin_core::copy::encode::{encode, encode_datum_as};
use dunlin_core::copy::plan::TablePlan;
use dunlin_core::copy::policy::{Hazard, Policies, Policy};
use dunlin_core::copy::reading::{Bound, BoundColumn, ColumnShape};
use dunlin_core::copy::{Cell, Datum, Digest, Typing};
use dunlin_core::dialect::bulk::{Encoder, TargetColumn, TargetTable};
use dunlin_core::failure::{Failure, FailureClass};
use dunlin_core::finding::Place;
use dunlin_core::schema::label;
use dunlin_engines::scan::{RowVisitor, emptied, scan};
use dunlin_engines::{DbError, RowSink, Session};
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use tokio::sync::mpsc;

/// Encoded bytes that are sent at once. A quarter of a MiB: large enough that sending costs nothing beside encoding,
/// small enough that a few of them lie in a processor's cache.
const PIECE: usize = 256 * 1024;
/// Pieces that may wait for the target.
const WAITING: usize = 3;

/// What became of one table's rows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// Rows read.
    pub read: u64,
    /// Rows handed to the target.
    pub sent: u64,
    /// Rows left out.
    pub rejected: u64,
    /// The digest of the rows that were sent, as they are to be in the target.
    pub digest: Digest,
    /// Values that were bent, by column and hazard.
    pub coerced: BTreeMap<(String, Hazard), u64>,
    /// The digest of the rows that the target's table held before, under the same types.
    pub before: Digest,
    /// The rows that were taken out of the target again: what their keys refuse.
    pub removed: Digest,
    /// Of rows with the same key the first alone was sent.
    pub once: bool,
    /// The digest of all rows then: those that stayed behind for their key, too.
    pub whole: Digest,
}

impl Tally {
    /// The rows that are to be in the target.
    pub fn left(&self) -> Digest {
        Digest {
            rows: self.digest.rows.wrapping_sub(self.removed.rows),
            sum: self.digest.sum.wrapping_sub(self.removed.sum),
        }
    }
}

impl Tally {
    /// Takes another part of the same table into account.
    pub fn add(&mut self, other: Tally) {
        self.read += other.read;
        self.sent += other.sent;
        self.rejected += other.rejected;
        self.digest = self.digest.merge(other.digest);
        self.before = self.before.merge(other.before);
        self.removed = self.removed.merge(other.removed);
        self.once |= other.once;
        self.whole = self.whole.merge(other.whole);
        for (of, count) in other.coerced {
            *self.coerced.entry(of).or_default() += count;
        }
    }
}

/// One table's way.
pub struct Way<'a> {
    /// The plan.
    pub plan: &'a TablePlan,
    /// What is done about hazards.
    pub policies: &'a Arc<Policies>,
    /// Where rejected rows go.
    pub rejects: &'a Arc<Rejects>,
    /// The columns of the source's key, by name; empty: it has none.
    pub key: &'a [String],
    /// The target's typing.
    pub typing: Typing,
    /// Rows done, for whoever shows progress.
    pub done: &'a Arc<AtomicU64>,
    /// The table is taken for what it says; and what is set where a row is something else.
    pub granted: Option<(&'a Granted, &'a Arc<AtomicBool>)>,
}

/// A table of the source as it is read. `own_rows`: as of its shape.
pub fn source(plan: &TablePlan, own_rows: bool) -> Bound {
    let columns = plan.columns.iter().map(|column| BoundColumn {
        shape: ColumnShape {
            name: column.source.clone(),
            native: column.source_native.clone(),
            ty: column.source_type.clone(),
            generated: false,
        },
        ty: column.source_type.clone(),
    });
    Bound {
        name: label(plan.source.0.as_deref(), &plan.source.1),
        schema: plan.source.0.clone(),
        table: plan.source.1.clone(),
        own_rows,
        columns: columns.collect(),
    }
}

/// The same table of the target as it is read again.
pub fn target(plan: &TablePlan) -> Bound {
    let columns = plan.columns.iter().map(|column| BoundColumn {
        shape: ColumnShape {
            name: column.target.clone(),
            native: column.target_native.clone(),
            ty: column.ty.clone(),
            generated: false,
        },
        ty: column.ty.clone(),
    });
    Bound {
        name: label(plan.target.0.as_deref(), &plan.target.1),
        schema: plan.target.0.clone(),
        table: plan.target.1.clone(),
        own_rows: plan.inherited,
        columns: columns.collect(),
    }
}

/// The table as it is loaded.
pub fn load_table(plan: &TablePlan) -> TargetTable {
    TargetTable {
        schema: plan.target.0.clone(),
        name: plan.target.1.clone(),
        columns: plan
            .columns
            .iter()
            .map(|column| TargetColumn {
                name: column.target.clone(),
                native: column.target_native.clone(),
                ty: column.ty.clone(),
            })
            .collect(),
    }
}

/// What stopped a table.
#[derive(Debug)]
pub enum Stopped {
    /// The source could not be read on.
    Source(DbError),
    /// The target took no more.
    Target(DbError),
    /// A value, under the policy `fail`; or the reject file could not be written.
    Value(Box<Failure>),
}

/// Moves the rows of a query into a table. The target's transaction is the caller's. Gives the sieve back.
pub async fn carry(
    way: &Way<'_>,
    source: Source<'_>,
    mut sink: Box<dyn RowSink + '_>,
    encoder: Box<dyn Encoder>,
    sieve: Option<Sieve>,
) -> Result<(Tally, Option<Sieve>), Stopped> {
    let (pieces, outbox) = mpsc::channel::<Vec<u8>>(WAITING);
    let worker = Worker::new(way, encoder, sieve, Some(pieces));
    let read = async {
        let worker = source.through(worker).await?;
        worker.end().await
    };
    let load = async {
        // Dropped with an error: whose pieces nobody takes stops reading.
        let mut outbox = outbox;
        while let Some(piece) = outbox.recv().await {
            sink.send(piece).await?;
        }
        Ok::<_, DbError>(())
    };
    let (read, load) = tokio::join!(read, load);
    // In this order: a source that broke off looks to the target like its end, and a target that broke off stops both.
    let (tally, sieve) = match (read, load) {
        (Err(stopped @ Stopped::Source(_)), _) => return Err(stopped),
        (_, Err(error)) => return Err(Stopped::Target(error)),
        (read, Ok(())) => read?,
    };
    let taken = sink.finish().await.map_err(Stopped::Target)?;
    if taken != tally.sent {
        let message = format!("{} rows were sent, and the target took {taken}", tally.sent);
        return Err(Stopped::Target(DbError::new(
            dunlin_core::failure::ErrorClass::Other,
            message,
        )));
    }
    Ok((tally, sieve))
}

/// Where rows come from.
pub struct Source<'s> {
    /// Who reads them.
    pub session: &'s mut dyn Session,
    /// The query.
    pub select: &'s str,
}

impl Source<'_> {
    async fn through(self, worker: Worker) -> Result<Worker, Stopped> {
        let scanned = scan(self.session, self.select, worker).await;
        let mut worker = scanned.map_err(Stopped::Source)?;
        match worker.failed.take() {
            Some(failure) => Err(Stopped::Value(failure)),
            None => Ok(worker),
        }
    }
}

/// The part that converts, hashes and encodes, where the rows are read.
struct Worker {
    table: String,
    columns: Vec<String>,
    converters: Vec<Converter>,
    key: Vec<usize>,
    guard: Option<Guard>,
    policies: Arc<Policies>,
    rejects: Arc<Rejects>,
    encoder: Box<dyn Encoder>,
    typing: Typing,
    done: Arc<AtomicU64>,
    tally: Tally,
    hashed: Vec<u8>,
    /// Where each column of it ends.
    ends: Vec<usize>,
    sieve: Option<Sieve>,
    out: Vec<u8>,
    /// Where what was encoded goes; `None`: nowhere.
    pieces: Option<mpsc::Sender<Vec<u8>>>,
    /// Bytes that were encoded and are no longer in `out`.
    gone: u64,
    failed: Option<Box<Failure>>,
    /// Room for a row: what its cells became, what of that was spelled anew, and the data.
    slots: Vec<Slot<'static>>,
    scratch: String,
    data: Vec<Datum<'static>>,
}

impl RowVisitor for Worker {
    fn row(&mut self, cells: &[Cell<'_>]) -> ControlFlow<()> {
        match self.take(cells) {
            Ok(true) => ControlFlow::Continue(()),
            Ok(false) => ControlFlow::Break(()),
            Err(failure) => {
                self.failed = Some(failure);
                ControlFlow::Break(())
            }
        }
    }

    fn apart(&self) -> bool {
        true
    }
}

impl Worker {
    fn new(
        way: &Way<'_>,
        mut encoder: Box<dyn Encoder>,
        sieve: Option<Sieve>,
        pieces: Option<mpsc::Sender<Vec<u8>>>,
    ) -> Self {
        let place = |name: &String| way.plan.columns.iter().position(|c| c.source == *name);
        let mut out = Vec::with_capacity(PIECE + 4096);
        encoder.begin(&mut out);
        Worker {
            table: label(way.plan.source.0.as_deref(), &way.plan.source.1),
            columns: way.plan.columns.iter().map(|c| c.source.clone()).collect(),
            converters: way.plan.columns.iter().map(Converter::new).collect(),
            key: way.key.iter().filter_map(place).collect(),
            guard: (way.granted).map(|(granted, broken)| Guard::new(way.plan, granted, broken)),
            policies: Arc::clone(way.policies),
            rejects: Arc::clone(way.rejects),
            encoder,
            typing: way.typing,
            done: Arc::clone(way.done),
            tally: Tally::default(),
            hashed: Vec::with_capacity(512),
            ends: vec![],
            sieve,
            out,
            pieces,
            gone: 0,
            failed: None,
            slots: vec![],
            scratch: String::new(),
            data: vec![],
        }
    }

    /// After the last row.
    async fn end(mut self) -> Result<(Tally, Option<Sieve>), Stopped> {
        self.encoder.end(&mut self.out);
        if let Some(pieces) = self.pieces {
            let _ = pieces.send(self.out).await;
        }
        Ok((self.tally, self.sieve))
    }

    /// Takes a row. `false`: the target has stopped.
    fn take(&mut self, cells: &[Cell<'_>]) -> Result<bool, Box<Failure>> {
        let mut slots: Vec<Slot<'_>> = emptied(std::mem::take(&mut self.slots));
        let mut scratch = std::mem::take(&mut self.scratch);
        scratch.clear();
        let mut data: Vec<Datum<'_>> = emptied(std::mem::take(&mut self.data));
        self.tally.read += 1;
        self.done.fetch_add(1, Ordering::Relaxed);
        self.guarded(|guard| guard.holds(cells))?;
        if self.convert(cells, &mut slots, &mut scratch)? {
            data.extend(slots.iter().map(|slot| slot.datum(&scratch)));
            self.put(cells, &data)?;
        }
        self.data = emptied(data);
        self.slots = emptied(slots);
        self.scratch = scratch;
        if self.out.len() < PIECE {
            return Ok(true);
        }
        self.guarded(|guard| !guard.is_broken())?;
        Ok(self.flush())
    }

    /// A converted row: hashed and encoded, or left out.
    fn put(&mut self, cells: &[Cell<'_>], data: &[Datum<'_>]) -> Result<(), Box<Failure>> {
        self.form(cells, data);
        if let Some(column) = self.came(data) {
            let hazard = Hazard::DuplicateKey;
            let first = self.sieve.as_ref().and_then(Sieve::met);
            let why = match first {
                Some(first) => format!("{}, that of {first}", hazard.sentence()),
                None => hazard.sentence().to_owned(),
            };
            return self.unfit(cells, column, hazard, &why);
        }
        let asked = self.sieve.as_mut().and_then(|sieve| sieve.asked(data));
        let row = asked.as_deref().unwrap_or(data);
        match self.encoder.row(row, &mut self.out) {
            Ok(()) => self.count(cells),
            Err(unfit) => {
                self.guarded(|_| false)?;
                self.unfit(cells, unfit.column, Hazard::WrongClass, &unfit.why)?;
            }
        }
        Ok(())
    }

    /// Of a table that is taken for what it says: whether it is.
    fn guarded(&self, holds: impl FnOnce(&Guard) -> bool) -> Result<(), Box<Failure>> {
        match &self.guard {
            Some(guard) if !holds(guard) => Err(guard.broke(self.pieces.is_some())),
            _ => Ok(()),
        }
    }

    /// Sends what was encoded. `false`: nobody takes it.
    fn flush(&mut self) -> bool {
        self.gone += self.out.len() as u64;
        let Some(pieces) = &self.pieces else {
            self.out.clear();
            return true;
        };
        let full = std::mem::replace(&mut self.out, Vec::with_capacity(PIECE + 4096));
        pieces.blocking_send(full).is_ok()
    }

    /// The row's canonical form, as it is to be in the target.
    fn form(&mut self, cells: &[Cell<'_>], data: &[Datum<'_>]) {
        self.hashed.clear();
        self.ends.clear();
        for ((converter, datum), cell) in self.converters.iter().zip(data).zip(cells) {
            if converter.as_is() {
                encode(*cell, converter.ty(), self.typing, &mut self.hashed);
            } else {
                encode_datum_as(datum, converter.ty(), self.typing, &mut self.hashed);
            }
            if self.sieve.is_some() {
                self.ends.push(self.hashed.len());
            }
        }
    }

    /// The first column of a key that an earlier row has, where each is to be there once.
    fn came(&mut self, data: &[Datum<'_>]) -> Option<usize> {
        let sieve = self.sieve.as_mut()?;
        self.tally.whole.add(row_hash(&self.hashed));
        sieve.look(data, &self.hashed, &self.ends)
    }

    fn count(&mut self, cells: &[Cell<'_>]) {
        if let Some(sieve) = &mut self.sieve {
            sieve.through(|| named(&self.columns, &self.key, cells));
        }
        self.tally.digest.add(row_hash(&self.hashed));
        self.tally.sent += 1;
    }

    /// Converts one row. `false`: it is rejected.
    fn convert<'b>(
        &mut self,
        cells: &[Cell<'b>],
        slots: &mut Vec<Slot<'b>>,
        scratch: &mut String,
    ) -> Result<bool, Box<Failure>> {
        for (at, &cell) in cells.iter().enumerate().take(self.converters.len()) {
            let converter = &self.converters[at];
            let hazard = match converter.convert(cell, scratch) {
                Ok(slot) => {
                    slots.push(slot);
                    continue;
                }
                Err(hazard) => hazard,
            };
            self.guarded(|_| false)?;
            let policy = self.policies.of(&self.table, &self.columns[at], hazard);
            if policy == Policy::Coerce
                && let Some(slot) = converter.coerce(cell, hazard, scratch)
            {
                slots.push(slot);
                let key = (self.columns[at].clone(), hazard);
                *self.tally.coerced.entry(key).or_default() += 1;
                continue;
            }
            self.unfit(cells, at, hazard, hazard.sentence())?;
            return Ok(false);
        }
        Ok(true)
    }

    /// A row that does not go over: written down, or the end of the table.
    fn unfit(
        &mut self,
        cells: &[Cell<'_>],
        column: usize,
        hazard: Hazard,
        why: &str,
    ) -> Result<(), Box<Failure>> {
        let name = &self.columns[column];
        let key: Vec<(String, Cell<'_>)> = self
            .key
            .iter()
            .map(|at| (self.columns[*at].clone(), cells[*at]))
            .collect();
        let reject = Reject {
            table: &self.table,
            key: &key,
            column: name,
            code: hazard.code(),
            value: cells[column],
            reason: why,
        };
        if self.policies.of(&self.table, name, hazard) == Policy::Fail {
            return Err(Box::new(refused(&reject)));
        }
        self.rejects.write(&reject)?;
        self.tally.rejected += 1;
        Ok(())
    }
}

/// A row, for people: by its key, or by all of it where it has none.
fn named(columns: &[String], key: &[usize], cells: &[Cell<'_>]) -> String {
    let all: Vec<usize> = (0..columns.len().min(cells.len())).collect();
    let by = if key.is_empty() { &all } else { key };
    let pairs: Vec<(String, Cell<'_>)> = by
        .iter()
        .map(|at| (columns[*at].clone(), cells[*at]))
        .collect();
    let reject = Reject {
        table: "",
        key: &pairs,
        column: "",
        code: "",
        value: Cell::Null,
        reason: "",
    };
    format!("the row {}", reject.key_text().unwrap_or_default())
}

/// A value that may not go over stops the copy of its table.
fn refused(reject: &Reject<'_, '_>) -> Failure {
    let place = match reject.key_text() {
        Some(key) => format!("the row {key}"),
        None => "a row without a key".into(),
    };
    Failure::new(
        FailureClass::Failed,
        reject.code,
        format!(
            "{}.{}: in {place} the value {} {}",
            reject.table,
            reject.column,
            reject.value_text(),
            reject.reason
        ),
    )
    .at(Place::object(format!("{}.{}", reject.table, reject.column)))
    .hint(format!(
        "`--policy {}=reject` leaves such rows out and writes them down, `=coerce` bends them as `dunlin explain {}` says",
        reject.code, reject.code
    ))
}

/// Writes nothing.
struct Nothing;

impl Encoder for Nothing {
    fn begin(&mut self, _out: &mut Vec<u8>) {}
    fn row(
        &mut self,
        _row: &[Datum<'_>],
        _out: &mut Vec<u8>,
    ) -> Result<(), dunlin_core::dialect::bulk::Unfit> {
        Ok(())
    }
    fn end(&mut self, _out: &mut Vec<u8>) {}
}

/// Reads rows as a copy would, and loads nothing: what their tally is now. Gives the sieve back.
pub async fn look_only(
    way: &Way<'_>,
    source: Source<'_>,
    sieve: Option<Sieve>,
) -> Result<(Tally, Option<Sieve>), Stopped> {
    let worker = Worker::new(way, Box::new(Nothing), sieve, None);
    let worker = source.through(worker).await?;
    Ok((worker.tally, worker.sieve))
}

/// Reads rows as a copy would, and encodes them for nobody. Gives how many there were, and how many bytes they make.
pub async fn sample(
    way: &Way<'_>,
    source: Source<'_>,
    encoder: Box<dyn Encoder>,
) -> Result<(u64, u64), Stopped> {
    let worker = Worker::new(way, encoder, None, None);
    let worker = source.through(worker).await?;
    Ok((worker.tally.read, worker.gone + worker.out.len() as u64))
}
