//! What every room must answer about the steps of a plan: how they are rendered, how values come back as they were, and
//! what takes a statement back. Below the trait stands the SQL that all engines share.

use super::catalog::Part;
use super::{Caps, Dialect};
use crate::schema::{Catalog, Check, Column, ForeignKey, Index, Table};
use crate::sql::LexMode;
use crate::sql::change::{ColumnFacts, Ddl};
use crate::sql::words::Fold;
use crate::value::Query;

/// A column that a step adds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewColumn {
    /// Its name, unquoted and folded.
    pub name: String,
    /// What stands behind the name: type and attributes, as the author wrote them.
    pub definition: String,
    /// What that says.
    pub facts: ColumnFacts,
}

/// An index that a step builds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewIndex {
    /// Its name.
    pub name: String,
    /// What it is over, each part rendered: a quoted column with its direction or length.
    pub parts: Vec<String>,
    /// No two rows may have the same.
    pub unique: bool,
    /// The condition of a partial index.
    pub only: Option<String>,
}

/// A unique constraint that a step makes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewKey {
    /// Its name.
    pub name: String,
    /// Its columns.
    pub columns: Vec<String>,
}

/// What a step demands of a table.
#[derive(Debug, Clone, Default)]
pub struct Demands<'a> {
    /// Columns that hold NULLs no more; all of them may now.
    pub not_null: Vec<&'a Column>,
    /// Unique constraints.
    pub unique: Vec<NewKey>,
    /// Foreign keys, all with names.
    pub foreign_keys: Vec<ForeignKey>,
    /// Checks, all with names.
    pub checks: Vec<Check>,
    /// What goes when all that stands: keys, foreign keys, checks, indexes.
    pub drops: Vec<Part<'a>>,
    /// Constraints that go and whose names stand in the table's text alone.
    pub drop_named: Vec<String>,
    /// The statement that makes the table, as the server shows it, where something goes and it says more than the catalog.
    pub shown: Option<String>,
}

/// A statement, and what takes it back once it has run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Move {
    /// The statement.
    pub up: String,
    /// What takes it back, in order; empty: nothing has to.
    pub back: Vec<String>,
}

impl Move {
    /// A statement and what takes it back.
    pub fn new(up: impl Into<String>, back: Vec<String>) -> Self {
        Move {
            up: up.into(),
            back,
        }
    }
}

/// Statements of which the last one has the effect that is to be taken back.
pub fn moves(statements: Vec<String>, back: Vec<String>) -> Vec<Move> {
    let mut moves: Vec<Move> = statements
        .into_iter()
        .map(|up| Move::new(up, vec![]))
        .collect();
    if let Some(last) = moves.last_mut() {
        last.back = back;
    }
    moves
}

