//! What an engine can do for a backup of a whole database: a copy of its file, or the tool that its makers ship.

use crate::{DbError, Engine};

/// What a dump gave.
pub enum Dumped {
    /// The file is a copy of the database, and this is its address: digests are taken from it.
    Copy(Box<dyn Engine>),
    /// The file was written by a tool, from the snapshot that it was told.
    Tool(String),
    /// This engine, or this host, has nothing for it: the caller reads rows itself.
    Own(Lack),
}

/// Why a tool was not used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lack {
    /// One sentence; empty where the engine's own reader is the rule and not a makeshift.
    pub why: String,
    /// What installs the tool.
    pub help: String,
}

/// A child process that failed, with the last lines of what it said.
pub(crate) fn failed(program: &str, output: &std::process::Output) -> DbError {
    let said = String::from_utf8_lossy(&output.stderr);
    let lines: Vec<&str> = said.lines().rev().take(4).collect();
    let tail: Vec<&str> = lines.into_iter().rev().collect();
    DbError::new(
        dunlin_core::failure::ErrorClass::Other,
        format!(
            "{program} ended with {}: {}",
            output.status,
            tail.join(" / ")
        ),
    )
}
