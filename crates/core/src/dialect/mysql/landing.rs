//! Being one end of a copy.

use super::change::Changes;
use crate::dialect::change::ChangeDialect;
use crate::dialect::landing::{
    Inline, LandingDialect, STAGED, STANDS, Sharing, Stage, assignments,
};
use crate::value::Query;

/// Ends of copies.
#[derive(Debug, Clone, Copy)]
pub struct Landing;

impl LandingDialect for Landing {
    fn inline(&self) -> Inline {
        Inline::Primary
    }

    /// Several consistent snapshots of one moment would need a lock on all tables, which stops a shop: one reads.
    fn sharing(&self) -> Sharing {
        Sharing::One
    }

    fn join(&self, _snapshot: &str) -> Vec<String> {
        vec![]
    }

    fn takes_raw(&self) -> bool {
        true
    }

    fn sound(&self) -> Option<&'static str> {
        None
    }

    fn last_given(&self, counter: i64) -> i64 {
        counter - 1
    }

    fn set_counter(
        &self,
        schema: Option<&str>,
        table: &str,
        _column: &str,
        last: i64,
    ) -> Vec<Query> {
        // The server raises a number that is too small to one more than the largest.
        Changes.raise(schema, table, "", last.saturating_add(1).max(1))
    }

    fn next_number(&self, schema: Option<&str>, table: &str, _column: &str) -> Option<Query> {
        Changes.counters(schema, table)
    }

    fn settle(&self, table: &str) -> Option<String> {
        Some(format!("ANALYZE TABLE {table}"))
    }

    fn stage(&self) -> Stage {
        Stage {
            schema: None,
            name: "dunlin_stage",
            sql: "dunlin_stage",
        }
    }

    fn make_stage(&self, table: &str, columns: &[String]) -> Vec<String> {
        let list = columns.join(", ");
        vec![
            "DROP TEMPORARY TABLE IF EXISTS dunlin_stage".into(),
            // Under its own engine's default, which knows transactions.
            format!("CREATE TEMPORARY TABLE dunlin_stage AS SELECT {list} FROM {table} LIMIT 0"),
        ]
    }

    fn write_over(&self, table: &str, columns: &[String], same: &str) -> String {
        let set = assignments(columns, &format!("{STANDS}."));
        format!("UPDATE {table} AS {STANDS} JOIN dunlin_stage AS {STAGED} ON {same} SET {set}")
    }

    fn numbered_by_us(&self) -> &'static str {
        ""
    }
}
