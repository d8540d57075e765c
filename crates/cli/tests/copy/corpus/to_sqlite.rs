//! PostgreSQL and MySQL to SQLite (L01 to L21).

use super::to_mysql::columns;
use super::{Case, Pair, all, case};
use dunlin_testkit::engines::TestEngine;
use dunlin_testkit::servers::Kind;

#[test]
fn postgres_to_sqlite() {
    let pair = Pair {
        from: TestEngine::Server(Kind::Postgres),
        to: TestEngine::Sqlite,
    };
    all(pair, &of_postgres(), KNOWN_POSTGRES);
}

#[test]
fn mysql_to_sqlite() {
    let pair = Pair {
        from: TestEngine::Server(Kind::Mysql),
        to: TestEngine::Sqlite,
    };
    all(pair, &of_mysql(), KNOWN_MYSQL);
}

const KNOWN_POSTGRES: &[(&str, &str)] = &[];
const KNOWN_MYSQL: &[(&str, &str)] = &[];

fn of_postgres() -> Vec<Case> {
    vec![
        case("comments", "CREATE TABLE t (v int); INSERT INTO t VALUES (1); COMMENT ON TABLE t IS 'what it is'; COMMENT ON COLUMN t.v IS 'a number';")
            .ask("SELECT v FROM t", "1").listed("what it is").listed("a number"),
        case("L01", "CREATE TABLE t (v numeric(38,20)); INSERT INTO t VALUES (12345678901234567.1234567890123456789);")
            .ask("SELECT CAST(v AS TEXT) FROM t", "12345678901234567.12345678901234567890"),
        case("L02", "CREATE TABLE t (v numeric); INSERT INTO t VALUES ('NaN'), (1.50);").ask("SELECT v FROM t ORDER BY v", "1.50|NaN"),
        case("L03", "CREATE TABLE t (v jsonb); INSERT INTO t VALUES ('{\"a\": 2.50}');").ask("SELECT v FROM t", "{\"a\": 2.50}"),
        case("L04", "CREATE TABLE t (v json); INSERT INTO t VALUES ('{\"b\":1,\"a\":1,\"a\":2}');").ask("SELECT v FROM t", "{\"b\":1,\"a\":1,\"a\":2}"),
        case("L05", "CREATE TABLE t (v interval); INSERT INTO t VALUES ('1 year 2 mons 3 days 04:05:06.789');").ask("SELECT v FROM t", "1 year 2 mons 3 days 04:05:06.789"),
        case("L06", "CREATE TABLE t (v timestamp); INSERT INTO t VALUES ('infinity'), ('-infinity');").ask("SELECT v FROM t ORDER BY v", "-infinity|infinity"),
        case("L07", "CREATE TABLE t (v date); INSERT INTO t VALUES ('4713-01-01 BC');").ask("SELECT v FROM t", "4713-01-01 BC"),
        case("L08", "CREATE TABLE t (v time); INSERT INTO t VALUES ('24:00');").ask("SELECT v FROM t", "24:00:00"),
        case("L09", "CREATE TABLE t (v int4range); INSERT INTO t VALUES ('[1,5)');").ask("SELECT v FROM t", "[1,5)"),
        case("L10", "CREATE TABLE t (a money, b char(5), c uuid, d inet, e bit(3), f int[]); INSERT INTO t VALUES (12.5, 'x', '550e8400-e29b-41d4-a716-446655440000', '10.0.0.1/8', B'101', '{1,NULL,3}');")
            .ask("SELECT c, d, e, f FROM t", "550e8400-e29b-41d4-a716-446655440000|10.0.0.1/8|101|{1,NULL,3}"),
        case("L15", "CREATE TABLE t (id int PRIMARY KEY, a text DEFAULT 'it''s', b timestamptz DEFAULT now(), c uuid DEFAULT gen_random_uuid()); INSERT INTO t (id) VALUES (1);")
            .take("INSERT INTO t (id) VALUES (2)").ask("SELECT count(*) FROM t WHERE a = 'it''s' AND b NOT LIKE '%now%'", "2"),
        case("L16", "CREATE TABLE t (id int PRIMARY KEY, v varchar(5) NOT NULL CHECK (v <> ''), w int UNIQUE); INSERT INTO t VALUES (1, 'a', 2);")
            .refuse("INSERT INTO t VALUES (2, '', 3)").refuse("INSERT INTO t VALUES (2, NULL, 3)").refuse("INSERT INTO t VALUES (2, 'b', 2)"),
        case("L17", "CREATE TABLE t (v jsonb); INSERT INTO t VALUES ('[1]');").ask("SELECT json_extract(v, '$[0]') FROM t", "1"),
        case("L18", "CREATE TABLE t (v timestamptz); INSERT INTO t VALUES ('2024-06-01 12:00:00+05:30');").ask("SELECT datetime(v) FROM t", "2024-06-01 06:30:00"),
        case("L17-check", "CREATE TABLE t (v json); INSERT INTO t VALUES ('{\"a\": 1}'), (NULL);").refuse("INSERT INTO t VALUES ('{')").take("INSERT INTO t VALUES ('[]')"),
        // Not 100 GB: that rows are streamed is measured, that all of many arrive is asked here.
        case("L19", "CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t SELECT n, repeat(md5(n::text), 4) FROM generate_series(1, 60000) n;").ask("SELECT count(*), sum(id), sum(length(v)) FROM t", "60000|1800030000|7680000"),
        case("L20", "CREATE TABLE t (id int PRIMARY KEY, v bytea); INSERT INTO t SELECT n, decode(repeat(md5(n::text), 500), 'hex') FROM generate_series(1, 1000) n;").ask("PRAGMA integrity_check", "ok").ask("PRAGMA foreign_key_check", ""),
        // Ten rows of them are more values than a statement takes.
        case("L21", format!("{} INSERT INTO t SELECT t.* FROM t, generate_series(1, 29);", columns(1_500, "int"))).ask("SELECT count(*), sum(c0) FROM t", "30|30"),
        case("L-always", "CREATE TABLE t (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, v int); INSERT INTO t (v) VALUES (1), (2);").listed("GENERATED ALWAYS of t.id").take("INSERT INTO t (v) VALUES (3)").ask("SELECT max(id) FROM t", "3"),
        case("L-floats", "CREATE TABLE t (a float4, b float8); INSERT INTO t VALUES (16777216, 0.1), ('NaN', 'NaN');").stops(1, "not-finite").ask("SELECT b FROM t", "0.1"),
        case("L-counter", "CREATE TABLE t (id bigserial PRIMARY KEY, v text); INSERT INTO t (v) VALUES ('a'), ('b'); DELETE FROM t WHERE id = 2;").take("INSERT INTO t (v) VALUES ('c')").ask("SELECT max(id) FROM t", "3"),
        case("L-enum", "CREATE TYPE mood AS ENUM ('sad', 'ok'); CREATE TABLE t (v mood); INSERT INTO t VALUES ('ok');").ask("SELECT v FROM t", "ok").refuse("INSERT INTO t VALUES ('bad')"),
        case("L-own-collation", "CREATE COLLATION fold_und_2 (provider = icu, locale = 'und-u-ks-level2', deterministic = false); CREATE TABLE t (v text, w text); CREATE UNIQUE INDEX i ON t (v COLLATE fold_und_2); CREATE UNIQUE INDEX j ON t (w COLLATE \"C\"); INSERT INTO t VALUES ('a', 'b');")
            .refuse("INSERT INTO t VALUES ('A', 'x')").take("INSERT INTO t VALUES ('y', 'B')"),
        case("L-unknown-collation", "CREATE COLLATION mine (provider = icu, locale = 'tr-u-ks-level1', deterministic = false); CREATE TABLE t (v text); CREATE UNIQUE INDEX i ON t (v COLLATE mine); INSERT INTO t VALUES ('a');").listed("unknown-collation"),
        case("L-step", "CREATE TABLE t (id int GENERATED BY DEFAULT AS IDENTITY (INCREMENT 5) PRIMARY KEY, v int); INSERT INTO t (v) VALUES (1), (2);").listed("INCREMENT BY 5"),
        case("L-bytes", "CREATE TABLE t (v bytea); INSERT INTO t VALUES ('\\x00ff'), ('');").ask("SELECT hex(v) FROM t ORDER BY 1", "|00FF"),
    ]
}

