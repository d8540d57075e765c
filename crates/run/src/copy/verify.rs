//! Whether two databases hold the same rows: digests first, then for tables that differ the rows, then their columns.
//!
//! Rows are told apart by their key's hash: of 4096 buckets those that differ are looked at again, so that memory stays
//! bounded however many rows there are, and the engines never have to sort.

use super::ends::Readers;
use super::look::{self, Looked};
use super::rejects::json;
use super::rows;
use super::short::Short;
use super::{CopiedTable, Existing, Job};
use crate::backup::archive::cell_of;
use crate::checks::value_of;
use crate::digest::{begin_snapshot, digest_in_silence, end_snapshot};
use crate::trouble;
use crate::world::World;
use dunlin_core::copy::convert::Converter;
use dunlin_core::copy::digest::{bucket, row_hash};
use dunlin_core::copy::encode::{encode, encode_datum};
use dunlin_core::copy::plan::{ColumnPlan, TablePlan};
use dunlin_core::copy::reading::Bound;
use dunlin_core::copy::{Cell, Digest, Typing};
use dunlin_core::event::{Event, Sink};
use dunlin_core::failure::Failure;
use dunlin_core::finding::{Finding, Place, any_error};
use dunlin_core::value::Value;
use dunlin_engines::scan::{RowVisitor, scan};
use dunlin_engines::{DbError, Purpose, Session};
use serde::Serialize;
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;

/// Into how many buckets rows are sorted by their keys' hashes: 4096 · 2 · 24 bytes is 200 kB, and of a million rows each
/// holds 250.
const BUCKETS: u32 = 4_096;
/// How many rows that differ are named of one table.
const NAMED: usize = 200;
/// How many rows of differing buckets are held at once: at some 200 bytes each 10 MB.
const HELD: usize = 50_000;

/// A row that differs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Difference {
    /// The table, in the source's words.
    pub table: String,
    /// Its key.
    pub key: serde_json::Value,
    /// The columns that differ; of a row that is missing on one side, none.
    pub columns: Vec<String>,
    /// `source`, `target`: it is only there; `both`.
    #[serde(rename = "in")]
    pub side: &'static str,
}

/// What a verification found.
#[derive(Debug, Default)]
pub struct Verified {
    /// Table by table.
    pub tables: Vec<CopiedTable>,
    /// Rows that differ, as many as are named.
    pub differences: Vec<Difference>,
    /// Of tables with more: how many rows differ at least.
    pub more: bool,
    /// Everything agrees.
    pub equal: bool,
    /// What there is to say.
    pub findings: Vec<Finding>,
    /// Of a repair: the file of what was there.
    pub kept: Option<std::path::PathBuf>,
}

/// Compares.
pub async fn verify(
    from: &World,
    to: &World,
    tables: &[String],
    sink: &mut dyn Sink,
) -> Result<Verified, Failure> {
    let job = Job {
        tables: tables.to_vec(),
        existing: Some(Existing::Append),
        ..Job::default()
    };
    let mut readers = Readers::open(from, 1).await?;
    let mut target = match to.open(Purpose::Read).await {
        Ok(target) => target,
        Err(failure) => {
            readers.close().await;
            return Err(failure);
        }
    };
    let outcome = compare(from, to, &job, &mut readers, &mut *target, sink).await;
    readers.close().await;
    target.close().await;
    outcome
}

async fn compare(
    from: &World,
    to: &World,
    job: &Job,
    readers: &mut Readers,
    target: &mut dyn Session,
    sink: &mut dyn Sink,
) -> Result<Verified, Failure> {
    let looked = look::look(from, to, job, readers, target, &Short::No, sink).await?;
    comparing(from, to, &looked, readers, target, sink).await
}

