//! SQLite sessions: each connection lives on a thread of its own.

pub mod connect;
