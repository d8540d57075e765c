//! The splitter: statements, bodies, delimiters, COPY blocks; the pieces joined are the file.

use super::{mysql, postgres, sqlite, statements};
use crate::sql::{PieceKind, split};

#[test]
fn plain_statements_with_everything_around_them() {
    let text = "\u{feff}-- head; not a statement\r\nSELECT 1;\r\n/* ; */ ;;\n  SELECT ';' -- tail\n; SELECT 3 -- last";
    for rules in [sqlite(), postgres(), mysql()] {
        assert_eq!(
            statements(text, &rules),
            ["SELECT 1", "SELECT ';'", "SELECT 3"]
        );
    }
    assert_eq!(statements("", &sqlite()), Vec::<&str>::new());
    assert_eq!(statements(" -- nothing\n", &sqlite()), Vec::<&str>::new());
}

#[test]
fn delimiters_and_what_follows_them() {
    let text = "DELIMITER $$\nCREATE PROCEDURE p()\nBEGIN\n  SELECT 1;\nEND$$\n\nCREATE PROCEDURE q() SELECT 2 $$\n\
                DELIMITER ;\nSELECT 3;\ndelimiter //\nSELECT 4//\nSELECT 5\n//\nDELIMITER ;\r\nSELECT 6";
    assert_eq!(
        statements(text, &mysql()),
        [
            "CREATE PROCEDURE p()\nBEGIN\n  SELECT 1;\nEND",
            "CREATE PROCEDURE q() SELECT 2",
            "SELECT 3",
            "SELECT 4",
            "SELECT 5",
            "SELECT 6",
        ]
    );
    let (pieces, _) = split(text, &mysql());
    let clients: Vec<&str> = pieces
        .iter()
        .filter_map(|piece| match &piece.kind {
            PieceKind::Client(range) => Some(&text[range.clone()]),
            _ => None,
        })
        .collect();
    assert_eq!(
        clients,
        ["DELIMITER $$", "DELIMITER ;", "delimiter //", "DELIMITER ;"]
    );
    // A statement that lost its delimiter ends at the next command; a column of that name is no command.
    assert_eq!(
        statements("DELIMITER ;;\nSELECT 1\nDELIMITER ;\nSELECT 2;", &mysql()),
        ["SELECT 1", "SELECT 2"]
    );
    assert_eq!(
        statements("CREATE TABLE t (\n delimiter CHAR(1)\n);", &mysql()).len(),
        1
    );
}

#[test]
fn bodies_without_delimiter() {
    let bodies = [
        "CREATE TRIGGER a BEFORE INSERT ON t FOR EACH ROW BEGIN SET NEW.x = 1; SET NEW.y = 2; END",
        "CREATE TRIGGER a BEFORE INSERT ON t FOR EACH ROW IF (NEW.x > 1) THEN SET NEW.x = 1; END IF",
        "CREATE TRIGGER a AFTER UPDATE ON t FOR EACH ROW FOLLOWS b IF NEW.x THEN CALL p(); ELSE CALL q(); END IF",
        "CREATE TRIGGER a AFTER UPDATE ON t FOR EACH ROW SET NEW.x = IF(NEW.y, 1, 2)",
        "CREATE DEFINER=`r`@`%` PROCEDURE p(IN a INT) DETERMINISTIC COMMENT 'x' BEGIN DECLARE d INT DEFAULT 0; \
         DECLARE CONTINUE HANDLER FOR NOT FOUND SET d = 1; DECLARE EXIT HANDLER FOR SQLEXCEPTION BEGIN ROLLBACK; \
         END; l: LOOP IF d THEN LEAVE l; END IF; END LOOP l; WHILE d < 3 DO SET d = d + 1; END WHILE; \
         REPEAT SET d = d - 1; UNTIL d = 0 END REPEAT; CASE a WHEN 1 THEN SELECT 1; ELSE BEGIN END; END CASE; \
         SELECT CASE WHEN a THEN IF(d, 1, 2) ELSE IF(d, 3, 4) END; SELECT t.end, t.begin FROM t; END",
        "CREATE FUNCTION f(a INT) RETURNS INT RETURN CASE a WHEN 1 THEN 2 ELSE 3 END",
        "CREATE FUNCTION IF NOT EXISTS f() RETURNS INT BEGIN RETURN 1; END",
        "CREATE EVENT e ON SCHEDULE EVERY 1 DAY DO BEGIN DELETE FROM t; DELETE FROM u; END",
        "CREATE EVENT e ON SCHEDULE EVERY 1 DAY DO IF 1 THEN DELETE FROM t; END IF",
        "CREATE OR REPLACE PROCEDURE p() l: BEGIN BEGIN NOT ATOMIC SELECT 1; END; END l",
        "BEGIN NOT ATOMIC SELECT 1; IF 1 THEN SELECT 2; ELSEIF 2 THEN SELECT 3; END IF; END",
        "IF EXISTS (SELECT 1) THEN SELECT 2; END IF",
        "FOR i IN 1..10 DO SELECT i; END FOR",
        "CREATE PROCEDURE p() BEGIN IF a THEN BEGIN END; ELSEIF CASE WHEN b THEN c ELSE d END THEN SET x = 1; END IF; END",
        "CREATE PROCEDURE p() BEGIN START TRANSACTION; SAVEPOINT a; COMMIT; END",
        "/*!50003 CREATE*/ /*!50017 DEFINER=`r`@`h`*/ /*!50003 TRIGGER a BEFORE INSERT ON t FOR EACH ROW BEGIN \
         SET NEW.x = 1; END */",
    ];
    for body in bodies {
        let text = format!("SELECT 0;\n{body};\nSELECT 9;");
        assert_eq!(
            statements(&text, &mysql()),
            ["SELECT 0", body, "SELECT 9"],
            "{body}"
        );
        let text = format!("DELIMITER //\n{body}//\nSELECT 9//");
        assert_eq!(statements(&text, &mysql()), [body, "SELECT 9"], "{body}");
        let text = format!("{body}\n");
        assert_eq!(statements(&text, &mysql()), [body], "{body}");
    }
    for plain in [
        "BEGIN",
        "ALTER TABLE t ADD trigger_id INT",
        "CREATE TABLE `event` (a INT)",
        "CREATE VIEW v AS SELECT IF(1, 2, 3)",
    ] {
        assert_eq!(
            statements(&format!("{plain};SELECT 1;"), &mysql()),
            [plain, "SELECT 1"]
        );
    }
}

