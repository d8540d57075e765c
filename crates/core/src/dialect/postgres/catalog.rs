//! Reading a whole catalog: its queries, and the reading of their rows. Names are resolved under the pinned search path
//! `public, pg_temp`, so what lives in `public` stands without its schema.

mod beside;
mod beyond;
mod named;

use super::ddl;
use crate::dialect::catalog::{CatalogDialect, Hold, Part, Rendered, list, some, text, truth};
use crate::dialect::{Caps, RowsDialect};
use crate::schema::{
    Catalog, Check, Column, Extension, ForeignKey, Generated, Index, IndexPart, Key, Routine, Rule,
    Sequence, Table, Trigger, View,
};
use crate::value::{Query, Row};
use std::collections::BTreeMap;

/// Relations and types of the server itself, of extensions and of sessions are nobody's schema.
/// `to_regclass` is NULL where the sequence is not there, and then nothing happens: a backup may hold a part only.
const COUNTERS: &str = "SELECT format('SELECT setval(to_regclass(%L), %s, %s)', format('%I.%I', schemaname, sequencename), \
    coalesce(last_value, start_value), (last_value IS NOT NULL)::text) FROM pg_sequences WHERE schemaname NOT LIKE 'pg\\_%' \
    ORDER BY 1";
const OURS: &str =
    "n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_(toast|temp)'";
const SCHEMA: &str = "CASE WHEN n.nspname <> 'public' THEN n.nspname::text END";

fn not_of_extension(class: &str, oid: &str) -> String {
    format!(
        "NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.classid = '{class}'::regclass AND d.objid = {oid} AND \
         d.deptype = 'e')"
    )
}

/// Reading catalogs, and rendering their parts.
#[derive(Debug, Clone, Copy)]
pub struct Catalogs;

fn relations() -> String {
    format!(
        "SELECT {SCHEMA}, c.relname::text, c.relkind::text, c.relpersistence::text, \
         obj_description(c.oid, 'pg_class'), array_to_string(c.reloptions, ', '), c.relrowsecurity, \
         c.relforcerowsecurity, CASE WHEN c.relkind = 'p' THEN pg_get_partkeydef(c.oid) END, \
         CASE WHEN c.relispartition THEN pg_get_expr(c.relpartbound, c.oid) END, \
         (SELECT string_agg(i.inhparent::regclass::text, ', ' ORDER BY i.inhseqno) FROM pg_inherits i WHERE \
         i.inhrelid = c.oid), CASE WHEN c.relkind IN ('v', 'm') THEN pg_get_viewdef(c.oid) END, \
         (SELECT quote_ident(f.srvname) FROM pg_foreign_table ft JOIN pg_foreign_server f ON f.oid = ft.ftserver WHERE \
         ft.ftrelid = c.oid) \
         FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'p', 'f', 'v', 'm') \
         AND {OURS} AND {} ORDER BY 1 NULLS FIRST, 2",
        not_of_extension("pg_class", "c.oid")
    )
}

fn columns() -> String {
    format!(
        "SELECT {SCHEMA}, c.relname::text, a.attname::text, format_type(a.atttypid, a.atttypmod), a.attnotnull, \
         pg_get_expr(d.adbin, d.adrelid), a.attidentity::text, a.attgenerated::text, \
         CASE WHEN a.attcollation <> t.typcollation THEN (SELECT quote_ident(cn.nspname) || '.' || \
         quote_ident(l.collname) FROM pg_collation l JOIN pg_namespace cn ON cn.oid = l.collnamespace WHERE l.oid = \
         a.attcollation) END, col_description(c.oid, a.attnum), b.typtype::text, \
         CASE WHEN t.typtype = 'd' THEN format_type(t.typbasetype, t.typtypmod) END, a.attislocal, \
         CASE WHEN a.attidentity <> '' THEN ({}) END \
         FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace \
         JOIN pg_type t ON t.oid = a.atttypid LEFT JOIN pg_type b ON b.oid = coalesce(nullif(t.typbasetype, 0), t.oid) \
         LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum \
         WHERE c.relkind IN ('r', 'p', 'f') AND a.attnum > 0 AND NOT a.attisdropped AND {OURS} \
         ORDER BY 1 NULLS FIRST, 2, a.attnum",
        named::counting()
    )
}

