//! One table that rows come into: in batches, with what is a duplicate left out and what is refused written down.

use super::rejects::{Reason, Reject, Rejects};
use super::remember::{Remembered, key_hash};
use super::{Counts, place};
use crate::backup::archive::Putter;
use crate::trouble;
use dunlin_core::bulk::adapt::Habit;
use dunlin_core::bulk::choose::references;
use dunlin_core::bulk::{Datum, ManifestTable, adapt};
use dunlin_core::copy::reading::Bound;
use dunlin_core::copy::{Digest, RowHasher, Typing};
use dunlin_core::failure::{ErrorClass, Failure, FailureClass};
use dunlin_core::schema::{NeutralType, Table};
use dunlin_core::value::Value;
use dunlin_engines::{DbError, Session};
use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;

/// Rows that are sent together.
const TOGETHER: usize = 64;
const TOGETHER_BYTES: usize = 1 << 20;

/// What all tables of an import share.
pub(super) struct Shared {
    /// Rows that are there already are left out.
    pub(super) skips: bool,
    /// Rows that are refused are written down.
    pub(super) rejects: Option<Rejects>,
    /// Keys of rows that were left out, and that nothing in the table has.
    pub(super) gone: Remembered,
    /// The file at hand.
    pub(super) file: PathBuf,
}

/// A row that waits to be sent.
struct Held {
    line: u64,
    values: Vec<Datum>,
}

/// A foreign key: the table referred to, its columns, and where ours stand.
struct Tie {
    parent: usize,
    references: Vec<String>,
    places: Vec<usize>,
    types: Vec<NeutralType>,
}

/// A table that rows come into.
pub(super) struct Load {
    /// The columns that the file has, in the order in which they are hashed.
    pub(super) bound: Bound,
    /// How its rows are hashed.
    pub(super) hasher: RowHasher,
    /// What was there before; `None`: nobody looked.
    pub(super) before: Option<Digest>,
    pub(super) counts: Counts,
    /// The names of the columns as rows bring them, and where each of ours stands among them.
    columns: Arc<Vec<String>>,
    from: Vec<usize>,
    typing: Typing,
    /// Columns of the very type that the file's had: nothing is looked at.
    same: Vec<bool>,
    habits: Vec<Habit>,
    keys: Vec<Vec<usize>>,
    known_by: Vec<String>,
    ties: Vec<Tie>,
    remember: Vec<(Vec<String>, Vec<usize>)>,
    at: usize,
    putter: Putter,
    batch: Vec<Held>,
    bytes: usize,
    scratch: Vec<u8>,
}

/// What a load is made of.
pub(super) struct Target<'a> {
    pub(super) tables: &'a [Table],
    pub(super) at: usize,
    /// All columns that can be written.
    pub(super) bound: &'a Bound,
    /// The key that tells duplicates, where one was named.
    pub(super) key: Option<&'a [String]>,
    /// What the file says of its columns, where it is of the same engine.
    pub(super) about: Option<&'a ManifestTable>,
}

impl Load {
    /// A load of rows with these columns. The error is a sentence.
    pub(super) fn new(
        target: &Target<'_>,
        columns: &Arc<Vec<String>>,
        session: &dyn Session,
    ) -> Result<Load, String> {
        let table = &target.tables[target.at];
        let label = table.label();
        for name in columns.iter() {
            if place(target.bound, name).is_none() {
                return Err(match table.column(name) {
                    Some(_) => format!("{label}.{name} is computed by the server"),
                    None => format!("{label} has no column {name}"),
                });
            }
        }
        let mut bound = target.bound.clone();
        let at_of = |name: &String| columns.iter().position(|given| given == name);
        let loose = |name: &String| {
            columns
                .iter()
                .position(|given| place(target.bound, given) == place(target.bound, name))
        };
        bound
            .columns
            .retain(|column| loose(&column.shape.name).is_some());
        let from = bound.columns.iter().filter_map(|column| {
            let name = &column.shape.name;
            at_of(name).or_else(|| loose(name))
        });
        let from: Vec<usize> = from.collect();
        if from.len() < columns.len() {
            return Err(format!("two columns are one in {label}"));
        }
        let dialect = session.dialect();
        let typing = dialect.rows().typing();
        let same = bound.columns.iter().map(|column| {
            let named =
                |about: &&dunlin_core::bulk::ManifestColumn| about.name == column.shape.name;
            let about = target
                .about
                .and_then(|about| about.columns.iter().find(named));
            about.is_some_and(|about| about.native == column.shape.native)
        });
        let mut load = Load {
            habits: adapt::habits(&bound, dialect.rows()),
            hasher: RowHasher::new(bound.types(), typing),
            before: None,
            counts: Counts {
                table: label,
                ..Counts::default()
            },
            columns: Arc::clone(columns),
            from,
            typing,
            same: same.collect(),
            keys: vec![],
            known_by: dunlin_core::schema::key::of(table).unwrap_or_default(),
            ties: vec![],
            remember: vec![],
            at: target.at,
            putter: Putter::new(dialect, &bound),
            batch: vec![],
            bytes: 0,
            scratch: vec![],
            bound,
        };
        load.keys(target)?;
        load.ties(target.tables);
        Ok(load)
    }

