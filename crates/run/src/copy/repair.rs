//! Making the rows of a target those of its source (`verify --repair`), and nothing else: rows that differ are found as a
//! verification finds them, written over, added or removed by their key ([`super::mend`]), and then everything is
//! compared once more.
//!
//! In rounds: what stands in the way of a row (a unique value that another row still has, a parent that is not there yet)
//! may be gone after the others. A round that finds what the one before it found is the last.

use super::ends::{Readers, same_file};
use super::exchange::Left;
use super::look::Looked;
use super::mend::{Image, Mending};
use super::pair::{Canonical, Pair};
use super::ready::all_or_nothing;
use super::verify::{Verified, beyond, compare, comparing, job, open};
use super::{Job, ledger, same_database};
use crate::control::Control;
use crate::digest::{begin_snapshot, end_snapshot};
use crate::journal_store::Pen;
use crate::world::World;
use crate::{admin, digest, lease, trouble};
use dunlin_core::copy::Digest;
use dunlin_core::copy::cast::Casts;
use dunlin_core::copy::digest::{bucket, row_hash};
use dunlin_core::copy::reading::{Bound, Reading};
use dunlin_core::event::{Event, Sink};
use dunlin_core::failure::Failure;
use dunlin_core::finding::{Finding, Place};
use dunlin_core::journal::{self, Writing};
use dunlin_core::schema::order::order;
use dunlin_core::schema::{IndexPart, Table};
use dunlin_core::value::Value;
use dunlin_engines::{DbError, Purpose, Session};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// Into how many buckets rows are sorted by their keys' hashes: as of a verification.
const BUCKETS: u32 = 4_096;
/// How many rows of differing buckets are held at once, of all tables together: at some 80 bytes each 16 MB. What is
/// beyond them comes in the next round.
const HELD: u64 = 200_000;
/// How many rounds there are at most: each holds [`HELD`] rows, so that this is two thousand million of them.
const ROUNDS: usize = 10_000;

/// What was done to one table's rows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Repaired {
    /// Rows added.
    pub inserted: u64,
    /// Rows written over.
    pub updated: u64,
    /// Rows removed.
    pub deleted: u64,
}

impl Repaired {
    /// And those that were done afterwards.
    pub(super) fn add(&mut self, more: Repaired) {
        self.inserted += more.inserted;
        self.updated += more.updated;
        self.deleted += more.deleted;
    }

    /// All of them.
    pub fn rows(&self) -> u64 {
        self.inserted + self.updated + self.deleted
    }
}

/// A repair as it is asked for.
#[derive(Debug, Clone, Default)]
pub struct Asked {
    /// Patterns of tables; empty: all.
    pub tables: Vec<String>,
    /// Renames, types and policies under which the rows were copied.
    pub casts: Casts,
    /// The folder for the file of what was there.
    pub folder: PathBuf,
    /// Waits for another runner.
    pub wait: bool,
}

/// Rows of one table that are to be mended.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Unequal {
    /// Key hashes of rows that the target lacks or holds otherwise.
    pub(super) give: BTreeSet<u128>,
    /// Keys of rows that only the target has.
    pub(super) take: Vec<Vec<Value>>,
    /// Rows whose key holds NULL, of the source alone and of the target alone: no statement finds them by it.
    pub(super) nameless: (u64, u64),
}

impl Unequal {
    fn is_empty(&self) -> bool {
        self.give.is_empty() && self.take.is_empty()
    }
}

/// Compares, repairs what differs, and compares again. What was written over or removed is in a file beforehand.
///
/// # Errors
///
/// Refused before the first write: ends that cannot be read or written, a protected target, another runner. Afterwards: a
/// connection lost, a disk that is full. Batches that are done stay; the same command goes on.
pub async fn repair(
    from: &World,
    to: &World,
    asked: &Asked,
    sink: &mut dyn Sink,
    mut control: Control,
) -> Result<Verified, Failure> {
    if same_file(from, to) {
        return Err(same_database());
    }
    if to.config.protected {
        return Err(admin::protected("verify --repair"));
    }
    let job = job(&asked.tables, &asked.casts);
    let (mut readers, target) = open(from, to).await?;
    let ends = (&mut readers, target);
    let outcome = with_readers(from, to, asked, &job, ends, sink, &mut control).await;
    readers.close().await;
    outcome
}

