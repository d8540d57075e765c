//! Rows that a key or a foreign key of the target refuses: named under `fail`, set aside under `reject`, and whatever dies in
//! between, set aside once.

use super::corpus::End;
use super::{Ends, all_equal, kill_each};
use dunlin_testkit::engines::TestEngine;
use dunlin_testkit::sandbox::Sandbox;
use dunlin_testkit::servers::Kind;
use serde_json::Value;

/// A foreign key without a parent, one that refers to a row which goes for that, and a chain of them in one table.
const ORPHANS: &str = "PRAGMA foreign_keys = OFF; CREATE TABLE p (id INTEGER PRIMARY KEY);
    CREATE TABLE c (id INTEGER PRIMARY KEY, p_id INTEGER REFERENCES p (id));
    CREATE TABLE g (id INTEGER PRIMARY KEY, c_id INTEGER REFERENCES c (id) ON DELETE CASCADE);
    CREATE TABLE s (id INTEGER PRIMARY KEY, up INTEGER REFERENCES s (id));
    INSERT INTO p VALUES (1); INSERT INTO c VALUES (1, 1), (2, 9), (3, 9), (4, NULL);
    INSERT INTO g VALUES (1, 1), (2, 2), (3, NULL); INSERT INTO s VALUES (1, NULL), (2, 1), (3, 77), (4, 3), (5, 4);";

/// One moment spelled twice: in a key that is made with the table on some engines, and in one that comes after.
const TWICE: &str = "CREATE TABLE w (at DATETIME PRIMARY KEY, v TEXT);
    INSERT INTO w VALUES ('2024-01-02T00:00:00', 'first'), ('2024-01-02 00:00:00', 'second'), ('2024-01-01 00:00:00', 'other');
    CREATE TABLE t (id INTEGER PRIMARY KEY, at DATETIME UNIQUE);
    INSERT INTO t VALUES (1, '2024-01-02 00:00:00'), (2, '2024-01-02T00:00:00'), (3, NULL), (4, NULL);
    CREATE TABLE n (at DATETIME UNIQUE, v TEXT);
    INSERT INTO n VALUES ('2024-01-02 00:00:00', 'a'), ('2024-01-02T00:00:00', 'b'), ('2024-01-03T00:00:00', 'c');";

fn rejected(json: &Value, table: &str) -> u64 {
    let tables = json["data"]["tables"].as_array().unwrap();
    let line = tables.iter().find(|line| line["table"] == table).unwrap();
    line["rejected"].as_u64().unwrap()
}