fn constraints() -> String {
    // Which of its columns a key empties: older servers have no such column.
    let emptied = "CASE WHEN k.confdeltype IN ('n', 'd') THEN (SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY \
         u.n) FROM jsonb_array_elements_text(nullif(to_jsonb(k) -> 'confdelsetcols', 'null')) WITH ORDINALITY u(num, n) \
         JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.num::int2) END";
    // A constraint that a partition has from its root is its root's. NOT NULL stands at the column.
    format!(
        "SELECT {SCHEMA}, c.relname::text, k.conname::text, k.contype::text, pg_get_constraintdef(k.oid), \
         (SELECT json_agg(a.attname ORDER BY u.n) FROM unnest(k.conkey) WITH ORDINALITY u(num, n) JOIN pg_attribute a \
         ON a.attrelid = k.conrelid AND a.attnum = u.num)::text, \
         CASE WHEN fn.nspname <> 'public' THEN fn.nspname::text END, f.relname::text, \
         (SELECT json_agg(a.attname ORDER BY u.n) FROM unnest(k.confkey) WITH ORDINALITY u(num, n) JOIN pg_attribute a \
         ON a.attrelid = k.confrelid AND a.attnum = u.num)::text, k.confdeltype::text, k.confupdtype::text, \
         k.condeferrable, k.condeferred, k.convalidated, k.confmatchtype::text, {emptied}, obj_description(k.oid, \
         'pg_constraint'), CASE WHEN k.contype IN ('p', 'u', 'x') THEN {} END \
         FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace \
         LEFT JOIN pg_class f ON f.oid = k.confrelid LEFT JOIN pg_namespace fn ON fn.oid = f.relnamespace \
         WHERE k.contype IN ('p', 'u', 'f', 'c', 'x') AND k.conparentid = 0 AND k.coninhcount = 0 AND {OURS} \
         ORDER BY 1 NULLS FIRST, 2, 3",
        beside::stored("k.conindid")
    )
}

fn indexes() -> String {
    format!(
        "SELECT {SCHEMA}, c.relname::text, x.relname::text, pg_get_indexdef(i.indexrelid), i.indisunique, \
         i.indisvalid, m.amname::text, pg_get_expr(i.indpred, i.indrelid), obj_description(i.indexrelid, 'pg_class'), \
         (SELECT json_agg(json_build_array(pg_get_indexdef(i.indexrelid, k::int, false), num = 0, \
         (i.indoption[k::int - 1])::int, a.attname, CASE WHEN a.attcollation IS DISTINCT FROM i.indcollation[k::int - 1] \
         THEN (SELECT quote_ident(cn.nspname) || '.' || quote_ident(l.collname) FROM pg_collation l JOIN pg_namespace cn \
         ON cn.oid = l.collnamespace WHERE l.oid = i.indcollation[k::int - 1] AND (a.attnum IS NOT NULL OR l.collname <> \
         'default')) END) ORDER BY k) FROM unnest(i.indkey::int2[]) WITH ORDINALITY u(num, k) LEFT JOIN pg_attribute a ON \
         a.attrelid = i.indrelid AND a.attnum = num AND num > 0 WHERE k <= i.indnkeyatts)::text, {} \
         FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid JOIN pg_class c ON c.oid = i.indrelid \
         JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_am m ON m.oid = x.relam \
         WHERE NOT x.relispartition AND {OURS} AND NOT EXISTS (SELECT 1 FROM pg_constraint k WHERE k.conindid = \
         i.indexrelid AND k.contype IN ('p', 'u', 'x')) ORDER BY 1 NULLS FIRST, 2, 3",
        beside::stored("i.indexrelid")
    )
}

fn triggers(caps: &Caps) -> String {
    let own = if caps.version.0 >= 13 {
        "t.tgparentid = 0 AND"
    } else {
        ""
    };
    format!(
        "SELECT {SCHEMA}, c.relname::text, t.tgname::text, pg_get_triggerdef(t.oid), t.tgenabled::text, \
         obj_description(t.oid, 'pg_trigger') \
         FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace \
         WHERE NOT t.tgisinternal AND {own} {OURS} ORDER BY 1 NULLS FIRST, 2, 3"
    )
}

