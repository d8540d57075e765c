//! The undo image of a batch: what it removed, changed and added, in its order, compressed.

use super::ground::{Ground, Known};
use crate::backup::archive::{Reader, cell_of, cell_out, put};
use dunlin_core::value::Value;
use serde::{Deserialize, Serialize};
use std::io::Write;

/// The format of an image.
const FORMAT: u8 = 11;
/// zstd's level: its own default.
const LEVEL: i32 = 3;
/// The largest image that is unpacked: a batch holds some megabytes.
const UNPACKED_MAX: u64 = 1 << 30;

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
        let of = |values: &[Value]| -> usize {
            let size = |value: &Value| match value {
                Value::Text(text) => text.len(),
                Value::Bytes(bytes) => bytes.len(),
                _ => 8,
            };
            values.iter().map(size).sum()
        };
        match self {
            Op::Removed(_, row) | Op::Added(_, row) => of(row),
            Op::Changed(_, before, after) => of(before) + of(after),
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
    let mut out = zstd::Encoder::new(vec![], LEVEL)?;
    put(&mut out, FORMAT, &serde_json::to_vec(tables)?)?;
    let values = |out: &mut zstd::Encoder<'_, Vec<u8>>, values: &[Value]| {
        values
            .iter()
            .try_for_each(|value| cell_out(out, cell_of(value)))
    };
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
            Op::Removed(_, row) | Op::Added(_, row) => values(&mut out, row)?,
            Op::Changed(_, before, after) => {
                values(&mut out, before)?;
                values(&mut out, after)?;
            }
        }
    }
    out.write_all(b"E")?;
    out.finish()
}

/// What [`pack`] wrote.
pub(super) fn unpack(bytes: &[u8]) -> std::io::Result<Image> {
    use std::io::Read;
    let bad = |why: &str| std::io::Error::other(why.to_owned());
    let decoder = zstd::Decoder::new(bytes)?.take(UNPACKED_MAX);
    let mut reader = Reader(std::io::BufReader::new(decoder));
    if reader.array::<1>()?[0] != FORMAT {
        return Err(bad("an image of another format"));
    }
    let tables: Vec<Shape> = serde_json::from_str(&reader.text()?)?;
    let mut ops = vec![];
    loop {
        let tag = reader.array::<1>()?[0];
        if tag == b'E' {
            return Ok(Image { tables, ops });
        }
        let at = u32::from_le_bytes(reader.array()?) as usize;
        let table = tables.get(at).ok_or_else(|| bad("a row of no table"))?;
        let mut cells = |count: usize| {
            let cells = (0..count).map(|_| reader.cell());
            cells.collect::<std::io::Result<Vec<Value>>>()
        };
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
