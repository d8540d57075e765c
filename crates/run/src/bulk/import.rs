//! `import`: rows of files into tables, in the order of the foreign keys, in one transaction.

use super::Counts;
use super::filling::Filling;
use super::load::Shared;
use super::proof;
use super::rejects::Rejects;
use super::remember::Remembered;
use super::source::{self, Part};
use crate::backup::rows::bound_tables;
use crate::checkpoint::Keep;
use crate::checkpoint::quiet::{self, Quiet};
use crate::checkpoint::transactional;
use crate::control::Control;
use crate::journal_store::{self, Pen};
use crate::world::World;
use crate::{admin, digest, inspect, lease, observe, trouble};
use dunlin_core::bulk::{Manifest, ManifestTable};

use dunlin_core::copy::reading::Bound;
use dunlin_core::event::{Event, Sink};
use dunlin_core::failure::{Failure, FailureClass};
use dunlin_core::journal::{self, Writing};
use dunlin_core::schema::order::{Ordered, order};
use dunlin_core::schema::{Catalog, Table};

use dunlin_engines::{DbError, Halted, Purpose, Session};
use std::collections::BTreeMap;
use std::io::Read;
use std::path::PathBuf;

/// What to import.
#[derive(Default)]
pub struct Asked {
    /// Files and folders; `-`: standard input.
    pub files: Vec<PathBuf>,
    /// Standard input.
    pub stdin: Option<Box<dyn Read + Send + Sync>>,
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
        step: None,
        keep: None,
    };
    let outcome = importing.run(parts, sink).await;
    held.release().await;
    importing.work.close().await;
    outcome.map_err(|failure| world.redact(failure))
}

/// An import as a step of a plan, under the plan's lease.
pub(crate) struct AsStep<'s> {
    /// The pen of the plan's run.
    pub(crate) pen: Pen,
    /// The name under which the tables are kept around it, where it is taken back by them.
    pub(crate) keep: Option<String>,
    /// The record of its end: it goes with the rows.
    pub(crate) done: &'s (dyn Fn(&[Counts], Option<String>) -> Writing + Send + Sync),
}

/// Imports as a step of a plan does: all of it with the record that it is done, or nothing.
pub(crate) async fn import_step(
    world: &World,
    mut asked: Asked,
    step: AsStep<'_>,
    sink: &mut dyn Sink,
    control: Control,
) -> Result<Imported, Failure> {
    let parts = source::parts(&asked.files, asked.stdin.take()).await?;
    let mut importing = Importing {
        world,
        asked: &asked,
        work: world.open(Purpose::Tool).await?,
        pen: step.pen.clone(),
        control,
        step: Some(step),
        keep: None,
    };
    let outcome = importing.run(parts, sink).await;
    if outcome.is_err()
        && let Some(keep) = &mut importing.keep
    {
        keep.discard();
    }
    importing.work.close().await;
    outcome.map_err(|failure| world.redact(failure))
}

struct Importing<'w> {
    world: &'w World,
    asked: &'w Asked,
    work: Box<dyn Session>,
    pen: Pen,
    control: Control,
    step: Option<AsStep<'w>>,
    keep: Option<Keep>,
}

/// A part with the table that it fills, where it is one.
pub(super) struct Aim {
    pub(super) part: Part,
    pub(super) tables: Vec<usize>,
}

/// The database that rows come into.
pub(super) struct Ground {
    pub(super) tables: Vec<Table>,
    pub(super) bounds: Vec<Bound>,
    pub(super) ordered: Ordered,
    pub(super) keys: BTreeMap<usize, Vec<String>>,
    pub(super) engine: String,
}

impl Ground {
    pub(super) fn find(&self, name: &str) -> Option<usize> {
        let exact = self.tables.iter().position(|table| table.label() == name);
        let lower = name.to_lowercase();
        let loose = || {
            self.tables
                .iter()
                .position(|table| table.label().to_lowercase() == lower)
        };
        exact.or_else(loose)
    }

    pub(super) fn must(&self, name: &str) -> Result<usize, Failure> {
        self.find(name).ok_or_else(|| {
            let message = format!("there is no table {name}");
            Failure::refused("object-missing", message)
                .hint("an import fills tables that are there: make them first, as by `dunlin up`")
        })
    }

    pub(super) fn rank(&self, table: usize) -> usize {
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
        self.keep = self.keeping(&ground, &targets)?;
        let begun = self.begin(&mut quiet, still, &targets).await;
        let begun = match begun {
            Ok(()) => self.save(sink).await,
            Err(failure) => Err(failure),
        };
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

    /// What is kept around the rows of a step that is taken back by it.
    fn keeping(&self, ground: &Ground, targets: &[Bound]) -> Result<Option<Keep>, Failure> {
        let name = self.step.as_ref().and_then(|step| step.keep.clone());
        let Some(name) = name else { return Ok(None) };
        let filled = |table: &&Table| {
            let mut targets = targets.iter();
            targets.any(|target| target.table == table.name && target.schema == table.schema)
        };
        let filled = || ground.tables.iter().filter(filled);
        if let Some(table) = filled().find(|table| dunlin_core::schema::key::of(table).is_none()) {
            let message = format!(
                "{} has no key by which a row is found again, so this import could not be taken back",
                table.label()
            );
            return Err(Failure::refused("no-inverse", message)
                .hint("give the table a key, or say in the step how it is undone: `undo = …`"));
        }
        let labels = filled().map(Table::label).collect();
        Ok(Some(Keep::around(name, labels)))
    }

    async fn save(&mut self, sink: &mut dyn Sink) -> Result<(), Failure> {
        match &mut self.keep {
            Some(keep) => keep.save(self.world, &mut *self.work, sink).await,
            None => Ok(()),
        }
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
        let holding: &[&str] = match self.keep {
            Some(_) => change.before_hold(),
            None => &[],
        };
        for sql in change.strictly().iter().chain(on).chain(holding) {
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
        let tables = filling.counts();
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
        let work = &mut *self.work;
        let kept = match &self.keep {
            Some(keep) => keep.note(self.world, work).await?,
            None => None,
        };
        let records = match &self.step {
            Some(step) => vec![(step.done)(tables, kept)],
            None => vec![
                Writing::run(journal::Event::Began, detail.clone()),
                Writing::run(journal::Event::Ended, detail),
            ],
        };
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

pub(super) fn about<'a>(manifest: &'a Manifest, table: &str) -> Option<&'a ManifestTable> {
    manifest.tables.iter().find(|about| about.table == table)
}

/// Columns that a manifest names must be there: that is found out before a row is sent.
pub(super) fn columns(ground: &Ground, at: usize, about: &ManifestTable) -> Result<(), Failure> {
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
    let concerned = |at: &dunlin_core::schema::order::KeyAt| order.contains(&at.table);
    (late && any_key) || ground.ordered.ahead.iter().any(concerned)
}

pub(super) fn progress(sink: &mut dyn Sink, what: &str, done: u64) {
    sink.event(&Event::Progress {
        what: format!("importing {what}"),
        done,
        total: None,
        unit: "rows".into(),
    });
}
