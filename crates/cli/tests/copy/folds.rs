//! Keys that only the target takes for one: its collations know no case, and the source's do. Named under `fail`, set aside
//! under `reject`, the first that comes kept, whatever refers to the others after them.

use super::{Ends, all_equal, kill_each};
use dunlin_testkit::engines::TestEngine;
use dunlin_testkit::sandbox::Sandbox;
use dunlin_testkit::servers::{Kind, Server};
use serde_json::Value;

/// A collation of SQLite that knows 26 letters, for which the nearest of the target knows all: a key that is made with the
/// table, one that comes after, and rows that refer to one that goes.
const MADE: &str = "CREATE TABLE w (k TEXT COLLATE NOCASE PRIMARY KEY, v TEXT);
    INSERT INTO w VALUES ('É', 'first'), ('é', 'second'), ('b', 'other');
    CREATE TABLE t (id INTEGER PRIMARY KEY, k TEXT COLLATE NOCASE UNIQUE);
    INSERT INTO t VALUES (1, 'ö'), (2, 'Ö'), (3, NULL), (4, NULL), (5, 'x');
    CREATE TABLE c (id INTEGER PRIMARY KEY, t_id INTEGER REFERENCES t (id));
    INSERT INTO c VALUES (1, 1), (2, 2), (3, NULL);";

/// Into tables that are there, of which one holds a row already.
const GIVEN: &str = "CREATE TABLE w (k VARCHAR(20) PRIMARY KEY, v TEXT);
    INSERT INTO w VALUES ('x', 'first'), ('X', 'second'), ('y', 'other');
    CREATE TABLE p (id INTEGER PRIMARY KEY, k VARCHAR(20) UNIQUE, n INTEGER);
    INSERT INTO p VALUES (1, 'a', 1), (2, 'A', 2), (3, 'b', 3), (4, 'c', 2), (5, NULL, 1);
    CREATE TABLE c (id INTEGER PRIMARY KEY, p_id INTEGER REFERENCES p (id));
    INSERT INTO c VALUES (1, 1), (2, 2), (3, 3), (4, 4);";

fn there(key: &str) -> String {
    format!(
        "CREATE TABLE w (k {key} PRIMARY KEY, v varchar(20));
         CREATE TABLE p (id INTEGER PRIMARY KEY, k {key} UNIQUE, n INTEGER UNIQUE); INSERT INTO p VALUES (100, 'B', 100);
         CREATE TABLE c (id INTEGER PRIMARY KEY, p_id INTEGER, FOREIGN KEY (p_id) REFERENCES p (id));"
    )
}

const REJECT: [&str; 4] = ["--on-error", "reject", "--rejects", "r.ndjson"];

fn rejected(json: &Value, table: &str) -> u64 {
    let tables = json["data"]["tables"].as_array().unwrap();
    let line = tables.iter().find(|line| line["table"] == table).unwrap();
    line["rejected"].as_u64().unwrap()
}

/// Table and key of what was set aside.
fn lines(sandbox: &Sandbox) -> Vec<String> {
    let text = sandbox.read("r.ndjson");
    let line = |line: &str| {
        let line: Value = serde_json::from_str(line).unwrap();
        let code = line["code"].as_str().unwrap();
        format!("{} {} {code}", line["table"].as_str().unwrap(), line["key"])
    };
    let mut lines: Vec<String> = text.lines().map(line).collect();
    lines.sort();
    lines
}

fn said(json: &Value) -> String {
    assert_eq!(json["failure"]["code"], "duplicate-key", "{json:#}");
    json["failure"]["message"].as_str().unwrap().to_owned()
}

fn made(engine: TestEngine) {
    let ends = Ends::new(engine, MADE);
    let message = said(&ends.copy(&[]).code(1).json());
    let first = "w.k: in the row k = \"é\" the value \"é\" has a key that is there already, that of the row k = \"É\"";
    assert!(message.contains(first), "{message}");

    let json = ends.copy(&["--resume", "--on-error", "reject", "--rejects", "r.ndjson"]);
    let json = json.code(8).json();
    assert!(all_equal(&json), "{json:#}");
    for (table, count) in [("w", 1), ("t", 1), ("c", 1)] {
        assert_eq!(rejected(&json, table), count, "{table} of {json:#}");
    }
    let found = lines(&ends.sandbox);
    let wanted = [
        "c {\"id\":2} orphan-row",
        "t {\"id\":2} duplicate-key",
        "w {\"k\":\"é\"} duplicate-key",
    ];
    assert_eq!(found, wanted);
    let kept = "SELECT v FROM w WHERE k = 'É'";
    assert_eq!(ends.target.scalar(kept), "first");
    assert!(
        ends.target
            .try_run("INSERT INTO t VALUES (9, 'Ö')")
            .is_err()
    );

    // What is known of it holds when the copy goes on.
    let again = ends.copy(&["--resume", "--on-error", "reject", "--rejects", "r.ndjson"]);
    assert!(all_equal(&again.code(8).json()));
    assert_eq!(lines(&ends.sandbox), wanted);
}

