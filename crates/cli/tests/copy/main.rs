//! `copy` and `verify` from the command line, from SQLite to every engine and back.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod again;
mod aside;
mod basics;
mod bite;
mod build;
mod corpus;
mod crash;
mod early;
mod exact;
mod folds;
mod foreign;
mod hostile;
mod plan;
mod refused;
mod repair;
mod rounds;
mod roundtrip;
mod short;
mod together;
mod trouble;
mod twins;
mod ways;

use dunlin_testkit::TestDatabase;
use dunlin_testkit::engines::TestEngine;
use dunlin_testkit::sandbox::{Ran, Sandbox};
use rusqlite::Connection;
use serde_json::Value;
use std::time::Duration;

/// A SQLite file to be copied, and a target of some engine.
pub struct Ends {
    /// The folder.
    pub sandbox: Sandbox,
    /// The target.
    pub target: TestDatabase,
    /// What it runs on.
    pub engine: TestEngine,
}

impl Ends {
    /// A source made by these statements, and an empty target.
    pub fn new(engine: TestEngine, sql: &str) -> Ends {
        let sandbox = Sandbox::new();
        let connection = Connection::open(sandbox.path("source.db")).unwrap();
        connection.execute_batch(sql).unwrap();
        let target = engine.database();
        if engine.is_mysql_family() {
            let name = target.name();
            let _ = target.run(&format!("ALTER DATABASE {name} CHARACTER SET utf8mb4"));
        }
        Ends {
            sandbox,
            target,
            engine,
        }
    }

    /// `dunlin copy source target …`.
    pub fn copy(&self, more: &[&str]) -> Ran {
        let url = self.target.url();
        let mut args = vec!["copy", "sqlite:source.db", url, "--format", "json"];
        args.extend(more);
        self.sandbox.dunlin(args)
    }

    /// `dunlin verify source target …`: exit code and JSON.
    pub fn verify(&self) -> (i32, Value) {
        let url = self.target.url();
        let ran = self
            .sandbox
            .dunlin(["verify", "sqlite:source.db", url, "--format", "json"]);
        (ran.code.unwrap_or(-1), ran.json())
    }
}

/// Runs a command again and again, and kills it so many milliseconds after its beginning, until it comes to its end before:
/// something must have been killed. `after` looks at what each has left.
pub fn kill_each(sandbox: &Sandbox, args: &[&str], waits: &[u64], mut after: impl FnMut()) {
    let mut killed = 0;
    for wait in waits {
        let mut running = sandbox.spawn(args);
        std::thread::sleep(Duration::from_millis(*wait));
        if running.ended() {
            break;
        }
        running.signal("KILL");
        let _ = running.wait();
        killed += 1;
        after();
    }
    assert!(killed > 0, "nothing was killed");
}

/// Whether every table of a report agrees.
pub fn all_equal(json: &Value) -> bool {
    let tables = json["data"]["tables"].as_array().unwrap();
    !tables.is_empty() && tables.iter().all(|table| table["equal"] == true)
}
