//! Histories that are not ours: another tool's, where ours says nothing yet; and a stranger of our tables' names.

use crate::{dunlin, room_for, shows_on};
use dunlin_testkit::{TestDatabase, for_each_engine};

/// Another tool's table as that tool makes it (as far as the columns tell it), and one entry.
const TOOLS: &[(&str, &str, &str, &str)] = &[
    (
        "Flyway",
        "flyway_schema_history",
        "installed_rank int, version varchar(50), checksum int",
        "1, '1', 1",
    ),
    (
        "Liquibase",
        "DATABASECHANGELOG",
        "ID varchar(255), AUTHOR varchar(255), FILENAME varchar(255)",
        "'1', 'a', 'f'",
    ),
    (
        "sqlx",
        "_sqlx_migrations",
        "version bigint, description varchar(255), checksum varchar(64)",
        "1, 'a', 'b'",
    ),
    (
        "refinery",
        "refinery_schema_history",
        "version int, name varchar(255), checksum varchar(255)",
        "1, 'a', 'b'",
    ),
    (
        "dbmate or Rails",
        "schema_migrations",
        "version varchar(128)",
        "'20260101000000'",
    ),
    (
        "golang-migrate",
        "schema_migrations",
        "version bigint, dirty int",
        "7, 0",
    ),
    (
        "Knex",
        "knex_migrations",
        "id int, name varchar(255), batch int",
        "1, 'a', 1",
    ),
    (
        "Django",
        "django_migrations",
        "id int, app varchar(255), name varchar(255)",
        "1, 'a', '0001_initial'",
    ),
    (
        "Alembic",
        "alembic_version",
        "version_num varchar(32)",
        "'ae1027a6acf'",
    ),
];

fn make(database: &TestDatabase, (_, table, columns, row): (&str, &str, &str, &str)) {
    database.run(&format!(
        "CREATE TABLE {table} ({columns}); INSERT INTO {table} VALUES ({row})"
    ));
}

for_each_engine! {
    async fn another_tools_history_stops_up_and_baseline_takes_it_over(kind: TestEngine) {
        let database = kind.database();
        make(&database, TOOLS[0]);
        let sandbox = room_for(database.url());
        let plain = |ran: &dunlin_testkit::sandbox::Ran, name: &str| {
            shows_on(name, kind, ran, &[(database.url(), "[URL]")]);
        };
        plain(&dunlin(&sandbox, "status").success(), "foreign_status");
        let up = dunlin(&sandbox, "up").code(4);
        plain(&up, "foreign_up");
        assert!(!database.has_table("notes") && !database.has_table("dunlin_journal"));
        let dry = dunlin(&sandbox, "up --dry-run --format json").code(4).json();
        assert_eq!(dry["failure"]["code"], "foreign-history", "{dry}");
        // A person's word settles it, and from then on it is no matter any more.
        let _ = dunlin(&sandbox, "baseline 001").success();
        sandbox.write("migrations/002_more.sql", "CREATE TABLE more (id int);\n");
        let up = dunlin(&sandbox, "up --format json").success().json();
        assert_eq!(up["data"]["applied"].as_array().map(Vec::len), Some(1), "{up}");
        assert_eq!(up["findings"], serde_json::json!([]), "{up}");
        assert!(!database.has_table("notes") && database.has_table("more"));
    }

    async fn every_tools_history_is_known(kind: TestEngine) {
        for &tool in TOOLS {
            let database = kind.database();
            make(&database, tool);
            let sandbox = room_for(database.url());
            let up = dunlin(&sandbox, "up --format json").code(4).json();
            let message = up["failure"]["message"].as_str().unwrap_or_default();
            assert!(message.starts_with(&format!("{} has migrated", tool.0)), "{kind}: {up}");
        }
    }

    async fn an_empty_history_warns_and_one_that_is_not_ours_is_left_alone(kind: TestEngine) {
        let database = kind.database();
        make(&database, TOOLS[8]);
        let sandbox = room_for(database.url());
        sandbox.write(
            "dunlin.toml",
            format!("[database.app]\nurl = \"{}\"\nowns = [\"notes*\"]\n", database.url()),
        );
        let status = dunlin(&sandbox, "status --format json").success().json();
        assert_eq!(status["findings"][0]["severity"], "info", "{status}");
        let up = dunlin(&sandbox, "up").success();
        assert_eq!(up.stderr, "");
        let _ = dunlin(&sandbox, "down").success();

        let other = kind.database();
        other.run("CREATE TABLE alembic_version (version_num varchar(32))");
        let sandbox = room_for(other.url());
        let up = dunlin(&sandbox, "up --format json").success().json();
        assert_eq!(up["findings"][0]["severity"], "warning", "{up}");
        assert!(other.has_table("notes"));
    }

    async fn a_stranger_of_our_tables_name_is_neither_read_nor_written(kind: TestEngine) {
        for table in ["dunlin_journal", "dunlin_fence"] {
            let database = kind.database();
            database.run(&format!("CREATE TABLE {table} (id int, entry varchar(20))"));
            let sandbox = room_for(database.url());
            for line in ["up", "status", "baseline 001", "reset --to 0", "up --dry-run"] {
                let ran = dunlin(&sandbox, &format!("{line} --format json")).code(4).json();
                assert_eq!(ran["failure"]["code"], "journal-of-another", "{line}: {ran}");
            }
            shows_on(&format!("stranger_{table}"), kind, &dunlin(&sandbox, "up").code(4), &[]);
            for ours in ["dunlin_journal", "dunlin_fence", "dunlin_lease", "notes"] {
                assert_eq!(database.has_table(ours), ours == table, "{ours} beside {table}");
            }
            sandbox.write(
                "dunlin.toml",
                format!("[database.app]\nurl = \"{}\"\njournal_prefix = \"ours_\"\n", database.url()),
            );
            let _ = dunlin(&sandbox, "up").success();
            assert!(database.has_table("notes") && database.has_table("ours_journal"));
        }
    }
}