/// Compares what was looked at.
pub(super) async fn comparing(
    from: &World,
    to: &World,
    looked: &Looked,
    readers: &mut Readers,
    target: &mut dyn Session,
    sink: &mut dyn Sink,
) -> Result<Verified, Failure> {
    let mut verified = Verified {
        equal: true,
        ..Verified::default()
    };
    let wrong = |error: DbError| to.redact(trouble::refused(&error, "the target cannot be read"));
    begin_snapshot(target).await.map_err(wrong)?;
    for at in 0..looked.plan.tables.len() {
        let pair = Pair::new(looked, at, to.dialect().rows().typing());
        sink.event(&Event::Progress {
            what: format!("comparing {}", pair.source.label()),
            done: at as u64,
            total: Some(looked.plan.tables.len() as u64),
            unit: "tables".into(),
        });
        let missing = pair.missing(looked);
        let compared = pair.compare(missing, readers.lead(), target, &mut verified);
        compared.await.map_err(|side| match side {
            Side::Source(error) => {
                from.redact(trouble::refused(&error, "the source cannot be read"))
            }
            Side::Target(error) => wrong(error),
        })?;
    }
    let _ = end_snapshot(target).await;
    verified.findings.extend(looked.findings.iter().cloned());
    verified.equal &= !any_error(&verified.findings);
    Ok(verified)
}

/// Which end could not be read.
enum Side {
    Source(DbError),
    Target(DbError),
}

/// What a target lacks of a table.
enum Missing {
    Nothing,
    Column,
    Table,
}

/// One table on both sides.
pub(super) struct Pair<'l> {
    pub(super) plan: &'l TablePlan,
    pub(super) source: Bound,
    pub(super) target: Bound,
    pub(super) form: Arc<Form>,
    pub(super) key: Vec<usize>,
}

/// The form that rows of the source have in the target.
pub(super) struct Form {
    pub(super) converters: Vec<Converter>,
    typing: Typing,
}

impl Form {
    /// The form of one row. A value that does not fit equals nothing in the target.
    pub(super) fn canonical<'c>(
        &self,
        cells: impl Iterator<Item = Cell<'c>>,
        scratch: &mut String,
        out: &mut Canonical,
    ) {
        out.clear();
        scratch.clear();
        for (converter, cell) in self.converters.iter().zip(cells) {
            if converter.as_is() {
                encode(cell, converter.ty(), self.typing, &mut out.bytes);
            } else {
                match converter.convert(cell, scratch) {
                    Ok(slot) => {
                        encode_datum(&slot.datum(scratch), converter.ty(), &mut out.bytes);
                    }
                    Err(_) => {
                        // No value of the target has this tag.
                        out.bytes.push(0xff);
                        encode(cell, converter.ty(), Typing::Dynamic, &mut out.bytes);
                    }
                }
            }
            out.ends.push(out.bytes.len());
        }
    }
}

/// Hashes rows of the source in the form that they have in the target.
struct Hashing {
    form: Arc<Form>,
    scratch: String,
    row: Canonical,
    digest: Digest,
}

impl RowVisitor for Hashing {
    fn row(&mut self, cells: &[Cell<'_>]) -> ControlFlow<()> {
        let cells = cells.iter().copied();
        self.form.canonical(cells, &mut self.scratch, &mut self.row);
        self.digest.add(row_hash(&self.row.bytes));
        ControlFlow::Continue(())
    }

    // The target's rows are hashed at the same time.
    fn apart(&self) -> bool {
        true
    }
}

/// A row in its canonical form, column by column.
#[derive(Default)]
pub(super) struct Canonical {
    pub(super) bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Canonical {
    fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }

    fn column(&self, at: usize) -> &[u8] {
        let from = if at == 0 { 0 } else { self.ends[at - 1] };
        &self.bytes[from..self.ends[at]]
    }

