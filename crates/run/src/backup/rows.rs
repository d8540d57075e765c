//! Our own form of a backup, a zstd stream:
//!
//! ```text
//! "DUNLIN-ROWS 1\n"
//! 'C' u32 length, the catalog as JSON
//! 'B' u32 length, a tool's statement to run before the rows: none, or all objects; 'A' one to run after them
//! for each table:  'T' u32 length, its label;  for each row: 'R' and its cells;
//! 'E'
//! ```
//! A cell is a tag (0 NULL, 1 bool, 2 i64, 3 u64, 4 f64, 5 f32, 6 text, 7 bytes) and its value, numbers little-endian,
//! texts and bytes with a u32 length. Columns stand in the order of the reading that the catalog gives.

use super::archive::{Putter, Reader, Writer, cell_of, cell_out, damaged, open, put};
use super::disk;
use super::manifest::Stored;
use super::objects::Objects;
use crate::digest::{self, TableDigest};
use crate::trouble;
use dunlin_core::copy::reading::{Bound, Reading};
use dunlin_core::copy::{RowHasher, Typing};
use dunlin_core::dialect::Dialect;
use dunlin_core::event::{Event, Sink};
use dunlin_core::failure::{ErrorClass, Failure};
use dunlin_core::plan::lower::Storage;
use dunlin_core::schema::{Catalog, Fix, diff, render};
use dunlin_core::sql::ObjectRef;
use dunlin_core::value::Value;
use dunlin_engines::{DbError, Session};
use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::path::Path;

/// Rows that are put back in one commit.
const COMMIT_ROWS: u64 = 10_000;

pub(crate) fn bound_tables(
    catalog: &Catalog,
    shapes: &[dunlin_core::copy::reading::TableShape],
) -> Vec<Bound> {
    let (_, bound) = Reading::derive(shapes);
    let held = |table: &Bound| {
        catalog
            .tables
            .iter()
            .any(|found| found.name == table.table && found.schema == table.schema)
    };
    let mut tables: Vec<Bound> = bound.into_iter().filter(held).collect();
    for table in &mut tables {
        table.columns.retain(|column| !column.shape.generated);
    }
    tables
}

/// The statements that give counters the values that they have now.
async fn counters(session: &mut dyn Session) -> Result<Vec<String>, DbError> {
    let Some(query) = session.dialect().catalog().counters() else {
        return Ok(vec![]);
    };
    let rows = session.query(query, &[]).await?;
    let first = |row: &Vec<Value>| row.first().and_then(Value::as_str).map(str::to_owned);
    Ok(rows.iter().filter_map(first).collect())
}

/// Writes catalog and rows from the session's open snapshot; the rows of the tables `last` at the end.
pub(super) async fn write(
    session: &mut dyn Session,
    catalog: &Catalog,
    objects: Option<&Objects>,
    last: &[String],
    path: &Path,
    sink: &mut dyn Sink,
) -> Result<Vec<Stored>, Failure> {
    let wrong = |error: &DbError| trouble::refused(error, "the rows could not be read");
    let shapes = digest::shapes(session)
        .await
        .map_err(|error| wrong(&error))?;
    let mut tables = bound_tables(catalog, &shapes);
    // Who restores this and dies must not leave a journal that speaks of rows that are not there yet.
    tables.sort_by_key(|table| last.contains(&table.table));
    let io = |error: std::io::Error| disk(path, &error);
    let mut out = Writer::new(path).map_err(io)?;
    put(&mut out, b'C', catalog.to_json().as_bytes()).map_err(io)?;
    if let Some(objects) = objects {
        for (tag, list) in [(b'B', &objects.before), (b'A', &objects.after)] {
            for sql in list {
                put(&mut out, tag, sql.as_bytes()).map_err(io)?;
            }
        }
    }
    let dialect = session.dialect();
    if objects.is_none() {
        for sql in counters(session).await.map_err(|error| wrong(&error))? {
            put(&mut out, b'A', sql.as_bytes()).map_err(io)?;
        }
    }
    for table in &tables {
        put(&mut out, b'T', table.label().as_bytes()).map_err(io)?;
        let mut source = session
            .stream(&dialect.rows().select(table))
            .await
            .map_err(|error| wrong(&error))?;
        let mut done = 0_u64;
        while let Some(batch) = source.next().await.map_err(|error| wrong(&error))? {
            for at in 0..batch.len() {
                out.write_all(b"R").map_err(io)?;
                for cell in batch.row(at) {
                    cell_out(&mut out, cell).map_err(io)?;
                }
            }
            done += batch.len() as u64;
            sink.event(&Event::Progress {
                what: format!("backup of {}", table.label()),
                done,
                total: None,
                unit: "rows".into(),
            });
        }
    }
    out.finish().map_err(io)?;
    let (_, whole) = Reading::derive(&shapes);
    let width = |label: &str| {
        let found = whole.iter().find(|table| table.label() == label);
        found.map_or(0, |table| table.columns.len())
    };
    let stored = tables.iter().map(|table| Stored {
        label: table.label(),
        table: table.name.clone(),
        types: table.types(),
        whole: width(&table.label()) == table.columns.len(),
    });
    Ok(stored.collect())
}

