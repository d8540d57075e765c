//! The pieces that migrations are made of. A piece is an ordered list of chunks; a chunk stays whole in one file.
//!
//! `{k}` is the number of the piece, so that pieces never meet; `{log}` and `{count}` are data statements that must
//! happen exactly once. Nothing here may depend on the clock, on chance, or on a number that a rolled-back transaction
//! leaves a gap in (serials): two runs must end in the same content.

use super::Engine;

/// A piece.
pub type Piece = &'static [&'static str];

/// The first file: what counts.
pub const BASE: &str = "CREATE TABLE crash_log (what varchar(60) NOT NULL);\n\
    CREATE TABLE crash_count (k integer NOT NULL PRIMARY KEY, n integer NOT NULL);\n";

/// The pieces of an engine.
pub fn of(engine: Engine) -> Vec<Piece> {
    let own = match engine {
        Engine::Sqlite => SQLITE,
        Engine::Postgres => POSTGRES,
        Engine::Mariadb | Engine::Mysql => MYSQL,
    };
    EVERYWHERE.iter().chain(own).copied().collect()
}

/// Whether a chunk makes session state out of data.
pub fn shares_state(text: &str) -> bool {
    text.contains('@') || text.contains("TEMPORARY") || text.contains("PREPARE")
}

/// Whether a table is dropped here that comes back.
pub fn rebuilds(text: &str) -> bool {
    text.contains("DROP TABLE again") || text.contains("DROP TABLE reb")
}

/// Whether a row goes here that others refer to.
pub fn cascades(text: &str) -> bool {
    text.contains("DELETE FROM par")
}

const EVERYWHERE: &[Piece] = &[
    // The life of a table, data and DDL in turn.
    &[
        "CREATE TABLE life{k} (id integer NOT NULL PRIMARY KEY, a integer NOT NULL, b varchar(40));\n{log};",
        "INSERT INTO life{k} VALUES (1, 10, 'x'), (2, 20, NULL), (3, 30, 'a;b');",
        "ALTER TABLE life{k} ADD COLUMN c integer NOT NULL DEFAULT 7;",
        "UPDATE life{k} SET a = a + 1, c = c * 2;\n{count};",
        "CREATE INDEX life{k}_a ON life{k} (a);",
        "DELETE FROM life{k} WHERE id = 2;",
        "INSERT INTO life{k} SELECT id + 100, a, b, c FROM life{k};",
    ],
    // Many rows, so that statements last and kills fall into them.
    &[
        "CREATE TABLE big{k} (id integer NOT NULL PRIMARY KEY, a integer NOT NULL, b varchar(40));",
        "INSERT INTO big{k} WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100) \
         SELECT x.i * 1000 + y.i, x.i, 'row' FROM n x, n y;\n{log};",
        "CREATE INDEX big{k}_a ON big{k} (a, b);",
        "UPDATE big{k} SET a = a + 1;",
        "CREATE UNIQUE INDEX big{k}_ab ON big{k} (a, id);\n{count};",
        "ALTER TABLE big{k} ADD COLUMN c varchar(10) NOT NULL DEFAULT 'new';",
    ],
    // Made, filled, dropped.
    &[
        "CREATE TABLE gone{k} (id integer NOT NULL PRIMARY KEY);\nINSERT INTO gone{k} VALUES (1), (2);",
        "DROP TABLE gone{k};\n{log};",
    ],
    // Dropped and made anew in one file.
    &[
        "CREATE TABLE again{k} (id integer NOT NULL PRIMARY KEY, old integer);\nINSERT INTO again{k} VALUES (1, 1);",
        "DROP TABLE again{k};\nCREATE TABLE again{k} (id integer NOT NULL PRIMARY KEY, fresh varchar(9));\n\
         INSERT INTO again{k} VALUES (5, 'five');",
    ],
    // Renamed.
    &[
        "CREATE TABLE ren{k} (id integer NOT NULL PRIMARY KEY, a integer);\nINSERT INTO ren{k} VALUES (1, 1), (2, 2);",
        "ALTER TABLE ren{k} RENAME TO ren{k}_new;",
        "UPDATE ren{k}_new SET a = a * 10;\n{log};",
        "ALTER TABLE ren{k}_new RENAME COLUMN a TO aa;",
        "ALTER TABLE ren{k}_new DROP COLUMN aa;\nALTER TABLE ren{k}_new ADD COLUMN aa integer;",
    ],
    // Views.
    &[
        "CREATE TABLE seen{k} (id integer NOT NULL PRIMARY KEY, a integer);\nINSERT INTO seen{k} VALUES (1, 4), (2, 5);",
        "CREATE VIEW view{k} AS SELECT id, a * 2 AS twice FROM seen{k};",
        "INSERT INTO seen{k} SELECT id + 10, twice FROM view{k};",
        "DROP VIEW view{k};",
        "CREATE VIEW view{k} AS SELECT id FROM seen{k} WHERE a > 4;\n{count};",
    ],
    // Keys between tables.
    &[
        "CREATE TABLE par{k} (id integer NOT NULL PRIMARY KEY, name varchar(20) NOT NULL UNIQUE);",
        "CREATE TABLE chi{k} (id integer NOT NULL PRIMARY KEY, par integer NOT NULL, CONSTRAINT chi{k}_par \
         FOREIGN KEY (par) REFERENCES par{k} (id) ON DELETE CASCADE);",
        "INSERT INTO par{k} VALUES (1, 'one'), (2, 'two');\nINSERT INTO chi{k} VALUES (1, 1), (2, 1), (3, 2);",
        "DELETE FROM par{k} WHERE id = 2;\n{log};",
        "DROP TABLE chi{k};\nDROP TABLE par{k};",
    ],
    // Much data in one file.
    &[
        "{log};\n{count};\n{log};\n{count};\n{log};",
        "{count};\n{count};\n{count};",
        "{log};\n{log};\n{log};\n{log};",
    ],
    // Passes in silence when it is there.
    &[
        "CREATE TABLE IF NOT EXISTS maybe{k} (id integer NOT NULL PRIMARY KEY);\n{log};",
        "INSERT INTO maybe{k} VALUES (1);",
        "DROP TABLE IF EXISTS maybe{k};\nDROP TABLE IF EXISTS never{k};",
    ],
];

