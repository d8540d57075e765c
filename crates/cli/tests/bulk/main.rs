//! `export` and `import` through the binary, on every engine: what goes out comes in again, value by value, or is refused
//! by name.
#![allow(clippy::unwrap_used)]

mod odd;

use dunlin_testkit::sandbox::Sandbox;
use dunlin_testkit::{TestDatabase, TestEngine, for_each_engine};
use serde_json::Value;
use std::io::Write;
use std::process::{Child, Stdio};
use std::time::Duration;

fn quoted(kind: TestEngine, name: &str) -> String {
    kind.pick(
        &format!("\"{name}\""),
        &format!("\"{name}\""),
        &format!("`{name}`"),
    )
    .to_owned()
}

/// Names beyond the basic plane are none on MySQL.
fn odd_name(kind: TestEngine) -> &'static str {
    kind.pick("the best's یاد 🐦", "the best's یاد 🐦", "the best's یاد")
}

/// Tables that refer to each other in a circle and to themselves, names that need quotes, and values that are easily bent.
fn schema(kind: TestEngine) -> Vec<String> {
    let id = kind.pick(
        "INTEGER PRIMARY KEY AUTOINCREMENT",
        "bigserial PRIMARY KEY",
        "bigint AUTO_INCREMENT PRIMARY KEY",
    );
    let utf8 = kind.pick("", "", " CHARACTER SET utf8mb4 COLLATE utf8mb4_bin");
    let (odd, order) = (quoted(kind, odd_name(kind)), quoted(kind, "order"));
    let blob = kind.pick("BLOB", "bytea", "longblob");
    let wide = kind.pick("INTEGER", "numeric", "bigint unsigned");
    // A decimal of 20 digits is more than SQLite's own numbers hold.
    let price = kind.pick("DECIMAL(10,2)", "numeric(30,10)", "decimal(30,10)");
    let stamp = kind.pick("DATETIME", "timestamp", "datetime(6)");
    let mut all = vec![
        format!(
            "CREATE TABLE kinds (id {id}, label varchar(200){utf8}, exact {price}, wide {wide}, share double precision, \
             data {blob}, made {stamp}, {odd} varchar(40){utf8})"
        ),
        format!(
            "CREATE TABLE tree (id bigint NOT NULL PRIMARY KEY, parent bigint, FOREIGN KEY (parent) REFERENCES tree (id))"
        ),
        format!(
            "CREATE TABLE people (id bigint NOT NULL PRIMARY KEY, name varchar(80){utf8} NOT NULL, favourite bigint{})",
            kind.pick(" REFERENCES \"order\" (id)", "", "")
        ),
        format!(
            "CREATE TABLE {order} (id bigint NOT NULL PRIMARY KEY, person bigint NOT NULL, FOREIGN KEY (person) REFERENCES \
             people (id))"
        ),
    ];
    if kind != TestEngine::Sqlite {
        all.push(format!(
            "ALTER TABLE people ADD CONSTRAINT loves FOREIGN KEY (favourite) REFERENCES {order} (id)"
        ));
    }
    if kind == TestEngine::Sqlite {
        all.push("CREATE TABLE anything (v, n NUMERIC, t TEXT)".into());
    }
    all
}

fn fill(kind: TestEngine, database: &TestDatabase) {
    let blob = |hex: &str| {
        kind.pick(
            &format!("x'{hex}'"),
            &format!("'\\x{hex}'::bytea"),
            &format!("x'{hex}'"),
        )
        .to_owned()
    };
    let odd = quoted(kind, odd_name(kind));
    let wide = kind.pick(
        "9223372036854775807",
        "123456789012345678901234567890",
        "18446744073709551615",
    );
    let exact = kind.pick(
        "12.25",
        "12345678901234567890.0123456789",
        "12345678901234567890.0123456789",
    );
    database.run(&format!(
        "INSERT INTO kinds (label, exact, wide, share, data, made, {odd}) VALUES \
         ('یادداشت, \"a\" 🐦', {exact}, {wide}, 0.1, {}, '2024-02-29 23:59:59.123456', 'x'), \
         ('', 0, 0, 5.0, {}, NULL, ''), (NULL, NULL, NULL, 1e300, NULL, '1999-12-31 00:00:00', NULL), \
         ('5', -1, 9007199254740993, -0.0, {}, '2024-01-01 00:00:00', '\u{5c}x00')",
        blob("00ff10"),
        blob(""),
        blob("5c")
    ).replace("'\u{5c}x00')", kind.pick("'\u{5c}x00')", "'\u{5c}x00')", "'\u{5c}\u{5c}x00')")));
    let order = quoted(kind, "order");
    database.run("INSERT INTO tree VALUES (9, NULL)");
    database.run("INSERT INTO tree VALUES (1, 9)");
    database.run("INSERT INTO tree VALUES (10, 1)");
    database.run("UPDATE tree SET parent = 10 WHERE id = 1");
    let people: Vec<String> = (1..=300).map(|n| format!("({n}, 'p{n}', NULL)")).collect();
    database.run(&format!("INSERT INTO people VALUES {}", people.join(", ")));
    let orders: Vec<String> = (1..=100).map(|n| format!("({n}, {n})")).collect();
    database.run(&format!("INSERT INTO {order} VALUES {}", orders.join(", ")));
    database.run("UPDATE people SET favourite = 3 WHERE id < 10");
    if kind == TestEngine::Sqlite {
        database.run("INSERT INTO anything VALUES (1, 1, '1'), ('1', 1.5, ''), (1.0, 'x', NULL), (x'31', x'00', 'a'), \
                      (CAST(x'ff' AS TEXT), 9e999, CAST(x'c3' AS TEXT)), (NULL, -9e999, 'b')");
    }
}

