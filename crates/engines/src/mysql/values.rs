//! Values on the wire: what is bound, and how columns are read, in the text protocol and in the binary one.

use crate::{Cell, Took};
use dunlin_core::value::Value;
use mysql_async::Column;
use mysql_async::consts::{ColumnFlags, ColumnType};
use std::fmt::Write;

/// The pseudo character set of bytes.
const BINARY: u16 = 63;

/// A value to bind.
pub(super) fn bound(value: &Value) -> mysql_async::Value {
    match value {
        Value::Null => mysql_async::Value::NULL,
        Value::Bool(b) => mysql_async::Value::Int(i64::from(*b)),
        Value::Int(n) => mysql_async::Value::Int(*n),
        Value::UInt(n) => mysql_async::Value::UInt(*n),
        Value::Float(f) => mysql_async::Value::Double(*f),
        Value::Text(text) => mysql_async::Value::Bytes(text.clone().into_bytes()),
        Value::Bytes(bytes) => mysql_async::Value::Bytes(bytes.clone()),
    }
}

/// Whether values are too long to be written out in a text: twice their length and more would have to fit into the
/// server's packet.
pub(super) fn is_long(params: &[Value]) -> bool {
    const MAX: usize = 256 * 1024;
    let length = |value: &Value| match value {
        Value::Text(text) => text.len(),
        Value::Bytes(bytes) => bytes.len(),
        _ => 0,
    };
    params.iter().map(length).sum::<usize>() > MAX
}

/// A statement of ours with its values written out in place of its question marks. Texts mean the same whatever a script
/// has set (`sql_mode`, `NAMES`), and nothing can break out of them.
///
/// `took`: where the milliseconds of [`TOOK`] are to stand in one of them.
pub(super) fn with_literals(sql: &str, params: &[Value], took: Option<Took>) -> String {
    let mut out = String::with_capacity(sql.len() + params.len() * 64);
    let mut params = params.iter().enumerate();
    let mut quoted = None;
    for c in sql.chars() {
        match (quoted, c) {
            (None, '?') => {
                let (at, param) = params.next().unwrap_or((usize::MAX, &Value::Null));
                match (param, took.filter(|took| took.param == at)) {
                    (Value::Text(text), Some(took)) => with_time(text, took, &mut out),
                    _ => literal(param, &mut out),
                }
                continue;
            }
            (None, '`' | '\'') => quoted = Some(c),
            (Some(quote), c) if quote == c => quoted = None,
            _ => {}
        }
        out.push(c);
    }
    out
}

/// The variable that holds how long a statement took.
pub(super) const TOOK: &str = "@dunlin_took";

/// A text with the time between two halves of it. What cannot be told is left out: a record is worth more than its time.
fn with_time(text: &str, took: Took, out: &mut String) {
    let (before, after) = text.split_at_checked(took.at).unwrap_or((text, ""));
    out.push_str("CONCAT(");
    literal(&Value::from(before), out);
    let _ = write!(out, ", COALESCE({TOOK}, 0) + {}, ", took.plus);
    literal(&Value::from(after), out);
    out.push(')');
}

fn literal(value: &Value, out: &mut String) {
    // Writing into a String cannot fail.
    let _ = match value {
        Value::Null => out.write_str("NULL"),
        Value::Bool(b) => write!(out, "{}", i64::from(*b)),
        Value::Int(n) => write!(out, "{n}"),
        Value::UInt(n) => write!(out, "{n}"),
        Value::Float(f) => write!(out, "{f:e}"),
        Value::Text(text) => {
            out.push_str("_utf8mb4 ");
            match is_plain(text) {
                true => write!(out, "'{text}'"),
                false => hex(text.as_bytes(), out),
            }
        }
        Value::Bytes(bytes) => hex(bytes, out),
    };
}

/// Whether a text may stand between quotes as it is: without a quote and a backslash no setting reads it otherwise, and
/// every character set that a client may have spells these bytes alike. Half as long as hexadecimal digits, and the
/// server has nothing to work out.
fn is_plain(text: &str) -> bool {
    let plain = |byte: u8| matches!(byte, b' '..=b'~') && byte != b'\'' && byte != b'\\';
    text.bytes().all(plain)
}

/// Hexadecimal digits mean the same under every setting.
fn hex(bytes: &[u8], out: &mut String) -> std::fmt::Result {
    const DIGITS: [char; 16] = [
        '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'A', 'B', 'C', 'D', 'E', 'F',
    ];
    out.reserve(bytes.len() * 2 + 3);
    out.push_str("X'");
    for byte in bytes {
        out.push(DIGITS[usize::from(byte >> 4)]);
        out.push(DIGITS[usize::from(byte & 15)]);
    }
    out.write_char('\'')
}

