//! The catalog: shown, recorded at a run's end, compared.

use crate::control::Control;
use crate::drift::{self, Drift};
use crate::journal_store::{self, Pen};
use crate::observe;
use crate::trouble;
use crate::up::{self, Goal, Options};
use crate::world::World;
use dunlin_core::dialect::Dialect;
use dunlin_core::event::Silent;
use dunlin_core::facts::TableSize;
use dunlin_core::failure::{ErrorClass, Failure};
use dunlin_core::journal::{self, UnitState, Writing};
use dunlin_core::plan::select::UpGoal;
use dunlin_core::schema::{Catalog, Scope, render};
use dunlin_core::source::{Migration, OutOfOrder};
use dunlin_core::sql::{Kind, LexMode};
use dunlin_core::value::Value;
use dunlin_engines::{DbError, Engine, Purpose, Session};
use std::sync::Arc;

/// What of a database is ours, as its settings say.
pub fn scope(world: &World) -> Scope {
    let config = &world.config;
    Scope::new(
        config.owns.clone(),
        config.borrows.clone(),
        &world.names,
        world.sql.tables.clone(),
    )
}

/// The catalog of what is ours, with sizes.
pub struct Seen {
    /// The catalog.
    pub catalog: Catalog,
    /// The sizes of its tables.
    pub sizes: Vec<TableSize>,
}

/// Reads the catalog of what is ours, with the exact statements where the engine shows them.
pub async fn schema(world: &World) -> Result<Seen, Failure> {
    let mut session = world.open(Purpose::Read).await?;
    let scope = scope(world);
    let read = async {
        let mut catalog = observe::catalog(&mut *session, &scope).await?;
        observe::exact(&mut *session, &mut catalog).await?;
        let sizes = observe::sizes(&mut *session, &scope).await?;
        Ok(Seen { catalog, sizes })
    };
    let seen = read
        .await
        .map_err(|error: DbError| trouble::refused(&error, "cannot read the catalog"))?;
    session.close().await;
    Ok(seen)
}

/// Records the catalog of what is ours, at a run's end.
pub async fn record(world: &World, session: &mut dyn Session, pen: &Pen) -> Result<(), DbError> {
    record_as(world, session, pen, None).await
}

/// Records the catalog of what is ours as what migrations stand on: before the first of them, or at a baseline.
pub async fn record_base(
    world: &World,
    session: &mut dyn Session,
    pen: &Pen,
) -> Result<(), DbError> {
    record_as(world, session, pen, Some("base".into())).await
}

async fn record_as(
    world: &World,
    session: &mut dyn Session,
    pen: &Pen,
    hash: Option<String>,
) -> Result<(), DbError> {
    let catalog = observe::catalog(session, &scope(world)).await?;
    let detail = serde_json::to_value(&catalog).unwrap_or_default();
    let record = Writing {
        event: journal::Event::Catalog,
        scope: journal::Scope::Catalog,
        unit: None,
        stmt: None,
        hash,
        detail,
    };
    pen.append(world, session, &[record]).await
}

async fn read_one(
    world: &World,
    session: &mut dyn Session,
    sql: &str,
) -> Result<Option<String>, Failure> {
    match session.ask(sql, &[]).await {
        Err(error) if error.class == ErrorClass::ObjectMissing => Ok(None),
        Err(error) => Err(world.redact(trouble::refused(&error, "cannot read the journal"))),
        Ok(rows) => Ok(rows
            .first()
            .and_then(|row| row.first())
            .and_then(Value::as_str)
            .map(str::to_owned)),
    }
}

/// A catalog that the journal keeps, if there is one.
pub(crate) async fn recorded(
    world: &World,
    session: &mut dyn Session,
    sql: &str,
) -> Result<Option<Catalog>, Failure> {
    let text = read_one(world, session, sql).await?;
    text.map(|text| {
        Catalog::from_json(&text)
            .map_err(|sentence| Failure::refused("catalog-unreadable", sentence))
    })
    .transpose()
}

/// Compares the catalog of what is ours with the one recorded at the last run's end.
pub async fn drift(world: &World) -> Result<Drift, Failure> {
    let mut session = world.open(Purpose::Read).await?;
    let recorded = read_one(world, &mut *session, &world.sql.read_catalog).await?;
    let Some(recorded) = recorded else {
        return Err(Failure::refused("nothing-recorded", "no run has recorded a catalog here yet")
            .hint("`dunlin up` records one at its end; `dunlin drift --rebuild` compares with what the migrations make"));
    };
    let found = drift::against_recorded(&mut *session, &scope(world), &recorded).await;
    session.close().await;
    found
}

