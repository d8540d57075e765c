//! Drift on every engine: quiet on what the migrations made, told where somebody changed it, and the database only read.
#![allow(clippy::unwrap_used)]

use dunlin::{drift, observe};
use dunlin_core::dialect::JournalNames;
use dunlin_core::failure::Failure;
use dunlin_core::redact::SecretUrl;
use dunlin_core::schema::{Catalog, DifferenceKind, Scope, rename, same_shape, shape};
use dunlin_core::sql::LexMode;
use dunlin_core::value::Value;
use dunlin_engines::{Engine, Purpose, Session, Settings};
use dunlin_testkit::{TestDatabase, TestEngine, for_each_engine};

fn open(database: &TestDatabase) -> Box<dyn Engine> {
    let settings = Settings {
        create: true,
        ..Settings::default()
    };
    dunlin_engines::open(&SecretUrl::new(database.url()), settings).unwrap()
}

async fn run(engine: &dyn Engine, statements: &[&str]) {
    let mut session = engine.open(Purpose::Script).await.unwrap();
    for sql in statements {
        if let Err(error) = session.execute(sql).await {
            panic!("{error} in\n{sql}");
        }
    }
    session.close().await;
}

/// A scope as a plugin has it: its own objects by prefix, the host's users borrowed.
fn scope(engine: &dyn Engine) -> Scope {
    let names = JournalNames::default();
    let journal = engine.dialect().journal(&names).tables;
    Scope::new(
        vec!["ai_*".into()],
        vec!["host_users".into()],
        &names,
        journal,
    )
}

async fn make_host(kind: TestEngine, engine: &dyn Engine) {
    let journal = engine.dialect().journal(&JournalNames::default()).create;
    run(
        engine,
        &journal.iter().map(String::as_str).collect::<Vec<_>>(),
    )
    .await;
    let users = kind.pick(
        "CREATE TABLE host_users (id INTEGER PRIMARY KEY, site INTEGER REFERENCES host_sites (id), rank TEXT)",
        "CREATE TABLE host_users (id serial PRIMARY KEY, site integer REFERENCES host_sites (id), rank host_rank)",
        "CREATE TABLE host_users (id bigint unsigned AUTO_INCREMENT PRIMARY KEY, site int REFERENCES host_sites (id), \
         `rank` varchar(20)) ENGINE=InnoDB",
    );
    let rank = kind.pick(
        "SELECT 1",
        "CREATE TYPE host_rank AS ENUM ('a', 'b')",
        "SELECT 1",
    );
    run(
        engine,
        &[rank, "CREATE TABLE host_sites (id int PRIMARY KEY)", users],
    )
    .await;
    run(
        engine,
        &[
            "INSERT INTO host_sites VALUES (1)",
            "INSERT INTO host_users (site) VALUES (1)",
        ],
    )
    .await;
}

fn migrations(kind: TestEngine) -> Vec<&'static str> {
    vec![
        kind.pick(
            "CREATE TABLE ai_chats (id INTEGER PRIMARY KEY, user_id INTEGER REFERENCES host_users (id), note TEXT \
             DEFAULT 'none', rating INTEGER CHECK (rating BETWEEN 1 AND 5))",
            "CREATE TABLE ai_chats (id serial PRIMARY KEY, user_id integer REFERENCES host_users (id), note text \
             DEFAULT 'none', rating integer CHECK (rating BETWEEN 1 AND 5))",
            "CREATE TABLE ai_chats (id bigint unsigned AUTO_INCREMENT PRIMARY KEY, user_id bigint unsigned, note \
             varchar(50) DEFAULT 'none', rating int CHECK (rating BETWEEN 1 AND 5), FOREIGN KEY (user_id) REFERENCES \
             host_users (id)) ENGINE=InnoDB",
        ),
        "CREATE INDEX ai_chats_note ON ai_chats (note)",
        "CREATE VIEW ai_summary AS SELECT c.id, COALESCE(c.note, 'Guest') AS note FROM ai_chats c JOIN host_users u ON \
         u.id = c.user_id",
        "INSERT INTO ai_chats (note) VALUES ('one')",
    ]
}

async fn look(session: &mut dyn Session, engine: &dyn Engine) -> Catalog {
    observe::catalog(session, &scope(engine)).await.unwrap()
}

async fn rebuilt(kind: TestEngine, engine: &dyn Engine, base: Option<&Catalog>) -> drift::Drift {
    let name = format!("dunlin_rebuild_{}", std::process::id());
    let scratch = engine.sibling(&name).unwrap();
    let mut session = engine.open(Purpose::Read).await.unwrap();
    let migrate = async |scratch: &dyn Engine| -> Result<(), Failure> {
        run(scratch, &migrations(kind)).await;
        Ok(())
    };
    let found = drift::against_rebuilt(&mut *session, &scope(engine), base, &*scratch, migrate)
        .await
        .unwrap();
    session.close().await;
    found
}

