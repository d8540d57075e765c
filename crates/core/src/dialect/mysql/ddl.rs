//! Names in SQL: quoting, and DDL that Dunlin renders itself.

use super::dml::literal;
use crate::dialect::catalog::{Part, Rendered};
use crate::schema::{Check, Column, ForeignKey, Index, Key, Table};

/// An identifier, quoted.
pub fn quote(identifier: &str) -> String {
    let doubled = identifier.replace('`', "``");
    format!("`{doubled}`")
}

fn names(columns: &[String]) -> String {
    columns
        .iter()
        .map(|column| quote(column))
        .collect::<Vec<_>>()
        .join(", ")
}

/// A literal in a server's default mode, where a backslash escapes.
fn escaped(text: &str) -> String {
    literal(&text.replace('\\', "\\\\"))
}

fn column_clause(column: &Column) -> String {
    let mut text = format!("{} {}", quote(&column.name), column.native);
    if let Some(collation) = &column.collation {
        let charset = collation.split('_').next().unwrap_or_default();
        text.push_str(&format!(" CHARACTER SET {charset} COLLATE {collation}"));
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
    // MariaDB takes no NOT NULL at a generated column; MySQL shows it as nullable then.
    if !column.nullable && column.generated.is_none() {
        text.push_str(" NOT NULL");
    } else if column.native.starts_with("timestamp") && column.generated.is_none() {
        // Without the word, servers before explicit defaults make it NOT NULL.
        text.push_str(" NULL");
    }
    if let Some(default) = &column.default {
        text.push_str(&format!(" DEFAULT {default}"));
    }
    if let Some(on_update) = &column.on_update {
        text.push_str(&format!(" ON UPDATE {on_update}"));
    }
    if let Some(identity) = &column.identity {
        text.push_str(&format!(" {identity}"));
    }
    if let Some(comment) = &column.comment {
        text.push_str(&format!(" COMMENT {}", escaped(comment)));
    }
    if let Some(attributes) = &column.attributes {
        text.push_str(&format!(" {attributes}"));
    }
    text
}

fn key_clause(key: &Key) -> String {
    key.clause
        .clone()
        .unwrap_or_else(|| format!("PRIMARY KEY ({})", names(&key.columns)))
}

/// The parts of an index, for between its brackets.
pub fn parts(index: &Index) -> String {
    let part = |part: &crate::schema::IndexPart| {
        let mut text = if part.expression {
            let what = part.what.trim();
            if what.starts_with('(') && what.ends_with(')') {
                what.to_owned()
            } else {
                format!("({what})")
            }
        } else {
            quote(&part.what)
        };
        if let Some(length) = part.length {
            text.push_str(&format!("({length})"));
        }
        if part.descending {
            text.push_str(" DESC");
        }
        text
    };
    index.parts.iter().map(part).collect::<Vec<_>>().join(", ")
}

fn index_clause(index: &Index) -> String {
    let (before, after) = match index.method.as_deref() {
        Some(word @ ("FULLTEXT" | "SPATIAL")) => (format!("{word} "), String::new()),
        Some("RTREE") => ("SPATIAL ".into(), String::new()),
        Some("HASH") if !index.unique => (String::new(), " USING HASH".into()),
        // MariaDB keeps long unique keys as hashes by itself, and says HASH.
        _ => (String::new(), String::new()),
    };
    let unique = if index.unique { "UNIQUE " } else { "" };
    let comment = index.comment.as_ref().map_or(String::new(), |comment| {
        format!(" COMMENT {}", escaped(comment))
    });
    let attributes = index
        .attributes
        .as_ref()
        .map_or(String::new(), |attributes| format!(" {attributes}"));
    format!(
        "{unique}{before}KEY {} ({}){after}{comment}{attributes}",
        quote(&index.name),
        parts(index)
    )
}

fn check_clause(check: &Check) -> String {
    match &check.name {
        Some(name) => format!("CONSTRAINT {} {}", quote(name), check.clause),
        None => check.clause.clone(),
    }
}

fn foreign_key_clause(key: &ForeignKey) -> String {
    let mut clause = key
        .name
        .as_ref()
        .map_or(String::new(), |name| format!("CONSTRAINT {} ", quote(name)));
    let references = match &key.references_schema {
        Some(schema) => format!("{}.{}", quote(schema), quote(&key.references)),
        None => quote(&key.references),
    };
    clause.push_str(&format!(
        "FOREIGN KEY ({}) REFERENCES {references} ({})",
        names(&key.columns),
        names(&key.references_columns)
    ));
    for (word, action) in [("ON DELETE", &key.on_delete), ("ON UPDATE", &key.on_update)] {
        if let Some(action) = action {
            clause.push_str(&format!(" {word} {action}"));
        }
    }
    clause
}

fn options(table: &Table) -> Vec<String> {
    let mut options = vec![];
    if let Some(engine) = table.options.get("engine") {
        options.push(format!("ENGINE={engine}"));
    }
    if let Some(collation) = table.options.get("collation") {
        let charset = collation.split('_').next().unwrap_or_default();
        options.push(format!("DEFAULT CHARSET={charset} COLLATE={collation}"));
    }
    if let Some(more) = table.options.get("options") {
        // Partitions are not among the options that a statement takes.
        let words: Vec<_> = more
            .split_whitespace()
            .filter(|word| *word != "partitioned")
            .collect();
        if !words.is_empty() {
            options.push(words.join(" "));
        }
    }
    if let Some(comment) = &table.comment {
        options.push(format!("COMMENT={}", escaped(comment)));
    }
    // They stand last.
    options.extend(table.options.get("partitions").cloned());
    options
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
        Part::Options(table) => options(table).join(" "),
        Part::Column(_, column) => column_clause(column),
        Part::Key(_, key) => key_clause(key),
        Part::Index(_, _, index) => index_clause(index),
        Part::ForeignKey(_, key) => foreign_key_clause(key),
        Part::Check(_, check) => check_clause(check),
        Part::Trigger(_, _, trigger) => trigger.definition.clone(),
        Part::Rule(_, rule) => rule.definition.clone(),
        Part::View(view) => view.definition.clone(),
        Part::Routine(routine) => routine
            .definition
            .clone()
            .unwrap_or_else(|| routine.kind.to_lowercase()),
        Part::Sequence(sequence) => sequence
            .settings
            .clone()
            .unwrap_or_else(|| "sequence".into()),
        Part::Type(named) => named.definition.clone(),
        Part::Event(event) => event.definition.clone(),
        Part::Extension(extension) => extension.version.clone(),
    }
}

