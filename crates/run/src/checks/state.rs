//! What is noted and too large for the journal: files below the folder of the backups, readable by their owner alone.

use super::{Context, Trouble};
use crate::backup::private_file;
use serde_json::{Value, json};
use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};

/// The folder below `backup_dir`.
const FOLDER: &str = ".dunlin-state";

/// What the files' names end with.
const SUFFIX: &str = ".noted";

/// The largest note that stands in the journal itself, in bytes of JSON.
const INLINE_MAX: usize = 16 * 1024;

/// A path for a note of a check. Its folder is made, for its owner alone.
pub(super) fn path(cx: &Context<'_>, id: &str) -> Result<PathBuf, Trouble> {
    use std::os::unix::fs::DirBuilderExt;
    let folder = cx.world.config.backup_dir.join(FOLDER);
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&folder)
        .map_err(|error| disk(&folder, &error))?;
    let plain: String = id
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .take(40)
        .collect();
    let name = format!(
        "{plain}-{}-{}{SUFFIX}",
        cx.world.run_id(),
        crate::world::chance()
    );
    let path = folder.join(name);
    // What the journal names must be found from any folder.
    std::path::absolute(&path).map_err(|error| disk(&path, &error))
}

/// Trouble with a file, as a sentence.
pub(super) fn disk(path: &Path, error: &io::Error) -> Trouble {
    format!("{}: {error}", path.display()).into()
}

/// Writes through to a file, and hashes what it writes.
pub(super) struct Sealing {
    file: io::BufWriter<File>,
    hasher: blake3::Hasher,
}

impl Sealing {
    pub(super) fn create(path: &Path) -> io::Result<Self> {
        Ok(Sealing {
            file: io::BufWriter::with_capacity(1 << 16, private_file(path)?),
            hasher: blake3::Hasher::new(),
        })
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.hasher.update(bytes);
        self.file.write_all(bytes)
    }

    /// Everything is on the disk; gives the hash.
    pub(super) fn seal(mut self) -> io::Result<String> {
        self.file.flush()?;
        self.file.get_ref().sync_all()?;
        Ok(self.hasher.finalize().to_hex().to_string())
    }
}

/// Opens a sealed file, if its bytes are the ones that were written.
pub(super) fn open(path: &Path, blake3: &str) -> Result<File, Trouble> {
    let wrong = |error: io::Error| disk(path, &error);
    let mut file = File::open(path).map_err(wrong)?;
    let mut hasher = blake3::Hasher::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        let read = file.read(&mut buffer).map_err(wrong)?;
        if read == 0 {
            break;
        }
        hasher.update(&buffer[..read]);
    }
    if hasher.finalize().to_hex().as_str() != blake3 {
        return Err(format!("{} is not as it was written", path.display()).into());
    }
    file.rewind().map_err(wrong)?;
    Ok(file)
}

/// A note as the journal keeps it: itself, or where it lies.
pub(super) fn store(cx: &Context<'_>, id: &str, note: &Value) -> Result<Value, Trouble> {
    let text = note.to_string();
    if text.len() <= INLINE_MAX {
        return Ok(json!({ "here": note }));
    }
    let path = path(cx, id)?;
    let sealed = Sealing::create(&path).and_then(|mut file| {
        file.write(text.as_bytes())?;
        file.seal()
    });
    let blake3 = sealed.map_err(|error| disk(&path, &error))?;
    Ok(json!({ "file": path, "blake3": blake3 }))
}

/// Reads what [`store`] gave.
pub(super) fn fetch(kept: &Value) -> Result<Value, Trouble> {
    if let Some(here) = kept.get("here") {
        return Ok(here.clone());
    }
    let text = |key: &str| kept.get(key).and_then(Value::as_str);
    let (Some(path), Some(blake3)) = (text("file"), text("blake3")) else {
        return Err("what was noted cannot be read".to_owned().into());
    };
    let file = open(Path::new(path), blake3)?;
    serde_json::from_reader(io::BufReader::new(file))
        .map_err(|error| format!("{path}: {error}").into())
}

/// Removes what a baseline keeps on the disk, when nothing will be compared with it again. What is not ours stays.
pub fn forget(baseline: &Value) {
    let Some(path) = baseline.get("file").and_then(Value::as_str).map(Path::new) else {
        return;
    };
    let ours = path
        .parent()
        .and_then(Path::file_name)
        .is_some_and(|folder| folder == FOLDER);
    if ours && path.to_string_lossy().ends_with(SUFFIX) {
        // Gone already, or out of reach: a file too much harms nobody.
        let _ = std::fs::remove_file(path);
    }
}
