//! Values for a column of another engine: the same value in the class that the column has.

use super::datum::{Datum, float, unhex};
use crate::copy::encode::{Fit, encode};
use crate::copy::reading::Bound;
use crate::copy::{Typing, decimal, json};
use crate::dialect::{Leaning, RowsDialect};
use crate::schema::NeutralType;

/// A value as a column of this type takes it. Where values have classes of their own it stays what it is. What has no
/// form in the type stays as well: see [`fits`].
pub fn adapt(datum: Datum, ty: &NeutralType, typing: Typing) -> Datum {
    if typing == Typing::Dynamic {
        return as_its_affinity_does(datum, ty);
    }
    match (ty, datum) {
        (NeutralType::Int, Datum::Bool(b)) => Datum::Int(i64::from(b)),
        (NeutralType::Int, Datum::Float(value)) if value.fract() == 0.0 && value.abs() < 9.0e15 => {
            Datum::Int(value as i64)
        }
        (NeutralType::Int, Datum::Text(text)) => integer(text),
        (NeutralType::Float, Datum::Text(text)) => match text.trim().parse::<f64>() {
            // Digits beyond what a double holds spell no infinity.
            Ok(value) if value.is_finite() || !text.contains(|c: char| c.is_ascii_digit()) => {
                Datum::Float(value)
            }
            _ => Datum::Text(text),
        },
        (NeutralType::Decimal, Datum::Float(value)) if value.is_nan() => Datum::Text("NaN".into()),
        (NeutralType::Decimal, Datum::Float(value)) if value.is_finite() => {
            Datum::Text(format!("{value}"))
        }
        (NeutralType::Bool, Datum::Int(n @ (0 | 1))) => Datum::Bool(n == 1),
        (NeutralType::Bool, Datum::Float(value)) if value == 0.0 || value == 1.0 => {
            Datum::Bool(value == 1.0)
        }
        (NeutralType::Bool, Datum::Text(text)) => match text.to_ascii_lowercase().as_str() {
            "t" | "true" | "y" | "yes" | "on" | "1" => Datum::Bool(true),
            "f" | "false" | "n" | "no" | "off" | "0" => Datum::Bool(false),
            _ => Datum::Text(text),
        },
        (NeutralType::Text, Datum::Int(n)) => Datum::Text(n.to_string()),
        (NeutralType::Text, Datum::UInt(n)) => Datum::Text(n.to_string()),
        (NeutralType::Text, Datum::Float(value)) if value.is_finite() => Datum::Text(float(value)),
        (NeutralType::Text, Datum::Bool(b)) => Datum::Text(b.to_string()),
        (NeutralType::Bytes, Datum::Text(text)) => {
            let coded = text.strip_prefix("\\x").map(str::as_bytes).and_then(unhex);
            Datum::Bytes(coded.unwrap_or_else(|| text.into_bytes()))
        }
        (NeutralType::Bytes, Datum::BadText(bytes)) => Datum::Bytes(bytes),
        (NeutralType::Json, Datum::Int(n)) => Datum::Text(n.to_string()),
        (NeutralType::Json, Datum::Float(value)) if value.is_finite() => Datum::Text(float(value)),
        (NeutralType::Json, Datum::Bool(b)) => Datum::Text(b.to_string()),
        (NeutralType::Uuid, Datum::Bytes(bytes)) if bytes.len() == 16 => {
            let hex = super::datum::hex(&bytes);
            let parts = [
                &hex[..8],
                &hex[8..12],
                &hex[12..16],
                &hex[16..20],
                &hex[20..],
            ];
            Datum::Text(parts.join("-"))
        }
        (_, datum) => datum,
    }
}

/// Where values have classes of their own, a column still has a leaning.
fn as_its_affinity_does(datum: Datum, ty: &NeutralType) -> Datum {
    match (ty, datum) {
        (NeutralType::Int, Datum::Float(value)) if value.fract() == 0.0 && value.abs() < 9.0e15 => {
            Datum::Int(value as i64)
        }
        (NeutralType::Text, Datum::Int(n)) => Datum::Text(n.to_string()),
        (NeutralType::Text, Datum::UInt(n)) => Datum::Text(n.to_string()),
        (NeutralType::Text, Datum::Float(value)) if value.is_finite() => Datum::Text(float(value)),
        (NeutralType::Text, Datum::Bool(b)) => Datum::Text(b.to_string()),
        (_, datum) => datum,
    }
}

