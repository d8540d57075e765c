//! The two fingerprints of a script (invariant 11): over its bytes, and over what it means.

use super::{Fingerprint, LexRules, Lexer, TokenKind};

/// The version of the algorithm. A change of anything below that changes a value needs the next number, and the old
/// one must stay computable: rows in journals were written under it.
pub const FINGERPRINT_VERSION: u32 = 1;

/// The fingerprints of a script's part as written, before placeholders.
///
/// `meaning` is over the tokens that have one, each with its length before it, so that no two lists of tokens give the
/// same bytes. Letters keep their case. A line end counts as LF wherever it stands; within hints, directives and client
/// commands a run of white space counts as one space.
pub fn fingerprint(text: &str, rules: &LexRules) -> Fingerprint {
    let mut meaning = blake3::Hasher::new();
    for token in Lexer::new(text, rules) {
        let content = token.text(text);
        match token.kind {
            kind if !kind.has_meaning() => {}
            TokenKind::Hint | TokenKind::Directive | TokenKind::Client => {
                let words: Vec<&str> = content.split_ascii_whitespace().collect();
                put(&mut meaning, &words.join(" "));
            }
            _ => put(&mut meaning, content),
        }
    }
    Fingerprint {
        version: FINGERPRINT_VERSION,
        bytes: blake3::hash(text.as_bytes()).to_hex().to_string(),
        meaning: meaning.finalize().to_hex().to_string(),
    }
}

fn put(hasher: &mut blake3::Hasher, content: &str) {
    let line_ends = content
        .as_bytes()
        .windows(2)
        .filter(|pair| pair == b"\r\n")
        .count();
    let length = (content.len() - line_ends) as u64;
    hasher.update(&length.to_le_bytes());
    let mut parts = content.split("\r\n").peekable();
    while let Some(part) = parts.next() {
        hasher.update(part.as_bytes());
        if parts.peek().is_some() {
            hasher.update(b"\n");
        }
    }
}
