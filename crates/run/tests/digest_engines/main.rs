//! One digest for the same rows on every engine, and another one as soon as a bit is another.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use dunlin::digest::{Digests, Scope, comparable, differences, digest, shapes};
use dunlin_core::copy::Reading;
use dunlin_core::event::Silent;
use dunlin_core::redact::SecretUrl;
use dunlin_core::sql::PieceKind;
use dunlin_core::sql::split::split;
use dunlin_core::value::Value;
use dunlin_engines::{Engine, Purpose, Session, Settings};
use dunlin_testkit::{TestDatabase, TestEngine, engines, for_each_engine};

mod rows;

/// A database of its own, with its address.
struct Place {
    kind: TestEngine,
    engine: Box<dyn Engine>,
    _database: TestDatabase,
}

impl Place {
    fn new(kind: TestEngine) -> Place {
        let database = kind.database();
        let settings = Settings {
            create: true,
            ..Settings::default()
        };
        let engine = dunlin_engines::open(&SecretUrl::new(database.url()), settings).unwrap();
        Place {
            kind,
            engine,
            _database: database,
        }
    }

    /// A session for loading: UTC, strict, one alphabet.
    async fn load(&self) -> Box<dyn Session> {
        self.engine.open(Purpose::Tool).await.unwrap()
    }

    async fn run(&self, script: &str) {
        let mut session = self.load().await;
        run(&mut *session, script).await;
        session.close().await;
    }

    async fn reading(&self) -> Reading {
        let mut session = self.engine.open(Purpose::Read).await.unwrap();
        let found = shapes(&mut *session).await.unwrap();
        session.close().await;
        Reading::derive(&found).0
    }

    async fn digests(&self, like: Option<&Reading>) -> Digests {
        let mut session = self.engine.open(Purpose::Read).await.unwrap();
        let found = digest(&mut *session, &Scope::default(), like, &mut Silent).await;
        session.close().await;
        let found = found.unwrap();
        assert!(comparable(&found), "{}: {:?}", self.kind, found.findings);
        found
    }
}

/// Runs a script's statements.
async fn run(session: &mut dyn Session, script: &str) {
    let rules = session.dialect().lex_rules(session.lex_mode());
    let (pieces, faults) = split(script, &rules);
    assert!(faults.is_empty(), "{faults:?}");
    for piece in pieces {
        if let PieceKind::Statement(range) = piece.kind
            && let Err(error) = session.execute(&script[range.clone()]).await
        {
            panic!("{error} in\n{}", &script[range]);
        }
    }
}

/// The tables that are not the same in two databases.
fn unlike(a: &Digests, b: &Digests) -> Vec<String> {
    assert_eq!(a.reading.hash(), b.reading.hash());
    let found = differences(&a.tables, &b.tables);
    found
        .into_iter()
        .map(|(table, _, _)| table.to_owned())
        .collect()
}

const CHINOOK: [&str; 3] = [
    include_str!("../chinook/sqlite.sql"),
    include_str!("../chinook/postgres.sql"),
    include_str!("../chinook/mysql.sql"),
];

/// What Chinook's author lost on the way, and got from here: PostgreSQL reads `N'Edinburgh '` as `character`, whose
/// blanks at the end mean nothing; MySQL takes a backslash for the beginning of an escape.
const LOST: [&str; 3] = [
    "SELECT 1",
    "UPDATE customer SET city = 'Edinburgh ' WHERE city = 'Edinburgh'; \
     UPDATE invoice SET billing_city = 'Edinburgh ' WHERE billing_city = 'Edinburgh'",
    "UPDATE Track SET Name = replace(Name, '  ', ' \\\\ ') WHERE TrackId IN (3435, 3448, 3485, 3499)",
];

/// Chinook as its author wrote it for each engine, names in two habits, types of each engine's own: the digest finds
/// the few rows that are really different, and nothing else; with those mended it is the same under anyone's reading.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn chinook_is_the_same_on_every_engine_under_any_ones_reading() {
    let mut places = vec![];
    for kind in engines() {
        let place = Place::new(kind);
        place
            .run(kind.pick(CHINOOK[0], CHINOOK[1], CHINOOK[2]))
            .await;
        places.push(place);
    }
    let reading = places[0].reading().await;
    let first = places[0].digests(Some(&reading)).await;
    for place in &places {
        let lost: &[&str] = match place.kind {
            TestEngine::Sqlite => &[],
            kind if kind.is_postgres() => &["customer", "invoice"],
            _ => &["track"],
        };
        let found = place.digests(Some(&reading)).await;
        assert_eq!(unlike(&first, &found), lost, "{}", place.kind);
        place.run(place.kind.pick(LOST[0], LOST[1], LOST[2])).await;
    }
    for of in &places {
        let reading = of.reading().await;
        let first = of.digests(Some(&reading)).await;
        let rows = first.tables.iter().map(|table| table.rows);
        assert_eq!((first.tables.len(), rows.sum::<u64>()), (11, 1_535));
        assert_eq!(first.total(), of.digests(None).await.total());
        for other in &places {
            let found = other.digests(Some(&reading)).await;
            let pair = format!("{} as {}", other.kind, of.kind);
            assert_eq!(found.findings, vec![], "{pair}");
            assert_eq!(unlike(&first, &found), [""; 0], "{pair}");
            assert_eq!(first.total(), found.total(), "{pair}");
        }
    }
}

