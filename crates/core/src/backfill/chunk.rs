//! What the journal says of the batches of a backfill.
//!
//! Each batch has a number, from 0, that is never given out again. `done` says that its rows were changed, `undone` that
//! they were taken back. Batches are taken back from the last to the first, so that a row which was changed twice comes
//! to what it held before the first time.

use crate::journal::{Event, Record, Writing};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What tells records of backfills apart from those of statements.
const KIND: &str = "backfill";

/// How many keys of rows that were left alone are shown.
pub const KEYS_SHOWN: usize = 20;

/// The detail of a record.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Detail {
    /// `backfill`.
    pub kind: String,
    /// How many rows.
    pub rows: u64,
    /// Of a beginning: the defaults that columns had, for those that get one.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub defaults: BTreeMap<String, Option<String>>,
    /// Of an undo: rows that others have changed since.
    #[serde(skip_serializing_if = "is_zero")]
    pub left: u64,
    /// The first of their keys.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<String>,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // the form that serde asks for
fn is_zero(n: &u64) -> bool {
    *n == 0
}

/// A record about the whole backfill, or one of its batches.
pub fn record(event: Event, unit: &str, batch: Option<i64>, detail: Detail) -> Writing {
    let detail = Detail {
        kind: KIND.into(),
        ..detail
    };
    let detail = serde_json::to_value(detail).unwrap_or_default();
    Writing::batch(event, unit, batch, detail)
}

/// What is known of the batches of one unit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct State {
    /// The number of the next batch.
    pub next: i64,
    /// Batches that are done and not taken back, in order, with their rows.
    pub standing: Vec<(i64, u64)>,
    /// The batch after whose last key to go on; `None`: from the beginning.
    pub resume: Option<i64>,
    /// The defaults that columns had before the first beginning that still stands.
    pub defaults: Option<BTreeMap<String, Option<String>>>,
    /// Rows that the undo under way has left alone, and the first of their keys.
    pub left: u64,
    /// See [`State::left`].
    pub keys: Vec<String>,
    /// Rows that the undo under way has taken back.
    pub undone: u64,
}

impl State {
    /// Folds the records of a unit, oldest first; those of others are passed over.
    pub fn fold(records: &[Record]) -> State {
        let mut state = State::default();
        for record in records {
            let detail: Detail = record.detail();
            if detail.kind != KIND {
                continue;
            }
            match (record.event, record.stmt) {
                (Event::Began, None) => {
                    state.defaults.get_or_insert(detail.defaults);
                }
                (Event::Done, Some(batch)) => {
                    state.next = state.next.max(batch + 1);
                    state.standing.push((batch, detail.rows));
                    state.resume = Some(batch);
                    (state.left, state.undone) = (0, 0);
                    state.keys.clear();
                }
                (Event::Undone, Some(batch)) => {
                    state.standing.retain(|(standing, _)| *standing != batch);
                    state.resume = None;
                    state.left += detail.left;
                    state.undone += detail.rows;
                    state.keys.extend(detail.keys);
                    state.keys.truncate(KEYS_SHOWN);
                }
                (Event::Undone, None) => state.defaults = None,
                _ => {}
            }
        }
        state
    }

    /// How many rows the standing batches have changed.
    pub fn rows(&self) -> u64 {
        self.standing.iter().map(|(_, rows)| rows).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records(list: &[(Event, Option<i64>, u64, u64)]) -> Vec<Record> {
        list.iter()
            .map(|(event, stmt, rows, left)| {
                let detail = Detail {
                    rows: *rows,
                    left: *left,
                    ..Detail::default()
                };
                let writing = record(*event, "u", *stmt, detail);
                Record {
                    id: 1,
                    run: "r".into(),
                    at: String::new(),
                    event: *event,
                    unit: Some("u".into()),
                    stmt: *stmt,
                    hash: None,
                    detail: writing.detail.to_string(),
                }
            })
            .collect()
    }

    #[test]
    fn a_batch_that_stands_is_where_it_goes_on() {
        use Event::{Began, Done, Undone};
        let forward = [
            (Began, None, 0, 0),
            (Done, Some(0), 5, 0),
            (Done, Some(1), 6, 0),
        ];
        let state = State::fold(&records(&forward));
        assert_eq!((state.next, state.resume, state.rows()), (2, Some(1), 11));
        let back = [(Undone, Some(1), 4, 2)];
        let state = State::fold(&records(&[&forward[..], &back[..]].concat()));
        assert_eq!((state.next, state.resume, state.rows()), (2, None, 5));
        assert_eq!((state.left, state.undone), (2, 4));
        assert!(state.defaults.is_some());
        let again = [
            (Undone, Some(0), 5, 0),
            (Undone, None, 0, 0),
            (Done, Some(2), 9, 0),
        ];
        let state = State::fold(&records(&[&forward[..], &back[..], &again[..]].concat()));
        assert_eq!((state.next, state.resume, state.rows()), (3, Some(2), 9));
        assert_eq!((state.left, state.defaults), (0, None));
    }

    #[test]
    fn records_of_statements_are_not_ours() {
        let mut list = records(&[(Event::Done, Some(0), 5, 0)]);
        list[0].detail = "{}".into();
        assert_eq!(State::fold(&list), State::default());
    }
}
