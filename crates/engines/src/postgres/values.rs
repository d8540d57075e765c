//! Values on the wire: what is bound, and how the server's binary forms are read. Types without an exact neutral form
//! travel as the server's own text.

use crate::scan::text;
use crate::{Cell, DbError};
use bytes::BytesMut;
use dunlin_core::failure::ErrorClass;
use dunlin_core::value::Value;
use std::error::Error;
use tokio_postgres::Column;
use tokio_postgres::types::{Format, FromSql, IsNull, Kind, ToSql, Type, to_sql_checked};

/// A value to bind.
#[derive(Debug)]
pub(super) struct Bound<'a>(pub(super) &'a Value);

/// The type under which a value is bound; `None`: the server infers it (NULL).
pub(super) fn type_of(value: &Value) -> Type {
    match value {
        Value::Null => Type::UNKNOWN,
        Value::Bool(_) => Type::BOOL,
        Value::Int(_) => Type::INT8,
        Value::UInt(_) => Type::NUMERIC,
        Value::Float(_) => Type::FLOAT8,
        Value::Text(_) => Type::TEXT,
        Value::Bytes(_) => Type::BYTEA,
    }
}

impl ToSql for Bound<'_> {
    fn to_sql(
        &self,
        ty: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        match self.0 {
            Value::Null => return Ok(IsNull::Yes),
            Value::Bool(b) => b.to_sql(ty, out)?,
            Value::Int(n) => n.to_sql(ty, out)?,
            Value::Float(f) => f.to_sql(ty, out)?,
            Value::UInt(n) => n.to_string().as_str().to_sql(ty, out)?,
            Value::Text(text) => text.as_str().to_sql(ty, out)?,
            Value::Bytes(bytes) => bytes.as_slice().to_sql(ty, out)?,
        };
        Ok(IsNull::No)
    }
    fn accepts(_: &Type) -> bool {
        true // what is bound is declared with `type_of`, so the types are ours
    }
    fn encode_format(&self, _ty: &Type) -> Format {
        match self.0 {
            Value::UInt(_) => Format::Text,
            _ => Format::Binary,
        }
    }
    to_sql_checked!();
}

/// The bytes of a column as they came.
pub(super) struct Raw<'a>(pub(super) &'a [u8]);

impl<'a> FromSql<'a> for Raw<'a> {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Raw(raw))
    }
    fn accepts(_: &Type) -> bool {
        true
    }
}

/// The binary form that a column's values come in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Bool,
    Int2,
    Int4,
    Int8,
    Oid,
    Float4,
    Float8,
    Bytes,
    Void,
    Jsonb,
    Uuid,
    Timestamp,
    TimestampTz,
    Date,
    Time,
    Numeric,
    Char,
    Text,
}

impl Form {
    fn of(ty: &Type) -> Option<Form> {
        Some(match *ty {
            Type::BOOL => Form::Bool,
            Type::INT2 => Form::Int2,
            Type::INT4 => Form::Int4,
            Type::INT8 => Form::Int8,
            Type::OID => Form::Oid,
            Type::FLOAT4 => Form::Float4,
            Type::FLOAT8 => Form::Float8,
            Type::BYTEA => Form::Bytes,
            Type::VOID => Form::Void,
            Type::JSONB => Form::Jsonb,
            Type::UUID => Form::Uuid,
            Type::TIMESTAMP => Form::Timestamp,
            Type::TIMESTAMPTZ => Form::TimestampTz,
            Type::DATE => Form::Date,
            Type::TIME => Form::Time,
            Type::NUMERIC => Form::Numeric,
            Type::CHAR => Form::Char,
            Type::TEXT
            | Type::VARCHAR
            | Type::BPCHAR
            | Type::NAME
            | Type::UNKNOWN
            | Type::JSON
            | Type::XML => Form::Text,
            _ => match ty.kind() {
                Kind::Enum(_) => Form::Text,
                _ => return None,
            },
        })
    }
}

