//! How fast `digest` reads a SQLite file, beside a bare scan of the same file through the same driver.
//!
//! `cargo run --release -p dunlin --example digest_speed -- [ROWS]`
#![allow(clippy::unwrap_used, clippy::expect_used)]

use dunlin::digest::{Scope, digest};
use dunlin_core::event::Silent;
use dunlin_core::redact::SecretUrl;
use dunlin_engines::{Purpose, Settings};
use std::time::Instant;

const MAKE: &str = "CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT, price NUMERIC(10,2), weight REAL, at DATETIME, \
    flag BOOLEAN, note TEXT, raw BLOB); \
    WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ROWS) \
    INSERT INTO t SELECT i, 'name of row ' || i, (i % 10000) / 100.0, i * 0.7310585786300049, \
    datetime(1700000000 + i, 'unixepoch'), i % 2, 'a note of some length, as people write them, number ' || i, \
    zeroblob(8) FROM n;";

#[tokio::main]
async fn main() {
    let rows: u64 = std::env::args()
        .nth(1)
        .map_or(2_000_000, |text| text.parse().expect("a number"));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("speed.db");
    let url = SecretUrl::new(format!("sqlite:{}", file.display()));
    let settings = Settings {
        create: true,
        ..Settings::default()
    };
    let engine = dunlin_engines::open(&url, settings).unwrap();
    let mut session = engine.open(Purpose::Tool).await.unwrap();
    for statement in MAKE.replace("ROWS", &rows.to_string()).split_inclusive(';') {
        session.execute(statement).await.unwrap();
    }
    session.close().await;
    let size = std::fs::metadata(&file).unwrap().len();
    println!("{rows} rows, {:.0} MB", size as f64 / 1e6);
    for _ in 0..2 {
        let mut session = engine.open(Purpose::Read).await.unwrap();
        let begun = Instant::now();
        let scanned = session.query("SELECT count(id), sum(length(name) + length(note) + length(raw)) + sum(weight) + sum(price) + max(flag) + max(at) FROM t", &[]).await.unwrap();
        let scan = begun.elapsed();
        assert_eq!(scanned[0][0].as_i64(), Some(rows as i64));
        let begun = Instant::now();
        let mut batches = 0;
        {
            let mut stream = session.stream("SELECT * FROM t").await.unwrap();
            while let Some(batch) = stream.next().await.unwrap() {
                batches += usize::from(!batch.is_empty());
            }
        }
        let streamed = begun.elapsed();
        let begun = Instant::now();
        let digests = digest(&mut *session, &Scope::default(), None, &mut Silent)
            .await
            .unwrap();
        let hashed = begun.elapsed();
        let rate = |time: std::time::Duration| rows as f64 / time.as_secs_f64() / 1e6;
        println!(
            "aggregate in SQL {:.2} M rows/s; streamed in {batches} batches {:.2} M rows/s; digest {} {:.2} M rows/s",
            rate(scan),
            rate(streamed),
            digests.tables[0].digest,
            rate(hashed)
        );
    }
}
