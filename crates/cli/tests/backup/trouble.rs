//! What goes wrong around backups: no room, no right, a kill, writers at work, and what `up` does then.

use super::{files, fill, room, room_at};
use dunlin_testkit::servers::Server;
use dunlin_testkit::{TestDatabase, TestEngine, for_each_engine};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// Rows that do not compress.
pub(super) fn noise(database: &TestDatabase, rows: u32) {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut word = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        format!("{state:016x}")
    };
    let values: Vec<String> = (0..rows)
        .map(|n| {
            format!(
                "({}, '{}{}{}{}', {n}.5)",
                n + 10_000,
                word(),
                word(),
                word(),
                word()
            )
        })
        .collect();
    for chunk in values.chunks(500) {
        database.run(&format!("INSERT INTO notes VALUES {}", chunk.join(", ")));
    }
}

for_each_engine! {
    /// No room for the backup's files: said as that, and nothing is left that looks like a backup. The limit on the size
    /// of files does what a full disk does, and needs no rights.
    async fn a_full_disk_leaves_no_backup_behind(kind: TestEngine) {
        let database = kind.database();
        let sandbox = room(kind, &database);
        noise(&database, 2_000);
        let dunlin = sandbox.binary().display().to_string();
        let limited = format!("trap '' XFSZ; ulimit -f 16; exec {dunlin} backup create --format json");
        let mut command = sandbox.command(["--version"]);
        let envs: Vec<(String, String)> = command.get_envs().filter_map(|(name, value)| Some((name.to_str()?.to_owned(), value?.to_str()?.to_owned()))).collect();
        command = std::process::Command::new("sh");
        command.args(["-c", &limited]).current_dir(sandbox.project()).env_clear().envs(envs);
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(output.status.code(), Some(4), "{said}{}", String::from_utf8_lossy(&output.stderr));
        let answer: serde_json::Value = serde_json::from_str(&said).unwrap();
        assert_eq!(answer["failure"]["code"], "disk-full", "{said}");
        assert_eq!(files(&sandbox), Vec::<std::path::PathBuf>::new());
        let _ = sandbox.dunlin(["backup", "create"]).success();
    }
}

/// The scratch databases that are there.
fn scratches(kind: TestEngine, database: &TestDatabase) -> Vec<String> {
    let mut found: Vec<String> = match database.file() {
        Some(file) => {
            let entries = std::fs::read_dir(file.parent().unwrap()).unwrap();
            entries
                .filter_map(|entry| entry.unwrap().file_name().into_string().ok())
                .filter(|name| name.ends_with(".db"))
                .collect()
        }
        None => {
            let sql = kind.pick(
                "",
                "SELECT datname FROM pg_database",
                "SELECT SCHEMA_NAME FROM information_schema.SCHEMATA",
            );
            database
                .run(sql)
                .into_iter()
                .filter_map(|row| row.into_iter().next().flatten())
                .collect()
        }
    };
    found.retain(|name| name.starts_with("dunlin_scratch_"));
    found
}

for_each_engine! {
    /// A run that is killed while it verifies leaves its scratch database; the next one removes it. One of a living
    /// process stays.
    async fn a_killed_runs_scratch_database_is_removed_by_the_next(kind: TestEngine) {
        let database = kind.database();
        let sandbox = room(kind, &database);
        noise(&database, 4_000);
        let _ = sandbox.dunlin(["backup", "create"]).success();
        let killed = sandbox.spawn(["backup", "verify"]);
        let mark = format!("_{}_", killed.id());
        let started = Instant::now();
        let left = loop {
            if let Some(name) = scratches(kind, &database).into_iter().find(|name| name.contains(&mark)) {
                killed.signal("KILL");
                break name;
            }
            assert!(started.elapsed() < Duration::from_secs(60), "no scratch database was seen");
        };
        drop(killed);
        assert!(scratches(kind, &database).contains(&left), "{left} was to be left behind");
        let own = format!("{}{}_{}", &left[..left.find(&mark).unwrap()], mark.replace(|c: char| c.is_ascii_digit(), "").trim_end_matches('_'), std::process::id());
        let living = format!("{own}_abcdef");
        match database.file() {
            Some(file) => std::fs::write(file.with_file_name(format!("{living}.db")), "").unwrap(),
            None => drop(database.run(&format!("CREATE DATABASE {living}"))),
        }
        let _ = sandbox.dunlin(["backup", "verify"]).success();
        let there = scratches(kind, &database);
        assert!(!there.contains(&left), "{there:?}");
        assert!(there.iter().any(|name| name.starts_with(&living)), "{there:?}");
        if database.file().is_none() {
            database.run(&format!("DROP DATABASE {living}"));
        }
    }
}

