//! What no order of rows mends: rows that exchanged unique values, and missing rows that refer to one another in a circle.
//!
//! All that is left of some tables comes in one transaction, in which no foreign key acts: rows that differ go, and come anew
//! as the source has them. Before its end every key is looked at; where one does not hold, nothing was changed.

use super::giving::{Giving, Load, TOGETHER, loading};
use super::mend::{Mending, Stopped, unread};
use super::pair::Pair;
use super::repair::{Repaired, Unequal};
use crate::checkpoint::quiet::Quiet;
use dunlin_core::copy::reading::Bound;
use dunlin_core::dialect::mend::Mend;
use dunlin_core::failure::{ErrorClass, Failure};
use dunlin_core::schema::Table;
use dunlin_core::sql::ObjectRef;
use dunlin_core::value::{Row, Value};
use dunlin_engines::{DbError, Session};
use std::collections::BTreeMap;

/// One table's rows that are left.
pub(super) struct Left<'l> {
    pub(super) at: usize,
    pub(super) pair: &'l Pair<'l>,
    pub(super) unequal: &'l Unequal,
}

/// Rows on their way onto the stage of a table.
struct Coming<'c> {
    mend: Mend<'c>,
    load: Load,
    giving: Giving<'c>,
}

/// Whether what is done in a table stays there, whatever is rolled back.
pub(super) async fn stays(session: &mut dyn Session, table: &Table) -> Result<bool, DbError> {
    if !session.caps().storage_engines {
        return Ok(false);
    }
    let asked = [ObjectRef::table(table.schema.as_deref(), &table.name)];
    let Some(query) = session.dialect().storage(&asked) else {
        return Ok(false);
    };
    let rows = session.query(&query.sql, &query.params).await?;
    let transactional = |row: &Row| row.get(2).and_then(Value::as_bool) == Some(true);
    Ok(!rows.iter().all(transactional))
}

/// Something else than a row is in the way.
fn unfit(why: &str) -> Stopped {
    Stopped::Rows(DbError::new(ErrorClass::Other, why))
}