/// Reads the rows of such a file again and compares them with the digests of the manifest, which were taken from the
/// database itself. Gives what differs.
pub(super) fn reread(
    path: &Path,
    stored: &[Stored],
    expected: &[TableDigest],
    typing: Typing,
) -> Result<Vec<String>, Failure> {
    let io = |error: std::io::Error| damaged(path, &error);
    let mut reader = open(path, u64::MAX)?;
    reader.text().map_err(io)?;
    let mut hashers: Vec<RowHasher> = stored
        .iter()
        .map(|table| RowHasher::new(table.types.clone(), typing))
        .collect();
    let mut current = None;
    let mut row = vec![];
    loop {
        match reader.array::<1>().map_err(io)?[0] {
            b'A' | b'B' => drop(reader.bytes().map_err(io)?),
            b'T' => {
                let label = reader.text().map_err(io)?;
                current = stored.iter().position(|table| table.label == label);
            }
            b'R' => {
                let Some(at) = current else {
                    return Err(damaged(path, &std::io::Error::other("rows of no table")));
                };
                row.clear();
                for _ in &stored[at].types {
                    row.push(reader.cell().map_err(io)?);
                }
                hashers[at].row(row.iter().map(cell_of));
            }
            b'E' => break,
            _ => {
                return Err(damaged(
                    path,
                    &std::io::Error::other("a record of no known kind"),
                ));
            }
        }
    }
    let mut differ = vec![];
    for digest in expected {
        let Some(at) = stored.iter().position(|table| table.table == digest.table) else {
            differ.push(format!("{}: missing", digest.table));
            continue;
        };
        let found = hashers[at].digest();
        // Columns that the server computes are not in the file: there only the rows can be counted.
        let same = found.rows == digest.rows && (!stored[at].whole || found.hex() == digest.digest);
        if !same {
            differ.push(format!(
                "{}: {} rows in the database, {} in the backup, digests differ",
                digest.table, digest.rows, found.rows
            ));
        }
    }
    Ok(differ)
}

/// Brings such a backup into an empty database: tables, rows, then what would have been in the way of rows, and the rows
/// of the tables `last` when all else is there.
pub(super) async fn load(
    session: &mut dyn Session,
    path: &Path,
    last: &[String],
    sink: &mut dyn Sink,
) -> Result<(), Failure> {
    let io = |error: std::io::Error| damaged(path, &error);
    let mut reader = open(path, u64::MAX)?;
    let json = reader.text().map_err(io)?;
    let catalog =
        Catalog::from_json(&json).map_err(|sentence| Failure::refused("backup-file", sentence))?;
    let mut objects = Objects::default();
    let mut tag = reader.array::<1>().map_err(io)?;
    while matches!(tag, [b'A' | b'B']) {
        let sql = reader.text().map_err(io)?;
        match tag {
            [b'A'] => objects.after.push(sql),
            _ => objects.before.push(sql),
        }
        tag = reader.array::<1>().map_err(io)?;
    }
    let dialect = session.dialect();
    if objects.before.is_empty() {
        // No tool was there: the statements are made from the catalog.
        let bare = without_what_hinders(&catalog, dialect);
        objects.before = render::dump(&bare, dialect).statements;
        let rest = diff(&catalog, &bare, dialect);
        let rest = rest
            .into_iter()
            .filter_map(|difference| match difference.fix {
                Fix::Sql(statements) => Some(statements),
                _ => None,
            })
            .flatten();
        objects.after = rest.chain(std::mem::take(&mut objects.after)).collect();
    } else {
        for sql in dialect.catalog().dump_begin() {
            run(session, sql).await?;
        }
    }
    let ends = dialect.catalog().dump_end();
    for sql in &objects.before {
        if !ends.contains(&sql.as_str()) {
            run(session, sql).await?;
        }
    }
    for sql in dialect.rows().load_begin() {
        run(session, sql).await?;
    }
    let mut rest = Rest {
        statements: objects.after,
        before: last,
    };
    load_rows(session, &catalog, &mut reader, tag, path, &mut rest, sink).await?;
    rest.make(session).await?;
    for sql in ends {
        run(session, sql).await?;
    }
    Ok(())
}

