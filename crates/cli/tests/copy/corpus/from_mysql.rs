//! MySQL and MariaDB to PostgreSQL (M01 to M42).

use super::{Case, Pair, all, case};
use dunlin_testkit::engines::TestEngine;
use dunlin_testkit::servers::Kind;

#[test]
fn mysql_to_postgres() {
    let mut cases = common();
    cases.extend(of_mysql());
    all(pair(Kind::Mysql), &cases, KNOWN);
}

#[test]
fn mariadb_to_postgres() {
    let mut cases = common();
    cases.extend(of_mariadb());
    all(pair(Kind::Mariadb), &cases, KNOWN);
}

/// What is not as it must be yet: the case, and a part of how it fails.
const KNOWN: &[(&str, &str)] = &[];

const fn pair(kind: Kind) -> Pair {
    Pair {
        from: TestEngine::Server(kind),
        to: TestEngine::Server(Kind::Postgres),
    }
}

pub(super) fn common() -> Vec<Case> {
    let mut cases = values();
    cases.extend(words());
    cases.extend(structure());
    cases
}

fn values() -> Vec<Case> {
    vec![
        case("M01", "CREATE TABLE t (id INT PRIMARY KEY, v DATE); INSERT INTO t VALUES (1, '0000-00-00'), (2, '2024-02-29');").stops(1, "zero-date")
            .ask("SELECT v::text FROM t", "2024-02-29"),
        case("M01-parts", "CREATE TABLE t (id INT PRIMARY KEY, v DATETIME NOT NULL DEFAULT '0000-00-00 00:00:00'); INSERT INTO t VALUES (1, '2024-00-15 00:00:00'), (2, '2024-06-00 00:00:00'), (3, '2024-06-01 00:00:00');").stops(1, "zero-date")
            .ask("SELECT v::text FROM t", "2024-06-01 00:00:00").refuse("INSERT INTO t VALUES (9, NULL)"),
        case("M02", "CREATE TABLE t (v DATETIME(6)); INSERT INTO t VALUES ('9999-12-31 23:59:59.999999');").ask("SELECT v::text FROM t", "9999-12-31 23:59:59.999999"),
        case("M03", "CREATE TABLE t (v TIME); INSERT INTO t VALUES ('838:59:59'), ('-12:30:00'), ('-00:00:01'), ('24:00:00');")
            .ask("SELECT v::text FROM t ORDER BY t.v", "-12:30:00|-00:00:01|24:00:00|838:59:59"),
        case("M03-day", "CREATE TABLE t (v TIME(3)); INSERT INTO t VALUES ('23:59:59.999'), ('00:00:00');").ask("SELECT v::text FROM t ORDER BY t.v", "00:00:00|23:59:59.999"),
        case("M04", "CREATE TABLE t (v YEAR); INSERT INTO t VALUES (0000), (1901), (2155);").ask("SELECT v FROM t ORDER BY v", "0|1901|2155"),
        case("M05", "CREATE TABLE t (v TINYINT(1)); INSERT INTO t VALUES (2), (-1), (127);").ask("SELECT v FROM t ORDER BY v", "-1|2|127"),
        case("M05-boolean", "CREATE TABLE t (v BOOLEAN); INSERT INTO t VALUES (0), (1), (NULL);").ask("SELECT count(*) FROM t WHERE v", "1"),
        case("M06", "CREATE TABLE t (a BIT(1), b BIT(8), c BIT(64)); INSERT INTO t VALUES (NULL, b'10101010', 0xffffffffffffffff), (b'1', b'0', 0);")
            .ask("SELECT b::text FROM t ORDER BY 1", "00000000|10101010").ask("SELECT max(c::text) FROM t", &"1".repeat(64)),
        case("M07", "CREATE TABLE t (v BIGINT UNSIGNED); INSERT INTO t VALUES (18446744073709551615), (1);").ask("SELECT max(v)::text FROM t", "18446744073709551615"),
        case("M07-counter", "CREATE TABLE t (v BIGINT UNSIGNED PRIMARY KEY AUTO_INCREMENT); INSERT INTO t VALUES (18446744073709551614), (1);")
            .ask("SELECT max(v)::text FROM t", "18446744073709551614").listed("counter of t.v"),
        case("M08", "CREATE TABLE t (a INT UNSIGNED, b MEDIUMINT UNSIGNED, c SMALLINT UNSIGNED, d TINYINT UNSIGNED); INSERT INTO t VALUES (4294967295, 16777215, 65535, 255);")
            .ask("SELECT a, b, c, d FROM t", "4294967295|16777215|65535|255"),
        case("M09", "CREATE TABLE t (v FLOAT); INSERT INTO t VALUES (16777217), (3.4028234e38), (12345.67);")
            .ask("SELECT v::text FROM t ORDER BY t.v", "12345.67|1.6777216e+07|3.4028235e+38"),
        case("M10", "CREATE TABLE t (v DOUBLE); INSERT INTO t VALUES (4.9e-324), (1e308), (0.1), (-0e0);").ask("SELECT v::text FROM t WHERE v <> 0 ORDER BY t.v", "5e-324|0.1|1e+308"),
        case("M11", "CREATE TABLE t (v DECIMAL(65,30)); INSERT INTO t VALUES (12345678901234567890123456789012345.123456789012345678901234567890);")
            .ask("SELECT v::text FROM t", "12345678901234567890123456789012345.123456789012345678901234567890"),
        case("M35", "CREATE TABLE t (v DATETIME); INSERT INTO t VALUES ('2024-03-10 02:30:00');").ask("SELECT v::text FROM t", "2024-03-10 02:30:00"),
        case("M36", "SET time_zone = '+03:30'; CREATE TABLE t (v TIMESTAMP NULL); INSERT INTO t VALUES ('2024-03-10 02:30:00');")
            .ask("SELECT (v AT TIME ZONE 'UTC')::text FROM t", "2024-03-09 23:00:00"),
        case("M38", "CREATE TABLE t (a INT, b TEXT); INSERT INTO t VALUES (1, 'x'), (1, 'x'), (NULL, NULL), (NULL, NULL);").ask("SELECT count(*) FROM t", "4"),
        case("M39", "CREATE TABLE t (v BLOB); INSERT INTO t VALUES (x'00ff5c0a'), ('');").ask("SELECT encode(v, 'hex') FROM t ORDER BY 1", "|00ff5c0a"),
        case("M41", "CREATE TABLE t (v VARCHAR(9) NOT NULL, w TEXT); INSERT INTO t VALUES ('', NULL);").ask("SELECT v, w FROM t", "|NULL"),
    ]
}

