//! Types: the neutral one of each native type, and back.

use super::dml::literal;
use crate::schema::NamedType;

/// Splits a declared type for comparing: a name that `to_regtype` takes, and the modifier as `format_type` shows it
/// (`(10,2)`, or nothing). `None` where it does not look like a type.
pub fn split_declared(declared: &str) -> Option<(String, String)> {
    let text = declared.trim();
    let lower = text.to_ascii_lowercase();
    let end = [" collate ", " not null", " null", " default ", " using "]
        .iter()
        .filter_map(|word| lower.find(word))
        .min()
        .unwrap_or(text.len());
    let text = text[..end].trim();
    let allowed = |c: char| c.is_alphanumeric() || "_ .\",()[]".contains(c);
    if text.is_empty() || !text.chars().all(allowed) || text.matches('"').count() % 2 == 1 {
        return None;
    }
    let (base, modifier) = match (text.find('('), text.find(')')) {
        (Some(open), Some(close)) if open < close => {
            let inner: String = text[open + 1..close]
                .chars()
                .filter(|c| !c.is_whitespace())
                .collect();
            (
                format!("{}{}", text[..open].trim_end(), &text[close + 1..]),
                inner,
            )
        }
        (None, None) => (text.to_owned(), String::new()),
        _ => return None,
    };
    let word = base.to_ascii_lowercase();
    let modifier = match (word.as_str(), modifier.as_str()) {
        ("numeric" | "decimal" | "dec", digits) if !digits.is_empty() && !digits.contains(',') => {
            format!("({digits},0)")
        }
        ("char" | "character" | "bit" | "nchar", "") => "(1)".into(),
        (_, "") => String::new(),
        (_, inner) => format!("({inner})"),
    };
    let base = match word.as_str() {
        "serial" | "serial4" => "integer".into(),
        "bigserial" | "serial8" => "bigint".into(),
        "smallserial" | "serial2" => "smallint".into(),
        _ => base,
    };
    Some((base, modifier))
}

/// Statements that make a type what it should be.
pub fn change(name: &str, old: &NamedType, new: &NamedType) -> Result<Vec<String>, String> {
    let kept: Vec<_> = new
        .labels
        .iter()
        .filter(|label| old.labels.contains(label))
        .collect();
    if new.labels.is_empty()
        || kept.len() != old.labels.len()
        || kept.iter().zip(&old.labels).any(|(a, b)| *a != b)
    {
        if new.labels.is_empty()
            && old.labels.is_empty()
            && new.kind == "TYPE"
            && old.kind == "TYPE"
        {
            // A row type; where something uses it the server refuses the DROP, and nothing has happened.
            return Ok(vec![format!("DROP TYPE {name}"), new.definition.clone()]);
        }
        return Err(format!(
            "the type {name} cannot be changed in place: make a new one, alter the columns that use it, drop the old"
        ));
    }
    let mut statements = vec![];
    let mut before: Option<&String> = None;
    for label in &new.labels {
        if !old.labels.contains(label) {
            let place = match (before, old.labels.first()) {
                (Some(before), _) => format!(" AFTER {}", literal(before)),
                (None, Some(first)) => format!(" BEFORE {}", literal(first)),
                (None, None) => String::new(),
            };
            statements.push(format!(
                "ALTER TYPE {name} ADD VALUE {}{place}",
                literal(label)
            ));
        }
        before = Some(label);
    }
    Ok(statements)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn declared_types_are_split_for_the_server() {
        let split = |text| split_declared(text).unwrap();
        assert_eq!(split("numeric(10)"), ("numeric".into(), "(10,0)".into()));
        assert_eq!(split("varchar(20)[]"), ("varchar[]".into(), "(20)".into()));
        assert_eq!(
            split("timestamp (3) with time zone"),
            ("timestamp with time zone".into(), "(3)".into())
        );
        assert_eq!(
            split("text COLLATE \"C\" NOT NULL"),
            ("text".into(), String::new())
        );
        assert_eq!(split("char"), ("char".into(), "(1)".into()));
        assert_eq!(split_declared("int; drop table x"), None);
        assert_eq!(split_declared("(1"), None);
    }
}
