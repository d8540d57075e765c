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
    /// A runner that died when the key was gone and its index was not: who goes on with the way back drops it.
    async fn the_index_goes_where_a_runner_died_before_it(engine: TestEngine) {
        if !engine.is_mysql_family() {
            return;
        }
        let desk = Desk::new(engine);
        let _ = desk.database.run("CREATE TABLE owners (id bigint NOT NULL PRIMARY KEY)");
        let _ = desk.database.run("ALTER TABLE contacts ADD COLUMN owner bigint");
        let _ = desk.sandbox.write("key.plan.toml", "name = \"key\"\n[[phase]]\nid = \"key\"\n\
            [[phase.step]]\nid = \"first\"\nsql = \"INSERT INTO owners VALUES (7)\"\nundo = \"DELETE FROM gate\"\n\
            [[phase.step]]\nid = \"key\"\n\
            sql = \"ALTER TABLE contacts ADD CONSTRAINT contacts_owner FOREIGN KEY (owner) REFERENCES owners (id)\"\n");
        let index = "SELECT count(*) FROM information_schema.statistics WHERE table_schema = database() AND index_name = 'contacts_owner'";
        let _ = desk.dunlin("run key").success();
        assert_eq!(desk.database.scalar(index), "1");
        // The way back stops behind the key, and what it looks like then is what a runner leaves that dies there.
        let (code, stopped) = desk.json("rollback key");
        assert_eq!(code, 1, "{stopped:#}");
        assert_eq!(desk.database.scalar(index), "0");
        let _ = desk.database.run("CREATE INDEX contacts_owner ON contacts (owner)");
        let _ = desk.database.run("CREATE TABLE gate (id int)");
        let (code, back) = desk.json("rollback key");
        assert_eq!(code, 0, "{back:#}");
        assert_eq!(desk.database.scalar(index), "0");
        // In another round it is somebody's own.
        let _ = desk.database.run("CREATE INDEX contacts_owner ON contacts (owner)");
        assert_ne!(desk.json("run key").0, 0);
        let _ = desk.dunlin("rollback key");
        assert_eq!(desk.database.scalar(index), "1");
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

/// Constraints, indexes and a trigger with all that they are not made with, and what shows that.
fn besides(desk: &Desk) -> (&'static str, Vec<&'static str>) {
    let engine = desk.engine;
    let mariadb = desk
        .database
        .try_run("SELECT IF(version() LIKE '%MariaDB%', 1, 0)");
    let mariadb = engine.is_mysql_family() && mariadb.unwrap()[0][0].as_deref() == Some("1");
    let (drops, made): (&str, &[&str]) = match engine.pick("s", "p", "m") {
        "s" => (
            "\"one\", \"two\", \"unique (b)\"",
            &[
                "CREATE TABLE \"birds\" (id INTEGER PRIMARY KEY, a int, b text, CONSTRAINT one UNIQUE (a DESC) ON CONFLICT REPLACE, \
                 UNIQUE (b COLLATE NOCASE) ON CONFLICT IGNORE)",
                "CREATE UNIQUE INDEX two ON birds (a DESC, b COLLATE RTRIM) WHERE a > 5",
            ],
        ),
        "p" => (
            "\"one\", \"two\", \"three\", \"checked\", \"kin\", \"odd\"",
            &[
                "CREATE TABLE birds (id int PRIMARY KEY, a int NOT NULL, b int, c int, name text, CONSTRAINT one UNIQUE (a) INCLUDE \
                 (name) WITH (fillfactor = 70), CONSTRAINT two UNIQUE NULLS NOT DISTINCT (b) WITH (fillfactor = 60) DEFERRABLE \
                 INITIALLY DEFERRED, CONSTRAINT three EXCLUDE (c WITH =) WITH (fillfactor = 80))",
                "ALTER TABLE birds ADD CONSTRAINT checked CHECK (b > 0) NOT VALID",
                "ALTER TABLE birds ADD CONSTRAINT kin FOREIGN KEY (c) REFERENCES birds (id) DEFERRABLE",
                "CREATE INDEX odd ON birds (lower(name) DESC) WITH (fillfactor = 50) WHERE b > 0",
                "ALTER INDEX odd ALTER COLUMN 1 SET STATISTICS 77",
                "ALTER TABLE birds CLUSTER ON one",
                "ALTER TABLE birds REPLICA IDENTITY USING INDEX one",
                "COMMENT ON CONSTRAINT one ON birds IS 'it''s one'",
                "COMMENT ON INDEX one IS 'an index'",
                "COMMENT ON INDEX odd IS 'odd'",
                "COMMENT ON CONSTRAINT three ON birds IS 'three'",
                "COMMENT ON CONSTRAINT checked ON birds IS 'checked'",
                "COMMENT ON CONSTRAINT kin ON birds IS 'kin'",
            ],
        ),
        _ if mariadb => (
            "\"one\", \"two\", \"checked\"",
            &[
                "CREATE TABLE birds (id int NOT NULL PRIMARY KEY, a int, name varchar(40), note text, UNIQUE KEY one (a, name(5)) USING \
                 BTREE COMMENT 'it''s one' IGNORED, FULLTEXT KEY ft (note), KEY two (a) USING HASH, CONSTRAINT checked CHECK (a > 0))",
            ],
        ),
        _ => (
            "\"one\", \"two\", \"checked\", \"ft\"",
            &[
                "CREATE TABLE birds (id int NOT NULL PRIMARY KEY, a int, name varchar(40), note text, UNIQUE KEY one (a DESC, name(5)) \
                 USING BTREE COMMENT 'it''s one' INVISIBLE, FULLTEXT KEY ft (note) WITH PARSER ngram, KEY two ((a + 1)) KEY_BLOCK_SIZE=4, \
                 CONSTRAINT checked CHECK (a > 0) NOT ENFORCED)",
            ],
        ),
    };
    (drops, made.to_vec())
}

for_each_engine! {
    /// Comments, storage, marks, parsers, conflict clauses: they are no part of what makes a constraint hold, and come back.
    async fn what_a_constraint_has_beside_itself_comes_back(engine: TestEngine) {
        let desk = Desk::new(engine);
        let (drops, made) = besides(&desk);
        for sql in made {
            let _ = desk.database.run(sql);
        }
        let shown = || {
            let mut rows = desk.database.run(engine.pick(
                "SELECT name, sql FROM sqlite_schema WHERE tbl_name = 'birds' ORDER BY 1",
                "SELECT conname::text, pg_get_constraintdef(oid), '', obj_description(oid, 'pg_constraint') FROM pg_constraint WHERE \
                 conrelid = 'birds'::regclass UNION ALL SELECT indexrelid::regclass::text, pg_get_indexdef(indexrelid), concat( \
                 indisclustered, indisreplident, (SELECT sum(attstattarget) FROM pg_attribute WHERE attrelid = indexrelid AND \
                 attstattarget > 0)), obj_description(indexrelid, 'pg_class') FROM pg_index WHERE indrelid = 'birds'::regclass ORDER BY 1, 2",
                "SHOW CREATE TABLE birds",
            ));
            // In which order indexes came is not what they are.
            if engine.is_mysql_family() {
                let text = rows[0][1].clone().unwrap();
                let mut lines: Vec<_> = text.lines().map(|line| Some(line.trim_end_matches(',').to_owned())).collect();
                lines.sort();
                rows = vec![lines];
            }
            rows
        };
        desk.plan("demand", "", &format!("require = {{ table = \"birds\", drops = [{drops}] }}\n"));
        let before = shown();
        for _ in 0..2 {
            let _ = desk.dunlin("run demand").success();
            assert_ne!(shown(), before);
            let (code, back) = desk.json("rollback demand");
            assert_eq!(code, 0, "{back:#}");
            assert_eq!(shown(), before);
        }
        if !engine.is_postgres() {
            return;
        }
        // By statements of a person's own, too.
        desk.plan("drops", "", "sql = \"ALTER TABLE birds DROP CONSTRAINT two; DROP INDEX odd; ALTER TABLE birds DROP CONSTRAINT kin\"\n");
        let _ = desk.dunlin("run drops").success();
        let _ = desk.dunlin("rollback drops").success();
        assert_eq!(shown(), before);
    }
}
