//! SQLite to PostgreSQL: values (S01 to S36, S70).

use super::{Case, Pair, all, case, keys, names};
use dunlin_testkit::engines::TestEngine;
use dunlin_testkit::servers::Kind;

const PAIR: Pair = Pair {
    from: TestEngine::Sqlite,
    to: TestEngine::Server(Kind::Postgres),
};

#[test]
fn sqlite_to_postgres() {
    all(PAIR, &cases(), KNOWN);
}

pub(super) fn cases() -> Vec<Case> {
    let mut cases = numbers();
    cases.extend(moments());
    cases.extend(texts());
    cases.extend(keys::cases());
    cases.extend(names::cases());
    cases
}

/// What is not as it must be yet: the case, and a part of how it fails.
const KNOWN: &[(&str, &str)] = &[];

fn type_of(column: &str) -> String {
    format!(
        "SELECT format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = 't'::regclass AND attname = '{column}'"
    )
}

fn numbers() -> Vec<Case> {
    vec![
        case("S01", "CREATE TABLE t (v REAL); INSERT INTO t VALUES (3.141592653589793), (16777217.0), (1700000000.123456);")
            .ask("SELECT v::text FROM t ORDER BY t.v", "3.141592653589793|16777217|1700000000.123456"),
        case("S02", "CREATE TABLE t (v REAL); INSERT INTO t VALUES (1e308), (9e999), (-9e999);")
            .ask("SELECT v::text FROM t ORDER BY v", "-Infinity|1e+308|Infinity"),
        case("S03", "CREATE TABLE t (v REAL); INSERT INTO t VALUES (-0.0), (0.0);")
            .ask("SELECT v::text FROM t", "0|0"),
        case("S04", "CREATE TABLE t (v INT); INSERT INTO t VALUES (2147483648), (9223372036854775807), (-9223372036854775808);")
            .ask(&type_of("v"), "bigint").ask("SELECT sum(v)::text FROM t WHERE v > 0", "9223372039002259455"),
        case("S05", "CREATE TABLE t (v \"UNSIGNED BIG INT\"); INSERT INTO t VALUES (18446744073709551615), (1);")
            .ask("SELECT max(v)::text FROM t", "1.8446744073709552e+19"),
        case("S06", "CREATE TABLE t (v INTEGER); INSERT INTO t VALUES (1), (1.5), (1e20), ('12abc'), (''), (x'01');")
            .ask("SELECT count(*) FROM t WHERE v::text IN ('12abc', '1.5', '1')", "3").listed("t"),
        case("S06-numbers", "CREATE TABLE t (v INTEGER); INSERT INTO t VALUES (1), (1.5), (NULL);")
            .ask("SELECT sum(v)::text FROM t", "2.5"),
        case("S07", "CREATE TABLE t (v INTEGER); INSERT INTO t VALUES (9223372036854775808), (7);")
            .ask("SELECT count(*) FROM t WHERE v = 7", "1"),
        case("S08", "CREATE TABLE t (v); INSERT INTO t VALUES (1), ('1'), (1.0), (x'31');").listed("mixed"),
        case("S09", "CREATE TABLE t (v); INSERT INTO t VALUES (x'00'), (x'ff00');")
            .ask("SELECT encode(v, 'hex') FROM t ORDER BY 1", "00|ff00"),
        case("S09-mixed", "CREATE TABLE t (id INTEGER PRIMARY KEY, v); INSERT INTO t VALUES (1, 'a'), (2, x'00');").listed("mixed")
            .ask("SELECT encode(v, 'hex') FROM t ORDER BY id", "61|00"),
        case("S10", "CREATE TABLE t (v BOOLEAN); INSERT INTO t VALUES (0), (1), ('true'), ('t'), ('False'), ('yes'), (NULL);")
            .ask("SELECT count(*) FROM t WHERE v", "4").ask("SELECT count(*) FROM t WHERE NOT v", "2"),
        case("S10-two", "CREATE TABLE t (v BOOLEAN); INSERT INTO t VALUES (0), (1), (2);")
            .ask("SELECT sum(v) FROM t", "3"),
        case("S30", "CREATE TABLE t (v NUMERIC(10,2)); INSERT INTO t VALUES (0.1+0.2), (1.005), (2.675), (1e15+0.3);")
            .ask("SELECT v::text FROM t ORDER BY t.v LIMIT 3", "0.30000000000000004|1.005|2.675"),
        case("S31", "CREATE TABLE t (v DECIMAL(38,20)); INSERT INTO t VALUES ('12345678901234567.1234567890123456789');")
            .ask("SELECT count(*) FROM t WHERE v BETWEEN 12345678901234500 AND 12345678901234600", "1"),
        case("S36", "CREATE TABLE t (v STRING); INSERT INTO t VALUES ('007'), ('x');")
            .ask("SELECT v FROM t ORDER BY v", "7|x"),
        case("S70", "CREATE TABLE t (a \"FLOATING POINT\", b CHARINT); INSERT INTO t VALUES (1.5, '7'), (2, 8);")
            .ask("SELECT sum(a)::text, sum(b)::text FROM t", "3.5|15"),
    ]
}

