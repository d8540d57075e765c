//! Digests of SQLite files: what changes them, what does not, what is noticed.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use dunlin::digest::{Digests, Scope, digest};
use dunlin_core::event::Silent;
use dunlin_core::redact::SecretUrl;
use dunlin_engines::{Engine, Purpose, Settings};
use std::path::Path;

fn engine(file: &Path) -> Box<dyn Engine> {
    let url = SecretUrl::new(format!("sqlite:{}", file.display()));
    dunlin_engines::open(
        &url,
        Settings {
            create: true,
            ..Settings::default()
        },
    )
    .unwrap()
}

async fn run(file: &Path, script: &str) {
    let mut session = engine(file).open(Purpose::Tool).await.unwrap();
    for statement in script
        .split_inclusive(';')
        .filter(|text| !text.trim().is_empty())
    {
        session.execute(statement).await.unwrap();
    }
    session.close().await;
}

async fn digests(file: &Path) -> Digests {
    let mut session = engine(file).open(Purpose::Read).await.unwrap();
    digest(&mut *session, &Scope::default(), None, &mut Silent)
        .await
        .unwrap()
}

#[tokio::test]
async fn order_and_layout_do_not_count_and_a_swap_does() {
    let folder = tempfile::tempdir().unwrap();
    let (a, b, c) = (
        folder.path().join("a.db"),
        folder.path().join("b.db"),
        folder.path().join("c.db"),
    );
    run(
        &a,
        "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT, n NUMERIC(10,2)); \
             INSERT INTO t VALUES (1,'AAAA',100),(2,'BBBB',999.5);",
    )
    .await;
    run(
        &b,
        "CREATE TABLE T (N DECIMAL(10,2), ID INTEGER PRIMARY KEY, V VARCHAR(9)); \
             INSERT INTO t VALUES (999.50,2,'BBBB'),(100,1,'AAAA');",
    )
    .await;
    run(
        &c,
        "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT, n NUMERIC(10,2)); \
             INSERT INTO t VALUES (1,'AAAA',999.5),(2,'BBBB',100);",
    )
    .await;
    let (a, b, c) = (digests(&a).await, digests(&b).await, digests(&c).await);
    assert_eq!(a.reading.hash(), b.reading.hash());
    assert_eq!(a.tables, b.tables);
    assert_eq!(a.reading.hash(), c.reading.hash());
    assert_ne!(a.tables[0].digest, c.tables[0].digest);
    assert_eq!((a.total(), a.tables[0].rows), (b.total(), 2));
}

#[tokio::test]
async fn what_does_not_fit_is_noticed_and_hashed() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("odd.db");
    run(
        &file,
        "CREATE TABLE t (i INTEGER, d DATETIME, j JSON, b BOOLEAN, p DECIMAL(9,2)); \
                INSERT INTO t VALUES ('12abc', 1700000000, '{\"a\":1,\"a\":2}', 2, 0.1+0.2), \
                (1, '2024-02-29 12:00:00', '{}', 1, 0.1), (NULL, NULL, NULL, NULL, NULL);",
    )
    .await;
    let found = digests(&file).await;
    let mut said: Vec<String> = found
        .findings
        .iter()
        .map(|finding| {
            format!(
                "{} {}",
                finding.code,
                finding.place.object.as_deref().unwrap()
            )
        })
        .collect();
    said.sort();
    assert_eq!(
        said,
        [
            "digest-does-not-fit t.b",
            "digest-does-not-fit t.i",
            "digest-does-not-fit t.p",
            "digest-number-as-time t.d",
            "json-duplicate-key t.j",
        ]
    );
    let before = found.tables[0].clone();
    run(&file, "UPDATE t SET i = 12 WHERE i = '12abc';").await;
    assert_ne!(before.digest, digests(&file).await.tables[0].digest);
}

#[tokio::test]
async fn names_that_match_nothing_are_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.db");
    run(&file, "CREATE TABLE t (id INTEGER PRIMARY KEY);").await;
    let mut session = engine(&file).open(Purpose::Read).await.unwrap();
    let scope = Scope {
        tables: vec!["T".into(), "gone".into()],
        except: vec![],
    };
    let found = digest(&mut *session, &scope, None, &mut Silent)
        .await
        .unwrap();
    assert_eq!(found.tables.len(), 1);
    assert_eq!(found.findings[0].code, "digest-table-missing");
}
