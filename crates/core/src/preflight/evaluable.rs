//! Whether the SQL of the plan's checks can be evaluated.

use super::{Checked, count};
use crate::failure::ErrorClass;
use crate::finding::Place;

/// The code of its page.
pub const CODE: &str = "check-not-evaluable";

/// What the server said of a check's SQL.
#[derive(Debug, Clone)]
pub struct Tried {
    /// The check.
    pub id: String,
    /// It is evaluated before its phase, and that phase comes next: what it names must be there now.
    pub is_next: bool,
    /// The error, where there was one.
    pub error: Option<(ErrorClass, String)>,
    /// Where it stands.
    pub place: Place,
}

/// Judges all of them: one line where all is well, one for each that is not.
pub fn check(tried: &[Tried]) -> Vec<Checked> {
    let (mut found, mut later, mut fine) = (vec![], vec![], 0);
    for one in tried {
        let id = format!("check:{}", one.id);
        match &one.error {
            None => fine += 1,
            Some((class, message)) => match class {
                // What an earlier phase or step will make is not there yet.
                ErrorClass::ObjectMissing if !one.is_next => later.push(one.id.as_str()),
                ErrorClass::ObjectMissing
                | ErrorClass::Syntax
                | ErrorClass::PermissionDenied
                | ErrorClass::TypeMismatch => found.push(
                    Checked::failed(
                        &id,
                        CODE,
                        format!("check `{}` cannot be evaluated: {message}", one.id),
                    )
                    .help("mend its SQL, or give the right to read what it names")
                    .at(&one.place),
                ),
                // A value that does not fit is what some checks are about.
                _ => fine += 1,
            },
        }
    }
    if found.is_empty() {
        let mut message = match tried.len() {
            0 => "no check of the plan asks in SQL".to_owned(),
            _ => format!("{} can be evaluated", count(fine, "check")),
        };
        if !later.is_empty() {
            message.push_str(&format!(
                "; what they name is not there yet: {}",
                later.join(", ")
            ));
        }
        found.push(Checked::passed("checks", CODE, message));
    }
    found
}
