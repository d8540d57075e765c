//! `require`: constraints come, others go, and taken back the very ones that were there stand again.

use crate::ground::{Ground, sql, step};
use dunlin_core::plan::steps::Inverse;
use dunlin_core::source::grammar::steps::{IndexStep, Require};
use dunlin_core::source::plan::{StepDoc, StepSpec};
use dunlin_testkit::{TestEngine, for_each_engine};

const SQLITE: &str = "CREATE TABLE users (id INTEGER PRIMARY KEY, email TEXT UNIQUE);
    CREATE TABLE contacts (id INTEGER PRIMARY KEY AUTOINCREMENT, -- the id, (of the contact)
      phone_number TEXT NOT NULL CONSTRAINT contacts_phone_number_key UNIQUE, thread_id TEXT, user_id BIGINT, chatbot_id BIGINT
      DEFAULT 1 CHECK (chatbot_id <> ','), total NUMERIC, twice NUMERIC AS (total * 2), \"نام '\" TEXT,
      CONSTRAINT \"نخ\" UNIQUE (thread_id), CONSTRAINT positive CHECK (total > -1000) -- the end
    );
    CREATE TABLE messages (id INTEGER PRIMARY KEY, contact_id INTEGER REFERENCES contacts ON DELETE CASCADE, body TEXT);
    CREATE INDEX idx_total ON contacts (total) WHERE total > 0;
    CREATE UNIQUE INDEX uq_name ON contacts (\"نام '\");
    CREATE VIEW v_contacts AS SELECT id, phone_number FROM contacts;
    CREATE VIEW v_a AS SELECT id FROM v_contacts;
    CREATE TRIGGER v_in INSTEAD OF INSERT ON v_a BEGIN INSERT INTO contacts (phone_number) VALUES (NEW.id); END;
    CREATE TRIGGER said AFTER INSERT ON messages BEGIN UPDATE contacts SET total = total WHERE id = NEW.contact_id; END;
    CREATE TRIGGER touched AFTER UPDATE ON contacts BEGIN SELECT 1; END;";
const POSTGRES: &str = "CREATE TABLE users (id bigint PRIMARY KEY, email text UNIQUE);
    CREATE TABLE contacts (id bigserial PRIMARY KEY, phone_number varchar(20) NOT NULL CONSTRAINT contacts_phone_number_key UNIQUE
      DEFERRABLE INITIALLY DEFERRED, thread_id text, user_id bigint, chatbot_id bigint DEFAULT 1, total numeric(10,2),
      twice numeric GENERATED ALWAYS AS (total * 2) STORED, \"نام '\" text, CONSTRAINT \"نخ\" UNIQUE (thread_id, phone_number)
      INCLUDE (total) DEFERRABLE, CONSTRAINT positive CHECK (total > -1000));
    CREATE TABLE messages (id bigserial PRIMARY KEY, contact_id bigint REFERENCES contacts ON DELETE CASCADE, body text);
    CREATE INDEX idx_total ON contacts (total) WHERE total > 0;
    CREATE UNIQUE INDEX uq_name ON contacts (\"نام '\");
    CREATE VIEW v_contacts AS SELECT id, phone_number FROM contacts;";
const MYSQL: &str = "CREATE TABLE users (id BIGINT PRIMARY KEY, email VARCHAR(100) UNIQUE) DEFAULT CHARSET utf8mb4;
    CREATE TABLE contacts (id BIGINT AUTO_INCREMENT PRIMARY KEY, phone_number VARCHAR(20) NOT NULL, thread_id VARCHAR(40),
      user_id BIGINT COMMENT 'مالک ''x'' \\\\ y', chatbot_id BIGINT DEFAULT 1, total DECIMAL(10,2), twice DECIMAL(12,2) AS (total * 2) STORED,
      `نام '` VARCHAR(40) CHARACTER SET latin1, seen TIMESTAMP NULL DEFAULT NULL ON UPDATE CURRENT_TIMESTAMP, kind ENUM('a','b''c'),
      UNIQUE KEY contacts_phone_number_key (phone_number), UNIQUE KEY `نخ` (thread_id, phone_number DESC), UNIQUE KEY uq_name (`نام '`),
      KEY idx_total (total), CONSTRAINT positive CHECK (total > -1000)) DEFAULT CHARSET utf8mb4;
    CREATE TABLE messages (id BIGINT AUTO_INCREMENT PRIMARY KEY, contact_id BIGINT, body TEXT, CONSTRAINT fk_contact FOREIGN KEY
      (contact_id) REFERENCES contacts (id) ON DELETE CASCADE) DEFAULT CHARSET utf8mb4;
    CREATE VIEW v_contacts AS SELECT id, phone_number FROM contacts;";
const ROWS: &str = "INSERT INTO users VALUES (1, 'a@x'), (2, NULL);
    INSERT INTO contacts (id, phone_number, thread_id, user_id, total) VALUES (1, '0912', 'th1', 1, 5), (2, '0935', NULL, 2, NULL), \
    (9, '0990', 'th9', 1, 0), (12, '0', 'thx', 1, 0);
    DELETE FROM contacts WHERE id = 12;
    INSERT INTO messages (contact_id, body) VALUES (1, 'سلام'), (9, '😀'), (NULL, NULL);";

fn ground(engine: TestEngine) -> Ground {
    Ground::new(
        engine,
        &format!("{}\n{ROWS}", engine.pick(SQLITE, POSTGRES, MYSQL)),
    )
}

fn owned(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn require(table: &str, demands: Require) -> StepDoc {
    step(StepSpec::Require(Require {
        table: table.into(),
        ..demands
    }))
}

fn whole() -> Require {
    Require {
        not_null: owned(&["user_id", "chatbot_id"]),
        unique: vec![
            owned(&["user_id", "phone_number"]),
            owned(&["user_id", "thread_id"]),
        ],
        foreign_keys: owned(&["user_id -> users(id) on delete cascade"]),
        checks: owned(&["total >= 0", "phone_number <> ')'"]),
        drops: owned(&["contacts_phone_number_key", "نخ", "positive", "uq_name"]),
        ..Require::default()
    }
}

fn undo(inverse: &Inverse) -> &[String] {
    match inverse {
        Inverse::Statements(statements) => statements,
        _ => &[],
    }
}

for_each_engine! {
    async fn constraints_come_and_go_and_the_very_ones_come_back(engine: TestEngine) {
        let ground = ground(engine);
        let counter = "SELECT seq FROM sqlite_sequence WHERE name = 'contacts'";
        let done = ground.round_trip(&require("contacts", whole())).await;
        if engine == TestEngine::Sqlite {
            assert_eq!(ground.database.scalar(counter), "12", "numbers that were given stay given");
        }
        if engine.is_postgres() {
            let order = "SELECT conname, condeferrable, condeferred, conkey FROM pg_constraint WHERE conrelid = 'contacts'::regclass \
                AND contype = 'u' ORDER BY conname";
            let back: Vec<String> = ground.database.run(order).into_iter().map(|row| row.into_iter().flatten().collect::<Vec<_>>().join(" ")).collect();
            assert_eq!(back, ["contacts_phone_number_key t t {2}", "نخ t f {3,2}"]);
            let text = done.up.join("\n");
            assert!(text.contains("VALIDATE CONSTRAINT") && text.contains("USING INDEX"), "{text}");
            for line in done.up.iter().chain(undo(&done.undo)).filter(|line| line.contains("INDEX") && !line.contains("USING INDEX")) {
                assert!(line.contains("CONCURRENTLY"), "{line}");
            }
        }
        // They hold, and a second time there is nothing to do.
        ground.run(&done.up).await;
        for bad in [
            "INSERT INTO contacts (phone_number, user_id) VALUES ('1', NULL)",
            "INSERT INTO contacts (phone_number, user_id) VALUES ('0912', 1)",
            "INSERT INTO contacts (phone_number, user_id) VALUES (')', 1)",
            "INSERT INTO contacts (phone_number, user_id, total) VALUES ('2', 1, -1)",
        ] {
            assert!(ground.database.try_run(bad).is_err(), "{bad}");
        }
        ground.database.run("INSERT INTO contacts (phone_number, user_id) VALUES ('0912', 2); DELETE FROM contacts WHERE user_id = 2 AND id > 2");
        let mut again = whole();
        again.drops.clear();
        let again = ground.lower(&require("contacts", again)).await.unwrap();
        let extra: Vec<_> = again.up.iter().filter(|line| !line.contains("CHECK") && !line.contains("VALIDATE")).collect();
        assert!(extra.is_empty(), "{again:#?}");
    }

    async fn each_demand_by_itself_goes_there_and_back(engine: TestEngine) {
        let ground = ground(engine);
        for demands in [
            Require { not_null: owned(&["chatbot_id"]), ..Require::default() },
            Require { unique: vec![owned(&["total", "id"])], ..Require::default() },
            Require { foreign_keys: owned(&["user_id->users"]), ..Require::default() },
            Require { foreign_keys: owned(&["user_id -> users (id) ON UPDATE CASCADE on delete set null"]), ..Require::default() },
            Require { checks: owned(&["length(\n  phone_number) > 0"]), ..Require::default() },
            Require { drops: owned(&["positive"]), ..Require::default() },
            Require { drops: owned(&["uq_name"]), ..Require::default() },
        ] {
            let what = format!("{demands:?}");
            let done = ground.round_trip(&require("contacts", demands)).await;
            assert!(!done.up.is_empty(), "{what}");
        }
        let unnamed = Require { drops: owned(&["unique (email)"]), ..Require::default() };
        if !engine.is_mysql_family() {
            ground.round_trip(&require("users", unnamed)).await;
        }
    }

    async fn a_plain_table_is_rebuilt_while_others_write(engine: TestEngine) {
        let ground = ground(engine);
        ground.database.run("DELETE FROM messages WHERE contact_id IS NULL");
        let demands = Require { not_null: owned(&["contact_id", "body"]), ..Require::default() };
        let done = ground.round_trip(&require("messages", demands)).await;
        if engine.is_mysql_family() {
            assert!(done.up[0].ends_with("ALGORITHM=INPLACE, LOCK=NONE"), "{done:#?}");
        }
    }

    async fn rows_that_violate_are_found_first_with_their_keys(engine: TestEngine) {
        let ground = ground(engine);
        ground.database.run("INSERT INTO contacts (id, phone_number, user_id, chatbot_id, total) VALUES (20, '1', NULL, 7, -5), \
            (21, '2', 77, 7, -6), (22, '3', 77, 8, 1), (23, '4', 77, 8, 1)");
        let before = ground.state().await;
        let step = require("contacts", Require {
            not_null: owned(&["user_id", "id"]),
            unique: vec![owned(&["user_id", "chatbot_id"])],
            foreign_keys: owned(&["user_id -> users(id)"]),
            checks: owned(&["total >= 0"]),
            ..Require::default()
        });
        let refused = ground.refused(&step).await;
        assert!(refused.iter().all(|(code, _)| *code == "rows-violate"), "{refused:#?}");
        let texts: Vec<&str> = refused.iter().map(|(_, text)| text.as_str()).collect();
        assert!(texts[0].contains("1 row of contacts without `user_id`"), "{texts:#?}");
        assert!(texts[0].ends_with(": id = 20"), "{texts:#?}");
        assert!(texts[1].contains("2 values of (user_id, chatbot_id) in several rows of contacts"), "{texts:#?}");
        assert!(texts[1].contains("user_id = 1, chatbot_id = 1 (2 rows); user_id = 77, chatbot_id = 8 (2 rows)"), "{texts:#?}");
        assert!(texts[2].contains("3 rows of contacts referring to no row of users"), "{texts:#?}");
        assert!(texts[2].contains("id = 21, user_id = 77; id = 22, user_id = 77; id = 23"), "{texts:#?}");
        assert!(texts[3].contains("2 rows of contacts failing the check `total >= 0`: id = 20; id = 21"), "{texts:#?}");
        let after = ground.state().await;
        assert_eq!(before.catalog, after.catalog);
        // No more than twenty are named.
        let many: Vec<String> = (100..130).map(|id| format!("({id}, 'p{id}')")).collect();
        ground.database.run(&format!("INSERT INTO contacts (id, phone_number) VALUES {}", many.join(", ")));
        let refused = ground.refused(&require("contacts", Require { not_null: owned(&["user_id"]), ..Require::default() })).await;
        assert!(refused[0].1.contains("31 rows") && refused[0].1.ends_with("id = 118; and 11 more"), "{refused:?}");
    }

    async fn demands_that_cannot_be_are_refused(engine: TestEngine) {
        let ground = ground(engine);
        let cases = [
            (Require { not_null: owned(&["nothing"]), ..Require::default() }, "unknown-column"),
            (Require { drops: owned(&["nothing"]), ..Require::default() }, "unknown-constraint"),
            (Require { foreign_keys: owned(&["user_id = users(id)"]), ..Require::default() }, "bad-value"),
            (Require { foreign_keys: owned(&["user_id -> users(id) on delete explode"]), ..Require::default() }, "bad-value"),
            (Require { foreign_keys: owned(&["user_id -> nobody(id)"]), ..Require::default() }, "unknown-table"),
            (Require { foreign_keys: owned(&["user_id -> messages(contact_id)"]), ..Require::default() }, "not-a-key"),
            (Require { checks: owned(&["total > 0); DROP TABLE users; --"]), ..Require::default() }, "bad-value"),
        ];
        for (demands, code) in cases {
            let what = format!("{demands:?}");
            assert_eq!(ground.refused(&require("contacts", demands)).await[0].0, code, "{what}");
        }
        ground.database.run(engine.pick(
            "CREATE TABLE mails (email TEXT REFERENCES users (email))",
            "CREATE TABLE mails (email text REFERENCES users (email))",
            "CREATE TABLE mails (email VARCHAR(100), CONSTRAINT fk_m FOREIGN KEY (email) REFERENCES users (email)) DEFAULT CHARSET utf8mb4",
        ));
        let name = engine.pick("unique (email)", "users_email_key", "email");
        let held = require("users", Require { drops: owned(&[name]), ..Require::default() });
        assert_eq!(ground.refused(&held).await[0].0, "constraint-in-use");
    }

    /// A server that makes indexes for foreign keys takes them away in silence when others serve as well.
    async fn an_index_of_the_servers_own_is_there_afterwards(engine: TestEngine) {
        let ground = ground(engine);
        ground.database.run("ALTER TABLE messages ADD COLUMN sent INTEGER");
        let index = step(StepSpec::Index(IndexStep {
            name: "idx_contact".into(),
            table: "messages".into(),
            columns: owned(&["contact_id", "sent"]),
            unique: false,
            only: None,
        }));
        ground.round_trip(&index).await;
        ground.round_trip(&require("messages", Require { unique: vec![owned(&["contact_id", "id"])], ..Require::default() })).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_interrupted_build_is_cleared_away() {
    let engine = TestEngine::Server(dunlin_testkit::servers::Kind::Postgres);
    let ground = ground(engine);
    // It fails half way, and its index stays.
    let broken = "CREATE UNIQUE INDEX CONCURRENTLY idx_user ON contacts (user_id)";
    assert!(ground.database.try_run(broken).is_err());
    let index = |unique| {
        step(StepSpec::Index(IndexStep {
            name: "idx_user".into(),
            table: "contacts".into(),
            columns: owned(&["user_id"]),
            unique,
            only: None,
        }))
    };
    let done = ground.lower(&index(false)).await.unwrap();
    assert_eq!(done.up.len(), 2, "{done:#?}");
    assert!(
        done.up[0].starts_with("DROP INDEX CONCURRENTLY"),
        "{done:#?}"
    );
    ground.run(&done.up).await;
    ground.run(undo(&done.undo)).await;
    ground
        .round_trip(&sql("CREATE INDEX CONCURRENTLY ON contacts (user_id)"))
        .await;
}
