//! What goes wrong around a copy: rights, disks, limits, a source that does not stand still.

use super::{Ends, all_equal};
use dunlin_testkit::TestDatabase;
use dunlin_testkit::engines::TestEngine;
use dunlin_testkit::for_each_engine;
use dunlin_testkit::sandbox::Sandbox;
use dunlin_testkit::servers::disk::Disk;
use dunlin_testkit::servers::{Kind, Options, Server};
use rusqlite::Connection;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// A user of a database who may log in and nothing more, for the time of a test.
struct Nobody<'d> {
    database: &'d TestDatabase,
    name: String,
    url: String,
    remove: String,
}

impl<'d> Nobody<'d> {
    fn new(engine: TestEngine, database: &'d TestDatabase) -> Self {
        let name = format!("u{}", database.name());
        let (make, remove) = if engine.is_postgres() {
            (
                format!("CREATE ROLE {name} LOGIN PASSWORD 'geheim'"),
                format!("DROP OWNED BY {name}; DROP ROLE {name}"),
            )
        } else {
            (
                format!("CREATE USER '{name}'@'%' IDENTIFIED BY 'geheim'"),
                format!("DROP USER '{name}'@'%'"),
            )
        };
        let _ = database.run(&make);
        let server = Server::shared(engine.kind().unwrap());
        let url = server.url_as(&name, "geheim", database.name());
        Nobody {
            database,
            name,
            url,
            remove,
        }
    }
}

impl Drop for Nobody<'_> {
    fn drop(&mut self) {
        let _ = self.database.try_run(&self.remove);
    }
}

for_each_engine! {
    only servers
    async fn a_table_that_may_not_be_read_is_named_before_a_row_moves(engine: TestEngine) {
        let source = engine.database();
        let _ = source.run("CREATE TABLE open (id int PRIMARY KEY)");
        let _ = source.run("CREATE TABLE closed (id int PRIMARY KEY)");
        let _ = source.run("INSERT INTO closed VALUES (1)");
        let nobody = Nobody::new(engine, &source);
        let (user, name) = (&nobody.name, source.name());
        let grant = if engine.is_postgres() {
            format!("GRANT SELECT ON open TO {user}")
        } else {
            format!("GRANT SELECT ON {name}.open TO '{user}'@'%'")
        };
        let _ = source.run(&grant);
        let sandbox = Sandbox::new();
        let ran = sandbox.dunlin(["copy", &nobody.url, "sqlite:there.db", "--format", "json"]);
        if engine.is_postgres() {
            let json = ran.code(4).json();
            assert_eq!(json["failure"]["code"], "rights-missing", "{json:#}");
            assert!(json["failure"]["message"].as_str().unwrap().contains("closed"), "{json:#}");
            let there = Connection::open(sandbox.path("there.db")).unwrap();
            let tables: i64 = there.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).unwrap();
            assert_eq!(tables, 0);
        } else {
            // Here a table without any right on it is not even seen: nobody can tell that it is there.
            let json = ran.code(0).json();
            assert_eq!(json["data"]["tables"].as_array().unwrap().len(), 1, "{json:#}");
        }
    }

    async fn a_target_in_which_nothing_may_be_made_is_refused(engine: TestEngine) {
        let ends = Ends::new(engine, "CREATE TABLE t (id INTEGER PRIMARY KEY); INSERT INTO t VALUES (1);");
        let nobody = Nobody::new(engine, &ends.target);
        if engine.is_postgres() {
            // Up to 14 everybody may make tables in `public`.
            let _ = ends.target.run("REVOKE CREATE ON SCHEMA public FROM PUBLIC");
        } else {
            let _ = ends.target.run(&format!("GRANT SELECT ON {}.* TO '{}'@'%'", ends.target.name(), nobody.name));
        }
        let json = ends.sandbox.dunlin(["copy", "sqlite:source.db", &nobody.url, "--format", "json"]).code(4).json();
        assert_eq!(json["failure"]["code"], "rights-missing", "{json:#}");
        assert!(!ends.target.has_table("t"));
    }
}

