//! Bringing a backup back: into a scratch database to verify it, or over the database that it is of.

use super::compared::{Compared, compare};
use super::manifest::{Manifest, Method};
use super::replay::{self, Seen};
use super::{Temporary, disk, list, private_file, rows};
use crate::control::Control;
use crate::drift;
use crate::drops::{self, Drops};
use crate::inspect;
use crate::observe;
use crate::scratch;
use crate::trouble;
use crate::world::World;
use dunlin_core::dialect::catalog::Hold;
use dunlin_core::event::Sink;
use dunlin_core::failure::{ErrorClass, Failure, FailureClass};
use dunlin_core::finding::{Finding, Place};
use dunlin_core::journal::foreign;
use dunlin_core::schema::{Catalog, Table, render};
use dunlin_engines::{DbError, Engine, Purpose, Session};
use std::fs::File;
use std::path::Path;

/// Loads a backup's file into an empty database; `over`: into the one that was emptied for it.
pub(super) async fn load(
    world: &World,
    engine: &dyn Engine,
    manifest: &Manifest,
    folder: &Path,
    over: bool,
    sink: &mut dyn Sink,
) -> Result<(), Failure> {
    let path = manifest.path(folder);
    if manifest.method == Method::Own {
        let mut session = engine
            .open(Purpose::Tool)
            .await
            .map_err(|error| trouble::refused(&error, "cannot open the target"))?;
        // What tells a whole database from a half restored one is there only when all else is.
        let journal = foreign::own_names(&world.names);
        let loaded = rows::load(&mut *session, &path, &journal, sink).await;
        session.close().await;
        return loaded;
    }
    let raw = unpacked(world, manifest, folder)?;
    engine
        .load(&raw.0, over)
        .await
        .map_err(|error| trouble::failed(&error, "the restore failed"))
}

/// What is in a backup's file, as a file.
fn unpacked(world: &World, manifest: &Manifest, folder: &Path) -> Result<Temporary, Failure> {
    let mark = scratch::mark(world);
    let raw = Temporary(folder.join(format!(".{}.{mark}.restore", manifest.name)));
    let unpack = || -> std::io::Result<()> {
        let mut out = private_file(&raw.0)?;
        zstd::stream::copy_decode(File::open(manifest.path(folder))?, &mut out)
    };
    unpack().map_err(|error| disk(&raw.0, &error))?;
    Ok(raw)
}

