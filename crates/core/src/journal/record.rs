//! Records: how they are written and read.

use crate::value::{Row, Value};
use serde::{Deserialize, Serialize};

/// What a record says happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Event {
    /// The journal's fence, as the reading query gives it first; never written.
    Fence,
    /// A run or unit or block began.
    Began,
    /// A unit or block is done.
    Done,
    /// A unit failed; its detail says what was done and undone.
    Failed,
    /// A block is about to be taken back after a failure.
    Undoing,
    /// A block was taken back after a failure.
    Undone,
    /// A block was settled by a probe or a person: detail `to` is `done` or `not_done`.
    Settled,
    /// A person accepted an edited script.
    Accepted,
    /// `baseline`: the database was taken as this version; the unit counts as applied.
    Baseline,
    /// `reset`: the unit counts as applied (detail `to` = `done`) or as pending (`not_done`) from here.
    Reset,
    /// A run ended.
    Ended,
    /// A catalog.
    Catalog,
    /// Of a plan's step: the statements and the inverse that it was lowered to.
    Lowered,
    /// Of a plan's phase: what its checks found.
    Checked,
    /// Of a plan's phase: a person opened its gate, or refused to.
    Approved,
    /// A person did a manual step, answered a check, or settled a step in doubt.
    Confirmed,
    /// Of a plan: a person asks its runner to pause.
    Paused,
    /// Of a plan: a person asks its runner to go on.
    Resumed,
    /// Of a plan: a person asks its runner to stop.
    Aborted,
    /// Of a plan's step: what its undo is about to destroy is saved.
    Archived,
    /// Of a plan's step: what was saved then is back, as far as it could come.
    Home,
}

impl Event {
    const ALL: [(Event, &'static str); 21] = [
        (Event::Fence, "fence"),
        (Event::Began, "began"),
        (Event::Done, "done"),
        (Event::Failed, "failed"),
        (Event::Undoing, "undoing"),
        (Event::Undone, "undone"),
        (Event::Settled, "settled"),
        (Event::Accepted, "accepted"),
        (Event::Baseline, "baseline"),
        (Event::Reset, "reset"),
        (Event::Ended, "ended"),
        (Event::Catalog, "catalog"),
        (Event::Lowered, "lowered"),
        (Event::Checked, "checked"),
        (Event::Approved, "approved"),
        (Event::Confirmed, "confirmed"),
        (Event::Paused, "paused"),
        (Event::Resumed, "resumed"),
        (Event::Aborted, "aborted"),
        (Event::Archived, "archived"),
        (Event::Home, "home"),
    ];

    /// As the journal spells it.
    pub fn name(self) -> &'static str {
        Self::ALL
            .iter()
            .find(|(event, _)| *event == self)
            .map_or("", |(_, name)| name)
    }

    fn parse(name: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .find(|(_, known)| *known == name)
            .map(|(event, _)| *event)
    }
}

/// What a record is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// A run.
    Run,
    /// A migration.
    Unit,
    /// A block of statements.
    Stmt,
    /// A catalog.
    Catalog,
    /// A plan, a phase or a step of it.
    Plan,
}

impl Scope {
    /// As the journal spells it.
    pub const fn name(self) -> &'static str {
        match self {
            Scope::Run => "run",
            Scope::Unit => "unit",
            Scope::Stmt => "stmt",
            Scope::Catalog => "catalog",
            Scope::Plan => "plan",
        }
    }
}

/// Which way a unit goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Hash)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// Applies.
    Up,
    /// Takes back.
    Down,
}

impl std::fmt::Display for Direction {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if *self == Direction::Up { "up" } else { "down" })
    }
}

/// A record as read.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// Its number; later records have higher ones.
    pub id: i64,
    /// The run that wrote it.
    pub run: String,
    /// When, RFC 3339 UTC, by the writer's clock.
    pub at: String,
    /// What happened.
    pub event: Event,
    /// The migration's version.
    pub unit: Option<String>,
    /// The block, from 0.
    pub stmt: Option<i64>,
    /// The content hash.
    pub hash: Option<String>,
    /// The rest, as JSON.
    pub detail: String,
}

impl Record {
    /// Reads a row of the journal's reading queries. `None`: an event that this version does not know (a later format
    /// would have been refused before).
    pub fn read(row: &Row) -> Option<Self> {
        let text = |at: usize| row.get(at).and_then(Value::as_str).map(str::to_owned);
        Some(Record {
            id: row.first()?.as_i64()?,
            run: text(1)?,
            at: text(2)?,
            event: Event::parse(row.get(3)?.as_str()?)?,
            unit: text(4),
            stmt: row.get(5).and_then(Value::as_i64),
            hash: text(6),
            detail: text(7).unwrap_or_default(),
        })
    }

