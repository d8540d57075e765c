//! A table's text with other constraints, and the rebuild that gives it to the table.

use super::ddl::{quote, rebuild_within};
use crate::dialect::Dialect;
use crate::schema::text::{Code, closing, code, items, words};
use crate::schema::{Catalog, Table, View, rename};
use crate::sql::LexMode;
use std::collections::BTreeSet;
use std::ops::Range;

/// What is to be another in a table's text.
#[derive(Debug, Default)]
pub struct Edits {
    /// Columns that become NOT NULL.
    pub not_null: Vec<String>,
    /// Constraints that come: whole clauses.
    pub add: Vec<String>,
    /// Constraints that go, by name.
    pub drop_named: Vec<String>,
    /// Unique constraints without a name that go, by their columns.
    pub drop_unique: Vec<Vec<String>>,
}

impl Edits {
    /// Whether the text stays as it is.
    pub fn is_empty(&self) -> bool {
        self.not_null.is_empty()
            && self.add.is_empty()
            && self.drop_named.is_empty()
            && self.drop_unique.is_empty()
    }
}

/// Words with which a constraint of a column or a table begins.
const STARTS: &[&str] = &[
    "CONSTRAINT",
    "PRIMARY",
    "NOT",
    "NULL",
    "UNIQUE",
    "CHECK",
    "DEFAULT",
    "COLLATE",
    "REFERENCES",
    "GENERATED",
    "AS",
    "FOREIGN",
];

/// The text of a table with these edits.
pub fn edited(sql: &str, edits: &Edits) -> Result<String, String> {
    let unread = || "the table's text is not understood".to_owned();
    let tokens = code(sql, &super::Sqlite.lex_rules(&LexMode::default()));
    let open = tokens
        .iter()
        .position(|token| token.text == "(")
        .ok_or_else(unread)?;
    let close = closing(&tokens, open);
    let end = tokens.get(close).ok_or_else(unread)?.start;
    let parts = items(&tokens[open + 1..close]);
    let mut changes: Vec<(Range<usize>, String)> = vec![];
    for name in &edits.not_null {
        let column = parts
            .iter()
            .find(|item| is_column(item, name))
            .ok_or_else(unread)?;
        let last = column.last().ok_or_else(unread)?.end;
        changes.push((last..last, " NOT NULL".into()));
    }
    for name in &edits.drop_named {
        changes.push((
            named(&parts, name)
                .ok_or_else(|| format!("the text of constraint {name} is not found"))?,
            String::new(),
        ));
    }
    for columns in &edits.drop_unique {
        let found = unique(&parts, columns);
        let range = found
            .ok_or_else(|| format!("the text of UNIQUE ({}) is not found", columns.join(", ")))?;
        changes.push((range, String::new()));
    }
    for clause in &edits.add {
        changes.push((end..end, format!(", {clause}")));
    }
    changes.sort_by_key(|(range, _)| (range.start, range.end));
    let mut text = String::with_capacity(sql.len());
    let mut from = 0;
    for (range, new) in changes {
        if range.start < from {
            return Err(unread());
        }
        text.push_str(&sql[from..range.start]);
        text.push_str(&new);
        from = range.end;
    }
    text.push_str(&sql[from..]);
    Ok(text)
}

