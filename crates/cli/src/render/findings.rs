//! Findings as annotated source: what is wrong, the line it stands on, what to do about it.

use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};
use dunlin_core::finding::{Finding, Severity};
use dunlin_core::redact::{MASK, secrets_of};
use std::collections::HashMap;
use std::fmt::Write;
use std::ops::Range;

/// How much of a line is shown on each side of what is marked, in characters: dumps have lines of megabytes.
const AROUND: usize = 100;

/// The findings, sorted by file and line, each with its source line where `sources` gives the file's text. Without
/// colour the frame is plain ASCII; colour adds nothing but colour.
pub fn render(
    findings: &[Finding],
    sources: &dyn Fn(&str) -> Option<String>,
    color: bool,
) -> String {
    let mut sorted: Vec<&Finding> = findings.iter().collect();
    sorted.sort_by_key(|finding| {
        let place = &finding.place;
        let start = place.span.as_ref().map(|span| span.start);
        (
            place.file.is_none(),
            place.file.as_deref(),
            place.line,
            start,
            finding.code,
        )
    });
    let renderer = if color {
        Renderer::styled()
    } else {
        Renderer::plain()
    };
    let mut texts: HashMap<&str, Option<Quoted>> = HashMap::new();
    let mut out = String::new();
    for finding in sorted {
        let file = finding.place.file.as_deref();
        let text = file.filter(|_| finding.place.span.is_some());
        let text = text.and_then(|file| {
            let read = || sources(file).map(|text| Quoted::new(file, text));
            texts.entry(file).or_insert_with(read).as_ref()
        });
        let excerpt = text
            .zip(finding.place.span.clone())
            .map(|(text, span)| text.excerpt(span));
        let shown = renderer.render(&[group(finding, excerpt.as_ref())]);
        out.push_str(&with_column(shown, finding, excerpt.as_ref()));
        out.push_str("\n\n");
    }
    out
}

fn group<'a>(finding: &'a Finding, excerpt: Option<&'a Excerpt>) -> Group<'a> {
    let level = match finding.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
        Severity::Info => Level::NOTE,
    };
    let mut group = Group::with_title(
        level
            .primary_title(finding.message.as_str())
            .id(finding.code),
    );
    let place = &finding.place;
    let file = place.file.as_deref();
    if let Some(excerpt) = excerpt {
        let mark = AnnotationKind::Primary.span(excerpt.mark.clone());
        let snippet = Snippet::source(excerpt.text.as_str()).line_start(excerpt.line);
        group = group.element(snippet.path(file).annotation(mark));
    } else if let Some(file) = file.or(object_not_said(finding)) {
        let origin = Origin::path(file);
        group = group.element(match place.line {
            Some(line) => origin.line(line),
            None => origin,
        });
    }
    match &finding.help {
        Some(help) => group.element(Level::HELP.message(help.as_str())),
        None => group,
    }
}

/// The object, where the sentence does not name it already.
fn object_not_said(finding: &Finding) -> Option<&str> {
    let object = finding.place.object.as_deref()?;
    (!finding.message.contains(object)).then_some(object)
}

/// The column in the file where the excerpt, cut or masked, would give another one.
fn with_column(shown: String, finding: &Finding, excerpt: Option<&Excerpt>) -> String {
    let (Some(excerpt), Some(file)) = (excerpt, finding.place.file.as_deref()) else {
        return shown;
    };
    let given = excerpt.text[..excerpt.mark.start].chars().count() + 1;
    if given == excerpt.column {
        return shown;
    }
    let at = |column: usize| format!("{file}:{}:{column}", excerpt.line);
    shown.replacen(&at(given), &at(excerpt.column), 1)
}

/// A file whose lines are shown, and where its secrets stand.
struct Quoted {
    text: String,
    secrets: Vec<Range<usize>>,
}

/// The line that a finding points at, short enough to be shown and without secrets.
#[derive(Debug, PartialEq, Eq)]
struct Excerpt {
    text: String,
    line: usize,
    /// The column in characters, from 1, in the whole line.
    column: usize,
    mark: Range<usize>,
}

impl Quoted {
    fn new(file: &str, text: String) -> Quoted {
        let secrets = secrets_of(file, &text);
        Quoted { text, secrets }
    }

