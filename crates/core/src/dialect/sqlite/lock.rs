//! What a statement locks, scans and rewrites: its hazards.

use super::ddl::quote;
use crate::dialect::{Guard, Switch, Watch};
use crate::sql::change::{Change, Ddl};
use crate::sql::outside::WaysOut;
use crate::sql::rows::Written;
use crate::sql::{Condition, Hazard, ObjectKind, ObjectRef, StatementClass};

/// What leads out of a file here.
pub const WAYS_OUT: WaysOut = WaysOut {
    verbs: &["ATTACH", "DETACH"],
    words: &[],
    named: &[],
    calls: &["load_extension", "writefile", "edit"],
    runs_text: &[],
};

/// A table rebuild (make anew, fill, drop the old, rename the new) drops a table that others refer to. With foreign
/// keys on, the drop deletes its rows first and every cascade fires; so keys are off meanwhile and checked before the
/// commit. And the new table must hold no fewer rows than the old one did.
pub fn guard(statements: &[StatementClass]) -> Option<Guard> {
    let mut watches = vec![];
    for (at, statement) in statements.iter().enumerate() {
        for condition in &statement.post {
            let Condition::Missing(dropped) = condition else {
                continue;
            };
            if dropped.kind != ObjectKind::Table || !statement.verb.starts_with("DROP") {
                continue;
            }
            // After the drop: what is only made, used and dropped here is no rebuild.
            let comes_back = statements[at..].iter().flat_map(|other| &other.post).any(
                |other| matches!(other, Condition::Exists(made) if made.kind == ObjectKind::Table && same(made, dropped)),
            );
            if comes_back {
                let count = format!("SELECT count(*) FROM {}", quote(&dropped.name));
                watches.push(Watch {
                    code: "rebuild-loses-rows",
                    before: count.clone(),
                    after: count,
                    may_not_grow: false,
                    what: format!("rows of {}", dropped.name),
                });
            }
        }
    }
    if watches.is_empty() {
        return None;
    }
    let broken = "SELECT count(*) FROM pragma_foreign_key_check".to_owned();
    watches.push(Watch {
        code: "rebuild-breaks-keys",
        before: broken.clone(),
        after: broken,
        may_not_grow: true,
        what: "rows without the row they refer to".into(),
    });
    let switches = vec![Switch {
        read: "PRAGMA foreign_keys".into(),
        set: "PRAGMA foreign_keys = OFF".into(),
        restore: "PRAGMA foreign_keys = {}".into(),
    }];
    Some(Guard { switches, watches })
}

fn same(a: &ObjectRef, b: &ObjectRef) -> bool {
    a.name.eq_ignore_ascii_case(&b.name)
}

fn hazard(code: &'static str, message: String) -> Hazard {
    Hazard { code, message }
}

/// What a DDL statement does to others: one writes at a time, so whatever takes long makes every writer wait.
pub fn hazards(ddl: &Ddl) -> Vec<Hazard> {
    if ddl.temporary {
        return vec![];
    }
    ddl.changes.iter().flat_map(of_change).collect()
}

fn of_change(change: &Change) -> Vec<Hazard> {
    match change {
        Change::Drop(object) if object.kind == ObjectKind::Table => {
            vec![hazard(
                "data-loss",
                format!("{object} goes with everything in it"),
            )]
        }
        Change::Drop(object) if object.kind == ObjectKind::Column => vec![
            hazard("data-loss", format!("{object} goes with everything in it")),
            hazard(
                "table-rewrite",
                "every row is written anew, and writers wait".into(),
            ),
        ],
        Change::AddIndex { index, .. } => vec![hazard(
            "blocking-index",
            format!("writers wait while {index} is built"),
        )],
        Change::AddColumn(column, facts) => {
            let mut found = vec![];
            if facts.check {
                found.push(hazard(
                    "lock-table-scan",
                    format!("every row is looked at for the CHECK of {column}"),
                ));
            }
            if facts.not_null && !facts.default && !facts.is_virtual {
                let message =
                    format!("{column} is NOT NULL without a default: the statement fails");
                found.push(hazard("not-null-without-default", message));
            }
            found
        }
        Change::Rename(from, _) if from.kind == ObjectKind::Column => {
            vec![hazard(
                "rename-breaks-clients",
                format!("whoever still says {from} fails from this moment on"),
            )]
        }
        _ => vec![],
    }
}

/// The whole file is written anew.
pub fn of_vacuum() -> Vec<Hazard> {
    vec![hazard(
        "table-rewrite",
        "the whole file is written anew, and everyone waits".into(),
    )]
}

/// What a statement on rows does to others.
pub fn of_rows(written: &Written) -> Vec<Hazard> {
    if !written.every_row {
        return vec![];
    }
    let tables: Vec<String> = written.tables.iter().map(ToString::to_string).collect();
    let what = if written.verb == "DELETE" {
        "deletes"
    } else {
        "overwrites"
    };
    vec![hazard(
        "data-loss",
        format!(
            "it has no WHERE: it {what} every row of {}",
            tables.join(", ")
        ),
    )]
}