fn is_table_part(item: &[Code<'_>]) -> bool {
    item.first().is_some_and(|first| {
        ["CONSTRAINT", "PRIMARY", "UNIQUE", "CHECK", "FOREIGN"]
            .iter()
            .any(|word| first.is(word))
    })
}

fn is_column(item: &[Code<'_>], name: &str) -> bool {
    !is_table_part(item)
        && item
            .first()
            .is_some_and(|first| first.name().eq_ignore_ascii_case(name))
}

/// Where the constraint that begins at `at` of an item ends.
fn constraint_end(item: &[Code<'_>], at: usize) -> usize {
    let mut next = at;
    if item.get(next).is_some_and(|token| token.is("CONSTRAINT")) {
        next += 2;
    }
    // Its own first word; a foreign key's REFERENCES belongs to it.
    let foreign = item.get(next).is_some_and(|token| token.is("FOREIGN"));
    let not = item.get(next).is_some_and(|token| token.is("NOT"));
    next += 1 + usize::from(not);
    while let Some(token) = item.get(next) {
        if token.text == "(" {
            next = closing(item, next) + 1;
            continue;
        }
        let before = &item[next - 1];
        let begins = STARTS.iter().any(|word| token.is(word));
        let within = before.is("SET")
            || (foreign && token.is("REFERENCES"))
            || (token.is("NOT")
                && item
                    .get(next + 1)
                    .is_some_and(|token| token.is("DEFERRABLE")));
        if begins && !within {
            break;
        }
        next += 1;
    }
    next.min(item.len())
}

/// The bytes of a part of an item; of a whole item with the comma before it.
fn bytes_of(parts: &[&[Code<'_>]], number: usize, part: Range<usize>) -> Option<Range<usize>> {
    let item = parts.get(number)?;
    let end = item.get(part.end.checked_sub(1)?)?.end;
    // With the blanks before it; what is between is a comma, or nothing but blanks and comments.
    let start = if part == (0..item.len()) && number > 0 {
        parts.get(number - 1)?.last()?.end
    } else if part.start > 0 {
        item.get(part.start - 1)?.end
    } else {
        item.get(part.start)?.start
    };
    Some(start..end)
}

/// Whether a table's text holds a constraint of this name: the catalog does not keep the names of all.
pub fn has_named(sql: &str, name: &str) -> bool {
    let edits = Edits {
        drop_named: vec![name.to_owned()],
        ..Edits::default()
    };
    edited(sql, &edits).is_ok()
}

fn named(parts: &[&[Code<'_>]], name: &str) -> Option<Range<usize>> {
    for (number, item) in parts.iter().enumerate() {
        let mut depth = 0_usize;
        for (at, token) in item.iter().enumerate() {
            match token.text {
                "(" => depth += 1,
                ")" => depth = depth.saturating_sub(1),
                _ => {}
            }
            let is_name = |token: &Code<'_>| token.name().eq_ignore_ascii_case(name);
            if depth == 0 && token.is("CONSTRAINT") && item.get(at + 1).is_some_and(is_name) {
                return bytes_of(parts, number, at..constraint_end(item, at));
            }
        }
    }
    None
}

fn unique(parts: &[&[Code<'_>]], columns: &[String]) -> Option<Range<usize>> {
    for (number, item) in parts.iter().enumerate() {
        let Some(at) = item.iter().position(|token| token.is("UNIQUE")) else {
            continue;
        };
        let own = if is_table_part(item) {
            let open = at + 1;
            let close = closing(item, open);
            let listed = items(item.get(open + 1..close).unwrap_or_default());
            listed
                .iter()
                .filter_map(|part| Some(part.first()?.name()))
                .collect()
        } else {
            vec![item.first()?.name()]
        };
        let same = own.len() == columns.len()
            && own
                .iter()
                .zip(columns)
                .all(|(a, b)| a.eq_ignore_ascii_case(b));
        if same {
            return bytes_of(parts, number, at..constraint_end(item, at));
        }
    }
    None
}

/// The statements that rebuild a table under another text, for one transaction. Views and triggers of others that name
/// the table are taken away meanwhile: the server looks into all of them when a table takes a name.
pub fn rebuild(catalog: &Catalog, table: &Table, text: &str) -> Result<Vec<String>, String> {
    let scratch = format!("dunlin_rebuild_{}", table.name);
    let create = rename::rename_create(&super::Sqlite, &LexMode::default(), text, &scratch)
        .ok_or_else(|| "the table's text is not understood".to_owned())?;
    let dependents = Dependents::of(catalog, table);
    let mut statements = dependents.drop();
    let inner = rebuild_within(table, table, &scratch, create)
        .ok_or_else(|| "a virtual table cannot be rebuilt".to_owned())?;
    statements.extend(inner);
    statements.extend(dependents.create());
    Ok(statements)
}

/// What names a table without belonging to it.
struct Dependents<'a> {
    views: Vec<&'a View>,
    /// Name and text.
    triggers: Vec<(&'a str, &'a str)>,
}

impl<'a> Dependents<'a> {
    fn of(catalog: &'a Catalog, table: &Table) -> Self {
        let mut names: BTreeSet<String> = BTreeSet::from([table.name.to_lowercase()]);
        let mut views: Vec<&View> = vec![];
        // Views over views: until a round finds none more.
        loop {
            let found: Vec<&View> = catalog
                .views
                .iter()
                .filter(|view| !names.contains(&view.name.to_lowercase()))
                .filter(|view| !words(&view.definition, &super::Sqlite).is_disjoint(&names))
                .collect();
            if found.is_empty() {
                break;
            }
            names.extend(found.iter().map(|view| view.name.to_lowercase()));
            views.extend(found);
        }
        let others = catalog
            .tables
            .iter()
            .filter(|other| other.name != table.name);
        let of_views = catalog
            .views
            .iter()
            .filter(|view| views.iter().all(|gone| gone.name != view.name))
            .flat_map(|view| &view.triggers);
        let triggers = others
            .flat_map(|other| &other.triggers)
            .chain(of_views)
            .filter(|trigger| !words(&trigger.definition, &super::Sqlite).is_disjoint(&names))
            .map(|trigger| (trigger.name.as_str(), trigger.definition.as_str()))
            .collect();
        Dependents { views, triggers }
    }

    fn drop(&self) -> Vec<String> {
        let triggers = self
            .triggers
            .iter()
            .map(|(name, _)| format!("DROP TRIGGER {}", quote(name)));
        let views = self
            .views
            .iter()
            .rev()
            .map(|view| format!("DROP VIEW {}", quote(&view.name)));
        triggers.chain(views).collect()
    }

    fn create(&self) -> Vec<String> {
        let views = self.views.iter().map(|view| view.definition.clone());
        let of_views = self
            .views
            .iter()
            .flat_map(|view| &view.triggers)
            .map(|trigger| trigger.definition.clone());
        let triggers = self.triggers.iter().map(|(_, text)| (*text).to_owned());
        views.chain(of_views).chain(triggers).collect()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn owned(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn a_text_takes_and_loses_constraints() {
        let sql = "CREATE TABLE \"t, x\" (\n  id INTEGER PRIMARY KEY, -- the id, (so)\n  a TEXT CONSTRAINT ua UNIQUE ON CONFLICT \
                   FAIL CHECK (a <> ','), b INT CONSTRAINT fb REFERENCES u(id) ON DELETE SET NULL NOT DEFERRABLE DEFAULT 1,\n  c, \
                   UNIQUE (b, c), CONSTRAINT ck CHECK (b > 0) CONSTRAINT fc FOREIGN KEY (c) REFERENCES u (id) -- end\n) STRICT";
        let edit = |edits: Edits| edited(sql, &edits).unwrap();
        let named = |name: &str| {
            edit(Edits {
                drop_named: owned(&[name]),
                ..Edits::default()
            })
        };
        assert!(
            named("ua").contains("a TEXT CHECK (a <> ','), b"),
            "{}",
            named("ua")
        );
        assert!(named("fb").contains("b INT DEFAULT 1,"), "{}", named("fb"));
        assert!(
            named("CK").contains("UNIQUE (b, c),  CONSTRAINT fc"),
            "{}",
            named("ck")
        );
        assert!(
            named("fc").contains("CHECK (b > 0) -- end"),
            "{}",
            named("fc")
        );
        let both = edit(Edits {
            not_null: owned(&["C", "b"]),
            add: owned(&["CONSTRAINT n UNIQUE (a)"]),
            drop_unique: vec![owned(&["b", "c"])],
            ..Edits::default()
        });
        assert!(
            both.contains("DEFAULT 1 NOT NULL,\n  c NOT NULL, CONSTRAINT ck"),
            "{both}"
        );
        assert!(
            both.contains("-- end\n, CONSTRAINT n UNIQUE (a)) STRICT"),
            "{both}"
        );
        let alone = edit(Edits {
            drop_unique: vec![owned(&["a"])],
            ..Edits::default()
        });
        assert!(
            alone.contains("a TEXT CONSTRAINT ua CHECK") || alone.contains("a TEXT  CHECK"),
            "{alone}"
        );
        let none = Edits {
            drop_named: owned(&["nothing"]),
            ..Edits::default()
        };
        assert!(edited(sql, &none).is_err());
        assert!(edited("CREATE TABLE", &Edits::default()).is_err());
    }
}
