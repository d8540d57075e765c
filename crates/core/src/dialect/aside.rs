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

impl Indexed<'_> {
    /// How it tells rows apart, where it is unique.
    pub fn once(&self) -> Once {
        match self {
            Indexed::Key(key) => Once {
                parts: key.columns.iter().map(IndexPart::column).collect(),
                only: None,
                nulls: no_nulls(key.clause.as_deref()),
            },
            Indexed::Index(index) => Once {
                parts: index.parts.clone(),
                only: index.predicate.clone(),
                nulls: no_nulls(index.attributes.as_deref()),
            },
        }
    }
}

fn no_nulls(clause: Option<&str>) -> bool {
    clause.is_some_and(|clause| clause.contains("NULLS NOT DISTINCT"))
}

/// How a key or a unique index tells rows apart.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Once {
    /// What of a row is compared.
    pub parts: Vec<IndexPart>,
    /// It is of the rows alone that meet this.
    pub only: Option<String>,
    /// Two that hold nothing are the same.
    pub nulls: bool,
}

impl Once {
    /// It compares whole columns of all rows, and nothing that it makes of them.
    pub fn is_plain(&self) -> bool {
        let whole = |part: &IndexPart| !part.expression && part.length.is_none();
        self.only.is_none() && !self.nulls && self.parts.iter().all(whole)
    }

    /// Those of some columns that it speaks of, in its order; at times one more, never one less.
    pub fn columns<'n>(&self, names: &[&'n str]) -> Vec<&'n str> {
        let mut all: Vec<&str> = vec![];
        let texts = self.parts.iter().map(|part| (&part.what, part.expression));
        for (text, expression) in texts.chain(self.only.iter().map(|only| (only, true))) {
            for name in names {
                let spoken = match expression {
                    true => speaks_of(text, name),
                    false => text == name,
                };
                if spoken && !all.contains(name) {
                    all.push(name);
                }
            }
        }
        all
    }
}

/// Whether a column's name stands in an expression, in whatever quotes and letters.
fn speaks_of(text: &str, name: &str) -> bool {
    let (text, name) = (text.to_lowercase(), name.to_lowercase());
    let of_word = |letter: char| letter.is_alphanumeric() || letter == '_' || letter == '$';
    if name.chars().all(of_word) {
        return text
            .split(|letter| !of_word(letter))
            .any(|word| word == name);
    }
    // A quote within a name is doubled.
    text.contains(&name) || text.contains(['`', '"']) && name.contains(['`', '"'])
}

/// Rows that an index cannot hold.
#[derive(Debug)]
pub struct TooLong {
    /// Statements that find them out, in the transaction in which they are asked for.
    pub before: Vec<String>,
    /// That a row is one of them.
    pub only: String,
}

/// Rows that referred to nothing before any came, by their keys: they wait in a table of the session's own. Where rows have no
/// key, what they refer to is noted in its place: rows that refer to something else are ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Old {
    /// The table in which they wait.
    pub name: String,
    /// The columns of their key.
    pub key: Vec<String>,
    /// Those are the columns that refer: several rows may hold the same.
    pub shared: bool,
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
            "INSERT INTO {} ({list}) SELECT DISTINCT {list} FROM {} WHERE ({only}\n)",
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
    /// The keys.
    pub keys: &'a [Once],
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
        let names: Vec<String> = self.keys[number].parts.iter().map(quote).collect();
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
        for (number, once) in self.keys.iter().enumerate() {
            if !once.is_plain() {
                continue;
            }
            let parts = &once.parts;
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
        let pairs: Vec<String> = self.keys[number].parts.iter().map(pair).collect();
        pairs.join(" AND ")
    }

    /// A query for a key that makes something of its columns: the hash of each that several rows have, and one that all of
    /// them are to go by.
    pub fn alike(&self, number: usize, most: usize) -> String {
        let (hash, once) = (hash(number), &self.keys[number]);
        let values = self.aside.values(once);
        format!(
            "SELECT DISTINCT {hash}, dunlin_f FROM (SELECT {hash}, min({hash}) OVER (PARTITION BY {values}) AS dunlin_f, \
             count(*) OVER (PARTITION BY {values}) AS dunlin_c FROM {} WHERE {}) dunlin_d WHERE dunlin_c > 1 LIMIT {most}",
            self.own(WAITING),
            self.aside.within(once)
        )
    }

    /// What such a key makes of the rows of a table, by a name for each part.
    fn made(&self, number: usize, more: &str, table: &str) -> String {
        let once = &self.keys[number];
        let parts = once.parts.iter().enumerate();
        let parts: Vec<String> = parts
            .map(|(at, part)| format!("{} AS dunlin_v{at}", self.aside.value(part)))
            .collect();
        let within = self.aside.within(once);
        format!(
            "(SELECT {more}{} FROM {table} WHERE {within})",
            parts.join(", ")
        )
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
        let table = change.table(self.table.schema.as_deref(), &self.table.name);
        let once = &self.keys[number];
        if !once.is_plain() {
            let pair = |(at, part): (usize, &IndexPart)| {
                let (a, b) = (
                    format!("dunlin_t.dunlin_v{at}"),
                    format!("dunlin_s.dunlin_v{at}"),
                );
                let equal = self.aside.equal(&a, &b, part);
                match once.nulls {
                    true => format!("({equal} OR {a} IS NULL AND {b} IS NULL)"),
                    false => equal,
                }
            };
            let pairs: Vec<String> = once.parts.iter().enumerate().map(pair).collect();
            return format!(
                "SELECT DISTINCT dunlin_s.{hash} FROM {} dunlin_s JOIN {} dunlin_t ON {} LIMIT {most}",
                self.made(number, &format!("{hash}, "), &self.own(WAITING)),
                self.made(number, "", &table),
                pairs.join(" AND ")
            );
        }
        format!(
            "SELECT DISTINCT dunlin_s.{hash} FROM {} AS dunlin_s JOIN {table} AS dunlin_t ON {} WHERE dunlin_s.{hash} IS NOT \
             NULL LIMIT {most}",
            self.own(WAITING),
            self.same(number, "dunlin_t", "dunlin_s")
        )
    }
}