/// Two databases of one schema, the first one filled.
struct Pair {
    sandbox: Sandbox,
    from: TestDatabase,
    to: TestDatabase,
}

fn pair(kind: TestEngine, statements: &[String]) -> Pair {
    let (from, to) = (kind.database(), kind.database());
    let sandbox = Sandbox::with_binary(env!("CARGO_BIN_EXE_dunlin"));
    sandbox.write(
        "dunlin.toml",
        format!(
            "[database.app]\nurl = \"{}\"\ndefault = true\n[database.other]\nurl = \"{}\"\nbackup_dir = \"other-backups\"\n",
            from.url(),
            to.url()
        )
        .replace("default = true\n", ""),
    );
    for sql in statements {
        from.run(sql);
        to.run(sql);
    }
    Pair { sandbox, from, to }
}

fn digests(sandbox: &Sandbox, database: &str) -> Value {
    let answer = sandbox
        .dunlin(["digest", database, "--format", "json"])
        .success()
        .json();
    answer["data"]["tables"].clone()
}

fn counts(answer: &Value, table: &str) -> (u64, u64, u64) {
    let tables = answer["data"]["tables"].as_array().unwrap();
    let found = tables.iter().find(|found| found["table"] == table).unwrap();
    let number = |name: &str| found[name].as_u64().unwrap();
    (number("imported"), number("skipped"), number("failed"))
}

