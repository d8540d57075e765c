//! The frame in which rows are put back: no trigger fires, no foreign key acts, nobody else writes; and when it ends,
//! everything is as it was, and no row refers to one that is not there.

use crate::journal_store::{self, Pen};
use crate::observe;
use crate::trouble;
use crate::world::World;
use dunlin_core::copy::reading::Bound;
use dunlin_core::dialect::Dialect;
use dunlin_core::dialect::catalog::Part;
use dunlin_core::dialect::change::Follows;
use dunlin_core::failure::{ErrorClass, Failure};
use dunlin_core::journal::{self, Writing};
use dunlin_core::schema::{Catalog, ForeignKey, Table};
use dunlin_core::value::Value;
use dunlin_engines::{DbError, Session};

/// What the journal calls triggers that were dropped for the time of a restore.
const DROPPED: &str = "triggers dropped";
/// And those that are back.
const BACK: &str = "triggers back";

/// Statements that take something away, and bring it back.
#[derive(Debug, Default)]
struct Pair {
    drop: Vec<String>,
    make: Vec<String>,
}

/// A foreign key of one of the tables, or to one of them.
#[derive(Debug)]
struct Watched {
    sql: String,
    child: String,
    parent: String,
    before: i64,
}

/// Rows that would be orphans.
#[derive(Debug)]
pub(crate) struct Referred {
    /// How many.
    pub(crate) rows: i64,
    /// Their table.
    pub(crate) child: String,
    /// The table referred to.
    pub(crate) parent: String,
}

/// The frame.
#[derive(Debug)]
pub(crate) struct Quiet {
    triggers: Vec<Pair>,
    keys: Vec<Pair>,
    watched: Vec<Watched>,
    /// Tables that triggers keep in step with these.
    follows: Vec<Follows>,
    /// Triggers cannot be dropped within the transaction.
    commits: bool,
    /// Statements by which is tried, before a trigger goes, whether it could be made again.
    tries: Vec<Vec<String>>,
    /// Triggers were dropped outside of the transaction.
    dropped: bool,
    /// The session was told to be quiet.
    quieted: bool,
}

fn refused(error: &DbError) -> Failure {
    trouble::refused(error, "the rows could not be put back")
}

impl Quiet {
    /// What is in the way of rows of these tables. `there`: the catalog of everything.
    pub(crate) fn plan(
        dialect: &'static dyn Dialect,
        commits: bool,
        there: &Catalog,
        tables: &[&Table],
    ) -> Result<Quiet, Failure> {
        let mut quiet = Quiet {
            triggers: vec![],
            keys: vec![],
            watched: vec![],
            follows: dialect.change().follow(there, tables),
            commits,
            tries: vec![],
            dropped: false,
            quieted: false,
        };
        for table in tables {
            for trigger in &table.triggers {
                let part = Part::Trigger(table.schema.as_deref(), &table.name, trigger);
                quiet.triggers.push(pair(dialect, part)?);
            }
        }
        let among = |schema: Option<&str>, name: &str| {
            let mut tables = tables.iter();
            tables.any(|table| table.name == name && table.schema.as_deref() == schema)
        };
        for table in &there.tables {
            for key in &table.foreign_keys {
                let schema = key.references_schema.as_deref();
                if !among(table.schema.as_deref(), &table.name) && !among(schema, &key.references) {
                    continue;
                }
                if dialect.change().drops_keys() {
                    quiet
                        .keys
                        .push(pair(dialect, Part::ForeignKey(table, key))?);
                }
                quiet.watched.extend(watch(dialect, there, table, key));
            }
        }
        Ok(quiet)
    }

    /// As [`Quiet::plan`]. Where triggers go by statements that commit, they are made again as the server itself says that
    /// they were made, in the order in which they fire, and in a session like that in which they were made.
    pub(crate) async fn of(
        session: &mut dyn Session,
        there: &Catalog,
        tables: Vec<Table>,
    ) -> Result<Quiet, Failure> {
        let commits = !session.caps().transactional_ddl;
        let mut own = Catalog {
            tables,
            ..Catalog::default()
        };
        if commits {
            let exact = observe::exact(session, &mut own).await;
            exact.map_err(|error| refused(&error))?;
        }
        let dialect = session.dialect();
        let tables: Vec<&Table> = own.tables.iter().collect();
        let mut quiet = Quiet::plan(dialect, commits, there, &tables)?;
        if !commits {
            return Ok(quiet);
        }
        let mut triggers = vec![];
        for table in tables {
            let Some(query) = dialect.change().firing(&table.name) else {
                return Ok(quiet);
            };
            let rows = session.query(&query.sql, &query.params).await;
            for row in rows.map_err(|error| refused(&error))? {
                let name = row.first().and_then(Value::as_str);
                let mut all = table.triggers.iter();
                let Some(trigger) = all.find(|trigger| Some(&*trigger.name) == name) else {
                    continue;
                };
                let part = Part::Trigger(table.schema.as_deref(), &table.name, trigger);
                let again = dialect
                    .change()
                    .fires_again(&table.name, &trigger.definition, &row);
                triggers.push(Pair {
                    make: again.make,
                    ..pair(dialect, part)?
                });
                if !quiet.tries.contains(&again.tries) {
                    quiet.tries.push(again.tries);
                }
            }
        }
        quiet.triggers = triggers;
        Ok(quiet)
    }

