//! Which rows a DELETE takes away, as a condition by which they are counted and saved before.

use crate::dialect::Dialect;
use crate::sql::words::{Cursor, Fold, Name, Tok, Words, unquoted};
use crate::sql::{LexMode, ObjectRef, StatementClass};

fn empties(class: &StatementClass) -> bool {
    class.verb.split(' ').next() == Some("TRUNCATE")
}

/// What a statement empties whole.
pub fn emptied(class: &StatementClass) -> &[ObjectRef] {
    match empties(class) {
        true => &class.touches,
        false => &[],
    }
}

/// A DELETE of rows of one table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deleted {
    /// The table.
    pub table: Name,
    /// The condition that its rows meet, in brackets.
    pub only: String,
    /// The condition names the table: it finds them under this name alone.
    pub named: bool,
}

/// Reads a DELETE from one table, by whatever name the statement gives it; `None`: it is something else, or reads other
/// tables beside it. Of one that takes the first rows by an order the condition finds all that it might take.
pub fn read(sql: &str, dialect: &dyn Dialect, lex: &LexMode) -> Option<Deleted> {
    let words = Words::read(sql, &dialect.lex_rules(lex));
    if !words.versioned.is_empty() {
        return None;
    }
    let mut cursor = words.cursor();
    if !cursor.eat(&["DELETE"]) {
        return None;
    }
    while cursor.eat_any(&["LOW_PRIORITY", "QUICK", "IGNORE"]) {}
    if !cursor.eat(&["FROM"]) {
        return None;
    }
    let fold = dialect.steps().fold();
    let target = Target::read(&mut cursor, fold, "WHERE")?;
    let found = target.names().condition(sql, &mut cursor, fold)?;
    Some(Deleted {
        table: target.table,
        only: found.only,
        named: found.named,
    })
}

/// The table whose rows a statement changes.
pub(super) struct Target<'t> {
    pub(super) table: Name,
    /// The other name that the statement gives it.
    pub(super) alias: Option<String>,
    /// Its name as it is written.
    written: &'t str,
}

impl<'t> Target<'t> {
    /// Reads it, before the word that comes `then`. `None`: there is none, or it is without the tables that inherit from it,
    /// which a question would find.
    pub(super) fn read(cursor: &mut Cursor<'t>, fold: Fold, then: &str) -> Option<Self> {
        let mut next = cursor.peek(1).into_iter();
        if cursor.is("ONLY") && next.any(|next| next.is_name() && !next.is(then)) {
            return None;
        }
        let before = cursor.rest();
        let table = cursor.name(fold)?;
        let written = before.get(before.len() - cursor.rest().len() - 1)?.text;
        let alias = alias(cursor, fold);
        Some(Target {
            table,
            alias,
            written,
        })
    }

    /// Its names in a condition.
    pub(super) fn names(&self) -> Names<'_> {
        Names {
            alias: self.alias.as_deref(),
            table: &self.table.name,
            written: self.written,
        }
    }
}

/// The condition that every row meets.
pub const ALL: &str = "(1 = 1)";

/// What stands behind a condition: a part of the rows by an order, and what is told of them.
const PART: [&str; 3] = ["ORDER", "LIMIT", "RETURNING"];

/// The other name that a statement gives its table.
fn alias(cursor: &mut Cursor<'_>, fold: Fold) -> Option<String> {
    const NONE: [&str; 15] = [
        "WHERE",
        "SET",
        "USING",
        "PARTITION",
        "ORDER",
        "LIMIT",
        "RETURNING",
        "JOIN",
        "INNER",
        "LEFT",
        "RIGHT",
        "CROSS",
        "NATURAL",
        "INDEXED",
        "NOT",
    ];
    if !cursor.eat(&["AS"]) && cursor.is_any(&NONE) {
        return None;
    }
    cursor.ident(fold)
}

/// Which rows a statement is about.
pub(super) struct Rows<'t> {
    /// The condition that they meet, in brackets.
    pub(super) only: String,
    /// It names the table.
    pub(super) named: bool,
    /// Its tokens.
    pub(super) tokens: &'t [Tok<'t>],
}

/// The names of a table in a condition.
pub(super) struct Names<'n> {
    pub(super) alias: Option<&'n str>,
    pub(super) table: &'n str,
    /// The table's, as the statement writes it.
    pub(super) written: &'n str,
}

