//! What the URLs of servers have in common: their parts, percent-encoding, the environment beside them. Which
//! parameters there are is each engine's own business.

use crate::DbError;
use dunlin_core::failure::ErrorClass;
use dunlin_core::redact::SecretUrl;
use dunlin_core::source::nearest;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long connecting may take where the URL does not say.
pub(crate) const CONNECT_PATIENCE: Duration = Duration::from_secs(10);

/// The parts of `scheme://user:password@host:port,host:port/database?key=value`, percent-decoded.
#[derive(Default, PartialEq, Eq)]
pub(crate) struct Parts {
    pub(crate) user: Option<String>,
    pub(crate) password: Option<String>,
    pub(crate) hosts: Vec<(String, Option<u16>)>,
    pub(crate) database: Option<String>,
    pub(crate) params: Vec<(String, String)>,
}

/// Where a URL is read: environment, home folder, and the folder where relative paths begin.
pub(crate) struct Surroundings<'a> {
    pub(crate) env: &'a dyn Fn(&str) -> Option<String>,
    pub(crate) home: Option<PathBuf>,
    pub(crate) base: Option<PathBuf>,
    /// The account of the operating system, for where no variable names it.
    pub(crate) account: fn() -> Option<String>,
}

impl Surroundings<'_> {
    /// A variable that is set and not empty.
    pub(crate) fn var(&self, name: &str) -> Option<String> {
        (self.env)(name).filter(|value| !value.is_empty())
    }

    /// Who runs this, as the servers' own clients see it: `USER` and `LOGNAME`, else the account itself.
    pub(crate) fn user(&self) -> Option<String> {
        let named = ["USER", "LOGNAME"].iter().find_map(|name| self.var(name));
        named.or_else(self.account)
    }

    /// A path of a URL: `~/` is the home folder, a relative one begins at the configuration's folder.
    pub(crate) fn path(&self, text: &str) -> PathBuf {
        match (text.strip_prefix("~/"), &self.home, &self.base) {
            (Some(rest), Some(home), _) => home.join(rest),
            (_, _, Some(base)) => base.join(text),
            _ => PathBuf::from(text),
        }
    }
}

