//! What the first words of a statement say about the session: the server does not tell the driver.

/// What a statement does to the transaction that the session is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    Begin,
    Commit,
    Rollback,
    RollbackTo,
    Chain,
    Other,
}

impl Step {
    pub(super) fn of(sql: &str) -> Step {
        let words: Vec<String> = words(sql).take(6).map(str::to_ascii_uppercase).collect();
        let word = |at: usize| words.get(at).map_or("", String::as_str);
        let chain = words
            .windows(2)
            .any(|pair| pair[0] == "AND" && pair[1] == "CHAIN");
        match word(0) {
            "BEGIN" => Step::Begin,
            "START" if word(1) == "TRANSACTION" => Step::Begin,
            "COMMIT" | "END" | "ROLLBACK" if word(1) == "PREPARED" => Step::Other,
            "COMMIT" | "END" | "ROLLBACK" | "ABORT" if chain => Step::Chain,
            "COMMIT" | "END" => Step::Commit,
            "PREPARE" if word(1) == "TRANSACTION" => Step::Commit,
            "ROLLBACK" if words.iter().any(|word| word == "TO") => Step::RollbackTo,
            "ROLLBACK" | "ABORT" => Step::Rollback,
            _ => Step::Other,
        }
    }
}

/// The first words of a statement, comments before them skipped.
pub(super) fn words(sql: &str) -> impl Iterator<Item = &str> {
    let mut rest = sql.trim_start();
    loop {
        let after = if rest.starts_with("--") {
            rest.split_once('\n').map(|(_, rest)| rest)
        } else if rest.starts_with("/*") {
            rest.split_once("*/").map(|(_, rest)| rest)
        } else {
            break;
        };
        rest = after.unwrap_or_default().trim_start();
    }
    rest.split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .filter(|word| !word.is_empty())
}

/// Whether the count that the server gives is one of rows read.
pub(super) fn reads(sql: &str) -> bool {
    words(sql).next().is_some_and(|word| {
        ["SELECT", "VALUES", "TABLE", "SHOW", "FETCH", "MOVE"]
            .iter()
            .any(|verb| word.eq_ignore_ascii_case(verb))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_text_does_to_the_transaction_is_seen() {
        for (sql, expected) in [
            ("BEGIN", Step::Begin),
            ("/* a */ -- b\n start transaction read only", Step::Begin),
            ("COMMIT;", Step::Commit),
            ("commit and chain", Step::Chain),
            ("COMMIT PREPARED 'x'", Step::Other),
            ("ROLLBACK TO SAVEPOINT a", Step::RollbackTo),
            ("ABORT", Step::Rollback),
            ("SELECT 'COMMIT'", Step::Other),
        ] {
            assert_eq!(Step::of(sql), expected, "{sql}");
        }
    }
}
