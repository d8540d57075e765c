//! One table on both sides of a comparison: how each side is read, and the one form that rows of both are given.

use super::look::Looked;
use super::rejects::json;
use super::rows;
use crate::backup::archive::cell_of;
use crate::checks::value_of;
use dunlin_core::copy::convert::{Converter, Slot};
use dunlin_core::copy::digest::row_hash;
use dunlin_core::copy::encode::{encode, encode_datum_as, is_null};
use dunlin_core::copy::plan::{ColumnPlan, TablePlan};
use dunlin_core::copy::policy::{Hazard, Policies, Policy};
use dunlin_core::copy::reading::Bound;
use dunlin_core::copy::{Cell, Typing};
use dunlin_core::schema::label;
use dunlin_core::value::Value;
use dunlin_engines::{DbError, Session};
use std::sync::Arc;

/// What a target lacks of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Missing {
    Nothing,
    Column,
    Table,
}

/// One table on both sides.
pub(super) struct Pair<'l> {
    pub(super) plan: &'l TablePlan,
    pub(super) source: Bound,
    pub(super) target: Bound,
    pub(super) form: Arc<Form>,
    /// By what rows are told apart; empty: by all they hold.
    pub(super) key: Vec<usize>,
    /// By what they are named.
    named: Vec<usize>,
}

/// The form that rows of the source have in the target.
pub(super) struct Form {
    pub(super) converters: Vec<Converter>,
    typing: Typing,
    /// What a person decided about values that do not fit, and where they stand.
    policies: Policies,
    table: String,
    columns: Vec<String>,
}

impl Form {
    /// The form of one row of the source. A value that does not fit equals nothing in the target.
    pub(super) fn canonical<'c>(
        &self,
        cells: impl Iterator<Item = Cell<'c>>,
        scratch: &mut String,
        out: &mut Canonical,
    ) {
        out.clear();
        scratch.clear();
        for (at, (converter, cell)) in self.converters.iter().zip(cells).enumerate() {
            if converter.as_is() {
                encode(cell, converter.ty(), self.typing, &mut out.bytes);
            } else {
                let converted = converter.convert(cell, scratch);
                match converted.or_else(|hazard| self.bent(at, cell, hazard, scratch)) {
                    Ok(slot) => {
                        let datum = slot.datum(scratch);
                        encode_datum_as(&datum, converter.ty(), self.typing, &mut out.bytes);
                    }
                    Err(_) => {
                        // No value of the target has this tag.
                        out.bytes.push(0xff);
                        encode(cell, converter.ty(), Typing::Dynamic, &mut out.bytes);
                    }
                }
            }
            out.ends.push(out.bytes.len());
        }
    }

    /// What a copy under the same decisions makes of a value that does not fit.
    pub(super) fn bent<'c>(
        &self,
        at: usize,
        cell: Cell<'c>,
        hazard: Hazard,
        scratch: &mut String,
    ) -> Result<Slot<'c>, Hazard> {
        let policy = self.policies.of(&self.table, &self.columns[at], hazard);
        let bent = (policy == Policy::Coerce)
            .then(|| self.converters[at].coerce(cell, hazard, scratch))
            .flatten();
        bent.ok_or(hazard)
    }

    /// The form of one row of the target.
    pub(super) fn there<'c>(&self, cells: impl Iterator<Item = Cell<'c>>, out: &mut Canonical) {
        out.clear();
        for (converter, cell) in self.converters.iter().zip(cells) {
            encode(cell, converter.ty(), self.typing, &mut out.bytes);
            out.ends.push(out.bytes.len());
        }
    }
}

/// A row in its canonical form, column by column.
#[derive(Default)]
pub(super) struct Canonical {
    pub(super) bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Canonical {
    fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }

    /// One column of it.
    pub(super) fn column(&self, at: usize) -> &[u8] {
        let from = if at == 0 { 0 } else { self.ends[at - 1] };
        &self.bytes[from..self.ends[at]]
    }

    /// A row of these columns.
    #[cfg(test)]
    pub(super) fn of(columns: &[Vec<u8>]) -> Canonical {
        let mut row = Canonical::default();
        for column in columns {
            row.bytes.extend_from_slice(column);
            row.ends.push(row.bytes.len());
        }
        row
    }

    /// The hash of each column.
    pub(super) fn hashes(&self) -> Vec<u128> {
        (0..self.ends.len())
            .map(|at| row_hash(self.column(at)))
            .collect()
    }

