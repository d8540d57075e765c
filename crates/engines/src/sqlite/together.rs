//! Small transactions as one: what a commit waits for is the disk, and a file has one writer at a time anyway.

use super::session::{begin, db_error, run, write};
use crate::{DbError, Did, Part, Together, not_ours};
use dunlin_core::failure::ErrorClass;
use rusqlite::Connection;
use std::time::Instant;

/// Runs the parts on the connection's thread. What fails is told; the transaction is left to be rolled back.
pub(super) fn together(connection: &Connection, asked: Together) -> Result<Vec<Vec<Did>>, DbError> {
    let native = |error: rusqlite::Error| db_error(&error);
    let began = Instant::now();
    if must_be_apart(connection).map_err(native)? {
        return Ok(vec![]);
    }
    begin(connection).map_err(native)?;
    let mut done = vec![];
    for part in asked.parts {
        done.push(one(connection, part)?);
        if began.elapsed() >= asked.within {
            break;
        }
    }
    if !(asked.may_commit)() {
        return Err(not_ours());
    }
    write(connection, "COMMIT", &[]).map_err(native)?;
    Ok(done)
}

/// Whether a commit of each part may tell more than one of all: of a foreign key that is looked at when a transaction
/// commits, and which a later part may satisfy; or whether nothing can be rolled back.
fn must_be_apart(connection: &Connection) -> Result<bool, rusqlite::Error> {
    let says = |ask: &str| -> Result<bool, rusqlite::Error> {
        connection
            .prepare_cached(ask)?
            .query_row([], |row| row.get(0))
    };
    let off = "SELECT EXISTS (SELECT 1 FROM pragma_defer_foreign_keys WHERE defer_foreign_keys <> 0) \
               OR EXISTS (SELECT 1 FROM pragma_journal_mode WHERE journal_mode = 'off')";
    if says(off)? {
        return Ok(true);
    }
    // Attached files have theirs, too; and whether LIKE knows capitals is the session's own choice.
    let mut files = connection.prepare_cached("SELECT name FROM pragma_database_list")?;
    let names = files.query_map([], |row| row.get::<_, String>(0))?;
    for name in names.collect::<Result<Vec<_>, _>>()? {
        let schema = format!("\"{}\".sqlite_schema", name.replace('"', "\"\""));
        let defers =
            format!("SELECT EXISTS (SELECT 1 FROM {schema} WHERE instr(lower(sql), 'deferr') > 0)");
        if says(&defers)? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn one(connection: &Connection, mut part: Part) -> Result<Vec<Did>, DbError> {
    let began = Instant::now();
    let mut did = vec![];
    for sql in &part.statements {
        let started = Instant::now();
        let rows = run(connection, sql, &[]).map_err(|error| db_error(&error))?;
        if connection.is_autocommit() {
            let message = "the transaction was ended by a statement in it";
            return Err(DbError::new(ErrorClass::Other, message));
        }
        did.push(Did {
            rows,
            duration_ms: u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
        });
    }
    if let Some(took) = part.took {
        took.fill_in(&mut part.params, began);
    }
    write(connection, &part.record, &part.params).map_err(|error| db_error(&error))?;
    Ok(did)
}
