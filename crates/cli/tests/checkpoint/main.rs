//! Checkpoints through the binary, on every engine: rows, configuration and counters come back exactly, and nothing else
//! is touched.
#![allow(clippy::unwrap_used)]

mod exact;

use dunlin_testkit::sandbox::Sandbox;
use dunlin_testkit::{TestDatabase, TestEngine, for_each_engine};
use std::path::PathBuf;

/// A shop: tables that refer to each other in a circle, a trigger that writes a log, a counter, and names that need
/// quotes.
fn room(kind: TestEngine, database: &TestDatabase) -> Sandbox {
    let sandbox = Sandbox::with_binary(env!("CARGO_BIN_EXE_dunlin"));
    let url = database.url();
    sandbox.write(
        "dunlin.toml",
        format!(
            "[database.app]\nurl = \"{url}\"\n[configuration]\nfiles = [\"app.ini\", \"none.ini\"]\ntables = [\"settings\"]\n"
        ),
    );
    sandbox.write("app.ini", "mode = old\n");
    let id = kind.pick(
        "INTEGER PRIMARY KEY AUTOINCREMENT",
        "bigserial PRIMARY KEY",
        "bigint AUTO_INCREMENT PRIMARY KEY",
    );
    let quoted = |name: &str| {
        kind.pick(
            &format!("\"{name}\""),
            &format!("\"{name}\""),
            &format!("`{name}`"),
        )
        .to_owned()
    };
    let (order, best) = (quoted("order"), quoted("the best's"));
    let function = "CREATE FUNCTION noted() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO log VALUES \
                    (TG_OP); RETURN NULL; END $$;\n";
    let trigger = |event: &str| match kind.pick("s", "p", "m") {
        "p" => format!(
            "CREATE TRIGGER t_{event} AFTER {event} ON people FOR EACH ROW EXECUTE PROCEDURE noted();\n"
        ),
        "s" => format!(
            "CREATE TRIGGER t_{event} AFTER {event} ON people BEGIN INSERT INTO log VALUES ('{event}'); END;\n"
        ),
        _ => format!(
            "CREATE TRIGGER t_{event} AFTER {event} ON people FOR EACH ROW INSERT INTO log VALUES ('{event}');\n"
        ),
    };
    let circle = kind.pick(
        "",
        "ALTER TABLE people ADD CONSTRAINT loves FOREIGN KEY (favourite) REFERENCES \"order\" (id) ON DELETE SET NULL;\n",
        "ALTER TABLE people ADD CONSTRAINT loves FOREIGN KEY (favourite) REFERENCES `order` (id) ON DELETE SET NULL;\n",
    );
    let utf8 = kind.pick("", "", " CHARACTER SET utf8mb4");
    let inline = kind.pick(" REFERENCES \"order\" (id) ON DELETE SET NULL", "", "");
    let script = format!(
        "CREATE TABLE settings (name varchar(40) NOT NULL PRIMARY KEY, value varchar(80));\n\
         CREATE TABLE log (what varchar(20));\n\
         CREATE TABLE people (id {id}, name varchar(80){utf8}, {best} double precision, favourite bigint{inline});\n\
         CREATE TABLE {order} (id {id}, person bigint NOT NULL, FOREIGN KEY (person) REFERENCES people (id) ON DELETE CASCADE);\n\
         CREATE TABLE letters (id bigint NOT NULL PRIMARY KEY, person bigint NOT NULL, FOREIGN KEY (person) REFERENCES people (id) ON DELETE CASCADE);\n\
         {circle}{}{}{}",
        kind.pick("", function, ""),
        trigger("INSERT"),
        trigger("DELETE"),
    );
    sandbox.write("migrations/001_shop.sql", script);
    let create = (kind == TestEngine::Sqlite).then_some("--create");
    let _ = sandbox.dunlin(["up"].into_iter().chain(create)).success();
    fill(database, &order, &best);
    sandbox
}

