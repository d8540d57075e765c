//! Whether each step has a way back.

use super::{Checked, count};
use crate::finding::{Finding, Place};
use crate::plan::unasked::Unasked;

/// The code of its page.
pub const CODE: &str = "no-inverse";

/// Judges: what lowering found of steps, by name, and the steps that could not be looked at yet.
pub fn check(refused: &[(String, Finding)], unseen: &[String], seen: usize) -> Vec<Checked> {
    let mut found: Vec<Checked> = vec![];
    for (step, finding) in refused {
        // Named with its place, so that each is found where it stands.
        let message = format!("step `{step}`: {}", finding.message);
        let help = finding.help.clone();
        let help = help.unwrap_or_else(|| "state `undo` in the step".into());
        let id = match finding.code {
            CODE => "undo",
            _ => "steps",
        };
        found.push(
            Checked::failed(id, finding.code, message)
                .help(help)
                .at(&finding.place),
        );
    }
    if found.is_empty() {
        let mut message = format!(
            "nothing speaks against {}, way back included",
            count(seen, "step")
        );
        if !unseen.is_empty() {
            message.push_str(&format!(
                "; known when its turn comes: {}",
                unseen.join(", ")
            ));
        }
        found.push(Checked::passed("undo", CODE, message));
    }
    found
}

/// The code of what an undo destroys unasked.
pub const UNASKED: &str = "undo-not-asked";

/// A statement of an undo of which it cannot be asked beforehand what of others it destroys.
#[derive(Debug)]
pub struct Destroys {
    /// The step.
    pub step: String,
    /// The statement, as far as it is shown.
    pub head: String,
    /// What it destroys.
    pub what: Unasked,
    /// Where it stands.
    pub place: Place,
}

/// Names such statements, each with its place.
pub fn unasked(found: &[Destroys]) -> Vec<Checked> {
    let one = |found: &Destroys| {
        let Destroys {
            step, head, place, ..
        } = found;
        let at = at(place);
        let (message, help) = match found.what {
            Unasked::Rows => (
                format!(
                    "{at}which rows `{head}` takes away when step `{step}` is taken back cannot be asked before it does"
                ),
                "rows that others have written by then go with the step's own, unasked and unsaved; write it as `DELETE FROM \
                 table WHERE …` of one table, its condition without that table's name in a part of its own, or \
                 `undo = \"restore\"`",
            ),
            Unasked::Values => (
                format!(
                    "{at}`{head}` writes over values when step `{step}` is taken back, whoever has written them by then"
                ),
                "what others have written there since the step goes, unasked and unsaved; write it as `UPDATE table SET … WHERE \
                 …`, or as an INSERT whose keys are literals, or `undo = \"restore\"`, which takes back what the step \
                 itself has changed and leaves later values alone",
            ),
        };
        let id = format!("undo-asked:{step}");
        Checked::warned(&id, UNASKED, message).help(help).at(place)
    };
    found.iter().map(one).collect()
}

/// The code of what counts as a step's own without being it.
pub const AS_OWN: &str = "counts-as-own";

/// A statement of a step that commits by itself and writes where the step's undo destroys something.
#[derive(Debug)]
pub struct Alone {
    /// The step.
    pub step: String,
    /// The statement, as far as it is shown.
    pub head: String,
    /// The tables.
    pub tables: Vec<String>,
    /// Where it stands.
    pub place: Place,
}

/// Names such statements, each with its place.
pub fn alone(found: &[Alone]) -> Vec<Checked> {
    let one = |found: &Alone| {
        let Alone {
            step,
            head,
            tables,
            place,
        } = found;
        let at = at(place);
        let tables = tables.join(", ");
        let message = format!(
            "{at}`{head}` commits by itself: what others write into {tables} while it runs counts as step `{step}`'s own"
        );
        let help = "whoever takes the step back later is not asked about that, and it goes unsaved; run the phase while nobody else writes \
                    there (stop the writers, give it a `window`, or a gate that asks for that)";
        let id = format!("undo-own:{step}");
        Checked::warned(&id, AS_OWN, message).help(help).at(place)
    };
    found.iter().map(one).collect()
}

/// A place before a message, where there is one.
fn at(place: &Place) -> String {
    let at = place.file.as_ref().map(|file| match place.line {
        Some(line) => format!("{file}:{line}: "),
        None => format!("{file}: "),
    });
    at.unwrap_or_default()
}
