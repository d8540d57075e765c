//! Values that an undo's own UPDATE, or INSERT, writes over: in rows that are not as the step has left them they are not all its own.

use super::Walk;
use super::held::{Found, Held, Looked, Places};
use super::own::{Asked, is_own};
use crate::checkpoint::Names;
use crate::checkpoint::keep::{Question, Seen, answer};
use crate::steps::left;
use crate::trouble;
use dunlin_core::failure::Failure;
use dunlin_core::plan::delete::ALL;
use dunlin_core::plan::over::{self, Over};
use dunlin_core::schema::key;
use dunlin_core::source::Script;
use dunlin_engines::{DbError, Session};

/// What the undo writes over, where somebody wrote it.
pub fn of(asked: &Asked<'_>, undo: &Script, work: &dyn Session) -> Vec<Over> {
    if !asked.written {
        return vec![];
    }
    let mut all = left::overs(undo, work);
    // What it has written already it does not write again.
    all.retain(|over| over.at >= asked.done);
    all
}

/// Looks at the values that the undo would write over, in tables that stay.
pub async fn look(
    walk: &mut Walk<'_, '_>,
    asked: &Asked<'_>,
    overs: &[Over],
    places: &Places<'_>,
    looked: &mut Looked,
) -> Result<(), Failure> {
    let looking = |error| trouble::failed(&error, "cannot look at what the undo would write over");
    let mut found: Vec<(Held, bool)> = vec![];
    for over in overs {
        let Some(place) = places.named_at(over.at, &over.named, &mut looked.names) else {
            continue;
        };
        let columns = over.columns_of(place.table);
        if columns.is_empty() || asked.is_unsure(&place.label) {
            continue;
        }
        let only = over.only_of(place.table, walk.runner.work.dialect());
        let mut seen = question((over.at, only), &place);
        let asked_for = number(walk, &mut seen, &looked.names).await;
        let only = asked_for.map_err(looking)?;
        let left = asked.left.iter();
        let mut left = left.filter(|left| left.is_of_values(&place.label, &columns, &only));
        seen.left = left.next().filter(|left| left.rows == seen.number).cloned();
        let mut own = seen.number == 0 || seen.left.is_some();
        if own {
            own = is_own(walk, &mut seen, &looked.names, (asked, places.catalog())).await?;
        }
        let shown: Vec<String> = columns
            .iter()
            .map(|name| format!("{}.{name}", place.label))
            .collect();
        let held = Held {
            what: format!("values of {} ({} rows)", shown.join(", "), seen.number),
            foreign: true,
            keyed: key::of(place.table).is_some(),
            only: Some(only),
            over: columns,
            values: true,
            table: place.label,
            ..Held::default()
        };
        looked.seen.push(seen);
        found.push((held, own));
    }
    let tables: Vec<String> = found
        .iter()
        .filter(|(_, own)| !own)
        .map(|(held, _)| held.table.clone())
        .collect();
    for (held, own) in found {
        // Of a table of which something is archived all is that is written over.
        if tables.contains(&held.table) {
            add(&mut looked.held, held, !own);
        }
    }
    Ok(())
}

/// How many rows a statement would meet, not answered yet.
fn question((at, only): (usize, String), place: &Found<'_>) -> Seen {
    Seen {
        table: place.label.clone(),
        column: None,
        question: Question::Rows {
            schema: place.table.schema.clone(),
            name: place.was.clone(),
            only: Some(only),
        },
        number: 0,
        of_rows: false,
        some: true,
        over: Some(at),
        archived: false,
        left: None,
    }
}

/// Asks how many rows there are. Gives the condition: where it asks for what the undo itself makes, all rows are meant.
async fn number(
    walk: &mut Walk<'_, '_>,
    seen: &mut Seen,
    names: &Names,
) -> Result<String, DbError> {
    let work = &mut *walk.runner.work;
    let now = match answer(work, seen, names, "").await {
        Err(error) if over::asks_too_much(error.class) => {
            if let Question::Rows { only, .. } = &mut seen.question {
                *only = Some(ALL.into());
            }
            answer(work, seen, names, "").await
        }
        now => now,
    };
    seen.number = now?;
    Ok(match &seen.question {
        Question::Rows {
            only: Some(only), ..
        } => only.clone(),
        _ => ALL.into(),
    })
}

/// Values beside what goes of their table already. `says`: others have written some of them.
fn add(held: &mut Vec<Held>, values: Held, says: bool) {
    let Some(known) = held.iter_mut().find(|one| one.table == values.table) else {
        held.push(values);
        return;
    };
    if says {
        known.what = match known.foreign {
            true => format!("{}, {}", known.what, values.what),
            false => values.what,
        };
        known.foreign = true;
    }
    for name in values.over {
        if !known.over.contains(&name) {
            known.over.push(name);
        }
    }
    // Columns of all rows, and the whole table, hold them anyway.
    if let Some((one, other)) = known.only.take().zip(values.only) {
        known.only = Some(match one == other {
            true => one,
            false => format!("{one} OR {other}"),
        });
    }
}
