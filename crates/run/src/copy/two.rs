//! Both sides of a comparison, read at the same time: each on a task of its own, so that two cores are at work.

use super::pair::Pair;
use super::sums::{By, Held, Holding, Looks, Summing, Sums, Wanted};
use crate::world::World;
use crate::{digest, trouble};
use dunlin_core::copy::Typing;
use dunlin_core::dialect::parts::places;
use dunlin_core::failure::{ErrorClass, Failure};
use dunlin_core::schema::{Catalog, NeutralType};
use dunlin_core::value::Value;
use dunlin_engines::scan::{RowVisitor, scan};
use dunlin_engines::{DbError, Session};
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::task::JoinSet;

/// Which end could not be read.
pub(super) enum Side {
    Source(DbError),
    Target(DbError),
}

impl Side {
    /// As a failure.
    pub(super) fn failure(&self, from: &World, to: &World) -> Failure {
        match self {
            Side::Source(error) => {
                from.redact(trouble::refused(error, "the source cannot be read"))
            }
            Side::Target(error) => to.redact(trouble::refused(error, "the target cannot be read")),
        }
    }
}

/// Sessions of both sides.
pub(super) struct Two<'r> {
    reader: &'r mut dyn Session,
    /// Away while its task has it.
    target: Option<Box<dyn Session>>,
}

fn gone() -> Side {
    let message = "the session was given up with a query that failed";
    Side::Target(DbError::new(ErrorClass::ConnectionLost, message))
}

/// Rows of queries, one after the other, to one visitor.
async fn read<V: RowVisitor>(
    session: &mut dyn Session,
    selects: &[String],
    mut visitor: V,
) -> Result<V, DbError> {
    for select in selects {
        visitor = scan(session, select, visitor).await?;
    }
    Ok(visitor)
}

impl<'r> Two<'r> {
    /// Those.
    pub(super) fn with(reader: &'r mut dyn Session, target: Box<dyn Session>) -> Two<'r> {
        Two {
            reader,
            target: Some(target),
        }
    }

    /// The target's session.
    pub(super) fn target(&mut self) -> Result<&mut dyn Session, Side> {
        match &mut self.target {
            Some(target) => Ok(&mut **target),
            None => Err(gone()),
        }
    }

    /// Begins to see one state of the target.
    pub(super) async fn begin(&mut self) -> Result<(), Side> {
        let begun = digest::begin_snapshot(self.target()?).await;
        begun.map_err(Side::Target)
    }

    /// Ends the session of the target.
    pub(super) async fn close(self) {
        if let Some(mut target) = self.target {
            let _ = digest::end_snapshot(&mut *target).await;
            target.close().await;
        }
    }

    /// Reads both sides; of the target nothing where nothing is asked of it.
    async fn read<A: RowVisitor, B: RowVisitor>(
        &mut self,
        (selects, ours): (Vec<String>, A),
        theirs: Option<(Vec<String>, B)>,
    ) -> Result<(A, Option<B>), Side> {
        let mut apart = JoinSet::new();
        if let Some((selects, visitor)) = theirs {
            let mut target = self.target.take().ok_or_else(gone)?;
            apart.spawn(async move {
                let read = read(&mut *target, &selects, visitor).await;
                (target, read)
            });
        }
        // Dropped, what is apart ends as well.
        let ours = read(self.reader, &selects, ours);
        let ours = ours.await.map_err(Side::Source)?;
        let Some(done) = apart.join_next().await else {
            return Ok((ours, None));
        };
        match done {
            Ok((target, read)) => {
                self.target = Some(target);
                Ok((ours, Some(read.map_err(Side::Target)?)))
            }
            Err(broken) => match broken.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(_) => Err(gone()),
            },
        }
    }

    /// Adds up a table's rows on both sides. `theirs`: the target has it. `look`: what else looks at the source's rows.
    pub(super) async fn sums<L: Looks>(
        &mut self,
        pair: &Pair<'_>,
        by: By,
        theirs: bool,
        look: L,
    ) -> Result<(Sums, Option<Sums>, L), Side> {
        let select = self.reader.dialect().rows().select(&pair.source);
        let ours = Summing {
            forming: pair.forming(true),
            sums: Sums::new(by.clone(), &pair.key),
            look,
        };
        let theirs = match theirs {
            false => None,
            true => {
                let select = self.target()?.dialect().rows().select(&pair.target);
                let summing = Summing {
                    forming: pair.forming(false),
                    sums: Sums::new(by, &pair.key),
                    look: (),
                };
                Some((vec![select], summing))
            }
        };
        let (ours, theirs) = self.read((vec![select], ours), theirs).await?;
        Ok((ours.sums, theirs.map(|theirs| theirs.sums), ours.look))
    }

    /// Holds the rows of both sides in parts that differ.
    pub(super) async fn hold(
        &mut self,
        pair: &Pair<'_>,
        wanted: Wanted,
    ) -> Result<(BTreeMap<u128, Held>, BTreeMap<u128, Held>), Side> {
        let wanted = Arc::new(wanted);
        let side = |session: &dyn Session, of_source: bool| {
            let bound = pair.bound(of_source);
            let key = pair.key.first().map(|at| &bound.columns[*at].shape);
            let dialect = session.dialect();
            // A value of another class than its column's is compared otherwise by such an engine.
            let key = key.filter(|_| dialect.rows().typing() == Typing::Static);
            let holding = Holding {
                forming: pair.forming(of_source),
                wanted: Arc::clone(&wanted),
                naming: pair.naming(),
                held: BTreeMap::new(),
            };
            (wanted.selects(dialect, bound, key), holding)
        };
        let ours = side(self.reader, true);
        let theirs = side(self.target()?, false);
        let (ours, theirs) = self.read(ours, Some(theirs)).await?;
        Ok((
            ours.held,
            theirs.map_or_else(BTreeMap::new, |theirs| theirs.held),
        ))
    }

    /// By what a table's rows are parted.
    pub(super) async fn parted(&mut self, pair: &Pair<'_>, source: &Catalog) -> Result<By, Side> {
        let [at] = pair.key[..] else {
            return Ok(By::Hash);
        };
        let plan = &pair.plan.columns[at];
        let (schema, name) = &pair.plan.source;
        let table = source.table(schema.as_deref(), name);
        let declared = table.and_then(|table| Some(&table.column(&plan.source)?.neutral));
        let all = |ty: NeutralType| {
            declared == Some(&ty) && plan.source_type == ty && plan.ty == ty && !plan.as_is
        };
        if all(NeutralType::Text) {
            return Ok(By::Ending);
        }
        let dialect = self.reader.dialect();
        if !all(NeutralType::Int) {
            return Ok(By::Hash);
        }
        // By the index of the key.
        let ask = places(dialect.rows(), &pair.source, &dialect.quote(&plan.source));
        let found = self.reader.query(&ask, &[]).await.map_err(Side::Source)?;
        let number = |value: &Value| match value {
            Value::Int(n) => Some(i128::from(*n)),
            Value::UInt(n) => Some(i128::from(*n)),
            _ => None,
        };
        Ok(match found.first().map(Vec::as_slice) {
            Some([least, largest]) => match (number(least), number(largest)) {
                (Some(least), Some(largest)) => By::number(least, largest),
                _ => By::Hash,
            },
            _ => By::Hash,
        })
    }
}
