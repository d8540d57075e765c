//! What is promised before anything is touched, and about what is ours, through the binary and on every engine.

use crate::{dunlin, room_for};
use dunlin_testkit::sandbox::Sandbox;
use dunlin_testkit::{TestDatabase, TestEngine, for_each_engine};
use serde_json::Value;

/// A room with scripts 001 to 003, each making a table of its number and dropping it.
fn three(database: &TestDatabase, settings: &str) -> Sandbox {
    let sandbox = room_for(database.url());
    std::fs::remove_file(sandbox.path("migrations/001_notes.sql")).unwrap();
    for version in 1..=3 {
        table_script(&sandbox, version, "");
    }
    set(&sandbox, database, settings);
    sandbox
}

fn set(sandbox: &Sandbox, database: &TestDatabase, settings: &str) {
    let toml = format!("[database.app]\nurl = \"{}\"\n{settings}\n", database.url());
    sandbox.write("dunlin.toml", toml);
}

fn table_script(sandbox: &Sandbox, version: u32, head: &str) {
    let script = format!(
        "{head}CREATE TABLE t{version} (id int NOT NULL PRIMARY KEY);\n-- dunlin:undo\nDROP TABLE t{version};\n"
    );
    sandbox.write(format!("migrations/{version:03}_t.sql"), script);
}

fn applied(sandbox: &Sandbox) -> Vec<String> {
    let status = dunlin(sandbox, "status --format json").success().json();
    let lines = status["data"]["migrations"].as_array().unwrap().clone();
    lines
        .iter()
        .filter(|line| line["state"] == "applied")
        .map(|line| line["version"].as_str().unwrap().to_owned())
        .collect()
}

fn tables(database: &TestDatabase) -> Vec<&'static str> {
    ["t1", "t2", "t3", "t4", "dunlin_journal"]
        .into_iter()
        .filter(|table| database.has_table(table))
        .collect()
}

/// Everything that can be seen of a database: the file's bytes, or the digest of all its rows.
fn picture(sandbox: &Sandbox, database: &TestDatabase) -> String {
    match database.file() {
        Some(file) => format!("{:?}", std::fs::read(file).unwrap()),
        None => {
            let digest = dunlin(sandbox, "digest --format json").success().json();
            let journal = "SELECT count(*), max(id) FROM dunlin_journal";
            format!("{} {:?}", digest["data"], database.run(journal))
        }
    }
}

