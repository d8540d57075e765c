//! Whether a database holds a backup, what a run did since, and nothing else: the backup is restored beside it, the
//! statements of the run are run there again, and the two are compared.

use super::automatic::Run;
use super::manifest::Manifest;
use super::restore::{borrow, load};
use crate::digest::{self, TableDigest, differences};
use crate::executor::Ran;
use crate::steps::guard::switch_on;
use crate::world::World;
use crate::{inspect, observe, scratch, trouble};
use dunlin_core::event::Sink;
use dunlin_core::failure::Failure;
use dunlin_core::journal::foreign;
use dunlin_core::plan::lower::{Block, Mode};
use dunlin_core::schema::{Catalog, Scope, Table, diff, render};
use dunlin_core::source::Script;
use dunlin_core::sql::{Kind, SessionState, StatementClass};
use dunlin_engines::{DbError, Engine, Purpose, Session};
use std::collections::BTreeSet;

/// What a database holds of what a backup holds, the journal apart.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    /// Its tables.
    pub(super) tables: Vec<TableDigest>,
    /// Its objects.
    pub(super) catalog: Catalog,
}

impl Seen {
    /// The tables and objects that are not as in another.
    pub(super) fn unlike(&self, other: &Seen, world: &World) -> Vec<String> {
        let rows = differences(&self.tables, &other.tables)
            .into_iter()
            .map(|(name, ..)| name.to_owned());
        let objects = diff(&self.catalog, &other.catalog, world.dialect())
            .into_iter()
            .map(|difference| difference.object.to_string());
        let all: BTreeSet<String> = rows.chain(objects).collect();
        all.into_iter().collect()
    }

    /// The digest of one table.
    pub(super) fn table(&self, name: &str) -> Option<&TableDigest> {
        self.tables.iter().find(|table| table.table == name)
    }
}

/// Whether a backup holds only what is ours.
pub(super) fn is_partial(manifest: &Manifest) -> bool {
    manifest.lacks.iter().any(|lack| lack.contains("`owns`"))
}

/// What of a database a backup holds, without the journal.
fn scope(world: &World, manifest: &Manifest) -> Scope {
    let mut scope = inspect::scope(world);
    if !is_partial(manifest) {
        scope.owns.clear();
        scope.borrows.clear();
    }
    scope.journal.push(world.sql.restoring.name.clone());
    scope
}

/// Looks at a database in the session's transaction, or in none.
pub(super) async fn look_here(
    world: &World,
    session: &mut dyn Session,
    manifest: &Manifest,
    sink: &mut dyn Sink,
) -> Result<Seen, DbError> {
    let catalog = observe::catalog(session, &scope(world, manifest)).await?;
    let mut except = foreign::own_names(&world.names);
    except.push(world.sql.restoring.name.clone());
    let label = |schema: &Option<String>, name: &str| match schema {
        Some(schema) => format!("{schema}.{name}"),
        None => name.to_owned(),
    };
    let tables = match is_partial(manifest) {
        false => vec![],
        true => {
            let held = catalog.tables.iter();
            held.map(|table| label(&table.schema, &table.name))
                .collect()
        }
    };
    if tables.is_empty() && is_partial(manifest) {
        let tables = vec![];
        return Ok(Seen { tables, catalog });
    }
    let scope = digest::Scope { tables, except };
    let tables = digest::digest_here(session, &scope, None, sink)
        .await?
        .tables;
    Ok(Seen { tables, catalog })
}

/// Looks at a database through a session of its own.
pub(super) async fn look(
    world: &World,
    engine: &dyn Engine,
    manifest: &Manifest,
    sink: &mut dyn Sink,
) -> Result<Seen, Failure> {
    let wrong = |error: DbError| trouble::refused(&error, "the databases could not be compared");
    let mut session = engine.open(Purpose::Read).await.map_err(wrong)?;
    let seen = async {
        digest::begin_snapshot(&mut *session).await?;
        let seen = look_here(world, &mut *session, manifest, sink).await?;
        digest::end_snapshot(&mut *session).await?;
        Ok(seen)
    };
    let seen = seen.await;
    session.close().await;
    seen.map_err(wrong)
}

