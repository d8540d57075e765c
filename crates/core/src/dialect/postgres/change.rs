//! Changing rows in bulk. Values travel as text and are cast by the server, as when rows are put back.

use super::ddl::quote;
use super::rows::{DEFAULT_SCHEMA, EXACT, exactly_after, expression};
use crate::copy::reading::{Bound, ColumnShape};
use crate::dialect::change::{ChangeDialect, Filling};
use crate::sql::LexRules;
use crate::sql::words::Words;
use crate::value::Query;

/// How rows are changed.
#[derive(Debug, Clone, Copy)]
pub struct Changes;

fn qualified(schema: Option<&str>, name: &str) -> String {
    format!(
        "{}.{}",
        quote(schema.unwrap_or(DEFAULT_SCHEMA)),
        quote(name)
    )
}

impl ChangeDialect for Changes {
    fn quote(&self, identifier: &str) -> String {
        quote(identifier)
    }

    fn table(&self, schema: Option<&str>, name: &str) -> String {
        qualified(schema, name)
    }

    fn only(&self, table: &Bound) -> &'static str {
        if table.own_rows { "ONLY " } else { "" }
    }

    fn value(&self, n: usize, column: &ColumnShape) -> String {
        format!("${n}::text::{}", column.native)
    }

    fn as_text(&self) -> bool {
        true
    }

    fn read(&self, column: &ColumnShape) -> String {
        expression(column)
    }

    fn as_made(&self, column: &str, default: Option<&str>) -> String {
        format!(
            "{} IS NOT DISTINCT FROM ({})",
            quote(column),
            default.unwrap_or("NULL")
        )
    }

    fn for_update(&self) -> &'static str {
        " FOR UPDATE"
    }

    fn quiet(&self) -> &'static [&'static str] {
        &[]
    }

    fn loud(&self) -> &'static [&'static str] {
        &[]
    }

    fn pins(&self) -> &'static [&'static str] {
        &EXACT
    }

    fn by_keys(&self) -> &'static [&'static str] {
        &["SET LOCAL enable_seqscan = off"]
    }

    /// Switching constraints off takes a superuser; dropping and making them takes the owner, and making them checks.
    fn drops_keys(&self) -> bool {
        true
    }

    fn settled(&self) -> &'static [&'static str] {
        &["SET CONSTRAINTS ALL IMMEDIATE"]
    }

    fn lock(&self, tables: &[Bound]) -> Option<String> {
        let names: Vec<String> = tables.iter().map(|table| self.target(table)).collect();
        Some(format!(
            "LOCK TABLE {} IN ACCESS EXCLUSIVE MODE",
            names.join(", ")
        ))
    }

    fn hold(&self, tables: &[Bound]) -> Option<String> {
        let names: Vec<String> = tables.iter().map(|table| self.target(table)).collect();
        Some(format!(
            "LOCK TABLE {} IN SHARE ROW EXCLUSIVE MODE",
            names.join(", ")
        ))
    }

    /// What is set goes with the savepoint; the lock of the tables is older and stays.
    fn path(&self) -> Option<&'static str> {
        Some(
            "SELECT CASE WHEN p.schema <> 'public' THEN p.schema::text END FROM unnest(current_schemas(false)) \
             WITH ORDINALITY AS p (schema, place) ORDER BY p.place",
        )
    }

    fn aside(&self) -> (&'static [&'static str], &'static [&'static str]) {
        const ASIDE: [&str; EXACT.len() + 1] = exactly_after("SAVEPOINT dunlin_aside");
        (
            &ASIDE,
            &[
                "ROLLBACK TO SAVEPOINT dunlin_aside",
                "RELEASE SAVEPOINT dunlin_aside",
            ],
        )
    }

    fn counters(&self, schema: Option<&str>, table: &str) -> Option<Query> {
        Some(Query::new(
            "WITH own AS (SELECT d.objid AS seq FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.refclassid = \
             'pg_class'::regclass AND d.refobjid = to_regclass($1::text) AND d.deptype IN ('a', 'i') UNION \
             SELECT d.refobjid FROM pg_attrdef a JOIN pg_depend d ON d.classid = 'pg_attrdef'::regclass AND d.objid = a.oid \
             AND d.refclassid = 'pg_class'::regclass WHERE a.adrelid = to_regclass($1::text)) \
             SELECT format('%I.%I', n.nspname, s.relname), pg_sequence_last_value(s.oid) FROM own JOIN pg_class s ON s.oid = \
             own.seq AND s.relkind = 'S' JOIN pg_namespace n ON n.oid = s.relnamespace JOIN pg_sequence q ON q.seqrelid = \
             s.oid WHERE q.seqincrement > 0 AND pg_sequence_last_value(s.oid) IS NOT NULL ORDER BY 1",
            vec![qualified(schema, table).into()],
        ))
    }

    fn numbered(&self, schema: Option<&str>, table: &str) -> Option<Query> {
        Some(Query::new(
            "WITH own AS (SELECT d.objid AS seq, d.refobjsubid AS att FROM pg_depend d WHERE d.classid = \
             'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid = to_regclass($1::text) AND \
             d.deptype IN ('a', 'i') AND d.refobjsubid > 0 UNION SELECT d.refobjid, a.adnum FROM pg_attrdef a JOIN \
             pg_depend d ON d.classid = 'pg_attrdef'::regclass AND d.objid = a.oid AND d.refclassid = \
             'pg_class'::regclass WHERE a.adrelid = to_regclass($1::text)) SELECT format('%I.%I', n.nspname, s.relname), \
             t.attname::text, pg_sequence_last_value(s.oid) FROM own JOIN pg_class s ON s.oid = own.seq AND s.relkind = \
             'S' JOIN pg_namespace n ON n.oid = s.relnamespace JOIN pg_sequence q ON q.seqrelid = s.oid JOIN pg_attribute \
             t ON t.attrelid = to_regclass($1::text) AND t.attnum = own.att WHERE q.seqincrement > 0 ORDER BY 1, 2",
            vec![qualified(schema, table).into()],
        ))
    }

    fn raise(&self, _schema: Option<&str>, _table: &str, counter: &str, value: i64) -> Vec<Query> {
        vec![Query::new(
            "SELECT setval(to_regclass($1::text), $2::bigint)",
            vec![counter.into(), value.into()],
        )]
    }

    fn count_anew(
        &self,
        schema: Option<&str>,
        table: &str,
        made: &[&str],
        rules: &LexRules,
    ) -> Option<Vec<Query>> {
        // Where a counter was moved by hand, where it began does not tell where it stood.
        let moved = |sql: &&str| Words::read(sql, rules).has(&["RESTART", "SETVAL", "NEXTVAL"]);
        if made.iter().any(moved) {
            return None;
        }
        Some(vec![Query::new(
            "SELECT count(setval(q.seqrelid::regclass, q.seqstart, false)) FROM pg_depend d JOIN pg_sequence q ON \
             q.seqrelid = d.objid WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass AND \
             d.refobjid = to_regclass($1::text) AND d.deptype IN ('a', 'i')",
            vec![qualified(schema, table).into()],
        )])
    }

    fn fill(&self, filling: &Filling<'_>) -> Result<Vec<String>, String> {
        let table = filling.table;
        let schema = table.schema.as_deref();
        let name = qualified(schema, &table.table);
        let function = qualified(schema, filling.name);
        let row = format!("FROM (SELECT dunlin_row.*) AS {}", quote(&table.table));
        let set: Vec<String> = filling
            .assigned
            .iter()
            .map(|(at, expression)| {
                let column = quote(&table.columns[*at].shape.name);
                format!("IF NEW.{column} IS NULL THEN NEW.{column} := (SELECT {expression}\n {row}); END IF;")
            })
            .collect();
        let mut body = set.join(" ");
        if let Some(only) = filling.only {
            body = format!("IF (SELECT ({only}\n) {row}) THEN {body} END IF;");
        }
        // A text that no expression holds.
        let mut tag = "$dunlin$".to_owned();
        while body.contains(&tag) {
            tag = format!("{}_$", tag.trim_end_matches('$'));
        }
        Ok(vec![
            format!(
                "CREATE OR REPLACE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql AS {tag} DECLARE dunlin_row \
                 {name}%ROWTYPE; BEGIN dunlin_row := NEW; {body} RETURN NEW; END {tag}"
            ),
            format!("DROP TRIGGER IF EXISTS {} ON {name}", quote(filling.name)),
            format!(
                "CREATE TRIGGER {} BEFORE INSERT ON {name} FOR EACH ROW EXECUTE PROCEDURE {function}()",
                quote(filling.name)
            ),
        ])
    }

    fn unfill(&self, schema: Option<&str>, table: &str, name: &str) -> Vec<String> {
        vec![
            format!(
                "DROP TRIGGER IF EXISTS {} ON {}",
                quote(name),
                qualified(schema, table)
            ),
            format!("DROP FUNCTION IF EXISTS {}()", qualified(schema, name)),
        ]
    }
}
