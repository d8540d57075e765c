//! Reading a whole catalog: pragmas as tables, and what only the stored text of a table tells: checks, collations,
//! computed columns, how a foreign key is deferred.

use super::ddl;
use crate::dialect::catalog::{CatalogDialect, Hold, Part, Rendered, number, some, text, truth};
use crate::dialect::{Caps, Dialect, RowsDialect};
use crate::schema::text::{Code, closing, code, items, joined};
use crate::schema::{
    Catalog, Check, Column, ForeignKey, Generated, Index, IndexPart, Key, Table, Trigger, View,
    rename,
};
use crate::sql::LexMode;
use crate::value::{Query, Row};
use std::collections::BTreeMap;

/// Reading catalogs, and rendering their parts.
#[derive(Debug, Clone, Copy)]
pub struct Catalogs;

const OBJECTS: &str =
    "SELECT type, name, tbl_name, sql FROM main.sqlite_schema ORDER BY type, name";
// Shadow tables belong to their virtual table, which makes them by itself. Of a virtual table only the text is read: its
// module may not be here, and asking for its columns would be an error.
const TABLES: &str = "SELECT name, type, wr, strict FROM pragma_table_list WHERE schema = 'main' AND type IN ('table', \
    'virtual') AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY name";
const COLUMNS: &str = "SELECT m.name, x.name, x.type, x.\"notnull\", x.dflt_value, x.pk, x.hidden FROM \
    main.sqlite_schema m JOIN pragma_table_xinfo(m.name, 'main') x WHERE m.type = 'table' AND m.rootpage > 0 AND x.hidden <> 1 \
    ORDER BY m.name, x.cid";
const INDEXES: &str = "SELECT m.name, l.name, l.\"unique\", l.origin, i.name, i.\"desc\", i.coll FROM \
    main.sqlite_schema m JOIN pragma_index_list(m.name, 'main') l JOIN pragma_index_xinfo(l.name, 'main') i WHERE \
    m.type = 'table' AND m.rootpage > 0 AND i.key = 1 ORDER BY m.name, l.name, i.seqno";
const FOREIGN_KEYS: &str = "SELECT m.name, f.id, f.\"table\", f.\"from\", f.\"to\", f.on_update, f.on_delete FROM \
    main.sqlite_schema m JOIN pragma_foreign_key_list(m.name, 'main') f WHERE m.type = 'table' AND m.rootpage > 0 ORDER BY m.name, f.id \
    DESC, f.seq";

/// Numbers that an application keeps beside its tables.
const NUMBERS: &str = "SELECT 'the database''s user_version', 'PRAGMA user_version = ' || user_version FROM \
    pragma_user_version() WHERE user_version <> 0 UNION ALL SELECT 'the database''s application_id', \
    'PRAGMA application_id = ' || application_id FROM pragma_application_id() WHERE application_id <> 0";

impl CatalogDialect for Catalogs {
    fn queries(&self, _caps: &Caps) -> Vec<Query> {
        [OBJECTS, TABLES, COLUMNS, INDEXES, FOREIGN_KEYS]
            .into_iter()
            .map(|sql| Query::new(sql, vec![]))
            .collect()
    }

    fn read(&self, _caps: &Caps, answers: &[Vec<Row>]) -> Catalog {
        let mut catalog = Catalog::new("sqlite");
        let [objects, listed, columns, indexes, foreign] = answers else {
            return catalog;
        };
        let mut tables = read_tables(listed);
        read_columns(&mut tables, columns);
        read_foreign_keys(&mut tables, foreign);
        read_indexes(&mut tables, indexes, objects);
        for row in objects {
            let (name, parent, sql) = (text(row, 1), text(row, 2), text(row, 3));
            match text(row, 0).as_str() {
                "table" => {
                    if let Some(table) = tables.get_mut(&name) {
                        if !table.options.contains_key("virtual") {
                            read_text(table, &sql);
                        }
                        own_collations(table);
                        table.definition = Some(sql);
                    }
                }
                "view" => catalog.views.push(View {
                    name,
                    definition: sql,
                    ..View::default()
                }),
                "trigger" => {
                    let trigger = Trigger {
                        name,
                        definition: sql,
                        disabled: None,
                        ..Trigger::default()
                    };
                    let view = catalog.views.iter_mut().find(|view| view.name == parent);
                    if let Some(table) = tables.get_mut(&parent) {
                        table.triggers.push(trigger);
                    } else if let Some(view) = view {
                        view.triggers.push(trigger);
                    }
                }
                _ => {}
            }
        }
        // Triggers of views come before the views in the order of the query.
        for row in objects.iter().filter(|row| text(row, 0) == "trigger") {
            let (name, parent) = (text(row, 1), text(row, 2));
            if let Some(view) = catalog.views.iter_mut().find(|view| view.name == parent)
                && view.triggers.iter().all(|trigger| trigger.name != name)
            {
                view.triggers.push(Trigger {
                    name,
                    definition: text(row, 3),
                    disabled: None,
                    ..Trigger::default()
                });
            }
        }
        catalog.tables = tables.into_values().collect();
        catalog.sort();
        catalog
    }

