//! Where imported rows come from: files and pipes, read on a thread of their own, some rows at a time.

use super::wrong_file;
use crate::trouble;
use dunlin_core::bulk::csv::{Field, Parser};
use dunlin_core::bulk::manifest::TrailerTable;
use dunlin_core::bulk::ndjson::{self, Line};
use dunlin_core::bulk::{Datum, Form, Manifest, names};
use dunlin_core::copy::reading::{Bound, Reading};
use dunlin_core::dialect::forms::DATABASE_HEAD;
use dunlin_core::failure::Failure;
use dunlin_core::schema::NeutralType;
use dunlin_engines::{Engine, Purpose};
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::sync::mpsc::{Receiver, Sender, channel};

/// Rows of one message, and how many messages may wait.
const TOGETHER: usize = 256;
const TOGETHER_BYTES: usize = 1 << 20;
const WAITING: usize = 2;
/// Longest line that is believed.
const LINE_MAX: u64 = 1 << 31;

/// A row as it was read.
#[derive(Debug)]
pub(super) struct Row {
    /// Its line, or its number, from 1.
    pub(super) line: u64,
    /// Its table, where the row itself says.
    pub(super) table: Option<Arc<str>>,
    /// The names of its columns.
    pub(super) columns: Arc<Vec<String>>,
    /// Its values; or the bytes, and why they are no row.
    pub(super) values: Result<Vec<Datum>, (Vec<u8>, String)>,
}

/// What comes out of a part.
#[derive(Debug)]
pub(super) enum Message {
    Rows(Vec<Row>),
    /// The end of a stream says how many rows there were.
    Trailer(Vec<TrailerTable>),
}

/// Where a part's bytes are.
pub(super) enum From {
    File(PathBuf),
    /// A pipe, with what was read of it already.
    Pipe(Box<dyn Read + Send>),
    /// A table of a database file.
    Database(PathBuf, Box<Bound>),
}

/// Rows of one table, or of several that are named in each row.
pub(super) struct Part {
    pub(super) from: From,
    pub(super) form: Form,
    /// The table; `None`: each row says.
    pub(super) table: Option<String>,
    /// The manifest, and which of its tables this is; `None` of a stream: all.
    pub(super) manifest: Option<Arc<Manifest>>,
    /// What it is called.
    pub(super) shown: PathBuf,
}

/// The parts of what was named. `-` is standard input.
pub(super) async fn parts(
    files: &[PathBuf],
    mut stdin: Option<Box<dyn Read + Send + Sync>>,
) -> Result<Vec<Part>, Failure> {
    let mut parts = vec![];
    for path in files {
        if path.as_os_str() == "-" {
            let Some(pipe) = stdin.take() else {
                return Err(Failure::usage("usage", "standard input can be read once"));
            };
            parts.push(stream(From::Pipe(pipe), path)?);
        } else if path.is_dir() {
            parts.extend(folder(path)?);
        } else if path.file_name().is_some_and(|name| name == "manifest.json") {
            parts.extend(folder(path.parent().unwrap_or(Path::new(".")))?);
        } else {
            parts.extend(file(path).await?);
        }
    }
    Ok(parts)
}

fn folder(path: &Path) -> Result<Vec<Part>, Failure> {
    let at = path.join("manifest.json");
    let bytes = match std::fs::read(&at) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let why = "there is no manifest.json in it: an export that did not come to its end, or none at all";
            return Err(
                wrong_file(path, why).hint("name the files themselves to import them as they are")
            );
        }
        Err(error) => return Err(wrong_file(&at, error)),
    };
    let manifest = Manifest::read(&bytes).map_err(|why| wrong_file(&at, why))?;
    let manifest = Arc::new(manifest);
    let part = |table: &dunlin_core::bulk::ManifestTable| {
        let name = table.file.as_deref().unwrap_or_default();
        let plain = Path::new(name).components().count() == 1 && !name.starts_with('.');
        let file = path.join(name);
        if name.is_empty() || !plain || !file.is_file() {
            let why = format!("the file of table {} (`{name}`) is not there", table.table);
            return Err(wrong_file(path, why));
        }
        Ok(Part {
            from: From::File(file.clone()),
            form: manifest.form,
            table: Some(table.table.clone()),
            manifest: Some(Arc::clone(&manifest)),
            shown: file,
        })
    };
    manifest.tables.iter().map(part).collect()
}

