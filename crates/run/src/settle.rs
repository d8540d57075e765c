//! The probe: what is seen before a statement that cannot share a commit with its record, and what settles the doubt
//! when its end is not known. By these rules and by nothing weaker (invariant 7).

use crate::executor::Runner;
use crate::steps::block::describe;
use crate::steps::guard::switch_on;
use crate::steps::migrate::Unit;
use crate::trouble;
use dunlin_core::dialect::Dialect;
use dunlin_core::event::Event;
use dunlin_core::failure::{ErrorClass, Failure, FailureClass};
use dunlin_core::journal::BlockDetail;
use dunlin_core::plan::lower::Block;
use dunlin_core::redact::head_of;
use dunlin_core::sql::{Condition, Kind, ObjectKind, ObjectRef, StatementClass};
use dunlin_core::value::{Query, Value};
use dunlin_engines::DbError;

/// What a probe says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It took effect.
    Done,
    /// It did not.
    NotDone,
    /// Nobody knows, and it may be run again without harm: that makes it sure.
    Again,
    /// No rule tells.
    Unknown,
}

/// What is seen before a statement begins.
pub async fn look(
    runner: &mut Runner<'_>,
    unit: &Unit<'_>,
    at: usize,
) -> Result<BlockDetail, Failure> {
    let statement = &unit.script.statements[at];
    let class = &unit.lowered.classes[at];
    let mut seen = BlockDetail {
        head: head_of(&statement.sql),
        line: Some(statement.line),
        ..BlockDetail::default()
    };
    let wrong = |error| trouble::failed(&error, "cannot look at what the statement will change");
    let mut there = Shown::default();
    if class.catalog_only && !class.swap {
        there = fingerprint(runner, &class.touches).await.map_err(wrong)?;
        seen.catalog = there.hash.take();
        crate::steps::storage::learn_from(runner, class, &there);
    }
    for condition in &class.post {
        // The fingerprint has told already what is there: one question less for most statements.
        let dialect = runner.work.dialect();
        let known = match condition {
            Condition::Exists(object) => there.has(&class.touches, object, dialect),
            Condition::Missing(object) => there
                .has(&class.touches, object, dialect)
                .map(|there| !there),
            _ => None,
        };
        seen.held.push(match known {
            Some(held) => held,
            None => holds(runner, condition)
                .await
                .map_err(wrong)?
                .unwrap_or(false),
        });
    }
    Ok(seen)
}

/// What the catalog shows of some objects.
#[derive(Default)]
pub struct Shown {
    /// One hash over all of it; none where the engine cannot tell of one of them.
    hash: Option<String>,
    /// For each object its text; `None`: it is not there. Empty where the engine cannot tell.
    pub texts: Vec<Option<String>>,
}

impl Shown {
    /// Whether an object is there, as far as this tells.
    fn has(
        &self,
        objects: &[ObjectRef],
        object: &ObjectRef,
        dialect: &dyn Dialect,
    ) -> Option<bool> {
        let is_table = |other: &&ObjectRef, name: &str| {
            other.kind == ObjectKind::Table && other.schema == object.schema && other.name == name
        };
        let text_of = |name: &str| {
            let at = objects.iter().position(|other| is_table(&other, name))?;
            self.texts.get(at)
        };
        match (&object.parent, object.kind) {
            (_, ObjectKind::Table) => text_of(&object.name).map(Option::is_some),
            (Some(table), _) => match text_of(table)? {
                Some(text) => dialect.presence_in(text, object),
                // Without its table there is no column of it; an index of that name may stand on another.
                None => (object.kind == ObjectKind::Column).then_some(false),
            },
            _ => None,
        }
    }
}

/// Whether a condition holds; `None` where the engine cannot tell.
pub(crate) async fn holds(
    runner: &mut Runner<'_>,
    condition: &Condition,
) -> Result<Option<bool>, DbError> {
    let Some(query) = runner.work.dialect().probe(condition) else {
        return Ok(None);
    };
    match runner.work.query(&query.sql, &query.params).await {
        Ok(rows) => Ok(Some(
            rows.first()
                .and_then(|row| row.first())
                .and_then(Value::as_bool)
                .unwrap_or(false),
        )),
        // Asked about something inside of a table that is not there.
        Err(error) if error.class == ErrorClass::ObjectMissing => {
            Ok(Some(matches!(condition, Condition::Missing(_))))
        }
        Err(error) => Err(error),
    }
}

