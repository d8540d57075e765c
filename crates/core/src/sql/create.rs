//! CREATE, DROP and ALTER: which objects they name. What the engines do not share is left to their rooms.

use super::alter::{self, Grammar};
use super::change::{Change, Ddl, object, part};
use super::words::{Cursor, Name, Words, by_commas};
use super::{ObjectKind, ObjectRef, TokenKind};

/// Words between CREATE and the kind of object that only qualify it.
const QUALIFIERS: &[&str] = &[
    "GLOBAL",
    "LOCAL",
    "RECURSIVE",
    "FOREIGN",
    "AGGREGATE",
    "TRUSTED",
    "PROCEDURAL",
    "CONSTRAINT",
];

/// The kind of object that a word names.
fn kind_of(word: &str) -> Option<ObjectKind> {
    Some(match word.to_ascii_uppercase().as_str() {
        "TABLE" | "TABLES" => ObjectKind::Table,
        "VIEW" => ObjectKind::View,
        "INDEX" => ObjectKind::Index,
        "TRIGGER" => ObjectKind::Trigger,
        "FUNCTION" | "AGGREGATE" | "ROUTINE" => ObjectKind::Function,
        "PROCEDURE" => ObjectKind::Procedure,
        "EVENT" => ObjectKind::Event,
        "SEQUENCE" => ObjectKind::Sequence,
        "TYPE" | "DOMAIN" => ObjectKind::Type,
        "SCHEMA" => ObjectKind::Schema,
        "DATABASE" => ObjectKind::Database,
        "EXTENSION" => ObjectKind::Extension,
        _ => return None,
    })
}

struct Head {
    kind: Option<ObjectKind>,
    word: String,
    special: bool,
    unique: bool,
}

/// Takes the words up to the kind of object, and IF [NOT] EXISTS behind it.
fn head(cursor: &mut Cursor<'_>, verb: &str, ddl: &mut Ddl) -> Option<Head> {
    let mut head = Head {
        kind: None,
        word: String::new(),
        special: false,
        unique: false,
    };
    ddl.or_replace = cursor.eat(&["OR", "REPLACE"]);
    let mut materialized = false;
    loop {
        if cursor.eat_any(&["TEMP", "TEMPORARY"]) {
            ddl.temporary = true;
        } else if cursor.eat(&["UNLOGGED"]) {
            ddl.unlogged = true;
        } else if cursor.eat(&["UNIQUE"]) {
            head.unique = true;
        } else if cursor.eat_any(&["FULLTEXT", "SPATIAL", "VECTOR", "VIRTUAL"]) {
            head.special = true;
        } else if cursor.eat(&["MATERIALIZED"]) {
            materialized = true;
        } else if cursor.eat(&["SQL", "SECURITY"]) {
            cursor.bump();
        } else if cursor.is_any(&["DEFINER", "ALGORITHM"]) {
            cursor.bump();
            cursor.eat_op("=");
            cursor.bump();
            if cursor
                .peek(0)
                .is_some_and(|tok| tok.kind == TokenKind::Parameter)
            {
                cursor.bump();
            }
            cursor.group();
        } else if cursor.is_any(QUALIFIERS)
            && (!cursor.is("AGGREGATE") || cursor.peek(1).is_some_and(|tok| tok.is("FUNCTION")))
        {
            let data_wrapper =
                cursor.is("FOREIGN") && cursor.peek(1).is_some_and(|tok| tok.is("DATA"));
            if data_wrapper {
                break;
            }
            cursor.bump();
        } else {
            break;
        }
    }
    let word = cursor.bump()?;
    let event_trigger = word.is("EVENT") && cursor.eat(&["TRIGGER"]);
    head.kind = if event_trigger {
        None
    } else {
        kind_of(word.text)
    };
    head.word = word.text.to_ascii_uppercase();
    if materialized && head.kind == Some(ObjectKind::View) {
        head.kind = Some(ObjectKind::MaterializedView);
        head.word = "MATERIALIZED VIEW".into();
    }
    let temporary = if ddl.temporary { " TEMPORARY" } else { "" };
    ddl.verb = format!("{verb}{temporary} {}", head.word);
    ddl.concurrently = cursor.eat(&["CONCURRENTLY"]);
    ddl.if_not_exists = cursor.eat(&["IF", "NOT", "EXISTS"]);
    ddl.if_exists = cursor.eat(&["IF", "EXISTS"]);
    Some(head)
}

