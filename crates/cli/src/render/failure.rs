//! A failure as people read it at 3 a.m.: what, where, what was done, what was undone, what next.

use dunlin_core::failure::Failure;

/// Renders a failure for standard error.
pub fn render(failure: &Failure, color: bool) -> String {
    let (bold, red, off) = if color {
        ("\x1b[1m", "\x1b[1;31m", "\x1b[0m")
    } else {
        ("", "", "")
    };
    let mut text = format!(
        "{red}error[{}]{off}{bold}: {}{off}\n",
        failure.code, failure.message
    );
    if let Some(place) = &failure.place {
        if let Some(file) = &place.file {
            let line = place
                .line
                .map(|line| format!(":{line}"))
                .unwrap_or_default();
            text.push_str(&format!("  at {file}{line}\n"));
        } else if let Some(object) = &place.object {
            text.push_str(&format!("  at {object}\n"));
        }
    }
    list(&mut text, "done", &failure.done);
    list(&mut text, "undone", &failure.undone);
    if !failure.hints.is_empty() {
        text.push('\n');
    }
    for hint in &failure.hints {
        text.push_str(&format!("hint: {hint}\n"));
    }
    text.push_str(&format!("more: dunlin explain {}\n", failure.code));
    text
}

/// How many lines of a list are shown; the JSON has them all.
const LIST_MAX: usize = 12;

fn list(text: &mut String, head: &str, lines: &[String]) {
    if lines.is_empty() {
        return;
    }
    text.push_str(&format!("{head}:\n"));
    for line in lines.iter().take(LIST_MAX) {
        text.push_str(&format!("  - {line}\n"));
    }
    if lines.len() > LIST_MAX {
        text.push_str(&format!("  … and {} more\n", lines.len() - LIST_MAX));
    }
}
