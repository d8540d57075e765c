//! MVP 5: the knowledge base leaves its SQLite file for PostgreSQL, under a plan, and comes back; and what the rules of the
//! example find, clean and give back.

use super::{APPROVE, example, rows};
use dunlin_testkit::TestDatabase;
use dunlin_testkit::TestEngine;
use dunlin_testkit::knowledge;
use dunlin_testkit::sandbox::Sandbox;
use dunlin_testkit::servers::Kind;
use serde_json::{Value, json};

/// The example at MVP 4, and where MVP 5 is to live.
fn at_mvp_4(engine: TestEngine) -> (Sandbox, TestDatabase) {
    let mut sandbox = example();
    let target = engine.database();
    sandbox.set("KB_POSTGRES_URL", target.url());
    let _ = sandbox.dunlin(["run", "upgrade"]).code(3);
    let _ = sandbox.dunlin(APPROVE).code(0);
    let _ = sandbox.dunlin(["run", "upgrade"]).code(0);
    (sandbox, target)
}

fn dunlin(sandbox: &Sandbox, line: &[&str], code: i32) -> Value {
    let ran = sandbox.dunlin([line, &["--format", "json"]].concat());
    ran.code(code).json()
}

/// The whole way, on the servers that the plan may name.
fn to_mvp_5_and_back(engine: TestEngine) {
    let (sandbox, target) = at_mvp_4(engine);
    let file = sandbox.path("kb.db");
    let before = rows(&file);
    let shown = dunlin(&sandbox, &["plan", "show", "mvp-5"], 0);
    let steps = shown["data"]["phases"][0]["steps"].as_array().unwrap();
    let types: Vec<&str> = steps
        .iter()
        .map(|step| step["type"].as_str().unwrap())
        .collect();
    let wanted = [
        "assessment",
        "database",
        "plugin",
        "component",
        "feature",
        "component",
    ];
    assert_eq!(types, wanted);
    assert_eq!(shown["data"]["risk"]["level"], "high");
    let reasons = shown["data"]["risk"]["reasons"].as_array().unwrap();
    assert!(
        reasons
            .iter()
            .any(|reason| reason["kind"] == "change_of_engine"),
        "{shown:#}"
    );
    awaits_the_copy(&sandbox, &shown["data"]);
    let checked = dunlin(&sandbox, &["plan", "check", "mvp-5"], 0);
    let checks = checked["data"]["checks"].as_array().unwrap();
    let copies = checks.iter().find(|one| one["id"] == "copies").unwrap();
    assert_eq!(copies["outcome"], "passed", "{checked:#}");

    let waits = dunlin(&sandbox, &["run", "mvp-5"], 3);
    assert_eq!(waits["data"]["waiting"]["confirm"], json!(["assessment"]));
    let _ = dunlin(
        &sandbox,
        &["confirm", "mvp-5", "assessment", "--by", "Ada"],
        0,
    );
    let done = dunlin(&sandbox, &["run", "mvp-5"], 0);
    let phase = &done["data"]["phases"][0];
    assert_eq!(phase["state"], "done", "{done:#}");
    for check in phase["checks"].as_array().unwrap() {
        assert_eq!(check["outcome"], "passed", "{check:#}");
    }
    arrived(&sandbox, &target);
    assert!(rows(&file) == before, "the plan only reads the file");
    let shown = dunlin(&sandbox, &["plan", "show", "mvp-5"], 0);
    let state = &shown["data"]["current_state"];
    assert_eq!(state["awaits"], Value::Null, "{state:#}");
    assert_eq!(state["entries"], 2121, "{state:#}");
    assert_eq!(state["version"], "5.0", "{state:#}");

    let _ = dunlin(&sandbox, &["rollback", "mvp-5"], 0);
    let left = "SELECT count(*) FROM information_schema.tables WHERE table_schema = 'public' AND table_name NOT LIKE 'dunlin%'";
    assert_eq!(target.scalar(left), "0");
    assert!(rows(&file) == before);
    // The confirmation was of the assessment before the first try.
    let _ = dunlin(&sandbox, &["run", "mvp-5"], 3);
}

/// Of the new database nothing is known before the copy, and that is said: it is not asked for tables that it cannot have.
fn awaits_the_copy(sandbox: &Sandbox, shown: &Value) {
    let why = "unknown until the copy has run (step `change-of-engine`)";
    let state = &shown["current_state"];
    assert_eq!(state["awaits"], why, "{state:#}");
    assert_eq!(state["errors"], json!([]), "{state:#}");
    assert_eq!(state["entries"], Value::Null);
    assert_eq!(state["metrics"][0]["error"], why, "{state:#}");
    for plugin in state["plugins"].as_array().unwrap() {
        assert_eq!(
            (&plugin["on"], &plugin["error"]),
            (&Value::Null, &json!(why))
        );
    }
    let unknown = shown["unknown"].to_string();
    assert!(unknown.contains(why), "{unknown}");
    assert!(!unknown.contains("avg-search-ms"), "{unknown}");
    let page = sandbox.dunlin(["plan", "show", "mvp-5"]).code(0).stdout;
    let where_we_are = page.split("Risk:").next().unwrap();
    assert!(where_we_are.contains(why), "{where_we_are}");
    for misleading in [
        "unanswered",
        "avg-search-ms",
        "enterprise-intelligence",
        "exist",
    ] {
        assert!(!where_we_are.contains(misleading), "{where_we_are}");
    }
}

