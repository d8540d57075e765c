//! What a restore takes out of its way comes back just as it was, and a name means the newest file that bears it.

use crate::{digests, files, room};
use dunlin_testkit::sandbox::Sandbox;
use dunlin_testkit::{TestDatabase, TestEngine, for_each_engine};
use std::collections::HashSet;

/// Triggers and foreign keys, with all that decides what they do.
fn catalog(kind: TestEngine, database: &TestDatabase) -> Vec<Vec<Option<String>>> {
    let sql = kind.pick(
        "SELECT name, sql FROM sqlite_schema WHERE type = 'trigger' ORDER BY 1",
        "SELECT conname::text, pg_get_constraintdef(oid), obj_description(oid, 'pg_constraint') FROM pg_constraint WHERE contype = 'f' \
         UNION ALL SELECT tgname::text, tgenabled::text || pg_get_triggerdef(oid), obj_description(oid, 'pg_trigger') FROM pg_trigger \
         WHERE NOT tgisinternal ORDER BY 1",
        "SELECT trigger_name, concat_ws('|', action_timing, event_manipulation, action_order, definer, sql_mode, collation_connection, \
         action_statement) FROM information_schema.triggers WHERE trigger_schema = database() ORDER BY 1",
    );
    database.run(sql)
}

/// A project of a database, as a user.
fn project(url: &str) -> Sandbox {
    let sandbox = Sandbox::with_binary(env!("CARGO_BIN_EXE_dunlin"));
    sandbox.write("dunlin.toml", format!("[database.app]\nurl = \"{url}\"\n"));
    sandbox.write("migrations/README.md", "none\n");
    sandbox
}

/// Two triggers of one event whose order tells, one made by a session of another mode, and a key that empties some of its
/// columns.
fn made(kind: TestEngine, database: &TestDatabase) {
    let tables = "CREATE TABLE parents (a int NOT NULL, b int NOT NULL, PRIMARY KEY (a, b)); \
                  CREATE TABLE birds (id int NOT NULL PRIMARY KEY, name varchar(40), a int, b int); \
                  CREATE TABLE log (what varchar(40))";
    database.run(tables);
    let statements: &[&str] = match kind.pick("s", "p", "m") {
        "p" => &[
            "ALTER TABLE birds ADD CONSTRAINT kin FOREIGN KEY (a, b) REFERENCES parents (a, b) ON DELETE SET NULL (b)",
            "CREATE FUNCTION bend() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.name := NEW.name || TG_NAME; RETURN NEW; END'",
            "CREATE TRIGGER z BEFORE INSERT ON birds FOR EACH ROW EXECUTE FUNCTION bend()",
            "CREATE TRIGGER a BEFORE INSERT ON birds FOR EACH ROW EXECUTE FUNCTION bend()",
            "ALTER TABLE birds ENABLE ALWAYS TRIGGER z",
            "ALTER TABLE birds DISABLE TRIGGER a",
            "COMMENT ON TRIGGER a ON birds IS 'it''s a'",
            "COMMENT ON CONSTRAINT kin ON birds IS 'why'",
        ],
        "s" => &[
            "CREATE TRIGGER z AFTER INSERT ON birds BEGIN UPDATE birds SET name = name || 'z' WHERE id = NEW.id; END",
        ],
        _ => &[
            "CREATE TRIGGER z BEFORE INSERT ON birds FOR EACH ROW SET NEW.name = concat(NEW.name, 'z')",
            "SET SESSION sql_mode = 'ANSI_QUOTES,PIPES_AS_CONCAT', collation_connection = 'latin1_swedish_ci'; \
             CREATE TRIGGER a BEFORE INSERT ON birds FOR EACH ROW SET NEW.name = NEW.name || 'a'",
            "SET SESSION sql_mode = 'ANSI_QUOTES'; \
             CREATE TRIGGER m AFTER INSERT ON birds FOR EACH ROW INSERT INTO \"log\" VALUES ('m')",
        ],
    };
    for sql in statements {
        database.run(sql);
    }
    database.run("INSERT INTO birds (id, name) VALUES (1, 'one')");
}

