//! A run that fails is taken back whole by its backup, unless others have written; and a restore that dies leaves a
//! database that nobody takes for whole.

use super::taken_back::write_meanwhile;
use super::trouble::noise;
use super::{files, fill, room};
use dunlin_testkit::sandbox::Sandbox;
use dunlin_testkit::{TestDatabase, TestEngine, for_each_engine};

/// The room with the setting, objects that a run may not trip over, one script that succeeds, and one that fails when
/// a part of it has been committed, which no inverse takes back.
fn failing(kind: TestEngine, database: &TestDatabase, on_failure: &str) -> Sandbox {
    let sandbox = room(kind, database);
    fill(database);
    database.run("CREATE TABLE orders (id int NOT NULL PRIMARY KEY)");
    database.run("CREATE VIEW titles AS SELECT id, title FROM notes WHERE id > 5");
    database.run(kind.pick(
        "CREATE TRIGGER heavier AFTER INSERT ON notes BEGIN UPDATE notes SET weight = 7 WHERE id = NEW.id; END",
        "CREATE FUNCTION heavier() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.weight = 7; RETURN NEW; END'; \
         CREATE TRIGGER heavier BEFORE INSERT ON notes FOR EACH ROW EXECUTE FUNCTION heavier()",
        "CREATE TRIGGER heavier BEFORE INSERT ON notes FOR EACH ROW SET NEW.weight = 7",
    ));
    let toml = sandbox.read("dunlin.toml");
    sandbox.write(
        "dunlin.toml",
        format!("{toml}on_failure = \"{on_failure}\"\nbackup = \"always\"\n"),
    );
    sandbox.write(
        "migrations/002_first.sql",
        "CREATE TABLE extra (id int NOT NULL PRIMARY KEY);\nUPDATE notes SET title = 'bent' WHERE id < 7;\n\
         INSERT INTO notes (id, title) VALUES (1000, 'by the run');\n",
    );
    let rest = kind.pick(
        "VACUUM;\n",
        "CREATE INDEX CONCURRENTLY notes_title ON notes (title);\nSELECT pg_sleep(2);\n",
        "ALTER TABLE notes ADD COLUMN more int;\nSELECT SLEEP(2);\n",
    );
    sandbox.write(
        "migrations/003_second.sql",
        format!("DELETE FROM notes WHERE id > 290 AND id < 300;\nINSERT INTO extra VALUES (1);\n{rest}INSERT INTO not_there VALUES (1);\n"),
    );
    sandbox
}

/// Runs `up`, which fails; somebody writes as soon as the first script has made its table. Gives what it said.
fn up_while(sandbox: &Sandbox, database: &TestDatabase, written: &str) -> serde_json::Value {
    let running = sandbox.spawn(["up", "--format", "json"]);
    if !written.is_empty() {
        write_meanwhile(database, "SELECT id FROM extra");
        write_meanwhile(database, written);
    }
    running.wait().code(1).json()
}

/// The digests of all tables but the journal's.
fn digests(sandbox: &Sandbox) -> Vec<serde_json::Value> {
    let said = sandbox
        .dunlin(["digest", "--format", "json"])
        .success()
        .json();
    let tables = said["data"]["tables"].as_array().unwrap().clone();
    let ours = |table: &serde_json::Value| !table["table"].as_str().unwrap().contains("dunlin_");
    tables.into_iter().filter(ours).collect()
}

/// The backup of what was replaced, as the failure names it.
fn safety(failed: &serde_json::Value) -> String {
    let hints = failed["failure"]["hints"].as_array().unwrap();
    let kept = hints.iter().find_map(|hint| {
        hint.as_str()?
            .strip_prefix("what was replaced is kept in the backup `")
    });
    let kept = kept.unwrap_or_else(|| panic!("no safety backup is named: {failed}"));
    kept.split('`').next().unwrap().to_owned()
}

/// Nothing is left that looks as if the run had not happened, and all that others wrote is there.
fn nothing_was_touched(failed: &serde_json::Value, database: &TestDatabase) {
    let hints = failed["failure"]["hints"].to_string();
    assert!(hints.contains("was not brought back"), "{failed}");
    assert!(hints.contains("--replace"), "{failed}");
    assert!(database.has_table("extra"));
    assert_eq!(
        database.scalar("SELECT count(*) FROM notes WHERE title = 'bent'"),
        "7"
    );
}

