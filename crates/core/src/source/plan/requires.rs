//! What must be there before a plan begins: `command:pg_dump>=15`, `plugin:analytics`, `disk:5GB`, `backup:24h`, …

use super::super::duration::{EXAMPLES, parse_duration};
use super::super::expand::is_name;
use super::super::grammar::EnvText;
use super::super::nearest::did_you_mean;
use super::expect::Op;
use crate::dialect::EngineKind;
use std::cmp::Ordering;
use std::fmt;
use std::time::Duration;

/// One requirement, with where it stands in the list.
#[derive(Debug, Clone, PartialEq)]
pub struct Requirement {
    /// As it was written, variables not expanded: what people are shown.
    pub written: String,
    /// What must be there.
    pub kind: Required,
}

/// What must be there.
#[derive(Debug, Clone, PartialEq)]
pub enum Required {
    /// A program on the path.
    Command {
        /// Its name.
        name: String,
        /// The version that it states.
        version: Option<VersionBound>,
    },
    /// An extension of the server.
    Extension {
        /// Its name.
        name: String,
        /// Its version.
        version: Option<VersionBound>,
    },
    /// An environment variable that is set.
    Env(String),
    /// A plugin of `dunlin.toml` that is on.
    Plugin(String),
    /// The engine that answers.
    Server {
        /// Which.
        engine: EngineKind,
        /// Its version.
        version: Option<VersionBound>,
    },
    /// Free bytes where the database writes.
    Disk(u64),
    /// Something that takes a connection.
    Tcp {
        /// A name or address, without brackets.
        host: String,
        /// The port.
        port: u16,
    },
    /// An address that answers with 200 to 299.
    Http(EnvText),
    /// A row of a settings table.
    Setting {
        /// The table.
        table: String,
        /// The row's key.
        key: String,
        /// The value that it must have.
        value: String,
    },
    /// A verified backup that is no older.
    Backup(Duration),
    /// A rehearsal of this plan that is no older.
    Rehearsal(Duration),
}

/// A bound on a version: as many numbers are compared as it states, so `=15` holds for 15.4.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionBound {
    /// The comparison.
    pub op: Op,
    /// Major, minor and so on, as far as stated.
    pub numbers: Vec<u64>,
}

/// The kinds with an example each.
const KINDS: [(&str, &str); 11] = [
    ("command", "command:pg_dump>=15"),
    ("extension", "extension:pgcrypto"),
    ("env", "env:BASE"),
    ("plugin", "plugin:analytics"),
    ("server", "server:ENGINE>=13"),
    ("disk", "disk:5GB"),
    ("tcp", "tcp:127.0.0.1:6379"),
    ("http", "http:https://host/health"),
    ("setting", "setting:system_settings.ai_enabled=true"),
    ("backup", "backup:24h"),
    ("rehearsal", "rehearsal:7d"),
];

/// Why a text is no requirement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadRequirement {
    /// A sentence without the place.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
}

impl Required {
    /// Reads a requirement, variables expanded. The messages show the expanded text only in parts that hold no secret.
    pub fn parse(text: &str) -> Result<Required, BadRequirement> {
        let names = KINDS.map(|(name, _)| name);
        let Some((kind, rest)) = text.trim().split_once(':') else {
            let shown = text.trim();
            let known = names.contains(&shown);
            let message = match known {
                true => format!("`{shown}` does not say what is required"),
                false => "a requirement is a kind, a colon and what is required".to_owned(),
            };
            let help = match known {
                true => example(shown),
                false => did_you_mean(shown, &names),
            };
            return Err(BadRequirement { message, help });
        };
        let (kind, rest) = (kind.trim(), rest.trim());
        let fault = |message: String| BadRequirement {
            message,
            help: example(kind),
        };
        if !names.contains(&kind) {
            let scheme =
                (kind == "https").then(|| "write `http:` before the whole address".to_owned());
            return Err(BadRequirement {
                message: format!("`{}` is not a kind of requirement", kind.escape_debug()),
                help: scheme.or_else(|| did_you_mean(kind, &names)),
            });
        }
        if rest.is_empty() {
            return Err(fault(format!("`{kind}:` does not say what is required")));
        }
        of_kind(kind, rest).map_err(|message| match message {
            Fault::Said(message) => fault(message),
            Fault::Near(message, help) => BadRequirement { message, help },
        })
    }
}

enum Fault {
    Said(String),
    Near(String, Option<String>),
}

impl From<String> for Fault {
    fn from(message: String) -> Self {
        Fault::Said(message)
    }
}

