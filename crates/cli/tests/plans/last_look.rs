//! From the look at what an undo takes away to the moment when it goes: whoever writes there meanwhile loses nothing.

use crate::Desk;
use dunlin_testkit::database::ask;
use dunlin_testkit::for_each_engine;
use dunlin_testkit::sandbox::Ran;
use dunlin_testkit::{Gate, TestDatabase, TestEngine};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// A statement that takes its time, and the question whether one is at work.
pub fn sleep(engine: TestEngine) -> (&'static str, &'static str) {
    match engine.is_mysql_family() {
        true => (
            "SELECT SLEEP(3)",
            "SELECT count(*) FROM information_schema.processlist WHERE info LIKE '%SELECT SLEEP(3)%' AND db = database() AND id <> connection_id()",
        ),
        false => (
            "SELECT pg_sleep(3)",
            "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%SELECT pg_sleep(3)%' AND state = 'active' AND \
             datname = current_database() AND pid <> pg_backend_pid()",
        ),
    }
}

/// Somebody who has written, and commits when somebody else waits for that; nobody else does within twenty seconds: then.
pub fn late(engine: TestEngine, database: &TestDatabase, sql: &str) -> JoinHandle<()> {
    let TestEngine::Server(kind) = engine else {
        unreachable!("only servers")
    };
    let mut gate = Gate::shut(engine, database);
    let sql = format!("BEGIN; {sql}; {}; COMMIT", gate.statement());
    let url = database.url().to_owned();
    let writer = {
        let url = url.clone();
        std::thread::spawn(move || drop(ask(&url, kind, &sql)))
    };
    gate.until_waited_for(database);
    let waits = match engine.is_postgres() {
        true => {
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        }
        false => {
            "SELECT count(*) FROM information_schema.processlist WHERE db = database() AND (state LIKE 'Waiting for%metadata lock' \
             OR id IN (SELECT trx_mysql_thread_id FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT'))"
        }
    };
    std::thread::spawn(move || {
        let started = Instant::now();
        let nobody = [[Some("0".to_owned())]];
        while ask(&url, kind, waits).is_ok_and(|found| found == nobody)
            && started.elapsed().as_secs() < 20
        {
            // Looked at more often than ten times a second, InnoDB's picture is never made anew.
            std::thread::sleep(Duration::from_millis(200));
        }
        gate.open();
        let _ = writer.join();
    })
}

for_each_engine! {
    only servers
    /// The undo changes the table itself before it drops it, and somebody writes in between: their rows come home, and
    /// with them what the undo's own change had taken from the others.
    async fn a_writer_after_the_undos_own_changes_loses_nothing(engine: TestEngine) {
        for own in ["ALTER TABLE notes DROP COLUMN weight", "DELETE FROM notes WHERE id = 1", "DELETE FROM notes WHERE id > 0"] {
            let desk = Desk::new(engine);
            // What stands before and after it has a transaction of its own.
            let apart = |name: &str| match engine.is_mysql_family() {
                true => format!("DROP INDEX {name} ON notes;"),
                false => format!("DROP INDEX CONCURRENTLY {name};"),
            };
            let undo = format!("{own}; {} {}; {} DROP TABLE notes", apart("one"), sleep(engine).0, apart("two"));
            desk.sandbox.write(
                "notes.plan.toml",
                format!(
                    "name = \"notes\"\n[[phase]]\nid = \"notes\"\n[[phase.step]]\nid = \"table\"\n\
                     sql = \"CREATE TABLE notes (id int PRIMARY KEY, body varchar(40), weight double precision); CREATE INDEX one ON \
                     notes (body); CREATE INDEX two ON notes (body, id); INSERT INTO notes VALUES (1, 'ours', 1.5)\"\n\
                     undo = \"{undo}\"\n"
                ),
            );
            let rows = || desk.database.run("SELECT id, body, weight FROM notes ORDER BY id");
            let _ = desk.dunlin("run notes").success();
            let _ = desk.database.run("INSERT INTO notes VALUES (70, 'mine', 0.5), (71, 'yours', 0.25), (72, NULL, NULL)");
            let _ = meanwhile(&desk, "rollback notes --discard-later", || {
                let _ = desk.database.run("INSERT INTO notes (id, body) VALUES (83, 'late')");
                let _ = desk.database.run("UPDATE notes SET body = 'late too' WHERE id = 71");
            }).success();
            let (code, again) = desk.json("run notes");
            assert_eq!(code, 0, "{own}: {again:#}");
            let text = |row: &[&str]| row.iter().map(|cell| (*cell != "-").then(|| (*cell).to_owned())).collect::<Vec<_>>();
            // What the undo deleted by itself before they wrote, they could not change.
            let changed = if own.ends_with("> 0") { "yours" } else { "late too" };
            let expected = [
                text(&["1", "ours", "1.5"]),
                text(&["70", "mine", "0.5"]),
                text(&["71", changed, "0.25"]),
                text(&["72", "-", "-"]),
                text(&["83", "late", "-"]),
            ];
            assert_eq!(rows(), expected, "{own}: {again:#}");
        }
    }
}