    fn beyond(&self) -> Option<Query> {
        Some(Query::new(NUMBERS, vec![]))
    }

    fn show(&self, _part: Part<'_>) -> Option<Query> {
        None
    }
    fn read_show(&self, _part: Part<'_>, _rows: &[Row]) -> Option<String> {
        None
    }
    fn reloaded(&self, text: &str) -> String {
        text.to_owned()
    }
    fn is_unfinished(&self, _: &Index) -> bool {
        false
    }
    fn auto_named(&self, _table: &str, name: &str) -> bool {
        name.starts_with("sqlite_autoindex_")
    }
    fn foreign_keys_inline(&self) -> bool {
        true
    }
    fn clause(&self, part: Part<'_>) -> String {
        ddl::clause(part)
    }
    fn create(&self, part: Part<'_>) -> Rendered {
        ddl::create(part)
    }
    fn drop(&self, part: Part<'_>) -> Rendered {
        ddl::drop(part)
    }
    fn change(&self, from: Part<'_>, to: Part<'_>) -> Rendered {
        ddl::change(from, to)
    }
    fn rebuild(&self, from: &Table, to: &Table) -> Option<Vec<String>> {
        let scratch = format!("dunlin_rebuild_{}", to.name);
        let create = rename::rename_create(
            &super::Sqlite,
            &LexMode::default(),
            to.definition.as_ref()?,
            &scratch,
        )?;
        ddl::rebuild(from, to, &scratch, create)
    }
    fn defaults(&self) -> Option<Query> {
        None
    }
    fn take_defaults(&self, _row: &Row) -> Vec<String> {
        vec![]
    }
    fn dump_begin(&self) -> &'static [&'static str] {
        &["PRAGMA foreign_keys = OFF"]
    }
    fn counters(&self) -> Option<&'static str> {
        None
    }
    fn hold(&self, _tables: &[(Option<&str>, &str)]) -> Hold {
        // The lock of a transaction that writes is kept beyond its end, until the session ends.
        let take = [
            "PRAGMA locking_mode = EXCLUSIVE",
            "BEGIN EXCLUSIVE",
            "COMMIT",
        ];
        Hold {
            take: take.map(str::to_owned).to_vec(),
            ..Hold::default()
        }
    }
    fn part(&self) -> Option<[&'static str; 3]> {
        Some(["SAVEPOINT part", "RELEASE part", "ROLLBACK TO part"])
    }
    fn keys_hold_tables(&self) -> bool {
        false
    }
    fn dump_end(&self) -> &'static [&'static str] {
        &["PRAGMA foreign_keys = ON"]
    }
    fn create_schema(&self, _name: &str) -> Option<String> {
        None
    }
    fn shape_default(&self, default: &str) -> String {
        default.to_owned()
    }
}

fn read_columns(tables: &mut BTreeMap<String, Table>, rows: &[Row]) {
    let mut primary: BTreeMap<String, Vec<(i64, String)>> = BTreeMap::new();
    for row in rows {
        let Some(table) = tables.get_mut(&text(row, 0)) else {
            continue;
        };
        let native = text(row, 2);
        let place = number(row, 5).unwrap_or(0);
        if place > 0 {
            primary
                .entry(table.name.clone())
                .or_default()
                .push((place, text(row, 1)));
        }
        let hidden = number(row, 6).unwrap_or(0);
        table.columns.push(Column {
            name: text(row, 1),
            neutral: super::rows::Rows.neutral(&native, ""),
            native: native.split_whitespace().collect::<Vec<_>>().join(" "),
            nullable: !truth(row, 3),
            default: some(row, 4),
            generated: (hidden >= 2).then(|| Generated {
                expression: String::new(),
                stored: hidden == 3,
            }),
            identity: None,
            counting: vec![],
            on_update: None,
            collation: None,
            attributes: None,
            comment: None,
        });
    }
    for (name, mut columns) in primary {
        columns.sort();
        let Some(table) = tables.get_mut(&name) else {
            continue;
        };
        let columns = columns.into_iter().map(|(_, column)| column).collect();
        table.keys.push(Key {
            name: None,
            primary: true,
            columns,
            clause: None,
            ..Key::default()
        });
    }
}

