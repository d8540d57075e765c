//! A run, shown and not done: every step lowered from the facts of now, with sizes and estimates.

use crate::foreign;
use crate::journal_store;
use crate::up::Goal;
use crate::world::World;
use dunlin_core::facts::TableSize;
use dunlin_core::failure::Failure;
use dunlin_core::finding::Finding;
use dunlin_core::plan::estimate::{Work, work_of};
use dunlin_core::plan::lower::{Lowered, Storage, lower};
use dunlin_core::plan::{Step, select};
use dunlin_core::source::{Migration, Script};
use dunlin_core::sql::StatementClass;
use dunlin_engines::Purpose;
use std::sync::Arc;

/// Rows per second of a statement that reads every row, and of one that also writes every row anew. Rules of thumb for
/// one core and a warm cache; the estimate says that it rests on them.
const SCAN_ROWS_PER_SECOND: u64 = 2_000_000;
const REWRITE_ROWS_PER_SECOND: u64 = 300_000;

/// One step, lowered.
pub struct Shown {
    /// The step.
    pub step: Step,
    /// Its script.
    pub script: Script,
    /// Lowered.
    pub lowered: Lowered,
    /// From table sizes, where they are known.
    pub estimate_ms: Option<u64>,
}

/// A run, shown.
pub struct Preview {
    /// Its steps.
    pub steps: Vec<Shown>,
    /// What was found.
    pub findings: Vec<Finding>,
    /// What would forbid the run.
    pub failure: Option<Failure>,
    sizes: Vec<TableSize>,
}

impl Preview {
    /// The sizes of the tables that a statement changes.
    pub fn sizes_of(&self, class: &StatementClass) -> Vec<&TableSize> {
        let named = |size: &&TableSize| {
            class.touches.iter().any(|object| {
                object.name.eq_ignore_ascii_case(&size.name)
                    || object
                        .parent
                        .as_deref()
                        .is_some_and(|parent| parent.eq_ignore_ascii_case(&size.name))
            })
        };
        self.sizes.iter().filter(named).collect()
    }

    /// How long a statement may take, and what the figure was made from.
    pub fn estimate(&self, class: &StatementClass) -> (Option<u64>, &'static str) {
        estimate(class, &self.sizes)
    }
}

fn estimate(class: &StatementClass, sizes: &[TableSize]) -> (Option<u64>, &'static str) {
    let (rate, source) = match work_of(class) {
        Work::None(why) => return (Some(0), why),
        Work::Unknown(why) => return (None, why),
        Work::Scan => (
            SCAN_ROWS_PER_SECOND,
            "as if it read every row; rows as the database estimates them, at a rule-of-thumb rate",
        ),
        Work::Rewrite => (
            REWRITE_ROWS_PER_SECOND,
            "as if it wrote every row; rows as the database estimates them, at a rule-of-thumb rate",
        ),
    };
    let mut rows = None;
    for object in class.touches.iter().chain(&class.reads) {
        let name = object.parent.as_deref().unwrap_or(&object.name);
        if let Some(size) = sizes
            .iter()
            .find(|size| size.name.eq_ignore_ascii_case(name))
        {
            rows = Some(rows.unwrap_or(0) + size.rows.unwrap_or(0));
        }
    }
    match rows {
        Some(rows) => (Some(rows * 1_000 / rate), source),
        None => (
            None,
            "its tables are not there yet, or their sizes are not visible",
        ),
    }
}

/// Shows what a goal would do. Opens one session that cannot write.
pub async fn preview(
    world: &World,
    migrations: &[Arc<Migration>],
    goal: &Goal,
) -> Result<Preview, Failure> {
    let mut session = world.open(Purpose::Read).await?;
    let history = journal_store::read(world, &mut *session).await?;
    let (plan, mut findings) = goal.plan(migrations, &history)?;
    if history.units.is_empty() && !plan.is_empty() {
        findings.append(&mut foreign::histories(world, &mut *session).await?);
    }
    let mut sizes = vec![];
    let query = session.dialect().table_sizes();
    if let Ok(rows) = session.query(&query.sql, &query.params).await {
        sizes = rows
            .iter()
            .filter_map(|row| session.dialect().read_table_size(row))
            .collect();
    }
    let mut storage = Storage::default();
    for size in &sizes {
        storage
            .transactional
            .insert(size.name.to_lowercase(), size.transactional);
    }
    let mut steps = vec![];
    for step in plan.steps() {
        let Some(script) = step.script() else {
            continue;
        };
        let (dialect, caps) = (session.dialect(), session.caps());
        let lowered = lower(
            step.migration(),
            script,
            dialect,
            caps,
            session.lex_mode(),
            &storage,
            false,
        );
        findings.extend(lowered.findings.clone());
        let estimates: Vec<_> = lowered
            .classes
            .iter()
            .map(|class| estimate(class, &sizes).0)
            .collect();
        let estimate_ms = estimates.iter().copied().sum::<Option<u64>>();
        steps.push(Shown {
            step: step.clone(),
            script: script.clone(),
            lowered,
            estimate_ms,
        });
    }
    session.close().await;
    let failure = select::verdict(&findings).err();
    Ok(Preview {
        steps,
        findings,
        failure,
        sizes,
    })
}
