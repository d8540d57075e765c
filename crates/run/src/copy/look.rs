//! Looking before a copy: the source's catalog and what its columns really hold, the target as it is, and the plan that
//! follows from them. Nothing is written.

use super::ends::Readers;
use super::estimate::Estimate;
use super::short::{Granted, Short, grant};
use super::sight::{Seen, Sight, unreadable};
use super::sums::Looks;
use super::{Existing, Job};
use crate::observe;
use crate::world::World;
use dunlin_core::copy::Cell;
use dunlin_core::copy::plan::{CopyPlan, NotCarried};
use dunlin_core::copy::policy::Policies;
use dunlin_core::copy::profile::{ColumnProfile, Profiler};
use dunlin_core::copy::reading::Bound;
use dunlin_core::copy::translate::Evidence;
use dunlin_core::dialect::Caps;
use dunlin_core::event::{Event, Sink};
use dunlin_core::failure::Failure;
use dunlin_core::finding::Finding;
use dunlin_core::schema::{Catalog, Scope, Table, label};
use dunlin_core::value::Value;
use dunlin_engines::scan::{RowVisitor, scan};
use dunlin_engines::{DbError, Session};
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

/// What was seen, and what follows from it.
pub struct Looked {
    /// The source's catalog: what is to be copied of it.
    pub source: Catalog,
    /// The plan.
    pub plan: CopyPlan,
    /// What there is to say.
    pub findings: Vec<Finding>,
    /// Table by table as in the plan: rows and bytes of the source, as far as they are known.
    pub sizes: Vec<Size>,
    /// Columns of keys of the source's tables, as in the plan.
    pub keys: Vec<Vec<String>>,
    /// Whether a table's rows are its own, as in the plan.
    pub own_rows: Vec<bool>,
    /// Tables whose types were taken for granted, as in the plan.
    pub granted: Vec<Option<Granted>>,
    /// What is done about values that do not fit.
    pub policies: Policies,
    /// The target's capabilities.
    pub to: Caps,
    /// The target's catalog as it was before.
    pub there: Catalog,
    /// Rows read a second while profiling; `None`: nothing was profiled.
    pub rows_per_second: Option<f64>,
    /// How long the rows will take, of a look that nothing follows.
    pub estimate: Option<Estimate>,
}

/// How large a table of the source is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Size {
    /// Rows.
    pub rows: u64,
    /// The rows were counted; otherwise the engine's statistics say so.
    pub counted: bool,
    /// Bytes: of the values that were looked at, else by the engine's statistics.
    pub bytes: u64,
}

/// What a row costs beside its bytes, in bytes that take as long to move: a row of 60 bytes takes some 1.4 µs through both
/// ends, one of 1,600 bytes some 6 µs (`cargo x bench copy`, on SQLite and PostgreSQL).
const ROW_COST: u64 = 400;

impl Size {
    /// How long its rows take, against others.
    pub fn cost(self) -> u64 {
        self.bytes
            .saturating_add(self.rows.saturating_mul(ROW_COST))
    }

    /// Bytes of a row.
    pub fn width(self) -> u64 {
        self.bytes / self.rows.max(1)
    }

