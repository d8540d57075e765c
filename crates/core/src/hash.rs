//! Content hashes of parts: length-prefixed, so that no two lists of parts hash alike by accident.

/// How many bytes are gathered before they are hashed: a part is a few bytes, and a hash is fast on many.
const GATHERED: usize = 16 * 1024;

/// A hash over parts.
#[derive(Debug, Clone, Default)]
pub struct Hasher {
    hasher: blake3::Hasher,
    gathered: Vec<u8>,
}

impl Hasher {
    /// An empty hash.
    pub fn new() -> Self {
        Hasher::default()
    }

    /// Adds a part.
    pub fn part(&mut self, bytes: &[u8]) {
        self.joined(&[bytes]);
    }

    /// Adds a part that is made of pieces.
    pub fn joined(&mut self, pieces: &[&[u8]]) {
        let length: usize = pieces.iter().map(|piece| piece.len()).sum();
        self.gathered
            .extend_from_slice(&(length as u64).to_le_bytes());
        for piece in pieces {
            if self.gathered.len() + piece.len() > GATHERED {
                self.hasher.update(&self.gathered);
                self.gathered.clear();
            }
            match piece.len() {
                0..=GATHERED => self.gathered.extend_from_slice(piece),
                _ => {
                    self.hasher.update(piece);
                }
            }
        }
    }

    /// The hash: 32 hex digits (128 bits).
    pub fn hex(&self) -> String {
        let mut hasher = self.hasher.clone();
        hasher.update(&self.gathered);
        hasher.finalize().to_hex()[..32].to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_any_length_hash_as_the_bytes_that_they_are() {
        let lengths = [0, 1, 7, GATHERED - 8, GATHERED, GATHERED + 1, 3 * GATHERED];
        let (mut hasher, mut plain) = (Hasher::new(), blake3::Hasher::new());
        for length in lengths.iter().chain(lengths.iter().rev()) {
            let bytes: Vec<u8> = (0..*length).map(|at| (at % 251) as u8).collect();
            let (head, tail) = bytes.split_at(length / 3);
            hasher.joined(&[head, b"", tail]);
            plain.update(&(*length as u64).to_le_bytes());
            plain.update(&bytes);
            assert_eq!(hasher.hex(), plain.finalize().to_hex()[..32]);
        }
    }
}
