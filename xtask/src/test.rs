//! `cargo x test`: everything that has to hold, in the order in which it is cheap to find out.

use crate::{cargo, generate, servers, tidy};
use anyhow::bail;
use dunlin_testkit::servers::{Kind, Server};
use std::process::Command;
use std::time::Instant;

/// What was found, one line each, shown at the very end.
struct Account {
    lines: Vec<String>,
    failed: usize,
}

impl Account {
    fn add(&mut self, name: &str, outcome: anyhow::Result<String>) {
        match outcome {
            Ok(what) => self.lines.push(format!("{name:<10} {what}")),
            Err(error) => {
                self.failed += 1;
                self.lines.push(format!("{name:<10} FAILED: {error:#}"));
            }
        }
    }
}

/// Runs it all, goes on where something fails, and ends with an account.
pub fn command(args: &[&str]) -> anyhow::Result<()> {
    let began = Instant::now();
    let (mut long, mut filter) = (false, Vec::new());
    for arg in args {
        match *arg {
            "--long" => long = true,
            flag if flag.starts_with('-') => {
                bail!("`cargo x test` knows --long and filters, not `{flag}`")
            }
            name => filter.push(name),
        }
    }
    let mut account = Account {
        lines: Vec::new(),
        failed: 0,
    };
    let whole = filter.is_empty();
    if whole {
        account.add("format", component("fmt", &["fmt", "--all", "--check"]));
        account.add(
            "tidy",
            tidy::command(&[]).map(|()| "the rules of the house hold".to_owned()),
        );
        let clippy = [
            "clippy",
            "--workspace",
            "--all-targets",
            "--locked",
            "--",
            "-D",
            "warnings",
        ];
        account.add("clippy", component("clippy", &clippy));
    }
    // Without its servers no test can say anything: this alone ends the run.
    servers::install()?;
    account.add("servers", start_servers());
    account.add("tests", tests(&filter, long));
    if whole {
        account.add("doc tests", doc_tests(long));
        account.add(
            "generated",
            generate::command(&["--check"]).map(|()| "up to date".to_owned()),
        );
        account.add("licences", licences());
    }
    println!("\n==> cargo x test, {} s", began.elapsed().as_secs());
    account.lines.iter().for_each(|line| println!("    {line}"));
    if account.failed > 0 {
        bail!("FAILED: {} of the above", account.failed);
    }
    println!("    all is well");
    Ok(())
}

/// A check by a part of the toolchain, which a minimal installation may lack.
fn component(name: &str, args: &[&str]) -> anyhow::Result<String> {
    if !cargo::has(name) {
        return Ok(format!(
            "NOT RUN: cargo {name} is not installed (rustup component add {name})"
        ));
    }
    cargo::run(args).map(|()| "clean".to_owned())
}

/// Starts every server once, before the clock of any test runs. They stay for as long as this process holds them.
fn start_servers() -> anyhow::Result<String> {
    let began = Instant::now();
    let mut ready = Vec::new();
    for kind in Kind::ALL {
        Server::try_shared(kind)?;
        ready.push(kind.name());
    }
    Ok(format!(
        "{} answer after {} ms",
        ready.join(", "),
        began.elapsed().as_millis()
    ))
}

fn tests(filter: &[&str], long: bool) -> anyhow::Result<String> {
    // Tests of any package may run the binary.
    cargo::build_programs()?;
    if cargo::has("nextest") {
        let args = [&["nextest", "run", "--workspace", "--locked"], filter].concat();
        let (well, kept) = cargo::run_and_keep(with_mode(&args, long), |line| {
            line.trim_start().starts_with("Summary")
        })?;
        let summary = kept
            .last()
            .cloned()
            .unwrap_or_else(|| "no summary".to_owned());
        return if well {
            Ok(summary)
        } else {
            bail!("{summary}")
        };
    }
    // One filter only is what `cargo test` takes.
    let filter = filter.first().copied().into_iter().collect::<Vec<_>>();
    let args = [
        &[
            "test",
            "--workspace",
            "--locked",
            "--no-fail-fast",
            "--lib",
            "--bins",
            "--tests",
            "--examples",
        ],
        filter.as_slice(),
    ]
    .concat();
    counted(with_mode(&args, long))
}

fn doc_tests(long: bool) -> anyhow::Result<String> {
    counted(with_mode(
        &["test", "--workspace", "--locked", "--doc"],
        long,
    ))
}

fn with_mode(args: &[&str], long: bool) -> Command {
    cargo::say(args);
    let mut command = cargo::command(args);
    if long {
        command.env("DUNLIN_TEST_LONG", "1");
    }
    command
}

/// Runs `cargo test` and adds up what its programs counted.
fn counted(command: Command) -> anyhow::Result<String> {
    let (well, kept) = cargo::run_and_keep(command, |line| line.starts_with("test result:"))?;
    let sum = |what: &str| -> usize {
        let parts = kept.iter().flat_map(|line| line.split([';', '.']));
        parts
            .filter_map(|part| part.trim().strip_suffix(what)?.trim().parse::<usize>().ok())
            .sum()
    };
    let summary = format!(
        "{} passed, {} failed, {} ignored",
        sum("passed"),
        sum("failed"),
        sum("ignored")
    );
    if well {
        Ok(summary)
    } else {
        bail!("{summary}")
    }
}

fn licences() -> anyhow::Result<String> {
    if !cargo::has("deny") {
        return Ok(
            "NOT RUN: cargo-deny is not installed; the banned crates were looked for by tidy"
                .to_owned(),
        );
    }
    cargo::run(&["deny", "--offline", "check", "licenses", "bans", "sources"])
        .map(|()| "clean".to_owned())
}
