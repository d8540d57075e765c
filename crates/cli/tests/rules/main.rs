//! Integrity rules through the binary, on every engine: what is counted, what a dry run says, what a cleaning does, and
//! that it can be taken back.
#![allow(clippy::unwrap_used)]

mod archives;
mod huge;
mod refusals;

use dunlin_testkit::sandbox::{Ran, Sandbox};
use dunlin_testkit::{TestDatabase, TestEngine, for_each_engine};
use serde_json::Value;

/// A name that needs quotes everywhere.
const TAGS: &str = "kb \"tags' یک";

fn quoted(kind: TestEngine, name: &str) -> String {
    match kind.pick("s", "p", "m") {
        "m" => format!("`{}`", name.replace('`', "``")),
        _ => format!("\"{}\"", name.replace('"', "\"\"")),
    }
}

fn room(database: &TestDatabase, rules: &str) -> Sandbox {
    let sandbox = Sandbox::with_binary(env!("CARGO_BIN_EXE_dunlin"));
    let url = database.url();
    sandbox.write(
        "dunlin.toml",
        format!("[database.app]\nurl = \"{url}\"\n{rules}"),
    );
    sandbox
}

fn digest(sandbox: &Sandbox) -> String {
    let json = sandbox
        .dunlin(["digest", "--format", "json"])
        .success()
        .json();
    json["data"]["digest"].as_str().unwrap().to_owned()
}

/// Rule, and a number of it.
fn numbers(ran: &Ran, what: &str) -> Vec<(String, u64)> {
    let json = ran.json();
    let rules = json["data"]["rules"].as_array().unwrap();
    let one = |rule: &Value| {
        (
            rule["id"].as_str().unwrap().to_owned(),
            rule[what].as_u64().unwrap(),
        )
    };
    rules.iter().map(one).collect()
}

fn named(list: &[(&str, u64)]) -> Vec<(String, u64)> {
    list.iter()
        .map(|(name, n)| ((*name).to_owned(), *n))
        .collect()
}

/// A knowledge base: dates in texts of many formats, entries that are there twice, tags without their entry.
fn knowledge(kind: TestEngine, database: &TestDatabase) {
    let utf8 = kind.pick("", "", " CHARACTER SET utf8mb4");
    let tags = quoted(kind, TAGS);
    database.run(&format!(
        "CREATE TABLE kb_entries (id varchar(40) NOT NULL PRIMARY KEY, title varchar(80), problem varchar(80), solution \
         varchar(80), created_at varchar(60), usage_count int, archived int){utf8}"
    ));
    database.run(&format!(
        "CREATE TABLE {tags} (entry_id varchar(40) NOT NULL, tag varchar(40) NOT NULL, PRIMARY KEY (entry_id, tag)){utf8}"
    ));
    database.run(&format!(
        "CREATE TABLE notes (id int NOT NULL PRIMARY KEY, entry_id varchar(40), FOREIGN KEY (entry_id) REFERENCES \
         kb_entries (id) ON DELETE CASCADE){utf8}"
    ));
    database.run(
        "INSERT INTO kb_entries VALUES \
         ('e1', 'Login', 'fails', 'x', '2024-01-01T09:00:00+03:30', 9, 0), \
         ('e2', 'Login', 'fails', 'y', '2024-01-01 06:00:00', 9, 0), \
         ('e3', 'Login', 'fails', 'z', '1704092400', 9, 0), \
         ('e4', 'Null', NULL, 's', '2024-01-01T00:00:00Z', 9, 0), \
         ('e5', 'Null', NULL, 's', '2024-01-01T00:00:00+00:30', 9, 0), \
         ('e6', '', 'p', 's', '2024-01-01', 9, 0), \
         ('e7', 'Bad', 'date', 's', 'yesterday', 9, 0), \
         ('e8', 'Bad', 'date', 's', '2024-01-02', 9, 0), \
         ('e9', 'Old یادداشت 🐦', 'old', 's', '2020/01/01 00:00:00', 1, 0), \
         ('e10', 'Young', 'young', 's', '4070908800', 1, 0), \
         ('e11', 'Put away', 'old', 's', '2020-01-01', 1, 1)",
    );
    database.run(&format!(
        "INSERT INTO {tags} VALUES ('e1', 'a'), ('e2', 'a'), ('e2', 'b'), ('e3', 'b'), ('e3', 'یک🐦'), ('gone', 'x'), \
         ('gone too', 'y')"
    ));
    database.run("INSERT INTO notes VALUES (1, 'e2'), (2, 'e3'), (3, 'e5'), (4, NULL)");
}

