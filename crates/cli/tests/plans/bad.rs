//! Bad input: each is refused with its code, and nothing is touched.

use crate::{Desk, PLAN};
use dunlin_testkit::TestEngine;
use dunlin_testkit::for_each_engine;
use std::time::Duration;

/// A plan of one phase with these steps.
fn plan(steps: &str) -> String {
    format!("name = \"bad\"\n[[phase]]\nid = \"only\"\ntitle = \"Only\"\n{steps}")
}

fn step(id: &str, what: &str) -> String {
    format!("[[phase.step]]\nid = \"{id}\"\n{what}\n")
}

/// What is wrong with a file is found before any database is asked, by every command that reads it.
#[test]
fn plans_that_cannot_be_read_are_refused_before_anything_is_touched() {
    let desk = Desk::new(TestEngine::Sqlite);
    let before = std::fs::read(desk.database.file().unwrap()).unwrap();
    let select = "sql = \"SELECT 1\"";
    for (code, text) in [
        (
            "unknown-key",
            plan(&step("a", "teleport = { to = \"mars\" }")),
        ),
        (
            "exactly-one",
            plan(&step(
                "a",
                &format!("{select}\nmanual = {{ do = \"look\" }}"),
            )),
        ),
        ("exactly-one", plan(&step("a", "title = \"nothing to do\""))),
        (
            "needs-cycle",
            plan(
                &(step("a", &format!("{select}\nneeds = [\"b\"]"))
                    + &step("b", &format!("{select}\nneeds = [\"a\"]"))),
            ),
        ),
        (
            "unknown-need",
            plan(&step("a", &format!("{select}\nneeds = [\"nowhere\"]"))),
        ),
        (
            "file-missing",
            plan(&step("a", "sql = \"steps/nowhere.sql\"")),
        ),
        (
            "undo-missing",
            plan(&step("a", "exec = { run = \"true\" }")),
        ),
        (
            "duplicate-id",
            plan(&(step("a", select) + &step("a", select))),
        ),
        ("toml-syntax", plan("[[phase.step]\nid = \"a\"\n")),
    ] {
        desk.sandbox.write("bad.plan.toml", &text);
        for line in [
            "plan show bad",
            "plan check bad",
            "run bad",
            "approve bad only --by Ann",
            "rollback bad",
        ] {
            let (exit, answer) = desk.json(line);
            assert_eq!(exit, 2, "{line} of\n{text}\n{answer:#}");
            assert!(
                answer.to_string().contains(code),
                "no {code}: {line} of\n{text}\n{answer:#}"
            );
        }
    }
    let after = std::fs::read(desk.database.file().unwrap()).unwrap();
    assert!(before == after, "the file has been written to");
}

/// A plan is read while its server is asked for: who waits for a server that is not there yet is told of the plan's faults
/// all the same.
#[test]
fn the_faults_of_a_plan_wait_for_no_server() {
    let desk = Desk::new(TestEngine::Sqlite);
    let bad = plan(&step("a", "teleport = { to = \"mars\" }"));
    desk.sandbox.write("bad.plan.toml", bad);
    // Port 1 is nobody's: every attempt is refused, and made again for as long as is waited.
    let began = std::time::Instant::now();
    let line = "run bad --wait 60s --url postgres://nobody@127.0.0.1:1/none";
    let (exit, answer) = desk.json(line);
    assert_eq!(exit, 2, "{answer:#}");
    assert!(answer.to_string().contains("unknown-key"), "{answer:#}");
    assert!(began.elapsed() < Duration::from_secs(20));
}

/// An undo that cannot be derived is found by the check, and by the run before the phase begins.
#[test]
fn a_step_without_a_way_back_is_refused_before_it_runs() {
    let desk = Desk::new(TestEngine::Sqlite);
    let before = desk.picture();
    let text = plan(&step("a", "sql = \"DELETE FROM contacts\""));
    desk.sandbox.write("bad.plan.toml", text);
    let (exit, answer) = desk.json("plan check bad");
    assert!(
        exit == 4 && answer.to_string().contains("no-inverse"),
        "{answer:#}"
    );
    let (exit, answer) = desk.json("run bad");
    assert!(
        exit == 4 && answer.to_string().contains("no-inverse"),
        "{answer:#}"
    );
    assert_eq!(desk.picture(), before);
}

/// A gate is opened by somebody with a name.
#[test]
fn nobody_cannot_approve_and_nobody_can_confirm() {
    let desk = Desk::new(TestEngine::Sqlite);
    let text = plan(&step(
        "a",
        "manual = { do = \"look\" }\nundo = { none = \"seen\" }",
    ));
    let text = text.replace(
        "title = \"Only\"\n",
        "title = \"Only\"\ngate = \"approve\"\n",
    );
    desk.sandbox.write("bad.plan.toml", text);
    let run = |args: &[&str]| desk.sandbox.dunlin(args).code;
    for nobody in [&["approve", "bad", "only"][..], &["confirm", "bad", "a"]] {
        assert_eq!(run(nobody), Some(2));
        for by in ["", "  "] {
            assert_eq!(
                run(&[nobody, &["--by", by]].concat()),
                Some(2),
                "{nobody:?} by `{by}`"
            );
        }
    }
    let (exit, ran) = desk.json("run bad");
    assert_eq!(
        (exit, Desk::state(&ran, "only").as_str()),
        (3, "waiting"),
        "{ran:#}"
    );
}

