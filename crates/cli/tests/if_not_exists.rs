//! What `IF NOT EXISTS` passes over is compared with what the script says, on every engine that has it.
#![allow(clippy::unwrap_used)]

use dunlin_testkit::sandbox::Sandbox;
use dunlin_testkit::servers::Kind;
use dunlin_testkit::{TestDatabase, TestEngine, for_each_engine};

/// A database in which somebody made something already.
fn room(kind: TestEngine, before: &str) -> (Sandbox, TestDatabase) {
    let database = kind.database();
    let sandbox = Sandbox::with_binary(env!("CARGO_BIN_EXE_dunlin"));
    let url = database.url();
    sandbox.write("dunlin.toml", format!("[database.app]\nurl = \"{url}\"\n"));
    database.run("CREATE TABLE notes (id int NOT NULL PRIMARY KEY, a int, b int, title varchar(20)); CREATE TABLE other (a int)");
    if !before.is_empty() {
        database.run(before);
    }
    (sandbox, database)
}

/// Every script is fine on the tables alone, and again where what it makes is there as it would make it; where
/// `before` made something else of that name it stops and says what differs.
fn stops(kind: TestEngine, script: &str, before: &str, word: &str) {
    for (there, code) in [
        (String::new(), 0),
        (
            script
                .replace("IF NOT EXISTS ", "")
                .replace("CONCURRENTLY ", ""),
            0,
        ),
        (before.to_owned(), 1),
    ] {
        let (sandbox, database) = room(kind, &there);
        sandbox.write(
            "migrations/001_more.sql",
            format!("-- dunlin: irreversible = \"a test\"\n{script};\n"),
        );
        let ran = sandbox.dunlin(["up", "--format", "json"]).code(code).json();
        if code == 1 {
            assert_eq!(ran["failure"]["code"], "other-shape", "{ran}");
            let message = ran["failure"]["message"].as_str().unwrap();
            assert!(message.contains(word), "`{word}` in {message}");
        }
        let left = if kind == TestEngine::Sqlite {
            "SELECT count(*) FROM sqlite_schema WHERE name LIKE 'dunlin_shape%'"
        } else {
            "SELECT count(*) FROM information_schema.tables WHERE table_name LIKE 'dunlin_shape%'"
        };
        assert_eq!(database.scalar(left), "0", "no scratch is left");
    }
}

