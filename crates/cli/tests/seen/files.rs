//! What is wrong with files: folders, names, bytes, sizes, rights, a full disk.

use crate::{dunlin, room, room_for, shows};
use dunlin_testkit::sandbox::{Ran, Sandbox};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

/// A room whose database is there, at 001.
fn at_001() -> Sandbox {
    let sandbox = room_for("sqlite:app.db");
    let _ = dunlin(&sandbox, "up --create").success();
    sandbox
}

#[test]
fn the_folder_is_missing_or_empty() {
    let sandbox = at_001();
    std::fs::remove_dir_all(sandbox.path("migrations")).unwrap();
    shows("folder_missing", &dunlin(&sandbox, "up").code(2));
    std::fs::create_dir(sandbox.path("migrations")).unwrap();
    let ran = dunlin(&sandbox, "up").success();
    shows("folder_empty_but_applied", &ran);
    let fresh = room_for("sqlite:fresh.db");
    std::fs::remove_dir_all(fresh.path("migrations")).unwrap();
    std::fs::create_dir(fresh.path("migrations")).unwrap();
    shows("folder_empty", &dunlin(&fresh, "up --create").success());
    shows("folder_empty_status", &dunlin(&fresh, "status").success());
}

#[test]
fn every_fault_of_every_file_at_once() {
    let sandbox = at_001();
    sandbox.write("migrations/002_a.sql", "CREATE TABLE a (x int);\n");
    sandbox.write("migrations/2_b.sql", "CREATE TABLE b (x int);\n");
    shows("version_twice", &dunlin(&sandbox, "up").code(2));
    sandbox.write(
        "migrations/003_c.sql",
        b"CREATE TABLE c (\n  x text DEFAULT '\xFF\xFE'\n);\n",
    );
    sandbox.write(
        "migrations/004_d.sql",
        "-- dunlin: backup = maybe\nCREATE TABLE d (x text DEFAULT 'open);\n",
    );
    sandbox.write("migrations/fix that thing.sql", "SELECT 1;\n");
    shows("faults_together", &dunlin(&sandbox, "up").code(2));
    shows(
        "faults_together_status",
        &dunlin(&sandbox, "status").code(2),
    );
}

#[test]
fn a_script_of_50_mb_runs_in_bounded_memory() {
    let sandbox = at_001();
    let mut script = String::from("CREATE TABLE big (id int, v text);\n");
    let row = format!("INSERT INTO big VALUES (1, '{}');\n", "ü€🐦 ".repeat(100));
    while script.len() < 50_000_000 {
        script.push_str(&row);
    }
    let rows = i64::try_from(script.matches("INSERT").count()).unwrap();
    sandbox.write("migrations/002_big.sql", &script);
    let mut running = sandbox.spawn(["up", "--format", "json"]);
    let mut highest = 0;
    while !running.ended() {
        highest = highest.max(memory_kb(running.id()));
        std::thread::sleep(Duration::from_millis(5));
    }
    let ran = running.wait().success();
    assert_eq!(ran.json()["data"]["applied"][0]["version"], "002");
    let connection = rusqlite::Connection::open(sandbox.path("app.db")).unwrap();
    let count: i64 = connection
        .query_row("SELECT count(*) FROM big", [], |row| row.get(0))
        .unwrap();
    assert_eq!(count, rows);
    // The file, its statements and their fingerprints: five times the script, said in the guide.
    assert!(highest > 50_000 && highest < 300_000, "{highest} kB");
}

/// The most memory that a process has had so far.
fn memory_kb(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok())
        .unwrap_or(0)
}

fn allow(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

/// Runs `up` as somebody whom modes bind. Root is bound by none: as root the command runs as `nobody`.
fn up_as_anybody(sandbox: &Sandbox) -> Ran {
    if !rooted() {
        return dunlin(sandbox, "up");
    }
    let binary = sandbox.path("dunlin");
    std::fs::copy(sandbox.binary(), &binary).unwrap();
    allow(&binary, 0o755);
    let mut shell = Sandbox::with_binary("/usr/bin/setpriv");
    let project = sandbox.project();
    allow(project.parent().unwrap(), 0o755);
    shell
        .set("DATABASE_URL", "sqlite:app.db")
        .set("HOSTNAME", "desk");
    let line = format!("cd {} && exec ./dunlin up", project.display());
    shell.dunlin([
        "--reuid=65534",
        "--regid=65534",
        "--clear-groups",
        "/bin/sh",
        "-c",
        &line,
    ])
}

fn rooted() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    status.lines().any(|line| line.starts_with("Uid:\t0\t"))
}

#[test]
fn a_file_or_folder_that_may_only_be_read() {
    let sandbox = at_001();
    sandbox.write("migrations/002_b.sql", "CREATE TABLE b (x int);\n");
    let file = sandbox.path("app.db");
    let before = std::fs::read(&file).unwrap();
    // The lock file of the first run would let a later one come further than a fresh folder does.
    let _ = std::fs::remove_file(sandbox.path("app.db-dunlin-lock"));
    allow(&file, 0o444);
    allow(&sandbox.project(), 0o777);
    let file_only = up_as_anybody(&sandbox).code(4);
    let _ = std::fs::remove_file(sandbox.path("app.db-dunlin-lock"));
    allow(&file, 0o666);
    allow(&sandbox.project(), 0o555);
    let folder = up_as_anybody(&sandbox).code(4);
    allow(&sandbox.project(), 0o755);
    assert_eq!(std::fs::read(&file).unwrap(), before);
    shows("file_read_only", &file_only);
    let project = sandbox.project().display().to_string();
    insta::assert_snapshot!(
        "folder_read_only",
        folder.snapshot().replace(&project, "[PROJECT]")
    );
}

#[test]
fn the_disk_is_full() {
    let sandbox = room();
    sandbox.write(
        "dunlin.toml",
        "[database.app]\nurl = \"sqlite:app.db\"\nprelude = [\"PRAGMA max_page_count = 40\"]\n",
    );
    let _ = dunlin(&sandbox, "up --create").success();
    sandbox.write(
        "migrations/002_fill.sql",
        "CREATE TABLE fill (v text);\nINSERT INTO fill VALUES ('a');\n\
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000)\n\
         INSERT INTO fill SELECT hex(randomblob(100)) FROM n;\n",
    );
    shows("disk_full", &dunlin(&sandbox, "up").code(1));
    shows("disk_full_status", &dunlin(&sandbox, "status").success());
    // With room again the same command goes through.
    let toml = sandbox.read("dunlin.toml").replace("40", "4000");
    sandbox.write("dunlin.toml", toml);
    shows("disk_full_again", &dunlin(&sandbox, "up").success());
}
