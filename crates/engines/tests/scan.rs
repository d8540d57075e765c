//! Scans: each row once and in order, an early end, an end by force, and an error on the way.
#![allow(clippy::unwrap_used, clippy::panic)]

use dunlin_core::redact::SecretUrl;
use dunlin_core::value::Value;
use dunlin_engines::scan::{RowVisitor, scan};
use dunlin_engines::{Cell, Purpose, Session, Settings, open};
use dunlin_testkit::{TestEngine, for_each_engine};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// More than any engine's batch holds.
const ROWS: i64 = 10_000;

/// Counts the rows, each of which must hold its number.
struct Counting {
    apart: bool,
    enough: i64,
    seen: i64,
    bytes: usize,
}

impl Counting {
    fn new(apart: bool, enough: i64) -> Self {
        Counting {
            apart,
            enough,
            seen: 0,
            bytes: 0,
        }
    }
}

impl RowVisitor for Counting {
    fn row(&mut self, cells: &[Cell<'_>]) -> ControlFlow<()> {
        assert_eq!(cells[0], Cell::Int(self.seen));
        if let Some(Cell::Text(text)) = cells.get(1) {
            self.bytes += text.len();
        }
        self.seen += 1;
        if self.seen == self.enough {
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    }
    fn apart(&self) -> bool {
        self.apart
    }
}

/// Takes its time over each row, and says how many there were.
struct Slow(Arc<AtomicU64>);

impl RowVisitor for Slow {
    fn row(&mut self, _cells: &[Cell<'_>]) -> ControlFlow<()> {
        self.0.fetch_add(1, Ordering::Relaxed);
        std::thread::sleep(Duration::from_millis(2));
        ControlFlow::Continue(())
    }
    fn apart(&self) -> bool {
        true
    }
}

async fn filled(engine: TestEngine, url: &str) -> Box<dyn Session> {
    let settings = Settings {
        create: true,
        ..Settings::default()
    };
    let target = open(&SecretUrl::new(url), settings).unwrap();
    let mut session = target.open(Purpose::Tool).await.unwrap();
    let long = engine.pick("TEXT", "TEXT", "LONGTEXT");
    session
        .execute(&format!(
            "CREATE TABLE t (id BIGINT PRIMARY KEY, body {long})"
        ))
        .await
        .unwrap();
    session.begin().await.unwrap();
    for from in (0..ROWS).step_by(500) {
        let rows: Vec<String> = (from..from + 500)
            .map(|id| format!("({id}, 'row é {id}')"))
            .collect();
        let insert = format!("INSERT INTO t VALUES {}", rows.join(", "));
        session.execute(&insert).await.unwrap();
    }
    session.commit().await.unwrap();
    session
}

for_each_engine! {
    async fn each_row_is_visited_once_and_in_order(engine: TestEngine) {
        let database = engine.database();
        let mut session = filled(engine, database.url()).await;
        let all = "SELECT id, body FROM t ORDER BY id";
        let bytes: usize = (0..ROWS).map(|id| format!("row é {id}").len()).sum();
        for apart in [false, true] {
            let seen = scan(&mut *session, all, Counting::new(apart, -1)).await.unwrap();
            assert_eq!((seen.seen, seen.bytes), (ROWS, bytes));
            let none = scan(&mut *session, "SELECT id FROM t WHERE id < 0", Counting::new(apart, -1));
            assert_eq!(none.await.unwrap().seen, 0);
            // After an early end the session goes on, also in a transaction.
            session.begin().await.unwrap();
            let some = scan(&mut *session, all, Counting::new(apart, 10)).await.unwrap();
            assert_eq!(some.seen, 10);
            assert_eq!(session.query("SELECT count(*) FROM t", &[]).await.unwrap(), [[Value::Int(ROWS)]]);
            session.commit().await.unwrap();
        }
    }

    async fn one_value_may_be_larger_than_any_buffer(engine: TestEngine) {
        let database = engine.database();
        let mut session = filled(engine, database.url()).await;
        let long = "x".repeat(3 << 20);
        session.execute_with(&format!("UPDATE t SET body = {} WHERE id = 1", session.dialect().param(1)), &[Value::Text(long)])
            .await.unwrap();
        for apart in [false, true] {
            let seen = scan(&mut *session, "SELECT id, body FROM t WHERE id < 3 ORDER BY id", Counting::new(apart, -1)).await.unwrap();
            assert_eq!(seen.bytes, (3 << 20) + 2 * "row é 0".len());
        }
    }

    async fn a_scan_that_is_dropped_takes_no_more_rows(engine: TestEngine) {
        let database = engine.database();
        let mut session = filled(engine, database.url()).await;
        let seen = Arc::new(AtomicU64::new(0));
        let slow = Slow(Arc::clone(&seen));
        let scanning = scan(&mut *session, "SELECT id, body FROM t", slow);
        // All rows would take 20 seconds.
        assert!(tokio::time::timeout(Duration::from_millis(300), scanning).await.is_err());
        let count = session.query("SELECT count(*) FROM t", &[]);
        let count = tokio::time::timeout(Duration::from_secs(10), count).await.unwrap();
        assert_eq!(count.unwrap(), [[Value::Int(ROWS)]]);
        assert!(seen.load(Ordering::Relaxed) > 0);
    }

    async fn an_error_on_the_way_is_told_and_the_session_goes_on(engine: TestEngine) {
        let database = engine.database();
        let mut session = filled(engine, database.url()).await;
        let breaks = engine.pick(
            "SELECT id, abs(-9223372036854775807 - (id = 5000)) FROM t ORDER BY id",
            "SELECT id, 1 / (5000 - id) FROM t ORDER BY id",
            "SELECT id, exp(CASE WHEN id = 5000 THEN 10000 ELSE 1 END) FROM t ORDER BY id",
        );
        for apart in [false, true] {
            let failed = scan(&mut *session, breaks, Counting::new(apart, -1)).await.err();
            let error = failed.unwrap_or_else(|| panic!("the query cannot end well"));
            assert!(!error.message.is_empty() && !error.class.is_lost(), "{error:?}");
            let seen = scan(&mut *session, "SELECT id, body FROM t ORDER BY id", Counting::new(apart, -1)).await;
            assert_eq!(seen.unwrap().seen, ROWS);
        }
        let missing = scan(&mut *session, "SELECT id FROM nowhere", Counting::new(false, -1)).await;
        assert!(missing.is_err());
    }
}
