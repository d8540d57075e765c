//! `version.json` written back: what is applied now, everything else kept as it stands.

use crate::source::Version;
use serde::Serialize;
use serde_json::{Map, Value, json};

/// What is known of one migration when the manifest is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppliedLine {
    /// Its version.
    pub version: String,
    /// Its name.
    pub name: String,
    /// Whether it is applied.
    pub applied: bool,
    /// When it was applied, RFC 3339.
    pub applied_at: Option<String>,
    /// The checksum that was journalled then.
    pub checksum: Option<String>,
}

/// The text of `version.json` with what is applied now, `current` being the newest applied version. Everything that the old text holds is kept, in its order and
/// with its indentation; migrations that it does not list are added. An old text that is no table is an error: it is not ours
/// to throw away.
pub fn write_manifest(
    old: Option<&str>,
    current: Option<&str>,
    lines: &[AppliedLine],
) -> Result<String, String> {
    let old = old
        .map(|old| old.trim_start_matches('\u{feff}'))
        .filter(|old| !old.trim().is_empty());
    let mut root = match old {
        None => Map::new(),
        Some(old) => match serde_json::from_str(old) {
            Ok(Value::Object(root)) => root,
            Ok(_) => return Err("version.json is not a table (`{ … }`)".into()),
            Err(fault) => return Err(format!("version.json is not valid JSON: {fault}")),
        },
    };
    let style = Style::of(old, &root);
    let entries = root.get("migrations").cloned();
    let current = current.map_or(Value::Null, |current| {
        let entry = entries
            .as_ref()
            .and_then(|entries| find_entry(entries, &Version(current.to_owned())));
        let spelled = entry
            .and_then(|entry| entry.get("version"))
            .filter(|version| version.is_string() || version.is_number());
        // The file's own spelling: where it says `1` for the script 001, it goes on saying so.
        spelled.cloned().unwrap_or_else(|| current.into())
    });
    root.insert("current_version".into(), current);
    let migrations = root.entry("migrations").or_insert_with(|| json!({}));
    if !matches!(migrations, Value::Object(_)) && migrations.as_array().is_none_or(Vec::is_empty) {
        *migrations = json!({});
    }
    for line in lines {
        put(migrations, line, &style);
    }
    Ok(style.text(&Value::Object(root)))
}

fn entry_version(key: Option<&str>, entry: &Value) -> Option<Version> {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let own = match entry.get("version") {
        Some(Value::String(text)) => Some(text.clone()),
        Some(Value::Number(number)) => Some(number.to_string()),
        _ => None,
    };
    key.map(str::to_owned)
        .filter(|key| digits(key))
        .or(own.filter(|own| digits(own)))
        .map(Version)
}

fn find_entry<'a>(entries: &'a Value, version: &Version) -> Option<&'a Value> {
    match entries {
        Value::Object(map) => map
            .iter()
            .find(|(key, entry)| entry_version(Some(key), entry).as_ref() == Some(version))
            .map(|(_, entry)| entry),
        Value::Array(list) => list
            .iter()
            .find(|entry| entry_version(None, entry).as_ref() == Some(version)),
        _ => None,
    }
}

fn put(migrations: &mut Value, line: &AppliedLine, style: &Style) {
    let version = Version(line.version.clone());
    let fresh = || {
        json!({
            "version": line.version,
            "name": line.name,
            "file": format!("{}_{}.sql", line.version, line.name),
        })
    };
    let place = match migrations {
        Value::Object(map) => {
            let key = map
                .iter()
                .find(|(key, entry)| entry_version(Some(key), entry).as_ref() == Some(&version));
            let key = key.map_or_else(|| line.version.clone(), |(key, _)| key.clone());
            map.entry(key).or_insert_with(fresh)
        }
        Value::Array(list) => {
            let known = list
                .iter()
                .position(|entry| entry_version(None, entry).as_ref() == Some(&version));
            let at = known.unwrap_or_else(|| {
                list.push(fresh());
                list.len() - 1
            });
            &mut list[at]
        }
        _ => return,
    };
    if !place.is_object() {
        *place = fresh();
    }
    if let Value::Object(entry) = place {
        let (at, checksum) = match line.applied {
            true => (
                line.applied_at
                    .as_deref()
                    .map(|at| style.instant(at))
                    .into(),
                line.checksum.clone().into(),
            ),
            false => (Value::Null, Value::Null),
        };
        entry.insert("applied".into(), line.applied.into());
        entry.insert("applied_at".into(), at);
        entry.insert("checksum".into(), checksum);
    }
}

