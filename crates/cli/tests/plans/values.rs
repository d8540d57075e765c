//! Values that an undo writes over by an UPDATE that somebody wrote: what others have written there is asked for, archived,
//! and comes home into its rows.

use crate::Desk;
use crate::last_look::late;
use dunlin_testkit::{Gate, Pause, TestEngine, for_each_engine};
use std::time::{Duration, Instant};

const LIGHT: &str =
    "UPDATE settings SET svalue = 'light' WHERE skey = 'theme' OR skey = 'ai_enabled'";
const OLD: &str = "UPDATE settings SET svalue = 'old' WHERE skey = 'theme' OR skey = 'ai_enabled'";
const FORWARD: &str = "UPDATE contacts SET name = 'forward' WHERE id = 1";

/// As statements of a step, and as a migration that a step applies.
fn desks(engine: TestEngine, up: &str, undo: &str) -> [Desk; 2] {
    Desk::both(engine, ("over", ""), up, undo)
}

fn setting(desk: &Desk, key: &str) -> String {
    let sql = format!("SELECT svalue FROM settings WHERE skey = '{key}'");
    desk.database.scalar(&sql)
}

fn settings(desk: &Desk) -> [String; 2] {
    [setting(desk, "theme"), setting(desk, "ai_enabled")]
}

/// Takes it back without a word, and runs it again.
fn untouched(desk: &Desk) {
    let _ = desk.dunlin("run over").success();
    let _ = desk.dunlin("rollback over").success();
    let _ = desk.dunlin("run over").success();
}

/// It is not taken back without the word.
fn refused(desk: &Desk, said: &str) {
    let written = desk.picture();
    let (code, refused) = desk.json("rollback over");
    assert_eq!(code, 1, "{refused:#}");
    assert!(refused["failure"].to_string().contains(said), "{refused:#}");
    assert_eq!(
        refused["failure"]
            .to_string()
            .matches("would destroy")
            .count(),
        1
    );
    assert_eq!(desk.picture(), written);
    let _ = desk.dunlin("run over").success();
}

/// Taken back with the word, and run again; gives what was said of what came home.
fn back_and_forth(desk: &Desk, meanwhile: impl FnOnce()) -> String {
    let (code, back) = desk.json("rollback over --discard-later");
    assert_eq!(code, 0, "{back:#}");
    meanwhile();
    forth(desk)
}

/// Runs it, and gives what was said.
fn forth(desk: &Desk) -> String {
    let ran = desk.dunlin("run over").success();
    format!("{}{}", ran.stdout, ran.stderr)
}

/// A step that was taken back over what others wrote runs again, and is killed between its two statements. `then`: what
/// happens before its session is ended.
fn killed_when_it_runs_again(
    engine: TestEngine,
    [first, last]: [&str; 2],
    then: impl FnOnce(&Desk),
) -> Desk {
    let drop = engine.pick(
        "",
        "DROP INDEX CONCURRENTLY by_value",
        "DROP INDEX by_value ON settings",
    );
    let make = "CREATE INDEX by_value ON settings (svalue)";
    let desk = Desk::new(engine);
    let pause = Pause::over(engine, &desk.database);
    let up = format!("{first}; {drop}; {}; {last}", pause.statement());
    let step = format!("sql = \"{up}\"\nundo = \"{OLD}; {make}\"\n");
    desk.plan("over", "", &step);
    let _ = desk.database.run(make);
    let _ = desk.dunlin("run over").success();
    let _ = desk.database.run("UPDATE settings SET svalue = 'theirs'");
    let _ = desk.dunlin("rollback over --discard-later").success();
    pause.begin();
    let running = desk.sandbox.spawn("run over".split_whitespace());
    pause.until_waited_for();
    running.signal("KILL");
    let _ = running.wait();
    then(&desk);
    pause.end();
    desk
}