    fn excerpt(&self, span: Range<usize>) -> Excerpt {
        let text = self.text.as_str();
        // The text may have changed since it was read: any range must do.
        let start = boundary(text, span.start);
        let from = text[..start].rfind('\n').map_or(0, |at| at + 1);
        let to = text[start..].find('\n').map_or(text.len(), |at| start + at);
        let line = text[from..to].trim_end_matches('\r');
        let start = (start - from).min(line.len());
        let end = boundary(line, span.end.saturating_sub(from)).max(start);
        let column = line[..start].chars().count() + 1;
        let number = text.as_bytes()[..from]
            .iter()
            .filter(|byte| **byte == b'\n')
            .count()
            + 1;
        // Those that reach into the line, as places in it.
        let first = self.secrets.partition_point(|range| range.end <= from);
        let within = self.secrets[first..].iter();
        let within = within.take_while(|range| range.start < from + line.len());
        let within =
            within.map(|range| range.start.max(from) - from..(range.end - from).min(line.len()));
        let (line, start, end) = masked(line, within, start, end);
        let (line, mark) = cut(&line, start..end);
        // A byte order mark has no width that terminals agree on.
        let bom = if line.starts_with('\u{feff}') {
            '\u{feff}'.len_utf8()
        } else {
            0
        };
        let mark = mark.start.saturating_sub(bom)..mark.end.saturating_sub(bom);
        Excerpt {
            text: line[bom..].to_owned(),
            line: number,
            column,
            mark,
        }
    }
}

