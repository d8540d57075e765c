//! Gives a catalog of neutral parts the form that these engines know: unique keys are indexes, partial indexes are
//! indexes over conditions, and what they have not is listed.

use super::quote;
use crate::dialect::copy::{CopyDialect, Notes};
use crate::dialect::{Caps, EngineKind};
use crate::finding::{Finding, Place};
use crate::schema::{Catalog, Check, Column, Index, IndexPart, Table};

/// Whether an index may be over an expression.
fn functional(caps: &Caps) -> bool {
    caps.engine == EngineKind::Mysql && caps.version >= (8, 0, 13)
}

pub(super) fn finish(catalog: &mut Catalog, caps: &Caps, notes: &mut Notes) {
    for table in &mut catalog.tables {
        table.options.insert("engine".into(), "InnoDB".into());
        unique_keys(table);
        wide(table, notes);
        indexes(table, caps, notes);
        foreign_keys(table, notes);
        cascades(table, caps, notes);
        numbering(table, notes);
        counters(table, notes);
    }
}

fn unique_keys(table: &mut Table) {
    let (primary, unique): (Vec<_>, Vec<_>) = std::mem::take(&mut table.keys)
        .into_iter()
        .partition(|key| key.primary);
    table.keys = primary;
    for key in &mut table.keys {
        // The primary key's name is PRIMARY.
        key.name = None;
    }
    for key in unique {
        let mut name = key
            .name
            .clone()
            .unwrap_or_else(|| format!("{}_key", key.columns.join("_")));
        name = crate::copy::translate::names::shortened(&name, 64, false);
        while table
            .indexes
            .iter()
            .any(|index| index.name.eq_ignore_ascii_case(&name))
        {
            name = crate::copy::translate::names::shortened(&format!("{name}_"), 64, false);
        }
        table.indexes.push(Index {
            name,
            unique: true,
            parts: key.columns.into_iter().map(IndexPart::column).collect(),
            ..Index::default()
        });
    }
}

/// The most bytes of a row, texts and bytes of any length not counted.
const ROW_BYTES: u64 = 65_535;

/// Bytes of a row that a column may take.
fn bytes_of(column: &Column) -> u64 {
    let (base, rest) = column
        .native
        .split_once('(')
        .unwrap_or((&column.native, ""));
    let inside = rest.split([',', ')']).next().unwrap_or_default();
    let length: u64 = inside.parse().unwrap_or(0);
    let letter = match column.collation.as_deref() {
        Some(collation) if collation.starts_with("ascii") => 1,
        _ => 4,
    };
    match base {
        "varchar" => length * letter + 2,
        "char" => length * letter,
        "varbinary" | "binary" => length + 2,
        "decimal" => 32,
        _ => 12,
    }
}

/// Texts of which a row would be too wide have no bound: the widest first, never one that a key is over.
fn wide(table: &mut Table, notes: &mut Notes) {
    let label = table.label();
    let nulls = table.columns.len() as u64 / 8 + 2;
    let mut width: u64 = nulls + table.columns.iter().map(bytes_of).sum::<u64>();
    let speaks = |column: &Column| {
        let quoted = quote(&column.name);
        let of = |columns: &[String]| columns.contains(&column.name);
        let part = |part: &IndexPart| part.what == column.name || part.what.contains(&quoted);
        table.keys.iter().any(|key| of(&key.columns))
            || table.foreign_keys.iter().any(|key| of(&key.columns))
            || table
                .indexes
                .iter()
                .any(|index| index.parts.iter().any(part))
    };
    let free = (0..table.columns.len()).filter(|at| {
        let column = &table.columns[*at];
        column.native.starts_with("varchar(") && !speaks(column)
    });
    let mut free: Vec<usize> = free.collect();
    free.sort_by_key(|at| std::cmp::Reverse(bytes_of(&table.columns[*at])));
    for at in free {
        if width <= ROW_BYTES {
            return;
        }
        let column = &mut table.columns[at];
        width -= bytes_of(column);
        let bound = std::mem::replace(&mut column.native, "text".into());
        width += bytes_of(column);
        if let Some(default) = column.default.take() {
            column.default = Some(super::Copies.wrap_default(default, &column.native));
        }
        notes.lack(
            format!("length of {label}.{}", column.name),
            "a row of the target holds 65,535 bytes, so the column is a text of any length there",
            Some(bound),
        );
    }
}

fn long(native: &str) -> bool {
    let base = native.split(['(', ' ']).next().unwrap_or_default();
    base.ends_with("text") || base.ends_with("blob") || base == "json"
}