fn create_table(table: &Table) -> String {
    let mut lines: Vec<String> = table.columns.iter().map(column_clause).collect();
    lines.extend(table.keys.iter().map(key_clause));
    lines.extend(table.indexes.iter().map(index_clause));
    lines.extend(table.foreign_keys.iter().map(foreign_key_clause));
    lines.extend(table.checks.iter().map(check_clause));
    format!(
        "CREATE TABLE {} (\n  {}\n) {}",
        quote(&table.name),
        lines.join(",\n  "),
        options(table).join(" ")
    )
}

/// The statements that make a part.
pub fn create(part: Part<'_>) -> Rendered {
    let add = |table: &str, clause: String| {
        Ok(vec![format!("ALTER TABLE {} ADD {clause}", quote(table))])
    };
    match part {
        Part::Table(table) => match &table.definition {
            Some(definition) => Ok(vec![definition.clone()]),
            None if table
                .options
                .get("options")
                .is_some_and(|options| options.contains("partitioned"))
                && !table.options.contains_key("partitions") =>
            {
                Err(format!(
                    "the partitions of {} are not in the catalog: take its statement from a migration",
                    table.name
                ))
            }
            None => Ok(vec![create_table(table)]),
        },
        Part::Options(_) => Ok(vec![]),
        Part::Column(table, column) => {
            let place = table
                .columns
                .iter()
                .position(|other| other.name == column.name);
            let place = match place
                .and_then(|at| at.checked_sub(1))
                .and_then(|at| table.columns.get(at))
            {
                Some(before) => format!(" AFTER {}", quote(&before.name)),
                None => " FIRST".into(),
            };
            add(
                &table.name,
                format!("COLUMN {}{place}", column_clause(column)),
            )
        }
        Part::Key(table, key) => add(&table.name, key_clause(key)),
        Part::Index(_, table, index) => add(table, index_clause(index)),
        Part::ForeignKey(table, key) => add(&table.name, foreign_key_clause(key)),
        Part::Check(table, check) => add(&table.name, check_clause(check)),
        Part::Trigger(_, _, trigger) => Ok(vec![trigger.definition.clone()]),
        Part::View(view) if view.definition.is_empty() => {
            Err("the view's query is not visible without the right SHOW VIEW".into())
        }
        Part::View(view) => Ok(vec![view.definition.clone()]),
        Part::Routine(routine) => match &routine.definition {
            Some(definition) => Ok(vec![definition.clone()]),
            None => Err(format!(
                "the body of {} is not visible to this user",
                routine.name
            )),
        },
        Part::Sequence(sequence) => {
            let settings = sequence.settings.as_deref();
            Ok(vec![settings.map_or_else(
                || format!("CREATE SEQUENCE {}", quote(&sequence.name)),
                str::to_owned,
            )])
        }
        Part::Event(event) => Ok(vec![event.definition.clone()]),
        Part::Rule(..) | Part::Type(_) | Part::Extension(_) => {
            Err("this engine has no such objects".into())
        }
    }
}

