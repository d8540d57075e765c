//! Rows as CSV (RFC 4180: commas, CRLF, quotes doubled), every class of value told apart by its quotes.
//!
//! Texts stand in quotes, always; numbers, booleans, `NaN` and `Infinity` without; NULL is an empty field without quotes,
//! the empty text an empty pair of them. Within quotes a backslash at the beginning is a mark: `\x…` bytes, `\t…` text
//! that is no UTF-8 (both as hexadecimal digits), `\\` a backslash. A file without a manifest has no such marks: all its
//! fields are texts, and an empty one without quotes is NULL.

use super::datum::{Datum, float, hex_out, unhex};
use crate::copy::Cell;

/// Appends a line of names.
pub fn head_out<'a>(names: impl Iterator<Item = &'a str>, out: &mut Vec<u8>) {
    for (at, name) in names.enumerate() {
        if at > 0 {
            out.push(b',');
        }
        quoted(name.as_bytes(), out);
    }
    out.extend_from_slice(b"\r\n");
}

fn quoted(bytes: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    for byte in bytes {
        if *byte == b'"' {
            out.push(b'"');
        }
        out.push(*byte);
    }
    out.push(b'"');
}

/// Appends a row.
pub fn row_out<'a>(cells: impl Iterator<Item = Cell<'a>>, out: &mut Vec<u8>) {
    for (at, cell) in cells.enumerate() {
        if at > 0 {
            out.push(b',');
        }
        value_out(cell, out);
    }
    out.extend_from_slice(b"\r\n");
}

fn value_out(cell: Cell<'_>, out: &mut Vec<u8>) {
    let mut bare = |text: &str| out.extend_from_slice(text.as_bytes());
    match cell {
        Cell::Null => {}
        Cell::Bool(b) => bare(if b { "true" } else { "false" }),
        Cell::Int(n) => bare(&n.to_string()),
        Cell::UInt(n) => bare(&n.to_string()),
        Cell::Float32(value) => value_out(Cell::Float(f64::from(value)), out),
        Cell::Float(value) if value.is_finite() => bare(&float(value)),
        Cell::Float(value) if value.is_nan() => bare("NaN"),
        Cell::Float(value) => bare(if value > 0.0 { "Infinity" } else { "-Infinity" }),
        Cell::Text(text) if text.starts_with('\\') => {
            quoted(format!("\\{text}").as_bytes(), out);
        }
        Cell::Text(text) => quoted(text.as_bytes(), out),
        Cell::BadText(bytes) => marked(b"\"\\t", bytes, out),
        Cell::Bytes(bytes) => marked(b"\"\\x", bytes, out),
    }
}

fn marked(mark: &[u8], bytes: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(mark);
    hex_out(bytes, out);
    out.push(b'"');
}

/// A field.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Field {
    /// What stands in it.
    pub bytes: Vec<u8>,
    /// It stood in quotes.
    pub quoted: bool,
}

impl Field {
    /// The value of a field that an export wrote. The error is a sentence.
    pub fn exact(self) -> Result<Datum, String> {
        let text = match String::from_utf8(self.bytes) {
            Ok(text) => text,
            Err(_) => return Err("a field is no UTF-8".into()),
        };
        if self.quoted {
            let Some(rest) = text.strip_prefix('\\') else {
                return Ok(Datum::Text(text));
            };
            let digits = || unhex(&rest.as_bytes()[1..]);
            let found = match rest.as_bytes().first() {
                Some(b'\\') => Some(Datum::Text(rest.to_owned())),
                Some(b'x') => digits().map(Datum::Bytes),
                Some(b't') => digits().map(Datum::BadText),
                _ => None,
            };
            return found.ok_or_else(|| format!("`{text}` is no value that an export writes"));
        }
        Ok(match text.as_str() {
            "" => Datum::Null,
            "true" => Datum::Bool(true),
            "false" => Datum::Bool(false),
            "NaN" => Datum::Float(f64::NAN),
            "Infinity" => Datum::Float(f64::INFINITY),
            "-Infinity" => Datum::Float(f64::NEG_INFINITY),
            number => match (number.parse(), number.parse(), number.parse::<f64>()) {
                (Ok(n), _, _) => Datum::Int(n),
                (_, Ok(n), _) => Datum::UInt(n),
                (_, _, Ok(value)) if value.is_finite() => Datum::Float(value),
                _ => return Err(format!("`{number}` is no value that an export writes")),
            },
        })
    }

    /// The value of a field that somebody else wrote.
    pub fn plain(self) -> Datum {
        if self.bytes.is_empty() && !self.quoted {
            return Datum::Null;
        }
        match String::from_utf8(self.bytes) {
            Ok(text) => Datum::Text(text),
            Err(error) => Datum::BadText(error.into_bytes()),
        }
    }
}

/// A record: its fields, and the line on which it began.
pub type Record = (u64, Vec<Field>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Before a field.
    Start,
    /// In a field without quotes.
    Bare,
    /// Within quotes.
    Quoted,
    /// Behind a quote within quotes: the end, or a quote.
    Quote,
}

/// Takes bytes as they come and gives records.
#[derive(Debug)]
pub struct Parser {
    state: State,
    field: Field,
    fields: Vec<Field>,
    line: u64,
    began: u64,
    carriage: bool,
    fresh: bool,
}

impl Default for Parser {
    fn default() -> Self {
        Parser {
            state: State::Start,
            field: Field::default(),
            fields: vec![],
            line: 1,
            began: 1,
            carriage: false,
            fresh: true,
        }
    }
}

