//! Into servers whose indexes, foreign keys and rows out of order are dear: made by few statements, and proven none the less.

use super::{Ends, all_equal};
use dunlin_testkit::TestDatabase;
use dunlin_testkit::engines::TestEngine;
use dunlin_testkit::sandbox::Sandbox;
use dunlin_testkit::servers::{Kind, Options, Server};
use rusqlite::Connection;
use std::process::Command;

const FAMILY: &str = "CREATE TABLE p (id INTEGER PRIMARY KEY, name TEXT UNIQUE, n INTEGER);
    CREATE INDEX p_n ON p (n); CREATE INDEX p_n_name ON p (n, name);
    CREATE TABLE c (id INTEGER PRIMARY KEY, p_id INTEGER REFERENCES p (id), up INTEGER REFERENCES c (id), name TEXT REFERENCES p (name));
    INSERT INTO p VALUES (1, 'a', 1), (2, 'b', 2), (3, NULL, NULL);
    INSERT INTO c VALUES (1, 1, NULL, 'a'), (2, 2, 1, NULL), (3, NULL, 2, 'b');";

/// What a server with a general log was told that holds these words.
fn told(target: &TestDatabase, words: &str) -> Vec<String> {
    let sql = format!(
        "SELECT CONVERT(argument USING utf8mb4) FROM mysql.general_log WHERE command_type = 'Query' AND argument LIKE '{words}' \
         AND argument NOT LIKE '%general_log%' ORDER BY event_time"
    );
    let found = target.run(&sql);
    found.into_iter().flatten().flatten().collect()
}

fn few_statements(kind: Kind) {
    let options = Options::default()
        .arg("--log-output=TABLE")
        .arg("--general-log=ON");
    let server = Server::private(kind, options);
    let target = TestDatabase::on(&server);
    let sandbox = Sandbox::new();
    let source = Connection::open(sandbox.path("source.db")).unwrap();
    source.execute_batch(FAMILY).unwrap();
    let copy = |more: &[&str]| {
        let mut args = vec!["copy", "sqlite:source.db", target.url(), "--format", "json"];
        args.extend(more);
        sandbox.dunlin(args)
    };
    let json = copy(&[]).code(0).json();
    assert!(all_equal(&json), "{json:#}");
    let indexes = told(&target, "ALTER TABLE `p` ADD%");
    assert_eq!(indexes.len(), 1, "one reading of the table: {indexes:#?}");
    assert_eq!(indexes[0].matches("ADD ").count(), 3, "{indexes:#?}");
    // Both ends held, looked at, and only then believed; for each of three keys.
    let keys: Vec<String> = told(&target, "%")
        .into_iter()
        .filter_map(|sql| {
            let steps = [
                "LOCK TABLES",
                "SELECT NULL FROM `c`",
                "SET SESSION foreign_key_checks = 0",
                "ALTER TABLE `c` ADD",
                "UNLOCK",
            ];
            let step = steps.into_iter().find(|step| sql.starts_with(step))?;
            Some(step.split(' ').next()?.to_owned())
        })
        .collect();
    let all = told(&target, "%");
    let from = keys
        .iter()
        .position(|step| step == "LOCK")
        .expect("nothing is held");
    let expected = ["LOCK", "SELECT", "SET", "ALTER", "UNLOCK"].repeat(3);
    assert_eq!(keys[from..], expected, "{all:#?}");
    assert_eq!(refusals(&target), 4);
    let json = sandbox.dunlin([
        "verify",
        "sqlite:source.db",
        target.url(),
        "--format",
        "json",
    ]);
    let _ = json.code(0);
}

#[test]
fn indexes_and_foreign_keys_by_few_statements_mysql() {
    few_statements(Kind::Mysql);
}

#[test]
fn indexes_and_foreign_keys_by_few_statements_mariadb() {
    few_statements(Kind::Mariadb);
}

