//! The journal's and the lease's SQL on PostgreSQL.

use super::ddl::quote;
use crate::dialect::journal::{append_head, count_unrecorded};
use crate::dialect::{JournalNames, JournalSql, LeaseSql, Mark, UndoSql};

fn table(names: &JournalNames, name: &str) -> String {
    let schema = names.schema.as_deref().unwrap_or("public");
    format!(
        "{}.{}",
        quote(schema),
        quote(&format!("{}{name}", names.prefix))
    )
}

/// The table of undo images.
fn undo(names: &JournalNames) -> UndoSql {
    let undo = table(names, "undo");
    UndoSql {
        create: format!(
            "CREATE TABLE IF NOT EXISTS {undo} (unit text NOT NULL, batch bigint NOT NULL, run text NOT NULL, image bytea NOT \
                 NULL, PRIMARY KEY (unit, batch))"
        ),
        append: format!(
            "INSERT INTO {undo} (run, unit, batch, image) VALUES ($1::text, $2::text, $3::bigint, $4::bytea)"
        ),
        read: format!("SELECT image FROM {undo} WHERE unit = $1::text AND batch = $2::bigint"),
    }
}

/// The journal's SQL.
pub fn sql(names: &JournalNames) -> JournalSql {
    let [journal, fence, lease] = ["journal", "fence", "lease"].map(|name| table(names, name));
    let columns = "id, run, at, event, unit, stmt, hash, detail";
    JournalSql {
        undo: undo(names),
        restoring: Mark {
            name: format!("{}restoring", names.prefix),
            create: format!(
                "CREATE TABLE IF NOT EXISTS {} (id integer PRIMARY KEY)",
                table(names, "restoring")
            ),
            drop: format!("DROP TABLE IF EXISTS {}", table(names, "restoring")),
        },
        create: vec![
            format!(
                "CREATE TABLE IF NOT EXISTS {fence} (id integer PRIMARY KEY CHECK (id = 1), token bigint NOT NULL, \
                 format integer NOT NULL, identity text NOT NULL)"
            ),
            format!(
                "CREATE TABLE IF NOT EXISTS {lease} (id integer PRIMARY KEY CHECK (id = 1), token bigint NOT NULL, \
                 holder text NOT NULL, since text NOT NULL, beat_at timestamptz NOT NULL)"
            ),
            format!(
                "CREATE TABLE IF NOT EXISTS {journal} (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, \
                 run text NOT NULL, at text NOT NULL, event text NOT NULL, scope text NOT NULL, unit text, \
                 stmt integer, hash text, detail text NOT NULL, token bigint NOT NULL)"
            ),
        ],
        read: format!(
            "SELECT 0::bigint AS id, ''::text AS run, ''::text AS at, 'fence'::text AS event, NULL::text AS unit, \
             format AS stmt, token::text AS hash, identity AS detail FROM {fence} WHERE id = 1 \
             UNION ALL SELECT {columns} FROM {journal} WHERE scope IN ('run', 'unit')"
        ),
        read_unit: format!("SELECT {columns} FROM {journal} WHERE unit = $1 AND scope = 'stmt' ORDER BY id"),
        read_orders: format!("SELECT {columns} FROM {journal} WHERE unit = $1 AND scope = 'plan' ORDER BY id"),
        read_plans: format!("SELECT {columns} FROM {journal} WHERE scope = 'plan' ORDER BY id"),
        read_runs: format!("SELECT {columns} FROM {journal} WHERE scope = 'run' ORDER BY id"),
        count_unrecorded: count_unrecorded(&journal, "$1::text"),
        read_catalog: format!(
            "SELECT detail FROM {journal} WHERE scope = 'catalog' ORDER BY id DESC LIMIT 1"
        ),
        read_base: format!(
            "SELECT detail FROM {journal} WHERE scope = 'catalog' AND hash = 'base' ORDER BY id DESC LIMIT 1"
        ),
        append_head: append_head(&journal),
        append_row: format!(
            "({{1}}::text, {{2}}::text, {{3}}::text, {{4}}::text, {{5}}::text, {{6}}::integer, {{7}}::text, {{8}}::text, \
             (SELECT token FROM {fence} WHERE id = 1 AND token = {{9}}::bigint FOR SHARE))"
        ),
        append_more: "({1}::text, {2}::text, {3}::text, {4}::text, {5}::text, {6}::integer, {7}::text, {8}::text, {9}::bigint)".into(),
        fence_read: format!("SELECT token, format, identity FROM {fence} WHERE id = 1"),
        fence_raise: format!("UPDATE {fence} SET token = $1::bigint WHERE id = 1 AND token = $2::bigint"),
        fence_init: format!(
            "INSERT INTO {fence} (id, token, format, identity) VALUES (1, 0, $1::integer, $2::text) \
             ON CONFLICT (id) DO NOTHING"
        ),
        // Two clusters number their databases alike, and a data directory that is copied as files keeps its system
        // identifier: so name, number and system all count. A physical standby is no clone; it may become the primary.
        identity: "SELECT current_database() || '/' || (SELECT oid::text FROM pg_database WHERE datname = \
                   current_database()) || '/' || (SELECT system_identifier::text FROM pg_control_system())"
            .into(),
        fence_identity: format!("UPDATE {fence} SET identity = $1::text WHERE id = 1"),
        few: Default::default(),
        tables: ["journal", "fence", "lease", "undo"].iter().map(|name| format!("{}{name}", names.prefix)).collect(),
    }
}

/// The lease's SQL. Advisory locks are per database, so the key holds only the journal's own name.
pub fn lease(names: &JournalNames) -> Option<LeaseSql> {
    let lease = table(names, "lease");
    // hashtextextended exists since PostgreSQL 11; md5 since ever. 60 bits of it make the lock's key.
    let key = "('x' || substr(md5($1::text), 1, 15))::bit(60)::bigint";
    Some(LeaseSql {
        lock_try: format!("SELECT pg_try_advisory_lock({key})"),
        lock_release: format!("SELECT pg_advisory_unlock({key})"),
        lock_holder: format!(
            "SELECT pid::text FROM pg_locks WHERE locktype = 'advisory' AND granted AND objsubid = 1 AND database = \
             (SELECT oid FROM pg_database WHERE datname = current_database()) AND \
             ((classid::bigint << 32) | objid::bigint) = {key}"
        ),
        own_session: "SELECT pg_backend_pid()::text".into(),
        end_session: "SELECT pg_terminate_backend({id})".into(),
        read: format!(
            "SELECT holder, since, (extract(epoch FROM clock_timestamp() - beat_at) * 1000)::bigint FROM {lease} \
             WHERE id = 1"
        ),
        write: vec![format!(
            "INSERT INTO {lease} (id, token, holder, since, beat_at) VALUES (1, $1::bigint, $2::text, $3::text, \
             clock_timestamp()) ON CONFLICT (id) DO UPDATE SET token = EXCLUDED.token, holder = EXCLUDED.holder, \
             since = EXCLUDED.since, beat_at = EXCLUDED.beat_at"
        )],
        beat: format!(
            "UPDATE {lease} SET beat_at = clock_timestamp() WHERE id = 1 AND token = $1::bigint"
        ),
        clear: format!("DELETE FROM {lease} WHERE id = 1 AND token = $1::bigint"),
        clear_any: format!("DELETE FROM {lease} WHERE id = 1"),
        key: format!(
            "dunlin:{}:{}",
            names.schema.as_deref().unwrap_or("public"),
            names.prefix
        ),
    })
}
