//! Opening sessions. All that a session pins travels in the startup packet: opening costs no round trip of its own.

use super::address::{self, Address, Host, Role, escaped};
use super::cancel::Route;
use super::session::{PostgresSession, Start, db_error};
use super::wire::{Wire, place};
use crate::address::{bad, in_process};
use crate::tls::{self, Mode};
use crate::{DbError, Engine, Purpose, Session, Settings};
use async_trait::async_trait;
use dunlin_core::dialect::Dialect;
use dunlin_core::dialect::postgres::Postgres;
use dunlin_core::failure::ErrorClass;
use dunlin_core::redact::SecretUrl;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio_postgres::config::{ChannelBinding, SslMode, SslNegotiation};
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::{Client, Config, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;

/// What we call ourselves.
const APPLICATION: &str = "dunlin";

/// The first version that ends idle sessions outside of transactions, where it is told to.
const IDLE_BOUND_SINCE: (u32, u32, u32) = (14, 0, 0);

/// The address of a PostgreSQL database.
#[derive(Clone)]
pub struct PostgresEngine {
    url: SecretUrl,
    shown: String,
    address: Address,
    settings: Settings,
    /// Made at the first use: reading the CAs takes milliseconds.
    connector: Arc<OnceLock<MakeRustlsConnect>>,
}

impl std::fmt::Debug for PostgresEngine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PostgresEngine")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

/// One way to try: with this password, with or without TLS, with or without the startup options.
#[derive(Clone, Copy)]
struct Attempt<'a> {
    host: &'a Host,
    password: Option<&'a str>,
    tls: Option<SslMode>,
    pinned: bool,
}

/// A connection that stands, before it becomes a session.
struct Opened {
    client: Client,
    task: tokio::task::JoinHandle<()>,
    start: Start,
    application: String,
    standby: Option<bool>,
}

impl PostgresEngine {
    /// Reads the URL; connects to nothing.
    pub fn new(url: &SecretUrl, settings: Settings) -> Result<Self, DbError> {
        if settings
            .prelude
            .iter()
            .any(|statement| statement.trim().is_empty())
        {
            return Err(bad(url, "a statement of `prelude` is empty"));
        }
        let address = in_process(settings.base_dir.as_deref(), |around| {
            address::parse(url, around)
        })?;
        Ok(PostgresEngine {
            url: url.clone(),
            shown: url.to_string(),
            address,
            settings,
            connector: Arc::default(),
        })
    }

    fn application(&self) -> &str {
        // The server cuts longer names and spells others anew; then they could not be recognised.
        self.address
            .application_name
            .as_deref()
            .filter(|name| {
                name.len() < 63 && name.bytes().all(|byte| (b' '..=b'~').contains(&byte))
            })
            .unwrap_or(APPLICATION)
    }

