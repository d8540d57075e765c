//! What every room must answer about rows that a key of a copy's target refuses: which they are, and how they are taken out.

use super::change::ChangeDialect;
use super::rules::RulesDialect;
use crate::copy::reading::Bound;
use crate::schema::{Index, IndexPart, Key, Table};

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

/// Rows that referred to nothing before any came, by their keys: they wait in a table of the session's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Old {
    /// The table in which they wait.
    pub name: String,
    /// The columns of their key.
    pub key: Vec<String>,
}

impl Old {
    /// Statements that make it, empty, outside of a transaction.
    pub fn make(&self, aside: &dyn AsideDialect, table: &Table) -> Vec<String> {
        let parts: Vec<IndexPart> = self.key.iter().map(IndexPart::column).collect();
        let mut made = vec![aside.drop_own(&self.name)];
        made.extend(aside.make_own(&self.name, &[], table, &self.key, Some(&parts)));
        made
    }

    fn list(&self, change: &dyn ChangeDialect) -> String {
        let names: Vec<String> = self.key.iter().map(|name| change.quote(name)).collect();
        names.join(", ")
    }

    /// The statement that fills it with the rows that meet a condition.
    pub fn fill(&self, aside: &dyn AsideDialect, table: &Bound, only: &str) -> String {
        let list = self.list(aside.rules().change());
        format!(
            "INSERT INTO {} ({list}) SELECT {list} FROM {} WHERE ({only}\n)",
            self.own(aside.own()),
            aside.rules().change().target(table)
        )
    }

    fn own(&self, own: Option<&str>) -> String {
        match own {
            Some(schema) => format!("{schema}.{}", self.name),
            None => self.name.clone(),
        }
    }

    /// That a row of a table under this name is none of them.
    pub fn none_of(&self, own: Option<&str>, change: &dyn ChangeDialect, row: &str) -> String {
        let pair = |name: &String| {
            let name = change.quote(name);
            format!("dunlin_o.{name} = {row}.{name}")
        };
        let pairs: Vec<String> = self.key.iter().map(pair).collect();
        format!(
            "NOT EXISTS (SELECT 1 FROM {} AS dunlin_o WHERE {})",
            self.own(own),
            pairs.join(" AND ")
        )
    }
}

/// Keys about which a target is asked: which of them it takes for one, by its own collations. They wait in a table of the
/// session's own, each row with the hashes of its keys; another one for each key keeps the first of those that are equal, by
/// an index as the table's own is.
#[derive(Debug, Clone, Copy)]
pub struct Asking<'a> {
    /// The engine's words.
    pub aside: &'static dyn AsideDialect,
    /// The table that the keys are of.
    pub table: &'a Table,
    /// The keys: parts that are whole columns.
    pub keys: &'a [Vec<IndexPart>],
    /// Their columns, each once.
    pub columns: &'a [String],
}

/// Where keys wait.
pub const WAITING: &str = "dunlin_keys";

fn hash(number: usize) -> String {
    format!("dunlin_h{number}")
}

fn firsts(number: usize) -> String {
    format!("dunlin_firsts{number}")
}