/// Rows for all of it.
fn fill(database: &TestDatabase, order: &str, best: &str) {
    database.run("INSERT INTO settings VALUES ('ai', 'off')");
    for n in 1..=120 {
        let name = match n % 3 {
            0 => "NULL".to_owned(),
            1 => format!("'یادداشت {n} 🐦'"),
            _ => format!("'it''s \\\\ {n}'"),
        };
        database.run(&format!(
            "INSERT INTO people (name, {best}) VALUES ({name}, {n} / 3.0)"
        ));
        database.run(&format!("INSERT INTO {order} (person) VALUES ({n})"));
    }
    database.run("UPDATE people SET favourite = id");
    database.run("INSERT INTO letters VALUES (1, 7), (2, 8)");
}

fn digests(sandbox: &Sandbox, tables: &[&str]) -> serde_json::Value {
    let answer = sandbox.dunlin(
        ["digest", "app", "--format", "json"]
            .into_iter()
            .chain(tables.iter().copied()),
    );
    answer.success().json()["data"]["tables"].clone()
}

fn files(sandbox: &Sandbox) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(sandbox.project().join("backups/checkpoints"));
    let entries = entries.into_iter().flatten();
    let mut found: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    found.sort();
    found
}

/// The name of the table that is a keyword, in the engine's quotes.
fn order(kind: TestEngine) -> &'static str {
    kind.pick("\"order\"", "\"order\"", "`order`")
}

for_each_engine! {
    async fn rows_configuration_and_counters_come_back(kind: TestEngine) {
        let database = kind.database();
        let sandbox = room(kind, &database);
        let tables = ["people", "order", "settings"];
        let before = digests(&sandbox, &tables);
        let made = sandbox.dunlin(["checkpoint", "create", "base", "--tables", "people,order", "--format", "json"]).success().json();
        let item = &made["data"]["items"][0];
        let own: Vec<&str> = item["tables"].as_array().unwrap().iter().map(|table| table["table"].as_str().unwrap()).collect();
        assert_eq!(own, ["order", "people", "settings"], "the tables of the configuration come along");
        assert!(item["verified"].is_string(), "{item}");
        assert!(item["bytes"].as_u64().unwrap() > 100, "{item}");
        for file in files(&sandbox) {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        }

        database.run("DELETE FROM letters");
        database.run("DELETE FROM people WHERE id IN (7, 8, 9)");
        database.run("UPDATE people SET name = 'bent'");
        database.run("INSERT INTO people (name) VALUES ('came later')");
        database.run("UPDATE settings SET value = 'on'");
        sandbox.write("app.ini", "mode = new\n");
        sandbox.write("none.ini", "x\n");
        let bent = digests(&sandbox, &tables);
        let log = database.scalar("SELECT count(*) FROM log");
        let restored = sandbox.dunlin(["checkpoint", "restore", "base", "--format", "json"]).success().json();
        assert_eq!(digests(&sandbox, &tables), before);
        assert_eq!(database.scalar("SELECT count(*) FROM log"), log, "no trigger fired");
        assert_eq!(std::fs::read_to_string(sandbox.project().join("app.ini")).unwrap(), "mode = old\n");
        assert!(!sandbox.project().join("none.ini").exists());
        // Triggers, keys and counters are as they were.
        database.run("INSERT INTO people (name) VALUES ('the next')");
        assert_eq!(database.scalar("SELECT max(id) FROM people"), "122", "no number is given out twice");
        assert_ne!(database.scalar("SELECT count(*) FROM log"), log);
        let keys = kind.pick("PRAGMA foreign_keys = ON; ", "", "");
        assert!(database.try_run(&format!("{keys}INSERT INTO {} (person) VALUES (4711)", order(kind))).is_err(), "keys are looked at again");
        let _ = sandbox.dunlin(["drift"]).success();
        database.run("DELETE FROM people WHERE id = 122");

        // What was replaced comes back by its own name, and by its id.
        let id = restored["data"]["before"]["id"].as_str().unwrap().to_owned();
        let _ = sandbox.dunlin(["checkpoint", "restore", "before-restore-base"]).success();
        assert_eq!(digests(&sandbox, &tables), bent);
        assert_eq!(std::fs::read_to_string(sandbox.project().join("app.ini")).unwrap(), "mode = new\n");
        let listed = sandbox.dunlin(["checkpoint", "list", "--format", "json"]).success().json();
        assert_eq!(listed["data"]["items"].as_array().unwrap().len(), 3);
        let _ = sandbox.dunlin(["checkpoint", "drop", &id]).success();
        let refused = sandbox.dunlin(["checkpoint", "restore", &id, "--format", "json"]).code(4).json();
        assert_eq!(refused["failure"]["code"], "no-checkpoint");
    }
}