for_each_engine! {
    only servers
    /// Rows that a step has inserted: somebody changes one of them while the undo is about to delete it.
    async fn a_row_that_is_changed_while_it_goes_comes_home_as_it_was_last(engine: TestEngine) {
        let rows = "INSERT INTO settings VALUES ('model', 'gpt'), ('heat', '1')";
        let more = engine.pick("", "CREATE INDEX CONCURRENTLY by_value ON settings (svalue)", "CREATE TABLE more (id int PRIMARY KEY)");
        let steps = [
            "settings = { table = \"settings\", key = [\"skey\"], rows = [{ skey = \"model\", svalue = \"gpt\" }, { skey = \"heat\", svalue = \"1\" }] }".to_owned(),
            format!("sql = \"{rows}\""),
            format!("sql = \"{more}; {rows}\""),
        ];
        for step in steps {
            let desk = Desk::new(engine);
            desk.sandbox.write("on.plan.toml", format!("name = \"on\"\n[[phase]]\nid = \"on\"\n[[phase.step]]\nid = \"on\"\n{step}\n"));
            let value = |name: &str| desk.database.scalar(&format!("SELECT svalue FROM settings WHERE skey = '{name}'"));
            let _ = desk.dunlin("run on").success();
            let _ = desk.database.run("UPDATE settings SET svalue = 'our own' WHERE skey = 'model'");
            let writer = late(engine, &desk.database, "UPDATE settings SET svalue = 'again' WHERE skey = 'model'");
            let (code, back) = desk.json("rollback on --discard-later");
            writer.join().unwrap();
            assert_eq!(code, 0, "{step}: {back:#}");
            assert_eq!(desk.database.scalar("SELECT count(*) FROM settings"), "2", "{step}");
            let (code, again) = desk.json("run on");
            assert_eq!(code, 0, "{step}: {again:#}");
            assert_eq!((value("model").as_str(), value("heat").as_str()), ("again", "1"), "{step}: {again:#}");

            // Nobody had changed this one when it was looked at; without the word and with it, it stays.
            let _ = desk.database.run("UPDATE settings SET svalue = 'gpt' WHERE skey = 'model'");
            let writer = late(engine, &desk.database, "UPDATE settings SET svalue = 'late' WHERE skey = 'heat'");
            let (code, refused) = desk.json("rollback on");
            writer.join().unwrap();
            assert_eq!(code, 1, "{step}: {refused:#}");
            assert!(refused["failure"].to_string().contains("others write into settings"), "{step}: {refused:#}");
            assert_eq!(value("heat"), "late", "{step}");
            let _ = desk.dunlin("rollback on --discard-later").success();
            let _ = desk.dunlin("run on").success();
            assert_eq!((value("model").as_str(), value("heat").as_str()), ("gpt", "late"), "{step}");
        }
    }
}

for_each_engine! {
    only servers
    /// Values of a column: somebody writes one while the column is about to go.
    async fn a_value_that_is_written_while_its_column_goes_comes_home(engine: TestEngine) {
        let desk = Desk::new(engine);
        desk.sandbox.write(
            "columns.plan.toml",
            "name = \"columns\"\n[[phase]]\nid = \"columns\"\n[[phase.step]]\nid = \"columns\"\n\
             sql = \"ALTER TABLE contacts ADD COLUMN note varchar(40); ALTER TABLE contacts ADD COLUMN stars int DEFAULT 3\"\n",
        );
        let _ = desk.dunlin("run columns").success();
        let _ = desk.database.run("UPDATE contacts SET note = 'two', stars = 5 WHERE id = 2");
        let writer = late(engine, &desk.database, "UPDATE contacts SET note = 'late', stars = 1 WHERE id = 1");
        let (code, back) = desk.json("rollback columns --discard-later");
        writer.join().unwrap();
        assert_eq!(code, 0, "{back:#}");
        let (code, again) = desk.json("run columns");
        assert_eq!(code, 0, "{again:#}");
        let rows = desk.database.run("SELECT id, note, stars FROM contacts ORDER BY id");
        let text = |row: &[&str]| row.iter().map(|cell| (*cell != "-").then(|| (*cell).to_owned())).collect::<Vec<_>>();
        assert_eq!(rows, [text(&["1", "late", "1"]), text(&["2", "two", "5"]), text(&["3", "-", "3"])], "{again:#}");
    }
}

