//! `.env`: `NAME=value`, as shells and the dotenv libraries write it. It is read and never overrides the environment.

use super::expand::is_name;
use crate::finding::{Finding, Place};
use std::collections::BTreeMap;

/// Reads `.env`. A line that is none is a warning: the file belongs to other tools too.
pub fn parse_dotenv(
    file: &str,
    text: &str,
    process: &BTreeMap<String, String>,
) -> (Vec<(String, String)>, Vec<Finding>) {
    let mut variables: Vec<(String, String)> = vec![];
    let mut findings = vec![];
    let bom = if text.starts_with('\u{feff}') {
        '\u{feff}'.len_utf8()
    } else {
        0
    };
    let mut at = bom;
    while at < text.len() {
        let end = text[at..].find('\n').map_or(text.len(), |end| at + end);
        let line = text[at..end].trim();
        if line.is_empty() || line.starts_with('#') {
            at = end + 1;
            continue;
        }
        let declaration = line.strip_prefix("export ").unwrap_or(line);
        let name = declaration
            .split_once('=')
            .map(|(name, _)| name.trim())
            .filter(|name| is_name(name));
        let Some(name) = name else {
            // The line may hold a secret, so the message does not quote it, and the place has no span to show.
            let place = Place {
                span: None,
                ..Place::in_file(file, text, at..at)
            };
            let message = "this line is not `NAME=value`; it is left out";
            findings.push(Finding::warning("dotenv-line", place, message));
            at = end + 1;
            continue;
        };
        let value_at = text[at..end].find('=').map_or(end, |eq| at + eq + 1);
        let lookup = |wanted: &str| {
            let own = || {
                variables
                    .iter()
                    .rev()
                    .find(|(known, _)| known == wanted)
                    .map(|(_, value)| value.clone())
            };
            process
                .get(wanted)
                .cloned()
                .or_else(own)
                .unwrap_or_default()
        };
        let (value, next) = value(text, value_at, end, &lookup);
        let name = name.to_owned();
        match value {
            Some(value) => variables.push((name, value)),
            None => {
                let place = Place {
                    span: None,
                    ..Place::in_file(file, text, at..at)
                };
                let message = format!("the quotes of `{name}` are not closed; it is left out");
                findings.push(Finding::warning("dotenv-line", place, message));
            }
        }
        at = next;
    }
    (variables, findings)
}

/// The value that begins at `from`, and where the next line begins. `None`: its quotes are not closed.
fn value(
    text: &str,
    from: usize,
    line_end: usize,
    lookup: &dyn Fn(&str) -> String,
) -> (Option<String>, usize) {
    let raw = text[from..line_end].trim();
    let start = from + (text[from..line_end].len() - text[from..line_end].trim_start().len());
    let next_line = |at: usize| text[at..].find('\n').map_or(text.len(), |end| at + end + 1);
    match raw.chars().next() {
        Some(quote @ ('\'' | '"')) => {
            let mut out = String::new();
            let mut chars = text[start + 1..].char_indices();
            while let Some((offset, c)) = chars.next() {
                if c == quote {
                    let value = if quote == '"' {
                        interpolate(&out, lookup)
                    } else {
                        out
                    };
                    return (Some(value), next_line(start + 1 + offset));
                }
                match c {
                    '\\' if quote == '"' => match chars.next() {
                        Some((_, 'n')) => out.push('\n'),
                        Some((_, 'r')) => out.push('\r'),
                        Some((_, 't')) => out.push('\t'),
                        // An escaped dollar must survive the interpolation below.
                        Some((_, '$')) => out.push_str("$\u{0}"),
                        Some((_, other)) => out.push(other),
                        None => {}
                    },
                    _ => out.push(c),
                }
            }
            (None, next_line(line_end.min(text.len())))
        }
        _ => {
            // A `#` begins a comment only after white space: passwords hold it too.
            let comment = raw.char_indices().find(|(at, c)| {
                *c == '#' && (*at == 0 || raw[..*at].ends_with(char::is_whitespace))
            });
            let raw = comment.map_or(raw, |(at, _)| raw[..at].trim_end());
            (
                Some(interpolate(raw, lookup)),
                (line_end + 1).min(text.len()),
            )
        }
    }
}

/// `${NAME}` inside of a value; what is not set is empty, as the dotenv libraries do it.
fn interpolate(text: &str, lookup: &dyn Fn(&str) -> String) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        out.push_str(&rest[..at]);
        let body = &rest[at + 2..];
        match body.find('}').map(|end| (&body[..end], &body[end + 1..])) {
            Some((name, after)) if is_name(name) => {
                out.push_str(&lookup(name));
                rest = after;
            }
            _ => {
                out.push_str("${");
                rest = body;
            }
        }
    }
    out.push_str(rest);
    out.replace("$\u{0}", "$")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_spellings_are_read() {
        let text = "\u{feff}# comment\r\nA=1\r\nexport B = two words # not this\nC='sin$gle ${A} \\n'\nD=\"a\\nb \\${A} ${A}\"\nE=pa#ss\nF=\"multi\nline\" # x\nG=\nU=postgres://u:${C}@h\nnot a line\n9X=1\nH=\"open\n";
        let (variables, findings) = parse_dotenv(".env", text, &BTreeMap::new());
        let get = |name: &str| {
            variables
                .iter()
                .find(|(known, _)| known == name)
                .map(|(_, value)| value.as_str())
        };
        assert_eq!(get("A"), Some("1"));
        assert_eq!(get("B"), Some("two words"));
        assert_eq!(get("C"), Some("sin$gle ${A} \\n"));
        assert_eq!(get("D"), Some("a\nb ${A} 1"));
        assert_eq!(get("E"), Some("pa#ss"));
        assert_eq!(get("F"), Some("multi\nline"));
        assert_eq!(get("G"), Some(""));
        assert_eq!(get("U"), Some("postgres://u:sin$gle ${A} \\n@h"));
        let lines: Vec<_> = findings
            .iter()
            .filter_map(|finding| finding.place.line)
            .collect();
        assert_eq!(lines, [11, 12, 13]);
    }
}
