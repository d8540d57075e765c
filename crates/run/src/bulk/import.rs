//! `import`: rows of files into tables, in the order of the foreign keys, in one transaction.

use super::load::{Load, Shared, Target};
use super::proof::{self, Source, damaged};
use super::rejects::{Reason, Reject, Rejects};
use super::remember::Remembered;
use super::source::{self, Message, Part, Row};
use super::{Counts, PROGRESS_ROWS, interrupted, wrong_file};
use crate::backup::rows::bound_tables;
use crate::checkpoint::quiet::{self, Quiet};
use crate::checkpoint::transactional;
use crate::control::{Control, Stop};
use crate::journal_store::{self, Pen};
use crate::world::World;
use crate::{admin, digest, inspect, lease, observe, trouble};
use dunlin_core::bulk::{Manifest, ManifestTable};
use dunlin_core::copy::Digest;
use dunlin_core::copy::order::{Ordered, order};
use dunlin_core::copy::reading::Bound;
use dunlin_core::event::{Event, Sink};
use dunlin_core::failure::{Failure, FailureClass};
use dunlin_core::journal::{self, Writing};
use dunlin_core::schema::{Catalog, Table};
use dunlin_core::value::Value;
use dunlin_engines::{DbError, Halted, Purpose, Session};
use std::collections::BTreeMap;
use std::io::Read;
use std::path::PathBuf;
use std::sync::Arc;

/// What to import.
#[derive(Default)]
pub struct Asked {
    /// Files and folders; `-`: standard input.
    pub files: Vec<PathBuf>,
    /// Standard input.
    pub stdin: Option<Box<dyn Read + Send>>,
    /// Rows that are there already are left out.
    pub skip_duplicates: bool,
    /// By which columns rows of a table are told apart; else by its primary and unique keys.
    pub keys: Vec<(String, Vec<String>)>,
    /// Rows that are refused are written down, and the others imported.
    pub continue_on_error: bool,
    /// Where they are written down; `None`: under the folder of backups.
    pub rejects: Option<PathBuf>,
    /// Wait for another runner.
    pub wait: bool,
}

/// What was imported.
#[derive(Debug)]
pub struct Imported {
    /// Table by table, in the order in which they were filled.
    pub tables: Vec<Counts>,
    /// The file of rejects, where there are any.
    pub rejects: Option<PathBuf>,
    /// Tables of which what they gained was compared with what was sent.
    pub proved: usize,
}

fn refused(error: &DbError) -> Failure {
    trouble::refused(error, "the rows could not be imported")
}

/// Imports: all of it, or nothing.
pub async fn import(
    world: &World,
    mut asked: Asked,
    sink: &mut dyn Sink,
    mut control: Control,
) -> Result<Imported, Failure> {
    let parts = source::parts(&asked.files, asked.stdin.take()).await?;
    if world.config.protected {
        return Err(admin::protected("import"));
    }
    let (held, work) = lease::acquire(world, Purpose::Tool, asked.wait, sink, &mut control).await?;
    let pen = Pen {
        run: world.run_id(),
        token: held.token,
    };
    let mut importing = Importing {
        world,
        asked: &asked,
        work,
        pen,
        control,
    };
    let outcome = importing.run(parts, sink).await;
    held.release().await;
    importing.work.close().await;
    outcome.map_err(|failure| world.redact(failure))
}

struct Importing<'w> {
    world: &'w World,
    asked: &'w Asked,
    work: Box<dyn Session>,
    pen: Pen,
    control: Control,
}

/// A part with the table that it fills, where it is one.
struct Aim {
    part: Part,
    tables: Vec<usize>,
}

/// The database that rows come into.
struct Ground {
    tables: Vec<Table>,
    bounds: Vec<Bound>,
    ordered: Ordered,
    keys: BTreeMap<usize, Vec<String>>,
    engine: String,
}

impl Ground {
    fn find(&self, name: &str) -> Option<usize> {
        let exact = self.tables.iter().position(|table| table.label() == name);
        let lower = name.to_lowercase();
        let loose = || {
            self.tables
                .iter()
                .position(|table| table.label().to_lowercase() == lower)
        };
        exact.or_else(loose)
    }

