//! Reading the catalog.

use crate::facts::TableSize;
use crate::schema::text::{Code, code, joined};
use crate::sql::lexer::TokenKind;
use crate::sql::{LexMode, ObjectRef};
use crate::value::{Query, Row};

/// Sizes of all tables. Rows are the planner's estimate, or the statistics collector's count before the first ANALYZE.
pub fn table_sizes() -> Query {
    Query::new(
        "SELECT n.nspname::text, c.relname::text, \
         CASE WHEN c.reltuples >= 0 THEN c.reltuples::bigint ELSE pg_stat_get_live_tuples(c.oid) END, \
         pg_total_relation_size(c.oid), NULL::text, c.relpersistence = 'p' AND c.relkind <> 'f' \
         FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
         WHERE c.relkind IN ('r', 'p', 'm', 'f') AND c.relpersistence <> 't' AND n.nspname <> 'information_schema' \
         AND n.nspname NOT LIKE 'pg\\_%' ORDER BY 1, 2",
        vec![],
    )
}

/// Reads a row of [`table_sizes`].
pub fn read_table_size(row: &Row) -> Option<TableSize> {
    crate::dialect::table_size_row(row)
}

/// The storage of some tables: schema, name, whether changes to it are logged.
pub fn storage(tables: &[ObjectRef]) -> Option<Query> {
    let marks: Vec<_> = (1..=tables.len()).map(|n| format!("${n}::text")).collect();
    let params = tables
        .iter()
        .map(|table| table.name.as_str().into())
        .collect();
    Some(Query::new(
        format!(
            "SELECT n.nspname::text, c.relname::text, c.relpersistence <> 'u' FROM pg_class c \
             JOIN pg_namespace n ON n.oid = c.relnamespace \
             WHERE c.relkind IN ('r', 'p') AND c.relname IN ({})",
            marks.join(", ")
        ),
        params,
    ))
}

/// What a backup's manifest says of the database.
pub fn database_facts() -> Query {
    Query::new(
        "SELECT 'encoding', pg_encoding_to_char(encoding)::text FROM pg_database WHERE datname = current_database() \
         UNION ALL SELECT 'collation', datcollate::text FROM pg_database WHERE datname = current_database() \
         UNION ALL SELECT 'owner', pg_get_userbyid(datdba)::text FROM pg_database WHERE datname = current_database() \
         UNION ALL SELECT 'extensions', COALESCE(string_agg(extname || ' ' || extversion, ', ' ORDER BY extname), '') FROM pg_extension",
        vec![],
    )
}

/// The columns of some tables in some schemas.
pub fn columns_of(schemas: &[&str], tables: &[&str]) -> Query {
    let marks = |from: usize, count: usize| {
        let marks: Vec<_> = (from..from + count)
            .map(|n| format!("${n}::text"))
            .collect();
        marks.join(", ")
    };
    Query::new(
        format!(
            "SELECT n.nspname::text, c.relname::text, a.attname::text FROM pg_class c \
             JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_attribute a ON a.attrelid = c.oid \
             WHERE c.relkind IN ('r', 'p') AND a.attnum > 0 AND NOT a.attisdropped \
             AND n.nspname IN ({}) AND lower(c.relname) IN ({}) ORDER BY 1, 2, a.attnum",
            marks(1, schemas.len()),
            marks(1 + schemas.len(), tables.len()),
        ),
        schemas
            .iter()
            .chain(tables)
            .map(|&name| name.into())
            .collect(),
    )
}

/// A text without brackets and casts: the server sets both anew when it reads what it has told (`(ARRAY['a'::character
/// varying])::text[]` comes back as `ARRAY[('a'::character varying)::text]`).
pub fn reloaded(text: &str) -> String {
    let tokens = code(text, &super::lex::rules(&LexMode::default()));
    let mut left: Vec<Code<'_>> = vec![];
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        at += 1;
        match token.text {
            "::" => at = behind_type(&tokens, at),
            "(" | ")" if token.kind == TokenKind::Operator => {}
            _ => left.push(*token),
        }
    }
    joined(&left)
}

/// The place after the type that begins here: `"S".name(3)[]`, `timestamp(0) without time zone`.
fn behind_type(tokens: &[Code<'_>], mut at: usize) -> usize {
    const MORE: [&str; 6] = ["varying", "precision", "with", "without", "time", "zone"];
    let is = |at: usize, mark: &str| tokens.get(at).is_some_and(|token| token.is(mark));
    at += 1;
    loop {
        if is(at, ".") {
            at += 2;
        } else if is(at, "(") {
            while at < tokens.len() && !is(at, ")") {
                at += 1;
            }
            at += 1;
        } else if (is(at, "[") && is(at + 1, "]")) || is(at, "[]") {
            at += if is(at, "[]") { 1 } else { 2 };
        } else if MORE.iter().any(|word| is(at, word)) {
            at += 1;
        } else {
            return at.min(tokens.len());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::reloaded;

    #[test]
    fn what_the_server_sets_anew_is_left_out_and_nothing_else() {
        let same = [
            (
                "CHECK (((a)::text = ANY ((ARRAY['x'::character varying, 'y'::character varying])::text[])))",
                "CHECK (((a)::text = ANY (ARRAY[('x'::character varying)::text, ('y'::character varying)::text])))",
            ),
            (
                "(now() AT TIME ZONE 'utc'::text)",
                "(now() AT TIME ZONE 'utc')",
            ),
            (
                "'2020-01-01 00:00:00'::timestamp(0) without time zone + x",
                "('2020-01-01 00:00:00' + x)",
            ),
            ("('a'::\"S\".mood)", "'a'::\"S\".mood"),
            ("a::numeric(10,2) > 1", "(a > 1)"),
        ];
        for (before, after) in same {
            assert_eq!(reloaded(before), reloaded(after), "{before}");
        }
        let other = [
            ("(a > 1)", "(a > 2)"),
            ("CHECK ((a)::text = 'x::y')", "CHECK ((a)::text = 'x')"),
            ("USING btree (a, b)", "USING btree (a)"),
            ("WHERE (b)", ""),
        ];
        for (before, after) in other {
            assert_ne!(reloaded(before), reloaded(after), "{before}");
        }
    }
}
