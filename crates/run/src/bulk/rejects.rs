//! The file of rejects: a JSON object for each row that was refused, with all that is needed to put it right.

use crate::backup::{private_file, unwritable};
use dunlin_core::bulk::{Datum, datum, ndjson};
use dunlin_core::failure::Failure;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

/// Why a row was refused.
#[derive(Debug, Clone)]
pub(super) struct Reason {
    /// The code; its page says more.
    pub(super) code: &'static str,
    /// A sentence.
    pub(super) message: String,
    /// The column, where one is to blame.
    pub(super) column: Option<usize>,
}

/// A row that was refused.
pub(super) struct Reject<'a> {
    pub(super) table: &'a str,
    pub(super) file: &'a Path,
    pub(super) line: u64,
    /// Names and values; none where the bytes were no row.
    pub(super) columns: &'a [String],
    pub(super) values: &'a [Datum],
    /// The columns by which the row is known.
    pub(super) key: &'a [String],
    /// The bytes, where they were no row.
    pub(super) bytes: Option<&'a [u8]>,
    pub(super) reason: &'a Reason,
}

/// Rejects on their way into their file. They get there when the rest is committed.
pub(super) struct Rejects {
    to: PathBuf,
    part: PathBuf,
    out: Option<BufWriter<File>>,
    /// How many.
    pub(super) count: u64,
}

impl Rejects {
    pub(super) fn new(to: &Path) -> Rejects {
        let mut name = to.as_os_str().to_owned();
        name.push(".part");
        Rejects {
            to: to.to_owned(),
            part: name.into(),
            out: None,
            count: 0,
        }
    }

    /// Writes one down.
    pub(super) fn put(&mut self, reject: &Reject<'_>) -> Result<(), Failure> {
        self.count += 1;
        let io = |error: std::io::Error| unwritable(&self.part, &error);
        if self.out.is_none() {
            if let Some(folder) = self.part.parent() {
                std::fs::create_dir_all(folder).map_err(io)?;
            }
            self.out = Some(BufWriter::new(private_file(&self.part).map_err(io)?));
        }
        let line = line(reject);
        match &mut self.out {
            Some(out) => out.write_all(&line).map_err(io),
            None => Ok(()),
        }
    }

    /// Adds them to their file; gives it where there are any.
    pub(super) fn keep(mut self) -> Result<Option<PathBuf>, Failure> {
        let Some(mut out) = self.out.take() else {
            return Ok(None);
        };
        let io = |error: std::io::Error| unwritable(&self.to, &error);
        out.flush().map_err(io)?;
        out.get_ref().sync_all().map_err(io)?;
        if self.to.exists() {
            let mut whole = std::fs::OpenOptions::new()
                .append(true)
                .open(&self.to)
                .map_err(io)?;
            let mut part = File::open(&self.part).map_err(io)?;
            std::io::copy(&mut part, &mut whole).map_err(io)?;
            whole.sync_all().map_err(io)?;
            std::fs::remove_file(&self.part).map_err(io)?;
        } else {
            std::fs::rename(&self.part, &self.to).map_err(io)?;
        }
        Ok(Some(self.to.clone()))
    }
}

impl Drop for Rejects {
    fn drop(&mut self) {
        if self.out.is_some() {
            let _ = std::fs::remove_file(&self.part);
        }
    }
}

fn line(reject: &Reject<'_>) -> Vec<u8> {
    let mut out = vec![];
    let text = |name: &str, text: &str, out: &mut Vec<u8>| {
        ndjson::string_out(name, out);
        out.push(b':');
        ndjson::string_out(text, out);
        out.push(b',');
    };
    out.push(b'{');
    text("table", reject.table, &mut out);
    text("code", reject.reason.code, &mut out);
    text("reason", &reject.reason.message, &mut out);
    text("file", &reject.file.display().to_string(), &mut out);
    out.extend_from_slice(format!("\"line\":{},", reject.line).as_bytes());
    let column = reject.reason.column.and_then(|at| reject.columns.get(at));
    match column {
        Some(name) => text("column", name, &mut out),
        None => out.extend_from_slice(b"\"column\":null,"),
    }
    let value = reject.reason.column.and_then(|at| reject.values.get(at));
    match (value, reject.bytes) {
        (Some(value), _) => text("raw", &datum::hex(&value.raw()), &mut out),
        (None, Some(bytes)) => text("raw", &datum::hex(bytes), &mut out),
        (None, None) => out.extend_from_slice(b"\"raw\":null,"),
    }
    let row = |wanted: &dyn Fn(&String) -> bool, out: &mut Vec<u8>| {
        let chosen = || {
            let pairs = reject.columns.iter().zip(reject.values);
            pairs.filter(|(name, _)| wanted(name))
        };
        let lines = ndjson::Lines::new(None, chosen().map(|(name, _)| name.as_str()));
        lines.row(chosen().map(|(_, value)| value.cell()), out);
        out.pop();
    };
    out.extend_from_slice(b"\"key\":");
    row(&|name| reject.key.contains(name), &mut out);
    out.extend_from_slice(b",\"row\":");
    row(&|_| true, &mut out);
    out.extend_from_slice(b"}\n");
    out
}
