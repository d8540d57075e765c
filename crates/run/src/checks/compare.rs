//! Values as people compare them: numbers by what they are, whatever their spelling and length; everything else as text.

use dunlin_core::source::plan::expect::{Expect, Op};
use dunlin_core::value::Value;
use std::cmp::Ordering;

/// A value as a text; `None` is NULL.
pub(super) fn text_of(value: &Value) -> Option<String> {
    Some(match value {
        Value::Null => return None,
        Value::Bool(b) => b.to_string(),
        Value::Int(n) => n.to_string(),
        Value::UInt(n) => n.to_string(),
        Value::Float(f) => f.to_string(),
        Value::Text(text) => text.clone(),
        Value::Bytes(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) => text.to_owned(),
            Err(_) => format!("{} bytes", bytes.len()),
        },
    })
}

/// A value for people.
pub(super) fn shown(value: &Value) -> String {
    text_of(value).unwrap_or_else(|| "NULL".into())
}

/// A decimal number: its sign, the digits before the point without leading zeros, those after it without closing ones.
fn decimal(text: &str) -> Option<(bool, &str, &str)> {
    let text = text.trim();
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
    let number = |digits: &str| digits.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() && part.is_empty() || !number(whole) || !number(part) {
        return None;
    }
    let (whole, part) = (whole.trim_start_matches('0'), part.trim_end_matches('0'));
    let zero = whole.is_empty() && part.is_empty();
    Some((negative && !zero, whole, part))
}

/// How a text stands to another.
fn order(a: &str, b: &str) -> Ordering {
    if let (Some((na, wa, pa)), Some((nb, wb, pb))) = (decimal(a), decimal(b)) {
        let size = wa
            .len()
            .cmp(&wb.len())
            .then_with(|| wa.cmp(wb))
            .then_with(|| pa.cmp(pb));
        return match (na, nb) {
            (false, false) => size,
            (true, true) => size.reverse(),
            (true, false) => Ordering::Less,
            (false, true) => Ordering::Greater,
        };
    }
    if let (Ok(x), Ok(y)) = (a.trim().parse::<f64>(), b.trim().parse::<f64>())
        && let Some(order) = x.partial_cmp(&y)
    {
        return order;
    }
    a.cmp(b)
}

/// Truth in the spellings of the engines, where one side is a boolean.
fn truth(value: &Value, text: &str) -> Option<bool> {
    let other = Value::Text(text.trim().to_owned()).as_bool()?;
    match value {
        Value::Bool(b) => Some(*b == other),
        _ => None,
    }
}

/// Whether `value OP text` holds. NULL stands in no relation to anything.
pub(super) fn holds(value: &Value, op: Op, text: &str) -> bool {
    if let (Some(same), Op::Equal | Op::NotEqual) = (truth(value, text), op) {
        return same == (op == Op::Equal);
    }
    let Some(is) = text_of(value) else {
        return op == Op::Equal && text.eq_ignore_ascii_case("null");
    };
    let order = order(&is, text);
    match op {
        Op::Equal => order == Ordering::Equal,
        Op::NotEqual => order != Ordering::Equal,
        Op::Less => order == Ordering::Less,
        Op::LessOrEqual => order != Ordering::Greater,
        Op::Greater => order == Ordering::Greater,
        Op::GreaterOrEqual => order != Ordering::Less,
    }
}

/// Whether a value is as expected.
pub(super) fn meets(value: &Value, expect: &Expect) -> bool {
    match expect {
        Expect::Is(op, text) => holds(value, *op, text),
        Expect::Between(low, high) => {
            holds(value, Op::GreaterOrEqual, low) && holds(value, Op::LessOrEqual, high)
        }
    }
}

/// An operator as it is written.
pub(super) const fn sign(op: Op) -> &'static str {
    match op {
        Op::Equal => "=",
        Op::NotEqual => "<>",
        Op::Less => "<",
        Op::LessOrEqual => "<=",
        Op::Greater => ">",
        Op::GreaterOrEqual => ">=",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_compared_as_numbers_of_any_length() {
        let text = |text: &str| Value::Text(text.into());
        for (value, op, other, expected) in [
            (Value::Int(10), Op::Greater, "9", true),
            (text("10.00"), Op::Equal, "10", true),
            (
                text("12345678901234567890.01"),
                Op::Less,
                "12345678901234567890.02",
                true,
            ),
            (text("-2"), Op::Less, "1", true),
            (text("-2"), Op::Less, "-1", true),
            (text("-0.0"), Op::Equal, "0", true),
            (Value::Float(1e3), Op::Equal, "1000", true),
            (text("1e3"), Op::Equal, "1000", true),
            (text("abc"), Op::Equal, "abc", true),
            (text("abc"), Op::Equal, "abd", false),
            (Value::Bool(true), Op::Equal, "true", true),
            (Value::Bool(true), Op::Equal, "1", true),
            (Value::Bool(false), Op::Equal, "t", false),
            (Value::Null, Op::Equal, "0", false),
            (Value::Null, Op::NotEqual, "0", false),
            (Value::Null, Op::Equal, "NULL", true),
        ] {
            assert_eq!(
                holds(&value, op, other),
                expected,
                "{value:?} {op:?} {other}"
            );
        }
        assert!(meets(
            &Value::Int(3),
            &Expect::Between("1".into(), "5".into())
        ));
        assert!(!meets(
            &Value::Int(6),
            &Expect::Between("1".into(), "5".into())
        ));
    }
}
