//! What a statement that sets `sql_mode` leaves: the modes in which what stands behind it may be read.

use super::lex::rules;
use crate::sql::words::{Cursor, Tok, Words, by_commas};
use crate::sql::{LexMode, TokenKind};

/// Modes that decide how quotes and backslashes are read, those that stand for several among them.
pub(super) const ANSI_QUOTES: [&str; 7] = [
    "ANSI_QUOTES",
    "ANSI",
    "DB2",
    "MAXDB",
    "MSSQL",
    "ORACLE",
    "POSTGRESQL",
];
pub(super) const NO_BACKSLASH_ESCAPES: &str = "NO_BACKSLASH_ESCAPES";

/// The modes in which what follows a statement may be read, where it sets one: several where only the server knows.
/// `before`: the statements of the script before it.
pub fn modes_after(sql: &str, before: &[&str], mode: &LexMode) -> Vec<LexMode> {
    let is_mode = |target: &str| target == "SQL_MODE" || is_of_session(target);
    let known = Known { mode, before };
    let mut found = vec![];
    assigned(sql, mode, &mut |target, value| {
        if is_mode(target) {
            found.push(known.whole(value));
        }
    });
    let modes = found.into_iter().flat_map(|found| match found {
        Some(found) => vec![found],
        None => vec![
            String::new(),
            format!("{},{NO_BACKSLASH_ESCAPES}", ANSI_QUOTES[0]),
        ],
    });
    let modes = modes.map(|sql_mode| LexMode {
        sql_mode,
        ..mode.clone()
    });
    modes.collect()
}

/// Gives each thing that a `SET` assigns, in upper case, and what to; but those of the whole server.
fn assigned(sql: &str, mode: &LexMode, each: &mut dyn FnMut(&str, Cursor<'_>)) {
    // Most statements are others, and long ones are not read for this.
    let begins = |with: &str| {
        sql.get(..with.len())
            .is_some_and(|begin| begin.eq_ignore_ascii_case(with))
    };
    if !["SET", "/*!", "/*M!"].into_iter().any(begins) {
        return;
    }
    let words = Words::read(sql, &rules(mode));
    let mut cursor = words.cursor();
    if !cursor.eat(&["SET"]) {
        return;
    }
    for part in by_commas(cursor.rest()) {
        let mut part = Cursor::over(part);
        if part.eat_any(&["GLOBAL", "PERSIST", "PERSIST_ONLY"]) {
            continue;
        }
        let _ = part.eat_any(&["SESSION", "LOCAL"]);
        let Some(target) = part.bump() else { continue };
        if part.eat_op(":=") || (part.eat_op(":") && part.eat_op("=")) || part.eat_op("=") {
            each(&plain(target.text), part);
        }
    }
}

fn plain(name: &str) -> String {
    name.replace('`', "").to_ascii_uppercase()
}

fn is_of_session(variable: &str) -> bool {
    ["@@SQL_MODE", "@@SESSION.SQL_MODE", "@@LOCAL.SQL_MODE"].contains(&variable)
}

/// What is known where an expression stands.
#[derive(Clone, Copy)]
struct Known<'k> {
    mode: &'k LexMode,
    before: &'k [&'k str],
}

