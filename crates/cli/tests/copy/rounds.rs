//! Rounds of dying: the tool, the source's server or the target's is killed at random instants, and what goes on
//! afterwards ends with equal digests, and nothing twice. Ten rounds, and a hundred in the long mode.

use super::all_equal;
use dunlin_testkit::TestDatabase;
use dunlin_testkit::crash::generate::Rng;
use dunlin_testkit::sandbox::{Running, Sandbox};
use dunlin_testkit::servers::{Kind, Options, Server};
use rusqlite::Connection;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// How long a copy may take to find out that one of its ends is gone.
const PATIENCE: Duration = Duration::from_secs(90);
/// Rows of each table.
const ROWS: u64 = 20_000;

/// Five tables: with a key, with one of two columns, without one and with rows twice, and with foreign keys.
fn tables(text: &str, number: &str, series: &str) -> Vec<String> {
    vec![
        format!("CREATE TABLE parents (id {number} NOT NULL PRIMARY KEY, name {text} NOT NULL)"),
        format!(
            "CREATE TABLE pairs (a {number} NOT NULL, b {text} NOT NULL, n {number}, PRIMARY KEY (a, b))"
        ),
        format!("CREATE TABLE loose (a {number}, b {text})"),
        format!(
            "CREATE TABLE children (id {number} NOT NULL PRIMARY KEY, parent {number} NOT NULL REFERENCES parents(id), note {text})"
        ),
        "CREATE INDEX by_note ON children (note)".into(),
        format!("INSERT INTO parents SELECT i, CONCAT('parent رضا 🚚 ', i) FROM {series}"),
        format!("INSERT INTO pairs SELECT i, CONCAT('b', i), i * 2 FROM {series}"),
        format!("INSERT INTO loose SELECT i % 100, CONCAT('twice ', i % 50) FROM {series}"),
        format!("INSERT INTO children SELECT i, i, CONCAT('child ', i) FROM {series}"),
    ]
}

/// What dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Dies {
    Tool,
    Source,
    Target,
}

struct Pair {
    source: Option<Server>,
    target: Server,
    from: String,
    sandbox: Sandbox,
    _first: Option<TestDatabase>,
}

impl Pair {
    fn new(source: Option<Kind>, target: Kind) -> Pair {
        let sandbox = Sandbox::new();
        let target = Server::private(target, Options::default());
        let Some(kind) = source else {
            let path = sandbox.path("source.db");
            let series = format!(
                "(WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {ROWS}) SELECT i FROM n)"
            );
            let sql = tables("TEXT", "INTEGER", &series)
                .join(";")
                .replace("CONCAT(", "concat(");
            Connection::open(path).unwrap().execute_batch(&sql).unwrap();
            return Pair {
                source: None,
                target,
                from: "sqlite:source.db".into(),
                sandbox,
                _first: None,
            };
        };
        let server = Server::private(kind, Options::default());
        let first = TestDatabase::on(&server);
        let (text, series) = if kind.is_postgres() {
            ("varchar(60)", format!("generate_series(1, {ROWS}) AS s(i)"))
        } else {
            let _ = first.run(&format!(
                "ALTER DATABASE {} CHARACTER SET utf8mb4",
                first.name()
            ));
            let digits = "(SELECT 0 d UNION ALL SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3 UNION ALL SELECT 4 UNION ALL SELECT 5 \
                UNION ALL SELECT 6 UNION ALL SELECT 7 UNION ALL SELECT 8 UNION ALL SELECT 9)";
            (
                "varchar(60)",
                format!(
                    "(SELECT a.d + 10 * b.d + 100 * c.d + 1000 * e.d + 10000 * f.d + 1 AS i FROM {digits} a, {digits} b, \
                     {digits} c, {digits} e, (SELECT 0 d UNION ALL SELECT 1) f) s"
                ),
            )
        };
        for sql in tables(text, "int", &series) {
            let _ = first.run(&sql);
        }
        Pair {
            from: first.url().to_owned(),
            source: Some(server),
            target,
            sandbox,
            _first: Some(first),
        }
    }

