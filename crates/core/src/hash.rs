//! Content hashes of parts: length-prefixed, so that no two lists of parts hash alike by accident.

/// A hash over parts.
#[derive(Debug, Clone, Default)]
pub struct Hasher(blake3::Hasher);

impl Hasher {
    /// An empty hash.
    pub fn new() -> Self {
        Hasher::default()
    }

    /// Adds a part.
    pub fn part(&mut self, bytes: &[u8]) {
        self.0.update(&(bytes.len() as u64).to_le_bytes());
        self.0.update(bytes);
    }

    /// The hash: 32 hex digits (128 bits).
    pub fn hex(&self) -> String {
        self.0.finalize().to_hex()[..32].to_owned()
    }
}