fn moments() -> Vec<Case> {
    vec![
        case("S11", "CREATE TABLE t (v DATETIME); INSERT INTO t VALUES ('2024-02-29 12:00:00'), (NULL);")
            .ask(&type_of("v"), "timestamp without time zone").ask("SELECT v::text FROM t WHERE v IS NOT NULL", "2024-02-29 12:00:00"),
        case("S12", "CREATE TABLE t (v DATETIME); INSERT INTO t VALUES (1700000000), (1600000000);")
            .ask("SELECT min(v)::timestamp::text FROM t", "2020-09-13 12:26:40"),
        case("S13", "CREATE TABLE t (v DATETIME); INSERT INTO t VALUES (1700000000123), (1600000000456);")
            .ask("SELECT min(v)::timestamp::text FROM t", "2020-09-13 12:26:40.456"),
        case("S14", "CREATE TABLE t (v DATETIME); INSERT INTO t VALUES (2460000.5);")
            .ask("SELECT v::timestamp::text FROM t", "2023-02-25 00:00:00"),
        case("S15", "CREATE TABLE t (v DATETIME); INSERT INTO t VALUES (2024), (0);")
            .ask("SELECT v::text FROM t ORDER BY 1", "0|2024"),
        case("S16", "CREATE TABLE t (v TIMESTAMP); INSERT INTO t VALUES ('2024-06-01 12:00:00+05:30'), ('2024-06-01T12:00:00Z');")
            .ask("SELECT (v AT TIME ZONE 'UTC')::text FROM t ORDER BY v", "2024-06-01 06:30:00|2024-06-01 12:00:00"),
        case("S16-mixed", "CREATE TABLE t (v TIMESTAMP); INSERT INTO t VALUES ('2024-06-01 12:00:00+05:30'), ('2024-06-01 12:00:00');")
            .ask("SELECT v::text FROM t ORDER BY 1", "2024-06-01 12:00:00|2024-06-01 12:00:00+05:30").listed("mixed-offsets"),
        case("S17", "CREATE TABLE t (v DATETIME); INSERT INTO t VALUES ('2024-06-01 12:00:00.123456789');")
            .ask("SELECT v::text FROM t", "2024-06-01 12:00:00.123456789"),
        case("S18", "CREATE TABLE t (a DATE, b DATETIME); INSERT INTO t VALUES ('now', 'today'), ('infinity', 'tomorrow');")
            .stops(1, "bad-date")
            .ask("SELECT a::text FROM t ORDER BY 1", "infinity"),
        case("S19", "CREATE TABLE t (v DATE); INSERT INTO t VALUES ('2024-13-45'), (''), ('24:00'), ('12:00:00'), ('29/02/2024'), ('2023-02-29'), (20240229), ('0000-00-00');")
            .ask("SELECT count(*) FROM t WHERE v::text IN ('2024-13-45', '29/02/2024', '20240229', '0000-00-00')", "4"),
        case("S20", "CREATE TABLE t (v DATE); INSERT INTO t VALUES ('2024-02-29 23:00:00'), ('2024-02-29');")
            .ask("SELECT count(*) FROM t WHERE v::text LIKE '%23:00%'", "1"),
    ]
}

