//! Room on disks: where backups go, and where the server keeps its data, as far as that is this machine.

use crate::observe;
use crate::world::World;
use dunlin_core::value::Query;
use dunlin_engines::Session;
use std::path::{Path, PathBuf};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(2);

/// The bytes that this user may still write in a folder; of one that is not there yet, where it would be made.
pub fn free(folder: &Path) -> Result<u64, String> {
    let there = folder
        .ancestors()
        .find(|ancestor| ancestor.exists() || ancestor.as_os_str().is_empty());
    let there = match there {
        Some(path) if !path.as_os_str().is_empty() => path,
        _ => Path::new("."),
    };
    let found = rustix::fs::statvfs(there);
    let found = found.map_err(|error| format!("`{}`: {error}", there.display()))?;
    Ok(found.f_bavail.saturating_mul(found.f_frsize))
}

/// Whether this user may write into a folder, or make it where it is not there.
pub fn writable(folder: &Path) -> Result<(), String> {
    if folder.exists() && !folder.is_dir() {
        return Err("it is not a folder".into());
    }
    let mut there = folder;
    while !there.exists() {
        match there.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => there = parent,
            _ => there = Path::new("."),
        }
    }
    may_write(there)
}

/// Whether this user may write a file, or into a folder.
pub fn may_write(path: &Path) -> Result<(), String> {
    let access = rustix::fs::Access::WRITE_OK;
    rustix::fs::access(path, access).map_err(|error| format!("`{}`: {error}", path.display()))
}

/// The folder in which the database writes, where it is on this machine; else why it is not known.
pub async fn of_data(world: &World, session: &mut dyn Session) -> Result<PathBuf, String> {
    if let Some(file) = world.engine.file() {
        return Ok(file.parent().map(Path::to_path_buf).unwrap_or_default());
    }
    let Some(sql) = session.dialect().preflight().data_folder() else {
        return Err("the database is in memory".into());
    };
    if !is_here(&world.engine.describe()) {
        return Err("the server is another machine: its disks cannot be seen from here".into());
    }
    let asked = observe::bounded(session, &Query::new(sql, vec![]), PATIENCE).await;
    let rows = asked.map_err(|error| {
        format!(
            "the server does not say where it keeps its data: {}",
            error.message
        )
    })?;
    let path = rows
        .first()
        .and_then(|row| row.first()?.as_str().map(PathBuf::from));
    let path = path.ok_or("the server does not say where it keeps its data")?;
    match path.exists() {
        true => Ok(path),
        false => Err(format!(
            "`{}`, where the server keeps its data, cannot be seen from here",
            path.display()
        )),
    }
}

/// Whether an address is of this machine.
fn is_here(shown: &str) -> bool {
    let Some((_, rest)) = shown.split_once("://") else {
        return true;
    };
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    let host = authority.rsplit('@').next().unwrap_or_default();
    let host = match host.strip_prefix('[') {
        Some(inner) => inner.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    // No host is a socket of this machine.
    host.is_empty()
        || host == "localhost"
        || host == "::1"
        || host.starts_with("127.")
        || host.starts_with('%')
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn this_machine_is_told_from_others() {
        for (url, here) in [
            ("postgres://a:***@127.0.0.1:5432/d", true),
            ("postgres://localhost/d", true),
            ("postgres://[::1]:5432/d", true),
            ("postgres:///d?host=/run/postgresql", true),
            ("postgres://%2Frun%2Fpostgresql/d", true),
            ("mysql://a@db.example.org/d", false),
            ("mysql://a@10.0.0.7:3306/d", false),
        ] {
            assert_eq!(is_here(url), here, "{url}");
        }
    }

    #[test]
    fn room_is_told_of_folders_that_are_not_there_yet() {
        let folder = tempfile::tempdir().unwrap();
        let deep = folder.path().join("a/b/c");
        assert!(free(&deep).unwrap() > 0);
        assert_eq!(writable(&deep), Ok(()));
        let file = folder.path().join("file");
        std::fs::write(&file, "").unwrap();
        assert!(writable(&file).is_err());
    }
}
