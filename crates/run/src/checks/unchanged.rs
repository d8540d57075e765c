//! `unchanged`: a query's answer is as it was when the phase began.

use super::show::shown;
use super::{Context, Marks, Trouble, Verdict, answer};
use dunlin_core::copy::Digest;
use dunlin_core::copy::digest::text_hash;
use dunlin_core::dialect::rows_text;
use dunlin_core::source::plan::SqlText;
use dunlin_core::value::Value;
use serde::{Deserialize, Serialize};

/// How many rows are kept as values, for showing; of all the others the digest is.
const KEPT_MAX: u64 = 5;

/// The longest value that is kept as it is, in characters.
const VALUE_MAX: usize = 200;

/// A query's answer. Its rows' order does not count: without ORDER BY it means nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Noted {
    rows: u64,
    digest: String,
    first: Vec<Vec<String>>,
}

/// A double that is a whole number is that number: a sum does not change because its type did.
fn canonical(value: &Value) -> Value {
    match value {
        Value::Float(f) => Value::Text(f.to_string()),
        Value::Int(_) | Value::UInt(_) => Value::Text(shown(value)),
        other => other.clone(),
    }
}

async fn look(cx: &mut Context<'_>, sql: &SqlText, marks: &Marks) -> Result<Noted, Trouble> {
    let sensitive = cx.sensitive.clone();
    let (mut digest, mut first) = (Digest::default(), vec![]);
    answer::each_row(cx, &sql.text, marks, |columns, row| {
        let row: Vec<Value> = row.iter().map(canonical).collect();
        if digest.rows < KEPT_MAX {
            let cells = row.iter().enumerate().map(|(at, value)| {
                if columns.get(at).is_some_and(|name| sensitive.hides(name)) {
                    dunlin_core::redact::MASK.to_owned()
                } else {
                    shown(value).chars().take(VALUE_MAX).collect()
                }
            });
            first.push(cells.collect());
        }
        digest.add(text_hash(&rows_text(&[row]).unwrap_or_default()));
        true
    })
    .await?;
    Ok(Noted {
        rows: digest.rows,
        digest: digest.hex(),
        first,
    })
}

impl Noted {
    fn told(&self) -> String {
        let rows: Vec<String> = self.first.iter().map(|row| row.join(", ")).collect();
        match (self.rows, self.rows > KEPT_MAX) {
            (0, _) => "no rows".into(),
            (1, _) => rows.join("; "),
            (_, false) => format!("{} rows: {}", self.rows, rows.join("; ")),
            (_, true) => format!("{} rows: {}; …", self.rows, rows.join("; ")),
        }
    }
}

pub(super) async fn note(
    cx: &mut Context<'_>,
    sql: &SqlText,
    marks: &Marks,
) -> Result<serde_json::Value, Trouble> {
    let noted = look(cx, sql, marks).await?;
    serde_json::to_value(noted).map_err(|error| error.to_string().into())
}

pub(super) async fn find(
    cx: &mut Context<'_>,
    sql: &SqlText,
    marks: &Marks,
    noted: &serde_json::Value,
) -> Result<Verdict, Trouble> {
    let before: Noted = serde_json::from_value(noted.clone())
        .map_err(|error| format!("what was noted cannot be read: {error}"))?;
    let now = look(cx, sql, marks).await?;
    if (now.rows, &now.digest) == (before.rows, &before.digest) {
        return Ok(Verdict::Holds(now.told()));
    }
    Ok(Verdict::Broken(format!(
        "before: {}; now: {}",
        before.told(),
        now.told()
    )))
}