/// As a column keeps it where values have classes of their own: what looks like a number becomes one there, and must
/// come back with all its digits. The error is a sentence.
fn settle(datum: Datum, leaning: Leaning) -> Result<Datum, String> {
    let datum = match datum {
        Datum::Bool(b) => Datum::Int(i64::from(b)),
        datum => datum,
    };
    match (leaning, datum) {
        (Leaning::Number, Datum::Float(value)) => Ok(whole(value)),
        (Leaning::Number | Leaning::Double, Datum::Text(text)) => {
            let spelled = text.trim();
            if decimal::parse(spelled.as_bytes()).is_none() {
                return Ok(Datum::Text(text));
            }
            let value: f64 = spelled.parse().unwrap_or(f64::NAN);
            if leaning == Leaning::Double {
                let kept = value.is_finite().then_some(Datum::Float(value));
                return kept.ok_or_else(|| beyond(&text));
            }
            let n = decimal::to_integer(spelled.as_bytes()).and_then(|n| i64::try_from(n).ok());
            let (mut digits, mut back) = (vec![], vec![]);
            match n {
                Some(n) => Ok(Datum::Int(n)),
                None if decimal::normalise(spelled.as_bytes(), &mut digits)
                    && decimal::normalise(float(value).as_bytes(), &mut back)
                    && digits == back =>
                {
                    Ok(whole(value))
                }
                None => Err(beyond(&text)),
            }
        }
        (_, datum) => Ok(datum),
    }
}

/// A double that is a whole number of 64 bits.
fn whole(value: f64) -> Datum {
    if value.fract() == 0.0 && value.abs() < 9.0e18 {
        Datum::Int(value as i64)
    } else {
        Datum::Float(value)
    }
}

fn beyond(text: &str) -> String {
    let shown = Datum::Text(text.to_owned()).shown();
    format!("the column makes a number of {shown}, which would lose digits")
}

/// What a column does with values beyond its type.
#[derive(Debug, Clone, Copy)]
pub struct Habit {
    /// What it makes of numbers.
    pub leaning: Leaning,
    /// It keeps one value of each key of a JSON object.
    pub one_of_each_key: bool,
}

/// What the columns of a table do.
pub fn habits(table: &Bound, rows: &dyn RowsDialect) -> Vec<Habit> {
    let natives = table.columns.iter().map(|column| &column.shape.native);
    let habit = |native: &String| Habit {
        leaning: rows.leaning(native),
        one_of_each_key: rows.one_of_each_key(native),
    };
    natives.map(habit).collect()
}

/// Sees to it that a column keeps a value as it is, in the class that it has there. The error is a sentence.
pub fn keep(
    datum: &mut Datum,
    ty: &NeutralType,
    typing: Typing,
    habit: Habit,
    scratch: &mut Vec<u8>,
) -> Result<(), String> {
    if typing == Typing::Dynamic {
        *datum = settle(datum.clone(), habit.leaning)?;
        return Ok(());
    }
    fits(datum, ty, scratch)?;
    if habit.one_of_each_key {
        keeps_all_keys(datum, scratch)?;
    }
    Ok(())
}

/// Why a JSON text would not be kept whole by a column that keeps one value of each key. The error is a sentence.
fn keeps_all_keys(datum: &Datum, scratch: &mut Vec<u8>) -> Result<(), String> {
    let Datum::Text(text) = datum else {
        return Ok(());
    };
    scratch.clear();
    match json::canonical(text.as_bytes(), scratch) {
        Some(true) => Err("a key stands in it twice, and the column keeps one of them".into()),
        _ => Ok(()),
    }
}

fn integer(text: String) -> Datum {
    let spelled = text.trim();
    let signed = spelled.parse().map(Datum::Int).ok();
    let unsigned = || spelled.parse().map(Datum::UInt).ok();
    signed.or_else(unsigned).unwrap_or(Datum::Text(text))
}