/// Who may not hold tables gets the same keys, and the same word about rows that break them.
fn without_the_right(engine: TestEngine, orphan: bool) {
    let ends = Ends::new(engine, FAMILY);
    if orphan {
        let source = Connection::open(ends.sandbox.path("source.db")).unwrap();
        let sql = "PRAGMA foreign_keys = OFF; INSERT INTO c VALUES (4, 4, NULL, NULL)";
        source.execute_batch(sql).unwrap();
    }
    let name = ends.target.name();
    let user = format!("l{name}");
    let make = format!("CREATE USER '{user}'@'%' IDENTIFIED BY 'geheim'");
    let _ = ends.target.run(&make);
    let rights = "SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER, DROP, INDEX, REFERENCES";
    let grant = format!("GRANT {rights} ON {name}.* TO '{user}'@'%'");
    let _ = ends.target.run(&grant);
    let server = Server::shared(engine.kind().unwrap());
    let url = server.url_as(&user, "geheim", name);
    let ran = ends
        .sandbox
        .dunlin(["copy", "sqlite:source.db", &url, "--format", "json"]);
    let _ = ends.target.run(&format!("DROP USER '{user}'@'%'"));
    if orphan {
        let json = ran.code(1).json();
        assert_eq!(json["failure"]["code"], "orphan-row", "{json:#}");
        return;
    }
    assert!(all_equal(&ran.code(0).json()));
    assert_eq!(refusals(&ends.target), 4);
}

fn refusals(target: &TestDatabase) -> usize {
    [
        "INSERT INTO c (id, p_id) VALUES (9, 9)",
        "INSERT INTO c (id, up) VALUES (9, 77)",
        "INSERT INTO c (id, name) VALUES (9, 'z')",
        "INSERT INTO p (id, name) VALUES (9, 'a')",
    ]
    .iter()
    .filter(|sql| target.try_run(sql).is_err())
    .count()
}

#[test]
fn foreign_keys_without_the_right_to_hold_tables_mysql() {
    without_the_right(TestEngine::Server(Kind::Mysql), false);
    without_the_right(TestEngine::Server(Kind::Mysql), true);
}

#[test]
fn foreign_keys_without_the_right_to_hold_tables_mariadb() {
    without_the_right(TestEngine::Server(Kind::Mariadb), false);
    without_the_right(TestEngine::Server(Kind::Mariadb), true);
}

/// A large table whose rows do not lie by its key, killed in the middle.
fn cut_by_keys(engine: TestEngine) {
    let mut ends = Ends::new(
        engine,
        "CREATE TABLE big (id TEXT PRIMARY KEY, name TEXT);
         CREATE TABLE pairs (a TEXT, b INTEGER, name TEXT, PRIMARY KEY (a, b)) WITHOUT ROWID;
         INSERT INTO big WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 60000)
         SELECT printf('%05d ''\\ %d', i * 7919 % 60000, i), 'row ' || i || ' of رضا' FROM n;
         INSERT INTO pairs SELECT 'of ' || (rowid / 1000), rowid, name FROM big;",
    );
    ends.sandbox.set("DUNLIN_TEST_LARGE", "2000");
    let url = ends.target.url().to_owned();
    let mut running = ends.sandbox.spawn(["copy", "sqlite:source.db", &url]);
    while super::crash::parts_done(&ends) < 3 && !running.ended() {
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    running.signal("KILL");
    let _ = running.wait();
    let done = super::crash::parts_done(&ends);
    assert!(done >= 3, "{done} parts were done");
    let json = ends.copy(&["--resume"]).code(0).json();
    assert!(all_equal(&json), "{json:#}");
    for table in ["big", "pairs"] {
        let count = format!("SELECT count(*) FROM {table}");
        assert_eq!(ends.target.scalar(&count), "60000");
    }
    let cut =
        "SELECT count(*) FROM dunlin_journal WHERE unit = '@:copy/parts' AND detail LIKE '%cuts%'";
    assert_eq!(ends.target.scalar(cut), "2");
    // 120 parts of one; of the other one for each first column, of which none is cut, and one before them.
    assert_eq!(super::crash::parts_done(&ends), 120 + 62);
    let (code, json) = ends.verify();
    assert_eq!(code, 0, "{json:#}");
}

