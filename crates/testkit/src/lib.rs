//! placeholder

pub mod conformance;
