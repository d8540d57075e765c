//! Rows that are set aside.

use super::ddl::quote;
use super::landing::TEMPORARY;
use super::rules::Rules;
use crate::dialect::aside::{AsideDialect, Indexed, TooLong};
use crate::dialect::rules::RulesDialect;
use crate::schema::{IndexPart, Table};

/// How rows are set aside.
#[derive(Debug, Clone, Copy)]
pub struct Aside;

impl AsideDialect for Aside {
    fn rules(&self) -> &'static dyn RulesDialect {
        &Rules
    }

    fn value(&self, part: &IndexPart) -> String {
        let what = match part.expression {
            true => format!("({})", part.what),
            false => quote(&part.what),
        };
        match &part.collation {
            Some(collation) => format!("{what} COLLATE {collation}"),
            None => what,
        }
    }

    /// Rows lie in the order of their key here, whichever came first.
    fn repeated(&self, _table: &Table, _once: Indexed<'_>) -> Option<String> {
        None
    }

    fn too_long(&self, _table: &Table, _of: Indexed<'_>) -> Option<TooLong> {
        None
    }

    fn own(&self) -> Option<&'static str> {
        Some(TEMPORARY)
    }

    /// A table that is made of a query has columns without collations here.
    fn make_own(
        &self,
        name: &str,
        texts: &[String],
        table: &Table,
        columns: &[String],
        once: Option<&[IndexPart]>,
    ) -> Vec<String> {
        let mut all: Vec<String> = texts
            .iter()
            .map(|text| format!("{} TEXT", quote(text)))
            .collect();
        all.extend(columns.iter().map(|name| {
            let column = table.column(name);
            let native = column.map_or("", |column| column.native.as_str());
            let collation = column.and_then(|column| column.collation.as_deref());
            format!(
                "{} {native} COLLATE {}",
                quote(name),
                collation.unwrap_or("BINARY")
            )
        }));
        let mut made = vec![format!(
            "CREATE TEMPORARY TABLE {name} ({})",
            all.join(", ")
        )];
        made.extend(once.map(|parts| {
            let part = |part: &IndexPart| match &part.collation {
                Some(collation) => format!("{} COLLATE {collation}", quote(&part.what)),
                None => quote(&part.what),
            };
            let parts: Vec<String> = parts.iter().map(part).collect();
            format!(
                "CREATE UNIQUE INDEX {TEMPORARY}.{name}_key ON {name} ({})",
                parts.join(", ")
            )
        }));
        made
    }

    fn drop_own(&self, name: &str) -> String {
        format!("DROP TABLE IF EXISTS {TEMPORARY}.{name}")
    }

    /// Loads keep such tables in memory, which they would not leave.
    fn roomy(&self) -> &'static [&'static str] {
        &["PRAGMA temp_store = FILE"]
    }

    fn first_alone(&self, insert: &str, _into: &str, _column: &str) -> String {
        format!("{insert} ON CONFLICT DO NOTHING")
    }

    fn plain(&self) -> Option<&'static str> {
        Some("BINARY")
    }

    fn equal(&self, a: &str, b: &str, part: &IndexPart) -> String {
        match &part.collation {
            Some(collation) => format!("{a} = {b} COLLATE {collation}"),
            None => format!("{a} = {b}"),
        }
    }
}
