//! The URL of a MySQL or MariaDB server, as people write it for mysql, sqlx, PyMySQL and JDBC, with the client's
//! variables and option file beside it.

use crate::DbError;
use crate::address::{
    self, CONNECT_PATIENCE, Surroundings, bad, bad_value, flag, is_loopback, open_to_others,
    seconds, some, unknown,
};
use crate::tls::{Mode, Plan, Roots, Verify};
use dunlin_core::redact::SecretUrl;
use std::collections::HashMap;
use std::time::Duration;

/// Parameters that mean something here.
const KNOWN: &[&str] = &[
    "host",
    "port",
    "user",
    "password",
    "database",
    "socket",
    "unix_socket",
    "ssl-mode",
    "sslMode",
    "ssl-ca",
    "ssl-cert",
    "ssl-key",
    "useSSL",
    "requireSSL",
    "require_ssl",
    "verifyServerCertificate",
    "charset",
    "characterEncoding",
    "collation",
    "connect_timeout",
    "connectTimeout",
    "sslrootcert",
];

/// Parameters that other clients know and that change nothing of what is done here.
const IGNORED: &[&str] = &[
    "serverTimezone",
    "timezone",
    "time_zone",
    "useUnicode",
    "allowPublicKeyRetrieval",
    "get-server-public-key",
    "autoReconnect",
    "useJDBCCompliantTimezoneShift",
    "useLegacyDatetimeCode",
    "zeroDateTimeBehavior",
    "rewriteBatchedStatements",
    "allowMultiQueries",
    "cachePrepStmts",
    "statement-cache-capacity",
    "connection_limit",
    "pool_timeout",
    "socketTimeout",
    "parseTime",
    "loc",
    "tinyInt1isBit",
    "useCursorFetch",
    "tcpKeepAlive",
    "noAccessToProcedureBodies",
    "nullCatalogMeansCurrent",
    "createDatabaseIfNotExist",
];

/// Everything that a URL says.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Address {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) socket: Option<String>,
    pub(super) user: Option<String>,
    pub(super) password: Option<String>,
    pub(super) database: Option<String>,
    pub(super) tls: Plan,
    pub(super) collation: Option<String>,
    pub(super) connect_timeout: Duration,
}

impl std::fmt::Debug for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Address")
            .field("host", &self.host)
            .field("port", &self.port)
            .field("socket", &self.socket)
            .field("user", &self.user)
            .field("database", &self.database)
            .field("tls", &self.tls)
            .finish_non_exhaustive()
    }
}

/// Reads a URL in its surroundings.
pub(super) fn parse(url: &SecretUrl, around: &Surroundings<'_>) -> Result<Address, DbError> {
    let mut parts = address::split(url)?;
    if parts.hosts.len() > 1 {
        return Err(bad(
            url,
            "it names several hosts; Dunlin writes to one server: name the primary",
        ));
    }
    let mut given = Given::default();
    for (key, value) in std::mem::take(&mut parts.params) {
        given.take(url, &key, value)?;
    }
    let mut file = option_file(around);
    let mut of_file = |key: &str| file.remove(key);
    let host = parts.hosts.pop();
    let (host, mut port) = match host {
        Some((host, port)) => (Some(host), port),
        None => (given.host.take(), None),
    };
    // A URL that names a host is meant; the file's socket would lead elsewhere.
    let elsewhere = host.is_some();
    let socket = given
        .socket
        .take()
        .or_else(|| host.clone().filter(|host| host.starts_with('/')));
    let socket = socket.or_else(|| {
        let found = of_file("socket").or_else(|| around.var("MYSQL_UNIX_PORT"));
        found.filter(|_| !elsewhere)
    });
    let host = host
        .or_else(|| around.var("MYSQL_HOST"))
        .or_else(|| of_file("host"));
    if let Some(text) = given
        .port
        .take()
        .or_else(|| around.var("MYSQL_TCP_PORT").filter(|_| !elsewhere))
    {
        port = Some(
            text.parse()
                .map_err(|_| bad_value(url, "port", &["a number"]))?,
        );
    }
    let file_port = of_file("port")
        .and_then(|port| port.parse().ok())
        .filter(|_| !elsewhere);
    let (file_user, file_password) = (of_file("user"), of_file("password"));
    let user = parts.user.take().or_else(|| given.user.take());
    // The file's password is for the file's user.
    let same_user = user.is_none() || file_user.is_none() || user == file_user;
    let password = parts.password.take().or_else(|| given.password.take());
    let password = password
        .or_else(|| around.var("MYSQL_PWD"))
        .or_else(|| file_password.filter(|_| same_user));
    let host = host
        .filter(|host| !host.starts_with('/'))
        .unwrap_or_else(|| "localhost".into());
    given.ssl_ca = given.ssl_ca.take().or_else(|| of_file("ssl_ca"));
    given.ssl_mode = given.ssl_mode.take().or_else(|| of_file("ssl_mode"));
    let tls = given.tls(url, &host, socket.is_some(), around)?;
    Ok(Address {
        port: port.or(file_port).unwrap_or(3306),
        user: user.or(file_user).or_else(|| around.user()),
        database: parts
            .database
            .take()
            .or_else(|| given.database.take())
            .or_else(|| of_file("database")),
        connect_timeout: given.connect_timeout.unwrap_or(CONNECT_PATIENCE),
        collation: given.collation,
        host,
        socket,
        password,
        tls,
    })
}

