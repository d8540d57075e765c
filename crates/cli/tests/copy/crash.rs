//! Copies that are killed, and gone on with: equal digests, and nothing twice.

use super::{Ends, all_equal, kill_each};
use dunlin_testkit::engines::TestEngine;
use dunlin_testkit::for_each_engine;
use std::time::{Duration, Instant};

/// Five tables of some thousand rows, one without a key, with foreign keys and indexes.
fn source() -> String {
    let mut sql = String::new();
    for table in 0..5 {
        let key = if table == 2 { "" } else { " PRIMARY KEY" };
        let parent = if table > 2 {
            ", parent INTEGER REFERENCES t0(id)"
        } else {
            ""
        };
        let value = if table > 2 { ", i % 6000 + 1" } else { "" };
        sql.push_str(&format!(
            "CREATE TABLE t{table} (id INTEGER{key}, name TEXT, at DATETIME{parent}); CREATE INDEX i{table} ON t{table} (at);
             INSERT INTO t{table} WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 8000)
             SELECT i, 'row ' || i || ' of رضا 🚚', datetime(1700000000 + i, 'unixepoch'){value} FROM n;"
        ));
    }
    sql.push_str("INSERT INTO t2 SELECT * FROM t2 WHERE id < 100;");
    sql
}

for_each_engine! {
    async fn a_killed_copy_goes_on_and_nothing_is_twice(engine: TestEngine) {
        let ends = Ends::new(engine, &source());
        let url = ends.target.url();
        let args = ["copy", "sqlite:source.db", url, "--resume", "--format", "json"];
        kill_each(&ends.sandbox, &args, &[40, 120, 250, 400, 650], || {});
        // An end that came through before the last kill leaves nothing to go on with.
        let ran = ends.copy(&["--resume"]);
        let json = ran.json();
        assert!(ran.code == Some(0), "{json:#}");
        assert!(all_equal(&json), "{json:#}");
        assert_eq!(ends.target.scalar("SELECT count(*) FROM t2"), "8099");
        let (code, json) = ends.verify();
        assert_eq!(code, 0, "{json:#}");
    }

    async fn a_copy_that_came_to_its_end_is_not_made_again_over_later_rows(engine: TestEngine) {
        let ends = Ends::new(engine, "CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT); INSERT INTO t VALUES (1, 'a');");
        let _ = ends.copy(&[]).code(0);
        let json = ends.copy(&["--resume"]).code(0).json();
        assert!(all_equal(&json), "{json:#}");
        let _ = ends.target.run("INSERT INTO t (id, name) VALUES (2, 'written later')");
        let connection = rusqlite::Connection::open(ends.sandbox.path("source.db")).unwrap();
        connection.execute_batch("INSERT INTO t VALUES (3, 'c')").unwrap();
        // Asked twice: what was refused must not pass for a copy that is under way.
        for _ in 0..2 {
            let json = ends.copy(&["--resume"]).code(4).json();
            assert_eq!(json["failure"]["code"], "copy-changed", "{json:#}");
            assert_eq!(ends.target.scalar("SELECT count(*) FROM t"), "2");
        }
    }

    async fn an_interrupted_copy_ends_within_seconds_and_goes_on(engine: TestEngine) {
        let ends = Ends::new(
            engine,
            "CREATE TABLE big (id INTEGER PRIMARY KEY, name TEXT, body TEXT); CREATE INDEX by_name ON big (name);
             INSERT INTO big WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 40000)
             SELECT i, 'row ' || i, printf('%.1000c', 'x') FROM n;",
        );
        let url = ends.target.url();
        let mut interrupted = 0;
        for wait in [100_u64, 350, 700, 1200] {
            let mut running = ends.sandbox.spawn(["copy", "sqlite:source.db", url, "--resume", "--format", "json"]);
            std::thread::sleep(Duration::from_millis(wait));
            if running.ended() {
                break;
            }
            let pressed = Instant::now();
            running.signal("INT");
            running.signal("INT");
            let ran = running.wait();
            assert!(pressed.elapsed() < Duration::from_secs(15), "{wait} ms: {:?}", pressed.elapsed());
            // Where the signal comes before anybody listens it ends the process; where it comes late the copy is done.
            if !matches!(ran.code, None | Some(0)) {
                let json = ran.code(130).json();
                assert_eq!(json["failure"]["code"], "interrupted", "{json:#}");
                interrupted += 1;
            }
        }
        assert!(interrupted > 0, "nothing was interrupted");
        let json = ends.copy(&["--resume"]).code(0).json();
        assert!(all_equal(&json), "{json:#}");
        assert_eq!(ends.target.scalar("SELECT count(*) FROM big"), "40000");
    }

    async fn a_large_table_is_gone_on_with_in_the_middle(engine: TestEngine) {
        let mut ends = large(engine);
        killed_within(&mut ends);
        let json = ends.copy(&["--resume"]).code(0).json();
        assert!(all_equal(&json), "{json:#}");
        assert_eq!(ends.target.scalar("SELECT count(*) FROM big"), "60000");
        assert_eq!(ends.target.scalar("SELECT count(*) FROM keyless"), "60000");
        // 120 parts of either: what was done was not done again.
        assert_eq!(parts_done(&ends), 240);
        let (code, json) = ends.verify();
        assert_eq!(code, 0, "{json:#}");
    }

    async fn a_part_that_changed_in_the_source_is_not_taken_for_done(engine: TestEngine) {
        let mut ends = large(engine);
        killed_within(&mut ends);
        let source = rusqlite::Connection::open(ends.sandbox.path("source.db")).unwrap();
        // The first row of the first part of either.
        source.execute_batch("UPDATE big SET name = 'another' WHERE id = -29993; UPDATE keyless SET name = 'another' WHERE rowid = 1;").unwrap();
        let json = ends.copy(&["--resume"]).code(0).json();
        assert!(all_equal(&json), "{json:#}");
        for table in ["big", "keyless"] {
            assert_eq!(ends.target.scalar(&format!("SELECT count(*) FROM {table} WHERE name = 'another'")), "1");
            assert_eq!(ends.target.scalar(&format!("SELECT count(*) FROM {table}")), "60000");
        }
        let (code, json) = ends.verify();
        assert_eq!(code, 0, "{json:#}");
    }
}

