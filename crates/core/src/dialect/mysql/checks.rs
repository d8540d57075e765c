//! Trying statements out, looking at query plans, and what a violated constraint is called.

use super::ddl::quote;
use crate::dialect::checks::{ChecksDialect, Shown, between};
use crate::dialect::{Caps, EngineKind};
use crate::schema::Table;
use crate::source::grammar::checks::Because;
use crate::value::{Row, Value};
use std::time::Duration;

/// How plans are checked.
#[derive(Debug, Clone, Copy)]
pub struct Checks;

impl ChecksDialect for Checks {
    fn highest(&self, _schema: Option<&str>, table: &str, column: &str) -> String {
        format!("SELECT max({}) FROM {}", quote(column), quote(table))
    }

    fn up_to(&self, select: &str, column: &str, key: i64) -> String {
        format!("{select} WHERE {} <= {key}", quote(column))
    }

    fn explain(&self, sql: &str) -> String {
        // Its columns are the same whatever `explain_format` says, and from release to release; its JSON is not.
        format!("EXPLAIN FORMAT=TRADITIONAL {sql}")
    }

    fn read_explain(&self, rows: &[Row], limited: bool) -> Option<Shown> {
        let mut shown = Shown::default();
        for row in rows {
            // One server shows partitions behind the table, the other does not.
            let shift = match row.len() {
                12 => 1,
                10 => 0,
                _ => return None,
            };
            let text = |at: usize| row.get(at).and_then(Value::as_str).unwrap_or_default();
            let (table, access, keys) = (text(2), text(3 + shift), text(5 + shift));
            let keys = keys.split(',').filter(|key| !key.is_empty());
            shown.indexes.extend(keys.map(str::to_owned));
            // `<derived2>`, `<union1,2>`: no tables.
            let is_table = !table.is_empty() && !table.starts_with('<');
            if is_table && (access == "ALL" || access == "index" && !limited) {
                shown.whole.push(format!("{table} (type {access})"));
            }
        }
        Some(shown)
    }

    fn reference(&self) -> &'static str {
        "WITH RECURSIVE s (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < 900) SELECT sum(n) FROM s"
    }

    fn trial_before(&self, caps: &Caps, bound: Duration) -> Vec<String> {
        let seconds = bound.as_secs().max(1);
        let mut set = format!(
            "SET SESSION innodb_lock_wait_timeout = {seconds}, SESSION lock_wait_timeout = {seconds}, \
             SESSION foreign_key_checks = 1, SESSION unique_checks = 1"
        );
        if caps.engine == EngineKind::Mariadb {
            set.push_str(", SESSION check_constraint_checks = 1");
        } else if caps.version >= (8, 0, 0) {
            // Else a counter is told as it was up to a day ago.
            set.push_str(", SESSION information_schema_stats_expiry = 0");
        }
        vec![set]
    }

    fn trial_within(&self, _bound: Duration) -> Vec<String> {
        vec![]
    }

    fn immediate(&self) -> Option<&'static str> {
        None
    }

    fn dangling(&self) -> Option<&'static str> {
        None
    }

    fn counters(&self) -> Option<&'static str> {
        Some(
            "SELECT TABLE_NAME, AUTO_INCREMENT FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE() AND \
             AUTO_INCREMENT IS NOT NULL ORDER BY 1",
        )
    }

    fn because(&self, code: &str, _message: &str) -> Option<Because> {
        match code.parse::<u32>().ok()? {
            1216 | 1217 | 1451 | 1452 => Some(Because::ForeignKey),
            1062 | 1586 => Some(Because::Unique),
            1048 | 1364 => Some(Because::NotNull),
            3819 | 4025 => Some(Because::Check),
            3140 | 3141 | 3143 | 3144 | 4037 | 4038 => Some(Because::Json),
            1264 | 1265 | 1292 | 1366 | 1406 | 1411 => Some(Because::Type),
            _ => None,
        }
    }

    fn set_one(&self, table: &Table, set: &str, only: &str) -> String {
        format!(
            "UPDATE {} SET {set} WHERE {only} LIMIT 1",
            quote(&table.name)
        )
    }

    fn check_named(&self, message: &str) -> Option<String> {
        // `CONSTRAINT `t.messages` failed for …`, `Check constraint 'c' is violated.`
        let named = between(message, "CONSTRAINT `", "` failed")
            .or_else(|| between(message, "Check constraint '", "' is violated"))?;
        let name = named.rsplit_once('.').map_or(named, |(_, name)| name);
        Some(name.to_owned())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn row(cells: &[&str]) -> Row {
        cells
            .iter()
            .map(|cell| Value::Text((*cell).into()))
            .collect()
    }

    #[test]
    fn a_plan_tells_what_is_read_whole_on_both_servers() {
        let with = row(&[
            "1", "SIMPLE", "t", "", "ref", "i,j", "i", "8", "const", "1", "100", "",
        ]);
        let without = row(&["1", "SIMPLE", "t", "ALL", "", "", "", "", "9", ""]);
        let shown = Checks.read_explain(&[with, without], false).unwrap();
        assert_eq!(
            (shown.indexes, shown.whole),
            (vec!["i".into()], vec!["t (type ALL)".into()])
        );
        let derived = row(&["1", "PRIMARY", "<derived2>", "ALL", "", "", "", "", "9", ""]);
        assert_eq!(
            Checks.read_explain(&[derived], false).unwrap().whole,
            Vec::<String>::new()
        );
        let index = row(&["1", "SIMPLE", "t", "index", "", "i", "", "", "9", ""]);
        assert_eq!(
            Checks
                .read_explain(std::slice::from_ref(&index), true)
                .unwrap()
                .whole
                .len(),
            0
        );
        assert_eq!(Checks.read_explain(&[index], false).unwrap().whole.len(), 1);
        assert_eq!(Checks.read_explain(&[row(&["{}"])], false), None);
    }

    #[test]
    fn the_checks_name_is_read_from_both_servers_sentences() {
        let named = |message| Checks.check_named(message);
        let maria = "CONSTRAINT `ai.messages` failed for `db`.`ai`";
        assert_eq!(named(maria).as_deref(), Some("messages"));
        assert_eq!(
            named("Check constraint 'c' is violated.").as_deref(),
            Some("c")
        );
    }
}
