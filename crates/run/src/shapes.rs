//! What `IF NOT EXISTS` passed over: whether it has the shape that the script would have given it.

mod others;

use crate::executor::Runner;
use crate::settle::holds;
use crate::steps::migrate::Unit;
use crate::trouble;
use dunlin_core::event::Event;
use dunlin_core::failure::{ErrorClass, Failure, FailureClass};
use dunlin_core::schema::{self, Catalog, Difference, Table, View, rename, render, shape, text};
use dunlin_core::sql::{Condition, ObjectKind, ObjectRef};
use dunlin_engines::DbError;

/// What was there before a creation that passes in silence when the object exists.
#[derive(Debug, Clone, Default)]
pub struct Shape {
    existed: bool,
}

/// Looks whether `IF NOT EXISTS` will create anything.
pub async fn before(runner: &mut Runner<'_>, unit: &Unit<'_>, at: usize) -> Result<Shape, Failure> {
    let class = &unit.lowered.classes[at];
    if !class.if_not_exists {
        return Ok(Shape::default());
    }
    let existed = any(runner, &class.post.clone(), true).await?;
    Ok(Shape { existed })
}

/// Whether any of the conditions holds, or does not.
async fn any(
    runner: &mut Runner<'_>,
    conditions: &[Condition],
    held: bool,
) -> Result<bool, Failure> {
    for condition in conditions {
        let found = holds(runner, condition)
            .await
            .map_err(|error| trouble::failed(&error, "cannot look at the catalog"))?;
        if found == Some(held) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Compares shapes where `IF NOT EXISTS` created nothing; a difference stops.
pub async fn after(
    runner: &mut Runner<'_>,
    unit: &Unit<'_>,
    at: usize,
    shape: Shape,
) -> Result<(), Failure> {
    let class = unit.lowered.classes[at].clone();
    if !class.if_not_exists {
        return Ok(());
    }
    let made = |condition: &Condition| match condition {
        Condition::Exists(object) | Condition::Body(object, _) => Some(object.clone()),
        _ => None,
    };
    let objects: Vec<ObjectRef> = class.post.iter().filter_map(made).collect();
    let Some(object) = objects.first() else {
        return Ok(());
    };
    if object.kind != ObjectKind::Table && objects.len() < class.post.len() {
        return Ok(());
    }
    // What was not there before and is not there now: something else has the name, and it was passed over all the same.
    if !shape.existed && !any(runner, &class.post, false).await? {
        return Ok(());
    }
    let sql = unit.script.statements[at].sql.to_string();
    let differences = compare(runner, &sql, &objects).await.map_err(|error| {
        trouble::failed(
            &error,
            &format!("cannot compare {object} with what the script says"),
        )
    })?;
    if differences.is_empty() {
        return Ok(());
    }
    let statement = &unit.script.statements[at];
    let message = format!(
        "{object} was there already, with another shape than the script gives it: {}",
        differences.join("; ")
    );
    Err(Failure::new(FailureClass::Failed, "other-shape", message)
        .at(dunlin_core::finding::Place {
            file: Some(unit.script.file.clone()),
            line: Some(statement.line),
            span: Some(statement.span.clone()),
            object: None,
        })
        .hint("`IF NOT EXISTS` passes over whatever has that name, whatever it looks like: rename the old one, or write what changes it"))
}

/// What differs, each in a few words.
async fn compare(
    runner: &mut Runner<'_>,
    sql: &str,
    objects: &[ObjectRef],
) -> Result<Vec<String>, DbError> {
    let mut hasher = dunlin_core::hash::Hasher::new();
    hasher.part(sql.as_bytes());
    let scratch = format!("{}{}", shape::SCRATCH_PREFIX, &hasher.hex()[..12]);
    let alike = objects.iter().all(|object| object.kind == objects[0].kind);
    match objects[0].kind {
        ObjectKind::Table => compare_tables(runner, sql, &objects[0], &scratch).await,
        // An ALTER that does other things beside cannot be tried on a copy that has only columns.
        ObjectKind::Index | ObjectKind::Column if alike => {
            compare_parts(runner, sql, objects, &scratch).await
        }
        ObjectKind::View | ObjectKind::MaterializedView => {
            compare_views(runner, sql, &objects[0], &scratch).await
        }
        ObjectKind::Trigger => compare_triggers(runner, sql, &objects[0]).await,
        ObjectKind::Function | ObjectKind::Procedure | ObjectKind::Sequence | ObjectKind::Event => {
            others::compare(runner, sql, &objects[0], &scratch).await
        }
        _ => Ok(vec![]),
    }
}

/// The catalog while what a statement makes stands under a scratch name; `None`: it cannot be made under one.
async fn made(
    runner: &mut Runner<'_>,
    sql: &str,
    scratch: &str,
    harmless: impl FnOnce(String) -> Option<String>,
) -> Result<Option<Catalog>, DbError> {
    let mode = runner.work.lex_mode().clone();
    let create = rename::rename_create(runner.work.dialect(), &mode, sql, scratch);
    match create.and_then(harmless) {
        Some(create) => tried(runner, &[create]).await.map(Some),
        None => Ok(None),
    }
}

/// Says that an object's shape cannot be seen: where databases are schemas, the catalog speaks of one.
fn not_compared(runner: &mut Runner<'_>, object: &ObjectRef) -> Vec<String> {
    let message = format!(
        "{object} was there already; whether it is as the script says was not compared: it is in another database"
    );
    let message = runner.world.redactor.apply(&message);
    runner.sink.event(&Event::Note { message });
    vec![]
}

/// Makes the statement's view under a scratch name, which harms nobody, and compares how the server spells the two.
async fn compare_views(
    runner: &mut Runner<'_>,
    sql: &str,
    view: &ObjectRef,
    scratch: &str,
) -> Result<Vec<String>, DbError> {
    let dialect = runner.work.dialect();
    let mode = runner.work.lex_mode().clone();
    let Some(catalog) = made(runner, sql, scratch, Some).await? else {
        return Ok(vec![]);
    };
    let views = &catalog.views;
    let Some(expected) = views.iter().find(|view| view.name == scratch) else {
        return Ok(vec![]);
    };
    let of = |view: &View| (view.schema.clone(), view.name.clone());
    let Some(actual) = beside(views, of, &expected.schema, &view.name) else {
        return Ok(vec![format!(
            "it is no view: something else is called {}",
            view.name
        )]);
    };
    let text = |view: &View| {
        let renamed = rename::rename_create(dialect, &mode, &view.definition, scratch);
        text::normal(&renamed.unwrap_or_default(), dialect)
    };
    if text(expected) == text(actual) && expected.materialized == actual.materialized {
        return Ok(vec![]);
    }
    Ok(vec![format!(
        "{view}: {} expected, {} found",
        body(&text(expected)),
        body(&text(actual))
    )])
}

/// What stands behind the name of a view that has been given the scratch one.
fn body(text: &str) -> &str {
    let at = text.find(" AS ").or_else(|| text.find(" as "));
    at.map_or(text, |at| text[at + 4..].trim())
}

/// Compares the text of a trigger with the one that the server keeps: engines that know `IF NOT EXISTS` here keep it as
/// it was written. Nothing is made to try it: it would fire.
async fn compare_triggers(
    runner: &mut Runner<'_>,
    sql: &str,
    trigger: &ObjectRef,
) -> Result<Vec<String>, DbError> {
    let dialect = runner.work.dialect();
    let mode = runner.work.lex_mode().clone();
    let catalog = crate::observe::whole(&mut *runner.work).await?;
    let of_tables = catalog.tables.iter().flat_map(|table| &table.triggers);
    let of_views = catalog.views.iter().flat_map(|view| &view.triggers);
    let found = of_tables
        .chain(of_views)
        .find(|found| found.name.eq_ignore_ascii_case(&trigger.name));
    let expected = rename::trigger_text(dialect, &mode, sql);
    let actual = found.and_then(|found| rename::trigger_text(dialect, &mode, &found.definition));
    // A temporary one is not in the catalog; nobody else has made it.
    let (Some(expected), Some(actual)) = (expected, actual) else {
        return Ok(vec![]);
    };
    if expected == actual {
        return Ok(vec![]);
    }
    Ok(vec![format!(
        "{trigger}: `{expected}` expected, `{actual}` found"
    )])
}

/// Makes the statement's table under a scratch name and compares it with the one that is there.
async fn compare_tables(
    runner: &mut Runner<'_>,
    sql: &str,
    table: &ObjectRef,
    scratch: &str,
) -> Result<Vec<String>, DbError> {
    let dialect = runner.work.dialect();
    let mode = runner.work.lex_mode().clone();
    let Some(create) = rename::scratch_create(dialect, &mode, sql, scratch) else {
        return Ok(vec![]);
    };
    let catalog = tried(runner, &[create]).await?;
    let tables = &catalog.tables;
    let Some(expected) = tables.iter().find(|table| table.name == scratch) else {
        return Ok(not_compared(runner, table));
    };
    let of = |table: &Table| (table.schema.clone(), table.name.clone());
    let Some(actual) = beside(tables, of, &expected.schema, &table.name) else {
        return Ok(vec![format!(
            "it is no table: something else is called {}",
            table.name
        )]);
    };
    let differences = schema::same_shape(expected, actual, dialect);
    Ok(differences.iter().map(words).collect())
}

/// Tries the statement on an empty copy of the table and compares what it made there with what is there.
async fn compare_parts(
    runner: &mut Runner<'_>,
    sql: &str,
    objects: &[ObjectRef],
    scratch: &str,
) -> Result<Vec<String>, DbError> {
    let dialect = runner.work.dialect();
    let mode = runner.work.lex_mode().clone();
    let catalog = crate::observe::whole(&mut *runner.work).await?;
    let Some(parent) = &objects[0].parent else {
        return Ok(vec![]);
    };
    let schema = objects[0].schema.as_deref();
    let database = runner.world.engine.database().to_owned();
    let lookup = crate::observe::lookup(&mut *runner.work, database).await?;
    let named = ObjectRef::table(schema, parent);
    let Some(actual) = lookup.table(&catalog, &named) else {
        return Ok(not_compared(runner, &objects[0]));
    };
    let columns = objects
        .iter()
        .filter(|object| object.kind == ObjectKind::Column);
    let without: Vec<String> = columns.map(|object| object.name.clone()).collect();
    let mut copy = Catalog::new(catalog.engine.as_str());
    let bare = shape::bare_copy(actual, scratch, &without);
    copy.tables = vec![Table {
        // Where the statement says a schema it will look there, whatever the session's path is.
        schema: objects[0].schema.clone().or(bare.schema.clone()),
        ..bare
    }];
    let index_name = format!("{scratch}_i");
    let Some(statement) = rename::on_table(dialect, &mode, sql, scratch, &index_name) else {
        return Ok(vec![]);
    };
    let mut statements = render::dump(&copy, dialect).statements;
    statements.retain(|sql| {
        let touched = dialect.classify(sql, &mode).touches;
        touched.iter().any(|object| object.name == scratch)
    });
    statements.push(statement);
    let tried = tried(runner, &statements).await?;
    let Some(expected) = tried.tables.iter().find(|table| table.name == scratch) else {
        return Ok(vec![]);
    };
    let mut differences = vec![];
    for object in objects {
        differences.extend(match object.kind {
            ObjectKind::Index => {
                index_differences(expected, &index_name, &catalog, actual, object, dialect)
            }
            _ => column_differences(expected, actual, object, dialect),
        });
    }
    Ok(differences)
}

fn index_differences(
    expected: &Table,
    scratch: &str,
    catalog: &Catalog,
    table: &Table,
    object: &ObjectRef,
    dialect: &dyn dunlin_core::dialect::Dialect,
) -> Vec<String> {
    let of = |table: &'_ Table, name: &str| {
        let found = table
            .indexes
            .iter()
            .find(|index| index.name.eq_ignore_ascii_case(name));
        found.cloned()
    };
    let Some(expected) = of(expected, scratch) else {
        return vec![];
    };
    if let Some(actual) = of(table, &object.name) {
        let found = shape::same_index(&expected, &actual, dialect);
        return found.iter().map(words).collect();
    }
    let elsewhere = catalog
        .tables
        .iter()
        .find(|other| other.schema == table.schema && of(other, &object.name).is_some());
    vec![match elsewhere {
        Some(other) => format!("the index of that name is on table {}", other.name),
        None => format!("it is no index: something else is called {}", object.name),
    }]
}

fn column_differences(
    expected: &Table,
    actual: &Table,
    object: &ObjectRef,
    dialect: &dyn dunlin_core::dialect::Dialect,
) -> Vec<String> {
    let of = |table: &Table| {
        let found = table
            .columns
            .iter()
            .find(|column| column.name.eq_ignore_ascii_case(&object.name));
        found.cloned()
    };
    match (of(expected), of(actual)) {
        (Some(expected), Some(actual)) => shape::same_column(&expected, &actual, dialect)
            .iter()
            .map(words)
            .collect(),
        _ => vec![],
    }
}

fn words(difference: &Difference) -> String {
    let side = |text: &Option<String>| text.clone().unwrap_or_else(|| "nothing".into());
    format!(
        "{}: {} expected, {} found",
        difference.object,
        side(&difference.expected),
        side(&difference.actual)
    )
}

/// What has this name in the schema in which the scratch was made: there `IF NOT EXISTS` has looked, whatever has the same
/// name elsewhere. `of`: schema and name of one. Where none is called just so, one that is in another case.
fn beside<'a, T>(
    all: &'a [T],
    of: impl Fn(&T) -> (Option<String>, String),
    schema: &Option<String>,
    name: &str,
) -> Option<&'a T> {
    let mut within = all.iter().filter(|one| of(one).0 == *schema);
    let mut exact = within.clone();
    let exact = exact.find(|one| of(one).1 == name);
    exact.or_else(|| within.find(|one| of(one).1.eq_ignore_ascii_case(name)))
}

