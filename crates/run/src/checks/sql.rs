//! `sql`: a query's first value is as expected, or something holds for every row.

use super::compare::{holds, meets, shown, sign};
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
    let told = if cx.is_sensitive(&column) {
        dunlin_core::redact::MASK.to_owned()
    } else {
        shown(&value)
    };
    // Without an expectation a query that answers truth is one.
    let holds = match expect {
        Some(expect) => meets(&value, expect),
        None => value.as_bool().unwrap_or(false),
    };
    Ok(Verdict::of(holds, told))
}

/// A side of what must hold: a column's value, or a literal.
fn side(side: &str, columns: &[String], row: &[Value]) -> Value {
    let at = columns
        .iter()
        .position(|column| column == side)
        .or_else(|| {
            columns
                .iter()
                .position(|column| column.eq_ignore_ascii_case(side))
        });
    match at.and_then(|at| row.get(at)) {
        Some(value) => value.clone(),
        None => {
            let bare = side
                .strip_prefix('\'')
                .and_then(|rest| rest.strip_suffix('\''))
                .unwrap_or(side);
            Value::Text(bare.to_owned())
        }
    }
}

/// Names neither a number, a quoted text nor one of the columns: most likely a misspelt column.
fn strange<'a>(expect: &'a RowExpect, columns: &[String]) -> Option<&'a str> {
    let word = |side: &str| {
        let named = columns
            .iter()
            .any(|column| column.eq_ignore_ascii_case(side));
        let name = side
            .chars()
            .next()
            .is_some_and(|first| first.is_alphabetic() || first == '_');
        let constant = ["true", "false", "null"].contains(&side.to_ascii_lowercase().as_str());
        name && !named && !constant
    };
    let is_column = |side: &str| {
        columns
            .iter()
            .any(|column| column.eq_ignore_ascii_case(side))
    };
    // A bare word beside a column may be a text: `status = active`.
    match (word(&expect.left), word(&expect.right)) {
        (true, _) => Some(&expect.left),
        (false, true) if !is_column(&expect.left) => Some(&expect.right),
        _ => None,
    }
}

async fn every_row(
    cx: &mut Context<'_>,
    sql: &SqlText,
    expect: &RowExpect,
    marks: &Marks,
) -> Result<Verdict, Trouble> {
    let (mut rows, mut broken, mut examples, mut misspelt) = (0_u64, 0_u64, vec![], None);
    let masked = cx.is_sensitive(&expect.left) || cx.is_sensitive(&expect.right);
    answer::each_row(cx, &sql.text, marks, |columns, row| {
        if rows == 0 {
            misspelt = strange(expect, columns).map(|name| {
                format!(
                    "the query has no column {name}; it has {}",
                    columns.join(", ")
                )
            });
        }
        rows += 1;
        let left = side(&expect.left, columns, row);
        let right = side(&expect.right, columns, row);
        let fits = !right.is_null() && holds(&left, expect.op, &shown(&right));
        if !fits {
            broken += 1;
            if examples.len() < SHOWN_MAX && !masked {
                let sides = format!("{} {} {}", shown(&left), sign(expect.op), shown(&right));
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
