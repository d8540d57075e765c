//! The undo image of a batch: what it removed, changed and added, in its order, compressed.

use super::ground::{Ground, Known};
use crate::backup::image::{self, bad, values_in, values_out, weight};
use dunlin_core::value::Value;
use serde::{Deserialize, Serialize};
use std::io::Write;

/// The format of an image.
const FORMAT: u8 = 11;

/// What was done to one row.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Op {
    /// It was removed; all its stored columns.
    Removed(usize, Vec<Value>),
    /// It was changed: before, after.
    Changed(usize, Vec<Value>, Vec<Value>),
    /// It was added (to an archive); its key.
    Added(usize, Vec<Value>),
}

impl Op {
    /// The table.
    pub(super) fn table(&self) -> usize {
        let (Op::Removed(at, _) | Op::Changed(at, ..) | Op::Added(at, _)) = self;
        *at
    }

    /// About how many bytes its values have.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Op::Removed(_, row) | Op::Added(_, row) => weight(row),
            Op::Changed(_, before, after) => weight(before) + weight(after),
        }
    }
}

/// A table as it was when the image was made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Shape {
    pub(super) schema: Option<String>,
    pub(super) name: String,
    pub(super) columns: Vec<String>,
    pub(super) key: Vec<String>,
}

impl Shape {
    fn of(known: &Known) -> Shape {
        let name = |at: usize| known.bound.columns[at].shape.name.clone();
        Shape {
            schema: known.bound.schema.clone(),
            name: known.bound.table.clone(),
            columns: (0..known.bound.columns.len()).map(name).collect(),
            key: known.key.iter().map(|at| name(*at)).collect(),
        }
    }
}

/// An image: tables, and what was done to their rows; the numbers in `ops` are places in `tables`.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Image {
    pub(super) tables: Vec<Shape>,
    pub(super) ops: Vec<Op>,
}

/// Compresses what a batch did to tables of `ground`.
pub(super) fn pack(ground: &Ground, ops: &[Op]) -> std::io::Result<Vec<u8>> {
    let mut places: Vec<usize> = ops.iter().map(Op::table).collect();
    places.sort_unstable();
    places.dedup();
    let tables: Vec<Shape> = places
        .iter()
        .map(|at| Shape::of(&ground.tables[*at]))
        .collect();
    let place = |at: usize| places.binary_search(&at).unwrap_or_default();
    write(&tables, ops, place)
}

fn write(tables: &[Shape], ops: &[Op], place: impl Fn(usize) -> usize) -> std::io::Result<Vec<u8>> {
    let mut out = image::pack(FORMAT, &serde_json::to_vec(tables)?)?;
    for op in ops {
        let table = u32::try_from(place(op.table())).map_err(std::io::Error::other)?;
        let tag = match op {
            Op::Removed(..) => b'R',
            Op::Changed(..) => b'C',
            Op::Added(..) => b'A',
        };
        out.write_all(&[tag])?;
        out.write_all(&table.to_le_bytes())?;
        match op {
            Op::Removed(_, row) | Op::Added(_, row) => values_out(&mut out, row)?,
            Op::Changed(_, before, after) => {
                values_out(&mut out, before)?;
                values_out(&mut out, after)?;
            }
        }
    }
    out.write_all(b"E")?;
    out.finish()
}

/// What [`pack`] wrote.
pub(super) fn unpack(bytes: &[u8]) -> std::io::Result<Image> {
    let (head, mut reader) = image::unpack(FORMAT, bytes)?;
    let tables: Vec<Shape> = serde_json::from_str(&head)?;
    let mut ops = vec![];
    loop {
        let tag = reader.array::<1>()?[0];
        if tag == b'E' {
            return Ok(Image { tables, ops });
        }
        let at = u32::from_le_bytes(reader.array()?) as usize;
        let table = tables.get(at).ok_or_else(|| bad("a row of no table"))?;
        let mut cells = |count: usize| values_in(&mut reader, count);
        let width = table.columns.len();
        ops.push(match tag {
            b'R' => Op::Removed(at, cells(width)?),
            b'C' => Op::Changed(at, cells(width)?, cells(width)?),
            b'A' => Op::Added(at, cells(table.key.len())?),
            _ => return Err(bad("a record of no known kind")),
        });
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn an_image_comes_back_as_it_was() {
        let shape = |name: &str| Shape {
            schema: None,
            name: name.into(),
            columns: vec!["id".into(), "a\"b".into()],
            key: vec!["id".into()],
        };
        let row = |n: i64| vec![Value::Int(n), Value::Text("it's 🐦".into())];
        let tables = vec![shape("t"), shape("یک")];
        let ops = vec![
            Op::Changed(0, row(1), row(2)),
            Op::Removed(1, vec![Value::Bytes(vec![0, 255]), Value::Null]),
            Op::Added(1, vec![Value::UInt(u64::MAX)]),
        ];
        let packed = write(&tables, &ops, |at| at).unwrap();
        assert_eq!(unpack(&packed).unwrap(), Image { tables, ops });
        assert!(unpack(&packed[..packed.len() - 3]).is_err());
        assert!(unpack(b"").is_err());
    }
}
