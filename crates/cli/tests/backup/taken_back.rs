//! Migrations that fail: what is taken back, what others wrote and therefore stays, and what `version.json` promised.

use super::{fill, room};
use dunlin_testkit::sandbox::Sandbox;
use dunlin_testkit::{Gate, TestDatabase, TestEngine, for_each_engine};

/// A statement that fails at once.
const FAILS: &str = "INSERT INTO not_there VALUES (1);\n";

/// A statement that stands alone, so that what is before it is committed; on the servers it waits while somebody holds
/// the rows of `held`.
fn alone(kind: TestEngine) -> &'static str {
    kind.pick(
        "VACUUM;\n",
        "CREATE INDEX CONCURRENTLY by_held ON held (id);\n",
        "UPDATE held SET id = 2;\n",
    )
}

/// Makes what [`alone`] is about.
fn hold(database: &TestDatabase) {
    database.run("CREATE TABLE held (id int)");
    database.run("INSERT INTO held VALUES (1)");
}

/// Runs a line that stops before it has come to its end; meanwhile, while [`alone`] waits, somebody writes.
fn beside_a_writer(
    kind: TestEngine,
    database: &TestDatabase,
    (sandbox, line): (&Sandbox, &[&str]),
    written: &str,
) -> serde_json::Value {
    let mut gate = Gate::shut(kind, database);
    let holds = format!(
        "BEGIN; UPDATE held SET id = 1; {}; COMMIT",
        gate.statement()
    );
    std::thread::scope(|scope| {
        let holder = scope.spawn(|| database.run(&holds));
        gate.until_waited_for(database);
        let running = sandbox.spawn(line);
        write_meanwhile(database, written);
        gate.open();
        let said = running.wait().code(1).json();
        let _ = holder.join();
        said
    })
}

