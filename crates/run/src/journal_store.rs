//! The journal in its database: reading it folded, and appending to it under the fence.

use crate::foreign;
use crate::trouble;
use crate::world::World;
use dunlin_core::failure::{ErrorClass, Failure, FailureClass};
use dunlin_core::journal::{self, History, InFlight, OpenBlock, Record, Writing};
use dunlin_core::limits;
use dunlin_core::value::{Row, Value};
use dunlin_engines::lease::Witness;
use dunlin_engines::{DbError, Halted, Part, Session, Took, Whole};
use std::borrow::Cow;

/// Reads, and reads again where the server ended the query to resolve a deadlock (another runner may be making the
/// journal's tables at this very moment): a read outside of a transaction may be repeated.
async fn read_again(session: &mut dyn Session, sql: &str) -> Result<Vec<Row>, DbError> {
    let mut pause = limits::RETRY_PAUSE_FIRST;
    let mut tries = 0;
    loop {
        match session.ask(sql, &[]).await {
            Err(error) if !session.in_transaction() && tries < error.class.retries() => {
                tries += 1;
                tokio::time::sleep(pause).await;
                pause *= 2;
            }
            outcome => return outcome,
        }
    }
}

/// Reads the journal. No journal is an empty history; a journal of a later format is refused.
pub async fn read(world: &World, session: &mut dyn Session) -> Result<History, Failure> {
    let rows = match read_again(session, &world.sql.read).await {
        Err(error) if error.class == ErrorClass::ObjectMissing => {
            let stranger = foreign::no_stranger(world, session).await;
            return match stranger {
                Ok(()) => Ok(History::default()),
                // Behind a transaction pooler a connection may end with the second query. Whoever writes asks again.
                Err(error) if error.class == ErrorClass::ConnectionLost => Ok(History::default()),
                Err(error) => {
                    Err(world.redact(trouble::refused(&error, "cannot read the journal")))
                }
            };
        }
        Err(error) => return Err(world.redact(trouble::refused(&error, "cannot read the journal"))),
        Ok(rows) => rows,
    };
    let history = History::fold(&in_order(rows));
    if history.format > journal::FORMAT {
        let message = format!(
            "the journal was written by a newer Dunlin (format {}, this one knows {})",
            history.format,
            journal::FORMAT
        );
        return Err(Failure::refused("newer-journal", message).hint("use the newer Dunlin"));
    }
    Ok(history)
}

/// The records of some rows, oldest first.
pub(crate) fn in_order(rows: Vec<Row>) -> Vec<Record> {
    let mut records: Vec<Record> = rows.into_iter().filter_map(Record::take).collect();
    records.sort_by_key(|record| record.id);
    records
}

/// Reads the blocks of a migration that stands half way.
pub async fn blocks(
    world: &World,
    session: &mut dyn Session,
    unit: &str,
    flight: &InFlight,
) -> Result<Vec<OpenBlock>, Failure> {
    let rows = session
        .ask(&world.sql.read_unit, &[unit.into()])
        .await
        .map_err(|error| world.redact(trouble::refused(&error, "cannot read the journal")))?;
    let records: Vec<Record> = rows.iter().filter_map(Record::read).collect();
    Ok(journal::fold::blocks(&records, flight.began_id))
}

/// Makes the journal's tables where they are missing. Gives the fence's token.
pub async fn ensure(world: &World, session: &mut dyn Session) -> Result<i64, DbError> {
    if let Some(token) = fence(world, session).await? {
        return Ok(token);
    }
    foreign::no_stranger(world, session).await?;
    for statement in &world.sql.create {
        session.execute(statement).await?;
    }
    let identity = identity(world, session).await;
    let params = [journal::FORMAT.into(), identity.into()];
    // Last: a journal without its fence's row counts as not made yet.
    session.execute_with(&world.sql.fence_init, &params).await?;
    fence(world, session).await?.ok_or_else(|| {
        let message = "the journal's fence could not be made";
        DbError::new(ErrorClass::Other, message)
    })
}

