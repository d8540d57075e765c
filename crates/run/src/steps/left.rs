//! What a plan's step leaves in what its undo takes away, written down with the step's end: tables, columns and rows, by
//! their digests. Who takes the step back learns by it that others have changed something, also where there are as many
//! rows as the step has written.

use super::counted::{counted_of, default_schema};
use super::migrate::{Unit, json, tells_rows};
use super::send::cancel_until;
use crate::checkpoint::keep::aside;
use crate::checkpoint::{Names, some_rows};
use crate::control::{Control, Stop};
use crate::digest::{self, TableDigest};
use crate::executor::Runner;
use crate::world::World;
use crate::{observe, trouble};
use dunlin_core::copy::reading::{Reading, TableShape};
use dunlin_core::event::Sink;
use dunlin_core::failure::Failure;
use dunlin_core::journal::{Direction, Left, Writing};
use dunlin_core::limits;
use dunlin_core::plan::delete;
use dunlin_core::plan::inverse::{self, Renames, is_harmless};
use dunlin_core::plan::over::{self, Over};
use dunlin_core::schema::lookup::Lookup;
use dunlin_core::schema::{Catalog, key};
use dunlin_core::source::Script;
use dunlin_core::sql::{Condition, Kind, ObjectKind, ObjectRef, StatementClass, Unwritten};
use dunlin_engines::{Cancel, DbError, Purpose, Session};

/// What an undo's statements are, and what each gives another name.
pub(crate) fn read(undo: &Script, work: &dyn Session) -> (Vec<StatementClass>, Vec<Renames>) {
    let (dialect, lex) = (work.dialect(), work.lex_mode());
    let each = undo.statements.iter().map(|statement| {
        let class = dialect.classify(&statement.sql, lex);
        (class, inverse::renames(&statement.sql, dialect, lex))
    });
    each.unzip()
}

/// What a step that is about to end leaves. `inside`: its transaction is open, and nobody else sees its rows yet. Where that
/// cannot be read it is not written down, and how many rows there are will have to tell.
pub(super) async fn of(runner: &mut Runner<'_>, unit: &Unit<'_>, inside: bool) -> Vec<Left> {
    let Some(undo) = unit.migration.undo.as_ref().filter(|_| {
        unit.direction == Direction::Up
            && tells_rows(runner, unit)
            && runner.rows <= limits::LEFT_ROWS
    }) else {
        return vec![];
    };
    let wrote = runner.rows > 0;
    let given = wrote || adds_by_default(unit, undo);
    let mut takes = taken(undo, &*runner.work, wrote, given);
    for take in &mut takes {
        take.put = put(runner, unit, &take.table);
    }
    if takes.is_empty() {
        return vec![];
    }
    let found = match inside {
        true => within(runner, takes).await,
        false => beside(runner, takes).await,
    };
    found.unwrap_or_default()
}

/// In the step's own transaction.
async fn within(runner: &mut Runner<'_>, takes: Vec<Take>) -> Option<Vec<Left>> {
    let mut control = runner.control.clone();
    let (work, sink) = (&mut *runner.work, &mut *runner.sink);
    let database = runner.world.engine.database();
    aside(work, true).await.ok()?;
    let cancel = work.canceller();
    let reading = async {
        let lookup = observe::lookup(work, database).await?;
        all(work, takes, &lookup, sink).await
    };
    let found = soon(&*cancel, &mut control, reading).await;
    // What went wrong within goes back with it, or shows at the next statement.
    let _ = aside(&mut *runner.work, false).await;
    found
}

/// By a session of its own.
async fn beside(runner: &mut Runner<'_>, takes: Vec<Take>) -> Option<Vec<Left>> {
    let mut control = runner.control.clone();
    let world = runner.world;
    let lookup = observe::lookup(&mut *runner.work, world.engine.database());
    let lookup = lookup.await.ok()?;
    let mut session = world.open(Purpose::Read).await.ok()?;
    let (work, sink) = (&mut *session, &mut *runner.sink);
    let cancel = work.canceller();
    let reading = async {
        digest::begin_snapshot(work).await?;
        all(work, takes, &lookup, sink).await
    };
    let found = soon(&*cancel, &mut control, reading).await;
    session.close().await;
    found
}

