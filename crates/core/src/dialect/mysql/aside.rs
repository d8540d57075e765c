//! Rows that are set aside.

use super::change::Changes;
use super::ddl::quote;
use super::rules::Rules;
use crate::copy::reading::Bound;
use crate::dialect::aside::{AsideDialect, Indexed, Old, TooLong};
use crate::dialect::change::ChangeDialect;
use crate::dialect::rules::RulesDialect;
use crate::schema::{IndexPart, Table};

/// How rows are set aside.
#[derive(Debug, Clone, Copy)]
pub struct Aside;

impl AsideDialect for Aside {
    fn rules(&self) -> &'static dyn RulesDialect {
        &Rules
    }

    /// The beginning of a text in letters, of bytes in bytes, as its index counts.
    fn value(&self, part: &IndexPart) -> String {
        match (part.expression, part.length) {
            (true, _) => format!("({})", part.what),
            (false, Some(length)) => format!("LEFT({}, {length})", quote(&part.what)),
            (false, None) => quote(&part.what),
        }
    }

    /// By a join: a sub-query may not ask the table that rows are removed from.
    fn remove_orphans(
        &self,
        table: &Bound,
        parent: &Bound,
        columns: &[usize],
        old: Option<&Old>,
    ) -> String {
        let name = |of: &Bound, at: &usize| quote(&of.columns[*at].shape.name);
        let pair = |at: &usize| format!("p.{} = c.{}", name(parent, at), name(table, at));
        let pairs: Vec<String> = columns.iter().map(pair).collect();
        let there: Vec<String> = columns
            .iter()
            .map(|own| format!("c.{} IS NOT NULL", name(table, own)))
            .collect();
        let missing = columns.first().map_or(String::new(), |at| {
            format!(" AND p.{} IS NULL", name(parent, at))
        });
        let new = old.map_or(String::new(), |old| {
            format!(" AND {}", old.none_of(None, &Changes, "c"))
        });
        format!(
            "DELETE c FROM {} AS c LEFT JOIN {} AS p ON {} WHERE {}{missing}{new}",
            Changes.target(table),
            Changes.target(parent),
            pairs.join(" AND "),
            there.join(" AND ")
        )
    }

    /// Rows lie in the order of their key here, whichever came first.
    fn repeated(&self, _table: &Table, _once: Indexed<'_>) -> Option<String> {
        None
    }

    fn too_long(&self, _table: &Table, _of: Indexed<'_>) -> Option<TooLong> {
        None
    }

    fn own(&self) -> Option<&'static str> {
        None
    }

    fn make_own(
        &self,
        name: &str,
        texts: &[String],
        table: &Table,
        columns: &[String],
        once: Option<&[IndexPart]>,
    ) -> Vec<String> {
        let text = |text: &String| {
            format!(
                "{} CHAR(32) CHARACTER SET ascii COLLATE ascii_bin",
                quote(text)
            )
        };
        let mut made: Vec<String> = texts.iter().map(text).collect();
        made.extend(once.map(|parts| {
            let parts: Vec<String> = parts.iter().map(|part| quote(&part.what)).collect();
            format!("UNIQUE KEY ({})", parts.join(", "))
        }));
        let columns: Vec<String> = columns.iter().map(|name| quote(name)).collect();
        vec![format!(
            "CREATE TEMPORARY TABLE {name} ({}) AS SELECT {} FROM {} LIMIT 0",
            made.join(", "),
            columns.join(", "),
            Changes.table(table.schema.as_deref(), &table.name)
        )]
    }

    fn drop_own(&self, name: &str) -> String {
        format!("DROP TEMPORARY TABLE IF EXISTS {name}")
    }

    fn first_alone(&self, insert: &str, into: &str, column: &str) -> String {
        format!("{insert} ON DUPLICATE KEY UPDATE {column} = {into}.{column}")
    }
}
