//! What the journal says of the batches of a cleaning.
//!
//! As of backfills: each batch has a number that is never given out again; `done` says that it was committed, together
//! with the image of what it removed and changed; `undone` that it was taken back. They are taken back newest first.

use crate::journal::{Event, Record, Writing};
use serde::{Deserialize, Serialize};

/// What tells these records apart from those of statements and backfills.
const KIND: &str = "clean";

/// How many keys of rows that were left alone are shown.
pub const KEYS_SHOWN: usize = 20;

/// A part of a file of archived rows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FilePart {
    /// The file.
    pub path: String,
    /// Where it began.
    pub from: u64,
    /// Where it ended.
    pub to: u64,
}

/// The detail of a record.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Detail {
    /// `clean`.
    pub kind: String,
    /// The rule.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub rule: String,
    /// Rows removed.
    pub removed: u64,
    /// Rows changed.
    pub changed: u64,
    /// Of an undo: rows that others have written to since.
    pub left: u64,
    /// The first of their keys.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<String>,
    /// What was written to a file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<FilePart>,
    /// A table that was made for archived rows: schema, name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub made: Option<(Option<String>, String)>,
}

/// A record about a whole cleaning, or one of its batches.
pub fn record(event: Event, unit: &str, batch: Option<i64>, detail: Detail) -> Writing {
    let detail = Detail {
        kind: KIND.into(),
        ..detail
    };
    let detail = serde_json::to_value(detail).unwrap_or_default();
    Writing::batch(event, unit, batch, detail)
}

/// What is known of a cleaning.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct State {
    /// It began, and was not taken back since.
    pub began: bool,
    /// It came to its end.
    pub ended: bool,
    /// The number of the next batch.
    pub next: i64,
    /// Batches that stand, in order.
    pub standing: Vec<(i64, Detail)>,
    /// Files of archives, and where they ended when the cleaning began to write to them or its last batch was committed.
    pub files: Vec<FilePart>,
    /// Tables that were made.
    pub made: Vec<(Option<String>, String)>,
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
                    state.began = true;
                    state.ended = false;
                    state.note(&detail);
                }
                (Event::Done, Some(batch)) => {
                    state.note(&detail);
                    state.next = state.next.max(batch + 1);
                    state.standing.push((batch, detail));
                }
                (Event::Ended, None) => state.ended = true,
                (Event::Undone, Some(batch)) => {
                    state.standing.retain(|(standing, _)| *standing != batch);
                }
                (Event::Undone, None) => {
                    let next = state.next;
                    state = State {
                        next,
                        ..State::default()
                    };
                }
                _ => {}
            }
        }
        state
    }

    fn note(&mut self, detail: &Detail) {
        self.made.extend(detail.made.clone());
        let Some(part) = &detail.file else { return };
        match self.files.iter_mut().find(|file| file.path == part.path) {
            Some(file) => file.to = part.to,
            None => self.files.push(part.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fold(list: &[(Event, Option<i64>, Detail)]) -> State {
        let records: Vec<Record> = list
            .iter()
            .map(|(event, stmt, detail)| Record {
                id: 1,
                run: "r".into(),
                at: String::new(),
                event: *event,
                unit: Some("u".into()),
                stmt: *stmt,
                hash: None,
                detail: record(*event, "u", *stmt, detail.clone())
                    .detail
                    .to_string(),
            })
            .collect();
        State::fold(&records)
    }

    #[test]
    fn batches_stand_until_they_are_taken_back() {
        let part = |from, to| Detail {
            removed: 2,
            file: Some(FilePart {
                path: "a".into(),
                from,
                to,
            }),
            ..Detail::default()
        };
        let forward = [
            (Event::Began, None, part(5, 5)),
            (Event::Done, Some(0), part(5, 9)),
            (Event::Done, Some(1), part(9, 20)),
        ];
        let state = fold(&forward);
        assert_eq!(
            (state.began, state.ended, state.next, state.standing.len()),
            (true, false, 2, 2)
        );
        assert_eq!(
            state.files,
            [FilePart {
                path: "a".into(),
                from: 5,
                to: 20
            }]
        );
        let rest = [
            (Event::Ended, None, Detail::default()),
            (Event::Undone, Some(1), Detail::default()),
        ];
        let state = fold(&[&forward[..], &rest[..]].concat());
        assert!(state.ended);
        assert_eq!(state.standing.len(), 1);
        let back = [(Event::Undone, None, Detail::default())];
        let state = fold(&[&forward[..], &back[..]].concat());
        assert_eq!((state.began, state.next, state.files.len()), (false, 2, 0));
    }
}
