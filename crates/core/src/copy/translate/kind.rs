//! Kinds: what a column holds, rich enough to be spelled by any engine. Between the word of the source and that of the
//! target stands one of these.

/// What a column holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// True or false.
    Bool,
    /// Whole numbers.
    Int {
        /// 8, 16, 24, 32 or 64.
        bits: u16,
        /// Without a sign.
        unsigned: bool,
    },
    /// Exact decimals; without `digits` of any number of them.
    Decimal {
        /// All digits, and those behind the point.
        digits: Option<(u32, u32)>,
    },
    /// Binary floating point.
    Float {
        /// Of single precision.
        single: bool,
    },
    /// Text.
    Text {
        /// The most characters.
        chars: Option<u64>,
        /// The most bytes, where the type counts these.
        bytes: Option<u64>,
    },
    /// Bytes.
    Bytes {
        /// The most of them.
        most: Option<u64>,
        /// Always as many.
        fixed: bool,
    },
    /// A day.
    Date,
    /// A time of day, and how many digits its second has.
    Time(u8),
    /// A span of hours, with a sign, beyond a day too.
    Span(u8),
    /// A day and time by the clock on the wall.
    Timestamp(u8),
    /// An instant.
    TimestampTz(u8),
    /// JSON.
    Json {
        /// Kept in a form that has no doubled keys and no `\u0000`.
        binary: bool,
    },
    /// A UUID.
    Uuid,
    /// Bits.
    Bits {
        /// How many.
        len: Option<u64>,
        /// At most so many.
        varying: bool,
    },
    /// One of these labels.
    Enum {
        /// The type's schema and name, where it has a name of its own.
        name: Option<(Option<String>, String)>,
        /// In their order.
        labels: Vec<String>,
    },
    /// Any of these labels.
    Set(Vec<String>),
    /// Months, days and microseconds.
    Interval,
    /// A shape, in the bytes of its engine.
    Geometry,
    /// Values of any class (an engine whose columns do not bind).
    Any,
    /// A type of one engine alone, under its native name; elsewhere it is text.
    Other(String),
}

/// The least and the largest whole number of so many bits.
pub fn range(bits: u16, unsigned: bool) -> (i128, i128) {
    match unsigned {
        true => (0, (1 << bits) - 1),
        false => (-(1 << (bits - 1)), (1 << (bits - 1)) - 1),
    }
}

/// What an expression over a column of a kind yields: what may be compared with what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// NULL, or a literal that takes any class.
    Open,
    /// Booleans.
    Bool,
    /// Numbers.
    Number,
    /// Texts.
    Text,
    /// Bytes.
    Bytes,
    /// Days and times.
    Moment,
    /// Whatever else.
    Other,
}

impl Kind {
    /// Text without a bound.
    pub const TEXT: Kind = Kind::Text {
        chars: None,
        bytes: None,
    };
    /// Whole numbers of eight bytes.
    pub const BIG: Kind = Kind::Int {
        bits: 64,
        unsigned: false,
    };
    /// Bytes without a bound.
    pub const BYTES: Kind = Kind::Bytes {
        most: None,
        fixed: false,
    };
    /// Double precision.
    pub const DOUBLE: Kind = Kind::Float { single: false };

    /// What its values may be compared with.
    pub fn class(&self) -> Class {
        match self {
            Kind::Bool => Class::Bool,
            Kind::Int { .. } | Kind::Decimal { .. } | Kind::Float { .. } => Class::Number,
            Kind::Text { .. } | Kind::Enum { .. } => Class::Text,
            Kind::Bytes { .. } => Class::Bytes,
            Kind::Date
            | Kind::Time(_)
            | Kind::Span(_)
            | Kind::Timestamp(_)
            | Kind::TimestampTz(_) => Class::Moment,
            _ => Class::Other,
        }
    }

