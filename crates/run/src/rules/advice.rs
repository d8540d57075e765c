//! What is said beside a rule that tidies: indexes too many and too few, indexes that nobody uses, and the plans of the
//! slowest queries, as far as the server keeps count. Nothing of it makes a check fail.

use super::ground::{Asked, Ground};
use crate::observe;
use dunlin_core::finding::{Finding, Place};
use dunlin_core::rules::advice;
use dunlin_core::schema::Table;
use dunlin_core::value::{Query, Value};
use dunlin_engines::Session;
use std::time::Duration;

/// How long one of these questions may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// Queries that are shown.
const SHOWN: usize = 3;
/// Of a query and its plan, so many letters are shown.
const LETTERS: usize = 240;

/// The advice on the tables of the rules that tidy. Asked outside of the rules' snapshot, for a server may refuse some of it.
pub(super) async fn advise(
    session: &mut dyn Session,
    ground: &Ground,
    asked: &[Asked],
) -> Vec<Finding> {
    let mut tables: Vec<&Table> = vec![];
    for at in asked.iter().flat_map(|one| &one.tidied) {
        let bound = &ground.tables[*at].bound;
        if let Some(table) = ground.catalog.table(bound.schema.as_deref(), &bound.table)
            && !tables.iter().any(|known| known.label() == table.label())
        {
            tables.push(table);
        }
    }
    let mut found: Vec<Finding> = tables
        .iter()
        .flat_map(|table| advice::of_indexes(table))
        .collect();
    if !tables.is_empty() {
        found.extend(unused(session, &tables, &found).await);
        found.extend(slowest(session, &tables).await);
    }
    found
}

async fn rows(session: &mut dyn Session, sql: &str) -> Option<Vec<dunlin_core::value::Row>> {
    let query = Query::new(sql, vec![]);
    // What the server does not count, or this user may not read, is not known.
    observe::bounded(session, &query, PATIENCE).await.ok()
}

fn text(value: Option<&Value>) -> Option<&str> {
    value.and_then(Value::as_str)
}

async fn unused(session: &mut dyn Session, tables: &[&Table], said: &[Finding]) -> Vec<Finding> {
    let Some(sql) = session.dialect().rules().unused() else {
        return vec![];
    };
    let mut found = vec![];
    for row in rows(session, sql).await.unwrap_or_default() {
        let (Some(table), Some(index)) = (text(row.first()), text(row.get(1))) else {
            continue;
        };
        let known = tables.iter().any(|known| known.label() == table);
        let superfluous = |one: &Finding| {
            one.message
                .starts_with(&format!("index {index} of {table} is"))
        };
        if !known || said.iter().any(superfluous) {
            continue;
        }
        let since = text(row.get(2)).unwrap_or("the server counts");
        let message = format!("nobody has used index {index} of {table} since {since}");
        found.push(
            Finding::info("index-unused", Place::object(table), message)
                .help("where that is long enough to know, drop it in a migration; one that serves a foreign key stays"),
        );
    }
    found
}

async fn slowest(session: &mut dyn Session, tables: &[&Table]) -> Vec<Finding> {
    let rules = session.dialect().rules();
    let Some(sql) = rules.slowest() else {
        return vec![];
    };
    let mut found = vec![];
    for row in rows(session, sql).await.unwrap_or_default() {
        let Some(query) = text(row.first()) else {
            continue;
        };
        let Some(table) = tables.iter().find(|table| names(query, &table.name)) else {
            continue;
        };
        let number = |at: usize| row.get(at).map(Value::shown).unwrap_or_default();
        let each = number(2).parse::<f64>().unwrap_or_default();
        let plan = match text(row.get(3)) {
            Some(sample) => plan(session, &rules.plan_of(sample)).await,
            None => None,
        };
        let plan = plan.map_or("its plan is not known".to_owned(), |plan| {
            format!("plan: {plan}")
        });
        let message = format!(
            "{} ran {} times, {each:.1} ms each; {plan}",
            cut(query),
            number(1)
        );
        found.push(Finding::info(
            "slow-query",
            Place::object(table.label()),
            message,
        ));
        if found.len() == SHOWN {
            break;
        }
    }
    found
}

/// Whether a query names a table: its name stands there, and no letter beside it.
fn names(query: &str, table: &str) -> bool {
    let inside = |letter: char| letter.is_alphanumeric() || letter == '_';
    query.match_indices(table).any(|(at, _)| {
        let before = query[..at].chars().next_back();
        let after = query[at + table.len()..].chars().next();
        !before.is_some_and(inside) && !after.is_some_and(inside)
    })
}

/// The plan of a query in one line.
async fn plan(session: &mut dyn Session, sql: &str) -> Option<String> {
    let lines = rows(session, sql).await?;
    let line = |row: &dunlin_core::value::Row| {
        let cells = row.iter().filter(|cell| !cell.is_null()).map(Value::shown);
        cells.collect::<Vec<_>>().join(" ")
    };
    let text = lines.iter().map(line).collect::<Vec<_>>().join("; ");
    (!text.is_empty()).then(|| cut(&text))
}

/// The first letters of a text, in one line.
fn cut(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(LETTERS) {
        Some((at, _)) => format!("{}…", &line[..at]),
        None => line,
    }
}
