//! Rows of a checkpoint's file and rows of the database, made comparable: both are hashed, whole and by their keys, and
//! taken by buckets of their keys' hashes, so that memory does not grow with the table.

use super::file::{Checkpoint, Saved};
use super::restore::{self, refused};
use crate::backup::archive::{Reader, cell_of, damaged};
use crate::backup::disk;
use dunlin_core::copy::reading::Bound;
use dunlin_core::copy::{Cell, RowHasher, Typing};
use dunlin_core::failure::Failure;
use dunlin_core::schema::NeutralType;
use dunlin_core::value::Value;
use dunlin_engines::Session;
use std::io::Read;
use std::path::Path;

/// Rows of one bucket: a hash of the key and one of the row, some 50 bytes each, are 20 MB.
const BUCKET_ROWS: u64 = 400_000;
/// How many keys of rows that were left alone are shown.
pub(super) const KEYS_SHOWN: usize = 20;

/// Hashes of rows and of their keys.
pub(super) struct Hashes {
    row: RowHasher,
    pub(super) key: RowHasher,
    /// Places of the key's columns.
    pub(super) places: Vec<usize>,
    /// How many buckets.
    pub(super) count: u32,
}

impl Hashes {
    pub(super) fn new(saved: &Saved, typing: Typing, rows: u64) -> Result<Hashes, Failure> {
        let place = |name: &String| saved.columns.iter().position(|column| column == name);
        let places: Option<Vec<usize>> = saved.key.iter().map(place).collect();
        let places = places.filter(|places| !places.is_empty()).ok_or_else(|| {
            let message = format!(
                "{} has no key by which a row of the checkpoint is found again",
                saved.label()
            );
            Failure::refused("no-unique-key", message)
                .hint("`dunlin checkpoint restore` by name needs none: it replaces every row")
        })?;
        let types: Vec<NeutralType> = places.iter().map(|at| saved.types[*at].clone()).collect();
        Ok(Hashes {
            row: RowHasher::new(saved.types.clone(), typing),
            key: RowHasher::new(types, typing),
            places,
            count: u32::try_from(rows / BUCKET_ROWS + 1).unwrap_or(u32::MAX),
        })
    }

    /// Of a row: its key's hash and its own.
    pub(super) fn of<'a>(&mut self, row: &[Cell<'a>]) -> (u128, u128) {
        let key = self.key.row(self.places.iter().map(|at| row[*at]));
        (key, self.row.row(row.iter().copied()))
    }

    pub(super) fn of_values(&mut self, row: &[Value]) -> (u128, u128) {
        let cells: Vec<Cell<'_>> = row.iter().map(cell_of).collect();
        self.of(&cells)
    }
}

/// The rows of one table of a checkpoint's file, one after the other.
pub(super) struct Stored<'s> {
    checkpoint: &'s Checkpoint,
    label: String,
    reader: Reader<Box<dyn Read + Send>>,
    tag: u8,
    current: Option<&'s Saved>,
}

impl<'s> Stored<'s> {
    pub(super) fn open(checkpoint: &'s Checkpoint, label: &str) -> Result<Self, Failure> {
        let content = restore::open(checkpoint)?;
        Ok(Stored {
            checkpoint,
            label: label.to_owned(),
            reader: content.reader,
            tag: content.tag,
            current: None,
        })
    }

    /// The next row; `None`: there are no more.
    pub(super) fn next(&mut self) -> Result<Option<Vec<Value>>, Failure> {
        let read = self.read();
        read.map_err(|error| damaged(&self.checkpoint.path, &error))
    }

    fn read(&mut self) -> std::io::Result<Option<Vec<Value>>> {
        loop {
            let row = match (self.tag, self.current) {
                (b'E', _) => return Ok(None),
                (b'T', _) => {
                    let found = self.reader.text()?;
                    let mut all = self.checkpoint.saved.iter();
                    self.current = all.find(|saved| saved.label() == found);
                    None
                }
                (b'R', Some(saved)) => {
                    let row = cells(&mut self.reader, saved.columns.len())?;
                    (saved.label() == self.label).then_some(row)
                }
                _ => return Err(std::io::Error::other("a record of no known kind")),
            };
            self.tag = self.reader.array::<1>()?[0];
            if row.is_some() {
                return Ok(row);
            }
        }
    }
}

/// Gives every row of one table of a checkpoint's file to `take`.
pub(super) fn each_row(
    checkpoint: &Checkpoint,
    label: &str,
    mut take: impl FnMut(Vec<Value>) -> std::io::Result<()>,
) -> Result<(), Failure> {
    let mut stored = Stored::open(checkpoint, label)?;
    while let Some(row) = stored.next()? {
        take(row).map_err(|error| disk(&checkpoint.path, &error))?;
    }
    Ok(())
}

pub(super) fn cells(reader: &mut Reader<impl Read>, width: usize) -> std::io::Result<Vec<Value>> {
    (0..width).map(|_| reader.cell()).collect()
}

/// Gives every row that the session sees now to `take`, as the checkpoint holds it.
pub(super) async fn each_now(
    session: &mut dyn Session,
    target: &Bound,
    mut take: impl FnMut(&[Cell<'_>]) -> std::io::Result<()>,
    path: &Path,
) -> Result<(), Failure> {
    let (change, tables) = (session.dialect().change(), std::slice::from_ref(target));
    // Where a statement keeps writers from the tables, the rows need no locks of their own.
    let sql = match change.hold(tables) {
        Some(_) => session.dialect().rows().select(target),
        None => change.select_locked(target),
    };
    let mut source = session
        .stream(&sql)
        .await
        .map_err(|error| refused(&error))?;
    while let Some(batch) = source.next().await.map_err(|error| refused(&error))? {
        for at in 0..batch.len() {
            let row: Vec<Cell<'_>> = batch.row(at).collect();
            take(&row).map_err(|error| disk(path, &error))?;
        }
    }
    Ok(())
}

pub(super) fn key_of(saved: &Saved, row: &[Value]) -> Vec<Value> {
    let place = |name: &String| saved.columns.iter().position(|column| column == name);
    let places = saved.key.iter().filter_map(place);
    places.filter_map(|at| row.get(at).cloned()).collect()
}

/// `id = 7`.
pub(super) fn shown_key(saved: &Saved, key: &[Value]) -> String {
    let parts = saved.key.iter().zip(key);
    let parts = parts.map(|(name, value)| format!("{name} = {}", value.shown()));
    parts.collect::<Vec<_>>().join(", ")
}
