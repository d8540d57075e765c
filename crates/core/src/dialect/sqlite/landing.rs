//! Being one end of a copy.

use super::change::Changes;
use crate::dialect::change::ChangeDialect;
use crate::dialect::landing::{Inline, LandingDialect, Sharing};
use crate::value::Query;

/// Ends of copies.
#[derive(Debug, Clone, Copy)]
pub struct Landing;

impl LandingDialect for Landing {
    fn inline(&self) -> Inline {
        Inline::Everything
    }

    fn sharing(&self) -> Sharing {
        Sharing::Still {
            hold: "BEGIN IMMEDIATE",
            free: "ROLLBACK",
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
}
