//! What the undo images of batches have in common: a head, then values, compressed.

use super::archive::{Reader, cell_of, cell_out, put};
use dunlin_core::value::Value;
use std::io::{BufReader, Error, Read, Result, Write};

/// zstd's level: its own default.
const LEVEL: i32 = 3;
/// The largest image that is unpacked: a batch holds some megabytes.
const UNPACKED_MAX: u64 = 1 << 30;

/// Begins an image of a format.
pub(crate) fn pack(format: u8, head: &[u8]) -> Result<zstd::Encoder<'static, Vec<u8>>> {
    let mut out = zstd::Encoder::new(vec![], LEVEL)?;
    put(&mut out, format, head)?;
    Ok(out)
}

/// Opens an image of a format. Gives its head with it.
pub(crate) fn unpack(format: u8, bytes: &[u8]) -> Result<(String, Reader<impl Read + use<'_>>)> {
    let decoder = zstd::Decoder::new(bytes)?.take(UNPACKED_MAX);
    let mut reader = Reader(BufReader::new(decoder));
    if reader.array::<1>()?[0] != format {
        return Err(bad("an image of another format"));
    }
    Ok((reader.text()?, reader))
}

/// Why an image cannot be read.
pub(crate) fn bad(why: &str) -> Error {
    Error::other(why.to_owned())
}

/// Writes values, one after the other.
pub(crate) fn values_out(out: &mut impl Write, values: &[Value]) -> Result<()> {
    let mut values = values.iter();
    values.try_for_each(|value| cell_out(out, cell_of(value)))
}

/// So many values.
pub(crate) fn values_in<R: Read>(reader: &mut Reader<R>, count: usize) -> Result<Vec<Value>> {
    (0..count).map(|_| reader.cell()).collect()
}

/// About how many bytes values have.
pub(crate) fn weight(values: &[Value]) -> usize {
    let size = |value: &Value| match value {
        Value::Text(text) => text.len(),
        Value::Bytes(bytes) => bytes.len(),
        _ => 8,
    };
    values.iter().map(size).sum()
}