fn lines(sandbox: &Sandbox) -> Vec<Value> {
    let text = sandbox.read("r.ndjson");
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

const REJECT: [&str; 5] = [
    "--resume",
    "--policy",
    "orphan-row=reject",
    "--rejects",
    "r.ndjson",
];

fn orphans(engine: TestEngine) {
    let ends = Ends::new(engine, ORPHANS);
    let failed = ends.copy(&[]).code(1).json();
    let (code, said) = (&failed["failure"]["code"], failed["failure"].to_string());
    assert_eq!(code, "orphan-row", "{failed:#}");
    let named = "2 rows of c refer to rows of p that are not there (p_id = 9; p_id = 9)";
    assert!(said.contains(named), "{said}");
    assert!(said.contains("--policy orphan-row=reject"), "{said}");

    let json = ends.copy(&REJECT).code(8).json();
    assert!(all_equal(&json), "{json:#}");
    for (table, count) in [("p", 0), ("c", 2), ("g", 1), ("s", 3)] {
        assert_eq!(rejected(&json, table), count, "{table} of {json:#}");
    }
    let found = lines(&ends.sandbox);
    assert_eq!(found.len(), 6, "{found:?}");
    let first = found.iter().find(|line| line["table"] == "c").unwrap();
    assert_eq!(first["key"]["id"], 2, "{first}");
    assert_eq!(first["column"], "p_id");
    assert_eq!(first["raw"], "39");
    assert_eq!(first["code"], "orphan-row");
    assert_eq!(
        ends.target.scalar("SELECT count(*) FROM s WHERE id < 3"),
        "2"
    );
    assert_eq!(ends.target.scalar("SELECT count(*) FROM s"), "2");
    assert!(
        ends.target
            .try_run("INSERT INTO c (id, p_id) VALUES (9, 9)")
            .is_err()
    );
    assert!(
        ends.target
            .try_run("INSERT INTO g (id, c_id) VALUES (9, 9)")
            .is_err()
    );
}

fn twice(engine: TestEngine) {
    let ends = Ends::new(engine, TWICE);
    let failed = ends.copy(&[]).code(1).json();
    let said = failed["failure"].to_string();
    assert_eq!(failed["failure"]["code"], "duplicate-key", "{failed:#}");
    assert!(said.contains("--policy duplicate-key=reject"), "{said}");

    let ends = Ends::new(engine, TWICE);
    let more = ["--policy", "duplicate-key=reject", "--rejects", "r.ndjson"];
    let json = ends.copy(&more).code(8).json();
    assert!(all_equal(&json), "{json:#}");
    for table in ["w", "t", "n"] {
        assert_eq!(rejected(&json, table), 1, "{table} of {json:#}");
    }
    // The first of the source's order stays, whatever the key's order is.
    let of_w = "SELECT v FROM w ORDER BY at DESC LIMIT 1";
    assert_eq!(ends.target.scalar(of_w), "first");
    assert_eq!(ends.target.scalar("SELECT min(id) FROM t"), "1");
    assert_eq!(ends.target.scalar("SELECT count(*) FROM t"), "3");
    assert_eq!(ends.target.scalar("SELECT min(v) FROM n"), "a");
    let found = lines(&ends.sandbox);
    assert_eq!(found.len(), 3, "{found:?}");
    assert!(
        found.iter().all(|line| line["code"] == "duplicate-key"),
        "{found:?}"
    );
    let of_t = "INSERT INTO t (id, at) VALUES (9, '2024-01-02 00:00:00')";
    assert!(ends.target.try_run(of_t).is_err());
}

/// Taken out of one table, and stopped by another one before its key is made; then gone on with.
fn half_way(engine: TestEngine) {
    let ends = Ends::new(engine, ORPHANS);
    ends.sandbox.write(
        "cast.toml",
        "[columns.\"c.p_id\"]\npolicy = { orphan-row = \"reject\" }\n[columns.\"g.c_id\"]\npolicy = { orphan-row = \"reject\" }\n",
    );
    let args = ["--cast", "cast.toml", "--rejects", "r.ndjson"];
    let failed = ends.copy(&args).code(1).json();
    assert!(
        failed["failure"]["message"]
            .as_str()
            .unwrap()
            .contains("of s refer"),
        "{failed:#}"
    );
    assert_eq!(ends.target.scalar("SELECT count(*) FROM c"), "2");
    let json = ends.copy(&REJECT).code(8).json();
    assert!(all_equal(&json), "{json:#}");
    assert_eq!(rejected(&json, "c"), 2, "{json:#}");
    assert_eq!(lines(&ends.sandbox).len(), 6);
}

/// Killed wherever it is: each row is in the target or in the file, and once.
fn killed(engine: TestEngine) {
    let mut sql = String::from(
        "PRAGMA foreign_keys = OFF; CREATE TABLE p (id INTEGER PRIMARY KEY, at DATETIME UNIQUE);
         INSERT INTO p WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000)
         SELECT i, strftime(CASE WHEN i % 10 = 0 THEN '%Y-%m-%dT%H:%M:%S' ELSE '%Y-%m-%d %H:%M:%S' END,
             1700000000 + CASE WHEN i % 10 = 0 THEN i - 1 ELSE i END, 'unixepoch') FROM n;",
    );
    for table in ["a", "b"] {
        sql.push_str(&format!(
            "CREATE TABLE {table} (id INTEGER PRIMARY KEY, p_id INTEGER REFERENCES p (id));
             INSERT INTO {table} WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 6000)
             SELECT i, i FROM n;"
        ));
    }
    let ends = Ends::new(engine, &sql);
    let url = ends.target.url();
    let all = [
        "copy",
        "sqlite:source.db",
        url,
        "--resume",
        "--on-error",
        "reject",
        "--rejects",
        "r.ndjson",
        "--format",
        "json",
    ];
    kill_each(&ends.sandbox, &all, &[60, 150, 240, 330, 420, 510], || {});
    let json = ends.sandbox.dunlin(all).code(8).json();
    assert!(all_equal(&json), "{json:#}");
    // Every tenth row of p has the moment of the one before; of a and b the latter half refers to nothing, and so do those
    // of the former that refer to a row that went.
    assert_eq!(rejected(&json, "p"), 300, "{json:#}");
    assert_eq!(rejected(&json, "a"), 3300, "{json:#}");
    assert_eq!(rejected(&json, "b"), 3300, "{json:#}");
    let mut found: Vec<String> = lines(&ends.sandbox)
        .iter()
        .map(|line| format!("{} {}", line["table"], line["key"]))
        .collect();
    found.sort();
    let all = found.len();
    found.dedup();
    assert_eq!((all, found.len()), (6900, 6900));
}

