//! `undo = "restore"`: the tables of a step are kept around it, and merged back by key.

use crate::Desk;
use crate::crash::until_done;
use dunlin_testkit::TestEngine;
use dunlin_testkit::for_each_engine;
use std::time::{Duration, Instant};

const PLAN: &str = r#"
name = "tidy"

[[phase]]
id = "tidy"

  [[phase.step]]
  id = "rows"
  sql = "UPDATE contacts SET name = 'tidied' WHERE id <= 20; DELETE FROM contacts WHERE id IN (2, 30); INSERT INTO contacts (id, phone, name) VALUES (900, '+9', 'came');"
  undo = "restore"

  [[phase.step]]
  id = "switch"
  settings = { table = "settings", key = ["skey"], rows = [{ skey = "ai_enabled", svalue = "true" }, { skey = "new", svalue = "1" }] }
  undo = "restore"
"#;

/// Contacts with letters that go with them.
fn desk(engine: TestEngine) -> Desk {
    let desk = Desk::new(engine);
    for id in 4..=40 {
        let sql = format!("INSERT INTO contacts (id, phone, name) VALUES ({id}, '+{id}', 'n{id}')");
        let _ = desk.database.run(&sql);
    }
    let _ = desk.database.run(
        "CREATE TABLE letters (id bigint NOT NULL PRIMARY KEY, contact_id bigint NOT NULL, FOREIGN KEY (contact_id) REFERENCES contacts (id) ON DELETE CASCADE)",
    );
    let _ = desk
        .database
        .run("INSERT INTO letters VALUES (1, 2), (2, 3)");
    desk.sandbox.write("tidy.plan.toml", PLAN);
    desk
}

fn checkpoints(desk: &Desk) -> Vec<String> {
    let folder = desk.sandbox.project().join("backups/checkpoints");
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect()
}

/// What customers write once the phase is done: a row that the step changed, one that it removed, one of their own.
fn others_write(desk: &Desk) {
    for sql in [
        "UPDATE contacts SET name = 'theirs' WHERE id = 5",
        "INSERT INTO contacts (id, phone, name) VALUES (30, '+30', 'again'), (901, '+901', 'new')",
        "UPDATE settings SET svalue = 'maybe' WHERE skey = 'ai_enabled'",
    ] {
        let _ = desk.database.run(sql);
    }
}

fn name_of(desk: &Desk, id: i64) -> String {
    desk.database
        .scalar(&format!("SELECT name FROM contacts WHERE id = {id}"))
}

for_each_engine! {
    /// Rows that the step changed, removed, took along by a foreign key and brought are as they were; what others wrote
    /// since stays and is listed.
    async fn rows_come_back_and_later_writes_stay(engine: TestEngine) {
        let desk = desk(engine);
        let before = desk.picture();
        let _ = desk.dunlin("run tidy").success();
        assert_eq!(desk.database.scalar("SELECT count(*) FROM letters"), "1");
        let after = desk.picture();
        let _ = desk.dunlin("rollback tidy").success();
        assert_eq!(desk.picture(), before);
        let _ = desk.dunlin("run tidy").success();
        assert_eq!(desk.picture(), after);

        others_write(&desk);
        let back = desk.dunlin("rollback tidy").success();
        assert!(back.stderr.contains("left as they are: 2 rows of contacts"), "{}", back.stderr);
        assert!(back.stderr.contains("id = 5") && back.stderr.contains("id = 30"), "{}", back.stderr);
        assert!(back.stderr.contains("skey = ai_enabled"), "{}", back.stderr);
        assert_eq!(name_of(&desk, 5), "theirs");
        assert_eq!(name_of(&desk, 30), "again");
        assert_eq!(name_of(&desk, 901), "new");
        assert_eq!(name_of(&desk, 6), "n6");
        assert_eq!(name_of(&desk, 1), "Ayşe 🚚");
        assert_eq!(name_of(&desk, 2), "رضا");
        assert_eq!(desk.database.scalar("SELECT count(*) FROM contacts WHERE id = 900"), "0");
        assert_eq!(desk.database.scalar("SELECT count(*) FROM letters"), "2");
        assert_eq!(desk.database.scalar("SELECT svalue FROM settings WHERE skey = 'ai_enabled'"), "maybe");
        assert_eq!(desk.database.scalar("SELECT count(*) FROM settings WHERE skey = 'new'"), "0");
    }
}

