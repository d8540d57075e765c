//! Databases that nobody here wrote (see `data/README.md`), copied into every engine: every row arrives, or is named.

use super::all_equal;
use dunlin_testkit::for_each_engine;
use dunlin_testkit::sandbox::Sandbox;
use rusqlite::Connection;
use std::path::{Path, PathBuf};

fn files() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/copy/data");
    let of = |folder: &Path| -> Vec<PathBuf> {
        let entries = std::fs::read_dir(folder).unwrap();
        entries.map(|entry| entry.unwrap().path()).collect()
    };
    let ending = |path: &PathBuf| path.extension().is_some_and(|ending| ending != "md");
    let mut files: Vec<PathBuf> = [of(&folder), of(&folder.join("sqlite-odd"))].concat();
    files.retain(|path| path.is_file() && ending(path));
    files.sort();
    files
}

/// The tables that hold rows of their own, each with their number.
fn counted(file: &Path) -> Vec<(String, u64)> {
    let connection = Connection::open(file).unwrap();
    let names = "SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'table' AND name NOT LIKE 'sqlite_%'";
    let mut query = connection.prepare(names).unwrap();
    let names = query.query_map([], |row| row.get::<_, String>(0)).unwrap();
    let names: Vec<String> = names.map(Result::unwrap).collect();
    let count = |name: String| {
        let sql = format!("SELECT count(*) FROM \"{name}\"");
        let rows: i64 = connection.query_row(&sql, [], |row| row.get(0)).unwrap();
        (name, u64::try_from(rows).unwrap())
    };
    let mut counted: Vec<(String, u64)> = names.into_iter().map(count).collect();
    counted.sort();
    counted
}

for_each_engine! {
    async fn every_row_of_databases_that_nobody_here_wrote_arrives(engine: TestEngine) {
        let files = files();
        assert_eq!(files.len(), 16);
        for file in files {
            let sandbox = Sandbox::new();
            std::fs::copy(&file, sandbox.path("source.db")).unwrap();
            let target = engine.database();
            if engine.is_mysql_family() {
                let _ = target.run(&format!("ALTER DATABASE {} CHARACTER SET utf8mb4", target.name()));
            }
            let ran = sandbox.dunlin(["copy", "sqlite:source.db", target.url(), "--format", "json"]);
            let json = ran.json();
            let shown = file.display();
            assert_eq!(ran.code, Some(0), "{shown}: {json:#}");
            let tables = json["data"]["tables"].as_array().unwrap();
            let arrived = |table: &serde_json::Value| {
                (table["table"].as_str().unwrap().to_owned(), table["rows_target"].as_u64().unwrap())
            };
            let mut rows: Vec<(String, u64)> = tables.iter().map(arrived).collect();
            rows.sort();
            assert_eq!(rows, counted(&file), "{shown}: {json:#}");
            assert!(rows.is_empty() || all_equal(&json), "{shown}: {json:#}");
            // Only an R*Tree has no equal elsewhere, and is named.
            let left: Vec<_> = json["data"]["not_carried"].as_array().unwrap().iter().map(|one| one["object"].as_str().unwrap()).collect();
            assert!(left.is_empty() || left.iter().all(|object| object.contains("demo_index")), "{shown}: {left:?}");
        }
    }
}
