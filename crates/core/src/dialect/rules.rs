//! What every room must answer about integrity rules: which rows violate them, and how tables are tidied. What is the
//! same everywhere stands here; a room says how NULLs are compared, what is empty, and what tidying is.

use super::change::ChangeDialect;
use crate::copy::reading::{Bound, ColumnShape};
use crate::schema::Table;
use crate::value::{Query, Value};

/// What a row's parent is called in queries: a name that no table has, for a table's own columns go by its name.
pub const PARENT: &str = "dunlin_p";

/// The children of some rows, a page of them.
#[derive(Debug, Clone, Copy)]
pub struct Children<'a> {
    /// The columns by which they refer.
    pub columns: &'a [usize],
    /// The values that those have.
    pub values: &'a [Vec<Value>],
    /// The key.
    pub key: &'a [usize],
    /// Which columns are wanted.
    pub wanted: &'a [usize],
    /// Those with these keys alone.
    pub among: Option<&'a [Vec<Value>]>,
    /// The last key of the page before.
    pub after: Option<&'a [Value]>,
    /// How many at most.
    pub limit: usize,
}

/// Integrity rules in one engine's words.
pub trait RulesDialect: Send + Sync + std::fmt::Debug {
    /// How rows are changed here.
    fn change(&self) -> &'static dyn ChangeDialect;
    /// That two expressions are the same, where NULL is NULL.
    fn same(&self, a: &str, b: &str) -> String;
    /// That a column holds a text without a letter.
    fn is_empty(&self, column: &str) -> String;
    /// The column by which the rows of a table without a key are told apart, where the engine has one that stays.
    fn row_id(&self, _table: &Table) -> Option<ColumnShape> {
        None
    }
    /// The statement that makes a table for archived rows of another one: its columns and its key, and nothing that
    /// would refuse a row.
    fn make_like(&self, source: &Table, key: &[String], schema: Option<&str>, name: &str)
    -> String;
    /// The statements that tidy a table.
    fn optimize(&self, table: &str) -> Vec<String>;
    /// The statements after those of all tables.
    fn optimize_all(&self) -> Vec<String> {
        vec![]
    }

