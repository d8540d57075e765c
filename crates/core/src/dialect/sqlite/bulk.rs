//! Loading rows: one INSERT, prepared once, and rows in a form of our own that the connection's thread takes apart.
//!
//! Each cell is a tag and its payload: 0 NULL; 1 an integer and 2 a real, eight bytes, the lowest first; 3 text and
//! 4 bytes, behind their length as a varint. What class a value has there is decided here, by the column's affinity,
//! so that the engine has nothing to convert: it would do so to fifteen digits.

use super::ddl::quote;
use super::landing::TEMPORARY;
use crate::copy::{Datum, decimal, spell};
use crate::dialect::Leaning;
use crate::dialect::bulk::{BulkDialect, Encoder, Longest, TargetTable, Unfit};
use crate::schema::NeutralType;
use std::io::Write as _;

/// The tag of NULL.
pub const NULL: u8 = 0;
/// The tag of an integer.
pub const INT: u8 = 1;
/// The tag of a real.
pub const REAL: u8 = 2;
/// The tag of a text.
pub const TEXT: u8 = 3;
/// The tag of bytes.
pub const BYTES: u8 = 4;

/// The longest value: the engine's own bound, as it is built.
const LENGTH_MAX: usize = 1_000_000_000;

/// Why a value cannot be written.
type Why = &'static str;

const CLASS: Why = "the value is of another class than the column";
const WIDE: Why = "the number does not fit 64 bits";
const DIGITS: Why = "the column's affinity keeps numbers to fifteen digits, and this one has more";
const NAN: Why = "the engine has no NaN: it would be NULL";
const LONG: Why = "the value is longer than the engine's limit of 1 GB";

/// How rows are loaded.
#[derive(Debug, Clone, Copy)]
pub struct Bulk;

impl BulkDialect for Bulk {
    fn load(&self, table: &TargetTable, _frozen: bool) -> String {
        let columns: Vec<String> = table
            .columns
            .iter()
            .map(|column| quote(&column.name))
            .collect();
        let name = quote(&table.name);
        let schema = match table.schema.as_deref() {
            Some(TEMPORARY) => TEMPORARY,
            _ => "main",
        };
        if columns.is_empty() {
            return format!("INSERT INTO {schema}.{name} DEFAULT VALUES");
        }
        let marks = vec!["?"; columns.len()].join(", ");
        format!(
            "INSERT INTO {schema}.{name} ({}) VALUES ({marks})",
            columns.join(", ")
        )
    }

    fn encoder(&self, table: &TargetTable) -> Result<Box<dyn Encoder>, String> {
        let columns = table.columns.iter();
        let columns = columns.map(|column| (affinity(&column.native), column.ty.clone()));
        Ok(Box::new(Cells {
            columns: columns.collect(),
            text: vec![],
        }))
    }

    fn longest(&self) -> Longest {
        // `LENGTH_MAX`.
        Longest {
            query: "SELECT 1000000000",
            help: None,
        }
    }

    fn swift(&self) -> &'static [&'static str] {
        // 64 MB of pages; what is sorted for an index stays in memory as far as they go.
        &["PRAGMA cache_size = -65536", "PRAGMA temp_store = MEMORY"]
    }
}

/// What a column makes of a value that is put there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Affinity {
    Integer,
    Text,
    Blob,
    Real,
    Numeric,
}

/// The engine's five rules, in their order.
fn affinity(declared: &str) -> Affinity {
    let upper = declared.to_ascii_uppercase();
    let has = |words: &[&str]| words.iter().any(|word| upper.contains(word));
    if has(&["INT"]) {
        Affinity::Integer
    } else if has(&["CHAR", "CLOB", "TEXT"]) {
        Affinity::Text
    } else if upper.trim().is_empty() || has(&["BLOB"]) {
        Affinity::Blob
    } else if has(&["REAL", "FLOA", "DOUB"]) {
        Affinity::Real
    } else {
        Affinity::Numeric
    }
}

/// What a column so declared makes of numbers.
pub(super) fn leaning(declared: &str) -> Leaning {
    match affinity(declared) {
        Affinity::Text | Affinity::Blob => Leaning::None,
        Affinity::Real => Leaning::Double,
        Affinity::Integer | Affinity::Numeric => Leaning::Number,
    }
}

impl Affinity {
    /// Texts that look like numbers become numbers.
    fn counts(self) -> bool {
        !matches!(self, Affinity::Text | Affinity::Blob)
    }
}

