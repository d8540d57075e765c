//! `drop-all`: what is ours goes, and the journal says so.

use crate::journal_store::{self, Pen};
use crate::world::World;
use crate::{admin, inspect, lease, observe, trouble};
use dunlin_core::event::{Event, Sink};
use dunlin_core::failure::{ErrorClass, Failure, FailureClass};
use dunlin_core::journal::{self, UnitDetail, UnitState, Writing};
use dunlin_core::schema::{Catalog, Fix, diff};
use dunlin_engines::{DbError, Purpose, Session};
use std::collections::BTreeSet;

/// Drops what is ours, under the lease, and records that no migration is applied any more. Gives what was dropped.
///
/// Ours is what `owns` names. Where it names nothing, ours is what the journal saw appear: what the catalog recorded at
/// the last run's end has and the one recorded before the first migration has not. `everything` drops the rest too.
///
/// # Errors
///
/// A protected database, a lease held by another, a statement that fails. Where the engine can, all of it is one
/// transaction; elsewhere the journal is told first, so that nothing that is gone is ever called applied.
pub async fn drop_all(
    world: &World,
    everything: bool,
    wait: bool,
    sink: &mut dyn Sink,
    mut control: crate::control::Control,
) -> Result<Vec<String>, Failure> {
    if world.config.protected {
        return Err(admin::protected("drop-all"));
    }
    let (held, mut work) = lease::acquire(world, Purpose::Tool, wait, sink, &mut control).await?;
    let pen = Pen {
        run: world.run_id(),
        token: held.token,
    };
    let dropped = drop_ours(world, &mut *work, &pen, everything, sink).await;
    held.release().await;
    work.close().await;
    dropped
}

async fn drop_ours(
    world: &World,
    work: &mut dyn Session,
    pen: &Pen,
    everything: bool,
    sink: &mut dyn Sink,
) -> Result<Vec<String>, Failure> {
    let drops = what_goes(world, work, everything).await?;
    let catalog = work.dialect().catalog();
    let (begin, end) = (catalog.dump_begin(), catalog.dump_end());
    settings(work, begin).await?;
    let dropped = if work.caps().transactional_ddl {
        as_one(world, work, pen, drops, sink).await
    } else {
        one_by_one(world, work, pen, &drops, sink).await
    }?;
    settings(work, end).await?;
    Ok(dropped)
}

async fn settings(work: &mut dyn Session, statements: &[&str]) -> Result<(), Failure> {
    for statement in statements {
        work.execute(statement)
            .await
            .map_err(|error| trouble::failed(&error, "cannot prepare"))?;
    }
    Ok(())
}

/// All of it in one transaction.
async fn as_one(
    world: &World,
    work: &mut dyn Session,
    pen: &Pen,
    mut drops: Drops,
    sink: &mut dyn Sink,
) -> Result<Vec<String>, Failure> {
    let wrong = |error: &DbError, what: &str| trouble::failed(error, what);
    loop {
        work.begin()
            .await
            .map_err(|error| wrong(&error, "cannot begin"))?;
        forget(world, work, pen).await?;
        let mut dropped = vec![];
        let mut stop = None;
        for (at, drop) in drops.0.iter().enumerate() {
            match one(work, drop, &dropped, sink).await {
                Ok(()) => dropped.extend(drop.counts.then(|| drop.object.clone())),
                Err(why) => {
                    stop = Some((at, why));
                    break;
                }
            }
        }
        match stop {
            None => {
                inspect::record(world, work, pen)
                    .await
                    .map_err(|error| wrong(&error, "the catalog could not be recorded"))?;
                work.commit()
                    .await
                    .map_err(|error| wrong(&error, "the drops could not be committed"))?;
                return Ok(dropped);
            }
            Some((at, why)) => {
                let _ = work.rollback().await;
                match why {
                    // It goes with what it belongs to. The error may have ended the transaction, so it begins anew
                    // without that statement: each round has one less.
                    Stop::Gone => {
                        let _ = drops.0.remove(at);
                    }
                    Stop::Failed(mut failure) => {
                        failure.class = FailureClass::Refused;
                        failure.undone = std::mem::take(&mut failure.done);
                        return Err(*failure);
                    }
                }
            }
        }
    }
}

/// Where each statement commits by itself: the journal is told first.
async fn one_by_one(
    world: &World,
    work: &mut dyn Session,
    pen: &Pen,
    drops: &Drops,
    sink: &mut dyn Sink,
) -> Result<Vec<String>, Failure> {
    forget(world, work, pen).await?;
    let mut dropped = vec![];
    for drop in &drops.0 {
        match one(work, drop, &dropped, sink).await {
            Ok(()) => dropped.extend(drop.counts.then(|| drop.object.clone())),
            // It went with what it belonged to.
            Err(Stop::Gone) => {}
            Err(Stop::Failed(failure)) => {
                return Err(failure.hint(
                    "the journal already says that nothing is applied: mend this and run `drop-all` again",
                ));
            }
        }
    }
    inspect::record(world, work, pen)
        .await
        .map_err(|error| trouble::failed(&error, "the catalog could not be recorded"))?;
    Ok(dropped)
}

