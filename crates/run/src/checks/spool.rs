//! Records of any number, sorted in bounded memory: runs on the disk, merged.

use super::state::Sealing;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

/// A row: 16 bytes of its key, 16 of its content.
pub(super) type Record = [u8; 32];

/// How many records are sorted in memory: half a million are sixteen megabytes.
pub(super) const RUN_MAX: usize = 500_000;

/// Takes records and sorts them.
pub(super) struct Sorter {
    stem: PathBuf,
    max: usize,
    run: Vec<Record>,
    files: Runs,
}

/// The files of runs, removed with this value.
struct Runs(Vec<PathBuf>);

impl Drop for Runs {
    fn drop(&mut self) {
        for path in &self.0 {
            let _ = std::fs::remove_file(path);
        }
    }
}

impl Sorter {
    /// A sorter whose runs lie beside `stem`.
    pub(super) fn new(stem: PathBuf, max: usize) -> Self {
        Sorter {
            stem,
            max,
            run: vec![],
            files: Runs(vec![]),
        }
    }

    pub(super) fn push(&mut self, record: Record) -> io::Result<()> {
        self.run.push(record);
        if self.run.len() >= self.max {
            self.spill()?;
        }
        Ok(())
    }

    fn spill(&mut self) -> io::Result<()> {
        self.run.sort_unstable();
        let mut path = self.stem.clone().into_os_string();
        path.push(format!(".{}.run", self.files.0.len()));
        let path = PathBuf::from(path);
        let file = crate::backup::private_file(&path)?;
        self.files.0.push(path);
        let mut file = BufWriter::with_capacity(1 << 16, file);
        for record in &self.run {
            file.write_all(record)?;
        }
        file.flush()?;
        self.run.clear();
        Ok(())
    }

    /// All records, in order.
    pub(super) fn sorted(mut self) -> io::Result<Sorted> {
        self.run.sort_unstable();
        let mut sources = vec![Source::Memory(std::mem::take(&mut self.run).into_iter())];
        for path in &self.files.0 {
            sources.push(Source::File(Records::new(File::open(path)?)));
        }
        let mut heads = BinaryHeap::new();
        for (at, source) in sources.iter_mut().enumerate() {
            if let Some(record) = source.next() {
                heads.push(Reverse((record?, at)));
            }
        }
        Ok(Sorted {
            sources,
            heads,
            _files: std::mem::replace(&mut self.files, Runs(vec![])),
        })
    }
}

enum Source {
    Memory(std::vec::IntoIter<Record>),
    File(Records),
}

impl Source {
    fn next(&mut self) -> Option<io::Result<Record>> {
        match self {
            Source::Memory(records) => records.next().map(Ok),
            Source::File(records) => records.next(),
        }
    }
}

/// Records in order, once.
pub(super) struct Sorted {
    sources: Vec<Source>,
    heads: BinaryHeap<Reverse<(Record, usize)>>,
    _files: Runs,
}

impl Iterator for Sorted {
    type Item = io::Result<Record>;

    fn next(&mut self) -> Option<Self::Item> {
        let Reverse((record, at)) = self.heads.pop()?;
        match self.sources[at].next() {
            Some(Ok(next)) => self.heads.push(Reverse((next, at))),
            Some(Err(error)) => return Some(Err(error)),
            None => {}
        }
        Some(Ok(record))
    }
}

/// The records of a file.
pub(super) struct Records(BufReader<File>);

impl Records {
    pub(super) fn new(file: File) -> Self {
        Records(BufReader::with_capacity(1 << 16, file))
    }
}

impl Iterator for Records {
    type Item = io::Result<Record>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut record = [0; 32];
        match self.0.read_exact(&mut record) {
            Ok(()) => Some(Ok(record)),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => None,
            Err(error) => Some(Err(error)),
        }
    }
}

/// Writes sorted records into a file, and gives its hash.
pub(super) fn save(sorted: Sorted, path: &Path) -> io::Result<String> {
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
        let mut sorter = Sorter::new(folder.path().join("s"), 10);
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