/// What a file is, by its first bytes, else by its name.
async fn file(path: &Path) -> Result<Vec<Part>, Failure> {
    let mut head = [0; 16];
    let mut opened = File::open(path).map_err(|error| wrong_file(path, error))?;
    let read = opened
        .read(&mut head)
        .map_err(|error| wrong_file(path, error))?;
    let ending = path.extension().and_then(|ending| ending.to_str());
    let named = ending.and_then(Form::named);
    if head[..read].starts_with(DATABASE_HEAD) {
        return database(path).await;
    }
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    match named {
        Some(Form::Csv) => Ok(vec![Part {
            from: From::File(path.to_owned()),
            form: Form::Csv,
            table: Some(names::table(&stem)),
            manifest: None,
            shown: path.to_owned(),
        }]),
        Some(Form::Database) => Err(wrong_file(path, "it is no database file")),
        _ if named == Some(Form::Ndjson) || head[..read].trim_ascii_start().starts_with(b"{") => {
            Ok(vec![stream(From::File(path.to_owned()), path)?])
        }
        _ => Err(wrong_file(
            path,
            "it is neither NDJSON nor CSV nor a database file, by name and by content",
        )),
    }
}

/// A stream of NDJSON: with a head that says what is in it, or rows of anybody's.
fn stream(from: From, path: &Path) -> Result<Part, Failure> {
    let io = |error: std::io::Error| wrong_file(path, error);
    let (first, from) = match from {
        From::File(file) => {
            let mut reader = BufReader::new(File::open(&file).map_err(io)?);
            (first_line(&mut reader).map_err(io)?, From::File(file))
        }
        From::Pipe(pipe) => {
            let mut reader = BufReader::new(pipe);
            let first = first_line(&mut reader).map_err(io)?;
            let whole = std::io::Cursor::new(first.clone()).chain(reader);
            (first, From::Pipe(Box::new(whole)))
        }
        from @ From::Database(..) => (vec![], from),
    };
    let manifest = match ndjson::line(&first) {
        Ok(Line::Head(manifest)) => Some(Arc::new(*manifest)),
        Err(why) if first.trim_ascii_start().starts_with(b"{\"dunlin_export\"") => {
            return Err(wrong_file(path, why));
        }
        _ => None,
    };
    let pipe = matches!(from, From::Pipe(_));
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let table = (manifest.is_none() && !pipe).then(|| names::table(&stem));
    Ok(Part {
        from,
        form: Form::Ndjson,
        table,
        manifest,
        shown: path.to_owned(),
    })
}

fn first_line(reader: &mut impl BufRead) -> std::io::Result<Vec<u8>> {
    let mut line = vec![];
    reader.take(LINE_MAX).read_until(b'\n', &mut line)?;
    Ok(line)
}

/// The tables of a database file; the manifest where an export wrote it.
async fn database(path: &Path) -> Result<Vec<Part>, Failure> {
    let wrong = |error: dunlin_engines::DbError| {
        trouble::refused(&error, &format!("`{}` cannot be read", path.display()))
    };
    let engine = dunlin_engines::file_database(path, false).map_err(wrong)?;
    let mut session = engine.open(Purpose::Read).await.map_err(wrong)?;
    let shapes = crate::digest::shapes(&mut *session).await.map_err(wrong)?;
    let (_, mut bounds) = Reading::derive(&shapes);
    for bound in &mut bounds {
        bound.columns.retain(|column| !column.shape.generated);
    }
    let about = bounds
        .iter()
        .position(|bound| bound.table == "dunlin_export");
    let mut manifest = None;
    if let Some(at) = about {
        let bound = bounds.remove(at);
        let sql = session.dialect().rows().select(&bound);
        let rows = session.query(&sql, &[]).await.map_err(wrong)?;
        let text = rows
            .first()
            .and_then(|row| row.first()?.as_str().map(str::to_owned));
        let read = Manifest::read(text.unwrap_or_default().as_bytes());
        manifest = Some(Arc::new(read.map_err(|why| wrong_file(path, why))?));
    }
    session.close().await;
    let of = |bound: Bound| Part {
        table: Some(bound.label()),
        from: From::Database(path.to_owned(), Box::new(bound)),
        form: Form::Database,
        manifest: manifest.clone(),
        shown: path.to_owned(),
    };
    let Some(manifest) = &manifest else {
        return Ok(bounds.into_iter().map(of).collect());
    };
    let mut parts = vec![];
    for table in &manifest.tables {
        let found = bounds.iter().find(|bound| bound.table == table.table);
        let Some(bound) = found else {
            return Err(wrong_file(
                path,
                format!("table {} is not in it", table.table),
            ));
        };
        let mut bound = bound.clone();
        // In the order in which the manifest hashes them.
        let column = |name: &String| super::place(&bound, name).map(|at| bound.columns[at].clone());
        let columns: Option<Vec<_>> = table.columns.iter().map(|c| column(&c.name)).collect();
        let why = || {
            wrong_file(
                path,
                format!("columns of table {} are not in it", table.table),
            )
        };
        bound.columns = columns.ok_or_else(why)?;
        parts.push(of(bound));
    }
    Ok(parts)
}

