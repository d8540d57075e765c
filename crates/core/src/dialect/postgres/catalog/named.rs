//! What somebody made for columns to be of: enumerations, domains, composite types, ranges and collations.

use super::{OURS, SCHEMA, list, not_of_extension, some, text};
use crate::schema::NamedType;
use crate::value::Row;

/// Reads types, domains and collations that somebody made.
pub(super) fn types() -> String {
    let name = "CASE WHEN n.nspname = 'public' THEN quote_ident(t.typname) ELSE quote_ident(n.nspname) || '.' || \
                quote_ident(t.typname) END";
    format!(
        "SELECT {SCHEMA}, t.typname::text, CASE WHEN t.typtype = 'd' THEN 'DOMAIN' ELSE 'TYPE' END, \
         (SELECT json_agg(e.enumlabel ORDER BY e.enumsortorder) FROM pg_enum e WHERE e.enumtypid = t.oid)::text, \
         CASE t.typtype WHEN 'e' THEN 'CREATE TYPE ' || {name} || ' AS ENUM (' || coalesce((SELECT \
         string_agg(quote_literal(e.enumlabel), ', ' ORDER BY e.enumsortorder) FROM pg_enum e WHERE e.enumtypid = \
         t.oid), '') || ')' \
         WHEN 'd' THEN 'CREATE DOMAIN ' || {name} || ' AS ' || format_type(t.typbasetype, t.typtypmod) || \
         coalesce(' DEFAULT ' || t.typdefault, '') || CASE WHEN t.typnotnull THEN ' NOT NULL' ELSE '' END || \
         coalesce((SELECT string_agg(' CONSTRAINT ' || quote_ident(k.conname) || ' ' || pg_get_constraintdef(k.oid), '' \
         ORDER BY k.conname) FROM pg_constraint k WHERE k.contypid = t.oid AND k.contype = 'c'), '') \
         WHEN 'c' THEN 'CREATE TYPE ' || {name} || ' AS (' || coalesce((SELECT string_agg(quote_ident(a.attname) || ' ' \
         || format_type(a.atttypid, a.atttypmod), ', ' ORDER BY a.attnum) FROM pg_attribute a WHERE a.attrelid = \
         t.typrelid AND a.attnum > 0 AND NOT a.attisdropped), '') || ')' \
         WHEN 'r' THEN 'CREATE TYPE ' || {name} || ' AS RANGE (SUBTYPE = ' || (SELECT format_type(r.rngsubtype, NULL) \
         FROM pg_range r WHERE r.rngtypid = t.oid) || ')' END \
         FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace LEFT JOIN pg_class c ON c.oid = t.typrelid \
         WHERE t.typtype IN ('e', 'd', 'c', 'r') AND (t.typtype <> 'c' OR c.relkind = 'c') AND {OURS} AND {} \
         UNION ALL {} ORDER BY 1 NULLS FIRST, 2",
        not_of_extension("pg_type", "t.oid"),
        collations()
    )
}

/// The locale of an ICU collation stands elsewhere in each version, and rules and determinism came later: what a version
/// does not know, its row does not have.
fn collations() -> String {
    format!(
        "SELECT {SCHEMA}, l.collname::text, 'COLLATION', NULL, 'CREATE COLLATION ' || CASE WHEN n.nspname = 'public' THEN \
         '' ELSE quote_ident(n.nspname) || '.' END || quote_ident(l.collname) || ' (provider = ' || CASE l.collprovider \
         WHEN 'i' THEN 'icu' WHEN 'b' THEN 'builtin' ELSE 'libc' END || CASE WHEN l.collprovider IN ('i', 'b') THEN \
         ', locale = ' || quote_literal(coalesce(j.row ->> 'colllocale', j.row ->> 'colliculocale', \
         l.collcollate::text)) ELSE ', lc_collate = ' || quote_literal(l.collcollate) || ', lc_ctype = ' || \
         quote_literal(l.collctype) END || coalesce(', rules = ' || quote_literal(j.row ->> 'collicurules'), '') || \
         CASE WHEN j.row ->> 'collisdeterministic' = 'false' THEN ', deterministic = false' ELSE '' END || ')' \
         FROM pg_collation l JOIN pg_namespace n ON n.oid = l.collnamespace CROSS JOIN LATERAL (SELECT to_jsonb(l) AS row) \
         j WHERE {OURS} AND {}",
        not_of_extension("pg_collation", "l.oid")
    )
}

/// A row of it.
pub(super) fn read(row: &Row) -> NamedType {
    NamedType {
        schema: some(row, 0),
        name: text(row, 1),
        kind: text(row, 2),
        labels: list(row, 3),
        definition: text(row, 4),
    }
}

/// How the counter of an identity column counts, where it is not as counters do: a list of its options.
pub(super) fn counting() -> &'static str {
    "SELECT json_agg(o.option ORDER BY o.n)::text FROM pg_depend i JOIN pg_sequence s ON s.seqrelid = i.objid, LATERAL \
     (VALUES (1, CASE WHEN s.seqincrement <> 1 THEN 'INCREMENT BY ' || s.seqincrement END), (2, CASE WHEN s.seqmin <> 1 \
     THEN 'MINVALUE ' || s.seqmin END), (3, CASE WHEN s.seqmax NOT IN (32767, 2147483647, 9223372036854775807) THEN \
     'MAXVALUE ' || s.seqmax END), (4, CASE WHEN s.seqstart <> 1 THEN 'START WITH ' || s.seqstart END), (5, CASE WHEN \
     s.seqcache <> 1 THEN 'CACHE ' || s.seqcache END), (6, CASE WHEN s.seqcycle THEN 'CYCLE' END)) o(n, option) WHERE \
     i.classid = 'pg_class'::regclass AND i.refclassid = 'pg_class'::regclass AND i.refobjid = a.attrelid AND \
     i.refobjsubid = a.attnum AND i.deptype = 'i' AND o.option IS NOT NULL"
}
