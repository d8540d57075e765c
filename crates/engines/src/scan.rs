//! Rows handed to a visitor where they are read: on the connection's own thread where the engine has one, else batch by
//! batch. What every row of a table goes through (a look, a digest, a copy) goes through here, for a batch between two
//! threads costs more than most cells are worth.

use crate::{Batch, Cell, DbError, RowSource, Session};
use std::any::Any;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::task::JoinHandle;

/// Takes the rows of a query, one after the other.
pub trait RowVisitor: Any + Send {
    /// Takes a row. After `Break` no more come.
    fn row(&mut self, cells: &[Cell<'_>]) -> ControlFlow<()>;

    /// Whether it works on a thread apart, because it waits for others (a channel, a file) or because several of its kind
    /// work for one task.
    fn apart(&self) -> bool {
        false
    }
}

/// Hands each row of a query to a visitor and gives it back after the last one, or after it wanted no more.
///
/// `sql` is a SELECT of Dunlin's own, without a semicolon. Dropped on the way, no more rows are taken.
///
/// # Errors
///
/// The query failed, or its rows could not be read on: then what the visitor saw so far is gone with it.
pub async fn scan<V: RowVisitor>(
    session: &mut dyn Session,
    sql: &str,
    visitor: V,
) -> Result<V, DbError> {
    let back: Box<dyn Any> = session.scan(sql, Box::new(visitor)).await?;
    match back.downcast::<V>() {
        Ok(visitor) => Ok(*visitor),
        Err(_) => unreachable!("a session gives back the visitor that it was given"),
    }
}

/// The room of a vector for others of the same kind that live for another time: cells borrow from their row, and a new
/// vector for each row costs more than most of them.
pub fn emptied<Old, New>(mut old: Vec<Old>) -> Vec<New> {
    old.clear();
    // Of the same size, and empty: the standard library keeps the room.
    old.into_iter()
        .map(|_| unreachable!("it is empty"))
        .collect()
}

/// Shorter texts than this are looked through for UTF-8 together, a row's at once: one by one they are too short for the
/// wide registers of a processor, and what is not ASCII costs a nanosecond a byte.
const SHORT: usize = 64;

/// The short texts of a row, one behind the other.
#[derive(Default)]
pub(crate) struct ShortTexts {
    bytes: Vec<u8>,
}

impl ShortTexts {
    /// Before a row.
    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
    }

    /// Takes a text of the row.
    pub(crate) fn take(&mut self, text: &[u8]) {
        if text.len() < SHORT {
            self.bytes.extend_from_slice(text);
        }
    }

    /// All texts have come: gives them back as cells, in the order in which they came.
    pub(crate) fn looked_through(&mut self) -> Texts<'_> {
        if !self.bytes.is_empty() && self.bytes.len() < SHORT {
            // A character that is cut off at the end of the last text is not completed by these.
            self.bytes.resize(SHORT, 0);
        }
        Texts {
            short: simdutf8::basic::from_utf8(&self.bytes).ok(),
            from: 0,
        }
    }
}

/// A row's texts, of which it is known whether they are UTF-8.
pub(crate) struct Texts<'t> {
    /// The short ones, where all of them together are UTF-8.
    short: Option<&'t str>,
    from: usize,
}

impl<'t> Texts<'t> {
    /// The next text.
    pub(crate) fn cell(&mut self, text: &'t [u8]) -> Cell<'t> {
        if text.len() < SHORT {
            let from = self.from;
            self.from += text.len();
            // Nothing where a character lies on a border: then neither side is whole by itself.
            if let Some(text) = self.short.and_then(|short| short.get(from..self.from)) {
                return Cell::Text(text);
            }
        }
        self::text(text)
    }
}

/// A text: text that is not UTF-8 travels as what it is, and nothing is bent on the way.
pub(crate) fn text(bytes: &[u8]) -> Cell<'_> {
    simdutf8::basic::from_utf8(bytes).map_or(Cell::BadText(bytes), Cell::Text)
}

/// A batch of rows to a visitor.
fn visit(batch: &Batch, visitor: &mut dyn RowVisitor, wanted: &StillWanted) -> ControlFlow<()> {
    let mut cells: Vec<Cell<'_>> = vec![];
    for at in 0..batch.len() {
        cells.clear();
        cells.extend(batch.row(at));
        visitor.row(&cells)?;
        if !wanted.is_wanted() {
            return ControlFlow::Break(());
        }
    }
    ControlFlow::Continue(())
}

/// A visitor at work on a batch, on a thread where it may wait.
type Visiting = JoinHandle<(Box<dyn RowVisitor>, ControlFlow<()>)>;

/// Rows that come in batches: one is visited while the next one is read.
pub(crate) async fn batches(
    mut source: Box<dyn RowSource + '_>,
    visitor: Box<dyn RowVisitor>,
) -> Result<Box<dyn RowVisitor>, DbError> {
    let wanted = Wanted::default();
    let mut idle = Some(visitor);
    let mut at_work: Option<Visiting> = None;
    loop {
        let batch = source.next().await?;
        if let Some(work) = at_work.take() {
            let (visitor, flow) = match work.await {
                Ok(done) => done,
                Err(broken) => std::panic::resume_unwind(broken.into_panic()),
            };
            if flow.is_break() {
                return Ok(visitor);
            }
            idle = Some(visitor);
        }
        match (batch, idle.take()) {
            (Some(batch), Some(mut visitor)) => {
                let wanted = wanted.ask();
                at_work = Some(tokio::task::spawn_blocking(move || {
                    let flow = visit(&batch, &mut *visitor, &wanted);
                    (visitor, flow)
                }));
            }
            (None, Some(visitor)) => return Ok(visitor),
            (_, None) => unreachable!("a visitor is at work or idle"),
        }
    }
}

/// Says to a thread that works for a future that the future was dropped.
#[derive(Default)]
pub(crate) struct Wanted(Arc<AtomicBool>);

/// The thread's end of it.
pub(crate) struct StillWanted(Arc<AtomicBool>);

impl Wanted {
    pub(crate) fn ask(&self) -> StillWanted {
        StillWanted(Arc::clone(&self.0))
    }
}

impl Drop for Wanted {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl StillWanted {
    pub(crate) fn is_wanted(&self) -> bool {
        !self.0.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_texts_are_what_each_is_by_itself() {
        let long = "gülüş".repeat(20).into_bytes();
        let cut = &long[..long.len() - 1];
        let pieces: [&[u8]; 9] = [
            b"",
            b"plain",
            "ığ".as_bytes(),
            "🐦".as_bytes(),
            &long,
            cut,
            b"\xc5",
            b"\x9f",
            b"\xff",
        ];
        let mut short = ShortTexts::default();
        // Rows of three texts, of every kind on every place: halves of a character side by side among them.
        for row in 0..pieces.len().pow(3) {
            let row = [row % 9, row / 9 % 9, row / 81].map(|at| pieces[at]);
            short.clear();
            row.iter().for_each(|text| short.take(text));
            let mut texts = short.looked_through();
            for bytes in row {
                let alone = std::str::from_utf8(bytes).map_or(Cell::BadText(bytes), Cell::Text);
                assert_eq!(texts.cell(bytes), alone, "{row:?}");
            }
        }
    }

    #[test]
    fn the_room_of_a_row_is_kept() {
        let text = String::from("gone before the next row");
        let mut cells = Vec::with_capacity(64);
        cells.push(Cell::Text(&text));
        let cells: Vec<Cell<'static>> = emptied(cells);
        drop(text);
        assert!(cells.is_empty());
        assert_eq!(cells.capacity(), 64);
    }
}
