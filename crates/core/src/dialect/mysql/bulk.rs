//! Loading rows: LOAD DATA from memory. The file is UTF-8 text, a tab between fields, a newline behind each row, and a
//! backslash before what would otherwise mean something; bytes travel as hexadecimal digits.
//!
//! Where the server takes no such file, the same statement is told as an INSERT ([`insert`]) and the same bytes become its
//! literals ([`Literals`]).

use super::ddl::quote;
use crate::copy::{Datum, Moment, decimal, spell};
use crate::dialect::bulk::{BulkDialect, Encoder, Longest, TargetColumn, TargetTable, Unfit};
use crate::schema::NeutralType;
use std::io::Write as _;

/// Why a value cannot be written.
type Why = &'static str;

const CLASS: Why = "the value is of another class than the column";
const FINITE: Why = "the engine has no NaN and no infinities";
const YEAR: Why = "the engine's days lie in the years 0 to 9999";
const WIDE: Why = "the number does not fit 64 bits";
const BITS: Why = "the column holds at most 64 bits";

/// How rows are loaded.
#[derive(Debug, Clone, Copy)]
pub struct Bulk;

const BEGIN: &str = "LOAD DATA LOCAL INFILE 'rows' INTO TABLE ";
/// In hexadecimal digits, which mean the same in every `sql_mode`.
const FORM: &str = " CHARACTER SET utf8mb4 FIELDS TERMINATED BY 0x09 ENCLOSED BY '' ESCAPED BY 0x5C LINES STARTING BY '' \
                    TERMINATED BY 0x0A ";

/// What the server does with a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// It is the value's text.
    Plain,
    /// It is hexadecimal digits of bytes.
    Hex,
    /// It is the number that the bits spell.
    Number,
}

impl Way {
    fn expression(self, field: &str) -> String {
        match self {
            Way::Plain => field.to_owned(),
            Way::Hex => format!("UNHEX({field})"),
            Way::Number => format!("CAST({field} AS UNSIGNED)"),
        }
    }
}

/// A column as values are written for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Shape {
    way: Way,
    /// It holds numbers, not letters.
    single: bool,
    /// Years are texts of four digits: `0` is another one than `0000`.
    year: bool,
}

/// The name of a type without arguments and attributes.
fn base(native: &str) -> String {
    let lower = native.trim().to_ascii_lowercase();
    let end = lower.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    lower[..end.unwrap_or(lower.len())].to_owned()
}

fn shape(column: &TargetColumn) -> Shape {
    let base = base(&column.native);
    let way = match base.as_str() {
        "binary" | "varbinary" | "tinyblob" | "blob" | "mediumblob" | "longblob" | "geometry"
        | "point" | "linestring" | "polygon" | "multipoint" | "multilinestring"
        | "multipolygon" | "geometrycollection" | "geomcollection" | "vector" => Way::Hex,
        "bit" => Way::Number,
        _ if column.ty == NeutralType::Bytes => Way::Hex,
        _ => Way::Plain,
    };
    let single = base == "float";
    let year = base == "year";
    Shape { way, single, year }
}

impl BulkDialect for Bulk {
    fn load(&self, table: &TargetTable, _frozen: bool) -> String {
        let (mut list, mut set) = (vec![], vec![]);
        for (at, column) in table.columns.iter().enumerate() {
            let way = shape(column).way;
            if way == Way::Plain {
                list.push(quote(&column.name));
            } else {
                let field = format!("@c{at}");
                set.push(format!(
                    "{} = {}",
                    quote(&column.name),
                    way.expression(&field)
                ));
                list.push(field);
            }
        }
        let set = if set.is_empty() {
            String::new()
        } else {
            format!(" SET {}", set.join(", "))
        };
        format!(
            "{BEGIN}{}{FORM}({}){set}",
            quote(&table.name),
            list.join(", ")
        )
    }

    fn encoder(&self, table: &TargetTable) -> Result<Box<dyn Encoder>, String> {
        let columns = table.columns.iter().map(shape).collect();
        Ok(Box::new(Lines { columns }))
    }