/// The statements that drop a part.
pub fn drop(part: Part<'_>) -> Rendered {
    let alter = |table: &str, clause: String| {
        Ok(vec![format!("ALTER TABLE {} DROP {clause}", quote(table))])
    };
    let named = |word: &str, name: &str| Ok(vec![format!("DROP {word} {}", quote(name))]);
    match part {
        Part::Table(table) => named("TABLE", &table.name),
        Part::Options(_) => Ok(vec![]),
        Part::Column(table, column) => {
            alter(&table.name, format!("COLUMN {}", quote(&column.name)))
        }
        Part::Key(table, _) => alter(&table.name, "PRIMARY KEY".into()),
        Part::Index(_, table, index) => alter(table, format!("INDEX {}", quote(&index.name))),
        Part::ForeignKey(table, key) => match &key.name {
            Some(name) => alter(&table.name, format!("FOREIGN KEY {}", quote(name))),
            None => Err("the foreign key has no name to drop it by".into()),
        },
        Part::Check(table, check) => match &check.name {
            Some(name) => alter(&table.name, format!("CONSTRAINT {}", quote(name))),
            None => Err("the check has no name to drop it by".into()),
        },
        Part::Trigger(_, _, trigger) => named("TRIGGER", &trigger.name),
        Part::View(view) => named("VIEW", &view.name),
        Part::Routine(routine) => named(&routine.kind, &routine.name),
        Part::Sequence(sequence) => named("SEQUENCE", &sequence.name),
        Part::Event(event) => named("EVENT", &event.name),
        Part::Rule(..) | Part::Type(_) | Part::Extension(_) => {
            Err("this engine has no such objects".into())
        }
    }
}

/// The statements that turn one state of a part into another.
pub fn change(from: Part<'_>, to: Part<'_>) -> Rendered {
    match (from, to) {
        (Part::Options(old), Part::Options(new)) => {
            let partitioned = |table: &Table| {
                table
                    .options
                    .get("options")
                    .is_some_and(|options| options.contains("partitioned"))
            };
            if partitioned(old) != partitioned(new) {
                return Err("partitioning is not changed for you: it copies the table".into());
            }
            let mut words = options(new);
            if new.comment.is_none() && old.comment.is_some() {
                words.push("COMMENT=''".into());
            }
            Ok(vec![format!(
                "ALTER TABLE {} {}",
                quote(&new.name),
                words.join(" ")
            )])
        }
        (Part::Column(table, old), Part::Column(_, new)) => {
            if old.generated.is_some() != new.generated.is_some() {
                return Err("a column is not turned into a generated one, or back: add a new one, copy, drop".into());
            }
            Ok(vec![format!(
                "ALTER TABLE {} MODIFY COLUMN {}",
                quote(&table.name),
                column_clause(new)
            )])
        }
        (Part::Key(table, _), Part::Key(_, new)) => Ok(vec![format!(
            "ALTER TABLE {} DROP PRIMARY KEY, ADD {}",
            quote(&table.name),
            key_clause(new)
        )]),
        (Part::Index(_, table, old), Part::Index(_, _, new)) => {
            let renamed = Index {
                name: new.name.clone(),
                ..old.clone()
            };
            if renamed == *new {
                return Ok(vec![format!(
                    "ALTER TABLE {} RENAME INDEX {} TO {}",
                    quote(table),
                    quote(&old.name),
                    quote(&new.name)
                )]);
            }
            Ok(vec![format!(
                "ALTER TABLE {} DROP INDEX {}, ADD {}",
                quote(table),
                quote(&old.name),
                index_clause(new)
            )])
        }
        (Part::Sequence(_), Part::Sequence(_)) => Ok(vec![]),
        (Part::View(_), Part::View(new)) => {
            let statement = create(to)?.concat();
            let rest = statement.strip_prefix("CREATE ").unwrap_or(&new.definition);
            Ok(vec![format!("CREATE OR REPLACE {rest}")])
        }
        _ => {
            let mut statements = drop(from)?;
            statements.extend(create(to)?);
            Ok(statements)
        }
    }
}

/// A shown statement without its `DEFINER=…`, which names a user who may not exist elsewhere.
pub fn without_definer(shown: &str) -> String {
    let Some(at) = shown.find(" DEFINER=") else {
        return shown.to_owned();
    };
    // It stands among the first words, before the kind of the object; a body may hold the word as well.
    if at > 64 {
        return shown.to_owned();
    }
    let rest = &shown[at + " DEFINER=".len()..];
    let user = quoted_length(rest);
    let host = rest[user..]
        .strip_prefix('@')
        .map_or(0, |host| 1 + quoted_length(host));
    format!("{}{}", &shown[..at], &rest[user + host..])
}

/// The length of a name in quotes, or of the word at the beginning.
fn quoted_length(text: &str) -> usize {
    match text.chars().next() {
        Some(quote @ ('`' | '\'' | '"')) => text[1..].find(quote).map_or(text.len(), |end| end + 2),
        _ => text.find([' ', '@']).unwrap_or(text.len()),
    }
}
