//! `cargo x bench verify`: one table in MariaDB and the same in PostgreSQL, compared by `dunlin verify` and by reladiff, where
//! that is in `PATH`. The data are those of `cargo x bench copy`, copied into both: once with texts that stay below U+FFFF,
//! once with emoji; as they are, and with one text changed in one row of PostgreSQL.
//!
//! MariaDB and not MySQL, for reladiff asks the server for `md5()`, which MySQL 9.7 no longer has by itself. It compares one
//! table at a time and wants a key, so `kb_tags`, which has none, is left out.
//!
//! Environment: `DUNLIN_BIN` (default: the binary beside this program), `DUNLIN_BENCH_MB` (default 600: about the size of
//! the SQLite file).

#![allow(clippy::expect_used, clippy::unwrap_used)]

use dunlin_testkit::bench::entries::{Texts, fill};
use dunlin_testkit::bench::{self, Taken};
use dunlin_testkit::servers::Kind;
use dunlin_testkit::{TestDatabase, TestEngine};
use std::process::{Command, Stdio};
use std::time::Instant;

/// The tables that have a key, with the column whose text is changed.
const TABLES: [(&str, &str); 2] = [("search_history", "query"), ("kb_entries", "problem")];

/// A run of a tool: what it took, and in how many rows it saw a difference (`None`: it failed).
struct Ran {
    taken: Taken,
    differ: Option<u64>,
}

/// Runs a tool whose exit code says something else than whether it worked.
fn run(command: &Command, differ: impl Fn(i32, &str) -> Option<u64>) -> Ran {
    let mut wrapped = Command::new("/usr/bin/time");
    wrapped.args(["-f", "DUNLIN-TIME %U %S %M"]);
    wrapped
        .arg(command.get_program())
        .args(command.get_args())
        .stdin(Stdio::null());
    let started = Instant::now();
    let output = wrapped.output().unwrap();
    let wall = started.elapsed().as_secs_f64();
    let said = String::from_utf8_lossy(&output.stderr);
    let line = said
        .lines()
        .find_map(|line| line.strip_prefix("DUNLIN-TIME "));
    let numbers = line.unwrap_or_default().split(' ');
    let numbers: Vec<f64> = numbers.filter_map(|part| part.parse().ok()).collect();
    let at = |at: usize| numbers.get(at).copied().unwrap_or(f64::NAN);
    let differ = differ(
        output.status.code().unwrap_or(-1),
        &String::from_utf8_lossy(&output.stdout),
    );
    if differ.is_none() {
        eprintln!("{}", said.lines().last().unwrap_or_default());
    }
    Ran {
        taken: Taken {
            wall,
            cpu: at(0) + at(1),
            memory_mb: at(2) / 1_024.0,
        },
        differ,
    }
}

fn dunlin(mariadb: &TestDatabase, postgres: &TestDatabase, table: &str) -> Ran {
    let mut command = Command::new(bench::binary());
    command.args(["verify", mariadb.url(), postgres.url(), "--tables", table]);
    command.args(["--format", "json"]);
    run(&command, |code, said| {
        let said: serde_json::Value = serde_json::from_str(said).ok()?;
        let named = || said["data"]["differences"].as_array();
        match code {
            0 => Some(0),
            5 => named().map(|rows| rows.len() as u64),
            _ => None,
        }
    })
}

fn reladiff(mariadb: &TestDatabase, postgres: &TestDatabase, table: &str) -> Ran {
    let mut command = Command::new("reladiff");
    let other = postgres.url().replacen("postgres://", "postgresql://", 1);
    let one = mariadb.url().replacen("mariadb://", "mysql://", 1);
    command.args([&one, table, &other, table, "-k", "id", "-c", "%"]);
    // Hundreds of thousands of rows in colours would take it as long again.
    command.args(["--stats", "--json"]);
    run(&command, |code, said| {
        // It breaks lines where a terminal would end.
        let said: serde_json::Value = serde_json::from_str(&said.replace('\n', "")).ok()?;
        let kinds = ["exclusive_A", "exclusive_B", "updated"];
        let rows = kinds.iter().filter_map(|kind| said[*kind].as_u64());
        (code == 0).then(|| rows.sum())
    })
}

fn line(what: &str, ran: &Ran) {
    let Taken {
        wall,
        cpu,
        memory_mb,
    } = ran.taken;
    let differ = match ran.differ {
        Some(rows) => rows.to_string(),
        None => "failed".into(),
    };
    println!("| {what} | {wall:.2} | {cpu:.2} | {memory_mb:.0} | {differ} |");
}

fn copy(from: &str, to: &TestDatabase) {
    let mut command = Command::new(bench::binary());
    bench::timed(command.args(["copy", from, to.url(), "--no-verify"]));
}

fn main() {
    let mb = bench::number("DUNLIN_BENCH_MB", 600);
    let peer = Command::new("reladiff").arg("--version").output().is_ok();
    println!("| | wall s | client CPU s | peak MB | rows that differ, by the tool |");
    println!("|---|--:|--:|--:|--:|");
    for (texts, called) in [(Texts::Plain, "below U+FFFF"), (Texts::All, "with emoji")] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("app.db");
        fill(&path, mb, texts);
        let mariadb = TestEngine::Server(Kind::Mariadb).database();
        let postgres = TestEngine::Server(Kind::PostgresNewer).database();
        let file = format!("sqlite:{}", path.display());
        copy(&file, &mariadb);
        copy(&file, &postgres);
        for (table, column) in TABLES {
            let both = |how: &str| {
                let what = |tool: &str| format!("{tool}: {table}, texts {called}, {how}");
                line(&what("dunlin verify"), &dunlin(&mariadb, &postgres, table));
                if peer {
                    line(&what("reladiff"), &reladiff(&mariadb, &postgres, table));
                }
            };
            both("equal");
            // In the middle of a text: one letter.
            postgres.run(&format!(
                "UPDATE {table} SET {column} = overlay({column} placing 'X' from 3 for 1) \
                 WHERE id = (SELECT id FROM {table} ORDER BY id OFFSET 1000 LIMIT 1)"
            ));
            both("one row changed");
        }
    }
}