/// Compares the catalog of what is ours with what the applied migrations make on a scratch database, on top of the
/// recorded base and the borrowed objects.
pub async fn drift_rebuild(world: &World, migrations: &[Arc<Migration>]) -> Result<Drift, Failure> {
    let mut session = world.open(Purpose::Read).await?;
    let history = journal_store::read(world, &mut *session).await?;
    let base = recorded(world, &mut *session, &world.sql.read_base).await?;
    let ran: Vec<Arc<Migration>> = migrations
        .iter()
        .filter(|migration| {
            matches!(history.units.get(&migration.version), Some(UnitState::Applied(applied)) if !applied.by_word)
        })
        .cloned()
        .collect();
    let mode = mode(world);
    let mut left_out = vec![];
    let ran: Vec<Arc<Migration>> = ran
        .iter()
        .map(|migration| without_rights(migration, world.dialect(), &mode, &mut left_out))
        .collect();
    crate::scratch::sweep(world).await;
    let name = crate::scratch::name(world);
    let scratch = world.scratch(&name)?;
    confined(
        world,
        &mut *session,
        (&name, &*scratch),
        &ran,
        base.as_ref(),
    )
    .await?;
    let migrate = async |_: &dyn Engine| -> Result<(), Failure> {
        let there = world.scratch_world(&name)?;
        let goal = Goal::Up(UpGoal {
            to: None,
            out_of_order: OutOfOrder::Apply,
        });
        let options = Options {
            no_backup: true,
            ..Options::default()
        };
        let ran: Vec<_> = ran
            .iter()
            .map(|migration| without_requirements(migration))
            .collect();
        let report = up::run(&there, &ran, &goal, &options, &mut Silent, Control::free()).await;
        report.failure.map_or(Ok(()), Err)
    };
    let found = drift::against_rebuilt(
        &mut *session,
        &scope(world),
        base.as_ref(),
        &*scratch,
        migrate,
    )
    .await;
    session.close().await;
    let mut found = found.map_err(|failure| world.redact(failure))?;
    if !left_out.is_empty() {
        let places = left_out.join(", ");
        let note = format!("not run again, for rights are not compared: {places}");
        found.notes.push(note);
    }
    Ok(found)
}

/// How the scripts are read.
fn mode(world: &World) -> LexMode {
    LexMode {
        sql_mode: world.config.sql_mode.to_uppercase(),
        ..LexMode::default()
    }
}

/// A migration without its statements on users and rights: those belong to the server as much as to the database, and what
/// is compared shows nothing of them. `left_out`: where they stand.
fn without_rights(
    migration: &Migration,
    dialect: &dyn Dialect,
    mode: &LexMode,
    left_out: &mut Vec<String>,
) -> Arc<Migration> {
    let mut migration = migration.clone();
    let file = migration.up.file.clone();
    migration.up.statements.retain(|statement| {
        let is_right = dialect.classify(&statement.sql, mode).kind == Kind::Rights;
        if is_right {
            left_out.push(format!("{file}:{}", statement.line));
        }
        !is_right
    });
    Arc::new(migration)
}

/// Refuses where running the scripts again could do anything outside of the scratch database: a drift is looked for by
/// who only reads.
async fn confined(
    world: &World,
    session: &mut dyn Session,
    (name, scratch): (&str, &dyn Engine),
    ran: &[Arc<Migration>],
    base: Option<&Catalog>,
) -> Result<(), Failure> {
    let dialect = world.dialect();
    let mode = mode(world);
    let whole = observe::whole(session)
        .await
        .map_err(|error| world.redact(trouble::refused(&error, "cannot read the catalog")))?;
    let here = world.engine.database();
    let mut others = scratch.siblings().await.unwrap_or_default();
    // `users.id` is a column where a table of ours has that name; the statements themselves are looked at below.
    let is_ours = |other: &str| {
        let tables = whole.tables.iter().map(|table| &table.name);
        let mut named = tables.chain(whole.views.iter().map(|view| &view.name));
        named.any(|name| name.eq_ignore_ascii_case(other))
    };
    others.retain(|other| other != "information_schema" && !is_ours(other));
    let statements = ran.iter().flat_map(|migration| &migration.up.statements);
    let statements: Vec<&str> = statements.map(|statement| &*statement.sql).collect();
    for sql in &statements {
        let touched = dialect.classify(sql, &mode).touches;
        others.extend(touched.into_iter().filter_map(|object| object.schema));
    }
    others.push(here);
    others.retain(|other| !other.eq_ignore_ascii_case(name));
    let made = base.map_or(vec![], |base| render::dump(base, dialect).statements);
    let texts = statements
        .into_iter()
        .chain(made.iter().map(String::as_str));
    let texts: Vec<&str> = texts.collect();
    let Some(why) = dialect.reaches_out(&texts, &mode, &others) else {
        return Ok(());
    };
    let message = format!("the scripts cannot be run again on a scratch database: {why}");
    Err(Failure::refused("rebuild-unsafe", message)
        .hint("`dunlin drift` compares with what the last run recorded"))
}

/// What a baseline took as applied is in the base, and is not run again: nothing may require it here.
fn without_requirements(migration: &Migration) -> Arc<Migration> {
    Arc::new(Migration {
        requires: vec![],
        ..migration.clone()
    })
}
