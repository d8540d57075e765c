//! Files of others with values that are easily bent: each arrives as it stands there, or its row is refused by name.

use super::{Pair, counts, digests, pair};
use dunlin_testkit::servers::disk::Disk;
use dunlin_testkit::{TestEngine, for_each_engine};
use serde_json::Value;

/// Imports a file into the second database, going on where rows are refused: the exit code and the lines refused.
fn going_on(pair: &Pair, file: &str) -> (Option<i32>, Vec<u64>) {
    let sandbox = &pair.sandbox;
    let _ = std::fs::remove_file(sandbox.path("bad.ndjson"));
    let ran = sandbox.dunlin([
        "-d",
        "other",
        "import",
        file,
        "--continue-on-error",
        "--rejects",
        "bad.ndjson",
    ]);
    let text = std::fs::read_to_string(sandbox.path("bad.ndjson")).unwrap_or_default();
    let lines = text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    (
        ran.code,
        lines.map(|line| line["line"].as_u64().unwrap()).collect(),
    )
}

for_each_engine! {
    /// More digits than a double has.
    async fn numbers_keep_all_their_digits(kind: TestEngine) {
        let ty = kind.pick("TEXT", "numeric", "decimal(40,10)");
        let pair = pair(kind, &[format!("CREATE TABLE t (id bigint NOT NULL PRIMARY KEY, n {ty}, v varchar(40))")]);
        // With a mark of the byte order, as some editors write it.
        pair.sandbox.write("t.ndjson", "\u{feff}{\"id\": 1, \"n\": 12345678901234567890.1234567, \"v\": 0.12345678901234567891}\n{\"id\": 2, \"n\": 0.1, \"v\": true}\n");
        let _ = pair.sandbox.dunlin(["-d", "other", "import", "t.ndjson"]).success();
        let text = kind.pick("n", "n::text", "CAST(n AS CHAR)");
        let found = pair.to.scalar(&format!("SELECT {text} FROM t WHERE id = 1"));
        assert_eq!(found.trim_end_matches('0'), "12345678901234567890.1234567");
        assert_eq!(pair.to.scalar("SELECT v FROM t WHERE id = 1"), "0.12345678901234567891");
    }

    /// No room for what goes out: said as that, of the place that was asked for, and nothing is left of it.
    async fn a_full_disk_leaves_nothing_of_an_export(kind: TestEngine) {
        let pair = pair(kind, &["CREATE TABLE t (id bigint NOT NULL PRIMARY KEY, v varchar(2000))".to_owned()]);
        let rows = |from: u32| (from..from + 500).map(|n| format!("({n}, '{n:0>2000}')")).collect::<Vec<_>>().join(", ");
        for from in [0, 500, 1_000, 1_500] {
            pair.from.run(&format!("INSERT INTO t VALUES {}", rows(from)));
        }
        let small = Disk::at(pair.sandbox.path("small"), 2);
        for form in [&["-o", "small/out.sqlite"][..], &["-o", "small/out.ndjson"], &["-o", "small/out", "--as", "csv"]] {
            let args = ["-d", "app", "export", "--format", "json"].iter().chain(form).copied();
            let answer = pair.sandbox.dunlin(args).code(4).json();
            assert_eq!(answer["failure"]["code"], "disk-full", "{answer:#}");
            assert!(!answer.to_string().contains("backup"), "{answer:#}");
            let left: Vec<_> = std::fs::read_dir(small.path()).unwrap().map(|one| one.unwrap().file_name()).collect();
            assert!(left.is_empty(), "{form:?} left {left:?}");
        }
    }

    /// Bits are numbers in one server and digits in another.
    async fn bits_go_out_and_come_in(kind: TestEngine) {
        if kind == TestEngine::Sqlite {
            return;
        }
        let table = "CREATE TABLE t (id bigint NOT NULL PRIMARY KEY, a bit(9), b bit(64))".to_owned();
        for file in ["out.ndjson", "out.sqlite", "out"] {
            let pair = pair(kind, std::slice::from_ref(&table));
            let bits = |digits: &str, width: usize| format!("B'{digits:0>width$}'");
            pair.from.run(&format!("INSERT INTO t VALUES (1, {}, {}), (2, {}, {}), (3, NULL, NULL)",
                bits("111111111", 9), bits(&"1".repeat(64), 64), bits("101", 9), bits("", 64)));
            let out = if file == "out" { vec!["-o", file, "--as", "csv"] } else { vec!["-o", file] };
            let _ = pair.sandbox.dunlin(["-d", "app", "export"].into_iter().chain(out)).success();
            let answer = pair.sandbox.dunlin(["-d", "other", "import", file, "--format", "json"]).success().json();
            assert_eq!(counts(&answer, "t"), (3, 0, 0), "{file}");
            assert_eq!(digests(&pair.sandbox, "app"), digests(&pair.sandbox, "other"), "{file}");
        }
    }

    /// A second that was put in between is none that comes back; nor is a number beyond all numbers.
    async fn what_a_column_would_bend_is_refused_row_by_row(kind: TestEngine) {
        if kind == TestEngine::Sqlite {
            return;
        }
        let stamp = kind.pick("", "timestamp", "datetime(6)");
        let pair = pair(kind, &[format!("CREATE TABLE t (id bigint NOT NULL PRIMARY KEY, d {stamp}, r double precision)")]);
        pair.sandbox.write("t.csv", "id,d,r\n1,2016-12-31 23:59:60,\n2,2016-12-31 23:59:59,1.5\n3,,1e400\n4,,-2\n");
        assert_eq!(going_on(&pair, "t.csv"), (Some(8), vec![2, 4]));
        assert_eq!(pair.to.scalar("SELECT count(*) FROM t"), "2");
    }
}

