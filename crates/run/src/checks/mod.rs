//! Checks of plans: what is noted when a phase or step begins, and what a check finds. One file for each kind.
//!
//! Checks read: by a session that cannot write, and statements that are tried out run in a transaction that is rolled back
//! whatever happens. A check never panics and never ends a run by itself: what goes wrong while one is evaluated is a
//! failed check that says so.

mod accepts;
mod answer;
mod ask;
mod exec;
mod expected;
mod explain;
mod has;
mod http;
mod kept;
mod marks;
mod refuses;
mod rules;
mod show;
mod speed;
mod spool;
mod sql;
mod state;
mod tables;
mod trial;
mod unchanged;
mod untouched;

pub use marks::{Mark, Marks, marks};
pub use state::forget;

use crate::trouble;
use crate::world::World;
pub(crate) use answer::value_of;
use dunlin_core::failure::Failure;
use dunlin_core::plan::evidence::{CheckOutcome, Evidence};
use dunlin_core::redact::Redactor;
use dunlin_core::rules::Rule;
use dunlin_core::schema::Catalog;
use dunlin_core::source::grammar::checks::{CheckSeverity, When};
use dunlin_core::source::plan::{CheckDoc, CheckSpec};
use dunlin_engines::{DbError, Purpose, Session};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Instant;

/// The code of what cannot be asked at all.
pub(crate) const NOT_EVALUABLE: &str = "check-not-evaluable";

/// The longest text of evidence, in characters: a screen of a report.
const EVIDENCE_MAX: usize = 2_000;

/// What checks noted when their phase or step began, by the checks' names.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Baselines(pub BTreeMap<String, Value>);

/// What checks are evaluated with: a world, a session that reads, the folder in which commands run.
pub struct Context<'w> {
    world: &'w World,
    reader: Option<Box<dyn Session>>,
    dir: PathBuf,
    sensitive: Sensitive,
    redactor: Redactor,
    /// The project's rules about this database, or what is wrong with them.
    rules: Result<Vec<Rule>, String>,
}

/// Columns whose values are never shown.
#[derive(Debug, Clone, Default)]
struct Sensitive(Vec<String>);

impl Sensitive {
    /// Whether a column of this name may be meant. Answers of queries do not tell whose column it is: the name decides.
    fn hides(&self, column: &str) -> bool {
        self.0.iter().any(|pattern| {
            let named = pattern.split_whitespace().next().unwrap_or_default();
            let name = named.rsplit_once('.').map_or(named, |(_, name)| name);
            name == "*" || name.eq_ignore_ascii_case(column)
        })
    }
}

impl std::fmt::Debug for Context<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Context")
            .field("dir", &self.dir)
            .finish_non_exhaustive()
    }
}

impl<'w> Context<'w> {
    /// A context that has opened nothing yet.
    pub fn new(world: &'w World) -> Self {
        Context {
            world,
            reader: None,
            dir: PathBuf::from("."),
            sensitive: Sensitive::default(),
            redactor: world.redactor.clone(),
            rules: Ok(vec![]),
        }
    }

    /// The rules of a project, for checks that name them.
    #[must_use]
    pub fn ruled(mut self, project: &dunlin_core::source::Project) -> Self {
        let chosen = crate::rules::chosen(project, &self.world.config, &[]);
        self.rules = chosen.map_err(|findings| {
            let said: Vec<String> = findings
                .into_iter()
                .map(|finding| finding.message)
                .collect();
            said.join("; ")
        });
        self
    }

    /// The folder in which commands run: the project's.
    #[must_use]
    pub fn in_folder(mut self, dir: impl Into<PathBuf>) -> Self {
        self.dir = dir.into();
        self
    }

    /// Columns whose values are never shown: `[privacy] sensitive`.
    #[must_use]
    pub fn masking(mut self, sensitive: &[String]) -> Self {
        self.sensitive = Sensitive(sensitive.to_vec());
        self
    }

    /// Secrets that are masked beside those of the database: what the plan takes from the environment.
    #[must_use]
    pub fn hiding(mut self, secrets: &[String]) -> Self {
        let more = Redactor::new(secrets.iter().cloned());
        self.redactor = self.redactor.with(&more);
        self
    }

    /// Ends the session politely.
    pub async fn close(self) {
        if let Some(reader) = self.reader {
            reader.close().await;
        }
    }