/// What the catalog shows of some objects. No hash where the engine cannot tell of one of them.
async fn fingerprint(runner: &mut Runner<'_>, objects: &[ObjectRef]) -> Result<Shown, DbError> {
    let mut shown = Shown::default();
    if objects.is_empty() {
        return Ok(shown);
    }
    // An index shows as its table does, which is often named beside it.
    let mut asked: Vec<Query> = vec![];
    for object in objects {
        let dialect = runner.work.dialect();
        let Some(query) = dialect.fingerprint(object) else {
            return Ok(Shown::default());
        };
        let text = match asked.iter().position(|other| *other == query) {
            Some(at) => shown.texts[at].clone(),
            None => {
                let rows = match runner.work.query(&query.sql, &query.params).await {
                    Err(error)
                        if matches!(
                            error.class,
                            ErrorClass::ObjectMissing | ErrorClass::DatabaseMissing
                        ) =>
                    {
                        vec![]
                    }
                    rows => rows?,
                };
                dialect.read_fingerprint(&rows)
            }
        };
        asked.push(query);
        shown.texts.push(text);
    }
    shown.hash = Some(hash_of(&shown.texts));
    Ok(shown)
}

/// Drops the index that the server made by itself for a foreign key of this statement and that stays when the key is
/// dropped: where the catalog shows without it what it showed when the statement began, and only there.
pub async fn drop_made_beside(
    runner: &mut Runner<'_>,
    class: &StatementClass,
    began: &BlockDetail,
) -> Result<(), DbError> {
    let keys = class.post.iter().filter_map(|condition| match condition {
        Condition::Exists(object) if object.kind == ObjectKind::Constraint => Some(object),
        _ => None,
    });
    let keys: Vec<&ObjectRef> = keys.collect();
    let Some(before) = began.catalog.as_ref().filter(|_| !keys.is_empty()) else {
        return Ok(());
    };
    let now = fingerprint(runner, &class.touches).await?;
    if now.hash.as_ref() == Some(before) {
        return Ok(());
    }
    let (mut texts, mut drops) = (now.texts, vec![]);
    for key in keys {
        for (object, text) in class.touches.iter().zip(&mut texts) {
            let of_key = object.schema == key.schema
                && object.parent.as_ref().unwrap_or(&object.name)
                    == key.parent.as_ref().unwrap_or(&key.name);
            let dialect = runner.work.dialect();
            let without = text.as_deref().filter(|_| of_key);
            let without = without.and_then(|text| dialect.without_index_of(text, key));
            if let Some((rest, drop)) = without {
                *text = Some(rest);
                drops.push(drop);
            }
        }
    }
    drops.dedup();
    if hash_of(&texts) == *before {
        for drop in &drops {
            runner.work.execute(drop).await?;
        }
    }
    Ok(())
}

/// Drops the indexes that the server made by itself for these foreign keys, which are gone. One that something else needs
/// by now stays.
pub async fn drop_indexes_of(runner: &mut Runner<'_>, keys: &[ObjectRef]) -> Result<(), DbError> {
    for key in keys {
        let shown = fingerprint(runner, std::slice::from_ref(key)).await?;
        let text = shown.texts.first().and_then(Option::as_deref);
        let dialect = runner.work.dialect();
        let Some((_, drop)) = text.and_then(|text| dialect.without_index_of(text, key)) else {
            continue;
        };
        if let Err(error) = runner.work.execute(&drop).await {
            let message = format!("the index of {key} was left: {}", error.message);
            runner.sink.event(&Event::Note { message });
        }
    }
    Ok(())
}

fn hash_of(texts: &[Option<String>]) -> String {
    let mut hasher = dunlin_core::hash::Hasher::new();
    for text in texts {
        hasher.part(text.as_deref().unwrap_or("absent").as_bytes());
    }
    hasher.hex()
}

