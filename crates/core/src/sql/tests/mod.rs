//! What the lexer, the splitter, the fingerprints and the substitution promise, in every dialect.

#![allow(clippy::unwrap_used)]

mod fingerprint;
mod lexer;
mod placeholders;
mod splitter;

use super::{LexMode, LexRules, PieceKind, split};
use crate::dialect::{Dialect, mysql::Mysql, postgres::Postgres, sqlite::Sqlite};

fn sqlite() -> LexRules {
    Sqlite.lex_rules(&LexMode::default())
}

fn postgres() -> LexRules {
    Postgres.lex_rules(&LexMode::default())
}

fn mysql() -> LexRules {
    Mysql.lex_rules(&LexMode::default())
}

fn mysql_mode(mode: &str) -> LexRules {
    Mysql.lex_rules(&LexMode {
        sql_mode: mode.into(),
        ..LexMode::default()
    })
}

/// The statements of a script that must be free of faults; the pieces must give back the text.
fn statements<'a>(text: &'a str, rules: &LexRules) -> Vec<&'a str> {
    let (pieces, faults) = split(text, rules);
    assert_eq!(faults, vec![], "in {text:?}");
    assert_eq!(
        pieces
            .iter()
            .map(|piece| &text[piece.span.clone()])
            .collect::<String>(),
        text
    );
    pieces
        .iter()
        .filter_map(|piece| match &piece.kind {
            PieceKind::Statement(range) => Some(&text[range.clone()]),
            PieceKind::Copy { statement, .. } => Some(&text[statement.clone()]),
            _ => None,
        })
        .collect()
}