fn taken_back(kind: TestEngine, on_failure: &str) {
    let database = kind.database();
    let sandbox = failing(kind, &database, on_failure);
    let before = digests(&sandbox);
    let failed = up_while(&sandbox, &database, "");
    let undone = failed["failure"]["undone"].to_string();
    assert!(
        undone.contains("002 first") && undone.contains("by restoring"),
        "{failed}"
    );
    assert_eq!(failed["failure"]["done"], serde_json::json!([]), "{failed}");
    assert_eq!(failed["data"]["applied"], serde_json::json!([]), "{failed}");
    let hints = failed["failure"]["hints"].to_string();
    assert!(!hints.contains("goes on from"), "{failed}");
    assert!(!hints.contains("other rows"), "{failed}");
    assert!(!database.has_table("extra"));
    assert_eq!(digests(&sandbox), before);
    let status = sandbox
        .dunlin(["status", "--format", "json"])
        .success()
        .json();
    let lines = status["data"]["migrations"].as_array().unwrap();
    let states: Vec<_> = lines.iter().map(|line| line["state"].clone()).collect();
    assert_eq!(states, ["applied", "pending", "pending"], "{status}");
    // The state that was replaced is a backup, too.
    let kept = safety(&failed);
    let _ = sandbox
        .dunlin(["backup", "restore", &kept, "--replace"])
        .success();
    assert_eq!(database.scalar("SELECT count(*) FROM extra"), "1");
    let _ = sandbox
        .dunlin([
            "backup",
            "restore",
            failed["data"]["backup"].as_str().unwrap(),
            "--replace",
        ])
        .success();
    // Mended, it goes on as if nothing had happened.
    sandbox.write(
        "migrations/003_second.sql",
        "INSERT INTO extra VALUES (1);\n",
    );
    let _ = sandbox.dunlin(["up"]).success();
    assert_eq!(database.scalar("SELECT count(*) FROM extra"), "1");
}

for_each_engine! {
    /// What no inverse takes back goes by the backup, where it is proven that the database holds nothing else than the
    /// backup and what this run did.
    async fn undo_brings_the_backup_back_where_nobody_else_wrote(kind: TestEngine) {
        taken_back(kind, "undo");
    }

    async fn restore_brings_the_backup_back(kind: TestEngine) {
        taken_back(kind, "restore");
    }

    async fn undo_touches_nothing_where_others_wrote_into_a_table_of_the_run(kind: TestEngine) {
        let database = kind.database();
        let sandbox = failing(kind, &database, "undo");
        let failed = up_while(&sandbox, &database, "INSERT INTO notes (id, title) VALUES (2000, 'by somebody else')");
        nothing_was_touched(&failed, &database);
        let hints = failed["failure"]["hints"].to_string();
        assert!(hints.contains("make: notes"), "{failed}");
        assert_eq!(database.scalar("SELECT title FROM notes WHERE id = 2000"), "by somebody else");
        // The run's own backup, and no other.
        assert_eq!(files(&sandbox).len(), 2, "{:?}", files(&sandbox));
    }

    async fn undo_touches_nothing_where_others_wrote_elsewhere(kind: TestEngine) {
        let database = kind.database();
        let sandbox = failing(kind, &database, "undo");
        let failed = up_while(&sandbox, &database, "INSERT INTO orders VALUES (3)");
        nothing_was_touched(&failed, &database);
        assert!(failed["failure"]["hints"].to_string().contains("make: orders"), "{failed}");
        assert_eq!(database.scalar("SELECT count(*) FROM orders"), "1");
    }

    async fn undo_touches_nothing_where_others_changed_the_catalog(kind: TestEngine) {
        let database = kind.database();
        let sandbox = failing(kind, &database, "undo");
        let failed = up_while(&sandbox, &database, "CREATE VIEW numbers AS SELECT id FROM orders");
        nothing_was_touched(&failed, &database);
        assert!(failed["failure"]["hints"].to_string().contains("make: view numbers"), "{failed}");
        let _ = database.run("SELECT id FROM numbers");
    }

    /// What a script takes from the clock is new each time, and cannot be told from what others write.
    async fn undo_touches_nothing_where_a_script_asks_the_clock(kind: TestEngine) {
        let database = kind.database();
        let sandbox = failing(kind, &database, "undo");
        let now = kind.pick("strftime('%Y-%m-%d %H:%M:%f', 'now')", "CAST(clock_timestamp() AS text)", "CAST(NOW(6) AS char)");
        let script = sandbox.read("migrations/003_second.sql");
        sandbox.write("migrations/003_second.sql", format!("UPDATE notes SET title = {now} WHERE id = 9;\n{script}"));
        let failed = up_while(&sandbox, &database, "");
        nothing_was_touched(&failed, &database);
        assert!(failed["failure"]["hints"].to_string().contains("make: notes"), "{failed}");
    }

    async fn restore_keeps_what_others_wrote_into_a_table_of_the_run(kind: TestEngine) {
        let database = kind.database();
        let sandbox = failing(kind, &database, "restore");
        let failed = up_while(&sandbox, &database, "INSERT INTO notes (id, title) VALUES (2000, 'by somebody else')");
        let hints = failed["failure"]["hints"].to_string();
        assert!(hints.contains("other rows than the run alone would have made: notes"), "{failed}");
        assert!(!database.has_table("extra"));
        let there = || database.scalar("SELECT count(*) FROM notes WHERE id = 2000");
        assert_eq!(there(), "0");
        let _ = sandbox.dunlin(["backup", "restore", &safety(&failed), "--replace"]).success();
        assert_eq!(there(), "1");
    }

    async fn restore_touches_nothing_where_others_wrote_elsewhere(kind: TestEngine) {
        let database = kind.database();
        let sandbox = failing(kind, &database, "restore");
        let failed = up_while(&sandbox, &database, "INSERT INTO orders VALUES (3)");
        nothing_was_touched(&failed, &database);
        assert!(failed["failure"]["hints"].to_string().contains("others have written since: orders"), "{failed}");
        assert_eq!(database.scalar("SELECT count(*) FROM orders"), "1");
    }
}

