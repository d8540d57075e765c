//! How long a copy will take, by a short sample: some rows of the largest tables are read, converted, hashed and encoded as
//! the copy would. What the target does with them is not in it, for whoever looks writes nothing.

use super::ends::Readers;
use super::look::Looked;
use super::rejects::Rejects;
use super::rows::{self, Source, Way};
use super::{Job, jobs};
use crate::world::World;
use dunlin_core::copy::policy::{Policies, Policy};
use dunlin_core::dialect::landing::Inline;
use dunlin_core::dialect::parts::select_some;
use dunlin_engines::Session;
use serde::Serialize;
use std::sync::Arc;
use std::time::Instant;

/// Rows of one table that are tried, and how many tables: a second or two, however large the source is.
const ROWS: u64 = 10_000;
const TABLES: usize = 8;

/// How long reading and encoding will take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Estimate {
    /// In milliseconds, on all sessions together.
    pub ms: u64,
    /// The bytes that go to the target.
    pub bytes: u64,
    /// How many rows were tried.
    pub sampled_rows: u64,
    /// Sessions that work at once.
    pub sessions: u64,
}

/// What a sample of a table says.
struct Sample {
    rows: u64,
    bytes: u64,
    seconds: f64,
}

/// Tries the largest tables. `None`: there are no rows.
pub(super) async fn estimate(
    from: &World,
    to: &World,
    job: &Job,
    looked: &Looked,
    readers: &mut Readers,
) -> Option<Estimate> {
    let mut order: Vec<usize> = (0..looked.sizes.len()).collect();
    let size = |at: usize| (looked.sizes[at].bytes, looked.sizes[at].rows);
    order.sort_by_key(|at| std::cmp::Reverse(size(*at)));
    let mut all = Sample {
        rows: 0,
        bytes: 0,
        seconds: 0.0,
    };
    let (mut seconds, mut bytes, mut left) = (0.0, 0.0, 0);
    for (number, at) in order.into_iter().enumerate() {
        let size = looked.sizes[at];
        let rows = size.rows;
        let sample = match number < TABLES && (rows > 0 || !size.counted) {
            true => sample(from, to, looked, at, readers.lead()).await,
            false => None,
        };
        let Some(sample) = sample.filter(|sample| sample.rows > 0) else {
            left += rows;
            continue;
        };
        // Statistics may be older than the rows.
        let times = rows.max(sample.rows) as f64 / sample.rows as f64;
        seconds += sample.seconds * times;
        bytes += sample.bytes as f64 * times;
        all.rows += sample.rows;
        all.bytes += sample.bytes;
        all.seconds += sample.seconds;
    }
    if all.rows == 0 {
        return None;
    }
    // Tables that were not tried are taken for what the others are on the average.
    let times = left as f64 / all.rows as f64;
    let one = matches!(to.dialect().landing().inline(), Inline::Everything);
    let sessions = if one {
        1
    } else {
        readers.count().min(jobs(job))
    };
    let sessions = sessions.min(looked.sizes.len()).max(1);
    Some(Estimate {
        ms: ((seconds + all.seconds * times) / sessions as f64 * 1_000.0) as u64,
        bytes: (bytes + all.bytes as f64 * times) as u64,
        sampled_rows: all.rows,
        sessions: sessions as u64,
    })
}

/// Tries a table; `None` where it cannot be read or written, which the copy itself says better.
async fn sample(
    from: &World,
    to: &World,
    looked: &Looked,
    at: usize,
    reader: &mut dyn Session,
) -> Option<Sample> {
    let plan = &looked.plan.tables[at];
    // What does not fit is not this look's to judge.
    let policies = Arc::new(Policies {
        default: Policy::Reject,
        ..Policies::default()
    });
    let (rejects, done) = (Arc::new(Rejects::nowhere()), Arc::default());
    let way = Way {
        plan,
        policies: &policies,
        rejects: &rejects,
        key: &looked.keys[at],
        typing: to.dialect().rows().typing(),
        done: &done,
        granted: None,
    };
    let encoder = to.dialect().bulk().encoder(&rows::load_table(plan)).ok()?;
    let bound = rows::source(plan, looked.own_rows[at]);
    let select = select_some(from.dialect().rows(), &bound, ROWS);
    let began = Instant::now();
    let source = Source {
        session: reader,
        select: &select,
    };
    let (rows, bytes) = rows::sample(&way, source, encoder).await.ok()?;
    Some(Sample {
        rows,
        bytes,
        seconds: began.elapsed().as_secs_f64(),
    })
}
