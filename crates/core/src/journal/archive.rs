//! What was saved before an undo destroyed it, and what became of it: records of a plan's steps.
//!
//! `archived` is committed before the undo drops anything, `home` with the rows that are back. An archive without a later
//! `home` waits; one that is recorded again (its rows were taken away a second time as they are in the file) waits again.

use super::fold::UnitDetail;
use super::record::{Direction, Event, Record};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A table, or columns of one, in an archive.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Part {
    /// The table as people see it.
    pub table: String,
    /// The columns whose values were saved by key; empty: whole rows.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<String>,
    /// Whole rows were saved beside the columns' values.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub whole: bool,
    /// The columns whose values the undo has written over, in rows that stay.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub over: Vec<String>,
    /// Of the rows nothing but these values was saved, with their keys.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub values: bool,
    /// The condition by which the rows were chosen, where not all of the table were.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub only: Option<String>,
    /// Statements that take away what the step itself puts in the place of such rows, where it still is that.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub own: Vec<String>,
    /// The undo itself had changed the table by then: what an archive before this one holds beside it comes home, too.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub beside: bool,
    /// How many rows.
    pub rows: u64,
    /// Their digest.
    pub digest: String,
}

impl Part {
    /// Whether nothing of an older part is to come home, for all that it holds was archived again.
    pub fn replaces(&self, older: &Part) -> bool {
        let columns = match older.columns.is_empty() {
            true => self.columns.is_empty(),
            false => older.columns.iter().all(|name| self.columns.contains(name)),
        };
        let rows = self.whole || !older.whole;
        let over = older.over.iter().all(|name| self.over.contains(name));
        let alike = self.values == older.values && self.only == older.only;
        !self.beside && self.table == older.table && columns && rows && over && alike
    }

    /// `contacts (3 rows)`, `values of contacts.note (3 rows)`.
    pub fn shown(&self) -> String {
        let rows = counted(self.rows);
        if self.columns.is_empty() && !self.values {
            return format!("{} ({rows})", self.table);
        }
        let over = self.over.iter();
        let columns = self.columns.iter();
        let columns = columns.chain(over.filter(|name| !self.columns.contains(name)));
        let columns = columns.map(|column| format!("{}.{column}", self.table));
        format!(
            "values of {} ({rows})",
            columns.collect::<Vec<_>>().join(", ")
        )
    }
}

fn counted(rows: u64) -> String {
    match rows {
        1 => "1 row".to_owned(),
        rows => format!("{rows} rows"),
    }
}

/// What an `archived` record keeps.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Archived {
    /// The id of the checkpoint that holds the rows.
    pub checkpoint: String,
    /// Where its file is.
    pub file: String,
    /// What is in it.
    pub parts: Vec<Part>,
}

/// What came home into one table.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Came {
    /// The table.
    pub table: String,
    /// Rows, or values, that were put back.
    pub rows: u64,
    /// Rows that were there already as they are in the file.
    pub same: u64,
    /// Rows that were left alone, for something else stands there or nothing takes them any more.
    pub left: u64,
    /// The first of their keys.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<String>,
}

impl Came {
    /// `notes: 3 rows came home, 1 row stood there already`.
    pub fn shown(&self) -> String {
        let mut text = format!("{}: {} came home", self.table, counted(self.rows));
        if self.same > 0 {
            text.push_str(&format!(", {} stood there already", counted(self.same)));
        }
        if self.left > 0 {
            text.push_str(&format!(
                "; {} left alone, for something else stands there now, or nothing does ({})",
                counted(self.left),
                self.keys.join("; ")
            ));
        }
        text
    }
}

/// What a `home` record keeps.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Home {
    /// The checkpoint's id.
    pub checkpoint: String,
    /// By table.
    pub came: Vec<Came>,
    /// A person said to go on without them, and why they could not come.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub left_because: String,
}

