//! Reads an UPDATE: the table, the columns that it changes, and the condition that its rows meet.

use super::delete::Target;
use super::joined::Joined;
use super::upsert::Given;
use crate::dialect::Dialect;
use crate::sql::LexMode;
use crate::sql::words::{Cursor, Fold, Name, TOKENS_MAX, Tok, Words, by_commas, unquoted};

/// A statement that writes over values of rows of one table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Updated {
    pub(super) table: Name,
    /// The columns; empty: all, where the rows are given.
    pub(super) columns: Vec<String>,
    /// The condition, in brackets.
    pub(super) only: String,
    /// The condition names the table.
    pub(super) named: bool,
    /// The names in the condition, folded.
    pub(super) names: Vec<String>,
    /// The condition asks other tables.
    pub(super) others: bool,
    /// The rows are those whose keys it gives.
    pub(super) given: Option<Given>,
}

/// Reads an UPDATE of one table; `None`: it is something else. Of one that takes the first rows by an order the condition
/// finds all that it might change.
pub(super) fn read(sql: &str, dialect: &dyn Dialect, lex: &LexMode) -> Option<Updated> {
    let words = Words::read(sql, &dialect.lex_rules(lex));
    if !words.versioned.is_empty() || words.toks.len() >= TOKENS_MAX {
        return None;
    }
    let mut cursor = words.cursor();
    if !cursor.eat(&["UPDATE"]) {
        return None;
    }
    // What stands in the way of a new value would go with `OR REPLACE`.
    if cursor.eat(&["OR"]) && !cursor.eat_any(&["IGNORE", "ABORT", "FAIL", "ROLLBACK"]) {
        return None;
    }
    while cursor.eat_any(&["LOW_PRIORITY", "IGNORE"]) {}
    let fold = dialect.steps().fold();
    let target = Target::read(&mut cursor, fold, "SET")?;
    let mut joined = Joined::to(&mut cursor)?;
    if !cursor.eat(&["SET"]) {
        return None;
    }
    let assigned = cursor.rest();
    cursor = Cursor::over(assigned);
    let assigned = match cursor.seek(&["WHERE", "FROM", "ORDER", "LIMIT", "RETURNING"]) {
        true => &assigned[..assigned.len() - cursor.rest().len()],
        false => {
            cursor = Cursor::over(&[]);
            assigned
        }
    };
    // Of a list of tables a column may be any table's that does not say whose it is.
    let names = (&*target.table.name, target.alias.as_deref());
    let columns = targets(assigned, names, joined.is_some(), fold)?;
    if joined.is_none() && cursor.eat(&["FROM"]) {
        joined = Some(Joined::beside(&mut cursor)?);
    }
    let found = match &joined {
        Some(joined) => joined.condition(&target.names(), sql, &mut cursor, fold)?,
        None => target.names().condition(sql, &mut cursor, fold)?,
    };
    let asks = |token: &Tok<'_>| token.is_any(&["SELECT", "TABLE", "VALUES"]);
    let others = joined.is_some() || found.tokens.iter().any(asks);
    let names = found.tokens.iter().filter(|token| token.is_name());
    let names = names.map(|token| unquoted(token, fold)).collect();
    let (only, named) = (found.only, found.named);
    Some(Updated {
        table: target.table,
        columns,
        only,
        named,
        names,
        others,
        given: None,
    })
}

/// The columns that assignments change.
pub(super) fn targets(
    assigned: &[Tok<'_>],
    (table, alias): (&str, Option<&str>),
    say_whose: bool,
    fold: Fold,
) -> Option<Vec<String>> {
    let own = |name: &str| {
        let is = |other: &str| name.eq_ignore_ascii_case(other);
        is(table) || alias.is_some_and(is)
    };
    let each = by_commas(assigned).into_iter();
    let each = each.map(|one| target(one, &own, say_whose, fold));
    Some(each.collect::<Option<Vec<_>>>()?.concat())
}

/// The columns that one assignment changes.
fn target(
    one: &[Tok<'_>],
    own: &dyn Fn(&str) -> bool,
    say_whose: bool,
    fold: Fold,
) -> Option<Vec<String>> {
    let mut cursor = Cursor::over(one);
    if let Some(group) = cursor.group().filter(|_| !say_whose) {
        let names = by_commas(group).into_iter().map(|name| {
            let mut name = Cursor::over(name);
            name.ident(fold).filter(|_| name.is_done())
        });
        return names.collect::<Option<Vec<_>>>().filter(|_| cursor.op("="));
    }
    let mut parts = vec![cursor.ident(fold)?];
    while cursor.eat_op(".") {
        parts.push(cursor.ident(fold)?);
    }
    if !(cursor.op("=") || cursor.op(":=") || cursor.op("[")) {
        return None;
    }
    // `table.column`; otherwise a part of a column.
    let qualified = parts.len() > 1 && own(&parts[parts.len() - 2]);
    if say_whose && !qualified {
        return None;
    }
    let at = if qualified { parts.len() - 1 } else { 0 };
    Some(vec![parts.swap_remove(at)])
}
