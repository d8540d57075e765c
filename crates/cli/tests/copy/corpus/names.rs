//! SQLite to PostgreSQL: what is not copied as a table, names, sizes (S62 to S69).

use super::{Case, case};

fn columns(count: usize) -> String {
    let list: Vec<_> = (0..count).map(|n| format!("c{n} INT")).collect();
    format!(
        "CREATE TABLE t ({}); INSERT INTO t (c0) VALUES (1);",
        list.join(", ")
    )
}

pub fn cases() -> Vec<Case> {
    let long = "n".repeat(66);
    vec![
        case("S62", "CREATE VIRTUAL TABLE f USING fts5(body); INSERT INTO f VALUES ('hello'); CREATE TABLE t (v INT); INSERT INTO t VALUES (1);")
            .ask("SELECT count(*) FROM pg_class WHERE relname LIKE 'f\\_%'", "0").listed("f"),
        case("S63", "CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT, v TEXT UNIQUE); INSERT INTO t (v) VALUES ('a'); ANALYZE;")
            .ask("SELECT count(*) FROM pg_class WHERE relname LIKE 'sqlite%'", "0"),
        case("S64", "CREATE TABLE \"Order\" (\"Group\" INT, camelCase TEXT, \"sp ace\" TEXT, \"quo\"\"te\" TEXT PRIMARY KEY); INSERT INTO \"Order\" VALUES (1, 'a', 'b', 'c');
            CREATE INDEX \"odd \"\"index\" ON \"Order\" (\"Group\");")
            .ask("SELECT \"Group\", \"camelCase\", \"sp ace\", \"quo\"\"te\" FROM \"Order\"", "1|a|b|c"),
        case("S65", format!("CREATE TABLE {long}aaaa (v INT); CREATE TABLE {long}bbbb (v INT); INSERT INTO {long}aaaa VALUES (1); INSERT INTO {long}bbbb VALUES (2), (3);")).listed("name"),
        case("S65-columns", format!("CREATE TABLE t ({long}aaaa INT, {long}bbbb INT); INSERT INTO t VALUES (1, 2);"))
            .ask("SELECT count(*) FROM pg_attribute WHERE attrelid = 't'::regclass AND attnum > 0", "2"),
        case("S66", "CREATE TABLE \"A\" (\"Id\" INTEGER PRIMARY KEY); CREATE TABLE b (\"ID\" INT, \"Id2\" INT); INSERT INTO \"A\" VALUES (1); INSERT INTO b VALUES (1, 2);")
            .ask("SELECT \"Id\" FROM \"A\"", "1").ask("SELECT \"ID\" FROM b", "1"),
        case("S67", columns(1700)).stops(4, "too-many-columns"),
        case("S67-fits", columns(1500)).ask("SELECT count(*) FROM t WHERE c0 = 1", "1"),
        case("S68", "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT); INSERT INTO t VALUES (1, hex(zeroblob(2000000))), (2, hex(randomblob(5000)));")
            .ask("SELECT max(length(v)) FROM t", "4000000"),
        case("S68-index", "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT UNIQUE); INSERT INTO t VALUES (1, hex(randomblob(5000))), (2, 'short'), (3, hex(zeroblob(5000)));")
            // What can be compressed fits, however long it is.
            .stops(1, "too-long").ask("SELECT id FROM t ORDER BY id", "2|3").refuse("INSERT INTO t VALUES (4, 'short')"),
        case("S68-parts", "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT, b TEXT, n INT); CREATE INDEX i ON t (lower(a), b DESC) WHERE n > 0;
            INSERT INTO t VALUES (1, hex(randomblob(1000)), hex(randomblob(1000)), 1), (2, hex(randomblob(1000)), hex(randomblob(1000)), 0),
            (3, hex(randomblob(600)), hex(randomblob(600)), 1);").stops(1, "too-long").ask("SELECT id FROM t ORDER BY id", "2|3"),
        case("S69", "PRAGMA journal_mode = WAL; CREATE TABLE t (v INT); INSERT INTO t VALUES (1), (2);").ask("SELECT sum(v) FROM t", "3"),
    ]
}
