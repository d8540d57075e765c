//! What lets a plan's run rest between two steps, and between two batches of a backfill: a person's order, a window that
//! has closed, a disk that runs full. It goes on by itself when that is over; Ctrl-C and `abort` end it.

use super::preflight::disk;
use super::{Ask, store};
use crate::control::Stop;
use crate::executor::Runner;
use dunlin_core::event::Event;
use dunlin_core::failure::{Failure, FailureClass};
use dunlin_core::journal::plan::{Order, PlanHistory};
use dunlin_core::source::plan::requires::parse_bytes;
use dunlin_core::source::plan::window::Window;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// How often the journal is asked for orders from outside, and the disk for its room.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What a run looks at between two things that it does.
#[derive(Debug)]
pub struct Rest {
    /// The plan's name in the journal.
    plan: String,
    /// How the person named the plan, for hints.
    shown: String,
    /// `[watch] min_free_disk`.
    least: Option<u64>,
    /// Where the database writes, once that was asked: `None` where it cannot be seen from here.
    folder: Option<Option<PathBuf>>,
    /// When it was last looked.
    looked_at: Instant,
    /// Somebody had said that it pauses before the run began: asked before anything else is done.
    is_paused: bool,
    /// The number of the newest record when the run began: an order to stop that is older is of an earlier run.
    began_after: i64,
}

impl Rest {
    /// For a run that begins now.
    pub fn new(ask: &Ask<'_>, history: &PlanHistory) -> Rest {
        let watch = ask.doc.watch.as_ref();
        let least = watch.and_then(|watch| watch.min_free_disk.as_deref());
        Rest {
            plan: ask.doc.name.clone(),
            shown: ask.shown.clone(),
            least: least.and_then(|text| parse_bytes(text).ok()),
            folder: None,
            looked_at: Instant::now(),
            is_paused: history.order.1 == Order::Pause,
            began_after: history.last_id,
        }
    }

    /// Gives when the next thing may be done; `windows` are those outside of which what is under way rests.
    pub async fn here(
        &mut self,
        runner: &mut Runner<'_>,
        windows: &[&Window],
    ) -> Result<(), Failure> {
        let mut said: Option<Why> = None;
        loop {
            runner.may_go_on()?;
            let mut why = closed(runner, windows);
            let is_due = self.is_paused || self.looked_at.elapsed() >= LOOK_EVERY;
            if said.is_some() || is_due {
                self.is_paused = false;
                self.looked_at = Instant::now();
                if self.ordered(runner).await? {
                    let goes_on = format!("; `dunlin resume {}` lets it go on", self.shown);
                    why = Some(Why::new("by a person", Some(goes_on)));
                }
                if why.is_none() {
                    why = self.full(runner).await;
                }
            }
            match (&why, &said) {
                (None, None) => return Ok(()),
                (None, Some(before)) => {
                    let message = format!("goes on, after it was paused {}", before.what);
                    runner.sink.event(&Event::Note { message });
                    return Ok(());
                }
                // How much room is left changes all the time; what it waits for does not.
                (Some(now), Some(before)) if now.what == before.what => {}
                (Some(now), _) => {
                    let figures = now.figures.as_deref().unwrap_or_default();
                    let message = format!(
                        "paused {}{figures}; `dunlin abort {}` ends it",
                        now.what, self.shown
                    );
                    runner.sink.event(&Event::Note { message });
                    said = why;
                }
            }
            let mut control = runner.control.clone();
            tokio::select! {
                () = tokio::time::sleep(LOOK_EVERY) => {}
                () = control.until(Stop::Soon) => {}
            }
        }
    }

    /// What others have ordered meanwhile: whether to pause; to stop is an error.
    async fn ordered(&mut self, runner: &mut Runner<'_>) -> Result<bool, Failure> {
        let flushed = runner.flush().await;
        flushed.map_err(|error| runner.trouble(&error, "the journal could not be written"))?;
        let records = store::orders(runner.world, &mut *runner.work, &self.plan).await?;
        match PlanHistory::fold(&self.plan, &records).order {
            (id, Order::Abort) if id > self.began_after => {
                let message = format!(
                    "a person stopped the plan \"{}\"; nothing was undone",
                    self.plan
                );
                Err(Failure::new(FailureClass::Interrupted, "aborted", message)
                    .hint(format!("`dunlin run {}` goes on from here", self.shown)))
            }
            (_, order) => Ok(order == Order::Pause),
        }
    }

    /// Whether the disk has less room than it must have.
    async fn full(&mut self, runner: &mut Runner<'_>) -> Option<Why> {
        let least = self.least?;
        if self.folder.is_none() {
            let found = disk::of_data(runner.world, &mut *runner.work).await;
            if let Err(why) = &found {
                let message = format!("warning: the free disk cannot be watched: {why}");
                runner.sink.event(&Event::Note { message });
            }
            self.folder = Some(found.ok());
        }
        let folder = self.folder.as_ref()?.as_ref()?;
        let free = disk::free(folder).ok().filter(|free| *free < least)?;
        let figures = format!(
            ": {} MB are free in `{}`, and `min_free_disk` asks for {} MB",
            free / 1_000_000,
            folder.display(),
            least / 1_000_000
        );
        Some(Why::new("for want of disk", Some(figures)))
    }
}

/// Why a run rests.
struct Why {
    /// What comes after "paused".
    what: String,
    /// What may change while it rests.
    figures: Option<String>,
}

impl Why {
    fn new(what: &str, figures: Option<String>) -> Why {
        let what = what.to_owned();
        Why { what, figures }
    }
}

/// The window that is closed now, with when it opens.
fn closed(runner: &Runner<'_>, windows: &[&Window]) -> Option<Why> {
    let now = runner.world.clock.now();
    let closed = windows.iter().find(|window| !window.allows(now))?;
    let opens = match closed.next(now) {
        Some(at) => format!(": it opens at {at:.0}"),
        None => ": it does not open again".to_owned(),
    };
    let what = format!("outside of the window \"{closed}\"");
    Some(Why::new(&what, Some(opens)))
}
