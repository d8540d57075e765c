//! PostgreSQL and SQLite to MySQL (P01 to P25, and what was measured of SQLite's).

use super::{Case, Pair, all, case};
use dunlin_testkit::engines::TestEngine;
use dunlin_testkit::servers::Kind;

#[test]
fn postgres_to_mysql() {
    let pair = Pair {
        from: TestEngine::Server(Kind::Postgres),
        to: TestEngine::Server(Kind::Mysql),
    };
    all(pair, &of_postgres(), KNOWN_POSTGRES);
}

#[test]
fn sqlite_to_mysql() {
    let pair = Pair {
        from: TestEngine::Sqlite,
        to: TestEngine::Server(Kind::Mysql),
    };
    all(pair, &of_sqlite(), KNOWN_SQLITE);
}

/// A table of so many columns, with one row.
pub(super) fn columns(count: usize, ty: &str) -> String {
    let list: Vec<_> = (0..count).map(|n| format!("c{n} {ty}")).collect();
    format!(
        "CREATE TABLE t ({}); INSERT INTO t (c0) VALUES ('1');",
        list.join(", ")
    )
}

const KNOWN_POSTGRES: &[(&str, &str)] = &[];
const KNOWN_SQLITE: &[(&str, &str)] = &[];

pub(super) fn of_postgres() -> Vec<Case> {
    vec![
        case("P01", "CREATE TABLE t (k text PRIMARY KEY, v text UNIQUE, w text); INSERT INTO t VALUES ('a', 'b', repeat('x', 70000));")
            .ask("SELECT length(w) FROM t", "70000").refuse("INSERT INTO t VALUES ('a', 'c', '')").refuse("INSERT INTO t VALUES ('d', 'b', '')"),
        case("P02", "CREATE TABLE t (a varchar, b varchar(30000), c varchar(30000)); INSERT INTO t VALUES ('é', 'x', 'y');").ask("SELECT a FROM t", "é"),
        case("P03", "CREATE TABLE t (v boolean); INSERT INTO t VALUES (true), (false), (NULL);").ask("SELECT sum(v) FROM t", "1"),
        case("P04", "CREATE TABLE t (v timestamptz); INSERT INTO t VALUES ('1950-01-01 00:00:00+00'), ('2100-01-01 00:00:00+02');")
            .ask("SELECT CAST(v AS CHAR) FROM t ORDER BY v", "1950-01-01 00:00:00.000000|2099-12-31 22:00:00.000000"),
        case("P04-odd", "CREATE TABLE t (id int PRIMARY KEY, v timestamp); INSERT INTO t VALUES (1, '2024-01-01'), (2, 'infinity');").stops(1, "not-finite").ask("SELECT id FROM t", "1"),
        case("P05", "CREATE TABLE t (v timestamptz); INSERT INTO t VALUES ('2022-01-31 16:18:56+01');").ask("SELECT CAST(v AS CHAR) FROM t", "2022-01-31 15:18:56.000000").listed("instant-as-utc"),
        case("P06", "CREATE TABLE t (v timestamp); INSERT INTO t VALUES ('2024-01-01 00:00:00.999999');").ask("SELECT CAST(v AS CHAR) FROM t", "2024-01-01 00:00:00.999999"),
        case("P07", "CREATE TABLE t (a time, c interval); INSERT INTO t VALUES ('24:00', '1 mon 2 days 00:00:03');").ask("SELECT CAST(a AS CHAR), c FROM t", "24:00:00.000000|1 mon 2 days 00:00:03"),
        case("P08", "CREATE TABLE t (id int PRIMARY KEY, v numeric); INSERT INTO t VALUES (1, 1.5), (2, 12345678901234567890.5);").ask("SELECT v = 1.5 FROM t WHERE id = 1", "1"),
        case("P09", "CREATE TABLE t (id int PRIMARY KEY, v float8); INSERT INTO t VALUES (1, 0.1), (2, 'NaN'), (3, 'Infinity');").stops(1, "not-finite").ask("SELECT v FROM t", "0.1"),
        case("P10", "CREATE TABLE t (v bytea); INSERT INTO t VALUES (decode(repeat('00ff5c27', 500000), 'hex'));").ask("SELECT length(v) FROM t", "2000000"),
        case("P11", "CREATE TABLE t (v uuid PRIMARY KEY); INSERT INTO t VALUES ('550e8400-e29b-41d4-a716-446655440000');").ask("SELECT count(*) FROM t", "1"),
        case("P12", "CREATE TABLE t (v jsonb); INSERT INTO t VALUES ('{\"a\": 2.50, \"b\": 12345678901234567890.123}');")
            .ask("SELECT v LIKE '%12345678901234567890.123%' FROM t", "1").listed("json-as-text").refuse("INSERT INTO t VALUES ('{')"),
        case("P12-plain", "CREATE TABLE t (v jsonb); INSERT INTO t VALUES ('{\"a\": 2.50, \"b\": 18446744073709551615}');")
            .ask("SELECT data_type FROM information_schema.columns WHERE table_schema = database() AND table_name = 't'", "json"),
        case("P13", "CREATE DOMAIN d AS int CHECK (value > 0); CREATE TABLE t (a int[], b int4range, c tsvector, d inet, e macaddr, f varbit, g money, h xml, i d); INSERT INTO t VALUES ('{1,2}', '[1,5)', 'a b', '::1', '08:00:2b:01:02:03', B'101', 1.5, '<a/>', 3);")
            .ask("SELECT a, b, i FROM t", "{1,2}|[1,5)|3"),
        case("P14", "CREATE TYPE e AS ENUM ('z', 'a', 'A'); CREATE TABLE t (v e); INSERT INTO t VALUES ('a'), ('A'), ('z');").ask("SELECT v FROM t ORDER BY v", "z|a|A").refuse("INSERT INTO t VALUES ('q')"),
        case("P15", "CREATE TABLE t (v text UNIQUE); INSERT INTO t VALUES ('a'), ('A'), ('á');").ask("SELECT count(*) FROM t", "3").refuse("INSERT INTO t VALUES ('A')"),
        case("P16", "CREATE TABLE t (v varchar(9) UNIQUE); INSERT INTO t VALUES ('a'), ('a ');").ask("SELECT count(*) FROM t", "2"),
        case("P17", "CREATE TABLE t (v text); INSERT INTO t VALUES ('🚚');").ask("SELECT v FROM t", "🚚"),
        case("P18", "CREATE TABLE t (id bigserial PRIMARY KEY, v int); INSERT INTO t (v) VALUES (1), (2); SELECT setval('t_id_seq', 50);").take("INSERT INTO t (v) VALUES (3)").ask("SELECT max(id) FROM t", "51"),
        case("P19", "CREATE TABLE t (v text, d int); CREATE UNIQUE INDEX u ON t (v) WHERE d = 0; CREATE INDEX g ON t USING gin (to_tsvector('simple', v)); INSERT INTO t VALUES ('a', 0), ('a', 1), ('a', 1);").listed("index g"),
        case("P20", "CREATE TABLE t (id int PRIMARY KEY, a text CHECK (a ~ '^x'), b timestamptz DEFAULT now() - interval '1 day', c uuid DEFAULT gen_random_uuid()); INSERT INTO t (id, a) VALUES (1, 'xa');").ask("SELECT count(*) FROM t", "1"),
        case("P18-always", "CREATE TABLE t (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, v int); INSERT INTO t (v) VALUES (1), (2);").listed("GENERATED ALWAYS of t.id").take("INSERT INTO t (v) VALUES (3)").ask("SELECT max(id) FROM t", "3"),
        case("P21", "CREATE SCHEMA a; CREATE TABLE a.t (v int PRIMARY KEY); CREATE TABLE t (v int REFERENCES a.t (v)); INSERT INTO a.t VALUES (1); INSERT INTO t VALUES (1);").listed("table a.t is called a_t there").ask("SELECT v FROM a_t", "1").refuse("INSERT INTO t VALUES (2)"),
        case("P21-taken", "CREATE SCHEMA a; CREATE TABLE a.t (v int); CREATE TABLE a_t (v int); INSERT INTO a.t VALUES (1); INSERT INTO a_t VALUES (2);").listed("name-changed").ask("SELECT v FROM a_t", "2").ask("SELECT v FROM a_t_2", "1"),
        case("P22", "CREATE TABLE \"Abc Def\" (\"Ghi\" int); INSERT INTO \"Abc Def\" VALUES (1);").ask("SELECT `Ghi` FROM `Abc Def`", "1"),
        case("P23", columns(1_100, "int")).stops(4, "too-many-columns"),
        case("P23-wide", columns(100, "varchar(255)")).ask("SELECT c0 FROM t", "1").listed("length of t.c"),
        case("P24", "CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1); CREATE MATERIALIZED VIEW m AS SELECT id FROM t;").listed("m"),
    ]
}

