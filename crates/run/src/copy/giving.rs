//! Rows of a source on their way into a stage of a target: those that are wanted, encoded as it loads them.

use super::pair::{Canonical, Pair};
use super::rows;
use dunlin_core::copy::Cell;
use dunlin_core::dialect::bulk::Encoder;
use dunlin_core::dialect::mend::Mend;
use dunlin_core::failure::Failure;
use dunlin_engines::{Batch, DbError, RowSource, Session};
use std::collections::BTreeSet;

/// Rows of a batch, and bytes of one: locks are held for a moment only.
pub(super) const TOGETHER: usize = 500;
const TOGETHER_BYTES: usize = 1 << 20;

/// How the stage of a table is filled, and what writes its rows.
pub(super) fn loading(
    pair: &Pair<'_>,
    mend: &Mend<'_>,
) -> Result<(Load, Box<dyn Encoder>), Failure> {
    let mut target = rows::load_table(pair.plan);
    target.schema = mend.stage().schema.map(str::to_owned);
    mend.stage().name.clone_into(&mut target.name);
    let bulk = mend.dialect.bulk();
    let mut encoder = bulk.encoder(&target).map_err(|why| {
        let message = format!("{}: {why}", pair.target.label());
        Failure::refused("column-not-loadable", message)
    })?;
    let mut load = Load {
        sql: bulk.load(&target, false),
        columns: target.columns.len(),
        head: vec![],
        tail: vec![],
    };
    encoder.begin(&mut load.head);
    encoder.end(&mut load.tail);
    Ok((load, encoder))
}

/// The rows of a source whose keys' hashes are wanted.
pub(super) struct Giving<'g> {
    pair: &'g Pair<'g>,
    give: &'g BTreeSet<u128>,
    stream: Box<dyn RowSource + 'g>,
    encoder: Box<dyn Encoder>,
    /// What was read and not looked at yet, from this row on.
    batch: Option<(Batch, usize)>,
    /// Why rows do not fit into the target.
    pub(super) unfit: Vec<String>,
}

impl<'g> Giving<'g> {
    pub(super) async fn new(
        pair: &'g Pair<'g>,
        give: &'g BTreeSet<u128>,
        encoder: Box<dyn Encoder>,
        reader: &'g mut dyn Session,
    ) -> Result<Giving<'g>, DbError> {
        let select = reader.dialect().rows().select(&pair.source);
        Ok(Giving {
            pair,
            give,
            stream: reader.stream(&select).await?,
            encoder,
            batch: None,
            unfit: vec![],
        })
    }

    /// The next of them, as many as belong into one transaction. `None`: there are no more.
    pub(super) async fn next(&mut self) -> Result<Option<Vec<Vec<u8>>>, DbError> {
        let (mut together, mut bytes) = (vec![], 0);
        let (mut scratch, mut row) = (String::new(), Canonical::default());
        loop {
            let (batch, from) = match self.batch.take() {
                Some(held) => held,
                None => match self.stream.next().await? {
                    Some(batch) => (batch, 0),
                    None => return Ok((!together.is_empty()).then_some(together)),
                },
            };
            for at in from..batch.len() {
                self.pair
                    .form
                    .canonical(batch.row(at), &mut scratch, &mut row);
                if !self.give.contains(&row.key(&self.pair.key)) {
                    continue;
                }
                match encoded(self.pair, batch.row(at), &mut scratch, &mut *self.encoder) {
                    Ok(row) => {
                        bytes += row.len();
                        together.push(row);
                    }
                    Err(why) => self.unfit.push(why),
                }
                if together.len() >= TOGETHER || bytes >= TOGETHER_BYTES {
                    self.batch = Some((batch, at + 1));
                    return Ok(Some(together));
                }
            }
        }
    }
}

/// How the stage is filled.
pub(super) struct Load {
    sql: String,
    columns: usize,
    head: Vec<u8>,
    tail: Vec<u8>,
}

impl Load {
    pub(super) async fn send(
        &self,
        session: &mut dyn Session,
        rows: &[Vec<u8>],
    ) -> Result<(), DbError> {
        let mut sink = session.load(&self.sql, self.columns).await?;
        let whole = [self.head.as_slice(), &rows.concat(), &self.tail].concat();
        sink.send(whole).await?;
        sink.finish().await.map(|_| ())
    }
}

/// A row of the source in the form that the target loads. The error is a sentence.
fn encoded<'c>(
    pair: &Pair<'_>,
    cells: impl Iterator<Item = Cell<'c>>,
    scratch: &mut String,
    encoder: &mut dyn Encoder,
) -> Result<Vec<u8>, String> {
    scratch.clear();
    let mut slots = vec![];
    let form = &pair.form;
    let columns = form.converters.iter().zip(&pair.plan.columns);
    for (at, ((converter, column), cell)) in columns.zip(cells).enumerate() {
        let slot = converter
            .convert(cell, scratch)
            .or_else(|hazard| form.bent(at, cell, hazard, scratch));
        slots.push(slot.map_err(|hazard| format!("{} {}", column.source, hazard.sentence()))?);
    }
    let data: Vec<_> = slots.iter().map(|slot| slot.datum(scratch)).collect();
    let mut out = vec![];
    encoder
        .row(&data, &mut out)
        .map_err(|unfit| format!("{} {}", pair.plan.columns[unfit.column].source, unfit.why))?;
    Ok(out)
}
