//! Questions that settle a doubt: whether a condition holds, and what an object looks like.
//!
//! Unqualified names are resolved by the session's `search_path`, through `to_regclass` and its kin, which answer NULL
//! (and no error) where there is nothing.

use super::ddl::quote;
use super::types;
use crate::sql::{Condition, ObjectKind, ObjectRef, Unwritten};
use crate::value::{Query, Row, Value};

/// A name as `to_regclass` takes it: quoted, with its schema where one is known.
fn qualified(schema: Option<&str>, name: &str) -> String {
    match schema {
        Some(schema) => format!("{}.{}", quote(schema), quote(name)),
        None => quote(name),
    }
}

fn name_of(object: &ObjectRef) -> Value {
    qualified(object.schema.as_deref(), &object.name).into()
}

fn parent_of(object: &ObjectRef) -> Option<Value> {
    Some(qualified(object.schema.as_deref(), object.parent.as_deref()?).into())
}

fn relation(object: &ObjectRef, kinds: &str) -> (String, Vec<Value>) {
    (
        format!(
            "SELECT 1 FROM pg_class c WHERE c.oid = to_regclass($1::text) AND c.relkind IN ({kinds})"
        ),
        vec![name_of(object)],
    )
}

/// Objects that live in a schema without being relations: by schema where one is named, else by visibility.
fn routine(object: &ObjectRef, kinds: &str) -> (String, Vec<Value>) {
    (
        format!(
            "SELECT 1 FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE p.proname = $1::text AND \
             p.prokind IN ({kinds}) AND CASE WHEN $2::text IS NULL THEN pg_function_is_visible(p.oid) \
             ELSE n.nspname = $2::text END"
        ),
        vec![object.name.as_str().into(), object.schema.as_deref().into()],
    )
}

/// A sub-select that gives rows where the object is there. `valid`: an index must also be usable.
fn rows_of(object: &ObjectRef, valid: bool) -> Option<(String, Vec<Value>)> {
    let name = || Value::from(object.name.as_str());
    Some(match object.kind {
        ObjectKind::Table => relation(object, "'r', 'p', 'f'"),
        ObjectKind::View => relation(object, "'v'"),
        ObjectKind::MaterializedView => relation(object, "'m'"),
        ObjectKind::Sequence => relation(object, "'S'"),
        ObjectKind::Index => {
            let usable = if valid { " AND i.indisvalid" } else { "" };
            (
                format!("SELECT 1 FROM pg_index i WHERE i.indexrelid = to_regclass($1::text){usable}"),
                vec![name_of(object)],
            )
        }
        ObjectKind::Column => (
            "SELECT 1 FROM pg_attribute a WHERE a.attrelid = to_regclass($1::text) AND a.attname = $2::text AND \
             a.attnum > 0 AND NOT a.attisdropped"
                .into(),
            vec![parent_of(object)?, name()],
        ),
        ObjectKind::Constraint => match parent_of(object) {
            Some(parent) => (
                "SELECT 1 FROM pg_constraint c WHERE (c.conrelid = to_regclass($1::text) OR (c.contypid <> 0 AND \
                 c.contypid = to_regtype($1::text))) AND c.conname = $2::text"
                    .into(),
                vec![parent, name()],
            ),
            None => (
                "SELECT 1 FROM pg_constraint c JOIN pg_namespace n ON n.oid = c.connamespace WHERE c.conname = \
                 $1::text AND n.nspname = coalesce($2::text, current_schema())"
                    .into(),
                vec![name(), object.schema.as_deref().into()],
            ),
        },
        ObjectKind::Trigger => match parent_of(object) {
            Some(parent) => (
                "SELECT 1 FROM pg_trigger t WHERE t.tgrelid = to_regclass($1::text) AND t.tgname = $2::text AND NOT \
                 t.tgisinternal"
                    .into(),
                vec![parent, name()],
            ),
            None => (
                "SELECT 1 FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid WHERE t.tgname = $1::text AND NOT \
                 t.tgisinternal AND pg_table_is_visible(c.oid)"
                    .into(),
                vec![name()],
            ),
        },
        ObjectKind::Function => routine(object, "'f', 'w', 'a'"),
        ObjectKind::Procedure => routine(object, "'p'"),
        ObjectKind::Type => {
            ("SELECT 1 FROM pg_type t WHERE t.oid = to_regtype($1::text)".into(), vec![name_of(object)])
        }
        ObjectKind::EnumValue => (
            "SELECT 1 FROM pg_enum e WHERE e.enumtypid = to_regtype($1::text) AND e.enumlabel = $2::text".into(),
            vec![parent_of(object)?, name()],
        ),
        ObjectKind::Schema => ("SELECT 1 FROM pg_namespace n WHERE n.nspname = $1::text".into(), vec![name()]),
        ObjectKind::Database => ("SELECT 1 FROM pg_database d WHERE d.datname = $1::text".into(), vec![name()]),
        ObjectKind::Extension => ("SELECT 1 FROM pg_extension e WHERE e.extname = $1::text".into(), vec![name()]),
        ObjectKind::Event | ObjectKind::Other => return None,
    })
}