pub(super) fn of_sqlite() -> Vec<Case> {
    vec![
        case("Q-int", "CREATE TABLE t (v INTEGER); INSERT INTO t VALUES (9223372036854775807);").ask("SELECT v FROM t", "9223372036854775807"),
        case("Q-decimal", "CREATE TABLE t (v DECIMAL(10,2)); INSERT INTO t VALUES (1234567890.125), (0.5);").ask("SELECT max(v) + 0 = 1234567890.125 FROM t", "1"),
        case("Q-boolean", "CREATE TABLE t (v BOOLEAN); INSERT INTO t VALUES ('true'), (0);").ask("SELECT sum(v) FROM t", "1"),
        case("Q-year", "CREATE TABLE t (v DATETIME); INSERT INTO t VALUES (2024);").ask("SELECT v FROM t", "2024"),
        case("Q-ms", "CREATE TABLE t (v DATETIME); INSERT INTO t VALUES (1700000000123);").ask("SELECT CAST(v AS CHAR) FROM t", "2023-11-14 22:13:20.123000"),
        case("Q-long", "CREATE TABLE t (v VARCHAR(5)); INSERT INTO t VALUES ('toolongvalue');").ask("SELECT v FROM t", "toolongvalue"),
        case("Q-generated", "CREATE TABLE t (a INT, b INT AS (a * 2) STORED); INSERT INTO t (a) VALUES (2);").ask("SELECT b FROM t", "4"),
        case("Q-check", "CREATE TABLE t (id INTEGER PRIMARY KEY CHECK (id > 0), v INT); INSERT INTO t VALUES (1, 1);").ask("SELECT v FROM t", "1").listed("check of t"),
        case("Q-truth", "CREATE TABLE t (v BOOLEAN); INSERT INTO t VALUES (0), (1), ('true'), ('t'), ('False'), ('yes'), (NULL);").ask("SELECT sum(v) FROM t", "4"),
        case("Q-uuid", "CREATE TABLE t (v UUID); INSERT INTO t VALUES (x'550e8400e29b41d4a716446655440000');").ask("SELECT v FROM t", "550e8400-e29b-41d4-a716-446655440000"),
        case("Q-expression", "CREATE TABLE t (email TEXT, d INT); CREATE UNIQUE INDEX u ON t (lower(email)); CREATE UNIQUE INDEX w ON t (email) WHERE d > 0; INSERT INTO t VALUES ('A@x', 1);").refuse("INSERT INTO t VALUES ('a@X', 0)"),
        case("Q-long-expression", "CREATE TABLE t (v TEXT); CREATE UNIQUE INDEX u ON t (lower(v)); INSERT INTO t VALUES (hex(zeroblob(1000)));").listed("index u of t"),
        case("Q-nocase", "CREATE TABLE t (v VARCHAR(20) COLLATE NOCASE UNIQUE); INSERT INTO t VALUES ('Abc');").refuse("INSERT INTO t VALUES ('aBC')").listed("it refuses values there that it accepts here"),
        case("Q-wide", columns(80, "VARCHAR(255) DEFAULT 'x'")).ask("SELECT c0, c79 FROM t", "1|x").take("INSERT INTO t (c1) VALUES ('y')").listed("length of t.c"),
        case("Q-version", "PRAGMA user_version = 42; CREATE TABLE t (v INT); INSERT INTO t VALUES (1);").ask("SELECT v FROM t", "1").listed("PRAGMA user_version = 42"),
        case("Q-own-collation", "CREATE TABLE t (v TEXT, w TEXT COLLATE NOCASE); CREATE UNIQUE INDEX i ON t (v COLLATE NOCASE); CREATE UNIQUE INDEX j ON t (w COLLATE BINARY); INSERT INTO t VALUES ('Abc', 'x');")
            .listed("it accepts values there that it refuses here").listed("it refuses values there that it accepts here"),
        case("Q-null-key", "CREATE TABLE t (k TEXT PRIMARY KEY, v INT); INSERT INTO t VALUES (NULL, 1), (NULL, 2), ('a', 3);").ask("SELECT count(*) FROM t", "3").listed("null-in-key"),
    ]
}
