//! Cleaning: rule by rule, in batches, each a transaction with its undo image and the journal's record of it. A dry run
//! is the same walk by a session that reads.

use super::book::Book;
use super::dates::{Dates, ago};
use super::ground::{Asked, Ground};
use super::groups::{Pair, Pairs};
use super::kin::Looks;
use super::look::cannot;
use super::prepare::{make_archives, prepare};
use super::report::{Ask, Cleaned, Outcome, PerTable};
use super::shelf::Shelf;
use super::sweep::{CHUNK, Desk, Sweep, Tally, Wrong};
use super::tidy;
use crate::backup::archive::cell_of;
use crate::executor::Runner;
use crate::world::World;
use crate::{digest, trouble};
use dunlin_core::event::{Event, Sink};
use dunlin_core::failure::{ErrorClass, Failure};
use dunlin_core::finding::{Finding, Place};
use dunlin_core::journal::{self, Record};
use dunlin_core::limits;
use dunlin_core::rules::chunk::{self, Detail, State};
use dunlin_core::rules::{Act, Kind, To};
use dunlin_core::value::{Row, Value};
use dunlin_engines::Session;
use std::collections::BTreeMap;

/// How long a lock that is not had is waited for again, beside the engine's own patience.
const LOCK_TRIES: u32 = 20;

/// The cleaning of a run, as its records name it.
pub(super) struct Unit<'u> {
    pub(super) name: &'u str,
    pub(super) next: i64,
    pub(super) state: State,
}

impl<'u> Unit<'u> {
    pub(super) async fn read(runner: &mut Runner<'_>, name: &'u str) -> Result<Unit<'u>, Failure> {
        let sql = &runner.world.sql.read_unit;
        let rows = runner.work.query(sql, &[name.into()]).await;
        let rows = rows.map_err(|error| trouble::refused(&error, "the journal cannot be read"))?;
        let records: Vec<Record> = rows.iter().filter_map(Record::read).collect();
        let state = State::fold(&records);
        Ok(Unit {
            name,
            next: state.next,
            state,
        })
    }

    pub(super) async fn say(
        &self,
        runner: &mut Runner<'_>,
        event: journal::Event,
        detail: Detail,
    ) -> Result<(), Failure> {
        let record = chunk::record(event, self.name, None, detail);
        let pen = runner.pen.clone();
        let written = pen.append(runner.world, &mut *runner.work, &[record]).await;
        written.map_err(|error| runner.trouble(&error, "the journal could not be written"))
    }
}

/// What a cleaning would do, counted in one snapshot by a session that reads.
///
/// # Errors
/// What cannot be asked or cannot be cleaned.
pub async fn dry_run(
    world: &World,
    ask: &Ask<'_>,
    sink: &mut dyn Sink,
) -> Result<Outcome, Failure> {
    let mut session = world.open(dunlin_engines::Purpose::Read).await?;
    let outcome = dry(world, &mut *session, ask, sink).await;
    session.close().await;
    outcome.map_err(|failure| world.redact(failure))
}

async fn dry(
    world: &World,
    session: &mut dyn Session,
    ask: &Ask<'_>,
    sink: &mut dyn Sink,
) -> Result<Outcome, Failure> {
    let (ground, asked) = prepare(session, ask).await?;
    let wrong = |error| trouble::refused(&error, "the rules cannot be asked");
    digest::begin_snapshot(session).await.map_err(wrong)?;
    let mut outcome = Outcome::default();
    let mut sweep = Sweep::new(world, &ground, Desk::Reads(session));
    let mut stopped = Ok(());
    for one in &asked {
        sink.event(&Event::Note {
            message: format!("looking what rule `{}` would clean", one.rule.id),
        });
        let mut cleaning = Cleaning::new(world, one, None);
        if let Err(failure) = cleaning.run(&mut sweep, None).await {
            stopped = Err(failure);
            break;
        }
        outcome.take(cleaning, &ground, ask);
    }
    drop(sweep);
    let ended = digest::end_snapshot(session).await;
    stopped?;
    ended.map_err(wrong)?;
    Ok(outcome)
}

