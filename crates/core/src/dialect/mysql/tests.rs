//! What each statement is.
#![allow(clippy::unwrap_used)]

use super::lex::classify;
use crate::sql::{Condition, Kind, LexMode, SessionState, StatementClass, TxUse};

fn class(sql: &str) -> StatementClass {
    classify(sql, &LexMode::default())
}

fn post(sql: &str) -> Vec<String> {
    let show = |condition: &Condition| match condition {
        Condition::Exists(object) => format!("+{object}"),
        Condition::Missing(object) => format!("-{object}"),
        Condition::Empty(object) => format!("empty {object}"),
        Condition::ColumnType(object, text) => format!("{object}: {text}"),
        Condition::Body(object, text) => format!("{object} = {text}"),
        Condition::Rows(..) | Condition::Unwritten(_) => "asked by an undo only".into(),
    };
    class(sql).post.iter().map(show).collect()
}

fn inverse(sql: &str) -> Vec<String> {
    class(sql).inverse.unwrap_or_else(|| vec!["none".into()])
}

#[test]
fn families_and_transactions() {
    use {Kind::*, TxUse::*};
    for (sql, kind, tx) in [
        ("CREATE TABLE t (a INT)", Ddl, CommitsItself),
        ("create or replace view v as select 1", Ddl, CommitsItself),
        ("CREATE TEMPORARY TABLE t (a INT)", Ddl, Inside),
        ("DROP TEMPORARY TABLE IF EXISTS t", Ddl, Inside),
        ("DROP TABLE user", Ddl, CommitsItself),
        ("DROP PROCEDURE users", Ddl, CommitsItself),
        ("RENAME TABLE a TO b", Ddl, CommitsItself),
        ("TRUNCATE t", Ddl, CommitsItself),
        (
            "/*!40000 ALTER TABLE `t` DISABLE KEYS */",
            Ddl,
            CommitsItself,
        ),
        ("CREATE USER IF NOT EXISTS 'a'@'%'", Rights, CommitsItself),
        ("GRANT SELECT ON a.* TO 'b'@'c'", Rights, CommitsItself),
        ("SET PASSWORD = 'x'", Rights, CommitsItself),
        ("INSERT IGNORE t VALUES (1)", Dml, Inside),
        (
            "WITH x AS (SELECT 1) DELETE FROM t WHERE a IN (SELECT * FROM x)",
            Dml,
            Inside,
        ),
        ("LOAD DATA INFILE 'x' INTO TABLE t", Dml, Inside),
        ("SELECT a, count(*) FROM t GROUP BY a", Query, Inside),
        ("(SELECT 1) UNION (SELECT 2)", Query, Inside),
        ("SELECT my_own_function(1)", Call, Inside),
        ("SHOW TABLES", Query, Inside),
        ("CALL p(1)", Call, Inside),
        ("BEGIN NOT ATOMIC SELECT 1; END", Call, Inside),
        ("BEGIN", Transaction, CommitsItself),
        ("START TRANSACTION", Transaction, CommitsItself),
        ("SET autocommit = 0", Transaction, CommitsItself),
        ("SET @@session.autocommit=0", Transaction, CommitsItself),
        ("LOCK TABLES t WRITE", Transaction, CommitsItself),
        ("OPTIMIZE TABLE t", Maintenance, CommitsItself),
        ("USE `x`", Session, Inside),
        ("FROBNICATE", Unknown, CommitsItself),
    ] {
        let class = class(sql);
        assert_eq!((class.kind, class.tx), (kind, tx), "{sql}");
    }
}

#[test]
fn session_state() {
    use SessionState::*;
    for (sql, state) in [
        ("SET NAMES utf8mb4", Sets),
        ("SET @x = 5, @y = 'a'", Sets),
        ("SET @x = (SELECT max(id) FROM t)", Shares),
        ("SET @x = @y + 1", Shares),
        ("SET @x = NOW()", Shares),
        (
            "SET @OLD_SQL_MODE=@@SQL_MODE, SQL_MODE='NO_AUTO_VALUE_ON_ZERO'",
            Sets,
        ),
        ("SET SQL_MODE=@OLD_SQL_MODE", Sets),
        (
            "SET sql_mode = REPLACE(@@sql_mode, 'ONLY_FULL_GROUP_BY', '')",
            Sets,
        ),
        ("SET FOREIGN_KEY_CHECKS = 0", Sets),
        ("SELECT id INTO @x FROM t", Shares),
        ("SELECT @x := 1", Shares),
        ("INSERT INTO t VALUES (@x)", Shares),
        ("INSERT INTO t VALUES (LAST_INSERT_ID())", Shares),
        ("INSERT INTO t VALUES ('@x')", None),
        ("CREATE TEMPORARY TABLE t AS SELECT 1", Shares),
        ("PREPARE s FROM @x", Shares),
        ("EXECUTE s", Shares),
        ("DEALLOCATE PREPARE s", Shares),
        ("DROP PREPARE s", Shares),
        (
            "CREATE DEFINER='a'@'b' TRIGGER x BEFORE INSERT ON t FOR EACH ROW SET @z = 1",
            None,
        ),
    ] {
        assert_eq!(class(sql).state, state, "{sql}");
    }
}

