//! Addresses of SQLite files, and opening them.

use super::session::SqliteSession;
use crate::{DbError, Engine, Purpose, Session, Settings};
use async_trait::async_trait;
use dunlin_core::dialect::Dialect;
use dunlin_core::failure::ErrorClass;
use dunlin_core::redact::SecretUrl;
use rusqlite::{Connection, OpenFlags};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long a session waits for SQLite's own file lock where no bound is configured: longer than any write
/// transaction of an application should last, short enough that a person sees what is going on.
const BUSY_DEFAULT: Duration = Duration::from_secs(5);

/// The address of one SQLite file (or of a database in memory, which lives as long as its session).
#[derive(Debug, Clone)]
pub struct SqliteEngine {
    path: Option<PathBuf>,
    shown: String,
    settings: Settings,
    read_only: bool,
}

impl SqliteEngine {
    /// The database in a file, whose path is taken as it is.
    pub fn of_file(path: &Path, settings: Settings) -> Self {
        SqliteEngine {
            path: Some(path.to_owned()),
            shown: format!("sqlite:{}", path.display()),
            settings,
            read_only: false,
        }
    }

    /// Reads `sqlite:path`, `sqlite://path`, `sqlite::memory:`, with `?mode=ro|rw|rwc`. Opens nothing.
    pub fn new(url: &SecretUrl, mut settings: Settings) -> Result<Self, DbError> {
        let text = url.expose();
        let rest = text.split_once(':').map_or("", |(_, rest)| rest);
        let (path, query) = match rest.rsplit_once('?') {
            Some((path, query)) if query.contains('=') => (path, query),
            _ => (rest, ""),
        };
        let path = path.strip_prefix("//").unwrap_or(path);
        let mut read_only = false;
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            match pair {
                "mode=ro" => read_only = true,
                "mode=rw" => {}
                "mode=rwc" => settings.create = true,
                "mode=memory" => return Ok(Self::memory(settings)),
                other => {
                    let message = format!(
                        "the URL's `{other}` is not known; SQLite URLs take `mode=ro|rw|rwc`"
                    );
                    return Err(DbError::new(ErrorClass::Unreachable, message));
                }
            }
        }
        if path.is_empty() {
            return Err(DbError::new(
                ErrorClass::Unreachable,
                "the SQLite URL names no file: write `sqlite:path/to.db`",
            ));
        }
        if path == ":memory:" {
            return Ok(Self::memory(settings));
        }
        let decoded = decode(path);
        let path = match &settings.base_dir {
            Some(base) => base.join(&decoded),
            None => PathBuf::from(&decoded),
        };
        Ok(SqliteEngine {
            path: Some(path),
            shown: format!("sqlite:{decoded}"),
            settings,
            read_only,
        })
    }

    fn memory(settings: Settings) -> Self {
        SqliteEngine {
            path: None,
            shown: "sqlite::memory:".into(),
            settings,
            read_only: false,
        }
    }

    fn flags(&self, purpose: Purpose) -> OpenFlags {
        let base = OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_EXRESCODE;
        let create = self.settings.create || self.path.is_none();
        base | match (purpose == Purpose::Read || self.read_only, create) {
            (true, _) if self.path.is_some() => OpenFlags::SQLITE_OPEN_READ_ONLY,
            (_, true) => OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE,
            _ => OpenFlags::SQLITE_OPEN_READ_WRITE,
        }
    }

    /// Opens the file on the calling thread.
    fn connect(&self, purpose: Purpose) -> Result<Connection, DbError> {
        let path = self
            .path
            .clone()
            .unwrap_or_else(|| PathBuf::from(":memory:"));
        if self.path.is_some()
            && !path.exists()
            && (!self.settings.create || purpose == Purpose::Read)
        {
            let mut error = DbError::new(
                ErrorClass::DatabaseMissing,
                format!("there is no file `{}`", path.display()),
            );
            error.hint = Some("`dunlin up --create` makes it".into());
            return Err(error);
        }
        self.no_folder(&path)?;
        let wrap = |error: rusqlite::Error| super::session::db_error(&error);
        let connection = Connection::open_with_flags(&path, self.flags(purpose)).map_err(wrap)?;
        let bound = match (self.settings.lock_timeout, purpose) {
            (Duration::ZERO, _) => BUSY_DEFAULT,
            // Who waits to read keeps nobody waiting; and between two writes of a busy application there is little time.
            (bound, Purpose::Read) => bound.max(BUSY_DEFAULT),
            (bound, _) => bound,
        };
        connection.busy_timeout(bound).map_err(wrap)?;
        // Opening is lazy: reading the header tells a file that is no database, or encrypted, at once.
        let header = connection
            .query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))
            .map_err(wrap);
        if let Err(error) = &header
            && purpose == Purpose::Read
            && NEEDS_RECOVERY.contains(&error.code.as_str())
        {
            drop(connection);
            return self.recovered(&path);
        }
        // Whose file is locked has a database: who asks it something will hear of that, and may wait.
        match header {
            Err(error) if error.class == ErrorClass::Busy => {}
            header => header?,
        }
        if purpose == Purpose::Read {
            connection
                .execute_batch("PRAGMA query_only = ON")
                .map_err(wrap)?;
        }
        if purpose == Purpose::Script {
            for statement in &self.settings.prelude {
                connection.execute_batch(statement).map_err(wrap)?;
            }
        }
        Ok(connection)
    }
}