const SQLITE: &[Piece] = &[
    &[
        "CREATE TABLE trig{k} (id INTEGER PRIMARY KEY, n integer NOT NULL);\nCREATE TABLE trig{k}_log (what TEXT);",
        "CREATE TRIGGER trig{k}_t AFTER INSERT ON trig{k} BEGIN\n  INSERT INTO trig{k}_log VALUES ('in ' || new.id);\n  \
         UPDATE crash_count SET n = n + 0 WHERE k = 0;\nEND;",
        "INSERT INTO trig{k} VALUES (1, 5), (2, 6);\n{log};",
        "DROP TRIGGER trig{k}_t;",
        "INSERT INTO trig{k} VALUES (3, 7);",
    ],
    // The table rebuild of SQLite's manual, with its pragmas.
    &[
        "CREATE TABLE reb{k} (id INTEGER PRIMARY KEY, a TEXT);\nCREATE TABLE reb{k}_kid (id INTEGER PRIMARY KEY, \
         reb INTEGER REFERENCES reb{k}(id) ON DELETE CASCADE);",
        "INSERT INTO reb{k} VALUES (1, 'a'), (2, 'b');\nINSERT INTO reb{k}_kid VALUES (1, 1), (2, 2);",
        "PRAGMA foreign_keys = OFF;\nCREATE TABLE reb{k}_x (id INTEGER PRIMARY KEY, a TEXT NOT NULL, b TEXT);\n\
         INSERT INTO reb{k}_x (id, a) SELECT id, a FROM reb{k};\nDROP TABLE reb{k};\n\
         ALTER TABLE reb{k}_x RENAME TO reb{k};\nPRAGMA foreign_keys = ON;\n{log};",
        "INSERT INTO reb{k} VALUES (3, 'c', 'd');",
    ],
    &["{log};\nVACUUM;\n{count};"],
    &[
        "PRAGMA user_version = {k};\n{log};",
        "ANALYZE;",
        "PRAGMA optimize;\n{count};",
    ],
    &[
        "PRAGMA journal_mode = WAL;\n{log};",
        "{count};\nPRAGMA wal_checkpoint(TRUNCATE);",
    ],
    &[
        "CREATE VIRTUAL TABLE text{k} USING fts5(body);",
        "INSERT INTO text{k} VALUES ('a small wader'), ('flocks that turn as one');",
        "DELETE FROM text{k} WHERE body MATCH 'wader';\n{log};",
    ],
    &[
        "CREATE TABLE gen{k} (id INTEGER PRIMARY KEY, a INTEGER, b INTEGER GENERATED ALWAYS AS (a * 2) STORED) STRICT;",
        "INSERT INTO gen{k} (id, a) VALUES (1, 2), (2, 4);\nCREATE INDEX gen{k}_part ON gen{k} (b) WHERE a > 2;",
    ],
    &[
        "CREATE TEMPORARY TABLE tmp{k} (a INTEGER);\nINSERT INTO tmp{k} VALUES (3);\n\
       CREATE TABLE kept{k} AS SELECT a FROM tmp{k};\nDROP TABLE tmp{k};",
    ],
];

