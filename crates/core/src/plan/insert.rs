//! The inverse of an INSERT: a DELETE by the very keys that the statement gives as literals; and how to find the rows that
//! are no longer what it inserted.

use super::inverse::{self, Renames};
use super::steps::{Facts, Later};
use crate::dialect::steps as render;
use crate::schema::text::{Code, closing, code, items};
use crate::schema::{Column, NeutralType, Table};
use crate::sql::words::{Cursor, Name, Tok, by_commas};
use crate::sql::{ObjectRef, TokenKind, Unwritten};

/// The statements that delete what an INSERT inserted, or a sentence why there are none.
pub fn inverse(sql: &str, facts: &Facts<'_>) -> Result<Vec<String>, String> {
    let inserted = read(sql, facts, &[])?;
    let literal = |row: &Vec<Option<String>>| {
        let key = inserted.key.iter();
        key.filter_map(|(at, _)| row.get(*at)?.clone()).collect()
    };
    let values: Vec<Vec<String>> = inserted.rows.iter().map(literal).collect();
    let key = inserted.key.iter();
    let names: Vec<&str> = key.map(|(_, column)| column.name.as_str()).collect();
    let table = inserted.table;
    Ok(render::delete_keys(facts.dialect, table, &names, &values))
}

/// Of each row that an INSERT inserted, how to ask whether somebody has changed it since, as far as the statement gives
/// numbers and texts as literals, or nothing. A table with triggers may hold other values from the beginning: nothing is asked
/// of it.
/// `renames`: what the statements behind it have given another name.
pub fn later(sql: &str, facts: &Facts<'_>, renames: &[Renames]) -> Vec<Later> {
    let Ok(inserted) = read(sql, facts, renames) else {
        return vec![];
    };
    let table = inserted.table;
    if !table.triggers.is_empty() {
        return vec![];
    }
    let is_key = |at: usize| inserted.key.iter().any(|(place, _)| *place == at);
    let exact = |column: &Column| {
        column.on_update.is_none() && matches!(column.neutral, NeutralType::Int | NeutralType::Text)
    };
    let steps = facts.dialect.steps();
    let mut found = vec![];
    for row in &inserted.rows {
        let value = |at: usize| row.get(at).cloned().flatten();
        let key: Option<Vec<_>> = inserted
            .key
            .iter()
            .map(|(at, column)| value(*at).map(|value| (*column, value)))
            .collect();
        let columns = inserted.columns.iter().enumerate();
        let mut holds: Vec<String> = columns
            .filter(|(at, _)| !is_key(*at))
            .filter_map(|(at, column)| Some((column.filter(|column| exact(column))?, value(at)?)))
            .map(|(column, value)| steps.holds(facts.caps, column, &value))
            .collect();
        let mut whole = false;
        if inserted.told {
            let given = inserted.columns.iter().take(row.len());
            let given: Vec<&Column> = given.flatten().copied().collect();
            let told = holds.len() + inserted.key.len() == given.len();
            let (more, all) = untouched(table, &given, facts);
            holds.extend(more);
            whole = told && all;
        }
        let Some(key) = key.filter(|_| !holds.is_empty()) else {
            continue;
        };
        let shown: Vec<String> = key
            .iter()
            .map(|(column, value)| format!("{} = {value}", column.name))
            .collect();
        found.push(Later {
            what: format!("{} ({})", table.label(), shown.join(", ")),
            sql: render::select_changed(facts.dialect, table, &key, &holds),
            destroys: true,
            table: table.label(),
            only: render::is_changed(facts.dialect, &key, &holds),
            whole,
            own: render::delete_unchanged(facts.dialect, table, &key, &holds),
        });
    }
    found
}

