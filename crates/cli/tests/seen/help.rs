//! Help that needs no database: `--help` of every verb, the man page, completions, and a page for every code.

use crate::{dunlin, room, shows};
use std::process::Command;

/// The verbs of a help text: the first words of the lines below `Commands:`.
fn verbs(help: &str) -> Vec<String> {
    let lines = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    lines
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.split_whitespace().next().map(str::to_owned))
        .collect()
}

#[test]
fn every_verb_has_help_with_examples() {
    let sandbox = room();
    let top = dunlin(&sandbox, "--help").success();
    shows("help", &top);
    let all = verbs(&top.stdout);
    assert!(all.len() >= 18, "{all:?}");
    for verb in &all {
        let help = dunlin(&sandbox, &format!("{verb} --help")).success();
        assert!(help.stdout.contains("Examples:"), "{verb}: {}", help.stdout);
        assert!(
            help.stdout.contains(&format!("  dunlin {verb}"))
                || help.stdout.contains(&format!(" {verb}\n")),
            "the examples of {verb} show it: {}",
            help.stdout
        );
        shows(&format!("help_{verb}"), &help);
    }
    for verb in verbs(&dunlin(&sandbox, "backup --help").success().stdout) {
        shows(
            &format!("help_backup_{verb}"),
            &dunlin(&sandbox, &format!("backup {verb} --help")).success(),
        );
    }
    for line in help_lines(&all, &sandbox) {
        assert!(line.chars().count() <= 100, "wider than a terminal: {line}");
    }
}

fn help_lines(verbs: &[String], sandbox: &dunlin_testkit::sandbox::Sandbox) -> Vec<String> {
    let texts = verbs
        .iter()
        .map(|verb| dunlin(sandbox, &format!("{verb} --help")).success().stdout);
    texts
        .flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>())
        .collect()
}

/// Who is in doubt says it twice.
#[test]
fn flags_may_be_said_twice() {
    let sandbox = room();
    dunlin(&sandbox, "explain usage -vv --yes --yes").code(0);
}

#[test]
fn what_was_typed_wrongly_is_said() {
    let sandbox = room();
    shows("usage_verb", &dunlin(&sandbox, "statsu").code(2));
    shows("usage_flag", &dunlin(&sandbox, "up --too 003").code(2));
    shows("usage_nothing", &dunlin(&sandbox, "").code(2));
    shows(
        "usage_json",
        &dunlin(&sandbox, "up --too 003 --format json").code(2),
    );
    shows(
        "usage_streams",
        &dunlin(&sandbox, "up --events - --format json").code(2),
    );
    shows(
        "usage_settle",
        &dunlin(&sandbox, "repair --settle 003 perhaps").code(2),
    );
    shows(
        "usage_two_goals",
        &dunlin(&sandbox, "down --to 001 --steps 2").code(2),
    );
}

#[test]
fn the_man_page_renders_and_knows_every_verb() {
    let sandbox = room();
    let page = dunlin(&sandbox, "man").success().stdout;
    assert!(page.contains(".TH dunlin 1"), "{page}");
    let verbs = verbs(&dunlin(&sandbox, "--help").success().stdout);
    for verb in verbs {
        let verb = verb.replace('-', "\\-");
        assert!(
            page.contains(&format!("dunlin\\-{verb}(1)")),
            "{verb}: {page}"
        );
    }
    assert!(page.contains("Exit codes"), "{page}");
}

#[test]
fn completions_are_made_and_bash_completes() {
    let sandbox = room();
    for shell in ["zsh", "fish", "bash", "elvish", "powershell"] {
        let script = dunlin(&sandbox, &format!("completions {shell}"))
            .success()
            .stdout;
        assert!(
            script.contains("drop-all") && script.contains("no-wait"),
            "{shell}"
        );
        sandbox.write(format!("dunlin.{shell}"), &script);
    }
    let complete = |words: &[&str]| -> String {
        let line = format!(
            "source dunlin.bash; COMP_WORDS=({}); COMP_CWORD={}; _dunlin dunlin '{}' '{}'; echo \"${{COMPREPLY[*]}}\"",
            words.join(" "),
            words.len() - 1,
            words.last().unwrap_or(&""),
            words.iter().rev().nth(1).unwrap_or(&""),
        );
        let mut bash = Command::new("bash");
        bash.args(["--norc", "-c", &line])
            .current_dir(sandbox.project());
        let said = bash
            .output()
            .expect("bash is everywhere where these tests run");
        String::from_utf8_lossy(&said.stdout).trim().to_owned()
    };
    assert_eq!(complete(&["dunlin", "st"]), "status");
    assert_eq!(complete(&["dunlin", "status", "--exit"]), "--exit-code");
    assert_eq!(complete(&["dunlin", "backup", "ver"]), "verify");
    assert_eq!(complete(&["dunlin", "--color", "al"]), "always");
}

#[test]
fn every_code_has_a_page_that_renders() {
    let sandbox = room();
    let listed = dunlin(&sandbox, "explain").success().stdout;
    let codes: Vec<&str> = listed.lines().collect();
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/checks");
    let pages = std::fs::read_dir(folder).unwrap().count();
    assert_eq!(codes.len(), pages, "what is listed is what is there");
    for code in codes {
        let page = dunlin(&sandbox, &format!("explain {code}"))
            .success()
            .stdout;
        assert!(page.starts_with(&format!("# {code}\n\n")), "{code}: {page}");
        assert!(
            page.contains("**What to do.**"),
            "{code} says what to do: {page}"
        );
        assert!(
            page.ends_with('\n') && !page.contains("TODO"),
            "{code}: {page}"
        );
    }
    shows("explain", &dunlin(&sandbox, "explain in-doubt").success());
    shows(
        "explain_nearly",
        &dunlin(&sandbox, "explain in-dout").code(2),
    );
    shows(
        "explain_unknown",
        &dunlin(&sandbox, "explain zebra").code(2),
    );
}
