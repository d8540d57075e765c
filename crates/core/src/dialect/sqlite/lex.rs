//! How scripts are lexed, and what each statement is.

use crate::sql::{Bodies, LexMode, LexRules, StatementClass};

/// The lexing rules. No mode of a session changes them.
pub fn rules(_mode: &LexMode) -> LexRules {
    LexRules {
        backticks: true,
        brackets: true,
        bodies: Bodies::Triggers,
        ..LexRules::default()
    }
}

/// The class of one statement.
pub fn classify(_sql: &str, _mode: &LexMode) -> StatementClass {
    StatementClass::default()
}
