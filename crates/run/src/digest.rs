//! Content digests of a database under a stated reading, streamed in bounded memory from one consistent snapshot.

use crate::copy::ends::Readers;
use dunlin_core::copy::reading::{Bound, Reading, TableShape};
use dunlin_core::copy::{Cell, Digest, Noticed, RowHasher, Typing};
use dunlin_core::dialect::read_shapes;
use dunlin_core::event::{Event, Sink};
use dunlin_core::finding::{Finding, Place, any_error};
use dunlin_core::schema::NeutralType;
use dunlin_engines::scan::{RowVisitor, scan};
use dunlin_engines::{DbError, Session};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::{Mutex, PoisonError};
use tokio::sync::mpsc;

/// How often progress is told, in rows.
const PROGRESS_ROWS: u64 = 100_000;

/// What to hash.
#[derive(Debug, Clone, Default)]
pub struct Scope {
    /// Tables by name; empty: all.
    pub tables: Vec<String>,
    /// Tables that are left out (the journal's).
    pub except: Vec<String>,
}

impl Scope {
    fn keeps(&self, shape: &TableShape) -> bool {
        let label = shape.label();
        let named = |name: &String| name.eq_ignore_ascii_case(&label);
        let asked = self.tables.is_empty() || self.tables.iter().any(named);
        asked
            && !self
                .except
                .iter()
                .any(|name| *name == label || *name == shape.name)
    }

    /// Names that match no table.
    fn unknown<'a>(&'a self, shapes: &[TableShape]) -> Vec<&'a String> {
        let known: BTreeSet<String> = shapes
            .iter()
            .map(|shape| shape.label().to_lowercase())
            .collect();
        self.tables
            .iter()
            .filter(|name| !known.contains(&name.to_lowercase()))
            .collect()
    }
}

/// The digest of one table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableDigest {
    /// Its name in the reading.
    pub table: String,
    /// How many rows.
    pub rows: u64,
    /// The sum of the rows' hashes, 32 hexadecimal digits.
    pub digest: String,
    /// What was noticed, by column; columns without anything to say are left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub noticed: Vec<(String, Noticed)>,
}

impl TableDigest {
    /// The digest as numbers.
    pub fn value(&self) -> Option<Digest> {
        Digest::from_hex(self.rows, &self.digest)
    }

    /// Whether rows and digest are the same.
    pub fn agrees(&self, other: &TableDigest) -> bool {
        self.rows == other.rows && self.digest == other.digest
    }
}

/// The digests of a database under a reading.
#[derive(Debug, Clone)]
pub struct Digests {
    /// The reading.
    pub reading: Reading,
    /// Table by table, in the reading's order.
    pub tables: Vec<TableDigest>,
    /// What was noticed.
    pub findings: Vec<Finding>,
}

impl Digests {
    /// One digest for all: over names, rows and digests of the tables and the reading's hash.
    pub fn total(&self) -> String {
        let mut hasher = dunlin_core::copy::digest::text_hash(&self.reading.hash());
        for table in &self.tables {
            let line = format!("{:?} {} {}", table.table, table.rows, table.digest);
            hasher = hasher
                .rotate_left(1)
                .wrapping_add(dunlin_core::copy::digest::text_hash(&line));
        }
        format!("{hasher:032x}")
    }
}

/// The tables of the session's database.
pub async fn shapes(session: &mut dyn Session) -> Result<Vec<TableShape>, DbError> {
    let rows = session.dialect().rows();
    let query = rows.shapes(session.caps());
    let found = session.query(&query.sql, &query.params).await?;
    Ok(read_shapes(rows, &found))
}

/// Begins a transaction that only reads and sees one state throughout.
pub async fn begin_snapshot(session: &mut dyn Session) -> Result<(), DbError> {
    for statement in session.dialect().rows().snapshot() {
        session.execute(statement).await?;
    }
    Ok(())
}

/// Ends it.
pub async fn end_snapshot(session: &mut dyn Session) -> Result<(), DbError> {
    let statement = session.dialect().rows().snapshot_end();
    session.execute(statement).await.map(|_| ())
}

/// Hashes a database in a snapshot of its own: under `like`, or under the reading of its own catalog.
pub async fn digest(
    session: &mut dyn Session,
    scope: &Scope,
    like: Option<&Reading>,
    sink: &mut dyn Sink,
) -> Result<Digests, DbError> {
    begin_snapshot(session).await?;
    let outcome = digest_here(session, scope, like, sink).await;
    let ended = end_snapshot(session).await;
    let digests = outcome?;
    ended?;
    Ok(digests)
}

