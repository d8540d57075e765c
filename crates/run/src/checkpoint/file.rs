//! The file of a checkpoint: the stream of rows (see [`crate::backup::rows`]), and behind it what is known of it.
//!
//! ```text
//! the stream, compressed:  catalog of the tables;  'F' name and 'f' content of each file of the configuration;  rows
//! the manifest as JSON;  u64 its length;  32 hexadecimal digits: its hash;  "DUNLIN-CHECKPOINT 1\n"
//! ```
//! The manifest holds the hash of the stream, so that a file of which one byte is not as it was is found out.

use crate::backup::archive::{self, damaged};
use crate::backup::{disk, manifest::fingerprint};
use crate::digest::TableDigest;
use dunlin_core::failure::{Failure, FailureClass};
use dunlin_core::schema::NeutralType;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// The newest format of the files: 2 is that of a checkpoint which holds some columns or rows only, 3 of one that holds values
/// which an undo has written over in rows that stay. Others are of format 1, for whoever read those.
pub const FORMAT: u32 = 3;
const END: &[u8; 20] = b"DUNLIN-CHECKPOINT 1\n";
const HASH: usize = 32;
/// What stands behind the manifest.
const TAIL: u64 = 8 + HASH as u64 + END.len() as u64;
/// Longest manifest that is believed: some kilobytes for each of ten thousand tables.
const MANIFEST_MAX: u64 = 64 << 20;

/// A table of a checkpoint.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Saved {
    /// The schema, where it is not the default one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<String>,
    /// Its name.
    pub name: String,
    /// The columns whose values are in the file, in their order there.
    pub columns: Vec<String>,
    /// Their types.
    pub types: Vec<NeutralType>,
    /// The columns of its key; empty: it has none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub key: Vec<String>,
    /// The file holds its key and some columns only: no row can be made of that.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub partial: bool,
    /// The file holds those of its rows only that met this condition.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub only: Option<String>,
    /// The columns whose values were written over, in rows that stay.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub over: Vec<String>,
    /// Its counters: name, the last number given out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub counters: Vec<(String, i64)>,
}

impl Saved {
    /// The name as people see it.
    pub fn label(&self) -> String {
        dunlin_core::schema::label(self.schema.as_deref(), &self.name)
    }
}

/// A file of the configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedFile {
    /// Its path, relative to the folder of `dunlin.toml`.
    pub path: String,
    /// It was not there.
    #[serde(default)]
    pub missing: bool,
}

/// What is known of a checkpoint.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Checkpoint {
    /// Up to [`FORMAT`].
    pub format: u32,
    /// Its id: no other has it.
    pub id: String,
    /// Its name; several may have the same.
    pub name: String,
    /// The database.
    pub database: String,
    /// The engine.
    pub engine: String,
    /// The server's version.
    pub server_version: String,
    /// The version of Dunlin.
    pub dunlin: String,
    /// When, RFC 3339 UTC.
    pub created_at: String,
    /// How long it took.
    pub duration_ms: u64,
    /// The length of the stream of rows.
    pub stream: u64,
    /// The BLAKE3 hash of the stream of rows.
    pub blake3: String,
    /// Digests and row counts of the tables, from the checkpoint's own snapshot.
    pub tables: Vec<TableDigest>,
    /// The same tables, as they lie in the file.
    pub saved: Vec<Saved>,
    /// Files of the configuration.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<SavedFile>,
    /// When it was read again and compared.
    #[serde(default)]
    pub verified: Option<String>,
    /// Where it is.
    #[serde(skip)]
    pub path: PathBuf,
    /// The size of the file.
    #[serde(skip)]
    pub bytes: u64,
}

impl Checkpoint {
    /// How many rows.
    pub fn rows(&self) -> u64 {
        self.tables.iter().map(|table| table.rows).sum()
    }