/// Whether a column that was added holds what a new row gets, in every row.
fn unwritten(added: &Unwritten) -> Option<Query> {
    let table = added.column.parent.as_deref()?;
    let name = qualified(added.column.schema.as_deref(), table);
    let column = quote(&added.column.name);
    let default = added.default.as_deref().unwrap_or("NULL");
    let sql = if added.is_constant() {
        format!(
            "SELECT NOT EXISTS (SELECT 1 FROM {name} WHERE {column} IS DISTINCT FROM ({default}))"
        )
    } else {
        // What rows got when the column was made is one value; a second one was written.
        format!("SELECT count(DISTINCT {column}) < 2 FROM {name}")
    };
    Some(Query::new(sql, vec![]))
}

/// A query that answers one boolean. An index exists only when it is valid, and is missing only when there is not
/// even an invalid one of its name: in between, [`invalid_index`] tells.
pub fn condition(condition: &Condition) -> Option<Query> {
    match condition {
        Condition::Exists(object) => {
            let (rows, params) = rows_of(object, true)?;
            Some(Query::new(format!("SELECT EXISTS ({rows})"), params))
        }
        Condition::Missing(object) => {
            let (rows, params) = rows_of(object, false)?;
            Some(Query::new(format!("SELECT NOT EXISTS ({rows})"), params))
        }
        Condition::Empty(object) => {
            let name = qualified(object.schema.as_deref(), &object.name);
            Some(Query::new(
                format!("SELECT NOT EXISTS (SELECT 1 FROM {name})"),
                vec![],
            ))
        }
        Condition::Rows(object, count) => {
            let name = qualified(object.schema.as_deref(), &object.name);
            let sql = format!("SELECT count(*) = $1::bigint FROM {name}");
            Some(Query::new(
                sql,
                vec![Value::Int(i64::try_from(*count).ok()?)],
            ))
        }
        Condition::Unwritten(added) => unwritten(added),
        Condition::ColumnType(object, declared) => {
            let (base, modifier) = types::split_declared(declared)?;
            Some(Query::new(
                "SELECT EXISTS (SELECT 1 FROM pg_attribute a WHERE a.attrelid = to_regclass($1::text) AND \
                 a.attname = $2::text AND NOT a.attisdropped AND a.atttypid = to_regtype($3::text) AND \
                 coalesce(substring(format_type(a.atttypid, a.atttypmod) from '\\([^)]*\\)'), '') = $4::text)",
                vec![
                    parent_of(object)?,
                    object.name.as_str().into(),
                    base.into(),
                    modifier.into(),
                ],
            ))
        }
        Condition::Body(object, text) => {
            let (rows, mut params) = match object.kind {
                ObjectKind::Function | ObjectKind::Procedure => routine(object, "'f', 'p', 'w'"),
                // A trigger of PostgreSQL has no body; what it calls is in its definition.
                _ => return None,
            };
            params.push(text.as_str().into());
            // The text may be the body or the whole statement: the stored source stands in either. A routine with a
            // body in standard SQL is stored as a tree, and no source is left to compare.
            Some(Query::new(
                format!(
                    "SELECT EXISTS ({rows} AND p.prosrc <> '' AND position(p.prosrc in $3::text) > 0)"
                ),
                params,
            ))
        }
    }
}

