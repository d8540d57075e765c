//! Every code has its page, every page its code: `docs/checks/CODE.md`.

use super::lex::{Kind, Token};
use super::{Fault, Source};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Functions whose first text argument is a code.
const MAKERS: [&str; 6] = ["error", "warning", "info", "refused", "usage", "note"];

pub fn faults(top: &Path, sources: &[Source]) -> anyhow::Result<Vec<Fault>> {
    let folder = top.join("docs/checks");
    let mut pages = BTreeSet::new();
    for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if let Some(code) = name.strip_suffix(".md").filter(|code| *code != "README") {
            pages.insert(code.to_owned());
        }
    }
    let mut codes = BTreeMap::new();
    let mut texts = BTreeSet::new();
    let rooms = [
        "crates/core/src/",
        "crates/engines/src/",
        "crates/run/src/",
        "crates/cli/src/",
    ];
    for source in sources
        .iter()
        .filter(|source| rooms.iter().any(|room| source.path.starts_with(room)))
    {
        collect(&source.shipped, &source.path, &mut codes);
        texts.extend(
            source
                .shipped
                .iter()
                .filter(|token| token.kind == Kind::Text)
                .map(|token| token.text.clone()),
        );
    }
    let mut found = Vec::new();
    for (code, place) in codes.iter().filter(|(code, _)| !pages.contains(*code)) {
        found.push(Fault::plain(
            format!("page {code}"),
            format!("{place} uses this code, docs/checks/{code}.md is not there"),
        ));
    }
    for code in pages.iter().filter(|code| !texts.contains(*code)) {
        found.push(Fault::plain(
            format!("page {code}"),
            "the page is there, and no code of this name",
        ));
    }
    Ok(found)
}

/// Codes where they are made: `Finding::error("code", …)`, `Failure::new(Class::X, "code", …)`, `code: "code"`.
fn collect(tokens: &[Token], path: &str, codes: &mut BTreeMap<String, String>) {
    for (at, token) in tokens.iter().enumerate() {
        if token.kind != Kind::Text || !is_code(&token.text) {
            continue;
        }
        let before = &tokens[..at];
        let word = |back: usize| {
            before
                .len()
                .checked_sub(back)
                .map(|index| before[index].text.as_str())
                .unwrap_or_default()
        };
        let first_argument = word(1) == "(" && maker(word(2));
        let second_argument = word(1) == ","
            && before
                .iter()
                .rev()
                .take(8)
                .any(|token| token.is_word("new"))
            && second_of_new(before);
        let field = word(1) == ":" && word(2) == "code";
        if first_argument || second_argument || field {
            codes
                .entry(token.text.clone())
                .or_insert_with(|| format!("{path}:{}", token.line));
        }
    }
}

fn maker(name: &str) -> bool {
    MAKERS.contains(&name)
}

/// `Failure::new(FailureClass::Refused,` just before.
fn second_of_new(before: &[Token]) -> bool {
    let signs: Vec<&str> = before
        .iter()
        .rev()
        .skip(1)
        .take(8)
        .map(|token| token.text.as_str())
        .collect();
    matches!(
        signs.as_slice(),
        [_, ":", ":", "FailureClass", "(", "new", ..] | [_, "(", "new", ..]
    ) && before
        .iter()
        .rev()
        .take(12)
        .any(|token| token.is_word("Failure"))
}

fn is_code(text: &str) -> bool {
    let letters = |part: &str| {
        !part.is_empty()
            && part
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
    };
    text.split('-').all(letters) && text.len() > 2
}