    /// Whether rows with these columns go into it as it is.
    pub(super) fn takes(&self, columns: &Arc<Vec<String>>) -> bool {
        Arc::ptr_eq(columns, &self.columns) || columns == &self.columns
    }

    fn places(&self, names: &[String]) -> Option<Vec<usize>> {
        names.iter().map(|name| place(&self.bound, name)).collect()
    }

    fn keys(&mut self, target: &Target<'_>) -> Result<(), String> {
        if let Some(key) = target.key {
            let places = self.places(key).ok_or_else(|| {
                format!(
                    "the file has not all columns of the key {} of {}",
                    key.join(", "),
                    self.counts.table
                )
            })?;
            self.keys = vec![places];
            return Ok(());
        }
        let table = &target.tables[target.at];
        let of_keys = table.keys.iter().map(|key| key.columns.clone());
        let whole = table.indexes.iter().filter(|index| {
            let plain = index
                .parts
                .iter()
                .all(|part| !part.expression && part.length.is_none());
            index.unique && index.predicate.is_none() && plain
        });
        let of_indexes =
            whole.map(|index| index.parts.iter().map(|part| part.what.clone()).collect());
        let all: Vec<Vec<String>> = of_keys.chain(of_indexes).collect();
        let mut keys: Vec<Vec<usize>> = all.iter().filter_map(|key| self.places(key)).collect();
        keys.retain(|key| !key.is_empty());
        keys.dedup();
        self.keys = keys;
        Ok(())
    }

    fn ties(&mut self, tables: &[Table]) {
        let parent = |key| dunlin_core::schema::order::parent(tables, key);
        for key in &tables[self.at].foreign_keys {
            let tie = parent(key).and_then(|parent| {
                let references = references(key, &tables[parent])?;
                let places = self.places(&key.columns)?;
                let ty = |name: &String| Some(tables[parent].column(name)?.neutral.clone());
                let types = references.iter().map(ty).collect::<Option<Vec<_>>>()?;
                Some(Tie {
                    parent,
                    references,
                    places,
                    types,
                })
            });
            self.ties.extend(tie);
        }
        for key in tables.iter().flat_map(|table| &table.foreign_keys) {
            if parent(key) != Some(self.at) {
                continue;
            }
            let columns = references(key, &tables[self.at]);
            let found = columns.and_then(|columns| self.places(&columns).map(|at| (columns, at)));
            if let Some(found) = found.filter(|found| !self.remember.contains(found)) {
                self.remember.push(found);
            }
        }
    }

    /// Takes a row, and sends what has come together.
    pub(super) async fn row(
        &mut self,
        session: &mut dyn Session,
        shared: &mut Shared,
        line: u64,
        mut given: Vec<Datum>,
    ) -> Result<(), Failure> {
        let mut values = Vec::with_capacity(self.from.len());
        for (at, from) in self.from.iter().enumerate() {
            let datum = std::mem::replace(&mut given[*from], Datum::Null);
            let ty = &self.bound.columns[at].ty;
            let datum = if self.same[at] {
                datum
            } else {
                adapt(datum, ty, self.typing)
            };
            values.push(datum);
        }
        let mut refused = None;
        let looked_at = values.iter_mut().enumerate();
        for (at, datum) in looked_at.filter(|(at, _)| !self.same[*at]) {
            let (ty, habit) = (&self.bound.columns[at].ty, self.habits[at]);
            let kept = adapt::keep(datum, ty, self.typing, habit, &mut self.scratch);
            if let Err(message) = kept {
                refused = Some((at, message));
                break;
            }
        }
        if let Some((column, message)) = refused {
            let (code, column) = ("value-refused", Some(column));
            let reason = Reason {
                code,
                message,
                column,
            };
            return self.refuse(shared, line, &values, &reason);
        }
        self.bytes += values.iter().map(size).sum::<usize>();
        self.batch.push(Held { line, values });
        if self.batch.len() >= TOGETHER || self.bytes >= TOGETHER_BYTES {
            self.flush(session, shared).await?;
        }
        Ok(())
    }

