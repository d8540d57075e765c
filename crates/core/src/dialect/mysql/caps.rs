//! What MySQL and MariaDB can do. MySQL commits implicitly before and after DDL.

use crate::dialect::{Caps, EngineKind};

/// The URL schemes that mean MySQL or MariaDB; which of them answers is told by the server.
pub const SCHEMES: &[&str] = &["mysql", "mariadb"];

/// Caps of a version, as the handshake spells it (`10.11.6-MariaDB-…`, `9.7.0`).
pub fn of(version: &str) -> Caps {
    let mariadb = version.to_ascii_lowercase().contains("mariadb");
    Caps {
        engine: if mariadb {
            EngineKind::Mariadb
        } else {
            EngineKind::Mysql
        },
        version_text: version.to_owned(),
        // Old MariaDB servers prefix "5.5.5-" for old replication clients.
        version: crate::dialect::version_numbers(version.strip_prefix("5.5.5-").unwrap_or(version)),
        transactional_ddl: false,
        concurrent_index: false,
        identifier_max: 64,
        storage_engines: true,
        default_schema: None,
    }
}
