//! What a value must be: `= 0`, `>= 1`, `between 1 and 5`, or a text; and what must hold for every row.
//!
//! Two numbers are compared as decimals, exactly; everything else as texts. NULL equals the word `null` and holds in
//! no other comparison, not even in `<>`: what is not known proves nothing.

use crate::copy::decimal;
use crate::value::Value;
use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;

/// What a value must be.
#[derive(Debug, Clone, PartialEq)]
pub enum Expect {
    /// Compared with a literal.
    Is(Op, String),
    /// Not below the first and not above the second.
    Between(String, String),
}

/// A comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Op {
    /// `=`
    Equal,
    /// `<>` or `!=`
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
}

/// What must hold for every row: two sides, each a column's name or a literal.
#[derive(Debug, Clone, PartialEq)]
pub struct RowExpect {
    /// The left side.
    pub left: String,
    /// The comparison.
    pub op: Op,
    /// The right side.
    pub right: String,
}

/// The spellings, the longer ones first.
const OPS: [(&str, Op); 7] = [
    (">=", Op::GreaterOrEqual),
    ("<=", Op::LessOrEqual),
    ("<>", Op::NotEqual),
    ("!=", Op::NotEqual),
    ("=", Op::Equal),
    ("<", Op::Less),
    (">", Op::Greater),
];

impl Op {
    /// The comparison that a text begins with, and what follows it.
    pub fn at_start(text: &str) -> Option<(Op, &str)> {
        OPS.iter()
            .find_map(|(spelling, op)| text.strip_prefix(spelling).map(|rest| (*op, rest)))
    }

    /// Whether the comparison holds where the sides are ordered so.
    pub const fn holds(self, order: Ordering) -> bool {
        match self {
            Op::Equal => order.is_eq(),
            Op::NotEqual => order.is_ne(),
            Op::Less => order.is_lt(),
            Op::LessOrEqual => order.is_le(),
            Op::Greater => order.is_gt(),
            Op::GreaterOrEqual => order.is_ge(),
        }
    }
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Op::Equal => "=",
            Op::NotEqual => "<>",
            Op::Less => "<",
            Op::LessOrEqual => "<=",
            Op::Greater => ">",
            Op::GreaterOrEqual => ">=",
        })
    }
}

impl Expect {
    /// Reads an expectation. The error is a sentence without the place.
    pub fn parse(text: &str) -> Result<Expect, String> {
        let trimmed = text.trim();
        if let Some((op, rest)) = Op::at_start(trimmed) {
            return Ok(Expect::Is(op, literal(rest, trimmed)?));
        }
        if let Some(rest) = after_word(trimmed, "between") {
            let Some((low, high)) = split_word(rest, "and") else {
                return Err(format!("`{trimmed}` has no `and`"));
            };
            let (low, high) = (literal(low, trimmed)?, literal(high, trimmed)?);
            if compare_texts(&low, &high).is_gt() {
                return Err(format!(
                    "`{trimmed}`: no value is between these, the first is the larger"
                ));
            }
            return Ok(Expect::Between(low, high));
        }
        Ok(Expect::Is(Op::Equal, text.to_owned()))
    }

    /// Whether a value is what it must be.
    pub fn holds(&self, value: &Value) -> bool {
        match self {
            Expect::Is(op, literal) => is(value, *op, literal),
            Expect::Between(low, high) => {
                is(value, Op::GreaterOrEqual, low) && is(value, Op::LessOrEqual, high)
            }
        }
    }
}

impl fmt::Display for Expect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Expect::Is(op, literal) if literal.trim() != literal || literal.is_empty() => {
                write!(f, "{op} '{literal}'")
            }
            Expect::Is(op, literal) => write!(f, "{op} {literal}"),
            Expect::Between(low, high) => write!(f, "between {low} and {high}"),
        }
    }
}

impl RowExpect {
    /// Reads what must hold for every row. The error is a sentence without the place.
    pub fn parse(text: &str) -> Result<RowExpect, String> {
        let trimmed = text.trim();
        let mut quote = None;
        for (at, c) in trimmed.char_indices() {
            match (quote, c) {
                (Some(open), _) if open == c => quote = None,
                (Some(_), _) => {}
                (None, '\'' | '"') => quote = Some(c),
                (None, _) => {
                    let Some((op, rest)) = Op::at_start(&trimmed[at..]) else {
                        continue;
                    };
                    let side = |side: &str| {
                        let side = side.trim();
                        let fine = !side.is_empty() && Op::at_start(side).is_none();
                        fine.then(|| side.to_owned())
                            .ok_or_else(|| format!("`{trimmed}` lacks a side"))
                    };
                    return Ok(RowExpect {
                        left: side(&trimmed[..at])?,
                        op,
                        right: side(rest)?,
                    });
                }
            }
        }
        Err(format!("`{trimmed}` compares nothing"))
    }