/// Runs statements of which the first makes a scratch table, reads the catalog, and drops the scratch again. Inside a
/// transaction where one is open; a leftover of a killed run has a name that nobody else makes, and is dropped first.
async fn tried(runner: &mut Runner<'_>, statements: &[String]) -> Result<Catalog, DbError> {
    let dialect = runner.work.dialect();
    let mode = runner.work.lex_mode().clone();
    let first = statements.first().map_or("", String::as_str);
    let drop = dialect.classify(first, &mode).inverse.unwrap_or_default();
    // In a transaction a leftover cannot be: it was rolled back with its run. And there a failed DROP would end it.
    if !runner.work.caps().transactional_ddl || !runner.work.in_transaction() {
        for statement in &drop {
            match runner.work.execute(statement).await {
                Err(error) if error.class != ErrorClass::ObjectMissing => return Err(error),
                _ => {}
            }
        }
    }
    let mut outcome = Ok(());
    for statement in statements {
        if let Err(error) = runner.work.execute(statement).await {
            outcome = Err(error);
            break;
        }
    }
    let catalog = match outcome {
        Ok(()) => crate::observe::whole(&mut *runner.work).await,
        Err(error) => Err(error),
    };
    for statement in &drop {
        // After an error the statement itself matters, and a transaction takes nothing more.
        let dropped = runner.work.execute(statement).await;
        if catalog.is_ok() {
            dropped?;
        }
    }
    catalog
}
