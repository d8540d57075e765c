//! Migrations that fail: what is taken back, what others wrote and therefore stays, and what `version.json` promised.

use super::{fill, room};
use dunlin_testkit::{TestDatabase, TestEngine, for_each_engine};

/// A statement that fails at once.
const FAILS: &str = "INSERT INTO not_there VALUES (1);\n";

/// A script whose last statement waits until somebody else has written, then fails: the wait is for a row of `gate`.
fn slow_then_failing(kind: TestEngine) -> String {
    let wait = kind.pick("", "SELECT pg_sleep(3);\n", "SELECT SLEEP(3);\n");
    format!("{wait}{FAILS}")
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
    use dunlin_testkit::servers::Kind;

    /// Runs a migration that fails after a while, with somebody writing into what it made; gives what it said.
    fn failing(kind: Kind, script: &str, written: &str) -> (TestDatabase, serde_json::Value) {
        let kind = TestEngine::Server(kind);
        let database = kind.database();
        let sandbox = room(kind, &database);
        fill(&database);
        sandbox.write(
            "migrations/002_more.sql",
            format!("{script}{}", slow_then_failing(kind)),
        );
        let running = sandbox.spawn(["up", "--format", "json"]);
        if !written.is_empty() {
            write_meanwhile(&database, written);
        }
        let said = running.wait().code(1).json();
        (database, said)
    }

    fn column(kind: Kind) {
        let (script, written) = (
            "ALTER TABLE notes ADD COLUMN mark int NOT NULL DEFAULT 7;\n",
            "UPDATE notes SET mark = 8 WHERE id = 5",
        );
        let (database, said) = failing(kind, script, written);
        assert_eq!(
            database.scalar("SELECT mark FROM notes WHERE id = 5"),
            "8",
            "{said}"
        );
        assert!(
            said["failure"]["hints"]
                .to_string()
                .contains("holds values that the migration did not write"),
            "{said}"
        );
        // Nobody wrote: the column goes.
        let (database, said) = failing(kind, script, "");
        assert!(
            database.try_run("SELECT mark FROM notes").is_err(),
            "{said}"
        );
        assert!(
            said["failure"]["undone"]
                .to_string()
                .contains("ALTER TABLE notes ADD COLUMN mark"),
            "{said}"
        );
    }

    fn table(kind: Kind) {
        let script = "CREATE TABLE fresh (id int NOT NULL PRIMARY KEY);\nINSERT INTO fresh VALUES (1), (2);\nCREATE TABLE other (id int);\n";
        let (database, said) = failing(kind, script, "INSERT INTO fresh VALUES (3)");
        assert_eq!(database.scalar("SELECT count(*) FROM fresh"), "3", "{said}");
        assert!(
            said["failure"]["hints"]
                .to_string()
                .contains("holds rows that the migration did not write"),
            "{said}"
        );
        let (database, said) = failing(kind, script, "");
        assert!(!database.has_table("fresh"), "{said}");
        assert!(!database.has_table("other"), "{said}");
    }

    #[test]
    fn column_mariadb() {
        column(Kind::Mariadb);
    }

    #[test]
    fn column_mysql() {
        column(Kind::Mysql);
    }

    #[test]
    fn table_mariadb() {
        table(Kind::Mariadb);
    }

    #[test]
    fn table_mysql() {
        table(Kind::Mysql);
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

/// What cannot be taken back by inverses goes by the backup from before the run; without one, what was done stands.
fn what_has_no_inverse_goes_by_the_backup(kind: dunlin_testkit::servers::Kind) {
    let kind = TestEngine::Server(kind);
    let database = kind.database();
    let sandbox = room(kind, &database);
    fill(&database);
    let script = |header: &str| {
        // An UPDATE that has committed has no inverse.
        let rest = "UPDATE notes SET weight = 0;\nALTER TABLE notes ADD COLUMN more int;\n";
        sandbox.write("migrations/002_more.sql", format!("{header}{rest}{FAILS}"));
    };
    script("-- dunlin: backup = true\n");
    let failed = sandbox.dunlin(["up", "--format", "json"]).code(1).json();
    assert_eq!(
        failed["failure"]["done"].as_array().map(Vec::len),
        Some(0),
        "{failed}"
    );
    assert!(
        failed["failure"]["undone"]
            .to_string()
            .contains("UPDATE notes SET weight = 0"),
        "{failed}"
    );
    let heavy = "SELECT count(*) FROM notes WHERE weight <> 0";
    assert_ne!(database.scalar(heavy), "0");
    script("");
    let failed = sandbox.dunlin(["up", "--format", "json"]).code(1).json();
    assert_eq!(
        failed["failure"]["done"].as_array().map(Vec::len),
        Some(2),
        "{failed}"
    );
    assert!(
        failed["failure"]["hints"]
            .to_string()
            .contains("there is no backup of this run"),
        "{failed}"
    );
    assert_eq!(database.scalar(heavy), "0");
}

#[test]
fn what_has_no_inverse_goes_by_the_backup_mariadb() {
    what_has_no_inverse_goes_by_the_backup(dunlin_testkit::servers::Kind::Mariadb);
}

#[test]
fn what_has_no_inverse_goes_by_the_backup_mysql() {
    what_has_no_inverse_goes_by_the_backup(dunlin_testkit::servers::Kind::Mysql);
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
