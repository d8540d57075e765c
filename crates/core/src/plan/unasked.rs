//! Statements of an undo that somebody wrote of which nobody can ask beforehand what of others they destroy.

use super::delete;
use super::inverse::{self, Gone};
use super::over;
use crate::dialect::Dialect;
use crate::sql::words::Words;
use crate::sql::{Condition, Kind, LexMode, ObjectKind, ObjectRef, StatementClass};

/// What a statement destroys unasked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unasked {
    /// Rows.
    Rows,
    /// Values, which it writes over: which of them others have written, nobody has kept.
    Values,
}

/// The statements of one undo that destroy something unasked, by their places in it. What happens to tables that the undo
/// makes, or that go with it as a whole, is nobody's loss: of these all rows are asked for.
pub fn among(
    statements: &[(&str, &StatementClass)],
    dialect: &dyn Dialect,
    lex: &LexMode,
) -> Vec<(usize, Unasked)> {
    let renames: Vec<_> = statements
        .iter()
        .map(|(sql, _)| inverse::renames(sql, dialect, lex))
        .collect();
    let classes: Vec<StatementClass> = statements
        .iter()
        .map(|(_, class)| (*class).clone())
        .collect();
    let gone = inverse::gone(&classes, &renames);
    let renamed = |table: &ObjectRef| {
        let mut pairs = renames.iter().flatten();
        pairs.any(|(from, to)| from == table || to == table)
    };
    let made = |table: &ObjectRef| {
        let is_there = Condition::Exists(table.clone());
        // Under another name it may stand in for a table whose rows it has taken over.
        classes.iter().any(|class| class.post.contains(&is_there)) && !renamed(table)
    };
    let goes = |table: &ObjectRef| {
        let is_it = |gone: &Gone| {
            gone.object.kind == ObjectKind::Table && [&gone.object, &gone.was].contains(&table)
        };
        gone.iter().any(is_it)
    };
    let own = |class: &StatementClass| {
        let mut touched = class.touches.iter();
        !class.touches.is_empty() && touched.all(|table| made(table) || goes(table))
    };
    // Rows are asked for before the table has its new name.
    let elsewhere = |at: usize, sql: &str| {
        let found = delete::read(sql, dialect, lex).filter(|found| found.named)?;
        let table = ObjectRef::table(found.table.schema.as_deref(), &found.table.name);
        let first = inverse::first_of(renames.get(..at)?, &table);
        (first != table).then_some(Unasked::Rows)
    };
    let texts: Vec<&str> = statements.iter().map(|(sql, _)| *sql).collect();
    let asked = over::asked(&texts, &classes, &renames, dialect, lex);
    let each = statements.iter().enumerate();
    let found = each.filter(|(at, (_, class))| !own(class) && !asked.contains(at));
    let found = found.filter_map(|(at, (sql, class))| {
        let what = of(sql, class, dialect, lex).or_else(|| elsewhere(at, sql))?;
        Some((at, what))
    });
    found.collect()
}

/// What a statement destroys that cannot be asked for by itself.
pub(super) fn of(
    sql: &str,
    class: &StatementClass,
    dialect: &dyn Dialect,
    lex: &LexMode,
) -> Option<Unasked> {
    if !delete::emptied(class).is_empty() {
        let words = Words::read(sql, &dialect.lex_rules(lex));
        return words.has(&["CASCADE"]).then_some(Unasked::Rows);
    }
    if class.kind != Kind::Dml {
        return None;
    }
    let words = Words::read(sql, &dialect.lex_rules(lex));
    let says = |wanted: &[&str]| words.follow(wanted);
    let found = match class.verb.as_str() {
        "UPDATE" | "REPLACE" => Some(Unasked::Values),
        "MERGE" if words.has(&["UPDATE"]) => Some(Unasked::Values),
        "MERGE" if words.has(&["DELETE"]) => Some(Unasked::Rows),
        "INSERT" => {
            let over = [
                &["OR", "REPLACE"][..],
                &["ON", "DUPLICATE", "KEY", "UPDATE"],
                &["DO", "UPDATE"],
            ];
            over.into_iter().any(says).then_some(Unasked::Values)
        }
        "LOAD" => says(&["REPLACE", "INTO"]).then_some(Unasked::Values),
        "DELETE" => match delete::read(sql, dialect, lex) {
            Some(_) => None,
            None => Some(Unasked::Rows),
        },
        _ => None,
    };
    found.or_else(|| within(&words))
}