for_each_engine! {
    async fn a_dry_run_touches_nothing_and_says_how_long_each_statement_may_take(kind: TestEngine) {
        let database = kind.database();
        let sandbox = three(&database, "[database.app.placeholders]\nprefix = \"shop_\"");
        let _ = dunlin(&sandbox, "up --create --to 001").success();
        database.run("INSERT INTO t1 VALUES (1), (2), (3)");
        if kind.is_postgres() {
            database.run("ANALYZE t1");
        }
        sandbox.write(
            "migrations/004_rows.sql",
            "CREATE TABLE {prefix}bird (id int);\nUPDATE t1 SET id = id + 10;\nDROP TABLE t1;\n",
        );
        let before = picture(&sandbox, &database);
        let dry = dunlin(&sandbox, "up --dry-run --format json").success().json();
        let text = dunlin(&sandbox, "up --dry-run").success().stdout;
        assert_eq!(picture(&sandbox, &database), before, "nothing was touched");
        let plan = dry["data"]["plan"].as_array().unwrap();
        assert_eq!(plan.len(), 3);
        let statements = plan[2]["statements"].as_array().unwrap();
        let sql: Vec<&str> = statements.iter().map(|one| one["sql"].as_str().unwrap()).collect();
        assert_eq!(sql, ["CREATE TABLE shop_bird (id int)", "UPDATE t1 SET id = id + 10", "DROP TABLE t1"]);
        for statement in statements {
            assert!(!statement["estimate_source"].as_str().unwrap().is_empty(), "{statement}");
            assert!(text.contains(&format!("{};\n", statement["sql"].as_str().unwrap())), "{text}");
        }
        assert!(statements[1]["estimate_source"].as_str().unwrap().contains("row"), "{}", statements[1]);
        assert!(text.contains("t1: about 3 rows") && text.ends_with("nothing has been touched\n"), "{text}");
    }

    async fn scripts_that_came_later_stop_wait_or_are_applied(kind: TestEngine) {
        let database = kind.database();
        let sandbox = three(&database, "");
        let late = sandbox.read("migrations/002_t.sql");
        std::fs::remove_file(sandbox.path("migrations/002_t.sql")).unwrap();
        let _ = dunlin(&sandbox, "up --create").success();
        sandbox.write("migrations/002_t.sql", late);
        table_script(&sandbox, 4, "");
        let stop = dunlin(&sandbox, "up --format json").code(4).json();
        assert_eq!(stop["failure"]["code"], "out-of-order", "{stop}");
        assert_eq!(tables(&database), ["t1", "t3", "dunlin_journal"], "not even what is in order");
        set(&sandbox, &database, "out_of_order = \"warn\"");
        let warn = dunlin(&sandbox, "up --format json").success().json();
        assert_eq!(warn["findings"][0]["code"], "out-of-order", "{warn}");
        assert_eq!(applied(&sandbox), ["001", "003", "004"]);
        for line in ["up", "up --to 003"] {
            let again = dunlin(&sandbox, line).success().stdout;
            assert!(again.contains("is up to date, but for 1 migration out of order"), "{line}: {again}");
        }
        set(&sandbox, &database, "out_of_order = \"apply\"");
        let _ = dunlin(&sandbox, "up").success();
        assert_eq!(applied(&sandbox), ["001", "002", "003", "004"]);
    }

    async fn a_rebuild_is_quiet_about_what_was_there_and_cannot_be_made(kind: TestEngine) {
        let database = kind.database();
        database.run(kind.pick(
            "CREATE TABLE old (a int)",
            "CREATE AGGREGATE adds(int) (sfunc = int4pl, stype = int)",
            "CREATE TABLE old (a int, k int) PARTITION BY HASH (k) PARTITIONS 2",
        ));
        let sandbox = three(&database, "");
        let _ = dunlin(&sandbox, "up").success();
        let quiet = dunlin(&sandbox, "drift --rebuild --format json").success().json();
        assert_eq!(quiet["data"]["differences"], serde_json::json!([]), "{quiet}");
        let notes = quiet["data"]["notes"].to_string();
        assert_eq!(notes.contains("not compared"), database.file().is_none(), "{notes}");
    }

    async fn a_rebuild_does_nothing_outside_of_its_scratch_database(kind: TestEngine) {
        let database = kind.database();
        let sandbox = three(&database, "");
        let name = database.name();
        let script = match kind {
            TestEngine::Sqlite => {
                "ATTACH 'beside.db' AS beside;\nCREATE TABLE IF NOT EXISTS beside.log (t int);\nINSERT INTO beside.log VALUES (1);\n".into()
            }
            _ if kind.is_postgres() => format!("CREATE TABLE log (t int);\nALTER DATABASE {name} SET lock_timeout = '7s';\n"),
            _ => format!("CREATE TABLE log (t int);\nINSERT INTO {name}.log VALUES (1);\n"),
        };
        sandbox.write("migrations/004_out.sql", script);
        let _ = dunlin(&sandbox, "up --create").success();
        if kind.is_postgres() {
            database.run(&format!("ALTER DATABASE {name} RESET lock_timeout"));
        }
        let beside = || std::fs::read(sandbox.path("beside.db")).ok();
        let before = beside();
        let refused = dunlin(&sandbox, "drift --rebuild --format json").code(4).json();
        assert_eq!(refused["failure"]["code"], "rebuild-unsafe", "{refused}");
        assert_eq!(beside(), before);
        match kind {
            TestEngine::Sqlite => assert!(before.is_some()),
            _ if kind.is_postgres() => {
                let set = format!("SELECT count(*) FROM pg_db_role_setting WHERE setdatabase = (SELECT oid FROM pg_database WHERE datname = '{name}')");
                assert_eq!(database.scalar(&set), "0");
            }
            _ => assert_eq!(database.scalar("SELECT count(*) FROM log"), "1"),
        }
        let _ = dunlin(&sandbox, "drift").success();
    }

    async fn what_is_required_is_asked_for_before_anything_is_touched(kind: TestEngine) {
        let database = kind.database();
        let sandbox = three(&database, "");
        table_script(&sandbox, 3, "-- dunlin: requires = [\"009\"]\n");
        let unknown = dunlin(&sandbox, "up --create --format json").code(2).json();
        assert_eq!(unknown["failure"]["code"], "unknown-requirement", "{unknown}");
        table_script(&sandbox, 2, "-- dunlin: requires = [\"003\"]\n");
        table_script(&sandbox, 3, "");
        let later = dunlin(&sandbox, "up --create --format json").code(2).json();
        assert_eq!(later["failure"]["code"], "requires-later", "{later}");
        if database.file().is_none_or(std::path::Path::exists) {
            assert!(tables(&database).is_empty(), "{:?}", tables(&database));
        }
        // Known and left pending: refused as well, and 004 before it is not applied either.
        table_script(&sandbox, 2, "");
        let late = sandbox.read("migrations/002_t.sql");
        std::fs::remove_file(sandbox.path("migrations/002_t.sql")).unwrap();
        let _ = dunlin(&sandbox, "up --create").success();
        sandbox.write("migrations/002_t.sql", late);
        table_script(&sandbox, 4, "");
        table_script(&sandbox, 5, "-- dunlin: requires = [\"002\"]\n");
        set(&sandbox, &database, "out_of_order = \"warn\"");
        let refused = dunlin(&sandbox, "up --format json").code(4).json();
        assert_eq!(refused["failure"]["code"], "requires", "{refused}");
        assert_eq!(tables(&database), ["t1", "t3", "dunlin_journal"]);
    }

    async fn one_is_taken_back_by_itself_unless_another_requires_it(kind: TestEngine) {
        let database = kind.database();
        let sandbox = three(&database, "");
        table_script(&sandbox, 3, "-- dunlin: requires = [\"002\"]\n");
        let _ = dunlin(&sandbox, "up --create").success();
        let refused = dunlin(&sandbox, "down --only 002 --format json").code(4).json();
        assert_eq!(refused["failure"]["code"], "required-by", "{refused}");
        assert_eq!(applied(&sandbox), ["001", "002", "003"]);
        let down = dunlin(&sandbox, "down --only 001 --format json").success().json();
        assert_eq!(down["data"]["undone"][0]["version"], "001", "{down}");
        assert_eq!(tables(&database), ["t2", "t3", "dunlin_journal"]);
        assert_eq!(applied(&sandbox), ["002", "003"]);
        let _ = dunlin(&sandbox, "down --only 001").code(2);
    }

    async fn all_in_one_transaction_or_nothing(kind: TestEngine) {
        let database = kind.database();
        let sandbox = three(&database, "");
        sandbox.write("migrations/004_fails.sql", "INSERT INTO nowhere VALUES (1);\n");
        let ran = dunlin(&sandbox, "up --create --one-transaction --format json");
        let answer: Value = ran.json();
        assert_eq!(answer["data"]["applied"], serde_json::json!([]), "{answer}");
        assert!(!tables(&database).iter().any(|table| table.starts_with('t')), "{:?}", tables(&database));
        if kind.is_mysql_family() {
            // DDL commits by itself there: refused instead of promised.
            assert_eq!(answer["failure"]["code"], "one-transaction", "{answer}");
            assert_eq!(ran.code, Some(4));
            return;
        }
        assert_eq!(ran.code, Some(1), "{answer}");
        assert!(answer["failure"]["undone"].to_string().contains("whole run"), "{answer}");
        std::fs::remove_file(sandbox.path("migrations/004_fails.sql")).unwrap();
        let _ = dunlin(&sandbox, "up --one-transaction").success();
        assert_eq!(applied(&sandbox), ["001", "002", "003"]);
    }

    async fn only_what_is_ours_counts_and_is_dropped(kind: TestEngine) {
        let database = kind.database();
        let sandbox = three(&database, "owns = [\"t*\"]\nborrows = [\"users\"]");
        // Who else is there before us.
        database.run("CREATE TABLE users (id int NOT NULL PRIMARY KEY); CREATE TABLE other (id int)");
        let _ = dunlin(&sandbox, "up").success();
        database.run("CREATE TABLE others_too (id int); INSERT INTO users VALUES (7)");
        assert_eq!(dunlin(&sandbox, "drift --format json").success().json()["data"]["differences"], serde_json::json!([]));
        database.run("DROP TABLE t2");
        let drift = dunlin(&sandbox, "drift --format json").code(5).json();
        assert_eq!(drift["data"]["differences"].as_array().unwrap().len(), 1, "{drift}");
        let name = database.name();
        let _ = dunlin(&sandbox, &format!("drop-all --confirm {name}")).success();
        assert_eq!(tables(&database), ["dunlin_journal"]);
        for others in ["users", "other", "others_too"] {
            assert!(database.has_table(others), "{others}");
        }
        assert_eq!(database.scalar("SELECT count(*) FROM users"), "1");
        assert_eq!(applied(&sandbox), Vec::<String>::new());
    }
}

