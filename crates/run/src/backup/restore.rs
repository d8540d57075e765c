//! Bringing a backup back: into a scratch database to verify it, or over the database that it is of.

use super::manifest::{Manifest, Method};
use super::{Temporary, disk, list, private_file, rows};
use crate::control::Control;
use crate::digest::{self, Scope};
use crate::drift;
use crate::inspect;
use crate::observe;
use crate::scratch;
use crate::trouble;
use crate::world::World;
use dunlin_core::event::Sink;
use dunlin_core::failure::{ErrorClass, Failure, FailureClass};
use dunlin_core::finding::{Finding, Place};
use dunlin_core::schema::{Catalog, Fix, diff, render};
use dunlin_engines::{DbError, Engine, Purpose};
use std::fs::File;
use std::path::Path;

/// Loads a backup's file into an empty database.
async fn load(
    world: &World,
    engine: &dyn Engine,
    manifest: &Manifest,
    folder: &Path,
    sink: &mut dyn Sink,
) -> Result<(), Failure> {
    let path = manifest.path(folder);
    if manifest.method == Method::Own {
        let mut session = engine
            .open(Purpose::Tool)
            .await
            .map_err(|error| trouble::refused(&error, "cannot open the target"))?;
        let loaded = rows::load(&mut *session, &path, sink).await;
        session.close().await;
        return loaded;
    }
    let mark = scratch::mark(world);
    let raw = Temporary(folder.join(format!(".{}.{mark}.restore", manifest.name)));
    let unpack = || -> std::io::Result<()> {
        let mut out = private_file(&raw.0)?;
        zstd::stream::copy_decode(File::open(&path)?, &mut out)
    };
    unpack().map_err(|error| disk(&raw.0, &error))?;
    engine
        .load(&raw.0)
        .await
        .map_err(|error| trouble::failed(&error, "the restore failed"))
}

/// Compares a database with a manifest; gives the tables that differ.
async fn compare(
    engine: &dyn Engine,
    manifest: &Manifest,
    sink: &mut dyn Sink,
) -> Result<Vec<String>, Failure> {
    let wrong = |error: &DbError| trouble::refused(error, "the restored rows could not be read");
    let mut session = engine
        .open(Purpose::Read)
        .await
        .map_err(|error| wrong(&error))?;
    let found = digest::digest(&mut *session, &Scope::default(), None, sink)
        .await
        .map_err(|error| wrong(&error));
    session.close().await;
    let found = found?;
    let mut differ = vec![];
    for table in &manifest.tables {
        match found.tables.iter().find(|other| other.table == table.table) {
            None => differ.push(format!("{}: missing", table.table)),
            Some(other) if !other.agrees(table) => {
                differ.push(format!(
                    "{}: {} rows backed up, {} restored, digests differ",
                    table.table, table.rows, other.rows
                ));
            }
            Some(_) => {}
        }
    }
    Ok(differ)
}

/// Lays what is borrowed, empty, under a backup of what is ours: our views read it.
async fn borrow(world: &World, manifest: &Manifest, scratch: &dyn Engine) -> Result<(), Failure> {
    if manifest.method != Method::Own || world.config.owns.is_empty() {
        return Ok(());
    }
    let wrong = |error: &DbError| trouble::refused(error, "cannot read the catalog");
    let mut session = world.open(Purpose::Read).await?;
    let whole = observe::whole(&mut *session).await;
    session.close().await;
    let whole = whole.map_err(|error| wrong(&error))?;
    let ground = drift::ground(&whole, &inspect::scope(world), None, world.dialect());
    let mut session = scratch
        .open(Purpose::Script)
        .await
        .map_err(|error| trouble::refused(&error, "cannot open the scratch database"))?;
    for sql in render::dump(&ground, world.dialect()).statements {
        // What is really missing shows when the backup is loaded.
        let _ = session.execute(&sql).await;
    }
    session.close().await;
    Ok(())
}

fn equal(manifest: &Manifest, differ: &[String]) -> Result<(), Failure> {
    if differ.is_empty() {
        return Ok(());
    }
    let message = format!(
        "the backup {} does not hold what was backed up: {}",
        manifest.name,
        differ.join("; ")
    );
    let failure = Failure::new(FailureClass::Mismatch, "backup-unequal", message);
    Err(failure.hint("do not trust this backup; make another, and look at the tool that made it"))
}