for_each_engine! {
    only servers
    /// The same without the word, also of a column whose rows got no constant.
    async fn a_value_that_is_written_while_its_column_goes_stops_the_undo(engine: TestEngine) {
        for (kind, value) in [("varchar(40)", "late"), ("timestamp DEFAULT CURRENT_TIMESTAMP", "2001-02-03 04:05:06")] {
            let desk = Desk::new(engine);
            desk.plan("columns", "", &format!("sql = \"ALTER TABLE contacts ADD COLUMN note {kind}\"\n"));
            let _ = desk.dunlin("run columns").success();
            let writer = late(engine, &desk.database, &format!("UPDATE contacts SET note = '{value}' WHERE id = 1"));
            let (code, refused) = desk.json("rollback columns");
            writer.join().unwrap();
            assert_eq!(code, 1, "{kind}: {refused:#}");
            assert!(refused["failure"].to_string().contains("others write into contacts"), "{kind}: {refused:#}");
            assert_eq!(desk.database.scalar("SELECT note FROM contacts WHERE id = 1"), value, "{kind}");
        }
    }
}

for_each_engine! {
    only servers
    /// The transactions of the database see for good what they have seen first: others' write is seen all the same.
    async fn a_late_write_is_seen_in_whatever_isolation(engine: TestEngine) {
        let (levels, make, drop) = match engine.is_postgres() {
            true => (&["read committed", "repeatable read", "serializable"][..], "INDEX one ON settings (svalue)", "DROP INDEX CONCURRENTLY one"),
            false => (&["default"][..], "INDEX one ON settings (svalue)", "DROP INDEX one ON settings"),
        };
        for level in levels {
            for (up, undo, write, found) in [
                ("CREATE TABLE notes (id int PRIMARY KEY)", "DROP TABLE notes", "INSERT INTO notes VALUES (70)", "SELECT id FROM notes"),
                (
                    "ALTER TABLE contacts ADD COLUMN stars int", "ALTER TABLE contacts DROP COLUMN stars",
                    "UPDATE contacts SET stars = 70 WHERE id = 1", "SELECT stars FROM contacts WHERE id = 1",
                ),
                (
                    "INSERT INTO settings VALUES ('new', 'x')", "DELETE FROM settings WHERE skey LIKE 'new%'",
                    "INSERT INTO settings VALUES ('new.1', '70')", "SELECT svalue FROM settings WHERE skey = 'new.1'",
                ),
            ] {
                let desk = Desk::new(engine);
                if engine.is_postgres() {
                    let name = desk.database.name();
                    let _ = desk.database.run(&format!("ALTER DATABASE {name} SET default_transaction_isolation = '{level}'"));
                }
                let table = if undo.contains("settings") { make.replace("settings (svalue)", "contacts (phone)") } else { make.into() };
                let drop = drop.replace("ON settings", if undo.contains("settings") { "ON contacts" } else { "ON settings" });
                desk.plan("late", "", &format!("sql = \"{up}; CREATE {table}\"\nundo = \"{drop}; {undo}\"\n"));
                let _ = desk.dunlin("run late").success();
                let writer = late(engine, &desk.database, write);
                let (code, refused) = desk.json("rollback late");
                writer.join().unwrap();
                assert_eq!(code, 1, "{level}: {undo}: {refused:#}");
                assert_eq!(desk.database.scalar(found), "70", "{level}: {undo}: {refused:#}");
            }
        }
    }
}