const POSTGRES: &[Piece] = &[
    // Built outside of a transaction: with a name, without one, unique, dropped again.
    &[
        "CREATE TABLE conc{k} (id integer PRIMARY KEY, a integer, b text);\n\
         INSERT INTO conc{k} SELECT i, i % 7, 'row' FROM generate_series(1, 20000) i;",
        "CREATE INDEX CONCURRENTLY conc{k}_a ON conc{k} (a);\n{log};",
        "{count};\nCREATE UNIQUE INDEX CONCURRENTLY conc{k}_u ON conc{k} (id, a);",
        "CREATE INDEX CONCURRENTLY ON conc{k} (b, a);",
        "REINDEX INDEX CONCURRENTLY conc{k}_a;\n{count};",
        "DROP INDEX CONCURRENTLY conc{k}_a;\n{log};",
    ],
    &[
        "CREATE TABLE vac{k} (a integer);\nINSERT INTO vac{k} VALUES (1);",
        "VACUUM vac{k};\n{log};",
        "{count};\nVACUUM (ANALYZE) vac{k};",
    ],
    &[
        "CREATE TYPE mood{k} AS ENUM ('sad', 'ok');\nCREATE TABLE person{k} (id integer PRIMARY KEY, m mood{k});",
        "ALTER TYPE mood{k} ADD VALUE 'happy';\n{log};",
        "INSERT INTO person{k} VALUES (1, 'happy');",
        "ALTER TYPE mood{k} ADD VALUE IF NOT EXISTS 'grim' BEFORE 'sad';",
    ],
    &[
        "CREATE TABLE trig{k} (id integer PRIMARY KEY, n integer NOT NULL);\nCREATE TABLE trig{k}_log (what text);",
        "CREATE FUNCTION trig{k}_f() RETURNS trigger LANGUAGE plpgsql AS $f$\nBEGIN\n  INSERT INTO trig{k}_log VALUES \
         ('in ' || NEW.id);\n  RETURN NEW;\nEND;\n$f$;",
        "CREATE TRIGGER trig{k}_t BEFORE INSERT ON trig{k} FOR EACH ROW EXECUTE FUNCTION trig{k}_f();",
        "INSERT INTO trig{k} VALUES (1, 5), (2, 6);\n{log};",
        "CREATE OR REPLACE FUNCTION trig{k}_f() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RETURN NEW; END$$;",
        "INSERT INTO trig{k} VALUES (3, 7);",
        "DROP TRIGGER trig{k}_t ON trig{k};\nDROP FUNCTION trig{k}_f();",
    ],
    &["DO $$ BEGIN {log}; {count}; END $$;"],
    &[
        "CREATE TABLE copy{k} (id integer, t text);\nCOPY copy{k} (id, t) FROM stdin;\n1\tone\n2\t\\N\n3\tthree;\n\\.\n\n{log};",
    ],
    &[
        "CREATE TEMPORARY TABLE tmp{k} (a integer);\nINSERT INTO tmp{k} VALUES (3);\n\
       CREATE TABLE kept{k} AS SELECT a FROM tmp{k};\nDROP TABLE tmp{k};",
    ],
    &[
        "CREATE SCHEMA room{k};\nSET search_path = room{k}, public;\nCREATE TABLE inside (a integer);\n\
       INSERT INTO inside VALUES (1);\nRESET search_path;\n{log};",
    ],
    &[
        "SET work_mem = '8MB';\nCREATE TABLE mem{k} AS SELECT current_setting('work_mem') AS m;\n{log};",
    ],
    &[
        "CREATE MATERIALIZED VIEW mat{k} AS SELECT 1 AS a;",
        "REFRESH MATERIALIZED VIEW mat{k};\n{log};",
        "DROP MATERIALIZED VIEW mat{k};",
    ],
    &[
        "CREATE PROCEDURE proc{k}() LANGUAGE sql AS $$ {log}; $$;\nCALL proc{k}();",
        "{count};\nDROP PROCEDURE proc{k}();",
    ],
];

