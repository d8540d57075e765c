//! Constraints by a plan: forward, back, forward; and a step that fails half way leaves the ones that were there.

use crate::Desk;
use dunlin_testkit::engines::TestEngine;
use dunlin_testkit::for_each_engine;

/// One phase that gives every contact an owner; `{check}` is the last demand.
fn plan(check: &str, undo: &str) -> String {
    format!(
        r#"
name = "to owners"

[[phase]]
id = "owned"

  [[phase.step]]
  id = "unnamed"
  sql = "DROP VIEW names"

  [[phase.step]]
  id = "owned-contacts"
  {undo}
  require = {{ table = "contacts", not_null = ["owner_id"], unique = [["owner_id", "phone"]], foreign_keys = ["owner_id -> owners(id) on delete cascade"], checks = ["{check}"], drops = ["contacts_phone"] }}
"#
    )
}

fn desk(engine: TestEngine) -> Desk {
    let desk = Desk::new(engine);
    let id = engine.pick("INTEGER", "bigint", "bigint");
    for statement in [
        format!("CREATE TABLE owners (id {id} NOT NULL PRIMARY KEY)"),
        "INSERT INTO owners (id) VALUES (1)".into(),
        format!("ALTER TABLE contacts ADD COLUMN owner_id {id} NULL"),
        "UPDATE contacts SET owner_id = 1".into(),
        "CREATE UNIQUE INDEX contacts_phone ON contacts (phone)".into(),
        "CREATE VIEW names AS SELECT name FROM contacts".into(),
    ] {
        let _ = desk.database.run(&statement);
    }
    desk
}

/// Whether a contact without an owner, with a phone that is taken, and one with an owner that is not there is refused.
fn refused(desk: &Desk) -> [bool; 3] {
    let on = desk.engine.pick("PRAGMA foreign_keys = ON; ", "", "");
    let bad = |values: &str| {
        let insert = format!("{on}INSERT INTO contacts (id, phone, owner_id) VALUES {values}");
        let outcome = desk.database.try_run(&insert);
        let _ = desk.database.run("DELETE FROM contacts WHERE id = 77");
        outcome.is_err()
    };
    [
        bad("(77, '1', NULL)"),
        bad("(77, '+1', 1)"),
        bad("(77, '2', 5)"),
    ]
}

for_each_engine! {
    async fn constraints_come_by_a_plan_and_go_with_it(engine: TestEngine) {
        let desk = desk(engine);
        let before = desk.picture();
        desk.sandbox.write("owners.plan.toml", plan("length(phone) > 0", ""));
        assert_eq!(refused(&desk), [false, true, false]);
        let view = "SELECT count(*) FROM names";
        for _ in 0..2 {
            let (code, ran) = desk.json("run owners");
            assert_eq!(code, 0, "{ran:#}");
            assert_eq!(refused(&desk), [true, true, true]);
            assert!(desk.database.try_run(view).is_err());
            let (code, ran) = desk.json("rollback owners");
            assert_eq!(code, 0, "{ran:#}");
            assert_eq!(refused(&desk), [false, true, false]);
            assert_eq!(desk.database.scalar(view), "3");
            assert_eq!(desk.picture(), before);
        }
    }

    /// The last demand is one that no server takes; what stood by then goes back, whether the undo is derived or written.
    async fn constraints_that_fail_half_way_leave_what_was_there(engine: TestEngine) {
        for undo in ["", "undo = \"SELECT 1\""] {
            let desk = desk(engine);
            let before = desk.picture();
            desk.sandbox.write("owners.plan.toml", plan("owner_id > 0 OR EXISTS (SELECT 1)", undo));
            let (code, ran) = desk.json("run owners");
            assert_eq!(code, 1, "{ran:#}");
            assert_eq!(Desk::state(&ran, "owned"), "undone", "{ran:#}");
            assert_eq!(refused(&desk), [false, true, false], "{ran:#}");
            assert_eq!(desk.database.scalar("SELECT count(*) FROM names"), "3");
            assert_eq!(desk.picture(), before);
            let indexes = engine.pick(
                "SELECT group_concat(name) FROM sqlite_schema WHERE type = 'index' AND tbl_name = 'contacts'",
                "SELECT string_agg(indexname, ',' ORDER BY indexname COLLATE \"C\") FROM pg_indexes WHERE tablename = 'contacts'",
                "SELECT group_concat(DISTINCT index_name ORDER BY 1) FROM information_schema.statistics WHERE table_schema = database() AND table_name = 'contacts'",
            );
            let left = engine.pick("contacts_phone", "contacts_phone,contacts_pkey", "contacts_phone,PRIMARY");
            assert_eq!(desk.database.scalar(indexes), left);
        }
    }
}

