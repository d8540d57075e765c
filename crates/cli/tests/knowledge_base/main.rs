//! `examples/04-knowledge-base`: the database in the repository is what the generator makes, and the scripts bring it up
//! to date and back again, with every value as it was. And the README, which shows just that.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod next;

use dunlin_testkit::sandbox::Sandbox;
use dunlin_testkit::{console, knowledge};
use rusqlite::Connection;
use std::path::{Path, PathBuf};

const FOLDER: &str = "examples/04-knowledge-base";

/// Opens the gate of the last phase.
const APPROVE: [&str; 7] = [
    "approve",
    "upgrade",
    "mvp-4",
    "--by",
    "Ada",
    "--confirm",
    "the team knows",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// A sandbox with the example in it, its database as the repository holds it.
fn example() -> Sandbox {
    let mut sandbox = Sandbox::new();
    console::copy_into(&sandbox, &root().join(FOLDER), ".");
    sandbox.set("HOSTNAME", "desk");
    sandbox
}

/// Every row of every table that is not the journal's, as text, in a stable order.
fn rows(database: &Path) -> Vec<String> {
    let connection = Connection::open(database).unwrap();
    let names = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%' \
                 AND name NOT LIKE 'dunlin%' ORDER BY name";
    let mut query = connection.prepare(names).unwrap();
    let tables: Vec<String> = query
        .query_map([], |row| row.get(0))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    let mut all = vec![];
    for table in tables {
        let mut query = connection
            .prepare(&format!("SELECT * FROM \"{table}\""))
            .unwrap();
        let columns = query.column_count();
        let mut lines: Vec<String> = query
            .query_map([], |row| {
                let values =
                    (0..columns).map(|at| row.get::<_, rusqlite::types::Value>(at).unwrap());
                Ok(format!("{table}: {:?}", values.collect::<Vec<_>>()))
            })
            .unwrap()
            .map(Result::unwrap)
            .collect();
        lines.sort();
        all.append(&mut lines);
    }
    all
}

fn count(database: &Path, what: &str) -> i64 {
    let connection = Connection::open(database).unwrap();
    connection
        .query_row(&format!("SELECT count(*) FROM {what}"), [], |row| {
            row.get(0)
        })
        .unwrap()
}

#[test]
fn the_database_of_the_repository_is_what_the_generator_makes() {
    let sandbox = example();
    let fresh = sandbox.path("fresh.db");
    let script = sandbox.read("migrations/001_mvp1.sql");
    let tables = script.split("-- dunlin:undo").next().unwrap();
    knowledge::make(&fresh, tables, 42).unwrap();
    let url = format!("sqlite:{}", fresh.display());
    let _ = sandbox.dunlin(["baseline", "001", "--url", &url]).success();
    let committed = root().join(FOLDER).join("kb.db");
    let stale = rows(&committed) != rows(&fresh);
    if stale && std::env::var_os("DUNLIN_UPDATE_DOCS").is_some() {
        Connection::open(&fresh)
            .unwrap()
            .execute_batch("VACUUM")
            .unwrap();
        std::fs::copy(&fresh, &committed).unwrap();
    }
    assert!(
        rows(&committed) == rows(&fresh),
        "kb.db is not what the generator makes; DUNLIN_UPDATE_DOCS=1 makes it anew"
    );
    assert!(
        committed.metadata().unwrap().len() < 1_000_000,
        "a clone should stay small"
    );
}

#[test]
fn up_changes_what_it_says_and_down_gives_every_value_back() {
    let sandbox = example();
    let database = sandbox.path("kb.db");
    let before = rows(&database);
    assert!(
        count(
            &database,
            "kb_entries WHERE archived NOT IN (0, 1) OR archived IS NULL"
        ) > 100
    );
    let up = sandbox.dunlin(["up", "--format", "json"]).success().json();
    assert_eq!(up["data"]["applied"].as_array().unwrap().len(), 7, "{up}");
    let entries = i64::try_from(knowledge::ENTRIES + knowledge::DOUBLES).unwrap();
    assert_eq!(count(&database, "kb_entries"), entries);
    assert_eq!(
        count(&database, "kb_entries WHERE archived IN (0, 1)"),
        entries
    );
    assert_eq!(
        count(
            &database,
            "kb_entries WHERE created_at GLOB '????-??-??T??:??:??Z'"
        ),
        entries
    );
    let orphans = i64::try_from(knowledge::ORPHANS).unwrap();
    assert_eq!(count(&database, "kb_tags_without_entry"), orphans);
    assert!(
        count(&database, "kb_tags") > entries,
        "no tag went with the table that was built anew"
    );
    assert_eq!(count(&database, "search_analytics"), 1_000);
    assert!(count(&database, "usage_patterns") > 10);
    let done = rows(&database);

    let again = sandbox.dunlin(["up", "--format", "json"]).success().json();
    assert_eq!(
        again["data"]["applied"].as_array().unwrap().len(),
        0,
        "{again}"
    );
    assert!(rows(&database) == done);

    let down = sandbox
        .dunlin(["down", "--to", "001", "--format", "json"])
        .success()
        .json();
    assert_eq!(
        down["data"]["undone"].as_array().unwrap().len(),
        7,
        "{down}"
    );
    assert!(
        rows(&database) == before,
        "down gives back every value as it was"
    );

    let _ = sandbox.dunlin(["up"]).success();
    assert!(rows(&database) == done, "up, down, up is up");
}

#[test]
fn an_empty_database_comes_to_the_same_tables() {
    let sandbox = example();
    let _ = sandbox
        .dunlin(["up", "--create", "--url", "sqlite:new.db"])
        .success();
    let tables = "sqlite_schema WHERE type IN ('table', 'index') AND name NOT LIKE 'sqlite%' AND name NOT LIKE 'dunlin%'";
    let _ = sandbox.dunlin(["up"]).success();
    assert_eq!(
        count(&sandbox.path("new.db"), tables),
        count(&sandbox.path("kb.db"), tables)
    );
}

#[test]
fn the_readme_shows_what_happens() {
    let shell = console::shell();
    console::copy_into(&shell, &root().join(FOLDER), FOLDER);
    console::check(&root().join("README.md"), &shell, &[]);
}

#[test]
fn the_example_shows_what_happens() {
    let shell = console::shell();
    console::copy_into(&shell, &root().join(FOLDER), FOLDER);
    console::check(&root().join(FOLDER).join("README.md"), &shell, &[]);
}

/// From MVP 1 to MVP 4 by the plan, back, and forward again; every value as it was.
#[test]
fn the_plan_goes_to_mvp_4_and_back() {
    let sandbox = example();
    let database = sandbox.path("kb.db");
    let before = rows(&database);
    let run = |line: &[&str], code: i32| {
        let ran = sandbox.dunlin([line, &["--format", "json"]].concat());
        ran.code(code).json()
    };
    let first = run(&["run", "upgrade"], 3);
    assert_eq!(first["data"]["waiting"]["phase"], "mvp-4", "{first:#}");
    assert_eq!(count(&database, "search_analytics"), 1_000);
    let approved = run(&APPROVE, 0);
    assert_eq!(approved["data"]["open"], true);
    let done = run(&["run", "upgrade"], 0);
    let phases = done["data"]["phases"].as_array().unwrap();
    assert!(
        phases.iter().all(|phase| phase["state"] == "done"),
        "{done:#}"
    );
    let checks = phases
        .iter()
        .flat_map(|phase| phase["checks"].as_array().unwrap());
    assert!(checks.clone().count() >= 8);
    for check in checks {
        assert_eq!(check["outcome"], "passed", "{check:#}");
        assert!(!check["observed"].as_str().unwrap().is_empty(), "{check:#}");
    }
    assert!(count(&database, "code_templates WHERE category = 'from_pattern'") > 0);
    assert_eq!(
        count(
            &database,
            "settings WHERE key = 'mvp_version' AND value = '4'"
        ),
        1
    );
    let after = rows(&database);
    let back = run(&["rollback", "upgrade"], 0);
    assert!(rows(&database) == before, "{back:#}");
    let _ = run(&["run", "upgrade"], 3);
    let _ = run(&APPROVE, 0);
    let _ = run(&["run", "upgrade"], 0);
    // Templates say when they were made.
    let still = |rows: Vec<String>| -> Vec<String> {
        let own = |row: &String| !row.starts_with("code_templates:");
        rows.into_iter().filter(own).collect()
    };
    assert_eq!(rows(&database).len(), after.len());
    assert!(
        still(rows(&database)) == still(after),
        "forward, back, forward is forward"
    );
    reports(&sandbox);
}

/// In every form, each with every check.
fn reports(sandbox: &Sandbox) {
    for form in ["html", "md", "json", "xml"] {
        let file = format!("report.{form}");
        let _ = sandbox.dunlin(["report", "upgrade", "-o", &file]).success();
        assert!(
            sandbox.read(&file).contains("placeholders-arrived"),
            "{form}"
        );
    }
}

/// A failure injected after each step of each phase: all is as it was before the plan, as `on_failure` says.
#[test]
fn a_failure_in_any_step_takes_the_plan_back() {
    let steps = [
        "clean-up",
        "enable-analytics",
        "enable-patterns",
        "analytics-tables",
        "carry-searches-over",
        "now-mvp-2",
        "enable-code-analysis",
        "code-tables",
        "parser",
        "enable-templates",
        "enable-bridge",
        "template-tables",
        "templates-from-patterns",
        "standard-templates",
        "project-management",
    ];
    for step in steps {
        let sandbox = example();
        let database = sandbox.path("kb.db");
        let before = rows(&database);
        let plan = sandbox.read("upgrade.plan.toml").replace(
            "gate = \"approve\"\ngo = [\"the team knows\"]\nbackup = \"database\"\n",
            "",
        );
        let at = plan.find(&format!("id = \"{step}\"")).unwrap();
        let end = plan[at..].find("\n\n").map_or(plan.len(), |end| at + end);
        let breaks = "\n\n  [[phase.step]]\n  id = \"breaks\"\n  sql = \"INSERT INTO nowhere_at_all (id) VALUES (1)\"\n  undo = { none = \"it does nothing\" }";
        sandbox.write(
            "upgrade.plan.toml",
            format!("{}{breaks}{}", &plan[..end], &plan[end..]),
        );
        let ran = sandbox
            .dunlin(["run", "upgrade", "--format", "json"])
            .code(1)
            .json();
        assert!(rows(&database) == before, "after {step}: {ran:#}");
    }
}
