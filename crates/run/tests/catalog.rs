//! Catalogs against real databases: what is read, rendered and made again is the same; what differs is told, and its
//! fix mends it.
#![allow(clippy::unwrap_used)]

use dunlin::observe;
use dunlin_core::schema::{Catalog, Difference, DifferenceKind, Fix, Scope, diff, render};
use dunlin_core::sql::split::split;
use dunlin_core::sql::{LexMode, PieceKind};
use dunlin_engines::{Engine, Purpose, Session};

use dunlin_core::redact::SecretUrl;
use dunlin_engines::Settings;
use dunlin_testkit::{TestDatabase, TestEngine, for_each_engine};

/// A database of its own, with its address.
struct Fresh {
    kind: TestEngine,
    engine: Box<dyn Engine>,
    _database: TestDatabase,
}

async fn fresh(kind: TestEngine) -> Fresh {
    let database = kind.database();
    let settings = Settings {
        create: true,
        ..Settings::default()
    };
    let engine = dunlin_engines::open(&SecretUrl::new(database.url()), settings).unwrap();
    Fresh {
        kind,
        engine,
        _database: database,
    }
}

/// The statements of a script.
fn statements(session: &dyn Session, script: &str) -> Vec<String> {
    let (pieces, faults) = split(script, &session.dialect().lex_rules(&LexMode::default()));
    assert!(faults.is_empty(), "{faults:?}");
    pieces
        .into_iter()
        .filter_map(|piece| match piece.kind {
            PieceKind::Statement(range) => Some(script[range].to_owned()),
            _ => None,
        })
        .collect()
}

async fn run(session: &mut dyn Session, statements: &[String]) {
    for sql in statements {
        if let Err(error) = session.execute(sql).await {
            panic!("{error} in\n{sql}");
        }
    }
}

async fn look(engine: &dyn Engine) -> Catalog {
    let mut session = engine.open(Purpose::Read).await.unwrap();
    let catalog = observe::catalog(&mut *session, &Scope::default())
        .await
        .unwrap();
    session.close().await;
    catalog
}

async fn make_zoo(database: &Fresh) {
    let mut session = database.engine.open(Purpose::Script).await.unwrap();
    let zoo = statements(
        &*session,
        database.kind.pick(
            include_str!("zoo/sqlite.sql"),
            include_str!("zoo/postgres.sql"),
            include_str!("zoo/mysql.sql"),
        ),
    );
    run(&mut *session, &zoo).await;
    session.close().await;
}

fn assert_quiet(expected: &Catalog, actual: &Catalog, engine: &dyn Engine, what: &str) {
    let found = diff(expected, actual, engine.dialect());
    assert!(
        found.is_empty(),
        "{what}: {}",
        serde_json::to_string_pretty(&found).unwrap()
    );
}

async fn made_again(kind: TestEngine) {
    let first = fresh(kind).await;
    make_zoo(&first).await;
    let catalog = look(&*first.engine).await;
    assert_eq!(Catalog::from_json(&catalog.to_json()).unwrap(), catalog);

    // The same statements in another database make no difference.
    let second = fresh(kind).await;
    make_zoo(&second).await;
    assert_quiet(
        &catalog,
        &look(&*second.engine).await,
        &*first.engine,
        "made twice",
    );

    // Neither does what is rendered from the catalog alone, nor from the server's own texts.
    for exact in [false, true] {
        let mut source = catalog.clone();
        if exact {
            let mut session = first.engine.open(Purpose::Read).await.unwrap();
            observe::exact(&mut *session, &mut source).await.unwrap();
        }
        let dump = render::dump(&source, first.engine.dialect());
        assert!(dump.lacks.is_empty(), "{:?}", dump.lacks);
        let third = fresh(kind).await;
        let mut session = third.engine.open(Purpose::Script).await.unwrap();
        let script = render::script(&dump, first.engine.dialect());
        let again = statements(&*session, &script);
        run(&mut *session, &again).await;
        session.close().await;
        assert_quiet(
            &catalog,
            &look(&*third.engine).await,
            &*first.engine,
            "rendered and made again",
        );
    }
    let markdown = render::markdown(&catalog, &[], first.engine.dialect());
    assert!(markdown.contains("order items"), "{markdown}");
}