for_each_engine! {
    /// A service that does not answer: before, it refuses; after, the phase goes back; as a step, it fails.
    async fn an_endpoint_that_is_down(engine: TestEngine) {
        let desk = Desk::new(engine);
        let before = desk.picture();
        // Bound and let go again: nobody listens there.
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let table = step("table", "sql = \"CREATE TABLE made (id int NOT NULL PRIMARY KEY)\"");
        let check = |when: &str| {
            format!("[[phase.check]]\nid = \"api\"\nwhen = \"{when}\"\nhttp = {{ url = \"http://{free}/x\", status = 200 }}\n")
        };
        let call = step("call", &format!("http = {{ method = \"POST\", url = \"http://{free}/x\" }}\nundo = {{ none = \"a reload\" }}"));
        for (text, exit, named) in [
            (plan(&(check("before") + &table)), 4, "api"),
            (plan(&(check("after") + &table)), 1, "api"),
            (plan(&(table.clone() + &call)), 1, "call"),
        ] {
            desk.sandbox.write("bad.plan.toml", &text);
            let (code, answer) = desk.json("run bad");
            assert_eq!(code, exit, "{text}\n{answer:#}");
            assert!(answer["failure"].to_string().contains(named), "{answer:#}");
            assert_eq!(desk.picture(), before, "{text}");
        }
    }
}

for_each_engine! {
    /// A plan says for which database it is. Chosen for another one, no verb takes it, and neither database is touched;
    /// what was begun in one database is unknown to the other.
    async fn a_plan_of_another_database_is_refused(engine: TestEngine) {
        let desk = Desk::new(engine);
        let other = Desk::new(engine);
        let (before, elsewhere) = (desk.picture(), other.picture());
        let toml = |app: &Desk, second: &Desk| format!(
            "[project]\nname = \"desk\"\n[database.app]\nurl = \"{}\"\n[database.second]\nurl = \"{}\"\n",
            app.database.url(),
            second.database.url()
        );
        desk.sandbox.write("dunlin.toml", toml(&desk, &other));
        desk.sandbox.write("owners.plan.toml", PLAN.replace("name = \"to owners\"", "name = \"to owners\"\ndatabase = \"app\""));
        for line in ["run owners", "rollback owners", "approve owners tables --by Ann", "pause owners", "plan check owners"] {
            let (code, refused) = desk.json(&format!("{line} -d second"));
            assert_eq!(code, 2, "{line}: {refused:#}");
            assert_eq!(refused["findings"][0]["code"], "other-database", "{line}: {refused:#}");
        }
        desk.sandbox.write("lost.plan.toml", PLAN.replace("name = \"to owners\"", "name = \"lost\"\ndatabase = \"nowhere\""));
        let (code, refused) = desk.json("run lost");
        assert_eq!((code, refused["failure"]["code"].as_str()), (2, Some("unknown-database")), "{refused:#}");
        assert_eq!((desk.picture(), other.picture()), (before, elsewhere.clone()));

        let _ = desk.dunlin("run owners").success();
        let done = desk.picture();
        // The same name leads to another database now: there nothing was begun, and nothing is taken back.
        desk.sandbox.write("dunlin.toml", toml(&other, &desk));
        let (code, back) = desk.json("rollback owners");
        assert_eq!(code, 0, "{back:#}");
        assert_eq!(Desk::state(&back, "tables"), "pending", "{back:#}");
        let (code, refused) = desk.json("pause owners");
        assert_eq!((code, refused["failure"]["code"].as_str()), (4, Some("plan-not-begun")), "{refused:#}");
        assert_eq!((desk.picture(), other.picture()), (done, elsewhere));
    }
}

for_each_engine! {
    /// A phase is taken out of the file while it runs: its runner goes on with what it has read; everybody else is
    /// refused, also when it has died, until the file is as it was.
    async fn a_phase_removed_from_a_running_plan(engine: TestEngine) {
        let desk = Desk::new(engine);
        let held = "\n  [[phase.step]]\n  id = \"held\"\n  exec = { run = \"touch begun; while ! test -e go; do sleep 0.05; done\", rerunnable = true }\n  undo = { none = \"it waits\" }\n";
        let (first, second) = PLAN.split_once("\n[[phase]]\nid = \"rows\"").unwrap();
        let whole = format!("{first}{held}\n[[phase]]\nid = \"rows\"{second}");
        let without = format!("name = \"to owners\"\n\n[[phase]]\nid = \"rows\"{second}");
        desk.sandbox.write("owners.plan.toml", &whole);
        let running = desk.sandbox.spawn(["run", "owners"]);
        while !desk.sandbox.path("begun").exists() {
            std::thread::sleep(Duration::from_millis(20));
        }
        desk.sandbox.write("owners.plan.toml", &without);
        let refused = |line: &str| {
            let (code, refused) = desk.json(line);
            assert_eq!((code, refused["failure"]["code"].as_str()), (5, Some("changed-plan")), "{line}: {refused:#}");
            let message = refused["failure"]["message"].as_str().unwrap();
            assert!(message.contains("phase `tables` has begun, and the plan file does not have it any more"), "{message}");
        };
        refused("run owners");
        refused("rollback owners");
        running.signal("KILL");
        let _ = running.wait();
        refused("run owners");
        refused("rollback owners");
        desk.sandbox.write("owners.plan.toml", &whole).write("go", "");
        let (code, ran) = desk.json("run owners");
        assert_eq!(code, 0, "{ran:#}");
        assert_eq!(Desk::state(&ran, "rows"), "done", "{ran:#}");
    }
}