fn rules() -> String {
    format!(
        r#"
[[rule]]
id = "orphaned-tags"
description = "Tags without their entry"
orphans = {{ table = '''{TAGS}''', columns = ["entry_id"], references = "kb_entries(id)" }}
clean = "delete"
[[rule]]
id = "entries-complete"
severity = "warning"
required = {{ table = "kb_entries", columns = ["title", "problem", "solution"], empty_counts = true }}
[[rule]]
id = "entries-once"
unique = {{ table = "kb_entries", columns = ["title", "problem"], keep = "oldest", by = "created_at" }}
clean = "delete-duplicates"
on_children = "repoint"
[[rule]]
id = "archive-unused"
archive = {{ table = "kb_entries", set = "archived = 1", where = "usage_count < 5", older_than = "365d", by = "created_at" }}
[[rule]]
id = "no-negative-usage"
sql = "SELECT id FROM kb_entries WHERE usage_count < 0"
[[rule]]
id = "tidy"
optimize = {{ tables = ["kb_entries", "notes"] }}
"#
    )
}

for_each_engine! {
    /// The numbers of a check, of a dry run and of the cleaning; children are given to the row that stays, and one that
    /// would be there twice goes; everything comes back.
    async fn a_knowledge_base_is_cleaned_and_comes_back(kind: TestEngine) {
        let database = kind.database();
        knowledge(kind, &database);
        let sandbox = room(&database, &rules());
        let before = digest(&sandbox);
        let checked = sandbox.dunlin(["check", "--format", "json"]).code(5);
        assert_eq!(numbers(&checked, "violations"), named(&[
            ("orphaned-tags", 2), ("entries-complete", 3), ("entries-once", 4), ("archive-unused", 1),
            ("no-negative-usage", 0), ("tidy", 0),
        ]));
        let json = checked.json();
        assert_eq!(json["data"]["valid"], false);
        assert_eq!(json["data"]["summary"]["violations"], 10);
        assert_eq!(json["data"]["rules"][0]["kind"], "orphans");
        assert_eq!(json["data"]["rules"][0]["table"], TAGS);
        assert_eq!(json["data"]["rules"][1]["severity"], "warning");
        assert!(json["findings"].to_string().contains("rule-date-unreadable"), "{json}");
        let dry = sandbox.dunlin(["clean", "--dry-run", "--format", "json"]).success();
        assert_eq!(digest(&sandbox), before, "a dry run touches nothing");
        assert!(!database.has_table("dunlin_journal"));
        let removed = [("orphaned-tags", 2), ("entries-once", 5), ("archive-unused", 0), ("tidy", 0)];
        let changed = [("orphaned-tags", 0), ("entries-once", 4), ("archive-unused", 1), ("tidy", 0)];
        assert_eq!((numbers(&dry, "removed"), numbers(&dry, "changed")), (named(&removed), named(&changed)));
        let done = sandbox.dunlin(["clean", "--format", "json"]).success();
        for what in ["removed", "changed", "left"] {
            assert_eq!(numbers(&dry, what), numbers(&done, what), "{what}");
        }
        assert!(done.json()["data"]["rules"][3]["bytes_before"].as_u64() > Some(0), "{}", done.stdout);
        let tags = quoted(kind, TAGS);
        let held = |sql: &str| database.scalar(sql);
        assert_eq!(held(&format!("SELECT count(*) FROM {tags} WHERE entry_id = 'e1'")), "3");
        assert_eq!(held(&format!("SELECT count(*) FROM {tags}")), "3");
        assert_eq!(held("SELECT count(*) FROM notes WHERE entry_id = 'e1'"), "2");
        assert_eq!(held("SELECT count(*) FROM notes WHERE entry_id = 'e5'"), "1", "an older one of two that are NULL stays");
        assert_eq!(held("SELECT count(*) FROM kb_entries WHERE archived = 1"), "2");
        assert_eq!(held("SELECT count(*) FROM kb_entries WHERE id IN ('e2', 'e3', 'e4')"), "0");
        let after = sandbox.dunlin(["check", "--format", "json"]).code(5);
        assert_eq!(numbers(&after, "violations")[..4], named(&[
            ("orphaned-tags", 0), ("entries-complete", 2), ("entries-once", 1), ("archive-unused", 0),
        ]));
        let undone = sandbox.dunlin(["clean", "--undo", "--format", "json"]).success();
        assert_eq!(undone.json()["data"]["left"], 0, "{}", undone.stdout);
        assert_eq!(digest(&sandbox), before, "everything is as it was");
        let _ = sandbox.dunlin(["clean", "--undo"]).code(4);
    }

    /// What others wrote since is left alone when a cleaning is taken back, and is named.
    async fn later_writes_are_left_alone_when_a_cleaning_is_taken_back(kind: TestEngine) {
        let database = kind.database();
        knowledge(kind, &database);
        let sandbox = room(&database, &rules());
        let _ = sandbox.dunlin(["clean", "orphaned-tags", "entries-once", "archive-unused"]).success();
        database.run("UPDATE kb_entries SET archived = 7 WHERE id = 'e9'");
        database.run("INSERT INTO kb_entries VALUES ('e2', 'Another', 'one', 's', NULL, 1, 0)");
        let undone = sandbox.dunlin(["clean", "--undo", "--format", "json"]).success().json();
        assert_eq!(undone["data"]["left"], 2, "{undone}");
        assert_eq!(database.scalar("SELECT archived FROM kb_entries WHERE id = 'e9'"), "7");
        assert_eq!(database.scalar("SELECT title FROM kb_entries WHERE id = 'e2'"), "Another");
        assert_eq!(database.scalar("SELECT count(*) FROM kb_entries WHERE id = 'e3'"), "1");
    }

    /// Rows whose owner is another than that of the row they belong to; NULL is no owner of anybody's.
    async fn owners_that_differ_are_found_and_removed(kind: TestEngine) {
        let database = kind.database();
        database.run("CREATE TABLE contacts (id int NOT NULL PRIMARY KEY, user_id int)");
        database.run("CREATE TABLE messages (id int NOT NULL PRIMARY KEY, contact_id int, user_id int)");
        database.run("INSERT INTO contacts VALUES (1, 10), (2, 20), (3, NULL)");
        database.run("INSERT INTO messages VALUES (1, 1, 10), (2, 1, 20), (3, 2, NULL), (4, 3, NULL), (5, 9, 1), (6, NULL, 1)");
        let sandbox = room(&database, r#"
[[rule]]
id = "one-owner"
same_owner = { table = "messages", column = "user_id", via = "contact_id -> contacts(id)" }
clean = "delete"
"#);
        let before = digest(&sandbox);
        let checked = sandbox.dunlin(["check", "--format", "json"]).code(5);
        assert_eq!(numbers(&checked, "violations"), named(&[("one-owner", 2)]));
        let done = sandbox.dunlin(["clean", "--format", "json"]).success();
        assert_eq!(numbers(&done, "removed"), named(&[("one-owner", 2)]));
        assert_eq!(database.scalar("SELECT sum(id) FROM messages"), "16");
        let _ = sandbox.dunlin(["check"]).success();
        let _ = sandbox.dunlin(["clean", "--undo"]).success();
        assert_eq!(digest(&sandbox), before);
    }

    /// A cleaning that is killed goes on when it is run again, and both halves are taken back as one.
    async fn a_killed_cleaning_goes_on_and_comes_back_whole(kind: TestEngine) {
        let database = kind.database();
        database.run("CREATE TABLE parents (id int NOT NULL PRIMARY KEY)");
        database.run("CREATE TABLE children (id int NOT NULL PRIMARY KEY, parent int, body varchar(200))");
        database.run("INSERT INTO parents VALUES (1)");
        for chunk in 0..40 {
            let rows: Vec<String> = (0..500)
                .map(|n| chunk * 500 + n)
                .map(|id| format!("({id}, {}, '{}')", if id % 10 == 0 { 1 } else { 2 }, "x".repeat(150)))
                .collect();
            database.run(&format!("INSERT INTO children VALUES {}", rows.join(", ")));
        }
        let sandbox = room(&database, r#"
[[rule]]
id = "orphans"
orphans = { table = "children", columns = ["parent"], references = "parents(id)" }
clean = "delete"
"#);
        let before = digest(&sandbox);
        let running = sandbox.spawn(["clean"]);
        let done = || {
            let rows = database.try_run("SELECT count(*) FROM dunlin_undo");
            rows.ok().and_then(|rows| rows.first()?.first()?.clone()?.parse::<u64>().ok()).unwrap_or(0)
        };
        let began = std::time::Instant::now();
        while done() < 3 && began.elapsed().as_secs() < 60 {
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
        running.signal("KILL");
        let _ = running.wait();
        let half: u64 = database.scalar("SELECT count(*) FROM children WHERE parent = 2").parse().unwrap();
        assert!(half > 0 && half < 18_000, "it was killed half way: {half}");
        let again = sandbox.dunlin(["clean", "--format", "json"]).success();
        assert_eq!(numbers(&again, "removed"), named(&[("orphans", half)]));
        assert_eq!(database.scalar("SELECT count(*) FROM children"), "2000");
        let _ = sandbox.dunlin(["clean", "--undo"]).success();
        assert_eq!(digest(&sandbox), before);
    }

    /// A plan cleans, checks its rules, and takes the cleaning back.
    async fn a_plan_cleans_and_takes_it_back(kind: TestEngine) {
        let database = kind.database();
        knowledge(kind, &database);
        let sandbox = room(&database, &rules());
        sandbox.write("tidy.plan.toml", r#"
name = "tidy"
database = "app"
[[phase]]
id = "clean"
  [[phase.step]]
  id = "tags"
  clean = { rules = ["orphaned-tags", "archive-unused"] }
  [[phase.check]]
  id = "integrity"
  rules = ["orphaned-tags", "no-negative-usage"]
"#);
        let before = digest(&sandbox);
        let ran = sandbox.dunlin(["run", "tidy", "--format", "json"]).success().json();
        assert_eq!(ran["data"]["phases"][0]["checks"][0]["outcome"], "passed", "{ran}");
        assert_eq!(ran["data"]["phases"][0]["steps"][0]["rows"], 3, "{ran}");
        assert_ne!(digest(&sandbox), before);
        let _ = sandbox.dunlin(["rollback", "tidy"]).success();
        assert_eq!(digest(&sandbox), before);
        sandbox.write("bad.plan.toml", r#"
name = "bad"
database = "app"
[[phase]]
id = "look"
  [[phase.check]]
  id = "integrity"
  when = "before"
  rules = ["*"]
  [[phase.step]]
  id = "nothing"
  sql = "SELECT 1"
  undo = { none = "it only reads" }
"#);
        let ran = sandbox.dunlin(["run", "bad", "--format", "json"]).code(4).json();
        assert!(ran.to_string().contains("orphaned-tags: 2 rows"), "{ran}");
    }
}
