//! `export`: chosen rows of chosen tables, from one snapshot, streamed.

use super::out::{Out, is_file};
use super::remember::{Remembered, key_hash};
use super::{Counts, PROGRESS_ROWS, interrupted, place};
use crate::backup::rows::bound_tables;
use crate::control::{Control, Stop};
use crate::world::World;
use crate::{digest, inspect, observe, trouble};
use dunlin_core::bulk::since::Since;
use dunlin_core::bulk::{Form, Manifest, ManifestTable, Pick, choose, manifest, since};
use dunlin_core::copy::reading::{Bound, ReadColumn, ReadTable, Reading};
use dunlin_core::copy::{Cell, RowHasher, Typing};
use dunlin_core::event::{Event, Sink};
use dunlin_core::failure::Failure;
use dunlin_core::finding::{Finding, Place};
use dunlin_core::schema::{Catalog, NeutralType, Table};
use dunlin_engines::{DbError, Purpose, Session};
use std::collections::BTreeSet;
use std::io::Write;
use std::path::PathBuf;

/// Where an export goes.
pub enum To {
    /// A folder, or one file, by its name.
    Path(PathBuf),
    /// A pipe: rows of all tables as NDJSON.
    Pipe(Box<dyn Write + Send>),
}

/// Rows of a table by a condition.
#[derive(Debug, Clone)]
pub struct Filter {
    /// The table.
    pub table: String,
    /// The condition, in the engine's SQL.
    pub sql: String,
}

impl Filter {
    /// Reads `TABLE=SQL`. The error is a sentence.
    pub fn parse(text: &str) -> Result<Filter, String> {
        let wrong = || format!("`{text}` is not TABLE=CONDITION");
        let (table, sql) = text.split_once('=').ok_or_else(wrong)?;
        if sql.trim().is_empty() {
            return Err(wrong());
        }
        Ok(Filter {
            table: table.trim().into(),
            sql: sql.trim().into(),
        })
    }
}

/// What to export.
#[derive(Debug, Clone, Default)]
pub struct Asked {
    /// The form; `None`: by the name of the place, else NDJSON.
    pub form: Option<Form>,
    /// Tables; empty: all that are ours. Those that refer to them come along.
    pub tables: Vec<String>,
    /// Conditions.
    pub filters: Vec<Filter>,
    /// Dates.
    pub since: Vec<Since>,
}

/// What was exported.
#[derive(Debug)]
pub struct Exported {
    /// Table by table, in foreign-key order.
    pub tables: Vec<Counts>,
    /// The manifest.
    pub manifest: Manifest,
    /// The files that were made.
    pub files: Vec<PathBuf>,
    /// What was noticed.
    pub findings: Vec<Finding>,
}

fn wrong(error: &DbError) -> Failure {
    trouble::refused(error, "the rows could not be read")
}

/// A table with what is to be done to its rows.
struct Taken {
    pick: Pick,
    bound: Bound,
    only: Option<String>,
    since: Option<(usize, i64)>,
    /// Places of the columns of each tie, and the types of those referred to.
    ties: Vec<(Vec<usize>, Vec<NeutralType>)>,
    /// The same of what is remembered.
    remember: Vec<(Vec<usize>, Vec<NeutralType>)>,
}

/// Exports. An export that fails leaves nothing behind.
pub async fn export(
    world: &World,
    asked: &Asked,
    to: To,
    sink: &mut dyn Sink,
    control: &Control,
) -> Result<Exported, Failure> {
    let form = form(asked, &to)?;
    let mut session = world.open(Purpose::Read).await?;
    let outcome = within(world, &mut *session, asked, to, form, (sink, control)).await;
    session.close().await;
    outcome.map_err(|failure| world.redact(failure))
}

