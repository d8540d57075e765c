//! Whether two databases hold the same rows: digests first, then for tables that differ the rows, then their columns.
//!
//! Between engines types are chosen by what columns hold. That is not known before every value has been looked at, and it is
//! mostly what the columns say: so that is presumed, rows are hashed and looked at on their one way, and where the look
//! decides otherwise the table is hashed again. Of a table that differs only the parts that do are read once more
//! ([`super::sums`]).

use super::ends::{Readers, sound};
use super::look::{self, Looked, Looking};
use super::pair::{Missing, Pair};
use super::rows;
use super::short::Short;
use super::sight::{Seen, Sight};
use super::sums::{By, Sums, Wanted};
use super::two::{Side, Two};
use super::{CopiedTable, Existing, Job};
use crate::world::World;
use dunlin_core::copy::cast::Casts;
use dunlin_core::copy::plan::{ColumnPlan, TablePlan};
use dunlin_core::copy::policy::Policies;
use dunlin_core::copy::reading::Bound;
use dunlin_core::copy::translate::Evidence;
use dunlin_core::event::{Event, Sink};
use dunlin_core::failure::Failure;
use dunlin_core::finding::{Finding, Place, any_error};
use dunlin_core::schema::Table;
use dunlin_engines::{Purpose, Session};
use serde::Serialize;

/// How many rows that differ are named of one table.
const NAMED: usize = 200;
/// Of how many tables that differ the parts are kept until all tables have been read: at some 1 MB each.
const KEPT: usize = 16;

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
    casts: &Casts,
    sink: &mut dyn Sink,
) -> Result<Verified, Failure> {
    let job = job(tables, casts);
    of(from, to, &job, Way::Once, sink).await
}

/// A comparison of these tables, as a copy under these casts would read them.
pub fn job(tables: &[String], casts: &Casts) -> Job {
    let mut policies = Policies::default();
    casts.decide(&mut policies);
    Job {
        tables: tables.to_vec(),
        existing: Some(Existing::Append),
        compares: true,
        casts: casts.clone(),
        policies,
        ..Job::default()
    }
}

/// How a comparison between engines comes to know of what types values are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// Columns are presumed to hold what they say, rows are compared under that and looked at on their way, and what
    /// the look says otherwise is compared again.
    Once,
    /// All values are looked at beforehand.
    Beforehand,
}

/// Compares in one of the ways. Both say the same.
pub async fn of(
    from: &World,
    to: &World,
    job: &Job,
    way: Way,
    sink: &mut dyn Sink,
) -> Result<Verified, Failure> {
    let (mut readers, target) = open(from, to).await?;
    let compared = match way {
        Way::Once => compare(from, to, job, (&mut readers, target), sink).await,
        Way::Beforehand => beforehand(from, to, job, (&mut readers, target), sink).await,
    };
    readers.close().await;
    let (looked, mut verified) = compared?;
    if verified.tables.is_empty() && !looked.there.tables.is_empty() {
        return Err(nothing_compared(looked.there.tables.len()));
    }
    verified.findings.extend(beyond(&looked, &job.tables));
    // What a copy would do about them is no matter here.
    verified
        .findings
        .retain(|finding| finding.code != "table-is-there");
    Ok(verified)
}

/// Where nothing was compared "equal" would be said of nothing: a wrong path names an empty database.
fn nothing_compared(there: usize) -> Failure {
    let message = format!(
        "the source holds no tables and the target holds {there}: there is nothing to compare"
    );
    Failure::refused("nothing-to-copy", message).hint("check the first URL: which database is it?")
}

