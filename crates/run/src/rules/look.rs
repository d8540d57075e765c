//! What violates the rules: counted from one snapshot, by a session that reads.

use super::advice::advise;
use super::dates::{Dates, ago};
use super::ground::{Asked, Ground};
use super::groups::Pairs;
use super::not_askable;
use crate::world::World;
use crate::{digest, trouble};
use dunlin_core::copy::Cell;
use dunlin_core::event::{Event, Sink};
use dunlin_core::failure::Failure;
use dunlin_core::finding::{Finding, Place};
use dunlin_core::rules::{Kind, Rule};
use dunlin_core::source::grammar::data::RuleSeverity;
use dunlin_core::sql::PieceKind;
use dunlin_engines::{DbError, Purpose, Session};
use serde::Serialize;
use std::path::Path;

/// What was found about one rule.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Looked {
    /// The rule.
    pub id: String,
    /// Its kind, as the file spells it.
    pub kind: &'static str,
    /// Its table; `None`: a query.
    pub table: Option<String>,
    /// What it is about.
    pub description: String,
    /// `error` or `warning`.
    pub severity: RuleSeverity,
    /// How many rows violate it.
    pub violations: u64,
    /// How many rows its table has, where that was counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rows: Option<u64>,
}

/// What was found about all of them.
#[derive(Debug, Clone, Default)]
pub struct Checked {
    /// Rule by rule.
    pub rules: Vec<Looked>,
    /// What is to be said beside.
    pub findings: Vec<Finding>,
}

impl Checked {
    /// Whether no rule of severity error is violated.
    pub fn valid(&self) -> bool {
        let broken = |rule: &&Looked| rule.violations > 0 && rule.severity == RuleSeverity::Error;
        !self.rules.iter().any(|rule| broken(&rule))
    }

    /// How many rules are violated: errors, warnings; and how many rows do that.
    pub fn totals(&self) -> (usize, usize, u64) {
        let of = |severity| {
            let broken = |rule: &&Looked| rule.violations > 0 && rule.severity == severity;
            self.rules.iter().filter(broken).count()
        };
        let rows = self.rules.iter().map(|rule| rule.violations).sum();
        (of(RuleSeverity::Error), of(RuleSeverity::Warning), rows)
    }
}

/// Checks rules in a session and snapshot of their own. `root`: the folder that files of queries are meant from.
///
/// # Errors
/// A rule that cannot be asked: a table or column that is not there, a query that the server refuses.
pub async fn check(
    world: &World,
    rules: &[Rule],
    root: &Path,
    sink: &mut dyn Sink,
) -> Result<Checked, Failure> {
    let mut session = world.open(Purpose::Read).await?;
    let checked = look_and_advise(world, &mut *session, rules, root, (sink, true)).await;
    session.close().await;
    checked.map_err(|failure| world.redact(failure))
}

/// As [`check`], by a session that is there, and without the advice on what is tidied.
///
/// # Errors
/// As [`check`].
pub async fn look(
    world: &World,
    session: &mut dyn Session,
    rules: &[Rule],
    root: &Path,
    sink: &mut dyn Sink,
) -> Result<Checked, Failure> {
    look_and_advise(world, session, rules, root, (sink, false)).await
}

async fn look_and_advise(
    world: &World,
    session: &mut dyn Session,
    rules: &[Rule],
    root: &Path,
    (sink, advises): (&mut dyn Sink, bool),
) -> Result<Checked, Failure> {
    let ground = Ground::read(session).await?;
    // Everything that is misnamed is said before anything is read.
    let mut asked = vec![];
    for rule in rules {
        asked.push(ground.ask(session, rule)?);
    }
    let wrong = |error: DbError| trouble::refused(&error, "the rules cannot be checked");
    digest::begin_snapshot(session).await.map_err(wrong)?;
    let mut checked = Checked::default();
    let mut outcome = Ok(());
    for one in &asked {
        sink.event(&Event::Note {
            message: format!("checking rule `{}`", one.rule.id),
        });
        match count(world, session, &ground, one, root, &mut checked.findings).await {
            Ok(looked) => checked.rules.push(looked),
            Err(failure) => {
                outcome = Err(failure);
                break;
            }
        }
    }
    let ended = digest::end_snapshot(session).await;
    outcome?;
    ended.map_err(wrong)?;
    if advises {
        let advice = advise(session, &ground, &asked).await;
        checked.findings.extend(advice);
    }
    Ok(checked)
}

