//! Rows that are set aside.

use super::rules::Rules;
use crate::dialect::aside::{AsideDialect, Once};
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
    fn repeated(&self, _table: &Table, _once: Once<'_>) -> Option<String> {
        None
    }
}
