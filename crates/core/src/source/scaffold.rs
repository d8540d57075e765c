//! The texts that `init` and `new` write.

use super::Version;
use super::folder::{FileName, file_name, is_mark, is_snake};
use crate::limits::VERSION_DIGITS_MAX;
use crate::redact::SecretUrl;

/// The longest name of a script, in bytes: file systems take 255, and version and `.undo.sql` want their room.
const NAME_BYTES_MAX: usize = 180;

/// A name as the folder wants it: lower case, words joined by `_`. `None`: nothing of it is a letter or a digit.
pub fn snake_case(name: &str) -> Option<String> {
    let mut out = String::new();
    let mut before = ' ';
    for c in name.chars() {
        if c.is_alphanumeric() {
            let hump = c.is_uppercase() && (before.is_lowercase() || before.is_ascii_digit());
            if hump && !out.ends_with('_') && !out.is_empty() {
                out.push('_');
            }
            // A capital whose small form is several characters (İ) keeps only what fits the grammar.
            out.extend(
                c.to_lowercase()
                    .filter(|c| c.is_alphanumeric() || is_mark(*c)),
            );
        } else if is_mark(c) && before.is_alphanumeric() {
            out.push(c);
        } else if c != '\'' && c != '’' && !out.is_empty() && !out.ends_with('_') {
            // An apostrophe joins ("don't"), everything else parts.
            out.push('_');
        }
        before = c;
    }
    let cut = (0..=NAME_BYTES_MAX.min(out.len()))
        .rev()
        .find(|at| out.is_char_boundary(*at))
        .unwrap_or(0);
    out.truncate(cut);
    let name = out.trim_matches('_');
    is_snake(name).then(|| name.to_owned())
}

/// A migration to be written: the file's name and its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct New {
    /// The bare name of the file.
    pub file: String,
    /// What stands in it.
    pub text: String,
}

/// The next migration of a folder, in the folder's own style: numbers as wide as the last one, or timestamps. `files` are
/// the bare names of what is there; `now` is the caller's clock as `YYYYMMDDHHMMSS`, UTC. The error is a sentence for the
/// person who typed the name.
pub fn migration(name: &str, files: &[String], now: &str) -> Result<New, String> {
    let snake = snake_case(name).ok_or_else(|| {
        format!(
            "`{}` cannot name a migration: it holds no letter and no digit",
            name.escape_debug()
        )
    })?;
    let existing: Vec<Version> = files
        .iter()
        .filter_map(|file| match file_name(file) {
            FileName::Up(version, _) | FileName::Undo(version, _) => Some(version),
            _ => None,
        })
        .collect();
    let version = next_version(&existing, now)?;
    let description = name.trim().replace('\\', "\\\\").replace('"', "\\\"");
    let description: String = description
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    let text = format!(
        "-- dunlin: description = \"{description}\"

-- The change goes here.


-- dunlin:undo

-- The way back goes here, newest change first. If there is none, delete everything from `dunlin:undo` on and add
-- a directive below the description: irreversible = \"why\"
"
    );
    Ok(New {
        file: format!("{version}_{snake}.sql"),
        text,
    })
}

/// The version after the newest one.
pub fn next_version(existing: &[Version], now: &str) -> Result<Version, String> {
    let Some(newest) = existing.iter().max() else {
        return Ok(Version("001".into()));
    };
    // Fourteen digits that begin like a year of this era are a timestamp; longer ones carry fractions of a second.
    let is_stamp = newest.0.len() >= 14
        && now.len() == 14
        && (newest.0.starts_with("19") || newest.0.starts_with("20"));
    if is_stamp {
        let wide = Version(format!("{now:0<width$}", width = newest.0.len()));
        if wide > *newest {
            return Ok(wide);
        }
    }
    let next = increment(&newest.0);
    if next.len() > VERSION_DIGITS_MAX {
        return Err(format!(
            "there is no version after {newest} that has at most {VERSION_DIGITS_MAX} digits"
        ));
    }
    Ok(Version(next))
}

/// A decimal number and one, as wide as before where that is enough.
fn increment(digits: &str) -> String {
    let mut out: Vec<u8> = digits.bytes().collect();
    for digit in out.iter_mut().rev() {
        if *digit == b'9' {
            *digit = b'0';
        } else {
            *digit += 1;
            return out.iter().map(|byte| char::from(*byte)).collect();
        }
    }
    let zeros: String = out.iter().map(|byte| char::from(*byte)).collect();
    format!("1{zeros}")
}