for_each_engine! {
    /// What only gets another name is not taken away; what gets another name and is dropped then, is.
    async fn a_table_goes_under_whatever_name(engine: TestEngine) {
        let desk = Desk::new(engine);
        let before = desk.picture();
        let step = |sql: &str, more: &str| desk.sandbox.write(
            "names.plan.toml",
            format!("name = \"names\"\n[[phase]]\nid = \"names\"\n[[phase.step]]\nid = \"names\"\nsql = \"{sql}\"\n{more}"),
        );
        let _ = step("ALTER TABLE settings RENAME TO options; ALTER TABLE contacts RENAME COLUMN name TO title", "");
        let _ = desk.dunlin("run names").success();
        assert_eq!(desk.database.scalar("SELECT count(*) FROM options"), "2");
        let _ = desk.dunlin("rollback names").success();
        assert_eq!(desk.picture(), before);

        let plan = "name = \"gone\"\n[[phase]]\nid = \"gone\"\n[[phase.step]]\nid = \"table\"\n\
             sql = \"CREATE TABLE notes (id int PRIMARY KEY, body varchar(40))\"\n\
             undo = \"ALTER TABLE notes RENAME TO old_notes; DROP TABLE old_notes\"\n";
        desk.sandbox.write("gone.plan.toml", plan);
        let _ = desk.dunlin("run gone").success();
        let _ = desk.database.run("INSERT INTO notes VALUES (1, 'theirs')");
        let written = desk.picture();
        let (code, refused) = desk.json("rollback gone");
        assert_eq!(code, 1, "{refused:#}");
        assert!(refused["failure"].to_string().contains("notes (1 rows)"), "{refused:#}");
        let _ = desk.dunlin("run gone").success();
        let _ = desk.dunlin("rollback gone --discard-later").success();
        assert_eq!(desk.picture(), before);
        let _ = desk.dunlin("run gone").success();
        assert_eq!(desk.picture(), written);
    }
}

/// A plan whose step makes a table, with an undo that gives it another name and does `ends` with it while others may write.
fn under_another_name(engine: TestEngine, ends: &str) -> Desk {
    let desk = Desk::new(engine);
    // What stands before and after it has a transaction of its own.
    let apart = |name: &str| match engine.is_mysql_family() {
        true => format!("ALTER TABLE contacts COMMENT '{name}';"),
        false => format!("DROP INDEX CONCURRENTLY {name};"),
    };
    let undo = format!(
        "ALTER TABLE notes RENAME TO old_notes; {} {}; {} {ends}",
        apart("one"),
        sleep(engine).0,
        apart("two")
    );
    desk.sandbox.write(
        "notes.plan.toml",
        format!(
            "name = \"notes\"\n[[phase]]\nid = \"notes\"\n[[phase.step]]\nid = \"table\"\n\
             sql = \"CREATE TABLE notes (id int PRIMARY KEY, body varchar(40)); CREATE INDEX one ON notes (body); CREATE INDEX two ON \
             notes (body, id); INSERT INTO notes VALUES (1, 'ours')\"\nundo = \"{undo}\"\n"
        ),
    );
    let _ = desk.dunlin("run notes").success();
    desk
}