    fn must(&self, name: &str) -> Result<usize, Failure> {
        self.find(name).ok_or_else(|| {
            let message = format!("there is no table {name}");
            Failure::refused("object-missing", message)
                .hint("an import fills tables that are there: make them first, as by `dunlin up`")
        })
    }

    fn rank(&self, table: usize) -> usize {
        self.ordered
            .order
            .iter()
            .position(|at| *at == table)
            .unwrap_or(usize::MAX)
    }
}

impl Importing<'_> {
    async fn run(&mut self, parts: Vec<Part>, sink: &mut dyn Sink) -> Result<Imported, Failure> {
        quiet::mend(self.world, &mut *self.work, &self.pen).await?;
        let (ground, there) = self.ground().await?;
        let mut aims = aims(&ground, parts)?;
        aims.sort_by_key(|aim| {
            aim.tables
                .iter()
                .map(|at| ground.rank(*at))
                .min()
                .unwrap_or(0)
        });
        let targets: Vec<Bound> = match aims.iter().any(|aim| aim.tables.is_empty()) {
            true => ground.bounds.clone(),
            false => aims
                .iter()
                .flat_map(|aim| &aim.tables)
                .map(|at| ground.bounds[*at].clone())
                .collect(),
        };
        transactional(&mut *self.work, &targets).await.map_err(|mut failure| {
            if failure.code == "checkpoint-shape" {
                failure.code = "import-not-transactional";
                failure.hints = vec![
                    "an import is all or nothing: give the table a transactional storage engine first".into(),
                ];
            }
            failure
        })?;
        let still = keys_in_the_way(&ground, &aims);
        let filled = |table: &&Table| {
            let mut targets = targets.iter();
            still
                && targets.any(|target| target.table == table.name && target.schema == table.schema)
        };
        let without_triggers = |table: &Table| Table {
            triggers: vec![],
            ..table.clone()
        };
        let watched: Vec<Table> = ground
            .tables
            .iter()
            .filter(filled)
            .map(without_triggers)
            .collect();
        let watched: Vec<&Table> = watched.iter().collect();
        let dialect = self.work.dialect();
        let mut quiet = Quiet::plan(dialect, false, &there, &watched)?;
        let begun = self.begin(&mut quiet, still, &targets).await;
        let outcome = match begun {
            Ok(()) => self.fill(&ground, aims, &quiet, sink).await,
            Err(failure) => Err(failure),
        };
        if outcome.is_err() {
            let _ = self.work.rollback().await;
        }
        let after = quiet.after(self.world, &mut *self.work, &self.pen).await;
        let imported = outcome?;
        after?;
        Ok(imported)
    }

    async fn ground(&mut self) -> Result<(Ground, Catalog), Failure> {
        let work = &mut *self.work;
        let there = observe::whole(work)
            .await
            .map_err(|error| refused(&error))?;
        let shapes = digest::shapes(work)
            .await
            .map_err(|error| refused(&error))?;
        let mut catalog = there.owned(&inspect::scope(self.world));
        let bounds = bound_tables(&catalog, &shapes);
        let bound_of = |table: &Table| {
            let mut bounds = bounds.iter();
            bounds.find(|bound| bound.table == table.name && bound.schema == table.schema)
        };
        catalog.tables.retain(|table| bound_of(table).is_some());
        let tables = catalog.tables;
        let bounds = tables.iter().filter_map(bound_of).cloned().collect();
        let mut ground = Ground {
            ordered: order(&tables),
            bounds,
            tables,
            keys: BTreeMap::new(),
            engine: work.caps().engine.to_string(),
        };
        for (table, columns) in &self.asked.keys {
            let at = ground.must(table)?;
            for name in columns {
                if super::place(&ground.bounds[at], name).is_none() {
                    let message = format!("{table} has no column {name}");
                    return Err(Failure::refused("object-missing", message));
                }
            }
            ground.keys.insert(at, columns.clone());
        }
        Ok((ground, there))
    }

    async fn begin(
        &mut self,
        quiet: &mut Quiet,
        still: bool,
        targets: &[Bound],
    ) -> Result<(), Failure> {
        let work = &mut *self.work;
        quiet.before(self.world, work, &self.pen).await?;
        let change = work.dialect().change();
        let on: &[&str] = if still { &[] } else { change.keys_on() };
        for sql in change.strictly().iter().chain(on) {
            work.execute(sql).await.map_err(|error| refused(&error))?;
        }
        if still {
            quiet.begin(work, targets).await?;
        } else {
            work.begin().await.map_err(|error| refused(&error))?;
            let hold = change.hold(targets).filter(|_| !targets.is_empty());
            for sql in change.pins().iter().copied().chain(hold.as_deref()) {
                work.execute(sql).await.map_err(|error| refused(&error))?;
            }
        }
        quiet.open(work).await
    }

    /// The transaction.
    async fn fill(
        &mut self,
        ground: &Ground,
        aims: Vec<Aim>,
        quiet: &Quiet,
        sink: &mut dyn Sink,
    ) -> Result<Imported, Failure> {
        let rejects = self.asked.rejects.clone().unwrap_or_else(|| {
            let folder = self.world.config.backup_dir.join("rejects");
            folder.join(format!("{}.ndjson", self.pen.run))
        });
        let mut filling = Filling {
            ground,
            work: &mut *self.work,
            control: &self.control,
            loads: BTreeMap::new(),
            order: vec![],
            nameless: 0,
            shared: Shared {
                skips: self.asked.skip_duplicates,
                rejects: self.asked.continue_on_error.then(|| Rejects::new(&rejects)),
                gone: Remembered::default(),
                file: PathBuf::new(),
            },
        };
        for aim in aims {
            filling.part(aim, sink).await?;
        }
        if let Some(referred) = quiet.referred(filling.work).await? {
            let message = format!(
                "{} rows of {} refer to rows of {} that are not there",
                referred.rows, referred.child, referred.parent
            );
            return Err(Failure::new(FailureClass::Failed, "foreign-key-violated", message)
                .hint("nothing was imported; take these rows out of the file, or import those that they refer to with them"));
        }
        let mut proved = 0;
        for load in filling.loads.values() {
            proved += usize::from(proof::gained(filling.work, load, sink).await?);
        }
        filling.raise().await?;
        quiet.settle(filling.work).await?;
        let mut tables = filling.order.clone();
        for counts in &mut tables {
            let mut loads = filling.loads.values();
            if let Some(load) = loads.find(|load| load.counts.table == counts.table) {
                // Lines that came before its first row, and were none.
                let failed = counts.failed + load.counts.failed;
                *counts = Counts {
                    failed,
                    ..load.counts.clone()
                };
            }
        }
        if filling.nameless > 0 {
            tables.push(Counts {
                failed: filling.nameless,
                ..Counts::default()
            });
        }
        let kept = filling
            .shared
            .rejects
            .take()
            .map(Rejects::keep)
            .transpose()?
            .flatten();
        self.commit(&tables, kept.as_deref()).await?;
        Ok(Imported {
            tables,
            rejects: kept,
            proved,
        })
    }

    async fn commit(
        &mut self,
        tables: &[Counts],
        rejects: Option<&std::path::Path>,
    ) -> Result<(), Failure> {
        let counts: Vec<_> = tables
            .iter()
            .map(|counts| {
                serde_json::json!({ "table": counts.table, "imported": counts.done, "skipped": counts.skipped,
                    "failed": counts.failed })
            })
            .collect();
        let files: Vec<String> = self
            .asked
            .files
            .iter()
            .map(|file| file.display().to_string())
            .collect();
        let detail = serde_json::json!({
            "what": "import", "by": self.world.who, "files": files, "tables": counts, "rejects": rejects,
        });
        let records = [
            Writing::run(journal::Event::Began, detail.clone()),
            Writing::run(journal::Event::Ended, detail),
        ];
        let work = &mut *self.work;
        let ended = self.pen.append_and_commit(self.world, work, &records).await;
        ended.map_err(|halted| match halted {
            Halted::Record(error) if journal_store::is_fenced(&error) => journal_store::fenced(),
            Halted::Statement(error) | Halted::Record(error) => refused(&error),
            Halted::After(error) => trouble::failed(&error, "the import could not be committed"),
        })
    }
}

