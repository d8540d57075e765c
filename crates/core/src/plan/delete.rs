//! Which rows a DELETE takes away, as a condition by which they are counted and saved before.

use crate::dialect::Dialect;
use crate::sql::LexMode;
use crate::sql::words::{Cursor, Name, Words};

/// A DELETE of rows of one table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deleted {
    /// The table.
    pub table: Name,
    /// The condition that its rows meet, in brackets.
    pub only: String,
}

/// Reads `DELETE FROM table [WHERE condition]`; `None`: it is something else, or more than that.
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
    let table = cursor.name(dialect.steps().fold())?;
    if cursor.is_done() {
        return Some(Deleted {
            table,
            only: "(1 = 1)".into(),
        });
    }
    let condition = match cursor.eat(&["WHERE"]) {
        true => cursor.rest(),
        false => return None,
    };
    // A part of the rows, by an order, or more than their going: what that is, a condition does not say.
    if Cursor::over(condition).seek(&["ORDER", "LIMIT", "RETURNING"]) {
        return None;
    }
    let (first, last) = condition.first().zip(condition.last())?;
    let only = sql.get(first.start..last.end())?;
    Some(Deleted {
        table,
        only: format!("({only}\n)"),
    })
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
        for other in [
            "DELETE t FROM t JOIN u ON t.a = u.a",
            "DELETE FROM t USING u WHERE t.a = u.a",
            "DELETE FROM t AS x WHERE x.a = 1",
            "DELETE FROM t WHERE a = 1 ORDER BY b LIMIT 1",
            "DELETE FROM t WHERE a = 1 RETURNING a",
            "UPDATE t SET a = 1",
        ] {
            assert_eq!(only(other), None, "{other}");
        }
    }
}
