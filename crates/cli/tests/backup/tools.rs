//! The tools that servers' makers ship: what they are told and how, what they may know, and what is done without them.

use super::{files, fill, room};
use dunlin_testkit::sandbox::Sandbox;
use dunlin_testkit::servers::{Kind, PASSWORD, Server};
use dunlin_testkit::{TestDatabase, TestEngine, for_each_engine};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

/// Lays a program into the sandbox's own folder of programs.
pub(super) fn program(sandbox: &Sandbox, name: &str, script: &str) {
    let file = format!("bin/{name}");
    sandbox.write(&file, script);
    std::fs::set_permissions(sandbox.path(&file), std::fs::Permissions::from_mode(0o755)).unwrap();
}

/// The folder with the programs that fit the engine's server.
pub(super) fn real(kind: TestEngine) -> PathBuf {
    let server = kind.kind().map(Server::shared);
    let tools = server.and_then(|server| server.tools().ok());
    tools.unwrap_or_else(|| PathBuf::from("/usr/bin"))
}

/// The tools of an engine.
pub(super) fn names(kind: TestEngine) -> &'static [&'static str] {
    match kind.kind() {
        Some(Kind::Mariadb) => &["mariadb-dump"],
        Some(Kind::Mysql) => &["mysqldump"],
        _ => &["pg_dump", "pg_restore"],
    }
}

/// What a database of this family holds beside tables, made by its own words.
pub(super) fn objects(kind: TestEngine, database: &TestDatabase) {
    if kind.is_postgres() {
        database.run("CREATE FUNCTION marked() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.title := 'marked; by trigger'; RETURN NEW; END $$");
        database.run(
            "CREATE TRIGGER marks BEFORE INSERT ON notes FOR EACH ROW EXECUTE FUNCTION marked()",
        );
    } else {
        database.run("CREATE TRIGGER marks BEFORE INSERT ON notes FOR EACH ROW BEGIN SET NEW.title = 'marked; by trigger'; END");
        database.run("CREATE PROCEDURE counted() BEGIN SELECT count(*) FROM notes; SELECT 1; END");
        database.run("CREATE FUNCTION twice(n int) RETURNS int DETERMINISTIC RETURN n * 2");
        database.run("CREATE EVENT tidies ON SCHEDULE EVERY 1 DAY DO BEGIN DELETE FROM notes WHERE id < 0; END");
        database.run("CREATE VIEW doubled AS SELECT id, twice(id) AS n FROM notes");
    }
    database.run("CREATE VIEW titles AS SELECT id, title FROM notes");
}

/// How many triggers, views, routines and events there are.
fn counts(kind: TestEngine, database: &TestDatabase) -> Vec<String> {
    let here = kind.pick("", "current_schema()", "database()");
    let mut asked = vec![
        format!("SELECT count(*) FROM information_schema.triggers WHERE trigger_schema = {here}"),
        format!("SELECT count(*) FROM information_schema.views WHERE table_schema = {here}"),
        format!("SELECT count(*) FROM information_schema.routines WHERE routine_schema = {here}"),
    ];
    if kind.is_mysql_family() {
        asked.push(format!(
            "SELECT count(*) FROM information_schema.events WHERE event_schema = {here}"
        ));
    }
    asked.iter().map(|sql| database.scalar(sql)).collect()
}

/// Makes a backup, verifies it, empties the database and brings it back: everything is there, and no trigger has
/// touched a row on the way. Gives what `backup create` said.
fn there_and_back(
    kind: TestEngine,
    database: &TestDatabase,
    sandbox: &Sandbox,
) -> serde_json::Value {
    let digest = || {
        sandbox
            .dunlin(["digest", "notes", "--format", "json"])
            .success()
            .json()["data"]["tables"]
            .clone()
    };
    let (rows, found) = (digest(), counts(kind, database));
    let made = sandbox
        .dunlin(["backup", "create", "--format", "json"])
        .success()
        .json();
    let _ = sandbox.dunlin(["backup", "verify"]).success();
    database.run("DROP VIEW titles");
    database.run("DROP TABLE notes");
    let path = made["data"]["items"][0]["path"]
        .as_str()
        .unwrap()
        .to_owned();
    let _ = sandbox
        .dunlin(["backup", "restore", &path, "--replace"])
        .success();
    assert_eq!(counts(kind, database), found);
    assert_eq!(digest(), rows);
    database.run("INSERT INTO notes (id) VALUES (100000)");
    assert_eq!(
        database.scalar("SELECT title FROM titles WHERE id = 100000"),
        "marked; by trigger"
    );
    made
}

