//! `refuses` and `accepts`: what is refused and for what reason, and that nothing stays behind.

use super::*;
use dunlin_core::source::grammar::checks::{Because, Refuses};

fn script(kind: TestEngine) -> &'static str {
    kind.pick(
        "CREATE TABLE users (id INTEGER PRIMARY KEY); INSERT INTO users VALUES (1); \
         CREATE TABLE chats (id INTEGER PRIMARY KEY AUTOINCREMENT, user_id INTEGER NOT NULL REFERENCES users (id), \
         mood varchar(20) CHECK (mood IN ('good', 'bad')), messages TEXT CHECK (json_valid(messages)), \
         more TEXT CONSTRAINT more_json CHECK (json_valid(more)), slug varchar(20) UNIQUE); \
         INSERT INTO chats (user_id, slug) VALUES (1, 'a'); \
         CREATE TABLE strict (n INTEGER) STRICT; \
         CREATE TABLE later (user_id INTEGER REFERENCES users (id) DEFERRABLE INITIALLY DEFERRED)",
        "CREATE TABLE users (id int PRIMARY KEY); INSERT INTO users VALUES (1); \
         CREATE TABLE chats (id serial PRIMARY KEY, user_id int NOT NULL REFERENCES users (id), \
         mood varchar(20) CHECK (mood IN ('good', 'bad')), messages jsonb, more json, slug varchar(20) UNIQUE); \
         INSERT INTO chats (user_id, slug) VALUES (1, 'a'); \
         CREATE TABLE strict (n int); \
         CREATE TABLE later (user_id int REFERENCES users (id) DEFERRABLE INITIALLY DEFERRED)",
        "CREATE TABLE users (id int PRIMARY KEY) ENGINE=InnoDB; INSERT INTO users VALUES (1); \
         CREATE TABLE chats (id int AUTO_INCREMENT PRIMARY KEY, user_id int NOT NULL, \
         mood varchar(20) CHECK (mood IN ('good', 'bad')), messages JSON, \
         more text, slug varchar(20) UNIQUE, CONSTRAINT more_json CHECK (json_valid(more)), \
         FOREIGN KEY (user_id) REFERENCES users (id)) ENGINE=InnoDB; \
         INSERT INTO chats (user_id, slug) VALUES (1, 'a'); \
         CREATE TABLE strict (n int) ENGINE=InnoDB; CREATE TABLE later (n int) ENGINE=InnoDB; \
         CREATE TABLE old (n int) ENGINE=MyISAM; \
         CREATE TABLE watched (n int) ENGINE=InnoDB; \
         CREATE TRIGGER watching AFTER INSERT ON watched FOR EACH ROW INSERT INTO old VALUES (1)",
    )
}

fn refuses(text: &str, because: Because) -> CheckSpec {
    CheckSpec::Refuses(Refuses {
        sql: text.into(),
        because,
    })
}

fn accepts(text: &str) -> CheckSpec {
    CheckSpec::Accepts(sql(text))
}

/// Statements that are refused, each for one reason.
fn refused() -> Vec<(&'static str, Because)> {
    vec![
        (
            "INSERT INTO chats (user_id) VALUES (999)",
            Because::ForeignKey,
        ),
        (
            "INSERT INTO chats (user_id, slug) VALUES (1, 'a')",
            Because::Unique,
        ),
        (
            "INSERT INTO chats (user_id) VALUES (NULL)",
            Because::NotNull,
        ),
        ("INSERT INTO chats (slug) VALUES ('b')", Because::NotNull),
        (
            "INSERT INTO chats (user_id, mood) VALUES (1, 'odd')",
            Because::Check,
        ),
        ("INSERT INTO strict VALUES ('many')", Because::Type),
        (
            "INSERT INTO chats (user_id, messages) VALUES (1, '{oops')",
            Because::Json,
        ),
        (
            "INSERT INTO chats (user_id, more) VALUES (1, '[1,')",
            Because::Json,
        ),
        ("DELETE FROM users WHERE id = 1", Because::ForeignKey),
    ]
}

