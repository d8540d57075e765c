//! Whole-database backups: made from one snapshot, with digests taken from that same snapshot, verified by restoring
//! into a scratch database and comparing.
//!
//! A backup is two files, readable by their owner only: `NAME.dunlin` (zstd: a copy of the file, a tool's dump, or our
//! own rows, see [`rows`]) and `NAME.json`, the manifest. The manifest is written last, under its name at once: a backup
//! without one is not complete, and is not listed.

pub(crate) mod archive;
mod automatic;
mod compared;
pub(crate) mod image;
pub mod manifest;
mod objects;
mod replay;
pub mod restore;
pub mod rows;

use crate::digest::{self, Scope};
use crate::observe;
use crate::scratch;
use crate::trouble;
use crate::world::World;
use dunlin_core::event::{Event, Sink};
use dunlin_core::failure::Failure;
use dunlin_core::finding::{Finding, Place};
use dunlin_core::schema::{Catalog, render};
use dunlin_core::value::Value;
use dunlin_engines::dump::Dumped;
use dunlin_engines::{DbError, Purpose, Session};
use manifest::{Manifest, Method};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Instant;

pub(crate) use automatic::{Run, after_failure};
pub use restore::{prune, restore, verify};

/// zstd's level: its own default, which is about as fast as a disk writes.
const LEVEL: i32 = 3;

/// A file that only its owner may read, made anew.
pub(crate) fn private_file(path: &Path) -> std::io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;
    let _ = std::fs::remove_file(path);
    std::fs::OpenOptions::new()
        .read(true)
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
}

/// A file of the backups that cannot be written.
pub(crate) fn disk(path: &Path, error: &std::io::Error) -> Failure {
    let hints = [
        "make room where the backups go (`backup_dir`), then run again",
        "check the folder of the backups (`backup_dir`) and its rights",
    ];
    not_written(path, error, "backup-file", hints)
}

/// A file that cannot be written where somebody asked for it.
pub(crate) fn unwritable(path: &Path, error: &std::io::Error) -> Failure {
    let room = "make room there, or name another place, then run again";
    let other = "check the folder and its rights, or name another place";
    not_written(path, error, "file-unwritable", [room, other])
}

fn not_written(
    path: &Path,
    error: &std::io::Error,
    code: &'static str,
    [room, other]: [&str; 2],
) -> Failure {
    use std::io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    let (code, hint) = match error.kind() {
        StorageFull | QuotaExceeded | FileTooLarge => ("disk-full", room),
        _ => (code, other),
    };
    Failure::refused(code, format!("`{}`: {error}", path.display())).hint(hint)
}

/// A file that goes when this is dropped, unless it was kept.
pub(crate) struct Temporary(pub(crate) PathBuf);

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Removes the unfinished files of killed runs of this host: they may hold a whole database, or a password.
pub(crate) fn sweep_files(world: &World, folder: &Path) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        // `.NAME.HOST_PID.raw`, `.NAME.HOST_PID.raw.cnf`, and their like.
        let ours =
            name.starts_with('.') && name.split('.').any(|part| scratch::is_dead(world, part));
        if ours {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

/// Makes a backup. Nothing that looks complete is left where it fails.
pub async fn create(
    world: &World,
    sink: &mut dyn Sink,
) -> Result<(Manifest, Vec<Finding>), Failure> {
    let started = Instant::now();
    let folder = &world.config.backup_dir;
    std::fs::create_dir_all(folder).map_err(|error| disk(folder, &error))?;
    let stamp = world.clock.now().strftime("%Y%m%dT%H%M%SZ").to_string();
    let database = world.engine.database();
    let safe: String = database
        .chars()
        .map(|c| {
            if c.is_alphanumeric() || c == '-' || c == '_' {
                c
            } else {
                '_'
            }
        })
        .collect();
    let mut name = format!("{safe}-{stamp}");
    for again in 2.. {
        if !folder.join(format!("{name}.json")).exists()
            && !folder.join(format!("{name}.dunlin")).exists()
        {
            break;
        }
        name = format!("{safe}-{stamp}-{again}");
    }
    let mut making = Making {
        world,
        folder,
        name,
        findings: vec![],
    };
    let mut manifest = making
        .make(sink)
        .await
        .map_err(|failure| world.redact(failure))?;
    manifest.created_at = world.clock.stamp();
    manifest.duration_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    manifest.save(folder)?;
    Ok((manifest, making.findings))
}

/// The name of the open snapshot, for a tool that reads the same state; `None` where the engine has no such thing.
async fn export(session: &mut dyn Session) -> Result<Option<String>, DbError> {
    let Some(sql) = session.dialect().rows().snapshot_export() else {
        return Ok(None);
    };
    let rows = session.query(sql, &[]).await?;
    let name = rows.first().and_then(|row| row.first());
    Ok(name.and_then(Value::as_str).map(str::to_owned))
}

struct Making<'a> {
    world: &'a World,
    folder: &'a Path,
    name: String,
    findings: Vec<Finding>,
}

