//! What undos destroy, and of which nobody is asked before they do.

use super::Scene;
use crate::plan::look::Classed;
use crate::steps::storage;
use dunlin_core::plan::lower::Storage;
use dunlin_core::plan::{alone, unasked};
use dunlin_core::preflight::{Checked, undo};
use dunlin_core::redact::head_of;
use dunlin_core::source::plan::{StepSpec, UndoSpec};
use dunlin_core::sql::StatementClass;
use dunlin_engines::Session;

/// What undos that somebody wrote destroy, and of which nobody can ask.
pub(super) fn of_unasked(scene: &Scene<'_>, session: &dyn Session) -> Vec<Checked> {
    let (dialect, lex) = (session.dialect(), session.lex_mode());
    let mut found = vec![];
    for step in scene.ahead.iter().flat_map(|phase| &phase.steps) {
        let Some(look) = scene.looks.get(&step.id) else {
            continue;
        };
        let migrates = matches!(step.kind, StepSpec::Migrate { .. });
        match &step.undo {
            UndoSpec::Sql(_) => {}
            UndoSpec::Derive if migrates => {}
            _ => continue,
        }
        // Each migration has an undo of its own.
        for undo in look.undo.chunk_by(|a, b| a.place.file == b.place.file) {
            let statements: Vec<_> = undo
                .iter()
                .map(|one| (one.sql.as_str(), &one.class))
                .collect();
            for (at, what) in unasked::among(&statements, dialect, lex) {
                found.push(undo::Destroys {
                    step: step.id.clone(),
                    head: head_of(&undo[at].sql),
                    what,
                    place: undo[at].place.clone(),
                });
            }
        }
    }
    undo::unasked(&found)
}

/// What others write while a step runs and what counts as its own then. Where nothing is known of the storage of tables, of
/// those nothing is said.
pub(super) async fn of_alone(scene: &Scene<'_>, session: &mut dyn Session) -> Vec<Checked> {
    let steps = scene.ahead.iter().flat_map(|phase| &phase.steps);
    let looks: Vec<_> = steps
        .filter_map(|step| Some((step, scene.looks.get(&step.id)?)))
        .filter(|(_, look)| !look.is_done && !look.undo.is_empty())
        .collect();
    let mut storage = Storage::default();
    let mut asked = vec![];
    let up = looks.iter().flat_map(|(_, look)| &look.up);
    let classes: Vec<StatementClass> = up.map(|one| one.class.clone()).collect();
    storage::written(&classes, &storage, &mut asked);
    let _ = storage::ask(session, asked, &mut storage).await;
    let known = alone::Known {
        dialect: session.dialect(),
        lex: session.lex_mode(),
        caps: session.caps(),
        storage: &storage,
    };
    let mut found = vec![];
    for (step, look) in looks {
        let [up, undo] = [&look.up, &look.undo].map(|all| {
            let each = all.iter();
            each.map(|one: &Classed| (one.sql.as_str(), &one.class))
                .collect::<Vec<_>>()
        });
        for (at, tables) in alone::among(&up, &undo, known) {
            found.push(undo::Alone {
                step: step.id.clone(),
                head: head_of(&look.up[at].sql),
                tables,
                place: look.up[at].place.clone(),
            });
        }
    }
    undo::alone(&found)
}