/// The steps of a plan in an engine's words.
pub trait StepDialect: Send + Sync + std::fmt::Debug {
    /// What a DDL statement changes. `None`: it is none.
    fn ddl(&self, sql: &str, mode: &LexMode) -> Option<Ddl>;
    /// What takes a statement back, where it tells itself.
    fn inverse(&self, ddl: &Ddl) -> Option<Vec<String>>;
    /// How names without quotes are folded.
    fn fold(&self) -> Fold;
    /// Whether the server makes an index by itself for a foreign key that has none, and keeps it when the key is dropped.
    fn indexes_keys(&self) -> bool;
    /// Whether two names, as the catalog and a statement have them, are one.
    fn same_name(&self, a: &str, b: &str) -> bool;
    /// Whether a statement that calls functions leaves nothing behind that an undo would have to mend: counters moved.
    fn moves_counters_only(&self, sql: &str, mode: &LexMode) -> bool;
    /// Whether a declared type is the one that a column has.
    fn same_type(&self, declared: &str, column: &Column) -> bool;
    /// The statements that add columns.
    fn add_columns(&self, caps: &Caps, table: &Table, columns: &[NewColumn]) -> Vec<Move>;
    /// Whether the engine has partial indexes.
    fn partial_indexes(&self) -> bool;
    /// Whether an index may be over the first characters of a column.
    fn prefix_indexes(&self) -> bool;
    /// The statements that build an index while others go on, where the engine can.
    fn add_index(&self, caps: &Caps, table: &Table, index: &NewIndex) -> Vec<String>;
    /// The statements that build an index that the catalog knows, while others go on.
    fn add_known_index(&self, table: &Table, index: &Index) -> Result<Vec<String>, String>;
    /// The statements that drop an index.
    fn drop_index(&self, table: &Table, name: &str) -> Vec<String>;
    /// Whether a constraint of this name stands in the table's text, where the catalog keeps no name of it.
    fn has_named(&self, table: &Table, name: &str) -> bool;
    /// The statements that make a table meet demands, and those that give back the very constraints that were there.
    fn require(
        &self,
        caps: &Caps,
        mode: &LexMode,
        catalog: &Catalog,
        table: &Table,
        demands: &Demands<'_>,
    ) -> Result<Vec<Move>, String>;
    /// Whether each statement of [`StepDialect::require`] commits by itself, so that none holds its lock while the next
    /// looks at rows; otherwise they are all done or none is.
    fn requires_apart(&self) -> bool;
    /// Whether an index is there and of no use: an interrupted build left it.
    fn is_invalid(&self, index: &Index) -> bool;
    /// A value for a column, as SQL that means the same in every session.
    fn value(&self, column: &Column, value: &serde_json::Value) -> String;
    /// An expression for a column's value from which [`StepDialect::read_kept`] makes SQL that gives it back exactly.
    fn kept(&self, column: &Column) -> String;
    /// SQL that gives the value back; `None`: NULL.
    fn read_kept(&self, column: &Column, text: Option<&str>) -> String;
    /// A condition: the column holds this value, to the letter. It is never NULL.
    fn holds(&self, caps: &Caps, column: &Column, value: &str) -> String;
    /// A condition: the column holds the very value of which [`StepDialect::kept`] gave this text. It is never NULL.
    fn still(&self, column: &Column, kept: Option<&str>) -> String;
    /// The column's value as text, for people.
    fn shown(&self, column: &Column) -> String;
}

/// A table's name in SQL.
pub fn table_name(dialect: &dyn Dialect, table: &Table) -> String {
    qualified(dialect, table.schema.as_deref(), &table.name)
}

/// A name with its schema in SQL.
pub fn qualified(dialect: &dyn Dialect, schema: Option<&str>, name: &str) -> String {
    match schema {
        Some(schema) => format!("{}.{}", dialect.quote(schema), dialect.quote(name)),
        None => dialect.quote(name),
    }
}

/// Names as a list in SQL.
pub fn names<'a>(dialect: &dyn Dialect, columns: impl IntoIterator<Item = &'a str>) -> String {
    let quoted: Vec<String> = columns
        .into_iter()
        .map(|column| dialect.quote(column))
        .collect();
    quoted.join(", ")
}

/// A column and the SQL of its value.
pub type Pair<'a> = (&'a Column, String);

