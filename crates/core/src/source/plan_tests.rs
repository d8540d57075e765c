//! Reading `*.plan.toml`: the contract's own example, faults by the dozen, what the hashes count, and any bytes.
#![allow(clippy::unwrap_used)]

use super::config::{ConfigInput, parse_project};
use super::plan::{CheckDoc, PlanDoc, PlanInput, StepSpec, UndoSpec, parse_plan, plan_database};
use super::{DatabaseConfig, Project};
use crate::finding::{Finding, Severity, any_error};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};

const WHOLE: &str = include_str!("testdata/whole.plan.toml");
const FAULTY: &str = include_str!("testdata/faulty.plan.toml");

fn project() -> Project {
    let environment = [
        ("DATABASE_URL", "mysql://a:s3cret@h/db"),
        ("BASE", "http://h"),
        ("HOOK_URL", "http://n"),
        ("API_TOKEN", "t0ken"),
    ];
    let environment = environment.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let (project, findings) = parse_project(ConfigInput {
        path: "dunlin.toml".into(),
        toml: Some(include_bytes!("testdata/whole.toml").to_vec()),
        environment: environment.into(),
        root: PathBuf::from("/srv/app"),
        ..ConfigInput::default()
    });
    assert!(!any_error(&findings), "{findings:?}");
    project
}

fn config(project: &Project) -> DatabaseConfig {
    project.default_database().unwrap().clone()
}

/// Reads a plan whose files are these.
fn read(text: &str, files: &[(&str, &str)]) -> (Option<PlanDoc>, Vec<Finding>) {
    let files: BTreeMap<PathBuf, Vec<u8>> = files
        .iter()
        .map(|(path, text)| (PathBuf::from(path), text.as_bytes().to_vec()))
        .collect();
    let open = |path: &Path| {
        files
            .get(path)
            .cloned()
            .ok_or_else(|| "no such file".to_owned())
    };
    let project = project();
    let input = PlanInput {
        path: "plans/big.plan.toml",
        bytes: text.as_bytes(),
        files: &open,
    };
    parse_plan(input, &project, &config(&project))
}

fn sound(text: &str) -> PlanDoc {
    let (doc, findings) = read(text, &[]);
    assert_eq!(shown(&findings, text), "");
    doc.unwrap()
}

/// Findings as one line each, in the order of their places, with the text that they point at.
fn shown(findings: &[Finding], text: &str) -> String {
    let mut sorted: Vec<_> = findings.iter().collect();
    sorted.sort_by_key(|finding| {
        let place = &finding.place;
        (
            place.file.clone(),
            place.span.as_ref().map(|span| (span.start, span.end)),
        )
    });
    let mut out = String::new();
    for finding in sorted {
        let place = &finding.place;
        let file = place.file.as_deref().unwrap_or("-");
        let own = file.ends_with(".plan.toml");
        let at = place
            .span
            .clone()
            .filter(|_| own)
            .and_then(|span| text.get(span));
        let at = at.unwrap_or("-").lines().next().unwrap_or_default();
        let line = place.line.unwrap_or(0);
        let weight = match finding.severity {
            Severity::Error => "",
            _ => "(warning) ",
        };
        writeln!(
            out,
            "{file}:{line} {weight}{} `{at}`: {}",
            finding.code, finding.message
        )
        .unwrap();
        if let Some(help) = &finding.help {
            writeln!(out, "    {help}").unwrap();
        }
    }
    out
}

