//! `digest`: content fingerprints under a stated reading, and whether two databases agree.

use super::Answer;
use crate::args::Global;
use crate::context::{self, Opened};
use crate::render::table;
use dunlin::copy::ends::Readers;
use dunlin::digest::{Digests, Scope, digest_together, shapes};
use dunlin::world::World;
use dunlin_core::copy::reading::Reading;
use dunlin_core::dialect;
use dunlin_core::dialect::landing::Sharing;
use dunlin_core::exit::Outcome;
use dunlin_core::failure::Failure;
use dunlin_core::redact::SecretUrl;
use dunlin_core::source::Project;
use dunlin_engines::Purpose;

/// Most sessions that read a file at once: more than that only wait for its disk.
const READERS: usize = 16;

/// `digest`.
pub async fn digest(
    global: &Global,
    db: Option<String>,
    mut tables: Vec<String>,
    like: Option<String>,
) -> Result<Answer, Answer> {
    let opened = context::open(global)?;
    let db = match db {
        // A word that names no database is the first table.
        Some(word) if !names_database(&opened, &word) => {
            tables.insert(0, word);
            None
        }
        db => db,
    };
    let world = world(&opened, global, db.as_deref())?;
    let other = match &like {
        Some(name) if names_database(&opened, name) => {
            Some(self::world(&opened, global, Some(name))?)
        }
        Some(name) => {
            let message = format!("`{name}` is neither a database of the project file nor a URL");
            return Err(Failure::usage("unknown-database", message).into());
        }
        None => None,
    };
    let reading = match &other {
        Some(other) => Some(reading_of(other).await?),
        None => None,
    };
    let ours = digest_of(&world, &tables, reading.as_ref(), global).await?;
    let theirs = match &other {
        Some(other) => Some(digest_of(other, &tables, reading.as_ref(), global).await?),
        None => None,
    };
    Ok(answer(&world, &ours, theirs.as_ref()))
}

fn names_database(opened: &Opened, word: &str) -> bool {
    dialect::by_url(word).is_some_and(|_| word.contains(':'))
        || opened.project.databases.iter().any(|db| db.name == word)
}

/// The world of a configured database or of a URL.
pub fn world(opened: &Opened, global: &Global, db: Option<&str>) -> Result<World, Answer> {
    match db {
        None => opened.world(global, false),
        Some(url) if url.contains(':') => {
            let root = std::env::current_dir().unwrap_or_default();
            let project = Project::without_file(SecretUrl::new(url), root);
            let config = project.select(None).cloned().map_err(Answer::unreadable)?;
            context::world_of(config, global, false)
        }
        Some(name) => {
            let config = opened
                .project
                .select(Some(name))
                .cloned()
                .map_err(Answer::unreadable)?;
            context::world_of(config, global, false)
        }
    }
}

async fn reading_of(world: &World) -> Result<Reading, Answer> {
    let mut session = world.open(Purpose::Read).await?;
    let found = shapes(&mut *session).await.map_err(|error| {
        world.redact(dunlin::trouble::refused(&error, "cannot read the catalog"))
    })?;
    session.close().await;
    let found: Vec<_> = found
        .into_iter()
        .filter(|shape| !world.sql.tables.contains(&shape.name))
        .collect();
    Ok(Reading::derive(&found).0)
}

async fn digest_of(
    world: &World,
    tables: &[String],
    reading: Option<&Reading>,
    global: &Global,
) -> Result<Digests, Answer> {
    let scope = Scope {
        tables: tables.to_vec(),
        except: world.sql.tables.clone(),
    };
    // A file is read by as many as there are cores; a server has others to serve.
    let sessions = match world.dialect().landing().sharing() {
        Sharing::Unchanged { .. } => std::thread::available_parallelism().map_or(1, usize::from),
        _ => 1,
    };
    let mut readers = Readers::open(world, sessions.min(READERS)).await?;
    let mut screen = super::run::plain_screen(global, world);
    let result = digest_together(&mut readers, &scope, reading, &mut screen).await;
    screen.finish();
    readers.close().await;
    Ok(result
        .map_err(|error| world.redact(dunlin::trouble::refused(&error, "cannot read the rows")))?)
}

/// Table by table, ours beside theirs.
struct Compared {
    rows: Vec<Vec<String>>,
    tables: Vec<serde_json::Value>,
    equal: bool,
}

fn compared(ours: &Digests, theirs: Option<&Digests>) -> Compared {
    let mut rows = vec![];
    let mut tables = vec![];
    let mut equal = true;
    for line in &ours.tables {
        let other = theirs.map(|digests| {
            digests
                .tables
                .iter()
                .find(|other| other.table == line.table)
        });
        let agrees = match other {
            None => None,
            Some(Some(other)) => Some(line.agrees(other)),
            Some(None) => Some(false),
        };
        equal &= agrees != Some(false);
        let mut row = vec![
            line.table.clone(),
            line.rows.to_string(),
            line.digest.clone(),
        ];
        let mut json =
            serde_json::json!({ "table": line.table, "rows": line.rows, "digest": line.digest });
        if let Some(agrees) = agrees {
            row.push(if agrees { "equal" } else { "different" }.to_owned());
            json["equal"] = agrees.into();
        }
        rows.push(row);
        tables.push(json);
    }
    let known = |table: &str| ours.tables.iter().any(|line| line.table == table);
    for missing in theirs
        .iter()
        .flat_map(|digests| &digests.tables)
        .filter(|line| !known(&line.table))
    {
        equal = false;
        rows.push(vec![
            missing.table.clone(),
            "-".into(),
            "-".into(),
            "missing".into(),
        ]);
        tables.push(serde_json::json!({ "table": missing.table, "rows": null, "digest": null, "equal": false }));
    }
    Compared {
        rows,
        tables,
        equal,
    }
}

fn answer(world: &World, ours: &Digests, theirs: Option<&Digests>) -> Answer {
    let mut findings = ours.findings.clone();
    findings.extend(theirs.iter().flat_map(|digests| digests.findings.clone()));
    let Compared {
        rows,
        tables,
        equal,
    } = compared(ours, theirs);
    let head: &[&str] = if theirs.is_some() {
        &["table", "rows", "digest", "compared"]
    } else {
        &["table", "rows", "digest"]
    };
    let shown = world.redactor.apply(&world.engine.describe());
    let mut text = format!("{shown}, reading {}\n\n", ours.reading.hash());
    text.push_str(&table::render(head, rows, &[1]));
    text.push_str(&format!("\nall of it: {}\n", ours.total()));
    if let Some(theirs) = theirs {
        text.push_str(&format!(
            "{}: {}\n",
            if equal {
                "equal"
            } else {
                "different; the other"
            },
            theirs.total()
        ));
    }
    let data = serde_json::json!({
        "reading": ours.reading.hash(), "reading_text": ours.reading.text(), "tables": tables, "digest": ours.total(),
        "equal": theirs.map(|_| equal),
    });
    let ended = (!equal).then_some(Outcome::Mismatch);
    Answer {
        told: vec![],
        ended,
        data,
        findings,
        failure: None,
        text,
    }
}
