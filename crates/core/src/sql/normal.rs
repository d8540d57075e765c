//! The two fingerprints of a script (invariant 11): over its bytes, and over what it means.

use super::{Fingerprint, LexRules, Lexer, Token, TokenKind};

/// The version of the algorithm. A change of anything below that changes a value needs the next number, and the old
/// one must stay computable: rows in journals were written under it.
pub const FINGERPRINT_VERSION: u32 = 1;

/// The fingerprints of a script's part as written, before placeholders.
///
/// `meaning` is over the tokens that have one, each with its length before it, so that no two lists of tokens give the
/// same bytes. Letters keep their case. A line end counts as LF wherever it stands; within hints, directives and client
/// commands a run of white space counts as one space.
pub fn fingerprint(text: &str, rules: &LexRules) -> Fingerprint {
    let mut meaning = Meaning::of(text.len());
    for token in Lexer::new(text, rules) {
        meaning.take(token, text);
    }
    meaning.fingerprint(text)
}

/// How many bytes are gathered before they are hashed: many tokens, and nothing beside a large script.
const GATHERED: usize = 64 * 1024;

/// Hashes tokens. A token is a few bytes and a hash is fast on many, so they are gathered first; most scripts are gathered
/// whole, and need no hasher that goes on.
pub(super) struct Meaning {
    hasher: Option<Box<blake3::Hasher>>,
    gathered: Vec<u8>,
}

impl Meaning {
    pub(super) fn of(bytes: usize) -> Self {
        Meaning {
            hasher: None,
            gathered: Vec::with_capacity(bytes.saturating_mul(3).min(GATHERED + 256)),
        }
    }

    /// Takes the next token of a text.
    pub(super) fn take(&mut self, token: Token, text: &str) {
        match token.kind {
            kind if !kind.has_meaning() => {}
            TokenKind::Hint | TokenKind::Directive | TokenKind::Client => {
                let words: Vec<&str> = token.text(text).split_ascii_whitespace().collect();
                self.put(&words.join(" "));
            }
            _ => self.put(token.text(text)),
        }
    }

    /// The fingerprints of the text whose tokens these were.
    pub(super) fn fingerprint(self, text: &str) -> Fingerprint {
        Fingerprint {
            version: FINGERPRINT_VERSION,
            bytes: hex(&blake3::hash(text.as_bytes())),
            meaning: self.finish(),
        }
    }

    fn put(&mut self, content: &str) {
        let bytes = content.as_bytes();
        if !bytes.contains(&b'\r') {
            self.gathered
                .extend_from_slice(&(bytes.len() as u64).to_le_bytes());
            self.gathered.extend_from_slice(bytes);
        } else {
            let plain = content.replace("\r\n", "\n");
            self.gathered
                .extend_from_slice(&(plain.len() as u64).to_le_bytes());
            self.gathered.extend_from_slice(plain.as_bytes());
        }
        if self.gathered.len() >= GATHERED {
            self.hasher.get_or_insert_default().update(&self.gathered);
            self.gathered.clear();
        }
    }

    fn finish(self) -> String {
        let hash = match self.hasher {
            None => blake3::hash(&self.gathered),
            Some(mut hasher) => hasher.update(&self.gathered).finalize(),
        };
        hex(&hash)
    }
}

fn hex(hash: &blake3::Hash) -> String {
    hash.to_hex().as_str().to_owned()
}
