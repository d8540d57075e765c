//! Looking at a database: its catalog, the sizes of its tables, the statements that make its objects.
//!
//! Everything here reads, through a session of Dunlin's own (`Purpose::Tool` or `Purpose::Read`), whose pinned settings
//! decide how servers spell names.

use dunlin_core::dialect::catalog::Part;
use dunlin_core::facts::TableSize;
use dunlin_core::failure::ErrorClass;
use dunlin_core::schema::lookup::Lookup;
use dunlin_core::schema::{Catalog, Scope};
use dunlin_core::value::{Query, Row};
use dunlin_engines::{DbError, Session};
use std::time::Duration;

/// How long a statement that was told to end may take to do so.
const DRAIN: Duration = Duration::from_secs(5);

/// Asks a question that may take so long and no longer: then it is cancelled, and the session is drained.
pub async fn bounded(
    session: &mut dyn Session,
    query: &Query,
    limit: Duration,
) -> Result<Vec<Row>, DbError> {
    let cancel = session.canceller();
    let mut asking = session.query(&query.sql, &query.params);
    if let Ok(answer) = tokio::time::timeout(limit, &mut asking).await {
        return answer;
    }
    let message = format!(
        "it took longer than {:.1} s and was ended",
        limit.as_secs_f64()
    );
    let late = DbError::new(ErrorClass::StatementTimeout, message);
    // Where it cannot be cancelled it is waited for below, and given up then.
    let _ = cancel.cancel().await;
    match tokio::time::timeout(DRAIN, asking).await {
        // It came to its end between the two.
        Ok(Ok(rows)) => Ok(rows),
        Ok(Err(_)) | Err(_) => Err(late),
    }
}

/// The catalog of what is ours, in a fixed number of queries.
pub async fn catalog(session: &mut dyn Session, scope: &Scope) -> Result<Catalog, DbError> {
    Ok(whole(session).await?.owned(scope))
}

/// The catalog of everything, the journal's tables included.
pub async fn whole(session: &mut dyn Session) -> Result<Catalog, DbError> {
    let parts = session.dialect().catalog();
    match parts.setting().filter(|_| !session.in_transaction()) {
        None => answers(session).await,
        Some(setting) => {
            session.begin_with(setting).await?;
            let read = answers(session).await;
            // It has only read: whatever its end says takes nothing away from what was read.
            let _ = session.rollback().await;
            read
        }
    }
}

async fn answers(session: &mut dyn Session) -> Result<Catalog, DbError> {
    let parts = session.dialect().catalog();
    let caps = session.caps().clone();
    let mut answers = vec![];
    for query in parts.queries(&caps) {
        answers.push(session.ask(&query.sql, &query.params).await?);
    }
    Ok(parts.read(&caps, &answers))
}

/// Where the session's statements look for the tables that they name; `database`: what it is called.
pub async fn lookup(session: &mut dyn Session, database: String) -> Result<Lookup, DbError> {
    let schema = |row: &Row| Some(row.first()?.as_str()?.to_owned());
    let path = match session.dialect().change().path() {
        Some(query) => session.ask(query, &[]).await?.iter().map(schema).collect(),
        None => vec![],
    };
    let default = session.caps().default_schema.clone();
    Ok(Lookup {
        default: default.or(Some(database)),
        path,
    })
}

/// The sizes of all tables of a scope.
pub async fn sizes(session: &mut dyn Session, scope: &Scope) -> Result<Vec<TableSize>, DbError> {
    let dialect = session.dialect();
    let query = dialect.table_sizes();
    let rows = session.ask(&query.sql, &query.params).await?;
    let default = session.caps().default_schema.clone();
    let sizes = rows.iter().filter_map(|row| dialect.read_table_size(row));
    Ok(sizes
        .filter(|size| {
            let schema = size
                .schema
                .as_deref()
                .filter(|schema| default.as_deref() != Some(*schema));
            scope.owns(schema, &size.name)
        })
        .collect())
}

/// Puts the server's own statements into a catalog, where it shows them more exactly than its catalog views do: one
/// query for each object, so for dumps only. What may not be seen stays as it is.
pub async fn exact(session: &mut dyn Session, catalog: &mut Catalog) -> Result<(), DbError> {
    for at in 0..catalog.tables.len() {
        if let Some(text) = shown(session, Part::Table(&catalog.tables[at])).await? {
            catalog.tables[at].definition = Some(text);
        }
        for number in 0..catalog.tables[at].triggers.len() {
            let table = &catalog.tables[at];
            let part = Part::Trigger(
                table.schema.as_deref(),
                &table.name,
                &table.triggers[number],
            );
            if let Some(text) = shown(session, part).await? {
                catalog.tables[at].triggers[number].definition = text;
            }
        }
    }
    for at in 0..catalog.routines.len() {
        if let Some(text) = shown(session, Part::Routine(&catalog.routines[at])).await? {
            catalog.routines[at].definition = Some(text);
        }
    }
    for at in 0..catalog.sequences.len() {
        if let Some(text) = shown(session, Part::Sequence(&catalog.sequences[at])).await? {
            catalog.sequences[at].settings = Some(text);
        }
    }
    for at in 0..catalog.events.len() {
        if let Some(text) = shown(session, Part::Event(&catalog.events[at])).await? {
            catalog.events[at].definition = text;
        }
    }
    Ok(())
}

async fn shown(session: &mut dyn Session, part: Part<'_>) -> Result<Option<String>, DbError> {
    let parts = session.dialect().catalog();
    let Some(query) = parts.show(part) else {
        return Ok(None);
    };
    match session.query(&query.sql, &query.params).await {
        Ok(rows) => Ok(parts.read_show(part, &rows)),
        // Dropped meanwhile, or not ours to see: what the catalog knew is still the best there is.
        Err(error)
            if matches!(
                error.class,
                ErrorClass::ObjectMissing | ErrorClass::PermissionDenied
            ) =>
        {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}