#[test]
fn postconditions() {
    let cases: &[(&str, &[&str])] = &[
        (
            "CREATE TABLE IF NOT EXISTS `a`.`t` (`id` INT)",
            &["+table a.t"],
        ),
        ("CREATE TABLE t SELECT 1 AS a", &[]),
        ("DROP TABLE IF EXISTS a, b", &["-table a", "-table b"]),
        ("CREATE UNIQUE INDEX i ON t (a)", &["+index t.i"]),
        ("DROP INDEX i ON s.t", &["-index s.t.i"]),
        ("RENAME TABLE a TO b", &["-table a", "+table b"]),
        (
            "RENAME TABLE t TO t_old, t_new TO t",
            &["+table t_old", "-table t_new"],
        ),
        ("RENAME TABLE a TO tmp, b TO a, tmp TO b", &[]),
        ("TRUNCATE TABLE t", &["empty table t"]),
        (
            "ALTER TABLE t ADD COLUMN a INT NOT NULL DEFAULT 0 AFTER x, ADD (b DECIMAL(10,2), c TEXT), DROP d, \
             ADD INDEX i (a, b), ADD UNIQUE KEY (c), DROP KEY j, ALGORITHM=INPLACE, LOCK=NONE",
            &[
                "+column t.a",
                "+column t.b",
                "+column t.c",
                "-column t.d",
                "+index t.i",
                "+index t.c",
                "-index t.j",
            ],
        ),
        (
            "ALTER TABLE t ADD CONSTRAINT f FOREIGN KEY (a) REFERENCES u (id) ON DELETE CASCADE, ADD PRIMARY KEY (a), \
             DROP FOREIGN KEY g, ADD CONSTRAINT k CHECK (a > 0), RENAME COLUMN x TO y",
            &[
                "+constraint t.f",
                "+constraint t.PRIMARY",
                "-constraint t.g",
                "+constraint t.k",
                "-column t.x",
                "+column t.y",
            ],
        ),
        (
            "ALTER TABLE t MODIFY a VARCHAR(20) CHARACTER SET utf8 NOT NULL",
            &["column t.a: VARCHAR(20)"],
        ),
        (
            "ALTER TABLE t CHANGE a b BIGINT UNSIGNED NULL",
            &["-column t.a", "+column t.b", "column t.b: BIGINT UNSIGNED"],
        ),
        (
            "ALTER TABLE t RENAME TO u, ADD a INT",
            &["-table t", "+table u"],
        ),
        ("ALTER TABLE t ENGINE=InnoDB", &[]),
        (
            "ALTER TABLE t ADD PARTITION (PARTITION p VALUES LESS THAN (1)), ADD a INT",
            &[],
        ),
        ("CREATE VIEW v AS SELECT 1", &["+view v"]),
        (
            "CREATE DEFINER = CURRENT_USER() PROCEDURE p(IN a INT) COMMENT 'x' DETERMINISTIC\nBEGIN\n SELECT 1; END",
            &["+procedure p", "procedure p = BEGIN\n SELECT 1; END"],
        ),
        (
            "CREATE FUNCTION f(a INT) RETURNS VARCHAR(10) CHARSET utf8 NO SQL RETURN 'x'",
            &["+function f", "function f = RETURN 'x'"],
        ),
        (
            "CREATE TRIGGER g BEFORE INSERT ON t FOR EACH ROW FOLLOWS h SET NEW.a = 1",
            &["+trigger t.g", "trigger t.g = SET NEW.a = 1"],
        ),
        (
            "CREATE EVENT e ON SCHEDULE EVERY 1 DAY DO DELETE FROM t",
            &["+event e", "event e = DELETE FROM t"],
        ),
        (
            "CREATE PROCEDURE p() BEGIN SELECT 1; END;",
            &["+procedure p", "procedure p = BEGIN SELECT 1; END"],
        ),
        ("CREATE PROCEDURE p() SELECT 'a''b'", &["+procedure p"]),
        ("ALTER TABLE t MODIFY a INT;", &["column t.a: INT"]),
        ("DROP TRIGGER IF EXISTS s.g", &["-trigger s.g"]),
        ("FROBNICATE TABLE t", &[]),
        ("INSERT INTO t VALUES (1)", &[]),
    ];
    for (sql, expected) in cases {
        assert_eq!(post(sql), *expected, "{sql}");
    }
}

