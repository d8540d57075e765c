//! Where exported rows go: a stream, a folder with a file for each table, a database file.

use super::export::To;
use crate::backup::archive::Putter;
use crate::backup::{private_file, unwritable};
use crate::trouble;
use dunlin_core::bulk::{Datum, Form, Manifest, ManifestTable, csv, manifest, names, ndjson};
use dunlin_core::copy::Cell;
use dunlin_core::copy::reading::{Bound, BoundColumn, ColumnShape};
use dunlin_core::failure::{ErrorClass, Failure};
use dunlin_core::schema::NeutralType;
use dunlin_core::value::Value;
use dunlin_engines::{Batch, DbError, Session};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

/// What is gathered before it is written.
const PIECE: usize = 256 * 1024;

/// The rows of a table on their way.
enum Rows {
    Lines(ndjson::Lines),
    Csv,
    Database(Box<Putter>, Bound),
}

enum Sink {
    /// One stream; the path where it is a file.
    Stream(Box<dyn Write + Send>),
    /// A folder: the file of the table at hand.
    Folder(Option<BufWriter<File>>),
    /// A database file.
    Database(Box<dyn Session>),
}

/// Where rows go.
pub(super) struct Out {
    sink: Sink,
    form: Form,
    /// The place that was asked for; `None`: a pipe.
    to: Option<PathBuf>,
    /// What is written first and gets its name when it is whole.
    part: Option<PathBuf>,
    /// Files that were made.
    pub(super) made: Vec<PathBuf>,
    buffer: Vec<u8>,
    rows: Option<Rows>,
}

fn failed(path: &Path, error: &std::io::Error) -> Failure {
    if error.kind() == std::io::ErrorKind::BrokenPipe {
        return Failure::refused("export-target", "whoever read the rows has stopped reading");
    }
    unwritable(path, error)
}

fn exists(path: &Path) -> Failure {
    let message = format!("`{}` is there already", path.display());
    Failure::refused("export-target", message)
        .hint("an export never writes over anything: name another place, or remove it first")
}

impl Out {
    /// Opens the place. `manifest` has the names of the files in it when this is back.
    pub(super) async fn open(
        to: To,
        manifest: &mut Manifest,
        tables: &[Bound],
    ) -> Result<Out, Failure> {
        let form = manifest.form;
        let mut out = Out {
            sink: Sink::Folder(None),
            form,
            to: None,
            part: None,
            made: vec![],
            buffer: Vec::with_capacity(PIECE + 4096),
            rows: None,
        };
        let opened = match to {
            To::Pipe(write) => {
                out.sink = Sink::Stream(write);
                out.head(manifest)
            }
            To::Path(path) => {
                let file = form == Form::Database || is_file(&path);
                if file && path.exists() {
                    return Err(exists(&path));
                }
                match file {
                    true => out.open_file(&path, manifest, tables).await,
                    false => {
                        open_folder(&path, manifest)?;
                        out.to = Some(path);
                        Ok(())
                    }
                }
            }
        };
        match opened {
            Ok(()) => Ok(out),
            Err(failure) => {
                out.discard().await;
                Err(failure)
            }
        }
    }

    async fn open_file(
        &mut self,
        path: &Path,
        manifest: &Manifest,
        tables: &[Bound],
    ) -> Result<(), Failure> {
        let mut name = path.as_os_str().to_owned();
        name.push(".part");
        let part = PathBuf::from(name);
        let file = private_file(&part).map_err(|error| unwritable(&part, &error))?;
        self.to = Some(path.to_owned());
        self.part = Some(part.clone());
        if self.form == Form::Database {
            drop(file);
            let session = open_database(&part, manifest, tables).await;
            self.sink = Sink::Database(session.map_err(|error| refused(path, &error))?);
            return Ok(());
        }
        self.sink = Sink::Stream(Box::new(BufWriter::new(file)));
        self.head(manifest)
    }

    fn head(&mut self, manifest: &Manifest) -> Result<(), Failure> {
        let text = serde_json::to_string(manifest).unwrap_or_default();
        self.buffer.extend_from_slice(text.as_bytes());
        self.buffer.push(b'\n');
        self.write()
    }

    fn shown(&self) -> &Path {
        self.to.as_deref().unwrap_or(Path::new("-"))
    }

    fn write(&mut self) -> Result<(), Failure> {
        let written = match &mut self.sink {
            Sink::Stream(write) => write.write_all(&self.buffer),
            Sink::Folder(Some(file)) => file.write_all(&self.buffer),
            Sink::Folder(None) | Sink::Database(_) => Ok(()),
        };
        self.buffer.clear();
        written.map_err(|error| failed(self.shown(), &error))
    }

