//! Making a checkpoint: rows are read once, hashed and written while they come.

use super::file::{Checkpoint, Saved, SavedFile};
use super::{Chosen, Configuration, ENDING, Names, folder};
use crate::backup::archive::{Writer, put};
use crate::backup::rows::bound_tables;
use crate::backup::{Temporary, disk, sweep_files};
use crate::digest::{self, table_digest};
use crate::world::World;
use crate::{inspect, observe, scratch, trouble};
use dunlin_core::copy::RowHasher;
use dunlin_core::copy::reading::Bound;
use dunlin_core::event::{Event, Sink};
use dunlin_core::failure::{ErrorClass, Failure};
use dunlin_core::schema::{Catalog, Table, key, label};
use dunlin_core::value::Value;
use dunlin_engines::{Batch, DbError, Purpose, Session};
use std::path::Path;
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Instant;

/// How often progress is told, in rows.
const PROGRESS_ROWS: u64 = 50_000;

/// The largest file of a configuration: such files are read by people.
const FILE_MAX: u64 = 16 << 20;

fn wrong(error: &DbError) -> Failure {
    trouble::refused(error, "the checkpoint could not be made")
}

/// A name as part of a file's name.
pub(super) fn safe(name: &str) -> String {
    name.chars()
        .take(60)
        .map(|c| {
            if c.is_alphanumeric() || c == '-' {
                c
            } else {
                '_'
            }
        })
        .collect()
}

/// Makes a checkpoint from a snapshot of its own. Nothing that looks like one is left where it fails.
pub async fn create(
    world: &World,
    name: &str,
    chosen: &Chosen,
    sink: &mut dyn Sink,
) -> Result<Checkpoint, Failure> {
    let mut session = world.open(Purpose::Read).await?;
    let begun = digest::begin_snapshot(&mut *session).await;
    let made = match begun {
        Err(error) => Err(wrong(&error)),
        Ok(()) => create_in(world, &mut *session, name, chosen, false, sink).await,
    };
    let _ = digest::end_snapshot(&mut *session).await;
    session.close().await;
    made.map_err(|failure| world.redact(failure))
}

/// Makes a checkpoint of what the session's open transaction sees. `locked`: rows that are read stay as they are up to
/// its end, wherever the engine locks rows.
pub async fn create_in(
    world: &World,
    session: &mut dyn Session,
    name: &str,
    chosen: &Chosen,
    locked: bool,
    sink: &mut dyn Sink,
) -> Result<Checkpoint, Failure> {
    let started = Instant::now();
    if name.trim().is_empty() {
        return Err(Failure::usage("bad-name", "a checkpoint needs a name"));
    }
    let folder = folder(world);
    std::fs::create_dir_all(&folder).map_err(|error| disk(&folder, &error))?;
    sweep_files(world, &folder);
    let catalog = tables(world, session, chosen).await?;
    let id = world.run_id();
    let mark = scratch::mark(world);
    let part = Temporary(folder.join(format!(".{id}.{mark}.part")));
    let mut checkpoint = Checkpoint {
        format: match chosen.columns.is_empty() && chosen.rows.is_empty() {
            _ if !chosen.over.is_empty() => 3,
            true => 1,
            false => 2,
        },
        name: name.to_owned(),
        database: world.engine.database(),
        engine: session.caps().engine.to_string(),
        server_version: session.caps().version_text.clone(),
        dunlin: env!("CARGO_PKG_VERSION").into(),
        created_at: world.clock.stamp(),
        path: folder.join(format!("{}.{id}.{ENDING}", safe(name))),
        id,
        ..Checkpoint::default()
    };
    let mut file = {
        let io = |error: std::io::Error| disk(&part.0, &error);
        let mut out = Writer::new(&part.0).map_err(io)?;
        put(
            &mut out,
            b'C',
            named(&catalog, &chosen.names).to_json().as_bytes(),
        )
        .map_err(io)?;
        checkpoint.files = files(&mut out, &chosen.configuration)?;
        let out = rows(
            session,
            &catalog,
            chosen,
            out,
            &mut checkpoint,
            locked,
            sink,
        );
        out.await?.finish().map_err(io)?.file
    };
    checkpoint.duration_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    checkpoint.seal(&mut file, &part.0, &world.clock.stamp())?;
    std::fs::rename(&part.0, &checkpoint.path).map_err(|error| disk(&checkpoint.path, &error))?;
    Ok(checkpoint)
}

/// The catalog with its tables under the names that they had.
fn named(catalog: &Catalog, names: &Names) -> Catalog {
    let mut named = catalog.clone();
    for table in &mut named.tables {
        table.name = names.was(table.schema.as_deref(), &table.name).to_owned();
    }
    named
}