    /// The kind that holds the values of both, so that a foreign key's columns are of one type. `None`: there is none
    /// but text.
    pub fn unite(&self, other: &Kind) -> Option<Kind> {
        use Kind::{Bool, Bytes, Decimal, Float, Int, Text, Timestamp, TimestampTz};
        if self == other {
            return Some(self.clone());
        }
        Some(match (self, other) {
            (Int { .. }, Int { .. }) => self.widest(other),
            (Bool, Int { .. }) => other.clone(),
            (Int { .. }, Bool) => self.clone(),
            (Int { .. }, Decimal { digits }) | (Decimal { digits }, Int { .. }) => Decimal {
                digits: digits.map(|(all, scale)| (all.max(20 + scale), scale)),
            },
            (Decimal { digits: a }, Decimal { digits: b }) => Decimal {
                digits: a.zip(*b).map(|((pa, sa), (pb, sb))| {
                    let scale = sa.max(sb);
                    ((pa - sa.min(pa)).max(pb - sb.min(pb)) + scale, scale)
                }),
            },
            (Float { .. }, Float { .. }) => Kind::DOUBLE,
            (Int { .. } | Decimal { .. }, Float { .. })
            | (Float { .. }, Int { .. } | Decimal { .. }) => Kind::Decimal { digits: None },
            (Text { chars: a, .. }, Text { chars: b, .. }) => Text {
                chars: a.zip(*b).map(|(a, b)| a.max(b)),
                bytes: None,
            },
            (Bytes { .. }, Bytes { .. }) => Kind::BYTES,
            (Timestamp(a), Timestamp(b)) => Timestamp(*a.max(b)),
            (TimestampTz(a), TimestampTz(b)) => TimestampTz(*a.max(b)),
            _ => return None,
        })
    }

    fn widest(&self, other: &Kind) -> Kind {
        let (
            Kind::Int {
                bits: a,
                unsigned: ua,
            },
            Kind::Int {
                bits: b,
                unsigned: ub,
            },
        ) = (self, other)
        else {
            return self.clone();
        };
        if ua == ub {
            return Kind::Int {
                bits: *a.max(b),
                unsigned: *ua,
            };
        }
        // One has a sign: the other needs a bit more.
        let (signed, bare) = if *ua { (*b, *a) } else { (*a, *b) };
        match bare {
            64 => Kind::Decimal {
                digits: Some((20, 0)),
            },
            bare => Kind::Int {
                bits: signed.max(if bare <= 8 {
                    16
                } else if bare < 32 {
                    32
                } else {
                    64
                }),
                unsigned: false,
            },
        }
    }
}

/// What a collation takes for equal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fold {
    /// Nothing but what is the same.
    None,
    /// The letters A to Z and a to z.
    Ascii,
    /// Upper and lower case, of all letters; in this language, where it has rules of its own.
    Case(&'static str),
    /// And letters with and without accents.
    Accents(&'static str),
    /// Spaces at the end.
    Spaces,
    /// Nobody knows: a collation of the application's own.
    Unknown,
}

impl Fold {
    /// Whether two different texts may be equal.
    pub fn folds(&self) -> bool {
        *self != Fold::None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_kind_holds_both() {
        let int = |bits, unsigned| Kind::Int { bits, unsigned };
        assert_eq!(int(32, false).unite(&int(64, false)), Some(Kind::BIG));
        assert_eq!(int(32, true).unite(&int(32, false)), Some(Kind::BIG));
        assert_eq!(
            int(64, true).unite(&int(32, false)),
            Some(Kind::Decimal {
                digits: Some((20, 0))
            })
        );
        assert_eq!(Kind::Bool.unite(&Kind::BIG), Some(Kind::BIG));
        assert_eq!(Kind::TEXT.unite(&Kind::BIG), None);
        let varchar = |n| Kind::Text {
            chars: Some(n),
            bytes: None,
        };
        assert_eq!(varchar(3).unite(&varchar(9)), Some(varchar(9)));
    }
}