for_each_engine! {
    async fn only_the_named_reason_counts_and_nothing_stays(kind: TestEngine) {
        let room = Room::with(kind, script(kind)).await;
        let before = room.digest().await;
        for (text, because) in refused() {
            holds(&room.now(refuses(text, because)).await);
            let other = if because == Because::Unique { Because::Check } else { Because::Unique };
            fails(&room.now(refuses(text, other)).await, "refused, but:");
            fails(&room.now(accepts(text)).await, "refused: ");
        }
        let fine = "INSERT INTO chats (user_id, mood, messages, more) VALUES (1, 'good', '[{\"role\":\"user\"}]', '{}')";
        holds(&room.now(accepts(fine)).await);
        fails(&room.now(refuses(fine, Because::Json)).await, "it was accepted");
        let with = "WITH x AS (SELECT 1 AS n) INSERT INTO strict SELECT n FROM x";
        holds(&room.now(accepts(kind.pick(with, with, "INSERT INTO strict WITH x AS (SELECT 1 AS n) SELECT n FROM x"))).await);
        fails(&room.now(refuses("INSERT INTO nowhere VALUES (1)", Because::Unique)).await, "nowhere");
        assert_eq!(room.digest().await, before, "something stayed behind");
    }

    /// The negative control: the constraint goes, and the check that guards it fails.
    async fn it_fails_once_the_constraint_is_gone(kind: TestEngine) {
        let room = Room::with(kind, "CREATE TABLE t (a int, b int); CREATE UNIQUE INDEX u ON t (a); INSERT INTO t VALUES (1, 1)").await;
        let check = || refuses("INSERT INTO t VALUES (1, 2)", Because::Unique);
        holds(&room.now(check()).await);
        room.run(if kind.is_mysql_family() { "DROP INDEX u ON t" } else { "DROP INDEX u" }).await;
        fails(&room.now(check()).await, "it was accepted");
    }

    async fn what_cannot_be_taken_back_is_not_tried(kind: TestEngine) {
        let room = Room::with(kind, script(kind)).await;
        let before = room.digest().await;
        let two = "INSERT INTO users VALUES (2); INSERT INTO users VALUES (3)";
        fails(&room.now(accepts(two)).await, "one statement");
        for text in ["DROP TABLE later", "COMMIT", "CREATE TABLE x (n int)", ""] {
            let found = room.now(accepts(text)).await;
            assert_eq!(found.outcome, CheckOutcome::Failed, "{found:?}");
        }
        if kind.is_mysql_family() {
            fails(&room.now(accepts("INSERT INTO old VALUES (1)")).await, "without transactions");
            fails(&room.now(accepts("INSERT INTO watched VALUES (1)")).await, "without transactions");
            fails(&room.now(refuses("INSERT INTO old VALUES (1)", Because::Type)).await, "without transactions");
        }
        assert_eq!(room.digest().await, before, "something stayed behind");
    }

    async fn deferred_constraints_bite_and_used_up_counters_are_told(kind: TestEngine) {
        let room = Room::with(kind, script(kind)).await;
        let before = room.digest().await;
        if !kind.is_mysql_family() {
            let stranger = "INSERT INTO later VALUES (999)";
            holds(&room.now(refuses(stranger, Because::ForeignKey)).await);
            fails(&room.now(accepts(stranger)).await, "foreign key");
            holds(&room.now(accepts("INSERT INTO later VALUES (1)")).await);
        }
        let found = room.now(accepts("INSERT INTO chats (user_id) VALUES (1)")).await;
        holds(&found);
        // SQLite's counter is a row, which the rollback brings back.
        let told = found.observed.contains("counters used up");
        assert_eq!(told, kind != TestEngine::Sqlite, "{found:?}");
        assert_eq!(room.digest().await, before, "something stayed behind");
    }

    async fn a_lock_that_is_not_had_answers_nothing(kind: TestEngine) {
        let room = Room::with(kind, script(kind)).await;
        let mut other = room.world.open(Purpose::Tool).await.unwrap();
        other.begin().await.unwrap();
        other.execute("INSERT INTO chats (user_id, slug) VALUES (1, 'held')").await.unwrap();
        let began = std::time::Instant::now();
        let held = refuses("INSERT INTO chats (user_id, slug) VALUES (1, 'held')", Because::Unique);
        let found = room.now(held).await;
        other.rollback().await.unwrap();
        other.close().await;
        fails(&found, "the database says");
        assert!(began.elapsed().as_secs() < 20, "{:?}", began.elapsed());
    }
}
