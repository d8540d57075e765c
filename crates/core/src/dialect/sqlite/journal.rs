//! The journal's SQL on SQLite. The lease is a file beside the database, so there is no lease SQL.

use super::ddl::quote;
use crate::dialect::journal::{append_head, count_unrecorded};
use crate::dialect::{JournalNames, JournalSql, LeaseSql, Mark, UndoSql};

const COLUMNS: &str = "id, run, at, event, unit, stmt, hash, detail";

/// The journal's SQL.
pub fn sql(names: &JournalNames) -> JournalSql {
    let table = |name: &str| format!("main.{}", quote(&format!("{}{name}", names.prefix)));
    let (journal, fence) = (table("journal"), table("fence"));
    let undo = table("undo");
    JournalSql {
        undo: UndoSql {
            create: format!(
                "CREATE TABLE IF NOT EXISTS {undo} (unit TEXT NOT NULL, batch INTEGER NOT NULL, run TEXT NOT NULL, \
                 image BLOB NOT NULL, PRIMARY KEY (unit, batch))"
            ),
            append: format!("INSERT INTO {undo} (run, unit, batch, image) VALUES (?, ?, ?, ?)"),
            read: format!("SELECT image FROM {undo} WHERE unit = ? AND batch = ?"),
        },
        restoring: Mark {
            name: format!("{}restoring", names.prefix),
            create: format!(
                "CREATE TABLE IF NOT EXISTS {} (id INTEGER PRIMARY KEY)",
                table("restoring")
            ),
            drop: format!("DROP TABLE IF EXISTS {}", table("restoring")),
        },
        create: vec![
            format!(
                "CREATE TABLE IF NOT EXISTS {fence} (id INTEGER PRIMARY KEY CHECK (id = 1), token INTEGER NOT NULL, \
                 format INTEGER NOT NULL, identity TEXT NOT NULL)"
            ),
            format!(
                "CREATE TABLE IF NOT EXISTS {journal} (id INTEGER PRIMARY KEY, run TEXT NOT NULL, \
                 at TEXT NOT NULL, event TEXT NOT NULL, scope TEXT NOT NULL, unit TEXT, stmt INTEGER, hash TEXT, \
                 detail TEXT NOT NULL, token INTEGER NOT NULL)"
            ),
        ],
        read: format!(
            "SELECT 0 AS id, '' AS run, '' AS at, 'fence' AS event, NULL AS unit, format AS stmt, \
             CAST(token AS TEXT) AS hash, identity AS detail FROM {fence} WHERE id = 1 \
             UNION ALL SELECT {COLUMNS} FROM {journal} WHERE scope IN ('run', 'unit')"
        ),
        read_unit: of_unit(&journal, "stmt"),
        read_orders: of_unit(&journal, "plan"),
        read_plans: format!("SELECT {COLUMNS} FROM {journal} WHERE scope = 'plan' ORDER BY id"),
        read_runs: format!("SELECT {COLUMNS} FROM {journal} WHERE scope = 'run' ORDER BY id"),
        count_unrecorded: count_unrecorded(&journal, "?"),
        read_catalog: format!(
            "SELECT detail FROM {journal} WHERE scope = 'catalog' ORDER BY id DESC LIMIT 1"
        ),
        read_base: format!(
            "SELECT detail FROM {journal} WHERE scope = 'catalog' AND hash = 'base' ORDER BY id DESC LIMIT 1"
        ),
        append_head: append_head(&journal),
        append_row: format!(
            "({{1}}, {{2}}, {{3}}, {{4}}, {{5}}, {{6}}, {{7}}, {{8}}, \
             (SELECT token FROM {fence} WHERE id = 1 AND token = {{9}}))"
        ),
        append_more: "({1}, {2}, {3}, {4}, {5}, {6}, {7}, {8}, {9})".into(),
        fence_read: format!("SELECT token, format, identity FROM {fence} WHERE id = 1"),
        fence_raise: format!("UPDATE {fence} SET token = ? WHERE id = 1 AND token = ?"),
        fence_init: format!(
            "INSERT OR IGNORE INTO {fence} (id, token, format, identity) VALUES (1, 0, ?, ?)"
        ),
        // A copied file is a clone of nobody's lease: the lock is a file beside it, so identity needs no more.
        identity: "SELECT 'file'".into(),
        fence_identity: format!("UPDATE {fence} SET identity = ? WHERE id = 1"),
        few: Default::default(),
        tables: ["journal", "fence", "undo"]
            .iter()
            .map(|name| format!("{}{name}", names.prefix))
            .collect(),
    }
}

/// No lease SQL: the lock is a sidecar file.
pub fn lease(_names: &JournalNames) -> Option<LeaseSql> {
    None
}

/// Reads the records of one scope about one unit.
fn of_unit(journal: &str, scope: &str) -> String {
    format!("SELECT {COLUMNS} FROM {journal} WHERE unit = ? AND scope = '{scope}' ORDER BY id")
}
