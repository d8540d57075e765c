//! Invariant 13: the memory of a digest does not grow with the rows.
#![allow(clippy::unwrap_used)]

use dunlin_testkit::for_each_engine;
use std::process::Command;

/// How much data memory the process may have, in KiB: half of what the rows take.
const LIMIT: u32 = 64 << 10;

for_each_engine! {
    async fn invariant_13_a_digest_of_twice_the_memory_runs_in_it(kind: TestEngine) {
        let database = kind.database();
        database.run("CREATE TABLE big (id int, pad varchar(2000)); INSERT INTO big VALUES (0, 'x')");
        let pad = kind.pick(
            "hex(zeroblob(1000))",
            "repeat('ab', 1000)",
            "repeat('ab', 1000)",
        );
        database.run(&format!("UPDATE big SET pad = {pad}"));
        // Sixteen times twice as many: 65,536 rows of two kilobytes.
        for power in 0..16 {
            let more = 1 << power;
            database.run(&format!("INSERT INTO big SELECT id + {more}, pad FROM big"));
        }
        let dunlin = env!("CARGO_BIN_EXE_dunlin");
        let url = database.url();
        let run = |limit: u32| {
            let line = format!("ulimit -d {limit}; exec \"$0\" digest \"$1\" --format json");
            Command::new("sh").args(["-c", &line, dunlin, url]).output().unwrap()
        };
        let output = run(LIMIT);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
        let answer: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(answer["data"]["tables"][0]["rows"], 65_536, "{answer}");
        // The bound is a bound: with next to nothing it does not run.
        assert!(!run(256).status.success());
    }
}
