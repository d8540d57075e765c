//! Records of any length and number, sorted in bounded memory: runs on the disk, merged.

use crate::backup::private_file;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::PathBuf;

/// How many bytes are sorted in memory.
pub(super) const RUN_MAX: usize = 32 << 20;
/// What a record costs beside its bytes.
const OVERHEAD: usize = 32;

/// Takes records and sorts them.
pub(super) struct Sorter {
    stem: PathBuf,
    max: usize,
    run: Vec<Vec<u8>>,
    bytes: usize,
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
            bytes: 0,
            files: Runs(vec![]),
        }
    }

    pub(super) fn push(&mut self, record: Vec<u8>) -> io::Result<()> {
        self.bytes += record.len() + OVERHEAD;
        self.run.push(record);
        if self.bytes >= self.max {
            self.spill()?;
        }
        Ok(())
    }

    fn spill(&mut self) -> io::Result<()> {
        self.run.sort_unstable();
        let mut path = self.stem.clone().into_os_string();
        path.push(format!(".{}.run", self.files.0.len()));
        let path = PathBuf::from(path);
        let file = private_file(&path)?;
        self.files.0.push(path);
        let mut file = BufWriter::with_capacity(1 << 16, file);
        for record in &self.run {
            let length = u32::try_from(record.len()).map_err(io::Error::other)?;
            file.write_all(&length.to_le_bytes())?;
            file.write_all(record)?;
        }
        file.flush()?;
        self.run.clear();
        self.bytes = 0;
        Ok(())
    }

    /// All records, in order.
    pub(super) fn sorted(mut self) -> io::Result<Sorted> {
        self.run.sort_unstable();
        let mut sources = vec![Source::Memory(std::mem::take(&mut self.run).into_iter())];
        for path in &self.files.0 {
            sources.push(Source::File(BufReader::with_capacity(
                1 << 16,
                File::open(path)?,
            )));
        }
        let mut heads = BinaryHeap::new();
        for (at, source) in sources.iter_mut().enumerate() {
            if let Some(record) = source.next()? {
                heads.push(Reverse((record, at)));
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
    Memory(std::vec::IntoIter<Vec<u8>>),
    File(BufReader<File>),
}

impl Source {
    fn next(&mut self) -> io::Result<Option<Vec<u8>>> {
        match self {
            Source::Memory(records) => Ok(records.next()),
            Source::File(file) => {
                let mut length = [0; 4];
                match file.read_exact(&mut length) {
                    Ok(()) => {}
                    Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
                    Err(error) => return Err(error),
                }
                let mut record = vec![0; u32::from_le_bytes(length) as usize];
                file.read_exact(&mut record)?;
                Ok(Some(record))
            }
        }
    }
}

/// Records in order.
pub(super) struct Sorted {
    sources: Vec<Source>,
    heads: BinaryHeap<Reverse<(Vec<u8>, usize)>>,
    _files: Runs,
}

impl Sorted {
    /// The next record.
    pub(super) fn next(&mut self) -> io::Result<Option<Vec<u8>>> {
        let Some(Reverse((record, at))) = self.heads.pop() else {
            return Ok(None);
        };
        if let Some(next) = self.sources[at].next()? {
            self.heads.push(Reverse((next, at)));
        }
        Ok(Some(record))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn records_come_in_order_from_memory_and_from_the_disk() {
        let dir = tempfile::tempdir().unwrap();
        let mut sorter = Sorter::new(dir.path().join("x"), 4_000);
        let mut expected = vec![];
        for n in 0..1_000_u32 {
            let mixed = n.wrapping_mul(2_654_435_761);
            let record = mixed.to_be_bytes()[..(n % 4) as usize + 1].to_vec();
            expected.push(record.clone());
            sorter.push(record).unwrap();
        }
        expected.sort();
        assert!(
            std::fs::read_dir(dir.path()).unwrap().count() > 5,
            "runs on the disk"
        );
        let mut sorted = sorter.sorted().unwrap();
        let mut found = vec![];
        while let Some(record) = sorted.next().unwrap() {
            found.push(record);
        }
        assert_eq!(found, expected);
        drop(sorted);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
