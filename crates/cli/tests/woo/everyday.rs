//! Points 1, 2, 4, 5, 8, 9 and 10: activation, versions, order, checksums, undo, drift, test environments.

use crate::{Shop, codes};
use dunlin_testkit::servers::Kind;

on_both!(
    point_01_activation_runs_what_is_pending,
    point_01_a_service_activates_itself_unless_the_manifest_forbids_it,
    point_02_versions_are_tracked_and_the_manifest_is_written_back,
    point_04_a_missing_dependency_is_refused_before_anything_is_touched,
    point_04_cycles_and_unknown_names_are_findings,
    point_05_an_edited_script_stops_and_an_edited_comment_warns,
    point_08_one_version_is_undone_by_itself,
    point_08_reset_moves_the_record_without_running_sql,
    point_08_only_the_plugins_own_objects_are_dropped,
    point_09_drift_says_what_is_missing_extra_and_different,
    point_10_a_test_environment_has_its_own_database_prefix_and_log,
);

fn point_01_activation_runs_what_is_pending(kind: Kind) {
    let shop = Shop::new(kind);
    let up = shop.dunlin("up --no-backup --format json").success().json();
    let applied = up["data"]["applied"].as_array().unwrap().clone();
    let versions: Vec<_> = applied
        .iter()
        .map(|line| line["version"].as_str().unwrap())
        .collect();
    assert_eq!(versions, ["001", "002", "003", "004"]);
    let (ours, hosts) = shop.tables();
    assert_eq!(ours.len(), 10, "eight tables and two views: {ours:?}");
    assert_eq!(hosts, ["wp_posts", "wp_users"]);
    assert_eq!(
        shop.database
            .scalar("SELECT count(*) FROM wp_woo_ai_settings"),
        "17"
    );
    let prompt = "SELECT setting_value FROM wp_woo_ai_settings WHERE setting_key = 'system_prompt'";
    assert_eq!(
        shop.database.scalar(prompt),
        "You help the customers of {{shop_name}}."
    );
    let again = shop.dunlin("up --format json").success().json();
    assert_eq!(again["data"]["applied"].as_array().unwrap().len(), 0);
}

fn point_01_a_service_activates_itself_unless_the_manifest_forbids_it(kind: Kind) {
    let shop = Shop::new(kind);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    let activate = || {
        runtime.block_on(async {
            let migrator = dunlin::Migrator::new(shop.database.url()).unwrap();
            let migrator = migrator
                .placeholder("prefix", "wp_")
                .placeholder("wpdb_users", "wp_users");
            migrator
                .folder(shop.sandbox.path("migrations"))
                .unwrap()
                .to("003")
                .up()
                .await
                .unwrap()
        })
    };
    let manifest = shop.sandbox.read("migrations/version.json");
    let allowed = "\"auto_migrate_on_activation\": true";
    assert!(manifest.contains(allowed));
    let forbidden = manifest.replace(allowed, "\"auto_migrate_on_activation\": false");
    shop.sandbox.write("migrations/version.json", forbidden);
    assert_eq!(activate().steps.len(), 0);
    assert!(shop.tables().0.is_empty(), "only reported");
    shop.sandbox.write("migrations/version.json", manifest);
    assert_eq!(activate().steps.len(), 3);
    assert_eq!(activate().steps.len(), 0);
    assert_eq!(
        shop.applied(),
        ["001", "002", "003"],
        "the command line sees what the service did"
    );
}

fn point_02_versions_are_tracked_and_the_manifest_is_written_back(kind: Kind) {
    let shop = Shop::new(kind);
    let _ = shop.dunlin("up --to 002 --no-backup").success();
    let status = shop
        .dunlin("status --format json --write-manifest")
        .success()
        .json();
    assert_eq!(status["data"]["current"], "002");
    let lines = status["data"]["migrations"].as_array().unwrap();
    assert_eq!(lines.len(), 4);
    let first = &lines[0];
    assert_eq!(
        (&first["version"], &first["name"], &first["state"]),
        (&"001".into(), &"initial_schema".into(), &"applied".into())
    );
    assert_eq!(first["applied_at"], "2026-01-02T03:04:05.000Z");
    assert_eq!(first["by"], "tester@host");
    assert!(first["duration_ms"].as_u64().is_some());
    assert_eq!(first["estimate_ms"], 5_000);
    assert_eq!(lines[2]["state"], "pending");

    let written: serde_json::Value =
        serde_json::from_str(&shop.sandbox.read("migrations/version.json")).unwrap();
    assert_eq!(written["current_version"], "002");
    assert_eq!(written["migrations"]["002"]["applied"], true);
    assert_eq!(
        written["migrations"]["002"]["applied_at"],
        "2026-01-02T03:04:05.000Z"
    );
    assert_eq!(written["migrations"]["003"]["applied"], false);
    assert_eq!(
        written["migrations"]["001"]["tables_created"]
            .as_array()
            .unwrap()
            .len(),
        6,
        "the rest stays"
    );
    let _ = shop.dunlin("status --exit-code").code(10);
}

