//! Throwaway servers: real ones, in temporary folders, on ports of their own, gone when their owner is gone.
//!
//! Two ways to have one. [`Server::shared`] is one per kind for the whole machine: the first test process that asks
//! starts it, every process that uses it holds a lock, and its watchdog ends it half a minute after the last lock is
//! let go. [`Server::private`] belongs to one test, which may kill it, stop it and start it again; it dies with the test
//! process, SIGKILL included, because its supervisor reads a pipe that ends with the owner.
//!
//! As root the servers run as an unprivileged user (PostgreSQL insists on it).

pub mod bouncer;
pub mod catalog;
pub mod disk;
pub mod install;
mod launch;
mod process;
mod shared;

use anyhow::Context;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock};

pub use bouncer::PgBouncer;

/// The user of every server started here.
pub const PASSWORD: &str = "testkit-secret";

/// The kinds of server that the tests run on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// PostgreSQL as Debian stable has it (15).
    Postgres,
    /// A newer major of PostgreSQL.
    PostgresNewer,
    /// MariaDB as Debian stable has it (10.11).
    Mariadb,
    /// Oracle MySQL.
    Mysql,
}

impl Kind {
    /// All of them.
    pub const ALL: [Kind; 4] = [
        Kind::Postgres,
        Kind::PostgresNewer,
        Kind::Mariadb,
        Kind::Mysql,
    ];

    /// The name in paths, messages and test names.
    pub const fn name(self) -> &'static str {
        match self {
            Kind::Postgres => "postgres",
            Kind::PostgresNewer => "postgres_newer",
            Kind::Mariadb => "mariadb",
            Kind::Mysql => "mysql",
        }
    }

    /// The environment variables, first one wins, by which a person hands over a server of their own.
    pub const fn variables(self) -> &'static [&'static str] {
        match self {
            Kind::Postgres => &["DUNLIN_TEST_POSTGRES_URL"],
            Kind::PostgresNewer => &["DUNLIN_TEST_POSTGRES_NEWER_URL", "DUNLIN_TEST_POSTGRES_URL"],
            Kind::Mariadb => &["DUNLIN_TEST_MARIADB_URL"],
            Kind::Mysql => &["DUNLIN_TEST_MYSQL_URL"],
        }
    }

    /// The URL that a person handed over, if any.
    pub fn handed_over(self) -> Option<String> {
        self.variables()
            .iter()
            .find_map(|name| std::env::var(name).ok().filter(|url| !url.is_empty()))
    }

    /// Whether this is one of the PostgreSQL kinds.
    pub const fn is_postgres(self) -> bool {
        matches!(self, Kind::Postgres | Kind::PostgresNewer)
    }

    const fn scheme(self) -> &'static str {
        match self {
            Kind::Postgres | Kind::PostgresNewer => "postgres",
            Kind::Mariadb => "mariadb",
            Kind::Mysql => "mysql",
        }
    }

    const fn user(self) -> &'static str {
        if self.is_postgres() {
            "postgres"
        } else {
            "root"
        }
    }

    /// The database that is always there.
    pub const fn first_database(self) -> &'static str {
        if self.is_postgres() {
            "postgres"
        } else {
            "mysql"
        }
    }
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// What a private server is started with.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// More arguments for the server program.
    pub args: Vec<String>,
    /// Files laid into the instance's folder before it starts (name, content), readable by the server alone. `{dir}` in
    /// [`Options::args`] stands for that folder.
    pub files: Vec<(String, Vec<u8>)>,
}

