//! COPY's binary form, written straight from the data.

use super::{
    BITS, CLASS, FIELD_MAX, Kind, LONG, MOMENT, RANGE, Why, double, each, fitted, single, whole,
};
use crate::copy::{Cell, Datum, Moment, encode, temporal};
use crate::dialect::bulk::{Encoder, Unfit};

/// Days from 1970 to 2000, where the server begins to count.
const DAYS: i64 = 10_957;
const MICROS: i64 = DAYS * 86_400_000_000;
const DAY: i64 = 86_400_000_000;

/// Rows in the binary form.
pub(super) struct Binary {
    kinds: Vec<Kind>,
    /// How many columns, as it stands before each row.
    width: [u8; 2],
}

impl Binary {
    pub(super) fn new(kinds: Vec<Kind>) -> Self {
        // The server's own limit is 1600 columns.
        let width = i16::try_from(kinds.len()).unwrap_or(i16::MAX).to_be_bytes();
        Binary { kinds, width }
    }
}

impl Encoder for Binary {
    fn begin(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0");
    }

    fn row(&mut self, row: &[Datum<'_>], out: &mut Vec<u8>) -> Result<(), Unfit> {
        let before = out.len();
        out.extend_from_slice(&self.width);
        each(&self.kinds, row, out, |_, kind, datum, out| {
            value(kind, datum, out)
        })
        .inspect_err(|_| out.truncate(before))
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(&[0xff, 0xff]);
    }
}

#[inline]
fn sized(bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Why> {
    if bytes.len() > FIELD_MAX {
        return Err(LONG);
    }
    out.reserve(bytes.len() + 4);
    out.extend_from_slice(&(bytes.len() as u32).to_be_bytes());
    out.extend_from_slice(bytes);
    Ok(())
}

#[inline]
fn eight(bytes: [u8; 8], out: &mut Vec<u8>) {
    let [a, b, c, d, e, f, g, h] = bytes;
    out.extend_from_slice(&[0, 0, 0, 8, a, b, c, d, e, f, g, h]);
}

#[inline]
fn four(bytes: [u8; 4], out: &mut Vec<u8>) {
    let [a, b, c, d] = bytes;
    out.extend_from_slice(&[0, 0, 0, 4, a, b, c, d]);
}

#[inline]
fn value(kind: Kind, datum: &Datum<'_>, out: &mut Vec<u8>) -> Result<(), Why> {
    // What most cells are, first.
    match (kind, datum) {
        (_, Datum::Null) => {
            out.extend_from_slice(&[0xff; 4]);
            return Ok(());
        }
        (Kind::Text, Datum::Text(text)) => return sized(text.as_bytes(), out),
        (Kind::Int8, Datum::Int(n)) => {
            eight(n.to_be_bytes(), out);
            return Ok(());
        }
        (Kind::Float8, Datum::Float(value)) => {
            eight(value.to_bits().to_be_bytes(), out);
            return Ok(());
        }
        _ => {}
    }
    match kind {
        Kind::Bool => boolean(datum, out),
        Kind::Int2 => {
            let n = i16::try_from(whole(datum).ok_or(CLASS)?).map_err(|_| RANGE)?;
            let [a, b] = n.to_be_bytes();
            out.extend_from_slice(&[0, 0, 0, 2, a, b]);
            Ok(())
        }
        Kind::Int4 => {
            let n = i32::try_from(whole(datum).ok_or(CLASS)?).map_err(|_| RANGE)?;
            four(n.to_be_bytes(), out);
            Ok(())
        }
        Kind::Oid => {
            let n = u32::try_from(whole(datum).ok_or(CLASS)?).map_err(|_| RANGE)?;
            four(n.to_be_bytes(), out);
            Ok(())
        }
        Kind::Int8 => {
            let n = i64::try_from(whole(datum).ok_or(CLASS)?).map_err(|_| RANGE)?;
            eight(n.to_be_bytes(), out);
            Ok(())
        }
        Kind::Numeric => number(datum, out),
        Kind::Float4 => {
            four(single(datum)?.to_bits().to_be_bytes(), out);
            Ok(())
        }
        Kind::Float8 => {
            eight(double(datum).ok_or(CLASS)?.to_bits().to_be_bytes(), out);
            Ok(())
        }
        Kind::Text | Kind::Json | Kind::Jsonb => letters(kind, datum, out),
        Kind::Bytes => match datum {
            Datum::Bytes(bytes) => sized(bytes, out),
            _ => Err(CLASS),
        },
        Kind::Uuid => sized(&uuid(datum).ok_or(CLASS)?, out),
        Kind::Date | Kind::Time | Kind::Timestamp | Kind::TimestampTz | Kind::Interval => {
            time(kind, &moment(kind, datum), out)
        }
        Kind::Bit(width) => bits(datum, Some(width), out),
        Kind::Varbit => bits(datum, None, out),
        Kind::Other => Err(CLASS),
    }
}

fn boolean(datum: &Datum<'_>, out: &mut Vec<u8>) -> Result<(), Why> {
    let value = match whole(datum) {
        Some(n @ (0 | 1)) => n as u8,
        Some(_) => return Err(RANGE),
        None => return Err(CLASS),
    };
    out.extend_from_slice(&[0, 0, 0, 1, value]);
    Ok(())
}

/// What the server takes as letters. The binary form of `jsonb` has the number of its version before them.
fn letters(kind: Kind, datum: &Datum<'_>, out: &mut Vec<u8>) -> Result<(), Why> {
    let text = match datum {
        Datum::Text(text)
        | Datum::Json(text)
        | Datum::Opaque(text)
        | Datum::Decimal(text)
        | Datum::Bits(text) => text.as_bytes(),
        _ => return Err(CLASS),
    };
    if kind != Kind::Jsonb {
        return sized(text, out);
    }
    if text.len() >= FIELD_MAX {
        return Err(LONG);
    }
    out.extend_from_slice(&(text.len() as u32 + 1).to_be_bytes());
    out.push(1);
    out.extend_from_slice(text);
    Ok(())
}

/// A UUID, also as its letters: a cell that goes over as it is comes so.
fn uuid(datum: &Datum<'_>) -> Option<[u8; 16]> {
    match *datum {
        Datum::Uuid(bytes) => Some(bytes),
        Datum::Bytes(bytes) => bytes.try_into().ok(),
        Datum::Text(text) => encode::uuid(Cell::Text(text)),
        _ => None,
    }
}

/// The moment that a text spells: a cell that goes over as it is comes so.
fn moment<'d>(kind: Kind, datum: &Datum<'d>) -> Datum<'d> {
    let Datum::Text(text) = *datum else {
        return *datum;
    };
    let bytes = text.as_bytes();
    let found = match kind {
        Kind::Date => temporal::date(bytes).map(Datum::Date),
        Kind::Timestamp => temporal::timestamp(bytes, false).map(Datum::Stamp),
        Kind::TimestampTz => temporal::timestamp(bytes, true).map(Datum::Stamp),
        _ => temporal::time(bytes).map(Datum::Time),
    };
    found.unwrap_or(*datum)
}

