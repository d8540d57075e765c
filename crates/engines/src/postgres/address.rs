//! The URL of a PostgreSQL server, as people write it for psql, sqlx, Prisma and JDBC, with libpq's environment and
//! password file beside it.

use crate::DbError;
use crate::address::{
    self, CONNECT_PATIENCE, Parts, Surroundings, bad, bad_value, flag, is_loopback, open_to_others,
    seconds, some, unknown,
};
use crate::tls::{Mode, Plan, Roots, Verify};
use dunlin_core::redact::SecretUrl;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Where packages put the server's socket.
const SOCKET_FOLDERS: &[&str] = &["/var/run/postgresql", "/run/postgresql", "/tmp"];

/// Parameters that mean something here.
const KNOWN: &[&str] = &[
    "host",
    "hostaddr",
    "port",
    "user",
    "password",
    "dbname",
    "sslmode",
    "sslrootcert",
    "sslcert",
    "sslkey",
    "sslnegotiation",
    "connect_timeout",
    "application_name",
    "options",
    "passfile",
    "target_session_attrs",
    "channel_binding",
    "currentSchema",
    "client_encoding",
    "ssl",
];

/// Parameters that other clients know and that change nothing of what is done here.
const IGNORED: &[&str] = &[
    "keepalives",
    "keepalives_idle",
    "keepalives_interval",
    "keepalives_count",
    "tcp_user_timeout",
    "fallback_application_name",
    "gssencmode",
    "krbsrvname",
    "sslcompression",
    "sslsni",
    "ssl_min_protocol_version",
    "statement-cache-capacity",
    "connection_limit",
    "pool_timeout",
    "pgbouncer",
    "prepareThreshold",
    "tcpKeepAlive",
    "socketTimeout",
    "socket_timeout",
    "load_balance_hosts",
    "reWriteBatchedInserts",
];

/// One place where the server may answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Host {
    /// Name or number, and port.
    Tcp(String, u16),
    /// The folder of the socket, and the port that is part of the socket's name.
    Unix(PathBuf, u16),
}

/// What a server must be to be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Any,
    Primary,
    Standby,
}

/// Everything that a URL says.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Address {
    /// Places in the order in which they are tried, each with its password.
    pub(super) hosts: Vec<(Host, Option<String>)>,
    pub(super) user: String,
    pub(super) database: String,
    pub(super) tls: Plan,
    pub(super) direct_tls: bool,
    pub(super) connect_timeout: Duration,
    pub(super) application_name: Option<String>,
    pub(super) options: Option<String>,
    pub(super) role: Role,
    pub(super) bind_channel: Option<bool>,
    /// Why a password file was not used, for the hint of a refused login.
    pub(super) note: Option<String>,
}

impl std::fmt::Debug for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let hosts: Vec<_> = self.hosts.iter().map(|(host, _)| host).collect();
        f.debug_struct("Address")
            .field("hosts", &hosts)
            .field("user", &self.user)
            .field("database", &self.database)
            .field("tls", &self.tls)
            .finish_non_exhaustive()
    }
}

/// Reads a URL in its surroundings.
pub(super) fn parse(url: &SecretUrl, around: &Surroundings<'_>) -> Result<Address, DbError> {
    let mut parts = address::split(url)?;
    let mut given = Given::default();
    for (key, value) in std::mem::take(&mut parts.params) {
        given.take(url, &key, value)?;
    }
    let mut given = given.with_environment(around);
    let user = parts
        .user
        .take()
        .or_else(|| given.user.take())
        .or_else(|| around.var("PGUSER").or_else(|| around.user()));
    let user = user.ok_or_else(|| {
        bad(
            url,
            "it names no user: write `postgres://user@host/database`",
        )
    })?;
    let database = parts
        .database
        .take()
        .or_else(|| given.dbname.take())
        .unwrap_or_else(|| user.clone());
    let places = hosts(url, &parts, &given)?;
    let password = parts.password.take().or_else(|| given.password.take());
    let (tls, direct_tls) = tls(url, &given, &places, around)?;
    let mut note = None;
    let file = passfile(&given, around, &mut note);
    let hosts = places.into_iter().map(|place| {
        let found = password.clone().or_else(|| {
            file.as_ref()
                .and_then(|text| from_passfile(text, &place, &database, &user))
        });
        (place, found)
    });
    let hosts = hosts.collect();
    Ok(Address {
        hosts,
        user,
        database,
        tls,
        direct_tls,
        connect_timeout: given.connect_timeout(url)?,
        application_name: given.application_name.take(),
        options: given.options(),
        role: given.role(url)?,
        bind_channel: given.bind_channel(url)?,
        note,
    })
}

