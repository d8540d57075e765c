//! Backups of a SQLite file by its online backup API: the copy is one state of the database, whoever writes meanwhile.

use rusqlite::Connection;
use rusqlite::backup::{Backup, StepResult};
use std::path::Path;
use std::time::Duration;

/// Pages per step: 4 MiB of the usual page size, so that writers get their turn many times a second.
const STEP_PAGES: i32 = 1_024;

/// Copies the database of one connection over that of another file.
pub(super) fn copy(from: &Connection, to: &mut Connection) -> Result<(), rusqlite::Error> {
    let backup = Backup::new(from, to)?;
    loop {
        match backup.step(STEP_PAGES)? {
            StepResult::Done => return Ok(()),
            StepResult::Busy | StepResult::Locked => std::thread::sleep(Duration::from_millis(20)),
            _ => {}
        }
    }
}

/// Opens the file of a copy that is being made.
pub(super) fn open(path: &Path) -> Result<Connection, rusqlite::Error> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(Duration::from_secs(5))?;
    Ok(connection)
}