fn rules() -> String {
    format!(
        "SELECT {SCHEMA}, c.relname::text, 'RULE', r.rulename::text, pg_get_ruledef(r.oid) FROM pg_rewrite r \
         JOIN pg_class c ON c.oid = r.ev_class JOIN pg_namespace n ON n.oid = c.relnamespace \
         WHERE r.rulename <> '_RETURN' AND c.relkind IN ('r', 'p') AND {OURS} \
         UNION ALL SELECT {SCHEMA}, c.relname::text, 'POLICY', p.polname::text, \
         format('CREATE POLICY %I ON %s AS %s FOR %s TO %s%s%s', p.polname, c.oid::regclass, CASE WHEN p.polpermissive \
         THEN 'PERMISSIVE' ELSE 'RESTRICTIVE' END, CASE p.polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' \
         THEN 'UPDATE' WHEN 'd' THEN 'DELETE' ELSE 'ALL' END, coalesce((SELECT string_agg(quote_ident(r.rolname), ', ' \
         ORDER BY r.rolname) FROM pg_roles r WHERE r.oid = ANY (p.polroles)), 'PUBLIC'), \
         ' USING (' || pg_get_expr(p.polqual, c.oid) || ')', ' WITH CHECK (' || pg_get_expr(p.polwithcheck, c.oid) || \
         ')') FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid JOIN pg_namespace n ON n.oid = c.relnamespace \
         WHERE {OURS} ORDER BY 1 NULLS FIRST, 2, 3, 4"
    )
}

fn routines() -> String {
    format!(
        "SELECT {SCHEMA}, p.proname::text, pg_get_function_identity_arguments(p.oid), p.prokind::text, \
         CASE WHEN p.prokind <> 'a' THEN pg_get_functiondef(p.oid) END \
         FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE {OURS} AND {} \
         AND NOT EXISTS (SELECT 1 FROM pg_depend i WHERE i.classid = 'pg_proc'::regclass AND i.objid = p.oid AND \
         i.deptype = 'i') ORDER BY 1 NULLS FIRST, 2, 3",
        not_of_extension("pg_proc", "p.oid")
    )
}

fn sequences() -> String {
    // The sequence of an identity column depends on it internally and is not shown.
    format!(
        "SELECT {SCHEMA}, c.relname::text, format('AS %s INCREMENT BY %s MINVALUE %s MAXVALUE %s START WITH %s CACHE \
         %s%s', format_type(s.seqtypid, NULL), s.seqincrement, s.seqmin, s.seqmax, s.seqstart, s.seqcache, CASE WHEN \
         s.seqcycle THEN ' CYCLE' ELSE '' END), \
         (SELECT o.refobjid::regclass::text || '.' || quote_ident(a.attname) FROM pg_depend o JOIN pg_attribute a ON \
         a.attrelid = o.refobjid AND a.attnum = o.refobjsubid WHERE o.classid = 'pg_class'::regclass AND o.objid = \
         c.oid AND o.refclassid = 'pg_class'::regclass AND o.deptype = 'a' LIMIT 1) \
         FROM pg_sequence s JOIN pg_class c ON c.oid = s.seqrelid JOIN pg_namespace n ON n.oid = c.relnamespace \
         WHERE c.relpersistence <> 't' AND {OURS} AND {} AND NOT EXISTS (SELECT 1 FROM pg_depend i WHERE i.classid = \
         'pg_class'::regclass AND i.objid = c.oid AND i.deptype = 'i') ORDER BY 1 NULLS FIRST, 2",
        not_of_extension("pg_class", "c.oid")
    )
}

impl CatalogDialect for Catalogs {
    fn queries(&self, caps: &Caps) -> Vec<Query> {
        [
            relations(),
            columns(),
            constraints(),
            indexes(),
            triggers(caps),
            rules(),
            routines(),
            sequences(),
            named::types(),
            "SELECT e.extname::text, e.extversion FROM pg_extension e WHERE e.extname <> 'plpgsql' ORDER BY 1".into(),
        ]
        .into_iter()
        .map(|sql| Query::new(sql, vec![]))
        .collect()
    }

