//! Keeping tables within the transaction of a script, while nobody else writes to them: around a step, so that every
//! difference between the checkpoint and what is written down at its end is the step's; or before an undo takes them away,
//! so that what is archived is what goes.

use super::file::{Checkpoint, Saved};
use super::merge::note_after;
use super::since::{self, Moment};
use super::write::create_in;
use super::{Chosen, Names, restore};
use crate::executor::Runner;
use crate::steps::left;
use crate::world::World;
use crate::{digest, observe};
use dunlin_core::copy::reading::{Bound, Reading};
use dunlin_core::dialect::Dialect;
use dunlin_core::dialect::steps::qualified;
use dunlin_core::event::Sink;
use dunlin_core::failure::{Failure, FailureClass};
use dunlin_core::journal::{Left, Writing};
use dunlin_core::sql::{Condition, Unwritten};
use dunlin_core::value::Query;
use dunlin_engines::{DbError, Session};

/// What is kept within the transaction of a script.
pub struct Keep {
    /// The checkpoint's name.
    name: String,
    /// What is saved.
    chosen: Chosen,
    /// The tables that nobody else writes to meanwhile.
    tables: Vec<String>,
    /// Why.
    way: Way,
    /// The checkpoint, once it is made.
    pub(crate) made: Option<Checkpoint>,
    /// The tables as they are.
    bound: Vec<Bound>,
}

enum Way {
    /// What the script has left is written down at its end.
    Around,
    /// The script takes it away.
    Before(Before),
}

impl Way {
    fn told(&self, failure: Failure) -> Failure {
        match self {
            Way::Around => failure,
            Way::Before(_) => not_archived(failure),
        }
    }
}

/// The failure of an archive that could not be made.
pub(crate) fn not_archived(mut failure: Failure) -> Failure {
    failure.message = format!(
        "what others have written could not be archived: {}",
        failure.message
    );
    if failure.class == FailureClass::Refused {
        failure.class = FailureClass::Failed;
    }
    failure.hint("nothing of it was dropped")
}

/// What must hold before a script takes something away, and what is recorded with it.
pub(crate) struct Before {
    /// What was seen, and must be so still.
    pub(crate) seen: Vec<Seen>,
    /// Archives before this one, whose values the script writes over once more.
    pub(crate) older: Vec<Older>,
    /// The names that tables have after the script.
    pub(crate) names: Names,
    /// The record of the archive.
    pub(crate) record: Box<dyn Fn(&Checkpoint) -> Writing + Send + Sync>,
}

/// An archive before this one.
#[derive(Debug, Clone)]
pub(crate) struct Older {
    /// It.
    pub(crate) archive: Checkpoint,
    /// Tables of which it holds what is there now.
    pub(crate) holds: Vec<String>,
}

/// Looks at the values of archives before this one, which a script is about to write over.
pub(crate) async fn look_at_older(
    world: &World,
    session: &mut dyn Session,
    older: &[Older],
    (names, only): (&Names, Option<&[String]>),
) -> Result<(), Failure> {
    let asked = |table: &String| only.is_none_or(|only| only.contains(table));
    for one in older {
        let tables = one.archive.saved.iter().map(Saved::label).filter(asked);
        for table in tables {
            let table = std::slice::from_ref(&table);
            let at = (names, Moment::Begins);
            let lost = since::look(world, session, &one.archive, at, Some(table)).await?;
            if lost > 0 && one.holds.contains(&table[0]) {
                return Err(others_write(&table[0]));
            }
        }
    }
    Ok(())
}

/// A question about a table, which may be there under another name by the time when it is asked.
#[derive(Debug, Clone)]
pub(crate) enum Question {
    /// In these words, of which the table's name is one.
    Said {
        schema: Option<String>,
        name: String,
        sql: String,
    },
    /// How many rows it has, of those that meet a condition where there is one.
    Rows {
        schema: Option<String>,
        name: String,
        only: Option<String>,
    },
    /// How many rows hold something else in a column than its default.
    Written {
        schema: Option<String>,
        name: String,
        column: String,
        default: Option<String>,
    },
    /// Whether a column holds nothing but what rows got when it was added, where that is no constant.
    Untouched { name: String, added: Unwritten },
}

