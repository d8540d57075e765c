//! The pure half of Dunlin: documents, SQL, catalogs, plans, the journal's meaning and the words of every message.
//!
//! Nothing here does I/O, reads a clock, draws a random number or knows a driver (invariant 1). Whatever needs the
//! world is handed in as data: bytes of files, [`facts::Facts`] of a server, records of a journal.

pub mod backfill;
pub mod bulk;
pub mod copy;
pub mod dialect;
pub mod event;
pub mod exit;
pub mod facts;
pub mod failure;
pub mod finding;
pub mod hash;
pub mod journal;
pub mod limits;
pub mod plan;
pub mod preflight;
pub mod redact;
pub mod report;
pub mod rules;
pub mod schema;
pub mod source;
pub mod sql;
pub mod value;
