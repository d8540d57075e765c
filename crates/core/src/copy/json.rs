//! JSON by meaning: keys sorted, numbers exact, spelling of strings and white space of no account.

use super::decimal;
use crate::limits::JSON_DEPTH_MAX;

/// Appends the canonical form of a JSON text. Gives whether a key came twice within one object (the last one counts,
/// as in every engine's binary JSON); `None`, with `out` as it was, where the text is not JSON or is nested deeper than
/// [`JSON_DEPTH_MAX`].
pub(crate) fn canonical(text: &[u8], out: &mut Vec<u8>) -> Option<bool> {
    let before = out.len();
    let mut reader = Reader {
        text,
        at: 0,
        duplicate: false,
    };
    let done = reader.value(out, 0).is_some() && {
        reader.blank();
        reader.at == text.len()
    };
    if !done {
        out.truncate(before);
        return None;
    }
    Some(reader.duplicate)
}

/// Whether a JSON text holds a number that a double (or a whole number of 64 bits) does not give back as it is: engines whose
/// JSON has such numbers alone would change it.
pub(crate) fn beyond_doubles(text: &str) -> bool {
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            b'"' => {
                at += 1;
                while at < bytes.len() && bytes[at] != b'"' {
                    at += if bytes[at] == b'\\' { 2 } else { 1 };
                }
                at += 1;
            }
            b'-' | b'0'..=b'9' => {
                let of_number =
                    |b: &u8| matches!(b, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E');
                let len = bytes[at..].iter().take_while(|b| of_number(b)).count();
                if !held(&text[at..at + len]) {
                    return true;
                }
                at += len;
            }
            _ => at += 1,
        }
    }
    false
}

/// Whether a double, or a whole number of 64 bits, is this number.
fn held(number: &str) -> bool {
    // Fifteen digits every double gives back.
    if number.len() <= 15 && !number.contains(['e', 'E']) {
        return true;
    }
    if number.parse::<i64>().is_ok() || number.parse::<u64>().is_ok() {
        return true;
    }
    let Ok(value) = number.parse::<f64>() else {
        return false;
    };
    let spelled = format!("{value:e}");
    let (own, back) = (
        decimal::parse(number.as_bytes()),
        decimal::parse(spelled.as_bytes()),
    );
    match (own, back) {
        (Some(own), Some(back)) => own.significant() == back.significant(),
        _ => false,
    }
}

struct Reader<'a> {
    text: &'a [u8],
    at: usize,
    duplicate: bool,
}

fn sized(out: &mut Vec<u8>, tag: u8, bytes: &[u8]) {
    out.push(tag);
    out.extend_from_slice(&(bytes.len() as u64).to_be_bytes());
    out.extend_from_slice(bytes);
}

