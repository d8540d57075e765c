//! Several sessions that read one state while others write.
#![allow(clippy::unwrap_used)]

use dunlin::copy::ends::Readers;
use dunlin::digest::{Scope, digest_together};
use dunlin::world::World;
use dunlin_core::event::Silent;
use dunlin_core::redact::SecretUrl;
use dunlin_core::source::Project;
use dunlin_engines::Purpose;
use dunlin_testkit::{TestDatabase, TestEngine, for_each_engine};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

fn world(database: &TestDatabase) -> World {
    let project = Project::without_file(SecretUrl::new(database.url()), ".".into());
    World::new(project.databases[0].clone(), None, true).unwrap()
}

/// Rows go from one table to another and back, one at a time, each way in one transaction, until told to stop.
async fn moving(world: Arc<World>, stop: Arc<AtomicBool>) -> u32 {
    let mut session = world.open(Purpose::Tool).await.unwrap();
    let mut moves = 0;
    while !stop.load(Ordering::Relaxed) {
        for (from, to) in [("a", "b"), ("b", "a")] {
            // A reader of a file may be in the way for longer than a writer waits.
            if session.begin().await.is_err() {
                continue;
            }
            let pushed = format!("INSERT INTO {to} SELECT id FROM {from} WHERE id = 1");
            session.execute(&pushed).await.unwrap();
            let taken = format!("DELETE FROM {from} WHERE id = 1");
            session.execute(&taken).await.unwrap();
            while session.commit().await.is_err() {}
            moves += 1;
            // Between two commits there is room for a beginning.
            tokio::time::sleep(std::time::Duration::from_millis(3)).await;
        }
    }
    session.close().await;
    moves
}

async fn never_half(engine: TestEngine, before: &str) {
    let database = engine.database();
    let world = Arc::new(world(&database));
    let rows: Vec<String> = (2..500).map(|id| format!("({id})")).collect();
    let rows = rows.join(", ");
    database.run(&format!(
        "{before} CREATE TABLE a (id INTEGER); CREATE TABLE b (id INTEGER); INSERT INTO a VALUES (1); \
         INSERT INTO a VALUES {rows}; INSERT INTO b VALUES {rows};"
    ));
    let stop = Arc::new(AtomicBool::new(false));
    let writer = tokio::spawn(moving(Arc::clone(&world), Arc::clone(&stop)));
    let mut together = 0;
    for _ in 0..60 {
        let mut readers = Readers::open(&world, 3).await.unwrap();
        together += usize::from(readers.count() > 1);
        let scope = Scope {
            tables: vec!["a".into(), "b".into()],
            except: vec![],
        };
        let found = digest_together(&mut readers, &scope, None, &mut Silent)
            .await
            .unwrap();
        readers.close().await;
        let rows: u64 = found.tables.iter().map(|table| table.rows).sum();
        assert_eq!(rows, 997, "a row was seen in both tables or in none");
    }
    stop.store(true, Ordering::Relaxed);
    assert!(writer.await.unwrap() > 1, "nobody wrote");
    if engine == TestEngine::Sqlite || engine.is_postgres() {
        assert!(together > 0, "one session was always alone");
    }
}

for_each_engine! {
    async fn sessions_together_see_one_state(engine: TestEngine) {
        never_half(engine, "").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_together_see_one_state_of_a_file_with_a_log() {
    never_half(TestEngine::Sqlite, "PRAGMA journal_mode = WAL;").await;
}
