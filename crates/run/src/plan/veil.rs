//! Passwords that steps give somebody: the journal does not hold them, the plan does.

use super::Walk;
use dunlin_core::journal::plan::step_key;
use dunlin_core::plan::steps::veil::Written;
use dunlin_core::source::plan::StepDoc;
use std::collections::btree_map::Entry;

impl Walk<'_, '_> {
    /// The statements that the author wrote for a step.
    pub(super) fn written(&self, step: &StepDoc) -> Written {
        let work = &*self.runner.work;
        Written::of(step, work.dialect(), work.lex_mode())
    }

    /// Gives recorded statements the passwords again that the journal does not hold. Of a step whose statements are others
    /// by now it is then not known what it did.
    pub(super) fn take_passwords(&mut self) {
        let doc = self.ask.doc;
        for phase in &doc.phases {
            for step in &phase.steps {
                let key = step_key(&doc.name, &phase.id, &step.id);
                let lowered = self.history.lowered.entry(key.clone());
                let Entry::Occupied(recorded) = lowered else {
                    continue;
                };
                if !recorded.get().is_veiled() {
                    continue;
                }
                let recorded = recorded.remove();
                let written = self.written(step);
                if let Some(operations) = recorded.unveiled(&written) {
                    self.history.lowered.insert(key, operations);
                }
            }
        }
    }
}