struct Cells {
    columns: Vec<(Affinity, NeutralType)>,
    /// Where values are spelled before their length is known.
    text: Vec<u8>,
}

impl Encoder for Cells {
    fn begin(&mut self, _out: &mut Vec<u8>) {}

    fn row(&mut self, row: &[Datum<'_>], out: &mut Vec<u8>) -> Result<(), Unfit> {
        let before = out.len();
        for (column, (affinity, ty)) in self.columns.iter().enumerate() {
            let datum = row.get(column).unwrap_or(&Datum::Null);
            if let Err(why) = value(*affinity, ty, datum, &mut self.text, out) {
                out.truncate(before);
                let why = why.to_owned();
                return Err(Unfit { column, why });
            }
        }
        Ok(())
    }

    fn end(&mut self, _out: &mut Vec<u8>) {}
}

fn eight(tag: u8, bytes: [u8; 8], out: &mut Vec<u8>) {
    let [a, b, c, d, e, f, g, h] = bytes;
    out.extend_from_slice(&[tag, a, b, c, d, e, f, g, h]);
}

fn sized(tag: u8, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Why> {
    if bytes.len() > LENGTH_MAX {
        return Err(LONG);
    }
    out.reserve(bytes.len() + 6);
    out.push(tag);
    let mut rest = bytes.len();
    while rest >= 0x80 {
        out.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
    out.extend_from_slice(bytes);
    Ok(())
}

fn int(n: i64, affinity: Affinity, text: &mut Vec<u8>, out: &mut Vec<u8>) -> Result<(), Why> {
    match affinity {
        Affinity::Text => {
            spell::int(n, text);
            sized(TEXT, text, out)
        }
        // The engine would make a double of it, which must be the same number.
        Affinity::Real if n.unsigned_abs() > 1 << 53 => Err(DIGITS),
        _ => {
            eight(INT, n.to_le_bytes(), out);
            Ok(())
        }
    }
}

fn real(value: f64, affinity: Affinity, text: &mut Vec<u8>, out: &mut Vec<u8>) -> Result<(), Why> {
    if value.is_nan() {
        return Err(NAN);
    }
    if affinity == Affinity::Text && value.is_finite() {
        // Writing into a Vec cannot fail.
        let _ = write!(text, "{value:e}");
        return sized(TEXT, text, out);
    }
    eight(REAL, value.to_bits().to_le_bytes(), out);
    Ok(())
}

/// A decimal where texts become numbers: as the number that gives it back, if there is one.
fn number(spelling: &str, affinity: Affinity, out: &mut Vec<u8>) -> Result<(), Why> {
    if matches!(spelling, "NaN" | "Infinity" | "-Infinity") {
        return sized(TEXT, spelling.as_bytes(), out);
    }
    let whole = decimal::to_integer(spelling.as_bytes());
    if let Some(n) = whole.and_then(|n| i64::try_from(n).ok())
        && (affinity != Affinity::Real || n.unsigned_abs() <= 1 << 53)
    {
        eight(INT, n.to_le_bytes(), out);
        return Ok(());
    }
    let value: f64 = spelling.parse().map_err(|_| CLASS)?;
    let (mut back, mut plain) = (vec![], vec![]);
    if decimal::from_double(value, &mut back)
        && decimal::normalise(spelling.as_bytes(), &mut plain)
        && back == plain
    {
        eight(REAL, value.to_bits().to_le_bytes(), out);
        return Ok(());
    }
    Err(DIGITS)
}

/// A text that is no number, or a column that leaves it alone; else it must come back as it was.
fn letters(spelling: &str, affinity: Affinity, out: &mut Vec<u8>) -> Result<(), Why> {
    let looks = affinity.counts() && decimal::parse(spelling.trim().as_bytes()).is_some();
    if looks {
        number(spelling.trim(), affinity, out)
    } else {
        sized(TEXT, spelling.as_bytes(), out)
    }
}

fn value(
    affinity: Affinity,
    ty: &NeutralType,
    datum: &Datum<'_>,
    text: &mut Vec<u8>,
    out: &mut Vec<u8>,
) -> Result<(), Why> {
    text.clear();
    match *datum {
        Datum::Null => {
            out.push(NULL);
            return Ok(());
        }
        Datum::Text(text) => return sized(TEXT, text.as_bytes(), out),
        Datum::BadText(bytes) => return sized(TEXT, bytes, out),
        Datum::Bytes(bytes) => return sized(BYTES, bytes, out),
        Datum::Int(n) => return int(n, affinity, text, out),
        Datum::Bool(b) => return int(i64::from(b), affinity, text, out),
        Datum::Float(value) => return real(value, affinity, text, out),
        Datum::Float32(value) => return real(f64::from(value), affinity, text, out),
        Datum::UInt(n) => {
            if let Ok(n) = i64::try_from(n) {
                return int(n, affinity, text, out);
            }
            if affinity.counts() {
                return Err(WIDE);
            }
            decimal::integer(n, text);
        }
        Datum::Decimal(spelling) if affinity.counts() => {
            return number(spelling, affinity, out);
        }
        Datum::Json(spelling) => return letters(spelling, affinity, out),
        Datum::Decimal(spelling) | Datum::Opaque(spelling) => {
            return sized(TEXT, spelling.as_bytes(), out);
        }
        Datum::Bits(spelling) => {
            if affinity.counts() {
                let n = i64::from_str_radix(spelling, 2);
                let n = if spelling.is_empty() { Ok(0) } else { n };
                return int(n.map_err(|_| WIDE)?, affinity, text, out);
            }
            return sized(TEXT, spelling.as_bytes(), out);
        }
        Datum::Uuid(bytes) if affinity == Affinity::Blob => return sized(BYTES, &bytes, out),
        Datum::Uuid(bytes) => spell::uuid(bytes, text),
        Datum::Date(at) => spell::date(at, text),
        Datum::Time(micros) => spell::time(micros, text),
        Datum::Stamp(at) => spell::stamp(at, *ty == NeutralType::TimestampTz, text),
    }
    sized(TEXT, text, out)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::dialect::bulk::TargetColumn;

    fn cell(native: &str, datum: Datum<'_>) -> Result<Vec<u8>, String> {
        let table = TargetTable {
            schema: None,
            name: "t".into(),
            columns: vec![TargetColumn {
                name: "a".into(),
                native: native.into(),
                ty: NeutralType::TimestampTz,
            }],
        };
        let mut out = vec![];
        let mut encoder = Bulk.encoder(&table).unwrap();
        encoder.row(&[datum], &mut out).map_err(|unfit| unfit.why)?;
        Ok(out)
    }

    #[test]
    fn affinity_has_the_last_word_and_changes_nothing() {
        use Datum::*;
        let text = |text: &str| {
            let mut out = vec![TEXT, text.len() as u8];
            out.extend_from_slice(text.as_bytes());
            out
        };
        let real = |value: f64| {
            let mut out = vec![REAL];
            out.extend_from_slice(&value.to_le_bytes());
            out
        };
        let whole = |n: i64| {
            let mut out = vec![INT];
            out.extend_from_slice(&n.to_le_bytes());
            out
        };
        assert_eq!(cell("NUMERIC(10,2)", Decimal("0.1")).unwrap(), real(0.1));
        assert_eq!(cell("NUMERIC", Decimal("5.00")).unwrap(), whole(5));
        assert_eq!(cell("TEXT", Decimal("0.10")).unwrap(), text("0.10"));
        assert_eq!(cell("TEXT", Float(0.1)).unwrap(), text("1e-1"));
        assert_eq!(cell("BIT(8)", Bits("00000101")).unwrap(), whole(5));
        assert_eq!(cell("TEXT", Bits("00000101")).unwrap(), text("00000101"));
        assert_eq!(cell("JSON", Json(" 12 ")).unwrap(), whole(12));
        assert_eq!(cell("JSON", Json("\"12\"")).unwrap(), text("\"12\""));
        assert_eq!(
            cell("", UInt(u64::MAX)).unwrap(),
            text("18446744073709551615")
        );
        for (native, datum) in [
            ("NUMERIC", Decimal("0.12345678901234567")),
            ("INTEGER", UInt(u64::MAX)),
            ("REAL", Int(i64::MAX)),
            ("REAL", Float(f64::NAN)),
            ("JSON", Json("1.00000000000000000001")),
        ] {
            assert!(cell(native, datum).is_err(), "{native} {datum:?}");
        }
    }

    #[test]
    fn affinities_by_the_five_rules() {
        for (declared, expected) in [
            ("CHARINT", Affinity::Integer),
            ("FLOATING POINT", Affinity::Integer),
            ("VARCHAR(10)", Affinity::Text),
            ("", Affinity::Blob),
            ("DOUBLE", Affinity::Real),
            ("BOOLEAN", Affinity::Numeric),
            ("STRING", Affinity::Numeric),
        ] {
            assert_eq!(affinity(declared), expected, "{declared}");
        }
    }
}
