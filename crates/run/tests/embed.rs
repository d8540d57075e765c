//! The library as a service uses it: scripts from a folder and from the binary, events to a sink of the caller's or to
//! `tracing`, the switch of `version.json`.
#![allow(clippy::unwrap_used)]

use dunlin::{Event, Migrator};
use dunlin_core::source::folder::SourceFile;
use dunlin_testkit::for_each_engine;
use std::sync::{Arc, Mutex};
use tracing::field::{Field, Visit};

const FIRST: &str = "CREATE TABLE guests (id int NOT NULL PRIMARY KEY, name varchar(40));\n";
const SECOND: &str =
    "INSERT INTO guests VALUES (1, 'Ada');\nINSERT INTO guests VALUES (2, 'Grace');\n";
const BROKEN: &str = "INSERT INTO guests VALUES (1, 'twice');\n";

fn scripts(files: &[(&str, &str)]) -> Vec<SourceFile> {
    files
        .iter()
        .map(|(name, text)| {
            let bytes = text.as_bytes().to_vec();
            SourceFile::new(format!("migrations/{name}"), (*name).to_owned(), bytes)
        })
        .collect()
}

for_each_engine! {
    async fn events_reach_the_callers_sink(kind: TestEngine) {
        let database = kind.database();
        let heard = Arc::new(Mutex::new(Vec::<String>::new()));
        let sink = {
            let heard = Arc::clone(&heard);
            move |event: &Event| heard.lock().unwrap().push(serde_json::to_string(event).unwrap())
        };
        let report = Migrator::new(database.url()).unwrap()
            .embedded(scripts(&[("001_guests.sql", FIRST), ("002_fill.sql", SECOND)])).unwrap()
            .create(true)
            .events(sink)
            .up().await.unwrap();
        assert_eq!(report.steps.len(), 2);
        assert_eq!(database.scalar("SELECT count(*) FROM guests"), "2");
        let heard = heard.lock().unwrap().join("\n");
        for part in ["step_began", "step_done", "run_ended", "001", "002", "guests"] {
            assert!(heard.contains(part), "no {part} in {heard}");
        }
        assert!(!heard.contains(dunlin_testkit::servers::PASSWORD), "{heard}");
    }

    async fn a_folder_does_as_the_binary_and_stops_where_it_is_told(kind: TestEngine) {
        let database = kind.database();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("001_guests.sql"), FIRST).unwrap();
        std::fs::write(folder.path().join("002_fill.sql"), SECOND).unwrap();
        let migrator = || Migrator::new(database.url()).unwrap().create(true);
        let report = migrator().folder(folder.path()).unwrap().to("001").up().await.unwrap();
        assert_eq!(report.steps.len(), 1);
        // The same scripts from the binary go on where the folder stopped.
        let embedded = scripts(&[("001_guests.sql", FIRST), ("002_fill.sql", SECOND)]);
        let report = migrator().embedded(embedded).unwrap().up().await.unwrap();
        assert_eq!(report.steps.len(), 1);
        let failed = scripts(&[("001_guests.sql", FIRST), ("002_fill.sql", SECOND), ("003_broken.sql", BROKEN)]);
        let failure = migrator().embedded(failed).unwrap().up().await.unwrap_err();
        assert_eq!(failure.code, "unique-violated");
        assert_eq!(database.scalar("SELECT count(*) FROM guests"), "2");
    }

    async fn a_manifest_that_forbids_activation_is_obeyed_and_said(kind: TestEngine) {
        let database = kind.database();
        let forbidden = ("version.json", "{ \"auto_migrate_on_activation\": false }");
        let files = || scripts(&[("001_guests.sql", FIRST), forbidden]);
        let report = Migrator::new(database.url()).unwrap()
            .embedded(files()).unwrap()
            .create(true)
            .up().await.unwrap();
        assert!(report.steps.is_empty());
        assert!(report.findings.iter().any(|finding| finding.code == "not-activated"), "{:?}", report.findings);
        assert!(!database.has_table("guests"));
        let status = Migrator::new(database.url()).unwrap().embedded(files()).unwrap().status().await.unwrap();
        assert_eq!(status.migrations.len(), 1);
    }
}

/// Keeps what is said under the target `dunlin`.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<String>>>);

struct Words(String);

impl Visit for Words {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        self.0.push_str(&format!(" {field}={value:?}"));
    }
}

impl tracing::Subscriber for Lines {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        metadata.target() == "dunlin"
    }
    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }
    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}
    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
    fn event(&self, event: &tracing::Event<'_>) {
        let mut words = Words(event.metadata().level().to_string());
        event.record(&mut words);
        self.0.lock().unwrap().push(words.0);
    }
    fn enter(&self, _: &tracing::span::Id) {}
    fn exit(&self, _: &tracing::span::Id) {}
}

#[tokio::test(flavor = "current_thread")]
async fn without_a_sink_events_go_to_tracing() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("guests.db").display());
    let lines = Lines::default();
    let guard = tracing::subscriber::set_default(lines.clone());
    let files = scripts(&[
        ("001_guests.sql", FIRST),
        ("002_fill.sql", SECOND),
        ("003_broken.sql", BROKEN),
    ]);
    let migrator = Migrator::new(&url).unwrap().embedded(files).unwrap();
    let _ = migrator.create(true).up().await.unwrap_err();
    drop(guard);
    let lines = lines.0.lock().unwrap();
    let about = |level: &str, what: &str| {
        lines
            .iter()
            .filter(|line| line.starts_with(level) && line.contains(what))
            .count()
    };
    assert_eq!(about("INFO", "migration done"), 2, "{lines:?}");
    assert_eq!(about("WARN", "migration failed"), 1, "{lines:?}");
    assert!(about("DEBUG", "StatementDone") >= 3, "{lines:?}");
}