/// How one column of a result is read.
#[derive(Debug, Clone)]
pub(super) struct Reader {
    name: String,
    ty: String,
    /// `None`: its values have no form that is understood.
    form: Option<Form>,
}

impl Reader {
    pub(super) fn new(column: &Column) -> Reader {
        let ty = column.type_();
        let base = match ty.kind() {
            Kind::Domain(base) => base,
            _ => ty,
        };
        Reader {
            name: column.name().to_owned(),
            ty: ty.name().to_owned(),
            form: Form::of(base),
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    fn unread(&self) -> DbError {
        DbError::new(
            ErrorClass::Other,
            format!(
                "column `{}` is of type `{}`, which is not read as it is: cast it to text in the SQL",
                self.name, self.ty
            ),
        )
    }

    /// Whether its values have to be spelled: they travel as the text that the server would print.
    pub(super) fn spells(&self) -> bool {
        use Form::{Date, Numeric, Time, Timestamp, TimestampTz, Uuid};
        let spelled = [Uuid, Timestamp, TimestampTz, Date, Time, Numeric];
        self.form.is_some_and(|form| spelled.contains(&form))
    }

    /// Appends the text of a value that has to be spelled.
    pub(super) fn spell(&self, raw: &[u8], out: &mut String) -> Result<(), DbError> {
        let mut spelled = || {
            match self.form? {
                Form::Uuid => spell_uuid(raw, out),
                Form::Timestamp => {
                    spell_timestamp(i64::from_be_bytes(raw.try_into().ok()?), false, out);
                }
                Form::TimestampTz => {
                    spell_timestamp(i64::from_be_bytes(raw.try_into().ok()?), true, out);
                }
                Form::Date => spell_date(i32::from_be_bytes(raw.try_into().ok()?), out),
                Form::Time => spell_time(i64::from_be_bytes(raw.try_into().ok()?), out),
                Form::Numeric => spell_numeric(raw, out)?,
                _ => return None,
            }
            Some(())
        };
        spelled().ok_or_else(|| self.unread())
    }

    /// Whether its values are text as they came.
    pub(super) fn is_text(&self) -> bool {
        self.form == Some(Form::Text)
    }

    /// Reads a value that is there as it came.
    pub(super) fn plain<'a>(&self, raw: &'a [u8]) -> Result<Cell<'a>, DbError> {
        let cell = || {
            Some(match self.form? {
                Form::Bool => Cell::Bool(*raw.first()? != 0),
                Form::Int2 => Cell::Int(i16::from_be_bytes(raw.try_into().ok()?).into()),
                Form::Int4 => Cell::Int(i32::from_be_bytes(raw.try_into().ok()?).into()),
                Form::Int8 => Cell::Int(i64::from_be_bytes(raw.try_into().ok()?)),
                Form::Oid => Cell::Int(u32::from_be_bytes(raw.try_into().ok()?).into()),
                Form::Float4 => Cell::Float32(f32::from_be_bytes(raw.try_into().ok()?)),
                Form::Float8 => Cell::Float(f64::from_be_bytes(raw.try_into().ok()?)),
                Form::Bytes => Cell::Bytes(raw),
                Form::Void => Cell::Null,
                // Version byte, then the text that the server would print.
                Form::Jsonb => text(raw.get(1..)?),
                // The catalog's one-byte type spells its zero as nothing.
                Form::Char if raw == [0] => Cell::Text(""),
                Form::Char | Form::Text => text(raw),
                _ => return None,
            })
        };
        cell().ok_or_else(|| self.unread())
    }

    /// Reads a value, whatever its form. `scratch` holds the text of one that has to be spelled.
    pub(super) fn read<'a>(
        &self,
        raw: &'a [u8],
        scratch: &'a mut String,
    ) -> Result<Cell<'a>, DbError> {
        if !self.spells() {
            return self.plain(raw);
        }
        scratch.clear();
        self.spell(raw, scratch)?;
        Ok(Cell::Text(scratch))
    }
}

