//! Being one end of a copy.

use super::change::Changes;
use crate::dialect::change::ChangeDialect;
use crate::dialect::landing::{
    Inline, LandingDialect, STAGED, STANDS, Sharing, Stage, assignments,
};
use crate::value::Query;

/// The schema of tables that one connection sees.
pub(super) const TEMPORARY: &str = "temp";

/// Ends of copies.
#[derive(Debug, Clone, Copy)]
pub struct Landing;

impl LandingDialect for Landing {
    fn inline(&self) -> Inline {
        Inline::Everything
    }

    fn sharing(&self) -> Sharing {
        Sharing::Unchanged {
            version: "PRAGMA data_version",
            hasty: "PRAGMA busy_timeout = 0",
        }
    }

    fn join(&self, _snapshot: &str) -> Vec<String> {
        vec![]
    }

    fn takes_raw(&self) -> bool {
        true
    }

    fn sound(&self) -> Option<&'static str> {
        Some("PRAGMA quick_check(3)")
    }

    fn set_counter(
        &self,
        schema: Option<&str>,
        table: &str,
        _column: &str,
        last: i64,
    ) -> Vec<Query> {
        Changes.raise(schema, table, "", last)
    }

    fn next_number(&self, _schema: Option<&str>, table: &str, _column: &str) -> Option<Query> {
        let sql = "SELECT '', seq + 1 FROM main.sqlite_sequence WHERE name = ?";
        Some(Query::new(sql, vec![table.into()]))
    }

    fn settle(&self, _table: &str) -> Option<String> {
        None
    }

    fn stage(&self) -> Stage {
        Stage {
            schema: Some(TEMPORARY),
            name: "dunlin_stage",
            sql: "temp.dunlin_stage",
        }
    }

    /// Columns without a type: what waits there stays of the class that it has.
    fn make_stage(&self, _table: &str, columns: &[String]) -> Vec<String> {
        let list = columns.join(", ");
        vec![
            "DROP TABLE IF EXISTS temp.dunlin_stage".into(),
            format!("CREATE TEMPORARY TABLE dunlin_stage ({list})"),
        ]
    }

    fn write_over(&self, table: &str, columns: &[String], same: &str) -> String {
        let set = assignments(columns, "");
        format!(
            "UPDATE {table} AS {STANDS} SET {set} FROM temp.dunlin_stage AS {STAGED} WHERE {same}"
        )
    }

    fn numbered_by_us(&self) -> &'static str {
        ""
    }
}
