//! `cargo x crash`: kills runs at random instants and compares what they become with what they should have been.

#![allow(clippy::print_stdout, clippy::print_stderr)]

use anyhow::{Context, bail};
use dunlin_testkit::crash::{Engine, Plan, Tally, rounds};
use std::path::PathBuf;
use std::process::ExitCode;

const USAGE: &str = "cargo x crash [--rounds N] [--long] [--plans|--migrations] [--engine sqlite|postgres|mariadb|mysql]… [--seed S] [--verbose]\n\
    20 rounds of migrations and 20 of plans on each engine, 200 with --long; or those of one kind alone. The seed is printed: with it the same migrations come again.";

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::from(2)
        }
    }
}

fn run() -> anyhow::Result<bool> {
    let plan = plan()?;
    println!(
        "seed {}, {} rounds of migrations and {} of plans on each engine",
        plan.seed, plan.rounds, plan.plan_rounds
    );
    println!(
        "{:<10}{:>7}{:>15}{:>14}{:>10}{:>9}{:>9}{:>10}{:>9}",
        "engine",
        "rounds",
        "process kills",
        "server kills",
        "too late",
        "resumes",
        "settled",
        "failures",
        "seconds"
    );
    let mut good = true;
    for engine in &plan.engines {
        let tally = rounds(&plan, *engine).with_context(|| engine.name())?;
        print(*engine, &tally);
        good &= tally.failures.is_empty();
    }
    Ok(good)
}

fn print(engine: Engine, tally: &Tally) {
    println!(
        "{:<10}{:>7}{:>15}{:>14}{:>10}{:>9}{:>9}{:>10}{:>9.1}",
        engine.name(),
        tally.rounds,
        tally.process_kills,
        tally.server_kills,
        tally.too_late,
        tally.resumes,
        tally.settled,
        tally.failures.len(),
        tally.took.as_secs_f64()
    );
    for failure in &tally.failures {
        println!("  {}", failure.replace('\n', "\n    "));
    }
}

fn plan() -> anyhow::Result<Plan> {
    let (mut count, mut engines, mut seed) = (20, vec![], None);
    let (mut migrations, mut plans) = (true, true);
    let mut story: fn(&str) = |_| {};
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        let mut value = || {
            args.next()
                .with_context(|| format!("{arg} wants a value\n{USAGE}"))
        };
        match arg.as_str() {
            "--rounds" => count = value()?.parse().context("--rounds")?,
            "--verbose" => story = |text| println!("{text}"),
            "--long" => count = 200,
            "--plans" => migrations = false,
            "--migrations" => plans = false,
            "--seed" => seed = Some(value()?.parse().context("--seed")?),
            "--engine" => {
                let name = value()?;
                let engine = Engine::ALL.into_iter().find(|engine| engine.name() == name);
                engines.push(engine.with_context(|| format!("no engine `{name}`\n{USAGE}"))?);
            }
            _ => bail!("{USAGE}"),
        }
    }
    if engines.is_empty() {
        engines = Engine::ALL.to_vec();
    }
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
    let own = std::env::current_exe()?;
    let beside = own.parent().context("a folder of this program")?;
    let binary =
        std::env::var_os("DUNLIN_TEST_BIN").map_or_else(|| beside.join("dunlin"), PathBuf::from);
    if !binary.is_file() {
        bail!(
            "{} is not there; run: cargo build -p dunlin-cli",
            binary.display()
        );
    }
    Ok(Plan {
        rounds: if migrations { count } else { 0 },
        plan_rounds: if plans { count } else { 0 },
        engines,
        seed: seed.unwrap_or(now.as_secs()),
        binary,
        keep: beside.join("crash-failures"),
        story,
    })
}