    pub(super) fn key(&self, columns: &[usize]) -> u128 {
        if columns.is_empty() {
            return row_hash(&self.bytes);
        }
        let mut key = vec![];
        for at in columns {
            key.extend_from_slice(self.column(*at));
        }
        row_hash(&key)
    }
}

/// A row of a bucket that differs.
struct Held {
    /// Hashes of its columns.
    columns: Vec<u128>,
    key: serde_json::Value,
    times: u32,
}

type Sums = Vec<Digest>;

impl<'l> Pair<'l> {
    pub(super) fn new(looked: &'l Looked, at: usize, typing: Typing) -> Self {
        let plan = &looked.plan.tables[at];
        let place = |name: &String| plan.columns.iter().position(|c| c.source == *name);
        Pair {
            plan,
            source: rows::source(plan, looked.own_rows[at]),
            target: rows::target(plan),
            form: Arc::new(Form {
                converters: plan.columns.iter().map(Converter::new).collect(),
                typing,
            }),
            key: looked.keys[at].iter().filter_map(place).collect(),
        }
    }

    fn missing(&self, looked: &Looked) -> Missing {
        let there = looked
            .there
            .table(self.target.schema.as_deref(), &self.target.table);
        let Some(there) = there else {
            return Missing::Table;
        };
        let lacks = |column: &ColumnPlan| there.column(&column.target).is_none();
        if self.plan.columns.iter().any(lacks) {
            return Missing::Column;
        }
        Missing::Nothing
    }

    /// Compares, and writes down what was found.
    async fn compare(
        &self,
        missing: Missing,
        reader: &mut dyn Session,
        target: &mut dyn Session,
        verified: &mut Verified,
    ) -> Result<(), Side> {
        let ours = async { self.source_digest(reader).await.map_err(Side::Source) };
        let theirs = async {
            if !matches!(missing, Missing::Nothing) {
                return Ok(Digest::default());
            }
            let theirs = digest_in_silence(target, &self.target).await;
            theirs.map_err(Side::Target)
        };
        let (ours, theirs) = tokio::try_join!(ours, theirs)?;
        let mut line = CopiedTable {
            table: self.source.label(),
            target: self.target.label(),
            rows_source: ours.rows,
            rows_target: 0,
            rejected: 0,
            digest_source: ours.hex(),
            digest_target: None,
            equal: Some(false),
            repaired: None,
        };
        if let Missing::Table = missing {
            let message = format!("the target has no table {}", line.target);
            let place = Place::object(&line.target);
            let finding = Finding::error("digest-table-missing", place, message);
            verified.findings.push(finding);
        }
        if !matches!(missing, Missing::Nothing) {
            verified.equal = false;
            verified.tables.push(line);
            return Ok(());
        }
        line.rows_target = theirs.rows;
        line.digest_target = Some(theirs.hex());
        line.equal = Some(ours == theirs);
        let name = line.table.clone();
        verified.tables.push(line);
        if ours != theirs {
            verified.equal = false;
            let found = self.differences(&name, reader, target).await;
            let (found, more) = found.map_err(Side::Target)?;
            verified.differences.extend(found);
            verified.more |= more;
        }
        Ok(())
    }

    fn canonical_target<'c>(&self, cells: impl Iterator<Item = Cell<'c>>, out: &mut Canonical) {
        out.clear();
        for (column, cell) in self.plan.columns.iter().zip(cells) {
            encode(cell, &column.ty, self.form.typing, &mut out.bytes);
            out.ends.push(out.bytes.len());
        }
    }

    async fn source_digest(&self, reader: &mut dyn Session) -> Result<Digest, DbError> {
        let select = reader.dialect().rows().select(&self.source);
        let hashing = Hashing {
            form: Arc::clone(&self.form),
            scratch: String::new(),
            row: Canonical::default(),
            digest: Digest::default(),
        };
        Ok(scan(reader, &select, hashing).await?.digest)
    }

    /// Calls with each row's canonical form and its cells of the key.
    pub(super) async fn each(
        &self,
        session: &mut dyn Session,
        of_source: bool,
        mut take: impl FnMut(&Canonical, &dyn Fn() -> Vec<Value>) + Send,
    ) -> Result<(), DbError> {
        let bound = if of_source {
            &self.source
        } else {
            &self.target
        };
        let select = session.dialect().rows().select(bound);
        let mut stream = session.stream(&select).await?;
        let (mut scratch, mut row) = (String::new(), Canonical::default());
        while let Some(batch) = stream.next().await? {
            for at in 0..batch.len() {
                if of_source {
                    self.form.canonical(batch.row(at), &mut scratch, &mut row);
                } else {
                    self.canonical_target(batch.row(at), &mut row);
                }
                let key = || {
                    let cells: Vec<Cell<'_>> = batch.row(at).collect();
                    self.key
                        .iter()
                        .map(|place| value_of(cells[*place]))
                        .collect()
                };
                take(&row, &key);
            }
        }
        Ok(())
    }

