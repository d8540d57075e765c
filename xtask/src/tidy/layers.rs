//! Invariant 1: `core` does no I/O, and no crate knows what lies above it or a driver that is not its own to know.

use super::lex::Token;
use super::{Fault, Source};
use anyhow::Context;
use std::path::Path;

/// What each crate of the house may depend on, beside what only tests need. `*`: anything but what follows.
const MAY: [(&str, &[&str]); 2] = [
    (
        "core",
        &[
            "blake3",
            "jiff",
            "memchr",
            "schemars",
            "serde",
            "serde_json",
            "thiserror",
            "toml",
            "xxhash-rust",
        ],
    ),
    ("engines", &["dunlin-core", "*", "dunlin", "dunlin-cli"]),
];

/// Crates that only `engines` (and tests) may name.
const DRIVERS: [&str; 4] = ["tokio-postgres", "mysql_async", "rusqlite", "tokio-rustls"];

/// Modules of the standard library by which a crate would reach the world, and the clock.
const WORLD: [&str; 7] = ["fs", "net", "process", "env", "os", "SystemTime", "Instant"];

pub fn faults(top: &Path, sources: &[Source]) -> anyhow::Result<Vec<Fault>> {
    let mut found = Vec::new();
    for name in ["core", "engines", "run", "cli"] {
        let path = format!("crates/{name}/Cargo.toml");
        let text = std::fs::read_to_string(top.join(&path)).with_context(|| path.clone())?;
        found.extend(depends(name, &text));
    }
    for source in sources {
        if source.path.starts_with("crates/core/src/") {
            found.extend(reaches_out(&source.path, &source.shipped));
        }
    }
    Ok(found)
}

/// The names under `[dependencies]`.
fn dependencies(manifest: &str) -> impl Iterator<Item = &str> {
    manifest
        .lines()
        .skip_while(|line| line.trim() != "[dependencies]")
        .skip(1)
        .take_while(|line| !line.starts_with('['))
        .filter_map(|line| line.split(['.', '=', ' ']).next())
        .filter(|name| !name.is_empty() && !name.starts_with('#'))
}

fn depends(krate: &str, manifest: &str) -> Vec<Fault> {
    let allowed = MAY.iter().find(|(name, _)| *name == krate);
    let bad = |name: &&str| match allowed {
        Some((_, list)) => match list.iter().position(|entry| *entry == "*") {
            Some(star) => list[star..].contains(name),
            None => !list.contains(name),
        },
        None => DRIVERS.contains(name),
    };
    dependencies(manifest)
        .filter(bad)
        .map(|name| {
            let message = format!("depends on {name}, which lies outside of its layer");
            Fault::plain(format!("layer crates/{krate}"), message)
        })
        .collect()
}

fn reaches_out(path: &str, tokens: &[Token]) -> Option<Fault> {
    let std = tokens.windows(4).find(|four| {
        four[0].is_word("std") && four[1].is(":") && WORLD.iter().any(|word| four[3].is_word(word))
    });
    let waits = tokens
        .iter()
        .find(|token| token.is_word("async") || token.is_word("await"));
    let clock = tokens.windows(4).find(|four| {
        ["SystemTime", "Instant", "Timestamp"]
            .iter()
            .any(|clock| four[0].is_word(clock))
            && four[1].is(":")
            && four[3].is_word("now")
    });
    let line = std
        .or(clock)
        .map(|four| four[0].line)
        .or(waits.map(|token| token.line))?;
    let message = format!("line {line} reaches out of the process, waits, or asks the clock");
    Some(Fault::plain(format!("layer {path}"), message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invariant_01_core_reaches_nothing() {
        let of = |text: &str| reaches_out("x", &super::super::lex::tokens(text)).is_some();
        assert!(of("let a = std::fs::read(path);"));
        assert!(of("use std::time::Instant; fn f() { Instant::now(); }"));
        assert!(of("async fn f() {}"));
        assert!(!of(
            "use std::collections::BTreeMap; // std::fs\nlet env = \"std::env\";"
        ));
        let faulty = "[dependencies]\nserde.workspace = true\ntokio = \"1\"\n\n[dev-dependencies]\ninsta = \"1\"\n";
        assert_eq!(depends("core", faulty).len(), 1);
        assert_eq!(
            depends("run", "[dependencies]\nrusqlite.workspace = true\n").len(),
            1
        );
        assert_eq!(
            depends(
                "engines",
                "[dependencies]\nrusqlite = \"1\"\ndunlin = \"1\"\n"
            )
            .len(),
            1
        );
    }
}