/// Rows that are set aside, in one engine's words.
pub trait AsideDialect: Send + Sync + std::fmt::Debug {
    /// How rows are asked for here.
    fn rules(&self) -> &'static dyn RulesDialect;

    /// What a part of an index is of a row, with its own collation.
    fn value(&self, part: &IndexPart) -> String;

    /// The same of all parts.
    fn values(&self, once: &Once) -> String {
        let values: Vec<String> = once.parts.iter().map(|part| self.value(part)).collect();
        values.join(", ")
    }

    /// That a key looks at a row.
    fn within(&self, once: &Once) -> String {
        let mut all: Vec<String> = vec![];
        if !once.nulls {
            let there = |part: &IndexPart| format!("{} IS NOT NULL", self.value(part));
            all.extend(once.parts.iter().map(there));
        }
        all.extend(once.only.iter().map(|only| format!("({only}\n)")));
        if all.is_empty() {
            return "1 = 1".into();
        }
        all.join(" AND ")
    }

    /// A query: how many rows repeat what another one has, by a key that makes something of its columns.
    fn more(&self, table: &Bound, once: &Once) -> String {
        let values = self.values(once);
        format!(
            "SELECT sum(dunlin_c - 1) FROM (SELECT count(*) AS dunlin_c FROM {} WHERE {} GROUP BY {values} HAVING count(*) > 1) \
             dunlin_d",
            self.rules().change().target(table),
            self.within(once)
        )
    }

    /// A query for some of those rows: the number of those that meet, and columns.
    fn meeting(&self, table: &Bound, once: &Once, columns: &[usize], most: usize) -> String {
        let change = self.rules().change();
        let values = self.values(once);
        let names: Vec<String> = columns
            .iter()
            .map(|at| change.quote(&table.columns[*at].shape.name))
            .collect();
        let names = names.join(", ");
        format!(
            "SELECT dunlin_g, {} FROM (SELECT dense_rank() OVER (ORDER BY {values}) AS dunlin_g, count(*) OVER (PARTITION BY \
             {values}) AS dunlin_c, {names} FROM {} WHERE {}) dunlin_d WHERE dunlin_c > 1 ORDER BY dunlin_g, {names} LIMIT {most}",
            change.list(table, columns),
            change.target(table),
            self.within(once)
        )
    }

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expression_speaks_of_its_columns() {
        let part = |what: &str, expression| IndexPart {
            expression,
            ..IndexPart::column(what)
        };
        let once = Once {
            parts: vec![part("lower(\"E-Mail\")", true), part("n", false)],
            only: Some("`live` = 1 AND NOT Gone_at".into()),
            nulls: false,
        };
        let names = ["id", "n", "e-mail", "live", "gone_at", "one", "ai"];
        assert_eq!(once.columns(&names), ["e-mail", "n", "live", "gone_at"]);
        assert!(!once.is_plain());
    }
}
