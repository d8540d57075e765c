//! `cargo x …`: the project's own tools. Light on purpose: it builds in seconds and starts everything else.

#![allow(clippy::print_stdout, clippy::print_stderr)]

mod cargo;
mod generate;
mod programs;
mod servers;
mod test;
mod tidy;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

const USAGE: &str = "\
cargo x test [--long] [FILTER]     everything; with FILTER only the tests whose name holds it
cargo x servers [--install] [--start]
                                   the servers that the tests use: list, install what is missing, try
cargo x tidy [--ratchet|--accept]  the rules of the house
cargo x gen [--check]              schemas/ and docs/reference/, made anew or compared
cargo x bench NAME [...]           benchmarks: programs that print figures beside the physical limit
cargo x crash [...]                kills processes and servers at random instants and compares the end states
";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let done = match words.split_first() {
        Some((&"test", rest)) => test::command(rest),
        Some((&"servers", rest)) => servers::command(rest),
        Some((&"tidy", rest)) => tidy::command(rest),
        Some((&"gen", rest)) => generate::command(rest),
        Some((&"bench", rest)) => programs::bench(rest),
        Some((&"crash", rest)) => programs::crash(rest),
        Some((&("help" | "--help" | "-h"), _)) => {
            print!("{USAGE}");
            Ok(())
        }
        _ => Err(anyhow::anyhow!("{USAGE}")),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

/// The project's top folder, wherever this is called from.
pub fn top() -> PathBuf {
    // At run time: a build folder that was moved along with its checkout still finds it.
    let here = std::env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    here.parent().map(Path::to_owned).unwrap_or(here)
}
