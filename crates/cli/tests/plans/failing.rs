//! A step or a check that fails: everything is as it was before the phase, before the plan, or as it was left.

use crate::{Desk, PLAN};
use dunlin_testkit::for_each_engine;

/// The plan with a step after `after` that fails when its turn comes.
fn broken(after: &str) -> String {
    let failing = "\n  [[phase.step]]\n  id = \"breaks\"\n  undo = { none = \"it never does anything\" }\n  \
                   sql = \"INSERT INTO nowhere_at_all (id) VALUES (1)\"\n";
    let at = PLAN.find(&format!("id = \"{after}\"")).unwrap();
    let end = PLAN[at..].find("\n\n").map_or(PLAN.len(), |end| at + end);
    format!("{}\n{failing}{}", &PLAN[..end], &PLAN[end..])
}

for_each_engine! {
    /// A failure injected after every step of every phase: the phase is taken back, and nothing else.
    async fn a_failure_after_each_step_takes_the_phase_back(engine: TestEngine) {
        for (after, phase) in [("owners", "tables"), ("owner-columns", "tables"), ("owner-index", "tables"), ("first-owner", "rows"), ("switch-on", "rows")] {
            let desk = Desk::new(engine);
            desk.sandbox.write("owners.plan.toml", PLAN);
            if phase == "rows" {
                let _ = desk.dunlin("run owners --until tables").success();
            }
            let before = desk.picture();
            desk.sandbox.write("owners.plan.toml", broken(after));
            let (code, ran) = desk.json("run owners");
            assert_eq!(code, 1, "{after}: {ran:#}");
            assert_eq!(ran["outcome"], "failed");
            assert_eq!(Desk::state(&ran, phase), "undone", "{after}: {ran:#}");
            assert!(ran["failure"]["undone"].to_string().contains(after), "{after}: {ran:#}");
            assert_eq!(desk.picture(), before, "{after}");
            // Mended, it goes through.
            desk.sandbox.write("owners.plan.toml", PLAN);
            let (code, ran) = desk.json("run owners");
            assert_eq!(code, 0, "{after}: {ran:#}");
        }
    }
}

for_each_engine! {
    /// `undo-plan` takes the phases before it back, too; `stop` leaves everything and goes on.
    async fn undo_plan_and_stop(engine: TestEngine) {
        let desk = Desk::new(engine);
        let before = desk.picture();
        let plan = broken("first-owner").replace("name = \"to owners\"", "name = \"to owners\"\non_failure = \"undo-plan\"");
        desk.sandbox.write("owners.plan.toml", plan);
        let (code, ran) = desk.json("run owners");
        assert_eq!(code, 1, "{ran:#}");
        assert_eq!(Desk::state(&ran, "tables"), "undone", "{ran:#}");
        assert_eq!(desk.picture(), before);

        let desk = Desk::new(engine);
        let plan = broken("first-owner").replace("name = \"to owners\"", "name = \"to owners\"\non_failure = \"stop\"");
        desk.sandbox.write("owners.plan.toml", plan);
        let (code, ran) = desk.json("run owners");
        assert_eq!(code, 1, "{ran:#}");
        assert_eq!(Desk::state(&ran, "tables"), "done", "{ran:#}");
        assert_eq!(Desk::state(&ran, "rows"), "failed", "{ran:#}");
        assert!(desk.picture().iter().any(|line| line.contains("Büro")));
        // What it lacked is made by hand; it goes on with the step that failed.
        let _ = desk.database.run("CREATE TABLE nowhere_at_all (id int)");
        let (code, ran) = desk.json("run owners");
        assert_eq!(code, 0, "{ran:#}");
    }
}

for_each_engine! {
    /// A check that does not hold: before a phase nothing is touched; after it, it is taken back.
    async fn checks_stop_and_take_back(engine: TestEngine) {
        let desk = Desk::new(engine);
        let before = desk.picture();
        desk.sandbox.write("owners.plan.toml", PLAN.replace("expect = \">= 1\"", "expect = \">= 100\""));
        let (code, ran) = desk.json("run owners");
        assert_eq!(code, 4, "{ran:#}");
        assert_eq!(ran["failure"]["code"], "check-before");
        assert!(ran["failure"]["message"].as_str().unwrap().contains("observed 3"), "{ran:#}");
        assert_eq!(desk.picture(), before);

        desk.sandbox.write("owners.plan.toml", PLAN.replace("expect = \"= 0\"", "expect = \"= 1\""));
        let (code, ran) = desk.json("run owners");
        assert_eq!(code, 1, "{ran:#}");
        assert_eq!(ran["failure"]["code"], "check-failed");
        assert_eq!(Desk::state(&ran, "tables"), "undone");
        assert_eq!(desk.picture(), before);
    }
}