/// What the backup and the run alone make, seen in a scratch database.
pub(super) async fn expected(
    world: &World,
    manifest: &Manifest,
    run: &Run<'_>,
    sink: &mut dyn Sink,
) -> Result<Seen, Failure> {
    scratch::sweep(world).await;
    let name = scratch::name(world);
    let beside = world.scratch(&name)?;
    beside.create_scratch().await.map_err(|error| {
        trouble::refused(&error, "no scratch database can be made to compare with")
    })?;
    let outcome = async {
        defaults(world, &*beside).await?;
        borrow(world, manifest, &*beside).await?;
        load(
            world,
            &*beside,
            manifest,
            &world.config.backup_dir,
            false,
            sink,
        )
        .await?;
        confined(world, &*beside, &name, manifest, run).await?;
        for ran in &run.ran {
            if let Some(script) = run.script(ran) {
                again(&*beside, script, ran)
                    .await
                    .map_err(|error| could_not(ran, &error))?;
            }
        }
        look(world, &*beside, manifest, sink).await
    };
    let outcome = outcome.await;
    // What cannot be dropped now is swept by a later run.
    let _ = beside.drop_database().await;
    outcome.map_err(|failure| world.redact(failure))
}

/// Gives the scratch database the defaults of this one: tables take them when they are made.
async fn defaults(world: &World, beside: &dyn Engine) -> Result<(), Failure> {
    let mut session = world.open(Purpose::Read).await?;
    let alike = crate::drift::alike(&mut *session).await;
    session.close().await;
    let wrong = |error| trouble::refused(&error, "cannot open the scratch database");
    let mut session = beside.open(Purpose::Tool).await.map_err(wrong)?;
    for sql in alike? {
        session.execute(&sql).await.map_err(wrong)?;
    }
    session.close().await;
    Ok(())
}

fn could_not(ran: &Ran, error: &DbError) -> Failure {
    let doing = format!("{} could not be run again beside it", ran.version);
    let mut failure = trouble::refused(error, &doing);
    failure.hints.clear();
    failure
}

fn refused(why: &str) -> Failure {
    let message = format!("the run cannot be run again beside it to compare: {why}");
    Failure::refused("replay-unsafe", message)
}

/// Refuses where running the statements again could do anything outside of the scratch database, or where a backup of
/// what is ours does not hold all that the run changed.
async fn confined(
    world: &World,
    beside: &dyn Engine,
    name: &str,
    manifest: &Manifest,
    run: &Run<'_>,
) -> Result<(), Failure> {
    let catalog = catalog_of(beside).await?;
    let mut others = beside.siblings().await.unwrap_or_default();
    others.push(world.engine.database());
    others.retain(|other| !other.eq_ignore_ascii_case(name) && other != "information_schema");
    let made = render::dump(&catalog, world.dialect()).statements;
    let sent = run.ran.iter().flat_map(|ran| {
        let statements = run.script(ran).map(|script| &script.statements);
        ran.statements().filter_map(move |at| statements?.get(at))
    });
    let texts: Vec<&str> = sent
        .map(|statement| statement.sql.as_ref())
        .chain(made.iter().map(String::as_str))
        .collect();
    if let Some(why) = world.dialect().reaches_out(&texts, &run.mode, &others) {
        return Err(refused(&why));
    }
    if !is_partial(manifest) {
        return Ok(());
    }
    let whole = catalog_of(&*world.engine).await?;
    match beyond_ours(&whole, &inspect::scope(world), run) {
        Some(what) => Err(refused(&format!(
            "the backup holds only what `owns` names, and not {what}"
        ))),
        None => Ok(()),
    }
}

async fn catalog_of(engine: &dyn Engine) -> Result<Catalog, Failure> {
    let wrong = |error: DbError| trouble::refused(&error, "cannot read the catalog");
    let mut session = engine.open(Purpose::Read).await.map_err(wrong)?;
    let catalog = observe::whole(&mut *session).await;
    session.close().await;
    catalog.map_err(wrong)
}

