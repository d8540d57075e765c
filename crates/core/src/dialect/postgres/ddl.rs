//! Names in SQL: quoting, and DDL that Dunlin renders itself.
//!
//! What turns one state of a part into another is in `change`.

mod change;

use super::dml::literal;
use crate::dialect::catalog::{Part, Rendered};
use crate::schema::{Check, Column, ForeignKey, Index, IndexPart, Key, Table, Trigger};
pub use change::{change, owned_by};

/// An identifier, quoted.
pub fn quote(identifier: &str) -> String {
    let doubled = identifier.replace('"', "\"\"");
    format!("\"{doubled}\"")
}

/// A name with its schema, where that is not the default one.
pub fn qualified(schema: Option<&str>, name: &str) -> String {
    match schema {
        Some(schema) => format!("{}.{}", quote(schema), quote(name)),
        None => quote(name),
    }
}

/// What a part of an index is over.
pub(super) fn index_part(part: &IndexPart) -> String {
    let what = if part.expression {
        format!("({})", part.what)
    } else {
        quote(&part.what)
    };
    match &part.collation {
        Some(collation) => format!("{what} COLLATE {collation}"),
        None => what,
    }
}

pub(super) fn table_name(table: &Table) -> String {
    qualified(table.schema.as_deref(), &table.name)
}

fn names(columns: &[String]) -> String {
    columns
        .iter()
        .map(|column| quote(column))
        .collect::<Vec<_>>()
        .join(", ")
}

/// The statement that makes a view out of the query that the server shows.
pub fn create_view(
    schema: Option<&str>,
    name: &str,
    stored: bool,
    with: Option<&str>,
    query: &str,
) -> String {
    let word = if stored { "MATERIALIZED VIEW" } else { "VIEW" };
    let with = with.map_or(String::new(), |with| format!(" WITH ({with})"));
    let query = query.trim().trim_end_matches(';');
    format!(
        "CREATE {word} {}{with} AS\n{query}",
        qualified(schema, name)
    )
}

/// How a column numbers rows by itself.
fn numbered(identity: &str, counting: &[String]) -> String {
    match counting {
        [] => format!(" GENERATED {identity} AS IDENTITY"),
        options => format!(" GENERATED {identity} AS IDENTITY ({})", options.join(" ")),
    }
}

fn column_clause(column: &Column) -> String {
    let mut text = format!("{} {}", quote(&column.name), column.native);
    if let Some(collation) = &column.collation {
        text.push_str(&format!(" COLLATE {collation}"));
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
        text.push_str(&numbered(identity, &column.counting));
    }
    if let Some(default) = &column.default {
        text.push_str(&format!(" DEFAULT {default}"));
    }
    if !column.nullable {
        text.push_str(" NOT NULL");
    }
    text
}

fn constraint(name: Option<&str>, clause: &str) -> String {
    name.map_or_else(
        || clause.to_owned(),
        |name| format!("CONSTRAINT {} {clause}", quote(name)),
    )
}

fn key_clause(key: &Key) -> String {
    let clause = key.clause.clone().unwrap_or_else(|| {
        format!(
            "{} ({})",
            if key.primary { "PRIMARY KEY" } else { "UNIQUE" },
            names(&key.columns)
        )
    });
    constraint(key.name.as_deref(), &clause)
}

fn check_clause(check: &Check) -> String {
    constraint(check.name.as_deref(), &check.clause)
}

fn foreign_key_clause(key: &ForeignKey) -> String {
    let mut clause = format!(
        "FOREIGN KEY ({}) REFERENCES {} ({})",
        names(&key.columns),
        qualified(key.references_schema.as_deref(), &key.references),
        names(&key.references_columns)
    );
    let mut attributes = key.attributes.as_deref().unwrap_or_default();
    if let Some(rest) = attributes.strip_prefix("MATCH FULL") {
        clause.push_str(" MATCH FULL");
        attributes = rest.trim_start();
    }
    for (word, action) in [("ON UPDATE", &key.on_update), ("ON DELETE", &key.on_delete)] {
        if let Some(action) = action {
            clause.push_str(&format!(" {word} {action}"));
        }
    }
    if !attributes.is_empty() {
        clause.push_str(&format!(" {attributes}"));
    }
    constraint(key.name.as_deref(), &clause)
}

