//! Several processes of the service start at once: each script runs once, and all of them come up.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use dunlin_testkit::sandbox::Sandbox;
use dunlin_testkit::{TestDatabase, for_each_engine};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

fn service(database: &TestDatabase) -> Sandbox {
    let mut sandbox = Sandbox::with_binary(env!("CARGO_BIN_EXE_embedded-service"));
    sandbox.set("DATABASE_URL", database.url());
    sandbox
}

for_each_engine! {
    async fn twelve_processes_start_at_once(engine: TestEngine) {
        let database = engine.database();
        let service = service(&database);
        let started: Vec<_> = (0..12).map(|_| service.spawn(["--migrate-only"])).collect();
        let mut applied = 0;
        for process in started {
            let ran = process.wait().success();
            let words: Vec<_> = ran.stdout.split_whitespace().collect();
            applied += words[2].parse::<usize>().unwrap();
        }
        assert_eq!(applied, 3, "three scripts, each run by one of the twelve");
        assert_eq!(database.scalar("SELECT count(*) FROM languages"), "3");
        let done = "SELECT count(*) FROM dunlin_journal WHERE scope = 'unit' AND event = 'done'";
        assert_eq!(database.scalar(done), "3");
        let again = service.dunlin(["--migrate-only"]).success();
        assert_eq!(again.stdout, "database ready, 0 migrations applied\n");
    }
}

for_each_engine! {
    async fn a_killed_start_is_taken_up_by_the_next(engine: TestEngine) {
        for round in 0..4 {
            let database = engine.database();
            let service = service(&database);
            let first = service.spawn(["--migrate-only"]);
            std::thread::sleep(Duration::from_millis(15 * round));
            first.signal("KILL");
            let _ = first.wait();
            let _ = service.dunlin(["--migrate-only"]).success();
            assert_eq!(database.scalar("SELECT count(*) FROM languages"), "3");
        }
    }
}

#[test]
fn it_serves_once_its_database_is_ready() {
    let database = TestDatabase::sqlite();
    let mut service = service(&database);
    service.set("LISTEN", "127.0.0.1:0");
    let running = service.spawn([""]);
    let began = Instant::now();
    let address = loop {
        if let Some((_, rest)) = running.stdout().split_once("http://")
            && let Some((address, _)) = rest.split_once('\n')
        {
            break address.to_owned();
        }
        assert!(
            began.elapsed() < Duration::from_secs(30),
            "{}",
            running.stderr()
        );
        std::thread::sleep(Duration::from_millis(10));
    };
    let ask = |line: &str| {
        let mut stream = TcpStream::connect(&address).unwrap();
        stream
            .write_all(format!("{line} HTTP/1.1\r\n\r\n").as_bytes())
            .unwrap();
        let mut answer = String::new();
        // The service closes without having read all of it, which some systems call a reset.
        let _ = stream.read_to_string(&mut answer);
        answer
    };
    assert!(ask("POST /Ada").ends_with("Merhaba! 1 guests: Ada\n"));
    assert!(ask("GET /").ends_with("Merhaba! 1 guests: Ada\n"));
}

#[test]
fn a_service_whose_database_cannot_be_brought_up_to_date_does_not_start() {
    let database = TestDatabase::sqlite();
    database.run("CREATE TABLE guests (somebody_elses INTEGER)");
    let ran = service(&database).dunlin([""]).code(1);
    assert!(ran.stderr.contains("guests"), "{}", ran.stderr);
    assert!(!ran.stdout.contains("listening"));
}
