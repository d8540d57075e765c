//! Copies and verifications for people and programs.

use super::table::{self, bytes, count, duration};
use dunlin::copy::bite::{Bites, Proven};
use dunlin::copy::look::Looked;
use dunlin::copy::verify::Verified;
use dunlin::copy::{Copied, CopiedTable};
use dunlin_core::copy::plan::NotCarried;
use dunlin_core::schema::label;
use std::fmt::Write as _;

/// The plan of a copy.
pub fn plan(looked: &Looked) -> String {
    let mut text = String::new();
    for (plan, size) in looked.plan.tables.iter().zip(&looked.sizes) {
        let name = label(plan.source.0.as_deref(), &plan.source.1);
        let target = label(plan.target.0.as_deref(), &plan.target.1);
        let arrow = if name == target {
            String::new()
        } else {
            format!(" -> {target}")
        };
        let rows = if size.counted {
            format!("{} rows", size.rows)
        } else {
            format!("about {} rows", size.rows)
        };
        let _ = writeln!(text, "{name}{arrow} ({rows}, {})", bytes(size.bytes));
        let rows = plan.columns.iter().map(|column| {
            vec![
                format!("  {}", column.source),
                or_none(&column.source_native),
                if column.source == column.target {
                    column.target_native.clone()
                } else {
                    format!("{} {}", column.target, column.target_native)
                },
                match column.misfits {
                    0 => String::new(),
                    misfits => format!("{misfits} do not fit"),
                },
                column.why.clone(),
            ]
        });
        text.push_str(&table::render(
            &["  column", "from", "to", "", "why"],
            rows.collect(),
            &[],
        ));
        text.push('\n');
    }
    text.push_str(&not_carried(&looked.plan.not_carried));
    let (rows, bytes_all) = looked.sizes.iter().fold((0, 0), |(rows, bytes), size| {
        (rows + size.rows, bytes + size.bytes)
    });
    let _ = write!(
        text,
        "{}, {rows} rows, {}",
        count(looked.plan.tables.len(), "table"),
        bytes(bytes_all)
    );
    if let Some(ms) = estimate(looked) {
        let _ = write!(text, "; reading them took {}", duration(ms));
    }
    if let Some(estimate) = looked.estimate {
        let _ = write!(
            text,
            "\nReading and encoding them takes about {} on {}, by a sample of {} rows; what the target does with {} is not in it.",
            duration(estimate.ms),
            count(estimate.sessions as usize, "session"),
            estimate.sampled_rows,
            bytes(estimate.bytes)
        );
    }
    text.push_str("\nNothing has been touched.\n");
    text
}

fn or_none(native: &str) -> String {
    if native.is_empty() {
        "(no type)".into()
    } else {
        native.to_owned()
    }
}

fn estimate(looked: &Looked) -> Option<u64> {
    let rate = looked.rows_per_second?;
    let rows: u64 = looked.sizes.iter().map(|size| size.rows).sum();
    Some((rows as f64 / rate * 1_000.0) as u64)
}

fn not_carried(list: &[NotCarried]) -> String {
    let mut text = String::new();
    if list.is_empty() {
        return text;
    }
    text.push_str("Not carried:\n");
    for item in list {
        let _ = writeln!(text, "  {}: {}", item.object, item.why);
    }
    text.push('\n');
    text
}

/// The plan for programs.
pub fn plan_json(looked: &Looked) -> serde_json::Value {
    let tables: Vec<_> = looked
        .plan
        .tables
        .iter()
        .zip(&looked.sizes)
        .map(|(plan, size)| {
            let columns: Vec<_> = plan
                .columns
                .iter()
                .map(|column| {
                    serde_json::json!({
                        "column": column.source, "from": column.source_native, "target": column.target,
                        "to": column.target_native, "why": column.why, "kind": column.kind, "misfits": column.misfits,
                    })
                })
                .collect();
            serde_json::json!({
                "table": label(plan.source.0.as_deref(), &plan.source.1),
                "target": label(plan.target.0.as_deref(), &plan.target.1),
                "rows": size.rows, "counted": size.counted, "bytes": size.bytes, "columns": columns,
            })
        })
        .collect();
    serde_json::json!({
        "tables": tables, "not_carried": looked.plan.not_carried, "dry_run": true,
        "read_ms": estimate(looked), "estimate": looked.estimate,
    })
}

fn line(copied: &CopiedTable) -> Vec<String> {
    vec![
        if copied.table == copied.target {
            copied.table.clone()
        } else {
            format!("{} -> {}", copied.table, copied.target)
        },
        copied.rows_source.to_string(),
        copied.rows_target.to_string(),
        match copied.rejected {
            0 => String::new(),
            n => n.to_string(),
        },
        match copied.equal {
            Some(true) => "equal".into(),
            Some(false) => "DIFFERENT".into(),
            None => "not verified".into(),
        },
    ]
}

