//! The emergency, the report, and who is told.

use crate::{Builder, state};
use dunlin_testkit::servers::{Kind, PASSWORD};

on_both!(
    an_emergency_brings_the_backup_back,
    the_report_holds_the_checklist_and_no_secret,
    hooks_are_told_and_change_nothing,
);

/// Stopped, restored with every digest as it was, started; where it cannot be stopped nothing is restored.
fn an_emergency_brings_the_backup_back(kind: Kind) {
    let mut builder = Builder::new(kind);
    let before = builder.picture();
    builder.approve_schema();
    let _ = builder.waits("front-end", "Deploy the front end");
    let _ = builder.database.run(
        "INSERT INTO ai_conversations (user_id, conversation_type, messages) VALUES (1, 'general_chat', '[]'); \
         UPDATE forms SET title = 'spoilt'",
    );
    let spoilt = builder.picture();

    builder
        .sandbox
        .set("APP_STOP", "echo cannot-stop >&2; exit 7")
        .set("APP_START", "echo start >> order");
    let failed = builder.json(&["rollback", "bi", "--emergency"], 1);
    assert_eq!(failed["failure"]["code"], "emergency-command", "{failed:#}");
    assert!(
        failed["failure"]["message"]
            .as_str()
            .unwrap()
            .contains("cannot-stop"),
        "{failed:#}"
    );
    assert_eq!(builder.picture(), spoilt);
    assert!(!builder.sandbox.path("order").exists());

    builder.sandbox.set("APP_STOP", "echo stop >> order");
    let done = builder.json(&["rollback", "bi", "--emergency"], 0);
    let stages = done["data"]["stages"].as_array().unwrap();
    let names: Vec<_> = stages
        .iter()
        .map(|stage| {
            (
                stage["stage"].as_str().unwrap(),
                stage["outcome"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        names,
        [("stop", "done"), ("restore", "done"), ("start", "done")]
    );
    assert!(
        stages[1]["said"]
            .as_str()
            .unwrap()
            .contains("every digest is as it was"),
        "{done:#}"
    );
    assert_eq!(builder.sandbox.read("order"), "stop\nstart\n");
    assert_eq!(builder.picture(), before);
    let record = std::fs::read_to_string(
        builder
            .sandbox
            .path(done["data"]["record"].as_str().unwrap()),
    )
    .unwrap();
    assert_eq!(record.lines().count(), 3, "{record}");

    // And the plan begins anew: an approval serves one attempt, though the backup holds it.
    let _ = builder.waits("schema", "the approval of dba");
    builder.approve_schema();
    let _ = builder.waits("front-end", "Deploy the front end");
    assert!(builder.database.has_table("ai_conversations"));
}

/// Every check with what was expected and observed; neither the server's password nor a sensitive column anywhere.
fn the_report_holds_the_checklist_and_no_secret(kind: Kind) {
    let builder = Builder::new(kind);
    let plan = builder.sandbox.read("bi.plan.toml");
    let check = "\n  [[phase.check]]\n  id = \"no-credentials-yet\"\n  sql = \"SELECT credentials FROM external_integrations\"\n  \
                 expect = \"= none\"\n";
    builder.sandbox.write(
        "bi.plan.toml",
        plan.replace(
            "[[phase]]\nid = \"front-end\"",
            &format!("{check}\n[[phase]]\nid = \"front-end\""),
        ),
    );
    builder.approve_schema();
    let _ = builder.json(&["run", "bi", "--until", "schema"], 0);
    let _ = builder.database.run(
        "INSERT INTO external_integrations (integration_type, integration_name, config, credentials) \
         VALUES ('mail', 'Posta', '{}', '{\"key\": \"t0ken-of-theirs\"}')",
    );
    let mut told = vec![];
    let ran = builder.sandbox.dunlin(["run", "bi"]).code(1);
    assert!(ran.stderr.contains("no-credentials-yet") || ran.stdout.contains("no-credentials-yet"));
    told.push(ran.stdout.clone());
    told.push(ran.stderr.clone());
    told.push(builder.json(&["runs"], 0).to_string());
    for form in ["html", "md", "json", "xml"] {
        let _ = builder.json(&["report", "bi", "-o", &format!("report.{form}")], 0);
        let text = builder.sandbox.read(format!("report.{form}"));
        for check in [
            "existing-untouched",
            "settings-api",
            "bi-catalog",
            "stranger-refused",
            "seven-settings",
            "no-credentials-yet",
        ] {
            assert!(text.contains(check), "{check} in {form}");
        }
        told.push(text);
    }
    let journal = builder.database.run("SELECT * FROM dunlin_journal");
    told.push(format!("{journal:?}"));
    let backups = std::fs::read_dir(builder.sandbox.path("backups")).unwrap();
    for entry in backups {
        told.push(
            String::from_utf8_lossy(&std::fs::read(entry.unwrap().path()).unwrap()).into_owned(),
        );
    }
    for text in told {
        assert!(!text.contains("t0ken-of-theirs"), "{text}");
        assert!(!text.contains(PASSWORD), "{text}");
    }
}

/// Told on waiting and on failing; a hook that fails itself is noted, and the outcome is the same.
fn hooks_are_told_and_change_nothing(kind: Kind) {
    let mut builder = Builder::new(kind);
    builder
        .sandbox
        .write("hook.sh", "printf '%s: %s\\n' \"$1\" \"$2\" >> told\n");
    builder.sandbox.set("NOTIFY", "sh hook.sh");
    let _ = builder.json(&["run", "bi"], 3);
    let told = builder.sandbox.read("told");
    assert!(
        told.starts_with("waiting: ") && told.contains("phase schema"),
        "{told}"
    );

    builder.approve_schema();
    builder.service.deploy(true);
    let _ = builder.json(&["run", "bi"], 1);
    let told = builder.sandbox.read("told");
    let last = told.lines().last().unwrap();
    assert!(
        last.starts_with("failed: ") && last.contains("settings-api"),
        "{told}"
    );

    builder.sandbox.set("NOTIFY", "false");
    let ran = builder.sandbox.dunlin(["run", "bi"]).code(3);
    assert!(
        ran.stderr.contains("which changes nothing"),
        "{}",
        ran.stderr
    );
    builder.service.deploy(false);
    builder.approve_schema();
    let ran = builder.json(&["run", "bi", "--until", "schema"], 0);
    assert_eq!(state(&ran, "schema"), "done");
}
