//! Looking at a plan's steps without touching anything: each as statements, as far as they are known by now.
//!
//! A step is lowered when its turn comes, from the facts of that moment. What is shown before is what it would be lowered
//! to now; where an earlier step must make what it works on, that is said.

use super::Ask;
use crate::observe;
use dunlin_core::dialect::{Caps, Dialect};
use dunlin_core::facts::TableSize;
use dunlin_core::finding::{Finding, Place, Severity};
use dunlin_core::journal::plan::{PlanHistory, StepState, step_key};
use dunlin_core::plan::inverse::{Stated, is_harmless};
use dunlin_core::plan::risk::{Heavy, StepSeen};
use dunlin_core::plan::steps::{self, Facts, Inverse, Operations};
use dunlin_core::schema::Catalog;
use dunlin_core::source::grammar::apps::PluginTable;
use dunlin_core::source::plan::{PlanDoc, StepDoc, StepSpec, UndoSpec};
use dunlin_core::source::{Migration, Statement, Version};
use dunlin_core::sql::{Condition, LexMode, ObjectKind, StatementClass};
use dunlin_engines::Session;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// How long one question about rows may take that lowering asks.
const PATIENCE: Duration = Duration::from_millis(500);

/// A statement and what it is.
#[derive(Debug, Clone)]
pub struct Classed {
    /// Its text.
    pub sql: String,
    /// What it is.
    pub class: StatementClass,
    /// Where it stands, where somebody wrote it.
    pub place: Place,
}

/// A step, looked at.
#[derive(Debug, Clone, Default)]
pub struct StepLook {
    /// What it does.
    pub up: Vec<Classed>,
    /// How it is taken back, where that is known.
    pub inverse: Option<Inverse>,
    /// The statements that take it back, where there are such.
    pub undo: Vec<Classed>,
    /// Why it would be refused as it is now.
    pub refused: Vec<Finding>,
    /// Why it is not known what it does.
    pub unknown: Option<String>,
    /// Why it cannot be taken back, where that came out only here.
    pub irreversible: Option<String>,
    /// It is done.
    pub is_done: bool,
    /// Tables that the plan makes before it or in it.
    pub made: Vec<String>,
}

/// What lowering and judging rest on.
pub struct Ground<'a> {
    /// The dialect.
    pub dialect: &'static dyn Dialect,
    /// What the server can do; of a server that did not answer, what its kind can.
    pub caps: Caps,
    /// What changes lexing.
    pub lex: LexMode,
    /// The catalog; empty where nobody answered.
    pub catalog: Catalog,
    /// Sizes of tables.
    pub sizes: Vec<TableSize>,
    /// The plugins of `dunlin.toml`.
    pub plugins: &'a [PluginTable],
    /// The migrations of the database.
    pub migrations: &'a [Arc<Migration>],
    /// The migrations that are applied.
    pub applied: Vec<Version>,
    /// The plan's history.
    pub history: PlanHistory,
    /// Somebody answered.
    pub is_connected: bool,
}

impl Ground<'_> {
    /// Whether lowering a step looks into the catalog.
    pub fn looks(&self, step: &StepDoc) -> bool {
        steps::looks(step, &self.facts())
    }

    fn facts(&self) -> Facts<'_> {
        Facts {
            dialect: self.dialect,
            caps: &self.caps,
            lex: &self.lex,
            catalog: &self.catalog,
            plugins: self.plugins,
        }
    }

    fn classed(&self, statements: &[String]) -> Vec<Classed> {
        let of = |sql: &String| Classed {
            sql: sql.clone(),
            class: self.dialect.classify(sql, &self.lex),
            place: Place::default(),
        };
        statements.iter().map(of).collect()
    }

    /// The statements of the undo that somebody wrote for a step, each with its place.
    fn written(&self, undo: &UndoSpec) -> Option<Vec<Classed>> {
        let UndoSpec::Sql(text) = undo else {
            return None;
        };
        let of = |stated: Stated| Classed {
            class: self.dialect.classify(&stated.sql, &self.lex),
            sql: stated.sql,
            place: stated.place,
        };
        let stated = steps::sql::statements(text, &self.facts()).ok()?;
        Some(stated.into_iter().map(of).collect())
    }

    /// The size of a table by name, as a statement or a step spells it.
    pub fn size_of(&self, table: &str) -> Option<&TableSize> {
        let name = table.rsplit('.').next().unwrap_or(table);
        self.sizes
            .iter()
            .find(|size| size.name.eq_ignore_ascii_case(name))
    }

    fn has_table(&self, name: &str) -> bool {
        self.catalog
            .tables
            .iter()
            .any(|table| table.name.eq_ignore_ascii_case(name))
    }
}

/// The ground of steps that name no table, as a session tells it without being asked.
pub fn unread<'a>(ask: &Ask<'a>, session: &dyn Session, history: &PlanHistory) -> Ground<'a> {
    Ground {
        dialect: session.dialect(),
        caps: session.caps().clone(),
        lex: session.lex_mode().clone(),
        catalog: Catalog::default(),
        sizes: vec![],
        plugins: &ask.project.file.plugin,
        migrations: ask.migrations,
        applied: vec![],
        history: history.clone(),
        is_connected: true,
    }
}

