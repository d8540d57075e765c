//! A set of hashes of any number in bounded memory: what is full goes to the disk in order, and is looked for there.

use crate::backup::private_file;
use std::collections::HashSet;
use std::fs::File;
use std::io::{BufWriter, Error, Result, Write};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

/// How many are held in memory: with the table around them some nine megabytes.
const HELD: usize = 450_000;
/// Bytes of one.
const WIDTH: usize = 16;

/// Those that went to the disk together, in order.
struct Run {
    file: File,
    count: u64,
    /// Four bits for each, two of them marked: most of those that are not there are not looked for.
    bits: Vec<u64>,
}

impl Run {
    fn places(hash: u128, bits: usize) -> [usize; 2] {
        let of = |half: u64| usize::try_from(half % (bits as u64 * 64)).unwrap_or_default();
        [of(hash as u64), of((hash >> 64) as u64)]
    }

    fn write(path: &PathBuf, hashes: &HashSet<u128>) -> Result<Run> {
        let mut sorted: Vec<u128> = hashes.iter().copied().collect();
        sorted.sort_unstable();
        let file = private_file(path)?;
        // Nobody else looks for it, and it goes with the process.
        std::fs::remove_file(path)?;
        let mut bits = vec![0_u64; sorted.len() / 16 + 1];
        let mut out = BufWriter::with_capacity(1 << 16, &file);
        for hash in &sorted {
            out.write_all(&hash.to_be_bytes())?;
            for place in Run::places(*hash, bits.len()) {
                bits[place / 64] |= 1 << (place % 64);
            }
        }
        out.flush()?;
        drop(out);
        Ok(Run {
            file,
            count: sorted.len() as u64,
            bits,
        })
    }

    fn contains(&self, hash: u128) -> Result<bool> {
        let marked = |place: usize| self.bits[place / 64] & (1 << (place % 64)) != 0;
        if !Run::places(hash, self.bits.len()).into_iter().all(marked) {
            return Ok(false);
        }
        let (mut from, mut to) = (0, self.count);
        while from < to {
            let middle = from + (to - from) / 2;
            let mut bytes = [0; WIDTH];
            self.file.read_exact_at(&mut bytes, middle * WIDTH as u64)?;
            match u128::from_be_bytes(bytes).cmp(&hash) {
                std::cmp::Ordering::Equal => return Ok(true),
                std::cmp::Ordering::Less => from = middle + 1,
                std::cmp::Ordering::Greater => to = middle,
            }
        }
        Ok(false)
    }
}

/// The set.
#[derive(Default)]
pub(super) struct Marks {
    held: HashSet<u128>,
    runs: Vec<Run>,
    /// A look that failed is told with the next mark.
    failed: Mutex<Option<Error>>,
}

impl Marks {
    /// Whether a hash is there.
    pub(super) fn contains(&self, hash: u128) -> bool {
        if self.held.contains(&hash) {
            return true;
        }
        let look = |run: &Run| match run.contains(hash) {
            Ok(found) => found,
            Err(error) => {
                *self.failed.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                false
            }
        };
        self.runs.iter().any(look)
    }

    /// Adds one. `true`: there are so many now that they must go to the disk.
    pub(super) fn insert(&mut self, hash: u128) -> bool {
        self.held.insert(hash);
        self.held.len() >= HELD
    }

    /// Brings them to the disk, under this path for a moment.
    pub(super) fn spill(&mut self, path: &PathBuf) -> Result<()> {
        self.runs.push(Run::write(path, &self.held)?);
        self.held.clear();
        Ok(())
    }

    /// Whether every look has succeeded.
    pub(super) fn sound(&self) -> Result<()> {
        let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        failed.take().map_or(Ok(()), Err)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use dunlin_core::copy::digest::text_hash;

    #[test]
    fn what_went_to_the_disk_is_found_there_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("marks");
        let mut marks = Marks::default();
        let hash = |n: u32| text_hash(&n.to_string());
        for n in 0..10_000 {
            assert!(!marks.insert(hash(n)));
            if n % 3_000 == 2_999 {
                marks.spill(&path).unwrap();
                assert!(!path.exists());
            }
        }
        assert_eq!(marks.runs.len(), 3);
        for n in 0..10_000 {
            assert!(marks.contains(hash(n)), "{n}");
            assert!(!marks.contains(hash(n + 10_000)), "{n}");
        }
        marks.sound().unwrap();
    }
}
