//! Statements of a step that commit by themselves and write where its undo destroys something. What others write there while
//! such a statement runs is there when the step ends, and is not told from what the step itself has left.

use super::inverse;
use super::lower::Storage;
use super::unasked;
use crate::dialect::{Caps, Dialect};
use crate::sql::{
    Condition, Kind, LexMode, ObjectKind, ObjectRef, SessionState, StatementClass, TxUse,
};

/// What there is to know of the server.
#[derive(Debug, Clone, Copy)]
pub struct Known<'a> {
    /// The dialect.
    pub dialect: &'a dyn Dialect,
    /// What changes lexing.
    pub lex: &'a LexMode,
    /// What the server can do.
    pub caps: &'a Caps,
    /// Which tables know no transactions.
    pub storage: &'a Storage,
}

type Statement<'a> = (&'a str, &'a StatementClass);

/// Such statements of a step, by their places in it, and the tables.
pub fn among(
    up: &[Statement<'_>],
    undo: &[Statement<'_>],
    known: Known<'_>,
) -> Vec<(usize, Vec<String>)> {
    let mut destroyed = destroyed(undo, known);
    // Of what the step makes itself nobody else knows.
    let made = |name: &String| {
        let mut all = up.iter().flat_map(|(_, class)| &class.post);
        all.any(|post| matches!(post, Condition::Exists(object) if is_it(object, name)))
    };
    destroyed.retain(|name| !made(name));
    let each = up.iter().enumerate();
    let found = each.filter_map(|(at, (_, class))| {
        let mut tables = destroyed.clone();
        tables.retain(|name| writes_alone(class, name, known));
        (!tables.is_empty()).then_some((at, tables))
    });
    found.collect()
}

/// The tables of which an undo takes something away, or writes over it.
fn destroyed(undo: &[Statement<'_>], known: Known<'_>) -> Vec<String> {
    let renames = undo.iter();
    let renames: Vec<_> = renames
        .map(|(sql, _)| inverse::renames(sql, known.dialect, known.lex))
        .collect();
    let classes: Vec<StatementClass> = undo.iter().map(|(_, class)| (*class).clone()).collect();
    let gone = inverse::gone(&classes, &renames);
    let gone = gone.iter().filter_map(|gone| {
        let name = match gone.was.kind {
            ObjectKind::Table => &gone.was.name,
            ObjectKind::Column => gone.was.parent.as_ref()?,
            _ => return None,
        };
        Some(name.clone())
    });
    let each = undo.iter().enumerate();
    let written = each.filter(|(_, (sql, class))| {
        let empties = class.verb.starts_with("TRUNCATE");
        let writes = class.kind == Kind::Dml
            && (class.verb != "INSERT"
                || unasked::of(sql, class, known.dialect, known.lex).is_some());
        empties || writes
    });
    let written = written.flat_map(|(at, (_, class))| {
        let renamed = &renames[..at];
        let tables = class.touches.iter();
        tables.map(move |table| inverse::first_of(renamed, table).name)
    });
    let mut all: Vec<String> = gone.chain(written).collect();
    all.sort();
    all.dedup();
    all
}

fn is_it(object: &ObjectRef, name: &str) -> bool {
    object.kind == ObjectKind::Table && object.name.eq_ignore_ascii_case(name)
}

/// Whether a statement commits by itself and may change what a table holds.
fn writes_alone(class: &StatementClass, name: &str, known: Known<'_>) -> bool {
    let touches = || class.touches.iter().any(|object| is_it(object, name));
    match class.kind {
        // What it writes nobody can tell.
        Kind::Call => class.state != SessionState::Sets && !known.caps.transactional_ddl,
        Kind::Ddl => {
            let changes = |post: &Condition| match post {
                Condition::ColumnType(column, _) => {
                    let table = column.parent.as_deref();
                    table.is_some_and(|table| table.eq_ignore_ascii_case(name))
                }
                _ => false,
            };
            class.tx != TxUse::Inside && class.post.iter().any(changes)
        }
        Kind::Dml | Kind::CopyIn => {
            let transactional = known.storage.transactional.get(&name.to_lowercase());
            transactional == Some(&false) && touches()
        }
        _ => false,
    }
}