    /// What comes as a file is not one packet; the protocol has none of more than 1 GB.
    fn longest(&self) -> Longest {
        Longest {
            query: "SELECT IF(@@local_infile, 1073741824, @@max_allowed_packet)",
            help: Some("raise max_allowed_packet on the server"),
        }
    }

    fn swift(&self) -> &'static [&'static str] {
        &[
            // Strict, so that nothing is bent without a word; zero is a number like others, also in a counter's column.
            "SET SESSION sql_mode = 'STRICT_ALL_TABLES,NO_AUTO_VALUE_ON_ZERO,NO_ENGINE_SUBSTITUTION'",
            // A load waits for its source, which is nobody's mistake; but a client that is gone without a word must not
            // hold its rows' locks for hours.
            "SET SESSION net_read_timeout = 600, SESSION net_write_timeout = 600, SESSION wait_timeout = 28800",
        ]
    }
}

/// The same statement as an INSERT: its text up to `VALUES`, and one row's marks. `None` where it is no statement of
/// [`BulkDialect::load`].
pub fn insert(load: &str) -> Option<(String, String)> {
    let (table, rest) = quoted(load.strip_prefix(BEGIN)?)?;
    let mut rest = rest.strip_prefix(FORM)?.strip_prefix('(')?;
    let mut columns: Vec<(String, String)> = vec![];
    while let Some(after) = rest.strip_prefix(", ").or(Some(rest)) {
        if let Some((name, after)) = quoted(after) {
            columns.push((name.to_owned(), "?".to_owned()));
            rest = after;
        } else if after.starts_with('@') {
            let end = after.find([',', ')'])?;
            columns.push((after[..end].to_owned(), String::new()));
            rest = &after[end..];
        } else {
            break;
        }
    }
    rest = rest.strip_prefix(')')?;
    rest = rest.strip_prefix(" SET ").unwrap_or(rest);
    while !rest.is_empty() {
        let (name, after) = quoted(rest.strip_prefix(", ").unwrap_or(rest))?;
        let after = after.strip_prefix(" = ")?;
        let end = after.find(", `").unwrap_or(after.len());
        let from = after.find('@')?;
        let to = from + after[from..end].find([' ', ')'])?;
        let column = columns
            .iter_mut()
            .find(|(field, _)| *field == after[from..to])?;
        *column = (
            name.to_owned(),
            format!("{}?{}", &after[..from], &after[to..end]),
        );
        rest = &after[end..];
    }
    let (names, marks): (Vec<String>, Vec<String>) = columns.into_iter().unzip();
    Some((
        format!("INSERT INTO {table} ({}) VALUES ", names.join(", ")),
        format!("({})", marks.join(", ")),
    ))
}

/// Takes a quoted name off the front, quotes included.
fn quoted(text: &str) -> Option<(&str, &str)> {
    let inner = text.strip_prefix('`')?;
    let mut at = 0;
    loop {
        at += inner[at..].find('`')? + 1;
        if !inner[at..].starts_with('`') {
            return Some(text.split_at(at + 1));
        }
        at += 1;
    }
}

/// Where a load's bytes are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    /// Between two rows.
    Between,
    /// Before a field's first byte.
    Field,
    /// Behind a backslash that a field begins with: it may be NULL.
    Begun,
    Inside,
    /// Behind a backslash within.
    Escaped,
    /// Behind NULL.
    Null,
}

/// Writes the bytes of a load, piece by piece, as the literals of an INSERT ([`insert`]). What a load escapes is escaped in
/// a literal in the same way, where `sql_mode` reads backslashes; a quote is doubled.
#[derive(Debug)]
pub struct Literals {
    /// What stands before the first literal, between them, and behind the last.
    between: Vec<String>,
    column: usize,
    at: At,
}

impl Literals {
    /// `marks`: one row's, as [`insert`] gives them.
    pub fn new(marks: &str) -> Self {
        Literals {
            between: marks.split('?').map(str::to_owned).collect(),
            column: 0,
            at: At::Between,
        }
    }

    /// Whether no row is begun.
    pub fn is_between(&self) -> bool {
        self.at == At::Between
    }

