//! Rows that are set aside.

use super::change::Changes;
use super::ddl::{self, quote};
use super::rules::Rules;
use crate::dialect::aside::{AsideDialect, Once};
use crate::dialect::change::ChangeDialect;
use crate::dialect::rules::RulesDialect;
use crate::schema::Table;

/// How rows are set aside.
#[derive(Debug, Clone, Copy)]
pub struct Aside;

impl AsideDialect for Aside {
    fn rules(&self) -> &'static dyn RulesDialect {
        &Rules
    }

    /// Rows of a load lie one after the other, as the source gave them.
    fn repeated(&self, table: &Table, once: Once<'_>) -> Option<String> {
        let (parts, only, nulls) = match once {
            Once::Key(key) => {
                let names: Vec<String> = key.columns.iter().map(|name| quote(name)).collect();
                (names, None, key.clause.as_deref())
            }
            Once::Index(index) => {
                let parts = index.parts.iter().map(ddl::index_part).collect();
                let (only, nulls) = (index.predicate.as_deref(), index.attributes.as_deref());
                (parts, only, nulls)
            }
        };
        let one = nulls.is_some_and(|clause| clause.contains("NULLS NOT DISTINCT"));
        let mut conditions: Vec<String> = vec![];
        if !one {
            conditions.extend(parts.iter().map(|part| format!("({part}) IS NOT NULL")));
        }
        conditions.extend(only.map(|only| format!("({only}\n)")));
        let filter = if conditions.is_empty() {
            String::new()
        } else {
            format!(" WHERE {}", conditions.join(" AND "))
        };
        Some(format!(
            "ctid = ANY (ARRAY(SELECT d.place FROM (SELECT ctid AS place, row_number() OVER (PARTITION BY {} ORDER BY \
             ctid) AS number FROM {}{filter}) d WHERE d.number > 1))",
            parts.join(", "),
            Changes.table(table.schema.as_deref(), &table.name)
        ))
    }
}
