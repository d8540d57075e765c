//! The world of a run: one database with its settings, a clock, and who is asking. It hands out sessions.

use crate::trouble;
use dunlin_core::dialect::{Dialect, JournalNames, JournalSql};
use dunlin_core::failure::Failure;
use dunlin_core::redact::Redactor;
use dunlin_core::source::DatabaseConfig;
use dunlin_engines::{Engine, Purpose, Session, Settings};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};
use tokio::task::JoinHandle;

/// Where the time comes from; tests give a fixed one.
#[derive(Debug, Clone, Copy, Default)]
pub struct Clock {
    fixed: Option<jiff::Timestamp>,
    /// Since when a clock that does not stand still goes, and how many times as fast as others.
    goes: Option<(Instant, u32)>,
}

impl Clock {
    /// A clock that stands still, for hermetic tests.
    pub fn fixed(at: jiff::Timestamp) -> Self {
        Clock {
            fixed: Some(at),
            goes: None,
        }
    }

    /// A clock that starts at an instant and goes so many times as fast as others, for tests that wait for an hour.
    pub fn fast(at: jiff::Timestamp, pace: u32) -> Self {
        Clock {
            fixed: Some(at),
            goes: Some((Instant::now(), pace)),
        }
    }

    /// Now.
    pub fn now(&self) -> jiff::Timestamp {
        let Some(fixed) = self.fixed else {
            return jiff::Timestamp::try_from(SystemTime::now())
                .unwrap_or(jiff::Timestamp::UNIX_EPOCH);
        };
        let gone = self.goes.map(|(since, pace)| since.elapsed() * pace);
        // So far in the future that no calendar has it, a clock stands still.
        gone.and_then(|gone| fixed.checked_add(gone).ok())
            .unwrap_or(fixed)
    }

    /// Now, as the journal and JSON spell it: RFC 3339, UTC, milliseconds.
    pub fn stamp(&self) -> String {
        format!("{:.3}", self.now())
    }
}

/// Where run ids come from: chance, or a seed for hermetic tests.
#[derive(Debug, Default)]
pub struct Ids {
    seed: Option<u64>,
    drawn: std::sync::atomic::AtomicU64,
}

impl Ids {
    /// The same ids for the same seed.
    pub fn seeded(seed: u64) -> Self {
        Ids {
            seed: Some(seed),
            ..Ids::default()
        }
    }

    /// Others that come from the same place.
    fn others(&self) -> Self {
        Ids {
            seed: self.seed.map(|seed| seed.wrapping_add(1)),
            ..Ids::default()
        }
    }