/// An archive, folded.
#[derive(Debug, Clone, PartialEq)]
pub struct Archive {
    /// The step's key.
    pub step: String,
    /// When it was made, or its rows were taken away again.
    pub at: String,
    /// What is in it.
    pub archived: Archived,
    /// How often its step had run forward by then, since its first archive: what an archive of an earlier round holds was not
    /// there any more when this one was made.
    pub round: usize,
    /// What came home; `None`: it waits.
    pub home: Option<Home>,
}

impl Archive {
    /// Plan, phase and step of it.
    pub fn place(&self) -> (&str, &str, &str) {
        let key = self.step.strip_prefix('@').unwrap_or(&self.step);
        let mut parts = key.rsplitn(3, '/');
        let step = parts.next().unwrap_or_default();
        let phase = parts.next().unwrap_or_default();
        (parts.next().unwrap_or_default(), phase, step)
    }
}

impl Archived {
    /// `notes (4 rows), in checkpoint ID (FILE)`.
    pub fn shown(&self) -> String {
        let parts: Vec<String> = self.parts.iter().map(Part::shown).collect();
        let (parts, id) = (parts.join(", "), &self.checkpoint);
        format!("{parts}, in checkpoint {id} ({})", self.file)
    }
}

impl Home {
    /// One sentence for all that came, or why nothing did.
    pub fn shown(&self) -> String {
        if !self.left_because.is_empty() {
            return format!("left in its checkpoint: {}", self.left_because);
        }
        let came: Vec<String> = self.came.iter().map(Came::shown).collect();
        came.join("; ")
    }
}

/// The archives of a plan, oldest first; and how often their steps have begun to run forward or have ended that.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Archives(Vec<Archive>, BTreeMap<String, usize>);

impl Archives {
    /// Those of all plans, from all their records.
    pub fn fold(records: &[Record]) -> Archives {
        let mut archives = Archives::default();
        for record in records {
            if let Some(unit) = &record.unit {
                archives.take(unit, record);
            }
        }
        archives
    }

    /// All that wait to come home, oldest first.
    pub fn all_waiting(&self) -> impl Iterator<Item = &Archive> {
        self.0.iter().filter(|known| known.home.is_none())
    }

    /// Those that wait to come home out of a checkpoint.
    pub fn waiting_in<'a>(&'a self, checkpoint: &'a str) -> impl Iterator<Item = &'a Archive> {
        let waits =
            move |known: &&Archive| known.home.is_none() && known.archived.checkpoint == checkpoint;
        self.0.iter().filter(waits)
    }

    /// Takes a record of a step; gives whether it was about an archive.
    pub(super) fn take(&mut self, step: &str, record: &Record) -> bool {
        match record.event {
            Event::Archived => {
                let archived: Archived = record.detail();
                self.0
                    .retain(|known| known.archived.checkpoint != archived.checkpoint);
                self.0.push(Archive {
                    step: step.to_owned(),
                    at: record.at.clone(),
                    archived,
                    round: *self.1.entry(step.to_owned()).or_default(),
                    home: None,
                });
                true
            }
            Event::Home => {
                let home: Home = record.detail();
                let mut all = self.0.iter_mut();
                if let Some(known) = all.find(|known| known.archived.checkpoint == home.checkpoint)
                {
                    known.home = Some(home);
                }
                true
            }
            Event::Began | Event::Done => {
                if let Some(rounds) = self.1.get_mut(step) {
                    let detail: UnitDetail = record.detail();
                    *rounds += usize::from(detail.direction == Some(Direction::Up));
                }
                false
            }
            _ => false,
        }
    }

    /// Those of one step, newest first.
    pub fn of<'a>(&'a self, step: &'a str) -> impl Iterator<Item = &'a Archive> {
        self.0.iter().rev().filter(move |known| known.step == step)
    }

