//! What lets a run rest: a window that closes while rows are filled, an order between two batches, a disk that runs full.

use crate::Desk;
use dunlin_testkit::engines::TestEngine;
use dunlin_testkit::for_each_engine;
use dunlin_testkit::sandbox::Running;
use std::time::Duration;

/// Fifty rows to be filled, one by one, with a tenth of a second between: five seconds.
fn desk(engine: TestEngine, more: &str) -> Desk {
    let desk = Desk::new(engine);
    let rows: Vec<String> = (4..=50).map(|id| format!("({id}, 'p')")).collect();
    let insert = format!(
        "INSERT INTO contacts (id, phone) VALUES {}",
        rows.join(", ")
    );
    let _ = desk.database.run(&insert);
    let _ = desk
        .database
        .run("ALTER TABLE contacts ADD COLUMN team int");
    let plan = format!(
        "name = \"filling\"\n\n[[phase]]\nid = \"one\"\n\n  [[phase.step]]\n  id = \"fill\"\n  \
         backfill = {{ table = \"contacts\", set = \"team = 1\", where = \"team IS NULL\", batch = 1, pause = \"100ms\", \
         new_rows = \"none\"{more} }}\n"
    );
    desk.sandbox.write("filling.plan.toml", plan);
    desk
}

fn filled(desk: &Desk) -> i64 {
    let filled = "SELECT count(*) FROM contacts WHERE team IS NOT NULL";
    desk.database.scalar(filled).parse().unwrap()
}

fn run(desk: &Desk) -> Running {
    desk.sandbox.spawn(["run", "filling"])
}

/// Requires that nothing is filled for longer than an order takes to be heard.
fn stands_still(desk: &Desk) -> i64 {
    let before = filled(desk);
    std::thread::sleep(Duration::from_millis(700));
    assert_eq!(filled(desk), before);
    before
}

for_each_engine! {
    /// The window closes while rows are filled: the step rests, says so and until when, and goes on by itself when the
    /// window opens. The clock goes 120 times as fast.
    async fn a_backfill_rests_outside_of_its_window_and_goes_on(engine: TestEngine) {
        let mut desk = desk(engine, ", window = \"02:00-03:00; 03:10-06:00\"");
        desk.sandbox.set("DUNLIN_TEST_NOW", "2026-01-02T02:56:00Z").set("DUNLIN_TEST_PACE", "120");
        let running = run(&desk);
        let _ = running.await_said("paused outside of the window \"02:00-03:00; 03:10-06:00\": it opens at 2026-01-02T03:10:00Z");
        let before = stands_still(&desk);
        assert!(before > 0 && before < 50, "{before}");
        let _ = running.await_said("goes on, after it was paused outside of the window \"02:00-03:00; 03:10-06:00\"\n");
        let ran = running.wait().success();
        assert!(ran.stderr.matches("paused outside").count() == 2, "said once, and that it is over: {}", ran.stderr);
        assert_eq!(filled(&desk), 50);
    }
}

for_each_engine! {
    /// Outside of its window a backfill does not begin: exit 3, with when it opens; inside, it does.
    async fn a_backfill_does_not_begin_outside_of_its_window(engine: TestEngine) {
        let mut desk = desk(engine, ", window = \"04:00-05:00\"");
        let (code, ran) = desk.json("run filling");
        assert_eq!(code, 3, "{ran:#}");
        let missing = ran["data"]["waiting"]["missing"][0].as_str().unwrap();
        assert!(missing.contains("\"04:00-05:00\": it opens at 2026-01-02T04:00:00Z"), "{ran:#}");
        assert_eq!(filled(&desk), 0);
        desk.sandbox.set("DUNLIN_TEST_NOW", "2026-01-02T04:30:00Z");
        let (code, ran) = desk.json("run filling");
        assert_eq!(code, 0, "{ran:#}");
        assert_eq!(filled(&desk), 50);
    }
}

for_each_engine! {
    /// An order to pause, to go on and to stop is heard between two batches; what is filled stands, and the next run goes
    /// on after it.
    async fn orders_are_heard_between_batches(engine: TestEngine) {
        let desk = desk(engine, "");
        let running = run(&desk);
        while filled(&desk) == 0 {
            std::thread::sleep(Duration::from_millis(50));
        }
        let _ = desk.dunlin("pause filling").success();
        let _ = running.await_said("paused by a person; `dunlin resume filling` lets it go on; `dunlin abort filling` ends it");
        let paused = stands_still(&desk);
        let _ = desk.dunlin("resume filling").success();
        let _ = running.await_said("goes on, after it was paused by a person");
        let _ = desk.dunlin("abort filling").success();
        let ran = running.wait().code(130);
        assert!(ran.stderr.contains("a person stopped the plan \"filling\"; nothing was undone"), "{}", ran.stderr);
        let stopped = stands_still(&desk);
        assert!(paused <= stopped && stopped < 50, "{paused}, {stopped}");
        let _ = run(&desk).wait().success();
        assert_eq!(filled(&desk), 50);
    }
}

/// A small file system of its own, in memory: what is free there changes by nobody else's doing.
#[tokio::test]
async fn a_run_rests_while_the_disk_has_no_room_and_goes_on() {
    let memory = tempfile::Builder::new()
        .prefix("dunlin-disk-")
        .tempdir_in("/dev/shm")
        .unwrap();
    let free = free_in(memory.path());
    // Within a container it may be 64 MB in all.
    let margin = (free / 4).min(64_000_000);
    let file = memory.path().join("app.db");
    let desk = Desk::new(dunlin_testkit::engines()[0]);
    let toml = format!(
        "[project]\nname = \"desk\"\n[database.app]\nurl = \"sqlite:{}\"\n",
        file.display()
    );
    std::fs::write(&file, "").unwrap();
    desk.sandbox.write("dunlin.toml", toml);
    let plan = format!(
        "name = \"filling\"\n[watch]\nmin_free_disk = \"{}KB\"\n\n[[phase]]\nid = \"one\"\n\n  \
         [[phase.step]]\n  id = \"made\"\n  sql = \"CREATE TABLE made (id int)\"\n\n  \
         [[phase.step]]\n  id = \"full\"\n  exec = {{ run = \"head -c {} /dev/zero > {}/fill; sleep 1.1\" }}\n  \
         undo = {{ none = \"it goes away\" }}\n\n  \
         [[phase.step]]\n  id = \"more\"\n  sql = \"CREATE TABLE more (id int)\"\n",
        (free - margin) / 1_000,
        2 * margin,
        memory.path().display()
    );
    desk.sandbox.write("filling.plan.toml", plan);
    let mut running = run(&desk);
    let _ = running.await_said("paused for want of disk: ");
    std::thread::sleep(Duration::from_millis(1_200));
    assert!(!running.ended());
    let there = |table: &str| {
        let database = rusqlite::Connection::open(&file).unwrap();
        database.table_exists(None, table).unwrap()
    };
    assert!(there("made") && !there("more"), "{}", running.stderr());
    std::fs::remove_file(memory.path().join("fill")).unwrap();
    let ran = running.wait().success();
    assert!(
        ran.stderr
            .contains("goes on, after it was paused for want of disk"),
        "{}",
        ran.stderr
    );
    assert!(there("more"));
}

/// As `df` says it.
fn free_in(folder: &std::path::Path) -> u64 {
    let asked = std::process::Command::new("df")
        .args(["--output=avail", "-B1"])
        .arg(folder)
        .output()
        .unwrap();
    let said = String::from_utf8(asked.stdout).unwrap();
    said.lines().last().unwrap().trim().parse().unwrap()
}
