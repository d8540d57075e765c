//! What each engine is asked before a plan begins: rights, open transactions, extensions, the clock, health.

use super::Caps;
use crate::preflight::rights::{Right, Wanted};
use crate::redact::veiled;
use crate::value::{Query, Row};

/// A right that is missing, and how it is given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lacking {
    /// Which of those that were asked for.
    pub at: usize,
    /// The statement that gives it.
    pub grant: String,
}

/// A right as servers spell it that have a privilege for each thing that is made, and as people are told.
pub const fn privilege(right: Right) -> &'static str {
    match right {
        Right::CreateView => "CREATE VIEW",
        Right::CreateRoutine => "CREATE ROUTINE",
        other => other.word(),
    }
}

/// Which rights are missing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rights {
    /// Those that are.
    pub lacking: Vec<Lacking>,
    /// Why some cannot be judged.
    pub unknown: Option<String>,
}

/// A transaction that is open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenTransaction {
    /// The session.
    pub session: String,
    /// Whose it is.
    pub user: String,
    /// For how many seconds.
    pub seconds: u64,
    /// Since when, as the server spells it.
    pub since: String,
    /// What it does or did last.
    pub what: String,
}

/// What an engine's room answers about the state of a server.
pub trait PreflightDialect: Send + Sync + std::fmt::Debug {
    /// A query whose rows tell what is wrong with the database, for [`PreflightDialect::read_health`].
    fn health(&self) -> &'static str;
    /// What is wrong, each a sentence; empty: nothing.
    fn read_health(&self, rows: &[Row]) -> Vec<String>;
    /// The size of the database in bytes. `None`: only the sum of its tables is known.
    fn database_bytes(&self) -> Option<&'static str>;
    /// The server's clock, in milliseconds since 1970. `None`: it is this machine's.
    fn clock(&self) -> Option<&'static str>;
    /// Other sessions' transactions in this database that are at least this old: session, user, seconds, since, what.
    /// A session that this user may not look at has NULL for its seconds. Several: the next is asked where one fails; none:
    /// the engine cannot tell.
    fn transactions(&self, seconds: u64) -> Vec<Query>;
    /// Who keeps a session waiting for a lock at this moment, on these tables (names without their schema) or their rows:
    /// session, user, what. `None`: the engine cannot tell, or has nobody to be named.
    fn blockers(&self, caps: &Caps, session: i64, tables: &[&str]) -> Option<Query>;
    /// The version of an extension that is installed here: a row, or none. `None`: the engine has no extensions.
    fn extension(&self, name: &str) -> Option<Query>;
    /// What installs an extension.
    fn install(&self, extension: &str) -> String;
    /// Asks for rights. `None`: rights are those of files.
    fn rights(&self, wanted: &[Wanted], caps: &Caps) -> Option<Query>;
    /// Which of the rights are missing, by the answer.
    fn read_rights(&self, wanted: &[Wanted], rows: &[Row], database: &str) -> Rights;
    /// The folder in which the server keeps its data. `None`: it has none but the file itself.
    fn data_folder(&self) -> Option<&'static str>;
    /// The tools of which one makes a backup; empty: none is needed.
    fn dump_tools(&self) -> &'static [&'static str];
}

/// Reads a row of [`PreflightDialect::transactions`].
pub fn read_transaction(row: &Row) -> Option<OpenTransaction> {
    let [session, user, seconds, since, what] = row.as_slice() else {
        return None;
    };
    let text = |value: &crate::value::Value| {
        value
            .as_str()
            .map(str::to_owned)
            .or_else(|| value.as_i64().map(|number| number.to_string()))
            .unwrap_or_default()
    };
    Some(OpenTransaction {
        session: text(session),
        user: text(user),
        seconds: u64::try_from(seconds.as_i64()?).unwrap_or(0),
        since: text(since),
        what: of_others(&text(what)),
    })
}

/// A statement of somebody else's as it is shown: on one line, without a password that it gives.
pub fn of_others(sql: &str) -> String {
    let words: Vec<&str> = sql.split_whitespace().collect();
    veiled(&words.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::Value;

    #[test]
    fn invariant_12_what_others_run_is_shown_without_the_passwords_that_it_gives() {
        let sql = "active: ALTER ROLE bob\n  PASSWORD 's3cret' VALID UNTIL 'inf";
        let row: Row = vec![
            "7".into(),
            "bob".into(),
            Value::Int(90),
            "".into(),
            sql.into(),
        ];
        let what = read_transaction(&row).map(|open| open.what);
        let shown = "active: ALTER ROLE bob PASSWORD '***' VALID UNTIL '***";
        assert_eq!(what.as_deref(), Some(shown));
    }
}