/// Parameters as they were given.
#[derive(Default)]
struct Given {
    host: Option<String>,
    hostaddr: Option<String>,
    port: Option<String>,
    user: Option<String>,
    password: Option<String>,
    dbname: Option<String>,
    sslmode: Option<String>,
    sslrootcert: Option<String>,
    sslcert: Option<String>,
    sslkey: Option<String>,
    sslnegotiation: Option<String>,
    connect_timeout: Option<String>,
    application_name: Option<String>,
    options: Option<String>,
    passfile: Option<String>,
    target_session_attrs: Option<String>,
    channel_binding: Option<String>,
    current_schema: Option<String>,
}

impl Given {
    fn take(&mut self, url: &SecretUrl, key: &str, value: String) -> Result<(), DbError> {
        let slot = match key {
            "host" => &mut self.host,
            "hostaddr" => &mut self.hostaddr,
            "port" => &mut self.port,
            "user" => &mut self.user,
            "password" => &mut self.password,
            "dbname" | "database" => &mut self.dbname,
            "sslmode" | "ssl-mode" => &mut self.sslmode,
            "sslrootcert" | "ssl-root-cert" | "ssl-ca" => &mut self.sslrootcert,
            "sslcert" | "ssl-cert" => &mut self.sslcert,
            "sslkey" | "ssl-key" => &mut self.sslkey,
            "sslnegotiation" => &mut self.sslnegotiation,
            "connect_timeout" | "connectTimeout" | "loginTimeout" => &mut self.connect_timeout,
            "application_name" | "ApplicationName" => &mut self.application_name,
            "options" => &mut self.options,
            "passfile" => &mut self.passfile,
            "target_session_attrs" | "targetServerType" => &mut self.target_session_attrs,
            "channel_binding" | "channelBinding" => &mut self.channel_binding,
            "currentSchema" | "schema" => &mut self.current_schema,
            "ssl" => {
                // JDBC's `ssl=true` verifies everything.
                let mode = if flag(url, key, &value)? {
                    "verify-full"
                } else {
                    "disable"
                };
                self.sslmode.get_or_insert_with(|| mode.into());
                return Ok(());
            }
            "client_encoding" => {
                let plain: String = value.chars().filter(char::is_ascii_alphanumeric).collect();
                return match plain.to_ascii_lowercase().as_str() {
                    "utf8" | "unicode" | "auto" => Ok(()),
                    _ => Err(bad(
                        url,
                        "scripts are UTF-8, so `client_encoding` must be UTF8",
                    )),
                };
            }
            "sslpassword" | "sslcrl" | "sslcrldir" | "service" | "sslfactory" => {
                return Err(bad(
                    url,
                    format!("`{key}` is known to libpq and not done here"),
                ));
            }
            _ => {
                if let Some(name) = key
                    .strip_prefix("options[")
                    .and_then(|key| key.strip_suffix(']'))
                {
                    let pin = format!("-c {name}={}", escaped(&value));
                    let all = self
                        .options
                        .take()
                        .map_or(pin.clone(), |before| format!("{before} {pin}"));
                    self.options = Some(all);
                    return Ok(());
                }
                return if IGNORED.contains(&key) {
                    Ok(())
                } else {
                    Err(unknown(url, key, KNOWN))
                };
            }
        };
        *slot = some(value);
        Ok(())
    }

    /// What the URL leaves open, libpq's variables say.
    fn with_environment(mut self, around: &Surroundings<'_>) -> Self {
        for (slot, name) in [
            (&mut self.host, "PGHOST"),
            (&mut self.hostaddr, "PGHOSTADDR"),
            (&mut self.port, "PGPORT"),
            (&mut self.password, "PGPASSWORD"),
            (&mut self.dbname, "PGDATABASE"),
            (&mut self.sslmode, "PGSSLMODE"),
            (&mut self.sslrootcert, "PGSSLROOTCERT"),
            (&mut self.sslcert, "PGSSLCERT"),
            (&mut self.sslkey, "PGSSLKEY"),
            (&mut self.connect_timeout, "PGCONNECT_TIMEOUT"),
            (&mut self.application_name, "PGAPPNAME"),
            (&mut self.options, "PGOPTIONS"),
            (&mut self.passfile, "PGPASSFILE"),
        ] {
            if slot.is_none() {
                *slot = around.var(name);
            }
        }
        self
    }

