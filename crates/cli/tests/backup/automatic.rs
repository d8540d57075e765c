//! `on_failure = "restore"`: a run that fails is taken back whole, unless others have written; and a restore that dies
//! leaves a database that nobody takes for whole.

use super::{fill, room};
use dunlin_testkit::sandbox::Sandbox;
use dunlin_testkit::{TestDatabase, TestEngine, for_each_engine};

/// The room with the setting, one script that succeeds and one whose last statement fails.
fn failing(kind: TestEngine, database: &TestDatabase) -> Sandbox {
    let sandbox = room(kind, database);
    fill(database);
    let toml = sandbox.read("dunlin.toml");
    sandbox.write("dunlin.toml", format!("{toml}on_failure = \"restore\"\n"));
    sandbox.write(
        "migrations/002_first.sql",
        "CREATE TABLE extra (id int NOT NULL PRIMARY KEY);\nUPDATE notes SET title = 'bent' WHERE id < 7;\n",
    );
    sandbox.write(
        "migrations/003_second.sql",
        "DELETE FROM notes WHERE id > 290;\nALTER TABLE notes ADD COLUMN more int;\nINSERT INTO extra VALUES (1);\n\
         INSERT INTO extra VALUES (1);\n",
    );
    sandbox
}

for_each_engine! {
    async fn a_failed_run_is_taken_back_by_its_backup(kind: TestEngine) {
        let database = kind.database();
        let sandbox = failing(kind, &database);
        let before = sandbox.dunlin(["digest", "--format", "json"]).success().json();
        let failed = sandbox.dunlin(["up", "--format", "json"]).code(1).json();
        let undone = failed["failure"]["undone"].to_string();
        assert!(undone.contains("002 first") && undone.contains("by restoring"), "{failed}");
        assert_eq!(failed["failure"]["done"], serde_json::json!([]), "{failed}");
        assert_eq!(failed["data"]["applied"], serde_json::json!([]), "{failed}");
        assert!(!database.has_table("extra"));
        let after = sandbox.dunlin(["digest", "--format", "json"]).success().json();
        let notes = |digests: &serde_json::Value| {
            let tables = digests["data"]["tables"].as_array().unwrap().clone();
            tables.into_iter().find(|table| table["table"].as_str().unwrap().ends_with("notes")).unwrap()
        };
        assert_eq!(notes(&after), notes(&before));
        let status = sandbox.dunlin(["status", "--format", "json"]).success().json();
        let states: Vec<_> = status["data"]["migrations"].as_array().unwrap().iter().map(|line| line["state"].clone()).collect();
        assert_eq!(states, ["applied", "pending", "pending"], "{status}");
        // Mended, it goes on as if nothing had happened.
        sandbox.write("migrations/003_second.sql", "INSERT INTO extra VALUES (1);\n");
        let _ = sandbox.dunlin(["up"]).success();
        assert_eq!(database.scalar("SELECT count(*) FROM extra"), "1");
    }

    async fn what_others_wrote_meanwhile_is_not_thrown_away(kind: TestEngine) {
        let database = kind.database();
        database.run("CREATE TABLE orders (id int NOT NULL PRIMARY KEY)");
        let sandbox = failing(kind, &database);
        // The order comes in while the run is at work: its own trigger stands for the other client.
        let trigger = kind.pick(
            "CREATE TRIGGER comes_in AFTER UPDATE ON notes WHEN NEW.id = 3 BEGIN INSERT INTO orders VALUES (NEW.id); END",
            "CREATE FUNCTION comes_in() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN IF NEW.id = 3 THEN INSERT INTO orders VALUES (NEW.id); END IF; RETURN NEW; END'; \
             CREATE TRIGGER comes_in AFTER UPDATE ON notes FOR EACH ROW EXECUTE FUNCTION comes_in()",
            "CREATE TRIGGER comes_in AFTER UPDATE ON notes FOR EACH ROW INSERT INTO orders SELECT NEW.id FROM DUAL WHERE NEW.id = 3",
        );
        database.run(trigger);
        let failed = sandbox.dunlin(["up", "--format", "json"]).code(1).json();
        let hints = failed["failure"]["hints"].to_string();
        assert!(hints.contains("others have written since") && hints.contains("orders"), "{failed}");
        assert!(hints.contains("--replace"), "{failed}");
        assert_eq!(database.scalar("SELECT count(*) FROM orders"), "1");
        assert!(database.has_table("extra"));
    }
}

for_each_engine! {
    only servers
    async fn a_restore_that_died_is_found_out(kind: TestEngine) {
        let database = kind.database();
        let sandbox = room(kind, &database);
        fill(&database);
        let made = sandbox.dunlin(["backup", "create", "--format", "json"]).success().json();
        let path = made["data"]["items"][0]["path"].as_str().unwrap().to_owned();
        // As it stands when the process dies after the first drops.
        database.run("CREATE TABLE dunlin_restoring (id int NOT NULL PRIMARY KEY)");
        for table in ["dunlin_journal", "dunlin_fence", "notes"] {
            database.run(&format!("DROP TABLE {table}"));
        }
        let refused = sandbox.dunlin(["up", "--format", "json"]).code(4).json();
        assert_eq!(refused["failure"]["code"], "restore-interrupted", "{refused}");
        let _ = sandbox.dunlin(["backup", "restore", &path, "--replace"]).success();
        assert!(!database.has_table("dunlin_restoring"));
        assert_eq!(database.scalar("SELECT count(*) FROM notes"), "300");
        let _ = sandbox.dunlin(["up"]).success();
    }
}