impl Asking<'_> {
    /// The columns of the table in which keys wait: hashes of each key, and all columns of keys.
    pub fn hashes(&self) -> Vec<String> {
        (0..self.keys.len()).map(hash).collect()
    }

    fn own(&self, name: &str) -> String {
        match self.aside.own() {
            Some(schema) => format!("{schema}.{name}"),
            None => name.to_owned(),
        }
    }

    fn list(&self, number: usize) -> String {
        let quote = |part: &IndexPart| self.aside.rules().change().quote(&part.what);
        let names: Vec<String> = self.keys[number].iter().map(quote).collect();
        names.join(", ")
    }

    /// Statements that make the tables, empty, outside of a transaction.
    pub fn make(&self) -> Vec<String> {
        let mut made = self.clear();
        made.extend(self.aside.roomy().iter().map(|sql| (*sql).to_owned()));
        let (table, hashes) = (self.table, self.hashes());
        made.extend(
            self.aside
                .make_own(WAITING, &hashes, table, self.columns, None),
        );
        for (number, parts) in self.keys.iter().enumerate() {
            let columns: Vec<String> = parts.iter().map(|part| part.what.clone()).collect();
            let (name, one) = (firsts(number), [hash(number)]);
            made.extend(
                self.aside
                    .make_own(&name, &one, table, &columns, Some(parts)),
            );
        }
        made
    }

    /// Statements that take the tables away.
    pub fn clear(&self) -> Vec<String> {
        let names = (0..self.keys.len()).map(firsts);
        let names = std::iter::once(WAITING.to_owned()).chain(names);
        names.map(|name| self.aside.drop_own(&name)).collect()
    }

    /// The statement that keeps, of the rows that wait, the first of each key that is another one for the target.
    pub fn keep(&self, number: usize) -> String {
        let (list, hash) = (self.list(number), hash(number));
        let into = self.own(&firsts(number));
        let insert = format!(
            "INSERT INTO {into} ({hash}, {list}) SELECT {hash}, {list} FROM {} WHERE {hash} IS NOT NULL",
            self.own(WAITING)
        );
        self.aside.first_alone(&insert, &into, &hash)
    }

    fn same(&self, number: usize, a: &str, b: &str) -> String {
        let quote = |part: &IndexPart| self.aside.rules().change().quote(&part.what);
        let pair = |part: &IndexPart| {
            let name = quote(part);
            self.aside
                .equal(&format!("{a}.{name}"), &format!("{b}.{name}"), part)
        };
        let pairs: Vec<String> = self.keys[number].iter().map(pair).collect();
        pairs.join(" AND ")
    }

    /// A query: the hash of a key, and that of the first that the target takes for the same.
    pub fn met(&self, number: usize, most: usize) -> String {
        let hash = hash(number);
        format!(
            "SELECT DISTINCT dunlin_s.{hash}, dunlin_f.{hash} FROM {} AS dunlin_s JOIN {} AS dunlin_f ON {} WHERE \
             dunlin_s.{hash} <> dunlin_f.{hash} LIMIT {most}",
            self.own(WAITING),
            self.own(&firsts(number)),
            self.same(number, "dunlin_f", "dunlin_s")
        )
    }

    /// A query: the hashes of keys that a row of the table has already.
    pub fn there(&self, number: usize, most: usize) -> String {
        let hash = hash(number);
        let change = self.aside.rules().change();
        format!(
            "SELECT DISTINCT dunlin_s.{hash} FROM {} AS dunlin_s JOIN {} AS dunlin_t ON {} WHERE dunlin_s.{hash} IS NOT NULL \
             LIMIT {most}",
            self.own(WAITING),
            change.table(self.table.schema.as_deref(), &self.table.name),
            self.same(number, "dunlin_t", "dunlin_s")
        )
    }
}

/// Rows that are set aside, in one engine's words.
pub trait AsideDialect: Send + Sync + std::fmt::Debug {
    /// How rows are asked for here.
    fn rules(&self) -> &'static dyn RulesDialect;

    /// The statement that removes the rows that meet a condition.
    fn remove(&self, table: &Bound, only: &str) -> String {
        format!("{} WHERE ({only}\n)", self.rules().change().clear(table))
    }

    /// That a row refers to one that is not there, and did not do so before.
    fn orphans(
        &self,
        table: &Bound,
        parent: &Bound,
        columns: &[usize],
        old: Option<&Old>,
    ) -> String {
        let change = self.rules().change();
        let orphans = self.rules().orphans(table, columns, parent, columns);
        match old {
            Some(old) => {
                let new = old.none_of(self.own(), change, &change.target(table));
                format!("{orphans} AND {new}")
            }
            None => orphans,
        }
    }

    /// The statement that removes those rows.
    fn remove_orphans(
        &self,
        table: &Bound,
        parent: &Bound,
        columns: &[usize],
        old: Option<&Old>,
    ) -> String {
        let orphans = self.orphans(table, parent, columns, old);
        self.remove(table, &orphans)
    }

    /// That a row repeats what an earlier one has: those that came first are told by where they lie. `None`: the engine
    /// shows no such place.
    fn repeated(&self, table: &Table, once: Indexed<'_>) -> Option<String>;

    /// The rows whose values are longer than the index holds. `None`: whether a value fits is known by its type here.
    fn too_long(&self, table: &Table, of: Indexed<'_>) -> Option<TooLong>;

    /// The schema of tables of a session's own.
    fn own(&self) -> Option<&'static str>;

    /// Statements that make a table of the session's own: columns of text, then columns as a table has them, their
    /// collations above all; with a unique index over these parts, where there are any.
    fn make_own(
        &self,
        name: &str,
        texts: &[String],
        table: &Table,
        columns: &[String],
        once: Option<&[IndexPart]>,
    ) -> Vec<String>;

    /// The statement that drops it.
    fn drop_own(&self, name: &str) -> String;

    /// Statements after which such tables may be as large as the disk allows.
    fn roomy(&self) -> &'static [&'static str] {
        &[]
    }

    /// An INSERT from a SELECT that leaves rows away whose key is there already, and no others.
    fn first_alone(&self, insert: &str, into: &str, column: &str) -> String;

    /// The collation of an index's part of which the catalog names none; `None`: that of its column.
    fn plain(&self) -> Option<&'static str> {
        None
    }

    /// That two values of a part are equal for an index.
    fn equal(&self, a: &str, b: &str, _part: &IndexPart) -> String {
        format!("{a} = {b}")
    }

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
