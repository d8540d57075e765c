//! Small migrations that follow each other share a commit where that is what they wait for: each is still whole or not at
//! all, has its own record, and fails alone.
#![allow(clippy::unwrap_used)]

use dunlin_testkit::sandbox::Sandbox;
use dunlin_testkit::{TestDatabase, TestEngine};
use std::fmt::Write as _;

fn room(scripts: &[String]) -> (Sandbox, TestDatabase) {
    let database = TestEngine::Sqlite.database();
    database.run("PRAGMA user_version = 1");
    let sandbox = Sandbox::with_binary(env!("CARGO_BIN_EXE_dunlin"));
    let url = database.url();
    sandbox.write("dunlin.toml", format!("[database.app]\nurl = \"{url}\"\n"));
    for (at, script) in scripts.iter().enumerate() {
        write(&sandbox, at + 1, script);
    }
    (sandbox, database)
}

fn write(sandbox: &Sandbox, version: usize, script: &str) {
    let head = "-- dunlin: irreversible = \"a test\"";
    sandbox.write(
        format!("migrations/{version:03}_it.sql"),
        format!("{head}\n{script};\n"),
    );
}

fn plain(count: usize) -> Vec<String> {
    let table = "CREATE TABLE notes (id INTEGER PRIMARY KEY, word TEXT)".to_owned();
    let row = |id| format!("INSERT INTO notes VALUES ({id}, 'a'), (-{id}, 'b')");
    std::iter::once(table).chain((2..=count).map(row)).collect()
}

/// Of how many transactions the file has seen the end: <https://www.sqlite.org/fileformat2.html#file_change_counter>.
fn commits(database: &TestDatabase) -> u32 {
    let file = std::fs::read(database.file().unwrap()).unwrap();
    u32::from_be_bytes(file[24..28].try_into().unwrap())
}

#[test]
fn small_migrations_share_commits_and_each_has_its_record() {
    let (sandbox, database) = room(&plain(120));
    let ran = sandbox.dunlin(["up", "--format", "json"]).code(0).json();
    assert_eq!(
        ran["data"]["applied"].as_array().unwrap().len(),
        120,
        "{ran}"
    );
    assert!(commits(&database) < 100, "{} commits", commits(&database));
    let records = "SELECT count(*) FROM dunlin_journal WHERE scope = 'unit' AND event = 'done'";
    assert_eq!(database.scalar(records), "120");
    assert_eq!(database.scalar("SELECT count(*) FROM notes"), "238");
    sandbox.dunlin(["up"]).code(0);
    assert_eq!(database.scalar(records), "120");
}

#[test]
fn one_that_fails_among_them_fails_alone() {
    let mut scripts = plain(40);
    scripts[19] =
        "INSERT INTO notes VALUES (999, 'x'); INSERT INTO notes VALUES (2, 'again')".into();
    let (sandbox, database) = room(&scripts);
    let ran = sandbox
        .dunlin(["up", "--format", "json", "--events", "events"])
        .code(1)
        .json();
    assert_eq!(
        ran["data"]["applied"].as_array().unwrap().len(),
        19,
        "{ran}"
    );
    assert!(
        ran["failure"]["message"].as_str().unwrap().contains("020"),
        "{ran}"
    );
    assert_eq!(ran["failure"]["where"]["line"], 2, "{ran}");
    assert_eq!(database.scalar("SELECT count(*) FROM notes"), "36");
    // What was rolled back to be run one by one was never said to be done.
    let mut done = String::new();
    for line in sandbox.read("events").lines() {
        let event: serde_json::Value = serde_json::from_str(line).unwrap();
        if event["event"] == "step_done" {
            write!(done, "{} ", event["version"].as_str().unwrap()).unwrap();
        }
    }
    let wanted: Vec<_> = (1..20).map(|version| format!("{version:03} ")).collect();
    assert_eq!(done, wanted.concat());
    write(&sandbox, 20, "INSERT INTO notes VALUES (999, 'x')");
    sandbox.dunlin(["up"]).code(0);
    assert_eq!(database.scalar("SELECT count(*) FROM notes"), "77");
}

/// Whatever the session's LIKE makes of capitals.
#[test]
fn a_foreign_key_that_waits_for_the_commit_is_looked_at_after_each() {
    for more in ["", ", \"PRAGMA case_sensitive_like = ON\""] {
        waits_for_the_commit(more);
    }
}

fn waits_for_the_commit(more: &str) {
    let (sandbox, database) = room(&[
        "CREATE TABLE parents (id INTEGER PRIMARY KEY)".into(),
        "CREATE TABLE children (parent INTEGER REFERENCES parents DEFERRABLE INITIALLY DEFERRED)"
            .into(),
        "INSERT INTO children VALUES (7)".into(),
        "INSERT INTO parents VALUES (7)".into(),
    ]);
    let toml = sandbox.read("dunlin.toml");
    sandbox.write(
        "dunlin.toml",
        format!("{toml}prelude = [\"PRAGMA foreign_keys = ON\"{more}]\n"),
    );
    let ran = sandbox.dunlin(["up", "--format", "json"]).code(1).json();
    assert_eq!(ran["data"]["applied"].as_array().unwrap().len(), 2, "{ran}");
    assert_eq!(database.scalar("SELECT count(*) FROM children"), "0");
    assert_eq!(database.scalar("SELECT count(*) FROM parents"), "0");
}

#[test]
fn a_foreign_key_of_an_attached_file_that_waits_for_the_commit_is_looked_at_after_each() {
    let (sandbox, _database) = room(&[
        "CREATE TABLE here (id INTEGER PRIMARY KEY)".into(),
        "INSERT INTO other.children VALUES (7)".into(),
        "INSERT INTO other.parents VALUES (7)".into(),
    ]);
    let other = TestEngine::Sqlite.database();
    other.run("CREATE TABLE parents (id INTEGER PRIMARY KEY)");
    other.run(
        "CREATE TABLE children (parent INTEGER REFERENCES parents DEFERRABLE INITIALLY DEFERRED)",
    );
    let toml = sandbox.read("dunlin.toml");
    let file = other.file().unwrap().display().to_string();
    sandbox.write(
        "dunlin.toml",
        format!("{toml}prelude = [\"PRAGMA foreign_keys = ON\", \"ATTACH '{file}' AS other\"]\n"),
    );
    let ran = sandbox.dunlin(["up", "--format", "json"]).code(1).json();
    assert_eq!(ran["data"]["applied"].as_array().unwrap().len(), 1, "{ran}");
    assert_eq!(other.scalar("SELECT count(*) FROM children"), "0");
    assert_eq!(other.scalar("SELECT count(*) FROM parents"), "0");
}

#[test]
fn one_that_takes_long_among_them_runs_by_itself_and_once() {
    let mut scripts = plain(6);
    let long = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000000) \
                INSERT INTO notes SELECT 999, count(*) FROM n";
    scripts[3] = long.into();
    let (sandbox, database) = room(&scripts);
    sandbox.dunlin(["up"]).code(0);
    assert_eq!(
        database.scalar("SELECT word FROM notes WHERE id = 999"),
        "5000000"
    );
    assert_eq!(database.scalar("SELECT count(*) FROM notes"), "9");
}