fn index_clause(index: &Index) -> String {
    let unique = if index.unique { "UNIQUE " } else { "" };
    format!(
        "{unique}INDEX {} {}",
        quote(&index.name),
        index.attributes.as_deref().unwrap_or_default()
    )
}

fn trigger_state(schema: Option<&str>, relation: &str, trigger: &Trigger) -> String {
    let state = trigger.disabled.as_deref().unwrap_or("ENABLE");
    format!(
        "ALTER TABLE {} {state} TRIGGER {}",
        qualified(schema, relation),
        quote(&trigger.name)
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
        Part::Options(table) => {
            let mut options: Vec<_> = table
                .options
                .iter()
                .map(|(name, value)| format!("{name}={value}"))
                .collect();
            options.extend(
                table
                    .comment
                    .iter()
                    .map(|comment| format!("comment={}", literal(comment))),
            );
            options.join(", ")
        }
        Part::Column(_, column) => {
            let comment = column
                .comment
                .as_ref()
                .map_or(String::new(), |text| format!(" COMMENT {}", literal(text)));
            format!("{}{comment}", column_clause(column))
        }
        Part::Key(_, key) => key_clause(key),
        Part::Index(_, _, index) => index_clause(index),
        Part::ForeignKey(_, key) => foreign_key_clause(key),
        Part::Check(_, check) => check_clause(check),
        Part::Trigger(_, _, trigger) => match &trigger.disabled {
            Some(state) => format!("{} ({state})", trigger.definition),
            None => trigger.definition.clone(),
        },
        Part::Rule(_, rule) => rule.definition.clone(),
        Part::View(view) => view.definition.clone(),
        Part::Routine(routine) => routine
            .definition
            .clone()
            .unwrap_or_else(|| routine.kind.to_lowercase()),
        Part::Sequence(sequence) => sequence.settings.clone().unwrap_or_default(),
        Part::Type(named) => named.definition.clone(),
        Part::Event(event) => event.definition.clone(),
        Part::Extension(extension) => format!("version {}", extension.version),
    }
}

fn comments(table: &Table) -> Vec<String> {
    let mut statements = vec![];
    if let Some(comment) = &table.comment {
        statements.push(format!(
            "COMMENT ON TABLE {} IS {}",
            table_name(table),
            literal(comment)
        ));
    }
    for column in &table.columns {
        statements.extend(column_comment(table, column));
    }
    statements
}

fn column_comment(table: &Table, column: &Column) -> Option<String> {
    let comment = column.comment.as_ref()?;
    Some(format!(
        "COMMENT ON COLUMN {}.{} IS {}",
        table_name(table),
        quote(&column.name),
        literal(comment)
    ))
}

fn create_table(table: &Table) -> Vec<String> {
    let option = |name: &str| table.options.get(name).map(String::as_str);
    let name = table_name(table);
    let late = |clause: &str| clause.ends_with("NOT VALID");
    let part_of = option("partition").zip(option("inherits"));
    let mut lines: Vec<String> = vec![];
    let mut after: Vec<String> = vec![];
    if part_of.is_none() {
        let own = table
            .columns
            .iter()
            .filter(|column| column.attributes.is_none());
        lines.extend(own.map(column_clause));
    }
    lines.extend(table.keys.iter().map(key_clause));
    for check in &table.checks {
        if late(&check.clause) {
            after.push(format!("ALTER TABLE {name} ADD {}", check_clause(check)));
        } else {
            lines.push(check_clause(check));
        }
    }
    let word = match (option("unlogged"), option("server")) {
        (Some(_), _) => "UNLOGGED TABLE",
        (_, Some(_)) => "FOREIGN TABLE",
        _ => "TABLE",
    };
    let body = if lines.is_empty() {
        String::new()
    } else {
        format!("\n  {}\n", lines.join(",\n  "))
    };
    let mut text = match part_of {
        Some((bound, parent)) => {
            let body = if body.is_empty() {
                String::new()
            } else {
                format!(" ({body})")
            };
            format!("CREATE {word} {name} PARTITION OF {parent}{body} {bound}")
        }
        None => {
            let parents = option("inherits")
                .map_or(String::new(), |parents| format!(" INHERITS ({parents})"));
            format!("CREATE {word} {name} ({body}){parents}")
        }
    };
    for (option, word) in [("partition_by", "PARTITION BY"), ("server", "SERVER")] {
        if let Some(value) = table.options.get(option) {
            text.push_str(&format!(" {word} {value}"));
        }
    }
    if let Some(with) = option("with") {
        text.push_str(&format!(" WITH ({with})"));
    }
    let mut statements = vec![text];
    statements.append(&mut after);
    statements.extend(row_security(table, None));
    statements.extend(
        table
            .indexes
            .iter()
            .flat_map(|index| create_index(index, table.schema.as_deref())),
    );
    statements.extend(comments(table));
    statements
}

