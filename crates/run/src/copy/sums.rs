//! Digests of a table in parts: those that differ are looked at again, and the others are not. However many rows there are,
//! memory stays bounded and the engines never have to sort.
//!
//! Rows are parted by what their key is, so that an engine can be asked for the rows of the parts that differ: stretches of
//! whole numbers, endings of texts. Where neither can be, or such parts are too large, by the hash of the key: then both
//! sides are read whole once more.

use super::pair::{Canonical, Forming, Naming};
use dunlin_core::copy::digest::{bucket, row_hash};
use dunlin_core::copy::encode::{text, whole};
use dunlin_core::copy::reading::{Bound, ColumnShape};
use dunlin_core::copy::{Cell, Digest};
use dunlin_core::dialect::Dialect;
use dunlin_core::dialect::parts::{Stretch, select_endings, select_stretches};
use dunlin_engines::scan::RowVisitor;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::ControlFlow;
use std::sync::Arc;

/// Into how many parts rows are sorted: 4096 · 2 · 32 bytes is 256 kB, and of a million rows each holds 250.
const PARTS: u32 = 4_096;
/// How many characters an ending has: of three hexadecimal digits there are 4,096, of three decimal ones 1,000.
const ENDING: usize = 3;
/// How many endings are told apart.
const ENDINGS: usize = 8_192;
/// How many rows of differing parts are held at once: at some 200 bytes each 10 MB.
const HELD: u64 = 50_000;
/// How many stretches are asked for one by one, and how many endings at once.
const ASKED: usize = 64;

/// By what rows are parted.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum By {
    /// The hash of the key, or of the whole row where it has none.
    Hash,
    /// The key, a whole number: so many to a part, from the least on.
    Number {
        /// The least of them, as it was asked for: those below it are in the first part.
        least: i128,
        /// How many.
        width: i128,
    },
    /// The last characters of the key, a text.
    Ending,
}

impl By {
    /// Whole numbers between these.
    pub(super) fn number(least: i128, largest: i128) -> By {
        let width = (largest - least).max(0) / i128::from(PARTS) + 1;
        By::Number { least, width }
    }
}

/// Where a row belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    Part(u32),
    Ending(u128),
    /// Its key is not what keys are here (NULL, a value that does not fit).
    Odd,
}

/// An ending in one number: at most twelve bytes, and how many.
fn packed(ending: &str) -> u128 {
    let bytes = ending.bytes().take(15);
    let (len, value) = bytes.fold((0_u128, 0_u128), |(len, value), byte| {
        (len + 1, value << 8 | u128::from(byte))
    });
    len << 120 | value
}

fn unpacked(packed: u128) -> String {
    let bytes = packed.to_be_bytes();
    let len = usize::from(bytes[0]).min(15);
    String::from_utf8_lossy(&bytes[16 - len..]).into_owned()
}

fn ending(text: &str) -> &str {
    match text.char_indices().rev().nth(ENDING - 1) {
        Some((from, _)) => &text[from..],
        None => text,
    }
}

fn place(by: &By, key: &[usize], row: &Canonical) -> Place {
    let only = || key.first().map(|at| row.column(*at));
    match by {
        By::Hash => Place::Part(bucket(row.key(key), PARTS)),
        By::Number { least, width } => match only().and_then(whole) {
            Some(n) => {
                let part = (n - least).max(0) / width;
                Place::Part(u32::try_from(part).unwrap_or(PARTS).min(PARTS - 1))
            }
            None => Place::Odd,
        },
        By::Ending => match only().and_then(text) {
            Some(text) => Place::Ending(packed(ending(text))),
            None => Place::Odd,
        },
    }
}

/// The digest of a table, and of each part of it.
pub(super) struct Sums {
    by: By,
    key: Vec<usize>,
    /// Of all rows.
    pub(super) all: Digest,
    parts: Vec<Digest>,
    endings: HashMap<u128, Digest>,
    odd: Digest,
    /// There are more endings than are told apart, or only the digest of all is left.
    lost: bool,
}

impl Sums {
    pub(super) fn new(by: By, key: &[usize]) -> Sums {
        let parts = match by {
            By::Ending => 0,
            _ => PARTS as usize,
        };
        Sums {
            by,
            key: key.to_vec(),
            all: Digest::default(),
            parts: vec![Digest::default(); parts],
            endings: HashMap::new(),
            odd: Digest::default(),
            lost: false,
        }
    }

    fn add(&mut self, row: &Canonical) {
        let hash = row_hash(&row.bytes);
        self.all.add(hash);
        if self.lost {
            return;
        }
        match place(&self.by, &self.key, row) {
            Place::Part(at) => self.parts[at as usize].add(hash),
            Place::Odd => self.odd.add(hash),
            Place::Ending(ending) => {
                self.endings.entry(ending).or_default().add(hash);
                if self.endings.len() > ENDINGS {
                    self.forget();
                }
            }
        }
    }

    /// Forgets all but the digest of all rows.
    pub(super) fn forget(&mut self) {
        self.lost = true;
        self.parts = vec![];
        self.endings = HashMap::new();
    }

    fn of(&self, place: Place) -> Digest {
        match place {
            Place::Part(at) => self.parts.get(at as usize).copied().unwrap_or_default(),
            Place::Ending(ending) => self.endings.get(&ending).copied().unwrap_or_default(),
            Place::Odd => self.odd,
        }
    }

    fn places(&self) -> impl Iterator<Item = Place> {
        let parts = (0..self.parts.len()).map(|at| Place::Part(at as u32));
        let endings = self.endings.keys().map(|ending| Place::Ending(*ending));
        parts.chain(endings).chain([Place::Odd])
    }
}

