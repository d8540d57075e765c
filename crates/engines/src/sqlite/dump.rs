//! Backups of a SQLite file by its online backup API: the copy is one state of the database, whoever writes meanwhile.

use crate::DbError;
use dunlin_core::failure::ErrorClass;
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

/// SQLITE_IOERR_WRITE: what a file system says that has room and gives none (a quota, a limit on the size of files).
const WRITE_REFUSED: &str = "778";

/// The error of writing a copy: a write that the system refuses is want of room, whatever the library calls it.
pub(super) fn no_room(mut error: DbError) -> DbError {
    if error.code == WRITE_REFUSED {
        error.class = ErrorClass::DiskFull;
    }
    error
}

/// Opens the file of a copy that is being made.
pub(super) fn open(path: &Path) -> Result<Connection, rusqlite::Error> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(Duration::from_secs(5))?;
    Ok(connection)
}
