//! SQL as text: tokens, statements of a script, what class a statement is of, and its normal form.
//!
//! Nothing here knows an engine: the rules of each come as [`LexRules`] from its dialect, and so does the classifying.

pub mod alter;
pub mod change;
pub mod create;
pub mod lexer;
pub mod normal;
pub mod outside;
pub mod place;
pub mod rows;
pub mod split;
pub mod transaction;
pub mod words;

mod body;
mod scan;
#[cfg(test)]
mod tests;

pub use lexer::{Lexer, Token, TokenKind, lex};
pub use normal::fingerprint;
pub use place::{Placed, substitute};
pub use split::{split, split_and_fingerprint};

use std::ops::Range;

/// What changes lexing. Made by a dialect from its engine and the session's mode.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LexRules {
    /// `$$ … $$` and `$tag$ … $tag$` are literals.
    pub dollar_quotes: bool,
    /// Block comments nest.
    pub nested_comments: bool,
    /// `#` begins a line comment.
    pub hash_comments: bool,
    /// `--` begins a comment only before white space or the end.
    pub dashes_need_space: bool,
    /// `/*! … */` (and `/*M! … */`) is code.
    pub versioned_comments: bool,
    /// Backtick quotes an identifier.
    pub backticks: bool,
    /// `[name]` quotes an identifier.
    pub brackets: bool,
    /// `"…"` is a literal and not an identifier (MySQL without ANSI_QUOTES).
    pub double_quotes_are_text: bool,
    /// A backslash escapes inside plain literals (MySQL without NO_BACKSLASH_ESCAPES; PostgreSQL with
    /// standard_conforming_strings off).
    pub backslash_escapes: bool,
    /// `E'…'` takes backslash escapes, `U&'…'`, `B'…'`, `X'…'` are prefixed literals.
    pub prefixed_literals: bool,
    /// `DELIMITER x` is a client command.
    pub delimiter_command: bool,
    /// psql's `COPY … FROM stdin` blocks and `\` meta commands are recognised.
    pub copy_blocks: bool,
    /// `@name` and `@@name` are variables (elsewhere `@` belongs to operators).
    pub at_variables: bool,
    /// A word may begin with a digit or with `$` (`2fa_tokens`).
    pub digit_words: bool,
    /// Operators are runs of operator characters, as extensions may define new ones (`@>`, `?|`, `<->`).
    pub custom_operators: bool,
    /// A lone carriage return ends a line comment.
    pub cr_ends_line: bool,
    /// Bodies: triggers and routines hold `BEGIN … END` blocks with `;` inside.
    pub bodies: Bodies,
}

/// How statement bodies with inner semicolons are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Bodies {
    /// No statement has inner semicolons.
    #[default]
    None,
    /// `CREATE TRIGGER … BEGIN … END` only (as SQLite).
    Triggers,
    /// `BEGIN ATOMIC … END` of routines (as PostgreSQL 14 and later).
    Atomic,
    /// Compound statements of triggers, routines and events (as MySQL), and MariaDB's `BEGIN NOT ATOMIC`.
    Compound,
}

/// Which session switches change lexing (recorded and pinned for script sessions).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LexMode {
    /// MySQL's `sql_mode`, upper case, comma separated; empty: the default mode.
    pub sql_mode: String,
    /// PostgreSQL's `standard_conforming_strings = off`.
    pub plain_backslashes: bool,
}

/// A kind of database object, for places, probes and inverses.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum ObjectKind {
    /// A table.
    Table,
    /// A view.
    View,
    /// A materialized view.
    MaterializedView,
    /// An index; `parent` is its table where the statement says so.
    Index,
    /// A column; `parent` is its table.
    Column,
    /// A constraint of any kind; `parent` is its table.
    Constraint,
    /// A trigger; `parent` is its table where the statement says so.
    Trigger,
    /// A function.
    Function,
    /// A procedure.
    Procedure,
    /// A scheduled event.
    Event,
    /// A sequence.
    Sequence,
    /// A type or domain.
    Type,
    /// A value of an enum type; `parent` is the type.
    EnumValue,
    /// A schema (a namespace).
    Schema,
    /// A whole database.
    Database,
    /// An extension.
    Extension,
    /// Anything else, by its own name.
    Other,
}

