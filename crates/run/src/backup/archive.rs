//! The stream in which rows are archived: cells with tags, compressed on a thread of its own while more rows are read.
//! Backups of our own form and checkpoints are made of it; what its records mean says [`super::rows`].

use super::private_file;
use dunlin_core::copy::Cell;
use dunlin_core::failure::{Failure, FailureClass};
use dunlin_core::value::Value;
use dunlin_engines::{DbError, Session};
use std::fs::File;
use std::io::{BufReader, Read, Write};
use std::path::Path;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;

/// What a stream begins with.
pub(crate) const MAGIC: &[u8; 14] = b"DUNLIN-ROWS 1\n";
/// Longest text that is believed when reading: one cell of 2 GiB; more is a damaged file.
const LENGTH_MAX: u32 = 1 << 31;
/// How much is handed to the thread that compresses at once, and how many such pieces may wait: 1.25 MiB in all.
const PIECE: usize = 256 * 1024;
const WAITING: usize = 4;

/// zstd's level for rows: its fastest. They are read, hashed and compressed at once, and whoever waits for them pays for
/// each percent that the file gets smaller.
const LEVEL: i32 = 1;

/// What became of a stream.
pub(crate) struct Sealed {
    /// The file, at its end.
    pub(crate) file: File,
}

/// Writes a stream. Dropped before its end, it leaves a file without one.
pub(crate) struct Writer {
    buffer: Vec<u8>,
    pieces: Option<SyncSender<Vec<u8>>>,
    work: Option<JoinHandle<std::io::Result<Sealed>>>,
}

impl Writer {
    /// Begins a stream in a new file that only its owner may read.
    pub(crate) fn new(path: &Path) -> std::io::Result<Writer> {
        let mut encoder = zstd::Encoder::new(private_file(path)?, LEVEL)?;
        encoder.include_checksum(true)?;
        let (pieces, inbox) = sync_channel::<Vec<u8>>(WAITING);
        let work = move || {
            for piece in inbox {
                encoder.write_all(&piece)?;
            }
            let file = encoder.finish()?;
            file.sync_all()?;
            Ok(Sealed { file })
        };
        let work = std::thread::Builder::new()
            .name("dunlin-archive".into())
            .spawn(work)?;
        let mut writer = Writer {
            buffer: Vec::with_capacity(PIECE + 4096),
            pieces: Some(pieces),
            work: Some(work),
        };
        writer.write_all(MAGIC)?;
        Ok(writer)
    }

    /// Writes a row: one look at how full the piece is for all of its cells.
    pub(crate) fn row<'a>(&mut self, cells: impl Iterator<Item = Cell<'a>>) -> std::io::Result<()> {
        self.buffer.push(b'R');
        for cell in cells {
            cell_out(&mut self.buffer, cell)?;
        }
        if self.buffer.len() >= PIECE {
            self.hand_over()?;
        }
        Ok(())
    }

    fn hand_over(&mut self) -> std::io::Result<()> {
        let piece = std::mem::replace(&mut self.buffer, Vec::with_capacity(PIECE + 4096));
        let sent = self.pieces.as_ref().map(|pieces| pieces.send(piece));
        match sent {
            Some(Ok(())) => Ok(()),
            // The thread ended before its time: it knows why.
            _ => Err(self.joined().err().unwrap_or_else(ended)),
        }
    }

    fn joined(&mut self) -> std::io::Result<Sealed> {
        self.pieces = None;
        let work = self.work.take().ok_or_else(ended)?;
        work.join().unwrap_or_else(|_| Err(ended()))
    }

    /// Ends the stream; when it is back, the file is on the disk.
    pub(crate) fn finish(mut self) -> std::io::Result<Sealed> {
        self.write_all(b"E")?;
        self.hand_over()?;
        self.joined()
    }
}

impl Write for Writer {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= PIECE {
            self.hand_over()?;
        }
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn ended() -> std::io::Error {
    std::io::Error::other("the thread that compresses ended")
}

/// A value as a cell.
pub(crate) fn cell_of(value: &Value) -> Cell<'_> {
    match value {
        Value::Null => Cell::Null,
        Value::Bool(b) => Cell::Bool(*b),
        Value::Int(n) => Cell::Int(*n),
        Value::UInt(n) => Cell::UInt(*n),
        Value::Float(f) => Cell::Float(*f),
        Value::Text(text) => Cell::Text(text),
        Value::Bytes(bytes) => Cell::Bytes(bytes),
    }
}

