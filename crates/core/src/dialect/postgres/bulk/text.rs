//! COPY's text form: for tables with a column whose type has no binary form here.

use super::{CLASS, Kind, MOMENT, RANGE, Why, double, each, fitted, single, whole};
use crate::copy::{Datum, spell};
use crate::dialect::bulk::{Encoder, Unfit};
use std::io::Write as _;

/// Rows in the text form.
pub(super) struct Text {
    kinds: Vec<Kind>,
}

impl Text {
    pub(super) fn new(kinds: Vec<Kind>) -> Self {
        Text { kinds }
    }
}

impl Encoder for Text {
    fn begin(&mut self, _out: &mut Vec<u8>) {}

    fn row(&mut self, row: &[Datum<'_>], out: &mut Vec<u8>) -> Result<(), Unfit> {
        each(&self.kinds, row, out, |column, kind, datum, out| {
            if column > 0 {
                out.push(b'\t');
            }
            value(kind, datum, out)
        })?;
        out.push(b'\n');
        Ok(())
    }

    fn end(&mut self, _out: &mut Vec<u8>) {}
}

fn escaped(text: &[u8], out: &mut Vec<u8>) {
    let mut rest = text;
    while let Some(at) = rest
        .iter()
        .position(|b| matches!(b, b'\\' | b'\t' | b'\n' | b'\r'))
    {
        out.extend_from_slice(&rest[..at]);
        out.extend_from_slice(match rest[at] {
            b'\\' => b"\\\\",
            b'\t' => b"\\t",
            b'\n' => b"\\n",
            _ => b"\\r",
        });
        rest = &rest[at + 1..];
    }
    out.extend_from_slice(rest);
}

fn value(kind: Kind, datum: &Datum<'_>, out: &mut Vec<u8>) -> Result<(), Why> {
    match *datum {
        Datum::Null => out.extend_from_slice(b"\\N"),
        Datum::Bool(b) if kind == Kind::Bool || kind == Kind::Other => {
            out.push(if b { b't' } else { b'f' });
        }
        Datum::Bool(b) => out.push(b'0' + u8::from(b)),
        Datum::Int(_) | Datum::UInt(_) if matches!(kind, Kind::Float4 | Kind::Float8) => {
            let value = double(datum).ok_or(RANGE)?;
            float(value, &value, out);
        }
        Datum::Int(n) => spell::int(n, out),
        Datum::UInt(n) => crate::copy::decimal::integer(n, out),
        Datum::Float(value) if kind == Kind::Float4 => {
            let narrow = single(datum)?;
            float(value, &narrow, out);
        }
        Datum::Float(value) => float(value, &value, out),
        Datum::Float32(value) if kind == Kind::Float4 => float(f64::from(value), &value, out),
        Datum::Float32(value) => float(f64::from(value), &f64::from(value), out),
        Datum::Bits(text) => {
            let exact = if let Kind::Bit(width) = kind {
                Some(width)
            } else {
                None
            };
            let (zeros, text) = fitted(text, exact)?;
            out.resize(out.len() + zeros, b'0');
            out.extend_from_slice(text.as_bytes());
        }
        Datum::Decimal(text)
            if matches!(kind, Kind::Int2 | Kind::Int4 | Kind::Int8 | Kind::Oid) =>
        {
            whole(datum).ok_or(CLASS)?;
            out.extend_from_slice(text.as_bytes());
        }
        Datum::Text(text) | Datum::Decimal(text) | Datum::Json(text) | Datum::Opaque(text) => {
            escaped(text.as_bytes(), out);
        }
        Datum::Bytes(bytes) => {
            out.extend_from_slice(b"\\\\x");
            spell::hex(bytes, out);
        }
        Datum::Date(at) => spell::date(at, out),
        Datum::Time(micros) => {
            if kind == Kind::Time && !(0..=86_400_000_000).contains(&micros) {
                return Err(MOMENT);
            }
            spell::time(micros, out);
        }
        Datum::Stamp(at) => spell::stamp(at, kind == Kind::TimestampTz, out),
        Datum::Uuid(bytes) => spell::uuid(bytes, out),
        Datum::BadText(_) => return Err(CLASS),
    }
    Ok(())
}

/// The shortest spelling that gives the number back.
fn float(value: f64, shown: &dyn std::fmt::LowerExp, out: &mut Vec<u8>) {
    // Writing into a Vec cannot fail.
    let _ = if value.is_nan() {
        out.write_all(b"NaN")
    } else if value.is_infinite() {
        out.write_all(if value > 0.0 {
            b"Infinity"
        } else {
            b"-Infinity"
        })
    } else {
        write!(out, "{shown:e}")
    };
}
