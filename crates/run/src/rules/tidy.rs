//! Tidying tables: what the engine does to give room back and to know its rows, with the size before and after.

use super::sweep::Sweep;
use crate::plan::state::bytes;
use dunlin_engines::{DbError, Session};

/// The sizes of tables, or of the database where the engine does not tell them.
async fn size(session: &mut dyn Session, names: &[(Option<String>, String)]) -> Option<u64> {
    let dialect = session.dialect();
    let query = dialect.table_sizes();
    let default = session.caps().default_schema.clone();
    let rows = session
        .query(&query.sql, &query.params)
        .await
        .unwrap_or_default();
    let mut sum = None;
    for size in rows.iter().filter_map(|row| dialect.read_table_size(row)) {
        let schema = size
            .schema
            .clone()
            .filter(|schema| default.as_ref() != Some(schema));
        let named = names
            .iter()
            .any(|(of, name)| *name == size.name && *of == schema);
        if let (true, Some(bytes)) = (named, size.bytes) {
            sum = Some(sum.unwrap_or(0) + bytes);
        }
    }
    match sum {
        Some(sum) => Some(sum),
        None => bytes(session).await,
    }
}

/// Tidies tables; a dry run only measures them.
pub(super) async fn tidy(
    sweep: &mut Sweep<'_, '_>,
    tables: &[usize],
) -> Result<(Option<u64>, Option<u64>), DbError> {
    let ground = sweep.ground;
    let dry = sweep.is_dry();
    let names: Vec<(Option<String>, String)> = tables
        .iter()
        .map(|at| {
            let bound = &ground.tables[*at].bound;
            (bound.schema.clone(), bound.table.clone())
        })
        .collect();
    let session = sweep.session();
    let before = size(session, &names).await;
    if dry {
        return Ok((before, None));
    }
    let rules = session.dialect().rules();
    let each = tables.iter().flat_map(|at| {
        let bound = &ground.tables[*at].bound;
        rules.optimize(&rules.change().target(bound))
    });
    for sql in each.chain(rules.optimize_all()) {
        session.execute(&sql).await?;
    }
    Ok((before, size(session, &names).await))
}
