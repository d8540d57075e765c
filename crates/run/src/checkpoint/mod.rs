//! Checkpoints: the rows of chosen tables and the configuration, from one snapshot, in one file; brought back by name,
//! merged by key as the undo of a step, or brought home where an undo has destroyed what is in it.
//!
//! A checkpoint is one file of `backup_dir/checkpoints`, readable by its owner only, that gets its name when it is whole
//! and has been read again (see [`file`]). Each has an id; names may repeat, and a name means the newest of them.

pub mod file;
mod frame;
mod hashes;
mod home;
pub(crate) mod keep;
mod merge;
mod names;
mod over;
pub(crate) mod quiet;
mod restore;
pub(crate) mod since;
mod taken;
mod write;

pub use file::Checkpoint;
pub use home::{Coming, bring_home, still};
pub(crate) use home::{some_rows, still_of};
pub use keep::Keep;
pub(crate) use keep::may_keep;
pub use merge::{Merged, merge, note_after};
pub use names::Names;
pub(crate) use restore::transactional;
pub use restore::{Restored, restore};
pub use write::{create, create_in};

use crate::backup::disk;
use crate::world::World;
use dunlin_core::failure::Failure;
use std::path::PathBuf;

/// `[configuration]` of `dunlin.toml`: what is saved and brought back besides tables.
#[derive(Debug, Clone, Default)]
pub struct Configuration {
    /// The folder that paths are meant from.
    pub root: PathBuf,
    /// Files.
    pub files: Vec<String>,
    /// Tables.
    pub tables: Vec<String>,
}

/// What a checkpoint is to hold.
#[derive(Debug, Clone, Default)]
pub struct Chosen {
    /// Tables by name, with their schema where it is not the default one; empty: all that are ours.
    pub tables: Vec<String>,
    /// Of tables named here only these columns, and the key beside them.
    pub columns: Vec<(String, Vec<String>)>,
    /// Of tables named here only the rows that meet this condition.
    pub rows: Vec<(String, String)>,
    /// Of tables named here the columns among them whose values are written over, in rows that stay.
    pub over: Vec<(String, Vec<String>)>,
    /// The configuration; its tables come along.
    pub configuration: Configuration,
    /// Tables that are there under another name: they are saved under that by which they are asked for.
    pub names: Names,
}

/// The folder of a world's checkpoints.
pub fn folder(world: &World) -> PathBuf {
    world.config.backup_dir.join("checkpoints")
}

/// What the files of checkpoints end with.
const ENDING: &str = "checkpoint";

/// The checkpoints of this database, newest first, and what is wrong with files that cannot be read.
pub fn list(world: &World) -> (Vec<Checkpoint>, Vec<Failure>) {
    let (found, wrong) = look(world);
    (
        found,
        wrong.into_iter().map(|(_, failure)| failure).collect(),
    )
}

/// As [`list`], with the names of the files that cannot be read.
fn look(world: &World) -> (Vec<Checkpoint>, Vec<(String, Failure)>) {
    let (mut found, mut wrong) = (vec![], vec![]);
    let entries = std::fs::read_dir(folder(world))
        .into_iter()
        .flatten()
        .flatten();
    for entry in entries {
        let path = entry.path();
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with('.') || path.extension().is_none_or(|extension| extension != ENDING) {
            continue;
        }
        match Checkpoint::read(&path) {
            Ok(checkpoint) if checkpoint.database == world.engine.database() => {
                found.push(checkpoint);
            }
            Ok(_) => {}
            Err(failure) => wrong.push((name, failure)),
        }
    }
    found.sort_by(|a, b| (&b.created_at, &b.id).cmp(&(&a.created_at, &a.id)));
    (found, wrong)
}

/// The time in an id: the same length in all of them.
fn time_of(id: &str) -> &str {
    id.split('-').next().unwrap_or_default()
}

/// The checkpoint of an id, or the newest of a name.
pub fn find(world: &World, asked: &str) -> Result<Checkpoint, Failure> {
    let (found, mut wrong) = look(world);
    if let Some(checkpoint) = found.iter().find(|checkpoint| checkpoint.id == asked) {
        return Ok(checkpoint.clone());
    }
    let named = found.iter().find(|checkpoint| checkpoint.name == asked);
    let begins = format!("{}.", write::safe(asked));
    // A file of this name that cannot be read may be the newest: an older one in its place would be another state.
    let damaged = wrong.iter().position(|(file, _)| {
        let id = file.strip_prefix(&begins);
        let newer = |id: &str| named.is_none_or(|named| time_of(id) >= time_of(&named.id));
        id.is_some_and(newer) || (named.is_none() && file.contains(asked))
    });
    if let Some(at) = damaged {
        let (_, failure) = wrong.swap_remove(at);
        return Err(match named {
            Some(named) => failure.hint(format!(
                "the one before it is {} of {}: say that id if it is meant",
                named.id, named.created_at
            )),
            None => failure,
        });
    }
    if let Some(checkpoint) = named {
        return Ok(checkpoint.clone());
    }
    let message = format!(
        "there is no checkpoint `{asked}` of {}",
        world.engine.database()
    );
    Err(Failure::refused("no-checkpoint", message).hint("`dunlin checkpoint list` shows them"))
}

/// Removes a checkpoint's file.
pub fn drop(checkpoint: &Checkpoint) -> Result<(), Failure> {
    // What was noted beside it is worth nothing without it; most have none.
    let _ = std::fs::remove_file(merge::path_after(checkpoint));
    let _ = std::fs::remove_file(since::path(checkpoint));
    std::fs::remove_file(&checkpoint.path).map_err(|error| disk(&checkpoint.path, &error))
}
