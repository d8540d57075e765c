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
    let spelled = |name: &str| spelling(&catalog, object, name, scratch, dialect, &mode);
    let Some(expected) = spelled(scratch) else {
        return Ok(vec![]);
    };
    let Some(actual) = spelled(&object.name) else {
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

/// How the catalog spells an object of this name and of the kind of `object`, under the scratch name.
fn spelling(
    catalog: &Catalog,
    object: &ObjectRef,
    name: &str,
    scratch: &str,
    dialect: &dyn Dialect,
    mode: &LexMode,
) -> Option<String> {
    let is = |other: &str| other.eq_ignore_ascii_case(name);
    let within = |schema: &Option<String>| object.schema.is_none() || *schema == object.schema;
    let renamed = |definition: &str| {
        let renamed = rename::rename_create(dialect, mode, definition, scratch)?;
        Some(text::normal(&renamed, dialect))
    };
    match object.kind {
        ObjectKind::Sequence => {
            let mut found = catalog.sequences.iter();
            let found = found.find(|one| is(&one.name) && within(&one.schema))?;
            Some(found.settings.clone().unwrap_or_default())
        }
        ObjectKind::Event => {
            let found = catalog.events.iter().find(|one| is(&one.name))?;
            let off = rename::switched_off(dialect, mode, &found.definition)?;
            renamed(&without_moment(&off))
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
            renamed(found.definition.as_deref()?)
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
