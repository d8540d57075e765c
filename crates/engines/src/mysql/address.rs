//! The URL of a MySQL or MariaDB server, as people write it.

use crate::DbError;
use dunlin_core::failure::ErrorClass;
use dunlin_core::redact::SecretUrl;
use std::time::Duration;

/// Everything that a URL says.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Address {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) socket: Option<String>,
    pub(super) user: Option<String>,
    pub(super) password: Option<String>,
    pub(super) database: Option<String>,
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
    let host = decode(parsed.host_str().unwrap_or("localhost"))?;
    let socket = parsed
        .query_pairs()
        .find(|(key, _)| key == "socket")
        .map(|(_, value)| value.into_owned());
    let some = |text: String| (!text.is_empty()).then_some(text);
    Ok(Address {
        host: host.trim_matches(['[', ']']).to_owned(),
        port: parsed.port().unwrap_or(3306),
        socket,
        user: some(decode(parsed.username())?),
        password: parsed.password().map(decode).transpose()?,
        database: some(decode(parsed.path().trim_start_matches('/'))?),
        connect_timeout: Duration::from_secs(10),
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
