//! The conformance suite on every engine: an engine is supported when it passes.
#![allow(clippy::unwrap_used, clippy::panic)]

use dunlin_core::redact::SecretUrl;
use dunlin_engines::{Engine, Settings, open};
use dunlin_testkit::servers::{Kind, Options, Server};
use dunlin_testkit::{TestDatabase, conformance, for_each_engine};

fn engine_of(database: &TestDatabase) -> Box<dyn Engine> {
    let settings = Settings {
        create: true,
        ..Settings::default()
    };
    let engine = open(&SecretUrl::new(database.url()), settings).unwrap();
    assert!(!format!("{engine:?}").contains("testkit-secret"));
    assert!(!engine.describe().contains("testkit-secret"));
    engine
}

for_each_engine! {
    async fn purposes(engine: TestEngine) -> anyhow::Result<()> {
        let database = engine.database();
        conformance::purposes(&*engine_of(&database)).await
    }

    async fn values(engine: TestEngine) -> anyhow::Result<()> {
        let database = engine.database();
        conformance::values(&*engine_of(&database)).await
    }

    async fn transactions(engine: TestEngine) -> anyhow::Result<()> {
        let database = engine.database();
        conformance::transactions(&*engine_of(&database)).await
    }

    async fn one_trip(engine: TestEngine) -> anyhow::Result<()> {
        let database = engine.database();
        conformance::one_trip(&*engine_of(&database)).await
    }

    async fn error_classes(engine: TestEngine) -> anyhow::Result<()> {
        let database = engine.database();
        conformance::error_classes(&*engine_of(&database)).await
    }

    async fn invariant_16_a_late_cancel_hits_nothing(engine: TestEngine) -> anyhow::Result<()> {
        let database = engine.database();
        conformance::cancel(&*engine_of(&database)).await
    }

    async fn streaming(engine: TestEngine) -> anyhow::Result<()> {
        let database = engine.database();
        conformance::streaming(&*engine_of(&database)).await
    }

    async fn loading(engine: TestEngine) -> anyhow::Result<()> {
        let database = engine.database();
        conformance::loading(&*engine_of(&database)).await
    }

    async fn loading_refused(engine: TestEngine) -> anyhow::Result<()> {
        let database = engine.database();
        conformance::loading_refused(&*engine_of(&database)).await
    }

    async fn loading_cut(engine: TestEngine) -> anyhow::Result<()> {
        let database = engine.database();
        conformance::loading_cut(&*engine_of(&database)).await
    }

    async fn odd_names(engine: TestEngine) -> anyhow::Result<()> {
        let database = engine.database();
        conformance::odd_names(&*engine_of(&database)).await
    }

    async fn databases(engine: TestEngine) -> anyhow::Result<()> {
        let database = engine.database();
        conformance::databases(&*engine_of(&database)).await
    }
}

/// The other way of the two: MySQL takes no files of clients unless it is told to, MariaDB does unless it is told not to.
async fn the_other_way(kind: Kind, allowed: &str) -> anyhow::Result<()> {
    let server = Server::private(kind, Options::default());
    let database = TestDatabase::on(&server);
    let was = database.scalar("SELECT @@local_infile");
    assert_ne!(was, allowed, "the default is tried by `loading`");
    database.run(&format!("SET GLOBAL local_infile = {allowed}"));
    let engine = engine_of(&database);
    conformance::loading(&*engine).await?;
    conformance::loading_refused(&*engine).await?;
    conformance::loading_cut(&*engine).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn loading_from_a_file_into_mysql() -> anyhow::Result<()> {
    the_other_way(Kind::Mysql, "1").await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn loading_by_insert_into_mariadb() -> anyhow::Result<()> {
    the_other_way(Kind::Mariadb, "0").await
}
