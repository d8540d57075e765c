//! What a cleaning does to rows, and what a dry run counts of it: one walk for both, so that the numbers are the same.

use super::book::Book;
use super::ground::{Follow, Ground, Relation};
use super::groups::stem;
use super::image::Op;
use super::kin::Kin;
use super::marks::Marks;
use crate::backup::disk;
use crate::executor::Runner;
use crate::world::World;
use dunlin_core::copy::digest::text_hash;
use dunlin_core::failure::Failure;
use dunlin_core::rules::chunk::KEYS_SHOWN;
use dunlin_core::source::grammar::data::OnChildren;
use dunlin_core::value::{Row, Value};
use dunlin_engines::{DbError, Session};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::future::Future;
use std::pin::Pin;

/// Keys in one statement.
pub(super) const CHUNK: usize = 500;

/// What went wrong with a batch.
pub(super) enum Wrong {
    /// A statement; whether it is tried again says its class.
    Said(DbError),
    /// What is not tried again.
    Final(Box<Failure>),
}

impl From<DbError> for Wrong {
    fn from(error: DbError) -> Wrong {
        Wrong::Said(error)
    }
}

impl From<Failure> for Wrong {
    fn from(failure: Failure) -> Wrong {
        Wrong::Final(Box::new(failure))
    }
}

/// What calls itself again waits in a box.
pub(super) type Boxed<'f, T> = Pin<Box<dyn Future<Output = Result<T, Wrong>> + Send + 'f>>;

/// How many rows, and which were left.
#[derive(Debug, Clone, Default)]
pub(super) struct Tally {
    pub(super) removed: u64,
    pub(super) changed: u64,
    /// By table: removed, changed.
    pub(super) tables: BTreeMap<String, (u64, u64)>,
    pub(super) left: u64,
    pub(super) keys: Vec<String>,
}

impl Tally {
    pub(super) fn add(&mut self, other: Tally) {
        self.removed += other.removed;
        self.changed += other.changed;
        self.left += other.left;
        for (table, (removed, changed)) in other.tables {
            let own = self.tables.entry(table).or_default();
            own.0 += removed;
            own.1 += changed;
        }
        self.keys.extend(other.keys);
        self.keys.truncate(KEYS_SHOWN);
    }
}

/// Who does it.
pub(super) enum Desk<'s, 'w> {
    /// A session that reads: only the numbers.
    Reads(&'s mut dyn Session),
    /// A run.
    Writes(&'s mut Runner<'w>),
}

/// A walk over the rows of some rules.
pub(super) struct Sweep<'s, 'w> {
    pub(super) ground: &'s Ground,
    pub(super) desk: Desk<'s, 'w>,
    /// What happens to children, as the rule says.
    pub(super) children: Option<OnChildren>,
    /// Of the batch.
    pub(super) ops: Vec<Op>,
    pub(super) bytes: usize,
    pub(super) tally: Tally,
    /// What is written of the batch; `None`: nothing is.
    pub(super) book: Option<Book>,
    world: &'s World,
    /// Rows that a dry run takes for gone: a session that writes finds them no more.
    gone: Marks,
    /// Rows that are about to go, further up.
    going: HashSet<u128>,
    /// Which values children have got: table, number of the unique key, values.
    pub(super) claimed: HashMap<(usize, usize, String), Row>,
}

pub(super) fn spelled(values: &[Value]) -> String {
    format!("{values:?}")
}

fn mark(at: usize, key: &[Value]) -> u128 {
    text_hash(&format!("{at} {key:?}"))
}

pub(super) fn pick(row: &[Value], places: &[usize]) -> Vec<Value> {
    places.iter().map(|at| row[*at].clone()).collect()
}

pub(super) fn has_null(values: &[Value]) -> bool {
    values.iter().any(Value::is_null)
}

impl<'s, 'w> Sweep<'s, 'w> {
    pub(super) fn new(world: &'s World, ground: &'s Ground, desk: Desk<'s, 'w>) -> Self {
        Sweep {
            world,
            book: None,
            ground,
            desk,
            children: None,
            ops: vec![],
            bytes: 0,
            tally: Tally::default(),
            gone: Marks::default(),
            going: HashSet::new(),
            claimed: HashMap::new(),
        }
    }

