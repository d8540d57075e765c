//! Integrity rules.

use super::change::Changes;
use super::ddl::quote;
use crate::copy::reading::ColumnShape;
use crate::dialect::change::ChangeDialect;
use crate::dialect::rules::{self, RulesDialect};
use crate::schema::{NeutralType, Table};

/// How rules are asked.
#[derive(Debug, Clone, Copy)]
pub struct Rules;

/// The names under which a row's number is known, where no column has taken them.
const ROW_IDS: [&str; 3] = ["rowid", "_rowid_", "oid"];

impl RulesDialect for Rules {
    fn change(&self) -> &'static dyn ChangeDialect {
        &Changes
    }

    fn same(&self, a: &str, b: &str) -> String {
        format!("{a} IS {b}")
    }

    fn is_empty(&self, column: &str) -> String {
        format!("{column} = '' OR {column} = x''")
    }

    fn row_id(&self, table: &Table) -> Option<ColumnShape> {
        let definition = table.definition.as_deref().unwrap_or_default();
        let taken = |name: &str| {
            let mut columns = table.columns.iter();
            columns.any(|column| column.name.eq_ignore_ascii_case(name))
        };
        if definition.to_ascii_uppercase().contains("WITHOUT ROWID") {
            return None;
        }
        let name = ROW_IDS.into_iter().find(|name| !taken(name))?;
        Some(ColumnShape {
            name: name.into(),
            native: "INTEGER".into(),
            ty: NeutralType::Int,
            generated: false,
        })
    }

    fn make_like(
        &self,
        source: &Table,
        key: &[String],
        schema: Option<&str>,
        name: &str,
    ) -> String {
        rules::like(source, key, &Changes.table(schema, name), quote)
    }

    fn optimize(&self, table: &str) -> Vec<String> {
        vec![format!("ANALYZE {table}")]
    }

    /// Room comes back from the file as a whole only.
    fn optimize_all(&self) -> Vec<String> {
        vec!["VACUUM".into()]
    }
}
