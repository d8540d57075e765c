//! The same CREATE under another name: to see what a statement would have made, or to rebuild a table beside the old.

use super::text::{Code, code};
use crate::dialect::Dialect;
use crate::sql::LexMode;
use crate::sql::lexer::TokenKind;
use std::ops::Range;

/// A CREATE of a table, index, view, routine, event or sequence with another name for what it makes; its schema stays. `None` where the statement is
/// not understood.
pub fn rename_create(
    dialect: &dyn Dialect,
    mode: &LexMode,
    sql: &str,
    new_name: &str,
) -> Option<String> {
    let tokens = code(sql, &dialect.lex_rules(mode));
    let name = name_of(&tokens)?;
    Some(replace(sql, vec![(name, dialect.quote(new_name))]))
}

/// As [`rename_create`] for a table, and without the names of its constraints: on many engines they must be unique
/// beyond the table, and the first one has them already.
pub fn scratch_create(
    dialect: &dyn Dialect,
    mode: &LexMode,
    sql: &str,
    new_name: &str,
) -> Option<String> {
    let tokens = code(sql, &dialect.lex_rules(mode));
    let name = name_of(&tokens)?;
    let mut edits = vec![(name, dialect.quote(new_name))];
    let body = tokens.iter().position(|token| token.text == "(")?;
    let mut depth = 0_usize;
    for (at, token) in tokens.iter().enumerate().skip(body) {
        match token.text {
            "(" => depth += 1,
            ")" => depth = depth.saturating_sub(1),
            _ => {}
        }
        let Some(next) = tokens.get(at + 1) else {
            break;
        };
        // MySQL takes `CONSTRAINT CHECK (…)`, where what follows is no name.
        let keyword = [
            "PRIMARY",
            "UNIQUE",
            "FOREIGN",
            "CHECK",
            "EXCLUDE",
            "NOT",
            "NULL",
            "DEFAULT",
            "REFERENCES",
        ]
        .iter()
        .any(|word| next.is(word));
        if depth == 1 && token.is("CONSTRAINT") && is_name(next) && !keyword {
            edits.push((token.start..next.end, String::new()));
        }
    }
    Some(replace(sql, edits))
}

/// A CREATE INDEX or ALTER TABLE on another table, the index under another name and built in the ordinary way. `None`
/// where the statement is not understood.
pub fn on_table(
    dialect: &dyn Dialect,
    mode: &LexMode,
    sql: &str,
    table: &str,
    index: &str,
) -> Option<String> {
    let tokens = code(sql, &dialect.lex_rules(mode));
    let mut edits = vec![];
    let mut at = if tokens.first()?.is("ALTER") && tokens.get(1)?.is("TABLE") {
        let exists = tokens.get(2)?.is("IF") && tokens.get(3)?.is("EXISTS");
        if exists { 4 } else { 2 }
    } else {
        let name = name_of(&tokens)?;
        let on = tokens
            .iter()
            .position(|token| token.start >= name.end && token.is("ON"))?;
        edits.push((name, dialect.quote(index)));
        let slow = tokens[..on].iter().find(|token| token.is("CONCURRENTLY"));
        edits.extend(slow.map(|token| (token.start..token.end, String::new())));
        on + 1
    };
    if tokens.get(at)?.is("ONLY") {
        at += 1;
    }
    while tokens.get(at + 1).is_some_and(|token| token.text == ".") {
        at += 2;
    }
    let name = tokens.get(at).filter(|token| is_name(token))?;
    edits.push((name.start..name.end, dialect.quote(table)));
    Some(replace(sql, edits))
}

/// A CREATE EVENT that only writes the event down: switched off, it never runs, whatever its schedule says. `None` where
/// the statement is not understood.
pub fn switched_off(dialect: &dyn Dialect, mode: &LexMode, sql: &str) -> Option<String> {
    let tokens = code(sql, &dialect.lex_rules(mode));
    let body = tokens.iter().position(|token| token.is("DO"))?;
    let head = &tokens[..body];
    let switch = head
        .iter()
        .position(|token| token.is("ENABLE") || token.is("DISABLE"));
    let (from, to) = match switch {
        // `DISABLE ON SLAVE`.
        Some(at) if head.get(at + 1).is_some_and(|token| token.is("ON")) => {
            (head[at].start, head.get(at + 2)?.end)
        }
        Some(at) => (head[at].start, head[at].end),
        None => {
            let comment = head.iter().find(|token| token.is("COMMENT"));
            let at = comment.unwrap_or(&tokens[body]).start;
            (at, at)
        }
    };
    Some(replace(sql, vec![(from..to, " DISABLE ".to_owned())]))
}

