//! The whole life: forward, nothing to do, back, forward, back in parts.

use crate::{Desk, PLAN};
use dunlin_testkit::for_each_engine;

for_each_engine! {
    /// Every step is taken back by the inverse of what it did; what was there before is there again.
    async fn forward_back_and_forward(engine: TestEngine) {
        let desk = Desk::new(engine);
        desk.sandbox.write("owners.plan.toml", PLAN);
        let before = desk.picture();

        let (code, ran) = desk.json("run owners");
        assert_eq!(code, 0, "{ran:#}");
        assert_eq!(Desk::state(&ran, "tables"), "done");
        assert_eq!(Desk::state(&ran, "rows"), "done");
        let after = desk.picture();
        assert!(after.iter().any(|line| line.contains("Büro مرکزی")), "{after:#?}");
        assert!(after.iter().any(|line| line.contains("o'neill \\\\ \\\"x\\\"")), "{after:#?}");
        assert_ne!(before, after);

        let (code, again) = desk.json("run owners");
        assert_eq!(code, 0, "{again:#}");
        assert!(again["data"]["run"].is_null(), "{again:#}");
        assert_eq!(desk.picture(), after);

        let (code, back) = desk.json("rollback owners");
        assert_eq!(code, 0, "{back:#}");
        assert_eq!(Desk::state(&back, "tables"), "undone");
        assert_eq!(desk.picture(), before);

        let (code, twice) = desk.json("rollback owners");
        assert_eq!(code, 0, "{twice:#}");
        assert!(twice["data"]["run"].is_null());

        let (code, ran) = desk.json("run owners");
        assert_eq!(code, 0, "{ran:#}");
        assert_eq!(desk.picture(), after);

        let (code, back) = desk.json("rollback owners --to tables");
        assert_eq!(code, 0, "{back:#}");
        assert_eq!(Desk::state(&back, "tables"), "done");
        assert_eq!(Desk::state(&back, "rows"), "undone");
        let (code, _) = desk.json("rollback owners");
        assert_eq!(code, 0);
        assert_eq!(desk.picture(), before);
    }
}

/// A plan of its own statements needs no folder of migrations; one that runs migrations says that it is missing.
#[test]
fn without_migrations_no_folder_is_needed() {
    let desk = Desk::new(dunlin_testkit::TestEngine::Sqlite);
    std::fs::remove_dir_all(desk.sandbox.path("migrations")).unwrap();
    desk.sandbox.write("owners.plan.toml", PLAN);
    for line in [
        "plan show owners",
        "plan check owners",
        "run owners",
        "rollback owners",
    ] {
        let (code, answer) = desk.json(line);
        assert_eq!(code, 0, "{line}: {answer:#}");
    }
    let step = "\n  [[phase.step]]\n  id = \"bring-up\"\n  migrate = { to = \"latest\" }\n";
    desk.sandbox
        .write("owners.plan.toml", format!("{PLAN}{step}"));
    let (code, answer) = desk.json("run owners");
    assert_eq!(code, 2, "{answer:#}");
    assert_eq!(answer["failure"]["code"], "folder-missing", "{answer:#}");
}

for_each_engine! {
    /// `--until` stops after a phase; the next run goes on; `runs` tells both.
    async fn until_a_phase_and_on(engine: TestEngine) {
        let desk = Desk::new(engine);
        desk.sandbox.write("owners.plan.toml", PLAN);
        let (code, ran) = desk.json("run owners --until tables");
        assert_eq!(code, 0, "{ran:#}");
        assert_eq!(Desk::state(&ran, "rows"), "pending");
        let (code, ran) = desk.json("run owners");
        assert_eq!(code, 0, "{ran:#}");
        assert_eq!(Desk::state(&ran, "rows"), "done");
        let (_, runs) = desk.json("runs");
        let runs = runs["data"]["runs"].as_array().unwrap().clone();
        assert_eq!(runs.len(), 2, "{runs:#?}");
        assert!(runs.iter().all(|run| run["what"] == "run to owners" && run["outcome"] == "done"));
        let id = runs[0]["run"].as_str().unwrap();
        let (code, one) = desk.json(&format!("runs {id}"));
        assert_eq!(code, 0);
        assert!(one["data"]["events"].as_array().unwrap().len() > 3, "{one:#}");
        let (code, none) = desk.json("runs nobody");
        assert_eq!(code, 2, "{none:#}");
    }
}