    /// Six hexadecimal digits.
    fn next(&self) -> String {
        let Some(seed) = self.seed else {
            return chance();
        };
        let drawn = self
            .drawn
            .fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        // Neighbouring seeds must not look alike (SplitMix64's last step does that), and no id is to be guessed.
        let mut mixed = seed.wrapping_add(drawn.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        format!("{:06x}", (mixed ^ (mixed >> 31)) & 0xFF_FFFF)
    }
}

/// Six hexadecimal digits by chance.
pub(crate) fn chance() -> String {
    let mut random = [0_u8; 3];
    // Without randomness the time alone still tells runs apart; nothing rests on an id being unguessable.
    let _ = getrandom::fill(&mut random);
    random.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// One database with its settings, a clock, and who is asking.
#[derive(Debug)]
pub struct World {
    /// The address for sessions that must be real ones (the way around a pooler, where there is one).
    pub engine: Arc<dyn Engine>,
    /// The settings.
    pub config: DatabaseConfig,
    /// Where the journal's tables are.
    pub names: JournalNames,
    /// The journal's SQL.
    pub sql: JournalSql,
    /// The clock.
    pub clock: Clock,
    /// Where run ids come from.
    pub ids: Ids,
    /// Who is asking: `user@host`, for the journal.
    pub who: String,
    /// Masks this database's secrets.
    pub redactor: Redactor,
    /// How long to wait for a server that is starting.
    pub wait: Duration,
}

/// A session that is being opened. Dropped, it is given up.
pub struct Opening(JoinHandle<Result<Box<dyn Session>, Failure>>);

impl Opening {
    /// The session, once it is there; what went wrong is what [`World::open`] says.
    pub async fn session(mut self) -> Result<Box<dyn Session>, Failure> {
        match (&mut self.0).await {
            Ok(opened) => opened,
            Err(broken) if broken.is_panic() => std::panic::resume_unwind(broken.into_panic()),
            Err(_) => Err(Failure::refused(
                "connection-lost",
                "the session was given up before it was open",
            )),
        }
    }
}

impl Drop for Opening {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl World {
    /// The world of one configured database. `create`: make the database where it is missing.
    pub fn new(
        config: DatabaseConfig,
        base_dir: Option<std::path::PathBuf>,
        create: bool,
    ) -> Result<Self, Failure> {
        if config.pooler && config.direct_url.is_none() {
            return Err(Failure::refused(
                "pooler",
                format!("the URL of `{}` leads through a transaction pooler, and the lease needs a session", config.name),
            )
            .hint("give the way around the pooler as `direct_url`"));
        }
        let settings = Settings {
            prelude: config.prelude.clone(),
            sql_mode: config.sql_mode.clone(),
            lock_timeout: config.lock_timeout,
            statement_timeout: config.statement_timeout,
            create,
            base_dir,
        };
        let url = config.direct_url.as_ref().unwrap_or(&config.url);
        let engine = dunlin_engines::open(url, settings).map_err(|error| {
            Failure::usage("url", error.message.clone()).hint(
                error
                    .hint
                    .unwrap_or_else(|| "see the guide, \"Connections\"".into()),
            )
        })?;
        let names = JournalNames {
            schema: config.journal_schema.clone(),
            prefix: config.journal_prefix.clone(),
        };
        let sql = engine.dialect().journal(&names);
        let redactor = Redactor::new(engine.secrets().into_iter().chain(config.secrets()));
        let (clock, who) = (Clock::default(), who());
        Ok(World {
            engine: engine.into(),
            config,
            names,
            sql,
            clock,
            ids: Ids::default(),
            who,
            redactor,
            wait: Duration::ZERO,
        })
    }

    /// The address of a scratch database with a generated name: on the scratch server, or beside this one.
    pub fn scratch(&self, name: &str) -> Result<Box<dyn Engine>, Failure> {
        let wrong = |error: dunlin_engines::DbError| {
            self.redact(trouble::refused(&error, "cannot name a scratch database"))
        };
        match &self.config.scratch {
            Some(url) => {
                let settings = Settings {
                    prelude: self.config.prelude.clone(),
                    ..Settings::default()
                };
                dunlin_engines::open(url, settings)
                    .and_then(|engine| engine.sibling(name))
                    .map_err(wrong)
            }
            None => self.engine.sibling(name).map_err(wrong),
        }
    }

    /// The world of a scratch database: the same settings, nothing protected, no backups.
    pub fn scratch_world(&self, name: &str) -> Result<World, Failure> {
        self.beside(self.scratch(name)?)
    }

    fn beside(&self, engine: Box<dyn Engine>) -> Result<World, Failure> {
        let mut config = self.config.clone();
        config.protected = false;
        let sql = engine.dialect().journal(&self.names);
        Ok(World {
            engine: engine.into(),
            config,
            names: self.names.clone(),
            sql,
            clock: self.clock,
            ids: Ids::default(),
            who: self.who.clone(),
            redactor: self.redactor.clone(),
            wait: self.wait,
        })
    }

    /// The world of another database, under the same clock and for the same person. What goes wrong in it may name its
    /// secrets, which this world's [`World::redact`] does not know.
    pub fn another(&self, config: DatabaseConfig) -> Result<World, Failure> {
        let base = config.base_dir.clone();
        let mut world = World::new(config, base, false)?;
        world.clock = self.clock;
        world.ids = self.ids.others();
        world.who.clone_from(&self.who);
        world.wait = self.wait;
        Ok(world)
    }

    /// Whether both are the same database, as far as their addresses tell.
    pub fn is_same(&self, other: &World) -> bool {
        self.engine.describe() == other.engine.describe()
            && self.engine.database() == other.engine.database()
    }

    /// The same world before its database is made, for looking at what would run.
    pub fn before_creation(&self) -> Result<World, Failure> {
        let engine = self.engine.before_creation();
        let engine = engine
            .map_err(|error| self.redact(trouble::refused(&error, "cannot look at the server")))?;
        self.beside(engine)
    }

    /// The dialect.
    pub fn dialect(&self) -> &'static dyn Dialect {
        self.engine.dialect()
    }

    /// Opens a session; what goes wrong here is refused, since nothing was written.
    pub async fn open(&self, purpose: Purpose) -> Result<Box<dyn Session>, Failure> {
        let shown = self.engine.describe();
        dunlin_engines::wait::open_waiting(&*self.engine, purpose, self.wait)
            .await
            .map_err(|error| self.redact(trouble::refused(&error, &format!("cannot open {shown}"))))
    }

    /// Begins to open a session beside whatever else there is to do until it is asked for.
    pub fn begin_to_open(self: &Arc<Self>, purpose: Purpose) -> Opening {
        let world = Arc::clone(self);
        Opening(tokio::spawn(async move { world.open(purpose).await }))
    }

    /// The same failure with every secret masked, and with the names of user and database where a hint could not know
    /// them.
    pub fn redact(&self, mut failure: Failure) -> Failure {
        failure.message = self.redactor.apply(&failure.message);
        for hint in &mut failure.hints {
            if let Some(user) = self.engine.user() {
                *hint = hint.replace("'your_user'@'%'", &user);
                *hint = hint.replace("your_user", &user);
            }
            if hint.contains("your_database") {
                let database = self.dialect().quote(&self.engine.database());
                *hint = hint.replace("your_database", &database);
            }
        }
        for text in failure
            .hints
            .iter_mut()
            .chain(&mut failure.done)
            .chain(&mut failure.undone)
        {
            *text = self.redactor.apply(text);
        }
        failure
    }

    /// A run's id: its time, so that ids sort, and six digits.
    pub fn run_id(&self) -> String {
        format!("{}-{}", self.time_of_id(), self.ids.next())
    }

    fn time_of_id(&self) -> String {
        self.clock.now().strftime("%Y%m%dT%H%M%S").to_string()
    }
}

/// `user@host`, as far as the machine tells.
fn who() -> String {
    let env = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let user = dunlin_engines::user().unwrap_or_else(|| "unknown".into());
    let host = env("HOSTNAME").or_else(|| {
        std::fs::read_to_string("/etc/hostname")
            .ok()
            .map(|text| text.trim().to_owned())
    });
    format!("{user}@{}", host.unwrap_or_else(|| "localhost".into()))
}
