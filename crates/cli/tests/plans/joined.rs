//! Rows and values that an undo which somebody wrote finds by other tables, or by the keys that it gives: what others have
//! written there is asked for, archived, and comes home.

use crate::Desk;
use dunlin_testkit::{TestEngine, for_each_engine};

const LIGHT: &str = "UPDATE settings SET svalue = 'light' WHERE skey <> 'more'";
const BY_QUERY: &str = "UPDATE settings SET svalue = 'old' WHERE skey IN (SELECT skey FROM chosen)";

/// As statements of a step, and as a migration that a step applies; beside a table that names rows of another, and a row that
/// it does not name.
fn desks(engine: TestEngine, up: &str, undo: &str) -> [Desk; 2] {
    let desks = Desk::both(engine, ("over", ""), up, undo);
    for desk in &desks {
        for sql in [
            "CREATE TABLE chosen (skey varchar(60) NOT NULL PRIMARY KEY, old varchar(20))",
            "INSERT INTO chosen VALUES ('theme', 'old'), ('ai_enabled', 'old')",
            "INSERT INTO settings VALUES ('more', 'x')",
        ] {
            let _ = desk.database.run(sql);
        }
    }
    desks
}

fn settings(desk: &Desk) -> [String; 3] {
    ["theme", "ai_enabled", "more"].map(|key| {
        let sql = format!("SELECT svalue FROM settings WHERE skey = '{key}'");
        desk.database.scalar(&sql)
    })
}

/// It is asked for: the check has nothing to name.
fn is_asked(desk: &Desk) {
    let (_, checked) = desk.json("plan check over");
    assert!(
        !checked.to_string().contains("undo-not-asked"),
        "{checked:#}"
    );
}

/// Its own goes without a word, whatever others write beside it.
fn untouched(desk: &Desk) {
    is_asked(desk);
    let _ = desk.dunlin("run over").success();
    let _ = desk
        .database
        .run("UPDATE settings SET svalue = 'y' WHERE skey = 'more'");
    let _ = desk.dunlin("rollback over").success();
    assert_eq!(settings(desk), ["old", "old", "y"]);
    let _ = desk.dunlin("run over").success();
}

/// It is not taken back without the word.
fn refused(desk: &Desk, said: &str) {
    let written = desk.picture();
    let (code, refused) = desk.json("rollback over");
    assert_eq!(code, 1, "{refused:#}");
    assert!(refused["failure"].to_string().contains(said), "{refused:#}");
    assert_eq!(desk.picture(), written);
    let _ = desk.dunlin("run over").success();
}

/// Others write over a value, which is asked for by these words, and comes home.
fn values_come_home(desk: &Desk, said: &str) {
    untouched(desk);
    let _ = desk
        .database
        .run("UPDATE settings SET svalue = 'theirs' WHERE skey = 'theme'");
    refused(desk, said);
    let (code, back) = desk.json("rollback over --discard-later");
    assert_eq!(code, 0, "{back:#}");
    assert_eq!(settings(desk), ["old", "old", "y"]);
    let ran = desk.dunlin("run over").success();
    let told = format!("{}{}", ran.stdout, ran.stderr);
    assert_eq!(settings(desk), ["theirs", "light", "y"], "{told}");
    assert!(told.contains("settings: 1 row came home"), "{told}");
}