/// The database's identity; empty where this user may not ask for it.
async fn identity(world: &World, session: &mut dyn Session) -> String {
    let rows = session.ask(&world.sql.identity, &[]).await;
    let text = rows.ok().and_then(|rows| {
        let row = rows.first()?;
        row.first()?.as_str().map(str::to_owned)
    });
    text.unwrap_or_default()
}

/// Of a clone (a restored dump, a copied database): its own identity. What the original's journal says of migrations
/// holds for a clone too; what it says of who is at work does not.
pub async fn clone_identity(
    world: &World,
    session: &mut dyn Session,
) -> Result<Option<String>, DbError> {
    let stored = match session.ask(&world.sql.fence_read, &[]).await {
        Err(error) if error.class == ErrorClass::ObjectMissing => return Ok(None),
        rows => rows?
            .first()
            .and_then(|row| row.get(2)?.as_str().map(str::to_owned)),
    };
    let Some(stored) = stored.filter(|stored| !stored.is_empty()) else {
        return Ok(None);
    };
    let own = identity(world, session).await;
    Ok((!own.is_empty() && own != stored).then_some(own))
}

async fn fence(world: &World, session: &mut dyn Session) -> Result<Option<i64>, DbError> {
    match session.ask(&world.sql.fence_read, &[]).await {
        Err(error) if error.class == ErrorClass::ObjectMissing => Ok(None),
        Err(error) => Err(error),
        Ok(rows) => Ok(rows
            .first()
            .and_then(|row| row.first())
            .and_then(|value| value.as_i64())),
    }
}

/// Writes records of one run under one token.
#[derive(Debug, Clone)]
pub struct Pen {
    /// The run's id.
    pub run: String,
    /// The fencing token.
    pub token: i64,
}

impl Pen {
    /// Appends records, all or none, in the session's transaction where one is open.
    pub async fn append(
        &self,
        world: &World,
        session: &mut dyn Session,
        records: &[Writing],
    ) -> Result<(), DbError> {
        for chunk in records.chunks(CHUNK) {
            let (sql, params) = self.statement(world, session, chunk);
            session.execute_with(&sql, &params).await?;
        }
        Ok(())
    }

    /// Appends records in the open transaction and commits it.
    pub async fn append_and_commit(
        &self,
        world: &World,
        session: &mut dyn Session,
        records: &[Writing],
    ) -> Result<(), Halted> {
        let last = records.len().saturating_sub(CHUNK);
        let before = self.append(world, session, &records[..last]).await;
        before.map_err(Halted::Record)?;
        let (sql, params) = self.statement(world, session, &records[last..]);
        session.record_and_commit(&sql, &params).await
    }

    /// Appends records, commits them, and then runs a statement outside of a transaction.
    pub async fn append_then(
        &self,
        world: &World,
        session: &mut dyn Session,
        records: &[Writing],
        then: &str,
    ) -> Result<u64, Halted> {
        let last = records.len().saturating_sub(CHUNK);
        let before = self.append(world, session, &records[..last]).await;
        before.map_err(Halted::Record)?;
        let (sql, params) = self.statement(world, session, &records[last..]);
        session.record_then(&sql, &params, then).await
    }

    /// Runs a statement, appends records and commits, all in one transaction. The time that the statement took is added
    /// to what the last record says.
    pub async fn append_after(
        &self,
        world: &World,
        session: &mut dyn Session,
        sql: &str,
        records: &[Writing],
        may_commit: &Witness,
    ) -> Result<u64, Halted> {
        let (record, mut params) = self.statement(world, session, records);
        let took = cut_out_time(&mut params);
        let whole = Whole {
            sql,
            record: &record,
            params: &params,
            took,
            may_commit: Some(may_commit),
        };
        session.whole(whole).await
    }

    /// A script's statements with the records of their end, for [`Session::together`]. The time that the statements take
    /// is added to what the last record says.
    pub fn part(
        &self,
        world: &World,
        session: &dyn Session,
        statements: Vec<String>,
        records: &[Writing],
    ) -> Part {
        let (record, mut params) = self.statement(world, session, records);
        let took = cut_out_time(&mut params);
        Part {
            statements,
            record: record.into_owned(),
            params,
            took,
        }
    }

