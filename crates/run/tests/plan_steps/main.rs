//! Steps of plans against real databases: what a step does, its derived undo takes back, and nothing else.
#![allow(clippy::unwrap_used)]

mod constraints;
mod ground;
mod statements;
mod values;