    /// Whether it holds for a row. A side that is no column's name is a literal.
    pub fn holds(&self, columns: &[String], row: &[Value]) -> bool {
        let side = |text: &str| match column(text, columns) {
            Some(at) => row.get(at).cloned().unwrap_or(Value::Null),
            None if text.eq_ignore_ascii_case("null") => Value::Null,
            None => Value::Text(unquoted(text).to_owned()),
        };
        let (left, right) = (side(&self.left), side(&self.right));
        let null =
            |text: &str| text.eq_ignore_ascii_case("null") && column(text, columns).is_none();
        if null(&self.right) {
            return is(&left, self.op, "null");
        }
        if null(&self.left) {
            return is(&right, self.op, "null");
        }
        relates(&left, self.op, &right)
    }

    /// The left side, where it reads like a column's name and the query returns none of this name: a slip of the pen
    /// that would else be compared as a text.
    pub fn missing_column(&self, columns: &[String]) -> Option<&str> {
        let name = self.left.as_str();
        let literal = unquoted(name) != name
            || decimal::parse(name.as_bytes()).is_some()
            || ["null", "true", "false"]
                .iter()
                .any(|word| name.eq_ignore_ascii_case(word));
        (!literal && column(name, columns).is_none()).then_some(name)
    }
}

impl fmt::Display for RowExpect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.left, self.op, self.right)
    }
}

/// The column of this name: as it is spelled, else without regard to case.
fn column(name: &str, columns: &[String]) -> Option<usize> {
    let name = match name.as_bytes() {
        [b'"', .., b'"'] if name.len() > 2 => &name[1..name.len() - 1],
        _ => name,
    };
    let exact = columns.iter().position(|column| column == name);
    exact.or_else(|| {
        columns
            .iter()
            .position(|column| column.eq_ignore_ascii_case(name))
    })
}

/// A literal behind a comparison; quotes around it are taken off.
fn literal(text: &str, whole: &str) -> Result<String, String> {
    let text = text.trim();
    if text.is_empty() || Op::at_start(text).is_some() {
        return Err(format!("`{whole}` does not say with what is compared"));
    }
    Ok(unquoted(text).to_owned())
}

fn unquoted(text: &str) -> &str {
    match text.as_bytes() {
        [open @ (b'\'' | b'"'), .., close] if open == close => &text[1..text.len() - 1],
        _ => text,
    }
}

/// What follows a word at the beginning, whatever its case.
fn after_word<'a>(text: &'a str, word: &str) -> Option<&'a str> {
    let head = text.get(..word.len())?;
    let rest = &text[word.len()..];
    (head.eq_ignore_ascii_case(word) && rest.starts_with(char::is_whitespace)).then_some(rest)
}

/// The texts around the first occurrence of a word that stands alone.
fn split_word<'a>(text: &'a str, word: &str) -> Option<(&'a str, &'a str)> {
    text.char_indices().find_map(|(at, c)| {
        let rest = text[at..].trim_start();
        let after = after_word(rest, word)?;
        c.is_whitespace().then(|| (&text[..at], after))
    })
}

fn is(value: &Value, op: Op, literal: &str) -> bool {
    let null = literal.eq_ignore_ascii_case("null");
    match (value, op) {
        (Value::Null, Op::Equal) => null,
        (Value::Null, _) => false,
        (_, Op::NotEqual) if null => true,
        _ => relates(value, op, &Value::Text(literal.to_owned())),
    }
}

/// Whether two values stand in a relation. Larger or smaller than a number is only a number: as a text `n/a` would come
/// behind every digit, and so would `NaN`.
fn relates(left: &Value, op: Op, right: &Value) -> bool {
    let Some((a, b)) = sides(left, right) else {
        return false;
    };
    let is_number = |text: &str| decimal::parse(text.as_bytes()).is_some();
    if !matches!(op, Op::Equal | Op::NotEqual) && is_number(&a) != is_number(&b) {
        return false;
    }
    op.holds(compare_texts(&a, &b))
}

