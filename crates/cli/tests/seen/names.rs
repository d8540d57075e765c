//! Names as people give them: with blanks, quotes, Persian, Chinese and emoji, for folders, files, databases, tables and
//! columns, on every engine.

use crate::dunlin;
use dunlin_testkit::sandbox::Sandbox;
use dunlin_testkit::servers::{Kind, Server};
use dunlin_testkit::{TestEngine, for_each_engine};

/// Names that break out of careless quoting.
const TABLES: &[&str] = &[
    "two words",
    "it's",
    "یادداشت‌ها",
    "say \"hi\"",
    "back`tick",
    "100%",
    "select",
    "semi;colon",
    "表",
];

fn quoted(kind: TestEngine, name: &str) -> String {
    if kind.is_mysql_family() {
        format!("`{}`", name.replace('`', "``"))
    } else {
        format!("\"{}\"", name.replace('"', "\"\""))
    }
}

/// Every byte that is no letter, digit, as a URL writes it.
fn encoded(name: &str) -> String {
    name.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'0'..=b'9' | b'_' => char::from(byte).to_string(),
            other => format!("%{other:02X}"),
        })
        .collect()
}

/// The scripts: a table for each name, with a column of each name, rows, an index, a view.
fn scripts(kind: TestEngine, sandbox: &Sandbox, folder: &str) {
    let mut up = String::new();
    let mut down = String::new();
    for table in TABLES {
        let columns: Vec<String> = TABLES
            .iter()
            .map(|column| format!("{} varchar(20) DEFAULT 'it''s {{x}}'", quoted(kind, column)))
            .collect();
        let table = quoted(kind, table);
        up.push_str(&format!(
            "CREATE TABLE {table} (id int NOT NULL PRIMARY KEY, {});\n",
            columns.join(", ")
        ));
        down.push_str(&format!("DROP TABLE {table};\n"));
    }
    sandbox.write(
        format!("{folder}/001_جدول_ها.sql"),
        format!("{up}-- dunlin:undo\n{down}"),
    );
    let table = quoted(kind, TABLES[3]);
    let index = quoted(kind, "index of \"it's\"");
    let view = quoted(kind, "نما 'v'");
    sandbox.write(
        format!("{folder}/002_rows_in.sql"),
        format!(
            "INSERT INTO {table} (id, {}) VALUES (1, '; DROP TABLE x; -- 🐦');\n\
             CREATE INDEX {index} ON {table} ({});\nCREATE VIEW {view} AS SELECT id FROM {table};\n\
             -- dunlin:undo\nDROP VIEW {view};\nDROP INDEX {index}{};\nDELETE FROM {table};\n",
            quoted(kind, "two words"),
            quoted(kind, "it's"),
            kind.pick("", "", &format!(" ON {table}")),
        ),
    );
}

for_each_engine! {
    async fn odd_names_go_all_the_way(kind: TestEngine) {
        let folder = "my scripts of 'ماه' 🐦";
        let sandbox = Sandbox::with_binary(env!("CARGO_BIN_EXE_dunlin"));
        let database = format!("my {} \"d\" 'q' ماه", dunlin_testkit::database::fresh_name());
        let url = match kind.kind() {
            Some(server) => Server::shared(server).url_of(&encoded(&database)),
            None => {
                std::fs::create_dir(sandbox.path("دیتا 🐦")).unwrap();
                "sqlite:دیتا 🐦/it's my \\\"db\\\".db".to_owned()
            }
        };
        sandbox.write("dunlin.toml", format!("[database.app]\nurl = \"{url}\"\nmigrations = \"{folder}\"\n"));
        scripts(kind, &sandbox, folder);
        let _ = dunlin(&sandbox, "up --create --dry-run").success();
        let up = dunlin(&sandbox, "up --create --format json").success().json();
        assert_eq!(up["data"]["applied"][0]["name"], "جدول_ها", "{up}");
        let _ = dunlin(&sandbox, "status --exit-code").success();
        let again = dunlin(&sandbox, "up").success().stdout;
        assert!(again.starts_with("Nothing to do"), "{again}");
        let _ = dunlin(&sandbox, "drift").success();
        let digest = dunlin(&sandbox, "digest --format json").success().json();
        let seen: Vec<&str> = digest["data"]["tables"].as_array().unwrap().iter().map(|table| table["table"].as_str().unwrap()).collect();
        for table in TABLES {
            assert!(seen.iter().any(|seen| seen.ends_with(table)), "{table} in {seen:?}");
        }
        let _ = dunlin(&sandbox, "schema").success();
        let _ = dunlin(&sandbox, "schema --as json").success();
        let _ = dunlin(&sandbox, "schema --as md -o out.md").success();
        let _ = dunlin(&sandbox, "support -o report.md").success();
        let _ = dunlin(&sandbox, "backup create").success();
        let _ = dunlin(&sandbox, "backup verify").success();
        let rebuilt = dunlin(&sandbox, "drift --rebuild");
        let down = dunlin(&sandbox, "down --to 0 --format json").success().json();
        assert_eq!(down["data"]["undone"].as_array().map(Vec::len), Some(2), "{down}");
        let _ = dunlin(&sandbox, "up").success();
        let name = match kind.kind() {
            Some(_) => database.clone(),
            None => "it's my \"db\"".to_owned(),
        };
        let dropped = sandbox.dunlin(["drop-all", "--everything", "--confirm", &name]);
        if let Some(server) = kind.kind() {
            let drop = format!("DROP DATABASE {}", quoted(kind, &database));
            dunlin_testkit::database::ask(&Server::shared(server).url(), server, &drop).unwrap();
        }
        let _ = rebuilt.success();
        let _ = dropped.success();
    }
}

/// Emoji in tables and columns, where the engine's names may hold them (MySQL and MariaDB: the three-byte characters).
#[test]
fn emoji_are_names_where_the_engine_has_them() {
    for kind in [TestEngine::Sqlite, TestEngine::Server(Kind::Postgres)] {
        let database = kind.database();
        let sandbox = crate::room_for(database.url());
        sandbox.write(
            "migrations/002_🐦.sql",
            "CREATE TABLE \"🐦\" (\"👩‍👩‍👧\" int);\nINSERT INTO \"🐦\" VALUES (1);\n-- dunlin:undo\nDROP TABLE \"🐦\";\n",
        );
        let up = dunlin(&sandbox, "up --create");
        if up.code == Some(2) {
            assert!(up.stderr.contains("bad-file-name"), "{}", up.stderr);
            std::fs::rename(
                sandbox.path("migrations/002_🐦.sql"),
                sandbox.path("migrations/002_bird.sql"),
            )
            .unwrap();
            let _ = dunlin(&sandbox, "up --create").success();
        }
        assert_eq!(database.scalar("SELECT count(*) FROM \"🐦\""), "1");
        let _ = dunlin(&sandbox, "drift").success();
        let _ = dunlin(&sandbox, "down").success();
    }
}
