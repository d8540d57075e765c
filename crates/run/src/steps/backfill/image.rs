//! The undo image of a batch: compressed, for each row its key, and the old and new values of every column kept.

use crate::backup::image::{self, bad, values_in, values_out, weight};
use dunlin_core::value::Value;
use std::io::Write;

/// The format of an image.
const FORMAT: u8 = 1;

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
        let head = serde_json::json!({ "key": self.key, "columns": self.columns });
        let mut out = image::pack(FORMAT, head.to_string().as_bytes())?;
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
        let (head, mut reader) = image::unpack(FORMAT, bytes)?;
        let head: serde_json::Value = serde_json::from_str(&head)?;
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
        image.last = values_in(&mut reader, width)?;
        loop {
            match reader.array::<1>()? {
                [b'R'] => image.rows.push(ImageRow {
                    key: values_in(&mut reader, width)?,
                    old: values_in(&mut reader, image.columns.len())?,
                    new: values_in(&mut reader, image.columns.len())?,
                }),
                [b'E'] => return Ok(image),
                _ => return Err(bad("a record of no known kind")),
            }
        }
    }

    /// About how many bytes its values have.
    pub(super) fn bytes(&self) -> usize {
        let rows = self.rows.iter();
        rows.map(|row| weight(&row.old) + weight(&row.new)).sum()
    }
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