pub(super) fn of_mysql() -> Vec<Case> {
    vec![
        case("L11", "CREATE TABLE t (v BIGINT UNSIGNED); INSERT INTO t VALUES (18446744073709551615), (1);").ask("SELECT CAST(max(CAST(v AS TEXT)) AS TEXT) FROM t", "18446744073709551615"),
        case("L11-counter", "CREATE TABLE t (v BIGINT UNSIGNED PRIMARY KEY AUTO_INCREMENT); INSERT INTO t VALUES (5);").take("INSERT INTO t DEFAULT VALUES").ask("SELECT max(v) FROM t", "6"),
        case("L12", "CREATE TABLE t (v FLOAT); INSERT INTO t VALUES (16777217);").ask("SELECT CAST(v AS INTEGER) FROM t", "16777216"),
        case("L13", "CREATE TABLE t (v DECIMAL(65,30)); INSERT INTO t VALUES (12345678901234567890123456789012345.123456789012345678901234567890);")
            .ask("SELECT CAST(v AS TEXT) FROM t", "12345678901234567890123456789012345.123456789012345678901234567890"),
        case("L14", "CREATE TABLE t (v VARCHAR(20), UNIQUE KEY u (v(3))); INSERT INTO t VALUES ('abcd');").refuse("INSERT INTO t VALUES ('abcz')").take("INSERT INTO t VALUES ('xyz')"),
        case("L15", "CREATE TABLE t (id INT PRIMARY KEY, a VARCHAR(40) DEFAULT (uuid()), b DATETIME(6) DEFAULT CURRENT_TIMESTAMP(6), c BIT(1) DEFAULT b'1'); INSERT INTO t (id) VALUES (1);")
            .take("INSERT INTO t (id) VALUES (2)").ask("SELECT count(*) FROM t WHERE a = 'uuid()' OR b LIKE 'current%' OR c LIKE 'b%'", "0"),
        case("L-zero", "CREATE TABLE t (id INT PRIMARY KEY, v DATE); INSERT INTO t VALUES (1, '0000-00-00'), (2, '2024-01-01');").stops(1, "zero-date").ask("SELECT v FROM t", "2024-01-01"),
        case("L-ci", "CREATE TABLE t (v VARCHAR(20) COLLATE utf8mb4_0900_ai_ci UNIQUE); INSERT INTO t VALUES ('ABC');").refuse("INSERT INTO t VALUES ('abc')"),
        case("L-accents", "CREATE TABLE t (v VARCHAR(20) COLLATE utf8mb4_general_ci, w VARCHAR(20) COLLATE utf8mb4_general_ci UNIQUE, UNIQUE KEY u (v)); INSERT INTO t VALUES ('ABC', 'e');").refuse("INSERT INTO t VALUES ('abc', 'x')").listed("index-collation"),
        case("L-time", "CREATE TABLE t (v TIME(3)); INSERT INTO t VALUES ('838:59:59'), ('-12:30:00.5');").ask("SELECT v FROM t ORDER BY v", "-12:30:00.500000|838:59:59"),
        case("L-set", "CREATE TABLE t (v SET('p','q','r s')); INSERT INTO t VALUES (''), ('p,r s');").refuse("INSERT INTO t VALUES ('p,x')").take("INSERT INTO t VALUES ('q,r s')").take("INSERT INTO t VALUES ('')"),
        case("L-bit", "CREATE TABLE t (id INT PRIMARY KEY, v BIT(4) DEFAULT b'101'); INSERT INTO t (id) VALUES (1);").take("INSERT INTO t (id) VALUES (2)").ask("SELECT v FROM t", "0101|0101"),
        case("L21-columns", columns(2_100, "TINYINT").replacen("); INSERT", ") ENGINE=MyISAM; INSERT", 1)).stops(4, "too-many-columns"),
        case("L-shape", "CREATE TABLE t (g GEOMETRY); INSERT INTO t VALUES (ST_GeomFromText('POINT(1 2)'));").listed("geometry-as-bytes").ask("SELECT length(g) FROM t", "25"),
        case("L-nul", "CREATE TABLE t (v TEXT); INSERT INTO t VALUES ('a\\0b');").ask("SELECT hex(v) FROM t", "610062"),
    ]
}
