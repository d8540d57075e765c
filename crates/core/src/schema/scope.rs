//! Which objects of a database count: what is ours (`owns`), what is others' but needed (`borrows`), never the
//! journal's own tables.

use super::{Catalog, label};
use crate::dialect::JournalNames;

/// What of a database is looked at.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scope {
    /// Patterns of what is ours; empty: everything.
    pub owns: Vec<String>,
    /// Patterns of what is others'.
    pub borrows: Vec<String>,
    /// The journal's schema, where it is not the default one.
    pub journal_schema: Option<String>,
    /// The journal's own tables.
    pub journal: Vec<String>,
}

impl Scope {
    /// A scope that leaves out the journal's tables.
    pub fn new(
        owns: Vec<String>,
        borrows: Vec<String>,
        names: &JournalNames,
        journal: Vec<String>,
    ) -> Self {
        let journal_schema = names.schema.clone().filter(|schema| schema != "public");
        Scope {
            owns,
            borrows,
            journal_schema,
            journal,
        }
    }

    fn is_journal(&self, schema: Option<&str>, name: &str) -> bool {
        self.journal_schema.as_deref() == schema && self.journal.iter().any(|table| table == name)
    }

    /// Whether an object is ours.
    pub fn owns(&self, schema: Option<&str>, name: &str) -> bool {
        !self.is_journal(schema, name)
            && crate::source::pattern::owned(&self.owns, Some(schema.unwrap_or("public")), name)
            && !(self.owns.is_empty() && self.borrows(schema, name))
    }

    /// Whether an object is others', but needed.
    pub fn borrows(&self, schema: Option<&str>, name: &str) -> bool {
        !self.is_journal(schema, name)
            && crate::source::pattern::any(&self.borrows, Some(schema.unwrap_or("public")), name)
    }
}

impl Catalog {
    /// What is ours.
    #[must_use]
    pub fn owned(&self, scope: &Scope) -> Catalog {
        self.filtered(|schema, name| scope.owns(schema, name), scope)
    }

    /// What is others' and needed.
    #[must_use]
    pub fn borrowed(&self, scope: &Scope) -> Catalog {
        self.filtered(
            |schema, name| scope.borrows(schema, name) && !scope.owns(schema, name),
            scope,
        )
    }

    fn filtered(&self, keep: impl Fn(Option<&str>, &str) -> bool, scope: &Scope) -> Catalog {
        let mut catalog = self.clone();
        catalog
            .tables
            .retain(|table| keep(table.schema.as_deref(), &table.name));
        catalog
            .views
            .retain(|view| keep(view.schema.as_deref(), &view.name));
        catalog
            .routines
            .retain(|routine| keep(routine.schema.as_deref(), &routine.name));
        catalog
            .types
            .retain(|named| keep(named.schema.as_deref(), &named.name));
        catalog.events.retain(|event| keep(None, &event.name));
        // A sequence that a column owns belongs to whoever the column's table belongs to.
        catalog
            .sequences
            .retain(|sequence| match &sequence.owned_by {
                Some(column) => {
                    let table = column
                        .rsplit_once('.')
                        .map_or(column.as_str(), |(table, _)| table)
                        .replace('"', "");
                    let kept = catalog
                        .tables
                        .iter()
                        .any(|kept| label(kept.schema.as_deref(), &kept.name) == table);
                    let journal = scope.journal.contains(&table);
                    kept || (!journal
                        && keep(sequence.schema.as_deref(), &sequence.name)
                        && scope.owns.is_empty())
                }
                None => keep(sequence.schema.as_deref(), &sequence.name),
            });
        catalog
    }
}