/// Looks at every step, or at those of one phase. `session`: where somebody answers.
pub async fn steps(
    ground: &Ground<'_>,
    doc: &PlanDoc,
    only: Option<&str>,
    mut session: Option<&mut (dyn Session + '_)>,
) -> BTreeMap<String, StepLook> {
    let mut looks = BTreeMap::new();
    let mut made: Vec<String> = vec![];
    let mut open = 0;
    let wanted = |phase: &str| only.is_none_or(|only| only == phase);
    for (phase, step) in doc.steps().filter(|(phase, _)| wanted(&phase.id)) {
        let key = step_key(&doc.name, &phase.id, &step.id);
        let is_done = ground.history.step(&key) == StepState::Done;
        let mut look = match ground.history.lowered.get(&key).filter(|_| is_done) {
            Some(recorded) => of_operations(ground, recorded.clone()),
            None => match session {
                Some(ref mut session) => lowered(ground, step, open == 0, &mut **session).await,
                None => unlowered(ground, step),
            },
        };
        look.is_done = is_done;
        if let Some(written) = ground.written(&step.undo) {
            look.undo = written;
        }
        made.extend(look.makes());
        look.made.clone_from(&made);
        open += usize::from(!is_done);
        looks.insert(step.id.clone(), look);
    }
    looks
}

fn of_operations(ground: &Ground<'_>, operations: Operations) -> StepLook {
    let undo = match &operations.undo {
        Inverse::Statements(statements) => ground.classed(statements),
        _ => vec![],
    };
    StepLook {
        up: ground.classed(&operations.up),
        undo,
        inverse: Some(operations.undo),
        ..StepLook::default()
    }
}

/// A step as it would be lowered now.
async fn lowered(
    ground: &Ground<'_>,
    step: &StepDoc,
    is_next: bool,
    session: &mut dyn Session,
) -> StepLook {
    if let StepSpec::Migrate(to) = &step.kind {
        return migrate(ground, step, to.as_ref());
    }
    let facts = ground.facts();
    let mut answers = vec![];
    for query in steps::asks(step, &facts) {
        match observe::bounded(session, &query, PATIENCE).await {
            Ok(rows) => answers.push(rows),
            Err(error) => {
                let mut look = unlowered(ground, step);
                look.unknown = Some(format!(
                    "what it meets is known when its turn comes: {}",
                    error.message
                ));
                return look;
            }
        }
    }
    match steps::lower(step, &facts, &answers) {
        Ok(operations) => of_operations(ground, operations),
        Err(findings) => {
            let mut look = unlowered(ground, step);
            look.inverse = None;
            let (certain, later): (Vec<Finding>, Vec<Finding>) = findings
                .into_iter()
                .partition(|finding| is_next || is_certain(ground, &look, finding));
            look.refused = certain
                .into_iter()
                .filter(|finding| finding.severity == Severity::Error)
                .collect();
            if look.refused.is_empty() {
                look.unknown = later
                    .first()
                    .map(|finding| format!("known when its turn comes: {}", finding.message));
            }
            look
        }
    }
}

/// Whether what stands before a step cannot change what was found.
fn is_certain(ground: &Ground<'_>, look: &StepLook, finding: &Finding) -> bool {
    match finding.code {
        // Earlier steps may make it, take it away, mend the rows.
        "unknown-table" | "unknown-column" | "already-there" | "rows-violate"
        | "key-not-unique" | "not-asked" => false,
        // The catalog must know the tables to tell.
        "no-inverse" => look.up.iter().all(|one| {
            let mut named = one.class.touches.iter();
            named.all(|object| ground.has_table(object.parent.as_deref().unwrap_or(&object.name)))
        }),
        _ => true,
    }
}

/// A step of which nothing but its file is known: the statements that stand there.
fn unlowered(ground: &Ground<'_>, step: &StepDoc) -> StepLook {
    let facts = ground.facts();
    let texts = |text| match steps::sql::statements(text, &facts) {
        Ok(stated) => Ok(stated.into_iter().map(|one| one.sql).collect::<Vec<_>>()),
        Err(findings) => Err(findings),
    };
    let mut look = StepLook::default();
    match &step.kind {
        StepSpec::Sql(text) => match texts(text) {
            Ok(statements) => look.up = ground.classed(&statements),
            Err(findings) => look.refused = findings,
        },
        StepSpec::Migrate(to) => return migrate(ground, step, to.as_ref()),
        _ if !ground.is_connected => {
            look.unknown = needs_connection(ground, step);
        }
        _ => {}
    }
    look.inverse = match &step.undo {
        UndoSpec::Sql(text) => match texts(text) {
            Ok(statements) => {
                look.undo = ground.classed(&statements);
                Some(Inverse::Statements(statements))
            }
            Err(findings) => {
                look.refused.extend(findings);
                None
            }
        },
        UndoSpec::Derive => own_inverse(&look.up).map(|statements| {
            look.undo = ground.classed(&statements);
            Inverse::Statements(statements)
        }),
        other => Some(super::step::stated(other)),
    };
    look
}

/// What is not known of a step before somebody answers.
fn needs_connection(ground: &Ground<'_>, step: &StepDoc) -> Option<String> {
    let lowers = matches!(
        step.kind,
        StepSpec::AddColumns(_)
            | StepSpec::Index(_)
            | StepSpec::Require(_)
            | StepSpec::Settings(_)
            | StepSpec::Plugin { .. }
            | StepSpec::Backfill(_)
    );
    (lowers && !by_command(ground, step))
        .then(|| "its statements are known once the database answers".to_owned())
}

/// Whether a step switches a plugin by its commands.
pub fn by_command(ground: &Ground<'_>, step: &StepDoc) -> bool {
    let StepSpec::Plugin { id, .. } = &step.kind else {
        return false;
    };
    let mut plugins = ground.plugins.iter();
    plugins.any(|plugin| plugin.id == *id && plugin.exec.is_some())
}

/// The inverses that the statements themselves tell, newest effect first; `None` where one tells none.
fn own_inverse(up: &[Classed]) -> Option<Vec<String>> {
    let mut all = vec![];
    for one in up.iter().rev() {
        all.extend(one.class.inverse.clone()?);
    }
    (!all.is_empty()).then_some(all)
}

/// The migrations that a step would apply now.
fn migrate(ground: &Ground<'_>, step: &StepDoc, to: Option<&Version>) -> StepLook {
    let mut look = StepLook::default();
    let pending = ground.migrations.iter().filter(|migration| {
        to.is_none_or(|to| migration.version <= *to) && !ground.applied.contains(&migration.version)
    });
    let mut versions = vec![];
    for migration in pending {
        let script = |script: &dunlin_core::source::Script| {
            let of = |one: &Statement| Classed {
                sql: one.sql.to_string(),
                class: ground.dialect.classify(&one.sql, &ground.lex),
                place: Place {
                    file: Some(script.file.clone()),
                    line: Some(one.line),
                    ..Place::default()
                },
            };
            script.statements.iter().map(of).collect::<Vec<_>>()
        };
        look.up.extend(script(&migration.up));
        match (&migration.irreversible, &migration.undo) {
            (Some(why), _) => {
                look.irreversible = Some(format!("migration {}: {why}", migration.version));
            }
            (None, Some(undo)) => look.undo.extend(script(undo)),
            (None, None) => {}
        }
        versions.insert(0, migration.version.0.clone());
    }
    look.inverse = Some(match &step.undo {
        UndoSpec::Derive => Inverse::Migrations(versions),
        other => super::step::stated(other),
    });
    if !ground.is_connected {
        look.unknown =
            Some("which migrations are pending is known once the database answers".into());
    }
    look
}

impl StepLook {
    /// Whether it can be told of from its file alone, and none of its statements names an object or leaves anything
    /// behind: what is there, and who may do what with it, is nothing to it.
    pub fn names_nothing(&self) -> bool {
        let mut all = self.up.iter().chain(&self.undo);
        let of_nothing = |one: &Classed| {
            is_harmless(&one.class) && one.class.touches.is_empty() && one.class.reads.is_empty()
        };
        self.refused.is_empty() && self.unknown.is_none() && all.all(of_nothing)
    }

    /// The tables that its statements make.
    pub fn makes(&self) -> Vec<String> {
        let holds = self.up.iter().flat_map(|one| &one.class.post);
        let tables = holds.filter_map(|condition| match condition {
            Condition::Exists(object) if object.kind == ObjectKind::Table => Some(&object.name),
            _ => None,
        });
        tables.cloned().collect()
    }

    /// What the risk is told of it.
    pub fn seen(&self, ground: &Ground<'_>) -> StepSeen {
        let mut heavy: Vec<Heavy> = vec![];
        if self.is_done {
            return StepSeen::default();
        }
        for one in &self.up {
            let tables: Vec<&str> = one
                .class
                .touches
                .iter()
                .map(|object| object.parent.as_deref().unwrap_or(&object.name))
                .collect();
            for hazard in &one.class.hazards {
                for table in &tables {
                    let size = ground.size_of(table);
                    // What is not there yet has no rows.
                    let is_made = self
                        .made
                        .iter()
                        .any(|made| made.eq_ignore_ascii_case(table));
                    if size.is_none() && (ground.is_connected || is_made) {
                        continue;
                    }
                    let one = Heavy {
                        code: hazard.code,
                        table: (*table).to_owned(),
                        rows: size.and_then(|size| size.rows),
                        bytes: size.and_then(|size| size.bytes),
                    };
                    if !heavy.contains(&one) {
                        heavy.push(one);
                    }
                }
            }
        }
        StepSeen {
            heavy,
            irreversible: self.irreversible.clone(),
            unknown: self.unknown.clone(),
        }
    }
}
