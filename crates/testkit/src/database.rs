//! A database of a test's own, and a plain look into it through the bare drivers: the oracle that owes nothing to the
//! code under test.

use crate::servers::{Kind, Server};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

/// A row as texts; `None` is NULL.
pub type TextRow = Vec<Option<String>>;

/// What the oracle answers: the rows of the last query, or the server's sentence.
pub type Answer = Result<Vec<TextRow>, String>;

/// A fresh database with a generated name, dropped with this value.
#[derive(Debug)]
pub struct TestDatabase {
    name: String,
    url: String,
    home: Home,
}

#[derive(Debug)]
enum Home {
    File {
        path: PathBuf,
        _dir: tempfile::TempDir,
    },
    Server {
        kind: Kind,
        admin: String,
    },
}

impl TestDatabase {
    /// A SQLite file in a folder of its own. The file is made by whoever opens it first.
    ///
    /// # Panics
    /// Where no temporary folder can be made.
    pub fn sqlite() -> TestDatabase {
        let dir = tempfile::Builder::new()
            .prefix("dunlin-")
            .tempdir()
            .expect("a temporary folder can be made");
        let path = dir.path().join("app.db");
        TestDatabase {
            name: "app".into(),
            url: format!("sqlite:{}", path.display()),
            home: Home::File { path, _dir: dir },
        }
    }

    /// A new database on a server.
    ///
    /// # Panics
    /// Where the server does not make one.
    pub fn on(server: &Server) -> TestDatabase {
        let name = fresh_name();
        let (kind, admin) = (server.kind(), server.url());
        ask(&admin, kind, &format!("CREATE DATABASE {name}"))
            .expect("the superuser may make a database");
        TestDatabase {
            url: server.url_of(&name),
            name,
            home: Home::Server { kind, admin },
        }
    }

    /// Its name, as the server knows it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its URL.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The file, for SQLite.
    pub fn file(&self) -> Option<&std::path::Path> {
        match &self.home {
            Home::File { path, .. } => Some(path),
            Home::Server { .. } => None,
        }
    }

    /// Runs statements (several, separated by semicolons) on a new connection; gives the rows of the last that had some.
    pub fn try_run(&self, sql: &str) -> Answer {
        match &self.home {
            Home::File { path, .. } => ask_sqlite(path, sql),
            Home::Server { kind, .. } => ask(&self.url, *kind, sql),
        }
    }

    /// As [`TestDatabase::try_run`].
    ///
    /// # Panics
    /// Where the server refuses, with its sentence.
    #[allow(clippy::panic)]
    pub fn run(&self, sql: &str) -> Vec<TextRow> {
        self.try_run(sql)
            .unwrap_or_else(|error| panic!("{error}\nin: {sql}"))
    }

    /// The first cell of the first row as text; NULL and no row are the empty text.
    ///
    /// # Panics
    /// Where the server refuses.
    pub fn scalar(&self, sql: &str) -> String {
        self.run(sql)
            .into_iter()
            .next()
            .and_then(|row| row.into_iter().next())
            .flatten()
            .unwrap_or_default()
    }

    /// Whether a table of this name is there.
    ///
    /// # Panics
    /// Where the catalog cannot be read.
    pub fn has_table(&self, table: &str) -> bool {
        let sql = match &self.home {
            Home::File { .. } => format!(
                "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = '{table}'"
            ),
            Home::Server { kind, .. } => {
                let schema = if kind.is_postgres() {
                    "current_schema()"
                } else {
                    "database()"
                };
                let tables = "SELECT count(*) FROM information_schema.tables";
                format!("{tables} WHERE table_schema = {schema} AND table_name = '{table}'")
            }
        };
        self.scalar(&sql) != "0"
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        if let Home::Server { kind, admin } = &self.home {
            let force = if kind.is_postgres() {
                " WITH (FORCE)"
            } else {
                ""
            };
            // A killed private server cannot be asked any more, and takes the database with it.
            let _ = ask(
                admin,
                *kind,
                &format!("DROP DATABASE IF EXISTS {}{force}", self.name),
            );
        }
    }
}

/// A name that no other process uses: servers are shared. Lower case, no quoting needed anywhere.
pub fn fresh_name() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let nanos = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default()
        .as_nanos();
    format!(
        "t{:x}_{:x}_{}",
        nanos & 0xFFFF_FFFF_FFFF,
        std::process::id(),
        COUNT.fetch_add(1, Ordering::Relaxed)
    )
}

