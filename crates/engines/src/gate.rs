//! Between a session and its cancellers: a cancel that arrives late must not hit the next statement (invariant 16).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::{Mutex, MutexGuard};

/// Shared by one session and all its cancellers.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    asked: AtomicBool,
    underway: Mutex<()>,
}

impl Gate {
    /// A gate for a new session.
    pub(crate) fn new() -> Arc<Self> {
        Arc::default()
    }

    /// A canceller holds this from before it asks the server until the server has taken note.
    pub(crate) async fn ask(&self) -> MutexGuard<'_, ()> {
        let guard = self.underway.lock().await;
        self.asked.store(true, Ordering::Release);
        guard
    }

    /// The session asks before and after each statement: whether a cancel was asked for since the last time. Waits for
    /// one that is under way, so that after it the server knows all that it will be told. When this says yes, the
    /// session sends something that may be hit in place of real work.
    pub(crate) async fn must_drain(&self) -> bool {
        if !self.asked.swap(false, Ordering::AcqRel) {
            return false;
        }
        drop(self.underway.lock().await);
        true
    }
}