/// The catalog of the chosen tables, as they are there.
async fn tables(
    world: &World,
    session: &mut dyn Session,
    chosen: &Chosen,
) -> Result<Catalog, Failure> {
    let whole = observe::whole(session)
        .await
        .map_err(|error| wrong(&error))?;
    let mut catalog = Catalog {
        format: whole.format,
        engine: whole.engine.clone(),
        ..Catalog::default()
    };
    // In another case only where no table is called just so.
    let named = |table: &Table, name: &String| {
        let name = chosen.names.label_there(name);
        let mut all = whole.tables.iter();
        table.label() == name
            || (name.eq_ignore_ascii_case(&table.label()) && !all.any(|one| one.label() == name))
    };
    let parts = chosen.columns.iter().map(|(table, _)| table);
    let parts = parts.chain(chosen.rows.iter().map(|(table, _)| table));
    let asked = chosen.tables.iter().chain(parts.clone());
    let asked = asked.chain(&chosen.configuration.tables);
    let missing: Vec<&str> = asked
        .filter(|name| !whole.tables.iter().any(|table| named(table, name)))
        .map(String::as_str)
        .collect();
    if !missing.is_empty() {
        let message = format!("there is no table {}", missing.join(", "));
        return Err(Failure::refused("object-missing", message).hint(
            "`dunlin schema` shows what there is; a table of another schema is named with it",
        ));
    }
    let ours = inspect::scope(world);
    let of_configuration = |table: &Table| {
        chosen
            .configuration
            .tables
            .iter()
            .any(|name| named(table, name))
    };
    let wanted = |table: &Table| {
        of_configuration(table)
            || parts.clone().any(|name| named(table, name))
            || if chosen.tables.is_empty() && parts.clone().next().is_none() {
                ours.owns(table.schema.as_deref(), &table.name)
            } else {
                chosen.tables.iter().any(|name| named(table, name))
            }
    };
    let tables = whole.tables.iter().filter(|table| wanted(table));
    catalog.tables = tables.cloned().collect();
    Ok(catalog)
}

/// Writes the configuration's files. One that is not there is noted as that: bringing the configuration back removes it.
fn files(out: &mut Writer, configuration: &Configuration) -> Result<Vec<SavedFile>, Failure> {
    let mut saved = vec![];
    for name in &configuration.files {
        let path = configuration.root.join(name);
        let content = match std::fs::metadata(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => return Err(unreadable(&path, &error)),
            Ok(found) if found.len() > FILE_MAX => {
                let error = std::io::Error::other("larger than 16 MiB, so no configuration");
                return Err(unreadable(&path, &error));
            }
            Ok(_) => Some(std::fs::read(&path).map_err(|error| unreadable(&path, &error))?),
        };
        if let Some(content) = &content {
            let work = put(out, b'F', name.as_bytes()).and_then(|()| put(out, b'f', content));
            work.map_err(|error| disk(&path, &error))?;
        }
        saved.push(SavedFile {
            path: name.clone(),
            missing: content.is_none(),
        });
    }
    Ok(saved)
}

fn unreadable(path: &Path, error: &std::io::Error) -> Failure {
    Failure::refused("file-unreadable", format!("`{}`: {error}", path.display()))
        .hint("it stands in `[configuration] files`")
}

async fn rows(
    session: &mut dyn Session,
    catalog: &Catalog,
    chosen: &Chosen,
    mut out: Writer,
    checkpoint: &mut Checkpoint,
    locked: bool,
    sink: &mut dyn Sink,
) -> Result<Writer, Failure> {
    let shapes = digest::shapes(session)
        .await
        .map_err(|error| wrong(&error))?;
    let bound = bound_tables(catalog, &shapes);
    none_is_left_out(catalog, chosen, &bound, sink)?;
    for mut table in bound {
        let known = catalog.table(table.schema.as_deref(), &table.table);
        let key = known.and_then(key::of).unwrap_or_default();
        let was = chosen.names.was(table.schema.as_deref(), &table.table);
        let (was, label) = (was.to_owned(), label(table.schema.as_deref(), was));
        let named = |name: &String| name.eq_ignore_ascii_case(&label);
        let asked = chosen.columns.iter().find(|(name, _)| named(name));
        let mut only = chosen.rows.iter().filter(|(name, _)| named(name));
        let only = only.next().map(|(_, only)| only.clone());
        if let Some((_, columns)) = asked {
            let held = |name: &String| key.contains(name) || columns.contains(name);
            table.columns.retain(|column| held(&column.shape.name));
        }
        let mut over = chosen.over.iter().filter(|(name, _)| named(name));
        let over = over.next().map(|(_, over)| over.clone());
        let table = &table;
        let counters = match asked.is_some() || only.is_some() {
            // No table is filled by these, so that nothing is counted either.
            true => vec![],
            false => counters(session, table)
                .await
                .map_err(|error| wrong(&error))?,
        };
        checkpoint.saved.push(Saved {
            schema: table.schema.clone(),
            name: was,
            columns: names(table),
            types: table.types(),
            key,
            partial: asked.is_some(),
            only: only.clone(),
            over: over.unwrap_or_default(),
            counters,
        });
        let only = only.as_deref();
        let hasher;
        let path = checkpoint.path.clone();
        (out, hasher) = one(session, (table, &label), only, out, &path, locked, sink).await?;
        let mut digest = table_digest(table, &hasher);
        if label != table.label() {
            digest.table.clone_from(&label);
        }
        checkpoint.tables.push(digest);
    }
    Ok(out)
}