    fn statement<'w>(
        &self,
        world: &'w World,
        session: &dyn Session,
        records: &[Writing],
    ) -> (Cow<'w, str>, Vec<Value>) {
        let at = world.clock.stamp();
        let params = records
            .iter()
            .flat_map(|record| masked(world, record).params(&self.run, &at, self.token))
            .collect();
        let sql = world.sql.append(records.len(), session.dialect());
        (sql, params)
    }
}

/// Takes the time out of the last record's detail, and says where the whole time belongs.
fn cut_out_time(params: &mut [Value]) -> Option<Took> {
    // Within a string of the JSON the quotes would have backslashes before them.
    const KEY: &str = "\"duration_ms\":";
    let param = params.len().checked_sub(2)?;
    let Value::Text(detail) = &mut params[param] else {
        return None;
    };
    let at = detail.find(KEY)? + KEY.len();
    let digits = detail[at..].bytes().take_while(u8::is_ascii_digit).count();
    let plus = detail[at..at + digits].parse().ok()?;
    detail.replace_range(at..at + digits, "");
    Some(Took { param, at, plus })
}

/// Bound parameters are limited (32,766 on one engine, 65,535 on others): so many rows of 9 stay below.
pub const CHUNK: usize = 500;

/// The record without secrets in what is prose: the beginnings of statements, reasons, errors. The rest is compared with
/// later and stays to the letter.
fn masked<'r>(world: &World, record: &'r Writing) -> Cow<'r, Writing> {
    const PROSE: [&str; 4] = ["head", "why", "error", "sql"];
    let tells = |text| world.redactor.finds_in_json(text);
    if !PROSE
        .iter()
        .any(|key| record.detail.get(key).is_some_and(tells))
    {
        return Cow::Borrowed(record);
    }
    let mut record = record.clone();
    for key in PROSE {
        if let Some(text) = record.detail.get_mut(key) {
            world.redactor.apply_json(text);
        }
    }
    Cow::Owned(record)
}

/// Whether an error of [`Pen::append`] means that another runner has the lease now: no token was found, or (where a
/// lenient session made 0 of nothing) the table itself refused it.
pub fn is_fenced(error: &DbError) -> bool {
    matches!(error.class, ErrorClass::NotNull | ErrorClass::Check)
}

/// The failure of a runner that was succeeded.
pub fn fenced() -> Failure {
    Failure::new(
        FailureClass::Locked,
        "lease-lost",
        "another runner took the lease: this one stops and writes nothing more",
    )
    .hint("`dunlin status` shows who holds it")
}

/// The newest records, one line each, oldest first; for a bug report.
pub async fn tail(world: &World, count: usize) -> Result<Vec<String>, Failure> {
    let mut session = world.open(dunlin_engines::Purpose::Read).await?;
    let rows = match read_again(&mut *session, &world.sql.read).await {
        Err(error) if error.class == ErrorClass::ObjectMissing => vec![],
        Err(error) => return Err(world.redact(trouble::refused(&error, "cannot read the journal"))),
        Ok(rows) => rows,
    };
    session.close().await;
    let records = in_order(rows);
    let newest = records.iter().skip(records.len().saturating_sub(count));
    let line = |record: &Record| {
        let unit = record.unit.as_deref().unwrap_or("-");
        format!(
            "{} {} {} {unit} {} {}",
            record.id,
            record.at,
            record.run,
            record.event.name(),
            record.detail
        )
    };
    Ok(newest.map(line).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_is_cut_out_where_the_key_stands_and_nowhere_else() {
        let detail = r#"{"name":"\"duration_ms\":5","duration_ms":12,"by":"a"}"#;
        let mut params = vec![Value::from("x"), detail.into(), 7_i64.into()];
        let took = cut_out_time(&mut params).expect("a time");
        assert_eq!((took.param, took.plus), (1, 12));
        let Value::Text(text) = &mut params[1] else {
            panic!("a text")
        };
        assert_eq!(
            text,
            r#"{"name":"\"duration_ms\":5","duration_ms":,"by":"a"}"#
        );
        text.insert_str(took.at, "12");
        assert_eq!(text, detail);
        assert_eq!(cut_out_time(&mut [Value::from("{}"), 7_i64.into()]), None);
    }
}