for_each_engine! {
    async fn values_of_rows_that_a_join_finds_come_home(engine: TestEngine) {
        let from = [
            "UPDATE settings SET svalue = c.old FROM chosen AS c WHERE settings.skey = c.skey",
            "UPDATE settings AS s SET svalue = old FROM chosen WHERE s.skey = chosen.skey AND svalue <> 'no'",
            BY_QUERY,
        ];
        let join = [
            "UPDATE settings JOIN chosen AS c ON settings.skey = c.skey SET settings.svalue = c.old",
            "UPDATE settings AS s, chosen SET s.svalue = 'old' WHERE s.skey = chosen.skey",
            BY_QUERY,
        ];
        for undo in if engine.is_mysql_family() { join } else { from } {
            for desk in desks(engine, LIGHT, undo) {
                values_come_home(&desk, "values of settings.svalue (2 rows)");
                // A row that others have it find.
                let _ = desk.database.run("INSERT INTO chosen VALUES ('more', 'old')");
                refused(&desk, "values of settings.svalue (3 rows)");
            }
        }
    }

    async fn rows_that_a_join_finds_come_home(engine: TestEngine) {
        let up = "INSERT INTO settings (skey, svalue) VALUES ('model', 'gpt'), ('heat', '1')";
        let forms: &[&str] = match engine.pick("file", "using", "join") {
            "file" => &["DELETE FROM settings WHERE skey IN (SELECT skey FROM chosen)"],
            "using" => &[
                "DELETE FROM settings USING chosen AS c WHERE settings.skey = c.skey",
                "DELETE FROM settings AS s USING chosen WHERE s.skey = chosen.skey",
            ],
            _ => &[
                "DELETE settings FROM settings JOIN chosen AS c ON settings.skey = c.skey",
                "DELETE s FROM settings AS s LEFT JOIN chosen AS c ON s.skey = c.skey WHERE c.old IS NOT NULL",
                "DELETE FROM settings USING settings, chosen WHERE settings.skey = chosen.skey",
            ],
        };
        for desk in forms.iter().flat_map(|undo| desks(engine, up, undo)) {
            let _ = desk.database.run("DELETE FROM chosen");
            let _ = desk.database.run("INSERT INTO chosen VALUES ('model', 'x'), ('heat', 'x'), ('theirs', 'x')");
            let before = desk.picture();
            is_asked(&desk);
            let _ = desk.dunlin("run over").success();
            let _ = desk.dunlin("rollback over").success();
            assert_eq!(desk.picture(), before);
            let _ = desk.dunlin("run over").success();
            let _ = desk.database.run("INSERT INTO settings VALUES ('theirs', 'x')");
            let _ = desk.database.run("UPDATE settings SET svalue = 'our own' WHERE skey = 'model'");
            let written = desk.picture();
            refused(&desk, "settings (3 rows)");
            let _ = desk.dunlin("rollback over --discard-later").success();
            assert_eq!(desk.picture(), before);
            let _ = desk.dunlin("run over").success();
            assert_eq!(desk.picture(), written);
        }
    }

    async fn values_of_rows_whose_keys_are_given_come_home(engine: TestEngine) {
        let rows = "('theme', 'old'), ('ai_enabled', 'old')";
        let [insert, select] = [
            "INSERT INTO settings (svalue, skey) VALUES ('old', 'theme'), ('old', 'ai_enabled')",
            "INSERT INTO settings SELECT skey, old FROM chosen WHERE 1 = 1",
        ];
        let over = match engine.is_mysql_family() {
            true => "ON DUPLICATE KEY UPDATE svalue = VALUES(svalue)",
            false => "ON CONFLICT (skey) DO UPDATE SET svalue = excluded.svalue",
        };
        let mut forms = vec![format!("{insert} {over}"), format!("{select} {over}")];
        let replaces = engine.pick("INSERT OR REPLACE", "", "REPLACE");
        if !replaces.is_empty() {
            forms.push(format!("{replaces} INTO settings VALUES {rows}"));
            forms.push("REPLACE INTO settings (skey, svalue) SELECT skey, old FROM chosen".into());
        }
        for desk in forms.iter().flat_map(|undo| desks(engine, LIGHT, undo)) {
            values_come_home(&desk, "values of settings.svalue (2 rows)");
            // A row that is not there is nobody's.
            let _ = desk.database.run("DELETE FROM settings WHERE skey = 'ai_enabled'");
            let _ = desk.dunlin("rollback over --discard-later").success();
            assert_eq!(settings(&desk), ["old", "old", "y"]);
        }
    }

    /// Several statements, each with a row of its own, and a key beside the one that they give.
    async fn statements_one_after_the_other_are_asked_for_each(engine: TestEngine) {
        let over = match engine.is_mysql_family() {
            true => "ON DUPLICATE KEY UPDATE svalue = 'old'",
            false => "ON CONFLICT (skey) DO UPDATE SET svalue = 'old'",
        };
        let one = |key: &str| format!("INSERT INTO settings (skey, svalue) VALUES ('{key}', 'old') {over}");
        for desk in desks(engine, LIGHT, &format!("{}; {}", one("theme"), one("ai_enabled"))) {
            values_come_home(&desk, "values of settings.svalue (1 rows)");
        }
    }
}