/// A table whose rows are not read by itself (a part of another one, one of a module, one of another server) cannot be asked
/// for; what was not asked for by its name is left out, and that is said.
fn none_is_left_out(
    catalog: &Catalog,
    chosen: &Chosen,
    bound: &[Bound],
    sink: &mut dyn Sink,
) -> Result<(), Failure> {
    let held = |table: &Table| {
        let mut bound = bound.iter();
        bound.any(|bound| bound.table == table.name && bound.schema == table.schema)
    };
    let left: Vec<&Table> = catalog.tables.iter().filter(|table| !held(table)).collect();
    let all = chosen.tables.is_empty() && chosen.columns.is_empty() && chosen.rows.is_empty();
    let asked = |table: &&&Table| {
        let mut names = chosen.configuration.tables.iter();
        !all || names.any(|name| name.eq_ignore_ascii_case(&table.label()))
    };
    if let Some(table) = left.iter().find(asked) {
        let message = format!(
            "the rows of {} cannot be saved by themselves: it is a part of another table, or a module or another server keeps them",
            table.label()
        );
        return Err(Failure::refused("checkpoint-shape", message).hint(
            "name the table that it is a part of, or save its rows yourself and take them away before this",
        ));
    }
    // A part comes along with its whole.
    let apart = left
        .iter()
        .filter(|table| !table.options.contains_key("partition"));
    let apart: Vec<String> = apart.map(|table| table.label()).collect();
    if !apart.is_empty() {
        let message = format!(
            "not in the checkpoint, for a module or another server keeps its rows: {}",
            apart.join(", ")
        );
        sink.event(&Event::Note { message });
    }
    Ok(())
}

/// The names of a bound table's columns.
pub(super) fn names(table: &Bound) -> Vec<String> {
    let columns = table.columns.iter();
    columns.map(|column| column.shape.name.clone()).collect()
}

/// Batches that wait between reading and writing; each holds a megabyte or so.
const BETWEEN: usize = 2;

/// Writes a table's rows. They are hashed and put into the stream on a thread of their own, while the next are read.
async fn one(
    session: &mut dyn Session,
    (table, label): (&Bound, &str),
    only: Option<&str>,
    mut out: Writer,
    path: &Path,
    locked: bool,
    sink: &mut dyn Sink,
) -> Result<(Writer, RowHasher), Failure> {
    let io = |error: std::io::Error| disk(path, &error);
    put(&mut out, b'T', label.as_bytes()).map_err(io)?;
    let dialect = session.dialect();
    let hasher = RowHasher::new(table.types(), dialect.rows().typing());
    let sql = if locked {
        dialect.change().select_locked(table)
    } else {
        let all = dialect.rows().select(table);
        dialect.change().filtered(&all, only)
    };
    let mut source = session.stream(&sql).await.map_err(|error| wrong(&error))?;
    let (batches, inbox) = sync_channel::<Batch>(BETWEEN);
    let work = std::thread::Builder::new()
        .name("dunlin-rows".into())
        .spawn(move || take_down(inbox, out, hasher))
        .map_err(io)?;
    let (mut done, mut told) = (0_u64, 0);
    while let Some(batch) = source.next().await.map_err(|error| wrong(&error))? {
        done += batch.len() as u64;
        // Nobody takes it any more: the thread knows why, and says it below.
        if batches.send(batch).is_err() {
            break;
        }
        if done / PROGRESS_ROWS > told {
            told = done / PROGRESS_ROWS;
            sink.event(&Event::Progress {
                what: format!("checkpoint of {label}"),
                done,
                total: None,
                unit: "rows".into(),
            });
        }
    }
    std::mem::drop(batches);
    let ended = || std::io::Error::other("the thread that writes rows ended");
    work.join().unwrap_or_else(|_| Err(ended())).map_err(io)
}

/// Hashes the rows and puts them into the stream, until no more come.
fn take_down(
    inbox: Receiver<Batch>,
    mut out: Writer,
    mut hasher: RowHasher,
) -> std::io::Result<(Writer, RowHasher)> {
    for batch in inbox {
        for at in 0..batch.len() {
            out.row(batch.row(at))?;
            hasher.row(batch.row(at));
        }
    }
    Ok((out, hasher))
}

/// The counters of a table, as they are now.
pub(super) async fn counters(
    session: &mut dyn Session,
    table: &Bound,
) -> Result<Vec<(String, i64)>, DbError> {
    let dialect = session.dialect();
    let Some(query) = dialect
        .change()
        .counters(table.schema.as_deref(), &table.table)
    else {
        return Ok(vec![]);
    };
    let rows = match session.query(&query.sql, &query.params).await {
        // No table of this file numbers its rows by a counter.
        Err(error) if error.class == ErrorClass::ObjectMissing => vec![],
        rows => rows?,
    };
    let counter = |row: &Vec<Value>| {
        let name = row.first()?.as_str()?.to_owned();
        Some((name, row.get(1)?.as_i64()?))
    };
    Ok(rows.iter().filter_map(counter).collect())
}
