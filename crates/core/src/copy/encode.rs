//! The canonical form of a row: for each column one tag byte, a length, and the value in one spelling.
//!
//! The column's neutral type decides how a cell is read, so that the same value gives the same bytes whatever engine
//! it lies in. A cell that does not fit the type is encoded under a tag of its own class, with its bytes as they are:
//! it equals only the same cell of the same class, never by accident a value that fits, and it is counted.
//!
//! | tag | type | payload |
//! |---|---|---|
//! | 0 | NULL | none |
//! | 1 | bool | 0 or 1 |
//! | 2 | int | two's complement, big-endian, no more bytes than needed |
//! | 3 | decimal | its one spelling: `-12.5`; `nan`, `inf`, `-inf` |
//! | 4 | float | the 8 bytes of the double, big-endian; −0 as +0, one NaN |
//! | 5 | text | UTF-8 as it is: no folding, no trimming, no normalising |
//! | 6 | bytes | as they are |
//! | 7 | date | days from 1970-01-01, 8 bytes; infinities by a byte |
//! | 8 | time | microseconds, 8 bytes |
//! | 9 | timestamp | microseconds from 1970 by the clock on the wall, 8 bytes; infinities by a byte |
//! | 10 | timestamp_tz | microseconds from 1970 in UTC, 8 bytes; infinities by a byte |
//! | 11 | json | keys sorted, numbers exact (see `json`) |
//! | 12 | uuid | 16 bytes |
//! | 13 | bits | the number's bits as 0 and 1, no leading zeros |
//! | 14 | opaque | the engine's text |
//! | 0x80… | does not fit | bool, int, float, text, text that is not UTF-8, bytes: as they are |

use super::cell::Cell;
use super::datum::Datum;
use super::temporal::{self, Epoch, Moment};
use super::{decimal, json, spell};
use crate::schema::NeutralType;

/// The version of the form: part of every reading's hash.
pub const FORM: u32 = 1;

/// Whether a column's type binds its values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Typing {
    /// Every value is of the column's type (the servers).
    Static,
    /// A value has a class of its own, and the column's type says how to read it: a decimal may lie there as a double,
    /// a day as text or a number (SQLite).
    Dynamic,
}

/// How a cell took to its column's type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fit {
    /// It is a value of the type.
    Fits,
    /// JSON with a key twice in one object: read with the last of them.
    DuplicateKey,
    /// A number in a column of times, read as its magnitude says.
    Counted(Epoch),
    /// It is not: encoded as what it is.
    Misfit,
}

const TAG_NULL: u8 = 0;
const TAG_BOOL: u8 = 1;
const TAG_INT: u8 = 2;
const TAG_DECIMAL: u8 = 3;
const TAG_FLOAT: u8 = 4;
const TAG_TEXT: u8 = 5;
const TAG_BYTES: u8 = 6;
const TAG_DATE: u8 = 7;
const TAG_TIME: u8 = 8;
const TAG_TIMESTAMP: u8 = 9;
const TAG_TIMESTAMP_TZ: u8 = 10;
const TAG_JSON: u8 = 11;
const TAG_UUID: u8 = 12;
const TAG_BITS: u8 = 13;
const TAG_OPAQUE: u8 = 14;
const RAW_BOOL: u8 = 0x80;
const RAW_INT: u8 = 0x81;
const RAW_FLOAT: u8 = 0x82;
const RAW_TEXT: u8 = 0x83;
const RAW_BAD_TEXT: u8 = 0x84;
const RAW_BYTES: u8 = 0x85;

/// Appends the canonical form of a datum under the type of its column: the very bytes that [`encode`] gives for the
/// cell that a server hands back for it.
pub fn encode_datum(datum: &Datum<'_>, ty: &NeutralType, out: &mut Vec<u8>) {
    encode_datum_as(datum, ty, Typing::Static, out);
}

