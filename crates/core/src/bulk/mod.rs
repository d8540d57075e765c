//! Bulk data in files: how values are written and read back, what a manifest says, and which rows come along.
//!
//! Everything here is pure: bytes in, bytes out. A value keeps the class that its engine gave it, so that what was
//! exported is what is imported: integers of any width, decimals as the server spells them, doubles by their shortest
//! exact spelling, bytes, and text that is no UTF-8.

pub mod adapt;
pub mod choose;
pub mod csv;
pub mod datum;
pub mod manifest;
pub mod names;
pub mod ndjson;
pub mod since;

pub use crate::dialect::forms::Form;
pub use adapt::adapt;
pub use choose::{Pick, choose};
pub use datum::Datum;
pub use manifest::{Manifest, ManifestColumn, ManifestTable};