for_each_engine! {
    async fn a_source_that_changes_meanwhile_is_copied_as_of_one_moment(engine: TestEngine) {
        let ends = Ends::new(engine, "PRAGMA journal_mode = WAL;
            CREATE TABLE debit (id INTEGER PRIMARY KEY, n INTEGER NOT NULL, pad TEXT);
            CREATE TABLE credit (id INTEGER PRIMARY KEY, n INTEGER NOT NULL, pad TEXT);
            INSERT INTO debit WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000) SELECT i, i, 'pad ' || i FROM n;
            INSERT INTO credit SELECT * FROM debit;");
        let stop = Arc::new(AtomicBool::new(false));
        let (path, told) = (ends.sandbox.path("source.db"), Arc::clone(&stop));
        let writer = std::thread::spawn(move || {
            let mut connection = Connection::open(path).unwrap();
            connection.busy_timeout(Duration::from_secs(20)).unwrap();
            let mut id = 100_000_i64;
            while !told.load(Ordering::Relaxed) {
                id += 1;
                // What is in one is in the other, at every moment.
                let both = connection.transaction().unwrap();
                both.execute("INSERT INTO debit VALUES (?1, ?1, 'more')", [id]).unwrap();
                both.execute("INSERT INTO credit VALUES (?1, ?1, 'more')", [id]).unwrap();
                both.execute("UPDATE debit SET n = n + 1 WHERE id = ?1", [id % 20_000]).unwrap();
                both.execute("UPDATE credit SET n = n + 1 WHERE id = ?1", [id % 20_000]).unwrap();
                both.commit().unwrap();
                std::thread::sleep(Duration::from_millis(1));
            }
            id - 100_000
        });
        let ran = ends.copy(&[]);
        stop.store(true, Ordering::Relaxed);
        let written = writer.join().unwrap();
        let json = ran.code(0).json();
        assert!(all_equal(&json), "{json:#}");
        assert!(written > 3, "nothing was written meanwhile");
        let sum = |table: &str| ends.target.scalar(&format!("SELECT sum(n) FROM {table}"));
        assert_eq!(sum("debit"), sum("credit"));
    }

    async fn more_columns_than_a_target_has_room_for_are_refused_by_name(engine: TestEngine) {
        let columns: Vec<String> = (1..=1_700).map(|n| format!("c{n} INTEGER")).collect();
        let sql = format!(
            "CREATE TABLE fine (id INTEGER PRIMARY KEY); CREATE TABLE wide (id INTEGER PRIMARY KEY, {}); INSERT INTO wide (id) VALUES (1);",
            columns.join(", ")
        );
        let ends = Ends::new(engine, &sql);
        if engine.pick("takes them", "", "") == "takes them" {
            let json = ends.copy(&[]).code(0).json();
            assert!(all_equal(&json), "{json:#}");
            return;
        }
        let json = ends.copy(&[]).code(4).json();
        assert_eq!(json["failure"]["code"], "too-many-columns", "{json:#}");
        assert!(json["failure"]["message"].as_str().unwrap().contains("wide"), "{json:#}");
        assert!(!ends.target.has_table("fine"));
    }
}

/// Servers as sources: one snapshot for all sessions, or one session.
fn moves_meanwhile(kind: Kind) {
    let source = TestEngine::Server(kind).database();
    let sandbox = Sandbox::new();
    let _ = source.run("CREATE TABLE debit (id int PRIMARY KEY, n int NOT NULL)");
    let _ = source.run("CREATE TABLE credit (id int PRIMARY KEY, n int NOT NULL)");
    let values: Vec<String> = (1..=5_000).map(|n| format!("({n}, {n})")).collect();
    for table in ["debit", "credit"] {
        let _ = source.run(&format!("INSERT INTO {table} VALUES {}", values.join(", ")));
    }
    let stop = AtomicBool::new(false);
    let (code, json, written) = std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let mut id = 100_000;
            while !stop.load(Ordering::Relaxed) {
                id += 1;
                let both = format!(
                    "BEGIN; INSERT INTO debit VALUES ({id}, {id}); INSERT INTO credit VALUES ({id}, {id}); COMMIT"
                );
                let _ = source.run(&both);
            }
            id - 100_000
        });
        let ran = sandbox.dunlin([
            "copy",
            source.url(),
            "sqlite:there.db",
            "--jobs",
            "2",
            "--format",
            "json",
        ]);
        stop.store(true, Ordering::Relaxed);
        (ran.code, ran.json(), writer.join().unwrap())
    });
    assert!(code == Some(0) && all_equal(&json), "{json:#}");
    assert!(written > 3, "nothing was written meanwhile");
    let there = Connection::open(sandbox.path("there.db")).unwrap();
    let sum = |table: &str| {
        let sql = format!("SELECT sum(n) FROM {table}");
        there
            .query_row(&sql, [], |row| row.get::<_, i64>(0))
            .unwrap()
    };
    assert_eq!(sum("debit"), sum("credit"));
}

