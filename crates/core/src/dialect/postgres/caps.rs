//! What PostgreSQL can do.

use crate::dialect::{Caps, EngineKind};

/// The URL schemes that mean PostgreSQL.
pub const SCHEMES: &[&str] = &["postgres", "postgresql"];

/// Caps of a version, as `server_version` spells it.
pub fn of(version: &str) -> Caps {
    Caps {
        engine: EngineKind::Postgres,
        version_text: version.to_owned(),
        version: crate::dialect::version_numbers(version),
        transactional_ddl: true,
        concurrent_index: true,
        // NAMEDATALEN - 1
        identifier_max: 63,
        storage_engines: false,
        default_schema: Some("public".into()),
    }
}
