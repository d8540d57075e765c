//! What every room must answer about loading rows: the statement that takes them, and the bytes that it takes.

use crate::copy::Datum;
use crate::schema::NeutralType;

/// A table that rows are loaded into.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetTable {
    /// The schema, where it is not the default one.
    pub schema: Option<String>,
    /// Its name.
    pub name: String,
    /// The columns that get values, in the order of the rows.
    pub columns: Vec<TargetColumn>,
}

/// A column of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetColumn {
    /// Its name.
    pub name: String,
    /// Its type, as the engine spells it.
    pub native: String,
    /// What its values are.
    pub ty: NeutralType,
}

/// A value that the target's form cannot hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unfit {
    /// Which column.
    pub column: usize,
    /// Why, a sentence.
    pub why: String,
}

/// Writes rows in the form that [`BulkDialect::load`] takes.
pub trait Encoder: Send {
    /// What stands before the first row of a load.
    fn begin(&mut self, out: &mut Vec<u8>);
    /// Appends a row. Where a value does not fit, `out` is left as it was.
    fn row(&mut self, row: &[Datum<'_>], out: &mut Vec<u8>) -> Result<(), Unfit>;
    /// What stands after the last row.
    fn end(&mut self, out: &mut Vec<u8>);
}

/// The longest value that a server takes.
#[derive(Debug, Clone, Copy)]
pub struct Longest {
    /// A query: how many bytes.
    pub query: &'static str,
    /// What makes it more, where something does.
    pub help: Option<&'static str>,
}

/// Loading rows.
pub trait BulkDialect: Send + Sync + std::fmt::Debug {
    /// The statement that takes rows. `frozen`: the table was made or emptied in this transaction and nobody sees it,
    /// so that rows may be written as if they had always been there.
    fn load(&self, table: &TargetTable, frozen: bool) -> String;
    /// What writes rows for it. The error is a sentence: a column whose type cannot be loaded.
    fn encoder(&self, table: &TargetTable) -> Result<Box<dyn Encoder>, String>;
    /// The longest value that can be loaded.
    fn longest(&self) -> Longest;
    /// Statements for a session that loads, before its transactions: no slower than it must be, nothing less safe for
    /// what others have written.
    fn swift(&self) -> &'static [&'static str];
}