impl Parser {
    /// Takes bytes; appends the records that end in them. The error is a sentence.
    pub fn feed(&mut self, bytes: &[u8], records: &mut Vec<Record>) -> Result<(), String> {
        for byte in bytes {
            self.byte(*byte, records)?;
        }
        Ok(())
    }

    /// The end. The error is a sentence.
    pub fn finish(&mut self, records: &mut Vec<Record>) -> Result<(), String> {
        if self.state == State::Quoted {
            return Err(format!("the quotes of line {} are not closed", self.began));
        }
        if self.state != State::Start || !self.fields.is_empty() {
            self.end_record(records);
        }
        Ok(())
    }

    fn byte(&mut self, byte: u8, records: &mut Vec<Record>) -> Result<(), String> {
        if byte == b'\n' {
            self.line += 1;
        }
        let after_return = std::mem::take(&mut self.carriage);
        match (self.state, byte) {
            (State::Quoted, b'"') => self.state = State::Quote,
            (State::Quoted, byte) => self.field.bytes.push(byte),
            (State::Quote, b'"') => {
                self.field.bytes.push(b'"');
                self.state = State::Quoted;
            }
            (_, b',') => self.end_field(),
            // The second half of a line's end; an empty line is no record.
            (State::Start, b'\n') if after_return || (self.fields.is_empty()) => {
                self.began = self.line;
            }
            (State::Start, b'\r') if self.fields.is_empty() => self.carriage = true,
            (_, b'\n') => self.end_record(records),
            (_, b'\r') => {
                self.end_record(records);
                self.carriage = true;
            }
            (State::Start, b'"') => {
                self.field.quoted = true;
                self.state = State::Quoted;
            }
            (State::Quote, _) => {
                return Err(format!(
                    "line {}: something stands behind closed quotes",
                    self.line
                ));
            }
            (State::Bare, b'"') => {
                return Err(format!(
                    "line {}: quotes in the middle of a field",
                    self.line
                ));
            }
            (_, byte) => {
                self.field.bytes.push(byte);
                self.state = State::Bare;
                self.skip_mark();
            }
        }
        Ok(())
    }

    /// A byte order mark at the very beginning is not part of the first name.
    fn skip_mark(&mut self) {
        if self.fresh && self.field.bytes == [0xef, 0xbb, 0xbf] {
            self.field.bytes.clear();
            self.state = State::Start;
            self.fresh = false;
        }
        if self.field.bytes.len() > 3 {
            self.fresh = false;
        }
    }

    fn end_field(&mut self) {
        self.fields.push(std::mem::take(&mut self.field));
        self.state = State::Start;
        self.fresh = false;
    }

    fn end_record(&mut self, records: &mut Vec<Record>) {
        self.end_field();
        records.push((self.began, std::mem::take(&mut self.fields)));
        self.began = self.line;
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    fn read(text: &[u8], step: usize) -> Result<Vec<Record>, String> {
        let (mut parser, mut records) = (Parser::default(), vec![]);
        for chunk in text.chunks(step) {
            parser.feed(chunk, &mut records)?;
        }
        parser.finish(&mut records)?;
        Ok(records)
    }

    fn there_and_back(cells: &[Datum]) -> Vec<Datum> {
        let mut out = vec![];
        row_out(cells.iter().map(Datum::cell), &mut out);
        let records = read(&out, 3).unwrap();
        assert_eq!(records.len(), 1);
        let fields = records.into_iter().next().unwrap().1;
        fields
            .into_iter()
            .map(|field| field.exact().unwrap())
            .collect()
    }

    #[test]
    fn every_class_comes_back_as_it_was() {
        let text = |text: &str| Datum::Text(text.into());
        let cells = [
            Datum::Null,
            text(""),
            text("5"),
            Datum::Int(5),
            Datum::Float(5.0),
            text("true"),
            Datum::Bool(false),
            Datum::UInt(u64::MAX),
            text("a,b\r\n\"c\""),
            text("\\x00"),
            text("\\\\server"),
            Datum::Bytes(vec![0, 255]),
            Datum::BadText(vec![255]),
            Datum::Float(f64::INFINITY),
        ];
        assert_eq!(there_and_back(&cells), cells);
    }

    #[test]
    fn what_others_write_is_read() {
        let text = "\u{feff}id,name\n1,\"\"\n\n2,\r\n\"3\",\"a\nb\"".as_bytes();
        for step in [1, 2, 100] {
            let records = read(text, step).unwrap();
            let lines: Vec<u64> = records.iter().map(|(line, _)| *line).collect();
            assert_eq!(lines, [1, 2, 4, 5]);
            let rows: Vec<Vec<Datum>> = records
                .into_iter()
                .map(|(_, fields)| fields.into_iter().map(Field::plain).collect())
                .collect();
            let text = |text: &str| Datum::Text(text.into());
            assert_eq!(rows[0], [text("id"), text("name")]);
            assert_eq!(rows[1], [text("1"), text("")]);
            assert_eq!(rows[2], [text("2"), Datum::Null]);
            assert_eq!(rows[3], [text("3"), text("a\nb")]);
        }
        for bad in ["a,\"b", "\"a\"b", "a\"b\""] {
            assert!(read(bad.as_bytes(), 1).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn any_text_comes_back(texts in proptest::collection::vec(any::<String>(), 2..5)) {
            let cells: Vec<Datum> = texts.into_iter().map(Datum::Text).collect();
            prop_assert_eq!(there_and_back(&cells), cells);
        }
        #[test]
        fn any_bytes_are_read_or_refused(bytes in any::<Vec<u8>>()) {
            if let Ok(records) = read(&bytes, 5) {
                for field in records.into_iter().flat_map(|(_, fields)| fields) {
                    let _ = field.clone().exact();
                    let _ = field.plain();
                }
            }
        }
    }
}
