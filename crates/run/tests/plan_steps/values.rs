//! `settings` and `plugin`: rows written, and given back exactly.

use crate::ground::{Ground, step};
use dunlin_core::plan::steps::Inverse;
use dunlin_core::source::grammar::EnvText;
use dunlin_core::source::grammar::apps::{PluginExec, PluginSetting, PluginTable};
use dunlin_core::source::grammar::steps::Settings;
use dunlin_core::source::plan::{StepDoc, StepSpec};
use dunlin_testkit::{TestEngine, for_each_engine};
use serde_json::{Value, json};
use std::collections::BTreeMap;

const SQLITE: &str = "CREATE TABLE system_settings (id INTEGER PRIMARY KEY, setting_key TEXT NOT NULL UNIQUE, setting_value TEXT, \
    is_system BOOLEAN DEFAULT 0, rate REAL, made BLOB, loose, updated_at TEXT DEFAULT 'then');
    INSERT INTO system_settings (setting_key, setting_value, is_system, rate, made, loose) VALUES \
    ('model', 'it''s \\ نسخه 😀', 1, 0.1, x'00ff', 1.0e100), ('same', 'true', 0, 1.5, NULL, 'x'), ('null', NULL, NULL, NULL, NULL, NULL);";
const POSTGRES: &str = "CREATE TABLE system_settings (id serial PRIMARY KEY, setting_key text NOT NULL UNIQUE, setting_value text, \
    is_system boolean DEFAULT false, rate numeric(10,2), made bytea, loose jsonb, updated_at timestamptz DEFAULT now());
    INSERT INTO system_settings (setting_key, setting_value, is_system, rate, made, loose) VALUES \
    ('model', 'it''s \\ نسخه 😀', true, 0.1, '\\x00ff', '{\"a\": [1]}'), ('same', 'true', false, 1.5, NULL, '\"x\"'), \
    ('null', NULL, NULL, NULL, NULL, NULL);";
const MYSQL: &str = "CREATE TABLE system_settings (id INT AUTO_INCREMENT PRIMARY KEY, setting_key VARCHAR(50) NOT NULL UNIQUE, \
    setting_value TEXT, is_system TINYINT(1) DEFAULT 0, rate DOUBLE, made VARBINARY(10), loose JSON, updated_at TIMESTAMP(6) \
    NOT NULL DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6)) DEFAULT CHARSET utf8mb4;
    INSERT INTO system_settings (setting_key, setting_value, is_system, rate, made, loose) VALUES \
    ('model', 'it''s \\\\ نسخه 😀', 1, 0.1, x'00ff', '{\"a\": [1]}'), ('same', 'true', 0, 1.5, NULL, '\"x\"'), \
    ('null', NULL, NULL, NULL, NULL, NULL);";

fn ground(engine: TestEngine) -> Ground {
    Ground::new(engine, engine.pick(SQLITE, POSTGRES, MYSQL))
}

fn row(value: Value) -> BTreeMap<String, Value> {
    value.as_object().unwrap().clone().into_iter().collect()
}

fn settings(rows: &[Value]) -> StepDoc {
    step(StepSpec::Settings(Settings {
        table: "system_settings".into(),
        key: vec!["setting_key".into()],
        rows: rows.iter().cloned().map(row).collect(),
    }))
}

fn undo(inverse: &Inverse) -> &[String] {
    match inverse {
        Inverse::Statements(statements) => statements,
        _ => &[],
    }
}

