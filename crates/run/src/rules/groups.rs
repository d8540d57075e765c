//! Rows that are there twice: read once, grouped by the canonical form of their columns, sorted on the disk.

use super::dates::Dates;
use super::ground::{Asked, Ground};
use crate::backup::archive::{Reader, cell_out};
use crate::backup::disk;
use crate::sorting::{Sorted, Sorter};
use crate::trouble;
use crate::world::World;
use dunlin_core::copy::{Cell, RowHasher};
use dunlin_core::failure::Failure;
use dunlin_core::rules::Kind;
use dunlin_core::rules::instant::Instant;
use dunlin_core::source::grammar::data::Keep;
use dunlin_core::value::Value;
use dunlin_engines::Session;
use std::path::PathBuf;

/// How many bytes are sorted in memory.
const RUN_MAX: usize = 32 << 20;

/// A row that is there already, and the one that stays.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Pair {
    /// The key of the row.
    pub(super) row: Vec<Value>,
    /// The key of the one that stays. `None`: the row stays as well, since its date cannot be read.
    pub(super) kept: Option<Vec<Value>>,
}

/// Pairs, in the order of their groups; those of one group have one row that stays.
pub(super) struct Pairs {
    sorted: Sorted<Vec<u8>>,
    path: PathBuf,
    width: usize,
    /// Of the group under way: its hash, and the key of the row that stays.
    group: Option<(Vec<u8>, Option<Vec<Value>>)>,
}

/// The hash of a group, and how the row ranks in it: 0 with a date, 1 without one, 2 with one that cannot be read.
const HASH: usize = 16;

impl Pairs {
    /// Reads the rows of a rule's table, in the snapshot that the session is in.
    pub(super) async fn read(
        world: &World,
        session: &mut dyn Session,
        ground: &Ground,
        asked: &Asked,
        dates: &mut Dates,
    ) -> Result<Pairs, Failure> {
        let Kind::Unique { keep, .. } = &asked.rule.kind else {
            return Err(super::not_askable(&asked.rule.id, "it compares no rows"));
        };
        let known = &ground.tables[asked.at()?];
        let key = &known.key;
        let mut columns: Vec<usize> = asked.columns.clone();
        columns.extend(key);
        columns.extend(asked.by);
        let types = asked
            .columns
            .iter()
            .map(|at| known.bound.columns[*at].ty.clone());
        let mut hasher = RowHasher::new(types.collect(), session.dialect().rows().typing());
        let sql = session
            .dialect()
            .rules()
            .select(&known.bound, &columns, None);
        let path = stem(world)?;
        let mut sorter = Sorter::new(path.clone(), RUN_MAX);
        let wrong =
            |error| trouble::refused(&error, &format!("rule `{}` cannot be asked", asked.rule.id));
        let mut source = session.stream(&sql).await.map_err(wrong)?;
        let (first, width) = (asked.columns.len(), key.len());
        while let Some(batch) = source.next().await.map_err(wrong)? {
            for at in 0..batch.len() {
                let cells: Vec<Cell<'_>> = batch.row(at).collect();
                let hash = hasher.row(cells[..first].iter().copied());
                let instant = match asked.by {
                    Some(_) => dates.read(cells[first + width]),
                    None => Instant::None,
                };
                let record = record(hash, instant, &cells[first..first + width], *keep);
                let record = record.map_err(|error| disk(&path, &error))?;
                sorter.push(record).map_err(|error| disk(&path, &error))?;
            }
        }
        let sorted = sorter.sorted().map_err(|error| disk(&path, &error))?;
        Ok(Pairs {
            sorted,
            path,
            width,
            group: None,
        })
    }

    /// The next one.
    pub(super) fn next(&mut self) -> Result<Option<Pair>, Failure> {
        let path = self.path.clone();
        self.read_next().map_err(|error| disk(&path, &error))
    }

    fn read_next(&mut self) -> std::io::Result<Option<Pair>> {
        while let Some(record) = self.sorted.next().transpose()? {
            let (hash, rest) = record.split_at(HASH);
            let unreadable = rest[0] == 2;
            let row = key(&record, self.width)?;
            match &self.group {
                Some((of, kept)) if of == hash => {
                    let kept = match unreadable {
                        true => None,
                        false => kept.clone(),
                    };
                    return Ok(Some(Pair { row, kept }));
                }
                _ => {
                    let kept = (!unreadable).then_some(row);
                    self.group = Some((hash.to_vec(), kept));
                }
            }
        }
        Ok(None)
    }
}

/// Where the runs of a sort lie: below the folder of the backups, for its owner alone.
pub(super) fn stem(world: &World) -> Result<PathBuf, Failure> {
    use std::os::unix::fs::DirBuilderExt;
    let folder = world.config.backup_dir.join(".dunlin-state");
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&folder)
        .map_err(|error| disk(&folder, &error))?;
    Ok(folder.join(format!(
        "rule-{}-{}",
        world.run_id(),
        crate::world::chance()
    )))
}