impl Question {
    /// The table, as it is named before the undo.
    pub(crate) fn table(&self) -> (Option<&str>, &str) {
        match self {
            Question::Said { schema, name, .. }
            | Question::Rows { schema, name, .. }
            | Question::Written { schema, name, .. } => (schema.as_deref(), name),
            Question::Untouched { name, added } => (added.column.schema.as_deref(), name),
        }
    }

    /// The query, for the table as it is there.
    pub(crate) fn query(&self, dialect: &dyn Dialect, names: &Names) -> Query {
        match self {
            Question::Said { schema, name, sql } => {
                let schema = schema.as_deref();
                let there = names.there(schema, name);
                let of = |name| format!(" FROM {} WHERE ", qualified(dialect, schema, name));
                // Before it stand the names of columns.
                let sql = match there == name {
                    true => sql.clone(),
                    false => sql.replacen(&of(name), &of(there), 1),
                };
                Query::new(sql, vec![])
            }
            Question::Rows { schema, name, only } => {
                let schema = schema.as_deref();
                let mut all = dialect.count_rows(schema, names.there(schema, name));
                all.sql = dialect.change().filtered(&all.sql, only.as_deref());
                all
            }
            Question::Written {
                schema,
                name,
                column,
                default,
            } => {
                let schema = schema.as_deref();
                let there = names.there(schema, name);
                dialect
                    .change()
                    .written(schema, there, column, default.as_deref())
            }
            Question::Untouched { name, added } => {
                let mut added = added.clone();
                let schema = added.column.schema.clone();
                let there = names.there(schema.as_deref(), name);
                added.column.parent = Some(there.to_owned());
                let asked = dialect.probe(&Condition::Unwritten(added));
                // It is kept only where it has been asked.
                asked.unwrap_or_else(|| dialect.count_rows(schema.as_deref(), there))
            }
        }
    }
}

/// A question and its answer.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    /// The table, by the name that it has before the undo.
    pub(crate) table: String,
    /// The column, where it is about one.
    pub(crate) column: Option<String>,
    /// The question.
    pub(crate) question: Question,
    /// The answer: a number in the first row, or how many rows there are.
    pub(crate) number: u64,
    /// The rows count.
    pub(crate) of_rows: bool,
    /// It is about some of the table's rows.
    pub(crate) some: bool,
    /// It is about values in them that this statement of the undo writes over.
    pub(crate) over: Option<usize>,
    /// They are archived: it is asked again so that they are held, and whatever it is answered is archived, too.
    pub(crate) archived: bool,
    /// The rows are what the step itself has left, and nothing of others.
    pub(crate) left: Option<Left>,
}

impl Keep {
    /// Keeps these tables around a step, under a name.
    pub fn around(name: String, tables: Vec<String>) -> Keep {
        let chosen = Chosen {
            tables: tables.clone(),
            ..Chosen::default()
        };
        Keep::new(name, chosen, tables, Way::Around)
    }

    /// Archives what is chosen before a script takes it away, and nothing of other tables that it takes away has changed.
    pub(crate) fn before(name: String, chosen: Chosen, before: Before) -> Keep {
        let tables = before.seen.iter().map(|seen| seen.table.clone());
        Keep::new(name, chosen, tables.collect(), Way::Before(before))
    }

    fn new(name: String, chosen: Chosen, mut tables: Vec<String>, way: Way) -> Keep {
        tables.extend(chosen.columns.iter().map(|(table, _)| table.clone()));
        tables.extend(chosen.rows.iter().map(|(table, _)| table.clone()));
        tables.extend(chosen.tables.iter().cloned());
        Keep {
            name,
            chosen,
            tables,
            way,
            made: None,
            bound: vec![],
        }
    }