impl Outcome {
    fn take(&mut self, cleaning: Cleaning<'_>, ground: &Ground, _ask: &Ask<'_>) {
        let Cleaning {
            asked,
            dates,
            total,
            sizes,
            ..
        } = cleaning;
        if let (Some(at), Some(by)) = (asked.table, asked.by) {
            let known = &ground.tables[at];
            let column = &known.bound.columns[by].shape.name;
            self.findings
                .extend(dates.said(&asked.rule.id, &known.label(), column, true));
        }
        if total.left > 0 {
            let message = format!(
                "rule `{}`: {} {} left where they are, since rows refer to them, their date cannot be read, or somebody \
                 wrote to them ({})",
                asked.rule.id,
                total.left,
                if total.left == 1 {
                    "row is"
                } else {
                    "rows are"
                },
                total.keys.join("; ")
            );
            let place = Place::object(format!("rule {}", asked.rule.id));
            self.findings
                .push(Finding::warning("rule-rows-left", place, message));
        }
        let tables = total
            .tables
            .iter()
            .map(|(table, (removed, changed))| PerTable {
                table: table.clone(),
                removed: *removed,
                changed: *changed,
            });
        self.rules.push(Cleaned {
            id: asked.rule.id.clone(),
            kind: asked.rule.kind.name(),
            removed: total.removed,
            changed: total.changed,
            left: total.left,
            left_keys: total.keys,
            tables: tables.collect(),
            bytes_before: sizes.0,
            bytes_after: sizes.1,
        });
    }
}

/// Cleans within a run, under a name by which it can be taken back. What was done before something stopped it stands,
/// and is given beside the failure.
pub async fn clean_unit(
    runner: &mut Runner<'_>,
    name: &str,
    ask: &Ask<'_>,
) -> (Outcome, Result<(), Failure>) {
    let mut outcome = Outcome::default();
    let ended = in_run(runner, name, ask, &mut outcome).await;
    (outcome, ended)
}

async fn in_run(
    runner: &mut Runner<'_>,
    name: &str,
    ask: &Ask<'_>,
    outcome: &mut Outcome,
) -> Result<(), Failure> {
    let flushed = runner.flush().await;
    flushed.map_err(|error| runner.trouble(&error, "the journal could not be written"))?;
    let (mut ground, mut asked) = prepare(&mut *runner.work, ask).await?;
    let mut unit = Unit::read(runner, name).await?;
    let create = runner.world.sql.undo.create.clone();
    let made = runner.work.execute(&create).await;
    made.map_err(|error| trouble::refused(&error, "the cleaning cannot begin"))?;
    if !unit.state.began {
        unit.say(runner, journal::Event::Began, Detail::default())
            .await?;
    }
    if make_archives(runner, &unit, &ground, &asked).await? {
        (ground, asked) = prepare(&mut *runner.work, ask).await?;
    }
    let world = runner.world;
    for one in &asked {
        runner.may_go_on()?;
        let shelf = match &one.rule.kind {
            Kind::Archive {
                to: To::File(file), ..
            } => {
                let path = ask.root.join(file);
                Some(Shelf::open(&path, &unit.state.files)?)
            }
            _ => None,
        };
        if let Some(shelf) = &shelf {
            let detail = Detail {
                rule: one.rule.id.clone(),
                file: Some(shelf.part()),
                ..Detail::default()
            };
            unit.say(runner, journal::Event::Began, detail).await?;
        }
        runner.sink.event(&Event::Note {
            message: format!("cleaning by rule `{}`", one.rule.id),
        });
        let mut cleaning = Cleaning::new(world, one, shelf);
        let mut sweep = Sweep::new(world, &ground, Desk::Writes(&mut *runner));
        let ran = cleaning.run(&mut sweep, Some(&mut unit)).await;
        drop(sweep);
        outcome.take(cleaning, &ground, ask);
        ran?;
    }
    unit.say(runner, journal::Event::Ended, Detail::default())
        .await
}

