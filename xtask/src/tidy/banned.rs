//! Crates that must not come in, even by others' doing, and paths of somebody's machine.

use super::Fault;
use anyhow::Context;
use std::path::Path;

/// The same list, with reasons, is in deny.toml; here it needs no tool.
const CRATES: [&str; 6] = [
    "openssl",
    "openssl-sys",
    "native-tls",
    "aws-lc-rs",
    "aws-lc-sys",
    "serde_yaml",
];

pub fn crates(top: &Path) -> anyhow::Result<Vec<Fault>> {
    let lock = std::fs::read_to_string(top.join("Cargo.lock")).context("Cargo.lock")?;
    let names = lock
        .lines()
        .filter_map(|line| line.strip_prefix("name = \"")?.strip_suffix('"'));
    let bad =
        names.filter(|name| CRATES.contains(name) || *name == "sqlx" || name.starts_with("sqlx-"));
    Ok(bad
        .map(|name| Fault::plain(format!("crate {name}"), "is banned (deny.toml says why)"))
        .collect())
}

/// Folders that exist on somebody's machine only. Put together here so that this file does not hold them.
pub fn paths(top: &Path) -> anyhow::Result<Vec<Fault>> {
    let folders = ["work", "root", "Users"].map(|name| format!("/{name}/"));
    let mut found = Vec::new();
    for path in super::files(top)? {
        let Ok(text) = std::fs::read_to_string(top.join(&path)) else {
            continue;
        };
        for (number, line) in text.lines().enumerate() {
            // A part of a longer path (`https://host/work/`, `src/root/`) is not at the top of a machine.
            let absolute = |folder: &String| {
                line.match_indices(folder.as_str()).any(|(at, _)| {
                    let before = line[..at].chars().next_back();
                    before.is_none_or(|char| !char.is_alphanumeric() && !"._-}*/".contains(char))
                })
            };
            if let Some(folder) = folders.iter().find(|folder| absolute(folder)) {
                let message = format!(
                    "line {} names a folder of somebody's machine, {folder}",
                    number + 1
                );
                found.push(Fault::plain(format!("path {path}"), message));
            }
        }
    }
    Ok(found)
}