for_each_engine! {
    only servers
    /// Beside tables of the usual kind: what an emptied database keeps (schemas, large objects, operators), and what no
    /// transaction holds.
    async fn what_is_odd_comes_back_too(kind: TestEngine) {
        let database = kind.database();
        let sandbox = room(kind, &database);
        fill(&database);
        objects(kind, &database);
        let odd = if kind.is_postgres() {
            for sql in [
                "CREATE SCHEMA \"a b\"",
                "CREATE SCHEMA a",
                "CREATE TABLE \"a b\".odd (n int); INSERT INTO \"a b\".odd VALUES (1), (2)",
                "CREATE OPERATOR a.=== (leftarg = int, rightarg = int, function = int4eq)",
                "CREATE TEXT SEARCH CONFIGURATION \"a b\".words (copy = simple)",
            ] {
                database.run(sql);
            }
            database.run("SELECT lo_from_bytea(0, '\\xff')");
            "\"a b\".odd"
        } else {
            database.run("CREATE TABLE odd (n int, KEY (n)) ENGINE=MyISAM");
            database.run("INSERT INTO odd VALUES (1), (2)");
            database.run("CREATE TABLE z (n int PRIMARY KEY)");
            database.run("INSERT INTO z VALUES (1)");
            "odd"
        };
        let _ = there_and_back(kind, &database, &sandbox);
        assert_eq!(database.scalar(&format!("SELECT count(*) FROM {odd}")), "2");
        let _ = sandbox.dunlin(["up"]).success();
    }

    /// The password stands in files of mode 0600 and nowhere else: not among the arguments, not in the environment, for
    /// as long as the tool runs.
    async fn no_tool_is_told_the_password_but_by_a_private_file(kind: TestEngine) {
        let database = kind.database();
        let mut sandbox = room(kind, &database);
        fill(&database);
        objects(kind, &database);
        let log = sandbox.path("seen.log");
        for name in names(kind) {
            let script = format!(
                "#!/bin/sh\n\
                 tr '\\0' '\\n' < /proc/$$/cmdline >> {log}\n\
                 tr '\\0' '\\n' < /proc/$$/environ >> {log}\n\
                 for argument; do case $argument in --defaults-file=*) cp \"${{argument#*=}}\" {log}.file; stat -c 'mode %a' \"${{argument#*=}}\" >> {log} ;; esac; done\n\
                 [ -n \"$PGPASSFILE\" ] && cp \"$PGPASSFILE\" {log}.file && stat -c 'mode %a' \"$PGPASSFILE\" >> {log}\n\
                 for file in {backups}/.[!.]*; do [ -e \"$file\" ] && stat -c 'mode %a' \"$file\" >> {log}; done\n\
                 exec {real} \"$@\"\n",
                log = log.display(),
                backups = sandbox.path("backups").display(),
                real = real(kind).join(name).display(),
            );
            program(&sandbox, name, &script);
        }
        // Where people keep it: none of these is handed down.
        sandbox.write("dunlin.toml", "[database.app]\nurl = \"${DATABASE_URL}\"\n");
        sandbox.set("DATABASE_URL", database.url());
        sandbox.set("MYSQL_PWD", PASSWORD).set("PGPASSWORD", PASSWORD);
        sandbox.set("PATH", format!("{}:/usr/bin:/bin", sandbox.path("bin").display()));
        let made = there_and_back(kind, &database, &sandbox);
        let tool = made["data"]["items"][0]["tool"].as_str().unwrap_or_default().to_owned();
        assert!(tool.starts_with(names(kind)[0]), "{made}");
        let seen = sandbox.read("seen.log");
        assert!(!seen.contains(PASSWORD), "{seen}");
        assert!(seen.contains("--no-data\n--routines\n--triggers\n--events\n") != kind.is_postgres(), "{seen}");
        let modes: Vec<&str> = seen.lines().filter(|line| line.starts_with("mode ")).collect();
        assert!(modes.len() >= 2 && modes.iter().all(|mode| *mode == "mode 600"), "{modes:?}");
        assert!(sandbox.read("seen.log.file").contains(PASSWORD), "that is where it stands");
        // Gone when the tool is done.
        let left: Vec<_> = files(&sandbox).into_iter().filter(|file| file.file_name().unwrap().to_string_lossy().starts_with('.')).collect();
        assert!(left.is_empty(), "{left:?}");
    }
}