/// What the target has beside what was compared: nothing is said of it but that. `asked`: patterns of tables.
pub(super) fn beyond(looked: &Looked, asked: &[String]) -> Vec<Finding> {
    let known = |table: &Table| {
        let planned =
            |plan: &TablePlan| plan.target.0 == table.schema && plan.target.1 == table.name;
        let named = |source: &Table| source.name == table.name;
        looked.plan.tables.iter().any(planned)
            || looked.source.tables.iter().any(named)
            || table.options.contains_key("partition")
    };
    let mut found = vec![];
    let whole = |_: &&Table| asked.is_empty();
    for table in looked.there.tables.iter().filter(whole) {
        if !known(table) {
            let label = table.label();
            let message = format!("the source has no table {label}: its rows were not looked at");
            let place = Place::object(label);
            found.push(Finding::warning("digest-table-extra", place, message));
        }
    }
    for plan in &looked.plan.tables {
        let there = looked.there.table(plan.target.0.as_deref(), &plan.target.1);
        let columns = there.iter().flat_map(|table| &table.columns);
        let compared = |name: &str| plan.columns.iter().any(|column| column.target == name);
        for column in columns.filter(|column| column.generated.is_none()) {
            if !compared(&column.name) {
                let name = format!("{}.{}", rows::target(plan).label(), column.name);
                let message =
                    format!("the source has no column {name}: its values were not looked at");
                let place = Place::object(name);
                found.push(Finding::warning("digest-column-extra", place, message));
            }
        }
    }
    found
}

/// Opens both ends at once. Of two that cannot be opened the source is named.
pub(super) async fn open(from: &World, to: &World) -> Result<(Readers, Box<dyn Session>), Failure> {
    match tokio::join!(Readers::open(from, 1), to.open(Purpose::Read)) {
        (Ok(readers), Ok(target)) => Ok((readers, target)),
        (Ok(readers), Err(failure)) => {
            readers.close().await;
            Err(failure)
        }
        (Err(failure), target) => {
            if let Ok(target) = target {
                target.close().await;
            }
            Err(failure)
        }
    }
}

async fn beforehand(
    from: &World,
    to: &World,
    job: &Job,
    (readers, mut target): (&mut Readers, Box<dyn Session>),
    sink: &mut dyn Sink,
) -> Result<(Looked, Verified), Failure> {
    let looked = look::look(from, to, job, readers, &mut *target, &Short::No, sink).await;
    target.close().await;
    let looked = looked?;
    let verified = comparing(from, to, &looked, readers, sink).await?;
    Ok((looked, verified))
}

/// Compares; gives what was seen as well.
pub(super) async fn compare(
    from: &World,
    to: &World,
    job: &Job,
    ends: (&mut Readers, Box<dyn Session>),
    sink: &mut dyn Sink,
) -> Result<(Looked, Verified), Failure> {
    // Both read the same pages at the same time. A damaged file is refused as such, whatever else stumbles over it.
    let comparing = once(from, to, job, ends, sink);
    let (sound, compared) = tokio::join!(sound(from), comparing);
    sound?;
    compared
}

async fn once(
    from: &World,
    to: &World,
    job: &Job,
    (readers, mut target): (&mut Readers, Box<dyn Session>),
    sink: &mut dyn Sink,
) -> Result<(Looked, Verified), Failure> {
    let sight = match Sight::take(from, to, job, readers.lead(), &mut *target).await {
        Ok(sight) => sight,
        Err(failure) => {
            target.close().await;
            return Err(failure);
        }
    };
    let presumed = sight.decide(to, job, Seen::default());
    let mut comparison = Comparison {
        from,
        to,
        firsts: vec![],
        kept: 0,
    };
    let mut seen = Seen::default();
    let mut bounds = vec![None; presumed.plan.tables.len()];
    if sight.is_foreign() {
        let apart = together(&presumed, sight.bounds(), from, &mut bounds);
        look::profile_apart(from, readers, apart, &mut seen, sink).await?;
    }
    let mut two = Two::with(readers.lead(), target);
    let outcome = async {
        let begun = two.begin().await;
        begun.map_err(|side| side.failure(from, to))?;
        let looking = (bounds, &mut seen.evidence);
        comparison.first(&presumed, looking, &mut two, sink).await?;
        let looked = match sight.is_foreign() {
            true => sight.decide(to, job, seen),
            false => presumed,
        };
        let verified = comparison.end(&looked, &mut two).await?;
        Ok((looked, verified))
    };
    let outcome = outcome.await;
    two.close().await;
    outcome
}

