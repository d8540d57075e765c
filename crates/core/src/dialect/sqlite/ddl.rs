//! Names in SQL: quoting, and DDL that Dunlin renders itself.

use super::dml::literal;
use crate::dialect::catalog::{Part, Rendered};
use crate::schema::{Column, ForeignKey, Index, Table};

/// An identifier, quoted.
pub fn quote(identifier: &str) -> String {
    let doubled = identifier.replace('"', "\"\"");
    format!("\"{doubled}\"")
}

fn names(columns: &[String]) -> String {
    columns
        .iter()
        .map(|column| quote(column))
        .collect::<Vec<_>>()
        .join(", ")
}

/// A default as its clause wants it: one literal stands bare, everything else in brackets.
fn default(text: &str) -> String {
    let number = text.trim_start_matches(['+', '-']);
    let bare = (text.starts_with('\'')
        && text.ends_with('\'')
        && !text[1..text.len().max(2) - 1].contains('\''))
        || (!number.is_empty()
            && number
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'.' || byte == b'_'));
    if bare {
        text.to_owned()
    } else {
        format!("({text})")
    }
}

pub(super) fn column_clause(column: &Column) -> String {
    let mut text = quote(&column.name);
    if !column.native.is_empty() {
        text.push_str(&format!(" {}", column.native));
    }
    if let Some(collation) = &column.collation {
        text.push_str(&format!(" COLLATE {collation}"));
    }
    if !column.nullable {
        text.push_str(" NOT NULL");
    }
    if let Some(value) = &column.default {
        text.push_str(&format!(" DEFAULT {}", default(value)));
    }
    if let Some(generated) = &column.generated {
        let kind = if generated.stored {
            "STORED"
        } else {
            "VIRTUAL"
        };
        text.push_str(&format!(
            " GENERATED ALWAYS AS ({}) {kind}",
            generated.expression
        ));
    }
    if let Some(identity) = &column.identity {
        text.push_str(&format!(" {identity}"));
    }
    text
}

pub(super) fn foreign_key_clause(key: &ForeignKey) -> String {
    let mut clause = format!(
        "FOREIGN KEY ({}) REFERENCES {}",
        names(&key.columns),
        quote(&key.references)
    );
    if !key.references_columns.is_empty() {
        clause.push_str(&format!(" ({})", names(&key.references_columns)));
    }
    for (word, action) in [("ON DELETE", &key.on_delete), ("ON UPDATE", &key.on_update)] {
        if let Some(action) = action {
            clause.push_str(&format!(" {word} {action}"));
        }
    }
    if let Some(attributes) = &key.attributes {
        clause.push_str(&format!(" {attributes}"));
    }
    clause
}

pub(super) fn index_clause(index: &Index) -> String {
    let parts: Vec<String> = index
        .parts
        .iter()
        .map(|part| {
            let mut text = if part.expression {
                part.what.clone()
            } else {
                quote(&part.what)
            };
            if let Some(collation) = &part.collation {
                text.push_str(&format!(" COLLATE {collation}"));
            }
            if part.descending {
                text.push_str(" DESC");
            }
            text
        })
        .collect();
    let unique = if index.unique { "UNIQUE " } else { "" };
    let predicate = index
        .predicate
        .as_ref()
        .map_or(String::new(), |predicate| format!(" WHERE {predicate}"));
    format!(
        "{unique}INDEX {} ({}){predicate}",
        quote(&index.name),
        parts.join(", ")
    )
}