fn texts() -> Vec<Case> {
    vec![
        case("S21", "CREATE TABLE t (v BLOB); INSERT INTO t VALUES (x'0001ff'), (x'');")
            .ask("SELECT encode(v, 'hex') FROM t ORDER BY 1", "|0001ff"),
        case("S22", "CREATE TABLE t (v BLOB); INSERT INTO t VALUES ('abcd'), (x'00');")
            .ask("SELECT encode(v, 'hex') FROM t ORDER BY 1", "00|61626364").listed("t"),
        case("S23", "CREATE TABLE t (v BLOB); INSERT INTO t VALUES (42), (x'ff');").stops(1, "wrong-class")
            .ask("SELECT encode(v, 'hex') FROM t", "ff"),
        case("S24", "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT); INSERT INTO t VALUES (1, 'a' || char(0) || 'b'), (2, 'c');").stops(1, "text-nul")
            .ask("SELECT v FROM t", "c"),
        case("S25", "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT); INSERT INTO t VALUES (1, CAST(x'ff41' AS TEXT)), (2, 'after');").stops(1, "not-utf8")
            .ask("SELECT v FROM t", "after"),
        case("S25-surrogate", "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT); INSERT INTO t VALUES (1, CAST(x'eda080' AS TEXT)), (2, 'after');").stops(1, "not-utf8")
            .ask("SELECT v FROM t", "after"),
        case("S25-blob", "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT); INSERT INTO t VALUES (1, x'fffe'), (2, 'after');").stops(1, "wrong-class")
            .ask("SELECT v FROM t", "after"),
        case("S26", "PRAGMA encoding = 'UTF-16le'; CREATE TABLE t (v TEXT); INSERT INTO t VALUES ('Ayşe 🚚 رضا');")
            .ask("SELECT v FROM t", "Ayşe 🚚 رضا"),
        case("S27", "CREATE TABLE t (v TEXT); INSERT INTO t VALUES ('\\N'), ('\\.'), ('\\\\'), ('\\x41'), (char(9, 13, 10, 8, 11));")
            .ask("SELECT encode(convert_to(v, 'UTF8'), 'hex') FROM t ORDER BY 1", "090d0a080b|5c2e|5c4e|5c5c|5c783431"),
        case("S28", "CREATE TABLE t (v TEXT); INSERT INTO t VALUES ('e' || char(769)), ('é'), ('🚚'), (''), (NULL), ('trail  ');")
            .ask("SELECT encode(convert_to(v, 'UTF8'), 'hex') FROM t WHERE v IS NOT NULL ORDER BY 1", "|65cc81|747261696c2020|c3a9|f09f9a9a"),
        case("S29", "CREATE TABLE t (v VARCHAR(3)); INSERT INTO t VALUES ('abcdef'), ('ab');").ask("SELECT max(v) FROM t", "abcdef"),
        case("S32", "CREATE TABLE t (v JSON); INSERT INTO t VALUES ('{\"a\":1,\"a\":2}'), ('{''bad'':1}'), ('{\"u\":\"\\u0000\"}'), (''), ('NaN');")
            .ask("SELECT count(*) FROM t WHERE v::text = '{\"a\":1,\"a\":2}'", "1"),
        case("S32-twice", "CREATE TABLE t (v JSON); INSERT INTO t VALUES ('{\"a\":1,\"a\":2}'), ('[1, 2]');").ask(&type_of("v"), "json"),
        case("S32-clean", "CREATE TABLE t (v JSON); INSERT INTO t VALUES ('{\"b\":1,\"a\":2}'), ('[1, 2]');")
            .ask("SELECT v->>'a' FROM t WHERE v::text LIKE '{%'", "2"),
        case("S33", "CREATE TABLE t (v JSONB); INSERT INTO t VALUES (jsonb('{\"a\":1}'));")
            .ask("SELECT count(*) FROM t", "1").listed("t"),
        case("S34", "CREATE TABLE t (v UUID); INSERT INTO t VALUES ('550e8400-e29b-41d4-a716-446655440000');").ask(&type_of("v"), "uuid"),
        case("S34-bytes", "CREATE TABLE t (v UUID); INSERT INTO t VALUES (x'550e8400e29b41d4a716446655440000');")
            .ask("SELECT v::text FROM t", "550e8400-e29b-41d4-a716-446655440000"),
        case("S35", "CREATE TABLE t (a \"TEXT[]\", b \"INTEGER[]\", c \"BYTE[]\", d STRING, e NUMBER, f \"NATIVE CHARACTER(70)\", g LONGVARCHAR, h ANY, i \"ENUM('a','b')\");
            INSERT INTO t VALUES ('{a,b}', '{1,2}', x'00', 's', 1.25, 'n', 'l', 'any', 'a');").ask("SELECT a, e::text, g FROM t", "{a,b}|1.25|l"),
    ]
}