for_each_engine! {
    async fn what_goes_out_comes_in_as_it_was(kind: TestEngine) {
        let forms: [&[&str]; 4] = [
            &["-o", "out"],
            &["-o", "out.ndjson"],
            &["-o", "out", "--as", "csv"],
            &["-o", "out.sqlite"],
        ];
        for form in forms {
            let pair = pair(kind, &schema(kind));
            fill(kind, &pair.from);
            let sandbox = &pair.sandbox;
            let _ = sandbox.dunlin(["-d", "app", "export"].iter().chain(form)).success();
            let answer = sandbox.dunlin(["-d", "other", "import", form[1], "--format", "json"]).success().json();
            assert_eq!(counts(&answer, "people"), (300, 0, 0), "{form:?}");
            assert_eq!(counts(&answer, "tree"), (3, 0, 0));
            assert_eq!(answer["data"]["rejects"], Value::Null);
            assert_eq!(digests(sandbox, "app"), digests(sandbox, "other"), "{form:?}");
            // Counters go on where the rows end.
            pair.to.run("INSERT INTO kinds (label) VALUES ('next')");
            // Nothing twice, and nothing half: the second import of the same rows is refused whole.
            let _ = sandbox.dunlin(["-d", "other", "import", form[1]]).code(1);
            // Duplicates are left out, all of them.
            let answer = sandbox.dunlin(["-d", "other", "import", form[1], "--skip-duplicates", "--format", "json"]);
            if kind != TestEngine::Sqlite {
                let answer = answer.success().json();
                assert_eq!(counts(&answer, "people"), (0, 300, 0));
                assert_eq!(counts(&answer, "kinds"), (0, 4, 0));
            }
        }
    }

    async fn what_is_bad_is_written_down_and_the_rest_comes(kind: TestEngine) {
        let tables = [
            "CREATE TABLE entries (id bigint NOT NULL PRIMARY KEY, title varchar(20) NOT NULL, size bigint, \
             CHECK (size < 100))".to_owned(),
            "CREATE TABLE tags (entry_id bigint NOT NULL, tag varchar(20), FOREIGN KEY (entry_id) REFERENCES entries (id))".to_owned(),
        ];
        let pair = pair(kind, &tables);
        let sandbox = &pair.sandbox;
        pair.to.run("INSERT INTO entries VALUES (1, 'there', 1)");
        sandbox.write("tags.ndjson", "{\"entry_id\": 2, \"tag\": \"good\"}\n{\"entry_id\": 77, \"tag\": \"orphan\"}\n");
        sandbox.write("entries.ndjson", "{\"id\": 2, \"title\": \"good\", \"size\": 5}\n{\"id\": 1, \"title\": \"twice\", \"size\": 5}\n\
            {\"id\": 3, \"title\": null, \"size\": 5}\n{\"id\": 4, \"title\": \"big\", \"size\": 500}\nnonsense\n\
            {\"id\": 6, \"title\": \"a\", \"colour\": 1}\n{\"id\": 7, \"title\": \"good too\", \"size\": null}\n");
        let _ = sandbox.dunlin(["-d", "other", "import", "tags.ndjson", "entries.ndjson"]).code(1);
        assert_eq!(pair.to.scalar("SELECT count(*) FROM entries"), "1");
        let some = sandbox.dunlin(["-d", "other", "import", "tags.ndjson", "entries.ndjson", "--continue-on-error",
            "--rejects", "bad.ndjson", "--format", "json"]);
        let answer = some.code(8).json();
        assert_eq!(counts(&answer, "entries"), (2, 0, 5));
        assert_eq!(counts(&answer, "tags"), (1, 0, 1));
        assert_eq!(pair.to.scalar("SELECT count(*) FROM entries"), "3");
        let text = sandbox.read("bad.ndjson");
        let rejects: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let seen: Vec<(u64, &str)> = rejects.iter()
            .map(|reject| (reject["line"].as_u64().unwrap(), reject["code"].as_str().unwrap()))
            .collect();
        assert!(seen.contains(&(2, "unique-violated")), "{text}");
        assert!(seen.contains(&(3, "not-null-violated")), "{text}");
        assert!(seen.contains(&(5, "import-no-row")), "{text}");
        assert!(seen.contains(&(6, "object-missing")), "{text}");
        assert!(seen.contains(&(2, "foreign-key-violated")), "{text}");
        assert!(seen.iter().any(|(line, _)| *line == 4), "{text}");
        let nonsense = rejects.iter().find(|reject| reject["line"] == 5).unwrap();
        assert_eq!(nonsense["raw"], "6e6f6e73656e7365");
        let twice = rejects.iter().find(|reject| reject["code"] == "unique-violated").unwrap();
        assert_eq!(twice["key"], serde_json::json!({ "id": 1 }));
        assert_eq!(twice["row"]["title"], "twice");
    }

    async fn rows_since_an_instant_and_what_refers_to_them(kind: TestEngine) {
        let tables = [
            "CREATE TABLE kb_entries (id bigint NOT NULL PRIMARY KEY, title varchar(20), problem varchar(20), made varchar(40))".to_owned(),
            "CREATE TABLE kb_tags (entry_id bigint, tag varchar(20), FOREIGN KEY (entry_id) REFERENCES kb_entries (id))".to_owned(),
            "CREATE TABLE apart (id bigint)".to_owned(),
        ];
        let pair = pair(kind, &tables);
        let dates = ["2025-06-30T23:30:00-02:00", "30.06.2025 22:00", "2025-07-01", "1751328000", "2025-06-30", "soon"];
        for (at, date) in dates.iter().enumerate() {
            pair.from.run(&format!("INSERT INTO kb_entries VALUES ({at}, 't{at}', 'p', '{date}')"));
            pair.from.run(&format!("INSERT INTO kb_tags VALUES ({at}, 'a'), ({at}, 'b')"));
        }
        pair.from.run("INSERT INTO kb_tags VALUES (NULL, 'free')");
        pair.from.run("INSERT INTO apart VALUES (1)");
        let sandbox = &pair.sandbox;
        let answer = sandbox.dunlin(["-d", "app", "export", "-o", "new", "--tables", "kb_entries", "--since",
            "kb_entries.made=2025-07-01", "--format", "json"]).success().json();
        assert_eq!(answer["findings"][0]["code"], "export-undated");
        // Entry 1 under an id of its own, there already: its tags refer to a row that nobody has.
        pair.to.run("INSERT INTO kb_entries VALUES (100, 't0', 'p', 'x')");
        let answer = sandbox.dunlin(["-d", "other", "import", "new", "--skip-duplicates", "--key", "kb_entries:title,problem",
            "--format", "json"]).success().json();
        assert_eq!(counts(&answer, "kb_entries"), (2, 1, 0));
        assert_eq!(counts(&answer, "kb_tags"), (4, 2, 0));
        assert_eq!(answer["data"]["tables"].as_array().unwrap().len(), 2);
        let some = sandbox.dunlin(["-d", "app", "export", "-o", "one", "--where", "kb_entries=id = 2", "--format", "json"]);
        let answer = some.success().json();
        let rows = |table: &str| {
            let tables = answer["data"]["tables"].as_array().unwrap();
            tables.iter().find(|found| found["table"] == table).unwrap()["exported"].as_u64().unwrap()
        };
        assert_eq!((rows("kb_entries"), rows("kb_tags"), rows("apart")), (1, 2, 1));
    }

    async fn damage_and_what_is_no_export_are_refused(kind: TestEngine) {
        let tables = ["CREATE TABLE notes (id bigint NOT NULL PRIMARY KEY, note varchar(20))".to_owned()];
        let pair = pair(kind, &tables);
        pair.from.run("INSERT INTO notes VALUES (1, 'one'), (2, 'two')");
        let sandbox = &pair.sandbox;
        let _ = sandbox.dunlin(["-d", "app", "export", "-o", "out"]).success();
        let _ = sandbox.dunlin(["-d", "app", "export", "-o", "all.ndjson"]).success();
        let code = |args: &[&str], exit: i32, code: &str| {
            let answer = sandbox.dunlin(["-d", "other", "--format", "json"].iter().chain(args)).code(exit).json();
            assert_eq!(answer["failure"]["code"], code, "{args:?}");
            assert_eq!(pair.to.scalar("SELECT count(*) FROM notes"), "0");
        };
        code(&["export", "-o", "out"], 4, "export-target");
        code(&["export", "-o", "all.ndjson"], 4, "export-target");
        let rows = sandbox.read("out/notes.ndjson");
        sandbox.write("out/notes.ndjson", rows.replace("two", "tvo"));
        code(&["import", "out"], 5, "import-damaged");
        sandbox.write("out/notes.ndjson", rows.lines().next().unwrap());
        code(&["import", "out"], 5, "import-damaged");
        let stream = sandbox.read("all.ndjson");
        let cut: Vec<&str> = stream.lines().take(2).collect();
        sandbox.write("all.ndjson", cut.join("\n"));
        code(&["import", "all.ndjson"], 5, "import-damaged");
        std::fs::remove_file(sandbox.project().join("out/manifest.json")).unwrap();
        code(&["import", "out"], 4, "import-file");
        sandbox.write("a.bin", "\u{1}\u{2}");
        code(&["import", "a.bin"], 4, "import-file");
        code(&["import", "none.csv"], 4, "import-file");
        sandbox.write("nowhere.csv", "a\n1\n");
        code(&["import", "nowhere.csv"], 4, "object-missing");
        // The same rows as they are, from a file of somebody else's.
        sandbox.write("notes.csv", "note,id\r\n\"\",1\r\n,2\r\n");
        let _ = sandbox.dunlin(["-d", "other", "import", "notes.csv"]).success();
        assert_eq!(pair.to.scalar("SELECT count(*) FROM notes WHERE note = ''"), "1");
        assert_eq!(pair.to.scalar("SELECT count(*) FROM notes WHERE note IS NULL"), "1");
    }

    async fn a_pipe_carries_all_tables_and_a_killed_import_leaves_nothing(kind: TestEngine) {
        let pair = pair(kind, &schema(kind));
        fill(kind, &pair.from);
        let sandbox = &pair.sandbox;
        let stream = sandbox.dunlin(["-d", "app", "export", "-o", "-"]).success().stdout;
        let lines: Vec<&str> = stream.lines().collect();
        // The pipe stays open: the rows that came are in the database, and nobody has committed them.
        let mut child = importing(sandbox);
        let mut pipe = child.stdin.take().unwrap();
        for line in &lines[..lines.len() - 1] {
            writeln!(pipe, "{line}").unwrap();
        }
        pipe.flush().unwrap();
        std::thread::sleep(Duration::from_millis(1500));
        child.kill().unwrap();
        let _ = child.wait().unwrap();
        drop(pipe);
        assert_eq!(pair.to.scalar("SELECT count(*) FROM people"), "0");
        // Without its end the stream is refused; whole it comes in.
        for (until, exit) in [(lines.len() - 1, 5), (lines.len(), 0)] {
            let mut child = importing(sandbox);
            let mut pipe = child.stdin.take().unwrap();
            for line in &lines[..until] {
                writeln!(pipe, "{line}").unwrap();
            }
            drop(pipe);
            assert_eq!(child.wait().unwrap().code(), Some(exit));
        }
        assert_eq!(digests(sandbox, "app"), digests(sandbox, "other"));
    }
}

fn importing(sandbox: &Sandbox) -> Child {
    let mut command = sandbox.command(["-d", "other", "import", "-"]);
    let command = command
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command.spawn().unwrap()
}
