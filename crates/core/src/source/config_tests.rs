//! Reading `dunlin.toml`: the contract's own example, faults by the dozen, environments, variables, and any bytes.
#![allow(clippy::unwrap_used)]

use super::config::{ConfigInput, parse_project};
use super::{BackupPolicy, OnFailure, OutOfOrder, Project};
use crate::finding::{Finding, any_error};
use crate::redact::SecretUrl;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::PathBuf;
use std::time::Duration;

const WHOLE: &str = include_str!("testdata/whole.toml");

fn input(toml: &str, environment: &[(&str, &str)]) -> ConfigInput {
    ConfigInput {
        path: "dunlin.toml".into(),
        toml: Some(toml.as_bytes().to_vec()),
        environment: environment
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect(),
        root: PathBuf::from("/srv/app"),
        ..ConfigInput::default()
    }
}

/// Findings as one line each, with the text that they point at.
fn shown(findings: &[Finding], text: &str) -> String {
    let mut out = String::new();
    let mut sorted: Vec<_> = findings.iter().collect();
    sorted.sort_by_key(|finding| {
        finding
            .place
            .span
            .as_ref()
            .map(|span| (span.start, span.end))
    });
    for finding in sorted {
        let place = &finding.place;
        let at = place
            .span
            .clone()
            .and_then(|span| text.get(span))
            .unwrap_or("-")
            .lines()
            .next()
            .unwrap_or_default();
        let (file, line) = (
            place.file.as_deref().unwrap_or("-"),
            place.line.unwrap_or(0),
        );
        writeln!(
            out,
            "{file}:{line} {} `{at}`: {}",
            finding.code, finding.message
        )
        .unwrap();
        if let Some(help) = &finding.help {
            writeln!(out, "    {help}").unwrap();
        }
    }
    out
}

const SET: &[(&str, &str)] = &[
    ("DATABASE_URL", "mysql://a:s3cret@h/db"),
    ("BASE", "http://h"),
    ("HOOK_URL", "http://n"),
];

#[test]
fn the_contracts_example_is_read_whole_and_without_findings() {
    let (project, findings) = parse_project(input(WHOLE, SET));
    assert_eq!(shown(&findings, WHOLE), "");
    let names: Vec<_> = project
        .databases
        .iter()
        .map(|database| database.name.as_str())
        .collect();
    assert_eq!(names, ["app", "tenant"]);
    let app = project.select(None).unwrap();
    assert_eq!(app.url.expose(), "mysql://a:s3cret@h/db");
    assert_eq!(app.direct_url, None);
    assert_eq!(app.migrations, PathBuf::from("/srv/app/migrations"));
    assert_eq!(app.lock_timeout, Duration::from_millis(200));
    assert_eq!(app.retention, Duration::from_secs(180 * 86_400));
    assert_eq!(app.owns, ["wp_woo_ai_*"]);
    assert_eq!(app.borrows, ["wp_users"]);
    assert_eq!(
        (app.out_of_order, app.on_failure, app.backup),
        (OutOfOrder::Stop, OnFailure::Undo, BackupPolicy::Auto)
    );
    assert_eq!(project.log, Some(PathBuf::from("/srv/app/dunlin.log")));
    assert_eq!(project.file.rule.len(), 7);
    assert_eq!(project.file.coexistence[0].also.len(), 2);
    let old = project.file.compare[0].old.http.as_ref().unwrap();
    assert_eq!(old.url.0, "http://h/v1/chat");
    assert_eq!(project.secrets(), ["s3cret"]);
    assert!(!format!("{project:?}").contains("s3cret"));
    let fault = project.select(Some("tenant")).unwrap_err();
    assert_eq!(fault[0].code, "no-url");
    assert_eq!(
        project.select(Some("tenants")).unwrap_err()[0]
            .help
            .as_deref(),
        Some("did you mean `tenant`?")
    );
}

#[test]
fn every_fault_is_found_at_once() {
    let text = include_str!("testdata/faulty.toml");
    let mut input = input(text, &[]);
    input.env_name = Some("test".into());
    input.dotenv = Some(b"PW=x\noops\n".to_vec());
    let (project, mut findings) = parse_project(input);
    findings.extend(
        project
            .select(None)
            .unwrap_or_else(|_| &project.databases[0])
            .url
            .secrets()
            .iter()
            .map(|_| {
                Finding::info(
                    "secret-known",
                    crate::finding::Place::default(),
                    "the URL was read all the same",
                )
            }),
    );
    insta::assert_snapshot!(shown(&findings, text));
}