#[test]
fn a_postgres_that_changes_meanwhile_is_copied_as_of_one_moment() {
    moves_meanwhile(Kind::Postgres);
}

#[test]
fn a_mysql_that_changes_meanwhile_is_copied_as_of_one_moment() {
    moves_meanwhile(Kind::Mysql);
}

const LARGE: &str = "CREATE TABLE little (id INTEGER PRIMARY KEY, name TEXT); INSERT INTO little VALUES (1, 'a');
    CREATE TABLE large (id INTEGER PRIMARY KEY, pad TEXT NOT NULL);
    INSERT INTO large WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
    SELECT i, 'a row of رضا that is long enough to fill the disk of the target one day: ' || i || hex(randomblob(100)) FROM n;";

#[test]
fn a_disk_that_is_full_is_said_and_the_copy_goes_on_when_there_is_room() {
    let sandbox = Sandbox::new();
    Connection::open(sandbox.path("source.db"))
        .unwrap()
        .execute_batch(LARGE)
        .unwrap();
    let small = Disk::at(sandbox.path("small"), 3);
    let args = [
        "copy",
        "sqlite:source.db",
        "sqlite:small/there.db",
        "--format",
        "json",
        "--resume",
    ];
    let json = sandbox.dunlin(args).code(1).json();
    assert_eq!(json["failure"]["code"], "disk-full", "{json:#}");
    small.grow(60);
    let json = sandbox.dunlin(args).code(0).json();
    assert!(all_equal(&json), "{json:#}");
}

#[test]
fn a_server_whose_disk_is_full_is_said_and_the_copy_goes_on_when_there_is_room() {
    let ends = Ends::new(TestEngine::Server(Kind::Postgres), LARGE);
    // A tablespace of its own: the server's other files have room.
    let server = Server::shared(Kind::Postgres);
    let place = format!("small-{}", ends.target.name());
    let small = Disk::at(server.dir().unwrap().join(place), 3);
    let space = format!("s{}", ends.target.name());
    let place = small.path().display();
    let _ = ends
        .target
        .run(&format!("CREATE TABLESPACE {space} LOCATION '{place}'"));
    let name = ends.target.name();
    let _ = ends.target.run(&format!(
        "ALTER DATABASE {name} SET default_tablespace = '{space}'"
    ));
    let full = ends.copy(&["--resume"]);
    small.grow(60);
    let well = ends.copy(&["--resume"]);
    let told = (full.code, full.json(), well.code, well.json());
    // The tablespace outlives its tables by nothing.
    for table in ["large", "little"] {
        let _ = ends
            .target
            .try_run(&format!("DROP TABLE IF EXISTS {table}"));
    }
    let _ = ends
        .target
        .try_run(&format!("ALTER DATABASE {name} RESET default_tablespace"));
    let rest = ends.target.run("SELECT 'ALTER TABLE ' || c.oid::regclass || ' SET TABLESPACE pg_default' FROM pg_class c JOIN pg_tablespace s ON s.oid = c.reltablespace AND s.spcname <> 'pg_global' WHERE c.relkind = 'r'");
    for row in rest {
        let _ = ends.target.try_run(row[0].as_deref().unwrap_or_default());
    }
    let rest = ends.target.run("SELECT 'ALTER INDEX ' || c.oid::regclass || ' SET TABLESPACE pg_default' FROM pg_class c JOIN pg_tablespace s ON s.oid = c.reltablespace AND s.spcname <> 'pg_global' WHERE c.relkind = 'i'");
    for row in rest {
        let _ = ends.target.try_run(row[0].as_deref().unwrap_or_default());
    }
    let dropped = ends.target.try_run(&format!("DROP TABLESPACE {space}"));
    assert_eq!(
        (told.0, &told.1["failure"]["code"]),
        (Some(1), &serde_json::json!("disk-full")),
        "{:#}",
        told.1
    );
    assert!(told.2 == Some(0) && all_equal(&told.3), "{:#}", told.3);
    assert!(dropped.is_ok(), "{dropped:?}");
}