for_each_engine! {
    only servers
    /// Without the tool, or with one that is too old, the backup is our own, and the command that installs it is said.
    async fn without_a_tool_the_backup_is_our_own_and_says_so(kind: TestEngine) {
        let database = kind.database();
        let mut sandbox = room(kind, &database);
        fill(&database);
        objects(kind, &database);
        sandbox.write("bin/nothing", "");
        sandbox.set("PATH", sandbox.path("bin").display().to_string());
        let made = there_and_back(kind, &database, &sandbox);
        let finding = |made: &serde_json::Value| {
            let found = made["findings"].as_array().unwrap().iter().find(|finding| finding["code"] == "dump-tool-missing").cloned();
            found.unwrap_or_default()
        };
        let missing = finding(&made);
        let package = kind.pick("", "postgresql-client", if kind.kind() == Some(Kind::Mariadb) { "mariadb-client" } else { "default-mysql-client" });
        assert!(missing["message"].as_str().unwrap_or_default().contains("is not installed"), "{made}");
        assert!(missing["help"].to_string().contains(&format!("apt-get install {package}")), "{made}");
        assert_eq!(made["data"]["items"][0]["method"], "own");
        assert!(!made["data"]["items"][0]["lacks"].as_array().unwrap().is_empty(), "{made}");

        let old = kind.pick("", "pg_dump (PostgreSQL) 9.6.24", if kind.kind() == Some(Kind::Mariadb) { "mariadb-dump  Ver 10.19 Distrib 5.5.68-MariaDB, for Linux" } else { "mysqldump  Ver 5.6.51 for Linux" });
        program(&sandbox, names(kind)[0], &format!("#!/bin/sh\necho '{old}'\n"));
        let made = sandbox.dunlin(["backup", "create", "--format", "json"]).success().json();
        let too_old = finding(&made);
        let said = too_old["message"].as_str().unwrap_or_default();
        assert!(said.contains(" is of version "), "{made}");
        assert!(too_old["help"].to_string().contains("apt-get install"), "{made}");
    }
}

/// A tool first in PATH that leaves rows out and exits 0: the backup is made, and verifying it tells.
#[test]
fn a_tool_that_drops_rows_and_exits_0_is_found_out() {
    use std::os::unix::fs::PermissionsExt;
    let kind = TestEngine::Server(Kind::Postgres);
    let database = kind.database();
    let mut sandbox = room(kind, &database);
    fill(&database);
    sandbox.write(
        "bin/pg_dump",
        "#!/bin/sh\n[ \"$1\" = --version ] && exec /usr/bin/pg_dump --version\n\
         exec /usr/bin/pg_dump --exclude-table-data=notes \"$@\"\n",
    );
    let wrapper = sandbox.project().join("bin/pg_dump");
    std::fs::set_permissions(&wrapper, std::fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:/usr/bin:/bin", sandbox.project().join("bin").display());
    sandbox.set("PATH", path);
    let made = sandbox
        .dunlin(["backup", "create", "--format", "json"])
        .success()
        .json();
    assert_eq!(made["data"]["items"][0]["method"], "tool", "{made}");
    let unequal = sandbox
        .dunlin(["backup", "verify", "--format", "json"])
        .code(5)
        .json();
    assert_eq!(unequal["failure"]["code"], "backup-unequal");
    // Before `up` the same: nothing is applied on top of a backup that does not hold what it should.
    sandbox.write(
        "migrations/002_more.sql",
        "-- dunlin: backup = true\nALTER TABLE notes ADD COLUMN more int;\n",
    );
    let refused = sandbox.dunlin(["up", "--format", "json"]).code(4).json();
    assert_eq!(refused["failure"]["code"], "backup-unequal");
    let columns = "SELECT count(*) FROM information_schema.columns WHERE table_name = 'notes' AND column_name = 'more'";
    assert_eq!(database.scalar(columns), "0");
}
