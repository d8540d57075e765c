//! Tables, progress, colours, quiet and JSON.

use crate::{dunlin, room_for, shows};
use dunlin_testkit::for_each_engine;
use dunlin_testkit::sandbox::{Ran, Sandbox};
use serde_json::Value;
use std::process::Stdio;

/// A room whose names are as wide as names get, with three scripts.
fn wide_room() -> Sandbox {
    let sandbox = room_for("sqlite:app.db");
    sandbox.write(
        "migrations/002_یادداشت_ها.sql",
        "CREATE TABLE \"یادداشت‌ها\" (x int);\n",
    );
    sandbox.write(
        "migrations/003_日本語の名前.sql",
        "CREATE TABLE 日本 (x int);\n",
    );
    sandbox.write("migrations/010_plain.sql", "CREATE TABLE plain (x int);\n");
    sandbox
}

/// The column, in cells of a terminal, at which a word of a line begins.
fn column(line: &str, word: &str) -> usize {
    let at = line
        .find(word)
        .unwrap_or_else(|| panic!("{word} in {line}"));
    line[..at].chars().map(cells).sum()
}

/// Cells of a character, for those that the tests use.
fn cells(char: char) -> usize {
    match char {
        '\u{200c}' => 0,
        '\u{3000}'..='\u{9fff}' | '\u{1f300}'..='\u{1faff}' => 2,
        _ => 1,
    }
}

#[test]
fn the_status_table_is_aligned_whatever_the_script() {
    let sandbox = wide_room();
    let _ = dunlin(&sandbox, "up --create --to 003").success();
    let status = dunlin(&sandbox, "status").success();
    let lines: Vec<&str> = status.stdout.lines().skip(2).collect();
    let state = column(lines[0], "state");
    for (line, word) in lines[1..]
        .iter()
        .zip(["applied", "applied", "applied", "pending"])
    {
        assert_eq!(column(line, word), state, "{}", status.stdout);
        assert!(!line.ends_with(' '), "{line:?}");
    }
    let by = column(lines[0], "by");
    assert_eq!(column(lines[1], "tester@desk"), by);
    assert_eq!(column(lines[3], "tester@desk"), by);
    shows("status", &status);
    shows("up_wide", &dunlin(&sandbox, "up").success());
    shows("up_nothing", &dunlin(&sandbox, "up").success());
    shows("down_to", &dunlin(&sandbox, "down --to 001").code(4));
}

#[test]
fn plain_output_has_no_control_characters_and_colour_comes_when_asked() {
    let sandbox = wide_room();
    let _ = dunlin(&sandbox, "up --create").success();
    let escapes = |ran: &Ran| ran.stdout.contains('\x1b') || ran.stderr.contains('\x1b');
    for line in [
        "up",
        "status",
        "down --to 9",
        "explain zebra",
        "up --to 9",
        "status --verbose",
    ] {
        assert!(!escapes(&dunlin(&sandbox, line)), "{line}");
        assert!(
            !escapes(&dunlin(&sandbox, &format!("{line} --color never"))),
            "{line}"
        );
    }
    assert!(escapes(&dunlin(&sandbox, "up --to 9 --color always")));
    sandbox.write("migrations/011_bad.sql", "SELECT 'open;\n");
    assert!(!escapes(&dunlin(&sandbox, "up --color never")));
    assert!(escapes(&dunlin(&sandbox, "up --color always")));
    // What colour says is said without it.
    let plain = dunlin(&sandbox, "up").stderr;
    let colored = dunlin(&sandbox, "up --color always").stderr;
    assert_eq!(
        without_escapes(&colored)
            .split_whitespace()
            .collect::<String>()
            .replace(['╭', '╰', '│', '▸'], ""),
        plain.split_whitespace().collect::<String>()
    );
}

fn without_escapes(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('\x1b') {
        out.push_str(&rest[..at]);
        rest = rest[at..].split_once('m').map_or("", |(_, rest)| rest);
    }
    out + rest
}

