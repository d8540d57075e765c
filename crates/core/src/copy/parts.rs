//! Large tables in parts: how many, and where one ends and the next begins.

use serde::{Deserialize, Serialize};

/// Some rows of a table by their places: from this one on, and below that one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Part {
    /// The first place; `None`: there is no part before it.
    pub from: Option<i64>,
    /// The place behind the last one; `None`: there is no part after it.
    pub upto: Option<i64>,
}

/// Most parts of a table: each is a record in the journal.
const PARTS_MAX: u64 = 1_024;

/// From when on a table is large, and how large its parts are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sizing {
    /// A table of so many rows is large, where that is early.
    pub rows: u64,
    /// A table of so many bytes is large, where that is early.
    pub bytes: u64,
    /// A table of so many times that is large wherever it is.
    pub times: u64,
}

impl Default for Sizing {
    /// Below these a table is loaded whole, in the transaction that makes it, which is quicker (rows are frozen as they
    /// come); what a killed copy has to do again is at most 32 million rows or 2 GiB for each session, half a minute.
    fn default() -> Self {
        Sizing {
            rows: 4_000_000,
            bytes: 256 << 20,
            times: 8,
        }
    }
}

impl Sizing {
    /// In how many parts a table of this size is copied: 1 where it is not large, else parts of a quarter of that. `early`:
    /// the other sessions would wait for it, or it is no slower in parts.
    pub fn parts(self, rows: u64, bytes: u64, early: bool) -> u64 {
        let times = if early { 1 } else { self.times };
        let below = |size: u64, large: u64| size < large.saturating_mul(times);
        if below(rows, self.rows) && below(bytes, self.bytes) {
            return 1;
        }
        let by = |size: u64, large: u64| size.div_ceil((large / 4).max(1));
        by(rows, self.rows)
            .max(by(bytes, self.bytes))
            .clamp(1, PARTS_MAX)
    }
}

/// Cuts the places from `least` to `largest` into so many equal stretches; what lies outside of them, because it was written
/// later, belongs to the first and the last.
pub fn parts(least: i64, largest: i64, count: u64) -> Vec<Part> {
    let width = i128::from(largest) - i128::from(least) + 1;
    let count = i128::from(count).clamp(1, width.max(1));
    let cuts: Vec<i64> = (1..count)
        .filter_map(|at| i64::try_from(i128::from(least) + width * at / count).ok())
        .collect();
    let from = std::iter::once(None).chain(cuts.iter().copied().map(Some));
    let upto = cuts.iter().copied().map(Some).chain(std::iter::once(None));
    from.zip(upto)
        .map(|(from, upto)| Part { from, upto })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn small_tables_are_whole_and_large_ones_are_not() {
        let sizing = Sizing::default();
        assert_eq!(sizing.parts(1_000, 1_000, true), 1);
        assert_eq!(sizing.parts(4_000_000, 0, true), 4);
        assert_eq!(sizing.parts(10, 1 << 30, true), 16);
        assert_eq!(sizing.parts(u64::MAX, u64::MAX, false), PARTS_MAX);
        // Nobody waits for it: it may be eight times as large.
        assert_eq!(sizing.parts(31_999_999, 0, false), 1);
        assert_eq!(sizing.parts(32_000_000, 2 << 30, false), 32);
    }

    proptest! {
        #[test]
        fn every_place_is_in_exactly_one_part(
            a in any::<i64>(), b in any::<i64>(), count in 1..50_u64, place in any::<i64>()
        ) {
            let parts = parts(a.min(b), a.max(b), count);
            let holds = |part: &&Part| {
                part.from.is_none_or(|from| place >= from) && part.upto.is_none_or(|upto| place < upto)
            };
            prop_assert_eq!(parts.iter().filter(holds).count(), 1);
            prop_assert!(parts.len() as u64 <= count);
        }
    }
}
