//! Reads an INSERT that writes over rows which are there: `REPLACE`, `INSERT OR REPLACE`, `INSERT … ON DUPLICATE KEY UPDATE`,
//! `INSERT … ON CONFLICT … DO UPDATE`. Which rows these are, their keys tell.

use super::delete::ALL;
use super::updated::{Updated, targets};
use crate::dialect::Dialect;
use crate::schema::{Column, Table};
use crate::sql::rows::calls_unknown;
use crate::sql::words::{Cursor, Fold, Name, TOKENS_MAX, Tok, Words, by_commas, unquoted};
use crate::sql::{LexMode, TokenKind};

/// The rows that such a statement gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Given {
    /// The columns that it names; `None`: all of the table's.
    columns: Option<Vec<String>>,
    /// The columns by which it finds rows that are there; `None`: those of any key.
    key: Option<Vec<String>>,
    rows: Rows,
    /// The columns that the undo changes before it.
    changed: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Rows {
    /// Of each row its values as they are written; `None`: it is no literal.
    Values(Vec<Vec<Option<String>>>),
    /// What a query finds.
    Query(String),
}

/// Reads one; `None`: it is something else, or its keys are known only when it runs.
pub(super) fn read(sql: &str, dialect: &dyn Dialect, lex: &LexMode) -> Option<Updated> {
    let words = Words::read(sql, &dialect.lex_rules(lex));
    if !words.versioned.is_empty() || words.toks.len() >= TOKENS_MAX {
        return None;
    }
    let fold = dialect.steps().fold();
    let mut cursor = words.cursor();
    let replaces = match cursor.bump()? {
        verb if verb.is("REPLACE") => true,
        verb if verb.is("INSERT") => cursor.eat(&["OR", "REPLACE"]),
        _ => return None,
    };
    if cursor.eat(&["OR"]) {
        let _ = cursor.bump();
    }
    while cursor.eat_any(&["LOW_PRIORITY", "DELAYED", "HIGH_PRIORITY", "IGNORE"]) {}
    let _ = cursor.eat(&["INTO"]);
    let table = cursor.name(fold)?;
    let alias = match cursor.eat(&["AS"]) {
        true => Some(cursor.ident(fold)?),
        false => None,
    };
    let columns = match cursor.group() {
        Some(group) => Some(idents(group, fold)?),
        None => None,
    };
    let (mut names, mut others): (Vec<String>, bool) = (vec![], false);
    let rows = match cursor.eat_any(&["VALUES", "VALUE"]) {
        true => Rows::Values(values(&mut cursor, sql)?),
        false => {
            others = true;
            let tokens = query(&mut cursor)?;
            let asked = tokens.iter().filter(|token| token.is_name());
            names.extend(asked.map(|token| unquoted(token, fold)));
            Rows::Query(text(tokens, sql)?)
        }
    };
    // What the rows that it gives are called.
    if cursor.eat(&["AS"]) {
        let _ = (cursor.ident(fold)?, cursor.group());
    }
    let (key, changed) = over(&mut cursor, replaces, (&table, alias.as_deref()), fold)?;
    let given = Given {
        columns,
        key,
        rows,
        changed: vec![],
    };
    given.may_be_told().then(|| Updated {
        table,
        columns: changed,
        only: ALL.into(),
        named: false,
        names,
        others,
        given: Some(given),
    })
}

/// The columns that find rows which are there, and those that change in them (of all none is named).
fn over(
    cursor: &mut Cursor<'_>,
    replaces: bool,
    (table, alias): (&Name, Option<&str>),
    fold: Fold,
) -> Option<(Option<Vec<String>>, Vec<String>)> {
    let assigned = |cursor: &mut Cursor<'_>| {
        let all = cursor.rest();
        let rest = match cursor.seek(&["WHERE", "RETURNING", "ON"]) {
            true => cursor.rest().len(),
            false => 0,
        };
        let all = &all[..all.len() - rest];
        // Two of them, of which the one or the other is meant.
        let plain = rest == 0 || !cursor.seek(&["ON"]);
        plain.then(|| targets(all, (&table.name, alias), false, fold))?
    };
    if replaces {
        return (cursor.is_done() || cursor.is("RETURNING")).then_some((None, vec![]));
    }
    if cursor.eat(&["ON", "DUPLICATE", "KEY", "UPDATE"]) {
        return Some((None, assigned(cursor)?));
    }
    if !cursor.eat(&["ON", "CONFLICT"]) {
        return None;
    }
    let key = cursor.group().and_then(|group| idents(group, fold));
    let _ = cursor.seek(&["DO"]);
    match cursor.eat(&["DO", "UPDATE", "SET"]) {
        true => Some((key, assigned(cursor)?)),
        false => None,
    }
}