/// Bytes that sort as a row ranks in its group, and behind them its key and how long that is.
fn record(hash: u128, instant: Instant, key: &[Cell<'_>], keep: Keep) -> std::io::Result<Vec<u8>> {
    let mut out = hash.to_be_bytes().to_vec();
    let newest = keep == Keep::Newest;
    let (rank, at) = match instant {
        Instant::At(at) => (0, at),
        Instant::None => (1, 0),
        Instant::Unreadable => (2, 0),
    };
    out.push(rank);
    let from = out.len();
    // With the sign turned over, big-endian bytes sort as the numbers do.
    out.extend_from_slice(&((at as u64) ^ (1 << 63)).to_be_bytes());
    for cell in key {
        rank_of(*cell, &mut out);
    }
    if newest {
        out[from..].iter_mut().for_each(|byte| *byte = !*byte);
    }
    let begins = out.len();
    for cell in key {
        cell_out(&mut out, *cell)?;
    }
    let length = u32::try_from(out.len() - begins).map_err(std::io::Error::other)?;
    out.extend_from_slice(&length.to_be_bytes());
    Ok(out)
}

/// A part of a key as bytes that sort: numbers by their size, texts by their bytes.
fn rank_of(cell: Cell<'_>, out: &mut Vec<u8>) {
    let mut text = |class: u8, bytes: &[u8]| {
        out.push(class);
        for byte in bytes {
            out.push(*byte);
            // A zero within a text is told from its end.
            if *byte == 0 {
                out.push(0xff);
            }
        }
        out.extend_from_slice(&[0, 0]);
    };
    match cell {
        Cell::Null => out.push(0),
        Cell::Bool(b) => out.extend_from_slice(&[1, u8::from(b)]),
        Cell::Int(n) => {
            out.push(2);
            out.extend_from_slice(&(i128::from(n) + (1 << 64)).to_be_bytes());
        }
        Cell::UInt(n) => {
            out.push(2);
            out.extend_from_slice(&(i128::from(n) + (1 << 64)).to_be_bytes());
        }
        Cell::Float(n) => out.extend_from_slice(&float(n)),
        Cell::Float32(n) => out.extend_from_slice(&float(n.into())),
        Cell::Text(value) => text(4, value.as_bytes()),
        Cell::BadText(bytes) | Cell::Bytes(bytes) => text(5, bytes),
    }
}

fn float(n: f64) -> [u8; 9] {
    let bits = n.to_bits();
    let ordered = if bits >> 63 == 1 {
        !bits
    } else {
        bits ^ (1 << 63)
    };
    let mut out = [3; 9];
    out[1..].copy_from_slice(&ordered.to_be_bytes());
    out
}

/// The key of a record.
fn key(record: &[u8], width: usize) -> std::io::Result<Vec<Value>> {
    let bad = || std::io::Error::other("a record of no known form");
    let end = record.len().checked_sub(4).ok_or_else(bad)?;
    let length = u32::from_be_bytes(record[end..].try_into().map_err(|_| bad())?) as usize;
    let from = end.checked_sub(length).ok_or_else(bad)?;
    let mut reader = Reader(&record[from..end]);
    (0..width).map(|_| reader.cell()).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn order(keep: Keep, rows: &[(Instant, i64)]) -> Vec<i64> {
        let mut records: Vec<Vec<u8>> = rows
            .iter()
            .map(|(instant, n)| record(7, *instant, &[Cell::Int(*n)], keep).unwrap())
            .collect();
        records.sort();
        let of = |record: &Vec<u8>| key(record, 1).unwrap()[0].as_i64().unwrap();
        records.iter().map(of).collect()
    }

    #[test]
    fn the_first_of_a_group_is_the_one_that_stays() {
        use Instant::{At, None, Unreadable};
        let rows = [
            (At(5), 9),
            (None, 1),
            (At(-5), 10),
            (At(5), 2),
            (Unreadable, 0),
            (None, -3),
        ];
        assert_eq!(order(Keep::Oldest, &rows), [10, 2, 9, -3, 1, 0]);
        assert_eq!(order(Keep::Newest, &rows), [9, 2, 10, 1, -3, 0]);
    }

    #[test]
    fn keys_sort_as_numbers_and_texts_do() {
        let sorted = |cells: &[Cell<'_>]| {
            let mut ranks: Vec<Vec<u8>> = vec![];
            for cell in cells {
                let mut out = vec![];
                rank_of(*cell, &mut out);
                ranks.push(out);
            }
            ranks.is_sorted()
        };
        assert!(sorted(&[
            Cell::Int(i64::MIN),
            Cell::Int(-1),
            Cell::Int(0),
            Cell::UInt(u64::MAX)
        ]));
        assert!(sorted(&[
            Cell::Float(-2.0),
            Cell::Float(-0.5),
            Cell::Float(0.0),
            Cell::Float(3.0)
        ]));
        assert!(sorted(&[
            Cell::Text(""),
            Cell::Text("a"),
            Cell::Text("a\0"),
            Cell::Text("ab"),
            Cell::Text("b")
        ]));
    }
}