/// What a column holds, beyond the form in which it travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    Int {
        unsigned: bool,
    },
    Float,
    Double,
    Bit,
    Text,
    Bytes,
    Date,
    /// With this many digits after the second.
    Moment(u8),
}

/// The shape of a column.
pub(super) fn shape(column: &Column) -> Shape {
    use ColumnType::*;
    match column.column_type() {
        MYSQL_TYPE_TINY | MYSQL_TYPE_SHORT | MYSQL_TYPE_INT24 | MYSQL_TYPE_LONG
        | MYSQL_TYPE_LONGLONG | MYSQL_TYPE_YEAR => Shape::Int {
            unsigned: column.flags().contains(ColumnFlags::UNSIGNED_FLAG),
        },
        MYSQL_TYPE_FLOAT => Shape::Float,
        MYSQL_TYPE_DOUBLE => Shape::Double,
        MYSQL_TYPE_BIT => Shape::Bit,
        MYSQL_TYPE_DATE | MYSQL_TYPE_NEWDATE => Shape::Date,
        MYSQL_TYPE_DATETIME
        | MYSQL_TYPE_DATETIME2
        | MYSQL_TYPE_TIMESTAMP
        | MYSQL_TYPE_TIMESTAMP2
        | MYSQL_TYPE_TIME
        | MYSQL_TYPE_TIME2 => Shape::Moment(if column.decimals() <= 6 {
            column.decimals()
        } else {
            0
        }),
        MYSQL_TYPE_DECIMAL
        | MYSQL_TYPE_NEWDECIMAL
        | MYSQL_TYPE_JSON
        | MYSQL_TYPE_ENUM
        | MYSQL_TYPE_SET => Shape::Text,
        MYSQL_TYPE_GEOMETRY | MYSQL_TYPE_VECTOR => Shape::Bytes,
        _ if column.character_set() == BINARY => Shape::Bytes,
        _ => Shape::Text,
    }
}

/// Reads one column of either protocol. `scratch` holds the text of what has to be spelled.
pub(super) fn read<'a>(
    shape: Shape,
    value: &'a mysql_async::Value,
    scratch: &'a mut String,
) -> Cell<'a> {
    scratch.clear();
    match spell(shape, value, scratch) {
        true => Cell::Text(scratch),
        false => plain(shape, value),
    }
}

/// Spells a moment behind what stands there. `false`: the value is something else.
pub(super) fn spell(shape: Shape, value: &mysql_async::Value, out: &mut String) -> bool {
    use mysql_async::Value as Native;
    match *value {
        Native::Date(year, month, day, h, m, s, micros) => {
            let century = year / 100;
            match u8::try_from(century) {
                Ok(century) if century < 100 => two(century, out),
                _ => {
                    let _ = write!(out, "{century}");
                }
            }
            two((year % 100) as u8, out);
            for part in [month, day] {
                out.push('-');
                two(part, out);
            }
            if let Shape::Moment(digits) = shape {
                out.push(' ');
                clock(&[h, m, s], out);
                fraction(micros, digits, out);
            }
        }
        Native::Time(negative, days, h, m, s, micros) => {
            if negative {
                out.push('-');
            }
            match u64::from(days) * 24 + u64::from(h) {
                hours @ ..100 => two(hours as u8, out),
                hours => {
                    let _ = write!(out, "{hours}");
                }
            }
            out.push(':');
            clock(&[m, s], out);
            let digits = if let Shape::Moment(digits) = shape {
                digits
            } else {
                0
            };
            fraction(micros, digits, out);
        }
        _ => return false,
    }
    true
}

/// Two digits: rows have many of them, and `write!` takes ten times as long.
fn two(number: u8, out: &mut String) {
    out.push(char::from(b'0' + number / 10 % 10));
    out.push(char::from(b'0' + number % 10));
}

fn clock(parts: &[u8], out: &mut String) {
    for (at, part) in parts.iter().enumerate() {
        if at > 0 {
            out.push(':');
        }
        two(*part, out);
    }
}

/// A value that has not to be spelled.
pub(super) fn plain(shape: Shape, value: &mysql_async::Value) -> Cell<'_> {
    use mysql_async::Value as Native;
    match *value {
        Native::Int(n) => match shape {
            Shape::Int { unsigned: true } => unsigned(n.cast_unsigned()),
            _ => Cell::Int(n),
        },
        Native::UInt(n) => unsigned(n),
        Native::Float(f) => Cell::Float32(f),
        Native::Double(f) => Cell::Float(f),
        Native::Bytes(ref bytes) => spelled(shape, bytes),
        Native::NULL | Native::Date(..) | Native::Time(..) => Cell::Null,
    }
}

