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
        rules::like(source, key, &Changes.table(schema, name), quote)
    }

    fn unused(&self) -> Option<&'static str> {
        Some(
            "SELECT CASE WHEN s.schemaname = current_schema() THEN s.relname ELSE s.schemaname || '.' || s.relname END, s.indexrelname, \
             'the statistics begin' || coalesce(' (' || to_char(d.stats_reset, 'YYYY-MM-DD') || ')', '') \
             FROM pg_stat_user_indexes s JOIN pg_index i ON i.indexrelid = s.indexrelid \
             JOIN pg_stat_database d ON d.datname = current_database() \
             WHERE s.idx_scan = 0 AND NOT i.indisunique AND NOT i.indisprimary",
        )
    }

    /// The texts hold `$1` where values stood; a plan for any value can be asked for from version 16 on.
    fn slowest(&self) -> Option<&'static str> {
        Some(
            "SELECT s.query, s.calls, s.mean_exec_time, CASE WHEN current_setting('server_version_num')::int >= 160000 THEN s.query END \
             FROM pg_stat_statements s JOIN pg_database d ON d.oid = s.dbid AND d.datname = current_database() \
             WHERE s.query ILIKE 'select%' AND s.query !~ 'pg_(catalog|class|attribute|stat)' ORDER BY s.total_exec_time DESC LIMIT 20",
        )
    }

    fn plan_of(&self, sql: &str) -> String {
        format!("EXPLAIN (GENERIC_PLAN) {sql}")
    }

    /// Never FULL: that locks the table for as long as it takes to write it anew.
    fn optimize(&self, table: &str) -> Vec<String> {
        vec![format!("VACUUM (ANALYZE) {table}")]
    }
}
