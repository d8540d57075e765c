//! Looking before a copy: the source's catalog and what its columns really hold, the target as it is, and the plan that
//! follows from them. Nothing is written.

use super::ends::Readers;
use super::estimate::Estimate;
use super::short::{Granted, Short, grant};
use super::{Existing, Job, longest};
use crate::world::World;
use crate::{digest, observe, trouble};
use dunlin_core::copy::Cell;
use dunlin_core::copy::plan::{CopyPlan, NotCarried, TablePlan};
use dunlin_core::copy::profile::{ColumnProfile, Profiler};
use dunlin_core::copy::reading::{Bound, Reading, TableShape};
use dunlin_core::copy::translate::{self, Evidence};
use dunlin_core::dialect::Caps;
use dunlin_core::event::{Event, Sink};
use dunlin_core::failure::Failure;
use dunlin_core::finding::{Finding, Place};
use dunlin_core::schema::render::heirs_of;
use dunlin_core::schema::{Catalog, Scope, Table, label};
use dunlin_core::source::pattern;
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

fn unreadable(world: &World, error: &DbError) -> Failure {
    world.redact(trouble::refused(error, "the source cannot be read"))
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
    let looking = look_at(from, to, job, readers, target, short, sink);
    let (sound, looked) = tokio::join!(super::ends::sound(from), looking);
    sound?;
    let mut looked = looked?;
    let beyond = beyond(from, readers.lead(), job).await?;
    looked.plan.not_carried.extend(beyond);
    Ok(looked)
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
    let whole = observe::whole(readers.lead())
        .await
        .map_err(|error| unreadable(from, &error))?;
    let mut findings = vec![];
    let (mut source, left) = chosen(from, whole, job, &mut findings)?;
    let shapes = digest::shapes(readers.lead())
        .await
        .map_err(|error| unreadable(from, &error))?;
    let caps = readers.lead().caps().clone();
    if caps.engine.family() == target.caps().engine.family() {
        exactly(readers.lead(), &mut source).await;
    }
    let counted = Instant::now();
    let to_caps = target.caps().clone();
    let sizes;
    let mut evidence = Evidence::default();
    let mut rows_per_second = None;
    let mut granted = BTreeMap::new();
    // Types are chosen by what is there where the other engine's are other ones.
    if caps.engine.family() != to_caps.engine.family() {
        let mut bounds = bounds_of(&source, &shapes);
        let mut known = taken(from, to, readers, &source, &mut bounds, short).await?;
        profile(from, readers, bounds, &mut known, &mut evidence, sink).await?;
        (sizes, granted) = apart(known);
        rows_per_second = rate(&sizes, counted.elapsed());
    } else {
        sizes = known_sizes(from, readers.lead()).await;
    }
    let (mut plan, said) = translate::plan(&source, &caps, &to_caps, &evidence, &job.casts);
    findings.extend(said);
    plan.not_carried.extend(left);
    let own_rows = only_read(&mut plan, &shapes);
    let scope = Scope::new(vec![], vec![], &to.names, to.sql.tables.clone());
    looked_at(&mut plan, to);
    let there = observe::catalog(target, &scope)
        .await
        .map_err(|error| to.redact(trouble::refused(&error, "the target cannot be read")))?;
    if let Some(existing) = job.existing {
        super::existing::fit(&mut plan, &there, existing, &mut findings);
    }
    let seen = longest::Seen::new(&source, &evidence, job);
    findings.extend(seen.check(&mut plan, to, target).await?);
    let tables = plan.tables.iter();
    let keys = tables.clone().map(|table| key(&source, table)).collect();
    let size = |table: &TablePlan| sizes.get(&table.source).copied().unwrap_or_default();
    let sizes = tables.clone().map(size).collect();
    let granted = tables.map(|table| granted.remove(&table.source)).collect();
    Ok(Looked {
        source,
        plan,
        findings,
        sizes,
        keys,
        own_rows,
        granted,
        to: to_caps,
        there,
        rows_per_second,
        estimate: None,
    })
}

/// Every value is looked at on its way, where the target does not take it as it is.
fn looked_at(plan: &mut CopyPlan, to: &World) {
    if to.dialect().landing().takes_raw() {
        return;
    }
    let columns = plan.tables.iter_mut().flat_map(|table| &mut table.columns);
    columns.for_each(|column| column.as_is = false);
}

fn rate(sizes: &BTreeMap<Names, Size>, took: Duration) -> Option<f64> {
    let total: u64 = sizes.values().map(|size| size.rows).sum();
    (total > 0 && !took.is_zero()).then(|| total as f64 / took.as_secs_f64())
}

/// Leaves out tables without rows of their own (partitions show through their root): they are made and not read. Gives
/// whether the rows of the others are their own.
fn only_read(plan: &mut CopyPlan, shapes: &[TableShape]) -> Vec<bool> {
    let own = |table: &TablePlan| {
        let (schema, name) = &table.source;
        let shape = shapes
            .iter()
            .find(|shape| shape.name == *name && shape.schema == *schema);
        shape.map(|shape| shape.own_rows)
    };
    plan.tables.retain(|table| own(table).is_some());
    plan.tables.iter().filter_map(own).collect()
}

