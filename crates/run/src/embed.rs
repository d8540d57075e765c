//! For services: bring your own database up to date when you start.
//!
//! ```no_run
//! # async fn start() -> Result<(), dunlin::Failure> {
//! let report = dunlin::Migrator::new("sqlite:app.db")?.folder("migrations")?.create(true).up().await?;
//! println!("{} migrations applied", report.steps.len());
//! # Ok(())
//! # }
//! ```
//!
//! Or with the scripts in the binary: `dunlin::Migrator::new(url)?.embedded(dunlin::migrations!("migrations"))?`.
//! Several processes may start at once: each migration runs once, the others wait.

use crate::control::Control;
use crate::folder;
use crate::status::{self, Status};
use crate::up::{self, Goal, Options, Report};
use crate::world::World;
use dunlin_core::event::{Event, Sink};
use dunlin_core::failure::Failure;
use dunlin_core::finding::{Finding, Place};
use dunlin_core::plan::select::{self, UpGoal};
use dunlin_core::redact::SecretUrl;
use dunlin_core::source::folder::SourceFile;
use dunlin_core::source::{DatabaseConfig, Project, Version};
use std::path::{Path, PathBuf};

/// Brings one database up to date.
pub struct Migrator {
    config: DatabaseConfig,
    files: Vec<SourceFile>,
    options: Options,
    sink: Box<dyn Sink>,
    control: Control,
    create: bool,
    to: Option<Version>,
    report_only: bool,
}

impl Migrator {
    /// For the database at a URL, with the settings' defaults.
    pub fn new(url: &str) -> Result<Self, Failure> {
        let root = std::env::current_dir().unwrap_or_else(|_| PathBuf::from("."));
        let project = Project::without_file(SecretUrl::new(url), root);
        match project.databases.into_iter().next() {
            Some(config) => Ok(Self::with_config(config)),
            None => Err(Failure::usage("url", "the URL names no database")),
        }
    }

    /// For a database whose settings were read from a project file.
    pub fn with_config(config: DatabaseConfig) -> Self {
        Migrator {
            config,
            files: vec![],
            options: Options::default(),
            sink: Box::new(TracingBridge),
            control: Control::free(),
            create: false,
            to: None,
            report_only: false,
        }
    }

    /// Reads the scripts from a folder, now.
    pub fn folder(mut self, path: impl AsRef<Path>) -> Result<Self, Failure> {
        self.config.migrations = path.as_ref().to_path_buf();
        self.files = folder::files(path.as_ref(), &|path| path.display().to_string())?;
        self.look_for_switches();
        Ok(self)
    }

    /// Takes the scripts that [`crate::migrations!`] compiled into the binary.
    pub fn embedded(mut self, files: Vec<SourceFile>) -> Result<Self, Failure> {
        self.files = files;
        self.look_for_switches();
        Ok(self)
    }

    /// `version.json` may say `auto_migrate_on_activation = false`: then [`Migrator::up`] only reports.
    fn look_for_switches(&mut self) {
        let manifest = self.files.iter().find(|file| file.name == "version.json");
        let value =
            manifest.and_then(|file| serde_json::from_slice::<serde_json::Value>(&file.bytes).ok());
        let switch = value.as_ref().and_then(|value| {
            value
                .get("auto_migrate_on_activation")
                .or_else(|| value.get("settings")?.get("auto_migrate_on_activation"))
        });
        self.report_only = switch.and_then(serde_json::Value::as_bool) == Some(false);
    }

    /// Sets a placeholder of the scripts.
    #[must_use]
    pub fn placeholder(mut self, name: &str, value: &str) -> Self {
        self.config.placeholders.insert(name.into(), value.into());
        self
    }

    /// Makes the database where it is missing.
    #[must_use]
    pub fn create(mut self, create: bool) -> Self {
        self.create = create;
        self
    }

    /// Applies up to this version, inclusive.
    #[must_use]
    pub fn to(mut self, version: &str) -> Self {
        self.to = Some(Version(version.into()));
        self
    }

    /// Whether to wait for another process that is at work (the default), or to leave with "locked".
    #[must_use]
    pub fn wait(mut self, wait: bool) -> Self {
        self.options.wait_for_lease = wait;
        self
    }

