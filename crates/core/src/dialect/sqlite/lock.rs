//! What a statement locks, scans and rewrites: its hazards.

use super::ddl::quote;
use crate::dialect::{Guard, Switch, Watch};
use crate::sql::{Condition, ObjectKind, ObjectRef, StatementClass};

/// A table rebuild (make anew, fill, drop the old, rename the new) drops a table that others refer to. With foreign
/// keys on, the drop deletes its rows first and every cascade fires; so keys are off meanwhile and checked before the
/// commit. And the new table must hold no fewer rows than the old one did.
pub fn guard(statements: &[StatementClass]) -> Option<Guard> {
    let mut watches = vec![];
    for statement in statements {
        for condition in &statement.post {
            let Condition::Missing(dropped) = condition else {
                continue;
            };
            if dropped.kind != ObjectKind::Table || !statement.verb.starts_with("DROP") {
                continue;
            }
            let comes_back = statements.iter().flat_map(|other| &other.post).any(
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
