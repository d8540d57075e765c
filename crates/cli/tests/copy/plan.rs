//! The steps `copy`, `export` and `import` of plans: forward, half way, and back.

use super::{Ends, kill_each};
use dunlin_testkit::TestEngine;
use dunlin_testkit::for_each_engine;
use serde_json::{Value, json};
use std::time::Duration;

const BOOKS: &str = "
CREATE TABLE authors (id INTEGER PRIMARY KEY, name TEXT NOT NULL);
CREATE TABLE books (id INTEGER PRIMARY KEY, author INTEGER NOT NULL REFERENCES authors(id), title TEXT NOT NULL, read DATETIME);
INSERT INTO authors VALUES (1, 'فروغ'), (2, 'Yaşar 🚚');
INSERT INTO books VALUES (1, 1, 'تولدی دیگر', '2024-01-01 10:00:00'), (2, 2, 'İnce Memed', NULL), (3, 2, 'it''s', '2024-02-29 00:00:00');
";

/// A project of two databases, and a plan.
fn project(ends: &Ends, database: &str, steps: &str) {
    ends.sandbox.write(
        "dunlin.toml",
        format!(
            "[database.old]\nurl = \"sqlite:source.db\"\n[database.new]\nurl = \"{}\"\n",
            ends.target.url()
        ),
    );
    ends.sandbox.write(
        "move.plan.toml",
        format!("name = \"move\"\ndatabase = \"{database}\"\n[[phase]]\nid = \"one\"\n{steps}"),
    );
}

const COPY: &str = "[[phase.step]]\nid = \"go\"\ncopy = { from = \"old\", to = \"new\" }\n";

fn states(json: &Value) -> Vec<(String, String)> {
    let steps = json["data"]["phases"][0]["steps"]
        .as_array()
        .unwrap()
        .iter();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    steps
        .map(|step| (text(&step["id"]), text(&step["state"])))
        .collect()
}

fn tables_of_ours(ends: &Ends) -> String {
    let names = "('authors', 'books')";
    let sql = ends.engine.pick(
        &format!("SELECT count(*) FROM sqlite_master WHERE name IN {names}"),
        &format!("SELECT count(*) FROM information_schema.tables WHERE table_name IN {names}"),
        &format!("SELECT count(*) FROM information_schema.tables WHERE table_schema = database() AND table_name IN {names}"),
    ).to_owned();
    ends.target.scalar(&sql)
}

