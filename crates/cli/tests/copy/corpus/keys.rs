//! SQLite to PostgreSQL: keys, indexes, foreign keys, checks, what is computed (S37 to S61).

use super::{Case, case};

pub fn cases() -> Vec<Case> {
    let mut cases = counters();
    cases.extend(foreign());
    cases.extend(constraints());
    cases
}

fn counters() -> Vec<Case> {
    vec![
        case("S37", "CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT, v TEXT); INSERT INTO t VALUES (1, 'a'), (100, 'b'); DELETE FROM t WHERE id = 100;")
            .ask("INSERT INTO t (v) VALUES ('next') RETURNING id", "101"),
        case("S38", "CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT, v TEXT);").ask("INSERT INTO t (v) VALUES ('next') RETURNING id", "1"),
        case("S39", "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT); INSERT INTO t VALUES (7, 'a');").ask("INSERT INTO t (v) VALUES ('next') RETURNING id", "8"),
        case("S40", "CREATE TABLE t (id BIGINT PRIMARY KEY, v TEXT); INSERT INTO t VALUES (7, 'a');").refuse("INSERT INTO t (v) VALUES ('next')"),
        case("S40-desc", "CREATE TABLE t (id INTEGER PRIMARY KEY DESC, v TEXT); INSERT INTO t VALUES (7, 'a');").refuse("INSERT INTO t VALUES (7, 'next')"),
        case("S41", "CREATE TABLE t (k TEXT PRIMARY KEY, v INT); INSERT INTO t VALUES (NULL, 1), (NULL, 2), ('a', 3);")
            .ask("SELECT count(*) FROM t WHERE k IS NULL", "2").refuse("INSERT INTO t VALUES ('a', 4)").listed("null-in-key"),
        case("S42", "CREATE TABLE t (a INT, b INT, PRIMARY KEY (b, a)); INSERT INTO t VALUES (1, 2);")
            .ask("SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = 't'::regclass AND contype = 'p'", "PRIMARY KEY (b, a)"),
        case("S43", "CREATE TABLE t (a ANY, k TEXT PRIMARY KEY) STRICT, WITHOUT ROWID; INSERT INTO t VALUES ('x', 'k');").refuse("INSERT INTO t VALUES ('y', 'k')"),
        case("S44", "CREATE TABLE t (a INT, b TEXT); INSERT INTO t VALUES (1, 'x'), (1, 'x'), (1, 'x'), (2, NULL), (2, NULL);").ask("SELECT count(*) FROM t", "5"),
    ]
}

fn foreign() -> Vec<Case> {
    const P: &str =
        "CREATE TABLE p (a INT, b INT, PRIMARY KEY (a, b)); INSERT INTO p VALUES (1, 2);";
    vec![
        case("S45", format!("{P} CREATE TABLE t (x INT, y INT, FOREIGN KEY (x, y) REFERENCES p (a, b) ON DELETE CASCADE); INSERT INTO t VALUES (1, 2), (NULL, 3);"))
            .refuse("INSERT INTO t VALUES (2, 2)").take("DELETE FROM p").ask("SELECT count(*) FROM t", "1"),
        case("S46", "CREATE TABLE p (id INTEGER PRIMARY KEY); CREATE TABLE t (p_id INTEGER REFERENCES p); INSERT INTO p VALUES (1); INSERT INTO t VALUES (1);")
            .refuse("INSERT INTO t VALUES (2)"),
        case("S47", "CREATE TABLE p (id INTEGER PRIMARY KEY); CREATE TABLE t (id INTEGER PRIMARY KEY, p_id INTEGER REFERENCES p (id)); INSERT INTO p VALUES (1); INSERT INTO t VALUES (1, 1), (2, 9);")
            .stops(1, "orphan-row").ask("SELECT id FROM t", "1").refuse("INSERT INTO t VALUES (3, 9)"),
        case("S48", "CREATE TABLE a (id INTEGER PRIMARY KEY, b INTEGER REFERENCES b (id) DEFERRABLE INITIALLY DEFERRED); CREATE TABLE b (id INTEGER PRIMARY KEY, a INTEGER REFERENCES a (id) ON UPDATE CASCADE, self INTEGER REFERENCES b (id)); INSERT INTO a VALUES (1, 1); INSERT INTO b VALUES (1, 1, 1);")
            .ask("SELECT condeferred FROM pg_constraint WHERE conrelid = 'a'::regclass AND contype = 'f'", "t").refuse("INSERT INTO b VALUES (2, 9, 1)"),
        case("S49", "CREATE TABLE p (v INT); CREATE TABLE t (v INT REFERENCES p (v)); INSERT INTO p VALUES (1), (1); INSERT INTO t VALUES (1);").listed("foreign-key-dropped"),
        case("S50", "CREATE TABLE \"Users\" (\"userId\" INTEGER PRIMARY KEY); CREATE TABLE t (u INTEGER REFERENCES \"users\" (\"USERID\")); INSERT INTO \"Users\" VALUES (1); INSERT INTO t VALUES (1);")
            .refuse("INSERT INTO t VALUES (2)"),
        case("S51", "CREATE TABLE p (id TEXT PRIMARY KEY); CREATE TABLE t (p INTEGER REFERENCES p (id)); INSERT INTO p VALUES ('1'); INSERT INTO t VALUES (1);")
            .refuse("INSERT INTO t VALUES (2)"),
    ]
}