/// Reads a CREATE statement. `None`: not one.
pub fn create(words: &Words<'_>, grammar: &Grammar) -> Option<Ddl> {
    let mut cursor = words.cursor();
    if !cursor.eat(&["CREATE"]) {
        return None;
    }
    let mut ddl = Ddl::default();
    let head = head(&mut cursor, "CREATE", &mut ddl)?;
    let read = match head.kind {
        Some(ObjectKind::Table) => table(cursor, grammar, &mut ddl),
        Some(ObjectKind::Index) => index(cursor, grammar, &head, &mut ddl),
        Some(ObjectKind::Trigger) => trigger(cursor, grammar, &mut ddl),
        Some(kind) => named(words.sql, cursor, grammar, kind, &mut ddl),
        None => None,
    };
    if read.is_none() {
        ddl.changes.push(Change::Opaque);
    }
    Some(ddl)
}

fn table(mut cursor: Cursor<'_>, grammar: &Grammar, ddl: &mut Ddl) -> Option<()> {
    let name = cursor.name(grammar.fold)?;
    ddl.changes
        .push(Change::Create(object(ObjectKind::Table, &name)));
    let mut options = cursor;
    ddl.rows = options.seek(&["AS", "SELECT"]);
    if grammar.keys_in_tables {
        let mut options = cursor;
        if options.seek(&["ENGINE", "TYPE"]) {
            options.bump();
            options.eat_op("=");
            ddl.storage = options.ident(grammar.fold);
        }
    }
    Some(())
}

fn index(mut cursor: Cursor<'_>, grammar: &Grammar, head: &Head, ddl: &mut Ddl) -> Option<()> {
    let name = if cursor.is("ON") {
        None
    } else {
        Some(cursor.name(grammar.fold)?)
    };
    if !cursor.seek(&["ON"]) {
        return None;
    }
    cursor.bump();
    cursor.eat(&["ONLY"]);
    let table = object(ObjectKind::Table, &cursor.name(grammar.fold)?);
    match name {
        None => ddl.changes.push(Change::Quiet("INDEX")),
        Some(name) => {
            // Only where an index can be in another schema than its table does the statement name one.
            let schema = name.schema.or_else(|| table.schema.clone());
            let index = ObjectRef {
                schema,
                ..part(ObjectKind::Index, &table, name.name)
            };
            let (unique, special) = (head.unique, head.special);
            ddl.changes.push(Change::AddIndex {
                index,
                guessed: false,
                unique,
                special,
            });
        }
    }
    ddl.table = Some(table);
    Some(())
}

fn trigger(mut cursor: Cursor<'_>, grammar: &Grammar, ddl: &mut Ddl) -> Option<()> {
    let name = cursor.name(grammar.fold)?;
    if !cursor.seek(&["ON"]) {
        return None;
    }
    cursor.bump();
    let table = cursor.name(grammar.fold)?;
    let schema = name.schema.or(table.schema);
    let trigger = ObjectRef {
        kind: ObjectKind::Trigger,
        schema,
        parent: Some(table.name),
        name: name.name,
    };
    ddl.changes.push(Change::Create(trigger));
    Some(())
}

fn named(
    sql: &str,
    mut cursor: Cursor<'_>,
    grammar: &Grammar,
    kind: ObjectKind,
    ddl: &mut Ddl,
) -> Option<()> {
    // `CREATE SCHEMA AUTHORIZATION role` has no name of its own.
    let name = cursor.name(grammar.fold)?;
    if kind == ObjectKind::Schema && name.name.eq_ignore_ascii_case("authorization") {
        return None;
    }
    if matches!(kind, ObjectKind::Function | ObjectKind::Procedure)
        && let Some(group) = cursor.group()
    {
        ddl.arguments = Some(arguments(sql, group));
    }
    if kind == ObjectKind::MaterializedView {
        ddl.rows = true;
    }
    ddl.changes.push(Change::Create(object(kind, &name)));
    Some(())
}