fn form(asked: &Asked, to: &To) -> Result<Form, Failure> {
    let named = match to {
        To::Pipe(_) => Some(Form::Ndjson),
        To::Path(path) if is_file(path) => {
            let ending = path.extension().and_then(|ending| ending.to_str());
            ending.and_then(Form::named)
        }
        To::Path(_) => None,
    };
    let form = match (asked.form, named) {
        (Some(asked), Some(named)) if asked != named => {
            let message = format!(
                "the place is named as {} and the form is to be {}",
                named.ending(),
                asked.ending()
            );
            return Err(Failure::usage("usage", message));
        }
        (asked, named) => asked.or(named).unwrap_or(Form::Ndjson),
    };
    if named == Some(Form::Csv) {
        let message =
            "CSV goes into a folder, a file for each table: its manifest says what the values are";
        return Err(Failure::usage("usage", message));
    }
    Ok(form)
}

async fn within(
    world: &World,
    session: &mut dyn Session,
    asked: &Asked,
    to: To,
    form: Form,
    (sink, control): (&mut dyn Sink, &Control),
) -> Result<Exported, Failure> {
    let scope = inspect::scope(world);
    let catalog = observe::catalog(session, &scope)
        .await
        .map_err(|e| wrong(&e))?;
    digest::begin_snapshot(session)
        .await
        .map_err(|e| wrong(&e))?;
    let shapes = digest::shapes(session).await.map_err(|e| wrong(&e))?;
    let taken = taken(asked, &catalog, bound_tables(&catalog, &shapes))?;
    let typing = session.dialect().rows().typing();
    let mut manifest = manifest_of(world, session, &taken, form);
    let bounds: Vec<Bound> = taken.iter().map(|table| table.bound.clone()).collect();
    let mut out = Out::open(to, &mut manifest, &bounds).await?;
    let mut state = State {
        remembered: Remembered::default(),
        counts: vec![],
        findings: vec![],
        typing,
    };
    for (at, table) in taken.iter().enumerate() {
        let about = &mut manifest.tables[at];
        let done = state.table(session, table, about, &mut out, (&mut *sink, control));
        if let Err(failure) = done.await {
            out.discard().await;
            return Err(failure);
        }
    }
    if let Err(error) = digest::end_snapshot(session).await {
        out.discard().await;
        return Err(wrong(&error));
    }
    let files = out.finish(&manifest).await?;
    Ok(Exported {
        tables: state.counts,
        manifest,
        files,
        findings: state.findings,
    })
}

fn manifest_of(world: &World, session: &dyn Session, taken: &[Taken], form: Form) -> Manifest {
    let column = |column: &dunlin_core::copy::reading::BoundColumn| ReadColumn {
        name: column.shape.name.clone(),
        ty: column.ty.clone(),
    };
    let reading = Reading {
        tables: taken
            .iter()
            .map(|table| ReadTable {
                name: table.bound.name.clone(),
                columns: table.bound.columns.iter().map(column).collect(),
            })
            .collect(),
    };
    Manifest {
        dunlin_export: manifest::FORMAT,
        made_at: world.clock.stamp(),
        engine: session.caps().engine.to_string(),
        database: world.engine.database(),
        dynamic: session.dialect().rows().typing() == Typing::Dynamic,
        form,
        reading: reading.hash(),
        tables: taken
            .iter()
            .map(|table| ManifestTable::of(&table.bound))
            .collect(),
    }
}

fn find(tables: &[Table], name: &str) -> Result<usize, Failure> {
    let exact = tables.iter().position(|table| table.label() == name);
    let lower = name.to_lowercase();
    let loose = || {
        tables
            .iter()
            .position(|table| table.label().to_lowercase() == lower)
    };
    exact.or_else(loose).ok_or_else(|| {
        let message = format!("there is no table {name}");
        Failure::refused("object-missing", message)
            .hint("`dunlin schema` shows what there is; a table of another schema is named with it")
    })
}

