//! Being one end of a copy.

use crate::dialect::landing::{Inline, LandingDialect, Sharing};

/// Ends of copies.
#[derive(Debug, Clone, Copy)]
pub struct Landing;

impl LandingDialect for Landing {
    fn inline(&self) -> Inline {
        Inline::Primary
    }

    /// Several consistent snapshots of one moment would need a lock on all tables, which stops a shop: one reads.
    fn sharing(&self) -> Sharing {
        Sharing::One
    }

    fn join(&self, _snapshot: &str) -> Vec<String> {
        vec![]
    }

    fn sound(&self) -> Option<&'static str> {
        None
    }

    fn building(&self) -> &'static [&'static str] {
        &[]
    }

    fn settle(&self, table: &str) -> Option<String> {
        Some(format!("ANALYZE TABLE {table}"))
    }
}
