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

/// Keys that make something of their columns: of an expression, of the beginning of a text, of the rows that meet a condition.
const COMPUTED: &str = "CREATE TABLE t (id INTEGER PRIMARY KEY, k TEXT, p TEXT, n INTEGER, live INTEGER);
    INSERT INTO t VALUES (1, 'a', 'abcd', 1, 1), (2, 'A', 'bxyz', 2, 1), (3, 'b', 'abce', 3, 1), (4, 'c', 'cxyz', 1, 0),
    (5, 'd', 'dxyz', 1, 1), (6, NULL, NULL, 1, 0), (7, NULL, NULL, 1, 0), (8, 'e', 'exyz', 5, 1), (9, 'c2', 'dx', 1, 0);";

/// Rows added to a table that has such keys.
fn computed(engine: TestEngine, keys: &str, expected: &[u32]) {
    let ends = Ends::new(engine, COMPUTED);
    let binary = engine.pick("", "", "CHARACTER SET utf8mb4 COLLATE utf8mb4_bin");
    ends.target.run(&format!(
        "CREATE TABLE t (id int NOT NULL PRIMARY KEY, k varchar(20) {binary}, p varchar(20) {binary}, n int, live int); {keys}; \
         INSERT INTO t VALUES (100, 'E', 'exy', 100, 1)"
    ));
    let append = ["--into-existing", "append"];
    let message = said(&ends.copy(&append).code(1).json());
    assert!(
        message.contains("has a key that is there already"),
        "{message}"
    );
    if expected[0] == 2 {
        let wanted = "in the row id = 2 the value \"A\" has a key that is there already, that of the row id = 1";
        assert!(message.contains(wanted), "{message}");
    }
    assert_eq!(ends.target.scalar("SELECT count(*) FROM t"), "1");

    let args: Vec<&str> = append
        .iter()
        .chain(&["--resume"])
        .chain(&REJECT)
        .copied()
        .collect();
    let json = ends.copy(&args).code(8).json();
    assert!(all_equal(&json), "{json:#}");
    let wanted: Vec<String> = expected
        .iter()
        .map(|id| format!("t {{\"id\":{id}}} duplicate-key"))
        .collect();
    assert_eq!(lines(&ends.sandbox), wanted, "{json:#}");
    let count = (10 - expected.len()).to_string();
    assert_eq!(ends.target.scalar("SELECT count(*) FROM t"), count);
    // What is known of it holds when the copy goes on.
    let again = ends.copy(&args).code(8).json();
    assert!(all_equal(&again), "{again:#}");
    assert_eq!(ends.target.scalar("SELECT count(*) FROM t"), count);
}

const PARTIAL: &str =
    "CREATE UNIQUE INDEX u ON t (lower(k)); CREATE UNIQUE INDEX v ON t (n) WHERE live = 1";

#[test]
fn computed_keys_of_a_table_that_is_there_decide_sqlite() {
    computed(TestEngine::Sqlite, PARTIAL, &[2, 5, 8]);
}

#[test]
fn computed_keys_of_a_table_that_is_there_decide_postgres() {
    computed(TestEngine::Server(Kind::Postgres), PARTIAL, &[2, 5, 8]);
}

#[test]
fn nothing_is_a_key_where_the_index_says_so_postgres() {
    let keys = "CREATE UNIQUE INDEX u ON t (k, p) NULLS NOT DISTINCT; CREATE UNIQUE INDEX v ON t (lower(k), n)";
    computed(TestEngine::Server(Kind::PostgresNewer), keys, &[7]);
}

#[test]
fn computed_keys_of_a_table_that_is_there_decide_mysql() {
    let keys = "CREATE UNIQUE INDEX u ON t ((lower(k))); CREATE UNIQUE INDEX w ON t (p(3)); \
                CREATE UNIQUE INDEX v ON t ((CASE WHEN live = 1 THEN n END))";
    computed(TestEngine::Server(Kind::Mysql), keys, &[2, 3, 5, 8]);
}

#[test]
fn beginnings_that_are_keys_of_a_table_that_is_there_decide_mariadb() {
    let keys = "CREATE UNIQUE INDEX w ON t (p(3))";
    computed(TestEngine::Server(Kind::Mariadb), keys, &[3, 8]);
}

/// An index that is made after the rows. For MySQL's function `Ö` is a large `ö`; PostgreSQL takes it as SQLite does, and there
/// a bent value meets another one.
fn computed_after(engine: TestEngine) {
    let ends = Ends::new(
        engine,
        "CREATE TABLE t (id INTEGER PRIMARY KEY, k VARCHAR(20), live INTEGER); CREATE UNIQUE INDEX u ON t (lower(k)) WHERE live = 1;
         INSERT INTO t VALUES (1, 'ö', 1), (2, 'Ö', 1), (3, 'x', 1), (4, 'x', 0), (5, 'x', 0), (6, 'y', 1), (7, 'Y' || char(0), 1);",
    );
    let bent = ["--policy", "text-nul=coerce"];
    let message = said(&ends.copy(&bent).code(1).json());
    let (first, second) = match engine.is_postgres() {
        true => ("id = 6, k = y", "id = 7, k = Y"),
        false => ("id = 1, k = ö", "id = 2, k = Ö"),
    };
    let wanted = format!(
        "1 rows of t have a key that another row has ({first}, live = 1 and {second}, live = 1)"
    );
    assert!(message.contains(&wanted), "{message}");
    let mut reject = vec![
        "--resume",
        "--policy",
        "duplicate-key=reject",
        "--rejects",
        "r.ndjson",
    ];
    reject.extend(bent);
    let json = ends.copy(&reject).code(8).json();
    assert!(all_equal(&json), "{json:#}");
    let aside = match engine.is_postgres() {
        true => "t {\"id\":7} duplicate-key",
        false => "t {\"id\":2} duplicate-key",
    };
    assert_eq!(lines(&ends.sandbox), [aside]);
    let again = "INSERT INTO t VALUES (9, 'Y', 1)";
    assert!(ends.target.try_run(again).is_err());
}

#[test]
fn a_computed_key_that_comes_after_the_rows_says_which_meet_postgres() {
    computed_after(TestEngine::Server(Kind::Postgres));
}

#[test]
fn a_computed_key_that_comes_after_the_rows_says_which_meet_mysql() {
    computed_after(TestEngine::Server(Kind::Mysql));
}

/// A table that is copied in parts says which rows meet as well.
fn in_parts(engine: TestEngine) {
    let mut ends = Ends::new(
        engine,
        "CREATE TABLE big (id INTEGER, k TEXT COLLATE NOCASE, PRIMARY KEY (k));
         INSERT INTO big WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 6000) SELECT i, 'row ' || i FROM n;
         UPDATE big SET k = 'É' WHERE id = 17; UPDATE big SET k = 'é' WHERE id = 5200;",
    );
    ends.sandbox.set("DUNLIN_TEST_LARGE", "2000");
    let json = ends.copy(&[]).code(1).json();
    let message = said(&json);
    assert!(super::crash::parts_done(&ends) > 0, "{json:#}");
    let wanted = "has a key that is there already, that of the row k = \"";
    assert!(message.contains(wanted), "{message}");
}

#[test]
fn rows_that_meet_in_a_table_in_parts_are_named_mysql() {
    in_parts(TestEngine::Server(Kind::Mysql));
}

#[test]
fn rows_that_meet_in_a_table_in_parts_are_named_mariadb() {
    in_parts(TestEngine::Server(Kind::Mariadb));
}
