//! PostgreSQL sessions.

mod address;
pub mod bulk;
pub mod cancel;
pub mod connect;
mod dump;
mod errors;
mod rows;
mod scan;
pub mod session;
mod text;
mod values;
mod wire;