/// Indexes that an interrupted build left invalid: an index of this name and the temporary ones of its
/// `REINDEX CONCURRENTLY`; of a table, a schema or a database all temporary ones. Columns: schema, name, the statement
/// that drops it.
pub fn invalid_index(object: &ObjectRef) -> Option<Query> {
    let name = || Value::from(object.name.as_str());
    let leftovers = |within: &str, name| {
        let sql = format!("{INVALID} AND {TEMPORARY} AND {within} ORDER BY 1, 2");
        Some(Query::new(sql, vec![name]))
    };
    match object.kind {
        ObjectKind::Index => Some(Query::new(
            format!(
                "{INVALID} AND (c.relname = $1::text OR (left(c.relname, length($1::text)) = $1::text AND \
                 substr(c.relname, length($1::text) + 1) ~ '^_cc(new|old)[0-9]*$')) AND CASE WHEN $2::text IS NULL \
                 THEN pg_table_is_visible(c.oid) ELSE n.nspname = $2::text END ORDER BY 1, 2"
            ),
            vec![name(), object.schema.as_deref().into()],
        )),
        ObjectKind::Table => leftovers(
            "coalesce(o.oid, t.oid) IN (SELECT relid FROM pg_partition_tree(to_regclass($1::text)) \
             UNION SELECT to_regclass($1::text))",
            name_of(object),
        ),
        ObjectKind::Schema => leftovers(
            "coalesce(o.relnamespace, t.relnamespace) = to_regnamespace(quote_ident($1::text))",
            name(),
        ),
        // No other database can be rebuilt from here.
        ObjectKind::Database => leftovers("$1::text IS NOT NULL", name()),
        _ => None,
    }
}

/// Unusable indexes, with the table that they are of and the one whose large values that table holds.
const INVALID: &str = "SELECT n.nspname::text, c.relname::text, format('DROP INDEX CONCURRENTLY IF EXISTS %I.%I', \
    n.nspname, c.relname) FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_namespace n ON n.oid = \
    c.relnamespace JOIN pg_class t ON t.oid = i.indrelid LEFT JOIN pg_class o ON o.reltoastrelid = t.oid \
    WHERE NOT i.indisvalid AND c.relkind = 'i'";

/// What a concurrent rebuild makes for a time: beside an index whose name (cut where it is long) its own begins with.
const TEMPORARY: &str = "c.relname ~ '_cc(new|old)[0-9]*$' AND EXISTS (SELECT 1 FROM pg_index s JOIN pg_class b ON \
    b.oid = s.indexrelid WHERE s.indrelid = i.indrelid AND s.indexrelid <> i.indexrelid AND \
    left(b.relname, length(regexp_replace(c.relname, '_cc(new|old)[0-9]*$', ''))) = \
    regexp_replace(c.relname, '_cc(new|old)[0-9]*$', ''))";

/// The catalog text of a relation: everything that a statement could have changed, and nothing that rows change.
const RELATION: &str = "SELECT c.relkind::text, c.relpersistence::text, pg_get_userbyid(c.relowner)::text, \
    c.relacl::text, c.reloptions::text, c.relrowsecurity, c.relforcerowsecurity, c.relreplident::text, \
    c.reltablespace::text, obj_description(c.oid, 'pg_class'), \
    pg_get_expr(c.relpartbound, c.oid), \
    (SELECT string_agg(i.inhparent::regclass::text, ',' ORDER BY i.inhseqno) FROM pg_inherits i \
        WHERE i.inhrelid = c.oid), \
    (SELECT string_agg(concat_ws(' ', quote_ident(a.attname), format_type(a.atttypid, a.atttypmod), a.attnotnull, \
        a.attidentity, a.attgenerated, a.attcollation, a.attstorage, a.attacl, a.attoptions, \
        pg_get_expr(d.adbin, d.adrelid), col_description(c.oid, a.attnum)), E'\\n' ORDER BY a.attnum) \
        FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum \
        WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped), \
    (SELECT string_agg(quote_ident(k.conname) || ' ' || pg_get_constraintdef(k.oid), E'\\n' ORDER BY k.conname) \
        FROM pg_constraint k WHERE k.conrelid = c.oid), \
    (SELECT string_agg(concat_ws(' ', pg_get_indexdef(i.indexrelid), i.indisvalid, i.indisready, i.indisclustered, \
        i.indisreplident), E'\\n' ORDER BY i.indexrelid::regclass::text) FROM pg_index i WHERE i.indrelid = c.oid), \
    (SELECT string_agg(pg_get_triggerdef(t.oid) || ' ' || t.tgenabled::text, E'\\n' ORDER BY t.tgname) \
        FROM pg_trigger t WHERE t.tgrelid = c.oid AND NOT t.tgisinternal), \
    (SELECT string_agg(pg_get_ruledef(r.oid), E'\\n' ORDER BY r.rulename) FROM pg_rewrite r \
        WHERE r.ev_class = c.oid), \
    (SELECT string_agg(concat_ws(' ', p.polname, p.polcmd, p.polpermissive, p.polroles, \
        pg_get_expr(p.polqual, c.oid), pg_get_expr(p.polwithcheck, c.oid)), E'\\n' ORDER BY p.polname) \
        FROM pg_policy p WHERE p.polrelid = c.oid), \
    (SELECT concat_ws(' ', s.seqtypid, s.seqstart, s.seqincrement, s.seqmax, s.seqmin, s.seqcache, s.seqcycle) \
        FROM pg_sequence s WHERE s.seqrelid = c.oid) \
    FROM pg_class c WHERE c.oid = to_regclass($1::text)";

