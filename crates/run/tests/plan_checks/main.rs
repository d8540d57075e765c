//! Each kind of check, on every engine: it holds, and it fails when the thing it guards is broken.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use dunlin::checks::{Context, Marks, baseline, evaluate, marks};
use dunlin::digest::{Scope, digest};
use dunlin::world::World;
use dunlin_core::event::Silent;
use dunlin_core::failure::Failure;
use dunlin_core::finding::Place;
use dunlin_core::plan::evidence::{CheckOutcome, Evidence};
use dunlin_core::redact::SecretUrl;
use dunlin_core::source::Project;
use dunlin_core::source::grammar::checks::{CheckSeverity, When};
use dunlin_core::source::plan::{CheckDoc, CheckSpec, SqlText};
use dunlin_core::sql::PieceKind;
use dunlin_core::sql::split::split;
use dunlin_engines::Purpose;
use dunlin_testkit::{TestDatabase, TestEngine, for_each_engine};
use serde_json::Value;

mod before;
mod catalog;
mod outside;
mod plans;
mod queries;
mod trials;

/// A database of a test's own, its world, and a folder for its state.
struct Room {
    world: World,
    folder: tempfile::TempDir,
    _database: TestDatabase,
}

/// A check whose phase has begun.
struct Begun {
    check: CheckDoc,
    marks: Marks,
    noted: Option<Value>,
}

impl Room {
    fn new(kind: TestEngine) -> Room {
        let database = kind.database();
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().to_path_buf();
        let project = Project::without_file(SecretUrl::new(database.url()), root);
        let world = World::new(project.databases[0].clone(), None, true).unwrap();
        Room {
            world,
            folder,
            _database: database,
        }
    }

    /// A room with these statements run.
    async fn with(kind: TestEngine, script: &str) -> Room {
        let room = Room::new(kind);
        room.run(script).await;
        room
    }

    /// Runs a script as an application would.
    async fn run(&self, script: &str) {
        let mut session = self.world.open(Purpose::Script).await.unwrap();
        let rules = session.dialect().lex_rules(session.lex_mode());
        let (pieces, faults) = split(script, &rules);
        assert!(faults.is_empty(), "{faults:?}");
        for piece in pieces {
            if let PieceKind::Statement(range) = piece.kind
                && let Err(error) = session.execute(&script[range.clone()]).await
            {
                panic!("{error} in\n{}", &script[range]);
            }
        }
        session.close().await;
    }

    fn context(&self) -> Context<'_> {
        Context::new(&self.world).in_folder(self.folder.path())
    }

    /// Marks and notes of a check whose phase begins now.
    async fn begin(&self, kind: CheckSpec) -> Result<Begun, Failure> {
        let check = check(kind);
        let mut cx = self.context();
        let marks = marks(&mut cx, &[&check]).await?;
        let noted = baseline(&mut cx, &check, &marks).await?;
        cx.close().await;
        // As the journal keeps them.
        let text = serde_json::to_string(&(&marks, &noted)).unwrap();
        let (marks, noted) = serde_json::from_str(&text).unwrap();
        Ok(Begun {
            check,
            marks,
            noted,
        })
    }

    async fn end(&self, begun: &Begun) -> Evidence {
        let mut cx = self.context();
        let noted = begun.noted.as_ref();
        let found = evaluate(
            &mut cx,
            &begun.check,
            When::After,
            &begun.marks,
            noted,
            None,
        )
        .await;
        cx.close().await;
        found
    }

    /// A check of something as it is now.
    async fn now(&self, kind: CheckSpec) -> Evidence {
        let begun = self.begin(kind).await.unwrap();
        self.end(&begun).await
    }

    /// The digest of everything.
    async fn digest(&self) -> String {
        let mut session = self.world.open(Purpose::Read).await.unwrap();
        let found = digest(&mut *session, &Scope::default(), None, &mut Silent).await;
        session.close().await;
        found.unwrap().total()
    }
}

fn check(kind: CheckSpec) -> CheckDoc {
    CheckDoc {
        id: "the-check".into(),
        when: When::After,
        severity: CheckSeverity::Error,
        kind,
        place: Place::default(),
    }
}

fn sql(text: &str) -> SqlText {
    SqlText {
        file: "a.plan.toml".into(),
        line: 1,
        text: text.into(),
    }
}

#[track_caller]
fn holds(found: &Evidence) {
    assert_eq!(found.outcome, CheckOutcome::Passed, "{found:?}");
}

/// It failed, and says so.
#[track_caller]
fn fails(found: &Evidence, because: &str) {
    assert_eq!(found.outcome, CheckOutcome::Failed, "{found:?}");
    assert!(
        found.observed.contains(because),
        "`{because}` is not in {found:?}"
    );
}