for_each_engine! {
    async fn triggers_and_keys_are_what_they_were(kind: TestEngine) {
        let database = kind.database();
        let sandbox = project(database.url());
        made(kind, &database);
        let before = catalog(kind, &database);
        let first = database.scalar("SELECT name FROM birds WHERE id = 1");
        let _ = sandbox.dunlin(["checkpoint", "create", "base", "--tables", "birds,parents"]).success();
        let rows = digests(&sandbox, &["birds", "parents"]);
        database.run("UPDATE birds SET name = 'bent'; INSERT INTO birds (id, name) VALUES (2, 'two')");
        let _ = sandbox.dunlin(["checkpoint", "restore", "base"]).success();
        assert_eq!(catalog(kind, &database), before);
        assert_eq!(digests(&sandbox, &["birds", "parents"]), rows);
        database.run("INSERT INTO birds (id, name) VALUES (3, 'one')");
        assert_eq!(database.scalar("SELECT name FROM birds WHERE id = 3"), first);
    }
}

for_each_engine! {
    only servers
    /// Who may drop a trigger may not always make it again: then nothing is dropped.
    async fn triggers_that_could_not_be_made_again_are_not_dropped(kind: TestEngine) {
        if !kind.is_mysql_family() {
            return;
        }
        let database = kind.database();
        made(kind, &database);
        let (name, user) = (database.name(), format!("u{}", &database.name()[1..]));
        let user = &user[..user.len().min(30)];
        database.run(&format!(
            "CREATE USER '{user}'@'%' IDENTIFIED BY 'pw'; GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER, DROP, INDEX, REFERENCES, \
             TRIGGER, LOCK TABLES ON {name}.* TO '{user}'@'%'"
        ));
        let at = database.url().find('@').unwrap();
        let scheme = kind.pick("", "", database.url().split("://").next().unwrap());
        let sandbox = project(&format!("{scheme}://{user}:pw{}", &database.url()[at..]));
        let before = catalog(kind, &database);
        let _ = sandbox.dunlin(["checkpoint", "create", "base", "--tables", "birds"]).success();
        database.run("UPDATE birds SET name = 'bent'");
        let refused = sandbox.dunlin(["checkpoint", "restore", "base", "--format", "json"]).code(4).json();
        assert_eq!(refused["failure"]["code"], "rights-missing", "{refused}");
        assert_eq!(catalog(kind, &database), before, "{refused}");
        assert_eq!(database.scalar("SELECT name FROM birds"), "bent");
        // With an owner's rights it is done.
        let owner = database.url();
        let toml = std::fs::read_to_string(sandbox.project().join("dunlin.toml")).unwrap();
        let theirs = format!("{scheme}://{user}:pw{}", &owner[at..]);
        sandbox.write("dunlin.toml", toml.replace(&theirs, owner));
        let _ = sandbox.dunlin(["checkpoint", "restore", "base"]).success();
        assert_eq!(catalog(kind, &database), before);
        database.run(&format!("DROP USER '{user}'@'%'"));
    }
}

for_each_engine! {
    /// The newest of a name cannot be read: an older one does not come in its place.
    async fn a_damaged_checkpoint_is_not_replaced_by_an_older_one(kind: TestEngine) {
        let database = kind.database();
        let sandbox = room(kind, &database);
        let create = ["checkpoint", "create", "base", "--tables", "people", "--format", "json"];
        let first = sandbox.dunlin(create).success().json();
        let known: HashSet<_> = files(&sandbox).into_iter().collect();
        database.run("UPDATE people SET name = 'second'");
        let _ = sandbox.dunlin(create).success();
        let newest = files(&sandbox).into_iter().find(|file| !known.contains(file)).unwrap();
        let whole = std::fs::read(&newest).unwrap();
        database.run("UPDATE people SET name = 'third'");
        let now = digests(&sandbox, &["people"]);
        for cut in [whole.len() - 70, whole.len() - 1, 4] {
            std::fs::write(&newest, &whole[..cut]).unwrap();
            let refused = sandbox.dunlin(["checkpoint", "restore", "base", "--format", "json"]).code(5).json();
            assert_eq!(refused["failure"]["code"], "backup-damaged", "{cut}: {refused}");
            assert_eq!(digests(&sandbox, &["people"]), now, "{cut}");
        }
        let id = first["data"]["items"][0]["id"].as_str().unwrap();
        let _ = sandbox.dunlin(["checkpoint", "restore", id]).success();
        assert_eq!(database.scalar("SELECT count(*) FROM people WHERE name = 'third'"), "0");
    }
}