/// Runs a rollback, and what somebody writes while it stands between two of its statements.
fn meanwhile(desk: &Desk, line: &str, write: impl FnOnce()) -> Ran {
    let (_, at_work) = sleep(desk.engine);
    let running = desk.sandbox.spawn(line.split_whitespace());
    let started = Instant::now();
    while desk.database.scalar(at_work) == "0" {
        assert!(
            started.elapsed().as_secs() < 30,
            "the undo does not come to its second statement"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
    write();
    running.wait()
}

/// Where the undo is one transaction nobody writes from its look on, under either name.
fn in_one_transaction(engine: TestEngine) {
    let desk = Desk::new(engine);
    desk.sandbox.write(
        "notes.plan.toml",
        format!(
            "name = \"notes\"\n[[phase]]\nid = \"notes\"\n[[phase.step]]\nid = \"table\"\n\
             sql = \"CREATE TABLE notes (id int PRIMARY KEY, body varchar(40))\"\n\
             undo = \"ALTER TABLE notes RENAME TO old_notes; {}; DROP TABLE old_notes\"\n",
            sleep(engine).0
        ),
    );
    let _ = desk.dunlin("run notes").success();
    let _ = desk.database.run("INSERT INTO notes VALUES (70, 'mine')");
    let insert = |table: &str| {
        desk.database
            .try_run(&format!("INSERT INTO {table} VALUES (83, 'late')"))
    };
    let _ = meanwhile(&desk, "rollback notes --discard-later", || {
        assert!(insert("old_notes").is_err());
        // It waits for the end, and hears that there is no such table.
        assert!(insert("notes").is_err());
    })
    .success();
    let _ = desk.dunlin("run notes").success();
    assert_eq!(desk.database.scalar("SELECT count(*) FROM notes"), "1");
}

for_each_engine! {
    only servers
    /// The undo gives the table another name, somebody writes into it under that, and only then it goes.
    async fn a_writer_between_another_name_and_the_end_loses_nothing(engine: TestEngine) {
        let text = |rows: &[(&str, &str)]| rows.iter().map(|(id, body)| vec![Some((*id).to_owned()), Some((*body).to_owned())]).collect::<Vec<_>>();
        for ends in ["DROP TABLE old_notes", "TRUNCATE TABLE old_notes", "DELETE FROM old_notes WHERE id > 0"] {
            let desk = under_another_name(engine, ends);
            let rows = |table: &str| desk.database.run(&format!("SELECT id, body FROM {table} ORDER BY id"));
            let _ = desk.database.run("INSERT INTO notes VALUES (70, 'mine'), (71, 'yours')");
            let _ = meanwhile(&desk, "rollback notes --discard-later", || {
                let _ = desk.database.run("INSERT INTO old_notes VALUES (83, 'late')");
                let _ = desk.database.run("UPDATE old_notes SET body = 'late too' WHERE id = 70");
                let _ = desk.database.run("DELETE FROM old_notes WHERE id = 71");
            }).success();
            let (code, again) = desk.json("run notes");
            assert_eq!(code, 0, "{ends}: {again:#}");
            assert_eq!(rows("notes"), text(&[("1", "ours"), ("70", "late too"), ("83", "late")]), "{ends}: {again:#}");

            // Nobody had written when it was looked at: such a write stops the undo half way, and it asks for the word.
            let desk = under_another_name(engine, ends);
            let rows = |table: &str| desk.database.run(&format!("SELECT id, body FROM {table} ORDER BY id"));
            let stopped = meanwhile(&desk, "rollback notes --format json", || {
                let _ = desk.database.run("INSERT INTO old_notes VALUES (83, 'late')");
            }).json();
            assert_eq!(stopped["exit_code"], 1, "{ends}: {stopped:#}");
            assert!(stopped.to_string().contains("others write into notes"), "{ends}: {stopped:#}");
            let written = text(&[("1", "ours"), ("83", "late")]);
            assert_eq!(rows("old_notes"), written, "{ends}");
            let (code, refused) = desk.json("rollback notes");
            assert_eq!(code, 1, "{ends}: {refused:#}");
            assert!(refused["failure"].to_string().contains("notes (2 rows)"), "{ends}: {refused:#}");
            assert_eq!(rows("old_notes"), written, "{ends}");
            let _ = desk.dunlin("rollback notes --discard-later").success();
            let (code, again) = desk.json("run notes");
            assert_eq!(code, 0, "{ends}: {again:#}");
            assert_eq!(rows("notes"), written, "{ends}: {again:#}");
        }
        // Elsewhere every statement is a transaction of its own.
        if !engine.is_mysql_family() {
            in_one_transaction(engine);
        }
    }
}

for_each_engine! {
    only servers
    /// Rows that a DELETE is about to take: somebody writes one more of them.
    async fn a_row_that_comes_while_others_are_deleted_is_not_lost(engine: TestEngine) {
        let desk = Desk::new(engine);
        desk.sandbox.write(
            "rows.plan.toml",
            "name = \"rows\"\n[[phase]]\nid = \"rows\"\n[[phase.step]]\nid = \"rows\"\n\
             sql = \"INSERT INTO settings VALUES ('model', 'gpt')\"\n\
             undo = \"DELETE FROM settings WHERE skey NOT IN ('theme', 'ai_enabled')\"\n",
        );
        let _ = desk.dunlin("run rows").success();
        let writer = late(engine, &desk.database, "INSERT INTO settings VALUES ('late', 'x')");
        let (code, refused) = desk.json("rollback rows");
        writer.join().unwrap();
        assert_eq!(code, 1, "{refused:#}");
        assert!(refused["failure"].to_string().contains("others write into settings"), "{refused:#}");
        assert_eq!(desk.database.scalar("SELECT count(*) FROM settings"), "4");
        let _ = desk.dunlin("run rows").success();
        let writer = late(engine, &desk.database, "INSERT INTO settings VALUES ('later', 'y')");
        let (code, back) = desk.json("rollback rows --discard-later");
        writer.join().unwrap();
        assert_eq!(code, 0, "{back:#}");
        assert_eq!(desk.database.scalar("SELECT count(*) FROM settings"), "2");
        let (code, again) = desk.json("run rows");
        assert_eq!(code, 0, "{again:#}");
        assert_eq!(desk.database.scalar("SELECT count(*) FROM settings"), "5", "{again:#}");
    }
}