fn time(kind: Kind, datum: &Datum<'_>, out: &mut Vec<u8>) -> Result<(), Why> {
    match (kind, datum) {
        (Kind::Date, Datum::Date(at)) => {
            let days = match at {
                Moment::Infinity => i32::MAX,
                Moment::NegativeInfinity => i32::MIN,
                Moment::At(days) => days
                    .checked_sub(DAYS)
                    .and_then(|days| i32::try_from(days).ok())
                    .filter(|days| !matches!(*days, i32::MIN | i32::MAX))
                    .ok_or(MOMENT)?,
            };
            four(days.to_be_bytes(), out);
        }
        (Kind::Timestamp | Kind::TimestampTz, Datum::Stamp(at)) => {
            let micros = match at {
                Moment::Infinity => i64::MAX,
                Moment::NegativeInfinity => i64::MIN,
                Moment::At(micros) => micros
                    .checked_sub(MICROS)
                    .filter(|micros| !matches!(*micros, i64::MIN | i64::MAX))
                    .ok_or(MOMENT)?,
            };
            eight(micros.to_be_bytes(), out);
        }
        (Kind::Time, Datum::Time(micros)) => {
            if !(0..=DAY).contains(micros) {
                return Err(MOMENT);
            }
            eight(micros.to_be_bytes(), out);
        }
        // Microseconds, days, months: a span of hours has none of the latter.
        (Kind::Interval, Datum::Time(micros)) => {
            out.extend_from_slice(&[0, 0, 0, 16]);
            out.extend_from_slice(&micros.to_be_bytes());
            out.extend_from_slice(&[0; 8]);
        }
        _ => return Err(CLASS),
    }
    Ok(())
}