/// Verifies a backup: restored into a scratch database with a generated name, and compared. Where no such database may
/// be made, our own backups are read again and everything else says what right is missing.
pub async fn verify(
    world: &World,
    manifest: &Manifest,
    sink: &mut dyn Sink,
) -> Result<(Manifest, Vec<Finding>), Failure> {
    let folder = &world.config.backup_dir;
    manifest.check_file(folder)?;
    scratch::sweep(world).await;
    let name = scratch::name(world);
    let scratch = world.scratch(&name)?;
    let mut findings = vec![];
    match scratch.create_scratch().await {
        Ok(()) => {
            let outcome = async {
                borrow(world, manifest, &*scratch).await?;
                load(world, &*scratch, manifest, folder, sink).await?;
                compare(&*scratch, manifest, sink).await
            };
            let outcome = outcome.await;
            let dropped = scratch.drop_database().await;
            let differ = outcome.map_err(|failure| world.redact(failure))?;
            if let Err(error) = dropped {
                let message = format!(
                    "the scratch database {name} could not be dropped: {}",
                    error.message
                );
                findings.push(Finding::warning(
                    "scratch-left",
                    Place::object(name),
                    message,
                ));
            }
            equal(manifest, &differ)?;
        }
        Err(error)
            if error.class == ErrorClass::PermissionDenied && manifest.method == Method::Own =>
        {
            let differ = rows::reread(
                &manifest.path(folder),
                &manifest.stored,
                &manifest.tables,
                world.dialect().rows().typing(),
            )?;
            equal(manifest, &differ)?;
            let message = "no scratch database may be made here, so the backup was read again and compared, and not restored";
            let finding = Finding::warning("scratch-refused", Place::default(), message);
            findings.push(
                finding.help(
                    error
                        .hint
                        .unwrap_or_else(|| "grant the right to make databases".into()),
                ),
            );
        }
        Err(error) => {
            return Err(world.redact(trouble::refused(
                &error,
                "no scratch database can be made to verify the backup",
            )));
        }
    }
    let mut verified = manifest.clone();
    let how = if findings
        .iter()
        .any(|finding| finding.code == "scratch-refused")
    {
        "read again and compared"
    } else {
        "restored and compared"
    };
    verified.verified = Some(format!("{} ({how})", world.clock.stamp()));
    verified.save(folder)?;
    Ok((verified, findings))
}

/// Restores a backup over the database. Without `replace` the database must be empty.
pub async fn restore(
    world: &World,
    manifest: &Manifest,
    folder: &Path,
    replace: bool,
    sink: &mut dyn Sink,
) -> Result<(), Failure> {
    manifest.check_file(folder)?;
    if world.config.protected && replace {
        return Err(crate::admin::protected("backup restore --replace"));
    }
    bring_back(world, manifest, folder, replace, None, sink).await
}

fn overtaken() -> Failure {
    let message = "another runner came in between, so the backup was not brought back";
    Failure::refused("restore-overtaken", message)
}

/// A session; the database is made where it is missing.
async fn open_or_make(world: &World) -> Result<Box<dyn dunlin_engines::Session>, Failure> {
    match world.engine.open(Purpose::Tool).await {
        Err(error) if error.class == ErrorClass::DatabaseMissing => {
            world
                .engine
                .create_database()
                .await
                .map_err(|error| trouble::refused(&error, "cannot make the database"))?;
            world.open(Purpose::Tool).await
        }
        Err(error) => Err(trouble::refused(&error, "cannot open the database")),
        Ok(session) => Ok(session),
    }
}