/// Drops what an interrupted index build of this statement left behind. Gives what was dropped.
pub async fn drop_leftovers(
    runner: &mut Runner<'_>,
    class: &StatementClass,
) -> Result<Vec<String>, DbError> {
    let mut dropped = vec![];
    let made = class.post.iter().filter_map(|condition| match condition {
        Condition::Exists(object) => Some((object, true)),
        _ => None,
    });
    // What maintenance names was there before it: only what stands beside it under a name made from its own may go.
    let maintained = (class.kind == Kind::Maintenance).then_some(&class.touches);
    let maintained = maintained
        .into_iter()
        .flatten()
        .map(|object| (object, false));
    for (object, itself) in made.chain(maintained) {
        let built = object.kind == ObjectKind::Index || !itself;
        let query = built
            .then(|| runner.work.dialect().invalid_index(object))
            .flatten();
        let Some(query) = query else { continue };
        for row in runner.work.query(&query.sql, &query.params).await? {
            let name = row.get(1).and_then(Value::as_str).unwrap_or_default();
            let Some(statement) = row.get(2).and_then(Value::as_str) else {
                continue;
            };
            if itself || name != object.name {
                runner.work.execute(statement).await?;
                dropped.push(name.to_owned());
            }
        }
    }
    Ok(dropped)
}

/// The same with the block's switches on: a concurrent drop waits for others as the build does.
async fn drop_interrupted(
    runner: &mut Runner<'_>,
    block: &Block,
    class: &StatementClass,
) -> Result<Vec<String>, DbError> {
    let guard = block.guard.clone().unwrap_or_default();
    let switches = switch_on(&mut *runner.work, &guard).await?;
    let dropped = drop_leftovers(runner, class).await;
    for statement in switches {
        // A lost connection takes its switches with it; any other failure here shows at the next statement.
        let _ = runner.work.execute(&statement).await;
    }
    dropped
}

/// Settles a block that began and whose end is not known.
pub async fn settle(
    runner: &mut Runner<'_>,
    unit: &Unit<'_>,
    block: &Block,
    seen: &BlockDetail,
) -> Result<(Verdict, String), Failure> {
    let at = block.statements.start;
    let class = unit.lowered.classes[at].clone();
    let statement = &unit.script.statements[at];
    let wrong = |error| trouble::refused(&error, "cannot look whether the statement took effect");
    if let Some(verdict) = by_postcondition(runner, &class, seen)
        .await
        .map_err(wrong)?
    {
        return Ok(verdict);
    }
    let left = drop_interrupted(runner, block, &class)
        .await
        .map_err(wrong)?;
    if !left.is_empty() {
        let why = format!(
            "its interrupted build left the unusable index {}, which was dropped",
            left.join(", ")
        );
        return Ok((Verdict::NotDone, why));
    }
    if class.catalog_only
        && !class.swap
        && seen.catalog.is_some()
        && fingerprint(runner, &class.touches)
            .await
            .map_err(wrong)?
            .hash
            == seen.catalog
    {
        return Ok((
            Verdict::NotDone,
            "the catalog is as it was when the statement began".into(),
        ));
    }
    if let Some(verdict) = rest_of_drops(runner, &class, seen).await.map_err(wrong)? {
        return Ok(verdict);
    }
    if let Some(probe) = &statement.probe {
        let yes = match runner.work.query(probe, &[]).await {
            Ok(rows) => rows
                .first()
                .and_then(|row| row.first())
                .and_then(Value::as_bool)
                .unwrap_or(false),
            // It asks about what the statement makes, and that is not there.
            Err(error) if error.class == ErrorClass::ObjectMissing => false,
            Err(error) => return Err(wrong(error)),
        };
        let verdict = if yes { Verdict::Done } else { Verdict::NotDone };
        return Ok((verdict, "the script's own probe says so".into()));
    }
    if block.rerunnable {
        return Ok((Verdict::Again, "it may be run again without harm".into()));
    }
    Ok((
        Verdict::Unknown,
        "no rule tells whether it took effect".into(),
    ))
}

/// Settles a block whose undo began: what it had made is there (the undo did not take effect) or is not.
pub async fn settle_undo(
    runner: &mut Runner<'_>,
    unit: &Unit<'_>,
    block: &Block,
    seen: &BlockDetail,
) -> Result<(Verdict, String), Failure> {
    let class = unit.lowered.classes[block.statements.start].clone();
    let wrong =
        |error| trouble::refused(&error, "cannot look whether the statement was taken back");
    let mut now = vec![];
    for (condition, held) in class.post.iter().zip(&seen.held) {
        // What held before the statement is not its work, and its undo leaves it alone.
        if !held {
            now.push(holds(runner, condition).await.map_err(wrong)? == Some(true));
        }
    }
    if let Some(verdict) = by_catalog_of_undo(runner, &class, seen)
        .await
        .map_err(wrong)?
    {
        return Ok(verdict);
    }
    Ok(match now.as_slice() {
        [] => (
            Verdict::Unknown,
            "no rule tells whether it was taken back".into(),
        ),
        all if all.iter().all(|there| *there) => {
            (Verdict::Done, "what it made is still there".into())
        }
        all if all.iter().all(|there| !there) => {
            (Verdict::NotDone, "what it made is gone again".into())
        }
        _ => (
            Verdict::Unknown,
            "a part of what it made is there, and a part is not".into(),
        ),
    })
}

