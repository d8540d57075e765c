//! Rows that a script's statements have put into tables and taken out of them, by the names that they say.

use crate::executor::Runner;
use dunlin_core::schema::label;
use dunlin_core::sql::ObjectRef;
use std::collections::BTreeMap;

/// The name under which a table is counted: as the statement says it, in lower case.
pub(super) fn name_of(table: &ObjectRef) -> String {
    label(table.schema.as_deref(), &table.name).to_lowercase()
}

/// The schema that goes without saying.
pub(super) fn default_schema(runner: &Runner<'_>) -> String {
    let default = runner.work.caps().default_schema.clone();
    default.unwrap_or_else(|| runner.world.engine.database())
}

/// Whether two names are of one table; `None`: only one of them says a schema, which is not the one that goes without
/// saying, and the session may be set to it.
pub(super) fn is_same(one: &ObjectRef, other: &ObjectRef, default: &str) -> Option<bool> {
    if !one.name.eq_ignore_ascii_case(&other.name) {
        return Some(false);
    }
    match (&one.schema, &other.schema) {
        (None, None) => Some(true),
        (Some(one), Some(other)) => Some(one.eq_ignore_ascii_case(other)),
        (Some(said), None) | (None, Some(said)) => {
            said.eq_ignore_ascii_case(default).then_some(true)
        }
    }
}

/// What is counted of a table, under each name that may be its own; `None` among them: it cannot be told.
pub(super) fn counted_of<T: Copy>(
    counted: &BTreeMap<String, Option<T>>,
    table: &ObjectRef,
    default: &str,
) -> Vec<Option<T>> {
    let name = table.name.to_lowercase();
    let found = counted.iter().filter_map(|(said, rows)| {
        let schema = match said.strip_suffix(&name)? {
            "" => None,
            before => Some(before.strip_suffix('.')?),
        };
        match is_same(table, &ObjectRef::table(schema, &name), default) {
            Some(false) => None,
            Some(true) => Some(*rows),
            None => Some(None),
        }
    });
    found.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_told_from_its_namesakes() {
        let counted: BTreeMap<String, Option<u64>> = [
            ("bird", Some(1)),
            ("main.bird", Some(2)),
            ("other.bird", Some(4)),
            ("blackbird", Some(8)),
            ("other.nest", None),
        ]
        .map(|(name, rows)| (name.to_owned(), rows))
        .into();
        let of = |schema, name| {
            let mut found = counted_of(&counted, &ObjectRef::table(schema, name), "main");
            found.sort();
            found
        };
        assert_eq!(of(None, "Bird"), [None, Some(1), Some(2)]);
        assert_eq!(of(Some("main"), "bird"), [Some(1), Some(2)]);
        assert_eq!(of(Some("Other"), "bird"), [None, Some(4)]);
        assert_eq!(of(None, "blackbird"), [Some(8)]);
        assert_eq!(of(Some("other"), "nest"), [None]);
        assert_eq!(of(None, "egg"), []);
    }
}