for_each_engine! {
    /// A step that is not critical fails with a warning, and the plan goes on.
    async fn what_is_not_critical_is_a_warning(engine: TestEngine) {
        let desk = Desk::new(engine);
        let plan = broken("owner-index").replace("id = \"breaks\"", "id = \"breaks\"\n  critical = false");
        desk.sandbox.write("owners.plan.toml", plan);
        let (code, ran) = desk.json("run owners");
        assert_eq!(code, 0, "{ran:#}");
        let steps = ran["data"]["phases"][0]["steps"].as_array().unwrap().clone();
        let step = steps.iter().find(|step| step["id"] == "breaks").unwrap();
        assert_eq!(step["state"], "warned", "{ran:#}");
    }
}

for_each_engine! {
    only servers
    /// A migration gives a table another name and fails later: what it made goes under whatever name, and what was there
    /// before is not taken for its own.
    async fn a_failed_migration_that_renames_is_taken_back_or_says_that_it_is_not(engine: TestEngine) {
        let apart = |table: &str| engine.pick("", "CREATE INDEX CONCURRENTLY apart ON INDEXED (id)", "CREATE TABLE apart (id int)").replace("INDEXED", table);
        let fails = "INSERT INTO contacts (id, phone) VALUES (1, 'there already')";
        let up = |sql: &str, indexed: &str| {
            let desk = Desk::new(engine);
            let before = desk.picture();
            desk.sandbox.write("migrations/001_names.sql", format!("{sql};\n{};\n{fails};\n", apart(indexed)));
            let (code, failed) = desk.json("up");
            assert_eq!(code, 1, "{failed:#}");
            (desk.picture() == before, failed["failure"].to_string(), desk)
        };
        // Its rows are gone for good, and it does not say anything else.
        let (back, said, desk) = up("ALTER TABLE settings RENAME TO options; DELETE FROM options", "contacts");
        assert!(!back && said.contains("has no derived inverse"), "{said}");
        assert_eq!(desk.database.scalar("SELECT count(*) FROM options"), "0");
        let (back, said, _) = up("ALTER TABLE contacts RENAME TO people; ALTER TABLE people RENAME TO contacts", "contacts");
        assert!(back, "{said}");
        let (back, said, _) = up("ALTER TABLE settings RENAME TO options", "contacts");
        assert!(back, "{said}");
        let made = "CREATE TABLE made (id int PRIMARY KEY); INSERT INTO made VALUES (1); ALTER TABLE made RENAME TO kept";
        let (back, said, _) = up(made, "kept");
        assert!(back, "{said}");
    }
}

for_each_engine! {
    /// A migration stands half way, others write into the table that it has made, and it fails again: what they wrote stays.
    async fn what_others_wrote_while_a_migration_stood_half_way_stays(engine: TestEngine) {
        let desk = Desk::new(engine);
        let apart = engine.pick("VACUUM", "CREATE INDEX CONCURRENTLY apart ON contacts (id)", "CREATE INDEX apart ON contacts (id)");
        let fails = "INSERT INTO contacts (id, phone) VALUES (1, 'there already')";
        let script = format!("CREATE TABLE notes (id int PRIMARY KEY);\n{apart};\n{fails};\n");
        desk.sandbox.write("migrations/001_notes.sql", script);
        let toml = desk.sandbox.read("dunlin.toml");
        let up = |on_failure: &str| {
            let instead = format!("[database.app]\non_failure = \"{on_failure}\"\n");
            desk.sandbox.write("dunlin.toml", toml.replace("[database.app]\n", &instead));
            let (code, failed) = desk.json("up --no-backup");
            assert_eq!(code, 1, "{failed:#}");
            failed["failure"].to_string()
        };
        let _ = up("stop");
        let _ = desk.database.run("INSERT INTO notes VALUES (70)");
        let said = up("undo");
        assert!(said.contains("holds rows that the migration did not write"), "{said}");
        assert_eq!(desk.database.scalar("SELECT id FROM notes"), "70", "{said}");
    }
}
