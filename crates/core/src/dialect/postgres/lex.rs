//! How scripts are lexed, and what each statement is.

use crate::sql::{LexMode, LexRules, StatementClass};

/// The lexing rules under a session's mode.
pub fn rules(_mode: &LexMode) -> LexRules {
    LexRules::default()
}

/// The class of one statement.
pub fn classify(_sql: &str, _mode: &LexMode) -> StatementClass {
    StatementClass::default()
}
