//! A copy that was made under a person's decisions is compared under the same ones, and one odd number of a column of times
//! is one row that differs.

use super::Ends;
use dunlin_testkit::for_each_engine;
use serde_json::json;

const DECIDED: &str = "
    CREATE TABLE t (id INTEGER PRIMARY KEY, at DATETIME, note TEXT);
    CREATE TABLE spare (id INTEGER PRIMARY KEY);
    INSERT INTO t VALUES (1, '2024-01-01 00:00:00', 'a'), (2, '0000-00-00', 'b'), (3, '2024-06-01 00:00:00', 'c');";

for_each_engine! {
    async fn a_copy_under_casts_is_compared_under_them(engine: TestEngine) {
        let ends = Ends::new(engine, DECIDED);
        let ty = engine.pick("TEXT", "timestamp without time zone", "datetime(6)");
        let cast = format!(
            "[tables]\nt = \"other\"\n[columns.\"t.at\"]\ntype = \"{ty}\"\nname = \"moment\"\non_error = \"coerce\"\n"
        );
        ends.sandbox.write("casts.toml", &cast);
        let copied = ends.copy(&["--cast", "casts.toml"]);
        let json = copied.json();
        assert_eq!(copied.code, Some(0), "{json:#}");
        let url = ends.target.url();
        let verify = |more: &[&str]| {
            let mut args = vec!["verify", "sqlite:source.db", url, "--format", "json"];
            args.extend(more);
            ends.sandbox.dunlin(args)
        };
        assert_eq!(verify(&[]).code, Some(5), "under other names it is not the same");
        let verified = verify(&["--cast", "casts.toml"]);
        let json = verified.json();
        assert_eq!((verified.code, &json["data"]["equal"]), (Some(0), &json!(true)), "{json:#}");
        let _ = ends.target.run("UPDATE other SET note = 'x' WHERE id = 3");
        let json = verify(&["--cast", "casts.toml"]).code(5).json();
        let found = json["data"]["differences"].as_array().unwrap();
        assert_eq!(found.len(), 1, "{json:#}");
        assert_eq!((&found[0]["key"], &found[0]["columns"]), (&json!({ "id": 3 }), &json!(["note"])));
        let _ = verify(&["--cast", "casts.toml", "--repair"]).code(0);
        assert_eq!(ends.target.scalar("SELECT note FROM other WHERE id = 3"), "c");
        let wrong = verify(&["--cast", "nothing.toml"]);
        assert_eq!(wrong.code, Some(2), "{:#}", wrong.json());
    }

    async fn one_number_of_another_unit_is_one_row(engine: TestEngine) {
        let ends = Ends::new(engine, "CREATE TABLE t (id INTEGER PRIMARY KEY, at DATETIME, day DATE);
            INSERT INTO t WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 50)
            SELECT i, 1700000000 + i, 1700000000000 + i * 1000 FROM n;");
        assert_eq!(ends.copy(&[]).code, Some(0));
        let source = rusqlite::Connection::open(ends.sandbox.path("source.db")).unwrap();
        source.execute_batch("UPDATE t SET at = at * 1000 WHERE id = 7; UPDATE t SET day = 5 WHERE id = 9;").unwrap();
        let (code, json) = ends.verify();
        assert_eq!(code, 5, "{json:#}");
        let mut found: Vec<_> = json["data"]["differences"].as_array().unwrap().iter()
            .map(|one| format!("{} {} {}", one["key"], one["columns"], one["in"])).collect();
        found.sort();
        assert_eq!(found, [r#"{"id":7} ["at"] "both""#, r#"{"id":9} ["day"] "both""#], "{json:#}");
        crate::ways::agree(&format!("sqlite:{}", ends.sandbox.path("source.db").display()), ends.target.url()).unwrap();
    }
}
