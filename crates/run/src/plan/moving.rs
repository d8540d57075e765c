//! The steps that move data: `copy` into another database, `export` to files, `import` from them; and the way back of each.
//!
//! A copy is taken back by emptying the database that it filled ([`super::emptied`]). An import is taken back row by row,
//! from what was kept around its transaction. An export changes nothing.

use super::{Walk, notes, step};
use crate::bulk::import::AsStep;
use crate::bulk::{self, ExportAsk, Filter, ImportAsk, Imported, Since, To};
use crate::copy::{self, Copied, Job};
use crate::digest::{self, Scope, TableDigest};
use crate::journal_store::Pen;
use crate::steps::migrate::{json, millis};
use crate::trouble;
use crate::world::World;
use dunlin_core::bulk::Form;
use dunlin_core::copy::cast::Casts;
use dunlin_core::copy::policy::{Policies, Policy};
use dunlin_core::event::Event;
use dunlin_core::failure::{Failure, FailureClass};
use dunlin_core::finding::{Finding, Place};
use dunlin_core::journal::{self, Direction, UnitDetail, Writing};
use dunlin_core::plan::steps::Inverse;
use dunlin_core::redact::SecretUrl;
use dunlin_core::source::grammar::moving::{CopyStep, ExportStep, ImportStep, SkipDuplicates};
use dunlin_core::source::plan::{StepDoc, UndoSpec};
use dunlin_core::source::{DatabaseConfig, Project};
use dunlin_engines::{Purpose, Session};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Instant;

/// The settings of one end of a copy: a database of the project, or a URL.
fn config_of(project: &Project, named: &str) -> Result<DatabaseConfig, Vec<Finding>> {
    if named.contains(':') {
        let alone = Project::without_file(SecretUrl::new(named), project.root.clone());
        return alone.select(None).cloned();
    }
    project.select(Some(named)).cloned()
}

/// The two ends of a copy.
pub fn ends(
    world: &World,
    project: &Project,
    doc: &StepDoc,
    spec: &CopyStep,
) -> Result<(World, World), Failure> {
    let end = |named: &str| {
        let config = config_of(project, named).map_err(|findings| unusable(doc, &findings))?;
        world.another(config)
    };
    let (from, to) = (end(&spec.from.0)?, end(&spec.to.0)?);
    if from.is_same(&to) {
        let message = format!("step `{}`: source and target are the same database", doc.id);
        return Err(Failure::refused("same-database", message).at(doc.place.clone()));
    }
    Ok((from, to))
}

fn unusable(doc: &StepDoc, findings: &[Finding]) -> Failure {
    let said: Vec<&str> = findings
        .iter()
        .map(|found| found.message.as_str())
        .collect();
    let code = findings.first().map_or("bad-value", |found| found.code);
    let message = format!("step `{}`: {}", doc.id, said.join("; "));
    Failure::refused(code, message).at(doc.place.clone())
}

/// Where a step writes down the rows that it leaves out.
fn rejects_of(walk: &Walk<'_, '_>, doc: &StepDoc, said: Option<&str>) -> PathBuf {
    match said {
        Some(path) => walk.ask.project.root.join(path),
        None => {
            let folder = walk.runner.world.config.backup_dir.join("rejects");
            folder.join(format!("{}-{}.ndjson", walk.runner.pen.run, doc.id))
        }
    }
}

fn job(walk: &Walk<'_, '_>, doc: &StepDoc, spec: &CopyStep) -> Result<Job, Failure> {
    let wrong = |sentence: String| {
        let message = format!("step `{}`: {sentence}", doc.id);
        Failure::refused("bad-value", message).at(doc.place.clone())
    };
    let mut policies = Policies {
        default: spec
            .on_error
            .as_deref()
            .and_then(Policy::by_name)
            .unwrap_or_default(),
        ..Policies::default()
    };
    for (code, word) in &spec.policy {
        policies.take(&format!("{code}={word}")).map_err(wrong)?;
    }
    let casts = match &spec.cast {
        None => Casts::default(),
        Some(file) => {
            let path = walk.ask.project.root.join(&file.0);
            let text = std::fs::read_to_string(&path).map_err(|error| {
                let message = format!("step `{}`: `{}`: {error}", doc.id, file.0);
                Failure::refused("cast-file", message).at(doc.place.clone())
            })?;
            Casts::parse(&text, &file.0).map_err(|findings| unusable(doc, &findings))?
        }
    };
    casts.decide(&mut policies);
    Ok(Job {
        tables: spec.tables.clone(),
        exclude: spec.exclude.clone(),
        jobs: spec.jobs.unwrap_or(0),
        casts,
        policies,
        rejects: rejects_of(walk, doc, spec.rejects.as_ref().map(|path| path.0.as_str())),
        verify: spec.verify.as_deref() != Some("none"),
        wait: walk.ask.wait_for_lease,
        ..Job::default()
    })
}