    /// A key as a report names it.
    fn named(&self, key: &[Value]) -> serde_json::Value {
        let pairs = self.key.iter().zip(key).map(|(place, value)| {
            let name = self.plan.columns[*place].source.clone();
            (name, json(cell_of(value)))
        });
        serde_json::Value::Object(pairs.collect())
    }

    async fn sums(&self, session: &mut dyn Session, of_source: bool) -> Result<Sums, DbError> {
        let mut sums = vec![Digest::default(); BUCKETS as usize];
        self.each(session, of_source, |row, _| {
            let place = bucket(row.key(&self.key), BUCKETS) as usize;
            sums[place].add(row_hash(&row.bytes));
        })
        .await?;
        Ok(sums)
    }

    /// The rows that differ, as many as are named, and whether there are more.
    async fn differences(
        &self,
        table: &str,
        reader: &mut dyn Session,
        target: &mut dyn Session,
    ) -> Result<(Vec<Difference>, bool), DbError> {
        let ours = self.sums(reader, true).await?;
        let theirs = self.sums(target, false).await?;
        let mut wanted = vec![false; BUCKETS as usize];
        let (mut held, mut more) = (0, false);
        for (at, (a, b)) in ours.iter().zip(&theirs).enumerate() {
            if a != b {
                held += usize::try_from(a.rows.max(b.rows)).unwrap_or(usize::MAX);
                if held > HELD && at > 0 && wanted.iter().any(|wanted| *wanted) {
                    more = true;
                    break;
                }
                wanted[at] = true;
            }
        }
        let ours = self.hold(reader, true, &wanted).await?;
        let mut theirs = self.hold(target, false, &wanted).await?;
        let mut found = vec![];
        let mut put = |key: serde_json::Value, columns: Vec<String>, side: &'static str| {
            if found.len() < NAMED {
                found.push(Difference {
                    table: table.to_owned(),
                    key,
                    columns,
                    side,
                });
            } else {
                more = true;
            }
        };
        for (hash, held) in ours {
            match theirs.remove(&hash) {
                None => put(held.key, vec![], "source"),
                Some(other) if other.columns != held.columns => {
                    let names = self
                        .plan
                        .columns
                        .iter()
                        .zip(&held.columns)
                        .zip(&other.columns);
                    let names = names.filter(|((_, a), b)| a != b);
                    let names = names.map(|((column, _), _)| column.source.clone());
                    put(held.key, names.collect(), "both");
                }
                Some(other) if other.times != held.times => {
                    let side = if other.times < held.times {
                        "source"
                    } else {
                        "target"
                    };
                    put(held.key, vec![], side);
                }
                Some(_) => {}
            }
        }
        for held in theirs.into_values() {
            put(held.key, vec![], "target");
        }
        Ok((found, more))
    }

    async fn hold(
        &self,
        session: &mut dyn Session,
        of_source: bool,
        wanted: &[bool],
    ) -> Result<BTreeMap<u128, Held>, DbError> {
        let mut held: BTreeMap<u128, Held> = BTreeMap::new();
        self.each(session, of_source, |row, key| {
            let hash = row.key(&self.key);
            if !wanted[bucket(hash, BUCKETS) as usize] {
                return;
            }
            let columns = || (0..row.ends.len()).map(|at| row_hash(row.column(at)));
            held.entry(hash)
                .and_modify(|held| held.times += 1)
                .or_insert_with(|| Held {
                    columns: columns().collect(),
                    key: self.named(&key()),
                    times: 1,
                });
        })
        .await?;
        Ok(held)
    }
}
