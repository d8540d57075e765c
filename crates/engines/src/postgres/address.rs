//! The URL of a PostgreSQL server, as people write it.

use crate::DbError;
use dunlin_core::failure::ErrorClass;
use dunlin_core::redact::SecretUrl;
use std::path::PathBuf;
use std::time::Duration;

/// One place where the server may answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Host {
    /// Name or number, and port.
    Tcp(String, u16),
    /// The folder of the socket, and the port that is part of the socket's name.
    Unix(PathBuf, u16),
}

/// Everything that a URL says.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Address {
    pub(super) hosts: Vec<Host>,
    pub(super) user: String,
    pub(super) password: Option<String>,
    pub(super) database: String,
    pub(super) connect_timeout: Duration,
    pub(super) application_name: Option<String>,
    pub(super) options: Option<String>,
}

impl std::fmt::Debug for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Address")
            .field("hosts", &self.hosts)
            .field("user", &self.user)
            .field("database", &self.database)
            .finish_non_exhaustive()
    }
}

/// Reads a URL.
pub(super) fn parse(url: &SecretUrl) -> Result<Address, DbError> {
    let bad = |what: &str| DbError::new(ErrorClass::Other, format!("{url}: {what}"));
    let parsed = url::Url::parse(url.expose()).map_err(|error| bad(&error.to_string()))?;
    let decode = |text: &str| {
        percent_decode(text).map_err(|_| bad("a part of it is not UTF-8 after percent-decoding"))
    };
    let port = parsed.port().unwrap_or(5432);
    let host = decode(parsed.host_str().unwrap_or("localhost"))?;
    let host = host.trim_matches(['[', ']']).to_owned();
    let hosts = vec![if host.starts_with('/') {
        Host::Unix(host.into(), port)
    } else {
        Host::Tcp(host, port)
    }];
    let user = decode(parsed.username())?;
    let database = decode(parsed.path().trim_start_matches('/'))?;
    Ok(Address {
        hosts,
        database: if database.is_empty() {
            user.clone()
        } else {
            database
        },
        user,
        password: parsed.password().map(decode).transpose()?,
        connect_timeout: Duration::from_secs(10),
        application_name: None,
        options: None,
    })
}

fn percent_decode(text: &str) -> Result<String, std::string::FromUtf8Error> {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let hex = (bytes[at] == b'%')
            .then(|| text.get(at + 1..at + 3))
            .flatten();
        match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                out.push(byte);
                at += 3;
            }
            None => {
                out.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8(out)
}
