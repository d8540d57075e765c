//! What runs by itself, or shows what is there: listed with its text where it cannot be translated.

use super::Work;
use crate::finding::{Finding, Place};
use crate::schema::View;

impl Work<'_> {
    /// What of a table stays behind.
    pub(super) fn left_behind(&mut self, at: usize) {
        let source = self.source_table(at);
        let label = source.label();
        for trigger in &source.triggers {
            self.notes.lack(
                format!("trigger {} of {label}", trigger.name),
                "triggers speak their engine's own language",
                Some(trigger.definition.clone()),
            );
        }
        for rule in &source.rules {
            self.notes.lack(
                format!("{} {} of {label}", rule.kind.to_lowercase(), rule.name),
                "the target has none of this kind",
                Some(rule.definition.clone()),
            );
        }
        for (option, what) in [
            ("partition_by", "partitions"),
            ("partitioned", "partitions"),
            ("inherits", "inheritance"),
            ("row_security", "row security"),
        ] {
            let value = source.options.get(option).cloned().or_else(|| {
                let more = source.options.get("options")?;
                more.contains(option).then(|| more.clone())
            });
            if let Some(value) = value {
                self.notes.lack(
                    format!("{what} of {label}"),
                    "the table is a plain one there",
                    Some(value),
                );
            }
        }
        if source
            .options
            .get("engine")
            .is_some_and(|engine| !engine.eq_ignore_ascii_case("InnoDB"))
        {
            self.notes.findings.push(Finding::warning(
                "no-snapshot",
                Place::object(&label),
                format!("table {label} is not transactional: what is written while it is read may be seen in part"),
            ));
        }
    }

    /// The views.
    pub(super) fn views(&mut self) {
        for view in &self.source.views {
            let label = crate::schema::label(view.schema.as_deref(), &view.name);
            let schema = view.schema.clone().filter(|_| self.limits.schemas);
            let made = self.view_in(view, &view.name);
            let taken =
                self.target.tables.iter().any(|table| {
                    table.name.eq_ignore_ascii_case(&view.name) && table.schema == schema
                });
            match made {
                Ok(definition) if !taken => self.target.views.push(View {
                    schema,
                    name: view.name.clone(),
                    definition,
                    ..View::default()
                }),
                Ok(_) => self.notes.lack(
                    format!("view {label}"),
                    "a table there has its name",
                    Some(view.definition.clone()),
                ),
                Err(why) => {
                    self.notes
                        .lack(format!("view {label}"), why, Some(view.definition.clone()));
                }
            }
            for trigger in &view.triggers {
                self.notes.lack(
                    format!("trigger {} of {label}", trigger.name),
                    "triggers speak their engine's own language",
                    Some(trigger.definition.clone()),
                );
            }
        }
    }

    /// Objects that belong to no table.
    pub(super) fn objects(&mut self) {
        for routine in &self.source.routines {
            self.notes.lack(
                format!("{} {}", routine.kind.to_lowercase(), routine.name),
                "routines speak their engine's own language",
                routine.definition.clone(),
            );
        }
        for event in &self.source.events {
            self.notes.lack(
                format!("event {}", event.name),
                "the target has no scheduled events of this kind",
                Some(event.definition.clone()),
            );
        }
        for sequence in &self.source.sequences {
            if sequence.owned_by.is_none() {
                self.notes.lack(
                    format!("sequence {}", sequence.name),
                    "it belongs to no column, and the target has none that stand for themselves",
                    sequence.settings.clone(),
                );
            }
        }
        for what in &self.source.unseen {
            self.notes.findings.push(Finding::warning(
                "not-visible",
                Place::object(what),
                format!("{what} of the source are not visible with this user's rights, and cannot be carried"),
            ));
        }
    }
}
