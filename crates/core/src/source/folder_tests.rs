//! Reading a folder of migrations: names, pairs, headers, statements with places, faults by the dozen, and any bytes.
#![allow(clippy::unwrap_used)]

use super::folder::{FileName, SourceFile, file_name, parse_folder};
use super::scaffold;
use super::{DatabaseConfig, ManifestPolicy, Migration, Project, TransactionMode};
use crate::dialect::{Dialect, mysql::Mysql, postgres::Postgres, sqlite::Sqlite};
use crate::finding::{Finding, any_error};
use crate::redact::SecretUrl;
use crate::sql::LexMode;
use proptest::prelude::*;
use std::fmt::Write;
use std::path::PathBuf;
use std::time::Duration;

fn db() -> DatabaseConfig {
    let mut project = Project::without_file(SecretUrl::new("sqlite:a.db"), PathBuf::from("/srv"));
    let mut db = project.databases.remove(0);
    db.placeholders = [("prefix".to_owned(), "wp_".to_owned())].into();
    db
}

fn files(list: &[(&str, &str)]) -> Vec<SourceFile> {
    list.iter()
        .map(|(name, text)| SourceFile::new(format!("migrations/{name}"), *name, text.as_bytes()))
        .collect()
}

fn parse(dialect: &dyn Dialect, list: &[(&str, &str)]) -> (Vec<Migration>, Vec<Finding>) {
    parse_folder(&files(list), &db(), dialect, &LexMode::default())
}

/// Findings as lines, with the text that they point at.
fn shown(findings: &[Finding], list: &[(&str, &str)]) -> String {
    let mut out = String::new();
    let mut sorted: Vec<_> = findings.iter().collect();
    sorted.sort_by_key(|finding| {
        (
            finding.place.file.clone(),
            finding.place.span.as_ref().map(|span| span.start),
        )
    });
    for finding in sorted {
        let place = &finding.place;
        let file = place.file.as_deref().unwrap_or("-");
        let text = list
            .iter()
            .find(|(name, _)| file.ends_with(name))
            .map_or("", |(_, text)| text);
        let at = place
            .span
            .clone()
            .and_then(|span| text.get(span))
            .unwrap_or("")
            .lines()
            .next()
            .unwrap_or_default();
        let line = place.line.map_or(String::new(), |line| format!(":{line}"));
        writeln!(
            out,
            "{:?} {file}{line} {} `{at}`: {}",
            finding.severity, finding.code, finding.message
        )
        .unwrap();
        if let Some(help) = &finding.help {
            writeln!(out, "    {help}").unwrap();
        }
    }
    out
}

fn clean(dialect: &dyn Dialect, list: &[(&str, &str)]) -> Vec<Migration> {
    let (migrations, findings) = parse(dialect, list);
    assert_eq!(shown(&findings, list), "");
    migrations
}

#[test]
fn names_are_told_apart() {
    let up = |version: &str, name: &str| FileName::Up(super::Version(version.into()), name.into());
    for (name, kind) in [
        ("001_initial_schema.sql", up("001", "initial_schema")),
        ("20240101120000_2fa.sql", up("20240101120000", "2fa")),
        ("004_جدول_تازه.sql", up("004", "جدول_تازه")),
        (
            "001_a.undo.sql",
            FileName::Undo(super::Version("001".into()), "a".into()),
        ),
        ("README", FileName::Silent),
        ("readme.txt", FileName::Silent),
        ("notes.md", FileName::Silent),
        ("version.json", FileName::Silent),
        (".gitkeep", FileName::Silent),
        (
            "001-Add-Users.sql",
            FileName::Bad(Some("001_add_users.sql".into())),
        ),
        (
            "V2__AddUsers.sql",
            FileName::Bad(Some("2_add_users.sql".into())),
        ),
        ("001_a.SQL", FileName::Bad(Some("001_a.sql".into()))),
        ("001.sql", FileName::Bad(None)),
        ("001_.sql", FileName::Bad(None)),
        ("schema.sql", FileName::Bad(None)),
        ("001_a.sql.bak", FileName::Stray),
        ("seed.py", FileName::Stray),
    ] {
        assert_eq!(file_name(name), kind, "{name}");
    }
}