/// A plan as lines, hashes left out.
fn summary(doc: &PlanDoc) -> String {
    let mut out = String::new();
    let (window, starts) = (doc.window.as_ref().unwrap(), doc.starts.unwrap());
    writeln!(
        out,
        "{} of {}: {:?}, {window}, {starts}",
        doc.name, doc.file, doc.on_failure
    )
    .unwrap();
    for requirement in &doc.requires {
        writeln!(out, "  requires {requirement}: {:?}", requirement.kind).unwrap();
    }
    writeln!(out, "  team {:?}\n  watch {:?}", doc.team, doc.watch).unwrap();
    let check = |out: &mut String, check: &CheckDoc| {
        let CheckDoc {
            id,
            when,
            severity,
            kind,
            place,
        } = check;
        writeln!(
            out,
            "  check {id} {when:?} {severity:?} line {:?}\n    {kind:?}",
            place.line
        )
        .unwrap();
    };
    for phase in &doc.phases {
        let duration = phase.duration.unwrap();
        writeln!(
            out,
            "phase {} {:?} needs {:?} for {duration}",
            phase.id, phase.title, phase.needs
        )
        .unwrap();
        writeln!(
            out,
            "  {:?} {:?} {:?} {:?}",
            phase.gate, phase.approvers, phase.go, phase.backup
        )
        .unwrap();
        phase.checks.iter().for_each(|found| check(&mut out, found));
        for step in &phase.steps {
            writeln!(
                out,
                "step {} {:?} needs {:?} critical {}",
                step.id, step.label, step.needs, step.critical
            )
            .unwrap();
            writeln!(out, "    {:?}\n    undo {:?}", step.kind, step.undo).unwrap();
            step.checks.iter().for_each(|found| check(&mut out, found));
        }
    }
    out
}

const FILES: &[(&str, &str)] = &[
    (
        "steps/01_users.sql",
        "-- users\nCREATE TABLE users (id int);\n",
    ),
    ("steps/01_users.undo.sql", "DROP TABLE users;"),
];

#[test]
fn the_contracts_example_is_read_whole() {
    let (doc, findings) = read(WHOLE, FILES);
    let doc = doc.unwrap_or_else(|| panic!("{}", shown(&findings, WHOLE)));
    assert!(
        findings.iter().all(
            |finding| matches!(finding.code, "comes-later" | "unknown-name")
                && finding.severity == crate::finding::Severity::Warning
        ),
        "{}",
        shown(&findings, WHOLE)
    );
    insta::assert_snapshot!(shown(&findings, WHOLE));
    insta::assert_snapshot!("a_whole_plan", summary(&doc));
}

#[test]
fn every_fault_is_found_at_once() {
    let files = [
        ("a.sql", "SELECT 'open;\n"),
        ("two.sql", "SELECT 1;\nSELECT {nothing};"),
    ];
    let (doc, findings) = read(FAULTY, &files);
    assert!(doc.is_none());
    insta::assert_snapshot!(shown(&findings, FAULTY));
}

#[test]
fn broken_toml_still_tells_what_else_is_wrong() {
    let text = "name = \"p\"\nstarts = \"soon\"\n[[phase]\nid = \"a\"\n[[phase.step]]\nid = \"x y\"\nsql = \"SELECT 1\"\n";
    let (doc, findings) = read(text, &[]);
    assert!(doc.is_none());
    let codes: Vec<&str> = findings.iter().map(|finding| finding.code).collect();
    assert!(
        codes.contains(&"toml-syntax") && codes.contains(&"bad-value"),
        "{codes:?}"
    );
    assert!(!codes.contains(&"missing-key"), "{codes:?}");
    let (doc, findings) = read("", &[]);
    assert!(doc.is_none());
    assert_eq!(findings.len(), 2, "{findings:?}");
}

#[test]
fn names_have_their_borders() {
    let plan = |name: &str, id: &str| {
        format!(
            "name = \"{name}\"\n[[phase]]\nid = \"{id}\"\n[[phase.step]]\nid = \"a\"\nsql = \"SELECT 1\"\n"
        )
    };
    let x60 = "x".repeat(60);
    let a = "\u{e4}".repeat(30);
    sound(&plan(&x60, &x60));
    sound(&plan(&a, "A-b_c.9"));
    for (name, id, line) in [
        ("", "p", 1),
        ("  ", "p", 1),
        (" a", "p", 1),
        ("a/b", "p", 1),
        ("a\\tb", "p", 1),
        (&format!("{x60}x"), "p", 1),
        (&format!("{a}x"), "p", 1),
        ("n", "", 3),
        ("n", "a/b", 3),
        ("n", "\u{e4}", 3),
        ("n", "a b", 3),
        ("n", &format!("{x60}x"), 3),
    ] {
        let text = plan(name, id);
        let (doc, findings) = read(&text, &[]);
        assert!(doc.is_none(), "{name} {id}");
        assert_eq!(codes(&findings), [("bad-id", Some(line))], "{name} {id}");
    }
}