const MYSQL: &[Piece] = &[
    &[
        "CREATE TABLE trig{k} (id int PRIMARY KEY, n int NOT NULL);\nCREATE TABLE trig{k}_log (what varchar(40));",
        "DELIMITER //\nCREATE TRIGGER trig{k}_t AFTER INSERT ON trig{k} FOR EACH ROW BEGIN\n  INSERT INTO trig{k}_log \
         VALUES (CONCAT('in ', NEW.id));\n  SET @seen{k} = NEW.id;\nEND//\nDELIMITER ;",
        "INSERT INTO trig{k} VALUES (1, 5), (2, 6);\n{log};",
        "DROP TRIGGER trig{k}_t;",
        "CREATE TRIGGER trig{k}_u BEFORE UPDATE ON trig{k} FOR EACH ROW SET NEW.n = NEW.n + 1;",
        "UPDATE trig{k} SET n = n + 10;\n{count};",
    ],
    &[
        "DELIMITER $$\nCREATE PROCEDURE proc{k}(IN howmany INT)\nBEGIN\n  DECLARE i INT DEFAULT 0;\n  WHILE i < howmany DO\n    \
         SET i = i + 1;\n  END WHILE;\nEND$$\nCREATE FUNCTION func{k}(a INT) RETURNS INT DETERMINISTIC BEGIN RETURN a * 3; \
         END$$\nDELIMITER ;",
        "CREATE TABLE rout{k} (a int);\nINSERT INTO rout{k} VALUES (func{k}(14));\n{log};",
        "DROP FUNCTION func{k};",
        "DROP PROCEDURE IF EXISTS proc{k};\n{count};",
    ],
    // A call is exactly-once only by its probe.
    &[
        "CREATE PROCEDURE once{k}(IN mark VARCHAR(60)) INSERT INTO crash_log VALUES (mark);",
        "-- dunlin: probe = \"SELECT count(*) > 0 FROM crash_log WHERE what = '{mark}'\"\nCALL once{k}('{mark}');",
        "DROP PROCEDURE once{k};",
    ],
    // State made from data: one unit.
    &[
        "CREATE TABLE var{k} (a int, b varchar(40));",
        "SET @a{k} = 41;\nINSERT INTO var{k} VALUES (@a{k} + 1, 'first');\nUPDATE var{k} SET a = a + 1;\n\
         INSERT INTO var{k} SELECT a + @a{k}, 'second' FROM var{k};\n{log};",
        "CREATE TEMPORARY TABLE tmp{k} (a int);\nINSERT INTO tmp{k} VALUES (3);\nINSERT INTO var{k} SELECT a, 'third' FROM \
         tmp{k};\nDROP TEMPORARY TABLE tmp{k};",
    ],
    // Settings that later statements lean on, with DDL between: replayed when the script is resumed.
    &[
        "CREATE TABLE sess{k} (a bigint, b varchar(40));\nSET SESSION group_concat_max_len = 2048;\n{log};\n\
       ALTER TABLE sess{k} ADD COLUMN c int;\nINSERT INTO sess{k} (a) VALUES (@@group_concat_max_len);\n\
       SET NAMES utf8mb4;\nSET FOREIGN_KEY_CHECKS = 0;\nCREATE INDEX sess{k}_a ON sess{k} (a);\n\
       INSERT INTO sess{k} (a) VALUES (@@foreign_key_checks);\nSET FOREIGN_KEY_CHECKS = 1;",
    ],
    // Several at once.
    &[
        "CREATE TABLE ma{k} (a int);\nCREATE TABLE mb{k} (a int);\nCREATE TABLE mc{k} (a int);\nINSERT INTO ma{k} VALUES (1);",
        "RENAME TABLE ma{k} TO md{k}, mb{k} TO me{k};\n{log};",
        "DROP TABLE md{k}, mc{k};",
        "DROP TABLE IF EXISTS me{k}, nothing{k};\n{count};",
    ],
    &[
        "CREATE TABLE alt{k} (id int AUTO_INCREMENT PRIMARY KEY, a int, b varchar(20), KEY alt{k}_b (b));\n\
         INSERT INTO alt{k} (id, a, b) VALUES (1, 1, 'x'), (2, 2, 'y');",
        "ALTER TABLE alt{k} ADD COLUMN c int NULL AFTER a, ADD COLUMN d varchar(9) DEFAULT 'd', ADD INDEX alt{k}_c (c);",
        "ALTER TABLE alt{k} MODIFY COLUMN b varchar(60) NOT NULL;\n{log};",
        "ALTER TABLE alt{k} CHANGE COLUMN c cc bigint NULL;",
        "ALTER TABLE alt{k} DROP INDEX alt{k}_b, DROP COLUMN d;",
        "UPDATE alt{k} SET a = a + 1;\nALTER TABLE alt{k} COMMENT = 'altered';\n{count};",
        "ALTER TABLE alt{k} ENGINE = InnoDB;",
        "ALTER TABLE alt{k} CONVERT TO CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;",
    ],
    &[
        "CREATE TABLE slow{k} (id int PRIMARY KEY, a int, b varchar(200));\nINSERT INTO slow{k} WITH RECURSIVE n(i) AS \
         (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 120) SELECT x.i * 1000 + y.i, x.i, REPEAT('b', 100) FROM n x, n y;",
        "ALTER TABLE slow{k} ADD COLUMN c int NOT NULL DEFAULT 3, ALGORITHM = COPY;\n{log};",
        "ALTER TABLE slow{k} ADD CONSTRAINT slow{k}_ck CHECK (a > 0);",
        "ALTER TABLE slow{k} DROP COLUMN b, ALGORITHM = COPY;\n{count};",
    ],
    &[
        "CREATE TABLE src{k} (id int PRIMARY KEY, a int);\nINSERT INTO src{k} VALUES (1, 1), (2, 2);",
        "CREATE TABLE like{k} LIKE src{k};\nINSERT INTO like{k} SELECT * FROM src{k};\n{log};",
        "-- dunlin: probe = \"SELECT count(*) = 2 FROM ctas{k}\"\nCREATE TABLE ctas{k} AS SELECT id, a + 1 AS b FROM src{k};",
        "ALTER TABLE src{k} ADD CONSTRAINT src{k}_fk FOREIGN KEY (a) REFERENCES like{k} (id);",
        "ALTER TABLE src{k} DROP FOREIGN KEY src{k}_fk;",
    ],
    &[
        "-- dunlin: rerunnable = true\nANALYZE TABLE crash_log;\n{log};",
        "OPTIMIZE TABLE crash_count;\n{count};",
    ],
    &[
        "CREATE EVENT ev{k} ON SCHEDULE AT '2035-01-01 00:00:00' DISABLE DO DELETE FROM crash_log;\n{log};",
        "DROP EVENT ev{k};",
    ],
];
