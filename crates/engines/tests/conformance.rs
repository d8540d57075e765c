//! The conformance suite on every engine: an engine is supported when it passes.
#![allow(clippy::unwrap_used, clippy::panic)]

use dunlin_core::redact::SecretUrl;
use dunlin_engines::{Engine, Settings, open};
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

    async fn odd_names(engine: TestEngine) -> anyhow::Result<()> {
        let database = engine.database();
        conformance::odd_names(&*engine_of(&database)).await
    }

    async fn databases(engine: TestEngine) -> anyhow::Result<()> {
        let database = engine.database();
        conformance::databases(&*engine_of(&database)).await
    }
}