    /// Rows may come back that referred to nothing when they were taken away.
    pub(crate) fn whatever_refers(mut self) -> Quiet {
        self.watched.clear();
        self
    }

    /// Before the transaction: triggers go where their going commits, and the journal knows how they come back.
    pub(crate) async fn before(
        &mut self,
        world: &World,
        session: &mut dyn Session,
        pen: &Pen,
    ) -> Result<(), Failure> {
        if self.commits && !self.triggers.is_empty() {
            let tries: Vec<&str> = self.tries.iter().flatten().map(String::as_str).collect();
            all_of(session, &tries).await?;
            let made: Vec<&String> = self.triggers.iter().flat_map(|pair| &pair.make).collect();
            let detail = serde_json::json!({ "what": DROPPED, "triggers": made });
            let record = Writing::run(journal::Event::Settled, detail);
            pen.append(world, session, &[record])
                .await
                .map_err(|error| refused(&error))?;
            self.dropped = true;
            let drops = self.triggers.iter().flat_map(|pair| &pair.drop);
            let drops: Vec<&str> = drops.map(String::as_str).collect();
            all_of(session, &drops).await?;
        }
        self.quieted = true;
        let quiet = session.dialect().change().quiet();
        all_of(session, quiet).await
    }

    /// Begins the transaction and keeps other writers out.
    pub(crate) async fn begin(
        &self,
        session: &mut dyn Session,
        tables: &[Bound],
    ) -> Result<(), Failure> {
        let change = session.dialect().change();
        session.begin().await.map_err(|error| refused(&error))?;
        let lock = change.lock(tables);
        for sql in change.pins().iter().copied().chain(lock.as_deref()) {
            session
                .execute(sql)
                .await
                .map_err(|error| refused(&error))?;
        }
        Ok(())
    }

    /// Within the transaction: what is in the way goes.
    pub(crate) async fn open(&mut self, session: &mut dyn Session) -> Result<(), Failure> {
        for watched in &mut self.watched {
            watched.before = count(session, &watched.sql).await?;
        }
        let triggers = self.triggers.iter().filter(|_| !self.commits);
        for sql in triggers.chain(&self.keys).flat_map(|pair| &pair.drop) {
            session
                .execute(sql)
                .await
                .map_err(|error| refused(&error))?;
        }
        Ok(())
    }

    /// Within the transaction: it comes back, unless a row would refer to one that is gone.
    pub(crate) async fn close(&self, session: &mut dyn Session) -> Result<(), Failure> {
        if let Some(Referred {
            rows,
            child,
            parent,
        }) = self.referred(session).await?
        {
            let message = format!(
                "{rows} rows of {child} refer to rows of {parent} that the checkpoint does not hold"
            );
            return Err(Failure::refused("checkpoint-referred", message).hint(format!(
                "nothing has been changed; take the rows of {child} away first, or make checkpoints that hold both tables"
            )));
        }
        self.settle(session).await
    }

    /// Nothing stays of what was there before: every row that refers to nothing counts.
    pub(crate) fn anew(&mut self) {
        self.watched
            .iter_mut()
            .for_each(|watched| watched.before = 0);
    }

    /// Rows that refer to rows that are not there, more than there were before.
    pub(crate) async fn referred(
        &self,
        session: &mut dyn Session,
    ) -> Result<Option<Referred>, Failure> {
        for watched in &self.watched {
            let now = count(session, &watched.sql).await?;
            if now > watched.before {
                return Ok(Some(Referred {
                    rows: now - watched.before,
                    child: watched.child.clone(),
                    parent: watched.parent.clone(),
                }));
            }
        }
        Ok(None)
    }

    /// Makes again what was in the way.
    pub(crate) async fn settle(&self, session: &mut dyn Session) -> Result<(), Failure> {
        let settled = session.dialect().change().settled();
        let triggers = self.triggers.iter().filter(|_| !self.commits);
        let made = self.keys.iter().chain(triggers).flat_map(|pair| &pair.make);
        let anew = self.follows.iter().filter_map(|one| one.anew.as_ref());
        let made = made.chain(anew).map(String::as_str);
        for sql in settled.iter().copied().chain(made) {
            session
                .execute(sql)
                .await
                .map_err(|error| refused(&error))?;
        }
        Ok(())
    }

