//! What a database holds, as text: its catalog and every row of every table, without the journal.

use super::Engine;
use crate::TestDatabase;
use crate::database::TextRow;

/// The lines of catalog and content, sorted within each query. Names of the database itself are replaced, since each
/// round has a database of its own.
pub fn dump(engine: Engine, database: &TestDatabase) -> Result<Vec<String>, String> {
    let mut lines = vec![];
    let mut tables: Vec<(String, Vec<String>)> = vec![];
    for row in database.try_run(catalog(engine))? {
        let cell = |at: usize| row.get(at).cloned().flatten().unwrap_or_default();
        if cell(0) == "column" {
            // A server gives a table's columns in whatever order its plan has them, others' in between: a table that was
            // taken for two would be read twice.
            match tables.iter_mut().find(|(table, _)| *table == cell(1)) {
                Some((_, columns)) => columns.push(cell(2)),
                None => tables.push((cell(1), vec![cell(2)])),
            }
        }
        lines.push(line(&row).replace(database.name(), "DB"));
    }
    if tables.is_empty() {
        return Ok(lines);
    }
    // In pieces: SQLite takes 500 terms of a compound select.
    for group in tables.chunks(100) {
        let contents: Vec<String> = group
            .iter()
            .map(|(table, columns)| content(engine, table, columns))
            .collect();
        let mut rows: Vec<String> = database
            .try_run(&contents.join(" UNION ALL "))?
            .iter()
            .map(line)
            .collect();
        rows.sort();
        lines.append(&mut rows);
    }
    Ok(lines)
}

fn line(row: &TextRow) -> String {
    row.iter()
        .map(|cell| cell.as_deref().unwrap_or("␀"))
        .collect::<Vec<_>>()
        .join(" | ")
}

/// One query for all rows of a table, each as one text.
fn content(engine: Engine, table: &str, columns: &[String]) -> String {
    match engine {
        Engine::Sqlite => {
            let cells: Vec<_> = columns
                .iter()
                .map(|column| format!("quote(\"{column}\")"))
                .collect();
            format!(
                "SELECT 'row', '{table}', {} FROM \"{table}\"",
                cells.join(" || ',' || ")
            )
        }
        Engine::Postgres => format!("SELECT 'row', '{table}', t::text FROM {table} t"),
        Engine::Mariadb | Engine::Mysql => {
            let cells: Vec<_> = columns
                .iter()
                .map(|column| format!("QUOTE(`{column}`)"))
                .collect();
            format!(
                "SELECT 'row', '{table}', CONCAT_WS(',', {}) FROM `{table}`",
                cells.join(", ")
            )
        }
    }
}

/// Everything in the catalog that a migration can make; columns (`column`, table, name, …) in the table's order.
fn catalog(engine: Engine) -> &'static str {
    match engine {
        Engine::Sqlite => {
            "SELECT 'column', m.name, c.name, c.type, c.\"notnull\", c.dflt_value, c.pk, c.hidden FROM sqlite_schema m, \
             pragma_table_xinfo(m.name) c WHERE m.type = 'table' AND m.name NOT GLOB 'dunlin_*' AND m.name NOT GLOB \
             'sqlite_*' AND m.name NOT GLOB 'text*_*' AND c.hidden <> 1 UNION ALL SELECT m.type, m.name, m.tbl_name, m.sql, \
             NULL, NULL, NULL, NULL FROM sqlite_schema m WHERE m.name NOT GLOB 'dunlin_*' AND m.tbl_name NOT GLOB 'dunlin_*' \
             AND m.name NOT GLOB 'sqlite_*' UNION ALL SELECT 'version', user_version, NULL, NULL, NULL, NULL, NULL, NULL FROM \
             pragma_user_version"
        }
        Engine::Postgres => POSTGRES,
        Engine::Mariadb | Engine::Mysql => MYSQL,
    }
}