/// Runs a reader in the process's own surroundings.
pub(crate) fn in_process<T>(base: Option<&Path>, read: impl FnOnce(&Surroundings<'_>) -> T) -> T {
    let env = |name: &str| std::env::var(name).ok();
    read(&Surroundings {
        env: &env,
        home: std::env::var_os("HOME").map(PathBuf::from),
        base: base.map(Path::to_path_buf),
        account: || whoami::username().ok(),
    })
}

/// Who runs this process: from the environment, else the operating system's account (a service has no `USER`).
pub fn user() -> Option<String> {
    in_process(None, |around| around.user())
}

/// A fault of a URL. The URL is shown masked and without its parameters: a password may stand under any misspelling.
pub(crate) fn bad(url: &SecretUrl, what: impl std::fmt::Display) -> DbError {
    let shown = url.to_string();
    let shown = shown.split('?').next().unwrap_or_default();
    let mut error = DbError::new(ErrorClass::Other, format!("the URL `{shown}`: {what}"));
    error.code = "url".into();
    error
}

/// A parameter that is not known: named, with the nearest known one.
pub(crate) fn unknown(url: &SecretUrl, key: &str, known: &[&str]) -> DbError {
    let mut error = bad(
        url,
        format!("`{key}` is not a parameter that is known here"),
    );
    error.hint = nearest::nearest(key, known.iter().copied())
        .map(|near| format!("did you mean `{near}`?"))
        .or_else(|| {
            Some("take it out; a parameter that is ignored could be one that protects".into())
        });
    error
}

/// A parameter whose value is none of the known ones.
pub(crate) fn bad_value(url: &SecretUrl, key: &str, known: &[&str]) -> DbError {
    let mut error = bad(
        url,
        format!("the value of `{key}` is not one that is known"),
    );
    error.hint = Some(format!("it may be {}", known.join(", ")));
    error
}

/// Where user and password end in `user:password@…`. A password may hold `/`, `?`, `#` and `@` unescaped, as people
/// paste them; a host cannot hold any of these.
fn userinfo_end(rest: &str) -> Option<usize> {
    let authority = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    if let Some(at) = rest[..authority].rfind('@') {
        return Some(at);
    }
    // `user:pass/word@host`: what follows the colon is no port, so the first slash is the password's.
    let (_, after) = rest[..authority].rsplit_once(':')?;
    if after.is_empty() || rest.starts_with('[') || after.bytes().all(|byte| byte.is_ascii_digit())
    {
        return None;
    }
    let query = rest.find("?").filter(|query| !rest[*query..].contains('@'));
    rest[..query.unwrap_or(rest.len())].rfind('@')
}

/// Cuts a URL into its parts.
pub(crate) fn split(url: &SecretUrl) -> Result<Parts, DbError> {
    let decode = |text: &str| decoded(text).ok_or_else(|| bad(url, "a part of it is not UTF-8"));
    let (_, rest) = url
        .expose()
        .split_once(':')
        .ok_or_else(|| bad(url, "it has no scheme"))?;
    let rest = rest
        .strip_prefix("//")
        .ok_or_else(|| bad(url, "`//` is missing after the scheme"))?;
    let mut parts = Parts::default();
    let rest = match userinfo_end(rest) {
        None => rest,
        Some(at) => {
            let info = &rest[..at];
            let (user, password) = match info.split_once(':') {
                Some((user, password)) => (user, Some(password)),
                None => (info, None),
            };
            parts.user = some(decode(user)?);
            parts.password = password.map(decode).transpose()?.and_then(some);
            &rest[at + 1..]
        }
    };
    let rest = rest.split('#').next().unwrap_or_default();
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    parts.database = some(decode(path.trim_end_matches('/'))?);
    for host in authority.split(',').filter(|host| !host.is_empty()) {
        let (name, port) = split_host(url, host)?;
        parts.hosts.push((decode(name)?, port));
    }
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair
            .split_once('=')
            .ok_or_else(|| bad(url, "a parameter has no `=`"))?;
        parts.params.push((decode(key)?, decode(value)?));
    }
    Ok(parts)
}

/// `name:port`, `[::1]:port`, `%2Frun%2Fsocket`.
pub(crate) fn split_host<'a>(
    url: &SecretUrl,
    text: &'a str,
) -> Result<(&'a str, Option<u16>), DbError> {
    let (name, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (name, after) = rest
                .split_once(']')
                .ok_or_else(|| bad(url, "an IPv6 address lacks its `]`"))?;
            (name, after.strip_prefix(':').unwrap_or(after))
        }
        None if text.matches(':').count() > 1 => {
            return Err(bad(url, "an IPv6 address is written in brackets: `[::1]`"));
        }
        None => text.split_once(':').unwrap_or((text, "")),
    };
    if port.is_empty() {
        return Ok((name, None));
    }
    match port.parse() {
        Ok(port) if port > 0 => Ok((name, Some(port))),
        _ => Err(bad(
            url,
            "the port is not a number from 1 to 65535 (special characters of a password are percent-encoded)",
        )),
    }
}

pub(crate) fn some(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

/// Percent-decoding. A `%` that begins no code stands for itself, as in a password that nobody encoded.
pub(crate) fn decoded(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let hex = (bytes[at] == b'%')
            .then(|| text.get(at + 1..at + 3))
            .flatten()
            .filter(|hex| hex.bytes().all(|byte| byte.is_ascii_hexdigit()));
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
    String::from_utf8(out).ok()
}

/// `true`, `1`, `yes`, `on` and their opposites.
pub(crate) fn flag(url: &SecretUrl, key: &str, value: &str) -> Result<bool, DbError> {
    match value.to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "on" | "" => Ok(true),
        "false" | "0" | "no" | "off" => Ok(false),
        _ => Err(bad_value(url, key, &["true", "false"])),
    }
}

