//! Tables, columns, indexes, keys and checks from the rows of the catalog's queries.

use super::super::ddl;
use super::super::dml::literal;
use crate::dialect::catalog::{number, some, text, truth};
use crate::dialect::{Caps, EngineKind, RowsDialect};
use crate::schema::{Check, Column, ForeignKey, Generated, Index, IndexPart, Key, Table};
use crate::value::{Row, Value};
use std::collections::BTreeMap;

/// `utf8_…` is what older servers call `utf8mb3_…`.
pub(super) fn collation(name: &str) -> String {
    match name.strip_prefix("utf8_") {
        Some(rest) => format!("utf8mb3_{rest}"),
        None => name.to_owned(),
    }
}

pub(super) fn table(row: &Row) -> Table {
    let mut options = BTreeMap::new();
    if let Some(engine) = some(row, 2) {
        options.insert("engine".into(), engine);
    }
    if let Some(name) = some(row, 3) {
        options.insert("collation".into(), collation(&name));
    }
    if let Some(more) = some(row, 4) {
        let more = more.trim().to_owned();
        if !more.is_empty() {
            options.insert("options".into(), more);
        }
    }
    Table {
        name: text(row, 0),
        options,
        comment: some(row, 5),
        ..Table::default()
    }
}

/// The type without display widths, which newer servers do not show; `tinyint(1)` and ZEROFILL keep theirs.
pub(super) fn native(spelled: &str) -> String {
    if spelled.starts_with("enum(") || spelled.starts_with("set(") || spelled.contains("zerofill") {
        return spelled.to_owned();
    }
    let (base, rest) = spelled.split_once('(').unwrap_or((spelled, ""));
    let widths = ["tinyint", "smallint", "mediumint", "int", "bigint", "year"];
    match rest.split_once(')') {
        Some((width, tail)) if widths.contains(&base) && !(base == "tinyint" && width == "1") => {
            format!("{base}{tail}")
        }
        _ => spelled.to_owned(),
    }
}

/// Expressions in MySQL's catalog views are escaped once more: a backslash stands before quotes and backslashes.
pub(super) fn expression(caps: &Caps, text: &str) -> String {
    if caps.engine != EngineKind::Mysql {
        return text.to_owned();
    }
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some('n') => out.push('\n'),
                Some(escaped) => out.push(escaped),
                None => out.push(c),
            },
            _ => out.push(c),
        }
    }
    out
}

/// A default as SQL.
pub(super) fn default(caps: &Caps, row: &Row, native: &str, extra: &str) -> Option<String> {
    let raw = row.get(2)?.as_str()?;
    if caps.engine == EngineKind::Mariadb {
        return match raw {
            "NULL" => None,
            raw => Some(now(raw)),
        };
    }
    if extra.contains("default_generated") {
        let shown = expression(caps, raw);
        return Some(
            if shown.to_ascii_uppercase().starts_with("CURRENT_TIMESTAMP") {
                shown
            } else {
                format!("({shown})")
            },
        );
    }
    let base = native.split(['(', ' ']).next().unwrap_or_default();
    let numeric = [
        "tinyint",
        "smallint",
        "mediumint",
        "int",
        "bigint",
        "decimal",
        "float",
        "double",
        "year",
        "bit",
    ];
    if raw.to_ascii_uppercase().starts_with("CURRENT_TIMESTAMP")
        && ["timestamp", "datetime"].contains(&base)
    {
        return Some(raw.to_owned());
    }
    Some(if numeric.contains(&base) {
        raw.to_owned()
    } else {
        literal(&raw.replace('\\', "\\\\"))
    })
}

/// `current_timestamp()` and `current_timestamp(3)` in the form that both servers take.
pub(super) fn now(text: &str) -> String {
    match text.strip_prefix("current_timestamp") {
        Some("()") => "CURRENT_TIMESTAMP".into(),
        Some(rest) if rest.starts_with('(') => format!("CURRENT_TIMESTAMP{rest}"),
        _ => text.to_owned(),
    }
}

pub(super) fn column(caps: &Caps, row: &Row) -> Column {
    let native = native(&text(row, 4));
    let extra = text(row, 6).to_ascii_lowercase();
    let generated = some(row, 7).map(|shown| Generated {
        expression: expression(caps, &shown),
        stored: extra.contains("stored") || extra.contains("persistent"),
    });
    let on_update = extra.find("on update ").map(|at| {
        let rest = &extra[at + "on update ".len()..];
        let word = rest.split([' ', ',']).next().unwrap_or_default();
        now(&word.to_ascii_lowercase()).replace("current_timestamp", "CURRENT_TIMESTAMP")
    });
    Column {
        name: text(row, 1),
        neutral: super::super::rows::Rows.neutral(&native, ""),
        nullable: text(row, 3) == "YES",
        default: if generated.is_some() {
            None
        } else {
            default(caps, row, &native, &extra)
        },
        generated,
        counting: vec![],
        identity: extra
            .contains("auto_increment")
            .then(|| "AUTO_INCREMENT".into()),
        on_update,
        collation: some(row, 5).map(|name| collation(&name)),
        attributes: extra.contains("invisible").then(|| "INVISIBLE".into()),
        comment: some(row, 8),
        native,
    }
}

