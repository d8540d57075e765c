//! Constraints proven: of each, a row that must be refused is tried in a transaction that is rolled back, and counters are
//! asked which number comes next. Triggers are not there yet, and no try lets a counter give a number out.

use super::{Copied, Copying, What, ledger};
use dunlin_core::copy::stages::Stages;
use dunlin_core::dialect::tried::{Trials, Unique, speaks_of, uniques};
use dunlin_core::failure::{ErrorClass, Failure};
use dunlin_core::finding::{Finding, Place};
use dunlin_core::schema::{Check, ForeignKey, Table};
use dunlin_core::source::grammar::checks::Because;
use dunlin_core::value::{Query, Value};
use dunlin_engines::{DbError, Session};
use serde::Serialize;
use std::time::Duration;

/// How long a tried statement waits for a lock.
const PATIENCE: Duration = Duration::from_secs(5);

/// What became of a try.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Bites {
    /// What it must refuse, it refused, and for that reason; the counter gives what it must.
    Proven,
    /// There was nothing to try it with.
    NotTried,
    /// It does not.
    Failed,
}

/// A constraint or a counter that was tried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Proven {
    /// Which: `orders (customer_id) -> customers`.
    pub object: String,
    /// `not_null`, `primary_key`, `unique`, `check`, `foreign_key`, `counter`, `sequence`.
    pub kind: &'static str,
    /// What became of it.
    pub outcome: Bites,
    /// Why, where it is not proven.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// A counter that was set: its column, the last number that it is to have given out, and the next one of the source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Counted {
    pub schema: Option<String>,
    pub table: String,
    pub column: String,
    pub last: i64,
    pub next: Option<i64>,
}

/// What a tried statement met.
enum Met {
    /// It was taken.
    Taken,
    /// It touched no row.
    Nothing,
    /// It was refused.
    Refused(Option<Because>, Said),
}

/// What a server said.
struct Said {
    message: String,
    /// The values that it names, too.
    more: String,
}

impl Said {
    fn names(&self, table: &str, key: &Unique) -> bool {
        speaks_of(&self.message, table, key) || speaks_of(&self.more, table, key)
    }
}

type Outcome = (Bites, Option<String>);

const PROVEN: Outcome = (Bites::Proven, None);

fn not_tried(why: impl Into<String>) -> Outcome {
    (Bites::NotTried, Some(why.into()))
}

/// What a try says that was not refused as it must be. `nothing`: why it may have touched no row; `taken`: what was taken.
fn missed(met: Met, nothing: &str, taken: impl Into<String>) -> Outcome {
    match met {
        Met::Refused(_, said) => not_tried(format!(
            "something else refuses the row first: {}",
            said.message
        )),
        Met::Nothing => not_tried(nothing),
        Met::Taken => (Bites::Failed, Some(taken.into())),
    }
}

