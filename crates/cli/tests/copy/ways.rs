//! `verify` presumes of what types columns are, where looking at every value beforehand decides it: both say the same,
//! word for word, of every hazard of the corpus. And what differs is named, however rows are parted by their keys.

use super::Ends;
use dunlin::copy::verify::{Verified, Way, job, of};
use dunlin::world::World;
use dunlin_core::copy::cast::Casts;
use dunlin_core::event::Silent;
use dunlin_core::failure::Failure;
use dunlin_core::redact::SecretUrl;
use dunlin_core::source::Project;
use dunlin_testkit::for_each_engine;
use std::collections::BTreeSet;

fn world(url: &str) -> World {
    let project = Project::without_file(SecretUrl::new(url), std::env::temp_dir());
    World::new(project.databases[0].clone(), None, false).unwrap()
}

/// Compares in one way. On a thread of its own, for tests have a runtime already.
pub fn verified(from: &str, to: &str, way: Way) -> Result<Verified, Failure> {
    std::thread::scope(|scope| {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let ends = (world(from), world(to));
        let verify = move || {
            runtime.block_on(of(
                &ends.0,
                &ends.1,
                &job(&[], &Casts::default()),
                way,
                &mut Silent,
            ))
        };
        scope.spawn(verify).join().unwrap()
    })
}

/// What each way says; a failure too.
fn said(from: &str, to: &str, way: Way) -> String {
    match verified(from, to, way) {
        Ok(verified) => format!("{verified:#?}"),
        Err(failure) => format!("{failure:#?}"),
    }
}

/// An error where the two ways differ.
pub fn agree(from: &str, to: &str) -> Result<(), String> {
    let (once, beforehand) = (said(from, to, Way::Once), said(from, to, Way::Beforehand));
    if once == beforehand {
        return Ok(());
    }
    Err(format!(
        "read once it says:\n{once}\nand looked at beforehand:\n{beforehand}"
    ))
}

/// Tables with keys of every kind: whole numbers with gaps, texts that end alike or in many ways, two columns, none.
const KEYS: &str = "
    CREATE TABLE numbers (id INTEGER PRIMARY KEY, v TEXT);
    CREATE TABLE texts (id TEXT PRIMARY KEY, v TEXT);
    CREATE TABLE many (id TEXT PRIMARY KEY, v TEXT);
    CREATE TABLE pairs (a INTEGER NOT NULL, b TEXT NOT NULL, v TEXT, PRIMARY KEY (a, b));
    CREATE TABLE loose (a INTEGER, v TEXT);
    INSERT INTO numbers WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 9000)
    SELECT CASE WHEN i % 3 = 0 THEN -i ELSE i * 1000003 END, 'v' || i FROM n;
    INSERT INTO texts SELECT printf('k%s-%03x', v, abs(rowid) % 4096), v FROM numbers;
    INSERT INTO many SELECT v || char(19968 + substr(v, 2)), v FROM numbers;
    INSERT INTO pairs SELECT id % 7, 'b' || id, v FROM numbers;
    INSERT INTO loose SELECT id % 11, v FROM numbers;";

/// The rows that are named, as `table key columns in`.
fn named(ends: &Ends) -> BTreeSet<String> {
    let (code, json) = ends.verify();
    assert_eq!(code, 5, "{json:#}");
    let differences = json["data"]["differences"].as_array().unwrap();
    let text = |found: &serde_json::Value| {
        let (table, side) = (&found["table"], &found["in"]);
        format!("{table} {} {} {side}", found["key"], found["columns"]).replace('"', "")
    };
    differences.iter().map(text).collect()
}

for_each_engine! {
    async fn what_differs_is_named_whatever_its_key_is(engine: TestEngine) {
        let ends = Ends::new(engine, KEYS);
        let ran = ends.copy(&[]);
        assert_eq!(ran.code, Some(0), "{:#}", ran.json());
        assert_eq!(ends.verify().0, 0);
        let run = |sql: &str| {
            let _ = ends.target.run(sql);
        };
        // The first, one within, the last; one that goes, and ones that come outside of what is there.
        run("UPDATE numbers SET v = 'x' WHERE id = -9000");
        run("UPDATE numbers SET v = 'x' WHERE id = 4000012");
        run("DELETE FROM numbers WHERE id = 8999026997 OR id = 8996026988");
        run("INSERT INTO numbers VALUES (-123456789, 'new'), (99000000000, 'new')");
        run("UPDATE texts SET v = NULL WHERE v = 'v77'");
        run("DELETE FROM texts WHERE v = 'v4444'");
        run("INSERT INTO texts VALUES ('brand new', 'n'), ('it''s', 'n')");
        run("UPDATE many SET v = 'x' WHERE v = 'v6001'");
        run("UPDATE pairs SET v = 'x' WHERE v = 'v5000'");
        let found = named(&ends);
        let of = |table: &str| -> Vec<String> {
            let own = found.iter().filter(|line| line.starts_with(table));
            own.cloned().collect()
        };
        assert_eq!(
            of("numbers"),
            [
                "numbers {id:-123456789} [] target",
                "numbers {id:-9000} [v] both",
                "numbers {id:4000012} [v] both",
                "numbers {id:8996026988} [] source",
                "numbers {id:8999026997} [] source",
                "numbers {id:99000000000} [] target",
            ]
        );
        assert_eq!(of("texts").len(), 4, "{found:?}");
        assert!(of("texts").contains(&"texts {id:it's} [] target".to_owned()), "{found:?}");
        assert_eq!(of("many").len(), 1, "{found:?}");
        assert_eq!(of("pairs").len(), 1, "{found:?}");
        agree(&format!("sqlite:{}", ends.sandbox.path("source.db").display()), ends.target.url()).unwrap();
        run("DELETE FROM loose WHERE v = 'v17'");
        let found = named(&ends);
        assert_eq!(found.iter().filter(|line| line.starts_with("loose")).count(), 1, "{found:?}");
    }
}
