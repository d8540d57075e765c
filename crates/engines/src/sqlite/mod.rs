//! SQLite sessions: each connection lives on a thread of its own, and closures are sent to it.

pub mod bulk;
pub mod connect;
mod dump;
mod load;
pub mod session;
mod together;
