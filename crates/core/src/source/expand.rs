//! What texts of `dunlin.toml` take from elsewhere: `${NAME}`, `${NAME:-default}` and `{name}`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// Environment variables: those of the process, and beneath them those of `.env`. `Debug` shows names only.
#[derive(Clone, Default)]
pub struct Environment {
    variables: BTreeMap<String, String>,
    used: BTreeSet<String>,
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.variables.keys()).finish()
    }
}

impl Environment {
    /// The process's variables over those of `.env`.
    pub fn new(process: BTreeMap<String, String>, dotenv: Vec<(String, String)>) -> Self {
        let mut variables: BTreeMap<String, String> = dotenv.into_iter().collect();
        variables.extend(process);
        Environment {
            variables,
            used: BTreeSet::new(),
        }
    }

    /// A variable's value.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str)
    }

    /// Remembers which variables a text takes.
    pub(super) fn note_used(&mut self, text: &str) {
        for (at, _) in text.match_indices("${") {
            let name: String = text[at + 2..]
                .chars()
                .take_while(|c| c.is_ascii_alphanumeric() || *c == '_')
                .collect();
            self.used.insert(name);
        }
    }

    /// The values of those variables that the file takes and whose names say that they are secret.
    pub fn secrets(&self) -> Vec<String> {
        let secret = |name: &&String| {
            let name = name.to_ascii_uppercase();
            ["PASS", "PW", "SECRET", "TOKEN", "KEY", "CREDENTIAL"]
                .iter()
                .any(|word| name.contains(word))
        };
        self.used
            .iter()
            .filter(secret)
            .filter_map(|name| self.get(name))
            .map(str::to_owned)
            .collect()
    }
}

/// Why a text cannot be expanded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExpandFault {
    /// The variable is not set and no default stands beside it.
    Missing(String),
    /// `${` is not followed by a name and `}`.
    Malformed(String),
}

/// Whether a text holds something that looks like `${NAME}`.
pub fn mentions_variable(text: &str) -> bool {
    text.match_indices("${").any(|(at, _)| {
        let rest = &text[at + 2..];
        rest.find('}')
            .is_some_and(|end| is_name(rest[..end].split(":-").next().unwrap_or_default()))
    })
}

/// Whether a text can name an environment variable.
pub fn is_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes
        .next()
        .is_some_and(|first| first.is_ascii_alphabetic() || first == b'_')
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// Expands `${NAME}` and `${NAME:-default}`; `$${` stands for `${`. All faults at once. An empty variable counts as
/// set, except beside a default, as in a shell.
pub fn expand(text: &str, env: &Environment) -> Result<String, Vec<ExpandFault>> {
    let mut out = String::with_capacity(text.len());
    let mut faults = vec![];
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        if rest[..at].ends_with('$') {
            out.push_str(&rest[..at]);
            out.push('{');
            rest = &rest[at + 2..];
            continue;
        }
        out.push_str(&rest[..at]);
        let body = &rest[at + 2..];
        let Some(end) = body.find('}') else {
            faults.push(ExpandFault::Malformed(
                rest[at..].chars().take(40).collect(),
            ));
            rest = "";
            break;
        };
        let (name, default) = match body[..end].split_once(":-") {
            Some((name, default)) => (name, Some(default)),
            None => (&body[..end], None),
        };
        match (is_name(name), env.get(name), default) {
            (false, _, _) => faults.push(ExpandFault::Malformed(format!("${{{}}}", &body[..end]))),
            (true, Some(value), None) => out.push_str(value),
            (true, Some(value), Some(_)) if !value.is_empty() => out.push_str(value),
            (true, _, Some(default)) => out.push_str(default),
            (true, None, None) => faults.push(ExpandFault::Missing(name.to_owned())),
        }
        rest = &body[end + 1..];
    }
    out.push_str(rest);
    if faults.is_empty() {
        Ok(out)
    } else {
        Err(faults)
    }
}

/// Fills `{name}` in. The error names the first placeholder that is not declared.
pub fn fill(text: &str, placeholders: &BTreeMap<String, String>) -> Result<String, String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('{') {
        out.push_str(&rest[..at]);
        let body = &rest[at + 1..];
        match body.find('}').map(|end| (&body[..end], &body[end + 1..])) {
            Some((name, after)) if is_name(name) => {
                out.push_str(placeholders.get(name).ok_or_else(|| name.to_owned())?);
                rest = after;
            }
            _ => {
                out.push('{');
                rest = body;
            }
        }
    }
    out.push_str(rest);
    Ok(out)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn env() -> Environment {
        let process = [("HOST", "db"), ("EMPTY", "")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()));
        Environment::new(
            process.into(),
            vec![
                ("HOST".into(), "from-file".into()),
                ("PW".into(), "s3cret".into()),
            ],
        )
    }

    #[test]
    fn variables_are_expanded_and_the_process_wins() {
        for (text, expanded) in [
            ("postgres://u:${PW}@${HOST}/x", "postgres://u:s3cret@db/x"),
            ("${NONE:-sqlite:a.db}", "sqlite:a.db"),
            ("${EMPTY:-x}${EMPTY}", "x"),
            ("a$b{c}$$d", "a$b{c}$$d"),
            ("$${HOST}", "${HOST}"),
            ("${NONE:-}", ""),
        ] {
            assert_eq!(expand(text, &env()).unwrap(), expanded, "{text}");
        }
        let faults = expand("${NONE}${1}${A B}${", &env()).unwrap_err();
        assert_eq!(faults.len(), 4);
        assert_eq!(faults[0], ExpandFault::Missing("NONE".into()));
        assert!(!format!("{:?}", env()).contains("s3cret"));
    }

    #[test]
    fn placeholders_are_filled_in() {
        let declared = [("prefix".to_owned(), "wp_".to_owned())].into();
        assert_eq!(fill("{prefix}users_{", &declared).unwrap(), "wp_users_{");
        assert_eq!(fill("{prefx}users", &declared), Err("prefx".into()));
        assert_eq!(fill("{}{a b}", &declared).unwrap(), "{}{a b}");
    }
}