/// SQLITE_READONLY_RECOVERY and SQLITE_READONLY_ROLLBACK: a writer died, and what it left must be taken back before
/// anything can be read, which takes a connection that may write.
const NEEDS_RECOVERY: [&str; 2] = ["264", "776"];

impl SqliteEngine {
    /// Opens for reading what a writer that died has left: a connection that may write lets the library take it back.
    fn recovered(&self, path: &Path) -> Result<Connection, DbError> {
        let mut engine = self.clone();
        engine.settings.create = false;
        let _ = engine.connect(Purpose::Tool)?;
        let wrap = |error: rusqlite::Error| super::session::db_error(&error);
        let connection =
            Connection::open_with_flags(path, self.flags(Purpose::Read)).map_err(wrap)?;
        connection.busy_timeout(BUSY_DEFAULT).map_err(wrap)?;
        connection
            .execute_batch("SELECT count(*) FROM sqlite_schema; PRAGMA query_only = ON")
            .map_err(wrap)?;
        Ok(connection)
    }

    /// Says plainly what the library would call a disk error: the path is a folder, or leads through one that is not
    /// there.
    fn no_folder(&self, path: &Path) -> Result<(), DbError> {
        let trouble = |class, message: String, hint: &str| {
            let mut error = DbError::new(class, message);
            error.hint = Some(hint.into());
            Err(error)
        };
        if path.is_dir() {
            let message = format!("`{}` is a folder, not a database file", path.display());
            return trouble(
                ErrorClass::NotADatabase,
                message,
                "name the file in it: `sqlite:folder/app.db`",
            );
        }
        match path.parent() {
            Some(folder)
                if self.path.is_some() && !folder.as_os_str().is_empty() && !folder.is_dir() =>
            {
                let message = format!("there is no folder `{}`", folder.display());
                trouble(
                    ErrorClass::DatabaseMissing,
                    message,
                    "make the folder first; `--create` makes the file alone",
                )
            }
            _ => Ok(()),
        }
    }
}