for_each_engine! {
    /// SIGKILL at four moments of the way forward and of the way back, with a later write in between.
    async fn killed_while_it_keeps_and_merges(engine: TestEngine) {
        let calm = desk(engine);
        let clock = |line: &str| {
            let started = Instant::now();
            let _ = calm.dunlin(line).success();
            started.elapsed()
        };
        let forward = clock("run tidy");
        let after = calm.picture();
        others_write(&calm);
        let back = clock("rollback tidy");
        let merged = calm.picture();
        for kill in 0..4 {
            let desk = desk(engine);
            until_done(&desk, "run tidy", forward * (2 * kill + 1) / 8);
            assert_eq!(desk.picture(), after, "killed on the way forward, {kill}");
            others_write(&desk);
            until_done(&desk, "rollback tidy", back * (2 * kill + 1) / 8);
            assert_eq!(desk.picture(), merged, "killed on the way back, {kill}");
        }
    }
}

for_each_engine! {
    only servers
    /// Whoever writes while the step runs waits for it: what they write is theirs and no part of what comes back.
    async fn a_writer_in_the_middle_of_the_step_keeps_what_it_wrote(engine: TestEngine) {
        let desk = desk(engine);
        let sleep = engine.pick("", "SELECT pg_sleep(1.5)", "SELECT SLEEP(1.5)");
        desk.sandbox.write(
            "slow.plan.toml",
            format!("name = \"slow\"\n[[phase]]\nid = \"slow\"\n[[phase.step]]\nid = \"rows\"\nsql = \"UPDATE contacts SET name = 'slow' WHERE id = 7; {sleep};\"\nundo = \"restore\"\n"),
        );
        let running = desk.sandbox.spawn("run slow".split_whitespace());
        let started = Instant::now();
        while !checkpoints(&desk).iter().any(|name| name.ends_with(".checkpoint")) {
            assert!(started.elapsed() < Duration::from_secs(30), "no checkpoint");
            std::thread::sleep(Duration::from_millis(20));
        }
        // The step is about to run, or waits in its second statement.
        std::thread::sleep(Duration::from_millis(300));
        let _ = desk.database.run("UPDATE contacts SET name = 'meanwhile' WHERE id = 8");
        let _ = desk.database.run("INSERT INTO contacts (id, phone, name) VALUES (950, '+950', 'meanwhile')");
        let _ = running.wait().success();
        let _ = desk.dunlin("rollback slow").success();
        assert_eq!(name_of(&desk, 7), "n7");
        assert_eq!(name_of(&desk, 8), "meanwhile");
        assert_eq!(name_of(&desk, 950), "meanwhile");
    }
}

for_each_engine! {
    /// Refused before anything is touched: a table without a key, a step that changes more than rows, kinds that have none.
    async fn what_could_not_come_back_is_refused(engine: TestEngine) {
        let desk = desk(engine);
        let _ = desk.database.run("CREATE TABLE plain (a int)");
        let before = desk.picture();
        let write = |step: &str| {
            desk.sandbox.write(
                "no.plan.toml",
                format!("name = \"no\"\n[[phase]]\nid = \"no\"\n[[phase.step]]\nid = \"step\"\n{step}\nundo = \"restore\"\n"),
            );
        };
        for (step, code) in [
            ("sql = \"INSERT INTO plain VALUES (1)\"", "no-unique-key"),
            ("sql = \"ALTER TABLE plain ADD COLUMN b int; UPDATE contacts SET name = 'x'\"", "no-inverse"),
            ("add_columns = { table = \"contacts\", columns = [\"x INT\"] }", "no-inverse"),
        ] {
            write(step);
            let (exit, checked) = desk.json("plan check no");
            assert_eq!(exit, 4, "{step}: {checked:#}");
            assert!(checked.to_string().contains(code), "{step}: {checked:#}");
            let (exit, ran) = desk.json("run no");
            assert_eq!((exit, ran["failure"]["code"].as_str()), (4, Some(code)), "{step}: {ran:#}");
            assert_eq!(desk.picture(), before);
        }
        assert_eq!(checkpoints(&desk), Vec::<String>::new());
    }
}

