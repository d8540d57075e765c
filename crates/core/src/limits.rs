//! Every limit of Dunlin, with its arithmetic beside it (invariant 13).

use std::time::Duration;

/// The largest script that is read, in bytes. 256 MiB: five times the 50 MB script that must work, and still far
/// below what a text with its tokens (about 40 bytes each) needs to fit into a small host's memory.
pub const SCRIPT_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// The most digits of a version. 32: nanosecond timestamps have 23, and a journal's column stays short.
pub const VERSION_DIGITS_MAX: usize = 32;

/// How often a statement that ended in a deadlock is tried again. Five: with the back-off below the last try comes
/// about three seconds after the first, longer than any short transaction holds its locks.
pub const DEADLOCK_RETRIES: u32 = 5;

/// How often a step looks again at rows to which others wrote before it did.
pub const LOOKS_AGAIN: u32 = 10;

/// The first pause before a retry; it doubles each time: 0.1 + 0.2 + 0.4 + 0.8 + 1.6 = 3.1 s in all.
pub const RETRY_PAUSE_FIRST: Duration = Duration::from_millis(100);

/// Of how many statements it is kept what they are, from when a run is planned until their turn comes: at 1 KB or so, 5 MB.
/// Those of larger runs are looked at once more.
pub const CLASSES_KEPT: usize = 5_000;

/// How long small migrations that follow each other may share a transaction, where transactions go together: 25 ms, what a
/// dozen commits wait for the disk; any other writer waits that long at most.
pub const GROUP_TIME: Duration = Duration::from_millis(25);

/// After how long a statement among them is cancelled, and they run one by one: with what it tells, and without keeping the
/// others waiting. 200 ms: what is lost by it is not noticed beside what takes that long.
pub const GROUP_PATIENCE: Duration = Duration::from_millis(200);

/// The most migrations among them, and the most bytes of their scripts: what is prepared in vain where one of them fails.
pub const GROUP_MOST: usize = 100;
/// See [`GROUP_MOST`].
pub const GROUP_BYTES: usize = 256 * 1024;

/// Up to how many rows that a plan's step has written it is read again, before it ends, what it leaves in what its undo takes
/// away. A million: a second or two, in which the step's locks are held longer.
pub const LEFT_ROWS: u64 = 1_000_000;

/// How long that may take: 5 s, several times what a million rows take. A table that holds many more than the step has
/// written is not read to its end while others wait for the step's locks.
pub const LEFT_TIME: Duration = Duration::from_secs(5);

/// The most conditions of an undo's DELETEs for which that is done: each reads its table once.
pub const LEFT_DELETES: usize = 20;

/// How often a statement that runs long says that it still runs: often enough for a person who waits, 20 lines a minute in
/// a log.
pub const RUNNING_EVERY: Duration = Duration::from_secs(3);

/// How long a COMMIT takes before it is said what a server may be waiting for: large transactions take seconds.
pub const COMMIT_SLOW: Duration = Duration::from_secs(8);

/// How often the lease's holder says that it lives.
pub const LEASE_BEAT: Duration = Duration::from_secs(1);

/// After how long without a beat a holder whose session still stands counts as stopped: thirty beats.
pub const LEASE_TTL: Duration = Duration::from_secs(30);

/// How often a waiter asks for the lease. A dead holder must be succeeded within 2 s: four tries fit.
pub const LEASE_POLL: Duration = Duration::from_millis(250);

/// How long a successor waits for the session of its predecessor to end after it was told to.
pub const END_SESSION_PATIENCE: Duration = Duration::from_secs(600);

/// How deep JSON may be nested to be compared by meaning; deeper text counts as text that does not fit. 512: MySQL
/// allows 100, SQLite 1000; at about 300 bytes of stack for a level this needs 150 kB of a thread's 2 MiB.
pub const JSON_DEPTH_MAX: usize = 512;

/// The longest name of a plan, a phase, a step or a check, in bytes. 60: a step's key in the journal is `@PLAN/PHASE/STEP`,
/// 3 · 60 + 3 = 183, and the journal's column holds 200.
pub const PLAN_NAME_BYTES_MAX: usize = 60;

/// The largest plan that is read, in bytes. 8 MiB: a hundred thousand lines; its long SQL belongs into files.
pub const PLAN_BYTES_MAX: u64 = 8 * 1024 * 1024;

/// From how many rows on a table is large: what reads or writes it whole while others wait is then a high risk. A million:
/// at the 300,000 rows a second of a rewrite that is three seconds of waiting, more than a request's patience.
pub const LARGE_TABLE_ROWS: u64 = 1_000_000;

/// From how many bytes on a table is large, however few its rows: 1 GB, some seconds of a disk's time.
pub const LARGE_TABLE_BYTES: u64 = 1_000_000_000;

/// Above how many bytes a database is a medium risk by its size alone: 1 GB.
pub const BIG_DATABASE_BYTES: u64 = 1_000_000_000;