/// The part in one clause, for people.
pub fn clause(part: Part<'_>) -> String {
    match part {
        Part::Table(table) => {
            let columns: Vec<_> = table
                .columns
                .iter()
                .map(|column| column.name.as_str())
                .collect();
            format!("table ({})", columns.join(", "))
        }
        Part::Options(table) => table.options.keys().cloned().collect::<Vec<_>>().join(", "),
        Part::Column(_, column) => column_clause(column),
        Part::Key(_, key) => {
            format!(
                "{} ({})",
                if key.primary { "PRIMARY KEY" } else { "UNIQUE" },
                names(&key.columns)
            )
        }
        Part::Index(_, _, index) => index_clause(index),
        Part::ForeignKey(_, key) => foreign_key_clause(key),
        Part::Check(_, check) => match &check.name {
            Some(name) => format!("CONSTRAINT {} {}", quote(name), check.clause),
            None => check.clause.clone(),
        },
        Part::Trigger(_, _, trigger) => trigger.definition.clone(),
        Part::View(view) => view.definition.clone(),
        Part::Rule(_, rule) => rule.definition.clone(),
        Part::Routine(routine) => routine.name.clone(),
        Part::Sequence(sequence) => sequence.name.clone(),
        Part::Type(named) => named.definition.clone(),
        Part::Event(event) => event.definition.clone(),
        Part::Extension(extension) => extension.version.clone(),
    }
}

const REBUILD: &str = "SQLite changes this only by rebuilding the table";

/// The statements that make a part.
pub fn create(part: Part<'_>) -> Rendered {
    match part {
        Part::Table(table) => {
            // The engine keeps every table's text; without one the table is a bare copy, of columns alone.
            let definition = match &table.definition {
                Some(definition) => definition.clone(),
                None if table.keys.is_empty() && table.checks.is_empty() => {
                    let columns: Vec<String> = table.columns.iter().map(column_clause).collect();
                    format!(
                        "CREATE TABLE {} ({})",
                        quote(&table.name),
                        columns.join(", ")
                    )
                }
                None => return Err(format!("the text of table {} is not known", table.name)),
            };
            let mut statements = vec![definition];
            statements.extend(
                table
                    .indexes
                    .iter()
                    .filter_map(|index| index.definition.clone()),
            );
            Ok(statements)
        }
        Part::Column(table, column) => {
            let in_key = |columns: &[String]| columns.contains(&column.name);
            let bound = table.keys.iter().any(|key| in_key(&key.columns))
                || table.foreign_keys.iter().any(|key| in_key(&key.columns))
                || column.generated.as_ref().is_some_and(|generated| generated.stored)
                || (!column.nullable && column.default.is_none())
                || column.default.as_deref().is_some_and(|value| {
                    value.contains('(') || value.to_ascii_uppercase().starts_with("CURRENT_")
                })
                // A check of a column that is added later may stand at the column or at the table.
                || table.checks.iter().any(|check| check.clause.contains(&column.name));
            if bound {
                return Err(REBUILD.into());
            }
            Ok(vec![format!(
                "ALTER TABLE {} ADD COLUMN {}",
                quote(&table.name),
                column_clause(column)
            )])
        }
        Part::Index(_, _, index) => index
            .definition
            .clone()
            .map(|text| vec![text])
            .ok_or_else(|| "the index's text is not known".into()),
        Part::Trigger(_, _, trigger) => Ok(vec![trigger.definition.clone()]),
        Part::View(view) => Ok(vec![view.definition.clone()]),
        Part::Options(_) => Ok(vec![]),
        Part::Key(..) | Part::ForeignKey(..) | Part::Check(..) => Err(REBUILD.into()),
        _ => Err("SQLite has no such objects".into()),
    }
}