for_each_engine! {
    /// What checks note on the disk goes when their phase is over, done or taken back.
    async fn notes_of_checks_go_with_their_phase(engine: TestEngine) {
        let desk = desk(engine);
        let check = "\n[[phase.check]]\nid = \"kept\"\nkept = { table = \"contacts\", except = [\"name\"] }\n";
        let plan = PLAN.replace("DELETE FROM contacts WHERE id IN (2, 30);", "") + check;
        desk.sandbox.write("tidy.plan.toml", plan.replace("+9', 'came'", "+9', 'came'), (900, '+9', 'twice'"));
        let notes = || std::fs::read_dir(desk.sandbox.project().join("backups/.dunlin-state")).unwrap().count();
        let _ = desk.dunlin("run tidy").code(1);
        assert_eq!(notes(), 0, "taken back");
        let stops = plan.replace("except = [\"name\"]", "except = []").replace("name = \"tidy\"", "name = \"tidy\"\non_failure = \"stop\"");
        desk.sandbox.write("tidy.plan.toml", stops);
        let _ = desk.dunlin("run tidy").code(1);
        assert_eq!(notes(), 1, "it goes on from here, and compares with it");
        let _ = desk.dunlin("rollback tidy").success();
        assert_eq!(notes(), 0, "taken back by a person");
        desk.sandbox.write("tidy.plan.toml", plan);
        let _ = desk.dunlin("run tidy").success();
        assert_eq!(notes(), 0, "done");
    }
}

for_each_engine! {
    /// A step that fails half way is rolled back with all that it did, and no checkpoint is left of it.
    async fn a_step_that_fails_leaves_nothing(engine: TestEngine) {
        let desk = desk(engine);
        let before = desk.picture();
        let failing = PLAN.replace("'+9', 'came')", "'+9', 'came'), (900, '+9', 'twice')");
        desk.sandbox.write("tidy.plan.toml", failing);
        let (exit, failed) = desk.json("run tidy");
        assert_eq!(exit, 1, "{failed:#}");
        assert_eq!(desk.picture(), before);
        assert_eq!(checkpoints(&desk), Vec::<String>::new());
        desk.sandbox.write("tidy.plan.toml", PLAN);
        let _ = desk.dunlin("run tidy").success();
        let _ = desk.dunlin("rollback tidy").success();
        assert_eq!(desk.picture(), before);
    }
}

for_each_engine! {
    /// Without the checkpoint, or with one of which a byte has changed, nothing is changed and that is said.
    async fn without_its_checkpoint_nothing_is_guessed(engine: TestEngine) {
        let desk = desk(engine);
        let _ = desk.dunlin("run tidy").success();
        let after = desk.picture();
        let folder = desk.sandbox.project().join("backups/checkpoints");
        for name in checkpoints(&desk).iter().filter(|name| name.starts_with("step-") && name.ends_with(".checkpoint")) {
            let mut bytes = std::fs::read(folder.join(name)).unwrap();
            bytes[60] ^= 1;
            std::fs::write(folder.join(name), bytes).unwrap();
        }
        let (exit, back) = desk.json("rollback tidy");
        assert_eq!(exit, 1, "{back:#}");
        assert!(back["failure"].to_string().contains("its hash differs"), "{back:#}");
        assert_eq!(desk.picture(), after);
    }
}