impl Known<'_> {
    /// What a session has that sets none, where the project pins none: then scripts are read in that one.
    fn of_server(self) -> Option<String> {
        self.mode.sql_mode.is_empty().then(String::new)
    }

    /// The mode that an expression gives; `None`: only the server knows.
    fn whole(self, mut cursor: Cursor<'_>) -> Option<String> {
        let found = self.value(&mut cursor);
        found.filter(|_| cursor.is_done())
    }

    fn value(self, cursor: &mut Cursor<'_>) -> Option<String> {
        if let Some(group) = cursor.group() {
            let mut within = Cursor::over(group);
            let _ = within.eat(&["SELECT"]);
            return self.whole(within);
        }
        let tok = cursor.bump()?;
        let name = plain(tok.text);
        match tok.kind {
            TokenKind::Text | TokenKind::Quoted => literal(tok),
            TokenKind::Number => (tok.text == "0").then(String::new),
            TokenKind::Parameter if is_of_session(&name) => Some(self.mode.sql_mode.clone()),
            TokenKind::Parameter if name == "@@GLOBAL.SQL_MODE" => self.of_server(),
            TokenKind::Parameter if !name.starts_with("@@") => self.variable(&name),
            TokenKind::Word if name == "DEFAULT" => self.of_server(),
            TokenKind::Word => match cursor.group() {
                Some(group) => self.call(&name, &by_commas(group)),
                None => Some(name),
            },
            _ => None,
        }
    }

    /// What the script has put into a variable last; where it has not, what a session before it has kept.
    fn variable(self, name: &str) -> Option<String> {
        for (at, sql) in self.before.iter().enumerate().rev() {
            let before = &self.before[..at];
            let known = Known { before, ..self };
            let mut found = None;
            assigned(sql, self.mode, &mut |target, value| {
                if target == name {
                    found = Some(known.whole(value));
                }
            });
            if let Some(found) = found {
                return found;
            }
        }
        Some(self.mode.sql_mode.clone())
    }

    fn call(self, name: &str, args: &[&[Tok<'_>]]) -> Option<String> {
        let args = args.iter().map(|arg| self.whole(Cursor::over(arg)));
        let all: Option<Vec<String>> = args.collect();
        match (name, all?.as_slice()) {
            ("CONCAT", all) => Some(all.concat()),
            ("CONCAT_WS", [between, all @ ..]) => Some(all.join(between)),
            ("TRIM" | "UPPER" | "LOWER", [one]) => Some(one.trim().to_owned()),
            ("REPLACE", [one, from, to]) => without(one, from, to),
            _ => None,
        }
    }
}

fn literal(tok: &Tok<'_>) -> Option<String> {
    let quote = tok
        .text
        .chars()
        .next()
        .filter(|quote| "'\"`".contains(*quote))?;
    let text = tok.text.strip_prefix(quote)?.strip_suffix(quote)?;
    let is_plain = !text.contains(['\\', '\'', '"', '`']);
    is_plain.then(|| text.to_ascii_uppercase())
}

/// A mode with another word in place of one. What else the server's own mode holds is not known here: so the word that goes
/// must be no part of one that matters, and what comes must be none of those.
fn without(one: &str, from: &str, to: &str) -> Option<String> {
    let matter = || ANSI_QUOTES.iter().chain([&NO_BACKSLASH_ESCAPES]);
    let is_plain = |word: &str| word.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    let [gone, comes] = [from, to].map(|word| word.trim_matches([',', ' ']));
    let cuts = matter().any(|other| *other != gone && other.contains(gone));
    let adds = !comes.is_empty() && matter().any(|other| other.contains(comes));
    let is_known = !gone.is_empty() && is_plain(gone) && is_plain(comes) && !cuts && !adds;
    is_known.then(|| one.replace(from, to))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether quotes and backslashes may be read otherwise behind a statement.
    fn changes(sql: &str, pinned: &str) -> (bool, bool) {
        let mode = LexMode {
            sql_mode: pinned.into(),
            ..LexMode::default()
        };
        let now = rules(&mode);
        let after = modes_after(sql, &[], &mode);
        let after: Vec<_> = after.iter().map(rules).collect();
        let mut all = after.iter();
        let quotes = all.any(|after| after.double_quotes_are_text != now.double_quotes_are_text);
        let mut all = after.iter();
        let backslashes = all.any(|after| after.backslash_escapes != now.backslash_escapes);
        (quotes, backslashes)
    }

    #[test]
    fn what_an_expression_makes_of_the_mode_is_known_or_taken_for_both() {
        let [same, quotes, backslashes, both] =
            [(false, false), (true, false), (false, true), (true, true)];
        for (value, expected) in [
            (
                "(SELECT REPLACE(@@sql_mode, 'ONLY_FULL_GROUP_BY', ''))",
                same,
            ),
            ("REPLACE(@@SESSION.sql_mode,'NO_ZERO_DATE,','')", same),
            ("CONCAT(@@sql_mode, ',NO_ZERO_DATE')", same),
            ("CONCAT(@@sql_mode, ',ANSI_QUOTES')", quotes),
            (
                "CONCAT_WS(',', @@session.sql_mode, 'NO_BACKSLASH_ESCAPES')",
                backslashes,
            ),
            (
                "REPLACE(@@sql_mode, 'STRICT_TRANS_TABLES', 'ANSI_QUOTES')",
                both,
            ),
            ("REPLACE(@@sql_mode, ',', ' ')", both),
            ("ELT(1, 'ANSI', '')", both),
            ("(SELECT mode FROM modes)", both),
            ("@@sql_mode & ~4", both),
            ("@@other.sql_mode", both),
            ("4", both),
            ("0", same),
            ("''", same),
            ("@@GLOBAL.sql_mode", same),
            ("DEFAULT", same),
            ("@OLD_SQL_MODE", same),
            ("ansi", quotes),
        ] {
            for target in [
                "sql_mode",
                "SESSION `sql_mode`",
                "@@local.sql_mode",
                "a = 1, sql_mode",
            ] {
                let sql = format!("SET /* x */ {target} = {value}");
                assert_eq!(changes(&sql, ""), expected, "{sql}");
            }
            for target in ["GLOBAL sql_mode", "@@GLOBAL.sql_mode", "sql_modes"] {
                let sql = format!("SET {target} := {value}");
                assert_eq!(changes(&sql, ""), same, "{sql}");
            }
        }
    }

    #[test]
    fn a_variable_is_what_the_script_has_put_into_it() {
        let all = [
            "SET @old = @@sql_mode, @m = ''",
            "SET @m = CONCAT(@old, ',ANSI_QUOTES')",
            "SET @n = (SELECT mode FROM modes)",
        ];
        for (value, expected) in [
            ("@old", &[""] as &[&str]),
            ("@m", &[",ANSI_QUOTES"]),
            ("@n", &["", "ANSI_QUOTES,NO_BACKSLASH_ESCAPES"]),
            ("@other", &[""]),
        ] {
            let sql = format!("SET sql_mode = {value}");
            let found = modes_after(&sql, &all, &LexMode::default());
            let found: Vec<_> = found.iter().map(|mode| mode.sql_mode.as_str()).collect();
            assert_eq!(found, expected, "{sql}");
        }
    }

    #[test]
    fn a_mode_that_the_project_pins_may_be_left() {
        for (value, expected) in [
            ("REPLACE(@@sql_mode, 'ANSI_QUOTES', '')", (true, false)),
            ("REPLACE(@@sql_mode, 'ANSI', '')", (true, true)),
            ("CONCAT(@@sql_mode, ',NO_ZERO_DATE')", (false, false)),
            ("DEFAULT", (true, true)),
            ("@@global.sql_mode", (true, true)),
        ] {
            let sql = format!("SET sql_mode = {value}");
            let found = changes(&sql, "ANSI_QUOTES");
            assert_eq!(found, expected, "{sql}");
        }
    }
}
