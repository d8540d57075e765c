//! Gates, manual steps, questions, orders from outside.

use crate::Desk;
use dunlin_testkit::for_each_engine;

const PLAN: &str = r#"
name = "with people"

[[phase]]
id = "one"
gate = "approve"
approvers = ["dba", "lead"]
go = ["team available"]
review = true

  [[phase.step]]
  id = "made"
  sql = "CREATE TABLE made (id int NOT NULL PRIMARY KEY)"

  [[phase.step]]
  id = "balancer"
  manual = { do = "Switch the load balancer", by = "devops" }
  undo = { none = "the balancer is switched back by hand" }

  [[phase.check]]
  id = "looked-at"
  ask = "Does the dashboard show yesterday's orders?"

[[phase]]
id = "two"

  [[phase.step]]
  id = "gone"
  sql = "DROP TABLE made"
  undo = { impossible = "the rows are gone" }
"#;

for_each_engine! {
    /// Every role by another person, points confirmed, a step by hand, a question, a review, an impossible undo
    /// accepted by name: exit 3 until each was said.
    async fn nothing_happens_until_people_have_said_so(engine: TestEngine) {
        let desk = Desk::new(engine);
        desk.sandbox.write("people.plan.toml", PLAN);
        let (code, ran) = desk.json("run people");
        assert_eq!((code, ran["outcome"].as_str().unwrap()), (3, "waiting"), "{ran:#}");
        assert_eq!(Desk::state(&ran, "one"), "waiting");
        assert!(ran["data"]["run"].is_null());

        let (code, said) = desk.json("approve people one --by Ann --as dba --confirm");
        assert_eq!(code, 2, "{said:#}");
        let said = desk.sandbox.dunlin(["approve", "people", "one", "--by", "Ann", "--as", "dba", "--confirm", "team available", "--format", "json"]).json();
        assert_eq!(said["data"]["open"], false, "{said:#}");
        let (code, said) = desk.json("approve people one --by Ann --as lead");
        assert_eq!((code, &said["data"]["open"]), (0, &false.into()), "one person, two roles: {said:#}");
        let (code, twice) = desk.json("approve people one --by Ann --as lead");
        assert_eq!((code, twice["failure"]["code"].as_str()), (4, Some("approved-twice")), "{twice:#}");
        let (code, nobody) = desk.json("approve people one --by Bob --as janitor");
        assert_eq!(code, 2, "{nobody:#}");
        let (code, said) = desk.json("approve people one --by Bob --as lead");
        assert_eq!((code, &said["data"]["open"]), (0, &true.into()), "{said:#}");

        let (code, ran) = desk.json("run people");
        assert_eq!(code, 3, "{ran:#}");
        assert!(ran["data"]["waiting"]["missing"][0].as_str().unwrap().contains("load balancer"), "{ran:#}");
        let (code, _) = desk.json("confirm people balancer --by Dee");
        assert_eq!(code, 0);
        let (code, ran) = desk.json("run people");
        assert_eq!(code, 3, "{ran:#}");
        assert!(ran["data"]["waiting"]["missing"][0].as_str().unwrap().contains("dashboard"), "{ran:#}");
        let (code, _) = desk.json("confirm people looked-at --by Eve");
        assert_eq!(code, 0);
        let (code, ran) = desk.json("run people");
        assert_eq!(code, 3, "the review: {ran:#}");
        assert_eq!(Desk::state(&ran, "one"), "done");
        for (by, role) in [("Ann", "dba"), ("Bob", "lead")] {
            let (code, said) = desk.json(&format!("approve people one --by {by} --as {role}"));
            assert_eq!(code, 0, "{said:#}");
        }
        let (code, ran) = desk.json("run people");
        assert_eq!(code, 3, "the impossible undo: {ran:#}");
        assert!(ran["data"]["waiting"]["missing"][0].as_str().unwrap().contains("gone"), "{ran:#}");
        let (code, said) = desk.json("approve people two --by Ann --accept gone");
        assert_eq!((code, &said["data"]["open"]), (0, &true.into()), "{said:#}");
        let (code, ran) = desk.json("run people");
        assert_eq!(code, 0, "{ran:#}");
    }
}

