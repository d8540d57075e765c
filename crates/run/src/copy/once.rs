//! Rows of a source that a key of the target takes for one: the first that comes is kept.
//!
//! Told apart by the hashes of their keys' canonical forms, in two readings: the first marks each hash in a field of bits and
//! writes down those that find their bit marked; the second lets the first row of each of those through. So memory stays
//! bounded however many rows there are. Keys of texts, which a target may take for one though they are not the same, it is
//! asked about in between ([`super::asked`]).

use super::asked::Pair;
use super::rows::{self, Source, Tally};
use super::table::{Ground, Pipe};
use super::{Copying, Existing, rejects};
use dunlin_core::copy::Datum;
use dunlin_core::copy::digest::row_hash;
use dunlin_core::copy::plan::{ColumnPlan, TablePlan};
use dunlin_core::copy::policy::{Hazard, Policy};
use dunlin_core::dialect::aside::{Indexed, Once};
use dunlin_core::failure::{Failure, FailureClass};
use dunlin_core::schema::{NeutralType, Table, label};
use dunlin_engines::Session;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// Bits of the field: 2^28 are 32 MiB, and of ten million keys some two in a hundred meet by chance.
const BITS: u32 = 28;
/// Keys that are written down at most, those that met by chance among them: 2^20 of 16 bytes each, twice, are some 64 MiB.
pub(super) const HELD: usize = 1 << 20;

/// Rows that a message may name as the first of their key.
const NAMED: usize = 10_000;

/// A key that a target checks.
#[derive(Debug, Clone)]
pub struct KeyOf {
    /// The columns that decide, as places in the plan's.
    pub columns: Vec<usize>,
    /// The key in the target's words.
    pub once: Once,
}

impl KeyOf {
    /// `None`: it speaks of columns to which nothing is copied.
    fn of(plan: &TablePlan, table: &Table, once: Once) -> Option<KeyOf> {
        let names: Vec<&str> = table.columns.iter().map(|c| c.name.as_str()).collect();
        let place = |name: &&str| plan.columns.iter().position(|c| c.target == **name);
        let spoken = once.columns(&names);
        let columns: Vec<usize> = spoken.iter().filter_map(place).collect();
        let whole = columns.len() == spoken.len() && !columns.is_empty();
        whole.then_some(KeyOf { columns, once })
    }
}

/// The keys of a table. `plain`: the collation of an index's part that names none.
pub fn keys(plan: &TablePlan, table: &Table, plain: Option<&str>) -> Vec<KeyOf> {
    let of_keys = table.keys.iter().map(|key| Indexed::Key(key).once());
    let unique = table.indexes.iter().filter(|index| index.unique);
    let of_indexes = unique.map(|index| {
        let mut once = Indexed::Index(index).once();
        for part in once.parts.iter_mut().filter(|part| !part.expression) {
            part.descending = false;
            let none = || plain.map(str::to_owned);
            part.collation = part.collation.take().or_else(none);
        }
        once
    });
    let all = of_keys.chain(of_indexes);
    all.filter_map(|once| KeyOf::of(plan, table, once))
        .collect()
}

/// Whether two values of a type may differ and be equal for an engine's index.
fn folds(ty: &NeutralType) -> bool {
    matches!(
        ty,
        NeutralType::Text | NeutralType::Float | NeutralType::Json | NeutralType::Opaque(_)
    )
}

/// Lets rows through, each key once.
#[derive(Debug)]
pub struct Sieve {
    keys: Vec<KeyOf>,
    /// Of the first reading; empty in the second.
    bits: Vec<u64>,
    /// Hashes that may be there more than once.
    twice: HashSet<u128>,
    /// Those of them of which a row went through.
    seen: HashSet<u128>,
    /// Hashes that the target takes for another one.
    same: HashMap<u128, u128>,
    /// The hashes of the row at hand, in the order of the keys; `None`: a part is NULL.
    now: Vec<Option<u128>>,
    /// Of the first reading: what of a row the target is asked about.
    asks: Option<Asks>,
    /// The first rows of their keys, for people, where they are to be named.
    firsts: Option<HashMap<u128, String>>,
}

