//! `cargo x tidy`: the rules of the house that a machine can hold.
//!
//! What was over a limit when the limit came stands in `xtask/tidy.ratchet` with its figure, which may fall and never
//! rise.

mod banned;
mod layers;
mod lengths;
mod lex;
mod pages;
mod rooms;

use anyhow::{Context, bail};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A Rust file of the project.
pub struct Source {
    /// The path from the project's top, with slashes.
    pub path: String,
    /// Everything in it.
    pub text: String,
    /// Its tokens.
    pub tokens: Vec<lex::Token>,
    /// Its tokens without what is for tests; empty for a file that is for tests altogether.
    pub shipped: Vec<lex::Token>,
}

/// Something that is not as it should be.
pub struct Fault {
    /// The rule and the thing, as they stand in the ratchet: `file crates/a/src/b.rs`.
    pub key: String,
    /// The figure, for rules with a ratchet.
    pub figure: Option<usize>,
    /// What is the matter, and what to do.
    pub message: String,
}

impl Fault {
    /// A fault that nothing excuses.
    pub fn plain(key: impl Into<String>, message: impl Into<String>) -> Fault {
        Fault {
            key: key.into(),
            figure: None,
            message: message.into(),
        }
    }

    /// A fault that an older figure may excuse.
    pub fn counted(key: impl Into<String>, figure: usize, message: impl Into<String>) -> Fault {
        Fault {
            key: key.into(),
            figure: Some(figure),
            message: message.into(),
        }
    }
}

/// Runs all rules. With `--ratchet` the figures of the ratchet are lowered to what is there; with `--accept` they become
/// what is there, higher or new ones too: for a review to see.
pub fn command(args: &[&str]) -> anyhow::Result<()> {
    let (lower, accept) = match args {
        [] => (false, false),
        ["--ratchet"] => (true, false),
        ["--accept"] => (true, true),
        _ => bail!("`cargo x tidy` knows --ratchet and --accept"),
    };
    let top = crate::top();
    let sources = sources(&top)?;
    let mut faults = heads(&sources);
    faults.extend(lengths::faults(&sources));
    faults.extend(rooms::faults(&sources));
    faults.extend(layers::faults(&top, &sources)?);
    faults.extend(banned::crates(&top)?);
    faults.extend(banned::paths(&top)?);
    faults.extend(pages::faults(&top, &sources)?);
    let mut ratchet = read_ratchet(&top)?;
    if accept {
        ratchet.extend(
            faults
                .iter()
                .filter_map(|fault| Some((fault.key.clone(), fault.figure?))),
        );
    }
    if lower {
        return write_ratchet(&top, &ratchet, &faults);
    }
    let excused = |fault: &Fault| match (fault.figure, ratchet.get(&fault.key)) {
        (Some(figure), Some(allowed)) => figure <= *allowed,
        _ => false,
    };
    let standing: Vec<&Fault> = faults.iter().filter(|fault| !excused(fault)).collect();
    for fault in &standing {
        println!("tidy: {}: {}", fault.key, fault.message);
    }
    if !standing.is_empty() {
        let rule = |fault: &&Fault| fault.key.split(' ').next().unwrap_or_default().to_owned();
        let mut rules = BTreeMap::<String, usize>::new();
        standing
            .iter()
            .for_each(|fault| *rules.entry(rule(fault)).or_default() += 1);
        let sums: Vec<String> = rules
            .iter()
            .map(|(rule, count)| format!("{rule} {count}"))
            .collect();
        bail!("{} faults ({})", standing.len(), sums.join(", "));
    }
    println!(
        "tidy: {} files as they should be, {} figures in the ratchet",
        sources.len(),
        ratchet.len()
    );
    Ok(())
}

/// All Rust files that Git knows or would know.
fn sources(top: &Path) -> anyhow::Result<Vec<Source>> {
    let mut found = Vec::new();
    for path in files(top)?.into_iter().filter(|path| path.ends_with(".rs")) {
        let Ok(text) = std::fs::read_to_string(top.join(&path)) else {
            continue;
        };
        let tokens = lex::tokens(&text);
        let for_tests =
            path.contains("/tests/") || path.ends_with("tests.rs") || path.contains("/benches/");
        let shipped = if for_tests {
            Vec::new()
        } else {
            lex::shipped(&tokens)
        };
        found.push(Source {
            path,
            text,
            tokens,
            shipped,
        });
    }
    Ok(found)
}

/// All files of the project, from the top: what Git lists, or without Git what is there.
pub fn files(top: &Path) -> anyhow::Result<Vec<String>> {
    let listed = std::process::Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard"])
        .current_dir(top)
        .output();
    if let Some(output) = listed.ok().filter(|output| output.status.success()) {
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        return Ok(text
            .lines()
            .filter(|path| top.join(path).is_file())
            .map(str::to_owned)
            .collect());
    }
    let mut found = Vec::new();
    let mut folders = vec![top.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder)?.flatten() {
            let path = entry.path();
            if path.is_dir() {
                if path
                    .file_name()
                    .is_none_or(|name| name != "target" && name != ".git")
                {
                    folders.push(path);
                }
            } else if let Ok(inside) = path.strip_prefix(top) {
                found.push(inside.display().to_string());
            }
        }
    }
    found.sort();
    Ok(found)
}

/// Every file begins with what it is for.
fn heads(sources: &[Source]) -> Vec<Fault> {
    let bare = |source: &&Source| {
        let first = after_attributes(&source.text);
        !first.starts_with("//! ") || first.contains("placeholder")
    };
    let fault = |source: &Source| {
        Fault::plain(
            format!("head {}", source.path),
            "begins without `//!` and a sentence on what it is for",
        )
    };
    sources.iter().filter(bare).map(fault).collect()
}

/// The first line behind `#![…]`.
fn after_attributes(text: &str) -> &str {
    let mut rest = text.trim_start();
    while rest.starts_with("#![") {
        rest = rest
            .split_once("]\n")
            .map_or("", |(_, rest)| rest)
            .trim_start();
    }
    rest.lines().next().unwrap_or_default()
}

fn ratchet_file(top: &Path) -> PathBuf {
    top.join("xtask/tidy.ratchet")
}

fn read_ratchet(top: &Path) -> anyhow::Result<BTreeMap<String, usize>> {
    let text = std::fs::read_to_string(ratchet_file(top)).unwrap_or_default();
    let mut known = BTreeMap::new();
    for line in text
        .lines()
        .filter(|line| !line.starts_with('#') && !line.trim().is_empty())
    {
        let (key, figure) = line
            .rsplit_once(' ')
            .context("a line of tidy.ratchet has no figure")?;
        known.insert(
            key.to_owned(),
            figure
                .parse()
                .with_context(|| format!("tidy.ratchet: {line}"))?,
        );
    }
    Ok(known)
}

fn write_ratchet(
    top: &Path,
    known: &BTreeMap<String, usize>,
    faults: &[Fault],
) -> anyhow::Result<()> {
    let mut text = String::from(
        "# What was over a limit when the limit came. Figures may fall and never rise: cargo x tidy --ratchet\n",
    );
    let mut kept = 0;
    for (key, allowed) in known {
        // A thing that is within its limit again is no fault any more, and loses its line.
        if let Some(figure) = faults
            .iter()
            .find(|fault| fault.key == *key)
            .and_then(|fault| fault.figure)
        {
            text.push_str(&format!("{key} {}\n", figure.min(*allowed)));
            kept += 1;
        }
    }
    std::fs::write(ratchet_file(top), text)?;
    println!(
        "tidy: the ratchet holds {kept} figures, {} before",
        known.len()
    );
    Ok(())
}
