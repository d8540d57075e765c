//! Being one end of a copy.

use crate::dialect::landing::{Inline, LandingDialect, Sharing};

/// Ends of copies.
#[derive(Debug, Clone, Copy)]
pub struct Landing;

impl LandingDialect for Landing {
    fn inline(&self) -> Inline {
        Inline::Everything
    }

    fn sharing(&self) -> Sharing {
        Sharing::Still {
            hold: "BEGIN IMMEDIATE",
            free: "ROLLBACK",
        }
    }

    fn join(&self, _snapshot: &str) -> Vec<String> {
        vec![]
    }

    fn sound(&self) -> Option<&'static str> {
        Some("PRAGMA quick_check(3)")
    }

    fn building(&self) -> &'static [&'static str] {
        &[]
    }

    fn settle(&self, _table: &str) -> Option<String> {
        None
    }
}