async fn with_readers(
    from: &World,
    to: &World,
    asked: &Asked,
    job: &Job,
    (readers, target): (&mut Readers, Box<dyn Session>),
    sink: &mut dyn Sink,
    control: &mut Control,
) -> Result<Verified, Failure> {
    let (looked, mut before) = compare(from, to, job, (&mut *readers, target), sink).await?;
    let beyond = beyond(&looked, &asked.tables);
    if before.equal {
        before.findings.extend(beyond);
        return Ok(before);
    }
    let (held, work) = lease::acquire(to, Purpose::Tool, asked.wait, sink, control).await?;
    let pen = Pen {
        run: to.run_id(),
        token: held.token,
    };
    let name = format!("dunlin-repair-{}.ndjson", pen.run);
    let mut repairing = Repairing {
        from,
        to,
        looked: &looked,
        findings: vec![],
        done: BTreeMap::new(),
        mending: Mending {
            to,
            pen,
            work,
            image: Image::new(asked.folder.join(name)),
            there: &looked.there,
            bounds: vec![],
            in_the_way: BTreeMap::new(),
            control,
        },
    };
    let outcome = repairing.run(&before, readers, sink).await;
    let Repairing {
        findings,
        done,
        mending,
        ..
    } = repairing;
    let Mending { work, image, .. } = mending;
    let kept = image.close();
    work.close().await;
    held.release().await;
    let after = match outcome {
        Ok(()) => comparing(from, to, &looked, readers, sink).await,
        Err(failure) => Err(failure),
    };
    let mut after = after.map_err(|failure| {
        let rows = done.values().map(Repaired::rows).sum();
        told(to.redact(from.redact(failure)), rows, kept.as_ref())
    })?;
    for (at, line) in after.tables.iter_mut().enumerate() {
        line.repaired = Some(done.get(&at).copied().unwrap_or_default());
    }
    after.findings.extend(findings);
    after.findings.extend(beyond);
    after.kept = kept;
    Ok(after)
}

/// A failure with what was done before it.
fn told(mut failure: Failure, rows: u64, kept: Option<&PathBuf>) -> Failure {
    if rows > 0 {
        failure.done.push(format!("{rows} rows were mended"));
    }
    if let Some(path) = kept {
        let path = path.display();
        failure.done.push(format!("what was there is in {path}"));
    }
    failure.hint("the same command goes on: it compares again and mends what is left")
}

struct Repairing<'r> {
    from: &'r World,
    to: &'r World,
    looked: &'r Looked,
    findings: Vec<Finding>,
    done: BTreeMap<usize, Repaired>,
    mending: Mending<'r>,
}

impl<'r> Repairing<'r> {
    async fn run(
        &mut self,
        before: &Verified,
        readers: &mut Readers,
        sink: &mut dyn Sink,
    ) -> Result<(), Failure> {
        self.mending.prepare().await?;
        let shapes = digest::shapes(&mut *self.mending.work).await;
        let wrong = |e| trouble::refused(&e, "the target cannot be read");
        self.mending.bounds = Reading::derive(&shapes.map_err(wrong)?).1;
        let began = serde_json::json!({ "what": "verify --repair", "by": self.to.who });
        self.record(journal::Event::Began, began).await?;
        let outcome = self.rounds(before, readers, sink).await;
        let rows: u64 = self.done.values().map(Repaired::rows).sum();
        let word = if outcome.is_ok() { "done" } else { "failed" };
        let ended = serde_json::json!({ "what": "verify --repair", "outcome": word, "rows": rows });
        let ended = self.record(journal::Event::Ended, ended).await;
        outcome?;
        ended
    }

