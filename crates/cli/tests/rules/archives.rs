//! Rows that move into a table or a file.

use super::{digest, named, numbers, room};
use dunlin_testkit::{TestDatabase, TestEngine, for_each_engine};

fn talks(kind: TestEngine, database: &TestDatabase) {
    let utf8 = kind.pick("", "", " CHARACTER SET utf8mb4");
    let stamp = kind.pick("datetime", "timestamptz", "datetime(6)");
    let blob = kind.pick("blob", "bytea", "blob");
    let bytes = kind.pick("x'00ff'", "'\\x00ff'", "x'00ff'");
    database.run(&format!(
        "CREATE TABLE talks (id int NOT NULL PRIMARY KEY, title varchar(60), at {stamp}, weight double precision, raw \
         {blob}){utf8}"
    ));
    database.run(
        "CREATE TABLE said (id int NOT NULL PRIMARY KEY, talk int NOT NULL, FOREIGN KEY (talk) REFERENCES talks (id) ON \
         DELETE CASCADE)",
    );
    database.run(
        "CREATE TABLE bills (id int NOT NULL PRIMARY KEY, talk int NOT NULL, FOREIGN KEY (talk) REFERENCES talks (id))",
    );
    database.run(&format!(
        "INSERT INTO talks VALUES (1, 'it''s \u{6cc} 🐦', '2020-01-01 00:00:00', 0.1, {bytes}), \
         (2, NULL, '2020-06-01 12:00:00', 1e300, NULL), (3, 'billed', '2020-01-01 00:00:00', 2, NULL), \
         (4, 'young', '2090-01-01 00:00:00', 3, NULL), (5, 'no date', NULL, 4, NULL)"
    ));
    database.run("INSERT INTO said VALUES (1, 1), (2, 1), (3, 4)");
    database.run("INSERT INTO bills VALUES (1, 3)");
}

fn rule(to: &str) -> String {
    format!(
        "[[rule]]\nid = \"old\"\narchive = {{ table = \"talks\", {to}, older_than = \"365d\", by = \"at\" }}\n"
    )
}

for_each_engine! {
    /// Old rows move into a table that is made for them; what refers to them by a cascading key goes with them, and one
    /// that others refer to stays.
    async fn old_rows_move_into_a_table_and_come_home(kind: TestEngine) {
        let database = kind.database();
        talks(kind, &database);
        let sandbox = room(&database, &rule("to_table = \"old talks\""));
        let before = digest(&sandbox);
        assert_eq!(numbers(&sandbox.dunlin(["check", "--format", "json"]).code(5), "violations"), named(&[("old", 3)]));
        let dry = sandbox.dunlin(["clean", "--dry-run", "--format", "json"]).success();
        let done = sandbox.dunlin(["clean", "--format", "json"]).success();
        for (what, number) in [("removed", 4), ("changed", 0), ("left", 1)] {
            assert_eq!(numbers(&dry, what), named(&[("old", number)]), "{what}");
            assert_eq!(numbers(&done, what), named(&[("old", number)]), "{what}");
        }
        assert!(done.json()["findings"].to_string().contains("rule-rows-left"), "{}", done.stdout);
        let archive = kind.pick("\"old talks\"", "\"old talks\"", "`old talks`");
        assert_eq!(database.scalar(&format!("SELECT sum(id) FROM {archive}")), "3");
        assert_eq!(database.scalar("SELECT sum(id) FROM talks"), "12");
        let _ = sandbox.dunlin(["clean", "--undo"]).success();
        assert_eq!(digest(&sandbox), before, "and the table that was made is gone");
    }

    /// Old rows move into a file, a line each; taken back, the file is as it was.
    async fn old_rows_move_into_a_file_and_come_home(kind: TestEngine) {
        let database = kind.database();
        talks(kind, &database);
        let sandbox = room(&database, &rule("to_file = \"old.ndjson\""));
        sandbox.write("old.ndjson", "{\"mine\": 1}\n");
        let before = digest(&sandbox);
        let dry = sandbox.dunlin(["clean", "--dry-run", "--format", "json"]).success();
        assert_eq!(sandbox.read("old.ndjson"), "{\"mine\": 1}\n");
        let done = sandbox.dunlin(["clean", "--format", "json"]).success();
        assert_eq!(numbers(&dry, "removed"), named(&[("old", 4)]));
        assert_eq!(numbers(&done, "removed"), named(&[("old", 4)]));
        let text = sandbox.read("old.ndjson");
        let lines: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.len(), 3);
        assert_eq!(lines[1]["row"]["title"], "it's \u{6cc} 🐦");
        assert_eq!(lines[1]["row"]["raw"]["hex"], "00ff");
        let again = sandbox.dunlin(["clean", "--format", "json"]).success();
        assert_eq!(numbers(&again, "removed"), named(&[("old", 0)]));
        let _ = sandbox.dunlin(["clean", "--undo"]).success();
        assert_eq!(digest(&sandbox), before);
        assert_eq!(sandbox.read("old.ndjson"), "{\"mine\": 1}\n");
    }
}
