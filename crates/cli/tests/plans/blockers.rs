//! `kill_blockers`: who keeps a step waiting longer than its author allows is ended, and nobody else.

use crate::Desk;
use dunlin_testkit::engines::TestEngine;
use dunlin_testkit::for_each_engine;
use std::time::{Duration, Instant};

/// How long somebody else's transaction lasts where nobody ends it, in seconds.
const LASTS: u64 = 12;

/// A project with a plan of one step, patient for three seconds.
fn desk(engine: TestEngine, step: &str) -> Desk {
    let desk = Desk::new(engine);
    if engine.is_mysql_family() {
        // Of MariaDB alone; it is there already where another test was first.
        let _ = desk.database.try_run("INSTALL SONAME 'metadata_lock_info'");
    }
    let toml = format!(
        "[project]\nname = \"desk\"\n[database.app]\nurl = \"{}\"\nlock_patience = \"3s\"\n",
        desk.database.url()
    );
    desk.sandbox.write("dunlin.toml", toml);
    let plan = format!(
        "name = \"blocked\"\n\n[[phase]]\nid = \"one\"\n\n  [[phase.step]]\n  id = \"waits\"\n  {step}\n"
    );
    desk.sandbox.write("blocked.plan.toml", plan);
    desk
}

/// Another person's transaction, which has changed a contact and then thinks.
fn somebody<'s>(
    scope: &'s std::thread::Scope<'s, '_>,
    desk: &'s Desk,
) -> std::thread::ScopedJoinHandle<'s, bool> {
    let sleep = desk.engine.pick("", "SELECT pg_sleep", "SELECT SLEEP");
    let sql = format!(
        "BEGIN; UPDATE contacts SET phone = 'theirs' WHERE id = 1; {sleep}({LASTS}); COMMIT"
    );
    let thread = scope.spawn(move || desk.database.try_run(&sql).is_ok());
    let at_work = desk.engine.pick(
        "",
        &format!(
            "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep({LASTS})%' AND state = 'active' AND \
             datname = current_database() AND pid <> pg_backend_pid()"
        ),
        &format!(
            "SELECT count(*) FROM information_schema.processlist WHERE info LIKE '%SLEEP({LASTS})%' AND db = database() AND \
             id <> connection_id()"
        ),
    )
    .to_owned();
    let began = Instant::now();
    while desk.database.scalar(&at_work) == "0" {
        assert!(began.elapsed() < Duration::from_secs(30), "nobody");
        std::thread::sleep(Duration::from_millis(20));
    }
    thread
}

const CHANGES: [&str; 3] = [
    "sql = \"ALTER TABLE contacts ADD COLUMN later varchar(40)\"",
    "sql = \"UPDATE contacts SET name = 'ours' WHERE id = 1\"\n  undo = { none = \"a test\" }",
    "backfill = { table = \"contacts\", set = \"name = 'ours'\", batch = 10, pause = \"0s\", new_rows = \"none\" }",
];

for_each_engine! {
    only servers
    /// A definition, a row and a batch of rows that somebody keeps locked: after two seconds their session is ended, and
    /// the step goes on.
    async fn whoever_blocks_too_long_is_ended(engine: TestEngine) {
        for change in CHANGES {
            let desk = desk(engine, &format!("{change}\n  kill_blockers = \"after 2s\""));
            let began = Instant::now();
            std::thread::scope(|scope| {
                let theirs = somebody(scope, &desk);
                let ran = desk.dunlin("run blocked").success();
                assert!(began.elapsed() < Duration::from_secs(LASTS - 2), "it did not wait for them");
                assert!(ran.stderr.contains("kept it waiting for 2 s and was ended, as `kill_blockers` says"), "{change}: {}", ran.stderr);
                assert!(!theirs.join().unwrap(), "their transaction is gone");
            });
            assert_eq!(desk.database.scalar("SELECT phone FROM contacts WHERE id = 1"), "+90 555");
        }
    }
}

for_each_engine! {
    only servers
    /// Without it nobody is ended: the step fails when its patience is over, and their transaction commits. Neither is
    /// who blocks for a shorter time.
    async fn nobody_else_is_ended(engine: TestEngine) {
        let desk = desk(engine, CHANGES[0]);
        std::thread::scope(|scope| {
            let theirs = somebody(scope, &desk);
            let (code, ran) = desk.json("run blocked");
            assert_eq!((code, ran["failure"]["code"].as_str()), (1, Some("lock-timeout")), "{ran:#}");
            assert!(theirs.join().unwrap(), "their transaction has committed");
        });
        assert_eq!(desk.database.scalar("SELECT phone FROM contacts WHERE id = 1"), "theirs");
        desk.sandbox.write("blocked.plan.toml", desk.sandbox.read("blocked.plan.toml") + "  kill_blockers = \"after 1h\"\n");
        std::thread::scope(|scope| {
            let theirs = somebody(scope, &desk);
            let ran = desk.dunlin("run blocked").success();
            assert!(!ran.stderr.contains("was ended"), "{}", ran.stderr);
            assert!(theirs.join().unwrap(), "their transaction has committed");
        });
    }
}

/// SQLite has no sessions that could be ended, and the plan says so.
#[test]
fn where_there_is_nobody_to_end_it_is_said() {
    let step = format!("{}\n  kill_blockers = \"after 2s\"", CHANGES[0]);
    let desk = desk(dunlin_testkit::engines()[0], &step);
    let checked = desk.dunlin("plan check blocked").success();
    assert!(
        checked.stdout.contains("`kill_blockers` does nothing here"),
        "{}",
        checked.stdout
    );
    let ran = desk.dunlin("run blocked").success();
    assert!(
        ran.stderr.contains("`kill_blockers` does nothing here"),
        "{}",
        ran.stderr
    );
}