    async fn record(
        &mut self,
        event: journal::Event,
        detail: serde_json::Value,
    ) -> Result<(), Failure> {
        let records = [Writing::run(event, detail)];
        let mending = &mut self.mending;
        let written = mending.pen.append(self.to, &mut *mending.work, &records);
        let written = written.await;
        written.map_err(|error| ledger::failure(self.to, &error, "cannot write the journal"))
    }

    async fn rounds(
        &mut self,
        before: &Verified,
        readers: &mut Readers,
        sink: &mut dyn Sink,
    ) -> Result<(), Failure> {
        let pairs = self.pairs(before);
        let tables: Vec<Bound> = pairs.values().map(|pair| pair.target.clone()).collect();
        all_or_nothing(&mut *self.mending.work, &tables).await?;
        let order = self.order(&pairs);
        let mut last: BTreeMap<usize, Unequal> = BTreeMap::new();
        let mut at_once = false;
        for round in 1..=ROUNDS {
            let (found, whole) = self.unequal(&pairs, readers).await?;
            if found.values().all(Unequal::is_empty) {
                last = found;
                break;
            }
            if found == last {
                if at_once || !self.at_once(&pairs, &found, readers).await? {
                    break;
                }
                // What was in the way is not any more.
                self.mending.in_the_way.clear();
                at_once = true;
                continue;
            }
            at_once = false;
            self.mending.in_the_way.clear();
            sink.event(&Event::Note {
                message: match whole {
                    true => format!("repairing, round {round}"),
                    false => format!(
                        "repairing, round {round}: more rows differ than a round of {HELD} holds, the others come after it"
                    ),
                },
            });
            // Rows that are referred to come first and go last.
            for at in &order {
                if let Some(unequal) = found.get(at).filter(|found| !found.give.is_empty()) {
                    let done = self.done.entry(*at).or_default();
                    let giving = self
                        .mending
                        .give(&pairs[at], &unequal.give, readers.lead(), done);
                    giving.await.map_err(|failure| self.from.redact(failure))?;
                }
            }
            for at in order.iter().rev() {
                if let Some(unequal) = found.get(at) {
                    let done = self.done.entry(*at).or_default();
                    self.mending.take(&pairs[at], &unequal.take, done).await?;
                }
            }
            last = found;
        }
        self.say(&pairs, &last);
        self.mending.counters(&pairs, &self.done).await
    }

    /// Mends at once what no order of rows mends: all of it, or what can be of single tables. `false`: nothing.
    async fn at_once(
        &mut self,
        pairs: &BTreeMap<usize, Pair<'_>>,
        found: &BTreeMap<usize, Unequal>,
        readers: &mut Readers,
    ) -> Result<bool, Failure> {
        let left = found.iter().filter(|(_, unequal)| !unequal.is_empty());
        let left = left.filter_map(|(at, unequal)| {
            let (at, pair) = (*at, pairs.get(at)?);
            Some(Left { at, pair, unequal })
        });
        let left: Vec<Left<'_>> = left.collect();
        let mut tries: Vec<&[Left<'_>]> = vec![&left];
        if left.len() > 1 {
            tries.extend(left.chunks(1));
        }
        let mut mended = false;
        for (number, left) in tries.into_iter().enumerate() {
            let tried = self
                .mending
                .at_once(left, readers.lead(), &mut self.done)
                .await;
            mended |= tried.map_err(|failure| self.from.redact(failure))?;
            if number == 0 && mended {
                break;
            }
        }
        Ok(mended)
    }

    /// What is still there, and why.
    fn say(&mut self, pairs: &BTreeMap<usize, Pair<'_>>, last: &BTreeMap<usize, Unequal>) {
        for (at, pair) in pairs {
            let label = pair.target.label();
            let nameless = last.get(at).map_or((0, 0), |found| found.nameless);
            if nameless != (0, 0) {
                let message = format!(
                    "{label}: {} rows that only the source has and {} that only the target has are not repaired, for their \
                     keys hold NULL",
                    nameless.0, nameless.1
                );
                let finding = Finding::error("repair-no-key", Place::object(&label), message);
                self.findings.push(finding);
            }
            if let Some((rows, why)) = self.mending.in_the_way.get(&label) {
                let message = format!("{label}: {rows} rows are not repaired: {why}");
                let finding = Finding::error("repair-in-the-way", Place::object(&label), message);
                self.findings.push(finding);
            }
        }
    }

    /// The tables that differ and can be repaired; others are named.
    fn pairs(&mut self, before: &Verified) -> BTreeMap<usize, Pair<'r>> {
        let looked = self.looked;
        let typing = self.to.dialect().rows().typing();
        let mut pairs = BTreeMap::new();
        let mut findings = vec![];
        for (at, line) in before.tables.iter().enumerate() {
            if line.equal != Some(false) || line.digest_target.is_none() {
                continue;
            }
            let pair = Pair::new(looked, at, typing);
            match self.without_key(at, &pair) {
                None => {
                    pairs.insert(at, pair);
                }
                Some(why) => {
                    let message = format!("{} is not repaired: {why}", line.target);
                    let place = Place::object(&line.target);
                    findings.push(
                        Finding::error("repair-no-key", place, message).help(
                            "`dunlin copy --data-only --into-existing replace --tables …` rewrites the whole table",
                        ),
                    );
                }
            }
        }
        self.findings.extend(findings);
        pairs
    }