/// One change after the other: each is told, and its fix takes it back.
async fn changes(kind: TestEngine, cases: &[(&str, DifferenceKind, &str)]) {
    let database = fresh(kind).await;
    make_zoo(&database).await;
    let before = look(&*database.engine).await;
    for (change, difference, object) in cases {
        let mut session = database.engine.open(Purpose::Script).await.unwrap();
        let sql = statements(&*session, change);
        run(&mut *session, &sql).await;
        let found = diff(
            &before,
            &look(&*database.engine).await,
            database.engine.dialect(),
        );
        assert!(
            found
                .iter()
                .any(|one| one.kind == *difference && one.object.to_string() == *object),
            "{change}: {}",
            serde_json::to_string_pretty(&found).unwrap()
        );
        mend(&mut *session, &found).await;
        session.close().await;
        assert_quiet(
            &before,
            &look(&*database.engine).await,
            &*database.engine,
            change,
        );
    }
}

async fn mend(session: &mut dyn Session, found: &[Difference]) {
    for one in found {
        match &one.fix {
            Fix::Sql(statements) => run(session, statements).await,
            Fix::Advice(sentence) => assert!(sentence.contains("mended by the rebuild"), "{one:?}"),
        }
    }
}

use DifferenceKind::{Different, Extra, Missing};

const SQLITE: &[(&str, DifferenceKind, &str)] = &[
    (
        "DROP INDEX idx_users_name",
        Missing,
        "index users.idx_users_name",
    ),
    (
        "CREATE INDEX more ON users (age)",
        Extra,
        "index users.more",
    ),
    (
        "DROP INDEX uq_users_name_age; CREATE INDEX uq_users_name_age ON users (name, age)",
        Different,
        "index users.uq_users_name_age",
    ),
    ("DROP VIEW a_first", Missing, "view a_first"),
    ("CREATE VIEW extra AS SELECT 1 AS x", Extra, "view extra"),
    (
        "DROP VIEW a_first; CREATE VIEW a_first AS SELECT id, name FROM adults",
        Different,
        "view a_first",
    ),
    (
        "DROP VIEW adults; CREATE VIEW adults AS SELECT id, name FROM users",
        Different,
        "view adults",
    ),
    (
        "DROP TRIGGER users_touch",
        Missing,
        "trigger users.users_touch",
    ),
    (
        "CREATE TRIGGER more AFTER DELETE ON users BEGIN SELECT 1; END",
        Extra,
        "trigger users.more",
    ),
    (
        "ALTER TABLE users ADD COLUMN more TEXT",
        Extra,
        "column users.more",
    ),
    (
        "ALTER TABLE \"order items\" DROP COLUMN twice",
        Missing,
        "column order items.twice",
    ),
    ("CREATE TABLE extra (id INTEGER)", Extra, "table extra"),
    ("DROP TABLE notes", Missing, "table notes"),
    (
        "PRAGMA foreign_keys = OFF; DROP TABLE \"order items\"",
        Missing,
        "table order items",
    ),
    (
        "PRAGMA foreign_keys = OFF; DROP TABLE \"order items\"; CREATE TABLE \"order items\" (\"user id\" TEXT, line INTEGER, twice INTEGER AS (line * 2) STORED, parent INTEGER)",
        Different,
        "column order items.user id",
    ),
];

