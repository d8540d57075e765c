//! The undo image of a batch: compressed, for each row its key, and the old and new values of every column kept.

use crate::backup::archive::{Reader, cell_of, cell_out, put};
use dunlin_core::value::Value;
use std::io::Write;

/// The format of an image.
const FORMAT: u8 = 1;
/// zstd's level: its own default.
const LEVEL: i32 = 3;
/// The largest image that is unpacked: a batch holds some megabytes.
const UNPACKED_MAX: u64 = 1 << 30;

/// What one batch changed.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Image {
    /// The columns of the key.
    pub(super) key: Vec<String>,
    /// The columns kept.
    pub(super) columns: Vec<String>,
    /// The last key that the batch looked at: the next one begins after it.
    pub(super) last: Vec<Value>,
    /// The rows.
    pub(super) rows: Vec<ImageRow>,
}

/// One row.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct ImageRow {
    /// Its key.
    pub(super) key: Vec<Value>,
    /// What its columns held.
    pub(super) old: Vec<Value>,
    /// What the batch left in them.
    pub(super) new: Vec<Value>,
}

impl Image {
    /// Compressed.
    pub(super) fn pack(&self) -> std::io::Result<Vec<u8>> {
        let mut out = zstd::Encoder::new(vec![], LEVEL)?;
        let head = serde_json::json!({ "key": self.key, "columns": self.columns });
        put(&mut out, FORMAT, head.to_string().as_bytes())?;
        values_out(&mut out, &self.last)?;
        for row in &self.rows {
            out.write_all(b"R")?;
            for values in [&row.key, &row.old, &row.new] {
                values_out(&mut out, values)?;
            }
        }
        out.write_all(b"E")?;
        out.finish()
    }

    /// What [`Image::pack`] wrote.
    pub(super) fn unpack(bytes: &[u8]) -> std::io::Result<Image> {
        use std::io::Read;
        let bad = |why: &str| std::io::Error::other(why.to_owned());
        let decoder = zstd::Decoder::new(bytes)?.take(UNPACKED_MAX);
        let mut reader = Reader(std::io::BufReader::new(decoder));
        if reader.array::<1>()?[0] != FORMAT {
            return Err(bad("an image of another format"));
        }
        let head: serde_json::Value = serde_json::from_str(&reader.text()?)?;
        let names = |what: &str| -> Vec<String> {
            let list = head[what].as_array().into_iter().flatten();
            list.filter_map(|name| name.as_str().map(str::to_owned))
                .collect()
        };
        let mut image = Image {
            key: names("key"),
            columns: names("columns"),
            ..Image::default()
        };
        let width = image.key.len();
        let cells = |reader: &mut Reader<_>, count: usize| {
            (0..count)
                .map(|_| reader.cell())
                .collect::<std::io::Result<Vec<Value>>>()
        };
        image.last = cells(&mut reader, width)?;
        loop {
            match reader.array::<1>()? {
                [b'R'] => image.rows.push(ImageRow {
                    key: cells(&mut reader, width)?,
                    old: cells(&mut reader, image.columns.len())?,
                    new: cells(&mut reader, image.columns.len())?,
                }),
                [b'E'] => return Ok(image),
                _ => return Err(bad("a record of no known kind")),
            }
        }
    }

    /// About how many bytes its values have.
    pub(super) fn bytes(&self) -> usize {
        let size = |value: &Value| match value {
            Value::Text(text) => text.len(),
            Value::Bytes(bytes) => bytes.len(),
            _ => 8,
        };
        let rows = self.rows.iter();
        rows.flat_map(|row| row.old.iter().chain(&row.new))
            .map(size)
            .sum()
    }
}

fn values_out(out: &mut impl Write, values: &[Value]) -> std::io::Result<()> {
    values
        .iter()
        .try_for_each(|value| cell_out(out, cell_of(value)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn an_image_comes_back_as_it_was() {
        let image = Image {
            key: vec!["a".into(), "b\"c".into()],
            columns: vec!["یک".into()],
            last: vec![Value::Int(-1), Value::Text(String::new())],
            rows: vec![ImageRow {
                key: vec![Value::UInt(u64::MAX), Value::Text("it's".into())],
                old: vec![Value::Null],
                new: vec![Value::Bytes(vec![0, 255])],
            }],
        };
        let packed = image.pack().unwrap();
        assert_eq!(Image::unpack(&packed).unwrap(), image);
        assert!(Image::unpack(&packed[..packed.len() - 3]).is_err());
        assert!(Image::unpack(b"").is_err());
        assert_eq!(image.bytes(), 10);
    }
}
