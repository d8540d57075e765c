//! Data: one value on its way into another database, already of the class that its column there wants.

use super::temporal::Moment;

/// A value for a column of the target. What is text here is what the target's type spells, in one spelling.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Datum<'a> {
    /// NULL.
    Null,
    /// A boolean.
    Bool(bool),
    /// A signed integer.
    Int(i64),
    /// An unsigned integer.
    UInt(u64),
    /// A decimal: `-12.5`, without exponent; `NaN`, `Infinity`, `-Infinity`.
    Decimal(&'a str),
    /// A double.
    Float(f64),
    /// A single-precision float.
    Float32(f32),
    /// Text in UTF-8.
    Text(&'a str),
    /// What SQLite calls text and is not UTF-8: only SQLite takes it.
    BadText(&'a [u8]),
    /// Bytes.
    Bytes(&'a [u8]),
    /// A day, counted from 1970-01-01.
    Date(Moment),
    /// A time of day or a span of hours, in microseconds.
    Time(i64),
    /// A day and time, in microseconds from 1970: by the clock on the wall, or in UTC, as the column's type says.
    Stamp(Moment),
    /// A JSON document, as its author spelled it.
    Json(&'a str),
    /// A UUID.
    Uuid([u8; 16]),
    /// A string of bits: `0` and `1`.
    Bits(&'a str),
    /// A value of a type without a neutral form, as its engine spells it.
    Opaque(&'a str),
}
