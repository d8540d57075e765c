//! Rows that a constraint must refuse, built from rows that are there: what is tried in a transaction that is rolled back.

use super::Dialect;
use crate::copy::translate::inside;
use crate::schema::{Check, Column, ForeignKey, NeutralType, Table};

/// The most columns of a check that are bent.
const COLUMNS: usize = 4;

/// A table whose constraints are tried.
#[derive(Debug, Clone, Copy)]
pub struct Trials<'a> {
    /// The engine.
    pub dialect: &'static dyn Dialect,
    /// The table, as it is to be.
    pub table: &'a Table,
}

/// What keeps rows apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unique {
    /// The constraint's name, where it has one.
    pub name: Option<String>,
    /// The primary key.
    pub primary: bool,
    /// Columns and expressions.
    pub parts: Vec<(String, bool)>,
    /// The condition of a partial index.
    pub only: Option<String>,
}

impl Unique {
    /// The columns, as people read them.
    pub fn shown(&self) -> String {
        let parts = self.parts.iter().map(|(part, _)| part.as_str());
        parts.collect::<Vec<_>>().join(", ")
    }
}

/// Everything in a table that keeps rows apart.
pub fn uniques(table: &Table) -> Vec<Unique> {
    let plain = |name: &String| {
        // A prefix in brackets: the column alone.
        let name = name.split('(').next().unwrap_or(name);
        (name.to_owned(), false)
    };
    let keys = table.keys.iter().map(|key| Unique {
        name: key.name.clone(),
        primary: key.primary,
        parts: key.columns.iter().map(plain).collect(),
        only: None,
    });
    let indexes = table.indexes.iter().filter(|index| index.unique);
    let indexes = indexes.map(|index| Unique {
        name: Some(index.name.clone()),
        primary: false,
        parts: index
            .parts
            .iter()
            .map(|part| (part.what.clone(), part.expression))
            .collect(),
        only: index.predicate.clone(),
    });
    keys.chain(indexes).collect()
}

