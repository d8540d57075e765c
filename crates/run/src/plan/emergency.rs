//! `rollback --emergency`: the application is stopped, the last verified backup comes back whole, its digests are
//! compared, the application is started. Each stage is written down outside of the database that is being replaced, and a
//! stage that fails keeps the next from happening.

use crate::backup::{self, manifest::Manifest};
use crate::control::{Control, Stop};
use crate::lease;
use crate::outside;
use crate::steps::migrate::json;
use crate::world::World;
use dunlin_core::event::{Event, Sink};
use dunlin_core::failure::{Failure, FailureClass};
use dunlin_core::journal::plan::{PhaseDetail, phase_key};
use dunlin_core::journal::{self, Writing};
use dunlin_core::source::Project;
use dunlin_core::source::plan::PlanDoc;
use dunlin_engines::Purpose;
use dunlin_engines::lease::ttl;
use serde::Serialize;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// One stage, as it is written down and shown.
#[derive(Debug, Clone, Serialize)]
pub struct Stage {
    /// `stop`, `restore`, `start`.
    pub stage: &'static str,
    /// `done`, `skipped` or `failed`.
    pub outcome: &'static str,
    /// What was done, or why it failed.
    pub said: String,
    /// When it ended, RFC 3339 UTC.
    pub at: String,
    /// How long it took.
    pub duration_ms: u64,
}

/// What an emergency came to.
#[derive(Debug, Default)]
pub struct Emergency {
    /// The stages, in order.
    pub stages: Vec<Stage>,
    /// The backup that came back.
    pub backup: Option<String>,
    /// The file in which the stages are written down.
    pub record: PathBuf,
    /// Why it stopped.
    pub failure: Option<Failure>,
}

/// Runs the stages.
pub async fn run(
    world: &World,
    project: &Project,
    doc: &PlanDoc,
    sink: &mut dyn Sink,
    control: Control,
) -> Emergency {
    let mut emergency = Emergency::default();
    if let Err(failure) = stages(world, project, doc, sink, (&mut emergency, control)).await {
        emergency.failure = Some(world.redact(failure));
    }
    emergency
}

/// The newest backup of this database that was verified.
fn newest_verified(world: &World, folder: &Path) -> Result<Manifest, Failure> {
    let own = |manifest: &Manifest| {
        manifest.database == world.engine.database() && manifest.verified.is_some()
    };
    let verified = backup::list(folder).into_iter().filter(own);
    verified
        .max_by(|a, b| a.created_at.cmp(&b.created_at))
        .ok_or_else(|| {
            let message =
                "there is no verified backup of this database to bring back; nothing was stopped";
            Failure::refused("no-backup", message).hint(format!(
                "looked in {}; `dunlin backup verify FILE` verifies one",
                folder.display()
            ))
        })
}

/// Whether the restore may begin, asked before anybody is stopped for it: the database is not protected, and no living
/// runner holds it. A restore would wait for that one with the application down.
async fn may_replace(world: &World) -> Result<(), Failure> {
    if world.config.protected {
        return Err(crate::admin::protected("rollback --emergency"));
    }
    // A database that is gone, or cannot be read, holds no runner; what keeps us out of it the restore will say.
    let Ok(mut reader) = world.open(Purpose::Read).await else {
        return Ok(());
    };
    let holder = lease::holder(world, &mut *reader).await;
    reader.close().await;
    let at_work = holder.filter(|holder| holder.held && holder.beat_age < ttl());
    at_work.map_or(Ok(()), |holder| {
        let message = "another runner is at work; nothing was stopped";
        Err(lease::locked(message, Some(&holder.to_string())).hint(
            "`dunlin abort PLAN` ends it after its step, ending its process does at once; then run the same command again",
        ))
    })
}

async fn stages(
    world: &World,
    project: &Project,
    doc: &PlanDoc,
    sink: &mut dyn Sink,
    (emergency, control): (&mut Emergency, Control),
) -> Result<(), Failure> {
    let folder = world.config.backup_dir.clone();
    let manifest = newest_verified(world, &folder)?;
    manifest.check_file(&folder)?;
    may_replace(world).await?;
    emergency.backup = Some(manifest.path(&folder).display().to_string());
    emergency.record = folder.join(format!("emergency-{}.ndjson", world.run_id()));
    let commands = project.file.emergency.clone().unwrap_or_default();
    let mut desk = Desk {
        world,
        root: &project.root,
        emergency,
        control,
    };
    desk.command(
        "stop",
        commands.stop.as_ref().map(|command| command.0.as_str()),
        sink,
    )
    .await?;
    desk.may_go_on("nothing was restored, and the application is stopped")?;
    let started = Instant::now();
    sink.event(&Event::Undoing {
        what: format!(
            "everything since {}, by restoring {}",
            manifest.created_at, manifest.name
        ),
    });
    match backup::restore(world, &manifest, &folder, true, sink).await {
        Ok(()) => {
            let said = format!(
                "restored {} of {}; every digest is as it was: {}",
                manifest.name, manifest.created_at, manifest.digest
            );
            desk.keep("restore", "done", said, started)?;
            void_approvals(world, doc).await?;
            desk.may_go_on("the database is restored, and the application is stopped")?;
        }
        Err(failure) => {
            let failure = world.redact(failure);
            desk.keep("restore", "failed", failure.message.clone(), started)?;
            let message = format!(
                "the backup could not be restored, and the application stays stopped: {}",
                failure.message
            );
            return Err(Failure::new(FailureClass::Failed, "emergency-restore", message)
                .hint(format!("mend it and run the same command again, or restore by hand: `dunlin backup restore {} --replace`", manifest.path(&folder).display())));
        }
    }
    desk.command(
        "start",
        commands.start.as_ref().map(|command| command.0.as_str()),
        sink,
    )
    .await
}