for_each_engine! {
    async fn drift_is_quiet_until_somebody_changes_something(kind: TestEngine) {
        let database = kind.database();
        let engine = open(&database);
        make_host(kind, &*engine).await;
        run(&*engine, &["CREATE TABLE ai_before (id int PRIMARY KEY, what char(3))"]).await;
        let mut session = engine.open(Purpose::Read).await.unwrap();
        let base = look(&mut *session, &*engine).await;
        assert_eq!(base.tables.len(), 1, "the journal's and the host's tables are not ours");
        run(&*engine, &migrations(kind)).await;
        let recorded = look(&mut *session, &*engine).await.to_json();

        let quiet = drift::against_recorded(&mut *session, &scope(&*engine), &recorded).await.unwrap();
        assert_eq!((quiet.differences, quiet.notes), (vec![], vec![]));
        let quiet = rebuilt(kind, &*engine, Some(&base)).await;
        assert_eq!((quiet.differences, quiet.notes), (vec![], vec![]));

        // What others do to their own objects is not our drift; what anyone does to ours is.
        let change = "ALTER TABLE host_users ADD COLUMN more int";
        run(&*engine, &[change, "DROP INDEX ai_chats_note", "CREATE TABLE ai_stray (id int)"][..1]).await;
        let drop_index = if kind.is_mysql_family() { "DROP INDEX ai_chats_note ON ai_chats" } else { "DROP INDEX ai_chats_note" };
        run(&*engine, &[drop_index, "CREATE TABLE ai_stray (id int)"]).await;
        let by_record = drift::against_recorded(&mut *session, &scope(&*engine), &recorded).await.unwrap();
        let by_rebuild = rebuilt(kind, &*engine, Some(&base)).await;
        for found in [by_record, by_rebuild] {
            let told: Vec<_> =
                found.differences.iter().map(|one| (one.kind, one.object.to_string())).collect();
            assert_eq!(
                told,
                [
                    (DifferenceKind::Extra, "table ai_stray".to_owned()),
                    (DifferenceKind::Missing, "index ai_chats.ai_chats_note".to_owned()),
                ]
            );
        }
        session.close().await;
    }

    async fn an_existing_table_is_compared_by_shape(kind: TestEngine) {
        let database = kind.database();
        let engine = open(&database);
        make_host(kind, &*engine).await;
        run(&*engine, &migrations(kind)).await;
        let create = migrations(kind)[0].replace("CREATE TABLE ai_chats", "CREATE TABLE IF NOT EXISTS ai_chats");
        for (statement, different) in [
            (create.clone(), 0),
            (create.replace("rating ", "grade "), 2),
            (create.replace("'none'", "'some'"), 1),
            (create.replace("REFERENCES host_users (id)", "REFERENCES host_users (id) ON DELETE CASCADE"), 1),
        ] {
            let name = format!("{}1", shape::SCRATCH_PREFIX);
            let scratch = rename::scratch_create(engine.dialect(), &LexMode::default(), &statement, &name).unwrap();
            run(&*engine, &[&scratch]).await;
            let mut session = engine.open(Purpose::Read).await.unwrap();
            let whole = observe::whole(&mut *session).await.unwrap();
            session.close().await;
            let expected = whole.table(None, &name).unwrap();
            let actual = whole.table(None, "ai_chats").unwrap();
            let found = same_shape(expected, actual, engine.dialect());
            let json = serde_json::to_string_pretty(&found).unwrap();
            if different == 0 {
                assert!(found.is_empty(), "{statement}: {json}");
            } else {
                assert!(found.len() >= different, "{statement}: {json}");
            }
            run(&*engine, &[&format!("DROP TABLE {name}")]).await;
        }
    }

    async fn sizes_and_rights(kind: TestEngine) {
        let database = kind.database();
        let engine = open(&database);
        make_host(kind, &*engine).await;
        run(&*engine, &migrations(kind)).await;
        let extra = kind.pick(
            "CREATE TABLE ai_loose (id INTEGER)",
            "CREATE UNLOGGED TABLE ai_loose (id integer)",
            "CREATE TABLE ai_loose (id integer) ENGINE=MyISAM",
        );
        run(&*engine, &[extra]).await;
        let mut session = engine.open(Purpose::Read).await.unwrap();
        let sizes = observe::sizes(&mut *session, &scope(&*engine)).await.unwrap();
        let of = |name: &str| sizes.iter().find(|size| size.name == name).unwrap();
        assert_eq!(sizes.len(), 2, "{sizes:?}");
        assert!(of("ai_chats").transactional);
        assert!(of("ai_chats").bytes.unwrap() > 0);
        assert_eq!(of("ai_loose").transactional, kind == TestEngine::Sqlite);
        session.close().await;
    }

    async fn probes_tell_what_is_there(kind: TestEngine) {
        probes(kind).await;
    }
}