for_each_engine! {
    /// The plan stands in the old database, and fills the new one; taken back, the new one is as empty as it was found.
    async fn a_plan_copies_into_another_database_and_empties_it_again(engine: TestEngine) {
        let ends = Ends::new(engine, BOOKS);
        project(&ends, "old", COPY);
        let shown = ends.sandbox.dunlin(["plan", "show", "move", "--format", "json"]).code(0).json();
        assert_eq!(shown["data"]["risk"]["reasons"][0]["kind"], "change_of_engine", "{shown:#}");
        let checked = ends.sandbox.dunlin(["plan", "check", "move", "--format", "json"]).code(0).json();
        let copies = checked["data"]["checks"].as_array().unwrap().iter().filter(|one| one["id"] == "copies");
        assert_eq!(copies.map(|one| &one["outcome"]).collect::<Vec<_>>(), ["passed"], "{checked:#}");
        let ran = ends.sandbox.dunlin(["run", "move", "--format", "json"]).code(0).json();
        assert_eq!(states(&ran), [("go".to_owned(), "done".to_owned())], "{ran:#}");
        assert_eq!(ran["data"]["phases"][0]["steps"][0]["rows"], 5, "{ran:#}");
        assert_eq!(ends.verify().0, 0);
        let _ = ends.sandbox.dunlin(["run", "move"]).code(0);
        let _ = ends.sandbox.dunlin(["rollback", "move"]).code(0);
        assert_eq!(tables_of_ours(&ends), "0");
        let _ = ends.sandbox.dunlin(["run", "move"]).code(0);
        assert_eq!(ends.verify().0, 0);
        // What somebody has written since is not destroyed unasked.
        let _ = ends.target.run("UPDATE books SET title = 'written since' WHERE id = 3");
        let refused = ends.sandbox.dunlin(["rollback", "move", "--format", "json"]).code(1).json();
        let said = refused["failure"]["hints"].to_string();
        assert!(said.contains("books of new changed since"), "{refused:#}");
        assert_eq!(ends.target.scalar("SELECT title FROM books WHERE id = 3"), "written since");
        let _ = ends.sandbox.dunlin(["rollback", "move", "--discard-later"]).code(0);
        assert_eq!(tables_of_ours(&ends), "0");
        let kept = ends.sandbox.dunlin(["checkpoint", "list", "-d", "new", "--format", "json"]).code(0).json();
        assert_eq!(kept["data"]["items"][0]["tables"][0]["table"], "books", "{kept:#}");
    }

    /// The plan stands in the database that it fills; a step after the copy fails, and nothing of both stays.
    async fn a_copy_into_the_plans_own_database_goes_with_the_step_after_it(engine: TestEngine) {
        let ends = Ends::new(engine, BOOKS);
        if engine == TestEngine::Sqlite {
            // A plan's database is there before the plan: an empty file.
            let _ = ends.target.run("SELECT 1");
        }
        let steps = format!("{COPY}[[phase.step]]\nid = \"more\"\nsql = \"INSERT INTO authors (id, name) VALUES (3, 'Simin')\"\n");
        project(&ends, "new", &format!("{steps}[[phase.check]]\nid = \"three\"\nsql = \"SELECT count(*) FROM authors\"\nexpect = \"= 4\"\n"));
        let ran = ends.sandbox.dunlin(["run", "move", "--format", "json"]).code(1).json();
        assert_eq!(ran["failure"]["undone"], json!(["step `more`", "step `go`"]), "{ran:#}");
        assert_eq!(tables_of_ours(&ends), "0");
        project(&ends, "new", &steps);
        let _ = ends.sandbox.dunlin(["run", "move"]).code(0);
        assert_eq!(ends.target.scalar("SELECT count(*) FROM authors"), "3");
        let _ = ends.sandbox.dunlin(["rollback", "move"]).code(0);
        assert_eq!(tables_of_ours(&ends), "0");
    }

    async fn a_target_that_holds_something_is_left_alone(engine: TestEngine) {
        let ends = Ends::new(engine, BOOKS);
        project(&ends, "old", COPY);
        let _ = ends.target.run("CREATE TABLE mine (id int PRIMARY KEY)");
        let _ = ends.target.run("INSERT INTO mine VALUES (1)");
        let checked = ends.sandbox.dunlin(["plan", "check", "move", "--format", "json"]).code(4).json();
        assert!(checked.to_string().contains("target-not-empty"), "{checked:#}");
        let ran = ends.sandbox.dunlin(["run", "move", "--format", "json"]).json();
        assert_eq!(ran["failure"]["code"], "target-not-empty", "{ran:#}");
        let _ = ends.sandbox.dunlin(["rollback", "move"]);
        assert_eq!(ends.target.scalar("SELECT count(*) FROM mine"), "1");
    }

    async fn a_killed_run_goes_on_with_its_copy(engine: TestEngine) {
        let ends = Ends::new(engine, &format!(
            "CREATE TABLE many (id INTEGER PRIMARY KEY, name TEXT);
             INSERT INTO many WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000) SELECT i, 'row ' || i FROM n; {BOOKS}"
        ));
        project(&ends, "old", COPY);
        kill_each(&ends.sandbox, &["run", "move"], &[60, 200, 400], || {});
        let ran = ends.sandbox.dunlin(["run", "move", "--format", "json"]).code(0).json();
        assert_eq!(states(&ran), [("go".to_owned(), "done".to_owned())], "{ran:#}");
        assert_eq!(ends.verify().0, 0);
        // And back from wherever a kill has left it.
        let _ = ends.sandbox.dunlin(["rollback", "move"]).code(0);
        assert_eq!(tables_of_ours(&ends), "0");
        let running = ends.sandbox.spawn(["run", "move"]);
        std::thread::sleep(Duration::from_millis(250));
        running.signal("KILL");
        let _ = running.wait();
        let _ = ends.sandbox.dunlin(["rollback", "move"]).code(0);
        assert_eq!(tables_of_ours(&ends), "0");
    }

    async fn rows_left_out_by_a_policy_end_the_run_with_eight(engine: TestEngine) {
        if engine == TestEngine::Sqlite {
            // Every value goes over to SQLite in its own class: there is nothing to leave out.
            return;
        }
        let ends = Ends::new(engine, "CREATE TABLE t (id INTEGER PRIMARY KEY, at DATETIME);
            INSERT INTO t VALUES (1, '2024-01-01 00:00:00'), (3, '0000-00-00');");
        let ty = engine.pick("DATETIME", "timestamp without time zone", "datetime(6)");
        ends.sandbox.write("cast.toml", format!("[columns.\"t.at\"]\ntype = \"{ty}\"\n"));
        project(&ends, "old", "[[phase.step]]\nid = \"go\"\ncopy = { from = \"old\", to = \"new\", cast = \"cast.toml\", policy = { zero-date = \"reject\" }, rejects = \"left.ndjson\" }\n");
        let ran = ends.sandbox.dunlin(["run", "move", "--format", "json"]).code(8).json();
        assert_eq!(states(&ran), [("go".to_owned(), "done".to_owned())], "{ran:#}");
        assert!(ran["findings"].as_array().unwrap().iter().any(|one| one["code"] == "rows-left-out"), "{ran:#}");
        assert!(ends.sandbox.read("left.ndjson").contains("zero-date"));
    }

    /// Out of one database and into another, skipping what is there; back, but for what somebody has changed.
    async fn a_plan_exports_and_another_imports(engine: TestEngine) {
        let ends = Ends::new(engine, BOOKS);
        project(&ends, "old", "[[phase.step]]\nid = \"out\"\nexport = { to = \"out\", as = \"ndjson\", tables = [\"authors\", \"books\"] }\n");
        let _ = ends.sandbox.dunlin(["run", "move"]).code(0);
        let text = engine.pick("TEXT", "text", "varchar(100) CHARACTER SET utf8mb4");
        for sql in [
            format!("CREATE TABLE authors (id bigint NOT NULL PRIMARY KEY, name {text} NOT NULL)"),
            format!("CREATE TABLE books (id bigint NOT NULL PRIMARY KEY, author bigint NOT NULL, title {text} NOT NULL, \"read\" {}, FOREIGN KEY (author) REFERENCES authors (id))",
                engine.pick("DATETIME", "timestamp", "datetime")).replace('"', engine.pick("\"", "\"", "`")),
            "INSERT INTO authors (id, name) VALUES (9, 'mine')".to_owned(),
        ] {
            let _ = ends.target.run(&sql);
        }
        let import = "[[phase.step]]\nid = \"in\"\nimport = { files = [\"out\"], skip_duplicates = { books = [\"title\"] }, continue_on_error = true, rejects = \"r.ndjson\" }\n";
        project(&ends, "new", import);
        ends.sandbox.write("in.plan.toml", ends.sandbox.read("move.plan.toml").replace("\"move\"", "\"in\""));
        let _ = ends.target.run("INSERT INTO books (id, author, title) VALUES (70, 9, 'it''s')");
        let ran = ends.sandbox.dunlin(["run", "in", "--format", "json"]).code(0).json();
        assert_eq!(ran["data"]["phases"][0]["steps"][0]["rows"], 4, "{ran:#}");
        assert_eq!(ends.target.scalar("SELECT title FROM books WHERE id = 1"), "تولدی دیگر");
        assert_eq!(ends.target.scalar("SELECT count(*) FROM books"), "3");
        // A book that somebody has changed refers to its author: neither goes, and nothing else does.
        let _ = ends.target.run("UPDATE books SET title = 'read it' WHERE id = 2");
        let back = ends.sandbox.dunlin(["rollback", "in"]).code(1);
        assert!(back.stderr.contains("refer to rows of authors"), "{}", back.stderr);
        assert_eq!(ends.target.scalar("SELECT count(*) FROM books"), "3");
        let _ = ends.target.run("UPDATE books SET author = 9 WHERE id = 2");
        let back = ends.sandbox.dunlin(["rollback", "in"]).code(0);
        assert!(back.stderr.contains("left as they are: 1 row of"), "{}", back.stderr);
        assert_eq!(ends.target.scalar("SELECT count(*) FROM books WHERE id IN (2, 70)"), "2");
        assert_eq!(ends.target.scalar("SELECT count(*) FROM books"), "2");
        assert_eq!(ends.target.scalar("SELECT count(*) FROM authors"), "1");
    }
}

