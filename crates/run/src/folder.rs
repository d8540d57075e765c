//! A folder of scripts, read from the disk or from the binary, and parsed.

use dunlin_core::dialect;
use dunlin_core::failure::Failure;
use dunlin_core::finding::Finding;
use dunlin_core::source::folder::{SourceFile, in_parts, parse_folder};
use dunlin_core::source::{DatabaseConfig, Migration};
use dunlin_core::sql::LexMode;
use std::ffi::OsString;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

/// Scripts and what was found in them.
pub type Parsed = (Vec<Arc<Migration>>, Vec<Finding>);

/// Reads and parses the folder of a database. `shown` makes a path as people know it.
pub fn read(config: &DatabaseConfig, shown: &dyn Fn(&Path) -> String) -> Result<Parsed, Failure> {
    let files = files(&config.migrations, shown)?;
    parse(&files, config)
}

/// Parses files that were read already.
pub fn parse(files: &[SourceFile], config: &DatabaseConfig) -> Result<Parsed, Failure> {
    let Some(dialect) = dialect::by_url(config.url.expose()) else {
        return Err(Failure::usage(
            "url",
            format!("`{}` names no engine that Dunlin knows", config.url),
        ));
    };
    let mode = LexMode {
        sql_mode: config.sql_mode.to_uppercase(),
        plain_backslashes: false,
    };
    let (migrations, findings) = parse_folder(files, config, dialect, &mode);
    Ok((migrations.into_iter().map(Arc::new).collect(), findings))
}

/// The files of a folder, by name.
pub fn files(folder: &Path, shown: &dyn Fn(&Path) -> String) -> Result<Vec<SourceFile>, Failure> {
    let place = shown(folder);
    let entries = std::fs::read_dir(folder).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => Failure::usage("folder-missing", format!("there is no folder `{place}`"))
            .hint("`dunlin init` makes one, `dunlin new NAME` the first script; or set `migrations` in dunlin.toml"),
        _ => Failure::usage("folder-unreadable", format!("the folder `{place}` cannot be read: {error}")),
    })?;
    // The shorter the path, the quicker each file is found.
    let here = std::env::current_dir().unwrap_or_default();
    let near = folder.strip_prefix(&here).unwrap_or(folder);
    let mut names = vec![];
    for entry in entries.flatten() {
        let name = entry.file_name();
        // What the folder itself says, which costs nothing; a link is followed.
        let is_dir = match entry.file_type() {
            Ok(kind) if !kind.is_symlink() => kind.is_dir(),
            _ => near.join(&name).is_dir(),
        };
        if !is_dir {
            names.push(name);
        }
    }
    names.sort();
    let place = place.trim_end_matches('/');
    let read = |names: &[OsString]| -> Result<Vec<SourceFile>, Failure> {
        let mut room = vec![0; ROOM];
        let one = |name: &OsString| {
            let path = near.join(name);
            let name = name.to_string_lossy().into_owned();
            let place = match place {
                "" => name.clone(),
                folder => format!("{folder}/{name}"),
            };
            file(&path, place, name, &mut room)
        };
        names.iter().map(one).collect()
    };
    // A thousand small files take the system longer to open than a server takes to let somebody in.
    let mut files = vec![];
    for part in in_parts(&names, read) {
        files.append(&mut part?);
    }
    Ok(files)
}

/// Most scripts fit, and are read without asking for their size first.
const ROOM: usize = 64 * 1024;

fn file(path: &Path, place: String, name: String, room: &mut [u8]) -> Result<SourceFile, Failure> {
    let unreadable = |error: std::io::Error| {
        Failure::usage(
            "file-unreadable",
            format!("`{place}` cannot be read: {error}"),
        )
    };
    let mut opened = std::fs::File::open(path).map_err(unreadable)?;
    let mut filled = 0;
    while filled < room.len() {
        match opened.read(&mut room[filled..]) {
            Ok(0) => return Ok(SourceFile::new(place, name, &room[..filled])),
            Ok(read) => filled += read,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(unreadable(error)),
        }
    }
    let size = opened.metadata().map_err(unreadable)?.len();
    // A file that is too large is a finding of the folder; its bytes need not be read for that.
    if size > dunlin_core::limits::SCRIPT_BYTES_MAX {
        return Ok(SourceFile::too_large(place, name, size));
    }
    let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or(0) + 1);
    bytes.extend_from_slice(room);
    opened.read_to_end(&mut bytes).map_err(unreadable)?;
    Ok(SourceFile::new(place, name, bytes))
}
