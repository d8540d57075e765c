//! The binary `dunlin`: what was typed, what it means, and what is shown. All work happens in the library.

mod args;
mod commands;
mod context;
mod render;

use args::Verb;
use clap::Parser;
use std::process::ExitCode;
use std::sync::OnceLock;
use tokio::runtime::{Builder, Runtime};

fn main() -> ExitCode {
    let cli = match args::Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return args::usage(&error),
    };
    // Who may have nothing to do finds that out on this thread alone, and asks for others when there is work. A digest has
    // one session that sends rows, and to take them from another thread costs more than to hash them.
    let runtime = match cli.verb {
        Verb::Up(_) | Verb::Down(_) | Verb::Digest { .. } => {
            Builder::new_current_thread().enable_all().build()
        }
        _ => threads(),
    };
    match runtime {
        Ok(runtime) => {
            let code = runtime.block_on(commands::run(cli));
            // A blocked thread (a prompt, a stuck connection) must not keep a finished command alive, and what there is
            // left to take apart is the system's to take.
            std::process::exit(code.into())
        }
        Err(error) => {
            render::say(&format!("error: the system gives no threads: {error}\n"));
            ExitCode::from(4)
        }
    }
}

fn threads() -> std::io::Result<Runtime> {
    Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
}

/// The threads for work, from when they are first asked for; none where the system gives none.
fn workers() -> Option<&'static Runtime> {
    static WORKERS: OnceLock<Option<Runtime>> = OnceLock::new();
    WORKERS.get_or_init(|| threads().ok()).as_ref()
}
