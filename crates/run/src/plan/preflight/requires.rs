//! Asking for what a plan requires.

use super::disk;
use crate::backup;
use crate::http::Request;
use crate::observe;
use crate::plan::look::Ground;
use crate::plan::state::{self, Readers};
use crate::world::World;
use dunlin_core::preflight::requires::Found;
use dunlin_core::source::Project;
use dunlin_core::source::plan::requires::Required;
use dunlin_core::source::plan::{PlanDoc, StepSpec};
use dunlin_core::value::{Query, Value};
use dunlin_engines::Session;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

/// How long a command may take to state its version, and an address to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// What is asked of.
pub struct Asking<'a> {
    /// The world.
    pub world: &'a World,
    /// The project.
    pub project: &'a Project,
    /// The plan.
    pub doc: &'a PlanDoc,
    /// What the database has.
    pub ground: &'a Ground<'a>,
}

/// What is found of one requirement.
pub async fn find(asking: &Asking<'_>, session: &mut dyn Session, required: &Required) -> Found {
    match required {
        Required::Command { name, version } => command(name, version.is_some()).await,
        Required::Extension { name, .. } => extension(session, name).await,
        Required::Env(name) => match asking.project.environment.get(name) {
            Some(_) => Found::There("it is set".into()),
            None => Found::Missing(format!("{name} is not set")),
        },
        Required::Plugin(id) => plugin(asking, session, id).await,
        Required::Server { engine, .. } => {
            let caps = session.caps();
            match caps.engine == *engine {
                true => Found::There(caps.version_text.clone()),
                false => Found::Missing(format!(
                    "the server is {} {}",
                    caps.engine, caps.version_text
                )),
            }
        }
        Required::Disk(_) => room(asking.world, session).await,
        Required::Tcp { host, port } => tcp(host, *port).await,
        Required::Http(url) => http(&url.0).await,
        Required::Setting { table, key, .. } => setting(asking, session, table, key).await,
        Required::Backup(_) => newest_backup(asking.world),
        Required::Rehearsal(_) => Found::Later(
            "rehearsals come with a later version of Dunlin: whether there was one is not known"
                .into(),
        ),
    }
}

/// Where a program is on the path.
pub fn on_path(name: &str) -> Option<PathBuf> {
    if name.contains('/') {
        return Some(PathBuf::from(name)).filter(|path| path.is_file());
    }
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|folder| folder.join(name))
        .find(|file| {
            file.is_file() && rustix::fs::access(file, rustix::fs::Access::EXEC_OK).is_ok()
        })
}

async fn command(name: &str, asks_version: bool) -> Found {
    let Some(path) = on_path(name) else {
        return Found::Missing(format!("there is no `{name}` on the path"));
    };
    if !asks_version {
        return Found::There(format!("`{}`", path.display()));
    }
    let mut said = String::new();
    // Most know the first, some only one of the others.
    for word in ["--version", "-version", "version", "-V"] {
        if let Some(text) = version_by(&path, word).await {
            if text.bytes().any(|byte| byte.is_ascii_digit()) {
                return Found::There(text);
            }
            said = text;
        }
    }
    match said.is_empty() {
        true => Found::Unknown(format!("`{name}` does not state its version")),
        false => Found::There(said),
    }
}

async fn version_by(path: &Path, word: &str) -> Option<String> {
    let mut command = tokio::process::Command::new(path);
    command.arg(word).stdin(Stdio::null()).kill_on_drop(true);
    let output = tokio::time::timeout(PATIENCE, command.output())
        .await
        .ok()?
        .ok()?;
    if !output.status.success() {
        return None;
    }
    let out = String::from_utf8_lossy(&output.stdout).into_owned();
    let err = String::from_utf8_lossy(&output.stderr).into_owned();
    // Java and its like state theirs on the other channel.
    let text = if out.trim().is_empty() { err } else { out };
    text.lines()
        .map(str::trim)
        .find(|line| !line.is_empty())
        .map(str::to_owned)
}

async fn extension(session: &mut dyn Session, name: &str) -> Found {
    let Some(query) = session.dialect().preflight().extension(name) else {
        return Found::Missing(format!(
            "{} has no extensions of this kind",
            session.caps().engine
        ));
    };
    match observe::bounded(session, &query, PATIENCE).await {
        Ok(rows) => match rows.first().and_then(|row| row.first()) {
            Some(version) => Found::There(version.as_str().unwrap_or_default().to_owned()),
            None => Found::Missing(format!(
                "the extension {name} is not installed in this database"
            )),
        },
        Err(error) => Found::Unknown(error.message),
    }
}

async fn plugin(asking: &Asking<'_>, session: &mut dyn Session, id: &str) -> Found {
    let table = asking
        .project
        .file
        .plugin
        .iter()
        .find(|plugin| plugin.id == id);
    let Some(table) = table else {
        return Found::Missing(format!("dunlin.toml has no plugin `{id}`"));
    };
    let mut readers = Readers::new(asking.world, asking.project, session);
    let on = readers.plugin(table).await;
    readers.close().await;
    match on {
        Ok(true) => Found::There("it is on".into()),
        Ok(false) => Found::Missing(format!("plugin `{id}` is off")),
        Err(why) => Found::Unknown(why),
    }
}