/// Runs a command line on a terminal of its own; gives everything that was written to it.
fn on_a_terminal(sandbox: &Sandbox, line: &str, more: &[(&str, &str)]) -> String {
    let command = format!("stty cols 80; exec {} {line}", sandbox.binary().display());
    let mut script = sandbox.command([] as [&str; 0]);
    let mut terminal = std::process::Command::new("script");
    terminal
        .args(["-qec", &command, "/dev/null"])
        .current_dir(sandbox.project())
        .env_clear()
        .env("TERM", "xterm-256color");
    terminal.envs(
        script
            .get_envs()
            .filter_map(|(name, value)| Some((name, value?))),
    );
    terminal.envs(more.iter().copied());
    let _ = script.stdin(std::process::Stdio::null());
    let said = terminal.output().expect("script(1) is part of util-linux");
    String::from_utf8_lossy(&said.stdout).into_owned()
}

#[test]
fn a_terminal_has_a_moving_line_and_colour_unless_no_color_is_set() {
    let sandbox = wide_room();
    let slow = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000000) \
                INSERT INTO plain SELECT max(i) FROM n;\n";
    sandbox.write("migrations/011_slow.sql", slow);
    let said = on_a_terminal(&sandbox, "up --create", &[]);
    assert!(
        said.contains("[4/5] 010 plain") || said.contains("011 statement 1"),
        "the line says where it is: {said:?}"
    );
    assert!(said.contains('\r'), "and moves: {said:?}");
    let last = said
        .rsplit("Applied 5 migrations")
        .next()
        .unwrap_or_default();
    assert!(
        !last.contains("statement"),
        "nothing of it is left below the answer: {said:?}"
    );
    let wrong = on_a_terminal(&sandbox, "up --to 9", &[]);
    assert!(wrong.contains("\x1b[1;31m"), "{wrong:?}");
    let plain = on_a_terminal(&sandbox, "up --to 9", &[("NO_COLOR", "1")]);
    assert!(
        !plain.contains("\x1b[1;31m") && plain.contains("error[unknown-version]"),
        "{plain:?}"
    );
}

#[test]
fn quiet_says_what_went_wrong_and_what_was_asked_for() {
    let sandbox = wide_room();
    for line in ["up --create -q", "up -q", "reset --to 010 -q", "init -q"] {
        let ran = dunlin(&sandbox, line);
        assert_eq!(
            (ran.stdout.as_str(), ran.stderr.as_str()),
            ("", ""),
            "{line}: {:?}",
            ran.code
        );
    }
    for line in [
        "status -q",
        "drift -q",
        "explain -q",
        "schema -q",
        "up --dry-run -q",
        "digest -q",
        "backup list -q",
    ] {
        assert_ne!(dunlin(&sandbox, line).success().stdout, "", "{line}");
    }
    let wrong = dunlin(&sandbox, "up --to 9 -q").code(2);
    assert!(
        wrong.stdout.is_empty() && wrong.stderr.contains("unknown-version"),
        "{wrong:?}"
    );
}

/// The outcomes and their codes, as the contract has them.
const OUTCOMES: &[(&str, i64)] = &[
    ("done", 0),
    ("failed", 1),
    ("usage", 2),
    ("waiting", 3),
    ("refused", 4),
    ("mismatch", 5),
    ("locked", 6),
    ("in_doubt", 7),
    ("partial", 8),
    ("pending", 10),
    ("interrupted", 130),
];