fn indexes(table: &mut Table, caps: &Caps, notes: &mut Notes) {
    let label = table.label();
    let mut kept = vec![];
    for mut index in std::mem::take(&mut table.indexes) {
        index.method = None;
        if let Some(condition) = index.predicate.take() {
            let object = format!("index {} of {label}", index.name);
            if !index.unique {
                notes.findings.push(Finding::info(
                    "partial-index",
                    Place::object(&object),
                    format!("{object} is over all rows: the target has no partial indexes"),
                ));
            } else if functional(caps) {
                // NULL is equal to nothing: rows outside of the condition do not meet each other.
                for part in &mut index.parts {
                    let what = if part.expression {
                        part.what.clone()
                    } else {
                        quote(&part.what)
                    };
                    part.what = format!("(CASE WHEN {condition} THEN {what} END)");
                    part.expression = true;
                    part.length = None;
                }
            } else {
                notes.lack(
                    object,
                    "the target has no partial unique indexes",
                    Some(condition),
                );
                continue;
            }
        }
        let object = format!("index {} of {label}", index.name);
        let expression = index.parts.iter().any(|part| part.expression);
        let none = if expression && !functional(caps) {
            Some("the target has no indexes over expressions")
        } else {
            over_long(&index, table)
        };
        if let Some(why) = none {
            let text: Vec<&str> = index.parts.iter().map(|part| part.what.as_str()).collect();
            notes.lack(object, why, Some(text.join(", ")));
            continue;
        }
        let mut cut = false;
        for part in &mut index.parts {
            let native = table
                .columns
                .iter()
                .find(|column| column.name == part.what)
                .map(|column| column.native.as_str());
            if !part.expression && part.length.is_none() && native.is_some_and(long) {
                part.length = Some(191);
                cut = true;
            }
        }
        if cut && index.unique {
            notes.lack(
                object,
                "its texts are longer than a key of the target may be",
                Some(super::super::ddl::parts(&index)),
            );
            continue;
        }
        kept.push(index);
    }
    table.indexes = kept;
}

/// Why there is no index over an expression that may yield a text of any length.
fn over_long(index: &Index, table: &Table) -> Option<&'static str> {
    let long = table.columns.iter().filter(|column| long(&column.native));
    let names: Vec<String> = long.map(|column| quote(&column.name)).collect();
    let speaks = |part: &IndexPart| names.iter().any(|name| part.what.contains(name));
    let mut parts = index.parts.iter();
    let over = parts.any(|part| part.expression && speaks(part));
    over.then_some("the target has no index over what is computed of a text of any length")
}

fn foreign_keys(table: &mut Table, notes: &mut Notes) {
    let label = table.label();
    let columns = &table.columns;
    for key in &mut table.foreign_keys {
        let object = format!("foreign key of {label} ({})", key.columns.join(", "));
        let filled = |name: &String| {
            let mut columns = columns.iter();
            columns.any(|column| column.name == *name && !column.nullable)
        };
        let never_null = key.columns.iter().any(filled);
        if let Some(attributes) = key.attributes.take() {
            notes.lack(
                format!("{attributes} of the {object}"),
                "the target checks every row at once",
                Some(attributes),
            );
        }
        for action in [&mut key.on_delete, &mut key.on_update] {
            if action.as_deref() == Some("SET DEFAULT") {
                notes.lack(
                    format!("SET DEFAULT of the {object}"),
                    "the target refuses it",
                    None,
                );
                *action = None;
            }
            if action.as_deref() == Some("SET NULL") && never_null {
                notes.lack(
                    format!("SET NULL of the {object}"),
                    "the target refuses it for columns that take no NULL",
                    None,
                );
                *action = None;
            }
        }
    }
}

/// A column that numbers its rows is kept out of checks.
fn numbering(table: &mut Table, notes: &mut Notes) {
    let numbering = table
        .columns
        .iter()
        .filter(|column| column.identity.is_some());
    let names: Vec<String> = numbering.map(|column| quote(&column.name)).collect();
    let over = |text: &str| names.iter().any(|name| text.contains(name));
    let why = "the target takes no check over a column that numbers its rows";
    leave_out(table, |check| over(&check.clause), why, notes);
}

/// What refers in a way that changes its own columns keeps them out of stored columns, and on MySQL out of checks.
fn cascades(table: &mut Table, caps: &Caps, notes: &mut Notes) {
    let changed: Vec<String> = table
        .foreign_keys
        .iter()
        .filter(|key| key.on_delete.is_some() || key.on_update.is_some())
        .flat_map(|key| key.columns.iter().map(|column| quote(column)))
        .collect();
    let over = |text: &str| changed.iter().any(|column| text.contains(column));
    for column in &mut table.columns {
        if let Some(generated) = column.generated.as_mut()
            && over(&generated.expression)
        {
            generated.stored = false;
        }
    }
    if caps.engine != EngineKind::Mysql {
        return;
    }
    let why = "the target takes no check over a column that a foreign key changes";
    leave_out(table, |check| over(&check.clause), why, notes);
}

/// Takes checks out of a table, and lists them.
pub(super) fn leave_out(
    table: &mut Table,
    is_lost: impl Fn(&Check) -> bool,
    why: &str,
    notes: &mut Notes,
) {
    let label = table.label();
    let all = std::mem::take(&mut table.checks).into_iter();
    let (lost, kept): (Vec<_>, Vec<_>) = all.partition(is_lost);
    table.checks = kept;
    for check in lost {
        notes.lack(format!("check of {label}"), why, Some(check.clause));
    }
}

/// One counter for a table, over the first column of a key.
fn counters(table: &mut Table, notes: &mut Notes) {
    let label = table.label();
    let mut found = false;
    for column in &mut table.columns {
        if column.identity.is_none() {
            continue;
        }
        let first = |columns: &[String]| columns.first() == Some(&column.name);
        let keyed = table.keys.iter().any(|key| first(&key.columns))
            || table.indexes.iter().any(|index| {
                index
                    .parts
                    .first()
                    .is_some_and(|part| part.what == column.name)
            });
        if found || !keyed {
            notes.lack(
                format!("counter of {label}.{}", column.name),
                "the target numbers one column of a table, and a key must begin with it",
                column.identity.take(),
            );
        } else {
            found = true;
            column.default = None;
        }
    }
}
