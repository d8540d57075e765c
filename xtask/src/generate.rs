//! `cargo x gen`: what is written by programs and read by people, made anew.
//!
//! The contents come from `crates/testkit/src/bin/generate.rs`, which may depend on everything; this only runs it.

use crate::cargo;
use anyhow::bail;

/// Writes all generated files; with `--check` compares them.
pub fn command(args: &[&str]) -> anyhow::Result<()> {
    let check = match args {
        [] => false,
        ["--check"] => true,
        _ => bail!("`cargo x gen` knows --check only"),
    };
    // The reference of the commands is what the binary says of itself.
    cargo::build_programs()?;
    let mut generate = cargo::program("generate")?;
    if check {
        generate.arg("--check");
    }
    if !generate.status()?.success() {
        bail!("`generate` has something against it, see above");
    }
    Ok(())
}
