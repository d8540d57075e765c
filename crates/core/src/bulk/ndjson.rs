//! Rows as JSON, an object a line, every value exact.
//!
//! | value | JSON |
//! |---|---|
//! | NULL, booleans | `null`, `true`, `false` |
//! | integers | numbers without point or exponent, all digits |
//! | doubles | numbers with point or exponent, the shortest that reads back as the same; `{"$float": "NaN"}` |
//! | text, and what an engine only has as text (decimals, dates, JSON) | strings |
//! | bytes | `{"$bytes": "hexadecimal digits"}` |
//! | text that is no UTF-8 | `{"$text": "hexadecimal digits"}` |

use super::datum::{Datum, float, hex_out, unhex};
use super::manifest::{Manifest, Trailer};
use crate::copy::{Cell, decimal};
use crate::limits::JSON_DEPTH_MAX;

/// Appends a text as a JSON string.
pub fn string_out(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    let mut from = 0;
    for (at, byte) in text.bytes().enumerate() {
        let short = match byte {
            b'"' => b'"',
            b'\\' => b'\\',
            b'\n' => b'n',
            b'\r' => b'r',
            b'\t' => b't',
            0..=0x1f => 0,
            _ => continue,
        };
        out.extend_from_slice(&text.as_bytes()[from..at]);
        from = at + 1;
        if short == 0 {
            out.extend_from_slice(format!("\\u{byte:04x}").as_bytes());
        } else {
            out.extend_from_slice(&[b'\\', short]);
        }
    }
    out.extend_from_slice(&text.as_bytes()[from..]);
    out.push(b'"');
}

fn marked(mark: &str, bytes: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(mark.as_bytes());
    hex_out(bytes, out);
    out.extend_from_slice(b"\"}");
}

/// Appends a value.
pub fn value_out(cell: Cell<'_>, out: &mut Vec<u8>) {
    match cell {
        Cell::Null => out.extend_from_slice(b"null"),
        Cell::Bool(true) => out.extend_from_slice(b"true"),
        Cell::Bool(false) => out.extend_from_slice(b"false"),
        Cell::Int(n) => out.extend_from_slice(n.to_string().as_bytes()),
        Cell::UInt(n) => out.extend_from_slice(n.to_string().as_bytes()),
        Cell::Float32(value) => value_out(Cell::Float(f64::from(value)), out),
        Cell::Float(value) if value.is_finite() => out.extend_from_slice(float(value).as_bytes()),
        Cell::Float(value) => {
            let word = match (value.is_nan(), value > 0.0) {
                (true, _) => "NaN",
                (_, true) => "Infinity",
                _ => "-Infinity",
            };
            out.extend_from_slice(format!("{{\"$float\":\"{word}\"}}").as_bytes());
        }
        Cell::Text(text) => string_out(text, out),
        Cell::BadText(bytes) => marked("{\"$text\":\"", bytes, out),
        Cell::Bytes(bytes) => marked("{\"$bytes\":\"", bytes, out),
    }
}

/// Writes the rows of one table.
#[derive(Debug)]
pub struct Lines {
    head: Vec<u8>,
    tail: &'static [u8],
    keys: Vec<Vec<u8>>,
}

impl Lines {
    /// For these columns; `table`: where rows of several tables share a stream, each line names its own.
    pub fn new<'a>(table: Option<&str>, columns: impl Iterator<Item = &'a str>) -> Lines {
        let key = |name: &str| {
            let mut key = vec![];
            string_out(name, &mut key);
            key.push(b':');
            key
        };
        let mut head = vec![];
        if let Some(table) = table {
            head.extend_from_slice(b"{\"table\":");
            string_out(table, &mut head);
            head.extend_from_slice(b",\"row\":");
        }
        head.push(b'{');
        Lines {
            head,
            tail: if table.is_some() { b"}}\n" } else { b"}\n" },
            keys: columns.map(key).collect(),
        }
    }

    /// Appends a row.
    pub fn row<'a>(&self, cells: impl Iterator<Item = Cell<'a>>, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.head);
        for (at, (key, cell)) in self.keys.iter().zip(cells).enumerate() {
            if at > 0 {
                out.push(b',');
            }
            out.extend_from_slice(key);
            value_out(cell, out);
        }
        out.extend_from_slice(self.tail);
    }
}

