//! SQLite's extended result codes, and what kind of trouble each is.

use crate::failure::ErrorClass;

/// The class of an extended result code.
pub fn class(code: &str, message: &str) -> ErrorClass {
    let code: i64 = code.parse().unwrap_or(0);
    match code {
        787 | 1811 => return ErrorClass::ForeignKey,
        1555 | 2067 | 2579 => return ErrorClass::Unique,
        1299 => return ErrorClass::NotNull,
        275 => return ErrorClass::Check,
        3091 => return ErrorClass::Data,
        _ => {}
    }
    match code & 0xff {
        3 => ErrorClass::PermissionDenied,
        5 | 6 => ErrorClass::Busy,
        8 => ErrorClass::ReadOnly,
        9 => ErrorClass::Cancelled,
        13 => ErrorClass::DiskFull,
        14 => ErrorClass::Unreachable,
        18 => ErrorClass::Data,
        19 => ErrorClass::Check,
        20 => ErrorClass::TypeMismatch,
        26 | 11 => ErrorClass::NotADatabase,
        1 if message.contains("already exists") => ErrorClass::ObjectExists,
        1 if message.contains("duplicate column") => ErrorClass::ColumnExists,
        // 17: another process changed the schema between the statement's preparation and its first step.
        1 | 17 if message.contains("no such") => ErrorClass::ObjectMissing,
        1 if message.contains("syntax error") || message.contains("incomplete input") => {
            ErrorClass::Syntax
        }
        _ => ErrorClass::Other,
    }
}

/// Advice for a code, where more than its class can be said.
pub fn hint(code: &str, _message: &str) -> Option<String> {
    let text = match code.parse::<i64>().unwrap_or(0) & 0xff {
        5 | 6 => "another process writes to this file; `lock_timeout` bounds the wait",
        8 => "the file or its folder may only be read by this user",
        11 => "the file is damaged; restore a backup (`dunlin backup list`)",
        13 => {
            "make room on the disk of the database file (and of its journal), then run the command again"
        }
        14 => "check the path, and that this user may read and write the folder",
        26 => "the file is not a SQLite database, or it is encrypted",
        _ => return None,
    };
    Some(text.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_there_is_missing_whenever_that_is_found_out() {
        for code in ["1", "17"] {
            let found = class(code, "no such table: main.dunlin_journal");
            assert_eq!(found, ErrorClass::ObjectMissing, "{code}");
        }
        assert_eq!(
            class("17", "database schema has changed"),
            ErrorClass::Other
        );
    }
}
