//! Cells: one value of a bulk row, as an engine hands it over.

/// One cell of a streamed row, borrowed from the batch.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Cell<'a> {
    /// NULL.
    Null,
    /// A boolean.
    Bool(bool),
    /// A signed integer.
    Int(i64),
    /// An unsigned integer.
    UInt(u64),
    /// A double.
    Float(f64),
    /// A single-precision float.
    Float32(f32),
    /// Text in UTF-8, or text of a type that only has a text form (decimals, dates, JSON) exactly as the server spells it.
    Text(&'a str),
    /// What the engine calls text and is not UTF-8 (SQLite checks nothing).
    BadText(&'a [u8]),
    /// Bytes.
    Bytes(&'a [u8]),
}