fn example(kind: &str) -> Option<String> {
    let found = KINDS.iter().find(|(name, _)| *name == kind);
    found.map(|(_, example)| format!("it looks like `{example}`"))
}

fn of_kind(kind: &str, rest: &str) -> Result<Required, Fault> {
    Ok(match kind {
        "command" => {
            let (name, version) = bounded(rest)?;
            let name = name.to_owned();
            Required::Command { name, version }
        }
        "extension" => {
            let (name, version) = bounded(rest)?;
            let name = name.to_owned();
            Required::Extension { name, version }
        }
        "env" if is_name(rest) => Required::Env(rest.to_owned()),
        "env" => return Err(format!("`{rest}` cannot name a variable").into()),
        "plugin" => Required::Plugin(rest.to_owned()),
        "server" => {
            let (name, version) = bounded(rest)?;
            let engine = engine(name)?;
            Required::Server { engine, version }
        }
        "disk" => Required::Disk(parse_bytes(rest)?),
        "tcp" => tcp(rest)?,
        "http" => Required::Http(EnvText(address(rest)?)),
        "setting" => setting(rest)?,
        _ => {
            let age = parse_duration(rest);
            let age = age.map_err(|message| Fault::Near(message, Some(EXAMPLES.into())))?;
            if age.is_zero() {
                return Err(format!("`{kind}:{rest}`: nothing is younger than that").into());
            }
            match kind {
                "backup" => Required::Backup(age),
                _ => Required::Rehearsal(age),
            }
        }
    })
}

fn engine(name: &str) -> Result<EngineKind, Fault> {
    let names: Vec<String> = EngineKind::ALL.iter().map(EngineKind::to_string).collect();
    let found = names.iter().position(|known| known == name);
    found.map(|at| EngineKind::ALL[at]).ok_or_else(|| {
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let message = format!(
            "`{}` is not an engine that Dunlin knows",
            name.escape_debug()
        );
        Fault::Near(message, did_you_mean(name, &names))
    })
}

/// A name and, behind a comparison, a version.
fn bounded(text: &str) -> Result<(&str, Option<VersionBound>), String> {
    let at = text.find(['<', '>', '=', '!']).unwrap_or(text.len());
    let (name, bound) = (text[..at].trim(), &text[at..]);
    if name.is_empty() || name.contains(char::is_whitespace) || name.contains(char::is_control) {
        return Err(format!("`{}` is not one name", name.escape_debug()));
    }
    if bound.is_empty() {
        return Ok((name, None));
    }
    VersionBound::parse(bound).map(|bound| (name, Some(bound)))
}

impl VersionBound {
    /// Reads a bound: `>=15`, `= 3.45.1`.
    pub fn parse(text: &str) -> Result<VersionBound, String> {
        let bad = || format!("`{}` is not a bound on a version", text.escape_debug());
        let (op, rest) = Op::at_start(text.trim()).ok_or_else(bad)?;
        let numbers: Option<Vec<u64>> = rest.trim().split('.').map(number).collect();
        let numbers = numbers.ok_or_else(bad)?;
        Ok(VersionBound { op, numbers })
    }

    /// Whether a version fulfils the bound; `None` where the text states no version. The version is the first number
    /// in it, with what hangs on it by dots: `pg_dump (PostgreSQL) 15.4 (Debian)` is 15.4.
    pub fn holds(&self, version: &str) -> Option<bool> {
        let bytes = version.as_bytes();
        // A digit within a word (`x86_64`, `psql2`) begins no version; a `v` before it does not matter.
        let begins = |at: &usize| {
            let before = version[..*at].trim_end_matches(['v', 'V']);
            let glued = before.ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == '.');
            bytes[*at].is_ascii_digit() && !glued
        };
        let from = (0..bytes.len())
            .filter(|at| version.is_char_boundary(*at))
            .find(begins)?;
        let text: &str = version[from..]
            .split(|c: char| !c.is_ascii_digit() && c != '.')
            .next()?;
        let given: Option<Vec<u64>> = text.trim_end_matches('.').split('.').map(number).collect();
        let given = given?;
        let order = self
            .numbers
            .iter()
            .enumerate()
            .map(|(at, bound)| given.get(at).unwrap_or(&0).cmp(bound))
            .find(|order| order.is_ne());
        Some(self.op.holds(order.unwrap_or(Ordering::Equal)))
    }
}

fn number(digits: &str) -> Option<u64> {
    let fine = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    fine.then(|| digits.parse().ok()).flatten()
}