#[test]
fn inverses() {
    let cases: &[(&str, &[&str])] = &[
        (
            "CREATE TABLE IF NOT EXISTS s.`a``b` (a INT)",
            &["DROP TABLE `s`.`a``b`"],
        ),
        ("CREATE OR REPLACE VIEW v AS SELECT 1", &["none"]),
        ("CREATE VIEW v AS SELECT 1", &["DROP VIEW `v`"]),
        (
            "CREATE INDEX i ON t (a)",
            &["ALTER TABLE `t` DROP INDEX `i`"],
        ),
        (
            "ALTER TABLE t ADD a INT, ADD INDEX i (a)",
            &[
                "ALTER TABLE `t` DROP INDEX `i`",
                "ALTER TABLE `t` DROP COLUMN `a`",
            ],
        ),
        ("ALTER TABLE t ADD INDEX (a)", &["none"]),
        (
            "ALTER TABLE t ADD a INT, RENAME TO u",
            &["RENAME TABLE `u` TO `t`", "ALTER TABLE `t` DROP COLUMN `a`"],
        ),
        (
            "RENAME TABLE a TO b, c TO a",
            &["RENAME TABLE `a` TO `c`, `b` TO `a`"],
        ),
        (
            "ALTER TABLE t RENAME COLUMN a TO b",
            &["ALTER TABLE `t` RENAME COLUMN `b` TO `a`"],
        ),
        ("ALTER TABLE t CHANGE a b INT", &["none"]),
        (
            "ALTER TABLE t ADD CONSTRAINT f FOREIGN KEY (a) REFERENCES u (b)",
            &["ALTER TABLE `t` DROP FOREIGN KEY `f`"],
        ),
        ("ALTER TABLE t DROP COLUMN a", &["none"]),
        (
            "ALTER TABLE t ADD COLUMN IF NOT EXISTS a INT, ADD COLUMN IF NOT EXISTS b INT",
            &["none"],
        ),
        ("DROP TABLE t", &["none"]),
        ("INSERT INTO t VALUES (1)", &["none"]),
        ("CREATE PROCEDURE p() SELECT 1", &["DROP PROCEDURE `p`"]),
    ];
    for (sql, expected) in cases {
        assert_eq!(inverse(sql), *expected, "{sql}");
    }
}

#[test]
fn flags_tables_and_hazards() {
    let show = |sql: &str| {
        class(sql)
            .touches
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
    };
    assert_eq!(
        show("UPDATE a JOIN s.b ON a.x = b.x SET a.y = 1"),
        ["table a", "table s.b"]
    );
    assert_eq!(
        show("DELETE a FROM t AS a JOIN u ON 1 WHERE a.x"),
        ["table t", "table u"]
    );
    assert_eq!(show("ALTER TABLE t ADD INDEX i (a)"), ["table t"]);
    assert_eq!(
        show("INSERT INTO t SELECT * FROM u, v w, x JOIN y USING (a)"),
        ["table t"]
    );
    let reads = class("INSERT INTO t SELECT * FROM u, v w, x JOIN y USING (a)").reads;
    assert_eq!(
        reads
            .iter()
            .map(|table| table.name.as_str())
            .collect::<Vec<_>>(),
        ["u", "v", "x", "y"]
    );
    assert!(class("RENAME TABLE a TO t, b TO a").swap);
    assert!(class("ALTER TABLE t EXCHANGE PARTITION p WITH TABLE u").swap);
    assert!(class("DROP VIEW a, b").drops_many);
    assert!(!class("ALTER TABLE t DROP a, DROP b").drops_many);
    assert!(class("CREATE TABLE IF NOT EXISTS t (a INT) ENGINE = MyISAM").if_not_exists);
    assert_eq!(
        class("CREATE TABLE t (a INT) ENGINE=MyISAM")
            .storage
            .as_deref(),
        Some("MyISAM")
    );
    assert!(class("CREATE TABLE t (a INT)").catalog_only);
    assert!(!class("TRUNCATE t").catalog_only);
    assert!(!class("UPDATE t SET a = 1").catalog_only);
    let hazards = |sql: &str| {
        class(sql)
            .hazards
            .iter()
            .map(|hazard| hazard.code)
            .collect::<Vec<_>>()
    };
    assert_eq!(hazards("DROP TABLE t"), ["data-loss"]);
    assert_eq!(hazards("UPDATE t SET a = 1"), ["data-loss"]);
    assert_eq!(hazards("UPDATE t SET a = 1 WHERE b"), Vec::<&str>::new());
    assert_eq!(
        hazards("ALTER TABLE t ADD a INT NOT NULL"),
        ["not-null-without-default"]
    );
    assert_eq!(hazards("ALTER TABLE t MODIFY a BIGINT"), ["table-rewrite"]);
    assert_eq!(
        hazards("ALTER TABLE t ADD a INT, ADD INDEX i (a)"),
        Vec::<&str>::new()
    );
}