#[test]
fn words_that_are_none_are_said_before_a_database_is_asked() {
    let ends = Ends::new(TestEngine::Sqlite, BOOKS);
    project(
        &ends,
        "old",
        "[[phase.step]]\nid = \"a\"\ncopy = { from = \"old\", to = \"nowhere\", verify = \"perhaps\", policy = { zero-dates = \"reject\", text-nul = \"bend\" } }
         [[phase.step]]\nid = \"b\"\nexport = { to = \"-\", as = \"xml\", since = \"books=tomorrow\" }
         [[phase.step]]\nid = \"c\"\nimport = { files = [], skip_duplicates = { books = [] } }
         [[phase.step]]\nid = \"d\"\ncopy = { from = \"old\", to = \"old\" }\n",
    );
    let ran = ends
        .sandbox
        .dunlin(["plan", "show", "move", "--format", "json"])
        .code(2)
        .json();
    let said: Vec<String> = ran["findings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["message"].as_str().unwrap().to_owned())
        .collect();
    let words = [
        "no database `nowhere`",
        "`perhaps`",
        "`zero-dates` is no hazard",
        "`bend`",
        "no pipe",
        "`xml`",
        "TABLE.COLUMN=DATE",
        "`files` names nothing",
        "`books` names nothing",
        "the same database",
    ];
    for word in words {
        assert!(
            said.iter().any(|one| one.contains(word)),
            "{word}: {said:#?}"
        );
    }
}
