//! Rows between engines: readings, canonical encoding and digests.

pub mod cell;

pub use cell::Cell;