const POSTGRES: &str = "SELECT 'column', c.oid::regclass::text, a.attname::text, format_type(a.atttypid, a.atttypmod) || ' ' || \
    a.attnotnull || ' ' || coalesce(pg_get_expr(d.adbin, d.adrelid), '') FROM pg_class c JOIN pg_attribute a ON a.attrelid = \
    c.oid AND a.attnum > 0 AND NOT a.attisdropped LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum WHERE \
    c.relkind IN ('r', 'm') AND c.relnamespace::regnamespace::text !~ '^(pg_|information_schema)' AND c.relname !~ '^dunlin_' \
    UNION ALL SELECT 'index', c.oid::regclass::text, pg_get_indexdef(c.oid), i.indisvalid::text FROM pg_class c JOIN pg_index i \
    ON i.indexrelid = c.oid WHERE c.relnamespace::regnamespace::text !~ '^(pg_|information_schema)' AND c.relname !~ '^dunlin_' \
    UNION ALL SELECT 'relation', c.oid::regclass::text, c.relkind::text || c.relpersistence::text, CASE WHEN c.relkind IN ('v', \
    'm') THEN pg_get_viewdef(c.oid) END FROM pg_class c WHERE c.relkind IN ('r', 'v', 'm', 'S', 'p') AND \
    c.relnamespace::regnamespace::text !~ '^(pg_|information_schema)' AND c.relname !~ '^dunlin_' \
    UNION ALL SELECT 'constraint', k.conrelid::regclass::text, k.conname::text, pg_get_constraintdef(k.oid) FROM pg_constraint k \
    WHERE k.connamespace::regnamespace::text !~ '^(pg_|information_schema)' AND k.conrelid::regclass::text !~ '^dunlin_' \
    UNION ALL SELECT 'trigger', t.tgrelid::regclass::text, t.tgname::text, pg_get_triggerdef(t.oid) FROM pg_trigger t WHERE NOT \
    t.tgisinternal \
    UNION ALL SELECT 'routine', p.oid::regprocedure::text, pg_get_functiondef(p.oid), '' FROM pg_proc p WHERE p.prokind IN ('f', \
    'p') AND p.pronamespace::regnamespace::text !~ '^(pg_|information_schema)' \
    UNION ALL SELECT 'enum', e.enumtypid::regtype::text, string_agg(e.enumlabel::text, ',' ORDER BY e.enumsortorder), '' FROM \
    pg_enum e GROUP BY e.enumtypid \
    UNION ALL SELECT 'schema', n.nspname::text, '', '' FROM pg_namespace n WHERE n.nspname !~ '^(pg_|information_schema)'";

const MYSQL: &str = "SELECT * FROM (SELECT 'column' AS kind, TABLE_NAME AS of_table, COLUMN_NAME AS name, CONCAT_WS(' ', \
    LPAD(ORDINAL_POSITION, 3, '0'), COLUMN_TYPE, IS_NULLABLE, QUOTE(COLUMN_DEFAULT), COLLATION_NAME, EXTRA, COLUMN_KEY) AS more \
    FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = DATABASE() \
    UNION ALL SELECT 'index', TABLE_NAME, INDEX_NAME, GROUP_CONCAT(CONCAT_WS(' ', COLUMN_NAME, NON_UNIQUE, INDEX_TYPE, SUB_PART) \
    ORDER BY SEQ_IN_INDEX) FROM information_schema.STATISTICS WHERE TABLE_SCHEMA = DATABASE() GROUP BY TABLE_NAME, INDEX_NAME \
    UNION ALL SELECT 'table', TABLE_NAME, TABLE_TYPE, CONCAT_WS(' ', ENGINE, TABLE_COLLATION, CREATE_OPTIONS, TABLE_COMMENT) FROM \
    information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE() \
    UNION ALL SELECT 'view', TABLE_NAME, '', VIEW_DEFINITION FROM information_schema.VIEWS WHERE TABLE_SCHEMA = DATABASE() \
    UNION ALL SELECT 'constraint', TABLE_NAME, CONSTRAINT_NAME, CONSTRAINT_TYPE FROM information_schema.TABLE_CONSTRAINTS WHERE \
    TABLE_SCHEMA = DATABASE() \
    UNION ALL SELECT 'key', TABLE_NAME, CONSTRAINT_NAME, CONCAT_WS(' ', COLUMN_NAME, REFERENCED_TABLE_NAME, \
    REFERENCED_COLUMN_NAME) FROM information_schema.KEY_COLUMN_USAGE WHERE TABLE_SCHEMA = DATABASE() \
    UNION ALL SELECT 'trigger', EVENT_OBJECT_TABLE, TRIGGER_NAME, CONCAT_WS(' ', ACTION_TIMING, EVENT_MANIPULATION, \
    ACTION_STATEMENT) FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = DATABASE() \
    UNION ALL SELECT 'routine', ROUTINE_NAME, ROUTINE_TYPE, ROUTINE_DEFINITION FROM information_schema.ROUTINES WHERE \
    ROUTINE_SCHEMA = DATABASE() \
    UNION ALL SELECT 'event', EVENT_NAME, STATUS, EVENT_DEFINITION FROM information_schema.EVENTS WHERE EVENT_SCHEMA = \
    DATABASE()) AS everything WHERE of_table NOT LIKE 'dunlin\\_%' ORDER BY 1, 2, 4, 3";