/// One object of the contract's shape, with these keys in its data.
fn envelope(ran: &Ran, command: &str, keys: &[&str]) -> Value {
    let object = ran.json();
    let names: Vec<_> = object.as_object().unwrap().keys().cloned().collect();
    assert_eq!(
        names,
        [
            "dunlin",
            "command",
            "outcome",
            "exit_code",
            "data",
            "findings",
            "failure"
        ]
    );
    assert_eq!(object["command"], command);
    assert_eq!(
        object["exit_code"],
        Value::from(ran.code.unwrap()),
        "{object}"
    );
    let outcome = (
        object["outcome"].as_str().unwrap(),
        object["exit_code"].as_i64().unwrap(),
    );
    assert!(OUTCOMES.contains(&outcome), "{outcome:?}");
    for key in keys {
        assert!(
            object["data"].get(key).is_some(),
            "{command} has no `{key}`: {object}"
        );
    }
    for finding in object["findings"].as_array().unwrap() {
        assert!(
            finding["code"].is_string()
                && finding["message"].is_string()
                && finding["where"].is_object(),
            "{finding}"
        );
        assert!(["info", "warning", "error"].contains(&finding["severity"].as_str().unwrap()));
    }
    let failure = &object["failure"];
    assert_eq!(
        failure.is_null(),
        ["done", "pending"].contains(&outcome.0) || command == "drift" && outcome.1 == 5,
        "{object}"
    );
    if failure.is_object() {
        for key in ["hints", "done", "undone"] {
            assert!(failure[key].is_array(), "{failure}");
        }
        assert!(
            failure["class"].is_string()
                && failure["code"].is_string()
                && failure["message"].is_string()
        );
    }
    object
}

#[test]
fn json_has_one_shape_for_every_verb_and_every_end() {
    let sandbox = wide_room();
    let run = |line: &str| dunlin(&sandbox, &format!("{line} --format json"));
    let up = envelope(&run("up --create --to 003"), "up", &["applied", "backup"]);
    for key in ["version", "name", "duration_ms"] {
        assert!(up["data"]["applied"][0].get(key).is_some(), "{up}");
    }
    let status = envelope(
        &run("status --exit-code"),
        "status",
        &["current", "migrations", "lease"],
    );
    assert_eq!(status["outcome"], "pending");
    for key in [
        "version",
        "name",
        "state",
        "applied_at",
        "checksum",
        "duration_ms",
        "estimate_ms",
        "by",
    ] {
        assert!(
            status["data"]["migrations"][0].get(key).is_some(),
            "{key}: {status}"
        );
    }
    envelope(&run("drift"), "drift", &["differences"]);
    envelope(&run("repair --accept 001"), "repair", &["changed", "lease"]);
    envelope(&run("repair"), "repair", &["changed", "lease"]);
    envelope(&run("unlock"), "unlock", &["changed", "lease"]);
    envelope(&run("reset --to 002"), "reset", &["changed", "lease"]);
    envelope(&run("reset --to 003"), "reset", &["changed", "lease"]);
    envelope(&run("baseline 010"), "baseline", &["changed", "lease"]);
    envelope(&run("up --dry-run"), "up", &["applied", "backup", "plan"]);
    let digest = envelope(&run("digest"), "digest", &["reading", "tables"]);
    for key in ["table", "rows", "digest"] {
        assert!(digest["data"]["tables"][0].get(key).is_some(), "{digest}");
    }
    envelope(&run("schema"), "schema", &[]);
    envelope(&run("support -o report.md"), "support", &[]);
    let made = envelope(&run("backup create"), "backup", &["items"]);
    for key in ["name", "path", "created_at", "bytes", "verified", "tables"] {
        assert!(made["data"]["items"][0].get(key).is_some(), "{key}: {made}");
    }
    envelope(&run("backup list"), "backup", &["items"]);
    envelope(&run("backup verify"), "backup", &["items"]);
    envelope(&run("backup prune --keep 1"), "backup", &["items"]);
    envelope(&run("init"), "init", &["made"]);
    envelope(&run("new more"), "new", &["made"]);
    envelope(&run("completions bash"), "completions", &["script"]);
    envelope(&run("man"), "man", &["page"]);
    envelope(&run("explain"), "explain", &["codes"]);
    envelope(&run("explain usage"), "explain", &["page"]);
    envelope(&run("down --only 001"), "down", &["undone", "backup"]);
    let _ = run("reset --to 011").success();
    where_it_does_not_go_well(&sandbox);
}

