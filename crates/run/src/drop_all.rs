//! `drop-all`: what is ours goes, and the journal says so.

use crate::drops::{Drops, settings};
use crate::journal_store::{self, Pen};
use crate::world::World;
use crate::{admin, inspect, lease, observe, trouble};
use async_trait::async_trait;
use dunlin_core::event::Sink;
use dunlin_core::failure::{Failure, FailureClass};
use dunlin_core::journal::{self, History, UnitDetail, UnitState, Writing};
use dunlin_core::schema::Catalog;
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
    let going = what_goes(world, work, everything).await?;
    let history = journal_store::read(world, work).await?;
    let records = forgetting(world, &history);
    drop_these(world, work, pen, (&going, None), (records, vec![]), sink).await
}

/// A last look at tables, under the lock under which they go.
#[async_trait]
pub(crate) trait Look: Send {
    /// An error: they do not go.
    async fn look(&mut self, work: &mut dyn Session, sink: &mut dyn Sink) -> Result<(), Failure>;
}

/// Drops what was found, after a last look where one is wanted, and records with it that it is gone.
pub(crate) async fn drop_found(
    world: &World,
    work: &mut dyn Session,
    pen: &Pen,
    going: (&Catalog, Option<&mut dyn Look>),
    record: Writing,
    sink: &mut dyn Sink,
) -> Result<(), Failure> {
    let dropped = drop_these(world, work, pen, going, (vec![], vec![record]), sink).await;
    dropped.map(|_| ())
}

/// Locks the tables that go, and has a last look taken at them. Gives the statements that free them.
async fn locked(
    work: &mut dyn Session,
    going: &Catalog,
    look: &mut dyn Look,
    sink: &mut dyn Sink,
) -> Result<Vec<String>, Failure> {
    let tables = going.tables.iter();
    let tables = tables.map(|table| (table.schema.as_deref(), table.name.as_str()));
    let mut hold = work.dialect().catalog().hold(&tables.collect::<Vec<_>>());
    if work.caps().transactional_ddl && work.dialect().change().lock(&[]).is_none() {
        // The transaction that has begun is the only one that writes.
        hold.take.clear();
    }
    for statement in &hold.take {
        let taken = work.execute(statement).await;
        taken.map_err(|error| trouble::failed(&error, "the tables that go cannot be locked"))?;
    }
    let looked = look.look(work, sink).await;
    if looked.is_err() {
        free(work, &hold.free).await;
    }
    looked.map(|()| hold.free)
}

async fn free(work: &mut dyn Session, statements: &[String]) {
    for statement in statements {
        // Where this fails the session is gone, and its locks with it.
        let _ = work.execute(statement).await;
    }
}

/// Drops these, with records before and after it.
async fn drop_these(
    world: &World,
    work: &mut dyn Session,
    pen: &Pen,
    (going, look): (&Catalog, Option<&mut dyn Look>),
    (first, last): (Vec<Writing>, Vec<Writing>),
    sink: &mut dyn Sink,
) -> Result<Vec<String>, Failure> {
    let catalog = work.dialect().catalog();
    let (begin, end) = (catalog.dump_begin(), catalog.dump_end());
    settings(work, begin).await?;
    let as_one = work.caps().transactional_ddl;
    if as_one {
        work.begin()
            .await
            .map_err(|error| trouble::failed(&error, "cannot begin"))?;
    }
    let held = match look {
        None => vec![],
        Some(look) => match locked(work, going, look, sink).await {
            Ok(held) => held,
            Err(failure) => {
                if as_one {
                    let _ = work.rollback().await;
                }
                settings(work, end).await?;
                return Err(failure);
            }
        },
    };
    // Where each statement commits by itself the journal is told first, so that nothing that is gone is called applied.
    if let Err(error) = pen.append(world, work, &first).await {
        let _ = work.rollback().await;
        let doing = "the journal could not be written, and nothing was dropped";
        return Err(trouble::failed(&error, doing));
    }
    let outcome = drop_them(world, work, pen, (going, &held, &last), sink).await;
    let dropped = match outcome {
        Ok(dropped) => dropped,
        Err(mut failure) if as_one => {
            let _ = work.rollback().await;
            failure.class = FailureClass::Refused;
            failure.undone = std::mem::take(&mut failure.done);
            return Err(*failure);
        }
        Err(failure) => {
            return Err(failure.hint(
                "the journal already says that nothing is applied: mend this and run `drop-all` again",
            ));
        }
    };
    settings(work, end).await?;
    Ok(dropped)
}

/// The drops, and the catalog that is left.
async fn drop_them(
    world: &World,
    work: &mut dyn Session,
    pen: &Pen,
    (going, held, last): (&Catalog, &[String], &[Writing]),
    sink: &mut dyn Sink,
) -> Result<Vec<String>, Box<Failure>> {
    let wrong = |error: &DbError, what: &str| Box::new(trouble::failed(error, what));
    let mut rest = going.clone();
    let mut dropped = vec![];
    if !held.is_empty() {
        // While a session holds tables it may drop nothing else.
        let tables = Catalog {
            format: going.format,
            engine: going.engine.clone(),
            tables: std::mem::take(&mut rest.tables),
            ..Catalog::default()
        };
        let gone = Drops::of(&tables, work.dialect()).run(work, sink).await;
        free(work, held).await;
        dropped = gone?;
    }
    let drops = Drops::of(&rest, work.dialect());
    dropped.extend(drops.run(work, sink).await?);
    inspect::record(world, work, pen)
        .await
        .map_err(|error| wrong(&error, "the catalog could not be recorded"))?;
    pen.append(world, work, last)
        .await
        .map_err(|error| wrong(&error, "the journal could not be written"))?;
    if work.in_transaction() {
        work.commit()
            .await
            .map_err(|error| wrong(&error, "the drops could not be committed"))?;
    }
    Ok(dropped)
}

async fn what_goes(
    world: &World,
    work: &mut dyn Session,
    everything: bool,
) -> Result<Catalog, Failure> {
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
    Ok(actual)
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

/// The records that nothing is applied any more.
fn forgetting(world: &World, history: &History) -> Vec<Writing> {
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
    records
}
