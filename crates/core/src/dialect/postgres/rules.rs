//! Integrity rules.

use super::change::Changes;
use super::ddl::quote;
use crate::dialect::change::ChangeDialect;
use crate::dialect::rules::{self, Once, RulesDialect};
use crate::schema::{IndexPart, Table};

/// How rules are asked.
#[derive(Debug, Clone, Copy)]
pub struct Rules;

/// A part of an index, as an expression.
fn index_part(part: &IndexPart) -> String {
    let what = if part.expression {
        format!("({})", part.what)
    } else {
        quote(&part.what)
    };
    match &part.collation {
        Some(collation) => format!("{what} COLLATE {collation}"),
        None => what,
    }
}

impl RulesDialect for Rules {
    fn change(&self) -> &'static dyn ChangeDialect {
        &Changes
    }

    fn same(&self, a: &str, b: &str) -> String {
        format!("{a} IS NOT DISTINCT FROM {b}")
    }

    /// Rows of a load lie one after the other, as the source gave them.
    fn repeated(&self, table: &Table, once: Once<'_>) -> Option<String> {
        let (parts, only, nulls) = match once {
            Once::Key(key) => {
                let names: Vec<String> = key.columns.iter().map(|name| quote(name)).collect();
                (names, None, key.clause.as_deref())
            }
            Once::Index(index) => {
                let parts = index.parts.iter().map(index_part).collect();
                let (only, nulls) = (index.predicate.as_deref(), index.attributes.as_deref());
                (parts, only, nulls)
            }
        };
        let one = nulls.is_some_and(|clause| clause.contains("NULLS NOT DISTINCT"));
        let mut conditions: Vec<String> = vec![];
        if !one {
            conditions.extend(parts.iter().map(|part| format!("({part}) IS NOT NULL")));
        }
        conditions.extend(only.map(|only| format!("({only}\n)")));
        let filter = if conditions.is_empty() {
            String::new()
        } else {
            format!(" WHERE {}", conditions.join(" AND "))
        };
        Some(format!(
            "ctid = ANY (ARRAY(SELECT d.place FROM (SELECT ctid AS place, row_number() OVER (PARTITION BY {} ORDER BY \
             ctid) AS number FROM {}{filter}) d WHERE d.number > 1))",
            parts.join(", "),
            Changes.table(table.schema.as_deref(), &table.name)
        ))
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