fn boundary(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

/// The line with its secrets masked, and the range moved along.
fn masked(
    line: &str,
    secrets: impl Iterator<Item = Range<usize>>,
    start: usize,
    end: usize,
) -> (String, usize, usize) {
    let mut out = String::with_capacity(line.len());
    let (mut from, mut new_start, mut new_end) = (0, start, end);
    for range in secrets {
        out.push_str(&line[from..range.start]);
        let moved = |at: usize, old: usize| match at {
            at if at >= range.end => old + MASK.len() - range.len().min(old + MASK.len()),
            at if at > range.start => out.len(),
            _ => old,
        };
        (new_start, new_end) = (moved(start, new_start), moved(end, new_end));
        out.push_str(MASK);
        from = range.end;
    }
    out.push_str(&line[from..]);
    let new_start = boundary(&out, new_start);
    (
        out.clone(),
        new_start,
        boundary(&out, new_end).max(new_start),
    )
}

/// What stands around the mark, and the mark in it.
fn cut(line: &str, mark: Range<usize>) -> (String, Range<usize>) {
    let end = line[mark.clone()]
        .char_indices()
        .nth(2 * AROUND)
        .map_or(mark.end, |(at, _)| mark.start + at);
    let from = line[..mark.start]
        .char_indices()
        .rev()
        .nth(AROUND)
        .map(|(at, _)| at);
    let to = line[end..]
        .char_indices()
        .nth(AROUND)
        .map(|(at, _)| end + at);
    let before = if from.is_some() { "..." } else { "" };
    let after = if to.is_some() || end < mark.end {
        "..."
    } else {
        ""
    };
    let (from, to) = (from.unwrap_or(0), to.unwrap_or(line.len()));
    let shift = |at: usize| at - from + before.len();
    (
        format!("{before}{}{after}", &line[from..to]),
        shift(mark.start)..shift(end),
    )
}

/// How many there are, where there are several.
pub fn summary(findings: &[Finding]) -> String {
    if findings.len() < 2 {
        return String::new();
    }
    let mut out = String::new();
    for (severity, word) in [
        (Severity::Error, "error"),
        (Severity::Warning, "warning"),
        (Severity::Info, "note"),
    ] {
        let count = findings
            .iter()
            .filter(|finding| finding.severity == severity)
            .count();
        if count > 0 {
            let gap = if out.is_empty() { "" } else { ", " };
            let plural = if count == 1 { "" } else { "s" };
            // Writing into a String cannot fail.
            let _ = write!(out, "{gap}{count} {word}{plural}");
        }
    }
    out + "\n"
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use dunlin_core::finding::Place;

    fn at(code: &'static str, file: &str, text: &str, word: &str) -> Finding {
        let start = text.find(word).unwrap();
        let place = Place::in_file(file, text, start..start + word.len());
        Finding::error(code, place, format!("`{word}` is wrong"))
    }

    #[test]
    fn findings_are_sorted_and_show_their_lines() {
        let toml = "[database.app]\r\nurl = \"postgres://u:s3cret@h/db\" # x\r\n\tlock_timout = \"5s\"\r\n";
        let sql = "SELECT '漢字', bad;\nSELECT 'سلام' AS worse;\n";
        let findings = vec![
            Finding::warning(
                "stray-file",
                Place::file("migrations/x.tar"),
                "`x.tar` is no migration",
            ),
            Finding::info("note-code", Place::object("table users"), "worth knowing"),
            at("second", "migrations/1_a.sql", sql, "worse"),
            at("first", "migrations/1_a.sql", sql, "bad"),
            at("unknown-key", "dunlin.toml", toml, "lock_timout")
                .help("did you mean `lock_timeout`?"),
            at("unknown-engine", "dunlin.toml", toml, "# x"),
            at("host", "dunlin.toml", toml, "\"postgres://u:s3cret@h/db\"").help("help"),
        ];
        let sources = |file: &str| match file {
            "dunlin.toml" => Some(toml.to_owned()),
            "migrations/1_a.sql" => Some(sql.to_owned()),
            _ => None,
        };
        let shown = render(&findings, &sources, false);
        // The message of `host` quotes the word itself, which real messages never do with a URL.
        assert_eq!(shown.matches("s3cret").count(), 1);
        insta::assert_snapshot!(shown.replace("s3cret", "(quoted)"));
        let colored = render(&findings, &sources, true);
        assert!(colored.contains("\u{1b}["));
    }

    #[test]
    fn any_span_on_any_text_is_shown() {
        let long = "x".repeat(10_000) + "é y";
        for text in [
            "",
            "\n",
            "\r\n\r\n",
            "a",
            "é",
            "\u{feff}a\tb",
            "\u{202e}abc\u{0}\u{1b}[31m",
            &long,
            "a\n\n\nb\n",
        ] {
            for (start, end) in [
                (0, 0),
                (0, 1),
                (1, 0),
                (1, 2),
                (3, 9),
                (5, 10_005),
                (10_001, 10_002),
                (99_999, 100_000),
            ] {
                let place = Place {
                    file: Some("f".into()),
                    line: Some(1),
                    span: Some(start..end),
                    object: None,
                };
                let finding = Finding::error("code", place, "message");
                let shown = render(
                    std::slice::from_ref(&finding),
                    &|_| Some(text.to_owned()),
                    false,
                );
                assert!(shown.len() < 1_500, "{}", shown.len());
                assert!(!shown.contains('\u{1b}'), "{text:?}");
                render(&[finding], &|_| None, true);
            }
        }
    }

    #[test]
    fn secrets_move_the_mark_along() {
        let line = "url = \"mysql://a:longs3cr3t@h/d\" # here";
        let masked = |start, end| masked(line, secrets_of("a", line).into_iter(), start, end);
        let start = line.find("# here").unwrap();
        let (text, start, end) = masked(start, start + 6);
        assert_eq!(&text[start..end], "# here");
        assert_eq!(text, "url = \"mysql://a:***@h/d\" # here");
        let inside = line.find("s3cr3t").unwrap();
        let (text, start, end) = masked(inside, inside + 3);
        assert!(start <= end && end <= text.len());
    }

    #[test]
    fn invariant_12_a_line_of_a_script_is_shown_without_the_passwords_that_it_gives() {
        let sql = "SELECT 1;\nCREATE USER bob\n  IDENTIFIED BY 'S3CRET\n  S3CRET' NONSENSE 'x';\nSELECT 'y' NONSENSE;\n";
        for word in [
            "CREATE USER",
            "IDENTIFIED",
            "'S3CRET",
            "NONSENSE",
            "SELECT 'y'",
        ] {
            let finding = at("code", "1_a.sql", sql, word);
            let shown = render(&[finding], &|_| Some(sql.to_owned()), false);
            let shown = shown.replacen(word, "", 1);
            assert!(!shown.contains("S3CRET"), "{shown}");
            assert_eq!(word == "SELECT 'y'", shown.contains("'y'"), "{shown}");
        }
    }
}
