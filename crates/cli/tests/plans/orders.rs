//! Orders from another process while a plan runs, and signals: pause, resume, abort, Ctrl-C, SIGTERM.

use crate::Desk;
use dunlin_testkit::for_each_engine;
use dunlin_testkit::sandbox::Running;
use std::time::Duration;

/// Three steps; the command in the middle says that it has begun, and lasts until it is let go.
const PLAN: &str = r#"
name = "with orders"

[[phase]]
id = "one"

  [[phase.step]]
  id = "made"
  sql = "CREATE TABLE made (id int NOT NULL PRIMARY KEY)"

  [[phase.step]]
  id = "held"
  exec = { run = "echo >> begun; while ! test -e go; do sleep 0.05; done" }
  undo = { none = "it only waits" }

  [[phase.step]]
  id = "row"
  sql = "INSERT INTO made (id) VALUES (1)"

[[phase]]
id = "two"

  [[phase.step]]
  id = "again"
  sql = "INSERT INTO made (id) VALUES (2)"
"#;

/// A run whose command in the middle has begun, long enough ago that the journal is asked for orders before the next
/// step.
fn held(desk: &Desk) -> Running {
    held_in(desk, PLAN)
}

fn held_in(desk: &Desk, plan: &str) -> Running {
    desk.sandbox.write("orders.plan.toml", plan);
    let running = desk.sandbox.spawn(["run", "orders", "--format", "json"]);
    let _ = desk.sandbox.await_text("begun", "\n");
    std::thread::sleep(Duration::from_millis(1_100));
    running
}

fn rows(desk: &Desk) -> String {
    desk.database.scalar("SELECT count(*) FROM made")
}

/// The outcome of the newest run, as `runs` tells it.
fn newest(desk: &Desk) -> serde_json::Value {
    let (code, runs) = desk.json("runs");
    assert_eq!(code, 0, "{runs:#}");
    let runs = runs["data"]["runs"].as_array().unwrap().clone();
    runs.last().unwrap().clone()
}

for_each_engine! {
    /// `pause` from another process: the step under way ends, the next one does not begin until `resume` is said.
    async fn a_run_pauses_and_goes_on(engine: TestEngine) {
        let desk = Desk::new(engine);
        let mut running = held(&desk);
        // Meanwhile it is on record as a run without an end, and others see who holds the lease.
        let meanwhile = newest(&desk);
        assert!(meanwhile["outcome"].is_null(), "{meanwhile:#}");
        let (_, status) = desk.json("status");
        assert!(!status["data"]["lease"].is_null(), "{status:#}");
        let (code, locked) = desk.json("run orders --no-wait");
        assert_eq!(code, 6, "{locked:#}");

        let (code, said) = desk.json("pause orders");
        assert_eq!(code, 0, "{said:#}");
        desk.sandbox.write("go", "");
        std::thread::sleep(Duration::from_millis(1_500));
        assert!(!running.ended(), "{}", running.stderr());
        assert_eq!(rows(&desk), "0", "the step after it has not begun");
        let (code, _) = desk.json("resume orders");
        assert_eq!(code, 0);
        let ran = running.wait().success().json();
        assert_eq!(Desk::state(&ran, "two"), "done", "{ran:#}");
        assert_eq!(rows(&desk), "2");
        assert_eq!(newest(&desk)["outcome"], "done");
        assert_eq!(desk.sandbox.read("begun").len(), 1, "the command ran once");
    }
}

for_each_engine! {
    /// `abort` from another process: it stops before its next step with 130, undoes nothing, and the next run goes on.
    /// Said while nothing runs, or before a run that has begun since, it stops nobody.
    async fn a_run_is_stopped_and_goes_on_later(engine: TestEngine) {
        let desk = Desk::new(engine);
        // Long enough that the second run, too, asks for orders.
        let slow = "  [[phase.step]]\n  id = \"slow\"\n  exec = { run = \"sleep 1.1\" }\n  undo = { none = \"it only waits\" }\n\n";
        let again = "  [[phase.step]]\n  id = \"again\"";
        let running = held_in(&desk, &PLAN.replace(again, &format!("{slow}{again}")));
        let (code, _) = desk.json("abort orders");
        assert_eq!(code, 0);
        desk.sandbox.write("go", "");
        let ran = running.wait().code(130).json();
        assert_eq!(ran["outcome"], "interrupted");
        assert_eq!(ran["failure"]["code"], "aborted", "{ran:#}");
        assert_eq!(Desk::state(&ran, "one"), "running", "{ran:#}");
        assert_eq!(rows(&desk), "0", "nothing is undone, and nothing more was done");
        assert_eq!(newest(&desk)["outcome"], "interrupted");
        let (code, _) = desk.json("abort orders");
        assert_eq!(code, 0);
        let (code, ran) = desk.json("run orders");
        assert_eq!(code, 0, "{ran:#}");
        assert_eq!(rows(&desk), "2");
        assert_eq!(desk.sandbox.read("begun").len(), 1, "the command ran once");
    }
}

for_each_engine! {
    /// An order that the run learns of while it does something else than asking for one is heard all the same.
    async fn an_abort_is_heard_between_phases(engine: TestEngine) {
        let desk = Desk::new(engine);
        let plan = PLAN.replace("\n[[phase]]\nid = \"two\"", "").replace(
            "  [[phase.step]]\n  id = \"row\"",
            "[[phase]]\nid = \"two\"\n\n  [[phase.step]]\n  id = \"slow\"\n  exec = { run = \"sleep 1.1\" }\n  \
             undo = { none = \"it only waits\" }\n\n  [[phase.step]]\n  id = \"row\"",
        );
        desk.sandbox.write("orders.plan.toml", plan);
        let running = desk.sandbox.spawn(["run", "orders", "--format", "json"]);
        let _ = desk.sandbox.await_text("begun", "\n");
        let (code, _) = desk.json("abort orders");
        assert_eq!(code, 0);
        // The last step of its phase: the journal is read when the phase ends.
        desk.sandbox.write("go", "");
        let ran = running.wait().code(130).json();
        assert_eq!(ran["failure"]["code"], "aborted", "{ran:#}");
        assert_eq!(rows(&desk), "0");
    }
}

