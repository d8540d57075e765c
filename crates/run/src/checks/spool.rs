//! The rows of a table as sorted records: kept in a file, and compared with what is there later.

use super::state::Sealing;
use crate::sorting::Sorted;
use std::io;
use std::path::Path;

/// A row: 16 bytes of its key, 16 of its content.
pub(super) type Record = [u8; 32];

/// How many bytes are sorted in memory: half a million records.
pub(super) const RUN_MAX: usize = 16 << 20;

/// Writes sorted records into a file, and gives its hash.
pub(super) fn save(sorted: Sorted<Record>, path: &Path) -> io::Result<String> {
    let mut file = Sealing::create(path)?;
    for record in sorted {
        file.write(&record?)?;
    }
    file.seal()
}

/// What of before is not there any more.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Lost {
    /// Rows of a key that is gone.
    pub missing: u64,
    /// Rows whose key is there with another content.
    pub altered: u64,
    /// The first keys of them.
    pub keys: Vec<[u8; 16]>,
}

/// How many keys are told.
const KEYS_MAX: usize = 5;

/// Compares two sorted sets of records. What is only in the second is none of our business.
pub(super) fn lost(
    before: impl Iterator<Item = io::Result<Record>>,
    after: impl Iterator<Item = io::Result<Record>>,
) -> io::Result<Lost> {
    let (mut before, mut after) = (before.peekable(), after.peekable());
    let mut found = Lost::default();
    let (mut group, mut gone, mut come) = ([0_u8; 16], 0_u64, 0_u64);
    let key = |record: &Record| -> [u8; 16] {
        let mut key = [0; 16];
        key.copy_from_slice(&record[..16]);
        key
    };
    loop {
        let head =
            |next: Option<&io::Result<Record>>| next.and_then(|next| next.as_ref().ok().copied());
        // A fault is handed on by whoever takes it.
        let broken = matches!(before.peek(), Some(Err(_))) || matches!(after.peek(), Some(Err(_)));
        if broken {
            before.next().transpose()?;
            after.next().transpose()?;
            continue;
        }
        let (old, new) = (head(before.peek()), head(after.peek()));
        let next = match (old, new) {
            (None, None) => None,
            (Some(old), Some(new)) => Some(key(&old.min(new))),
            (old, new) => old.or(new).as_ref().map(key),
        };
        if next != Some(group) {
            let altered = gone.min(come);
            found.altered += altered;
            found.missing += gone - altered;
            if gone > 0 && found.keys.len() < KEYS_MAX {
                found.keys.push(group);
            }
            (gone, come) = (0, 0);
        }
        let Some(next) = next else {
            return Ok(found);
        };
        group = next;
        match (old, new) {
            (Some(old), Some(new)) if old == new => {
                before.next();
                after.next();
            }
            (Some(old), Some(new)) if old < new => {
                gone += 1;
                before.next();
            }
            (Some(_), None) => {
                gone += 1;
                before.next();
            }
            _ => {
                come += 1;
                after.next();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::sorting::{Records, Sorter};

    fn record(key: u8, content: u8) -> Record {
        let mut record = [0; 32];
        record[15] = key;
        record[31] = content;
        record
    }

    fn of(records: &[(u8, u8)]) -> impl Iterator<Item = io::Result<Record>> + use<> {
        let mut all: Vec<Record> = records
            .iter()
            .map(|(key, content)| record(*key, *content))
            .collect();
        all.sort_unstable();
        all.into_iter().map(Ok)
    }

    #[test]
    fn what_is_gone_and_what_is_altered_are_told_apart() {
        let before = [(1, 1), (2, 1), (3, 1), (5, 9)];
        let found = |after: &[(u8, u8)]| {
            let lost = lost(of(&before), of(after)).unwrap();
            let keys: Vec<u8> = lost.keys.iter().map(|key| key[15]).collect();
            (lost.missing, lost.altered, keys)
        };
        assert_eq!(found(&before), (0, 0, vec![]));
        assert_eq!(
            found(&[(0, 0), (1, 1), (2, 1), (3, 1), (4, 4), (5, 9), (6, 6)]),
            (0, 0, vec![])
        );
        assert_eq!(found(&[(1, 1), (2, 2), (3, 1), (5, 8)]), (0, 2, vec![2, 5]));
        assert_eq!(found(&[(1, 1), (3, 0), (5, 9)]), (1, 1, vec![2, 3]));
        assert_eq!(found(&[]), (4, 0, vec![1, 2, 3, 5]));
        // The same row several times counts as often.
        let twice = lost(of(&[(1, 1), (1, 1)]), of(&[(1, 1)])).unwrap();
        assert_eq!((twice.missing, twice.altered), (1, 0));
    }

    #[test]
    fn records_are_sorted_whatever_their_number() {
        let folder = tempfile::tempdir().unwrap();
        let mut sorter = Sorter::new(folder.path().join("s"), 320);
        for n in 0..95_u8 {
            sorter.push(record(n.wrapping_mul(37), n)).unwrap();
        }
        let files = || std::fs::read_dir(folder.path()).unwrap().count();
        assert_eq!(files(), 9);
        let path = folder.path().join("out");
        let blake3 = save(sorter.sorted().unwrap(), &path).unwrap();
        assert_eq!(files(), 1, "runs are removed");
        let records: Vec<Record> = Records::new(super::super::state::open(&path, &blake3).unwrap())
            .map(Result::unwrap)
            .collect();
        assert_eq!(records.len(), 95);
        assert!(records.is_sorted());
        std::fs::write(&path, b"other").unwrap();
        assert!(super::super::state::open(&path, &blake3).is_err());
    }
}
