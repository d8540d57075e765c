//! A copy that was made under a person's decisions is compared under the same ones, and one odd number of a column of times
//! is one row that differs.

use super::Ends;
use dunlin_testkit::engines::TestEngine;
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
        // A row with a value that a copy bends comes back as a copy would make it.
        let _ = ends.target.run("DELETE FROM other WHERE id = 2");
        let _ = ends.target.run("UPDATE other SET note = 'y' WHERE id = 1");
        let json = verify(&["--cast", "casts.toml", "--repair"]).code(0).json();
        assert_eq!(json["data"]["equal"], true, "{json:#}");
        assert_eq!(ends.target.scalar("SELECT note FROM other WHERE id = 2"), "b");
        let wrong = verify(&["--cast", "nothing.toml"]);
        assert_eq!(wrong.code, Some(2), "{:#}", wrong.json());
    }

    /// A type by any of its names is that type; one that the target does not have is refused before a value is read.
    async fn a_cast_takes_a_type_by_any_of_its_names(engine: TestEngine) {
        let ends = Ends::new(engine, "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT, b TEXT, c INTEGER, d TEXT);
            INSERT INTO t VALUES (1, '2024-01-01 00:00:00', '12', 1, '1.50'), (2, NULL, NULL, 0, NULL);");
        let names = [engine.pick("timestamp", "timestamp", "datetime"), "int4", "bool", "decimal(10,2)"];
        let cast = |names: [&str; 4]| {
            let lines = ["a", "b", "c", "d"].iter().zip(names);
            let lines: Vec<String> = lines.map(|(column, ty)| format!("[columns.\"t.{column}\"]\ntype = \"{ty}\"\n")).collect();
            ends.sandbox.write("casts.toml", lines.concat());
        };
        if engine != TestEngine::Sqlite {
            cast([names[0], "strng", names[2], names[3]]);
            let json = ends.copy(&["--cast", "casts.toml"]).code(4).json();
            assert_eq!(json["failure"]["code"], "cast-unknown", "{json:#}");
            let said = json["failure"].to_string();
            assert!(said.contains("t.b") && said.contains("strng") && said.contains("timestamp"), "{said}");
        }
        cast(names);
        let ran = ends.copy(&["--cast", "casts.toml"]);
        let json = ran.json();
        assert_eq!((ran.code, &json["data"]["equal"]), (Some(0), &json!(true)), "{json:#}");
        let asked = "SELECT b + 1 FROM t WHERE id = 1";
        assert_eq!(ends.target.scalar(asked), "13");
        assert_eq!(ends.target.scalar("SELECT count(*) FROM t WHERE a > '2023-12-31'"), "1");
    }

    /// Rows whose key holds NULL cannot be told by it: how many are left, on which side, is said, and the exit code is not 0.
    async fn rows_without_a_whole_key_are_counted(engine: TestEngine) {
        let ends = Ends::new(engine, "CREATE TABLE t (k VARCHAR(9) PRIMARY KEY, v INTEGER);
            INSERT INTO t VALUES (NULL, 1), (NULL, 2), ('a', 3), ('b', 4);");
        assert_eq!(ends.copy(&[]).code, Some(0));
        let _ = ends.target.run("UPDATE t SET v = 7 WHERE v = 2");
        let _ = ends.target.run("INSERT INTO t VALUES (NULL, 8)");
        let _ = ends.target.run("UPDATE t SET v = 9 WHERE k = 'a'");
        let url = ends.target.url();
        let ran = ends.sandbox.dunlin(["verify", "sqlite:source.db", url, "--repair", "--format", "json"]);
        let json = ran.code(5).json();
        let said = json["findings"].to_string();
        assert!(said.contains("t: 1 rows that only the source has and 2 that only the target has are not repaired"), "{json:#}");
        assert_eq!(ends.target.scalar("SELECT v FROM t WHERE k = 'a'"), "3");
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
