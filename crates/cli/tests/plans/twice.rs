//! Steps that are taken back more than once, or half, and run again: what others have written in each round comes home.

use crate::Desk;
use crate::last_look::late;
use dunlin_testkit::{Gate, TestEngine, for_each_engine};
use std::time::{Duration, Instant};

const TABLE: &str =
    "CREATE TABLE notes (id int NOT NULL PRIMARY KEY, body varchar(40), weight int)";
const VALUES: &str = "UPDATE settings SET svalue = 'light' WHERE skey LIKE '%e%'";

/// A plan of one step that stays where it stops: as statements, and as a migration that a step applies.
fn desks(engine: TestEngine, up: &str, undo: &str) -> [Desk; 2] {
    Desk::both(engine, ("twice", "on_failure = \"stop\"\n"), up, undo)
}

/// What others have written is there.
fn is_there(desk: &Desk, all: &[&str], said: &serde_json::Value) {
    let rows = desk.picture();
    for theirs in all {
        let found = rows.iter().any(|row| row.contains(theirs));
        assert!(found, "{theirs}: {rows:#?} {said:#}");
    }
}

/// What stands half way back is not run before it has gone back, which it does when what stood in the way is mended.
fn goes_back_first(desk: &Desk, mend: &str, [before, done]: [&Vec<String>; 2]) {
    let (code, refused) = desk.json("run twice");
    assert_eq!(
        (code, refused["failure"]["code"].as_str()),
        (1, Some("not-taken-back")),
        "{refused:#}"
    );
    let _ = desk.database.run(mend);
    let (code, ran) = desk.json("run twice");
    assert_eq!(code, 0, "{ran:#}");
    assert_eq!(&desk.picture(), done);
    let _ = desk.dunlin("rollback twice").success();
    assert_eq!(&desk.picture(), before);
}

for_each_engine! {
    /// What was archived the first time cannot come home, others go on writing, and the step is taken back once more.
    async fn what_waits_from_the_round_before_comes_home_too(engine: TestEngine) {
        for (up, undo, mine, yours) in [
            (TABLE, "DROP TABLE notes", "INSERT INTO notes VALUES (70, 'mine', 1)", "INSERT INTO notes VALUES (71, 'yours', 2)"),
            (
                "ALTER TABLE contacts ADD COLUMN note varchar(40)",
                "ALTER TABLE contacts DROP COLUMN note",
                "UPDATE contacts SET note = 'mine' WHERE id = 1",
                "UPDATE contacts SET note = 'yours' WHERE id = 2",
            ),
            (
                "INSERT INTO settings VALUES ('new', 'x')",
                "DELETE FROM settings WHERE skey LIKE 'new%'",
                "INSERT INTO settings VALUES ('new.1', 'mine')",
                "INSERT INTO settings VALUES ('new.2', 'yours')",
            ),
            (
                VALUES,
                "UPDATE settings SET svalue = 'old' WHERE skey LIKE '%e%'",
                "UPDATE settings SET svalue = 'mine' WHERE skey = 'theme'",
                "UPDATE settings SET svalue = 'yours' WHERE skey = 'ai_enabled'",
            ),
        ] {
            for desk in desks(engine, up, undo) {
                let _ = desk.dunlin("run twice").success();
                let _ = desk.database.run(mine);
                let _ = desk.dunlin("rollback twice --discard-later").success();
                let folder = desk.sandbox.project().join("backups/checkpoints");
                let away = desk.sandbox.project().join("away");
                std::fs::rename(&folder, &away).unwrap();
                let (code, waits) = desk.json("run twice");
                assert_eq!((code, waits["failure"]["code"].as_str()), (1, Some("archive-waits")), "{up}: {waits:#}");
                let _ = desk.database.run(yours);
                let _ = desk.dunlin("rollback twice --discard-later").success();
                for file in std::fs::read_dir(&away).unwrap().flatten() {
                    std::fs::rename(file.path(), folder.join(file.file_name())).unwrap();
                }
                let (code, ran) = desk.json("run twice");
                assert_eq!(code, 0, "{up}: {ran:#}");
                is_there(&desk, &["mine", "yours"], &ran);
            }
        }
    }
}

