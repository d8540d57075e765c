//! Whatever dies, and wherever: nothing is done twice, nothing is left out in silence, and what no rule settles is said.
//! The rounds of `cargo x crash` kill at random; here each death has its place.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use dunlin_testkit::sandbox::{Running, Sandbox};
use dunlin_testkit::servers::{Kind, Options, Server};
use dunlin_testkit::{TestDatabase, TestEngine, for_each_engine};
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Three migrations that count how often they were applied; `slow` is the third statement of the second.
fn counting(room: &Sandbox, slow: &str) {
    room.write(
        "migrations/001_base.sql",
        "CREATE TABLE log (what varchar(40) NOT NULL);\nCREATE TABLE counter (n integer NOT NULL);\n\
         INSERT INTO counter VALUES (0);\n",
    );
    for n in 2..=3 {
        let slow = if n == 2 { slow } else { "" };
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
    assert_eq!(database.scalar("SELECT n FROM counter"), "2");
    assert_eq!(database.scalar("SELECT count(*) FROM log"), "2");
    assert_eq!(database.scalar("SELECT count(DISTINCT what) FROM log"), "2");
    let done = "SELECT count(*) FROM dunlin_journal WHERE scope = 'unit' AND event = 'done'";
    assert_eq!(database.scalar(done), "3");
}

/// What the events say when, and when not before, the slow statement begins.
const SLOW: &str = "\"version\":\"002\",\"statement\":3";
const SLOW_DONE: &str = "\"event\":\"statement_done\",\"version\":\"002\",\"statement\":3";

/// A statement that takes this long for the first who holds the lease, and no time for those after it.
fn slow_at_first(engine: TestEngine, seconds: f64) -> String {
    let steps = (seconds * 3_000_000.0).round();
    engine
        .pick(
            "SELECT count(*) FROM (WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < (SELECT CASE \
             token WHEN 1 THEN {steps} ELSE 1 END FROM dunlin_fence)) SELECT i FROM n);",
            "SELECT pg_sleep(CASE token WHEN 1 THEN {seconds} ELSE 0 END) FROM dunlin_fence;",
            "SELECT SLEEP(CASE token WHEN 1 THEN {seconds} ELSE 0 END) FROM dunlin_fence;",
        )
        .replace("{steps}", &steps.to_string())
        .replace("{seconds}", &seconds.to_string())
}

fn up(room: &Sandbox, url: &str, more: &[&str]) -> Running {
    let mut words = vec!["up", "--create", "--no-backup", "--url", url];
    words.extend(more);
    room.spawn(words)
}

/// Asks until the answer is as wanted.
fn until(database: &TestDatabase, sql: &str, wanted: &str) {
    let started = Instant::now();
    while database.scalar(sql) != wanted {
        let patient = started.elapsed() < Duration::from_secs(60);
        assert!(patient, "after a minute not {wanted}: {sql}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

for_each_engine! {
    /// Ctrl-C once: the statement in flight ends, everything is recorded, the lease is given back, and the next run goes
    /// on. Twice: the statement is cancelled.
    async fn invariant_16_ctrl_c_once_ends_after_the_statement_and_twice_cancels_it(engine: TestEngine) {
        for (twice, seconds) in [(false, 1.0), (true, 60.0)] {
            let (room, database) = (Sandbox::new(), engine.database());
            counting(&room, &slow_at_first(engine, seconds));
            let first = up(&room, database.url(), &["--events", "first"]);
            room.await_text("first", SLOW);
            first.signal("INT");
            first.await_said("stopping after this statement; once more cancels it");
            if twice {
                first.signal("INT");
            }
            let first = first.wait().code(130);
            assert!(first.stderr.contains("interrupted"), "{}", first.stderr);
            assert!(first.took < Duration::from_secs(30), "{:?}", first.took);
            let ended = room.read("first").contains(SLOW_DONE);
            // An interrupted SLEEP is no error to every server: it ends early, and well.
            assert!(ended || twice, "{}", room.read("first"));
            assert!(!database.has_table("t3"));
            let record = "SELECT count(*) FROM dunlin_journal WHERE scope = 'run' AND event = 'ended'";
            assert_eq!(database.scalar(record), "1");
            up(&room, database.url(), &["--no-wait"]).wait().success();
            counted_once(&database);
        }
    }

    /// A script that commits by itself in its middle is refused, and nothing is touched.
    async fn invariant_06_a_commit_inside_of_a_script_is_refused_before_the_run(engine: TestEngine) {
        for word in ["COMMIT", "ROLLBACK", "BEGIN"] {
            let (room, database) = (Sandbox::new(), engine.database());
            let text = format!("CREATE TABLE a (b integer);\n{word};\nINSERT INTO a VALUES (1);\n");
            room.write("migrations/001_split.sql", text);
            let refused = up(&room, database.url(), &[]).wait();
            assert!([Some(2), Some(4)].contains(&refused.code), "{refused:?}");
            assert!(refused.stderr.contains("error[transaction-control]"), "{}", refused.stderr);
            assert!(!database.has_table("a") && !database.has_table("dunlin_journal"));
        }
    }

    /// A temporary table is shared by whatever names it: where everything can be rolled back those statements are one
    /// unit even apart from transactions, and elsewhere DDL between them is refused before the run.
    async fn invariant_08_what_names_a_temporary_table_is_one_unit(engine: TestEngine) {
        let (room, database) = (Sandbox::new(), engine.database());
        room.write("migrations/001_base.sql", "CREATE TABLE kept (a integer);\nCREATE TABLE other (a integer);\n");
        let head = if engine.is_mysql_family() { "" } else { "-- dunlin: transaction = \"none\"\n" };
        let text = format!(
            "{head}INSERT INTO other VALUES (1);\nCREATE TEMPORARY TABLE tmp (a integer);\nINSERT INTO tmp VALUES (3);\n\
             ALTER TABLE other ADD COLUMN b integer;\nINSERT INTO kept SELECT a FROM tmp;\nINSERT INTO kept SELECT nothing \
             FROM tmp;\n"
        );
        room.write("migrations/002_shared.sql", text);
        up(&room, database.url(), &["--to", "001"]).wait().success();
        let ran = up(&room, database.url(), &[]).wait();
        if engine.is_mysql_family() {
            let ran = ran.code(4);
            assert!(ran.stderr.contains("error[not-resumable]"), "{}", ran.stderr);
            assert_eq!(database.scalar("SELECT count(*) FROM other"), "0");
        } else {
            // One unit: its last statement fails, and all of it is taken back.
            let ran = ran.code(1);
            assert!(ran.stderr.contains("002 statements 2 to 6"), "{}", ran.stderr);
            assert!(database.try_run("SELECT b FROM other").is_err());
        }
        assert_eq!(database.scalar("SELECT count(*) FROM kept"), "0");
    }
}

/// A line to a server that is cut when a connection that has said `mark` says COMMIT: before the server hears of it, or
/// after it has done it and before the client hears of that.
struct Cut {
    port: u16,
    cut: Arc<AtomicBool>,
}

impl Cut {
    fn to(server: u16, mark: &'static [u8], after: bool) -> Cut {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let cut = Arc::new(AtomicBool::new(false));
        let shared = Arc::clone(&cut);
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let server = TcpStream::connect(("127.0.0.1", server)).unwrap();
                client.set_nodelay(true).unwrap();
                server.set_nodelay(true).unwrap();
                Cut::join(client, server, mark, after, &shared);
            }
        });
        Cut { port, cut }
    }

    fn join(
        client: TcpStream,
        server: TcpStream,
        mark: &'static [u8],
        after: bool,
        cut: &Arc<AtomicBool>,
    ) {
        let holds = |data: &[u8], text: &[u8]| data.windows(text.len()).any(|part| part == text);
        let mute = Arc::new(AtomicBool::new(false));
        let (mut from_server, mut to_client) =
            (server.try_clone().unwrap(), client.try_clone().unwrap());
        let muted = Arc::clone(&mute);
        std::thread::spawn(move || {
            let mut buffer = vec![0; 1 << 16];
            while let Ok(n @ 1..) = from_server.read(&mut buffer) {
                if muted.load(Ordering::SeqCst) || to_client.write_all(&buffer[..n]).is_err() {
                    break;
                }
            }
            let _ = to_client.shutdown(Shutdown::Both);
            let _ = from_server.shutdown(Shutdown::Both);
        });
        let (cut, mut from_client, mut to_server) = (Arc::clone(cut), client, server);
        std::thread::spawn(move || {
            let (mut buffer, mut marked) = (vec![0; 1 << 16], false);
            while let Ok(n @ 1..) = from_client.read(&mut buffer) {
                marked |= holds(&buffer[..n], mark);
                if marked && holds(&buffer[..n], b"COMMIT") && !cut.swap(true, Ordering::SeqCst) {
                    mute.store(true, Ordering::SeqCst);
                    if !after {
                        break;
                    }
                }
                if to_server.write_all(&buffer[..n]).is_err() {
                    break;
                }
            }
            let _ = to_server.shutdown(Shutdown::Both);
            // Whoever waits for the server's last answer ends with it.
            let _ = from_client.shutdown(if mute.load(Ordering::SeqCst) {
                Shutdown::Both
            } else {
                Shutdown::Read
            });
        });
    }
}

for_each_engine! {
    only servers

    /// The connection goes while a COMMIT is under way: whether it took effect is read from the journal by the next run,
    /// and nothing runs twice.
    async fn invariant_06_a_connection_lost_during_commit_is_settled_by_the_journal(engine: TestEngine) {
        let server = Server::shared(engine.kind().unwrap());
        if server.port() == 0 {
            return; // a server of somebody's own, behind who knows what
        }
        for after in [false, true] {
            let (room, database) = (Sandbox::new(), engine.database());
            counting(&room, "");
            let line = Cut::to(server.port(), b"'step 2'", after);
            let url = database.url().replace(&format!(":{}/", server.port()), &format!(":{}/", line.port));
            let first = up(&room, &url, &[]).wait().code(1);
            assert!(line.cut.load(Ordering::SeqCst), "{}", first.stderr);
            let said = first.stderr.contains("error[connection-lost]")
                && first.stderr.contains("was committed")
                && first.stderr.contains("the journal tells whether the commit took effect");
            assert!(said, "{}", first.stderr);
            until(&database, "SELECT count(*) FROM log", if after { "1" } else { "0" });
            up(&room, database.url(), &[]).wait().success();
            counted_once(&database);
        }
    }

    /// What is not exactly-once is said before the run, where it stands, and once; a dry run says it too.
    async fn invariant_07_what_is_not_exactly_once_is_announced_before_the_run(engine: TestEngine) {
        let (room, database) = (Sandbox::new(), engine.database());
        let base = engine.pick(
            "",
            "CREATE UNLOGGED TABLE m (a integer);\nCREATE TABLE safe (a integer);\n\
             CREATE PROCEDURE p() LANGUAGE sql AS $$ INSERT INTO safe VALUES (9) $$;\n",
            "CREATE TABLE m (a integer) ENGINE=MyISAM;\nCREATE TABLE safe (a integer);\n\
             CREATE PROCEDURE p() INSERT INTO safe VALUES (9);\n",
        );
        room.write("migrations/001_base.sql", base);
        up(&room, database.url(), &[]).wait().success();
        room.write("migrations/002_known.sql", "INSERT INTO m VALUES (1);\n");
        room.write("migrations/003_safe.sql", "INSERT INTO safe VALUES (1);\n");
        let call = engine.pick("", "-- dunlin: transaction = \"none\"\nCALL p();\n", "CALL p();\n");
        room.write("migrations/004_call.sql", call);
        let made = engine.pick(
            "",
            "CREATE UNLOGGED TABLE m2 (a integer);\nINSERT INTO m2 VALUES (1);\n",
            "CREATE TABLE m2 (a integer) ENGINE=MEMORY;\nINSERT INTO m2 VALUES (1);\n",
        );
        room.write("migrations/005_made_here.sql", made);
        let about = |findings: &serde_json::Value| -> Vec<String> {
            let all = findings.as_array().unwrap().iter();
            let ours = all.filter(|one| one["code"] == "not-exactly-once");
            ours.map(|one| one["where"]["file"].as_str().unwrap().to_owned()).collect()
        };
        let expected = ["migrations/002_known.sql", "migrations/004_call.sql", "migrations/005_made_here.sql"];
        let url = database.url();
        let dry = room.dunlin(["up", "--dry-run", "--format", "json", "--url", url]).success();
        assert_eq!(about(&dry.json()["findings"]), expected, "{}", dry.stdout);
        assert_eq!(database.scalar("SELECT count(*) FROM m"), "0");
        let ran = up(&room, url, &["--events", "events"]).wait().success();
        assert_eq!(ran.stderr.matches("warning[not-exactly-once]").count(), 3, "{}", ran.stderr);
        let events = room.read("events");
        let (said, taken) = (events.rfind("\"event\":\"found\""), events.find("lease_taken"));
        assert!(said.is_some() && said < taken, "{events}");
    }

    /// What no rule settles ends in 7 with what a person has to look at, however often it is run; by their word the run
    /// goes on.
    async fn invariant_07_a_doubt_waits_for_a_persons_word(engine: TestEngine) {
        for (word, more) in [("done", 0), ("not-done", 1)] {
            let (room, database) = (Sandbox::new(), engine.database());
            let url = database.url();
            let m = engine.pick("", "CREATE UNLOGGED TABLE m (a integer);", "CREATE TABLE m (a integer) ENGINE=MyISAM;");
            room.write("migrations/001_base.sql", format!("{m}\nCREATE TABLE safe (a integer);\n"));
            let slow = engine.pick(
                "",
                "INSERT INTO m SELECT 2 FROM dunlin_fence, LATERAL (SELECT pg_sleep(CASE token WHEN 1 THEN 60 ELSE 0 END)) s;",
                "INSERT INTO m SELECT 2 + SLEEP(CASE token WHEN 1 THEN 60 ELSE 0 END) FROM dunlin_fence;",
            );
            let text = format!("INSERT INTO m VALUES (1);\n{slow}\nINSERT INTO safe VALUES (1);\n");
            room.write("migrations/002_doubt.sql", text);
            let first = up(&room, url, &["--events", "first"]);
            room.await_text("first", "\"version\":\"002\",\"statement\":2");
            first.signal("KILL");
            assert_eq!(first.wait().code, None);
            let mut rows: Option<String> = None;
            for _ in 0..2 {
                let doubt = up(&room, url, &[]).wait().code(7);
                for sentence in [
                    "error[in-doubt]",
                    "002 statement 2 (line 2): INSERT INTO m SELECT 2",
                    "began and its end is not known",
                    "Nothing has been touched",
                    "`dunlin repair --settle 002 done`",
                    "`dunlin repair --settle 002 not-done`",
                ] {
                    assert!(doubt.stderr.contains(sentence), "{sentence}: {}", doubt.stderr);
                }
                // What the dead statement did to a table without transactions, nobody can tell; it stays as it is.
                let there = database.scalar("SELECT count(*) FROM m");
                assert!(rows.replace(there.clone()).is_none_or(|before| before == there));
                assert_eq!(database.scalar("SELECT count(*) FROM safe"), "0");
            }
            assert_eq!(room.dunlin(["status", "--exit-code", "--url", url]).code, Some(7));
            drop(room.dunlin(["repair", "--settle", "002", word, "--url", url]).success());
            up(&room, url, &[]).wait().success();
            let expected = rows.unwrap().parse::<u32>().unwrap() + more;
            assert_eq!(database.scalar("SELECT count(*) FROM m"), expected.to_string(), "{word}");
            assert_eq!(database.scalar("SELECT count(*) FROM safe"), "1");
        }
    }

    /// A dead client's ALTER still runs on the server: the next run ends it or waits for it, and finds out what became of
    /// it, before anything else is done.
    async fn invariant_09_a_dead_clients_alter_is_not_run_again(engine: TestEngine) {
        let (room, database) = (Sandbox::new(), engine.database());
        let url = database.url();
        let base = engine.pick(
            "",
            "CREATE TABLE big (id integer PRIMARY KEY);\nINSERT INTO big SELECT i FROM generate_series(1, 40) i;\n\
             CREATE FUNCTION slow(i integer) RETURNS integer LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN PERFORM pg_sleep(0.05); \
             RETURN i; END $$;\n",
            "CREATE TABLE big (id integer PRIMARY KEY);\nINSERT INTO big WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i \
             + 1 FROM n WHERE i < 600) SELECT i FROM n;\n",
        );
        room.write("migrations/001_base.sql", base);
        let alter = engine.pick(
            "",
            "ALTER TABLE big ADD COLUMN h integer GENERATED ALWAYS AS (slow(id)) STORED;\n",
            "ALTER TABLE big ADD COLUMN h char(128) AS (SHA2(REPEAT(CONCAT('x', id), 300000), 512)) STORED;\n",
        );
        room.write("migrations/002_alter.sql", alter);
        room.write("migrations/003_after.sql", "ALTER TABLE big DROP COLUMN h;\n");
        let first = up(&room, url, &["--events", "first"]);
        let running = engine.pick(
            "",
            "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%ALTER TABLE big%' AND state = 'active' AND datname = \
             current_database() AND pid <> pg_backend_pid()",
            "SELECT count(*) FROM information_schema.processlist WHERE info LIKE 'ALTER TABLE big%' AND db = DATABASE()",
        );
        until(&database, running, "1");
        first.signal("KILL");
        assert_eq!(first.wait().code, None);
        assert_eq!(database.scalar(running), "1", "the server has noticed that its client is dead");
        let second = up(&room, url, &["--events", "second", "--to", "002"]).wait().success();
        let ending = "a runner died here; ending what it left running on the server";
        assert!(second.stderr.contains(ending), "{}", second.stderr);
        if engine.is_mysql_family() {
            assert!(room.read("second").contains("\"event\":\"doubt_settled\""), "{}", second.stderr);
        }
        assert_eq!(database.scalar(running), "0");
        assert_ne!(database.scalar("SELECT count(h) FROM big"), "0");
        up(&room, url, &[]).wait().success();
        assert!(database.try_run("SELECT h FROM big").is_err());
    }
}

/// A concurrent rebuild that dies leaves temporary indexes of no use: of a table, of a schema, of the whole database.
/// They are found, dropped, and the rebuild is run again.
fn an_interrupted_rebuild_is_mended(what: &str) {
    let (room, database) = (
        Sandbox::new(),
        TestDatabase::on(Server::shared(Kind::Postgres)),
    );
    let url = database.url();
    room.write(
        "migrations/001_base.sql",
        "CREATE TABLE big (id integer PRIMARY KEY, a integer, t text);\nCREATE INDEX big_a ON big (a);\n\
         INSERT INTO big SELECT i, i % 7 FROM generate_series(1, 1000) i;\n",
    );
    let what = what.replace("{database}", database.name());
    let script = format!("REINDEX {what};\nINSERT INTO big VALUES (0, 0);\n");
    room.write("migrations/002_rebuild.sql", script);
    up(&room, url, &["--to", "001"]).wait().success();
    // An unusable index of others with such a name beside nothing is not ours to drop.
    database.run("CREATE TABLE other (a integer)");
    database.run("INSERT INTO other VALUES (1), (1)");
    assert!(
        database
            .try_run("CREATE UNIQUE INDEX CONCURRENTLY theirs_ccnew ON other (a)")
            .is_err()
    );
    // Of a schema or a database it is the journal's tables that come first, and wait for the writer's snapshot.
    let left = "FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid WHERE NOT i.indisvalid AND c.relname ~ \
                '_cc(new|old)[0-9]*$' AND c.relname <> 'theirs_ccnew'";
    let some_left = format!("SELECT count(*) > 0 {left}");
    let second = std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            database.try_run("BEGIN; INSERT INTO big VALUES (-1, 0); SELECT pg_sleep(60)")
        });
        let writes = "FROM pg_stat_activity WHERE query LIKE '%pg_sleep(60)%' AND wait_event = 'PgSleep' AND datname = \
                      current_database()";
        until(&database, &format!("SELECT count(*) {writes}"), "1");
        let first = up(&room, url, &[]);
        until(&database, &some_left, "t");
        first.signal("KILL");
        assert_eq!(first.wait().code, None);
        let second = up(&room, url, &["--events", "second"]);
        room.await_text("second", "predecessor_ending");
        room.await_text("second", "lease_taken");
        // What was left of the table waits for the writer before it can be dropped; what was left of the journal's own
        // tables may be gone by now.
        if what.starts_with("TABLE") {
            assert_eq!(database.scalar(&some_left), "t");
        }
        database.run(&format!("SELECT pg_terminate_backend(pid) {writes}"));
        assert!(writer.join().unwrap().is_err());
        second.wait().success()
    });
    let said = "its interrupted build left the unusable index";
    assert!(second.stderr.contains(said), "{}", second.stderr);
    assert_eq!(database.scalar(&format!("SELECT count(*) {left}")), "0");
    let theirs = "SELECT count(*) FROM pg_class WHERE relname = 'theirs_ccnew'";
    assert_eq!(database.scalar(theirs), "1");
    assert_eq!(database.scalar("SELECT count(*) FROM big"), "1001");
}

