//! A whole transaction as one text: the clock, START TRANSACTION, a statement, the clock again, the record, COMMIT. The
//! server leaves the rest of a text aside where a part fails, so nothing of it can happen alone.

use super::MysqlSession;
use crate::mysql::values::{TOOK, is_long, with_literals};
use crate::{DbError, Halted, Whole};
use dunlin_core::failure::ErrorClass;

/// By the server's clock, in a zone without summer time; a replica comes to the same.
const NOW: &str = "UTC_TIMESTAMP(6)";

/// The statement's place among the parts. What follows it reads the clock and cannot fail, so an error that comes after
/// its first row is its own, and not the record's.
const STATEMENT: usize = 2;
const RECORD: usize = 4;
const PARTS: usize = 6;

/// The verbs of statements that give one result at most and leave the transaction as it is.
const VERBS: [&str; 6] = ["SELECT", "WITH", "INSERT", "UPDATE", "DELETE", "REPLACE"];

impl MysqlSession {
    /// Sends all of it on one trip. `None`: this one must go step by step.
    pub(super) async fn on_one_trip(&mut self, whole: &Whole<'_>) -> Option<Result<u64, Halted>> {
        let sql = whole.sql.trim_end().trim_end_matches(';');
        // A backslash is read in two ways, as the session is set: what follows the statement must not come to stand
        // within a literal of it.
        let plain = begins_plainly(sql) && !sql.contains('\\') && self.may_be_text(sql);
        if !plain || self.in_transaction || is_long(whole.params) {
            return None;
        }
        if !whole.is_ours() {
            return Some(Err(Halted::Record(crate::not_ours())));
        }
        let record = with_literals(whole.record, whole.params, whole.took);
        let text = format!(
            "SET @dunlin_began = {NOW};START TRANSACTION;{sql}\n;\
             SET {TOOK} = TIMESTAMPDIFF(MICROSECOND, @dunlin_began, {NOW}) DIV 1000;{record};COMMIT"
        );
        Some(self.send_whole(&text).await)
    }

    async fn send_whole(&mut self, text: &str) -> Result<u64, Halted> {
        self.ready().await.map_err(Halted::Statement)?;
        let (mut failing, mut changed) = (0, 0);
        let outcome = self.parts_of(text, &mut failing, &mut changed).await;
        self.in_transaction = failing >= STATEMENT;
        let outcome = self.finished(outcome, text).await;
        let error = match outcome {
            Ok(()) if failing == PARTS => return Ok(changed),
            // Something that stands in the statement has swallowed what followed it.
            Ok(()) => DbError::new(
                ErrorClass::Other,
                "the statement does not end where it seems to",
            ),
            Err(error) => error,
        };
        Err(match failing {
            // It may have come as far as COMMIT, and further.
            _ if error.class == ErrorClass::ConnectionLost => Halted::After(error),
            at if at < RECORD => Halted::Statement(error),
            RECORD => Halted::Record(error),
            _ => Halted::After(error),
        })
    }

    /// Counts the parts up to the one that fails, and the rows that the statement changed.
    async fn parts_of(
        &mut self,
        text: &str,
        failing: &mut usize,
        changed: &mut u64,
    ) -> Result<(), mysql_async::Error> {
        use mysql_async::prelude::Queryable;
        let mut result = self.conn()?.query_iter(text).await?;
        loop {
            if *failing == STATEMENT && result.columns_ref().is_empty() {
                *changed = result.affected_rows();
            }
            if result.is_empty() {
                // The last part; or one that failed, whose error waits and counts as no rows.
                result.next().await?;
                *failing += 1;
                return Ok(());
            }
            // To its end, and to the beginning of the next one.
            while result.next().await?.is_some() {}
            *failing += 1;
        }
    }
}

fn begins_plainly(sql: &str) -> bool {
    let word = sql.split(|c: char| !c.is_ascii_alphabetic()).next();
    word.is_some_and(|word| VERBS.iter().any(|verb| verb.eq_ignore_ascii_case(word)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_statements_of_one_result_go_whole() {
        for sql in [
            "SELECT 1",
            "insert into t values (1)",
            "WITH a AS (SELECT 1) SELECT * FROM a",
        ] {
            assert!(begins_plainly(sql), "{sql}");
        }
        for sql in [
            "CALL p()",
            "/*! SELECT 1 */",
            "SELECTED",
            "BEGIN",
            "SET @a = 1",
            "",
        ] {
            assert!(!begins_plainly(sql), "{sql}");
        }
    }
}