/// A statement that may reach another database is not run again to compare: nothing is brought back, and it is said why.
fn what_names_its_database_is_not_run_again(kind: TestEngine) {
    let database = kind.database();
    let sandbox = failing(kind, &database, "undo");
    let script = sandbox.read("migrations/003_second.sql");
    let name = database.name();
    sandbox.write(
        "migrations/003_second.sql",
        format!("UPDATE `{name}` . notes SET weight = weight + 1 WHERE id = 9;\n{script}"),
    );
    let before: f64 = database
        .scalar("SELECT weight FROM notes WHERE id = 9")
        .parse()
        .unwrap();
    let failed = up_while(&sandbox, &database, "");
    nothing_was_touched(&failed, &database);
    let hints = failed["failure"]["hints"].to_string();
    assert!(hints.contains("it names the database"), "{failed}");
    let after: f64 = database
        .scalar("SELECT weight FROM notes WHERE id = 9")
        .parse()
        .unwrap();
    assert!((after - before - 1.0).abs() < 1e-9, "{before} {after}");
}

/// A backup of what is ours brings back what is ours, and nothing else is touched.
fn what_is_not_ours_stays(kind: TestEngine) {
    let database = kind.database();
    let sandbox = failing(kind, &database, "undo");
    database.run("DROP TRIGGER heavier");
    let toml = sandbox.read("dunlin.toml");
    sandbox.write(
        "dunlin.toml",
        format!("{toml}owns = [\"notes\", \"extra\", \"titles\"]\nborrows = [\"orders\"]\n"),
    );
    let failed = up_while(&sandbox, &database, "INSERT INTO orders VALUES (3)");
    assert!(
        failed["failure"]["undone"]
            .to_string()
            .contains("by restoring"),
        "{failed}"
    );
    assert!(!database.has_table("extra"));
    assert_eq!(database.scalar("SELECT count(*) FROM notes"), "300");
    assert_eq!(database.scalar("SELECT count(*) FROM orders"), "1");
    // What the run changed and the backup does not hold cannot come back with it.
    let script = sandbox.read("migrations/003_second.sql");
    sandbox.write(
        "migrations/003_second.sql",
        format!("INSERT INTO orders VALUES (4);\n{script}"),
    );
    let failed = up_while(&sandbox, &database, "");
    nothing_was_touched(&failed, &database);
    let hints = failed["failure"]["hints"].to_string();
    assert!(hints.contains("and not table orders"), "{failed}");
    assert_eq!(database.scalar("SELECT count(*) FROM orders"), "2");
}

mod within_one_database {
    use super::*;
    use dunlin_testkit::servers::Kind;

    #[test]
    fn what_names_its_database_is_not_run_again_mariadb() {
        what_names_its_database_is_not_run_again(TestEngine::Server(Kind::Mariadb));
    }

