//! What a copy has done, in the target's own journal: a record for each thing that is done, in the same commit. A copy that
//! died is gone on with by reading them.

use super::rows::Tally;
use crate::journal_store::{self, Pen};
use crate::plan::store;
use crate::trouble;
use crate::world::World;
use dunlin_core::copy::Digest;
use dunlin_core::copy::plan::{CopyPlan, TablePlan};
use dunlin_core::copy::policy::Hazard;
use dunlin_core::copy::stages;
use dunlin_core::failure::{Failure, FailureClass};
use dunlin_core::journal::{self, Writing};
use dunlin_core::schema::label;
use dunlin_engines::{DbError, Halted, Session};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What keys of copies begin with: no plan is called so.
const KEY: &str = "@:copy/";

/// What is known of a table that is done.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {
    /// The table, in the source's words.
    pub table: String,
    /// Rows read.
    pub read: u64,
    /// Rows that are in the target.
    pub sent: u64,
    /// Rows left out.
    pub rejected: u64,
    /// The digest of those that are in the target.
    pub digest: String,
    /// Values bent: column, code, how many.
    pub coerced: Vec<(String, String, u64)>,
    /// Rows and digest of what the target's table held before.
    #[serde(default)]
    pub before: (u64, String),
    /// Rows and digest of what was taken out of the target again.
    #[serde(default)]
    pub removed: (u64, String),
    /// Of rows with the same key the first alone was sent.
    #[serde(default)]
    pub once: bool,
    /// Rows and digest of all that were read then, those that stayed behind for their key, too.
    #[serde(default)]
    pub whole: (u64, String),
}

impl Done {
    /// What a tally says.
    pub fn of(plan: &TablePlan, tally: &Tally) -> Done {
        Done {
            table: label(plan.source.0.as_deref(), &plan.source.1),
            read: tally.read,
            sent: tally.sent,
            rejected: tally.rejected,
            digest: tally.digest.hex(),
            coerced: tally
                .coerced
                .iter()
                .map(|((column, hazard), count)| (column.clone(), hazard.code().to_owned(), *count))
                .collect(),
            before: (tally.before.rows, tally.before.hex()),
            removed: (tally.removed.rows, tally.removed.hex()),
            once: tally.once,
            whole: (tally.whole.rows, tally.whole.hex()),
        }
    }

    /// The tally again.
    pub fn tally(&self) -> Tally {
        Tally {
            read: self.read,
            sent: self.sent,
            rejected: self.rejected,
            digest: Digest::from_hex(self.sent, &self.digest).unwrap_or_default(),
            coerced: self
                .coerced
                .iter()
                .filter_map(|(column, code, count)| {
                    Some(((column.clone(), Hazard::by_code(code)?), *count))
                })
                .collect(),
            before: Digest::from_hex(self.before.0, &self.before.1).unwrap_or_default(),
            removed: Digest::from_hex(self.removed.0, &self.removed.1).unwrap_or_default(),
            once: self.once,
            whole: Digest::from_hex(self.whole.0, &self.whole.1).unwrap_or_default(),
        }
    }
}

/// How a large table is copied in parts: with the same numbers come the same parts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Laid {
    /// The table, in the source's words.
    pub table: String,
    /// The least place when it was begun.
    pub least: i64,
    /// The largest.
    pub largest: i64,
    /// How many parts.
    pub count: u64,
    /// Where it is cut by its key: the first column's texts at which parts begin. Empty: it is cut by places.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cuts: Vec<String>,
}

/// One part of it that is done.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DonePart {
    /// Which.
    pub part: usize,
    /// What became of its rows.
    pub done: Done,
}

/// A large table of which parts may be done.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Begun {
    /// Its parts.
    pub laid: Laid,
    /// Those that are done.
    pub parts: BTreeMap<usize, Done>,
}

/// What is said at the beginning.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Began {
    /// The copy goes on with what a run before it has done.
    pub goes_on: bool,
    /// Who asked for it, where that is a step of a plan.
    pub mark: Option<String>,
    /// Tables whose types were taken for granted, by their labels in the source: by them the plan has its hash.
    pub granted: Vec<String>,
}

/// What the journal knows of a copy.
#[derive(Debug, Clone, Default)]
pub struct History {
    /// It was begun, and not ended.
    pub open: bool,
    /// Of a plan with this hash; empty: there is none.
    pub hash: String,
    /// Tables that are done, by their label in the source.
    pub tables: BTreeMap<String, Done>,
    /// Tables that are there and filled in parts.
    pub begun: BTreeMap<String, Begun>,
    /// What else is done, by name.
    pub made: Vec<String>,
    /// Of records written before each thing had a name of its own: the names of those that shared one.
    twins: BTreeMap<String, Vec<String>>,
    /// The mark of the step that asked for it.
    pub mark: Option<String>,
    /// Tables whose types were taken for granted.
    pub granted: Vec<String>,
}

impl History {
    /// Whether there is a copy to go on with: what is there and not recorded is half a thing of ours.
    pub fn goes_on(&self) -> bool {
        !self.hash.is_empty()
    }

