//! The journal: its records, and what they mean when folded.
//!
//! One row per record, append-only: `id, run, at, event, scope, unit, stmt, hash, detail, token`.
//!
//! - `scope` is `run`, `unit` (one migration), `stmt` (one block of statements), `catalog` (a catalog at a run's end) or
//!   `plan` (a plan, a phase or a step, under the keys of [`plan`]).
//! - `unit` is the version, `stmt` the block's number from 0, `hash` the content hash of what the record is about: the
//!   script's meaning for a unit, the block's own for a block. Resume goes by hash and never by number alone.
//! - `detail` is a JSON object; readers ignore keys that they do not know.
//! - `token` is the fencing token under which the record was written.
//!
//! Crash rules: where effect and record can share a commit, a unit has one record, `done`. Everywhere else `began` is
//! committed before the effect; a `began` without an end is in doubt until a probe or a person settles it.

pub mod archive;
pub mod fold;
pub mod foreign;
pub mod left;
pub mod plan;
pub mod record;

pub use fold::{Applied, BlockDetail, History, InFlight, OpenBlock, UnitDetail, UnitState};
pub use left::Left;
pub use record::{Direction, Event, Record, Scope, Writing};

/// The version of the journal's format. A binary refuses a journal of a later one.
pub const FORMAT: i64 = 1;
