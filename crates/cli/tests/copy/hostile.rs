//! The most hostile reader of the proof: tables of values that engines like to fold, copied from one engine into another;
//! then one change on one side, made up from a seed, and `verify` must find exactly that, down to the rows and columns where
//! it names them. Without a change it says equal, in both directions.
//!
//! A few rounds of each pair; `DUNLIN_HOSTILE_ROUNDS` and `DUNLIN_HOSTILE_SEED` ask for others.

use super::ways::verified;
use dunlin::copy::verify::{Verified, Way};
use dunlin_testkit::TestDatabase;
use dunlin_testkit::crash::generate::Rng;
use dunlin_testkit::engines::TestEngine;
use dunlin_testkit::sandbox::Sandbox;
use dunlin_testkit::servers::Kind;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

mod change;
mod values;

use change::change;
use values::{Of, V, literal, param};

/// A table: name, columns that name a row, whether they may be NULL.
struct Shape {
    name: &'static str,
    key: &'static [(&'static str, Of)],
    /// Declared behind the columns.
    declared: &'static str,
}

const SHAPES: [Shape; 5] = [
    Shape {
        name: "numbers",
        key: &[("id", Of::Int)],
        declared: ", PRIMARY KEY (id)",
    },
    Shape {
        name: "texts",
        key: &[("word", Of::Word)],
        declared: ", PRIMARY KEY (word)",
    },
    Shape {
        name: "pairs",
        key: &[("a", Of::Int), ("b", Of::Word)],
        declared: ", PRIMARY KEY (a, b)",
    },
    Shape {
        name: "maybe",
        key: &[("u", Of::Int)],
        declared: ", UNIQUE (u)",
    },
    Shape {
        name: "loose",
        key: &[],
        declared: "",
    },
];

/// What every table has beside its key.
const COLUMNS: [(&str, Of); 10] = [
    ("n1", Of::Int),
    ("n2", Of::Int),
    ("t1", Of::Text),
    ("t2", Of::Text),
    ("f1", Of::Float),
    ("d1", Of::Decimal),
    ("b1", Of::Bytes),
    ("s1", Of::Stamp),
    ("y1", Of::Day),
    ("z1", Of::Bool),
];

type Row = Vec<V>;

impl Shape {
    fn columns(&self) -> impl Iterator<Item = (&'static str, Of)> {
        self.key.iter().chain(&COLUMNS).copied()
    }

    fn can_be_null(&self) -> bool {
        self.name == "maybe"
    }

    fn ddl(&self, engine: TestEngine) -> String {
        let columns: Vec<String> = self
            .columns()
            .enumerate()
            .map(|(at, (name, of))| {
                let whole = at < self.key.len() && !self.can_be_null();
                let not_null = if whole { " NOT NULL" } else { "" };
                format!("{name} {}{not_null}", of.native(engine))
            })
            .collect();
        let more = match engine {
            TestEngine::Server(Kind::Mysql) => " CHARSET utf8mb4 COLLATE utf8mb4_0900_bin",
            TestEngine::Server(Kind::Mariadb) => " CHARSET utf8mb4 COLLATE utf8mb4_nopad_bin",
            _ => "",
        };
        let (name, columns, keys) = (self.name, columns.join(", "), self.declared);
        format!("CREATE TABLE {name} ({columns}{keys}){more}")
    }

    /// What tells a row from others: its key, or all of it.
    fn name_of(&self, row: &Row) -> Vec<V> {
        let key = &row[..self.key.len()];
        match key.is_empty() || key.contains(&V::Null) {
            true => row.clone(),
            false => key.to_vec(),
        }
    }
}

/// One end: a database, and how its rows are written past the code under test.
struct End {
    engine: TestEngine,
    database: TestDatabase,
}

impl End {
    fn new(engine: TestEngine) -> End {
        let database = engine.database();
        if engine.is_mysql_family() {
            let name = database.name();
            let _ = database.run(&format!("ALTER DATABASE {name} CHARACTER SET utf8mb4"));
        }
        End { engine, database }
    }

