//! Connections in good and bad days: what opens, what is said when it does not, and what a lost one looks like.
#![allow(clippy::unwrap_used, clippy::panic)]

use dunlin_core::failure::ErrorClass;
use dunlin_core::redact::SecretUrl;
use dunlin_core::value::Value;
use dunlin_engines::wait::open_waiting;
use dunlin_engines::{DbError, Engine, Purpose, Session, Settings, open};
use dunlin_testkit::servers::{Kind, Options, PASSWORD, PgBouncer, Server};
use dunlin_testkit::{TestDatabase, TestEngine, for_each_engine};
use std::sync::Arc;
use std::time::{Duration, Instant};

fn engine(url: &str) -> Box<dyn Engine> {
    open(&SecretUrl::new(url), Settings::default()).unwrap()
}

fn with(url: &str, settings: Settings) -> Box<dyn Engine> {
    open(&SecretUrl::new(url), settings).unwrap()
}

async fn error_of(engine: &dyn Engine, purpose: Purpose) -> DbError {
    match engine.open(purpose).await {
        Ok(_) => panic!("{engine:?} opened"),
        Err(error) => error,
    }
}

async fn text(session: &mut dyn Session, sql: &str) -> String {
    let rows = session.query(sql, &[]).await.unwrap();
    match rows[0].last().unwrap() {
        Value::Text(text) => text.clone(),
        other => format!("{other:?}"),
    }
}

/// A statement that takes this long.
fn sleep(engine: TestEngine, seconds: f32) -> String {
    engine
        .pick(
            "",
            &format!("SELECT pg_sleep({seconds})"),
            &format!("SELECT SLEEP({seconds})"),
        )
        .to_owned()
}

