//! Rows that move into another table.

use super::image::Op;
use super::sweep::{CHUNK, Sweep, Wrong, pick, spelled};
use crate::backup::archive::cell_of;
use dunlin_core::copy::RowHasher;
use dunlin_core::copy::reading::Bound;
use dunlin_core::failure::{Failure, FailureClass};
use dunlin_core::value::{Row, Value};
use std::collections::HashSet;

impl Sweep<'_, '_> {
    /// Moves rows into a table: they are there, as they were, before they go.
    pub(super) async fn move_rows(
        &mut self,
        at: usize,
        rows: Vec<Row>,
        archive: Option<usize>,
    ) -> Result<(), Wrong> {
        let mut rows = self.clear(at, rows).await?;
        let Some(archive) = archive else {
            return self.delete(at, rows).await;
        };
        let (known, to) = (&self.ground.tables[at], &self.ground.tables[archive]);
        // The archive's columns in the order of the table's.
        let mut order = to.bound.clone();
        let names = known.bound.columns.iter();
        order.columns = names
            .filter_map(|column| Some(to.bound.columns[to.place(&column.shape.name)?].clone()))
            .collect();
        let all: Vec<usize> = (0..order.columns.len()).collect();
        let keys: Vec<Vec<Value>> = rows.iter().map(|row| self.key(at, row)).collect();
        let there = self.read(&order, &known.key, &all, &keys).await?;
        let there: HashSet<String> = there
            .iter()
            .map(|row| spelled(&pick(row, &known.key)))
            .collect();
        rows.retain(|row| {
            let key = pick(row, &known.key);
            let free = !there.contains(&spelled(&key));
            if !free {
                self.leave(at, &key);
            }
            free
        });
        if !self.is_dry() && !rows.is_empty() {
            let keys: Vec<Vec<Value>> = rows.iter().map(|row| self.key(at, row)).collect();
            self.copy(at, &order, &keys).await?;
            for key in keys {
                self.note(Op::Added(archive, key));
            }
        }
        self.delete(at, rows).await
    }

    /// Copies rows, and compares what has arrived.
    async fn copy(&mut self, at: usize, order: &Bound, keys: &[Vec<Value>]) -> Result<(), Wrong> {
        let known = &self.ground.tables[at];
        let session = self.session();
        for part in keys.chunks(CHUNK) {
            let rules = session.dialect().rules();
            let query = rules.copy_rows(&known.bound, order, &known.key, part);
            session.execute_with(&query.sql, &query.params).await?;
        }
        let all: Vec<usize> = (0..order.columns.len()).collect();
        let now = self.rows(at, keys, None).await?;
        let copied = self.read(order, &known.key, &all, keys).await?;
        let typing = self.session().dialect().rows().typing();
        let digest = |rows: &[Row]| {
            let types = known.bound.columns.iter().map(|column| column.ty.clone());
            let mut hasher = RowHasher::new(types.collect(), typing);
            for row in rows {
                hasher.row(row.iter().map(cell_of));
            }
            hasher.digest()
        };
        if digest(&now) == digest(&copied) {
            return Ok(());
        }
        let message = format!(
            "rows of {} are not the same in {}",
            known.label(),
            order.label()
        );
        let failure = Failure::new(FailureClass::Failed, "archive-differs", message);
        let hint = "nothing of this batch was removed; give both tables the same columns";
        Err(failure.hint(hint).into())
    }

    async fn read(
        &mut self,
        bound: &Bound,
        key: &[usize],
        all: &[usize],
        keys: &[Vec<Value>],
    ) -> Result<Vec<Row>, Wrong> {
        let session = self.session();
        let mut rows = vec![];
        for part in keys.chunks(CHUNK) {
            let query = session
                .dialect()
                .change()
                .keyed(bound, key, all, part, None, false);
            rows.extend(session.query(&query.sql, &query.params).await?);
        }
        Ok(rows)
    }
}
