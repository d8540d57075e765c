//! A catalog beside the one that a backup of it was restored to: what was lost on the way.
//!
//! Servers write some expressions anew when they read back what they themselves have told, so texts are compared in the
//! form in which the dialect says that they survive that. What is there besides is nobody's loss.

use super::{Catalog, Difference, DifferenceKind, Index, Trigger, diff};
use crate::dialect::Dialect;

/// What of `before` is missing in `after`, or different there.
pub fn lost(before: &Catalog, after: &Catalog, dialect: &dyn Dialect) -> Vec<Difference> {
    let (mut before, mut after) = (before.clone(), after.clone());
    let parts = dialect.catalog();
    // What an interrupted build has left serves nobody, and no tool dumps it.
    for table in &mut before.tables {
        table.indexes.retain(|index| !parts.is_unfinished(index));
    }
    for catalog in [&mut before, &mut after] {
        catalog.texts(|text| parts.reloaded(text));
        for extension in &mut catalog.extensions {
            // A dump names them without their version.
            extension.version.clear();
        }
    }
    let mut lost = diff(&before, &after, dialect);
    lost.retain(|difference| difference.kind != DifferenceKind::Extra);
    lost
}

impl Catalog {
    /// Leaves out what cannot be made again from this catalog: a dump says of it that it lacks it.
    pub fn keep_what_can_be_made(&mut self, dialect: &dyn Dialect) {
        use crate::dialect::catalog::Part;
        let parts = dialect.catalog();
        let made = |part: Part<'_>| parts.create(part).is_ok();
        self.extensions.retain(|it| made(Part::Extension(it)));
        self.types.retain(|it| made(Part::Type(it)));
        self.sequences.retain(|it| made(Part::Sequence(it)));
        self.routines.retain(|it| made(Part::Routine(it)));
        self.tables.retain(|it| made(Part::Table(it)));
        self.views.retain(|it| made(Part::View(it)));
        self.events.retain(|it| made(Part::Event(it)));
    }

    /// Changes every SQL text of which servers tell an expression.
    fn texts(&mut self, change: impl Fn(&str) -> String) {
        let some = |text: &mut Option<String>| {
            if let Some(text) = text {
                *text = change(text);
            }
        };
        let indexes = |indexes: &mut Vec<Index>| {
            for index in indexes {
                some(&mut index.predicate);
                some(&mut index.definition);
                some(&mut index.attributes);
                for part in index.parts.iter_mut().filter(|part| part.expression) {
                    part.what = change(&part.what);
                }
            }
        };
        let triggers = |triggers: &mut Vec<Trigger>| {
            for trigger in triggers {
                trigger.definition = change(&trigger.definition);
            }
        };
        for table in &mut self.tables {
            for column in &mut table.columns {
                some(&mut column.default);
                if let Some(generated) = &mut column.generated {
                    generated.expression = change(&generated.expression);
                }
            }
            for key in &mut table.keys {
                some(&mut key.clause);
            }
            for check in &mut table.checks {
                check.clause = change(&check.clause);
            }
            for rule in &mut table.rules {
                rule.definition = change(&rule.definition);
            }
            indexes(&mut table.indexes);
            triggers(&mut table.triggers);
            some(&mut table.definition);
        }
        for view in &mut self.views {
            view.definition = change(&view.definition);
            indexes(&mut view.indexes);
            triggers(&mut view.triggers);
        }
        for named in &mut self.types {
            named.definition = change(&named.definition);
        }
    }
}
