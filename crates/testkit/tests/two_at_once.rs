//! Several runners on one database: one works, the others wait or leave; who dies is succeeded within two seconds, who
//! slept writes nothing, and a pooler in the way is refused.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use dunlin_testkit::sandbox::{Running, Sandbox};
use dunlin_testkit::servers::{Kind, Options, PgBouncer, Server};
use dunlin_testkit::{TestDatabase, TestEngine, for_each_engine};
use std::time::{Duration, Instant};

/// Six migrations whose data shows how often each was applied.
fn counting(room: &Sandbox) {
    counting_with(room, "");
}

/// The same with one more statement in the third, as its third.
fn counting_with(room: &Sandbox, slow: &str) {
    room.write(
        "migrations/001_base.sql",
        "CREATE TABLE log (what varchar(40) NOT NULL);\nCREATE TABLE counter (n integer NOT NULL);\n\
         INSERT INTO counter VALUES (0);\n",
    );
    for n in 2..=6 {
        let slow = if n == 3 { slow } else { "" };
        room.write(
            format!("migrations/00{n}_step.sql"),
            format!(
                "INSERT INTO log VALUES ('step {n}');\nCREATE TABLE t{n} (id integer NOT NULL PRIMARY KEY, a integer);\n{slow}\n\
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

/// What the events say when the slow statement begins.
const SLOW: &str = "\"version\":\"003\",\"statement\":3";

/// A statement that takes a minute for the first who holds the lease, and no time for whoever succeeds it.
fn slow_at_first(engine: TestEngine) -> &'static str {
    engine.pick(
        "SELECT count(*) FROM (WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < (SELECT CASE \
         token WHEN 1 THEN 1000000000 ELSE 1 END FROM dunlin_fence)) SELECT i FROM n);",
        "SELECT pg_sleep(CASE token WHEN 1 THEN 60 ELSE 0 END) FROM dunlin_fence;",
        "SELECT SLEEP(CASE token WHEN 1 THEN 60 ELSE 0 END) FROM dunlin_fence;",
    )
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

    /// Who does not want to wait leaves with 6; who waits says for whom; who dies is succeeded within two seconds, even
    /// while the server still runs its last statement.
    async fn invariant_09_a_dead_holder_is_succeeded_within_two_seconds(engine: TestEngine) {
        let (room, database) = (Sandbox::new(), engine.database());
        counting_with(&room, slow_at_first(engine));
        let first = up(&room, &database, &["--events", "first"]);
        room.await_text("first", SLOW);
        let third = up(&room, &database, &["--no-wait"]).wait().code(6);
        let pid = format!("(process {})", first.id());
        let works = third.stderr.contains("another runner is at work: tester@");
        assert!(works && third.stderr.contains(&pid), "{}", third.stderr);
        let second = up(&room, &database, &["--events", "second"]);
        second.await_said("waiting for another runner: tester@");
        assert!(second.stderr().contains(&pid), "{}", second.stderr());
        first.signal("KILL");
        let killed = Instant::now();
        let taken = room.await_text("second", "lease_taken");
        assert!(taken - killed < Duration::from_secs(2), "{:?}", taken - killed);
        second.wait().success();
        counted_once(&database);
    }

    /// A holder that was stopped in a statement loses its place; woken, it writes no data and no record, not even that
    /// it ended.
    async fn invariant_09_a_stopped_holder_writes_nothing_when_it_wakes(engine: TestEngine) {
        let (mut room, database) = (Sandbox::new(), engine.database());
        room.set("DUNLIN_TEST_LEASE_TTL_MS", TTL);
        counting_with(&room, slow_at_first(engine));
        let first = up(&room, &database, &["--events", "first"]);
        room.await_text("first", SLOW);
        first.signal("STOP");
        let second = up(&room, &database, &["--events", "second"]);
        // A file has one writer: the stopped one keeps it until it wakes. Elsewhere its session is ended.
        let second = if engine == TestEngine::Sqlite {
            second.await_said(KEEPS_IT);
            Err(second)
        } else {
            let second = second.wait().success();
            counted_once(&database);
            Ok(second)
        };
        let (of_first, all) = (written_by(&database, 1), written(&database));
        first.signal("CONT");
        let first = first.wait().code(6);
        assert!(first.stderr.contains("error[lease-lost]"), "{}", first.stderr);
        assert_eq!(written_by(&database, 1), of_first, "{}", first.stderr);
        match second {
            Ok(_) => assert_eq!(written(&database), all, "{}", first.stderr),
            Err(waiting) => drop(waiting.wait().success()),
        }
        counted_once(&database);
    }

    /// Stopped wherever it happened to be: what it wrote was written before its place was taken.
    async fn invariant_09_a_holder_stopped_anywhere_is_succeeded_once(engine: TestEngine) {
        for stop in ["lease_taken", "\"version\":\"004\""] {
            let (mut room, database) = (Sandbox::new(), engine.database());
            room.set("DUNLIN_TEST_LEASE_TTL_MS", TTL);
            counting(&room);
            let first = up(&room, &database, &["--events", "first"]);
            room.await_text("first", stop);
            first.signal("STOP");
            let mut second = up(&room, &database, &["--events", "second"]);
            let kept = |said: &str| engine == TestEngine::Sqlite && said.contains(KEEPS_IT);
            while !second.ended() && !kept(&second.stderr()) {
                std::thread::sleep(Duration::from_millis(3));
            }
            first.signal("CONT");
            let (first, second) = (first.wait(), second.wait().success());
            counted_once(&database);
            let said = format!("{stop}\n{:?}: {}\n{}", first.code, first.stderr, second.stderr);
            assert!([Some(0), Some(6)].contains(&first.code), "{said}");
            let late = "SELECT count(*) FROM dunlin_journal WHERE token = 1 AND id > (SELECT min(id) FROM dunlin_journal \
                        WHERE token = 2)";
            assert_eq!(database.scalar(late), "0", "{said}");
        }
    }
}

for_each_engine! {
    only servers
    /// Who loses the connection twice while it looks for the histories of other tools has not seen that there are none.
    async fn a_look_for_other_histories_that_fails_is_no_look(engine: TestEngine) {
        let (room, database) = (Sandbox::new(), engine.database());
        counting(&room);
        let url = database.url();
        let (before, rest) = url.rsplit_once(':').unwrap();
        let (port, name) = rest.split_once('/').unwrap();
        let line = dunlin_testkit::line::Line::to(port.parse().unwrap()).await;
        let through = format!("{before}:{}/{name}", line.port);
        let _ = room.dunlin(["up", "--dry-run", "--url", &through]).success();
        line.cut_on("flyway_schema_history");
        let lost = room.dunlin(["up", "--url", &through, "--format", "json"]).code(4).json();
        assert_eq!(lost["failure"]["code"], "connection-lost", "{lost}");
        assert!(!database.has_table("dunlin_journal"));
    }
}

/// What is said of a writer that was stopped while it had the file to itself.
const KEEPS_IT: &str = "which keeps the database locked";

/// After how long without a beat a holder counts as stopped here. Below the pause between two beats: a holder that lives
/// is only watched for a moment then, and nothing in these tests waits for one that lives.
const TTL: &str = "400";

fn written(database: &TestDatabase) -> String {
    database.scalar("SELECT count(*) FROM dunlin_journal")
}

fn written_by(database: &TestDatabase, token: u32) -> String {
    let count = "SELECT count(*) FROM dunlin_journal WHERE token";
    database.scalar(&format!("{count} = {token}"))
}

/// The server ends idle sessions early: that must not end a holder that lives, nor one that waits.
fn an_idle_bound_does_not_matter(kind: Kind, bounds: &[&str], asked: &str) {
    let options = bounds
        .iter()
        .fold(Options::default(), |all, one| all.arg(*one));
    let server = Server::private(kind, options);
    let database = TestDatabase::on(&server);
    assert!(["1", "1s"].contains(&database.scalar(asked).as_str()));
    let room = Sandbox::new();
    let slow = if kind.is_postgres() {
        "SELECT pg_sleep(3.5);"
    } else {
        "SELECT SLEEP(3.5);"
    };
    counting_with(&room, slow);
    let first = up(&room, &database, &["--events", "first"]);
    room.await_text("first", SLOW);
    let second = up(&room, &database, &[]);
    second.await_said("waiting for another runner");
    // Twice the bound, by the server's clock.
    let nap = if kind.is_postgres() {
        "SELECT pg_sleep(2.5)"
    } else {
        "SELECT SLEEP(2.5)"
    };
    database.run(nap);
    let third = up(&room, &database, &["--no-wait"]).wait().code(6);
    assert!(
        third.stderr.contains("another runner is at work"),
        "{}",
        third.stderr
    );
    first.wait().success();
    second.wait().success();
    counted_once(&database);
}

#[test]
fn invariant_09_a_short_wait_timeout_does_not_lose_the_lease_on_mariadb() {
    let bounds = ["--wait-timeout=1", "--interactive-timeout=1"];
    an_idle_bound_does_not_matter(Kind::Mariadb, &bounds, "SELECT @@global.wait_timeout");
}

#[test]
fn invariant_09_a_short_wait_timeout_does_not_lose_the_lease_on_mysql() {
    let bounds = ["--wait-timeout=1", "--interactive-timeout=1"];
    an_idle_bound_does_not_matter(Kind::Mysql, &bounds, "SELECT @@global.wait_timeout");
}

#[test]
fn invariant_09_a_short_idle_session_timeout_does_not_lose_the_lease() {
    let bounds = [
        "-cidle_session_timeout=1s",
        "-cidle_in_transaction_session_timeout=1s",
    ];
    an_idle_bound_does_not_matter(Kind::Postgres, &bounds, "SHOW idle_session_timeout");
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

for_each_engine! {
    only servers
    /// Who is forced out claims as applied only what the journal says too, and the next run goes on from there.
    async fn invariant_14_who_is_forced_out_claims_only_what_is_recorded(engine: TestEngine) {
        let (room, database) = (Sandbox::new(), engine.database());
        room.write("migrations/001_base.sql", "CREATE TABLE a (id integer NOT NULL PRIMARY KEY);\n");
        room.write("migrations/002_slow.sql", slow_at_first(engine));
        let first = up(&room, &database, &["--events", "first", "--format", "json"]);
        room.await_text("first", "\"version\":\"002\",\"statement\":1");
        let unlocked = room.dunlin(["unlock", "--force", "--yes", "--url", database.url()]);
        let _ = unlocked.success();
        let first = first.wait().json();
        assert_ne!(first["outcome"], "done", "{first}");
        let claimed = first["data"]["applied"].as_array().unwrap().len();
        let status = room.dunlin(["status", "--format", "json", "--url", database.url()]).json();
        let lines = status["data"]["migrations"].as_array().unwrap();
        let recorded = lines.iter().filter(|line| line["state"] == "applied").count();
        assert_eq!(claimed, recorded, "claimed: {first}, recorded: {status}");
        let _ = up(&room, &database, &[]).wait().success();
        let status = room.dunlin(["status", "--format", "json", "--url", database.url()]).json();
        assert_eq!(status["data"]["current"], "002", "{status}");
    }
}
