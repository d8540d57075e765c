//! Rows that are set aside.

use super::rules::Rules;
use crate::dialect::aside::{AsideDialect, Indexed, TooLong};
use crate::dialect::rules::RulesDialect;
use crate::schema::Table;

/// How rows are set aside.
#[derive(Debug, Clone, Copy)]
pub struct Aside;

impl AsideDialect for Aside {
    fn rules(&self) -> &'static dyn RulesDialect {
        &Rules
    }

    /// Rows lie in the order of their key here, whichever came first.
    fn repeated(&self, _table: &Table, _once: Indexed<'_>) -> Option<String> {
        None
    }

    fn too_long(&self, _table: &Table, _of: Indexed<'_>) -> Option<TooLong> {
        None
    }
}
