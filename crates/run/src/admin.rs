//! Mending the record: `repair`, `unlock`, `reset`, `baseline`. None of them runs a script.

use crate::control::Control;
use crate::inspect;
use crate::journal_store::{self, Pen};
use crate::lease::{self, Lease};
use crate::trouble;
use crate::world::World;
use dunlin_core::event::Sink;
use dunlin_core::exit::Outcome;
use dunlin_core::failure::{Failure, FailureClass};
use dunlin_core::journal::{self, BlockDetail, History, UnitDetail, UnitState, Writing};
use dunlin_core::source::{Migration, Version};
use dunlin_engines::lease::Holder;
use dunlin_engines::{Purpose, Session};
use std::sync::Arc;

/// A change to the record alone, under the lease.
struct Amend<'w> {
    world: &'w World,
    work: Box<dyn Session>,
    lease: Lease,
    history: History,
    pen: Pen,
}

impl<'w> Amend<'w> {
    async fn open(
        world: &'w World,
        wait: bool,
        sink: &mut dyn Sink,
        mut control: Control,
    ) -> Result<Self, Failure> {
        let (lease, mut work) =
            lease::acquire(world, Purpose::Script, wait, sink, &mut control).await?;
        let pen = Pen {
            run: world.run_id(),
            token: lease.token,
        };
        match journal_store::read(world, &mut *work).await {
            Ok(history) => Ok(Amend {
                world,
                work,
                lease,
                history,
                pen,
            }),
            Err(failure) => {
                lease.release().await;
                Err(failure)
            }
        }
    }

    /// Writes the records, closes, and gives what was changed.
    async fn close(
        mut self,
        what: &str,
        mut records: Vec<Writing>,
        changed: Vec<String>,
    ) -> Result<Vec<String>, Failure> {
        let mut outcome = Ok(());
        if !records.is_empty() {
            let detail = serde_json::json!({ "what": what, "by": self.world.who });
            records.insert(0, Writing::run(journal::Event::Began, detail));
            let ended = serde_json::json!({ "what": what, "outcome": Outcome::Done });
            records.push(Writing::run(journal::Event::Ended, ended));
            outcome = self.pen.append(self.world, &mut *self.work, &records).await;
        }
        self.lease.release().await;
        self.work.close().await;
        outcome.map_err(|error| trouble::failed(&error, "the journal could not be written"))?;
        Ok(changed)
    }

    async fn give_up(self, failure: Failure) -> Failure {
        self.lease.release().await;
        self.work.close().await;
        failure
    }
}

/// What `repair` is asked for.
#[derive(Debug, Clone, Default)]
pub struct Repair {
    /// Versions whose edited scripts are accepted.
    pub accept: Vec<Version>,
    /// A version and whether it is done.
    pub settle: Option<(Version, bool)>,
    /// Why, for the journal.
    pub why: String,
    /// Wait for another runner.
    pub wait: bool,
}

/// Accepts edited scripts and settles what failed or is in doubt, by a person's word, journalled with who and why.
pub async fn repair(
    world: &World,
    migrations: &[Arc<Migration>],
    ask: &Repair,
    sink: &mut dyn Sink,
    control: Control,
) -> Result<Vec<String>, Failure> {
    let mut amend = Amend::open(world, ask.wait, sink, control).await?;
    let (mut records, mut changed) = (vec![], vec![]);
    for version in &ask.accept {
        match accept(world, migrations, &amend.history, version, &ask.why) {
            Ok(Some(record)) => {
                records.push(record);
                changed.push(format!("{version} accepted as the script is now"));
            }
            Ok(None) => {}
            Err(failure) => return Err(amend.give_up(failure).await),
        }
    }
    if let Some((version, done)) = &ask.settle {
        match settle(&mut amend, migrations, version, *done, &ask.why).await {
            Ok((record, said)) => {
                records.push(record);
                changed.push(said);
            }
            Err(failure) => return Err(amend.give_up(failure).await),
        }
    }
    amend.close("repair", records, changed).await
}