for_each_engine! {
    only servers

    async fn what_keeps_us_out_is_said_without_the_password(engine: TestEngine) {
        let database = engine.database();
        let url = database.url();
        let wrong = super::engine(&url.replace(PASSWORD, "wr0ng-pa55"));
        let error = error_of(&*wrong, Purpose::Read).await;
        assert_eq!(error.class, ErrorClass::AuthFailed, "{error:?}");
        assert!(!format!("{error:?} {wrong:?} {}", wrong.describe()).contains("wr0ng-pa55"));
        assert!(wrong.secrets().contains(&"wr0ng-pa55".to_owned()));
        assert!(error.hint.unwrap().contains("percent-encoded"));
        let missing = super::engine(url).sibling("not there").unwrap();
        let error = error_of(&*missing, Purpose::Script).await;
        assert_eq!(error.class, ErrorClass::DatabaseMissing, "{error:?}");
        // A port where nobody listens.
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let (before, _) = url.rsplit_once(':').unwrap();
        let nobody = super::engine(&format!("{before}:{free}/x"));
        let error = error_of(&*nobody, Purpose::Tool).await;
        assert_eq!(error.class, ErrorClass::Unreachable, "{error:?}");
        assert!(error.message.contains(&free.to_string()), "{error:?}");
        assert!(error.code.is_empty(), "waiting may help: {error:?}");
    }

    async fn a_silent_address_is_given_up(engine: TestEngine) {
        // It takes the connection and says nothing.
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let scheme = engine.pick("", "postgres", "mysql");
        let silent = super::engine(&format!("{scheme}://u@127.0.0.1:{port}/d?connect_timeout=1"));
        let begun = Instant::now();
        let error = error_of(&*silent, Purpose::Read).await;
        assert_eq!(error.class, ErrorClass::Unreachable, "{error:?}");
        assert!(begun.elapsed() < Duration::from_secs(5));
        drop(listener);
    }

    async fn a_unix_socket_opens(engine: TestEngine) {
        let database = engine.database();
        let server = Server::shared(engine.kind().unwrap());
        let Some(dir) = server.dir() else { return };
        let dir = dir.display();
        let url = if engine.is_postgres() {
            format!("postgres://postgres:{PASSWORD}@/{}?host={dir}&port={}", database.name(), server.port())
        } else {
            format!("mysql://root:{PASSWORD}@localhost/{}?socket={dir}/sock", database.name())
        };
        let mut session = super::engine(&url).open(Purpose::Read).await.unwrap();
        let name = text(&mut *session, engine.pick("", "SELECT current_database()::text", "SELECT DATABASE()")).await;
        assert_eq!(name, database.name());
        session.canceller().cancel().await.unwrap();
        assert_eq!(session.query("SELECT 1", &[]).await.unwrap(), [[Value::Int(1)]]);
        session.close().await;
    }

    async fn a_session_ended_by_another_is_lost(engine: TestEngine) {
        let database = engine.database();
        let address = super::engine(database.url());
        let mut session = address.open(Purpose::Script).await.unwrap();
        session.begin().await.unwrap();
        let id = text(&mut *session, engine.pick("", "SELECT pg_backend_pid()::text", "SELECT CAST(CONNECTION_ID() AS CHAR)")).await;
        database.run(&engine.pick("", "SELECT pg_terminate_backend({id})", "KILL {id}").replace("{id}", &id));
        let error = session.execute("SELECT 1").await.unwrap_err();
        assert_eq!(error.class, ErrorClass::ConnectionLost, "{error:?}");
        assert!(!session.in_transaction());
        let error = session.commit().await.unwrap_err();
        assert_eq!(error.class, ErrorClass::ConnectionLost, "{error:?}");
        session.close().await;
        // In the middle of a statement.
        let mut session = address.open(Purpose::Script).await.unwrap();
        let id = text(&mut *session, engine.pick("", "SELECT pg_backend_pid()::text", "SELECT CAST(CONNECTION_ID() AS CHAR)")).await;
        let killer = async {
            tokio::time::sleep(Duration::from_millis(300)).await;
            let mut other = address.open(Purpose::Tool).await.unwrap();
            other.execute(&engine.pick("", "SELECT pg_terminate_backend({id})", "KILL {id}").replace("{id}", &id)).await.unwrap();
        };
        let statement = sleep(engine, 20.0);
        let (outcome, ()) = tokio::join!(session.execute(&statement), killer);
        let error = outcome.unwrap_err();
        assert_eq!(error.class, ErrorClass::ConnectionLost, "{error:?}");
    }

    async fn a_statement_that_nobody_waited_for_is_not_forgotten(engine: TestEngine) {
        let database = engine.database();
        let mut session = super::engine(database.url()).open(Purpose::Script).await.unwrap();
        session.execute("CREATE TABLE t (id INT PRIMARY KEY)").await.unwrap();
        session.begin().await.unwrap();
        session.execute("INSERT INTO t VALUES (1)").await.unwrap();
        // Fails after a while, and nobody is there to hear it.
        let failing = engine.pick("",
            "SELECT 1 / (length(pg_sleep(0.4)::text))",
            "INSERT INTO t SELECT SLEEP(0.4) + 1");
        let left = tokio::time::timeout(Duration::from_millis(100), session.execute(failing)).await;
        assert!(left.is_err());
        // What comes back is never taken for a commit that kept the row.
        let committed = session.commit().await;
        assert!(committed.is_err(), "a failed transaction was reported as committed");
        assert_eq!(database.scalar("SELECT count(*) FROM t"), "0");
    }

    async fn a_reader_with_select_only_reads_and_hears_which_right_it_lacks(engine: TestEngine) {
        let database = engine.database();
        let (name, user) = (database.name(), format!("r{}", database.name()));
        database.run("CREATE TABLE t (id INT)");
        database.run(&engine.pick("",
            "CREATE ROLE {u} LOGIN PASSWORD 'rpw'; GRANT SELECT ON t TO {u}",
            "CREATE USER {u}@'%' IDENTIFIED BY 'rpw'; GRANT SELECT ON {d}.t TO {u}@'%'")
            .replace("{u}", &user).replace("{d}", name));
        let superuser = engine.pick("", "//postgres:", "//root:");
        let url = database.url().replace(superuser, &format!("//{user}:")).replace(PASSWORD, "rpw");
        let address = super::engine(&url);
        let mut reader = address.open(Purpose::Read).await.unwrap();
        assert_eq!(reader.query("SELECT count(*) FROM t", &[]).await.unwrap(), [[Value::Int(0)]]);
        let mut writer = address.open(Purpose::Script).await.unwrap();
        let error = writer.execute("INSERT INTO t VALUES (1)").await.unwrap_err();
        assert_eq!(error.class, ErrorClass::PermissionDenied, "{error:?}");
        let hint = error.hint.unwrap();
        assert!(hint.contains("GRANT") && hint.contains("INSERT"), "{hint}");
        let error = writer.execute("CREATE TABLE u (id INT)").await.unwrap_err();
        assert_eq!(error.class, ErrorClass::PermissionDenied, "{error:?}");
        assert!(error.hint.unwrap().contains("GRANT"));
        reader.close().await;
        writer.close().await;
        database.run(&engine.pick("", "DROP OWNED BY {u}; DROP ROLE {u}", "DROP USER {u}").replace("{u}", &user));
    }

    async fn script_sessions_take_the_prelude_and_the_bounds(engine: TestEngine) {
        let database = engine.database();
        let settings = Settings {
            prelude: vec![engine.pick("", "SET search_path = pg_catalog", "SET @from_prelude = 'yes'").into()],
            lock_timeout: Duration::from_millis(300),
            statement_timeout: Duration::from_millis(1500),
            ..Settings::default()
        };
        let address = with(database.url(), settings);
        let mut script = address.open(Purpose::Script).await.unwrap();
        let ask = engine.pick("", "SELECT current_setting('search_path')", "SELECT @from_prelude");
        assert_eq!(text(&mut *script, ask).await, engine.pick("", "pg_catalog", "yes"));
        let mut tool = address.open(Purpose::Tool).await.unwrap();
        assert_ne!(text(&mut *tool, ask).await, engine.pick("", "pg_catalog", "yes"));
        database.run("CREATE TABLE held (id INT)");
        tool.begin().await.unwrap();
        tool.query("SELECT * FROM held", &[]).await.unwrap();
        let table = engine.pick("", "public.held", "held");
        let begun = Instant::now();
        let error = script.execute(&format!("ALTER TABLE {table} ADD COLUMN n INT")).await.unwrap_err();
        assert_eq!(error.class, ErrorClass::LockTimeout, "{error:?}");
        assert!(begun.elapsed() < Duration::from_secs(3));
        tool.rollback().await.unwrap();
        let long = engine.pick("", "SELECT pg_sleep(20)",
            "SELECT count(*) FROM information_schema.columns a, information_schema.columns b, information_schema.columns c");
        let error = script.execute(long).await.unwrap_err();
        assert_eq!(error.class, ErrorClass::StatementTimeout, "{error:?}");
    }

    async fn tool_sessions_are_pinned_and_script_sessions_are_not(engine: TestEngine) {
        let database = engine.database();
        let address = super::engine(database.url());
        for purpose in [Purpose::Tool, Purpose::Read, Purpose::Lease] {
            let mut session = address.open(purpose).await.unwrap();
            let zone = text(&mut *session, engine.pick("", "SELECT current_setting('TimeZone')", "SELECT @@time_zone")).await;
            assert_eq!(zone, engine.pick("", "UTC", "+00:00"), "{purpose:?}");
            if engine.is_mysql_family() {
                assert_eq!(text(&mut *session, "SELECT @@character_set_client").await, "utf8mb4");
                assert!(text(&mut *session, "SELECT @@sql_mode").await.contains("STRICT_TRANS_TABLES"));
            } else {
                let name = text(&mut *session, "SELECT current_setting('application_name')").await;
                assert_eq!(name, "dunlin");
            }
            session.close().await;
        }
        let mut script = address.open(Purpose::Script).await.unwrap();
        let mode = script.lex_mode().clone();
        if engine.is_mysql_family() {
            assert_eq!(text(&mut *script, "SELECT @@sql_mode").await, mode.sql_mode);
            assert!(!mode.sql_mode.is_empty());
            let ansi = Settings { sql_mode: "ANSI_QUOTES,STRICT_ALL_TABLES".into(), ..Settings::default() };
            let session = with(database.url(), ansi).open(Purpose::Script).await.unwrap();
            assert_eq!(session.lex_mode().sql_mode, "ANSI_QUOTES,STRICT_ALL_TABLES");
        } else {
            assert!(!mode.plain_backslashes);
            database.run(&format!("ALTER DATABASE {} SET standard_conforming_strings = off", database.name()));
            let session = address.open(Purpose::Script).await.unwrap();
            assert!(session.lex_mode().plain_backslashes);
            let url = format!("{}?options=-c%20standard_conforming_strings%3Don", database.url());
            let session = super::engine(&url).open(Purpose::Script).await.unwrap();
            assert!(!session.lex_mode().plain_backslashes);
        }
    }

    async fn a_missing_database_is_made_where_that_is_asked_for(engine: TestEngine) {
        let database = engine.database();
        let settings = Settings { create: true, ..Settings::default() };
        let name = format!("{}_made", database.name());
        let made = with(database.url(), settings).sibling(&name).unwrap();
        assert!(made.describe().ends_with(&format!("/{name}")), "{}", made.describe());
        let error = error_of(&*made, Purpose::Read).await;
        assert_eq!(error.class, ErrorClass::DatabaseMissing, "a reader makes nothing: {error:?}");
        made.open(Purpose::Script).await.unwrap().close().await;
        made.open(Purpose::Read).await.unwrap().close().await;
        made.drop_database().await.unwrap();
        let error = error_of(&*made, Purpose::Read).await;
        assert_eq!(error.class, ErrorClass::DatabaseMissing, "{error:?}");
    }

    async fn a_tool_session_runs_one_statement_at_a_time(engine: TestEngine) {
        let database = engine.database();
        let mut reader = super::engine(database.url()).open(Purpose::Read).await.unwrap();
        let two = engine.pick("",
            "SELECT 1; SET default_transaction_read_only = off",
            "SELECT 1; SET SESSION TRANSACTION READ WRITE");
        assert_eq!(reader.execute(two).await.unwrap_err().class, ErrorClass::Syntax);
        assert_eq!(reader.query(two, &[]).await.unwrap_err().class, ErrorClass::Syntax);
        assert!(reader.stream(two).await.map(|_| ()).is_err());
    }
}

