//! The conformance suite on every engine: an engine is supported when it passes.

use dunlin_core::redact::SecretUrl;
use dunlin_engines::Settings;
use dunlin_testkit::{conformance, for_each_engine};

for_each_engine! {
    /// Every question of the suite, on a fresh database.
    async fn the_suite(engine: TestEngine) -> anyhow::Result<()> {
        let database = engine.database();
        let settings = Settings { create: true, ..Settings::default() };
        let engine = dunlin_engines::open(&SecretUrl::new(database.url()), settings)?;
        conformance::all(engine.as_ref()).await
    }
}