for_each_engine! {
    only servers
    /// The undo has taken something away, and archived it, when it stops; others write before it goes on.
    async fn what_an_undo_took_before_it_stopped_comes_home_too(engine: TestEngine) {
        let up = format!("{TABLE}; CREATE INDEX by_phone ON contacts (phone)");
        let (drop, by_hand) = match engine.is_mysql_family() {
            true => ("DROP INDEX by_phone ON contacts", "DROP INDEX by_phone ON contacts"),
            false => ("DROP INDEX CONCURRENTLY by_phone", "DROP INDEX by_phone"),
        };
        for own in ["DELETE FROM notes", "DELETE FROM notes WHERE id > 0", "ALTER TABLE notes DROP COLUMN weight"] {
            for desk in desks(engine, &up, &format!("{own}; {drop}; DROP TABLE notes")) {
                let _ = desk.dunlin("run twice").success();
                let _ = desk.database.run("INSERT INTO notes VALUES (70, 'mine', 4711)");
                let _ = desk.database.run(by_hand);
                let (code, stopped) = desk.json("rollback twice --discard-later");
                assert_eq!(code, 1, "{own}: {stopped:#}");
                let _ = desk.database.run("CREATE INDEX by_phone ON contacts (phone)");
                let _ = desk.database.run("INSERT INTO notes (id, body) VALUES (71, 'yours')");
                let _ = desk.dunlin("rollback twice --discard-later").success();
                let (code, ran) = desk.json("run twice");
                assert_eq!(code, 0, "{own}: {ran:#}");
                is_there(&desk, &["mine", "4711", "yours"], &ran);
            }
        }
    }

    /// An undo stands half way, and the plan is run: what it was to take back is known as it was when the step began.
    async fn an_undo_that_stopped_half_way_ends_before_the_phase_runs_again(engine: TestEngine) {
        let desk = Desk::new(engine);
        let concurrently = engine.pick("", "CONCURRENTLY ", "");
        desk.sandbox.write(
            "twice.plan.toml",
            format!(
                "name = \"twice\"\n[[phase]]\nid = \"twice\"\n[[phase.step]]\nid = \"twice\"\n\
                 sql = \"CREATE TABLE IF NOT EXISTS one (id int PRIMARY KEY); CREATE INDEX {concurrently}by_phone ON contacts (phone); \
                 CREATE TABLE IF NOT EXISTS two (id int PRIMARY KEY)\"\n"
            ),
        );
        let before = desk.picture();
        let _ = desk.dunlin("run twice").success();
        let made = desk.picture();
        let _ = desk.database.run("CREATE TABLE held (id int, FOREIGN KEY (id) REFERENCES one (id))");
        let (code, stopped) = desk.json("rollback twice");
        assert_eq!(code, 1, "{stopped:#}");
        goes_back_first(&desk, "DROP TABLE held", [&before, &made]);
    }
}

for_each_engine! {
    /// Some batches of a backfill are taken back and one is not: the step is not done.
    async fn a_backfill_that_is_taken_back_in_part_is_not_done(engine: TestEngine) {
        let desk = Desk::new(engine);
        desk.sandbox.write(
            "twice.plan.toml",
            "name = \"twice\"\n[[phase]]\nid = \"twice\"\n[[phase.step]]\nid = \"twice\"\n\
             backfill = { table = \"contacts\", set = \"name = 'ours'\", batch = 1, pause = \"0s\", new_rows = \"none\" }\n",
        );
        let _ = desk.database.run("UPDATE contacts SET name = NULL WHERE id = 1");
        let _ = desk.database.run("UPDATE contacts SET name = 'third' WHERE id = 3");
        let before = desk.picture();
        let _ = desk.dunlin("run twice").success();
        let filled = desk.picture();
        let [refuse, allow] = match engine {
            TestEngine::Sqlite => [
                "CREATE TRIGGER named BEFORE UPDATE ON contacts WHEN NEW.name IS NULL BEGIN SELECT RAISE(ABORT, 'named'); END",
                "DROP TRIGGER named",
            ],
            engine if engine.is_postgres() => [
                "ALTER TABLE contacts ALTER COLUMN name SET NOT NULL",
                "ALTER TABLE contacts ALTER COLUMN name DROP NOT NULL",
            ],
            _ => [
                "ALTER TABLE contacts MODIFY name varchar(200) NOT NULL",
                "ALTER TABLE contacts MODIFY name varchar(200)",
            ],
        };
        let _ = desk.database.run(refuse);
        let (code, stopped) = desk.json("rollback twice");
        assert_eq!(code, 1, "{stopped:#}");
        assert_eq!(stopped["data"]["phases"][0]["steps"][0]["state"], "failed", "{stopped:#}");
        goes_back_first(&desk, allow, [&before, &filled]);
    }
}