    /// Why rows of a table cannot be told apart; `None`: they can.
    fn without_key(&self, at: usize, pair: &Pair<'_>) -> Option<String> {
        let key = &self.looked.keys[at];
        if key.is_empty() {
            return Some(
                "it has no key in the source, so that no row can be told from another".into(),
            );
        }
        if key.len() != pair.key.len() {
            return Some("its key in the source is over parts of columns, or computed".into());
        }
        let name = |place: &usize| pair.plan.columns[*place].target.as_str();
        let names: Vec<&str> = pair.key.iter().map(name).collect();
        let target = &pair.target;
        let there = self
            .looked
            .there
            .table(target.schema.as_deref(), &target.table)?;
        (!unique(there, &names)).then(|| {
            let names = names.join(", ");
            format!("nothing in the target keeps ({names}) unique there")
        })
    }

    /// Places of the pairs, those that are referred to first.
    fn order(&self, pairs: &BTreeMap<usize, Pair<'_>>) -> Vec<usize> {
        let tables = &self.looked.there.tables;
        let all = order(tables).order;
        let place_of = |at: &usize| {
            let table = &self.looked.plan.tables[*at].target;
            let is = |of: &usize| tables[*of].name == table.1 && tables[*of].schema == table.0;
            all.iter().position(is)
        };
        let mut order: Vec<usize> = pairs.keys().copied().collect();
        order.sort_by_cached_key(place_of);
        order
    }

    /// The rows that differ, as many as are held at once, and whether these are all.
    async fn unequal(
        &self,
        pairs: &BTreeMap<usize, Pair<'_>>,
        readers: &mut Readers,
    ) -> Result<(BTreeMap<usize, Unequal>, bool), Failure> {
        let theirs = |error| {
            self.to
                .redact(trouble::failed(&error, "the target cannot be read"))
        };
        let ours = |error| {
            self.from
                .redact(trouble::failed(&error, "the source cannot be read"))
        };
        let mut target = self.to.open(Purpose::Read).await?;
        begin_snapshot(&mut *target).await.map_err(theirs)?;
        let (mut found, mut room, mut whole) = (BTreeMap::new(), HELD, true);
        for (at, pair) in pairs {
            let here = sums(pair, readers.lead(), true).await.map_err(ours)?;
            let there = sums(pair, &mut *target, false).await.map_err(theirs)?;
            let (wanted, all) = wanted(&here, &there, &mut room);
            whole &= all;
            if !wanted.contains(&true) {
                continue;
            }
            let mut unequal = Unequal::default();
            let mut here = BTreeMap::new();
            // How many more of a row the source has.
            let mut nameless: BTreeMap<u128, i64> = BTreeMap::new();
            let held = hold(pair, readers.lead(), true, &wanted, |hash, row, key| {
                if key.contains(&Value::Null) {
                    *nameless.entry(row).or_default() += 1;
                } else {
                    here.insert(hash, row);
                }
            });
            held.await.map_err(ours)?;
            let held = hold(pair, &mut *target, false, &wanted, |hash, row, key| {
                if key.contains(&Value::Null) {
                    *nameless.entry(row).or_default() -= 1;
                } else if here.get(&hash) == Some(&row) {
                    here.remove(&hash);
                } else if !here.contains_key(&hash) {
                    unequal.take.push(key);
                }
            });
            held.await.map_err(theirs)?;
            for more in nameless.into_values() {
                unequal.nameless.0 += u64::try_from(more).unwrap_or(0);
                unequal.nameless.1 += u64::try_from(-more).unwrap_or(0);
            }
            unequal.give = here.into_keys().collect();
            found.insert(*at, unequal);
        }
        let _ = end_snapshot(&mut *target).await;
        target.close().await;
        Ok((found, whole))
    }
}

