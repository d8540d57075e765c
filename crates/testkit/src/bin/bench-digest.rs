//! `cargo x bench digest`: the digest of a million rows on each engine, beside the floor: the same rows read by the same
//! driver and thrown away.
//!
//! Environment: `DUNLIN_BIN` (default: the binary beside this program), `DUNLIN_BENCH_ROWS` (default 1,000,000; a power
//! of two is made, the next one above), `DUNLIN_BENCH_RUNS` (default 3), `DUNLIN_BENCH_ENGINES` (names with commas).

#![allow(clippy::expect_used, clippy::unwrap_used)]

use dunlin_core::redact::SecretUrl;
use dunlin_engines::{Purpose, Settings};
use dunlin_testkit::bench;
use std::process::Command;
use std::time::Instant;

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
    let binary = bench::binary();
    let wanted = bench::number("DUNLIN_BENCH_ROWS", 1_000_000);
    let runs = bench::number("DUNLIN_BENCH_RUNS", 3);
    println!("| engine | rows | wall s | rows/s | ÷ reading them | client CPU s | peak MB |");
    println!("|---|--:|--:|--:|--:|--:|--:|");
    for engine in bench::engines() {
        let (database, _) = bench::big_table(engine, wanted);
        let (mut best, mut read) = (bench::Taken::NEVER, f64::MAX);
        let mut rows = 0;
        for _ in 0..runs {
            let (found, took) = runtime.block_on(floor(database.url()));
            (rows, read) = (found, read.min(took));
            let taken = bench::timed(Command::new(&binary).args(["digest", database.url()]));
            best = best.better(taken);
        }
        println!(
            "| {engine} | {rows} | {:.2} | {:.0} | {:.2} | {:.2} | {:.0} |",
            best.wall,
            rows as f64 / best.wall,
            best.wall / read,
            best.cpu,
            best.memory_mb
        );
    }
}