/// That the columns of a row which were not given are as a new row has them; and whether that can be told of all of them. A
/// trigger may give them any value.
pub(super) fn untouched(
    table: &Table,
    given: &[&Column],
    facts: &Facts<'_>,
) -> (Vec<String>, bool) {
    if !table.triggers.is_empty() {
        return (vec![], false);
    }
    // Nobody writes these, or not without others.
    let moves = |column: &&Column| {
        let mut keys = table.keys.iter();
        column.generated.is_some()
            || column.on_update.is_some()
            || column.identity.is_some()
            || keys.any(|key| key.primary && key.columns.contains(&column.name))
    };
    let told = |column: &&Column| {
        let unwritten = Unwritten {
            column: ObjectRef::table(None, ""),
            default: column.default.clone(),
            nullable: column.nullable,
        };
        let exact = matches!(column.neutral, NeutralType::Int | NeutralType::Text);
        match &column.default {
            Some(_) => exact && unwritten.is_constant(),
            None => column.nullable,
        }
    };
    let is_given = |column: &&Column| given.iter().any(|one| one.name == column.name);
    let columns = table.columns.iter();
    let others = columns.filter(|column| !is_given(column) && !moves(column));
    let others: Vec<&Column> = others.collect();
    let change = facts.dialect.change();
    let made = others.iter().copied().filter(told);
    let made: Vec<String> = made
        .map(|column| change.as_made(&column.name, column.default.as_deref()))
        .map(|sql| format!("({sql})"))
        .collect();
    let all = made.len() == others.len();
    (made, all)
}

/// What an INSERT inserts.
struct Inserted<'t> {
    table: &'t Table,
    /// Where each column's value stands in a row.
    columns: Vec<Option<&'t Column>>,
    /// The key: place and column of each.
    key: Vec<(usize, &'t Column)>,
    /// The values of each row that are literals.
    rows: Vec<Vec<Option<String>>>,
    /// Every column that is given a value is known.
    told: bool,
}

fn read<'t>(sql: &str, facts: &Facts<'t>, renames: &[Renames]) -> Result<Inserted<'t>, String> {
    let rules = facts.dialect.lex_rules(facts.lex);
    let tokens = code(sql, &rules);
    let toks: Vec<Tok<'_>> = tokens.iter().map(tok).collect();
    let head = head(&toks, facts)?;
    let named = ObjectRef::table(head.name.schema.as_deref(), &head.name.name);
    let named = inverse::name_after(renames, &named);
    let table = facts
        .table_of(named.schema.as_deref(), &named.name)
        .ok_or_else(|| format!("the table {} is not in the catalog", head.name.name))?;
    let columns = columns(&head, table);
    let rows = rows(&tokens[tokens.len() - head.rest.len()..])?;
    let key = key(table, &columns, &rows, facts).ok_or_else(|| {
        format!(
            "it gives no whole key of {} as literals, so its rows cannot be told from others",
            table.label()
        )
    })?;
    let literal = |value: &&[Code<'_>]| is_literal(value).then(|| text_of(sql, value));
    let rows = rows.iter().map(|row| row.iter().map(literal).collect());
    let computed = |column: &Column| column.generated.is_some();
    Ok(Inserted {
        table,
        told: head.columns.is_some() || !table.columns.iter().any(computed),
        rows: rows.collect(),
        columns,
        key,
    })
}

fn tok<'a>(token: &Code<'a>) -> Tok<'a> {
    Tok {
        kind: token.kind,
        text: token.text,
        start: token.start,
    }
}

struct Head<'a> {
    name: Name,
    /// The columns that it names.
    columns: Option<Vec<String>>,
    /// What stands behind VALUES.
    rest: &'a [Tok<'a>],
}

/// `INSERT INTO name [AS alias] [(columns)] [OVERRIDING … VALUE] VALUES`.
fn head<'a>(toks: &'a [Tok<'a>], facts: &Facts<'_>) -> Result<Head<'a>, String> {
    let fold = facts.dialect.steps().fold();
    let mut cursor = Cursor::over(toks);
    if !cursor.eat(&["INSERT"]) {
        return Err("it is more than an INSERT".into());
    }
    if cursor.is_any(&["OR", "IGNORE"]) {
        return Err(PASSES.into());
    }
    while cursor.eat_any(&["LOW_PRIORITY", "DELAYED", "HIGH_PRIORITY"]) {}
    if cursor.is("IGNORE") {
        return Err(PASSES.into());
    }
    cursor.eat(&["INTO"]);
    let name = cursor
        .name(fold)
        .ok_or_else(|| "its table cannot be told".to_owned())?;
    if cursor.eat(&["AS"]) {
        cursor.bump();
    }
    let columns = cursor.group().map(|group| {
        let one = |part: &[Tok<'_>]| Cursor::over(part).ident(fold);
        by_commas(group).into_iter().filter_map(one).collect()
    });
    if cursor.eat(&["OVERRIDING"]) {
        cursor.bump();
        cursor.eat(&["VALUE"]);
    }
    if !cursor.eat_any(&["VALUES", "VALUE"]) {
        return Err("its rows do not stand in the statement as VALUES".into());
    }
    let rest = cursor.rest();
    Ok(Head {
        name,
        columns,
        rest,
    })
}

