//! "Did you mean": the known word nearest to an unknown one.

/// The known word that differs in a third of the word's length at most (one edit to three); the first of equally near ones.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let folded: Vec<char> = fold(word);
    // A word of any length may come in; beyond this nothing is near anyway, and the table below stays small.
    if folded.len() > 64 {
        return None;
    }
    let most = folded.len().div_ceil(3).clamp(1, 3);
    let scored = known
        .into_iter()
        .map(|candidate| (distance(&folded, &fold(candidate)), candidate));
    scored
        .filter(|(edits, _)| *edits <= most)
        .min_by_key(|(edits, _)| *edits)
        .map(|(_, candidate)| candidate)
}

/// Case and the kind of separator are not what people get wrong in earnest.
fn fold(word: &str) -> Vec<char> {
    word.chars()
        .map(|c| {
            if c == '-' || c == ' ' {
                '_'
            } else {
                c.to_ascii_lowercase()
            }
        })
        .collect()
}

/// Edits (insert, remove, replace, swap neighbours) between two words.
fn distance(a: &[char], b: &[char]) -> usize {
    let mut before: Vec<usize> = vec![0; b.len() + 1];
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i; b.len() + 1];
        for j in 1..=b.len() {
            let change = last[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            row[j] = change.min(last[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                row[j] = row[j].min(before[j - 2] + 1);
            }
        }
        before = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

/// The help sentence for an unknown word: the nearest known one, or all of them where they are few.
pub fn did_you_mean(word: &str, known: &[&str]) -> Option<String> {
    if let Some(near) = nearest(word, known.iter().copied()) {
        return Some(format!("did you mean `{near}`?"));
    }
    let list: Vec<_> = known.iter().map(|word| format!("`{word}`")).collect();
    match list.len() {
        // A list that fills the screen helps nobody; the reference has it.
        0 | 17.. => None,
        1 => Some(format!("only {} is known here", list[0])),
        _ => Some(format!("known here: {}", list.join(", "))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_words_are_found_and_far_ones_are_not() {
        let known = ["migrations", "url", "lock_timeout", "owns", "protected"];
        for (word, near) in [
            ("migration", Some("migrations")),
            ("lock-timeout", Some("lock_timeout")),
            ("URL", Some("url")),
            ("ulr", Some("url")),
            ("own", Some("owns")),
            ("protcted", Some("protected")),
            ("banana", None),
            ("", None),
        ] {
            assert_eq!(nearest(word, known), near, "{word}");
        }
        assert_eq!(nearest(&"x".repeat(100_000), known), None);
        assert_eq!(
            did_you_mean("zzzzz", &["a", "b"]).as_deref(),
            Some("known here: `a`, `b`")
        );
    }
}
