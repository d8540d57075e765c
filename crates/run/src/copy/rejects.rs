//! The reject file: rows that did not go over, each with what is needed to mend it. NDJSON, readable by its owner only.

use crate::backup::{private_file, unwritable};
use dunlin_core::copy::Cell;
use dunlin_core::failure::Failure;
use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

/// One rejected row.
pub struct Reject<'r, 'c> {
    /// The table, in the source's words.
    pub table: &'r str,
    /// Its key: column and value.
    pub key: &'r [(String, Cell<'c>)],
    /// The column whose value is the reason.
    pub column: &'r str,
    /// The hazard's code.
    pub code: &'static str,
    /// The value.
    pub value: Cell<'c>,
    /// Why, in a sentence's end.
    pub reason: &'r str,
}

/// A cell as JSON: numbers and texts as they are, bytes as `{"hex": …}`.
pub fn json(cell: Cell<'_>) -> serde_json::Value {
    match cell {
        Cell::Null => serde_json::Value::Null,
        Cell::Bool(b) => b.into(),
        Cell::Int(n) => n.into(),
        Cell::UInt(n) => n.into(),
        Cell::Float(value) => number(value),
        Cell::Float32(value) => number(f64::from(value)),
        Cell::Text(text) => text.into(),
        Cell::BadText(bytes) | Cell::Bytes(bytes) => serde_json::json!({ "hex": hex(bytes) }),
    }
}

fn number(value: f64) -> serde_json::Value {
    serde_json::Number::from_f64(value).map_or_else(|| value.to_string().into(), Into::into)
}

/// The raw bytes of a cell: of numbers, of their text.
fn raw(cell: Cell<'_>) -> Vec<u8> {
    match cell {
        Cell::Null => vec![],
        Cell::Text(text) => text.as_bytes().to_vec(),
        Cell::BadText(bytes) | Cell::Bytes(bytes) => bytes.to_vec(),
        Cell::Bool(b) => b.to_string().into_bytes(),
        Cell::Int(n) => n.to_string().into_bytes(),
        Cell::UInt(n) => n.to_string().into_bytes(),
        Cell::Float(value) => format!("{value:?}").into_bytes(),
        Cell::Float32(value) => format!("{value:?}").into_bytes(),
    }
}

/// Bytes as hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Longest value that a message shows, in characters.
const SHOWN: usize = 60;

impl Reject<'_, '_> {
    /// The key for people: `id = 7`.
    pub fn key_text(&self) -> Option<String> {
        let parts: Vec<String> = self
            .key
            .iter()
            .map(|(column, cell)| format!("{column} = {}", json(*cell)))
            .collect();
        (!parts.is_empty()).then(|| parts.join(", "))
    }

    /// The value for people, cut where it is long.
    pub fn value_text(&self) -> String {
        let text = json(self.value).to_string();
        if text.chars().count() <= SHOWN {
            return text;
        }
        let cut: String = text.chars().take(SHOWN).collect();
        format!("{cut}…")
    }

    fn line(&self) -> String {
        let key: serde_json::Map<String, serde_json::Value> = self
            .key
            .iter()
            .map(|(column, cell)| (column.clone(), json(*cell)))
            .collect();
        serde_json::json!({
            "table": self.table, "key": key, "column": self.column, "code": self.code,
            "raw": hex(&raw(self.value)), "reason": self.reason,
        })
        .to_string()
    }
}

/// The file, made with its first row.
#[derive(Debug)]
pub struct Rejects {
    path: Option<PathBuf>,
    /// What a run before this one wrote stays.
    added: bool,
    file: Mutex<Option<BufWriter<File>>>,
}

impl Rejects {
    /// Rejects go to this path. `added`: to the end of what is there, of the run before that this one goes on with.
    pub fn new(path: PathBuf, added: bool) -> Self {
        Rejects {
            path: Some(path),
            added,
            file: Mutex::new(None),
        }
    }

    /// Rejects that were written down before: they are counted and not written again.
    pub fn nowhere() -> Self {
        Rejects {
            path: None,
            added: false,
            file: Mutex::new(None),
        }
    }

    /// Writes a row down.
    pub fn write(&self, reject: &Reject<'_, '_>) -> Result<(), Box<Failure>> {
        let Some(path) = &self.path else {
            return Ok(());
        };
        let wrong = |error: std::io::Error| Box::new(unwritable(path, &error));
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let writer = match &mut *file {
            Some(writer) => writer,
            none if self.added && path.exists() => {
                let there = File::options().append(true).open(path).map_err(wrong)?;
                none.insert(BufWriter::new(there))
            }
            none => none.insert(BufWriter::new(private_file(path).map_err(wrong)?)),
        };
        writeln!(writer, "{}", reject.line()).map_err(wrong)
    }

    /// Brings what was written to the disk: before the commit of that which left the rows out.
    pub fn sync(&self) -> Result<(), Box<Failure>> {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let (Some(writer), Some(path)) = (file.as_mut(), &self.path) else {
            return Ok(());
        };
        let wrong = |error: std::io::Error| Box::new(unwritable(path, &error));
        if writer.buffer().is_empty() {
            return Ok(());
        }
        writer.flush().map_err(wrong)?;
        writer.get_ref().sync_data().map_err(wrong)
    }

    /// Strikes lines out: of rows that come again, because what left them out was not committed.
    pub fn strike(
        &self,
        mut out: impl FnMut(&serde_json::Value) -> bool,
    ) -> Result<(), Box<Failure>> {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(path) = &self.path else {
            return Ok(());
        };
        if !path.exists() || (file.is_none() && !self.added) {
            return Ok(());
        }
        let wrong = |error: std::io::Error| Box::new(unwritable(path, &error));
        if let Some(mut writer) = file.take() {
            writer.flush().map_err(wrong)?;
        }
        let mut name = path.clone().into_os_string();
        name.push(".new");
        let fresh = PathBuf::from(name);
        let mut writer = BufWriter::new(private_file(&fresh).map_err(wrong)?);
        for line in BufReader::new(File::open(path).map_err(wrong)?).lines() {
            let line = line.map_err(wrong)?;
            // What a kill cut off is no whole line: its row comes again.
            let goes = serde_json::from_str(&line).map_or(true, |line| out(&line));
            if !goes {
                writeln!(writer, "{line}").map_err(wrong)?;
            }
        }
        writer.flush().map_err(wrong)?;
        writer.get_ref().sync_all().map_err(wrong)?;
        std::fs::rename(&fresh, path).map_err(wrong)?;
        *file = Some(writer);
        Ok(())
    }

    /// Brings everything to the disk. Gives the path, where anything was written.
    pub fn close(&self) -> Result<Option<PathBuf>, Failure> {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let (Some(mut writer), Some(path)) = (file.take(), &self.path) else {
            return Ok(None);
        };
        let wrong = |error: std::io::Error| unwritable(path, &error);
        writer.flush().map_err(wrong)?;
        writer.get_ref().sync_all().map_err(wrong)?;
        Ok(Some(path.clone()))
    }
}