/// Opens such a stream of so many bytes; what follows is the catalog's text.
pub(crate) fn open(path: &Path, bytes: u64) -> Result<Reader<impl Read + use<>>, Failure> {
    open_boxed(path, bytes)
}

/// As [`open`], where the type must have a name.
pub(crate) fn open_boxed(path: &Path, bytes: u64) -> Result<Reader<Box<dyn Read + Send>>, Failure> {
    let io = |error: std::io::Error| damaged(path, &error);
    let file = File::open(path).map_err(io)?.take(bytes);
    let decoder = zstd::Decoder::new(file).map_err(io)?;
    let inner: Box<dyn Read + Send> = Box::new(BufReader::with_capacity(1 << 18, decoder));
    let mut reader = Reader(inner);
    if reader.array::<14>().map_err(io)? != *MAGIC || reader.array::<1>().map_err(io)? != *b"C" {
        return Err(damaged(
            path,
            &std::io::Error::other("it does not begin as a backup does"),
        ));
    }
    Ok(reader)
}

/// Writes a tag and a text with its length.
pub(crate) fn put(out: &mut impl Write, tag: u8, bytes: &[u8]) -> std::io::Result<()> {
    let length = u32::try_from(bytes.len())
        .map_err(|_| std::io::Error::other("a value of more than 4 GiB"))?;
    out.write_all(&[tag])?;
    out.write_all(&length.to_le_bytes())?;
    out.write_all(bytes)
}

/// Writes a cell.
pub(crate) fn cell_out(out: &mut impl Write, cell: Cell<'_>) -> std::io::Result<()> {
    match cell {
        Cell::Null => out.write_all(&[0]),
        Cell::Bool(b) => out.write_all(&[1, u8::from(b)]),
        Cell::Int(n) => out
            .write_all(&[2])
            .and_then(|()| out.write_all(&n.to_le_bytes())),
        Cell::UInt(n) => out
            .write_all(&[3])
            .and_then(|()| out.write_all(&n.to_le_bytes())),
        Cell::Float(f) => out
            .write_all(&[4])
            .and_then(|()| out.write_all(&f.to_le_bytes())),
        Cell::Float32(f) => out
            .write_all(&[5])
            .and_then(|()| out.write_all(&f.to_le_bytes())),
        Cell::Text(text) => put(out, 6, text.as_bytes()),
        // Text that is no UTF-8 travels as the bytes that it is.
        Cell::Bytes(bytes) | Cell::BadText(bytes) => put(out, 7, bytes),
    }
}

/// Reads a stream.
pub(crate) struct Reader<R: Read>(pub(crate) R);