for_each_engine! {
    /// What nobody has been asked yet cannot be confirmed: before the phase has begun, and after it was taken back. A
    /// question before a phase is asked when the phases before it are done.
    async fn nothing_is_confirmed_before_its_phase_has_begun(engine: TestEngine) {
        let desk = Desk::new(engine);
        let phase = |id: &str| format!(
            "[[phase]]\nid = \"{id}\"\n[[phase.check]]\nid = \"{id}-may\"\nwhen = \"before\"\nask = \"May it?\"\n\
             [[phase.check]]\nid = \"{id}-did\"\nask = \"Did it?\"\n[[phase.step]]\nid = \"{id}-hand\"\n\
             manual = {{ do = \"Look\" }}\nundo = {{ none = \"seen\" }}\n"
        );
        desk.sandbox.write("early.plan.toml", format!("name = \"early\"\n{}{}", phase("one"), phase("two")));
        let early = |what: &str| {
            let (code, said) = desk.json(&format!("confirm early {what} --by Dee"));
            assert_eq!((code, said["failure"]["code"].as_str()), (4, Some("phase-not-begun")), "{what}: {said:#}");
        };
        let confirmed = |what: &str| {
            let (code, said) = desk.json(&format!("confirm early {what} --by Dee"));
            assert_eq!(code, 0, "{what}: {said:#}");
        };
        let waits = |what: &str| {
            let (code, ran) = desk.json("run early");
            assert_eq!((code, &ran["data"]["waiting"]["confirm"]), (3, &serde_json::json!([what])), "{ran:#}");
        };
        for round in 0..2 {
            for what in ["one-hand", "one-did", "two-may", "two-hand", "two-did"] {
                early(what);
            }
            for what in ["one-may", "one-hand", "one-did"] {
                waits(what);
                confirmed(what);
            }
            waits("two-may");
            early("two-hand");
            confirmed("two-may");
            waits("two-hand");
            // Its turn comes later, in a phase that has begun.
            confirmed("two-did");
            confirmed("two-hand");
            let (code, ran) = desk.json("run early");
            assert_eq!(code, 0, "{round}: {ran:#}");
            let _ = desk.dunlin("rollback early").success();
        }
    }
}

for_each_engine! {
    /// A refusal keeps the gate closed, a `no` fails the phase, and what was approved dies with an edit.
    async fn refusals_and_edits(engine: TestEngine) {
        let desk = Desk::new(engine);
        desk.sandbox.write("people.plan.toml", PLAN);
        let approve = |by: &str, role: &str| {
            desk.sandbox.dunlin(["approve", "people", "one", "--by", by, "--as", role, "--confirm", "team available", "--format", "json"]).json()
        };
        let _ = approve("Ann", "dba");
        assert_eq!(approve("Bob", "lead")["data"]["open"], true);
        let (_, said) = desk.json("approve people one --by Cem --reject --note tonight-is-bad");
        assert_eq!(said["data"]["open"], false, "{said:#}");
        assert!(said["data"]["rejected"].as_str().unwrap().contains("Cem"));
        let (code, ran) = desk.json("run people");
        assert_eq!(code, 3, "{ran:#}");
        // Another text, other approvals.
        desk.sandbox.write("people.plan.toml", PLAN.replace("id int", "id bigint"));
        let (code, ran) = desk.json("run people");
        assert_eq!(code, 3, "{ran:#}");
        assert!(ran["data"]["waiting"]["missing"].to_string().contains("the approval of dba"), "{ran:#}");
        let _ = approve("Ann", "dba");
        assert_eq!(approve("Bob", "lead")["data"]["open"], true);
        let (code, _) = desk.json("run people");
        assert_eq!(code, 3);
        let before = desk.picture();
        assert!(before.iter().any(|line| line == "table made"));
        let (code, _) = desk.json("confirm people balancer --by Dee --no");
        assert_eq!(code, 0);
        let (code, ran) = desk.json("run people");
        assert_eq!((code, ran["failure"]["code"].as_str()), (1, Some("not-confirmed")), "{ran:#}");
        assert_eq!(Desk::state(&ran, "one"), "undone");
        assert!(!desk.picture().iter().any(|line| line == "table made"));
        // The attempt used the approvals up.
        let (code, ran) = desk.json("run people");
        assert_eq!(code, 3, "{ran:#}");
    }
}

for_each_engine! {
    /// A refusal needs no role; who has refused approves in theirs later, and the other way round, as often as they like.
    async fn who_refused_may_approve_later(engine: TestEngine) {
        let desk = Desk::new(engine);
        desk.sandbox.write("people.plan.toml", PLAN);
        let said = |line: &str| {
            let (code, said) = desk.json(&format!("approve people one --by Bob {line}"));
            assert_eq!(code, 0, "{line}: {said:#}");
            said["data"]["rejected"].is_string()
        };
        for _ in 0..2 {
            assert!(said("--reject"));
            assert!(!said("--as lead"));
            let (code, twice) = desk.json("approve people one --by bob --as lead");
            assert_eq!((code, twice["failure"]["code"].as_str()), (4, Some("approved-twice")), "{twice:#}");
        }
    }
}