    fn connect_timeout(&self, url: &SecretUrl) -> Result<Duration, DbError> {
        match &self.connect_timeout {
            Some(value) => seconds(url, "connect_timeout", value),
            None => Ok(CONNECT_PATIENCE),
        }
    }

    fn options(&mut self) -> Option<String> {
        let schema = self.current_schema.take();
        let schema = schema.map(|schema| format!("-c search_path={}", escaped(&schema)));
        match (self.options.take(), schema) {
            (Some(options), Some(schema)) => Some(format!("{options} {schema}")),
            (options, schema) => options.or(schema),
        }
    }

    fn role(&self, url: &SecretUrl) -> Result<Role, DbError> {
        match self.target_session_attrs.as_deref() {
            None | Some("any" | "prefer-standby" | "preferSecondary" | "preferPrimary") => {
                Ok(Role::Any)
            }
            Some("read-write" | "primary" | "master") => Ok(Role::Primary),
            Some("read-only" | "standby" | "secondary" | "slave") => Ok(Role::Standby),
            Some(_) => Err(bad_value(
                url,
                "target_session_attrs",
                &["any", "read-write", "primary", "read-only", "standby"],
            )),
        }
    }

    fn bind_channel(&self, url: &SecretUrl) -> Result<Option<bool>, DbError> {
        match self.channel_binding.as_deref() {
            None | Some("prefer") => Ok(None),
            Some("require") => Ok(Some(true)),
            Some("disable") => Ok(Some(false)),
            Some(_) => Err(bad_value(
                url,
                "channel_binding",
                &["disable", "prefer", "require"],
            )),
        }
    }
}

/// A value within the startup packet's `options`.
pub(super) fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace(' ', "\\ ")
}

/// The places: those of the URL, else `host=`/`hostaddr=`, else a local socket that is there, else localhost.
fn hosts(url: &SecretUrl, parts: &Parts, given: &Given) -> Result<Vec<Host>, DbError> {
    let ports: Vec<Option<u16>> = match &given.port {
        None => vec![],
        Some(text) => text
            .split(',')
            .map(|port| match port.trim() {
                "" => Ok(None),
                port => port
                    .parse()
                    .map(Some)
                    .map_err(|_| bad_value(url, "port", &["a number"])),
            })
            .collect::<Result<_, _>>()?,
    };
    let named: Vec<(String, Option<u16>)> = if !parts.hosts.is_empty() {
        parts.hosts.clone()
    } else {
        let text = given.host.as_ref().or(given.hostaddr.as_ref());
        text.into_iter()
            .flat_map(|text| text.split(','))
            .map(|host| (host.trim().to_owned(), None))
            .collect()
    };
    if ports.len() > 1 && ports.len() != named.len() {
        return Err(bad(url, "there must be one port, or as many as hosts"));
    }
    let port_of = |at: usize, own: Option<u16>| {
        let list = ports
            .get(if ports.len() > 1 { at } else { 0 })
            .copied()
            .flatten();
        own.or(list).unwrap_or(5432)
    };
    if named.is_empty() {
        let port = port_of(0, None);
        let socket = format!(".s.PGSQL.{port}");
        let folder = SOCKET_FOLDERS
            .iter()
            .map(Path::new)
            .find(|folder| folder.join(&socket).exists());
        return Ok(vec![match folder {
            Some(folder) => Host::Unix(folder.into(), port),
            None => Host::Tcp("localhost".into(), port),
        }]);
    }
    let place = |(at, (name, own)): (usize, (String, Option<u16>))| {
        let port = port_of(at, own);
        if name.starts_with('/') {
            Host::Unix(name.into(), port)
        } else {
            Host::Tcp(name, port)
        }
    };
    Ok(named.into_iter().enumerate().map(place).collect())
}