impl Trials<'_> {
    fn quote(&self, name: &str) -> String {
        self.dialect.change().quote(name)
    }

    fn name(&self) -> String {
        let table = self.table;
        self.dialect
            .change()
            .table(table.schema.as_deref(), &table.name)
    }

    fn columns(&self) -> impl Iterator<Item = &Column> {
        self.table
            .columns
            .iter()
            .filter(|column| column.generated.is_none())
    }

    /// Sets a column of a row to NULL.
    pub fn null(&self, column: &str) -> String {
        let set = format!("{} = NULL", self.quote(column));
        self.dialect.checks().set_one(self.table, &set, "1 = 1")
    }

    /// Adds copies of a row that has all of a key: first with other keys freed where that is possible, then as it is.
    pub fn twice(&self, key: &Unique, others: &[Unique]) -> Vec<String> {
        let part = |(part, expression): &(String, bool)| {
            if *expression {
                format!("({part})")
            } else {
                self.quote(part)
            }
        };
        let mut only: Vec<String> = key
            .parts
            .iter()
            .map(|at| format!("{} IS NOT NULL", part(at)))
            .collect();
        only.extend(key.only.as_ref().map(|only| format!("({only})")));
        let under = self.under(key);
        let own = |name: &str| {
            let part = |(part, expression): &(String, bool)| *expression || part == name;
            key.parts.iter().any(part) || under.contains(&name)
        };
        let freed = others
            .iter()
            .filter(|other| *other != key)
            .filter_map(|other| {
                let mut columns = other
                    .parts
                    .iter()
                    .filter(|(part, expression)| !expression && !own(part));
                let column = columns.find_map(|(part, _)| self.table.column(part))?;
                self.free(column).map(|value| (column.name.clone(), value))
            });
        let freed: Vec<(String, String)> = freed.collect();
        let mut tries = vec![];
        for free in [true, false] {
            let value = |column: &Column| {
                let found = freed.iter().find(|(name, _)| free && *name == column.name);
                found.map_or_else(|| self.quote(&column.name), |(_, value)| value.clone())
            };
            let list: Vec<String> = self
                .columns()
                .map(|column| self.quote(&column.name))
                .collect();
            let values: Vec<String> = self.columns().map(value).collect();
            tries.push(format!(
                "INSERT INTO {0} ({1}) {2}SELECT {3} FROM {0} WHERE {4} LIMIT 1",
                self.name(),
                list.join(", "),
                self.dialect.landing().numbered_by_us(),
                values.join(", "),
                only.join(" AND ")
            ));
        }
        tries.dedup();
        tries
    }

    /// The columns from which those of a key are computed: another value of one is another value of the key.
    fn under(&self, key: &Unique) -> Vec<&str> {
        let mut found: Vec<&str> = vec![];
        let mut open: Vec<&str> = key.parts.iter().map(|(part, _)| part.as_str()).collect();
        while let Some(name) = open.pop() {
            let column = self.table.column(name);
            let Some(computed) = column.and_then(|column| column.generated.as_ref()) else {
                continue;
            };
            let words = computed.expression.to_lowercase();
            for other in &self.table.columns {
                let name = other.name.as_str();
                if !found.contains(&name) && mentions(&words, &name.to_lowercase()) {
                    found.push(name);
                    open.push(name);
                }
            }
        }
        found
    }

    /// Another value of a column, that no row has.
    fn free(&self, column: &Column) -> Option<String> {
        if column.nullable {
            return Some("NULL".into());
        }
        // Never more than the largest: some counters would follow it, and stay there.
        let less = format!(
            "(SELECT min({}) - 1 FROM {})",
            self.quote(&column.name),
            self.name()
        );
        matches!(column.neutral, NeutralType::Int | NeutralType::Decimal).then_some(less)
    }

    /// Values that a check may refuse, each with a query that gives a row where it must, and no other check may: the check's
    /// own condition is false for a row that is there with this value, and that of no other.
    pub fn bent(&self, check: &Check) -> Vec<(String, String)> {
        let Some((condition, _)) = inside(&check.clause) else {
            return vec![];
        };
        let others = self.table.checks.iter().filter(|other| *other != check);
        let others = others.filter_map(|other| inside(&other.clause));
        let others: String = others
            .map(|(other, _)| format!(" AND (({other}) OR ({other}) IS NULL)"))
            .collect();
        let words = condition.to_lowercase();
        let named = |column: &&Column| mentions(&words, &column.name.to_lowercase());
        let mut tries = vec![];
        for column in self.columns().filter(named).take(COLUMNS) {
            for value in candidates(column) {
                let cells = self.table.columns.iter().map(|other| {
                    let name = self.quote(&other.name);
                    if other.name == column.name {
                        format!("{value} AS {name}")
                    } else {
                        name
                    }
                });
                let cells: Vec<String> = cells.collect();
                let violates = format!(
                    "SELECT 1 FROM (SELECT {} FROM {} LIMIT 1) AS dunlin_row WHERE NOT ({condition}){others}",
                    cells.join(", "),
                    self.name()
                );
                let set = format!("{} = {value}", self.quote(&column.name));
                tries.push((
                    violates,
                    self.dialect.checks().set_one(self.table, &set, "1 = 1"),
                ));
            }
        }
        tries
    }

    /// Rows that refer to nothing: a query that gives a row where the values are there after all, and the statement.
    pub fn orphans(&self, key: &ForeignKey, parent: &[String]) -> Vec<(String, String)> {
        let of = |name: &String| self.table.column(name).map(missing).unwrap_or_default();
        let values: Vec<Vec<&str>> = key.columns.iter().map(of).collect();
        let tries = values.iter().map(Vec::len).max().unwrap_or(0);
        if values.iter().any(Vec::is_empty) {
            return vec![];
        }
        let value = |column: usize, at: usize| values[column][at.min(values[column].len() - 1)];
        let pairs = |names: &[String], at: usize, between: &str| {
            let pair = |(column, name): (usize, &String)| {
                format!("{} = {}", self.quote(name), value(column, at))
            };
            names
                .iter()
                .enumerate()
                .map(pair)
                .collect::<Vec<_>>()
                .join(between)
        };
        let other = self
            .dialect
            .change()
            .table(key.references_schema.as_deref(), &key.references);
        let one = |at: usize| {
            let there = format!(
                "SELECT 1 FROM {other} WHERE {} LIMIT 1",
                pairs(parent, at, " AND ")
            );
            let set = pairs(&key.columns, at, ", ");
            (
                there,
                self.dialect.checks().set_one(self.table, &set, "1 = 1"),
            )
        };
        (0..tries).map(one).collect()
    }
}

