//! One statement, tried out in a transaction that is rolled back whatever becomes of it.

use super::answer::one_statement;
use super::show::shown;
use super::{Context, Trouble};
use dunlin_core::dialect::checks::ChecksDialect;
use dunlin_core::schema::Catalog;
use dunlin_core::source::grammar::checks::Because;
use dunlin_core::sql::{Kind, ObjectKind, ObjectRef, StatementClass};
use dunlin_core::value::Row;
use dunlin_engines::{DbError, Purpose, Session};
use std::collections::BTreeMap;
use std::time::Duration;

/// How long a tried statement waits for a lock: a check must not stand in the way of those who work.
const PATIENCE: Duration = Duration::from_secs(5);

/// What became of a tried statement.
pub(super) struct Tried {
    /// It was taken, or refused with this error.
    pub outcome: Result<(), Refusal>,
    /// Counters that the rollback did not bring back, as a clause; empty: none.
    pub used_up: String,
}

/// Why a statement was refused.
pub(super) struct Refusal {
    /// The kind of violation; `None`: none of those that a check can name.
    pub because: Option<Because>,
    /// The server's sentence.
    pub message: String,
}

/// Tries a statement. The error is a trouble that is no answer to the question: two statements, tables without
/// transactions, a lock that was not had, a lost connection.
pub(super) async fn attempt(cx: &mut Context<'_>, text: &str) -> Result<Tried, Trouble> {
    let catalog = cx.catalog().await?;
    let database = cx.world.engine.database();
    let mut session = cx.world.open(Purpose::Tool).await?;
    let tried = within(&mut *session, &catalog, text, &database).await;
    // Whatever happened: nothing may stay. A session that is gone took its transaction with it.
    let rolled_back = session.rollback().await;
    let tried = match (tried, rolled_back) {
        (Ok(tried), Ok(())) => finish(&mut *session, tried).await,
        (Ok(_), Err(error)) if !error.class.is_lost() => Err(error.into()),
        (tried, _) => tried.map(|(outcome, _)| Tried {
            outcome,
            used_up: String::new(),
        }),
    };
    session.close().await;
    tried
}

type Halfway = (Result<(), Refusal>, Vec<Row>);

async fn within(
    session: &mut dyn Session,
    catalog: &Catalog,
    text: &str,
    database: &str,
) -> Result<Halfway, Trouble> {
    let sql = one_statement(session, text)?;
    let class = session.dialect().classify(&sql, session.lex_mode());
    may_be_tried(session, catalog, &class, database).await?;
    let checks = session.dialect().checks();
    for statement in checks.trial_before(session.caps(), PATIENCE) {
        session.execute(&statement).await?;
    }
    let counters = counters(session, checks).await?;
    session.begin().await?;
    for statement in checks.trial_within(PATIENCE) {
        session.execute(&statement).await?;
    }
    let deferred = catalog.tables.iter().any(|table| {
        let waits = |text: &String| text.to_uppercase().contains("DEFER");
        let mut keys = table.foreign_keys.iter();
        keys.any(|key| key.attributes.as_ref().is_some_and(waits))
    });
    let dangling = checks.dangling().filter(|_| deferred);
    let before = count(session, dangling).await?;
    let done = session.execute(&sql).await;
    let done = match (done, checks.immediate()) {
        (Ok(_), Some(immediate)) => session.execute(immediate).await.map(|_| ()),
        (done, _) => done.map(|_| ()),
    };
    let outcome = match done {
        Err(error) => Err(refusal(error, checks, catalog, &class)?),
        Ok(()) if count(session, dangling).await? > before => Err(Refusal {
            because: Some(Because::ForeignKey),
            message: "a deferred foreign key is violated".into(),
        }),
        Ok(()) => Ok(()),
    };
    Ok((outcome, counters))
}

async fn finish(session: &mut dyn Session, (outcome, before): Halfway) -> Result<Tried, Trouble> {
    let checks = session.dialect().checks();
    let after = counters(session, checks).await?;
    let old: BTreeMap<String, &Row> = before.iter().map(|row| (name_of(row), row)).collect();
    let moved = after.iter().filter_map(|row| {
        let name = name_of(row);
        let was = old.get(&name)?.get(1).map(shown)?;
        let is = row.get(1).map(shown)?;
        (was != is).then(|| format!("{name} {was} -> {is}"))
    });
    let moved: Vec<String> = moved.collect();
    let used_up = if moved.is_empty() {
        String::new()
    } else {
        format!("; counters used up meanwhile: {}", moved.join(", "))
    };
    Ok(Tried { outcome, used_up })
}

fn name_of(row: &Row) -> String {
    row.first().map(shown).unwrap_or_default()
}

async fn counters(
    session: &mut dyn Session,
    checks: &dyn ChecksDialect,
) -> Result<Vec<Row>, DbError> {
    match checks.counters() {
        Some(query) => session.query(query, &[]).await,
        None => Ok(vec![]),
    }
}

async fn count(session: &mut dyn Session, query: Option<&str>) -> Result<i64, DbError> {
    let Some(query) = query else { return Ok(0) };
    let rows = session.query(query, &[]).await?;
    let first = rows.first().and_then(|row| row.first());
    Ok(first
        .and_then(dunlin_core::value::Value::as_i64)
        .unwrap_or(0))
}