    fn setting(&self) -> Option<&'static str> {
        // Compiling such queries to machine code takes a hundred times as long as running them.
        Some("SET LOCAL jit = off")
    }
    fn read(&self, _caps: &Caps, answers: &[Vec<Row>]) -> Catalog {
        let [
            relations,
            columns,
            constraints,
            indexes,
            triggers,
            rules,
            routines,
            sequences,
            types,
            extensions,
        ] = answers
        else {
            return Catalog::new("postgres");
        };
        let mut catalog = Catalog::new("postgres");
        let mut tables = BTreeMap::new();
        let mut views = BTreeMap::new();
        for row in relations {
            let key = (some(row, 0), text(row, 1));
            match text(row, 2).as_str() {
                "v" | "m" => drop(views.insert(key, view(row))),
                _ => drop(tables.insert(key, table(row))),
            }
        }
        let of = |row: &Row| (some(row, 0), text(row, 1));
        for row in columns {
            if let Some(table) = tables.get_mut(&of(row)) {
                table.columns.push(column(row));
            }
        }
        for row in constraints {
            if let Some(table) = tables.get_mut(&of(row)) {
                constraint(table, row);
            }
        }
        for row in indexes {
            if let Some(table) = tables.get_mut(&of(row)) {
                let mut index = index(row);
                index.beside = beside::of_index(table, &index.name, row);
                table.indexes.push(index);
            } else if let Some(view) = views.get_mut(&of(row)) {
                view.indexes.push(index(row));
            }
        }
        for row in triggers {
            let trigger = Trigger {
                name: text(row, 2),
                definition: text(row, 3),
                disabled: match text(row, 4).as_str() {
                    "O" => None,
                    "D" => Some("DISABLE".into()),
                    "R" => Some("ENABLE REPLICA".into()),
                    _ => Some("ENABLE ALWAYS".into()),
                },
                beside: beside::of_trigger(row),
            };
            if let Some(table) = tables.get_mut(&of(row)) {
                table.triggers.push(trigger);
            } else if let Some(view) = views.get_mut(&of(row)) {
                view.triggers.push(trigger);
            }
        }
        for row in rules {
            if let Some(table) = tables.get_mut(&of(row)) {
                table.rules.push(Rule {
                    kind: text(row, 2),
                    name: text(row, 3),
                    definition: text(row, 4),
                });
            }
        }
        catalog.tables = tables.into_values().collect();
        catalog.views = views.into_values().collect();
        catalog.routines = routines.iter().map(routine).collect();
        catalog.sequences = sequences
            .iter()
            .map(|row| Sequence {
                schema: some(row, 0),
                name: text(row, 1),
                settings: some(row, 2),
                owned_by: some(row, 3),
            })
            .collect();
        catalog.types = types.iter().map(named::read).collect();
        catalog.extensions = extensions
            .iter()
            .map(|row| Extension {
                name: text(row, 0),
                version: text(row, 1),
            })
            .collect();
        catalog.sort();
        catalog
    }

    fn beyond(&self) -> Option<Query> {
        Some(Query::new(beyond::query(), vec![]))
    }

    fn show(&self, _part: Part<'_>) -> Option<Query> {
        None
    }
    fn read_show(&self, _part: Part<'_>, _rows: &[Row]) -> Option<String> {
        None
    }
    fn reloaded(&self, text: &str) -> String {
        super::introspect::reloaded(text)
    }
    fn is_unfinished(&self, index: &Index) -> bool {
        let attributes = index.attributes.as_deref();
        attributes.is_some_and(|attributes| attributes.ends_with("INVALID"))
    }
    fn auto_named(&self, table: &str, name: &str) -> bool {
        // Long names are cut by the server, so only the ending tells for sure.
        let bare = name.trim_end_matches(|c: char| c.is_ascii_digit());
        let ending = ["_pkey", "_key", "_fkey", "_check", "_excl", "_not_null"]
            .iter()
            .any(|end| bare.ends_with(end));
        ending && (name.starts_with(table) || name.len() >= 60)
    }
    fn foreign_keys_inline(&self) -> bool {
        false
    }
    fn clause(&self, part: Part<'_>) -> String {
        ddl::clause(part)
    }
    fn create(&self, part: Part<'_>) -> Rendered {
        ddl::create(part)
    }
    fn again(&self, part: Part<'_>) -> Rendered {
        ddl::again(part)
    }
    fn drop(&self, part: Part<'_>) -> Rendered {
        ddl::drop(part)
    }
    fn change(&self, from: Part<'_>, to: Part<'_>) -> Rendered {
        ddl::change(from, to)
    }
    fn rebuild(&self, _from: &Table, _to: &Table) -> Option<Vec<String>> {
        None
    }
    fn create_schema(&self, name: &str) -> Option<String> {
        Some(format!("CREATE SCHEMA IF NOT EXISTS {}", ddl::quote(name)))
    }
    fn shape_default(&self, default: &str) -> String {
        // A serial column's sequence is named after the table.
        if default.starts_with("nextval(") {
            "nextval".into()
        } else {
            default.to_owned()
        }
    }
    fn defaults(&self) -> Option<Query> {
        None
    }
    fn take_defaults(&self, _row: &Row) -> Vec<String> {
        vec![]
    }
    fn dump_begin(&self) -> &'static [&'static str] {
        &[
            "SET search_path = public, pg_temp",
            "SET check_function_bodies = off",
        ]
    }
    fn counters(&self) -> Option<&'static str> {
        Some(COUNTERS)
    }
    fn hold(&self, tables: &[(Option<&str>, &str)]) -> Hold {
        let names: Vec<String> = tables
            .iter()
            .map(|(schema, table)| ddl::qualified(*schema, table))
            .collect();
        if names.is_empty() {
            return Hold::default();
        }
        Hold {
            take: vec![format!(
                "LOCK TABLE {} IN ACCESS EXCLUSIVE MODE",
                names.join(", ")
            )],
            ..Hold::default()
        }
    }
    fn end_tools(&self) -> Option<&'static str> {
        Some(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() \
             AND usename = current_user AND application_name = 'dunlin restore' AND pid <> pg_backend_pid()",
        )
    }
    fn part(&self) -> Option<[&'static str; 3]> {
        Some([
            "SAVEPOINT dunlin_part",
            "RELEASE SAVEPOINT dunlin_part",
            "ROLLBACK TO SAVEPOINT dunlin_part",
        ])
    }
    fn keys_hold_tables(&self) -> bool {
        true
    }
    fn dump_end(&self) -> &'static [&'static str] {
        &[]
    }
}

