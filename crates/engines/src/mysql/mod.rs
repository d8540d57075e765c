//! Mysql sessions.

pub mod connect;
