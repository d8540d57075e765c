//! What every room must answer about being one end of a copy: how readers share one state of a source, and what of a table
//! must be made before its rows.

use crate::copy::reading::Bound;
use crate::schema::{Index, Table};
use crate::value::Query;

/// What is made with a table, before its rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Inline {
    /// Columns alone.
    Nothing,
    /// The primary key, what numbers rows, and checks.
    Primary,
    /// Everything but indexes: nothing else can be added later.
    Everything,
}

/// How several sessions come to read one state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sharing {
    /// By the name of an exported snapshot, with the statements that [`LandingDialect::join`] gives.
    Exported,
    /// By looking whether anybody wrote while all of them began.
    Unchanged {
        /// A query whose answer, in a session of its own, changes with each commit of another.
        version: &'static str,
        /// Has a session wait for nobody: a writer may be waiting for the first of them.
        hasty: &'static str,
    },
    /// Not at all: one session reads everything.
    One,
}

/// Being one end of a copy.
pub trait LandingDialect: Send + Sync + std::fmt::Debug {
    /// What is made with a table.
    fn inline(&self) -> Inline;
    /// How several sessions come to read one state.
    fn sharing(&self) -> Sharing;
    /// The statements that begin a transaction in the snapshot of this name.
    fn join(&self, snapshot: &str) -> Vec<String>;
    /// Whether rows of the same engine go over in the classes that they have, without a look at each value: what an engine
    /// held it takes.
    fn takes_raw(&self) -> bool;
    /// A query whose rows are faults of the file itself, `ok` being none; `None`: a server sees to that.
    fn sound(&self) -> Option<&'static str>;
    /// What the engine's counter says of the last number given out: some keep the next one.
    fn last_given(&self, counter: i64) -> i64 {
        counter
    }
    /// Statements after which the next row of a table is numbered one more than `last`.
    fn set_counter(&self, schema: Option<&str>, table: &str, column: &str, last: i64)
    -> Vec<Query>;
    /// A query for the number that the next row would get; `None`: one more than the largest, by the engine's nature.
    fn next_number(&self, schema: Option<&str>, table: &str, column: &str) -> Option<Query>;
    /// A statement after a table was filled, so that its planner knows it.
    fn settle(&self, table: &str) -> Option<String>;
    /// Where rows wait that are to be put into a table: seen by its session alone.
    fn stage(&self) -> Stage;
    /// Statements that make it anew, empty, for columns of a table: outside of a transaction.
    fn make_stage(&self, table: &str, columns: &[String]) -> Vec<String>;
    /// The statement that gives columns of a table's rows what the stage holds. `same`: the condition under which a row of
    /// the stage ([`STAGED`]) is one of the table ([`STANDS`]).
    fn write_over(&self, table: &str, columns: &[String], same: &str) -> String;
    /// What stands in an INSERT so that it may bring numbers along which the engine gives else.
    fn numbered_by_us(&self) -> &'static str;
    /// Whether rows lie by their primary key, so that they are taken several times quicker in its order.
    fn clustered(&self) -> bool {
        false
    }
    /// Statements for a session that builds indexes, before it does. Where one is refused it only takes longer.
    fn builds(&self) -> &'static [&'static str] {
        &[]
    }
    /// The statement that adds several indexes in one reading of their table. `None`: one after the other, which is no
    /// slower here, or the only way for one of them.
    fn at_once(&self, _table: &Table, _indexes: &[&Index]) -> Option<String> {
        None
    }
    /// The statement that drops several tables which may refer to one another, in a circle even. `None`: one after the other,
    /// which nothing stands in the way of here.
    fn drop_at_once(&self, _tables: &[&Table]) -> Option<String> {
        None
    }
    /// How a foreign key is added whose rows a query has looked at while nobody could write. `None`: adding it is the look,
    /// and costs no more than one.
    fn held(&self, _child: &Bound, _parent: &Bound) -> Option<Held> {
        None
    }
}

/// What stands around a foreign key that is added to rows which were looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// Keeps writers out of both tables. Where one is refused, the key is added as it is elsewhere.
    pub hold: Vec<String>,
    /// After the look: the engine takes the rows as they are.
    pub trust: &'static [&'static str],
    /// Everything as it was.
    pub free: &'static [&'static str],
}

/// What a row of the stage is called in [`LandingDialect::write_over`].
pub const STAGED: &str = "dunlin_s";
/// And the row of the table.
pub const STANDS: &str = "dunlin_t";

/// A table of a session's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stage {
    /// Its schema, as [`super::bulk::TargetTable`] names it.
    pub schema: Option<&'static str>,
    /// Its name there.
    pub name: &'static str,
    /// Both, as statements name it.
    pub sql: &'static str,
}

/// `column = the stage's`, for each; `of` stands before the column that is set.
pub(super) fn assignments(columns: &[String], of: &str) -> String {
    let set = |name: &String| format!("{of}{name} = {STAGED}.{name}");
    columns.iter().map(set).collect::<Vec<_>>().join(", ")
}

/// A query for the largest value of a column.
pub fn largest(
    dialect: &dyn super::Dialect,
    schema: Option<&str>,
    table: &str,
    column: &str,
) -> Query {
    let change = dialect.change();
    let sql = format!(
        "SELECT max({}) FROM {}",
        change.quote(column),
        change.table(schema, table)
    );
    Query::new(sql, vec![])
}
