//! Names in the target: none too long, and no two alike where the target cannot tell them apart.

use std::collections::{BTreeMap, BTreeSet};

/// A name that is not too long: where it is cut, a hash of the whole stands at its end, so that two names with one
/// beginning stay two.
pub fn shortened(name: &str, most: usize, bytes: bool) -> String {
    let len = |text: &str| {
        if bytes {
            text.len()
        } else {
            text.chars().count()
        }
    };
    if len(name) <= most {
        return name.to_owned();
    }
    let hash = &blake3::hash(name.as_bytes()).to_hex()[..8];
    let room = most.saturating_sub(hash.len() + 1);
    let mut kept = String::new();
    for c in name.chars() {
        let size = if bytes { c.len_utf8() } else { 1 };
        if len(&kept) + size > room {
            break;
        }
        kept.push(c);
    }
    format!("{kept}_{hash}")
}

/// Names that are taken, in one scope each.
#[derive(Debug, Clone)]
pub struct Names {
    most: usize,
    bytes: bool,
    fold: bool,
    taken: BTreeMap<String, BTreeSet<String>>,
}

impl Names {
    /// No name is taken.
    pub fn new(most: usize, bytes: bool, fold: bool) -> Self {
        Names {
            most,
            bytes,
            fold,
            taken: BTreeMap::new(),
        }
    }

    fn key(&self, name: &str) -> String {
        if self.fold {
            name.to_lowercase()
        } else {
            name.to_owned()
        }
    }

    /// Takes a name in a scope; one that is taken or too long becomes another.
    pub fn take(&mut self, scope: &str, name: &str) -> String {
        let mut wanted = shortened(name, self.most, self.bytes);
        let mut number = 2;
        while self
            .taken
            .get(scope)
            .is_some_and(|taken| taken.contains(&self.key(&wanted)))
        {
            wanted = shortened(&format!("{name}_{number}"), self.most, self.bytes);
            number += 1;
        }
        let key = self.key(&wanted);
        self.taken.entry(scope.to_owned()).or_default().insert(key);
        wanted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s65_names_with_one_beginning_stay_two() {
        let (a, b) = (
            format!("{}a", "x".repeat(70)),
            format!("{}b", "x".repeat(70)),
        );
        let (short_a, short_b) = (shortened(&a, 63, true), shortened(&b, 63, true));
        assert_eq!(short_a.len(), 63);
        assert_ne!(short_a, short_b);
        assert_eq!(shortened(&"é".repeat(40), 63, true).len(), 63);
        assert_eq!(shortened("plain", 63, true), "plain");
    }

    #[test]
    fn a_name_that_is_taken_becomes_another() {
        let mut names = Names::new(64, false, true);
        assert_eq!(names.take("", "A"), "A");
        assert_eq!(names.take("", "a"), "a_2");
        assert_eq!(names.take("t", "a"), "a");
    }
}
