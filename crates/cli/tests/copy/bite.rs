//! Constraints and counters of a target are tried before it is called equal.

use super::{Ends, all_equal};
use dunlin_testkit::engines::TestEngine;
use dunlin_testkit::for_each_engine;
use dunlin_testkit::servers::Kind;
use serde_json::Value;

const SHOP: &str = "
CREATE TABLE customers (id INTEGER PRIMARY KEY AUTOINCREMENT, name VARCHAR(80) NOT NULL, email VARCHAR(80) UNIQUE,
  level INTEGER NOT NULL DEFAULT 1 CHECK (level BETWEEN 1 AND 5));
CREATE TABLE orders (id INTEGER PRIMARY KEY, day DATE NOT NULL CHECK (day > '1990-01-01'), customer_id INTEGER NOT NULL REFERENCES customers(id) ON DELETE CASCADE,
  total NUMERIC(10,2) NOT NULL CHECK (total >= 0), state VARCHAR(10) NOT NULL CHECK (state IN ('open', 'paid')));
CREATE TABLE lines (order_id INTEGER NOT NULL REFERENCES orders(id), line INTEGER NOT NULL, name VARCHAR(40),
  PRIMARY KEY (order_id, line));
CREATE UNIQUE INDEX lines_name ON lines (name, order_id);
CREATE TABLE empty (id INTEGER PRIMARY KEY, n INTEGER NOT NULL);
INSERT INTO customers VALUES (1, 'Ayşe', 'a@x', 1), (2, 'رضا', 'r@x', 5), (100, 'gone', NULL, 2);
DELETE FROM customers WHERE id = 100;
INSERT INTO orders VALUES (1, '2020-01-01', 1, 12.5, 'open'), (2, '2020-01-02', 2, 0, 'paid');
INSERT INTO lines VALUES (1, 1, 'x'), (1, 2, 'y'), (2, 1, 'x');
";

fn of<'j>(json: &'j Value, kind: &str) -> Vec<&'j Value> {
    let tried = json["data"]["proven"]
        .as_array()
        .unwrap_or_else(|| panic!("{json:#}"));
    tried.iter().filter(|one| one["kind"] == kind).collect()
}

for_each_engine! {
    async fn every_constraint_is_tried_and_nothing_stays_of_it(engine: TestEngine) {
        let ends = Ends::new(engine, SHOP);
        let json = ends.copy(&[]).code(0).json();
        assert!(all_equal(&json), "{json:#}");
        for (kind, proven) in [("primary_key", 3), ("unique", 2), ("foreign_key", 2), ("check", 4), ("not_null", 6), ("counter", 1)] {
            let found = of(&json, kind);
            let of_full: Vec<_> = found.iter().filter(|one| !one["object"].as_str().unwrap().starts_with("empty")).collect();
            let bite = of_full.iter().filter(|one| one["outcome"] == "proven").count();
            assert!(bite >= proven, "{kind}: {found:#?}");
        }
        let failed = json["data"]["proven"].as_array().unwrap().iter().filter(|one| one["outcome"] == "failed").count();
        assert_eq!(failed, 0, "{json:#}");
        let why = of(&json, "primary_key").into_iter().find(|one| one["object"].as_str().unwrap().starts_with("empty")).unwrap();
        assert_eq!(why["outcome"], "not_tried", "{json:#}");
        // No try has left a row behind, or let a counter give a number out.
        let (code, json) = ends.verify();
        assert_eq!(code, 0, "{json:#}");
        let _ = ends.target.run("INSERT INTO customers (name) VALUES ('next')");
        assert_eq!(ends.target.scalar("SELECT max(id) FROM customers"), "101");
    }
}

for_each_engine! {
    /// A row that is tried for such a key must not get another value of it by the way.
    async fn a_key_of_what_is_computed_bites_and_is_not_called_toothless(engine: TestEngine) {
        let ends = Ends::new(engine, "
            CREATE TABLE t (id INTEGER PRIMARY KEY, a INTEGER, b INTEGER AS (id * 2) STORED, c INTEGER AS (b + 1) STORED);
            CREATE UNIQUE INDEX first ON t (b);
            CREATE UNIQUE INDEX second ON t (c, a);
            INSERT INTO t (id, a) VALUES (1, 5), (2, 6);");
        let ran = ends.copy(&[]);
        let json = ran.json();
        assert_eq!(ran.code, Some(0), "{json:#}");
        let failed = of(&json, "unique").into_iter().filter(|one| one["outcome"] == "failed").count();
        assert_eq!(failed, 0, "{json:#}");
    }
}

/// In sessions of a replica no foreign key bites, and the server lets a whole database be one.
#[test]
fn a_foreign_key_that_does_not_bite_ends_the_copy_with_five() {
    let ends = Ends::new(TestEngine::Server(Kind::Postgres), SHOP);
    let name = ends.target.name();
    let _ = ends.target.run(&format!(
        "ALTER DATABASE \"{name}\" SET session_replication_role = 'replica'"
    ));
    let json = ends.copy(&[]).code(5).json();
    let failed: Vec<&Value> = of(&json, "foreign_key")
        .into_iter()
        .filter(|one| one["outcome"] == "failed")
        .collect();
    assert_eq!(failed.len(), 2, "{json:#}");
    let findings = json["findings"].as_array().unwrap();
    let named = findings.iter().any(|one| {
        let message = one["message"].as_str().unwrap_or_default();
        one["code"] == "constraint-without-teeth" && message.contains("lines (order_id) -> orders")
    });
    assert!(named, "{json:#}");
}
