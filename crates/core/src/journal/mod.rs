//! The journal: its records, and what they mean when folded.
//!
//! One row per record, append-only: `id, run, at, event, scope, unit, stmt, hash, detail, token`. `scope` is `run`,
//! `unit` (a migration), `stmt` (a block of statements of one) or `catalog`. `detail` is a JSON object.