    /// Takes a row into account.
    pub(super) fn take(&mut self, cells: &[Cell<'_>]) {
        self.rows += 1;
        for cell in cells {
            self.bytes += match cell {
                Cell::Text(text) => text.len() as u64,
                Cell::BadText(bytes) | Cell::Bytes(bytes) => bytes.len() as u64,
                _ => size_of::<u64>() as u64,
            };
        }
    }
}

/// Looks at both ends. The readers hold the state of the source that is copied later.
pub async fn look(
    from: &World,
    to: &World,
    job: &Job,
    readers: &mut Readers,
    target: &mut dyn Session,
    short: &Short,
    sink: &mut dyn Sink,
) -> Result<Looked, Failure> {
    // Both read the same pages at the same time. A damaged file is refused as such, whatever the look stumbles over.
    let looking = look_only(from, to, job, readers, target, short, sink);
    let (sound, looked) = tokio::join!(super::ends::sound(from), looking);
    sound?;
    looked
}

/// Looks, and asks nobody whether the source is damaged.
pub(super) async fn look_only(
    from: &World,
    to: &World,
    job: &Job,
    readers: &mut Readers,
    target: &mut dyn Session,
    short: &Short,
    sink: &mut dyn Sink,
) -> Result<Looked, Failure> {
    let mut looked = look_at(from, to, job, readers, target, short, sink).await?;
    let beyond = beyond(from, readers.lead(), job).await?;
    looked.plan.not_carried.extend(beyond);
    Ok(looked)
}

/// What a catalog does not show. Of a part of the tables nobody knows what belongs to it.
async fn beyond(
    from: &World,
    session: &mut dyn Session,
    job: &Job,
) -> Result<Vec<NotCarried>, Failure> {
    let all = job.tables.is_empty() && job.exclude.is_empty();
    let Some(query) = session.dialect().catalog().beyond().filter(|_| all) else {
        return Ok(vec![]);
    };
    let rows = session.query(&query.sql, &query.params).await;
    let rows = rows.map_err(|error| unreadable(from, &error))?;
    let text = |row: &[Value], at: usize| row.get(at).and_then(|it| it.as_str().map(str::to_owned));
    let named = rows.iter().filter_map(|row| {
        Some(NotCarried {
            object: text(row, 0)?,
            why: "it is not part of what a copy takes along".into(),
            text: text(row, 1),
        })
    });
    Ok(named.collect())
}

async fn look_at(
    from: &World,
    to: &World,
    job: &Job,
    readers: &mut Readers,
    target: &mut dyn Session,
    short: &Short,
    sink: &mut dyn Sink,
) -> Result<Looked, Failure> {
    let sight = Sight::take(from, to, job, readers.lead(), target).await?;
    let mut seen = Seen::default();
    if sight.is_foreign() {
        let counted = Instant::now();
        let mut bounds = sight.bounds();
        let mut known = taken(from, to, readers, &sight.source, &mut bounds, short).await?;
        profile(from, readers, bounds, &mut known, &mut seen.evidence, sink).await?;
        (seen.sizes, seen.granted) = apart(known);
        seen.rows_per_second = rate(&seen.sizes, counted.elapsed());
    } else {
        seen.sizes = known_sizes(from, readers.lead()).await;
    }
    Ok(sight.decide(to, job, seen))
}

fn rate(sizes: &BTreeMap<Names, Size>, took: Duration) -> Option<f64> {
    let total: u64 = sizes.values().map(|size| size.rows).sum();
    (total > 0 && !took.is_zero()).then(|| total as f64 / took.as_secs_f64())
}

pub(super) type Names = (Option<String>, String);

async fn known_sizes(from: &World, session: &mut dyn Session) -> BTreeMap<Names, Size> {
    let scope = Scope::new(vec![], vec![], &from.names, from.sql.tables.clone());
    // Sizes are for estimates: without the right to see them there are none.
    let sizes = observe::sizes(session, &scope).await.unwrap_or_default();
    let default = session.caps().default_schema.clone();
    sizes
        .into_iter()
        .map(|size| {
            let schema = size
                .schema
                .filter(|schema| default.as_ref() != Some(schema));
            let found = Size {
                rows: size.rows.unwrap_or_default(),
                counted: false,
                bytes: size.bytes.unwrap_or_default(),
            };
            ((schema, size.name), found)
        })
        .collect()
}

/// What is known of tables: how large, and whether they are taken for what they say.
type Known = BTreeMap<Names, (Size, Option<Granted>)>;

/// Takes those out that are taken for what they say.
async fn taken(
    from: &World,
    to: &World,
    readers: &mut Readers,
    source: &Catalog,
    bounds: &mut Vec<Bound>,
    short: &Short,
) -> Result<Known, Failure> {
    let mut known = Known::new();
    for bound in std::mem::take(bounds) {
        let table = source.table(bound.schema.as_deref(), &bound.table);
        let taken = match table {
            Some(table) => grant(short, to, readers.lead(), table, &bound).await,
            None => Ok(None),
        };
        match taken.map_err(|error| unreadable(from, &error))? {
            Some((size, granted)) => {
                let name = (bound.schema.clone(), bound.table.clone());
                known.insert(name, (size, Some(granted)));
            }
            None => bounds.push(bound),
        }
    }
    Ok(known)
}

fn told(known: &Known, sink: &mut dyn Sink) {
    for (name, (size, _)) in known {
        sink.event(&Event::Progress {
            what: format!("looked at {}", label(name.0.as_deref(), &name.1)),
            done: size.rows,
            total: Some(size.rows),
            unit: "rows".into(),
        });
    }
}

fn apart(known: Known) -> (BTreeMap<Names, Size>, BTreeMap<Names, Granted>) {
    let mut granted = BTreeMap::new();
    let mut size = |(name, (size, taken)): (Names, (Size, Option<Granted>))| {
        if let Some(taken) = taken {
            granted.insert(name.clone(), taken);
        }
        (name, size)
    };
    let sizes = known.into_iter().map(&mut size).collect();
    (sizes, granted)
}

/// Looks at the values of some tables, where others are looked at on another way.
pub(super) async fn profile_apart(
    from: &World,
    readers: &mut Readers,
    bounds: Vec<Bound>,
    seen: &mut Seen,
    sink: &mut dyn Sink,
) -> Result<(), Failure> {
    let mut known = Known::new();
    profile(from, readers, bounds, &mut known, &mut seen.evidence, sink).await
}

/// Reads every row once, table by table on as many sessions as there are.
async fn profile(
    from: &World,
    readers: &mut Readers,
    bounds: Vec<Bound>,
    known: &mut Known,
    evidence: &mut Evidence,
    sink: &mut dyn Sink,
) -> Result<(), Failure> {
    told(known, sink);
    let queue = std::sync::Mutex::new(bounds);
    let next = || queue.lock().ok().and_then(|mut queue| queue.pop());
    let mut works = vec![];
    for session in readers.all() {
        works.push(async {
            let mut found = vec![];
            while let Some(bound) = next() {
                let (profiles, size) = profile_one(&mut **session, &bound).await?;
                found.push(((bound.schema.clone(), bound.table.clone()), profiles, size));
            }
            Ok::<_, DbError>(found)
        });
    }
    let found = futures_util::future::try_join_all(works)
        .await
        .map_err(|error| unreadable(from, &error))?;
    for (name, profiles, size) in found.into_iter().flatten() {
        sink.event(&Event::Progress {
            what: format!("looked at {}", label(name.0.as_deref(), &name.1)),
            done: size.rows,
            total: Some(size.rows),
            unit: "rows".into(),
        });
        known.insert(name.clone(), (size, None));
        evidence.tables.insert(name, profiles);
    }
    Ok(())
}

/// Reads a table once, looking at each value.
async fn profile_one(
    session: &mut dyn Session,
    bound: &Bound,
) -> Result<(Vec<ColumnProfile>, Size), DbError> {
    let select = session.dialect().rows().select(bound);
    Ok(scan(session, &select, Looking::new(bound)).await?.finish())
}

/// Looks at rows where they are read.
pub(super) struct Looking {
    profilers: Vec<Profiler>,
    size: Size,
}

impl Looking {
    /// At the rows of a table, in the order of its columns.
    pub(super) fn new(bound: &Bound) -> Looking {
        let columns = bound.columns.iter();
        Looking {
            profilers: columns
                .map(|column| Profiler::new(column.ty.clone()))
                .collect(),
            size: Size {
                counted: true,
                ..Size::default()
            },
        }
    }

