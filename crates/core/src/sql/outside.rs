//! Whether statements stay within the database in which they run: only such may be run again in a copy beside it.
//!
//! Told from tokens, so it errs on the side of "no": what merely looks like a way out counts as one.

use super::words::{Tok, Words, unquoted};
use super::{LexRules, TokenKind};

/// What in one engine's words leads out of a database.
#[derive(Debug, Clone, Copy, Default)]
pub struct WaysOut {
    /// Statements that begin with these words: `ATTACH`, `CREATE USER`.
    pub verbs: &'static [&'static str],
    /// Words that do so wherever they stand.
    pub words: &'static [&'static str],
    /// Names that do so where they follow a word: a storage engine, a language, an extension.
    pub named: &'static [(&'static str, &'static [&'static str])],
    /// Functions that do so.
    pub calls: &'static [&'static str],
    /// Words under which a text is run as a statement: then names within texts count, too.
    pub runs_text: &'static [&'static str],
}

/// Why one of the texts may reach beyond its database; `None`: none does. `others`: the names of the other databases
/// that its names may lead to.
pub fn reaches_out(
    texts: &[&str],
    rules: &LexRules,
    ways: &WaysOut,
    others: &[String],
) -> Option<String> {
    let read: Vec<Words<'_>> = texts.iter().map(|text| Words::read(text, rules)).collect();
    let texts_run = read.iter().any(|words| words.has(ways.runs_text));
    read.iter()
        .find_map(|words| of_one(words, ways, others, texts_run))
}

fn of_one(words: &Words<'_>, ways: &WaysOut, others: &[String], texts_run: bool) -> Option<String> {
    let begins = |verb: &&&str| {
        let mut toks = words.toks.iter();
        verb.split(' ')
            .all(|word| toks.next().is_some_and(|tok| tok.is(word)))
    };
    if let Some(verb) = ways.verbs.iter().find(begins) {
        return Some(format!("{verb} reaches beyond the database"));
    }
    if let Some(tok) = words.toks.iter().find(|tok| tok.is_any(ways.words)) {
        let word = tok.text.to_uppercase();
        return Some(format!("{word} reaches beyond the database"));
    }
    let calls: Vec<String> = ways.calls.iter().map(|call| (*call).to_owned()).collect();
    // Bodies of routines are texts to some engines.
    let in_text = |tok: &Tok<'_>| tok.kind == TokenKind::Text && says_one_of(tok.text, &calls);
    if words.calls(ways.calls) || words.toks.iter().any(in_text) {
        return Some("it calls a function that reaches beyond the database".into());
    }
    for (at, tok) in words.toks.iter().enumerate() {
        let name = unquoted(tok, |name, _| name.to_lowercase());
        let leads = |(before, names): &&(&str, &[&str])| {
            names.contains(&name.as_str()) && follows(&words.toks[..at], before)
        };
        if tok.is_name() && ways.named.iter().any(|named| leads(&named)) {
            return Some(format!("{} reaches beyond the database", tok.text));
        }
    }
    let is_other = |tok: &Tok<'_>| {
        let name = unquoted(tok, |name, _| name.to_lowercase());
        others.iter().any(|other| other.to_lowercase() == name)
    };
    for (at, tok) in words.toks.iter().enumerate() {
        // Far behind, only words are kept of a statement.
        let qualifies = words.toks.get(at + 1).is_some_and(|next| next.op("."))
            || words.toks.len() >= super::words::TOKENS_MAX;
        if tok.is_name() && qualifies && is_other(tok) {
            return Some(format!("it names the database {}", tok.text));
        }
        if texts_run && tok.kind == TokenKind::Text && says_one_of(tok.text, others) {
            return Some("a text that may be run as a statement names another database".into());
        }
    }
    None
}

/// Whether a name stands behind a word, with nothing but `=` and `IF NOT EXISTS` in between.
fn follows(toks: &[Tok<'_>], word: &str) -> bool {
    let mut before = toks.iter().rev();
    let passed = |tok: &&Tok<'_>| !tok.op("=") && !tok.is_any(&["IF", "NOT", "EXISTS"]);
    before.find(passed).is_some_and(|tok| tok.is(word))
}

/// Whether a text has one of these names as a word of its own.
fn says_one_of(text: &str, names: &[String]) -> bool {
    let text = text.to_lowercase();
    let mut words = text.split(|c: char| !c.is_alphanumeric() && c != '_' && c != '$' && c != '-');
    words.any(|word| names.iter().any(|name| name.to_lowercase() == word))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use crate::dialect::{Dialect, mysql::Mysql, postgres::Postgres, sqlite::Sqlite};
    use crate::sql::LexMode;

    fn leads_out(dialect: &dyn Dialect, texts: &[&str]) -> bool {
        let others = ["shop".to_owned(), "live-2".to_owned()];
        dialect
            .reaches_out(texts, &LexMode::default(), &others)
            .is_some()
    }

    #[test]
    fn what_stays_within_is_told_from_what_does_not() {
        for text in [
            "INSERT INTO notes SELECT shop, program FROM t WHERE shop = 'shop.t'",
            "UPDATE notes n SET n.title = 'x' WHERE n.id = 1",
            "CREATE TABLE connect (id int) ENGINE=InnoDB",
            "SET @a = 1",
            "CREATE TRIGGER a AFTER INSERT ON b FOR EACH ROW INSERT INTO c VALUES (NEW.id)",
        ] {
            assert!(!leads_out(&Mysql, &[text]), "{text}");
        }
        for text in [
            "INSERT INTO shop.notes VALUES (1)",
            "insert into `SHOP` . notes values (1)",
            "UPDATE `live-2`.t SET a = 1",
            "USE x",
            "DROP DATABASE IF EXISTS x",
            "CREATE USER a",
            "SET GLOBAL x = 1",
            "CREATE TABLE a (id int) ENGINE = FEDERATED CONNECTION='x'",
            "CREATE TRIGGER a AFTER INSERT ON b FOR EACH ROW INSERT INTO shop.c VALUES (NEW.id)",
            "SELECT 1 INTO OUTFILE '/tmp/x'",
        ] {
            assert!(leads_out(&Mysql, &[text]), "{text}");
        }
        // A name in a text counts where texts are run.
        let text = "SET @s = 'UPDATE shop.t SET a = 1'";
        assert!(!leads_out(&Mysql, &[text]));
        assert!(leads_out(&Mysql, &[text, "PREPARE s FROM @s"]));
        let far = format!(
            "INSERT INTO a VALUES {} (1), (shop.x)",
            "(1), ".repeat(9_000)
        );
        assert!(leads_out(&Mysql, &[&far]));
    }

    #[test]
    fn the_others_have_ways_out_of_their_own() {
        assert!(!leads_out(&Postgres, &["SELECT http FROM shop.t, program"]));
        assert!(!leads_out(
            &Postgres,
            &["CREATE EXTENSION IF NOT EXISTS pg_trgm"]
        ));
        assert!(leads_out(
            &Postgres,
            &["CREATE EXTENSION IF NOT EXISTS dblink"]
        ));
        assert!(leads_out(&Postgres, &["COPY t FROM PROGRAM 'cat'"]));
        assert!(leads_out(&Postgres, &["ALTER SYSTEM SET a = 1"]));
        assert!(leads_out(
            &Postgres,
            &["DO $$ BEGIN PERFORM pg_terminate_backend(1); END $$"]
        ));
        assert!(leads_out(&Sqlite, &["ATTACH 'x.db' AS x"]));
        assert!(!leads_out(&Sqlite, &["INSERT INTO main.t VALUES (1)"]));
    }
}
