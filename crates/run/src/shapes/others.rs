//! Routines, events and sequences: made under a scratch name, which harms nobody, and compared as the server spells them.

use super::made;
use crate::executor::Runner;
use dunlin_core::dialect::Dialect;
use dunlin_core::schema::{Catalog, rename, text};
use dunlin_core::sql::{LexMode, ObjectKind, ObjectRef};
use dunlin_engines::DbError;

/// What differs, in a few words; empty where nothing does, or where it cannot be told.
pub(super) async fn compare(
    runner: &mut Runner<'_>,
    sql: &str,
    object: &ObjectRef,
    scratch: &str,
) -> Result<Vec<String>, DbError> {
    let dialect = runner.work.dialect();
    let mode = runner.work.lex_mode().clone();
    let harmless = |create: String| match object.kind {
        // Switched on it might run before it is dropped again.
        ObjectKind::Event => rename::switched_off(dialect, &mode, &create),
        _ => Some(create),
    };
    let Some(catalog) = made(runner, sql, scratch, harmless).await? else {
        return Ok(vec![]);
    };
    let Some((schema, expected)) =
        spelling(&catalog, object, (None, scratch), scratch, dialect, &mode)
    else {
        return Ok(vec![]);
    };
    // There `IF NOT EXISTS` has looked, whatever has the same name elsewhere.
    let named = (Some(&schema), object.name.as_str());
    let Some((_, actual)) = spelling(&catalog, object, named, scratch, dialect, &mode) else {
        return Ok(vec![format!(
            "something else is called {}, or its text may not be read",
            object.name
        )]);
    };
    if expected == actual {
        return Ok(vec![]);
    }
    Ok(vec![format!(
        "{object}: `{expected}` expected, `{actual}` found"
    )])
}

/// The schema of an object of this name and of the kind of `object`, and how the catalog spells it, under the scratch name.
fn spelling(
    catalog: &Catalog,
    object: &ObjectRef,
    (schema, name): (Option<&Option<String>>, &str),
    scratch: &str,
    dialect: &dyn Dialect,
    mode: &LexMode,
) -> Option<(Option<String>, String)> {
    let is = |other: &str| other.eq_ignore_ascii_case(name);
    let within = |other: &Option<String>| schema.is_none_or(|schema| schema == other);
    let renamed = |definition: &str| {
        let renamed = rename::rename_create(dialect, mode, definition, scratch)?;
        Some(text::normal(&renamed, dialect))
    };
    match object.kind {
        ObjectKind::Sequence => {
            let mut found = catalog.sequences.iter();
            let found = found.find(|one| is(&one.name) && within(&one.schema))?;
            Some((
                found.schema.clone(),
                found.settings.clone().unwrap_or_default(),
            ))
        }
        ObjectKind::Event => {
            let found = catalog.events.iter().find(|one| is(&one.name))?;
            let off = rename::switched_off(dialect, mode, &found.definition)?;
            Some((None, renamed(&without_moment(&off))?))
        }
        kind => {
            let word = match kind {
                ObjectKind::Procedure => "PROCEDURE",
                _ => "FUNCTION",
            };
            let mut found = catalog.routines.iter();
            let found = found.find(|one| {
                is(&one.name) && one.kind.eq_ignore_ascii_case(word) && within(&one.schema)
            })?;
            Some((found.schema.clone(), renamed(found.definition.as_deref()?)?))
        }
    }
}

/// An event that happens once, without the moment: `CURRENT_TIMESTAMP + INTERVAL 1 DAY` is another one each time.
fn without_moment(definition: &str) -> String {
    let Some((head, rest)) = definition.split_once(" ON SCHEDULE AT '") else {
        return definition.to_owned();
    };
    let after = rest.split_once('\'').map_or("", |(_, after)| after);
    format!("{head} ON SCHEDULE AT ''{after}")
}