for_each_engine! {
    only servers
    /// A step fails, and somebody has written into the table that it made, or the column that it added: committed, or
    /// committing when that is about to go by itself.
    async fn invariant_17_a_writer_in_the_moment_of_a_failure_loses_nothing(engine: TestEngine) {
        let kinds = [
            (TABLE, "SELECT * FROM notes", "INSERT INTO notes (id, body) VALUES (70, 'theirs')"),
            // Where a statement on such a table commits by itself.
            ("CREATE UNLOGGED TABLE notes (id int PRIMARY KEY, body varchar(40))", "SELECT * FROM notes", "INSERT INTO notes VALUES (70, 'theirs')"),
            ("ALTER TABLE contacts ADD COLUMN note varchar(40)", "SELECT note FROM contacts", "UPDATE contacts SET note = 'theirs' WHERE id = 1"),
            (
                "ALTER TABLE contacts ADD COLUMN note timestamp DEFAULT CURRENT_TIMESTAMP",
                "SELECT note FROM contacts",
                "UPDATE contacts SET note = '2001-02-03 04:05:06' WHERE id = 1",
            ),
        ];
        let all = kinds.into_iter().flat_map(|kind| [(false, kind), (true, kind)]);
        for (open, (up, is_made, writes)) in all {
            if up.contains("UNLOGGED") && !engine.is_postgres() {
                continue;
            }
            let desk = Desk::new(engine);
            let concurrently = engine.pick("", "CONCURRENTLY ", "");
            desk.sandbox.write(
                "twice.plan.toml",
                format!(
                    "name = \"twice\"\n[[phase]]\nid = \"twice\"\n[[phase.step]]\nid = \"twice\"\n\
                     sql = \"{up}; CREATE UNIQUE INDEX {concurrently}by_value ON settings (svalue)\"\n"
                ),
            );
            let _ = desk.database.run("UPDATE settings SET svalue = 'same'");
            let mut held = Gate::shut(engine, &desk.database);
            let holds = format!("BEGIN; UPDATE settings SET svalue = 'same'; {}; COMMIT", held.statement());
            std::thread::scope(|scope| {
                let holder = scope.spawn(|| desk.database.run(&holds));
                held.until_waited_for(&desk.database);
                let running = desk.sandbox.spawn(["run", "twice"]);
                let started = Instant::now();
                while desk.database.try_run(is_made).is_err() {
                    assert!(started.elapsed().as_secs() < 30, "there is no table");
                    std::thread::sleep(Duration::from_millis(20));
                }
                let writer = match open {
                    true => Some(late(engine, &desk.database, writes)),
                    false => {
                        let _ = desk.database.run(writes);
                        None
                    }
                };
                held.open();
                let ran = running.wait();
                assert_eq!(ran.code, Some(1), "{}{}", ran.stdout, ran.stderr);
                let _ = (holder.join().unwrap(), writer.map(|writer| writer.join().unwrap()));
            });
            let theirs = if writes.contains("theirs") { "theirs" } else { "2001-02-03 04:05:06" };
            is_there(&desk, &[theirs], &serde_json::Value::Null);
        }
    }
}
