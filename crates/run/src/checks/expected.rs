//! What a check expects, for people.

use super::refuses;
use dunlin_core::source::duration::show_duration;
use dunlin_core::source::grammar::checks::{Explain, Has, HttpCheck, Speed};
use dunlin_core::source::plan::CheckSpec;

/// One line of a text, cut.
fn line(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    let joined = words.join(" ");
    if joined.chars().count() <= 120 {
        return joined;
    }
    let cut: String = joined.chars().take(119).collect();
    format!("{cut}…")
}

/// What a check expects.
pub(super) fn expected(kind: &CheckSpec) -> String {
    match kind {
        CheckSpec::Sql { sql, expect, rows } => {
            let what = match (expect, rows) {
                (_, Some(rows)) => {
                    format!("{} {} {} in every row", rows.left, rows.op, rows.right)
                }
                (Some(expect), None) => expect.to_string(),
                (None, None) => "true".into(),
            };
            format!("{what}: {}", line(&sql.text))
        }
        CheckSpec::Kept(kept) if kept.except.is_empty() => {
            format!("every row of {} as it was", kept.table)
        }
        CheckSpec::Kept(kept) => format!(
            "every row of {} as it was, but for {}",
            kept.table,
            kept.except.join(", ")
        ),
        CheckSpec::Unchanged(sql) => format!("the same answer as before: {}", line(&sql.text)),
        CheckSpec::Untouched(untouched) => {
            let rows = if untouched.rows { " and rows" } else { "" };
            format!("catalog{rows} as before: {}", untouched.tables.join(", "))
        }
        CheckSpec::Refuses(it) => {
            format!(
                "refused by {}: {}",
                refuses::name(it.because),
                line(&it.sql)
            )
        }
        CheckSpec::Accepts(sql) => format!("accepted: {}", line(&sql.text)),
        CheckSpec::Http(http) => of_http(http),
        CheckSpec::Speed(speed) => of_speed(speed),
        CheckSpec::Explain(explain) => of_explain(explain),
        CheckSpec::Has(has) => of_has(has),
        CheckSpec::Rules(rules) => format!("no violations of {}", rules.join(", ")),
        CheckSpec::Compare(name) => format!("comparison {name} agrees"),
        CheckSpec::Exec(exec) => format!("exits with 0: {}", line(&exec.run.0)),
        CheckSpec::Ask(question) => format!("yes: {question}"),
    }
}

fn of_http(http: &HttpCheck) -> String {
    let mut parts = vec![match http.status {
        Some(status) => format!("status {status}"),
        None => "status 200 to 299".into(),
    }];
    parts.extend(
        http.expect
            .iter()
            .map(|(path, value)| format!("{path} = {value}")),
    );
    if http.unchanged {
        parts.push("the answer as before".into());
    }
    parts.extend(
        http.within
            .map(|within| format!("within {}", show_duration(within.0))),
    );
    let method = http.method.as_deref().unwrap_or("GET");
    format!(
        "{method} {}: {}",
        crate::http::shown(&http.url.0),
        parts.join(", ")
    )
}

fn of_speed(speed: &Speed) -> String {
    let mut parts = vec![];
    parts.extend(
        speed
            .slower_by_at_most
            .map(|factor| format!("at most {factor} times as slow as before")),
    );
    parts.extend(
        speed
            .within
            .map(|within| format!("within {}", show_duration(within.0))),
    );
    format!(
        "p{} {}: {}",
        speed.percentile.unwrap_or(95),
        parts.join(", "),
        line(&speed.sql)
    )
}

fn of_explain(explain: &Explain) -> String {
    let mut parts = vec![];
    parts.extend(explain.uses.as_ref().map(|index| format!("uses {index}")));
    if explain.no_full_scan {
        parts.push("reads no table whole".into());
    }
    format!("{}: {}", parts.join(", "), line(&explain.sql))
}

fn of_has(has: &Has) -> String {
    let kinds = [
        ("tables", &has.tables),
        ("columns", &has.columns),
        ("indexes", &has.indexes),
        ("foreign keys", &has.foreign_keys),
        ("views", &has.views),
    ];
    let there = kinds.iter().filter(|(_, names)| !names.is_empty());
    let parts: Vec<String> = there
        .map(|(kind, names)| format!("{kind} {}", names.join(", ")))
        .collect();
    parts.join("; ")
}
