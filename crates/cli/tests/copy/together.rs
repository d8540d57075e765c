//! Into tables that are there and refer to one another: whole or not at all, whatever the order of their names.

use super::{Ends, all_equal, kill_each};
use dunlin_testkit::engines::TestEngine;
use dunlin_testkit::for_each_engine;
use std::time::Duration;

/// A child before its parent by name, a table that refers to itself, and one that nothing refers to.
const SOURCE: &str = "PRAGMA foreign_keys = OFF; CREATE TABLE p (id INTEGER PRIMARY KEY, up INTEGER REFERENCES p (id));
    CREATE TABLE c (id INTEGER PRIMARY KEY, p_id INTEGER REFERENCES p (id)); CREATE TABLE z (id INTEGER PRIMARY KEY);
    INSERT INTO p VALUES (1, 2), (2, NULL); INSERT INTO c VALUES (1, 1), (2, 2), (3, NULL); INSERT INTO z VALUES (1);";

fn make(ends: &Ends, statements: &[&str]) {
    for statement in statements {
        let _ = ends.target.run(statement);
    }
}

fn tables(ends: &Ends) {
    make(
        ends,
        &[
            "CREATE TABLE p (id int NOT NULL PRIMARY KEY, up int, FOREIGN KEY (up) REFERENCES p (id))",
            "CREATE TABLE c (id int NOT NULL PRIMARY KEY, p_id int, FOREIGN KEY (p_id) REFERENCES p (id))",
            "CREATE TABLE z (id int NOT NULL PRIMARY KEY)",
            "INSERT INTO p VALUES (7, NULL)",
            "INSERT INTO p VALUES (8, 7)",
            "INSERT INTO c VALUES (7, 8)",
            "INSERT INTO z VALUES (9)",
        ],
    );
}

fn counts(ends: &Ends) -> String {
    ["p", "c"]
        .map(|table| ends.target.scalar(&format!("SELECT count(*) FROM {table}")))
        .join(" ")
}