/// Begins to read a part.
pub(super) fn read(part: Part) -> Receiver<Result<Message, Failure>> {
    let (sender, receiver) = channel(WAITING);
    match part.from {
        From::Database(path, bound) => {
            let typed = part.manifest.is_some_and(|manifest| !manifest.dynamic);
            let manifest_types = typed.then(|| bound.types());
            tokio::spawn(async move {
                if let Err(failure) = database_rows(&path, &bound, manifest_types, &sender).await {
                    let _ = sender.send(Err(failure)).await;
                }
            });
        }
        From::File(path) => match File::open(&path) {
            Ok(file) => spawn(
                Box::new(file),
                part.form,
                part.manifest.is_some(),
                path,
                sender,
            ),
            Err(error) => {
                let _ = sender.try_send(Err(wrong_file(&path, error)));
            }
        },
        From::Pipe(pipe) => spawn(pipe, part.form, part.manifest.is_some(), part.shown, sender),
    }
    receiver
}

fn spawn(
    bytes: Box<dyn Read + Send>,
    form: Form,
    exact: bool,
    path: PathBuf,
    sender: Sender<Result<Message, Failure>>,
) {
    std::thread::spawn(move || {
        let mut to = To {
            sender,
            rows: vec![],
            bytes: 0,
        };
        let reader = BufReader::with_capacity(1 << 18, bytes);
        let read = match form {
            Form::Csv => csv_rows(reader, exact, &path, &mut to),
            _ => lines(reader, &path, &mut to),
        };
        match read {
            Ok(()) => {
                let _ = to.flush();
            }
            Err(Some(failure)) => {
                let _ = to.flush();
                let _ = to.sender.blocking_send(Err(failure));
            }
            // Nobody listens any more.
            Err(None) => {}
        }
    });
}

/// Gathers rows and sends them on.
struct To {
    sender: Sender<Result<Message, Failure>>,
    rows: Vec<Row>,
    bytes: usize,
}