/// A cell as a value of the control plane.
pub(super) fn value(cell: Cell<'_>) -> Value {
    match cell {
        Cell::Null => Value::Null,
        Cell::Bool(b) => Value::Bool(b),
        Cell::Int(n) => Value::Int(n),
        Cell::UInt(n) => Value::UInt(n),
        Cell::Float(f) => Value::Float(f),
        Cell::Float32(f) => Value::Float(f.into()),
        Cell::Text(text) => Value::Text(text.to_owned()),
        Cell::BadText(bytes) | Cell::Bytes(bytes) => Value::Bytes(bytes.to_vec()),
    }
}

fn spell_uuid(raw: &[u8], out: &mut String) {
    for (at, byte) in raw.iter().enumerate() {
        if matches!(at, 4 | 6 | 8 | 10) {
            out.push('-');
        }
        for half in [byte >> 4, byte & 0xf] {
            out.push(char::from(b"0123456789abcdef"[usize::from(half)]));
        }
    }
}

/// Days between 1970-01-01 and 2000-01-01, PostgreSQL's epoch.
const EPOCH_DAYS: i64 = 10_957;
const DAY_MICROS: i64 = 86_400_000_000;

/// Year, month and day of a day counted from 1970-01-01, in the proleptic Gregorian calendar (Howard Hinnant's
/// arithmetic: eras of 400 years, years that begin in March).
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 {
        shifted + 3
    } else {
        shifted - 9
    };
    (year + era * 400 + i64::from(month <= 2), month, day)
}

/// A number with at least so many digits. The formatter of the standard library takes several times as long, and rows
/// are full of these.
fn digits(mut number: u64, least: usize, out: &mut String) {
    let mut spelled = [b'0'; 20];
    let mut from = spelled.len();
    while number > 0 || spelled.len() - from < least.clamp(1, spelled.len()) {
        from -= 1;
        spelled[from] = b'0' + (number % 10) as u8;
        number /= 10;
    }
    out.extend(spelled[from..].iter().map(|digit| char::from(*digit)));
}

/// Two digits of a text of digits.
fn put_two(number: i64, at: usize, text: &mut [u8]) {
    text[at] = b'0' + (number / 10 % 10) as u8;
    text[at + 1] = b'0' + (number % 10) as u8;
}

fn push_ascii(text: &[u8], out: &mut String) {
    out.push_str(std::str::from_utf8(text).unwrap_or_default());
}

fn spell_day(days: i64, out: &mut String) -> bool {
    let (year, month, day) = civil(days);
    if (1..=9_999).contains(&year) {
        // Nearly every day is one of these.
        let mut text = *b"0000-00-00";
        put_two(year / 100, 0, &mut text);
        put_two(year % 100, 2, &mut text);
        put_two(month, 5, &mut text);
        put_two(day, 8, &mut text);
        push_ascii(&text, out);
        return false;
    }
    let before = year <= 0;
    let shown = if before { 1 - year } else { year };
    digits(shown.unsigned_abs(), 4, out);
    out.push('-');
    digits(month.unsigned_abs(), 2, out);
    out.push('-');
    digits(day.unsigned_abs(), 2, out);
    before
}

fn spell_time(micros: i64, out: &mut String) {
    let seconds = micros / 1_000_000;
    let (h, m, s) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    // A column of times of day holds at most 24 hours, and never less than none.
    let mut text = *b"00:00:00";
    put_two(h, 0, &mut text);
    put_two(m, 3, &mut text);
    put_two(s, 6, &mut text);
    push_ascii(&text, out);
    let fraction = micros % 1_000_000;
    if fraction != 0 {
        out.push('.');
        digits(fraction.unsigned_abs(), 6, out);
        while out.ends_with('0') {
            out.pop();
        }
    }
}

fn spell_timestamp(micros: i64, zone: bool, out: &mut String) {
    match micros {
        i64::MAX => return out.push_str("infinity"),
        i64::MIN => return out.push_str("-infinity"),
        _ => {}
    }
    let before = spell_day(micros.div_euclid(DAY_MICROS) + EPOCH_DAYS, out);
    out.push(' ');
    spell_time(micros.rem_euclid(DAY_MICROS), out);
    if zone {
        out.push_str("+00");
    }
    if before {
        out.push_str(" BC");
    }
}

