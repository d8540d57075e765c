//! Opening sessions. All that a session pins travels in the startup packet: opening costs no round trip of its own.

use super::address::{self, Address, Host};
use super::cancel::Route;
use super::session::{PostgresSession, Start, db_error};
use super::wire::Wire;
use crate::{DbError, Engine, Purpose, Session, Settings};
use async_trait::async_trait;
use dunlin_core::dialect::Dialect;
use dunlin_core::dialect::postgres::Postgres;
use dunlin_core::failure::ErrorClass;
use dunlin_core::redact::SecretUrl;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio_postgres::config::SslMode;
use tokio_postgres::{Config, NoTls};

/// What we call ourselves.
const APPLICATION: &str = "dunlin";

/// The address of a PostgreSQL database.
#[derive(Debug, Clone)]
pub struct PostgresEngine {
    url: SecretUrl,
    address: Address,
    settings: Settings,
}

impl PostgresEngine {
    /// Reads the URL; connects to nothing.
    pub fn new(url: &SecretUrl, settings: Settings) -> Result<Self, DbError> {
        Ok(PostgresEngine {
            url: url.clone(),
            address: address::parse(url)?,
            settings,
        })
    }

    fn config(&self, purpose: Purpose) -> Config {
        let mut config = Config::new();
        config
            .user(&self.address.user)
            .dbname(&self.address.database)
            .options(self.options(purpose))
            .ssl_mode(SslMode::Disable);
        if let Some(password) = &self.address.password {
            config.password(password);
        }
        config
    }

    fn application(&self) -> &str {
        self.address
            .application_name
            .as_deref()
            .unwrap_or(APPLICATION)
    }

    /// The startup options: the URL's own, then our pins. `application_name` is among them and not a parameter of its
    /// own, because the server reports it: a pooler that drops the options is found out by that.
    fn options(&self, purpose: Purpose) -> String {
        let mut pins: Vec<(&str, String)> = vec![("application_name", self.application().into())];
        let ms = |bound: Duration| format!("{}ms", bound.as_millis());
        if purpose == Purpose::Script && !self.settings.lock_timeout.is_zero() {
            pins.push(("lock_timeout", ms(self.settings.lock_timeout)));
        }
        if purpose == Purpose::Script && !self.settings.statement_timeout.is_zero() {
            pins.push(("statement_timeout", ms(self.settings.statement_timeout)));
        }
        if purpose != Purpose::Script {
            for (name, value) in [
                ("TimeZone", "UTC"),
                ("DateStyle", "ISO,MDY"),
                ("IntervalStyle", "postgres"),
                ("extra_float_digits", "3"),
                ("bytea_output", "hex"),
                ("standard_conforming_strings", "on"),
                ("search_path", "public,pg_temp"),
                ("row_security", "off"),
                // A role's own bounds are for its application, not for a digest that takes an hour.
                ("statement_timeout", "0"),
                ("idle_in_transaction_session_timeout", "0"),
            ] {
                pins.push((name, value.into()));
            }
        }
        if purpose == Purpose::Read {
            pins.push(("default_transaction_read_only", "on".into()));
        }
        let mut options = self.address.options.clone().unwrap_or_default();
        for (name, value) in pins {
            let value = value.replace('\\', "\\\\").replace(' ', "\\ ");
            if !options.is_empty() {
                options.push(' ');
            }
            options.push_str(&format!("-c {name}={value}"));
        }
        options
    }

    async fn connect(&self, host: &Host, purpose: Purpose) -> Result<PostgresSession, DbError> {
        let patience = self.address.connect_timeout;
        let wire = Wire::open(host, patience).await?;
        let config = self.config(purpose);
        let opening = config.connect_raw(wire, NoTls);
        let (client, connection) = tokio::time::timeout(patience, opening)
            .await
            .map_err(|_| {
                DbError::new(
                    ErrorClass::Unreachable,
                    format!(
                        "{} took the connection and did not answer within {patience:?}",
                        super::wire::place(host)
                    ),
                )
            })?
            .map_err(|error| opening_error(&error))?;
        let parameter = |name: &str| connection.parameter(name).unwrap_or_default().to_owned();
        let start = Start {
            version: parameter("server_version"),
            plain_backslashes: parameter("standard_conforming_strings") == "off",
            route: Route {
                host: host.clone(),
                patience,
                tls: None,
            },
            end: Arc::new(OnceLock::new()),
        };
        let end = Arc::clone(&start.end);
        let task = tokio::spawn(async move {
            if let Err(error) = connection.await {
                let _ = end.set(db_error(&error, "", None).message);
            }
        });
        Ok(PostgresSession::new(client, task, start))
    }
}

/// An error while opening: what would be "lost" later is "unreachable" now.
fn opening_error(error: &tokio_postgres::Error) -> DbError {
    let mut error = db_error(error, "", None);
    if error.class == ErrorClass::ConnectionLost {
        error.class = if error.code.starts_with("57P") {
            ErrorClass::Starting
        } else {
            ErrorClass::Unreachable
        };
    }
    error
}

#[async_trait]
impl Engine for PostgresEngine {
    fn dialect(&self) -> &'static dyn Dialect {
        &Postgres
    }

    fn describe(&self) -> String {
        self.url.to_string()
    }

    fn database(&self) -> String {
        self.address.database.clone()
    }

    async fn open(&self, purpose: Purpose) -> Result<Box<dyn Session>, DbError> {
        let mut failure = None;
        for host in &self.address.hosts {
            match self.connect(host, purpose).await {
                Ok(mut session) => {
                    if purpose == Purpose::Script {
                        for statement in &self.settings.prelude {
                            session.execute(statement).await?;
                        }
                    }
                    return Ok(Box::new(session));
                }
                Err(error) => failure = Some(error),
            }
        }
        Err(failure
            .unwrap_or_else(|| DbError::new(ErrorClass::Unreachable, "the URL names no host")))
    }

    async fn create_database(&self) -> Result<(), DbError> {
        let sql = format!("CREATE DATABASE {}", Postgres.quote(&self.address.database));
        match self.maintain(&sql).await {
            Err(error) if error.class == ErrorClass::ObjectExists => Ok(()),
            // Two at once: the loser trips over the catalog's own unique index.
            Err(error) if error.code == "23505" => Ok(()),
            outcome => outcome,
        }
    }

    async fn drop_database(&self) -> Result<(), DbError> {
        let sql = format!(
            "DROP DATABASE IF EXISTS {}",
            Postgres.quote(&self.address.database)
        );
        self.maintain(&sql).await
    }

    fn sibling(&self, database: &str) -> Result<Box<dyn Engine>, DbError> {
        Ok(Box::new(self.at(database)))
    }

    fn file(&self) -> Option<&std::path::Path> {
        None
    }

    fn secrets(&self) -> Vec<String> {
        let mut secrets = self.url.secrets();
        secrets.extend(self.address.password.clone());
        secrets
    }
}

impl PostgresEngine {
    fn at(&self, database: &str) -> PostgresEngine {
        let mut other = self.clone();
        other.address.database = database.to_owned();
        other
    }

    /// Runs one statement in a database that every server has.
    async fn maintain(&self, sql: &str) -> Result<(), DbError> {
        let mut outcome = Ok(());
        for database in ["postgres", "template1"] {
            match self.at(database).open(Purpose::Tool).await {
                Ok(mut session) => {
                    let done = session.execute(sql).await.map(|_| ());
                    session.close().await;
                    return done;
                }
                Err(error) if error.class == ErrorClass::DatabaseMissing => outcome = Err(error),
                Err(error) => return Err(error),
            }
        }
        outcome
    }
}
