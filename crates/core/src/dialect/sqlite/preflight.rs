//! What a file is asked before a plan begins.

use crate::dialect::Caps;
use crate::dialect::preflight::{PreflightDialect, Rights};
use crate::preflight::rights::Wanted;
use crate::value::{Query, Row};

/// SQLite's answers.
#[derive(Debug)]
pub struct Preflight;

impl PreflightDialect for Preflight {
    fn health(&self) -> &'static str {
        "PRAGMA quick_check(3)"
    }
    fn read_health(&self, rows: &[Row]) -> Vec<String> {
        let said = rows.iter().filter_map(|row| row.first()?.as_str());
        said.filter(|line| *line != "ok")
            .map(str::to_owned)
            .collect()
    }
    fn database_bytes(&self) -> Option<&'static str> {
        Some("SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()")
    }
    fn clock(&self) -> Option<&'static str> {
        None
    }
    fn transactions(&self, _seconds: u64) -> Vec<Query> {
        vec![]
    }
    fn blockers(&self, _caps: &Caps, _session: i64, _tables: &[&str]) -> Option<Query> {
        None
    }
    fn extension(&self, _name: &str) -> Option<Query> {
        None
    }
    fn install(&self, _extension: &str) -> String {
        "SQLite's extensions belong to the application that loads them".into()
    }
    fn rights(&self, _wanted: &[Wanted], _caps: &Caps) -> Option<Query> {
        None
    }
    fn read_rights(&self, _wanted: &[Wanted], _rows: &[Row], _database: &str) -> Rights {
        Rights::default()
    }
    fn dump_tools(&self) -> &'static [&'static str] {
        &[]
    }
    fn data_folder(&self) -> Option<&'static str> {
        None
    }
}