impl fmt::Display for VersionBound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let numbers: Vec<String> = self.numbers.iter().map(u64::to_string).collect();
        write!(f, "{}{}", self.op, numbers.join("."))
    }
}

impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written)
    }
}

fn tcp(text: &str) -> Result<Required, String> {
    let bad = || format!("`tcp:{}` is not a host and a port", text.escape_debug());
    let (host, port) = text.rsplit_once(':').ok_or_else(bad)?;
    let host = match host.strip_prefix('[') {
        Some(inner) => inner.strip_suffix(']').ok_or_else(bad)?,
        // An IPv6 address without brackets: where it ends and the port begins is not said.
        None if host.contains(':') => return Err(bad()),
        None => host,
    };
    let port: u16 = number(port)
        .and_then(|port| port.try_into().ok())
        .filter(|port| *port > 0)
        .ok_or_else(bad)?;
    if host.is_empty() || host.contains(char::is_whitespace) || host.contains('/') {
        return Err(bad());
    }
    let host = host.to_owned();
    Ok(Required::Tcp { host, port })
}

/// The whole address behind `http:`; `http://host/x` is taken as it is meant. The text may hold secrets and is not shown.
fn address(text: &str) -> Result<String, String> {
    let whole = match text.strip_prefix("//") {
        Some(rest) => format!("http://{rest}"),
        None => text.to_owned(),
    };
    let host = ["http://", "https://"]
        .iter()
        .find_map(|scheme| whole.strip_prefix(scheme));
    match host {
        Some(host) if !host.is_empty() && !host.starts_with('/') => Ok(whole),
        _ => Err("what follows `http:` is not an address with `http://` or `https://`".to_owned()),
    }
}

fn setting(text: &str) -> Result<Required, String> {
    let bad = || format!("`setting:{}` is not `table.key=value`", text.escape_debug());
    let (name, value) = text.split_once('=').ok_or_else(bad)?;
    let (table, key) = name.split_once('.').ok_or_else(bad)?;
    let (table, key) = (table.trim().to_owned(), key.trim().to_owned());
    if table.is_empty() || key.is_empty() {
        return Err(bad());
    }
    let value = value.trim().to_owned();
    Ok(Required::Setting { table, key, value })
}

