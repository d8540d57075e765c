//! What every room must answer about changing rows in bulk: putting the rows of a checkpoint back, and filling columns in
//! batches. What is the same everywhere stands here; a room says how its names, values and locks are written.

use crate::copy::reading::{Bound, ColumnShape};
use crate::schema::{Catalog, ForeignKey, Table};
use crate::sql::LexRules;
use crate::value::{Query, Row, Value};

/// Columns that new rows get their values by, as a backfill gives them to old ones.
#[derive(Debug, Clone, Copy)]
pub struct Filling<'a> {
    /// The name of the trigger.
    pub name: &'a str,
    /// The table with all its columns.
    pub table: &'a Bound,
    /// Its key, as places in the table's columns.
    pub key: &'a [usize],
    /// Columns and expressions, as places in the table's columns.
    pub assigned: &'a [(usize, String)],
    /// Which rows.
    pub only: Option<&'a str>,
}

/// One value for one column of several rows.
#[derive(Debug, Clone, Copy)]
pub struct PutOne<'a> {
    /// The column, as its place in the table's columns.
    pub column: usize,
    /// The value.
    pub value: &'a Value,
    /// The rows' keys.
    pub keys: &'a [Vec<Value>],
    /// Which of them.
    pub only: Option<&'a str>,
    /// Columns that keep what they hold.
    pub still: &'a [String],
}

/// How a trigger that was dropped comes back just as it was.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FiresAgain {
    /// Statements that try, before it goes, whether this session may make it; they leave nothing.
    pub tries: Vec<String>,
    /// Statements that make it; whatever becomes of one of them, the others are run.
    pub make: Vec<String>,
}

/// A table that triggers keep in step with others, and whose rows cannot be saved by themselves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Follows {
    /// Its name.
    pub table: String,
    /// The statement that builds it anew; `None`: only whoever fills it knows how.
    pub anew: Option<String>,
}