    /// Begins a table.
    pub(super) fn begin(&mut self, table: &Bound, about: &ManifestTable) -> Result<(), Failure> {
        let columns = || {
            table
                .columns
                .iter()
                .map(|column| column.shape.name.as_str())
        };
        if let (Sink::Folder(current), Some(name), Some(folder)) =
            (&mut self.sink, &about.file, &self.to)
        {
            let path = folder.join(name);
            let file = private_file(&path).map_err(|error| unwritable(&path, &error))?;
            self.made.push(path);
            *current = Some(BufWriter::new(file));
        }
        self.rows = Some(match (&self.sink, self.form) {
            (Sink::Database(session), _) => {
                let table = flat(table);
                Rows::Database(Box::new(Putter::new(session.dialect(), &table)), table)
            }
            (_, Form::Csv) => {
                csv::head_out(columns(), &mut self.buffer);
                Rows::Csv
            }
            (Sink::Stream(_), _) => Rows::Lines(ndjson::Lines::new(Some(&about.table), columns())),
            _ => Rows::Lines(ndjson::Lines::new(None, columns())),
        });
        Ok(())
    }

    /// Takes the rows of a batch that were chosen.
    pub(super) async fn rows(
        &mut self,
        batch: &Batch,
        chosen: &[usize],
        dynamic: bool,
    ) -> Result<(), Failure> {
        for at in chosen {
            match &mut self.rows {
                Some(Rows::Lines(lines)) => lines.row(batch.row(*at), &mut self.buffer),
                Some(Rows::Csv) => csv::row_out(batch.row(*at), &mut self.buffer),
                Some(Rows::Database(putter, table)) => {
                    let Sink::Database(session) = &mut self.sink else {
                        continue;
                    };
                    let put = put(&mut **session, putter, table, batch.row(*at), dynamic).await;
                    let path = self.to.as_deref().unwrap_or(Path::new("-"));
                    put.map_err(|error| refused(path, &error))?;
                }
                None => {}
            }
            if self.buffer.len() >= PIECE {
                self.write()?;
            }
        }
        Ok(())
    }

    /// Ends a table.
    pub(super) async fn end(&mut self) -> Result<(), Failure> {
        self.write()?;
        if let Sink::Folder(file) = &mut self.sink
            && let Some(mut file) = file.take()
        {
            let done = file.flush().and_then(|()| file.get_ref().sync_all());
            done.map_err(|error| failed(self.shown(), &error))?;
        }
        if let (Sink::Database(session), Some(Rows::Database(putter, _))) =
            (&mut self.sink, &mut self.rows)
        {
            let put = putter.flush(&mut **session).await;
            let path = self.to.as_deref().unwrap_or(Path::new("-"));
            put.map_err(|error| refused(path, &error))?;
        }
        self.rows = None;
        Ok(())
    }

    /// Everything is written: the end of the stream, the manifest, the file's name. Nothing of it stays where one of them
    /// fails.
    pub(super) async fn finish(mut self, manifest: &Manifest) -> Result<Vec<PathBuf>, Failure> {
        match self.end_all(manifest).await {
            Ok(()) => Ok(std::mem::take(&mut self.made)),
            Err(failure) => {
                self.discard().await;
                Err(failure)
            }
        }
    }

    async fn end_all(&mut self, manifest: &Manifest) -> Result<(), Failure> {
        let path = self.shown().to_owned();
        match &mut self.sink {
            Sink::Stream(_) => self.trailer(manifest)?,
            Sink::Folder(_) => self.manifest(manifest)?,
            Sink::Database(session) => {
                let wrong = |error: DbError| refused(&path, &error);
                put_manifest(&mut **session, manifest)
                    .await
                    .map_err(wrong)?;
                session.commit().await.map_err(wrong)?;
            }
        }
        self.close().await;
        if let (Some(part), Some(to)) = (&self.part, &self.to) {
            if to.exists() {
                return Err(exists(to));
            }
            let named = File::open(part).and_then(|file| file.sync_all());
            let named = named.and_then(|()| std::fs::rename(part, to));
            named.map_err(|error| unwritable(to, &error))?;
            self.made.push(to.clone());
            self.part = None;
        }
        Ok(())
    }

    /// Ends what writes; a database file has its last word then.
    async fn close(&mut self) {
        let sink = std::mem::replace(&mut self.sink, Sink::Folder(None));
        if let Sink::Database(session) = sink {
            session.close().await;
        }
    }

    fn trailer(&mut self, manifest: &Manifest) -> Result<(), Failure> {
        let tables = manifest.tables.iter().map(|table| manifest::TrailerTable {
            table: table.table.clone(),
            rows: table.rows.unwrap_or_default(),
            digest: table.digest.clone().unwrap_or_default(),
        });
        let trailer = manifest::Trailer {
            dunlin_end: tables.collect(),
        };
        let text = serde_json::to_string(&trailer).unwrap_or_default();
        self.buffer.extend_from_slice(text.as_bytes());
        self.buffer.push(b'\n');
        self.write()?;
        let path = self.shown().to_owned();
        let Sink::Stream(write) = &mut self.sink else {
            return Ok(());
        };
        write.flush().map_err(|error| failed(&path, &error))
    }

