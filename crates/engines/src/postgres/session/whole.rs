//! Parts of a transaction that go together, and a whole one as one text: BEGIN, a statement, the record by a prepared statement, COMMIT. The server parses the
//! text before it runs anything of it, and leaves the rest aside where a part fails, so nothing of it can happen alone.

use super::{PostgresSession, Step, reads};
use crate::{DbError, Halted, Took, Whole};
use dunlin_core::failure::ErrorClass;
use dunlin_core::value::Value;
use futures_util::TryStreamExt;
use tokio_postgres::SimpleQueryMessage;

const BEGIN: &str = "BEGIN;";

/// How many texts of records are kept prepared; they differ in their number of rows.
const KEPT_MAX: usize = 8;

/// No prepared statement of that name: a script has dropped all of them.
const UNKNOWN_STATEMENT: &str = "26000";

/// Milliseconds since BEGIN, by the server's clock.
const SINCE_BEGIN: &str =
    "(extract(epoch FROM clock_timestamp() - transaction_timestamp()) * 1000)::bigint";

impl PostgresSession {
    /// BEGIN and a transaction's first statement as one text: where BEGIN fails the server leaves the rest of the text
    /// aside, which it would not do with two messages on their way at once.
    pub(super) async fn together(&mut self, sql: &str) -> Result<u64, DbError> {
        self.settle().await?;
        self.forget_results(sql);
        (self.in_transaction, self.aborted) = (true, false);
        let text = format!("{BEGIN}{sql}");
        let outcome = self.simple(&text).await;
        let outcome = self.finished(outcome, &text).await;
        let changed = outcome.map_err(|mut error| {
            error.position = error.position.map(|at| at.saturating_sub(BEGIN.len()));
            error
        })?;
        Ok(if reads(sql) { 0 } else { changed })
    }

    /// A record and COMMIT, both on their way before the first is answered: where the record fails the transaction has
    /// failed, and the server makes a ROLLBACK of the COMMIT.
    pub(super) async fn record_with_commit(
        &mut self,
        sql: &str,
        params: &[Value],
    ) -> Result<(), Halted> {
        self.ready().await.map_err(Halted::Record)?;
        let statement = match self.statement(sql, params, false).await {
            Ok(statement) => statement,
            Err(error) => {
                let error = self.finished::<()>(Err(error), sql).await;
                return error.map_err(Halted::Record);
            }
        };
        let record = self.send_bound(sql, statement.as_ref(), params);
        let commit = self.client.batch_execute("COMMIT");
        // Polled in this order, and each is sent when it is polled first.
        let (recorded, committed) = futures_util::future::join(record, commit).await;
        self.unseen = false;
        (self.in_transaction, self.aborted) = (false, false);
        let recorded = recorded.map_err(|error| self.failed(&error, sql));
        let committed = self.finished(committed, "COMMIT").await;
        match recorded {
            // Lost before the record was answered, and COMMIT was under way: what became of it is not known.
            Err(error) if error.class == ErrorClass::ConnectionLost => Err(Halted::After(error)),
            Err(error) => Err(Halted::Record(error)),
            Ok(_) => committed.map_err(Halted::After),
        }
    }

    /// Sends all of it on one trip. `None`: this one must go step by step.
    pub(super) async fn on_one_trip(&mut self, whole: &Whole<'_>) -> Option<Result<u64, Halted>> {
        // A backslash is read in two ways, as the session is set: what follows the statement must not come to stand
        // within a literal of it.
        let plain = !whole.sql.contains('\\') && Step::of(whole.sql) == Step::Other;
        if !plain || self.local_pins.is_some() || self.in_transaction {
            return None;
        }
        if !whole.is_ours() {
            return Some(Err(Halted::Record(crate::not_ours())));
        }
        let values = literals(whole.params, whole.took)?;
        let name = match self.kept_record(whole.record).await {
            Ok(name) => name?,
            Err(error) => return Some(Err(Halted::Statement(error))),
        };
        let text = format!("{BEGIN}{}\n;EXECUTE {name}({values});COMMIT", whole.sql);
        let outcome = self.send_whole(&text, whole.sql).await;
        if let Err(Halted::Record(error)) = &outcome
            && error.code == UNKNOWN_STATEMENT
        {
            self.records.clear();
            let back = self.run("ROLLBACK").await;
            return back.err().map(|error| Err(Halted::Record(error)));
        }
        Some(outcome)
    }