for_each_engine! {
    /// Rows of a table that is not in the checkpoint and refers by ON DELETE CASCADE: they stay; where they would be left
    /// without what they refer to, nothing is done and the table is named.
    async fn rows_that_refer_from_elsewhere_are_never_lost(kind: TestEngine) {
        let database = kind.database();
        let sandbox = room(kind, &database);
        let before = digests(&sandbox, &["people"]);
        let _ = sandbox.dunlin(["checkpoint", "create", "base", "--tables", "people,order"]).success();
        database.run("UPDATE people SET name = 'bent'");
        database.run("INSERT INTO people (id, name) VALUES (500, 'came later')");
        database.run("INSERT INTO letters VALUES (3, 500)");
        let bent = digests(&sandbox, &["people", "letters"]);
        let refused = sandbox.dunlin(["checkpoint", "restore", "base", "--format", "json"]).code(4).json();
        assert_eq!(refused["failure"]["code"], "checkpoint-referred", "{refused}");
        assert!(refused["failure"]["message"].as_str().unwrap().contains("letters"), "{refused}");
        assert_eq!(digests(&sandbox, &["people", "letters"]), bent, "nothing was changed");
        assert_eq!(files(&sandbox).len(), 1, "and nothing is left of what was not replaced");
        database.run("INSERT INTO people (name) VALUES ('the triggers are there')");
        assert_eq!(database.scalar("SELECT count(*) FROM log WHERE what = 'INSERT'"), "122");

        database.run("DELETE FROM letters WHERE id = 3");
        let _ = sandbox.dunlin(["checkpoint", "restore", "base"]).success();
        assert_eq!(digests(&sandbox, &["people"]), before);
        assert_eq!(database.scalar("SELECT count(*) FROM letters"), "2", "rows that refer are not deleted along");
    }
}

for_each_engine! {
    async fn a_changed_shape_is_refused_and_a_new_nullable_column_is_not(kind: TestEngine) {
        let database = kind.database();
        let sandbox = room(kind, &database);
        let before = digests(&sandbox, &["people"]);
        let _ = sandbox.dunlin(["checkpoint", "create", "base", "--tables", "people"]).success();
        database.run("UPDATE people SET name = 'bent'");
        database.run("ALTER TABLE people ADD COLUMN extra varchar(20)");
        database.run("UPDATE people SET extra = 'x'");
        let _ = sandbox.dunlin(["checkpoint", "restore", "base"]).success();
        assert_eq!(database.scalar("SELECT count(*) FROM people WHERE extra IS NULL"), "120");
        database.run("ALTER TABLE people DROP COLUMN extra");
        assert_eq!(digests(&sandbox, &["people"]), before);

        database.run("ALTER TABLE people RENAME COLUMN name TO title");
        database.run("ALTER TABLE people ADD COLUMN must int NOT NULL DEFAULT 1");
        let refused = sandbox.dunlin(["checkpoint", "restore", "base", "--format", "json"]).code(4).json();
        assert_eq!(refused["failure"]["code"], "checkpoint-shape", "{refused}");
        let message = refused["failure"]["message"].as_str().unwrap();
        assert!(message.contains("people.name is not there") && message.contains("people.must came"), "{message}");
        assert_eq!(database.scalar("SELECT count(*) FROM people WHERE must = 1"), "120");
    }
}

