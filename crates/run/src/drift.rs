//! Drift: how the database differs from what it should be.
//!
//! What it should be is either the catalog that the journal keeps from the end of the last run, or what the migrations
//! make on a scratch database of the same server, on top of what was there before them (the base) and of others'
//! objects that they need (borrowed, empty). The database itself is only read.

use crate::observe;
use crate::trouble;
use dunlin_core::dialect::Dialect;
use dunlin_core::dialect::catalog::Part;
use dunlin_core::failure::{Failure, FailureClass};
use dunlin_core::schema::diff::mentions;
use dunlin_core::schema::render::{self, Dump};
use dunlin_core::schema::{Catalog, Difference, Scope, diff};
use dunlin_core::sql::ObjectKind;
use dunlin_engines::{Engine, Purpose, Session};
use std::collections::BTreeSet;

/// What a comparison found.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Drift {
    /// The differences, in an order in which their fixes can run.
    pub differences: Vec<Difference>,
    /// What could not be compared, each a sentence.
    pub notes: Vec<String>,
}

impl Drift {
    /// Compares two catalogs of a scope.
    fn of(expected: &Catalog, actual: &Catalog, scope: &Scope, dialect: &dyn Dialect) -> Drift {
        let (mut expected, mut actual) = (expected.clone(), actual.clone());
        // Extensions are the whole database's; who owns a part of it has no say in them.
        if !scope.owns.is_empty() {
            expected.extensions.clear();
            actual.extensions.clear();
        }
        let unseen: BTreeSet<&String> = expected.unseen.iter().chain(&actual.unseen).collect();
        let notes = unseen
            .into_iter()
            .map(|what| {
                let what = what.replace('_', " ");
                format!("{what}: not visible with this user's rights, so not compared")
            })
            .collect();
        Drift {
            differences: diff(&expected, &actual, dialect),
            notes,
        }
    }
}

/// Compares the database with the catalog that the journal recorded (the JSON text of [`Catalog::to_json`], read with
/// the same scope).
pub async fn against_recorded(
    session: &mut dyn Session,
    scope: &Scope,
    recorded: &str,
) -> Result<Drift, Failure> {
    let expected = Catalog::from_json(recorded)
        .map_err(|sentence| Failure::refused("catalog-unreadable", sentence))?
        .owned(scope);
    let actual = observe::catalog(session, scope)
        .await
        .map_err(|error| trouble::refused(&error, "cannot read the catalog"))?;
    Ok(Drift::of(&expected, &actual, scope, session.dialect()))
}

/// Compares the database with what the migrations make on `scratch`: an address of a database that does not exist yet,
/// with a generated name; it is made, filled and dropped again, whatever happens in between.
///
/// `base` is the catalog of what is ours from before the first migration (a baseline), `migrate` applies the migrations
/// to the address that it is given.
pub async fn against_rebuilt<M>(
    session: &mut dyn Session,
    scope: &Scope,
    base: Option<&Catalog>,
    scratch: &dyn Engine,
    migrate: M,
) -> Result<Drift, Failure>
where
    M: AsyncFnOnce(&dyn Engine) -> Result<(), Failure>,
{
    let whole = observe::whole(session)
        .await
        .map_err(|error| trouble::refused(&error, "cannot read the catalog"))?;
    let alike = alike(session).await?;
    scratch.create_scratch().await.map_err(|error| {
        trouble::refused(&error, "cannot make a scratch database").hint(
            "`scratch` of the configuration may name a URL where scratch databases may be made",
        )
    })?;
    let rebuilt = rebuild(&whole, &alike, scope, base, scratch, migrate).await;
    let dropped = scratch.drop_database().await;
    let expected = rebuilt?;
    let mut actual = whole.owned(scope);
    let notes = base.map_or(vec![], |base| {
        leave_out(&mut actual, base, session.dialect())
    });
    let mut drift = Drift::of(&expected, &actual, scope, session.dialect());
    drift.notes.extend(notes);
    if let Err(error) = dropped {
        let name = scratch.database();
        drift.notes.push(format!(
            "the scratch database {name} could not be dropped: {error}"
        ));
    }
    Ok(drift)
}

/// Takes out of a catalog what was there before the first migration and of which no catalog says how it is made: it is not
/// in the scratch database, and that says nothing about it. Gives a sentence for each.
fn leave_out(actual: &mut Catalog, base: &Catalog, dialect: &dyn Dialect) -> Vec<String> {
    let parts = dialect.catalog();
    let mut notes = vec![];
    let mut unmade = |part: Part<'_>| match parts.create(part) {
        Ok(_) => false,
        Err(why) => {
            notes.push(format!("not compared: {why}"));
            true
        }
    };
    let mut tables = vec![];
    for table in &base.tables {
        if unmade(Part::Table(table)) {
            tables.push((&table.schema, &table.name));
        }
    }
    let mut routines = vec![];
    for routine in &base.routines {
        if unmade(Part::Routine(routine)) {
            routines.push((&routine.schema, &routine.name, &routine.arguments));
        }
    }
    actual
        .tables
        .retain(|it| !tables.contains(&(&it.schema, &it.name)));
    actual
        .routines
        .retain(|it| !routines.contains(&(&it.schema, &it.name, &it.arguments)));
    notes
}

