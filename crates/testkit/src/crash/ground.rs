//! Where rounds take place: an engine, its private server, a folder with the migrations, the binary as a process.

use super::Engine;
use super::generate::Scenario;
use crate::TestDatabase;
use crate::servers::{Kind, Options, Server};
use anyhow::{Context, bail};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long any one process may take before it counts as hanging.
const PATIENCE: Duration = Duration::from_secs(60);

/// An engine with its server.
#[derive(Debug)]
pub struct Ground {
    /// The engine.
    pub engine: Engine,
    server: Option<Server>,
    binary: PathBuf,
}

impl Ground {
    /// Starts the engine's private server, where it has one.
    pub fn prepare(engine: Engine, binary: &Path) -> anyhow::Result<Ground> {
        let kind = match engine {
            Engine::Sqlite => None,
            Engine::Postgres => Some(Kind::Postgres),
            Engine::Mariadb => Some(Kind::Mariadb),
            Engine::Mysql => Some(Kind::Mysql),
        };
        let server = kind
            .map(|kind| Server::try_private(kind, options(kind)))
            .transpose()?;
        Ok(Ground {
            engine,
            server,
            binary: binary.to_owned(),
        })
    }

    /// The server, where there is one.
    pub fn server(&self) -> Option<&Server> {
        self.server.as_ref()
    }

    /// A new, empty database.
    pub fn database(&self) -> TestDatabase {
        match &self.server {
            Some(server) => TestDatabase::on(server),
            None => TestDatabase::sqlite(),
        }
    }

    /// Starts `dunlin` with these words on a database, in a scenario's folder.
    pub fn start(
        &self,
        folder: &Path,
        database: &TestDatabase,
        words: &[&str],
    ) -> anyhow::Result<Run> {
        let said = |name: &str| std::fs::File::create(folder.join(name));
        let child = Command::new(&self.binary)
            .args(words)
            .current_dir(folder)
            .env("DATABASE_URL", database.url())
            .env("HOME", folder)
            .stdin(Stdio::null())
            .stdout(said("stdout")?)
            .stderr(said("stderr")?)
            .spawn()
            .with_context(|| format!("starting {}", self.binary.display()))?;
        Ok(Run {
            child,
            folder: folder.to_owned(),
        })
    }
}

/// A folder with a scenario's files.
pub fn lay_out(scenario: &Scenario) -> anyhow::Result<tempfile::TempDir> {
    let folder = tempfile::Builder::new().prefix("dunlin-crash-").tempdir()?;
    let migrations = folder.path().join("migrations");
    std::fs::create_dir(&migrations)?;
    for (name, text) in &scenario.files {
        std::fs::write(migrations.join(name), text)?;
    }
    Ok(folder)
}

/// A process under way. It is killed with this value.
#[derive(Debug)]
pub struct Run {
    child: Child,
    folder: PathBuf,
}

/// How a process ended.
#[derive(Debug)]
pub struct Ended {
    /// Its exit code; `None`: by a signal.
    pub code: Option<i32>,
    /// What it said on stderr.
    pub said: String,
    /// How often a migration was resumed half way.
    pub resumed: usize,
    /// How many doubts were settled by rule.
    pub settled: usize,
}

impl Run {
    /// Lets it run for a while; gives whether it still runs.
    pub fn runs_after(&mut self, time: Duration) -> anyhow::Result<bool> {
        std::thread::sleep(time);
        Ok(self.child.try_wait()?.is_none())
    }

    /// SIGKILL.
    pub fn kill(&mut self) -> anyhow::Result<()> {
        self.child.kill().context("killing")
    }

    /// Waits for its end.
    pub fn wait(mut self) -> anyhow::Result<Ended> {
        let started = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait()? {
                break status;
            }
            if started.elapsed() > PATIENCE {
                bail!("it does not end; so far it said:\n{}", self.read("stderr"));
            }
            std::thread::sleep(Duration::from_millis(1));
        };
        let events = self.read("events.ndjson");
        let count = |what: &str| events.lines().filter(|line| line.contains(what)).count();
        let steps = count("\"event\":\"step_began\"");
        Ok(Ended {
            code: status.code(),
            said: self.read("stderr"),
            resumed: steps - count("\"resumed_at\":null").min(steps),
            settled: count("\"event\":\"doubt_settled\""),
        })
    }

    fn read(&self, name: &str) -> String {
        let bytes = std::fs::read(self.folder.join(name)).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Nothing waits for the disk, as everywhere in the testkit; MariaDB has more to be told than the others.
fn options(kind: Kind) -> Options {
    match kind {
        Kind::Mariadb => Options::default().arg("--sync-frm=0"),
        _ => Options::default(),
    }
}
