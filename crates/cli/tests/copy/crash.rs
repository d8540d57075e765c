//! Copies that are killed, and gone on with: equal digests, and nothing twice.

use super::{Ends, all_equal};
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
        let mut killed = 0;
        for wait in [40_u64, 120, 250, 400, 650] {
            let mut running = ends.sandbox.spawn(["copy", "sqlite:source.db", url, "--resume", "--format", "json"]);
            std::thread::sleep(Duration::from_millis(wait));
            if running.ended() {
                break;
            }
            running.signal("KILL");
            let _ = running.wait();
            killed += 1;
        }
        assert!(killed > 0, "nothing was killed");
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
        let json = ends.copy(&["--resume"]).code(4).json();
        assert_eq!(json["failure"]["code"], "copy-changed", "{json:#}");
        assert_eq!(ends.target.scalar("SELECT count(*) FROM t"), "2");
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
}
