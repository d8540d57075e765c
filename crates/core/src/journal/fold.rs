//! What the records mean: which migrations are applied, which stand half way, what is in doubt.

use super::left::Left;
use super::record::{Direction, Event, Record};
use crate::source::Version;
use crate::sql::Fingerprint;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};

/// What unit-level records keep in `detail`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct UnitDetail {
    /// `up` or `down`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub direction: Option<Direction>,
    /// The migration's name.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// How long it took, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<u64>,
    /// Who did it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub by: String,
    /// The script's fingerprints.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<Fingerprint>,
    /// The undo part's fingerprints.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub undo_fingerprint: Option<Fingerprint>,
    /// Of `Settled` and `Reset`: `done` or `not_done`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub to: String,
    /// Why a person said so.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub why: String,
    /// Of `Failed`: the error.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub error: String,
    /// Of `Failed`: whether everything was taken back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clean: Option<bool>,
    /// How many blocks the unit has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub blocks: Option<usize>,
    /// How many rows it changed, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rows: Option<u64>,
    /// Of a plan's step: the checkpoint made before it, by its id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kept: Option<String>,
    /// Of a plan's step: what stands of it, in what its undo takes away.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub stands: Vec<Left>,
    /// Of a step taken back: what others have changed since and was left alone: table, rows, the first keys.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub left: Vec<(String, u64, Vec<String>)>,
    /// The session's prelude and sql_mode, as the script ran with them.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub mode: String,
}

/// What block-level records keep in `detail`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct BlockDetail {
    /// The first words of the statement.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub head: String,
    /// The line in the file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<usize>,
    /// For each postcondition, in order: whether it held when the block began.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub held: Vec<bool>,
    /// The catalog fingerprint of the objects named, when the block began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub catalog: Option<String>,
    /// Of `Settled`: `done` or `not_done`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub to: String,
    /// By what or whom it was settled.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub why: String,
    /// How long it took, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<u64>,
    /// How many rows it changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rows: Option<u64>,
    /// Of `Undoing`: the catalog fingerprint of the objects named, when taking the block back began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub undo_catalog: Option<String>,
    /// Of `Done`: how many rows the unit has put so far into tables that it makes itself and that this block wrote to;
    /// `None`: not known.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub wrote: BTreeMap<String, Option<u64>>,
}

/// A migration that counts as applied.
#[derive(Debug, Clone, PartialEq)]
pub struct Applied {
    /// Its name when it was applied.
    pub name: String,
    /// When, RFC 3339 UTC.
    pub at: String,
    /// How long it took.
    pub duration_ms: Option<u64>,
    /// How many rows it changed, where that is known.
    pub rows: Option<u64>,
    /// Of a plan's step: the checkpoint made before it, by its id.
    pub kept: Option<String>,
    /// Of a plan's step: what stands of it, in what its undo takes away.
    pub stands: Vec<Left>,
    /// By whom.
    pub by: String,
    /// The fingerprints that count (an accepted edit replaces them); `None` after a baseline or reset.
    pub fingerprint: Option<Fingerprint>,
    /// The undo part's.
    pub undo_fingerprint: Option<Fingerprint>,
    /// It counts as applied by a person's word (baseline, reset): its script never ran here.
    pub by_word: bool,
}

/// A migration that began, block by block, and has no end yet.
#[derive(Debug, Clone, PartialEq)]
pub struct InFlight {
    /// Which way.
    pub direction: Direction,
    /// The hash of the script that began.
    pub hash: String,
    /// The run in which it (last) began.
    pub run: String,
    /// When.
    pub at: String,
    /// The failure, where one was recorded.
    pub error: Option<String>,
    /// What it was before: applied, where it is being taken back.
    pub before: Option<Applied>,
    /// How many blocks it has.
    pub blocks: Option<usize>,
    /// The number of the record that began it: only later block records are about it.
    pub began_id: i64,
}

/// The state of one version as the journal alone knows it.
#[derive(Debug, Clone, PartialEq)]
pub enum UnitState {
    /// Not applied (any more).
    Absent {
        /// The last failure, where it was taken back whole.
        failed: Option<String>,
    },
    /// Applied.
    Applied(Applied),
    /// Half way.
    InFlight(InFlight),
}

/// The journal, folded.
#[derive(Debug, Clone, Default)]
pub struct History {
    /// Whether there is a journal at all.
    pub exists: bool,
    /// The fencing token.
    pub token: i64,
    /// The journal's format.
    pub format: i64,
    /// The identity that the database had when the journal was made.
    pub identity: String,
    /// The states, by version.
    pub units: BTreeMap<Version, UnitState>,
    /// The highest record number.
    pub last_id: i64,
}

