//! The short way: types that are taken for granted, and what happens where one row in the middle says otherwise. On engines
//! to which it does not lead the same must come out.

use super::crash::parts_done;
use super::{Ends, all_equal, kill_each};
use dunlin_testkit::engines::TestEngine;
use dunlin_testkit::for_each_engine;
use serde_json::Value;

/// Two large tables of plain types, and a small one.
const PLAIN: &str = "
    CREATE TABLE small (id INTEGER PRIMARY KEY, name TEXT);
    INSERT INTO small VALUES (1, 'one');
    CREATE TABLE events (id INTEGER PRIMARY KEY, code TEXT, at DATETIME, number INTEGER, ratio REAL, done BOOLEAN, raw BLOB);
    INSERT INTO events WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 25000)
    SELECT i, 'çok ' || i, datetime(1700000000 + i, 'unixepoch'), i * 3, i / 7.0, i % 2, x'00ff' FROM n;
    CREATE TABLE tags (tag TEXT PRIMARY KEY, owner INTEGER);
    INSERT INTO tags SELECT 'tag ' || id, id FROM events;";

fn ends(engine: TestEngine, more: &str) -> Ends {
    Ends::new(engine, &format!("{PLAIN}{more}"))
}

/// Which tables a copy took for granted, by its journal.
fn granted(ends: &Ends) -> Vec<String> {
    let sql = "SELECT detail FROM dunlin_journal WHERE unit = '@:copy/run' AND event = 'began'";
    let found = ends.target.try_run(sql).unwrap_or_default();
    let details = found.into_iter().flatten().flatten();
    details
        .map(|detail| {
            let detail: Value = serde_json::from_str(&detail).unwrap();
            detail["granted"].to_string()
        })
        .collect()
}

/// What a report says of rows, types and findings; not when, and by which run.
fn said(json: &Value) -> Value {
    let data = &json["data"];
    let of = |name: &str| data[name].clone();
    serde_json::json!({
        "tables": of("tables"), "lossy": of("lossy"), "not_carried": of("not_carried"), "proven": of("proven"),
        "findings": json["findings"].clone(), "equal": of("equal"), "failure": json["failure"]["message"].clone(),
    })
}

/// The same copy, where every value is looked at beforehand: policies that bend nothing of this data ask for that.
fn looked_at(engine: TestEngine, more: &str) -> (Ends, Value) {
    let ends = ends(engine, more);
    let json = ends.copy(&["--policy", "zero-date=reject"]).json();
    if engine.is_postgres() {
        assert_eq!(granted(&ends), ["null"], "every value was looked at");
    }
    (ends, json)
}

/// One row in the middle is something else: what comes out is what a look at every value makes of it.
fn comes_out_the_same(engine: TestEngine, more: &str, ask: &str) {
    let (looked, expected) = looked_at(engine, more);
    let short = ends(engine, more);
    let ran = short.copy(&[]);
    let json = ran.json();
    assert_eq!(said(&json), said(&expected), "{more}");
    assert_eq!(json["exit"], expected["exit"], "{more}");
    if engine.is_postgres() {
        assert_eq!(
            granted(&short),
            ["[\"events\",\"tags\"]", "null"],
            "{more}: it began again"
        );
    }
    assert_eq!(
        short.target.scalar(ask),
        looked.target.scalar(ask),
        "{more}"
    );
    let (code, verified) = short.verify();
    assert_eq!(code, 0, "{more}: {verified:#}");
}