/// A column of a leaning makes numbers of texts, which is no other value; where digits would be lost the row is refused.
#[test]
fn fields_become_what_a_column_of_sqlite_makes_of_them() {
    let kind = TestEngine::Sqlite;
    let table = "CREATE TABLE t (id INTEGER PRIMARY KEY, at DATETIME, yes BOOLEAN, n INTEGER, r REAL, d DECIMAL(10,2), v TEXT)";
    let pair = pair(kind, &[table.to_owned()]);
    pair.sandbox.write(
        "t.csv",
        "id,at,yes,n,r,d,v\n1,1700000000,1,2.5,5,1.10,007\n2,2024-01-01 10:00:00,true, 7,0.1,abc,1e3\n\
         3,12345678901234567890.5,,,,,\n4,,,1e400,,,\n5,,,,,123456789012345678901,\n6,3.0,5,1e3,,007,\n",
    );
    assert_eq!(going_on(&pair, "t.csv"), (Some(8), vec![4, 5, 6]));
    let found = pair
        .to
        .run("SELECT at, typeof(at), yes, n, typeof(n), r, d, typeof(d), v FROM t ORDER BY id");
    let cells = |row: usize| {
        found[row]
            .iter()
            .map(|cell| cell.clone().unwrap_or_default())
            .collect::<Vec<_>>()
            .join("|")
    };
    assert_eq!(cells(0), "1700000000|integer|1|2.5|real|5|1.1|real|007");
    assert_eq!(
        cells(1),
        "2024-01-01 10:00:00|text|true|7|integer|0.1|abc|text|1e3"
    );
    assert_eq!(cells(2), "3|integer|5|1000|integer||7|integer|");
    // Truth values of JSON are numbers there, in a column of whatever kind.
    pair.sandbox.write(
        "t.ndjson",
        "{\"id\": 9, \"at\": true, \"n\": false, \"v\": true, \"r\": true}\n",
    );
    let _ = pair
        .sandbox
        .dunlin(["-d", "other", "import", "t.ndjson"])
        .success();
    let found = pair.to.scalar("SELECT at || n || r FROM t WHERE id = 9");
    assert_eq!(found, "101.0");
}

/// Columns that keep one value of each key of an object are not given two.
#[test]
fn a_key_that_stands_twice_in_json_is_not_lost() {
    use dunlin_testkit::servers::Kind;
    for (kind, ty, lost) in [
        (Kind::Mysql, "json", true),
        (Kind::Mariadb, "json", false),
        (Kind::Postgres, "jsonb", true),
        (Kind::Postgres, "json", false),
    ] {
        let kind = TestEngine::Server(kind);
        let pair = pair(
            kind,
            &[format!(
                "CREATE TABLE t (id bigint NOT NULL PRIMARY KEY, j {ty})"
            )],
        );
        pair.sandbox.write("t.ndjson", "{\"id\": 1, \"j\": {\"a\": 1, \"b\": {\"c\": 2, \"c\": 3}}}\n{\"id\": 2, \"j\": [1]}\n");
        let wanted = if lost {
            (Some(8), vec![1])
        } else {
            (Some(0), vec![])
        };
        assert_eq!(going_on(&pair, "t.ndjson"), wanted, "{kind} {ty}");
    }
}
