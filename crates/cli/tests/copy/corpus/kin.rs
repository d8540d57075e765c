//! MySQL and MariaDB to MySQL and MariaDB: everything goes over as it is, but for what one of the two has not.

use super::{Case, Pair, all, case};
use dunlin_testkit::engines::TestEngine;
use dunlin_testkit::servers::Kind;

fn pair(from: Kind, to: Kind) {
    let (from, to) = (TestEngine::Server(from), TestEngine::Server(to));
    all(Pair { from, to }, &cases(), &[]);
}

#[test]
fn mysql_to_mysql() {
    pair(Kind::Mysql, Kind::Mysql);
}

#[test]
fn mariadb_to_mariadb() {
    pair(Kind::Mariadb, Kind::Mariadb);
}

#[test]
fn mysql_to_mariadb() {
    pair(Kind::Mysql, Kind::Mariadb);
}

#[test]
fn mariadb_to_mysql() {
    pair(Kind::Mariadb, Kind::Mysql);
}

fn cases() -> Vec<Case> {
    vec![
        case("M01", "CREATE TABLE t (id INT PRIMARY KEY, v DATE); INSERT INTO t VALUES (1, '0000-00-00'), (2, '2024-00-15');").ask("SELECT CAST(v AS CHAR) FROM t ORDER BY id", "0000-00-00|2024-00-15"),
        case("M04", "CREATE TABLE t (v YEAR); INSERT INTO t VALUES (0000), (1901), (2000), (2155);").ask("SELECT v + 0 FROM t ORDER BY v", "0|1901|2000|2155"),
        case("M06", "CREATE TABLE t (id INT PRIMARY KEY, v BIT(9), w BIT(64)); INSERT INTO t VALUES (1, b'101', 0xffffffffffffffff), (2, b'0', NULL);").ask("SELECT v + 0 FROM t ORDER BY id", "5|0"),
        case("M07", "CREATE TABLE t (v BIGINT UNSIGNED PRIMARY KEY AUTO_INCREMENT); INSERT INTO t VALUES (18446744073709551614);").ask("SELECT v FROM t", "18446744073709551614"),
        case("M12", "CREATE TABLE t (v TEXT, w CHAR(5), x BINARY(4)); INSERT INTO t VALUES ('a\\0b', 'x   ', 'ab');").ask("SELECT hex(v), hex(x) FROM t", "610062|61620000"),
        case("M18", "CREATE TABLE t (v ENUM('a','b,c','it''s','','x\\\\y'), s SET('p','q r')); INSERT INTO t VALUES ('a', ''), ('b,c', 'p,q r'), ('it''s', NULL), ('x\\\\y', 'p'), ('', 'p');").ask("SELECT v + 0 FROM t ORDER BY v", "1|2|3|4|5"),
        case("M18-zero", "CREATE TABLE t (id INT PRIMARY KEY, v ENUM('a','b')); INSERT INTO t VALUES (1, 'a'), (2, 'nothing');").stops(1, "bad-label").ask("SELECT v FROM t", "a"),
        case("M21", "CREATE TABLE t (v JSON); INSERT INTO t VALUES ('{\"b\":9223372036854775808,\"a\":1.10}'), ('[1, 2]'), (NULL);")
            .ask("SELECT count(*) FROM t WHERE json_extract(v, '$.a') = 1.1", "1").refuse("INSERT INTO t VALUES ('{')"),
        case("M24", "CREATE TABLE t (id INT PRIMARY KEY, a INT, b INT AS (id * 2) STORED, c INT AS (a + 1) VIRTUAL, UNIQUE KEY u (b), KEY k (c)); INSERT INTO t (id, a) VALUES (1, 2), (2, 3);").ask("SELECT b, c FROM t ORDER BY id", "2|3|4|4"),
        case("M27", "CREATE TABLE t (v VARCHAR(20), w VARCHAR(20), UNIQUE KEY u (v(3)), KEY d (w DESC), FULLTEXT KEY f (w)); INSERT INTO t VALUES ('abcd', 'x');").refuse("INSERT INTO t VALUES ('abcz', 'z')"),
        case("M30", "CREATE TABLE t (id INT PRIMARY KEY AUTO_INCREMENT, v INT) AUTO_INCREMENT = 1000; INSERT INTO t VALUES (7, 1);").take("INSERT INTO t (v) VALUES (2)").ask("SELECT max(id) FROM t", "1000"),
        case("M32", "CREATE TABLE t (id INT PRIMARY KEY, v INT) PARTITION BY RANGE (id) (PARTITION a VALUES LESS THAN (10), PARTITION b VALUES LESS THAN (100)); INSERT INTO t VALUES (1, 1), (20, 2);")
            .ask("SELECT count(*) FROM t PARTITION (b)", "1").refuse("INSERT INTO t VALUES (200, 1)"),
        case("M32-hash", "CREATE TABLE t (id INT, v INT, note VARCHAR(9) DEFAULT 'x') COMMENT 'not PARTITION BY this' PARTITION BY RANGE (id) SUBPARTITION BY HASH (v) SUBPARTITIONS 2 (PARTITION a VALUES LESS THAN (10), PARTITION b VALUES LESS THAN MAXVALUE); INSERT INTO t (id, v) VALUES (1, 1), (20, 2);")
            .ask("SELECT count(*) FROM information_schema.partitions WHERE table_schema = database() AND table_name = 't' AND subpartition_name IS NOT NULL", "4"),
        case("M33", "CREATE TABLE t (id INT PRIMARY KEY, g GEOMETRY NOT NULL); INSERT INTO t VALUES (1, ST_GeomFromText('POLYGON((0 0,1 0,1 1,0 0))'));").ask("SELECT ST_AsText(ST_PointN(ST_ExteriorRing(g), 2)) FROM t", "POINT(1 0)"),
        case("M36", "SET time_zone = '+03:30'; CREATE TABLE t (v TIMESTAMP(6) NULL); INSERT INTO t VALUES ('2024-03-10 02:30:00.123456');").ask("SELECT unix_timestamp(v) FROM t", "1710025200.123456"),
        case("M38", "CREATE TABLE t (a INT, b TEXT); INSERT INTO t VALUES (1, 'x'), (1, 'x'), (NULL, NULL), (NULL, NULL);").ask("SELECT count(*) FROM t", "4"),
    ]
}
