//! `explain` and `speed`.

use super::*;
use dunlin_core::source::duration::DurationText;
use dunlin_core::source::grammar::checks::{Explain, Speed};
use std::time::Duration;

fn rows(kind: TestEngine) -> &'static str {
    kind.pick(
        "CREATE TABLE messages (id INTEGER PRIMARY KEY, contact int, body varchar(20)); \
         WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < 300000) \
         INSERT INTO messages SELECT n, n % 5000, 'hello' FROM s; \
         CREATE INDEX idx_contact ON messages (contact); ANALYZE",
        "CREATE TABLE messages (id int PRIMARY KEY, contact int, body varchar(20)); \
         INSERT INTO messages SELECT n, n % 5000, 'hello' FROM generate_series(1, 300000) n; \
         CREATE INDEX idx_contact ON messages (contact); ANALYZE messages",
        "CREATE TABLE digits (d int); INSERT INTO digits VALUES (0), (1), (2), (3), (4), (5), (6), (7), (8), (9); \
         CREATE TABLE messages (id int PRIMARY KEY, contact int, body varchar(20)) ENGINE=InnoDB; \
         INSERT INTO messages SELECT n, n % 5000, 'hello' FROM (SELECT a.d + 10 * b.d + 100 * c.d + 1000 * e.d + \
         10000 * f.d + 100000 * g.d AS n FROM digits a, digits b, digits c, digits e, digits f, digits g WHERE g.d < 3) s; \
         CREATE INDEX idx_contact ON messages (contact); ANALYZE TABLE messages",
    )
}

fn drop_index(kind: TestEngine) -> &'static str {
    if kind.is_mysql_family() {
        "DROP INDEX idx_contact ON messages; ANALYZE TABLE messages"
    } else {
        "DROP INDEX idx_contact"
    }
}

const QUERY: &str = "SELECT * FROM messages WHERE contact = 7";

fn explain(query: &str, uses: Option<&str>, no_full_scan: bool) -> CheckSpec {
    CheckSpec::Explain(Explain {
        sql: query.into(),
        uses: uses.map(str::to_owned),
        no_full_scan,
    })
}

fn speed(factor: Option<f64>, within: Option<Duration>) -> CheckSpec {
    CheckSpec::Speed(Speed {
        sql: QUERY.into(),
        slower_by_at_most: factor,
        within: within.map(DurationText),
        percentile: Some(50),
        runs: Some(7),
    })
}

for_each_engine! {
    async fn an_index_is_used_until_it_is_gone(kind: TestEngine) {
        let room = Room::with(kind, rows(kind)).await;
        let used = || explain(QUERY, Some("idx_contact"), true);
        let found = room.now(used()).await;
        holds(&found);
        assert!(found.observed.contains("uses idx_contact"), "{found:?}");
        fails(&room.now(explain(QUERY, Some("idx_other"), false)).await, "idx_other is not used");
        let whole = "SELECT count(*) FROM messages WHERE body = 'x'";
        fails(&room.now(explain(whole, None, true)).await, "read whole: messages");
        holds(&room.now(explain("SELECT * FROM messages ORDER BY contact LIMIT 3", None, true)).await);
        let before = room.digest().await;
        let _ = room.now(explain("DELETE FROM messages WHERE contact = 7", Some("idx_contact"), false)).await;
        assert_eq!(room.digest().await, before, "EXPLAIN runs nothing");
        room.run(drop_index(kind)).await;
        let found = room.now(used()).await;
        fails(&found, "idx_contact is not used");
        fails(&found, "read whole: messages");
        let two = room.now(explain("SELECT 1; DELETE FROM messages", None, true)).await;
        fails(&two, "one statement");
    }

    /// Fifty times as slow, where five times are allowed: a busy host neither hides the one nor makes up the other.
    async fn a_query_has_become_slower_once_its_index_is_gone(kind: TestEngine) {
        let room = Room::with(kind, rows(kind)).await;
        let begun = room.begin(speed(Some(5.0), None)).await.unwrap();
        let found = room.end(&begun).await;
        holds(&found);
        for part in ["before: p50", "now: p50", "reference"] {
            assert!(found.observed.contains(part), "{found:?}");
        }
        holds(&room.now(speed(None, Some(Duration::from_secs(20)))).await);
        fails(&room.now(speed(None, Some(Duration::from_nanos(1)))).await, "over");
        room.run(drop_index(kind)).await;
        fails(&room.end(&begun).await, "times as slow as before");
    }
}
