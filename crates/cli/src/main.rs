//! The binary `dunlin`: what was typed, what it means, and what is shown. All work happens in the library.

mod args;
mod commands;
mod context;
mod render;

use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = match args::Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return args::usage(&error),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    match runtime {
        Ok(runtime) => {
            let code = runtime.block_on(commands::run(cli));
            // A blocked thread (a prompt, a stuck connection) must not keep a finished command alive.
            runtime.shutdown_background();
            ExitCode::from(code)
        }
        Err(error) => {
            eprintln!("error: the system gives no threads: {error}");
            ExitCode::from(4)
        }
    }
}
