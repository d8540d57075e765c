//! Servers whose sessions cannot share a snapshot by name: writers are kept out for a moment, while all of them begin.

use super::all_equal;
use dunlin_testkit::TestDatabase;
use dunlin_testkit::engines::TestEngine;
use dunlin_testkit::sandbox::Sandbox;
use dunlin_testkit::servers::{Kind, Options, Server};
use std::sync::atomic::{AtomicBool, Ordering};

const ROWS: u32 = 20_000;

fn filled(source: &TestDatabase) {
    for table in ["debit", "credit"] {
        let make = format!("CREATE TABLE {table} (id int PRIMARY KEY, n int NOT NULL, pad text)");
        let _ = source.run(&make);
        let _ = source.run(&format!("INSERT INTO {table} VALUES (1, 1, 'pad')"));
        let mut there = 1;
        while there < ROWS {
            let more = there.min(ROWS - there);
            let sql = format!(
                "INSERT INTO {table} SELECT id + {there}, n, pad FROM {table} WHERE id <= {more}"
            );
            let _ = source.run(&sql);
            there += more;
        }
    }
}

/// Two tables at once, of which a writer changes both or neither.
fn of_one_moment(kind: Kind) {
    let options = Options::default()
        .arg("--log-output=TABLE")
        .arg("--general-log=ON");
    let server = Server::private(kind, options);
    let source = TestDatabase::on(&server);
    filled(&source);
    let target = TestEngine::Server(Kind::Postgres).database();
    let sandbox = Sandbox::new();
    // Who only looks keeps nobody from writing.
    let dry = [
        "copy",
        source.url(),
        target.url(),
        "--jobs",
        "2",
        "--dry-run",
    ];
    let _ = sandbox.dunlin(dry).code(0);
    let stop = AtomicBool::new(false);
    let (ran, written) = std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let mut id = 100_000;
            while !stop.load(Ordering::Relaxed) {
                id += 1;
                let _ = source.run(&format!(
                    "START TRANSACTION; INSERT INTO debit VALUES ({id}, {id}, 'more'); \
                     INSERT INTO credit VALUES ({id}, {id}, 'more'); COMMIT"
                ));
            }
            id - 100_000
        });
        let url = (source.url(), target.url());
        let args = ["copy", url.0, url.1, "--jobs", "2", "--format", "json"];
        let ran = sandbox.dunlin(args);
        stop.store(true, Ordering::Relaxed);
        (ran, writer.join().unwrap())
    });
    assert!(written > 0, "nobody wrote");
    let json = ran.code(0).json();
    assert!(all_equal(&json), "{json:#}");
    let same = "SELECT (SELECT sum(n) FROM debit) = (SELECT sum(n) FROM credit) AND (SELECT count(*) FROM debit) = \
                (SELECT count(*) FROM credit)";
    assert_eq!(target.scalar(same), "t");
    let sql = "SELECT CONVERT(argument USING utf8mb4) FROM mysql.general_log WHERE argument LIKE 'LOCK TABLES%READ%' OR \
               argument LIKE 'UNLOCK%' OR argument LIKE 'START TRANSACTION WITH%' ORDER BY event_time";
    let told: Vec<String> = source.run(sql).into_iter().flatten().flatten().collect();
    let steps: Vec<&str> = told
        .iter()
        .filter_map(|sql| sql.split(' ').next())
        .collect();
    assert_eq!(
        steps[..5],
        ["START", "LOCK", "START", "START", "UNLOCK"],
        "{told:#?}"
    );
}

#[test]
fn two_sessions_read_one_moment_of_mysql() {
    of_one_moment(Kind::Mysql);
}

#[test]
fn two_sessions_read_one_moment_of_mariadb() {
    of_one_moment(Kind::Mariadb);
}

/// Who may only read copies all the same, and hears what it costs.
fn without_the_right(kind: Kind) {
    let source = TestEngine::Server(kind).database();
    filled(&source);
    let name = source.name();
    let user = format!("r{name}");
    let make = format!("CREATE USER '{user}'@'%' IDENTIFIED BY 'geheim'");
    let _ = source.run(&make);
    let _ = source.run(&format!("GRANT SELECT ON {name}.* TO '{user}'@'%'"));
    let url = Server::shared(kind).url_as(&user, "geheim", name);
    let target = TestEngine::Server(Kind::Postgres).database();
    let sandbox = Sandbox::new();
    let ran = sandbox.dunlin(["copy", &url, target.url(), "--jobs", "2"]);
    let _ = source.run(&format!("DROP USER '{user}'@'%'"));
    assert!(ran.stderr.contains("read by one session"), "{}", ran.stderr);
    let _ = ran.code(0);
    assert_eq!(
        target.scalar("SELECT count(*) FROM credit"),
        ROWS.to_string()
    );
}

#[test]
fn one_session_reads_where_tables_may_not_be_held_mysql() {
    without_the_right(Kind::Mysql);
}

#[test]
fn one_session_reads_where_tables_may_not_be_held_mariadb() {
    without_the_right(Kind::Mariadb);
}

/// Somebody's transaction stands open: nobody waits for its end for long.
fn somebody_writes(kind: Kind) {
    let source = TestEngine::Server(kind).database();
    filled(&source);
    let target = TestEngine::Server(Kind::Postgres).database();
    let sandbox = Sandbox::new();
    let began = std::time::Instant::now();
    let ran = std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            source.run("START TRANSACTION; INSERT INTO debit VALUES (99999, 1, 'open'); SELECT SLEEP(12); COMMIT")
        });
        std::thread::sleep(std::time::Duration::from_millis(500));
        let url = (source.url(), target.url());
        let ran = sandbox.dunlin(["copy", url.0, url.1, "--jobs", "2"]);
        let took = began.elapsed();
        let _ = writer.join();
        (ran, took)
    });
    assert!(ran.1.as_secs() < 12, "{:?}", ran.1);
    assert!(
        ran.0.stderr.contains("read by one session"),
        "{}",
        ran.0.stderr
    );
    let _ = ran.0.code(0);
    assert_eq!(
        target.scalar("SELECT count(*) FROM debit"),
        ROWS.to_string()
    );
}

#[test]
fn an_open_transaction_is_not_waited_for_mysql() {
    somebody_writes(Kind::Mysql);
}

#[test]
fn an_open_transaction_is_not_waited_for_mariadb() {
    somebody_writes(Kind::Mariadb);
}