/// As [`restore`] over what is there. `after`: the fence's token under which the caller worked; where another runner has
/// come in between, nothing is touched.
pub(super) async fn bring_back(
    world: &World,
    manifest: &Manifest,
    folder: &Path,
    replace: bool,
    after: Option<i64>,
    sink: &mut dyn Sink,
) -> Result<(), Failure> {
    let mut session = open_or_make(world).await?;
    let wrong = |error: &DbError| trouble::refused(error, "cannot read the catalog");
    let mut there = observe::whole(&mut *session)
        .await
        .map_err(|error| wrong(&error))?;
    if !there.tables.is_empty() && !replace {
        let message = format!("the database holds {} tables already", there.tables.len());
        return Err(Failure::refused("not-empty", message)
            .hint("`--replace` drops them first; make a backup of them before"));
    }
    let held = if replace {
        let (lease, work) =
            crate::lease::acquire(world, Purpose::Tool, true, sink, &mut Control::free()).await?;
        // Under the lease the session that holds the work lock is the one that writes.
        let old = std::mem::replace(&mut session, work);
        old.close().await;
        if after.is_some_and(|token| lease.token != token + 1) {
            lease.release().await;
            return Err(overtaken());
        }
        // A copy of a file is one transaction. Everything else passes through a state that nobody may take for the
        // database: the mark says so until the end.
        if manifest.method != Method::Copy {
            session
                .execute(&world.sql.restoring.create)
                .await
                .map_err(|error| trouble::refused(&error, "cannot mark the restore"))?;
            there = observe::whole(&mut *session)
                .await
                .map_err(|error| wrong(&error))?;
            there
                .tables
                .retain(|table| table.name != world.sql.restoring.name);
            clear(&mut *session, manifest, &there).await?;
        }
        Some(lease)
    } else {
        None
    };
    session.close().await;
    let mut loaded = load(world, &*world.engine, manifest, folder, sink).await;
    if loaded.is_ok() && replace && manifest.method != Method::Copy {
        loaded = unmark(world).await;
    }
    if let Some(lease) = held {
        lease.release().await;
    }
    loaded?;
    let differ = compare(&*world.engine, manifest, sink).await?;
    if differ.is_empty() {
        return Ok(());
    }
    let message = format!(
        "restored, and not as it was backed up: {}",
        differ.join("; ")
    );
    Err(Failure::new(
        FailureClass::Mismatch,
        "backup-unequal",
        message,
    ))
}

async fn unmark(world: &World) -> Result<(), Failure> {
    let mut session = world.open(Purpose::Tool).await?;
    let dropped = session.execute(&world.sql.restoring.drop).await;
    session.close().await;
    dropped
        .map(drop)
        .map_err(|error| trouble::failed(&error, "restored, and the mark could not be dropped"))
}

/// Drops what the backup will make anew: everything, or what our own backup holds.
async fn clear(
    session: &mut dyn dunlin_engines::Session,
    manifest: &Manifest,
    there: &Catalog,
) -> Result<(), Failure> {
    let dialect = session.dialect();
    let mut goes = there.clone();
    let partial = manifest.lacks.iter().any(|lack| lack.contains("`owns`"));
    if partial {
        goes.tables.retain(|table| {
            manifest
                .tables
                .iter()
                .any(|held| held.table.eq_ignore_ascii_case(&table.name))
        });
    }
    let mut without_keys = goes.clone();
    without_keys
        .tables
        .iter_mut()
        .for_each(|table| table.foreign_keys.clear());
    let empty = Catalog {
        format: there.format,
        engine: there.engine.clone(),
        ..Catalog::default()
    };
    let keys = diff(&without_keys, &goes, dialect);
    for statement in dialect.catalog().dump_begin() {
        session
            .execute(statement)
            .await
            .map_err(|error| trouble::refused(&error, "cannot prepare"))?;
    }
    for difference in keys.iter().chain(&diff(&empty, &goes, dialect)) {
        let Fix::Sql(statements) = &difference.fix else {
            continue;
        };
        for sql in statements {
            match session.execute(sql).await {
                Err(error) if error.class != ErrorClass::ObjectMissing => {
                    return Err(trouble::failed(
                        &error,
                        &format!("cannot drop {}", difference.object),
                    ));
                }
                _ => {}
            }
        }
    }
    Ok(())
}

/// Removes the oldest backups of this database beyond `keep`; gives their names.
pub fn prune(world: &World, keep: usize) -> Result<Vec<String>, Failure> {
    let folder = &world.config.backup_dir;
    let database = world.engine.database();
    let mut gone = vec![];
    for manifest in list(folder)
        .into_iter()
        .filter(|manifest| manifest.database == database)
        .skip(keep)
    {
        let path = manifest.path(folder);
        // The manifest first: what is half removed is no backup any more.
        for file in [folder.join(format!("{}.json", manifest.name)), path] {
            match std::fs::remove_file(&file) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(disk(&file, &error));
                }
                _ => {}
            }
        }
        gone.push(manifest.name);
    }
    Ok(gone)
}