async fn count(
    world: &World,
    session: &mut dyn Session,
    ground: &Ground,
    asked: &Asked,
    root: &Path,
    findings: &mut Vec<Finding>,
) -> Result<Looked, Failure> {
    let rule = &asked.rule;
    let mut looked = Looked {
        id: rule.id.clone(),
        kind: rule.kind.name(),
        table: asked.table.map(|at| ground.tables[at].label()),
        description: rule.description.clone(),
        severity: rule.severity,
        violations: 0,
        rows: None,
    };
    let mut dates = Dates::default();
    looked.violations = match &rule.kind {
        Kind::Sql(text) => of_query(world, session, rule, text, root).await?,
        Kind::Optimize(tables) => {
            looked.table = tables.first().cloned();
            0
        }
        Kind::Unique { .. } => {
            let mut pairs = Pairs::read(world, session, ground, asked, &mut dates).await?;
            let mut found = 0;
            while pairs.next()?.is_some() {
                found += 1;
            }
            found
        }
        Kind::Archive {
            older: Some((age, _)),
            ..
        } => {
            let bound = ago(world.clock.now(), *age);
            older_than(session, ground, asked, bound, &mut dates).await?
        }
        _ => {
            let table = &ground.tables[asked.at()?].bound;
            let sql = session
                .dialect()
                .rules()
                .count(table, asked.only.as_deref());
            number(session, rule, &sql).await?
        }
    };
    if let Some(at) = asked.table {
        let sql = session
            .dialect()
            .rules()
            .count(&ground.tables[at].bound, None);
        looked.rows = Some(number(session, rule, &sql).await?);
        let by = asked
            .by
            .map(|by| &ground.tables[at].bound.columns[by].shape.name);
        let label = ground.tables[at].label();
        findings.extend(by.and_then(|by| dates.said(&rule.id, &label, by, true)));
    }
    if looked.violations > 0 {
        findings.push(violated(&looked));
    }
    Ok(looked)
}

/// A rule that is violated, as a finding.
fn violated(looked: &Looked) -> Finding {
    let what = match looked.description.is_empty() {
        true => String::new(),
        false => format!(" ({})", looked.description),
    };
    let rows = if looked.violations == 1 {
        "row violates"
    } else {
        "rows violate"
    };
    let message = format!("{} {rows} rule `{}`{what}", looked.violations, looked.id);
    let place = Place::object(looked.table.clone().unwrap_or_else(|| looked.id.clone()));
    match looked.severity {
        RuleSeverity::Error => Finding::error("rule-violated", place, message),
        RuleSeverity::Warning => Finding::warning("rule-violated", place, message),
    }
}

async fn number(session: &mut dyn Session, rule: &Rule, sql: &str) -> Result<u64, Failure> {
    let rows = session.query(sql, &[]).await;
    let rows = rows.map_err(|error| cannot(rule, &error))?;
    let found = rows.first().and_then(|row| row.first()?.as_i64());
    found
        .and_then(|found| u64::try_from(found).ok())
        .ok_or_else(|| not_askable(&rule.id, "the server gave no number"))
}

/// A question that the server refuses.
pub(super) fn cannot(rule: &Rule, error: &DbError) -> Failure {
    trouble::refused(error, &format!("rule `{}` cannot be asked", rule.id))
}

/// Rows that meet the condition and are older than an instant.
async fn older_than(
    session: &mut dyn Session,
    ground: &Ground,
    asked: &Asked,
    bound: i64,
    dates: &mut Dates,
) -> Result<u64, Failure> {
    let table = &ground.tables[asked.at()?].bound;
    let by: Vec<usize> = asked.by.into_iter().collect();
    let sql = session
        .dialect()
        .rules()
        .select(table, &by, asked.only.as_deref());
    let wrong = |error: DbError| cannot(&asked.rule, &error);
    let mut found = 0;
    let mut source = session.stream(&sql).await.map_err(wrong)?;
    while let Some(batch) = source.next().await.map_err(wrong)? {
        for at in 0..batch.len() {
            let cell = batch.row(at).next().unwrap_or(Cell::Null);
            found += u64::from(dates.read(cell).is_before(bound));
        }
    }
    Ok(found)
}

/// How many rows a person's query gives.
async fn of_query(
    world: &World,
    session: &mut dyn Session,
    rule: &Rule,
    text: &str,
    root: &Path,
) -> Result<u64, Failure> {
    let text = query_text(rule, text, root)?;
    let lex = session.dialect().lex_rules(session.lex_mode());
    let placed = dunlin_core::sql::substitute(&text, &lex, &world.config.placeholders);
    let placed = placed.map_err(|faults| {
        let faults: Vec<&str> = faults.iter().map(|fault| fault.message.as_str()).collect();
        not_askable(&rule.id, faults.join("; "))
    })?;
    let (pieces, _) = dunlin_core::sql::split(&placed.text, &lex);
    let mut statements = pieces.into_iter().filter_map(|piece| match piece.kind {
        PieceKind::Blank => None,
        PieceKind::Statement(range) => Some(Some(range)),
        _ => Some(None),
    });
    let (Some(Some(range)), None) = (statements.next(), statements.next()) else {
        return Err(not_askable(&rule.id, "its query must be one statement"));
    };
    let wrong = |error: DbError| cannot(rule, &error);
    let mut source = session.stream(&placed.text[range]).await.map_err(wrong)?;
    let mut found = 0;
    while let Some(batch) = source.next().await.map_err(wrong)? {
        found += batch.len() as u64;
    }
    Ok(found)
}

/// The query itself, or the file that it names.
fn query_text(rule: &Rule, text: &str, root: &Path) -> Result<String, Failure> {
    let word = text.trim();
    if word.contains(char::is_whitespace) || !word.ends_with(".sql") {
        return Ok(text.to_owned());
    }
    let path = root.join(word);
    std::fs::read_to_string(&path).map_err(|error| {
        let message = format!("rule `{}`: `{word}` cannot be read: {error}", rule.id);
        Failure::usage("file-missing", message)
    })
}