/// Writes as soon as the statement can work, while `up` is under way.
pub(super) fn write_meanwhile(database: &TestDatabase, sql: &str) {
    let started = std::time::Instant::now();
    while database.try_run(sql).is_err() {
        assert!(
            started.elapsed() < std::time::Duration::from_secs(30),
            "{sql} never worked"
        );
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}

mod invariant_17_what_others_wrote_is_not_destroyed {
    use super::*;

    /// Runs a migration that fails after a while, with somebody writing into what it made; gives what it said.
    fn failing(kind: TestEngine, script: &str, written: &str) -> (TestDatabase, serde_json::Value) {
        let database = kind.database();
        let sandbox = room(kind, &database);
        fill(&database);
        hold(&database);
        let all = format!("{script}{}{FAILS}", alone(kind));
        sandbox.write("migrations/002_more.sql", all);
        let line = ["up", "--format", "json"];
        let said = match written {
            "" => sandbox.dunlin(line).code(1).json(),
            _ => beside_a_writer(kind, &database, (&sandbox, &line), written),
        };
        (database, said)
    }

    const COLUMN: &str = "ALTER TABLE notes ADD COLUMN mark int NOT NULL DEFAULT 7;\n";
    const TABLE: &str = "CREATE TABLE fresh (id int NOT NULL PRIMARY KEY);\nINSERT INTO fresh VALUES (1), (2);\nCREATE TABLE other (id int);\n";

    for_each_engine! {
        only servers
        async fn column(kind: TestEngine) {
            let written = "UPDATE notes SET mark = 8 WHERE id = 5";
            let (database, said) = failing(kind, COLUMN, written);
            assert_eq!(database.scalar("SELECT mark FROM notes WHERE id = 5"), "8", "{said}");
            let why = said["failure"]["hints"].to_string();
            assert!(why.contains("holds values that the migration did not write"), "{said}");
        }

        async fn table(kind: TestEngine) {
            let (database, said) = failing(kind, TABLE, "INSERT INTO fresh VALUES (3)");
            assert_eq!(database.scalar("SELECT count(*) FROM fresh"), "3", "{said}");
            let why = said["failure"]["hints"].to_string();
            assert!(why.contains("holds rows that the migration did not write"), "{said}");
        }

        /// A table of the same name in another schema (MySQL: database) is another table.
        async fn column_of_a_namesake(kind: TestEngine) {
            let (aside, there) = aside(kind);
            let database = kind.database();
            let other = there.as_ref().map_or("aside", |there| there.name());
            let script = format!("CREATE TABLE bird (id int);\nALTER TABLE {other}.bird ADD COLUMN mark int;\n");
            let sandbox = room(kind, &database);
            hold(&database);
            prepare(&database, there.as_ref(), aside);
            sandbox.write("migrations/002_more.sql", format!("{script}{}{FAILS}", alone(kind)));
            let written = format!("UPDATE {other}.bird SET mark = 8");
            let line = ["up", "--format", "json"];
            let said = beside_a_writer(kind, &database, (&sandbox, &line), &written);
            assert_eq!(database.scalar(&format!("SELECT mark FROM {other}.bird WHERE id = 1")), "8", "{said}");
        }

        async fn rows_of_a_namesake(kind: TestEngine) {
            let (aside, there) = aside(kind);
            let database = kind.database();
            let other = there.as_ref().map_or("aside", |there| there.name());
            let sandbox = room(kind, &database);
            hold(&database);
            database.run("INSERT INTO held VALUES (1)");
            database.run("CREATE TABLE bird (id int NOT NULL PRIMARY KEY)");
            prepare(&database, None, &aside[..aside.len().min(1)]);
            // As many as others write into its namesake; and an index that cannot be, for there are two rows alike.
            let concurrently = kind.pick("", "CONCURRENTLY ", "");
            let sql = format!(
                "CREATE TABLE {other}.bird (id int NOT NULL PRIMARY KEY); INSERT INTO bird (id) VALUES (2), (3); \
                 CREATE UNIQUE INDEX {concurrently}by_held ON held (id)"
            );
            let plan = format!("name = \"bird\"\n[[phase]]\nid = \"bird\"\n[[phase.step]]\nid = \"bird\"\nsql = \"{sql}\"\n");
            sandbox.write("bird.plan.toml", plan);
            let line = ["run", "bird", "--format", "json"];
            let written = format!("INSERT INTO {other}.bird VALUES (7), (8)");
            let said = beside_a_writer(kind, &database, (&sandbox, &line), &written);
            assert_eq!(database.scalar(&format!("SELECT count(*) FROM {other}.bird")), "2", "{said}");
            assert!(said.to_string().contains("holds rows that the migration did not write"), "{said}");
        }
    }

    for_each_engine! {
        async fn nobody_has_written(kind: TestEngine) {
            let (database, said) = failing(kind, COLUMN, "");
            assert!(database.try_run("SELECT mark FROM notes").is_err(), "{said}");
            let undone = said["failure"]["undone"].to_string();
            assert!(undone.contains("ALTER TABLE notes ADD COLUMN mark"), "{said}");
            let (database, said) = failing(kind, TABLE, "");
            assert!(!database.has_table("fresh"), "{said}");
            assert!(!database.has_table("other"), "{said}");
        }
    }

    /// A place beside the one of the project: what makes it, and the database that it is, where it is one.
    fn aside(kind: TestEngine) -> (&'static [&'static str], Option<TestDatabase>) {
        const BIRDS: [&str; 3] = [
            "CREATE SCHEMA aside",
            "CREATE TABLE aside.bird (id int NOT NULL PRIMARY KEY)",
            "INSERT INTO aside.bird VALUES (1)",
        ];
        match kind.is_postgres() {
            true => (&BIRDS, None),
            false => (&[], Some(kind.database())),
        }
    }

    fn prepare(database: &TestDatabase, there: Option<&TestDatabase>, aside: &[&str]) {
        for statement in aside {
            database.run(statement);
        }
        if let Some(there) = there {
            there.run("CREATE TABLE bird (id int NOT NULL PRIMARY KEY)");
            there.run("INSERT INTO bird VALUES (1)");
        }
    }
}

for_each_engine! {
    /// What version.json says that a migration makes is looked for when it has run; where it is missing the migration
    /// has failed and is taken back.
    async fn a_promise_of_version_json_that_is_not_kept_is_a_failure(kind: TestEngine) {
        let database = kind.database();
        let sandbox = room(kind, &database);
        sandbox.write("migrations/002_more.sql", "CREATE TABLE more (id int NOT NULL PRIMARY KEY);\nCREATE VIEW more_ids AS SELECT id FROM more;\n");
        let promise = |view: &str| {
            sandbox.write("migrations/version.json", format!("{{\"migrations\": {{\"001\": {{\"tables_created\": [\"notes\"]}}, \"002\": {{\"tables_created\": [\"more\"], \"views_created\": [\"{view}\"]}}}}}}"));
        };
        promise("other_ids");
        let failed = sandbox.dunlin(["up", "--format", "json"]).code(1).json();
        assert_eq!(failed["failure"]["code"], "not-created", "{failed}");
        assert!(failed["failure"]["message"].as_str().unwrap().contains("`other_ids`"), "{failed}");
        assert!(!database.has_table("more"), "taken back: {failed}");
        promise("more_ids");
        let done = sandbox.dunlin(["up", "--format", "json"]).success().json();
        assert_eq!(done["data"]["applied"][0]["version"], "002", "{done}");
        assert!(database.has_table("more"));
    }
}