/// A routine's arguments without their defaults, as its DROP takes them.
fn arguments(sql: &str, group: &[super::words::Tok<'_>]) -> String {
    let one = |toks: &[super::words::Tok<'_>]| {
        let end = toks
            .iter()
            .position(|tok| tok.is("DEFAULT") || tok.op("=") || tok.op(":="))
            .unwrap_or(toks.len());
        let (first, last) = (toks.first()?, toks.get(end.checked_sub(1)?)?);
        sql.get(first.start..last.end()).map(str::to_owned)
    };
    by_commas(group)
        .into_iter()
        .filter_map(one)
        .collect::<Vec<_>>()
        .join(", ")
}

/// Reads a DROP statement. `None`: not one.
pub fn drop(words: &Words<'_>, grammar: &Grammar) -> Option<Ddl> {
    let mut cursor = words.cursor();
    if !cursor.eat(&["DROP"]) {
        return None;
    }
    let mut ddl = Ddl::default();
    let head = head(&mut cursor, "DROP", &mut ddl)?;
    let Some(kind) = head.kind else {
        ddl.changes.push(Change::Opaque);
        return Some(ddl);
    };
    loop {
        let Some(name) = cursor.name(grammar.fold) else {
            ddl.changes.push(Change::Opaque);
            return Some(ddl);
        };
        cursor.group();
        let mut dropped = object(kind, &name);
        if matches!(kind, ObjectKind::Index | ObjectKind::Trigger) && cursor.eat(&["ON"]) {
            let table = cursor
                .name(grammar.fold)
                .map(|name| object(ObjectKind::Table, &name));
            if let Some(table) = table {
                dropped = part(kind, &table, name.name);
                ddl.table = (kind == ObjectKind::Index).then_some(table);
            }
        }
        ddl.changes.push(Change::Drop(dropped));
        if !cursor.eat_op(",") {
            break;
        }
    }
    ddl.cascade = cursor.seek(&["CASCADE"]);
    Some(ddl)
}

/// Reads an ALTER statement. `None`: not one.
pub fn alter(words: &Words<'_>, grammar: &Grammar) -> Option<Ddl> {
    let mut cursor = words.cursor();
    if !cursor.eat(&["ALTER"]) {
        return None;
    }
    while cursor.eat_any(&["ONLINE", "IGNORE"]) {}
    let mut ddl = Ddl::default();
    let head = head(&mut cursor, "ALTER", &mut ddl)?;
    if head.kind == Some(ObjectKind::Table) {
        cursor.eat(&["ONLY"]);
        let Some(name) = cursor.name(grammar.fold) else {
            ddl.changes.push(Change::Opaque);
            return Some(ddl);
        };
        cursor.eat_op("*");
        if cursor.eat(&["WAIT"]) {
            cursor.bump();
        }
        cursor.eat(&["NOWAIT"]);
        let table = object(ObjectKind::Table, &name);
        ddl.table = Some(table.clone());
        alter::clauses(words.sql, cursor.rest(), &table, grammar, &mut ddl);
    } else {
        other(cursor, grammar, head.kind, &mut ddl);
    }
    Some(ddl)
}

/// ALTER of anything but a table: renames and new values are understood.
fn other(mut cursor: Cursor<'_>, grammar: &Grammar, kind: Option<ObjectKind>, ddl: &mut Ddl) {
    let (Some(kind), Some(name)) = (kind, cursor.name(grammar.fold)) else {
        ddl.changes.push(Change::Opaque);
        return;
    };
    let altered = object(kind, &name);
    let has_arguments = cursor.group().is_some();
    if kind == ObjectKind::Type && cursor.eat(&["ADD", "VALUE"]) {
        ddl.if_not_exists = cursor.eat(&["IF", "NOT", "EXISTS"]);
        if let Some(value) = cursor.bump().filter(|tok| tok.kind == TokenKind::Text) {
            let label = value.text.trim_matches('\'').replace("''", "'");
            ddl.changes.push(Change::AddValue(part(
                ObjectKind::EnumValue,
                &altered,
                label,
            )));
            return;
        }
    } else if !has_arguments
        && kind != ObjectKind::Trigger
        && cursor.eat(&["RENAME", "TO"])
        && let Some(Name { name, .. }) = cursor.name(grammar.fold)
    {
        let to = ObjectRef {
            name,
            ..altered.clone()
        };
        ddl.changes.push(Change::Rename(altered, to));
        return;
    }
    // What else there is leaves the object in its place.
    ddl.table = Some(altered);
    ddl.changes.push(Change::Opaque);
}

/// Reads `RENAME TABLE a TO b, c TO d`. `None`: not one.
pub fn rename_tables(words: &Words<'_>, grammar: &Grammar) -> Option<Ddl> {
    let mut cursor = words.cursor();
    if !cursor.eat(&["RENAME"]) || !cursor.eat_any(&["TABLE", "TABLES"]) {
        return None;
    }
    let mut ddl = Ddl {
        verb: "RENAME TABLE".into(),
        ..Ddl::default()
    };
    ddl.if_exists = cursor.eat(&["IF", "EXISTS"]);
    for pair in by_commas(cursor.rest()) {
        let mut cursor = Cursor::over(pair);
        let from = cursor.name(grammar.fold);
        if cursor.eat(&["WAIT"]) {
            cursor.bump();
        }
        cursor.eat(&["NOWAIT"]);
        let renamed = cursor
            .eat(&["TO"])
            .then(|| cursor.name(grammar.fold))
            .flatten();
        let change = match (from, renamed) {
            (Some(from), Some(to)) => Change::Rename(
                object(ObjectKind::Table, &from),
                object(ObjectKind::Table, &to),
            ),
            _ => Change::Opaque,
        };
        ddl.changes.push(change);
    }
    Some(ddl)
}
