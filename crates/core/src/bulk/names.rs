//! Names of files for tables of any name.

use std::collections::BTreeSet;

/// Longest stem of a file's name, in bytes: most file systems take 255 for the whole.
const STEM_MAX: usize = 180;

/// A name for each table's file: what a file system or a shell might take amiss is percent-encoded, and no two names are
/// equal, not even where case does not count.
pub fn files(labels: &[String], ending: &str) -> Vec<String> {
    let mut taken = BTreeSet::from(["manifest.json".to_owned()]);
    let mut name = |label: &String| {
        let stem = stem(label);
        let mut name = format!("{stem}.{ending}");
        let mut number = 2;
        while !taken.insert(name.to_lowercase()) {
            name = format!("{stem}~{number}.{ending}");
            number += 1;
        }
        name
    };
    labels.iter().map(&mut name).collect()
}

fn stem(label: &str) -> String {
    let mut stem = String::new();
    for (at, c) in label.chars().enumerate() {
        let plain = c.is_alphanumeric() || c == '_' || c == '-' || (c == '.' && at > 0);
        if stem.len() >= STEM_MAX {
            break;
        }
        if plain || (!c.is_ascii() && !c.is_control() && !c.is_whitespace()) {
            stem.push(c);
        } else {
            let mut buffer = [0; 4];
            for byte in c.encode_utf8(&mut buffer).bytes() {
                stem.push_str(&format!("%{byte:02X}"));
            }
        }
    }
    if stem.is_empty() {
        stem.push_str("%20");
    }
    stem
}

/// The table that a file without a manifest is named after.
pub fn table(stem: &str) -> String {
    let bytes = stem.as_bytes();
    let (mut out, mut at) = (vec![], 0);
    while at < bytes.len() {
        let coded = bytes
            .get(at + 1..at + 3)
            .filter(|_| bytes[at] == b'%')
            .and_then(super::datum::unhex);
        match coded {
            Some(byte) => {
                out.extend(byte);
                at += 3;
            }
            None => {
                out.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8(out).unwrap_or_else(|_| stem.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_safe_distinct_and_read_back() {
        let labels: Vec<String> = [
            "a b",
            "A B",
            "../x",
            "یادداشت",
            "🐦",
            "manifest",
            "q'\"`",
            "",
        ]
        .iter()
        .map(|name| (*name).to_owned())
        .collect();
        let files = files(&labels, "ndjson");
        assert_eq!(files[0], "a%20b.ndjson");
        assert_eq!(files[1], "A%20B~2.ndjson");
        assert_eq!(files[2], "%2E.%2Fx.ndjson");
        for (at, file) in files
            .iter()
            .enumerate()
            .filter(|(at, _)| ![1, 7].contains(at))
        {
            assert_eq!(table(file.trim_end_matches(".ndjson")), labels[at]);
        }
    }
}
