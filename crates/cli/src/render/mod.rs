//! What is shown: tables, findings, failures, progress, JSON. Meaning never depends on colour.

pub mod copy;
pub mod events;
pub mod failure;
pub mod findings;
pub mod json;
pub mod plan;
pub mod plan_show;
pub mod table;