/// Both as texts; `None` where one is NULL.
fn sides<'v>(left: &'v Value, right: &'v Value) -> Option<(Cow<'v, str>, Cow<'v, str>)> {
    let (a, b) = (spelled(left)?, spelled(right)?);
    // Engines without booleans count; so `true` is 1 beside a number, and 1 is `true` beside a boolean.
    let counts = |value: &Value| matches!(value, Value::Bool(_) | Value::Int(_) | Value::UInt(_));
    Some(match counts(left) || counts(right) {
        true => (counted(a), counted(b)),
        false => (a, b),
    })
}

fn counted(text: Cow<'_, str>) -> Cow<'_, str> {
    match &text {
        _ if text.eq_ignore_ascii_case("true") => "1".into(),
        _ if text.eq_ignore_ascii_case("false") => "0".into(),
        _ => text,
    }
}

/// A value as a text; `None` for NULL.
fn spelled(value: &Value) -> Option<Cow<'_, str>> {
    Some(match value {
        Value::Null => return None,
        Value::Bool(yes) => Cow::Borrowed(if *yes { "true" } else { "false" }),
        Value::Int(n) => n.to_string().into(),
        Value::UInt(n) => n.to_string().into(),
        Value::Float(n) => n.to_string().into(),
        Value::Text(text) => Cow::Borrowed(text),
        Value::Bytes(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) => Cow::Borrowed(text),
            Err(_) => bytes
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect::<String>()
                .into(),
        },
    })
}

fn compare_texts(a: &str, b: &str) -> Ordering {
    match (decimal::parse(a.as_bytes()), decimal::parse(b.as_bytes())) {
        (Some(a), Some(b)) => compare_numbers(&a, &b),
        _ => a.cmp(b),
    }
}

