//! Lowering: a script becomes blocks, from the facts of the moment.
//!
//! A block is what succeeds or fails as one. Where the engine lets effect and record commit together, statements are
//! gathered into one block; everything else stands alone, its beginning recorded before it (invariants 6 to 8).

use crate::dialect::{Caps, Dialect, Guard};
use crate::finding::{Finding, Place};
use crate::redact::head_of;
use crate::source::{Migration, Script, Statement, TransactionMode};
use crate::sql::{Kind, LexMode, ObjectKind, ObjectRef, SessionState, StatementClass, TxUse};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

/// How a block runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// In one transaction with its record.
    Together,
    /// Outside of a transaction; its beginning is committed first.
    Alone,
    /// Pure session state: run, never recorded, run again on resume.
    Session,
}

/// A block of statements.
#[derive(Debug, Clone)]
pub struct Block {
    /// Its number in the script.
    pub index: usize,
    /// Its content hash.
    pub hash: String,
    /// Which statements of the script.
    pub statements: Range<usize>,
    /// How it runs.
    pub mode: Mode,
    /// Running it twice does no harm: by the author's word, or because it never changes content.
    pub rerunnable: bool,
    /// What is watched while it runs.
    pub guard: Option<Guard>,
}

/// A script, lowered.
#[derive(Debug, Clone)]
pub struct Lowered {
    /// What each statement is.
    pub classes: Vec<StatementClass>,
    /// The blocks.
    pub blocks: Vec<Block>,
    /// What is to be said before the run.
    pub findings: Vec<Finding>,
}

/// What lowering must know of the world: which of the touched tables are not transactional (or not logged).
/// Names as the server spells them; tables that are not there yet are absent.
#[derive(Debug, Clone, Default)]
pub struct Storage {
    /// Table name (lower case) → whether changes to it are transactional and logged.
    pub transactional: BTreeMap<String, bool>,
}

/// What each statement of a script is.
pub fn classify(script: &Script, dialect: &dyn Dialect, mode: &LexMode) -> Vec<StatementClass> {
    let class = |statement: &Statement| {
        let mut class = dialect.classify(&statement.sql, mode);
        if let Some(back) = &statement.back {
            class.inverse = Some(back.clone());
        }
        class
    };
    script.statements.iter().map(class).collect()
}

/// Lowers one script.
pub fn lower(
    migration: &Migration,
    script: &Script,
    dialect: &dyn Dialect,
    caps: &Caps,
    mode: &LexMode,
    storage: &Storage,
    one_transaction: bool,
) -> Lowered {
    let classes = classify(script, dialect, mode);
    lower_classified(
        migration,
        script,
        classes,
        dialect,
        caps,
        storage,
        one_transaction,
    )
}

/// Lowers one script of which it is known what each statement is.
pub fn lower_classified(
    migration: &Migration,
    script: &Script,
    classes: Vec<StatementClass>,
    dialect: &dyn Dialect,
    caps: &Caps,
    storage: &Storage,
    one_transaction: bool,
) -> Lowered {
    let mut lowering = Lowering {
        migration,
        script,
        caps,
        classes: &classes,
        storage: Cow::Borrowed(storage),
        findings: vec![],
    };
    let modes = lowering.modes();
    let spans = lowering.gather(&modes);
    // A guard's switches cannot be thrown inside a transaction.
    let guarded = dialect
        .guard(&classes)
        .is_some_and(|guard| !guard.switches.is_empty());
    let alone = spans.iter().any(|(_, mode)| *mode == Mode::Alone);
    if one_transaction && (spans.len() > 1 || alone || guarded) {
        lowering.refuse_one_transaction(&modes);
    }
    let findings = std::mem::take(&mut lowering.findings);
    let blocks = spans
        .into_iter()
        .enumerate()
        .map(|(index, (statements, mode))| {
            let guard = (mode != Mode::Session)
                .then(|| dialect.guard(&classes[statements.clone()]))
                .flatten();
            let rerunnable = statements.clone().all(|at| {
                script.statements[at].rerunnable
                    || classes[at].kind == Kind::Maintenance
                    || classes[at].repeatable
            });
            Block {
                index,
                hash: block_hash(script, &statements),
                statements,
                mode,
                rerunnable,
                guard,
            }
        });
    let blocks = blocks.collect();
    Lowered {
        classes,
        blocks,
        findings,
    }
}