    /// Something is made. Two records of one name are of two things that shared it: the second gets the name that it has now.
    fn add(&mut self, name: &str, detail: &Shown) {
        if !self.made.iter().any(|known| known == name) {
            self.made.push(name.to_owned());
            return;
        }
        let twins = self.twins.entry(name.to_owned()).or_default();
        let twin = made(&stages::twin(&detail.made, twins.len() + 2));
        twins.push(twin.clone());
        self.made.push(twin);
    }

    /// It is no more, and neither is what shared its name.
    fn remove(&mut self, name: &str) {
        let twins = self.twins.remove(name).unwrap_or_default();
        self.made
            .retain(|known| known != name && !twins.contains(known));
    }
}

/// What a record of something made says of it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Shown {
    made: String,
}

/// The hash of a plan: what is made, what moves, and under which types.
pub fn hash(plan: &CopyPlan, from: &str) -> String {
    let text = format!("{from}\n{}\n{:?}", plan.catalog.to_json(), plan.tables);
    blake3::hash(text.as_bytes()).to_hex()[..32].to_owned()
}

/// Reads what is known of the newest copy into this database.
pub async fn read(world: &World, session: &mut dyn Session) -> Result<History, Failure> {
    let mut history = History::default();
    for record in store::records(world, session).await? {
        let Some(unit) = record
            .unit
            .as_deref()
            .and_then(|unit| unit.strip_prefix(KEY))
        else {
            continue;
        };
        match (record.event, unit) {
            (journal::Event::Began, "run") => {
                let hash = record.hash.clone().unwrap_or_default();
                let began: Began = record.detail();
                // A copy that began anew found an empty target: what was there before is gone.
                if !began.goes_on || history.hash != hash {
                    history = History::default();
                }
                history.open = true;
                history.hash = hash;
                history.mark = began.mark;
                history.granted = began.granted;
            }
            // What it had made was dropped.
            (journal::Event::Undone, "run") => history = History::default(),
            (journal::Event::Done, "run") => history.open = false,
            (journal::Event::Done, "table") => {
                let done: Done = record.detail();
                history.tables.insert(done.table.clone(), done);
            }
            (journal::Event::Undone, "table") => {
                let done: Done = record.detail();
                history.tables.remove(&done.table);
                history.begun.remove(&done.table);
            }
            (journal::Event::Done, "parts") => {
                let laid: Laid = record.detail();
                let begun = Begun {
                    laid,
                    parts: BTreeMap::new(),
                };
                history.begun.insert(begun.laid.table.clone(), begun);
            }
            (journal::Event::Done, "part") => {
                let DonePart { part, done } = record.detail();
                if let Some(begun) = history.begun.get_mut(&done.table) {
                    begun.parts.insert(part, done);
                }
            }
            (journal::Event::Done, made) => history.add(made, &record.detail()),
            (journal::Event::Undone, made) => history.remove(made),
            _ => {}
        }
    }
    Ok(history)
}

/// A record about a copy.
pub fn record(event: journal::Event, what: &str, hash: &str, detail: serde_json::Value) -> Writing {
    Writing::unit(event, &format!("{KEY}{what}"), hash, detail)
}

/// The key of a thing that is made once: its number, and a hash of its name, since keys are short.
pub fn made(what: &str) -> String {
    let hash = blake3::hash(what.as_bytes()).to_hex();
    format!("made/{}", &hash[..24])
}

/// What the pen said, as a failure.
pub fn failure(world: &World, error: &DbError, doing: &str) -> Failure {
    if journal_store::is_fenced(error) {
        return journal_store::fenced();
    }
    world.redact(trouble::failed(error, doing))
}

/// Writes a record and commits it with what the open transaction did.
pub async fn commit(
    world: &World,
    session: &mut dyn Session,
    pen: &Pen,
    record: Writing,
) -> Result<(), Failure> {
    commit_all(world, session, pen, &[record]).await
}

/// The same with several records.
pub async fn commit_all(
    world: &World,
    session: &mut dyn Session,
    pen: &Pen,
    records: &[Writing],
) -> Result<(), Failure> {
    let written = pen.append_and_commit(world, session, records).await;
    written.map_err(|halted| match halted {
        Halted::After(error) if error.class.is_lost() => Failure::new(
            FailureClass::Failed,
            "connection-lost",
            "the connection was lost in a COMMIT: what it held is there or not, and the journal knows",
        )
        .hint("`--resume` reads the journal and goes on"),
        halted => failure(world, &halted.into_error(), "cannot write the journal"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of an older version: two foreign keys under one name.
    #[test]
    fn two_records_of_one_name_are_of_two_things() {
        let what = "foreign key of c (a) to p";
        let shown = Shown { made: what.into() };
        let (first, second) = (made(what), made(&stages::twin(what, 2)));
        assert_ne!(first, second);
        let mut history = History::default();
        history.add(&first, &shown);
        assert_eq!(history.made, [first.as_str()]);
        history.add(&first, &shown);
        assert_eq!(history.made, [first.as_str(), second.as_str()]);
        history.remove(&first);
        assert!(history.made.is_empty(), "{:?}", history.made);
        // Of this version each has its own.
        history.add(&first, &shown);
        history.add(&second, &shown);
        history.remove(&first);
        assert_eq!(history.made, [second]);
    }
}