    /// The name under which a record's statement is prepared, from its second use on: the first alone is not worth it.
    async fn kept_record(&mut self, record: &str) -> Result<Option<String>, DbError> {
        let count = self.records.len();
        let Some(at) = self.records.iter().position(|(kept, _)| kept == record) else {
            if count < KEPT_MAX {
                self.records.push((record.to_owned(), false));
            }
            return Ok(None);
        };
        let name = format!("dunlin_record_{at}");
        if !self.records[at].1 {
            self.run(&format!("PREPARE {name} AS {record}")).await?;
            self.records[at].1 = true;
        }
        Ok(Some(name))
    }

    async fn send_whole(&mut self, text: &str, sql: &str) -> Result<u64, Halted> {
        self.settle().await.map_err(Halted::Statement)?;
        self.forget_results(sql);
        (self.in_transaction, self.aborted) = (true, false);
        let (mut passed, mut changed) = (0, 0);
        let outcome = self.parts(text, &mut passed, &mut changed).await;
        let outcome = self.finished(outcome, text).await;
        let Err(mut error) = outcome else {
            (self.in_transaction, self.aborted) = (false, false);
            return Ok(if reads(sql) { 0 } else { changed });
        };
        let within = |at: usize| at.checked_sub(BEGIN.len()).filter(|at| *at <= sql.len());
        error.position = error.position.and_then(within);
        Err(match passed {
            // It may have come as far as COMMIT, and further.
            _ if error.class == ErrorClass::ConnectionLost => Halted::After(error),
            0 | 1 => Halted::Statement(error),
            2 => Halted::Record(error),
            _ => {
                // A deferred constraint: the server has rolled the transaction back.
                (self.in_transaction, self.aborted) = (false, false);
                Halted::After(error)
            }
        })
    }

    /// Counts the parts that passed, and the rows that the second of them changed.
    async fn parts(
        &mut self,
        text: &str,
        passed: &mut usize,
        changed: &mut u64,
    ) -> Result<(), tokio_postgres::Error> {
        let mut messages = std::pin::pin!(self.client.simple_query_raw(text).await?);
        while let Some(message) = messages.try_next().await? {
            if let SimpleQueryMessage::CommandComplete(rows) = message {
                *passed += 1;
                if *passed == 2 {
                    *changed = rows;
                }
            }
        }
        Ok(())
    }
}

/// Values as literals that mean the same however the session is set. `None`: one of them has no such literal.
fn literals(params: &[Value], took: Option<Took>) -> Option<String> {
    let mut text = String::with_capacity(800);
    for (at, param) in params.iter().enumerate() {
        if at > 0 {
            text.push_str(", ");
        }
        match param {
            Value::Null => text.push_str("NULL"),
            Value::Int(number) => text.push_str(&number.to_string()),
            Value::Text(value) if value.contains('\0') => return None,
            Value::Text(value) => match took.filter(|took| took.param == at) {
                Some(took) => {
                    let (before, after) = value.split_at_checked(took.at)?;
                    quote(before, &mut text);
                    text.push_str(&format!(" || ({SINCE_BEGIN} + {})::text || ", took.plus));
                    quote(after, &mut text);
                }
                None => quote(value, &mut text),
            },
            _ => return None,
        }
    }
    Some(text)
}

/// With an `E`, a backslash is an escape in every session.
fn quote(value: &str, into: &mut String) {
    into.push_str("E'");
    let mut rest = value;
    // Both are doubled, and neither is part of a longer character.
    while let Some(at) = rest.bytes().position(|byte| matches!(byte, b'\'' | b'\\')) {
        let (before, after) = rest.split_at(at + 1);
        into.push_str(before);
        into.push_str(&before[at..]);
        rest = after;
    }
    into.push_str(rest);
    into.push('\'');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_become_literals_with_the_time_between_two_halves() {
        let took = Took {
            param: 1,
            at: 2,
            plus: 7,
        };
        let params = [
            "it's \\ ü".into(),
            "a:b".into(),
            Value::Null,
            Value::Int(-1),
        ];
        let text = literals(&params, Some(took));
        let expected =
            format!("E'it''s \\\\ ü', E'a:' || ({SINCE_BEGIN} + 7)::text || E'b', NULL, -1");
        assert_eq!(text.as_deref(), Some(expected.as_str()));
        assert_eq!(literals(&["a\0b".into()], None), None);
        assert_eq!(literals(&[Value::Float(1.5)], None), None);
    }
}