    /// A row that is not taken: written down, or the end of it all.
    fn refuse(
        &mut self,
        shared: &mut Shared,
        line: u64,
        values: &[Datum],
        reason: &Reason,
    ) -> Result<(), Failure> {
        let names: Vec<String> = self
            .bound
            .columns
            .iter()
            .map(|c| c.shape.name.clone())
            .collect();
        let Some(rejects) = &mut shared.rejects else {
            let column = reason
                .column
                .map_or(String::new(), |at| format!(".{}", names[at]));
            let message = format!(
                "line {line} of `{}` cannot go into {}{column}: {}",
                shared.file.display(),
                self.counts.table,
                reason.message
            );
            return Err(Failure::new(FailureClass::Failed, reason.code, message).hint(
                "nothing was imported; `--continue-on-error` imports the other rows and writes this one down",
            ));
        };
        rejects.put(&Reject {
            table: &self.counts.table,
            file: &shared.file,
            line,
            columns: &names,
            values,
            key: &self.known_by,
            bytes: None,
            reason,
        })?;
        self.counts.failed += 1;
        Ok(())
    }

    /// Sends what is left.
    pub(super) async fn flush(
        &mut self,
        session: &mut dyn Session,
        shared: &mut Shared,
    ) -> Result<(), Failure> {
        self.bytes = 0;
        let mut rows = std::mem::take(&mut self.batch);
        if shared.skips {
            rows = self.without_parents(session, shared, rows).await?;
        }
        if rows.is_empty() {
            return Ok(());
        }
        let singly = shared.skips && self.any_there(session, &rows).await?;
        if !singly {
            match self.insert(session, shared, &rows).await {
                Ok(()) => return Ok(()),
                Err(error) if self.goes_on(shared, &error) => {}
                Err(error) => return Err(self.failed(shared, &rows, &error)),
            }
        }
        for row in rows {
            self.one(session, shared, row).await?;
        }
        Ok(())
    }

    /// Whether an error of a batch may be one row's.
    fn goes_on(&self, shared: &Shared, error: &DbError) -> bool {
        let duplicate = shared.skips && error.class == ErrorClass::Unique;
        duplicate || (shared.rejects.is_some() && of_a_row(error.class))
    }

    fn failed(&self, shared: &Shared, rows: &[Held], error: &DbError) -> Failure {
        let lines = match (rows.first(), rows.last()) {
            (Some(first), Some(last)) if first.line != last.line => {
                format!("one of the lines {} to {}", first.line, last.line)
            }
            (Some(row), _) => format!("line {}", row.line),
            _ => "a row".into(),
        };
        let doing = format!(
            "{lines} of `{}` cannot go into {}",
            shared.file.display(),
            self.counts.table
        );
        let failure = trouble::failed(error, &doing);
        if of_a_row(error.class) {
            return failure.hint(
                "nothing was imported; `--continue-on-error` imports the other rows and writes this one down",
            );
        }
        failure
    }

    async fn insert(
        &mut self,
        session: &mut dyn Session,
        shared: &Shared,
        rows: &[Held],
    ) -> Result<(), DbError> {
        let [begin, release, back] = session.dialect().change().part();
        let apart = shared.skips || shared.rejects.is_some();
        if apart {
            session.execute(begin).await?;
        }
        let sent = self.send(session, rows).await;
        if let Err(error) = sent {
            self.putter = Putter::new(session.dialect(), &self.bound);
            if apart && (of_a_row(error.class) || error.class == ErrorClass::Unique) {
                session.execute(back).await?;
                session.execute(release).await?;
            }
            return Err(error);
        }
        if apart {
            session.execute(release).await?;
        }
        for row in rows {
            self.hasher.row(row.values.iter().map(Datum::cell));
        }
        self.counts.done += rows.len() as u64;
        Ok(())
    }

    async fn send(&mut self, session: &mut dyn Session, rows: &[Held]) -> Result<(), DbError> {
        for row in rows {
            let values: Vec<Value> = row.values.iter().map(Datum::value).collect();
            let texts: Vec<bool> = row
                .values
                .iter()
                .map(|d| matches!(d, Datum::BadText(_)))
                .collect();
            if texts.contains(&true) {
                self.putter.flush(session).await?;
                if let Some(sql) = session.dialect().rows().insert_texts(&self.bound, &texts) {
                    session.execute_with(&sql, &values).await?;
                    continue;
                }
            }
            self.putter.row(&values);
            self.putter.send(session).await?;
        }
        self.putter.flush(session).await
    }

    /// A row by itself: left out where it is there already, written down where it is refused.
    async fn one(
        &mut self,
        session: &mut dyn Session,
        shared: &mut Shared,
        row: Held,
    ) -> Result<(), Failure> {
        if shared.skips {
            for key in self.keys.clone() {
                if self.there(session, &key, &row).await? {
                    return self.leave_out(session, shared, &row, Some(&key)).await;
                }
            }
        }
        let rows = [row];
        let Err(error) = self.insert(session, shared, &rows).await else {
            return Ok(());
        };
        let [row] = rows;
        if shared.skips && error.class == ErrorClass::Unique {
            return self.leave_out(session, shared, &row, None).await;
        }
        if !self.goes_on(shared, &error) {
            return Err(self.failed(shared, &[row], &error));
        }
        let reason = Reason {
            code: trouble::code(error.class),
            column: self.blamed(&error.message),
            message: error.message,
        };
        self.refuse(shared, row.line, &row.values, &reason)
    }