    fn spawn(&self, to: &TestDatabase) -> Running {
        self.sandbox
            .spawn(["copy", &self.from, to.url(), "--resume", "--format", "json"])
    }

    fn empty(&self) -> TestDatabase {
        let to = TestDatabase::on(&self.target);
        if !self.target.kind().is_postgres() {
            let name = to.name();
            let _ = to.run(&format!("ALTER DATABASE {name} CHARACTER SET utf8mb4"));
        }
        to
    }

    /// How long a copy takes that nothing disturbs.
    fn undisturbed(&self) -> Duration {
        let (to, began) = (self.empty(), Instant::now());
        let ran = self.spawn(&to).wait();
        assert_eq!(ran.code, Some(0), "{:#}", ran.json());
        began.elapsed()
    }

    /// One round. Counts what died.
    fn round(&self, rng: &mut Rng, took: Duration, deaths: &mut [usize; 3]) {
        let to = self.empty();
        for _ in 0..1 + rng.below(3) {
            let mut running = self.spawn(&to);
            std::thread::sleep(took.mul_f64(rng.unit()));
            if running.ended() {
                break;
            }
            let dies = match rng.below(4) {
                0 if self.source.is_some() => Dies::Source,
                1 | 0 => Dies::Target,
                _ => Dies::Tool,
            };
            deaths[dies as usize] += 1;
            match dies {
                Dies::Tool => {
                    running.signal("KILL");
                    let _ = running.wait();
                }
                Dies::Source => die(self.source.as_ref().unwrap(), running),
                Dies::Target => die(&self.target, running),
            }
        }
        let ran = self.spawn(&to).wait();
        let json = ran.json();
        assert_eq!(ran.code, Some(0), "{json:#}");
        assert!(all_equal(&json), "{json:#}");
        let twice = to.scalar("SELECT count(*) FROM loose");
        assert_eq!(twice, ROWS.to_string());
        let ran = self
            .sandbox
            .dunlin(["verify", &self.from, to.url(), "--format", "json"]);
        assert_eq!(ran.code, Some(0), "{:#}", ran.json());
    }
}

/// A server dies under a copy, which must notice and end by itself, and not with 0.
fn die(server: &Server, mut running: Running) {
    server.kill9();
    let began = Instant::now();
    while !running.ended() {
        if began.elapsed() > PATIENCE {
            running.signal("KILL");
            panic!(
                "the copy did not notice that its {} was gone: {}",
                server.kind(),
                running.stderr()
            );
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let ran = running.wait();
    server.start();
    let json = ran.json();
    assert!(
        ran.code == Some(1) || ran.code == Some(4) || ran.code == Some(0),
        "{json:#}"
    );
    // It may have been at its very end.
    assert!(ran.code != Some(0) || all_equal(&json), "{json:#}");
}

fn rounds(source: Option<Kind>, target: Kind, ci: usize, long: usize) {
    let is_long = std::env::var_os("DUNLIN_TEST_LONG").is_some();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let mut rng = Rng::new(now.as_nanos() as u64);
    let pair = Pair::new(source, target);
    let took = pair.undisturbed();
    let mut deaths = [0; 3];
    let wanted = if is_long { long } else { ci };
    let began = Instant::now();
    for _ in 0..wanted {
        pair.round(&mut rng, took, &mut deaths);
    }
    println!(
        "{wanted} rounds of {took:?}, deaths of tool, source, target: {deaths:?}, {:?}",
        began.elapsed()
    );
    assert!(deaths.iter().sum::<usize>() > 0, "nothing died");
}

#[test]
fn sqlite_to_postgres_whatever_dies() {
    rounds(None, Kind::Postgres, 3, 25);
}

#[test]
fn mysql_to_postgres_whatever_dies() {
    rounds(Some(Kind::Mysql), Kind::PostgresNewer, 3, 25);
}

#[test]
fn postgres_to_mariadb_whatever_dies() {
    rounds(Some(Kind::Postgres), Kind::Mariadb, 2, 25);
}

#[test]
fn postgres_to_postgres_whatever_dies() {
    rounds(Some(Kind::Postgres), Kind::Postgres, 2, 25);
}