    /// Sends every event to a sink of the caller's. Without one they go to `tracing`.
    #[must_use]
    pub fn events(mut self, sink: impl Sink + 'static) -> Self {
        self.sink = Box::new(sink);
        self
    }

    /// Lets the caller stop the run.
    #[must_use]
    pub fn control(mut self, control: Control) -> Self {
        self.control = control;
        self
    }

    async fn world(&self) -> Result<World, Failure> {
        let world = World::new(
            self.config.clone(),
            self.config.base_dir.clone(),
            self.create,
        )?;
        if self.create {
            let made = world.engine.create_database().await;
            made.map_err(|error| {
                world.redact(crate::trouble::refused(&error, "cannot make the database"))
            })?;
        }
        Ok(world)
    }

    /// Applies what is pending. Where the manifest forbids that, only reports: the report then lists no steps, and a
    /// finding says what is pending.
    pub async fn up(mut self) -> Result<Report, Failure> {
        let world = self.world().await?;
        let (migrations, mut findings) = folder::parse(&self.files, &self.config)?;
        select::verdict(&findings)?;
        if self.report_only {
            let status = status::status(&world, &migrations)
                .await
                .map_err(|failure| world.redact(failure))?;
            let pending = status
                .migrations
                .iter()
                .filter(|line| line.applied_at.is_none())
                .count();
            let message = format!(
                "{pending} migrations are pending; version.json forbids to apply them by itself"
            );
            self.sink.event(&Event::Note {
                message: message.clone(),
            });
            if pending > 0 {
                let place = Place::file("version.json");
                findings.push(
                    Finding::warning("not-activated", place, message)
                        .help("`dunlin up` applies them"),
                );
            }
            return Ok(Report {
                findings,
                ..Report::default()
            });
        }
        let goal = Goal::Up(UpGoal {
            to: self.to.clone(),
            out_of_order: self.config.out_of_order,
        });
        let mut report = up::run(
            &world,
            &migrations,
            &goal,
            &self.options,
            &mut *self.sink,
            self.control.clone(),
        )
        .await;
        match report.failure.take() {
            Some(failure) => Err(failure),
            None => Ok(report),
        }
    }

    /// What is applied and what is pending; writes nothing.
    pub async fn status(&self) -> Result<Status, Failure> {
        let world = self.world().await?;
        let (migrations, findings) = folder::parse(&self.files, &self.config)?;
        select::verdict(&findings)?;
        status::status(&world, &migrations)
            .await
            .map_err(|failure| world.redact(failure))
    }
}

/// Hands events to `tracing`: steps as info, statements as debug, what went wrong as warnings.
#[derive(Debug, Default)]
pub struct TracingBridge;

impl Sink for TracingBridge {
    fn event(&mut self, event: &Event) {
        match event {
            Event::StepDone {
                version,
                name,
                direction,
                duration_ms,
            } => {
                tracing::info!(target: "dunlin", version, name, direction, duration_ms, "migration done");
            }
            Event::StepFailed {
                version,
                name,
                failure,
            } => {
                tracing::warn!(target: "dunlin", version, name, code = failure.code, "migration failed: {failure}");
            }
            Event::LeaseWaiting { holder, waited_ms } => {
                tracing::info!(target: "dunlin", holder, waited_ms, "waiting for another runner");
            }
            other => tracing::debug!(target: "dunlin", event = ?other),
        }
    }
}

/// The scripts of a folder (relative to the crate's `Cargo.toml`), compiled into the binary.
#[macro_export]
macro_rules! migrations {
    ($folder:literal) => {{
        #[derive($crate::rust_embed::RustEmbed)]
        #[crate_path = "dunlin::rust_embed"]
        #[folder = $folder]
        struct Scripts;
        let read = |name: ::std::borrow::Cow<'static, str>| {
            <Scripts as $crate::rust_embed::RustEmbed>::get(&name)
                .map(|file| $crate::SourceFile::new(format!("{}/{name}", $folder), name, file.data))
        };
        <Scripts as $crate::rust_embed::RustEmbed>::iter()
            .filter_map(read)
            .collect::<::std::vec::Vec<_>>()
    }};
}
