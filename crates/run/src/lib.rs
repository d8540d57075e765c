//! Dunlin as a library: the one executor, its steps, the journal's store and the lease.
//!
//! A service embeds this crate to bring its own database up to date when it starts; the command line is a thin layer
//! over the same functions.

pub mod admin;
pub mod backup;
pub mod bulk;
pub mod checkpoint;
pub mod checks;
pub mod control;
pub mod copy;
pub mod digest;
pub mod drift;
pub mod drop_all;
pub(crate) mod drops;
pub mod embed;
pub mod executor;
pub mod folder;
pub mod foreign;
pub mod http;
pub mod inspect;
pub mod journal_store;
pub mod lease;
pub mod notify;
pub mod observe;
pub mod outside;
pub mod plan;
pub mod preview;
pub mod rules;
pub(crate) mod scratch;
pub mod settle;
mod shapes;
mod sorting;
pub mod status;
pub mod steps;
pub mod trouble;
pub mod up;
pub mod world;

pub use dunlin_core::event::{Event, Sink};
pub use dunlin_core::failure::Failure;
pub use dunlin_core::source::folder::SourceFile;
pub use embed::Migrator;
#[doc(hidden)]
pub use rust_embed;