fn read_foreign_keys(tables: &mut BTreeMap<String, Table>, rows: &[Row]) {
    let action = |text: String| {
        if text == "NO ACTION" || text.is_empty() {
            None
        } else {
            Some(text)
        }
    };
    let mut last: Option<(String, i64)> = None;
    for row in rows {
        let Some(table) = tables.get_mut(&text(row, 0)) else {
            continue;
        };
        let id = (table.name.clone(), number(row, 1).unwrap_or(0));
        if last.as_ref() != Some(&id) {
            table.foreign_keys.push(ForeignKey {
                name: None,
                columns: vec![],
                references_schema: None,
                references: text(row, 2),
                references_columns: vec![],
                on_update: action(text(row, 5)),
                on_delete: action(text(row, 6)),
                attributes: None,
                ..ForeignKey::default()
            });
            last = Some(id);
        }
        if let Some(key) = table.foreign_keys.last_mut() {
            key.columns.push(text(row, 3));
            key.references_columns.extend(some(row, 4));
        }
    }
}

/// The tables without what is in them.
fn read_tables(listed: &[Row]) -> BTreeMap<String, Table> {
    let mut tables: BTreeMap<String, Table> = BTreeMap::new();
    for row in listed {
        let mut options = BTreeMap::new();
        for (at, name) in [(2, "without_rowid"), (3, "strict")] {
            if truth(row, at) {
                options.insert(name.to_owned(), "true".to_owned());
            }
        }
        if text(row, 1) == "virtual" {
            options.insert("virtual".into(), "true".into());
        }
        tables.insert(
            text(row, 0),
            Table {
                name: text(row, 0),
                options,
                ..Table::default()
            },
        );
    }
    tables
}

/// A part of an index that compares by bytes over a column that does not, has that as a collation of its own.
fn own_collations(table: &mut Table) {
    let columns = &table.columns;
    let folds = |part: &IndexPart| {
        let mut all = columns.iter();
        all.any(|column| column.name == part.what && column.collation.is_some())
    };
    for part in table.indexes.iter_mut().flat_map(|index| &mut index.parts) {
        if part.collation.is_none() && !part.expression && folds(part) {
            part.collation = Some("BINARY".into());
        }
    }
}

fn read_indexes(tables: &mut BTreeMap<String, Table>, rows: &[Row], objects: &[Row]) {
    let texts: BTreeMap<String, String> = objects
        .iter()
        .filter(|row| text(row, 0) == "index")
        .map(|row| (text(row, 1), text(row, 3)))
        .collect();
    for row in rows {
        let Some(table) = tables.get_mut(&text(row, 0)) else {
            continue;
        };
        let (name, origin) = (text(row, 1), text(row, 3));
        match origin.as_str() {
            "pk" => continue,
            "u" => {
                let auto = Some(name);
                if table.keys.last().is_none_or(|last| last.name != auto) {
                    table.keys.push(Key {
                        name: auto,
                        ..Key::default()
                    });
                }
                if let Some(key) = table.keys.last_mut() {
                    key.columns.push(text(row, 4));
                }
            }
            _ => {
                if table.indexes.last().is_none_or(|last| last.name != name) {
                    let definition = texts.get(&name).cloned();
                    table.indexes.push(Index {
                        name,
                        unique: truth(row, 2),
                        definition,
                        ..Index::default()
                    });
                }
                if let Some(index) = table.indexes.last_mut() {
                    index.parts.push(IndexPart {
                        what: text(row, 4),
                        expression: row.get(4).is_none_or(crate::value::Value::is_null),
                        descending: truth(row, 5),
                        length: None,
                        collation: some(row, 6).filter(|name| name != "BINARY"),
                    });
                }
            }
        }
    }
    let rules = super::Sqlite.lex_rules(&LexMode::default());
    for index in tables.values_mut().flat_map(|table| &mut table.indexes) {
        let Some(definition) = &index.definition else {
            continue;
        };
        let tokens = code(definition, &rules);
        let Some(open) = tokens.iter().position(|token| token.text == "(") else {
            continue;
        };
        let close = closing(&tokens, open);
        for (part, item) in index
            .parts
            .iter_mut()
            .zip(items(tokens.get(open + 1..close).unwrap_or_default()))
        {
            if part.expression {
                let end = item
                    .iter()
                    .position(|token| token.is("ASC") || token.is("DESC"))
                    .unwrap_or(item.len());
                part.what = joined(&item[..end]);
            }
        }
        let rest = tokens.get(close + 1..).unwrap_or_default();
        index.predicate = rest
            .split_first()
            .filter(|(word, _)| word.is("WHERE"))
            .map(|(_, rest)| joined(rest));
    }
    for table in tables.values_mut() {
        // The automatic name counts the table's indexes; it says nothing.
        for key in &mut table.keys {
            key.name = None;
        }
    }
}