/// A number of seconds (or `10s`, `500ms`); zero means: no bound of ours, an hour.
pub(crate) fn seconds(url: &SecretUrl, key: &str, value: &str) -> Result<Duration, DbError> {
    let (digits, unit) = match value {
        _ if value.ends_with("ms") => (&value[..value.len() - 2], 1),
        _ if value.ends_with('s') => (&value[..value.len() - 1], 1000),
        _ => (value, 1000),
    };
    let number: u64 = digits
        .trim()
        .parse()
        .map_err(|_| bad_value(url, key, &["a number of seconds", "500ms"]))?;
    Ok(match Duration::from_millis(number.saturating_mul(unit)) {
        Duration::ZERO => Duration::from_secs(3600),
        given => given,
    })
}

/// Whether nobody but this machine is on the way: there, an unasked-for TLS handshake protects nothing.
pub(crate) fn is_loopback(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost")
        || host
            .parse::<std::net::IpAddr>()
            .is_ok_and(|ip| ip.is_loopback())
}

/// Whether others than the owner may do what `mask` names.
#[cfg(unix)]
pub(crate) fn open_to_others(path: &Path, mask: u32) -> bool {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(path).is_ok_and(|meta| meta.permissions().mode() & mask != 0)
}
#[cfg(not(unix))]
pub(crate) fn open_to_others(_path: &Path, _mask: u32) -> bool {
    false
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn parts(url: &str) -> Parts {
        split(&SecretUrl::new(url)).unwrap()
    }

    #[test]
    fn a_url_is_cut_where_people_mean_it() {
        let all = parts("postgres://us%40er:p%2Fw@h1:5433,[::1]:2,h3/my%20db?a=1&b=%26");
        assert_eq!(all.user.as_deref(), Some("us@er"));
        assert_eq!(all.password.as_deref(), Some("p/w"));
        assert_eq!(
            all.hosts,
            [
                ("h1".into(), Some(5433)),
                ("::1".into(), Some(2)),
                ("h3".into(), None)
            ]
        );
        assert_eq!(all.database.as_deref(), Some("my db"));
        assert_eq!(
            all.params,
            [("a".into(), "1".into()), ("b".into(), "&".into())]
        );
        for (url, password, host) in [
            ("mysql://a:we/ird@h/db", "we/ird", "h"),
            ("mysql://a:p@ss@h/db", "p@ss", "h"),
            ("mysql://a:p?s#s@h/db", "p?s#s", "h"),
            ("mysql://a:100%@h/db", "100%", "h"),
            ("mysql://a:x:y@h/db", "x:y", "h"),
        ] {
            let parts = parts(url);
            assert_eq!(parts.password.as_deref(), Some(password), "{url}");
            assert_eq!(parts.hosts[0].0, host, "{url}");
            assert_eq!(parts.database.as_deref(), Some("db"), "{url}");
        }
        let query = parts("postgres:///db?user=a@b");
        assert_eq!((query.user, query.params[0].1.as_str()), (None, "a@b"));
        let query = parts("postgres://h:5432/db?user=a@b");
        assert_eq!(query.hosts, [("h".into(), Some(5432))]);
    }

    #[test]
    fn what_is_wrong_is_said_without_the_password() {
        for (url, part) in [
            ("postgres:h/db", "//"),
            ("postgres://a:s3cret@h:99999/db", "port"),
            ("postgres://a:s3cret@::1/db", "brackets"),
            ("postgres://a:s3cret@h/db?x", "no `=`"),
            ("postgres://a:s3cret@%ff/db", "UTF-8"),
        ] {
            let error = split(&SecretUrl::new(url)).err().unwrap();
            assert!(error.message.contains(part), "{url}: {error}");
            assert!(!error.message.contains("s3cret"), "{url}: {error}");
        }
    }
}
