//! Being one end of a copy.

use super::rows::Rows;
use crate::dialect::RowsDialect;
use crate::dialect::landing::{Inline, LandingDialect, Sharing};

/// Ends of copies.
#[derive(Debug, Clone, Copy)]
pub struct Landing;

impl LandingDialect for Landing {
    fn inline(&self) -> Inline {
        Inline::Nothing
    }

    fn sharing(&self) -> Sharing {
        Sharing::Exported
    }

    fn join(&self, snapshot: &str) -> Vec<String> {
        let (begin, pins) = match Rows.snapshot() {
            [begin, pins @ ..] => (*begin, pins),
            [] => ("BEGIN", &[] as &[&str]),
        };
        let join = format!("SET TRANSACTION SNAPSHOT {}", super::dml::literal(snapshot));
        let pins = pins.iter().map(|pin| (*pin).to_owned());
        [begin.to_owned(), join].into_iter().chain(pins).collect()
    }

    fn sound(&self) -> Option<&'static str> {
        None
    }

    fn building(&self) -> &'static [&'static str] {
        &["SET maintenance_work_mem = '256MB'"]
    }

    fn settle(&self, table: &str) -> Option<String> {
        Some(format!("ANALYZE {table}"))
    }
}