for_each_engine! {
    /// Ctrl-C once, and SIGTERM: the step under way ends and is recorded, nothing further begins; 130.
    async fn signals_stop_after_the_step(engine: TestEngine) {
        for signal in ["INT", "TERM"] {
            let desk = Desk::new(engine);
            let running = held(&desk);
            running.signal(signal);
            let _ = running.await_said("stopping after this statement");
            desk.sandbox.write("go", "");
            let ran = running.wait().code(130).json();
            assert_eq!(ran["failure"]["code"], "interrupted", "{ran:#}");
            let steps = ran["data"]["phases"][0]["steps"].as_array().unwrap().clone();
            let state = |id: &str| {
                let step = steps.iter().find(|step| step["id"] == id).unwrap();
                step["state"].as_str().unwrap().to_owned()
            };
            assert_eq!((state("held"), state("row")), ("done".into(), "pending".into()), "{ran:#}");
            assert_eq!(newest(&desk)["outcome"], "interrupted");
            let (code, ran) = desk.json("run orders");
            assert_eq!(code, 0, "{ran:#}");
            assert_eq!(rows(&desk), "2");
            assert_eq!(desk.sandbox.read("begun").len(), 1, "the command ran once");
        }
    }
}

for_each_engine! {
    /// Ctrl-C twice ends a command under way; whether it took effect nobody knows, so a person says it.
    async fn twice_ends_the_command_and_a_person_says_what_became_of_it(engine: TestEngine) {
        let desk = Desk::new(engine);
        let running = held(&desk);
        running.signal("INT");
        let _ = running.await_said("stopping after this statement");
        running.signal("INT");
        let ran = running.wait().code(130).json();
        assert_eq!(ran["failure"]["code"], "interrupted", "{ran:#}");
        let (code, doubt) = desk.json("run orders");
        assert_eq!((code, doubt["failure"]["code"].as_str()), (7, Some("in-doubt")), "{doubt:#}");
        let (code, _) = desk.json("confirm orders held --by Dee");
        assert_eq!(code, 0);
        let (code, ran) = desk.json("run orders");
        assert_eq!(code, 0, "{ran:#}");
        assert_eq!(rows(&desk), "2");
        assert_eq!(desk.sandbox.read("begun").len(), 1, "the command ran once");
    }
}

for_each_engine! {
    /// Ctrl-C twice ends a check under way, of the phase or of a step; the next run asks it again.
    async fn twice_ends_a_check(engine: TestEngine) {
        let waits = "exec = { run = \"echo >> begun; while ! test -e go; do sleep 0.05; done\" }";
        let of_phase = format!("\n  [[phase.check]]\n  id = \"held-up\"\n  {waits}\n\n[[phase]]\nid = \"two\"");
        let of_step = format!("id = \"row\"\n\n    [[phase.step.check]]\n    id = \"held-up\"\n    {waits}\n  [[phase.step]]\n  id = \"more\"");
        let calm = PLAN.replace("run = \"echo >> begun; while ! test -e go; do sleep 0.05; done\"", "run = \"true\"");
        let row = "id = \"row\"\n  sql = \"INSERT INTO made (id) VALUES (1)\"";
        assert!(calm.contains(row) && calm.contains("[[phase]]\nid = \"two\""));
        let of_step = of_step.replacen("id = \"row\"", row, 1);
        for plan in [
            calm.replace("[[phase]]\nid = \"two\"", of_phase.trim_start()),
            calm.replace(row, &format!("{of_step}\n  sql = \"INSERT INTO made (id) VALUES (3)\"")),
        ] {
            let desk = Desk::new(engine);
            let running = held_in(&desk, &plan);
            for said in ["stopping after", "cancelling"] {
                running.signal("INT");
                let _ = running.await_said(said);
            }
            let stopped = running.wait().json();
            assert_eq!(stopped["exit_code"], 130, "{stopped:#}");
            assert!(stopped["failure"]["message"].to_string().contains("check `held-up` was ended"), "{stopped:#}");
            let _ = desk.sandbox.write("go", "");
            let (code, ran) = desk.json("run orders");
            assert_eq!(code, 0, "{ran:#}");
            assert!(desk.sandbox.read("begun").len() >= 2);
        }
    }
}

for_each_engine! {
    /// Said before a run begins, or of one that has died since, a pause holds before its first step, however short it is.
    async fn a_pause_that_was_said_before_holds(engine: TestEngine) {
        let desk = Desk::new(engine);
        desk.plan("short", "", "sql = \"CREATE TABLE short (id int NOT NULL PRIMARY KEY)\"\n");
        desk.plan("other", "", "sql = \"CREATE TABLE other (id int NOT NULL PRIMARY KEY)\"\n");
        assert_eq!(desk.json("run other").0, 0);
        let (code, said) = desk.json("pause short");
        assert_eq!(code, 0, "{said:#}");
        let running = desk.sandbox.spawn(["run", "short"]);
        let _ = running.await_said("paused by a person; `dunlin resume short` lets it go on");
        assert!(!desk.picture().contains(&"table short".to_owned()));
        let (code, said) = desk.json("resume short");
        assert_eq!(code, 0, "{said:#}");
        let _ = running.wait().code(0);
        assert!(desk.picture().contains(&"table short".to_owned()));
    }
}