for_each_engine! {
    /// Its key went since, and others have rows of the same: which row is the step's cannot be told, so all of them stay.
    async fn rows_whose_key_is_none_any_more_are_left_alone(engine: TestEngine) {
        let desk = Desk::new(engine);
        for sql in [
            "CREATE TABLE birds (id int NOT NULL, name varchar(40), CONSTRAINT one PRIMARY KEY (id))",
            "INSERT INTO birds VALUES (1, 'a'), (2, 'b'), (3, 'c')",
        ] {
            let _ = desk.database.run(sql);
        }
        desk.plan("keyless", "", "sql = \"UPDATE birds SET name = 'step' WHERE id < 3\"\nundo = \"restore\"\n");
        let _ = desk.dunlin("run keyless").success();
        let drop = engine.pick(
            "CREATE TABLE others (id int NOT NULL, name varchar(40)); INSERT INTO others SELECT * FROM birds; DROP TABLE birds; \
             ALTER TABLE others RENAME TO birds",
            "ALTER TABLE birds DROP CONSTRAINT one",
            "ALTER TABLE birds DROP PRIMARY KEY",
        );
        let _ = desk.database.run(drop);
        let _ = desk.database.run("INSERT INTO birds VALUES (2, 'step')");
        let back = desk.dunlin("rollback keyless").success();
        assert!(back.stderr.contains("left as they are: 1 row of birds (id = 2)"), "{}", back.stderr);
        assert_eq!(desk.database.scalar("SELECT count(*) FROM birds WHERE id = 2 AND name = 'step'"), "2");
        assert_eq!(desk.database.scalar("SELECT name FROM birds WHERE id = 1"), "a");
    }
}

for_each_engine! {
    /// What is unique in a row that is to come back belongs to somebody's row by now: that one stays, the other does not
    /// come, nor what its place is taken by then; all the rest does.
    async fn rows_whose_place_others_took_are_left_alone(engine: TestEngine) {
        let desk = Desk::new(engine);
        let unique = engine.pick("UNIQUE ON CONFLICT REPLACE", "UNIQUE DEFERRABLE INITIALLY DEFERRED", "UNIQUE");
        for sql in [
            &format!("CREATE TABLE birds (id int NOT NULL PRIMARY KEY, ring varchar(10) {unique}, name varchar(40))"),
            "INSERT INTO birds VALUES (1, 'a', 'one'), (2, 'b', 'two'), (3, 'c', 'three'), (4, 'd', 'four'), (5, 'e', 'five')",
        ] {
            let _ = desk.database.run(sql);
        }
        desk.plan("rings", "", "sql = \"DELETE FROM birds WHERE id IN (1, 5); UPDATE birds SET ring = 'x', name = 'step' WHERE id = 2; \
            UPDATE birds SET ring = 'b' WHERE id = 3; UPDATE birds SET name = 'step' WHERE id = 4\"\nundo = \"restore\"\n");
        let _ = desk.dunlin("run rings").success();
        let _ = desk.database.run("INSERT INTO birds VALUES (8, 'c', 'theirs'), (9, 'a', 'theirs')");
        let back = desk.dunlin("rollback rings").success();
        let rows = desk.database.run("SELECT id, ring, name FROM birds ORDER BY id");
        let rows: Vec<String> = rows.into_iter().map(|row| row.into_iter().flatten().collect::<Vec<_>>().join(" ")).collect();
        assert_eq!(rows, ["2 x step", "3 b three", "4 d four", "5 e five", "8 c theirs", "9 a theirs"]);
        assert!(back.stderr.contains("3 rows of birds"), "{}", back.stderr);
        for id in 1..=3 {
            let said = format!("id = {id}: another row holds by now what is unique in it");
            assert!(back.stderr.contains(&said), "{}", back.stderr);
        }
    }
}