/// The `dunlin.toml` that `init` writes. A URL with a password is not written down: the file goes into version control.
pub fn project(project: &str, url: Option<&str>) -> String {
    let quoted = |text: &str| {
        let text: String = text.chars().filter(|c| !c.is_control()).collect();
        text.replace('\\', "\\\\").replace('"', "\\\"")
    };
    let name = quoted(project);
    let url = match url {
        None => format!("${{DATABASE_URL:-{}:app.db}}", schemes()[0]),
        Some(url) if SecretUrl::new(url).secrets().is_empty() => quoted(url),
        Some(_) => "${DATABASE_URL}".to_owned(),
    };
    let (known, file) = (schemes().join(", "), schemes()[0]);
    format!(
        "# What Dunlin is to know of this project. Every key: docs/reference/files.md

[project]
name = \"{name}\"

[database.app]
# A URL; its scheme is one of {known}.
# Passwords belong into the environment or into .env, which is read and never overrides the environment.
url = \"{url}\"
migrations = \"migrations\"
backup = \"auto\"

# dunlin --env test up
[env.test.database.app]
url = \"{file}:test.db\"
"
    )
}

/// The URL schemes of this build; the first one is that of the engine whose databases are files.
fn schemes() -> Vec<&'static str> {
    crate::dialect::all()
        .iter()
        .flat_map(|dialect| dialect.schemes())
        .copied()
        .collect()
}

/// The lines that `init` adds to `.gitignore` where they are missing.
pub const GIT_IGNORE: [&str; 3] = ["/backups/", "/.env", "*-dunlin-lock"];

/// `.gitignore` with our lines; `None`: nothing is missing.
pub fn gitignore(old: &str) -> Option<String> {
    let has = |line: &str| {
        old.lines()
            .any(|known| known.trim().trim_matches('/') == line.trim_matches('/'))
    };
    let missing: Vec<&str> = GIT_IGNORE.into_iter().filter(|line| !has(line)).collect();
    if missing.is_empty() {
        return None;
    }
    let gap = if old.is_empty() || old.ends_with('\n') {
        ""
    } else {
        "\n"
    };
    Some(format!("{old}{gap}{}\n", missing.join("\n")))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn versions(list: &[&str]) -> Vec<Version> {
        list.iter()
            .map(|version| Version((*version).into()))
            .collect()
    }

    #[test]
    fn any_name_becomes_snake_case_or_is_refused() {
        for (name, snake) in [
            ("add tags", Some("add_tags")),
            ("AddUserTags", Some("add_user_tags")),
            ("  Don't \"quote\" -- me!  ", Some("dont_quote_me")),
            ("HTTPServer2Go", Some("httpserver2_go")),
            ("جدول تازه", Some("جدول_تازه")),
            ("می‌خواهم", Some("می‌خواهم")),
            ("café ☕ ordré", Some("café_ordré")),
            ("İstanbul ŞEHRİ", Some("i̇stanbul_şehri̇")),
            ("../../etc/passwd", Some("etc_passwd")),
            ("🎉🎉", None),
            ("", None),
            ("'; --", None),
        ] {
            assert_eq!(snake_case(name).as_deref(), snake, "{name}");
        }
        assert!(snake_case(&"ä".repeat(1_000)).unwrap().len() <= NAME_BYTES_MAX);
    }

    #[test]
    fn the_next_version_keeps_the_folders_style() {
        let now = "20260304050607";
        for (existing, next) in [
            (&[][..], "001"),
            (&["001", "002"], "003"),
            (&["9"], "10"),
            (&["0099", "0100"], "0101"),
            (&["999"], "1000"),
            (&["20240101120000"], "20260304050607"),
            (&["20240101120000123"], "20260304050607000"),
            (&["20300101120000"], "20300101120001"),
            (&["2", "10"], "11"),
        ] {
            assert_eq!(
                next_version(&versions(existing), now).unwrap().0,
                next,
                "{existing:?}"
            );
        }
        assert!(next_version(&versions(&[&"9".repeat(32)]), now).is_err());
        let made = migration(
            "Say \"hi\" \\ to\nall",
            &["001_a.sql".to_owned(), "x".to_owned()],
            now,
        )
        .unwrap();
        assert_eq!(made.file, "002_say_hi_to_all.sql");
        assert_eq!(
            migration("🎉", &[], now).unwrap_err(),
            "`🎉` cannot name a migration: it holds no letter and no digit"
        );
    }

    #[test]
    fn gitignore_grows_once() {
        let first = gitignore("target").unwrap();
        assert_eq!(first, "target\n/backups/\n/.env\n*-dunlin-lock\n");
        assert_eq!(gitignore(&first), None);
        assert_eq!(gitignore("").unwrap(), "/backups/\n/.env\n*-dunlin-lock\n");
    }

    #[test]
    fn what_init_writes_is_read_without_findings() {
        let text = project("my \"shop\"", None);
        let input = crate::source::config::ConfigInput {
            path: "dunlin.toml".into(),
            toml: Some(text.into_bytes()),
            ..Default::default()
        };
        let (read, findings) = crate::source::config::parse_project(input);
        assert!(findings.is_empty(), "{findings:?}");
        assert!(!project("x", Some("mysql://a:pw@h/d")).contains("pw"));
        assert!(project("x", Some("mysql://a@h/d")).contains("url = \"mysql://a@h/d\""));
        assert_eq!(read.name.as_deref(), Some("my \"shop\""));
        assert_eq!(read.select(None).unwrap().url.expose(), "sqlite:app.db");
    }
}