fn view(row: &Row) -> View {
    View {
        schema: some(row, 0),
        name: text(row, 1),
        materialized: text(row, 2) == "m",
        definition: ddl::create_view(
            some(row, 0).as_deref(),
            &text(row, 1),
            text(row, 2) == "m",
            some(row, 5).as_deref(),
            &text(row, 11),
        ),
        comment: some(row, 4),
        ..View::default()
    }
}

fn table(row: &Row) -> Table {
    let mut options = BTreeMap::new();
    let mut put = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            options.insert(name.to_owned(), value);
        }
    };
    put("unlogged", (text(row, 3) == "u").then(|| "true".into()));
    put("with", some(row, 5));
    put(
        "row_security",
        truth(row, 6).then(|| if truth(row, 7) { "forced" } else { "enabled" }.to_owned()),
    );
    put("partition_by", some(row, 8));
    put("partition", some(row, 9));
    put("inherits", some(row, 10));
    put("server", some(row, 12));
    Table {
        schema: some(row, 0),
        name: text(row, 1),
        options,
        comment: some(row, 4),
        ..Table::default()
    }
}

fn column(row: &Row) -> Column {
    let native = text(row, 3);
    // What a domain means is what its base type means.
    let neutral =
        super::rows::Rows.neutral(some(row, 11).as_deref().unwrap_or(&native), &text(row, 10));
    let expression = some(row, 5);
    let generated = text(row, 7);
    let (default, generated) = if generated.is_empty() {
        (expression, None)
    } else {
        (
            None,
            Some(Generated {
                expression: expression.unwrap_or_default(),
                stored: generated == "s",
            }),
        )
    };
    Column {
        name: text(row, 2),
        native,
        neutral,
        nullable: !truth(row, 4),
        default,
        generated,
        identity: match text(row, 6).as_str() {
            "a" => Some("ALWAYS".into()),
            "d" => Some("BY DEFAULT".into()),
            _ => None,
        },
        counting: list(row, 13),
        on_update: None,
        collation: some(row, 8),
        attributes: (!truth(row, 12)).then(|| "INHERITED".into()),
        comment: some(row, 9),
    }
}