fn words() -> Vec<Case> {
    vec![
        case("M12", "CREATE TABLE t (id INT PRIMARY KEY, v TEXT); INSERT INTO t VALUES (1, 'a\\0b'), (2, 'c');").stops(1, "text-nul").ask("SELECT v FROM t", "c"),
        case("M13", "CREATE TABLE t (v VARCHAR(9) CHARACTER SET latin1); INSERT INTO t VALUES (x'80'), (x'e9');").ask("SELECT v FROM t ORDER BY v COLLATE \"C\"", "é|€"),
        case("M14", "CREATE TABLE t (v VARCHAR(9) CHARACTER SET latin1); INSERT INTO t VALUES (x'c3a9');").ask("SELECT v FROM t", "Ã©"),
        case("M15", "CREATE TABLE t (a VARCHAR(9) CHARACTER SET utf8mb3, b VARCHAR(9) CHARACTER SET ucs2, c VARCHAR(9) CHARACTER SET gbk, d VARCHAR(9) CHARACTER SET sjis);
            INSERT INTO t VALUES (x'c3a9', _ucs2 x'00e9', _gbk x'c4e3', _sjis x'82a0');").ask("SELECT a, b, c, d FROM t", "é|é|你|あ"),
        case("M16", "CREATE TABLE t (a CHAR(5), b VARCHAR(5), c BINARY(4)); INSERT INTO t VALUES ('x   ', 'y  ', 'ab');")
            .ask("SELECT '[' || a || ']', '[' || b || ']', encode(c, 'hex') FROM t", "[x]|[y  ]|61620000"),
        case("M17", "CREATE TABLE t (id INT PRIMARY KEY, v BINARY(4) NULL DEFAULT NULL); INSERT INTO t VALUES (1, 'ab');")
            .ask("INSERT INTO t (id) VALUES (2) RETURNING v", "NULL"),
        case("M18", "CREATE TABLE t (v ENUM('a','b,c','it''s','x\\\\y')); INSERT INTO t VALUES ('a'), ('b,c'), ('it''s'), ('x\\\\y');")
            .ask("SELECT v::text FROM t ORDER BY t.v", "a|b,c|it's|x\\y").refuse("INSERT INTO t VALUES ('z')"),
        case("M18-zero", "CREATE TABLE t (id INT PRIMARY KEY, v ENUM('a','b')); INSERT INTO t VALUES (1, 'a'), (2, 'nothing');").stops(1, "bad-label").ask("SELECT v::text FROM t", "a"),
        case("M19", "CREATE TABLE t (v ENUM('z','m','a')); CREATE TABLE u (v ENUM('z','m','a')); INSERT INTO t VALUES ('a'), ('m'), ('z'); INSERT INTO u VALUES ('m');")
            .ask("SELECT v::text FROM t ORDER BY t.v", "z|m|a"),
        case("M20", "CREATE TABLE t (v SET('p','q','r s')); INSERT INTO t VALUES (''), ('p,r s');").ask("SELECT v::text FROM t ORDER BY 1 DESC", "p,r s|")
            .refuse("INSERT INTO t VALUES ('p,x')").take("INSERT INTO t VALUES ('q,r s')").take("INSERT INTO t VALUES ('')"),
        case("M21", "CREATE TABLE t (v JSON); INSERT INTO t VALUES ('{\"b\":9223372036854775808,\"a\":1.10}'), ('[1, 2]');").ask("SELECT count(*) FROM t", "2"),
        case("M22", "CREATE TABLE t (v VARCHAR(20) COLLATE utf8mb4_general_ci UNIQUE) CHARACTER SET utf8mb4; INSERT INTO t VALUES ('ABC'), ('e');")
            .refuse("INSERT INTO t VALUES ('abc')").refuse("INSERT INTO t VALUES ('é')"),
        case("M23", "CREATE TABLE p (k VARCHAR(9) COLLATE utf8mb4_general_ci PRIMARY KEY) CHARACTER SET utf8mb4; CREATE TABLE t (id INT PRIMARY KEY, k VARCHAR(9) COLLATE utf8mb4_general_ci, FOREIGN KEY (k) REFERENCES p (k)) CHARACTER SET utf8mb4;
            INSERT INTO p VALUES ('ABC'); INSERT INTO t VALUES (1, 'ABC'), (2, 'abc');").stops(1, "orphan-row"),
        case("M40", "CREATE TABLE t (v LONGTEXT); INSERT INTO t VALUES (repeat('x', 2000000));").ask("SELECT length(v) FROM t", "2000000"),
    ]
}

fn structure() -> Vec<Case> {
    vec![
        case("M24", "CREATE TABLE t (a INT, b INT AS (a * 2) STORED, c INT AS (a + 1) VIRTUAL); INSERT INTO t (a) VALUES (1), (2);").ask("SELECT b, c FROM t ORDER BY a", "2|2|4|3"),
        case("M25", "CREATE TABLE t (a INT CHECK (a > 0), b VARCHAR(9) CHECK (char_length(b) < 4)); INSERT INTO t VALUES (1, 'abc');")
            .refuse("INSERT INTO t VALUES (0, 'a')").refuse("INSERT INTO t VALUES (1, 'abcd')"),
        case("M26", "CREATE TABLE t (id INT PRIMARY KEY, a VARCHAR(40) DEFAULT (uuid()), b DATETIME(6) DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6), c BIT(1) DEFAULT b'1', d VARCHAR(9) DEFAULT 'NULL', e VARCHAR(9) DEFAULT '', f INT DEFAULT '5');
            INSERT INTO t (id) VALUES (1);").ask("INSERT INTO t (id) VALUES (2) RETURNING length(a), b IS NULL, c, d, e, f", "36|f|1|NULL||5"),
        case("M27", "CREATE TABLE t (v VARCHAR(20), w VARCHAR(20), UNIQUE KEY u (v(3)), KEY d (w DESC), FULLTEXT KEY f (w)); INSERT INTO t VALUES ('abcd', 'x'), ('abd', 'y');")
            .refuse("INSERT INTO t VALUES ('abcz', 'z')").take("INSERT INTO t VALUES ('xyz', 'z')"),
        case("M28", "CREATE TABLE t (a INT, b INT, KEY i (a)); CREATE TABLE u (a INT, KEY i (a)); INSERT INTO t VALUES (1, 2); INSERT INTO u VALUES (1);")
            .ask("SELECT count(*) FROM pg_indexes WHERE tablename IN ('t', 'u')", "2"),
        case("M29", "CREATE TABLE p (id INT PRIMARY KEY); CREATE TABLE t (id INT PRIMARY KEY, p INT, FOREIGN KEY (p) REFERENCES p (id)); INSERT INTO p VALUES (1); SET foreign_key_checks = 0; INSERT INTO t VALUES (1, 1), (2, 9);")
            .stops(1, "orphan-row").ask("SELECT id FROM t", "1").refuse("INSERT INTO t VALUES (3, 9)"),
        case("M30", "CREATE TABLE t (id INT PRIMARY KEY AUTO_INCREMENT, v INT) AUTO_INCREMENT = 1000; INSERT INTO t VALUES (7, 1);").ask("INSERT INTO t (v) VALUES (2) RETURNING id", "1000"),
        case("M31", "CREATE TABLE `odd Table` (`Ca se` INT COMMENT 'it''s \"x\"', `b.c` INT) COMMENT 'of \\\\ `t`'; INSERT INTO `odd Table` VALUES (1, 2);")
            .ask("SELECT \"Ca se\", \"b.c\" FROM \"odd Table\"", "1|2").ask("SELECT col_description('\"odd Table\"'::regclass, 1)", "it's \"x\""),
        case("M32", "CREATE TABLE t (id INT PRIMARY KEY, v INT) PARTITION BY RANGE (id) (PARTITION a VALUES LESS THAN (10), PARTITION b VALUES LESS THAN MAXVALUE); INSERT INTO t VALUES (1, 1), (20, 2);")
            .ask("SELECT count(*) FROM t", "2").listed("partition"),
        case("M33", "CREATE TABLE t (id INT PRIMARY KEY, g GEOMETRY); INSERT INTO t VALUES (1, ST_GeomFromText('POLYGON((0 0,1 0,1 1,0 0))')), (2, NULL);")
            .ask("SELECT length(g) FROM t WHERE id = 1", "81"),
        case("M37", "CREATE TABLE t (id INT PRIMARY KEY, v INT) ENGINE=MyISAM; INSERT INTO t VALUES (1, 2);").ask("SELECT v FROM t", "2").listed("no-snapshot"),
        case("M42", "CREATE TABLE t (id INT PRIMARY KEY); INSERT INTO t VALUES (1); CREATE VIEW w AS SELECT id FROM t; CREATE PROCEDURE pr() SELECT 1;").ask("SELECT count(*) FROM t", "1").listed("pr"),
    ]
}

pub(super) fn of_mysql() -> Vec<Case> {
    vec![
        case("M22-ai", "CREATE TABLE t (v VARCHAR(20) COLLATE utf8mb4_0900_ai_ci UNIQUE) CHARACTER SET utf8mb4; INSERT INTO t VALUES ('ABC'), ('e');")
            .refuse("INSERT INTO t VALUES ('abc')").refuse("INSERT INTO t VALUES ('é')"),
        case("M27-expression", "CREATE TABLE t (v VARCHAR(20), UNIQUE KEY u ((lower(v)))); INSERT INTO t VALUES ('A');").refuse("INSERT INTO t VALUES ('a')"),
        case("M31-invisible", "CREATE TABLE t (a INT, b INT INVISIBLE); INSERT INTO t (a, b) VALUES (1, 2);").ask("SELECT b FROM t", "2"),
    ]
}

pub(super) fn of_mariadb() -> Vec<Case> {
    vec![
        case("M34", "CREATE TABLE t (a UUID, b INET6, c INET4); INSERT INTO t VALUES ('550e8400-e29b-41d4-a716-446655440000', '::1', '10.0.0.1');")
            .ask("SELECT a::text, b::text, c::text FROM t", "550e8400-e29b-41d4-a716-446655440000|::1|10.0.0.1"),
        case("M34-sequence", "CREATE SEQUENCE s START WITH 5; CREATE TABLE t (id INT); INSERT INTO t VALUES (1);").listed("s"),
        case("M31-invisible", "CREATE TABLE t (a INT, b INT INVISIBLE); INSERT INTO t (a, b) VALUES (1, 2);").ask("SELECT b FROM t", "2"),
    ]
}