/// One rule's cleaning.
struct Cleaning<'a> {
    world: &'a World,
    asked: &'a Asked,
    dates: Dates,
    total: Tally,
    sizes: (Option<u64>, Option<u64>),
    shelf: Option<Shelf>,
}

/// What a batch is about.
enum Batch<'b> {
    Keys(&'b [Row]),
    Pairs(&'b [Pair]),
}

impl<'a> Cleaning<'a> {
    fn new(world: &'a World, asked: &'a Asked, shelf: Option<Shelf>) -> Self {
        Cleaning {
            world,
            asked,
            dates: Dates::default(),
            total: Tally::default(),
            sizes: (None, None),
            shelf,
        }
    }

    async fn run(
        &mut self,
        sweep: &mut Sweep<'_, '_>,
        mut unit: Option<&mut Unit<'_>>,
    ) -> Result<(), Failure> {
        sweep.children = self.asked.rule.children;
        sweep.fresh();
        match self.asked.rule.act {
            Act::Nothing => Ok(()),
            Act::Optimize => {
                let tidied = tidy::tidy(sweep, &self.asked.tidied).await;
                self.sizes = tidied
                    .map_err(|error| trouble::failed(&error, "the tables cannot be tidied"))?;
                Ok(())
            }
            Act::Duplicates => self.duplicates(sweep, &mut unit).await,
            Act::Delete | Act::Archive => self.pages(sweep, &mut unit).await,
        }
    }

    /// Rows that meet the rule's condition, page by page along the key.
    async fn pages(
        &mut self,
        sweep: &mut Sweep<'_, '_>,
        unit: &mut Option<&mut Unit<'_>>,
    ) -> Result<(), Failure> {
        let at = self.asked.at()?;
        let known = &sweep.ground.tables[at];
        let mut last: Option<Row> = None;
        let mut looks = Looks::default();
        loop {
            let session = sweep.session();
            let change = session.dialect().change();
            let only = self.asked.only.as_deref();
            let most = looks.next();
            let page = change.page(&known.bound, &known.key, last.as_deref(), only, most);
            let found = session.query(&page.sql, &page.params).await;
            let keys = found.map_err(|error| cannot(&self.asked.rule, &error))?;
            let Some(end) = keys.last().cloned() else {
                return Ok(());
            };
            // Whether a row still meets the condition is asked again when it is locked.
            for keys in keys.chunks(CHUNK) {
                self.batch(sweep, unit, &Batch::Keys(keys)).await?;
            }
            last = Some(end);
        }
    }

    /// Rows that are there twice: found in one snapshot, then taken group by group.
    async fn duplicates(
        &mut self,
        sweep: &mut Sweep<'_, '_>,
        unit: &mut Option<&mut Unit<'_>>,
    ) -> Result<(), Failure> {
        let (ground, writes) = (sweep.ground, !sweep.is_dry());
        let wrong = |error| cannot(&self.asked.rule, &error);
        let session = sweep.session();
        if writes {
            digest::begin_snapshot(session).await.map_err(wrong)?;
        }
        let pairs = Pairs::read(self.world, session, ground, self.asked, &mut self.dates).await;
        if writes {
            digest::end_snapshot(session).await.map_err(wrong)?;
        }
        let mut pairs = pairs?;
        let mut batch: Vec<Pair> = vec![];
        loop {
            let next = pairs.next()?;
            let same = |next: &Pair| batch.last().is_some_and(|last| last.kept == next.kept);
            let whole = batch.len() >= CHUNK || next.is_none();
            if whole && !batch.is_empty() {
                self.batch(sweep, unit, &Batch::Pairs(&batch)).await?;
                if !next.as_ref().is_some_and(same) {
                    sweep.next_group();
                }
                batch.clear();
            }
            match next {
                Some(next) => batch.push(next),
                None => return Ok(()),
            }
        }
    }

    /// One batch, tried again after a deadlock or where a lock was not had.
    async fn batch(
        &mut self,
        sweep: &mut Sweep<'_, '_>,
        unit: &mut Option<&mut Unit<'_>>,
        batch: &Batch<'_>,
    ) -> Result<(), Failure> {
        let mut tried = 0;
        loop {
            sweep.fresh();
            let mut dates = Dates::default();
            let done = self.try_batch(sweep, unit, batch, &mut dates).await;
            match done {
                Ok(()) => {
                    self.total.add(std::mem::take(&mut sweep.tally));
                    if self.asked.rule.act == Act::Archive {
                        self.dates.add(dates);
                    }
                    self.tell(sweep);
                    return Ok(());
                }
                Err(wrong) => {
                    if let Some(shelf) = &mut self.shelf {
                        shelf.forget()?;
                    }
                    again(sweep, wrong, &mut tried).await?;
                }
            }
        }
    }

    fn tell(&self, sweep: &mut Sweep<'_, '_>) {
        if let Desk::Writes(runner) = &mut sweep.desk {
            runner.sink.event(&Event::Progress {
                what: format!("cleaning by rule `{}`", self.asked.rule.id),
                done: self.total.removed + self.total.changed,
                total: None,
                unit: "rows".into(),
            });
        }
    }

    async fn try_batch(
        &mut self,
        sweep: &mut Sweep<'_, '_>,
        unit: &mut Option<&mut Unit<'_>>,
        batch: &Batch<'_>,
        dates: &mut Dates,
    ) -> Result<(), Wrong> {
        let writes = !sweep.is_dry();
        if writes {
            if let Desk::Writes(runner) = &sweep.desk {
                runner.may_go_on()?;
            }
            begin(sweep.session()).await?;
        }
        let rule = &self.asked.rule.id;
        let unit_of = unit.as_ref();
        sweep.book = unit_of.map(|unit| Book::new(unit.name, rule, unit.next));
        match batch {
            Batch::Keys(keys) => self.take_keys(sweep, keys, dates).await?,
            Batch::Pairs(pairs) => self.take_pairs(sweep, pairs).await?,
        }
        sweep.sound()?;
        match unit {
            Some(unit) => self.commit(sweep, unit).await,
            None => Ok(()),
        }
    }

    async fn take_keys(
        &mut self,
        sweep: &mut Sweep<'_, '_>,
        keys: &[Row],
        dates: &mut Dates,
    ) -> Result<(), Wrong> {
        let at = self.asked.at()?;
        let mut rows = sweep.rows(at, keys, self.asked.only.as_deref()).await?;
        if let (
            Kind::Archive {
                older: Some((age, _)),
                ..
            },
            Some(by),
        ) = (&self.asked.rule.kind, self.asked.by)
        {
            let bound = ago(self.world.clock.now(), *age);
            rows.retain(|row| dates.read(cell_of(&row[by])).is_before(bound));
        }
        match &self.asked.rule.kind {
            Kind::Archive {
                to: To::Set(set), ..
            } => sweep.set(at, rows, set).await,
            Kind::Archive {
                to: To::Table(_), ..
            } => sweep.move_rows(at, rows, self.asked.archive).await,
            Kind::Archive {
                to: To::File(_), ..
            } => {
                let rows = sweep.clear(at, rows).await?;
                if let Some(shelf) = &mut self.shelf {
                    let typing = sweep.session().dialect().rows().typing();
                    shelf.put(&sweep.ground.tables[at], &rows, typing)?;
                }
                sweep.delete(at, rows).await
            }
            _ => {
                let rows = sweep.clear(at, rows).await?;
                sweep.delete(at, rows).await
            }
        }
    }

    async fn take_pairs(&mut self, sweep: &mut Sweep<'_, '_>, pairs: &[Pair]) -> Result<(), Wrong> {
        let at = self.asked.at()?;
        let keys: Vec<Row> = pairs.iter().map(|pair| pair.row.clone()).collect();
        let mut others: Vec<Row> = pairs.iter().filter_map(|pair| pair.kept.clone()).collect();
        others.dedup();
        let spelled = |key: &[Value]| format!("{key:?}");
        let by_key = |sweep: &Sweep<'_, '_>, rows: Vec<Row>| -> BTreeMap<String, Row> {
            rows.into_iter()
                .map(|row| (spelled(&sweep.key(at, &row)), row))
                .collect()
        };
        let rows = sweep.rows(at, &keys, None).await?;
        let mut rows = by_key(sweep, rows);
        let kept = sweep.rows(at, &others, None).await?;
        let kept = by_key(sweep, kept);
        let types = self
            .asked
            .columns
            .iter()
            .map(|place| sweep.ground.tables[at].bound.columns[*place].ty.clone());
        let typing = sweep.session().dialect().rows().typing();
        let mut hasher = dunlin_core::copy::RowHasher::new(types.collect(), typing);
        let mut hash =
            |row: &Row| hasher.row(self.asked.columns.iter().map(|place| cell_of(&row[*place])));
        let mut same = vec![];
        for pair in pairs {
            let Some(row) = rows.remove(&spelled(&pair.row)) else {
                // It is gone meanwhile.
                continue;
            };
            let stays = pair.kept.as_ref().and_then(|key| kept.get(&spelled(key)));
            match stays {
                Some(stays) if hash(stays) == hash(&row) => same.push((row, stays.clone())),
                _ => sweep.leave(at, &pair.row),
            }
        }
        sweep.replace(at, same).await
    }

    /// Commits a batch with its images.
    async fn commit(
        &mut self,
        sweep: &mut Sweep<'_, '_>,
        unit: &mut Unit<'_>,
    ) -> Result<(), Wrong> {
        let file = match &mut self.shelf {
            Some(shelf) => shelf.settle()?,
            None => None,
        };
        if let Some(next) = sweep.commit(file).await? {
            unit.next = next;
            if let Some(shelf) = &mut self.shelf {
                shelf.keep();
            }
        }
        Ok(end(sweep.session()).await?)
    }
}

/// Begins a transaction in which rows are read and put back exactly.
async fn begin(session: &mut dyn Session) -> Result<(), Wrong> {
    let change = session.dialect().change();
    for sql in change.reading().0 {
        session.execute(sql).await?;
    }
    session.begin().await?;
    for sql in change.pins().iter().chain(change.by_keys()) {
        session.execute(sql).await?;
    }
    Ok(())
}

/// Puts the session back after it.
async fn end(session: &mut dyn Session) -> Result<(), dunlin_engines::DbError> {
    for sql in session.dialect().change().reading().1 {
        session.execute(sql).await?;
    }
    Ok(())
}

/// Rolls back and waits a little, or says what stopped it.
async fn again(sweep: &mut Sweep<'_, '_>, wrong: Wrong, tried: &mut u32) -> Result<(), Failure> {
    let Desk::Writes(runner) = &mut sweep.desk else {
        return Err(match wrong {
            Wrong::Said(error) => trouble::refused(&error, "the rules cannot be asked"),
            Wrong::Final(failure) => *failure,
        });
    };
    let _ = runner.work.rollback().await;
    let _ = end(&mut *runner.work).await;
    let error = match wrong {
        Wrong::Said(error) => error,
        Wrong::Final(failure) => return Err(*failure),
    };
    let allowed = match error.class {
        ErrorClass::LockTimeout | ErrorClass::Busy => LOCK_TRIES,
        class => class.retries(),
    };
    if *tried >= allowed {
        return Err(trouble::failed(&error, "the cleaning stopped at a batch"));
    }
    runner.may_go_on()?;
    *tried += 1;
    runner.sink.event(&Event::Retrying {
        attempt: *tried,
        error: runner.world.redactor.apply(&error.message),
    });
    tokio::time::sleep(limits::RETRY_PAUSE_FIRST * (*tried).min(10)).await;
    Ok(())
}