#[test]
fn broken_toml_still_tells_what_else_is_wrong() {
    let text = "[database.app\nurl = \"sqlite:a.db\"\n[database.app]\nurl = sqlite:a.db\nowned = []\n[[rule]]\nid = \"a\nx = 1\n";
    let (_, findings) = parse_project(input(text, &[]));
    insta::assert_snapshot!(shown(&findings, text));
}

#[test]
fn an_environment_overrides_key_by_key() {
    let (project, findings) = parse_project(ConfigInput {
        env_name: Some("test".into()),
        ..input(WHOLE, &[])
    });
    assert_eq!(shown(&findings, WHOLE), "");
    // DATABASE_URL is not set: nobody needs it under --env test.
    let app = project.select(None).unwrap();
    assert_eq!(app.url.expose(), "sqlite:test.db");
    assert_eq!(app.owns, ["wp_woo_ai_*"]);
    let (_, findings) = parse_project(ConfigInput {
        env_name: Some("tets".into()),
        ..input(WHOLE, SET)
    });
    assert_eq!(findings[0].code, "unknown-env");
    assert_eq!(findings[0].help.as_deref(), Some("did you mean `test`?"));
}

#[test]
fn a_missing_variable_counts_only_for_who_uses_it() {
    let text = "[database.a]\nurl = \"${A_URL}\"\n[database.b]\nurl = \"${B_URL:-sqlite:b.db}\"\nscratch = \"${S}\"\n[notify]\nwebhook = \"${HOOK}\"\n";
    let (project, findings) = parse_project(input(text, &[("S", "sqlite:s.db")]));
    assert!(findings.is_empty());
    assert_eq!(
        project.select(Some("b")).unwrap().url.expose(),
        "sqlite:b.db"
    );
    let faults = project.select(None).unwrap_err();
    assert_eq!(
        faults[0].message,
        "the environment variable A_URL is not set"
    );
    assert_eq!(faults[0].place.line, Some(2));
    assert_eq!(project.faults_under("/notify").len(), 1);
    let mut project = project;
    project.override_url(None, SecretUrl::new("sqlite:x.db"));
    assert_eq!(project.select(None).unwrap().base_dir, None);
    project.override_url(None, SecretUrl::new("oracle://x"));
    assert_eq!(project.select(None).unwrap_err()[0].code, "unknown-engine");
}

#[test]
fn a_prelude_is_sql_and_takes_placeholders() {
    let text = "[database.app]\nurl = \"mysql://h/d\"\nprelude = [\"SET @p = '{prefix}x'\", \"SET {nope}\"]\nplaceholders = { prefix = \"wp_\" }\n";
    let (project, findings) = parse_project(input(text, &[]));
    assert_eq!(project.databases[0].prelude, ["SET @p = 'wp_x'"]);
    assert_eq!(
        (findings[0].code, findings[0].place.line),
        ("placeholder-unknown", Some(3))
    );
}

#[test]
fn numbers_that_are_none_are_said() {
    let text = "[database.app]\nbackup_keep = 99999999999999999999\n[[compare]]\nname = \"c\"\nrequire = { match_rate = nan, slower_by_at_most = 1 }\n";
    let (_, findings) = parse_project(input(text, &[]));
    let said: Vec<_> = findings
        .iter()
        .filter(|finding| finding.code == "bad-value")
        .collect();
    assert_eq!(said.len(), 2);
    assert_eq!((said[0].place.line, said[1].place.line), (Some(2), Some(5)));
}

#[test]
fn dotenv_lies_beneath_the_environment() {
    let text = "[database.app]\nurl = \"${U}\"\n";
    let dotenv = Some(b"U=sqlite:from-file.db\n".to_vec());
    let (project, _) = parse_project(ConfigInput {
        dotenv: dotenv.clone(),
        ..input(text, &[])
    });
    assert_eq!(project.databases[0].url.expose(), "sqlite:from-file.db");
    let (project, _) = parse_project(ConfigInput {
        dotenv,
        ..input(text, &[("U", "sqlite:from-env.db")])
    });
    assert_eq!(project.databases[0].url.expose(), "sqlite:from-env.db");
}

