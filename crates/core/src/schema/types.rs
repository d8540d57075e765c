//! Neutral types: what a column's values mean, apart from how an engine spells its type.
//!
//! A neutral type says how a value is compared and hashed, no more: widths, lengths and precisions stay with the
//! native type, whose text the catalog keeps beside it. Each dialect's `types` room maps native types to these.

use serde::{Deserialize, Serialize};

/// What kind of values a column holds.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NeutralType {
    /// True or false.
    Bool,
    /// A whole number of any width, signed or not.
    Int,
    /// An exact decimal number of any precision and scale.
    Decimal,
    /// A binary floating point number; single precision is widened, which is exact.
    Float,
    /// Text, an enumeration's label, a set of labels as the server lists them.
    Text,
    /// Bytes.
    Bytes,
    /// A calendar day.
    Date,
    /// A time of day, or a span of hours where the engine's type is one.
    Time,
    /// A day and time without a zone.
    Timestamp,
    /// An instant.
    TimestampTz,
    /// JSON, compared by meaning.
    Json,
    /// A UUID.
    Uuid,
    /// A string of bits, compared as the unsigned number that it spells.
    Bits,
    /// A type without a neutral form, under its native name: it is compared as the text that its engine shows, like
    /// to like only.
    Opaque(String),
}

impl NeutralType {
    /// Of a column that holds anything: each value is of its own class.
    pub fn any() -> NeutralType {
        NeutralType::Opaque("any".into())
    }

    /// Whether it is [`NeutralType::any`].
    pub fn is_any(&self) -> bool {
        matches!(self, NeutralType::Opaque(name) if name == "any")
    }

    /// The name in readings: one word, for opaque types `opaque(native name)`.
    pub fn name(&self) -> std::borrow::Cow<'_, str> {
        std::borrow::Cow::Borrowed(match self {
            NeutralType::Bool => "bool",
            NeutralType::Int => "int",
            NeutralType::Decimal => "decimal",
            NeutralType::Float => "float",
            NeutralType::Text => "text",
            NeutralType::Bytes => "bytes",
            NeutralType::Date => "date",
            NeutralType::Time => "time",
            NeutralType::Timestamp => "timestamp",
            NeutralType::TimestampTz => "timestamp_tz",
            NeutralType::Json => "json",
            NeutralType::Uuid => "uuid",
            NeutralType::Bits => "bits",
            NeutralType::Opaque(native) => {
                return std::borrow::Cow::Owned(format!("opaque({native})"));
            }
        })
    }
}

impl std::fmt::Display for NeutralType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.name())
    }
}