fn decode(path: &str) -> String {
    let bytes = path.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let hex = (bytes[at] == b'%')
            .then(|| path.get(at + 1..at + 3))
            .flatten();
        if let Some(byte) = hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            out.push(byte);
            at += 3;
        } else {
            out.push(bytes[at]);
            at += 1;
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[async_trait]
impl Engine for SqliteEngine {
    fn dialect(&self) -> &'static dyn Dialect {
        &dunlin_core::dialect::sqlite::Sqlite
    }
    fn describe(&self) -> String {
        self.shown.clone()
    }
    fn database(&self) -> String {
        let stem = self
            .path
            .as_ref()
            .and_then(|path| path.file_stem())
            .map(|stem| stem.to_string_lossy().into_owned());
        stem.unwrap_or_else(|| "memory".into())
    }
    async fn open(&self, purpose: Purpose) -> Result<Box<dyn Session>, DbError> {
        let engine = self.clone();
        let session = SqliteSession::start(move || engine.connect(purpose)).await?;
        Ok(Box::new(session))
    }
    async fn create_database(&self) -> Result<(), DbError> {
        let mut engine = self.clone();
        engine.settings.create = true;
        engine.open(Purpose::Tool).await?.close().await;
        Ok(())
    }
    async fn create_scratch(&self) -> Result<(), DbError> {
        if let Some(path) = &self.path {
            std::fs::File::create_new(path).map_err(|error| {
                let class = match error.kind() {
                    std::io::ErrorKind::AlreadyExists => ErrorClass::ObjectExists,
                    std::io::ErrorKind::PermissionDenied => ErrorClass::PermissionDenied,
                    std::io::ErrorKind::StorageFull => ErrorClass::DiskFull,
                    _ => ErrorClass::Other,
                };
                DbError::new(class, format!("{}: {error}", path.display()))
            })?;
        }
        self.create_database().await
    }
    async fn siblings(&self) -> Result<Vec<String>, DbError> {
        let folder = self.path.as_deref().and_then(Path::parent);
        let entries = folder.and_then(|folder| std::fs::read_dir(folder).ok());
        Ok(entries
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|entry| entry.file_name().into_string().ok())
            .filter_map(|name| name.strip_suffix(".db").map(str::to_owned))
            .collect())
    }
    async fn drop_database(&self) -> Result<(), DbError> {
        let Some(path) = &self.path else {
            return Ok(());
        };
        for suffix in ["", "-journal", "-wal", "-shm", crate::lease::LOCK_SUFFIX] {
            let mut name = path.clone().into_os_string();
            name.push(suffix);
            match std::fs::remove_file(&name) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(DbError::new(
                        ErrorClass::Other,
                        format!("{}: {error}", Path::new(&name).display()),
                    ));
                }
                _ => {}
            }
        }
        Ok(())
    }
    fn sibling(&self, database: &str) -> Result<Box<dyn Engine>, DbError> {
        let Some(path) = &self.path else {
            return Ok(Box::new(Self::memory(self.settings.clone())));
        };
        let path = path.with_file_name(format!("{database}.db"));
        let shown = format!("sqlite:{}", path.display());
        Ok(Box::new(SqliteEngine {
            path: Some(path),
            shown,
            settings: self.settings.clone(),
            read_only: false,
        }))
    }
    fn before_creation(&self) -> Result<Box<dyn Engine>, DbError> {
        Ok(Box::new(Self::memory(self.settings.clone())))
    }
    async fn dump(
        &self,
        _snapshot: Option<&str>,
        _only: &[String],
        to: &Path,
    ) -> Result<crate::dump::Dumped, DbError> {
        let (engine, to) = (self.clone(), to.to_path_buf());
        let target = to.clone();
        let work = move || -> Result<(), DbError> {
            let wrap = |error: rusqlite::Error| super::session::db_error(&error);
            let from = engine.connect(Purpose::Read)?;
            let mut copy = super::dump::open(&target).map_err(wrap)?;
            super::dump::copy(&from, &mut copy).map_err(|error| super::dump::no_room(wrap(error)))
        };
        tokio::task::spawn_blocking(work)
            .await
            .map_err(|error| DbError::new(ErrorClass::Other, error.to_string()))??;
        let shown = format!("sqlite:{}", to.display());
        let copy = SqliteEngine {
            path: Some(to),
            shown,
            settings: Settings::default(),
            read_only: false,
        };
        Ok(crate::dump::Dumped::Copy(Box::new(copy)))
    }
    async fn load(&self, from: &Path, _over: bool) -> Result<(), DbError> {
        let (mut engine, from) = (self.clone(), from.to_path_buf());
        engine.settings.create = true;
        let work = move || -> Result<(), DbError> {
            let wrap = |error: rusqlite::Error| super::session::db_error(&error);
            let source = super::dump::open(&from).map_err(wrap)?;
            let mut here = engine.connect(Purpose::Tool)?;
            super::dump::copy(&source, &mut here).map_err(wrap)
        };
        tokio::task::spawn_blocking(work)
            .await
            .map_err(|error| DbError::new(ErrorClass::Other, error.to_string()))?
    }
    fn file(&self) -> Option<&Path> {
        self.path.as_deref()
    }
    fn secrets(&self) -> Vec<String> {
        vec![]
    }
}