    /// The hash of its key, and of all of it where it has none: rows whose key holds NULL may be many.
    pub(super) fn key(&self, columns: &[usize]) -> u128 {
        match columns {
            [] => row_hash(&self.bytes),
            _ if columns.iter().any(|at| is_null(self.column(*at))) => row_hash(&self.bytes),
            [only] => row_hash(self.column(*only)),
            several => {
                let columns: Vec<&[u8]> = several.iter().map(|at| self.column(*at)).collect();
                row_hash(&columns.concat())
            }
        }
    }
}

/// Gives rows of one side their form.
pub(super) struct Forming {
    form: Arc<Form>,
    of_source: bool,
    scratch: String,
    row: Canonical,
}

impl Forming {
    /// The form of a row.
    pub(super) fn of(&mut self, cells: &[Cell<'_>]) -> &Canonical {
        let cells = cells.iter().copied();
        if self.of_source {
            self.form.canonical(cells, &mut self.scratch, &mut self.row);
        } else {
            self.form.there(cells, &mut self.row);
        }
        &self.row
    }
}

impl<'l> Pair<'l> {
    pub(super) fn new(looked: &'l Looked, at: usize, typing: Typing) -> Self {
        let plan = &looked.plan.tables[at];
        let place = |name: &String| plan.columns.iter().position(|c| c.source == *name);
        let named: Vec<usize> = looked.keys[at].iter().filter_map(place).collect();
        // By a part of its key no row is told from another.
        let key = (named.len() == looked.keys[at].len()).then(|| named.clone());
        Pair {
            plan,
            source: rows::source(plan, looked.own_rows[at]),
            target: rows::target(plan),
            form: Arc::new(Form {
                converters: plan.columns.iter().map(Converter::new).collect(),
                typing,
                policies: looked.policies.clone(),
                table: label(plan.source.0.as_deref(), &plan.source.1),
                columns: plan
                    .columns
                    .iter()
                    .map(|column| column.source.clone())
                    .collect(),
            }),
            key: key.unwrap_or_default(),
            named,
        }
    }

    /// What the target lacks of it.
    pub(super) fn missing(&self, looked: &Looked) -> Missing {
        let there = looked
            .there
            .table(self.target.schema.as_deref(), &self.target.table);
        let Some(there) = there else {
            return Missing::Table;
        };
        let lacks = |column: &ColumnPlan| there.column(&column.target).is_none();
        if self.plan.columns.iter().any(lacks) {
            return Missing::Column;
        }
        Missing::Nothing
    }

    /// How one side is read.
    pub(super) fn bound(&self, of_source: bool) -> &Bound {
        if of_source {
            &self.source
        } else {
            &self.target
        }
    }

    /// What gives the rows of one side their form.
    pub(super) fn forming(&self, of_source: bool) -> Forming {
        Forming {
            form: Arc::clone(&self.form),
            of_source,
            scratch: String::new(),
            row: Canonical::default(),
        }
    }

    /// Calls with each row's canonical form and its cells of the key.
    pub(super) async fn each(
        &self,
        session: &mut dyn Session,
        of_source: bool,
        mut take: impl FnMut(&Canonical, &dyn Fn() -> Vec<Value>) + Send,
    ) -> Result<(), DbError> {
        let select = session.dialect().rows().select(self.bound(of_source));
        let mut stream = session.stream(&select).await?;
        let (mut scratch, mut row) = (String::new(), Canonical::default());
        while let Some(batch) = stream.next().await? {
            for at in 0..batch.len() {
                if of_source {
                    self.form.canonical(batch.row(at), &mut scratch, &mut row);
                } else {
                    self.form.there(batch.row(at), &mut row);
                }
                let key = || {
                    let cells: Vec<Cell<'_>> = batch.row(at).collect();
                    self.key
                        .iter()
                        .map(|place| value_of(cells[*place]))
                        .collect()
                };
                take(&row, &key);
            }
        }
        Ok(())
    }

    /// What names a row in a report: places and names of its key.
    pub(super) fn naming(&self) -> Naming {
        let name = |place: &usize| (*place, self.plan.columns[*place].source.clone());
        Naming(self.named.iter().map(name).collect())
    }
}

/// Names rows by their key.
#[derive(Clone)]
pub(super) struct Naming(Vec<(usize, String)>);

impl Naming {
    /// A row's key.
    pub(super) fn of(&self, cells: &[Cell<'_>]) -> serde_json::Value {
        let pairs = self.0.iter().map(|(place, name)| {
            let value = value_of(cells[*place]);
            (name.clone(), json(cell_of(&value)))
        });
        serde_json::Value::Object(pairs.collect())
    }
}
