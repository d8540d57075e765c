//! Dates of rows: how old a row is, and what was met that is read as no date.

use dunlin_core::copy::Cell;
use dunlin_core::finding::{Finding, Place};
use dunlin_core::rules::instant::Instant;
use std::time::Duration;

/// Reads dates, and counts what is none.
#[derive(Debug, Default, Clone)]
pub(super) struct Dates {
    /// Cells that are read as no date.
    pub(super) unreadable: u64,
    /// The first of them.
    example: String,
}

impl Dates {
    pub(super) fn read(&mut self, cell: Cell<'_>) -> Instant {
        let instant = Instant::read(cell);
        if instant == Instant::Unreadable {
            self.unreadable += 1;
            if self.example.is_empty() {
                self.example = match cell {
                    Cell::Text(text) => text.chars().take(40).collect(),
                    Cell::Int(n) => n.to_string(),
                    Cell::Float(n) => n.to_string(),
                    _ => "bytes".into(),
                };
            }
        }
        instant
    }

    /// Takes what another one has met.
    pub(super) fn add(&mut self, other: Dates) {
        self.unreadable += other.unreadable;
        if self.example.is_empty() {
            self.example = other.example;
        }
    }

    /// What is to be said of a rule's dates. `hidden`: values of this column are shown to nobody.
    pub(super) fn said(
        &self,
        rule: &str,
        table: &str,
        column: &str,
        hidden: bool,
    ) -> Option<Finding> {
        if self.unreadable == 0 {
            return None;
        }
        let example = match hidden {
            true => String::new(),
            false => format!(" (`{}`)", self.example.escape_debug()),
        };
        let message = format!(
            "rule `{rule}`: {} of {table}.{column} {} read as no date{example}: those rows count as neither old nor oldest, and \
             are left where they are",
            self.unreadable,
            if self.unreadable == 1 { "is" } else { "are" }
        );
        let place = Place::object(format!("{table}.{column}"));
        Some(Finding::warning("rule-date-unreadable", place, message).help(
            "write them as `2024-01-31 10:00:00` or `2024-01-31T10:00:00+03:30`, or as seconds or milliseconds since 1970",
        ))
    }
}

/// Microseconds since 1970 of the moment so long before now.
pub(super) fn ago(now: jiff::Timestamp, age: Duration) -> i64 {
    let age = i64::try_from(age.as_micros()).unwrap_or(i64::MAX);
    now.as_microsecond().saturating_sub(age)
}
