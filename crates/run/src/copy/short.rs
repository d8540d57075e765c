//! The short way: of large tables whose columns are of plain types the declared types are taken for granted, and their rows are
//! read once and not twice. Each value is asked on its way whether it is what its column says. The first that is not stops
//! the copy: what it made goes, and it begins again with a look at every value.
//!
//! So nothing is decided that the look would have decided otherwise, and no value is judged by a type that it would not have.

use super::Copying;
use super::ledger;
use super::look::{Looked, Size};
use crate::world::World;
use dunlin_core::copy::Cell;
use dunlin_core::copy::cast::Casts;
use dunlin_core::copy::guess::holds;
use dunlin_core::copy::plan::TablePlan;
use dunlin_core::copy::policy::{Policies, Policy};
use dunlin_core::copy::reading::Bound;
use dunlin_core::dialect::catalog::Part;
use dunlin_core::dialect::parts::{count, select_last, select_some};
use dunlin_core::failure::{Failure, FailureClass};
use dunlin_core::journal;
use dunlin_core::schema::{NeutralType, Table, label};
use dunlin_core::value::Value;
use dunlin_engines::scan::{RowVisitor, scan};
use dunlin_engines::{DbError, Session};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// From how many rows on a table is large: a look at fewer takes some milliseconds.
const LARGE: u64 = 20_000;
/// Rows at either end that are looked at before a table is taken for what it says.
const SAMPLE: u64 = 200;

/// Whose types may be taken for granted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Short {
    /// Nobody's: every value is looked at.
    No,
    /// Those of large tables whose first and last rows say nothing else.
    Sampled,
    /// Those of these tables, by their labels: a run before this one took them so.
    These(Vec<String>),
}

/// Whether whatever is not as it should be ends a copy: no row is bent or left out.
pub(super) fn fails(policies: &Policies) -> bool {
    let all = (policies.hazards.values())
        .chain(policies.columns.values())
        .chain(policies.exact.values());
    all.chain([&policies.default])
        .all(|policy| *policy == Policy::Fail)
}

impl Short {
    /// Of a copy that begins.
    pub(super) fn of(job: &super::Job) -> Short {
        // What is not as it should be stops such a copy at the first value; others know that there is some.
        let plain = job.existing.is_none()
            && job.what == super::What::All
            && job.step.is_none()
            && job.casts == Casts::default()
            && fails(&job.policies);
        if plain { Short::Sampled } else { Short::No }
    }
}

/// A table that is taken for what it says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Granted {
    /// Columns of its keys, by name: a NULL there would decide what becomes of the key.
    pub keyed: Vec<String>,
}

/// Whether a table's types are taken for granted, and how large it is then.
pub(super) async fn grant(
    short: &Short,
    to: &World,
    session: &mut dyn Session,
    table: &Table,
    bound: &Bound,
) -> Result<Option<(Size, Granted)>, DbError> {
    let asked = match short {
        Short::No => return Ok(None),
        Short::Sampled => true,
        Short::These(labels) if labels.contains(&table.label()) => false,
        Short::These(_) => return Ok(None),
    };
    let dialect = session.dialect();
    let says = |column| dialect.copy().takes_for_granted(table, column);
    let all = table.columns.iter().all(says) && bound.columns.len() == table.columns.len();
    if !all || to.dialect().copy().measures() {
        return Ok(None);
    }
    let found = session.query(&count(dialect.rows(), bound), &[]).await?;
    let rows = match found.first().and_then(|row| row.first()) {
        Some(Value::Int(rows)) => u64::try_from(*rows).unwrap_or_default(),
        _ => return Ok(None),
    };
    if asked && rows < LARGE {
        return Ok(None);
    }
    let names: Vec<&str> = table.columns.iter().map(|c| c.name.as_str()).collect();
    let Some(place) = dialect.rows().place(&names, None) else {
        return Ok(None);
    };
    let mut keyed: Vec<String> = table
        .keys
        .iter()
        .flat_map(|key| key.columns.clone())
        .collect();
    keyed.retain(|name| table.column(name).is_none_or(|column| column.nullable));
    let mut ends = Ends {
        asks: Asks::new(
            bound
                .columns
                .iter()
                .map(|column| (column.shape.name.as_str(), &column.ty)),
            &keyed,
        ),
        size: Size::default(),
        odd: false,
    };
    for select in [
        select_some(dialect.rows(), bound, SAMPLE),
        select_last(dialect.rows(), bound, &place, SAMPLE),
    ] {
        ends = scan(session, &select, ends).await?;
    }
    if asked && ends.odd {
        return Ok(None);
    }
    let each = u128::from(ends.size.bytes) * u128::from(rows) / u128::from(ends.size.rows.max(1));
    let size = Size {
        rows,
        counted: true,
        bytes: u64::try_from(each).unwrap_or(u64::MAX),
    };
    Ok(Some((size, Granted { keyed })))
}

/// Rows at the ends of a table.
struct Ends {
    asks: Asks,
    size: Size,
    odd: bool,
}

impl RowVisitor for Ends {
    fn row(&mut self, cells: &[Cell<'_>]) -> ControlFlow<()> {
        self.size.take(cells);
        self.odd |= !self.asks.hold(cells);
        ControlFlow::Continue(())
    }
}

/// What is asked of each row: of its columns the type, and whether a NULL is one too many.
struct Asks(Vec<(NeutralType, bool)>);

impl Asks {
    fn new<'c>(
        columns: impl Iterator<Item = (&'c str, &'c NeutralType)>,
        keyed: &[String],
    ) -> Asks {
        let ask =
            |(name, ty): (&str, &NeutralType)| (ty.clone(), keyed.iter().any(|key| key == name));
        Asks(columns.map(ask).collect())
    }