/// Like to like, the server's own statements say it best.
async fn exactly(session: &mut dyn Session, source: &mut Catalog) {
    let mut exact = source.clone();
    if observe::exact(session, &mut exact).await.is_err() {
        return;
    }
    for (table, exact) in source.tables.iter_mut().zip(exact.tables) {
        table.triggers = exact.triggers;
    }
    source.routines = exact.routines;
    source.sequences = exact.sequences;
    source.events = exact.events;
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

/// What of the source is copied: `--tables` and `--exclude`; never the journal, which speaks of its own database alone.
fn chosen(
    from: &World,
    whole: Catalog,
    job: &Job,
    findings: &mut Vec<Finding>,
) -> Result<(Catalog, Vec<NotCarried>), Failure> {
    let scope = Scope::new(vec![], vec![], &from.names, from.sql.tables.clone());
    let mut left = vec![];
    let own = |table: &&Table| !scope.owns(table.schema.as_deref(), &table.name);
    let journal: Vec<String> = whole.tables.iter().filter(own).map(Table::label).collect();
    if !journal.is_empty() {
        left.push(NotCarried {
            object: format!("tables {}", journal.join(", ")),
            why: "the journal of this database says nothing of another; `dunlin baseline` begins one there".into(),
            text: None,
        });
    }
    let mut source = whole.owned(&scope);
    let named = |patterns: &[String], schema: Option<&str>, name: &str| {
        pattern::any(patterns, Some(schema.unwrap_or("public")), name)
    };
    if let Some(unknown) = job.tables.iter().find(|wanted| {
        let one = std::slice::from_ref(*wanted);
        !source
            .tables
            .iter()
            .any(|table| named(one, table.schema.as_deref(), &table.name))
    }) {
        let message = format!("no table of the source fits `{unknown}`");
        return Err(Failure::refused("no-such-table", message));
    }
    let keeps = |schema: Option<&str>, name: &str| {
        (job.tables.is_empty() || named(&job.tables, schema, name))
            && !named(&job.exclude, schema, name)
    };
    let whole_tables = source.tables.clone();
    source
        .tables
        .retain(|table| keeps(table.schema.as_deref(), &table.name));
    parts_of(&whole_tables, &mut source);
    if !job.tables.is_empty() || !job.exclude.is_empty() {
        only_tables(&mut source, &mut left);
    }
    if source.tables.is_empty() {
        findings.push(Finding::warning(
            "nothing-to-copy",
            Place::default(),
            "the source holds no tables",
        ));
    }
    Ok((source, left))
}

/// The parts of a table come along with it, whatever they are called: its rows lie in them.
fn parts_of(whole: &[Table], source: &mut Catalog) {
    loop {
        let known: Vec<String> = source.tables.iter().map(Table::label).collect();
        let missing = |table: &&Table| {
            table.options.contains_key("partition")
                && !known.contains(&table.label())
                && heirs_of(table).iter().any(|parent| known.contains(parent))
        };
        let more: Vec<Table> = whole.iter().filter(missing).cloned().collect();
        if more.is_empty() {
            return;
        }
        source.tables.extend(more);
    }
}

/// Of a part of the tables nobody knows whether views and routines still hold; foreign keys to tables that stay behind
/// are named.
fn only_tables(source: &mut Catalog, left: &mut Vec<NotCarried>) {
    source.views.clear();
    source.routines.clear();
    source.events.clear();
    let names: Vec<Names> = source
        .tables
        .iter()
        .map(|table| (table.schema.clone(), table.name.clone()))
        .collect();
    for table in &mut source.tables {
        let label = table.label();
        table.foreign_keys.retain(|key| {
            let there = names.contains(&(key.references_schema.clone(), key.references.clone()));
            if !there {
                left.push(NotCarried {
                    object: format!("foreign key of {label} ({})", key.columns.join(", ")),
                    why: format!("table {} is not copied", key.references),
                    text: None,
                });
            }
            there
        });
    }
}

type Names = (Option<String>, String);

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

/// The tables as they are read.
fn bounds_of(source: &Catalog, shapes: &[TableShape]) -> Vec<Bound> {
    let (_, mut bounds) = Reading::derive(shapes);
    bounds.retain(|bound| {
        source
            .table(bound.schema.as_deref(), &bound.table)
            .is_some()
    });
    for bound in &mut bounds {
        // The catalog's order: profiles are told apart by their place.
        let table = source.table(bound.schema.as_deref(), &bound.table);
        let place = |name: &str| table?.columns.iter().position(|column| column.name == name);
        bound
            .columns
            .sort_by_key(|column| place(&column.shape.name).unwrap_or(usize::MAX));
    }
    bounds
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
    let columns = bound.columns.iter();
    let looking = Looking {
        profilers: columns
            .map(|column| Profiler::new(column.ty.clone()))
            .collect(),
        size: Size {
            counted: true,
            ..Size::default()
        },
    };
    let select = session.dialect().rows().select(bound);
    let looked = scan(session, &select, looking).await?;
    let profilers = looked.profilers.into_iter();
    Ok((profilers.map(Profiler::finish).collect(), looked.size))
}

/// Looks at rows where they are read.
struct Looking {
    profilers: Vec<Profiler>,
    size: Size,
}

impl RowVisitor for Looking {
    fn row(&mut self, cells: &[Cell<'_>]) -> ControlFlow<()> {
        self.size.take(cells);
        for (profiler, cell) in self.profilers.iter_mut().zip(cells) {
            profiler.take(*cell);
        }
        ControlFlow::Continue(())
    }

    // All readers' rows would else be looked at in turns by the one task that waits for them.
    fn apart(&self) -> bool {
        true
    }
}

/// The columns of a table's primary key, else of a unique key: what names a row.
fn key(source: &Catalog, plan: &TablePlan) -> Vec<String> {
    let Some(table) = source.table(plan.source.0.as_deref(), &plan.source.1) else {
        return vec![];
    };
    let primary = table.keys.iter().find(|key| key.primary);
    primary
        .or_else(|| table.keys.first())
        .map(|key| key.columns.clone())
        .unwrap_or_default()
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
