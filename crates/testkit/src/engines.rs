//! One test, every engine.

use crate::database::TestDatabase;
use crate::servers::{Kind, Server};

/// What a test runs on: SQLite as it is bundled, or one of the servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TestEngine {
    /// A file.
    Sqlite,
    /// The machine's shared server of a kind.
    Server(Kind),
}

impl TestEngine {
    /// The name, as in the names of tests.
    pub const fn name(self) -> &'static str {
        match self {
            TestEngine::Sqlite => "sqlite",
            TestEngine::Server(kind) => kind.name(),
        }
    }

    /// A fresh database.
    ///
    /// # Panics
    /// Where the server cannot be had, with the command that installs it.
    pub fn database(self) -> TestDatabase {
        match self {
            TestEngine::Sqlite => TestDatabase::sqlite(),
            TestEngine::Server(kind) => TestDatabase::on(Server::shared(kind)),
        }
    }

    /// The kind of server, if it is one.
    pub const fn kind(self) -> Option<Kind> {
        match self {
            TestEngine::Sqlite => None,
            TestEngine::Server(kind) => Some(kind),
        }
    }

    /// Whether this is one of the PostgreSQL servers.
    pub const fn is_postgres(self) -> bool {
        matches!(self, TestEngine::Server(kind) if kind.is_postgres())
    }

    /// Whether this is MySQL or MariaDB.
    pub const fn is_mysql_family(self) -> bool {
        matches!(self, TestEngine::Server(Kind::Mysql | Kind::Mariadb))
    }

    /// The one of these three texts that this engine's SQL is.
    pub fn pick<'a>(self, sqlite: &'a str, postgres: &'a str, mysql_family: &'a str) -> &'a str {
        match self {
            TestEngine::Sqlite => sqlite,
            TestEngine::Server(kind) if kind.is_postgres() => postgres,
            TestEngine::Server(_) => mysql_family,
        }
    }
}

impl std::fmt::Display for TestEngine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// Everything the tests run on.
pub fn engines() -> Vec<TestEngine> {
    std::iter::once(TestEngine::Sqlite)
        .chain(Kind::ALL.map(TestEngine::Server))
        .collect()
}

/// One `#[tokio::test]` per engine: `name::sqlite`, `name::postgres`, `name::postgres_newer`, `name::mariadb`,
/// `name::mysql`. A body may return a `Result`.
///
/// ```text
/// for_each_engine! {
///     /// What it shows.
///     async fn a_table_is_made(engine: TestEngine) {
///         let database = engine.database();
///     }
/// }
/// ```
///
/// `only servers` before the function leaves SQLite out.
#[macro_export]
macro_rules! for_each_engine {
    (only servers $($(#[$meta:meta])* async fn $name:ident($engine:ident: TestEngine) $(-> $result:ty)? $body:block)+) => {
        $($(#[$meta])* mod $name {
            #[allow(unused_imports)]
            use super::*;
            async fn body($engine: $crate::TestEngine) $(-> $result)? $body
            $crate::for_each_engine!(@servers $($result)?);
        })+
    };
    ($($(#[$meta:meta])* async fn $name:ident($engine:ident: TestEngine) $(-> $result:ty)? $body:block)+) => {
        $($(#[$meta])* mod $name {
            #[allow(unused_imports)]
            use super::*;
            async fn body($engine: $crate::TestEngine) $(-> $result)? $body
            $crate::for_each_engine!(@one sqlite, $crate::TestEngine::Sqlite, $($result)?);
            $crate::for_each_engine!(@servers $($result)?);
        })+
    };
    (@servers $($result:ty)?) => {
        $crate::for_each_engine!(@one postgres, $crate::TestEngine::Server($crate::servers::Kind::Postgres), $($result)?);
        $crate::for_each_engine!(@one postgres_newer, $crate::TestEngine::Server($crate::servers::Kind::PostgresNewer), $($result)?);
        $crate::for_each_engine!(@one mariadb, $crate::TestEngine::Server($crate::servers::Kind::Mariadb), $($result)?);
        $crate::for_each_engine!(@one mysql, $crate::TestEngine::Server($crate::servers::Kind::Mysql), $($result)?);
    };
    (@one $test:ident, $engine:expr, $($result:ty)?) => {
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $test() $(-> $result)? {
            body($engine).await
        }
    };
}