fn accept(
    world: &World,
    migrations: &[Arc<Migration>],
    history: &History,
    version: &Version,
    why: &str,
) -> Result<Option<Writing>, Failure> {
    let Some(migration) = migrations
        .iter()
        .find(|migration| migration.version == *version)
    else {
        return Err(Failure::usage(
            "unknown-version",
            format!("there is no migration {version} in the folder"),
        ));
    };
    let Some(UnitState::Applied(applied)) = history.units.get(version) else {
        return Err(Failure::refused(
            "not-applied",
            format!("{version} is not applied: there is nothing to accept"),
        ));
    };
    let undo = migration.undo.as_ref().map(|undo| undo.fingerprint.clone());
    if applied.fingerprint.as_ref() == Some(&migration.up.fingerprint)
        && applied.undo_fingerprint == undo
    {
        return Ok(None);
    }
    let detail = UnitDetail {
        name: migration.name.clone(),
        by: world.who.clone(),
        why: why.to_owned(),
        fingerprint: Some(migration.up.fingerprint.clone()),
        undo_fingerprint: undo,
        ..UnitDetail::default()
    };
    let hash = &migration.up.fingerprint.meaning;
    Ok(Some(Writing::unit(
        journal::Event::Accepted,
        &version.0,
        hash,
        crate::steps::migrate::json(&detail),
    )))
}

async fn settle(
    amend: &mut Amend<'_>,
    migrations: &[Arc<Migration>],
    version: &Version,
    done: bool,
    why: &str,
) -> Result<(Writing, String), Failure> {
    let Some(UnitState::InFlight(flight)) = amend.history.units.get(version).cloned() else {
        let message = format!(
            "{version} neither failed half way nor is in doubt: there is nothing to settle"
        );
        return Err(Failure::refused("nothing-to-settle", message)
            .hint("`dunlin status` shows the state of each"));
    };
    let to = if done { "done" } else { "not_done" };
    let why = if why.is_empty() {
        format!("{} said so", amend.world.who)
    } else {
        why.to_owned()
    };
    let blocks = journal_store::blocks(amend.world, &mut *amend.work, &version.0, &flight).await?;
    if let Some(block) = blocks.iter().find(|block| !block.done) {
        let detail = BlockDetail {
            to: to.into(),
            why,
            ..BlockDetail::default()
        };
        let record = Writing::block(
            journal::Event::Settled,
            &version.0,
            block.index,
            &block.hash,
            crate::steps::migrate::json(&detail),
        );
        let said = format!(
            "{version}: `{}` counts as {}; `dunlin {}` goes on",
            block.detail.head,
            to.replace('_', " "),
            flight.direction
        );
        return Ok((record, said));
    }
    let migration = migrations
        .iter()
        .find(|migration| migration.version == *version);
    // Taken back half way and said to be done: it is not applied any more.
    let applied = done == (flight.direction == journal::Direction::Up);
    let detail = UnitDetail {
        to: if applied { "done" } else { "not_done" }.into(),
        why,
        by: amend.world.who.clone(),
        name: migration
            .map(|migration| migration.name.clone())
            .unwrap_or_default(),
        fingerprint: migration.map(|migration| migration.up.fingerprint.clone()),
        undo_fingerprint: migration
            .and_then(|migration| migration.undo.as_ref())
            .map(|undo| undo.fingerprint.clone()),
        ..UnitDetail::default()
    };
    let record = Writing::unit(
        journal::Event::Settled,
        &version.0,
        &flight.hash,
        crate::steps::migrate::json(&detail),
    );
    Ok((
        record,
        format!(
            "{version} counts as {}",
            if applied { "applied" } else { "pending" }
        ),
    ))
}

/// Moves the recorded version without running SQL.
pub async fn reset(
    world: &World,
    migrations: &[Arc<Migration>],
    to: &Version,
    wait: bool,
    sink: &mut dyn Sink,
    control: Control,
) -> Result<Vec<String>, Failure> {
    if world.config.protected {
        return Err(protected("reset"));
    }
    let zero = to.0.trim_start_matches('0').is_empty();
    if !zero && !migrations.iter().any(|migration| migration.version == *to) {
        return Err(Failure::usage(
            "unknown-version",
            format!("there is no migration {to} in the folder"),
        ));
    }
    let amend = Amend::open(world, wait, sink, control).await?;
    let (mut records, mut changed) = (vec![], vec![]);
    for (version, state) in &amend.history.units {
        if version > to && !matches!(state, UnitState::Absent { failed: None }) {
            records.push(marking(
                world,
                version,
                migrations,
                "not_done",
                journal::Event::Reset,
            ));
            changed.push(format!("{version} counts as pending"));
        }
    }
    for migration in migrations
        .iter()
        .filter(|migration| migration.version <= *to)
    {
        if !amend.history.is_applied(&migration.version) {
            records.push(marking(
                world,
                &migration.version,
                migrations,
                "done",
                journal::Event::Reset,
            ));
            changed.push(format!("{} counts as applied", migration.version));
        }
    }
    amend.close("reset", records, changed).await
}