/// The parts that differ.
pub(super) struct Wanted {
    by: By,
    key: Vec<usize>,
    parts: BTreeSet<Place>,
    /// There are more than are looked at at once.
    pub(super) more: bool,
}

impl Wanted {
    /// The parts that differ, as many as can be held. `None`: they are not known, or larger than they may be.
    pub(super) fn of(ours: &Sums, theirs: &Sums) -> Option<Wanted> {
        if ours.lost || theirs.lost || ours.by != theirs.by {
            return None;
        }
        let mut wanted = Wanted {
            by: ours.by.clone(),
            key: ours.key.clone(),
            parts: BTreeSet::new(),
            more: false,
        };
        let mut held = 0;
        let places: BTreeSet<Place> = ours.places().chain(theirs.places()).collect();
        for place in places {
            let (a, b) = (ours.of(place), theirs.of(place));
            if a == b {
                continue;
            }
            held += a.rows.max(b.rows);
            if held > HELD && wanted.by != By::Hash && wanted.parts.is_empty() {
                return None;
            }
            if held > HELD && !wanted.parts.is_empty() {
                wanted.more = true;
                break;
            }
            wanted.parts.insert(place);
        }
        Some(wanted)
    }

    fn has(&self, row: &Canonical) -> bool {
        self.parts.contains(&place(&self.by, &self.key, row))
    }

    /// The queries for at least the rows of these parts. `key`: the column by which they are parted, where that is one whose
    /// values the engine compares as they are compared here.
    pub(super) fn selects(
        &self,
        dialect: &dyn Dialect,
        table: &Bound,
        key: Option<&ColumnShape>,
    ) -> Vec<String> {
        let asked = key.and_then(|key| match &self.by {
            By::Hash => None,
            By::Number { least, width } => {
                let stretches = self.stretches(*least, *width)?;
                let column = dialect.quote(&key.name);
                Some(select_stretches(dialect.rows(), table, &column, &stretches))
            }
            By::Ending => {
                let endings = self.endings()?;
                let endings: Vec<&str> = endings.iter().map(String::as_str).collect();
                let select = select_endings(dialect.rows(), table, key, &endings, ENDING);
                Some(vec![select?])
            }
        });
        asked.unwrap_or_else(|| vec![dialect.rows().select(table)])
    }

    /// The stretches of numbers: parts side by side are one.
    fn stretches(&self, least: i128, width: i128) -> Option<Vec<Stretch>> {
        let mut found: Vec<(u32, u32)> = vec![];
        for place in &self.parts {
            match (place, found.last_mut()) {
                (Place::Part(at), Some((_, last))) if *last + 1 == *at => *last = *at,
                (Place::Part(at), _) => found.push((*at, *at)),
                _ => return None,
            }
        }
        let stretch = |(first, last): &(u32, u32)| {
            // What lies outside of what was asked for belongs to the first and the last.
            let from = (*first > 0).then(|| least + i128::from(*first) * width);
            let below = (*last + 1 < PARTS).then(|| least + i128::from(last + 1) * width);
            (from, below)
        };
        (found.len() <= ASKED).then(|| found.iter().map(stretch).collect())
    }

    fn endings(&self) -> Option<Vec<String>> {
        let plain = |c: char| !c.is_control() && !matches!(c, '\'' | '\\');
        let ending = |place: &Place| match place {
            Place::Ending(ending) => Some(unpacked(*ending)).filter(|text| text.chars().all(plain)),
            _ => None,
        };
        let all: Option<Vec<String>> = self.parts.iter().map(ending).collect();
        all.filter(|all| all.len() <= ASKED)
    }
}

/// Adds rows up.
pub(super) struct Summing<L> {
    pub(super) forming: Forming,
    pub(super) sums: Sums,
    /// What else looks at each row.
    pub(super) look: L,
}

/// What looks at rows beside something else.
pub(super) trait Looks: Send + 'static {
    /// Looks at a row.
    fn look(&mut self, cells: &[Cell<'_>]);
}

impl Looks for () {
    fn look(&mut self, _cells: &[Cell<'_>]) {}
}

impl<L: Looks> Looks for Option<L> {
    fn look(&mut self, cells: &[Cell<'_>]) {
        if let Some(look) = self {
            look.look(cells);
        }
    }
}

impl<L: Looks> RowVisitor for Summing<L> {
    fn row(&mut self, cells: &[Cell<'_>]) -> ControlFlow<()> {
        self.look.look(cells);
        self.sums.add(self.forming.of(cells));
        ControlFlow::Continue(())
    }
}

/// A row of a part that differs.
pub(super) struct Held {
    /// Hashes of its columns.
    pub(super) columns: Vec<u128>,
    /// Its key, as a report names it.
    pub(super) key: serde_json::Value,
    /// How many there are of this key.
    pub(super) times: u32,
    /// All rows of this key together.
    pub(super) all: Digest,
}

/// Holds the rows of parts that differ, by the hashes of their keys.
pub(super) struct Holding {
    pub(super) forming: Forming,
    pub(super) wanted: Arc<Wanted>,
    pub(super) naming: Naming,
    pub(super) held: BTreeMap<u128, Held>,
}

impl RowVisitor for Holding {
    fn row(&mut self, cells: &[Cell<'_>]) -> ControlFlow<()> {
        let row = self.forming.of(cells);
        if self.wanted.has(row) {
            let held = self.held.entry(row.key(&self.wanted.key));
            let held = held.or_insert_with(|| Held {
                columns: row.hashes(),
                key: self.naming.of(cells),
                times: 0,
                all: Digest::default(),
            });
            held.times += 1;
            held.all.add(row_hash(&row.bytes));
        }
        ControlFlow::Continue(())
    }
}

#[cfg(test)]
#[path = "sums_tests.rs"]
mod tests;