    /// Before the transaction: how it must begin, so that what it reads is held. Nothing may be read in it before that.
    async fn ready(&mut self, session: &mut dyn Session) -> Result<(), DbError> {
        let shapes = digest::shapes(session).await?;
        let (_, mut bound) = Reading::derive(&shapes);
        bound.retain(|table| self.tables.contains(&table.label()));
        self.bound = bound;
        for sql in session.dialect().change().before_hold() {
            session.execute(sql).await?;
        }
        Ok(())
    }

    /// At the beginning of the transaction: other writers are kept out, where a statement does that.
    async fn hold(&self, session: &mut dyn Session) -> Result<(), DbError> {
        let change = session.dialect().change();
        let sql = match &self.way {
            Way::Around => change.hold(&self.bound),
            Way::Before(_) => change.lock(&self.bound),
        };
        match sql {
            Some(sql) if !self.bound.is_empty() => session.execute(&sql).await.map(|_| ()),
            _ => Ok(()),
        }
    }

    /// Saves the rows as they are before the script.
    pub(crate) async fn save(
        &mut self,
        world: &World,
        session: &mut dyn Session,
        sink: &mut dyn Sink,
    ) -> Result<(), Failure> {
        if let Way::Before(before) = &self.way {
            for seen in before.seen.iter().filter(|seen| !seen.archived) {
                still(session, seen).await?;
            }
            let seen: Vec<&Seen> = before.seen.iter().collect();
            as_left(session, &seen, &Names::default(), sink).await?;
            if !before.older.is_empty() {
                aside(session, true).await?;
                let at = (&Names::default(), None);
                let looked = look_at_older(world, session, &before.older, at).await;
                let back = aside(session, false).await;
                looked?;
                back?;
            }
            let chosen = &self.chosen;
            if chosen.tables.is_empty() && chosen.columns.is_empty() && chosen.rows.is_empty() {
                return Ok(());
            }
        }
        // Where no statement holds the tables, reading the rows does.
        let locked = session.dialect().change().hold(&[]).is_none() && self.chosen.rows.is_empty();
        aside(session, true).await?;
        let made = create_in(world, session, &self.name, &self.chosen, locked, sink).await;
        let back = aside(session, false).await;
        let made = made.map_err(|failure| self.way.told(failure))?;
        let made = self.made.insert(made);
        if let Way::Before(before) = &self.way {
            let older: Vec<&Checkpoint> = before.older.iter().map(|one| &one.archive).collect();
            let typing = session.dialect().rows().typing();
            let started = since::start(world, typing, made, &older);
            started.map_err(|failure| self.way.told(failure))?;
        }
        back
    }

    /// When the script's statements have run: writes down what they have left. Gives the checkpoint's id.
    pub(crate) async fn note(
        &self,
        world: &World,
        session: &mut dyn Session,
    ) -> Result<Option<String>, Failure> {
        let made = match (&self.made, &self.way) {
            (Some(made), Way::Around) => made,
            (made, Way::Before(before)) => {
                let older = before.older.iter().map(|one| &one.archive);
                let all = made.iter().chain(older).filter(|one| since::is_of(one));
                let all: Vec<&Checkpoint> = all.collect();
                if all.is_empty() {
                    return Ok(None);
                }
                aside(session, true).await?;
                let mut noted = Ok(0);
                for one in all {
                    let at = (&before.names, Moment::Undone);
                    noted = noted.and(since::look(world, session, one, at, None).await);
                }
                let back = aside(session, false).await;
                noted?;
                return back.map(|()| None);
            }
            (None, Way::Around) => return Ok(None),
        };
        aside(session, true).await?;
        let noted = note_after(world, session, made).await;
        let back = aside(session, false).await;
        noted?;
        back?;
        Ok(Some(made.id.clone()))
    }

    /// What is recorded with the script's end.
    pub(crate) fn records(&self) -> Option<Writing> {
        match (&self.made, &self.way) {
            (Some(made), Way::Before(before)) => Some((before.record)(made)),
            _ => None,
        }
    }

    /// The transaction was rolled back: nothing is to be brought back by this.
    pub(crate) fn discard(&mut self) {
        if let Some(made) = self.made.take() {
            // It is swept or dropped by hand otherwise.
            let _ = super::drop(&made);
        }
    }
}