#[test]
fn steps_and_phases_come_in_the_order_of_their_needs() {
    let doc = sound(
        r#"
name = "p"
[[phase]]
id = "late"
needs = ["early"]
[[phase]]
id = "early"
needs = []
[[phase.step]]
id = "c"
needs = ["b"]
sql = "SELECT 3"
[[phase.step]]
id = "a"
needs = []
sql = "SELECT 1"
[[phase.step]]
id = "b"
sql = "SELECT 2"
[[phase]]
id = "next"
"#,
    );
    let phases: Vec<&str> = doc.phases.iter().map(|phase| phase.id.as_str()).collect();
    assert_eq!(phases, ["early", "late", "next"]);
    // The one before is that of the file.
    assert_eq!(doc.phases[2].needs, ["early"]);
    let steps: Vec<&str> = doc.steps().map(|(_, step)| step.id.as_str()).collect();
    assert_eq!(steps, ["a", "b", "c"]);
    assert_eq!(doc.phases[0].steps[1].needs, ["a"]);
}

const COUNTED: &str = r#"
name = "p"
[[phase]]
id = "a"
title = "A title"
objectives = ["one"]
duration = "1d"
risk = "low"
needs = []
[[phase.check]]
id = "k"
sql = "SELECT 1"
expect = "= 1"
[[phase.step]]
id = "s"
title = "A step"
type = "schema"
risk = "low"
estimate = "5s"
sql = "CREATE TABLE t (a int)"
undo = "DROP TABLE t"
[[phase.step]]
id = "x"
exec = { run = "go ${BASE}" }
undo = { none = "reads only" }
[[phase.step]]
id = "y"
plugin = { enable = "analytics" }
"#;

/// The hashes of the phase and of its first step.
fn hashes(text: &str, files: &[(&str, &str)]) -> (String, String) {
    let (doc, findings) = read(text, files);
    let doc = doc.unwrap_or_else(|| panic!("{}", shown(&findings, text)));
    let step = doc.steps().find(|(_, step)| step.id == "s").unwrap().1;
    (doc.phases[0].hash.clone(), step.hash.clone())
}

#[test]
fn hashes_count_what_is_done_and_nothing_else() {
    let before = hashes(COUNTED, &[]);
    assert_eq!((before.0.len(), before.1.len()), (32, 32));
    for (from, to) in [
        ("A title", "Another"),
        ("\"one\"", "\"one\", \"two\""),
        ("\"1d\"", "\"2w\""),
        ("risk = \"low\"\nneeds", "risk = \"high\"\nneeds"),
        ("A step", "Another"),
        ("\"schema\"", "\"data\""),
        ("risk = \"low\"\nestimate", "estimate"),
        ("\"5s\"", "\"6s\""),
        (
            "CREATE TABLE t (a int)",
            "CREATE  TABLE t /* why */ (a int)",
        ),
        (
            "id = \"s\"\ntitle = \"A step\"",
            "title = \"A step\"\nid = \"s\"",
        ),
        ("name = \"p\"", "# a remark\nname = \"other\""),
    ] {
        let text = COUNTED.replace(from, to);
        assert_ne!(text, COUNTED, "{from}");
        assert_eq!(hashes(&text, &[]), before, "{from} → {to}");
    }
    for (from, to, step_too) in [
        ("(a int)", "(b int)", true),
        ("DROP TABLE t", "DROP TABLE u", true),
        ("id = \"s\"", "id = \"s\"\ncritical = false", false),
        ("= 1\"", "= 2\"", false),
        ("id = \"k\"", "id = \"k\"\nseverity = \"warning\"", false),
        ("needs = []", "needs = []\ngate = \"approve\"", false),
        ("needs = []", "needs = []\nbackup = \"database\"", false),
        ("needs = []", "needs = []\nwindow = \"01:00-02:00\"", false),
        ("${BASE}", "${BASE:-}", false),
        ("enable =", "disable =", false),
    ] {
        let text = COUNTED.replace(from, to);
        assert_ne!(text, COUNTED, "{from}");
        let after = hashes(&text, &[]);
        assert_ne!(after.0, before.0, "{from} → {to}");
        assert_eq!(after.1 != before.1, step_too, "{from} → {to}");
    }
}

