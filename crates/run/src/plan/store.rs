//! A plan's records: read folded, and written by people who hold no lease.

use crate::journal_store::{self, Pen};
use crate::trouble;
use crate::world::World;
use dunlin_core::failure::{ErrorClass, Failure, FailureClass};
use dunlin_core::journal::plan::PlanHistory;
use dunlin_core::journal::{Record, Writing};
use dunlin_engines::{Purpose, Session};

/// Reads all records of plans; none where there is no journal.
pub async fn records(world: &World, session: &mut dyn Session) -> Result<Vec<Record>, Failure> {
    rows(world, session, &world.sql.read_plans).await
}

/// Reads what people have said of a plan as a whole.
pub async fn orders(
    world: &World,
    session: &mut dyn Session,
    plan: &str,
) -> Result<Vec<Record>, Failure> {
    let key = dunlin_core::journal::plan::plan_key(plan);
    match session.ask(&world.sql.read_orders, &[key.into()]).await {
        Ok(rows) => Ok(rows.iter().filter_map(Record::read).collect()),
        Err(error) => Err(world.redact(trouble::failed(&error, "cannot read the journal"))),
    }
}

/// Reads the beginnings and ends of all runs; none where there is no journal.
pub async fn runs(world: &World, session: &mut dyn Session) -> Result<Vec<Record>, Failure> {
    rows(world, session, &world.sql.read_runs).await
}

async fn rows(world: &World, session: &mut dyn Session, sql: &str) -> Result<Vec<Record>, Failure> {
    match session.ask(sql, &[]).await {
        Ok(rows) => Ok(rows.iter().filter_map(Record::read).collect()),
        Err(error) if error.class == ErrorClass::ObjectMissing => Ok(vec![]),
        Err(error) => Err(world.redact(trouble::refused(&error, "cannot read the journal"))),
    }
}

/// Reads a plan's history.
pub async fn read(
    world: &World,
    session: &mut dyn Session,
    plan: &str,
) -> Result<PlanHistory, Failure> {
    let records = records(world, session).await?;
    Ok(PlanHistory::fold(plan, &records))
}

/// Writes what a person says beside a run, under the fence as it is: the lease stays with whoever holds it.
pub async fn say(world: &World, records: &[Writing]) -> Result<(), Failure> {
    let mut session = world.open(Purpose::Tool).await?;
    let mut tries = 0;
    let outcome = loop {
        let token = match journal_store::ensure(world, &mut *session).await {
            Ok(token) => token,
            Err(error) => break Err(error),
        };
        let pen = Pen {
            run: world.run_id(),
            // A journal that was just made has the token 0, under which nothing can be written.
            token: match token {
                0 => match raise(world, &mut *session).await {
                    Ok(token) => token,
                    Err(error) => break Err(error),
                },
                token => token,
            },
        };
        match pen.append(world, &mut *session, records).await {
            // A runner took the lease between the two: its token counts now.
            Err(error) if journal_store::is_fenced(&error) && tries < 5 => tries += 1,
            outcome => break outcome,
        }
    };
    session.close().await;
    outcome.map_err(|error| {
        let mut failure = trouble::refused(&error, "cannot write the journal");
        if journal_store::is_fenced(&error) {
            failure.class = FailureClass::Locked;
        }
        world.redact(failure)
    })
}

async fn raise(world: &World, session: &mut dyn Session) -> Result<i64, dunlin_engines::DbError> {
    session
        .execute_with(&world.sql.fence_raise, &[1.into(), 0.into()])
        .await?;
    journal_store::ensure(world, session).await
}

/// The user of the database, as far as the server says.
pub fn database_user(world: &World) -> String {
    world.engine.user().unwrap_or_default()
}
