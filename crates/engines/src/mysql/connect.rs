//! Opening sessions: connecting, then one round trip that pins what is to be pinned and asks what is to be known.

use super::address::{self, Address};
use super::session::{MysqlSession, db_error};
use crate::address::in_process;
use crate::tls::{self, Mode, Roots, Verify};
use crate::{DbError, Engine, Purpose, Session, Settings};
use async_trait::async_trait;
use dunlin_core::dialect::Dialect;
use dunlin_core::dialect::mysql::Mysql;
use dunlin_core::failure::ErrorClass;
use dunlin_core::redact::SecretUrl;
use mysql_async::prelude::Queryable;
use mysql_async::{ClientIdentity, Conn, DriverError, IoError, Opts, OptsBuilder, SslOpts};
use rustls::CertificateError;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// What the protocol allows at most. Given so that the driver does not ask the server; the server's own bound
/// (`max_allowed_packet`) is the server's to enforce.
const PACKET_MAX: usize = 1 << 30;

/// The strict mode of Dunlin's own sessions: the default of MySQL 8 without ONLY_FULL_GROUP_BY, which judges queries
/// and protects no data.
const STRICT: &str = "STRICT_TRANS_TABLES,NO_ZERO_IN_DATE,NO_ZERO_DATE,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION";

/// A living holder of the lease must not be taken for an idle one: the longest bound that every version takes.
const LEASE_WAIT: u32 = 31_536_000;

/// How long, in seconds, a server waits for a reader that takes no rows: its own default of a minute ends a copy whose
/// target rests. A reader that is gone without a word is found by its socket.
const READER_WAIT: u32 = 28_800;

/// How long a connection is silent until the other end is asked whether it is there.
const KEEPALIVE: Duration = Duration::from_secs(60);

/// The address of a MySQL or MariaDB database.
#[derive(Debug, Clone)]
pub struct MysqlEngine {
    url: SecretUrl,
    shown: String,
    address: Address,
    settings: Settings,
    /// The server was asked for TLS and has none: not asked again.
    no_tls: Arc<AtomicBool>,
}

/// What the server said of itself.
#[derive(Default)]
struct Told {
    version: String,
    sql_mode: String,
    galera: bool,
}

impl MysqlEngine {
    /// Reads the URL; connects to nothing.
    pub fn new(url: &SecretUrl, settings: Settings) -> Result<Self, DbError> {
        Ok(MysqlEngine {
            url: url.clone(),
            shown: url.to_string(),
            address: in_process(settings.base_dir.as_deref(), |around| {
                address::parse(url, around)
            })?,
            settings,
            no_tls: Arc::default(),
        })
    }

    fn options(&self, tls: Option<SslOpts>) -> Opts {
        let address = &self.address;
        OptsBuilder::default()
            .ip_or_hostname(address.host.as_str())
            .tcp_port(address.port)
            .socket(address.socket.as_deref())
            .prefer_socket(false)
            .user(address.user.as_deref())
            .pass(address.password.as_deref())
            .db_name(address.database.as_deref())
            .ssl_opts(tls)
            .max_allowed_packet(Some(PACKET_MAX))
            // The driver's own idea of when an idle connection is stale: it only matters to its pool.
            .wait_timeout(Some(LEASE_WAIT as usize))
            // A machine that is gone without a word is noticed: nothing else would tell while a statement runs.
            .tcp_keepalive(Some(KEEPALIVE))
            .client_found_rows(false)
            .into()
    }

    /// The plan in the driver's words. Files are read here, so that what is wrong with them is said in our words.
    fn tls(&self) -> Result<SslOpts, DbError> {
        let plan = &self.address.tls;
        let mut options = SslOpts::default();
        if let Some((cert, key)) = &plan.identity {
            tls::certificates(cert)?;
            let identity = ClientIdentity::new(cert.clone().into(), key.clone().into());
            options = options.with_client_identity(Some(identity));
        }
        if plan.verify() == Verify::Nothing {
            return Ok(options
                .with_danger_accept_invalid_certs(true)
                .with_danger_skip_domain_validation(true)
                // Its verifier wants roots, though it asks them nothing.
                .with_disable_built_in_roots(false));
        }
        match &plan.roots {
            Roots::File(path) => {
                tls::certificates(path)?;
                Ok(options
                    .with_disable_built_in_roots(true)
                    .with_root_certs(vec![path.clone().into()]))
            }
            Roots::Public => {
                let bundle = tls::system_bundle().map(|path| path.to_path_buf().into());
                Ok(options.with_root_certs(bundle.into_iter().collect()))
            }
        }
    }