/// The pen of the plan's run, where the plan holds the lease of this database.
pub(super) fn pen_for(walk: &Walk<'_, '_>, to: &World) -> Option<Pen> {
    let world = walk.runner.world;
    (world.is_same(to) || copy::ends::same_file(world, to)).then(|| walk.runner.pen.clone())
}

/// Copies, or goes on with it.
pub async fn copy(
    walk: &mut Walk<'_, '_>,
    doc: &StepDoc,
    key: &str,
    spec: &CopyStep,
) -> Result<(), Failure> {
    let started = Instant::now();
    let (from, to) = ends(walk.runner.world, walk.ask.project, doc, spec)?;
    let mut job = job(walk, doc, spec)?;
    job.resume = walk.history.flight(key).is_some();
    let mark = match walk.history.lowered.get(key).map(|lowered| &lowered.undo) {
        Some(Inverse::Emptied { mark, .. }) if job.resume => mark.clone(),
        _ => format!("{}/{key}", walk.runner.pen.run),
    };
    if !job.resume {
        let undo = match &doc.undo {
            UndoSpec::Derive => Inverse::Emptied {
                mark: mark.clone(),
                left: None,
            },
            said => step::stated(said),
        };
        notes::lowered(walk, doc, key, undo);
        notes::begin(walk, doc, key, Direction::Up).await?;
    }
    job.step = Some(copy::Step {
        mark: mark.clone(),
        pen: pen_for(walk, &to),
    });
    if to.engine.file().is_some() {
        let made = to.engine.create_database().await;
        made.map_err(|error| to.redact(trouble::refused(&error, "cannot make the target")))?;
    }
    let control = walk.runner.control.clone();
    let copied = copy::copy(&from, &to, &job, walk.runner.sink, control).await;
    let outcome = match copied {
        Ok(copied) => proven(doc, copied),
        Err(failure) => Err(failure),
    };
    let copied = match outcome {
        Ok(copied) => copied,
        Err(failure) => return Err(not_copied(walk, doc, key, job.resume, failure).await),
    };
    if doc.undo == UndoSpec::Derive {
        let left = Some(left_there(walk, &to).await?);
        notes::lowered(walk, doc, key, Inverse::Emptied { mark, left });
    }
    tell(walk, doc, &copied);
    let rows = copied.tables.iter().map(|table| table.rows_target).sum();
    notes::end(walk, doc, key, Direction::Up, millis(started), Some(rows));
    walk.flush().await
}

/// A copy of which not every row arrived as it was is none.
fn proven(doc: &StepDoc, copied: Copied) -> Result<Copied, Failure> {
    if copied.toothless() {
        let message = format!(
            "step `{}`: not everything in the target bites: {}",
            doc.id,
            copied.without_teeth().join("; ")
        );
        let failure = Failure::new(FailureClass::Failed, "constraint-without-teeth", message);
        return Err(failure
            .hint("the constraint is there and refuses nothing: look at its server and table"));
    }
    if copied.equal != Some(false) {
        return Ok(copied);
    }
    let differ = copied
        .tables
        .iter()
        .filter(|table| table.equal == Some(false));
    let names: Vec<&str> = differ.map(|table| table.table.as_str()).collect();
    let message = format!(
        "step `{}`: the target does not hold what was sent: {}",
        doc.id,
        names.join(", ")
    );
    Err(Failure::new(FailureClass::Failed, "copy-unequal", message)
        .hint("`dunlin verify` shows the rows and columns"))
}

/// Records that a copy did not come to its end. One that was refused wrote nothing, unless it was to go on.
async fn not_copied(
    walk: &mut Walk<'_, '_>,
    doc: &StepDoc,
    key: &str,
    goes_on: bool,
    mut failure: Failure,
) -> Failure {
    let refused = matches!(failure.class, FailureClass::Refused | FailureClass::Locked);
    let clean = refused && !goes_on;
    if !failure.message.starts_with("step `") {
        failure.message = format!("step `{}`: {}", doc.id, failure.message);
    }
    if failure.class == FailureClass::Interrupted {
        return failure.at(doc.place.clone());
    }
    notes::failed(walk, doc, key, Direction::Up, &failure, clean).await;
    failure.at(doc.place.clone())
}