    pub(super) fn is_dry(&self) -> bool {
        matches!(self.desk, Desk::Reads(_))
    }

    pub(super) fn session(&mut self) -> &mut dyn Session {
        match &mut self.desk {
            Desk::Reads(session) => &mut **session,
            Desk::Writes(runner) => &mut *runner.work,
        }
    }

    /// A batch begins anew.
    pub(super) fn fresh(&mut self) {
        self.ops.clear();
        self.bytes = 0;
        self.tally = Tally::default();
        self.going.clear();
        self.book = None;
        if !self.is_dry() {
            self.claimed.clear();
        }
    }

    /// Children have got what they get of another row from here on.
    pub(super) fn next_group(&mut self) {
        self.claimed.clear();
    }

    pub(super) fn key(&self, at: usize, row: &[Value]) -> Vec<Value> {
        pick(row, &self.ground.tables[at].key)
    }

    pub(super) fn note(&mut self, op: Op) {
        self.bytes += op.bytes();
        self.ops.push(op);
    }

    pub(super) fn is_gone(&self, at: usize, row: &[Value]) -> bool {
        self.gone.contains(mark(at, &self.key(at, row)))
    }

    /// A row that nobody has taken away, and that is not about to go.
    fn is_fresh(&self, at: usize, row: &[Value]) -> bool {
        let mark = mark(at, &self.key(at, row));
        !self.gone.contains(mark) && !self.going.contains(&mark)
    }

    /// Takes a row for gone.
    fn goes(&mut self, at: usize, key: &[Value]) -> Result<(), Failure> {
        if !self.gone.insert(mark(at, key)) {
            return Ok(());
        }
        let path = stem(self.world)?;
        self.gone.spill(&path).map_err(|error| disk(&path, &error))
    }

    /// Whether all that lies on the disk could be read.
    pub(super) fn sound(&self) -> Result<(), Failure> {
        let folder = &self.world.config.backup_dir;
        self.gone.sound().map_err(|error| disk(folder, &error))
    }

    /// A row that stays where it is.
    pub(super) fn leave(&mut self, at: usize, key: &[Value]) {
        self.tally.left += 1;
        if self.tally.keys.len() < KEYS_SHOWN {
            let known = &self.ground.tables[at];
            let shown = format!("{}: {}", known.label(), known.shown(key));
            self.tally.keys.push(shown);
        }
    }

    /// The rows with these keys as they are now, locked where they will be changed; those that meet the condition.
    pub(super) async fn rows(
        &mut self,
        at: usize,
        keys: &[Vec<Value>],
        only: Option<&str>,
    ) -> Result<Vec<Row>, Wrong> {
        let places = self.ground.tables[at].key.clone();
        let mut rows = self.by(at, &places, keys, only).await?;
        rows.retain(|row| !self.is_gone(at, row));
        Ok(rows)
    }

    /// Rows by the values of some columns.
    pub(super) async fn by(
        &mut self,
        at: usize,
        places: &[usize],
        values: &[Vec<Value>],
        only: Option<&str>,
    ) -> Result<Vec<Row>, Wrong> {
        let bound = &self.ground.tables[at].bound;
        let all: Vec<usize> = (0..bound.columns.len()).collect();
        let lock = !self.is_dry();
        let session = self.session();
        let mut rows = vec![];
        for part in values.chunks(CHUNK) {
            let change = session.dialect().change();
            let query = change.keyed(bound, places, &all, part, only, lock);
            rows.extend(session.query(&query.sql, &query.params).await?);
        }
        Ok(rows)
    }

    /// The relations to a table.
    pub(super) fn to(&self, at: usize) -> Vec<Relation> {
        let to = |relation: &&Relation| relation.parent == at;
        self.ground.relations.iter().filter(to).cloned().collect()
    }