/// What is made when the rows are there.
struct Rest<'a> {
    statements: Vec<String>,
    /// Tables before whose rows it is made.
    before: &'a [String],
}

impl Rest<'_> {
    async fn make(&mut self, session: &mut dyn Session) -> Result<(), Failure> {
        for sql in std::mem::take(&mut self.statements) {
            run(session, &sql).await?;
        }
        Ok(())
    }
}

/// The catalog without what would change rows while they come, or refuse them.
fn without_what_hinders(catalog: &Catalog, dialect: &dyn Dialect) -> Catalog {
    let mut bare = catalog.clone();
    for table in &mut bare.tables {
        table.triggers.clear();
        table.rules.clear();
        if !dialect.catalog().foreign_keys_inline() {
            table.foreign_keys.clear();
        }
    }
    bare.views.clear();
    bare.events.clear();
    bare
}

async fn run(session: &mut dyn Session, sql: &str) -> Result<(), Failure> {
    let head = dunlin_core::redact::head_of(sql);
    match session.execute(sql).await {
        Ok(_) => Ok(()),
        // A function that tables call was made with them.
        Err(error) if error.class == ErrorClass::ObjectExists => Ok(()),
        Err(error) => Err(trouble::failed(
            &error,
            &format!("the restore stopped at `{head}`"),
        )),
    }
}

fn progress(sink: &mut dyn Sink, label: &str, done: u64) {
    sink.event(&Event::Progress {
        what: format!("restoring {label}"),
        done,
        total: None,
        unit: "rows".into(),
    });
}

async fn load_rows<R: Read>(
    session: &mut dyn Session,
    catalog: &Catalog,
    reader: &mut Reader<R>,
    first: [u8; 1],
    path: &Path,
    rest: &mut Rest<'_>,
    sink: &mut dyn Sink,
) -> Result<(), Failure> {
    let io = |error: std::io::Error| damaged(path, &error);
    let strange = |what: String| damaged(path, &std::io::Error::other(what));
    let wrong = |error: DbError| trouble::failed(&error, "the restore stopped at a row");
    let shapes = digest::shapes(session).await.map_err(wrong)?;
    let tables = bound_tables(catalog, &shapes);
    let dialect = session.dialect();
    let apart = without_transactions(session, catalog)
        .await
        .map_err(wrong)?;
    let mut current: Option<(Putter, String)> = None;
    let mut done = 0_u64;
    let mut tag = first;
    loop {
        match tag[0] {
            b'T' => {
                let label = reader.text().map_err(io)?;
                let Some(table) = tables.iter().find(|table| table.label() == label) else {
                    return Err(strange(format!("rows of an unknown table {label}")));
                };
                if let Some((putter, _)) = &mut current {
                    putter.flush(session).await.map_err(wrong)?;
                }
                if rest.before.contains(&table.table) {
                    within(session, false).await.map_err(wrong)?;
                    rest.make(session).await?;
                }
                let together = !apart.contains(&label.to_lowercase());
                let ready = within(session, together).await;
                ready.map_err(wrong)?;
                current = Some((Putter::new(dialect, table), label));
            }
            b'R' => {
                let Some((putter, label)) = &mut current else {
                    return Err(strange("a row before its table".into()));
                };
                putter.take(reader).map_err(io)?;
                putter.send(session).await.map_err(wrong)?;
                done += 1;
                if done.is_multiple_of(COMMIT_ROWS) {
                    putter.flush(session).await.map_err(wrong)?;
                    let together = session.in_transaction();
                    within(session, false).await.map_err(wrong)?;
                    let ready = within(session, together).await;
                    ready.map_err(wrong)?;
                    progress(sink, label, done);
                }
            }
            b'E' => break,
            _ => return Err(strange("a record of no known kind".into())),
        }
        tag = reader.array::<1>().map_err(io)?;
    }
    if let Some((putter, _)) = &mut current {
        putter.flush(session).await.map_err(wrong)?;
    }
    within(session, false).await.map_err(wrong)
}