/// Puts the tables that are looked at in the queries by which they are compared to their places in the plan, and gives the
/// others: those of which a comparison reads something else.
fn together(
    presumed: &Looked,
    bounds: Vec<Bound>,
    from: &World,
    places: &mut [Option<Bound>],
) -> Vec<Bound> {
    let rows = from.dialect().rows();
    let mut apart = vec![];
    for bound in bounds {
        let mut plans = presumed.plan.tables.iter();
        let of = |plan: &TablePlan| plan.source.0 == bound.schema && plan.source.1 == bound.table;
        let place = plans.position(of).filter(|at| {
            let (plan, own) = (&presumed.plan.tables[*at], presumed.own_rows[*at]);
            rows.select(&rows::source(plan, own)) == rows.select(&bound)
        });
        match place {
            Some(at) => places[at] = Some(bound),
            None => apart.push(bound),
        }
    }
    apart
}

/// Compares what was looked at.
pub(super) async fn comparing(
    from: &World,
    to: &World,
    looked: &Looked,
    readers: &mut Readers,
    sink: &mut dyn Sink,
) -> Result<Verified, Failure> {
    let target = to.open(Purpose::Read).await?;
    let mut two = Two::with(readers.lead(), target);
    let outcome = async {
        let begun = two.begin().await;
        begun.map_err(|side| side.failure(from, to))?;
        let mut comparison = Comparison {
            from,
            to,
            firsts: vec![],
            kept: 0,
        };
        let nothing = vec![None; looked.plan.tables.len()];
        let looking = (nothing, &mut Evidence::default());
        comparison.first(looked, looking, &mut two, sink).await?;
        comparison.end(looked, &mut two).await
    };
    let outcome = outcome.await;
    two.close().await;
    outcome
}

/// What a first reading of a table found.
struct First {
    /// Under what it was read.
    plan: TablePlan,
    own_rows: bool,
    ours: Sums,
    /// `None`: the target lacks it.
    theirs: Option<Sums>,
}

impl First {
    fn is_equal(&self) -> bool {
        let theirs = self.theirs.as_ref().map(|theirs| theirs.all);
        theirs == Some(self.ours.all)
    }

    /// Whether it was read as it is to be read.
    fn holds(&self, looked: &Looked, at: usize) -> bool {
        let plan = &looked.plan.tables[at];
        let table = |plan: &TablePlan| (plan.source.clone(), plan.target.clone(), plan.inherited);
        let same = |(a, b): (&ColumnPlan, &ColumnPlan)| {
            (&a.source, &a.source_native, &a.source_type)
                == (&b.source, &b.source_native, &b.source_type)
                && (&a.target, &a.target_native, &a.ty) == (&b.target, &b.target_native, &b.ty)
                && (&a.bounds, a.nullable, a.epoch, a.as_is)
                    == (&b.bounds, b.nullable, b.epoch, b.as_is)
        };
        table(&self.plan) == table(plan)
            && self.own_rows == looked.own_rows[at]
            && self.plan.columns.len() == plan.columns.len()
            && self.plan.columns.iter().zip(&plan.columns).all(same)
    }
}

struct Comparison<'c> {
    from: &'c World,
    to: &'c World,
    /// As in the plan.
    firsts: Vec<First>,
    /// Of how many of them the parts are kept.
    kept: usize,
}

