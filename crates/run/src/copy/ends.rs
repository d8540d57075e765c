//! The two ends of a copy: sessions that read one state of the source, and sessions that write under the target's lease.

use crate::digest::{begin_snapshot, end_snapshot};
use crate::trouble;
use crate::world::World;
use dunlin_core::dialect::landing::Sharing;
use dunlin_core::failure::{ErrorClass, Failure};
use dunlin_core::value::Value;
use dunlin_engines::{DbError, Purpose, Session};
use futures_util::future::BoxFuture;
use std::time::Duration;

/// How long the end of a transaction that only read is waited for.
const PATIENCE: Duration = Duration::from_secs(1);

/// How often sessions begin anew because somebody wrote meanwhile.
const BEGINNINGS: usize = 5;
/// How long they leave the writer before that.
const PAUSE: Duration = Duration::from_millis(5);

/// Sessions that read one state of the source. The first is always there.
pub struct Readers {
    sessions: Vec<Box<dyn Session>>,
}

fn wrong(world: &World, error: &DbError) -> Failure {
    world.redact(trouble::refused(error, "the source cannot be read"))
}

impl Readers {
    /// Opens them: as many as are wanted where the engine lets several see one state, else one.
    pub async fn open(world: &World, wanted: usize) -> Result<Readers, Failure> {
        let lead = world.open(Purpose::Read).await?;
        let mut readers = Readers {
            sessions: vec![lead],
        };
        let opened = readers.begin(world, wanted.max(1)).await;
        match opened {
            Ok(()) => Ok(readers),
            Err(error) => {
                readers.close().await;
                Err(wrong(world, &error))
            }
        }
    }

    async fn begin(&mut self, world: &World, wanted: usize) -> Result<(), DbError> {
        let dialect = world.dialect();
        let landing = dialect.landing();
        match landing.sharing() {
            Sharing::Exported if wanted > 1 => {
                begin_snapshot(&mut *self.sessions[0]).await?;
                let Some(export) = dialect.rows().snapshot_export() else {
                    return Ok(());
                };
                let rows = self.sessions[0].query(export, &[]).await?;
                let name = rows.first().and_then(|row| row.first()?.as_str());
                let Some(name) = name.map(str::to_owned) else {
                    return Ok(());
                };
                for _ in 1..wanted {
                    let mut session = world.engine.open(Purpose::Read).await?;
                    for sql in landing.join(&name) {
                        session.execute(&sql).await?;
                    }
                    self.sessions.push(session);
                }
                Ok(())
            }
            Sharing::Unchanged { version, hasty } if wanted > 1 => {
                for _ in 1..wanted {
                    let mut session = world.engine.open(Purpose::Read).await?;
                    session.query(hasty, &[]).await?;
                    self.sessions.push(session);
                }
                let mut watch = world.engine.open(Purpose::Read).await?;
                watch.query(hasty, &[]).await?;
                let begun = self.begin_unchanged(version, &mut *watch).await;
                watch.close().await;
                begun
            }
            _ => begin_snapshot(&mut *self.sessions[0]).await,
        }
    }

    /// Begins in all sessions while nobody writes. Where somebody always does, the first stays alone.
    async fn begin_unchanged(
        &mut self,
        version: &str,
        watch: &mut dyn Session,
    ) -> Result<(), DbError> {
        for _ in 0..BEGINNINGS {
            let before = watch.query(version, &[]).await;
            let begun = self.begin_all().await;
            let after = watch.query(version, &[]).await;
            // An error is a writer in the way.
            if begun.is_ok() && after.is_ok() && before == after {
                return Ok(());
            }
            for session in &mut self.sessions {
                session.rollback().await?;
            }
            tokio::time::sleep(PAUSE).await;
        }
        for session in self.sessions.drain(1..) {
            session.close().await;
        }
        begin_snapshot(&mut *self.sessions[0]).await
    }

    async fn begin_all(&mut self) -> Result<(), DbError> {
        for session in &mut self.sessions {
            begin_snapshot(&mut **session).await?;
        }
        Ok(())
    }

    /// The first of them.
    pub fn lead(&mut self) -> &mut dyn Session {
        &mut *self.sessions[0]
    }

    /// All of them, each to be used by one worker.
    pub fn all(&mut self) -> &mut [Box<dyn Session>] {
        &mut self.sessions
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.sessions.len()
    }

    /// Ends their transactions and closes them. A session that is still handing out rows which nobody wants any more is
    /// not waited for: the server ends what it did with the connection.
    pub async fn close(self) {
        for mut session in self.sessions {
            let _ = tokio::time::timeout(PATIENCE, end_snapshot(&mut *session)).await;
            session.close().await;
        }
    }
}

/// The question whether the source is damaged, which is asked beside other work and may take as long as that.
pub struct Soundness<'w>(Option<BoxFuture<'w, Result<(), Failure>>>);

impl<'w> Soundness<'w> {
    /// Asks.
    pub fn of(world: &'w World) -> Self {
        Soundness(Some(Box::pin(sound(world))))
    }

    /// Was answered elsewhere.
    pub fn known() -> Self {
        Soundness(None)
    }

    /// Waits for the answer: an error, where the source is damaged.
    pub async fn answer(&mut self) -> Result<(), Failure> {
        let Some(asked) = &mut self.0 else {
            return Ok(());
        };
        let answer = asked.await;
        self.0 = None;
        answer
    }

    /// Does something meanwhile, and no longer than until the source is known to be damaged.
    pub async fn beside<T>(&mut self, work: impl Future<Output = T>) -> Result<T, Failure> {
        tokio::pin!(work);
        tokio::select! {
            biased;
            done = &mut work => return Ok(done),
            answer = self.answer() => answer?,
        }
        Ok(work.await)
    }
}

/// Refuses a file that is damaged, by a session of its own.
pub async fn sound(world: &World) -> Result<(), Failure> {
    let Some(query) = world.dialect().landing().sound() else {
        return Ok(());
    };
    let mut session = world.open(Purpose::Read).await?;
    let judged = judge(world, &mut *session, query).await;
    session.close().await;
    judged
}

async fn judge(world: &World, session: &mut dyn Session, query: &str) -> Result<(), Failure> {
    let damaged = |faults: String| {
        Failure::refused("source-damaged", format!("the source is damaged: {faults}")).hint(
            "repair it first (the engine's own `.recover`), or copy from a backup that is whole",
        )
    };
    let rows = match session.query(query, &[]).await {
        Ok(rows) => rows,
        Err(error) if error.class == ErrorClass::NotADatabase => {
            return Err(damaged(error.message));
        }
        Err(error) => return Err(wrong(world, &error)),
    };
    let faults: Vec<String> = rows
        .iter()
        .filter_map(|row| row.first().and_then(Value::as_str))
        .filter(|text| *text != "ok")
        .map(str::to_owned)
        .collect();
    if faults.is_empty() {
        return Ok(());
    }
    Err(damaged(faults.join("; ")))
}

/// Whether both are one file, whatever it is called: a reader of it would keep its own writer waiting for ever.
pub fn same_file(from: &World, to: &World) -> bool {
    use std::os::unix::fs::MetadataExt;
    let place = |world: &World| {
        let file = world.engine.file()?.metadata().ok()?;
        Some((file.dev(), file.ino()))
    };
    place(from).is_some_and(|place_of| place(to) == Some(place_of))
}
