//! Rows of a source that a key of the target takes for one: the first that comes is kept.
//!
//! Told apart by the hashes of their keys' canonical forms, in two readings: the first marks each hash in a field of bits and
//! writes down those that find their bit marked; the second lets the first row of each of those through. So memory stays
//! bounded however many rows there are.

use super::rows::{self, Source, Tally};
use super::table::{Ground, Pipe};
use super::{Copying, rejects};
use dunlin_core::copy::Datum;
use dunlin_core::copy::digest::row_hash;
use dunlin_core::copy::plan::{ColumnPlan, TablePlan};
use dunlin_core::copy::policy::{Hazard, Policy};
use dunlin_core::failure::{Failure, FailureClass};
use dunlin_core::schema::{Table, label};
use dunlin_engines::Session;
use std::collections::HashSet;
use std::sync::Arc;

/// Bits of the field: 2^28 are 32 MiB, and of ten million keys some two in a hundred meet by chance.
const BITS: u32 = 28;
/// Keys that are written down at most, those that met by chance among them: 2^20 of 16 bytes each, twice, are some 64 MiB.
const HELD: usize = 1 << 20;

/// A key: columns as places in the plan's.
type Columns = Vec<usize>;

/// The keys of a table that a target checks by columns alone: with prefixes, expressions or conditions they are left to it.
pub fn keys(plan: &TablePlan, table: &Table) -> Vec<Columns> {
    let place = |name: &String| plan.columns.iter().position(|c| c.target == *name);
    let places = |names: &[&String]| -> Option<Columns> {
        let found: Columns = names.iter().filter_map(|name| place(name)).collect();
        (found.len() == names.len() && !found.is_empty()).then_some(found)
    };
    let of_keys = table
        .keys
        .iter()
        .filter_map(|key| places(&key.columns.iter().collect::<Vec<_>>()));
    let plain = table.indexes.iter().filter(|index| {
        let whole =
            |part: &dunlin_core::schema::IndexPart| !part.expression && part.length.is_none();
        index.unique && index.predicate.is_none() && index.parts.iter().all(whole)
    });
    let of_indexes = plain.filter_map(|index| {
        places(
            &index
                .parts
                .iter()
                .map(|part| &part.what)
                .collect::<Vec<_>>(),
        )
    });
    of_keys.chain(of_indexes).collect()
}

/// Lets rows through, each key once.
#[derive(Debug)]
pub struct Sieve {
    keys: Vec<Columns>,
    /// Of the first reading; empty in the second.
    bits: Vec<u64>,
    /// Hashes that may be there more than once.
    twice: HashSet<u128>,
    /// Those of them of which a row went through.
    seen: HashSet<u128>,
    /// The hashes of the row at hand, in the order of the keys; `None`: a part is NULL.
    now: Vec<Option<u128>>,
}

impl Sieve {
    /// A sieve for the first reading.
    pub fn new(keys: Vec<Columns>) -> Self {
        Sieve {
            keys,
            bits: vec![0; 1 << (BITS - 6)],
            twice: HashSet::new(),
            seen: HashSet::new(),
            now: vec![],
        }
    }

    /// The same for the second reading. `None`: there are more keys than can be held.
    pub fn second(mut self) -> Option<Self> {
        (self.bits, self.seen) = (vec![], HashSet::new());
        (self.twice.len() <= HELD).then_some(self)
    }

    /// Looks at a row, given as its canonical form with the end of each column. In the second reading: the first column of
    /// a key that came before.
    pub fn look(&mut self, data: &[Datum<'_>], row: &[u8], ends: &[usize]) -> Option<usize> {
        self.now.clear();
        for (number, columns) in self.keys.iter().enumerate() {
            if columns.iter().any(|at| data[*at] == Datum::Null) {
                self.now.push(None);
                continue;
            }
            let mut key = vec![u8::try_from(number).unwrap_or(u8::MAX)];
            for at in columns {
                let from = if *at == 0 { 0 } else { ends[*at - 1] };
                key.extend_from_slice(&row[from..ends[*at]]);
            }
            self.now.push(Some(row_hash(&key)));
        }
        if !self.bits.is_empty() {
            self.mark();
            return None;
        }
        let came = |hash: &Option<u128>| hash.is_some_and(|hash| self.seen.contains(&hash));
        let at = self.now.iter().position(came)?;
        self.keys[at].first().copied()
    }

    fn mark(&mut self) {
        for hash in self.now.iter().flatten() {
            let place = (hash >> (128 - BITS)) as usize;
            let (word, bit) = (place / 64, 1_u64 << (place % 64));
            if self.bits[word] & bit == 0 {
                self.bits[word] |= bit;
            } else if self.twice.len() <= HELD {
                self.twice.insert(*hash);
            }
        }
    }

    /// The row at hand went through.
    pub fn through(&mut self) {
        for hash in self.now.iter().flatten() {
            if self.twice.contains(hash) {
                self.seen.insert(*hash);
            }
        }
    }
}

impl Copying<'_> {
    /// Reads a table as a copy would, and loads nothing: what its tally would be now.
    pub(super) async fn read_only(
        &self,
        at: usize,
        reader: &mut dyn Session,
        once: bool,
    ) -> Result<Tally, Failure> {
        let sieve = if once {
            self.sieve(at, reader).await?
        } else {
            None
        };
        let select = self.select(at);
        Ok(self.read_through(at, reader, &select, sieve).await?.0)
    }

    /// A sieve that has seen the rows of a table once. `None`: no key of it is one of columns alone.
    pub(super) async fn sieve(
        &self,
        at: usize,
        reader: &mut dyn Session,
    ) -> Result<Option<Sieve>, Failure> {
        let plan = &self.looked.plan.tables[at];
        let (schema, name) = (plan.target.0.as_deref(), &plan.target.1);
        let made = self.looked.plan.catalog.table(schema, name);
        let Some(table) = made.or_else(|| self.looked.there.table(schema, name)) else {
            return Ok(None);
        };
        let keys = keys(plan, table);
        if keys.is_empty() {
            return Ok(None);
        }
        let sieve = Some(Sieve::new(keys));
        let select = self.select(at);
        let (_, sieve) = self.read_through(at, reader, &select, sieve).await?;
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
        let sieve = self.sieve(at, pipe.reader).await?;
        let filled = self.fill(at, pipe, ground, sieve).await;
        pipe.ended(filled).await
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn through(rows: &[(i64, Option<i64>)]) -> Vec<usize> {
        let mut sieve = Sieve::new(vec![vec![0], vec![1]]);
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
                sieve.through();
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
