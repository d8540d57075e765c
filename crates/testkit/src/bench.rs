//! What the benchmarks of `cargo x bench` share: a table with many rows, and a whole process under GNU time's eyes.

pub mod entries;

use crate::{TestDatabase, TestEngine};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

/// A number from the environment.
///
/// # Panics
/// Where the variable holds no number.
pub fn number(name: &str, otherwise: u64) -> u64 {
    let given = std::env::var(name).ok();
    given.map_or(otherwise, |text| {
        text.parse().expect("the variable holds a number")
    })
}

/// The engines named in `DUNLIN_BENCH_ENGINES`, with commas; all where it is not set.
pub fn engines() -> Vec<TestEngine> {
    let only = std::env::var("DUNLIN_BENCH_ENGINES").unwrap_or_default();
    let only: Vec<&str> = only.split(',').filter(|name| !name.is_empty()).collect();
    crate::engines()
        .into_iter()
        .filter(|engine| only.is_empty() || only.contains(&engine.name()))
        .collect()
}

/// The binary: `DUNLIN_BIN`, else the one beside this program.
///
/// # Panics
/// Where the program does not know where it is.
pub fn binary() -> PathBuf {
    let beside = std::env::current_exe()
        .expect("a program knows where it is")
        .with_file_name("dunlin");
    std::env::var_os("DUNLIN_BIN").map_or(beside, PathBuf::from)
}

/// A table `big` of six columns of common kinds, some 240 bytes a row; a power of two rows, the next one above what is
/// asked for.
///
/// # Panics
/// Where the engine refuses.
pub fn big_table(engine: TestEngine, rows: u64) -> (TestDatabase, u64) {
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
    (database, there)
}

/// One measurement of a process.
#[derive(Debug, Clone, Copy)]
pub struct Taken {
    /// Wall seconds.
    pub wall: f64,
    /// CPU seconds of the process, the server's not among them.
    pub cpu: f64,
    /// Peak memory in MB.
    pub memory_mb: f64,
}

impl Taken {
    /// Worse than any other.
    pub const NEVER: Taken = Taken {
        wall: f64::MAX,
        cpu: f64::MAX,
        memory_mb: 0.0,
    };

    /// The quicker of the two, with the larger memory of both.
    #[must_use]
    pub fn better(self, other: Taken) -> Taken {
        let memory_mb = self.memory_mb.max(other.memory_mb);
        let quicker = if other.wall < self.wall { other } else { self };
        Taken {
            memory_mb,
            ..quicker
        }
    }
}

/// Runs a command as a whole process, its words on stdout thrown away, and requires that it succeeds.
///
/// # Panics
/// Where it does not, with what it said, and where GNU time is not installed.
pub fn timed(command: &Command) -> Taken {
    let mut wrapped = Command::new("/usr/bin/time");
    wrapped
        .args(["-f", "DUNLIN-TIME %U %S %M"])
        .arg(command.get_program())
        .args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => wrapped.env(name, value),
            None => wrapped.env_remove(name),
        };
    }
    if let Some(folder) = command.get_current_dir() {
        wrapped.current_dir(Path::new(folder));
    }
    let started = Instant::now();
    let output = wrapped
        .stdout(Stdio::null())
        .output()
        .expect("GNU time is there");
    let wall = started.elapsed().as_secs_f64();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let line = said
        .lines()
        .find_map(|line| line.strip_prefix("DUNLIN-TIME "))
        .expect("GNU time says what it was told to say");
    let numbers: Vec<f64> = line
        .split(' ')
        .filter_map(|part| part.parse().ok())
        .collect();
    let at = |at: usize| numbers.get(at).copied().unwrap_or(f64::NAN);
    Taken {
        wall,
        cpu: at(0) + at(1),
        memory_mb: at(2) / 1_024.0,
    }
}