/// The least of what is free where the database writes and where its backups go, as far as it can be seen.
async fn room(world: &World, session: &mut dyn Session) -> Found {
    let data = disk::of_data(world, session).await;
    let folders = [
        data.as_ref().ok().cloned(),
        Some(world.config.backup_dir.clone()),
    ];
    let free: Vec<Result<u64, String>> = folders
        .iter()
        .flatten()
        .map(|folder| disk::free(folder))
        .collect();
    match free.iter().filter_map(|one| one.as_ref().ok()).min() {
        Some(least) => Found::Free(*least),
        None => Found::Unknown(data.err().unwrap_or_else(|| "no disk can be seen".into())),
    }
}

async fn tcp(host: &str, port: u16) -> Found {
    let connecting = tokio::net::TcpStream::connect((host, port));
    match tokio::time::timeout(PATIENCE, connecting).await {
        Ok(Ok(_)) => Found::There("it takes connections".into()),
        Ok(Err(error)) => Found::Missing(format!("{host}:{port}: {error}")),
        Err(_) => Found::Missing(format!("{host}:{port} does not answer")),
    }
}

async fn http(url: &str) -> Found {
    let request = Request {
        method: "GET".into(),
        url: url.to_owned(),
        headers: vec![],
        json: None,
        timeout: PATIENCE,
        follow: true,
    };
    match request.send().await {
        Ok(answer) if (200..300).contains(&answer.status) => {
            Found::There(format!("it answers with {}", answer.status))
        }
        Ok(answer) => Found::Missing(format!("it answers with {}", answer.status)),
        Err(why) => Found::Missing(why),
    }
}

/// Columns that hold keys and values in settings tables, where neither plan nor project names them.
const KEYS: [&str; 6] = [
    "setting_key",
    "key",
    "name",
    "option_name",
    "config_key",
    "setting_name",
];
const VALUES: [&str; 5] = [
    "setting_value",
    "value",
    "option_value",
    "config_value",
    "val",
];

async fn setting(asking: &Asking<'_>, session: &mut dyn Session, table: &str, key: &str) -> Found {
    let Some((key_column, value_column)) = columns(asking, table) else {
        return Found::Unknown(format!(
            "which columns of {table} hold keys and values: it is not there, or has neither `key` nor `value`"
        ));
    };
    let query = session
        .dialect()
        .setting(table, &key_column, &value_column, key);
    match observe::bounded(session, &query, PATIENCE).await {
        Ok(rows) => match rows.first().and_then(|row| row.first()) {
            None => Found::Missing(format!("{table} has no row `{key}`")),
            Some(Value::Null) => Found::Missing(format!("`{key}` in {table} is NULL")),
            Some(value) => Found::There(state::shown(value).unwrap_or_default()),
        },
        Err(error) => Found::Unknown(error.message),
    }
}

/// The columns of a settings table: as a plugin or a step of the plan names them, or by their usual names.
fn columns(asking: &Asking<'_>, table: &str) -> Option<(String, String)> {
    let mut plugins = asking.project.file.plugin.iter();
    let by_plugin = plugins.find_map(|plugin| {
        plugin
            .setting
            .as_ref()
            .filter(|setting| setting.table == table)
    });
    if let Some(setting) = by_plugin {
        return Some((setting.key.clone(), setting.value.clone()));
    }
    let by_step = asking.doc.steps().find_map(|(_, step)| match &step.kind {
        StepSpec::Settings(settings) if settings.table == table => {
            let key = settings.key.first()?;
            let others = settings.rows.first()?.keys();
            let mut others = others.filter(|column| !settings.key.contains(column));
            let value = others.find(|column| column.contains("value")).cloned()?;
            Some((key.clone(), value))
        }
        _ => None,
    });
    if by_step.is_some() {
        return by_step;
    }
    let name = table.rsplit('.').next().unwrap_or(table);
    let mut tables = asking.ground.catalog.tables.iter();
    let found = tables.find(|one| one.name.eq_ignore_ascii_case(name))?;
    let named = |usual: &[&str]| {
        usual.iter().find_map(|usual| {
            let mut columns = found.columns.iter();
            columns
                .find(|column| column.name.eq_ignore_ascii_case(usual))
                .map(|column| column.name.clone())
        })
    };
    Some((named(&KEYS)?, named(&VALUES)?))
}

/// The newest backup of this database that was verified.
pub fn newest_backup(world: &World) -> Found {
    let folder = &world.config.backup_dir;
    let database = world.engine.database();
    let mut ours = backup::list(folder)
        .into_iter()
        .filter(|one| one.database == database)
        .peekable();
    if ours.peek().is_none() {
        return Found::Missing(format!(
            "there is no backup of {database} in `{}`",
            folder.display()
        ));
    }
    let Some(newest) = ours.find(|one| one.verified.is_some()) else {
        return Found::Missing("no backup has been verified".into());
    };
    let made: Option<jiff::Timestamp> = newest.created_at.parse().ok();
    match made {
        Some(made) => {
            let age = world
                .clock
                .now()
                .as_second()
                .saturating_sub(made.as_second());
            Found::Aged(u64::try_from(age).unwrap_or(0))
        }
        None => Found::Unknown(format!("when backup {} was made", newest.name)),
    }
}

/// A query without parameters.
pub fn plain(sql: &str) -> Query {
    Query::new(sql, vec![])
}
