//! The statements that turn one state of a part into another.

use super::{create, drop, qualified, quote, row_security, table_name, trigger_state};
use crate::dialect::catalog::{Part, Rendered};
use crate::dialect::postgres::dml::literal;
use crate::dialect::postgres::types;
use crate::schema::{Column, ForeignKey, Index, Sequence, Table, View};

/// A comment as a value in SQL: none takes away the one that is there.
fn comment_or_null(comment: Option<&str>) -> String {
    comment.map_or_else(|| "NULL".to_owned(), literal)
}

fn replace(from: Part<'_>, to: Part<'_>) -> Rendered {
    let mut statements = drop(from)?;
    statements.extend(create(to)?);
    Ok(statements)
}

fn change_column(table: &Table, from: &Column, to: &Column) -> Rendered {
    if from.generated != to.generated {
        return if from.generated.is_some() && to.generated.is_some() {
            replace(Part::Column(table, from), Part::Column(table, to))
        } else {
            Err("a column cannot be turned into a generated one, or back, in place: add a new one, copy, drop".into())
        };
    }
    let head = format!(
        "ALTER TABLE {} ALTER COLUMN {}",
        table_name(table),
        quote(&to.name)
    );
    let mut statements = vec![];
    if from.identity.is_some() && to.identity.is_none() {
        statements.push(format!("{head} DROP IDENTITY"));
    }
    if from.native != to.native || from.collation != to.collation {
        if from.default.is_some() {
            statements.push(format!("{head} DROP DEFAULT"));
        }
        let collation = to
            .collation
            .as_ref()
            .map_or(String::new(), |collation| format!(" COLLATE {collation}"));
        let using = if from.native == to.native {
            String::new()
        } else {
            format!(" USING {}::{}", quote(&to.name), to.native)
        };
        statements.push(format!("{head} TYPE {}{collation}{using}", to.native));
        if let Some(default) = &to.default {
            statements.push(format!("{head} SET DEFAULT {default}"));
        }
    } else if from.default != to.default {
        statements.push(match &to.default {
            Some(default) => format!("{head} SET DEFAULT {default}"),
            None => format!("{head} DROP DEFAULT"),
        });
    }
    if from.nullable != to.nullable {
        statements.push(format!(
            "{head} {} NOT NULL",
            if to.nullable { "DROP" } else { "SET" }
        ));
    }
    statements.extend(change_counter(&head, from, to));
    if from.comment != to.comment {
        let text = comment_or_null(to.comment.as_deref());
        statements.push(format!(
            "COMMENT ON COLUMN {}.{} IS {text}",
            table_name(table),
            quote(&to.name)
        ));
    }
    Ok(statements)
}

/// What turns how a column numbers rows by itself into how another does; one that stops has stopped before.
fn change_counter(head: &str, from: &Column, to: &Column) -> Vec<String> {
    let mut statements = vec![];
    match (&from.identity, &to.identity) {
        (None, Some(identity)) => {
            let numbered = super::numbered(identity, &to.counting);
            statements.push(format!("{head} ADD{numbered}"));
        }
        (Some(old), Some(new)) => {
            if old != new {
                statements.push(format!("{head} SET GENERATED {new}"));
            }
            if from.counting != to.counting {
                statements.push(format!("{head} {}", recounted(from, to)));
            }
        }
        _ => {}
    }
    statements
}

fn change_options(from: &Table, to: &Table) -> Rendered {
    let name = table_name(to);
    let mut statements = vec![];
    for key in ["partition_by", "partition", "inherits", "server"] {
        if from.options.get(key) != to.options.get(key) {
            return Err(format!(
                "`{key}` of a table cannot be changed in place: make a new table and copy the rows"
            ));
        }
    }
    if from.options.get("unlogged") != to.options.get("unlogged") {
        let word = if to.options.contains_key("unlogged") {
            "UNLOGGED"
        } else {
            "LOGGED"
        };
        statements.push(format!("ALTER TABLE {name} SET {word}"));
    }
    statements.extend(row_security(
        to,
        from.options.get("row_security").map(String::as_str),
    ));
    if from.options.get("with") != to.options.get("with") {
        if let Some(with) = from.options.get("with") {
            let keys: Vec<_> = with
                .split(',')
                .filter_map(|pair| pair.split('=').next())
                .map(str::trim)
                .collect();
            statements.push(format!("ALTER TABLE {name} RESET ({})", keys.join(", ")));
        }
        if let Some(with) = to.options.get("with") {
            statements.push(format!("ALTER TABLE {name} SET ({with})"));
        }
    }
    if from.comment != to.comment {
        let text = comment_or_null(to.comment.as_deref());
        statements.push(format!("COMMENT ON TABLE {name} IS {text}"));
    }
    Ok(statements)
}

fn rename_constraint(
    table: &Table,
    from: &Option<String>,
    to: &Option<String>,
) -> Option<Vec<String>> {
    let (from, to) = (from.as_ref()?, to.as_ref()?);
    Some(vec![format!(
        "ALTER TABLE {} RENAME CONSTRAINT {} TO {}",
        table_name(table),
        quote(from),
        quote(to)
    )])
}

