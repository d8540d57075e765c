//! Several runners on one database: one works, the others wait, and a pooler in the way is refused.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use dunlin_testkit::sandbox::{Running, Sandbox};
use dunlin_testkit::servers::{Kind, Options, PgBouncer, Server};
use dunlin_testkit::{TestDatabase, TestEngine, for_each_engine};

/// Six migrations whose data shows how often each was applied.
fn counting(room: &Sandbox) {
    room.write(
        "migrations/001_base.sql",
        "CREATE TABLE log (what varchar(40) NOT NULL);\nCREATE TABLE counter (n integer NOT NULL);\n\
         INSERT INTO counter VALUES (0);\n",
    );
    for n in 2..=6 {
        room.write(
            format!("migrations/00{n}_step.sql"),
            format!(
                "INSERT INTO log VALUES ('step {n}');\nCREATE TABLE t{n} (id integer NOT NULL PRIMARY KEY, a integer);\n\
                 UPDATE counter SET n = n + 1;\nALTER TABLE t{n} ADD COLUMN b integer;\n"
            ),
        );
    }
}

fn counted_once(database: &TestDatabase) {
    assert_eq!(database.scalar("SELECT n FROM counter"), "5");
    assert_eq!(database.scalar("SELECT count(*) FROM log"), "5");
    assert_eq!(database.scalar("SELECT count(DISTINCT what) FROM log"), "5");
}

fn up(room: &Sandbox, database: &TestDatabase, more: &[&str]) -> Running {
    let mut words = vec!["up", "--create", "--no-backup", "--url", database.url()];
    words.extend(more);
    room.spawn(words)
}

for_each_engine! {
    /// Fifty at once: each migration exactly once, everybody content.
    async fn invariant_09_fifty_processes_apply_every_migration_exactly_once(engine: TestEngine) {
        let (room, database) = (Sandbox::new(), engine.database());
        counting(&room);
        let all: Vec<Running> = (0..50).map(|_| up(&room, &database, &[])).collect();
        for one in all {
            one.wait().success();
        }
        counted_once(&database);
        let begun = "SELECT count(*) FROM dunlin_journal WHERE scope = 'unit' AND event = 'done'";
        assert_eq!(database.scalar(begun), "6");
    }
}

/// Behind PgBouncer in transaction mode the lease has no session: refused by name, and nothing is left behind.
#[test]
fn invariant_09_a_transaction_pooler_is_refused_without_the_way_around_it() {
    let server = Server::private(Kind::Postgres, Options::default());
    let (pooler, database) = (
        PgBouncer::transaction_mode(&server),
        TestDatabase::on(&server),
    );
    let room = Sandbox::new();
    counting(&room);
    let url = pooler.url_of(database.name());
    let refused = room
        .dunlin(["up", "--url", &url, "--format", "json"])
        .code(4);
    assert_eq!(
        refused.json()["failure"]["code"],
        "pooler",
        "{}",
        refused.stdout
    );
    assert!(!database.has_table("dunlin_journal"));
    let config = |pooler: bool| {
        format!(
            "[database.app]\nurl = \"{url}\"\ndirect_url = \"{}\"\npooler = {pooler}\n",
            database.url()
        )
    };
    for pooler in [true, false] {
        room.write("dunlin.toml", config(pooler));
        room.dunlin(["up"]).success();
        counted_once(&database);
        room.dunlin(["status"]).success();
    }
}

/// Twenty at once that build an index without blocking: a lock call that waits in a statement would stand in its way
/// for ever.
#[test]
fn invariant_09_twenty_concurrent_builders_do_not_deadlock() {
    let (room, database) = (
        Sandbox::new(),
        TestEngine::Server(Kind::Postgres).database(),
    );
    room.write(
        "migrations/001_big.sql",
        "CREATE TABLE big AS SELECT i AS id, i % 100 AS a FROM generate_series(1, 100000) i;\n",
    );
    room.write(
        "migrations/002_index.sql",
        "CREATE INDEX CONCURRENTLY big_a ON big (a);\nCREATE INDEX CONCURRENTLY ON big (id, a);\n",
    );
    let all: Vec<Running> = (0..20).map(|_| up(&room, &database, &[])).collect();
    for one in all {
        one.wait().success();
    }
    let indexes = "SELECT count(*) FROM pg_index WHERE indrelid = 'big'::regclass AND indisvalid";
    assert_eq!(database.scalar(indexes), "2");
}