/// Nothing was touched, and the row can be left out.
fn set_aside_beforehand(sandbox: &Sandbox, server: &Server, refused: &TestDatabase) {
    for table in ["t", "dunlin_journal"] {
        let asked = format!("SELECT 1 FROM {table}");
        assert!(refused.try_run(&asked).is_err(), "{table}");
    }
    let other = TestDatabase::on(server);
    let mut args = vec!["copy", "sqlite:source.db", other.url(), "--format", "json"];
    args.extend(["--policy", "too-long=reject", "--rejects", "r.ndjson"]);
    let json = sandbox.dunlin(args).code(8).json();
    assert!(all_equal(&json), "{json:#}");
    assert_eq!(other.scalar("SELECT count(*) FROM t"), "2");
}

#[test]
fn a_value_beyond_what_a_server_takes_in_one_piece_arrives_or_is_refused_by_name() {
    let sandbox = Sandbox::new();
    let sql = "CREATE TABLE t (id INTEGER PRIMARY KEY, raw BLOB); INSERT INTO t VALUES (1, x'00'), (2, zeroblob(5000000)), (3, x'01');";
    Connection::open(sandbox.path("source.db"))
        .unwrap()
        .execute_batch(sql)
        .unwrap();
    // As a file, and by INSERT where the server takes no files of clients.
    for (kind, files) in [
        (Kind::Mysql, "ON"),
        (Kind::Mysql, "OFF"),
        (Kind::Mariadb, "ON"),
        (Kind::Mariadb, "OFF"),
    ] {
        let options = Options::default()
            .arg("--max-allowed-packet=1M")
            .arg(format!("--local-infile={files}"));
        let server = Server::private(kind, options);
        let target = TestDatabase::on(&server);
        let ran = sandbox.dunlin(["copy", "sqlite:source.db", target.url(), "--format", "json"]);
        let json = ran.json();
        if ran.code == Some(0) {
            // One of them does not count what it reads from a file: every byte was read again.
            assert!(
                all_equal(&json) && files == "ON",
                "{kind} {files}: {json:#}"
            );
            continue;
        }
        let failure = &json["failure"];
        // What is no file is one packet: that is known before anything is touched.
        let known = files == "OFF";
        let (code, name) = if known {
            (4, "too-long")
        } else {
            (1, "value-refused")
        };
        assert_eq!(
            (ran.code, &failure["code"]),
            (Some(code), &name.into()),
            "{json:#}"
        );
        let said = failure.to_string();
        assert!(said.contains("max_allowed_packet"), "{json:#}");
        assert!(
            said.contains(if known { "t.raw" } else { " t: " }),
            "{json:#}"
        );
        if known {
            assert!(said.contains("5000000 bytes"), "{json:#}");
            set_aside_beforehand(&sandbox, &server, &target);
        }
        let _ = target.run("SET GLOBAL max_allowed_packet = 67108864");
        let ran = sandbox.dunlin([
            "copy",
            "sqlite:source.db",
            target.url(),
            "--format",
            "json",
            "--resume",
        ]);
        let json = ran.json();
        assert!(
            ran.code == Some(0) && all_equal(&json),
            "{kind} {files}: {json:#}"
        );
    }
}