for_each_engine! {
    /// One byte anywhere: refused by a hash before anything is touched. A protected database says no.
    async fn a_damaged_checkpoint_and_a_protected_database_are_refused(kind: TestEngine) {
        let database = kind.database();
        let sandbox = room(kind, &database);
        let _ = sandbox.dunlin(["checkpoint", "create", "base", "--tables", "people"]).success();
        let file = files(&sandbox).remove(0);
        let whole = std::fs::read(&file).unwrap();
        for at in [3, whole.len() / 4, whole.len() - 200, whole.len() - 70, whole.len() - 40] {
            let mut bytes = whole.clone();
            bytes[at] ^= 1;
            std::fs::write(&file, bytes).unwrap();
            let refused = sandbox.dunlin(["checkpoint", "restore", "base", "--format", "json"]).code(5).json();
            assert_eq!(refused["failure"]["code"], "backup-damaged", "byte {at}: {refused}");
        }
        std::fs::write(&file, &whole).unwrap();
        let toml = std::fs::read_to_string(sandbox.project().join("dunlin.toml")).unwrap();
        sandbox.write("dunlin.toml", toml.replace("[configuration]", "protected = true\n[configuration]"));
        let refused = sandbox.dunlin(["checkpoint", "restore", "base", "--format", "json"]).code(4).json();
        assert_eq!(refused["failure"]["code"], "protected");
        assert_eq!(files(&sandbox).len(), 1, "nothing was touched");
    }
}

for_each_engine! {
    /// No room for the file, half way: it is removed, and the restore that wanted it touches nothing.
    async fn a_full_disk_leaves_no_checkpoint_and_touches_nothing(kind: TestEngine) {
        let database = kind.database();
        let sandbox = room(kind, &database);
        let _ = sandbox.dunlin(["checkpoint", "create", "small", "--tables", "settings"]).success();
        let mut state = 0x9E37_79B9_7F4A_7C15_u64;
        let noise: Vec<String> = (0..2_000).map(|n| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            format!("('{n}-{state:016x}', '{:016x}{:016x}{:016x}')", state.rotate_left(9).wrapping_mul(3), state.wrapping_mul(7), state.wrapping_mul(31))
        }).collect();
        for chunk in noise.chunks(500) {
            database.run(&format!("INSERT INTO settings VALUES {}", chunk.join(", ")));
        }
        let before = digests(&sandbox, &["settings"]);
        for verb in ["create full --tables settings", "restore small"] {
            let dunlin = sandbox.binary().display().to_string();
            let limited = format!("trap '' XFSZ; ulimit -f 16; exec {dunlin} checkpoint {verb} --format json");
            let known = sandbox.command(["--version"]);
            let envs: Vec<(String, String)> = known.get_envs().filter_map(|(name, value)| Some((name.to_str()?.to_owned(), value?.to_str()?.to_owned()))).collect();
            let mut command = std::process::Command::new("sh");
            command.args(["-c", &limited]).current_dir(sandbox.project()).env_clear().envs(envs);
            // The file of SQLite's own journal is limited, too: there only the making can be asked for.
            if kind == TestEngine::Sqlite && verb.starts_with("restore") {
                continue;
            }
            let output = command.output().unwrap();
            let said = String::from_utf8_lossy(&output.stdout).into_owned();
            let answer: serde_json::Value = serde_json::from_str(&said).unwrap();
            assert_eq!(answer["failure"]["code"], "disk-full", "{verb}: {said}{}", String::from_utf8_lossy(&output.stderr));
            assert_eq!(output.status.code(), Some(4), "{said}");
            assert_eq!(files(&sandbox).len(), 1, "{verb}: the partial file is gone");
            assert_eq!(digests(&sandbox, &["settings"]), before, "{verb}");
        }
    }
}