fn change_foreign_key(table: &Table, from: &ForeignKey, to: &ForeignKey) -> Rendered {
    let renamed = ForeignKey {
        name: to.name.clone(),
        ..from.clone()
    };
    match rename_constraint(table, &from.name, &to.name) {
        Some(rename) if renamed == *to && from.name != to.name => Ok(rename),
        _ => replace(Part::ForeignKey(table, from), Part::ForeignKey(table, to)),
    }
}

fn change_sequence(from: &Sequence, to: &Sequence) -> Vec<String> {
    let name = qualified(to.schema.as_deref(), &to.name);
    let mut statements = vec![];
    if from.settings != to.settings {
        statements.push(format!(
            "ALTER SEQUENCE {name} {}",
            to.settings.as_deref().unwrap_or_default()
        ));
    }
    if from.owned_by != to.owned_by {
        statements.push(owned_by(&name, to.owned_by.as_deref()));
    }
    statements
}

/// The statement that renames an index, where nothing but its name is another.
fn rename_index(schema: Option<&str>, from: &Index, to: &Index) -> Option<String> {
    let renamed = Index {
        name: to.name.clone(),
        definition: to.definition.clone(),
        ..from.clone()
    };
    (renamed == *to && from.name != to.name).then(|| {
        format!(
            "ALTER INDEX {} RENAME TO {}",
            qualified(schema, &from.name),
            quote(&to.name)
        )
    })
}

/// The statement that gives a view the comment it should have.
fn comment_on_view(view: &View) -> String {
    let word = if view.materialized {
        "MATERIALIZED VIEW"
    } else {
        "VIEW"
    };
    format!(
        "COMMENT ON {word} {} IS {}",
        qualified(view.schema.as_deref(), &view.name),
        comment_or_null(view.comment.as_deref())
    )
}

/// The statements that turn one state of a part into another.
pub fn change(from: Part<'_>, to: Part<'_>) -> Rendered {
    match (from, to) {
        (Part::Options(old), Part::Options(new)) => change_options(old, new),
        (Part::Column(table, old), Part::Column(_, new)) => change_column(table, old, new),
        (Part::Key(table, old), Part::Key(_, new))
            if old.columns == new.columns && old.clause == new.clause =>
        {
            rename_constraint(table, &old.name, &new.name)
                .ok_or_else(|| "the key's name is not known".into())
        }
        (Part::ForeignKey(table, old), Part::ForeignKey(_, new)) => {
            change_foreign_key(table, old, new)
        }
        (Part::Check(table, old), Part::Check(_, new)) if old.clause == new.clause => {
            rename_constraint(table, &old.name, &new.name)
                .ok_or_else(|| "the check's name is not known".into())
        }
        (Part::Index(schema, _, old), Part::Index(_, _, new)) => {
            match rename_index(schema, old, new) {
                Some(rename) => Ok(vec![rename]),
                None => replace(from, to),
            }
        }
        (Part::Trigger(schema, relation, old), Part::Trigger(_, _, new))
            if old.definition == new.definition =>
        {
            Ok(vec![trigger_state(schema, relation, new)])
        }
        (Part::Routine(old), Part::Routine(new)) if old.kind == new.kind => create(to),
        (Part::Sequence(old), Part::Sequence(new)) => Ok(change_sequence(old, new)),
        (Part::Type(old), Part::Type(new)) => {
            types::change(&qualified(new.schema.as_deref(), &new.name), old, new)
        }
        (Part::Extension(_), Part::Extension(new)) => Ok(vec![format!(
            "ALTER EXTENSION {} UPDATE TO {}",
            quote(&new.name),
            literal(&new.version)
        )]),
        (Part::View(old), Part::View(new)) if old.definition == new.definition => {
            Ok(vec![comment_on_view(new)])
        }
        _ => replace(from, to),
    }
}

/// The statement that ties a sequence to a column, or unties it.
pub fn owned_by(sequence: &str, column: Option<&str>) -> String {
    format!(
        "ALTER SEQUENCE {sequence} OWNED BY {}",
        column.unwrap_or("NONE")
    )
}

/// What makes a counter count as another does: what is said of that one, and the usual for what only this one has.
fn recounted(from: &Column, to: &Column) -> String {
    let word = |option: &str| option.split(' ').next().unwrap_or_default().to_owned();
    let said: Vec<String> = to.counting.iter().map(|option| word(option)).collect();
    let gone = from.counting.iter().map(|option| word(option));
    let usual = gone.filter(|word| !said.contains(word));
    let usual = usual.map(|word| match word.as_str() {
        "INCREMENT" => "SET INCREMENT BY 1".to_owned(),
        "START" => "SET START WITH 1".to_owned(),
        "CACHE" => "SET CACHE 1".to_owned(),
        bound => format!("SET NO {bound}"),
    });
    let new = to.counting.iter().map(|option| format!("SET {option}"));
    new.chain(usual).collect::<Vec<_>>().join(" ")
}