    /// Reads what is known of a file, without its rows.
    pub fn read(path: &Path) -> Result<Checkpoint, Failure> {
        let io = |error: std::io::Error| match error.kind() {
            std::io::ErrorKind::UnexpectedEof | std::io::ErrorKind::InvalidInput => {
                damaged(path, &error)
            }
            _ => disk(path, &error),
        };
        let bad = |why: &str| damaged(path, &std::io::Error::other(why.to_owned()));
        let mut file = File::open(path).map_err(io)?;
        let bytes = file.metadata().map_err(io)?.len();
        let from = bytes
            .checked_sub(TAIL)
            .ok_or_else(|| bad("it is too short"))?;
        file.seek(SeekFrom::Start(from)).map_err(io)?;
        let mut tail = [0; TAIL as usize];
        file.read_exact(&mut tail).map_err(io)?;
        if tail[8 + HASH..] != END[..] {
            return Err(bad("it does not end as a checkpoint does"));
        }
        let length = u64::from_le_bytes(tail[..8].try_into().unwrap_or_default());
        let at = from.checked_sub(length).filter(|_| length <= MANIFEST_MAX);
        let at = at.ok_or_else(|| bad("a length that no checkpoint has"))?;
        file.seek(SeekFrom::Start(at)).map_err(io)?;
        let mut text = vec![];
        file.take(length).read_to_end(&mut text).map_err(io)?;
        if hash(&text).as_bytes() != &tail[8..8 + HASH] {
            return Err(bad("what it says of itself has another hash"));
        }
        let mut found: Checkpoint =
            serde_json::from_slice(&text).map_err(|error| bad(&error.to_string()))?;
        if found.format > FORMAT {
            let message = format!("`{}` was written by a newer Dunlin", path.display());
            return Err(Failure::refused("newer-backup", message));
        }
        if found.stream != at {
            return Err(bad("its rows have another length"));
        }
        (found.path, found.bytes) = (path.to_path_buf(), bytes);
        Ok(found)
    }

    /// Ends a file whose stream is written: reads the stream again, and writes the rest behind it.
    pub(super) fn seal(
        &mut self,
        file: &mut File,
        part: &Path,
        stamp: &str,
    ) -> Result<(), Failure> {
        let io = |error: std::io::Error| disk(part, &error);
        (self.blake3, self.stream) = fingerprint(part).map_err(io)?;
        archive::check(part, self.stream)?;
        self.verified = Some(format!("{stamp} (read again)"));
        let text = serde_json::to_vec(self).unwrap_or_default();
        let mut tail = text.clone();
        tail.extend_from_slice(&(text.len() as u64).to_le_bytes());
        tail.extend_from_slice(hash(&text).as_bytes());
        tail.extend_from_slice(END);
        let mut work = || -> std::io::Result<()> {
            file.seek(SeekFrom::End(0))?;
            file.write_all(&tail)?;
            file.sync_all()
        };
        work().map_err(io)?;
        self.bytes = self.stream + tail.len() as u64;
        Ok(())
    }

    /// Refuses what holds some columns only, where whole rows are needed.
    pub(super) fn whole(&self) -> Result<(), Failure> {
        let some = |saved: &&Saved| saved.partial || saved.only.is_some();
        let Some(saved) = self.saved.iter().find(some) else {
            return Ok(());
        };
        let (id, table) = (&self.id, saved.label());
        let message = match saved.partial {
            true => format!(
                "checkpoint {id} holds values of some columns of {table} only ({}), and no whole rows",
                saved.columns.join(", ")
            ),
            false => format!("checkpoint {id} holds some rows of {table} only"),
        };
        let hint =
            "it was made by an undo: what it holds comes home when the phase runs forward again";
        Err(Failure::refused("checkpoint-shape", message).hint(hint))
    }

    /// Whether the file is the one that was made: one of which a byte has changed is refused.
    pub fn check(&self) -> Result<(), Failure> {
        let file = File::open(&self.path).map_err(|error| disk(&self.path, &error))?;
        let found = hash_of(file.take(self.stream)).map_err(|error| disk(&self.path, &error))?;
        if found == self.blake3 {
            return Ok(());
        }
        let message = format!(
            "`{}` is not as it was when it was made: its hash differs",
            self.path.display()
        );
        Err(
            Failure::new(FailureClass::Mismatch, "backup-damaged", message).hint(
                "nothing has been touched; use another checkpoint (`dunlin checkpoint list`)",
            ),
        )
    }
}

fn hash(bytes: &[u8]) -> String {
    let mut hasher = dunlin_core::hash::Hasher::new();
    hasher.part(bytes);
    hasher.hex()
}

/// As [`fingerprint`], of the beginning of a file.
fn hash_of(mut from: impl Read) -> std::io::Result<String> {
    let mut hasher = dunlin_core::hash::Hasher::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        let mut filled = 0;
        while filled < buffer.len() {
            match from.read(&mut buffer[filled..])? {
                0 => break,
                n => filled += n,
            }
        }
        if filled == 0 {
            return Ok(hasher.hex());
        }
        hasher.part(&buffer[..filled]);
    }
}