/// Returns when an undo has written its archive.
fn until_archived(desk: &Desk) {
    let folder = desk.sandbox.project().join("backups/checkpoints");
    let made = || {
        let mut all = std::fs::read_dir(&folder).into_iter().flatten().flatten();
        all.any(|file| file.file_name().to_string_lossy().ends_with(".checkpoint"))
    };
    let started = Instant::now();
    while !made() {
        assert!(started.elapsed().as_secs() < 30, "no archive");
        std::thread::sleep(Duration::from_millis(20));
    }
}

for_each_engine! {
    async fn values_that_an_update_writes_over_come_home(engine: TestEngine) {
        for desk in desks(engine, LIGHT, OLD) {
            untouched(&desk);
            let _ = desk.database.run("UPDATE settings SET svalue = 'theirs' WHERE skey = 'theme'");
            refused(&desk, "values of settings.svalue (2 rows)");
            let (code, back) = desk.json("rollback over --discard-later");
            assert_eq!(code, 0, "{back:#}");
            assert_eq!(settings(&desk), ["old", "old"]);
            let said = forth(&desk);
            assert_eq!(settings(&desk), ["theirs", "light"], "{said}");
            assert!(said.contains("settings: 1 row came home, 1 row stood there already"), "{said}");
            // They lie in the archive just as they are: no word is needed.
            let _ = desk.dunlin("rollback over").success();
            assert_eq!(settings(&desk), ["old", "old"]);
            let _ = desk.dunlin("run over").success();
            assert_eq!(settings(&desk), ["theirs", "light"]);
            // And once more changed, once more archived.
            let _ = desk.database.run("UPDATE settings SET svalue = 'others' WHERE skey = 'ai_enabled'");
            refused(&desk, "values of settings.svalue (2 rows)");
            let _ = back_and_forth(&desk, || {});
            assert_eq!(settings(&desk), ["theirs", "others"]);
        }
    }

    /// Other columns of the row are nobody's loss, and come through.
    async fn what_an_update_does_not_touch_is_not_asked_for(engine: TestEngine) {
        let up = "UPDATE contacts SET name = 'forward' WHERE id < 3";
        let undo = "UPDATE contacts SET name = 'back' WHERE id < 3";
        for desk in desks(engine, up, undo) {
            let _ = desk.dunlin("run over").success();
            let _ = desk.database.run("UPDATE contacts SET phone = '+49' WHERE id = 1");
            let _ = desk.database.run("UPDATE contacts SET name = 'theirs' WHERE id = 3");
            let _ = desk.database.run("INSERT INTO contacts (id, phone) VALUES (4, '+4')");
            let _ = desk.dunlin("rollback over").success();
            assert_eq!(desk.database.scalar("SELECT count(*) FROM contacts WHERE name = 'back'"), "2");
            let _ = desk.dunlin("run over").success();
            let _ = desk.database.run("DELETE FROM contacts WHERE id < 3");
            let _ = desk.dunlin("rollback over").success();
        }
    }

    async fn a_row_that_comes_to_meet_the_condition_comes_home(engine: TestEngine) {
        let up = "UPDATE settings SET svalue = 'light' WHERE skey = 'theme'";
        let undo = "UPDATE settings SET svalue = 'dark' WHERE svalue = 'light'";
        for desk in desks(engine, up, undo) {
            untouched(&desk);
            let _ = desk.database.run("UPDATE settings SET svalue = 'light' WHERE skey = 'ai_enabled'");
            let _ = desk.database.run("INSERT INTO settings VALUES ('new', 'light')");
            refused(&desk, "values of settings.svalue (3 rows)");
            let _ = back_and_forth(&desk, || assert_eq!(settings(&desk), ["dark", "dark"]));
            assert_eq!(settings(&desk), ["light", "light"]);
            assert_eq!(setting(&desk, "new"), "light");
        }
    }

    /// What others write between the way back and the way forward is theirs, whatever the step does with it.
    async fn a_row_that_others_change_meanwhile_is_left_alone(engine: TestEngine) {
        let up = "UPDATE settings SET svalue = 'light' WHERE svalue <> 'mine'";
        for desk in desks(engine, up, OLD) {
            let _ = desk.database.run("INSERT INTO settings VALUES ('more', 'dark')");
            let _ = desk.dunlin("run over").success();
            let _ = desk.database.run("UPDATE settings SET svalue = 'theirs'");
            let said = back_and_forth(&desk, || {
                assert_eq!(settings(&desk), ["old", "old"]);
                let _ = desk.database.run("UPDATE settings SET svalue = 'mine' WHERE skey = 'theme'");
            });
            assert_eq!(settings(&desk), ["mine", "theirs"], "{said}");
            assert!(said.contains("settings: 1 row came home; 1 row left alone") && said.contains("skey = theme"), "{said}");
            // No value of the undo's.
            assert_eq!(setting(&desk, "more"), "light");
            // As the step leaves it, and changed before that all the same.
            let _ = desk.database.run("UPDATE settings SET svalue = 'again' WHERE skey <> 'more'");
            let said = back_and_forth(&desk, || {
                let _ = desk.database.run("UPDATE settings SET svalue = 'other' WHERE skey = 'theme'");
                let _ = desk.database.run("DELETE FROM settings WHERE skey = 'more'");
            });
            assert_eq!(settings(&desk), ["light", "again"], "{said}");
            assert!(said.contains("settings: 1 row came home; 1 row left alone"), "{said}");
        }
    }

    /// Without what was noted beside the archive nobody knows whose the values are by now.
    async fn what_nobody_knows_any_more_is_left_alone(engine: TestEngine) {
        for damaged in [false, true] {
            let [desk, _] = desks(engine, LIGHT, OLD);
            let _ = desk.dunlin("run over").success();
            let _ = desk.database.run("UPDATE settings SET svalue = 'theirs'");
            let _ = desk.dunlin("rollback over --discard-later").success();
            let found = std::process::Command::new("find").arg(desk.sandbox.project()).args(["-name", "*.since"]).output().unwrap();
            let found = String::from_utf8(found.stdout).unwrap();
            assert_eq!(found.lines().count(), 1, "{found}");
            match damaged {
                true => std::fs::write(found.trim(), "DUNLIN-SINCE 1\nTx").unwrap(),
                false => std::fs::remove_file(found.trim()).unwrap(),
            }
            let said = forth(&desk);
            assert_eq!(settings(&desk), ["light", "light"], "{said}");
            assert!(said.contains("settings: 0 rows came home; 2 rows left alone"), "{said}");
        }
    }

    /// Its steps ran when nothing was written down of what they left, or too much to be read: it is asked for.
    async fn what_is_not_written_down_is_asked_for(engine: TestEngine) {
        for desk in desks(engine, LIGHT, OLD) {
            let _ = desk.dunlin("run over").success();
            let found = desk.database.scalar("SELECT count(*) FROM dunlin_journal WHERE detail LIKE '%\"stands\"%'");
            assert_eq!(found, "1");
            let older = "UPDATE dunlin_journal SET detail = replace(detail, '\"stands\"', '\"unknown\"')";
            let _ = desk.database.run(older);
            refused(&desk, "values of settings.svalue (2 rows)");
            let _ = back_and_forth(&desk, || assert_eq!(settings(&desk), ["old", "old"]));
            assert_eq!(settings(&desk), ["light", "light"]);
        }
    }

    async fn values_of_a_table_with_another_name_come_home(engine: TestEngine) {
        let up = "ALTER TABLE box RENAME TO cache; UPDATE cache SET v = 'new' WHERE k <> 'own'";
        let undo = "ALTER TABLE cache RENAME TO box; UPDATE box SET v = 'old' WHERE k <> 'own'";
        for desk in desks(engine, up, undo) {
            let _ = desk.database.run("CREATE TABLE box (k varchar(20) NOT NULL PRIMARY KEY, v varchar(20))");
            let _ = desk.database.run("INSERT INTO box VALUES ('a', '1'), ('b', '2'), ('own', '3')");
            untouched(&desk);
            let _ = desk.database.run("UPDATE cache SET v = 'theirs' WHERE k = 'a'");
            refused(&desk, "values of cache.v (2 rows)");
            let value = |table: &str, key: &str| desk.database.scalar(&format!("SELECT v FROM {table} WHERE k = '{key}'"));
            let said = back_and_forth(&desk, || {
                assert_eq!([value("box", "a"), value("box", "b"), value("box", "own")], ["old", "old", "3"]);
            });
            assert_eq!([value("cache", "a"), value("cache", "b")], ["theirs", "new"], "{said}");
        }
    }

    /// Values, a column that goes and rows that go, of one table in one undo.
    async fn values_come_home_beside_a_column_and_rows(engine: TestEngine) {
        let up = "ALTER TABLE settings ADD COLUMN kind varchar(20); UPDATE settings SET svalue = 'light'; \
                  INSERT INTO settings VALUES ('new', 'x', NULL)";
        let column = "UPDATE settings SET svalue = 'old' WHERE skey <> 'new'; ALTER TABLE settings DROP COLUMN kind; \
                      DELETE FROM settings WHERE skey = 'new'";
        let rows = "UPDATE settings SET svalue = 'old' WHERE skey <> 'new'; DELETE FROM settings WHERE skey LIKE 'new%'; \
                    ALTER TABLE settings DROP COLUMN kind";
        for undo in [column, rows] {
            for desk in desks(engine, up, undo) {
                untouched(&desk);
                let _ = desk.database.run("UPDATE settings SET svalue = 'theirs' WHERE skey = 'theme'");
                let _ = desk.database.run("UPDATE settings SET kind = 'big' WHERE skey = 'ai_enabled'");
                if undo == rows {
                    let _ = desk.database.run("INSERT INTO settings VALUES ('newer', 'theirs', 'small')");
                }
                let written = desk.picture();
                refused(&desk, "values of settings.svalue");
                let said = back_and_forth(&desk, || assert_eq!(settings(&desk), ["old", "old"]));
                assert_eq!(desk.picture(), written, "{undo}: {said}");
            }
        }
    }

    async fn a_table_without_a_key_keeps_its_values(engine: TestEngine) {
        for desk in desks(engine, "UPDATE loose SET v = 'new'", "UPDATE loose SET v = 'old'") {
            let _ = desk.database.run("CREATE TABLE loose (k varchar(20), v varchar(20))");
            let _ = desk.database.run("INSERT INTO loose VALUES ('a', '1'), ('b', '2')");
            untouched(&desk);
            let _ = desk.database.run("UPDATE loose SET v = 'theirs' WHERE k = 'a'");
            refused(&desk, "values of loose.v (2 rows)");
            let written = desk.picture();
            let (code, refused) = desk.json("rollback over --discard-later");
            assert_eq!(code, 1, "{refused:#}");
            assert!(refused.to_string().contains("no key by which a value finds its row again"), "{refused:#}");
            assert_eq!(desk.picture(), written);
        }
    }

    /// Two migrations of one step, of which the later one changes what the undo of the other writes over.
    async fn migrations_of_one_step_are_told_apart(engine: TestEngine) {
        let [_, desk] = desks(engine, LIGHT, OLD);
        desk.sandbox.write("migrations/002_more.sql", "UPDATE settings SET svalue = 'lighter' WHERE skey = 'theme';\n");
        desk.sandbox.write("migrations/002_more.undo.sql", "UPDATE settings SET svalue = 'light' WHERE skey = 'theme';\n");
        untouched(&desk);
        let _ = desk.database.run("UPDATE settings SET svalue = 'theirs' WHERE skey = 'theme'");
        refused(&desk, "values of settings.svalue (1 rows)");
        let _ = back_and_forth(&desk, || assert_eq!(settings(&desk), ["old", "old"]));
        assert_eq!(settings(&desk), ["theirs", "light"]);
    }

    /// What the undo makes, or drops, is its own; what no later step has written that is not taken back, too.
    async fn what_is_no_loss_is_not_asked_for(engine: TestEngine) {
        let up = "CREATE TABLE words (id int NOT NULL PRIMARY KEY, word varchar(40)); INSERT INTO words VALUES (1, 'one')";
        for desk in desks(engine, up, "UPDATE words SET word = 'gone'; DROP TABLE words") {
            untouched(&desk);
        }
        let desk = Desk::new(engine);
        let plan = |later: &str| {
            let head = "name = \"over\"\n[[phase]]\nid = \"over\"\n[[phase.step]]\nid = \"over\"\n";
            let text = format!("{head}sql = \"{LIGHT}\"\nundo = \"{OLD}\"\n[[phase.step]]\nid = \"later\"\n{later}\n");
            let _ = desk.sandbox.write("over.plan.toml", text);
        };
        let stays = |sql: &str| plan(&format!("sql = \"{sql}\"\nundo = {{ none = \"it stays\" }}"));
        // What may have written there, and has not.
        stays("UPDATE settings SET svalue = 'x' WHERE 1 = 0");
        untouched(&desk);
        let _ = desk.dunlin("rollback over").success();
        plan("exec = { run = \"true\" }\nundo = { exec = \"true\" }");
        untouched(&desk);
        let _ = desk.dunlin("rollback over").success();
        // It has written there, and stays.
        stays("UPDATE settings SET svalue = 'x' WHERE skey = 'theme'");
        let _ = desk.dunlin("run over").success();
        refused(&desk, "values of settings.svalue (2 rows)");
    }
}

