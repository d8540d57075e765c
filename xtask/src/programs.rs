//! `cargo x bench` and `cargo x crash`: programs of the testkit, built for release and run.

use crate::{cargo, servers};
use anyhow::bail;

/// Runs `crates/testkit/src/bin/bench-NAME.rs`.
pub fn bench(args: &[&str]) -> anyhow::Result<()> {
    let Some((name, rest)) = args.split_first() else {
        bail!(
            "cargo x bench NAME [...]; there are: {}",
            names("bench-").join(", ")
        );
    };
    program(&format!("bench-{name}"), rest)
}

/// Runs `crates/testkit/src/bin/crash.rs`.
pub fn crash(args: &[&str]) -> anyhow::Result<()> {
    program("crash", args)
}

fn program(name: &str, args: &[&str]) -> anyhow::Result<()> {
    if !names("").iter().any(|known| known == name) {
        bail!(
            "there is no program `{name}` in crates/testkit/src/bin; there are: {}",
            names("").join(", ")
        );
    }
    servers::install()?;
    cargo::run(&["build", "--release", "--locked", "--package", "dunlin-cli"])?;
    let run = [
        "run",
        "--release",
        "--quiet",
        "--locked",
        "--package",
        "dunlin-testkit",
        "--bin",
        name,
        "--",
    ];
    cargo::run(&[&run, args].concat())
}

/// The testkit's programs whose names begin so, without that beginning.
fn names(prefix: &str) -> Vec<String> {
    let folder = crate::top().join("crates/testkit/src/bin");
    let files = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let name = |file: std::fs::DirEntry| {
        Some(
            file.path()
                .file_stem()?
                .to_str()?
                .strip_prefix(prefix)?
                .to_owned(),
        )
    };
    let mut found: Vec<String> = files.filter_map(name).collect();
    found.sort();
    found
}