    /// Last of all: a folder without a manifest is no export.
    fn manifest(&mut self, manifest: &Manifest) -> Result<(), Failure> {
        let path = self.shown().join("manifest.json");
        let part = self.shown().join(".manifest.part");
        let text = serde_json::to_string_pretty(manifest).unwrap_or_default();
        let written = private_file(&part).and_then(|mut file| {
            file.write_all(text.as_bytes())?;
            file.write_all(b"\n")?;
            file.sync_all()?;
            std::fs::rename(&part, &path)
        });
        written.map_err(|error| {
            let _ = std::fs::remove_file(&part);
            unwritable(&path, &error)
        })?;
        self.made.push(path);
        Ok(())
    }

    /// Removes what was written of an export that did not come to its end.
    pub(super) async fn discard(mut self) {
        self.close().await;
        for path in self.made.iter().chain(&self.part) {
            let _ = std::fs::remove_file(path);
        }
        if let Some(part) = &self.part {
            // What a database file has beside itself while it is written, where its engine could not take that back.
            for beside in ["-journal", "-wal", "-shm"] {
                let mut name = part.as_os_str().to_owned();
                name.push(beside);
                let _ = std::fs::remove_file(PathBuf::from(name));
            }
        }
        if let (None, Some(folder)) = (&self.part, &self.to) {
            // Only where it is empty: what else lies in it is not ours.
            let _ = std::fs::remove_dir(folder);
        }
    }
}

/// Whether a place is one file of rows by its name.
pub(super) fn is_file(path: &Path) -> bool {
    let ending = path.extension().and_then(|ending| ending.to_str());
    ending.is_some_and(|ending| Form::named(ending).is_some())
}

fn open_folder(path: &Path, manifest: &mut Manifest) -> Result<(), Failure> {
    match std::fs::read_dir(path) {
        Ok(mut entries) => {
            if entries.next().is_some() {
                return Err(exists(path));
            }
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            std::fs::create_dir_all(path).map_err(|error| unwritable(path, &error))?;
        }
        Err(error) => return Err(unwritable(path, &error)),
    }
    let labels: Vec<String> = manifest.tables.iter().map(|t| t.table.clone()).collect();
    let files = names::files(&labels, manifest.form.ending());
    for (table, file) in manifest.tables.iter_mut().zip(files) {
        table.file = Some(file);
    }
    Ok(())
}

fn refused(path: &Path, error: &DbError) -> Failure {
    trouble::refused(error, &format!("`{}` cannot be written", path.display()))
}

/// The table as a database file has it: all tables lie beside each other, under their whole names.
fn flat(table: &Bound) -> Bound {
    Bound {
        schema: None,
        table: table.label(),
        ..table.clone()
    }
}

const MANIFEST_TABLE: &str = "dunlin_export";

fn manifest_table() -> Bound {
    Bound {
        name: MANIFEST_TABLE.into(),
        schema: None,
        table: MANIFEST_TABLE.into(),
        own_rows: true,
        columns: vec![BoundColumn {
            shape: ColumnShape {
                name: "manifest".into(),
                native: String::new(),
                ty: NeutralType::Text,
                generated: false,
            },
            ty: NeutralType::Text,
        }],
    }
}

async fn open_database(
    path: &Path,
    manifest: &Manifest,
    tables: &[Bound],
) -> Result<Box<dyn Session>, DbError> {
    let engine = dunlin_engines::file_database(path, true)?;
    let mut session = engine.open(dunlin_engines::Purpose::Tool).await?;
    let rows = session.dialect().rows();
    session.begin().await?;
    let flat: Vec<Bound> = tables.iter().map(flat).collect();
    for table in flat.iter().chain([&manifest_table()]) {
        let Some(sql) = rows.plain_table(table, manifest.dynamic) else {
            let message = "this build has no engine whose databases are files";
            return Err(DbError::new(ErrorClass::Other, message));
        };
        session.execute(&sql).await?;
    }
    Ok(session)
}

async fn put_manifest(session: &mut dyn Session, manifest: &Manifest) -> Result<(), DbError> {
    let text = serde_json::to_string(manifest).unwrap_or_default();
    let (sql, _) = session.dialect().rows().insert(&manifest_table(), 1);
    session.execute_with(&sql, &[Value::Text(text)]).await?;
    Ok(())
}

/// Puts a row into a database file. What its columns would bend stands there in bytes.
async fn put<'a>(
    session: &mut dyn Session,
    putter: &mut Putter,
    table: &Bound,
    cells: impl Iterator<Item = Cell<'a>>,
    dynamic: bool,
) -> Result<(), DbError> {
    let row: Vec<Datum> = cells.map(Datum::of).collect();
    let bad: Vec<bool> = row.iter().map(|d| matches!(d, Datum::BadText(_))).collect();
    let values: Vec<Value> = row
        .iter()
        .map(|datum| match datum {
            Datum::UInt(n) if i64::try_from(*n).is_err() => {
                Value::Bytes(n.to_string().into_bytes())
            }
            Datum::Float(value) if value.is_nan() && !dynamic => Value::Text("NaN".into()),
            datum => datum.value(),
        })
        .collect();
    if bad.contains(&true) {
        putter.flush(session).await?;
        if let Some(sql) = session.dialect().rows().insert_texts(table, &bad) {
            session.execute_with(&sql, &values).await?;
            return Ok(());
        }
    }
    putter.row(&values);
    putter.send(session).await
}
