//! `kept`: no row of before is missing or altered; rows added meanwhile are allowed.
//!
//! When the phase begins, each row leaves a record of 32 bytes: its key and the hash of its content, under the types that
//! the columns have then, sorted into a file. Afterwards the rows are read under the same reading, whatever became of the
//! types and however many columns came, and the two sets are merged. Nothing grows in memory with the table.

use super::spool::{self, Lost, RUN_MAX, Record};
use super::tables::{by_name, find_table, key_of};
use super::{Context, Trouble, Verdict, state};
use crate::digest::shapes;
use crate::sorting::{Records, Sorter};
use dunlin_core::copy::reading::{Bound, TableShape};
use dunlin_core::copy::{Cell, Digest, Reading, RowHasher};
use dunlin_core::schema::NeutralType;
use dunlin_core::source::grammar::checks::Kept;
use dunlin_engines::Session;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::path::Path;

/// What was there when the phase began.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Noted {
    reading: Reading,
    /// The columns by which rows are known; empty: none, and each row is known by its content.
    key: Vec<String>,
    /// The highest key, where the key is one column of whole numbers.
    up_to: Option<i64>,
    rows: u64,
    digest: String,
    file: String,
    blake3: String,
}

/// The sign of a number turned, so that numbers sort as their bytes do.
const SIGN: u128 = 1 << 127;

/// What rows are known by.
struct Keys {
    at: Vec<usize>,
    hasher: RowHasher,
    /// The highest whole number; `None` once a key was none.
    highest: Option<Option<i64>>,
}

impl Keys {
    fn new(bound: &Bound, key: &[String], session: &dyn Session) -> Keys {
        let position = |name: &String| {
            let mut columns = bound.columns.iter();
            columns.position(|column| column.shape.name.eq_ignore_ascii_case(name))
        };
        let at: Option<Vec<usize>> = key.iter().map(position).collect();
        let at = at.unwrap_or_default();
        let types: Vec<NeutralType> = at.iter().map(|at| bound.columns[*at].ty.clone()).collect();
        let whole = types == [NeutralType::Int];
        Keys {
            at,
            hasher: RowHasher::new(types, session.dialect().rows().typing()),
            highest: whole.then_some(None),
        }
    }