    fn place(&self) -> String {
        match &self.address {
            Address {
                socket: Some(socket),
                ..
            } => socket.clone(),
            Address { host, port, .. } if host.contains(':') => format!("[{host}]:{port}"),
            Address { host, port, .. } => format!("{host}:{port}"),
        }
    }

    /// Connects and logs in, by the first way that works: the next one only where TLS itself was the trouble.
    pub(super) async fn dial(&self) -> Result<Conn, DbError> {
        let no_tls = self.no_tls.load(Ordering::Relaxed);
        let ways: &[bool] = match self.address.tls.mode {
            Mode::Disable => &[false],
            Mode::Allow => &[false, true],
            Mode::Prefer if no_tls => &[false],
            Mode::Prefer => &[true, false],
            Mode::Require(_) => &[true],
        };
        let mut failure = None;
        for &way in ways {
            let tls = if way { Some(self.tls()?) } else { None };
            match self.try_dial(tls).await {
                Err((error, missing)) if error.class == ErrorClass::Tls => {
                    self.no_tls.fetch_or(missing, Ordering::Relaxed);
                    failure.get_or_insert(error);
                }
                Err((error, _)) => return Err(error),
                Ok(conn) => return Ok(conn),
            }
        }
        Err(failure.unwrap_or_else(|| DbError::new(ErrorClass::Tls, "there is no way to connect")))
    }

    /// One try. With an error goes whether the server has no TLS at all.
    async fn try_dial(&self, tls: Option<SslOpts>) -> Result<Conn, (DbError, bool)> {
        let patience = self.address.connect_timeout;
        let opening = async {
            match Conn::new(self.options(tls.clone())).await {
                Err(error) => match self.by_another_name(&error, tls) {
                    Some(tls) => Conn::new(self.options(Some(tls))).await,
                    None => Err(error),
                },
                conn => conn,
            }
        };
        match tokio::time::timeout(patience, opening).await {
            Ok(Ok(conn)) => Ok(conn),
            Ok(Err(error)) => {
                let none = mysql_async::Error::Driver(DriverError::NoClientSslFlagFromServer);
                let missing = std::mem::discriminant(&error) == std::mem::discriminant(&none)
                    && error.to_string() == none.to_string();
                Err((self.opening_error(&error), missing))
            }
            Err(_) => Err((
                DbError::new(
                    ErrorClass::Unreachable,
                    format!("nobody answered at {} within {patience:?}", self.place()),
                ),
                false,
            )),
        }
    }

    /// To verify the CA only, the driver must be told a name that the certificate bears: its own test for this does
    /// not know the words of today's rustls. The chain was found good when only the name was wrong.
    fn by_another_name(&self, error: &mysql_async::Error, tls: Option<SslOpts>) -> Option<SslOpts> {
        if self.address.tls.mode != Mode::Require(Verify::Ca) {
            return None;
        }
        let rustls::Error::InvalidCertificate(CertificateError::NotValidForNameContext {
            presented,
            ..
        }) = tls_error(error)?
        else {
            return None;
        };
        let name = presented.iter().find_map(|name| {
            // `DnsName("h")`, `IpAddress(127.0.0.1)`
            let (_, inner) = name.split_once('(')?;
            let inner = inner.strip_suffix(')')?.trim_matches('"');
            (!inner.contains('*')).then(|| inner.to_owned())
        })?;
        tls.map(|tls| tls.with_danger_tls_hostname_override(Some(name)))
    }

    /// An error while opening: what would be "lost" later is "unreachable" now.
    fn opening_error(&self, error: &mysql_async::Error) -> DbError {
        if let Some(inner) = tls_error(error) {
            return tls::explain(inner, &self.address.tls, &self.address.host, "ssl-ca");
        }
        let mut error = db_error(error);
        if error.class == ErrorClass::ConnectionLost {
            if error.code == "1053" {
                error.class = ErrorClass::Starting;
            } else {
                let cause = error
                    .message
                    .rsplit(": ")
                    .next()
                    .unwrap_or_default()
                    .to_owned();
                error = DbError::new(
                    ErrorClass::Unreachable,
                    format!("nobody answers at {}: {cause}", self.place()),
                );
            }
        }
        error
    }

