//! What others change in a step's own rows is told from what the step has left, also where there are as many rows as it has
//! written: it is asked for, archived, and comes home.

use crate::Desk;
use crate::last_look::late;
use dunlin_testkit::{TestEngine, for_each_engine};

const TABLE: &str = "CREATE TABLE words (id int NOT NULL PRIMARY KEY, word varchar(40)); \
                     INSERT INTO words SELECT 1, skey FROM settings WHERE skey = 'theme'; \
                     INSERT INTO words SELECT 2, skey FROM settings WHERE skey = 'ai_enabled'";
const COLUMN: &str = "ALTER TABLE settings ADD COLUMN kind varchar(40); \
                      UPDATE settings SET kind = 'old' WHERE skey = 'theme'";
const ROWS: &str =
    "INSERT INTO settings (skey, svalue) SELECT 'new', svalue FROM settings WHERE skey = 'theme'";

/// As statements of a step, and as a migration that a step applies.
fn desks(engine: TestEngine, up: &str, undo: &str) -> [Desk; 2] {
    Desk::both(engine, ("left", ""), up, undo)
}

/// Untouched it goes without a word. Changed by `theirs`, which leaves as many rows, it does not; with the word all of it
/// goes, and comes home.
fn there_and_back(desk: &Desk, theirs: &[&str], said: &str) {
    let before = desk.picture();
    let _ = desk.dunlin("run left").success();
    let _ = desk.dunlin("rollback left").success();
    assert_eq!(desk.picture(), before);
    let _ = desk.dunlin("run left").success();
    for sql in theirs {
        let _ = desk.database.run(sql);
    }
    let written = desk.picture();
    let (code, refused) = desk.json("rollback left");
    assert_eq!(code, 1, "{refused:#}");
    assert!(refused["failure"].to_string().contains(said), "{refused:#}");
    assert_eq!(desk.picture(), written);
    let _ = desk.dunlin("run left").success();
    let (code, back) = desk.json("rollback left --discard-later");
    assert_eq!(code, 0, "{back:#}");
    assert_eq!(desk.picture(), before);
    let (code, again) = desk.json("run left");
    assert_eq!(code, 0, "{again:#}");
}

for_each_engine! {
    async fn rows_of_a_table_that_others_have_changed_are_not_the_steps(engine: TestEngine) {
        for desk in desks(engine, TABLE, "DROP TABLE words") {
            there_and_back(&desk, &["UPDATE words SET word = 'theirs' WHERE id = 1"], "words (2 rows)");
        }
        for desk in desks(engine, TABLE, "DROP TABLE words") {
            let theirs = ["DELETE FROM words WHERE id = 1", "INSERT INTO words VALUES (3, 'theirs')"];
            there_and_back(&desk, &theirs, "words (2 rows)");
            let words = desk.picture();
            assert!(words.iter().any(|row| row.contains("theirs")), "{words:#?}");
        }
    }

    async fn values_of_a_column_that_others_have_changed_are_not_the_steps(engine: TestEngine) {
        for desk in desks(engine, COLUMN, "ALTER TABLE settings DROP COLUMN kind") {
            // Other columns and rows without a value are nothing that goes.
            let _ = desk.dunlin("run left").success();
            let _ = desk.database.run("UPDATE settings SET svalue = 'x' WHERE skey = 'theme'");
            let _ = desk.database.run("INSERT INTO settings (skey, svalue) VALUES ('more', 'y')");
            let _ = desk.dunlin("rollback left").success();
            there_and_back(&desk, &["UPDATE settings SET kind = 'theirs' WHERE skey = 'theme'"], "settings.kind");
        }
    }

    async fn rows_that_a_delete_would_take_are_not_the_steps_where_others_stand_in_their_place(engine: TestEngine) {
        let undo = "DELETE FROM settings WHERE skey LIKE 'new%'";
        for desk in desks(engine, ROWS, undo) {
            let theirs = ["DELETE FROM settings WHERE skey = 'new'", "INSERT INTO settings VALUES ('newer', 'theirs')"];
            there_and_back(&desk, &theirs, "settings (1 rows)");
            let rows = desk.picture();
            assert!(rows.iter().any(|row| row.contains("newer")), "{rows:#?}");
        }
    }
}

for_each_engine! {
    only servers
    /// Somebody has changed a row when the undo looks, and commits when it is about to go.
    async fn what_is_changed_while_the_undo_begins_is_not_the_steps(engine: TestEngine) {
        let words = "UPDATE words SET word = 'theirs' WHERE id = 1";
        let setting = "UPDATE settings SET svalue = 'theirs' WHERE skey = 'new'";
        let kind = "UPDATE settings SET kind = 'theirs' WHERE skey = 'theme'";
        for (up, undo, theirs) in [
            (TABLE, "DROP TABLE words", words),
            (ROWS, "DELETE FROM settings WHERE skey LIKE 'new%'", setting),
            (COLUMN, "ALTER TABLE settings DROP COLUMN kind", kind),
        ] {
            let [desk, _] = desks(engine, up, undo);
            let _ = desk.dunlin("run left").success();
            let writer = late(engine, &desk.database, theirs);
            let (code, refused) = desk.json("rollback left");
            writer.join().unwrap();
            assert_eq!(code, 1, "{undo}: {refused:#}");
            assert!(refused["failure"].to_string().contains("others write into"), "{undo}: {refused:#}");
            let rows = desk.picture();
            assert!(rows.iter().any(|row| row.contains("theirs")), "{undo}: {rows:#?}");
        }
    }
}

