//! Bringing home values that an undo has written over, in rows that stayed: a row that is what the step has left gets the
//! archived value back; one that others have written since is left alone.

use super::file::{Checkpoint, Saved};
use super::hashes::{Hashes, Stored, each_now};
use super::since;
use super::taken::{Put, put_each};
use crate::backup::archive::cell_of;
use dunlin_core::copy::Cell;
use dunlin_core::copy::digest::bucket;
use dunlin_core::copy::reading::Bound;
use dunlin_core::failure::Failure;
use dunlin_core::journal::archive::Came;
use dunlin_core::schema::Table;
use dunlin_core::value::Value;
use dunlin_engines::Session;
use std::collections::{BTreeMap, HashMap};

/// Rows whose values are sorted by what they are before they are sent.
const WINDOW: usize = 2_000;

/// Puts them back. Rows that are as they were archived are counted. Gives the keys of those that a unique key refuses.
pub(super) async fn bring(
    work: &mut dyn Session,
    checkpoint: &Checkpoint,
    (saved, target): (&Saved, &Bound),
    table: Option<&Table>,
    came: &mut Came,
) -> Result<Vec<u128>, Failure> {
    let Some(part) = since::part_of(saved) else {
        return Ok(vec![]);
    };
    let label = saved.label();
    let mut digests = checkpoint.tables.iter().filter(|one| one.table == label);
    let rows = digests.next().map_or(0, |digest| digest.rows);
    let mut hashes = Hashes::new(&part, work.dialect().rows().typing(), rows)?;
    let places = since::places(&part, saved);
    // A column that the server dates by itself keeps what it holds.
    let columns = table.iter().flat_map(|table| &table.columns);
    let dated = columns.filter(|column| column.on_update.is_some());
    let dated = dated.map(|column| column.name.clone());
    let still: Vec<String> = dated.filter(|name| !saved.over.contains(name)).collect();
    let (key, columns) = places.split_at(part.key.len());
    let mut refused = vec![];
    for number in 0..hashes.count {
        let known = since::known(checkpoint, &label, (number, hashes.count))?;
        let mut there: HashMap<u128, u128> = HashMap::new();
        let take = |row: &[Cell<'_>]| {
            let cells: Vec<Cell<'_>> = places.iter().map(|at| row[*at]).collect();
            let (key, hash) = hashes.of(&cells);
            if known.contains_key(&key) {
                there.insert(key, hash);
            }
            Ok(())
        };
        each_now(work, target, take, &checkpoint.path).await?;
        let mut back: Vec<Vec<Value>> = vec![];
        let mut stored = Stored::open(checkpoint, &label)?;
        while let Some(row) = stored.next()? {
            let cells: Vec<Value> = places.iter().map(|at| row[*at].clone()).collect();
            let (found, hash) = hashes.of_values(&cells);
            if bucket(found, hashes.count) != number {
                continue;
            }
            match (known.get(&found), there.get(&found)) {
                (_, Some(now)) if *now == hash => came.same += 1,
                (Some(known), Some(now)) if known.is_left(*now) => back.push(row),
                _ => {}
            }
            if back.len() >= WINDOW {
                refused.extend(put(work, target, (columns, key), &back, &still).await?);
                back.clear();
            }
        }
        refused.extend(put(work, target, (columns, key), &back, &still).await?);
    }
    let key = |key: &Vec<Value>| hashes.key.row(key.iter().map(cell_of));
    Ok(refused.iter().map(key).collect())
}

/// Gives columns their values, each to all of its rows; the keys of those that a unique key refuses.
async fn put(
    work: &mut dyn Session,
    target: &Bound,
    (columns, key): (&[usize], &[usize]),
    rows: &[Vec<Value>],
    still: &[String],
) -> Result<Vec<Vec<Value>>, Failure> {
    let mut puts = vec![];
    for column in columns {
        let mut groups: BTreeMap<String, (&Value, Vec<Vec<Value>>)> = BTreeMap::new();
        for row in rows {
            let value = &row[*column];
            let group = groups.entry(format!("{value:?}"));
            let (_, keys) = group.or_insert_with(|| (value, vec![]));
            keys.push(key.iter().map(|at| row[*at].clone()).collect());
        }
        puts.extend(groups.into_values().map(|(value, keys)| Put {
            column: *column,
            value,
            keys,
            only: None,
        }));
    }
    put_each(work, (target, key, still), &puts).await
}
