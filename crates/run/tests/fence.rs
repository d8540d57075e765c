//! The fence: whoever was succeeded writes nothing into the journal, in whatever mode its session stands.
#![allow(clippy::unwrap_used)]

use dunlin::journal_store::{self, Pen};
use dunlin::world::World;
use dunlin_core::journal::{Event, Writing};
use dunlin_core::redact::SecretUrl;
use dunlin_core::source::Project;
use dunlin_engines::{Halted, Purpose};
use dunlin_testkit::for_each_engine;

for_each_engine! {
    /// One record and several, in a transaction and outside of one, in a strict session and in one that makes 0 of
    /// nothing: with a token that is no longer the fence's, nothing is written, and the writer hears why.
    async fn invariant_09_a_token_that_was_raised_writes_no_record(engine: TestEngine) {
        let database = engine.database();
        let project = Project::without_file(SecretUrl::new(database.url()), std::env::temp_dir());
        let world = World::new(project.databases[0].clone(), None, true).unwrap();
        world.engine.create_database().await.unwrap();
        let mut session = world.open(Purpose::Script).await.unwrap();
        let old = journal_store::ensure(&world, &mut *session).await.unwrap();
        for token in [old + 1, old + 2] {
            let raise = &world.sql.fence_raise;
            let rows = session.execute_with(raise, &[token.into(), (token - 1).into()]).await.unwrap();
            assert_eq!(rows, 1);
        }
        let record = Writing::run(Event::Ended, serde_json::json!({ "what": "up" }));
        let write = async |session: &mut dyn dunlin_engines::Session, token: i64, many: usize| {
            let pen = Pen { run: "r".into(), token };
            pen.append(&world, session, &vec![record.clone(); many]).await
        };
        let lenient = engine.pick("SELECT 1", "SELECT 1", "SET SESSION sql_mode = ''");
        for mode in ["SELECT 1", lenient] {
            session.execute(mode).await.unwrap();
            for (many, inside) in [(1, false), (3, false), (1, true), (3, true)] {
                if inside {
                    session.begin().await.unwrap();
                }
                let refused = write(&mut *session, old + 1, many).await.unwrap_err();
                assert!(journal_store::is_fenced(&refused), "{mode}, {many} records: {refused:?}");
                if inside {
                    session.rollback().await.unwrap();
                }
            }
        }
        // Nor does anything happen that was to go together with a record.
        let lost = Pen { run: "r".into(), token: old + 1 };
        for many in [1, 3] {
            let records = vec![record.clone(); many];
            session.begin().await.unwrap();
            let halted = lost.append_and_commit(&world, &mut *session, &records).await;
            assert!(matches!(&halted, Err(Halted::Record(error)) if journal_store::is_fenced(error)), "{halted:?}");
            session.rollback().await.unwrap();
            let make = "CREATE TABLE made_without_a_token (id INT)";
            let halted = lost.append_then(&world, &mut *session, &records, make).await;
            assert!(matches!(&halted, Err(Halted::Record(error)) if journal_store::is_fenced(error)), "{halted:?}");
        }
        session.execute("CREATE TABLE filled_without_a_token (id INT)").await.unwrap();
        let ours: dunlin_engines::lease::Witness = std::sync::Arc::new(|| true);
        // From its second use on a record may be a prepared statement.
        for many in [1, 1, 1, 3, 3] {
            let records = vec![record.clone(); many];
            let fill = "INSERT INTO filled_without_a_token VALUES (1)";
            let halted = lost.append_after(&world, &mut *session, fill, &records, &ours).await;
            assert!(matches!(&halted, Err(Halted::Record(error)) if journal_store::is_fenced(error)), "{halted:?}");
            session.rollback().await.unwrap();
        }
        assert_eq!(database.scalar("SELECT count(*) FROM filled_without_a_token"), "0");
        assert!(!database.has_table("made_without_a_token"));
        assert_eq!(database.scalar("SELECT count(*) FROM dunlin_journal"), "0");
        write(&mut *session, old + 2, 3).await.unwrap();
        assert_eq!(database.scalar("SELECT count(*) FROM dunlin_journal"), "3");
    }
}