for_each_engine! {
    /// What later steps of the plan have written, and leave as it is, is not others' doing.
    async fn what_a_later_step_leaves_goes_with_the_table(engine: TestEngine) {
        let desk = Desk::new(engine);
        let step = |id: &str, sql: &str| format!("[[phase.step]]\nid = \"{id}\"\nsql = \"{sql}\"\n");
        let plan = format!(
            "name = \"left\"\n[[phase]]\nid = \"left\"\n{}undo = \"DROP TABLE words\"\n{}undo = {{ none = \"the table goes\" }}\n",
            step("table", TABLE),
            step("words", "UPDATE words SET word = 'longer' WHERE id = 1"),
        );
        desk.sandbox.write("left.plan.toml", plan);
        let before = desk.picture();
        let _ = desk.dunlin("run left").success();
        let _ = desk.dunlin("rollback left").success();
        assert_eq!(desk.picture(), before);
    }
}

for_each_engine! {
    /// What cannot be read soon is not read at all: a step keeps its locks no longer for it.
    async fn a_look_that_takes_long_is_not_waited_for(engine: TestEngine) {
        let slow = engine.pick(
            "(WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 900000000) SELECT count(*) FROM n) > 0",
            "pg_sleep(60)::text = ''",
            "SLEEP(60) = 0",
        );
        let undo = format!("DELETE FROM settings WHERE skey = 'new' AND {slow}");
        for desk in desks(engine, ROWS, &undo) {
            let started = std::time::Instant::now();
            let (code, ran) = desk.json("run left");
            assert_eq!(code, 0, "{ran:#}");
            assert!(started.elapsed().as_secs() < 30, "{:?}", started.elapsed());
            let count = "SELECT count(*) FROM settings WHERE skey = 'new'";
            assert_eq!(desk.database.scalar(count), "1");
        }
    }
}

for_each_engine! {
    only servers
    /// The undo has changed the step's own rows itself when it stops half way: that is nobody else's doing.
    async fn an_undo_goes_on_after_its_own_changes(engine: TestEngine) {
        let apart = |name: &str| match engine.is_mysql_family() {
            true => format!("DROP INDEX {name} ON words"),
            false => format!("DROP INDEX CONCURRENTLY {name}"),
        };
        let up = format!("{TABLE}; CREATE INDEX by_word ON words (word)");
        for own in ["UPDATE words SET word = 'going' WHERE id = 1", "DELETE FROM words WHERE id = 1", "ALTER TABLE words ADD COLUMN more int"] {
            let undo = format!("{own}; {}; DROP TABLE words", apart("by_word"));
            for desk in desks(engine, &up, &undo) {
                let before = desk.picture();
                let _ = desk.dunlin("run left").success();
                // What keeps it from its last statement.
                let _ = desk.database.run("CREATE TABLE held (id int, FOREIGN KEY (id) REFERENCES words (id))");
                let (code, stopped) = desk.json("rollback left");
                assert_eq!(code, 1, "{own}: {stopped:#}");
                let _ = desk.database.run("DROP TABLE held");
                let (code, back) = desk.json("rollback left");
                assert_eq!(code, 0, "{own}: {back:#}");
                assert_eq!(desk.picture(), before, "{own}");
            }
        }
    }
}

for_each_engine! {
    /// Rows that stood there before the step are not its own, however many it has put elsewhere.
    async fn rows_that_were_there_before_the_step_are_asked_for(engine: TestEngine) {
        let up = "INSERT INTO contacts (id, phone) VALUES (11, '1'), (12, '2'), (13, '3'), (14, '4'); INSERT INTO settings VALUES ('new', 'x')";
        let empty = engine.pick("DELETE FROM settings", "TRUNCATE settings", "TRUNCATE settings");
        for all in ["DELETE FROM settings", empty, "DELETE FROM settings WHERE skey < 'zz'"] {
            let undo = format!("DELETE FROM contacts WHERE id > 10; {all}");
            for desk in desks(engine, up, &undo) {
                let before = desk.picture();
                let _ = desk.dunlin("run left").success();
                let (code, refused) = desk.json("rollback left");
                assert_eq!(code, 1, "{all}: {refused:#}");
                assert!(refused["failure"].to_string().contains("settings (3 rows)"), "{all}: {refused:#}");
                let written = desk.picture();
                assert!(before.iter().all(|row| written.contains(row)), "{all}: {written:#?}");
            }
        }
    }
}