/// Begins a transaction, or commits the one that is open.
async fn within(session: &mut dyn Session, together: bool) -> Result<(), DbError> {
    match (session.in_transaction(), together) {
        (true, false) => session.commit().await,
        (false, true) => session.begin().await,
        _ => Ok(()),
    }
}

/// The tables, in lower case, that know no transactions. Their rows go outside of one: a server that numbers its
/// transactions for replicas (MySQL's GTIDs) refuses them beside those of others.
async fn without_transactions(
    session: &mut dyn Session,
    catalog: &Catalog,
) -> Result<BTreeSet<String>, DbError> {
    let mut storage = Storage::default();
    if session.caps().storage_engines {
        let tables = catalog.tables.iter();
        let tables = tables.map(|table| ObjectRef::table(None, &table.name));
        crate::steps::storage::ask(session, tables.collect(), &mut storage).await?;
    }
    let known = storage.transactional.into_iter();
    Ok(known
        .filter_map(|(name, logged)| (!logged).then_some(name))
        .collect())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use dunlin_core::copy::Cell;
    use dunlin_core::schema::NeutralType;

    /// A file with these rows of one table (int, text), and what its manifest would say of `expected`.
    fn file(path: &Path, rows: &[(i64, &str)]) {
        let mut out = Writer::new(path).unwrap();
        put(&mut out, b'C', b"{}").unwrap();
        put(&mut out, b'T', b"Notes").unwrap();
        for (id, text) in rows {
            out.write_all(b"R").unwrap();
            cell_out(&mut out, Cell::Int(*id)).unwrap();
            cell_out(&mut out, Cell::Text(text)).unwrap();
        }
        out.finish().unwrap();
    }

    #[test]
    fn rows_that_are_missing_or_changed_are_found_when_a_backup_is_read_again() {
        let types = vec![NeutralType::Int, NeutralType::Text];
        let mut hasher = RowHasher::new(types.clone(), Typing::Static);
        for (id, text) in [(1, "a"), (2, "")] {
            hasher.row([Cell::Int(id), Cell::Text(text)].into_iter());
        }
        let expected = [TableDigest {
            table: "notes".into(),
            rows: 2,
            digest: hasher.digest().hex(),
            noticed: vec![],
        }];
        let stored = |whole| {
            [Stored {
                label: "Notes".into(),
                table: "notes".into(),
                types: types.clone(),
                whole,
            }]
        };
        let folder = tempfile::tempdir().unwrap();
        let differ = |name: &str, rows: &[(i64, &str)], whole| {
            let path = folder.path().join(name);
            file(&path, rows);
            reread(&path, &stored(whole), &expected, Typing::Static)
                .unwrap()
                .len()
        };
        assert_eq!(differ("same", &[(2, ""), (1, "a")], true), 0);
        assert_eq!(differ("less", &[(2, "")], true), 1);
        assert_eq!(differ("changed", &[(2, ""), (1, "b")], true), 1);
        assert_eq!(differ("computed", &[(2, ""), (1, "b")], false), 0);
        assert_eq!(differ("computed-less", &[(2, "")], false), 1);
        let path = folder.path().join("same");
        assert_eq!(
            reread(&path, &[], &expected, Typing::Static)
                .unwrap_err()
                .code,
            "backup-damaged"
        );
    }
}
