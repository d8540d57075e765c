//! The manifest of an export: which tables and columns, under which types, how many rows, and their digests.

use crate::copy::reading::{Bound, ColumnShape};
use crate::copy::{Digest, Typing};
use crate::dialect::forms::Form;
use crate::schema::NeutralType;
use serde::{Deserialize, Serialize};

/// The version of the format.
pub const FORMAT: u32 = 1;

/// A column of an export.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManifestColumn {
    /// Its name.
    pub name: String,
    /// Its type as the engine spells it.
    pub native: String,
    /// What that means.
    #[serde(rename = "type")]
    pub ty: NeutralType,
}

/// A table of an export.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManifestTable {
    /// Its name, with the schema where it is not the default one.
    pub table: String,
    /// The file of its rows, beside the manifest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// Its columns in the order in which they are hashed.
    pub columns: Vec<ManifestColumn>,
    /// How many rows; not known yet at the head of a stream.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<u64>,
    /// The sum of the rows' hashes, 32 hexadecimal digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
}

impl ManifestTable {
    /// Of a bound table.
    pub fn of(table: &Bound) -> ManifestTable {
        let column = |shape: &ColumnShape| ManifestColumn {
            name: shape.name.clone(),
            native: shape.native.clone(),
            ty: shape.ty.clone(),
        };
        ManifestTable {
            table: table.label(),
            file: None,
            columns: table.columns.iter().map(|c| column(&c.shape)).collect(),
            rows: None,
            digest: None,
        }
    }

    /// The types of its columns.
    pub fn types(&self) -> Vec<NeutralType> {
        self.columns
            .iter()
            .map(|column| column.ty.clone())
            .collect()
    }

    /// What it says of its rows, where it does.
    pub fn said(&self) -> Option<Digest> {
        Digest::from_hex(self.rows?, self.digest.as_deref()?)
    }
}

/// What an export is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// [`FORMAT`] when it was written. The name tells a manifest from any other JSON.
    pub dunlin_export: u32,
    /// When it was made, RFC 3339 UTC.
    pub made_at: String,
    /// The engine that the rows come from.
    pub engine: String,
    /// The database.
    pub database: String,
    /// Whether values have classes of their own there.
    pub dynamic: bool,
    /// How the rows are written.
    #[serde(rename = "as")]
    pub form: Form,
    /// The hash of the reading under which the rows were hashed.
    pub reading: String,
    /// The tables, in foreign-key order.
    pub tables: Vec<ManifestTable>,
}

impl Manifest {
    /// How its rows are to be hashed.
    pub fn typing(&self) -> Typing {
        if self.dynamic {
            Typing::Dynamic
        } else {
            Typing::Static
        }
    }

    /// Reads a manifest. The error is a sentence.
    pub fn read(bytes: &[u8]) -> Result<Manifest, String> {
        let manifest: Manifest =
            serde_json::from_slice(bytes).map_err(|error| format!("it is no manifest: {error}"))?;
        if manifest.dunlin_export != FORMAT {
            return Err(format!(
                "it is of format {}, and this Dunlin knows {FORMAT}",
                manifest.dunlin_export
            ));
        }
        Ok(manifest)
    }
}

/// What stands at the end of a stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trailer {
    /// The tables again, now with rows and digests.
    pub dunlin_end: Vec<TrailerTable>,
}

/// A table at the end of a stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrailerTable {
    /// Its name.
    pub table: String,
    /// How many rows.
    pub rows: u64,
    /// The sum of their hashes.
    pub digest: String,
}
