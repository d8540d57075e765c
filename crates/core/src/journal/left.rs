//! What a plan's step has left behind in what its undo takes away, by a digest: what others write later is told from it
//! where the number of rows tells nothing.

use serde::{Deserialize, Serialize};

/// Rows of a table as the step left them: all of them, or those that meet a condition; whole, or some columns.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Left {
    /// The table, as people see it.
    pub table: String,
    /// The column that goes; empty: whole rows do.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub column: String,
    /// The columns that are hashed; empty: all of them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<String>,
    /// The columns whose values are written over, beside the key among those that are hashed; empty: whole rows go, or the
    /// column does.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub over: Vec<String>,
    /// The condition that the rows meet; empty: all of them.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub only: String,
    /// How many rows the step itself has put into the table, which was there before it; `None`: that is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub put: Option<u64>,
    /// How many rows.
    pub rows: u64,
    /// The sum of the rows' hashes, 32 hexadecimal digits.
    pub digest: String,
}

impl Left {
    /// Whether it is about this: a table, a column of it, or the rows that meet a condition.
    pub fn is_of(&self, table: &str, column: Option<&str>, only: Option<&str>) -> bool {
        let same = |one: &str, other: &str| one.eq_ignore_ascii_case(other);
        same(&self.table, table)
            && self.over.is_empty()
            && same(&self.column, column.unwrap_or_default())
            && (column.is_some() || self.only == only.unwrap_or_default())
    }

    /// Whether it is about the values of these columns in the rows that meet a condition.
    pub fn is_of_values(&self, table: &str, over: &[String], only: &str) -> bool {
        self.table.eq_ignore_ascii_case(table) && self.over == over && self.only == only
    }
}
