//! Being one end of a copy.

use super::ddl::{quote, table_name};
use super::rows::{DEFAULT_SCHEMA, Rows};
use crate::dialect::RowsDialect;
use crate::dialect::landing::{
    Inline, LandingDialect, STAGED, STANDS, Sharing, Stage, assignments,
};
use crate::schema::Table;
use crate::value::Query;

/// Ends of copies.
#[derive(Debug, Clone, Copy)]
pub struct Landing;

/// A table as functions of the server take it.
fn name(schema: Option<&str>, table: &str) -> String {
    format!(
        "{}.{}",
        quote(schema.unwrap_or(DEFAULT_SCHEMA)),
        quote(table)
    )
}

impl LandingDialect for Landing {
    fn inline(&self) -> Inline {
        Inline::Nothing
    }

    fn sharing(&self) -> Sharing {
        Sharing::Exported
    }

    fn join(&self, snapshot: &str) -> Vec<String> {
        let (begin, pins) = match Rows.snapshot() {
            [begin, pins @ ..] => (*begin, pins),
            [] => ("BEGIN", &[] as &[&str]),
        };
        let join = format!("SET TRANSACTION SNAPSHOT {}", super::dml::literal(snapshot));
        let pins = pins.iter().map(|pin| (*pin).to_owned());
        [begin.to_owned(), join].into_iter().chain(pins).collect()
    }

    fn takes_raw(&self) -> bool {
        false
    }

    fn sound(&self) -> Option<&'static str> {
        None
    }

    fn set_counter(
        &self,
        schema: Option<&str>,
        table: &str,
        column: &str,
        last: i64,
    ) -> Vec<Query> {
        // A table whose last number is 0 (or less) has given none out: the next is the first.
        let sql = "SELECT setval(pg_get_serial_sequence($1::text, $2::text), greatest($3::bigint, 1), $3::bigint >= 1)";
        let params = vec![name(schema, table).into(), column.into(), last.into()];
        vec![Query::new(sql, params)]
    }

    fn next_number(&self, schema: Option<&str>, table: &str, column: &str) -> Option<Query> {
        let sql = "SELECT '', coalesce(pg_sequence_last_value(s.seq) + q.seqincrement, q.seqstart) FROM (SELECT \
                   pg_get_serial_sequence($1::text, $2::text)::regclass AS seq) s JOIN pg_sequence q ON q.seqrelid = s.seq";
        let params = vec![name(schema, table).into(), column.into()];
        Some(Query::new(sql, params))
    }

    fn settle(&self, table: &str) -> Option<String> {
        Some(format!("ANALYZE {table}"))
    }

    fn stage(&self) -> Stage {
        Stage {
            schema: Some("pg_temp"),
            name: "dunlin_stage",
            sql: "pg_temp.dunlin_stage",
        }
    }

    fn make_stage(&self, table: &str, columns: &[String]) -> Vec<String> {
        let list = columns.join(", ");
        vec![
            "DROP TABLE IF EXISTS pg_temp.dunlin_stage".into(),
            format!(
                "CREATE TEMPORARY TABLE dunlin_stage AS SELECT {list} FROM {table} WITH NO DATA"
            ),
        ]
    }

    fn write_over(&self, table: &str, columns: &[String], same: &str) -> String {
        let set = assignments(columns, "");
        format!(
            "UPDATE {table} AS {STANDS} SET {set} FROM pg_temp.dunlin_stage AS {STAGED} WHERE {same}"
        )
    }

    fn numbered_by_us(&self) -> &'static str {
        "OVERRIDING SYSTEM VALUE "
    }

    fn drop_at_once(&self, tables: &[&Table]) -> Option<String> {
        let names: Vec<String> = tables.iter().map(|table| table_name(table)).collect();
        (!names.is_empty()).then(|| format!("DROP TABLE {}", names.join(", ")))
    }
}
