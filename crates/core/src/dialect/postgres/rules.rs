//! Integrity rules.

use super::change::Changes;
use super::ddl::quote;
use crate::dialect::change::ChangeDialect;
use crate::dialect::rules::{self, RulesDialect};
use crate::schema::Table;

/// How rules are asked.
#[derive(Debug, Clone, Copy)]
pub struct Rules;

impl RulesDialect for Rules {
    fn change(&self) -> &'static dyn ChangeDialect {
        &Changes
    }

    fn same(&self, a: &str, b: &str) -> String {
        format!("{a} IS NOT DISTINCT FROM {b}")
    }

    fn is_empty(&self, column: &str) -> String {
        format!("{column}::text = ''")
    }

    fn make_like(
        &self,
        source: &Table,
        key: &[String],
        schema: Option<&str>,
        name: &str,
    ) -> String {
        let columns = rules::columns(source, quote);
        rules::make(&Changes.table(schema, name), columns, key, quote)
    }

    /// Never FULL: that locks the table for as long as it takes to write it anew.
    fn optimize(&self, table: &str) -> Vec<String> {
        vec![format!("VACUUM (ANALYZE) {table}")]
    }
}
