//! A cascade is bounded by the disk, not by memory; and as whole as a small one.

use super::{digest, numbers, room};
use dunlin_testkit::servers::Kind;
use dunlin_testkit::{TestDatabase, TestEngine, for_each_engine};
use serde_json::Value;
use std::path::Path;
use std::process::Command;

/// How much data memory the process may have, in KiB. What is removed takes some times as much.
const LIMIT: u32 = 96 << 10;
/// How often the rows that go with one are doubled, and how long a text each has: half a million of them, and on servers,
/// which take their time for each, fewer and longer ones.
fn size(kind: TestEngine) -> (u32, u32) {
    match kind {
        TestEngine::Sqlite => (19, 200),
        TestEngine::Server(_) => (16, 2000),
    }
}

const RULES: &str = "[[rule]]\nid = \"lost\"\norphans = { table = \"p\", columns = [\"g\"], references = \"g(id)\" }\nclean = \"delete\"\n";

/// A row without its parent, to which very many rows refer.
fn family(kind: TestEngine, database: &TestDatabase, (doubled, long): (u32, u32)) {
    database.run("CREATE TABLE g (id int NOT NULL PRIMARY KEY)");
    database.run("CREATE TABLE p (id int NOT NULL PRIMARY KEY, g int)");
    database.run(
        "CREATE TABLE c (id int NOT NULL PRIMARY KEY, p_id int, pad varchar(2000), FOREIGN KEY (p_id) REFERENCES p (id) ON DELETE \
         CASCADE)",
    );
    database.run("INSERT INTO g VALUES (1)");
    database.run("INSERT INTO p VALUES (1, 1), (2, 9)");
    let half = long / 2;
    let (zeroes, repeated) = (
        format!("hex(zeroblob({half}))"),
        format!("repeat('ab', {half})"),
    );
    let pad = kind.pick(&zeroes, &repeated, &repeated);
    database.run(&format!("INSERT INTO c VALUES (0, 2, {pad})"));
    for power in 0..doubled {
        let more = 1_u64 << power;
        database.run(&format!(
            "INSERT INTO c SELECT id + {more}, p_id, pad FROM c"
        ));
    }
    database.run("INSERT INTO c VALUES (1000000, 1, 'stays')");
}

/// The binary with so much memory: its exit code and what it says.
fn run(folder: &Path, limit: u32, args: &str) -> (Option<i32>, String) {
    let line = format!("ulimit -d {limit}; exec \"$0\" {args} --format json");
    let mut command = Command::new("sh");
    let command = command.args(["-c", &line, env!("CARGO_BIN_EXE_dunlin")]);
    let output = command.current_dir(folder).output().unwrap();
    (
        output.status.code(),
        String::from_utf8_lossy(&output.stdout).into_owned()
            + &String::from_utf8_lossy(&output.stderr),
    )
}

fn removed(text: &str) -> u64 {
    let json: Value = serde_json::from_str(text).unwrap();
    json["data"]["rules"][0]["removed"].as_u64().unwrap()
}

for_each_engine! {
    async fn invariant_13_a_cascade_of_more_than_the_memory_runs_in_bounded_memory(kind: TestEngine) {
        let database = kind.database();
        family(kind, &database, size(kind));
        let sandbox = room(&database, RULES);
        let folder = sandbox.path(".");
        let before = digest(&sandbox);
        for args in ["clean --dry-run", "clean"] {
            let (code, said) = run(&folder, LIMIT, args);
            assert_eq!(code, Some(0), "{said}");
            assert_eq!(removed(&said), (1 << size(kind).0) + 1, "{said}");
        }
        assert_eq!(database.scalar("SELECT count(*) FROM c"), "1");
        // One transaction, and several images of it.
        let images = database.scalar("SELECT count(*) FROM dunlin_undo");
        assert!(images.parse::<u64>().unwrap() > 7, "{images}");
        let (code, said) = run(&folder, LIMIT, "clean --undo");
        assert_eq!(code, Some(0), "{said}");
        assert_eq!(digest(&sandbox), before);
    }
}

/// How many rows of a table the server has read so far.
fn rows_read(kind: TestEngine, database: &TestDatabase, table: &str) -> u64 {
    let postgres = format!(
        "SELECT coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0) FROM pg_stat_user_tables WHERE relname = '{table}'"
    );
    let mysql = format!(
        "SELECT coalesce(sum(count_read), 0) FROM performance_schema.table_io_waits_summary_by_table \
         WHERE object_schema = database() AND object_name = '{table}'"
    );
    let mariadb = format!(
        "SELECT coalesce(sum(rows_read), 0) FROM information_schema.table_statistics \
         WHERE table_schema = database() AND table_name = '{table}'"
    );
    let sql = match kind == TestEngine::Server(Kind::Mariadb) {
        true => mariadb,
        false => kind.pick("", &postgres, &mysql).to_owned(),
    };
    // Figures come when a session has ended.
    let mut last = String::new();
    loop {
        let now = database.scalar(&sql);
        if now == last {
            return now.parse().unwrap();
        }
        last = now;
        std::thread::sleep(std::time::Duration::from_millis(300));
    }
}

