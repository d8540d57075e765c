//! Doubts that only a person settles.

use crate::Desk;
use dunlin_testkit::for_each_engine;
use std::time::{Duration, Instant};

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

/// Whether a process is there and at work: one that waits to be buried is not.
fn lives(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat.rsplit_once(')').map(|(_, rest)| rest.trim_start());
    state.is_some_and(|state| !state.starts_with('Z'))
}

for_each_engine! {
    /// A command whose runner died in it dies with it, with everything it has started. On the way back its probe tells, or it
    /// is repeated, or a person says it; what took effect is undone, and what did not is left alone.
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
            let effect = if took_effect { "touch done; " } else { "" };
            desk.sandbox.write(
                "outside.plan.toml",
                format!(
                    "name = \"outside\"\n\n[[phase]]\nid = \"one\"\n\n  [[phase.step]]\n  id = \"held\"\n  \
                     exec = {{ run = \"{effect}sleep 600 & echo $$ $! > pids; touch begun; while ! test -e go; do sleep 0.05; done; kill $!; \
                     touch done\", {how} }}\n  \
                     undo = {{ exec = \"echo >> undone; rm -f done\" }}\n"
                ),
            );
            let running = desk.sandbox.spawn(["run", "outside"]);
            while !desk.sandbox.path("begun").exists() {
                std::thread::sleep(Duration::from_millis(20));
            }
            running.signal("KILL");
            let _ = running.wait();
            let pids = std::fs::read_to_string(desk.sandbox.path("pids")).unwrap();
            for pid in pids.split_whitespace() {
                let deadline = Instant::now() + Duration::from_secs(10);
                while lives(pid) {
                    assert!(Instant::now() < deadline, "process {pid} outlives the runner");
                    std::thread::sleep(Duration::from_millis(20));
                }
            }
            desk.sandbox.write("go", "");
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
        }
    }
}
