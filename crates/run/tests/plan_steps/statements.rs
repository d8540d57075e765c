//! `sql` with a derived undo, `add_columns`, `index`.

use crate::ground::{Ground, sql, step, text_of};
use dunlin_core::plan::steps::Inverse;
use dunlin_core::source::grammar::steps::{AddColumns, IndexStep};
use dunlin_core::source::plan::{StepSpec, UndoSpec};
use dunlin_testkit::{TestEngine, for_each_engine};

const SQLITE: &str = "CREATE TABLE users (id INTEGER PRIMARY KEY, email TEXT NOT NULL UNIQUE, name TEXT DEFAULT 'no one''s');
    CREATE TABLE contacts (id INTEGER PRIMARY KEY, phone TEXT, owner INTEGER REFERENCES users(id), \"نام 😀\" TEXT);
    CREATE TABLE pairs (a INTEGER, b TEXT, c TEXT, PRIMARY KEY (a, b));
    CREATE INDEX idx_phone ON contacts (phone) WHERE phone <> '';
    CREATE VIEW v_users AS SELECT id, email FROM users;
    CREATE TRIGGER touch AFTER UPDATE ON contacts BEGIN SELECT 1; END;
    INSERT INTO users VALUES (1, 'a@x', NULL), (2, 'b@x', 'B');
    INSERT INTO contacts VALUES (1, '0912', 1, 'سلام'), (2, NULL, 2, '😀''');";
const POSTGRES: &str = "CREATE TABLE users (id bigint PRIMARY KEY, email text NOT NULL UNIQUE, name text DEFAULT 'no one''s');
    CREATE TABLE contacts (id bigserial PRIMARY KEY, phone varchar(20), owner bigint CONSTRAINT fk_owner REFERENCES users(id) \
    DEFERRABLE INITIALLY DEFERRED, \"نام 😀\" text, CONSTRAINT ck_phone CHECK (length(phone) > 1));
    CREATE TABLE pairs (a int, b text, c text, PRIMARY KEY (a, b));
    CREATE INDEX idx_phone ON contacts (phone) WHERE phone <> '';
    CREATE VIEW v_users AS SELECT id, email FROM users;
    CREATE FUNCTION touched() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
    CREATE TRIGGER touch BEFORE UPDATE ON contacts FOR EACH ROW EXECUTE FUNCTION touched();
    INSERT INTO users VALUES (1, 'a@x', NULL), (2, 'b@x', 'B');
    INSERT INTO contacts (phone, owner, \"نام 😀\") VALUES ('0912', 1, 'سلام'), (NULL, 2, '😀''');";
const MYSQL: &str = "CREATE TABLE users (id BIGINT PRIMARY KEY, email VARCHAR(100) NOT NULL, name VARCHAR(40) DEFAULT 'no one''s' \
    COMMENT 'نام', UNIQUE KEY uq_email (email)) DEFAULT CHARSET utf8mb4;
    CREATE TABLE contacts (id BIGINT AUTO_INCREMENT PRIMARY KEY, phone VARCHAR(20), owner BIGINT, `نام 😀` TEXT, KEY \
    idx_phone (phone), KEY idx_owner (owner), CONSTRAINT fk_owner FOREIGN KEY (owner) REFERENCES users(id), CONSTRAINT \
    ck_phone CHECK (CHAR_LENGTH(phone) > 1)) DEFAULT CHARSET utf8mb4;
    CREATE TABLE pairs (a INT, b VARCHAR(20), c TEXT, PRIMARY KEY (a, b)) DEFAULT CHARSET utf8mb4;
    CREATE VIEW v_users AS SELECT id, email FROM users;
    CREATE TRIGGER touch BEFORE UPDATE ON contacts FOR EACH ROW SET NEW.phone = NEW.phone;
    INSERT INTO users VALUES (1, 'a@x', NULL), (2, 'b@x', 'B');
    INSERT INTO contacts (phone, owner, `نام 😀`) VALUES ('0912', 1, 'سلام'), (NULL, 2, '😀''');";

fn ground(engine: TestEngine) -> Ground {
    // An old MySQL has no names like the emoji's beyond the basic plane.
    let mysql = MYSQL.replace("نام 😀", "نام");
    Ground::new(engine, engine.pick(SQLITE, POSTGRES, &mysql))
}

fn undo(inverse: &Inverse) -> &[String] {
    match inverse {
        Inverse::Statements(statements) => statements,
        _ => &[],
    }
}

for_each_engine! {
    async fn sql_goes_back_by_its_derived_inverse(engine: TestEngine) {
        let ground = ground(engine);
        let common = "CREATE TABLE bots (id INTEGER PRIMARY KEY, user_id BIGINT, title VARCHAR(50));
            INSERT INTO bots SELECT id, id, email FROM users;
            CREATE INDEX idx_bots ON bots (user_id);
            UPDATE bots SET title = 'x';
            CREATE VIEW v_bots AS SELECT id FROM bots;
            CREATE TABLE IF NOT EXISTS users (id INTEGER);
            ALTER TABLE contacts ADD COLUMN more VARCHAR(10);
            CREATE INDEX idx_more ON contacts (phone, owner);
            INSERT INTO users (email, id, name) VALUES ('c;@x', 3, 'c'), ('d@x', -4, upper('d'));
            INSERT INTO pairs VALUES (1, 'یک', 'x'), (2, 'it''s', NULL);";
        let done = ground.round_trip(&sql(common)).await;
        let undo = undo(&done.undo);
        assert_eq!(undo.len(), 6, "{undo:#?}");
        assert!(undo[1].contains("3, -4"), "{undo:#?}");
        assert!(undo.last().unwrap().starts_with("DROP TABLE"), "{undo:#?}");
    }

    async fn what_was_dropped_or_replaced_comes_back_from_the_catalog(engine: TestEngine) {
        let ground = ground(engine);
        let texts: &[&str] = if engine == TestEngine::Sqlite {
            &[
                "DROP INDEX idx_phone; DROP VIEW v_users; DROP TRIGGER touch; ALTER TABLE users RENAME COLUMN name TO title;
                 ALTER TABLE pairs RENAME TO couples",
                "DROP VIEW IF EXISTS v_users; CREATE VIEW v_users AS SELECT id FROM users; DROP VIEW IF EXISTS v_none",
            ]
        } else if engine.is_postgres() {
            &[
                "DROP INDEX CONCURRENTLY idx_phone; DROP VIEW v_users; DROP TRIGGER touch ON contacts;
                 ALTER TABLE users RENAME COLUMN name TO title; ALTER TABLE pairs RENAME TO couples",
                "CREATE OR REPLACE VIEW v_users AS SELECT id, email, name FROM users",
                "CREATE OR REPLACE FUNCTION touched() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN OLD; END'",
                "ALTER TABLE contacts DROP CONSTRAINT fk_owner, DROP CONSTRAINT ck_phone;
                 ALTER TABLE users DROP CONSTRAINT users_email_key",
                "ALTER TABLE users ALTER COLUMN name SET DEFAULT 'x', ALTER COLUMN name SET NOT NULL, ALTER email DROP NOT NULL;
                 ALTER TABLE users ALTER COLUMN name DROP DEFAULT",
                "ALTER TABLE contacts ADD CONSTRAINT c2 CHECK (owner > 0) NOT VALID; ALTER TABLE contacts VALIDATE CONSTRAINT c2;
                 SELECT setval('contacts_id_seq', 100)",
            ]
        } else {
            &[
                "DROP INDEX idx_phone ON contacts; DROP VIEW v_users; DROP TRIGGER touch; RENAME TABLE pairs TO couples",
                "CREATE OR REPLACE VIEW v_users AS SELECT id FROM users",
                "ALTER TABLE contacts DROP FOREIGN KEY fk_owner; ALTER TABLE contacts DROP INDEX idx_owner;
                 ALTER TABLE contacts DROP CONSTRAINT ck_phone; ALTER TABLE users DROP INDEX uq_email",
                "ALTER TABLE users ALTER COLUMN name SET DEFAULT 'x'; ALTER TABLE users ALTER name DROP DEFAULT;
                 ALTER TABLE contacts MODIFY phone VARCHAR(20) DEFAULT 'none'",
            ]
        };
        if engine.is_postgres() {
            // NOT NULL is asked of a column that holds one.
            ground.database.run("UPDATE users SET name = 'A' WHERE name IS NULL");
        }
        for text in texts {
            ground.round_trip(&sql(text)).await;
        }
    }

    async fn what_has_no_inverse_is_named_with_its_line(engine: TestEngine) {
        let ground = ground(engine);
        let text = "CREATE TABLE fine (id INTEGER);\n\nUPDATE users\nSET name = 'x';\nDROP TABLE pairs;\nINSERT INTO pairs (a, b) \
            VALUES (abs(1), 'x');\nINSERT INTO users SELECT 1, 'x', 'y';\nDELETE FROM contacts WHERE id = 1;\nALTER TABLE \
            contacts DROP COLUMN phone";
        let Err(findings) = ground.lower(&sql(text)).await else { panic!("derived") };
        let places: Vec<_> = findings.iter().map(|finding| (finding.code, finding.place.line)).collect();
        let lines = [12, 14, 15, 16, 17, 18];
        assert_eq!(places, lines.map(|line| ("no-inverse", Some(line))), "{findings:#?}");
        assert!(findings[0].message.contains("UPDATE users SET"), "{findings:#?}");
        assert!(findings[0].help.as_ref().unwrap().contains("undo ="), "{findings:#?}");
        let mut said = sql(text);
        said.undo = UndoSpec::Impossible("it is so".into());
        assert_eq!(ground.lower(&said).await.unwrap().undo, Inverse::Impossible("it is so".into()));
        said.undo = UndoSpec::Sql(text_of("DROP TABLE a; DROP TABLE b"));
        assert_eq!(undo(&ground.lower(&said).await.unwrap().undo), ["DROP TABLE a", "DROP TABLE b"]);
        assert_eq!(ground.refused(&sql("BEGIN; SELECT 1")).await[0].0, "transaction-control");
        assert_eq!(ground.refused(&sql("SELECT 'x")).await[0].0, "unclosed-literal");
    }

    async fn columns_are_added_and_taken_away(engine: TestEngine) {
        let ground = ground(engine);
        let add = |columns: &[&str]| {
            step(StepSpec::AddColumns(AddColumns {
                table: "contacts".into(),
                columns: columns.iter().map(|text| (*text).to_owned()).collect(),
            }))
        };
        let quoted = engine.pick("\"شماره ' x\" INTEGER", "\"شماره ' x\" INTEGER", "`شماره ' x` INTEGER");
        let done = ground
            .round_trip(&add(&["user_id BIGINT", quoted, "tags VARCHAR(20) DEFAULT 'a, (b' NOT NULL -- why", "chatbot_id BIGINT"]))
            .await;
        assert_eq!(done.up.len(), if engine == TestEngine::Sqlite { 4 } else { 1 });
        if engine.is_mysql_family() {
            ground.round_trip(&add(&["made TIMESTAMP DEFAULT CURRENT_TIMESTAMP", "v INT AS (owner + 1) VIRTUAL", "first_one INT FIRST"])).await;
            let checked = ground.round_trip(&add(&["c INT CHECK (c > 0)", "s INT AS (owner + 1) STORED"])).await;
            assert!(!checked.up[0].contains("INSTANT"), "{checked:#?}");
        }
        // What is there of the same type is left out of both ways.
        ground.database.run("ALTER TABLE contacts ADD COLUMN user_id BIGINT");
        let done = ground.round_trip(&add(&["user_id BIGINT", "chatbot_id BIGINT"])).await;
        assert_eq!(done.findings[0].code, "already-there");
        assert!(!format!("{:?}{:?}", done.up, done.undo).contains("user_id"), "{done:#?}");
        assert_eq!(ground.lower(&add(&["user_id BIGINT"])).await.unwrap().up, [""; 0]);
        for (columns, code) in [
            (&["user_id VARCHAR(3)"][..], "already-there"),
            (&["x INT; DROP TABLE users"], "bad-column"),
            (&["x INT, ADD y INT"], "bad-column"),
            (&["x INT)"], "bad-column"),
            (&["x INT", "x INT"], "bad-column"),
            (&["'x' INT"], "bad-column"),
        ] {
            assert_eq!(ground.refused(&add(columns)).await[0].0, code, "{columns:?}");
        }
        let mut other = add(&["x INT"]);
        other.kind = StepSpec::AddColumns(AddColumns { table: "contcts".into(), columns: vec!["x INT".into()] });
        let refused = ground.lower(&other).await.unwrap_err();
        assert_eq!(refused[0].code, "unknown-table");
        assert_eq!(refused[0].help.as_deref(), Some("did you mean `contacts`?"));
    }

    async fn an_index_is_built_and_dropped(engine: TestEngine) {
        let ground = ground(engine);
        let index = |columns: &[&str], unique: bool, only: Option<&str>| {
            step(StepSpec::Index(IndexStep {
                name: "ix 'نو".into(),
                table: "contacts".into(),
                columns: columns.iter().map(|text| (*text).to_owned()).collect(),
                unique,
                only: only.map(str::to_owned),
            }))
        };
        let done = ground.round_trip(&index(&["owner", "phone DESC"], false, None)).await;
        let how = engine.pick("CREATE INDEX", "CREATE INDEX CONCURRENTLY", "ALGORITHM=INPLACE, LOCK=NONE");
        assert!(done.up[0].contains(how), "{done:#?}");
        ground.round_trip(&index(&["owner"], true, None)).await;
        let partial = index(&["phone"], true, Some("owner = 1"));
        if engine.is_mysql_family() {
            assert_eq!(ground.refused(&partial).await[0].0, "not-on-this-engine");
            ground.round_trip(&index(&["phone(3)"], false, None)).await;
        } else {
            let done = ground.round_trip(&partial).await;
            ground.run(&done.up).await;
            assert_eq!(ground.lower(&partial).await.unwrap().up, [""; 0], "it is there already");
            assert_eq!(ground.refused(&index(&["owner"], false, None)).await[0].0, "already-there");
            ground.run(undo(&done.undo)).await;
        }
        // Rows that a unique index would refuse are found before.
        ground.database.run("INSERT INTO contacts (phone, owner) VALUES ('0912', 2), ('0935', 1), ('0935', 1), ('0935', 2)");
        let refused = ground.refused(&index(&["phone"], true, None)).await;
        assert_eq!(refused[0].0, "rows-violate");
        assert!(refused[0].1.contains("2 values of (phone) in several rows of contacts, and ix 'نو is to be unique"), "{refused:?}");
        assert!(refused[0].1.contains("phone = 0912 (2 rows); phone = 0935 (3 rows)"), "{refused:?}");
        assert_eq!(ground.refused(&index(&["fone"], false, None)).await[0].0, "unknown-column");
        assert_eq!(ground.refused(&index(&[], false, None)).await[0].0, "missing-key");
    }
}
