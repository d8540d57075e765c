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
use dunlin_core::dialect::parts::{keyless, next_cut, places, select_cut, select_part};
use dunlin_core::failure::Failure;
use dunlin_core::journal;
use dunlin_core::schema::{NeutralType, label};
use dunlin_core::value::Value;
use dunlin_engines::Session;
use std::collections::BTreeMap;

/// Longest key at which a table is cut: all cuts stand in one record.
const CUT_MAX: usize = 128;

/// A table that is copied in parts. It is there.
pub(super) struct Parted {
    /// The query of each part.
    selects: Vec<String>,
    known: BTreeMap<usize, Tally>,
}

impl Parted {
    /// How many parts it has, done or not.
    pub(super) fn count(&self) -> u64 {
        (self.selects.len() as u64).max(1)
    }

    /// The parts that are not done.
    pub(super) fn left(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.selects.len()).filter(|part| !self.known.contains_key(part))
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
            if let Some(laid) = self.large(at, readers.lead()).await? {
                let Some(parted) = self.parts_of(at, &laid) else {
                    continue;
                };
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

    /// The parts of a table as they were laid; `None`: it is not one that is cut so.
    fn parts_of(&self, at: usize, laid: &Laid) -> Option<Parted> {
        let bound = rows::source(&self.looked.plan.tables[at], self.looked.own_rows[at]);
        let dialect = self.from.dialect();
        let selects = if laid.cuts.is_empty() {
            let place = self.number(at)?;
            let select = |part: Part| select_part(dialect.rows(), &bound, &place, part);
            let parts = parts(laid.least, laid.largest, laid.count);
            parts.into_iter().map(select).collect()
        } else {
            let key = self.by_key(at)?;
            let cuts: Vec<String> = laid.cuts.iter().map(|cut| dialect.literal(cut)).collect();
            select_cut(dialect.rows(), &bound, &key, &cuts)
        };
        Some(Parted {
            selects,
            known: BTreeMap::new(),
        })
    }

    /// The primary key by which a table is read, quoted, where the target takes rows quicker so, and rows do not lie by it
    /// in any case.
    pub(super) fn by_key(&self, at: usize) -> Option<Vec<String>> {
        let (schema, name) = &self.looked.plan.tables[at].source;
        let table = self.looked.source.table(schema.as_deref(), name)?;
        let key = table.keys.iter().find(|key| key.primary)?;
        let neutral = |name: &String| Some(&table.column(name)?.neutral);
        let number = match key.columns.as_slice() {
            [only] => neutral(only) == Some(&NeutralType::Int),
            _ => false,
        };
        let wanted = self.to.dialect().landing().clustered() && self.looked.own_rows[at] && !number;
        let change = self.from.dialect().change();
        let key = key.columns.iter().map(|name| change.quote(name)).collect();
        Some(key).filter(|_| wanted)
    }

    /// The query for all rows of a table, in the order in which the target takes them quickest.
    pub(super) fn select_quickly(&self, at: usize) -> String {
        let select = self.select(at);
        let key = self.by_key(at);
        let ordered = key.and_then(|key| self.from.dialect().rows().ordered(&select, &key));
        ordered.unwrap_or(select)
    }

    /// The keys at which a large table is cut into about so many parts of as many rows; `None`: not by keys.
    async fn cuts(
        &self,
        at: usize,
        count: u64,
        reader: &mut dyn Session,
    ) -> Result<Option<Vec<String>>, Failure> {
        let Some(key) = self.by_key(at).and_then(|key| key.into_iter().next()) else {
            return Ok(None);
        };
        let bound = rows::source(&self.looked.plan.tables[at], self.looked.own_rows[at]);
        let dialect = self.from.dialect();
        let width = self.looked.sizes[at].rows / count;
        if width == 0 {
            return Ok(None);
        }
        let mut cuts: Vec<String> = vec![];
        for _ in 1..count {
            let last = cuts.last().map(|last| dialect.literal(last));
            let next = |width| next_cut(dialect.rows(), &bound, &key, last.as_deref(), width);
            let (Some(sql), Some(other)) = (next(width), next(0)) else {
                return Ok(None);
            };
            let mut found = self.first(&sql, reader).await?;
            // Many rows have one first column of several.
            if let (Some(Value::Text(cut)), Some(last)) = (&found, cuts.last())
                && cut == last
            {
                found = self.first(&other, reader).await?;
            }
            match found {
                Some(Value::Text(cut)) if cut.len() <= CUT_MAX && !cut.contains('\0') => {
                    cuts.push(cut);
                }
                // No more rows.
                None => break,
                Some(_) => return Ok(None),
            }
        }
        let without = keyless(dialect.rows(), &bound, &key);
        let keyed = self.first(&without, reader).await?.is_none();
        Ok(Some(cuts).filter(|cuts| keyed && !cuts.is_empty()))
    }

    /// The first value of an answer.
    async fn first(&self, sql: &str, reader: &mut dyn Session) -> Result<Option<Value>, Failure> {
        let found = reader.query(sql, &[]).await.map_err(|error| {
            let failed = trouble::failed(&error, "the source cannot be read on");
            self.from.redact(failed)
        })?;
        Ok(found.into_iter().flatten().next())
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
    async fn large(&self, at: usize, reader: &mut dyn Session) -> Result<Option<Laid>, Failure> {
        let size = self.looked.sizes[at];
        // Of more than its share of the work one session would be at it when the others have nothing left to do.
        let sizes = &self.looked.sizes;
        let all = sizes
            .iter()
            .fold(0_u64, |sum, size| sum.saturating_add(size.cost()));
        let last = size.cost() > all / self.sessions().max(1) as u64;
        // An engine that keeps rows by their key gains nothing from one large transaction.
        let early = last || self.to.dialect().landing().clustered();
        let count = self.job.large.parts(size.rows, size.bytes, early);
        // Of rows with one key the first is kept where the others are set aside: parts know nothing of each other.
        if count < 2 || self.sets_aside(&self.looked.plan.tables[at]) {
            return Ok(None);
        }
        if let Some(cuts) = self.cuts(at, count, reader).await? {
            return Ok(Some(Laid {
                table: self.name(at),
                count: cuts.len() as u64 + 1,
                cuts,
                ..Laid::default()
            }));
        }
        let Some(place) = self.number(at) else {
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
            cuts: vec![],
        };
        Ok(Some(laid))
    }

    /// A table that a run before this one has begun: its parts, where all that are done still hold what the source holds.
    async fn gone_on(
        &self,
        at: usize,
        begun: &Begun,
        reader: &mut dyn Session,
    ) -> Result<Option<Parted>, Failure> {
        let Some(mut parted) = self.parts_of(at, &begun.laid) else {
            return Ok(None);
        };
        // Rows without a key may have come since.
        let key = self.by_key(at).and_then(|key| key.into_iter().next());
        if let Some(key) = key.filter(|_| !begun.laid.cuts.is_empty()) {
            let bound = rows::source(&self.looked.plan.tables[at], self.looked.own_rows[at]);
            let without = keyless(self.from.dialect().rows(), &bound, &key);
            if self.first(&without, reader).await?.is_some() {
                return Ok(None);
            }
        }
        for (number, done) in &begun.parts {
            let tally = done.tally();
            // What a part left out is struck from the rejects, like all of a table that is not done.
            let select = parted.selects.get(*number).cloned();
            let Some(select) = select.filter(|_| tally.rejected == 0) else {
                return Ok(None);
            };
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
        match pipe.ended(filled).await {
            Ok(tally) => Ok(tally),
            Err(failure) => Err(self.named_if_twice(at, failure, pipe).await),
        }
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
        let select = &parted.selects[part];
        let tally = self.load(at, select, pipe, false, None).await?;
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