fn compare_numbers(a: &decimal::Parts<'_>, b: &decimal::Parts<'_>) -> Ordering {
    let ((digits_a, power_a), (digits_b, power_b)) = (a.significant(), b.significant());
    let sign = |negative: bool, digits: &[u8]| match (digits.is_empty(), negative) {
        (true, _) => 0,
        (false, true) => -1,
        (false, false) => 1,
    };
    let (sign_a, sign_b) = (sign(a.negative, &digits_a), sign(b.negative, &digits_b));
    if sign_a != sign_b || sign_a == 0 {
        return sign_a.cmp(&sign_b);
    }
    // Without zeros at either end, the place of the first digit decides, and then the digits from the left.
    let height = |digits: &[u8], power: i128| digits.len() as i128 + power;
    let order = height(&digits_a, power_a)
        .cmp(&height(&digits_b, power_b))
        .then_with(|| digits_a.cmp(&digits_b));
    if sign_a < 0 { order.reverse() } else { order }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn holds(expect: &str, value: impl Into<Value>) -> bool {
        Expect::parse(expect).unwrap().holds(&value.into())
    }

    #[test]
    fn numbers_are_compared_as_decimals() {
        for (expect, value, holds_) in [
            ("= 0", "0", true),
            ("0", "0.000", true),
            ("0", "-0", true),
            ("= 3", "3.00", true),
            ("= 3", "3.0000000000000000000000001", false),
            (">= 1", "0.9999999999999999999999", false),
            (">= 1", "1", true),
            (">=1", "2", true),
            ("> 1", "1.0", false),
            ("< 10", "9", true),
            ("<= 10", "10", true),
            ("<= 10", "10.01", false),
            ("< -1", "-2", true),
            ("< -1", "-0.5", false),
            ("= 1e3", "1000", true),
            (
                "= 12345678901234567890123456789",
                "12345678901234567890123456789.0",
                true,
            ),
            (
                "= 12345678901234567890123456789",
                "12345678901234567890123456788",
                false,
            ),
            ("<> 5", "5.0", false),
            ("!= 5", "6", true),
            ("between 1 and 5", "1", true),
            ("between 1 and 5", "5.000", true),
            ("between 1 and 5", "5.001", false),
            ("between 1 and 5", "0.999", false),
            ("BETWEEN -5 AND -1", "-3", true),
            ("= 9", "10", false),
            ("> 9", "10", true),
        ] {
            assert_eq!(holds(expect, value), holds_, "{value} {expect}");
        }
        assert!(holds("= 18446744073709551615", Value::UInt(u64::MAX)));
        assert!(holds("= 0.1", Value::Float(0.1)));
        assert!(!holds("= 0.1", Value::Float(0.1 + 0.2 - 0.2 + 1e-17 + 0.1)));
    }

    #[test]
    fn everything_else_is_a_text() {
        assert!(holds("done", "done"));
        assert!(!holds("done", "Done"));
        assert!(holds("= 'done'", "done"));
        assert!(holds("<> done", "begun"));
        assert!(holds("= ''", ""));
        assert!(!holds("= ''", " "));
        assert!(holds("", ""));
        assert!(holds(" two words ", " two words "));
        assert!(holds(">= 2026-01-05", "2026-01-06"));
        assert!(!holds("1.2.3", "1.2.30"));
        assert!(holds("between a and c", "b"));
        assert!(!holds("between a and c", "d"));
        assert!(holds("betweens", "betweens"));
        assert!(holds("= ff00", Value::Bytes(vec![255, 0])));
    }

    #[test]
    fn larger_or_smaller_than_a_number_is_only_a_number() {
        for value in ["n/a", "NaN", "inf", "", "-", "2026-01-06"] {
            for expect in [">= 0", "> 0", "<= 0", "< 0", "between 0 and 9"] {
                assert!(!holds(expect, value), "{value} {expect}");
            }
            assert!(holds("<> 0", value) && !holds("= 0", value), "{value}");
        }
        assert!(!holds(">= 0", Value::Float(f64::NAN)));
        assert!(!holds(">= 0", Value::Bytes(vec![255])));
        assert!(holds(">= 1", Value::Bool(true)) && !holds("< n/a", 1));
        let row = RowExpect::parse("total >= 0").unwrap();
        assert!(!row.holds(&["total".into()], &[Value::Text("n/a".into())]));
    }

    #[test]
    fn null_equals_the_word_null_and_nothing_else() {
        let null = Value::Null;
        assert!(holds("null", null.clone()));
        assert!(holds("= NULL", null.clone()));
        for expect in [
            "0",
            "<> 0",
            "= ''",
            "<> null",
            ">= 0",
            "between 0 and 1",
            "done",
        ] {
            assert!(!holds(expect, null.clone()), "{expect}");
        }
        assert!(holds("<> null", 0));
        assert!(!holds("= null", 0));
    }

    #[test]
    fn booleans_are_told_apart_from_no_engines_spelling() {
        for value in [Value::Bool(true), Value::Int(1)] {
            assert!(holds("= true", value.clone()) && holds("1", value.clone()));
            assert!(!holds("= false", value.clone()) && holds("<> 0", value));
        }
        assert!(holds("true", "true"));
        assert!(!holds("true", "1"));
    }

    #[test]
    fn what_compares_with_nothing_is_refused() {
        for bad in [
            "=",
            ">= ",
            "= = 5",
            "between 1",
            "between 1 and",
            "between 5 and 1",
            "<>",
        ] {
            assert!(Expect::parse(bad).is_err(), "{bad}");
        }
        for bad in ["", "total", "= 5", "a =", "a == b", "'a = b'"] {
            assert!(RowExpect::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_is_shown_is_read_as_the_same() {
        for text in [
            "= 0",
            ">= 1",
            "<> x y",
            "between 1 and 5",
            "= ' a'",
            "= ''",
            "done",
        ] {
            let expect = Expect::parse(text).unwrap();
            assert_eq!(Expect::parse(&expect.to_string()), Ok(expect), "{text}");
        }
        let row = RowExpect::parse("a<=b").unwrap();
        assert_eq!(row.to_string(), "a <= b");
    }

    #[test]
    fn rows_are_held_to_their_columns() {
        let columns = ["total".to_owned(), "With_User".to_owned()];
        let row = |total: i64, user: i64| vec![Value::Int(total), Value::Int(user)];
        let holds = |text: &str, row: &[Value]| {
            let expect = RowExpect::parse(text).unwrap();
            expect.holds(&columns, row)
        };
        assert!(holds("total = with_user", &row(3, 3)));
        assert!(!holds("total = with_user", &row(3, 2)));
        assert!(holds("total >= \"With_User\"", &row(3, 2)));
        assert!(holds("total = 3", &row(3, 2)));
        assert!(holds("'a = b' <> total", &row(3, 2)));
        assert!(!holds("total = with_user", &[Value::Null, Value::Null]));
        assert!(holds("total = null", &[Value::Null, Value::Null]));
        assert!(!holds("total <> null", &[Value::Null, Value::Null]));
        let typo = RowExpect::parse("totl = with_user").unwrap();
        assert_eq!(typo.missing_column(&columns), Some("totl"));
        for fine in ["total = x", "0 = total", "'x' = total", "null = total"] {
            let expect = RowExpect::parse(fine).unwrap();
            assert_eq!(expect.missing_column(&columns), None, "{fine}");
        }
    }
}
