//! A simulated world dies at every call that the runner makes, before and after the call's effect. Whatever it died in,
//! running again until done ends where an undisturbed run ends, and every statement happened once.
//!
//! Two worlds: one whose DDL can be rolled back, and one whose DDL commits by itself.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use dunlin::control::Control;
use dunlin::up::{self, Goal, Options, Report};
use dunlin::world::World;
use dunlin_core::event::{Event, Sink};
use dunlin_core::plan::select::{DownGoal, UpGoal};
use dunlin_core::redact::SecretUrl;
use dunlin_core::source::folder::SourceFile;
use dunlin_core::source::{Migration, Project, Version};
use dunlin_engines::Settings;
use dunlin_engines::sim::{Faults, SimEngine};
use dunlin_testkit::TestDatabase;
use dunlin_testkit::crash::{Engine, look};
use std::sync::Arc;

const FILES: &[(&str, &str)] = &[
    (
        "001_base.sql",
        "CREATE TABLE log (what TEXT);\nCREATE TABLE counter (n INTEGER);\nINSERT INTO counter VALUES (0);\n\
         INSERT INTO log VALUES ('base');",
    ),
    (
        "002_mixed.sql",
        "UPDATE counter SET n = n + 1;\nCREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT);\nINSERT INTO t VALUES (1, 'x'), (2, 'y');\n\
         UPDATE counter SET n = n + 1;\nALTER TABLE t ADD COLUMN b INTEGER;\nUPDATE t SET b = id * 10;\n\
         CREATE INDEX t_b ON t (b);\nINSERT INTO log VALUES ('mixed');\nALTER TABLE t RENAME TO tt;\n\
         UPDATE counter SET n = n + 1;\n-- dunlin:undo\nUPDATE counter SET n = n - 1;\nDROP TABLE tt;\nUPDATE counter SET \
         n = n - 2;\nDELETE FROM log WHERE what = 'mixed';",
    ),
    (
        "003_objects.sql",
        "CREATE VIEW v AS SELECT id FROM tt;\nCREATE TRIGGER g AFTER INSERT ON tt BEGIN INSERT INTO log VALUES ('g' || new.id); \
         END;\nINSERT INTO tt VALUES (3, 'z', 3);\nDROP TRIGGER g;\nDROP VIEW v;\nDROP INDEX t_b;\n-- dunlin:undo\nCREATE INDEX t_b ON tt (b);\n\
         DELETE FROM tt WHERE id = 3;\nDELETE FROM log WHERE what = 'g3';",
    ),
    (
        "004_apart.sql",
        "-- dunlin: transaction = \"none\"\nINSERT INTO log VALUES ('one');\nINSERT INTO log VALUES ('two');\n\
         CREATE TABLE u (a);\nDROP TABLE u;\nUPDATE counter SET n = n + 1;\n-- dunlin:undo\n\
         UPDATE counter SET n = n - 1;\nDELETE FROM log WHERE what IN ('one', 'two');",
    ),
    (
        "005_data.sql",
        "INSERT INTO log VALUES ('last');\nUPDATE counter SET n = n + 1;\n-- dunlin:undo\n\
         DELETE FROM log WHERE what = 'last';\nUPDATE counter SET n = n - 1;",
    ),
];

/// Listens for what is told of resuming.
#[derive(Default)]
struct Ear {
    settled: usize,
    resumed: usize,
}

impl Sink for Ear {
    fn event(&mut self, event: &Event) {
        match event {
            Event::DoubtSettled { .. } => self.settled += 1,
            Event::StepBegan {
                resumed_at: Some(_),
                ..
            } => self.resumed += 1,
            _ => {}
        }
    }
}

struct Room {
    database: TestDatabase,
    migrations: Vec<Arc<Migration>>,
    project: Project,
    ddl_commits: bool,
}

impl Room {
    fn new(ddl_commits: bool) -> Room {
        let database = TestDatabase::sqlite();
        let project = Project::without_file(SecretUrl::new(database.url()), std::env::temp_dir());
        let files: Vec<SourceFile> = FILES
            .iter()
            .map(|(name, text)| SourceFile {
                path: format!("migrations/{name}"),
                name: (*name).into(),
                size: text.len() as u64,
                bytes: text.as_bytes().to_vec(),
            })
            .collect();
        let (migrations, findings) = dunlin::folder::parse(&files, &project.databases[0]).unwrap();
        assert!(findings.is_empty(), "{findings:?}");
        Room {
            database,
            migrations,
            project,
            ddl_commits,
        }
    }

    fn world(&self, faults: &Arc<Faults>) -> World {
        let mut world = World::new(self.project.databases[0].clone(), None, true).unwrap();
        // Nothing here survives its test, so nothing has to reach the disk.
        let prelude = vec!["PRAGMA synchronous = OFF".to_owned()];
        let settings = Settings {
            create: true,
            prelude,
            ..Settings::default()
        };
        let url = SecretUrl::new(self.database.url());
        let engine = SimEngine::new(&url, settings, Arc::clone(faults), self.ddl_commits).unwrap();
        world.engine = Arc::new(engine);
        world
    }

    async fn go(&self, goal: &Goal, faults: &Arc<Faults>, ear: &mut Ear) -> Report {
        let options = Options {
            no_backup: true,
            ..Options::default()
        };
        let world = self.world(faults);
        world.engine.create_database().await.unwrap();
        up::run(
            &world,
            &self.migrations,
            goal,
            &options,
            ear,
            Control::free(),
        )
        .await
    }