/// Why a value is none of a type that binds its values. The error is a sentence.
fn fits(datum: &Datum, ty: &NeutralType, scratch: &mut Vec<u8>) -> Result<(), String> {
    if matches!(datum, Datum::BadText(_)) {
        return Err("text that is no UTF-8".into());
    }
    scratch.clear();
    // A type of the engine's own takes what its server takes.
    let free = matches!(ty, NeutralType::Opaque(_) | NeutralType::Bits);
    match encode(datum.cell(), ty, Typing::Static, scratch) {
        Fit::Misfit if !free => Err(format!("{} is no {ty}", datum.shown())),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_takes_the_class_of_its_column() {
        let text = |text: &str| Datum::Text(text.into());
        for (from, ty, to) in [
            (
                text("18446744073709551615"),
                NeutralType::Int,
                Datum::UInt(u64::MAX),
            ),
            (text(" 7 "), NeutralType::Int, Datum::Int(7)),
            (Datum::Float(0.1), NeutralType::Decimal, text("0.1")),
            (
                Datum::Float(1e21),
                NeutralType::Decimal,
                text("1000000000000000000000"),
            ),
            (Datum::Int(1), NeutralType::Bool, Datum::Bool(true)),
            (Datum::Int(2), NeutralType::Bool, Datum::Int(2)),
            (text("yes"), NeutralType::Bool, Datum::Bool(true)),
            (text("1.5e3"), NeutralType::Float, Datum::Float(1500.0)),
            (text("1e400"), NeutralType::Float, text("1e400")),
            (
                text("\\x00ff"),
                NeutralType::Bytes,
                Datum::Bytes(vec![0, 255]),
            ),
            (Datum::Int(5), NeutralType::Text, text("5")),
        ] {
            assert_eq!(adapt(from, &ty, Typing::Static), to, "{ty}");
        }
        for datum in [
            text("7"),
            Datum::Int(1),
            Datum::Float(0.5),
            Datum::BadText(vec![255]),
        ] {
            assert_eq!(
                adapt(datum.clone(), &NeutralType::Int, Typing::Dynamic),
                datum
            );
        }
        let whole = adapt(Datum::Float(5.0), &NeutralType::Int, Typing::Dynamic);
        assert_eq!(
            whole,
            Datum::Int(5),
            "as a column declared INTEGER keeps it"
        );
    }

    #[test]
    fn what_looks_like_a_number_is_kept_as_one_or_refused() {
        use Leaning::{Double, None, Number};
        let text = |text: &str| Datum::Text(text.into());
        for (from, leaning, to) in [
            (text("1700000000"), Number, Some(Datum::Int(1_700_000_000))),
            (text(" 3.25"), Number, Some(Datum::Float(3.25))),
            (text("1e3"), Number, Some(Datum::Int(1000))),
            (text("now"), Number, Some(text("now"))),
            (text("12345678901234567890.5"), Number, Option::None),
            (text("1e400"), Number, Option::None),
            (text("1e400"), Double, Option::None),
            (text("5"), Double, Some(Datum::Float(5.0))),
            (text("007"), None, Some(text("007"))),
            (Datum::Bool(true), None, Some(Datum::Int(1))),
            (Datum::Float(3.0), Number, Some(Datum::Int(3))),
        ] {
            assert_eq!(settle(from.clone(), leaning).ok(), to, "{from:?}");
        }
    }

    #[test]
    fn what_would_be_bent_in_silence_is_said() {
        let mut scratch = vec![];
        let mut bad = |datum: Datum, ty: NeutralType| fits(&datum, &ty, &mut scratch).is_err();
        let text = |text: &str| Datum::Text(text.into());
        assert!(bad(text("2024-01-01T00:00:00Z"), NeutralType::Timestamp));
        assert!(bad(text("abc"), NeutralType::Int));
        assert!(bad(Datum::Bytes(vec![1]), NeutralType::Text));
        assert!(bad(Datum::BadText(vec![255]), NeutralType::Text));
        assert!(bad(text("{"), NeutralType::Json));
        assert!(bad(Datum::Int(2), NeutralType::Bool));
        assert!(!bad(text("2024-01-01T00:00:00Z"), NeutralType::TimestampTz));
        assert!(!bad(Datum::Null, NeutralType::Int));
        assert!(!bad(text("1 day"), NeutralType::Opaque("interval".into())));
    }
}
