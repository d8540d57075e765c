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

    fn unused(&self) -> Option<&'static str> {
        Some(
            "SELECT s.object_name, s.index_name, 'the server was started' FROM performance_schema.table_io_waits_summary_by_index_usage s \
             JOIN (SELECT DISTINCT table_name, index_name FROM information_schema.statistics WHERE table_schema = DATABASE() \
             AND non_unique = 1) i ON i.table_name = s.object_name AND i.index_name = s.index_name \
             WHERE s.object_schema = DATABASE() AND s.count_star = 0 AND @@performance_schema = 1",
        )
    }

    fn slowest(&self) -> Option<&'static str> {
        Some(
            "SELECT digest_text, count_star, avg_timer_wait / 1000000000, query_sample_text \
             FROM performance_schema.events_statements_summary_by_digest WHERE schema_name = DATABASE() \
             AND digest_text LIKE 'SELECT%' AND digest_text NOT LIKE '%`information_schema`%' \
             AND digest_text NOT LIKE '%`performance_schema`%' AND @@performance_schema = 1 \
             ORDER BY sum_timer_wait DESC LIMIT 20",
        )
    }

    fn optimize(&self, table: &str) -> Vec<String> {
        vec![format!("OPTIMIZE TABLE {table}")]
    }
}
