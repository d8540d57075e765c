//! Dropping many objects: what `drop-all` does, and a restore before it makes everything anew.

use crate::trouble;
use dunlin_core::dialect::Dialect;
use dunlin_core::event::{Event, Sink};
use dunlin_core::failure::{ErrorClass, Failure, FailureClass};
use dunlin_core::schema::{Catalog, Fix, diff};
use dunlin_engines::{DbError, Session};

/// One statement that drops something.
struct Drop {
    object: String,
    sql: String,
    /// The object itself goes with it; a foreign key that only makes way is not worth a line.
    counts: bool,
}

/// What goes, in order.
pub(crate) struct Drops(Vec<Drop>);

impl Drops {
    /// Everything of a catalog.
    pub(crate) fn of(catalog: &Catalog, dialect: &dyn Dialect) -> Self {
        // Foreign keys go first: they may form a circle, and no order of tables drops a circle.
        let mut without_keys = catalog.clone();
        if dialect.catalog().keys_hold_tables() {
            for table in &mut without_keys.tables {
                table.foreign_keys.clear();
            }
        }
        let keys = diff(&without_keys, catalog, dialect);
        let empty = Catalog {
            format: catalog.format,
            engine: catalog.engine.clone(),
            ..Catalog::default()
        };
        let objects = diff(&empty, catalog, dialect);
        let all = keys.into_iter().map(|key| (key, false));
        let mut drops = Drops(vec![]);
        for (difference, counts) in all.chain(objects.into_iter().map(|object| (object, true))) {
            let Fix::Sql(statements) = difference.fix else {
                continue;
            };
            let last = statements.len();
            for (number, sql) in statements.into_iter().enumerate() {
                drops.0.push(Drop {
                    object: difference.object.to_string(),
                    sql,
                    counts: counts && number + 1 == last,
                });
            }
        }
        drops
    }

    /// Runs them, in the session's transaction where one is open. Gives what was dropped; what is gone already went
    /// with what it belonged to. A failure says what was dropped before it.
    pub(crate) async fn run(
        &self,
        work: &mut dyn Session,
        sink: &mut dyn Sink,
    ) -> Result<Vec<String>, Box<Failure>> {
        let mut dropped = vec![];
        for drop in &self.0 {
            sink.event(&Event::Note {
                message: format!("dropping {}", drop.object),
            });
            match one(work, &drop.sql).await {
                Ok(()) => dropped.extend(drop.counts.then(|| drop.object.clone())),
                Err(error) if error.class == ErrorClass::ObjectMissing => {}
                Err(error) => return Err(Box::new(failure(&error, drop, &dropped))),
            }
        }
        Ok(dropped)
    }
}

/// One statement. Within a transaction it is a part of its own: a failure must not end the whole.
async fn one(work: &mut dyn Session, sql: &str) -> Result<(), DbError> {
    let part = work.dialect().catalog().part();
    let Some([begin, release, take_back]) = part.filter(|_| work.in_transaction()) else {
        return work.execute(sql).await.map(|_| ());
    };
    work.execute(begin).await?;
    let outcome = work.execute(sql).await;
    if outcome.is_err() {
        work.execute(take_back).await?;
    }
    work.execute(release).await?;
    outcome.map(|_| ())
}

fn failure(error: &DbError, drop: &Drop, dropped: &[String]) -> Failure {
    let mut failure = trouble::failed(error, &format!("cannot drop {}", drop.object));
    if dropped.is_empty() {
        failure.class = FailureClass::Refused;
    }
    failure.done = dropped
        .iter()
        .map(|object| format!("dropped {object}"))
        .collect();
    failure.hint("something that is not ours may depend on it; nothing of others is ever dropped")
}

/// Runs the statements that a session needs before or after many drops.
pub(crate) async fn settings(work: &mut dyn Session, statements: &[&str]) -> Result<(), Failure> {
    for statement in statements {
        work.execute(statement)
            .await
            .map_err(|error| trouble::failed(&error, "cannot prepare"))?;
    }
    Ok(())
}
