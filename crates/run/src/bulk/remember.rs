//! Keys of rows, remembered as 16 bytes each: which rows were taken, which were left out.

use dunlin_core::copy::{Cell, RowHasher, Typing};
use dunlin_core::schema::NeutralType;
use std::collections::{BTreeMap, HashSet};

/// Sets of keys by table and columns.
#[derive(Debug, Default)]
pub(super) struct Remembered {
    sets: BTreeMap<(usize, Vec<String>), HashSet<u128>>,
}

impl Remembered {
    /// Notes a key.
    pub(super) fn note(&mut self, table: usize, columns: &[String], key: u128) {
        let set = self.sets.entry((table, columns.to_vec())).or_default();
        set.insert(key);
    }

    /// Whether a key was noted.
    pub(super) fn holds(&self, table: usize, columns: &[String], key: u128) -> bool {
        let set = self.sets.get(&(table, columns.to_vec()));
        set.is_some_and(|set| set.contains(&key))
    }

    /// Whether nothing was noted of a table.
    pub(super) fn is_empty(&self) -> bool {
        self.sets.is_empty()
    }
}

/// The hash of a key under the types of the columns referred to; `None` where a part is NULL: it refers to nothing.
pub(super) fn key_hash<'a>(
    cells: impl Iterator<Item = Cell<'a>> + Clone,
    types: &[NeutralType],
) -> Option<u128> {
    if cells.clone().any(|cell| matches!(cell, Cell::Null)) {
        return None;
    }
    // As values with classes of their own: text that spells a number refers to that number.
    let mut hasher = RowHasher::new(types.to_vec(), Typing::Dynamic);
    Some(hasher.row(cells))
}