    /// Takes bytes up to a row's end at most. Gives how many, and whether the row has ended.
    pub fn take(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> (usize, bool) {
        let mut at = 0;
        if self.at == At::Between && !bytes.is_empty() {
            self.column = 0;
            self.beside(out);
            self.at = At::Field;
        }
        while let Some(byte) = bytes.get(at) {
            match (self.at, *byte) {
                (At::Field, b'\\') => self.at = At::Begun,
                (At::Begun, b'N') => {
                    out.extend_from_slice(b"NULL");
                    self.at = At::Null;
                }
                (At::Begun, _) => {
                    out.push(b'\'');
                    self.at = At::Escaped;
                    continue;
                }
                (At::Escaped, byte) => {
                    out.extend_from_slice(&[b'\\', byte]);
                    self.at = At::Inside;
                }
                (At::Inside, b'\\') => self.at = At::Escaped,
                (At::Inside, b'\'') => out.extend_from_slice(b"''"),
                (At::Inside | At::Null, end @ (b'\t' | b'\n')) => {
                    if self.at == At::Inside {
                        out.push(b'\'');
                    }
                    self.column += 1;
                    self.beside(out);
                    if end == b'\n' {
                        self.at = At::Between;
                        return (at + 1, true);
                    }
                    self.at = At::Field;
                }
                (At::Inside, _) => {
                    let special = |b: &u8| matches!(b, b'\\' | b'\'' | b'\t' | b'\n');
                    let plain = &bytes[at..];
                    let len = plain.iter().position(special).unwrap_or(plain.len());
                    out.extend_from_slice(&plain[..len]);
                    at += len;
                    continue;
                }
                (At::Field | At::Null | At::Between, _) => {
                    out.push(b'\'');
                    self.at = At::Inside;
                    continue;
                }
            }
            at += 1;
        }
        (at, false)
    }

    fn beside(&self, out: &mut Vec<u8>) {
        if let Some(text) = self.between.get(self.column) {
            out.extend_from_slice(text.as_bytes());
        }
    }
}

struct Lines {
    columns: Vec<Shape>,
}

impl Encoder for Lines {
    fn begin(&mut self, _out: &mut Vec<u8>) {}

