//! Literals as a column of the target takes them.

use super::{Expr, Scope, Style};
use crate::copy::translate::kind::Kind;

fn cannot<T>(text: &str) -> Result<T, String> {
    Err(format!(
        "{text} is not a value of the type that the column has there"
    ))
}

/// A literal in the spelling that a column of this kind takes: 0 in a column of booleans is false there. `None`: it is
/// no literal. An error: the column cannot hold it.
pub(super) fn literal_as(
    expr: &Expr,
    kind: &Kind,
    scope: &dyn Scope,
) -> Result<Option<String>, String> {
    let style = scope.style();
    match expr {
        Expr::Null => Ok(Some("NULL".into())),
        Expr::Bool(value) => of_bool(*value, kind, style).map(Some),
        Expr::Number(text) => of_number(text, kind, style).map(Some),
        Expr::Text(text) => of_text(text, kind, style).map(Some),
        Expr::Bytes(bytes) => of_bytes(bytes, kind, style).map(Some),
        _ => Ok(None),
    }
}

fn of_bool(value: bool, kind: &Kind, style: &Style) -> Result<String, String> {
    match kind {
        Kind::Bool => Ok(boolean(value, style)),
        Kind::Int { .. } | Kind::Decimal { .. } | Kind::Float { .. } => {
            Ok(u8::from(value).to_string())
        }
        _ => cannot("a boolean"),
    }
}

fn of_number(text: &str, kind: &Kind, style: &Style) -> Result<String, String> {
    match kind {
        Kind::Bool => match text {
            "0" => Ok(boolean(false, style)),
            "1" => Ok(boolean(true, style)),
            _ => cannot(text),
        },
        Kind::Int { .. } if text.parse::<i128>().is_ok() => Ok(text.to_owned()),
        Kind::Bits {
            len: Some(len),
            varying: false,
        } => of_bits(text, *len, style),
        Kind::Decimal { .. } | Kind::Float { .. } => Ok(text.to_owned()),
        Kind::Text { .. } | Kind::Any | Kind::Json { .. } => Ok((style.text)(text)),
        _ => cannot(text),
    }
}

/// Bits that a number spells, as many as the column has.
fn of_bits(text: &str, len: u64, style: &Style) -> Result<String, String> {
    let width = usize::try_from(len).unwrap_or(usize::MAX);
    match text.parse::<u64>() {
        Ok(n) if width <= 64 && (width == 64 || n >> width == 0) => {
            Ok((style.bits)(&format!("{n:0width$b}")))
        }
        _ => cannot(text),
    }
}

fn of_bytes(bytes: &[u8], kind: &Kind, style: &Style) -> Result<String, String> {
    match (kind, std::str::from_utf8(bytes)) {
        (Kind::Bytes { .. }, _) => Ok((style.bytes)(bytes)),
        (Kind::Text { .. }, Ok(text)) if !text.contains('\0') => Ok((style.text)(text)),
        _ => cannot("a literal of bytes"),
    }
}

fn of_text(text: &str, kind: &Kind, style: &Style) -> Result<String, String> {
    let number = || text.trim().parse::<f64>().is_ok_and(f64::is_finite);
    let fits = match kind {
        Kind::Bool => {
            return match text.to_ascii_lowercase().as_str() {
                "0" | "f" | "false" | "no" | "off" => Ok(boolean(false, style)),
                "1" | "t" | "true" | "yes" | "on" => Ok(boolean(true, style)),
                _ => cannot(text),
            };
        }
        Kind::Int { .. } if text.trim().parse::<i128>().is_ok() => return Ok(text.trim().into()),
        Kind::Decimal { .. } | Kind::Float { .. } if number() => return Ok(text.trim().into()),
        Kind::Bytes { .. } => return Ok((style.bytes)(text.as_bytes())),
        Kind::Text { .. } | Kind::Any | Kind::Set(_) => true,
        Kind::Enum { labels, .. } => labels.iter().any(|label| label == text),
        Kind::Date | Kind::Time(_) | Kind::Span(_) | Kind::Timestamp(_) | Kind::TimestampTz(_) => {
            moment(text, kind)
        }
        Kind::Json { .. } => serde_json::from_str::<serde_json::Value>(text).is_ok(),
        Kind::Uuid => text.len() == 36 && text.chars().all(|c| c.is_ascii_hexdigit() || c == '-'),
        _ => false,
    };
    if fits {
        Ok((style.text)(text))
    } else {
        cannot(text)
    }
}

/// Whether a text is a value of a kind of days or times.
fn moment(text: &str, kind: &Kind) -> bool {
    use crate::copy::temporal;
    let bytes = text.as_bytes();
    match kind {
        Kind::Date => text.len() <= 13 && temporal::date(bytes).is_some(),
        Kind::Time(_) | Kind::Span(_) => temporal::time(bytes).is_some(),
        Kind::Timestamp(_) => {
            temporal::timestamp(bytes, false).is_some() || temporal::date(bytes).is_some()
        }
        _ => temporal::timestamp(bytes, true).is_some(),
    }
}

/// A boolean literal.
pub(super) fn boolean(value: bool, style: &Style) -> String {
    match (style.booleans, value) {
        (true, true) => "true",
        (true, false) => "false",
        (false, true) => "1",
        (false, false) => "0",
    }
    .into()
}