    /// A query for indexes that nobody has used since the server counts: table, index, since when. `None`: it does not
    /// count.
    fn unused(&self) -> Option<&'static str> {
        None
    }
    /// A query for the statements of this database that took the most time: text, how often, milliseconds each, and a
    /// text whose plan can be asked for, or NULL. `None`: the engine keeps none.
    fn slowest(&self) -> Option<&'static str> {
        None
    }
    /// The question for the plan of a statement.
    fn plan_of(&self, sql: &str) -> String {
        format!("EXPLAIN {sql}")
    }

    /// A column of a table, so that no sub-query takes it for its own.
    fn column(&self, table: &Bound, at: usize) -> String {
        let change = self.change();
        format!(
            "{}.{}",
            change.target(table),
            change.quote(&table.columns[at].shape.name)
        )
    }

    /// That a row of `parent` under the name [`PARENT`] is the one that a row refers to.
    fn refers(&self, table: &Bound, columns: &[usize], parent: &Bound, others: &[usize]) -> String {
        let pairs = columns.iter().zip(others).map(|(own, other)| {
            let other = self.change().quote(&parent.columns[*other].shape.name);
            format!("{PARENT}.{other} = {}", self.column(table, *own))
        });
        pairs.collect::<Vec<_>>().join(" AND ")
    }

    /// That a row refers to one that is not there. A part that is NULL refers to nothing.
    fn orphans(
        &self,
        table: &Bound,
        columns: &[usize],
        parent: &Bound,
        others: &[usize],
    ) -> String {
        let change = self.change();
        let there = columns
            .iter()
            .map(|at| format!("{} IS NOT NULL", self.column(table, *at)));
        format!(
            "{} AND NOT EXISTS (SELECT 1 FROM {}{} {PARENT} WHERE {})",
            there.collect::<Vec<_>>().join(" AND "),
            change.only(parent),
            change.target(parent),
            self.refers(table, columns, parent, others)
        )
    }

    /// That the row to which a row belongs has another owner. `owners`: the column here and there.
    fn other_owner(
        &self,
        table: &Bound,
        columns: &[usize],
        parent: &Bound,
        others: &[usize],
        owners: (usize, usize),
    ) -> String {
        let change = self.change();
        let there = format!(
            "{PARENT}.{}",
            change.quote(&parent.columns[owners.1].shape.name)
        );
        format!(
            "EXISTS (SELECT 1 FROM {}{} {PARENT} WHERE {} AND NOT ({}))",
            change.only(parent),
            change.target(parent),
            self.refers(table, columns, parent, others),
            self.same(&there, &self.column(table, owners.0))
        )
    }

    /// That one of the columns holds nothing.
    fn lacks(&self, table: &Bound, columns: &[usize], empty: bool) -> String {
        let mut parts = vec![];
        for at in columns {
            let name = self.column(table, *at);
            parts.push(format!("{name} IS NULL"));
            if empty {
                parts.push(self.is_empty(&name));
            }
        }
        parts.join(" OR ")
    }

    /// That not all of the columns hold already what they are to be set to.
    fn not_set(&self, table: &Bound, assigned: &[(usize, String)]) -> String {
        let parts = assigned.iter().map(|(at, expression)| {
            self.same(&self.column(table, *at), &format!("({expression}\n)"))
        });
        format!("NOT ({})", parts.collect::<Vec<_>>().join(" AND "))
    }

    /// How many rows meet a condition.
    fn count(&self, table: &Bound, only: Option<&str>) -> String {
        self.select(table, &[], only)
            .replacen("SELECT NULL", "SELECT count(*)", 1)
    }

    /// Columns of the rows that meet a condition.
    fn select(&self, table: &Bound, columns: &[usize], only: Option<&str>) -> String {
        let change = self.change();
        let filter = only.map_or(String::new(), |only| format!(" WHERE ({only}\n)"));
        format!(
            "SELECT {} FROM {}{}{filter}",
            change.list(table, columns),
            change.only(table),
            change.target(table)
        )
    }

    /// A page of children.
    fn children(&self, table: &Bound, children: &Children<'_>) -> Query {
        let change = self.change();
        let mut params = vec![];
        let mut filter = change.among(table, children.columns, children.values, &mut params);
        if let Some(keys) = children.among {
            let among = change.among(table, children.key, keys, &mut params);
            filter = format!("{filter} AND {among}");
        }
        if let Some(after) = children.after {
            let beyond = change.beyond(table, children.key, after, &mut params);
            filter = format!("{filter} AND {beyond}");
        }
        let order: Vec<String> = children
            .key
            .iter()
            .map(|at| change.quote(&table.columns[*at].shape.name))
            .collect();
        let sql = format!(
            "SELECT {} FROM {}{} WHERE {filter} ORDER BY {} LIMIT {}",
            change.list(table, children.wanted),
            change.only(table),
            change.target(table),
            order.join(", "),
            children.limit
        );
        Query::new(sql, params)
    }

    /// Puts copies of the rows with these keys into another table, by the names of the columns.
    fn copy_rows(&self, from: &Bound, to: &Bound, key: &[usize], keys: &[Vec<Value>]) -> Query {
        let change = self.change();
        let names: Vec<String> = from
            .columns
            .iter()
            .map(|column| change.quote(&column.shape.name))
            .collect();
        let mut params = vec![];
        let among = change.among(from, key, keys, &mut params);
        let names = names.join(", ");
        let sql = format!(
            "INSERT INTO {} ({names}) SELECT {names} FROM {}{} WHERE {among}",
            change.target(to),
            change.only(from),
            change.target(from)
        );
        Query::new(sql, params)
    }
}

/// `CREATE TABLE name (columns of the source, PRIMARY KEY (…))`: for its rows, and what refuses none of them.
pub(super) fn like(
    source: &Table,
    key: &[String],
    name: &str,
    quote: fn(&str) -> String,
) -> String {
    let plain = source
        .columns
        .iter()
        .filter(|column| column.generated.is_none());
    let mut columns: Vec<String> = plain
        .map(|column| format!("{} {}", quote(&column.name), column.native))
        .collect();
    if !key.is_empty() {
        let key: Vec<String> = key.iter().map(|name| quote(name)).collect();
        columns.push(format!("PRIMARY KEY ({})", key.join(", ")));
    }
    format!("CREATE TABLE {name} ({})", columns.join(", "))
}