/// As [`digest`], by sessions that read one state together.
pub async fn digest_together(
    readers: &mut Readers,
    scope: &Scope,
    like: Option<&Reading>,
    sink: &mut dyn Sink,
) -> Result<Digests, DbError> {
    let typing = readers.lead().dialect().rows().typing();
    let bound = bind(readers.lead(), scope, like).await?;
    let queue = Mutex::new(0..bound.tables.len());
    let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).next();
    let (told, counts) = mpsc::unbounded_channel();
    let works = readers.all().iter_mut().map(async |session| {
        let mut found = vec![];
        while let Some(at) = next() {
            let table = &bound.tables[at];
            let hasher = hash(&mut **session, table, told.clone()).await?;
            found.push((at, table_digest(table, &hasher)));
        }
        Ok::<_, DbError>(found)
    });
    let found = telling(futures_util::future::try_join_all(works), counts, sink).await?;
    let mut found: Vec<(usize, TableDigest)> = found.into_iter().flatten().collect();
    found.sort_by_key(|(at, _)| *at);
    let tables = found.into_iter().map(|(_, digest)| digest).collect();
    Ok(bound.digests(tables, typing, like.is_some()))
}

/// Hashes within the snapshot that the session is in.
pub async fn digest_here(
    session: &mut dyn Session,
    scope: &Scope,
    like: Option<&Reading>,
    sink: &mut dyn Sink,
) -> Result<Digests, DbError> {
    let bound = bind(session, scope, like).await?;
    let mut tables = vec![];
    for table in &bound.tables {
        tables.push(digest_table(session, table, sink).await?);
    }
    let typing = session.dialect().rows().typing();
    Ok(bound.digests(tables, typing, like.is_some()))
}

/// What is to be hashed, and under which reading.
struct ToHash {
    reading: Reading,
    tables: Vec<Bound>,
    findings: Vec<Finding>,
}

impl ToHash {
    fn digests(mut self, tables: Vec<TableDigest>, typing: Typing, like: bool) -> Digests {
        for (table, digest) in self.tables.iter().zip(&tables) {
            self.findings.extend(say(table, digest, typing, like));
        }
        Digests {
            reading: self.reading,
            tables,
            findings: self.findings,
        }
    }
}

async fn bind(
    session: &mut dyn Session,
    scope: &Scope,
    like: Option<&Reading>,
) -> Result<ToHash, DbError> {
    let all = shapes(session).await?;
    let mut findings: Vec<Finding> = scope
        .unknown(&all)
        .into_iter()
        .map(|name| {
            Finding::error(
                "digest-table-missing",
                Place::object(name),
                format!("there is no table {name}"),
            )
        })
        .collect();
    let kept: Vec<TableShape> = all.into_iter().filter(|shape| scope.keeps(shape)).collect();
    let (reading, tables) = match like {
        None => Reading::derive(&kept),
        Some(reading) => {
            let (tables, said) = reading.bind(&kept);
            findings.extend(said);
            (reading.clone(), tables)
        }
    };
    Ok(ToHash {
        reading,
        tables,
        findings,
    })
}

/// Hashes one table within the session's transaction.
pub async fn digest_table(
    session: &mut dyn Session,
    table: &Bound,
    sink: &mut dyn Sink,
) -> Result<TableDigest, DbError> {
    let (told, counts) = mpsc::unbounded_channel();
    let hasher = telling(hash(session, table, told), counts, sink).await?;
    Ok(table_digest(table, &hasher))
}

/// The digest of one table as its session sees it now; nobody is told how far it is.
pub async fn digest_in_silence(
    session: &mut dyn Session,
    table: &Bound,
) -> Result<Digest, DbError> {
    let (told, _) = mpsc::unbounded_channel();
    Ok(hash(session, table, told).await?.digest())
}

/// How many rows of a table are done.
type Told = (String, u64);

async fn hash(
    session: &mut dyn Session,
    table: &Bound,
    told: mpsc::UnboundedSender<Told>,
) -> Result<RowHasher, DbError> {
    let rows = session.dialect().rows();
    let hashing = Hashing {
        hasher: RowHasher::new(table.types(), rows.typing()),
        table: table.label(),
        told,
    };
    Ok(scan(session, &rows.select(table), hashing).await?.hasher)
}