macro_rules! on {
    ($($name:ident: $kind:ident;)*) => {$(
        mod $name {
            use super::{Kind, TestEngine};

            const ENGINE: TestEngine = TestEngine::Server(Kind::$kind);

            #[test]
            fn rows_without_a_parent_are_named_or_set_aside_with_what_refers_to_them() {
                super::orphans(ENGINE);
            }

            #[test]
            fn of_rows_with_one_key_the_first_is_kept() {
                super::twice(ENGINE);
            }

            #[test]
            fn what_was_set_aside_stays_aside_when_the_copy_goes_on() {
                super::half_way(ENGINE);
            }

            #[test]
            fn a_killed_copy_sets_each_row_aside_once() {
                super::killed(ENGINE);
            }
        }
    )*};
}

on! {
    postgres: Postgres;
    mysql: Mysql;
    mariadb: Mariadb;
}

#[test]
fn mysql_to_postgres_sets_aside_what_a_policy_made_equal_and_what_refers_to_nothing() {
    let (sandbox, from) = (Sandbox::new(), End::new(TestEngine::Server(Kind::Mysql)));
    let to = End::new(TestEngine::Server(Kind::Postgres));
    from.fill(
        "CREATE TABLE p (k VARCHAR(20) PRIMARY KEY, v INT) COLLATE utf8mb4_bin;
         CREATE TABLE t (id INT PRIMARY KEY, k VARCHAR(20), FOREIGN KEY (k) REFERENCES p (k)) COLLATE utf8mb4_bin;
         INSERT INTO p VALUES ('a', 1), ('a\\0', 2), ('b', 3);
         SET foreign_key_checks = 0; INSERT INTO t VALUES (1, 'a'), (2, 'none'), (3, 'b');",
    )
    .unwrap();
    let args = [
        "copy",
        from.url(),
        to.url(),
        "--format",
        "json",
        "--on-error",
        "reject",
        "--policy",
        "text-nul=coerce",
        "--rejects",
        "r.ndjson",
    ];
    let json = sandbox.dunlin(args).code(8).json();
    assert!(all_equal(&json), "{json:#}");
    assert_eq!((rejected(&json, "p"), rejected(&json, "t")), (1, 1));
    assert_eq!(lines(&sandbox).len(), 2);
}

/// An engine that looks at no foreign key unless told to holds none of another engine's orphans, and those of its own named.
#[test]
fn into_sqlite_orphans_are_named_or_set_aside_as_well() {
    let (sandbox, from) = (Sandbox::new(), End::new(TestEngine::Server(Kind::Mysql)));
    let to = End::new(TestEngine::Sqlite);
    from.fill(
        "CREATE TABLE p (id INT PRIMARY KEY); CREATE TABLE c (id INT PRIMARY KEY, p_id INT, FOREIGN KEY (p_id) REFERENCES p (id));
         CREATE TABLE g (id INT PRIMARY KEY, c_id INT, FOREIGN KEY (c_id) REFERENCES c (id) ON DELETE CASCADE);
         INSERT INTO p VALUES (1); SET foreign_key_checks = 0; INSERT INTO c VALUES (1, 1), (2, 9), (3, NULL); INSERT INTO g VALUES (1, 1), (2, 2);",
    )
    .unwrap();
    let args = ["copy", from.url(), to.url(), "--format", "json"];
    let json = sandbox.dunlin(args).code(1).json();
    assert_eq!(json["failure"]["code"], "orphan-row", "{json:#}");
    let said = json["failure"]["message"].as_str().unwrap();
    assert!(
        said.contains("1 rows of c refer to rows of p that are not there (p_id = 9)"),
        "{said}"
    );
    let json = sandbox.dunlin(args.iter().chain(&REJECT)).code(8).json();
    assert!(all_equal(&json), "{json:#}");
    assert_eq!((rejected(&json, "c"), rejected(&json, "g")), (1, 1));
    assert_eq!(lines(&sandbox).len(), 2);

    let ends = Ends::new(TestEngine::Sqlite, ORPHANS);
    let json = ends.copy(&[]).code(0).json();
    assert!(all_equal(&json), "{json:#}");
    let findings = json["findings"].as_array().unwrap().iter();
    let named: Vec<&str> = findings
        .filter(|one| one["code"] == "orphan-row")
        .filter_map(|one| one["message"].as_str())
        .collect();
    assert_eq!(named.len(), 2, "{json:#}");
    assert!(
        named[0].contains("2 rows of c") && named[0].ends_with("as in the source"),
        "{named:?}"
    );

    let ends = Ends::new(TestEngine::Sqlite, ORPHANS);
    let json = ends.copy(&REJECT[1..]).code(8).json();
    assert!(all_equal(&json), "{json:#}");
    assert_eq!(lines(&ends.sandbox).len(), 6);
    assert_eq!(ends.target.scalar("SELECT count(*) FROM g"), "2");
}