/// Whether a name stands among these words, both in lower case.
pub(crate) fn mentions(words: &str, name: &str) -> bool {
    let part = |c: char| c.is_alphanumeric() || c == '_';
    words.match_indices(name).any(|(at, _)| {
        let before = words[..at].chars().next_back().is_none_or(|c| !part(c));
        let after = words[at + name.len()..]
            .chars()
            .next()
            .is_none_or(|c| !part(c));
        before && after && !name.is_empty()
    })
}

/// Values at the edges of what checks allow.
fn candidates(column: &Column) -> Vec<&'static str> {
    let mut values: Vec<&str> = match column.neutral {
        NeutralType::Int | NeutralType::Decimal | NeutralType::Float => {
            vec![
                "-1",
                "0",
                "1",
                "101",
                "32767",
                "-32768",
                "2147483647",
                "-2147483648",
            ]
        }
        // Where a literal is no day by itself, the second form is one; elsewhere it is an error, and not tried.
        NeutralType::Date | NeutralType::Timestamp | NeutralType::TimestampTz => vec![
            "'1000-01-02'",
            "'9998-12-30'",
            "DATE '1000-01-02'",
            "DATE '9998-12-30'",
        ],
        NeutralType::Bool => vec!["2", "-1", "TRUE", "FALSE"],
        NeutralType::Text | NeutralType::Json => vec![
            "'~'",
            "''",
            "'{'",
            "'dunlin, dunlin, dunlin, dunlin, dunlin, dunlin, dunlin, dunlin, dunlin, dunlin'",
        ],
        _ => vec![],
    };
    if column.nullable {
        values.push("NULL");
    }
    values
}

/// Values that hardly any row has.
fn missing(column: &Column) -> Vec<&'static str> {
    match column.neutral {
        NeutralType::Int | NeutralType::Decimal | NeutralType::Float => {
            vec!["2147483629", "-2147483629", "32749", "-32749", "113"]
        }
        NeutralType::Text => vec!["'dunlin: nobody'", "'~~'", "'~'"],
        NeutralType::Uuid => vec!["'00000000-0000-4000-8000-d0d0d0d0d0d0'"],
        NeutralType::Date => vec!["'1901-01-02'"],
        NeutralType::Timestamp | NeutralType::TimestampTz => vec!["'1971-01-02 03:04:05'"],
        _ => vec![],
    }
}

/// Whether an error's sentence speaks of this key, and not of another.
pub fn speaks_of(said: &str, table: &str, key: &Unique) -> bool {
    let columns = key.parts.iter().map(|(part, _)| format!("{table}.{part}"));
    let listed = columns.collect::<Vec<_>>().join(", ");
    let named = |name: &String| mentions(said, name);
    let by_columns =
        said.contains(&format!("Key ({})=", key.shown())) || said.ends_with(&format!(": {listed}"));
    by_columns || key.name.as_ref().is_some_and(named) || key.primary && mentions(said, "PRIMARY")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_told_from_others() {
        let key = |name: Option<&str>, primary, columns: &[&str]| Unique {
            name: name.map(str::to_owned),
            primary,
            parts: columns.iter().map(|c| ((*c).to_owned(), false)).collect(),
            only: None,
        };
        let (id, mail) = (
            key(None, true, &["id"]),
            key(Some("t_mail"), false, &["mail"]),
        );
        for (said, first, second) in [
            (
                "duplicate key value violates unique constraint \"t_mail\" Key (mail)=(a) already exists.",
                false,
                true,
            ),
            (
                "duplicate key value violates unique constraint \"t_pkey\" Key (id)=(1) already exists.",
                true,
                false,
            ),
            ("Duplicate entry '1' for key 't.PRIMARY'", true, false),
            ("Duplicate entry 'a' for key 't_mail'", false, true),
            ("UNIQUE constraint failed: t.id", true, false),
            ("UNIQUE constraint failed: t.mail", false, true),
            ("UNIQUE constraint failed: t.id, t.mail", false, false),
            ("Duplicate entry 'a' for key 't_mail_2'", false, false),
        ] {
            assert_eq!(
                (speaks_of(said, "t", &id), speaks_of(said, "t", &mail)),
                (first, second),
                "{said}"
            );
        }
    }
}