/// What a line holds.
#[derive(Debug, Clone, PartialEq)]
pub enum Line {
    /// The head of a stream.
    Head(Box<Manifest>),
    /// A row, with its table where the line names it.
    Row(Option<String>, Vec<(String, Datum)>),
    /// The end of a stream.
    End(Trailer),
    /// Nothing.
    Blank,
}

/// Reads a line. The error is a sentence.
pub fn line(bytes: &[u8]) -> Result<Line, String> {
    let text = std::str::from_utf8(bytes).map_err(|_| "the line is no UTF-8".to_owned())?;
    // Some write a mark of the byte order before the first line.
    let text = text.trim_start_matches('\u{feff}').trim();
    if text.is_empty() {
        return Ok(Line::Blank);
    }
    if text.starts_with("{\"dunlin_export\"") {
        return Manifest::read(text.as_bytes()).map(|manifest| Line::Head(Box::new(manifest)));
    }
    if text.starts_with("{\"dunlin_end\"") {
        let trailer = serde_json::from_str(text);
        return trailer
            .map(Line::End)
            .map_err(|error| format!("its end cannot be read: {error}"));
    }
    let mut reader = Reader { text, at: 0 };
    let line = reader.line().ok_or_else(|| reader.wrong())?;
    reader.blank();
    if reader.at < text.len() {
        return Err(reader.wrong());
    }
    let Line::Row(_, row) = &line else {
        return Ok(line);
    };
    let mut names: Vec<&str> = row.iter().map(|(name, _)| name.as_str()).collect();
    names.sort_unstable();
    match names.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(format!("the column {} stands in it twice", pair[0])),
        None => Ok(line),
    }
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    fn wrong(&self) -> String {
        format!("no JSON object of a row (at byte {})", self.at + 1)
    }
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }
    fn blank(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }
    fn eat(&mut self, byte: u8) -> Option<()> {
        self.blank();
        (self.peek()? == byte).then(|| self.at += 1)
    }

    /// `{"table": …, "row": {…}}`, or the row itself.
    fn line(&mut self) -> Option<Line> {
        let start = self.at;
        if let Some(row) = self.with_table() {
            return Some(row);
        }
        self.at = start;
        self.row().map(|row| Line::Row(None, row))
    }

    fn with_table(&mut self) -> Option<Line> {
        self.eat(b'{')?;
        let (mut table, mut row) = (None, None);
        for at in 0..2 {
            if at > 0 {
                self.eat(b',')?;
            }
            let key = self.string()?;
            self.eat(b':')?;
            self.blank();
            match key.as_str() {
                "table" => table = Some(self.string()?),
                "row" => row = Some(self.row()?),
                _ => return None,
            }
        }
        self.eat(b'}')?;
        Some(Line::Row(Some(table?), row?))
    }

    fn row(&mut self) -> Option<Vec<(String, Datum)>> {
        self.eat(b'{')?;
        let mut row = vec![];
        if self.eat(b'}').is_some() {
            return Some(row);
        }
        loop {
            let key = self.string()?;
            self.eat(b':')?;
            let value = self.value()?;
            row.push((key, value));
            if self.eat(b',').is_none() {
                self.eat(b'}')?;
                return Some(row);
            }
        }
    }

    fn word(&mut self, word: &str) -> Option<()> {
        self.text[self.at..]
            .starts_with(word)
            .then(|| self.at += word.len())
    }

    fn value(&mut self) -> Option<Datum> {
        self.blank();
        Some(match self.peek()? {
            b'n' => self.word("null").map(|()| Datum::Null)?,
            b't' => self.word("true").map(|()| Datum::Bool(true))?,
            b'f' => self.word("false").map(|()| Datum::Bool(false))?,
            b'"' => Datum::Text(self.string()?),
            b'[' => Datum::Text(self.document()?.to_owned()),
            b'{' => {
                let document = self.document()?;
                marker(document).unwrap_or_else(|| Datum::Text(document.to_owned()))
            }
            _ => self.number()?,
        })
    }

    fn number(&mut self) -> Option<Datum> {
        let rest = &self.text[self.at..];
        let end = rest
            .find(|c: char| !matches!(c, '0'..='9' | '-' | '+' | '.' | 'e' | 'E'))
            .unwrap_or(rest.len());
        let spelled = &rest[..end];
        self.at += end;
        let digits = spelled.strip_prefix('-').unwrap_or(spelled);
        if !digits.starts_with(|c: char| c.is_ascii_digit()) {
            return None;
        }
        if digits.bytes().all(|b| b.is_ascii_digit()) {
            let signed = spelled.parse().map(Datum::Int).ok();
            let unsigned = || spelled.parse().map(Datum::UInt).ok();
            // Beyond 64 bits it stays what it is: digits.
            let digits = || Datum::Text(spelled.to_owned());
            return Some(signed.or_else(unsigned).unwrap_or_else(digits));
        }
        let value: f64 = spelled.parse().ok()?;
        // More than a double holds is a decimal.
        Some(if value.is_finite() && is_exact(spelled, value) {
            Datum::Float(value)
        } else {
            Datum::Text(spelled.to_owned())
        })
    }

    /// The text of an array or object, as it stands.
    fn document(&mut self) -> Option<&'a str> {
        let start = self.at;
        let mut depth = 0;
        loop {
            match self.peek()? {
                b'"' => {
                    self.string()?;
                    continue;
                }
                b'[' | b'{' => depth += 1,
                b']' | b'}' => depth -= 1,
                _ => {}
            }
            self.at += 1;
            if depth == 0 {
                let document = &self.text[start..self.at];
                let valid = serde_json::from_str::<serde::de::IgnoredAny>(document).is_ok();
                return valid.then_some(document);
            }
            if depth > JSON_DEPTH_MAX {
                return None;
            }
        }
    }

    fn string(&mut self) -> Option<String> {
        self.blank();
        if self.peek()? != b'"' {
            return None;
        }
        self.at += 1;
        let start = self.at;
        let plain = self.text.as_bytes()[start..]
            .iter()
            .position(|b| matches!(b, b'"' | b'\\'))?;
        if self.text.as_bytes()[start + plain] == b'"' {
            self.at = start + plain + 1;
            return Some(self.text[start..start + plain].to_owned());
        }
        let mut out = String::from(&self.text[start..start + plain]);
        self.at = start + plain;
        loop {
            let c = self.text[self.at..].chars().next()?;
            self.at += c.len_utf8();
            match c {
                '"' => return Some(out),
                '\\' => out.push(self.escaped()?),
                c => out.push(c),
            }
        }
    }

    fn escaped(&mut self) -> Option<char> {
        let byte = self.peek()?;
        self.at += 1;
        Some(match byte {
            b'"' | b'\\' | b'/' => char::from(byte),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                let high = self.unit()?;
                if !(0xd800..0xe000).contains(&high) {
                    return char::from_u32(high);
                }
                self.word("\\u")?;
                let low = self.unit()?;
                let both = (0xd800..0xdc00).contains(&high) && (0xdc00..0xe000).contains(&low);
                let code = 0x10000 + ((high & 0x3ff) << 10) + (low & 0x3ff);
                return both.then(|| char::from_u32(code)).flatten();
            }
            _ => return None,
        })
    }

    fn unit(&mut self) -> Option<u32> {
        let digits = self.text.get(self.at..self.at + 4)?;
        self.at += 4;
        let hex = digits.bytes().all(|b| b.is_ascii_hexdigit());
        hex.then(|| u32::from_str_radix(digits, 16).ok()).flatten()
    }
}