/// Types by evidence, values, counters; and every table but the one that the plan itself wrote to.
fn arrived(sandbox: &Sandbox, target: &TestDatabase) {
    let ty = |table: &str, column: &str| {
        target.scalar(&format!(
            "SELECT data_type FROM information_schema.columns WHERE table_name = '{table}' AND column_name = '{column}'"
        ))
    };
    assert_eq!(ty("kb_entries", "created_at"), "timestamp with time zone");
    assert_eq!(ty("kb_entries", "archived"), "boolean");
    assert_eq!(ty("kb_entries", "title"), "text");
    assert_eq!(ty("search_history", "search_time_ms"), "bigint");
    let _ = target
        .run("INSERT INTO template_usage (template_id) SELECT id FROM code_templates LIMIT 1");
    let _ = target.run("DELETE FROM template_usage");
    let said = "SELECT string_agg(key || '=' || value, ' ' ORDER BY key) FROM settings WHERE key IN ('database', 'mvp_version', 'enterprise_intelligence_enabled')";
    assert_eq!(
        target.scalar(said),
        "database=postgresql enterprise_intelligence_enabled=true mvp_version=5.0"
    );
    let names = "kb_entries,kb_tags,kb_tags_without_entry,search_history,search_analytics,usage_patterns,code_templates,template_usage,idz_projects,idz_files";
    let equal = dunlin(sandbox, &["verify", "app", "next", "--tables", names], 0);
    assert_eq!(equal["data"]["equal"], true, "{equal:#}");
    assert_eq!(equal["data"]["tables"].as_array().unwrap().len(), 10);
}

#[test]
fn to_mvp_5_on_postgres_and_back() {
    to_mvp_5_and_back(TestEngine::Server(Kind::Postgres));
}

#[test]
fn to_mvp_5_on_a_newer_postgres_and_back() {
    to_mvp_5_and_back(TestEngine::Server(Kind::PostgresNewer));
}

/// A critical step after the change of engine fails: the new database is as empty as it was found.
#[test]
fn a_failure_after_the_change_of_engine_takes_it_back() {
    let (sandbox, target) = at_mvp_4(TestEngine::Server(Kind::Postgres));
    let plan = sandbox.read("mvp-5.plan.toml");
    let broken = plan.replace("'5.0'", "(SELECT 'no' FROM nowhere_at_all)");
    assert_ne!(plan, broken);
    sandbox.write("mvp-5.plan.toml", broken);
    let _ = dunlin(&sandbox, &["run", "mvp-5"], 3);
    let _ = dunlin(
        &sandbox,
        &["confirm", "mvp-5", "assessment", "--by", "Ada"],
        0,
    );
    let failed = dunlin(&sandbox, &["run", "mvp-5"], 1);
    let undone = failed["failure"]["undone"].to_string();
    assert!(undone.contains("change-of-engine"), "{failed:#}");
    let left = "SELECT count(*) FROM information_schema.tables WHERE table_schema = 'public' AND table_name NOT LIKE 'dunlin%'";
    assert_eq!(target.scalar(left), "0");
}

/// Points 6 and 7 of the case, on the file as MVP 1 left it: what is found is what a dry run counts is what a cleaning
/// does, and all of it comes back; what is exported comes in again with the same digests.
#[test]
fn its_rules_are_checked_cleaned_and_taken_back() {
    let sandbox = example();
    let file = sandbox.path("kb.db");
    let before = rows(&file);
    let checked = dunlin(&sandbox, &["check"], 5);
    let found = |id: &str| {
        let rules = checked["data"]["rules"].as_array().unwrap();
        rules.iter().find(|rule| rule["id"] == id).unwrap()["violations"]
            .as_u64()
            .unwrap()
    };
    assert_eq!(found("orphaned-tags"), knowledge::ORPHANS as u64);
    let doubles = super::count(&file, "kb_entries")
        - super::count(&file, "(SELECT DISTINCT title, problem FROM kb_entries)");
    assert!(doubles >= i64::try_from(knowledge::DOUBLES).unwrap());
    assert_eq!(found("entries-once"), u64::try_from(doubles).unwrap());
    let told = dunlin(&sandbox, &["clean", "--dry-run"], 0);
    let done = dunlin(&sandbox, &["clean"], 0);
    assert_eq!(told["data"]["rules"], done["data"]["rules"]);
    let _ = dunlin(
        &sandbox,
        &["check", "orphaned-tags", "entries-once", "archive-unused"],
        0,
    );
    let _ = dunlin(&sandbox, &["clean", "--undo"], 0);
    assert!(rows(&file) == before, "a cleaning gives every row back");

    let out = dunlin(&sandbox, &["export", "-o", "out"], 0);
    let _ = sandbox
        .dunlin(["up", "--to", "001", "--create", "--url", "sqlite:other.db"])
        .success();
    let _ = dunlin(&sandbox, &["import", "out", "--url", "sqlite:other.db"], 0);
    assert!(rows(&sandbox.path("other.db")) == before);
    assert_eq!(out["data"]["tables"].as_array().unwrap().len(), 4);
    let since = dunlin(
        &sandbox,
        &[
            "export",
            "-o",
            "since",
            "--since",
            "kb_entries.created_at=2025-01-01",
            "--tables",
            "kb_entries,kb_tags",
        ],
        0,
    );
    let entries = since["data"]["tables"][0]["exported"].as_u64().unwrap();
    assert!(entries > 0 && entries < 2121, "{since:#}");
}