    /// What a session of this purpose pins.
    fn pins(&self, purpose: Purpose) -> Vec<(&'static str, String)> {
        let ms = |bound: Duration| format!("{}ms", bound.as_millis());
        let mut pins = vec![];
        if purpose == Purpose::Script {
            if !self.settings.lock_timeout.is_zero() {
                pins.push(("lock_timeout", ms(self.settings.lock_timeout)));
            }
            if !self.settings.statement_timeout.is_zero() {
                pins.push(("statement_timeout", ms(self.settings.statement_timeout)));
            }
            return pins;
        }
        for (name, value) in [
            ("TimeZone", "UTC"),
            ("DateStyle", "ISO,MDY"),
            ("IntervalStyle", "postgres"),
            // Compiling a catalog query takes longer than running it.
            ("jit", "off"),
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
        if purpose == Purpose::Read {
            pins.push(("default_transaction_read_only", "on".into()));
        }
        pins
    }

    /// The startup options: the URL's own, then our pins. `application_name` is among them and not a parameter of its
    /// own, because the server reports it: a pooler that drops the options is found out by that.
    fn options(&self, purpose: Purpose) -> String {
        let mut options = self.address.options.clone().unwrap_or_default();
        let name = ("application_name", self.application().to_owned());
        for (name, value) in std::iter::once(name).chain(self.pins(purpose)) {
            if !options.is_empty() {
                options.push(' ');
            }
            options.push_str(&format!("-c {name}={}", escaped(&value)));
        }
        options
    }

    /// The pins for one transaction: what is left where a pooler refuses the startup's.
    fn local_pins(&self, purpose: Purpose) -> String {
        let mut sql = String::from(if purpose == Purpose::Read {
            "BEGIN READ ONLY"
        } else {
            "BEGIN"
        });
        for (name, value) in self.pins(purpose) {
            if name == "default_transaction_read_only" {
                continue;
            }
            let values: Vec<String> = value
                .split(',')
                .map(|part| Postgres.literal(part))
                .collect();
            sql.push_str(&format!("; SET LOCAL {name} = {}", values.join(", ")));
        }
        sql
    }

    fn config(&self, attempt: Attempt<'_>, purpose: Purpose) -> Config {
        let mut config = Config::new();
        config
            .user(&self.address.user)
            .dbname(&self.address.database)
            .ssl_mode(attempt.tls.unwrap_or(SslMode::Disable));
        if attempt.pinned {
            config.options(self.options(purpose));
        }
        if let Some(password) = attempt.password {
            config.password(password);
        }
        if self.address.direct_tls {
            config.ssl_negotiation(SslNegotiation::Direct);
        }
        match self.address.bind_channel {
            Some(true) => config.channel_binding(ChannelBinding::Require),
            Some(false) => config.channel_binding(ChannelBinding::Disable),
            None => config.channel_binding(ChannelBinding::Prefer),
        };
        config
    }

    fn connector(&self) -> Result<MakeRustlsConnect, DbError> {
        if let Some(made) = self.connector.get() {
            return Ok(made.clone());
        }
        let mut config = tls::client(&self.address.tls)?;
        if self.address.direct_tls {
            config.alpn_protocols = vec![b"postgresql".to_vec()];
        }
        Ok(self
            .connector
            .get_or_init(|| MakeRustlsConnect::new(config))
            .clone())
    }

    /// The ways to try one host, in order: the next one only where TLS itself was the trouble.
    fn ways(&self, host: &Host) -> Vec<Option<SslMode>> {
        if matches!(host, Host::Unix(..)) {
            return vec![None];
        }
        match self.address.tls.mode {
            Mode::Disable => vec![None],
            Mode::Allow => vec![None, Some(SslMode::Require)],
            Mode::Prefer => vec![Some(SslMode::Prefer), None],
            Mode::Require(_) => vec![Some(SslMode::Require)],
        }
    }

    async fn dial(&self, attempt: Attempt<'_>, purpose: Purpose) -> Result<Opened, DbError> {
        let (patience, host) = (self.address.connect_timeout, attempt.host);
        let wire = Wire::open(host, patience).await?;
        let config = self.config(attempt, purpose);
        let name = match host {
            Host::Tcp(name, _) => name.clone(),
            Host::Unix(..) => String::new(),
        };
        let tls = match attempt.tls {
            Some(_) => Some((self.connector()?, name)),
            None => None,
        };
        let route = Route {
            host: host.clone(),
            patience,
            tls: tls.clone(),
        };
        let opening = async {
            match tls {
                None => {
                    let (client, connection) = config.connect_raw(wire, NoTls).await?;
                    Ok(self.drive(client, connection, route, purpose == Purpose::Script))
                }
                Some((mut connector, name)) => {
                    let connect = MakeTlsConnect::<Wire>::make_tls_connect(&mut connector, &name)
                        .unwrap_or_else(|never| match never {});
                    let (client, connection) = config.connect_raw(wire, connect).await?;
                    Ok(self.drive(client, connection, route, purpose == Purpose::Script))
                }
            }
        };
        match tokio::time::timeout(patience, opening).await {
            Ok(opened) => opened.map_err(|error| self.opening_error(&error, host)),
            Err(_) => Err(DbError::new(
                ErrorClass::Unreachable,
                format!(
                    "{} took the connection and did not answer within {patience:?}",
                    place(host)
                ),
            )),
        }
    }

    /// Lets the connection run, and remembers what the server said of itself.
    fn drive<S, T>(
        &self,
        client: Client,
        connection: tokio_postgres::Connection<S, T>,
        route: Route,
        script: bool,
    ) -> Opened
    where
        S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
        T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
    {
        let parameter = |name: &str| connection.parameter(name).unwrap_or_default().to_owned();
        let start = Start {
            version: parameter("server_version"),
            plain_backslashes: parameter("standard_conforming_strings") == "off",
            route,
            end: Arc::new(OnceLock::new()),
            local_pins: None,
            script,
        };
        let application = parameter("application_name");
        let standby = connection
            .parameter("in_hot_standby")
            .map(|value| value == "on");
        let end = Arc::clone(&start.end);
        let task = tokio::spawn(async move {
            if let Err(error) = connection.await {
                let _ = end.set(db_error(&error, "", None).message);
            }
        });
        Opened {
            client,
            task,
            start,
            application,
            standby,
        }
    }

    /// Connects to one host by the first way that works.
    async fn connect(
        &self,
        host: &Host,
        password: Option<&str>,
        purpose: Purpose,
    ) -> Result<PostgresSession, DbError> {
        let mut failure = None;
        for tls in self.ways(host) {
            let attempt = Attempt {
                host,
                password,
                tls,
                pinned: true,
            };
            match self.pinned_or_not(attempt, purpose).await {
                Err(error) if error.class == ErrorClass::Tls => failure = Some(error),
                outcome => return outcome,
            }
        }
        Err(failure.unwrap_or_else(|| DbError::new(ErrorClass::Tls, "there is no way to connect")))
    }

    /// A transaction pooler refuses the startup options or drops them in silence. Sessions that can do with one
    /// transaction at a time go on without; the others are refused by name.
    async fn pinned_or_not(
        &self,
        attempt: Attempt<'_>,
        purpose: Purpose,
    ) -> Result<PostgresSession, DbError> {
        let pooled = match self.dial(attempt, purpose).await {
            Ok(opened) if opened.application == self.application() => {
                return self.fit(opened, attempt.host, purpose).await;
            }
            Ok(_) => true,
            Err(error) => {
                let refused = error.message.contains("unsupported startup parameter");
                if !refused {
                    return Err(error);
                }
                true
            }
        };
        if pooled && !matches!(purpose, Purpose::Read | Purpose::Tool) {
            let mut error = DbError::new(
                ErrorClass::Unreachable,
                "the URL leads through a transaction pooler, which gives no session of its own",
            );
            error.code = "pooler".into();
            error.hint =
                Some("give the way around it as `direct_url`, and set `pooler = true`".into());
            return Err(error);
        }
        let mut opened = self
            .dial(
                Attempt {
                    pinned: false,
                    ..attempt
                },
                purpose,
            )
            .await?;
        opened.start.local_pins = Some(self.local_pins(purpose));
        self.fit(opened, attempt.host, purpose).await
    }

    /// Makes the session, if the server is of the role that the URL asks for.
    async fn fit(
        &self,
        opened: Opened,
        host: &Host,
        purpose: Purpose,
    ) -> Result<PostgresSession, DbError> {
        let Opened {
            client,
            task,
            start,
            standby,
            ..
        } = opened;
        let mut session = PostgresSession::new(client, task, start);
        // A living holder must not be taken for an idle one: the session of the lease beats every second, and the one
        // that writes is idle while a backup is made. Not among the startup options: older servers do not know it.
        if matches!(purpose, Purpose::Lease | Purpose::Script)
            && session.caps().version >= IDLE_BOUND_SINCE
        {
            session.execute("SET idle_session_timeout = 0").await?;
        }
        if self.address.role == Role::Any {
            return Ok(session);
        }
        let standby = match standby {
            Some(known) => known,
            None => {
                let rows = session.query("SELECT pg_is_in_recovery()", &[]).await?;
                rows.first()
                    .and_then(|row| row.first())
                    .and_then(|value| value.as_bool())
                    == Some(true)
            }
        };
        if standby == (self.address.role == Role::Standby) {
            return Ok(session);
        }
        let is = if standby { "a standby" } else { "a primary" };
        Err(DbError::new(
            ErrorClass::Unreachable,
            format!(
                "{} is {is}, which `target_session_attrs` rules out",
                place(host)
            ),
        ))
    }

    /// An error while opening: what would be "lost" later is "unreachable" now.
    fn opening_error(&self, error: &tokio_postgres::Error, host: &Host) -> DbError {
        if let Some(inner) = tls::within(error) {
            let name = match host {
                Host::Tcp(name, _) => name.as_str(),
                Host::Unix(..) => "",
            };
            return tls::explain(inner, &self.address.tls, name, "sslrootcert");
        }
        let mut error = db_error(error, "", None);
        if error.message.contains("server does not support TLS") {
            error = DbError::new(
                ErrorClass::Tls,
                "the server offers no TLS, and `sslmode` asks for it",
            );
        }
        if error.class == ErrorClass::AuthFailed
            && let Some(note) = &self.address.note
        {
            let hint = error.hint.take().map(|hint| format!("{hint}; {note}"));
            error.hint = Some(hint.unwrap_or_else(|| note.clone()));
        }
        // PgBouncer speaks for the server behind it in its own code.
        let pooler = error.code == "08P01" || error.message.contains("unsupported startup");
        if error.class == ErrorClass::ConnectionLost && !pooler {
            error.class = if error.code.starts_with("57P") {
                ErrorClass::Starting
            } else {
                ErrorClass::Unreachable
            };
        }
        error
    }
}

#[async_trait]
impl Engine for PostgresEngine {
    fn dialect(&self) -> &'static dyn Dialect {
        &Postgres
    }