/// Parameters as they were given.
#[derive(Default)]
struct Given {
    host: Option<String>,
    port: Option<String>,
    user: Option<String>,
    password: Option<String>,
    database: Option<String>,
    socket: Option<String>,
    ssl_mode: Option<String>,
    ssl_ca: Option<String>,
    ssl_cert: Option<String>,
    ssl_key: Option<String>,
    use_ssl: Option<bool>,
    verify: Option<bool>,
    collation: Option<String>,
    connect_timeout: Option<Duration>,
}

impl Given {
    fn take(&mut self, url: &SecretUrl, key: &str, value: String) -> Result<(), DbError> {
        let slot = match key {
            "host" => &mut self.host,
            "port" => &mut self.port,
            "user" => &mut self.user,
            "password" | "passwd" => &mut self.password,
            "database" | "dbname" | "db" => &mut self.database,
            "socket" | "unix_socket" | "unix-socket" | "localSocket" => &mut self.socket,
            "ssl-mode" | "ssl_mode" | "sslMode" | "sslmode" => &mut self.ssl_mode,
            "ssl-ca" | "ssl_ca" | "sslca" | "sslrootcert" | "serverSslCert" => &mut self.ssl_ca,
            "ssl-cert" | "ssl_cert" | "sslcert" => &mut self.ssl_cert,
            "ssl-key" | "ssl_key" | "sslkey" => &mut self.ssl_key,
            "useSSL" | "useSsl" | "requireSSL" | "require_ssl" | "ssl" | "tls" => {
                let on = flag(url, key, &value)?;
                self.use_ssl = Some(self.use_ssl.unwrap_or(false) || on);
                return Ok(());
            }
            "verifyServerCertificate" | "ssl-verify-server-cert" => {
                self.verify = Some(flag(url, key, &value)?);
                return Ok(());
            }
            "charset" | "characterEncoding" | "character_set" => {
                let plain: String = value.chars().filter(char::is_ascii_alphanumeric).collect();
                return match plain.to_ascii_lowercase().as_str() {
                    "utf8mb4" | "utf8" | "utf8mb3" => Ok(()),
                    _ => Err(bad(
                        url,
                        format!("scripts are UTF-8, so `{key}` must be utf8mb4"),
                    )),
                };
            }
            "collation" | "connectionCollation" => &mut self.collation,
            "connect_timeout" => {
                self.connect_timeout = Some(seconds(url, key, &value)?);
                return Ok(());
            }
            // JDBC counts milliseconds.
            "connectTimeout" => {
                let digits = value.bytes().all(|byte| byte.is_ascii_digit());
                let value = if digits { format!("{value}ms") } else { value };
                self.connect_timeout = Some(seconds(url, key, &value)?);
                return Ok(());
            }
            "ssl-capath"
            | "ssl-crl"
            | "ssl-cipher"
            | "tls-version"
            | "trustCertificateKeyStoreUrl" => {
                return Err(bad(
                    url,
                    format!("`{key}` is known to other clients and not done here"),
                ));
            }
            _ if IGNORED.contains(&key) => return Ok(()),
            _ => return Err(unknown(url, key, KNOWN)),
        };
        *slot = some(value);
        Ok(())
    }

