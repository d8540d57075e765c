//! Values in SQL.

/// A text literal.
pub fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// The mark of parameter `n`, from 1.
pub fn param(_n: usize) -> String {
    "?".to_owned()
}