const PASSES: &str =
    "it leaves alone or replaces rows that are there, so which rows are its own cannot be told";

/// Where each column's value stands in a row.
fn columns<'t>(head: &Head<'_>, table: &'t Table) -> Vec<Option<&'t Column>> {
    match &head.columns {
        Some(names) => names
            .iter()
            .map(|name| {
                let same = |column: &&Column| column.name.to_lowercase() == name.to_lowercase();
                table
                    .column(name)
                    .or_else(|| table.columns.iter().find(same))
            })
            .collect(),
        // Without names the values come in the table's order; where the engine leaves computed columns out of it, a
        // key is looked for only before the first of them.
        None => table
            .columns
            .iter()
            .map_while(|column| column.generated.is_none().then_some(Some(column)))
            .collect(),
    }
}

/// A row's values, each as its tokens.
type Values<'t, 'a> = Vec<&'t [Code<'a>]>;

/// `(…), (…)`, or `ROW (…), …`, to the end.
fn rows<'t, 'a>(tokens: &'t [Code<'a>]) -> Result<Vec<Values<'t, 'a>>, String> {
    let mut rows = vec![];
    let mut at = 0;
    loop {
        if tokens.get(at).is_some_and(|token| token.is("ROW")) {
            at += 1;
        }
        if tokens.get(at).is_none_or(|token| token.text != "(") {
            return Err("its rows cannot be read".into());
        }
        let close = closing(tokens, at);
        if close >= tokens.len() {
            return Err("its rows cannot be read".into());
        }
        rows.push(items(tokens.get(at + 1..close).unwrap_or_default()));
        at = close + 1;
        match tokens.get(at) {
            Some(token) if token.text == "," => at += 1,
            Some(token) if token.is("RETURNING") => return Ok(rows),
            Some(token) if token.text != ";" => return Err(PASSES.into()),
            _ => return Ok(rows),
        }
    }
}

/// The first key of the table whose every column has a literal in every row: place and column of each.
fn key<'t>(
    table: &'t Table,
    columns: &[Option<&'t Column>],
    rows: &[Values<'_, '_>],
    facts: &Facts<'_>,
) -> Option<Vec<(usize, &'t Column)>> {
    let given = |name: &&str| -> Option<(usize, &'t Column)> {
        let at = columns
            .iter()
            .position(|column| column.is_some_and(|column| column.name == **name))?;
        let literal = |row: &Values<'_, '_>| row.get(at).is_some_and(|value| is_literal(value));
        let column = columns.get(at).copied().flatten()?;
        rows.iter().all(literal).then_some((at, column))
    };
    facts
        .unique_keys(table)
        .into_iter()
        .find_map(|key| key.iter().map(given).collect())
}

/// A value that is the same wherever it stands: a literal with a sign, a cast or the name of its type.
fn is_literal(value: &[Code<'_>]) -> bool {
    const TYPED: &[&str] = &[
        "TRUE",
        "FALSE",
        "DATE",
        "TIME",
        "TIMESTAMP",
        "DATETIME",
        "UUID",
        "JSON",
        "JSONB",
    ];
    let has_value = value.iter().any(|token| {
        matches!(token.kind, TokenKind::Text | TokenKind::Number)
            || token.is("TRUE")
            || token.is("FALSE")
    });
    let mut cast = false;
    has_value
        && value.iter().all(|token| match token.kind {
            TokenKind::Text | TokenKind::Number => true,
            TokenKind::Word | TokenKind::Quoted if cast => true,
            // A character set before a text: `_utf8mb4 'x'`, `N'x'`.
            TokenKind::Word => {
                TYPED.iter().any(|word| token.is(word)) || token.text.starts_with('_')
            }
            TokenKind::Operator => {
                cast |= token.text == "::";
                matches!(token.text, "-" | "+" | "::")
            }
            _ => false,
        })
}

fn text_of(sql: &str, value: &[Code<'_>]) -> String {
    let span = value
        .first()
        .zip(value.last())
        .map(|(first, last)| first.start..last.end);
    span.and_then(|span| sql.get(span))
        .unwrap_or_default()
        .to_owned()
}
