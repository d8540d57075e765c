//! The checks of steps: one that did not hold, or that nobody has answered, lets nothing further happen, also in the next
//! run, and whoever ran the step may have died before it was through.

use crate::Desk;
use dunlin_testkit::for_each_engine;

/// A plan of one phase: a table, what its check is, and a step after it.
fn plan(desk: &Desk, head: &str, check: &str) {
    let text = format!(
        "name = \"looked\"\n{head}\n[[phase]]\nid = \"one\"\n\n  [[phase.step]]\n  id = \"made\"\n  \
         sql = \"CREATE TABLE made (id int NOT NULL PRIMARY KEY)\"\n\n    [[phase.step.check]]\n    id = \"looked-at\"\n    \
         {check}\n\n  [[phase.step]]\n  id = \"after\"\n  sql = \"CREATE TABLE later (id int NOT NULL PRIMARY KEY)\"\n"
    );
    let _ = desk.sandbox.write("looked.plan.toml", text);
}

fn tables(desk: &Desk) -> Vec<String> {
    let lines = desk.picture().into_iter();
    let tables = lines.filter_map(|line| line.strip_prefix("table ").map(str::to_owned));
    tables
        .filter(|table| ["made", "later"].contains(&table.as_str()))
        .collect()
}

for_each_engine! {
    /// Where the step stands although its check does not hold, the next run asks the check again before it goes on.
    async fn a_check_that_did_not_hold_is_asked_again(engine: TestEngine) {
        let desk = Desk::new(engine);
        plan(&desk, "on_failure = \"stop\"", "sql = \"SELECT count(*) FROM made\"\n    expect = \"= 1\"");
        for _ in 0..2 {
            let (code, ran) = desk.json("run looked");
            assert_eq!((code, ran["failure"]["code"].as_str()), (1, Some("check-failed")), "{ran:#}");
            assert_eq!(tables(&desk), ["made"]);
        }
        let _ = desk.database.run("INSERT INTO made (id) VALUES (1)");
        let (code, ran) = desk.json("run looked");
        assert_eq!(code, 0, "{ran:#}");
        assert_eq!(tables(&desk), ["later", "made"]);
    }
}

for_each_engine! {
    /// A step that is not critical is passed over with its check, and the check is asked once.
    async fn a_step_that_is_not_critical_is_passed_over_with_its_check(engine: TestEngine) {
        let desk = Desk::new(engine);
        plan(&desk, "", "sql = \"SELECT count(*) FROM made\"\n    expect = \"= 1\"");
        let text = desk.sandbox.read("looked.plan.toml").replace("id = \"made\"", "id = \"made\"\n  critical = false");
        let text = format!("{text}\n  [[phase.step]]\n  id = \"hand\"\n  manual = {{ do = \"Look\" }}\n");
        let _ = desk.sandbox.write("looked.plan.toml", text);
        let (code, ran) = desk.json("run looked");
        assert_eq!(code, 3, "{ran:#}");
        assert_eq!(tables(&desk), ["later", "made"]);
        let (code, said) = desk.json("confirm looked hand --by Dee");
        assert_eq!(code, 0, "{said:#}");
        let ran = desk.dunlin("run looked").code(0);
        assert!(!ran.stderr.contains("is not critical"), "{}", ran.stderr);
    }
}

for_each_engine! {
    /// A question before a step and one after it: nothing happens until each is answered, and a no is a failure.
    async fn a_question_of_a_step_waits_for_its_answer(engine: TestEngine) {
        for (when, there) in [("before", vec![]), ("after", vec!["made"])] {
            for (word, code, end) in [("", 0, vec!["later", "made"]), (" --no", 1, vec![])] {
                let desk = Desk::new(engine);
                plan(&desk, "", &format!("when = \"{when}\"\n    ask = \"Is everybody there?\""));
                for _ in 0..2 {
                    let (code, ran) = desk.json("run looked");
                    assert_eq!(code, 3, "{when}: {ran:#}");
                    let missing = ran["data"]["waiting"]["missing"].to_string();
                    assert!(missing.contains("everybody") && missing.contains("confirm looked looked-at"), "{missing}");
                    assert_eq!(tables(&desk), there, "{when}");
                }
                let (said, answer) = desk.json(&format!("confirm looked looked-at --by Dee{word}"));
                assert_eq!(said, 0, "{answer:#}");
                let (ended, ran) = desk.json("run looked");
                assert_eq!(ended, code, "{when}{word}: {ran:#}");
                assert_eq!(tables(&desk), end, "{when}{word}");
            }
        }
    }
}

for_each_engine! {
    /// The runner dies while the check after a step is asked: the next run asks it, and takes the phase back where it does
    /// not hold.
    async fn a_check_whose_runner_died_in_it_is_asked_again(engine: TestEngine) {
        let desk = Desk::new(engine);
        let held = "exec = { run = \"echo >> begun; while ! test -e go; do sleep 0.05; done; exit 7\" }";
        plan(&desk, "", held);
        let running = desk.sandbox.spawn(["run", "looked"]);
        let _ = desk.sandbox.await_text("begun", "\n");
        running.signal("KILL");
        let _ = running.wait();
        assert_eq!(tables(&desk), ["made"]);
        let _ = desk.sandbox.write("go", "");
        let (code, ran) = desk.json("run looked");
        assert_eq!((code, ran["failure"]["code"].as_str()), (1, Some("check-failed")), "{ran:#}");
        assert!(tables(&desk).is_empty());
    }
}

for_each_engine! {
    /// What had to hold before a step is not asked again of one that stands half way: it would see the step's own work.
    async fn what_held_before_a_step_is_not_asked_in_its_middle(engine: TestEngine) {
        let desk = Desk::new(engine);
        let _ = desk.sandbox.write(
            "looked.plan.toml",
            "name = \"looked\"\n[[phase]]\nid = \"one\"\n\n  [[phase.step]]\n  id = \"held\"\n  \
             exec = { run = \"touch mine; echo >> begun; while ! test -e go; do sleep 0.05; done\", rerunnable = true }\n  \
             undo = { exec = \"rm -f mine\" }\n\n    [[phase.step.check]]\n    id = \"free\"\n    when = \"before\"\n    \
             exec = { run = \"! test -e mine\" }\n",
        );
        let running = desk.sandbox.spawn(["run", "looked"]);
        let _ = desk.sandbox.await_text("begun", "\n");
        running.signal("KILL");
        let _ = running.wait();
        let _ = desk.sandbox.write("go", "");
        let (code, ran) = desk.json("run looked");
        assert_eq!(code, 0, "{ran:#}");
        assert!(desk.sandbox.path("mine").exists());
    }
}