for_each_engine! {
    async fn indexes(kind: TestEngine) {
        if kind == TestEngine::Server(Kind::Mysql) {
            return; // It has no such statement.
        }
        for (script, before, word) in [
            ("CREATE INDEX IF NOT EXISTS i ON notes (a, b)", "CREATE INDEX i ON notes (b, a)", "index"),
            ("CREATE INDEX IF NOT EXISTS i ON notes (a, b)", "CREATE INDEX i ON notes (a)", "index"),
            ("CREATE INDEX IF NOT EXISTS i ON notes (a DESC)", "CREATE UNIQUE INDEX i ON notes (a DESC)", "index"),
            ("CREATE UNIQUE INDEX IF NOT EXISTS i ON notes (a)", "CREATE INDEX i ON notes (a)", "index"),
        ] {
            stops(kind, script, before, word);
        }
        if !kind.is_mysql_family() {
            // Names of indexes are unique beyond their table here: one on another table is in the way in silence.
            stops(kind, "CREATE INDEX IF NOT EXISTS i ON notes (a)", "CREATE INDEX i ON other (a)", "on table other");
            stops(kind, "CREATE INDEX IF NOT EXISTS i ON notes (a) WHERE b > 0", "CREATE INDEX i ON notes (a) WHERE b > 1", "index");
            stops(kind, "CREATE INDEX IF NOT EXISTS i ON notes (lower(title))", "CREATE INDEX i ON notes (upper(title))", "index");
        }
        if kind.is_postgres() {
            stops(kind, "CREATE INDEX CONCURRENTLY IF NOT EXISTS i ON notes (a, b)", "CREATE INDEX i ON notes (b)", "index");
            stops(kind, "CREATE INDEX IF NOT EXISTS i ON notes (a)", "CREATE VIEW i AS SELECT 1 AS x", "something else");
        }
    }

    async fn columns(kind: TestEngine) {
        if matches!(kind, TestEngine::Sqlite | TestEngine::Server(Kind::Mysql)) {
            return; // They have no such statement.
        }
        let add = "ALTER TABLE notes ADD COLUMN IF NOT EXISTS more varchar(10) NOT NULL DEFAULT 'x'";
        stops(kind, add, "ALTER TABLE notes ADD COLUMN more text", "column");
        stops(kind, add, "ALTER TABLE notes ADD COLUMN more varchar(10) NOT NULL DEFAULT 'y'", "column");
        let two = "ALTER TABLE notes ADD COLUMN IF NOT EXISTS a int, ADD COLUMN IF NOT EXISTS more int";
        let fine = "ALTER TABLE notes ADD COLUMN more bigint";
        let (sandbox, _database) = room(kind, fine);
        sandbox.write("migrations/001_more.sql", format!("-- dunlin: irreversible = \"a test\"\n{two};\n"));
        let ran = sandbox.dunlin(["up", "--format", "json"]).code(1).json();
        assert_eq!(ran["failure"]["code"], "other-shape", "{ran}");
    }

    async fn views(kind: TestEngine) {
        let view = if kind.is_postgres() { "MATERIALIZED VIEW" } else { "VIEW" };
        let script = format!("CREATE {view} IF NOT EXISTS v AS SELECT id, a FROM notes WHERE a > 3");
        for other in [
            "v AS SELECT id, a FROM notes WHERE a > 4",
            "v AS SELECT id, b FROM notes WHERE a > 3",
            "v (id, c) AS SELECT id, a FROM notes WHERE a > 3",
        ] {
            stops(kind, &script, &format!("CREATE {view} {other}"), "view v");
        }
        if kind != TestEngine::Server(Kind::Mysql) {
            stops(kind, &script, "CREATE TABLE v (id int)", "something else");
        }
    }

    async fn triggers(kind: TestEngine) {
        if kind.is_postgres() {
            return; // It has no such statement.
        }
        let body = |word: &str| kind.pick(
            &format!("BEGIN UPDATE other SET a = '{word}'; END"),
            "",
            &format!("BEGIN SET @x = '{word}'; UPDATE other SET a = 5; END"),
        ).to_owned();
        let script = format!("CREATE TRIGGER IF NOT EXISTS g AFTER INSERT ON notes FOR EACH ROW {}", body("X"));
        for (at, word) in [("AFTER INSERT ON notes", "x"), ("AFTER DELETE ON notes", "X"), ("AFTER INSERT ON other", "X")] {
            if at.ends_with("other") && kind == TestEngine::Server(Kind::Mysql) {
                continue; // It refuses that by itself.
            }
            let before = format!("CREATE TRIGGER g {at} FOR EACH ROW {}", body(word));
            stops(kind, &script, &before, "trigger");
        }
    }

    async fn routines_and_events(kind: TestEngine) {
        if !kind.is_mysql_family() {
            return; // They have no such statement.
        }
        let procedure = "CREATE PROCEDURE IF NOT EXISTS p (IN n int) UPDATE notes SET a = n";
        for other in ["(IN n int) UPDATE notes SET b = n", "(IN n bigint) UPDATE notes SET a = n", "(OUT n int) UPDATE notes SET a = n"] {
            stops(kind, procedure, &format!("CREATE PROCEDURE p {other}"), "procedure p");
        }
        let function = "CREATE FUNCTION IF NOT EXISTS f (n int) RETURNS int DETERMINISTIC NO SQL RETURN n + 1";
        for other in ["int DETERMINISTIC NO SQL RETURN n + 2", "bigint DETERMINISTIC NO SQL RETURN n + 1"] {
            stops(kind, function, &format!("CREATE FUNCTION f (n int) RETURNS {other}"), "function f");
        }
        let event = "CREATE EVENT IF NOT EXISTS e ON SCHEDULE EVERY 1 DAY COMMENT 'do' DO UPDATE notes SET a = 0";
        for other in ["EVERY 2 DAY COMMENT 'do' DO UPDATE notes SET a = 0", "EVERY 1 DAY COMMENT 'do' DO UPDATE notes SET a = 1"] {
            stops(kind, event, &format!("CREATE EVENT e ON SCHEDULE {other}"), "event e");
        }
        let once = "CREATE EVENT IF NOT EXISTS e ON SCHEDULE AT CURRENT_TIMESTAMP + INTERVAL 1 DAY DO UPDATE notes SET a = 0";
        stops(kind, once, "CREATE EVENT e ON SCHEDULE AT CURRENT_TIMESTAMP + INTERVAL 1 DAY DO UPDATE notes SET a = 9", "event e");
    }

    async fn sequences(kind: TestEngine) {
        if !kind.is_postgres() {
            return; // SQLite and MySQL have none, and MariaDB's catalog does not tell their settings.
        }
        let script = "CREATE SEQUENCE IF NOT EXISTS s START WITH 1 INCREMENT BY 2";
        stops(kind, script, "CREATE SEQUENCE s START WITH 1 INCREMENT BY 3", "sequence s");
    }

    /// It looks in the schema that the statement names or that the path begins with, and nowhere else.
    async fn tables_of_the_same_name_in_several_schemas(kind: TestEngine) {
        if !kind.is_postgres() {
            return; // Where databases are the schemas the catalog speaks of one: `in_another_database`.
        }
        let (right, wrong) = ("(id int NOT NULL PRIMARY KEY, name varchar(9))", "(id int NOT NULL PRIMARY KEY, name int)");
        let index = |columns: &str| format!("CREATE INDEX by_name ON \"a b\".bird ({columns}); CREATE INDEX by_name ON public.bird (id)");
        let pathed = |path: &str, sql: &str| format!("SET search_path = {path}; {sql}");
        let table = format!("CREATE TABLE IF NOT EXISTS bird {right}");
        let column = "ALTER TABLE bird ADD COLUMN IF NOT EXISTS name varchar(9)";
        let by_name = "CREATE INDEX IF NOT EXISTS by_name ON bird (name)";
        let counts = "CREATE SEQUENCE IF NOT EXISTS counts INCREMENT BY 2";
        let seen = "CREATE MATERIALIZED VIEW IF NOT EXISTS seen AS SELECT 1 AS n";
        let sequences = "CREATE SEQUENCE public.counts INCREMENT BY 2; CREATE SEQUENCE \"a b\".counts INCREMENT BY 3";
        let views = "CREATE MATERIALIZED VIEW public.seen AS SELECT 1 AS n; CREATE MATERIALIZED VIEW \"a b\".seen AS SELECT 2 AS n";
        for (there, more, script, code) in [
            (wrong, String::new(), pathed("public, \"a b\"", &table), 0),
            (wrong, String::new(), pathed("\"a b\", public", &table), 1),
            (wrong, String::new(), table.replace("bird", "\"a b\".bird"), 1),
            (wrong, String::new(), table.replace("bird", "public.bird"), 0),
            (wrong, String::new(), pathed("\"a b\"", column), 1),
            (wrong, String::new(), column.replace("bird", "\"a b\".bird"), 1),
            (wrong, String::new(), pathed("\"a b\"", &column.replace("bird", "public.bird")), 0),
            (right, index("name"), pathed("\"a b\"", by_name), 0),
            (right, index("id, name"), pathed("\"a b\"", by_name), 1),
            (right, index("id, name"), by_name.replace("bird", "\"a b\".bird"), 1),
            (right, sequences.into(), pathed("\"a b\"", counts), 1),
            (right, sequences.into(), counts.replace("counts", "public.counts"), 0),
            (right, sequences.into(), counts.replace("counts", "\"a b\".counts"), 1),
            (right, views.into(), pathed("\"a b\"", seen), 1),
            (right, views.into(), seen.replace("seen", "public.seen"), 0),
        ] {
            let before = format!("CREATE SCHEMA \"a b\"; CREATE TABLE \"a b\".bird {there}; CREATE TABLE public.bird {right}; {more}");
            let (sandbox, _database) = room(kind, before.trim_end_matches([' ', ';']));
            let head = "-- dunlin: irreversible = \"a test\"\n";
            sandbox.write("migrations/001_more.sql", format!("{head}{script};\n"));
            let ran = sandbox.dunlin(["up", "--format", "json"]).json();
            assert_eq!(ran["exit_code"], code, "{script} with {before}: {ran}");
            if code == 1 {
                assert_eq!(ran["failure"]["code"], "other-shape", "{ran}");
            }
        }
    }

    /// What cannot be seen is neither taken for the same nor for missing: it is said.
    async fn in_another_database(kind: TestEngine) {
        if !kind.is_mysql_family() {
            return;
        }
        let other = kind.database();
        other.run("CREATE TABLE bird (id int PRIMARY KEY, name int)");
        let name = other.name();
        let column = format!("ALTER TABLE {name}.bird ADD COLUMN IF NOT EXISTS name varchar(9)");
        let table = format!("CREATE TABLE IF NOT EXISTS {name}.bird (id int PRIMARY KEY, name varchar(9))");
        for script in [table, column] {
            if script.starts_with("ALTER") && kind == TestEngine::Server(Kind::Mysql) {
                continue; // It has no such statement.
            }
            let (sandbox, _database) = room(kind, "");
            sandbox.write("migrations/001_more.sql", format!("-- dunlin: irreversible = \"a test\"\n{script};\n"));
            let ran = sandbox.dunlin(["up"]).success();
            assert!(ran.stderr.contains("was not compared: it is in another database"), "{}", ran.stderr);
        }
    }
}
