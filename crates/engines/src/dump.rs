//! What an engine can do for a backup of a whole database: a copy of its file, or the tool that its makers ship.

use crate::{DbError, Engine};
use dunlin_core::failure::ErrorClass;
use std::path::{Path, PathBuf};
use tokio::process::Command;

/// What a dump gave.
pub enum Dumped {
    /// The file is a copy of the database, and this is its address: digests are taken from it.
    Copy(Box<dyn Engine>),
    /// The file was written by a tool, from the snapshot that it was told.
    Tool(String),
    /// The tool wrote the statements that make every object; rows are the caller's to read.
    Objects {
        /// Its name and version.
        tool: String,
        /// The statements.
        script: String,
    },
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

/// What a child process may know of our environment. Not the rest of it: a URL with its password stands there often.
const INHERITED: &[&str] = &[
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "TMPDIR",
    "TZ",
    "LANG",
    "LC_ALL",
    "LC_CTYPE",
    "LC_MESSAGES",
    "LD_LIBRARY_PATH",
    "DYLD_LIBRARY_PATH",
    "KRB5CCNAME",
    "KRB5_CONFIG",
];

/// A tool that is about to be started: nothing to read from, ended with us, and no secret in its environment.
pub(crate) fn child(program: &str) -> Command {
    let mut command = Command::new(program);
    command.env_clear();
    for name in INHERITED {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    command
        .stdin(std::process::Stdio::null())
        .kill_on_drop(true);
    command
}

/// A file that holds a secret for a tool: mode 0600, gone when this is dropped.
pub(crate) struct Secret(PathBuf);

impl Secret {
    /// Writes it beside another file, whose name it takes with one more ending.
    pub(crate) fn write(beside: &Path, ending: &str, text: &str) -> Result<Self, DbError> {
        use std::io::Write as _;
        use std::os::unix::fs::OpenOptionsExt as _;
        let mut path = beside.as_os_str().to_owned();
        path.push(".");
        path.push(ending);
        let path = PathBuf::from(path);
        let _ = std::fs::remove_file(&path);
        let opened = std::fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path);
        let secret = Secret(path);
        let written = opened.and_then(|mut file| file.write_all(text.as_bytes()));
        written.map_err(|error| {
            DbError::new(
                ErrorClass::Other,
                format!("{}: {error}", secret.0.display()),
            )
        })?;
        Ok(secret)
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// A child process that failed, with the last lines of what it said.
pub(crate) fn failed(program: &str, output: &std::process::Output) -> DbError {
    let said = String::from_utf8_lossy(&output.stderr);
    let lines: Vec<&str> = said.lines().rev().take(4).collect();
    let tail: Vec<&str> = lines.into_iter().rev().collect();
    let no_room = [
        "No space left on device",
        "File too large",
        "Disk quota exceeded",
    ];
    let class = if no_room.iter().any(|words| said.contains(words)) {
        ErrorClass::DiskFull
    } else {
        ErrorClass::Other
    };
    DbError::new(
        class,
        format!(
            "{program} ended with {}: {}",
            output.status,
            tail.join(" / ")
        ),
    )
}
