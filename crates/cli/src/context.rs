//! From what was typed to a world: the project file found and read, the database chosen, the folder of scripts parsed.

use crate::args::Global;
use crate::commands::Answer;
use dunlin::folder::Parsed;
use dunlin::up::Ahead;
use dunlin::world::{Clock, Ids, World};
use dunlin_core::failure::Failure;
use dunlin_core::finding::{Finding, any_error};
use dunlin_core::redact::{Redactor, SecretUrl};
use dunlin_core::source::config::{ConfigInput, parse_project};
use dunlin_core::source::duration::parse_duration;
use dunlin_core::source::{DatabaseConfig, Migration, Project};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::task::JoinError;

/// The name of the project file.
const FILE: &str = "dunlin.toml";

/// A project as read, before a database is chosen.
pub struct Opened {
    /// The project.
    pub project: Project,
    /// What was found while reading.
    pub findings: Vec<Finding>,
}

/// A project with a database and its scripts.
pub struct Context {
    /// The project.
    pub project: Project,
    /// The database.
    pub world: Arc<World>,
    /// Its scripts, in order.
    pub migrations: Vec<Arc<Migration>>,
    /// What was found while reading.
    pub findings: Vec<Finding>,
}

/// Masks every secret that this process has met: what a command writes last of all passes it.
static MET: Mutex<Option<Redactor>> = Mutex::new(None);

fn meet(redactor: &Redactor) {
    let mut met = MET.lock().unwrap_or_else(PoisonError::into_inner);
    *met = Some(met.take().unwrap_or_default().with(redactor));
}

/// The filter of every secret that was met so far.
pub fn met() -> Redactor {
    let met = MET.lock().unwrap_or_else(PoisonError::into_inner);
    met.clone().unwrap_or_default()
}

/// Finds and reads the project file and `.env`.
pub fn open(global: &Global) -> Result<Opened, Answer> {
    let file = match &global.config {
        Some(file) if !file.is_file() => {
            let message = format!("there is no file `{}`", file.display());
            return Err(Failure::usage("config-missing", message).into());
        }
        Some(file) => Some(file.clone()),
        None => search_upwards(),
    };
    let folder = file
        .as_ref()
        .and_then(|file| file.parent())
        .map_or_else(PathBuf::new, Path::to_path_buf);
    let root = std::env::current_dir().unwrap_or_default().join(&folder);
    let read = |path: &Path| std::fs::read(path).ok();
    let input = ConfigInput {
        path: file
            .as_ref()
            .map(|file| file.display().to_string())
            .unwrap_or_else(|| FILE.into()),
        toml: file.as_deref().and_then(read),
        dotenv: read(&root.join(".env")),
        environment: std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect(),
        env_name: global.env.clone(),
        root,
    };
    let (mut project, findings) = parse_project(input);
    meet(&Redactor::new(project.secrets()));
    if any_error(&findings) {
        return Err(Answer::unreadable(findings));
    }
    if let Some(url) = &global.url {
        project.override_url(global.database.as_deref(), SecretUrl::new(url.clone()));
    }
    Ok(Opened { project, findings })
}

fn search_upwards() -> Option<PathBuf> {
    let here = std::env::current_dir().ok()?;
    // Shown relative where it is here; a path of a parent folder is shown whole.
    if here.join(FILE).is_file() {
        return Some(PathBuf::from(FILE));
    }
    here.ancestors()
        .skip(1)
        .map(|folder| folder.join(FILE))
        .find(|file| file.is_file())
}

impl Opened {
    /// The database chosen by `-d`, or the default one.
    pub fn database(&self, global: &Global) -> Result<DatabaseConfig, Answer> {
        self.project
            .select(global.database.as_deref())
            .cloned()
            .map_err(Answer::unreadable)
    }

    /// The world of the chosen database.
    pub fn world(&self, global: &Global, create: bool) -> Result<World, Answer> {
        world_of(self.database(global)?, global, create)
    }

    /// The world and its scripts. Faults of the folder stop here, all at once.
    pub fn context(self, global: &Global, create: bool) -> Result<Context, Answer> {
        let world = Arc::new(self.world(global, create)?);
        let read = dunlin::folder::read(&world.config, &shown);
        self.with_scripts(world, read)
    }

    /// The same, and the database looked at while the scripts are read. With faulty scripts nobody waits for it.
    pub async fn context_and_ahead(self, global: &Global) -> Result<(Context, Ahead), Answer> {
        let world = Arc::new(self.world(global, false)?);
        let config = world.config.clone();
        let mut reading =
            tokio::task::spawn_blocking(move || dunlin::folder::read(&config, &shown));
        let asked = Arc::clone(&world);
        let mut look = Box::pin(Ahead::look(&asked));
        let mut seen = None;
        let read = loop {
            tokio::select! {
                biased;
                read = &mut reading => break read,
                ahead = &mut look, if seen.is_none() => seen = Some(ahead),
            }
        };
        let context = self.with_scripts(world, unbroken(read))?;
        let ahead = match seen {
            Some(ahead) => ahead,
            None => look.await,
        };
        Ok((context, ahead))
    }

    /// The world with what was read of its scripts.
    pub fn with_scripts(
        self,
        world: Arc<World>,
        read: Result<Parsed, Failure>,
    ) -> Result<Context, Answer> {
        let (migrations, found) = read.map_err(Answer::from)?;
        let mut findings = self.findings;
        findings.extend(found);
        if any_error(&findings) {
            return Err(Answer::unreadable(findings));
        }
        Ok(Context {
            project: self.project,
            world,
            migrations,
            findings,
        })
    }
}

/// What a task gave; its panic goes on here.
pub fn unbroken<T>(ended: Result<T, JoinError>) -> T {
    match ended {
        Ok(ended) => ended,
        Err(broken) => std::panic::resume_unwind(broken.into_panic()),
    }
}

/// The world of one database.
pub fn world_of(config: DatabaseConfig, global: &Global, create: bool) -> Result<World, Answer> {
    let base = config.base_dir.clone();
    let mut world = World::new(config, base, create).map_err(Answer::from)?;
    world.clock = clock();
    world.ids = ids();
    meet(&world.redactor);
    if let Some(text) = &global.wait {
        let message = |why: String| Failure::usage("usage", format!("--wait {text}: {why}"));
        world.wait = parse_duration(text).map_err(message)?;
    }
    Ok(world)
}

/// The clock: the system's, or the one that a hermetic test set.
pub fn clock() -> Clock {
    let set = |name: &str| std::env::var(name).ok();
    let Some(at) = set("DUNLIN_TEST_NOW").and_then(|text| text.parse().ok()) else {
        return Clock::default();
    };
    match set("DUNLIN_TEST_PACE").and_then(|text| text.parse().ok()) {
        Some(pace) => Clock::fast(at, pace),
        None => Clock::fixed(at),
    }
}

/// Run ids: by chance, or from the seed that a hermetic test set.
fn ids() -> Ids {
    let seed = std::env::var("DUNLIN_TEST_SEED")
        .ok()
        .and_then(|text| text.parse().ok());
    seed.map_or_else(Ids::default, Ids::seeded)
}

/// A path as people know it: relative to where they stand.
pub fn shown(path: &Path) -> String {
    let here = std::env::current_dir().unwrap_or_default();
    let relative = path.strip_prefix(&here).unwrap_or(path);
    relative.display().to_string()
}

/// A duration of the command line.
pub fn duration(flag: &str, text: &str) -> Result<Duration, Answer> {
    parse_duration(text)
        .map_err(|why| Failure::usage("usage", format!("{flag} {text}: {why}")).into())
}
