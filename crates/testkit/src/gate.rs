//! Statements that wait for the test: they go on when the test says so, however slow the machine is.

use crate::database::TestDatabase;
use crate::engines::TestEngine;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// A lock of the server's that a session of the test's holds until the gate is opened.
#[derive(Debug)]
pub struct Gate {
    lock: Lock,
    statement: String,
    waiting: String,
    open: Option<(Sender<()>, JoinHandle<()>)>,
}

#[derive(Debug, Clone)]
struct Lock {
    url: String,
    postgres: bool,
    number: u32,
    name: String,
}

impl Gate {
    /// Shuts it in a database of a server.
    ///
    /// # Panics
    /// Where the lock cannot be had; and on SQLite, which has none.
    #[must_use]
    pub fn shut(engine: TestEngine, database: &TestDatabase) -> Gate {
        static COUNT: AtomicU32 = AtomicU32::new(7000);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let postgres = engine.is_postgres();
        let name = format!("gate {number} {}", database.name());
        // A lock that is waited for would run into the tool's own bound of time.
        let statement = match postgres {
            true => format!(
                "SELECT count(pg_sleep(0.05)) FROM generate_series(1, 1200) WHERE NOT pg_try_advisory_lock_shared({number})"
            ),
            false => format!("SELECT GET_LOCK('{name}', 60)"),
        };
        let waiting = match postgres {
            true => format!(
                "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_try_advisory_lock_shared({number})%' AND \
                 wait_event = 'PgSleep' AND datname = current_database()"
            ),
            false => format!(
                "SELECT count(*) FROM information_schema.processlist WHERE info LIKE '%GET_LOCK(_{name}_, 60)%' AND state = 'User lock'"
            ),
        };
        let mut gate = Gate {
            lock: Lock {
                url: database.url().to_owned(),
                postgres,
                number,
                name,
            },
            statement,
            waiting,
            open: None,
        };
        gate.hold();
        gate
    }

    /// A session takes the lock.
    fn hold(&mut self) {
        let (open, opened) = channel();
        let (held, holds) = channel();
        let lock = self.lock.clone();
        let holder = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            let runtime = runtime.expect("a runtime");
            match lock.postgres {
                true => runtime.block_on(hold_postgres(&lock, &held, &opened)),
                false => runtime.block_on(hold_mysql(&lock, &held, &opened)),
            }
        });
        holds.recv().expect("the lock is held");
        self.open = Some((open, holder));
    }

    /// The statement that waits before the gate; for a minute at most. For sessions of tests: of these functions the tool
    /// knows nothing.
    #[must_use]
    pub fn statement(&self) -> &str {
        &self.statement
    }

    /// Returns when somebody stands before it.
    ///
    /// # Panics
    /// Where nobody comes within half a minute.
    pub fn until_waited_for(&self, database: &TestDatabase) {
        let started = Instant::now();
        while database.scalar(&self.waiting) == "0" {
            assert!(
                started.elapsed() < Duration::from_secs(30),
                "nobody comes to the gate"
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Lets everybody through, from now on.
    pub fn open(&mut self) {
        if let Some((open, holder)) = self.open.take() {
            drop(open);
            // It has nothing more to say.
            let _ = holder.join();
        }
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.open();
    }
}

async fn hold_postgres(lock: &Lock, held: &Sender<()>, opened: &Receiver<()>) {
    let connected = tokio_postgres::connect(&lock.url, tokio_postgres::NoTls).await;
    let (client, connection) = connected.expect("a connection");
    let driving = tokio::spawn(connection);
    let lock = format!("SELECT pg_advisory_lock({})", lock.number);
    let locked = client.simple_query(&lock).await;
    drop(locked.expect("the lock"));
    let _ = held.send(());
    let _ = opened.recv();
    drop(client);
    let _ = driving.await;
}

async fn hold_mysql(lock: &Lock, held: &Sender<()>, opened: &Receiver<()>) {
    use mysql_async::prelude::Queryable;
    // The driver knows one scheme only.
    let url = lock.url.replacen("mariadb://", "mysql://", 1);
    let opts = mysql_async::Opts::from_url(&url).expect("a URL");
    let mut session = mysql_async::Conn::new(opts).await.expect("a connection");
    let lock = format!("SELECT GET_LOCK('{}', 10)", lock.name);
    let locked: Option<u8> = session.query_first(lock).await.expect("the lock");
    assert_eq!(locked, Some(1), "the lock");
    let _ = held.send(());
    let _ = opened.recv();
    let _ = session.disconnect().await;
}

/// A statement of a script in which the tool is killed: it takes a minute, until the pause is over.
#[derive(Debug)]
pub struct Pause<'d> {
    database: &'d TestDatabase,
    postgres: bool,
}

impl<'d> Pause<'d> {
    /// A pause that is over: it keeps its length in a table of its own.
    #[must_use]
    pub fn over(engine: TestEngine, database: &'d TestDatabase) -> Pause<'d> {
        let _ = database.run("CREATE TABLE pause (seconds int); INSERT INTO pause VALUES (0)");
        Pause {
            database,
            postgres: engine.is_postgres(),
        }
    }

    /// The statement.
    #[must_use]
    pub fn statement(&self) -> &'static str {
        match self.postgres {
            true => "SELECT pg_sleep(seconds) FROM pause",
            false => "SELECT SLEEP(seconds) FROM pause",
        }
    }

    /// From now on it takes a minute.
    pub fn begin(&self) {
        let _ = self.database.run("UPDATE pause SET seconds = 60");
    }

    /// Returns when somebody waits in it.
    ///
    /// # Panics
    /// Where nobody does within half a minute.
    pub fn until_waited_for(&self) {
        let started = Instant::now();
        while self.sessions().is_empty() {
            assert!(
                started.elapsed() < Duration::from_secs(30),
                "nobody comes to the pause"
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Ends it, and whoever waits in it.
    pub fn end(&self) {
        let _ = self.database.run("UPDATE pause SET seconds = 0");
        for session in self.sessions() {
            // It may have ended by itself.
            let _ = self.database.try_run(&match self.postgres {
                true => format!("SELECT pg_terminate_backend({session})"),
                false => format!("KILL {session}"),
            });
        }
    }

    fn sessions(&self) -> Vec<String> {
        let found = self.database.run(match self.postgres {
            true => {
                "SELECT pid FROM pg_stat_activity WHERE query LIKE '%SELECT pg_sleep(seconds)%' AND state = 'active' AND \
                 datname = current_database() AND pid <> pg_backend_pid()"
            }
            false => {
                "SELECT id FROM information_schema.processlist WHERE info LIKE '%SLEEP(%seconds%FROM pause%' AND db = database() AND \
                 id <> connection_id()"
            }
        });
        found.into_iter().flatten().flatten().collect()
    }
}