for_each_engine! {
    /// A full-text table that shows another one's rows finds those that came back; one that triggers fill is named.
    async fn what_follows_the_rows_is_not_behind(kind: TestEngine) {
        if kind.is_postgres() || kind.is_mysql_family() {
            return;
        }
        let database = kind.database();
        let sandbox = project(database.url());
        for sql in [
            "CREATE TABLE birds (id INTEGER PRIMARY KEY, name text)",
            "CREATE VIRTUAL TABLE shown USING fts5(name, content='birds', content_rowid='id')",
            "CREATE VIRTUAL TABLE own USING fts5(name)",
            "CREATE TRIGGER came AFTER INSERT ON birds BEGIN INSERT INTO shown (rowid, name) VALUES (NEW.id, NEW.name); \
             INSERT INTO own (rowid, name) VALUES (NEW.id, NEW.name); END",
            "CREATE TRIGGER went AFTER DELETE ON birds BEGIN \
             INSERT INTO shown (shown, rowid, name) VALUES ('delete', OLD.id, OLD.name); DELETE FROM own WHERE rowid = OLD.id; END",
            "INSERT INTO birds VALUES (1, 'heron'), (2, 'crane')",
        ] {
            database.run(sql);
        }
        let found = |word: &str| database.scalar(&format!("SELECT count(*) FROM shown WHERE shown MATCH '{word}'"));
        let _ = sandbox.dunlin(["checkpoint", "create", "base", "--tables", "birds"]).success();
        database.run("DELETE FROM birds WHERE id = 1; INSERT INTO birds VALUES (3, 'stork')");
        assert_eq!([found("heron"), found("stork")], ["0", "1"]);
        let restored = sandbox.dunlin(["checkpoint", "restore", "base"]).success();
        assert_eq!([found("heron"), found("crane"), found("stork")], ["1", "1", "0"]);
        database.run("INSERT INTO shown (shown, rank) VALUES ('integrity-check', 1)");
        assert!(restored.stderr.contains("own is filled by triggers"), "{}", restored.stderr);
        assert!(!restored.stderr.contains("shown is filled"), "{}", restored.stderr);
    }
}

for_each_engine! {
    /// A table of the same name in another database of the server is none of ours, however it is stored.
    async fn how_others_tables_are_stored_is_nothing_to_us(kind: TestEngine) {
        if !kind.is_mysql_family() {
            return;
        }
        let (database, other) = (kind.database(), kind.database());
        let sandbox = project(database.url());
        database.run("CREATE TABLE birds (id int NOT NULL PRIMARY KEY, name varchar(40)); INSERT INTO birds VALUES (1, 'heron')");
        other.run("CREATE TABLE birds (id int NOT NULL PRIMARY KEY) ENGINE = MyISAM");
        let _ = sandbox.dunlin(["checkpoint", "create", "base", "--tables", "birds"]).success();
        database.run("DELETE FROM birds");
        let _ = sandbox.dunlin(["checkpoint", "restore", "base"]).success();
        assert_eq!(database.scalar("SELECT name FROM birds"), "heron");
        database.run("ALTER TABLE birds ENGINE = MyISAM");
        let refused = sandbox.dunlin(["checkpoint", "restore", "base"]);
        assert!(refused.stderr.contains("storage engine of birds knows no transactions"), "{}", refused.stderr);
    }
}
