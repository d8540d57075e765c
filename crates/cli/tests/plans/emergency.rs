//! `rollback --emergency`, on every engine: stop, the backup, start; and what keeps the next stage from happening.

use crate::{Desk, PLAN};
use dunlin_testkit::for_each_engine;
use serde_json::Value;

/// A desk whose first phase makes a backup, and whose application is stopped and started by what the test sets.
fn desk(engine: dunlin_testkit::TestEngine) -> Desk {
    let mut desk = Desk::new(engine);
    let plan = PLAN.replace(
        "id = \"tables\"\n",
        "id = \"tables\"\nbackup = \"database\"\n",
    );
    assert_ne!(plan, PLAN);
    desk.sandbox.write("owners.plan.toml", plan);
    let project = desk.sandbox.read("dunlin.toml");
    let emergency =
        "[emergency]\nstop = \"sh -c \\\"$APP_STOP\\\"\"\nstart = \"sh -c \\\"$APP_START\\\"\"\n";
    desk.sandbox
        .write("dunlin.toml", format!("{project}{emergency}"));
    desk.sandbox
        .set("APP_STOP", "echo stop >> order")
        .set("APP_START", "echo start >> order");
    desk
}

/// The stages with their outcomes, as the answer has them.
fn stages(answer: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let stages = answer["data"]["stages"].as_array().unwrap();
    stages
        .iter()
        .map(|stage| (text(&stage["stage"]), text(&stage["outcome"])))
        .collect()
}

fn pairs(wanted: &[(&str, &str)]) -> Vec<(String, String)> {
    let own = |(stage, outcome): &(&str, &str)| ((*stage).to_owned(), (*outcome).to_owned());
    wanted.iter().map(own).collect()
}

/// The one backup's file.
fn backup(desk: &Desk) -> std::path::PathBuf {
    let folder = desk.sandbox.path("backups");
    let files = std::fs::read_dir(folder).unwrap();
    let mut found: Vec<_> = files
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_file() && path.extension().is_some_and(|end| end != "json"))
        .filter(|path| path.extension().is_some_and(|end| end != "ndjson"))
        .collect();
    assert_eq!(found.len(), 1, "{found:?}");
    found.pop().unwrap()
}

for_each_engine! {
    /// Everything since the backup is gone, what it replaces is kept, and the plan begins anew.
    async fn everything_is_as_the_backup_has_it(engine: TestEngine) {
        let desk = desk(engine);
        let before = desk.picture();
        let (code, ran) = desk.json("run owners");
        assert_eq!(code, 0, "{ran:#}");
        let _ = desk.database.run("UPDATE contacts SET name = 'spoilt'");
        let _ = desk.database.run("CREATE TABLE strange (id int)");
        assert_ne!(desk.picture(), before);

        let (code, done) = desk.json("rollback owners --emergency");
        assert_eq!(code, 0, "{done:#}");
        assert_eq!(stages(&done), pairs(&[("stop", "done"), ("restore", "done"), ("start", "done")]));
        assert_eq!(desk.sandbox.read("order"), "stop\nstart\n");
        assert_eq!(desk.picture(), before);
        let record = desk.sandbox.read(done["data"]["record"].as_str().unwrap());
        assert_eq!(record.lines().count(), 3, "{record}");

        let (code, ran) = desk.json("run owners");
        assert_eq!(code, 0, "{ran:#}");
        assert_eq!(Desk::state(&ran, "rows"), "done");
    }
}

for_each_engine! {
    /// Without a verified backup, and with a damaged one, nobody is stopped and nothing is touched.
    async fn nobody_is_stopped_for_a_backup_that_cannot_come_back(engine: TestEngine) {
        let desk = desk(engine);
        let (code, none) = desk.json("rollback owners --emergency");
        assert_eq!((code, &none["failure"]["code"]), (4, &"no-backup".into()), "{none:#}");

        let _ = desk.dunlin("run owners").success();
        let after = desk.picture();
        let file = backup(&desk);
        let project = desk.sandbox.read("dunlin.toml");
        desk.sandbox.write("dunlin.toml", project.replace("[database.app]\n", "[database.app]\nprotected = true\n"));
        let (code, protected) = desk.json("rollback owners --emergency");
        assert_eq!((code, &protected["failure"]["code"]), (4, &"protected".into()), "{protected:#}");
        desk.sandbox.write("dunlin.toml", project);

        let mut bytes = std::fs::read(&file).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        std::fs::write(&file, bytes).unwrap();
        let (code, damaged) = desk.json("rollback owners --emergency");
        assert_eq!(code, 5, "{damaged:#}");
        assert!(damaged["failure"]["message"].as_str().unwrap().contains("its hash differs"), "{damaged:#}");
        assert!(!desk.sandbox.path("order").exists(), "somebody was stopped");
        assert_eq!(desk.picture(), after);
    }
}

