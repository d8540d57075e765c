//! Plans that do not fit what is there: of another database, or changed while they run; and doubts that only a person
//! settles.

use crate::{Desk, PLAN};
use dunlin_testkit::for_each_engine;
use std::time::Duration;

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

/// A procedure whose runner dies in it: no rule tells whether it took effect, so nothing is touched until a person says
/// it; the word counts for the way forward and for the way back.
#[test]
fn a_statement_in_doubt_is_settled_by_a_person() {
    let engines = dunlin_testkit::engines();
    let commits_by_itself = engines.iter().filter(|engine| engine.is_mysql_family());
    for engine in commits_by_itself {
        // What the person says, where it goes on from there, and how many calls are on record then.
        for (word, line, calls) in [
            ("", "run calls", "1"),
            (" --no", "run calls", "2"),
            ("", "rollback calls", "0"),
            (" --no", "rollback calls", "1"),
        ] {
            let desk = Desk::new(*engine);
            let made = "CREATE TABLE calls (n int); CREATE PROCEDURE slow() BEGIN INSERT INTO calls VALUES (1); \
                        DO SLEEP(IF((SELECT count(*) FROM calls) = 1, 30, 0)); END";
            let _ = desk.database.run(made);
            desk.sandbox.write(
                "calls.plan.toml",
                "name = \"calls\"\n\n[[phase]]\nid = \"one\"\n\n  [[phase.step]]\n  id = \"called\"\n  sql = \"CALL slow()\"\n  \
                 undo = \"DELETE FROM calls\"\n",
            );
            let running = desk.sandbox.spawn(["run", "calls"]);
            while desk.database.scalar("SELECT count(*) FROM calls") != "1" {
                std::thread::sleep(Duration::from_millis(50));
            }
            running.signal("KILL");
            let _ = running.wait();
            let (code, doubt) = desk.json(line);
            let found = doubt["failure"]["code"].as_str();
            assert_eq!((code, found), (7, Some("in-doubt")), "{doubt:#}");
            let hints = doubt["failure"]["hints"].to_string();
            let hint = "dunlin confirm calls called --by NAME";
            assert!(hints.contains(hint), "{hints}");
            let (code, said) = desk.json(&format!("confirm calls called --by Dee{word}"));
            assert_eq!(code, 0, "{said:#}");
            let (code, ran) = desk.json(line);
            assert_eq!(code, 0, "{ran:#}");
            assert_eq!(desk.database.scalar("SELECT count(*) FROM calls"), calls);
            let (code, none) = desk.json("confirm calls called --by Dee");
            assert_eq!(
                (code, none["failure"]["code"].as_str()),
                (4, Some("nothing-to-settle")),
                "{none:#}"
            );
        }
    }
}

for_each_engine! {
    /// A command whose runner died in it, on the way back: its probe tells, or it is repeated, or a person says it; what
    /// took effect is undone, and what did not is left alone.
    async fn a_command_half_way_is_settled_before_it_is_taken_back(engine: TestEngine) {
        let cases = [
            // What the step may do, what became of it, the word of a person, and how often its undo runs.
            ("probe = \"test -e done\"", true, "", 1),
            ("probe = \"test -e done\"", false, "", 0),
            ("rerunnable = true", false, "", 1),
            ("timeout = \"60s\"", true, "confirm outside held --by Dee", 1),
            ("timeout = \"60s\"", false, "confirm outside held --by Dee --no", 0),
        ];
        for (how, took_effect, word, undone) in cases {
            let desk = Desk::new(engine);
            desk.sandbox.write(
                "outside.plan.toml",
                format!(
                    "name = \"outside\"\n\n[[phase]]\nid = \"one\"\n\n  [[phase.step]]\n  id = \"held\"\n  \
                     exec = {{ run = \"touch begun; while ! test -e go; do sleep 0.05; done; touch done\", {how} }}\n  \
                     undo = {{ exec = \"echo >> undone; rm -f done\" }}\n"
                ),
            );
            let running = desk.sandbox.spawn(["run", "outside"]);
            while !desk.sandbox.path("begun").exists() {
                std::thread::sleep(Duration::from_millis(20));
            }
            running.signal("KILL");
            let _ = running.wait();
            if took_effect || how.starts_with("rerunnable") {
                desk.sandbox.write("go", "");
                while !desk.sandbox.path("done").exists() {
                    std::thread::sleep(Duration::from_millis(20));
                }
            }
            if !word.is_empty() {
                let (code, doubt) = desk.json("rollback outside");
                assert_eq!((code, doubt["failure"]["code"].as_str()), (7, Some("in-doubt")), "{doubt:#}");
                assert_eq!(desk.json(word).0, 0);
            }
            let (code, back) = desk.json("rollback outside");
            assert_eq!(code, 0, "{how}: {back:#}");
            assert_eq!(Desk::state(&back, "one"), "undone", "{how}: {back:#}");
            let lines = std::fs::read(desk.sandbox.path("undone")).unwrap_or_default().len();
            assert_eq!(lines, undone, "{how}, {took_effect}");
            // Where it still waits, it is let go.
            desk.sandbox.write("go", "");
        }
    }
}
