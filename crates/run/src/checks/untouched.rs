//! `untouched`: the catalog of tables, and their rows where asked for, are as they were.

use super::tables::find_table;
use super::{Context, Trouble, Verdict, state};
use crate::digest::{Scope, TableDigest, differences, digest};
use dunlin_core::event::Silent;
use dunlin_core::schema::{Catalog, Difference, DifferenceKind, Table, diff};
use dunlin_core::source::grammar::checks::Untouched;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// How many differences are told.
const TOLD_MAX: usize = 10;

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Noted {
    catalog: Catalog,
    #[serde(default)]
    rows: Vec<TableDigest>,
}

/// The tables of these names and nothing else; names without a table.
fn only(whole: &Catalog, names: &[String]) -> (Catalog, Vec<String>) {
    let mut catalog = Catalog::new(whole.engine.clone());
    let mut missing = vec![];
    for name in names {
        match find_table(whole, name) {
            Ok(table) => catalog.tables.push(table.clone()),
            Err(sentence) => missing.push(sentence),
        }
    }
    (catalog, missing)
}

async fn look(
    cx: &mut Context<'_>,
    untouched: &Untouched,
) -> Result<(Noted, Vec<String>), Trouble> {
    let whole = cx.catalog().await?;
    let (catalog, missing) = only(&whole, &untouched.tables);
    let tables: Vec<String> = catalog.tables.iter().map(Table::label).collect();
    let mut rows = vec![];
    if untouched.rows && !tables.is_empty() {
        let scope = Scope {
            tables,
            except: vec![],
        };
        rows = digest(cx.reader().await?, &scope, None, &mut Silent)
            .await?
            .tables;
    }
    Ok((Noted { catalog, rows }, missing))
}

pub(super) async fn note(
    cx: &mut Context<'_>,
    id: &str,
    untouched: &Untouched,
) -> Result<Value, Trouble> {
    let (noted, missing) = look(cx, untouched).await?;
    if !missing.is_empty() {
        return Err(missing.join("; ").into());
    }
    let noted = serde_json::to_value(noted).map_err(|error| Trouble::from(error.to_string()))?;
    state::store(cx, id, &noted)
}

pub(super) async fn find(
    cx: &mut Context<'_>,
    untouched: &Untouched,
    noted: &Value,
) -> Result<Verdict, Trouble> {
    let before: Noted = serde_json::from_value(state::fetch(noted)?)
        .map_err(|error| format!("what was noted cannot be read: {error}"))?;
    let (now, mut told) = look(cx, untouched).await?;
    let mut want = before.catalog;
    // What is gone altogether has been said.
    want.tables.retain(|table| {
        let label = table.label();
        now.catalog
            .tables
            .iter()
            .any(|there| there.label() == label)
    });
    let found = diff(&want, &now.catalog, cx.world.dialect());
    told.extend(found.iter().map(sentence));
    for (table, was, is) in differences(&before.rows, &now.rows) {
        let rows = |digest: Option<&TableDigest>| digest.map_or(0, |digest| digest.rows);
        told.push(match (rows(was), rows(is)) {
            (was, is) if was != is => format!("{table} has {is} rows and had {was}"),
            (rows, _) => format!("{table}: some of its {rows} rows have another content"),
        });
    }
    if told.is_empty() {
        let what = if untouched.rows {
            "catalog and rows"
        } else {
            "catalog"
        };
        let sentence = format!("{what} of {} tables as before", untouched.tables.len());
        return Ok(Verdict::Holds(sentence));
    }
    let more = told.len().saturating_sub(TOLD_MAX);
    told.truncate(TOLD_MAX);
    if more > 0 {
        told.push(format!("and {more} more"));
    }
    Ok(Verdict::Broken(told.join("; ")))
}

fn sentence(difference: &Difference) -> String {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let object = &difference.object;
    match difference.kind {
        DifferenceKind::Missing => format!("{object} is gone"),
        DifferenceKind::Extra => format!("{object} is new: {}", text(&difference.actual)),
        DifferenceKind::Different => format!(
            "{object} was {} and is {}",
            text(&difference.expected),
            text(&difference.actual)
        ),
    }
}
