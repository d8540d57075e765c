//! Backups through the binary, on every engine: made, verified by restoring, refused where damaged or unequal, restored.
#![allow(clippy::unwrap_used)]

mod automatic;
mod lost;
mod taken_back;
mod tools;
mod trouble;

use dunlin_testkit::sandbox::Sandbox;
use dunlin_testkit::{TestDatabase, TestEngine, for_each_engine};
use std::path::PathBuf;

/// A sealed room with a project for one database.
fn room(kind: TestEngine, database: &TestDatabase) -> Sandbox {
    room_at(kind, database.url())
}

/// The same for a URL.
fn room_at(kind: TestEngine, url: &str) -> Sandbox {
    let sandbox = Sandbox::with_binary(env!("CARGO_BIN_EXE_dunlin"));
    sandbox.write("dunlin.toml", format!("[database.app]\nurl = \"{url}\"\n"));
    let charset = kind.pick("", "", " CHARACTER SET utf8mb4");
    let table = format!(
        "CREATE TABLE notes (id int NOT NULL PRIMARY KEY, title varchar(80){charset}, weight double precision);\n"
    );
    sandbox.write("migrations/001_notes.sql", table);
    let create = (kind == TestEngine::Sqlite).then_some("--create");
    let _ = sandbox.dunlin(["up"].into_iter().chain(create)).success();
    sandbox
}

/// Three hundred rows with text of several scripts, NULLs, and doubles that no decimal spells.
fn fill(database: &TestDatabase) {
    for chunk in 0..3 {
        let rows: Vec<String> = (0..100)
            .map(|n| {
                let id = chunk * 100 + n;
                match id % 4 {
                    0 => format!("({id}, NULL, {id} / 3.0)"),
                    1 => format!("({id}, 'یادداشت {id} 🐦', -0.1)"),
                    2 => format!("({id}, 'it''s \\\\ quoted', 1e300)"),
                    _ => format!("({id}, '', 0.30000000000000004)"),
                }
            })
            .collect();
        database.run(&format!("INSERT INTO notes VALUES {}", rows.join(", ")));
    }
}

/// Everything in the folder of the backups; nothing where there is none.
fn files(sandbox: &Sandbox) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(sandbox.project().join("backups"));
    let entries = entries.into_iter().flatten();
    let mut found: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    found.sort();
    found
}

for_each_engine! {
    async fn a_backup_is_made_verified_and_restored(kind: TestEngine) {
        let database = kind.database();
        let sandbox = room(kind, &database);
        fill(&database);
        let before = sandbox.dunlin(["digest", "notes", "--format", "json"]).success().json();
        let made = sandbox.dunlin(["backup", "create", "--format", "json"]).success().json();
        let tables = made["data"]["items"][0]["tables"].as_array().unwrap().clone();
        let notes = tables.iter().find(|table| table["table"] == "notes").unwrap();
        assert_eq!(notes["rows"], 300);
        assert_eq!(notes["digest"], before["data"]["tables"][0]["digest"]);
        for file in files(&sandbox) {
            use std::os::unix::fs::PermissionsExt;
            let mode = std::fs::metadata(&file).unwrap().permissions().mode() & 0o777;
            assert_eq!(mode, 0o600, "{}", file.display());
        }
        let verified = sandbox.dunlin(["backup", "verify", "--format", "json"]).success().json();
        let how = verified["data"]["items"][0]["verified"].as_str().unwrap().to_owned();
        assert!(how.contains("restored and compared"), "{how}");

        database.run("DELETE FROM notes WHERE id < 250");
        database.run("UPDATE notes SET title = 'bent'");
        let path = made["data"]["items"][0]["path"].as_str().unwrap().to_owned();
        let _ = sandbox.dunlin(["backup", "restore", &path]).code(4);
        assert_eq!(database.scalar("SELECT count(*) FROM notes"), "50", "refused, and nothing touched");
        let _ = sandbox.dunlin(["backup", "restore", &path, "--replace"]).success();
        let after = sandbox.dunlin(["digest", "notes", "--format", "json"]).success().json();
        assert_eq!(after["data"]["tables"], before["data"]["tables"]);
        let _ = sandbox.dunlin(["up"]).success();
    }
}

for_each_engine! {
    async fn a_damaged_backup_is_refused(kind: TestEngine) {
        let database = kind.database();
        let sandbox = room(kind, &database);
        fill(&database);
        let _ = sandbox.dunlin(["backup", "create"]).success();
        let file = files(&sandbox).into_iter().find(|file| file.extension().is_some_and(|end| end == "dunlin")).unwrap();
        let mut bytes = std::fs::read(&file).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        std::fs::write(&file, bytes).unwrap();
        let refused = sandbox.dunlin(["backup", "verify", "--format", "json"]).code(5).json();
        assert_eq!(refused["failure"]["code"], "backup-damaged");
        let path = file.display().to_string();
        let _ = sandbox.dunlin(["backup", "restore", &path, "--replace"]).code(5);
        assert_eq!(database.scalar("SELECT count(*) FROM notes"), "300");
    }
}

for_each_engine! {
    async fn up_makes_a_verified_backup_where_a_script_asks(kind: TestEngine) {
        let database = kind.database();
        let sandbox = room(kind, &database);
        fill(&database);
        sandbox.write("migrations/002_more.sql", "-- dunlin: backup = true\nALTER TABLE notes ADD COLUMN more int;\n");
        let done = sandbox.dunlin(["up", "--format", "json"]).success().json();
        let path = done["data"]["backup"].as_str().unwrap().to_owned();
        assert!(path.ends_with(".dunlin"), "{path}");
        let listed = sandbox.dunlin(["backup", "list", "--format", "json"]).success().json();
        assert!(listed["data"]["items"][0]["verified"].is_string(), "{listed}");
        // Where the backup cannot be made nothing is touched.
        sandbox.write("migrations/003_last.sql", "-- dunlin: backup = true\nALTER TABLE notes ADD COLUMN last int;\n");
        sandbox.write("dunlin.toml", format!("[database.app]\nurl = \"{}\"\nbackup_dir = \"dunlin.toml/none\"\n", database.url()));
        let refused = sandbox.dunlin(["up", "--format", "json"]).code(4).json();
        assert_eq!(refused["failure"]["code"], "backup-file", "{refused}");
        assert_eq!(refused["data"]["applied"].as_array().map(Vec::len), Some(0));
    }
}