/// What of a row the target is asked about.
#[derive(Debug)]
struct Asks {
    /// The columns of all keys, each once.
    columns: Vec<usize>,
    hashes: Vec<String>,
}

impl Sieve {
    /// A sieve for the first reading.
    pub fn new(keys: Vec<KeyOf>) -> Self {
        Sieve {
            keys,
            bits: vec![0; 1 << (BITS - 6)],
            twice: HashSet::new(),
            seen: HashSet::new(),
            same: HashMap::new(),
            now: vec![],
            asks: None,
            firsts: None,
        }
    }

    /// The same for the second reading. `None`: there are more keys than can be held.
    pub fn second(mut self) -> Option<Self> {
        (self.bits, self.asks) = (vec![], None);
        let held = self.twice.len() <= HELD && self.same.len() <= HELD && self.seen.len() <= HELD;
        held.then_some(self)
    }

    /// The keys.
    pub(super) fn keys(&self) -> &[KeyOf] {
        &self.keys
    }

    /// In the first reading the target is to be asked: gives the columns of all keys.
    pub(super) fn ask(&mut self) -> Vec<usize> {
        let mut columns: Vec<usize> = vec![];
        for at in self.keys.iter().flat_map(|key| &key.columns) {
            if !columns.contains(at) {
                columns.push(*at);
            }
        }
        self.asks = Some(Asks {
            columns: columns.clone(),
            hashes: vec![],
        });
        columns
    }

    /// It is not, after all: what it alone could tell is left to it.
    pub(super) fn ask_nothing(&mut self) {
        self.asks = None;
        self.keys.retain(|key| key.once.is_plain());
    }

    /// The target takes a key for the same as another one.
    pub(super) fn meets(&mut self, hash: u128, first: u128) {
        self.same.insert(hash, first);
        self.twice.insert(first);
    }

    /// A row of the target has this key.
    pub(super) fn is_there(&mut self, hash: u128) {
        let hash = self.same.get(&hash).copied().unwrap_or(hash);
        self.seen.insert(hash);
    }

    /// The first rows of their keys are to be named.
    pub(super) fn naming(&mut self) {
        self.firsts = Some(HashMap::new());
    }

    /// What of the row at hand is asked about: its keys' hashes, and their columns. `None`: nothing is.
    pub(super) fn asked<'a>(&'a mut self, data: &[Datum<'a>]) -> Option<Vec<Datum<'a>>> {
        let asks = self.asks.as_mut()?;
        asks.hashes.clear();
        for hash in &self.now {
            let hash = hash.map_or(String::new(), |hash| format!("{hash:032x}"));
            asks.hashes.push(hash);
        }
        let hash = |text: &'a String| match text.as_str() {
            "" => Datum::Null,
            text => Datum::Text(text),
        };
        let hashes = asks.hashes.iter().map(hash);
        Some(
            hashes
                .chain(asks.columns.iter().map(|at| data[*at]))
                .collect(),
        )
    }