/// What is taken, in order.
fn taken(asked: &Asked, catalog: &Catalog, bounds: Vec<Bound>) -> Result<Vec<Taken>, Failure> {
    let tables = &catalog.tables;
    let listed = asked.tables.iter().map(|name| find(tables, name));
    let listed: BTreeSet<usize> = listed.collect::<Result<_, _>>()?;
    let filters = asked
        .filters
        .iter()
        .map(|filter| find(tables, &filter.table));
    let filters: Vec<usize> = filters.collect::<Result<_, _>>()?;
    let sinces = asked.since.iter().map(|since| find(tables, &since.table));
    let sinces: Vec<usize> = sinces.collect::<Result<_, _>>()?;
    let filtered: BTreeSet<usize> = filters.iter().chain(&sinces).copied().collect();
    let picks = choose(tables, (!listed.is_empty()).then_some(&listed), &filtered);
    if let Some(at) = filtered
        .iter()
        .find(|at| !picks.iter().any(|pick| pick.table == **at))
    {
        let message = format!(
            "rows of {} are to be chosen, but the table is not among those to be exported",
            tables[*at].label()
        );
        return Err(Failure::usage("usage", message));
    }
    let chosen = Chosen {
        asked,
        tables,
        bounds: &bounds,
        filters: &filters,
        sinces: &sinces,
    };
    let picks = picks
        .into_iter()
        .filter_map(|pick| chosen.one(pick).transpose());
    picks.collect()
}

/// What a table that is picked is made out of.
struct Chosen<'c> {
    asked: &'c Asked,
    tables: &'c [Table],
    bounds: &'c [Bound],
    /// The tables of the filters, and of `--since`, in their order.
    filters: &'c [usize],
    sinces: &'c [usize],
}

impl Chosen<'_> {
    fn bound_of(&self, at: usize) -> Option<&Bound> {
        let table = &self.tables[at];
        let mut bounds = self.bounds.iter();
        bounds.find(|bound| bound.table == table.name && bound.schema == table.schema)
    }

    fn places(&self, at: usize, columns: &[String]) -> Option<(Vec<usize>, Vec<NeutralType>)> {
        let bound = self.bound_of(at)?;
        let places: Option<Vec<usize>> = columns.iter().map(|name| place(bound, name)).collect();
        let places = places?;
        let types = places
            .iter()
            .map(|at| bound.columns[*at].ty.clone())
            .collect();
        Some((places, types))
    }

    fn one(&self, mut pick: Pick) -> Result<Option<Taken>, Failure> {
        let Some(bound) = self.bound_of(pick.table).cloned() else {
            return Ok(None);
        };
        let mut ties = vec![];
        pick.ties.retain(|tie| {
            let mine = self.places(pick.table, &tie.columns);
            let theirs = self.places(tie.parent, &tie.references);
            let found = mine
                .zip(theirs)
                .map(|((mine, _), (_, types))| (mine, types));
            let usable = found.is_some();
            ties.extend(found);
            usable
        });
        pick.tied &= !pick.ties.is_empty();
        pick.remember
            .retain(|columns| self.places(pick.table, columns).is_some());
        let remember = pick.remember.iter();
        let remember = remember
            .filter_map(|c| self.places(pick.table, c))
            .collect();
        let mut since = None;
        let sinces = self.sinces.iter().zip(&self.asked.since);
        for (at, asked) in sinces.filter(|(at, _)| **at == pick.table) {
            let column = place(&bound, &asked.column).ok_or_else(|| {
                let label = self.tables[*at].label();
                let message = format!("{label} has no column {}", asked.column);
                Failure::refused("object-missing", message)
            })?;
            since = Some((column, asked.at));
        }
        let mine = self.filters.iter().zip(&self.asked.filters);
        let only: Vec<String> = mine
            .filter(|(at, _)| **at == pick.table)
            .map(|(_, filter)| format!("({}\n)", filter.sql))
            .collect();
        Ok(Some(Taken {
            only: (!only.is_empty()).then(|| only.join(" AND ")),
            pick,
            bound,
            since,
            ties,
            remember,
        }))
    }
}