#[test]
fn a_files_text_counts_and_its_name_does_not() {
    let before = hashes(COUNTED, &[]);
    let text = COUNTED.replace("CREATE TABLE t (a int)", "sql/t.sql");
    let file = "-- why\r\nCREATE TABLE t (a int)\n";
    assert_eq!(hashes(&text, &[("sql/t.sql", file)]), before);
    let other = text.replace("sql/t.sql", "u.sql");
    assert_eq!(hashes(&other, &[("u.sql", file)]), before);
    let changed = file.replace("int", "bigint");
    let after = hashes(&text, &[("sql/t.sql", &changed)]);
    assert!(after.0 != before.0 && after.1 != before.1);
}

#[test]
fn a_plugins_definition_counts() {
    let mut project = project();
    let config = config(&project);
    let hash = |project: &Project| {
        let input = PlanInput {
            path: "p.plan.toml",
            bytes: COUNTED.as_bytes(),
            files: &|_| Err("no file".into()),
        };
        let doc = parse_plan(input, project, &config).0.unwrap();
        doc.phases[0].hash.clone()
    };
    let before = hash(&project);
    project.file.plugin[1].after.push("x".into());
    assert_eq!(hash(&project), before, "of another plugin");
    project.file.plugin[0].after.push("bridge".into());
    assert_ne!(hash(&project), before);
}

#[test]
fn placeholders_and_marks_and_variables_each_stay_where_they_belong() {
    let text = r#"
name = "p"
requires = ["setting:{prefix}options.a{b}=c"]
[[phase]]
id = "a"
[[phase.check]]
id = "sum"
unchanged = "SELECT sum(x) FROM {prefix}orders WHERE id <= {mark:orders} AND y <> '{mark}' /* {nobody} */ ;"
[[phase.check]]
id = "kept"
kept = { table = "{prefix}contacts" }
[[phase.step]]
id = "s"
sql = '''
INSERT INTO {prefix}t VALUES ('{{template}}', '${BASE}');
'''
undo = { exec = "curl -H 'Authorization: ${API_TOKEN}' ${BASE}" }
[[phase.step]]
id = "b"
backfill = { table = "{prefix}t", set = "a = '{\"k\": 1}'" }
"#;
    let (doc, findings) = read(text, &[]);
    let said = shown(&findings, text);
    assert_eq!(
        codes(&findings),
        [("variable-not-expanded", Some(14))],
        "{said}"
    );
    let doc = doc.unwrap();
    let phase = &doc.phases[0];
    let said = format!("{:?} {:?} {:?}", doc.requires, phase.checks, phase.steps);
    for part in [
        "FROM wp_orders WHERE id <= {mark:orders} AND y <> '{mark}'",
        "Setting { table: \"wp_options\", key: \"a{b}\", value: \"c\" }",
        "table: \"wp_contacts\"",
        "INSERT INTO wp_t VALUES ('{{template}}', '${BASE}');",
        "Authorization: t0ken' http://h",
        "table: \"wp_t\"",
    ] {
        assert!(said.contains(part), "{part} is not in {said}");
    }
    let StepSpec::Sql(sql) = &phase.steps[0].kind else {
        panic!("{said}");
    };
    assert_eq!((sql.file.as_str(), sql.line), ("plans/big.plan.toml", 15));
    assert!(doc.secrets.0.iter().any(|secret| secret == "t0ken"));
    assert!(!format!("{:?}", doc.secrets).contains("t0ken"));
}

#[test]
fn what_cannot_be_taken_back_stands_last() {
    let plan = |middle: &str, last: &str| {
        let step = |id: &str, undo: &str| {
            format!("[[phase.step]]\nid = \"{id}\"\nsql = \"SELECT 1\"\nundo = {undo}\n")
        };
        let steps = [step("a", "\"derive\""), step("b", middle), step("c", last)].concat();
        let after = "[[phase]]\nid = \"q\"\n[[phase.step]]\nid = \"d\"\nsql = \"SELECT 1\"\n";
        format!("name = \"p\"\n[[phase]]\nid = \"p\"\n{steps}{after}")
    };
    let why = "{ impossible = \"why\" }";
    let doc = sound(&plan(why, why));
    assert_eq!(
        doc.phases[0].steps[2].undo,
        UndoSpec::Impossible("why".into())
    );
    sound(&plan("\"restore\"", why));
    for last in ["\"derive\"", "{ none = \"x\" }"] {
        let (doc, findings) = read(&plan(why, last), &[]);
        assert!(doc.is_none());
        assert_eq!(codes(&findings), [("impossible-not-last", Some(8))]);
    }
}