    /// Takes what refers to rows out of their way. Gives those that may go: a row that others refer to and that no key
    /// and no rule lets go is left. However deep it goes, what waits for its children is at most a page for each level.
    pub(super) async fn clear(&mut self, at: usize, rows: Vec<Row>) -> Result<Vec<Row>, Wrong> {
        let mut waiting = vec![self.waits(at, rows).await?];
        while let Some(last) = waiting.last_mut() {
            if let Some((child, fresh)) = self.children_of(last).await? {
                let next = self.waits(child, fresh).await?;
                waiting.push(next);
                continue;
            }
            let Some(done) = waiting.pop() else { break };
            for row in &done.rows {
                let mark = mark(done.at, &self.key(done.at, row));
                self.going.remove(&mark);
            }
            if waiting.is_empty() {
                return Ok(done.rows);
            }
            self.delete(done.at, done.rows).await?;
        }
        Ok(vec![])
    }

    /// Rows that are about to go.
    async fn waits(&mut self, at: usize, rows: Vec<Row>) -> Result<Waiting, Wrong> {
        let rows = self.may_go(at, rows).await?;
        for row in &rows {
            let mark = mark(at, &self.key(at, row));
            self.going.insert(mark);
        }
        Ok(Waiting {
            at,
            rows,
            relation: 0,
            kin: None,
        })
    }

    /// The next children of some rows that must go before them. Those that refer to nothing from then on are done on the way.
    async fn children_of(
        &mut self,
        waiting: &mut Waiting,
    ) -> Result<Option<(usize, Vec<Row>)>, Wrong> {
        let ground = self.ground;
        while let Some(relation) = ground.relations.get(waiting.relation) {
            let follow = Ground::follow(relation, self.children);
            let follows = matches!(follow, Follow::Goes | Follow::Emptied);
            if relation.parent != waiting.at || !follows {
                waiting.next_relation();
                continue;
            }
            let rows = &waiting.rows;
            let kin = waiting
                .kin
                .get_or_insert_with(|| Kin::of(referred(rows, relation)));
            let child = relation.child;
            let Some(mut page) = self.page(relation, kin).await? else {
                waiting.next_relation();
                continue;
            };
            page.retain(|row| self.is_fresh(child, row));
            if page.is_empty() {
                continue;
            }
            if follow == Follow::Goes {
                return Ok(Some((child, page)));
            }
            let empty = |_: &[Value]| vec![Value::Null; relation.columns.len()];
            self.change(child, page, &relation.columns, empty).await?;
        }
        Ok(None)
    }

    /// Those of some rows that nothing keeps.
    async fn may_go(&mut self, at: usize, rows: Vec<Row>) -> Result<Vec<Row>, Wrong> {
        let mut kept: HashSet<String> = HashSet::new();
        for relation in self.to(at) {
            if Ground::follow(&relation, self.children) != Follow::Keeps {
                continue;
            }
            let values = referred(&rows, &relation);
            let wanted = values.len();
            let mut kin = Kin::of(values);
            let mut held: HashSet<String> = HashSet::new();
            while held.len() < wanted {
                let Some(page) = self.page(&relation, &mut kin).await? else {
                    break;
                };
                for row in &page {
                    if self.is_fresh(relation.child, row) {
                        held.insert(spelled(&pick(row, &relation.columns)));
                    }
                }
            }
            for row in &rows {
                if held.contains(&spelled(&pick(row, &relation.others))) {
                    kept.insert(spelled(&self.key(at, row)));
                }
            }
        }
        let mut go = vec![];
        for row in rows {
            let key = self.key(at, &row);
            match kept.contains(&spelled(&key)) {
                true => self.leave(at, &key),
                false => go.push(row),
            }
        }
        Ok(go)
    }

    /// Removes rows; what refers to them is out of the way.
    pub(super) async fn delete(&mut self, at: usize, rows: Vec<Row>) -> Result<(), Wrong> {
        let keys: Vec<Vec<Value>> = rows.iter().map(|row| self.key(at, row)).collect();
        if !self.is_dry() {
            let now = self.rows(at, &keys, None).await?;
            let mut now: HashMap<String, Row> = now
                .into_iter()
                .map(|row| (spelled(&self.key(at, &row)), row))
                .collect();
            for (row, key) in rows.into_iter().zip(&keys) {
                // What the server itself took away meanwhile (a circle of keys) is kept as it was read.
                let row = now.remove(&spelled(key)).unwrap_or(row);
                self.note(Op::Removed(at, row));
            }
            let known = &self.ground.tables[at];
            let session = self.session();
            for part in keys.chunks(CHUNK) {
                let query = session
                    .dialect()
                    .change()
                    .remove(&known.bound, &known.key, part);
                session.execute_with(&query.sql, &query.params).await?;
            }
            self.spill().await?;
        } else {
            for key in &keys {
                self.goes(at, key)?;
            }
        }
        let count = keys.len() as u64;
        self.tally.removed += count;
        let label = self.ground.tables[at].label();
        if count > 0 {
            self.tally.tables.entry(label).or_default().0 += count;
        }
        Ok(())
    }