fn bits(datum: &Datum<'_>, exact: Option<usize>, out: &mut Vec<u8>) -> Result<(), Why> {
    let (Datum::Bits(text) | Datum::Text(text) | Datum::Opaque(text)) = datum else {
        return Err(CLASS);
    };
    let (zeros, text) = fitted(text, exact)?;
    let count = u32::try_from(zeros + text.len()).map_err(|_| BITS)?;
    let len = count.div_ceil(8);
    if len as usize > FIELD_MAX {
        return Err(LONG);
    }
    out.extend_from_slice(&(len + 4).to_be_bytes());
    out.extend_from_slice(&count.to_be_bytes());
    let from = out.len();
    out.resize(from + len as usize, 0);
    for (at, bit) in text.bytes().enumerate() {
        let at = zeros + at;
        out[from + at / 8] |= (bit - b'0') << (7 - at % 8);
    }
    Ok(())
}

fn number(datum: &Datum<'_>, out: &mut Vec<u8>) -> Result<(), Why> {
    let n = match *datum {
        Datum::Decimal(text) | Datum::Text(text) => return numeric(text.as_bytes(), out),
        Datum::Int(n) => i128::from(n),
        Datum::UInt(n) => i128::from(n),
        _ => return Err(CLASS),
    };
    // Twenty digits are five groups.
    let mut groups = [0_u16; 5];
    let (mut rest, mut from) = (n.unsigned_abs() as u64, groups.len());
    while rest > 0 {
        from -= 1;
        groups[from] = (rest % 10_000) as u16;
        rest /= 10_000;
    }
    let groups = &groups[from..];
    let weight = groups.len().saturating_sub(1) as u16;
    head(groups.len() as u16, weight, n < 0, 0, out);
    for group in groups {
        out.extend_from_slice(&group.to_be_bytes());
    }
    Ok(())
}

/// What stands before a number's digits: its length in bytes, groups of four digits, the weight of the first, the sign,
/// digits after the point.
fn head(groups: u16, weight: u16, negative: bool, scale: u16, out: &mut Vec<u8>) {
    let sign: u16 = if negative { 0x4000 } else { 0 };
    out.extend_from_slice(&(u32::from(groups) * 2 + 8).to_be_bytes());
    for part in [groups, weight, sign, scale] {
        out.extend_from_slice(&part.to_be_bytes());
    }
}

/// A decimal's text as groups of four digits.
fn numeric(text: &[u8], out: &mut Vec<u8>) -> Result<(), Why> {
    let special: Option<u16> = match text {
        b"NaN" => Some(0xc000),
        b"Infinity" => Some(0xd000),
        b"-Infinity" => Some(0xf000),
        _ => None,
    };
    if let Some(sign) = special {
        out.extend_from_slice(&[0, 0, 0, 8, 0, 0, 0, 0]);
        out.extend_from_slice(&sign.to_be_bytes());
        out.extend_from_slice(&[0, 0]);
        return Ok(());
    }
    let (negative, digits) = match text.strip_prefix(b"-") {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let point = digits.iter().position(|b| *b == b'.');
    let (whole, fraction) = match point {
        Some(at) => (&digits[..at], &digits[at + 1..]),
        None => (digits, &digits[digits.len()..]),
    };
    if whole.len() + fraction.len() == 0 || !whole.iter().chain(fraction).all(u8::is_ascii_digit) {
        return Err(CLASS);
    }
    let lead = whole.iter().position(|b| *b != b'0').unwrap_or(whole.len());
    let whole = &whole[lead..];
    // The server's own bounds: 131072 digits before the point, 16383 after it.
    if whole.len() > 131_072 || fraction.len() > 16_383 {
        return Err(RANGE);
    }
    let (before, after) = (whole.len().div_ceil(4), fraction.len().div_ceil(4));
    // Without digits before the point the weight is −1, in two's complement.
    let weight = (before as u16).wrapping_sub(1);
    let scale = fraction.len() as u16;
    head((before + after) as u16, weight, negative, scale, out);
    let (first, groups) = whole.split_at(whole.len() % 4);
    if !first.is_empty() {
        group(first, 0, out);
    }
    for four in groups.chunks(4) {
        group(four, 0, out);
    }
    for four in fraction.chunks(4) {
        group(four, 4 - four.len(), out);
    }
    Ok(())
}

/// One group of digits, with zeros behind it.
fn group(digits: &[u8], zeros: usize, out: &mut Vec<u8>) {
    let mut n = digits
        .iter()
        .fold(0_u16, |n, digit| n * 10 + u16::from(digit - b'0'));
    for _ in 0..zeros {
        n *= 10;
    }
    out.extend_from_slice(&n.to_be_bytes());
}