for_each_engine! {
    only servers
    /// Somebody has changed a row when the undo looks, and commits when it is about to be written over.
    async fn what_is_changed_while_the_undo_begins_is_not_written_over(engine: TestEngine) {
        for desk in desks(engine, LIGHT, OLD) {
            let _ = desk.dunlin("run over").success();
            let writer = late(engine, &desk.database, "UPDATE settings SET svalue = 'theirs' WHERE skey = 'theme'");
            let (code, refused) = desk.json("rollback over");
            writer.join().unwrap();
            assert_eq!(code, 1, "{refused:#}");
            assert!(refused["failure"].to_string().contains("others write into settings"), "{refused:#}");
            assert_eq!(settings(&desk), ["theirs", "light"]);
            let _ = desk.dunlin("run over").success();
            // Archived as it is when nobody else writes any more.
            let writer = late(engine, &desk.database, "UPDATE settings SET svalue = 'later' WHERE skey = 'theme'");
            let said = back_and_forth(&desk, || assert_eq!(settings(&desk), ["old", "old"]));
            writer.join().unwrap();
            assert_eq!(settings(&desk), ["later", "light"], "{said}");
            // What lies in an archive already does so no more.
            let writer = late(engine, &desk.database, "UPDATE settings SET svalue = 'last' WHERE skey = 'theme'");
            let (code, refused) = desk.json("rollback over");
            writer.join().unwrap();
            assert_eq!(code, 1, "{refused:#}");
            assert_eq!(settings(&desk), ["last", "light"], "{refused:#}");
        }
    }

    /// Somebody has changed a row when the step has ended, and commits when the values are about to come home.
    async fn what_is_changed_before_values_come_home_is_left_alone(engine: TestEngine) {
        let up = "UPDATE contacts SET name = 'forward' WHERE id = 1";
        for desk in desks(engine, up, OLD) {
            let _ = desk.dunlin("run over").success();
            let _ = desk.database.run("UPDATE settings SET svalue = 'theirs'");
            let _ = desk.dunlin("rollback over --discard-later").success();
            let writer = late(engine, &desk.database, "UPDATE settings SET svalue = 'since' WHERE skey = 'theme'");
            let said = forth(&desk);
            writer.join().unwrap();
            assert_eq!(settings(&desk), ["since", "theirs"], "{said}");
            assert!(said.contains("settings: 1 row came home; 1 row left alone"), "{said}");
        }
    }

    /// Others write into an archived row, in a column or a row that the step does not touch, and commit while it waits for them.
    async fn what_is_committed_while_the_step_waits_is_left_alone(engine: TestEngine) {
        let up = "UPDATE contacts SET name = 'forward' WHERE id = 1; UPDATE settings SET svalue = 'light' WHERE skey = 'theme'";
        for desk in desks(engine, up, OLD) {
            let _ = desk.dunlin("run over").success();
            let _ = desk.database.run("UPDATE settings SET svalue = 'theirs'");
            let _ = desk.dunlin("rollback over --discard-later").success();
            let writes = "UPDATE contacts SET phone = 'x' WHERE id = 1; UPDATE settings SET svalue = 'newer' WHERE skey = 'ai_enabled'";
            let writer = late(engine, &desk.database, writes);
            let said = forth(&desk);
            writer.join().unwrap();
            assert_eq!(settings(&desk), ["theirs", "newer"], "{said}");
            assert!(said.contains("settings: 1 row came home; 1 row left alone"), "{said}");
        }
        let up = "UPDATE settings SET svalue = 'light' WHERE skey = 'theme'; UPDATE contacts SET name = 'forward' WHERE id < 3";
        let undo = "UPDATE contacts SET name = 'back', phone = 'back' WHERE id < 3";
        for desk in desks(engine, up, undo) {
            let _ = desk.dunlin("run over").success();
            let _ = desk.database.run("UPDATE contacts SET phone = 'theirs'");
            let _ = desk.dunlin("rollback over --discard-later").success();
            let writes = "UPDATE settings SET svalue = 'x' WHERE skey = 'theme'; UPDATE contacts SET phone = 'newer' WHERE id = 1";
            let writer = late(engine, &desk.database, writes);
            let said = forth(&desk);
            writer.join().unwrap();
            let rows = desk.database.run("SELECT phone, name FROM contacts WHERE id < 3 ORDER BY id");
            let rows: Vec<_> = rows.iter().flatten().flatten().map(String::as_str).collect();
            assert_eq!(rows, ["newer", "forward", "theirs", "forward"], "{said}");
        }
    }

    /// Others write when the step has written and goes on, with a statement that commits by itself.
    async fn what_is_written_while_the_step_goes_on_is_left_alone(engine: TestEngine) {
        let desk = Desk::new(engine);
        let [make, drop] = match engine.is_mysql_family() {
            true => ["CREATE INDEX by_phone ON contacts (phone)", "DROP INDEX by_phone ON contacts"],
            false => ["CREATE INDEX CONCURRENTLY by_phone ON contacts (phone)", "DROP INDEX by_phone"],
        };
        desk.plan("over", "", &format!("sql = \"{LIGHT}; {make}\"\nundo = \"{OLD}; {drop}\"\n"));
        let _ = desk.dunlin("run over").success();
        let _ = desk.database.run("UPDATE settings SET svalue = 'theirs'");
        let _ = desk.dunlin("rollback over --discard-later").success();
        let mut gate = Gate::shut(engine, &desk.database);
        let holds = format!("BEGIN; UPDATE contacts SET phone = 'x' WHERE id = 1; {}; COMMIT", gate.statement());
        std::thread::scope(|scope| {
            let holder = scope.spawn(|| desk.database.run(&holds));
            gate.until_waited_for(&desk.database);
            let running = desk.sandbox.spawn("run over".split_whitespace());
            let started = Instant::now();
            while settings(&desk) != ["light", "light"] {
                assert!(started.elapsed().as_secs() < 30, "the step does not begin");
                std::thread::sleep(Duration::from_millis(20));
            }
            let _ = desk.database.run("UPDATE settings SET svalue = 'since' WHERE skey = 'theme'");
            gate.open();
            let ran = running.wait().success();
            let _ = holder.join().unwrap();
            assert_eq!(settings(&desk), ["since", "theirs"], "{}{}", ran.stdout, ran.stderr);
        });
    }

    /// As before, but it does not come to its commit: the run stops, and nothing is written until it is run again.
    async fn what_is_locked_when_values_come_home_stops_the_run(engine: TestEngine) {
        // Elsewhere they wait as long as the server says, too, which is most of a minute.
        if engine.is_mysql_family() {
            return;
        }
        let up = "UPDATE contacts SET name = 'forward' WHERE id = 1";
        for desk in desks(engine, up, OLD) {
            let _ = desk.dunlin("run over").success();
            let _ = desk.database.run("UPDATE settings SET svalue = 'theirs'");
            let _ = desk.dunlin("rollback over --discard-later").success();
            let toml = desk.sandbox.read("dunlin.toml");
            let toml = toml.replace("[database.app]\n", "[database.app]\nlock_patience = \"1s\"\n");
            assert!(toml.contains("patience"), "{toml}");
            desk.sandbox.write("dunlin.toml", toml);
            let mut gate = Gate::shut(engine, &desk.database);
            let holds = format!("BEGIN; UPDATE settings SET svalue = 'since' WHERE skey = 'theme'; {}; COMMIT", gate.statement());
            std::thread::scope(|scope| {
                let writer = scope.spawn(|| desk.database.run(&holds));
                gate.until_waited_for(&desk.database);
                let running = desk.sandbox.spawn("run over --format json --events events".split_whitespace());
                // The step is done and its values wait; then it is taken back, and waits itself.
                let _ = desk.sandbox.await_text("events", "\"down\"");
                assert_eq!(settings(&desk), ["old", "old"]);
                gate.open();
                let stopped = running.wait().code(1).json();
                assert_eq!(stopped["failure"]["code"], "archive-waits", "{stopped:#}");
                drop(writer.join().unwrap());
            });
            let said = forth(&desk);
            assert_eq!(settings(&desk), ["since", "theirs"], "{said}");
            assert!(said.contains("settings: 1 row came home; 1 row left alone"), "{said}");
        }
    }

    /// The step is killed between two of its statements, somebody writes then, and it goes on: theirs is not the step's own.
    async fn what_is_written_while_the_step_stands_half_way_is_left_alone(engine: TestEngine) {
        for theirs in ["", "theme"] {
            let desk = killed_when_it_runs_again(engine, [LIGHT, FORWARD], |desk| {
                assert_eq!(settings(desk), ["light", "light"]);
                let write = format!("UPDATE settings SET svalue = 'since' WHERE skey = '{theirs}'");
                let _ = desk.database.run(&write);
            });
            let said = forth(&desk);
            let theme = if theirs.is_empty() { "theirs" } else { "since" };
            assert_eq!(settings(&desk), [theme, "theirs"], "{said}");
        }
    }

    /// The step is killed half way while it runs again, and is taken back then: what waits comes home the next time.
    async fn what_waits_while_a_step_that_was_killed_is_taken_back_comes_home(engine: TestEngine) {
        let desk = killed_when_it_runs_again(engine, [FORWARD, LIGHT], |_| ());
        let _ = desk.dunlin("rollback over").success();
        assert_eq!(settings(&desk), ["old", "old"]);
        let said = forth(&desk);
        assert_eq!(settings(&desk), ["theirs", "theirs"], "{said}");
    }

    /// Killed when the archive is written and nothing else, and killed between two UPDATEs that commit by themselves.
    async fn an_undo_that_was_killed_loses_nothing(engine: TestEngine) {
        let make = "CREATE INDEX by_value ON settings (svalue)";
        let drop = engine.pick("", "DROP INDEX CONCURRENTLY by_value", "DROP INDEX by_value ON settings");
        for [word, killed] in [["--discard-later", "before"], ["--discard-later", "between"], ["", "between"]] {
            let desk = Desk::new(engine);
            let pause = Pause::over(engine, &desk.database);
            pause.begin();
            let undo = format!(
                "UPDATE settings SET svalue = 'old' WHERE skey = 'theme'; {drop}; {}; \
                 UPDATE settings SET svalue = 'older' WHERE skey = 'ai_enabled'",
                pause.statement()
            );
            desk.plan("over", "", &format!("sql = \"{make}; {LIGHT}\"\nundo = \"{undo}\"\n"));
            let _ = desk.dunlin("run over").success();
            let theirs = match word {
                "" => ["light", "light"],
                _ => {
                    let _ = desk.database.run("UPDATE settings SET svalue = 'theirs'");
                    ["theirs", "theirs"]
                }
            };
            let line = format!("rollback over {word}");
            let lock = "UPDATE contacts SET phone = 'x' WHERE id = 1; UPDATE settings SET skey = skey WHERE skey = 'theme'";
            let mut gate = Gate::shut(engine, &desk.database);
            let holds = format!("BEGIN; {lock}; {}; COMMIT", gate.statement());
            std::thread::scope(|scope| {
                let writer = (killed == "before").then(|| {
                    let writer = scope.spawn(|| desk.database.run(&holds));
                    gate.until_waited_for(&desk.database);
                    writer
                });
                let running = desk.sandbox.spawn(line.split_whitespace());
                match &writer {
                    Some(_) => until_archived(&desk),
                    None => {
                        pause.until_waited_for();
                        // Whoever only reads has not to wait for it.
                        let started = Instant::now();
                        assert_eq!(settings(&desk), ["old", theirs[1]], "{line}");
                        assert!(started.elapsed().as_secs() < 30, "{line}");
                    }
                }
                running.signal("KILL");
                let _ = running.wait();
                gate.open();
                let _ = writer.map(|writer| writer.join().unwrap());
            });
            assert_eq!(setting(&desk, "ai_enabled"), theirs[1], "{line}");
            pause.end();
            // What the undo has written itself is asked of nobody.
            let mut rounds = 0;
            while desk.json(&line).0 != 0 {
                rounds += 1;
                assert!(rounds < 5, "{line} does not come to its end: {:#}", desk.json(&line).1);
            }
            assert_eq!(settings(&desk), ["old", "older"], "{line}");
            let said = forth(&desk);
            assert_eq!(settings(&desk), theirs, "{line}, killed {killed}: {said}");
        }
    }

    /// The undo stops between two of its UPDATEs: what it has written itself is nobody's loss, what others write then is.
    async fn an_undo_that_stopped_half_way_asks_for_the_rest(engine: TestEngine) {
        let drop = engine.pick("", "DROP INDEX CONCURRENTLY by_value", "DROP INDEX by_value ON settings");
        let make = "CREATE INDEX by_value ON settings (svalue)";
        let undo = format!(
            "UPDATE settings SET svalue = 'old' WHERE skey = 'theme'; {drop}; UPDATE settings SET svalue = 'older' WHERE skey = 'ai_enabled'"
        );
        let up = format!("{make}; {LIGHT}");
        let desk = || {
            let [desk, _] = desks(engine, &up, &undo);
            let _ = desk.dunlin("run over").success();
            desk
        };
        let half = |desk: &Desk, line: &str| {
            let _ = desk.database.run(engine.pick("", "DROP INDEX by_value", "DROP INDEX by_value ON settings"));
            let (code, stopped) = desk.json(line);
            assert_eq!(code, 1, "{stopped:#}");
            let _ = desk.database.run(make);
        };
        let one = desk();
        half(&one, "rollback over");
        assert_eq!(settings(&one), ["old", "light"]);
        let (code, back) = one.json("rollback over");
        assert_eq!(code, 0, "{back:#}");
        assert_eq!(settings(&one), ["old", "older"]);

        let one = desk();
        let _ = one.database.run("UPDATE settings SET svalue = 'theirs' WHERE skey = 'theme'");
        half(&one, "rollback over --discard-later");
        assert_eq!(settings(&one), ["old", "light"]);
        let _ = one.database.run("UPDATE settings SET svalue = 'meanwhile' WHERE skey = 'ai_enabled'");
        let (code, refused) = one.json("rollback over");
        assert_eq!(code, 1, "{refused:#}");
        assert!(refused["failure"].to_string().contains("values of settings.svalue (1 rows)"), "{refused:#}");
        let said = back_and_forth(&one, || assert_eq!(settings(&one), ["old", "older"]));
        assert_eq!(settings(&one), ["theirs", "meanwhile"], "{said}");
    }
}