    /// Looks at a row, given as its canonical form with the end of each column. In the second reading: the first column of
    /// a key that came before.
    pub fn look(&mut self, data: &[Datum<'_>], row: &[u8], ends: &[usize]) -> Option<usize> {
        self.now.clear();
        for (number, key) in self.keys.iter().enumerate() {
            let columns = &key.columns;
            // What is made of nothing may be something.
            if key.once.is_plain() && columns.iter().any(|at| data[*at] == Datum::Null) {
                self.now.push(None);
                continue;
            }
            let mut key = vec![u8::try_from(number).unwrap_or(u8::MAX)];
            for at in columns {
                let from = if *at == 0 { 0 } else { ends[*at - 1] };
                key.extend_from_slice(&row[from..ends[*at]]);
            }
            let hash = row_hash(&key);
            self.now
                .push(Some(self.same.get(&hash).copied().unwrap_or(hash)));
        }
        if !self.bits.is_empty() {
            self.mark();
            return None;
        }
        let at = self.now.iter().position(|hash| self.came(hash.as_ref()))?;
        self.keys[at].columns.first().copied()
    }

    fn came(&self, hash: Option<&u128>) -> bool {
        hash.is_some_and(|hash| self.seen.contains(hash))
    }

    /// The row whose key the row at hand has, for people, where rows are named.
    pub(super) fn met(&self) -> Option<&str> {
        let firsts = self.firsts.as_ref()?;
        let hash = self.now.iter().find(|hash| self.came(hash.as_ref()))?;
        firsts.get(hash.as_ref()?).map(String::as_str)
    }

    fn mark(&mut self) {
        for (key, hash) in self.keys.iter().zip(&self.now) {
            // Whether a key looks at a row that it makes something of, the target knows alone.
            let Some(hash) = hash.as_ref().filter(|_| key.once.is_plain()) else {
                continue;
            };
            let place = (hash >> (128 - BITS)) as usize;
            let (word, bit) = (place / 64, 1_u64 << (place % 64));
            if self.bits[word] & bit == 0 {
                self.bits[word] |= bit;
            } else if self.twice.len() <= HELD {
                self.twice.insert(*hash);
            }
        }
    }

    /// The row at hand went through. `name`: what it is called.
    pub fn through(&mut self, name: impl FnOnce() -> String) {
        if !self.bits.is_empty() {
            return;
        }
        let known = |hash: &&u128| self.twice.contains(*hash);
        let hashes: Vec<u128> = self.now.iter().flatten().filter(known).copied().collect();
        if hashes.is_empty() {
            return;
        }
        if let Some(firsts) = self.firsts.as_mut().filter(|firsts| firsts.len() < NAMED) {
            let name = name();
            firsts.extend(hashes.iter().map(|hash| (*hash, name.clone())));
        }
        self.seen.extend(hashes);
    }
}

impl Copying<'_> {
    /// Reads a table as a copy would, and loads nothing: what its tally would be now, all rows of a key counted.
    pub(super) async fn read_only(
        &self,
        at: usize,
        reader: &mut dyn Session,
    ) -> Result<Tally, Failure> {
        let select = self.select(at);
        Ok(self.read_through(at, reader, &select, None).await?.0)
    }

    /// A sieve that has seen the rows of a table once, and knows which of their keys the target takes for one. `None`: it has
    /// no key. The writer must be outside of a transaction.
    pub(super) async fn sieve(
        &self,
        at: usize,
        reader: &mut dyn Session,
        writer: &mut dyn Session,
    ) -> Result<Option<Sieve>, Failure> {
        let plan = &self.looked.plan.tables[at];
        let (schema, name) = (plan.target.0.as_deref(), &plan.target.1);
        let made = self.looked.plan.catalog.table(schema, name);
        let there = self.looked.there.table(schema, name);
        let Some(table) = made.or(there) else {
            return Ok(None);
        };
        let plain = writer.dialect().aside().plain();
        let keys = keys(plan, table, plain.filter(|_| made.is_none()));
        if keys.is_empty() {
            return Ok(None);
        }
        // To a table that is there rows are added: one of its own may have the key.
        let added = made.is_none() && self.job.existing == Some(Existing::Append);
        let mut columns = keys.iter().flat_map(|key| &key.columns);
        let folds = columns.any(|at| folds(&plan.columns[*at].ty))
            || keys.iter().any(|key| !key.once.is_plain());
        let sieve = Sieve::new(keys);
        let sieve = if added || folds {
            let pair = Pair { at, table, added };
            Some(self.asked(&pair, sieve, reader, writer).await?)
        } else {
            let select = self.select(at);
            self.read_through(at, reader, &select, Some(sieve)).await?.1
        };
        let second = sieve.and_then(Sieve::second);
        if second.is_none() {
            let message = format!(
                "{}: too many rows have a key that others have",
                plan.target.1
            );
            return Err(Failure::new(FailureClass::Failed, "duplicate-key", message)
                .hint("mend them in the source (`dunlin check`, `dunlin clean`), then copy anew"));
        }
        Ok(second)
    }