/// What a copy did.
pub fn copied(copied: &Copied) -> String {
    let rows = copied.tables.iter().map(line).collect();
    let mut text = table::render(
        &["table", "rows read", "rows there", "rejected", "proof"],
        rows,
        &[1, 2, 3],
    );
    text.push('\n');
    if !copied.lossy.is_empty() {
        text.push_str("Changed on the way, as planned:\n");
        for lossy in &copied.lossy {
            let _ = writeln!(
                text,
                "  {}.{}: {} ({} rows)",
                lossy.table, lossy.column, lossy.kind, lossy.rows
            );
        }
        text.push('\n');
    }
    text.push_str(&not_carried(&copied.not_carried));
    if let Some(path) = &copied.rejects {
        let _ = writeln!(
            text,
            "{} in {}",
            count(
                usize::try_from(copied.rejected()).unwrap_or(usize::MAX),
                "rejected row"
            ),
            path.display()
        );
    }
    let total: u64 = copied.tables.iter().map(|table| table.rows_target).sum();
    let _ = write!(
        text,
        "{total} rows of {}: loaded in {}, keys and indexes in {}",
        count(copied.tables.len(), "table"),
        duration(copied.rows_ms),
        duration(copied.after_ms)
    );
    match copied.equal {
        Some(true) => {
            let _ = writeln!(
                text,
                "; every row read again in {} and equal",
                duration(copied.verify_ms)
            );
        }
        Some(false) => text.push_str("; NOT ALL ROWS ARE EQUAL\n"),
        None => text.push_str("; not verified\n"),
    }
    text.push_str(&proven(&copied.proven));
    text
}

/// What was tried, shortly.
fn proven(tried: &[Proven]) -> String {
    let of = |outcome: Bites| tried.iter().filter(move |one| one.outcome == outcome);
    if tried.is_empty() {
        return String::new();
    }
    let is_counter = |one: &&Proven| matches!(one.kind, "counter" | "sequence");
    let counters = of(Bites::Proven).filter(is_counter).count();
    let constraints = of(Bites::Proven).count() - counters;
    let mut text = format!(
        "{} and {} tried: each as it must be",
        count(constraints, "constraint"),
        count(counters, "counter")
    );
    for (outcome, words) in [
        (Bites::NotTried, "not tried"),
        (Bites::Failed, "DOES NOT BITE"),
    ] {
        let found: Vec<String> = of(outcome)
            .map(|one| format!("{} {}", one.kind.replace('_', " "), one.object))
            .collect();
        if !found.is_empty() {
            let more = match found.len().checked_sub(NAMED) {
                Some(more) if more > 0 => format!(" and {more} more"),
                _ => String::new(),
            };
            let shown = found[..found.len().min(NAMED)].join("; ");
            let _ = write!(text, "\n{} {words}: {shown}{more}", found.len());
        }
    }
    text.push('\n');
    text
}

/// How many constraints are named in one line.
const NAMED: usize = 8;

/// The same for programs.
pub fn copied_json(copied: &Copied) -> serde_json::Value {
    serde_json::json!({
        "run": copied.run, "tables": copied.tables, "equal": copied.equal, "lossy": copied.lossy,
        "not_carried": copied.not_carried, "rejects": copied.rejects, "proven": copied.proven,
        "rows_ms": copied.rows_ms, "after_ms": copied.after_ms, "verify_ms": copied.verify_ms,
    })
}

/// What a verification found.
pub fn verified(verified: &Verified) -> String {
    let rows = verified.tables.iter().map(|table| {
        let mut line = line(table);
        line.remove(3);
        line
    });
    let mut text = table::render(
        &["table", "rows here", "rows there", "compared"],
        rows.collect(),
        &[1, 2],
    );
    if !verified.differences.is_empty() {
        text.push_str("\nRows that differ:\n");
        for difference in &verified.differences {
            let what = match (difference.side, difference.columns.is_empty()) {
                ("source", _) => "only in the first".into(),
                ("target", _) => "only in the second".into(),
                _ => difference.columns.join(", "),
            };
            let _ = writeln!(text, "  {} {}: {what}", difference.table, difference.key);
        }
        if verified.more {
            text.push_str("  and more\n");
        }
    }
    text.push_str(&repaired(verified));
    text.push_str(if verified.equal {
        "\nequal\n"
    } else {
        "\ndifferent\n"
    });
    text
}

/// What a repair did.
fn repaired(verified: &Verified) -> String {
    let mut text = String::new();
    for table in &verified.tables {
        let Some(done) = table.repaired.filter(|done| done.rows() > 0) else {
            continue;
        };
        if text.is_empty() {
            text.push_str("\nRepaired:\n");
        }
        let _ = writeln!(
            text,
            "  {}: {} inserted, {} updated, {} deleted",
            table.target, done.inserted, done.updated, done.deleted
        );
    }
    if let Some(path) = &verified.kept {
        let _ = writeln!(text, "What was there is kept in {}", path.display());
    }
    text
}

/// The same for programs.
pub fn verified_json(verified: &Verified) -> serde_json::Value {
    serde_json::json!({
        "tables": verified.tables, "equal": verified.equal, "lossy": [], "not_carried": [],
        "differences": verified.differences, "more": verified.more, "kept": verified.kept,
    })
}