    /// What is not up to date afterwards, each as a sentence.
    pub(crate) fn behind(&self) -> Vec<String> {
        let behind = self.follows.iter().filter(|one| one.anew.is_none());
        let said = behind.map(|one| {
            format!(
                "{} is filled by triggers of tables whose rows came back, and these did not fire: fill it anew",
                one.table
            )
        });
        said.collect()
    }

    /// After the transaction, however it ended.
    pub(crate) async fn after(
        &self,
        world: &World,
        session: &mut dyn Session,
        pen: &Pen,
    ) -> Result<(), Failure> {
        let loud = session.dialect().change().loud();
        let loud = match self.quieted {
            true => all_of(session, loud).await,
            false => Ok(()),
        };
        // They come back whatever became of the rest.
        if self.dropped {
            let made = self.triggers.iter().flat_map(|pair| &pair.make);
            bring_triggers_back(world, session, pen, made.map(String::as_str)).await?;
        }
        loud
    }
}

/// Runs statements up to the first that fails.
async fn all_of(session: &mut dyn Session, all: &[&str]) -> Result<(), Failure> {
    for sql in all {
        let done = session.execute(sql).await;
        done.map_err(|error| refused(&error))?;
    }
    Ok(())
}

fn pair(dialect: &dyn Dialect, part: Part<'_>) -> Result<Pair, Failure> {
    let catalog = dialect.catalog();
    let rendered = catalog
        .drop(part)
        .and_then(|drop| catalog.again(part).map(|make| Pair { drop, make }));
    rendered.map_err(|why| {
        Failure::refused(
            "checkpoint-shape",
            format!("{}: {why}", catalog.clause(part)),
        )
    })
}

fn watch(
    dialect: &dyn Dialect,
    there: &Catalog,
    table: &Table,
    key: &ForeignKey,
) -> Option<Watched> {
    let parent = there.table(key.references_schema.as_deref(), &key.references)?;
    let columns = if key.references_columns.is_empty() {
        parent.keys.iter().find(|key| key.primary)?.columns.clone()
    } else {
        key.references_columns.clone()
    };
    Some(Watched {
        sql: dialect.change().orphans(table, key, &columns),
        child: table.label(),
        parent: parent.label(),
        before: 0,
    })
}

async fn count(session: &mut dyn Session, sql: &str) -> Result<i64, Failure> {
    let rows = session.query(sql, &[]).await;
    let rows = rows.map_err(|error| refused(&error))?;
    let number = rows.first().and_then(|row| row.first());
    Ok(number.and_then(Value::as_i64).unwrap_or(0))
}

async fn bring_triggers_back(
    world: &World,
    session: &mut dyn Session,
    pen: &Pen,
    made: impl Iterator<Item = &str>,
) -> Result<(), Failure> {
    let wrong = |error: &DbError| {
        trouble::failed(
            error,
            "the triggers of the restored tables could not be made again",
        )
        .hint("`dunlin checkpoint restore` makes them before anything else when it runs again")
    };
    let mut failed = None;
    for sql in made {
        match session.execute(sql).await {
            Err(error) if error.class != ErrorClass::ObjectExists => {
                // The others come back all the same.
                failed.get_or_insert(wrong(&error));
            }
            _ => {}
        }
    }
    if let Some(failure) = failed {
        return Err(failure);
    }
    let record = Writing::run(journal::Event::Settled, serde_json::json!({ "what": BACK }));
    pen.append(world, session, &[record])
        .await
        .map_err(|error| wrong(&error))
}

/// Makes the triggers again that a restore which died had dropped.
pub(crate) async fn mend(
    world: &World,
    session: &mut dyn Session,
    pen: &Pen,
) -> Result<(), Failure> {
    let rows = session.query(&world.sql.read, &[]).await;
    let rows = rows.map_err(|error| trouble::refused(&error, "cannot read the journal"))?;
    let mut dropped: Vec<String> = vec![];
    for record in journal_store::in_order(rows) {
        if record.event != journal::Event::Settled || record.unit.is_some() {
            continue;
        }
        let detail: serde_json::Value = record.detail();
        match detail["what"].as_str() {
            Some(DROPPED) => {
                let list = detail["triggers"].as_array().into_iter().flatten();
                dropped.extend(list.filter_map(|sql| sql.as_str().map(str::to_owned)));
            }
            Some(BACK) => dropped.clear(),
            _ => {}
        }
    }
    if dropped.is_empty() {
        return Ok(());
    }
    bring_triggers_back(world, session, pen, dropped.iter().map(String::as_str)).await
}