const POSTGRES: &[(&str, DifferenceKind, &str)] = &[
    ("DROP INDEX users_lower", Missing, "index users.users_lower"),
    (
        "CREATE INDEX more ON users (age)",
        Extra,
        "index users.more",
    ),
    (
        "ALTER INDEX users_uid RENAME TO other_uid",
        Different,
        "index users.users_uid",
    ),
    ("DROP VIEW \"A second\"", Missing, "view A second"),
    (
        "CREATE OR REPLACE VIEW \"A second\" AS SELECT id FROM a_view WHERE id > 1",
        Different,
        "view A second",
    ),
    (
        "DROP MATERIALIZED VIEW app.sums",
        Missing,
        "materializedview app.sums",
    ),
    (
        "ALTER TABLE users ADD COLUMN more text NOT NULL DEFAULT 'x'",
        Extra,
        "column users.more",
    ),
    (
        "ALTER TABLE app.\"order items\" DROP COLUMN line",
        Missing,
        "column app.order items.line",
    ),
    (
        "ALTER TABLE users ALTER COLUMN email TYPE text",
        Different,
        "column users.email",
    ),
    (
        "ALTER TABLE users ALTER COLUMN age SET NOT NULL",
        Different,
        "column users.age",
    ),
    (
        "ALTER TABLE users ALTER COLUMN uid DROP DEFAULT",
        Different,
        "column users.uid",
    ),
    (
        "ALTER TABLE app.\"order items\" ALTER COLUMN id SET GENERATED ALWAYS",
        Different,
        "column app.order items.id",
    ),
    (
        "COMMENT ON COLUMN users.email IS 'else'",
        Different,
        "column users.email",
    ),
    ("COMMENT ON TABLE users IS NULL", Different, "table users"),
    (
        "ALTER TABLE scratchpad SET LOGGED",
        Different,
        "table scratchpad",
    ),
    (
        "ALTER TABLE app.\"order items\" SET (fillfactor = 90)",
        Different,
        "table app.order items",
    ),
    (
        "ALTER TABLE users DROP CONSTRAINT name_age",
        Missing,
        "constraint users.name_age",
    ),
    (
        "ALTER TABLE users DROP CONSTRAINT users_age_check",
        Missing,
        "constraint users.users_age_check",
    ),
    (
        "ALTER TABLE users ADD CONSTRAINT more CHECK (age < 200)",
        Extra,
        "constraint users.more",
    ),
    (
        "ALTER TABLE app.\"order items\" DROP CONSTRAINT \"order items_user id_fkey\"",
        Missing,
        "constraint app.order items.order items_user id_fkey",
    ),
    (
        "ALTER TABLE users RENAME CONSTRAINT name_age TO other",
        Different,
        "constraint users.name_age",
    ),
    (
        "DROP TRIGGER users_touch ON users",
        Missing,
        "trigger users.users_touch",
    ),
    (
        "ALTER TABLE users ENABLE TRIGGER users_off",
        Different,
        "trigger users.users_off",
    ),
    ("DROP POLICY adults ON users", Missing, "other users.adults"),
    (
        "ALTER TABLE users DISABLE ROW LEVEL SECURITY",
        Different,
        "table users",
    ),
    (
        "CREATE OR REPLACE FUNCTION slug(t text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT t'",
        Different,
        "function slug",
    ),
    ("DROP PROCEDURE app.tidy", Missing, "procedure app.tidy"),
    (
        "CREATE FUNCTION more(a integer) RETURNS integer LANGUAGE sql AS 'SELECT 1'",
        Extra,
        "function more",
    ),
    (
        "ALTER SEQUENCE app.tickets INCREMENT 7",
        Different,
        "sequence app.tickets",
    ),
    ("CREATE SEQUENCE more", Extra, "sequence more"),
    ("CREATE TYPE more AS ENUM ('x')", Extra, "type more"),
    (
        "DROP TABLE app.\"order items\"",
        Missing,
        "table app.order items",
    ),
    (
        "CREATE TABLE extra (id serial PRIMARY KEY, u integer REFERENCES users)",
        Extra,
        "table extra",
    ),
    ("DROP TABLE events", Missing, "table events"),
    (
        "CREATE FUNCTION t_more() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'; CREATE TABLE extra (id \
         integer); CREATE TRIGGER t_more BEFORE INSERT ON extra FOR EACH ROW EXECUTE FUNCTION t_more()",
        Extra,
        "function t_more",
    ),
    (
        "DROP VIEW \"A second\", a_view; DROP MATERIALIZED VIEW app.sums; DROP TABLE app.\"order items\", users; DROP \
         FUNCTION slug",
        Missing,
        "function slug",
    ),
];

