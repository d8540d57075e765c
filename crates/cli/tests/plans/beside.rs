//! What others write beside what a step itself has written, in its rows and columns: nothing of it goes without a word; and
//! what an undo cannot bring back is said.

use crate::Desk;
use dunlin_testkit::{TestEngine, for_each_engine};

const SHOP: &str = "CREATE TABLE shop (id int NOT NULL PRIMARY KEY, name varchar(40), price decimal(10,2), note varchar(40), stock int DEFAULT 0)";
const INSERT: &str =
    "sql = \"INSERT INTO shop (id, name, price) VALUES (1, 'a', 9.50), (2, 'b', 3.25)\"\n";
const SWITCH: &str =
    "settings = { table = \"shop\", key = [\"id\"], rows = [{ id = 1, name = \"a\" }] }\n";

/// A shop, and a plan of one step.
fn shop(engine: TestEngine, step: &str) -> Desk {
    let desk = Desk::new(engine);
    let _ = desk.database.run(SHOP);
    desk.plan("beside", "", step);
    desk
}

/// A trigger that says how often it has run.
fn noisy(desk: &Desk) {
    let _ = desk.database.run("CREATE TABLE heard (id int)");
    let trigger = desk.engine.pick(
        "CREATE TRIGGER heard AFTER INSERT ON shop BEGIN INSERT INTO heard VALUES (1); END",
        "CREATE TRIGGER heard AFTER INSERT ON shop FOR EACH ROW EXECUTE FUNCTION hear()",
        "CREATE TRIGGER heard AFTER INSERT ON shop FOR EACH ROW INSERT INTO heard VALUES (1)",
    );
    if desk.engine.is_postgres() {
        let _ = desk.database.run(
            "CREATE FUNCTION hear() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO heard VALUES (1); RETURN NULL; END'",
        );
    }
    let _ = desk.database.run(trigger);
}

/// Refused without the word; gives what was said.
fn refused(desk: &Desk, theirs: &str) -> String {
    let written = desk.picture();
    let (code, refused) = desk.json("rollback beside");
    assert_eq!(code, 1, "{theirs}: {refused:#}");
    assert!(
        refused["failure"].to_string().contains("would destroy"),
        "{theirs}: {refused:#}"
    );
    assert_eq!(desk.picture(), written, "{theirs}");
    refused["failure"].to_string()
}

