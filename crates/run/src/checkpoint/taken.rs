//! Rows that come back beside others': where others have taken what is unique in one of them, that row does not come, and
//! theirs stays.

use super::restore::refused;
use crate::backup::archive::Putter;
use dunlin_core::copy::reading::Bound;
use dunlin_core::dialect::change::PutOne;
use dunlin_core::failure::{ErrorClass, Failure};
use dunlin_core::value::Value;
use dunlin_engines::{DbError, Session};

/// Why a row does not come, behind its key.
pub(super) const WHY: &str = "another row holds by now what is unique in it";

/// Rows in one part of the transaction.
const TOGETHER: usize = 200;
/// Keys in one statement.
const CHUNK: usize = 500;

/// Begins a part of the transaction, which [`stands`] ends.
pub(super) async fn begin(work: &mut dyn Session) -> Result<(), Failure> {
    let [begin, ..] = work.dialect().change().part();
    let begun = work.execute(begin).await;
    begun.map(drop).map_err(|error| refused(&error))
}

/// Ends a part of the transaction. Where a unique key has refused what was done in it, it is taken back: `false`.
pub(super) async fn stands(
    work: &mut dyn Session,
    done: Result<(), DbError>,
) -> Result<bool, Failure> {
    let [_, release, back] = work.dialect().change().part();
    let stands = match done {
        Ok(()) => true,
        Err(error) if error.class == ErrorClass::Unique => false,
        Err(error) => return Err(refused(&error)),
    };
    let ends = [(!stands).then_some(back), Some(release)];
    for sql in ends.into_iter().flatten() {
        let ended = work.execute(sql).await;
        ended.map_err(|error| refused(&error))?;
    }
    Ok(stands)
}

/// Puts rows in, each under the hash of its key.
pub(super) struct Beside {
    putter: Putter,
    rows: Vec<(u128, Vec<Value>)>,
    /// Those that did not come.
    pub(super) taken: Vec<u128>,
}

impl Beside {
    pub(super) fn new(work: &dyn Session, target: &Bound) -> Beside {
        Beside {
            putter: Putter::new(work.dialect(), target),
            rows: vec![],
            taken: vec![],
        }
    }

    pub(super) async fn row(
        &mut self,
        work: &mut dyn Session,
        key: u128,
        row: Vec<Value>,
    ) -> Result<(), Failure> {
        self.rows.push((key, row));
        match self.rows.len() < TOGETHER {
            true => Ok(()),
            false => self.flush(work).await,
        }
    }

    pub(super) async fn flush(&mut self, work: &mut dyn Session) -> Result<(), Failure> {
        let rows = std::mem::take(&mut self.rows);
        if rows.is_empty() || self.all(work, &rows).await? {
            return Ok(());
        }
        for one in &rows {
            if !self.all(work, std::slice::from_ref(one)).await? {
                self.taken.push(one.0);
            }
        }
        Ok(())
    }

    /// Puts all of these rows in, or none.
    async fn all(
        &mut self,
        work: &mut dyn Session,
        rows: &[(u128, Vec<Value>)],
    ) -> Result<bool, Failure> {
        begin(work).await?;
        let mut done = Ok(());
        for (_, row) in rows {
            self.putter.row(row);
            done = self.putter.send(work).await;
            if done.is_err() {
                break;
            }
        }
        if done.is_ok() {
            done = self.putter.flush(work).await;
        }
        self.putter.forget();
        stands(work, done).await
    }
}

/// A value for a column of some rows, by their keys, where `only` holds.
pub(super) struct Put<'p> {
    pub(super) column: usize,
    pub(super) value: &'p Value,
    pub(super) keys: Vec<Vec<Value>>,
    pub(super) only: Option<&'p str>,
}

/// Gives rows their values; the keys of those that a unique key refuses, which stay as they are. `to`: the table, the places
/// of its key, columns that an update would change by itself.
pub(super) async fn put_each(
    work: &mut dyn Session,
    to: (&Bound, &[usize], &[String]),
    puts: &[Put<'_>],
) -> Result<Vec<Vec<Value>>, Failure> {
    if puts.is_empty() {
        return Ok(vec![]);
    }
    begin(work).await?;
    let mut done = Ok(());
    'all: for put in puts {
        for keys in put.keys.chunks(CHUNK) {
            done = one(work, to, put, keys).await;
            if done.is_err() {
                break 'all;
            }
        }
    }
    if stands(work, done).await? {
        return Ok(vec![]);
    }
    let mut refused = vec![];
    for put in puts {
        for key in &put.keys {
            begin(work).await?;
            let done = one(work, to, put, std::slice::from_ref(key)).await;
            if !stands(work, done).await? {
                refused.push(key.clone());
            }
        }
    }
    Ok(refused)
}

async fn one(
    work: &mut dyn Session,
    (target, key, still): (&Bound, &[usize], &[String]),
    put: &Put<'_>,
    keys: &[Vec<Value>],
) -> Result<(), DbError> {
    let one = PutOne {
        column: put.column,
        value: put.value,
        keys,
        only: put.only,
        still,
    };
    let query = work.dialect().change().put_one(target, key, &one);
    work.execute_with(&query.sql, &query.params).await.map(drop)
}
