//! `init` and `new`: the first files of a project, and the next script.

use super::Answer;
use crate::args::Global;
use crate::context;
use dunlin_core::failure::Failure;
use dunlin_core::source::scaffold;
use std::io::Write;
use std::path::Path;

/// Writes a file that must not be there yet.
fn create(path: &Path, text: &str) -> Result<(), Answer> {
    let shown = context::shown(path);
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(path)
        .map_err(|error| {
            let code = if error.kind() == std::io::ErrorKind::AlreadyExists {
                "file-exists"
            } else {
                "file-unwritable"
            };
            let failure = Failure::usage(code, format!("`{shown}` cannot be made: {error}"));
            Answer::from(match code {
                "file-exists" => failure.hint(format!("`{shown}` is left as it is")),
                _ => failure,
            })
        })?;
    file.write_all(text.as_bytes()).map_err(|error| {
        Answer::from(Failure::usage(
            "file-unwritable",
            format!("`{shown}` cannot be written: {error}"),
        ))
    })
}

/// `init`.
pub fn init(global: &Global) -> Result<Answer, Answer> {
    let here = std::env::current_dir().unwrap_or_default();
    let name = here
        .file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_else(|| "app".into());
    let mut made = vec![];
    create(
        &here.join("dunlin.toml"),
        &scaffold::project(&name, global.url.as_deref()),
    )?;
    made.push("dunlin.toml".to_owned());
    let folder = here.join("migrations");
    if !folder.is_dir() {
        std::fs::create_dir(&folder).map_err(|error| {
            Failure::usage(
                "file-unwritable",
                format!("`migrations` cannot be made: {error}"),
            )
        })?;
        made.push("migrations/".to_owned());
    }
    let ignore = here.join(".gitignore");
    let old = std::fs::read_to_string(&ignore).unwrap_or_default();
    if let Some(text) = scaffold::gitignore(&old) {
        std::fs::write(&ignore, text).map_err(|error| {
            Failure::usage(
                "file-unwritable",
                format!("`.gitignore` cannot be written: {error}"),
            )
        })?;
        made.push(".gitignore".to_owned());
    }
    let text = made
        .iter()
        .map(|file| format!("made {file}\n"))
        .collect::<String>()
        + "next: dunlin new \"what it does\"\n";
    Ok(Answer::done(text, serde_json::json!({ "made": made })))
}

/// `new`.
pub fn new(global: &Global, name: &str) -> Result<Answer, Answer> {
    let opened = context::open(global)?;
    let folder = match opened.database(global) {
        Ok(database) => database.migrations,
        // A script can be written before there is a database.
        Err(_) => opened.project.root.join("migrations"),
    };
    std::fs::create_dir_all(&folder).map_err(|error| {
        Failure::usage(
            "file-unwritable",
            format!("`{}` cannot be made: {error}", context::shown(&folder)),
        )
    })?;
    let names: Vec<String> = std::fs::read_dir(&folder)
        .map(|entries| {
            entries
                .flatten()
                .map(|entry| entry.file_name().to_string_lossy().into_owned())
                .collect()
        })
        .unwrap_or_default();
    let now = context::clock().now().strftime("%Y%m%d%H%M%S").to_string();
    let script =
        scaffold::migration(name, &names, &now).map_err(|why| Failure::usage("bad-name", why))?;
    let path = folder.join(&script.file);
    create(&path, &script.text)?;
    let shown = context::shown(&path);
    Ok(Answer::done(
        format!("made {shown}\n"),
        serde_json::json!({ "made": [shown] }),
    ))
}