    fn row(&mut self, row: &[Datum<'_>], out: &mut Vec<u8>) -> Result<(), Unfit> {
        let before = out.len();
        for (column, shape) in self.columns.iter().enumerate() {
            if column > 0 {
                out.push(b'\t');
            }
            let datum = row.get(column).unwrap_or(&Datum::Null);
            if let Err(why) = value(*shape, datum, out) {
                out.truncate(before);
                let why = why.to_owned();
                return Err(Unfit { column, why });
            }
        }
        out.push(b'\n');
        Ok(())
    }

    fn end(&mut self, _out: &mut Vec<u8>) {}
}

fn escaped(text: &[u8], out: &mut Vec<u8>) {
    let special = |b: &u8| matches!(b, b'\\' | b'\t' | b'\n' | b'\r' | 0);
    let mut rest = text;
    while let Some(at) = rest.iter().position(special) {
        out.extend_from_slice(&rest[..at]);
        out.extend_from_slice(match rest[at] {
            b'\\' => b"\\\\",
            b'\t' => b"\\t",
            b'\n' => b"\\n",
            b'\r' => b"\\r",
            _ => b"\\0",
        });
        rest = &rest[at + 1..];
    }
    out.extend_from_slice(rest);
}

fn value(shape: Shape, datum: &Datum<'_>, out: &mut Vec<u8>) -> Result<(), Why> {
    if *datum == Datum::Null {
        out.extend_from_slice(b"\\N");
        return Ok(());
    }
    match shape.way {
        Way::Hex => bytes(datum, out),
        Way::Number => number(datum, out),
        Way::Plain => match *datum {
            Datum::Int(year @ 0..=9_999) if shape.year => {
                out.extend_from_slice(format!("{year:04}").as_bytes());
                Ok(())
            }
            _ => plain(shape.single, datum, out),
        },
    }
}

fn bytes(datum: &Datum<'_>, out: &mut Vec<u8>) -> Result<(), Why> {
    match datum {
        Datum::Bytes(bytes) => spell::hex(bytes, out),
        Datum::Uuid(bytes) => spell::hex(bytes, out),
        // A document or a text in a column of bytes: its letters.
        Datum::Text(text) | Datum::Json(text) | Datum::Opaque(text) => {
            spell::hex(text.as_bytes(), out);
        }
        _ => return Err(CLASS),
    }
    Ok(())
}

fn number(datum: &Datum<'_>, out: &mut Vec<u8>) -> Result<(), Why> {
    match *datum {
        Datum::Bits(text) => {
            let digits = text.trim_start_matches('0');
            let n = if digits.is_empty() {
                0
            } else {
                u64::from_str_radix(digits, 2).map_err(|_| BITS)?
            };
            decimal::integer(n, out);
        }
        Datum::Bool(b) => out.push(b'0' + u8::from(b)),
        Datum::UInt(n) => decimal::integer(n, out),
        Datum::Int(n) => decimal::integer(u64::try_from(n).map_err(|_| WIDE)?, out),
        _ => return Err(CLASS),
    }
    Ok(())
}

fn plain(single: bool, datum: &Datum<'_>, out: &mut Vec<u8>) -> Result<(), Why> {
    let finite = |moment: Moment, year: fn(i64) -> i64| match moment {
        Moment::At(at) if (0..=9_999).contains(&year(at)) => Ok(()),
        Moment::At(_) => Err(YEAR),
        _ => Err(FINITE),
    };
    match *datum {
        Datum::Null => out.extend_from_slice(b"\\N"),
        Datum::Bool(b) => out.push(b'0' + u8::from(b)),
        Datum::Int(n) => spell::int(n, out),
        Datum::UInt(n) => decimal::integer(n, out),
        Datum::Decimal("NaN" | "Infinity" | "-Infinity") => return Err(FINITE),
        Datum::Decimal(text) => escaped(text.as_bytes(), out),
        Datum::Float(value) => float(value, single, out)?,
        Datum::Float32(value) => float(f64::from(value), single, out)?,
        Datum::Text(text) | Datum::Json(text) | Datum::Opaque(text) => {
            escaped(text.as_bytes(), out);
        }
        Datum::Bits(text) => out.extend_from_slice(text.as_bytes()),
        Datum::Uuid(bytes) => spell::uuid(bytes, out),
        Datum::Time(micros) => spell::time(micros, out),
        Datum::Date(at) => {
            finite(at, spell::year_of_day)?;
            spell::date(at, out);
        }
        Datum::Stamp(at) => {
            finite(at, spell::year_of_stamp)?;
            // In the session's zone, which is pinned to UTC.
            spell::stamp(at, false, out);
        }
        Datum::BadText(_) | Datum::Bytes(_) => return Err(CLASS),
    }
    Ok(())
}

/// The shortest spelling that gives the double back. For a column of single precision the double is what the float is,
/// exactly: its digits decide nothing by themselves.
fn float(value: f64, single: bool, out: &mut Vec<u8>) -> Result<(), Why> {
    if !value.is_finite() {
        return Err(FINITE);
    }
    if single && f64::from(value as f32) != value {
        return Err("the number is not exact in single precision");
    }
    // Writing into a Vec cannot fail.
    let _ = write!(out, "{value:e}");
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn table(columns: &[(&str, &str, NeutralType)]) -> TargetTable {
        TargetTable {
            schema: None,
            name: "odd`name".into(),
            columns: columns
                .iter()
                .map(|(name, native, ty)| TargetColumn {
                    name: (*name).into(),
                    native: (*native).into(),
                    ty: ty.clone(),
                })
                .collect(),
        }
    }

    #[test]
    fn a_load_and_the_insert_that_it_would_be() {
        let table = table(&[
            ("a", "int(11) unsigned", NeutralType::Int),
            ("b`, @c1) SET `x", "longblob", NeutralType::Bytes),
            ("c", "bit(8)", NeutralType::Bits),
            ("d", "json", NeutralType::Json),
        ]);
        let load = Bulk.load(&table, false);
        assert!(load.ends_with(
            "(`a`, @c1, @c2, `d`) SET `b``, @c1) SET ``x` = UNHEX(@c1), `c` = CAST(@c2 AS UNSIGNED)"
        ));
        let (head, marks) = insert(&load).unwrap();
        assert_eq!(
            head,
            "INSERT INTO `odd``name` (`a`, `b``, @c1) SET ``x`, `c`, `d`) VALUES "
        );
        assert_eq!(marks, "(?, UNHEX(?), CAST(? AS UNSIGNED), ?)");
        assert_eq!(insert("LOAD DATA LOCAL INFILE 'x'"), None);
    }

    #[test]
    fn rows_are_written_and_taken_apart_again() {
        let table = table(&[
            ("t", "text", NeutralType::Text),
            ("b", "blob", NeutralType::Bytes),
            ("n", "bit(8)", NeutralType::Bits),
            ("d", "datetime(6)", NeutralType::Timestamp),
        ]);
        let mut encoder = Bulk.encoder(&table).unwrap();
        let mut out = vec![];
        let text = "tab\t new\nline \\N \\. ' \0 \r 🐦";
        let row = [
            Datum::Text(text),
            Datum::Bytes(&[0, 255]),
            Datum::Bits("00000101"),
            Datum::Stamp(Moment::At(-1)),
        ];
        encoder.row(&row, &mut out).unwrap();
        encoder
            .row(
                &[Datum::Null, Datum::Null, Datum::Null, Datum::Null],
                &mut out,
            )
            .unwrap();
        assert_eq!(out.iter().filter(|b| **b == b'\n').count(), 2);
        let expected = r"('tab\t new\nline \\N \\. '' \0 \r 🐦', UNHEX('00ff'), CAST('5' AS UNSIGNED), '1969-12-31 23:59:59.999999')(NULL, UNHEX(NULL), CAST(NULL AS UNSIGNED), NULL)";
        let (_, marks) = insert(&Bulk.load(&table, false)).unwrap();
        // However the bytes are cut.
        for size in [1, 2, 7, out.len()] {
            let (mut literals, mut told, mut rows) = (Literals::new(&marks), vec![], 0);
            for piece in out.chunks(size) {
                let mut at = 0;
                while at < piece.len() {
                    let (took, ended) = literals.take(&piece[at..], &mut told);
                    (at, rows) = (at + took, rows + usize::from(ended));
                }
            }
            assert_eq!(String::from_utf8(told).unwrap(), expected, "{size}");
            assert!(literals.is_between() && rows == 2);
        }
        let mut literals = Literals::new(&marks);
        literals.take(&out[..5], &mut vec![]);
        assert!(!literals.is_between(), "a row is begun");
    }

    #[test]
    fn no_byte_breaks_out_of_a_literal() {
        for (bytes, expected) in [
            (r"\' OR 1", r"('\' OR 1'"),
            (r"a\'b", r"('a\'b'"),
            (r"it's", r"('it''s'"),
            (r"''", r"(''''''"),
            (r"\\N", r"('\\N'"),
            (r"\Nx", r"(NULL'x'"),
        ] {
            let mut told = vec![];
            let row = format!("{bytes}\n");
            let (_, ended) = Literals::new("(?").take(row.as_bytes(), &mut told);
            assert!(ended);
            assert_eq!(String::from_utf8(told).unwrap(), expected);
        }
    }

    #[test]
    fn what_the_engine_does_not_hold_is_said() {
        for (native, datum) in [
            ("double", Datum::Float(f64::NAN)),
            ("float", Datum::Float(0.1)),
            ("date", Datum::Date(Moment::Infinity)),
            ("date", Datum::Date(Moment::At(3_000_000))),
            ("decimal(65,30)", Datum::Decimal("NaN")),
            ("text", Datum::BadText(b"\xff")),
        ] {
            let table = table(&[("a", native, NeutralType::Text)]);
            let mut out = b"before".to_vec();
            let row = Bulk.encoder(&table).unwrap().row(&[datum], &mut out);
            assert!(row.is_err(), "{native} {datum:?}");
            assert_eq!(out, b"before");
        }
    }
}
