//! `verify --repair`: rows that differ become those of the source, and what was there is kept.

use super::{Ends, all_equal, kill_each};
use dunlin_testkit::engines::TestEngine;
use dunlin_testkit::for_each_engine;
use dunlin_testkit::sandbox::Sandbox;
use dunlin_testkit::servers::Kind;
use serde_json::{Value, json};

const ROWS: &str = "
CREATE TABLE parents (id INTEGER PRIMARY KEY AUTOINCREMENT, name VARCHAR(80) NOT NULL, email VARCHAR(80) UNIQUE,
  born DATE, raw BLOB, weight REAL, total NUMERIC);
CREATE TABLE children (a INTEGER NOT NULL, b VARCHAR(20) NOT NULL, parent INTEGER REFERENCES parents(id), note TEXT,
  PRIMARY KEY (a, b));
INSERT INTO parents VALUES (1, 'Ayşe 🚚', 'a@x', '2000-02-29', x'00ff5c0a', 3.141592653589793, 12.5),
  (2, 'رضا', NULL, NULL, NULL, 1e300, NULL), (3, 'tab' || char(9) || '\\N', 'c@x', '1999-12-31', x'', -0.5, 1000000.01),
  (4, 'four', 'd@x', NULL, NULL, NULL, NULL);
INSERT INTO children VALUES (1, 'x', 1, 'one 🐦'), (1, 'y', 2, NULL), (2, 'x', 3, ''), (3, 'é', 4, 'q');
";

impl Ends {
    fn repair(&self) -> (i32, Value) {
        let ran = self.sandbox.dunlin([
            "verify",
            "sqlite:source.db",
            self.target.url(),
            "--repair",
            "--format",
            "json",
        ]);
        (ran.code.unwrap_or(-1), ran.json())
    }

    fn kept(&self, json: &Value) -> Vec<Value> {
        let path = json["data"]["kept"]
            .as_str()
            .unwrap_or_else(|| panic!("{json:#}"));
        let text = std::fs::read_to_string(self.sandbox.path(path)).unwrap();
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }
}

fn repaired<'j>(json: &'j Value, table: &str) -> &'j Value {
    let tables = json["data"]["tables"].as_array().unwrap();
    &tables.iter().find(|one| one["table"] == table).unwrap()["repaired"]
}