impl Copying<'_> {
    /// Tries what was made.
    pub(super) async fn bite(&mut self, copied: &mut Copied) -> Result<(), Failure> {
        let mut session = self.another().await?;
        let wrong =
            |error: DbError| ledger::failure(self.to, &error, "constraints cannot be tried");
        let dialect = session.dialect();
        // Zero is a number like others, and what a column cannot hold is refused; then foreign keys and checks again.
        let mut set: Vec<String> = vec![];
        for sql in dialect
            .change()
            .quiet()
            .iter()
            .chain(dialect.change().strictly())
        {
            set.push((*sql).to_owned());
        }
        set.extend(dialect.checks().trial_before(session.caps(), PATIENCE));
        for sql in &set {
            session.execute(sql).await.map_err(wrong)?;
        }
        if self.job.what == What::All {
            for plan in &self.looked.plan.tables {
                let catalog = &self.looked.plan.catalog;
                let Some(table) = catalog.table(plan.target.0.as_deref(), &plan.target.1) else {
                    continue;
                };
                let mut trying = Trying {
                    session: &mut *session,
                    tables: &catalog.tables,
                    trials: Trials { dialect, table },
                    stages: self.stages,
                    found: vec![],
                };
                trying.table().await.map_err(wrong)?;
                copied.proven.append(&mut trying.found);
            }
        }
        for counted in &self.counted {
            let proven = counter(&mut *session, counted).await.map_err(wrong)?;
            copied.proven.push(proven);
        }
        for sql in &self.set_sequences {
            let proven = self.sequence(&mut *session, sql).await.map_err(wrong)?;
            copied.proven.extend(proven);
        }
        session.close().await;
        for proven in copied
            .proven
            .iter()
            .filter(|one| one.outcome == Bites::Failed)
        {
            let why = proven.why.as_deref().unwrap_or_default();
            let what = proven.kind.replace('_', " ");
            let message = format!("{what} {}: {why}", proven.object);
            let place = Place::object(&proven.object);
            copied
                .findings
                .push(Finding::error("constraint-without-teeth", place, message));
        }
        Ok(())
    }

    /// A sequence that stands for itself says what its source says.
    async fn sequence(
        &self,
        session: &mut dyn Session,
        set: &str,
    ) -> Result<Option<Proven>, DbError> {
        let Some(query) = session.dialect().catalog().counters() else {
            return Ok(None);
        };
        let rows = session.query(query, &[]).await?;
        let mut texts = rows
            .iter()
            .filter_map(|row| row.first().and_then(Value::as_str));
        let there = texts.any(|text| text == set);
        let (outcome, why) = match there {
            true => PROVEN,
            false => (
                Bites::Failed,
                Some("its next number is another than in the source".into()),
            ),
        };
        Ok(Some(Proven {
            object: set.to_owned(),
            kind: "sequence",
            outcome,
            why,
        }))
    }
}

/// Asks a counter for the number that comes next, and takes none.
async fn counter(session: &mut dyn Session, counted: &Counted) -> Result<Proven, DbError> {
    let (schema, table) = (counted.schema.as_deref(), counted.table.as_str());
    let query = session
        .dialect()
        .landing()
        .next_number(schema, table, &counted.column);
    // There is none behind the largest of all.
    let wanted = counted.last.checked_add(1);
    let next = match query.filter(|_| wanted.is_some()) {
        Some(Query { sql, params }) => match session.query(&sql, &params).await {
            Ok(rows) => rows.first().and_then(|row| row.last()?.as_i64()),
            Err(error) if error.class == ErrorClass::ObjectMissing => None,
            Err(error) => return Err(error),
        },
        None => None,
    };
    let (outcome, why) = match (next, wanted) {
        (_, None) => not_tried("the largest number that there is has been given"),
        (None, _) => not_tried("nothing numbers rows here but the largest number that is there"),
        (Some(_), _) if counted.last < 0 => not_tried("its numbers are below zero"),
        (next, wanted) if next == wanted || next == counted.next => PROVEN,
        (Some(next), Some(wanted)) => (
            Bites::Failed,
            Some(format!("the next number is {next}, and {wanted} is wanted")),
        ),
    };
    Ok(Proven {
        object: format!("{table}.{}", counted.column),
        kind: "counter",
        outcome,
        why,
    })
}

/// One table's constraints, tried.
struct Trying<'t> {
    session: &'t mut dyn Session,
    tables: &'t [Table],
    trials: Trials<'t>,
    stages: &'t Stages,
    found: Vec<Proven>,
}