for_each_engine! {
    /// `migration_timeout_seconds` of version.json ends a statement that runs longer.
    async fn the_time_limit_of_version_json_ends_a_statement(kind: TestEngine) {
        let database = kind.database();
        let sandbox = room(kind, &database);
        let long = kind.pick(
            "CREATE TABLE slow AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000000000) SELECT count(*) AS c FROM n;\n",
            "SELECT pg_sleep(60);\n",
            "SELECT SLEEP(60) FROM information_schema.SCHEMATA;\n",
        );
        sandbox.write("migrations/002_slow.sql", long);
        sandbox.write("migrations/version.json", "{\"migration_timeout_seconds\": 1}");
        let failed = sandbox.dunlin(["up", "--format", "json"]);
        assert!(failed.took < std::time::Duration::from_secs(20), "{:?}", failed.took);
        let failed = failed.code(1).json();
        assert_eq!(failed["failure"]["code"], "statement-timeout", "{failed}");
        assert!(!database.has_table("slow"));
    }
}

for_each_engine! {
    /// What cannot be taken back by inverses goes by the backup from before the run; without one, what was done stands.
    async fn what_has_no_inverse_goes_by_the_backup(kind: TestEngine) {
        let database = kind.database();
        let sandbox = room(kind, &database);
        fill(&database);
        hold(&database);
        let script = |header: &str| {
            // An UPDATE that has committed has no inverse.
            let rest = format!("UPDATE notes SET weight = 0;\n{}ALTER TABLE notes ADD COLUMN more int;\n", alone(kind));
            sandbox.write("migrations/002_more.sql", format!("{header}{rest}{FAILS}"));
        };
        script("-- dunlin: backup = true\n");
        let failed = sandbox.dunlin(["up", "--format", "json"]).code(1).json();
        let done = &failed["failure"]["done"];
        assert_eq!(done.as_array().map(Vec::len), Some(0), "{failed}");
        let undone = failed["failure"]["undone"].to_string();
        assert!(undone.contains("UPDATE notes SET weight = 0"), "{failed}");
        let heavy = "SELECT count(*) FROM notes WHERE weight <> 0";
        assert_ne!(database.scalar(heavy), "0");
        script("");
        let failed = sandbox.dunlin(["up", "--format", "json"]).code(1).json();
        let done = &failed["failure"]["done"];
        assert!(done.to_string().contains("UPDATE notes SET weight = 0"), "{failed}");
        let hints = failed["failure"]["hints"].to_string();
        assert!(hints.contains("there is no backup of this run"), "{failed}");
        assert_eq!(database.scalar(heavy), "0");
    }
}

for_each_engine! {
    /// Columns that got another name hold what they held, and a foreign key takes along the index that came with it:
    /// afterwards everything is as it was, and what is listed as undone is.
    async fn names_and_keys_are_taken_back(kind: TestEngine) {
        let database = kind.database();
        let sandbox = room(kind, &database);
        database.run("CREATE TABLE bird (id int NOT NULL PRIMARY KEY, v int)");
        database.run("INSERT INTO bird VALUES (1, 7)");
        database.run("CREATE TABLE nest (id int NOT NULL PRIMARY KEY, bird int, host int)");
        database.run("INSERT INTO nest VALUES (1, 1, 1)");
        if kind.is_mysql_family() {
            database.run("CREATE INDEX by_host ON nest (host)");
        }
        let schema = || sandbox.dunlin(["schema", "--as", "sql"]).success().stdout;
        let before = schema();
        let key = |name: &str, column: &str| match kind {
            TestEngine::Sqlite => String::new(),
            _ => format!("ALTER TABLE nest ADD CONSTRAINT {name} FOREIGN KEY ({column}) REFERENCES bird (id);\n"),
        };
        let concurrently = kind.pick("", "CONCURRENTLY ", "");
        let script = format!(
            "{}{}ALTER TABLE bird RENAME COLUMN v TO w;\nCREATE INDEX {concurrently}bird_w ON bird (w);\nSELECT nosuch FROM nowhere;\n",
            key("nest_bird", "bird"),
            key("by_host", "host"),
        );
        sandbox.write("migrations/002_more.sql", script);
        let failed = sandbox.dunlin(["up", "--format", "json"]).code(1).json();
        assert_eq!(schema(), before, "{failed}");
        assert_eq!(database.scalar("SELECT v FROM bird"), "7");
        let status = sandbox.dunlin(["status", "--format", "json"]).success().json();
        assert_eq!(status["data"]["migrations"][1]["state"], "failed", "{status}");
    }
}