impl Comparison<'_> {
    /// Reads every table of both sides once. `bounds`: those whose values are looked at as well.
    async fn first(
        &mut self,
        looked: &Looked,
        (bounds, evidence): (Vec<Option<Bound>>, &mut Evidence),
        two: &mut Two<'_>,
        sink: &mut dyn Sink,
    ) -> Result<(), Failure> {
        for (at, bound) in bounds.into_iter().enumerate() {
            let pair = Pair::new(looked, at, self.to.dialect().rows().typing());
            sink.event(&Event::Progress {
                what: format!("comparing {}", pair.source.label()),
                done: at as u64,
                total: Some(looked.plan.tables.len() as u64),
                unit: "tables".into(),
            });
            let look = bound.as_ref().map(Looking::new);
            let first = self.read(looked, at, &pair, look, two).await;
            let (mut first, look) = first.map_err(|side| side.failure(self.from, self.to))?;
            if let (Some(bound), Some(look)) = (bound, look) {
                let name = (bound.schema, bound.table);
                evidence.tables.insert(name, look.finish().0);
            }
            if first.is_equal() || self.kept == KEPT {
                first.ours.forget();
                first.theirs.iter_mut().for_each(Sums::forget);
            } else {
                self.kept += 1;
            }
            self.firsts.push(first);
        }
        Ok(())
    }

    async fn read(
        &self,
        looked: &Looked,
        at: usize,
        pair: &Pair<'_>,
        look: Option<Looking>,
        two: &mut Two<'_>,
    ) -> Result<(First, Option<Looking>), Side> {
        let by = two.parted(pair, &looked.source).await?;
        let there = pair.missing(looked) == Missing::Nothing;
        let (ours, theirs, look) = two.sums(pair, by, there, look).await?;
        let first = First {
            plan: pair.plan.clone(),
            own_rows: looked.own_rows[at],
            ours,
            theirs,
        };
        Ok((first, look))
    }

    /// What was found, under what was seen in the end.
    async fn end(self, looked: &Looked, two: &mut Two<'_>) -> Result<Verified, Failure> {
        let mut verified = Verified {
            equal: true,
            ..Verified::default()
        };
        let typing = self.to.dialect().rows().typing();
        let (from, to) = (self.from, self.to);
        let mut firsts: Vec<Option<First>> = self.firsts.into_iter().map(Some).collect();
        let again = Comparison {
            from,
            to,
            firsts: vec![],
            kept: 0,
        };
        for at in 0..looked.plan.tables.len() {
            let pair = Pair::new(looked, at, typing);
            let known = firsts.get_mut(at).and_then(Option::take);
            let told = async {
                let first = match known.filter(|first| first.holds(looked, at)) {
                    Some(first) => first,
                    None => again.read(looked, at, &pair, None, two).await?.0,
                };
                pair.tell(first, pair.missing(looked), two, &mut verified)
                    .await
            };
            told.await.map_err(|side| side.failure(from, to))?;
        }
        verified.findings.extend(looked.findings.iter().cloned());
        verified.equal &= !any_error(&verified.findings);
        Ok(verified)
    }
}

impl Pair<'_> {
    /// Writes down what was found.
    async fn tell(
        &self,
        first: First,
        missing: Missing,
        two: &mut Two<'_>,
        verified: &mut Verified,
    ) -> Result<(), Side> {
        let ours = first.ours.all;
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
        if missing == Missing::Table {
            let message = format!("the target has no table {}", line.target);
            let place = Place::object(&line.target);
            let finding = Finding::error("digest-table-missing", place, message);
            verified.findings.push(finding);
        }
        let Some(theirs) = first.theirs else {
            verified.equal = false;
            verified.tables.push(line);
            return Ok(());
        };
        line.rows_target = theirs.all.rows;
        line.digest_target = Some(theirs.all.hex());
        line.equal = Some(ours == theirs.all);
        let name = line.table.clone();
        verified.tables.push(line);
        if ours != theirs.all {
            verified.equal = false;
            let wanted = Wanted::of(&first.ours, &theirs);
            let (found, more) = self.differences(&name, wanted, two).await?;
            verified.differences.extend(found);
            verified.more |= more;
        }
        Ok(())
    }

    /// The rows that differ, as many as are named, and whether there are more. `wanted`: the parts that differ, where they
    /// are known.
    async fn differences(
        &self,
        table: &str,
        wanted: Option<Wanted>,
        two: &mut Two<'_>,
    ) -> Result<(Vec<Difference>, bool), Side> {
        let wanted = match wanted {
            Some(wanted) => wanted,
            None => {
                let (ours, theirs, ()) = two.sums(self, By::Hash, true, ()).await?;
                let wanted = theirs.and_then(|theirs| Wanted::of(&ours, &theirs));
                match wanted {
                    Some(wanted) => wanted,
                    None => return Ok((vec![], true)),
                }
            }
        };
        let mut more = wanted.more;
        let (ours, mut theirs) = two.hold(self, wanted).await?;
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
                // In whatever order they came, where several have one key.
                Some(other) if other.all == held.all => {}
                Some(other) if other.times < held.times => put(held.key, vec![], "source"),
                Some(other) if other.times > held.times => put(held.key, vec![], "target"),
                Some(other) => {
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
            }
        }
        for held in theirs.into_values() {
            put(held.key, vec![], "target");
        }
        Ok((found, more))
    }
}
