//! What `version.json` says that a migration makes (`tables_created`, `views_created`), looked for when it has run.

use super::migrate::Unit;
use crate::executor::Runner;
use dunlin_core::failure::{Failure, FailureClass};
use dunlin_core::finding::Place;
use dunlin_core::journal::Direction;
use dunlin_core::sql::{Condition, ObjectKind, ObjectRef};
use dunlin_core::value::Value;

/// Whether everything is there that the manifest names; a failure of the migration where something is not. Asked with
/// each commit, and looked at where the unit ends with it: then it can still be rolled back.
pub async fn kept(runner: &mut Runner<'_>, unit: &Unit<'_>, ends: bool) -> Result<(), Failure> {
    if !ends || unit.direction != Direction::Up {
        return Ok(());
    }
    let mut missing = vec![];
    for name in &unit.migration.creates {
        if !is_there(runner, name).await? {
            missing.push(format!("`{name}`"));
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    let message = format!(
        "version.json says that it makes {}, and nothing of that name is there now that it has run",
        missing.join(", ")
    );
    Err(Failure::new(FailureClass::Failed, "not-created", message)
        .at(Place::file(&unit.script.file))
        .hint("mend `tables_created` or `views_created` in version.json, or the script; then run again"))
}

async fn is_there(runner: &mut Runner<'_>, name: &str) -> Result<bool, Failure> {
    let (schema, plain) = match name.split_once('.') {
        Some((schema, plain)) => (Some(schema), plain),
        None => (None, name),
    };
    for kind in [
        ObjectKind::Table,
        ObjectKind::View,
        ObjectKind::MaterializedView,
    ] {
        let object = ObjectRef {
            kind,
            ..ObjectRef::table(schema, plain)
        };
        let Some(query) = runner.work.dialect().probe(&Condition::Exists(object)) else {
            continue;
        };
        let rows = runner
            .work
            .query(&query.sql, &query.params)
            .await
            .map_err(|error| runner.trouble(&error, "cannot look for what was made"))?;
        let found = rows.first().and_then(|row| row.first());
        if found.and_then(Value::as_bool) == Some(true) {
            return Ok(true);
        }
    }
    Ok(false)
}