impl Reader<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }
    fn blank(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }
    fn eat(&mut self, byte: u8) -> Option<()> {
        (self.peek()? == byte).then(|| self.at += 1)
    }
    fn word(&mut self, word: &[u8]) -> Option<()> {
        self.text[self.at..]
            .starts_with(word)
            .then(|| self.at += word.len())
    }

    fn value(&mut self, out: &mut Vec<u8>, depth: usize) -> Option<()> {
        if depth > JSON_DEPTH_MAX {
            return None;
        }
        self.blank();
        match self.peek()? {
            b'n' => self.word(b"null").map(|()| out.push(b'n')),
            b't' => self.word(b"true").map(|()| out.push(b't')),
            b'f' => self.word(b"false").map(|()| out.push(b'f')),
            b'"' => {
                let text = self.string()?;
                sized(out, b's', &text);
                Some(())
            }
            b'[' => self.array(out, depth),
            b'{' => self.object(out, depth),
            _ => self.number(out),
        }
    }

    fn array(&mut self, out: &mut Vec<u8>, depth: usize) -> Option<()> {
        self.eat(b'[')?;
        out.push(b'a');
        let count_at = out.len();
        out.extend_from_slice(&[0; 8]);
        let mut count = 0_u64;
        self.blank();
        if self.eat(b']').is_none() {
            loop {
                self.value(out, depth + 1)?;
                count += 1;
                self.blank();
                if self.eat(b',').is_none() {
                    self.eat(b']')?;
                    break;
                }
            }
        }
        out[count_at..count_at + 8].copy_from_slice(&count.to_be_bytes());
        Some(())
    }

    fn object(&mut self, out: &mut Vec<u8>, depth: usize) -> Option<()> {
        self.eat(b'{')?;
        let mut members: Vec<(Vec<u8>, Vec<u8>)> = vec![];
        self.blank();
        if self.eat(b'}').is_none() {
            loop {
                self.blank();
                let key = self.string()?;
                self.blank();
                self.eat(b':')?;
                let mut value = vec![];
                self.value(&mut value, depth + 1)?;
                members.push((key, value));
                self.blank();
                if self.eat(b',').is_none() {
                    self.eat(b'}')?;
                    break;
                }
            }
        }
        // Stable, so the last of equal keys is the last written.
        members.sort_by(|a, b| a.0.cmp(&b.0));
        let total = members.len();
        let mut kept: Vec<(Vec<u8>, Vec<u8>)> = Vec::with_capacity(total);
        for member in members {
            match kept.last_mut() {
                Some(last) if last.0 == member.0 => *last = member,
                _ => kept.push(member),
            }
        }
        self.duplicate |= kept.len() < total;
        out.push(b'o');
        out.extend_from_slice(&(kept.len() as u64).to_be_bytes());
        for (key, value) in kept {
            sized(out, b'k', &key);
            out.extend_from_slice(&value);
        }
        Some(())
    }

    /// A number as JSON spells it, no leading zeros or plus signs.
    fn number(&mut self, out: &mut Vec<u8>) -> Option<()> {
        let rest = &self.text[self.at..];
        let len = rest
            .iter()
            .take_while(|b| matches!(b, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E'))
            .count();
        let text = &rest[..len];
        let digits = text.strip_prefix(b"-").unwrap_or(text);
        let whole = digits.iter().take_while(|b| b.is_ascii_digit()).count();
        if whole == 0 || (whole > 1 && digits[0] == b'0') {
            return None;
        }
        if digits.get(whole) == Some(&b'.')
            && !digits.get(whole + 1).is_some_and(u8::is_ascii_digit)
        {
            return None;
        }
        let parts = decimal::parse(text)?;
        let (significant, power) = parts.significant();
        out.push(if significant.is_empty() {
            b'0'
        } else if parts.negative {
            b'-'
        } else {
            b'+'
        });
        out.extend_from_slice(&power.to_be_bytes());
        sized(out, b'd', &significant);
        self.at += len;
        Some(())
    }

    /// A string, its escapes resolved. A lone surrogate stays what it is, in the three bytes that UTF-8 would give it.
    fn string(&mut self) -> Option<Vec<u8>> {
        self.eat(b'"')?;
        let mut text = vec![];
        loop {
            let from = self.at;
            while !matches!(self.peek()?, b'"' | b'\\' | 0..=0x1f) {
                self.at += 1;
            }
            text.extend_from_slice(&self.text[from..self.at]);
            match self.peek()? {
                b'"' => {
                    self.at += 1;
                    return Some(text);
                }
                b'\\' => self.escape(&mut text)?,
                _ => return None,
            }
        }
    }

    fn escape(&mut self, text: &mut Vec<u8>) -> Option<()> {
        self.at += 1;
        let letter = self.peek()?;
        self.at += 1;
        let byte = match letter {
            b'"' | b'\\' | b'/' => letter,
            b'b' => 8,
            b'f' => 12,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'u' => {
                let unit = self.hex()?;
                let mut point = unit;
                if (0xd800..0xdc00).contains(&unit) && self.text[self.at..].starts_with(b"\\u") {
                    let mark = self.at;
                    self.at += 2;
                    let low = self.hex()?;
                    if (0xdc00..0xe000).contains(&low) {
                        point = 0x1_0000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
                    } else {
                        self.at = mark;
                    }
                }
                push_point(point, text);
                return Some(());
            }
            _ => return None,
        };
        text.push(byte);
        Some(())
    }

    fn hex(&mut self) -> Option<u32> {
        let digits = self.text.get(self.at..self.at + 4)?;
        self.at += 4;
        digits.iter().try_fold(0, |n, digit| {
            Some(n * 16 + char::from(*digit).to_digit(16)?)
        })
    }
}

fn push_point(point: u32, text: &mut Vec<u8>) {
    match char::from_u32(point) {
        Some(c) => text.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        None => text.extend_from_slice(&[
            0xe0 | (point >> 12) as u8,
            0x80 | ((point >> 6) & 0x3f) as u8,
            0x80 | (point & 0x3f) as u8,
        ]),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn form(text: &str) -> Option<(Vec<u8>, bool)> {
        let mut out = vec![];
        canonical(text.as_bytes(), &mut out).map(|duplicate| (out, duplicate))
    }

    #[test]
    fn numbers_that_a_double_would_change_are_seen() {
        for held in [
            "{\"a\": 2.50, \"b\": [9223372036854775807, 18446744073709551615, -1.5e300, 0.1]}",
            "{\"12345678901234567890.123\": \"1e400 \\\" 12345678901234567890.123\"}",
            "[1e2, 100000000000000000000]",
        ] {
            assert!(!beyond_doubles(held), "{held}");
        }
        for beyond in [
            "[12345678901234567890.123]",
            "{\"a\": 1e400}",
            "[-9223372036854775809]",
            "[0.1000000000000000055]",
        ] {
            assert!(beyond_doubles(beyond), "{beyond}");
        }
    }

    #[test]
    fn equal_by_meaning() {
        for (a, b) in [
            (
                r#"{"a":1,"b":[true,null]}"#,
                r#" { "b" : [ true , null ] , "a" : 1.0 } "#,
            ),
            (r#""é""#, r#""\u00e9""#),
            (r#""😀""#, r#""\ud83d\ude00""#),
            ("1e2", "100"),
            ("-0", "0"),
            ("2.50", "2.5"),
            (r#"{"a":1,"a":2}"#, r#"{"a":2}"#),
        ] {
            assert_eq!(form(a).unwrap().0, form(b).unwrap().0, "{a} {b}");
        }
        assert!(form(r#"[{"a":1,"a":2}]"#).unwrap().1);
        assert!(!form(r#"{"a":1,"b":{"a":2}}"#).unwrap().1);
    }

    #[test]
    fn different_by_meaning() {
        for (a, b) in [
            ("[1,2]", "[2,1]"),
            ("9007199254740993", "9007199254740992"),
            (r#""1""#, "1"),
            ("null", "\"null\""),
            ("[[],[]]", "[[[]]]"),
            (r#"{"a":"b"}"#, r#"["a","b"]"#),
            ("1", "-1"),
            ("1", "10"),
        ] {
            assert_ne!(form(a).unwrap().0, form(b).unwrap().0, "{a} {b}");
        }
    }

    #[test]
    fn what_is_not_json_is_not_read() {
        for bad in [
            "",
            "{",
            "{'a':1}",
            "NaN",
            "01",
            "+1",
            "1.",
            ".5",
            "[1,]",
            "\"\u{1}\"",
            "nul",
            "1 2",
            "\"\\x\"",
            "--1",
        ] {
            assert_eq!(form(bad), None, "{bad}");
        }
        let deep = "[".repeat(100_000);
        assert_eq!(form(&deep), None);
        let fine = format!(
            "{}{}",
            "[".repeat(JSON_DEPTH_MAX),
            "]".repeat(JSON_DEPTH_MAX)
        );
        assert!(form(&fine).is_some());
    }
}