fn action(code: &str) -> Option<String> {
    match code {
        "r" => Some("RESTRICT".into()),
        "c" => Some("CASCADE".into()),
        "n" => Some("SET NULL".into()),
        "d" => Some("SET DEFAULT".into()),
        _ => None,
    }
}

fn constraint(table: &mut Table, row: &Row) {
    let name = Some(text(row, 2));
    let definition = text(row, 4);
    let beside = beside::of_constraint(table, row);
    match text(row, 3).as_str() {
        kind @ ("p" | "u") => {
            let columns = list(row, 5);
            let quoted: Vec<String> = columns
                .iter()
                .map(|column| ddl::quote_if_needed(column))
                .collect();
            let word = if kind == "p" { "PRIMARY KEY" } else { "UNIQUE" };
            let plain = format!("{word} ({})", quoted.join(", "));
            let clause = (definition != plain).then_some(definition);
            table.keys.push(Key {
                name,
                primary: kind == "p",
                columns,
                clause,
                beside,
            });
        }
        "f" => {
            let mut attributes = vec![];
            if text(row, 14) == "f" {
                attributes.push("MATCH FULL");
            }
            if truth(row, 11) {
                attributes.push("DEFERRABLE");
            }
            if truth(row, 12) {
                attributes.push("INITIALLY DEFERRED");
            }
            if !truth(row, 13) {
                attributes.push("NOT VALID");
            }
            table.foreign_keys.push(ForeignKey {
                name,
                columns: list(row, 5),
                references_schema: some(row, 6),
                references: text(row, 7),
                references_columns: list(row, 8),
                on_delete: action(&text(row, 9)).map(|action| match some(row, 15) {
                    Some(columns) => format!("{action} ({columns})"),
                    None => action,
                }),
                on_update: action(&text(row, 10)),
                attributes: (!attributes.is_empty()).then(|| attributes.join(" ")),
                beside,
            });
        }
        _ => table.checks.push(Check {
            name,
            clause: definition,
            beside,
        }),
    }
}

fn index(row: &Row) -> Index {
    let definition = text(row, 3);
    // From the method on, the definition holds everything but names: classes, collations, INCLUDE, WITH, WHERE.
    let mut attributes = definition
        .find(" USING ")
        .map(|at| definition[at + 1..].to_owned());
    if !truth(row, 5)
        && let Some(attributes) = &mut attributes
    {
        attributes.push_str(" INVALID");
    }
    type Raw = (String, bool, i64, Option<String>, Option<String>);
    let parts: Vec<Raw> = serde_json::from_str(&text(row, 9)).unwrap_or_default();
    Index {
        name: text(row, 2),
        parts: parts
            .into_iter()
            .map(|(what, expression, options, column, collation)| IndexPart {
                what: column.unwrap_or(what),
                expression,
                descending: options & 1 == 1,
                length: None,
                collation,
            })
            .collect(),
        unique: truth(row, 4),
        method: some(row, 6).filter(|method| method != "btree"),
        predicate: some(row, 7),
        attributes,
        comment: some(row, 8),
        definition: Some(definition),
        ..Index::default()
    }
}

fn routine(row: &Row) -> Routine {
    Routine {
        schema: some(row, 0),
        name: text(row, 1),
        arguments: Some(text(row, 2)),
        kind: match text(row, 3).as_str() {
            "p" => "PROCEDURE".into(),
            "a" => "AGGREGATE".into(),
            _ => "FUNCTION".into(),
        },
        definition: some(row, 4),
    }
}