/// One statement that drops something.
struct Drop {
    object: String,
    sql: String,
    /// The object itself goes with it; a foreign key that only makes way is not worth a line.
    counts: bool,
}

/// What goes, in order.
struct Drops(Vec<Drop>);

/// Why a statement did not run.
enum Stop {
    /// Its object is not there any more.
    Gone,
    Failed(Box<Failure>),
}

async fn what_goes(
    world: &World,
    work: &mut dyn Session,
    everything: bool,
) -> Result<Drops, Failure> {
    let mut scope = inspect::scope(world);
    if everything {
        scope.owns.clear();
        scope.borrows.clear();
    }
    let mut actual = observe::catalog(work, &scope)
        .await
        .map_err(|error| trouble::failed(&error, "cannot read the catalog"))?;
    if world.config.owns.is_empty() && !everything {
        let recorded = inspect::recorded(world, work, &world.sql.read_catalog).await?;
        let base = inspect::recorded(world, work, &world.sql.read_base).await?;
        let base = base.as_ref().map(names).unwrap_or_default();
        let ours: BTreeSet<Name> = recorded
            .as_ref()
            .map(names)
            .unwrap_or_default()
            .into_iter()
            .filter(|name| !base.contains(name))
            .collect();
        keep(&mut actual, &ours);
    }
    let dialect = work.dialect();
    // Foreign keys go first: they may form a circle, and no order of tables drops a circle.
    let mut without_keys = actual.clone();
    if dialect.catalog().keys_hold_tables() {
        for table in &mut without_keys.tables {
            table.foreign_keys.clear();
        }
    }
    let keys = diff(&without_keys, &actual, dialect);
    let empty = Catalog {
        format: actual.format,
        engine: actual.engine.clone(),
        ..Catalog::default()
    };
    let objects = diff(&empty, &actual, dialect);
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
    Ok(drops)
}

async fn one(
    work: &mut dyn Session,
    drop: &Drop,
    dropped: &[String],
    sink: &mut dyn Sink,
) -> Result<(), Stop> {
    sink.event(&Event::Note {
        message: format!("dropping {}", drop.object),
    });
    let Err(error) = work.execute(&drop.sql).await else {
        return Ok(());
    };
    if error.class == ErrorClass::ObjectMissing {
        return Err(Stop::Gone);
    }
    let mut failure = trouble::failed(&error, &format!("cannot drop {}", drop.object));
    if dropped.is_empty() {
        failure.class = FailureClass::Refused;
    }
    failure.done = dropped
        .iter()
        .map(|object| format!("dropped {object}"))
        .collect();
    Err(Stop::Failed(Box::new(failure.hint(
        "something that is not ours may depend on it; nothing of others is ever dropped",
    ))))
}

/// What an object is known by: its kind, schema, name, and the arguments where they belong to it.
type Name = (&'static str, Option<String>, String, Option<String>);

fn names(catalog: &Catalog) -> BTreeSet<Name> {
    let mut copy = catalog.clone();
    let mut found = BTreeSet::new();
    visit(&mut copy, |name| {
        found.insert(name);
        true
    });
    found
}

fn keep(catalog: &mut Catalog, ours: &BTreeSet<Name>) {
    visit(catalog, |name| ours.contains(&name));
}

/// Asks of every object that stands for itself whether it stays in the catalog.
fn visit(catalog: &mut Catalog, mut stays: impl FnMut(Name) -> bool) {
    catalog
        .tables
        .retain(|it| stays(("table", it.schema.clone(), it.name.clone(), None)));
    catalog
        .views
        .retain(|it| stays(("view", it.schema.clone(), it.name.clone(), None)));
    catalog.routines.retain(|it| {
        stays((
            "routine",
            it.schema.clone(),
            it.name.clone(),
            it.arguments.clone(),
        ))
    });
    catalog
        .sequences
        .retain(|it| stays(("sequence", it.schema.clone(), it.name.clone(), None)));
    catalog
        .types
        .retain(|it| stays(("type", it.schema.clone(), it.name.clone(), None)));
    catalog
        .events
        .retain(|it| stays(("event", None, it.name.clone(), None)));
    catalog
        .extensions
        .retain(|it| stays(("extension", None, it.name.clone(), None)));
}

/// Records that nothing is applied any more.
async fn forget(world: &World, work: &mut dyn Session, pen: &Pen) -> Result<(), Failure> {
    let history = journal_store::read(world, work).await?;
    let mut records = vec![Writing::run(
        journal::Event::Began,
        serde_json::json!({ "what": "drop-all", "by": world.who }),
    )];
    for (version, state) in &history.units {
        if !matches!(state, UnitState::Absent { failed: None }) {
            let detail = UnitDetail {
                to: "not_done".into(),
                by: world.who.clone(),
                why: "drop-all".into(),
                ..UnitDetail::default()
            };
            records.push(Writing::unit(
                journal::Event::Reset,
                &version.0,
                "",
                crate::steps::migrate::json(&detail),
            ));
        }
    }
    pen.append(world, work, &records).await.map_err(|error| {
        trouble::failed(
            &error,
            "the journal could not be written, and nothing was dropped",
        )
    })
}