fn where_it_does_not_go_well(sandbox: &Sandbox) {
    let run = |line: &str| dunlin(sandbox, &format!("{line} --format json"));
    envelope(&run("up --url oracle://x"), "up", &["applied", "backup"]);
    envelope(&run("up --to 99"), "up", &["applied", "backup"]);
    envelope(&run("down --only 010"), "down", &["undone", "backup"]);
    envelope(&run("explain zebra"), "explain", &[]);
    envelope(&run("up --too 3"), "up", &["applied", "backup"]);
    envelope(&run("drop-all --confirm other"), "drop-all", &[]);
    let moved = ["tables", "equal", "lossy", "not_carried"];
    envelope(&run("copy sqlite:none.db sqlite:b.db"), "copy", &moved);
    envelope(&run("verify sqlite:none.db app"), "verify", &moved);
    let told = ["tables", "rejects"];
    envelope(&run("export -o out --tables none"), "export", &told);
    envelope(&run("import none.ndjson"), "import", &told);
    envelope(&run("checkpoint drop none"), "checkpoint", &["items"]);
    sandbox.write(
        "migrations/020_bad.sql",
        "CREATE TABLE plain2 (x int);\nINSERT INTO nowhere VALUES (1);\n",
    );
    let failed = envelope(&run("up"), "up", &["applied", "backup"]);
    assert_eq!(failed["failure"]["where"]["line"], 2, "{failed}");
    let rusqlite = rusqlite::Connection::open(sandbox.path("app.db")).unwrap();
    rusqlite
        .execute_batch("ALTER TABLE 日本 ADD COLUMN more int")
        .unwrap();
    let drift = envelope(&run("drift"), "drift", &["differences"]);
    for key in ["kind", "object", "expected", "actual", "fix"] {
        assert!(
            drift["data"]["differences"][0].get(key).is_some(),
            "{key}: {drift}"
        );
    }
}

#[test]
fn events_are_lines_of_json_with_a_name_and_a_time() {
    let sandbox = wide_room();
    let _ = dunlin(&sandbox, "up --create --events events.ndjson").success();
    let lines: Vec<Value> = sandbox
        .read("events.ndjson")
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert!(lines.len() > 8);
    for line in &lines {
        assert!(line["event"].is_string(), "{line}");
        assert_eq!(line["at"], "2026-01-02T03:04:05.000Z", "{line}");
    }
    let done = lines
        .iter()
        .filter(|line| line["event"] == "step_done")
        .count();
    assert_eq!(done, 4);
    let both = dunlin(&sandbox, "down --only 001 --events -").success();
    assert!(
        both.stdout
            .lines()
            .filter(|line| line.starts_with('{'))
            .count()
            > 2,
        "{}",
        both.stdout
    );
}

for_each_engine! {
    /// `dunlin up 2>&1 | head`, a terminal that went away, a log collector that died: a run goes on to its end, says so by
    /// its exit code, and the journal knows it.
    async fn a_run_goes_on_where_nobody_listens(engine: TestEngine) {
        let database = engine.database();
        let sandbox = room_for(database.url());
        std::fs::remove_file(sandbox.path("migrations/001_notes.sql")).unwrap();
        sandbox.write(
            "migrations/001_bad.sql",
            "CREATE TABLE a (id int NOT NULL PRIMARY KEY);\nSELECT nosuch FROM nowhere;\n",
        );
        let to_nobody = |line: &str| {
            let closed = || {
                let (reader, writer) = std::io::pipe().unwrap();
                drop(reader);
                writer
            };
            let mut command = sandbox.command(line.split_whitespace());
            let ended = command.stdin(Stdio::null()).stdout(closed()).stderr(closed()).status();
            ended.unwrap().code()
        };
        assert_eq!(to_nobody("up -v --create"), Some(1));
        assert!(!database.has_table("a"), "it was taken back");
        let status = dunlin(&sandbox, "status --format json").success().json();
        assert_eq!(status["data"]["migrations"][0]["state"], "failed");
        sandbox.write("migrations/001_bad.sql", "CREATE TABLE a (id int NOT NULL PRIMARY KEY);\n");
        assert_eq!(to_nobody("up -v"), Some(0));
        assert_eq!(to_nobody("up --to 7"), Some(2));
        assert_eq!(to_nobody("up --format json --nonsense"), Some(2));
        assert_eq!(to_nobody("status"), Some(0));
    }
}