/// The journal came back with the backup, and with it what people said before the attempt that ended so: an approval
/// serves one attempt, so these count no more.
async fn void_approvals(world: &World, doc: &PlanDoc) -> Result<(), Failure> {
    let history = super::word::history(world, doc).await?;
    let spent = doc.phases.iter().filter(|phase| {
        !history.phase(&phase.id).state.stands()
            && !history.approvals(&phase.id, &phase.hash, false).is_empty()
    });
    let records: Vec<Writing> = spent
        .map(|phase| {
            let detail = PhaseDetail {
                by: world.who.clone(),
                error: "taken back by `rollback --emergency`".into(),
                ..PhaseDetail::default()
            };
            let key = phase_key(&doc.name, &phase.id);
            Writing::unit(journal::Event::Undone, &key, &phase.hash, json(&detail))
        })
        .collect();
    match records.is_empty() {
        true => Ok(()),
        false => super::store::say(world, &records).await,
    }
}

struct Desk<'a> {
    world: &'a World,
    root: &'a Path,
    emergency: &'a mut Emergency,
    control: Control,
}

impl Desk<'_> {
    /// A person's Ctrl-C, or a SIGTERM, lets the stage under way end, and no other begin: half a restore helps nobody.
    fn may_go_on(&self, stands: &str) -> Result<(), Failure> {
        if self.control.asked() < Stop::Soon {
            return Ok(());
        }
        let message = format!("ended by a person: {stands}");
        let failure = Failure::new(FailureClass::Interrupted, "interrupted", message);
        Err(failure.hint("start the application by hand, or run the same command again: it does every stage anew"))
    }

    /// Runs a command of `[emergency]`; one that is not there is passed over, and said.
    async fn command(
        &mut self,
        stage: &'static str,
        command: Option<&str>,
        sink: &mut dyn Sink,
    ) -> Result<(), Failure> {
        let started = Instant::now();
        let Some(command) = command else {
            let said = format!("`[emergency] {stage}` names no command");
            return self.keep(stage, "skipped", said, started);
        };
        sink.event(&Event::Note {
            message: format!("emergency: {stage}"),
        });
        let (mut control, redactor) = (self.control.clone(), &self.world.redactor);
        let stop = control.until(Stop::Now);
        let ended = outside::run_until(command, self.root, outside::TIMEOUT, redactor, stop).await;
        let said = match ended {
            Ok(ended) if ended.is_ok() => return self.keep(stage, "done", ended.tail, started),
            Ok(ended) => ended.said(),
            Err(error) => error.to_string(),
        };
        self.keep(stage, "failed", said.clone(), started)?;
        let what = match stage {
            "stop" => "the application could not be stopped, so nothing was restored",
            _ => "the database is restored, and the application could not be started",
        };
        Err(Failure::new(
            FailureClass::Failed,
            "emergency-command",
            format!("{what}: {said}"),
        ))
    }

    /// Writes a stage down before the next one begins. Where it cannot be written nothing goes on.
    fn keep(
        &mut self,
        stage: &'static str,
        outcome: &'static str,
        said: String,
        started: Instant,
    ) -> Result<(), Failure> {
        let stage = Stage {
            stage,
            outcome,
            said: self.world.redactor.apply(&said),
            at: self.world.clock.stamp(),
            duration_ms: crate::steps::migrate::millis(started),
        };
        let line = serde_json::to_string(&stage).unwrap_or_default();
        self.emergency.stages.push(stage);
        let path = &self.emergency.record;
        append(path, &line).map_err(|error| {
            let message = format!(
                "what was done cannot be written down in {}: {error}",
                path.display()
            );
            Failure::new(FailureClass::Failed, "emergency-record", message)
        })
    }
}

fn append(path: &Path, line: &str) -> std::io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt;
    let mut options = std::fs::OpenOptions::new();
    let mut file = options.create(true).append(true).mode(0o600).open(path)?;
    writeln!(file, "{line}")?;
    file.sync_all()
}