async fn waits(kind: Kind) {
    let server = Arc::new(Server::private(kind, Options::default()));
    let url = server.url();
    let address = engine(&url);
    let mut session = address.open(Purpose::Script).await.unwrap();
    server.kill9();
    let error = session.execute("SELECT 1").await.unwrap_err();
    assert_eq!(error.class, ErrorClass::ConnectionLost, "{error:?}");
    let begun = Instant::now();
    let error = open_waiting(&*address, Purpose::Read, Duration::ZERO)
        .await
        .map(|_| ())
        .unwrap_err();
    assert_eq!(error.class, ErrorClass::Unreachable, "{error:?}");
    let error = open_waiting(&*address, Purpose::Read, Duration::from_millis(700))
        .await
        .map(|_| ())
        .unwrap_err();
    assert_eq!(error.class, ErrorClass::Unreachable, "{error:?}");
    assert!(
        begun.elapsed() >= Duration::from_millis(700) && begun.elapsed() < Duration::from_secs(5)
    );
    let starting = Arc::clone(&server);
    let starter = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(800));
        starting.start();
    });
    let mut session = open_waiting(&*address, Purpose::Tool, Duration::from_secs(60))
        .await
        .unwrap();
    assert_eq!(
        session.query("SELECT 1", &[]).await.unwrap(),
        [[Value::Int(1)]]
    );
    session.close().await;
    starter.join().unwrap();
    // An answer is an answer: no waiting for a password to become right.
    let begun = Instant::now();
    let wrong = engine(&url.replace(PASSWORD, "wrong"));
    let error = open_waiting(&*wrong, Purpose::Read, Duration::from_secs(60))
        .await
        .map(|_| ())
        .unwrap_err();
    assert_eq!(error.class, ErrorClass::AuthFailed, "{error:?}");
    assert!(begun.elapsed() < Duration::from_secs(5));
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_is_waited_for() {
    waits(Kind::Postgres).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mariadb_is_waited_for() {
    waits(Kind::Mariadb).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mysql_is_waited_for() {
    waits(Kind::Mysql).await;
}

/// Behind a transaction pooler readers read, one transaction at a time, with everything pinned; what needs a session is
/// refused by name.
#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_pooler_is_found_out() {
    let server = Server::private(Kind::Postgres, Options::default());
    let database = TestDatabase::on(&server);
    database.run("CREATE TABLE t AS SELECT n FROM generate_series(1, 20000) n");
    let pooler = PgBouncer::transaction_mode(&server);
    let address = engine(&pooler.url_of(database.name()));
    for purpose in [Purpose::Script, Purpose::Lease] {
        let error = error_of(&*address, purpose).await;
        assert_eq!(error.code, "pooler", "{error:?}");
        assert!(error.hint.unwrap().contains("direct_url"));
    }
    let mut one = address.open(Purpose::Read).await.unwrap();
    let mut two = address.open(Purpose::Read).await.unwrap();
    for _ in 0..3 {
        for session in [&mut one, &mut two] {
            assert_eq!(
                text(&mut **session, "SELECT current_setting('TimeZone')").await,
                "UTC"
            );
            let rows = session
                .query("SELECT count(*) FROM t WHERE n > $1", &[Value::Int(10)])
                .await
                .unwrap();
            assert_eq!(rows, [[Value::Int(19990)]]);
            let error = session.execute("DELETE FROM t").await.unwrap_err();
            assert_eq!(error.class, ErrorClass::ReadOnly, "{error:?}");
            let mut seen = 0;
            let mut stream = session.stream("SELECT n FROM t").await.unwrap();
            while let Some(batch) = stream.next().await.unwrap() {
                seen += batch.len();
            }
            drop(stream);
            assert_eq!(seen, 20000);
            // Left in the middle.
            session
                .stream("SELECT n FROM t")
                .await
                .unwrap()
                .next()
                .await
                .unwrap();
        }
    }
    one.begin().await.unwrap();
    assert_eq!(
        text(&mut *one, "SELECT current_setting('TimeZone')").await,
        "UTC"
    );
    one.rollback().await.unwrap();
    // Nothing of it stays with the pooler's other clients.
    let mut tool = address.open(Purpose::Tool).await.unwrap();
    tool.execute("INSERT INTO t VALUES (0)").await.unwrap();
    assert_eq!(database.scalar("SELECT count(*) FROM t"), "20001");
}

/// A JDBC URL is read as what it means; an unknown scheme names the known ones.
#[tokio::test]
async fn jdbc_and_unknown_schemes() {
    let url = "jdbc:mysql://h:3306/d?user=u&password=s3cret&useSSL=false&serverTimezone=UTC";
    let engine = engine(url);
    assert_eq!(engine.database(), "d");
    assert!(engine.secrets().contains(&"s3cret".to_owned()));
    assert!(!format!("{engine:?}{}", engine.describe()).contains("s3cret"));
    let error = open(&SecretUrl::new("oracle://h/d"), Settings::default())
        .map(|_| ())
        .unwrap_err();
    for known in ["postgres", "mysql", "mariadb", "sqlite"] {
        assert!(error.message.contains(known), "{error}");
    }
}

/// A node of a Galera cluster is refused by name where a session would write or hold the lease; reading is harmless.
#[tokio::test(flavor = "multi_thread")]
async fn galera_is_refused_by_name() {
    let options = Options::default()
        .arg("--wsrep-on=ON")
        .arg("--wsrep-provider=/usr/lib/galera/libgalera_smm.so")
        .arg("--wsrep-cluster-address=gcomm://")
        .arg("--wsrep-node-address=127.0.0.1:24567")
        .arg("--wsrep-provider-options=gmcast.listen_addr=tcp://127.0.0.1:24567;ist.recv_addr=127.0.0.1:24568")
        .arg("--wsrep-sst-receive-address=127.0.0.1:24569")
        .arg("--binlog-format=ROW");
    let server = Server::private(Kind::Mariadb, options);
    let address = engine(&server.url());
    for purpose in [Purpose::Script, Purpose::Lease] {
        let error = error_of(&*address, purpose).await;
        assert_eq!(error.code, "galera", "{error:?}");
        assert!(error.message.contains("Galera"), "{error:?}");
    }
    let mut reader = address.open(Purpose::Read).await.unwrap();
    assert_eq!(
        reader.query("SELECT 1", &[]).await.unwrap(),
        [[Value::Int(1)]]
    );
}

/// `lock_timeout` bounds how long others queue up behind us; nobody queues up behind a reader of a file.
#[tokio::test]
async fn a_reader_of_a_file_waits_longer_than_a_change_may() {
    let folder = tempfile::tempdir().unwrap();
    let url = SecretUrl::new(format!("sqlite:{}", folder.path().join("a.db").display()));
    let settings = Settings {
        create: true,
        lock_timeout: Duration::from_millis(200),
        ..Settings::default()
    };
    let engine = dunlin_engines::open(&url, settings).unwrap();
    for (purpose, bound) in [
        (Purpose::Tool, 200),
        (Purpose::Script, 200),
        (Purpose::Read, 5_000),
    ] {
        let mut session = engine.open(purpose).await.unwrap();
        let rows = session.query("PRAGMA busy_timeout", &[]).await.unwrap();
        assert_eq!(rows[0][0].as_i64(), Some(bound), "{purpose:?}");
    }
}

/// A writer died in the middle of a commit and left its journal: who only reads sees what was last committed, and not an
/// error about rights.
#[tokio::test]
async fn a_file_that_a_dead_writer_left_half_written_can_be_read() {
    let folder = tempfile::tempdir().unwrap();
    let (living, left) = (
        folder.path().join("living.db"),
        folder.path().join("left.db"),
    );
    let writer = rusqlite::Connection::open(&living).unwrap();
    writer
        .execute_batch(
            "PRAGMA journal_mode = DELETE; CREATE TABLE t (id INTEGER PRIMARY KEY, x TEXT); \
             WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000) \
             INSERT INTO t SELECT i, 'old' || hex(randomblob(100)) FROM n; \
             PRAGMA cache_size = 1; PRAGMA cache_spill = 1; BEGIN IMMEDIATE; UPDATE t SET x = 'new'",
        )
        .unwrap();
    // What the disk holds at this moment is what a killed process would leave.
    std::fs::copy(&living, &left).unwrap();
    std::fs::copy(
        folder.path().join("living.db-journal"),
        folder.path().join("left.db-journal"),
    )
    .unwrap();
    let url = SecretUrl::new(format!("sqlite:{}", left.display()));
    let engine = dunlin_engines::open(&url, Settings::default()).unwrap();
    let mut reader = engine.open(Purpose::Read).await.unwrap();
    let count = "SELECT count(*) FROM t WHERE x LIKE 'old%'";
    let rows = reader.query(count, &[]).await.unwrap();
    assert_eq!(rows[0][0].as_i64(), Some(5000));
    assert!(
        reader.execute("DELETE FROM t").await.is_err(),
        "it still only reads"
    );
}

/// A reader that takes no rows for longer than the server waits for its clients by itself.
async fn slow_reader(kind: Kind) {
    let options = Options::default().arg("--net-write-timeout=1");
    let server = Server::private(kind, options);
    let database = TestDatabase::on(&server);
    // More than what lies in sockets.
    database.run("CREATE TABLE wide (id int PRIMARY KEY, pad longtext)");
    for id in 0..64 {
        database.run(&format!(
            "INSERT INTO wide VALUES ({id}, repeat('x', 1000000))"
        ));
    }
    let engine = engine(database.url());
    let mut session = engine.open(Purpose::Read).await.unwrap();
    let mut source = session.stream("SELECT id, pad FROM wide").await.unwrap();
    let mut rows = source.next().await.unwrap().unwrap().len();
    tokio::time::sleep(Duration::from_secs(4)).await;
    while let Some(batch) = source.next().await.unwrap() {
        rows += batch.len();
    }
    assert_eq!(rows, 64);
}

#[tokio::test(flavor = "multi_thread")]
async fn mysql_waits_for_a_slow_reader() {
    slow_reader(Kind::Mysql).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mariadb_waits_for_a_slow_reader() {
    slow_reader(Kind::Mariadb).await;
}