/// How many rows are read of a table while it is cleaned.
fn reads(kind: TestEngine, doubled: u32, rules: &str) -> u64 {
    let database = kind.database();
    if kind == TestEngine::Server(Kind::Mariadb) {
        database.run("SET GLOBAL userstat = 1");
    }
    family(kind, &database, (doubled, 200));
    if kind.is_postgres() {
        // Nobody takes statistics of what was just loaded. And reading a row by its key costs what it does on today's disks:
        // else five hundred of a small table cost more than all of it.
        database.run("ALTER TABLE c SET (autovacuum_enabled = false)");
        let name = database.name();
        database.run(&format!("ALTER DATABASE {name} SET random_page_cost = 1.1"));
    }
    if kind.is_mysql_family() {
        // InnoDB counts by itself, some seconds later: until then all of the table costs less than some of its rows.
        let _ = database.try_run("ANALYZE TABLE c");
    }
    let sandbox = room(&database, rules);
    let before = rows_read(kind, &database, "c");
    for args in ["clean --dry-run", "clean"] {
        let (code, said) = run(&sandbox.path("."), LIMIT, args);
        assert_eq!(code, Some(0), "{said}");
        assert!(removed(&said) >= 1 << doubled, "{said}");
    }
    rows_read(kind, &database, "c") - before
}

const ARCHIVE: &str = "[[rule]]\nid = \"old\"\narchive = { table = \"c\", to_file = \"old.ndjson\", where = \"p_id = 2\" }\n";

for_each_engine! {
    only servers
    async fn four_times_the_rows_of_a_cascade_are_about_four_times_the_reading(kind: TestEngine) {
        let (few, many) = (reads(kind, 14, RULES), reads(kind, 16, RULES));
        assert!(few > 1 << 14, "{few}");
        assert!(many < 7 * few, "{few} rows were read of 16,384, {many} of 65,536");
    }

    async fn four_times_the_rows_of_a_rule_are_about_four_times_the_reading(kind: TestEngine) {
        let (few, many) = (reads(kind, 14, ARCHIVE), reads(kind, 16, ARCHIVE));
        assert!(few > 1 << 14, "{few}");
        assert!(many < 7 * few, "{few} rows were read of 16,384, {many} of 65,536");
    }
}

/// What refers to what refers to it, five thousand times.
#[test]
fn a_cascade_may_be_as_deep_as_it_is() {
    let kind = TestEngine::Sqlite;
    let database = kind.database();
    database.run("CREATE TABLE g (id int NOT NULL PRIMARY KEY)");
    database.run("CREATE TABLE p (id INTEGER PRIMARY KEY, g int, up int REFERENCES p (id) ON DELETE CASCADE)");
    database.run("CREATE INDEX p_up ON p (up)");
    database.run(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000) INSERT INTO p SELECT i, CASE WHEN i = 1 \
         THEN 9 END, nullif(i - 1, 0) FROM n",
    );
    let sandbox = room(&database, RULES);
    let before = digest(&sandbox);
    for args in [
        &["clean", "--dry-run", "--format", "json"][..],
        &["clean", "--format", "json"],
    ] {
        let ran = sandbox.dunlin(args.iter().copied()).success();
        assert_eq!(numbers(&ran, "removed"), [("lost".to_owned(), 5000)]);
    }
    assert_eq!(database.scalar("SELECT count(*) FROM p"), "0");
    let _ = sandbox.dunlin(["clean", "--undo"]).success();
    assert_eq!(digest(&sandbox), before);
}

/// Where the cascade cannot come to its end, nothing of it has happened.
#[test]
fn a_cascade_that_is_refused_at_its_end_leaves_nothing() {
    let kind = TestEngine::Sqlite;
    let database = kind.database();
    family(kind, &database, size(kind));
    database.run("CREATE TRIGGER keeps BEFORE DELETE ON p BEGIN SELECT RAISE(ABORT, 'kept'); END");
    let sandbox = room(&database, RULES);
    let before = digest(&sandbox);
    let (code, said) = run(&sandbox.path("."), LIMIT, "clean");
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("kept"), "{said}");
    assert_eq!(digest(&sandbox), before);
    assert_eq!(database.scalar("SELECT count(*) FROM dunlin_undo"), "0");
    let records =
        "SELECT count(*) FROM dunlin_journal WHERE event = 'done' AND detail LIKE '%\"clean\"%'";
    assert_eq!(database.scalar(records), "0");
}
