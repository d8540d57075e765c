//! The children of some rows, a page at a time, found in few looks at their table.
//!
//! An engine that has no statistics of a table, or no index on the columns that refer, reads all of it and sorts it for each
//! look, however few rows it then gives. With one look for each page the time would grow with the square of the children: so
//! each look finds the keys of four times as many as the one before, and the rows come by their keys.

use super::ground::Relation;
use super::sweep::{CHUNK, Sweep, Wrong};
use dunlin_core::dialect::rules::Children;
use dunlin_core::value::{Row, Value};
use std::collections::VecDeque;

/// Keys that one look finds at most: of 100 bytes each, 12 MiB.
const KEYS: usize = 1 << 17;

/// How many each look may find.
#[derive(Debug, Default)]
pub(super) struct Looks {
    last: usize,
}

impl Looks {
    pub(super) fn next(&mut self) -> usize {
        self.last = match self.last {
            0 => CHUNK,
            last => (last * 4).min(KEYS),
        };
        self.last
    }
}

/// The children of some rows, on their way.
#[derive(Debug)]
pub(super) struct Kin {
    /// What they have in the columns by which they refer.
    values: Vec<Vec<Value>>,
    looks: Looks,
    /// Keys that were found and whose rows are not read.
    keys: VecDeque<Vec<Value>>,
    /// The last key that was found.
    after: Option<Vec<Value>>,
    /// There are no others.
    all: bool,
}

impl Kin {
    /// Of rows to which others refer by these values.
    pub(super) fn of(values: Vec<Vec<Value>>) -> Kin {
        Kin {
            all: values.is_empty(),
            values,
            looks: Looks::default(),
            keys: VecDeque::new(),
            after: None,
        }
    }
}

impl Sweep<'_, '_> {
    /// The next page of children, as they are now; of those whose keys were found some may be gone. `None`: that was all.
    pub(super) async fn page(
        &mut self,
        relation: &Relation,
        kin: &mut Kin,
    ) -> Result<Option<Vec<Row>>, Wrong> {
        let ground = self.ground;
        let known = &ground.tables[relation.child];
        let all: Vec<usize> = (0..known.bound.columns.len()).collect();
        if kin.keys.is_empty() && kin.all {
            return Ok(None);
        }
        let first = kin.after.is_none();
        if kin.keys.is_empty() {
            let limit = kin.looks.next();
            let children = Children {
                columns: &relation.columns,
                values: &kin.values,
                key: &known.key,
                // The first rows come whole: mostly they are all.
                wanted: if first { &all } else { &known.key },
                among: None,
                after: kin.after.as_deref(),
                limit,
            };
            let rules = self.session().dialect().rules();
            let query = rules.children(&known.bound, &children);
            let rows = self.session().query(&query.sql, &query.params).await?;
            kin.all = rows.len() < limit;
            let last = rows.last().map(|row| match first {
                true => self.key(relation.child, row),
                false => row.clone(),
            });
            kin.after = last.or_else(|| kin.after.take());
            if first {
                return Ok((!rows.is_empty()).then_some(rows));
            }
            kin.keys = rows.into();
        }
        let some = kin.keys.len().min(CHUNK);
        let keys: Vec<Vec<Value>> = kin.keys.drain(..some).collect();
        if keys.is_empty() {
            return Ok(None);
        }
        let children = Children {
            columns: &relation.columns,
            values: &kin.values,
            key: &known.key,
            wanted: &all,
            among: Some(&keys),
            after: None,
            limit: CHUNK,
        };
        let rules = self.session().dialect().rules();
        let query = rules.children(&known.bound, &children);
        Ok(Some(self.session().query(&query.sql, &query.params).await?))
    }
}