fn row_security(table: &Table, before: Option<&str>) -> Vec<String> {
    let now = table.options.get("row_security").map(String::as_str);
    let name = table_name(table);
    let mut statements = vec![];
    if now == before {
        return statements;
    }
    if now.is_some() != before.is_some() {
        let word = if now.is_some() { "ENABLE" } else { "DISABLE" };
        statements.push(format!("ALTER TABLE {name} {word} ROW LEVEL SECURITY"));
    }
    if (now == Some("forced")) != (before == Some("forced")) {
        let word = if now == Some("forced") {
            "FORCE"
        } else {
            "NO FORCE"
        };
        statements.push(format!("ALTER TABLE {name} {word} ROW LEVEL SECURITY"));
    }
    statements
}

fn create_index(index: &Index, schema: Option<&str>) -> Vec<String> {
    let mut statements: Vec<String> = index.definition.iter().cloned().collect();
    if let Some(comment) = &index.comment {
        statements.push(format!(
            "COMMENT ON INDEX {} IS {}",
            qualified(schema, &index.name),
            literal(comment)
        ));
    }
    statements
}

/// The statements that make a part.
pub fn create(part: Part<'_>) -> Rendered {
    let add = |table: &Table, clause: String| {
        vec![format!("ALTER TABLE {} ADD {clause}", table_name(table))]
    };
    Ok(match part {
        Part::Table(table) => create_table(table),
        Part::Options(_) => vec![],
        Part::Column(table, column) => {
            let mut statements = add(table, format!("COLUMN {}", column_clause(column)));
            statements.extend(column_comment(table, column));
            statements
        }
        Part::Key(table, key) => add(table, key_clause(key)),
        Part::Index(schema, _, index) => create_index(index, schema),
        Part::ForeignKey(table, key) => add(table, foreign_key_clause(key)),
        Part::Check(table, check) => add(table, check_clause(check)),
        Part::Trigger(schema, relation, trigger) => {
            let mut statements = vec![trigger.definition.clone()];
            if trigger.disabled.is_some() {
                statements.push(trigger_state(schema, relation, trigger));
            }
            statements
        }
        Part::Rule(_, rule) => vec![rule.definition.clone()],
        Part::View(view) => {
            let name = qualified(view.schema.as_deref(), &view.name);
            let mut statements = vec![view.definition.clone()];
            statements.extend(
                view.indexes
                    .iter()
                    .flat_map(|index| create_index(index, view.schema.as_deref())),
            );
            if let Some(comment) = &view.comment {
                let word = if view.materialized {
                    "MATERIALIZED VIEW"
                } else {
                    "VIEW"
                };
                statements.push(format!("COMMENT ON {word} {name} IS {}", literal(comment)));
            }
            statements
        }
        Part::Routine(routine) => match &routine.definition {
            Some(definition) => vec![definition.clone()],
            None => {
                return Err(format!(
                    "the server does not show how the aggregate {} is made",
                    routine.name
                ));
            }
        },
        Part::Sequence(sequence) => {
            let name = qualified(sequence.schema.as_deref(), &sequence.name);
            vec![format!(
                "CREATE SEQUENCE {name} {}",
                sequence.settings.as_deref().unwrap_or_default()
            )]
        }
        Part::Type(named) => vec![named.definition.clone()],
        Part::Event(_) => return Err("PostgreSQL has no scheduled events".into()),
        Part::Extension(extension) => vec![format!(
            "CREATE EXTENSION IF NOT EXISTS {}",
            quote(&extension.name)
        )],
    })
}