/// An object as a statement names it. Names are unquoted and folded as the engine folds them.
#[derive(
    Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
pub struct ObjectRef {
    /// What it is.
    pub kind: ObjectKind,
    /// The schema (or MySQL database) where the statement names one.
    pub schema: Option<String>,
    /// The table it belongs to, for indexes, columns, constraints, triggers.
    pub parent: Option<String>,
    /// Its name.
    pub name: String,
}

impl ObjectRef {
    /// A table by name.
    pub fn table(schema: Option<&str>, name: &str) -> Self {
        ObjectRef {
            kind: ObjectKind::Table,
            schema: schema.map(str::to_owned),
            parent: None,
            name: name.to_owned(),
        }
    }
}

impl std::fmt::Display for ObjectRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let kind = match self.kind {
            ObjectKind::MaterializedView => "materialized view".to_owned(),
            ObjectKind::EnumValue => "enum value".to_owned(),
            kind => format!("{kind:?}").to_lowercase(),
        };
        write!(f, "{kind} ")?;
        if let Some(schema) = &self.schema {
            write!(f, "{schema}.")?;
        }
        if let Some(parent) = &self.parent {
            write!(f, "{parent}.")?;
        }
        f.write_str(&self.name)
    }
}

/// A fact about the world that a probe can ask for.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    /// The object is there.
    Exists(ObjectRef),
    /// The object is not there.
    Missing(ObjectRef),
    /// The table holds no row.
    Empty(ObjectRef),
    /// The column has this type, spelled as the statement spells it.
    ColumnType(ObjectRef, String),
    /// The stored body (routine, trigger) is this text.
    Body(ObjectRef, String),
    /// The table holds this many rows.
    Rows(ObjectRef, u64),
    /// No row has another value in this column than a new one gets.
    Unwritten(Unwritten),
}

/// A column that was added, as the catalog has it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Unwritten {
    /// The column.
    pub column: ObjectRef,
    /// Its default, as the catalog spells it.
    pub default: Option<String>,
    /// Whether it takes NULL.
    pub nullable: bool,
}

impl Unwritten {
    /// Whether the default gives the same value to each row, whenever it is asked.
    pub fn is_constant(&self) -> bool {
        let text = self.default.as_deref().unwrap_or_default();
        !text.contains('(') && !text.to_ascii_uppercase().starts_with("CURRENT")
    }
}

/// What family a statement belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Kind {
    /// Changes the catalog.
    Ddl,
    /// Changes rows.
    Dml,
    /// Reads only.
    Query,
    /// Sets session state and nothing else (`SET`, `USE`, SQLite's session `PRAGMA`s): replayed on resume.
    Session,
    /// `BEGIN`, `COMMIT`, `ROLLBACK`, `SAVEPOINT` and their kin.
    Transaction,
    /// `CALL`, `DO`: runs code that may do anything.
    Call,
    /// psql's `COPY … FROM stdin` with its data.
    CopyIn,
    /// `VACUUM`, `ANALYZE`, `OPTIMIZE`, `REINDEX`, `CLUSTER`: changes storage or statistics, never content.
    Maintenance,
    /// `GRANT`, `REVOKE`, `CREATE USER` and the like.
    Rights,
    /// Not understood; everything risky is assumed.
    #[default]
    Unknown,
}

/// How a statement stands to transactions on its engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TxUse {
    /// Runs inside a transaction; its effect and the journal's entry can commit together.
    #[default]
    Inside,
    /// Must run outside of a transaction block (`CREATE INDEX CONCURRENTLY`, `VACUUM`).
    Outside,
    /// Commits by itself, before and after (MySQL's DDL).
    CommitsItself,
}