/// What a CREATE TRIGGER says behind its name, as one line that does not depend on quotes, on the case of words, on the
/// schema of its table, or on its place among other triggers. `None` where the statement is not understood.
pub fn trigger_text(dialect: &dyn Dialect, mode: &LexMode, sql: &str) -> Option<String> {
    let tokens = code(sql, &dialect.lex_rules(mode));
    let kind = tokens
        .iter()
        .take(16)
        .position(|token| token.is("TRIGGER"))?;
    let mut at = kind + 1;
    if tokens.get(at)?.is("IF") {
        at += 3;
    }
    while tokens.get(at + 1).is_some_and(|token| token.text == ".") {
        at += 2;
    }
    let rest = tokens.get(at + 1..)?;
    let on = rest.iter().position(|token| token.is("ON"))?;
    let qualified = rest.get(on + 2).is_some_and(|token| token.text == ".");
    let row = rest.iter().position(|token| token.is("ROW"));
    let placed = |at: usize| {
        let follows = |row: usize| {
            rest.get(row + 1)
                .is_some_and(|token| token.is("FOLLOWS") || token.is("PRECEDES"))
        };
        row.is_some_and(|row| follows(row) && (row + 1..=row + 2).contains(&at))
    };
    let schema = |at: usize| qualified && (on + 1..=on + 2).contains(&at);
    let said = rest
        .iter()
        .enumerate()
        .filter(|(at, _)| !schema(*at) && !placed(*at));
    let mut words: Vec<String> = said
        .map(|(_, token)| match token.kind {
            TokenKind::Word | TokenKind::Quoted => token.name().to_lowercase(),
            _ => token.text.to_owned(),
        })
        .collect();
    while words.last().is_some_and(|word| word == ";") {
        words.pop();
    }
    Some(words.join(" "))
}

fn is_name(token: &Code<'_>) -> bool {
    matches!(
        token.kind,
        TokenKind::Word | TokenKind::Quoted | TokenKind::Text
    )
}

