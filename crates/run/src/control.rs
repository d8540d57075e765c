//! Control of a run from outside: stop after the statement in flight, or cancel it.

use tokio::sync::watch;

/// How urgently a run is asked to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Stop {
    /// Not at all.
    #[default]
    No,
    /// After the statement in flight.
    Soon,
    /// Cancel the statement in flight.
    Now,
}

/// The runner's end: asks whether to stop.
#[derive(Debug, Clone)]
pub struct Control {
    stop: watch::Receiver<Stop>,
}

/// The other end: tells the runner to stop.
#[derive(Debug)]
pub struct Handle {
    stop: watch::Sender<Stop>,
}

/// A control and its handle.
pub fn pair() -> (Handle, Control) {
    let (sender, receiver) = watch::channel(Stop::No);
    (Handle { stop: sender }, Control { stop: receiver })
}

impl Handle {
    /// Asks more urgently than before: first `Soon`, then `Now`.
    pub fn press(&self) -> Stop {
        let next = if *self.stop.borrow() == Stop::No {
            Stop::Soon
        } else {
            Stop::Now
        };
        self.stop.send_replace(next);
        next
    }
}

impl Control {
    /// A control that nobody presses.
    pub fn free() -> Self {
        let (handle, control) = pair();
        // The receiver keeps the last value when the sender is gone.
        drop(handle);
        control
    }

    /// How urgently the run is asked to end.
    pub fn asked(&self) -> Stop {
        *self.stop.borrow()
    }

    /// Waits until the run is asked at least so urgently; for ever where nobody can ask.
    pub async fn until(&mut self, level: Stop) {
        while *self.stop.borrow_and_update() < level {
            if self.stop.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }
}
