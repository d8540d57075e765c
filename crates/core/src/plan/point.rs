//! The points of a gate that nobody confirms, for they can be looked up.

use serde::{Deserialize, Serialize};

/// A point of a gate that nobody confirms, for it can be looked up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Computed {
    /// Which.
    pub point: String,
    /// Whether it holds; `None`: it is not asked for, or nobody can tell, which keeps no gate closed.
    pub met: Option<bool>,
    /// What was found.
    pub found: String,
}

impl Computed {
    /// A point as it was found.
    pub fn new(point: Point, met: Option<bool>, found: impl Into<String>) -> Computed {
        Computed {
            point: point.name().into(),
            met,
            found: found.into(),
        }
    }

    /// The point with what was found, for people.
    pub fn said(&self) -> String {
        format!("{}: {}", self.point, self.found)
    }
}

/// The points that are looked up, as specified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Point {
    /// The phases that it needs are done, and their checks passed.
    Validated,
    /// There is a verified backup that is recent.
    Backup,
    /// Every step has a way back, or is accepted without.
    Rollback,
    /// What `[watch]` asks can be asked, and answers in time.
    Watch,
}

impl Point {
    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Point::Validated => "previous phase validated",
            Point::Backup => "backup recent and verified",
            Point::Rollback => "rollback ready",
            Point::Watch => "watch answering",
        }
    }
}