fn constraints() -> Vec<Case> {
    vec![
        case("S52", "CREATE TABLE t (v TEXT COLLATE NOCASE UNIQUE); INSERT INTO t VALUES ('Abc'), ('É'), ('é');")
            .refuse("INSERT INTO t VALUES ('aBC')").refuse("INSERT INTO t VALUES ('É')").take("INSERT INTO t VALUES ('abd')"),
        case("S52-own", "CREATE TABLE t (v TEXT COLLATE NOCASE, w TEXT); CREATE UNIQUE INDEX i ON t (v COLLATE BINARY); CREATE UNIQUE INDEX j ON t (w COLLATE NOCASE); INSERT INTO t VALUES ('a', 'b'), ('A', 'c');")
            .refuse("INSERT INTO t VALUES ('a', 'x')").refuse("INSERT INTO t VALUES ('x', 'B')").take("INSERT INTO t VALUES ('x', 'y'), ('X', 'z')"),
        case("S53", "CREATE TABLE t (v TEXT COLLATE RTRIM UNIQUE); INSERT INTO t VALUES ('a');").refuse("INSERT INTO t VALUES ('a  ')"),
        case("S54", "CREATE TABLE t (v TEXT, deleted INT); CREATE UNIQUE INDEX u ON t (v) WHERE deleted = 0; INSERT INTO t VALUES ('a', 0), ('a', 1), ('a', 1);")
            .refuse("INSERT INTO t VALUES ('a', 0)").take("INSERT INTO t VALUES ('a', 1)"),
        case("S55", "CREATE TABLE t (email TEXT); CREATE UNIQUE INDEX u ON t (lower(email)); INSERT INTO t VALUES ('A@x');").refuse("INSERT INTO t VALUES ('a@X')"),
        case("S56", "CREATE TABLE t (a INT, b TEXT); CREATE INDEX i ON t (a DESC, b COLLATE NOCASE); INSERT INTO t VALUES (1, 'x');")
            .ask("SELECT count(*) FROM pg_indexes WHERE tablename = 't' AND indexdef LIKE '%DESC%'", "1"),
        case("S57", "CREATE TABLE t (a INT CHECK (a > 0), b TEXT CHECK (length(b) < 5), c TEXT CHECK (c IN ('x', 'y'))); INSERT INTO t VALUES (1, 'abcd', 'x');")
            .refuse("INSERT INTO t VALUES (0, 'a', 'x')").refuse("INSERT INTO t VALUES (1, 'abcde', 'x')").refuse("INSERT INTO t VALUES (1, 'a', 'z')"),
        case("S57-listed", "CREATE TABLE t (a TEXT CHECK (a GLOB 'x*'), b CHECK (typeof(b) = 'integer'), c TEXT CHECK (json_valid(c))); INSERT INTO t VALUES ('xy', 1, '{}');").listed("json_valid"),
        case("S58", "CREATE TABLE t (a INT, b INT GENERATED ALWAYS AS (a * 2) STORED, \"c d\" TEXT AS (a || 'x') VIRTUAL); INSERT INTO t (a) VALUES (1), (2);")
            .ask("SELECT b, \"c d\" FROM t ORDER BY a", "2|1x|4|2x").take("INSERT INTO t (a) VALUES (9)"),
        case("S58-chain", "CREATE TABLE t (id INTEGER PRIMARY KEY, b INT AS (id * 2) STORED, c INT AS (b + 1) STORED); INSERT INTO t (id) VALUES (1), (2);")
            .ask("SELECT b, c FROM t ORDER BY id", "2|3|4|5").listed("how t.c is computed"),
        case("S59", "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT DEFAULT 'it''s', b INT DEFAULT -1, c DATETIME DEFAULT CURRENT_TIMESTAMP, d BLOB DEFAULT x'00ff', e TEXT DEFAULT 'null', f BOOLEAN DEFAULT 1, g TEXT DEFAULT NULL);
            INSERT INTO t (id, c) VALUES (1, '2024-01-01 00:00:00');")
            .ask("INSERT INTO t (id) VALUES (2) RETURNING a, b, encode(d, 'hex'), e, f, g", "it's|-1|00ff|null|t|NULL"),
        case("S59-now", "CREATE TABLE t (id INTEGER PRIMARY KEY, a INT DEFAULT (strftime('%s','now')), b TEXT DEFAULT (lower(hex(randomblob(16)))), c DATETIME DEFAULT (datetime('now','localtime'))); INSERT INTO t VALUES (1, 5, 'x', '2024-01-01 00:00:00');")
            .take("INSERT INTO t (id) VALUES (2)"),
        case("S60", "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT, at DATETIME); INSERT INTO t VALUES (1, NULL, '2024-01-01 00:00:00'); CREATE VIEW w AS SELECT id, ifnull(v, 'none') AS v FROM t; CREATE VIEW odd AS SELECT group_concat(v) AS g FROM t WHERE v GLOB 'x*';")
            .ask("SELECT v FROM w", "none"),
        case("S61", "CREATE TABLE t (v INT); CREATE TRIGGER tr AFTER INSERT ON t BEGIN UPDATE t SET v = 1; END; INSERT INTO t VALUES (1);").listed("trigger").take("INSERT INTO t VALUES (5)"),
    ]
}