/// Whether no two rows have the same values in these columns.
pub(super) fn unique(table: &Table, names: &[&str]) -> bool {
    let within = |column: &String| names.contains(&column.as_str());
    let mut keys = table.keys.iter();
    keys.any(|key| key.columns.iter().all(within))
        || table.indexes.iter().any(|index| {
            let plain = |part: &IndexPart| !part.expression && part.length.is_none();
            let fits = |part: &IndexPart| plain(part) && within(&part.what);
            index.unique && index.predicate.is_none() && index.parts.iter().all(fits)
        })
}

async fn sums(
    pair: &Pair<'_>,
    session: &mut dyn Session,
    of_source: bool,
) -> Result<Vec<Digest>, DbError> {
    let mut sums = vec![Digest::default(); BUCKETS as usize];
    let take = |row: &Canonical, _: &dyn Fn() -> Vec<Value>| {
        let place = bucket(row.key(&pair.key), BUCKETS) as usize;
        sums[place].add(row_hash(&row.bytes));
    };
    pair.each(session, of_source, take).await?;
    Ok(sums)
}

/// The buckets that differ, as many as there is room for, and one in any case; whether these are all.
fn wanted(here: &[Digest], there: &[Digest], room: &mut u64) -> (Vec<bool>, bool) {
    let mut wanted = vec![false; here.len()];
    for (at, (a, b)) in here.iter().zip(there).enumerate() {
        if a == b {
            continue;
        }
        let rows = a.rows + b.rows;
        if rows > *room && *room < HELD {
            return (wanted, false);
        }
        *room = room.saturating_sub(rows);
        wanted[at] = true;
    }
    (wanted, true)
}

async fn hold(
    pair: &Pair<'_>,
    session: &mut dyn Session,
    of_source: bool,
    wanted: &[bool],
    mut take: impl FnMut(u128, u128, Vec<Value>) + Send,
) -> Result<(), DbError> {
    pair.each(session, of_source, |row, key| {
        let hash = row.key(&pair.key);
        if wanted[bucket(hash, BUCKETS) as usize] {
            take(hash, row_hash(&row.bytes), key());
        }
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_round_does_not_hold_is_left_for_the_next() {
        let full = |rows: u64| {
            let mut digest = Digest::default();
            (0..rows).for_each(|row| digest.add(row_hash(&row.to_le_bytes())));
            digest
        };
        let (here, there) = (vec![full(150_000); 3], vec![Digest::default(); 3]);
        let mut room = HELD;
        assert_eq!(
            wanted(&here, &there, &mut room),
            (vec![true, false, false], false)
        );
        let mut room = HELD;
        assert_eq!(wanted(&here, &here, &mut room), (vec![false; 3], true));
        assert_eq!(
            wanted(&here[..1], &there[..1], &mut room),
            (vec![true], true)
        );
    }
}