/// What a part of a WITH destroys: `WITH gone AS (DELETE …) INSERT …`.
fn within(words: &Words<'_>) -> Option<Unasked> {
    if !words.cursor().is("WITH") {
        return None;
    }
    let begins = |verbs: &[&str]| {
        let mut pairs = words.toks.windows(2);
        pairs.any(|pair| pair[0].op("(") && pair[1].is_any(verbs))
    };
    if begins(&["UPDATE", "MERGE"]) || words.follow(&["DO", "UPDATE"]) {
        return Some(Unasked::Values);
    }
    begins(&["DELETE"]).then_some(Unasked::Rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::mysql::Mysql;
    use crate::dialect::postgres::Postgres;
    use crate::dialect::sqlite::Sqlite;

    fn found(dialect: &dyn Dialect, script: &[&str]) -> Vec<(usize, Unasked)> {
        let lex = LexMode::default();
        let classes: Vec<StatementClass> = script
            .iter()
            .map(|sql| dialect.classify(sql, &lex))
            .collect();
        let statements: Vec<(&str, &StatementClass)> =
            script.iter().copied().zip(&classes).collect();
        among(&statements, dialect, &lex)
    }

    #[test]
    fn what_writes_over_values_is_found() {
        let values = [(0, Unasked::Values)];
        for sql in [
            "replace into t set a = 1",
            "INSERT INTO t SELECT f(1) ON DUPLICATE KEY UPDATE a = 1",
            "LOAD DATA INFILE 'x' REPLACE INTO TABLE t",
            "UPDATE t JOIN u ON t.a = u.a SET b = 1",
        ] {
            assert_eq!(found(&Mysql, &[sql]), values, "{sql}");
        }
        for sql in [
            "INSERT INTO t (a) VALUES (f(1)) ON CONFLICT (a) DO UPDATE SET b = 2",
            "MERGE INTO t USING u ON t.a = u.a WHEN MATCHED THEN UPDATE SET b = 1",
            "WITH x AS (SELECT 1) UPDATE t SET a = 1",
            "WITH x AS (UPDATE t SET a = 1 RETURNING b) INSERT INTO u SELECT b FROM x",
            "WITH x AS (UPDATE t SET a = 1 RETURNING b) SELECT b FROM x",
        ] {
            assert_eq!(found(&Postgres, &[sql]), values, "{sql}");
        }
        let sql = "UPDATE OR REPLACE t SET a = 1";
        assert_eq!(found(&Sqlite, &[sql]), values);
        for sql in [
            "REPLACE INTO t VALUES (1)",
            "INSERT INTO t SELECT 1 ON DUPLICATE KEY UPDATE a = 1",
            "UPDATE t JOIN u ON t.a = u.a SET t.b = 1",
            "DELETE t FROM t JOIN u ON t.a = u.a",
        ] {
            assert_eq!(found(&Mysql, &[sql]), [], "{sql}");
        }
        let rows = "WITH x AS (DELETE FROM t RETURNING b) INSERT INTO u SELECT b FROM x";
        assert_eq!(found(&Postgres, &[rows]), [(0, Unasked::Rows)]);
        for sql in [
            "INSERT INTO t VALUES (replace('a', 'b', 'c'))",
            "INSERT INTO t VALUES (1) ON CONFLICT DO NOTHING",
            "MERGE INTO t USING u ON t.a = u.a WHEN NOT MATCHED THEN INSERT VALUES (1)",
            "SELECT a FROM t FOR UPDATE",
            "DELETE FROM t WHERE a = 1",
            "UPDATE t SET a = 1 WHERE b = 2",
            "UPDATE t SET a = 1 WHERE b IN (SELECT b FROM u)",
            "UPDATE t SET a = u.a FROM u WHERE t.b = u.b",
            "INSERT INTO t VALUES (1) ON CONFLICT (a) DO UPDATE SET b = 2",
            "DELETE FROM t USING u WHERE t.a = u.a",
        ] {
            assert_eq!(found(&Postgres, &[sql]), [], "{sql}");
        }
    }

    #[test]
    fn what_the_undo_makes_or_drops_is_its_own() {
        let update = "UPDATE t SET a = 1";
        for script in [["CREATE TABLE t (a int)", update], [update, "DROP TABLE t"]] {
            assert_eq!(found(&Mysql, &script), [], "{script:?}");
        }
        // The rows of another table are in it by then, or it is another one.
        let rebuild = [
            "CREATE TABLE t (a int)",
            "INSERT INTO t SELECT a FROM u",
            "UPDATE t SET a = 1 WHERE t.a = 2",
            "DROP TABLE u",
            "ALTER TABLE t RENAME TO u",
        ];
        assert_eq!(found(&Mysql, &rebuild), [(2, Unasked::Values)]);
        let renamed = |sql| found(&Mysql, &["ALTER TABLE u RENAME TO t", sql]);
        assert_eq!(renamed(update), []);
        let named = renamed("UPDATE t SET a = 1 WHERE t.b = 2");
        assert_eq!(named, [(1, Unasked::Values)]);
        let dropped = ["ALTER TABLE u RENAME TO t", update, "DROP TABLE t"];
        assert_eq!(found(&Mysql, &dropped), []);
        let deleted = |sql| found(&Mysql, &["ALTER TABLE u RENAME TO t", sql]);
        assert_eq!(deleted("DELETE FROM t WHERE a = 1"), []);
        let named = deleted("DELETE FROM t WHERE t.a = 1");
        assert_eq!(named, [(1, Unasked::Rows)]);
    }
}
