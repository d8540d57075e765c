//! Bringing a checkpoint back by name: every row of its tables as it was, and the configuration.

use super::file::{Checkpoint, Saved};
use super::quiet::{self, Quiet};
use super::write::{counters, create_in, names};
use super::{Chosen, Configuration, Names};
use crate::admin;
use crate::backup::archive::{self, Putter, Reader, damaged};
use crate::backup::disk;
use crate::control::Control;
use crate::digest;
use crate::journal_store::{self, Pen};
use crate::world::World;
use crate::{lease, observe, trouble};
use dunlin_core::copy::reading::{Bound, Reading, TableShape};
use dunlin_core::event::{Event, Sink};
use dunlin_core::failure::{Failure, FailureClass};
use dunlin_core::journal::{self, Writing};
use dunlin_core::schema::{Catalog, Table};
use dunlin_core::sql::ObjectRef;
use dunlin_core::value::Value;
use dunlin_engines::{DbError, Halted, Purpose, Session};
use std::io::Read;
use std::path::Path;

/// How often progress is told, in rows.
const PROGRESS_ROWS: u64 = 10_000;

/// What a restore did.
#[derive(Debug)]
pub struct Restored {
    /// The checkpoint of what was replaced.
    pub before: Checkpoint,
    /// How many rows were put back.
    pub rows: u64,
    /// Files of the configuration that were brought back.
    pub files: Vec<String>,
}

pub(super) fn refused(error: &DbError) -> Failure {
    trouble::refused(error, "the rows could not be put back")
}

/// A checkpoint's file, read up to its first row.
pub(super) struct Content<R: Read> {
    pub(super) catalog: Catalog,
    files: Vec<(String, Vec<u8>)>,
    pub(super) reader: Reader<R>,
    pub(super) tag: u8,
}

pub(super) fn open(checkpoint: &Checkpoint) -> Result<Content<Box<dyn Read + Send>>, Failure> {
    let io = |error: std::io::Error| damaged(&checkpoint.path, &error);
    let mut reader = archive::open_boxed(&checkpoint.path, checkpoint.stream)?;
    let catalog = Catalog::from_json(&reader.text().map_err(io)?)
        .map_err(|sentence| Failure::refused("backup-file", sentence))?;
    let mut files = vec![];
    let mut tag = reader.array::<1>().map_err(io)?[0];
    while tag == b'F' {
        let name = reader.text().map_err(io)?;
        reader.array::<1>().map_err(io)?;
        files.push((name, reader.bytes().map_err(io)?));
        tag = reader.array::<1>().map_err(io)?[0];
    }
    Ok(Content {
        catalog,
        files,
        reader,
        tag,
    })
}

/// Brings every row of a checkpoint's tables back, in one transaction, and the files of the configuration. What is
/// replaced is saved first, as `before-restore-NAME`.
pub async fn restore(
    world: &World,
    checkpoint: &Checkpoint,
    configuration: &Configuration,
    wait: bool,
    sink: &mut dyn Sink,
    mut control: Control,
) -> Result<Restored, Failure> {
    checkpoint.check()?;
    checkpoint.whole()?;
    if world.config.protected {
        return Err(admin::protected("checkpoint restore"));
    }
    let content = open(checkpoint)?;
    let files = content.files.clone();
    let (held, work) = lease::acquire(world, Purpose::Tool, wait, sink, &mut control).await?;
    let pen = Pen {
        run: world.run_id(),
        token: held.token,
    };
    let mut restoring = Restoring {
        world,
        checkpoint,
        configuration,
        work,
        pen,
    };
    let outcome = restoring.run(content, sink).await;
    held.release().await;
    restoring.work.close().await;
    let mut restored = outcome.map_err(|failure| world.redact(failure))?;
    restored.files = bring_files_back(checkpoint, configuration, &files)?;
    Ok(restored)
}

struct Restoring<'w> {
    world: &'w World,
    checkpoint: &'w Checkpoint,
    configuration: &'w Configuration,
    work: Box<dyn Session>,
    pen: Pen,
}