for_each_engine! {
    async fn plain_tables_are_read_once_and_come_out_the_same(engine: TestEngine) {
        let (_, expected) = looked_at(engine, "");
        let short = ends(engine, "");
        let json = short.copy(&[]).code(0).json();
        assert!(all_equal(&json), "{json:#}");
        assert_eq!(said(&json), said(&expected));
        if engine.is_postgres() {
            assert_eq!(granted(&short), ["[\"events\",\"tags\"]"]);
        }
        // A copy that came to its end is known again by the same plan.
        let json = short.copy(&["--resume"]).code(0).json();
        assert!(all_equal(&json), "{json:#}");
        let (code, json) = short.verify();
        assert_eq!(code, 0, "{json:#}");
    }

    async fn one_row_of_another_class_decides_as_it_would_have(engine: TestEngine) {
        let ask = "SELECT count(*) FROM events WHERE id < 13000";
        for more in [
            "UPDATE events SET number = 'a text' WHERE id = 12000;",
            "UPDATE events SET number = 1.5 WHERE id = 12000;",
            "UPDATE events SET done = 7 WHERE id = 24000;",
            "UPDATE events SET at = 1700000000 WHERE id = 12000;",
            "UPDATE events SET at = '2024-01-01 00:00:00+02:00' WHERE id = 12000;",
            "UPDATE events SET code = x'00ff00' WHERE id = 300;",
            "UPDATE events SET ratio = 9007199254740993 WHERE id = 12000;",
        ] {
            comes_out_the_same_but_for_bytes(engine, more, ask);
        }
    }

    async fn a_null_in_a_key_of_texts_is_seen(engine: TestEngine) {
        let ask = "SELECT count(*) FROM tags WHERE tag IS NULL";
        comes_out_the_same(engine, "UPDATE tags SET tag = NULL WHERE owner = 12000;", ask);
    }

    async fn a_row_that_may_not_go_over_is_said_as_ever(engine: TestEngine) {
        for (more, policy) in [
            ("UPDATE events SET code = 'nul ' || char(0) || ' here' WHERE id = 12000;", "text-nul"),
            ("UPDATE events SET code = CAST(x'c328' AS TEXT) WHERE id = 12000;", "not-utf8"),
        ] {
            let (_, expected) = looked_at(engine, more);
            let short = ends(engine, more);
            let json = short.copy(&[]).json();
            assert_eq!(said(&json), said(&expected), "{more}");
            assert_eq!(json["exit"], expected["exit"], "{more}");
            // Left out when asked, and nothing twice.
            let policy = format!("{policy}=reject");
            let json = short.copy(&["--resume", "--policy", &policy]).json();
            let (_, expected) = (0, ends(engine, more).copy(&["--policy", &policy]).json());
            assert_eq!(said(&json)["tables"], said(&expected)["tables"], "{more}");
            assert_eq!(json["exit"], expected["exit"], "{more}");
        }
    }

    async fn a_copy_that_dies_before_it_begins_again_goes_on(engine: TestEngine) {
        let mut ends = ends(engine, "UPDATE tags SET owner = 'a text' WHERE tag = 'tag 20000';");
        ends.sandbox.set("DUNLIN_TEST_LARGE", "2000");
        let url = ends.target.url();
        let args = ["copy", "sqlite:source.db", url, "--resume", "--format", "json"];
        kill_each(&ends.sandbox, &args, &[60, 110, 150, 190, 230, 270, 320, 380, 450], || {});
        let json = ends.copy(&["--resume"]).code(0).json();
        assert!(all_equal(&json), "{json:#}");
        assert_eq!(ends.target.scalar("SELECT count(*) FROM tags"), "25000");
        assert_eq!(ends.target.scalar("SELECT count(*) FROM tags WHERE owner = 'a text'"), "1");
        let (code, json) = ends.verify();
        assert_eq!(code, 0, "{json:#}");
    }

    async fn parts_that_are_done_go_where_a_later_one_says_otherwise(engine: TestEngine) {
        let mut ends = ends(engine, "UPDATE events SET number = 'a text' WHERE id = 24000;");
        ends.sandbox.set("DUNLIN_TEST_LARGE", "2000");
        let json = ends.copy(&["--jobs", "1"]).code(0).json();
        assert!(all_equal(&json), "{json:#}");
        assert!(parts_done(&ends) > 20, "parts of both beginnings");
        assert_eq!(ends.target.scalar("SELECT count(*) FROM events"), "25000");
        assert_eq!(ends.target.scalar("SELECT count(*) FROM events WHERE number = 'a text'"), "1");
        let (code, json) = ends.verify();
        assert_eq!(code, 0, "{json:#}");
    }

    async fn a_source_that_became_something_else_since_is_refused(engine: TestEngine) {
        let ends = ends(engine, "");
        let _ = ends.copy(&[]).code(0);
        let source = rusqlite::Connection::open(ends.sandbox.path("source.db")).unwrap();
        source.execute_batch("UPDATE events SET number = 'a text' WHERE id = 12000").unwrap();
        // Asked twice: what was refused must not pass for a copy that is under way.
        for _ in 0..2 {
            let json = ends.copy(&["--resume"]).code(4).json();
            if engine.is_postgres() {
                assert_eq!(json["failure"]["code"], "copy-changed", "{json:#}");
            }
            assert_eq!(ends.target.scalar("SELECT count(*) FROM events"), "25000");
            assert_eq!(ends.target.scalar("SELECT number FROM events WHERE id = 12000"), "36000");
        }
    }
}

/// As [`comes_out_the_same`], for rows that may be refused by either in the same words.
fn comes_out_the_same_but_for_bytes(engine: TestEngine, more: &str, ask: &str) {
    let (looked, expected) = looked_at(engine, more);
    if expected["exit"] == 0 {
        drop(looked);
        return comes_out_the_same(engine, more, ask);
    }
    let short = ends(engine, more);
    let json = short.copy(&[]).json();
    assert_eq!(said(&json), said(&expected), "{more}");
    assert_eq!(json["exit"], expected["exit"], "{more}");
}
