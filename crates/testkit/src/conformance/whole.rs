//! A whole transaction: BEGIN, a statement, its record, COMMIT, and what stands when one of them fails.

use super::kind;
use anyhow::{Result, bail, ensure};
use dunlin_core::dialect::EngineKind;
use dunlin_core::failure::ErrorClass;
use dunlin_core::value::Value;
use dunlin_engines::{Engine, Halted, Purpose, Session, Took, Whole, lease::Witness};
use std::sync::Arc;

const TABLES: [&str; 2] = ["whole_t", "whole_journal"];

/// Sends a statement with a record whose text says how long it took.
async fn send(session: &mut dyn Session, sql: &str, what: Value) -> Result<u64, Halted> {
    let cast = |n: usize, ty: &str| match kind(session) {
        EngineKind::Postgres => format!("{}::{ty}", session.dialect().param(n)),
        _ => session.dialect().param(n),
    };
    let (what_at, n_at) = (cast(1, "text"), cast(2, "integer"));
    let record = format!("INSERT INTO whole_journal (what, n) VALUES ({what_at}, {n_at})");
    let params = [what, Value::Int(-1)];
    let (param, at, plus) = (0, 3, 100_000);
    let ours: Witness = Arc::new(|| true);
    let whole = Whole {
        sql,
        record: &record,
        params: &params,
        took: Some(Took { param, at, plus }),
        may_commit: Some(&ours),
    };
    session.whole(whole).await
}

/// The milliseconds go between these.
fn what() -> Value {
    "ms:; it's `odd`? \\ ü".into()
}

/// Effect and record come together or not at all, and each failure says which part it was.
pub async fn whole(engine: &dyn Engine) -> Result<()> {
    let mut session = engine.open(Purpose::Script).await?;
    for table in TABLES {
        let drop = format!("DROP TABLE IF EXISTS {table}");
        session.execute(&drop).await?;
    }
    for create in [
        "CREATE TABLE whole_t (id INT PRIMARY KEY, name VARCHAR(20))",
        "CREATE TABLE whole_journal (what VARCHAR(100) NOT NULL, n INT)",
    ] {
        session.execute(create).await?;
    }
    // More than twice: a record may be a prepared statement from its second use on. A comment at the end swallows
    // nothing of what follows, nor does a backslash.
    for (id, rest) in [(1, ""), (2, ""), (3, " -- a note"), (4, ""), (5, "")] {
        let name = if id == 4 { "'a\\\\'" } else { "'a'" };
        let insert = format!("INSERT INTO whole_t VALUES ({id}, {name}), ({id}0, 'b'){rest}");
        ensure!(send(&mut *session, &insert, what()).await? == 2, "two rows");
        ensure!(!session.in_transaction(), "after {insert}");
    }
    // A query changes nothing, however many rows it gives.
    let query = send(&mut *session, "SELECT id FROM whole_t", what()).await?;
    ensure!(query == 0 && !session.in_transaction(), "a query: {query}");
    fails(&mut *session).await?;
    if kind(&*session) == EngineKind::Postgres {
        at_commit_and_without_the_prepared(&mut *session).await?;
    }
    let written = session.query("SELECT what FROM whole_journal", &[]).await?;
    let more = usize::from(kind(&*session) == EngineKind::Postgres);
    ensure!(written.len() == 6 + more, "the journal holds {written:?}");
    for row in &written {
        let text = row[0].as_str().unwrap_or_default();
        let ms = text
            .strip_prefix("ms:")
            .and_then(|text| text.strip_suffix("; it's `odd`? \\ ü"));
        let ms: u64 = ms.unwrap_or_default().parse()?;
        ensure!((100_000..160_000).contains(&ms), "{text}");
    }
    let there = session.query("SELECT id FROM whole_t", &[]).await?;
    ensure!(there.len() == 10, "{there:?}");
    for table in TABLES {
        session.execute(&format!("DROP TABLE {table}")).await?;
    }
    session.close().await;
    Ok(())
}

async fn fails(session: &mut dyn Session) -> Result<()> {
    for (sql, class, position) in [
        (
            "INSERT INTO whole_t VALUES (1, 'a')",
            ErrorClass::Unique,
            None,
        ),
        (
            "INSERT INTO nowhere VALUES (9)",
            ErrorClass::ObjectMissing,
            Some(12),
        ),
        ("SELEKT 1", ErrorClass::Syntax, Some(0)),
    ] {
        match send(session, sql, what()).await {
            Err(Halted::Statement(error)) => {
                ensure!(error.class == class, "{sql}: {error:?}");
                ensure!(
                    error.position.is_none_or(|at| Some(at) == position),
                    "{sql}: {error:?}"
                );
            }
            other => bail!("{other:?} of {sql}"),
        }
        session.rollback().await?;
        ensure!(!session.in_transaction(), "after {sql}");
    }
    match send(session, "INSERT INTO whole_t VALUES (6, 'a')", Value::Null).await {
        Err(Halted::Record(error)) => ensure!(error.class == ErrorClass::NotNull, "{error:?}"),
        other => bail!("{other:?} of a record that cannot be"),
    }
    session.rollback().await?;
    ensure!(!session.in_transaction(), "after a record that cannot be");
    // Its lease is another's: by the record itself where that finds it out, and here where it does not.
    let theirs: Witness = Arc::new(|| false);
    let whole = Whole {
        sql: "INSERT INTO whole_t VALUES (7, 'a')",
        record: "INSERT INTO whole_journal (what, n) VALUES ('x', 1)",
        params: &[],
        took: None,
        may_commit: Some(&theirs),
    };
    let halted = session.whole(whole).await;
    ensure!(
        matches!(halted, Err(Halted::Record(_))),
        "{halted:?} of a lease that is lost"
    );
    session.rollback().await?;
    Ok(())
}

/// What only shows at COMMIT, and a session whose prepared statements were all dropped.
async fn at_commit_and_without_the_prepared(session: &mut dyn Session) -> Result<()> {
    let late = "CREATE TABLE whole_late (id INT UNIQUE DEFERRABLE INITIALLY DEFERRED)";
    session.execute(late).await?;
    match send(session, "INSERT INTO whole_late VALUES (1), (1)", what()).await {
        Err(Halted::After(error)) => ensure!(error.class == ErrorClass::Unique, "{error:?}"),
        other => bail!("{other:?} of a constraint that fails at COMMIT"),
    }
    ensure!(!session.in_transaction(), "after COMMIT failed");
    session.execute("DROP TABLE whole_late").await?;
    session.execute("DEALLOCATE ALL").await?;
    let delete = "DELETE FROM whole_t WHERE id = 50";
    ensure!(send(session, delete, what()).await? == 1);
    let insert = "INSERT INTO whole_t VALUES (50, 'b')";
    session.execute(insert).await?;
    Ok(())
}
