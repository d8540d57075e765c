//! Rows that an undo deletes by a statement that somebody wrote: those that the step did not write are archived first, and
//! come home.

use crate::Desk;
use dunlin_testkit::for_each_engine;
use dunlin_testkit::servers::Kind;

const INSERT: &str = "INSERT INTO settings (skey, svalue) VALUES ('model', 'gpt'), ('heat', '1')";
const DELETE: &str = "DELETE FROM settings WHERE skey NOT IN ('theme', 'ai_enabled')";
const ALIAS: &str = "DELETE FROM settings AS s WHERE s.skey NOT IN ('theme', 'ai_enabled')";
const ORDERED: &str =
    "DELETE FROM settings WHERE skey NOT IN ('theme', 'ai_enabled') ORDER BY skey LIMIT 20";
const RETURNING: &str =
    "DELETE FROM settings WHERE skey NOT IN ('theme', 'ai_enabled') RETURNING skey";

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
        let forms: &[&str] = match engine.kind() {
            Some(Kind::Mariadb) => &[DELETE, ORDERED],
            Some(Kind::Mysql) => &[DELETE, ALIAS, ORDERED],
            _ => &[DELETE, ALIAS, RETURNING],
        };
        for desk in forms.iter().flat_map(|form| desks(engine, INSERT, form)) {
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

for_each_engine! {
    /// The table has another name by the time when its rows go.
    async fn rows_that_go_under_another_name_come_home(engine: TestEngine) {
        let up = "ALTER TABLE box RENAME TO cache; INSERT INTO cache (k, v) VALUES ('a', '1'), ('b', '2')";
        let empties = engine.pick("DELETE FROM box", "TRUNCATE box", "TRUNCATE TABLE box");
        for goes in ["DELETE FROM box WHERE k <> 'own'", empties] {
            for desk in desks(engine, up, &format!("ALTER TABLE cache RENAME TO box; {goes}")) {
                let _ = desk.database.run("CREATE TABLE box (k varchar(20) NOT NULL PRIMARY KEY, v varchar(20))");
                let before = desk.picture();
                let _ = desk.dunlin("run rows").success();
                let _ = desk.dunlin("rollback rows").success();
                assert_eq!(desk.picture(), before);
                let _ = desk.dunlin("run rows").success();
                let _ = desk.database.run("INSERT INTO cache VALUES ('theirs', 'x')");
                let written = desk.picture();
                let (code, refused) = desk.json("rollback rows");
                assert_eq!(code, 1, "{refused:#}");
                assert!(refused["failure"].to_string().contains("cache (3 rows)"), "{refused:#}");
                assert_eq!(desk.picture(), written);
                there_and_back(&desk, &before, &written);
            }
        }
    }
}

for_each_engine! {
    /// The step gives the table another name after it has inserted its rows, so that the derived undo deletes them under the
    /// old one: what somebody has changed is asked for, also where the undo stands half way.
    async fn inserted_rows_whose_table_got_another_name_come_home(engine: TestEngine) {
        let desk = Desk::new(engine);
        let _ = desk.database.run("CREATE TABLE box (k varchar(20) NOT NULL PRIMARY KEY, v varchar(20))");
        let _ = desk.database.run("CREATE TABLE kin (k varchar(20))");
        let before = desk.picture();
        let plan = "name = \"rows\"\n[[phase]]\nid = \"rows\"\n[[phase.step]]\nid = \"rows\"\n\
             sql = \"INSERT INTO box (k, v) VALUES ('a', '1'), ('b', '2'); CREATE INDEX by_k ON kin (k); ALTER TABLE box RENAME TO cache\"\n";
        desk.sandbox.write("rows.plan.toml", plan);
        let _ = desk.dunlin("run rows").success();
        let _ = desk.database.run("UPDATE cache SET v = 'our own' WHERE k = 'b'");
        let written = desk.picture();
        let (code, refused) = desk.json("rollback rows");
        assert_eq!(code, 1, "{refused:#}");
        assert!(refused["failure"].to_string().contains("cache (k = 'b')"), "{refused:#}");
        assert_eq!(desk.picture(), written);
        there_and_back(&desk, &before, &written);
        if !engine.is_mysql_family() {
            return;
        }
        // Half way: the table has its old name again, and the next statement fails.
        let by_hand = "DROP INDEX by_k ON kin";
        let _ = desk.database.run(by_hand);
        let (code, stopped) = desk.json("rollback rows --discard-later");
        assert_eq!(code, 1, "{stopped:#}");
        let _ = desk.database.run("CREATE INDEX by_k ON kin (k)");
        let _ = desk.database.run("UPDATE box SET v = 'by now' WHERE k = 'a'");
        let (code, refused) = desk.json("rollback rows");
        assert_eq!(code, 1, "{refused:#}");
        assert!(refused["failure"].to_string().contains("cache (k = 'a')"), "{refused:#}");
        let _ = desk.dunlin("rollback rows --discard-later").success();
        assert_eq!(desk.picture(), before);
        let _ = desk.dunlin("run rows").success();
        let value = |key: &str| desk.database.scalar(&format!("SELECT v FROM cache WHERE k = '{key}'"));
        assert_eq!((value("a"), value("b")), ("by now".into(), "our own".into()));
    }
}

for_each_engine! {
    /// What a DELETE is about is made by the undo itself: it cannot be asked for before, and is taken back all the same.
    async fn rows_of_a_column_that_the_undo_makes_cannot_be_asked_for(engine: TestEngine) {
        let undo = "ALTER TABLE settings ADD COLUMN kind varchar(20); DELETE FROM settings WHERE kind = 'old'";
        for desk in desks(engine, INSERT, undo) {
            let _ = desk.dunlin("run rows").success();
            let back = desk.dunlin("rollback rows").success();
            let said = format!("{}{}", back.stdout, back.stderr);
            assert!(said.contains("cannot be asked before it does"), "{said}");
            assert_eq!(desk.database.scalar("SELECT count(*) FROM settings WHERE kind IS NULL"), "4");
        }
    }
}

for_each_engine! {
    only servers
    /// A table that the undo empties, and that stays.
    async fn rows_that_a_truncate_takes_come_home(engine: TestEngine) {
        let up = "INSERT INTO cache (k, v) VALUES ('a', '1'), ('b', '2')";
        for desk in desks(engine, up, "TRUNCATE TABLE cache") {
            let _ = desk.database.run("CREATE TABLE cache (k varchar(20) NOT NULL PRIMARY KEY, v varchar(20))");
            let before = desk.picture();
            let _ = desk.dunlin("run rows").success();
            // The step's own rows go without a word.
            let _ = desk.dunlin("rollback rows").success();
            assert_eq!(desk.picture(), before);
            let _ = desk.dunlin("run rows").success();
            let _ = desk.database.run("INSERT INTO cache VALUES ('theirs', 'x')");
            let written = desk.picture();
            let (code, refused) = desk.json("rollback rows");
            assert_eq!(code, 1, "{refused:#}");
            assert!(refused["failure"].to_string().contains("cache (3 rows)"), "{refused:#}");
            assert_eq!(desk.picture(), written);
            there_and_back(&desk, &before, &written);
        }
    }
}

for_each_engine! {
    /// What nobody can ask about is named before the plan begins, where it stands.
    async fn what_an_undo_destroys_unasked_is_named_by_the_check(engine: TestEngine) {
        let joined = engine.pick(
            "DELETE FROM settings AS s WHERE s.skey IN (SELECT skey FROM settings WHERE svalue = s.svalue)",
            "DELETE FROM settings USING settings AS s WHERE settings.skey = s.svalue",
            "DELETE settings, contacts FROM settings JOIN contacts ON settings.skey = contacts.phone",
        );
        let upsert = engine.pick(
            "UPDATE OR REPLACE settings SET skey = 'x' WHERE skey = 'model'",
            "INSERT INTO settings (skey) VALUES (lower('X')) ON CONFLICT (skey) DO UPDATE SET svalue = 'x'",
            "REPLACE INTO settings SET skey = 'model'",
        );
        let joined_update = engine.pick(
            "WITH x AS (SELECT 1) UPDATE settings SET svalue = 'x'",
            "UPDATE ONLY settings SET svalue = 'x'",
            "UPDATE contacts JOIN settings ON settings.skey = contacts.phone SET settings.svalue = 'x'",
        );
        let update = "UPDATE settings SET svalue = 'x' WHERE skey = 'model'";
        let own = "CREATE TABLE own (skey varchar(20)); UPDATE own SET skey = 'x'; DROP TABLE own";
        for (undo, named) in [(joined, true), (upsert, true), (joined_update, true), (update, false), (DELETE, false), (own, false)] {
            for (desk, place) in desks(engine, INSERT, undo).iter().zip(["rows.plan.toml:7: ", "migrations/001_rows.undo.sql:1: "]) {
                let (code, checked) = desk.json("plan check rows");
                assert_eq!(code, 0, "{checked:#}");
                let mut all = checked["data"]["checks"].as_array().unwrap().iter();
                let found = all.find(|one| one["code"] == "undo-not-asked" && one["outcome"] == "warned");
                assert_eq!(found.is_some(), named, "{undo}: {checked:#}");
                let head = undo.split_once(' ').unwrap().0;
                assert!(found.is_none_or(|found| {
                    let said = found["message"].as_str().unwrap();
                    said.starts_with(place) && said.contains(&format!("`{head}")) && said.contains("`rows`")
                }), "{undo}: {found:?}");
            }
        }
    }
}