impl Making<'_> {
    async fn make(&mut self, sink: &mut dyn Sink) -> Result<Manifest, Failure> {
        let wrong = |error: &DbError| trouble::refused(error, "the backup failed");
        sweep_files(self.world, self.folder);
        let mark = scratch::mark(self.world);
        let raw = Temporary(self.folder.join(format!(".{}.{mark}.raw", self.name)));
        drop(private_file(&raw.0).map_err(|error| disk(&raw.0, &error))?);
        let mut session = self.world.open(Purpose::Read).await?;
        digest::begin_snapshot(&mut *session)
            .await
            .map_err(|error| wrong(&error))?;
        let exported = export(&mut *session).await.map_err(|error| wrong(&error))?;
        let only = self.owned_names(&mut *session).await?;
        let dumped = self
            .world
            .engine
            .dump(exported.as_deref(), &only, &raw.0)
            .await
            .map_err(|error| wrong(&error))?;
        let manifest = match dumped {
            Dumped::Copy(copy) => {
                let mut there = copy
                    .open(Purpose::Read)
                    .await
                    .map_err(|error| wrong(&error))?;
                digest::begin_snapshot(&mut *there)
                    .await
                    .map_err(|error| wrong(&error))?;
                let manifest = self.describe(&mut *there, Method::Copy, sink).await;
                there.close().await;
                let manifest = manifest?;
                self.compress(&raw.0, manifest)
            }
            Dumped::Tool(tool) => {
                let mut manifest = self.describe(&mut *session, Method::Tool, sink).await?;
                manifest.tool = Some(tool);
                self.compress(&raw.0, manifest)
            }
            Dumped::Own(lack) => {
                if !lack.why.is_empty() {
                    let message = format!(
                        "{}; the backup is Dunlin's own reading of rows and statements",
                        lack.why
                    );
                    self.findings.push(
                        Finding::warning("dump-tool-missing", Place::default(), message)
                            .help(lack.help),
                    );
                }
                let manifest = self.describe(&mut *session, Method::Own, sink).await?;
                self.own(&mut *session, manifest, None, sink).await
            }
            Dumped::Objects { tool, script } => {
                let mut manifest = self.describe(&mut *session, Method::Own, sink).await?;
                manifest.tool = Some(tool);
                self.own(&mut *session, manifest, Some(&script), sink).await
            }
        };
        let _ = session.rollback().await;
        session.close().await;
        manifest
    }

    /// The manifest's facts and digests, from the session's open snapshot.
    async fn describe(
        &self,
        session: &mut dyn Session,
        method: Method,
        sink: &mut dyn Sink,
    ) -> Result<Manifest, Failure> {
        let wrong = |error: &DbError| {
            trouble::refused(error, "the digests of the backup could not be taken")
        };
        let scope = self.scope(session, method).await?;
        let digests = digest::digest_here(session, &scope, None, sink)
            .await
            .map_err(|error| wrong(&error))?;
        let mut facts = std::collections::BTreeMap::new();
        let asked = session.dialect().database_facts();
        let rows = session
            .query(&asked.sql, &asked.params)
            .await
            .map_err(|error| wrong(&error))?;
        for row in rows {
            let text = |at: usize| {
                row.get(at)
                    .and_then(Value::as_str)
                    .unwrap_or_default()
                    .to_owned()
            };
            facts.insert(text(0), text(1));
        }
        let objects = match method {
            Method::Own => self.catalog(session, false).await?,
            Method::Copy | Method::Tool => observe::whole(session)
                .await
                .map_err(|error| wrong(&error))?,
        };
        Ok(Manifest {
            format: manifest::FORMAT,
            name: self.name.clone(),
            database: self.world.engine.database(),
            engine: session.caps().engine.to_string(),
            server_version: session.caps().version_text.clone(),
            dunlin: env!("CARGO_PKG_VERSION").into(),
            method,
            reading: digests.reading.hash(),
            digest: digests.total(),
            tables: digests.tables,
            facts,
            catalog: Some(objects.to_json()),
            ..Manifest::default()
        })
    }

    /// A copy or a tool's dump holds everything; our own reading holds what is ours, and the journal.
    async fn scope(&self, session: &mut dyn Session, method: Method) -> Result<Scope, Failure> {
        if method != Method::Own || self.world.config.owns.is_empty() {
            return Ok(Scope::default());
        }
        let catalog = self.catalog(session, false).await?;
        let tables = catalog.tables.iter().map(|table| match &table.schema {
            Some(schema) => format!("{schema}.{}", table.name),
            None => table.name.clone(),
        });
        Ok(Scope {
            tables: tables.collect(),
            except: vec![],
        })
    }

    /// The tables and views that a tool is asked for; none where everything is ours.
    async fn owned_names(&self, session: &mut dyn Session) -> Result<Vec<String>, Failure> {
        if self.world.config.owns.is_empty() {
            return Ok(vec![]);
        }
        let catalog = self.catalog(session, false).await?;
        let tables = catalog.tables.into_iter().map(|table| table.name);
        Ok(tables
            .chain(catalog.views.into_iter().map(|view| view.name))
            .collect())
    }

    /// What our own backup holds: what is ours, and the journal beside it.
    /// `exact`: with the server's own statements, which takes a query for each object.
    async fn catalog(&self, session: &mut dyn Session, exact: bool) -> Result<Catalog, Failure> {
        let wrong = |error: DbError| trouble::refused(&error, "cannot read the catalog");
        let mut scope = crate::inspect::scope(self.world);
        if !scope.owns.is_empty() {
            scope.owns.extend(scope.journal.iter().cloned());
        }
        scope.journal.clear();
        let mut catalog = observe::catalog(session, &scope).await.map_err(wrong)?;
        if exact {
            observe::exact(session, &mut catalog).await.map_err(wrong)?;
        }
        Ok(catalog)
    }

    fn compress(&self, raw: &Path, mut manifest: Manifest) -> Result<Manifest, Failure> {
        let path = self.folder.join(format!("{}.dunlin", self.name));
        let mark = scratch::mark(self.world);
        let part = Temporary(self.folder.join(format!(".{}.{mark}.part", self.name)));
        let work = || -> std::io::Result<()> {
            let mut from = File::open(raw)?;
            let mut encoder = zstd::Encoder::new(private_file(&part.0)?, LEVEL)?;
            std::io::copy(&mut from, &mut encoder)?;
            encoder.finish()?.sync_all()
        };
        work().map_err(|error| disk(&part.0, &error))?;
        manifest.seal(&part.0, &path)?;
        Ok(manifest)
    }

    async fn own(
        &self,
        session: &mut dyn Session,
        mut manifest: Manifest,
        script: Option<&str>,
        sink: &mut dyn Sink,
    ) -> Result<Manifest, Failure> {
        let catalog = self.catalog(session, script.is_none()).await?;
        let objects = match script {
            Some(script) => Some(objects::Objects::of(script, &catalog, session.dialect())?),
            None => {
                manifest.lacks = render::dump(&catalog, session.dialect()).lacks;
                if !manifest.lacks.is_empty() {
                    let mut made = self.catalog(session, false).await?;
                    made.keep_what_can_be_made(session.dialect());
                    manifest.catalog = Some(made.to_json());
                }
                None
            }
        };
        if !self.world.config.owns.is_empty() {
            manifest
                .lacks
                .push("objects that `owns` does not name".into());
        }
        manifest
            .lacks
            .push("users, rights and settings of the server".into());
        let path = self.folder.join(format!("{}.dunlin", self.name));
        let mark = scratch::mark(self.world);
        let part = Temporary(self.folder.join(format!(".{}.{mark}.part", self.name)));
        let last = dunlin_core::journal::foreign::own_names(&self.world.names);
        manifest.stored =
            rows::write(session, &catalog, objects.as_ref(), &last, &part.0, sink).await?;
        manifest.seal(&part.0, &path)?;
        Ok(manifest)
    }
}

/// The backups of a folder, newest first.
pub fn list(folder: &Path) -> Vec<Manifest> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut found: Vec<Manifest> = entries
        .filter(|entry| {
            entry
                .path()
                .extension()
                .is_some_and(|extension| extension == "json")
        })
        .filter_map(|entry| Manifest::read(&entry.path()).ok())
        .collect();
    found.sort_by(|a, b| (&b.created_at, &b.name).cmp(&(&a.created_at, &a.name)));
    found
}

/// Makes a backup and verifies it; what the runner does before `up`. A backup that does not verify is a failure.
pub async fn create_verified(
    world: &World,
    sink: &mut dyn Sink,
) -> Result<(Manifest, Vec<Finding>), Failure> {
    let (manifest, mut findings) = create(world, sink).await?;
    let (manifest, more) = verify(world, &manifest, sink).await?;
    findings.extend(more);
    sink.event(&Event::BackupDone {
        path: manifest
            .path(&world.config.backup_dir)
            .display()
            .to_string(),
        bytes: manifest.bytes,
        duration_ms: manifest.duration_ms,
    });
    Ok((manifest, findings))
}