const MYSQL: &[(&str, DifferenceKind, &str)] = &[
    (
        "ALTER TABLE users DROP INDEX idx_name_age",
        Missing,
        "index users.idx_name_age",
    ),
    (
        "CREATE INDEX more ON users (age)",
        Extra,
        "index users.more",
    ),
    (
        "ALTER TABLE users DROP INDEX uq_email, ADD KEY uq_email (email)",
        Different,
        "index users.uq_email",
    ),
    (
        "ALTER TABLE users RENAME INDEX idx_name_age TO other",
        Different,
        "index users.idx_name_age",
    ),
    ("DROP VIEW a_first", Missing, "view a_first"),
    ("CREATE VIEW extra AS SELECT 1 AS x", Extra, "view extra"),
    (
        "CREATE OR REPLACE VIEW adults AS SELECT u.id, u.name, u.email AS mail FROM users u",
        Different,
        "view adults",
    ),
    (
        "ALTER TABLE users ADD COLUMN more varchar(10) NOT NULL",
        Extra,
        "column users.more",
    ),
    (
        "ALTER TABLE users DROP COLUMN seen_at",
        Missing,
        "column users.seen_at",
    ),
    (
        "ALTER TABLE users MODIFY COLUMN email varchar(100) NOT NULL",
        Different,
        "column users.email",
    ),
    (
        "ALTER TABLE users ALTER COLUMN on_off SET DEFAULT 0",
        Different,
        "column users.on_off",
    ),
    (
        "ALTER TABLE users MODIFY COLUMN body longtext NOT NULL",
        Different,
        "column users.body",
    ),
    (
        "ALTER TABLE users MODIFY COLUMN doc longtext",
        Different,
        "column users.doc",
    ),
    ("ALTER TABLE users COMMENT 'else'", Different, "table users"),
    (
        "ALTER TABLE log_lines ENGINE=InnoDB",
        Different,
        "table log_lines",
    ),
    (
        "ALTER TABLE users DROP CONSTRAINT price_ok",
        Missing,
        "constraint users.price_ok",
    ),
    (
        "ALTER TABLE users ADD CONSTRAINT more CHECK (age < 200)",
        Extra,
        "constraint users.more",
    ),
    (
        "ALTER TABLE `order items` DROP FOREIGN KEY items_user",
        Missing,
        "constraint order items.items_user",
    ),
    (
        "ALTER TABLE `order items` DROP FOREIGN KEY items_user, ADD CONSTRAINT items_user2 FOREIGN KEY (`user id`) REFERENCES users (id)",
        Extra,
        "constraint order items.items_user2",
    ),
    ("DROP TRIGGER users_bi", Missing, "trigger users.users_bi"),
    (
        "CREATE TRIGGER more AFTER DELETE ON users FOR EACH ROW SET @x = 1",
        Extra,
        "trigger users.more",
    ),
    (
        "DROP FUNCTION twice_of; CREATE FUNCTION twice_of(n int) RETURNS int DETERMINISTIC RETURN n * 3",
        Different,
        "function twice_of",
    ),
    ("DROP PROCEDURE tidy", Missing, "procedure tidy"),
    ("DROP EVENT nightly", Missing, "event nightly"),
    (
        "ALTER EVENT nightly ON SCHEDULE EVERY 2 DAY",
        Different,
        "event nightly",
    ),
    (
        "CREATE TABLE extra (id int, u bigint unsigned, FOREIGN KEY (u) REFERENCES users (id))",
        Extra,
        "table extra",
    ),
    ("DROP TABLE `order items`", Missing, "table order items"),
    (
        "ALTER TABLE log_lines ADD PRIMARY KEY (at)",
        Extra,
        "constraint log_lines.primary key",
    ),
];

for_each_engine! {
    async fn catalogs_survive_being_rendered(engine: TestEngine) {
        made_again(engine).await;
    }

    async fn changes_are_told_and_mended(engine: TestEngine) {
        if engine == TestEngine::Sqlite {
            changes(engine, SQLITE).await;
        } else if engine.is_postgres() {
            changes(engine, POSTGRES).await;
        } else {
            changes(engine, MYSQL).await;
        }
    }
}