const WHOLE: &str = "\u{feff}-- Adds tags.\r
-- dunlin: description = \"Adds tags to conversations\"\r
-- dunlin: requires = [\"001\"]\r
-- dunlin: transaction = \"none\"          (chosen by itself where a statement demands it)\r
-- dunlin: backup = true\r
-- dunlin: estimate = \"5s\"\r
-- dunlin: timeout = \"300s\"\r
-- dunlin: allow = [\"lock-table-scan: table is empty\"]\r
-- dunlin: probe = \"SELECT 1\"\r
CREATE TABLE {prefix}tags (id int); -- {prefix} stays here\r
\r
-- dunlin: rerunnable = true\r
UPDATE {prefix}tags\r
   SET id = 1;\r
INSERT INTO t VALUES ('{prefix}x; {other}')\r
-- dunlin:undo\r
DROP TABLE {prefix}tags;\r
";

#[test]
fn a_script_is_read_with_header_statements_places_and_undo() {
    let list = [
        ("002_add_tags.sql", WHOLE),
        ("001_a.sql", "CREATE TABLE a (id int)"),
    ];
    let migrations = clean(&Sqlite, &list);
    let tags = &migrations[1];
    assert_eq!(
        tags.description.as_deref(),
        Some("Adds tags to conversations")
    );
    assert_eq!(tags.requires, [super::Version("1".into())]);
    assert_eq!(tags.transaction, TransactionMode::None);
    assert!(tags.backup);
    assert_eq!(
        (tags.estimate, tags.timeout),
        (Some(Duration::from_secs(5)), Some(Duration::from_secs(300)))
    );
    assert_eq!(
        (tags.allow[0].code.as_str(), tags.allow[0].why.as_str()),
        ("lock-table-scan", "table is empty")
    );
    let lines: Vec<_> = tags
        .up
        .statements
        .iter()
        .map(|statement| (statement.line, &*statement.sql))
        .collect();
    assert_eq!(
        lines,
        [
            (10, "CREATE TABLE wp_tags (id int)"),
            (13, "UPDATE wp_tags\r\n   SET id = 1"),
            (15, "INSERT INTO t VALUES ('wp_x; {other}')")
        ]
    );
    for statement in &tags.up.statements {
        assert_eq!(
            WHOLE[statement.span.clone()].replace("{prefix}", "wp_"),
            *statement.sql
        );
    }
    assert_eq!(tags.up.statements[0].probe.as_deref(), Some("SELECT 1"));
    assert!(!tags.up.statements[0].rerunnable && tags.up.statements[1].rerunnable);
    let undo = tags.undo.as_ref().unwrap();
    assert_eq!(
        (undo.statements[0].line, &*undo.statements[0].sql),
        (17, "DROP TABLE wp_tags")
    );
    assert_eq!(
        &WHOLE[undo.statements[0].span.clone()],
        "DROP TABLE {prefix}tags"
    );
}

#[test]
fn fingerprints_are_of_each_part_and_before_placeholders() {
    let one = clean(
        &Sqlite,
        &[("1_a.sql", "SELECT '{prefix}';\n-- dunlin:undo\nSELECT 1;")],
    );
    let two = clean(
        &Sqlite,
        &[(
            "1_a.sql",
            "-- said\nSELECT  '{prefix}';\r\n-- dunlin:undo\nSELECT 2;",
        )],
    );
    assert_eq!(one[0].up.fingerprint.meaning, two[0].up.fingerprint.meaning);
    assert_ne!(one[0].up.fingerprint.bytes, two[0].up.fingerprint.bytes);
    let undo = |migrations: &[Migration]| {
        migrations[0]
            .undo
            .as_ref()
            .unwrap()
            .fingerprint
            .meaning
            .clone()
    };
    assert_ne!(undo(&one), undo(&two));
    let mut other = db();
    other.placeholders.insert("prefix".into(), "x_".into());
    let (three, _) = parse_folder(
        &files(&[("1_a.sql", "SELECT '{prefix}'")]),
        &other,
        &Sqlite,
        &LexMode::default(),
    );
    let alone = clean(&Sqlite, &[("1_a.sql", "SELECT '{prefix}'")]);
    assert_eq!(three[0].up.fingerprint, alone[0].up.fingerprint);
    // The undo in a file of its own: the same undo, the same up part.
    let apart = clean(
        &Sqlite,
        &[
            ("1_a.sql", "SELECT '{prefix}';"),
            ("1_a.undo.sql", "SELECT 1;"),
        ],
    );
    assert_eq!(
        apart[0].up.fingerprint.meaning,
        one[0].up.fingerprint.meaning
    );
    assert_eq!(undo(&apart), undo(&one));
    assert_eq!(
        apart[0].undo.as_ref().unwrap().file,
        "migrations/1_a.undo.sql"
    );
}

#[test]
fn the_outermost_transaction_is_taken_over_and_no_other() {
    let sql = |migrations: &[Migration]| -> Vec<String> {
        migrations[0]
            .up
            .statements
            .iter()
            .map(|statement| statement.sql.to_string())
            .collect()
    };
    let taken = clean(
        &Postgres,
        &[(
            "1_a.sql",
            "SET search_path = a;\nBEGIN;\nCREATE TABLE a (id int);\nCOMMIT;\n",
        )],
    );
    assert!(taken[0].up.wrapped);
    assert_eq!(
        sql(&taken),
        ["SET search_path = a", "CREATE TABLE a (id int)"]
    );
    let dump = "PRAGMA foreign_keys=OFF;\nBEGIN TRANSACTION;\nCREATE TABLE a (id int);\nCOMMIT;\n";
    assert!(clean(&Sqlite, &[("1_a.sql", dump)])[0].up.wrapped);
    assert!(
        !clean(&Mysql, &[("1_a.sql", "CREATE TABLE a (id int)")])[0]
            .up
            .wrapped
    );
    for refused in [
        "BEGIN; SELECT 1;",
        "CREATE TABLE a (id int); BEGIN; SELECT 1; COMMIT;",
        "BEGIN; INSERT INTO a VALUES (1); COMMIT; BEGIN; INSERT INTO a VALUES (2); COMMIT;",
        "SAVEPOINT x;",
        "INSERT INTO a VALUES (1); COMMIT;",
        "ROLLBACK;",
    ] {
        for dialect in [&Postgres as &dyn Dialect, &Mysql, &Sqlite] {
            let (_, findings) = parse(dialect, &[("1_a.sql", refused)]);
            assert!(
                findings
                    .iter()
                    .any(|finding| finding.code == "transaction-control"),
                "{refused}"
            );
        }
    }
    let trigger = "CREATE TRIGGER t AFTER INSERT ON a BEGIN UPDATE a SET id = 1; END;";
    assert_eq!(sql(&clean(&Sqlite, &[("1_a.sql", trigger)])).len(), 1);
}

#[test]
fn what_changes_the_meaning_of_quotes_behind_it_is_refused() {
    let refused = |dialect: &dyn Dialect, text: &str| {
        let (_, findings) = parse(dialect, &[("1_a.sql", text)]);
        findings.iter().any(|it| it.code == "mode-changes")
    };
    for (text, expected) in [
        (
            "SET sql_mode = 'ANSI_QUOTES'; CREATE TABLE \"a\" (id int);",
            true,
        ),
        (
            "SET sql_mode='STRICT_ALL_TABLES,NO_BACKSLASH_ESCAPES'; INSERT INTO a VALUES ('\\');",
            true,
        ),
        ("set @@session.sql_mode := ansi; SELECT \"a\";", true),
        (
            "/*!40101 SET @OLD=@@SQL_MODE, SQL_MODE='ANSI' */; SELECT \"a\";",
            true,
        ),
        (
            "SET SESSION sql_mode = CONCAT(@@sql_mode, ',ANSI_QUOTES'); SELECT \"a\";",
            true,
        ),
        ("SET sql_mode = ELT(1, 'ANSI'); SELECT \"a\";", true),
        ("SET sql_mode = ELT(1, 'ANSI'); SELECT `a`;", false),
        (
            "SET sql_mode = 'ANSI_QUOTES'; CREATE TABLE `a` (id int);",
            false,
        ),
        (
            "SET sql_mode = 'NO_AUTO_VALUE_ON_ZERO'; SELECT \"a\", '\\n';",
            false,
        ),
        (
            "/*!40101 SET @OLD_SQL_MODE=@@SQL_MODE, SQL_MODE='NO_AUTO_VALUE_ON_ZERO' */; SELECT \"a\";",
            false,
        ),
        ("SET sql_mode = @OLD_SQL_MODE; SELECT \"a\";", false),
        ("SET GLOBAL sql_mode = 'ANSI_QUOTES'; SELECT \"a\";", false),
        (
            "SET @@GLOBAL.sql_mode = 'ANSI_QUOTES'; SELECT \"a\";",
            false,
        ),
        ("SET @sql_mode = 'ANSI_QUOTES'; SELECT \"a\";", false),
        ("SELECT \"a\"; SET sql_mode = 'ANSI_QUOTES';", false),
    ] {
        assert_eq!(refused(&Mysql, text), expected, "{text}");
    }
    for (text, expected) in [
        (
            "SET standard_conforming_strings = off; INSERT INTO a VALUES ('a\\'b');",
            true,
        ),
        (
            "SET LOCAL standard_conforming_strings TO 'off'; SELECT '\\\\';",
            true,
        ),
        ("SET standard_conforming_strings = on; SELECT '\\';", false),
        (
            "SELECT set_config('standard_conforming_strings', 'off', false); SELECT '\\';",
            true,
        ),
        ("SET standard_conforming_strings = off; SELECT 'a';", false),
    ] {
        assert_eq!(refused(&Postgres, text), expected, "{text}");
    }
}

#[test]
fn copy_blocks_carry_their_data() {
    let text = "COPY a (id, t) FROM stdin;\n1\tx{prefix}\n2\t;\n\\.\nSELECT 1;\n";
    let migrations = clean(&Postgres, &[("1_a.sql", text)]);
    let statement = &migrations[0].up.statements[0];
    assert_eq!(&*statement.sql, "COPY a (id, t) FROM stdin");
    assert_eq!(statement.copy_data.as_deref(), Some("1\tx{prefix}\n2\t;\n"));
    assert_eq!(migrations[0].up.statements[1].line, 5);
}

const FAULTY: &[(&str, &str)] = &[
    (
        "001_a.sql",
        "-- dunlin: requires = [\"3\", \"9\"]\n-- dunlin: descripton = \"x\"\n-- dunlin: timeout = \"5 min\"\n-- dunlin: just words\n-- dunlin: backup = yes\nSELECT 1;\nSELECT '\n",
    ),
    ("01_b.sql", "SELECT 1"),
    (
        "002_c.sql",
        "-- dunlin: requires = [\"2\"]\n-- dunlin: allow = [\"lock-table-scan\"]\n-- dunlin: transaction = \"all\"\nSELECT {prefx}a;\n-- dunlin: backup = true\n-- dunlin: probe = \"SELECT 1\"\n",
    ),
    (
        "003_d.sql",
        "-- dunlin: requires = [\"001\", \"x\"]\n-- dunlin: irreversible = \"no way\"\nSELECT 1;\n-- dunlin:undo\nSELECT 2;\n-- dunlin: backup = true\n",
    ),
    ("003_d.undo.sql", "SELECT 3;"),
    ("004_e.sql", "-- nothing\n-- dunlin:undo\n-- nothing\n"),
    ("004_f.undo.sql", "SELECT 1"),
    ("005_g.undo.sql", "SELECT 1"),
    ("006-h.sql", "SELECT 1"),
    (
        "007_i.sql",
        "-- dunlin: requires = [\"8\"]\nSELECT 1;\n/* never\n",
    ),
    ("008_j.sql", "SELECT 1; ROLLBACK;\n"),
    ("dump.tar", ""),
];

#[test]
fn every_fault_of_every_file_is_found_at_once() {
    let mut all = files(FAULTY);
    all.push(SourceFile::new(
        "migrations/010_latin.sql",
        "010_latin.sql",
        b"SELECT 1;\nSELECT 'caf\xe9';".to_vec(),
    ));
    all.push(SourceFile::new(
        "migrations/011_utf16.sql",
        "011_utf16.sql",
        b"\xff\xfeS\0".to_vec(),
    ));
    all.push(SourceFile::too_large(
        "migrations/012_huge.sql",
        "012_huge.sql",
        300 << 20,
    ));
    let (_, findings) = parse_folder(&all, &db(), &Sqlite, &LexMode::default());
    insta::assert_snapshot!(shown(&findings, FAULTY));
}

#[test]
fn the_manifest_speaks_where_the_header_is_silent() {
    let manifest = include_str!("testdata/version.json");
    let list = [
        ("version.json", manifest),
        (
            "001_initial_schema.sql",
            "CREATE TABLE `{prefix}woo_ai_settings` (id int);\nCREATE TABLE {prefix}woo_ai_messages (id int);\nCREATE VIEW {prefix}woo_ai_kb_summary AS SELECT 1;",
        ),
        ("002_add_tags.sql", "-- dunlin: timeout = \"7s\"\nSELECT 1"),
        ("002_rollback.sql", "SELECT 2"),
    ];
    let migrations = clean(&Mysql, &list);
    assert_eq!(migrations.len(), 2);
    assert_eq!(
        migrations[0].description.as_deref(),
        Some("Six tables and two views")
    );
    assert_eq!(
        migrations[0].creates,
        [
            "wp_woo_ai_settings",
            "wp_woo_ai_messages",
            "wp_woo_ai_kb_summary"
        ]
    );
    assert_eq!((migrations[0].backup, migrations[1].backup), (true, false));
    assert_eq!(
        (migrations[0].estimate, migrations[0].timeout),
        (Some(Duration::from_secs(5)), Some(Duration::from_secs(300)))
    );
    assert_eq!(migrations[1].timeout, Some(Duration::from_secs(7)));
    assert_eq!(migrations[1].requires, [super::Version("001".into())]);
    assert_eq!(
        migrations[1].undo.as_ref().unwrap().file,
        "migrations/002_rollback.sql"
    );

    let other = [
        ("version.json", manifest),
        ("001_first_schema.sql", "SELECT 1"),
        ("003_more.sql", "SELECT 1"),
    ];
    let (_, findings) = parse(&Mysql, &other);
    insta::assert_snapshot!(shown(&findings, &other));
    let ignoring = DatabaseConfig {
        manifest: ManifestPolicy::Ignore,
        ..db()
    };
    let (_, findings) = parse_folder(&files(&other), &ignoring, &Mysql, &LexMode::default());
    assert!(findings.is_empty());
}

#[test]
fn what_new_writes_is_read_with_nothing_but_the_hint_that_it_is_empty() {
    let made = scaffold::migration("Say \"hi\" \\ جدول", &[], "20260101000000").unwrap();
    let list = [(made.file.as_str(), made.text.as_str())];
    for dialect in [&Postgres as &dyn Dialect, &Mysql, &Sqlite] {
        let (migrations, findings) = parse(dialect, &list);
        assert!(!any_error(&findings), "{}", shown(&findings, &list));
        assert!(
            findings
                .iter()
                .all(|finding| finding.code == "empty-script")
        );
        assert_eq!(
            migrations[0].description.as_deref(),
            Some("Say \"hi\" \\ جدول")
        );
        assert!(migrations[0].undo.is_none());
    }
}

#[test]
fn large_folders_are_read_in_order_whatever_thread_read_what() {
    let list: Vec<(String, String)> = (1..=700)
        .map(|n| {
            let fault = if n % 100 == 0 {
                "-- dunlin: nope = 1\n"
            } else {
                ""
            };
            (format!("{n}_x.sql"), format!("{fault}SELECT {n};"))
        })
        .collect();
    let list: Vec<(&str, &str)> = list
        .iter()
        .map(|(name, text)| (name.as_str(), text.as_str()))
        .collect();
    let (migrations, findings) = parse(&Postgres, &list);
    let read: Vec<String> = migrations
        .iter()
        .map(|migration| migration.up.statements[0].sql.to_string())
        .collect();
    let wanted: Vec<String> = (1..=700).map(|n| format!("SELECT {n}")).collect();
    assert_eq!(read, wanted);
    let files: Vec<_> = findings
        .iter()
        .filter_map(|finding| finding.place.file.clone())
        .collect();
    let wanted: Vec<String> = (1..=7).map(|n| format!("migrations/{n}00_x.sql")).collect();
    assert_eq!(files, wanted);
}

#[test]
fn a_large_script_of_faults_stays_readable() {
    let text = "{nope} ".repeat(100_000);
    let (_, findings) = parse(&Postgres, &[("1_a.sql", &text)]);
    assert!(findings.len() < 200, "{}", findings.len());
    assert!(
        findings
            .iter()
            .any(|finding| finding.code == "too-many-faults")
    );
}

fn mutated(text: &str, edits: &[(prop::sample::Index, u8, u8)]) -> Vec<u8> {
    let mut bytes = text.as_bytes().to_vec();
    for (at, byte, kind) in edits {
        bytes.push(b'\n');
        let at = at.index(bytes.len());
        match kind {
            0 => bytes[at] = *byte,
            1 => bytes.insert(at, *byte),
            2 => {
                bytes.remove(at);
            }
            _ => {
                let half = bytes[at..].to_vec();
                bytes.extend(half);
            }
        }
    }
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_bytes_make_it_panic(
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0u8..4), 0..8),
        which in 0usize..FAULTY.len(),
        engine in 0usize..3,
        name in "[0-9]{0,3}_?[a-zA-Z_.\u{600}-\u{650}-]{0,8}(.undo)?.(sql|json|md)",
    ) {
        let dialect: &dyn Dialect = [&Sqlite as &dyn Dialect, &Postgres, &Mysql][engine];
        let mut all = files(FAULTY);
        all[which].bytes = mutated(FAULTY[which].1, &edits);
        all.push(SourceFile::new("b/2_w.sql", "2_w.sql", mutated(WHOLE, &edits)));
        all.push(SourceFile::new(name.clone(), name, mutated("x", &edits)));
        all.push(SourceFile::new("version.json", "version.json", mutated(include_str!("testdata/version.json"), &edits)));
        let (migrations, findings) = parse_folder(&all, &db(), dialect, &LexMode::default());
        for migration in &migrations {
            let file = all.iter().find(|file| file.path == migration.up.file).unwrap();
            for statement in &migration.up.statements {
                prop_assert!(statement.span.end <= file.bytes.len());
                prop_assert!(statement.span.start < statement.span.end);
            }
        }
        for finding in &findings {
            if let (Some(path), Some(span)) = (&finding.place.file, &finding.place.span) {
                let file = all.iter().find(|file| &file.path == path).unwrap();
                prop_assert!(span.start <= span.end && span.end <= file.bytes.len(), "{finding:?}");
            }
        }
    }
}
