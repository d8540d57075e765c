//! Step runners: one file per kind of step.

mod again;
pub mod backfill;
pub mod block;
pub mod blockers;
mod commit;
mod counted;
pub mod done;
pub mod group;
pub(crate) mod guard;
pub mod last;
pub(crate) mod left;
mod locks;
mod made;
pub mod migrate;
pub mod over;
mod promised;
pub mod send;
pub(crate) mod still;
pub mod storage;
pub mod undo;
mod waiting;
mod whole;
