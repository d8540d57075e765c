//! Records of any number, sorted in bounded memory: runs on the disk, merged.

use crate::backup::private_file;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::marker::PhantomData;
use std::path::PathBuf;

/// What is sorted.
pub(crate) trait Record: Ord + Sized {
    /// About how many bytes it takes in memory.
    fn bytes(&self) -> usize;
    /// Writes it where [`Record::read`] finds it.
    fn write(&self, out: &mut impl Write) -> io::Result<()>;
    /// The next one; `None`: there is no other.
    fn read(from: &mut impl Read) -> io::Result<Option<Self>>;
}

/// Reads bytes to the last; `false`: there is nothing any more.
fn filled(from: &mut impl Read, bytes: &mut [u8]) -> io::Result<bool> {
    match from.read_exact(bytes) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

impl<const N: usize> Record for [u8; N] {
    fn bytes(&self) -> usize {
        N
    }

    fn write(&self, out: &mut impl Write) -> io::Result<()> {
        out.write_all(self)
    }

    fn read(from: &mut impl Read) -> io::Result<Option<Self>> {
        let mut record = [0; N];
        Ok(filled(from, &mut record)?.then_some(record))
    }
}

impl Record for Vec<u8> {
    fn bytes(&self) -> usize {
        // What the allocation costs beside them.
        self.len() + 32
    }

    fn write(&self, out: &mut impl Write) -> io::Result<()> {
        let length = u32::try_from(self.len()).map_err(io::Error::other)?;
        out.write_all(&length.to_le_bytes())?;
        out.write_all(self)
    }

    fn read(from: &mut impl Read) -> io::Result<Option<Self>> {
        let mut length = [0; 4];
        if !filled(from, &mut length)? {
            return Ok(None);
        }
        let mut record = vec![0; u32::from_le_bytes(length) as usize];
        from.read_exact(&mut record)?;
        Ok(Some(record))
    }
}

/// Takes records and sorts them.
pub(crate) struct Sorter<R> {
    stem: PathBuf,
    max: usize,
    run: Vec<R>,
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

impl<R: Record> Sorter<R> {
    /// A sorter whose runs lie beside `stem`, each of so many bytes.
    pub(crate) fn new(stem: PathBuf, max: usize) -> Self {
        Sorter {
            stem,
            max,
            run: vec![],
            bytes: 0,
            files: Runs(vec![]),
        }
    }

    pub(crate) fn push(&mut self, record: R) -> io::Result<()> {
        self.bytes += record.bytes();
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
            record.write(&mut file)?;
        }
        file.flush()?;
        self.run.clear();
        self.bytes = 0;
        Ok(())
    }

    /// All records, in order.
    pub(crate) fn sorted(mut self) -> io::Result<Sorted<R>> {
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

enum Source<R> {
    Memory(std::vec::IntoIter<R>),
    File(Records<R>),
}

impl<R: Record> Source<R> {
    fn next(&mut self) -> Option<io::Result<R>> {
        match self {
            Source::Memory(records) => records.next().map(Ok),
            Source::File(records) => records.next(),
        }
    }
}

/// Records in order, once.
pub(crate) struct Sorted<R> {
    sources: Vec<Source<R>>,
    heads: BinaryHeap<Reverse<(R, usize)>>,
    _files: Runs,
}

impl<R: Record> Iterator for Sorted<R> {
    type Item = io::Result<R>;

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
pub(crate) struct Records<R>(BufReader<File>, PhantomData<R>);

impl<R: Record> Records<R> {
    pub(crate) fn new(file: File) -> Self {
        Records(BufReader::with_capacity(1 << 16, file), PhantomData)
    }
}

impl<R: Record> Iterator for Records<R> {
    type Item = io::Result<R>;

    fn next(&mut self) -> Option<Self::Item> {
        R::read(&mut self.0).transpose()
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
        let found: Vec<Vec<u8>> = sorter.sorted().unwrap().map(Result::unwrap).collect();
        assert_eq!(found, expected);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