/// A key that is made after the rows, under the policy `fail`: the target says which rows meet.
fn after(engine: TestEngine) {
    let ends = Ends::new(
        engine,
        "CREATE TABLE t (id INTEGER PRIMARY KEY, k TEXT COLLATE NOCASE UNIQUE); INSERT INTO t VALUES (1, 'ö'), (2, 'Ö'), (3, 'x');",
    );
    let message = said(&ends.copy(&[]).code(1).json());
    let wanted = "1 rows of t have a key that another row has (id = 1, k = ö and id = 2, k = Ö)";
    assert!(message.contains(wanted), "{message}");
}

fn given(engine: TestEngine, key: &str) {
    let ends = Ends::new(engine, GIVEN);
    if key.ends_with("nocase") {
        let made = "CREATE COLLATION nocase (provider = icu, locale = 'und-u-ks-level2', deterministic = false)";
        ends.target.run(made);
    }
    ends.target.run(&there(key));
    let append = ["--into-existing", "append"];
    let message = said(&ends.copy(&append).code(1).json());
    assert!(
        message.contains("that of the row k = \"x\"") || message.contains("p.k"),
        "{message}"
    );
    assert_eq!(ends.target.scalar("SELECT count(*) FROM p"), "1");

    let args: Vec<&str> = append
        .iter()
        .chain(&["--resume"])
        .chain(&REJECT)
        .copied()
        .collect();
    let json = ends.copy(&args).code(8).json();
    assert!(all_equal(&json), "{json:#}");
    // 2 has the key of 1, 3 that of a row that was there; 4 has a number of 2, which went; 5 that of 1, which stays.
    let found = lines(&ends.sandbox);
    let wanted = [
        "c {\"id\":2} orphan-row",
        "c {\"id\":3} orphan-row",
        "p {\"id\":2} duplicate-key",
        "p {\"id\":3} duplicate-key",
        "p {\"id\":5} duplicate-key",
        "w {\"k\":\"X\"} duplicate-key",
    ];
    assert_eq!(found, wanted, "{json:#}");
    assert_eq!(ends.target.scalar("SELECT sum(id) FROM p"), "105");
    assert_eq!(ends.target.scalar("SELECT sum(id) FROM c"), "5");
    assert_eq!(ends.target.scalar("SELECT v FROM w WHERE k = 'x'"), "first");

    let again = ends.copy(&args).code(8).json();
    assert!(all_equal(&again), "{again:#}");
    assert_eq!(ends.target.scalar("SELECT count(*) FROM p"), "3");
}

/// Killed wherever it is: each row is in the target or in the file, and once.
fn killed(engine: TestEngine) {
    let source = "CREATE TABLE w (k TEXT COLLATE NOCASE PRIMARY KEY, n INTEGER);
        INSERT INTO w WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000)
        SELECT CASE WHEN i % 10 = 0 THEN 'é' || (i - 1) ELSE 'É' || i END, i FROM n;
        CREATE TABLE t (id INTEGER PRIMARY KEY, k TEXT COLLATE NOCASE UNIQUE); INSERT INTO t SELECT n, k FROM w;
        CREATE TABLE c (id INTEGER PRIMARY KEY, t_id INTEGER REFERENCES t (id)); INSERT INTO c SELECT n, n FROM w;";
    let ends = Ends::new(engine, source);
    let url = ends.target.url();
    let mut all = vec![
        "copy",
        "sqlite:source.db",
        url,
        "--resume",
        "--format",
        "json",
    ];
    all.extend(REJECT);
    let waits: Vec<u64> = (1..=10).map(|n| n * 60).collect();
    kill_each(&ends.sandbox, &all, &waits, || {});
    let json = ends.sandbox.dunlin(all).code(8).json();
    assert!(all_equal(&json), "{json:#}");
    for table in ["w", "t", "c"] {
        assert_eq!(rejected(&json, table), 500, "{table} of {json:#}");
    }
    let mut found = lines(&ends.sandbox);
    assert_eq!(found.len(), 1500);
    found.dedup();
    assert_eq!(found.len(), 1500);
}