/// The parts with the tables that they fill.
fn aims(ground: &Ground, parts: Vec<Part>) -> Result<Vec<Aim>, Failure> {
    let mut aims = vec![];
    for part in parts {
        let mut tables = vec![];
        match (&part.table, &part.manifest) {
            (Some(name), manifest) => {
                let at = ground.must(name)?;
                if let Some(about) = manifest.as_ref().and_then(|manifest| about(manifest, name)) {
                    columns(ground, at, about)?;
                }
                tables.push(at);
            }
            (None, Some(manifest)) => {
                for about in &manifest.tables {
                    let at = ground.must(&about.table)?;
                    columns(ground, at, about)?;
                    tables.push(at);
                }
            }
            (None, None) => {}
        }
        aims.push(Aim { part, tables });
    }
    Ok(aims)
}

fn about<'a>(manifest: &'a Manifest, table: &str) -> Option<&'a ManifestTable> {
    manifest.tables.iter().find(|about| about.table == table)
}

/// Columns that a manifest names must be there: that is found out before a row is sent.
fn columns(ground: &Ground, at: usize, about: &ManifestTable) -> Result<(), Failure> {
    let missing: Vec<&str> = about
        .columns
        .iter()
        .filter(|column| super::place(&ground.bounds[at], &column.name).is_none())
        .map(|column| column.name.as_str())
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let message = format!("{} has no column {}", about.table, missing.join(", "));
    Err(Failure::refused("object-missing", message)
        .hint("what the server computes cannot be imported; what is missing is to be added first"))
}