#[test]
fn triggers_of_sqlite() {
    let body = "CREATE TEMP TRIGGER a AFTER INSERT ON t WHEN CASE NEW.x WHEN 1 THEN 2 END BEGIN \
                UPDATE t SET end = 1, x = CASE WHEN 1 THEN 2 END; SELECT begin; END";
    assert_eq!(
        statements(&format!("{body};\nSELECT 1;"), &sqlite()),
        [body, "SELECT 1"]
    );
    assert_eq!(statements(body, &sqlite()), [body]);
    assert_eq!(
        statements("BEGIN; SELECT [;], `;`; END;", &sqlite()),
        ["BEGIN", "SELECT [;], `;`", "END"]
    );
    assert_eq!(
        split(
            "CREATE TRIGGER a AFTER INSERT ON t BEGIN SELECT 1; ",
            &sqlite()
        )
        .1[0]
            .code,
        "unclosed-body"
    );
}

#[test]
fn bodies_of_postgres() {
    let atomic = "CREATE OR REPLACE FUNCTION f(a int) RETURNS int LANGUAGE sql BEGIN ATOMIC \
                  SELECT CASE WHEN a > 1 THEN 1 ELSE 2 END; SELECT 3; END";
    let rule = "CREATE RULE r AS ON INSERT TO t DO ALSO (INSERT INTO u VALUES (1); INSERT INTO v VALUES (2))";
    let quoted = "CREATE FUNCTION g() RETURNS trigger AS $body$ BEGIN RETURN NEW; END; $body$ LANGUAGE plpgsql";
    let anonymous = "DO $$ BEGIN PERFORM 1; END $$";
    let text = format!("{atomic};{rule};{quoted};{anonymous};BEGIN;COMMIT;");
    assert_eq!(
        statements(&text, &postgres()),
        [atomic, rule, quoted, anonymous, "BEGIN", "COMMIT"]
    );
}

#[test]
fn copy_blocks_and_meta_commands() {
    let meta = |text: &str| {
        split(text, &postgres())
            .1
            .iter()
            .map(|fault| fault.code)
            .collect::<Vec<_>>()
    };
    assert_eq!(
        meta("\\i other.sql\nSELECT 1 \\gset\n\\timing\n"),
        ["client-command"; 2]
    );
    let text = "\\set ON_ERROR_STOP on\nCOPY public.t (a, b) FROM stdin;\n1\tit's; -- \n2\t\\N\n\\.\n\nSELECT 1;\n\
                COPY u FROM STDIN WITH (FORMAT csv);\r\n\\.\r\nSELECT 2 \\t\nCOPY t TO stdout;\nSELECT 3;";
    assert_eq!(
        statements(text, &postgres()),
        [
            "COPY public.t (a, b) FROM stdin",
            "SELECT 1",
            "COPY u FROM STDIN WITH (FORMAT csv)",
            "SELECT 2",
            "COPY t TO stdout",
            "SELECT 3",
        ]
    );
    let (pieces, _) = split(text, &postgres());
    let data: Vec<&str> = pieces
        .iter()
        .filter_map(|piece| match &piece.kind {
            PieceKind::Copy { data, .. } => Some(&text[data.clone()]),
            _ => None,
        })
        .collect();
    assert_eq!(data, ["1\tit's; -- \n2\t\\N\n", ""]);
    assert_eq!(
        split("COPY t FROM stdin;\n1\n", &postgres()).1[0].code,
        "unclosed-copy"
    );
}

#[test]
fn versioned_comments_that_wrap_a_statement() {
    let text = "/*!40101 SET NAMES utf8 */;\n/*!40000 ALTER TABLE `t` DISABLE KEYS */;\nSELECT 1;";
    assert_eq!(
        statements(text, &mysql()),
        [
            "/*!40101 SET NAMES utf8 */",
            "/*!40000 ALTER TABLE `t` DISABLE KEYS */",
            "SELECT 1"
        ]
    );
}

#[test]
fn comments_before_a_statement_belong_to_its_piece() {
    let text = "SELECT 1;\n-- dunlin: probe = \"x\"\nSELECT 2; -- end";
    let (pieces, _) = split(text, &sqlite());
    assert_eq!(
        &text[pieces[1].span.clone()],
        "\n-- dunlin: probe = \"x\"\nSELECT 2;"
    );
    assert_eq!(pieces[2].kind, PieceKind::Blank);
}