    fn write(&self, shape: &Shape, rows: &[Row]) {
        let names: Vec<&str> = shape.columns().map(|(name, _)| name).collect();
        let (table, names) = (shape.name, names.join(", "));
        if let Some(path) = self.database.file() {
            let mut connection = rusqlite::Connection::open(path).unwrap();
            let all = connection.transaction().unwrap();
            let marks = vec!["?"; shape.key.len() + COLUMNS.len()].join(", ");
            let sql = format!("INSERT INTO {table} ({names}) VALUES ({marks})");
            all.execute(&format!("DELETE FROM {table}"), []).unwrap();
            for row in rows {
                let params = row.iter().map(param);
                all.execute(&sql, rusqlite::params_from_iter(params))
                    .unwrap();
            }
            all.commit().unwrap();
            return;
        }
        let mut sql = format!("DELETE FROM {table}");
        for (at, row) in rows.iter().enumerate() {
            let cells: Vec<String> = row.iter().map(|cell| literal(self.engine, cell)).collect();
            let before = match at {
                0 => format!("; INSERT INTO {table} ({names}) VALUES "),
                _ => ", ".into(),
            };
            let _ = write!(sql, "{before}({})", cells.join(", "));
        }
        let _ = self.database.run(&sql);
    }
}

/// A difference as it is to be reported: key, columns, side.
type Told = (String, BTreeSet<String>, &'static str);

/// What is to be told of a table whose rows were these and are those.
fn expected(shape: &Shape, source: &[Row], target: &[Row]) -> Vec<Told> {
    let sorted = |rows: &[Row]| {
        let mut of: BTreeMap<String, Vec<Row>> = BTreeMap::new();
        for row in rows {
            let name = format!("{:?}", shape.name_of(row));
            of.entry(name).or_default().push(row.clone());
        }
        of
    };
    let (here, there) = (sorted(source), sorted(target));
    let names: BTreeSet<&String> = here.keys().chain(there.keys()).collect();
    let none = vec![];
    let told = |name: &String| {
        let (a, b) = (
            here.get(name).unwrap_or(&none),
            there.get(name).unwrap_or(&none),
        );
        let row = a.first().or(b.first())?;
        let key = row[..shape.key.len()].iter().map(V::shown);
        let key = key.collect::<Vec<_>>().join("|");
        match a.len().cmp(&b.len()) {
            std::cmp::Ordering::Less => return Some((key, BTreeSet::new(), "target")),
            std::cmp::Ordering::Greater => return Some((key, BTreeSet::new(), "source")),
            std::cmp::Ordering::Equal => {}
        }
        let columns = shape.columns().zip(row.iter().zip(&b[0]));
        let differ = columns.filter(|(_, (a, b))| a != b);
        let differ: BTreeSet<String> = differ.map(|((name, _), _)| name.to_owned()).collect();
        (!differ.is_empty()).then_some((key, differ, "both"))
    };
    let mut told: Vec<Told> = names.into_iter().filter_map(told).collect();
    told.sort();
    told
}

fn reported(shape: &Shape, verified: &Verified) -> Vec<Told> {
    let of = verified.differences.iter();
    let of = of.filter(|found| found.table.ends_with(shape.name));
    let mut told: Vec<Told> = of
        .map(|found| {
            let parts = shape.key.iter().map(|(name, _)| match &found.key[*name] {
                serde_json::Value::String(text) => text.clone(),
                serde_json::Value::Null => "NULL".into(),
                other => other.to_string(),
            });
            let key = parts.collect::<Vec<_>>().join("|");
            (key, found.columns.iter().cloned().collect(), found.side)
        })
        .collect();
    told.sort();
    told
}

/// The tables that are said to differ.
fn unequal(verified: &Verified) -> Vec<&str> {
    let tables = verified.tables.iter();
    let tables = tables.filter(|table| table.equal != Some(true));
    tables.map(|table| table.table.as_str()).collect()
}

struct Trial {
    ends: [End; 2],
    rows: Vec<Vec<Row>>,
    rng: Rng,
    /// Whether texts may hold U+0000.
    nul: bool,
}

fn number(name: &str, default: u64) -> u64 {
    let given = std::env::var(name).ok();
    given.and_then(|text| text.parse().ok()).unwrap_or(default)
}

impl Trial {
    fn new(from: TestEngine, to: TestEngine, seed: u64) -> Trial {
        let mut rng = Rng::new(seed);
        let ends = [End::new(from), End::new(to)];
        let nul = !from.is_postgres() && !to.is_postgres();
        let mut rows = vec![];
        for shape in &SHAPES {
            let _ = ends[0].database.run(&shape.ddl(from));
            let mut own: Vec<Row> = vec![];
            for _ in 0..2 + rng.below(24) {
                let row = values::row(shape, &own, &mut rng, nul);
                own.push(row);
                if shape.key.is_empty() && rng.chance(0.3) {
                    let twice = own[rng.below(own.len())].clone();
                    own.push(twice);
                }
            }
            ends[0].write(shape, &own);
            rows.push(own);
        }
        let trial = Trial {
            ends,
            rows,
            rng,
            nul,
        };
        let sandbox = Sandbox::new();
        let [from, to] = trial.urls();
        let ran = sandbox.dunlin(["copy", from, to, "--format", "json"]);
        assert_eq!(ran.code, Some(0), "seed {seed}: {:#}", ran.json());
        trial
    }

    fn urls(&self) -> [&str; 2] {
        [self.ends[0].database.url(), self.ends[1].database.url()]
    }

    fn verify(&self, back: bool) -> Verified {
        let [from, to] = self.urls();
        let (from, to) = if back { (to, from) } else { (from, to) };
        let verified = verified(from, to, Way::Once);
        verified.unwrap_or_else(|failure| panic!("{failure:#?}"))
    }

    fn is_equal(&self, what: &str) {
        for back in [false, true] {
            let found = self.verify(back);
            assert!(found.equal, "{what}, back {back}: {found:#?}");
        }
    }

    fn round(&mut self, what: &str) {
        let at = self.rng.below(SHAPES.len());
        let side = self.rng.below(2);
        let shape = &SHAPES[at];
        let dynamic = self.ends[side].engine == TestEngine::Sqlite;
        let mut other = self.rows[at].clone();
        let how = change(shape, &mut other, &mut self.rng, self.nul, dynamic);
        let what = format!("{what}: {how} in {} of {side}", shape.name);
        self.ends[side].write(shape, &other);
        let told = match side {
            0 => expected(shape, &other, &self.rows[at]),
            _ => expected(shape, &self.rows[at], &other),
        };
        let found = self.verify(false);
        assert_eq!(found.equal, told.is_empty(), "{what}: {told:?} {found:#?}");
        let wanted: &[&str] = if told.is_empty() { &[] } else { &[shape.name] };
        let names = unequal(&found);
        let short: Vec<&str> = names
            .iter()
            .map(|name| name.rsplit('.').next().unwrap_or_default())
            .collect();
        assert_eq!(short, wanted, "{what}: {found:#?}");
        assert_eq!(
            reported(shape, &found),
            told,
            "{what}:\n{:?}\n{other:?}\n{found:#?}",
            self.rows[at]
        );
        let back = self.verify(true);
        assert_eq!(back.equal, told.is_empty(), "{what}, back: {back:#?}");
        self.ends[side].write(shape, &self.rows[at]);
    }
}

fn rounds(from: TestEngine, to: TestEngine) {
    let seed = number("DUNLIN_HOSTILE_SEED", 20_261_122);
    let rounds = number("DUNLIN_HOSTILE_ROUNDS", 6);
    let mut trial = Trial::new(from, to, seed);
    trial.is_equal(&format!("seed {seed}, copied"));
    for round in 0..rounds {
        trial.round(&format!("seed {seed}, round {round}"));
    }
    trial.is_equal(&format!("seed {seed}, at the end"));
}

const POSTGRES: TestEngine = TestEngine::Server(Kind::Postgres);
const NEWER: TestEngine = TestEngine::Server(Kind::PostgresNewer);
const MYSQL: TestEngine = TestEngine::Server(Kind::Mysql);
const MARIADB: TestEngine = TestEngine::Server(Kind::Mariadb);

macro_rules! pairs {
    ($($name:ident: $from:expr => $to:expr;)+) => {
        $(#[test]
        fn $name() {
            rounds($from, $to);
        })+
    };
}

pairs! {
    sqlite_to_postgres: TestEngine::Sqlite => POSTGRES;
    sqlite_to_mysql: TestEngine::Sqlite => MYSQL;
    sqlite_to_mariadb: TestEngine::Sqlite => MARIADB;
    sqlite_to_sqlite: TestEngine::Sqlite => TestEngine::Sqlite;
    postgres_to_sqlite: POSTGRES => TestEngine::Sqlite;
    postgres_to_mysql: POSTGRES => MYSQL;
    postgres_to_postgres: POSTGRES => NEWER;
    mysql_to_postgres: MYSQL => POSTGRES;
    mysql_to_sqlite: MYSQL => TestEngine::Sqlite;
    mysql_to_mariadb: MYSQL => MARIADB;
    mariadb_to_postgres: MARIADB => POSTGRES;
    mariadb_to_mysql: MARIADB => MYSQL;
}