/// What is read soon: whoever waits for the step's locks waits no longer for it, nor does who wants it to end.
async fn soon<T>(
    cancel: &dyn Cancel,
    control: &mut Control,
    reading: impl Future<Output = Result<T, DbError>>,
) -> Option<T> {
    let mut reading = std::pin::pin!(reading);
    tokio::select! {
        found = &mut reading => return found.ok(),
        () = tokio::time::sleep(limits::LEFT_TIME) => {}
        () = control.until(Stop::Now) => {}
    }
    cancel_until(cancel, &mut reading).await.ok()
}

/// Into the record of the step's end.
pub(super) fn note(record: &mut Writing, left: &[Left]) {
    if !left.is_empty() {
        record.detail["stands"] = json(&left);
    }
}

/// Whether an undo may have to tell later what it writes over, or what a default had given.
pub(super) fn is_asked(runner: &Runner<'_>, unit: &Unit<'_>) -> bool {
    let undo = unit.migration.undo.as_ref();
    let undo = undo.filter(|_| unit.direction == Direction::Up && tells_rows(runner, unit));
    let writes = |undo| ["UPDATE", "REPLACE"].iter().any(|verb| says(undo, verb));
    undo.is_some_and(|undo| writes(undo) || adds_by_default(unit, undo))
}

/// Whether a unit may add columns with a default, which its undo takes away.
fn adds_by_default(unit: &Unit<'_>, undo: &Script) -> bool {
    says(&unit.migration.up, "DEFAULT") && says(undo, "ALTER")
}

/// Whether a statement of a script holds a word.
fn says(script: &Script, word: &str) -> bool {
    let mut statements = script.statements.iter();
    statements.any(|statement| statement.sql.to_ascii_uppercase().contains(word))
}

/// The values that an undo's statements write over.
pub(crate) fn overs(undo: &Script, work: &dyn Session) -> Vec<Over> {
    let (classes, renamed) = read(undo, work);
    let texts = undo.statements.iter().map(|statement| &*statement.sql);
    let texts: Vec<&str> = texts.collect();
    over::all(&texts, &classes, &renamed, work.dialect(), work.lex_mode())
}

/// What an undo takes away: of a table all, a column, or some rows; or what it writes over.
struct Take {
    table: ObjectRef,
    column: Option<String>,
    only: Option<String>,
    over: Option<Over>,
    /// How many rows the step has put into the table, which was there before it.
    put: Option<u64>,
    /// The step has written rows.
    wrote: bool,
}

/// How many rows a unit has put into a table that was there before it; `None`: that is not known.
fn put(runner: &Runner<'_>, unit: &Unit<'_>, table: &ObjectRef) -> Option<u64> {
    let is_it = |object: &ObjectRef| object.name.eq_ignore_ascii_case(&table.name);
    let told = |class: &StatementClass| match class.kind {
        Kind::Ddl => {
            let mut holds = class.post.iter();
            !holds.any(|post| matches!(post, Condition::Exists(made) if is_it(made)))
        }
        Kind::Dml | Kind::CopyIn => !class.touches.is_empty(),
        _ => is_harmless(class),
    };
    if unit.resumed || !unit.lowered.classes.iter().all(told) {
        return None;
    }
    let mut put = counted_of(&runner.wrote, table, &default_schema(runner)).into_iter();
    put.try_fold(0_u64, |all, rows| Some(all.saturating_add(rows?)))
}

/// `wrote`: the step has written rows itself; where it has not, whatever is found later in a column is others', but what its
/// default has `given`.
fn taken(undo: &Script, work: &dyn Session, wrote: bool, given: bool) -> Vec<Take> {
    let (classes, renamed) = read(undo, work);
    let mut takes = vec![];
    let mut table = |table: ObjectRef, column: Option<&str>, only: Option<String>| {
        takes.push(Take {
            table,
            column: column.map(str::to_owned),
            only,
            over: None,
            put: None,
            wrote,
        });
    };
    for gone in inverse::gone(&classes, &renamed) {
        let was = &gone.was;
        match was.kind {
            ObjectKind::Table => table(was.clone(), None, None),
            ObjectKind::Column if given => {
                let parent = was.parent.as_deref().unwrap_or_default();
                let of = ObjectRef::table(was.schema.as_deref(), parent);
                table(of, Some(&was.name), None);
            }
            _ => {}
        }
    }
    for (at, class) in classes.iter().enumerate() {
        for emptied in delete::emptied(class) {
            table(inverse::first_of(&renamed[..at], emptied), None, None);
        }
    }
    let statements = undo.statements.iter().enumerate();
    let deletes: Vec<_> = statements
        .filter_map(|(at, statement)| {
            let deleted = delete::read(&statement.sql, work.dialect(), work.lex_mode())?;
            Some((at, deleted))
        })
        .collect();
    // A derived undo has one for each row, and asks for them by their keys.
    if wrote && deletes.len() <= limits::LEFT_DELETES {
        for (at, deleted) in deletes {
            let named = ObjectRef::table(deleted.table.schema.as_deref(), &deleted.table.name);
            let first = inverse::first_of(&renamed[..at], &named);
            if !deleted.named || first == named {
                table(first, None, Some(deleted.only));
            }
        }
    }
    // Whoever has written what an UPDATE writes over, it was there when the step ended.
    takes.extend(overs(undo, work).into_iter().map(|over| Take {
        table: over.first.clone(),
        column: None,
        only: None,
        over: Some(over),
        put: None,
        wrote,
    }));
    takes
}

