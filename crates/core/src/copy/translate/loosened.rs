//! Lengths and ranges that a source's types hold their values to, and the target's do not: listed, a line a table.

use super::Work;
use super::kind::Kind;
use crate::copy::plan::Bounds;
use crate::dialect::copy::Source;

/// From here on a length in bytes is the engine's own limit, and nobody's word on what belongs there.
const OWN_LIMIT: u64 = 65_535;

impl Work<'_> {
    /// Lists the columns of a table that take more in the target than they took in the source.
    pub(super) fn loosened(&mut self, at: usize) {
        if !self.read.limits().binds {
            return;
        }
        let source = self.source_table(at);
        let mut looser = vec![];
        for (place, (from, to)) in source
            .columns
            .iter()
            .zip(&self.tables[at].columns)
            .enumerate()
        {
            // What somebody asked for is no surprise, and a number that the engine gives stays where it is.
            if to.forced.is_some() || to.counter.is_some() {
                continue;
            }
            // Anew: columns that refer to each other have been given one kind since.
            let own = self.read.kind_of(&Source {
                catalog: self.source,
                table: source,
                column: from,
                profile: self.evidence.of(source, place),
                caps: self.from,
            });
            if is_looser(&own.kind, &to.spelled.bounds, self.limits.binds) {
                looser.push(format!("{} {}", from.name, from.native));
            }
        }
        if looser.is_empty() {
            return;
        }
        let why = match self.limits.binds {
            true => "the target has no types as narrow as these, and takes more in these columns",
            false => {
                "the target's types bind nothing: it takes longer and larger values in these columns"
            }
        };
        let object = format!("lengths and ranges of {}", source.label());
        self.notes.lack(object, why, Some(looser.join(", ")));
    }
}

/// Whether a type of these bounds takes values that a kind does not.
fn is_looser(kind: &Kind, to: &Bounds, binds: bool) -> bool {
    match kind {
        Kind::Int { bits, unsigned } => {
            let (least, most) = super::kind::range(*bits, *unsigned);
            // Every engine's largest type is as wide as that.
            let widest = *bits == 64 && !*unsigned;
            let wider = |(from, till): (i128, i128)| from < least || till > most;
            !widest && (!binds || to.int.is_none_or(wider))
        }
        Kind::Decimal {
            digits: Some((all, scale)),
        } => !binds || to.digits != Some((all.saturating_sub(*scale), *scale)),
        Kind::Text {
            chars: Some(chars), ..
        } => !binds || to.chars.is_none_or(|most| most > *chars),
        Kind::Bytes {
            most: Some(bytes), ..
        } if *bytes < OWN_LIMIT => !binds || to.bytes.is_none_or(|most| most > *bytes),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_takes_more_than_it_took_is_looser() {
        let int = |bits, unsigned| Kind::Int { bits, unsigned };
        let ints = |least, most| Bounds {
            int: Some((least, most)),
            ..Bounds::default()
        };
        assert!(!is_looser(&int(16, false), &ints(-32_768, 32_767), true));
        assert!(is_looser(&int(16, true), &ints(-32_768, 32_767), true));
        assert!(is_looser(&int(8, false), &ints(-32_768, 32_767), true));
        assert!(is_looser(&int(16, false), &ints(-32_768, 32_767), false));
        assert!(!is_looser(&Kind::BIG, &Bounds::default(), false));
        assert!(is_looser(&int(64, true), &Bounds::default(), true));
        let text = |chars| Kind::Text { chars, bytes: None };
        let chars = |chars| Bounds {
            chars,
            ..Bounds::default()
        };
        assert!(!is_looser(&text(Some(20)), &chars(Some(20)), true));
        assert!(is_looser(&text(Some(20)), &chars(Some(21)), true));
        assert!(is_looser(&text(Some(20)), &chars(None), true));
        assert!(is_looser(&text(Some(20)), &chars(Some(20)), false));
        assert!(!is_looser(&text(None), &chars(None), false));
        let bytes = |most| Kind::Bytes { most, fixed: false };
        assert!(is_looser(&bytes(Some(65_534)), &Bounds::default(), true));
        assert!(!is_looser(&bytes(Some(65_535)), &Bounds::default(), true));
        let digits = |digits| Bounds {
            digits,
            ..Bounds::default()
        };
        let decimal = Kind::Decimal {
            digits: Some((5, 2)),
        };
        assert!(!is_looser(&decimal, &digits(Some((3, 2))), true));
        assert!(is_looser(&decimal, &digits(None), true));
        assert!(is_looser(&decimal, &digits(Some((3, 2))), false));
    }
}