    /// Reads the rows of a query as a copy of the table would.
    pub(super) async fn read_through(
        &self,
        at: usize,
        reader: &mut dyn Session,
        select: &str,
        sieve: Option<Sieve>,
    ) -> Result<(Tally, Option<Sieve>), Failure> {
        let plan = &self.looked.plan.tables[at];
        let policies = Arc::new(self.job.policies.clone());
        // Rejects of a table that is done were written then.
        let nowhere = Arc::new(rejects::Rejects::nowhere());
        let done = Arc::default();
        let way = self.way(at, &policies, &nowhere, &done);
        let stopped = |stopped| self.stopped(plan, stopped);
        let source = Source {
            session: reader,
            select,
        };
        let read = rows::look_only(&way, source, sieve).await;
        read.map_err(stopped)
    }

    /// Whether rows with a key that is there already are set aside.
    pub(super) fn sets_aside(&self, plan: &TablePlan) -> bool {
        let table = label(plan.source.0.as_deref(), &plan.source.1);
        let of = |column: &ColumnPlan| {
            self.job
                .policies
                .of(&table, &column.source, Hazard::DuplicateKey)
                != Policy::Fail
        };
        plan.columns.iter().any(of)
    }

    /// The rows of a table that is there once more, each key once: those that are there go.
    pub(super) async fn again(
        &self,
        at: usize,
        reader: &mut dyn Session,
    ) -> Result<Tally, Failure> {
        let mut writer = self.another().await?;
        self.prepared(&mut *writer).await?;
        let mut pipe = Pipe {
            reader,
            writer: &mut *writer,
            done: &Arc::default(),
        };
        let outcome = self.fill_once(at, &mut pipe, Ground::Clear).await;
        writer.close().await;
        outcome
    }

    /// Fills a table, each key once.
    pub(super) async fn fill_once(
        &self,
        at: usize,
        pipe: &mut Pipe<'_>,
        ground: Ground,
    ) -> Result<Tally, Failure> {
        let sieve = self.sieve(at, pipe.reader, pipe.writer).await?;
        let filled = self.fill(at, pipe, ground, sieve).await;
        pipe.ended(filled).await
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn key(at: usize) -> KeyOf {
        KeyOf {
            columns: vec![at],
            once: Once::default(),
        }
    }

    fn through(rows: &[(i64, Option<i64>)]) -> Vec<usize> {
        let mut sieve = Sieve::new(vec![key(0), key(1)]);
        let mut kept = vec![];
        for second in [false, true] {
            if second {
                sieve = sieve.second().unwrap();
            }
            for (at, (a, b)) in rows.iter().enumerate() {
                let data = [Datum::Int(*a), b.map_or(Datum::Null, Datum::Int)];
                let text = format!("{a};{b:?};");
                let ends = [text.find(';').unwrap() + 1, text.len()];
                let came = sieve.look(&data, text.as_bytes(), &ends);
                if came.is_some() {
                    continue;
                }
                sieve.through(String::new);
                if second {
                    kept.push(at);
                }
            }
        }
        kept
    }

    #[test]
    fn the_first_of_each_key_goes_through_and_null_is_no_key() {
        let rows = [
            (1, Some(1)),
            (2, None),
            (3, None),
            (1, Some(9)),
            (4, Some(1)),
            (5, Some(9)),
        ];
        // The fourth repeats the first's key and so stays behind: the last repeats nothing that went through.
        assert_eq!(through(&rows), [0, 1, 2, 5]);
    }
}