for_each_engine! {
    /// Rows that others have written since are not dropped with the table that the step has made.
    async fn what_others_wrote_since_is_not_dropped(engine: TestEngine) {
        let desk = Desk::new(engine);
        desk.sandbox.write("owners.plan.toml", PLAN);
        let _ = desk.dunlin("run owners").success();
        let _ = desk.database.run("INSERT INTO owners (id, title) VALUES (7, 'a customer')");
        let (code, back) = desk.json("rollback owners");
        assert_eq!(code, 1, "{back:#}");
        assert!(back["failure"].to_string().contains("owners (1 rows)"), "{back:#}");
        assert!(back["failure"]["hints"].to_string().contains("--discard-later"), "{back:#}");
        let left = desk.picture();
        assert!(left.iter().any(|line| line.contains("a customer")), "{left:#?}");
        // Said again with the word for it, the rest goes.
        let (code, back) = desk.json("rollback owners --discard-later");
        assert_eq!(code, 0, "{back:#}");
        assert!(!desk.picture().iter().any(|line| line.contains("owners")));
    }
}

for_each_engine! {
    /// A phase that has begun may not change; one that has not may.
    async fn the_file_is_edited_half_way(engine: TestEngine) {
        let desk = Desk::new(engine);
        desk.sandbox.write("owners.plan.toml", PLAN);
        let _ = desk.dunlin("run owners --until tables").success();
        desk.sandbox.write("owners.plan.toml", PLAN.replace("owners_by_title", "owners_by_name"));
        let (code, changed) = desk.json("run owners");
        assert_eq!(code, 5, "{changed:#}");
        assert_eq!(changed["failure"]["code"], "changed-plan");
        desk.sandbox.write("owners.plan.toml", PLAN.replace("Büro مرکزی", "Merkez"));
        let (code, ran) = desk.json("run owners");
        assert_eq!(code, 0, "{ran:#}");
        let gone = PLAN.replace("id = \"tables\"", "id = \"other\"");
        desk.sandbox.write("owners.plan.toml", gone);
        let (code, changed) = desk.json("rollback owners");
        assert_eq!(code, 5, "{changed:#}");
    }
}

/// A line where a step begins and one where it ends, whatever its kind, and a step goes by its id.
#[test]
fn the_log_has_a_line_at_the_start_and_at_the_end_of_every_step() {
    let desk = Desk::new(dunlin_testkit::TestEngine::Sqlite);
    let project = desk.sandbox.read("dunlin.toml");
    let logged = project.replace("[project]", "[project]\nlog = \"dunlin.log\"");
    desk.sandbox.write("dunlin.toml", logged);
    let fill = "title = \"Who is who\"\n\
        backfill = { table = \"contacts\", set = \"name = 'x'\", where = \"name IS NULL\", new_rows = \"none\" }\n\
        [[phase.step]]\nid = \"second\"\nsql = \"CREATE TABLE t (id int)\"\n";
    desk.plan("fill", "", fill);
    let _ = desk.dunlin("run fill").success();
    let _ = desk.dunlin("rollback fill").success();
    let log = desk.sandbox.read("dunlin.log");
    let said = log.lines().map(|line| {
        let (_, said) = line.split_once("desk: ").unwrap();
        said.split(" (").next().unwrap()
    });
    assert_eq!(
        said.collect::<Vec<_>>(),
        [
            "fill up started",
            "fill completed",
            "second up started",
            "second completed",
            "second down started",
            "second taken back",
            "fill down started",
            "fill taken back",
        ],
        "{log}"
    );
}
