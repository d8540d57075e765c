//! A cascade is bounded by the disk, not by memory; and as whole as a small one.

use super::{digest, numbers, room};
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
fn family(kind: TestEngine, database: &TestDatabase) {
    database.run("CREATE TABLE g (id int NOT NULL PRIMARY KEY)");
    database.run("CREATE TABLE p (id int NOT NULL PRIMARY KEY, g int)");
    database.run(
        "CREATE TABLE c (id int NOT NULL PRIMARY KEY, p_id int, pad varchar(2000), FOREIGN KEY (p_id) REFERENCES p (id) ON DELETE \
         CASCADE)",
    );
    database.run("INSERT INTO g VALUES (1)");
    database.run("INSERT INTO p VALUES (1, 1), (2, 9)");
    let (doubled, long) = size(kind);
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
        family(kind, &database);
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
    family(kind, &database);
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