/// The statements that give back a part that was there, with what it is not made with.
pub fn again(part: Part<'_>) -> Rendered {
    let mut statements = create(part)?;
    let Some(beside) = part.beside() else {
        return Ok(statements);
    };
    if let Some(first) = statements.first_mut() {
        let tablespace = beside.tablespace.as_deref();
        let (words, before) = match part {
            Part::Key(..) => {
                let with = beside.with.iter().map(|with| format!(" WITH ({with})"));
                let place = tablespace.map(|place| format!(" USING INDEX TABLESPACE {place}"));
                let words: String = with.chain(place).collect();
                (words, first.rfind(" DEFERRABLE"))
            }
            Part::Index(_, _, index) => {
                let place = tablespace.map(|place| format!(" TABLESPACE {place}"));
                let only = index.predicate.as_deref();
                let only = only.and_then(|only| first.rfind(&format!(" WHERE {only}")));
                (place.unwrap_or_default(), only)
            }
            _ => (String::new(), None),
        };
        first.insert_str(before.unwrap_or(first.len()), &words);
    }
    statements.extend(beside.statements.iter().cloned());
    Ok(statements)
}

/// The statements that drop a part.
pub fn drop(part: Part<'_>) -> Rendered {
    let constraint = |table: &Table, name: &Option<String>| match name {
        Some(name) => Ok(vec![format!(
            "ALTER TABLE {} DROP CONSTRAINT {}",
            table_name(table),
            quote(name)
        )]),
        None => Err("the constraint has no name to drop it by".to_owned()),
    };
    let named = |word: &str, schema: &Option<String>, name: &str| {
        Ok(vec![format!(
            "DROP {word} {}",
            qualified(schema.as_deref(), name)
        )])
    };
    match part {
        Part::Table(table) if table.options.contains_key("server") => {
            named("FOREIGN TABLE", &table.schema, &table.name)
        }
        Part::Table(table) => named("TABLE", &table.schema, &table.name),
        Part::Options(_) => Ok(vec![]),
        Part::Column(table, column) => Ok(vec![format!(
            "ALTER TABLE {} DROP COLUMN {}",
            table_name(table),
            quote(&column.name)
        )]),
        Part::Key(table, key) => constraint(table, &key.name),
        Part::ForeignKey(table, key) => constraint(table, &key.name),
        Part::Check(table, check) => constraint(table, &check.name),
        Part::Index(schema, _, index) => Ok(vec![format!(
            "DROP INDEX {}",
            qualified(schema, &index.name)
        )]),
        Part::Trigger(schema, relation, trigger) => Ok(vec![format!(
            "DROP TRIGGER {} ON {}",
            quote(&trigger.name),
            qualified(schema, relation)
        )]),
        Part::Rule(table, rule) => Ok(vec![format!(
            "DROP {} {} ON {}",
            rule.kind,
            quote(&rule.name),
            table_name(table)
        )]),
        Part::View(view) if view.materialized => {
            named("MATERIALIZED VIEW", &view.schema, &view.name)
        }
        Part::View(view) => named("VIEW", &view.schema, &view.name),
        Part::Routine(routine) => Ok(vec![format!(
            "DROP {} {}({})",
            routine.kind,
            qualified(routine.schema.as_deref(), &routine.name),
            routine.arguments.as_deref().unwrap_or_default()
        )]),
        // It may have gone with the column that owned it.
        Part::Sequence(sequence) => named("SEQUENCE IF EXISTS", &sequence.schema, &sequence.name),
        Part::Type(kind) => named(&kind.kind, &kind.schema, &kind.name),
        Part::Event(_) => Err("PostgreSQL has no scheduled events".into()),
        Part::Extension(extension) => {
            Ok(vec![format!("DROP EXTENSION {}", quote(&extension.name))])
        }
    }
}

/// A name as the server's own texts show it: quoted only where it must be. Keywords are not known here; a name that is
/// one is taken for plain, which only matters to a comparison of texts.
pub fn quote_if_needed(name: &str) -> String {
    let plain = name
        .bytes()
        .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
        && !name.starts_with(|c: char| c.is_ascii_digit());
    if plain && !name.is_empty() {
        name.to_owned()
    } else {
        quote(name)
    }
}
