//! Histories that are not ours, looked for where our own journal says nothing yet.

use crate::inspect;
use crate::trouble;
use crate::world::World;
use dunlin_core::failure::{ErrorClass, Failure};
use dunlin_core::finding::{Finding, Place};
use dunlin_core::journal::foreign::{self, Table};
use dunlin_core::value::Value;
use dunlin_engines::{DbError, Purpose, Session};

async fn tables(
    session: &mut dyn Session,
    schemas: &[&str],
    names: &[&str],
) -> Result<Vec<Table>, DbError> {
    let query = session.dialect().columns_of(schemas, names);
    let rows = session.ask(&query.sql, &query.params).await?;
    Ok(foreign::read_tables(&rows))
}

/// Refuses where a table has the name of one of the journal's and is another's: what is not read as a journal must not
/// pass for "no journal yet", and nothing of ours is made beside it.
pub async fn no_stranger(world: &World, session: &mut dyn Session) -> Result<(), DbError> {
    let own = foreign::own_names(&world.names);
    let lower: Vec<String> = own.iter().map(|name| name.to_lowercase()).collect();
    let names: Vec<&str> = lower.iter().map(String::as_str).collect();
    let schema = world.names.schema.as_deref().unwrap_or("public");
    let tables = tables(session, &[schema], &names).await?;
    let Some((name, lacks)) = foreign::stranger(&world.names, &tables) else {
        return Ok(());
    };
    let message = format!(
        "the table `{name}` has the name of one of Dunlin's own and is another's, for it has no column `{}`; \
         nothing has been touched",
        lacks.first().copied().unwrap_or_default()
    );
    let mut error = DbError::new(ErrorClass::Other, message);
    error.code = "journal-of-another".into();
    error.hint = Some(
        "let Dunlin's tables have other names: `journal_prefix = \"migrations_\"` in dunlin.toml"
            .into(),
    );
    Err(error)
}

/// The histories of other tools.
pub async fn histories(world: &World, session: &mut dyn Session) -> Result<Vec<Finding>, Failure> {
    let lost = |found: &Result<_, DbError>| matches!(found, Err(error) if error.class == ErrorClass::ConnectionLost);
    let mut found = look(world, session).await;
    if lost(&found) {
        let mut fresh = world.open(Purpose::Read).await?;
        found = look(world, &mut *fresh).await;
        fresh.close().await;
        // Twice at the same question. A transaction pooler does that, and no script runs through one: the lease says it
        // by name a moment later.
        if lost(&found) && is_pooled(world).await {
            return Ok(vec![]);
        }
    }
    found.map_err(|error| world.redact(trouble::refused(&error, "cannot read the catalog")))
}

/// Whether several sessions share one of the server's.
async fn is_pooled(world: &World) -> bool {
    let found = dunlin_engines::lease::is_pooled(&*world.engine, &world.names).await;
    found.unwrap_or(false)
}

async fn look(world: &World, session: &mut dyn Session) -> Result<Vec<Finding>, DbError> {
    let mut schemas = foreign::SCHEMAS.to_vec();
    schemas.extend(world.names.schema.as_deref());
    let mut findings = vec![];
    let restoring = world.sql.restoring.name.to_lowercase();
    let mut names = foreign::names().to_vec();
    names.push(&restoring);
    for table in tables(session, &schemas, &names).await? {
        if table.name.eq_ignore_ascii_case(&restoring) {
            findings.push(interrupted_restore(&table.name));
            continue;
        }
        let Some(tool) = foreign::tool_of(&table) else {
            continue;
        };
        let query = session
            .dialect()
            .count_rows(table.schema.as_deref(), &table.name);
        // A history that this user may not read is there all the same.
        let rows = match session.query(&query.sql, &query.params).await {
            Ok(rows) => count(&rows),
            Err(_) => None,
        };
        let ours = inspect::scope(world).owns(table.schema.as_deref(), &table.name);
        findings.push(foreign::finding(tool, &table, rows, ours));
    }
    Ok(findings)
}

/// The journal is loaded last: where a restore did not come to its end, the journal says nothing and its mark is there.
fn interrupted_restore(mark: &str) -> Finding {
    let message = format!(
        "a restore of this database was begun and has not come to its end: the table `{mark}` is still there"
    );
    Finding::error("restore-interrupted", Place::object(mark), message).help(
        "run the restore again: `dunlin backup list`, then `dunlin backup restore PATH --replace`",
    )
}

fn count(rows: &[Vec<Value>]) -> Option<u64> {
    let number = rows.first()?.first()?.as_i64()?;
    u64::try_from(number).ok()
}