impl Trying<'_> {
    fn put(&mut self, object: String, kind: &'static str, (outcome, why): Outcome) {
        self.found.push(Proven {
            object,
            kind,
            outcome,
            why,
        });
    }

    async fn table(&mut self) -> Result<(), DbError> {
        let table = self.trials.table;
        let label = table.label();
        let stays = self.stays().await?;
        let keys = uniques(table);
        let in_primary = |name: &str| {
            let primary = keys.iter().find(|key| key.primary);
            primary.is_some_and(|key| key.parts.iter().any(|(part, _)| part == name))
        };
        for column in &table.columns {
            if column.nullable
                || column.generated.is_some()
                || column.identity.is_some()
                || in_primary(&column.name)
            {
                continue;
            }
            let tried = match stays {
                true => not_tried(STAYS),
                false => self.not_null(&column.name).await?,
            };
            self.put(format!("{label}.{}", column.name), "not_null", tried);
        }
        for key in &keys {
            let kind = if key.primary { "primary_key" } else { "unique" };
            let tried = match self.left_out(&format!("{} of {label} (", kind.replace('_', " "))) {
                Some(why) => not_tried(why),
                None if stays => not_tried(STAYS),
                None => self.unique(key, &keys).await?,
            };
            self.put(format!("{label} ({})", key.shown()), kind, tried);
        }
        for check in &table.checks {
            let name = check.name.as_deref().unwrap_or(&check.clause).to_owned();
            let tried = match self.left_out(&format!("check {name} of {label}")) {
                Some(why) => not_tried(why),
                None if stays => not_tried(STAYS),
                None => self.check(check).await?,
            };
            self.put(format!("{name} of {label}"), "check", tried);
        }
        for key in &table.foreign_keys {
            let columns = key.columns.join(", ");
            let tried = match self.left_out(&format!("foreign key of {label} ({columns})")) {
                Some(why) => not_tried(why),
                None if stays => not_tried(STAYS),
                None => self.foreign_key(key).await?,
            };
            self.put(
                format!("{label} ({columns}) -> {}", key.references),
                "foreign_key",
                tried,
            );
        }
        Ok(())
    }

    /// Why something was not made, where it is said already.
    fn left_out(&self, what: &str) -> Option<String> {
        self.stages
            .lacks
            .iter()
            .find(|lack| lack.starts_with(what))
            .cloned()
    }

    /// Whether what is tried in the table stays there, whatever is rolled back.
    async fn stays(&mut self) -> Result<bool, DbError> {
        super::exchange::stays(self.session, self.trials.table).await
    }

    /// Runs a statement in a transaction that is rolled back. `deferred`: its constraint may wait for the end.
    async fn attempt(&mut self, sql: &str, deferred: bool) -> Result<Met, DbError> {
        let checks = self.session.dialect().checks();
        self.session.begin().await?;
        let outcome = self.within(sql, deferred).await;
        let back = self.session.rollback().await;
        let outcome = match outcome {
            Ok(met) => met,
            Err(error) if error.class.is_lost() => return Err(error),
            Err(error) => {
                let because = checks.because(&error.code, &error.message);
                let said = Said {
                    message: error.message,
                    more: error.hint.unwrap_or_default(),
                };
                Met::Refused(because, said)
            }
        };
        back?;
        Ok(outcome)
    }

    async fn within(&mut self, sql: &str, deferred: bool) -> Result<Met, DbError> {
        let checks = self.session.dialect().checks();
        for statement in checks.trial_within(PATIENCE) {
            self.session.execute(&statement).await?;
        }
        let dangling = checks.dangling().filter(|_| deferred);
        let before = self.count(dangling).await?;
        let rows = self.session.execute(sql).await?;
        if rows == 0 {
            return Ok(Met::Nothing);
        }
        if let Some(immediate) = checks.immediate() {
            self.session.execute(immediate).await?;
        }
        if self.count(dangling).await? > before {
            let said = Said {
                message: "a deferred foreign key is violated".into(),
                more: String::new(),
            };
            return Ok(Met::Refused(Some(Because::ForeignKey), said));
        }
        Ok(Met::Taken)
    }

    async fn count(&mut self, query: Option<&str>) -> Result<i64, DbError> {
        let Some(query) = query else { return Ok(0) };
        let rows = self.session.query(query, &[]).await?;
        Ok(rows
            .first()
            .and_then(|row| row.first()?.as_i64())
            .unwrap_or(0))
    }

    /// Whether a query gives a row; `None`: it cannot be run.
    async fn any(&mut self, sql: &str) -> Result<Option<bool>, DbError> {
        match self.session.query(sql, &[]).await {
            Ok(rows) => Ok(Some(!rows.is_empty())),
            Err(error) if error.class.is_lost() => Err(error),
            Err(_) => Ok(None),
        }
    }

    async fn not_null(&mut self, column: &str) -> Result<Outcome, DbError> {
        let sql = self.trials.null(column);
        Ok(match self.attempt(&sql, false).await? {
            Met::Refused(Some(Because::NotNull), _) => PROVEN,
            met => missed(met, NO_ROW, "a row with NULL was taken"),
        })
    }

    async fn unique(&mut self, key: &Unique, keys: &[Unique]) -> Result<Outcome, DbError> {
        let mut last = not_tried(NO_ROW);
        for sql in self.trials.twice(key, keys) {
            last = match self.attempt(&sql, false).await? {
                Met::Refused(Some(Because::Unique), said)
                    if keys.len() == 1 || said.names(&self.trials.table.name, key) =>
                {
                    return Ok(PROVEN);
                }
                met => missed(
                    met,
                    "the table holds no row that has all of the key",
                    "a row was taken a second time",
                ),
            };
            if last.0 == Bites::Failed {
                break;
            }
        }
        Ok(last)
    }

    async fn check(&mut self, check: &Check) -> Result<Outcome, DbError> {
        if check.clause.to_uppercase().contains("NOT ENFORCED") {
            return Ok(not_tried("it is not enforced, as in the source"));
        }
        let mut last = not_tried(
            "no row that it must refuse was found: its condition is none of one column's edges",
        );
        for (violates, sql) in self.trials.bent(check) {
            if self.any(&violates).await? != Some(true) {
                continue;
            }
            last = match self.attempt(&sql, false).await? {
                Met::Refused(Some(Because::Check | Because::Json), _) => return Ok(PROVEN),
                met => {
                    let taken = format!("a row was taken that it must refuse: {sql}");
                    missed(met, NO_ROW, taken)
                }
            };
            if last.0 == Bites::Failed {
                break;
            }
        }
        Ok(last)
    }

    async fn foreign_key(&mut self, key: &ForeignKey) -> Result<Outcome, DbError> {
        let parent =
            dunlin_core::schema::order::parent(self.tables, key).map(|at| &self.tables[at]);
        let referred = parent.and_then(|parent| dunlin_core::bulk::choose::references(key, parent));
        let Some(referred) = referred else {
            return Ok(not_tried(
                "the table that it refers to was not copied with it",
            ));
        };
        let waits = |text: &String| text.to_uppercase().contains("DEFER");
        let deferred = key.attributes.as_ref().is_some_and(waits);
        let shares = |other: &&ForeignKey| {
            *other != key && other.columns.iter().any(|name| key.columns.contains(name))
        };
        let alone = !self
            .trials
            .table
            .foreign_keys
            .iter()
            .any(|other| shares(&other));
        let mut last = not_tried("no value that nothing has was found for its columns");
        for (there, sql) in self.trials.orphans(key, &referred) {
            if self.any(&there).await? != Some(false) {
                continue;
            }
            last = match self.attempt(&sql, deferred).await? {
                Met::Refused(Some(Because::ForeignKey), said) => {
                    let named = key
                        .name
                        .as_ref()
                        .is_some_and(|name| said.message.contains(name.as_str()));
                    if alone || named {
                        return Ok(PROVEN);
                    }
                    not_tried("another foreign key of the same columns refuses the row first")
                }
                met => missed(met, NO_ROW, "a row that refers to nothing was taken"),
            };
            if last.0 == Bites::Failed {
                break;
            }
        }
        Ok(last)
    }
}

const NO_ROW: &str = "the table holds no row to try it with";
const STAYS: &str = "its storage engine knows no transactions: what is tried there stays";
