//! `kill_blockers`: who keeps a step's statement waiting for a lock longer than its author allows is ended, and said.

use crate::trouble;
use crate::world::World;
use dunlin_core::dialect::LeaseSql;
use dunlin_core::dialect::preflight::of_others;
use dunlin_core::failure::Failure;
use dunlin_core::value::Value;
use dunlin_engines::{Purpose, Session};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// How often it is asked who blocks: a wait for a lock is cut short after `lock_timeout` and begun again.
const ASK_EVERY: Duration = Duration::from_millis(50);

/// Between two waits for a lock there is a pause: who blocks again after it has blocked all the time.
const FORGET_AFTER: Duration = Duration::from_secs(5);

/// The longest that one question may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// A session beside the one that works, which looks who keeps it waiting.
pub struct Blockers {
    /// For how long somebody may.
    pub after: Duration,
    step: String,
    side: Box<dyn Session>,
    /// How a session is told and ended; `None`: the engine has none.
    sql: Option<LeaseSql>,
    /// The session that works.
    own: Option<i64>,
    /// Since when, and when last, each was seen to block.
    seen: BTreeMap<i64, (Instant, Instant)>,
    /// It was said that it cannot be told who blocks.
    is_blind: bool,
}

impl Blockers {
    /// Opens the session beside.
    pub async fn open(world: &World, step: &str, after: Duration) -> Result<Blockers, Failure> {
        let side = world.open(Purpose::Tool).await?;
        Ok(Blockers {
            after,
            step: step.to_owned(),
            sql: side.dialect().lease(&world.names),
            side,
            own: None,
            seen: BTreeMap::new(),
            is_blind: false,
        })
    }

    /// Closes it.
    pub async fn close(self) {
        self.side.close().await;
    }

    /// Learns which session is about to work.
    pub async fn of(&mut self, work: &mut dyn Session) {
        self.own = None;
        let Some(sql) = &self.sql else { return };
        if let Ok(rows) = work.query(&sql.own_session, &[]).await {
            let own = rows.first().and_then(|row| row.first());
            self.own = own.and_then(|own| own.as_str()?.parse().ok());
        }
    }

    /// Runs a statement's work to its end; meanwhile those who keep it waiting too long are ended. Gives what is to be
    /// said of that.
    pub async fn beside<T>(
        &mut self,
        world: &World,
        tables: &[&str],
        work: impl Future<Output = T>,
    ) -> (T, Vec<String>) {
        let mut work = std::pin::pin!(work);
        let mut said = vec![];
        loop {
            tokio::select! {
                biased;
                done = &mut work => return (done, said),
                () = tokio::time::sleep(ASK_EVERY) => {}
            }
            // The work goes on while it is asked; and an answer that is on its way is read also when the work has ended.
            let (done, more) = {
                let look = tokio::time::timeout(PATIENCE, self.look(world, tables));
                let mut look = std::pin::pin!(look);
                tokio::select! {
                    done = &mut work => (Some(done), look.await),
                    more = &mut look => (None, more),
                }
            };
            let is_late = more.is_err();
            said.extend(more.unwrap_or_default());
            self.is_blind |= is_late;
            if let Some(done) = done {
                return (done, said);
            }
        }
    }

    async fn look(&mut self, world: &World, tables: &[&str]) -> Vec<String> {
        let Some(own) = self.own.filter(|_| !self.is_blind) else {
            return vec![];
        };
        let now = Instant::now();
        let query = {
            let preflight = self.side.dialect().preflight();
            preflight.blockers(self.side.caps(), own, tables)
        };
        let Some(query) = query else { return vec![] };
        let rows = match self.side.query(&query.sql, &query.params).await {
            Ok(rows) => rows,
            Err(error) => {
                self.is_blind = true;
                let why = trouble::refused(&error, "it cannot be told who blocks").message;
                return vec![format!(
                    "warning: `kill_blockers` of step `{}`: {why}",
                    self.step
                )];
            }
        };
        self.seen
            .retain(|_, (_, last)| now.duration_since(*last) < FORGET_AFTER);
        let mut said = vec![];
        for row in rows {
            let Some(id) = row.first().and_then(Value::as_i64) else {
                continue;
            };
            let (first, last) = self.seen.entry(id).or_insert((now, now));
            *last = now;
            if now.duration_since(*first) >= self.after {
                self.seen.remove(&id);
                said.push(self.end(world, id, &row).await);
            }
        }
        said
    }

    async fn end(&mut self, world: &World, id: i64, row: &[Value]) -> String {
        let text = |at: usize| row.get(at).and_then(Value::as_str).unwrap_or_default();
        let whose = format!("session {id} of {}, \"{}\"", text(1), of_others(text(2)));
        let whose = world.redactor.apply(&whose);
        let sql = self.sql.as_ref();
        let Some(end) = sql.and_then(|sql| sql.end(&id.to_string())) else {
            return String::new();
        };
        match self.side.execute(&end).await {
            Ok(_) => format!(
                "step `{}`: {whose} kept it waiting for {} s and was ended, as `kill_blockers` says",
                self.step,
                self.after.as_secs()
            ),
            Err(error) => format!(
                "warning: step `{}`: {whose} keeps it waiting and could not be ended: {}",
                self.step, error.message
            ),
        }
    }
}