#[test]
fn invariant_07_a_concurrent_rebuild_of_a_table_that_dies_is_mended() {
    an_interrupted_rebuild_is_mended("TABLE CONCURRENTLY big");
}

#[test]
fn invariant_07_a_concurrent_rebuild_of_a_schema_that_dies_is_mended() {
    an_interrupted_rebuild_is_mended("(CONCURRENTLY) SCHEMA public");
}

#[test]
fn invariant_07_a_concurrent_rebuild_of_a_database_that_dies_is_mended() {
    an_interrupted_rebuild_is_mended("DATABASE CONCURRENTLY {database}");
}

/// A concurrent build that dies leaves an index that is of no use: it is found, dropped and built again.
fn an_interrupted_build_is_mended(server: &Server, kill_server: bool) {
    let (room, database) = (Sandbox::new(), TestDatabase::on(server));
    let url = database.url();
    room.write(
        "migrations/001_base.sql",
        "CREATE TABLE big (id integer PRIMARY KEY, a integer);\nINSERT INTO big SELECT i, i % 7 FROM generate_series(1, 1000) i;\n",
    );
    room.write(
        "migrations/002_index.sql",
        "CREATE INDEX CONCURRENTLY big_a ON big (a);\nINSERT INTO big VALUES (0, 0);\n",
    );
    up(&room, url, &["--to", "001"]).wait().success();
    let invalid =
        "SELECT count(*) FROM pg_index WHERE indrelid = 'big'::regclass AND NOT indisvalid";
    let second = std::thread::scope(|scope| {
        // Who writes to the table and does not end keeps a concurrent build waiting, its index made and not valid.
        let writer = scope.spawn(|| {
            database.try_run("BEGIN; INSERT INTO big VALUES (-1, 0); SELECT pg_sleep(600)")
        });
        let writes = "FROM pg_stat_activity WHERE query LIKE '%pg_sleep(600)%' AND wait_event = 'PgSleep' AND datname = \
                      current_database()";
        until(&database, &format!("SELECT count(*) {writes}"), "1");
        let first = up(&room, url, &[]);
        until(&database, invalid, "1");
        let second = if kill_server {
            server.kill9();
            first.wait().code(1);
            server.start();
            assert_eq!(database.scalar(invalid), "1");
            up(&room, url, &[])
        } else {
            first.signal("KILL");
            assert_eq!(first.wait().code, None);
            // The dead client's build still runs; it is ended before the index is looked at, and dropping that waits
            // for the writer as the build did.
            let second = up(&room, url, &["--events", "second"]);
            room.await_text("second", "predecessor_ending");
            room.await_text("second", "lease_taken");
            assert_eq!(database.scalar(invalid), "1");
            database.run(&format!("SELECT pg_terminate_backend(pid) {writes}"));
            second
        };
        assert!(writer.join().unwrap().is_err());
        second.wait().success()
    });
    let said = "its interrupted build left the unusable index big_a, which was dropped";
    assert!(second.stderr.contains(said), "{}", second.stderr);
    assert_eq!(database.scalar(invalid), "0");
    let there = "SELECT count(*) FROM pg_index WHERE indrelid = 'big'::regclass AND indisvalid";
    assert_eq!(database.scalar(there), "2", "the key's and ours");
    assert_eq!(database.scalar("SELECT count(*) FROM big"), "1001");
}

#[test]
fn invariant_07_a_concurrent_build_whose_process_dies_is_built_again() {
    an_interrupted_build_is_mended(Server::shared(Kind::Postgres), false);
}

#[test]
fn invariant_07_a_concurrent_build_whose_server_dies_is_built_again() {
    let server = Server::private(Kind::Postgres, Options::default());
    an_interrupted_build_is_mended(&server, true);
}
