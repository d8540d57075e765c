//! Statements of a step that commit by themselves, where its undo destroys something: what others write meanwhile counts as the
//! step's own, and the check says so.

use crate::Desk;
use dunlin_testkit::{TestEngine, for_each_engine};

/// What the check says of it: of a step's statements, and of a migration's.
fn said(engine: TestEngine, up: &str, undo: &str) -> Vec<String> {
    let desks = Desk::both(engine, ("alone", ""), up, undo);
    let of = |desk: &Desk| {
        if engine.is_mysql_family() {
            let loose = "CREATE TABLE loose (skey varchar(20) NOT NULL PRIMARY KEY) ENGINE=MyISAM";
            let _ = desk.database.run(loose);
            let _ = desk
                .database
                .run("CREATE PROCEDURE fill() INSERT INTO settings VALUES ('model', 'x')");
        }
        let (code, checked) = desk.json("plan check alone");
        assert_eq!(code, 0, "{checked:#}");
        let all = checked["data"]["checks"].as_array().unwrap().iter();
        let found = all.filter(|one| one["code"] == "counts-as-own" && one["outcome"] == "warned");
        let found = found.map(|one| one["message"].as_str().unwrap().to_owned());
        found.collect::<Vec<_>>()
    };
    desks.iter().flat_map(of).collect()
}

for_each_engine! {
    async fn what_others_write_meanwhile_is_said_where_it_counts_as_the_steps_own(engine: TestEngine) {
        let rows = "DELETE FROM settings WHERE skey = 'model'";
        let insert = "INSERT INTO settings VALUES ('model', 'x')";
        assert_eq!(said(engine, insert, rows), [""; 0]);
        if !engine.is_mysql_family() {
            return;
        }
        let own = "commits by itself: what others write into";
        let wider = "ALTER TABLE settings MODIFY svalue varchar(250)";
        for (up, undo, table) in [
            ("CALL fill()", rows, "settings"),
            ("INSERT INTO loose VALUES ('model')", "DELETE FROM loose", "loose"),
            ("INSERT INTO loose VALUES ('model')", "TRUNCATE TABLE loose", "loose"),
            (wider, "UPDATE settings SET svalue = 'x'", "settings"),
            (wider, "REPLACE INTO settings VALUES ('theme', 'x')", "settings"),
            ("CALL fill()", "ALTER TABLE contacts DROP COLUMN name", "contacts"),
        ] {
            let head = up.split_once(' ').unwrap().0;
            let [of_step, of_migration] = &said(engine, up, undo)[..] else {
                panic!("{up}: {undo}");
            };
            for said in [of_step, of_migration] {
                assert!(said.contains(&format!("`{head}")), "{said}");
                assert!(said.contains(&format!("{own} {table} while")), "{said}");
            }
        }
        for (up, undo) in [
            // Nothing of it goes; nobody else knows of it; another table.
            ("CALL fill()", "INSERT INTO settings VALUES ('more', 'x')"),
            ("CREATE TABLE made (a int); CALL fill()", "DROP TABLE made"),
            (wider, "UPDATE contacts SET name = 'x'"),
            ("ALTER TABLE settings ADD COLUMN kind int", "ALTER TABLE settings DROP COLUMN kind"),
        ] {
            assert_eq!(said(engine, up, undo), [""; 0], "{up}: {undo}");
        }
    }
}