    /// The session that reads.
    async fn reader(&mut self) -> Result<&mut dyn Session, Trouble> {
        if self.reader.is_none() {
            self.reader = Some(self.world.open(Purpose::Read).await?);
        }
        match &mut self.reader {
            Some(reader) => Ok(&mut **reader),
            // Set above; said and not assumed.
            None => Err("no session could be opened".to_owned().into()),
        }
    }

    /// The catalog as it is now.
    async fn catalog(&mut self) -> Result<Catalog, Trouble> {
        Ok(crate::observe::whole(self.reader().await?).await?)
    }
}

/// What a check has found.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Verdict {
    /// It holds.
    Holds(String),
    /// It does not.
    Broken(String),
    /// It was not asked.
    NotYet(String),
}

impl Verdict {
    fn of(holds: bool, observed: impl Into<String>) -> Verdict {
        if holds {
            Verdict::Holds(observed.into())
        } else {
            Verdict::Broken(observed.into())
        }
    }
}

/// Why a check could not be evaluated.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Trouble {
    message: String,
    lost: bool,
}

impl From<DbError> for Trouble {
    fn from(error: DbError) -> Self {
        let code = if error.code.is_empty() {
            String::new()
        } else {
            format!(" ({})", error.code)
        };
        Trouble {
            lost: error.class.is_lost(),
            message: format!("the database says: {}{code}", error.message),
        }
    }
}

impl From<Failure> for Trouble {
    fn from(failure: Failure) -> Self {
        failure.message.into()
    }
}

impl From<String> for Trouble {
    fn from(message: String) -> Self {
        Trouble {
            message,
            lost: false,
        }
    }
}

impl Trouble {
    fn failure(self, cx: &Context<'_>, check: &CheckDoc) -> Failure {
        let message = format!("check `{}` cannot be prepared: {}", check.id, self.message);
        let message = cx.redactor.apply(&message);
        Failure::refused(NOT_EVALUABLE, message).at(check.place.clone())
    }
}

/// What a check is evaluated against.
struct Asked<'a> {
    check: &'a CheckDoc,
    when: When,
    marks: &'a Marks,
    baseline: Option<&'a Value>,
    answer: Option<bool>,
}

/// What a check notes when its phase or step begins; `None` where its kind compares with nothing. What is returned is small
/// and goes into the journal; larger things lie in a file below `backup_dir`, which [`forget`] removes.
pub async fn baseline(
    cx: &mut Context<'_>,
    check: &CheckDoc,
    marks: &Marks,
) -> Result<Option<Value>, Failure> {
    let mut noted = note(cx, check, marks).await;
    if lost(&noted) {
        // A session that stood idle for a day of a phase may be gone: asked once more by a fresh one.
        cx.reader = None;
        noted = note(cx, check, marks).await;
    }
    noted.map_err(|trouble| trouble.failure(cx, check))
}

fn lost<T>(outcome: &Result<T, Trouble>) -> bool {
    matches!(outcome, Err(trouble) if trouble.lost)
}

async fn note(
    cx: &mut Context<'_>,
    check: &CheckDoc,
    marks: &Marks,
) -> Result<Option<Value>, Trouble> {
    // What is evaluated before the phase only has nothing to compare with.
    if check.when == When::Before {
        return Ok(None);
    }
    match &check.kind {
        CheckSpec::Kept(kept) => kept::note(cx, &check.id, kept).await.map(Some),
        CheckSpec::Unchanged(sql) => unchanged::note(cx, sql, marks).await.map(Some),
        CheckSpec::Untouched(untouched) => {
            let noted = untouched::note(cx, &check.id, untouched).await;
            noted.map(Some)
        }
        CheckSpec::Http(http) if http.unchanged => http::note(cx, &check.id, http).await.map(Some),
        CheckSpec::Speed(speed) => speed::note(cx, speed, marks).await.map(Some),
        _ => Ok(None),
    }
}