impl Restoring<'_> {
    async fn run(
        &mut self,
        content: Content<impl Read>,
        sink: &mut dyn Sink,
    ) -> Result<Restored, Failure> {
        let work = &mut *self.work;
        quiet::mend(self.world, work, &self.pen).await?;
        if self.checkpoint.engine != work.caps().engine.to_string() {
            let message = format!(
                "the checkpoint is of {} and this is {}",
                self.checkpoint.engine,
                work.caps().engine
            );
            return Err(Failure::refused("checkpoint-shape", message));
        }
        let there = observe::whole(work)
            .await
            .map_err(|error| refused(&error))?;
        let shapes = digest::shapes(work)
            .await
            .map_err(|error| refused(&error))?;
        let targets = targets(&self.checkpoint.saved, &content.catalog, &there, &shapes)?;
        transactional(work, &targets).await?;
        let mut quiet = Quiet::of(work, &there, tables(&there, &targets)).await?;
        let begun = quiet.before(self.world, work, &self.pen).await;
        let outcome = match begun {
            Ok(()) => self.replace(content, &targets, &mut quiet, sink).await,
            Err(failure) => Err(failure),
        };
        if outcome.is_err() {
            let _ = self.work.rollback().await;
        }
        let after = quiet.after(self.world, &mut *self.work, &self.pen).await;
        let restored = outcome?;
        after?;
        for message in quiet.behind() {
            sink.event(&Event::Note { message });
        }
        raise(&mut *self.work, &targets, &self.checkpoint.saved, true).await?;
        Ok(restored)
    }

    /// The transaction.
    async fn replace(
        &mut self,
        content: Content<impl Read>,
        targets: &[Bound],
        quiet: &mut Quiet,
        sink: &mut dyn Sink,
    ) -> Result<Restored, Failure> {
        quiet.begin(&mut *self.work, targets).await?;
        let chosen = Chosen {
            tables: targets.iter().map(Bound::label).collect(),
            columns: vec![],
            rows: vec![],
            over: vec![],
            names: Names::default(),
            configuration: Configuration {
                tables: vec![],
                ..self.configuration.clone()
            },
        };
        let name = format!("before-restore-{}", self.checkpoint.name);
        let before = create_in(self.world, &mut *self.work, &name, &chosen, true, sink).await?;
        let outcome = self.put_back(content, targets, quiet, sink).await;
        match outcome {
            Ok(rows) => Ok(Restored {
                before,
                rows,
                files: vec![],
            }),
            Err(failure) => {
                // Nothing was replaced, unless the connection was lost at the very end: then nobody knows yet.
                if failure.code != "connection-lost" {
                    let _ = super::drop(&before);
                }
                Err(failure)
            }
        }
    }

    async fn put_back(
        &mut self,
        content: Content<impl Read>,
        targets: &[Bound],
        quiet: &mut Quiet,
        sink: &mut dyn Sink,
    ) -> Result<u64, Failure> {
        let work = &mut *self.work;
        quiet.open(work).await?;
        for table in targets {
            let sql = work.dialect().change().clear(table);
            work.execute(&sql).await.map_err(|error| refused(&error))?;
        }
        let rows = put(work, content, targets, &self.checkpoint.path, sink).await?;
        raise(work, targets, &self.checkpoint.saved, false).await?;
        quiet.close(work).await?;
        self.compare(targets, sink).await?;
        let work = &mut *self.work;
        let detail = serde_json::json!({
            "what": "checkpoint restore", "by": self.world.who, "checkpoint": self.checkpoint.id,
            "name": self.checkpoint.name, "rows": rows,
        });
        let records = [
            Writing::run(journal::Event::Began, detail.clone()),
            Writing::run(journal::Event::Ended, detail),
        ];
        let ended = self.pen.append_and_commit(self.world, work, &records).await;
        ended.map_err(|halted| match halted {
            Halted::Record(error) if journal_store::is_fenced(&error) => journal_store::fenced(),
            Halted::Statement(error) | Halted::Record(error) => refused(&error),
            Halted::After(error) => trouble::failed(&error, "the restore could not be committed"),
        })?;
        Ok(rows)
    }

    /// Every table's rows have the digest that they had.
    async fn compare(&mut self, targets: &[Bound], sink: &mut dyn Sink) -> Result<(), Failure> {
        for (table, expected) in targets.iter().zip(&self.checkpoint.tables) {
            let found = digest::digest_table(&mut *self.work, table, sink).await;
            let found = found.map_err(|error| refused(&error))?;
            if !found.agrees(expected) {
                let message = format!(
                    "{}: the rows that were put back ({}) are not as they were ({}), so nothing was changed",
                    table.label(),
                    found.rows,
                    expected.rows
                );
                let class = FailureClass::Mismatch;
                return Err(Failure::new(class, "backup-unequal", message));
            }
        }
        Ok(())
    }
}