/// Who is there and what they do; MySQL's view of that name fails (3854) while any session's statement holds a letter beyond
/// U+FFFF, its other one does not.
const SESSIONS: &str = "information_schema.processlist";
const SESSIONS_OF_MYSQL: &str = "performance_schema.processlist";

/// Runs statements as the user of a URL, whatever thread or runtime this is called from.
pub fn ask(url: &str, kind: Kind, sql: &str) -> Answer {
    let work = || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| error.to_string())?;
        runtime.block_on(async {
            match kind {
                Kind::Mysql => ask_mysql(url, &sql.replace(SESSIONS, SESSIONS_OF_MYSQL)).await,
                Kind::Mariadb => ask_mysql(url, sql).await,
                _ => ask_postgres(url, sql).await,
            }
        })
    };
    // A thread of its own: inside a runtime one may not block on another.
    std::thread::scope(|scope| scope.spawn(work).join())
        .unwrap_or_else(|_| Err("the driver panicked".to_owned()))
}

async fn ask_postgres(url: &str, sql: &str) -> Answer {
    let said = |error: tokio_postgres::Error| match error.as_db_error() {
        Some(server) => format!("{} {}", server.code().code(), server.message()),
        None => error.to_string(),
    };
    let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls)
        .await
        .map_err(said)?;
    let driving = tokio::spawn(connection);
    let messages = client.simple_query(sql).await.map_err(said)?;
    let mut rows = Vec::new();
    for message in messages {
        match message {
            tokio_postgres::SimpleQueryMessage::RowDescription(_) => rows.clear(),
            tokio_postgres::SimpleQueryMessage::Row(row) => {
                rows.push(
                    (0..row.len())
                        .map(|index| row.get(index).map(str::to_owned))
                        .collect(),
                );
            }
            _ => {}
        }
    }
    drop(client);
    let _ = driving.await;
    Ok(rows)
}

async fn ask_mysql(url: &str, sql: &str) -> Answer {
    use mysql_async::prelude::Queryable;
    let said = |error: mysql_async::Error| error.to_string();
    // The driver knows one scheme only.
    let url = url.replacen("mariadb://", "mysql://", 1);
    let opts = mysql_async::Opts::from_url(&url).map_err(|error| error.to_string())?;
    let mut conn = mysql_async::Conn::new(opts).await.map_err(said)?;
    let mut result = conn.query_iter(sql).await.map_err(said)?;
    let mut rows = Vec::new();
    // One round for each statement; those without a result set have no columns.
    loop {
        let has_rows = !result.columns_ref().is_empty();
        let set: Vec<mysql_async::Row> = result.collect().await.map_err(said)?;
        if has_rows {
            rows = set.into_iter().map(text_of_row).collect();
        }
        if result.is_empty() {
            break;
        }
    }
    drop(result);
    conn.disconnect().await.map_err(said)?;
    Ok(rows)
}

fn text_of_row(row: mysql_async::Row) -> TextRow {
    let text = |value| match value {
        mysql_async::Value::NULL => None,
        mysql_async::Value::Bytes(bytes) => Some(String::from_utf8_lossy(&bytes).into_owned()),
        other => Some(other.as_sql(true)),
    };
    row.unwrap().into_iter().map(text).collect()
}

fn ask_sqlite(path: &std::path::Path, sql: &str) -> Answer {
    use rusqlite::fallible_iterator::FallibleIterator;
    let said = |error: rusqlite::Error| error.to_string();
    let connection = rusqlite::Connection::open(path).map_err(said)?;
    connection
        .busy_timeout(std::time::Duration::from_secs(10))
        .map_err(said)?;
    let mut rows = Vec::new();
    let mut batch = rusqlite::Batch::new(&connection, sql);
    while let Some(mut statement) = batch.next().map_err(said)? {
        let width = statement.column_count();
        let mut found = statement.query([]).map_err(said)?;
        let mut set = Vec::new();
        while let Some(row) = found.next().map_err(said)? {
            set.push(
                (0..width)
                    .map(|index| row.get_ref(index).ok().and_then(text_of_cell))
                    .collect(),
            );
        }
        if width > 0 {
            rows = set;
        }
    }
    Ok(rows)
}

fn text_of_cell(cell: rusqlite::types::ValueRef<'_>) -> Option<String> {
    use rusqlite::types::ValueRef;
    match cell {
        ValueRef::Null => None,
        ValueRef::Integer(number) => Some(number.to_string()),
        ValueRef::Real(number) => Some(number.to_string()),
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => {
            Some(String::from_utf8_lossy(bytes).into_owned())
        }
    }
}
