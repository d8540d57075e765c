//! What a copy does with each table and column: decided beforehand, by evidence, and printed.

use super::temporal::Epoch;
use crate::schema::{Catalog, NeutralType};
use serde::Serialize;

/// A whole copy, as decided.
#[derive(Debug, Clone, Default)]
pub struct CopyPlan {
    /// What is to be in the target at the end, in the target's words. Its renderer makes the statements.
    pub catalog: Catalog,
    /// The tables whose rows move, in the source's order.
    pub tables: Vec<TablePlan>,
    /// What the target has no equal for, each by name.
    pub not_carried: Vec<NotCarried>,
}

/// Rows of one table on their way.
#[derive(Debug, Clone)]
pub struct TablePlan {
    /// Schema and name in the source.
    pub source: (Option<String>, String),
    /// Schema and name in the target.
    pub target: (Option<String>, String),
    /// The columns whose values move (not those that the target computes), in the target's order.
    pub columns: Vec<ColumnPlan>,
    /// Counters that number rows, and their next values.
    pub counters: Vec<CounterPlan>,
    /// Other tables of the target inherit from it: their rows are not its own, and are read apart.
    pub inherited: bool,
}

/// The next value of a counter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CounterPlan {
    /// The column of the target that it numbers.
    pub column: String,
    /// The value that the next row gets in the source; `None`: one more than the largest that is there.
    pub next: Option<i128>,
}

/// One column on its way.
#[derive(Debug, Clone)]
pub struct ColumnPlan {
    /// Its name in the source.
    pub source: String,
    /// Its native type there.
    pub source_native: String,
    /// How its cells are read there.
    pub source_type: NeutralType,
    /// Its name in the target.
    pub target: String,
    /// Its native type there.
    pub target_native: String,
    /// What its values are there: both sides are hashed under it.
    pub ty: NeutralType,
    /// What the target's type holds.
    pub bounds: Bounds,
    /// It may hold NULL in the target.
    pub nullable: bool,
    /// What numbers in a column of times count.
    pub epoch: Option<Epoch>,
    /// The cells go over as they are, each in its own class (SQLite to SQLite, or like to like).
    pub as_is: bool,
    /// Why this type.
    pub why: String,
    /// What changes in spelling or class on the way, under this plan: listed in `lossy`.
    pub kind: Option<&'static str>,
    /// How many values the evidence says do not fit.
    pub misfits: u64,
}

/// What a target's type holds, beyond its neutral type.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Bounds {
    /// The least and the largest integer.
    pub int: Option<(i128, i128)>,
    /// Digits before the point, and after it, of decimals.
    pub digits: Option<(u32, u32)>,
    /// Characters of a text.
    pub chars: Option<u64>,
    /// Bytes of a text or of bytes.
    pub bytes: Option<u64>,
    /// Texts may hold U+0000.
    pub nul: bool,
    /// Floats of single precision.
    pub single: bool,
    /// Numbers must be finite (no NaN, no infinities), and so must days and times.
    pub finite: bool,
    /// The least and the largest year of days and times.
    pub years: Option<(i32, i32)>,
    /// The least and the largest time, in microseconds.
    pub time: Option<(i64, i64)>,
    /// The labels that are allowed.
    pub labels: Option<Vec<String>>,
}

/// Something that is not in the target, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NotCarried {
    /// What: `trigger t.audit`, `check of orders: …`, `default of a.b`.
    pub object: String,
    /// Why, a sentence.
    pub why: String,
    /// Its text in the source, where it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}