impl Mending<'_> {
    /// Mends all that is left of these tables at once. `false`: something is in the way of that as well.
    pub(super) async fn at_once(
        &mut self,
        left: &[Left<'_>],
        reader: &mut dyn Session,
        done: &mut BTreeMap<usize, Repaired>,
    ) -> Result<bool, Failure> {
        self.pressed()?;
        let change = self.work.dialect().change();
        self.set(&[change.quiet(), change.strictly()].concat())
            .await?;
        let outcome = self.all(left, reader).await;
        if outcome.is_err() {
            let _ = self.work.rollback().await;
        }
        self.set(&[change.strictly(), change.keys_on()].concat())
            .await?;
        match outcome {
            Ok(mended) => {
                for (at, mended) in mended {
                    done.entry(at).or_default().add(mended);
                }
                Ok(true)
            }
            Err(Stopped::Rows(_)) => Ok(false),
            Err(Stopped::All(failure)) => Err(*failure),
        }
    }

    async fn set(&mut self, statements: &[&str]) -> Result<(), Failure> {
        for sql in statements {
            let set = self.work.execute(sql).await;
            set.map_err(|error| self.failed(&error))?;
        }
        Ok(())
    }

    async fn all(
        &mut self,
        left: &[Left<'_>],
        reader: &mut dyn Session,
    ) -> Result<BTreeMap<usize, Repaired>, Stopped> {
        let failed = |failure: Failure| unfit(&failure.message);
        let mut quiet = self.quiet(left).await?;
        self.begin().await?;
        quiet.open(&mut *self.work).await.map_err(failed)?;
        let mut mended = BTreeMap::new();
        for one in left {
            let updated = self.go(one, reader).await?;
            let deleted = self.go_for_good(one).await?;
            let done = Repaired {
                updated,
                deleted,
                inserted: 0,
            };
            mended.insert(one.at, done);
        }
        for one in left {
            let came = self.come(one, reader).await?;
            let done = mended.entry(one.at).or_default();
            done.inserted = came.saturating_sub(done.updated);
        }
        if quiet
            .referred(&mut *self.work)
            .await
            .map_err(failed)?
            .is_some()
        {
            return Err(unfit("rows would refer to rows that are not there"));
        }
        quiet.settle(&mut *self.work).await.map_err(failed)?;
        let records: Vec<(&Bound, Repaired)> = left
            .iter()
            .map(|one| (&one.pair.target, mended[&one.at]))
            .collect();
        self.record(&records).await?;
        Ok(mended)
    }

    /// What watches the foreign keys meanwhile.
    async fn quiet(&mut self, left: &[Left<'_>]) -> Result<Quiet, Stopped> {
        let mut tables = vec![];
        for one in left {
            let target = &one.pair.target;
            let Some(table) = self.there.table(target.schema.as_deref(), &target.table) else {
                return Err(unfit("the table is not there"));
            };
            let stays = stays(&mut *self.work, table).await;
            if stays.map_err(|error| self.stopped(error))? {
                return Err(unfit("its storage engine knows no transactions"));
            }
            let mut table = table.clone();
            // Those that are there go on firing.
            table.triggers.clear();
            tables.push(table);
        }
        let tables: Vec<&Table> = tables.iter().collect();
        let quiet = Quiet::plan(self.work.dialect(), false, self.there, &tables);
        quiet.map_err(|failure| unfit(&failure.message))
    }

    /// Whether rows of a table may go and come anew: nothing hears of it, and the source has all that they hold.
    fn may_go(&self, target: &Bound) -> bool {
        let table = self.there.table(target.schema.as_deref(), &target.table);
        let known = |name: &str| {
            let mut columns = target.columns.iter();
            columns.any(|column| column.shape.name == name)
        };
        table.is_some_and(|table| {
            let mut columns = table.columns.iter();
            table.triggers.is_empty()
                && columns.all(|column| column.generated.is_some() || known(&column.name))
        })
    }

    /// Removes the rows that the source holds otherwise. Gives how many.
    async fn go(&mut self, one: &Left<'_>, reader: &mut dyn Session) -> Result<u64, Stopped> {
        let mut coming = self.coming(one, reader).await?;
        let mut gone = 0;
        while self.stage(&mut coming).await? {
            let there = self.work.query(&coming.mend.written_over(), &[]).await;
            let there = there.map_err(|error| self.stopped(error))?;
            if !there.is_empty() && !self.may_go(&one.pair.target) {
                return Err(unfit("rows of it cannot go and come anew"));
            }
            self.image.keep(&one.pair.target, &there).map_err(all)?;
            gone += self.done(&coming.mend.remove()).await?;
        }
        Ok(gone)
    }

    /// Removes the rows that the source does not have.
    async fn go_for_good(&mut self, one: &Left<'_>) -> Result<u64, Stopped> {
        let (table, key) = (&one.pair.target, &one.pair.key);
        let change = self.work.dialect().change();
        let columns: Vec<usize> = (0..table.columns.len()).collect();
        let mut gone = 0;
        for keys in one.unequal.take.chunks(TOGETHER) {
            let query = change.keyed(table, key, &columns, keys, None, true);
            let there = self.work.query(&query.sql, &query.params).await;
            let there = there.map_err(|error| self.stopped(error))?;
            self.image.keep(table, &there).map_err(all)?;
            let query = change.remove(table, key, keys);
            let removed = self.work.execute_with(&query.sql, &query.params).await;
            gone += removed.map_err(|error| self.stopped(error))?;
        }
        Ok(gone)
    }

    /// Adds the rows of the source. Gives how many.
    async fn come(&mut self, one: &Left<'_>, reader: &mut dyn Session) -> Result<u64, Stopped> {
        let mut coming = self.coming(one, reader).await?;
        let mut came = 0;
        while self.stage(&mut coming).await? {
            came += self.done(&coming.mend.insert()).await?;
        }
        Ok(came)
    }

    /// The wanted rows of a table of the source, with a stage for them.
    async fn coming<'c>(
        &mut self,
        one: &'c Left<'_>,
        reader: &'c mut dyn Session,
    ) -> Result<Coming<'c>, Stopped> {
        let mend = Mend {
            dialect: self.work.dialect(),
            table: &one.pair.target,
            key: &one.pair.key,
        };
        let (load, encoder) = loading(one.pair, &mend).map_err(all)?;
        for sql in mend.make() {
            self.done(&sql).await?;
        }
        let giving = Giving::new(one.pair, &one.unequal.give, encoder, reader).await;
        let giving = giving.map_err(|error| all(unread(error)))?;
        Ok(Coming { mend, load, giving })
    }

    /// Puts the next of them on the stage. `false`: there are no more.
    async fn stage(&mut self, coming: &mut Coming<'_>) -> Result<bool, Stopped> {
        let next = coming.giving.next().await;
        let Some(rows) = next.map_err(|error| all(unread(error)))? else {
            return Ok(false);
        };
        self.done(&coming.mend.clear()).await?;
        let loaded = coming.load.send(&mut *self.work, &rows).await;
        loaded.map_err(|error| self.stopped(error))?;
        Ok(true)
    }

    async fn done(&mut self, sql: &str) -> Result<u64, Stopped> {
        let done = self.work.execute(sql).await;
        done.map_err(|error| self.stopped(error))
    }
}

fn all(failure: Failure) -> Stopped {
    Stopped::All(Box::new(failure))
}