/// Evaluates a check. `answer`: a person's answer to `ask`.
pub async fn evaluate(
    cx: &mut Context<'_>,
    check: &CheckDoc,
    when: When,
    marks: &Marks,
    baseline: Option<&Value>,
    answer: Option<bool>,
) -> Evidence {
    let (at, began) = (cx.world.clock.stamp(), Instant::now());
    // Before a phase nothing is marked yet: up to now is up to the highest key of now.
    let fresh = match when {
        When::Before => self::marks(cx, &[check]).await,
        _ => Ok(marks.clone()),
    };
    let found = match &fresh {
        Ok(marks) => {
            let asked = Asked {
                check,
                when,
                marks,
                baseline,
                answer,
            };
            twice(cx, &asked).await
        }
        Err(failure) => Err(failure.message.clone().into()),
    };
    let (outcome, observed) = match found {
        Ok(Verdict::Holds(observed)) => (CheckOutcome::Passed, observed),
        Ok(Verdict::NotYet(observed)) => (CheckOutcome::NotRun, observed),
        Ok(Verdict::Broken(observed)) => (broken(check), observed),
        Err(trouble) => (broken(check), trouble.message),
    };
    let shown = |text: &str| shorten(&cx.redactor.apply(text));
    Evidence {
        id: check.id.clone(),
        when: if when == When::Before {
            "before".into()
        } else {
            "after".into()
        },
        outcome,
        expected: shown(&expected::expected(&check.kind)),
        observed: shown(&observed),
        at,
        duration_ms: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
    }
}

/// A session that stood idle for a day of a phase may be gone: asked once more by a fresh one.
async fn twice(cx: &mut Context<'_>, asked: &Asked<'_>) -> Result<Verdict, Trouble> {
    let found = find(cx, asked).await;
    if !lost(&found) {
        return found;
    }
    cx.reader = None;
    let found = find(cx, asked).await;
    if lost(&found) {
        cx.reader = None;
    }
    found
}

fn broken(check: &CheckDoc) -> CheckOutcome {
    match check.severity {
        CheckSeverity::Error => CheckOutcome::Failed,
        CheckSeverity::Warning => CheckOutcome::Warned,
    }
}

fn shorten(text: &str) -> String {
    if text.chars().count() <= EVIDENCE_MAX {
        return text.to_owned();
    }
    let cut: String = text.chars().take(EVIDENCE_MAX).collect();
    format!("{cut} …")
}

async fn find(cx: &mut Context<'_>, asked: &Asked<'_>) -> Result<Verdict, Trouble> {
    match &asked.check.kind {
        CheckSpec::Sql { sql, expect, rows } => {
            sql::find(cx, sql, expect.as_ref(), rows.as_ref(), asked.marks).await
        }
        CheckSpec::Kept(kept) => match compared(asked) {
            Ok(noted) => kept::find(cx, kept, noted).await,
            Err(verdict) => Ok(verdict),
        },
        CheckSpec::Unchanged(sql) => match compared(asked) {
            Ok(noted) => unchanged::find(cx, sql, asked.marks, noted).await,
            Err(verdict) => Ok(verdict),
        },
        CheckSpec::Untouched(untouched) => match compared(asked) {
            Ok(noted) => untouched::find(cx, untouched, noted).await,
            Err(verdict) => Ok(verdict),
        },
        CheckSpec::Refuses(refuses) => refuses::find(cx, refuses).await,
        CheckSpec::Accepts(sql) => accepts::find(cx, sql).await,
        CheckSpec::Http(http) => http::find(cx, http, asked.when, asked.baseline).await,
        CheckSpec::Speed(speed) => {
            speed::find(cx, speed, asked.marks, asked.when, asked.baseline).await
        }
        CheckSpec::Explain(explain) => explain::find(cx, explain, asked.marks).await,
        CheckSpec::Has(has) => has::find(cx, has).await,
        CheckSpec::Exec(exec) => exec::find(cx, exec).await,
        CheckSpec::Ask(_) => Ok(ask::find(asked.answer)),
        CheckSpec::Rules(names) => rules::find(cx, names).await,
        CheckSpec::Compare(_) => Ok(Verdict::NotYet("checks of this kind come later".into())),
    }
}

/// What was noted when the phase began, or what is to be said where nothing was.
fn compared<'a>(asked: &Asked<'a>) -> Result<&'a Value, Verdict> {
    match (asked.baseline, asked.when) {
        (Some(noted), _) => Ok(noted),
        (None, When::Before) => Err(Verdict::Holds(
            "nothing to compare with before the phase begins".into(),
        )),
        (None, _) => Err(Verdict::Broken(
            "nothing was noted when the phase began, so nothing can be compared".into(),
        )),
    }
}

/// A failure of the database while something is prepared.
fn refused(cx: &Context<'_>, error: &DbError, what: &str) -> Failure {
    cx.world.redact(trouble::refused(error, what))
}
