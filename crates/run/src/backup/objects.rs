//! The statements that a tool wrote for the objects of a database, in the order in which they are run again: what makes
//! rows possible, then the rows, then what would have been in their way.

use dunlin_core::dialect::Dialect;
use dunlin_core::failure::Failure;
use dunlin_core::schema::Catalog;
use dunlin_core::sql::split::split;
use dunlin_core::sql::{
    Condition, Kind, LexMode, ObjectKind, ObjectRef, PieceKind, StatementClass,
};

/// Statements before the rows and after them.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Objects {
    /// Tables, views and routines.
    pub(super) before: Vec<String>,
    /// Triggers and events, each in the session that it was made in.
    pub(super) after: Vec<String>,
}

impl Objects {
    /// Reads a tool's script. Routines and events that are not ours, which a tool cannot be asked to leave out, are left
    /// out here.
    pub(super) fn of(
        script: &str,
        catalog: &Catalog,
        dialect: &dyn Dialect,
    ) -> Result<Objects, Failure> {
        let mode = LexMode::default();
        let (pieces, faults) = split(script, &dialect.lex_rules(&mode));
        if let Some(fault) = faults.first() {
            let message = format!("the tool's dump cannot be read: {}", fault.message);
            return Err(Failure::refused("backup-file", message));
        }
        let mut objects = Objects::default();
        let mut late = false;
        for piece in pieces {
            let PieceKind::Statement(span) = piece.kind else {
                continue;
            };
            let sql = &script[span];
            let class = dialect.classify(sql, &mode);
            if class.kind == Kind::Session {
                // The settings around a statement are pure: both halves run all of them.
                objects.before.push(sql.to_owned());
                objects.after.push(sql.to_owned());
            } else if made(&class)
                .any(|object| is(object, &[ObjectKind::Trigger, ObjectKind::Event]))
            {
                if made(&class).all(|object| ours(object, catalog)) {
                    late = true;
                    objects.after.push(sql.to_owned());
                }
            } else if made(&class).all(|object| ours(object, catalog)) {
                objects.before.push(sql.to_owned());
            }
        }
        if !late {
            objects.after.clear();
        }
        Ok(objects)
    }
}

/// What a statement makes or drops.
fn made(class: &StatementClass) -> impl Iterator<Item = &ObjectRef> {
    class.post.iter().filter_map(|condition| match condition {
        Condition::Exists(object) | Condition::Missing(object) => Some(object),
        _ => None,
    })
}

fn is(object: &ObjectRef, kinds: &[ObjectKind]) -> bool {
    kinds.contains(&object.kind)
}

fn ours(object: &ObjectRef, catalog: &Catalog) -> bool {
    let named = |name: &str| name.eq_ignore_ascii_case(&object.name);
    match object.kind {
        ObjectKind::Function | ObjectKind::Procedure => {
            catalog.routines.iter().any(|routine| named(&routine.name))
        }
        ObjectKind::Event => catalog.events.iter().any(|event| named(&event.name)),
        _ => true,
    }
}

#[cfg(test)]
#[path = "objects_tests.rs"]
mod tests;
