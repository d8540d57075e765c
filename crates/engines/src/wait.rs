//! Waiting for a server that is starting.

use crate::{DbError, Engine, Purpose, Session};
use dunlin_core::failure::ErrorClass;
use std::time::{Duration, Instant};

/// The first pause between two tries; it doubles up to the longest. A server that is up after one second is found
/// after six tries, one that takes a minute after about thirty-five.
const PAUSE_FIRST: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(2);

/// Opens a session; while nobody answers, or the server says that it is starting, tries again until `wait` is over.
/// Anything else (a wrong password, a missing database) is an answer, and is given at once.
pub async fn open_waiting(
    engine: &dyn Engine,
    purpose: Purpose,
    wait: Duration,
) -> Result<Box<dyn Session>, DbError> {
    let begun = Instant::now();
    let mut pause = PAUSE_FIRST;
    loop {
        let error = match engine.open(purpose).await {
            Ok(session) => return Ok(session),
            Err(error) => error,
        };
        // `code` is set where the trouble is one that waiting does not mend, as a pooler in the way.
        let starting = error.class == ErrorClass::Starting
            || (error.class == ErrorClass::Unreachable && error.code.is_empty());
        let left = wait.saturating_sub(begun.elapsed());
        if !starting || left.is_zero() {
            return Err(error);
        }
        tokio::time::sleep(pause.min(left)).await;
        pause = (pause * 2).min(PAUSE_MAX);
    }
}
