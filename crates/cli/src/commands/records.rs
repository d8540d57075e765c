//! `runs` and `report`: what was run on this database, by whom, how it ended.

use super::Answer;
use super::plan::Opened;
use crate::args::Global;
use crate::context;
use crate::render::table::{self, duration};
use dunlin::plan::load::plans_in;
use dunlin::plan::store;
use dunlin_core::failure::Failure;
use dunlin_core::journal::archive::{Archived, Home};
use dunlin_core::journal::plan::PlanHistory;
use dunlin_core::journal::{Event, Record};
use dunlin_core::report::{self, Report, html, junit, markdown};
use dunlin_engines::Purpose;
use serde_json::{Value, json};
use std::path::Path;

/// `runs`.
pub async fn runs(global: &Global, only: Option<&str>) -> Result<Answer, Answer> {
    let world = context::open(global)?.world(global, false)?;
    let mut reader = world.open(Purpose::Read).await?;
    let records = store::runs(&world, &mut *reader).await;
    let plans = store::records(&world, &mut *reader).await;
    reader.close().await;
    let (records, plans) = (records?, plans?);
    let mut runs = report::runs(&records);
    if let Some(only) = only {
        runs.retain(|run| run.run == only);
        if runs.is_empty() {
            let message = format!("there is no run `{only}` in the journal of this database");
            return Err(Failure::usage("unknown-run", message)
                .hint("`dunlin runs` lists them")
                .into());
        }
    }
    if runs.is_empty() {
        return Ok(Answer::done(
            "Nothing was run on this database\n",
            json!({ "runs": [] }),
        ));
    }
    let rows = runs.iter().rev().map(|run| {
        vec![
            run.run.clone(),
            run.what.clone(),
            run.outcome.clone().unwrap_or_else(|| "no end".into()),
            run.started_at.clone(),
            run.duration_ms.map_or_else(|| "-".into(), duration),
            run.by.clone(),
        ]
    });
    let head = ["run", "what", "outcome", "began", "took", "by"];
    let mut text = table::render(&head, rows.collect(), &[4]);
    let mut data = json!({ "runs": runs });
    if let Some(only) = only {
        let own: Vec<&Record> = plans.iter().filter(|record| record.run == only).collect();
        let events: Vec<Value> = own.iter().map(|record| event(record)).collect();
        for (event, record) in events.iter().zip(own) {
            let part = |key: &str| event[key].as_str().unwrap_or_default().to_owned();
            let line = format!("  {}  {:<10} {}", part("at"), part("event"), part("what"));
            text.push_str(line.trim_end());
            if let Some(said) = event["said"].as_str() {
                text.push_str(&format!(": {said}"));
            }
            text.push('\n');
            evidence(record).iter().for_each(|one| text.push_str(one));
        }
        data["events"] = json!(events);
    }
    Ok(Answer::done(text, data))
}

/// What a run did, record by record.
fn event(record: &Record) -> Value {
    let what = record.unit.as_deref().unwrap_or_default();
    let said = match record.event {
        Event::Archived => Some(record.detail::<Archived>().shown()),
        Event::Home => Some(record.detail::<Home>().shown()),
        _ => None,
    };
    let mut told = json!({
        "at": record.at,
        "event": record.event.name(),
        "what": what.trim_start_matches('@'),
        "detail": serde_json::from_str::<Value>(&record.detail).unwrap_or_default(),
    });
    if let Some(said) = said {
        told["said"] = said.into();
    }
    told
}

/// What the checks of a record have found, each a line.
fn evidence(record: &Record) -> Vec<String> {
    let detail: Value = serde_json::from_str(&record.detail).unwrap_or_default();
    let found = detail["evidence"].as_array().cloned().unwrap_or_default();
    let line = |one: &Value| {
        let part = |key: &str| one[key].as_str().unwrap_or_default();
        format!(
            "    check {} {}: {}; expected {}, observed {}; {}\n",
            part("id"),
            part("when"),
            part("outcome"),
            part("expected"),
            part("observed"),
            duration(one["duration_ms"].as_u64().unwrap_or_default()),
        )
    };
    found.iter().map(line).collect()
}

/// The plan of a report: as it is named, or that of a run, which is then the only one told of.
async fn chosen(global: &Global, named: &Path) -> Result<(Opened, Option<String>), Answer> {
    let opened = context::open(global)?;
    let root = opened.project.root.clone();
    let Err(missing) = super::plan::find(&root, named) else {
        return Ok((super::plan::open(global, named)?, None));
    };
    let world = opened.world(global, false)?;
    let mut reader = world.open(Purpose::Read).await?;
    let runs = store::runs(&world, &mut *reader).await;
    reader.close().await;
    let id = named.display().to_string();
    let runs = report::runs(&runs?);
    let Some(run) = runs.into_iter().find(|run| run.run == id) else {
        return Err(missing);
    };
    let plan = ["run ", "rollback "]
        .iter()
        .find_map(|verb| run.what.strip_prefix(verb));
    let folders = [root.clone(), root.join("plans")];
    let files = folders.iter().flat_map(|folder| plans_in(folder));
    for file in files.filter(|_| plan.is_some()) {
        match super::plan::open(global, &file) {
            Ok(found) if Some(found.doc.name.as_str()) == plan => return Ok((found, Some(id))),
            _ => {}
        }
    }
    let message = match plan {
        Some(plan) => format!("run {id} is of the plan \"{plan}\", and no file here has that name"),
        None => format!("run {id} is of no plan: it was `{}`", run.what),
    };
    Err(Failure::usage("plan-missing", message)
        .hint(format!("`dunlin runs {id}` tells what is known of it"))
        .into())
}

/// `report`.
pub async fn report(global: &Global, plan: &Path, output: &Path) -> Result<Answer, Answer> {
    let (opened, only) = chosen(global, plan).await?;
    let world = &opened.context.world;
    let mut reader = world.open(Purpose::Read).await?;
    let runs = store::runs(world, &mut *reader).await;
    let records = store::records(world, &mut *reader).await;
    reader.close().await;
    let (mut runs, mut records) = (runs?, records?);
    if let Some(only) = &only {
        // The plan as it was when that run had ended.
        let own = runs.iter().chain(&records);
        let last = own
            .filter(|record| record.run == *only)
            .map(|record| record.id);
        let last = last.max();
        runs.retain(|record| record.run == *only);
        records.retain(|record| Some(record.id) <= last);
    }
    let (runs, history) = (
        report::runs(&runs),
        PlanHistory::fold(&opened.doc.name, &records),
    );
    let report = Report::new(
        &opened.doc,
        &history,
        &runs,
        world.engine.describe(),
        world.clock.stamp(),
    );
    let form = output.extension().and_then(|form| form.to_str());
    let text = match form {
        Some("html") => html::render(&report),
        Some("md") => markdown::render(&report),
        Some("xml") => junit::render(&report),
        Some("json") => serde_json::to_string_pretty(&report).unwrap_or_default(),
        _ => {
            let message = format!("`{}`: in which form?", output.display());
            return Err(Failure::usage("usage", message)
                .hint("the file's name says it: .html, .md, .json or .xml")
                .into());
        }
    };
    let text = world.redactor.apply(&text);
    std::fs::write(output, text).map_err(|error| {
        let message = format!("`{}` cannot be written: {error}", output.display());
        Answer::from(Failure::usage("output", message))
    })?;
    let shown = output.display().to_string();
    Ok(Answer::done(
        format!("Wrote {shown}\n"),
        json!({ "path": shown }),
    ))
}