    /// When and how TLS is used. As the client does: a CA's file alone means that it is verified. Where nothing is
    /// said: TLS where the server has it, but not on this machine's own loopback.
    fn tls(
        &self,
        url: &SecretUrl,
        host: &str,
        socket: bool,
        around: &Surroundings<'_>,
    ) -> Result<Plan, DbError> {
        let named = self
            .ssl_mode
            .as_deref()
            .map(|mode| mode.to_ascii_uppercase().replace('-', "_"));
        let mode = match (named.as_deref(), self.use_ssl) {
            (Some("DISABLED" | "DISABLE"), _) | (None, Some(false)) => Mode::Disable,
            (Some("PREFERRED" | "PREFER"), _) => Mode::Prefer,
            (Some("REQUIRED" | "REQUIRE" | "TRUST"), _) => Mode::Require(Verify::Nothing),
            (Some("VERIFY_CA"), _) => Mode::Require(Verify::Ca),
            (Some("VERIFY_IDENTITY" | "VERIFY_FULL"), _) => Mode::Require(Verify::Full),
            (Some(_), _) => {
                let known = [
                    "DISABLED",
                    "PREFERRED",
                    "REQUIRED",
                    "VERIFY_CA",
                    "VERIFY_IDENTITY",
                ];
                return Err(bad_value(url, "ssl-mode", &known));
            }
            (None, _) if self.verify == Some(true) => Mode::Require(Verify::Full),
            (None, Some(true)) if self.ssl_ca.is_some() => Mode::Require(Verify::Ca),
            (None, Some(true)) => Mode::Require(Verify::Nothing),
            (None, None) if self.ssl_ca.is_some() => Mode::Require(Verify::Ca),
            (None, None) if socket => Mode::Disable,
            (None, None) if is_loopback(host) => Mode::Allow,
            (None, None) => Mode::Prefer,
        };
        if socket && matches!(mode, Mode::Require(_)) {
            return Err(bad(
                url,
                "a unix socket needs no TLS and this client does none there",
            ));
        }
        let identity = match (&self.ssl_cert, &self.ssl_key) {
            (Some(cert), Some(key)) => Some((around.path(cert), around.path(key))),
            (None, None) => None,
            _ => return Err(bad(url, "`ssl-cert` and `ssl-key` go together")),
        };
        let roots = match self.ssl_ca.as_deref() {
            None | Some("system") => Roots::Public,
            Some(file) => Roots::File(around.path(file)),
        };
        Ok(Plan {
            mode,
            roots,
            identity,
        })
    }
}

/// The groups of `~/.my.cnf` that mean every client. A file that others may write is not used, as the client does.
fn option_file(around: &Surroundings<'_>) -> HashMap<String, String> {
    let Some(path) = around.home.as_ref().map(|home| home.join(".my.cnf")) else {
        return HashMap::new();
    };
    if open_to_others(&path, 0o002) {
        return HashMap::new();
    }
    std::fs::read_to_string(path)
        .map(|text| options(&text))
        .unwrap_or_default()
}

fn options(text: &str) -> HashMap<String, String> {
    let mut found = HashMap::new();
    let mut ours = false;
    for line in text.lines().map(str::trim) {
        if let Some(group) = line
            .strip_prefix('[')
            .and_then(|rest| rest.split(']').next())
        {
            ours = matches!(group, "client" | "client-server" | "client-mariadb");
        } else if ours && !line.is_empty() && !line.starts_with(['#', ';', '!']) {
            let (key, value) = line.split_once('=').unwrap_or((line, ""));
            found.insert(key.trim().replace('-', "_"), option_value(value.trim()));
        }
    }
    found
}

/// A value: quoted as a whole, or up to a comment; with the file format's escapes.
fn option_value(text: &str) -> String {
    let quoted = ['"', '\''].into_iter().find_map(|quote| {
        text.strip_prefix(quote)
            .and_then(|rest| rest.rfind(quote).map(|end| &rest[..end]))
    });
    let text = quoted.unwrap_or_else(|| text.split(" #").next().unwrap_or_default().trim_end());
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match chars.next() {
            Some('n') => out.push('\n'),
            Some('t') => out.push('\t'),
            Some('r') => out.push('\r'),
            Some('b') => out.push('\u{8}'),
            Some('s') => out.push(' '),
            Some(c @ ('\\' | '"' | '\'')) => out.push(c),
            Some(c) => out.extend(['\\', c]),
            None => out.push('\\'),
        }
    }
    out
}

#[cfg(test)]
#[path = "address_tests.rs"]
mod tests;
