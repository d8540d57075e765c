//! Trying statements out, looking at query plans, and what a violated constraint is called.

use super::ddl::quote;
use crate::dialect::Caps;
use crate::dialect::checks::{ChecksDialect, Shown, between};
use crate::schema::Table;
use crate::source::grammar::checks::Because;
use crate::value::Row;
use std::time::Duration;

/// How plans are checked.
#[derive(Debug, Clone, Copy)]
pub struct Checks;

impl ChecksDialect for Checks {
    fn highest(&self, schema: Option<&str>, table: &str, column: &str) -> String {
        let schema = quote(schema.unwrap_or("public"));
        format!(
            "SELECT max({}) FROM {schema}.{}",
            quote(column),
            quote(table)
        )
    }

    fn up_to(&self, select: &str, column: &str, key: i64) -> String {
        format!("{select} WHERE {} <= {key}", quote(column))
    }

    fn explain(&self, sql: &str) -> String {
        format!("EXPLAIN (FORMAT JSON) {sql}")
    }

    fn read_explain(&self, rows: &[Row], _limited: bool) -> Option<Shown> {
        let text = rows.first()?.first()?.as_str()?;
        let plans: serde_json::Value = serde_json::from_str(text).ok()?;
        let mut shown = Shown::default();
        for plan in plans.as_array()? {
            read_node(plan.get("Plan")?, false, &mut shown, 0);
        }
        Some(shown)
    }

    fn reference(&self) -> &'static str {
        "SELECT sum(n) FROM generate_series(1, 5000) n"
    }

    fn trial_before(&self, _caps: &Caps, _bound: Duration) -> Vec<String> {
        vec![]
    }

    fn trial_within(&self, bound: Duration) -> Vec<String> {
        let bound = bound.as_millis();
        // Ten times: the statement itself may be slow, but not for ever.
        vec![
            format!("SET LOCAL lock_timeout = '{bound}ms'"),
            format!("SET LOCAL statement_timeout = '{}ms'", bound * 10),
        ]
    }

    fn immediate(&self) -> Option<&'static str> {
        Some("SET CONSTRAINTS ALL IMMEDIATE")
    }

    fn dangling(&self) -> Option<&'static str> {
        None
    }

    fn counters(&self) -> Option<&'static str> {
        Some("SELECT schemaname || '.' || sequencename, last_value FROM pg_sequences ORDER BY 1")
    }

    fn because(&self, code: &str, message: &str) -> Option<Because> {
        match code {
            "23503" => Some(Because::ForeignKey),
            "23505" => Some(Because::Unique),
            "23502" => Some(Because::NotNull),
            "23514" => Some(Because::Check),
            "22P02" | "22P05" if message.contains("type json") => Some(Because::Json),
            "22032" | "22030" => Some(Because::Json),
            "22P02" | "22P03" | "22003" | "22007" | "22008" | "22001" | "42804" | "22021" => {
                Some(Because::Type)
            }
            _ => None,
        }
    }

    fn set_one(&self, table: &Table, set: &str, only: &str) -> String {
        let schema = quote(table.schema.as_deref().unwrap_or("public"));
        let name = format!("{schema}.{}", quote(&table.name));
        format!(
            "UPDATE {name} SET {set} WHERE ctid = (SELECT ctid FROM {name} WHERE {only} LIMIT 1)"
        )
    }

    fn check_named(&self, message: &str) -> Option<String> {
        between(message, "check constraint \"", "\"").map(str::to_owned)
    }
}

/// Plans deeper than this are not looked into further: no query of a person's is.
const DEPTH_MAX: usize = 200;

/// One node of a plan. `limited`: the node above takes some rows only.
fn read_node(node: &serde_json::Value, limited: bool, shown: &mut Shown, depth: usize) {
    let text = |key: &str| node.get(key).and_then(serde_json::Value::as_str);
    let kind = text("Node Type").unwrap_or_default();
    let relation = text("Relation Name").unwrap_or("?");
    if let Some(index) = text("Index Name") {
        shown.indexes.push(index.to_owned());
        let bounded = node.get("Index Cond").is_some() || node.get("Order By").is_some();
        if !bounded && !limited {
            shown.whole.push(format!(
                "{relation} ({kind} without a condition on {index})"
            ));
        }
    }
    if kind == "Seq Scan" {
        shown.whole.push(format!("{relation} ({kind})"));
    }
    let below = node.get("Plans").and_then(serde_json::Value::as_array);
    if depth < DEPTH_MAX {
        for plan in below.into_iter().flatten() {
            read_node(plan, kind == "Limit", shown, depth + 1);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::value::Value;

    fn read(json: &str) -> Shown {
        let rows = vec![vec![Value::Text(json.into())]];
        Checks.read_explain(&rows, false).unwrap()
    }

    #[test]
    fn a_plan_tells_what_is_read_whole() {
        let bounded = r#"[{"Plan": {"Node Type": "Limit", "Plans": [{"Node Type": "Index Scan", "Relation Name": "t",
            "Index Name": "i", "Index Cond": "(a = 1)"}]}}]"#;
        assert_eq!(
            (read(bounded).indexes, read(bounded).whole),
            (vec!["i".into()], vec![])
        );
        let whole = r#"[{"Plan": {"Node Type": "Aggregate", "Plans": [{"Node Type": "Index Only Scan",
            "Relation Name": "t", "Index Name": "i"}, {"Node Type": "Seq Scan", "Relation Name": "u"}]}}]"#;
        assert_eq!(
            read(whole).whole,
            [
                "t (Index Only Scan without a condition on i)",
                "u (Seq Scan)"
            ]
        );
    }

    #[test]
    fn json_is_told_from_other_types() {
        let because = |message| Checks.because("22P02", message);
        assert_eq!(
            because("invalid input syntax for type json"),
            Some(Because::Json)
        );
        assert_eq!(
            because("invalid input syntax for type integer: \"x\""),
            Some(Because::Type)
        );
        assert_eq!(Checks.because("42P01", ""), None);
    }
}