/// What a copy did, for who reads the run's answer.
fn tell(walk: &mut Walk<'_, '_>, doc: &StepDoc, copied: &Copied) {
    let mut findings = copied.findings.clone();
    let place = || Place::object(format!("step {}", doc.id));
    for lost in &copied.not_carried {
        let message = format!("{}: {}", lost.object, lost.why);
        findings.push(Finding::warning("not-carried", place(), message));
    }
    for lossy in &copied.lossy {
        let message = format!(
            "{}.{}: {} in {}",
            lossy.table,
            lossy.column,
            lossy.kind,
            super::count(usize::try_from(lossy.rows).unwrap_or(usize::MAX), "row")
        );
        findings.push(Finding::info("lossy", place(), message));
    }
    left_out(
        &mut findings,
        doc,
        copied.rejected(),
        copied.rejects.as_deref(),
    );
    walk.rejected += copied.rejected();
    walk.note_findings(&findings);
    let equal = match copied.equal {
        Some(_) => "every row compared, all equal",
        None => "not verified",
    };
    walk.runner.sink.event(&Event::Note {
        message: format!(
            "step `{}`: {} copied; {equal}",
            doc.id,
            super::count(copied.tables.len(), "table")
        ),
    });
}

fn left_out(findings: &mut Vec<Finding>, doc: &StepDoc, rows: u64, file: Option<&std::path::Path>) {
    if rows == 0 {
        return;
    }
    let file = file.map_or(String::new(), |file| format!(": {}", file.display()));
    let rows = super::count(usize::try_from(rows).unwrap_or(usize::MAX), "row");
    let place = Place::object(format!("step {}", doc.id));
    let message = format!("step `{}` left out {rows}{file}", doc.id);
    findings.push(Finding::warning("rows-left-out", place, message));
}

/// The digests of all that is ours in a database, under its own reading.
pub(super) async fn digests(
    walk: &mut Walk<'_, '_>,
    world: &World,
    session: &mut dyn Session,
) -> Result<BTreeMap<String, TableDigest>, Failure> {
    let scope = Scope {
        tables: vec![],
        except: world.sql.tables.clone(),
    };
    let found = digest::digest(session, &scope, None, walk.runner.sink).await;
    let found = found.map_err(|error| {
        world.redact(trouble::failed(&error, "what the copy left cannot be read"))
    })?;
    let named = |table: TableDigest| (table.table.clone(), table);
    Ok(found.tables.into_iter().map(named).collect())
}

/// What a copy has left in its target, by table: rows and digest.
async fn left_there(
    walk: &mut Walk<'_, '_>,
    to: &World,
) -> Result<BTreeMap<String, String>, Failure> {
    let mut session = to.open(Purpose::Read).await?;
    let found = digests(walk, to, &mut *session).await;
    session.close().await;
    let spelled = |(table, digest): (String, TableDigest)| (table, spelled(&digest));
    Ok(found?.into_iter().map(spelled).collect())
}

pub(super) fn spelled(digest: &TableDigest) -> String {
    format!("{}:{}", digest.rows, digest.digest)
}

/// Writes files. Run again, it writes them again.
pub async fn export(
    walk: &mut Walk<'_, '_>,
    doc: &StepDoc,
    key: &str,
    spec: &ExportStep,
) -> Result<(), Failure> {
    let started = Instant::now();
    if walk.history.flight(key).is_none() {
        let undo = match &doc.undo {
            UndoSpec::Derive => Inverse::Nothing("an export changes nothing".into()),
            said => step::stated(said),
        };
        notes::lowered(walk, doc, key, undo);
        notes::begin(walk, doc, key, Direction::Up).await?;
    }
    let outcome = match asked_of(doc, spec) {
        Ok(asked) => {
            let to = To::Path(walk.ask.project.root.join(&spec.to.0));
            let (world, control) = (walk.runner.world, walk.runner.control.clone());
            bulk::export(world, &asked, to, walk.runner.sink, &control).await
        }
        Err(failure) => Err(failure),
    };
    match outcome {
        Ok(exported) => {
            walk.note_findings(&exported.findings);
            let rows = exported.tables.iter().map(|counts| counts.done).sum();
            notes::end(walk, doc, key, Direction::Up, millis(started), Some(rows));
            walk.flush().await
        }
        Err(failure) => Err(not_moved(walk, doc, key, failure).await),
    }
}

fn asked_of(doc: &StepDoc, spec: &ExportStep) -> Result<ExportAsk, Failure> {
    let wrong = |sentence: String| {
        let message = format!("step `{}`: {sentence}", doc.id);
        Failure::refused("bad-value", message)
    };
    let since = spec.since.iter().flat_map(|since| since.all());
    let since: Result<Vec<Since>, String> = since.map(|text| Since::parse(text)).collect();
    let filter = |(table, sql): (&String, &String)| Filter {
        table: table.clone(),
        sql: sql.clone(),
    };
    Ok(ExportAsk {
        form: spec.form.as_deref().and_then(Form::named),
        tables: spec.tables.clone(),
        filters: spec.only.iter().map(filter).collect(),
        since: since.map_err(wrong)?,
    })
}

