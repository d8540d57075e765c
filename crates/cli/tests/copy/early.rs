//! Keys and indexes of tables that are through, made beside the rows of others: in time, once, and with the same words where
//! they cannot be made.

use super::{Ends, all_equal};
use dunlin_testkit::for_each_engine;

/// A table that takes a while, and one with a key and two indexes that does not.
const TWO: &str = "
    CREATE TABLE slow (id INTEGER PRIMARY KEY, body TEXT, number INTEGER);
    INSERT INTO slow WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 40000)
    SELECT i, printf('%.600c', 'x') || i, i FROM n;
    CREATE INDEX slow_number ON slow (number);
    CREATE TABLE quick (id INTEGER PRIMARY KEY, name TEXT, slow_id INTEGER REFERENCES slow (id));
    INSERT INTO quick VALUES (1, 'one', 1), (2, 'two', 2), (3, 'three', 3);
    CREATE INDEX quick_slow ON quick (slow_id);";
/// A table and one that refers to it, two that refer to one another, and one that refers to itself.
const BOUND: &str = "
    CREATE TABLE first (id INTEGER PRIMARY KEY, name TEXT);
    INSERT INTO first VALUES (1, 'one'), (2, 'two');
    CREATE TABLE second (id INTEGER PRIMARY KEY, first_id INTEGER REFERENCES first (id));
    INSERT INTO second VALUES (1, 1), (2, 1);
    CREATE TABLE parent (id INTEGER PRIMARY KEY, child_id INTEGER REFERENCES child (id));
    CREATE TABLE child (id INTEGER PRIMARY KEY, parent_id INTEGER REFERENCES parent (id));
    INSERT INTO parent VALUES (1, NULL), (2, NULL);
    INSERT INTO child VALUES (1, 1), (2, 1);
    UPDATE parent SET child_id = 2 WHERE id = 1;
    CREATE TABLE own (id INTEGER PRIMARY KEY, own_id INTEGER REFERENCES own (id));
    INSERT INTO own VALUES (1, 1), (2, 1);";
const UNIQUE: &str = "CREATE UNIQUE INDEX quick_name ON quick (name);";

/// What the copy recorded as done: tables by their names, other things by what they are.
fn recorded(ends: &Ends) -> Vec<String> {
    let sql = "SELECT detail FROM dunlin_journal WHERE unit LIKE '@:copy/%' AND event = 'done' ORDER BY id";
    let found = ends.target.run(sql).into_iter().flatten().flatten();
    let names = found.filter_map(|detail| {
        let detail: serde_json::Value = serde_json::from_str(&detail).unwrap();
        let name = detail["table"].as_str().or(detail["made"].as_str())?;
        Some(name.to_owned())
    });
    names.collect()
}

fn indexes(ends: &Ends) -> String {
    ends.target.scalar(
        "SELECT string_agg(indexname, ' ' ORDER BY indexname) FROM pg_indexes WHERE tablename IN ('slow', 'quick')",
    )
}

/// The tables that the copy made.
fn of_ours(ends: &Ends) -> Vec<Vec<Option<String>>> {
    ends.target.run(ends.engine.pick(
        "SELECT name FROM sqlite_master WHERE name IN ('slow', 'quick')",
        "SELECT relname FROM pg_class WHERE relname IN ('slow', 'quick')",
        "SELECT table_name FROM information_schema.tables WHERE table_schema = database() AND table_name IN ('slow', 'quick')",
    ))
}

const ALL: &str = "quick_name quick_pkey quick_slow slow_number slow_pkey";

