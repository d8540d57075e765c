//! Transaction control in scripts: the outermost pair is taken over by the runner, everything else is refused.

use super::{LexRules, Lexer, TokenKind};

/// The first words of a statement in upper case, as far as only words follow each other.
fn words(sql: &str, rules: &LexRules) -> Vec<String> {
    const ENOUGH: usize = 5;
    Lexer::new(sql, rules)
        .filter(|token| token.kind.is_code())
        .filter(|token| {
            !matches!(
                token.kind,
                TokenKind::VersionedOpen | TokenKind::VersionedClose
            )
        })
        .take_while(|token| token.kind == TokenKind::Word)
        .take(ENOUGH)
        .map(|token| token.text(sql).to_ascii_uppercase())
        .collect()
}

fn begins_with(words: &[String], wanted: &[&str]) -> bool {
    words.len() >= wanted.len()
        && words
            .iter()
            .zip(wanted)
            .all(|(word, wanted)| word == wanted)
}

/// Whether the first word leaves it open that the statement controls transactions. Nearly all statements are settled
/// by this, and a folder of thousands of scripts is read at every start.
fn may_control(sql: &str) -> bool {
    const FIRST: [&str; 11] = [
        "BEGIN",
        "START",
        "COMMIT",
        "END",
        "ROLLBACK",
        "ABORT",
        "SAVEPOINT",
        "XA",
        "RELEASE",
        "PREPARE",
        "SET",
    ];
    let first = sql.bytes().take_while(u8::is_ascii_alphabetic).count();
    // Anything but a letter may be a comment or a hint, with code behind it.
    first == 0
        || FIRST
            .iter()
            .any(|word| word.eq_ignore_ascii_case(&sql[..first]))
}

/// Whether the statement begins a transaction: `BEGIN`, `BEGIN IMMEDIATE`, `START TRANSACTION …`.
pub fn is_transaction_begin(sql: &str, rules: &LexRules) -> bool {
    let words = words(sql, rules);
    let words = words.as_slice();
    if begins_with(words, &["BEGIN"]) {
        // `BEGIN NOT ATOMIC` is a compound statement.
        return words.get(1).is_none_or(|word| word != "NOT");
    }
    begins_with(words, &["START", "TRANSACTION"])
}

/// Whether the statement ends a transaction well: `COMMIT`, `END`, `END TRANSACTION`.
pub fn is_transaction_commit(sql: &str, rules: &LexRules) -> bool {
    let words = words(sql, rules);
    let prepared = words.get(1).is_some_and(|word| word == "PREPARED");
    (begins_with(&words, &["COMMIT"]) && !prepared) || begins_with(&words, &["END"])
}

/// Whether the statement controls transactions in any way, the two above included.
pub fn is_transaction_control(sql: &str, rules: &LexRules) -> bool {
    if !may_control(sql) {
        return false;
    }
    if is_transaction_begin(sql, rules) || is_transaction_commit(sql, rules) {
        return true;
    }
    let words = words(sql, rules);
    // Where a client command sets the delimiter, LOCK TABLES ends the transaction and shuts every other table out,
    // the journal's too. Elsewhere it is a lock like any other, gone with its transaction.
    let first = words.first().map_or("", String::as_str);
    let tables = words
        .get(1)
        .is_some_and(|word| word == "TABLES" || word == "TABLE");
    if rules.delimiter_command && matches!(first, "LOCK" | "UNLOCK") && tables {
        return true;
    }
    let single = ["COMMIT", "ROLLBACK", "ABORT", "SAVEPOINT", "XA"];
    words
        .first()
        .is_some_and(|word| single.contains(&word.as_str()))
        || begins_with(&words, &["RELEASE"])
        || begins_with(&words, &["PREPARE", "TRANSACTION"])
        || begins_with(&words, &["SET", "AUTOCOMMIT"])
        || begins_with(&words, &["SET", "SESSION", "AUTOCOMMIT"])
}