/// A block that began and whose end is not known, or that is done.
#[derive(Debug, Clone, PartialEq)]
pub struct OpenBlock {
    /// Its number in the unit.
    pub index: usize,
    /// Its content hash.
    pub hash: String,
    /// What was seen when it began.
    pub detail: BlockDetail,
    /// Whether it is done; otherwise it is in doubt.
    pub done: bool,
    /// It was done, and taking it back began: in doubt the other way round.
    pub undoing: bool,
}

impl History {
    /// Folds records, oldest first. Never fails: records that mean nothing in their place are passed over.
    pub fn fold(records: &[Record]) -> Self {
        let mut history = History::default();
        let past = ended(records);
        for (record, past) in records.iter().zip(past) {
            history.last_id = history.last_id.max(record.id);
            if past {
                continue;
            }
            if record.event == Event::Fence {
                history.exists = true;
                history.format = record.stmt.unwrap_or(0);
                history.token = record
                    .hash
                    .as_deref()
                    .and_then(|text| text.parse().ok())
                    .unwrap_or(0);
                history.identity.clone_from(&record.detail);
            } else if let Some(unit) = &record.unit {
                history.unit_record(&Version(unit.clone()), record);
            }
        }
        history
    }

    fn unit_record(&mut self, version: &Version, record: &Record) {
        let detail: UnitDetail = record.detail();
        let unit = self.units.entry(version.clone());
        let unit = unit.or_insert(UnitState::Absent { failed: None });
        let before = std::mem::replace(unit, UnitState::Absent { failed: None });
        let applied = |detail: UnitDetail| {
            UnitState::Applied(Applied {
                name: detail.name,
                at: record.at.clone(),
                duration_ms: detail.duration_ms,
                rows: detail.rows,
                kept: detail.kept,
                stands: detail.stands,
                by: detail.by,
                fingerprint: detail.fingerprint,
                undo_fingerprint: detail.undo_fingerprint,
                by_word: matches!(record.event, Event::Baseline | Event::Reset),
            })
        };
        let absent = UnitState::Absent { failed: None };
        *unit = match record.event {
            Event::Began => UnitState::InFlight(InFlight {
                direction: detail.direction.unwrap_or(Direction::Up),
                hash: record.hash.clone().unwrap_or_default(),
                run: record.run.clone(),
                at: record.at.clone(),
                error: None,
                before: before_of(before),
                blocks: detail.blocks,
                began_id: record.id,
            }),
            Event::Done if detail.direction == Some(Direction::Down) => absent,
            Event::Done | Event::Baseline => applied(detail),
            Event::Reset | Event::Settled if detail.to == "done" => applied(detail),
            Event::Reset | Event::Settled => absent,
            Event::Failed => failed(before, &detail),
            Event::Accepted => match before {
                UnitState::Applied(mut was) => {
                    was.fingerprint = detail.fingerprint.or(was.fingerprint);
                    was.undo_fingerprint = detail.undo_fingerprint.or(was.undo_fingerprint);
                    UnitState::Applied(was)
                }
                other => other,
            },
            _ => before,
        };
    }

    /// The applied versions, in order.
    pub fn applied(&self) -> impl DoubleEndedIterator<Item = (&Version, &Applied)> {
        self.units
            .iter()
            .filter_map(|(version, state)| match state {
                UnitState::Applied(applied) => Some((version, applied)),
                _ => None,
            })
    }

    /// Whether this version counts as applied.
    pub fn is_applied(&self, version: &Version) -> bool {
        matches!(self.units.get(version), Some(UnitState::Applied(_)))
    }

    /// The migration that stands half way, where there is one.
    pub fn in_flight(&self) -> impl Iterator<Item = (&Version, &InFlight)> {
        self.units
            .iter()
            .filter_map(|(version, state)| match state {
                UnitState::InFlight(flight) => Some((version, flight)),
                _ => None,
            })
    }
}

/// For each record whether it is a beginning that came to its end with the unit's very next record: half of the records of
/// migrations whose statements commit by themselves, and nobody needs to know what they say.
fn ended(records: &[Record]) -> Vec<bool> {
    let mut next: HashMap<&str, Event> = HashMap::with_capacity(records.len());
    let mut past = vec![false; records.len()];
    for (record, past) in records.iter().zip(&mut past).rev() {
        if let Some(unit) = &record.unit {
            let after = next.insert(unit, record.event);
            *past = record.event == Event::Began && after == Some(Event::Done);
        }
    }
    past
}

fn before_of(state: UnitState) -> Option<Applied> {
    match state {
        UnitState::Applied(applied) => Some(applied),
        UnitState::InFlight(flight) => flight.before,
        UnitState::Absent { .. } => None,
    }
}