fn point_04_a_missing_dependency_is_refused_before_anything_is_touched(kind: Kind) {
    let shop = Shop::new(kind);
    let _ = shop.dunlin("up --to 001").success();
    let before = shop.picture();
    for file in [
        "002_add_conversation_tags.sql",
        "002_add_conversation_tags.undo.sql",
        "version.json",
    ] {
        std::fs::remove_file(shop.sandbox.path(format!("migrations/{file}"))).unwrap();
    }
    let answer = shop.dunlin("up --format json").code(2).json();
    assert!(
        codes(&answer).contains(&"unknown-requirement".to_owned()),
        "{answer}"
    );
    assert_eq!(shop.picture(), before);
    assert_eq!(
        shop.database
            .scalar("SELECT count(*) FROM dunlin_journal WHERE unit = '003'"),
        "0"
    );
}

fn point_04_cycles_and_unknown_names_are_findings(kind: Kind) {
    let shop = Shop::new(kind);
    shop.sandbox.write(
        "migrations/005_a.sql",
        "-- dunlin: requires = [\"006\"]\nSELECT 1;\n",
    );
    shop.sandbox.write(
        "migrations/006_b.sql",
        "-- dunlin: requires = [\"005\", \"999\"]\nSELECT 1;\n",
    );
    let found = codes(&shop.dunlin("up --format json").code(2).json());
    for code in ["unknown-requirement", "requires-cycle"] {
        assert!(
            found.contains(&code.to_owned()),
            "all faults at once: {found:?}"
        );
    }
    assert!(shop.tables().0.is_empty());
    assert!(
        !shop.database.has_table("dunlin_journal"),
        "no table of ours either"
    );
}

fn point_05_an_edited_script_stops_and_an_edited_comment_warns(kind: Kind) {
    let shop = Shop::active(kind);
    let script = shop.sandbox.read("migrations/003_optimize_indexes.sql");
    let spaced = format!(
        "-- a remark\n{}",
        script.replace(" ON ", "\n    ON ").replace('\n', "\r\n")
    );
    shop.sandbox
        .write("migrations/003_optimize_indexes.sql", spaced);
    let up = shop.dunlin("up --format json").success().json();
    assert_eq!(codes(&up), ["changed-comments"]);

    shop.sandbox.write(
        "migrations/003_optimize_indexes.sql",
        script.replace("idx_active", "idx_act"),
    );
    let up = shop.dunlin("up --format json").code(5).json();
    assert!(codes(&up).contains(&"changed-script".to_owned()), "{up}");
    let _ = shop.dunlin("status --exit-code").code(5);
    let _ = shop.dunlin("repair --accept 003").success();
    let _ = shop.dunlin("up").success();

    // A row of another algorithm stays valid: what it says cannot be compared with what today's would.
    shop.sandbox
        .write("migrations/003_optimize_indexes.sql", script);
    let older = "UPDATE dunlin_journal SET detail = replace(detail, '\"version\":1', '\"version\":0') WHERE unit = '003'";
    shop.database.run(older);
    let _ = shop.dunlin("up").success();
}

fn point_08_one_version_is_undone_by_itself(kind: Kind) {
    let shop = Shop::active(kind);
    let all = shop.picture();
    let refused = shop.dunlin("down --only 002 --format json").code(4).json();
    assert!(
        codes(&refused).contains(&"required-by".to_owned()),
        "003 requires it: {refused}"
    );
    let _ = shop.dunlin("down --only 003").success();
    assert_eq!(shop.applied(), ["001", "002", "004"]);
    let index = "SELECT count(*) FROM information_schema.statistics WHERE table_schema = database() AND index_name = 'idx_active'";
    assert_eq!(shop.database.scalar(index), "0");
    let up = shop.dunlin("up --format json").code(4).json();
    assert!(codes(&up).contains(&"out-of-order".to_owned()), "{up}");
    let toml = shop.sandbox.read("dunlin.toml");
    shop.sandbox.write(
        "dunlin.toml",
        toml.replace("owns = ", "out_of_order = \"apply\"\nowns = "),
    );
    let _ = shop.dunlin("up").success();
    assert_eq!(shop.picture(), all);
    let _ = shop.dunlin("down --to 0").success();
    assert!(shop.tables().0.is_empty(), "{:?}", shop.tables().0);
}

