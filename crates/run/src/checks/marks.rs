//! `{mark:T}`: the highest key of T when the phase began.

use super::tables::{find_table, single_key};
use super::{Context, NOT_EVALUABLE, Trouble};
use dunlin_core::dialect::Dialect;
use dunlin_core::failure::Failure;
use dunlin_core::source::plan::{CheckDoc, CheckSpec};
use dunlin_core::value::Value;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// The highest key of a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Mark {
    /// A number.
    Int(i64),
    /// A number above the signed ones.
    UInt(u64),
    /// A text.
    Text(String),
    /// The table was empty.
    Empty,
}

impl Mark {
    fn of(value: &Value) -> Option<Mark> {
        Some(match value {
            Value::Null => Mark::Empty,
            Value::Int(n) => Mark::Int(*n),
            Value::UInt(n) => Mark::UInt(*n),
            Value::Text(text) => Mark::Text(text.clone()),
            _ => return None,
        })
    }

    /// The mark as SQL. An empty table's is NULL: nothing is up to it.
    fn literal(&self, dialect: &dyn Dialect) -> String {
        match self {
            Mark::Int(n) => n.to_string(),
            Mark::UInt(n) => n.to_string(),
            Mark::Text(text) => dialect.literal(text),
            Mark::Empty => "NULL".into(),
        }
    }
}

/// The highest keys of tables when the phase began, by the tables' names as the checks write them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Marks(pub BTreeMap<String, Mark>);

const OPEN: &str = "{mark:";

/// The tables that a text names in `{mark:T}`.
fn named(text: &str) -> impl Iterator<Item = &str> {
    text.split(OPEN)
        .skip(1)
        .filter_map(|rest| rest.split_once('}').map(|(name, _)| name.trim()))
}

/// The texts of a check in which marks may stand.
fn texts(check: &CheckDoc) -> Vec<&str> {
    match &check.kind {
        CheckSpec::Sql { sql, .. } | CheckSpec::Unchanged(sql) => vec![&sql.text],
        CheckSpec::Speed(speed) => vec![&speed.sql],
        CheckSpec::Explain(explain) => vec![&explain.sql],
        _ => vec![],
    }
}

impl Marks {
    /// The text with its marks filled in.
    pub(super) fn fill(&self, text: &str, dialect: &dyn Dialect) -> Result<String, Trouble> {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some((before, after)) = rest.split_once(OPEN) {
            let Some((name, behind)) = after.split_once('}') else {
                break;
            };
            let mark = self.0.get(name.trim()).ok_or_else(|| {
                Trouble::from(format!(
                    "no mark of {} was noted when the phase began",
                    name.trim()
                ))
            })?;
            out.push_str(before);
            out.push_str(&mark.literal(dialect));
            rest = behind;
        }
        out.push_str(rest);
        Ok(out)
    }
}

/// Notes the highest key of every table that these checks name in `{mark:T}`.
pub async fn marks(cx: &mut Context<'_>, checks: &[&CheckDoc]) -> Result<Marks, Failure> {
    let mut wanted: BTreeMap<&str, &CheckDoc> = BTreeMap::new();
    for check in checks {
        for name in texts(check).into_iter().flat_map(named) {
            wanted.entry(name).or_insert(check);
        }
    }
    let mut marks = Marks::default();
    if wanted.is_empty() {
        return Ok(marks);
    }
    let names: BTreeSet<&str> = wanted.keys().copied().collect();
    let (first, check) = (names.iter().next().copied().unwrap_or_default(), &wanted);
    let catalog = match cx.catalog().await {
        Ok(catalog) => catalog,
        Err(trouble) => return Err(trouble.failure(cx, check[first])),
    };
    for (name, check) in &wanted {
        let found = find_table(&catalog, name).and_then(|table| Ok((table, single_key(table)?)));
        let (table, key) = found.map_err(|sentence| {
            Failure::refused(
                NOT_EVALUABLE,
                format!("{{mark:{name}}} of check `{}`: {sentence}", check.id),
            )
            .at(check.place.clone())
        })?;
        let query = cx
            .world
            .dialect()
            .checks()
            .highest(table.schema.as_deref(), &table.name, &key);
        let rows = match cx.reader().await {
            Ok(reader) => reader.query(&query, &[]).await,
            Err(trouble) => return Err(trouble.failure(cx, check)),
        };
        let rows = rows
            .map_err(|error| super::refused(cx, &error, &format!("cannot read {{mark:{name}}}")))?;
        let value = rows.first().and_then(|row| row.first());
        let mark = value.and_then(Mark::of).ok_or_else(|| {
            Failure::refused(
                NOT_EVALUABLE,
                format!("{{mark:{name}}}: the key {key} is neither a number nor a text"),
            )
            .at(check.place.clone())
        })?;
        marks.0.insert((*name).to_owned(), mark);
    }
    Ok(marks)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn marks_are_filled_in_as_literals() {
        let dialect = dunlin_core::dialect::all()[0];
        let marks = Marks(BTreeMap::from([
            ("orders".into(), Mark::Int(7)),
            ("tags".into(), Mark::Text("it's".into())),
            ("none".into(), Mark::Empty),
        ]));
        let filled = marks
            .fill(
                "a <= {mark:orders} AND b <= {mark: tags } OR c <= {mark:none} {x}",
                dialect,
            )
            .unwrap();
        assert_eq!(filled, "a <= 7 AND b <= 'it''s' OR c <= NULL {x}");
        assert!(marks.fill("{mark:others}", dialect).is_err());
        let json = serde_json::to_string(&marks).unwrap();
        assert_eq!(json, r#"{"none":null,"orders":7,"tags":"it's"}"#);
        assert_eq!(serde_json::from_str::<Marks>(&json).unwrap(), marks);
    }
}
