//! `clean`: puts right what the rules find, and takes that back.

use super::run::{listen, plain_screen};
use super::{Answer, check};
use crate::args::{Clean, Global};
use crate::context;
use crate::render::table::{self, bytes};
use dunlin::rules::{self, Ask, Cleaned, Outcome};
use dunlin::world::World;

/// `clean`.
pub async fn clean(global: &Global, asked: &Clean) -> Result<Answer, Answer> {
    let opened = context::open(global)?;
    if let Some(id) = &asked.undo {
        let world = opened.world(global, false)?;
        return take_back(global, &world, id).await;
    }
    let rules = check::chosen(&opened, global, &asked.rules)?;
    let all = check::chosen(&opened, global, &[])?;
    let world = opened.world(global, false)?;
    let ask = Ask {
        rules: &rules,
        all: &all,
        root: &opened.project.root,
    };
    let mut screen = plain_screen(global, &world);
    if asked.dry_run {
        let outcome = rules::dry_run(&world, &ask, &mut screen).await;
        screen.finish();
        return Ok(answer(&world, outcome?, true, None));
    }
    let done = rules::clean(&world, &ask, !global.no_wait, &mut screen, listen()).await;
    screen.finish();
    let done = done?;
    let mut answer = answer(&world, done.outcome, false, done.id.as_deref());
    if let Some(mut failure) = done.failure {
        if let Some(id) = &done.id {
            failure.hints.push(format!(
                "run the same command again: it goes on with the rest; `dunlin clean --undo {id}` takes back what was done"
            ));
        }
        answer.failure = Some(failure);
    }
    Ok(answer)
}

fn answer(world: &World, outcome: Outcome, dry: bool, id: Option<&str>) -> Answer {
    let mut text = if outcome.rules.is_empty() {
        "no rule of this database cleans anything\n".to_owned()
    } else {
        listing(&outcome.rules)
    };
    let rows = outcome.rows();
    text.push_str(&match (dry, id) {
        (true, _) => {
            format!("\nnothing was touched; `dunlin clean` would remove or change {rows} rows\n")
        }
        (false, Some(id)) => format!("\ntaken back by: dunlin clean --undo {id}\n"),
        (false, None) => "\nno row was removed or changed\n".to_owned(),
    });
    let data = serde_json::json!({ "rules": outcome.rules, "dry_run": dry, "undo": id });
    Answer::done(world.redactor.apply(&text), data).with(outcome.findings)
}

fn listing(rules: &[Cleaned]) -> String {
    let rows = rules.iter().map(|rule| {
        let size = match (rule.bytes_before, rule.bytes_after) {
            (Some(before), Some(after)) => format!("{} -> {}", bytes(before), bytes(after)),
            (Some(before), None) => bytes(before),
            _ => String::new(),
        };
        let tables = rule.tables.iter().map(|table| {
            let mut parts = vec![];
            if table.removed > 0 {
                parts.push(format!("{} removed", table.removed));
            }
            if table.changed > 0 {
                parts.push(format!("{} changed", table.changed));
            }
            format!("{}: {}", table.table, parts.join(", "))
        });
        let mut what = tables.collect::<Vec<_>>().join("; ");
        what.push_str(&size);
        vec![
            rule.id.clone(),
            rule.kind.to_owned(),
            rule.removed.to_string(),
            rule.changed.to_string(),
            rule.left.to_string(),
            what,
        ]
    });
    let head = ["rule", "kind", "removed", "changed", "left", "what"];
    table::render(&head, rows.collect(), &[2, 3, 4])
}

async fn take_back(global: &Global, world: &World, id: &str) -> Result<Answer, Answer> {
    let mut screen = plain_screen(global, world);
    let taken = rules::take_back(world, id, !global.no_wait, &mut screen, listen()).await;
    screen.finish();
    let taken = taken?;
    let undone = &taken.undone;
    let mut text = format!(
        "cleaning {} taken back: {} rows are as they were\n",
        taken.id, undone.rows
    );
    if undone.left > 0 {
        text.push_str(&format!(
            "{} rows were written to by others since and left alone: {}\n",
            undone.left,
            undone.keys.join("; ")
        ));
    }
    for note in &undone.notes {
        text.push_str(&format!("{note}\n"));
    }
    let data = serde_json::json!({
        "rules": [], "undone": taken.id, "rows": undone.rows, "left": undone.left, "left_keys": undone.keys,
        "notes": undone.notes,
    });
    Ok(Answer::done(world.redactor.apply(&text), data))
}
