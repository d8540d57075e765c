//! Rows of files on their way into tables: parts in their order, rows one by one, counters at the end.

use super::import::{Aim, Ground, about, progress};
use super::load::{Load, Shared, Target};
use super::proof::{self, Source, damaged};
use super::rejects::{Reason, Reject};
use super::source::{self, Message, Row};
use super::{Counts, PROGRESS_ROWS, interrupted, wrong_file};
use crate::control::{Control, Stop};
use crate::trouble;
use dunlin_core::bulk::Manifest;
use dunlin_core::copy::Digest;
use dunlin_core::event::Sink;
use dunlin_core::failure::{Failure, FailureClass};
use dunlin_core::value::Value;
use dunlin_engines::Session;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Rows on their way.
pub(super) struct Filling<'a> {
    pub(super) ground: &'a Ground,
    pub(super) work: &'a mut dyn Session,
    pub(super) control: &'a Control,
    pub(super) loads: BTreeMap<usize, Load>,
    /// The tables in the order in which they came.
    pub(super) order: Vec<Counts>,
    /// Lines that are no rows, of no table that anybody knows.
    pub(super) nameless: u64,
    pub(super) shared: Shared,
}

impl Filling<'_> {
    pub(super) async fn part(&mut self, aim: Aim, sink: &mut dyn Sink) -> Result<(), Failure> {
        let Aim { part, tables } = aim;
        let (manifest, file) = (part.manifest.clone(), part.shown.clone());
        self.shared.file = file.clone();
        let own = part.table.clone();
        let mut sources: Vec<Source> = match (&manifest, &own) {
            (Some(manifest), Some(own)) => about(manifest, own)
                .map(|about| Source::new(manifest, about))
                .into_iter()
                .collect(),
            (Some(manifest), None) => manifest
                .tables
                .iter()
                .map(|about| Source::new(manifest, about))
                .collect(),
            (None, _) => vec![],
        };
        // A table without rows is in the answer, too.
        for at in &tables {
            self.note(*at);
        }
        let (mut done, mut last, mut trailer) = (0_u64, None, None);
        let mut rows = source::read(part);
        while let Some(message) = rows.recv().await {
            if self.control.asked() > Stop::No {
                return Err(interrupted("nothing was imported"));
            }
            match message? {
                Message::Trailer(tables) => trailer = Some(tables),
                Message::Rows(rows) => {
                    for row in rows {
                        let name = row.table.as_deref().or(own.as_deref()).map(str::to_owned);
                        if let (Some(name), Ok(values)) = (&name, &row.values)
                            && let Some(source) = sources.iter_mut().find(|s| s.name() == name)
                        {
                            let hashed = source.row(&row.columns, values);
                            hashed.map_err(|why| damaged(&file, &why))?;
                        }
                        let at = self
                            .row(name.as_deref(), row, manifest.as_deref(), sink)
                            .await?;
                        if last != at {
                            if let Some(at) = last {
                                self.flush(at).await?;
                            }
                            last = at;
                        }
                        done += 1;
                        if done.is_multiple_of(PROGRESS_ROWS) {
                            progress(sink, name.as_deref().unwrap_or("rows"), done);
                        }
                    }
                }
            }
        }
        let all: Vec<usize> = self.loads.keys().copied().collect();
        for at in all {
            self.flush(at).await?;
        }
        for source in &sources {
            let said = trailer.as_ref().and_then(|tables: &Vec<_>| {
                let of = |t: &&dunlin_core::bulk::manifest::TrailerTable| t.table == source.name();
                let table = tables.iter().find(of)?;
                Digest::from_hex(table.rows, &table.digest)
            });
            source.check(said, &file)?;
        }
        Ok(())
    }

    /// What became of each table's rows, in the order in which they came.
    pub(super) fn counts(&self) -> Vec<Counts> {
        let mut tables = self.order.clone();
        for counts in &mut tables {
            let mut loads = self.loads.values();
            if let Some(load) = loads.find(|load| load.counts.table == counts.table) {
                // Lines that came before its first row, and were none.
                let failed = counts.failed + load.counts.failed;
                *counts = Counts {
                    failed,
                    ..load.counts.clone()
                };
            }
        }
        if self.nameless > 0 {
            tables.push(Counts {
                failed: self.nameless,
                ..Counts::default()
            });
        }
        tables
    }

    pub(super) fn note(&mut self, at: usize) {
        let table = self.ground.tables[at].label();
        if !self.order.iter().any(|counts| counts.table == table) {
            self.order.push(Counts {
                table,
                ..Counts::default()
            });
        }
    }

    pub(super) async fn flush(&mut self, at: usize) -> Result<(), Failure> {
        match self.loads.get_mut(&at) {
            Some(load) => load.flush(self.work, &mut self.shared).await,
            None => Ok(()),
        }
    }

    /// Takes a row; gives its table.
    pub(super) async fn row(
        &mut self,
        name: Option<&str>,
        row: Row,
        manifest: Option<&Manifest>,
        sink: &mut dyn Sink,
    ) -> Result<Option<usize>, Failure> {
        let at = name.and_then(|name| self.ground.find(name));
        let (values, at) = match (row.values, at) {
            (Ok(values), Some(at)) => (values, at),
            (Err((bytes, why)), at) => {
                self.no_row(
                    &row.columns,
                    row.line,
                    Some(&bytes),
                    at,
                    ("import-no-row", why),
                )?;
                return Ok(at);
            }
            (Ok(_), None) => {
                let why = match name {
                    Some(name) => format!("there is no table {name}"),
                    None => "the line does not say of which table it is".into(),
                };
                self.no_row(&row.columns, row.line, None, None, ("object-missing", why))?;
                return Ok(None);
            }
        };
        if !self
            .loads
            .get(&at)
            .is_some_and(|load| load.takes(&row.columns))
            && let Err(why) = self.open(at, &row.columns, manifest, sink).await?
        {
            self.no_row(
                &row.columns,
                row.line,
                None,
                Some(at),
                ("object-missing", why),
            )?;
            return Ok(Some(at));
        }
        if let Some(load) = self.loads.get_mut(&at) {
            load.row(self.work, &mut self.shared, row.line, values)
                .await?;
        }
        Ok(Some(at))
    }

    /// Makes a table ready for rows of these columns. The inner error is a sentence.
    pub(super) async fn open(
        &mut self,
        at: usize,
        columns: &Arc<Vec<String>>,
        manifest: Option<&Manifest>,
        sink: &mut dyn Sink,
    ) -> Result<Result<(), String>, Failure> {
        self.flush(at).await?;
        let label = self.ground.tables[at].label();
        let same = manifest.filter(|manifest| manifest.engine == self.ground.engine);
        let target = Target {
            tables: &self.ground.tables,
            at,
            bound: &self.ground.bounds[at],
            key: self.ground.keys.get(&at).map(Vec::as_slice),
            about: same.and_then(|manifest| about(manifest, &label)),
        };
        let mut load = match Load::new(&target, columns, self.work) {
            Ok(load) => load,
            Err(why) => return Ok(Err(why)),
        };
        self.note(at);
        match self.loads.remove(&at) {
            None => proof::before(self.work, &mut load, sink).await?,
            Some(old) => {
                load.counts = old.counts;
                if old.bound == load.bound {
                    (load.hasher, load.before) = (old.hasher, old.before);
                }
                // Rows of other columns: what the table gained cannot be put into one digest.
            }
        }
        self.loads.insert(at, load);
        Ok(Ok(()))
    }

    /// What is no row of any table: written down, or the end of it all.
    pub(super) fn no_row(
        &mut self,
        columns: &[String],
        line: u64,
        bytes: Option<&[u8]>,
        at: Option<usize>,
        (code, message): (&'static str, String),
    ) -> Result<(), Failure> {
        let file = self.shared.file.clone();
        let Some(rejects) = &mut self.shared.rejects else {
            let mut failure = wrong_file(&file, format!("line {line}: {message}"));
            failure.class = FailureClass::Failed;
            failure.code = code;
            return Err(failure
                .hint("nothing was imported; `--continue-on-error` goes on with the other rows"));
        };
        let label = at.map_or(String::new(), |at| self.ground.tables[at].label());
        let reason = Reason {
            code,
            message,
            column: None,
        };
        rejects.put(&Reject {
            table: &label,
            file: &file,
            line,
            columns,
            values: &[],
            key: &[],
            bytes,
            reason: &reason,
        })?;
        match at.map(|at| self.loads.get_mut(&at)) {
            Some(Some(load)) => load.counts.failed += 1,
            _ => {
                let known = self.order.iter_mut().find(|counts| counts.table == label);
                match known {
                    Some(counts) => counts.failed += 1,
                    None => self.nameless += 1,
                }
            }
        }
        Ok(())
    }

    /// Counters that do not follow rows by themselves are raised to the greatest number that came.
    pub(super) async fn raise(&mut self) -> Result<(), Failure> {
        let wrong = |error| trouble::failed(&error, "a counter could not be raised");
        let change = self.work.dialect().change();
        for at in self.loads.keys() {
            let bound = &self.ground.bounds[*at];
            let schema = bound.schema.as_deref();
            let Some(query) = change.numbered(schema, &bound.table) else {
                continue;
            };
            let counters = self
                .work
                .query(&query.sql, &query.params)
                .await
                .map_err(wrong)?;
            for row in counters {
                let (Some(counter), Some(column)) = (
                    row.first().and_then(Value::as_str),
                    row.get(1).and_then(Value::as_str),
                ) else {
                    continue;
                };
                let last = row.get(2).and_then(Value::as_i64);
                let found = self
                    .work
                    .query(&change.greatest(bound, column), &[])
                    .await
                    .map_err(wrong)?;
                let top = found
                    .first()
                    .and_then(|row| row.first())
                    .and_then(Value::as_i64);
                let Some(top) = top.filter(|top| last.is_none_or(|last| last < *top) && *top > 0)
                else {
                    continue;
                };
                for query in change.raise(schema, &bound.table, counter, top) {
                    self.work
                        .execute_with(&query.sql, &query.params)
                        .await
                        .map_err(wrong)?;
                }
            }
        }
        Ok(())
    }
}