fn marking(
    world: &World,
    version: &Version,
    migrations: &[Arc<Migration>],
    to: &str,
    event: journal::Event,
) -> Writing {
    let migration = migrations
        .iter()
        .find(|migration| migration.version == *version);
    let detail = UnitDetail {
        to: to.into(),
        by: world.who.clone(),
        name: migration
            .map(|migration| migration.name.clone())
            .unwrap_or_default(),
        fingerprint: migration.map(|migration| migration.up.fingerprint.clone()),
        undo_fingerprint: migration
            .and_then(|migration| migration.undo.as_ref())
            .map(|undo| undo.fingerprint.clone()),
        ..UnitDetail::default()
    };
    let hash = migration
        .map(|migration| migration.up.fingerprint.meaning.clone())
        .unwrap_or_default();
    Writing::unit(
        event,
        &version.0,
        &hash,
        crate::steps::migrate::json(&detail),
    )
}

/// The refusal of a protected database.
pub fn protected(verb: &str) -> Failure {
    Failure::refused(
        "protected",
        format!("`{verb}` is refused: this database is protected"),
    )
    .hint("take `protected = true` out of its section if you are sure")
}

/// Takes an existing database as a version: every script up to it counts as applied, none is run.
pub async fn baseline(
    world: &World,
    migrations: &[Arc<Migration>],
    at: &Version,
    wait: bool,
    sink: &mut dyn Sink,
    control: Control,
) -> Result<Vec<String>, Failure> {
    let mut amend = Amend::open(world, wait, sink, control).await?;
    let standing = amend
        .history
        .applied()
        .next()
        .map(|(version, _)| version.clone());
    if let Some(version) = standing {
        let message = format!(
            "a baseline is for a database without a record, and {version} is recorded as applied"
        );
        let failure = Failure::refused("not-empty", message)
            .hint("`dunlin reset --to V` moves a recorded version");
        return Err(amend.give_up(failure).await);
    }
    let half = amend
        .history
        .in_flight()
        .next()
        .map(|(version, _)| version.clone());
    if let Some(version) = half {
        let failure = Failure::refused("half-way", format!("{version} stands half way"));
        return Err(amend.give_up(failure).await);
    }
    let mut versions: Vec<Version> = migrations
        .iter()
        .map(|migration| migration.version.clone())
        .filter(|version| version <= at)
        .collect();
    if !versions.contains(at) {
        versions.push(at.clone());
    }
    let records = versions
        .iter()
        .map(|version| marking(world, version, migrations, "done", journal::Event::Baseline));
    let records = records.collect();
    let pen = amend.pen.clone();
    if let Err(error) = inspect::record_base(world, &mut *amend.work, &pen).await {
        let failure = trouble::refused(&error, "cannot record the catalog as the base");
        return Err(amend.give_up(failure).await);
    }
    let changed = versions
        .iter()
        .map(|version| format!("{version} counts as applied"))
        .collect();
    amend.close("baseline", records, changed).await
}

/// What `unlock` found and did.
#[derive(Debug, Default)]
pub struct Unlocked {
    /// Who held the lease, or held it last.
    pub holder: Option<Holder>,
    /// What was changed.
    pub changed: Vec<String>,
}

/// Shows the lease's holder; clears what a dead one left; ends a living one only by force.
pub async fn unlock(world: &World, force: bool) -> Result<Unlocked, Failure> {
    if force && world.config.protected {
        return Err(protected("unlock --force"));
    }
    let mut reader = world.open(Purpose::Read).await?;
    let holder = lease::holder(world, &mut *reader).await;
    reader.close().await;
    let Some(found) = holder.clone() else {
        return Ok(Unlocked::default());
    };
    if found.held && !force {
        let message = format!(
            "{} holds the lease since {} and lives",
            found.who, found.since
        );
        return Err(Failure::new(FailureClass::Locked, "locked", message)
            .hint("wait for it; or, if you are sure that it must go, `dunlin unlock --force` ends its session"));
    }
    let refused = |error: dunlin_engines::DbError| trouble::refused(&error, "cannot unlock");
    let mut lock = dunlin_engines::lease::lock(&*world.engine, &world.names)
        .await
        .map_err(refused)?;
    let mut changed = vec![];
    if found.held {
        lock.break_stopped(true).await.map_err(refused)?;
        changed.push(format!("the session of {} was ended", found.who));
    } else {
        changed.push(format!(
            "the note that {} left was cleared: it is dead",
            found.who
        ));
    }
    lock.clear_note().await.map_err(refused)?;
    Ok(Unlocked { holder, changed })
}