    fn describe(&self) -> String {
        self.shown.clone()
    }

    fn database(&self) -> String {
        self.address.database.clone()
    }

    async fn open(&self, purpose: Purpose) -> Result<Box<dyn Session>, DbError> {
        let mut session = match self.session(purpose).await {
            Err(error)
                if error.class == ErrorClass::DatabaseMissing
                    && self.settings.create
                    && purpose != Purpose::Read =>
            {
                self.create_database().await?;
                self.session(purpose).await?
            }
            outcome => outcome?,
        };
        if purpose == Purpose::Script {
            for statement in &self.settings.prelude {
                session.execute(statement).await?;
            }
        }
        Ok(Box::new(session))
    }

    async fn create_database(&self) -> Result<(), DbError> {
        match self.create_scratch().await {
            Err(error) if error.class == ErrorClass::ObjectExists => Ok(()),
            // Two at once: the loser trips over the catalog's own unique index.
            Err(error) if error.code == "23505" => Ok(()),
            outcome => outcome,
        }
    }

    async fn create_scratch(&self) -> Result<(), DbError> {
        let name = Postgres.quote(&self.address.database);
        self.maintain(&format!("CREATE DATABASE {name}")).await
    }

    async fn siblings(&self) -> Result<Vec<String>, DbError> {
        let session = self.at("postgres").session(Purpose::Tool).await?;
        crate::names_of_databases(Box::new(session)).await
    }

