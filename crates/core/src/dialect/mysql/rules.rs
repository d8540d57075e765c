//! Integrity rules.

use super::change::Changes;
use super::ddl::quote;
use crate::dialect::change::ChangeDialect;
use crate::dialect::rules::RulesDialect;
use crate::schema::Table;

/// How rules are asked.
#[derive(Debug, Clone, Copy)]
pub struct Rules;

impl RulesDialect for Rules {
    fn change(&self) -> &'static dyn ChangeDialect {
        &Changes
    }

    fn same(&self, a: &str, b: &str) -> String {
        format!("{a} <=> {b}")
    }

    /// By its length: a comparison would take blanks for nothing.
    fn is_empty(&self, column: &str) -> String {
        format!("LENGTH({column}) = 0")
    }

    /// Types alone would lose character sets and collations.
    fn make_like(
        &self,
        source: &Table,
        _key: &[String],
        schema: Option<&str>,
        name: &str,
    ) -> String {
        format!(
            "CREATE TABLE {} LIKE {}",
            Changes.table(schema, name),
            quote(&source.name)
        )
    }

    fn optimize(&self, table: &str) -> Vec<String> {
        vec![format!("OPTIMIZE TABLE {table}")]
    }
}