/// What goes from table to table.
struct State {
    remembered: Remembered,
    counts: Vec<Counts>,
    findings: Vec<Finding>,
    typing: Typing,
}

impl State {
    async fn table(
        &mut self,
        session: &mut dyn Session,
        table: &Taken,
        about: &mut ManifestTable,
        out: &mut Out,
        (sink, control): (&mut dyn Sink, &Control),
    ) -> Result<(), Failure> {
        out.begin(&table.bound, about)?;
        let dialect = session.dialect();
        let select = dialect.rows().select(&table.bound);
        let sql = dialect.change().filtered(&select, table.only.as_deref());
        let mut hasher = RowHasher::new(table.bound.types(), self.typing);
        let (mut undated, mut told) = (0, 0);
        let mut source = session.stream(&sql).await.map_err(|e| wrong(&e))?;
        while let Some(batch) = source.next().await.map_err(|e| wrong(&e))? {
            if control.asked() > Stop::No {
                return Err(interrupted("nothing was written"));
            }
            let mut chosen = Vec::with_capacity(batch.len());
            for at in 0..batch.len() {
                // Only where something depends on single values are they looked at one by one.
                let plain =
                    table.since.is_none() && table.ties.is_empty() && table.remember.is_empty();
                if plain || self.takes(table, batch.row(at), &mut undated) {
                    hasher.row(batch.row(at));
                    chosen.push(at);
                }
            }
            out.rows(&batch, &chosen, self.typing == Typing::Dynamic)
                .await?;
            let done = hasher.digest().rows;
            if done / PROGRESS_ROWS > told {
                told = done / PROGRESS_ROWS;
                sink.event(&Event::Progress {
                    what: format!("exporting {}", about.table),
                    done,
                    total: None,
                    unit: "rows".into(),
                });
            }
        }
        drop(source);
        out.end().await?;
        let digest = hasher.digest();
        about.rows = Some(digest.rows);
        about.digest = Some(digest.hex());
        self.counts.push(Counts {
            table: about.table.clone(),
            done: digest.rows,
            skipped: undated,
            failed: 0,
        });
        if let Some((column, _)) = table.since.filter(|_| undated > 0) {
            let column = &table.bound.columns[column].shape.name;
            let message = format!(
                "{undated} rows of {} hold no readable date in {column} and were left out",
                about.table
            );
            let place = Place::object(format!("{}.{column}", about.table));
            self.findings
                .push(Finding::warning("export-undated", place, message));
        }
        Ok(())
    }

    /// Whether a row is taken; remembers its keys where others refer to them.
    fn takes<'a>(
        &mut self,
        table: &Taken,
        row: impl Iterator<Item = Cell<'a>>,
        undated: &mut u64,
    ) -> bool {
        let row: Vec<Cell<'a>> = row.collect();
        let key = |(places, types): &(Vec<usize>, Vec<NeutralType>)| {
            key_hash(places.iter().map(|at| row[*at]), types)
        };
        let mut tied = false;
        for (tie, at) in table.pick.ties.iter().zip(&table.ties) {
            match key(at) {
                None => {}
                Some(hash) if self.remembered.holds(tie.parent, &tie.references, hash) => {
                    tied = true
                }
                Some(_) => return false,
            }
        }
        if table.pick.tied && !tied {
            return false;
        }
        if let Some((column, from)) = table.since {
            match since::instant(row[column]) {
                Some(at) if at >= from => {}
                Some(_) => return false,
                None => {
                    *undated += 1;
                    return false;
                }
            }
        }
        for (columns, at) in table.pick.remember.iter().zip(&table.remember) {
            if let Some(hash) = key(at) {
                self.remembered.note(table.pick.table, columns, hash);
            }
        }
        true
    }
}