fn check(name: Option<String>, inside: &str) -> Check {
    Check {
        name,
        clause: format!("CHECK ({inside})"),
        ..Check::default()
    }
}

/// Takes out of a table's text what no pragma tells.
fn read_text(table: &mut Table, sql: &str) {
    let tokens = code(sql, &super::Sqlite.lex_rules(&LexMode::default()));
    let Some(open) = tokens.iter().position(|token| token.text == "(") else {
        return;
    };
    let close = closing(&tokens, open);
    let mut deferred = vec![];
    for item in items(tokens.get(open + 1..close).unwrap_or_default()) {
        let Some(first) = item.first() else { continue };
        let of_table = ["CONSTRAINT", "PRIMARY", "UNIQUE", "CHECK", "FOREIGN"]
            .iter()
            .any(|word| first.is(word));
        let column = if of_table {
            None
        } else {
            table
                .columns
                .iter()
                .position(|column| column.name.eq_ignore_ascii_case(&first.name()))
        };
        read_item(table, item, column, &mut deferred);
    }
    for (key, attributes) in table.foreign_keys.iter_mut().zip(deferred) {
        key.attributes = attributes;
    }
}

fn read_item(
    table: &mut Table,
    item: &[Code<'_>],
    column: Option<usize>,
    deferred: &mut Vec<Option<String>>,
) {
    let mut name = None;
    let mut at = usize::from(column.is_some());
    while let Some(token) = item.get(at) {
        let bracket = |from: usize| {
            let open = (from < item.len() && item[from].text == "(").then_some(from)?;
            let close = closing(item, open);
            Some((joined(item.get(open + 1..close)?), close))
        };
        if token.is("CONSTRAINT") {
            name = item.get(at + 1).map(Code::name);
            at += 1;
        } else if token.is("CHECK")
            && let Some((inside, close)) = bracket(at + 1)
        {
            table.checks.push(check(name.take(), &inside));
            at = close;
        } else if token.is("AS")
            && let Some((inside, close)) = bracket(at + 1)
        {
            if let Some(generated) =
                column.and_then(|at| table.columns.get_mut(at)?.generated.as_mut())
            {
                generated.expression = inside;
            }
            at = close;
        } else if token.is("COLLATE") {
            if let (Some(column), Some(word)) = (
                column.and_then(|at| table.columns.get_mut(at)),
                item.get(at + 1),
            ) {
                column.collation = Some(word.name().to_uppercase()).filter(|name| name != "BINARY");
            }
            at += 1;
        } else if token.is("AUTOINCREMENT") {
            let column = column.or_else(|| {
                // `PRIMARY KEY (id AUTOINCREMENT)` of a table constraint.
                let name = table.keys.iter().find(|key| key.primary)?.columns.first()?;
                table.columns.iter().position(|column| column.name == *name)
            });
            if let Some(column) = column.and_then(|at| table.columns.get_mut(at)) {
                column.identity = Some("AUTOINCREMENT".into());
            }
        } else if token.is("REFERENCES") {
            let rest = &item[at..];
            let late = rest.iter().position(|token| token.is("DEFERRABLE"));
            deferred.push(
                late.filter(|at| *at == 0 || !rest[at - 1].is("NOT"))
                    .map(|at| {
                        let end = if rest.get(at + 1).is_some_and(|token| token.is("INITIALLY")) {
                            at + 3
                        } else {
                            at + 1
                        };
                        joined(&rest[at..end.min(rest.len())]).to_uppercase()
                    }),
            );
        } else if token.text == "("
            && (column.is_some() || !item[..at].iter().any(|token| token.is("PRIMARY")))
        {
            // The columns of PRIMARY KEY (…) are looked into: AUTOINCREMENT may stand there.
            at = closing(item, at);
        }
        at += 1;
    }
}
