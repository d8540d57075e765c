//! Trying statements out, looking at query plans, and what a violated constraint is called.

use super::ddl::quote;
use crate::dialect::Caps;
use crate::dialect::checks::{ChecksDialect, Shown};
use crate::schema::Table;
use crate::source::grammar::checks::Because;
use crate::value::{Row, Value};
use std::time::Duration;

/// How plans are checked.
#[derive(Debug, Clone, Copy)]
pub struct Checks;

impl ChecksDialect for Checks {
    fn highest(&self, _schema: Option<&str>, table: &str, column: &str) -> String {
        format!("SELECT max({}) FROM main.{}", quote(column), quote(table))
    }

    fn up_to(&self, select: &str, column: &str, key: i64) -> String {
        format!("{select} WHERE {} <= {key}", quote(column))
    }

    fn explain(&self, sql: &str) -> String {
        format!("EXPLAIN QUERY PLAN {sql}")
    }

    fn read_explain(&self, rows: &[Row], limited: bool) -> Option<Shown> {
        let mut shown = Shown::default();
        for row in rows {
            read_line(row.get(3).and_then(Value::as_str)?, limited, &mut shown);
        }
        Some(shown)
    }

    fn reference(&self) -> &'static str {
        "WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < 2000) SELECT sum(n) FROM s"
    }

    fn trial_before(&self, _caps: &Caps, bound: Duration) -> Vec<String> {
        vec![
            "PRAGMA foreign_keys = ON".into(),
            "PRAGMA ignore_check_constraints = OFF".into(),
            format!("PRAGMA busy_timeout = {}", bound.as_millis()),
        ]
    }

    fn trial_within(&self, _bound: Duration) -> Vec<String> {
        vec![]
    }

    fn immediate(&self) -> Option<&'static str> {
        None
    }

    fn dangling(&self) -> Option<&'static str> {
        Some("SELECT count(*) FROM pragma_foreign_key_check")
    }

    fn counters(&self) -> Option<&'static str> {
        None
    }

    fn because(&self, code: &str, message: &str) -> Option<Because> {
        match code.parse::<i64>().ok()? {
            787 => Some(Because::ForeignKey),
            // A trigger's RAISE has the same code, and is no foreign key.
            1811 if message.contains("FOREIGN KEY") => Some(Because::ForeignKey),
            1555 | 2067 | 2579 => Some(Because::Unique),
            1299 => Some(Because::NotNull),
            275 => Some(Because::Check),
            3091 | 20 => Some(Because::Type),
            // What json() and its kin say of a text that is none.
            1 if message.contains("malformed JSON") => Some(Because::Json),
            _ => None,
        }
    }

    fn set_one(&self, table: &Table, set: &str, only: &str) -> String {
        let name = format!("main.{}", quote(&table.name));
        let primary = table.keys.iter().find(|key| key.primary);
        // Tables without row ids have a primary key.
        let key: Vec<String> = match primary {
            Some(key) => key.columns.iter().map(|column| quote(column)).collect(),
            None => vec!["rowid".into()],
        };
        let key = key.join(", ");
        format!(
            "UPDATE {name} SET {set} WHERE ({key}) = (SELECT {key} FROM {name} WHERE {only} LIMIT 1)"
        )
    }

    fn check_named(&self, message: &str) -> Option<String> {
        let (_, named) = message.split_once("CHECK constraint failed: ")?;
        Some(named.trim().to_owned())
    }
}

/// `SCAN t`, `SCAN t USING COVERING INDEX i`, `SEARCH t USING INDEX i (a=?)`, `SEARCH t USING INTEGER PRIMARY KEY (rowid=?)`.
fn read_line(line: &str, limited: bool, shown: &mut Shown) {
    let words: Vec<&str> = line.split_whitespace().collect();
    let (Some(&verb), Some(&table)) = (words.first(), words.get(1)) else {
        return;
    };
    // `SCAN 2 CONSTANT ROWS`, `SCAN (subquery-1)`: no tables.
    let is_table = !table.starts_with('(') && !words.contains(&"CONSTANT") && table != "TABLE";
    if !matches!(verb, "SCAN" | "SEARCH") || !is_table {
        return;
    }
    let index = words
        .iter()
        .position(|word| *word == "INDEX")
        .and_then(|at| words.get(at + 1))
        .map(|name| (*name).to_owned());
    let automatic = words.contains(&"AUTOMATIC");
    if let (Some(index), false) = (&index, automatic || words.contains(&"VIRTUAL")) {
        shown.indexes.push(index.clone());
    }
    if verb == "SCAN" && !words.contains(&"VIRTUAL") && !(limited && index.is_some()) || automatic {
        shown.whole.push(format!("{table} ({line})"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_tells_what_is_read_whole() {
        let read = |line: &str, limited| {
            let mut shown = Shown::default();
            read_line(line, limited, &mut shown);
            (shown.indexes.join(","), shown.whole.len())
        };
        assert_eq!(read("SCAN t", true), (String::new(), 1));
        assert_eq!(
            read("SCAN t USING COVERING INDEX i", false),
            ("i".into(), 1)
        );
        assert_eq!(read("SCAN t USING INDEX i", true), ("i".into(), 0));
        assert_eq!(read("SEARCH t USING INDEX i (a=?)", false), ("i".into(), 0));
        let rowid = "SEARCH t USING INTEGER PRIMARY KEY (rowid=?)";
        assert_eq!(read(rowid, false), (String::new(), 0));
        let automatic = "SEARCH t USING AUTOMATIC COVERING INDEX (a=?)";
        assert_eq!(read(automatic, false), (String::new(), 1));
        assert_eq!(read("SCAN 2 CONSTANT ROWS", false), (String::new(), 0));
        assert_eq!(
            read("USE TEMP B-TREE FOR ORDER BY", false),
            (String::new(), 0)
        );
    }

    #[test]
    fn a_trigger_that_raises_is_no_foreign_key() {
        assert_eq!(Checks.because("1811", "no such user"), None);
        let named = Checks.check_named("CHECK constraint failed: json_valid(messages)");
        assert_eq!(named.as_deref(), Some("json_valid(messages)"));
    }
}