for_each_engine! {
    async fn rows_of_tables_that_refer_to_one_another_are_replaced_and_added(engine: TestEngine) {
        let ends = Ends::new(engine, SOURCE);
        tables(&ends);
        let json = ends.copy(&["--into-existing", "append"]).code(0).json();
        assert!(all_equal(&json), "{json:#}");
        assert_eq!(counts(&ends), "4 4");
        let json = ends.copy(&["--into-existing", "replace"]).code(0).json();
        assert!(all_equal(&json), "{json:#}");
        assert_eq!(counts(&ends), "2 3");
        assert_eq!(ends.target.scalar("SELECT count(*) FROM z"), "1");
    }

    async fn a_circle_of_keys_is_filled_and_bites_afterwards(engine: TestEngine) {
        let ends = Ends::new(
            engine,
            "PRAGMA foreign_keys = OFF; CREATE TABLE a (id INTEGER PRIMARY KEY, b INTEGER REFERENCES b (id));
             CREATE TABLE b (id INTEGER PRIMARY KEY, a INTEGER NOT NULL REFERENCES a (id));
             INSERT INTO a VALUES (1, 1), (2, 2); INSERT INTO b VALUES (1, 2), (2, 1);",
        );
        make(&ends, &["CREATE TABLE a (id int NOT NULL PRIMARY KEY, b int)"]);
        if engine == TestEngine::Sqlite {
            make(&ends, &["DROP TABLE a", "CREATE TABLE a (id int NOT NULL PRIMARY KEY, b int REFERENCES b (id))"]);
        }
        make(&ends, &["CREATE TABLE b (id int NOT NULL PRIMARY KEY, a int NOT NULL, CONSTRAINT b_a FOREIGN KEY (a) REFERENCES a (id))"]);
        if engine != TestEngine::Sqlite {
            make(&ends, &["ALTER TABLE a ADD CONSTRAINT a_b FOREIGN KEY (b) REFERENCES b (id)"]);
        }
        make(&ends, &["INSERT INTO a VALUES (5, NULL)", "INSERT INTO b VALUES (5, 5)", "UPDATE a SET b = 5"]);
        let json = ends.copy(&["--into-existing", "replace"]).code(0).json();
        assert!(all_equal(&json), "{json:#}");
        assert_eq!(ends.target.scalar("SELECT count(*) FROM a"), "2");
        if engine != TestEngine::Sqlite {
            assert!(ends.target.try_run("INSERT INTO b VALUES (9, 9)").is_err());
            assert!(ends.target.try_run("INSERT INTO a VALUES (9, 9)").is_err());
        }
    }

    async fn a_row_that_would_refer_to_nothing_changes_nothing(engine: TestEngine) {
        let ends = Ends::new(engine, &format!("{SOURCE} INSERT INTO c VALUES (4, 99);"));
        tables(&ends);
        for how in ["append", "replace"] {
            let json = ends.copy(&["--into-existing", how]).code(1).json();
            assert_eq!(json["failure"]["code"], "orphan-row", "{json:#}");
            assert_eq!(counts(&ends), "2 1");
            assert_eq!(ends.target.scalar("SELECT max(id) FROM p"), "8");
        }
    }

    async fn rows_that_refer_to_nothing_are_set_aside_where_the_policy_says_so(engine: TestEngine) {
        // The last two refer to a row that goes for that itself.
        let more = "INSERT INTO p VALUES (3, 99); INSERT INTO c VALUES (4, 99), (5, 3), (6, 7); INSERT INTO p VALUES (4, 3);";
        let reject = |how| ["--into-existing", how, "--policy", "orphan-row=reject", "--rejects", "r.ndjson"];
        for (how, left, aside) in [("append", "4 5", 4), ("replace", "2 3", 5)] {
            let ends = Ends::new(engine, &format!("{SOURCE} {more}"));
            tables(&ends);
            let json = ends.copy(&reject(how)).code(8).json();
            assert!(all_equal(&json), "{json:#}");
            assert_eq!(counts(&ends), left, "{how}");
            let lines = ends.sandbox.read("r.ndjson");
            assert_eq!(lines.lines().count(), aside, "{lines}");
            assert!(lines.lines().all(|line| line.contains("\"orphan-row\"")), "{lines}");
            if engine != TestEngine::Sqlite {
                assert!(ends.target.try_run("INSERT INTO c (id, p_id) VALUES (9, 99)").is_err());
            }
        }
    }

    async fn orphans_that_were_there_stay_and_those_that_come_are_told_from_them(engine: TestEngine) {
        // The last two refer to rows that go for that themselves, and one of the old ones finds a parent.
        let more = "INSERT INTO p VALUES (3, 99), (4, 3), (78, NULL); INSERT INTO c VALUES (4, 99), (5, 4), (6, 78);";
        let ends = Ends::new(engine, &format!("{SOURCE} {more}"));
        tables(&ends);
        let old = "INSERT INTO c VALUES (8, 77), (9, 78), (10, 99)";
        if engine.is_postgres() {
            make(&ends, &["ALTER TABLE c DROP CONSTRAINT c_p_id_fkey", old]);
            make(&ends, &["ALTER TABLE c ADD CONSTRAINT c_p FOREIGN KEY (p_id) REFERENCES p (id) NOT VALID"]);
        } else {
            let quiet = engine.pick("PRAGMA foreign_keys = OFF", "", "SET foreign_key_checks = 0");
            make(&ends, &[&format!("{quiet}; {old}")]);
        }
        assert_eq!(counts(&ends), "2 4");
        let append = ["--into-existing", "append", "--resume", "--rejects", "r.ndjson"];
        let json = ends.copy(&append).code(1).json();
        assert_eq!(json["failure"]["code"], "orphan-row", "{json:#}");
        let said = json["failure"]["message"].as_str().unwrap();
        let named = match engine.is_postgres() {
            true => "p_up_fkey",
            false => "1 rows of c refer to rows of p that are not there (p_id = 99): nothing was changed",
        };
        assert!(said.contains(named), "{said}");
        assert_eq!(counts(&ends), "2 4");

        let reject: Vec<&str> = append.iter().chain(&["--policy", "orphan-row=reject"]).copied().collect();
        let json = ends.copy(&reject).code(8).json();
        assert!(all_equal(&json), "{json:#}");
        assert_eq!(counts(&ends), "5 8");
        let old = "SELECT sum(id) FROM c WHERE id IN (8, 9, 10)";
        assert_eq!(ends.target.scalar(old), "27");
        let lines = ends.sandbox.read("r.ndjson");
        let mut keys: Vec<String> = lines.lines().map(|line| {
            let line: serde_json::Value = serde_json::from_str(line).unwrap();
            format!("{} {}", line["table"].as_str().unwrap(), line["key"]["id"])
        }).collect();
        keys.sort();
        assert_eq!(keys, ["c 4", "c 5", "p 3", "p 4"]);
    }

    async fn orphans_that_come_to_a_table_without_a_key_are_told_by_what_they_refer_to(engine: TestEngine) {
        let more = "INSERT INTO c VALUES (4, 99), (5, 98)";
        let ends = Ends::new(engine, &format!("{SOURCE} {more}"));
        make(&ends, &[
            "CREATE TABLE p (id int NOT NULL PRIMARY KEY, up int, FOREIGN KEY (up) REFERENCES p (id))",
            "CREATE TABLE c (id int NOT NULL, p_id int, CONSTRAINT c_p FOREIGN KEY (p_id) REFERENCES p (id))",
            "CREATE TABLE z (id int NOT NULL PRIMARY KEY)",
        ]);
        let old = "INSERT INTO c VALUES (8, 77), (9, 77)";
        if engine.is_postgres() {
            make(&ends, &["ALTER TABLE c DROP CONSTRAINT c_p", old]);
            make(&ends, &["ALTER TABLE c ADD CONSTRAINT c_p FOREIGN KEY (p_id) REFERENCES p (id) NOT VALID"]);
        } else {
            let quiet = engine.pick("PRAGMA foreign_keys = OFF", "", "SET foreign_key_checks = 0");
            make(&ends, &[&format!("{quiet}; {old}")]);
        }
        let append = ["--into-existing", "append", "--resume", "--rejects", "r.ndjson"];
        let json = ends.copy(&append).code(1).json();
        assert_eq!(json["failure"]["code"], "orphan-row", "{json:#}");
        let said = json["failure"]["message"].as_str().unwrap();
        let named = match engine.is_postgres() {
            true => "c_p",
            false => "2 rows of c refer to rows of p that are not there (p_id = 9",
        };
        assert!(said.contains(named), "{said}");
        let reject: Vec<&str> = append.iter().chain(&["--policy", "orphan-row=reject"]).copied().collect();

        // What refers to the same nothing as a row that was there cannot be told from it.
        let source = rusqlite::Connection::open(ends.sandbox.path("source.db")).unwrap();
        source.execute_batch("PRAGMA foreign_keys = OFF; UPDATE c SET p_id = 77 WHERE id = 5").unwrap();
        let json = ends.copy(&reject).code(1).json();
        assert_eq!(json["failure"]["code"], "orphan-row", "{json:#}");
        let hints = json["failure"]["hints"].to_string();
        assert!(hints.contains("cannot be told apart"), "{json:#}");
        assert_eq!(counts(&ends), "0 2");

        source.execute_batch("UPDATE c SET p_id = 98 WHERE id = 5").unwrap();
        let json = ends.copy(&reject).code(8).json();
        assert!(all_equal(&json), "{json:#}");
        assert_eq!(counts(&ends), "2 5");
        assert_eq!(ends.target.scalar("SELECT count(*) FROM c WHERE p_id = 77"), "2");
        assert_eq!(ends.sandbox.read("r.ndjson").lines().count(), 2);
    }

    async fn a_killed_replacement_leaves_the_old_rows_or_the_new_ones(engine: TestEngine) {
        let many = "PRAGMA foreign_keys = OFF; CREATE TABLE p (id INTEGER PRIMARY KEY, up INTEGER);
            CREATE TABLE c (id INTEGER PRIMARY KEY, p_id INTEGER REFERENCES p (id));
            INSERT INTO p WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000) SELECT i, NULL FROM n;
            INSERT INTO c SELECT id, id FROM p;";
        let ends = Ends::new(engine, many);
        tables(&ends);
        let url = ends.target.url();
        let args = ["copy", "sqlite:source.db", url, "--into-existing", "replace", "--resume", "--format", "json"];
        kill_each(&ends.sandbox, &args, &[100, 180, 260, 340, 420], || {
            // What was in flight may still be on its way out.
            let mut found = counts(&ends);
            for _ in 0..50 {
                if ["2 1", "20000 20000"].contains(&found.as_str()) {
                    break;
                }
                std::thread::sleep(Duration::from_millis(100));
                found = counts(&ends);
            }
            assert!(["2 1", "20000 20000"].contains(&found.as_str()), "{found}");
        });
        let json = ends.sandbox.dunlin(args).code(0).json();
        assert!(all_equal(&json), "{json:#}");
        assert_eq!(counts(&ends), "20000 20000");
    }
}
