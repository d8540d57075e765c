//! A value on its way from a file to a table.

use crate::copy::Cell;
use crate::value::Value;

/// A cell that owns what it holds.
#[derive(Debug, Clone, PartialEq)]
pub enum Datum {
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
    /// Text.
    Text(String),
    /// Text that is no UTF-8.
    BadText(Vec<u8>),
    /// Bytes.
    Bytes(Vec<u8>),
}

impl Datum {
    /// What a cell holds.
    pub fn of(cell: Cell<'_>) -> Datum {
        match cell {
            Cell::Null => Datum::Null,
            Cell::Bool(b) => Datum::Bool(b),
            Cell::Int(n) => Datum::Int(n),
            Cell::UInt(n) => Datum::UInt(n),
            Cell::Float(f) => Datum::Float(f),
            Cell::Float32(f) => Datum::Float(f64::from(f)),
            Cell::Text(text) => Datum::Text(text.to_owned()),
            Cell::BadText(bytes) => Datum::BadText(bytes.to_vec()),
            Cell::Bytes(bytes) => Datum::Bytes(bytes.to_vec()),
        }
    }

    /// As a cell.
    pub fn cell(&self) -> Cell<'_> {
        match self {
            Datum::Null => Cell::Null,
            Datum::Bool(b) => Cell::Bool(*b),
            Datum::Int(n) => Cell::Int(*n),
            Datum::UInt(n) => Cell::UInt(*n),
            Datum::Float(f) => Cell::Float(*f),
            Datum::Text(text) => Cell::Text(text),
            Datum::BadText(bytes) => Cell::BadText(bytes),
            Datum::Bytes(bytes) => Cell::Bytes(bytes),
        }
    }

    /// As a value that is bound. Text that is no UTF-8 is bound as its bytes.
    pub fn value(&self) -> Value {
        match self {
            Datum::Null => Value::Null,
            Datum::Bool(b) => Value::Bool(*b),
            Datum::Int(n) => Value::Int(*n),
            Datum::UInt(n) => Value::UInt(*n),
            Datum::Float(f) => Value::Float(*f),
            Datum::Text(text) => Value::Text(text.clone()),
            Datum::BadText(bytes) | Datum::Bytes(bytes) => Value::Bytes(bytes.clone()),
        }
    }

    /// The bytes as they are, for a reject: text and bytes themselves, else the spelling.
    pub fn raw(&self) -> Vec<u8> {
        match self {
            Datum::BadText(bytes) | Datum::Bytes(bytes) => bytes.clone(),
            Datum::Text(text) => text.as_bytes().to_vec(),
            other => match other.value().into_text() {
                Value::Text(text) => text.into_bytes(),
                _ => vec![],
            },
        }
    }

    /// How people see it: short.
    pub fn shown(&self) -> String {
        let text = match self {
            Datum::Null => return "NULL".into(),
            Datum::Text(text) => text.clone(),
            other => other.value().shown(),
        };
        match text.char_indices().nth(60) {
            Some((at, _)) => format!("`{}…`", &text[..at]),
            None => format!("`{text}`"),
        }
    }
}

/// Appends bytes as hexadecimal digits.
pub fn hex_out(bytes: &[u8], out: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for byte in bytes {
        out.push(DIGITS[usize::from(byte >> 4)]);
        out.push(DIGITS[usize::from(byte & 15)]);
    }
}

/// Bytes as hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    let mut out = Vec::with_capacity(bytes.len() * 2);
    hex_out(bytes, &mut out);
    String::from_utf8(out).unwrap_or_default()
}

/// The bytes that hexadecimal digits spell.
pub fn unhex(text: &[u8]) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    if !text.len().is_multiple_of(2) {
        return None;
    }
    let pair = |pair: &[u8]| Some((digit(pair[0])? * 16 + digit(pair[1])?) as u8);
    text.chunks_exact(2).map(pair).collect()
}

/// The spelling of a finite double that reads back as the same one and as a double: never without point or exponent.
pub fn float(value: f64) -> String {
    format!("{value:?}")
}
