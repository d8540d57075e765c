//! The images of a batch: a cascade of any size is written in several, each as large as memory may hold, in the one
//! transaction of the batch. Each has a number and a record of its own, and they are taken back as batches are: newest first.

use super::image;
use super::sweep::{Desk, Sweep, Wrong};
use crate::journal_store;
use dunlin_core::failure::{Failure, FailureClass};
use dunlin_core::journal::{self, Writing};
use dunlin_core::rules::chunk::{self, Detail, FilePart};
use dunlin_core::value::Value;
use dunlin_engines::Halted;

/// Most bytes of values in an image; in memory a row takes some times as many.
const BYTES: usize = 4 << 20;
/// Most rows.
const ROWS: usize = 16_384;

/// What is written of the batch at hand.
pub(super) struct Book {
    unit: String,
    rule: String,
    first: i64,
    next: i64,
    /// What the images that are written hold.
    removed: u64,
    changed: u64,
}

impl Book {
    /// The book of a batch whose first image gets this number.
    pub(super) fn new(unit: &str, rule: &str, first: i64) -> Book {
        Book {
            unit: unit.to_owned(),
            rule: rule.to_owned(),
            first,
            next: first,
            removed: 0,
            changed: 0,
        }
    }
}

impl Sweep<'_, '_> {
    /// Writes what was done since the last image, where that is as much as one may hold.
    pub(super) async fn spill(&mut self) -> Result<(), Wrong> {
        if self.bytes < BYTES && self.ops.len() < ROWS {
            return Ok(());
        }
        let (mut removed, mut changed) = (0, 0);
        for op in &self.ops {
            match op {
                image::Op::Removed(..) => removed += 1,
                image::Op::Changed(..) => changed += 1,
                image::Op::Added(..) => {}
            }
        }
        let detail = Detail {
            removed,
            changed,
            ..Detail::default()
        };
        let Some(record) = self.image(detail).await? else {
            return Ok(());
        };
        if let Some(book) = &mut self.book {
            book.removed += removed;
            book.changed += changed;
        }
        let Desk::Writes(runner) = &mut self.desk else {
            return Ok(());
        };
        let pen = runner.pen.clone();
        let written = pen.append(runner.world, &mut *runner.work, &[record]).await;
        written.map_err(|error| match journal_store::is_fenced(&error) {
            true => Wrong::from(journal_store::fenced()),
            false => Wrong::Said(error),
        })
    }

    /// Appends an image of what was done since the last one. Gives its record.
    async fn image(&mut self, detail: Detail) -> Result<Option<Writing>, Wrong> {
        let (Some(book), Desk::Writes(runner)) = (&mut self.book, &mut self.desk) else {
            return Ok(None);
        };
        let packed = image::pack(self.ground, &self.ops).map_err(|error| {
            Failure::new(FailureClass::Failed, "clean-image", error.to_string())
        })?;
        self.ops.clear();
        self.bytes = 0;
        let params = [
            runner.pen.run.clone().into(),
            book.unit.as_str().into(),
            book.next.into(),
            Value::Bytes(packed),
        ];
        let append = &runner.world.sql.undo.append;
        runner.work.execute_with(append, &params).await?;
        let detail = Detail {
            rule: book.rule.clone(),
            ..detail
        };
        let record = chunk::record(journal::Event::Done, &book.unit, Some(book.next), detail);
        book.next += 1;
        Ok(Some(record))
    }

    /// Writes the last image of a batch, and commits it with the record of it. Gives the number of the next; `None`: nothing
    /// was done.
    pub(super) async fn commit(&mut self, file: Option<FilePart>) -> Result<Option<i64>, Wrong> {
        let Some(book) = &self.book else {
            return Ok(None);
        };
        if self.ops.is_empty() && book.next == book.first {
            self.session().rollback().await?;
            return Ok(None);
        }
        let detail = Detail {
            removed: self.tally.removed.saturating_sub(book.removed),
            changed: self.tally.changed.saturating_sub(book.changed),
            file,
            ..Detail::default()
        };
        let record = self.image(detail).await?;
        let (Some(record), Desk::Writes(runner)) = (record, &mut self.desk) else {
            return Ok(None);
        };
        let pen = runner.pen.clone();
        let ended = pen
            .append_and_commit(runner.world, &mut *runner.work, &[record])
            .await;
        ended.map_err(|halted| match halted {
            Halted::Record(error) if journal_store::is_fenced(&error) => {
                Wrong::from(journal_store::fenced())
            }
            halted => Wrong::Said(halted.into_error()),
        })?;
        Ok(self.book.take().map(|book| book.next))
    }
}
