//! Putting rows into a table that is there: from a stage of the session's own, row by row of the same key.

use super::Dialect;
use super::landing::{STAGED, STANDS, Stage};
use crate::copy::reading::Bound;

/// A table whose rows are mended, and the key by which they are known.
#[derive(Debug, Clone, Copy)]
pub struct Mend<'a> {
    /// The engine.
    pub dialect: &'static dyn Dialect,
    /// The table.
    pub table: &'a Bound,
    /// Its key, as places in the table's columns.
    pub key: &'a [usize],
}

impl Mend<'_> {
    /// The stage.
    pub fn stage(&self) -> Stage {
        self.dialect.landing().stage()
    }

    fn names(&self) -> Vec<String> {
        let change = self.dialect.change();
        let columns = self.table.columns.iter();
        columns.map(|c| change.quote(&c.shape.name)).collect()
    }

    /// That a row of `staged` is the row of `stands`.
    fn same(&self, staged: &str, stands: &str) -> String {
        let names = self.names();
        let pair = |at: &usize| format!("{stands}.{0} = {staged}.{0}", names[*at]);
        let pairs: Vec<String> = self.key.iter().map(pair).collect();
        pairs.join(" AND ")
    }

    /// Statements that make the stage, empty.
    pub fn make(&self) -> Vec<String> {
        let table = self.dialect.change().target(self.table);
        self.dialect.landing().make_stage(&table, &self.names())
    }

    /// The statement that empties it.
    pub fn clear(&self) -> String {
        format!("DELETE FROM {}", self.stage().sql)
    }

    /// The table's rows that those of the stage would write over, locked.
    pub fn written_over(&self) -> String {
        let change = self.dialect.change();
        let all: Vec<usize> = (0..self.table.columns.len()).collect();
        let table = change.target(self.table);
        format!(
            "SELECT {} FROM {table} WHERE EXISTS (SELECT 1 FROM {} AS {STAGED} WHERE {}){}",
            change.list(self.table, &all),
            self.stage().sql,
            self.same(STAGED, &table),
            change.for_update()
        )
    }

    /// The statement that gives those rows the other columns of the stage's; `None`: there are none.
    pub fn update(&self) -> Option<String> {
        let names = self.names().into_iter().enumerate();
        let others = names.filter(|(at, _)| !self.key.contains(at));
        let others: Vec<String> = others.map(|(_, name)| name).collect();
        let table = self.dialect.change().target(self.table);
        let landing = self.dialect.landing();
        let same = self.same(STAGED, STANDS);
        (!others.is_empty()).then(|| landing.write_over(&table, &others, &same))
    }

    /// The statement that removes those rows.
    pub fn remove(&self) -> String {
        let table = self.dialect.change().target(self.table);
        format!(
            "DELETE FROM {table} WHERE EXISTS (SELECT 1 FROM {} AS {STAGED} WHERE {})",
            self.stage().sql,
            self.same(STAGED, &table)
        )
    }

    /// The statement that adds the rows of the stage that the table lacks.
    pub fn insert(&self) -> String {
        let table = self.dialect.change().target(self.table);
        let list = self.names().join(", ");
        format!(
            "INSERT INTO {table} ({list}) {}SELECT {list} FROM {} AS {STAGED} WHERE NOT EXISTS (SELECT 1 FROM {table} AS \
             {STANDS} WHERE {})",
            self.dialect.landing().numbered_by_us(),
            self.stage().sql,
            self.same(STAGED, STANDS)
        )
    }
}
