//! `plan show` and `plan check` of a knowledge base's plan: without a database, and with one.

use crate::dunlin;
use dunlin_testkit::sandbox::{Ran, Sandbox};

const PROJECT: &str = r#"
[database.app]
url = "sqlite:kb.db"
[state]
version = { sql = "SELECT setting_value FROM settings WHERE setting_key = 'mvp_version'" }
entries = { sql = "SELECT count(*) FROM kb_entries" }
[[state.metric]]
id = "avg-search-ms"
sql = "SELECT avg(search_time_ms) FROM search_history"
warn_above = 1000
mitigation = "Optimise searches before migrating"
[[state.metric]]
id = "broken"
sql = "SELECT nothing FROM nowhere"
warn_below = 1
[[plugin]]
id = "analytics"
setting = { table = "settings", key = "setting_key", value = "setting_value", name = "analytics_enabled", on = "true", off = "false" }
options = { aggregation_interval = "3600000" }
[[plugin]]
id = "patterns"
after = ["analytics"]
setting = { table = "settings", key = "setting_key", value = "setting_value", name = "patterns_enabled", on = "true", off = "false" }
[[plugin]]
id = "bridge"
exec = { on = "touch bridge.on", off = "rm bridge.on", is_on = "test -e bridge.on" }
"#;

const PLAN: &str = r#"
name = "mvp 1 to 5"
requires = ["server:sqlite>=3.40", "setting:settings.mvp_version=1"]
window = "Sun-Thu 02:00-05:00 Asia/Tehran"
starts = "2026-01-08"
team = [{ role = "dba" }, { role = "tech-lead", when = "mvp2" }]
[[phase]]
id = "mvp2"
title = "Analytics and patterns"
version = 2
objectives = ["Searches are counted"]
risk = "low"
duration = "1d"
gate = "approve"
approvers = ["dba", "tech-lead"]
go = ["team available"]
backup = "checkpoint"
[[phase.check]]
id = "entries-there"
when = "before"
sql = "SELECT count(*) FROM kb_entries"
expect = ">= 1"
[[phase.step]]
id = "analytics"
type = "plugin"
plugin = { enable = "analytics" }
[[phase.step]]
id = "patterns"
type = "plugin"
plugin = { enable = "patterns" }
[[phase.step]]
id = "tables"
type = "schema"
sql = """
CREATE TABLE search_analytics (id INTEGER PRIMARY KEY, query TEXT NOT NULL, timestamp TEXT);
CREATE INDEX idx_sa_timestamp ON search_analytics(timestamp);
"""
[[phase.step]]
id = "history-index"
index = { name = "idx_sh_user", table = "search_history", columns = ["user_id"] }
[[phase]]
id = "mvp4"
title = "The bridge"
version = 4
duration = "2d"
[[phase.step]]
id = "bridge"
type = "plugin"
critical = false
plugin = { enable = "bridge" }
[[phase.step]]
id = "by-hand"
type = "manual"
manual = { do = "Look at the dashboard", by = "dba" }
undo = { none = "it only looks" }
[[phase]]
id = "mvp5"
title = "Mails"
version = 5
[[phase.step]]
id = "mails"
exec = { run = "true" }
estimate = "5m"
undo = { impossible = "the mails are sent" }
"#;

const WINDOW: &str = "window = \"Sun-Thu 02:00-05:00 Asia/Tehran\"\n";

const TABLES: &str = "
CREATE TABLE settings (setting_key TEXT PRIMARY KEY, setting_value TEXT);
INSERT INTO settings VALUES ('mvp_version', '1'), ('analytics_enabled', 'false');
CREATE TABLE kb_entries (id TEXT PRIMARY KEY, title TEXT);
INSERT INTO kb_entries VALUES ('a', 'A'), ('b', 'B');
CREATE TABLE search_history (id INTEGER PRIMARY KEY, user_id TEXT, search_time_ms REAL);
INSERT INTO search_history (user_id, search_time_ms) VALUES ('u', 1500), ('v', 1300);
";

fn room() -> Sandbox {
    let sandbox = Sandbox::with_binary(env!("CARGO_BIN_EXE_dunlin"));
    sandbox.write("dunlin.toml", PROJECT);
    sandbox.write("mvp.plan.toml", PLAN);
    std::fs::create_dir(sandbox.path("migrations")).unwrap();
    sandbox
}

fn fill(sandbox: &Sandbox) {
    let database = rusqlite::Connection::open(sandbox.path("kb.db")).unwrap();
    database.execute_batch(TABLES).unwrap();
}

/// What was measured differs, and so does what a disk has free; the server's version moves on.
fn shows(name: &str, ran: &Ran) {
    insta::with_settings!({ filters => vec![
        (r"(about|At once|at once)[ \d.]*(ms|s|min)", "about [TIME]"),
        (r"\d[\d.]* [kMGT]?B free", "[SIZE] free"),
        (r"(sqlite|SQLite|sqlite>=3.40:) 3\.\d+\.\d+", "$1 [VERSION]"),
    ]}, { insta::assert_snapshot!(name, ran.snapshot()); });
}