/// What a question is answered now; `lock`: what stands at its end, so that the rows stay as they are.
pub(crate) async fn answer(
    session: &mut dyn Session,
    seen: &Seen,
    names: &Names,
    lock: &str,
) -> Result<u64, DbError> {
    let query = seen.question.query(session.dialect(), names);
    let sql = format!("{}{lock}", query.sql);
    let rows = session.query(&sql, &query.params).await?;
    let first = rows.first().and_then(|row| row.first()?.as_i64());
    Ok(match seen.of_rows {
        true => rows.len() as u64,
        false => first.and_then(|now| u64::try_from(now).ok()).unwrap_or(0),
    })
}

/// The failure where somebody writes into what is about to go.
pub(crate) fn others_write(table: &str) -> Failure {
    let message = format!("others write into {table} at this very moment");
    Failure::new(FailureClass::Failed, "would-destroy", message)
        .hint("nothing of it was dropped; stop whoever writes there, and take it back again")
}

/// Whether an answer is still what it was.
async fn still(session: &mut dyn Session, seen: &Seen) -> Result<(), Failure> {
    let now = answer(session, seen, &Names::default(), "").await;
    match now.map_err(|error| restore::refused(&error))? == seen.number {
        true => Ok(()),
        false => Err(others_write(&seen.table)),
    }
}

/// Whether what the step has left is still that, and nothing of others has come to it.
pub(crate) async fn as_left(
    session: &mut dyn Session,
    seen: &[&Seen],
    names: &Names,
    sink: &mut dyn Sink,
) -> Result<(), Failure> {
    let known = seen.iter().filter(|seen| !seen.archived);
    let known = known.filter_map(|seen| Some((&seen.table, seen.left.as_ref()?)));
    let known: Vec<(&String, &Left)> = known.collect();
    if known.is_empty() {
        return Ok(());
    }
    aside(session, true).await?;
    let mut changed = Ok(());
    for (table, left) in known {
        match left::still(session, left, names, sink).await {
            Ok(true) => {}
            Ok(false) => changed = Err(others_write(table)),
            Err(error) => changed = Err(restore::refused(&error)),
        }
        if changed.is_err() {
            break;
        }
    }
    let back = aside(session, false).await;
    changed?;
    back
}

/// Begins a transaction of a run; where tables are kept in it, nobody else writes to them from here on.
pub(crate) async fn begin(runner: &mut Runner<'_>) -> Result<(), DbError> {
    let work = &mut *runner.work;
    match &mut runner.keep {
        None => work.begin().await,
        Some(keep) => {
            keep.ready(work).await?;
            work.begin().await?;
            keep.hold(work).await
        }
    }
}

/// Saves the tables that are kept in the transaction of a run.
pub(crate) async fn save(runner: &mut Runner<'_>) -> Result<(), Failure> {
    match &mut runner.keep {
        None => Ok(()),
        Some(keep) => {
            keep.save(runner.world, &mut *runner.work, runner.sink)
                .await
        }
    }
}

/// Into the settings under which rows are read exactly, and out of them again.
pub(crate) async fn aside(session: &mut dyn Session, into: bool) -> Result<(), Failure> {
    let (before, after) = session.dialect().change().aside();
    for sql in if into { before } else { after } {
        let done = session.execute(sql).await;
        done.map_err(|error| restore::refused(&error))?;
    }
    Ok(())
}

/// Whether all of these tables are there and transactional.
pub(crate) async fn may_keep(session: &mut dyn Session, tables: &[String]) -> Result<(), Failure> {
    let wrong = |error| restore::refused(&error);
    let there = observe::whole(session).await.map_err(wrong)?;
    let shapes = digest::shapes(session).await.map_err(wrong)?;
    let (_, mut bound) = Reading::derive(&shapes);
    bound.retain(|table| {
        tables.contains(&table.label())
            && there.table(table.schema.as_deref(), &table.table).is_some()
    });
    restore::transactional(session, &bound).await
}