for_each_engine! {
    /// The digests of the manifest are of the state that the backup holds, whoever writes meanwhile.
    async fn digests_are_of_the_backups_own_snapshot(kind: TestEngine) {
        let database = kind.database();
        let sandbox = room(kind, &database);
        noise(&database, 3_000);
        let (done, written) = (AtomicBool::new(false), AtomicU32::new(0));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    let n = written.fetch_add(1, Ordering::Relaxed);
                    // A file has one writer at a time, and readers must find it free now and then.
                    std::thread::sleep(Duration::from_millis(3));
                    // What comes goes elsewhere: counts alone would not tell.
                    let _ = database.try_run(&format!("INSERT INTO notes VALUES ({}, 'written meanwhile', {n}.25)", 1_000_000 + n));
                    let _ = database.try_run(&format!("DELETE FROM notes WHERE id = {}", 10_000 + n));
                    let _ = database.try_run(&format!("UPDATE notes SET weight = -1 WHERE id = {}", 12_000 + n));
                }
            });
            for _ in 0..3 {
                let before = written.load(Ordering::Relaxed);
                let made = sandbox.dunlin(["backup", "create"]);
                let during = written.load(Ordering::Relaxed) - before;
                let verified = sandbox.dunlin(["backup", "verify"]);
                if during == 0 || made.code != Some(0) || verified.code != Some(0) {
                    done.store(true, Ordering::Relaxed);
                }
                let _ = made.success();
                let _ = verified.success();
                assert!(during > 0, "nobody wrote while the backup was made");
            }
            done.store(true, Ordering::Relaxed);
        });
    }
}

for_each_engine! {
    only servers
    /// Without the right to make databases the finding names the grant; our own backup is read again instead.
    async fn without_the_right_to_make_a_scratch_database_the_grant_is_named(kind: TestEngine) {
        let server = Server::shared(kind.kind().unwrap());
        let database = TestDatabase::on(server);
        let user = format!("u{}", &database.name()[database.name().len() - 12..]);
        if kind.is_postgres() {
            database.run(&format!("CREATE ROLE {user} LOGIN PASSWORD 'p'"));
            database.run(&format!("ALTER DATABASE {} OWNER TO {user}", database.name()));
            database.run(&format!("ALTER SCHEMA public OWNER TO {user}"));
        } else {
            database.run(&format!("CREATE USER {user} IDENTIFIED BY 'p'"));
            database.run(&format!("GRANT ALL ON {}.* TO {user}", database.name()));
        }
        let mut sandbox = room_at(kind, &server.url_as(&user, "p", database.name()));
        fill(&database);
        let grant = kind.pick("", "CREATEDB", "GRANT");
        if kind.is_postgres() {
            // The tool's dump cannot be verified but by restoring it.
            let tools = server.tools().map(|tools| format!("{}:/usr/bin:/bin", tools.display()));
            sandbox.set("PATH", tools.unwrap_or_else(|_| "/usr/bin:/bin".into()));
            let _ = sandbox.dunlin(["backup", "create"]).success();
            let refused = sandbox.dunlin(["backup", "verify", "--format", "json"]).code(4).json();
            assert!(refused["failure"].to_string().contains(grant), "{refused}");
            sandbox.write("bin/nothing", "");
            sandbox.set("PATH", sandbox.path("bin").display().to_string());
        }
        let _ = sandbox.dunlin(["backup", "create"]).success();
        let verified = sandbox.dunlin(["backup", "verify", "--format", "json"]).success().json();
        let finding = verified["findings"].as_array().unwrap().iter().find(|finding| finding["code"] == "scratch-refused").cloned().unwrap_or_default();
        assert!(finding["help"].to_string().contains(grant), "{verified}");
        assert!(verified["data"]["items"][0]["verified"].to_string().contains("read again"), "{verified}");
        // What it names is enough, and for every later one.
        let help = finding["help"].as_str().unwrap_or_default();
        let statement = help.split('`').nth(1).unwrap_or_default();
        let statement = if kind.is_postgres() { statement.to_owned() } else { help[help.find("GRANT").unwrap()..].trim_end_matches('`').to_owned() };
        let _ = dunlin_testkit::database::ask(&server.url(), kind.kind().unwrap(), &statement).unwrap();
        let _ = sandbox.dunlin(["backup", "create"]).success();
        let verified = sandbox.dunlin(["backup", "verify", "--format", "json"]).success().json();
        assert!(verified["data"]["items"][0]["verified"].to_string().contains("restored and compared"), "{statement}: {verified}");
        drop(database);
        let drop_user = format!("DROP {} {user}", kind.pick("", "ROLE", "USER"));
        let _ = dunlin_testkit::database::ask(&server.url(), kind.kind().unwrap(), &drop_user);
    }
}