/// Two tables that are copied in parts of 500 rows, one without a key.
fn large(engine: TestEngine) -> Ends {
    let mut ends = Ends::new(
        engine,
        "CREATE TABLE big (id INTEGER PRIMARY KEY, name TEXT); CREATE TABLE keyless (name TEXT);
         INSERT INTO big WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 60000)
         SELECT i * 7 - 30000, 'row ' || i || ' of رضا' FROM n;
         INSERT INTO keyless SELECT name FROM big;",
    );
    ends.sandbox.set("DUNLIN_TEST_LARGE", "2000");
    ends
}

/// Kills a copy when some parts of its tables are done, and not all.
fn killed_within(ends: &mut Ends) {
    let url = ends.target.url().to_owned();
    let mut running = ends.sandbox.spawn(["copy", "sqlite:source.db", &url]);
    while parts_done(ends) < 3 && !running.ended() {
        std::thread::sleep(Duration::from_millis(2));
    }
    running.signal("KILL");
    let _ = running.wait();
    let done = parts_done(ends);
    assert!((3..240).contains(&done), "{done} parts were done");
}

/// How many parts of tables the target's journal records.
pub fn parts_done(ends: &Ends) -> usize {
    let sql = "SELECT count(*) FROM dunlin_journal WHERE unit = '@:copy/part' AND event = 'done'";
    let found = ends.target.try_run(sql).unwrap_or_default();
    let count = found.into_iter().flatten().flatten().next();
    count.and_then(|text| text.parse().ok()).unwrap_or(0)
}