/// Changing rows in bulk.
pub trait ChangeDialect: Send + Sync + std::fmt::Debug {
    /// An identifier, quoted.
    fn quote(&self, identifier: &str) -> String;
    /// A table's name with its schema, quoted.
    fn table(&self, schema: Option<&str>, name: &str) -> String;
    /// The word before a table's name that keeps tables which inherit from it out.
    fn only(&self, _table: &Bound) -> &'static str {
        ""
    }
    /// The words that begin an UPDATE which changes no other row than those it names.
    fn updates(&self) -> &'static str {
        "UPDATE"
    }
    /// The mark of parameter `n` (from 1) as a value of a column.
    fn value(&self, _n: usize, _column: &ColumnShape) -> String {
        "?".into()
    }
    /// Whether values are bound as text, which [`ChangeDialect::value`] casts.
    fn as_text(&self) -> bool {
        false
    }
    /// A column in a SELECT list, in the form in which sessions hand it over exactly.
    fn read(&self, column: &ColumnShape) -> String {
        self.quote(&column.name)
    }
    /// What stands at the end of a SELECT that locks its rows.
    fn for_update(&self) -> &'static str;
    /// What stands before and after the rows of a list of keys of several columns.
    fn rows_in(&self) -> (&'static str, &'static str) {
        ("(", ")")
    }
    /// Whether `(a, b) > (1, 2)` finds its way by an index.
    fn compares_rows(&self) -> bool {
        true
    }
    /// Statements for a session before the transaction in which rows are put back: foreign keys are not looked at,
    /// where the engine has a switch for that, and nothing numbers rows by itself.
    fn quiet(&self) -> &'static [&'static str];
    /// Statements that take [`ChangeDialect::quiet`] back.
    fn loud(&self) -> &'static [&'static str];
    /// Statements at the beginning of a transaction in which rows are read and put back exactly.
    fn pins(&self) -> &'static [&'static str] {
        &[]
    }
    /// Statements after the beginning of a transaction whose rows are all found by keys, some hundred at a time: a planner
    /// without statistics would read the whole table for each hundred.
    fn by_keys(&self) -> &'static [&'static str] {
        &[]
    }
    /// Statements around reading within somebody else's session, and what puts the session back.
    fn reading(&self) -> (&'static [&'static str], &'static [&'static str]) {
        (&[], &[])
    }
    /// Foreign keys must be dropped for the time of the transaction, and made again in it: there is no switch.
    fn drops_keys(&self) -> bool {
        false
    }
    /// Statements that check what was put off to the end of the transaction.
    fn settled(&self) -> &'static [&'static str] {
        &[]
    }
    /// Statements after [`ChangeDialect::quiet`] for a session into which new rows come: what a column cannot hold is
    /// refused, never bent.
    fn strictly(&self) -> &'static [&'static str] {
        &[]
    }
    /// Statements after [`ChangeDialect::quiet`] where foreign keys are to be looked at all the same.
    fn keys_on(&self) -> &'static [&'static str] {
        &[]
    }
    /// Statements that begin, release and take back a part of a transaction in which rows come.
    fn part(&self) -> [&'static str; 3] {
        [
            "SAVEPOINT dunlin_part",
            "RELEASE SAVEPOINT dunlin_part",
            "ROLLBACK TO SAVEPOINT dunlin_part",
        ]
    }
    /// A query for the counters that number a table's rows and do not follow rows that bring their number along: name,
    /// column, the last number given out (NULL: none yet). `None`: all follow.
    fn numbered(&self, _schema: Option<&str>, _table: &str) -> Option<Query> {
        None
    }
    /// The greatest value of a column.
    fn greatest(&self, table: &Bound, column: &str) -> String {
        format!(
            "SELECT max({}) FROM {}{}",
            self.quote(column),
            self.only(table),
            self.target(table)
        )
    }
    /// How many rows a table has.
    fn count(&self, table: &Bound) -> String {
        format!(
            "SELECT count(*) FROM {}{}",
            self.only(table),
            self.target(table)
        )
    }
    /// A statement that keeps other writers from tables up to the end of the transaction; `None`: the transaction or the
    /// reading itself does.
    fn lock(&self, _tables: &[Bound]) -> Option<String> {
        None
    }
    /// A statement that keeps other writers from tables up to the end of the transaction, and readers not; `None`: as
    /// of [`ChangeDialect::lock`].
    fn hold(&self, _tables: &[Bound]) -> Option<String> {
        None
    }
    /// Statements before a transaction in which rows are held by reading them.
    fn before_hold(&self) -> &'static [&'static str] {
        &[]
    }
    /// A query for the schemas in which the session looks for a name without one, in their order, as a catalog has them.
    /// `None`: there is but one.
    fn path(&self) -> Option<&'static str> {
        None
    }
    /// Statements before and after reading rows exactly in the middle of somebody else's transaction.
    fn aside(&self) -> (&'static [&'static str], &'static [&'static str]) {
        (&[], &[])
    }
    /// A query for the counters that number a table's rows: name, the last number given out.
    fn counters(&self, schema: Option<&str>, table: &str) -> Option<Query>;
    /// Statements that raise a counter to a number.
    fn raise(&self, schema: Option<&str>, table: &str, counter: &str, value: i64) -> Vec<Query>;
    /// Whether [`ChangeDialect::raise`] commits by itself.
    fn raise_commits(&self) -> bool {
        false
    }
    /// Statements after which the counters of a table without rows give the numbers again that they gave when it had just
    /// been made: a number that a transaction used up is not given back when that is rolled back. `made`: the statements
    /// that made the table what it is. `None`: it cannot be told; empty: numbers come back with the transaction.
    fn count_anew(
        &self,
        _schema: Option<&str>,
        _table: &str,
        _made: &[&str],
        _rules: &LexRules,
    ) -> Option<Vec<Query>> {
        Some(vec![])
    }
    /// A query for the triggers of a table in the order in which they fire: the name, and what else
    /// [`ChangeDialect::fires_again`] asks for. `None`: their statements tell all of that.
    fn firing(&self, _table: &str) -> Option<Query> {
        None
    }
    /// How a trigger comes back, by its statement and its row of [`ChangeDialect::firing`].
    fn fires_again(&self, _table: &str, definition: &str, _row: &Row) -> FiresAgain {
        FiresAgain {
            tries: vec![],
            make: vec![definition.to_owned()],
        }
    }
    /// The tables that are behind where rows of these tables came and no trigger fired.
    fn follow(&self, _there: &Catalog, _tables: &[&Table]) -> Vec<Follows> {
        vec![]
    }
    /// Statements that make a trigger which fills columns of rows that come; safe to repeat. The error is a sentence.
    fn fill(&self, filling: &Filling<'_>) -> Result<Vec<String>, String>;
    /// Statements that drop it; safe to repeat.
    fn unfill(&self, schema: Option<&str>, table: &str, name: &str) -> Vec<String>;

    /// A value in the form in which it is bound.
    fn bind(&self, value: &Value) -> Value {
        if self.as_text() {
            value.clone().into_text()
        } else {
            value.clone()
        }
    }

    /// The table as statements name it.
    fn target(&self, table: &Bound) -> String {
        self.table(table.schema.as_deref(), &table.table)
    }

    /// All rows of a table, locked up to the end of the transaction where the engine locks rows.
    fn select_locked(&self, table: &Bound) -> String {
        let columns: Vec<usize> = (0..table.columns.len()).collect();
        let list = self.list(table, &columns);
        format!(
            "SELECT {list} FROM {}{}{}",
            self.only(table),
            self.target(table),
            self.for_update()
        )
    }

    /// A SELECT of all rows, of some of them.
    fn filtered(&self, select: &str, only: Option<&str>) -> String {
        match only {
            Some(only) => format!("{select} WHERE {only}"),
            None => select.to_owned(),
        }
    }

    /// Columns of a SELECT list.
    fn list(&self, table: &Bound, columns: &[usize]) -> String {
        if columns.is_empty() {
            return "NULL".into();
        }
        let column = |at: &usize| self.read(&table.columns[*at].shape);
        columns.iter().map(column).collect::<Vec<_>>().join(", ")
    }

    /// The statement that removes all rows.
    fn clear(&self, table: &Bound) -> String {
        format!("DELETE FROM {}{}", self.only(table), self.target(table))
    }

    /// How many rows of a table refer to rows that are not there. `parent`: the columns referred to.
    fn orphans(&self, table: &Table, key: &ForeignKey, parent: &[String]) -> String {
        let pairs: Vec<String> = key
            .columns
            .iter()
            .zip(parent)
            .map(|(child, parent)| format!("p.{} = c.{}", self.quote(parent), self.quote(child)))
            .collect();
        let there: Vec<String> = key
            .columns
            .iter()
            .map(|child| format!("c.{} IS NOT NULL", self.quote(child)))
            .collect();
        format!(
            "SELECT count(*) FROM {} c WHERE {} AND NOT EXISTS (SELECT 1 FROM {} p WHERE {})",
            self.table(table.schema.as_deref(), &table.name),
            there.join(" AND "),
            self.table(key.references_schema.as_deref(), &key.references),
            pairs.join(" AND ")
        )
    }

    /// The keys of the next rows in the order of the key, after a key where one is given.
    fn page(
        &self,
        table: &Bound,
        key: &[usize],
        after: Option<&[Value]>,
        only: Option<&str>,
        limit: usize,
    ) -> Query {
        let names: Vec<String> = key
            .iter()
            .map(|at| self.quote(&table.columns[*at].shape.name))
            .collect();
        let (mut conditions, mut params) = (vec![], vec![]);
        if let Some(after) = after {
            conditions.push(self.beyond(table, key, after, &mut params));
        }
        conditions.extend(only.map(|only| format!("({only}\n)")));
        let filter = if conditions.is_empty() {
            String::new()
        } else {
            format!(" WHERE {}", conditions.join(" AND "))
        };
        let sql = format!(
            "SELECT {} FROM {}{}{filter} ORDER BY {} LIMIT {limit}",
            self.list(table, key),
            self.only(table),
            self.target(table),
            names.join(", ")
        );
        Query::new(sql, params)
    }

    /// Keys beyond a key.
    fn beyond(
        &self,
        table: &Bound,
        key: &[usize],
        after: &[Value],
        params: &mut Vec<Value>,
    ) -> String {
        let mut mark = |at: usize, place: usize| {
            params.push(self.bind(&after[at]));
            self.value(params.len(), &table.columns[place].shape)
        };
        let name = |place: usize| self.quote(&table.columns[place].shape.name);
        if key.len() == 1 || self.compares_rows() {
            let names: Vec<String> = key.iter().map(|place| name(*place)).collect();
            let marks: Vec<String> = key
                .iter()
                .enumerate()
                .map(|(at, place)| mark(at, *place))
                .collect();
            return format!("({}) > ({})", names.join(", "), marks.join(", "));
        }
        let mut steps = vec![];
        for last in 0..key.len() {
            let mut step = vec![];
            for (at, place) in key.iter().enumerate().take(last) {
                step.push(format!("{} = {}", name(*place), mark(at, *place)));
            }
            step.push(format!("{} > {}", name(key[last]), mark(last, key[last])));
            steps.push(format!("({})", step.join(" AND ")));
        }
        format!("({})", steps.join(" OR "))
    }

    /// That a row's key is one of these.
    fn among(
        &self,
        table: &Bound,
        key: &[usize],
        keys: &[Vec<Value>],
        params: &mut Vec<Value>,
    ) -> String {
        let names: Vec<String> = key
            .iter()
            .map(|at| self.quote(&table.columns[*at].shape.name))
            .collect();
        let mut rows = vec![];
        for values in keys {
            let marks: Vec<String> = key
                .iter()
                .zip(values)
                .map(|(place, value)| {
                    params.push(self.bind(value));
                    self.value(params.len(), &table.columns[*place].shape)
                })
                .collect();
            rows.push(if marks.len() == 1 {
                marks.join("")
            } else {
                format!("({})", marks.join(", "))
            });
        }
        if key.len() == 1 {
            return format!("{} IN ({})", names[0], rows.join(", "));
        }
        let (open, close) = self.rows_in();
        format!("({}) IN {open}{}{close}", names.join(", "), rows.join(", "))
    }

    /// Columns of the rows with these keys, locked where asked.
    fn keyed(
        &self,
        table: &Bound,
        key: &[usize],
        columns: &[usize],
        keys: &[Vec<Value>],
        only: Option<&str>,
        lock: bool,
    ) -> Query {
        let mut params = vec![];
        let among = self.among(table, key, keys, &mut params);
        let and = only.map_or(String::new(), |only| format!(" AND ({only}\n)"));
        let sql = format!(
            "SELECT {} FROM {}{} WHERE {among}{and}{}",
            self.list(table, columns),
            self.only(table),
            self.target(table),
            if lock { self.for_update() } else { "" }
        );
        Query::new(sql, params)
    }

    /// Changes the rows with these keys by assignments that a person wrote.
    fn update(&self, table: &Bound, key: &[usize], set: &str, keys: &[Vec<Value>]) -> Query {
        let mut params = vec![];
        let among = self.among(table, key, keys, &mut params);
        let sql = format!(
            "UPDATE {}{} SET {set}\n WHERE {among}",
            self.only(table),
            self.target(table)
        );
        Query::new(sql, params)
    }

    /// Gives the rows with these keys values.
    fn put(
        &self,
        table: &Bound,
        key: &[usize],
        columns: &[usize],
        values: &[Value],
        keys: &[Vec<Value>],
    ) -> Query {
        let mut params = vec![];
        let mut set = vec![];
        for (place, value) in columns.iter().zip(values) {
            params.push(self.bind(value));
            let shape = &table.columns[*place].shape;
            set.push(format!(
                "{} = {}",
                self.quote(&shape.name),
                self.value(params.len(), shape)
            ));
        }
        let among = self.among(table, key, keys, &mut params);
        let sql = format!(
            "{} {}{} SET {} WHERE {among}",
            self.updates(),
            self.only(table),
            self.target(table),
            set.join(", ")
        );
        Query::new(sql, params)
    }

    /// That a column of a row holds what a new row gets, and nobody has written it. `default`: a constant, as SQL.
    fn as_made(&self, column: &str, default: Option<&str>) -> String;

    /// How many rows hold something else in a column than what a new row gets.
    fn written(
        &self,
        schema: Option<&str>,
        table: &str,
        column: &str,
        default: Option<&str>,
    ) -> Query {
        let sql = format!(
            "SELECT count(*) FROM {} WHERE NOT ({})",
            self.table(schema, table),
            self.as_made(column, default)
        );
        Query::new(sql, vec![])
    }

    /// Gives one column of the rows with these keys a value, where `only` holds. `still`: columns that an update would
    /// change by itself.
    fn put_one(&self, table: &Bound, key: &[usize], put: &PutOne<'_>) -> Query {
        let shape = &table.columns[put.column].shape;
        let mut params = vec![self.bind(put.value)];
        let mut set = vec![format!(
            "{} = {}",
            self.quote(&shape.name),
            self.value(1, shape)
        )];
        let still = put.still.iter().map(|name| self.quote(name));
        set.extend(still.map(|name| format!("{name} = {name}")));
        let among = self.among(table, key, put.keys, &mut params);
        let and = put
            .only
            .map_or(String::new(), |only| format!(" AND {only}"));
        let sql = format!(
            "{} {}{} SET {} WHERE {among}{and}",
            self.updates(),
            self.only(table),
            self.target(table),
            set.join(", ")
        );
        Query::new(sql, params)
    }

    /// Removes the rows with these keys.
    fn remove(&self, table: &Bound, key: &[usize], keys: &[Vec<Value>]) -> Query {
        let mut params = vec![];
        let among = self.among(table, key, keys, &mut params);
        let sql = format!(
            "DELETE FROM {}{} WHERE {among}",
            self.only(table),
            self.target(table)
        );
        Query::new(sql, params)
    }
}
