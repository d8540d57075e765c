//! Hazards: what may keep a value from going over as it is, and what is done then.

use std::collections::BTreeMap;

/// What is wrong with a value (or a row). The code has a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Hazard {
    /// Text with U+0000, which the target's texts cannot hold.
    TextNul,
    /// What the source calls text is not UTF-8.
    NotUtf8,
    /// A day or time whose month or day is zero.
    ZeroDate,
    /// Text that is no day or time, or one that the column's type would have to cut.
    BadDate,
    /// A number, day or time beyond what the target's type holds.
    OutOfRange,
    /// More digits than the target's type keeps.
    TooPrecise,
    /// Text that is no JSON.
    BadJson,
    /// Neither true nor false.
    BadBoolean,
    /// No number.
    BadNumber,
    /// No UUID.
    BadUuid,
    /// No label of the enumeration.
    BadLabel,
    /// Longer than the target's type allows.
    TooLong,
    /// NaN or an infinity, which the target cannot hold.
    NotFinite,
    /// A value of another class than the column's.
    WrongClass,
    /// NULL where the target's column takes none.
    NullRefused,
    /// A row whose key is there already.
    DuplicateKey,
    /// A row that refers to one that is not there.
    Orphan,
}

impl Hazard {
    /// All of them.
    pub const ALL: [Hazard; 17] = [
        Hazard::TextNul,
        Hazard::NotUtf8,
        Hazard::ZeroDate,
        Hazard::BadDate,
        Hazard::OutOfRange,
        Hazard::TooPrecise,
        Hazard::BadJson,
        Hazard::BadBoolean,
        Hazard::BadNumber,
        Hazard::BadUuid,
        Hazard::BadLabel,
        Hazard::TooLong,
        Hazard::NotFinite,
        Hazard::WrongClass,
        Hazard::NullRefused,
        Hazard::DuplicateKey,
        Hazard::Orphan,
    ];

    /// Its code.
    pub const fn code(self) -> &'static str {
        match self {
            Hazard::TextNul => "text-nul",
            Hazard::NotUtf8 => "not-utf8",
            Hazard::ZeroDate => "zero-date",
            Hazard::BadDate => "bad-date",
            Hazard::OutOfRange => "out-of-range",
            Hazard::TooPrecise => "too-precise",
            Hazard::BadJson => "bad-json",
            Hazard::BadBoolean => "bad-boolean",
            Hazard::BadNumber => "bad-number",
            Hazard::BadUuid => "bad-uuid",
            Hazard::BadLabel => "bad-label",
            Hazard::TooLong => "too-long",
            Hazard::NotFinite => "not-finite",
            Hazard::WrongClass => "wrong-class",
            Hazard::NullRefused => "null-refused",
            Hazard::DuplicateKey => "duplicate-key",
            Hazard::Orphan => "orphan-row",
        }
    }

    /// The hazard of a code.
    pub fn by_code(code: &str) -> Option<Hazard> {
        Hazard::ALL.into_iter().find(|hazard| hazard.code() == code)
    }

    /// What is the matter, in a sentence's middle: `the value …`.
    pub const fn sentence(self) -> &'static str {
        match self {
            Hazard::TextNul => "holds U+0000, which the target's texts cannot",
            Hazard::NotUtf8 => "is text, and not UTF-8",
            Hazard::ZeroDate => "is a date with a month or day of zero",
            Hazard::BadDate => "is not a date or time that the column's type holds whole",
            Hazard::OutOfRange => "is beyond what the target's type holds",
            Hazard::TooPrecise => "has more digits than the target's type keeps",
            Hazard::BadJson => "is not JSON",
            Hazard::BadBoolean => "is neither true nor false",
            Hazard::BadNumber => "is not a number",
            Hazard::BadUuid => "is not a UUID",
            Hazard::BadLabel => "is no label of the enumeration",
            Hazard::TooLong => "is longer than the target's type allows",
            Hazard::NotFinite => "is NaN or infinite, which the target cannot hold",
            Hazard::WrongClass => "is of another class than its column",
            Hazard::NullRefused => "is NULL, and the target's column takes none",
            Hazard::DuplicateKey => "has a key that is there already",
            Hazard::Orphan => "refers to a row that is not there",
        }
    }
}

/// What is done about a hazard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Policy {
    /// The copy stops; nothing of the table stays.
    #[default]
    Fail,
    /// The row is left out and written to the reject file.
    Reject,
    /// The value is bent, as the code's page says, and counted; where it cannot be, the row is rejected.
    Coerce,
}

impl Policy {
    /// The policy of a word.
    pub fn by_name(name: &str) -> Option<Policy> {
        match name {
            "fail" => Some(Policy::Fail),
            "reject" => Some(Policy::Reject),
            "coerce" => Some(Policy::Coerce),
            _ => None,
        }
    }
}

/// Policies: for everything, for a hazard, for a column.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Policies {
    /// Where nothing else is said (`--on-error`).
    pub default: Policy,
    /// For a hazard (`--policy CODE=…`).
    pub hazards: BTreeMap<Hazard, Policy>,
    /// For a column (`table.column`, in the source's names), whatever the hazard.
    pub columns: BTreeMap<String, Policy>,
    /// For a column and a hazard.
    pub exact: BTreeMap<(String, Hazard), Policy>,
}

impl Policies {
    /// The policy for a hazard in a column.
    pub fn of(&self, table: &str, column: &str, hazard: Hazard) -> Policy {
        let place = format!("{table}.{column}");
        self.exact
            .get(&(place.clone(), hazard))
            .or_else(|| self.columns.get(&place))
            .or_else(|| self.hazards.get(&hazard))
            .copied()
            .unwrap_or(self.default)
    }

    /// Takes `CODE=fail|reject|coerce`. The error is a sentence.
    pub fn take(&mut self, text: &str) -> Result<(), String> {
        let (code, policy) = text
            .split_once('=')
            .ok_or_else(|| format!("`{text}` is not CODE=fail|reject|coerce"))?;
        let hazard = Hazard::by_code(code).ok_or_else(|| {
            let known: Vec<_> = Hazard::ALL.iter().map(|hazard| hazard.code()).collect();
            format!("`{code}` is no hazard; there are {}", known.join(", "))
        })?;
        let policy = Policy::by_name(policy)
            .ok_or_else(|| format!("`{policy}` is neither fail, reject nor coerce"))?;
        self.hazards.insert(hazard, policy);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_nearest_word_counts() {
        let mut policies = Policies {
            default: Policy::Reject,
            ..Policies::default()
        };
        policies.take("zero-date=coerce").unwrap();
        policies.columns.insert("t.a".into(), Policy::Fail);
        policies
            .exact
            .insert(("t.b".into(), Hazard::ZeroDate), Policy::Reject);
        assert_eq!(policies.of("t", "x", Hazard::ZeroDate), Policy::Coerce);
        assert_eq!(policies.of("t", "x", Hazard::BadJson), Policy::Reject);
        assert_eq!(policies.of("t", "a", Hazard::ZeroDate), Policy::Fail);
        assert_eq!(policies.of("t", "b", Hazard::ZeroDate), Policy::Reject);
        assert!(policies.take("zero-date").is_err());
        assert!(policies.take("what=fail").unwrap_err().contains("text-nul"));
        assert!(policies.take("text-nul=maybe").is_err());
    }
}
