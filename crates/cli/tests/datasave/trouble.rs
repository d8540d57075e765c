//! What goes wrong on the way: an answer that changed, an index that is missing, a step that fails, people's own changes.

use crate::{Builder, state};
use dunlin_testkit::servers::Kind;

on_both!(
    an_answer_that_changed_takes_the_phase_back,
    a_missing_index_takes_the_phase_back,
    a_failure_after_each_step_takes_its_phase_back,
    settings_twice_change_nothing_and_go_back_alone,
);

/// The service answers otherwise once the tables are there: the check finds it, and the tables go.
fn an_answer_that_changed_takes_the_phase_back(kind: Kind) {
    let builder = Builder::new(kind);
    let before = builder.picture();
    builder.service.deploy(true);
    builder.approve_schema();
    let ran = builder.json(&["run", "bi"], 1);
    assert_eq!(ran["failure"]["code"], "check-failed", "{ran:#}");
    let message = ran["failure"]["message"].as_str().unwrap();
    assert!(
        message.contains("settings-api") && message.contains("/data/release is new"),
        "{message}"
    );
    assert_eq!(state(&ran, "schema"), "undone");
    assert_eq!(builder.picture(), before);

    builder.service.deploy(false);
    builder.approve_schema();
    let ran = builder.json(&["run", "bi", "--until", "schema"], 0);
    assert_eq!(state(&ran, "schema"), "done", "{ran:#}");
}

/// What was asked is compared with what the server's catalog has.
fn a_missing_index_takes_the_phase_back(kind: Kind) {
    let builder = Builder::new(kind);
    let before = builder.picture();
    let tables = builder.sandbox.read("steps/bi_tables.sql");
    let without = tables.replace("    KEY idx_query_type (query_type),\n", "");
    assert_ne!(tables, without);
    builder.sandbox.write("steps/bi_tables.sql", without);
    builder.approve_schema();
    let ran = builder.json(&["run", "bi"], 1);
    let message = ran["failure"]["message"].as_str().unwrap();
    assert!(
        message.contains("bi-catalog") && message.contains("idx_query_type"),
        "{message}"
    );
    assert_eq!(builder.picture(), before);
}

/// One phase after the other breaks behind its step, is taken back alone, is mended and goes through.
fn a_failure_after_each_step_takes_its_phase_back(kind: Kind) {
    let builder = Builder::new(kind);
    let whole = builder.sandbox.read("bi.plan.toml");
    let steps = [
        ("schema", "bi-tables"),
        ("services", "settings"),
        ("front-end", "front-end-deployed"),
        ("integration", "wordpress-on"),
        ("production", "looked-over"),
    ];
    for (phase, step) in steps {
        let people = || match phase {
            "schema" => builder.approve_schema(),
            "front-end" => {
                let _ = builder.waits("front-end", "Deploy the front end");
                let _ = builder.json(&["confirm", "bi", step, "--by", "Fatma"], 0);
            }
            "production" => {
                builder.approve("production", "Dara", "dba", false);
                builder.approve("production", "Teo", "tech-lead", true);
            }
            _ => {}
        };
        let before = builder.picture();
        builder.sandbox.write("bi.plan.toml", broken(&whole, step));
        people();
        let ran = builder.json(&["run", "bi"], 1);
        assert_eq!(state(&ran, phase), "undone", "{step}: {ran:#}");
        assert!(
            ran["failure"]["undone"].to_string().contains(step),
            "{step}: {ran:#}"
        );
        assert_eq!(builder.picture(), before, "{step}");

        builder.sandbox.write("bi.plan.toml", &whole);
        people();
        if phase == "production" {
            let _ = builder.waits("production", "dashboard");
        } else {
            let ran = builder.json(&["run", "bi", "--until", phase], 0);
            assert_eq!(state(&ran, phase), "done", "{step}: {ran:#}");
        }
    }
}

/// The plan with a step behind `after` that fails when its turn comes.
fn broken(plan: &str, after: &str) -> String {
    let at = plan.find(&format!("id = \"{after}\"")).unwrap();
    let end = plan[at..].find("\n\n").map_or(plan.len(), |end| at + end);
    let breaks = "\n\n  [[phase.step]]\n  id = \"breaks\"\n  sql = \"INSERT INTO nowhere_at_all (id) VALUES (1)\"\n  \
                  undo = { none = \"it does nothing\" }";
    format!("{}{breaks}{}", &plan[..end], &plan[end..])
}

/// The same rows asked for twice are written once; the way back takes what it wrote, and what people wrote since stays.
fn settings_twice_change_nothing_and_go_back_alone(kind: Kind) {
    let builder = Builder::new(kind);
    let before = builder.picture();
    builder.approve_schema();
    let _ = builder.json(&["run", "bi", "--until", "services"], 0);
    assert_eq!(builder.settings().len(), 8);
    let after = builder.picture();

    let plan = builder.sandbox.read("bi.plan.toml");
    let rows = plan
        .lines()
        .find(|line| line.trim_start().starts_with("settings = "))
        .unwrap();
    let again = format!(
        "name = \"again\"\n[[phase]]\nid = \"again\"\ntitle = \"Again\"\n[[phase.step]]\nid = \"settings\"\ntype = \"data\"\n{rows}\n"
    );
    builder.sandbox.write("again.plan.toml", again);
    let _ = builder.json(&["run", "again"], 0);
    assert_eq!(builder.picture(), after);
    let _ = builder.json(&["rollback", "again"], 0);
    assert_eq!(builder.picture(), after);

    // A person changes a row that the step changed: it is left as the person wrote it, and that is said.
    let mine = r#"["mine.example.org"]"#;
    let change = |key: &str, value: &str| {
        let sql = format!(
            "UPDATE system_settings SET setting_value = '{value}' WHERE setting_key = '{key}'"
        );
        let _ = builder.database.run(&sql);
    };
    change("embed_allowed_domains", mine);
    let back = builder
        .sandbox
        .dunlin(["rollback", "bi", "--to", "schema"])
        .success();
    assert!(
        back.stderr.contains("left as it is") && back.stderr.contains("embed_allowed_domains"),
        "{}",
        back.stderr
    );
    assert_eq!(builder.setting("embed_allowed_domains"), mine);
    assert_eq!(builder.settings().len(), 2);

    // A person changes a row that the step inserted: it is not deleted before somebody says so.
    change("embed_allowed_domains", r#"["old.example.org"]"#);
    let _ = builder.json(&["run", "bi", "--until", "services"], 0);
    change("ai_chat_model", "our own");
    let back = builder.json(&["rollback", "bi"], 1);
    assert!(
        back["failure"].to_string().contains("ai_chat_model"),
        "{back:#}"
    );
    assert_eq!(builder.setting("ai_chat_model"), "our own");
    let _ = builder.json(&["rollback", "bi", "--discard-later"], 0);
    assert_eq!(builder.picture(), before);
}
