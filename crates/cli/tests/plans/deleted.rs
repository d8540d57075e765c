//! Rows that an undo deletes by a statement that somebody wrote: those that the step did not write are archived first, and
//! come home.

use crate::Desk;
use dunlin_testkit::for_each_engine;

const INSERT: &str = "INSERT INTO settings (skey, svalue) VALUES ('model', 'gpt'), ('heat', '1')";
const DELETE: &str = "DELETE FROM settings WHERE skey NOT IN ('theme', 'ai_enabled')";

/// As statements of a step, and as a migration that a step applies.
fn desks(engine: dunlin_testkit::TestEngine, up: &str, undo: &str) -> [Desk; 2] {
    let head = "name = \"rows\"\n[[phase]]\nid = \"rows\"\n[[phase.step]]\nid = \"rows\"\n";
    [false, true].map(|migrated| {
        let desk = Desk::new(engine);
        let step = match migrated {
            true => "migrate = { to = \"latest\" }\n".to_owned(),
            false => format!("sql = \"{up}\"\nundo = \"{undo}\"\n"),
        };
        if migrated {
            desk.sandbox
                .write("migrations/001_rows.sql", format!("{up};\n"));
            desk.sandbox
                .write("migrations/001_rows.undo.sql", format!("{undo};\n"));
        }
        desk.sandbox
            .write("rows.plan.toml", format!("{head}{step}"));
        desk
    })
}

/// After a rollback that was refused: with the word all of it goes, and comes home.
fn there_and_back(desk: &Desk, before: &[String], written: &[String]) {
    let _ = desk.dunlin("run rows").success();
    let (code, back) = desk.json("rollback rows --discard-later");
    assert_eq!(code, 0, "{back:#}");
    assert_eq!(desk.picture(), before);
    let (code, again) = desk.json("run rows");
    assert_eq!(code, 0, "{again:#}");
    assert_eq!(desk.picture(), written, "{again:#}");
}

for_each_engine! {
    /// As many rows as the step has written go without a word; more are asked for, and come home, the changed ones in the
    /// place of what the step inserts again.
    async fn rows_that_a_delete_takes_come_home(engine: TestEngine) {
        for desk in desks(engine, INSERT, DELETE) {
            let before = desk.picture();
            let _ = desk.dunlin("run rows").success();
            let _ = desk.dunlin("rollback rows").success();
            assert_eq!(desk.picture(), before);
            let _ = desk.dunlin("run rows").success();
            let _ = desk.database.run("INSERT INTO settings VALUES ('theirs', 'x'), ('more', NULL)");
            let _ = desk.database.run("UPDATE settings SET svalue = 'our own' WHERE skey = 'model'");
            let written = desk.picture();
            let (code, refused) = desk.json("rollback rows");
            assert_eq!(code, 1, "{refused:#}");
            assert!(refused["failure"].to_string().contains("settings (4 rows)"), "{refused:#}");
            assert_eq!(desk.picture(), written);
            there_and_back(&desk, &before, &written);
            // They lie in the archive just as they are: no word is needed.
            let _ = desk.dunlin("rollback rows").success();
            assert_eq!(desk.picture(), before);
            let _ = desk.dunlin("run rows").success();
            assert_eq!(desk.picture(), written);
        }
    }
}

for_each_engine! {
    /// Rows and a column of one table in one undo.
    async fn rows_and_values_of_one_table_come_home_together(engine: TestEngine) {
        let up = "ALTER TABLE settings ADD COLUMN kind varchar(20)";
        let undo = "DELETE FROM settings WHERE kind = 'new'; ALTER TABLE settings DROP COLUMN kind";
        for desk in desks(engine, up, undo) {
            let before = desk.picture();
            let _ = desk.dunlin("run rows").success();
            let _ = desk.database.run("INSERT INTO settings VALUES ('a', '1', 'new'), ('b', NULL, 'new')");
            let _ = desk.database.run("UPDATE settings SET kind = 'old' WHERE skey = 'theme'");
            let written = desk.picture();
            let (code, refused) = desk.json("rollback rows");
            assert_eq!(code, 1, "{refused:#}");
            let said = refused["failure"].to_string();
            assert!(said.contains("settings (2 rows)") && said.contains("settings.kind"), "{refused:#}");
            there_and_back(&desk, &before, &written);
        }
    }
}