fn failed(before: UnitState, detail: &UnitDetail) -> UnitState {
    match (before, detail.clean.unwrap_or(false)) {
        // Taken back whole: the unit is where it was.
        (
            UnitState::InFlight(InFlight {
                before: Some(applied),
                ..
            })
            | UnitState::Applied(applied),
            true,
        ) => UnitState::Applied(applied),
        (_, true) => UnitState::Absent {
            failed: Some(detail.error.clone()),
        },
        (UnitState::InFlight(flight), false) => UnitState::InFlight(InFlight {
            error: Some(detail.error.clone()),
            ..flight
        }),
        (other, false) => other,
    }
}

/// Folds the block records of one unit in flight: what is done, and what is in doubt. Only records after the one that
/// began the unit (`since`) count; a resumed unit does not begin anew.
pub fn blocks(records: &[Record], since: i64) -> Vec<OpenBlock> {
    let mut open: Vec<OpenBlock> = vec![];
    for record in records.iter().filter(|record| record.id > since) {
        let (Some(index), Some(hash)) = (
            record.stmt.and_then(|n| usize::try_from(n).ok()),
            &record.hash,
        ) else {
            continue;
        };
        let detail: BlockDetail = record.detail();
        let at = open.iter().position(|block| block.index == index);
        let begun = |done| OpenBlock {
            index,
            hash: hash.clone(),
            detail: detail.clone(),
            done,
            undoing: false,
        };
        match (record.event, at) {
            (Event::Began, at) => {
                let mut again = begun(false);
                // Begun again while in doubt: what was seen before its first beginning still counts, for that may have
                // taken effect.
                if let Some(at) = at
                    && !open[at].done
                {
                    again.detail = open[at].detail.clone();
                }
                open.retain(|block| block.index != index);
                open.push(again);
            }
            (Event::Done, Some(at)) => {
                open[at].done = true;
                open[at].detail.rows = detail.rows;
                open[at].detail.wrote = detail.wrote;
            }
            (Event::Done, None) => open.push(begun(true)),
            (Event::Undoing, Some(at)) => {
                open[at].done = false;
                open[at].undoing = true;
                open[at].detail.undo_catalog = detail.undo_catalog;
            }
            (Event::Settled, Some(at)) if detail.to == "done" => {
                open[at].done = true;
                open[at].undoing = false;
            }
            (Event::Settled | Event::Undone | Event::Failed, Some(at)) => {
                open.remove(at);
            }
            _ => {}
        }
    }
    open.sort_by_key(|block| block.index);
    open
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(id: i64, event: Event, unit: &str, detail: &str) -> Record {
        Record {
            id,
            run: "r".into(),
            at: "2026-01-01T00:00:00.000Z".into(),
            event,
            unit: Some(unit.into()),
            stmt: None,
            hash: Some("h".into()),
            detail: detail.into(),
        }
    }

    #[test]
    fn a_beginning_counts_where_its_end_does_not_follow() {
        let (up, down) = (r#"{"direction":"up"}"#, r#"{"direction":"down"}"#);
        let clean = r#"{"direction":"down","clean":true}"#;
        let records = [
            record(1, Event::Began, "1", up),
            record(2, Event::Began, "2", up),
            record(3, Event::Done, "1", r#"{"direction":"up","name":"one"}"#),
            record(4, Event::Done, "2", up),
            record(5, Event::Began, "1", down),
            record(6, Event::Failed, "1", clean),
            record(7, Event::Began, "2", down),
            record(8, Event::Began, "3", up),
            record(9, Event::Failed, "3", r#"{"clean":false,"error":"why"}"#),
        ];
        let history = History::fold(&records);
        let state = |unit: &str| history.units.get(&Version(unit.into()));
        assert_eq!(history.last_id, 9);
        assert!(matches!(state("1"), Some(UnitState::Applied(was)) if was.name == "one"));
        assert!(matches!(state("2"), Some(UnitState::InFlight(flight))
            if flight.began_id == 7 && flight.before.is_some() && flight.direction == Direction::Down));
        assert!(matches!(state("3"), Some(UnitState::InFlight(flight))
            if flight.began_id == 8 && flight.error.as_deref() == Some("why")));
    }

    #[test]
    fn a_step_taken_back_with_rows_left_alone_does_not_stand() {
        let down =
            r#"{"direction":"down","rows":1,"kept":"k","left":[["settings",1,["skey = a"]]]}"#;
        let up = r#"{"direction":"up","kept":"k","stands":[{"table":"t","rows":2,"digest":"d"}]}"#;
        let mut records = vec![record(1, Event::Done, "@p/q/s", up)];
        let state = |records: &[Record]| History::fold(records).units.into_values().next();
        assert!(matches!(state(&records), Some(UnitState::Applied(was))
            if was.stands[0].table == "t" && was.kept.as_deref() == Some("k")));
        records.push(record(2, Event::Done, "@p/q/s", down));
        assert_eq!(state(&records), Some(UnitState::Absent { failed: None }));
    }
}