for_each_engine! {
    /// Also what a step gave no value to, or no number and no text, is somebody's once they have written it.
    async fn what_others_write_into_a_row_that_a_step_inserted_is_asked_for(engine: TestEngine) {
        for step in [INSERT, SWITCH] {
            let desk = shop(engine, step);
            let before = desk.picture();
            let _ = desk.dunlin("run beside").success();
            let _ = desk.dunlin("rollback beside").success();
            assert_eq!(desk.picture(), before);
            for (column, theirs) in [("note", "'theirs'"), ("stock", "4711"), ("price", "77.25"), ("name", "'theirs'")] {
                let desk = shop(engine, step);
                let _ = desk.dunlin("run beside").success();
                let write = format!("UPDATE shop SET {column} = {theirs} WHERE id = 1");
                let _ = desk.database.run(&write);
                let said = refused(&desk, &write);
                assert!(said.contains("shop ("), "{said}");
                let written = desk.picture();
                let _ = desk.dunlin("rollback beside --discard-later").success();
                assert_eq!(desk.picture(), before, "{write}");
                let (code, again) = desk.json("run beside");
                assert_eq!(code, 0, "{write}: {again:#}");
                assert_eq!(desk.picture(), written, "{write}: {again:#}");
            }
        }
    }

    /// Of a table with triggers no value can be told from the statement.
    async fn what_others_write_into_a_row_beside_a_trigger_is_asked_for(engine: TestEngine) {
        for step in [INSERT, SWITCH] {
            let desk = shop(engine, step);
            noisy(&desk);
            let _ = desk.dunlin("run beside").success();
            let _ = desk.dunlin("rollback beside").success();
            assert_eq!(desk.database.scalar("SELECT count(*) FROM shop"), "0");
            let _ = desk.dunlin("run beside").success();
            let write = "UPDATE shop SET note = 'theirs' WHERE id = 1";
            let _ = desk.database.run(write);
            let _ = refused(&desk, write);
            let _ = desk.dunlin("rollback beside --discard-later").success();
            assert_eq!(desk.database.scalar("SELECT count(*) FROM shop"), "0");
        }
    }

    /// A part of another table, a table of a module: their rows are not saved by themselves, so they do not go.
    async fn what_cannot_be_archived_does_not_go(engine: TestEngine) {
        // Parts of MySQL's tables are no tables, and it has no modules.
        if engine.is_mysql_family() {
            return;
        }
        let desk = Desk::new(engine);
        let (make, name) = match engine.is_postgres() {
            true => ("CREATE TABLE late PARTITION OF birds FOR VALUES FROM (10) TO (20)", "birds"),
            false => ("CREATE VIRTUAL TABLE late USING fts5(id)", "late"),
        };
        if engine.is_postgres() {
            let _ = desk.database.run("CREATE TABLE birds (id int NOT NULL PRIMARY KEY) PARTITION BY RANGE (id)");
        }
        desk.plan("beside", "", &format!("sql = \"{make}\"\nundo = \"DROP TABLE late\"\n"));
        let _ = desk.dunlin("run beside").success();
        let _ = desk.database.run(&format!("INSERT INTO {name} VALUES (11)"));
        for word in ["", " --discard-later"] {
            let (code, refused) = desk.json(&format!("rollback beside{word}"));
            assert_eq!(code, 1, "{refused:#}");
            assert_eq!(desk.database.scalar(&format!("SELECT count(*) FROM {name}")), "1", "{refused:#}");
        }
        let asked = desk.dunlin("checkpoint create base --tables late --format json").code(4).json();
        assert_eq!(asked["failure"]["code"], "checkpoint-shape", "{asked:#}");
        let all = desk.dunlin("checkpoint create all").success();
        assert_eq!(all.stderr.contains("keeps its rows: late"), !engine.is_postgres(), "{}", all.stderr);
        let _ = desk.database.run(&format!("DELETE FROM {name}"));
        let _ = desk.dunlin("rollback beside").success();
    }

    /// A trigger of the table writes into the rows that get back what they held: they do not hold all of it, which is said.
    async fn what_a_trigger_bends_while_a_backfill_is_taken_back_is_said(engine: TestEngine) {
        let desk = Desk::new(engine);
        let _ = desk.database.run("CREATE TABLE birds (id int NOT NULL PRIMARY KEY, name varchar(40), times int NOT NULL)");
        let _ = desk.database.run("INSERT INTO birds VALUES (1, 'a', 0), (2, 'b', 0)");
        if engine.is_postgres() {
            let _ = desk.database.run("CREATE FUNCTION again() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.times := OLD.times + 1; RETURN NEW; END'");
        }
        let _ = desk.database.run(engine.pick(
            "CREATE TRIGGER again AFTER UPDATE OF name ON birds BEGIN UPDATE birds SET times = OLD.times + 1 WHERE id = NEW.id; END",
            "CREATE TRIGGER again BEFORE UPDATE ON birds FOR EACH ROW EXECUTE FUNCTION again()",
            "CREATE TRIGGER again BEFORE UPDATE ON birds FOR EACH ROW SET NEW.times = OLD.times + 1",
        ));
        desk.plan("beside", "", "backfill = { table = \"birds\", set = \"name = 'filled'\", where = \"id > 0\" }\n");
        let _ = desk.dunlin("run beside").success();
        let back = desk.dunlin("rollback beside").success();
        assert!(back.stderr.contains("2 rows of birds were given back what they held, and do not hold all of it"), "{}", back.stderr);
        assert_eq!(desk.database.scalar("SELECT count(*) FROM birds WHERE name IN ('a', 'b')"), "2");
    }
}

for_each_engine! {
    only servers
    /// Every row got what a default made; that all of them hold one and the same is no sign that nobody has written it.
    /// (SQLite adds no such column to a table with rows.)
    async fn one_value_that_others_give_to_all_rows_of_a_new_column_is_asked_for(engine: TestEngine) {
        let default = engine.pick("", "timestamp DEFAULT now()", "timestamp NULL DEFAULT CURRENT_TIMESTAMP");
        let theirs = "'2001-02-03 04:05:06'";
        let column = format!("add_columns = {{ table = \"contacts\", columns = [\"made {default}\"] }}\n");
        let beside = format!("sql = \"ALTER TABLE contacts ADD COLUMN made {default}; INSERT INTO settings (skey, svalue) VALUES ('n', '1')\"\nundo = \"DELETE FROM settings WHERE skey = 'n'; ALTER TABLE contacts DROP COLUMN made\"\n");
        let all = format!("UPDATE contacts SET made = {theirs}");
        let one = format!("{all} WHERE id = 1");
        for (step, write) in [(&column, &all), (&column, &one), (&beside, &all), (&beside, &one)] {
            let desk = Desk::new(engine);
            desk.plan("beside", "", step);
            let before = desk.picture();
            let _ = desk.dunlin("run beside").success();
            let _ = desk.dunlin("rollback beside").success();
            assert_eq!(desk.picture(), before);
            let _ = desk.dunlin("run beside").success();
            let _ = desk.database.run(write);
            let _ = refused(&desk, write);
            let _ = desk.dunlin("rollback beside --discard-later").success();
            assert_eq!(desk.picture(), before);
            let _ = desk.dunlin("run beside").success();
            let home = desk.database.scalar("SELECT made FROM contacts WHERE id = 1");
            assert!(home.starts_with("2001-02-03"), "{write}: {home}");
        }
    }
}