const TYPE: &str = "SELECT t.typname::text, t.typtype::text, pg_get_userbyid(t.typowner)::text, t.typacl::text, \
    t.typnotnull, format_type(t.typbasetype, t.typtypmod), t.typdefault, \
    (SELECT string_agg(quote_literal(e.enumlabel), ',' ORDER BY e.enumsortorder) FROM pg_enum e \
        WHERE e.enumtypid = t.oid), \
    (SELECT string_agg(quote_ident(k.conname) || ' ' || pg_get_constraintdef(k.oid), E'\\n' ORDER BY k.conname) \
        FROM pg_constraint k WHERE k.contypid = t.oid), \
    (SELECT string_agg(quote_ident(a.attname) || ' ' || format_type(a.atttypid, a.atttypmod), ',' \
        ORDER BY a.attnum) FROM pg_attribute a WHERE a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped) \
    FROM pg_type t WHERE t.oid = to_regtype($1::text)";

const ROUTINE: &str = "SELECT p.oid::text, pg_get_functiondef(p.oid), pg_get_userbyid(p.proowner)::text, \
    p.proacl::text FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE p.proname = $1::text AND \
    p.prokind IN ('f', 'p', 'w') AND CASE WHEN $2::text IS NULL THEN pg_function_is_visible(p.oid) ELSE n.nspname = \
    $2::text END ORDER BY p.oid";

/// A query whose rows are the object's catalog fingerprint; no rows where it is absent.
pub fn fingerprint(object: &ObjectRef) -> Option<Query> {
    let name = || Value::from(object.name.as_str());
    Some(match object.kind {
        ObjectKind::Table
        | ObjectKind::View
        | ObjectKind::MaterializedView
        | ObjectKind::Index
        | ObjectKind::Sequence => Query::new(RELATION, vec![name_of(object)]),
        ObjectKind::Column | ObjectKind::Constraint | ObjectKind::Trigger => {
            Query::new(RELATION, vec![parent_of(object)?])
        }
        ObjectKind::Type => Query::new(TYPE, vec![name_of(object)]),
        ObjectKind::EnumValue => Query::new(TYPE, vec![parent_of(object)?]),
        ObjectKind::Function | ObjectKind::Procedure => {
            Query::new(ROUTINE, vec![name(), object.schema.as_deref().into()])
        }
        ObjectKind::Schema => Query::new(
            "SELECT n.nspname::text, pg_get_userbyid(n.nspowner)::text, n.nspacl::text FROM pg_namespace n WHERE \
             n.nspname = $1::text",
            vec![name()],
        ),
        ObjectKind::Database => Query::new(
            "SELECT d.oid::text, d.datname::text, pg_get_userbyid(d.datdba)::text, d.datacl::text, d.datconnlimit, \
             d.datallowconn, (SELECT string_agg(s.setconfig::text, ',' ORDER BY s.setrole) FROM pg_db_role_setting s \
             WHERE s.setdatabase = d.oid) FROM pg_database d WHERE d.datname = $1::text",
            vec![name()],
        ),
        ObjectKind::Extension => Query::new(
            "SELECT e.extname::text, e.extversion, n.nspname::text FROM pg_extension e JOIN pg_namespace n ON n.oid = \
             e.extnamespace WHERE e.extname = $1::text",
            vec![name()],
        ),
        ObjectKind::Event | ObjectKind::Other => return None,
    })
}

/// The text of a fingerprint's rows.
pub fn read_fingerprint(rows: &[Row]) -> Option<String> {
    crate::dialect::rows_text(rows)
}
