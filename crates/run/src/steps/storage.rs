//! What is known of the storage of tables during a run: asked once for each table, learnt on the way where the run itself
//! shows it, and forgotten when a statement may have changed it.

use crate::executor::Runner;
use crate::settle::Shown;
use crate::trouble;
use dunlin_core::failure::Failure;
use dunlin_core::plan::lower::Storage;
use dunlin_core::sql::{Condition, Kind, ObjectKind, ObjectRef, SessionState, StatementClass};
use dunlin_engines::{DbError, Session};

/// Asks for the storage of tables whose rows these statements write and of which nothing is known yet.
pub async fn learn(runner: &mut Runner<'_>, classes: &[StatementClass]) -> Result<(), Failure> {
    let mut unknown = vec![];
    written(classes, &runner.storage, &mut unknown);
    ask(&mut *runner.work, unknown, &mut runner.storage)
        .await
        .map_err(|error| trouble::refused(&error, "cannot ask for the storage of tables"))
}

/// The tables whose rows these statements write, where nothing is known of them yet.
pub fn written(classes: &[StatementClass], storage: &Storage, into: &mut Vec<ObjectRef>) {
    let unknown = |table: &&ObjectRef| {
        let name = table.name.to_lowercase();
        table.kind == ObjectKind::Table && !storage.transactional.contains_key(&name)
    };
    let writing = classes
        .iter()
        .filter(|class| matches!(class.kind, Kind::Dml | Kind::CopyIn));
    into.extend(writing.flat_map(|class| class.touches.iter().filter(unknown).cloned()));
}

/// Asks for the storage of tables. The catalog alone is asked: nobody's lock on a table is in the way.
pub async fn ask(
    session: &mut dyn Session,
    mut asked: Vec<ObjectRef>,
    storage: &mut Storage,
) -> Result<(), DbError> {
    let dialect = session.dialect();
    asked.sort();
    asked.dedup();
    // 500 at a time: a bound on parameters.
    for asked in asked.chunks(500) {
        let Some(query) = dialect.storage(asked) else {
            return Ok(());
        };
        for row in session.query(&query.sql, &query.params).await? {
            let name = row
                .get(1)
                .and_then(|value| value.as_str())
                .unwrap_or_default()
                .to_lowercase();
            let logged = row
                .get(2)
                .and_then(|value| value.as_bool())
                .unwrap_or(false);
            // One name in several schemas: the cautious answer counts.
            let known = storage.transactional.entry(name).or_insert(true);
            *known = *known && logged;
        }
    }
    Ok(())
}

/// Learns from what the catalog showed before a statement changes a table.
pub fn learn_from(runner: &mut Runner<'_>, class: &StatementClass, shown: &Shown) {
    if !keeps_storage(class) {
        return;
    }
    let dialect = runner.work.dialect();
    for (object, text) in class.touches.iter().zip(&shown.texts) {
        // A table of another schema may bear the same name: that is for the cautious question to find out.
        let plain = object.kind == ObjectKind::Table && object.schema.is_none();
        let told = text.as_deref().and_then(|text| dialect.storage_in(text));
        if let (true, Some(logged)) = (plain, told) {
            let name = object.name.to_lowercase();
            runner.storage.transactional.entry(name).or_insert(logged);
        }
    }
}

/// Notes what a statement that has run did to the storage of its tables.
pub fn note(runner: &mut Runner<'_>, class: &StatementClass) {
    if class.kind != Kind::Ddl || keeps_storage(class) {
        return;
    }
    let storage_engines = runner.work.caps().storage_engines;
    let known = &mut runner.storage.transactional;
    for table in tables(class) {
        known.remove(&table.name.to_lowercase());
    }
    // A table that was made just now, where it can only be of one kind.
    let [Condition::Exists(made)] = class.post.as_slice() else {
        return;
    };
    let plain = made.kind == ObjectKind::Table
        && made.schema.is_none()
        && class.touches.as_slice() == std::slice::from_ref(made);
    if plain && !storage_engines && !class.if_not_exists && class.state == SessionState::None {
        known.insert(made.name.to_lowercase(), !class.unlogged);
    }
}

fn tables(class: &StatementClass) -> impl Iterator<Item = &ObjectRef> {
    class
        .touches
        .iter()
        .filter(|object| object.kind == ObjectKind::Table)
}

/// Whether the tables that a statement touches are of the same storage, under the same names, after it: it makes or drops
/// parts of them.
fn keeps_storage(class: &StatementClass) -> bool {
    let of_a_part = |condition: &Condition| {
        matches!(condition, Condition::Exists(object) | Condition::Missing(object)
            if matches!(object.kind, ObjectKind::Column | ObjectKind::Index | ObjectKind::Constraint))
    };
    !class.post.is_empty()
        && class.post.iter().all(of_a_part)
        && class.storage.is_none()
        && !class.unlogged
        && !class.swap
}