/// Lays what is borrowed, empty, under a backup of what is ours: our views read it.
pub(super) async fn borrow(
    world: &World,
    manifest: &Manifest,
    scratch: &dyn Engine,
) -> Result<(), Failure> {
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

/// Restores a backup into a scratch database that was just made, compares, and drops it.
async fn restored(
    world: &World,
    manifest: &Manifest,
    (name, scratch): (&str, &dyn Engine),
    findings: &mut Vec<Finding>,
    sink: &mut dyn Sink,
) -> Result<(), Failure> {
    let folder = &world.config.backup_dir;
    let outcome = async {
        borrow(world, manifest, scratch).await?;
        load(world, scratch, manifest, folder, false, sink).await?;
        compare(scratch, manifest, sink).await
    };
    let outcome = outcome.await;
    let dropped = scratch.drop_database().await;
    let Compared { differ, left_out } = outcome.map_err(|failure| world.redact(failure))?;
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
    if let Some(why) = left_out {
        let message = format!("only the rows of {} were compared: {why}", manifest.name);
        let finding = Finding::warning("objects-not-compared", Place::default(), message);
        findings.push(finding.help("make another backup here, and verify that"));
    }
    Ok(())
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
        Ok(()) => restored(world, manifest, (&name, &*scratch), &mut findings, sink).await?,
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
            let refused = world.redact(trouble::refused(&error, message));
            let grant = refused.hints.into_iter().next();
            let grant = grant.unwrap_or_else(|| "grant the right to make databases".into());
            findings.push(finding.help(grant));
        }
        Err(error) => {
            return Err(world.redact(trouble::refused(
                &error,
                "no scratch database can be made to verify the backup",
            )));
        }
    }
    let mut verified = manifest.clone();
    let found = |code: &str| findings.iter().any(|finding| finding.code == code);
    let how = if found("scratch-refused") {
        "read again and compared"
    } else if found("objects-not-compared") {
        "restored, rows compared"
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
async fn open_or_make(world: &World) -> Result<Box<dyn Session>, Failure> {
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

/// What must hold when what is there is about to be dropped: no other runner has come in between, and everything is as
/// it was seen.
pub(super) struct Unless<'a> {
    /// The fence's token under which the caller worked.
    pub(super) token: i64,
    /// What the caller saw, and what is saved.
    pub(super) seen: &'a Seen,
}

/// The failure of a restore that came too late: what is there is not what was saved. Nothing was touched.
pub(super) fn written_meanwhile(what: &[String]) -> Failure {
    let message = format!("others write at this moment: {}", what.join(", "));
    Failure::refused("written-meanwhile", message)
}

/// As [`restore`] over what is there.
pub(super) async fn bring_back(
    world: &World,
    manifest: &Manifest,
    folder: &Path,
    replace: bool,
    unless: Option<&Unless<'_>>,
    sink: &mut dyn Sink,
) -> Result<(), Failure> {
    let mut session = open_or_make(world).await?;
    let there = observe::whole(&mut *session)
        .await
        .map_err(|error| trouble::refused(&error, "cannot read the catalog"))?;
    session.close().await;
    if replace {
        let free = &mut Control::free();
        let (lease, work) = crate::lease::acquire(world, Purpose::Tool, true, sink, free).await?;
        let outcome = match unless.is_some_and(|unless| lease.token != unless.token + 1) {
            true => Err(overtaken()),
            false => over(world, work, manifest, folder, unless, sink).await,
        };
        lease.release().await;
        outcome?;
    } else if there.tables.is_empty() {
        load(world, &*world.engine, manifest, folder, false, sink).await?;
    } else {
        let message = format!("the database holds {} tables already", there.tables.len());
        return Err(Failure::refused("not-empty", message)
            .hint("`--replace` drops them first; make a backup of them before"));
    }
    let differ = compare(&*world.engine, manifest, sink).await?.differ;
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

/// Replaces what is there, under the lease, by the session that holds the work lock.
async fn over(
    world: &World,
    mut work: Box<dyn Session>,
    manifest: &Manifest,
    folder: &Path,
    unless: Option<&Unless<'_>>,
    sink: &mut dyn Sink,
) -> Result<(), Failure> {
    if manifest.method == Method::Copy {
        let outcome = over_file(world, &mut *work, manifest, folder, unless, sink).await;
        work.close().await;
        return outcome;
    }
    let outcome = clear(world, &mut *work, manifest, unless, sink).await;
    work.close().await;
    outcome?;
    load(world, &*world.engine, manifest, folder, true, sink).await?;
    unmark(world).await
}

/// A file is replaced in one transaction, and kept from everybody else from the last comparison on.
async fn over_file(
    world: &World,
    work: &mut dyn Session,
    manifest: &Manifest,
    folder: &Path,
    unless: Option<&Unless<'_>>,
    sink: &mut dyn Sink,
) -> Result<(), Failure> {
    let raw = unpacked(world, manifest, folder)?;
    for statement in work.dialect().catalog().hold(&[]).take {
        work.execute(&statement)
            .await
            .map_err(|error| trouble::refused(&error, "cannot lock the database"))?;
    }
    still(world, work, manifest, unless, sink).await?;
    work.overwrite(&raw.0)
        .await
        .map_err(|error| trouble::failed(&error, "the restore failed"))
}

/// Compares what is there with what was seen, in a session that keeps others from writing.
async fn still(
    world: &World,
    work: &mut dyn Session,
    manifest: &Manifest,
    unless: Option<&Unless<'_>>,
    sink: &mut dyn Sink,
) -> Result<(), Failure> {
    let Some(unless) = unless else {
        return Ok(());
    };
    let now = replay::look_here(world, work, manifest, sink)
        .await
        .map_err(|error| trouble::refused(&error, "the rows could not be compared again"))?;
    let differ = unless.seen.unlike(&now, world);
    if differ.is_empty() {
        return Ok(());
    }
    Err(written_meanwhile(&differ))
}

async fn unmark(world: &World) -> Result<(), Failure> {
    let mut session = world.open(Purpose::Tool).await?;
    let dropped = session.execute(&world.sql.restoring.drop).await;
    session.close().await;
    dropped
        .map(drop)
        .map_err(|error| trouble::failed(&error, "restored, and the mark could not be dropped"))
}

/// Drops what the backup will make anew: everything, or what our own backup holds. The mark comes first, and says until
/// the end that what is there is not the database: in one transaction with the drops where the engine can.
async fn clear(
    world: &World,
    work: &mut dyn Session,
    manifest: &Manifest,
    unless: Option<&Unless<'_>>,
    sink: &mut dyn Sink,
) -> Result<(), Failure> {
    let mark = &world.sql.restoring;
    let (as_one, catalog) = (work.caps().transactional_ddl, work.dialect().catalog());
    drops::settings(work, catalog.dump_begin()).await?;
    if as_one {
        work.begin()
            .await
            .map_err(|error| trouble::refused(&error, "cannot begin"))?;
    }
    let outcome = async {
        work.execute(&mark.create)
            .await
            .map_err(|error| trouble::refused(&error, "cannot mark the restore"))?;
        let goes = what_goes(world, work, manifest).await?;
        let hold = hold(world, work, &goes, unless).await?;
        if let Err(failure) = still(world, work, manifest, unless, sink).await {
            release(work, &hold).await?;
            if !as_one {
                // Nothing has been dropped: what is there is the database as before.
                unmark(world).await?;
            }
            return Err(failure);
        }
        drop_all_of(world, work, &goes, &hold).await?;
        if as_one {
            work.commit()
                .await
                .map_err(|error| trouble::failed(&error, "the drops could not be committed"))?;
        }
        Ok(())
    };
    let outcome = outcome.await;
    if outcome.is_err() && as_one {
        let _ = work.rollback().await;
    }
    outcome
}

/// What of the database a backup makes anew.
async fn what_goes(
    world: &World,
    work: &mut dyn Session,
    manifest: &Manifest,
) -> Result<Catalog, Failure> {
    let mut goes = observe::whole(work)
        .await
        .map_err(|error| trouble::refused(&error, "cannot read the catalog"))?;
    if replay::is_partial(manifest) {
        let ours = goes.owned(&inspect::scope(world));
        let held = |name: &str| {
            let mut tables = manifest.tables.iter();
            tables.any(|held| held.table.eq_ignore_ascii_case(name))
        };
        let owned = |table: &Table| ours.tables.iter().any(|it| it.name == table.name);
        let tables = goes.tables.into_iter();
        let tables = tables.filter(|table| held(&table.name) || owned(table));
        goes = Catalog {
            tables: tables.collect(),
            ..ours
        };
    }
    goes.tables
        .retain(|table| table.name != world.sql.restoring.name);
    Ok(goes)
}

/// Keeps others from writing into what goes, where it is to be compared once more. The journal's tables stay free: the
/// lease's holder, which is us, beats there.
async fn hold(
    world: &World,
    work: &mut dyn Session,
    goes: &Catalog,
    unless: Option<&Unless<'_>>,
) -> Result<Hold, Failure> {
    if unless.is_none() {
        return Ok(Hold::default());
    }
    let journal = foreign::own_names(&world.names);
    let tables: Vec<(Option<&str>, &str)> = goes
        .tables
        .iter()
        .filter(|table| !journal.contains(&table.name))
        .map(|table| (table.schema.as_deref(), table.name.as_str()))
        .collect();
    let hold = work.dialect().catalog().hold(&tables);
    for statement in &hold.take {
        work.execute(statement)
            .await
            .map_err(|error| trouble::refused(&error, "cannot lock the tables"))?;
    }
    Ok(hold)
}

async fn release(work: &mut dyn Session, hold: &Hold) -> Result<(), Failure> {
    for statement in &hold.free {
        work.execute(statement)
            .await
            .map_err(|error| trouble::failed(&error, "cannot free the tables"))?;
    }
    Ok(())
}

/// Drops it. Where statements commit by themselves the journal goes first, by a session that is under no locks: what is
/// left of a restore that dies must not have a journal that speaks of what is gone. Where a session holds locks, the
/// tables under them come next, and everything else when they are free.
async fn drop_all_of(
    world: &World,
    work: &mut dyn Session,
    goes: &Catalog,
    hold: &Hold,
) -> Result<(), Failure> {
    if !work.caps().transactional_ddl {
        let journal = foreign::own_names(&world.names);
        let mut other = world.open(Purpose::Tool).await?;
        let dropped = drop_tables(&mut *other, goes, |name| {
            journal.iter().any(|it| it == name)
        });
        let dropped = dropped.await;
        other.close().await;
        dropped?;
    }
    if !hold.free.is_empty() {
        drop_tables(work, goes, |name| hold.covers(name)).await?;
        release(work, hold).await?;
    }
    let rest = Drops::of(goes, work.dialect());
    let silent = &mut dunlin_core::event::Silent;
    rest.run(work, silent).await.map_err(|failure| *failure)?;
    Ok(())
}

/// Drops some tables with all that hangs on them.
async fn drop_tables(
    session: &mut dyn Session,
    goes: &Catalog,
    which: impl Fn(&str) -> bool,
) -> Result<(), Failure> {
    let mut some = Catalog::new(goes.engine.as_str());
    some.format = goes.format;
    some.tables.clone_from(&goes.tables);
    some.tables.retain(|table| which(&table.name));
    for table in &mut some.tables {
        table.triggers.clear();
    }
    let dialect = session.dialect();
    drops::settings(session, dialect.catalog().dump_begin()).await?;
    let drops = Drops::of(&some, dialect);
    let silent = &mut dunlin_core::event::Silent;
    drops
        .run(session, silent)
        .await
        .map_err(|failure| *failure)?;
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
        manifest.remove(folder)?;
        gone.push(manifest.name);
    }
    Ok(gone)
}