for_each_engine! {
    /// Rows that violate what is demanded: named before anything is touched.
    async fn rows_that_violate_stop_the_plan_before_it_writes(engine: TestEngine) {
        let desk = desk(engine);
        let _ = desk.database.run("UPDATE contacts SET owner_id = NULL WHERE id = 3");
        desk.sandbox.write("owners.plan.toml", plan("length(phone) > 0", ""));
        let (code, ran) = desk.json("run owners");
        assert_eq!(code, 1, "{ran:#}");
        assert_eq!(ran["failure"]["code"], "rows-violate", "{ran:#}");
        assert!(ran["failure"]["message"].as_str().unwrap().contains("1 row of contacts without `owner_id` (NULL)"), "{ran:#}");
        assert!(ran["failure"]["message"].as_str().unwrap().ends_with("id = 3"), "{ran:#}");
        assert_eq!(refused(&desk), [false, true, false]);
    }
}

for_each_engine! {
    only servers
    /// The index that the server makes by itself for a foreign key goes with the key; one that came later stays.
    async fn the_index_that_came_with_a_foreign_key_goes_with_it(engine: TestEngine) {
        let desk = Desk::new(engine);
        let _ = desk.database.run("CREATE TABLE owners (id bigint NOT NULL PRIMARY KEY)");
        let _ = desk.database.run("ALTER TABLE contacts ADD COLUMN owner bigint");
        let add = "ALTER TABLE contacts ADD CONSTRAINT contacts_owner FOREIGN KEY (owner) REFERENCES owners (id)";
        desk.plan("key", "", &format!("sql = \"{add}\"\n"));
        let schema = || desk.dunlin("schema --as sql").success().stdout;
        let before = schema();
        let _ = desk.dunlin("run key").success();
        let _ = desk.dunlin("rollback key").success();
        assert_eq!(schema(), before);
        let _ = desk.dunlin("run key").success();
        let _ = desk.database.run("CREATE INDEX theirs ON contacts (owner)");
        let _ = desk.dunlin("rollback key").success();
        assert!(schema().contains("theirs"), "{}", schema());
    }
}

for_each_engine! {
    only servers
    /// What goes for a demand comes back as the very thing that it was: a key that empties some of its columns, an index over
    /// an expression.
    async fn constraints_that_go_come_back_as_they_were(engine: TestEngine) {
        let desk = Desk::new(engine);
        let _ = desk.database.run("CREATE TABLE kin (a int NOT NULL, b int NOT NULL, PRIMARY KEY (a, b))");
        let _ = desk.database.run("CREATE TABLE birds (id int NOT NULL PRIMARY KEY, a int, b int, x int)");
        let odd = desk.database.try_run(engine.pick(
            "",
            "CREATE INDEX odd ON birds ((x + 1)); ALTER TABLE birds ADD CONSTRAINT kin_of FOREIGN KEY (a, b) REFERENCES kin (a, b) MATCH \
             SIMPLE ON DELETE SET NULL (b) DEFERRABLE INITIALLY DEFERRED NOT VALID",
            "CREATE INDEX odd ON birds ((x + 1))",
        ));
        // MariaDB has no such index.
        let Ok(_) = odd else { return };
        let shown = || match engine.is_postgres() {
            true => desk.database.run("SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = 'kin_of' UNION ALL SELECT indexdef FROM pg_indexes WHERE indexname = 'odd'"),
            false => desk.database.run("SHOW CREATE TABLE birds"),
        };
        let drops = if engine.is_postgres() { "\"odd\", \"kin_of\"" } else { "\"odd\"" };
        desk.plan("demand", "", &format!("require = {{ table = \"birds\", drops = [{drops}] }}\n"));
        let before = shown();
        let _ = desk.dunlin("run demand").success();
        assert_ne!(shown(), before);
        let (code, back) = desk.json("rollback demand");
        assert_eq!(code, 0, "{back:#}");
        assert_eq!(shown(), before);
    }
}