/// When and how TLS is used. As libpq does: `require` with a CA's file verifies the CA, `sslrootcert=system` verifies
/// everything. Where nothing is said: TLS where the server has it, but not on this machine's own loopback.
fn tls(
    url: &SecretUrl,
    given: &Given,
    hosts: &[Host],
    around: &Surroundings<'_>,
) -> Result<(Plan, bool), DbError> {
    let system = given.sslrootcert.as_deref() == Some("system");
    let file = given.sslrootcert.as_deref().filter(|_| !system);
    let local = hosts.iter().all(|host| match host {
        Host::Tcp(name, _) => is_loopback(name),
        Host::Unix(..) => true,
    });
    let mode = match given.sslmode.as_deref() {
        None if system => Mode::Require(Verify::Full),
        None if local => Mode::Allow,
        None => Mode::Prefer,
        Some("disable") => Mode::Disable,
        Some("allow") => Mode::Allow,
        Some("prefer") => Mode::Prefer,
        Some("require" | "no-verify") if file.is_some() => Mode::Require(Verify::Ca),
        Some("require" | "no-verify") => Mode::Require(Verify::Nothing),
        Some("verify-ca") => Mode::Require(Verify::Ca),
        Some("verify-full") => Mode::Require(Verify::Full),
        Some(_) => {
            let known = [
                "disable",
                "allow",
                "prefer",
                "require",
                "verify-ca",
                "verify-full",
            ];
            return Err(bad_value(url, "sslmode", &known));
        }
    };
    if system && mode != Mode::Require(Verify::Full) {
        return Err(bad(
            url,
            "`sslrootcert=system` goes with `sslmode=verify-full` only",
        ));
    }
    let identity = match (&given.sslcert, &given.sslkey) {
        (Some(cert), Some(key)) => Some((around.path(cert), around.path(key))),
        (None, None) => None,
        _ => return Err(bad(url, "`sslcert` and `sslkey` go together")),
    };
    let direct = match given.sslnegotiation.as_deref() {
        None | Some("postgres") => false,
        Some("direct") if matches!(mode, Mode::Require(_)) => true,
        Some("direct") => {
            return Err(bad(
                url,
                "`sslnegotiation=direct` needs `sslmode=require` or more",
            ));
        }
        Some(_) => return Err(bad_value(url, "sslnegotiation", &["postgres", "direct"])),
    };
    let roots = file.map_or(Roots::Public, |file| Roots::File(around.path(file)));
    Ok((
        Plan {
            mode,
            roots,
            identity,
        },
        direct,
    ))
}

/// The text of the password file. One that others may read is not used, as libpq does.
fn passfile(given: &Given, around: &Surroundings<'_>, note: &mut Option<String>) -> Option<String> {
    let path = match &given.passfile {
        Some(path) => around.path(path),
        None => around.home.as_ref()?.join(".pgpass"),
    };
    if open_to_others(&path, 0o077) {
        *note = Some(format!(
            "`{}` was not used, because others may read it: `chmod 600 {}`",
            path.display(),
            path.display()
        ));
        return None;
    }
    std::fs::read_to_string(path).ok()
}

/// The first line of `host:port:database:user:password` that fits; `*` fits everything, `\` takes a `:` or `\`.
fn from_passfile(text: &str, host: &Host, database: &str, user: &str) -> Option<String> {
    let (name, port) = match host {
        Host::Tcp(name, port) => (name.clone(), port.to_string()),
        Host::Unix(folder, port) => {
            let shown = folder.display().to_string();
            // Of a socket in its usual place, the file says `localhost`.
            let usual = SOCKET_FOLDERS.contains(&shown.as_str());
            (
                if usual { "localhost".into() } else { shown },
                port.to_string(),
            )
        }
    };
    let wanted = [name.as_str(), port.as_str(), database, user];
    text.lines()
        .filter(|line| !line.starts_with('#'))
        .find_map(|line| {
            let fields = fields(line);
            let (password, keys) = fields.split_last()?;
            let fits = keys.len() == 4
                && keys
                    .iter()
                    .zip(wanted)
                    .all(|(key, wanted)| key.is_none() || key.as_deref() == Some(wanted));
            if fits { password.clone() } else { None }
        })
}

/// The five fields of a line; `None` is a bare `*`. The last one takes the rest of the line.
fn fields(line: &str) -> Vec<Option<String>> {
    let mut fields: Vec<Option<String>> = vec![];
    let (mut field, mut escaped) = (String::new(), false);
    let mut bare = true;
    for c in line.trim_end_matches('\r').chars() {
        match c {
            '\\' if !escaped => {
                escaped = true;
                bare = false;
                continue;
            }
            ':' if !escaped && fields.len() < 4 => {
                let done = std::mem::take(&mut field);
                fields.push((done != "*" || !bare).then_some(done));
                bare = true;
            }
            c => field.push(c),
        }
        escaped = false;
    }
    fields.push(Some(field));
    fields
}

#[cfg(test)]
#[path = "address_tests.rs"]
mod tests;
