//! Which rows a DELETE takes away, as a condition by which they are counted and saved before.

use super::joined::Joined;
use crate::dialect::Dialect;
use crate::sql::words::{Cursor, Fold, Name, TOKENS_MAX, Tok, Words, unquoted};
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

/// Reads a DELETE from one table, by whatever name the statement gives it; `None`: it is something else. Of one that takes the
/// first rows by an order the condition finds all that it might take.
pub fn read(sql: &str, dialect: &dyn Dialect, lex: &LexMode) -> Option<Deleted> {
    let words = Words::read(sql, &dialect.lex_rules(lex));
    if !words.versioned.is_empty() || words.toks.len() >= TOKENS_MAX {
        return None;
    }
    let mut cursor = words.cursor();
    if !cursor.eat(&["DELETE"]) {
        return None;
    }
    while cursor.eat_any(&["LOW_PRIORITY", "QUICK", "IGNORE"]) {}
    let fold = dialect.steps().fold();
    let (target, joined) = target(&mut cursor, fold)?;
    let names = target.names();
    let found = match &joined {
        // Some engines take no rows away from a table that the condition asks once more, which is done with archived ones.
        Some(joined) if joined.names(&target.table.name, fold) => return None,
        Some(joined) => joined.condition(&names, sql, &mut cursor, fold)?,
        None => names.condition(sql, &mut cursor, fold)?,
    };
    Some(Deleted {
        table: target.table,
        only: found.only,
        named: found.named,
    })
}

/// The table that a DELETE names, and those that it is joined to: `FROM t`, `FROM t USING u`, `t FROM t JOIN u`,
/// `FROM t USING t JOIN u`.
fn target<'t>(cursor: &mut Cursor<'t>, fold: Fold) -> Option<(Target<'t>, Option<Joined<'t>>)> {
    let read = |cursor: &mut Cursor<'t>| Target::read(cursor, fold, "WHERE");
    if !cursor.eat(&["FROM"]) {
        let name = cursor.ident(fold)?;
        let target = cursor.eat(&["FROM"]).then(|| read(cursor))??;
        let joined = Joined::to(cursor)?;
        return target.is(&name).then_some((target, joined));
    }
    let target = read(cursor)?;
    if !cursor.eat(&["USING"]) {
        return Some((target, None));
    }
    let mut again = *cursor;
    if let Some(itself) = read(&mut again).filter(|itself| itself.is(target.called())) {
        *cursor = again;
        return Some((itself, Joined::to(cursor)?));
    }
    Some((target, Some(Joined::beside(cursor)?)))
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

    /// What the statement calls it.
    fn called(&self) -> &str {
        self.alias.as_deref().unwrap_or(&self.table.name)
    }

    fn is(&self, name: &str) -> bool {
        self.called().eq_ignore_ascii_case(name)
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
    const NONE: [&str; 16] = [
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
        "STRAIGHT_JOIN",
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
    pub(super) tokens: Vec<Tok<'t>>,
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
        let Some(first) = tokens.first() else {
            return Some(Rows {
                only: ALL.into(),
                named: false,
                tokens: vec![],
            });
        };
        // A row where a cursor stands is none that a question finds.
        if first.is("CURRENT") {
            return None;
        }
        Some(Rows {
            only: format!("({}\n)", self.text(sql, tokens, fold)?),
            named: self.are_in(tokens, fold),
            tokens: tokens.to_vec(),
        })
    }

    /// Whether one of them is among tokens.
    pub(super) fn are_in(&self, tokens: &[Tok<'_>], fold: Fold) -> bool {
        let mut names = tokens.iter().filter(|token| token.is_name());
        names.any(|token| {
            let name = unquoted(token, fold);
            let is = |other: &str| name.eq_ignore_ascii_case(other);
            is(self.table) || self.alias.is_some_and(is)
        })
    }

    /// The text of tokens, in which the table has its own name. `None`: it cannot have it there.
    pub(super) fn text(&self, sql: &str, tokens: &[Tok<'_>], fold: Fold) -> Option<String> {
        match self.alias {
            None => {
                let (first, last) = (tokens.first()?, tokens.last()?);
                sql.get(first.start..last.end()).map(str::to_owned)
            }
            Some(alias) => self.own(sql, tokens, alias, fold),
        }
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
    fn rows_that_a_join_finds_are_asked_for_by_it() {
        let only = |sql: &str| {
            let found = read(sql, &Mysql, &LexMode::default())?;
            assert!(found.named && found.table.name == "t", "{sql}");
            Some(found.only.replace('\n', " "))
        };
        let itself = "(EXISTS (SELECT 1 FROM (SELECT 1 AS dunlin_one) AS dunlin_one";
        for (sql, condition) in [
            (
                "DELETE t FROM t JOIN u ON t.a = u.a WHERE u.b = 1",
                format!("{itself} JOIN u ON t.a = u.a WHERE (u.b = 1 )) )"),
            ),
            (
                "DELETE x FROM t AS x LEFT JOIN u y ON x.a = y.a WHERE y.a IS NULL",
                format!("{itself} LEFT JOIN u y ON t.a = y.a WHERE (y.a IS NULL )) )"),
            ),
            (
                "DELETE FROM t USING t, u WHERE t.a = u.a",
                format!("{itself} , u WHERE (t.a = u.a )) )"),
            ),
            (
                "DELETE FROM t USING u WHERE t.a = u.a RETURNING t.a",
                "(EXISTS (SELECT 1 FROM u WHERE (t.a = u.a )) )".to_owned(),
            ),
            (
                "DELETE FROM t x USING u JOIN v ON u.a = v.a WHERE x.a = u.a",
                "(EXISTS (SELECT 1 FROM u JOIN v ON u.a = v.a WHERE (t.a = u.a )) )".to_owned(),
            ),
            ("DELETE x FROM t x WHERE x.a = 1", "(t.a = 1 )".to_owned()),
        ] {
            assert_eq!(only(sql), Some(condition), "{sql}");
        }
    }

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
            "DELETE t, u FROM t JOIN u ON t.a = u.a",
            "DELETE u FROM t JOIN u ON t.a = u.a",
            "DELETE t FROM t JOIN t x ON t.a = x.b",
            "DELETE t FROM t NATURAL JOIN u",
            "DELETE t FROM t RIGHT JOIN u ON t.a = u.a",
            "DELETE t FROM t JOIN u USING (a)",
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