/// As [`encode_datum`], for a target of either typing. Gives how the datum took to the type.
pub fn encode_datum_as(
    datum: &Datum<'_>,
    ty: &NeutralType,
    typing: Typing,
    out: &mut Vec<u8>,
) -> Fit {
    let cell = match *datum {
        Datum::Null => Cell::Null,
        Datum::Bool(b) => Cell::Bool(b),
        Datum::Int(n) => Cell::Int(n),
        Datum::UInt(n) => Cell::UInt(n),
        Datum::Float(value) => Cell::Float(value),
        Datum::Float32(value) => Cell::Float32(value),
        Datum::Text(text)
        | Datum::Decimal(text)
        | Datum::Json(text)
        | Datum::Bits(text)
        | Datum::Opaque(text) => Cell::Text(text),
        Datum::BadText(bytes) => Cell::BadText(bytes),
        Datum::Bytes(bytes) => Cell::Bytes(bytes),
        Datum::Date(at) if *ty == NeutralType::Date => {
            moment(TAG_DATE, at, out);
            return Fit::Fits;
        }
        Datum::Stamp(at) if *ty == NeutralType::Timestamp => {
            moment(TAG_TIMESTAMP, at, out);
            return Fit::Fits;
        }
        Datum::Stamp(at) if *ty == NeutralType::TimestampTz => {
            moment(TAG_TIMESTAMP_TZ, at, out);
            return Fit::Fits;
        }
        Datum::Time(micros) if *ty == NeutralType::Time => {
            tagged(TAG_TIME, &micros.to_be_bytes(), out);
            return Fit::Fits;
        }
        Datum::Uuid(bytes) if *ty == NeutralType::Uuid => {
            tagged(TAG_UUID, &bytes, out);
            return Fit::Fits;
        }
        Datum::Date(_) | Datum::Stamp(_) | Datum::Time(_) | Datum::Uuid(_) => {
            return spelled(datum, ty, typing, out);
        }
    };
    encode(cell, ty, typing, out)
}

/// A moment or a UUID in a column of another type: as the text that stands there.
fn spelled(datum: &Datum<'_>, ty: &NeutralType, typing: Typing, out: &mut Vec<u8>) -> Fit {
    let mut text = Vec::with_capacity(40);
    match *datum {
        Datum::Date(at) => spell::date(at, &mut text),
        Datum::Stamp(at) => spell::stamp(at, false, &mut text),
        Datum::Time(micros) => spell::time(micros, &mut text),
        Datum::Uuid(bytes) => spell::uuid(bytes, &mut text),
        _ => {}
    }
    let text = std::str::from_utf8(&text).unwrap_or_default();
    encode(Cell::Text(text), ty, typing, out)
}

/// Appends the canonical form of one cell under a type.
pub fn encode(cell: Cell<'_>, ty: &NeutralType, typing: Typing, out: &mut Vec<u8>) -> Fit {
    if cell == Cell::Null {
        out.push(TAG_NULL);
        return Fit::Fits;
    }
    let fit = match ty {
        NeutralType::Int => int(cell, out),
        NeutralType::Text => match cell {
            Cell::Text(text) => tagged(TAG_TEXT, text.as_bytes(), out),
            _ => None,
        },
        NeutralType::Float => float(cell, typing, out),
        NeutralType::Bool => boolean(cell, typing, out),
        NeutralType::Decimal => decimals(cell, typing, out),
        NeutralType::Bytes => match cell {
            Cell::Bytes(bytes) => tagged(TAG_BYTES, bytes, out),
            _ => None,
        },
        NeutralType::Date => match text_of(cell) {
            Some(text) => temporal::date(text).and_then(|at| moment(TAG_DATE, at, out)),
            None => counted(cell, typing, TAG_DATE, out),
        },
        NeutralType::Time => text_of(cell)
            .and_then(temporal::time)
            .and_then(|micros| tagged(TAG_TIME, &micros.to_be_bytes(), out)),
        NeutralType::Timestamp => times(cell, typing, TAG_TIMESTAMP, out),
        NeutralType::TimestampTz => times(cell, typing, TAG_TIMESTAMP_TZ, out),
        NeutralType::Json => documents(cell, typing, out),
        NeutralType::Uuid => uuid(cell).and_then(|bytes| tagged(TAG_UUID, &bytes, out)),
        NeutralType::Bits => bits(cell, out),
        NeutralType::Opaque(_) => opaque(cell, typing, out),
    };
    fit.unwrap_or_else(|| {
        raw(cell, out);
        Fit::Misfit
    })
}