for_each_engine! {
    /// A stop that fails keeps the backup where it is; a start that fails says that the data is back.
    async fn a_stage_that_fails_is_told_and_ends_it(engine: TestEngine) {
        let mut desk = desk(engine);
        let before = desk.picture();
        let _ = desk.dunlin("run owners").success();
        let after = desk.picture();

        desk.sandbox.set("APP_STOP", "echo still-busy >&2; exit 3");
        let (code, failed) = desk.json("rollback owners --emergency");
        assert_eq!((code, &failed["failure"]["code"]), (1, &"emergency-command".into()), "{failed:#}");
        assert!(failed["failure"]["message"].as_str().unwrap().contains("still-busy"), "{failed:#}");
        assert_eq!(stages(&failed), pairs(&[("stop", "failed")]));
        assert_eq!(desk.picture(), after);

        desk.sandbox.set("APP_STOP", "echo stop >> order").set("APP_START", "exit 9");
        let (code, failed) = desk.json("rollback owners --emergency");
        assert_eq!((code, &failed["failure"]["code"]), (1, &"emergency-command".into()), "{failed:#}");
        let message = failed["failure"]["message"].as_str().unwrap();
        assert!(message.contains("the database is restored"), "{message}");
        assert_eq!(stages(&failed), pairs(&[("stop", "done"), ("restore", "done"), ("start", "failed")]));
        assert_eq!(desk.picture(), before);
    }
}

for_each_engine! {
    /// While a runner is at work nothing is replaced under its hands: nobody is stopped, and it is said who is at work.
    async fn a_runner_at_work_is_not_replaced_under(engine: TestEngine) {
        let desk = desk(engine);
        let plan = desk.sandbox.read("owners.plan.toml");
        let wait = "  [[phase.step]]\n  id = \"linger\"\n  exec = { run = \"touch there; sleep 20\", timeout = \"60s\" }\n  undo = \"none\"\n";
        desk.sandbox.write("owners.plan.toml", format!("{plan}\n{wait}"));
        let running = desk.sandbox.spawn(["run", "owners"]);
        let patience = std::time::Instant::now();
        while !desk.sandbox.path("there").exists() {
            assert!(patience.elapsed().as_secs() < 60, "the step never began");
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        let after = desk.picture();
        let (code, locked) = desk.json("rollback owners --emergency");
        assert_eq!(code, 6, "{locked:#}");
        assert!(!desk.sandbox.path("order").exists(), "somebody was stopped: {locked:#}");
        assert_eq!(desk.picture(), after);
        running.signal("KILL");
        drop(running);
        let (code, done) = desk.json("rollback owners --emergency");
        assert_eq!(code, 0, "{done:#}");
        assert_eq!(stages(&done).len(), 3);
    }
}

for_each_engine! {
    /// Ctrl-C, or a SIGTERM, while the application is being stopped: that ends, and nothing is restored. Whoever is to be told
    /// of failures is told.
    async fn who_changes_their_mind_keeps_what_is_there(engine: TestEngine) {
        for signal in ["INT", "TERM"] {
            let mut desk = desk(engine);
            let project = desk.sandbox.read("dunlin.toml");
            let told = "[notify]\non = [\"failed\"]\nexec = \"echo {event} {summary} >> told\"\n";
            let _ = desk.sandbox.write("dunlin.toml", format!("{project}{told}"));
            let (code, ran) = desk.json("run owners");
            assert_eq!(code, 0, "{ran:#}");
            let before = desk.picture();
            desk.sandbox.set("APP_STOP", "echo stop >> order; while ! test -e go; do sleep 0.05; done");
            let running = desk.sandbox.spawn(["rollback", "owners", "--emergency", "--format", "json"]);
            let _ = desk.sandbox.await_text("order", "stop");
            running.signal(signal);
            let _ = running.await_said("stopping after this statement");
            let _ = desk.sandbox.write("go", "");
            let ended = running.wait();
            let answer = ended.json();
            assert_eq!(answer["exit_code"], 130, "{answer:#}");
            assert_eq!(stages(&answer), pairs(&[("stop", "done")]));
            assert!(answer["failure"]["message"].to_string().contains("the application is stopped"), "{answer:#}");
            assert_eq!(desk.picture(), before);
            assert_eq!(desk.sandbox.read("order"), "stop\n");
            assert!(desk.sandbox.read("told").contains("failed emergency rollback of"));
        }
    }
}