    pub(super) fn changed(&mut self, at: usize, count: u64) {
        self.tally.changed += count;
        if count > 0 {
            let label = self.ground.tables[at].label();
            self.tally.tables.entry(label).or_default().1 += count;
        }
    }

    /// Gives columns of rows other values.
    pub(super) async fn change(
        &mut self,
        at: usize,
        rows: Vec<Row>,
        columns: &[usize],
        new: impl Fn(&[Value]) -> Vec<Value>,
    ) -> Result<(), Wrong> {
        self.changed(at, rows.len() as u64);
        if self.is_dry() {
            return Ok(());
        }
        let known = &self.ground.tables[at];
        let mut groups: BTreeMap<String, (Vec<Value>, Vec<Vec<Value>>)> = BTreeMap::new();
        let mut pairs = vec![];
        for row in rows {
            let values = new(&row);
            let mut after = row.clone();
            for (place, value) in columns.iter().zip(&values) {
                after[*place] = value.clone();
            }
            let group = groups
                .entry(spelled(&values))
                .or_insert_with(|| (values, vec![]));
            group.1.push(pick(&row, &known.key));
            pairs.push((row, pick(&after, &known.key)));
        }
        let session = self.session();
        for (values, keys) in groups.into_values() {
            for part in keys.chunks(CHUNK) {
                let change = session.dialect().change();
                let query = change.put(&known.bound, &known.key, columns, &values, part);
                session.execute_with(&query.sql, &query.params).await?;
            }
        }
        self.note_changed(at, pairs).await
    }

    /// Notes rows that were changed: each as it was, and the key that it has now.
    pub(super) async fn note_changed(
        &mut self,
        at: usize,
        pairs: Vec<(Row, Vec<Value>)>,
    ) -> Result<(), Wrong> {
        let keys: Vec<Vec<Value>> = pairs.iter().map(|(_, key)| key.clone()).collect();
        let now = self.rows(at, &keys, None).await?;
        let mut now: HashMap<String, Row> = now
            .into_iter()
            .map(|row| (spelled(&self.key(at, &row)), row))
            .collect();
        for (before, key) in pairs {
            // A row that a trigger took away meanwhile has nothing that could be put back.
            if let Some(after) = now.remove(&spelled(&key)) {
                self.note(Op::Changed(at, before, after));
            }
        }
        self.spill().await
    }

    /// Changes rows by assignments that a person wrote.
    pub(super) async fn set(&mut self, at: usize, rows: Vec<Row>, set: &str) -> Result<(), Wrong> {
        self.changed(at, rows.len() as u64);
        if self.is_dry() {
            return Ok(());
        }
        let known = &self.ground.tables[at];
        let keys: Vec<Vec<Value>> = rows.iter().map(|row| pick(row, &known.key)).collect();
        let session = self.session();
        for part in keys.chunks(CHUNK) {
            let query = session
                .dialect()
                .change()
                .update(&known.bound, &known.key, set, part);
            session.execute_with(&query.sql, &query.params).await?;
        }
        self.note_changed(at, rows.into_iter().zip(keys).collect())
            .await
    }
}

/// Rows that wait for what refers to them to go.
struct Waiting {
    at: usize,
    rows: Vec<Row>,
    /// The place of the relation whose children are on their way, and those.
    relation: usize,
    kin: Option<Kin>,
}

impl Waiting {
    fn next_relation(&mut self) {
        self.relation += 1;
        self.kin = None;
    }
}

/// The values by which children may refer to some rows, each once.
fn referred(rows: &[Row], relation: &Relation) -> Vec<Vec<Value>> {
    let mut seen = HashSet::new();
    let values = rows.iter().map(|row| pick(row, &relation.others));
    values
        .filter(|values| !has_null(values) && seen.insert(spelled(values)))
        .collect()
}