/// What session state a statement leans on or leaves behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SessionState {
    /// None.
    #[default]
    None,
    /// Sets pure state that a replay restores.
    Sets,
    /// Shares state made from data: user variables, temporary tables, `PREPARE`, `LAST_INSERT_ID()`.
    Shares,
}

/// What a statement does to others while it runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hazard {
    /// A stable kebab-case code with a page under `docs/checks/`.
    pub code: &'static str,
    /// One sentence.
    pub message: String,
}

/// Everything that the rest of Dunlin wants to know of one statement.
#[derive(Debug, Clone, Default)]
pub struct StatementClass {
    /// The head words in upper case: `CREATE TABLE`, `INSERT`, `ALTER TABLE`.
    pub verb: String,
    /// The family.
    pub kind: Kind,
    /// How it stands to transactions.
    pub tx: TxUse,
    /// What session state it shares.
    pub state: SessionState,
    /// Objects that the statement changes (tables whose rows it writes included).
    pub touches: Vec<ObjectRef>,
    /// Tables that it only reads, as far as tokens tell.
    pub reads: Vec<ObjectRef>,
    /// What holds when the statement has done its work and nothing else proves it; all must hold. Empty: not known.
    pub post: Vec<Condition>,
    /// Whatever the statement does shows in the catalog: no rows are added, removed or altered by it, other than those
    /// of an object that it makes.
    pub catalog_only: bool,
    /// Running it twice, one after the other, leaves what running it once does: options, comments, whole definitions.
    pub repeatable: bool,
    /// A swap (EXCHANGE PARTITION, `RENAME TABLE a TO b, b TO a`): an equal fingerprint proves nothing.
    pub swap: bool,
    /// A DROP of several objects: settled object by object.
    pub drops_many: bool,
    /// What a statement that drops the rest of these objects begins with, names to follow; empty where a DROP of
    /// several is all or nothing.
    pub drop_rest: String,
    /// `IF NOT EXISTS` / `OR REPLACE`-less creation that passes in silence when the object is there.
    pub if_not_exists: bool,
    /// Statements that take it back, newest effect first; `None`: cannot be derived.
    pub inverse: Option<Vec<String>>,
    /// The engine demanded by the statement (`ENGINE=MyISAM`), where it makes its table non-transactional.
    pub storage: Option<String>,
    /// The table is made `UNLOGGED`.
    pub unlogged: bool,
    /// What it does to others.
    pub hazards: Vec<Hazard>,
}

/// What one piece of a script is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PieceKind {
    /// White space and comments only (joined to the next statement where there is one).
    Blank,
    /// A statement; the range is its text without delimiter, comments around it trimmed.
    Statement(Range<usize>),
    /// A psql COPY block: the statement, then its data lines (without the `\.`).
    Copy {
        /// The `COPY … FROM stdin` statement.
        statement: Range<usize>,
        /// The data.
        data: Range<usize>,
    },
    /// A client command (`DELIMITER`, `\set`): never sent.
    Client(Range<usize>),
}

/// A piece of a script. The pieces' spans, joined, are the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// The bytes of the file that the piece covers.
    pub span: Range<usize>,
    /// What it is.
    pub kind: PieceKind,
}

/// A fault found by the splitter: an unclosed literal, comment or body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Where it begins.
    pub span: Range<usize>,
    /// A finding code.
    pub code: &'static str,
    /// One sentence.
    pub message: String,
}

/// The two fingerprints of a script (invariant 11).
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Fingerprint {
    /// The algorithm's version; old rows stay valid under their own.
    pub version: u32,
    /// Over the bytes.
    pub bytes: String,
    /// Over the tokens: comments, white space, line ends and BOM do not count.
    pub meaning: String,
}
