//! The servers start, keep their data over a crash, and are gone when their owner is.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use dunlin_testkit::servers::{Kind, Options, PgBouncer, Server};
use dunlin_testkit::{TestDatabase, for_each_engine};
use std::time::{Duration, Instant};

for_each_engine! {
    /// A fresh database takes statements and gives their rows back, whatever the engine.
    async fn a_database_of_its_own(engine: TestEngine) {
        let database = engine.database();
        database.run("CREATE TABLE bird (name VARCHAR(20), weight INTEGER); INSERT INTO bird VALUES ('dunlin', 48), ('knot', NULL)");
        let rows = database.run("SELECT name, weight FROM bird ORDER BY name");
        assert_eq!(rows, [[Some("dunlin".to_owned()), Some("48".to_owned())], [Some("knot".to_owned()), None]]);
        assert!(database.has_table("bird") && !database.has_table("fish"));
        assert!(database.try_run("SELECT nothing FROM nowhere").is_err());
    }
}

/// What a private server has committed is there after SIGKILL and a start, and nothing of the server is left behind.
fn survives_a_crash(kind: Kind) {
    let began = Instant::now();
    let server = Server::private(kind, Options::default());
    eprintln!(
        "{kind}: from nothing to answering in {} ms",
        began.elapsed().as_millis()
    );
    let database = TestDatabase::on(&server);
    database.run("CREATE TABLE kept (n INTEGER); INSERT INTO kept VALUES (1)");
    server.kill9();
    assert!(
        database.try_run("SELECT n FROM kept").is_err(),
        "a killed server does not answer"
    );
    let again = Instant::now();
    server.start();
    eprintln!(
        "{kind}: back after SIGKILL in {} ms",
        again.elapsed().as_millis()
    );
    assert_eq!(database.scalar("SELECT n FROM kept"), "1");
    server.restart();
    assert_eq!(database.scalar("SELECT n FROM kept"), "1");
    let dir = server.dir().unwrap().to_owned();
    drop(server);
    assert!(!dir.exists(), "the folder goes with its server");
}

#[test]
fn postgres_survives_a_crash() {
    survives_a_crash(Kind::Postgres);
}

#[test]
fn postgres_newer_survives_a_crash() {
    survives_a_crash(Kind::PostgresNewer);
}

#[test]
fn mariadb_survives_a_crash() {
    survives_a_crash(Kind::Mariadb);
}

#[test]
fn mysql_survives_a_crash() {
    survives_a_crash(Kind::Mysql);
}

#[test]
fn the_two_postgres_majors_and_the_two_cousins_differ() {
    let version = |kind: Kind| {
        let sql = if kind.is_postgres() {
            "SHOW server_version_num"
        } else {
            "SELECT version()"
        };
        TestDatabase::on(Server::shared(kind)).scalar(sql)
    };
    let number = |kind| version(kind).parse::<u32>().unwrap();
    if Kind::Postgres.handed_over().is_none() {
        assert!(number(Kind::Postgres) < number(Kind::PostgresNewer));
    }
    assert!(version(Kind::Mariadb).contains("MariaDB"));
    assert!(!version(Kind::Mysql).contains("MariaDB"));
}

#[test]
fn options_and_files_reach_the_server() {
    let options = Options::default()
        .arg("-c")
        .arg("hba_file={dir}/own_hba")
        .file("own_hba", "host all all 127.0.0.1/32 trust\n");
    let server = Server::private(Kind::Postgres, options);
    let url = server.url_as("postgres", "wrong", "postgres");
    assert!(
        dunlin_testkit::database::ask(&url, Kind::Postgres, "SELECT 1").is_ok(),
        "trust asks for no password"
    );
}

#[test]
fn a_pooler_stands_before_a_server() {
    let server = Server::private(Kind::Postgres, Options::default());
    let bouncer = PgBouncer::transaction_mode(&server);
    let rows =
        dunlin_testkit::database::ask(&bouncer.url_of("postgres"), Kind::Postgres, "SELECT 7")
            .unwrap();
    assert_eq!(rows, [[Some("7".to_owned())]]);
}

/// The client programs of a server's own version are at hand, for backups.
#[test]
fn the_tools_of_each_server_run() {
    for (kind, tool) in [
        (Kind::Postgres, "pg_dump"),
        (Kind::PostgresNewer, "pg_dump"),
        (Kind::Mariadb, "mariadb-dump"),
        (Kind::Mysql, "mysqldump"),
    ] {
        if kind.handed_over().is_none() {
            let tool = Server::shared(kind).tools().unwrap().join(tool);
            let output = std::process::Command::new(&tool)
                .arg("--version")
                .output()
                .unwrap();
            assert!(output.status.success(), "{} does not run", tool.display());
        }
    }
}

/// A second process that owns a server is killed; its server and its folder must not outlive it.
#[test]
fn a_killed_owner_takes_its_server_along() {
    const MARK: &str = "DUNLIN_TESTKIT_OWNER";
    if let Some(file) = std::env::var_os(MARK) {
        let server = Server::private(Kind::Mariadb, Options::default());
        std::fs::write(file, server.dir().unwrap().display().to_string()).unwrap();
        std::thread::sleep(Duration::from_secs(120));
        return;
    }
    let note = std::env::temp_dir().join(dunlin_testkit::database::fresh_name());
    let name = "a_killed_owner_takes_its_server_along";
    let mut owner = std::process::Command::new(std::env::current_exe().unwrap());
    let mut owner = owner
        .args([name, "--exact"])
        .env(MARK, &note)
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let until = |what: &dyn Fn() -> bool| {
        (0..6_000).any(|_| {
            what() || {
                std::thread::sleep(Duration::from_millis(10));
                false
            }
        })
    };
    assert!(
        until(&|| std::fs::read_to_string(&note).is_ok_and(|dir| !dir.is_empty())),
        "the owner has its server"
    );
    let dir = std::path::PathBuf::from(std::fs::read_to_string(&note).unwrap());
    assert!(dir.join("pid").exists());
    owner.kill().unwrap();
    owner.wait().unwrap();
    assert!(until(&|| !dir.exists()), "{} is still there", dir.display());
    std::fs::remove_file(note).unwrap();
}
