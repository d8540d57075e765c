//! Values of the control plane: what a journal, a probe or an introspection query reads and binds.
//! Bulk rows never travel as `Value`; they move as batches of bytes.

/// One value of a control-plane query.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
#[serde(untagged)]
pub enum Value {
    /// SQL NULL.
    Null,
    /// A boolean, where the engine has one.
    Bool(bool),
    /// A signed integer.
    Int(i64),
    /// An integer that only fits unsigned.
    UInt(u64),
    /// A double.
    Float(f64),
    /// Text, always UTF-8.
    Text(String),
    /// Bytes.
    Bytes(Vec<u8>),
}

impl Value {
    /// The text, where the value is text (or bytes that are UTF-8, as some servers send their catalogs).
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Value::Text(text) => Some(text),
            Value::Bytes(bytes) => std::str::from_utf8(bytes).ok(),
            _ => None,
        }
    }

    /// The integer, where the value is one or is text that spells one.
    pub fn as_i64(&self) -> Option<i64> {
        match self {
            Value::Int(n) => Some(*n),
            Value::UInt(n) => i64::try_from(*n).ok(),
            Value::Bool(b) => Some(i64::from(*b)),
            Value::Float(f) if f.fract() == 0.0 => Some(*f as i64),
            Value::Text(_) | Value::Bytes(_) => {
                self.as_str().and_then(|text| text.trim().parse().ok())
            }
            _ => None,
        }
    }

    /// Truth as the engines spell it: `true`, a number other than 0, `t`, `YES`.
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Value::Bool(b) => Some(*b),
            Value::Int(n) => Some(*n != 0),
            Value::UInt(n) => Some(*n != 0),
            Value::Text(_) | Value::Bytes(_) => {
                match self.as_str()?.to_ascii_lowercase().as_str() {
                    "t" | "true" | "1" | "yes" | "on" => Some(true),
                    "f" | "false" | "0" | "no" | "off" | "" => Some(false),
                    _ => None,
                }
            }
            _ => None,
        }
    }

    /// The value as text, for engines whose statements cast: exact for every kind.
    #[must_use]
    pub fn into_text(self) -> Value {
        Value::Text(match self {
            Value::Null => return Value::Null,
            Value::Bool(b) => b.to_string(),
            Value::Int(n) => n.to_string(),
            Value::UInt(n) => n.to_string(),
            // Rust prints the shortest text that reads back as the same double.
            Value::Float(f) if f.is_nan() => "NaN".into(),
            Value::Float(f) if f.is_infinite() => {
                if f > 0.0 {
                    "Infinity".into()
                } else {
                    "-Infinity".into()
                }
            }
            Value::Float(f) => format!("{f:e}"),
            Value::Text(text) => text,
            Value::Bytes(bytes) => {
                let mut text = String::from("\\x");
                for byte in bytes {
                    text.push_str(&format!("{byte:02x}"));
                }
                text
            }
        })
    }

    /// The value as people see it.
    pub fn shown(&self) -> String {
        match self.clone().into_text() {
            Value::Text(text) => text,
            _ => "NULL".into(),
        }
    }

    /// Whether this is SQL NULL.
    pub fn is_null(&self) -> bool {
        matches!(self, Value::Null)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Value::Text(text.to_owned())
    }
}
impl From<String> for Value {
    fn from(text: String) -> Self {
        Value::Text(text)
    }
}
impl From<i64> for Value {
    fn from(n: i64) -> Self {
        Value::Int(n)
    }
}
impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Value::Null, Into::into)
    }
}

/// A row of a control-plane query.
pub type Row = Vec<Value>;

/// A query with its bound values, as a dialect hands it to a session.
#[derive(Debug, Clone, PartialEq)]
pub struct Query {
    /// The SQL, with the engine's own parameter marks.
    pub sql: String,
    /// The values, in the order of the marks.
    pub params: Vec<Value>,
}

impl Query {
    /// A query with bound values.
    pub fn new(sql: impl Into<String>, params: Vec<Value>) -> Self {
        Query {
            sql: sql.into(),
            params,
        }
    }
}