#[test]
fn everything_works_without_a_file() {
    let none = |environment: &[(&str, &str)]| ConfigInput {
        toml: None,
        ..input("", environment)
    };
    let (project, findings) = parse_project(none(&[("DATABASE_URL", "postgres://h/db")]));
    assert!(findings.is_empty());
    assert_eq!(
        project.select(None).unwrap().url.expose(),
        "postgres://h/db"
    );
    assert_eq!(
        project.select(None).unwrap().migrations,
        PathBuf::from("/srv/app/migrations")
    );
    let (project, _) = parse_project(none(&[]));
    assert_eq!(project.select(None).unwrap_err()[0].code, "no-url");
    let project = Project::without_file(SecretUrl::new("sqlite:a.db"), PathBuf::from("/x"));
    assert_eq!(project.select(None).unwrap().url.expose(), "sqlite:a.db");
    let project = Project::without_file(SecretUrl::new("postgre://a:pw@h/db"), PathBuf::from("/x"));
    let fault = &project.select(None).unwrap_err()[0];
    assert_eq!(
        (fault.code, fault.help.as_deref()),
        ("unknown-engine", Some("did you mean `postgres`?"))
    );
    // A file without databases is a file all the same.
    let (project, _) = parse_project(input(
        "[project]\nname = \"x\"\n",
        &[("DATABASE_URL", "sqlite:a.db")],
    ));
    assert_eq!(project.select(None).unwrap().name, "app");
    assert_eq!(project.name.as_deref(), Some("x"));
}

#[test]
fn the_first_database_is_the_default_where_none_is_named_app() {
    let (project, _) = parse_project(input(
        "[database.zoo]\nurl = \"sqlite:z\"\n[database.a]\nurl = \"sqlite:a\"\n",
        &[],
    ));
    assert_eq!(project.default_database().unwrap().name, "zoo");
}

#[test]
fn bytes_that_are_no_text_are_said_with_their_place() {
    let bytes = b"[project]\nname = \"caf\xe9\"\n".to_vec();
    let (_, findings) = parse_project(ConfigInput {
        toml: Some(bytes),
        ..input("", &[])
    });
    assert_eq!(findings[0].code, "broken-utf8");
    assert_eq!(findings[0].message, "byte 21 (0xE9) is not UTF-8");
    assert_eq!(findings[0].place.line, Some(2));
    let bom = format!("\u{feff}{WHOLE}").replace('\n', "\r\n");
    let (_, findings) = parse_project(input(&bom, SET));
    assert_eq!(shown(&findings, &bom), "");
}

#[test]
fn deep_and_long_inputs_do_not_exhaust_anything() {
    let dots = format!("{} = 1\n", vec!["a"; 20_000].join("."));
    let brackets = format!("a = {}\n", "[".repeat(20_000));
    let tables = format!("a = {}\n", "{a=".repeat(20_000));
    for text in [dots, brackets, tables] {
        let (_, findings) = parse_project(input(&text, &[]));
        assert!(any_error(&findings));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_bytes_make_it_panic(
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0u8..4), 1..12),
        dotenv in prop::collection::vec(any::<u8>(), 0..64),
        env in prop::option::of("[a-z]{0,4}|test"),
    ) {
        let mut bytes = WHOLE.as_bytes().to_vec();
        for (at, byte, kind) in edits {
            bytes.push(b'\n');
            let at = at.index(bytes.len());
            match kind {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                2 => { bytes.remove(at); }
                _ => bytes.truncate(at.max(1)),
            }
        }
        let length = bytes.len();
        let (project, findings) = parse_project(ConfigInput {
            toml: Some(bytes),
            dotenv: Some(dotenv),
            env_name: env,
            environment: BTreeMap::new(),
            ..input("", &[])
        });
        let _ = project.select(None);
        for finding in findings.iter().filter(|finding| finding.place.file.as_deref() == Some("dunlin.toml")) {
            prop_assert!(finding.place.span.as_ref().is_none_or(|span| span.end <= length));
        }
    }

    #[test]
    fn no_values_make_it_panic(value in "[\\[\\]{}\"'=,.a-z0-9:\\-]{0,24}", key in "[a-z_]{1,12}") {
        let text = format!("[database.app]\n{key} = {value}\n[[rule]]\n{key} = {value}\n");
        let _ = parse_project(input(&text, &[]));
    }
}