async fn all(
    session: &mut dyn Session,
    takes: Vec<Take>,
    lookup: &Lookup,
    sink: &mut dyn Sink,
) -> Result<Vec<Left>, DbError> {
    let shapes = digest::shapes(session).await?;
    let looks = |take: &Take| take.column.is_some() || take.over.is_some();
    let catalog = match takes.iter().any(looks) {
        true => Some(observe::whole(session).await?),
        false => None,
    };
    let mut found: Vec<Left> = vec![];
    for take in takes {
        let named = (take.table.schema.as_deref(), take.table.name.as_str());
        let of = lookup.find(
            &shapes,
            |shape| (shape.schema.as_deref(), shape.name.as_str()),
            named,
        );
        let Some(shape) = of else {
            continue;
        };
        let mut left = Left {
            table: shape.label(),
            only: take.only.clone().unwrap_or_default(),
            put: take
                .put
                .filter(|_| take.column.is_none() && take.over.is_none()),
            ..Left::default()
        };
        if let (Some(over), Some(catalog)) = (&take.over, &catalog)
            && !values(session, (over, shape), catalog, &mut left).await?
        {
            continue;
        }
        if let (Some(_), Some(catalog)) = (&take.column, &catalog)
            && !given(session, (&take, shape), catalog, &mut left).await?
        {
            continue;
        }
        if let Some(now) = now(session, &shapes, &left, &left.table, sink).await? {
            (left.rows, left.digest) = (now.rows, now.digest);
            found.push(left);
        }
    }
    Ok(found)
}

/// Completes what is left of a column. Gives whether it is looked at, and not too long to be read.
async fn given(
    session: &mut dyn Session,
    (take, shape): (&Take, &TableShape),
    catalog: &Catalog,
    left: &mut Left,
) -> Result<bool, DbError> {
    let Some(there) = catalog.table(shape.schema.as_deref(), &shape.name) else {
        return Ok(false);
    };
    let name = take.column.as_deref().unwrap_or_default();
    let mut columns = there.columns.iter();
    let Some(added) = columns.find(|one| one.name.eq_ignore_ascii_case(name)) else {
        return Ok(false);
    };
    let unwritten = Unwritten {
        column: take.table.clone(),
        nullable: added.nullable,
        default: added.default.clone(),
    };
    // A default that is no constant has given each row something: all rows are read then, and not those alone that hold
    // something else.
    let constant = unwritten.is_constant() && (added.nullable || added.default.is_some());
    let looks = match constant {
        true => take.wrote,
        false => few(session, shape, None).await?,
    };
    if added.generated.is_some() || !looks {
        return Ok(false);
    }
    if constant {
        let change = session.dialect().change();
        let as_made = change.as_made(&added.name, added.default.as_deref());
        left.only = format!("NOT ({as_made})");
    }
    left.columns = key::of(there).unwrap_or_default();
    if !left.columns.contains(&added.name) {
        left.columns.push(added.name.clone());
    }
    left.column.clone_from(&added.name);
    Ok(true)
}

