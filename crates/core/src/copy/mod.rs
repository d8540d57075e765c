//! Rows between engines: readings, canonical encoding and digests.

pub mod cast;
pub mod cell;
pub mod convert;
pub mod datum;
pub(crate) mod decimal;
pub mod digest;
pub mod encode;
pub mod guess;
pub(crate) mod json;
pub mod parts;
pub mod plan;
pub mod policy;
pub mod profile;
pub mod reading;
pub(crate) mod spell;
pub mod stages;
pub(crate) mod temporal;
pub mod translate;

pub use cell::Cell;
pub use datum::Datum;
pub use digest::{Digest, Noticed, RowHasher};
pub use encode::Typing;
pub use reading::{Bound, Reading};
pub use temporal::{Epoch, Moment};
