//! Digests: how many rows, and the sum of their hashes.
//!
//! The sum (mod 2^128) takes no account of order, so no engine has to sort; a row that is there twice counts twice,
//! which a XOR would hide; and a row's hash is XXH3-128 of its whole canonical form, so two values swapped between rows
//! change it, which sums of checksums over columns may not. Unrelated damage is missed with probability 2^-128.

use super::cell::Cell;
use super::datum::Datum;
use super::encode::{Fit, Typing, encode, encode_datum_as};
use super::temporal::Epoch;
use crate::schema::NeutralType;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use xxhash_rust::xxh3::xxh3_128_with_seed;

/// The seed of every row's hash: `dunlin` in ASCII and the version of the form. Part of the format.
const SEED: u64 = u64::from_be_bytes(*b"dunlin\0\x01");

/// Rows and the sum of their hashes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub struct Digest {
    /// How many rows.
    pub rows: u64,
    /// Σ hash mod 2^128.
    pub sum: u128,
}

impl Digest {
    /// Adds a row by its hash.
    pub fn add(&mut self, hash: u128) {
        self.rows += 1;
        self.sum = self.sum.wrapping_add(hash);
    }

    /// Takes a row away again.
    pub fn remove(&mut self, hash: u128) {
        self.rows = self.rows.wrapping_sub(1);
        self.sum = self.sum.wrapping_sub(hash);
    }

    /// Both together.
    #[must_use]
    pub fn merge(self, other: Digest) -> Digest {
        Digest {
            rows: self.rows + other.rows,
            sum: self.sum.wrapping_add(other.sum),
        }
    }

    /// The digest as people see it: 32 hexadecimal digits, without the number of rows.
    pub fn hex(&self) -> String {
        format!("{:032x}", self.sum)
    }

    /// Reads what [`Digest::hex`] wrote.
    pub fn from_hex(rows: u64, hex: &str) -> Option<Digest> {
        let exact = hex.len() == 32 && hex.bytes().all(|byte| byte.is_ascii_hexdigit());
        exact
            .then(|| u128::from_str_radix(hex, 16).ok())
            .flatten()
            .map(|sum| Digest { rows, sum })
    }
}

impl std::fmt::Display for Digest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.hex())
    }
}

/// Which of `count` buckets a row belongs to, by its hash: for narrowing a difference down. The high bits decide, so
/// buckets of a power of two nest.
pub fn bucket(hash: u128, count: u32) -> u32 {
    ((u64::try_from(hash >> 96).unwrap_or(0) * u64::from(count)) >> 32) as u32
}

/// The hash of a text, with the same function and seed.
pub fn text_hash(text: &str) -> u128 {
    xxh3_128_with_seed(text.as_bytes(), SEED)
}

/// The hash of a row in its canonical form.
pub fn row_hash(row: &[u8]) -> u128 {
    xxh3_128_with_seed(row, SEED)
}

/// What was noticed of one column's cells.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Noticed {
    /// Cells that do not fit the type.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub misfits: u64,
    /// JSON texts with a key twice.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub duplicate_keys: u64,
    /// Numbers read as times, by what they count.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub counted: BTreeMap<Epoch, u64>,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // the form that serde asks for
fn is_zero(n: &u64) -> bool {
    *n == 0
}

impl Noticed {
    /// Whether there is nothing to say.
    pub fn is_empty(&self) -> bool {
        self.misfits == 0 && self.duplicate_keys == 0 && self.counted.is_empty()
    }
}

/// Hashes the rows of one table under its columns' types.
#[derive(Debug)]
pub struct RowHasher {
    types: Vec<NeutralType>,
    typing: Typing,
    row: Vec<u8>,
    digest: Digest,
    noticed: Vec<Noticed>,
}

impl RowHasher {
    /// A hasher of rows whose cells come in the order of `types`.
    pub fn new(types: Vec<NeutralType>, typing: Typing) -> Self {
        let noticed = vec![Noticed::default(); types.len()];
        RowHasher {
            types,
            typing,
            row: Vec::with_capacity(256),
            digest: Digest::default(),
            noticed,
        }
    }

