//! Which item of what is there stands for which of what should be there.

use std::collections::BTreeMap;

/// Two items of the same place: expected, actual.
pub(super) type Pair<'a, T> = (Option<&'a T>, Option<&'a T>);

/// Pairs by a key that says everything.
pub(super) fn by_key<'a, T, K: Ord>(
    expected: &'a [T],
    actual: &'a [T],
    key: impl Fn(&'a T) -> K,
) -> Vec<Pair<'a, T>> {
    let mut there: BTreeMap<K, &'a T> = actual.iter().map(|item| (key(item), item)).collect();
    let mut pairs: Vec<Pair<'a, T>> = expected
        .iter()
        .map(|item| (Some(item), there.remove(&key(item))))
        .collect();
    pairs.extend(there.into_values().map(|item| (None, Some(item))));
    pairs
}

/// Pairs items whose names may be of the engine's making: equal ones first, then equal ones of which one has such a
/// name (they count as the same), then by name, then equal ones under two names (renamed).
pub(super) fn by_content<'a, T>(
    expected: &'a [T],
    actual: &'a [T],
    name: impl Fn(&T) -> Option<&str>,
    same: impl Fn(&T, &T) -> bool,
    auto: impl Fn(&str) -> bool,
) -> Vec<Pair<'a, T>> {
    let mut left: Vec<&T> = expected.iter().collect();
    let mut right: Vec<&T> = actual.iter().collect();
    let mut pairs = vec![];
    let made = |item: &T| name(item).is_none_or(&auto);
    let mut take = |fits: &dyn Fn(&T, &T) -> bool,
                    keep: bool,
                    left: &mut Vec<&'a T>,
                    right: &mut Vec<&'a T>| {
        left.retain(
            |item| match right.iter().position(|other| fits(item, other)) {
                Some(at) => {
                    let other = right.remove(at);
                    if keep {
                        pairs.push((Some(*item), Some(other)));
                    }
                    false
                }
                None => true,
            },
        );
    };
    take(
        &|a, b| name(a) == name(b) && same(a, b),
        false,
        &mut left,
        &mut right,
    );
    take(
        &|a, b| (made(a) || made(b)) && same(a, b),
        false,
        &mut left,
        &mut right,
    );
    take(
        &|a, b| name(a).is_some() && name(a) == name(b),
        true,
        &mut left,
        &mut right,
    );
    take(&|a, b| same(a, b), true, &mut left, &mut right);
    pairs.extend(left.into_iter().map(|item| (Some(item), None)));
    pairs.extend(right.into_iter().map(|item| (None, Some(item))));
    pairs
}
