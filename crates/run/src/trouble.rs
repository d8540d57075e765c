//! Database errors as failures: which class of failure an error is before and after the first write, and what to do.

use dunlin_core::failure::{ErrorClass, Failure, FailureClass};
use dunlin_engines::DbError;

/// The finding code of an error class: the code's page says what it means.
pub fn code(class: ErrorClass) -> &'static str {
    match class {
        ErrorClass::Unreachable => "unreachable",
        ErrorClass::Starting => "server-starting",
        ErrorClass::AuthFailed => "login-refused",
        ErrorClass::Tls => "tls",
        ErrorClass::DatabaseMissing => "database-missing",
        ErrorClass::NotADatabase => "not-a-database",
        ErrorClass::PermissionDenied => "rights-missing",
        ErrorClass::TooManyConnections => "too-many-connections",
        ErrorClass::ConnectionLost => "connection-lost",
        ErrorClass::Deadlock | ErrorClass::Serialization => "deadlock",
        ErrorClass::LockTimeout | ErrorClass::Busy => "lock-timeout",
        ErrorClass::StatementTimeout => "statement-timeout",
        ErrorClass::Cancelled => "cancelled",
        ErrorClass::Syntax => "syntax",
        ErrorClass::ObjectExists | ErrorClass::ColumnExists => "object-exists",
        ErrorClass::ObjectMissing => "object-missing",
        ErrorClass::TypeMismatch => "type-mismatch",
        ErrorClass::Unique => "unique-violated",
        ErrorClass::ForeignKey => "foreign-key-violated",
        ErrorClass::NotNull => "not-null-violated",
        ErrorClass::Check => "check-violated",
        ErrorClass::DiskFull => "disk-full",
        ErrorClass::ReadOnly => "read-only",
        ErrorClass::Data => "value-refused",
        ErrorClass::Other => "database-error",
    }
}

/// The class behind a code, where what failed may be tried again: others held what it needed.
pub fn class_of_waits(code: &str) -> Option<ErrorClass> {
    match code {
        "deadlock" => Some(ErrorClass::Deadlock),
        "lock-timeout" => Some(ErrorClass::LockTimeout),
        _ => None,
    }
}

/// What to do next, by class, where the server's own hint says nothing.
fn advice(class: ErrorClass) -> Option<&'static str> {
    Some(match class {
        ErrorClass::Unreachable => {
            "is the server running, and are host and port right? `--wait 30s` waits for one that is starting"
        }
        ErrorClass::Starting => "`--wait 30s` waits until it is ready",
        ErrorClass::AuthFailed => {
            "check user and password of the URL (percent-encode special characters)"
        }
        ErrorClass::DatabaseMissing => "`dunlin up --create` makes it",
        ErrorClass::TooManyConnections => {
            "a run needs three connections; end some others, or raise the server's limit"
        }
        ErrorClass::ConnectionLost => {
            "run the same command again: it finds out what was done and goes on"
        }
        ErrorClass::LockTimeout | ErrorClass::Busy => {
            "someone holds a lock on the table; `lock_patience` says how long to keep trying"
        }
        ErrorClass::ObjectExists => {
            "something of this name is already there; `dunlin drift` compares the catalog with what is recorded"
        }
        ErrorClass::DiskFull => "make room, then run the same command again",
        ErrorClass::StatementTimeout => {
            "raise `timeout` in the script's header, or `statement_timeout`"
        }
        _ => return None,
    })
}

/// An error before the first write: refused, exit 4.
pub fn refused(error: &DbError, doing: &str) -> Failure {
    with_hints(
        Failure::refused(code_of(error), sentence(error, doing)),
        error,
    )
}

/// An error after the first write: failed, exit 1.
pub fn failed(error: &DbError, doing: &str) -> Failure {
    with_hints(
        Failure::new(FailureClass::Failed, code_of(error), sentence(error, doing)),
        error,
    )
}

/// Codes that are ours and not the server's.
fn own_code(error: &DbError) -> Option<&'static str> {
    [
        "pooler",
        "galera",
        "journal-of-another",
        "would-destroy",
        "lease-lost",
    ]
    .into_iter()
    .find(|code| error.code == *code)
}

fn code_of(error: &DbError) -> &'static str {
    own_code(error).unwrap_or_else(|| code(error.class))
}

fn sentence(error: &DbError, doing: &str) -> String {
    let native = if error.code.is_empty() || own_code(error).is_some() {
        String::new()
    } else {
        format!(" ({})", error.code)
    };
    format!("{doing}: {}{native}", error.message.trim_end_matches('.'))
}

fn with_hints(mut failure: Failure, error: &DbError) -> Failure {
    match (&error.hint, advice(error.class)) {
        (Some(hint), _) => failure.hints.push(hint.clone()),
        (None, Some(advice)) => failure.hints.push(advice.into()),
        _ => {}
    }
    failure
}
