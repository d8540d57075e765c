//! What every room must answer about checks of plans: how statements are tried out, plans looked at, keys compared.

use super::Caps;
use crate::schema::Table;
use crate::source::grammar::checks::Because;
use crate::value::Row;
use std::time::Duration;

/// How a server would run a query.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Shown {
    /// The indexes that it would use.
    pub indexes: Vec<String>,
    /// What it would read whole, as a person is told: `contacts (Seq Scan)`.
    pub whole: Vec<String>,
}

/// Checks of plans in one engine's words.
pub trait ChecksDialect: Send + Sync + std::fmt::Debug {
    /// A query for the highest value of a column, under the name of its table as it was quoted.
    fn highest(&self, schema: Option<&str>, table: &str, column: &str) -> String;
    /// A query for a table's rows (`select`, as [`super::RowsDialect::select`] gives it) up to and including a key.
    fn up_to(&self, select: &str, column: &str, key: i64) -> String;
    /// The statement that shows how a query would be run.
    fn explain(&self, sql: &str) -> String;
    /// Reads its rows. `limited`: the query asks for some rows only, so that an index that is read from its beginning is
    /// not read to its end. `None`: not understood.
    fn read_explain(&self, rows: &[Row], limited: bool) -> Option<Shown>;
    /// A query that costs the same on every day but for the load of the server: what a measure is scaled by.
    fn reference(&self) -> &'static str;
    /// Statements before a transaction in which a statement is tried out: constraints bite, waits are bounded.
    fn trial_before(&self, caps: &Caps, bound: Duration) -> Vec<String>;
    /// Statements within it, before the statement.
    fn trial_within(&self, bound: Duration) -> Vec<String>;
    /// The statement after it that makes constraints bite which would bite at COMMIT only.
    fn immediate(&self) -> Option<&'static str>;
    /// Where no statement does that: a query for the number of rows that refer to nothing.
    fn dangling(&self) -> Option<&'static str>;
    /// A query for counters that a rollback does not bring back: name, value. `None`: there are none.
    fn counters(&self) -> Option<&'static str>;
    /// The kind of violation that a native error is; [`Because::Check`] where [`ChecksDialect::check_named`] must be
    /// looked at. `None`: another trouble.
    fn because(&self, code: &str, message: &str) -> Option<Because>;
    /// The statement that sets columns of one row, any one in which `only` holds.
    fn set_one(&self, table: &Table, set: &str, only: &str) -> String;
    /// The name (or the text) of the check constraint that an error speaks of: what it checks may be that a text is JSON.
    fn check_named(&self, message: &str) -> Option<String>;
}

/// The text between the first two of these marks.
pub(super) fn between<'a>(message: &'a str, open: &str, close: &str) -> Option<&'a str> {
    let (_, rest) = message.split_once(open)?;
    rest.split_once(close).map(|(found, _)| found)
}
