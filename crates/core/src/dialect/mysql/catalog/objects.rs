//! Views, routines and events from the rows of the catalog's queries.

use super::super::ddl;
use super::super::dml::literal;
use super::tables::native;
use crate::dialect::catalog::{number, some, text};
use crate::schema::{Event, Routine, View};
use crate::value::Row;
use std::collections::BTreeSet;

pub(super) fn view(row: &Row, columns: &[Row], database: &str, names: &BTreeSet<String>) -> View {
    let name = text(row, 0);
    let query = without_database(&text(row, 1), database, names);
    let algorithm = match text(row, 4).as_str() {
        "UNDEFINED" | "" => String::new(),
        other => format!("ALGORITHM={other} "),
    };
    let security = if text(row, 3) == "INVOKER" {
        "SQL SECURITY INVOKER "
    } else {
        ""
    };
    let option = match text(row, 2).as_str() {
        "NONE" | "" => String::new(),
        option => format!(" WITH {option} CHECK OPTION"),
    };
    let definition = if query.is_empty() {
        String::new()
    } else {
        format!(
            "CREATE {algorithm}{security}VIEW {}{} AS {query}{option}",
            ddl::quote(&name),
            listed(&name, columns, &query)
        )
    };
    View {
        name,
        definition,
        ..View::default()
    }
}

/// The list of a view's columns, where the server does not say their names in the query that it shows.
fn listed(view: &str, columns: &[Row], query: &str) -> String {
    let of_view = |row: &&Row| row.first().and_then(|name| name.as_str()) == Some(view);
    let names: Vec<String> = columns
        .iter()
        .filter(of_view)
        .map(|row| ddl::quote(&text(row, 1)))
        .collect();
    let mut rest = query;
    let said = names.iter().all(|name| {
        let alias = format!("AS {name}");
        let at = rest.find(&alias);
        rest = at.map_or("", |at| &rest[at + alias.len()..]);
        at.is_some()
    });
    if said {
        return String::new();
    }
    format!(" ({})", names.join(","))
}

/// A view's query as the server shows it, without the database's own name before tables: a copy under another name
/// reads the same.
pub(super) fn without_database(query: &str, database: &str, names: &BTreeSet<String>) -> String {
    let own = ddl::quote(database);
    let quoted: BTreeSet<String> = names.iter().map(|name| ddl::quote(name)).collect();
    let mut out = String::with_capacity(query.len());
    let mut rest = query;
    while let Some(at) = rest.find(['`', '\'']) {
        let (before, from) = rest.split_at(at);
        out.push_str(before);
        let end = quoted_end(from);
        let token = &from[..end];
        rest = &from[end..];
        // `database`.`table`, or `database`.`alias`.`column`
        if token == own
            && let Some(next) = rest.strip_prefix('.').filter(|next| next.starts_with('`'))
        {
            let end = quoted_end(next);
            if quoted.contains(&next[..end]) || next[end..].starts_with(".`") {
                rest = next;
                continue;
            }
        }
        out.push_str(token);
    }
    out.push_str(rest);
    out
}

/// The length of the quoted name or literal at the beginning.
pub(super) fn quoted_end(text: &str) -> usize {
    let bytes = text.as_bytes();
    let quote = bytes.first().copied().unwrap_or(b'`');
    let mut at = 1;
    while let Some(&byte) = bytes.get(at) {
        if byte == b'\\' && quote == b'\'' {
            at += 1;
        } else if byte == quote {
            if bytes.get(at + 1) != Some(&quote) {
                return at + 1;
            }
            at += 1;
        }
        at += 1;
    }
    text.len()
}

pub(super) fn routine(row: &Row, parameters: &[Row]) -> Routine {
    let (kind, specific, name) = (text(row, 0), text(row, 1), text(row, 2));
    let mine = parameters
        .iter()
        .filter(|parameter| text(parameter, 0) == kind && text(parameter, 1) == specific);
    let (mut returns, mut arguments) = (None, vec![]);
    for parameter in mine {
        if number(parameter, 2) == Some(0) {
            returns = some(parameter, 5);
        } else {
            let mode = if kind == "PROCEDURE" {
                format!("{} ", text(parameter, 3))
            } else {
                String::new()
            };
            arguments.push(format!(
                "{mode}{} {}",
                ddl::quote(&text(parameter, 4)),
                native(&text(parameter, 5))
            ));
        }
    }
    let definition = some(row, 3).map(|body| {
        let mut text_of = format!(
            "CREATE {kind} {}({})",
            ddl::quote(&name),
            arguments.join(", ")
        );
        if let Some(returns) = &returns {
            text_of.push_str(&format!(" RETURNS {}", native(returns)));
        }
        if text(row, 4) == "YES" {
            text_of.push_str(" DETERMINISTIC");
        }
        if text(row, 5) != "CONTAINS SQL" {
            text_of.push_str(&format!(" {}", text(row, 5)));
        }
        if text(row, 6) == "INVOKER" {
            text_of.push_str(" SQL SECURITY INVOKER");
        }
        if let Some(comment) = some(row, 7) {
            text_of.push_str(&format!(" COMMENT {}", literal(&comment)));
        }
        format!("{text_of} {}", body.trim())
    });
    Routine {
        schema: None,
        name,
        arguments: None,
        kind,
        definition,
    }
}

pub(super) fn event(row: &Row) -> Event {
    let name = text(row, 0);
    let schedule = match some(row, 3) {
        Some(at) => format!("AT {}", literal(&at)),
        None => {
            let ends =
                some(row, 6).map_or(String::new(), |ends| format!(" ENDS {}", literal(&ends)));
            format!(
                "EVERY {} {}{ends}",
                literal(text(row, 4).trim_matches('\'')),
                text(row, 5)
            )
        }
    };
    let keep = if text(row, 8) == "PRESERVE" {
        " ON COMPLETION PRESERVE"
    } else {
        ""
    };
    let status = if text(row, 7) == "ENABLED" {
        ""
    } else {
        " DISABLE"
    };
    let comment = some(row, 9).map_or(String::new(), |comment| {
        format!(" COMMENT {}", literal(&comment))
    });
    Event {
        definition: format!(
            "CREATE EVENT {} ON SCHEDULE {schedule}{keep}{status}{comment} DO {}",
            ddl::quote(&name),
            text(row, 1).trim()
        ),
        name,
    }
}
