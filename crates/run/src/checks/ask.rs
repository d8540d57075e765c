//! `ask`: a person answers.

use super::Verdict;

pub(super) fn find(answer: Option<bool>) -> Verdict {
    match answer {
        Some(true) => Verdict::Holds("a person said yes".into()),
        Some(false) => Verdict::Broken("a person said no".into()),
        None => Verdict::NotYet("nobody has answered yet".into()),
    }
}