impl To {
    fn row(&mut self, row: Row, bytes: usize) -> Result<(), Option<Failure>> {
        self.rows.push(row);
        self.bytes += bytes;
        if self.rows.len() >= TOGETHER || self.bytes >= TOGETHER_BYTES {
            self.flush()?;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), Option<Failure>> {
        self.bytes = 0;
        let rows = std::mem::take(&mut self.rows);
        if rows.is_empty() {
            return Ok(());
        }
        self.message(Message::Rows(rows))
    }

    fn message(&mut self, message: Message) -> Result<(), Option<Failure>> {
        self.sender.blocking_send(Ok(message)).map_err(|_| None)
    }
}

fn lines(mut reader: impl BufRead, path: &Path, to: &mut To) -> Result<(), Option<Failure>> {
    let (mut line, mut number) = (vec![], 0);
    let mut columns: Arc<Vec<String>> = Arc::default();
    let mut table: Option<Arc<str>> = None;
    loop {
        line.clear();
        let mut bounded = (&mut reader).take(LINE_MAX);
        let read = bounded.read_until(b'\n', &mut line);
        if read.map_err(|error| Some(wrong_file(path, error)))? == 0 {
            return Ok(());
        }
        number += 1;
        let (named, values) = match ndjson::line(&line) {
            Ok(Line::Row(named, row)) => {
                let same = row.len() == columns.len()
                    && row.iter().zip(columns.iter()).all(|((a, _), b)| a == b);
                if !same {
                    columns = Arc::new(row.iter().map(|(name, _)| name.clone()).collect());
                }
                (named, Ok(row.into_iter().map(|(_, datum)| datum).collect()))
            }
            Ok(Line::End(trailer)) => {
                to.flush()?;
                to.message(Message::Trailer(trailer.dunlin_end))?;
                continue;
            }
            Ok(Line::Head(_) | Line::Blank) => continue,
            Err(why) => (None, Err((line.trim_ascii_end().to_vec(), why))),
        };
        if let Some(named) = named
            && table.as_deref() != Some(named.as_str())
        {
            table = Some(named.into());
        }
        let row = Row {
            line: number,
            table: table.clone(),
            columns: Arc::clone(&columns),
            values,
        };
        to.row(row, line.len())?;
    }
}

fn csv_rows(
    mut reader: impl BufRead,
    exact: bool,
    path: &Path,
    to: &mut To,
) -> Result<(), Option<Failure>> {
    let mut parser = Parser::default();
    let (mut records, mut columns) = (vec![], None);
    loop {
        let chunk = reader
            .fill_buf()
            .map_err(|error| Some(wrong_file(path, error)))?;
        let length = chunk.len();
        let fed = match length {
            0 => parser.finish(&mut records),
            _ => parser.feed(chunk, &mut records),
        };
        reader.consume(length);
        for (line, fields) in records.drain(..) {
            let Some(columns) = &columns else {
                let names = fields
                    .into_iter()
                    .map(|field| String::from_utf8(field.bytes));
                let names: Result<Vec<String>, _> = names.collect();
                let why = |_| wrong_file(path, "its first line has names that are no UTF-8");
                columns = Some(Arc::new(names.map_err(why)?));
                continue;
            };
            let bytes = fields.iter().map(|field| field.bytes.len() + 8).sum();
            let row = Row {
                line,
                table: None,
                columns: Arc::clone(columns),
                values: csv_values(fields, columns.len(), exact),
            };
            to.row(row, bytes)?;
        }
        fed.map_err(|why| Some(wrong_file(path, why)))?;
        if length == 0 {
            return Ok(());
        }
    }
}

fn csv_values(
    fields: Vec<Field>,
    width: usize,
    exact: bool,
) -> Result<Vec<Datum>, (Vec<u8>, String)> {
    let raw = |fields: &[Field]| {
        let fields: Vec<&[u8]> = fields.iter().map(|field| field.bytes.as_slice()).collect();
        fields.join(&b',')
    };
    if fields.len() != width {
        let why = format!("{} fields where the first line names {width}", fields.len());
        return Err((raw(&fields), why));
    }
    if !exact {
        return Ok(fields.into_iter().map(Field::plain).collect());
    }
    let mut values = vec![];
    for field in fields {
        let bytes = field.bytes.clone();
        values.push(field.exact().map_err(|why| (bytes, why))?);
    }
    Ok(values)
}

async fn database_rows(
    path: &Path,
    bound: &Bound,
    typed: Option<Vec<NeutralType>>,
    sender: &Sender<Result<Message, Failure>>,
) -> Result<(), Failure> {
    let wrong = |error: dunlin_engines::DbError| {
        trouble::refused(&error, &format!("`{}` cannot be read", path.display()))
    };
    let engine: Box<dyn Engine> = dunlin_engines::file_database(path, false).map_err(wrong)?;
    let mut session = engine.open(Purpose::Read).await.map_err(wrong)?;
    let columns = bound.columns.iter().map(|column| column.shape.name.clone());
    let columns: Arc<Vec<String>> = Arc::new(columns.collect());
    let sql = session.dialect().rows().select(bound);
    {
        let mut source = session.stream(&sql).await.map_err(wrong)?;
        let mut line = 0;
        while let Some(batch) = source.next().await.map_err(wrong)? {
            let mut rows = Vec::with_capacity(batch.len());
            for at in 0..batch.len() {
                line += 1;
                let values = batch.row(at).map(Datum::of);
                let values = match &typed {
                    Some(types) => values.zip(types).map(|(d, ty)| unpacked(d, ty)).collect(),
                    None => values.collect(),
                };
                rows.push(Row {
                    line,
                    table: None,
                    columns: Arc::clone(&columns),
                    values: Ok(values),
                });
            }
            if sender.send(Ok(Message::Rows(rows))).await.is_err() {
                break;
            }
        }
    }
    session.close().await;
    Ok(())
}

/// What a database file could not hold as it was.
fn unpacked(datum: Datum, ty: &NeutralType) -> Datum {
    match (ty, datum) {
        // Bits stand in a column without a type.
        (NeutralType::Int | NeutralType::Opaque(_), Datum::Bytes(digits)) => {
            let text = std::str::from_utf8(&digits).ok();
            let number = text.and_then(|text| text.parse().ok());
            number.map_or(Datum::Bytes(digits), Datum::UInt)
        }
        (NeutralType::Float, Datum::Text(text)) if text == "NaN" => Datum::Float(f64::NAN),
        (NeutralType::Bool, Datum::Int(n @ (0 | 1))) => Datum::Bool(n == 1),
        (_, datum) => datum,
    }
}