#[test]
fn a_large_table_is_cut_by_its_key_mysql() {
    cut_by_keys(TestEngine::Server(Kind::Mysql));
}

#[test]
fn a_large_table_is_cut_by_its_key_mariadb() {
    cut_by_keys(TestEngine::Server(Kind::Mariadb));
}

/// How much data memory the process may have, in KiB: less than what the rows take.
const LIMIT: u32 = 64 << 10;

/// Two tables at once, and each row one that some INSERTs hold a few of: the driver keeps a hundred buffers.
fn bounded(engine: TestEngine) {
    let ends = Ends::new(
        engine,
        "CREATE TABLE a (id INTEGER PRIMARY KEY, t TEXT, u TEXT); CREATE TABLE b (id INTEGER PRIMARY KEY, t TEXT, u TEXT);
         INSERT INTO a WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 70000)
         SELECT i, hex(randomblob(500)), printf('%.200c', 'x') FROM n;
         INSERT INTO b SELECT * FROM a;",
    );
    let line = format!(
        "ulimit -d {LIMIT}; exec \"$0\" copy \"sqlite:$1\" \"$2\" --format json --no-verify"
    );
    let output = Command::new("sh")
        .args(["-c", &line, env!("CARGO_BIN_EXE_dunlin")])
        .arg(ends.sandbox.path("source.db"))
        .arg(ends.target.url())
        .current_dir(ends.sandbox.path("."))
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "{text}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert_eq!(ends.target.scalar("SELECT count(*) FROM b"), "70000");
}

#[test]
fn invariant_13_a_copy_of_more_than_the_memory_runs_in_it_mysql() {
    bounded(TestEngine::Server(Kind::Mysql));
}

#[test]
fn invariant_13_a_copy_of_more_than_the_memory_runs_in_it_mariadb() {
    bounded(TestEngine::Server(Kind::Mariadb));
}

/// A run dies when a foreign key without a name is made and not recorded.
fn made_once(kind: Kind) {
    let ends = Ends::new(
        TestEngine::Server(kind),
        &format!("PRAGMA foreign_keys = OFF; {FAMILY} INSERT INTO c VALUES (4, 9, NULL, NULL);"),
    );
    // The journal is there, and all rows are.
    let json = ends.copy(&[]).code(1).json();
    assert_eq!(json["failure"]["code"], "orphan-row", "{json:#}");
    ends.target.run(
        "CREATE TRIGGER dies BEFORE INSERT ON dunlin_journal FOR EACH ROW BEGIN IF NEW.event = 'done' AND \
         NEW.detail LIKE '%foreign key of c (p_id)%' THEN \
         SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'dies here'; END IF; END",
    );
    let keys = "SELECT group_concat(c ORDER BY c) FROM (SELECT count(*) AS c FROM information_schema.key_column_usage WHERE \
                table_schema = database() AND referenced_table_name IS NOT NULL GROUP BY column_name) k";
    let reject = ["--resume", "--on-error", "reject", "--rejects", "r.ndjson"];
    let json = ends.copy(&reject).code(1).json();
    assert!(
        json["failure"].to_string().contains("dies here"),
        "{json:#}"
    );
    assert_eq!(ends.target.scalar(keys), "1,1");
    ends.target.run("DROP TRIGGER dies");
    let json = ends.copy(&reject).code(8).json();
    assert!(all_equal(&json), "{json:#}");
    assert_eq!(ends.target.scalar(keys), "1,1,1");
    let again = ends.copy(&reject).code(8).json();
    assert!(all_equal(&again), "{again:#}");
    assert_eq!(ends.target.scalar(keys), "1,1,1");
}

#[test]
fn a_foreign_key_that_is_there_and_not_recorded_is_made_once_mysql() {
    made_once(Kind::Mysql);
}

#[test]
fn a_foreign_key_that_is_there_and_not_recorded_is_made_once_mariadb() {
    made_once(Kind::Mariadb);
}