/// Whether a canonical form is that of NULL.
pub fn is_null(form: &[u8]) -> bool {
    form == [TAG_NULL]
}

/// The whole number that a canonical form holds, where it is one of a column of whole numbers.
pub fn whole(form: &[u8]) -> Option<i128> {
    let [TAG_INT, len, bytes @ ..] = form else {
        return None;
    };
    let first = *bytes.first()?;
    let fits = usize::from(*len) == bytes.len() && bytes.len() <= 16;
    let sign = if first & 0x80 == 0 { 0 } else { 0xff };
    let mut all = [sign; 16];
    all[16_usize.checked_sub(bytes.len())?..].copy_from_slice(bytes);
    fits.then_some(i128::from_be_bytes(all))
}

/// The text that a canonical form holds, where it is one of a column of texts.
pub fn text(form: &[u8]) -> Option<&str> {
    let [TAG_TEXT, rest @ ..] = form else {
        return None;
    };
    let behind = rest.iter().position(|byte| byte & 0x80 == 0)? + 1;
    std::str::from_utf8(rest.get(behind..)?).ok()
}

fn push_len(len: usize, out: &mut Vec<u8>) {
    let mut rest = len as u64;
    while rest >= 0x80 {
        out.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

fn tagged(tag: u8, payload: &[u8], out: &mut Vec<u8>) -> Option<Fit> {
    out.push(tag);
    push_len(payload.len(), out);
    out.extend_from_slice(payload);
    Some(Fit::Fits)
}

/// Writes what is made in place behind its length. Nothing is written where `make` says no.
fn made<T>(tag: u8, out: &mut Vec<u8>, make: impl FnOnce(&mut Vec<u8>) -> Option<T>) -> Option<T> {
    let start = out.len();
    // Room for a length of one byte, which is the usual one; longer ones are moved aside below.
    out.extend_from_slice(&[tag, 0]);
    let Some(done) = make(out) else {
        out.truncate(start);
        return None;
    };
    let len = out.len() - start - 2;
    match u8::try_from(len) {
        Ok(short) if short < 0x80 => out[start + 1] = short,
        _ => {
            let payload = out.split_off(start + 2);
            out.pop();
            push_len(len, out);
            out.extend_from_slice(&payload);
        }
    }
    Some(done)
}

fn text_of(cell: Cell<'_>) -> Option<&[u8]> {
    match cell {
        Cell::Text(text) => Some(text.as_bytes()),
        _ => None,
    }
}

fn push_int(tag: u8, n: i128, out: &mut Vec<u8>) -> Option<Fit> {
    if let Ok(small) = i64::try_from(n) {
        // Bits that carry meaning: all but the copies of the sign, and one sign.
        let same = if small < 0 {
            small.leading_ones()
        } else {
            small.leading_zeros()
        };
        let len = (64 - same as usize) / 8 + 1;
        return tagged(tag, &small.to_be_bytes()[8 - len.min(8)..], out);
    }
    let same = if n < 0 {
        n.leading_ones()
    } else {
        n.leading_zeros()
    };
    let len = (128 - same as usize) / 8 + 1;
    tagged(tag, &n.to_be_bytes()[16 - len.min(16)..], out)
}

fn int(cell: Cell<'_>, out: &mut Vec<u8>) -> Option<Fit> {
    let n = match cell {
        Cell::Int(n) => i128::from(n),
        Cell::UInt(n) => i128::from(n),
        Cell::Bool(b) => i128::from(b),
        Cell::Text(text) => decimal::to_integer(text.as_bytes())?,
        _ => return None,
    };
    push_int(TAG_INT, n, out)
}

/// The one pattern of bits for a double: −0 is +0 and every NaN is the same.
fn float_bits(value: f64) -> [u8; 8] {
    if value.is_nan() {
        return 0x7ff8_0000_0000_0000_u64.to_be_bytes();
    }
    let value = if value == 0.0 { 0.0 } else { value };
    value.to_bits().to_be_bytes()
}

fn float(cell: Cell<'_>, typing: Typing, out: &mut Vec<u8>) -> Option<Fit> {
    let value = match cell {
        Cell::Float(value) => value,
        Cell::Float32(value) => f64::from(value),
        Cell::Int(n) if n.unsigned_abs() <= 1 << 53 => n as f64,
        Cell::Text(text) if typing == Typing::Dynamic => {
            decimal::parse(text.as_bytes())?;
            text.parse().ok()?
        }
        _ => return None,
    };
    tagged(TAG_FLOAT, &float_bits(value), out)
}

fn boolean(cell: Cell<'_>, typing: Typing, out: &mut Vec<u8>) -> Option<Fit> {
    let value = match cell {
        Cell::Bool(value) => value,
        Cell::Int(0) | Cell::UInt(0) | Cell::Bytes([0]) => false,
        Cell::Int(1) | Cell::UInt(1) | Cell::Bytes([1]) => true,
        Cell::Float(0.0) if typing == Typing::Dynamic => false,
        Cell::Float(1.0) if typing == Typing::Dynamic => true,
        Cell::Text(text) => match text.to_ascii_lowercase().as_str() {
            "t" | "true" | "y" | "yes" | "on" | "1" => true,
            "f" | "false" | "n" | "no" | "off" | "0" => false,
            _ => return None,
        },
        _ => return None,
    };
    tagged(TAG_BOOL, &[u8::from(value)], out)
}

fn decimals(cell: Cell<'_>, typing: Typing, out: &mut Vec<u8>) -> Option<Fit> {
    made(TAG_DECIMAL, out, |payload| {
        let done = match cell {
            Cell::Int(n) => {
                if n < 0 {
                    payload.push(b'-');
                }
                decimal::integer(n.unsigned_abs(), payload);
                true
            }
            Cell::UInt(n) => {
                decimal::integer(n, payload);
                true
            }
            Cell::Text("NaN") => {
                payload.extend_from_slice(b"nan");
                true
            }
            Cell::Text("Infinity") => {
                payload.extend_from_slice(b"inf");
                true
            }
            Cell::Text("-Infinity") => {
                payload.extend_from_slice(b"-inf");
                true
            }
            Cell::Text(text) => decimal::normalise(text.as_bytes(), payload),
            // An engine without decimals keeps them as doubles; a double column of a server is no decimal.
            Cell::Float(value) if typing == Typing::Dynamic => decimal::from_double(value, payload),
            _ => false,
        };
        done.then_some(Fit::Fits)
    })
}

fn moment(tag: u8, at: Moment, out: &mut Vec<u8>) -> Option<Fit> {
    match at {
        Moment::At(n) => tagged(tag, &n.to_be_bytes(), out),
        Moment::Infinity => tagged(tag, b"+", out),
        Moment::NegativeInfinity => tagged(tag, b"-", out),
    }
}

/// Times kept as numbers, where the engine has no type for them.
fn counted(cell: Cell<'_>, typing: Typing, tag: u8, out: &mut Vec<u8>) -> Option<Fit> {
    if typing == Typing::Static {
        return None;
    }
    let (micros, epoch) = match cell {
        Cell::Int(n) => temporal::from_integer(n)?,
        Cell::Float(value) => temporal::from_julian(value)?,
        _ => return None,
    };
    let n = if tag == TAG_DATE {
        if micros.rem_euclid(86_400_000_000) != 0 {
            return None;
        }
        micros.div_euclid(86_400_000_000)
    } else {
        micros
    };
    tagged(tag, &n.to_be_bytes(), out);
    Some(Fit::Counted(epoch))
}

fn times(cell: Cell<'_>, typing: Typing, tag: u8, out: &mut Vec<u8>) -> Option<Fit> {
    match text_of(cell) {
        Some(text) => moment(
            tag,
            temporal::timestamp(text, tag == TAG_TIMESTAMP_TZ)?,
            out,
        ),
        None => counted(cell, typing, tag, out),
    }
}

fn documents(cell: Cell<'_>, typing: Typing, out: &mut Vec<u8>) -> Option<Fit> {
    let number;
    let text = match cell {
        Cell::Text(text) => text.as_bytes(),
        // SQLite's affinity for a column declared JSON is that of numbers: a document that is one becomes one.
        Cell::Int(n) if typing == Typing::Dynamic => {
            number = n.to_string();
            number.as_bytes()
        }
        Cell::Float(value) if typing == Typing::Dynamic && value.is_finite() => {
            number = format!("{value:e}");
            number.as_bytes()
        }
        Cell::Bytes(bytes) => std::str::from_utf8(bytes).ok()?.as_bytes(),
        _ => return None,
    };
    let duplicate = made(TAG_JSON, out, |payload| json::canonical(text, payload))?;
    Some(if duplicate {
        Fit::DuplicateKey
    } else {
        Fit::Fits
    })
}

/// The bytes of a UUID in any of its spellings.
pub(crate) fn uuid(cell: Cell<'_>) -> Option<[u8; 16]> {
    let text = match cell {
        Cell::Bytes(bytes) => return bytes.try_into().ok(),
        Cell::Text(text) => text.as_bytes(),
        _ => return None,
    };
    let text = text
        .strip_prefix(b"{")
        .and_then(|rest| rest.strip_suffix(b"}"))
        .unwrap_or(text);
    let mut digits = text.iter().filter(|b| **b != b'-');
    let mut bytes = [0; 16];
    for byte in &mut bytes {
        let high = char::from(*digits.next()?).to_digit(16)?;
        let low = char::from(*digits.next()?).to_digit(16)?;
        *byte = (high * 16 + low) as u8;
    }
    (digits.next().is_none() && matches!(text.len(), 32 | 36)).then_some(bytes)
}

fn bits(cell: Cell<'_>, out: &mut Vec<u8>) -> Option<Fit> {
    let all: Vec<u8> = match cell {
        Cell::Bool(b) => vec![b'0' + u8::from(b)],
        Cell::Text(text) if text.bytes().all(|b| matches!(b, b'0' | b'1')) => {
            text.as_bytes().to_vec()
        }
        Cell::Bytes(bytes) => bytes
            .iter()
            .flat_map(|byte| (0..8).rev().map(move |at| b'0' + ((byte >> at) & 1)))
            .collect(),
        Cell::Int(n) if n >= 0 => format!("{n:b}").into_bytes(),
        Cell::UInt(n) => format!("{n:b}").into_bytes(),
        _ => return None,
    };
    let from = all.iter().position(|b| *b == b'1').unwrap_or(all.len());
    tagged(TAG_BITS, &all[from..], out)
}

/// A type without a neutral form. Where values have classes of their own, each is itself and nothing is a misfit.
fn opaque(cell: Cell<'_>, typing: Typing, out: &mut Vec<u8>) -> Option<Fit> {
    match cell {
        _ if typing == Typing::Dynamic => raw(cell, out),
        Cell::Text(text) => {
            tagged(TAG_OPAQUE, text.as_bytes(), out);
        }
        _ => raw(cell, out),
    }
    Some(Fit::Fits)
}

/// A cell as what it is, under the tag of its class.
fn raw(cell: Cell<'_>, out: &mut Vec<u8>) {
    match cell {
        Cell::Null => out.push(TAG_NULL),
        Cell::Bool(b) => {
            tagged(RAW_BOOL, &[u8::from(b)], out);
        }
        Cell::Int(n) => {
            push_int(RAW_INT, i128::from(n), out);
        }
        Cell::UInt(n) => {
            push_int(RAW_INT, i128::from(n), out);
        }
        Cell::Float(value) => {
            tagged(RAW_FLOAT, &float_bits(value), out);
        }
        Cell::Float32(value) => {
            tagged(RAW_FLOAT, &float_bits(f64::from(value)), out);
        }
        Cell::Text(text) => {
            tagged(RAW_TEXT, text.as_bytes(), out);
        }
        Cell::BadText(bytes) => {
            tagged(RAW_BAD_TEXT, bytes, out);
        }
        Cell::Bytes(bytes) => {
            tagged(RAW_BYTES, bytes, out);
        }
    }
}

#[cfg(test)]
#[path = "encode_tests.rs"]
mod tests;