/// Whether a double gives a decimal back: all its digits, however it is spelled.
fn is_exact(spelled: &str, value: f64) -> bool {
    let (mut digits, mut back) = (vec![], vec![]);
    decimal::normalise(spelled.as_bytes(), &mut digits)
        && decimal::normalise(float(value).as_bytes(), &mut back)
        && digits == back
}

/// `{"$bytes": …}` and its like.
fn marker(document: &str) -> Option<Datum> {
    if !document.trim_start_matches(['{', ' ']).starts_with("\"$") {
        return None;
    }
    let object: serde_json::Map<String, serde_json::Value> = serde_json::from_str(document).ok()?;
    let mut members = object.iter();
    let (key, value) = members.next().filter(|_| object.len() == 1)?;
    let text = value.as_str()?;
    match (key.as_str(), text) {
        ("$bytes", digits) => unhex(digits.as_bytes()).map(Datum::Bytes),
        ("$text", digits) => unhex(digits.as_bytes()).map(Datum::BadText),
        ("$float", "NaN") => Some(Datum::Float(f64::NAN)),
        ("$float", "Infinity") => Some(Datum::Float(f64::INFINITY)),
        ("$float", "-Infinity") => Some(Datum::Float(f64::NEG_INFINITY)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    fn there_and_back(cells: &[Datum], table: Option<&str>) -> Vec<Datum> {
        let names: Vec<String> = (0..cells.len()).map(|at| format!("c\"{at}")).collect();
        let lines = Lines::new(table, names.iter().map(String::as_str));
        let mut out = vec![];
        lines.row(cells.iter().map(Datum::cell), &mut out);
        serde_json::from_slice::<serde_json::Value>(&out).unwrap();
        match line(&out).unwrap() {
            Line::Row(found, row) => {
                assert_eq!(found.as_deref(), table);
                row.into_iter().map(|(_, datum)| datum).collect()
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn every_class_comes_back_as_it_was() {
        let cells = [
            Datum::Null,
            Datum::Bool(true),
            Datum::Int(i64::MIN),
            Datum::Int(9_007_199_254_740_993),
            Datum::UInt(u64::MAX),
            Datum::Float(5.0),
            Datum::Float(-0.1),
            Datum::Float(5e-324),
            Datum::Float(f64::MAX),
            Datum::Float(f64::NEG_INFINITY),
            Datum::Text("5".into()),
            Datum::Text("\u{0}\"\\\n\u{1f}یادداشت 🐦 {\"$bytes\":\"00\"}".into()),
            Datum::Text("{\"$bytes\":\"00\"}".into()),
            Datum::BadText(vec![0xff, 0]),
            Datum::Bytes(vec![]),
        ];
        for table in [None, Some("the \"best\"")] {
            assert_eq!(there_and_back(&cells, table), cells);
        }
        let nan = there_and_back(&[Datum::Float(f64::NAN)], None);
        assert!(matches!(nan[..], [Datum::Float(value)] if value.is_nan()));
    }

    #[test]
    fn what_others_write_is_read() {
        let read = line(b" {\"a\" : 1e2, \"b\":[1, {\"x\":\"]\"}], \"c\":123456789012345678901234567890, \"d\":{\"k\":1}, \"e\":\"\\ud83d\\ude00\\/\"} \r");
        let Ok(Line::Row(None, row)) = read else {
            panic!("{read:?}");
        };
        let row: Vec<Datum> = row.into_iter().map(|(_, datum)| datum).collect();
        let text = |text: &str| Datum::Text(text.into());
        assert_eq!(
            row,
            [
                Datum::Float(100.0),
                text("[1, {\"x\":\"]\"}]"),
                text("123456789012345678901234567890"),
                text("{\"k\":1}"),
                text("😀/"),
            ]
        );
        // Columns of these names are no envelope.
        let read = line(b"{\"table\":\"x\",\"row\":3}").unwrap();
        assert!(matches!(read, Line::Row(None, row) if row.len() == 2));
    }

    #[test]
    fn what_is_no_row_is_refused_and_never_panics() {
        for bad in [
            "[]",
            "{",
            "{\"a\":}",
            "{\"a\":1}x",
            "{\"a\":1,\"a\":2}",
            "{\"a\":\"\\ud800\"}",
            "{\"a\":tru}",
            "{\"a\":-}",
            "{\"a\":[1,}",
            "{\"a\" 1}",
            "1",
            "{\"a\":\"x",
            "{\"dunlin_export\":99}",
            "{\"a\":\"\\u00é\"}",
        ] {
            assert!(line(bad.as_bytes()).is_err(), "{bad}");
        }
        assert!(line(&[0xff]).is_err());
        let deep = format!("{{\"a\":{}1{}}}", "[".repeat(9_000), "]".repeat(9_000));
        assert!(line(deep.as_bytes()).is_err());
    }

    proptest! {
        #[test]
        fn any_double_and_any_text(bits in any::<u64>(), text in any::<String>(), bytes in any::<Vec<u8>>(), n in any::<i64>()) {
            let value = f64::from_bits(bits);
            let value = if value.is_nan() { 0.5 } else { value };
            let cells = [Datum::Float(value), Datum::Text(text), Datum::Bytes(bytes.clone()), Datum::BadText(bytes), Datum::Int(n)];
            prop_assert_eq!(&there_and_back(&cells, None)[..], &cells[..]);
        }

        #[test]
        fn any_line_is_read_or_refused(text in ".{0,80}") {
            let _ = line(text.as_bytes());
            let _ = line(format!("{{\"a\":{text}}}").as_bytes());
        }
    }
}