/// Counters never go back: a number that was given out is not given out again. `committed`: after the transaction; does
/// nothing where the engine raises them at the other of the two moments.
pub(super) async fn raise(
    work: &mut dyn Session,
    targets: &[Bound],
    all: &[Saved],
    committed: bool,
) -> Result<(), Failure> {
    let change = work.dialect().change();
    if change.raise_commits() != committed {
        return Ok(());
    }
    for (table, saved) in targets.iter().zip(all) {
        if saved.counters.is_empty() {
            continue;
        }
        let now = counters(work, table).await;
        let now = now.map_err(|error| refused(&error))?;
        for (counter, value) in &saved.counters {
            let behind = now.iter().find(|(name, _)| name == counter);
            if behind.is_some_and(|(_, now)| now >= value) {
                continue;
            }
            let schema = table.schema.as_deref();
            for query in change.raise(schema, &table.table, counter, *value) {
                let raised = work.execute_with(&query.sql, &query.params).await;
                raised.map_err(|error| refused(&error))?;
            }
        }
    }
    Ok(())
}

async fn put(
    work: &mut dyn Session,
    content: Content<impl Read>,
    targets: &[Bound],
    path: &Path,
    sink: &mut dyn Sink,
) -> Result<u64, Failure> {
    let io = |error: std::io::Error| damaged(path, &error);
    let Content {
        mut reader,
        mut tag,
        ..
    } = content;
    let mut current: Option<(Putter, String)> = None;
    let mut rows = 0_u64;
    loop {
        match (tag, &mut current) {
            (b'R', Some((putter, label))) => {
                putter.take(&mut reader).map_err(io)?;
                putter.send(work).await.map_err(|error| refused(&error))?;
                rows += 1;
                if rows.is_multiple_of(PROGRESS_ROWS) {
                    sink.event(&Event::Progress {
                        what: format!("restoring {label}"),
                        done: rows,
                        total: None,
                        unit: "rows".into(),
                    });
                }
            }
            (b'T' | b'E', _) => {
                if let Some((putter, _)) = &mut current {
                    putter.flush(work).await.map_err(|error| refused(&error))?;
                }
                if tag == b'E' {
                    return Ok(rows);
                }
                let label = reader.text().map_err(io)?;
                let table = targets.iter().find(|table| table.label() == label);
                let table = table.ok_or_else(|| io(std::io::Error::other("an unknown table")))?;
                current = Some((Putter::new(work.dialect(), table), label));
            }
            _ => return Err(io(std::io::Error::other("a record of no known kind"))),
        }
        tag = reader.array::<1>().map_err(io)?[0];
    }
}

/// The tables of the checkpoint as they are now, with the columns that it holds. A shape that has changed is refused,
/// unless columns came that may be NULL.
pub(super) fn targets(
    saved: &[Saved],
    then: &Catalog,
    now: &Catalog,
    shapes: &[TableShape],
) -> Result<Vec<Bound>, Failure> {
    let (_, bound) = Reading::derive(shapes);
    let (mut targets, mut differ) = (vec![], vec![]);
    for saved in saved {
        let schema = saved.schema.as_deref();
        let there = now.table(schema, &saved.name).zip(
            bound
                .iter()
                .find(|table| table.table == saved.name && table.schema == saved.schema),
        );
        let Some((table, bound)) = there else {
            differ.push(format!("table {} is not there any more", saved.label()));
            continue;
        };
        if let Some(old) = then.table(schema, &saved.name) {
            differ.extend(differences(saved, old, table));
        }
        let mut target = bound.clone();
        let order = |name: &String| {
            let mut columns = bound.columns.iter();
            columns.find(|column| column.shape.name == *name).cloned()
        };
        target.columns = saved.columns.iter().filter_map(order).collect();
        debug_assert!(differ.is_empty() || names(&target).len() <= saved.columns.len());
        targets.push(target);
    }
    if differ.is_empty() {
        return Ok(targets);
    }
    let message = format!(
        "the tables have changed since the checkpoint was made: {}",
        differ.join("; ")
    );
    Err(Failure::refused("checkpoint-shape", message).hint(
        "nothing has been touched; bring the tables back to that shape first, and restore then",
    ))
}