    /// Those of one step that wait to come home, newest first.
    pub fn waiting<'a>(&'a self, step: &'a str) -> impl Iterator<Item = &'a Archive> {
        self.of(step).filter(|known| known.home.is_none())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(id: i64, event: Event, detail: serde_json::Value) -> Record {
        Record {
            id,
            run: "r".into(),
            at: format!("t{id}"),
            event,
            unit: Some("@p/a/s".into()),
            stmt: None,
            hash: None,
            detail: detail.to_string(),
        }
    }

    #[test]
    fn a_part_replaces_an_older_one_that_it_holds_whole() {
        let part = |columns: &[&str], only: Option<&str>| Part {
            table: "t".into(),
            columns: columns.iter().map(|name| (*name).to_owned()).collect(),
            only: only.map(str::to_owned),
            ..Part::default()
        };
        let whole = part(&[], None);
        assert!(whole.replaces(&whole));
        assert!(part(&["a", "b"], None).replaces(&part(&["b"], None)));
        assert!(!part(&["b"], None).replaces(&part(&["a", "b"], None)));
        assert!(
            !whole.replaces(&part(&["a"], None)),
            "the column was gone by then"
        );
        assert!(!part(&["a"], None).replaces(&whole));
        assert!(!part(&[], Some("k = 2")).replaces(&part(&[], Some("k = 1"))));
        let over = |columns: &[&str]| Part {
            over: part(columns, None).columns,
            values: true,
            ..part(&[], Some("k = 1"))
        };
        assert!(over(&["a", "b"]).replaces(&over(&["b"])));
        assert!(!over(&["b"]).replaces(&over(&["a", "b"])));
        assert!(!over(&["b"]).replaces(&part(&[], Some("k = 1"))));
        assert!(!part(&[], Some("k = 1")).replaces(&over(&["b"])));
        assert_eq!(over(&["a", "b"]).shown(), "values of t.a, t.b (0 rows)");
        let beside = Part {
            beside: true,
            ..whole.clone()
        };
        assert!(!beside.replaces(&whole));
        let other = Part {
            table: "u".into(),
            ..whole.clone()
        };
        assert!(!other.replaces(&whole));
    }

    #[test]
    fn an_archive_waits_until_it_is_home_and_waits_again_when_it_is_recorded_again() {
        let mut archives = Archives::default();
        let archived = |id, checkpoint: &str| {
            record(
                id,
                Event::Archived,
                serde_json::json!({ "checkpoint": checkpoint }),
            )
        };
        assert!(archives.take("@p/a/s", &archived(1, "one")));
        assert!(archives.take("@p/a/s", &archived(2, "two")));
        let waiting = |archives: &Archives| -> Vec<String> {
            let waiting = archives.waiting("@p/a/s");
            waiting
                .map(|known| known.archived.checkpoint.clone())
                .collect()
        };
        assert_eq!(waiting(&archives), ["two", "one"], "the newest first");
        let home = record(3, Event::Home, serde_json::json!({ "checkpoint": "two" }));
        assert!(archives.take("@p/a/s", &home));
        assert_eq!(waiting(&archives), ["one"]);
        assert!(archives.take("@p/a/s", &archived(4, "two")));
        assert_eq!(waiting(&archives), ["two", "one"]);
        let waits = archives.waiting_in("two").map(Archive::place);
        assert_eq!(waits.collect::<Vec<_>>(), [("p", "a", "s")]);
        assert_eq!(archives.waiting_in("three").count(), 0);
        let ran = |direction: &str| serde_json::json!({ "direction": direction });
        assert!(!archives.take("@p/a/s", &record(5, Event::Done, ran("down"))));
        let round =
            |archives: &Archives| archives.waiting("@p/a/s").next().map(|known| known.round);
        assert!(archives.take("@p/a/s", &archived(6, "three")));
        assert_eq!(round(&archives), Some(0), "in the same round");
        assert!(!archives.take("@p/a/s", &record(7, Event::Done, ran("up"))));
        assert!(archives.take("@p/a/s", &archived(8, "three")));
        assert_eq!(round(&archives), Some(1), "it has run again since");
        assert_eq!(archives.of("@p/a/s").count(), 3);
        assert_eq!(archives.waiting("@p/a/other").count(), 0);
        assert!(!archives.take("@p/a/s", &record(5, Event::Done, serde_json::json!({}))));
    }
}
