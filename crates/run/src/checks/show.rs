//! Values as people see them.

use dunlin_core::value::Value;

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
