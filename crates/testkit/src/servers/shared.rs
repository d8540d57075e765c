//! One server of a kind for the whole machine, started by the first process that asks.
//!
//! Two locks in a folder of the user's: `KIND.start` is held while looking and starting, `KIND.users` is held (shared)
//! by every process that uses the server, for as long as it lives. The watchdog ends the server when it could take
//! `KIND.users` for itself for a while.

use super::{Kind, Options, launch, process};
use anyhow::{Context, bail};
use std::fs::File;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

/// How long a server outlives its last user: the pause between two test runs of somebody at work.
const GRACE: Duration = Duration::from_secs(60);

/// Raised whenever instances are made or started differently: builds that differ must not share a server.
const FORMAT: u32 = 4;

/// Where a shared server is.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub port: u16,
    pub dir: PathBuf,
}

/// The locks that this process holds until it ends.
static HELD: Mutex<Vec<File>> = Mutex::new(Vec::new());

/// The server of a kind, started where it is not there.
pub(super) fn ensure(kind: Kind) -> anyhow::Result<Place> {
    let folder = folder()?;
    let starting = File::create(folder.join(format!("{kind}-{FORMAT}.start")))?;
    starting.lock()?;
    let users_path = folder.join(format!("{kind}-{FORMAT}.users"));
    let users = File::options()
        .create(true)
        .append(true)
        .open(&users_path)?;
    users.lock_shared()?;
    let state = folder.join(format!("{kind}-{FORMAT}.state"));
    let place = match read(&state).filter(|place| launch::ready(kind, &place.dir, place.port)) {
        Some(place) => place,
        None => {
            let instance = launch::Instance::create(kind, Options::default())?;
            instance.start_shared(&users_path, GRACE)?;
            let place = Place {
                port: instance.port,
                dir: instance.dir.clone(),
            };
            std::fs::write(&state, format!("{}\n{}\n", place.port, place.dir.display()))?;
            place
        }
    };
    HELD.lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
        .push(users);
    Ok(place)
}

fn read(state: &Path) -> Option<Place> {
    let text = std::fs::read_to_string(state).ok()?;
    let (port, dir) = text.trim_end().split_once('\n')?;
    Some(Place {
        port: port.parse().ok()?,
        dir: PathBuf::from(dir),
    })
}

/// The folder of the locks. Its name can be guessed, so it has to be ours.
pub(super) fn folder() -> anyhow::Result<PathBuf> {
    let base = if process::is_root() {
        PathBuf::from("/tmp")
    } else {
        std::env::temp_dir()
    };
    let user = process::user();
    let folder = base.join(format!("dunlin-shared-{user}"));
    match std::fs::DirBuilder::new().mode(0o755).create(&folder) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
            return Err(error).with_context(|| format!("making {}", folder.display()));
        }
        _ => {}
    }
    let found = std::fs::symlink_metadata(&folder)?;
    if !found.is_dir() || found.uid() != user {
        bail!("{} is there and is not ours; remove it", folder.display());
    }
    Ok(folder)
}
