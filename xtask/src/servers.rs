//! `cargo x servers`: which servers the tests would use, and installing those that are missing.

use anyhow::bail;
use dunlin_testkit::servers::{Kind, Server, catalog, install};
use std::time::Instant;

/// Lists what is there; with `--install` brings what is not; with `--start` starts each once and says how long it took.
pub fn command(args: &[&str]) -> anyhow::Result<()> {
    let (mut bring, mut start) = (false, false);
    for arg in args {
        match *arg {
            "--install" => bring = true,
            "--start" => start = true,
            other => bail!("`cargo x servers` knows --install and --start, not `{other}`"),
        }
    }
    if bring {
        install()?;
    }
    let mut missing = false;
    for kind in Kind::ALL {
        missing |= !list(kind, start);
    }
    match catalog::program(&["pgbouncer"]) {
        Some(path) => println!("{:<15} {}", "pgbouncer", path.display()),
        None => {
            println!("{:<15} missing", "pgbouncer");
            missing = true;
        }
    }
    if missing && bring {
        bail!("a server is still missing");
    } else if missing {
        println!("install what is missing: {}", catalog::INSTALL);
    }
    Ok(())
}

/// One line about a kind; whether it can be had.
fn list(kind: Kind, start: bool) -> bool {
    if let Some(name) = kind
        .variables()
        .iter()
        .find(|name| std::env::var_os(name).is_some())
    {
        println!("{:<15} yours, by {name}", kind.name());
        return true;
    }
    match catalog::find(kind) {
        Err(_) => {
            println!("{:<15} missing", kind.name());
            false
        }
        Ok(programs) if !start => {
            println!("{:<15} {}", kind.name(), programs.server.display());
            true
        }
        Ok(programs) => {
            let began = Instant::now();
            let answer = match Server::try_shared(kind) {
                Ok(_) => format!("answers after {} ms", began.elapsed().as_millis()),
                Err(error) => format!("does not start: {error:#}"),
            };
            println!(
                "{:<15} {}, {answer}",
                kind.name(),
                programs.server.display()
            );
            true
        }
    }
}

/// Brings what is missing; where that is not possible, the error holds the command for a person.
pub fn install() -> anyhow::Result<()> {
    install::install_missing(&mut |what| eprintln!("cargo x servers: {what}"))
}
