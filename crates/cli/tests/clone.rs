//! A copied database: the journal holds for the copy too, the original's lease does not.
#![allow(clippy::unwrap_used)]

use dunlin_testkit::sandbox::Sandbox;
use dunlin_testkit::servers::{Kind, Server};
use dunlin_testkit::{TestDatabase, for_each_engine};

fn room(database: &TestDatabase) -> Sandbox {
    let sandbox = Sandbox::with_binary(env!("CARGO_BIN_EXE_dunlin"));
    let url = database.url();
    sandbox.write("dunlin.toml", format!("[database.app]\nurl = \"{url}\"\n"));
    sandbox.write("migrations/001_a.sql", "CREATE TABLE a (id int);\n");
    sandbox
}

/// A copy on the same server, as a backup that is restored beside it makes.
fn copy_of(original: &TestDatabase, kind: Kind) -> TestDatabase {
    let copy = TestDatabase::on(Server::shared(kind));
    let (from, to) = (original.name(), copy.name());
    if kind.is_postgres() {
        let admin = TestDatabase::on(Server::shared(kind));
        admin.run(&format!("DROP DATABASE {to}"));
        admin.run(&format!("CREATE DATABASE {to} TEMPLATE {from}"));
    } else {
        let tables =
            "SELECT table_name FROM information_schema.tables WHERE table_schema = database()";
        for row in original.run(tables) {
            let table = row[0].clone().unwrap();
            copy.run(&format!("CREATE TABLE {table} LIKE {from}.{table}"));
            copy.run(&format!("INSERT INTO {table} SELECT * FROM {from}.{table}"));
        }
    }
    copy
}

for_each_engine! {
    only servers
    async fn a_lease_does_not_come_along_to_a_copy(kind: TestEngine) {
        let original = kind.database();
        let sandbox = room(&original);
        let _ = sandbox.dunlin(["up"]).success();
        // Somebody is at work on the original, or was when the copy was made.
        let now = kind.pick("", "clock_timestamp()", "UTC_TIMESTAMP(3)");
        original.run(&format!(
            "INSERT INTO dunlin_lease (id, token, holder, since, beat_at) VALUES (1, 1, 'mina@elsewhere (process 7)', '2026-01-02T03:04:05.000Z', {now})"
        ));
        let copy = copy_of(&original, kind.kind().unwrap());
        let there = room(&copy);
        let status = sandbox.dunlin(["status", "--format", "json"]).success().json();
        assert!(status["data"]["lease"]["holder"].as_str().is_some_and(|who| who.contains("mina")), "{status}");
        let status = there.dunlin(["status", "--format", "json"]).success().json();
        assert!(status["data"]["lease"].is_null(), "{status}");
        assert_eq!(status["data"]["migrations"][0]["state"], "applied", "the journal holds: {status}");
        assert!(!there.dunlin(["unlock"]).success().stdout.contains("mina"));

        there.write("migrations/002_b.sql", "CREATE TABLE b (id int);\n");
        let up = there.dunlin(["up", "--events", "-"]).success();
        assert!(up.stdout.contains("copy of another"), "{}", up.stdout);
        let identity = copy.scalar("SELECT identity FROM dunlin_fence");
        assert_ne!(identity, original.scalar("SELECT identity FROM dunlin_fence"));
        // From now on it is a database of its own.
        there.write("migrations/003_c.sql", "CREATE TABLE c (id int);\n");
        let up = there.dunlin(["up", "--events", "-"]).success();
        assert!(!up.stdout.contains("copy of another"), "{}", up.stdout);
        assert_eq!(identity, copy.scalar("SELECT identity FROM dunlin_fence"));
    }
}