/// What stands after a statement is taken back before it is: where the catalog shows what it showed before the statement,
/// the statement is taken back; where it shows what it showed when the undo began, it is not.
async fn by_catalog_of_undo(
    runner: &mut Runner<'_>,
    class: &StatementClass,
    seen: &BlockDetail,
) -> Result<Option<(Verdict, String)>, DbError> {
    let (Some(before), Some(after)) = (&seen.catalog, &seen.undo_catalog) else {
        return Ok(None);
    };
    if !class.catalog_only || class.swap || before == after {
        return Ok(None);
    }
    let now = fingerprint(runner, &class.touches).await?.hash;
    Ok(match now {
        Some(now) if now == *before => Some((
            Verdict::NotDone,
            "the catalog is as it was before the statement".into(),
        )),
        Some(now) if now == *after => Some((
            Verdict::Done,
            "the catalog is as it was when taking it back began".into(),
        )),
        _ => None,
    })
}

async fn by_postcondition(
    runner: &mut Runner<'_>,
    class: &StatementClass,
    seen: &BlockDetail,
) -> Result<Option<(Verdict, String)>, DbError> {
    if class.post.is_empty() || seen.held.len() != class.post.len() {
        return Ok(None);
    }
    // What held before proves nothing: only what did not hold then and holds now does.
    if seen.held.iter().all(|held| *held) {
        return Ok(None);
    }
    for condition in &class.post {
        if holds(runner, condition).await? != Some(true) {
            return Ok(None);
        }
    }
    Ok(Some((
        Verdict::Done,
        "what it makes is there, and was not when it began".into(),
    )))
}

/// A DROP of several objects that got as far as some of them: the others are dropped now, object by object.
async fn rest_of_drops(
    runner: &mut Runner<'_>,
    class: &StatementClass,
    seen: &BlockDetail,
) -> Result<Option<(Verdict, String)>, DbError> {
    if class.drop_rest.is_empty() || seen.held.len() != class.post.len() {
        return Ok(None);
    }
    let (mut gone, mut there) = (vec![], vec![]);
    for (condition, held) in class.post.iter().zip(&seen.held) {
        let Condition::Missing(object) = condition else {
            return Ok(None);
        };
        match holds(runner, condition).await? {
            Some(true) if !held => gone.push(object.to_string()),
            Some(true) => {}
            Some(false) => there.push(object),
            None => return Ok(None),
        }
    }
    if gone.is_empty() || there.is_empty() {
        return Ok(None);
    }
    let dialect = runner.work.dialect();
    let names: Vec<String> = there
        .iter()
        .map(|object| match &object.schema {
            Some(schema) => format!("{}.{}", dialect.quote(schema), dialect.quote(&object.name)),
            None => dialect.quote(&object.name),
        })
        .collect();
    let rest = format!("{} {}", class.drop_rest, names.join(", "));
    runner.work.execute(&rest).await?;
    let why = format!(
        "{} was gone already; the rest is dropped now",
        gone.join(", ")
    );
    Ok(Some((Verdict::Done, why)))
}

/// The failure of a doubt that no rule settles: exit 7, nothing touched.
pub fn in_doubt(unit: &Unit<'_>, block: &Block, seen: &BlockDetail, why: &str) -> Failure {
    let version = &unit.migration.version;
    let message = format!(
        "{} began and its end is not known; {why}. Nothing has been touched. Look at the database, then say what you found",
        describe(unit, block)
    );
    let mut failure = Failure::new(FailureClass::InDoubt, "in-doubt", message);
    failure.done.clone_from(&unit.done);
    if let Some(line) = seen.line {
        failure = failure.at(dunlin_core::finding::Place {
            file: Some(unit.script.file.clone()),
            line: Some(line),
            ..Default::default()
        });
    }
    if dunlin_core::journal::plan::is_key(&version.0) {
        // Who runs the plan knows its name.
        return failure;
    }
    failure
        .hint(format!(
            "it took effect: `dunlin repair --settle {version} done`"
        ))
        .hint(format!(
            "it did not: `dunlin repair --settle {version} not-done`"
        ))
}