/// What the run may have changed that is not ours: by its statements, by triggers, by foreign keys.
fn beyond_ours(whole: &Catalog, scope: &Scope, run: &Run<'_>) -> Option<String> {
    let owns = |schema: &Option<String>, name: &str| scope.owns(schema.as_deref(), name);
    let mut classes = run.ran.iter().flat_map(|ran| {
        ran.statements()
            .filter_map(|at| ran.lowered.classes.get(at))
    });
    let by_statement = classes.find_map(|class| outside(class, scope));
    let mut tables = whole.tables.iter();
    let by_trigger = || {
        let fires = |table: &&Table| owns(&table.schema, &table.name) && !table.triggers.is_empty();
        let table = whole.tables.iter().find(fires)?;
        Some(format!("what the triggers of {} may change", table.name))
    };
    let by_key = || {
        let follows = |table: &&Table| {
            let mut keys = table.foreign_keys.iter();
            !owns(&table.schema, &table.name)
                && keys.any(|key| {
                    let ours = owns(&key.references_schema, &key.references);
                    ours && (key.on_delete.is_some() || key.on_update.is_some())
                })
        };
        let table = tables.find(follows)?;
        Some(format!("{}, whose foreign key follows ours", table.name))
    };
    by_statement.or_else(by_trigger).or_else(by_key)
}

/// What a statement changes that is not ours.
fn outside(class: &StatementClass, scope: &Scope) -> Option<String> {
    let known = !matches!(class.kind, Kind::Call | Kind::Unknown);
    if !known {
        return Some(format!("what {} may change", class.verb));
    }
    let changed = class.touches.iter().map(|object| {
        let table = object.parent.as_ref().unwrap_or(&object.name);
        (object, table)
    });
    let mut foreign =
        changed.filter(|(object, table)| !scope.owns(object.schema.as_deref(), table));
    foreign.next().map(|(object, _)| object.to_string())
}

/// Runs again what a migration did: its blocks that are done, in their order, in a session as it had.
async fn again(beside: &dyn Engine, script: &Script, ran: &Ran) -> Result<(), DbError> {
    let mut session = beside.open(Purpose::Script).await?;
    let mut outcome = Ok(());
    for block in &ran.lowered.blocks {
        outcome = match block.mode {
            _ if block.index < ran.first => settings(&mut *session, script, ran, block).await,
            Mode::Session => statements(&mut *session, script, block).await,
            mode if ran
                .done
                .as_ref()
                .is_none_or(|done| done.contains(&block.index)) =>
            {
                one(&mut *session, script, block, mode).await
            }
            _ => Ok(()),
        };
        if outcome.is_err() {
            break;
        }
    }
    session.close().await;
    outcome
}

/// What an earlier run did of a migration left its settings in the session, and nothing else that is not there.
async fn settings(
    session: &mut dyn Session,
    script: &Script,
    ran: &Ran,
    block: &Block,
) -> Result<(), DbError> {
    for at in block.statements.clone() {
        if ran.lowered.classes[at].state == SessionState::Sets {
            session.execute(&script.statements[at].sql).await?;
        }
    }
    Ok(())
}

async fn one(
    session: &mut dyn Session,
    script: &Script,
    block: &Block,
    mode: Mode,
) -> Result<(), DbError> {
    let guard = block.guard.clone().unwrap_or_default();
    let switches = switch_on(session, &guard).await?;
    if mode == Mode::Together {
        session.begin().await?;
    }
    statements(session, script, block).await?;
    if mode == Mode::Together {
        session.commit().await?;
    }
    for statement in switches {
        session.execute(&statement).await?;
    }
    Ok(())
}

async fn statements(
    session: &mut dyn Session,
    script: &Script,
    block: &Block,
) -> Result<(), DbError> {
    for at in block.statements.clone() {
        let statement = &script.statements[at];
        match &statement.copy_data {
            Some(data) => session.copy_in(&statement.sql, data).await?,
            None => session.execute(&statement.sql).await?,
        };
    }
    Ok(())
}