    /// Takes one row and gives its hash. Cells beyond the types are not looked at; cells that are missing count as NULL.
    pub fn row<'a>(&mut self, cells: impl Iterator<Item = Cell<'a>>) -> u128 {
        self.row.clear();
        let mut seen = 0;
        for ((cell, ty), noticed) in cells.zip(&self.types).zip(&mut self.noticed) {
            seen += 1;
            match encode(cell, ty, self.typing, &mut self.row) {
                Fit::Fits => {}
                Fit::Misfit => noticed.misfits += 1,
                Fit::DuplicateKey => noticed.duplicate_keys += 1,
                Fit::Counted(epoch) => *noticed.counted.entry(epoch).or_default() += 1,
            }
        }
        for ty in &self.types[seen..] {
            encode(Cell::Null, ty, self.typing, &mut self.row);
        }
        let hash = xxh3_128_with_seed(&self.row, SEED);
        self.digest.add(hash);
        hash
    }

    /// Takes one row on its way into the target and gives its hash: the one that the same row has when it is read back
    /// there. Data beyond the types are not looked at; what is missing counts as NULL.
    pub fn datums(&mut self, row: &[Datum<'_>]) -> u128 {
        self.row.clear();
        for (at, (ty, noticed)) in self.types.iter().zip(&mut self.noticed).enumerate() {
            let datum = row.get(at).unwrap_or(&Datum::Null);
            match encode_datum_as(datum, ty, self.typing, &mut self.row) {
                Fit::Fits => {}
                Fit::Misfit => noticed.misfits += 1,
                Fit::DuplicateKey => noticed.duplicate_keys += 1,
                Fit::Counted(epoch) => *noticed.counted.entry(epoch).or_default() += 1,
            }
        }
        let hash = xxh3_128_with_seed(&self.row, SEED);
        self.digest.add(hash);
        hash
    }

    /// The digest so far.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// What was noticed, column by column.
    pub fn noticed(&self) -> &[Noticed] {
        &self.noticed
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    fn digest(types: &[NeutralType], rows: &[Vec<Cell<'_>>]) -> Digest {
        let mut hasher = RowHasher::new(types.to_vec(), Typing::Static);
        for row in rows {
            hasher.row(row.iter().copied());
        }
        hasher.digest()
    }

    const TYPES: [NeutralType; 3] = [NeutralType::Int, NeutralType::Text, NeutralType::Int];

    #[test]
    fn swapped_values_change_it() {
        use Cell::{Int, Text};
        let a = digest(
            &TYPES,
            &[
                vec![Int(1), Text("AAAA"), Int(100)],
                vec![Int(2), Text("BBBB"), Int(999)],
            ],
        );
        let b = digest(
            &TYPES,
            &[
                vec![Int(1), Text("AAAA"), Int(999)],
                vec![Int(2), Text("BBBB"), Int(100)],
            ],
        );
        assert_ne!(a, b, "the swap that CRC32 with XOR cannot see");
    }

    #[test]
    fn order_does_not_count_and_repetition_does() {
        use Cell::{Int, Null, Text};
        let one = vec![Int(1), Text("x"), Null];
        let two = vec![Int(2), Text("y"), Int(0)];
        let forward = digest(&TYPES, &[one.clone(), two.clone()]);
        assert_eq!(forward, digest(&TYPES, &[two.clone(), one.clone()]));
        let pair = digest(&TYPES, &[one.clone(), one.clone(), two.clone()]);
        assert_ne!(
            pair.sum,
            digest(&TYPES, std::slice::from_ref(&two)).sum,
            "a XOR would cancel the pair"
        );
        let mut hasher = RowHasher::new(TYPES.to_vec(), Typing::Static);
        let hash = hasher.row(one.iter().copied());
        let mut less = pair;
        less.remove(hash);
        assert_eq!(less, forward);
        assert_eq!(
            digest(&TYPES, &[one]).merge(digest(&TYPES, &[two])),
            forward
        );
    }

    #[test]
    fn separators_cannot_be_smuggled() {
        use Cell::{Null, Text};
        let types = [NeutralType::Text, NeutralType::Text];
        let all = [
            digest(&types, &[vec![Text("x|y"), Text("z")]]),
            digest(&types, &[vec![Text("x"), Text("y|z")]]),
            digest(&types, &[vec![Text("xy"), Text("z")]]),
            digest(&types, &[vec![Text("x"), Text("yz")]]),
            digest(&types, &[vec![Null, Text("")]]),
            digest(&types, &[vec![Text(""), Null]]),
            digest(&types, &[vec![Text("<null>"), Text("")]]),
        ];
        for (at, a) in all.iter().enumerate() {
            for b in &all[at + 1..] {
                assert_ne!(a, b);
            }
        }
    }

    #[test]
    fn hex_there_and_back_and_buckets_cover_all() {
        let some = digest(&TYPES, &[vec![Cell::Int(1), Cell::Text("x"), Cell::Null]]);
        assert_eq!(Digest::from_hex(some.rows, &some.hex()), Some(some));
        assert_eq!(Digest::from_hex(1, "zz"), None);
        assert_eq!(bucket(0, 16), 0);
        assert_eq!(bucket(u128::MAX, 16), 15);
    }

    proptest! {
        #[test]
        fn one_flipped_bit_changes_it(
            bytes in proptest::collection::vec(any::<u8>(), 1..300), at in any::<usize>(), bit in 0..8_u32, n in any::<i64>()
        ) {
            let types = [NeutralType::Bytes, NeutralType::Int, NeutralType::Float];
            let float = f64::from_bits(0x4000_0000_0000_0000 | (n as u64 >> 12));
            let before = digest(&types, &[vec![Cell::Bytes(&bytes), Cell::Int(n), Cell::Float(float)]]);
            let mut flipped = bytes.clone();
            let at = at % flipped.len();
            flipped[at] ^= 1 << bit;
            prop_assert_ne!(before, digest(&types, &[vec![Cell::Bytes(&flipped), Cell::Int(n), Cell::Float(float)]]));
            let turned = n ^ (1 << (bit * 8));
            prop_assert_ne!(before, digest(&types, &[vec![Cell::Bytes(&bytes), Cell::Int(turned), Cell::Float(float)]]));
            let other = f64::from_bits(float.to_bits() ^ (1 << bit));
            prop_assert_ne!(before, digest(&types, &[vec![Cell::Bytes(&bytes), Cell::Int(n), Cell::Float(other)]]));
        }
    }
}