fn block_hash(script: &Script, statements: &Range<usize>) -> String {
    let mut hasher = blake3::Hasher::new();
    for statement in &script.statements[statements.clone()] {
        hasher.update(&(statement.sql.len() as u64).to_le_bytes());
        hasher.update(statement.sql.as_bytes());
        if let Some(data) = &statement.copy_data {
            hasher.update(data.as_bytes());
        }
    }
    hasher.finalize().to_hex()[..32].to_owned()
}

struct Lowering<'a> {
    migration: &'a Migration,
    script: &'a Script,
    caps: &'a Caps,
    classes: &'a [StatementClass],
    /// A run's storage may know thousands of tables: it is copied where a script adds to it, and only there.
    storage: Cow<'a, Storage>,
    findings: Vec<Finding>,
}

impl Lowering<'_> {
    fn place(&self, at: usize) -> Place {
        let statement = &self.script.statements[at];
        Place {
            file: Some(self.script.file.clone()),
            line: Some(statement.line),
            span: Some(statement.span.clone()),
            object: None,
        }
    }

    fn allowed(&self, code: &str) -> bool {
        self.migration.allow.iter().any(|allow| allow.code == code)
    }

    /// How each statement would run by itself.
    fn modes(&mut self) -> Vec<Mode> {
        let mut modes = Vec::with_capacity(self.classes.len());
        for at in 0..self.classes.len() {
            let mode = self.mode_of(at);
            self.announce(at, mode);
            self.learn(at);
            modes.push(mode);
        }
        modes
    }

    fn mode_of(&self, at: usize) -> Mode {
        let class = &self.classes[at];
        if class.state == SessionState::Sets
            && (class.tx == TxUse::Outside || !self.caps.transactional_ddl)
        {
            return Mode::Session;
        }
        let alone = match class.kind {
            Kind::Call => {
                self.migration.transaction == TransactionMode::None || !self.caps.transactional_ddl
            }
            Kind::Unknown => class.tx != TxUse::Inside || !self.caps.transactional_ddl,
            _ => class.tx != TxUse::Inside,
        };
        if alone || !self.is_logged(class) {
            Mode::Alone
        } else {
            Mode::Together
        }
    }

    /// Whether every table that the statement writes is transactional and logged.
    fn is_logged(&self, class: &StatementClass) -> bool {
        class.kind == Kind::Ddl
            || class
                .touches
                .iter()
                .filter(|object| object.kind == ObjectKind::Table)
                .all(|table| {
                    self.storage
                        .transactional
                        .get(&table.name.to_lowercase())
                        .copied()
                        .unwrap_or(true)
                })
    }

    /// A table made here is known from here on.
    fn learn(&mut self, at: usize) {
        let class = &self.classes[at];
        let logged = !class.unlogged
            && class
                .storage
                .as_deref()
                .is_none_or(|engine| engine.eq_ignore_ascii_case("innodb"));
        if class.kind == Kind::Ddl && class.verb.starts_with("CREATE") && !logged {
            for table in class
                .touches
                .iter()
                .filter(|object| object.kind == ObjectKind::Table)
            {
                self.storage
                    .to_mut()
                    .transactional
                    .insert(table.name.to_lowercase(), false);
            }
        }
    }

    /// Says before the run what cannot be exactly-once, and what could end in doubt.
    fn announce(&mut self, at: usize, mode: Mode) {
        let class = &self.classes[at];
        let statement = &self.script.statements[at];
        if mode != Mode::Alone
            || statement.rerunnable
            || statement.probe.is_some()
            || class.kind == Kind::Maintenance
            || class.repeatable
        {
            return;
        }
        let head = head_of(&statement.sql);
        if class.kind == Kind::Call || !self.is_logged(class) {
            if !self.allowed("not-exactly-once") {
                let message = format!(
                    "`{head}` is not exactly-once: if the run dies in it, what it did cannot be known"
                );
                self.findings.push(Finding::warning("not-exactly-once", self.place(at), message).help(
                    "above it write `-- dunlin: probe = \"SELECT …\"` (true when its effect is there) or \
                     `-- dunlin: rerunnable = true`",
                ));
            }
            return;
        }
        // Both must be provable: that it took effect, and that it did not.
        let settles = !class.post.is_empty() && class.catalog_only && !class.swap;
        if !settles && !self.allowed("may-end-in-doubt") {
            let message = format!(
                "`{head}` may end in doubt: if the run dies in it, no rule tells whether it took effect"
            );
            self.findings.push(Finding::warning("may-end-in-doubt", self.place(at), message).help(
                "above it write `-- dunlin: probe = \"SELECT …\"` or `-- dunlin: rerunnable = true`",
            ));
        }
    }

    /// Gathers neighbours into blocks.
    fn gather(&mut self, modes: &[Mode]) -> Vec<(Range<usize>, Mode)> {
        let shared = self.shared_span();
        if let Some(span) = &shared {
            self.check_shared(span, modes);
        }
        let apart = self.migration.transaction == TransactionMode::None;
        let mut blocks: Vec<(Range<usize>, Mode)> = vec![];
        for (at, mode) in modes.iter().enumerate() {
            let in_shared = shared.as_ref().is_some_and(|span| span.contains(&at));
            // Session statements inside a span that shares state run within its block.
            let mode = if in_shared && *mode == Mode::Session {
                Mode::Together
            } else {
                *mode
            };
            let joins = mode == Mode::Together
                && (!apart || (in_shared && shared.as_ref().is_some_and(|span| span.start < at)))
                && blocks
                    .last()
                    .is_some_and(|(_, last)| *last == Mode::Together);
            match blocks.last_mut() {
                Some((range, _)) if joins => range.end = at + 1,
                _ => blocks.push((at..at + 1, mode)),
            }
        }
        blocks
    }

    /// From the first to the last statement that shares state made from data. Whatever names a temporary table that
    /// was made here shares it, whether its own words say so or not.
    fn shared_span(&self) -> Option<Range<usize>> {
        let mut temporary: BTreeSet<String> = BTreeSet::new();
        let mut span: Option<Range<usize>> = None;
        for (at, class) in self.classes.iter().enumerate() {
            let shares = class.state == SessionState::Shares;
            let names = || class.touches.iter().chain(&class.reads).map(lower_name);
            if shares || names().any(|name| temporary.contains(&name)) {
                let first = span.map_or(at, |span| span.start);
                span = Some(first..at + 1);
            }
            if class.verb.starts_with("DROP") {
                names().for_each(|name| {
                    temporary.remove(&name);
                });
            } else if shares && class.kind == Kind::Ddl {
                temporary.extend(class.touches.iter().map(lower_name));
            }
        }
        span.filter(|span| span.len() > 1)
    }

    fn check_shared(&mut self, span: &Range<usize>, modes: &[Mode]) {
        for at in span.clone() {
            if modes[at] != Mode::Alone || self.script.statements[at].rerunnable {
                continue;
            }
            let head = head_of(&self.script.statements[at].sql);
            let message = format!(
                "`{head}` commits by itself between statements that share a variable, a temporary table or a prepared \
                 statement: if the run dies here, that state is gone and the rest cannot be resumed"
            );
            self.findings.push(Finding::error("not-resumable", self.place(at), message).help(
                "move it before or after the statements that share state, or into a migration of its own",
            ));
        }
    }

    fn refuse_one_transaction(&mut self, modes: &[Mode]) {
        let at = modes
            .iter()
            .position(|mode| *mode == Mode::Alone)
            .unwrap_or(0);
        let head = self
            .script
            .statements
            .get(at)
            .map(|statement| head_of(&statement.sql))
            .unwrap_or_default();
        let message = format!(
            "`{head}` cannot run inside one transaction on {}",
            self.caps.engine
        );
        self.findings.push(
            Finding::error(
                "one-transaction",
                self.place(at.min(self.script.statements.len().saturating_sub(1))),
                message,
            )
            .help("run without `--one-transaction`"),
        );
    }
}

fn lower_name(object: &ObjectRef) -> String {
    object.name.to_lowercase()
}
