//! The manifest of a backup.

use super::{Temporary, disk, private_file};
use crate::digest::TableDigest;
use dunlin_core::failure::{Failure, FailureClass};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

/// The manifest's format.
pub const FORMAT: u32 = 1;

/// How a backup was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// A copy of the database's file.
    #[default]
    Copy,
    /// A tool's dump.
    Tool,
    /// Our own reading of statements and rows.
    Own,
}

/// What is known of a backup.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Manifest {
    /// [`FORMAT`].
    pub format: u32,
    /// Its name: the files' names without their ends.
    pub name: String,
    /// The database.
    pub database: String,
    /// The engine.
    pub engine: String,
    /// The server's version.
    pub server_version: String,
    /// The version of Dunlin.
    pub dunlin: String,
    /// How it was made.
    pub method: Method,
    /// With what tool.
    #[serde(default)]
    pub tool: Option<String>,
    /// When, RFC 3339 UTC.
    pub created_at: String,
    /// How long it took.
    pub duration_ms: u64,
    /// The size of its file.
    pub bytes: u64,
    /// The BLAKE3 hash of its file.
    pub blake3: String,
    /// The hash of the reading of its digests.
    pub reading: String,
    /// The digest of everything.
    pub digest: String,
    /// Digests and row counts, from the backup's own snapshot.
    pub tables: Vec<TableDigest>,
    /// Charset, collation, encoding, owner, extensions.
    #[serde(default)]
    pub facts: BTreeMap<String, String>,
    /// The catalog of what it holds, as the journal keeps catalogs, from the backup's own snapshot; `None`: it was made
    /// before manifests had it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub catalog: Option<String>,
    /// What it does not hold.
    #[serde(default)]
    pub lacks: Vec<String>,
    /// Of our own form: what lies in the file for each table, for reading it again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stored: Vec<Stored>,
    /// When it was verified, and how.
    #[serde(default)]
    pub verified: Option<String>,
}

/// How the rows of one table lie in a file of our own form.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stored {
    /// Its name in the file.
    pub label: String,
    /// Its name in the reading.
    pub table: String,
    /// The types of its cells, in their order.
    pub types: Vec<dunlin_core::schema::NeutralType>,
    /// All its columns are there: none is computed by the server.
    pub whole: bool,
}

/// The hash and size of a file.
pub(crate) fn fingerprint(path: &Path) -> std::io::Result<(String, u64)> {
    let mut hasher = dunlin_core::hash::Hasher::new();
    let mut file = std::fs::File::open(path)?;
    let (mut buffer, mut bytes) = (vec![0; 1 << 20], 0);
    loop {
        // Whole chunks, so that the hash does not depend on how the system cuts its answers.
        let mut filled = 0;
        while filled < buffer.len() {
            match file.read(&mut buffer[filled..])? {
                0 => break,
                n => filled += n,
            }
        }
        if filled == 0 {
            return Ok((hasher.hex(), bytes));
        }
        hasher.part(&buffer[..filled]);
        bytes += filled as u64;
    }
}

impl Manifest {
    /// Reads a manifest.
    pub fn read(path: &Path) -> Result<Manifest, Failure> {
        let text = std::fs::read_to_string(path).map_err(|error| disk(path, &error))?;
        let manifest: Manifest = serde_json::from_str(&text).map_err(|error| {
            Failure::refused(
                "backup-file",
                format!("`{}` is no manifest: {error}", path.display()),
            )
        })?;
        if manifest.format > FORMAT {
            let message = format!("`{}` was written by a newer Dunlin", path.display());
            return Err(Failure::refused("newer-backup", message));
        }
        Ok(manifest)
    }

    /// Its file in a folder.
    pub fn path(&self, folder: &Path) -> PathBuf {
        folder.join(format!("{}.dunlin", self.name))
    }

    /// Takes the hash of a finished part and gives it its name.
    pub(super) fn seal(&mut self, part: &Path, path: &Path) -> Result<(), Failure> {
        let work = || -> std::io::Result<(String, u64)> {
            let found = fingerprint(part)?;
            std::fs::rename(part, path)?;
            Ok(found)
        };
        (self.blake3, self.bytes) = work().map_err(|error| disk(path, &error))?;
        Ok(())
    }

    /// Writes the manifest under its name at once.
    pub(super) fn save(&self, folder: &Path) -> Result<(), Failure> {
        let path = folder.join(format!("{}.json", self.name));
        let part = Temporary(folder.join(format!(".{}.json", self.name)));
        let text = serde_json::to_string_pretty(self).unwrap_or_default();
        let work = || -> std::io::Result<()> {
            let mut file = private_file(&part.0)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            std::fs::rename(&part.0, &path)
        };
        work().map_err(|error| disk(&path, &error))
    }

    /// Removes a backup.
    pub(super) fn remove(&self, folder: &Path) -> Result<(), Failure> {
        // The manifest first: what is half removed is no backup any more.
        for file in [
            folder.join(format!("{}.json", self.name)),
            self.path(folder),
        ] {
            match std::fs::remove_file(&file) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(disk(&file, &error));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Whether the file is the one that was made: a damaged one is refused.
    pub(crate) fn check_file(&self, folder: &Path) -> Result<(), Failure> {
        let path = self.path(folder);
        let (found, _) = fingerprint(&path).map_err(|error| disk(&path, &error))?;
        if found == self.blake3 {
            return Ok(());
        }
        let message = format!(
            "`{}` is not as it was when it was made: its hash differs",
            path.display()
        );
        Err(
            Failure::new(FailureClass::Mismatch, "backup-damaged", message)
                .hint("use another backup; this file is damaged"),
        )
    }
}
