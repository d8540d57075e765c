//! `status`: what is applied, pending, in doubt, and who is at work. It writes nothing.

use crate::world::World;
use crate::{foreign, journal_store, lease, up};
use dunlin_core::failure::Failure;
use dunlin_core::finding::{Finding, Severity};
use dunlin_core::journal::{History, UnitState};
use dunlin_core::plan::select::{self, State};
use dunlin_core::source::{Migration, Version};
use dunlin_engines::Purpose;
use dunlin_engines::lease::Holder;
use std::collections::BTreeMap;
use std::sync::Arc;

/// One line of `status`.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Line {
    /// The version.
    pub version: String,
    /// The name.
    pub name: String,
    /// Its state.
    pub state: State,
    /// When it was applied.
    pub applied_at: Option<String>,
    /// The fingerprint of its meaning: the one recorded, or the script's where nothing is recorded.
    pub checksum: Option<String>,
    /// How long it took.
    pub duration_ms: Option<u64>,
    /// How long its author expects it to take.
    pub estimate_ms: Option<u64>,
    /// Who applied it.
    pub by: Option<String>,
    /// More to say: how far it came, why it failed.
    pub note: Option<String>,
}

/// What `status` shows.
#[derive(Debug, Default)]
pub struct Status {
    /// The newest applied version.
    pub current: Option<String>,
    /// Every version of folder and journal.
    pub migrations: Vec<Line>,
    /// Who holds the lease.
    pub lease: Option<Holder>,
    /// Whether there is a journal.
    pub has_journal: bool,
    /// What else is to be said: another tool's history, where ours is empty.
    pub findings: Vec<Finding>,
}

impl Status {
    /// Whether any migration is in this state.
    pub fn any(&self, state: State) -> bool {
        self.migrations.iter().any(|line| line.state == state)
    }
}

/// Reads the status with a session that cannot write. A missing journal makes everything pending.
pub async fn status(world: &World, migrations: &[Arc<Migration>]) -> Result<Status, Failure> {
    let mut session = world.open(Purpose::Read).await?;
    let mut history = journal_store::read(world, &mut *session).await?;
    let mut lease = None;
    if history.exists {
        lease = lease::holder(world, &mut *session).await;
        let under_way = |state: &UnitState| matches!(state, UnitState::InFlight(_));
        if lease.as_ref().is_none_or(|holder| !holder.held) && history.units.values().any(under_way)
        {
            // Its runner may have come to its end between the two looks.
            history = journal_store::read(world, &mut *session).await?;
            lease = lease::holder(world, &mut *session).await;
        }
    }
    let runner = lease.as_ref().filter(|holder| holder.held);
    let doubts = match runner {
        // What a living runner began is under way, and no doubt.
        Some(_) => vec![],
        None => up::in_doubt(world, &mut *session, &history).await?,
    };
    let mut findings = vec![];
    if history.units.is_empty() {
        findings = foreign::histories(world, &mut *session).await?;
        for finding in &mut findings {
            // Looking is always allowed.
            finding.severity = finding.severity.min(Severity::Warning);
        }
    }
    session.close().await;
    let mut scripts: BTreeMap<&Version, Option<&Migration>> = migrations
        .iter()
        .map(|migration| (&migration.version, Some(migration.as_ref())))
        .collect();
    for (version, state) in &history.units {
        if !matches!(state, UnitState::Absent { .. }) {
            let _ = scripts.entry(version).or_insert(None);
        }
    }
    let lines = scripts
        .into_iter()
        .map(|(version, migration)| line(version, migration, &history, &doubts, runner))
        .collect();
    let current = history
        .applied()
        .next_back()
        .map(|(version, _)| version.0.clone());
    Ok(Status {
        current,
        migrations: lines,
        lease,
        has_journal: history.exists,
        findings,
    })
}

fn line(
    version: &Version,
    migration: Option<&Migration>,
    history: &History,
    doubts: &[String],
    runner: Option<&Holder>,
) -> Line {
    let recorded = history.units.get(version);
    let in_doubt = recorded.is_some()
        && doubts
            .iter()
            .any(|doubt| Version(doubt.clone()) == *version);
    let applied = match recorded {
        Some(UnitState::Applied(applied)) => Some(applied),
        _ => None,
    };
    let note = match recorded {
        Some(UnitState::InFlight(flight)) => Some(match (&flight.error, in_doubt) {
            (None, _) if let Some(runner) = runner => format!(
                "under way {} since {}: {} is at work",
                flight.direction, flight.at, runner.who
            ),
            (_, true) => format!(
                "a statement began on {} and its end is not known",
                flight.at
            ),
            (Some(error), _) => error.clone(),
            (None, false) => format!(
                "stopped half way {} on {}; `dunlin {}` goes on",
                flight.direction, flight.at, flight.direction
            ),
        }),
        Some(UnitState::Absent {
            failed: Some(error),
        }) => Some(error.clone()),
        _ => None,
    };
    let script = migration.map(|migration| migration.up.fingerprint.meaning.clone());
    Line {
        version: migration.map_or_else(
            || version.0.clone(),
            |migration| migration.version.0.clone(),
        ),
        name: applied
            .map(|applied| applied.name.clone())
            .filter(|name| !name.is_empty())
            .or_else(|| migration.map(|migration| migration.name.clone()))
            .unwrap_or_default(),
        state: select::state_of(version, migration, history, in_doubt),
        applied_at: applied.map(|applied| applied.at.clone()),
        checksum: applied
            .and_then(|applied| applied.fingerprint.as_ref())
            .map(|print| print.meaning.clone())
            .or(script),
        duration_ms: applied.and_then(|applied| applied.duration_ms),
        estimate_ms: migration
            .and_then(|migration| migration.estimate)
            .map(|estimate| u64::try_from(estimate.as_millis()).unwrap_or(u64::MAX)),
        by: applied
            .map(|applied| applied.by.clone())
            .filter(|by| !by.is_empty()),
        note,
    }
}