impl<R: Read> Reader<R> {
    /// So many bytes.
    pub(crate) fn array<const N: usize>(&mut self) -> std::io::Result<[u8; N]> {
        let mut bytes = [0; N];
        self.0.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    /// Bytes with their length.
    pub(crate) fn bytes(&mut self) -> std::io::Result<Vec<u8>> {
        let length = u32::from_le_bytes(self.array()?);
        if length > LENGTH_MAX {
            return Err(std::io::Error::other("a length that no backup has"));
        }
        let mut bytes = vec![];
        (&mut self.0)
            .take(u64::from(length))
            .read_to_end(&mut bytes)?;
        if bytes.len() as u64 != u64::from(length) {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        Ok(bytes)
    }

    /// A text with its length.
    pub(crate) fn text(&mut self) -> std::io::Result<String> {
        String::from_utf8(self.bytes()?).map_err(|_| std::io::Error::other("text that is no UTF-8"))
    }

    /// A cell.
    pub(crate) fn cell(&mut self) -> std::io::Result<Value> {
        Ok(match self.array::<1>()?[0] {
            0 => Value::Null,
            1 => Value::Bool(self.array::<1>()?[0] != 0),
            2 => Value::Int(i64::from_le_bytes(self.array()?)),
            3 => Value::UInt(u64::from_le_bytes(self.array()?)),
            4 => Value::Float(f64::from_le_bytes(self.array()?)),
            5 => Value::Float(f64::from(f32::from_le_bytes(self.array()?))),
            6 => Value::Text(self.text()?),
            7 => Value::Bytes(self.bytes()?),
            _ => return Err(std::io::Error::other("a cell of no known kind")),
        })
    }
}

/// A file that cannot be read to its end.
pub(crate) fn damaged(path: &Path, error: &std::io::Error) -> Failure {
    Failure::new(
        FailureClass::Mismatch,
        "backup-damaged",
        format!("`{}` cannot be read: {error}", path.display()),
    )
    .hint("use another backup; this file is damaged")
}

/// Rows that go back with one statement: trips are what putting rows back costs.
const TOGETHER: usize = 64;
/// As many of them as hold so many bytes are enough.
const TOGETHER_BYTES: usize = 1 << 20;
/// Values of one statement: 32,766 on one engine, twice that on others.
const VALUES_MAX: usize = 30_000;

/// Puts rows of one table back, several with each statement.
pub(crate) struct Putter {
    table: dunlin_core::copy::reading::Bound,
    together: usize,
    values: Vec<Value>,
    rows: usize,
    bytes: usize,
    whole: String,
    texts: bool,
}

impl Putter {
    /// For rows of this table.
    pub(crate) fn new(
        dialect: &dyn dunlin_core::dialect::Dialect,
        table: &dunlin_core::copy::reading::Bound,
    ) -> Putter {
        let together = (VALUES_MAX / table.columns.len().max(1)).clamp(1, TOGETHER);
        let (whole, texts) = dialect.rows().insert(table, together);
        Putter {
            table: table.clone(),
            together,
            values: vec![],
            rows: 0,
            bytes: 0,
            whole,
            texts,
        }
    }

    /// Takes a row out of a stream.
    pub(crate) fn take(&mut self, reader: &mut Reader<impl Read>) -> std::io::Result<()> {
        for _ in 0..self.table.columns.len() {
            let value = reader.cell()?;
            self.push(value);
        }
        self.rows += 1;
        Ok(())
    }

    /// Takes a row.
    pub(crate) fn row(&mut self, row: &[Value]) {
        for value in row {
            self.push(value.clone());
        }
        self.rows += 1;
    }

    fn push(&mut self, value: Value) {
        self.bytes += match &value {
            Value::Text(text) => text.len(),
            Value::Bytes(bytes) => bytes.len(),
            _ => 8,
        };
        self.values
            .push(if self.texts { value.into_text() } else { value });
    }

    /// Sends what has come together, where it is enough.
    pub(crate) async fn send(&mut self, session: &mut dyn Session) -> Result<(), DbError> {
        if self.rows < self.together && self.bytes < TOGETHER_BYTES {
            return Ok(());
        }
        self.flush(session).await
    }

    /// Sends what is left.
    pub(crate) async fn flush(&mut self, session: &mut dyn Session) -> Result<(), DbError> {
        if self.rows == 0 {
            return Ok(());
        }
        let part;
        let sql = if self.rows == self.together {
            &self.whole
        } else {
            part = session.dialect().rows().insert(&self.table, self.rows).0;
            &part
        };
        session.execute_with(sql, &self.values).await?;
        self.forget();
        Ok(())
    }

    /// Forgets the rows that were not sent, or that were refused.
    pub(crate) fn forget(&mut self) {
        self.values.clear();
        (self.rows, self.bytes) = (0, 0);
    }
}

/// Reads a stream of so many bytes to its end and throws it away: what was compressed carries a checksum of its own.
pub(crate) fn check(path: &Path, bytes: u64) -> Result<(), Failure> {
    let io = |error: std::io::Error| damaged(path, &error);
    let file = File::open(path).map_err(io)?.take(bytes);
    let mut decoder = zstd::Decoder::new(file).map_err(io)?;
    std::io::copy(&mut decoder, &mut std::io::sink()).map_err(io)?;
    Ok(())
}