/// Statements that give a scratch database the defaults of this one, which its tables took when they were made.
pub(crate) async fn alike(session: &mut dyn Session) -> Result<Vec<String>, Failure> {
    let parts = session.dialect().catalog();
    let Some(query) = parts.defaults() else {
        return Ok(vec![]);
    };
    let rows = session
        .query(&query.sql, &query.params)
        .await
        .map_err(|error| trouble::refused(&error, "cannot read the database's defaults"))?;
    Ok(rows
        .first()
        .map(|row| parts.take_defaults(row))
        .unwrap_or_default())
}

async fn rebuild<M>(
    whole: &Catalog,
    alike: &[String],
    scope: &Scope,
    base: Option<&Catalog>,
    scratch: &dyn Engine,
    migrate: M,
) -> Result<Catalog, Failure>
where
    M: AsyncFnOnce(&dyn Engine) -> Result<(), Failure>,
{
    let wrong = |error: &dunlin_engines::DbError, what: &str| trouble::refused(error, what);
    let mut session = scratch
        .open(Purpose::Script)
        .await
        .map_err(|error| wrong(&error, "cannot open the scratch database"))?;
    for sql in alike {
        session
            .execute(sql)
            .await
            .map_err(|error| wrong(&error, "cannot set the scratch database's defaults"))?;
    }
    let ground = ground(whole, scope, base, session.dialect());
    let Dump { statements, lacks } = render::dump(&ground, session.dialect());
    for sql in &statements {
        // What a migration makes itself may stand among what is borrowed; and an extension may need rights that the
        // migrations do not: what is really missing shows when they run.
        let class = session.dialect().classify(sql, session.lex_mode());
        let optional = class
            .touches
            .iter()
            .any(|object| object.kind == ObjectKind::Extension);
        if let Err(error) = session.execute(sql).await
            && !optional
        {
            let mut failure = wrong(
                &error,
                "cannot make what the migrations stand on in the scratch database",
            );
            failure = failure.hint(format!("the statement was: {sql}"));
            failure.hints.extend(lacks);
            session.close().await;
            return Err(failure);
        }
    }
    session.close().await;
    migrate(scratch).await.map_err(|mut failure| {
        failure.class = FailureClass::Refused;
        failure.message = format!(
            "the migrations do not run on a scratch database: {}",
            failure.message
        );
        failure.hints.extend(lacks);
        failure
    })?;
    let mut session = scratch
        .open(Purpose::Read)
        .await
        .map_err(|error| wrong(&error, "cannot open the scratch database"))?;
    let catalog = observe::catalog(&mut *session, scope)
        .await
        .map_err(|error| wrong(&error, "cannot read the scratch database's catalog"));
    session.close().await;
    catalog
}

/// What the migrations stand on: the base, and what is borrowed, with the types and sequences that it needs. Foreign
/// keys and triggers that lead elsewhere are left out.
pub fn ground(
    whole: &Catalog,
    scope: &Scope,
    base: Option<&Catalog>,
    dialect: &dyn Dialect,
) -> Catalog {
    let mut ground = whole.borrowed(scope);
    let mut texts = String::new();
    for table in &mut ground.tables {
        table.triggers.clear();
        table.rules.clear();
        for column in &table.columns {
            texts.push_str(&column.native);
            texts.push(' ');
            texts.push_str(column.default.as_deref().unwrap_or_default());
            texts.push('\n');
        }
    }
    for view in &mut ground.views {
        view.triggers.clear();
    }
    let needed = |name: &str| {
        mentions(
            &texts.replace('\'', " "),
            &BTreeSet::from([name.to_lowercase()]),
            dialect,
        )
    };
    let all = |name: &str, list: &[String]| list.iter().any(|known| known == name);
    let types: Vec<String> = ground
        .types
        .iter()
        .map(|named| named.name.clone())
        .collect();
    let sequences: Vec<String> = ground
        .sequences
        .iter()
        .map(|sequence| sequence.name.clone())
        .collect();
    ground.types.extend(
        whole
            .types
            .iter()
            .filter(|named| !all(&named.name, &types) && needed(&named.name))
            .cloned(),
    );
    ground.sequences.extend(
        whole
            .sequences
            .iter()
            .filter(|sequence| !all(&sequence.name, &sequences) && needed(&sequence.name))
            .cloned(),
    );
    if let Some(base) = base {
        let known = |schema: &Option<String>, name: &str| {
            ground
                .tables
                .iter()
                .any(|table| table.schema == *schema && table.name == name)
        };
        let tables: Vec<_> = base
            .tables
            .iter()
            .filter(|table| !known(&table.schema, &table.name))
            .cloned()
            .collect();
        ground.tables.extend(tables);
        ground.views.extend(base.views.iter().cloned());
        ground.routines.extend(base.routines.iter().cloned());
        ground.sequences.extend(base.sequences.iter().cloned());
        ground.types.extend(base.types.iter().cloned());
        ground.events.extend(base.events.iter().cloned());
    }
    let here: BTreeSet<(Option<String>, String)> = ground
        .tables
        .iter()
        .map(|table| (table.schema.clone(), table.name.clone()))
        .collect();
    for table in &mut ground.tables {
        table
            .foreign_keys
            .retain(|key| here.contains(&(key.references_schema.clone(), key.references.clone())));
    }
    ground.sort();
    ground
}