    #[test]
    fn what_names_its_database_is_not_run_again_mysql() {
        what_names_its_database_is_not_run_again(TestEngine::Server(Kind::Mysql));
    }

    #[test]
    fn what_is_not_ours_stays_mariadb() {
        what_is_not_ours_stays(TestEngine::Server(Kind::Mariadb));
    }

    #[test]
    fn what_is_not_ours_stays_mysql() {
        what_is_not_ours_stays(TestEngine::Server(Kind::Mysql));
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

for_each_engine! {
    /// A restore that is killed for good, at the moment at which it has just begun and at others: whatever is left is
    /// either whole, or nothing runs on it until the restore is repeated.
    async fn a_killed_restore_is_found_out_and_repeated(kind: TestEngine) {
        let database = kind.database();
        let sandbox = room(kind, &database);
        fill(&database);
        noise(&database, 6_000);
        let good = digests(&sandbox);
        let made = sandbox.dunlin(["backup", "create", "--format", "json"]).success().json();
        let path = made["data"]["items"][0]["path"].as_str().unwrap().to_owned();
        let restore = ["backup", "restore", path.as_str(), "--replace"];
        let took = sandbox.dunlin(restore).took;
        assert_eq!(digests(&sandbox), good);
        let mut marked = 0;
        for at in 0..8 {
            database.run("DELETE FROM notes WHERE id > 50");
            let bent = digests(&sandbox);
            let running = sandbox.spawn(restore);
            match at {
                // As soon as it has begun to drop.
                0 | 1 if kind != TestEngine::Sqlite => {
                    write_meanwhile(&database, "SELECT * FROM dunlin_restoring");
                }
                _ => std::thread::sleep(took * at / 8),
            }
            running.signal("KILL");
            drop(running);
            let up = sandbox.dunlin(["up", "--format", "json"]);
            match up.code {
                Some(0) => {
                    let now = digests(&sandbox);
                    assert!(now == bent || now == good, "neither before nor after: {now:?}");
                }
                _ => {
                    let refused = up.code(4).json();
                    assert_eq!(refused["failure"]["code"], "restore-interrupted", "{refused}");
                    marked += 1;
                }
            }
            let _ = sandbox.dunlin(restore).success();
            assert_eq!(digests(&sandbox), good);
            let _ = sandbox.dunlin(["up"]).success();
        }
        assert!(marked > 0 || kind == TestEngine::Sqlite, "no kill hit a restore at work");
    }

    /// Somebody writes into a table of the run without a pause while it is taken back: every row that was accepted is
    /// there afterwards, in the database or in the backup of what was replaced.
    async fn nobodys_rows_are_lost_whoever_writes_all_the_time(kind: TestEngine) {
        let database = kind.database();
        let sandbox = failing(kind, &database, "restore");
        let running = sandbox.spawn(["up", "--format", "json"]);
        write_meanwhile(&database, "SELECT id FROM extra");
        let done = std::sync::atomic::AtomicBool::new(false);
        let (failed, accepted) = std::thread::scope(|scope| {
            let writer = scope.spawn(|| {
                let mut accepted = vec![];
                for id in 5_000.. {
                    if done.load(std::sync::atomic::Ordering::Relaxed) {
                        break;
                    }
                    if database.try_run(&format!("INSERT INTO notes (id, title) VALUES ({id}, 'x')")).is_ok() {
                        accepted.push(id.to_string());
                    }
                    std::thread::sleep(std::time::Duration::from_millis(2));
                }
                accepted
            });
            let failed = running.wait();
            done.store(true, std::sync::atomic::Ordering::Relaxed);
            (failed.json(), writer.join().unwrap())
        });
        let there = || -> Vec<String> {
            let rows = database.run("SELECT id FROM notes WHERE id >= 5000");
            rows.into_iter().filter_map(|row| row.into_iter().next().flatten()).collect()
        };
        let mut kept = there();
        let hints = failed["failure"]["hints"].to_string();
        if let Some((_, rest)) = hints.split_once("kept in the backup `") {
            let path = rest.split('`').next().unwrap();
            let _ = sandbox.dunlin(["backup", "restore", path, "--replace"]).success();
            kept.extend(there());
        }
        let lost: Vec<_> = accepted.iter().filter(|id| !kept.contains(id)).collect();
        assert!(lost.is_empty(), "of {} rows these are gone: {lost:?}; {failed}", accepted.len());
    }
}