pub(super) fn read_indexes(caps: &Caps, tables: &mut BTreeMap<String, Table>, rows: &[Row]) {
    for row in rows {
        let Some(table) = tables.get_mut(&text(row, 0)) else {
            continue;
        };
        let name = text(row, 1);
        if table.indexes.last().is_none_or(|last| last.name != name) {
            let kind = text(row, 6);
            table.indexes.push(Index {
                name,
                parts: vec![],
                unique: !truth(row, 2),
                method: (kind != "BTREE").then_some(kind),
                attributes: truth(row, 9).then(|| {
                    if caps.engine == EngineKind::Mariadb {
                        "IGNORED"
                    } else {
                        "INVISIBLE"
                    }
                    .to_owned()
                }),
                comment: some(row, 7),
                ..Index::default()
            });
        }
        let Some(index) = table.indexes.last_mut() else {
            continue;
        };
        let computed = some(row, 8);
        let spatial = matches!(index.method.as_deref(), Some("SPATIAL" | "RTREE"));
        index.parts.push(IndexPart {
            expression: computed.is_some(),
            what: computed.map_or_else(|| text(row, 3), |shown| expression(caps, &shown)),
            descending: text(row, 5) == "D",
            length: number(row, 4)
                .filter(|_| !spatial)
                .and_then(|length| u32::try_from(length).ok()),
            collation: None,
        });
    }
    for table in tables.values_mut() {
        let (primary, others): (Vec<_>, Vec<_>) = std::mem::take(&mut table.indexes)
            .into_iter()
            .partition(|index| index.name == "PRIMARY");
        table.indexes = others;
        table.keys = primary
            .into_iter()
            .map(|index| {
                let plain = index
                    .parts
                    .iter()
                    .all(|part| part.length.is_none() && !part.descending);
                Key {
                    name: None,
                    primary: true,
                    clause: (!plain).then(|| format!("PRIMARY KEY ({})", ddl::parts(&index))),
                    columns: index.parts.into_iter().map(|part| part.what).collect(),
                    ..Key::default()
                }
            })
            .collect();
    }
}

pub(super) fn read_foreign_keys(
    tables: &mut BTreeMap<String, Table>,
    columns: &[Row],
    rules: &[Row],
) {
    let action = |text: String| match text.as_str() {
        // The two mean the same to these servers.
        "RESTRICT" | "NO ACTION" | "" => None,
        _ => Some(text),
    };
    let rules: BTreeMap<(String, String), (Option<String>, Option<String>)> = rules
        .iter()
        .map(|row| {
            (
                (text(row, 0), text(row, 1)),
                (action(text(row, 2)), action(text(row, 3))),
            )
        })
        .collect();
    for row in columns {
        let name = text(row, 1);
        let Some(table) = tables.get_mut(&text(row, 0)) else {
            continue;
        };
        if table
            .foreign_keys
            .last()
            .is_none_or(|last| last.name.as_ref() != Some(&name))
        {
            let (on_update, on_delete) = rules
                .get(&(table.name.clone(), name.clone()))
                .cloned()
                .unwrap_or((None, None));
            table.foreign_keys.push(ForeignKey {
                name: Some(name),
                columns: vec![],
                references_schema: some(row, 3),
                references: text(row, 4),
                references_columns: vec![],
                on_delete,
                on_update,
                attributes: None,
                ..ForeignKey::default()
            });
        }
        if let Some(key) = table.foreign_keys.last_mut() {
            key.columns.push(text(row, 2));
            key.references_columns.push(text(row, 5));
        }
    }
}

/// Rows of checks with their table and state, where the query gives these as rows of their own.
pub(super) fn joined_checks(rows: &[Row]) -> Vec<Row> {
    let named: BTreeMap<String, &Row> = rows
        .iter()
        .filter(|row| row.get(2).is_none_or(Value::is_null))
        .map(|row| (text(row, 1), row))
        .collect();
    let clauses = rows
        .iter()
        .filter(|row| row.get(2).is_some_and(|value| !value.is_null()));
    clauses
        .map(|row| {
            let mut row = row.clone();
            if let Some(of) = named.get(&text(&row, 1))
                && let [table, _, _, _, enforced] = row.as_mut_slice()
            {
                *table = of[0].clone();
                *enforced = of[4].clone();
            }
            row
        })
        .collect()
}

pub(super) fn check(caps: &Caps, table: &mut Table, row: &Row) {
    let name = text(row, 1);
    let clause = format!("CHECK ({})", unwrapped(&expression(caps, &text(row, 2))));
    let level = some(row, 3);
    let of_column = caps.engine == EngineKind::Mariadb
        && level
            .as_deref()
            .is_none_or(|level| level.eq_ignore_ascii_case("column"))
        && table.column(&name).is_some();
    if !of_column {
        let enforced = if text(row, 4) == "NO" {
            " NOT ENFORCED"
        } else {
            ""
        };
        table.checks.push(Check {
            name: Some(name),
            clause: format!("{clause}{enforced}"),
            ..Check::default()
        });
        return;
    }
    let json = format!("CHECK (json_valid({}))", ddl::quote(&name));
    let Some(column) = table.columns.iter_mut().find(|column| column.name == name) else {
        return;
    };
    if clause == json
        && column.native == "longtext"
        && column.collation.as_deref() == Some("utf8mb4_bin")
    {
        column.native = "json".into();
        column.collation = None;
        column.neutral = crate::schema::NeutralType::Json;
        return;
    }
    column.attributes = Some(match column.attributes.take() {
        Some(attributes) => format!("{attributes} {clause}"),
        None => clause,
    });
}

/// An expression without the brackets around the whole of it.
pub(super) fn unwrapped(text: &str) -> &str {
    let inner = text.trim();
    let Some(stripped) = inner
        .strip_prefix('(')
        .and_then(|rest| rest.strip_suffix(')'))
    else {
        return inner;
    };
    let (mut depth, mut quote) = (0_i32, None);
    for c in stripped.chars() {
        match (quote, c) {
            (None, '\'' | '"' | '`') => quote = Some(c),
            (Some(open), c) if c == open => quote = None,
            (None, '(') => depth += 1,
            (None, ')') => depth -= 1,
            _ => {}
        }
        if depth < 0 {
            return inner;
        }
    }
    stripped
}
