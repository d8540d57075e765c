//! Literals of the source, and casts that only say what a literal is.

use super::parse::Parsed;
use super::{Cast, Expr};

/// A literal in quotes; in some engines a backslash escapes in all of them.
pub(super) fn literal(text: &str, backslash: bool) -> Parsed<Expr> {
    let open = text
        .find(['\'', '"', '$'])
        .ok_or_else(|| format!("the literal {text} is not understood"))?;
    let (prefix, rest) = text.split_at(open);
    let quote = rest.chars().next().unwrap_or('\'');
    let inner = rest
        .strip_prefix(quote)
        .and_then(|rest| rest.strip_suffix(quote))
        .filter(|_| quote != '$')
        .ok_or_else(|| format!("the literal {text} is not understood"))?;
    let doubled = format!("{quote}{quote}");
    let plain = inner.replace(&doubled, &quote.to_string());
    let prefix = prefix.trim().to_lowercase();
    match prefix.as_str() {
        "x" => hex(&plain).map(Expr::Bytes),
        "b" => u64::from_str_radix(&plain, 2)
            .map(|n| Expr::Number(n.to_string()))
            .map_err(|_| format!("the literal {text} is not understood")),
        "e" => Ok(Expr::Text(unescaped(&plain))),
        "" | "n" => Ok(Expr::Text(if backslash {
            unescaped(&plain)
        } else {
            plain
        })),
        prefix if prefix.starts_with('_') => Ok(Expr::Text(unescaped(&plain))),
        _ => Err(format!("the literal {text} is not understood")),
    }
}

/// A number, in plain or hexadecimal digits.
pub(super) fn number(text: &str) -> Parsed<Expr> {
    let lower = text.to_lowercase();
    if let Some(digits) = lower.strip_prefix("0x") {
        return i64::from_str_radix(digits, 16)
            .map(|n| Expr::Number(n.to_string()))
            .map_err(|_| format!("the number {text} is not understood"));
    }
    if lower.parse::<f64>().is_ok() && lower.bytes().all(|b| b"0123456789.e+-".contains(&b)) {
        Ok(Expr::Number(lower))
    } else {
        Err(format!("the number {text} is not understood"))
    }
}

fn hex(text: &str) -> Parsed<Vec<u8>> {
    let digits: Option<Vec<u8>> = text
        .chars()
        .map(|c| c.to_digit(16).map(|d| d as u8))
        .collect();
    digits
        .filter(|digits| digits.len() % 2 == 0)
        .map(|digits| {
            digits
                .chunks(2)
                .map(|pair| pair[0] * 16 + pair[1])
                .collect()
        })
        .ok_or_else(|| "bytes that are not hexadecimal digits".to_owned())
}

fn unescaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match chars.next() {
            Some('n') => out.push('\n'),
            Some('t') => out.push('\t'),
            Some('r') => out.push('\r'),
            Some('0') => out.push('\0'),
            Some('b') => out.push('\u{8}'),
            Some('Z') => out.push('\u{1a}'),
            Some(other) => out.push(other),
            None => out.push(c),
        }
    }
    out
}

/// A cast; those that only say what a literal is are left out.
pub(super) fn cast(expr: Expr, ty: &str) -> Parsed<Expr> {
    let base = ty.split('(').next().unwrap_or_default().trim();
    let to = match base {
        "text"
        | "character varying"
        | "varchar"
        | "char"
        | "character"
        | "bpchar"
        | "nchar"
        | "char charset utf8mb4"
        | "citext" => Cast::Text,
        "int" | "integer" | "bigint" | "smallint" | "signed" | "int4" | "int8" | "unsigned" => {
            Cast::Int
        }
        "real" | "double" | "double precision" | "float" | "float8" => Cast::Float,
        "numeric" | "decimal" => Cast::Decimal,
        "date"
        | "timestamp without time zone"
        | "timestamp with time zone"
        | "time without time zone"
        | "boolean"
        | "jsonb"
        | "json"
        | "uuid"
        | "interval"
            if matches!(expr, Expr::Text(_)) =>
        {
            return Ok(expr);
        }
        "bytea" => {
            return match &expr {
                Expr::Text(text) => match text.strip_prefix("\\x") {
                    Some(digits) => hex(digits).map(Expr::Bytes),
                    None => Err("bytes in this spelling are not known".into()),
                },
                _ => Err("a cast to bytea is not known".into()),
            };
        }
        "name" | "regclass" => return Err(format!("a cast to {base} is not known")),
        // A label of an enum type, as the server shows it.
        _ if matches!(expr, Expr::Text(_)) && !ty.ends_with(']') => return Ok(expr),
        _ => return Err(format!("a cast to {ty} is not known")),
    };
    Ok(match (&expr, to) {
        (Expr::Text(_), Cast::Text) | (Expr::Null, _) => expr,
        (Expr::Number(_), Cast::Int | Cast::Float | Cast::Decimal) => expr,
        (Expr::Text(text), Cast::Int | Cast::Float | Cast::Decimal)
            if text.parse::<f64>().is_ok_and(f64::is_finite) =>
        {
            Expr::Number(text.trim().to_owned())
        }
        (Expr::Column(..), Cast::Text) => Expr::Cast(Box::new(expr), Cast::Text),
        _ => Expr::Cast(Box::new(expr), to),
    })
}
