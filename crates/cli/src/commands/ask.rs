//! Questions on a terminal: whoever sits at the gate may open it there. `--yes` never answers them.

use super::Answer;
use super::plan::Opened;
use crate::args::{Format, Global};
use dunlin::plan::{Waiting, word};
use dunlin_core::journal::plan::{Approval, Confirmation};
use dunlin_core::source::plan::UndoSpec;
use std::io::{BufRead, IsTerminal};

/// Whether a person is there to be asked.
pub(super) fn may_ask(global: &Global) -> bool {
    global.format == Format::Text
        && !global.quiet
        && std::io::stdin().is_terminal()
        && std::io::stderr().is_terminal()
}

/// Asks what a plan waits for. Gives whether something was said, so that it is worth going on.
pub(super) async fn at_gate(opened: &Opened, waiting: &Waiting) -> Result<bool, Answer> {
    crate::render::say(&format!("\nPhase `{}` waits for\n", waiting.phase));
    for missing in &waiting.missing {
        crate::render::say(&format!("  - {missing}\n"));
    }
    if waiting.gate {
        return gate(opened, &waiting.phase).await;
    }
    let mut said = false;
    for id in &waiting.confirm {
        let Some(answer) = yes_or_no(&format!("`{id}`: is it so? [y/n, empty: later] ")) else {
            return Ok(said);
        };
        let Some(by) = line("Your name: ") else {
            return Ok(said);
        };
        let confirmation = Confirmation {
            id: id.clone(),
            by,
            no: !answer,
            ..Confirmation::default()
        };
        word::confirm(&opened.context.world, &opened.doc, confirmation).await?;
        said = true;
    }
    Ok(said)
}

/// One person's word at a gate.
async fn gate(opened: &Opened, phase: &str) -> Result<bool, Answer> {
    let Some(doc) = opened.doc.phase(phase) else {
        return Ok(false);
    };
    let Some(by) = line("Who approves? Your name (empty: it stays closed): ") else {
        return Ok(false);
    };
    let role = match doc.approvers.as_slice() {
        [] => None,
        roles => match line(&format!("In which role? ({}) ", roles.join(", "))) {
            None => return Ok(false),
            role => role,
        },
    };
    let mut approval = Approval {
        by,
        role,
        ..Approval::default()
    };
    for point in &doc.go {
        if yes_or_no(&format!("{point}? [y/n] ")) == Some(true) {
            approval.confirm.push(point.clone());
        }
    }
    for step in &doc.steps {
        if let UndoSpec::Impossible(why) = &step.undo {
            let question = format!(
                "Step `{}` cannot be undone ({why}). Accept that? [y/n] ",
                step.id
            );
            if yes_or_no(&question) == Some(true) {
                approval.accept.push(step.id.clone());
            }
        }
    }
    let Some(yes) = yes_or_no(&format!("Approve phase `{phase}`? [y/n, empty: later] ")) else {
        return Ok(false);
    };
    // A no is a word, too: it is recorded and keeps the gate closed.
    approval.reject = !yes;
    word::approve(&opened.context.world, &opened.doc, phase, approval).await?;
    Ok(yes)
}

/// A line that a person types; `None`: nothing, or the end.
fn line(prompt: &str) -> Option<String> {
    crate::render::say(prompt);
    let mut typed = String::new();
    std::io::stdin().lock().read_line(&mut typed).ok()?;
    let typed = typed.trim();
    (!typed.is_empty()).then(|| typed.to_owned())
}

/// Yes or no; `None`: neither.
fn yes_or_no(prompt: &str) -> Option<bool> {
    match line(prompt)?.to_lowercase().as_str() {
        "y" | "yes" => Some(true),
        "n" | "no" => Some(false),
        _ => None,
    }
}
