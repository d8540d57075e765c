//! What a person decides otherwise than a copy would: names, types and policies of single tables and columns.

use super::policy::{Hazard, Policies, Policy};
use crate::dialect::copy::CopyDialect;
use crate::finding::{Finding, Place};
use crate::source::shape::shape;
use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::BTreeMap;

/// A file of casts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Casts {
    /// Tables under other names: `"old name" = "new name"`; `"schema.old"` where the schema is not the default one.
    pub tables: BTreeMap<String, String>,
    /// Columns, by `"table.column"`.
    pub columns: BTreeMap<String, ColumnCast>,
}

/// What is decided of a column.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ColumnCast {
    /// The type that it gets in the target, in the target's words.
    #[serde(rename = "type")]
    pub ty: Option<String>,
    /// Another name.
    pub name: Option<String>,
    /// What is done with every value that does not go over as it is.
    pub on_error: Option<OnError>,
    /// What is done about single hazards, by their codes.
    pub policy: BTreeMap<String, OnError>,
}

/// What is done with a value that does not go over as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OnError {
    /// The copy ends with an error.
    Fail,
    /// The row stays behind, in the file of rejects.
    Reject,
    /// The value is bent, and counted.
    Coerce,
}

impl OnError {
    /// The word.
    pub const fn word(self) -> &'static str {
        match self {
            OnError::Fail => "fail",
            OnError::Reject => "reject",
            OnError::Coerce => "coerce",
        }
    }
}

impl Casts {
    /// Adds the policies of single columns. Reading the file has refused words that are none.
    pub fn decide(&self, policies: &mut Policies) {
        for (place, cast) in &self.columns {
            let policy = |on: OnError| Policy::by_name(on.word());
            if let Some(policy) = cast.on_error.and_then(policy) {
                policies.columns.insert(place.clone(), policy);
            }
            for (code, on) in &cast.policy {
                if let (Some(hazard), Some(policy)) = (Hazard::by_code(code), policy(*on)) {
                    policies.exact.insert((place.clone(), hazard), policy);
                }
            }
        }
    }

    /// Reads a file. Every fault at once.
    pub fn parse(text: &str, file: &str) -> Result<Casts, Vec<Finding>> {
        let schema = schemars::schema_for!(Casts);
        let shaped = shape(file, text, schema.as_value());
        let mut findings = shaped.findings;
        let casts: Casts = match serde_json::from_value(shaped.value) {
            Ok(casts) => casts,
            Err(error) => {
                if findings.is_empty() {
                    findings.push(Finding::error(
                        "bad-value",
                        Place::file(file),
                        format!("the file cannot be read: {error}"),
                    ));
                }
                return Err(findings);
            }
        };
        for (column, cast) in &casts.columns {
            if !column.contains('.') {
                findings.push(
                    Finding::error(
                        "bad-value",
                        Place::file(file),
                        format!("`{}` names no column", column.escape_debug()),
                    )
                    .help("a column is named with its table: \"table.column\""),
                );
            }
            for code in cast.policy.keys() {
                if super::policy::Hazard::by_code(code).is_none() {
                    let known: Vec<&str> = super::policy::Hazard::ALL
                        .iter()
                        .map(|hazard| hazard.code())
                        .collect();
                    let mut finding = Finding::error(
                        "bad-value",
                        Place::file(file),
                        format!("`{}` is no hazard of a value", code.escape_debug()),
                    );
                    finding.help = crate::source::nearest::did_you_mean(code, &known);
                    findings.push(finding);
                }
            }
        }
        if crate::finding::any_error(&findings) {
            Err(findings)
        } else {
            Ok(casts)
        }
    }

    /// Whether nothing is decided of names and types.
    pub fn changes_nothing(&self) -> bool {
        self.tables.is_empty()
            && self
                .columns
                .values()
                .all(|column| column.ty.is_none() && column.name.is_none())
    }

    /// Types that the target does not have: said before a value is read, for no value would fit.
    pub fn unknown_types(&self, target: &dyn CopyDialect) -> Vec<Finding> {
        let asked = self.columns.iter().filter_map(|(place, cast)| {
            let ty = cast.ty.as_ref()?;
            Some((place, ty, target.proper(ty).err()?))
        });
        let finding = |(place, ty, names): (&String, &String, &[&str])| {
            Finding::error(
                "cast-unknown",
                Place::object(place),
                format!(
                    "the cast of {place} asks for the type `{}`, which the target does not have",
                    ty.escape_debug()
                ),
            )
            .help(format!("its types are {}", names.join(", ")))
        };
        asked.map(finding).collect()
    }

    /// What is decided of a column.
    pub fn column(&self, table: &str, column: &str) -> Option<&ColumnCast> {
        self.columns.get(&format!("{table}.{column}"))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_file_is_read_whole() {
        let casts = Casts::parse(
            "[tables]\n\"old name\" = \"new\"\n[columns.\"t.c\"]\ntype = \"jsonb\"\nname = \"x\"\non_error = \"coerce\"\npolicy = { zero-date = \"reject\" }\n",
            "casts.toml",
        )
        .unwrap();
        assert_eq!(casts.tables["old name"], "new");
        let column = casts.column("t", "c").unwrap();
        assert_eq!(column.ty.as_deref(), Some("jsonb"));
        assert_eq!(column.on_error, Some(OnError::Coerce));
        assert_eq!(column.policy["zero-date"], OnError::Reject);
    }

    #[test]
    fn every_fault_is_said_at_once() {
        let faults = Casts::parse(
            "[table]\na = \"b\"\n[columns.\"t.c\"]\ntyp = \"jsonb\"\non_error = \"bend\"\n[columns.x]\nname = \"y\"\n[columns.\"t.d\"]\npolicy = { zero-dat = \"fail\" }\n",
            "casts.toml",
        )
        .unwrap_err();
        let text: Vec<String> = faults
            .iter()
            .map(|fault| {
                format!(
                    "{} {}",
                    fault.message,
                    fault.help.as_deref().unwrap_or_default()
                )
            })
            .collect();
        let all = text.join("\n");
        for part in [
            "unknown key `table`",
            "did you mean `tables`",
            "did you mean `type`",
            "`bend`",
            "names no column",
            "did you mean `zero-date`",
        ] {
            assert!(all.contains(part), "{part} in {all}");
        }
    }
}
