//! Constraints that still bite.

use super::*;
use dunlin_core::dialect::aside::Indexed;

async fn copied(from: TestEngine, script: &str, to: TestEngine) -> Place {
    let (source, target) = (Place::new(from), Place::new(to));
    source.run(script).await;
    let (plan, _) = planned(&source, &target).await;
    target.make(&plan).await;
    target
}

const POSTGRES: TestEngine = TestEngine::Server(Kind::Postgres);

fn refused(place: &Place, sql: &str) {
    assert!(place.database.try_run(sql).is_err(), "accepted: {sql}");
}

#[tokio::test]
async fn s52_s54_s55_unique_keys_of_folded_and_partial_kinds_bite() {
    let place = copied(
        TestEngine::Sqlite,
        include_str!("hard.sqlite.sql"),
        POSTGRES,
    )
    .await;
    let db = &place.database;
    db.run("INSERT INTO folds (mail, name, deleted) VALUES ('Ann@x', 'a', 0)");
    refused(
        &place,
        "INSERT INTO folds (mail, name, deleted) VALUES ('aNN@X', 'b', 0)",
    );
    // Folding is of A to Z alone.
    db.run("INSERT INTO folds (mail, name, deleted) VALUES ('É', 'c', 0), ('é', 'd', 0)");
    refused(
        &place,
        "INSERT INTO folds (mail, name, deleted) VALUES ('z', 'a', 0)",
    );
    db.run("INSERT INTO folds (mail, name, deleted) VALUES ('y', 'a', 1), ('x', 'a', 1)");
}

#[tokio::test]
async fn s57_checks_bite() {
    let place = copied(
        TestEngine::Sqlite,
        include_str!("hard.sqlite.sql"),
        POSTGRES,
    )
    .await;
    for (column, value) in [
        ("a", "0"),
        ("b", "'12345'"),
        ("c", "'z'"),
        ("d", "'xyz'"),
        ("h", "'nobody'"),
        ("i", "10"),
        ("j", "'1999-12-31'"),
        ("l", "'a b'"),
    ] {
        refused(
            &place,
            &format!("INSERT INTO checks (e, {column}) VALUES (1, {value})"),
        );
    }
    place.database.run("INSERT INTO checks (a, b, c, d, e, h, i, j, l) VALUES (1, '1234', 'x', 'abc', 1, 'a@B.COM', NULL, '2001-01-01', 'ab')");
}

#[tokio::test]
async fn s39_s58_s59_rows_are_numbered_computed_and_filled() {
    let place = copied(
        TestEngine::Sqlite,
        include_str!("hard.sqlite.sql"),
        POSTGRES,
    )
    .await;
    let db = &place.database;
    db.run("INSERT INTO ring_a (b) VALUES (NULL)");
    assert_eq!(db.scalar("SELECT id FROM ring_a"), "1");
    db.run("INSERT INTO computed (p, q) VALUES (1.5, 2)");
    assert_eq!(db.scalar("SELECT total FROM computed"), "3");
    assert_eq!(db.scalar("SELECT label FROM computed"), "2 pieces");
    db.run("INSERT INTO defaults (b) VALUES (7)");
    assert_eq!(
        db.scalar("SELECT a || j::text || s FROM defaults"),
        "it'strue5"
    );
    assert_eq!(
        db.scalar("SELECT abs(e - extract(epoch FROM now())) < 5 FROM defaults"),
        "t"
    );
    assert_eq!(
        db.scalar("SELECT k ~ '^\\d{4}-\\d\\d-\\d\\d \\d\\d:\\d\\d:\\d\\d$' FROM defaults"),
        "t"
    );
}

#[tokio::test]
async fn m22_m27_keys_that_fold_and_keys_over_beginnings_bite() {
    for kind in [Kind::Mysql, Kind::Mariadb] {
        let place = copied(
            TestEngine::Server(kind),
            include_str!("hard.mysql.sql"),
            POSTGRES,
        )
        .await;
        let db = &place.database;
        db.run("INSERT INTO keys_of (code, other, txt) VALUES ('ABC', 'a', 'one')");
        refused(
            &place,
            "INSERT INTO keys_of (code, other, txt) VALUES ('abc', 'b', 'two')",
        );
        refused(
            &place,
            "INSERT INTO keys_of (code, other, txt) VALUES ('ábc', 'b', 'two')",
        );
        db.run("INSERT INTO keys_of (code, other, txt) VALUES ('d', 'A', 'two')");
        refused(
            &place,
            "INSERT INTO keys_of (code, other, txt) VALUES ('e', 'c', 'one more')",
        );
    }
}

#[tokio::test]
async fn p15_p16_p19_keys_tell_case_and_spaces_apart_in_mysql() {
    for kind in [Kind::Mysql, Kind::Mariadb] {
        let place = copied(
            POSTGRES,
            include_str!("hard.postgres.sql"),
            TestEngine::Server(kind),
        )
        .await;
        let db = &place.database;
        db.run("INSERT INTO `keys` (code) VALUES ('a'), ('A'), ('á'), ('a ')");
        refused(&place, "INSERT INTO `keys` (code) VALUES ('a')");
        if kind == Kind::Mysql {
            db.run(
                "INSERT INTO of_keys (code, mail, live) VALUES ('a', 'x@y', 0), ('a', 'X@z', 0)",
            );
            refused(
                &place,
                "INSERT INTO of_keys (code, mail) VALUES ('a', 'x@Y')",
            );
        }
    }
}

/// A row of one partition lies where a row of another one does that has a key of its own.
#[tokio::test]
async fn of_a_partitioned_table_the_rows_that_repeat_are_told_by_their_partition_too() {
    let place = Place::new(POSTGRES);
    place
        .run(
            "CREATE TABLE t (id int, n int, v text, CONSTRAINT once PRIMARY KEY (id, n)) PARTITION BY RANGE (id);
             CREATE TABLE t1 PARTITION OF t FOR VALUES FROM (1) TO (10);
             CREATE TABLE t2 PARTITION OF t FOR VALUES FROM (10) TO (20);",
        )
        .await;
    let (catalog, _) = place.look().await;
    let table = catalog.table(None, "t").unwrap();
    place
        .run(
            "ALTER TABLE t DROP CONSTRAINT once;
             INSERT INTO t VALUES (1, 1, 'first'), (1, 1, 'second'), (2, 1, ''), (11, 1, ''), (12, 1, ''), (13, 1, 'first'),
                 (13, 1, 'second'), (13, 1, 'third');",
        )
        .await;
    let mut session = place.engine.open(Purpose::Tool).await.unwrap();
    let aside = session.dialect().aside();
    let only = aside.repeated(table, Indexed::Key(&table.keys[0])).unwrap();
    let gone = session
        .execute(&format!("DELETE FROM t WHERE {only}"))
        .await;
    assert_eq!(gone.unwrap(), 3);
    session.close().await;
    let left = "SELECT string_agg(id || v, ' ' ORDER BY id) FROM t";
    assert_eq!(place.database.scalar(left), "1first 2 11 12 13first");
}