/// Integers of unsigned columns are `Int` where they fit, so that one value has one form on every engine.
fn unsigned(n: u64) -> Cell<'static> {
    i64::try_from(n).map_or(Cell::UInt(n), Cell::Int)
}

fn fraction(micros: u32, digits: u8, out: &mut String) {
    // A value may be finer than its column says (an expression's metadata): then all six digits are shown.
    let digits = usize::from(if digits == 0 && micros != 0 {
        6
    } else {
        digits
    });
    if digits > 0 {
        let all = format!("{micros:06}");
        let _ = write!(out, ".{}", &all[..digits.min(6)]);
    }
}

/// What came as bytes: everything in the text protocol, texts and blobs in the binary one.
fn spelled(shape: Shape, bytes: &[u8]) -> Cell<'_> {
    if shape == Shape::Bytes {
        return Cell::Bytes(bytes);
    }
    if shape == Shape::Bit {
        return match <[u8; 8]>::try_from(bytes) {
            Ok(eight) => unsigned(u64::from_be_bytes(eight)),
            Err(_) if bytes.len() < 8 => {
                unsigned(bytes.iter().fold(0, |n, byte| n << 8 | u64::from(*byte)))
            }
            Err(_) => Cell::Bytes(bytes),
        };
    }
    let Ok(text) = simdutf8::basic::from_utf8(bytes) else {
        return Cell::BadText(bytes);
    };
    let number = match shape {
        Shape::Int { .. } => text
            .parse()
            .map(Cell::Int)
            .ok()
            .or_else(|| text.parse().map(unsigned).ok()),
        Shape::Double => text.parse().map(Cell::Float).ok(),
        Shape::Float => text.parse().map(Cell::Float32).ok(),
        _ => None,
    };
    number.unwrap_or(Cell::Text(text))
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

#[cfg(test)]
mod tests {
    use super::*;
    use mysql_async::Value as Native;

    #[test]
    fn moments_are_spelled_as_the_server_does() {
        let mut scratch = String::new();
        for (shape, native, expected) in [
            (
                Shape::Date,
                Native::Date(2024, 1, 2, 0, 0, 0, 0),
                "2024-01-02",
            ),
            (
                Shape::Moment(0),
                Native::Date(0, 0, 0, 0, 0, 0, 0),
                "0000-00-00 00:00:00",
            ),
            (
                Shape::Moment(3),
                Native::Date(2024, 1, 2, 3, 4, 5, 60_000),
                "2024-01-02 03:04:05.060",
            ),
            (
                Shape::Moment(0),
                Native::Time(true, 34, 22, 59, 59, 0),
                "-838:59:59",
            ),
            (
                Shape::Moment(6),
                Native::Time(false, 0, 1, 2, 3, 4),
                "01:02:03.000004",
            ),
        ] {
            assert_eq!(read(shape, &native, &mut scratch), Cell::Text(expected));
        }
    }

    #[test]
    fn integers_have_one_form() {
        let mut scratch = String::new();
        let shape = Shape::Int { unsigned: true };
        assert_eq!(read(shape, &Native::UInt(7), &mut scratch), Cell::Int(7));
        assert_eq!(
            read(shape, &Native::Int(-1), &mut scratch),
            Cell::UInt(u64::MAX)
        );
        let text = Native::Bytes(b"18446744073709551615".to_vec());
        assert_eq!(read(shape, &text, &mut scratch), Cell::UInt(u64::MAX));
        assert_eq!(
            read(Shape::Bit, &Native::Bytes(vec![1, 0]), &mut scratch),
            Cell::Int(256)
        );
    }

    #[test]
    fn values_are_written_out_so_that_nothing_breaks_out() {
        let params = [
            Value::Int(-3),
            Value::Text("a'\\".into()),
            Value::Null,
            Value::Text(String::new()),
        ];
        let text = with_literals("INSERT INTO `a?b` VALUES (?, ?, '?', ?, ?)", &params, None);
        assert_eq!(
            text,
            "INSERT INTO `a?b` VALUES (-3, _utf8mb4 X'61275C', '?', NULL, _utf8mb4 '')"
        );
        let took = Took {
            param: 1,
            at: 1,
            plus: 7,
        };
        let text = with_literals("VALUES (?, ?)", &params[..2], Some(took));
        assert_eq!(
            text,
            "VALUES (-3, CONCAT(_utf8mb4 'a', COALESCE(@dunlin_took, 0) + 7, _utf8mb4 X'275C'))"
        );
    }
}
