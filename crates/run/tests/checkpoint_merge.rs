//! A checkpoint as the undo of a step, on every engine: what the step left and nobody has changed since comes back.
#![allow(clippy::unwrap_used)]

use dunlin::checkpoint::{self, Chosen};
use dunlin::control::Control;
use dunlin::executor::Runner;
use dunlin::world::World;
use dunlin_core::event::{Event, Silent, Sink};
use dunlin_core::journal::{self, Writing};
use dunlin_core::redact::SecretUrl;
use dunlin_core::source::Project;
use dunlin_engines::Purpose;
use dunlin_testkit::for_each_engine;

async fn runner<'w>(world: &'w World, sink: &'w mut dyn Sink) -> Runner<'w> {
    let (lease, work) =
        dunlin::lease::acquire(world, Purpose::Script, true, sink, &mut Control::free())
            .await
            .unwrap();
    Runner::new(world, work, lease, sink, Control::free())
}

for_each_engine! {
    async fn what_a_step_changed_comes_back_and_what_others_changed_since_is_left_alone(kind: TestEngine) {
        let database = kind.database();
        let project = Project::without_file(SecretUrl::new(database.url()), std::env::temp_dir());
        let mut world = World::new(project.databases[0].clone(), None, true).unwrap();
        let folder = tempfile::tempdir().unwrap();
        world.config.backup_dir = folder.path().to_path_buf();
        database.run("CREATE TABLE people (id bigint NOT NULL PRIMARY KEY, email varchar(40) UNIQUE, n double precision)");
        database.run(
            "CREATE TABLE letters (id bigint NOT NULL PRIMARY KEY, person bigint NOT NULL, FOREIGN KEY (person) REFERENCES \
             people (id) ON DELETE CASCADE)",
        );
        let rows: Vec<String> = (1..=30).map(|id| format!("({id}, 'm{id}', {id} / 3.0)")).collect();
        database.run(&format!("INSERT INTO people VALUES {}", rows.join(", ")));
        database.run("INSERT INTO letters VALUES (1, 4), (2, 6)");
        let look = || database.run("SELECT id, email, n FROM people ORDER BY id");
        let before = look();
        let mut sink = |_: &Event| {};
        let mut runner = runner(&world, &mut sink).await;
        let chosen = Chosen { tables: vec!["people".into()], ..Chosen::default() };
        let made = checkpoint::create(&world, "step", &chosen, &mut Silent).await.unwrap();
        let refused = checkpoint::merge(&mut runner, &made, &|_| vec![]).await.unwrap_err();
        assert_eq!(refused.code, "no-checkpoint", "what the step left is not written down yet");

        // The step: changes, two unique values that change places, a row that goes, one that comes.
        database.run("UPDATE people SET n = 1 WHERE id <= 10");
        database.run("UPDATE people SET email = 'x' WHERE id = 11");
        database.run("UPDATE people SET email = 'm11' WHERE id = 12");
        database.run("UPDATE people SET email = 'm12' WHERE id = 11");
        database.run("DELETE FROM people WHERE id IN (20, 21)");
        database.run("INSERT INTO people VALUES (900, 'came', 0)");
        checkpoint::note_after(&world, &mut *runner.work, &made).await.unwrap();
        // Others, since.
        database.run("UPDATE people SET n = 77 WHERE id IN (2, 30)");
        database.run("DELETE FROM people WHERE id = 5");
        database.run("INSERT INTO people VALUES (20, 'again', 0), (901, 'other', 0)");

        let record = Writing::run(journal::Event::Ended, serde_json::json!({ "what": "merged" }));
        let merged = checkpoint::merge(&mut runner, &made, &|_| vec![record.clone()]).await.unwrap();
        let (table, left, mut keys) = merged.left[0].clone();
        keys.sort();
        assert_eq!((table.as_str(), left), ("people", 3));
        assert_eq!(keys, ["id = 2", "id = 20", "id = 5"]);
        assert_eq!(merged.rows, 7 + 2 + 1 + 1, "changed, exchanged, gone, come; row 3 held already what the step set");
        let now = look();
        let of = |rows: &[Vec<Option<String>>], id: &str| rows.iter().find(|row| row[0].as_deref() == Some(id)).cloned();
        for id in (1..=30).map(|id| id.to_string()) {
            match id.as_str() {
                "2" | "30" => assert_eq!(of(&now, &id).unwrap()[2].as_deref(), Some("77")),
                "5" => assert_eq!(of(&now, &id), None),
                "20" => assert_eq!(of(&now, &id).unwrap()[1].as_deref(), Some("again")),
                _ => assert_eq!(of(&now, &id), of(&before, &id), "row {id}"),
            }
        }
        assert_eq!(of(&now, "900"), None);
        assert!(of(&now, "901").is_some());
        assert_eq!(database.scalar("SELECT count(*) FROM letters"), "2", "rows that refer are not deleted along");
        assert!(database.scalar("SELECT max(detail) FROM dunlin_journal WHERE event = 'ended'").contains("merged"));
        runner.lease.release().await;
        runner.work.close().await;
    }
}
