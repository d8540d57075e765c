//! Postgres sessions.

pub mod connect;