/// A place with the wide table and its rows.
async fn wide(kind: TestEngine, rows: &[rows::Wide]) -> Place {
    let place = Place::new(kind);
    let mut session = place.load().await;
    literal_backslashes(&mut *session, kind).await;
    session
        .execute(kind.pick(rows::WIDE[0], rows::WIDE[1], rows::WIDE[2]))
        .await
        .unwrap();
    rows::load_wide(&mut *session, kind, rows).await;
    session.close().await;
    place
}

fn some_rows(count: i64) -> Vec<rows::Wide> {
    let mut random = rows::Random(2);
    (1..=count)
        .map(|id| rows::Wide::new(id, &mut random))
        .collect()
}

/// Every common kind of column: floats of both widths, long decimals, times of four kinds, texts in five alphabets,
/// NULL beside the empty text, JSON in three spellings, bytes, uuids.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn generated_rows_are_the_same_on_every_engine() {
    let rows = some_rows(3_000);
    let mut places = vec![];
    for kind in engines() {
        places.push(wide(kind, &rows).await);
    }
    let reading = places[1].reading().await;
    let first = places[1].digests(Some(&reading)).await;
    assert_eq!(first.tables[0].rows, 3_000);
    for place in &places {
        let found = place.digests(Some(&reading)).await;
        assert_eq!(found.findings, vec![], "{}", place.kind);
        if !unlike(&first, &found).is_empty() {
            panic!(
                "{}: {:?}",
                place.kind,
                columns_apart(&places[1], place, &reading).await
            );
        }
    }
}

/// For the message of a failure: the columns in which two databases differ.
async fn columns_apart(a: &Place, b: &Place, reading: &Reading) -> Vec<String> {
    let mut apart = vec![];
    for column in &reading.tables[0].columns {
        let mut one = reading.clone();
        one.tables[0].columns = vec![column.clone()];
        let mut sums = vec![];
        for place in [a, b] {
            let mut session = place.engine.open(Purpose::Read).await.unwrap();
            let found = digest(&mut *session, &Scope::default(), Some(&one), &mut Silent).await;
            sums.push(found.unwrap().tables[0].digest.clone());
            session.close().await;
        }
        if sums[0] != sums[1] {
            apart.push(column.name.clone());
        }
    }
    apart
}

/// 300,000 doubles of random bits with the ends of their range, and as many decimals of 65 digits.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_hundred_thousand_doubles_and_long_decimals_are_the_same_on_every_engine() {
    let mut random = rows::Random(1);
    let numbers: Vec<(f64, String)> = (0..300_000)
        .map(|at| {
            let double = rows::EXTREMES.get(at).copied();
            (double.unwrap_or_else(|| random.double()), random.decimal())
        })
        .collect();
    let mut found: Vec<(TestEngine, Digests)> = vec![];
    let mut reading = None;
    for kind in engines().into_iter().rev() {
        let place = Place::new(kind);
        place
            .run(kind.pick(
                "CREATE TABLE numbers (id INTEGER PRIMARY KEY, d DOUBLE, n TEXT)",
                "CREATE TABLE numbers (id bigint PRIMARY KEY, d double precision, n numeric(65,30))",
                "CREATE TABLE numbers (id bigint PRIMARY KEY, d double, n decimal(65,30))",
            ))
            .await;
        let mut session = place.load().await;
        rows::load(
            &mut *session,
            kind,
            "numbers",
            numbers.len(),
            |at| {
                vec![
                    Value::Int(at as i64),
                    Value::Float(numbers[at].0),
                    Value::Text(numbers[at].1.clone()),
                ]
            },
            |at| format!("{at}, {}, {}", rows::double(numbers[at].0), numbers[at].1),
        )
        .await;
        session.close().await;
        if reading.is_none() {
            reading = Some(place.reading().await);
        }
        found.push((kind, place.digests(reading.as_ref()).await));
    }
    for (kind, digests) in &found {
        assert_eq!(digests.tables[0].rows, 300_000);
        assert_eq!(digests.findings, vec![], "{kind}");
        assert!(unlike(&found[0].1, digests).is_empty(), "{kind}");
    }
}

/// Servers and SQLite differ in what a backslash means: here it means itself.
async fn literal_backslashes(session: &mut dyn Session, kind: TestEngine) {
    if kind.is_mysql_family() {
        let literal = "SET SESSION sql_mode = CONCAT(@@sql_mode, ',NO_BACKSLASH_ESCAPES')";
        session.execute(literal).await.unwrap();
    }
}