fn idents(tokens: &[Tok<'_>], fold: Fold) -> Option<Vec<String>> {
    let names = by_commas(tokens).into_iter().map(|name| {
        let mut name = Cursor::over(name);
        name.ident(fold).filter(|_| name.is_done())
    });
    names.collect()
}

fn text(tokens: &[Tok<'_>], sql: &str) -> Option<String> {
    let (first, last) = tokens.first().zip(tokens.last())?;
    sql.get(first.start..last.end()).map(str::to_owned)
}

/// The rows behind VALUES.
fn values(cursor: &mut Cursor<'_>, sql: &str) -> Option<Vec<Vec<Option<String>>>> {
    let literal = |value: &&[Tok<'_>]| text(value, sql).filter(|_| is_literal(value));
    let mut rows = vec![];
    loop {
        let _ = cursor.eat(&["ROW"]);
        let group = by_commas(cursor.group()?);
        rows.push(group.iter().map(literal).collect());
        if !cursor.eat_op(",") {
            return Some(rows);
        }
    }
}

/// Whether a value is the same whenever it is asked.
fn is_literal(value: &[Tok<'_>]) -> bool {
    let mut value = value.iter().peekable();
    while let Some(token) = value.next() {
        let plain = matches!(token.kind, TokenKind::Text | TokenKind::Number)
            || token.is_any(&["NULL", "TRUE", "FALSE"])
            || token.op("-")
            || token.op("+");
        // With its type in front, or behind.
        let typed = token.is_any(&["DATE", "TIMESTAMP"])
            && value
                .peek()
                .is_some_and(|next| next.kind == TokenKind::Text);
        let cast = token.op("::") && value.next().is_some_and(Tok::is_name);
        if !(plain || typed || cast) {
            return false;
        }
    }
    true
}

/// A query, up to what is done with rows that are there.
fn query<'t>(cursor: &mut Cursor<'t>) -> Option<&'t [Tok<'t>]> {
    if !cursor.is_any(&["SELECT", "WITH"]) {
        return None;
    }
    let all = cursor.rest();
    let ends = |cursor: &Cursor<'t>| {
        let next = cursor.peek(1);
        let on = next.is_some_and(|next| next.is_any(&["CONFLICT", "DUPLICATE"]));
        cursor.is("RETURNING") || (cursor.is("ON") && on)
    };
    while !cursor.is_done() && !ends(cursor) {
        if cursor.group().is_none() {
            let _ = cursor.bump();
        }
    }
    let tokens = &all[..all.len() - cursor.rest().len()];
    let words = Words {
        sql: "",
        toks: tokens.to_vec(),
        versioned: vec![],
    };
    // Asking leaves nothing behind, and is answered as the statement itself will be.
    let writes = words.has(&["INSERT", "UPDATE", "DELETE", "MERGE", "INTO"]);
    let passes = ["NOW", "CURRENT_TIMESTAMP", "RANDOM", "RAND", "UUID"];
    (!writes && !calls_unknown(&words, &[]) && !words.has(&passes)).then_some(tokens)
}

impl Given {
    /// Where earlier statements of the undo change these columns.
    pub(super) fn after(mut self, changed: Vec<String>) -> Given {
        self.changed = changed;
        self
    }

    /// Whether the values of the key are known, where it is.
    fn may_be_told(&self) -> bool {
        let (Some(columns), Some(key)) = (&self.columns, &self.key) else {
            return true;
        };
        self.of_key(columns, key).is_some()
    }

    /// Both of them in one.
    pub(super) fn and((mut one, other): (Given, Given)) -> Option<Given> {
        let same = one.columns == other.columns && one.key == other.key;
        one.changed.extend(other.changed);
        match (&mut one.rows, other.rows) {
            (Rows::Values(all), Rows::Values(more)) if same => all.extend(more),
            _ => return None,
        }
        Some(one)
    }

    /// The condition that rows meet which it writes over. `None`: it cannot be told.
    pub(super) fn only(&self, table: &Table, dialect: &dyn Dialect) -> Option<String> {
        let columns = match &self.columns {
            Some(columns) => columns.clone(),
            None => all_of(table)?,
        };
        let keys = match &self.key {
            Some(key) => vec![key.clone()],
            None => keys(table)?,
        };
        let mut found = vec![];
        for key in keys {
            // Other rows may have it by then.
            if key.iter().any(|name| place(&self.changed, name).is_some()) {
                return None;
            }
            let is_given = |name: &String| place(&columns, name).is_some();
            if !key.iter().all(is_given) {
                // Rows get a new number there, or NULL: nothing stands in their way.
                let missing = key.iter().filter(|name| !is_given(name));
                let mut missing = missing.map(|name| table.column(name));
                if missing.all(|column| column.is_some_and(|one| one.default.is_some())) {
                    return None;
                }
                continue;
            }
            found.push(self.among(&columns, &key, table, dialect)?);
        }
        Some(match found.is_empty() {
            true => "(1 = 0)".into(),
            false => format!("({}\n)", found.join(" OR ")),
        })
    }

    /// Whether the key of a row is among those given.
    fn among(
        &self,
        columns: &[String],
        key: &[String],
        table: &Table,
        dialect: &dyn Dialect,
    ) -> Option<String> {
        let (open, close) = match key {
            [_] => ("", ""),
            _ => ("(", ")"),
        };
        let quoted = key.iter().map(|name| {
            // As the catalog spells it.
            let mut columns = table.columns.iter();
            let found = columns.find(|column| column.name.eq_ignore_ascii_case(name));
            found.map(|column| dialect.quote(&column.name))
        });
        let quoted = quoted.collect::<Option<Vec<_>>>()?.join(", ");
        let names = format!("{open}{quoted}{close}");
        if let Rows::Query(sql) = &self.rows {
            let all = columns.iter().map(|name| dialect.quote(name));
            let all = all.collect::<Vec<_>>().join(", ");
            return Some(format!(
                "{names} IN (WITH dunlin_rows ({all}) AS ({sql}\n) SELECT {quoted} FROM dunlin_rows)"
            ));
        }
        let rows = self.of_key(columns, key)?;
        let rows = rows
            .iter()
            .map(|row| format!("{open}{}{close}", row.join(", ")));
        let rows = rows.collect::<Vec<_>>().join(", ");
        let (before, after) = match key {
            [_] => ("(", ")"),
            _ => dialect.change().rows_in(),
        };
        Some(format!("{names} IN {before}{rows}{after}"))
    }

    /// The values of a key. `None`: they are known only when the statement runs.
    fn of_key(&self, columns: &[String], key: &[String]) -> Option<Vec<Vec<&str>>> {
        let places = key.iter().map(|name| place(columns, name));
        let places = places.collect::<Option<Vec<_>>>()?;
        let Rows::Values(rows) = &self.rows else {
            return Some(vec![]);
        };
        let of = rows.iter().map(|row| {
            let values = places.iter().map(|at| row.get(*at)?.as_deref());
            values.collect()
        });
        of.collect()
    }
}

fn place(columns: &[String], name: &str) -> Option<usize> {
    let mut places = columns.iter();
    places.position(|column| column.eq_ignore_ascii_case(name))
}

/// The columns of a table, where a row of values has one for each.
fn all_of(table: &Table) -> Option<Vec<String>> {
    let plain = |column: &Column| column.generated.is_none() && column.attributes.is_none();
    let names = table.columns.iter().map(|column| column.name.clone());
    table.columns.iter().all(plain).then(|| names.collect())
}

/// The keys of a table. `None`: there is one that is not of whole columns.
fn keys(table: &Table) -> Option<Vec<Vec<String>>> {
    let of_keys = table.keys.iter().map(|key| Some(key.columns.clone()));
    let unique = table.indexes.iter().filter(|index| index.unique);
    let of_indexes = unique.map(|index| {
        let mut parts = index.parts.iter();
        let whole = parts.all(|part| !part.expression && part.length.is_none());
        let names = index.parts.iter().map(|part| part.what.clone());
        whole.then(|| names.collect())
    });
    let all: Option<Vec<Vec<String>>> = of_keys.chain(of_indexes).collect();
    let there = |key: &Vec<String>| key.iter().all(|name| table.column(name).is_some());
    all.filter(|all| all.iter().all(there))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::dialect::mysql::Mysql;
    use crate::dialect::postgres::Postgres;
    use crate::dialect::sqlite::Sqlite;
    use crate::schema::{Index, IndexPart, Key, NeutralType};

    fn table() -> Table {
        let column = |name: &str| Column {
            name: name.into(),
            native: "text".into(),
            neutral: NeutralType::Text,
            nullable: true,
            default: None,
            generated: None,
            identity: None,
            counting: vec![],
            on_update: None,
            collation: None,
            attributes: None,
            comment: None,
        };
        Table {
            name: "t".into(),
            columns: ["k", "u", "v"].map(column).to_vec(),
            keys: vec![Key {
                name: None,
                primary: true,
                columns: vec!["k".into()],
                clause: None,
                ..Key::default()
            }],
            indexes: vec![Index {
                name: "by_u".into(),
                parts: vec![IndexPart::column("u")],
                unique: true,
                ..Index::default()
            }],
            ..Table::default()
        }
    }

    /// The columns that change and the condition, of a table with two keys.
    fn found(dialect: &dyn Dialect, sql: &str) -> Option<(String, Option<String>)> {
        let read = read(sql, dialect, &LexMode::default())?;
        let only = read.given.unwrap().only(&table(), dialect);
        let only = only.map(|only| only.replace('\n', "").replace('`', "\""));
        Some((read.columns.join(" "), only))
    }

    #[test]
    fn rows_that_are_written_over_are_found_by_the_keys_that_are_given() {
        let is = |dialect: &dyn Dialect, sql: &str, columns: &str, only: Option<&str>| {
            let wanted = Some((columns.to_owned(), only.map(str::to_owned)));
            assert_eq!(found(dialect, sql), wanted, "{sql}");
        };
        let both = Some(r#"("k" IN ('a', 'b') OR "u" IN (1, 2))"#);
        is(
            &Mysql,
            "REPLACE INTO t (k, u) VALUES ('a', 1), ('b', 2)",
            "",
            both,
        );
        is(
            &Sqlite,
            "INSERT OR REPLACE INTO t VALUES ('a', 1, f(3)), ('b', 2, 4)",
            "",
            both,
        );
        is(
            &Mysql,
            "INSERT INTO t (v, k) VALUES (1, 'a') AS n ON DUPLICATE KEY UPDATE v = n.v, u = f(1, 2)",
            "v u",
            Some(r#"("k" IN ('a'))"#),
        );
        is(
            &Postgres,
            "INSERT INTO t AS x (k, u) VALUES ('a', now()) ON CONFLICT (k) DO UPDATE SET u = excluded.u WHERE x.v > 1",
            "u",
            Some(r#"("k" IN ('a'))"#),
        );
        is(
            &Postgres,
            "INSERT INTO t (k, u) VALUES (DATE '2000-01-01', -1::int) ON CONFLICT (k, u) DO UPDATE SET v = 1 RETURNING k",
            "v",
            Some(r#"(("k", "u") IN ((DATE '2000-01-01', -1::int)))"#),
        );
        let query = Some(
            r#"("k" IN (WITH dunlin_rows ("k", "v") AS (SELECT a, 1 FROM w JOIN y ON w.b = y.b) SELECT "k" FROM dunlin_rows))"#,
        );
        let select = "INSERT INTO t (k, v) SELECT a, 1 FROM w JOIN y ON w.b = y.b";
        is(
            &Postgres,
            &format!("{select} ON CONFLICT (k) DO UPDATE SET v = 1"),
            "v",
            query,
        );
        is(
            &Mysql,
            &format!("{select} ON DUPLICATE KEY UPDATE v = 1"),
            "v",
            query,
        );
        // New rows, and what only the statement itself will know.
        is(&Mysql, "REPLACE t (v) VALUES (1)", "", Some("(1 = 0)"));
        is(&Mysql, "REPLACE INTO t (k) VALUES (f(1))", "", None);
    }

    #[test]
    fn what_writes_over_nothing_or_cannot_be_told_is_none() {
        for sql in [
            "INSERT INTO t (k) VALUES (1)",
            "INSERT INTO t (k) VALUES (1) ON CONFLICT (k) DO NOTHING",
            "INSERT INTO t (k) VALUES (f(1)) ON CONFLICT (k) DO UPDATE SET v = 1",
            "INSERT INTO t (k) SELECT nextval('s') ON CONFLICT (k) DO UPDATE SET v = 1",
            "INSERT INTO t (k) SELECT now() ON CONFLICT (k) DO UPDATE SET v = 1",
            "WITH x AS (SELECT 1) INSERT INTO t SELECT * FROM x ON CONFLICT (k) DO UPDATE SET v = 1",
        ] {
            assert_eq!(found(&Postgres, sql), None, "{sql}");
        }
        assert_eq!(found(&Mysql, "REPLACE INTO t SET k = 1"), None);
        let two = "INSERT INTO t (k, u) VALUES (1, 2) ON CONFLICT (k) DO UPDATE SET v = 1 ON CONFLICT (u) DO NOTHING";
        assert_eq!(found(&Sqlite, two), None);
    }
}