    fn hold(&self, cells: &[Cell<'_>]) -> bool {
        let mut asked = self.0.iter().zip(cells);
        asked.all(|((ty, keyed), cell)| holds(ty, *cell) && !(*keyed && *cell == Cell::Null))
    }
}

/// Asks the rows of a table that is taken for what it says, on their way.
pub(super) struct Guard {
    asks: Asks,
    broken: Arc<AtomicBool>,
}

impl Guard {
    /// The guard of a table.
    pub(super) fn new(plan: &TablePlan, granted: &Granted, broken: &Arc<AtomicBool>) -> Guard {
        let types = plan
            .columns
            .iter()
            .map(|column| (column.source.as_str(), &column.source_type));
        Guard {
            asks: Asks::new(types, &granted.keyed),
            broken: Arc::clone(broken),
        }
    }

    /// Whether a row is what its table says.
    pub(super) fn holds(&self, cells: &[Cell<'_>]) -> bool {
        self.asks.hold(cells)
    }

    /// Another table has been found to be something else: this one need not go on.
    pub(super) fn is_broken(&self) -> bool {
        self.broken.load(Ordering::Relaxed)
    }

    /// A row is not, or goes over only bent or not at all. `loading`: on its way, and not of what was there already.
    pub(super) fn broke(&self, loading: bool) -> Box<Failure> {
        if loading {
            self.broken.store(true, Ordering::Relaxed);
            return Box::new(begins_again());
        }
        Box::new(changed())
    }
}

/// What nobody gets to see: it is caught where the copy begins again.
pub(super) fn begins_again() -> Failure {
    let message = "a value is not what its column's type says";
    Failure::new(FailureClass::Failed, "copy-changed", message)
}

/// Whether it is that.
pub(super) fn is_again(failure: &Failure) -> bool {
    failure.message == begins_again().message
}

/// A copy that has another plan than the one that was begun.
pub(super) fn changed() -> Failure {
    Failure::refused(
        "copy-changed",
        "the copy that was begun here had another plan: source, options or what the columns hold have changed since",
    )
    .hint("empty the target and copy anew")
}

impl Looked {
    /// The tables that are taken for what they say, by their labels.
    pub(super) fn granted(&self) -> Vec<String> {
        let tables = self.plan.tables.iter().zip(&self.granted);
        tables
            .filter(|(_, granted)| granted.is_some())
            .map(|(plan, _)| label(plan.source.0.as_deref(), &plan.source.1))
            .collect()
    }
}

impl Copying<'_> {
    /// Whether a table was not what it says.
    pub(super) fn is_broken(&self) -> bool {
        self.broken.load(Ordering::Relaxed)
    }

    /// A copy that had come to its end, and is refused to go on, has come to its end still: the next one that asks must not
    /// take what was written there since for half a thing of ours.
    pub(super) async fn still_ended(&mut self, failure: Failure) -> Failure {
        if self.history.goes_on() && !self.history.open && failure.class == FailureClass::Refused {
            let ended = serde_json::json!({ "outcome": "refused" });
            let records = self.records(journal::Event::Ended, journal::Event::Done, ended);
            // Of a record that cannot be written the refusal says nothing: it stands either way.
            let _ = self.pen.append(self.to, &mut *self.work, &records).await;
        }
        failure
    }

    /// Takes back what was made, in one transaction with the record of it: the target is as it was, and so is its journal's
    /// knowledge of copies.
    pub(super) async fn take_back(&self) -> Result<(), Failure> {
        let wrong = |error: &DbError| ledger::failure(self.to, error, "cannot begin again");
        let mut writer = self.another().await?;
        writer.begin().await.map_err(|error| wrong(&error))?;
        let mut made: Vec<&Table> = vec![];
        for table in &self.looked.plan.catalog.tables {
            let there = self.is_there(table, &mut *writer).await;
            if there.map_err(|error| wrong(&error))? {
                made.push(table);
            }
        }
        // Foreign keys between them may have been added by now.
        let dialect = writer.dialect();
        let each = |table: &&Table| dialect.catalog().drop(Part::Table(table)).ok();
        let drops = match dialect.landing().drop_at_once(&made) {
            Some(sql) => vec![sql],
            None => made.iter().filter_map(each).flatten().collect(),
        };
        for sql in drops {
            writer.execute(&sql).await.map_err(|error| wrong(&error))?;
        }
        let nothing = serde_json::json!({});
        let record = ledger::record(journal::Event::Undone, "run", &self.hash, nothing);
        ledger::commit(self.to, &mut *writer, &self.pen, record).await?;
        writer.close().await;
        Ok(())
    }

    /// Takes back what was made of a source that turned out to be damaged, and says so.
    pub(super) async fn leave_nothing(&self, failure: &mut Failure) {
        match self.take_back().await {
            Ok(()) => failure.undone.push(
                "the tables that had been made meanwhile: the target is as it was, but for Dunlin's own tables".into(),
            ),
            Err(why) => {
                failure.done.push(format!(
                    "tables were made in the target and could not be dropped: {}",
                    why.message
                ));
            }
        }
    }
}