for_each_engine! {
    /// `backup = "always"` and "never" decide before any header; version.json asks as a header does; what is old goes
    /// when a person says so.
    async fn up_makes_backups_as_configured_and_prune_keeps_the_newest(kind: TestEngine) {
        let database = kind.database();
        let sandbox = room(kind, &database);
        let settings = |more: &str| {
            sandbox.write("dunlin.toml", format!("[database.app]\nurl = \"{}\"\n{more}\n", database.url()));
        };
        let up = |n: u32, header: &str| {
            sandbox.write(format!("migrations/{n:03}_more{n}.sql"), format!("{header}ALTER TABLE notes ADD COLUMN more{n} int;\n"));
            sandbox.dunlin(["up", "--format", "json"]).success().json()["data"]["backup"].clone()
        };
        settings("backup = \"always\"");
        assert!(up(2, "").is_string());
        settings("backup = \"never\"");
        assert!(up(3, "-- dunlin: backup = true\n").is_null());
        settings("");
        assert!(up(4, "").is_null());
        sandbox.write("migrations/version.json", "{\"backup_before_migration\": true}");
        assert!(up(5, "").is_string());
        assert!(up(6, "").is_string());
        let names = || -> Vec<String> {
            let listed = sandbox.dunlin(["backup", "list", "--format", "json"]).success().json();
            listed["data"]["items"].as_array().unwrap().iter().map(|item| item["name"].as_str().unwrap().to_owned()).collect()
        };
        let all = names();
        assert_eq!(all.len(), 3, "{all:?}");
        // Another database's backup in the same folder is not ours to count.
        let manifest = sandbox.read(format!("backups/{}.json", all[2]));
        let mut other: serde_json::Value = serde_json::from_str(&manifest).unwrap();
        other["database"] = "elsewhere".into();
        sandbox.write("backups/elsewhere.json", other.to_string());
        let pruned = sandbox.dunlin(["backup", "prune", "--keep", "1", "--format", "json"]).success().json();
        assert_eq!(pruned["data"]["removed"].as_array().map(Vec::len), Some(2), "{pruned}");
        assert_eq!(names(), all[..1]);
        let mut left: Vec<String> = files(&sandbox).iter().map(|file| file.file_name().unwrap().to_string_lossy().into_owned()).collect();
        left.sort();
        let mut expected = vec![format!("{}.dunlin", all[0]), format!("{}.json", all[0]), "elsewhere.json".to_owned()];
        expected.sort();
        assert_eq!(left, expected);
    }
}