impl Options {
    /// The same options with one more argument.
    #[must_use]
    pub fn arg(mut self, arg: impl Into<String>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// The same options with one more file.
    #[must_use]
    pub fn file(mut self, name: impl Into<String>, content: impl Into<Vec<u8>>) -> Self {
        self.files.push((name.into(), content.into()));
        self
    }
}

/// A running server.
#[derive(Debug)]
pub struct Server {
    kind: Kind,
    address: Address,
    instance: Option<launch::Instance>,
    running: Mutex<Option<process::Supervised>>,
}

#[derive(Debug, Clone)]
enum Address {
    Local { port: u16, dir: PathBuf },
    Handed(String),
}

static SHARED: [OnceLock<Result<Server, String>>; 4] = [const { OnceLock::new() }; 4];

impl Server {
    /// The machine's server of a kind: a person's own where its variable is set, else the throwaway one.
    ///
    /// # Panics
    /// Where none can be had, with the command that installs it: a test must not skip in silence.
    #[allow(clippy::panic)]
    pub fn shared(kind: Kind) -> &'static Server {
        match Server::try_shared(kind) {
            Ok(server) => server,
            Err(error) => panic!("{error}"),
        }
    }

    /// As [`Server::shared`], with the reason instead of a panic.
    pub fn try_shared(kind: Kind) -> anyhow::Result<&'static Server> {
        let slot = &SHARED[kind as usize];
        slot.get_or_init(|| Server::find_shared(kind).map_err(|error| format!("{error:#}")))
            .as_ref()
            .map_err(|message| anyhow::Error::msg(message.clone()))
    }

    fn find_shared(kind: Kind) -> anyhow::Result<Server> {
        let address = match kind.handed_over() {
            Some(url) => Address::Handed(url),
            None => {
                let place = shared::ensure(kind)
                    .with_context(|| format!("starting the shared {kind} server"))?;
                Address::Local {
                    port: place.port,
                    dir: place.dir,
                }
            }
        };
        Ok(Server {
            kind,
            address,
            instance: None,
            running: Mutex::new(None),
        })
    }

    /// A server of one test's own. It is gone when this value or the test process is gone.
    ///
    /// # Panics
    /// Where the kind is not installed, with the command that installs it, or where the server does not start.
    #[allow(clippy::panic)]
    pub fn private(kind: Kind, options: Options) -> Server {
        match Server::try_private(kind, options) {
            Ok(server) => server,
            Err(error) => panic!("starting a private {kind} server: {error:#}"),
        }
    }

    /// As [`Server::private`], with the reason instead of a panic.
    pub fn try_private(kind: Kind, options: Options) -> anyhow::Result<Server> {
        let instance = launch::Instance::create(kind, options)?;
        let running = instance.start_private()?;
        let address = Address::Local {
            port: instance.port,
            dir: instance.dir.clone(),
        };
        Ok(Server {
            kind,
            address,
            instance: Some(instance),
            running: Mutex::new(Some(running)),
        })
    }

    /// The kind.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The URL of the database that is always there, as the server's superuser.
    pub fn url(&self) -> String {
        self.url_of(self.kind.first_database())
    }

    /// The URL of a database of this server, as the superuser.
    pub fn url_of(&self, database: &str) -> String {
        match &self.address {
            Address::Local { .. } => self.url_as(self.kind.user(), PASSWORD, database),
            Address::Handed(url) => with_database(url, database),
        }
    }

    /// The URL of a database of this server as another user. The parts go in as they are: encode what needs it.
    pub fn url_as(&self, user: &str, password: &str, database: &str) -> String {
        let scheme = self.kind.scheme();
        match &self.address {
            Address::Local { port, .. } => {
                format!("{scheme}://{user}:{password}@127.0.0.1:{port}/{database}")
            }
            Address::Handed(url) => {
                let rest = url.split_once("://").map_or(url.as_str(), |(_, rest)| rest);
                let authority = rest.split(['/', '?']).next().unwrap_or_default();
                let host = authority
                    .rsplit_once('@')
                    .map_or(authority, |(_, host)| host);
                format!("{scheme}://{user}:{password}@{host}/{database}")
            }
        }
    }

    /// The TCP port on 127.0.0.1; 0 for a server that a person handed over.
    pub fn port(&self) -> u16 {
        match &self.address {
            Address::Local { port, .. } => *port,
            Address::Handed(_) => 0,
        }
    }

    /// The folder of the instance: data, log, socket. `None` for a server that a person handed over.
    pub fn dir(&self) -> Option<&Path> {
        match &self.address {
            Address::Local { dir, .. } => Some(dir),
            Address::Handed(_) => None,
        }
    }

    /// The unix socket: for PostgreSQL its folder, for the others the file.
    pub fn socket(&self) -> Option<PathBuf> {
        self.dir().map(|dir| {
            if self.kind.is_postgres() {
                dir.to_owned()
            } else {
                dir.join("sock")
            }
        })
    }

    /// A folder with the client programs that fit this server (`psql`, `pg_dump`; `mysql`, `mysqldump`), for `PATH`.
    pub fn tools(&self) -> anyhow::Result<PathBuf> {
        Ok(catalog::find(self.kind)?.tools)
    }

    /// The server's log so far; empty for a server that a person handed over.
    pub fn log(&self) -> String {
        let read = |dir: &Path| std::fs::read(dir.join("log")).unwrap_or_default();
        self.dir()
            .map(|dir| String::from_utf8_lossy(&read(dir)).into_owned())
            .unwrap_or_default()
    }

    /// Kills the server and all its processes with SIGKILL, as a crash would. Its data stays; [`Server::start`] brings
    /// it back on the same port.
    pub fn kill9(&self) {
        self.end(process::Word::Crash);
    }

    /// Stops the server politely and waits until it is gone.
    pub fn stop(&self) {
        self.end(process::Word::Stop);
    }

    /// Starts the server again after [`Server::kill9`] or [`Server::stop`] and waits until it answers. Nothing happens
    /// where it is running.
    ///
    /// # Panics
    /// On a shared server, and where the server does not come back.
    #[allow(clippy::panic)]
    pub fn start(&self) {
        let Some(instance) = &self.instance else {
            panic!("a shared server is nobody's to start")
        };
        let mut running = self
            .running
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        if running.is_none() {
            match instance.start_private() {
                Ok(started) => *running = Some(started),
                Err(error) => panic!("starting {} again: {error:#}", self.kind),
            }
        }
    }

    /// Stops and starts.
    pub fn restart(&self) {
        self.stop();
        self.start();
    }

    #[allow(clippy::panic)]
    fn end(&self, word: process::Word) {
        assert!(
            self.instance.is_some(),
            "a shared server is nobody's to stop; ask for a private one"
        );
        let running = self
            .running
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .take();
        if let Some(running) = running
            && let Err(error) = running.end(word)
        {
            panic!("stopping {}: {error:#}", self.kind);
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let running = self
            .running
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .take();
        if let Some(running) = running {
            // The supervisor removes the folder; where it cannot there is nobody to tell.
            let _ = running.end(process::Word::Gone);
        } else if let Some(instance) = &self.instance {
            let _ = std::fs::remove_dir_all(&instance.dir);
        }
    }
}

/// A URL with its database replaced.
fn with_database(url: &str, database: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    let (before, query) = rest
        .split_once('?')
        .map_or((rest, None), |(before, query)| (before, Some(query)));
    let authority = before.split('/').next().unwrap_or_default();
    let query = query.map(|query| format!("?{query}")).unwrap_or_default();
    format!("{scheme}://{authority}/{database}{query}")
}

#[cfg(test)]
mod tests {
    use super::with_database;

    #[test]
    fn a_handed_over_url_keeps_everything_but_its_database() {
        assert_eq!(
            with_database("mysql://u:p@h:1/old?x=1", "new"),
            "mysql://u:p@h:1/new?x=1"
        );
        assert_eq!(with_database("postgres://u@h", "new"), "postgres://u@h/new");
        assert_eq!(
            with_database("postgres://u@h/?a=b", "new"),
            "postgres://u@h/new?a=b"
        );
    }
}
