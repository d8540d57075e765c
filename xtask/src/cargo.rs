//! Running cargo from a program that cargo runs.

use anyhow::{Context, bail};
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

/// What `cargo run` sets for the program it runs. Build scripts that look at these would run again each time they
/// come and go, and ring's takes minutes.
const SET_BY_RUN: [&str; 6] = [
    "CARGO_PKG_",
    "CARGO_MANIFEST_",
    "CARGO_BIN_",
    "CARGO_CRATE_",
    "CARGO_PRIMARY_",
    "OUT_DIR",
];

/// A cargo command in the project's top folder, with an environment as if a person had typed it.
pub fn command(args: &[&str]) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(args).current_dir(crate::top());
    for (name, _) in std::env::vars_os() {
        if SET_BY_RUN
            .iter()
            .any(|prefix| name.to_string_lossy().starts_with(prefix))
        {
            command.env_remove(name);
        }
    }
    command
}

/// Runs cargo and fails where it fails.
pub fn run(args: &[&str]) -> anyhow::Result<()> {
    say(args);
    let status = command(args).status().context("running cargo")?;
    if !status.success() {
        bail!("cargo {} ended with {status}", args.join(" "));
    }
    Ok(())
}

/// Runs a command, shows all it says as it says it, and gives the lines that `keep` wants to see again at the end. The
/// flag says whether it went well.
pub fn run_and_keep(
    mut command: Command,
    keep: fn(&str) -> bool,
) -> anyhow::Result<(bool, Vec<String>)> {
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("running cargo")?;
    let (out, err) = (child.stdout.take(), child.stderr.take());
    let kept = std::thread::scope(|scope| {
        let reader = err.map(|err| scope.spawn(move || copy(err, &mut std::io::stderr(), keep)));
        let mut kept = out
            .map(|out| copy(out, &mut std::io::stdout(), keep))
            .unwrap_or_default();
        kept.extend(
            reader
                .and_then(|reader| reader.join().ok())
                .unwrap_or_default(),
        );
        kept
    });
    Ok((child.wait()?.success(), kept))
}

fn copy(from: impl std::io::Read, to: &mut impl Write, keep: fn(&str) -> bool) -> Vec<String> {
    let mut kept = Vec::new();
    let mut reader = BufReader::new(from);
    let mut line = Vec::new();
    while reader
        .read_until(b'\n', &mut line)
        .is_ok_and(|bytes| bytes > 0)
    {
        // A closed pipe of ours is no reason to stop the tests.
        let _ = to.write_all(&line);
        let text = plain(&String::from_utf8_lossy(&line));
        if keep(&text) {
            kept.push(text.trim().to_owned());
        }
        line.clear();
    }
    kept
}

/// Without colours.
fn plain(text: &str) -> String {
    let mut parts = text.split('\u{1b}');
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        out.push_str(part.split_once('m').map_or("", |(_, rest)| rest));
    }
    out
}

/// Whether a subcommand is installed.
pub fn has(subcommand: &str) -> bool {
    let probe = command(&[subcommand, "--version"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    probe.is_ok_and(|status| status.success())
}

/// Tells which command comes now.
pub fn say(args: &[&str]) {
    eprintln!("\n$ cargo {}", args.join(" "));
}

/// Builds every program of the workspace with the features that its tests have: one set of features, one build.
pub fn build_programs() -> anyhow::Result<()> {
    run(&[
        "build",
        "--workspace",
        "--exclude",
        "xtask",
        "--bins",
        "--locked",
    ])
}

/// A program that [`build_programs`] built, beside this one.
pub fn program(name: &str) -> anyhow::Result<Command> {
    let own = std::env::current_exe().context("where this program is")?;
    let mut command = Command::new(own.with_file_name(name));
    command.current_dir(crate::top());
    Ok(command)
}
