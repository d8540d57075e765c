//! How scripts are lexed, and what each statement is.

use crate::sql::{Bodies, LexMode, LexRules, StatementClass};

/// The lexing rules under a session's mode.
pub fn rules(mode: &LexMode) -> LexRules {
    let has = |wanted: &str| {
        mode.sql_mode
            .split(',')
            .any(|one| one.trim().eq_ignore_ascii_case(wanted))
    };
    // Modes that stand for several, ANSI_QUOTES among them.
    const ANSI: &[&str] = &[
        "ANSI_QUOTES",
        "ANSI",
        "DB2",
        "MAXDB",
        "MSSQL",
        "ORACLE",
        "POSTGRESQL",
    ];
    LexRules {
        hash_comments: true,
        dashes_need_space: true,
        versioned_comments: true,
        backticks: true,
        double_quotes_are_text: !ANSI.iter().any(|mode| has(mode)),
        backslash_escapes: !has("NO_BACKSLASH_ESCAPES"),
        delimiter_command: true,
        at_variables: true,
        digit_words: true,
        bodies: Bodies::Compound,
        ..LexRules::default()
    }
}

/// The class of one statement.
pub fn classify(_sql: &str, _mode: &LexMode) -> StatementClass {
    StatementClass::default()
}
