//! `drop-all` through the binary, on every engine: what is ours goes, what was there before stays, nothing is half done
//! where the engine can undo it.
#![allow(clippy::unwrap_used)]

use dunlin_testkit::sandbox::Sandbox;
use dunlin_testkit::servers::Kind;
use dunlin_testkit::{TestDatabase, TestEngine, for_each_engine};

/// A database with a table of somebody else, and our two tables, which refer to each other in a circle.
fn room(kind: TestEngine, database: &TestDatabase) -> Sandbox {
    let sandbox = Sandbox::with_binary(env!("CARGO_BIN_EXE_dunlin"));
    let url = database.url();
    sandbox.write("dunlin.toml", format!("[database.app]\nurl = \"{url}\"\n"));
    database
        .run("CREATE TABLE theirs (id int NOT NULL PRIMARY KEY); INSERT INTO theirs VALUES (1)");
    let circle = kind.pick(
        "CREATE TABLE ours_b (id int NOT NULL PRIMARY KEY, a int REFERENCES ours_a (id));",
        "CREATE TABLE ours_b (id int NOT NULL PRIMARY KEY, a int REFERENCES ours_a (id));\n\
         ALTER TABLE ours_a ADD CONSTRAINT circle FOREIGN KEY (b) REFERENCES ours_b (id);",
        "CREATE TABLE ours_b (id int NOT NULL PRIMARY KEY, a int, FOREIGN KEY (a) REFERENCES ours_a (id));\n\
         ALTER TABLE ours_a ADD CONSTRAINT circle FOREIGN KEY (b) REFERENCES ours_b (id);",
    );
    sandbox.write(
        "migrations/001_ours.sql",
        format!("CREATE TABLE ours_a (id int NOT NULL PRIMARY KEY, b int);\n{circle}\nCREATE VIEW ours_v AS SELECT id FROM ours_a;\n"),
    );
    let _ = sandbox.dunlin(["up"]).success();
    sandbox
}

fn state(sandbox: &Sandbox) -> String {
    let status = sandbox.dunlin(["status", "--format", "json"]).json();
    status["data"]["migrations"][0]["state"]
        .as_str()
        .unwrap()
        .to_owned()
}

for_each_engine! {
    async fn what_was_there_before_the_first_migration_stays(kind: TestEngine) {
        let database = kind.database();
        let sandbox = room(kind, &database);
        let refused = sandbox.dunlin(["drop-all", "--confirm", "nonsense", "--format", "json"]).code(2).json();
        assert_eq!(refused["failure"]["code"], "not-confirmed");
        database.run("CREATE TABLE by_hand (id int NOT NULL PRIMARY KEY)");
        let done = sandbox.dunlin(["drop-all", "--confirm", "app", "--format", "json"]).success().json();
        let changed = done["data"]["changed"].to_string();
        assert!(changed.contains("ours_a") && changed.contains("ours_b") && changed.contains("ours_v"), "{changed}");
        assert!(!changed.contains("theirs") && !changed.contains("by_hand"), "{changed}");
        assert_eq!(database.scalar("SELECT count(*) FROM theirs"), "1");
        assert_eq!(database.scalar("SELECT count(*) FROM by_hand"), "0");
        assert_eq!(state(&sandbox), "pending");
        let _ = sandbox.dunlin(["up"]).success();
        assert_eq!(state(&sandbox), "applied");
        let _ = sandbox.dunlin(["drop-all", "--confirm", "app", "--everything"]).success();
        let _ = sandbox.dunlin(["up"]).success();
        // A drop that took `theirs` along is the only thing that lets this pass.
        database.run("CREATE TABLE theirs (id int NOT NULL PRIMARY KEY)");
    }
}

/// A view of somebody else that needs our table stops PostgreSQL; nothing stops the others half way.
fn a_drop_that_fails(kind: Kind) {
    let kind = TestEngine::Server(kind);
    let database = kind.database();
    let sandbox = room(kind, &database);
    database.run("CREATE VIEW theirs_v AS SELECT id FROM ours_b");
    let refused = sandbox
        .dunlin(["drop-all", "--confirm", "app", "--format", "json"])
        .code(4)
        .json();
    let message = refused["failure"]["message"].as_str().unwrap();
    assert!(message.contains("ours_b"), "{refused}");
    let done = refused["failure"]["done"].as_array().unwrap();
    assert!(done.is_empty(), "{refused}");
    assert_eq!(state(&sandbox), "applied");
    assert_eq!(database.scalar("SELECT count(*) FROM ours_v"), "0");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drop_that_fails_on_postgres() {
    a_drop_that_fails(Kind::Postgres);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drop_that_fails_on_postgres_newer() {
    a_drop_that_fails(Kind::PostgresNewer);
}
