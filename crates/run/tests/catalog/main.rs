//! Catalogs against real databases: what is read, rendered and made again is the same; what differs is told, and its
//! fix mends it.
#![allow(clippy::unwrap_used)]

use dunlin::{drift, observe};
use dunlin_core::schema::{Catalog, Difference, DifferenceKind, Fix, Scope, diff, render};
use dunlin_core::sql::split::split;
use dunlin_core::sql::{LexMode, PieceKind};
use dunlin_engines::{Engine, Purpose, Session};

use dunlin_core::redact::SecretUrl;
use dunlin_engines::Settings;
use dunlin_testkit::{TestDatabase, TestEngine, for_each_engine};

mod cases;

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
    zoo_into(database.kind, &*database.engine).await;
}

async fn zoo_into(kind: TestEngine, engine: &dyn Engine) {
    let mut session = engine.open(Purpose::Script).await.unwrap();
    let zoo = statements(
        &*session,
        kind.pick(
            include_str!("../zoo/sqlite.sql"),
            include_str!("../zoo/postgres.sql"),
            include_str!("../zoo/mysql.sql"),
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

/// Every kind of object is among the cases, missing, extra and different.
fn assert_all_kinds(cases: &[cases::Case], kinds: &str) {
    for kind in kinds.split_whitespace() {
        for difference in [
            DifferenceKind::Missing,
            DifferenceKind::Extra,
            DifferenceKind::Different,
        ] {
            let tried = cases.iter().any(|(_, found, object)| {
                *found == difference && object.starts_with(&format!("{} ", kind.replace('_', " ")))
            });
            assert!(tried, "no case of a {kind} that is {difference:?}");
        }
    }
}

/// One change after the other: each is told by drift, and its fix takes it back.
async fn changes(kind: TestEngine, cases: &[cases::Case]) {
    let database = fresh(kind).await;
    make_zoo(&database).await;
    let before = look(&*database.engine).await;
    let recorded = before.to_json();
    for (change, difference, object) in cases {
        let mut session = database.engine.open(Purpose::Script).await.unwrap();
        let sql = statements(&*session, change);
        run(&mut *session, &sql).await;
        let mut reader = database.engine.open(Purpose::Read).await.unwrap();
        let found = drift::against_recorded(&mut *reader, &Scope::default(), &recorded).await;
        reader.close().await;
        let found = found.unwrap().differences;
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

for_each_engine! {
    async fn catalogs_survive_being_rendered(engine: TestEngine) {
        made_again(engine).await;
    }

    async fn changes_are_told_and_mended(engine: TestEngine) {
        let (cases, kinds) = if engine == TestEngine::Sqlite {
            (cases::SQLITE, "table column constraint index view trigger")
        } else if engine.is_postgres() {
            (cases::POSTGRES, "table column constraint index view materialized_view trigger function procedure sequence type")
        } else {
            (cases::MYSQL, "table column constraint index view trigger function procedure event")
        };
        assert_all_kinds(cases, kinds);
        changes(engine, cases).await;
    }
}

for_each_engine! {
    /// What the migrations make is what is there, for every kind of object; a change is told by a rebuild as by the
    /// record; and the database that is looked at stays as it was.
    async fn a_rebuild_is_quiet_on_every_kind_of_object_and_touches_nothing(engine: TestEngine) {
        let database = fresh(engine).await;
        make_zoo(&database).await;
        let all = if engine == TestEngine::Sqlite {
            cases::SQLITE
        } else if engine.is_postgres() {
            cases::POSTGRES
        } else {
            cases::MYSQL
        };
        let before = look(&*database.engine).await;
        let quiet = rebuilt(&database).await;
        assert!(quiet.is_empty(), "{}", serde_json::to_string_pretty(&quiet).unwrap());
        for (change, difference, object) in all.iter().step_by(7) {
            let mut session = database.engine.open(Purpose::Script).await.unwrap();
            let sql = statements(&*session, change);
            run(&mut *session, &sql).await;
            let changed = look(&*database.engine).await;
            let found = rebuilt(&database).await;
            let told = found.iter().any(|one| one.kind == *difference && one.object.to_string() == *object);
            assert!(told, "{change}: {}", serde_json::to_string_pretty(&found).unwrap());
            assert_eq!(look(&*database.engine).await, changed, "only looked at");
            mend(&mut *session, &found).await;
            session.close().await;
            assert_quiet(&before, &look(&*database.engine).await, &*database.engine, change);
        }
    }
}

/// What differs from what the zoo's script makes on a scratch database.
async fn rebuilt(database: &Fresh) -> Vec<Difference> {
    let name = format!("dunlin_zoo_{}_{}", std::process::id(), database.kind);
    let scratch = database.engine.sibling(&name).unwrap();
    let mut session = database.engine.open(Purpose::Read).await.unwrap();
    let migrate = async |scratch: &dyn Engine| {
        zoo_into(database.kind, scratch).await;
        Ok(())
    };
    let found =
        drift::against_rebuilt(&mut *session, &Scope::default(), None, &*scratch, migrate).await;
    session.close().await;
    let found = found.unwrap();
    assert!(found.notes.is_empty(), "{:?}", found.notes);
    found.differences
}
