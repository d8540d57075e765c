//! The journal's and the lease's SQL on MySQL and MariaDB. The tables are InnoDB whatever the server's default is:
//! a journal that is not transactional would be worth nothing.

use super::ddl::quote;
use crate::dialect::journal::{append_head, count_unrecorded};
use crate::dialect::{JournalNames, JournalSql, LeaseSql, Mark, UndoSql};

const OPTIONS: &str = "ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin";

/// The table of undo images.
fn undo(names: &JournalNames) -> UndoSql {
    let undo = quote(&format!("{}undo", names.prefix));
    UndoSql {
        create: format!(
            "CREATE TABLE IF NOT EXISTS {undo} (unit varchar(200) NOT NULL, batch bigint NOT NULL, run varchar(64) NOT NULL, \
                 image longblob NOT NULL, PRIMARY KEY (unit, batch)) {OPTIONS}"
        ),
        append: format!("INSERT INTO {undo} (run, unit, batch, image) VALUES (?, ?, ?, ?)"),
        read: format!("SELECT image FROM {undo} WHERE unit = ? AND batch = ?"),
    }
}

/// The journal's SQL.
pub fn sql(names: &JournalNames) -> JournalSql {
    let table = |name: &str| quote(&format!("{}{name}", names.prefix));
    let (journal, fence, lease) = (table("journal"), table("fence"), table("lease"));
    let columns = "id, run, at, event, unit, stmt, hash, detail";
    // The CHECK of the token: where a script or the server has switched strict mode off, an INSERT of several rows makes
    // 0 of a token that was not found, and NOT NULL alone would let a fenced runner write.
    let restoring = format!("{}restoring", names.prefix);
    JournalSql {
        undo: undo(names),
        restoring: Mark {
            create: format!(
                "CREATE TABLE IF NOT EXISTS {} (id int NOT NULL PRIMARY KEY) {OPTIONS}",
                quote(&restoring)
            ),
            drop: format!("DROP TABLE IF EXISTS {}", quote(&restoring)),
            name: restoring,
        },
        create: vec![
            format!(
                "CREATE TABLE IF NOT EXISTS {fence} (id int NOT NULL PRIMARY KEY, token bigint NOT NULL, \
                 format int NOT NULL, identity varchar(500) NOT NULL) {OPTIONS}"
            ),
            format!(
                "CREATE TABLE IF NOT EXISTS {lease} (id int NOT NULL PRIMARY KEY, token bigint NOT NULL, \
                 holder varchar(500) NOT NULL, since varchar(40) NOT NULL, beat_at datetime(3) NOT NULL) {OPTIONS}"
            ),
            format!(
                "CREATE TABLE IF NOT EXISTS {journal} (id bigint NOT NULL AUTO_INCREMENT PRIMARY KEY, \
                 run varchar(64) NOT NULL, at varchar(40) NOT NULL, event varchar(40) NOT NULL, \
                 scope varchar(10) NOT NULL, unit varchar(200) NULL, stmt int NULL, hash varchar(200) NULL, \
                 detail longtext NOT NULL, token bigint NOT NULL, CHECK (token > 0)) {OPTIONS}"
            ),
        ],
        read: format!(
            "SELECT 0 AS id, '' AS run, '' AS at, 'fence' AS event, NULL AS unit, format AS stmt, \
             CAST(token AS CHAR) AS hash, identity AS detail FROM {fence} WHERE id = 1 \
             UNION ALL SELECT {columns} FROM {journal} WHERE scope IN ('run', 'unit')"
        ),
        read_unit: of_unit(columns, &journal, "stmt"),
        read_orders: of_unit(columns, &journal, "plan"),
        read_plans: format!("SELECT {columns} FROM {journal} WHERE scope = 'plan' ORDER BY id"),
        read_runs: format!("SELECT {columns} FROM {journal} WHERE scope = 'run' ORDER BY id"),
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
             (SELECT token FROM {fence} WHERE id = 1 AND token = {{9}} LOCK IN SHARE MODE))"
        ),
        append_more: "({1}, {2}, {3}, {4}, {5}, {6}, {7}, {8}, {9})".into(),
        fence_read: format!("SELECT token, format, identity FROM {fence} WHERE id = 1"),
        fence_raise: format!("UPDATE {fence} SET token = ? WHERE id = 1 AND token = ?"),
        fence_init: format!(
            "INSERT IGNORE INTO {fence} (id, token, format, identity) VALUES (1, 0, ?, ?)"
        ),
        identity: "SELECT CONCAT(DATABASE(), '/', @@hostname, '/', @@port, '/', @@datadir)".into(),
        fence_identity: format!("UPDATE {fence} SET identity = ? WHERE id = 1"),
        few: Default::default(),
        tables: ["journal", "fence", "lease", "undo"]
            .iter()
            .map(|name| format!("{}{name}", names.prefix))
            .collect(),
    }
}

/// The lease's SQL. User-level locks are server-wide, so the name holds a hash of the database's name.
pub fn lease(names: &JournalNames) -> Option<LeaseSql> {
    let lease = quote(&format!("{}lease", names.prefix));
    // 7 + 24 hex digits stay far below the 64 characters that a lock's name may have. Not MD5: MySQL 9 has it no more.
    let name = "CONCAT('dunlin:', SUBSTR(SHA2(CONCAT(DATABASE(), ':', ?), 256), 1, 24))";
    Some(LeaseSql {
        lock_try: format!("SELECT GET_LOCK({name}, 0)"),
        lock_release: format!("SELECT RELEASE_LOCK({name})"),
        lock_holder: format!("SELECT CAST(IS_USED_LOCK({name}) AS CHAR)"),
        own_session: "SELECT CAST(CONNECTION_ID() AS CHAR)".into(),
        end_session: "KILL {id}".into(),
        read: format!(
            "SELECT holder, since, TIMESTAMPDIFF(MICROSECOND, beat_at, UTC_TIMESTAMP(3)) DIV 1000 FROM {lease} \
             WHERE id = 1"
        ),
        write: vec![format!(
            "REPLACE INTO {lease} (id, token, holder, since, beat_at) VALUES (1, ?, ?, ?, UTC_TIMESTAMP(3))"
        )],
        // Rows count as changed only where a value changes: two beats in one millisecond must differ, too.
        beat: format!(
            "UPDATE {lease} SET beat_at = GREATEST(UTC_TIMESTAMP(3), beat_at + INTERVAL 1000 MICROSECOND) WHERE id = 1 \
             AND token = ?"
        ),
        clear: format!("DELETE FROM {lease} WHERE id = 1 AND token = ?"),
        clear_any: format!("DELETE FROM {lease} WHERE id = 1"),
        key: format!("{}:", names.prefix),
    })
}

/// Reads the records of one scope about one unit.
fn of_unit(columns: &str, journal: &str, scope: &str) -> String {
    format!("SELECT {columns} FROM {journal} WHERE unit = ? AND scope = '{scope}' ORDER BY id")
}