impl Names<'_> {
    /// Reads the condition that stands here, if one does, up to the end of the statement.
    pub(super) fn condition<'t>(
        &self,
        sql: &str,
        cursor: &mut Cursor<'t>,
        fold: Fold,
    ) -> Option<Rows<'t>> {
        let condition = match cursor.eat(&["WHERE"]) {
            true => cursor.rest(),
            false if cursor.is_done() || cursor.is_any(&PART) => &[],
            false => return None,
        };
        let mut end = Cursor::over(condition);
        let tokens = match end.seek(&PART) {
            true => &condition[..condition.len() - end.rest().len()],
            false => condition,
        };
        let Some((first, last)) = tokens.first().zip(tokens.last()) else {
            return Some(Rows {
                only: ALL.into(),
                named: false,
                tokens,
            });
        };
        // A row where a cursor stands is none that a question finds.
        if first.is("CURRENT") {
            return None;
        }
        let mut named = tokens.iter().filter(|token| token.is_name());
        let named = named.any(|token| {
            let name = unquoted(token, fold);
            let is = |other: &str| name.eq_ignore_ascii_case(other);
            is(self.table) || self.alias.is_some_and(is)
        });
        let only = match self.alias {
            None => sql.get(first.start..last.end())?.to_owned(),
            Some(alias) => self.own(sql, tokens, alias, fold)?,
        };
        Some(Rows {
            only: format!("({only}\n)"),
            named,
            tokens,
        })
    }

    /// A condition with the table's own name in the place of its other one. `None`: one of the two stands there for
    /// something else, too.
    fn own(&self, sql: &str, condition: &[Tok<'_>], alias: &str, fold: Fold) -> Option<String> {
        let mut only = String::new();
        let mut from = condition.first()?.start;
        for (at, token) in condition.iter().enumerate() {
            let of_another = at > 0 && condition[at - 1].op(".");
            if !token.is_name() || of_another {
                continue;
            }
            let name = unquoted(token, fold);
            if name.eq_ignore_ascii_case(self.table) {
                return None;
            }
            if name.eq_ignore_ascii_case(alias) {
                let qualifies = condition.get(at + 1).is_some_and(|next| next.op("."));
                if !qualifies {
                    return None;
                }
                only.push_str(sql.get(from..token.start)?);
                only.push_str(self.written);
                from = token.end();
            }
        }
        only.push_str(sql.get(from..condition.last()?.end())?);
        Some(only)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::dialect::mysql::Mysql;

    #[test]
    fn a_delete_is_read_where_a_condition_says_which_rows_go() {
        let only = |sql: &str| read(sql, &Mysql, &LexMode::default()).map(|found| found.only);
        assert_eq!(only("DELETE FROM t").unwrap(), "(1 = 1)");
        assert_eq!(
            only("delete from s.`t` where a = 'x;' and (b in (select 1 limit 1)) -- all").unwrap(),
            "(a = 'x;' and (b in (select 1 limit 1))\n)"
        );
        assert_eq!(
            only("DELETE FROM t AS x WHERE x.a = 1 AND y.x = X . `b`").unwrap(),
            "(t.a = 1 AND y.x = t . `b`\n)"
        );
        assert_eq!(
            only("DELETE FROM s.`t` x WHERE x.a IN (SELECT u.a FROM u WHERE u.b = x.b)").unwrap(),
            "(`t`.a IN (SELECT u.a FROM u WHERE u.b = `t`.b)\n)"
        );
        let named = |sql: &str| read(sql, &Mysql, &LexMode::default()).unwrap().named;
        assert!(named("DELETE FROM t WHERE t.a = 1") && named("DELETE FROM t AS x WHERE x.a = 1"));
        assert!(!named("DELETE FROM t WHERE a = 1") && !named("DELETE FROM t"));
        // All that it might take.
        assert_eq!(
            only("DELETE FROM t WHERE a = 1 ORDER BY b LIMIT 1").unwrap(),
            "(a = 1\n)"
        );
        assert_eq!(only("DELETE FROM t LIMIT 3").unwrap(), "(1 = 1)");
        assert_eq!(
            only("DELETE FROM t WHERE a = 1 RETURNING a").unwrap(),
            "(a = 1\n)"
        );
        for other in [
            "DELETE t FROM t JOIN u ON t.a = u.a",
            "DELETE FROM t USING u WHERE t.a = u.a",
            "DELETE FROM t x USING u WHERE x.a = u.a",
            "DELETE FROM ONLY t WHERE a = 1 AND t.b = 2",
            "DELETE FROM t x WHERE x.a IN (SELECT x.a FROM u x)",
            "DELETE FROM t x WHERE x.a IN (SELECT t.a FROM t WHERE x.b = 1)",
            "DELETE FROM t PARTITION (p) WHERE a = 1",
            "DELETE FROM t WHERE CURRENT OF c",
            "UPDATE t SET a = 1",
        ] {
            assert_eq!(only(other), None, "{other}");
        }
    }
}
