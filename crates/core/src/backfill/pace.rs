//! How large the next batch is, and how long the pause before it.

use std::time::Duration;

/// What a batch is to take: short enough that nobody who waits for its rows notices.
const TARGET: Duration = Duration::from_millis(200);
/// The first batch, before anything is known.
const FIRST: usize = 100;
const SMALLEST: usize = 10;
/// Largest batch: its keys and values are held in memory, and 20,000 rows of 1 KiB are 20 MB.
const LARGEST: usize = 20_000;
/// So many bytes of values in one batch are enough: old and new ones are held at once.
const BYTES: usize = 4 << 20;
/// A batch grows by half at most, and shrinks to a tenth at most: one slow answer is no trend.
const GROW: f64 = 1.5;
/// The share of time in which there is work, while rows cost what they always did; and when they cost twice as much.
const DUTY: f64 = 0.8;
const DUTY_SLOW: f64 = 0.4;

/// The pace of a backfill.
#[derive(Debug, Clone, PartialEq)]
pub struct Pace {
    size: usize,
    fixed: bool,
    pause: Option<Duration>,
    next: Duration,
    /// The usual cost of a row, in seconds.
    usual: Option<f64>,
}

impl Pace {
    /// A pace; `None`: found out while it goes.
    pub fn new(batch: Option<usize>, pause: Option<Duration>) -> Pace {
        Pace {
            size: batch.map_or(FIRST, |rows| rows.clamp(1, LARGEST)),
            fixed: batch.is_some(),
            pause,
            next: pause.unwrap_or_default(),
            usual: None,
        }
    }

    /// How many rows the next batch has.
    pub fn size(&self) -> usize {
        self.size
    }

    /// How long to pause before it.
    pub fn pause(&self) -> Duration {
        self.next
    }

    /// A batch of so many rows and bytes took so long.
    pub fn note(&mut self, rows: usize, bytes: usize, took: Duration) {
        if rows == 0 {
            return;
        }
        let cost = took.as_secs_f64() / rows as f64;
        let usual = *self.usual.get_or_insert(cost);
        let duty = if cost > usual * 2.0 { DUTY_SLOW } else { DUTY };
        // Three quarters of what was known, one of what is new.
        self.usual = Some(usual.mul_add(0.75, cost * 0.25));
        if self.pause.is_none() {
            self.next = took.mul_f64(1.0 / duty - 1.0).min(TARGET * 5);
        }
        if self.fixed {
            return;
        }
        let wanted = TARGET.as_secs_f64() / cost.max(1e-9);
        let bytes_wanted = BYTES as f64 / (bytes.max(1) as f64 / rows as f64);
        let size = self.size as f64;
        let bounded = wanted.min(bytes_wanted).clamp(size / 10.0, size * GROW);
        self.size = (bounded as usize).clamp(SMALLEST, LARGEST);
    }

    /// A lock was not had, or a deadlock ended the batch: a smaller one holds fewer rows.
    pub fn retreat(&mut self) {
        if !self.fixed {
            self.size = (self.size / 2).max(SMALLEST);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settled(cost: Duration, bytes: usize) -> usize {
        let mut pace = Pace::new(None, None);
        for _ in 0..40 {
            let rows = pace.size();
            pace.note(rows, rows * bytes, cost * u32::try_from(rows).unwrap_or(1));
        }
        pace.size()
    }

    #[test]
    fn a_batch_comes_to_last_two_hundred_milliseconds() {
        assert!((1_900..=2_100).contains(&settled(Duration::from_micros(100), 10)));
        assert!((190..=210).contains(&settled(Duration::from_millis(1), 10)));
        assert_eq!(settled(Duration::from_millis(100), 10), SMALLEST);
        assert_eq!(settled(Duration::from_nanos(10), 10), LARGEST);
        let wide = settled(Duration::from_nanos(10), 1 << 14);
        assert!((200..=260).contains(&wide), "{wide} rows of 16 KiB");
    }

    #[test]
    fn one_slow_answer_shrinks_it_to_a_tenth_at_most_and_lengthens_the_pause() {
        let mut pace = Pace::new(None, None);
        for _ in 0..20 {
            pace.note(pace.size(), 1, Duration::from_millis(200));
        }
        let (before, pause) = (pace.size(), pace.pause());
        assert_eq!(pause, Duration::from_millis(50));
        pace.note(before, 1, Duration::from_secs(60));
        assert!(pace.size() >= before / 10, "{}", pace.size());
        assert!(pace.pause() > pause * 4);
        pace.retreat();
        assert!(pace.size() >= SMALLEST);
    }

    #[test]
    fn what_is_given_stays() {
        let mut pace = Pace::new(Some(500), Some(Duration::from_millis(7)));
        pace.note(500, 1 << 30, Duration::from_secs(9));
        pace.retreat();
        assert_eq!((pace.size(), pace.pause()), (500, Duration::from_millis(7)));
    }
}
