//! What was restored beside what was backed up: rows by their digests, objects by their catalog.

use super::manifest::Manifest;
use crate::digest::{self, Scope};
use crate::observe;
use crate::trouble;
use dunlin_core::event::Sink;
use dunlin_core::failure::Failure;
use dunlin_core::schema::{Catalog, DifferenceKind, reload};
use dunlin_engines::{DbError, Engine, Purpose, Session};

/// What a comparison found.
#[derive(Debug, Default)]
pub(super) struct Compared {
    /// The tables and other objects that differ.
    pub(super) differ: Vec<String>,
    /// Why objects were not compared, where they were not.
    pub(super) left_out: Option<String>,
}

/// Compares a database with a manifest.
pub(super) async fn compare(
    engine: &dyn Engine,
    manifest: &Manifest,
    sink: &mut dyn Sink,
) -> Result<Compared, Failure> {
    let wrong = |error: &DbError| trouble::refused(error, "what was restored could not be read");
    let mut session = engine
        .open(Purpose::Read)
        .await
        .map_err(|error| wrong(&error))?;
    let mut compared = Compared::default();
    let read = async {
        rows(&mut *session, manifest, &mut compared, sink).await?;
        objects(&mut *session, manifest, &mut compared).await
    }
    .await;
    session.close().await;
    read.map_err(|error| wrong(&error))?;
    Ok(compared)
}

async fn rows(
    session: &mut dyn Session,
    manifest: &Manifest,
    compared: &mut Compared,
    sink: &mut dyn Sink,
) -> Result<(), DbError> {
    let found = digest::digest(session, &Scope::default(), None, sink).await?;
    for table in &manifest.tables {
        match found.tables.iter().find(|other| other.table == table.table) {
            None => compared.differ.push(format!("{}: missing", table.table)),
            Some(other) if !other.agrees(table) => {
                compared.differ.push(format!(
                    "{}: {} rows backed up, {} restored, digests differ",
                    table.table, table.rows, other.rows
                ));
            }
            Some(_) => {}
        }
    }
    Ok(())
}

async fn objects(
    session: &mut dyn Session,
    manifest: &Manifest,
    compared: &mut Compared,
) -> Result<(), DbError> {
    let before = match before(manifest, &session.caps().version_text) {
        Ok(before) => before,
        Err(why) => {
            compared.left_out = Some(why);
            return Ok(());
        }
    };
    let after = observe::whole(session).await?;
    for lost in reload::lost(&before, &after, session.dialect()) {
        let object = lost.object;
        let told = match lost.kind {
            DifferenceKind::Missing => format!("{object}: missing"),
            _ => format!(
                "{object}: was {}, is {}",
                lost.expected.unwrap_or_default(),
                lost.actual.unwrap_or_default()
            ),
        };
        // A table that is missing was named with its rows.
        if !compared.differ.iter().any(|known| told.ends_with(known)) {
            compared.differ.push(told);
        }
    }
    Ok(())
}

/// What a backup held, or why that is not to be compared with what a server of this version tells.
fn before(manifest: &Manifest, version: &str) -> Result<Catalog, String> {
    let Some(text) = &manifest.catalog else {
        return Err("its manifest, of an older Dunlin, does not say what objects it holds".into());
    };
    if manifest.server_version != version {
        return Err(format!(
            "it was made on version {}, this is {version}, and each tells objects in its own words",
            manifest.server_version
        ));
    }
    Catalog::from_json(text)
}