/// Whether rows will come before those that they refer to.
fn keys_in_the_way(ground: &Ground, aims: &[Aim]) -> bool {
    let order: Vec<usize> = aims.iter().flat_map(|aim| aim.tables.clone()).collect();
    let unknown = aims.iter().any(|aim| aim.tables.is_empty());
    let any_key = ground
        .tables
        .iter()
        .any(|table| !table.foreign_keys.is_empty());
    if unknown && any_key {
        return true;
    }
    let late = order
        .windows(2)
        .any(|pair| ground.rank(pair[0]) > ground.rank(pair[1]));
    let concerned = |at: &dunlin_core::copy::order::KeyAt| order.contains(&at.table);
    (late && any_key) || ground.ordered.ahead.iter().any(concerned)
}

/// Rows on their way.
struct Filling<'a> {
    ground: &'a Ground,
    work: &'a mut dyn Session,
    control: &'a Control,
    loads: BTreeMap<usize, Load>,
    /// The tables in the order in which they came.
    order: Vec<Counts>,
    /// Lines that are no rows, of no table that anybody knows.
    nameless: u64,
    shared: Shared,
}

impl Filling<'_> {
    async fn part(&mut self, aim: Aim, sink: &mut dyn Sink) -> Result<(), Failure> {
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

    fn note(&mut self, at: usize) {
        let table = self.ground.tables[at].label();
        if !self.order.iter().any(|counts| counts.table == table) {
            self.order.push(Counts {
                table,
                ..Counts::default()
            });
        }
    }

    async fn flush(&mut self, at: usize) -> Result<(), Failure> {
        match self.loads.get_mut(&at) {
            Some(load) => load.flush(self.work, &mut self.shared).await,
            None => Ok(()),
        }
    }

    /// Takes a row; gives its table.
    async fn row(
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
    async fn open(
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
    fn no_row(
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
    async fn raise(&mut self) -> Result<(), Failure> {
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

fn progress(sink: &mut dyn Sink, what: &str, done: u64) {
    sink.event(&Event::Progress {
        what: format!("importing {what}"),
        done,
        total: None,
        unit: "rows".into(),
    });
}