/// Troubles that answer nothing, and what else is refused.
fn refusal(
    error: DbError,
    checks: &dyn ChecksDialect,
    catalog: &Catalog,
    class: &StatementClass,
) -> Result<Refusal, Trouble> {
    use dunlin_core::failure::ErrorClass::*;
    if matches!(
        error.class,
        ConnectionLost
            | LockTimeout
            | StatementTimeout
            | Busy
            | Deadlock
            | Serialization
            | Cancelled
            | DiskFull
    ) {
        return Err(error.into());
    }
    let mut because = checks.because(&error.code, &error.message);
    if because == Some(Because::Check)
        && let Some(named) = checks.check_named(&error.message)
        && checks_json(catalog, class, &named)
    {
        because = Some(Because::Json);
    }
    let code = if error.code.is_empty() {
        String::new()
    } else {
        format!(" ({})", error.code)
    };
    Ok(Refusal {
        because,
        message: format!("{}{code}", error.message),
    })
}

/// Whether the check of this name (or text) is there to let in JSON only: its clause says so, or it is a JSON column's own.
fn checks_json(catalog: &Catalog, class: &StatementClass, named: &str) -> bool {
    let json = |text: &str| text.to_lowercase().contains("json_valid");
    if json(named) {
        return true;
    }
    let touched = |name: &str| {
        class
            .touches
            .iter()
            .any(|object| object.name.eq_ignore_ascii_case(name))
    };
    catalog
        .tables
        .iter()
        .filter(|table| touched(&table.name))
        .any(|table| {
            let mut checks = table.checks.iter();
            let by_name =
                checks.any(|check| check.name.as_deref() == Some(named) && json(&check.clause));
            let column = table.column(named);
            by_name
                || column
                    .is_some_and(|column| column.neutral == dunlin_core::schema::NeutralType::Json)
        })
}

/// Whether a statement can be tried at all: it changes rows, of tables whose changes a rollback takes back.
async fn may_be_tried(
    session: &mut dyn Session,
    catalog: &Catalog,
    class: &StatementClass,
    database: &str,
) -> Result<(), Trouble> {
    if class.kind != Kind::Dml {
        let what = if class.verb.is_empty() {
            "another"
        } else {
            &class.verb
        };
        let only = "only a statement that writes rows can be tried out and taken back; this is";
        return Err(format!("{only} {what}").into());
    }
    if !session.caps().storage_engines {
        return Ok(());
    }
    let mut asked: Vec<ObjectRef> = class
        .touches
        .iter()
        .filter(|object| object.kind == ObjectKind::Table)
        .cloned()
        .collect();
    if asked.is_empty() {
        return Err("which table it writes cannot be told".to_owned().into());
    }
    // A view over a table without transactions would be written through.
    if let Some(view) = asked.iter().find(|one| is_view(catalog, &one.name)) {
        let what = "is a view: name the table behind it, whose storage can be told";
        return Err(format!("{} {what}", view.name).into());
    }
    asked.extend(written_by_triggers(catalog, &asked));
    let stays = not_transactional(session, &asked, database).await?;
    match stays.first() {
        None => Ok(()),
        Some(table) => {
            let why = "is kept by a storage engine without transactions: what is tried there stays";
            Err(format!("{table} {why}, so it is not tried").into())
        }
    }
}

/// The tables that triggers of these tables may write: all that their texts name.
fn written_by_triggers(catalog: &Catalog, asked: &[ObjectRef]) -> Vec<ObjectRef> {
    let named = |name: &str| {
        let mut asked = asked.iter();
        asked.any(|one| one.name.eq_ignore_ascii_case(name))
    };
    let triggers: String = catalog
        .tables
        .iter()
        .filter(|table| named(&table.name))
        .flat_map(|table| &table.triggers)
        .map(|trigger| trigger.definition.to_lowercase())
        .collect();
    let written = catalog
        .tables
        .iter()
        .filter(|table| triggers.contains(&table.name.to_lowercase()));
    written
        .map(|table| ObjectRef::table(None, &table.name))
        .collect()
}

/// Those of these tables whose changes a rollback does not take back. A table that is missing is said by the server.
async fn not_transactional(
    session: &mut dyn Session,
    asked: &[ObjectRef],
    database: &str,
) -> Result<Vec<String>, DbError> {
    let mut found = vec![];
    for part in asked.chunks(500) {
        let Some(query) = session.dialect().storage(part) else {
            continue;
        };
        for row in session.query(&query.sql, &query.params).await? {
            let schema = row.first().map(shown).unwrap_or_default();
            let name = row.get(1).map(shown).unwrap_or_default();
            // Other databases have tables of the same names.
            let meant = part.iter().any(|one| {
                let wanted = one.schema.as_deref().unwrap_or(database);
                one.name.eq_ignore_ascii_case(&name) && wanted.eq_ignore_ascii_case(&schema)
            });
            let transactional = row.get(2).and_then(|value| value.as_bool()) == Some(true);
            if meant && !transactional {
                found.push(name);
            }
        }
    }
    Ok(found)
}

fn is_view(catalog: &Catalog, name: &str) -> bool {
    catalog
        .views
        .iter()
        .any(|view| view.name.eq_ignore_ascii_case(name))
}
