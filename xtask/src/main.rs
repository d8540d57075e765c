//! `cargo x …`: the project's own tools.

#![allow(clippy::print_stdout, clippy::print_stderr)]

mod servers;

use std::process::ExitCode;

const USAGE: &str = "cargo x servers [--install] [--start]";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let done = match words.split_first() {
        Some((&"servers", rest)) => servers::command(rest),
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