fn point_08_reset_moves_the_record_without_running_sql(kind: Kind) {
    let shop = Shop::active(kind);
    let before = shop.picture();
    let _ = shop.dunlin("reset --to 002").success();
    assert_eq!(shop.applied(), ["001", "002"]);
    assert_eq!(shop.picture(), before);
    let _ = shop.dunlin("reset --to 004").success();
    assert_eq!(shop.applied(), ["001", "002", "003", "004"]);
    assert_eq!(shop.picture(), before);
}

fn point_08_only_the_plugins_own_objects_are_dropped(kind: Kind) {
    let shop = Shop::active(kind);
    let _ = shop.dunlin("drop-all --confirm something-else").code(2);
    assert_eq!(shop.tables().0.len(), 10);
    let _ = shop
        .dunlin(&format!("drop-all --confirm {}", shop.database.name()))
        .success();
    let (ours, hosts) = shop.tables();
    assert!(ours.is_empty(), "{ours:?}");
    assert_eq!(hosts, ["wp_posts", "wp_users"], "the shop's own stay");
    assert_eq!(shop.database.scalar("SELECT count(*) FROM wp_users"), "2");
    let _ = shop.dunlin("up --no-backup").success();
    assert_eq!(shop.tables().0.len(), 10, "and it can be activated again");
}

fn point_09_drift_says_what_is_missing_extra_and_different(kind: Kind) {
    let shop = Shop::active(kind);
    for how in ["drift --format json", "drift --rebuild --format json"] {
        let quiet = shop.dunlin(how).success().json();
        assert_eq!(quiet["data"]["differences"], serde_json::json!([]), "{how}");
    }
    shop.database.run(
        "ALTER TABLE wp_woo_ai_messages DROP COLUMN model_used; \
         ALTER TABLE wp_woo_ai_settings MODIFY setting_group VARCHAR(40) NOT NULL DEFAULT 'x'; \
         DROP INDEX idx_active ON wp_woo_ai_knowledge_base; \
         CREATE INDEX idx_extra ON wp_woo_ai_action_logs (success); \
         DROP VIEW wp_woo_ai_kb_summary; \
         ALTER TABLE wp_woo_ai_analytics DROP FOREIGN KEY wp_woo_ai_analytics_conversation; \
         CREATE TABLE wp_options (id INT)",
    );
    for how in ["drift --format json", "drift --rebuild --format json"] {
        let answer = shop.dunlin(how).code(5).json();
        let all = answer["data"]["differences"].to_string();
        for word in [
            "model_used",
            "setting_group",
            "idx_active",
            "idx_extra",
            "wp_woo_ai_kb_summary",
            "analytics_conversation",
        ] {
            assert!(all.contains(word), "{how} says nothing of {word}: {all}");
        }
        assert!(
            !all.contains("wp_options"),
            "the host's tables are no business of ours: {all}"
        );
        for kind in ["missing", "extra", "different"] {
            assert!(
                all.contains(&format!("\"kind\":\"{kind}\"")),
                "{how}: {all}"
            );
        }
    }
}

fn point_10_a_test_environment_has_its_own_database_prefix_and_log(kind: Kind) {
    let mut shop = Shop::new(kind);
    let test = Shop::new(kind);
    test.database.run("RENAME TABLE wp_users TO wptests_users");
    shop.sandbox
        .set("SHOP_TEST_DATABASE_URL", test.database.url());
    let _ = shop.dunlin("--env test up --no-backup").success();
    assert!(shop.tables().0.is_empty(), "the live one is untouched");
    assert!(test.database.has_table("wptests_woo_ai_settings"));
    let log = shop.sandbox.read("dunlin.log");
    let lines: Vec<_> = log.lines().collect();
    assert_eq!(
        lines.len(),
        8,
        "a line at the start and at the end of each: {log}"
    );
    assert_eq!(
        lines[0],
        "[02-Jan-2026 03:04:05 UTC] woo-ai-assistant: 001_initial_schema up started"
    );
    assert!(
        lines[1].starts_with(
            "[02-Jan-2026 03:04:05 UTC] woo-ai-assistant: 001_initial_schema completed ("
        ),
        "{log}"
    );
    assert!(lines[1].ends_with(" s)"), "with its duration: {log}");
}