fn spell_date(days: i32, out: &mut String) {
    match days {
        i32::MAX => return out.push_str("infinity"),
        i32::MIN => return out.push_str("-infinity"),
        _ => {}
    }
    if spell_day(i64::from(days) + EPOCH_DAYS, out) {
        out.push_str(" BC");
    }
}

/// The binary form: count of groups, weight of the first, sign, scale, then groups of four decimal digits.
fn spell_numeric(raw: &[u8], out: &mut String) -> Option<()> {
    let word = |at: usize| {
        let bytes = raw.get(at * 2..at * 2 + 2)?;
        Some(u16::from_be_bytes([bytes[0], bytes[1]]))
    };
    let count = i32::from(word(0)?);
    let weight = i32::from(word(1)?.cast_signed());
    let scale = usize::from(word(3)? & 0x3fff);
    match word(2)? {
        0xC000 => {
            out.push_str("NaN");
            return Some(());
        }
        0xD000 => {
            out.push_str("Infinity");
            return Some(());
        }
        0xF000 => {
            out.push_str("-Infinity");
            return Some(());
        }
        0x4000 => out.push('-'),
        _ => {}
    }
    let group = |at: i32| {
        if (0..count).contains(&at) {
            word(4 + usize::try_from(at).ok()?)
        } else {
            Some(0)
        }
    };
    if weight < 0 {
        out.push('0');
    }
    for at in 0..=weight {
        digits(group(at)?.into(), if at == 0 { 1 } else { 4 }, out);
    }
    if scale > 0 {
        out.push('.');
        let whole = out.len();
        let mut at = weight + 1;
        while out.len() - whole < scale {
            // Groups above the first one stored are zeros: `at` may be negative there.
            digits(group(at)?.into(), 4, out);
            at += 1;
        }
        out.truncate(whole + scale);
    }
    Some(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn numeric(words: &[u16]) -> String {
        let raw: Vec<u8> = words.iter().flat_map(|word| word.to_be_bytes()).collect();
        let mut out = String::new();
        spell_numeric(&raw, &mut out).unwrap();
        out
    }

    #[test]
    fn digits_are_those_of_the_standard_library() {
        for number in [0, 7, 10, 99, 100, 9_999, 10_000, 1_234_567, u64::MAX] {
            for least in [1, 2, 4, 6] {
                let mut out = "x".to_owned();
                digits(number, least, &mut out);
                assert_eq!(out, format!("x{number:0least$}"));
            }
        }
    }

    #[test]
    fn numerics_are_spelled_as_the_server_does() {
        assert_eq!(numeric(&[1, 0, 0, 0, 7]), "7");
        assert_eq!(numeric(&[2, 1, 0, 0, 1, 2]), "10002");
        assert_eq!(numeric(&[1, 1, 0, 0, 3]), "30000");
        assert_eq!(numeric(&[1, 0xffff, 0x4000, 3, 1230]), "-0.123");
        assert_eq!(numeric(&[1, 0xfffe, 0, 6, 1200]), "0.000012");
        assert_eq!(numeric(&[0, 0, 0, 2]), "0.00");
        assert_eq!(numeric(&[0, 0, 0xC000, 0]), "NaN");
    }

    #[test]
    fn times_are_spelled_as_the_server_does() {
        let mut out = String::new();
        for (micros, expected) in [
            (0, "2000-01-01 00:00:00+00"),
            (-1, "1999-12-31 23:59:59.999999+00"),
            (i64::MAX, "infinity"),
            (-63_082_281_600_000_000, "0001-01-01 00:00:00+00"),
            (-63_082_368_000_000_000, "0001-12-31 00:00:00+00 BC"),
        ] {
            out.clear();
            spell_timestamp(micros, true, &mut out);
            assert_eq!(out, expected);
        }
    }
}
