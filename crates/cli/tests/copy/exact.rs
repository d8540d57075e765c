//! What a proof may not take for the same, may not overlook, and may not pass over in silence.

use super::Ends;
use dunlin_testkit::engines::TestEngine;
use dunlin_testkit::for_each_engine;
use dunlin_testkit::sandbox::Sandbox;
use dunlin_testkit::servers::Kind;
use rusqlite::Connection;
use serde_json::{Value, json};

fn verify(sandbox: &Sandbox, from: &str, to: &str) -> (i32, Value) {
    let ran = sandbox.dunlin(["verify", from, to, "--format", "json"]);
    (ran.code.unwrap_or(-1), ran.json())
}

/// Codes of what is said, and of what.
fn said(json: &Value) -> Vec<(String, String)> {
    let findings = json["findings"].as_array().unwrap();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let one = |finding: &Value| (text(&finding["code"]), text(&finding["where"]["object"]));
    findings.iter().map(one).collect()
}

for_each_engine! {
    async fn rows_whose_key_holds_null_are_told_apart_by_all_they_hold(engine: TestEngine) {
        let ends = Ends::new(engine, "CREATE TABLE t (u INTEGER, v TEXT, UNIQUE (u));
            INSERT INTO t VALUES (NULL, 'a'), (NULL, 'b'), (NULL, 'b'), (1, 'c');");
        let _ = ends.copy(&[]).code(0);
        assert_eq!(ends.verify().0, 0);
        let _ = ends.target.run("UPDATE t SET v = 'x' WHERE v = 'a'");
        let (code, json) = ends.verify();
        assert_eq!(code, 5, "{json:#}");
        let mut found = json["data"]["differences"].as_array().unwrap().clone();
        found.sort_by_key(|found| found["in"].to_string());
        let row = |side: &str| json!({ "table": "t", "key": { "u": null }, "columns": [], "in": side });
        assert_eq!(found, [row("source"), row("target")], "{json:#}");
    }

    async fn what_the_target_has_beside_is_named(engine: TestEngine) {
        let ends = Ends::new(engine, "CREATE TABLE t (id INTEGER PRIMARY KEY); INSERT INTO t VALUES (1); CREATE TABLE u (a INTEGER);");
        let _ = ends.copy(&[]).code(0);
        let beside = |json: &Value| {
            let mut said = said(json);
            said.retain(|(code, _)| code.starts_with("digest-"));
            said
        };
        let (code, json) = ends.verify();
        assert_eq!((code, beside(&json)), (0, vec![]), "{json:#}");
        let _ = ends.target.run("CREATE TABLE more (id int)");
        let _ = ends.target.run("ALTER TABLE t ADD COLUMN own int");
        let (code, json) = ends.verify();
        assert_eq!(code, 0, "{json:#}");
        let wanted = [("digest-table-extra", "more"), ("digest-column-extra", "t.own")];
        let wanted = wanted.map(|(code, object)| (code.to_owned(), object.to_owned()));
        assert_eq!(beside(&json), wanted, "{json:#}");
        // Who asks for one table asks for no others.
        let url = ends.target.url();
        let ran = ends.sandbox.dunlin(["verify", "sqlite:source.db", url, "--tables", "u", "--format", "json"]);
        assert_eq!(beside(&ran.code(0).json()), [], "of the others nothing was asked");
    }

    async fn the_largest_number_of_all_ends_no_copy(engine: TestEngine) {
        let ends = Ends::new(engine, "CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT, v TEXT);
            INSERT INTO t VALUES (1, 'a'), (9223372036854775807, 'b');");
        let _ = ends.copy(&[]).code(0);
        assert_eq!(ends.verify().0, 0);
    }

    async fn a_column_that_holds_anything_is_compared_from_both_sides(engine: TestEngine) {
        let ends = Ends::new(engine, "CREATE TABLE t (id INTEGER PRIMARY KEY, a, b STRING, c);
            INSERT INTO t VALUES (1, 'x', 'y', 1), (2, '', NULL, 2), (3, NULL, 'é', NULL);");
        let _ = ends.copy(&[]).code(0);
        assert_eq!(ends.verify().0, 0);
        let (code, json) = verify(&ends.sandbox, ends.target.url(), "sqlite:source.db");
        assert_eq!(code, 0, "{json:#}");
        let _ = ends.target.run("UPDATE t SET b = 'z' WHERE id = 1");
        let (code, json) = verify(&ends.sandbox, ends.target.url(), "sqlite:source.db");
        assert_eq!((code, &json["data"]["differences"][0]["columns"]), (5, &json!(["b"])), "{json:#}");
    }
}

#[test]
fn zeros_before_bits_count_where_there_may_be_more_or_fewer() {
    let sandbox = Sandbox::new();
    let database = || TestEngine::Server(Kind::Postgres).database();
    let (first, second, third) = (database(), database(), database());
    let _ = first.run("CREATE TABLE t (id int PRIMARY KEY, v varbit(20), w varbit, f bit(6))");
    let _ = first.run(
        "INSERT INTO t VALUES (1, B'0011', B'0', B'000011'), (2, B'', B'', NULL), (3, B'101', NULL, B'100000')",
    );
    for to in [second.url(), "sqlite:there.db"] {
        let ran = sandbox.dunlin(["copy", first.url(), to, "--format", "json"]);
        assert_eq!(ran.code, Some(0), "{to}: {:#}", ran.json());
        assert_eq!(verify(&sandbox, first.url(), to).0, 0, "{to}");
        assert_eq!(verify(&sandbox, to, first.url()).0, 0, "{to}");
    }
    let ran = sandbox.dunlin(["copy", "sqlite:there.db", third.url(), "--format", "json"]);
    assert_eq!(ran.code, Some(0), "{:#}", ran.json());
    let all = "SELECT string_agg(concat_ws('/', id, v, w, f), ' ' ORDER BY id) FROM t";
    assert_eq!(third.scalar(all), "1/0011/0/000011 2// 3/101/100000");
    assert_eq!(third.scalar(all), first.scalar(all));
    let _ = second.run("UPDATE t SET v = B'11' WHERE id = 1");
    let _ = second.run("UPDATE t SET w = B'0' WHERE id = 2");
    let there = Connection::open(sandbox.path("there.db")).unwrap();
    there
        .execute_batch("UPDATE t SET v = '11' WHERE id = 1; UPDATE t SET w = '0' WHERE id = 2;")
        .unwrap();
    for to in [second.url(), "sqlite:there.db"] {
        let (code, json) = verify(&sandbox, first.url(), to);
        assert_eq!(code, 5, "{to}: {json:#}");
        let found = json["data"]["differences"].as_array().unwrap();
        let mut columns: Vec<String> = found.iter().map(|one| one["columns"].to_string()).collect();
        columns.sort();
        assert_eq!(columns, ["[\"v\"]", "[\"w\"]"], "{to}: {json:#}");
    }
}

#[test]
fn a_decimal_is_not_the_double_next_to_it() {
    let sandbox = Sandbox::new();
    let first = TestEngine::Server(Kind::Postgres).database();
    let _ = first.run("CREATE TABLE t (id int PRIMARY KEY, v numeric)");
    let _ = first.run("INSERT INTO t VALUES (1, 0.1), (2, 1e20), (3, 0.1234567890123456789)");
    for kind in [Kind::Postgres, Kind::Mysql] {
        let to = TestEngine::Server(kind).database();
        let _ = to.run("CREATE TABLE t (id int NOT NULL PRIMARY KEY, v double precision)");
        let args = ["copy", first.url(), to.url(), "--format", "json"];
        let append = [&args[..], &["--into-existing", "append"]].concat();
        let json = sandbox.dunlin(append.clone()).code(1).json();
        assert_eq!(json["failure"]["code"], "too-precise", "{json:#}");
        let bent = [&append[..], &["--policy", "too-precise=coerce"]].concat();
        let json = sandbox.dunlin(bent).code(0).json();
        assert_eq!(json["data"]["lossy"][0]["rows"], 1, "{json:#}");
        let (code, json) = verify(&sandbox, first.url(), to.url());
        assert_eq!(code, 5, "{json:#}");
        let found = json!([{ "table": "t", "key": { "id": 3 }, "columns": ["v"], "in": "both" }]);
        assert_eq!(json["data"]["differences"], found, "{json:#}");
    }
}

#[test]
fn of_one_engine_a_value_of_another_class_or_spelling_is_another() {
    let sandbox = Sandbox::new();
    let first = Connection::open(sandbox.path("first.db")).unwrap();
    let sql = "CREATE TABLE t (id INTEGER PRIMARY KEY, flag BOOLEAN, at DATETIME, day DATE, u UUID, j JSON);
        INSERT INTO t VALUES (1, 1, '2024-01-01 00:00:00', '2024-01-01', 'ABCDEF01-2345-6789-abcd-ef0123456789', '{\"a\": 1}'),
        (2, 0, 1700000000, NULL, NULL, NULL);";
    first.execute_batch(sql).unwrap();
    let ran = sandbox.dunlin(["copy", "sqlite:first.db", "sqlite:second.db"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert_eq!(verify(&sandbox, "sqlite:first.db", "sqlite:second.db").0, 0);
    for (column, other) in [
        ("flag", "'true'"),
        ("at", "'2024-01-01T00:00:00'"),
        ("day", "'2024-01-01 00:00:00'"),
        ("u", "lower(u)"),
        ("j", "'{\"a\":1}'"),
    ] {
        let second = Connection::open(sandbox.path("second.db")).unwrap();
        let keep =
            format!("CREATE TEMP TABLE kept AS SELECT id, {column} AS v FROM main.t WHERE id = 1");
        second.execute_batch(&keep).unwrap();
        let set = |to: &str| format!("UPDATE t SET {column} = {to} WHERE id = 1");
        second.execute_batch(&set(other)).unwrap();
        let (code, json) = verify(&sandbox, "sqlite:first.db", "sqlite:second.db");
        let found = &json["data"]["differences"][0]["columns"];
        assert_eq!((code, found), (5, &json!([column])), "{json:#}");
        second.execute_batch(&set("(SELECT v FROM kept)")).unwrap();
    }
    assert_eq!(verify(&sandbox, "sqlite:first.db", "sqlite:second.db").0, 0);
}

/// What a transaction wrote that came to nothing stays there: a copy that goes on would add it once more, and prove it.
#[test]
fn rows_are_not_added_where_half_of_them_would_stay() {
    for kind in [Kind::Mysql, Kind::Mariadb] {
        let sql = "CREATE TABLE t (a INTEGER); INSERT INTO t VALUES (1), (1), (2);";
        let ends = Ends::new(TestEngine::Server(kind), sql);
        let _ = ends.target.run("CREATE TABLE t (a bigint) ENGINE = MyISAM");
        for how in ["append", "replace"] {
            let json = ends.copy(&["--into-existing", how]).code(4).json();
            assert_eq!(
                json["failure"]["code"], "copy-not-transactional",
                "{json:#}"
            );
            assert_eq!(ends.target.scalar("SELECT count(*) FROM t"), "0");
        }
        let _ = ends.target.run("ALTER TABLE t ENGINE = InnoDB");
        let _ = ends.copy(&["--into-existing", "append"]).code(0);
        assert_eq!(ends.verify().0, 0);
    }
}

#[test]
fn what_is_no_value_of_its_type_may_lie_on_both_sides() {
    let sandbox = Sandbox::new();
    for kind in [Kind::Mysql, Kind::Mariadb] {
        let database = || {
            let database = TestEngine::Server(kind).database();
            let _ = database.run("CREATE TABLE t (id int PRIMARY KEY, d date, e ENUM('a', 'b'))");
            let _ = database.run(
                "SET sql_mode = ''; INSERT INTO t VALUES (1, '0000-00-00', 'c'), (2, '2024-00-10', 'a')",
            );
            database
        };
        let (first, second) = (database(), database());
        let (code, json) = verify(&sandbox, first.url(), second.url());
        assert_eq!(code, 0, "{json:#}");
        let _ = second.run("SET sql_mode = ''; UPDATE t SET d = '2024-00-11' WHERE id = 2");
        let (code, json) = verify(&sandbox, first.url(), second.url());
        let found = json!([{ "table": "t", "key": { "id": 2 }, "columns": ["d"], "in": "both" }]);
        assert_eq!(
            (code, &json["data"]["differences"]),
            (5, &found),
            "{json:#}"
        );
    }
}