/// The bytes of the name of what a CREATE makes, without its schema.
fn name_of(tokens: &[Code<'_>]) -> Option<Range<usize>> {
    if !tokens.first()?.is("CREATE") {
        return None;
    }
    let kinds = [
        "TABLE",
        "INDEX",
        "VIEW",
        "PROCEDURE",
        "FUNCTION",
        "EVENT",
        "SEQUENCE",
    ];
    let kind = tokens
        .iter()
        .position(|token| kinds.iter().any(|word| token.is(word)))?;
    // What may stand before the kind is a dozen words; further on it is the inside of something else.
    if kind > 16 {
        return None;
    }
    let mut at = kind + 1;
    if tokens.get(at)?.is("CONCURRENTLY") {
        at += 1;
    }
    if tokens.get(at)?.is("IF") && tokens.get(at + 1)?.is("NOT") && tokens.get(at + 2)?.is("EXISTS")
    {
        at += 3;
    }
    // An index may go without a name.
    if tokens.get(at)?.is("ON") && tokens[kind].is("INDEX") {
        return None;
    }
    while tokens.get(at + 1).is_some_and(|token| token.text == ".") {
        at += 2;
    }
    let name = tokens.get(at).filter(|token| is_name(token))?;
    Some(name.start..name.end)
}

fn replace(sql: &str, mut edits: Vec<(Range<usize>, String)>) -> String {
    edits.sort_by_key(|(range, _)| range.start);
    let mut out = String::with_capacity(sql.len());
    let mut from = 0;
    for (range, text) in edits {
        if range.start < from {
            continue;
        }
        out.push_str(&sql[from..range.start]);
        out.push_str(&text);
        from = range.end;
    }
    out.push_str(&sql[from..]);
    out
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::dialect::{mysql::Mysql, postgres::Postgres, sqlite::Sqlite};

    #[test]
    fn a_create_takes_another_name() {
        let mode = LexMode::default();
        for (dialect, sql, renamed) in [
            (
                &Sqlite as &dyn Dialect,
                "create table if not exists [a b] (x)",
                "create table if not exists \"n\" (x)",
            ),
            (
                &Sqlite,
                "CREATE TABLE/* c */t(x REFERENCES t(x))",
                "CREATE TABLE/* c */\"n\"(x REFERENCES t(x))",
            ),
            (
                &Postgres,
                "CREATE UNLOGGED TABLE app.t (x int)",
                "CREATE UNLOGGED TABLE app.\"n\" (x int)",
            ),
            (
                &Postgres,
                "CREATE UNIQUE INDEX CONCURRENTLY i ON t (a)",
                "CREATE UNIQUE INDEX CONCURRENTLY \"n\" ON t (a)",
            ),
            (
                &Mysql,
                "CREATE ALGORITHM=MERGE DEFINER=`r`@`%` SQL SECURITY INVOKER VIEW `d`.`v` AS SELECT 1",
                "CREATE ALGORITHM=MERGE DEFINER=`r`@`%` SQL SECURITY INVOKER VIEW `d`.`n` AS SELECT 1",
            ),
        ] {
            assert_eq!(
                rename_create(dialect, &mode, sql, "n").unwrap(),
                renamed.replace('"', if renamed.contains('`') { "`" } else { "\"" })
            );
        }
        assert_eq!(
            rename_create(&Postgres, &mode, "CREATE INDEX ON t (a)", "n"),
            None
        );
        assert_eq!(rename_create(&Postgres, &mode, "DROP TABLE t", "n"), None);
        assert_eq!(rename_create(&Postgres, &mode, "", "n"), None);
    }

    #[test]
    fn triggers_are_compared_by_what_stands_behind_their_name() {
        let text = |sql| trigger_text(&Mysql, &LexMode::default(), sql).unwrap();
        let one = text(
            "CREATE TRIGGER IF NOT EXISTS g BEFORE INSERT ON d.t FOR EACH ROW SET NEW.a = 'X';",
        );
        for same in [
            "CREATE DEFINER=`r`@`%` TRIGGER `h` before insert ON `t` FOR EACH ROW SET new.`a` = 'X'",
            "CREATE OR REPLACE TRIGGER d.g BEFORE INSERT ON t FOR EACH ROW FOLLOWS x SET NEW.a = /* so */ 'X'",
        ] {
            assert_eq!(text(same), one, "{same}");
        }
        for other in [
            "CREATE TRIGGER g BEFORE INSERT ON t FOR EACH ROW SET NEW.a = 'x'",
            "CREATE TRIGGER g AFTER INSERT ON t FOR EACH ROW SET NEW.a = 'X'",
            "CREATE TRIGGER g BEFORE INSERT ON u FOR EACH ROW SET NEW.a = 'X'",
        ] {
            assert_ne!(text(other), one, "{other}");
        }
        assert_eq!(
            trigger_text(&Mysql, &LexMode::default(), "CREATE TRIGGER g"),
            None
        );
    }

    #[test]
    fn an_index_or_a_column_goes_to_another_table() {
        for (sql, moved) in [
            (
                "CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS i ON ONLY app.t USING btree (a) WHERE on_it",
                "CREATE UNIQUE INDEX  IF NOT EXISTS \"i2\" ON ONLY app.\"s\" USING btree (a) WHERE on_it",
            ),
            (
                "ALTER TABLE IF EXISTS ONLY t ADD COLUMN IF NOT EXISTS a int",
                "ALTER TABLE IF EXISTS ONLY \"s\" ADD COLUMN IF NOT EXISTS a int",
            ),
        ] {
            let found = on_table(&Postgres, &LexMode::default(), sql, "s", "i2");
            assert_eq!(found.as_deref(), Some(moved));
        }
        for sql in ["CREATE INDEX ON t (a)", "DROP INDEX i", "ALTER TABLE", ""] {
            assert_eq!(
                on_table(&Postgres, &LexMode::default(), sql, "s", "i"),
                None,
                "{sql}"
            );
        }
    }

    #[test]
    fn a_scratch_table_has_no_names_that_could_collide() {
        let sql = "CREATE TABLE t (id int CONSTRAINT pk PRIMARY KEY, a int, CONSTRAINT `c x` CHECK (a > 0), \
                   CONSTRAINT CHECK (a < 9), CONSTRAINT fk FOREIGN KEY (a) REFERENCES u (id))";
        assert_eq!(
            scratch_create(&Mysql, &LexMode::default(), sql, "s").unwrap(),
            "CREATE TABLE `s` (id int  PRIMARY KEY, a int,  CHECK (a > 0), CONSTRAINT CHECK (a < 9),  FOREIGN KEY \
             (a) REFERENCES u (id))"
        );
    }
}