    /// The column that a server's sentence names.
    fn blamed(&self, message: &str) -> Option<usize> {
        let names = |name: &str| {
            let quoted = ['"', '\'', '`']
                .iter()
                .any(|q| message.contains(&format!("{q}{name}{q}")));
            quoted || message.ends_with(&format!(".{name}"))
        };
        let mut columns = self.bound.columns.iter();
        columns.position(|column| names(&column.shape.name))
    }

    fn key_of(&self, key: &[usize], row: &Held) -> Option<Vec<Value>> {
        let values: Vec<Value> = key.iter().map(|at| row.values[*at].value()).collect();
        (!values.iter().any(Value::is_null)).then_some(values)
    }

    async fn there(
        &self,
        session: &mut dyn Session,
        key: &[usize],
        row: &Held,
    ) -> Result<bool, Failure> {
        let Some(values) = self.key_of(key, row) else {
            return Ok(false);
        };
        self.found(session, key, &[values]).await
    }

    async fn found(
        &self,
        session: &mut dyn Session,
        key: &[usize],
        values: &[Vec<Value>],
    ) -> Result<bool, Failure> {
        let change = session.dialect().change();
        let query = change.keyed(&self.bound, key, &key[..1], values, None, false);
        let rows = session.query(&query.sql, &query.params).await;
        let rows = rows.map_err(|error| {
            trouble::failed(
                &error,
                &format!("rows of {} cannot be looked up", self.counts.table),
            )
        })?;
        Ok(!rows.is_empty())
    }

    /// Whether one of these rows is there already, or twice among them.
    async fn any_there(&self, session: &mut dyn Session, rows: &[Held]) -> Result<bool, Failure> {
        for key in &self.keys {
            let keys: Vec<Vec<Value>> = rows
                .iter()
                .filter_map(|row| self.key_of(key, row))
                .collect();
            let mut seen = HashSet::new();
            let folded = |key: &Vec<Value>| {
                let parts: Vec<String> = key
                    .iter()
                    .map(|v| v.shown().trim_end().to_lowercase())
                    .collect();
                parts.join("\u{1f}")
            };
            if keys.iter().any(|key| !seen.insert(folded(key))) {
                return Ok(true);
            }
            if !keys.is_empty() && self.found(session, key, &keys).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Counts a row as left out. Rows that refer to it find the one that is there, or are left out as well.
    async fn leave_out(
        &mut self,
        session: &mut dyn Session,
        shared: &mut Shared,
        row: &Held,
        key: Option<&[usize]>,
    ) -> Result<(), Failure> {
        self.counts.skipped += 1;
        for (columns, places) in &self.remember {
            if key == Some(places.as_slice()) || self.there(session, places, row).await? {
                continue;
            }
            let types: Vec<NeutralType> = places
                .iter()
                .map(|at| self.bound.columns[*at].ty.clone())
                .collect();
            let cells = places.iter().map(|at| row.values[*at].cell());
            if let Some(hash) = key_hash(cells, &types) {
                shared.gone.note(self.at, columns, hash);
            }
        }
        Ok(())
    }

    /// Leaves out rows whose parent was left out.
    async fn without_parents(
        &mut self,
        session: &mut dyn Session,
        shared: &mut Shared,
        rows: Vec<Held>,
    ) -> Result<Vec<Held>, Failure> {
        if shared.gone.is_empty() {
            return Ok(rows);
        }
        let mut kept = vec![];
        for row in rows {
            let orphan = self.ties.iter().any(|tie| {
                let cells = tie.places.iter().map(|at| row.values[*at].cell());
                let hash = key_hash(cells, &tie.types);
                hash.is_some_and(|hash| shared.gone.holds(tie.parent, &tie.references, hash))
            });
            if orphan {
                self.leave_out(session, shared, &row, None).await?;
            } else {
                kept.push(row);
            }
        }
        Ok(kept)
    }
}

/// Errors that one row is to blame for.
fn of_a_row(class: ErrorClass) -> bool {
    use ErrorClass::{Check, Data, ForeignKey, NotNull, Other, TypeMismatch, Unique};
    matches!(
        class,
        Unique | ForeignKey | NotNull | Check | TypeMismatch | Data | Other
    )
}

fn size(datum: &Datum) -> usize {
    match datum {
        Datum::Text(text) => text.len(),
        Datum::BadText(bytes) | Datum::Bytes(bytes) => bytes.len(),
        _ => 8,
    }
}
