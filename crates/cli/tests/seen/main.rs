//! What people see, word for word: bad input, help, tables, JSON. Each text is a snapshot, read by a person once and
//! compared ever after (`INSTA_UPDATE=always` takes the new one).

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod connecting;
mod disk;
mod files;
mod foreign;
mod help;
mod names;
mod output;
mod plans;
mod promises;

use dunlin_testkit::TestEngine;
use dunlin_testkit::sandbox::{Ran, Sandbox};

/// A sealed room with one script that makes a table.
fn room() -> Sandbox {
    let mut sandbox = Sandbox::with_binary(env!("CARGO_BIN_EXE_dunlin"));
    sandbox.set("HOSTNAME", "desk");
    sandbox.write(
        "migrations/001_notes.sql",
        "CREATE TABLE notes (id int NOT NULL PRIMARY KEY, title varchar(80));\n\
         -- dunlin:undo\nDROP TABLE notes;\n",
    );
    sandbox
}

/// The same for the database of a URL.
fn room_for(url: &str) -> Sandbox {
    let mut sandbox = room();
    sandbox.set("DATABASE_URL", url);
    sandbox
}

/// Runs a command line, split at blanks.
fn dunlin(sandbox: &Sandbox, line: &str) -> Ran {
    sandbox.dunlin(line.split_whitespace())
}

/// Compares what a command said with the snapshot of that name.
fn shows(name: &str, ran: &Ran) {
    insta::assert_snapshot!(name, level(&ran.snapshot()));
}

/// Two blanks for more of them: a column is as wide as its longest duration, and durations differ. That columns stand
/// under one another is for the tests of tables.
fn level(text: &str) -> String {
    let narrow = |line: &str| {
        let mut line = line.to_owned();
        while line.contains("   ") && (line.contains("[TIME]") || line.starts_with(" version ")) {
            line = line.replace("   ", "  ");
        }
        line + "\n"
    };
    text.lines().map(narrow).collect()
}

/// As [`shows`], one snapshot per engine: each server has its own sentences. `names`: what has another name every time.
fn shows_on(name: &str, engine: TestEngine, ran: &Ran, names: &[(&str, &str)]) {
    let text = names
        .iter()
        .fold(level(&ran.snapshot()), |text, (here, there)| {
            text.replace(here, there)
        });
    insta::with_settings!({ snapshot_suffix => engine.name() }, {
        insta::assert_snapshot!(name, text);
    });
}