async fn probes(kind: TestEngine) {
    use dunlin_core::sql::{Condition, ObjectKind, ObjectRef};
    let database = kind.database();
    let engine = open(&database);
    make_host(kind, &*engine).await;
    let at = |kind, parent: Option<&str>, name: &str| ObjectRef {
        kind,
        schema: None,
        parent: parent.map(str::to_owned),
        name: name.to_owned(),
    };
    let chats = at(ObjectKind::Table, None, "ai_chats");
    let note = at(ObjectKind::Column, Some("ai_chats"), "note");
    let index = at(ObjectKind::Index, Some("ai_chats"), "ai_chats_note");
    let view = at(ObjectKind::View, None, "ai_summary");
    let objects = [chats.clone(), note.clone(), index, view];
    let mut session = engine.open(Purpose::Read).await.unwrap();
    let dialect = engine.dialect();
    for object in &objects {
        assert!(
            !holds(&mut *session, &Condition::Exists(object.clone())).await,
            "{object}"
        );
        assert!(
            holds(&mut *session, &Condition::Missing(object.clone())).await,
            "{object}"
        );
        let query = dialect.fingerprint(object).unwrap();
        match session.query(&query.sql, &query.params).await {
            Ok(rows) => assert_eq!(dialect.read_fingerprint(&rows), None, "{object}"),
            Err(error) => assert_eq!(
                error.class,
                dunlin_core::failure::ErrorClass::ObjectMissing,
                "{object}"
            ),
        }
    }
    run(&*engine, &migrations(kind)[..3]).await;
    let empty = Condition::Empty(chats.clone());
    assert!(holds(&mut *session, &empty).await);
    let mut before = vec![];
    for object in &objects {
        assert!(
            holds(&mut *session, &Condition::Exists(object.clone())).await,
            "{object}"
        );
        assert!(
            !holds(&mut *session, &Condition::Missing(object.clone())).await,
            "{object}"
        );
        before.push(print(&mut *session, object).await);
    }
    run(&*engine, &migrations(kind)[3..]).await;
    assert!(!holds(&mut *session, &empty).await);
    for (object, before) in objects.iter().zip(&before) {
        assert_eq!(
            print(&mut *session, object).await,
            *before,
            "rows do not change the print of {object}"
        );
    }
    let ty = kind.pick("text", "TEXT", "VARCHAR( 50 )");
    assert!(
        holds(
            &mut *session,
            &Condition::ColumnType(note.clone(), ty.into())
        )
        .await
    );
    assert!(
        !holds(
            &mut *session,
            &Condition::ColumnType(note, "varchar(51)".into())
        )
        .await
    );
    run(&*engine, &["ALTER TABLE ai_chats ADD COLUMN more int"]).await;
    assert_ne!(print(&mut *session, &chats).await, before[0]);
    session.close().await;
}

async fn holds(session: &mut dyn Session, condition: &dunlin_core::sql::Condition) -> bool {
    let query = session.dialect().probe(condition).unwrap();
    let rows = session.query(&query.sql, &query.params).await.unwrap();
    rows[0].first().and_then(Value::as_bool).unwrap()
}

async fn print(session: &mut dyn Session, object: &dunlin_core::sql::ObjectRef) -> String {
    let dialect = session.dialect();
    let query = dialect.fingerprint(object).unwrap();
    let rows = session.query(&query.sql, &query.params).await.unwrap();
    dialect.read_fingerprint(&rows).unwrap()
}

for_each_engine! {
    only servers
    async fn who_may_only_read_is_told_what_he_does_not_see(kind: TestEngine) {
        let database = kind.database();
        let engine = open(&database);
        make_host(kind, &*engine).await;
        run(&*engine, &migrations(kind)).await;
        let mut session = engine.open(Purpose::Read).await.unwrap();
        let recorded = look(&mut *session, &*engine).await.to_json();
        session.close().await;
        let user = format!("r_{}", &database.name()[database.name().len().saturating_sub(12)..]);
        let name = database.name();
        let make = if kind.is_mysql_family() {
            vec![
                format!("CREATE USER '{user}'@'%' IDENTIFIED BY 'look'"),
                format!("GRANT SELECT ON `{name}`.* TO '{user}'@'%'"),
            ]
        } else {
            vec![format!("CREATE USER {user} PASSWORD 'look'"), format!("GRANT SELECT ON ALL TABLES IN SCHEMA public TO {user}")]
        };
        run(&*engine, &make.iter().map(String::as_str).collect::<Vec<_>>()).await;
        let (scheme, rest) = database.url().split_once("://").unwrap();
        let rest = rest.split_once('@').unwrap().1;
        let url = SecretUrl::new(format!("{scheme}://{user}:look@{rest}"));
        let reader = dunlin_engines::open(&url, Settings::default()).unwrap();
        let mut session = reader.open(Purpose::Read).await.unwrap();
        let found = drift::against_recorded(&mut *session, &scope(&*engine), &recorded).await.unwrap();
        observe::sizes(&mut *session, &scope(&*engine)).await.unwrap();
        session.close().await;
        assert_eq!(found.differences, vec![], "{:?}", found.notes);
        assert_eq!(found.notes.is_empty(), kind.is_postgres(), "{:?}", found.notes);
        let drop = if kind.is_mysql_family() {
            vec![format!("DROP USER '{user}'@'%'")]
        } else {
            vec![format!("DROP OWNED BY {user}"), format!("DROP USER {user}")]
        };
        run(&*engine, &drop.iter().map(String::as_str).collect::<Vec<_>>()).await;
    }
}