/// Records that a step failed of which nothing stands.
async fn not_moved(
    walk: &mut Walk<'_, '_>,
    doc: &StepDoc,
    key: &str,
    mut failure: Failure,
) -> Failure {
    if failure.class != FailureClass::Interrupted {
        failure.message = format!("step `{}`: {}", doc.id, failure.message);
        if matches!(failure.class, FailureClass::Usage | FailureClass::Refused) {
            failure.class = FailureClass::Failed;
        }
        notes::failed(walk, doc, key, Direction::Up, &failure, true).await;
    }
    failure.at(doc.place.clone())
}

/// Reads files: all of it, in the same commit as the record that it is done.
pub async fn import(
    walk: &mut Walk<'_, '_>,
    doc: &StepDoc,
    key: &str,
    spec: &ImportStep,
) -> Result<(), Failure> {
    let started = Instant::now();
    let undo = match &doc.undo {
        UndoSpec::Derive => Inverse::Restore,
        said => step::stated(said),
    };
    let keeps = undo == Inverse::Restore;
    if walk.history.flight(key).is_none() {
        notes::lowered(walk, doc, key, undo);
        notes::begin(walk, doc, key, Direction::Up).await?;
    }
    let (name, by, hash) = (
        doc.title.clone(),
        walk.runner.world.who.clone(),
        doc.hash.clone(),
    );
    let done = move |tables: &[bulk::Counts], kept: Option<String>| {
        let detail = UnitDetail {
            direction: Some(Direction::Up),
            name: name.clone(),
            by: by.clone(),
            duration_ms: Some(millis(started)),
            rows: Some(tables.iter().map(|counts| counts.done).sum()),
            kept,
            ..UnitDetail::default()
        };
        Writing::unit(journal::Event::Done, key, &hash, json(&detail))
    };
    let asked = import_of(walk, doc, spec);
    let as_step = AsStep {
        pen: walk.runner.pen.clone(),
        keep: keeps.then(|| format!("step-{}", doc.id)),
        done: &done,
    };
    let (world, control) = (walk.runner.world, walk.runner.control.clone());
    let outcome = bulk::import::import_step(world, asked, as_step, walk.runner.sink, control).await;
    match outcome {
        Ok(imported) => {
            told(walk, doc, &imported, started);
            Ok(())
        }
        Err(failure) if failure.code == "connection-lost" => Err(failure.at(doc.place.clone())),
        Err(failure) => Err(not_moved(walk, doc, key, failure).await),
    }
}

fn import_of(walk: &Walk<'_, '_>, doc: &StepDoc, spec: &ImportStep) -> ImportAsk {
    let root = &walk.ask.project.root;
    let keys = match &spec.skip_duplicates {
        Some(SkipDuplicates::By(keys)) => keys.clone().into_iter().collect(),
        _ => vec![],
    };
    ImportAsk {
        files: spec.files.iter().map(|file| root.join(&file.0)).collect(),
        stdin: None,
        skip_duplicates: match &spec.skip_duplicates {
            Some(SkipDuplicates::All(all)) => *all,
            Some(SkipDuplicates::By(_)) => true,
            None => false,
        },
        keys,
        continue_on_error: spec.continue_on_error,
        rejects: Some(rejects_of(
            walk,
            doc,
            spec.rejects.as_ref().map(|path| path.0.as_str()),
        )),
        wait: false,
    }
}

fn told(walk: &mut Walk<'_, '_>, doc: &StepDoc, imported: &Imported, started: Instant) {
    let sum = |of: fn(&bulk::Counts) -> u64| imported.tables.iter().map(of).sum::<u64>();
    let failed = sum(|counts| counts.failed);
    let mut findings = vec![];
    left_out(&mut findings, doc, failed, imported.rejects.as_deref());
    walk.rejected += failed;
    walk.note_findings(&findings);
    walk.runner.sink.event(&Event::Note {
        message: format!(
            "step `{}`: {} imported, {} skipped, {failed} refused",
            doc.id,
            sum(|counts| counts.done),
            sum(|counts| counts.skipped)
        ),
    });
    walk.runner.sink.event(&Event::StepDone {
        version: doc.id.clone(),
        name: doc.title.clone(),
        direction: Direction::Up.to_string(),
        duration_ms: millis(started),
    });
}