    /// The settings of a session, as one SET; empty: none.
    fn pins(&self, purpose: Purpose) -> String {
        let mut pins: Vec<String> = vec![];
        if purpose == Purpose::Script && !self.settings.lock_timeout.is_zero() {
            // Whole seconds, at least one: that is all that both servers take. It bounds the wait for a table's
            // definition, which is what DDL waits for; row locks keep the server's own bound.
            let seconds = self.settings.lock_timeout.as_millis().div_ceil(1000).max(1);
            pins.push(format!("lock_wait_timeout = {seconds}"));
        }
        if purpose == Purpose::Script {
            if !self.settings.sql_mode.is_empty() {
                pins.push(format!(
                    "sql_mode = {}",
                    Mysql.literal(&self.settings.sql_mode)
                ));
            }
        } else {
            pins.push("time_zone = '+00:00'".into());
            pins.push(format!("sql_mode = '{STRICT}'"));
            pins.push("autocommit = 1".into());
        }
        // Whoever takes rows may be slow: it waits for another server, for a disk, for a lock of its own.
        if matches!(purpose, Purpose::Read | Purpose::Tool) {
            pins.push(format!("net_write_timeout = {READER_WAIT}"));
        }
        // The session that writes is idle while a backup is made or a person is asked.
        if matches!(purpose, Purpose::Lease | Purpose::Script) {
            pins.push(format!("wait_timeout = {LEASE_WAIT}"));
        }
        match &self.address.collation {
            _ if purpose != Purpose::Script => pins.push("NAMES utf8mb4".into()),
            Some(name) => pins.push(format!("NAMES utf8mb4 COLLATE {}", Mysql.literal(name))),
            None => {}
        }
        if purpose == Purpose::Script && !self.settings.statement_timeout.is_zero() {
            // Each server has its own variable and skips the other's comment: MariaDB skips 507xx.
            let ms = self.settings.statement_timeout.as_millis();
            let (whole, part) = (ms / 1000, ms % 1000);
            pins.push(format!(
                "@dunlin_pin = NULL /*M!100101 , max_statement_time = {whole}.{part:03} */ \
                 /*!50708 , max_execution_time = {ms} */"
            ));
        }
        if pins.is_empty() {
            return String::new();
        }
        format!("SET {}", pins.join(", "))
    }

    /// One round trip: pins, and what the server is.
    async fn set_up(&self, conn: &mut Conn, purpose: Purpose) -> Result<Told, mysql_async::Error> {
        let mut texts = vec![];
        let pins = self.pins(purpose);
        if !pins.is_empty() {
            texts.push(pins);
        }
        if purpose == Purpose::Read {
            texts.push("SET SESSION TRANSACTION READ ONLY".into());
        }
        // SHOW leaves out what a server does not know, where SELECT would fail.
        let wide = matches!(purpose, Purpose::Script | Purpose::Lease);
        texts.push(if wide {
            "SHOW VARIABLES WHERE Variable_name IN ('version', 'sql_mode', 'wsrep_on', 'wsrep_provider')".into()
        } else {
            "SELECT 'version', @@version".into()
        });
        let mut result = conn.query_iter(texts.join("; ")).await?;
        let mut told = Told::default();
        let mut galera = (false, true);
        loop {
            for (name, value) in result.collect::<(String, String)>().await? {
                match name.to_ascii_lowercase().as_str() {
                    "version" => told.version = value,
                    "sql_mode" => told.sql_mode = value,
                    "wsrep_on" => galera.0 = matches!(value.as_str(), "ON" | "1"),
                    "wsrep_provider" => galera.1 = !value.is_empty() && value != "none",
                    _ => {}
                }
            }
            if result.is_empty() {
                break;
            }
        }
        result.drop_result().await?;
        told.galera = galera.0 && galera.1;
        Ok(told)
    }