/// Waits for work, and says meanwhile how far it is.
async fn telling<T>(
    work: impl Future<Output = Result<T, DbError>>,
    mut counts: mpsc::UnboundedReceiver<Told>,
    sink: &mut dyn Sink,
) -> Result<T, DbError> {
    let mut work = std::pin::pin!(work);
    loop {
        tokio::select! {
            biased;
            done = &mut work => return done,
            Some((what, done)) = counts.recv() => sink.event(&Event::Progress {
                what,
                done,
                total: None,
                unit: "rows".into(),
            }),
        }
    }
}

/// Hashes rows where they are read, and says now and then how many there were.
struct Hashing {
    hasher: RowHasher,
    table: String,
    told: mpsc::UnboundedSender<Told>,
}

impl RowVisitor for Hashing {
    fn row(&mut self, cells: &[Cell<'_>]) -> ControlFlow<()> {
        self.hasher.row(cells.iter().copied());
        let done = self.hasher.digest().rows;
        if done.is_multiple_of(PROGRESS_ROWS) {
            // Nobody need listen.
            let _ = self.told.send((self.table.clone(), done));
        }
        ControlFlow::Continue(())
    }
}

/// What a hasher has found of a table.
pub(crate) fn table_digest(table: &Bound, hasher: &RowHasher) -> TableDigest {
    let noticed = table
        .columns
        .iter()
        .zip(hasher.noticed())
        .filter(|(_, noticed)| !noticed.is_empty())
        .map(|(column, noticed)| (column.shape.name.clone(), noticed.clone()))
        .collect();
    let digest = hasher.digest();
    TableDigest {
        table: table.name.clone(),
        rows: digest.rows,
        digest: digest.hex(),
        noticed,
    }
}

/// What was noticed, as findings.
fn say(table: &Bound, digest: &TableDigest, typing: Typing, like: bool) -> Vec<Finding> {
    let mut findings = vec![];
    for (column, noticed) in &digest.noticed {
        let place = || Place::object(format!("{}.{column}", table.label()));
        let ty = table
            .columns
            .iter()
            .find(|bound| bound.shape.name == *column)
            .map(|bound| &bound.ty);
        let ty = ty.unwrap_or(&NeutralType::Text);
        if noticed.misfits > 0 {
            let message = format!(
                "{} of {} cells of {}.{column} are no values of the type `{ty}` under which the column is read",
                noticed.misfits,
                digest.rows,
                table.label()
            );
            // A server holds its columns to their types: there the reading is wrong, not the data.
            let finding = if like && typing == dunlin_core::copy::Typing::Static {
                Finding::error("digest-does-not-fit", place(), message)
            } else {
                Finding::warning("digest-does-not-fit", place(), message)
            };
            findings.push(finding.help(
                "They are hashed as what they are and equal only the same cells of the same class.",
            ));
        }
        if noticed.duplicate_keys > 0 {
            findings.push(
                Finding::warning(
                    "json-duplicate-key",
                    place(),
                    format!(
                        "{} JSON texts of {}.{column} name a key twice in one object; the last was read",
                        noticed.duplicate_keys,
                        table.label()
                    ),
                )
                .help("Another engine may keep only one of the two: clean these rows before they move."),
            );
        }
        if !noticed.counted.is_empty() {
            let units: Vec<String> = noticed
                .counted
                .iter()
                .map(|(epoch, count)| format!("{count} as {}", epoch.name()))
                .collect();
            findings.push(Finding::info(
                "digest-number-as-time",
                place(),
                format!(
                    "numbers of {}.{column} were read as times: {}",
                    table.label(),
                    units.join(", ")
                ),
            ));
        }
    }
    findings
}

/// Whether two sets of digests are equal, and what is not: `(table, here, there)`.
pub fn differences<'a>(
    here: &'a [TableDigest],
    there: &'a [TableDigest],
) -> Vec<(&'a str, Option<&'a TableDigest>, Option<&'a TableDigest>)> {
    let names: BTreeSet<&str> = here
        .iter()
        .chain(there)
        .map(|table| table.table.as_str())
        .collect();
    let find = |set: &'a [TableDigest], name: &str| set.iter().find(|table| table.table == name);
    names
        .into_iter()
        .map(|name| (name, find(here, name), find(there, name)))
        .filter(|(_, a, b)| !matches!((a, b), (Some(a), Some(b)) if a.agrees(b)))
        .collect()
}

/// Whether digests that were taken under another database's reading may be compared with it at all.
pub fn comparable(digests: &Digests) -> bool {
    !any_error(&digests.findings)
}
