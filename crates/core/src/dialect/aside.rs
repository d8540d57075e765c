//! What every room must answer about rows that a key of a copy's target refuses: which they are, and how they are taken out.

use super::rules::RulesDialect;
use crate::copy::reading::Bound;
use crate::schema::{Index, Key, Table};

/// What an index is for.
#[derive(Debug, Clone, Copy)]
pub enum Indexed<'a> {
    /// A primary or unique key.
    Key(&'a Key),
    /// Itself.
    Index(&'a Index),
}

/// Rows that an index cannot hold.
#[derive(Debug)]
pub struct TooLong {
    /// Statements that find them out, in the transaction in which they are asked for.
    pub before: Vec<String>,
    /// That a row is one of them.
    pub only: String,
}

/// Rows that are set aside, in one engine's words.
pub trait AsideDialect: Send + Sync + std::fmt::Debug {
    /// How rows are asked for here.
    fn rules(&self) -> &'static dyn RulesDialect;

    /// The statement that removes the rows that meet a condition.
    fn remove(&self, table: &Bound, only: &str) -> String {
        format!("{} WHERE ({only}\n)", self.rules().change().clear(table))
    }

    /// The statement that removes the rows of [`RulesDialect::orphans`].
    fn remove_orphans(
        &self,
        table: &Bound,
        columns: &[usize],
        parent: &Bound,
        others: &[usize],
    ) -> String {
        let orphans = self.rules().orphans(table, columns, parent, others);
        self.remove(table, &orphans)
    }

    /// That a row repeats what an earlier one has: those that came first are told by where they lie. `None`: the engine
    /// shows no such place.
    fn repeated(&self, table: &Table, once: Indexed<'_>) -> Option<String>;

    /// The rows whose values are longer than the index holds. `None`: whether a value fits is known by its type here.
    fn too_long(&self, table: &Table, of: Indexed<'_>) -> Option<TooLong>;

    /// Values of these columns that several rows have, with how many rows: those that are alone come not.
    fn repeats(&self, table: &Bound, columns: &[usize]) -> String {
        let change = self.rules().change();
        let names: Vec<String> = columns
            .iter()
            .map(|at| change.quote(&table.columns[*at].shape.name))
            .collect();
        let there: Vec<String> = names
            .iter()
            .map(|name| format!("{name} IS NOT NULL"))
            .collect();
        format!(
            "SELECT {}, count(*) FROM {} WHERE {} GROUP BY {} HAVING count(*) > 1",
            change.list(table, columns),
            change.target(table),
            there.join(" AND "),
            names.join(", ")
        )
    }
}
