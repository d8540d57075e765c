//! `cargo x bench digest`: the digest of a million rows on each engine, beside the floor: the same rows read by the same
//! driver and thrown away.
//!
//! Environment: `DUNLIN_BIN` (default: the binary beside this program), `DUNLIN_BENCH_ROWS` (default 1,000,000; a power
//! of two is made, the next one above), `DUNLIN_BENCH_RUNS` (default 3).

#![allow(clippy::expect_used, clippy::unwrap_used)]

use dunlin_core::redact::SecretUrl;
use dunlin_engines::{Purpose, Settings};
use dunlin_testkit::{TestDatabase, TestEngine, engines};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Instant;

fn number(name: &str, otherwise: u64) -> u64 {
    let given = std::env::var(name).ok();
    given.map_or(otherwise, |text| text.parse().expect(name))
}

/// Six columns of common kinds, some 240 bytes a row.
fn make(engine: TestEngine, rows: u64) -> TestDatabase {
    let database = engine.database();
    let types = engine.pick(
        "id INTEGER PRIMARY KEY, name TEXT, amount DECIMAL(12,2), at DATETIME, d DOUBLE, note TEXT",
        "id bigint PRIMARY KEY, name text, amount numeric(12,2), at timestamp, d double precision, note text",
        "id bigint PRIMARY KEY, name varchar(50), amount decimal(12,2), at datetime, d double, note varchar(300)",
    );
    database.run(&format!("CREATE TABLE big ({types})"));
    let note = "0123456789abcdef".repeat(12);
    database.run(&format!(
        "INSERT INTO big VALUES (0, 'name', 0.5, '2024-01-02 03:04:05', 0.1, '{note}')"
    ));
    let mut there = 1;
    while there < rows {
        database.run(&format!(
            "INSERT INTO big SELECT id + {there}, name, amount + {there}, at, d * 1.7 + {there}, note FROM big"
        ));
        there *= 2;
    }
    database
}

/// The digest as a whole process: wall seconds, CPU seconds of the client, peak memory in MB.
fn digest(binary: &PathBuf, url: &str) -> [f64; 3] {
    let started = Instant::now();
    let output = Command::new("/usr/bin/time")
        .args(["-f", "DUNLIN-TIME %U %S %M"])
        .arg(binary)
        .args(["digest", url])
        .stdout(Stdio::null())
        .output()
        .expect("GNU time is there");
    let wall = started.elapsed().as_secs_f64();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{text}");
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("DUNLIN-TIME "));
    let numbers = line.expect("time says it").split(' ');
    let numbers: Vec<f64> = numbers.filter_map(|text| text.parse().ok()).collect();
    [wall, numbers[0] + numbers[1], numbers[2] / 1_024.0]
}

/// The same rows, read and thrown away.
async fn floor(url: &str) -> (u64, f64) {
    let engine = dunlin_engines::open(&SecretUrl::new(url), Settings::default()).unwrap();
    let started = Instant::now();
    let mut session = engine.open(Purpose::Read).await.unwrap();
    let mut rows = 0;
    {
        let mut source = session.stream("SELECT * FROM big").await.unwrap();
        while let Some(batch) = source.next().await.unwrap() {
            rows += batch.len() as u64;
        }
    }
    session.close().await;
    (rows, started.elapsed().as_secs_f64())
}

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let beside = std::env::current_exe().unwrap().with_file_name("dunlin");
    let binary = std::env::var_os("DUNLIN_BIN").map_or(beside, PathBuf::from);
    let (wanted, runs) = (
        number("DUNLIN_BENCH_ROWS", 1_000_000),
        number("DUNLIN_BENCH_RUNS", 3),
    );
    println!("| engine | rows | wall s | rows/s | ÷ reading them | client CPU s | peak MB |");
    println!("|---|--:|--:|--:|--:|--:|--:|");
    for engine in engines() {
        let database = make(engine, wanted);
        let (mut best, mut read) = ([f64::MAX; 3], f64::MAX);
        let mut rows = 0;
        for _ in 0..runs {
            let (found, took) = runtime.block_on(floor(database.url()));
            (rows, read) = (found, read.min(took));
            let taken = digest(&binary, database.url());
            if taken[0] < best[0] {
                best = taken;
            }
        }
        println!(
            "| {engine} | {rows} | {:.2} | {:.0} | {:.2} | {:.2} | {:.0} |",
            best[0],
            rows as f64 / best[0],
            best[0] / read,
            best[1],
            best[2]
        );
    }
}