/// Who may make no temporary table is told keys apart as the source does it, and still goes on.
fn without_the_right(engine: TestEngine) {
    let source = "CREATE TABLE t (id INTEGER PRIMARY KEY, k VARCHAR(20)); INSERT INTO t VALUES (1, 'a'), (2, 'a'), (3, 'b');
        CREATE TABLE c (id INTEGER PRIMARY KEY, t_id INTEGER); INSERT INTO c VALUES (1, 1);";
    let ends = Ends::new(engine, source);
    let name = ends.target.name();
    ends.target.run(
        "CREATE TABLE t (id int PRIMARY KEY, k varchar(20) UNIQUE) CHARACTER SET utf8mb4; CREATE TABLE c (id int PRIMARY KEY, \
         t_id int, FOREIGN KEY (t_id) REFERENCES t (id)); SET foreign_key_checks = 0; INSERT INTO c VALUES (9, 99);",
    );
    let user = format!("t{name}");
    ends.target
        .run(&format!("CREATE USER '{user}'@'%' IDENTIFIED BY 'geheim'"));
    let rights = "SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER, DROP, INDEX, REFERENCES";
    ends.target
        .run(&format!("GRANT {rights} ON {name}.* TO '{user}'@'%'"));
    let url = Server::shared(engine.kind().unwrap()).url_as(&user, "geheim", name);
    let mut args = vec!["copy", "sqlite:source.db", &url, "--format", "json"];
    args.extend(["--into-existing", "append"]);
    let ran = ends.sandbox.dunlin(args.iter().chain(&REJECT));
    ends.target.run(&format!("DROP USER '{user}'@'%'"));
    let json = ran.code(8).json();
    assert!(all_equal(&json), "{json:#}");
    assert_eq!(lines(&ends.sandbox), ["t {\"id\":2} duplicate-key"]);
    assert_eq!(ends.target.scalar("SELECT count(*) FROM c"), "2");
}

macro_rules! on {
    ($($name:ident: $kind:ident;)*) => {$(
        mod $name {
            use super::{Kind, TestEngine};

            const ENGINE: TestEngine = TestEngine::Server(Kind::$kind);

            #[test]
            fn rows_that_the_nearest_collation_takes_for_one_are_named_or_set_aside() {
                super::made(ENGINE);
            }

            #[test]
            fn a_key_that_comes_after_the_rows_says_which_meet() {
                super::after(ENGINE);
            }

            #[test]
            fn a_killed_copy_asks_again_and_sets_each_row_aside_once() {
                super::killed(ENGINE);
            }

            #[test]
            fn without_the_right_to_make_temporary_tables_the_source_decides() {
                super::without_the_right(ENGINE);
            }

            #[test]
            fn keys_of_tables_that_are_there_decide_what_is_one() {
                super::given(ENGINE, "varchar(20) CHARACTER SET utf8mb4");
            }
        }
    )*};
}

on! {
    mysql: Mysql;
    mariadb: Mariadb;
}

#[test]
fn columns_of_sqlite_that_know_no_case_decide_what_is_one() {
    given(TestEngine::Sqlite, "TEXT COLLATE NOCASE");
}

/// An index may know no case where its column does.
#[test]
fn an_index_of_sqlite_that_knows_no_case_decides_what_is_one() {
    let ends = Ends::new(
        TestEngine::Sqlite,
        "CREATE TABLE t (id INTEGER PRIMARY KEY, k TEXT); INSERT INTO t VALUES (1, 'a'), (2, 'A'), (3, 'b');",
    );
    ends.target.run(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, k TEXT); CREATE UNIQUE INDEX u ON t (k COLLATE NOCASE);",
    );
    let args: Vec<&str> = ["--into-existing", "replace"]
        .iter()
        .chain(&REJECT)
        .copied()
        .collect();
    let json = ends.copy(&args).code(8).json();
    assert!(all_equal(&json), "{json:#}");
    assert_eq!(lines(&ends.sandbox), ["t {\"id\":2} duplicate-key"]);
}

#[test]
fn a_collation_of_postgres_that_knows_no_case_decides_what_is_one() {
    given(
        TestEngine::Server(Kind::Postgres),
        "varchar(20) COLLATE nocase",
    );
}
