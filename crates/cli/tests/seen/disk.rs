//! A server whose disk is full in the middle of a migration: what is said, and that the same command goes on when there
//! is room, with nothing done twice.

use crate::{dunlin, room_for};
use dunlin_testkit::servers::disk::Disk;
use dunlin_testkit::servers::{Kind, Options, Server};
use dunlin_testkit::{TestDatabase, for_each_engine};

/// What goes onto the full disk: far more than it has room for.
const FREE: u64 = 3 << 20;

/// A script that makes a table, fills it with so many rows, by doubling them, and makes another one.
fn script(key: &str, doubled: u32) -> String {
    let mut script = format!(
        "CREATE TABLE fill (id {key} PRIMARY KEY, v varchar(2000));\nINSERT INTO fill (v) VALUES ('first');\n"
    );
    for _ in 0..doubled {
        script += "INSERT INTO fill (v) SELECT repeat('a row ', 200) FROM fill;\n";
    }
    script
        + "CREATE TABLE later (id int NOT NULL PRIMARY KEY);\n-- dunlin:undo\nDROP TABLE later;\nDROP TABLE fill;\n"
}

/// With room, the same command goes on to the end; after it there is nothing to do.
fn goes_on(sandbox: &dunlin_testkit::sandbox::Sandbox, database: &TestDatabase, rows: u64) {
    let went = dunlin(sandbox, "up --wait 60s --format json")
        .success()
        .json();
    assert_eq!(went["outcome"], "done", "{went:#}");
    assert_eq!(
        database.scalar("SELECT count(*) FROM fill"),
        rows.to_string()
    );
    assert!(database.has_table("later"));
    let status = dunlin(sandbox, "status --format json").success().json();
    let states = status["data"]["migrations"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["state"].as_str().unwrap_or_default().to_owned());
    assert_eq!(
        states.collect::<Vec<_>>(),
        ["applied", "applied"],
        "{status:#}"
    );
    let again = dunlin(sandbox, "up --format json").success().json();
    assert_eq!(
        again["data"]["applied"].as_array().map(Vec::len),
        Some(0),
        "{again:#}"
    );
}

for_each_engine! {
    only servers
    /// All of the server's data lies there. Some servers die of it: then the journal tells, once they are back.
    async fn the_disk_of_a_server_is_full(engine: TestEngine) {
        let disk = Disk::new(1_000);
        let server = Server::private(engine.kind().unwrap(), Options::default());
        server.move_to(&disk);
        let database = TestDatabase::on(&server);
        let sandbox = room_for(database.url());
        let _ = dunlin(&sandbox, "up").success();
        let key = engine.pick("", "serial", "int NOT NULL AUTO_INCREMENT");
        sandbox.write("migrations/002_fill.sql", script(key, 15));
        disk.leave(FREE);
        let full = dunlin(&sandbox, "up --format json").code(1).json();
        let failure = &full["failure"];
        let code = failure["code"].as_str().unwrap_or_default();
        let message = failure["message"].as_str().unwrap_or_default();
        assert!(message.contains("INSERT INTO fill") && message.contains("(line 1"), "{full:#}");
        let listed = |list: &str| failure[list].as_array().unwrap().iter().any(|one| one.as_str().unwrap().contains("INSERT INTO fill") || one.as_str().unwrap().contains("CREATE TABLE fill"));
        assert!(listed("undone"), "what was rolled back is said: {full:#}");
        assert!(failure["hints"].to_string().contains("run the same command again") || failure["hints"].to_string().contains("then run the command again"), "{full:#}");
        if engine.is_postgres() {
            assert_eq!(code, "disk-full", "{full:#}");
            assert!(!database.has_table("fill"), "rolled back");
        } else {
            assert!(["disk-full", "connection-lost"].contains(&code), "{full:#}");
            assert!(listed("done"), "the table stands: {full:#}");
        }
        disk.make_room();
        if engine.is_mysql_family() {
            server.kill9();
            server.start();
        }
        goes_on(&sandbox, &database, 1 << 15);
    }
}

/// The database's files lie there, and the server lives: everything is taken back, what committed by itself too.
#[test]
fn the_disk_of_a_database_is_full() {
    let disk = Disk::new(200);
    let server = Server::private(Kind::Mysql, Options::default());
    let database = TestDatabase::on(&server);
    let dir = server.dir().unwrap().join("data").join(database.name());
    let there = disk.path().join("database");
    let moved = std::process::Command::new("mv")
        .arg(&dir)
        .arg(&there)
        .status();
    assert!(moved.unwrap().success());
    std::os::unix::fs::symlink(&there, &dir).unwrap();
    let sandbox = room_for(database.url());
    let _ = dunlin(&sandbox, "up").success();
    sandbox.write(
        "migrations/002_fill.sql",
        script("int NOT NULL AUTO_INCREMENT", 13),
    );
    disk.leave(FREE);
    let full = dunlin(&sandbox, "up --format json").code(1).json();
    assert_eq!(full["failure"]["code"], "disk-full", "{full:#}");
    assert_eq!(
        full["failure"]["undone"].as_array().map(Vec::len),
        Some(2),
        "{full:#}"
    );
    assert!(!database.has_table("fill"), "{full:#}");
    let status = dunlin(&sandbox, "status --format json").success().json();
    assert_eq!(
        status["data"]["migrations"][1]["state"], "failed",
        "{status:#}"
    );
    disk.make_room();
    goes_on(&sandbox, &database, 1 << 13);
}

/// A binary log that has no room keeps COMMIT waiting: it is said, and whoever ends the server finds nothing done twice.
fn the_binary_log_is_full(kind: Kind) {
    let disk = Disk::new(200);
    let log = format!("--log-bin={}/binlog", disk.path().display());
    let server = Server::private(kind, Options::default().arg(log));
    let database = TestDatabase::on(&server);
    let sandbox = room_for(database.url());
    let _ = dunlin(&sandbox, "up").success();
    sandbox.write(
        "migrations/002_fill.sql",
        script("int NOT NULL AUTO_INCREMENT", 13),
    );
    disk.leave(FREE);
    let running = sandbox.spawn(["up"]);
    running.await_said("has not answered COMMIT for");
    let said = running.stderr();
    assert!(said.contains("make room there"), "{said}");
    server.kill9();
    let ran = running.wait().code(1);
    assert!(
        ran.stderr
            .contains("the journal tells whether the commit took effect"),
        "{}",
        ran.stderr
    );
    disk.make_room();
    server.start();
    goes_on(&sandbox, &database, 1 << 13);
}

#[test]
fn the_binary_log_is_full_mariadb() {
    the_binary_log_is_full(Kind::Mariadb);
}

#[test]
fn the_binary_log_is_full_mysql() {
    the_binary_log_is_full(Kind::Mysql);
}