for_each_engine! {
    async fn settings_are_written_and_given_back_exactly(engine: TestEngine) {
        let ground = ground(engine);
        let rows = settings(&[
            json!({ "setting_key": "ai_enabled", "setting_value": true, "is_system": true }),
            json!({ "setting_key": "embed 'x' \\", "setting_value": ["a\\b", 1] }),
            json!({ "setting_key": "model", "setting_value": "gpt-4 \\ '", "is_system": false, "rate": 3.25, "loose": { "b": 2 } }),
            json!({ "setting_key": "same", "setting_value": "true", "is_system": false, "rate": 1.5 }),
            json!({ "setting_key": "null", "setting_value": 3600 }),
        ]);
        let done = ground.round_trip(&rows).await;
        assert_eq!((done.up.len(), undo(&done.undo).len()), (4, 4), "nothing of what was the same: {done:#?}");
        // Written twice, it changes nothing.
        ground.run(&done.up).await;
        let value = ground.database.scalar("SELECT setting_value FROM system_settings WHERE setting_key = 'model'");
        assert_eq!(value, "gpt-4 \\ '");
        let again = ground.lower(&rows).await.unwrap();
        assert_eq!((again.up.len(), undo(&again.undo).len()), (0, 0), "{again:#?}");
        // What others wrote since is found, and a changed value of theirs stays.
        for later in &done.later {
            assert_eq!(ground.database.run(&later.sql), Vec::<Vec<Option<String>>>::new(), "{later:?}");
        }
        ground.database.run("UPDATE system_settings SET setting_value = 'theirs' WHERE setting_key IN ('model', 'ai_enabled')");
        let theirs: Vec<_> = done.later.iter().filter(|later| !ground.database.run(&later.sql).is_empty()).collect();
        assert_eq!(theirs.iter().map(|later| later.destroys).collect::<Vec<_>>(), [true, false], "{theirs:#?}");
        ground.run(undo(&done.undo)).await;
        let left = ground.database.run("SELECT setting_key, setting_value FROM system_settings ORDER BY id");
        let left: Vec<_> = left.iter().map(|row| row[0].as_deref().unwrap()).collect();
        assert_eq!(left, ["model", "same", "null"]);
        assert_eq!(ground.database.scalar("SELECT setting_value FROM system_settings WHERE setting_key = 'model'"), "theirs");
    }

    /// Also where a collation, or an equality of numbers, takes what others have written for the same.
    async fn a_row_is_written_over_only_as_it_was_found(engine: TestEngine) {
        let ground = ground(engine);
        let rows = settings(&[
            json!({ "setting_key": "model", "setting_value": "new", "is_system": false, "rate": 9.5, "made": "0", "loose": { "b": 2 } }),
            json!({ "setting_key": "null", "setting_value": "x", "rate": 1 }),
        ]);
        let picture = || ground.database.run("SELECT * FROM system_settings ORDER BY id");
        let exact = engine.pick("0.10000000000000002", "0.11", "0.10000000000000002");
        let loose = engine.pick("'1.0e+100'", "'{\"a\": [1.0]}'", "'{\"a\": [\"1\"]}'");
        let blank = engine.pick("setting_value || ' '", "setting_value || ' '", "concat(setting_value, ' ')");
        for (key, column, theirs) in [
            ("model", "setting_value", "upper(setting_value)"),
            ("model", "setting_value", blank),
            ("model", "setting_value", "NULL"),
            ("model", "is_system", "NULL"),
            ("model", "rate", exact),
            ("model", "made", "NULL"),
            ("model", "loose", loose),
            ("null", "setting_value", "''"),
            ("null", "rate", "0"),
            ("model", "updated_at", "'2001-02-03 04:05:06.000007'"),
        ] {
            if column == "updated_at" && !engine.is_mysql_family() {
                continue;
            }
            let lowered = ground.lower(&rows).await.unwrap();
            assert_eq!((lowered.up.len(), lowered.still.len()), (2, 2), "{lowered:#?}");
            for still in &lowered.still {
                assert_eq!(ground.database.run(still).len(), 1, "{still}");
            }
            let others = if engine.is_mysql_family() && column != "updated_at" { ", updated_at = updated_at" } else { "" };
            ground.database.run(&format!("UPDATE system_settings SET {column} = {theirs}{others} WHERE setting_key = '{key}'"));
            let written = picture();
            let at = usize::from(key == "null");
            assert_eq!(ground.database.run(&lowered.still[at]).len(), 0, "{column} = {theirs}: {}", lowered.still[at]);
            ground.run(&lowered.up[at..=at]).await;
            assert_eq!(picture(), written, "{column} = {theirs}: {}", lowered.up[at]);
        }
    }

    async fn settings_that_cannot_be_are_refused(engine: TestEngine) {
        let ground = ground(engine);
        for (rows, code) in [
            (settings(&[json!({ "setting_value": "x" })]), "missing-key"),
            (settings(&[json!({ "setting_key": "a", "setting_valu": "x" })]), "unknown-column"),
            (settings(&[json!({ "setting_key": "a" }), json!({ "setting_key": "a" })]), "bad-value"),
        ] {
            assert_eq!(ground.refused(&rows).await[0].0, code);
        }
        let mut by_value = settings(&[json!({ "setting_value": "true" })]);
        ground.database.run("INSERT INTO system_settings (setting_key, setting_value) VALUES ('b', 'true')");
        by_value.kind = StepSpec::Settings(Settings {
            table: "SYSTEM_SETTINGS".into(),
            key: vec!["setting_value".into()],
            rows: vec![row(json!({ "setting_value": "true", "is_system": true }))],
        });
        assert_eq!(ground.refused(&by_value).await[0].0, "key-not-unique");
    }

    async fn a_plugin_is_switched_with_its_options(engine: TestEngine) {
        let mut ground = ground(engine);
        let plugin = |id: &str, table: Option<&str>| PluginTable {
            id: id.into(),
            after: vec![],
            setting: table.map(|table| PluginSetting {
                table: table.into(),
                key: "setting_key".into(),
                value: "setting_value".into(),
                name: format!("plugin.{id}"),
                on: "on".into(),
                off: "off".into(),
            }),
            exec: table.is_none().then(|| PluginExec {
                on: EnvText("turn on".into()),
                off: EnvText("turn off".into()),
                is_on: EnvText("true".into()),
                timeout: None,
            }),
            options: BTreeMap::from([("every".into(), "1h".into()), ("model".into(), "x".into())]),
            database: None,
        };
        ground.plugins = vec![plugin("analytics", Some("system_settings")), plugin("cli", None), plugin("lost", Some("nowhere"))];
        let switch = |id: &str, on: bool| step(StepSpec::Plugin { id: id.into(), on });
        let done = ground.round_trip(&switch("analytics", true)).await;
        assert_eq!(done.up.len(), 3, "{done:#?}");
        ground.run(&done.up).await;
        assert_eq!(ground.lower(&switch("analytics", true)).await.unwrap().up, [""; 0]);
        let done = ground.round_trip(&switch("analytics", false)).await;
        assert_eq!(done.up.len(), 1, "options stay: {done:#?}");
        let commands = ground.lower(&switch("cli", true)).await.unwrap();
        assert_eq!((commands.up.len(), commands.undo), (0, Inverse::Exec("turn off".into())));
        assert_eq!(ground.refused(&switch("lost", true)).await[0].0, "unknown-table");
        assert_eq!(ground.refused(&switch("analitics", true)).await[0].0, "unknown-plugin");
    }
}