    /// As [`Record::read`], of a row that nobody needs afterwards: its texts are taken over.
    pub fn take(mut row: Row) -> Option<Self> {
        let mut text = |at: usize| match row
            .get_mut(at)
            .map(|value| std::mem::replace(value, Value::Null))
        {
            Some(Value::Text(text)) => Some(text),
            Some(Value::Bytes(bytes)) => String::from_utf8(bytes).ok(),
            _ => None,
        };
        let (run, at, event) = (text(1)?, text(2)?, text(3)?);
        let (unit, hash, detail) = (text(4), text(6), text(7));
        Some(Record {
            id: row.first()?.as_i64()?,
            run,
            at,
            event: Event::parse(&event)?,
            unit,
            stmt: row.get(5).and_then(Value::as_i64),
            hash,
            detail: detail.unwrap_or_default(),
        })
    }

    /// The detail, read as a type. What means something else by the name of a field costs that field alone, and what cannot
    /// be read at all gives the default.
    pub fn detail<T: Default + for<'de> Deserialize<'de>>(&self) -> T {
        let read = serde_json::from_str(&self.detail);
        // Two writers that mean different things by one name would be read as nothing at all.
        debug_assert!(
            read.is_ok() || self.detail.is_empty(),
            "record {}: {:?}",
            self.id,
            self.detail
        );
        read.unwrap_or_else(|_| by_field(&self.detail))
    }
}

/// Those fields of a detail that can be read.
fn by_field<T: Default + for<'de> Deserialize<'de>>(detail: &str) -> T {
    type Fields = serde_json::Map<String, serde_json::Value>;
    let fields: Fields = serde_json::from_str(detail).unwrap_or_default();
    let reads = |(name, value): &(String, serde_json::Value)| {
        let alone = Fields::from_iter([(name.clone(), value.clone())]);
        serde_json::from_value::<T>(alone.into()).is_ok()
    };
    let readable: Fields = fields.into_iter().filter(reads).collect();
    serde_json::from_value(readable.into()).unwrap_or_default()
}

/// A record to be written.
#[derive(Debug, Clone)]
pub struct Writing {
    /// What happened.
    pub event: Event,
    /// What it is about.
    pub scope: Scope,
    /// The migration's version.
    pub unit: Option<String>,
    /// The block, from 0.
    pub stmt: Option<i64>,
    /// The content hash.
    pub hash: Option<String>,
    /// The rest.
    pub detail: serde_json::Value,
}

impl Writing {
    /// A record about a run.
    pub fn run(event: Event, detail: serde_json::Value) -> Self {
        Writing {
            event,
            scope: Scope::Run,
            unit: None,
            stmt: None,
            hash: None,
            detail,
        }
    }

    /// A record about a migration, or about a plan, a phase or a step of it.
    pub fn unit(event: Event, version: &str, hash: &str, detail: serde_json::Value) -> Self {
        let (unit, hash) = (Some(version.to_owned()), Some(hash.to_owned()));
        let scope = match super::plan::is_key(version) {
            true => Scope::Plan,
            false => Scope::Unit,
        };
        Writing {
            event,
            scope,
            unit,
            stmt: None,
            hash,
            detail,
        }
    }

    /// A record about one batch of what is done in batches, or about all of it.
    pub fn batch(event: Event, unit: &str, batch: Option<i64>, detail: serde_json::Value) -> Self {
        Writing {
            event,
            scope: Scope::Stmt,
            unit: Some(unit.to_owned()),
            stmt: batch,
            hash: None,
            detail,
        }
    }

    /// A record about a block of a migration.
    pub fn block(
        event: Event,
        version: &str,
        block: usize,
        hash: &str,
        detail: serde_json::Value,
    ) -> Self {
        let (unit, hash) = (Some(version.to_owned()), Some(hash.to_owned()));
        Writing {
            event,
            scope: Scope::Stmt,
            unit,
            stmt: i64::try_from(block).ok(),
            hash,
            detail,
        }
    }

    /// The detail as JSON. As its `Display`, which writes every mark through a formatter.
    fn detail_text(&self) -> String {
        serde_json::to_string(&self.detail).unwrap_or_else(|_| self.detail.to_string())
    }

    /// The values of the appending statement, in its order.
    pub fn params(&self, run: &str, at: &str, token: i64) -> Vec<Value> {
        vec![
            run.into(),
            at.into(),
            self.event.name().into(),
            self.scope.name().into(),
            self.unit.clone().into(),
            self.stmt.into(),
            self.hash.clone().into(),
            self.detail_text().into(),
            token.into(),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::UnitDetail;

    #[test]
    fn a_field_that_means_something_else_costs_no_other() {
        let detail = r#"{"direction":"down","rows":3,"left":[{"table":"t"}],"clean":"yes"}"#;
        let read: UnitDetail = by_field(detail);
        assert_eq!(read.direction, Some(Direction::Down));
        assert_eq!((read.rows, read.clean, read.left), (Some(3), None, vec![]));
        assert_eq!(by_field::<UnitDetail>("{"), UnitDetail::default());
    }
}
