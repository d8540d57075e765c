//! Failures: what happened, where, what had been done, what was undone, what to do next.

use crate::exit::Outcome;
use serde::Serialize;

/// What kind of trouble a native database error is. Each dialect's `errors` room maps its codes to these.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorClass {
    /// Nobody answers at the address.
    Unreachable,
    /// The server answers that it is starting or shutting down.
    Starting,
    /// Wrong user or password.
    AuthFailed,
    /// TLS could not be agreed on, or a certificate is not trusted.
    Tls,
    /// The database of the URL does not exist.
    DatabaseMissing,
    /// The file is not a database of this engine.
    NotADatabase,
    /// A right is missing.
    PermissionDenied,
    /// Too many connections.
    TooManyConnections,
    /// The connection ended while in use: the fate of what was in flight is unknown.
    ConnectionLost,
    /// Deadlock; nothing was done, a retry is right.
    Deadlock,
    /// A serialization failure; a retry is right.
    Serialization,
    /// A lock was not had in the time allowed.
    LockTimeout,
    /// A statement ran longer than allowed.
    StatementTimeout,
    /// The statement was cancelled.
    Cancelled,
    /// The SQL is not understood.
    Syntax,
    /// An object of that name is already there.
    ObjectExists,
    /// An object that the statement names is not there.
    ObjectMissing,
    /// A column of that name is already there.
    ColumnExists,
    /// A type does not fit (foreign key columns, casts).
    TypeMismatch,
    /// A unique constraint bites.
    Unique,
    /// A foreign key bites.
    ForeignKey,
    /// NOT NULL bites.
    NotNull,
    /// A check constraint bites.
    Check,
    /// No room on the server's disk.
    DiskFull,
    /// The database or the file may only be read.
    ReadOnly,
    /// The file is locked by another process (file-based engines).
    Busy,
    /// A value that does not fit its column.
    Data,
    /// Anything else.
    Other,
}

impl ErrorClass {
    /// How often a statement that failed so is tried again (nothing of it having been done).
    pub const fn retries(self) -> u32 {
        match self {
            ErrorClass::Deadlock | ErrorClass::Serialization => crate::limits::DEADLOCK_RETRIES,
            _ => 0,
        }
    }

    /// Whether the fate of the statement in flight is unknown.
    pub const fn is_lost(self) -> bool {
        matches!(self, ErrorClass::ConnectionLost)
    }
}

/// Why a command did not end well. The class alone decides outcome and exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FailureClass {
    /// Usage or configuration, decided without a database.
    Usage,
    /// Refused before the first write.
    Refused,
    /// A statement, step or after-check failed after the first write.
    Failed,
    /// Something is not as it was recorded.
    Mismatch,
    /// Another runner holds the lease.
    Locked,
    /// What happened cannot be known; a person must look.
    InDoubt,
    /// Some units done, others not.
    Partial,
    /// The person interrupted.
    Interrupted,
}

impl FailureClass {
    /// The outcome of a command that failed so.
    pub const fn outcome(self) -> Outcome {
        match self {
            FailureClass::Usage => Outcome::Usage,
            FailureClass::Refused => Outcome::Refused,
            FailureClass::Failed => Outcome::Failed,
            FailureClass::Mismatch => Outcome::Mismatch,
            FailureClass::Locked => Outcome::Locked,
            FailureClass::InDoubt => Outcome::InDoubt,
            FailureClass::Partial => Outcome::Partial,
            FailureClass::Interrupted => Outcome::Interrupted,
        }
    }
}

/// A failure as people and programs see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error, schemars::JsonSchema)]
#[error("{message}")]
pub struct Failure {
    /// What kind; decides the exit code.
    pub class: FailureClass,
    /// A stable kebab-case code with a page under `docs/checks/`.
    pub code: &'static str,
    /// What happened, in a sentence a tired person understands.
    pub message: String,
    /// Where: file, line, statement.
    #[serde(rename = "where", skip_serializing_if = "Option::is_none")]
    pub place: Option<crate::finding::Place>,
    /// What to do next.
    pub hints: Vec<String>,
    /// What had been done before.
    pub done: Vec<String>,
    /// What was undone again.
    pub undone: Vec<String>,
}

impl Failure {
    /// A failure of a class with its code and sentence.
    pub fn new(class: FailureClass, code: &'static str, message: impl Into<String>) -> Self {
        Failure {
            class,
            code,
            message: message.into(),
            place: None,
            hints: vec![],
            done: vec![],
            undone: vec![],
        }
    }

    /// Refused before the first write.
    pub fn refused(code: &'static str, message: impl Into<String>) -> Self {
        Failure::new(FailureClass::Refused, code, message)
    }

    /// Usage or configuration.
    pub fn usage(code: &'static str, message: impl Into<String>) -> Self {
        Failure::new(FailureClass::Usage, code, message)
    }

    /// The same failure with one more hint.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// The same failure at a place.
    #[must_use]
    pub fn at(mut self, place: crate::finding::Place) -> Self {
        self.place = Some(place);
        self
    }
}
