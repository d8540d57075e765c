//! Large tables in parts: each part and the record that it is done in one transaction. Several sessions fill one table at
//! once, and a copy that died goes on inside it.
//!
//! What a part held is read again under the new state of the source before it is taken for done. Where a single part
//! differs the whole table is made anew: which rows of the target were that part's, nobody can say in general.

use super::ledger::{self, Begun, Done, DonePart, Laid};
use super::rows::{self, Tally};
use super::table::{Ground, Pipe};
use super::{Copying, Readers, What};
use crate::trouble;
use dunlin_core::copy::parts::{Part, parts};
use dunlin_core::copy::reading::Bound;
use dunlin_core::dialect::parts::{places, select_part};
use dunlin_core::failure::Failure;
use dunlin_core::journal;
use dunlin_core::schema::{NeutralType, label};
use dunlin_core::value::Value;
use dunlin_engines::Session;
use std::collections::BTreeMap;

/// A table that is copied in parts. It is there.
pub(super) struct Parted {
    place: String,
    bound: Bound,
    parts: Vec<Part>,
    known: BTreeMap<usize, Tally>,
}

impl Parted {
    /// The parts that are not done.
    pub(super) fn left(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.parts.len()).filter(|part| !self.known.contains_key(part))
    }
}

impl Copying<'_> {
    /// The tables that are copied in parts, each made and recorded. `known`: tables that are done.
    pub(super) async fn parted(
        &mut self,
        known: &[Option<Tally>],
        readers: &mut Readers,
        writer: &mut dyn Session,
    ) -> Result<BTreeMap<usize, Parted>, Failure> {
        let mut all = BTreeMap::new();
        // Into tables that are there rows go whole: what is theirs must not stay behind half.
        if self.job.existing.is_some() || self.job.what != What::All {
            return Ok(all);
        }
        for at in (0..known.len()).filter(|at| known[*at].is_none()) {
            let begun = self.history.begun.get(&self.name(at)).cloned();
            if let Some(begun) = begun {
                if let Some(parted) = self.gone_on(at, &begun, readers.lead()).await? {
                    all.insert(at, parted);
                    continue;
                }
                let done = Done {
                    table: self.name(at),
                    ..Done::default()
                };
                let detail = serde_json::to_value(done).unwrap_or_default();
                let record = ledger::record(journal::Event::Undone, "table", &self.hash, detail);
                let written = self.pen.append(self.to, &mut *self.work, &[record]).await;
                written.map_err(|error| {
                    ledger::failure(self.to, &error, "cannot write the journal")
                })?;
            }
            if let Some((place, laid)) = self.large(at, readers.lead()).await? {
                let parted = self.parts_of(at, place, &laid);
                let plan = &self.looked.plan.tables[at];
                self.make(plan, writer, Ground::New).await?;
                let detail = serde_json::to_value(laid).unwrap_or_default();
                let record = ledger::record(journal::Event::Done, "parts", &self.hash, detail);
                ledger::commit(self.to, writer, &self.pen, record).await?;
                all.insert(at, parted);
            }
        }
        Ok(all)
    }

    fn name(&self, at: usize) -> String {
        let (schema, name) = &self.looked.plan.tables[at].source;
        label(schema.as_deref(), name)
    }

    fn parts_of(&self, at: usize, place: String, laid: &Laid) -> Parted {
        Parted {
            place,
            bound: rows::source(&self.looked.plan.tables[at], self.looked.own_rows[at]),
            parts: parts(laid.least, laid.largest, laid.count),
            known: BTreeMap::new(),
        }
    }

    /// What stands for a row's place in a table, where it has such a thing.
    fn number(&self, at: usize) -> Option<String> {
        let (schema, name) = &self.looked.plan.tables[at].source;
        let table = self.looked.source.table(schema.as_deref(), name)?;
        let columns: Vec<&str> = table.columns.iter().map(|c| c.name.as_str()).collect();
        let primary = table.keys.iter().find(|key| key.primary);
        let key = match primary.map(|key| key.columns.as_slice()) {
            Some([only]) => table.columns.iter().find(|column| column.name == *only),
            _ => None,
        };
        let key = key.filter(|key| key.neutral == NeutralType::Int);
        let key = key.map(|key| key.name.as_str());
        // Rows that a table shows of others need not keep to its key.
        let own = self.looked.own_rows[at];
        let rows = self.from.dialect().rows();
        own.then(|| rows.place(&columns, key)).flatten()
    }

    /// How a table is cut, where it is large and can be.
    async fn large(
        &self,
        at: usize,
        reader: &mut dyn Session,
    ) -> Result<Option<(String, Laid)>, Failure> {
        let size = self.looked.sizes[at];
        let count = self.job.large.parts(size.rows, size.bytes);
        // Of rows with one key the first is kept where the others are set aside: parts know nothing of each other.
        let whole = count < 2 || self.sets_aside(&self.looked.plan.tables[at]);
        let Some(place) = self.number(at).filter(|_| !whole) else {
            return Ok(None);
        };
        let bound = rows::source(&self.looked.plan.tables[at], self.looked.own_rows[at]);
        let sql = places(self.from.dialect().rows(), &bound, &place);
        // A table that numbers no rows says so here.
        let found = match reader.query(&sql, &[]).await {
            Ok(found) => found,
            Err(error) if error.class.is_lost() => {
                return Err(self
                    .from
                    .redact(trouble::failed(&error, "the source cannot be read on")));
            }
            Err(_) => return Ok(None),
        };
        let ends = found.first().map(Vec::as_slice);
        let Some([Value::Int(least), Value::Int(largest)]) = ends else {
            return Ok(None);
        };
        let laid = Laid {
            table: self.name(at),
            least: *least,
            largest: *largest,
            count,
        };
        Ok(Some((place, laid)))
    }

    /// A table that a run before this one has begun: its parts, where all that are done still hold what the source holds.
    async fn gone_on(
        &self,
        at: usize,
        begun: &Begun,
        reader: &mut dyn Session,
    ) -> Result<Option<Parted>, Failure> {
        let Some(place) = self.number(at) else {
            return Ok(None);
        };
        let mut parted = self.parts_of(at, place, &begun.laid);
        for (number, done) in &begun.parts {
            let tally = done.tally();
            // What a part left out is struck from the rejects, like all of a table that is not done.
            let Some(part) = parted.parts.get(*number).filter(|_| tally.rejected == 0) else {
                return Ok(None);
            };
            let rows = self.from.dialect().rows();
            let select = select_part(rows, &parted.bound, &parted.place, *part);
            let (same, _) = self.read_through(at, reader, &select, None).await?;
            if same.read != tally.read || same.digest != tally.digest {
                return Ok(None);
            }
            parted.known.insert(*number, tally);
        }
        Ok(Some(parted))
    }

    /// One part: filled, recorded.
    pub(super) async fn part(
        &self,
        at: usize,
        parted: &Parted,
        part: usize,
        pipe: &mut Pipe<'_>,
    ) -> Result<Tally, Failure> {
        let filled = self.fill_part(at, parted, part, pipe).await;
        pipe.ended(filled).await
    }

    async fn fill_part(
        &self,
        at: usize,
        parted: &Parted,
        part: usize,
        pipe: &mut Pipe<'_>,
    ) -> Result<Tally, Failure> {
        let begun = pipe.writer.begin().await;
        begun.map_err(|error| ledger::failure(self.to, &error, "cannot write to the target"))?;
        let rows = self.from.dialect().rows();
        let select = select_part(rows, &parted.bound, &parted.place, parted.parts[part]);
        let tally = self.load(at, &select, pipe, false, None).await?;
        self.rejects.sync().map_err(|failure| *failure)?;
        let record = DonePart {
            part,
            done: Done::of(&self.looked.plan.tables[at], &tally),
        };
        let detail = serde_json::to_value(record).unwrap_or_default();
        let record = ledger::record(journal::Event::Done, "part", &self.hash, detail);
        ledger::commit(self.to, pipe.writer, &self.pen, record).await?;
        Ok(tally)
    }

    /// All parts are there: their tables are done.
    pub(super) async fn parts_done(
        &mut self,
        parted: BTreeMap<usize, Parted>,
        finished: &mut BTreeMap<usize, Tally>,
    ) -> Result<(), Failure> {
        for (at, parted) in parted {
            let tally = finished.entry(at).or_default();
            for known in parted.known.into_values() {
                tally.add(known);
            }
            let done = Done::of(&self.looked.plan.tables[at], tally);
            let detail = serde_json::to_value(done).unwrap_or_default();
            let record = ledger::record(journal::Event::Done, "table", &self.hash, detail);
            let written = self.pen.append(self.to, &mut *self.work, &[record]).await;
            written
                .map_err(|error| ledger::failure(self.to, &error, "cannot write the journal"))?;
        }
        Ok(())
    }
}
