//! The tables that a unit has made itself, through the names that it gives them.

use super::counted::{counted_of, is_same};
use super::migrate::Unit;
use crate::executor::Runner;
use dunlin_core::plan::inverse::{self, Renames};
use dunlin_core::sql::{Condition, ObjectKind, ObjectRef, StatementClass};

/// A table that the unit has made, and that is there still.
pub(super) struct Made {
    /// Its names, each with the statement that gave it; the one that it has now last.
    names: Vec<(usize, ObjectRef)>,
}

impl Made {
    /// The name that it has now.
    pub(super) fn now(&self) -> Option<&ObjectRef> {
        self.names.last().map(|(_, name)| name)
    }

    /// The name that it has when a statement runs.
    pub(super) fn at(&self, statement: usize) -> Option<&ObjectRef> {
        let mut names = self.names.iter().rev();
        let name = names.find(|(from, _)| *from < statement);
        name.map(|(_, name)| name)
    }

    /// Whether it has or had a name.
    pub(super) fn is_named(&self, name: &str) -> bool {
        let mut names = self.names.iter();
        names.any(|(_, known)| known.name.eq_ignore_ascii_case(name))
    }

    /// Whether a name for a table is one that it has or had.
    pub(super) fn is(&self, table: &ObjectRef, default: &str) -> bool {
        let mut names = self.names.iter();
        names.any(|(_, known)| is_same(known, table, default) == Some(true))
    }

    /// Whether it may be one.
    pub(super) fn may_be(&self, table: &ObjectRef, default: &str) -> bool {
        let mut names = self.names.iter();
        names.any(|(_, known)| is_same(known, table, default) != Some(false))
    }

    /// How many rows the unit has put into it; `None`: that is not known, for it has changed or removed some.
    pub(super) fn wrote(&self, runner: &Runner<'_>, default: &str) -> Option<u64> {
        let names = self.names.iter();
        let mut wrote = names.flat_map(|(_, name)| counted_of(&runner.wrote, name, default));
        wrote.try_fold(0_u64, |all, rows| Some(all.saturating_add(rows?)))
    }
}

/// What each statement of a unit gives another name.
pub(super) fn renames(runner: &Runner<'_>, unit: &Unit<'_>) -> Vec<Renames> {
    let (dialect, lex) = (runner.work.dialect(), runner.work.lex_mode());
    let script = unit.script.statements.iter();
    script
        .map(|statement| inverse::renames(&statement.sql, dialect, lex))
        .collect()
}

/// The tables that these statements make, and that are there when those before `end` have run: those that have gone since
/// are nobody's any more, and those that have got another name are there under that.
pub(super) fn tables(
    unit: &Unit<'_>,
    makes: impl Iterator<Item = usize>,
    end: usize,
    renames: &[Renames],
) -> Vec<Made> {
    let classes = &unit.lowered.classes;
    let mut found = vec![];
    for at in makes {
        let tables = classes[at]
            .post
            .iter()
            .filter_map(|condition| match condition {
                Condition::Exists(object) if object.kind == ObjectKind::Table => Some(object),
                _ => None,
            });
        // What only gets this name was made before, or by somebody else.
        let tables = tables.filter(|table| renames[at].iter().all(|(_, to)| to != *table));
        for table in tables {
            let after = (at + 1..end).map(|at| (at, &classes[at], &renames[at]));
            found.extend(names_of((at, table), after).map(|names| Made { names }));
        }
    }
    found
}

/// The names that a table gets by these statements. `None`: it goes.
fn names_of<'u>(
    (at, table): (usize, &ObjectRef),
    after: impl Iterator<Item = (usize, &'u StatementClass, &'u Renames)>,
) -> Option<Vec<(usize, ObjectRef)>> {
    let mut names = vec![(at, table.clone())];
    let mut last = table.clone();
    for (at, class, renames) in after {
        let before = names.len();
        for (from, to) in renames {
            if *from == last {
                last = to.clone();
                names.push((at, to.clone()));
            }
        }
        if names.len() == before && class.post.contains(&Condition::Missing(last.clone())) {
            return None;
        }
    }
    Some(names)
}