for_each_engine! {
    /// A command that is not in doubt has nothing to settle: what would be recorded would count for nothing.
    async fn a_command_that_is_not_in_doubt_is_not_confirmed(engine: TestEngine) {
        let desk = Desk::new(engine);
        desk.plan("calm", "", "exec = { run = \"true\" }\nundo = { none = \"nothing\" }\n");
        for run in [false, true] {
            if run {
                assert_eq!(desk.json("run calm").0, 0);
            }
            let (code, said) = desk.json("confirm calm calm --by Dee");
            assert_eq!((code, said["failure"]["code"].as_str()), (4, Some("nothing-to-settle")), "{said:#}");
        }
    }
}

/// That a gate of the plan `p` is closed for want of a backup.
fn lacks_a_backup(desk: &Desk, why: &str) {
    let (code, ran) = desk.json("run p");
    assert_eq!(code, 3, "{ran:#}");
    let (_, shown) = desk.json("plan show p");
    let gate = &shown["data"]["phases"][0]["gate"];
    assert_eq!(gate["open"], false, "{gate:#}");
    for said in [&ran["data"]["waiting"]["missing"], &gate["missing"]] {
        let said = said.to_string();
        assert!(said.contains("a verified backup of the last 2 h"), "{said}");
        assert!(said.contains(why), "{said}");
    }
}

/// Nobody confirms what can be looked up: where the project says what a recent backup is, the gate asks for one.
#[test]
fn a_gate_asks_for_a_verified_backup_where_the_project_says_how_recent() {
    let mut desk = Desk::new(dunlin_testkit::TestEngine::Sqlite);
    let project = desk.sandbox.read("dunlin.toml");
    let project = format!("{project}backup_max_age = \"2h\"\n");
    desk.sandbox.write("dunlin.toml", project);
    let write = |desk: &Desk, backup: &str| {
        let text = format!(
            "name = \"p\"\n[[phase]]\nid = \"p\"\ngate = \"approve\"\nbackup = \"{backup}\"\n\
             [[phase.step]]\nid = \"s\"\nsql = \"CREATE TABLE made (id int)\"\n"
        );
        desk.sandbox.write("p.plan.toml", text);
    };
    write(&desk, "none");
    let (code, said) = desk.json("approve p p --by Ann");
    assert_eq!(
        (code, &said["data"]["open"]),
        (0, &false.into()),
        "{said:#}"
    );
    lacks_a_backup(&desk, "there is no backup");
    let _ = desk.dunlin("backup create").success();
    lacks_a_backup(&desk, "no backup has been verified");
    let _ = desk.dunlin("backup verify").success();
    let (code, ran) = desk.json("run p");
    assert_eq!(code, 0, "{ran:#}");

    // A backup that has grown old, and a phase that makes its own.
    let _ = desk.dunlin("rollback p").success();
    desk.sandbox.set("DUNLIN_TEST_NOW", "2026-01-02T05:04:06Z");
    let _ = desk.dunlin("approve p p --by Ann").success();
    lacks_a_backup(&desk, "the newest verified one is older");
    write(&desk, "database");
    let (_, said) = desk.json("approve p p --by Ann");
    assert_eq!(said["data"]["open"], true, "{said:#}");
    let (code, ran) = desk.json("run p");
    assert_eq!(code, 0, "{ran:#}");
}

/// What is looked up at the gate of a phase as `plan show` tells it: the point's name, and whether it holds.
fn points(desk: &Desk, phase: usize) -> Vec<(String, Option<bool>)> {
    let (_, shown) = desk.json("plan show lamp");
    let computed = &shown["data"]["phases"][phase]["gate"]["computed"];
    let computed = computed.as_array().unwrap().iter();
    let point = |one: &serde_json::Value| {
        (
            one["point"].as_str().unwrap().to_owned(),
            one["met"].as_bool(),
        )
    };
    computed.map(point).collect()
}

const LAMP: &str = r#"
name = "lamp"
watch = { probe = { sql = "SELECT count(*) FROM lamp" }, max_latency = "4s" }

[[phase]]
id = "one"
gate = "approve"
  [[phase.step]]
  id = "wick"
  sql = "CREATE TABLE wick (id int)"
  [[phase.check]]
  id = "there"
  sql = "SELECT count(*) FROM wick"
  expect = "= 0"

[[phase]]
id = "two"
gate = "approve"
  [[phase.step]]
  id = "oil"
  sql = "DROP TABLE wick"
  undo = { impossible = "it is burnt" }
"#;

