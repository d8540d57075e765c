//! Rows that would violate what a step demands, found before anything is changed.

use super::known::at_step;
use crate::dialect::steps::ROWS_SHOWN;
use crate::finding::Finding;
use crate::schema::Column;
use crate::source::plan::StepDoc;
use crate::value::{Query, Row};

/// What is asked about one constraint.
pub(super) struct Suspect {
    /// The question: the number of violations first.
    pub query: Query,
    /// The answer's second column counts rows of one violation.
    pub grouped: bool,
    /// What the further columns of the answer are called.
    pub columns: Vec<String>,
    /// What is the matter with the rows: `failing the check …`; of values that collide, why they may not.
    pub what: String,
    /// What to do.
    pub help: String,
}

/// The names of columns.
pub(super) fn names(columns: &[&Column]) -> Vec<String> {
    columns.iter().map(|column| column.name.clone()).collect()
}

impl Suspect {
    /// The finding, where rows violate.
    pub(super) fn judge(&self, step: &StepDoc, table: &str, rows: &[Row]) -> Option<Finding> {
        let count = rows.first()?.first()?.as_i64().filter(|count| *count > 0)?;
        let from = 1 + usize::from(self.grouped);
        let shown = rows.iter().take(ROWS_SHOWN).map(|row| {
            let values = row.iter().skip(from).map(|value| {
                value
                    .as_str()
                    .map_or_else(|| "NULL".to_owned(), str::to_owned)
            });
            let pairs: Vec<String> = self
                .columns
                .iter()
                .zip(values)
                .map(|(column, value)| format!("{column} = {value}"))
                .collect();
            let times = row
                .get(1)
                .and_then(|value| value.as_i64())
                .filter(|_| self.grouped);
            match times {
                Some(times) => format!("{} ({times} rows)", pairs.join(", ")),
                None => pairs.join(", "),
            }
        });
        let mut shown: Vec<String> = shown.filter(|text| !text.is_empty()).collect();
        if let Some(more) = usize::try_from(count)
            .ok()
            .and_then(|count| count.checked_sub(shown.len()))
            && more > 0
            && !shown.is_empty()
        {
            shown.push(format!("and {more} more"));
        }
        let list = if shown.is_empty() {
            String::new()
        } else {
            format!(": {}", shown.join("; "))
        };
        let plural = if count == 1 { "" } else { "s" };
        let message = if self.grouped {
            format!(
                "{count} value{plural} of ({}) in several rows of {table}, and {}{list}",
                self.columns.join(", "),
                self.what
            )
        } else {
            format!("{count} row{plural} of {table} {}{list}", self.what)
        };
        Some(at_step("rows-violate", step, message).help(self.help.clone()))
    }
}