/// The least that can change in each kind of value; the first of each pair is there before and after.
const CHANGES: [(&str, &str, &str); 13] = [
    ("d", "0.5", "0.5000000000000001"),
    ("f", "0.5", "0.50000006"),
    (
        "n",
        "'1.000000000000000000000000000001'",
        "'1.000000000000000000000000000002'",
    ),
    ("big", "'18446744073709551614'", "'18446744073709551615'"),
    ("s", "''", "NULL"),
    ("s", "'a'", "'a '"),
    ("s", "'é'", "'É'"),
    ("day", "'2024-02-28'", "'2024-02-29'"),
    (
        "at",
        "'2024-02-28 23:59:59.999999'",
        "'2024-02-29 00:00:00'",
    ),
    ("tm", "'23:59:59'", "'23:59:59.000001'"),
    ("doc", "'{\"a\":[1,2]}'", "'{\"a\":[2,1]}'"),
    ("flag", "true", "false"),
    ("flag", "NULL", "false"),
];

for_each_engine! {
    async fn the_least_change_and_every_swap_is_seen(kind: TestEngine) {
        let place = wide(kind, &some_rows(200)).await;
        let now = async || place.digests(None).await.tables[0].clone();
        for (column, before, after) in CHANGES {
            // Two rows with both values, then one of them changed, then the two values swapped between the rows.
            let set = |one: &str, two: &str| {
                format!("UPDATE wide SET {column} = {one} WHERE id = 7; UPDATE wide SET {column} = {two} WHERE id = 8")
            };
            place.run(&set(before, after)).await;
            let first = now().await;
            place.run(&set(after, after)).await;
            assert_ne!(now().await, first, "{column}: {before} became {after}");
            place.run(&set(after, before)).await;
            assert_ne!(now().await, first, "{column}: {before} and {after} swapped");
            place.run(&set(before, after)).await;
            assert_eq!(now().await, first, "{column}: as it was");
        }
        // One bit of some bytes.
        let bytes = |last: &str| {
            let value = kind.pick("x'00ff~'", "'\\x00ff~'", "x'00ff~'").replace('~', last);
            format!("UPDATE wide SET b = {value} WHERE id = 9")
        };
        place.run(&bytes("80")).await;
        let first = now().await;
        place.run(&bytes("81")).await;
        assert_ne!(now().await, first);
        place.run(&bytes("80")).await;
        assert_eq!(now().await, first);
    }

    async fn a_key_twice_is_read_as_the_last_and_said(kind: TestEngine) {
        let place = Place::new(kind);
        place.run(kind.pick(
            "CREATE TABLE t (id INTEGER, doc JSON)",
            "CREATE TABLE t (id integer, doc json)",
            "CREATE TABLE t (id integer, doc json)",
        )).await;
        place.run("INSERT INTO t VALUES (1, '{\"a\":1,\"b\":0,\"a\":2}')").await;
        let twice = place.digests(None).await;
        place.run("UPDATE t SET doc = '{\"b\":0.0,\"a\":2}'").await;
        let once = place.digests(None).await;
        assert_eq!(twice.tables[0].digest, once.tables[0].digest);
        assert_eq!(once.findings, vec![]);
        // MySQL alone keeps only the last when the text is written, so there is nothing left to tell.
        let told = if kind == TestEngine::Server(dunlin_testkit::servers::Kind::Mysql) { vec![] } else { vec!["json-duplicate-key"] };
        assert_eq!(twice.findings.iter().map(|finding| finding.code).collect::<Vec<_>>(), told);
    }

    async fn times_with_a_zone_and_without_are_apart(kind: TestEngine) {
        let place = Place::new(kind);
        let of = |ty: &str| format!("CREATE TABLE t (x {ty}); INSERT INTO t VALUES ('2024-01-01 00:00:00')");
        place.run(&of(kind.pick("DATETIME", "timestamp", "datetime"))).await;
        let without = place.digests(None).await;
        place.run("DROP TABLE t").await;
        place.run(&of(kind.pick("TIMESTAMPTZ", "timestamptz", "timestamp"))).await;
        let with = place.digests(None).await;
        assert_ne!(with.tables[0].digest, without.tables[0].digest);
        assert_ne!(with.reading.hash(), without.reading.hash());
    }
}

for_each_engine! {
    only servers
    /// A server whose catalog compares names in any case still has two tables.
    async fn two_tables_of_one_name_in_another_case_are_two(kind: TestEngine) {
        let place = Place::new(kind);
        let (upper, lower) = (kind.pick("", "\"Notes\"", "`Notes`"), kind.pick("", "\"notes\"", "`notes`"));
        let columns = "(id int PRIMARY KEY, body varchar(9))";
        place.run(&format!("CREATE TABLE {upper} {columns}; CREATE TABLE {lower} {columns}; INSERT INTO {lower} VALUES (1, 'a'), (2, 'b')")).await;
        let found = place.digests(None).await;
        let mut rows: Vec<(&str, u64)> = found.tables.iter().map(|table| (table.table.as_str(), table.rows)).collect();
        rows.sort_unstable();
        assert_eq!(rows, [("Notes", 0), ("notes", 2)]);
        let reading = place.reading().await;
        assert!(reading.tables.iter().all(|table| table.columns.len() == 2), "{reading:?}");
    }
}
