//! `requires`: what the author says must be there.

use super::{Checked, size};
use crate::source::plan::requires::{Required, Requirement, VersionBound};

/// The code of its page.
pub const CODE: &str = "requirement-missing";

/// What was found of a requirement.
#[derive(Debug, Clone, PartialEq)]
pub enum Found {
    /// It is there; of what has a version, the text that states it; of a setting its value; else a remark.
    There(String),
    /// So many bytes are free.
    Free(u64),
    /// A verified backup, or a rehearsal, is so many seconds old.
    Aged(u64),
    /// It is not there, and how that showed.
    Missing(String),
    /// It cannot be told, and why.
    Unknown(String),
    /// It comes with a later version of Dunlin.
    Later(String),
}

/// Judges.
pub fn check(requirement: &Requirement, found: &Found, install: Option<&str>) -> Checked {
    let id = format!("requires:{requirement}");
    let failed = |message: String| {
        Checked::failed(&id, CODE, message).help(advice(&requirement.kind, install))
    };
    match (found, &requirement.kind) {
        (Found::Missing(how), _) => failed(how.clone()),
        (Found::Unknown(why), _) => Checked::failed(&id, CODE, format!("it cannot be told: {why}"))
            .help("make it possible to ask, or take the requirement out"),
        (Found::Later(what), _) => {
            Checked::warned(&id, CODE, what.clone()).help("see to it yourself until then")
        }
        (
            Found::There(version),
            Required::Command {
                version: Some(bound),
                ..
            }
            | Required::Extension {
                version: Some(bound),
                ..
            }
            | Required::Server {
                version: Some(bound),
                ..
            },
        ) => versioned(&id, bound, version, failed),
        (Found::There(value), Required::Setting { value: wanted, .. }) if value != wanted => {
            failed(format!("the setting is `{value}` and must be `{wanted}`"))
        }
        (Found::Free(free), Required::Disk(needed)) if free < needed => failed(format!(
            "only {} free, {} required",
            size(*free),
            size(*needed)
        )),
        (Found::Free(free), _) => Checked::passed(&id, CODE, format!("{} free", size(*free))),
        (Found::Aged(age), Required::Backup(most) | Required::Rehearsal(most))
            if *age > most.as_secs() =>
        {
            failed(format!("the newest one is {} old", hours(*age)))
        }
        (Found::Aged(age), _) => Checked::passed(&id, CODE, format!("it is {} old", hours(*age))),
        (Found::There(what), _) => Checked::passed(&id, CODE, what.clone()),
    }
}

fn versioned(
    id: &str,
    bound: &VersionBound,
    version: &str,
    failed: impl Fn(String) -> Checked,
) -> Checked {
    match bound.holds(version) {
        Some(true) => Checked::passed(id, CODE, version.to_owned()),
        Some(false) => failed(format!("it is `{version}`, and {bound} is required")),
        None => failed(format!(
            "`{version}` states no version, and {bound} is required"
        )),
    }
}

fn hours(seconds: u64) -> String {
    match seconds {
        0..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} d", seconds / 86_400),
    }
}

fn advice(kind: &Required, install: Option<&str>) -> String {
    match kind {
        Required::Command { name, .. } => {
            format!("install `{name}` on the machine that runs Dunlin, in the version required")
        }
        Required::Extension { .. } => match install {
            Some(statement) => format!("let an administrator run: {statement}"),
            None => "install it on the server".into(),
        },
        Required::Env(name) => format!("set {name}, or put it into .env"),
        Required::Plugin(id) => {
            format!("switch it on first: a step with `plugin = {{ enable = \"{id}\" }}`")
        }
        Required::Server { .. } => {
            "take a server of that engine and version, or change the plan".into()
        }
        Required::Disk(_) => "make room before the plan begins".into(),
        Required::Tcp { .. } => "start what should answer there".into(),
        Required::Http(_) => "see that the service answers with 200 to 299 there".into(),
        Required::Setting { table, key, value } => {
            format!("set `{key}` in {table} to `{value}`")
        }
        Required::Backup(_) => "`dunlin backup create`, then `dunlin backup verify`".into(),
        Required::Rehearsal(_) => "`dunlin rehearse` the plan".into(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::plan::evidence::CheckOutcome::{self, Failed, Passed, Warned};

    fn outcome(written: &str, found: Found) -> CheckOutcome {
        let requirement = Requirement {
            written: written.into(),
            kind: Required::parse(written).unwrap(),
        };
        let checked = check(&requirement, &found, None);
        assert_eq!(checked.id, format!("requires:{written}"));
        let says_what_to_do = checked.help.is_some();
        assert_eq!(says_what_to_do, checked.outcome != Passed, "{checked:?}");
        checked.outcome
    }

    #[test]
    fn every_border_on_both_sides() {
        let there = |text: &str| Found::There(text.into());
        for (written, found, expected) in [
            ("command:pg_dump>=15", there("pg_dump (x) 15.1"), Passed),
            ("command:pg_dump>=15", there("pg_dump (x) 14.9"), Failed),
            ("command:pg_dump>=15", there("usage: pg_dump"), Failed),
            ("command:jq", there("whatever"), Passed),
            ("command:jq", Found::Missing("no".into()), Failed),
            ("extension:pgcrypto>=1.3", there("1.3"), Passed),
            ("extension:pgcrypto>=1.3", there("1.2"), Failed),
            ("server:sqlite>=3.40", there("3.45.1"), Passed),
            ("server:sqlite>=3.50", there("3.45.1"), Failed),
            ("setting:s.k=true", there("true"), Passed),
            ("setting:s.k=true", there("TRUE"), Failed),
            ("disk:5GB", Found::Free(5_000_000_000), Passed),
            ("disk:5GB", Found::Free(4_999_999_999), Failed),
            ("backup:24h", Found::Aged(86_400), Passed),
            ("backup:24h", Found::Aged(86_401), Failed),
            ("rehearsal:7d", Found::Later("later".into()), Warned),
            ("env:A", there("set"), Passed),
            ("env:A", Found::Missing("not set".into()), Failed),
            ("tcp:h:1", Found::Unknown("?".into()), Failed),
        ] {
            assert_eq!(
                outcome(written, found.clone()),
                expected,
                "{written} {found:?}"
            );
        }
    }
}