#[test]
fn a_plan_is_shown_before_there_is_a_database_and_after() {
    let sandbox = room();
    let before = dunlin(&sandbox, "plan show mvp").success();
    shows("plan_show_without_database", &before);
    assert!(!sandbox.path("kb.db").exists(), "looking makes nothing");
    fill(&sandbox);
    let after = dunlin(&sandbox, "plan show mvp").success();
    shows("plan_show", &after);
    for ran in [&before, &after] {
        let wide: Vec<&str> = ran
            .stdout
            .lines()
            .filter(|line| line.chars().count() > 100)
            .collect();
        assert!(wide.is_empty(), "readable at a hundred columns: {wide:#?}");
    }
}

#[test]
fn a_plan_is_shown_where_its_database_has_no_address() {
    let sandbox = room();
    let project = PROJECT.replace("sqlite:kb.db", "${KB_URL}");
    sandbox.write("dunlin.toml", project);
    let ran = dunlin(&sandbox, "plan show mvp --format json").success();
    let json: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(json["data"]["phases"].as_array().map(Vec::len), Some(3));
    assert_eq!(json["data"]["current_state"]["health"], "unreachable");
    assert!(
        json["data"]["unreachable"]
            .as_str()
            .is_some_and(|why| why.contains("KB_URL"))
    );
}

#[test]
fn what_is_shown_has_the_keys_of_the_contract() {
    let sandbox = room();
    fill(&sandbox);
    let ran = dunlin(&sandbox, "plan show mvp --format json").success();
    let json: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    let data = &json["data"];
    let has = |value: &serde_json::Value, keys: &str| {
        for key in keys.split(' ') {
            assert!(value.get(key).is_some(), "{key} of {value}");
        }
    };
    has(
        data,
        "risk recommendations estimate_ms undo_estimate_ms phases requirements rollback_plan current_state",
    );
    has(
        &data["risk"]["reasons"][0],
        "kind level description mitigation",
    );
    has(
        &data["phases"][0],
        "id title version needs risk estimate_ms steps",
    );
    has(
        &data["phases"][0]["steps"][0],
        "id kind type critical needs undo hazards estimate_ms undo_estimate_ms",
    );
    has(
        &data["current_state"],
        "version engine entries bytes plugins health metrics",
    );
    let kinds: Vec<&str> = data["risk"]["reasons"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|reason| reason["kind"].as_str())
        .collect();
    assert_eq!(
        kinds,
        ["irreversible", "many_phases", "many_plugins", "metric"]
    );
    assert_eq!(data["risk"]["level"], "high");
    assert_eq!(data["current_state"]["entries"], 2);
    assert_eq!(
        data["phases"][2]["steps"][0]["estimate_ms"], 300_000,
        "the author's"
    );
}

#[test]
fn a_check_names_everything_at_once() {
    let sandbox = room();
    fill(&sandbox);
    shows("plan_check", &dunlin(&sandbox, "plan check mvp").success());
    let asks = "requires = [\"env:NOT_THERE\", \"command:no-such-tool\", \"disk:900TB\", \"setting:settings.mvp_version=2\", \
                \"tcp:127.0.0.1:1\", \"backup:24h\", \"plugin:bridge\"]\n";
    let plan = PLAN.replace(
        "requires = [\"server:sqlite>=3.40\", \"setting:settings.mvp_version=1\"]\n",
        asks,
    );
    let plan = plan
        .replace(
            "SELECT count(*) FROM kb_entries",
            "SELECT count(* FROM kb_entries",
        )
        .replace("enable = \"analytics\"", "enable = \"PATTERNS\"")
        .replace("enable = \"patterns\"", "enable = \"analytics\"")
        .replace("PATTERNS", "patterns");
    sandbox.write("mvp.plan.toml", plan);
    let failed = dunlin(&sandbox, "plan check mvp").code(4);
    shows("plan_check_failed", &failed);
    let open = std::fs::read_to_string(sandbox.path("mvp.plan.toml")).unwrap();
    sandbox.write("mvp.plan.toml", open.replace(WINDOW, ""));
    let approve = "approve mvp mvp2 --by Ana --as dba --confirm";
    let _ = sandbox
        .dunlin(approve.split(' ').chain(["team available"]))
        .success();
    let _ = dunlin(&sandbox, "approve mvp mvp2 --by Ben --as tech-lead").success();
    let refused = dunlin(&sandbox, "run mvp").code(4);
    assert!(refused.stderr.contains("NOT_THERE"), "{refused:?}");
    let database = rusqlite::Connection::open(sandbox.path("kb.db")).unwrap();
    let count = "SELECT count(*) FROM settings";
    let settings: i64 = database.query_row(count, [], |row| row.get(0)).unwrap();
    assert_eq!(settings, 2, "nothing was touched");
}

#[test]
fn what_was_predicted_stands_beside_what_it_took() {
    let sandbox = room();
    fill(&sandbox);
    let approve = "approve mvp mvp2 --by Ana --as dba --confirm";
    let plan = PLAN
        .replace("backup = \"checkpoint\"\n", "")
        .replace(WINDOW, "");
    sandbox.write("mvp.plan.toml", plan);
    let _ = sandbox
        .dunlin(approve.split(' ').chain(["team available"]))
        .success();
    let _ = dunlin(&sandbox, "approve mvp mvp2 --by Ben --as tech-lead").success();
    let ran = dunlin(&sandbox, "run mvp --until mvp2 --format json").success();
    let json: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    let phase = &json["data"]["phases"][0];
    assert!(
        phase["predicted_ms"].is_u64() && phase["duration_ms"].is_u64(),
        "{phase}"
    );
}