for_each_engine! {
    async fn what_a_table_has_is_made_beside_the_rows_of_another(engine: TestEngine) {
        let ends = Ends::new(engine, &format!("{TWO}{UNIQUE}"));
        let json = ends.copy(&["--jobs", "2"]).code(0).json();
        assert!(all_equal(&json), "{json:#}");
        let (code, json) = ends.verify();
        assert_eq!(code, 0, "{json:#}");
        if !engine.is_postgres() {
            return;
        }
        assert_eq!(indexes(&ends), ALL);
        let recorded = recorded(&ends);
        let place = |what: &str| {
            let places: Vec<usize> = (0..recorded.len()).filter(|at| recorded[*at].contains(what)).collect();
            assert_eq!(places.len(), 1, "{what}: {recorded:#?}");
            places[0]
        };
        let slow = recorded.iter().position(|name| name == "slow").unwrap();
        for what in ["quick_name", "quick_slow"] {
            assert!(place(what) < slow, "{what} was made when everything was there: {recorded:#?}");
        }
        // A foreign key needs the rows and the key of both.
        assert!(place("foreign key") > slow, "{recorded:#?}");
        let settled = "SELECT count(*) FROM pg_stat_user_tables WHERE relname IN ('slow', 'quick') AND analyze_count = 1";
        // The server's counts come a moment later.
        let mut tries = 0;
        while ends.target.scalar(settled) != "2" && tries < 100 {
            tries += 1;
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        assert_eq!(ends.target.scalar(settled), "2", "statistics of each are taken once");
    }

    async fn a_foreign_key_waits_for_its_own_tables_only(engine: TestEngine) {
        let two = "CREATE TABLE first (id INTEGER PRIMARY KEY, name TEXT);
            INSERT INTO first VALUES (1, 'one'), (2, 'two');
            CREATE TABLE second (id INTEGER PRIMARY KEY, first_id INTEGER REFERENCES first (id));
            INSERT INTO second VALUES (1, 1), (2, 1);";
        let ends = Ends::new(engine, &format!("{two}{TWO}"));
        let json = ends.copy(&["--jobs", "2"]).code(0).json();
        assert!(all_equal(&json), "{json:#}");
        let (code, json) = ends.verify();
        assert_eq!(code, 0, "{json:#}");
        if engine.is_postgres() {
            let recorded = recorded(&ends);
            let key = recorded.iter().position(|name| name.contains("foreign key of second")).unwrap();
            let slow = recorded.iter().position(|name| name == "slow").unwrap();
            assert!(key < slow, "{recorded:#?}");
        }
    }

    async fn tables_with_foreign_keys_made_early_go_where_the_copy_begins_again(engine: TestEngine) {
        let odd = "UPDATE slow SET number = 'a text' WHERE id = 39000;";
        let ends = Ends::new(engine, &format!("{BOUND}{TWO}{odd}"));
        let json = ends.copy(&["--jobs", "2"]).code(0).json();
        assert!(all_equal(&json), "{json:#}");
        if engine.is_postgres() {
            let recorded = recorded(&ends);
            for what in ["to first", "of parent", "of child", "of own"] {
                let times = recorded.iter().filter(|name| name.contains("foreign key") && name.contains(what)).count();
                assert_eq!(times, 2, "made early, and again, {what}: {recorded:#?}");
            }
        }
        let (code, json) = ends.verify();
        assert_eq!(code, 0, "{json:#}");
    }

    async fn what_cannot_be_made_early_ends_the_copy_when_all_rows_are_there(engine: TestEngine) {
        // Longer than an index of PostgreSQL holds.
        let long = format!("{TWO}INSERT INTO quick VALUES (4, hex(randomblob(4000)), 4);{UNIQUE}");
        let ends = Ends::new(engine, &long);
        if !engine.is_postgres() {
            return;
        }
        let json = ends.copy(&["--jobs", "2"]).json();
        assert_eq!(json["failure"]["code"], "too-long", "{json:#}");
        let done = json["failure"]["done"].to_string();
        assert!(done.contains("all rows are in the target"), "{json:#}");
        assert_eq!(ends.target.scalar("SELECT count(*) FROM slow"), "40000");
        assert_eq!(ends.target.scalar("SELECT count(*) FROM quick"), "4");
        let json = ends.copy(&["--resume", "--policy", "too-long=reject"]).code(8).json();
        assert_eq!(indexes(&ends), ALL, "{json:#}");
        assert_eq!(ends.target.scalar("SELECT count(*) FROM quick"), "3");
    }

    async fn what_was_made_early_of_a_copy_that_begins_again_is_made_again(engine: TestEngine) {
        let odd = "UPDATE slow SET number = 'a text' WHERE id = 39000;";
        let ends = Ends::new(engine, &format!("{TWO}{UNIQUE}{odd}"));
        let json = ends.copy(&["--jobs", "2"]).code(0).json();
        assert!(all_equal(&json), "{json:#}");
        if engine.is_postgres() {
            assert_eq!(indexes(&ends), ALL);
            let began = "SELECT count(*) FROM dunlin_journal WHERE unit = '@:copy/run' AND event = 'began'";
            assert_eq!(ends.target.scalar(began), "2", "it began again");
        }
        let (code, json) = ends.verify();
        assert_eq!(code, 0, "{json:#}");
    }

    async fn of_a_file_that_is_found_damaged_while_its_rows_go_over_nothing_stays(engine: TestEngine) {
        let ends = Ends::new(engine, &format!("{TWO}{UNIQUE}"));
        // How many pages are free: no reader of rows asks for it.
        let pages = |count: u8| {
            let mut bytes = std::fs::read(ends.sandbox.path("source.db")).unwrap();
            bytes[39] = count;
            std::fs::write(ends.sandbox.path("source.db"), bytes).unwrap();
        };
        pages(7);
        let json = ends.copy(&["--jobs", "2"]).code(4).json();
        assert_eq!(json["failure"]["code"], "source-damaged", "{json:#}");
        let own = of_ours(&ends);
        assert_eq!(own.len(), 0, "{own:?}");
        // The check may have been quicker than the look; then there was nothing to take back.
        let undone = json["failure"]["undone"].to_string();
        let began = ends.target.run(engine.pick(
            "SELECT name FROM sqlite_master WHERE name = 'dunlin_journal'",
            "SELECT relname FROM pg_class WHERE relname = 'dunlin_journal'",
            "SELECT table_name FROM information_schema.tables WHERE table_schema = database() AND table_name = 'dunlin_journal'",
        ));
        assert_eq!(undone.contains("the target is as it was"), !began.is_empty(), "{json:#}");
        assert!(engine.is_postgres() || began.is_empty(), "{json:#}");
        pages(0);
        let json = ends.copy(&["--jobs", "2"]).code(0).json();
        assert!(all_equal(&json), "{json:#}");
    }
}