/// Units of size with their bytes: the decimal ones that disks are sold in, and the binary ones.
const SIZES: [(&str, u64); 9] = [
    ("B", 1),
    ("KB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
    ("KIB", 1 << 10),
    ("MIB", 1 << 20),
    ("GIB", 1 << 30),
    ("TIB", 1 << 40),
];

/// Reads a size: `2GB`, `500 MB`, `1.5GiB`. The error is a sentence without the place.
pub fn parse_bytes(text: &str) -> Result<u64, String> {
    let bad = || format!("`{}` is not a size: `500MB`, `2GB`", text.escape_debug());
    let digits = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .ok_or_else(bad)?;
    let (number, unit) = (&text[..digits], text[digits..].trim().to_ascii_uppercase());
    let factor = SIZES
        .iter()
        .find(|(name, _)| *name == unit)
        .ok_or_else(bad)?
        .1;
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    let fraction_digits = u32::try_from(fraction.len())
        .ok()
        .filter(|count| *count <= 6);
    let (Some(whole), Some(parts), Some(count)) =
        (self::number(whole), self::number(fraction), fraction_digits)
    else {
        return Err(bad());
    };
    let whole = u128::from(whole) * u128::from(factor);
    let parts = u128::from(parts) * u128::from(factor) / 10_u128.pow(count);
    u64::try_from(whole + parts).map_err(|_| bad())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn bound(op: Op, numbers: &[u64]) -> Option<VersionBound> {
        let numbers = numbers.to_vec();
        Some(VersionBound { op, numbers })
    }

    #[test]
    fn every_kind_is_read() {
        let command = |name: &str, version| Required::Command {
            name: name.into(),
            version,
        };
        let day = Duration::from_secs(86_400);
        for (text, expected) in [
            (
                "command:pg_dump>=15",
                command("pg_dump", bound(Op::GreaterOrEqual, &[15])),
            ),
            ("command:jq", command("jq", None)),
            (
                "command: psql = 16.2",
                command("psql", bound(Op::Equal, &[16, 2])),
            ),
            (
                "extension:postgis<4",
                Required::Extension {
                    name: "postgis".into(),
                    version: bound(Op::Less, &[4]),
                },
            ),
            ("env:BASE_URL", Required::Env("BASE_URL".into())),
            ("plugin:analytics", Required::Plugin("analytics".into())),
            (
                "server:postgres>=13",
                Required::Server {
                    engine: EngineKind::Postgres,
                    version: bound(Op::GreaterOrEqual, &[13]),
                },
            ),
            ("disk:5GB", Required::Disk(5_000_000_000)),
            (
                "tcp:127.0.0.1:6379",
                Required::Tcp {
                    host: "127.0.0.1".into(),
                    port: 6379,
                },
            ),
            (
                "tcp:[::1]:65535",
                Required::Tcp {
                    host: "::1".into(),
                    port: 65_535,
                },
            ),
            (
                "http:https://h/health",
                Required::Http(EnvText("https://h/health".into())),
            ),
            (
                "http://h:80/health",
                Required::Http(EnvText("http://h:80/health".into())),
            ),
            (
                "setting:system_settings.ai.enabled=a=b",
                Required::Setting {
                    table: "system_settings".into(),
                    key: "ai.enabled".into(),
                    value: "a=b".into(),
                },
            ),
            ("backup:24h", Required::Backup(day)),
            ("rehearsal:7d", Required::Rehearsal(day * 7)),
        ] {
            assert_eq!(Required::parse(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_requirement_is_refused_with_help() {
        for (bad, says) in [
            ("", "a kind, a colon"),
            ("backup", "`backup:24h`"),
            ("comand:x", "did you mean `command`?"),
            ("https://h/health", "`http:` before"),
            ("command:", "does not say"),
            ("command:>=15", "not one name"),
            ("command:pg_dump>=", "bound on a version"),
            ("command:pg_dump>=a", "bound on a version"),
            ("command:a b", "not one name"),
            ("env:A-B", "cannot name a variable"),
            ("server:postgras", "did you mean `postgres`?"),
            ("disk:5", "not a size"),
            ("disk:GB", "not a size"),
            ("disk:-5GB", "not a size"),
            ("disk:99999999999TB", "not a size"),
            ("tcp:6379", "host and a port"),
            ("tcp:h:0", "host and a port"),
            ("tcp:h:65536", "host and a port"),
            ("tcp:::1:80", "host and a port"),
            ("http:h/health", "is not an address"),
            ("http://", "is not an address"),
            ("setting:a=b", "table.key=value"),
            ("setting:a.b", "table.key=value"),
            ("backup:24", "has no unit"),
            ("backup:0", "nothing is younger"),
            ("rehearsal:soon", "not a duration"),
        ] {
            let fault = Required::parse(bad).unwrap_err();
            let said = format!("{}. {}", fault.message, fault.help.unwrap_or_default());
            assert!(said.contains(says), "{bad}: {said}");
        }
    }

    #[test]
    fn versions_are_compared_number_by_number_as_far_as_stated() {
        for (text, version, holds) in [
            (">=15", "pg_dump (PostgreSQL) 15.4 (Debian 15.4-1)", true),
            (">=15", "pg_dump (PostgreSQL) 14.9", false),
            (">=15", "15", true),
            (">=9", "10.2", true),
            (">15", "15.4", false),
            (">15", "16", true),
            ("=15", "15.4", true),
            ("=15.0", "15.4", false),
            ("<=3.45", "3.45.3", true),
            ("<3.45", "3.45.0", false),
            (">=3.45.2", "3.45", false),
            ("<>8", "8.4", false),
            (">=8.0.30", "mysql  Ver 8.0.36-0ubuntu for x86_64", true),
            (">=1.7", "jq-1.7.1", true),
            (">=20", "v20.1.0", true),
        ] {
            let bound = VersionBound::parse(text).unwrap();
            assert_eq!(bound.holds(version), Some(holds), "{version} {text}");
        }
        let bound = VersionBound::parse(">=1").unwrap();
        assert_eq!(bound.holds("no number, x86_64 or é"), None);
        assert_eq!(bound.to_string(), ">=1");
    }

    #[test]
    fn sizes_are_read() {
        for (text, bytes) in [
            ("0B", 0),
            ("2GB", 2_000_000_000),
            ("500 mb", 500_000_000),
            ("1.5GiB", 1_610_612_736),
            ("1kB", 1_000),
        ] {
            assert_eq!(parse_bytes(text), Ok(bytes), "{text}");
        }
        for bad in [
            "",
            "5",
            "GB",
            "5XB",
            "1..5GB",
            ".5GB",
            "5.GB",
            "1.0000001GB",
        ] {
            assert!(parse_bytes(bad).is_err(), "{bad}");
        }
    }
}