/// How the old text is laid out.
struct Style {
    indent: String,
    newline: &'static str,
    ends_with_newline: bool,
    /// Instants as MySQL and WordPress write them, `2025-08-30 20:36:56` in UTC, where the file has them so.
    plain_instants: bool,
}

impl Style {
    fn of(old: Option<&str>, root: &Map<String, Value>) -> Style {
        let first = old.and_then(|old| old.lines().find(|line| line.starts_with([' ', '\t'])));
        let indent = first.map(|line| line[..line.len() - line.trim_start().len()].to_owned());
        let mut instants = vec![];
        collect_instants(&Value::Object(root.clone()), &mut instants);
        Style {
            indent: indent.unwrap_or_else(|| "    ".into()),
            newline: if old.is_some_and(|old| old.contains("\r\n")) {
                "\r\n"
            } else {
                "\n"
            },
            ends_with_newline: old.is_none_or(|old| old.ends_with('\n')),
            plain_instants: instants
                .iter()
                .any(|instant| instant.as_bytes().get(10) == Some(&b' ')),
        }
    }

    fn instant(&self, at: &str) -> String {
        match at.parse::<jiff::Timestamp>() {
            Ok(instant) if self.plain_instants => instant.strftime("%Y-%m-%d %H:%M:%S").to_string(),
            _ => at.to_owned(),
        }
    }

    fn text(&self, value: &Value) -> String {
        let formatter = serde_json::ser::PrettyFormatter::with_indent(self.indent.as_bytes());
        let mut out = vec![];
        let mut serializer = serde_json::Serializer::with_formatter(&mut out, formatter);
        let text = match value.serialize(&mut serializer) {
            Ok(()) => String::from_utf8_lossy(&out).into_owned(),
            // Writing a value that was read, into memory, has nothing to fail at.
            Err(_) => value.to_string(),
        };
        let text = if self.newline == "\r\n" {
            text.replace('\n', "\r\n")
        } else {
            text
        };
        if self.ends_with_newline {
            text + self.newline
        } else {
            text
        }
    }
}

fn collect_instants(value: &Value, out: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                match value {
                    Value::String(text) if key.ends_with("_at") || key.ends_with("_check") => {
                        out.push(text.clone())
                    }
                    value => collect_instants(value, out),
                }
            }
        }
        Value::Array(list) => list.iter().for_each(|value| collect_instants(value, out)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const OLD: &str = include_str!("../testdata/version.json");

    fn state(version: &str, applied: bool) -> AppliedLine {
        AppliedLine {
            version: version.into(),
            name: format!("name_{version}"),
            applied,
            applied_at: applied.then(|| "2026-01-02T03:04:05Z".into()),
            checksum: applied.then(|| format!("sum-{version}")),
        }
    }

    #[test]
    fn a_manifest_is_written_back_with_everything_kept() {
        let written = write_manifest(
            Some(OLD),
            Some("002"),
            &[state("001", true), state("002", true), state("003", false)],
        )
        .unwrap();
        insta::assert_snapshot!(written);
        assert_eq!(
            write_manifest(
                Some(&written),
                Some("002"),
                &[state("001", true), state("002", true), state("003", false)]
            )
            .unwrap(),
            written
        );
    }

    #[test]
    fn a_manifest_is_made_where_there_is_none() {
        insta::assert_snapshot!(
            write_manifest(
                None,
                Some("001"),
                &[state("001", true), state("002", false)]
            )
            .unwrap()
        );
    }

    #[test]
    fn lists_tabs_and_line_ends_stay() {
        let old = "{\r\n\t\"x\": [1],\r\n\t\"migrations\": [{\"version\": 1, \"z\": null}]\r\n}";
        let written = write_manifest(
            Some(old),
            Some("001"),
            &[state("001", true), state("2", false)],
        )
        .unwrap();
        assert!(written.starts_with("{\r\n\t\"x\": ["), "{written}");
        assert!(
            written.ends_with('}') && written.contains("\"current_version\": 1\r\n"),
            "{written}"
        );
        assert!(
            written.contains("\"z\": null") && written.contains("2026-01-02T03:04:05Z"),
            "{written}"
        );
        assert_eq!(
            write_manifest(Some("[]"), None, &[]).unwrap_err(),
            "version.json is not a table (`{ … }`)"
        );
        assert!(write_manifest(Some("{"), None, &[]).is_err());
        assert!(
            write_manifest(Some("{\"migrations\": []}"), Some("1"), &[state("1", true)])
                .unwrap()
                .contains("\"1\": {")
        );
    }
}
