//! What is refused before anything is written, and says why.

use super::Ends;
use dunlin_testkit::for_each_engine;
use dunlin_testkit::sandbox::Sandbox;
use rusqlite::Connection;

const ONE: &str =
    "CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT); INSERT INTO t VALUES (1, 'a');";

for_each_engine! {
    async fn a_dry_run_touches_nothing_and_a_full_target_is_refused(engine: TestEngine) {
        let ends = Ends::new(engine, ONE);
        let json = ends.copy(&["--dry-run"]).code(0).json();
        let estimate = &json["data"]["estimate"];
        assert!(estimate["sampled_rows"].as_u64() > Some(0) && estimate["bytes"].as_u64() > Some(0), "{json:#}");
        assert_eq!(json["data"]["tables"][0]["columns"][0]["column"], "id", "{json:#}");
        assert!(ends.target.try_run("SELECT * FROM t").is_err());
        let _ = ends.copy(&[]).code(0);
        let refused = ends.copy(&[]).code(4).json();
        assert_eq!(refused["failure"]["code"], "target-not-empty");
    }

    async fn both_ends_the_same_database_under_two_names(engine: TestEngine) {
        let ends = Ends::new(engine, ONE);
        let url = ends.target.url();
        let _ = ends.target.run("CREATE TABLE t (id int NOT NULL PRIMARY KEY)");
        let other = engine.pick("", "localhost", "localhost");
        let twin = if other.is_empty() {
            std::os::unix::fs::symlink(url.trim_start_matches("sqlite:"), ends.sandbox.path("twin.db")).unwrap();
            "sqlite:twin.db".to_owned()
        } else {
            url.replace("127.0.0.1", other)
        };
        let args = ["copy", url, &twin, "--into-existing", "append", "--format", "json"];
        let refused = ends.sandbox.dunlin(args).code(4).json();
        assert_eq!(refused["failure"]["code"], "same-database", "{refused:#}");
    }
}

#[test]
fn wrong_words_are_usage_and_touch_nothing() {
    let sandbox = Sandbox::new();
    Connection::open(sandbox.path("a.db"))
        .unwrap()
        .execute_batch(ONE)
        .unwrap();
    for (args, code, exit) in [
        (
            vec!["copy", "sqlite:a.db", "nowhere"],
            "unknown-database",
            2,
        ),
        (
            vec!["copy", "sqlite:a.db", "sqlite:b.db", "--on-error", "maybe"],
            "usage",
            2,
        ),
        (
            vec![
                "copy",
                "sqlite:a.db",
                "sqlite:b.db",
                "--policy",
                "what=fail",
            ],
            "usage",
            2,
        ),
        (
            vec!["copy", "sqlite:a.db", "sqlite:b.db", "--live"],
            "comes-later",
            2,
        ),
        (
            vec!["copy", "sqlite:a.db", "sqlite:b.db", "--cast", "none.toml"],
            "cast-file",
            2,
        ),
        (
            vec!["copy", "sqlite:missing.db", "sqlite:b.db"],
            "database-missing",
            4,
        ),
        (
            vec!["copy", "sqlite:a.db", "sqlite:b.db", "--tables", "nix"],
            "no-such-table",
            4,
        ),
    ] {
        let mut args = args;
        args.extend(["--format", "json"]);
        let json = sandbox.dunlin(&args).code(exit).json();
        assert_eq!(json["failure"]["code"], code, "{args:?} {json:#}");
    }
}

#[test]
fn a_damaged_file_is_refused_before_a_row_is_read() {
    let sandbox = Sandbox::new();
    let rows = "CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT);
        INSERT INTO t WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000) SELECT i, 'name ' || i FROM n;";
    Connection::open(sandbox.path("a.db"))
        .unwrap()
        .execute_batch(rows)
        .unwrap();
    let mut bytes = std::fs::read(sandbox.path("a.db")).unwrap();
    let page = bytes.len() / 4096 / 2 * 4096;
    bytes[page..page + 2_000].fill(0xaa);
    std::fs::write(sandbox.path("a.db"), bytes).unwrap();
    let json = sandbox
        .dunlin(["copy", "sqlite:a.db", "sqlite:b.db", "--format", "json"])
        .code(4)
        .json();
    assert_eq!(json["failure"]["code"], "source-damaged", "{json:#}");
    sandbox.write(
        "c.db",
        "SQLite format 3\0 and then nothing of it, as an encrypted file looks: 0123456789",
    );
    let json = sandbox
        .dunlin(["copy", "sqlite:c.db", "sqlite:b.db", "--format", "json"])
        .code(4)
        .json();
    assert_eq!(json["failure"]["class"], "refused", "{json:#}");
}

/// Where nothing was compared nothing is called equal: a path that is wrong by a letter names an empty database.
#[test]
fn verifying_an_empty_source_is_refused_where_the_target_holds_tables() {
    let sandbox = Sandbox::new();
    let open = |name: &str| Connection::open(sandbox.path(name)).unwrap();
    open("full.db").execute_batch(ONE).unwrap();
    for name in ["empty.db", "other.db"] {
        open(name).execute_batch("VACUUM").unwrap();
    }
    let verify = |from: &str, to: &str| sandbox.dunlin(["verify", from, to, "--format", "json"]);
    let refused = verify("sqlite:empty.db", "sqlite:full.db").code(4).json();
    assert_eq!(refused["failure"]["code"], "nothing-to-copy", "{refused:#}");
    let both = verify("sqlite:empty.db", "sqlite:other.db").code(0).json();
    assert_eq!(both["data"]["equal"], true, "{both:#}");
    let same = verify("sqlite:full.db", "sqlite:full.db");
    assert_eq!(
        same.json()["findings"],
        serde_json::json!([]),
        "{}",
        same.stdout
    );
}
