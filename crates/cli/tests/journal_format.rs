//! Invariant 5: a journal of a newer format is left alone, and nothing in a journal is ever changed or removed.
#![allow(clippy::unwrap_used)]

use dunlin_testkit::sandbox::Sandbox;
use dunlin_testkit::{TestDatabase, TestEngine, for_each_engine};

fn room(kind: TestEngine) -> (Sandbox, TestDatabase) {
    let database = kind.database();
    let sandbox = Sandbox::with_binary(env!("CARGO_BIN_EXE_dunlin"));
    let url = database.url();
    sandbox.write("dunlin.toml", format!("[database.app]\nurl = \"{url}\"\n"));
    sandbox.write(
        "migrations/001_a.sql",
        "CREATE TABLE a (id int);\n-- dunlin: undo\nDROP TABLE a;\n",
    );
    let _ = sandbox.dunlin(["up", "--create"]).success();
    sandbox.write(
        "migrations/002_b.sql",
        "CREATE TABLE b (id int);\n-- dunlin: undo\nDROP TABLE b;\n",
    );
    (sandbox, database)
}

for_each_engine! {
    async fn invariant_05_a_newer_journal_is_refused_and_left_alone(kind: TestEngine) {
        let (sandbox, database) = room(kind);
        database.run("UPDATE dunlin_fence SET format = 99");
        let journal = database.run("SELECT * FROM dunlin_journal ORDER BY id");
        for line in ["up", "up --dry-run", "down", "status", "repair", "reset --to 001", "baseline 001", "drift --rebuild"] {
            let ran = sandbox.dunlin(line.split(' ').chain(["--format", "json"])).code(4).json();
            assert_eq!(ran["failure"]["code"], "newer-journal", "{line}: {ran}");
        }
        assert_eq!(database.run("SELECT * FROM dunlin_journal ORDER BY id"), journal);
        assert!(database.has_table("a") && !database.has_table("b"));
    }

    async fn invariant_05_a_journal_only_grows(kind: TestEngine) {
        let (sandbox, database) = room(kind);
        for event in ["UPDATE", "DELETE"] {
            database.run(&match kind {
                TestEngine::Sqlite => format!(
                    "CREATE TRIGGER keep_{event} BEFORE {event} ON dunlin_journal BEGIN SELECT RAISE(ABORT, 'it only grows'); END"
                ),
                _ if kind.is_postgres() => format!(
                    "CREATE FUNCTION keep_{event}() RETURNS trigger LANGUAGE plpgsql AS \
                     $$ BEGIN RAISE EXCEPTION 'it only grows'; END $$; \
                     CREATE TRIGGER keep_{event} BEFORE {event} ON dunlin_journal FOR EACH ROW EXECUTE FUNCTION keep_{event}()"
                ),
                _ => format!(
                    "CREATE TRIGGER keep_{event} BEFORE {event} ON dunlin_journal FOR EACH ROW \
                     SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'it only grows'"
                ),
            });
        }
        assert!(database.try_run("DELETE FROM dunlin_journal").is_err(), "the guard is at work");
        for line in ["up", "down --to 001", "up", "reset --to 001", "reset --to 002", "repair", "down --to 0", "up", "unlock"] {
            let _ = sandbox.dunlin(line.split(' ')).success();
        }
        // A script that fails, is edited, and accepted.
        sandbox.write("migrations/003_c.sql", "-- dunlin: irreversible = \"fails\"\nCREATE TABLE c (id int);\nCREATE TABLE c (id int);\n");
        let _ = sandbox.dunlin(["up"]).code(1);
        sandbox.write("migrations/003_c.sql", "-- dunlin: irreversible = \"fails\"\nCREATE TABLE c (id int);\n");
        let _ = sandbox.dunlin(["up"]).success();
        sandbox.write("migrations/003_c.sql", "-- dunlin: irreversible = \"fails\"\nCREATE TABLE c (id int, x int);\n");
        let _ = sandbox.dunlin(["repair", "--accept", "003"]).success();
    }
}
