//! A file that archived rows move to: one line of JSON each, on the disk and read back before the rows go.

use super::ground::Known;
use crate::backup::archive::cell_of;
use crate::backup::disk;
use dunlin_core::copy::{Digest, RowHasher, Typing};
use dunlin_core::failure::{Failure, FailureClass};
use dunlin_core::rules::chunk::FilePart;
use dunlin_core::value::{Row, Value};
use serde_json::{Map, Value as Json, json};
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// The file under way.
pub(super) struct Shelf {
    path: PathBuf,
    file: File,
    /// Where the committed part ends.
    from: u64,
    /// Where the batch ends.
    to: u64,
}

impl Shelf {
    /// Opens the file, or makes it. What a cleaning that died wrote behind its last committed batch is cut off: those
    /// rows are still where they were.
    pub(super) fn open(path: &Path, known: &[FilePart]) -> Result<Shelf, Failure> {
        use std::os::unix::fs::OpenOptionsExt;
        let wrong = |error: std::io::Error| disk(path, &error);
        let mut options = std::fs::OpenOptions::new();
        let options = options
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600);
        let file = options.open(path).map_err(wrong)?;
        let mut end = file.metadata().map_err(wrong)?.len();
        let shown = path.display().to_string();
        if let Some(part) = known.iter().find(|part| part.path == shown)
            && end > part.to
        {
            file.set_len(part.to).map_err(wrong)?;
            end = part.to;
        }
        Ok(Shelf {
            path: path.to_path_buf(),
            file,
            from: end,
            to: end,
        })
    }

    /// The part under way.
    pub(super) fn part(&self) -> FilePart {
        FilePart {
            path: self.path.display().to_string(),
            from: self.from,
            to: self.to,
        }
    }

    /// Writes rows behind the others, reads them back and compares.
    pub(super) fn put(
        &mut self,
        known: &Known,
        rows: &[Row],
        typing: Typing,
    ) -> Result<(), Failure> {
        if rows.is_empty() {
            return Ok(());
        }
        let names: Vec<&str> = known
            .bound
            .columns
            .iter()
            .map(|column| column.shape.name.as_str())
            .collect();
        let mut lines = vec![];
        for row in rows {
            let cells: Map<String, Json> = names
                .iter()
                .zip(row)
                .map(|(name, value)| ((*name).to_owned(), to_json(value)))
                .collect();
            let line = json!({ "table": known.label(), "row": cells });
            lines.extend_from_slice(line.to_string().as_bytes());
            lines.push(b'\n');
        }
        let hasher = || {
            let types = known.bound.columns.iter().map(|column| column.ty.clone());
            RowHasher::new(types.collect(), typing)
        };
        let begins = self.to;
        let read = self
            .write(&lines, begins)
            .and_then(|()| self.read(begins, &names, hasher()));
        let read = read.map_err(|error| disk(&self.path, &error))?;
        let mut expected = hasher();
        rows.iter().for_each(|row| {
            expected.row(row.iter().map(cell_of));
        });
        if read == expected.digest() {
            return Ok(());
        }
        let message = format!(
            "rows of {} that were read back from `{}` are not the same",
            known.label(),
            self.path.display()
        );
        Err(
            Failure::new(FailureClass::Failed, "archive-differs", message)
                .hint("nothing of this batch was removed"),
        )
    }

    fn write(&mut self, lines: &[u8], at: u64) -> std::io::Result<()> {
        self.file.seek(SeekFrom::Start(at))?;
        self.file.write_all(lines)?;
        self.file.sync_all()?;
        self.to = at + lines.len() as u64;
        Ok(())
    }

    fn read(&self, from: u64, names: &[&str], mut hasher: RowHasher) -> std::io::Result<Digest> {
        let bad = || std::io::Error::other("a line is none of ours");
        // A reader of its own: what the system kept of the write is not asked.
        let mut file = File::open(&self.path)?;
        file.seek(SeekFrom::Start(from))?;
        for line in BufReader::new(file.take(self.to - from)).lines() {
            let line: Json = serde_json::from_str(&line?)?;
            let cells = line["row"].as_object().ok_or_else(bad)?;
            let values: Option<Vec<Value>> = names
                .iter()
                .map(|name| cells.get(*name).and_then(from_json))
                .collect();
            let values = values.ok_or_else(bad)?;
            hasher.row(values.iter().map(cell_of));
        }
        Ok(hasher.digest())
    }

    /// The part that goes with the next record; `None`: nothing was written.
    pub(super) fn settle(&mut self) -> Result<Option<FilePart>, Failure> {
        Ok((self.to > self.from).then(|| self.part()))
    }

    /// The batch is committed.
    pub(super) fn keep(&mut self) {
        self.from = self.to;
    }

    /// The batch was rolled back: its lines go.
    pub(super) fn forget(&mut self) -> Result<(), Failure> {
        self.to = self.from;
        let cut = self.file.set_len(self.from);
        cut.map_err(|error| disk(&self.path, &error))
    }
}

/// Takes the part that a cleaning wrote off a file again. Gives whether it could: others may have written behind it.
pub(super) fn cut(part: &FilePart) -> bool {
    let path = Path::new(&part.path);
    let Ok(file) = std::fs::OpenOptions::new().write(true).open(path) else {
        return false;
    };
    if file.metadata().map_or(true, |found| found.len() != part.to) {
        return false;
    }
    match part.from {
        0 => std::fs::remove_file(path).is_ok(),
        from => file.set_len(from).is_ok(),
    }
}

/// A value as JSON: what JSON has no kind for stands as an object that names it.
fn to_json(value: &Value) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::Bool(b) => (*b).into(),
        Value::Int(n) => (*n).into(),
        Value::UInt(n) => (*n).into(),
        // As text: readers of JSON round numbers as they like.
        Value::Float(n) => json!({ "float": format!("{n:?}") }),
        Value::Text(text) => text.as_str().into(),
        Value::Bytes(bytes) => {
            let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            json!({ "hex": hex })
        }
    }
}

fn from_json(json: &Json) -> Option<Value> {
    Some(match json {
        Json::Null => Value::Null,
        Json::Bool(b) => Value::Bool(*b),
        Json::Number(n) => n
            .as_i64()
            .map(Value::Int)
            .or_else(|| n.as_u64().map(Value::UInt))?,
        Json::String(text) => Value::Text(text.clone()),
        Json::Object(object) => match (object.get("float"), object.get("hex")) {
            (Some(float), None) => Value::Float(float.as_str()?.parse().ok()?),
            (None, Some(hex)) => {
                let hex = hex.as_str()?;
                let byte = |at: usize| u8::from_str_radix(hex.get(at..at + 2)?, 16).ok();
                Value::Bytes((0..hex.len()).step_by(2).map(byte).collect::<Option<_>>()?)
            }
            _ => return None,
        },
        Json::Array(_) => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_come_back_from_their_lines() {
        for value in [
            Value::Null,
            Value::Bool(true),
            Value::Int(i64::MIN),
            Value::UInt(u64::MAX),
            Value::Float(0.1 + 0.2),
            Value::Float(f64::INFINITY),
            Value::Text("it's\n\u{0}🐦 یک".into()),
            Value::Bytes(vec![0, 255]),
        ] {
            let line = to_json(&value).to_string();
            let read: Option<Value> = serde_json::from_str(&line)
                .ok()
                .as_ref()
                .and_then(from_json);
            assert_eq!(read, Some(value));
        }
    }
}