    async fn session(&self, purpose: Purpose) -> Result<MysqlSession, DbError> {
        let mut conn = self.dial().await?;
        let told = self
            .set_up(&mut conn, purpose)
            .await
            .map_err(|error| self.opening_error(&error))?;
        if told.galera {
            let mut error = DbError::new(
                ErrorClass::Other,
                "the server is a node of a Galera cluster (wsrep_on = ON), which Dunlin refuses: its locks are not \
                 cluster-wide and a COMMIT may still fail on another node's word",
            );
            error.code = "galera".into();
            error.hint = Some("run against a single primary server".into());
            return Err(error);
        }
        Ok(MysqlSession::new(
            conn,
            self.clone(),
            purpose,
            &told.version,
            &told.sql_mode,
        ))
    }

    fn at(&self, database: Option<&str>) -> MysqlEngine {
        let mut other = self.clone();
        other.address.database = database.map(str::to_owned);
        // The URL as it was written names another database.
        let user = self.address.user.as_deref().unwrap_or_default();
        let database = database.unwrap_or_default();
        other.shown = format!("mysql://{user}@{}/{database}", self.place());
        other
    }

    /// Runs one statement without a current database.
    async fn maintain(&self, sql: &str) -> Result<(), DbError> {
        let mut session = self.at(None).session(Purpose::Tool).await?;
        let done = session.execute(sql).await.map(|_| ());
        Box::new(session).close().await;
        done
    }

    fn own_database(&self) -> Result<String, DbError> {
        self.address
            .database
            .as_deref()
            .map(|name| Mysql.quote(name))
            .ok_or_else(|| DbError::new(ErrorClass::DatabaseMissing, "the URL names no database"))
    }
}

/// The error of rustls within a driver's error.
fn tls_error(error: &mysql_async::Error) -> Option<&rustls::Error> {
    match error {
        mysql_async::Error::Io(IoError::Io(io)) => tls::within(io),
        mysql_async::Error::Io(IoError::Tls(inner)) => tls::within(inner),
        _ => None,
    }
}

#[async_trait]
impl Engine for MysqlEngine {
    fn dialect(&self) -> &'static dyn Dialect {
        &Mysql
    }

    fn describe(&self) -> String {
        self.shown.clone()
    }

    fn database(&self) -> String {
        self.address.database.clone().unwrap_or_default()
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
        let name = self.own_database()?;
        // Asking for it by CREATE would wait for whatever statement runs in a database that is there.
        if let Ok(session) = self.session(Purpose::Tool).await {
            Box::new(session).close().await;
            return Ok(());
        }
        self.maintain(&format!(
            "CREATE DATABASE IF NOT EXISTS {name} CHARACTER SET utf8mb4"
        ))
        .await
    }

    async fn create_scratch(&self) -> Result<(), DbError> {
        let name = self.own_database()?;
        self.maintain(&format!("CREATE DATABASE {name} CHARACTER SET utf8mb4"))
            .await
    }

    async fn siblings(&self) -> Result<Vec<String>, DbError> {
        let session = self.at(None).session(Purpose::Tool).await?;
        crate::names_of_databases(Box::new(session)).await
    }

    async fn drop_database(&self) -> Result<(), DbError> {
        let name = self.own_database()?;
        self.maintain(&format!("DROP DATABASE IF EXISTS {name}"))
            .await
    }

    fn sibling(&self, database: &str) -> Result<Box<dyn Engine>, DbError> {
        Ok(Box::new(self.at(Some(database))))
    }

    async fn dump(
        &self,
        _snapshot: Option<&str>,
        only: &[String],
        to: &std::path::Path,
    ) -> Result<crate::dump::Dumped, DbError> {
        let session = self.open(Purpose::Read).await?;
        let caps = session.caps().clone();
        session.close().await;
        super::dump::objects(&self.address, &caps, only, to).await
    }
    async fn load(&self, _from: &std::path::Path, _over: bool) -> Result<(), DbError> {
        Err(DbError::new(ErrorClass::Other, "no tool wrote this backup"))
    }
    fn file(&self) -> Option<&std::path::Path> {
        None
    }

    fn user(&self) -> Option<String> {
        let user = self.address.user.as_deref()?;
        Some(format!("{}@'%'", self.dialect().literal(user)))
    }
    fn secrets(&self) -> Vec<String> {
        let mut secrets = self.url.secrets();
        secrets.extend(self.address.password.clone());
        secrets
    }
}
