//! Documents that cannot lie: the `console` blocks of a page are run, and what is printed is compared with the page.
//!
//! A block is preceded by `<!-- run -->`. Lines that begin with `$ ` are given to a shell in the sandbox; the lines below
//! are what stdout and stderr said together. Durations, instants and the widths of columns may differ. With
//! `DUNLIN_UPDATE_DOCS=1` the page is rewritten instead.

use crate::sandbox::{Sandbox, settle};
use std::path::Path;

/// The mark above a block that is run.
const MARK: &str = "<!-- run -->";

/// A sandbox whose commands are shell lines that find `dunlin`, and `cargo run --release --` as the READMEs write it.
///
/// # Panics
/// Where a temporary folder cannot be made.
pub fn shell() -> Sandbox {
    let binary = Sandbox::new().binary().to_path_buf();
    let mut shell = Sandbox::with_binary("/bin/sh");
    let tools = shell.home().join("bin");
    std::fs::create_dir(&tools).expect("a folder can be made in a folder just made");
    std::os::unix::fs::symlink(&binary, tools.join("dunlin")).expect("a link can be made");
    let cargo = "#!/bin/sh\nshift 3\nexec dunlin \"$@\"\n";
    script(&tools.join("cargo"), cargo);
    let path = format!("{}:/usr/local/bin:/usr/bin:/bin", tools.display());
    shell
        .set("PATH", path)
        .set("USER", "ada")
        .set("HOSTNAME", "desk");
    shell
}

fn script(path: &Path, text: &str) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::write(path, text).expect("files of a sandbox can be written");
    let mode = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(path, mode).expect("files of a sandbox can be made executable");
}

/// Copies a folder of the repository into a sandbox.
///
/// # Panics
/// Where it cannot.
pub fn copy_into(sandbox: &Sandbox, from: &Path, to: &str) {
    let entries = std::fs::read_dir(from).expect("the folder is in the repository");
    for entry in entries {
        let entry = entry.expect("a folder of the repository can be listed");
        let name = format!("{to}/{}", entry.file_name().to_string_lossy());
        if entry.path().is_dir() {
            copy_into(sandbox, &entry.path(), &name);
        } else {
            let bytes = std::fs::read(entry.path()).expect("a file of the repository can be read");
            sandbox.write(name, bytes);
        }
    }
}

/// Runs the blocks of a page, one after the other, and compares. `names`: what the page calls something that has another
/// name here (a generated database, say).
///
/// # Panics
/// Where the page says something else than the commands do, or holds no block to run.
pub fn check(page: &Path, sandbox: &Sandbox, names: &[(&str, &str)]) {
    let text = std::fs::read_to_string(page).expect("the page is in the repository");
    let mut fresh = String::new();
    let mut lines = text.lines();
    let mut blocks = 0;
    while let Some(line) = lines.next() {
        push(&mut fresh, line);
        if line.trim() != MARK {
            continue;
        }
        blocks += 1;
        push(&mut fresh, lines.next().unwrap_or_default());
        for said in lines.by_ref() {
            if said.starts_with("```") {
                push(&mut fresh, said);
                break;
            }
            // What was printed last time gives way to what is printed now.
            if let Some(command) = said.strip_prefix("$ ") {
                push(&mut fresh, said);
                let printed = run(sandbox, command);
                let named = names
                    .iter()
                    .fold(printed, |text, (here, there)| text.replace(here, there));
                fresh.push_str(&named);
            }
        }
    }
    assert!(blocks > 0, "{} holds no `{MARK}`", page.display());
    let same = comparable(&text) == comparable(&fresh);
    if !same && std::env::var_os("DUNLIN_UPDATE_DOCS").is_some() {
        std::fs::write(page, fresh).expect("the page can be written");
        return;
    }
    assert!(
        same,
        "{} shows what is not so; DUNLIN_UPDATE_DOCS=1 rewrites it.\n--- it should be\n{fresh}",
        page.display()
    );
}

fn push(text: &mut String, line: &str) {
    text.push_str(line);
    text.push('\n');
}

fn run(sandbox: &Sandbox, command: &str) -> String {
    let ran = sandbox.dunlin(["-c", &format!("exec 2>&1; {command}")]);
    let mut said = ran
        .stdout
        .replace(&format!("{}/", sandbox.project().display()), "");
    if !said.is_empty() && !said.ends_with('\n') {
        said.push('\n');
    }
    said
}

/// The text without what differs from run to run, and with one blank for any number of them.
fn comparable(text: &str) -> String {
    let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    settle(text)
        .lines()
        .filter(|line| !is_progress(line))
        .map(|line| words(line) + "\n")
        .collect()
}

/// Whether a line is one of those that are told every few seconds while something takes long: a slow machine shows some, a
/// fast one none.
fn is_progress(line: &str) -> bool {
    let words: Vec<&str> = line.split_whitespace().collect();
    let numbered = |word: &&str| word.starts_with('[') && word.ends_with(']') && word.contains('/');
    line.contains(" [#")
        || line.contains(" [.")
        || line.starts_with("trying again (")
        || words.first().is_some_and(numbered)
        || matches!(words.as_slice(), ["check", _, "before" | "after"])
        || matches!(words.as_slice(), [_, "statement", number, ..] if number.ends_with(':'))
}

#[cfg(test)]
mod tests {
    use super::comparable;

    #[test]
    fn what_only_a_slow_machine_shows_is_not_compared() {
        let fast = "phase owner: Every row\n✓ done 12 ms\n";
        let slow = "phase owner: Every row\n\
                    check contacts-kept after\n\
                    [2/8] 002 names\n\
                    002 statement 3: UPDATE t\n\
                    backfill of messages: 1287 of 2000 rows [######....], 565 rows/s, about 1.3 s left\n\
                    ✓ done 1.6 s\n";
        assert_eq!(comparable(fast), comparable(slow));
        assert_ne!(comparable(fast), comparable("phase owner: Every row\n"));
    }
}
