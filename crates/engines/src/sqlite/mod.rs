//! SQLite sessions: each connection lives on a thread of its own, and closures are sent to it.

pub mod bulk;
pub mod connect;
pub mod session;

/// What the name of the lock's sidecar file ends in.
pub const LOCK_SUFFIX: &str = "-dunlin-lock";
