//! The neutral catalog: what tables, columns, keys, views and routines a database holds, and how two catalogs differ.

pub mod types;

pub use types::NeutralType;