for_each_engine! {
    /// What nobody confirms is looked up: whether the phase before is validated, whether there is a way back, and whether
    /// what is watched answers. Each keeps the gate closed, is shown, and is kept with the phase as it was found.
    async fn a_gate_looks_up_what_nobody_confirms(engine: TestEngine) {
        let desk = Desk::new(engine);
        desk.sandbox.write("lamp.plan.toml", LAMP);
        let named = |all: [Option<bool>; 4]| {
            let names = ["previous phase validated", "backup recent and verified", "rollback ready", "watch answering"];
            names.map(str::to_owned).into_iter().zip(all).collect::<Vec<_>>()
        };
        assert_eq!(points(&desk, 0), named([Some(true), None, Some(true), Some(false)]));
        assert_eq!(points(&desk, 1), named([Some(false), None, Some(false), Some(false)]));
        // An approval ahead of its time counts, and does not open what is not validated.
        let (code, said) = desk.json("approve lamp two --by Ann --accept oil");
        assert_eq!((code, &said["data"]["open"]), (0, &false.into()), "{said:#}");
        let lacks = said["data"]["missing"].to_string();
        assert!(lacks.contains("previous phase validated: phase `one` is pending"), "{lacks}");
        assert!(!lacks.contains("rollback"), "{lacks}");

        let (_, said) = desk.json("approve lamp one --by Ann");
        assert_eq!(said["data"]["open"], false, "{said:#}");
        let (code, ran) = desk.json("run lamp");
        assert_eq!(code, 3, "{ran:#}");
        let missing = &ran["data"]["waiting"]["missing"];
        assert_eq!(missing.as_array().unwrap().len(), 1, "{missing}");
        assert!(missing[0].as_str().unwrap().starts_with("watch answering: the probe fails"), "{missing}");
        // No person's word opens it.
        let told = desk.dunlin("run lamp").stdout;
        assert!(!told.contains("dunlin approve"), "{told}");

        let _ = desk.database.run("CREATE TABLE lamp (id int)");
        assert_eq!(points(&desk, 0), named([Some(true), None, Some(true), Some(true)]));
        let (code, ran) = desk.json("run lamp");
        assert_eq!(code, 0, "{ran:#}");
        let _ = desk.dunlin("report lamp -o r.json").success();
        let kept = desk.sandbox.read("r.json");
        assert!(kept.contains("phase `one` is done, 1 of 1 checks passed"), "{kept}");
        assert!(kept.contains("0 of 1 steps have a way back, 1 accepted without"), "{kept}");
        for (file, expected) in [("r.md", "- [x] watch answering: the probe answers within"), ("r.html", "<bdi>watch answering</bdi>")] {
            let _ = desk.dunlin(&format!("report lamp -o {file}")).success();
            let page = desk.sandbox.read(file);
            assert!(page.contains(expected), "{page}");
            assert!(page.contains("accepted: oil"), "{page}");
        }
    }
}

/// A watch over HTTP, and one over room that is not there.
#[test]
fn what_is_watched_is_asked_at_the_gate() {
    let desk = Desk::new(dunlin_testkit::TestEngine::Sqlite);
    let found = |watch: &str| {
        let text = LAMP.replace(
            "{ probe = { sql = \"SELECT count(*) FROM lamp\" }, max_latency = \"4s\" }",
            watch,
        );
        desk.sandbox.write("lamp.plan.toml", text);
        let (_, shown) = desk.json("plan show lamp");
        let computed = &shown["data"]["phases"][0]["gate"]["computed"][3];
        (
            computed["met"].as_bool(),
            computed["found"].as_str().unwrap().to_owned(),
        )
    };
    let (met, said) = found("{ min_free_disk = \"900TB\" }");
    assert_eq!(met, Some(false), "{said}");
    assert!(said.contains("`min_free_disk` asks for"), "{said}");
    let (met, said) = found("{ min_free_disk = \"1MB\" }");
    assert_eq!(met, Some(true), "{said}");
    let (met, said) = found("{ probe = { http = { url = \"http://127.0.0.1:1/\" } } }");
    assert_eq!(met, Some(false), "{said}");
    assert!(said.contains("the probe fails"), "{said}");
    let (met, said) = found("{ probe = { sql = \"SELECT 1\" }, max_latency = \"0ms\" }");
    assert_eq!(met, Some(false), "{said}");
    assert!(said.contains("3 of 3 times later"), "{said}");
}

/// Versions that choose no phase are said to, not taken for a plan that is done.
#[test]
fn versions_that_choose_nothing_are_said() {
    let desk = Desk::new(dunlin_testkit::TestEngine::Sqlite);
    let step = "[[phase.step]]\nid = \"s\"\nsql = \"CREATE TABLE made (id int)\"\n";
    desk.sandbox.write(
        "p.plan.toml",
        format!("name = \"p\"\n[[phase]]\nid = \"p\"\nversion = 2\n{step}"),
    );
    let told = desk.dunlin("run p --from 5 --to 9").success().stdout;
    assert!(told.contains("no phase of \"p\" is chosen"), "{told}");
    assert!(!desk.picture().iter().any(|line| line == "table made"));
}
