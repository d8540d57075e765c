//! `sql`: a query's first value is as expected, or something holds for every row.

use super::show::shown;
use super::{Context, Marks, Trouble, Verdict, answer};
use dunlin_core::source::plan::SqlText;
use dunlin_core::source::plan::expect::{Expect, RowExpect};
use dunlin_core::value::Value;

/// How many offending rows are shown.
const SHOWN_MAX: usize = 3;

pub(super) async fn find(
    cx: &mut Context<'_>,
    sql: &SqlText,
    expect: Option<&Expect>,
    rows: Option<&RowExpect>,
    marks: &Marks,
) -> Result<Verdict, Trouble> {
    match (expect, rows) {
        (_, Some(rows)) => every_row(cx, sql, rows, marks).await,
        (expect, None) => first_value(cx, sql, expect, marks).await,
    }
}

async fn first_value(
    cx: &mut Context<'_>,
    sql: &SqlText,
    expect: Option<&Expect>,
    marks: &Marks,
) -> Result<Verdict, Trouble> {
    let mut first: Option<(String, Value)> = None;
    answer::each_row(cx, &sql.text, marks, |columns, row| {
        let column = columns.first().cloned().unwrap_or_default();
        first = row.first().map(|value| (column, value.clone()));
        false
    })
    .await?;
    let Some((column, value)) = first else {
        return Ok(Verdict::Broken("no rows".into()));
    };
    let told = if cx.sensitive.hides(&column) {
        dunlin_core::redact::MASK.to_owned()
    } else {
        shown(&value)
    };
    // Without an expectation a query that answers truth is one.
    let holds = match expect {
        Some(expect) => expect.holds(&value),
        None => value.as_bool().unwrap_or(false),
    };
    Ok(Verdict::of(holds, told))
}

/// A side of what must hold, for people: a column's value, or the literal.
fn side(side: &str, columns: &[String], row: &[Value]) -> String {
    let at = columns
        .iter()
        .position(|column| column.eq_ignore_ascii_case(side));
    match at.and_then(|at| row.get(at)) {
        Some(value) => shown(value),
        None => side.to_owned(),
    }
}

async fn every_row(
    cx: &mut Context<'_>,
    sql: &SqlText,
    expect: &RowExpect,
    marks: &Marks,
) -> Result<Verdict, Trouble> {
    let (mut rows, mut broken, mut examples, mut misspelt) = (0_u64, 0_u64, vec![], None);
    let masked = cx.sensitive.hides(&expect.left) || cx.sensitive.hides(&expect.right);
    answer::each_row(cx, &sql.text, marks, |columns, row| {
        if rows == 0 {
            misspelt = expect.missing_column(columns).map(|name| {
                format!(
                    "the query has no column {name}; it has {}",
                    columns.join(", ")
                )
            });
        }
        rows += 1;
        let fits = expect.holds(columns, row);
        if !fits {
            broken += 1;
            if examples.len() < SHOWN_MAX && !masked {
                let (left, right) = (
                    side(&expect.left, columns, row),
                    side(&expect.right, columns, row),
                );
                let sides = format!("{left} {} {right}", expect.op);
                examples.push(format!("row {rows}: {sides}"));
            }
        }
        misspelt.is_none()
    })
    .await?;
    if let Some(sentence) = misspelt {
        return Ok(Verdict::Broken(sentence));
    }
    if broken == 0 {
        return Ok(Verdict::Holds(format!("{rows} rows, all as expected")));
    }
    let examples = if examples.is_empty() {
        String::new()
    } else {
        format!(": {}", examples.join("; "))
    };
    Ok(Verdict::Broken(format!(
        "{broken} of {rows} rows are not{examples}"
    )))
}