fn differences(saved: &Saved, old: &Table, new: &Table) -> Vec<String> {
    let label = saved.label();
    let mut found = vec![];
    for name in &saved.columns {
        let (Some(was), is) = (old.column(name), new.column(name)) else {
            continue;
        };
        match is {
            None => found.push(format!("{label}.{name} is not there any more")),
            Some(is) if is.native != was.native => {
                found.push(format!(
                    "{label}.{name} was {} and is {}",
                    was.native, is.native
                ));
            }
            Some(is) if is.generated.is_some() => {
                found.push(format!("{label}.{name} is computed by the server now"));
            }
            Some(is) if was.nullable && !is.nullable => {
                found.push(format!("{label}.{name} could be NULL and cannot any more"));
            }
            Some(_) => {}
        }
    }
    let came = new.columns.iter().filter(|column| {
        // Where no rows are put in, a column more is in nobody's way.
        !saved.partial
            && old.column(&column.name).is_none()
            && !column.nullable
            && column.generated.is_none()
    });
    found.extend(came.map(|column| format!("{label}.{} came and cannot be NULL", column.name)));
    found
}

/// Tables of a catalog, in the order of the targets.
pub(super) fn tables(there: &Catalog, targets: &[Bound]) -> Vec<Table> {
    let found = targets
        .iter()
        .filter_map(|target| there.table(target.schema.as_deref(), &target.table));
    found.cloned().collect()
}

/// Rows of a table that is not transactional cannot be replaced as one.
pub(crate) async fn transactional(
    work: &mut dyn Session,
    targets: &[Bound],
) -> Result<(), Failure> {
    let objects: Vec<ObjectRef> = targets
        .iter()
        .map(|table| ObjectRef::table(table.schema.as_deref(), &table.table))
        .collect();
    let Some(query) = work
        .dialect()
        .storage(&objects)
        .filter(|_| !objects.is_empty())
    else {
        return Ok(());
    };
    if !work.caps().storage_engines {
        return Ok(());
    }
    let rows = work.query(&query.sql, &query.params).await;
    let rows = rows.map_err(|error| refused(&error))?;
    let plain = rows.iter().find_map(|row| {
        let name = row.get(1).and_then(Value::as_str)?;
        (row.get(2).and_then(Value::as_bool) == Some(false)).then(|| name.to_owned())
    });
    match plain {
        None => Ok(()),
        Some(name) => {
            let message = format!("the storage engine of {name} knows no transactions");
            Err(Failure::refused("checkpoint-shape", message)
                .hint("give the table a transactional storage engine, or restore a whole backup"))
        }
    }
}

/// Brings back the files of the configuration that are still named in it; gives those that changed.
fn bring_files_back(
    checkpoint: &Checkpoint,
    configuration: &Configuration,
    contents: &[(String, Vec<u8>)],
) -> Result<Vec<String>, Failure> {
    let mut changed = vec![];
    for saved in &checkpoint.files {
        if !configuration.files.contains(&saved.path) {
            continue;
        }
        let path = configuration.root.join(&saved.path);
        let there = std::fs::read(&path).ok();
        let content = contents.iter().find(|(name, _)| *name == saved.path);
        let work = || -> std::io::Result<bool> {
            match (content, &there) {
                (Some((_, content)), Some(there)) if content == there => Ok(false),
                (Some((_, content)), _) => replace_file(&path, content).map(|()| true),
                (None, Some(_)) => std::fs::remove_file(&path).map(|()| true),
                (None, None) => Ok(false),
            }
        };
        let failed = |error: std::io::Error| {
            let mut failure = disk(&path, &error);
            failure.class = FailureClass::Failed;
            failure.done.push("the rows of all tables are back".into());
            failure
        };
        if work().map_err(failed)? {
            changed.push(saved.path.clone());
        }
    }
    Ok(changed)
}

/// Whoever reads the file meanwhile sees the old one or the new one.
fn replace_file(path: &Path, content: &[u8]) -> std::io::Result<()> {
    let mut name = path.as_os_str().to_owned();
    name.push(".dunlin-new");
    let part = Path::new(&name);
    std::fs::write(part, content)?;
    if let Ok(there) = std::fs::metadata(path) {
        std::fs::set_permissions(part, there.permissions())?;
    }
    std::fs::rename(part, path)
}
