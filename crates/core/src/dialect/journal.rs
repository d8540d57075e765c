//! The SQL by which the journal and the lease are kept, in one engine's words: what every dialect fills in.

use super::{Dialect, Mark};
use std::borrow::Cow;
use std::sync::OnceLock;

/// Where the journal's tables are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JournalNames {
    /// The schema, where the engine has several (`journal_schema`).
    pub schema: Option<String>,
    /// The prefix of the tables' names (`journal_prefix`).
    pub prefix: String,
}

impl Default for JournalNames {
    fn default() -> Self {
        JournalNames {
            schema: None,
            prefix: "dunlin_".into(),
        }
    }
}

/// The journal's SQL in one engine's words. Parameter order stands at each field.
#[derive(Debug, Clone)]
pub struct JournalSql {
    /// Statements that make the tables where they are missing, in order; each safe to repeat.
    pub create: Vec<String>,
    /// The table whose presence says that a restore was begun and has not come to its end: its name, and the statements
    /// that make and drop it.
    pub restoring: Mark,
    /// Reads everything above statement level: id, run, at, event, unit, stmt, hash, detail. One row is the fence's: id 0,
    /// event `fence`, stmt the format, hash the token, detail the identity. In no order, for the server would lay long
    /// texts aside on its disk to sort them: who reads puts them in order by their ids.
    /// Fails with "object missing" where there is no journal.
    pub read: String,
    /// Reads statement-level records of one unit: unit → the same columns.
    pub read_unit: String,
    /// Reads what is said of a plan as a whole, given its key: orders and confirmations; the same columns.
    pub read_orders: String,
    /// Reads everything about plans, their phases and steps: the same columns.
    pub read_plans: String,
    /// Reads the beginnings and ends of runs: the same columns.
    pub read_runs: String,
    /// Counts other runs than this one that have begun since a catalog was last recorded at a run's end: run.
    pub count_unrecorded: String,
    /// Reads the newest recorded catalog: its detail.
    pub read_catalog: String,
    /// Reads the catalog from before the first migration (or at the baseline): its detail.
    pub read_base: String,
    /// Appends records, all or none: what stands before the rows. See [`JournalSql::append`].
    pub append_head: String,
    /// One row of it, with `{1}` to `{9}` for run, at, event, scope, unit, stmt, hash, detail, token. Fails on NOT NULL
    /// where the token is not the fence's: that is what fences a stale holder off.
    pub append_row: String,
    /// A further row, with the token as it is: all rows are written or none, so the first one asks for all of them.
    pub append_more: String,
    /// Reads the fence: → token, format, identity.
    pub fence_read: String,
    /// Raises the fence: new token, old token.
    pub fence_raise: String,
    /// Makes the fence's row where it is missing: format, identity.
    pub fence_init: String,
    /// Asks for the database's identity: one text, equal for a server and database, different on a clone.
    pub identity: String,
    /// Writes a clone's own identity over that of its original: identity.
    pub fence_identity: String,
    /// The images of what backfills changed.
    pub undo: UndoSql,
    /// The names of the journal's own tables (never ours to drop, never drift).
    pub tables: Vec<String>,
    /// The statements that append one, two or three records, once they were needed: a run asks for one of them with
    /// every migration and with every step.
    pub(super) few: [OnceLock<String>; 3],
}

/// The table of undo images: one for each batch of a backfill, written with the batch's record.
#[derive(Debug, Clone, Default)]
pub struct UndoSql {
    /// Makes it; safe to repeat. It comes with the first backfill.
    pub create: String,
    /// Appends an image: run, unit, batch, image.
    pub append: String,
    /// Reads an image: unit, batch.
    pub read: String,
}

/// [`JournalSql::count_unrecorded`], which all engines spell alike but for the parameter.
pub(super) fn count_unrecorded(journal: &str, run: &str) -> String {
    format!(
        "SELECT count(*) FROM {journal} WHERE scope = 'run' AND event = 'began' AND run <> {run} AND id > \
         COALESCE((SELECT max(id) FROM {journal} WHERE scope = 'catalog' AND hash IS NULL), 0)"
    )
}

/// [`JournalSql::append_head`], which all engines spell alike.
pub(super) fn append_head(journal: &str) -> String {
    format!("INSERT INTO {journal} (run, at, event, scope, unit, stmt, hash, detail, token) VALUES")
}

impl JournalSql {
    /// Parameters of one appended row.
    pub const APPEND_WIDTH: usize = 9;

    /// The statement that appends `rows` records.
    pub fn append(&self, rows: usize, dialect: &dyn Dialect) -> Cow<'_, str> {
        match rows.checked_sub(1).and_then(|at| self.few.get(at)) {
            Some(kept) => Cow::Borrowed(kept.get_or_init(|| self.appending(rows, dialect))),
            None => Cow::Owned(self.appending(rows, dialect)),
        }
    }

    fn appending(&self, rows: usize, dialect: &dyn Dialect) -> String {
        let more = self.append_more.len() + 4 * Self::APPEND_WIDTH;
        let mut sql =
            String::with_capacity(self.append_head.len() + self.append_row.len() + rows * more);
        sql.push_str(&self.append_head);
        for row in 0..rows {
            sql.push_str(if row == 0 { " " } else { ", " });
            let template = if row == 0 {
                &self.append_row
            } else {
                &self.append_more
            };
            // Between the braces stands nothing but the number of a column.
            let mut rest = template.as_str();
            while let Some((before, column, after)) = placeholder(rest) {
                sql.push_str(before);
                sql.push_str(&dialect.param(row * Self::APPEND_WIDTH + column));
                rest = after;
            }
            sql.push_str(rest);
        }
        sql
    }
}

/// The lease's SQL: two session locks, `lease` (held by the idle lease session) and `work` (held by the session that
/// writes). Whoever gets `work` knows by that alone that the predecessor's session is gone.
#[derive(Debug, Clone)]
pub struct LeaseSql {
    /// Tries to take a lock without waiting: name → boolean.
    pub lock_try: String,
    /// Gives a lock back: name.
    pub lock_release: String,
    /// Who holds a lock: name → the server's session id as text, or no row / NULL.
    pub lock_holder: String,
    /// The id of the session that asks, in the same form.
    pub own_session: String,
    /// Ends the session with this id (a statement with the id filled in by [`LeaseSql::end`]).
    pub end_session: String,
    /// Reads the lease row: → holder, since, beat age in milliseconds by the server's clock.
    pub read: String,
    /// Writes the lease row: token, holder, since (and beats).
    pub write: Vec<String>,
    /// Beats: token.
    pub beat: String,
    /// Clears the lease row: token.
    pub clear: String,
    /// Clears the lease row, whoever wrote it.
    pub clear_any: String,
    /// What the lock names begin with; the database's own name is in it where locks are server-wide.
    pub key: String,
}

impl LeaseSql {
    /// The statement that ends a session. Ids are the server's numbers; anything else is refused.
    pub fn end(&self, session: &str) -> Option<String> {
        session
            .bytes()
            .all(|byte| byte.is_ascii_digit())
            .then(|| self.end_session.replace("{id}", session))
    }
}

/// The next `{1}` to `{9}` of a template, with what stands before and behind it.
fn placeholder(template: &str) -> Option<(&str, usize, &str)> {
    let (before, rest) = template.split_once('{')?;
    let (number, after) = rest.split_once('}')?;
    Some((before, number.parse().ok()?, after))
}