    /// What was seen.
    pub(super) fn finish(self) -> (Vec<ColumnProfile>, Size) {
        let profilers = self.profilers.into_iter();
        (profilers.map(Profiler::finish).collect(), self.size)
    }
}

impl Looks for Looking {
    fn look(&mut self, cells: &[Cell<'_>]) {
        self.size.take(cells);
        for (profiler, cell) in self.profilers.iter_mut().zip(cells) {
            profiler.take(*cell);
        }
    }
}

impl RowVisitor for Looking {
    fn row(&mut self, cells: &[Cell<'_>]) -> ControlFlow<()> {
        self.look(cells);
        ControlFlow::Continue(())
    }

    // All readers' rows would else be looked at in turns by the one task that waits for them.
    fn apart(&self) -> bool {
        true
    }
}

/// Refuses a target that holds something of the same name, unless told what to do with it.
pub fn vacant(looked: &Looked, existing: Option<Existing>) -> Result<(), Failure> {
    if existing.is_some() {
        return Ok(());
    }
    let there: Vec<String> = looked
        .there
        .tables
        .iter()
        .map(Table::label)
        .chain(
            looked
                .there
                .views
                .iter()
                .map(|view| label(view.schema.as_deref(), &view.name)),
        )
        .collect();
    if there.is_empty() {
        return Ok(());
    }
    let shown: Vec<&str> = there.iter().take(5).map(String::as_str).collect();
    let more = there.len().saturating_sub(shown.len());
    let more = if more > 0 {
        format!(" and {more} more")
    } else {
        String::new()
    };
    let message = format!(
        "the target is not empty: it holds {}{more}",
        shown.join(", ")
    );
    Err(Failure::refused("target-not-empty", message).hint(
        "copy into an empty database, or say what becomes of rows that are there: `--into-existing append` or `replace`; \
         `--resume` goes on with a copy that was begun",
    ))
}