    async fn drop_database(&self) -> Result<(), DbError> {
        let name = Postgres.quote(&self.address.database);
        self.maintain(&format!("DROP DATABASE IF EXISTS {name}"))
            .await
    }

    fn sibling(&self, database: &str) -> Result<Box<dyn Engine>, DbError> {
        Ok(Box::new(self.at(database)))
    }

    fn before_creation(&self) -> Result<Box<dyn Engine>, DbError> {
        self.sibling("postgres")
    }

    async fn dump(
        &self,
        snapshot: Option<&str>,
        _only: &[String],
        to: &std::path::Path,
    ) -> Result<crate::dump::Dumped, DbError> {
        let session = self.open(Purpose::Read).await?;
        let server = session.caps().version.0;
        session.close().await;
        let Some(snapshot) = snapshot else {
            return Err(DbError::new(
                ErrorClass::Other,
                "a dump needs an exported snapshot",
            ));
        };
        super::dump::dump(&self.address, server, snapshot, to).await
    }
    async fn load(&self, from: &std::path::Path, over: bool) -> Result<(), DbError> {
        super::dump::load(self, &self.address, from, over).await
    }
    fn file(&self) -> Option<&std::path::Path> {
        None
    }

    fn user(&self) -> Option<String> {
        Some(self.dialect().quote(&self.address.user))
    }
    fn secrets(&self) -> Vec<String> {
        let mut secrets = self.url.secrets();
        secrets.extend(
            self.address
                .hosts
                .iter()
                .filter_map(|(_, password)| password.clone()),
        );
        secrets.sort();
        secrets.dedup();
        secrets
    }
}

impl PostgresEngine {
    fn at(&self, database: &str) -> PostgresEngine {
        let mut other = self.clone();
        other.address.database = database.to_owned();
        // The URL as it was written names another database.
        let (user, place) = (
            &self.address.user,
            self.address.hosts.first().map(|(host, _)| place(host)),
        );
        other.shown = format!("postgres://{user}@{}/{database}", place.unwrap_or_default());
        other
    }

    /// A session on the first host that gives one.
    async fn session(&self, purpose: Purpose) -> Result<PostgresSession, DbError> {
        let mut failure = None;
        for (host, password) in &self.address.hosts {
            match self.connect(host, password.as_deref(), purpose).await {
                Ok(session) => return Ok(session),
                Err(error) => failure = Some(error),
            }
        }
        Err(failure
            .unwrap_or_else(|| DbError::new(ErrorClass::Unreachable, "the URL names no host")))
    }

    /// Runs one statement in a database that every server has.
    async fn maintain(&self, sql: &str) -> Result<(), DbError> {
        let mut outcome = Ok(());
        for database in ["postgres", "template1"] {
            match self.at(database).session(Purpose::Tool).await {
                Ok(mut session) => {
                    let done = session.execute(sql).await.map(|_| ());
                    Box::new(session).close().await;
                    return done;
                }
                Err(error) if error.class == ErrorClass::DatabaseMissing => outcome = Err(error),
                Err(error) => return Err(error),
            }
        }
        outcome
    }
}
