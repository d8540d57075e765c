//! `runs` and `report`: what was run on this database, by whom, how it ended.

use super::Answer;
use crate::args::Global;
use crate::context;
use crate::render::table::{self, duration};
use dunlin::plan::store;
use dunlin_core::failure::Failure;
use dunlin_core::journal::archive::{Archived, Home};
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
        let own = plans.iter().filter(|record| record.run == only);
        let events: Vec<Value> = own.map(event).collect();
        for event in &events {
            let part = |key: &str| event[key].as_str().unwrap_or_default().to_owned();
            let line = format!("  {}  {:<10} {}", part("at"), part("event"), part("what"));
            text.push_str(line.trim_end());
            if let Some(said) = event["said"].as_str() {
                text.push_str(&format!(": {said}"));
            }
            text.push('\n');
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

/// `report`.
pub async fn report(global: &Global, plan: &Path, output: &Path) -> Result<Answer, Answer> {
    let opened = super::plan::open(global, plan)?;
    let world = &opened.context.world;
    let mut reader = world.open(Purpose::Read).await?;
    let runs = store::runs(world, &mut *reader).await;
    let history = store::read(world, &mut *reader, &opened.doc.name).await;
    reader.close().await;
    let (runs, history) = (report::runs(&runs?), history?);
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