    /// 16 bytes for the key of a row; the row's own hash where there is no key.
    fn of(&mut self, cells: &[Cell<'_>], content: u128) -> u128 {
        match self.at.as_slice() {
            [] => content,
            [at] => match cells.get(*at) {
                Some(Cell::Int(n)) => {
                    if let Some(highest) = &mut self.highest {
                        *highest = Some(highest.map_or(*n, |known| known.max(*n)));
                    }
                    i128::from(*n).cast_unsigned() ^ SIGN
                }
                cell => {
                    self.highest = None;
                    self.hasher.row(cell.into_iter().copied())
                }
            },
            several => {
                let cells = several.iter().filter_map(|at| cells.get(*at).copied());
                self.hasher.row(cells)
            }
        }
    }
}

/// Reads rows into a sorter, and gives their digest.
async fn read(
    session: &mut dyn Session,
    bound: &Bound,
    sql: &str,
    keys: &mut Keys,
    sorter: &mut Sorter<Record>,
) -> Result<Digest, Trouble> {
    let mut hasher = RowHasher::new(bound.types(), session.dialect().rows().typing());
    let mut source = session.stream(sql).await?;
    while let Some(batch) = source.next().await? {
        for at in 0..batch.len() {
            let cells: Vec<Cell<'_>> = batch.row(at).collect();
            let content = hasher.row(cells.iter().copied());
            let mut record: Record = [0; 32];
            record[..16].copy_from_slice(&keys.of(&cells, content).to_be_bytes());
            record[16..].copy_from_slice(&content.to_be_bytes());
            sorter.push(record).map_err(|error| {
                Trouble::from(format!("rows cannot be sorted on the disk: {error}"))
            })?;
        }
    }
    Ok(hasher.digest())
}

async fn shape_of(session: &mut dyn Session, table: &str) -> Result<TableShape, Trouble> {
    let all = shapes(session).await?;
    by_name(&all, table, TableShape::label)
        .cloned()
        .ok_or_else(|| format!("there is no table {table}").into())
}

pub(super) async fn note(cx: &mut Context<'_>, id: &str, kept: &Kept) -> Result<Value, Trouble> {
    let catalog = cx.catalog().await?;
    let mut key = key_of(find_table(&catalog, &kept.table)?);
    let path = state::path(cx, id)?;
    let session = cx.reader().await?;
    let mut shape = shape_of(session, &kept.table).await?;
    for name in &kept.except {
        let there = by_name(&shape.columns, name, |column| column.name.clone());
        // A column that the phase is about to add is none of before.
        let Some(column) = there.map(|column| column.name.clone()) else {
            continue;
        };
        shape.columns.retain(|other| other.name != column);
        if key.contains(&column) {
            key.clear();
        }
    }
    let (reading, bound) = Reading::derive(std::slice::from_ref(&shape));
    let bound = bound
        .into_iter()
        .next()
        .ok_or_else(|| Trouble::from(format!("there is no table {}", kept.table)))?;
    let sql = session.dialect().rows().select(&bound);
    let mut keys = Keys::new(&bound, &key, session);
    let mut sorter = Sorter::new(path.clone(), RUN_MAX);
    let digest = read(session, &bound, &sql, &mut keys, &mut sorter).await?;
    let saved = sorter
        .sorted()
        .and_then(|sorted| spool::save(sorted, &path));
    let noted = Noted {
        reading,
        key,
        up_to: keys.highest.flatten(),
        rows: digest.rows,
        digest: digest.hex(),
        blake3: saved.map_err(|error| state::disk(&path, &error))?,
        file: path.display().to_string(),
    };
    serde_json::to_value(noted).map_err(|error| error.to_string().into())
}

pub(super) async fn find(
    cx: &mut Context<'_>,
    kept: &Kept,
    noted: &Value,
) -> Result<Verdict, Trouble> {
    let noted: Noted = serde_json::from_value(noted.clone())
        .map_err(|error| format!("what was noted cannot be read: {error}"))?;
    let masked = noted.key.iter().any(|column| cx.sensitive.hides(column));
    let path = state::path(cx, "compare")?;
    let session = cx.reader().await?;
    let shape = match shape_of(session, &kept.table).await {
        Ok(shape) => shape,
        Err(trouble) if trouble.lost => return Err(trouble),
        Err(trouble) => {
            let sentence = format!("{}; it had {} rows", trouble.message, noted.rows);
            return Ok(Verdict::Broken(sentence));
        }
    };
    let (bound, said) = noted.reading.bind(std::slice::from_ref(&shape));
    let Some(bound) = bound.into_iter().next() else {
        // Columns that came are said too, and are welcome.
        let gone = said
            .iter()
            .filter(|finding| finding.code.ends_with("missing"));
        let gone: Vec<&str> = gone.map(|finding| finding.message.as_str()).collect();
        return Ok(Verdict::Broken(gone.join("; ")));
    };
    let mut sql = session.dialect().rows().select(&bound);
    let mut keys = Keys::new(&bound, &noted.key, session);
    if let (Some(up_to), [at]) = (noted.up_to, keys.at.as_slice()) {
        let column = &bound.columns[*at].shape.name;
        sql = session.dialect().checks().up_to(&sql, column, up_to);
    }
    let mut sorter = Sorter::new(path.clone(), RUN_MAX);
    let now = read(session, &bound, &sql, &mut keys, &mut sorter).await?;
    if now.rows == noted.rows && now.hex() == noted.digest {
        return Ok(Verdict::Holds(format!(
            "all {} rows as they were",
            noted.rows
        )));
    }
    // Only the records tell rows that were added from rows that were altered.
    let before = Records::new(state::open(Path::new(&noted.file), &noted.blake3)?);
    let lost = sorter
        .sorted()
        .and_then(|after| spool::lost(before, after))
        .map_err(|error| state::disk(Path::new(&noted.file), &error))?;
    Ok(told(&noted, &lost, masked))
}

fn told(noted: &Noted, lost: &Lost, masked: bool) -> Verdict {
    if (lost.missing, lost.altered) == (0, 0) {
        return Verdict::Holds(format!(
            "all {} rows as they were, others were added",
            noted.rows
        ));
    }
    let gone = lost.missing + lost.altered;
    if noted.key.is_empty() {
        return Verdict::Broken(format!(
            "{gone} of {} rows are missing or altered (the table has no key to tell which)",
            noted.rows
        ));
    }
    let mut sentence = format!(
        "of {} rows {} are missing and {} altered",
        noted.rows, lost.missing, lost.altered
    );
    if noted.up_to.is_some() && !masked {
        let number = |key: &[u8; 16]| (u128::from_be_bytes(*key) ^ SIGN).cast_signed().to_string();
        let keys: Vec<String> = lost.keys.iter().map(number).collect();
        let more = if gone > keys.len() as u64 {
            ", …"
        } else {
            ""
        };
        sentence.push_str(&format!(
            ": {} {}{more}",
            noted.key.join(", "),
            keys.join(", ")
        ));
    }
    Verdict::Broken(sentence)
}
