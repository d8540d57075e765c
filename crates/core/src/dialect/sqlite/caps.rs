//! What SQLite can do.

use crate::dialect::{Caps, EngineKind};

/// The URL schemes that mean SQLite.
pub const SCHEMES: &[&str] = &["sqlite", "sqlite3"];

/// Caps of a version.
pub fn of(version: &str) -> Caps {
    Caps {
        engine: EngineKind::Sqlite,
        version_text: version.to_owned(),
        version: crate::dialect::version_numbers(version),
        transactional_ddl: true,
        concurrent_index: false,
        // SQLite has no limit of its own; this is the longest that every other engine could take over.
        identifier_max: 1_000,
        storage_engines: false,
        default_schema: Some("main".into()),
    }
}
