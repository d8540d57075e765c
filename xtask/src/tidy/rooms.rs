//! Invariants 2 and 10: who may print, and where engines have names and SQL has words.

use super::lex::{Kind, Token};
use super::{Fault, Source};

const ENGINES: [&str; 4] = ["postgres", "mysql", "mariadb", "sqlite"];

/// What a text begins with that is SQL to be run.
const STATEMENTS: [&str; 19] = [
    "SELECT ",
    "INSERT ",
    "UPDATE ",
    "DELETE ",
    "CREATE ",
    "ALTER ",
    "DROP ",
    "TRUNCATE ",
    "GRANT ",
    "REVOKE ",
    "SET ",
    "BEGIN",
    "COMMIT",
    "ROLLBACK",
    "PRAGMA ",
    "LOCK ",
    "SHOW ",
    "EXPLAIN ",
    "WITH ",
];

const PRINTING: [&str; 5] = ["println", "eprintln", "print", "eprint", "dbg"];

pub fn faults(sources: &[Source]) -> Vec<Fault> {
    let mut found = Vec::new();
    for source in sources {
        let path = &source.path;
        if (path.starts_with("crates/core/src/") || path.starts_with("crates/run/src/"))
            && !path.contains("/dialect/")
        {
            count(
                &mut found,
                "engine-name",
                path,
                &source.shipped,
                names_engine,
                "an engine's name outside of dialect/ and engines/",
            );
            count(
                &mut found,
                "sql-text",
                path,
                &source.shipped,
                is_sql,
                "SQL text outside of dialect/ and engines/",
            );
        }
        let may_print = ["crates/cli/", "xtask/", "crates/testkit/src/bin/"];
        let program = path.starts_with("examples/") || path.contains("/examples/");
        if !program && !may_print.iter().any(|room| path.starts_with(room)) {
            for pair in source.shipped.windows(2) {
                if pair[0].kind == Kind::Word
                    && PRINTING.contains(&pair[0].text.as_str())
                    && pair[1].is("!")
                {
                    let message = format!(
                        "line {} prints; below `cli`, events are the only voice",
                        pair[0].line
                    );
                    found.push(Fault::plain(format!("print {path}"), message));
                }
            }
        }
    }
    found
}

fn count(
    found: &mut Vec<Fault>,
    rule: &str,
    path: &str,
    tokens: &[Token],
    hit: fn(&Token) -> bool,
    what: &str,
) {
    let lines: Vec<String> = tokens
        .iter()
        .filter(|token| hit(token))
        .map(|token| token.line.to_string())
        .collect();
    if !lines.is_empty() {
        let message = format!("{what}, line {}", lines.join(", "));
        found.push(Fault::counted(
            format!("{rule} {path}"),
            lines.len(),
            message,
        ));
    }
}

fn names_engine(token: &Token) -> bool {
    let lower = token.text.to_ascii_lowercase();
    token.kind != Kind::Sign && ENGINES.iter().any(|name| lower.contains(name))
}

/// A statement in capitals with something behind it: `"DROP TABLE {}"`, and not the word `"DROP"` of a lexer's list.
fn is_sql(token: &Token) -> bool {
    let text = token.text.trim_start();
    token.kind == Kind::Text
        && STATEMENTS
            .iter()
            .any(|word| text.starts_with(word) && text.len() > word.len())
}