for_each_engine! {
    async fn rows_become_those_of_the_source_and_what_was_there_is_kept(engine: TestEngine) {
        let ends = Ends::new(engine, ROWS);
        let _ = ends.copy(&[]).code(0);
        for sql in [
            // A child that will have to go before its parent does, and one whose parent is missing until it is back.
            "INSERT INTO parents (id, name, email) VALUES (9, 'only there 🦆', 'nine@x')",
            "INSERT INTO children (a, b, parent, note) VALUES (9, 'z', 9, 'goes')",
            "UPDATE parents SET name = 'other', email = 'b@x', born = NULL, weight = 7 WHERE id = 1",
            "UPDATE parents SET total = 3, name = 'was NULL before' WHERE id = 2",
            "DELETE FROM children WHERE a = 3",
            "DELETE FROM parents WHERE id = 4",
            "UPDATE children SET note = NULL, parent = NULL WHERE a = 2",
        ] {
            let _ = ends.target.run(sql);
        }
        let (code, json) = ends.repair();
        assert_eq!(code, 0, "{json:#}");
        assert!(all_equal(&json), "{json:#}");
        assert_eq!(repaired(&json, "parents"), &json!({ "inserted": 1, "updated": 2, "deleted": 1 }), "{json:#}");
        assert_eq!(repaired(&json, "children"), &json!({ "inserted": 1, "updated": 1, "deleted": 1 }), "{json:#}");
        let (code, json_again) = ends.verify();
        assert_eq!(code, 0, "{json_again:#}");
        let kept = ends.kept(&json);
        assert_eq!(kept.len(), 5, "{kept:#?}");
        let row = |table: &str, column: &str, value: Value| {
            let is = |line: &&Value| line["table"] == table && line["row"][column] == value;
            kept.iter().find(is).unwrap_or_else(|| panic!("{table} {column}: {kept:#?}"))
        };
        assert_eq!(row("parents", "id", json!(1))["row"]["name"], "other");
        assert_eq!(row("parents", "id", json!(9))["row"]["name"], "only there 🦆");
        assert_eq!(row("children", "note", json!("goes"))["row"]["parent"], 9);
        // The next row is numbered as it was, and nothing is left to do.
        let (code, json) = ends.repair();
        assert_eq!((code, &json["data"]["kept"]), (0, &Value::Null), "{json:#}");
    }

    async fn a_table_without_a_key_is_named_and_left_alone(engine: TestEngine) {
        let ends = Ends::new(engine, "CREATE TABLE loose (a INTEGER, b TEXT); INSERT INTO loose VALUES (1, 'x'), (1, 'x');
            CREATE TABLE t (id INTEGER PRIMARY KEY, b TEXT); INSERT INTO t VALUES (1, 'x');");
        let _ = ends.copy(&[]).code(0);
        let _ = ends.target.run("INSERT INTO loose VALUES (2, 'y')");
        let _ = ends.target.run("DELETE FROM t");
        let (code, json) = ends.repair();
        assert_eq!(code, 5, "{json:#}");
        let named = json["findings"].as_array().unwrap().iter().any(|one| {
            one["code"] == "repair-no-key" && one["message"].as_str().unwrap().contains("loose")
        });
        assert!(named, "{json:#}");
        assert_eq!(ends.target.scalar("SELECT count(*) FROM loose"), "3");
        assert_eq!(ends.target.scalar("SELECT count(*) FROM t"), "1");
    }

    async fn what_refers_to_a_row_and_was_not_compared_is_never_lost(engine: TestEngine) {
        let ends = Ends::new(engine, "CREATE TABLE t (id INTEGER PRIMARY KEY, b TEXT); INSERT INTO t VALUES (1, 'x');");
        let _ = ends.copy(&[]).code(0);
        let integer = engine.pick("INTEGER", "bigint", "bigint");
        let _ = ends.target.run("INSERT INTO t (id, b) VALUES (2, 'more')");
        let _ = ends.target.run(&format!(
            "CREATE TABLE own (id int NOT NULL PRIMARY KEY, t {integer}, FOREIGN KEY (t) REFERENCES t(id) ON DELETE CASCADE)"
        ));
        let _ = ends.target.run("INSERT INTO own VALUES (7, 2)");
        let (code, json) = ends.repair();
        assert_eq!(code, 5, "{json:#}");
        let stands = json["findings"].as_array().unwrap().iter().find(|one| one["code"] == "repair-in-the-way");
        assert!(stands.unwrap_or_else(|| panic!("{json:#}"))["message"].as_str().unwrap().contains("own"), "{json:#}");
        assert_eq!(ends.target.scalar("SELECT count(*) FROM own"), "1");
        assert_eq!(ends.target.scalar("SELECT count(*) FROM t"), "2");
        let _ = ends.target.run("DELETE FROM own");
        assert_eq!(ends.repair().0, 0);
    }

    async fn thousands_of_rows_in_batches_and_again_after_a_kill(engine: TestEngine) {
        let sql = "CREATE TABLE t (id INTEGER PRIMARY KEY, up INTEGER REFERENCES t(id), name TEXT NOT NULL);
            INSERT INTO t WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 6000)
            SELECT i, CASE WHEN i > 1 THEN i / 2 END, 'row ' || i || ' رضا 🚚' FROM n;";
        let ends = Ends::new(engine, sql);
        let _ = ends.copy(&[]).code(0);
        let _ = ends.target.run("UPDATE t SET name = 'bent' WHERE id > 1000 AND id < 4000");
        let _ = ends.target.run("INSERT INTO t (id, up, name) SELECT id + 10000, id, 'more' FROM t WHERE id <= 1200");
        let args = ["verify", "sqlite:source.db", ends.target.url(), "--repair", "--format", "json"];
        kill_each(&ends.sandbox, &args, &[60, 110, 170, 260], || {});
        let (code, json) = ends.repair();
        assert_eq!(code, 0, "{json:#}");
        assert!(all_equal(&json), "{json:#}");
        assert_eq!(ends.target.scalar("SELECT count(*) FROM t"), "6000");
    }

    async fn rows_that_exchanged_their_unique_values_have_them_again(engine: TestEngine) {
        let ends = Ends::new(engine, "CREATE TABLE t (id INTEGER PRIMARY KEY, name VARCHAR(20) NOT NULL UNIQUE, n INTEGER);
            CREATE TABLE c (id INTEGER PRIMARY KEY, t_id INTEGER REFERENCES t(id) ON DELETE CASCADE);
            INSERT INTO t VALUES (1, 'a', 1), (2, 'b', 2), (3, 'c', 3), (4, 'd', 4); INSERT INTO c VALUES (1, 1), (2, 2), (3, 4);");
        let _ = ends.copy(&[]).code(0);
        // In a circle of three, one of whose values a row has that must go, and nobody refers to.
        for sql in [
            "UPDATE t SET name = 'x' WHERE id = 1", "UPDATE t SET name = 'a' WHERE id = 2", "UPDATE t SET name = 'b' WHERE id = 3",
            "UPDATE t SET name = 'c' WHERE id = 1", "INSERT INTO t (id, name, n) VALUES (9, 'z', 9)", "UPDATE t SET n = 7 WHERE id = 4",
        ] {
            let _ = ends.target.run(sql);
        }
        let (code, json) = ends.repair();
        assert_eq!(code, 0, "{json:#}");
        assert!(all_equal(&json), "{json:#}");
        assert_eq!(repaired(&json, "t"), &json!({ "inserted": 0, "updated": 4, "deleted": 1 }), "{json:#}");
        assert_eq!(ends.target.scalar("SELECT count(*) FROM c"), "3");
        assert_eq!(ends.kept(&json).len(), 5);
        // Keys act again, and nothing of it is left behind.
        if engine != TestEngine::Sqlite {
            assert!(ends.target.try_run("INSERT INTO c (id, t_id) VALUES (9, 99)").is_err());
        }
        assert_eq!(ends.repair().0, 0);
    }

    async fn rows_that_are_missing_and_refer_to_one_another_come_back(engine: TestEngine) {
        let ends = Ends::new(engine, "PRAGMA foreign_keys = OFF;
            CREATE TABLE a (id INTEGER PRIMARY KEY, b INTEGER NOT NULL REFERENCES b (id), up INTEGER REFERENCES a (id));
            CREATE TABLE b (id INTEGER PRIMARY KEY, a INTEGER NOT NULL REFERENCES a (id));
            INSERT INTO a VALUES (1, 1, 2), (2, 2, 1), (3, 3, NULL); INSERT INTO b VALUES (1, 2), (2, 1), (3, 3);");
        let _ = ends.copy(&[]).code(0);
        let _ = ends.target.run(&format!("{} DELETE FROM a WHERE id < 3; DELETE FROM b WHERE id < 3;", engine.pick(
            "PRAGMA foreign_keys = OFF;", "SET session_replication_role = replica;", "SET foreign_key_checks = 0;",
        )));
        assert_eq!(ends.target.scalar("SELECT count(*) FROM a"), "1");
        let (code, json) = ends.repair();
        assert_eq!(code, 0, "{json:#}");
        assert!(all_equal(&json), "{json:#}");
        assert_eq!(repaired(&json, "a"), &json!({ "inserted": 2, "updated": 0, "deleted": 0 }), "{json:#}");
        if engine != TestEngine::Sqlite {
            assert!(ends.target.try_run("INSERT INTO b (id, a) VALUES (9, 99)").is_err());
            assert!(ends.target.try_run("INSERT INTO a (id, b) VALUES (9, 99)").is_err());
        }
    }

    async fn what_must_not_go_and_come_anew_stays_and_is_named(engine: TestEngine) {
        let ends = Ends::new(engine, "CREATE TABLE t (id INTEGER PRIMARY KEY, name VARCHAR(20) UNIQUE); INSERT INTO t VALUES (1, 'a'), (2, 'b');
            CREATE TABLE more (id INTEGER PRIMARY KEY, name VARCHAR(20) UNIQUE); INSERT INTO more VALUES (1, 'a'), (2, 'b');
            CREATE TABLE free (id INTEGER PRIMARY KEY, name VARCHAR(20) UNIQUE); INSERT INTO free VALUES (1, 'a'), (2, 'b');");
        let _ = ends.copy(&[]).code(0);
        for table in ["t", "more", "free"] {
            for (id, name) in [(1, "x"), (2, "a"), (1, "b")] {
                let _ = ends.target.run(&format!("UPDATE {table} SET name = '{name}' WHERE id = {id}"));
            }
        }
        // A trigger would hear of it, and a column that the source does not have would lose its values.
        let _ = ends.target.run("CREATE TABLE gone (id int)");
        for statement in engine.pick(
            "CREATE TRIGGER hears AFTER DELETE ON t BEGIN INSERT INTO gone VALUES (old.id); END",
            "CREATE FUNCTION hears() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO gone VALUES (old.id); RETURN old; END $$;;\
             CREATE TRIGGER hears AFTER DELETE ON t FOR EACH ROW EXECUTE FUNCTION hears()",
            "CREATE TRIGGER hears AFTER DELETE ON t FOR EACH ROW INSERT INTO gone VALUES (old.id)",
        ).split(";;") {
            let _ = ends.target.run(statement);
        }
        let _ = ends.target.run("ALTER TABLE more ADD COLUMN own int");
        let _ = ends.target.run("UPDATE more SET own = 5");
        let (code, json) = ends.repair();
        assert_eq!(code, 5, "{json:#}");
        let findings = json["findings"].as_array().unwrap().iter();
        let named: Vec<&str> = findings.filter(|one| one["code"] == "repair-in-the-way").filter_map(|one| one["message"].as_str()).collect();
        assert!(named.iter().any(|said| said.starts_with("t:")) && named.iter().any(|said| said.starts_with("more:")), "{json:#}");
        assert_eq!(ends.target.scalar("SELECT count(*) FROM gone"), "0");
        assert_eq!(ends.target.scalar("SELECT count(*) FROM more WHERE own = 5"), "2");
        // Each table by itself, where all of them do not go together.
        assert_eq!(ends.target.scalar("SELECT name FROM free WHERE id = 1"), "a");
    }

    async fn a_trigger_that_bends_what_is_repaired_is_seen(engine: TestEngine) {
        let ends = Ends::new(engine, "CREATE TABLE t (id INTEGER PRIMARY KEY, name VARCHAR(20)); INSERT INTO t VALUES (1, 'a'), (2, 'b');");
        let _ = ends.copy(&[]).code(0);
        let _ = ends.target.run("UPDATE t SET name = 'z'");
        for statement in engine.pick(
            "CREATE TRIGGER bend AFTER UPDATE ON t WHEN new.id = 2 AND new.name <> 'bent' BEGIN UPDATE t SET name = 'bent' WHERE id = 2; END",
            "CREATE FUNCTION bend() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF new.id = 2 THEN new.name = 'bent'; END IF; \
             RETURN new; END $$;;CREATE TRIGGER bend BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION bend()",
            "CREATE TRIGGER bend BEFORE UPDATE ON t FOR EACH ROW SET new.name = IF(new.id = 2, 'bent', new.name)",
        ).split(";;") {
            let _ = ends.target.run(statement);
        }
        let (code, json) = ends.repair();
        assert_eq!(code, 5, "{json:#}");
        assert_eq!(json["data"]["differences"], json!([{ "table": "t", "key": { "id": 2 }, "columns": ["name"], "in": "both" }]), "{json:#}");
        assert_eq!(ends.target.scalar("SELECT name FROM t WHERE id = 1"), "a");
    }
}

/// From one server to another.
fn between_servers(from: Kind, to: Kind) {
    let sandbox = Sandbox::new();
    let (source, target) = (
        TestEngine::Server(from).database(),
        TestEngine::Server(to).database(),
    );
    for (kind, database) in [(from, &source), (to, &target)] {
        if !kind.is_postgres() {
            let name = database.name();
            let _ = database.run(&format!("ALTER DATABASE {name} CHARACTER SET utf8mb4"));
        }
    }
    let _ = source.run(
        "CREATE TABLE t (id int NOT NULL PRIMARY KEY, name varchar(60) UNIQUE, at timestamp NULL, price numeric(10,2))",
    );
    let _ = source.run(
        "INSERT INTO t VALUES (1, 'رضا 🚚', '2024-02-29 12:00:00', 12.50), (2, NULL, NULL, NULL), (3, 'c', NULL, 0)",
    );
    let ends = ["copy", source.url(), target.url(), "--format", "json"];
    let _ = sandbox.dunlin(ends).code(0);
    let _ = target.run("UPDATE t SET name = 'other', at = NULL, price = 1 WHERE id = 1");
    let _ = target.run("DELETE FROM t WHERE id = 2");
    // Its name is the one that row 3 must have again: it goes first in the end.
    let _ = target.run("UPDATE t SET name = 'd' WHERE id = 3");
    let _ = target.run("INSERT INTO t VALUES (4, 'c', NULL, NULL)");
    let ends = [
        "verify",
        source.url(),
        target.url(),
        "--repair",
        "--format",
        "json",
    ];
    let json = sandbox.dunlin(ends).code(0).json();
    let done = json!({ "inserted": 1, "updated": 2, "deleted": 1 });
    assert_eq!(repaired(&json, "t"), &done, "{json:#}");
    let ends = ["verify", source.url(), target.url(), "--format", "json"];
    assert!(all_equal(&sandbox.dunlin(ends).code(0).json()));
}

#[test]
fn mysql_repairs_postgres() {
    between_servers(Kind::Mysql, Kind::Postgres);
}

#[test]
fn postgres_repairs_mariadb() {
    between_servers(Kind::Postgres, Kind::Mariadb);
}

/// Where no key is primary, a unique one tells rows apart, even if it may be NULL.
#[test]
fn a_key_that_may_be_null_tells_rows_apart() {
    for (from, to) in [
        (Kind::Mysql, Kind::Mariadb),
        (Kind::Mariadb, Kind::Postgres),
        (Kind::Postgres, Kind::Mysql),
    ] {
        let sandbox = Sandbox::new();
        let source = TestEngine::Server(from).database();
        let target = TestEngine::Server(to).database();
        let _ = source.run("CREATE TABLE t (k int, v varchar(20))");
        let _ = source.run("CREATE UNIQUE INDEX t_k ON t (k)");
        let _ = source.run("INSERT INTO t VALUES (1, 'a'), (2, 'b'), (3, 'c'), (NULL, 'n'), (NULL, 'n'), (NULL, 'm')");
        let ends = [source.url(), target.url(), "--format", "json"];
        let dunlin = |verb: &'static str, more: &[&'static str]| {
            let args = [verb].into_iter().chain(ends).chain(more.iter().copied());
            sandbox.dunlin(args)
        };
        let _ = dunlin("copy", &[]).code(0);
        let _ = target.run("UPDATE t SET v = 'x' WHERE k = 2");
        let _ = target.run("DELETE FROM t WHERE k = 3");
        let _ = target.run("INSERT INTO t VALUES (9, 'z')");
        let json = dunlin("verify", &["--repair"]).json();
        let done = json!({ "inserted": 1, "updated": 1, "deleted": 1 });
        assert_eq!(repaired(&json, "t"), &done, "{from} {to} {json:#}");
        assert!(all_equal(&dunlin("verify", &[]).code(0).json()));
        // Which of two rows without a key is another one nobody knows: said, and left.
        let _ = target.run("UPDATE t SET v = 'o' WHERE v = 'm'");
        let json = dunlin("verify", &["--repair"]).code(5).json();
        let findings = json["findings"].as_array().unwrap();
        assert!(
            findings.iter().any(|one| one["code"] == "repair-no-key"),
            "{json:#}"
        );
    }
}

/// What a batch has written would stay where a transaction comes to nothing.
#[test]
fn tables_that_know_no_transactions_are_not_repaired() {
    for (kind, storage) in [
        (Kind::Mysql, "MyISAM"),
        (Kind::Mariadb, "MyISAM"),
        (Kind::Mariadb, "Aria"),
    ] {
        let ends = Ends::new(
            TestEngine::Server(kind),
            "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT); INSERT INTO t VALUES (1, 'a'), (2, 'b');",
        );
        let _ = ends.copy(&[]).code(0);
        let _ = ends.target.run("DELETE FROM t WHERE id = 2");
        let _ = ends
            .target
            .run(&format!("ALTER TABLE t ENGINE = {storage}"));
        let (code, json) = ends.repair();
        assert_eq!(
            (code, &json["failure"]["code"]),
            (4, &json!("copy-not-transactional")),
            "{json:#}"
        );
        assert_eq!(ends.target.scalar("SELECT count(*) FROM t"), "1");
    }
}