/// Completes what is left of values that an UPDATE writes over. Gives whether there are any, and not too many to be read.
async fn values(
    session: &mut dyn Session,
    (over, shape): (&Over, &TableShape),
    catalog: &Catalog,
    left: &mut Left,
) -> Result<bool, DbError> {
    let Some(there) = catalog.table(shape.schema.as_deref(), &shape.name) else {
        return Ok(false);
    };
    left.over = over.columns_of(there);
    left.columns = hashed(key::of(there), &left.over);
    left.only = over.only_of(there, session.dialect());
    // What is asked for may be made by the undo itself: then all rows are meant.
    let [part, done, back] = session.dialect().change().part();
    session.execute(part).await?;
    let few = few(session, shape, Some(&left.only)).await;
    if few.is_err() {
        session.execute(back).await?;
    }
    session.execute(done).await?;
    let few = match few {
        Err(error) if over::asks_too_much(error.class) && left.only != delete::ALL => {
            let over = over.clone().of_all_rows();
            return Box::pin(values(session, (&over, shape), catalog, left)).await;
        }
        few => few?,
    };
    Ok(few && !left.over.is_empty())
}

/// Whether a table has no more rows, or rows that meet a condition, than are read.
async fn few(
    session: &mut dyn Session,
    shape: &TableShape,
    only: Option<&str>,
) -> Result<bool, DbError> {
    let dialect = session.dialect();
    let mut all = dialect.count_rows(shape.schema.as_deref(), &shape.name);
    all.sql = dialect.change().filtered(&all.sql, only);
    let rows = session.query(&all.sql, &all.params).await?;
    let rows = rows.first().and_then(|row| row.first()?.as_i64());
    let rows = rows.and_then(|rows| u64::try_from(rows).ok());
    Ok(rows.is_some_and(|rows| rows <= limits::LEFT_ROWS))
}

/// The columns that tell whether values are others': they with the key; of a table without one (an empty list) all.
fn hashed(key: Option<Vec<String>>, over: &[String]) -> Vec<String> {
    let Some(mut columns) = key else {
        return vec![];
    };
    for name in over {
        if !columns.contains(name) {
            columns.push(name.clone());
        }
    }
    columns
}

/// The digest of it now, in the table that is `there` under this name; `None`: it, or a column of it, is not there any more.
async fn now(
    session: &mut dyn Session,
    shapes: &[TableShape],
    left: &Left,
    there: &str,
    sink: &mut dyn Sink,
) -> Result<Option<TableDigest>, DbError> {
    let just_so = |shape: &&TableShape| shape.label() == there;
    let alike = |shape: &&TableShape| shape.label().eq_ignore_ascii_case(there);
    let mut all = shapes.iter();
    let Some(shape) = all.find(just_so).or_else(|| shapes.iter().find(alike)) else {
        return Ok(None);
    };
    let (_, mut bound) = Reading::derive(std::slice::from_ref(shape));
    let Some(mut table) = bound.pop() else {
        return Ok(None);
    };
    if !left.columns.is_empty() {
        let hashed = |name: &String| left.columns.contains(name);
        table.columns.retain(|column| hashed(&column.shape.name));
        if table.columns.len() != left.columns.len() {
            return Ok(None);
        }
    }
    let found = match left.only.as_str() {
        "" => digest::digest_table(session, &table, sink).await,
        only => some_rows(session, &table, only).await,
    };
    found.map(Some)
}

/// Whether it is now as it was left, as this session sees it.
pub(crate) async fn still(
    session: &mut dyn Session,
    left: &Left,
    names: &Names,
    sink: &mut dyn Sink,
) -> Result<bool, DbError> {
    let shapes = digest::shapes(session).await?;
    let there = names.label_there(&left.table);
    let now = now(session, &shapes, left, &there, sink).await?;
    Ok(now.is_some_and(|now| now.rows == left.rows && now.digest == left.digest))
}

/// Takes what is there now for what was left, as this session sees it.
pub(super) async fn renew(
    session: &mut dyn Session,
    left: &mut Left,
    names: &Names,
    sink: &mut dyn Sink,
) -> Result<(), DbError> {
    let shapes = digest::shapes(session).await?;
    let there = names.label_there(&left.table);
    if let Some(now) = now(session, &shapes, left, &there, sink).await? {
        (left.rows, left.digest) = (now.rows, now.digest);
    }
    Ok(())
}

/// Whether it is now as it was left, by a session of its own.
pub(crate) async fn still_there(
    world: &World,
    left: &Left,
    names: &Names,
    sink: &mut dyn Sink,
) -> Result<bool, Failure> {
    let mut session = world.open(Purpose::Read).await?;
    let found = match digest::begin_snapshot(&mut *session).await {
        Ok(()) => still(&mut *session, left, names, sink).await,
        Err(error) => Err(error),
    };
    session.close().await;
    found.map_err(|error| {
        let failure = trouble::failed(&error, "cannot look at what was written since");
        world.redact(failure)
    })
}