/// The statements that drop a part.
pub fn drop(part: Part<'_>) -> Rendered {
    let named = |word: &str, name: &str| Ok(vec![format!("DROP {word} {}", quote(name))]);
    match part {
        Part::Table(table) => named("TABLE", &table.name),
        Part::Column(table, column) => {
            let in_key = |columns: &[String]| columns.contains(&column.name);
            let bound = table.keys.iter().any(|key| in_key(&key.columns))
                || table.foreign_keys.iter().any(|key| in_key(&key.columns))
                || table.indexes.iter().any(|index| {
                    index
                        .parts
                        .iter()
                        .any(|part| part.what.contains(&column.name))
                })
                || table
                    .checks
                    .iter()
                    .any(|check| check.clause.contains(&column.name));
            if bound {
                return Err(REBUILD.into());
            }
            Ok(vec![format!(
                "ALTER TABLE {} DROP COLUMN {}",
                quote(&table.name),
                quote(&column.name)
            )])
        }
        Part::Index(_, _, index) => named("INDEX", &index.name),
        Part::Trigger(_, _, trigger) => named("TRIGGER", &trigger.name),
        Part::View(view) => named("VIEW", &view.name),
        Part::Options(_) => Ok(vec![]),
        Part::Key(..) | Part::ForeignKey(..) | Part::Check(..) => Err(REBUILD.into()),
        _ => Err("SQLite has no such objects".into()),
    }
}

/// The statements that turn one state of a part into another.
pub fn change(from: Part<'_>, to: Part<'_>) -> Rendered {
    match (from, to) {
        (Part::Index(..), Part::Index(..))
        | (Part::Trigger(..), Part::Trigger(..))
        | (Part::View(_), Part::View(_)) => {
            let mut statements = drop(from)?;
            statements.extend(create(to)?);
            Ok(statements)
        }
        _ => Err(REBUILD.into()),
    }
}

/// The statements that rebuild a table with the rows of the old one, as SQLite's own documentation tells: no cascades
/// fire, and texts that name the table stay as they are.
pub fn rebuild(from: &Table, to: &Table, scratch: &str, create: String) -> Option<Vec<String>> {
    let within = rebuild_within(from, to, scratch, create)?;
    let before = [
        "PRAGMA foreign_keys = OFF",
        "PRAGMA legacy_alter_table = ON",
        "BEGIN IMMEDIATE",
    ];
    let after = [
        "COMMIT",
        "PRAGMA legacy_alter_table = OFF",
        "PRAGMA foreign_keys = ON",
    ];
    let owned = |text: &str| text.to_owned();
    let statements = before.map(owned).into_iter().chain(within);
    Some(statements.chain(after.map(owned)).collect())
}

/// What of a rebuild stands within its transaction; foreign keys are off around it.
pub fn rebuild_within(
    from: &Table,
    to: &Table,
    scratch: &str,
    create: String,
) -> Option<Vec<String>> {
    if from.options.contains_key("virtual") || to.options.contains_key("virtual") {
        return None;
    }
    let kept: Vec<String> = to
        .columns
        .iter()
        .filter(|column| column.generated.is_none())
        .filter(|column| {
            from.column(&column.name)
                .is_some_and(|old| old.generated.is_none())
        })
        .map(|column| column.name.clone())
        .collect();
    let mut statements = vec![create];
    if !kept.is_empty() {
        let columns = names(&kept);
        statements.push(format!(
            "INSERT INTO {} ({columns}) SELECT {columns} FROM {}",
            quote(scratch),
            quote(&from.name)
        ));
    }
    let counts = |table: &Table| table.columns.iter().any(|column| column.identity.is_some());
    if counts(from) && counts(to) {
        // Numbers that were given stay given, also those of rows that are gone.
        statements.push(format!(
            "DELETE FROM sqlite_sequence WHERE name = {}",
            literal(scratch)
        ));
        statements.push(format!(
            "INSERT INTO sqlite_sequence (name, seq) SELECT {}, seq FROM sqlite_sequence WHERE name = {}",
            literal(scratch),
            literal(&from.name)
        ));
    }
    statements.push(format!("DROP TABLE {}", quote(&from.name)));
    statements.push(format!(
        "ALTER TABLE {} RENAME TO {}",
        quote(scratch),
        quote(&to.name)
    ));
    statements.extend(
        to.indexes
            .iter()
            .filter_map(|index| index.definition.clone()),
    );
    statements.extend(to.triggers.iter().map(|trigger| trigger.definition.clone()));
    Some(statements)
}