for_each_engine! {
    async fn a_dry_run_of_a_database_to_be_made_makes_none(kind: TestEngine) {
        let name = dunlin_testkit::database::fresh_name();
        let url = match kind.kind() {
            Some(kind) => dunlin_testkit::servers::Server::shared(kind).url_of(&name),
            None => "sqlite:new.db".to_owned(),
        };
        let sandbox = room_for(&url);
        let missing = dunlin(&sandbox, "up --dry-run --format json").code(4).json();
        assert_eq!(missing["failure"]["code"], "database-missing");
        let dry = dunlin(&sandbox, "up --create --dry-run").success().stdout;
        assert!(dry.contains("would be made first") && dry.contains("CREATE TABLE notes"), "{dry}");
        assert_eq!(dry, dunlin(&sandbox, "up --create --dry-run").success().stdout, "it is still missing");
        assert!(!sandbox.path("new.db").exists());
    }
}

for_each_engine! {
    only servers
    /// Users and rights belong to the server: they are not given once more, and nothing of them is compared.
    async fn a_rebuild_leaves_rights_out_and_says_so(kind: TestEngine) {
        let database = kind.database();
        let sandbox = three(&database, "");
        let name = database.name();
        let role = format!("r{}", &name[name.len().saturating_sub(14)..]);
        let script = match kind.is_postgres() {
            true => format!("CREATE TABLE log (t int);\nCREATE ROLE {role};\nGRANT SELECT ON log TO {role};\n"),
            false => format!("CREATE TABLE log (t int);\nCREATE USER {role};\nGRANT SELECT ON {name}.log TO {role};\n"),
        };
        sandbox.write("migrations/004_rights.sql", script);
        let _ = dunlin(&sandbox, "up").success();
        let quiet = dunlin(&sandbox, "drift --rebuild --format json");
        let drop = match kind.is_postgres() {
            true => format!("DROP OWNED BY {role}; DROP ROLE {role}"),
            false => format!("DROP USER {role}"),
        };
        let _ = database.run(&drop);
        let quiet = quiet.success().json();
        let notes = quiet["data"]["notes"].to_string();
        assert!(notes.contains("004_rights.sql:2, ") && notes.contains("004_rights.sql:3"), "{notes}");
    }
}