#[test]
fn a_plan_of_another_database_is_refused() {
    let of = |name: &str| {
        COUNTED.replace(
            "name = \"p\"",
            &format!("name = \"p\"\ndatabase = \"{name}\""),
        )
    };
    let text = of("tenant");
    assert_eq!(plan_database(text.as_bytes()).as_deref(), Some("tenant"));
    let (doc, findings) = read(&text, &[]);
    assert!(doc.is_none());
    assert_eq!(codes(&findings), [("other-database", Some(3))]);
    assert_eq!(plan_database(b"database = 5"), None);
    assert_eq!(plan_database(b"\xff"), None);
    sound(&of("app"));
}

#[test]
fn what_a_person_confirms_has_one_name() {
    let plan = |question: &str, step: &str| {
        let check = format!("[[phase.check]]\nid = \"{question}\"\nask = \"well?\"\n");
        let step = format!("[[phase.step]]\nid = \"{step}\"\nmanual = {{ do = \"look\" }}\n");
        format!("name = \"p\"\n[[phase]]\nid = \"same\"\n{check}{step}")
    };
    sound(&plan("a", "b"));
    sound(&plan("same", "b"));
    let (_, findings) = read(&plan("a", "a"), &[]);
    assert_eq!(codes(&findings), [("duplicate-id", Some(8))]);
}

#[test]
fn a_role_may_be_asked_twice_and_a_point_may_not() {
    let text =
        "name = \"p\"\n[[phase]]\nid = \"a\"\ngate = \"approve\"\napprovers = [\"dba\", \"dba\"]\n";
    assert_eq!(sound(text).phases[0].approvers, ["dba", "dba"]);
    let text = text.replace("approvers", "go");
    assert_eq!(codes(&read(&text, &[]).1), [("duplicate-id", Some(5))]);
}

#[test]
fn where_the_url_names_no_engine_the_plan_is_read_all_the_same() {
    let mut project = project();
    project.databases[0].url = crate::redact::SecretUrl::new("");
    let input = PlanInput {
        path: "p.plan.toml",
        bytes: COUNTED.as_bytes(),
        files: &|_| Err("no file".into()),
    };
    let (doc, findings) = parse_plan(input, &project, &config(&project));
    assert_eq!(findings, []);
    assert_eq!(doc.unwrap().steps().count(), 3);
}

/// The codes of findings with their lines.
fn codes(findings: &[Finding]) -> Vec<(&'static str, Option<usize>)> {
    findings
        .iter()
        .map(|finding| (finding.code, finding.place.line))
        .collect()
}

/// Bytes of a plan with some of them replaced: most are still TOML, and say something else.
fn bent() -> impl Strategy<Value = Vec<u8>> {
    let edits = proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8);
    (prop::sample::select(vec![WHOLE, FAULTY, COUNTED]), edits).prop_map(|(text, edits)| {
        let mut bytes = text.as_bytes().to_vec();
        for (at, byte) in edits {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        bytes
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn no_bytes_make_it_panic_and_no_plan_comes_with_an_error(bytes in bent()) {
        let project = project();
        let files = |_: &Path| Ok(b"SELECT 1".to_vec());
        let input = PlanInput { path: "p.plan.toml", bytes: &bytes, files: &files };
        let (doc, findings) = parse_plan(input, &project, &config(&project));
        prop_assert!(doc.is_none() == any_error(&findings), "{findings:?}");
        for finding in &findings {
            let own = finding.place.file.as_deref() == Some("p.plan.toml");
            let end = finding.place.span.as_ref().map_or(0, |span| span.end);
            prop_assert!(!own || end <= bytes.len(), "{finding:?}");
        }
    }
}
