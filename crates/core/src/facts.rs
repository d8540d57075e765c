//! What was observed of a server at one moment.

use crate::dialect::Caps;
use serde::Serialize;

/// Size of one table as the server estimates it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TableSize {
    /// The schema, where the engine has several.
    pub schema: Option<String>,
    /// The table.
    pub name: String,
    /// Rows, estimated.
    pub rows: Option<u64>,
    /// Bytes with indexes.
    pub bytes: Option<u64>,
    /// The storage engine, where there are several.
    pub storage: Option<String>,
    /// Whether changes to it are transactional and logged: only then do effect and journal commit together.
    pub transactional: bool,
}

/// Facts of a server, for planning.
#[derive(Debug, Clone)]
pub struct Facts {
    /// What the server can do.
    pub caps: Caps,
    /// Tables with sizes.
    pub tables: Vec<TableSize>,
}