fn equal(dialect: &dyn Dialect, pairs: &[Pair<'_>]) -> String {
    let each = pairs
        .iter()
        .map(|(column, value)| format!("{} = {value}", dialect.quote(&column.name)));
    each.collect::<Vec<_>>().join(" AND ")
}

/// Asks for the rows of a key: the expressions' values.
pub fn select(
    dialect: &dyn Dialect,
    table: &Table,
    expressions: &[String],
    key: &[Pair<'_>],
) -> Query {
    let list = if expressions.is_empty() {
        "1".to_owned()
    } else {
        expressions.join(", ")
    };
    Query::new(
        format!(
            "SELECT {list} FROM {} WHERE {}",
            table_name(dialect, table),
            equal(dialect, key)
        ),
        vec![],
    )
}

/// Inserts one row.
pub fn insert(dialect: &dyn Dialect, table: &Table, row: &[Pair<'_>]) -> String {
    let values: Vec<&str> = row.iter().map(|(_, value)| value.as_str()).collect();
    format!(
        "INSERT INTO {} ({}) VALUES ({})",
        table_name(dialect, table),
        names(dialect, row.iter().map(|(column, _)| column.name.as_str())),
        values.join(", ")
    )
}

/// Updates the row of a key, where these conditions hold too.
pub fn update(
    dialect: &dyn Dialect,
    table: &Table,
    set: &[Pair<'_>],
    key: &[Pair<'_>],
    and: &[String],
) -> String {
    let each: Vec<String> = set
        .iter()
        .map(|(column, value)| format!("{} = {value}", dialect.quote(&column.name)))
        .collect();
    let mut text = format!(
        "UPDATE {} SET {} WHERE {}",
        table_name(dialect, table),
        each.join(", "),
        equal(dialect, key)
    );
    for condition in and {
        text.push_str(&format!(" AND {condition}"));
    }
    text
}

/// Deletes the row of a key.
pub fn delete(dialect: &dyn Dialect, table: &Table, key: &[Pair<'_>]) -> String {
    format!(
        "DELETE FROM {} WHERE {}",
        table_name(dialect, table),
        equal(dialect, key)
    )
}

/// Asks for the key of a row that no longer holds what was written.
pub fn select_changed(
    dialect: &dyn Dialect,
    table: &Table,
    key: &[Pair<'_>],
    holds: &[String],
) -> String {
    let shown: Vec<String> = key
        .iter()
        .map(|(column, _)| dialect.steps().shown(column))
        .collect();
    format!(
        "SELECT {} FROM {} WHERE {}",
        shown.join(", "),
        table_name(dialect, table),
        is_changed(dialect, key, holds)
    )
}

/// Gives one row where the row of a key still holds what was found, and holds it fast.
pub fn select_still(
    dialect: &dyn Dialect,
    table: &Table,
    key: &[Pair<'_>],
    still: &[String],
) -> String {
    format!(
        "SELECT 1 FROM {} WHERE {} AND {}{}",
        table_name(dialect, table),
        equal(dialect, key),
        still.join(" AND "),
        dialect.change().for_update()
    )
}

/// Gives one row where no row of the key is there.
pub fn select_missing(dialect: &dyn Dialect, table: &Table, key: &[Pair<'_>]) -> String {
    format!(
        "SELECT gone.one FROM (SELECT 1 AS one) gone WHERE NOT EXISTS (SELECT 1 FROM {} WHERE {})",
        table_name(dialect, table),
        equal(dialect, key)
    )
}

/// The condition that finds the row of a key where it no longer holds what was written.
pub fn is_changed(dialect: &dyn Dialect, key: &[Pair<'_>], holds: &[String]) -> String {
    format!("{} AND NOT ({})", equal(dialect, key), holds.join(" AND "))
}

/// Deletes the row of a key where it still holds what was written.
pub fn delete_unchanged(
    dialect: &dyn Dialect,
    table: &Table,
    key: &[Pair<'_>],
    holds: &[String],
) -> String {
    format!(
        "{} AND {}",
        delete(dialect, table, key),
        holds.join(" AND ")
    )
}

/// Keys in one DELETE: an OR of more is deeper than every parser takes.
const KEYS_AT_ONCE: usize = 500;

/// Deletes rows by their keys: columns, and for each row the SQL of their values.
pub fn delete_keys(
    dialect: &dyn Dialect,
    table: &Table,
    columns: &[&str],
    rows: &[Vec<String>],
) -> Vec<String> {
    let head = format!("DELETE FROM {} WHERE ", table_name(dialect, table));
    let chunks = rows.chunks(KEYS_AT_ONCE);
    chunks
        .map(|chunk| match columns {
            [column] => {
                let values: Vec<&str> = chunk.iter().flatten().map(String::as_str).collect();
                format!("{head}{} IN ({})", dialect.quote(column), values.join(", "))
            }
            _ => {
                let one = |row: &Vec<String>| {
                    let parts: Vec<String> = columns
                        .iter()
                        .zip(row)
                        .map(|(column, value)| format!("{} = {value}", dialect.quote(column)))
                        .collect();
                    format!("({})", parts.join(" AND "))
                };
                let rows: Vec<String> = chunk.iter().map(one).collect();
                format!("{head}{}", rows.join(" OR "))
            }
        })
        .collect()
}

/// Rows named in one finding.
pub const ROWS_SHOWN: usize = 20;

/// Asks for rows that meet a condition: how many, and of some of them these columns as text.
pub fn select_rows(
    dialect: &dyn Dialect,
    table: &Table,
    shown: &[&Column],
    condition: &str,
) -> Query {
    let name = table_name(dialect, table);
    let mut list = format!("(SELECT count(*) FROM {name} WHERE {condition})");
    for column in shown {
        list.push_str(&format!(", {}", dialect.steps().shown(column)));
    }
    let order = order_by(dialect, table, shown);
    let sql = format!("SELECT {list} FROM {name} WHERE {condition}{order} LIMIT {ROWS_SHOWN}");
    Query::new(sql, vec![])
}

/// Asks for values that several rows have in these columns: how many such, and of some of them how many rows, and the
/// values as text. Rows with a NULL among them collide with none.
pub fn select_duplicates(
    dialect: &dyn Dialect,
    table: &Table,
    columns: &[&Column],
    only: Option<&str>,
) -> Query {
    let name = table_name(dialect, table);
    let list = names(dialect, columns.iter().map(|column| column.name.as_str()));
    let mut conditions: Vec<String> = columns
        .iter()
        .map(|column| format!("{} IS NOT NULL", dialect.quote(&column.name)))
        .collect();
    conditions.extend(only.map(|only| format!("({only})")));
    let conditions = conditions.join(" AND ");
    let groups = format!("FROM {name} WHERE {conditions} GROUP BY {list} HAVING count(*) > 1");
    let shown: Vec<String> = columns
        .iter()
        .map(|column| dialect.steps().shown(column))
        .collect();
    let order = order_by(dialect, table, columns);
    let sql = format!(
        "SELECT (SELECT count(*) FROM (SELECT 1 AS one {groups}) d), count(*), {} {groups}{order} LIMIT {ROWS_SHOWN}",
        shown.join(", ")
    );
    Query::new(sql, vec![])
}

/// In the columns' own order: a bare name might be that of a column of the answer, which is text.
fn order_by(dialect: &dyn Dialect, table: &Table, columns: &[&Column]) -> String {
    let table = table_name(dialect, table);
    let list: Vec<String> = columns
        .iter()
        .map(|column| format!("{table}.{}", dialect.quote(&column.name)))
        .collect();
    if list.is_empty() {
        String::new()
    } else {
        format!(" ORDER BY {}", list.join(", "))
    }
}

/// A condition: the column is NULL.
pub fn is_null(dialect: &dyn Dialect, column: &Column) -> String {
    format!("{} IS NULL", dialect.quote(&column.name))
}

/// A condition: the row refers to a row that is not there.
pub fn is_orphan(
    dialect: &dyn Dialect,
    table: &Table,
    columns: &[&Column],
    references: &Table,
    others: &[&Column],
) -> String {
    let own = table_name(dialect, table);
    let mut there: Vec<String> = vec![];
    let mut equal: Vec<String> = vec![];
    for (column, other) in columns.iter().zip(others) {
        let name = format!("{own}.{}", dialect.quote(&column.name));
        equal.push(format!("referred.{} = {name}", dialect.quote(&other.name)));
        there.push(format!("{name} IS NOT NULL"));
    }
    format!(
        "{} AND NOT EXISTS (SELECT 1 FROM {} referred WHERE {})",
        there.join(" AND "),
        table_name(dialect, references),
        equal.join(" AND ")
    )
}

/// A value of a plan file as plain text; `None`: nothing.
pub fn plain(value: &serde_json::Value) -> Option<String> {
    use serde_json::Value;
    Some(match value {
        Value::Null => return None,
        Value::Bool(value) => value.to_string(),
        Value::Number(value) => value.to_string(),
        Value::String(text) => text.clone(),
        Value::Array(_) => value.to_string(),
        // A date of the file's own grammar comes as an object of one text.
        Value::Object(object) => match object.values().next() {
            Some(Value::String(text))
                if object.len() == 1 && object.keys().all(|key| key.starts_with("$__toml")) =>
            {
                text.clone()
            }
            _ => value.to_string(),
        },
    })
}