    fn lines(&self) -> Vec<String> {
        look::dump(Engine::Sqlite, &self.database).unwrap()
    }
}

fn forward() -> Goal {
    Goal::Up(UpGoal {
        to: None,
        out_of_order: dunlin_core::source::OutOfOrder::Stop,
    })
}

fn way_back() -> Goal {
    Goal::Down(DownGoal::To(Version("001".into())))
}

/// Dies once at every boundary; gives how many doubts were settled and how many scripts resumed.
async fn dies_everywhere(ddl_commits: bool) -> (usize, usize) {
    let undisturbed = Room::new(ddl_commits);
    let report = undisturbed
        .go(
            &forward(),
            &Arc::new(Faults::default()),
            &mut Ear::default(),
        )
        .await;
    assert!(report.failure.is_none(), "{:?}", report.failure);
    let expected = undisturbed.lines();
    assert!(
        expected.contains(&"row | counter | 5".to_owned()),
        "{expected:#?}"
    );

    let mut ear = Ear::default();
    for after_effect in [false, true] {
        for at in 1.. {
            let room = Room::new(ddl_commits);
            let faults = Arc::new(Faults::default());
            faults.die_at(at, after_effect);
            let first = room.go(&forward(), &faults, &mut ear).await;
            if !faults.is_dead() {
                assert!(first.failure.is_none(), "{:?}", first.failure);
                break;
            }
            let second = room
                .go(&forward(), &Arc::new(Faults::default()), &mut ear)
                .await;
            let which = format!("call {at}, after its effect: {after_effect}");
            assert!(
                second.failure.is_none(),
                "{which}: {:?}\nfirst: {:?}",
                second.failure,
                first.failure
            );
            assert_eq!(room.lines(), expected, "{which}");
        }
    }
    (ear.settled, ear.resumed)
}

#[tokio::test]
async fn invariant_06_effect_and_record_commit_together_wherever_the_world_dies() {
    let (settled, resumed) = dies_everywhere(false).await;
    // Nothing is ever in doubt where everything can be rolled back; a script apart from transactions is resumed.
    assert_eq!(settled, 0);
    assert!(resumed > 0);
}

#[tokio::test]
async fn invariant_07_doubts_are_settled_by_rule_wherever_a_world_dies_whose_ddl_commits_by_itself()
{
    let (settled, resumed) = dies_everywhere(true).await;
    assert!(settled > 20, "{settled} doubts");
    assert!(resumed > 20, "{resumed} resumed");
}

#[tokio::test]
async fn invariant_07_a_run_that_dies_while_it_picks_another_up_is_picked_up_too() {
    let undisturbed = Room::new(true);
    let clean = Arc::new(Faults::default());
    let report = undisturbed
        .go(&forward(), &clean, &mut Ear::default())
        .await;
    assert!(report.failure.is_none());
    let (expected, calls) = (undisturbed.lines(), clean.calls());
    let mut ear = Ear::default();
    // Pairs of deaths: the first walks the whole run, the second falls into the picking up.
    for first in (1..calls).step_by(3) {
        for second in [3, 6, 8, 11, 14, 20] {
            let room = Room::new(true);
            for at in [first, second] {
                let faults = Arc::new(Faults::default());
                faults.die_at(at, first % 2 == 0);
                let _ = room.go(&forward(), &faults, &mut ear).await;
            }
            let last = room
                .go(&forward(), &Arc::new(Faults::default()), &mut ear)
                .await;
            assert!(
                last.failure.is_none(),
                "{first}, {second}: {:?}",
                last.failure
            );
            assert_eq!(room.lines(), expected, "{first}, {second}");
        }
    }
}

#[tokio::test]
async fn invariant_07_the_way_back_is_as_safe_as_the_way_forward() {
    let undisturbed = Room::new(true);
    for goal in [forward(), way_back()] {
        let report = undisturbed
            .go(&goal, &Arc::new(Faults::default()), &mut Ear::default())
            .await;
        assert!(report.failure.is_none(), "{:?}", report.failure);
    }
    let expected = undisturbed.lines();
    assert!(
        expected.contains(&"row | counter | 0".to_owned()),
        "{expected:#?}"
    );
    for after_effect in [false, true] {
        for at in 1.. {
            let room = Room::new(true);
            let up = room
                .go(
                    &forward(),
                    &Arc::new(Faults::default()),
                    &mut Ear::default(),
                )
                .await;
            assert!(up.failure.is_none());
            let faults = Arc::new(Faults::default());
            faults.die_at(at, after_effect);
            let first = room.go(&way_back(), &faults, &mut Ear::default()).await;
            if !faults.is_dead() {
                assert!(first.failure.is_none(), "{:?}", first.failure);
                break;
            }
            let second = room
                .go(
                    &way_back(),
                    &Arc::new(Faults::default()),
                    &mut Ear::default(),
                )
                .await;
            let which = format!("call {at}, after its effect: {after_effect}");
            assert!(
                second.failure.is_none(),
                "{which}: {:?}\nfirst: {:?}",
                second.failure,
                first.failure
            );
            assert_eq!(room.lines(), expected, "{which}");
        }
    }
}
