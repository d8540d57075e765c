//! Which values an undo's UPDATEs write over: columns of the rows that meet a condition, by which they are compared with
//! what the step has left, and saved before.

use super::delete::{ALL, Target};
use super::inverse::{self, Renames};
use crate::dialect::Dialect;
use crate::limits;
use crate::schema::Table;
use crate::sql::words::{Cursor, Fold, Name, TOKENS_MAX, Tok, Words, by_commas, unquoted};
use crate::sql::{Condition, Kind, LexMode, ObjectKind, ObjectRef, StatementClass};

/// How many conditions are asked at once; where there are more, all rows are.
const CONDITIONS: usize = 100;

/// An UPDATE of one table.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Updated {
    table: Name,
    columns: Vec<String>,
    /// The condition, in brackets.
    only: String,
    /// The condition names the table.
    named: bool,
    /// The names in the condition, folded.
    names: Vec<String>,
}

/// Reads an UPDATE of one table whose condition asks no other; `None`: it is something else. Of one that takes the first rows
/// by an order the condition finds all that it might change.
fn read(sql: &str, dialect: &dyn Dialect, lex: &LexMode) -> Option<Updated> {
    let words = Words::read(sql, &dialect.lex_rules(lex));
    if !words.versioned.is_empty() || words.toks.len() >= TOKENS_MAX {
        return None;
    }
    let mut cursor = words.cursor();
    if !cursor.eat(&["UPDATE"]) {
        return None;
    }
    // What stands in the way of a new value would go with `OR REPLACE`.
    if cursor.eat(&["OR"]) && !cursor.eat_any(&["IGNORE", "ABORT", "FAIL", "ROLLBACK"]) {
        return None;
    }
    while cursor.eat_any(&["LOW_PRIORITY", "IGNORE"]) {}
    let fold = dialect.steps().fold();
    let target = Target::read(&mut cursor, fold, "SET")?;
    if !cursor.eat(&["SET"]) {
        return None;
    }
    let assigned = cursor.rest();
    cursor = Cursor::over(assigned);
    let assigned = match cursor.seek(&["WHERE", "FROM", "ORDER", "LIMIT", "RETURNING"]) {
        true => &assigned[..assigned.len() - cursor.rest().len()],
        false => {
            cursor = Cursor::over(&[]);
            assigned
        }
    };
    let columns = targets(
        assigned,
        (&target.table.name, target.alias.as_deref()),
        fold,
    )?;
    let found = target.names().condition(sql, &mut cursor, fold)?;
    // What another table holds when it is asked may be another thing when it is changed.
    if found
        .tokens
        .iter()
        .any(|token| token.is_any(&["SELECT", "TABLE", "VALUES"]))
    {
        return None;
    }
    let names = found.tokens.iter().filter(|token| token.is_name());
    let names = names.map(|token| unquoted(token, fold)).collect();
    let (only, named) = (found.only, found.named);
    Some(Updated {
        table: target.table,
        columns,
        only,
        named,
        names,
    })
}

/// The columns that assignments change.
fn targets(
    assigned: &[Tok<'_>],
    (table, alias): (&str, Option<&str>),
    fold: Fold,
) -> Option<Vec<String>> {
    let own = |name: &str| {
        let is = |other: &str| name.eq_ignore_ascii_case(other);
        is(table) || alias.is_some_and(is)
    };
    let each = by_commas(assigned).into_iter();
    let each = each.map(|one| target(one, &own, fold));
    Some(each.collect::<Option<Vec<_>>>()?.concat())
}

/// The columns that one assignment changes.
fn target(one: &[Tok<'_>], own: &dyn Fn(&str) -> bool, fold: Fold) -> Option<Vec<String>> {
    let mut cursor = Cursor::over(one);
    if let Some(group) = cursor.group() {
        let names = by_commas(group).into_iter().map(|name| {
            let mut name = Cursor::over(name);
            name.ident(fold).filter(|_| name.is_done())
        });
        return names.collect::<Option<Vec<_>>>().filter(|_| cursor.op("="));
    }
    let mut parts = vec![cursor.ident(fold)?];
    while cursor.eat_op(".") {
        parts.push(cursor.ident(fold)?);
    }
    if !(cursor.op("=") || cursor.op(":=") || cursor.op("[")) {
        return None;
    }
    // `table.column`; otherwise a part of a column.
    let qualified = parts.len() > 1 && own(&parts[parts.len() - 2]);
    let at = if qualified { parts.len() - 1 } else { 0 };
    Some(vec![parts.swap_remove(at)])
}

/// What an UPDATE of an undo writes over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Over {
    /// Which statement.
    pub at: usize,
    /// The table as the statement names it.
    pub named: ObjectRef,
    /// The name that it has before the undo.
    pub first: ObjectRef,
    /// The columns.
    pub columns: Vec<String>,
    /// The condition that the rows meet before the undo.
    pub only: String,
}

impl Over {
    /// Its columns that hold something of their own, as the catalog spells them. One that is not there the undo makes itself.
    pub fn columns_of(&self, table: &Table) -> Vec<String> {
        let is = |name: &str| {
            let mut all = self.columns.iter();
            all.any(|column| column.eq_ignore_ascii_case(name))
        };
        let there = table.columns.iter();
        let there = there.filter(|column| column.generated.is_none() && is(&column.name));
        there.map(|column| column.name.clone()).collect()
    }

    /// The same of all rows.
    pub fn of_all_rows(mut self) -> Self {
        self.only = ALL.into();
        self
    }
}

/// The UPDATEs of an undo of which it can be asked beforehand what they write over. Of tables that the undo makes, or that go
/// with it, there are none, and no columns that it drops: of these it is asked otherwise.
pub fn all(
    statements: &[&str],
    classes: &[StatementClass],
    renames: &[Renames],
    dialect: &dyn Dialect,
    lex: &LexMode,
) -> Vec<Over> {
    let each = each(statements, classes, renames, dialect, lex);
    together(
        each.into_iter()
            .filter(|over| !over.columns.is_empty())
            .collect(),
    )
}

/// The places of the same, and of those that write over nothing which the undo does not take away itself.
pub(super) fn asked(
    statements: &[&str],
    classes: &[StatementClass],
    renames: &[Renames],
    dialect: &dyn Dialect,
    lex: &LexMode,
) -> Vec<usize> {
    let each = each(statements, classes, renames, dialect, lex);
    each.into_iter().map(|over| over.at).collect()
}

fn each(
    statements: &[&str],
    classes: &[StatementClass],
    renames: &[Renames],
    dialect: &dyn Dialect,
    lex: &LexMode,
) -> Vec<Over> {
    let gone = inverse::gone(classes, renames);
    let mut found: Vec<Over> = vec![];
    let mut before: Vec<(ObjectRef, Updated)> = vec![];
    for (at, sql) in statements.iter().enumerate() {
        let update = |class: &&StatementClass| class.kind == Kind::Dml && class.verb == "UPDATE";
        let Some(class) = classes.get(at).filter(update) else {
            continue;
        };
        let renamed = renames.get(..at).unwrap_or_default();
        let Some(read) = read(sql, dialect, lex) else {
            continue;
        };
        let named = ObjectRef::table(read.table.schema.as_deref(), &read.table.name);
        let first = inverse::first_of(renamed, &named);
        // Its condition holds under this name alone; or it names columns that have another name when it is asked.
        let is_it = |name: &str| {
            [&named, &first]
                .iter()
                .any(|table| table.name.eq_ignore_ascii_case(name))
        };
        let column_renamed = renamed.iter().flatten().any(|(from, _)| {
            from.kind == ObjectKind::Column && from.parent.as_deref().is_some_and(is_it)
        });
        let made = Condition::Exists(named.clone());
        let made = named == first && classes.iter().any(|class| class.post.contains(&made));
        let goes = |kind: ObjectKind, name: &str, parent: Option<&str>| {
            gone.iter().any(|gone| {
                [&gone.object, &gone.was].iter().any(|object| {
                    object.kind == kind
                        && object.name.eq_ignore_ascii_case(name)
                        && parent.is_none_or(|_| object.parent.as_deref().is_some_and(is_it))
                })
            })
        };
        let whole = [&named.name, &first.name]
            .iter()
            .any(|name| goes(ObjectKind::Table, name, None));
        if (read.named && first != named) || column_renamed || made || whole {
            before.push((first, read));
            continue;
        }
        let columns = read.columns.iter();
        let columns = columns.filter(|name| !goes(ObjectKind::Column, name, Some(&named.name)));
        let over = Over {
            at,
            columns: columns.cloned().collect(),
            only: read.only.clone(),
            named,
            first: first.clone(),
        };
        let certain = finds_the_same(at, classes, class, &read, &before, &first);
        before.push((first, read));
        found.push(match certain {
            true => over,
            false => over.of_all_rows(),
        });
    }
    found
}

/// Whether a condition finds the same rows before the undo as when its statement runs: nothing of the undo before it may change
/// what it asks for.
fn finds_the_same(
    at: usize,
    classes: &[StatementClass],
    class: &StatementClass,
    read: &Updated,
    before: &[(ObjectRef, Updated)],
    first: &ObjectRef,
) -> bool {
    let touches = |other: &StatementClass| {
        let mut touched = other.touches.iter();
        other.touches.is_empty()
            || touched.any(|object| class.touches.contains(object) || object == first)
    };
    let mut read_before = 0;
    let quiet = classes[..at].iter().all(|other| match other.kind {
        Kind::Dml if other.verb == "UPDATE" => {
            read_before += 1;
            true
        }
        // New rows are the undo's own, and rows that went are nobody's any more.
        Kind::Dml if other.verb == "DELETE" => true,
        Kind::Dml | Kind::CopyIn => !touches(other),
        Kind::Ddl | Kind::Query | Kind::Session | Kind::Maintenance | Kind::Rights => true,
        Kind::Transaction | Kind::Call | Kind::Unknown => false,
    });
    let apart = before.iter().all(|(table, update)| {
        let asks = |column: &String| {
            let mut names = read.names.iter();
            names.any(|name| name.eq_ignore_ascii_case(column))
        };
        table != first || !update.columns.iter().any(asks)
    });
    quiet && apart && read_before == before.len()
}

/// One for each statement; of very many one for each set of columns.
fn together(found: Vec<Over>) -> Vec<Over> {
    if found.len() <= limits::LEFT_DELETES {
        return found;
    }
    let mut all: Vec<(Over, usize)> = vec![];
    for one in found {
        let is_like = |other: &&mut (Over, usize)| {
            other.0.first == one.first
                && other.0.named == one.named
                && other.0.columns == one.columns
        };
        match all.iter_mut().find(is_like) {
            Some((known, count)) => {
                *count += 1;
                known.at = one.at;
                known.only = format!("{} OR {}", known.only, one.only);
            }
            None => all.push((one, 1)),
        }
    }
    let each = all
        .into_iter()
        .map(|(one, count)| match count > CONDITIONS {
            true => one.of_all_rows(),
            false => one,
        });
    each.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::mysql::Mysql;
    use crate::dialect::postgres::Postgres;
    use crate::dialect::sqlite::Sqlite;

    fn of(dialect: &dyn Dialect, script: &[&str]) -> Vec<(usize, String, String)> {
        let lex = LexMode::default();
        let classes: Vec<_> = script
            .iter()
            .map(|sql| dialect.classify(sql, &lex))
            .collect();
        let renames: Vec<_> = script
            .iter()
            .map(|sql| inverse::renames(sql, dialect, &lex))
            .collect();
        let found = all(script, &classes, &renames, dialect, &lex);
        let shown = found
            .into_iter()
            .map(|one| (one.at, one.columns.join(" "), one.only.replace('\n', "")));
        shown.collect()
    }

    fn one(dialect: &dyn Dialect, sql: &str) -> Option<(String, String)> {
        let found = of(dialect, &[sql]).pop();
        found.map(|(_, columns, only)| (columns, only))
    }

    #[test]
    fn an_update_of_one_table_is_read() {
        let is = |dialect: &dyn Dialect, sql: &str, columns: &str, only: &str| {
            assert_eq!(
                one(dialect, sql),
                Some((columns.into(), only.into())),
                "{sql}"
            );
        };
        for dialect in [&Mysql as &dyn Dialect, &Postgres, &Sqlite] {
            is(dialect, "UPDATE t SET a = 1", "a", "(1 = 1)");
            is(
                dialect,
                "update t set a = f(1, 2), b = 'x, y' where c = 1 and d in (1, 2)",
                "a b",
                "(c = 1 and d in (1, 2))",
            );
            is(
                dialect,
                "UPDATE t SET a = (SELECT max(b) FROM u WHERE u.c = 1) WHERE d = 2",
                "a",
                "(d = 2)",
            );
            is(
                dialect,
                "UPDATE t AS x SET a = x.b WHERE x.c = 1",
                "a",
                "(t.c = 1)",
            );
        }
        is(
            &Mysql,
            "UPDATE IGNORE t x SET x.a = 1, `b` = 2 WHERE x.c = 1 ORDER BY d LIMIT 3",
            "a b",
            "(t.c = 1)",
        );
        is(
            &Postgres,
            "UPDATE t SET (a, b) = (1, 2), c[1] = 3, d.e = 4 WHERE f RETURNING a",
            "a b c d",
            "(f)",
        );
        is(
            &Sqlite,
            "UPDATE OR IGNORE t SET (a, b) = (SELECT 1, 2) WHERE c",
            "a b",
            "(c)",
        );
    }

    #[test]
    fn what_reads_other_tables_to_find_its_rows_is_none() {
        for sql in [
            "UPDATE t, u SET t.a = 1",
            "UPDATE t JOIN u ON t.a = u.a SET t.b = 1",
            "UPDATE t SET a = 1 WHERE b IN (SELECT b FROM u)",
            "UPDATE t x SET a = 1 WHERE x.b = t.b",
        ] {
            assert_eq!(one(&Mysql, sql), None, "{sql}");
        }
        for sql in [
            "UPDATE t SET a = u.a FROM u WHERE t.b = u.b",
            "UPDATE ONLY t SET a = 1",
            "UPDATE t SET a = 1 WHERE CURRENT OF c",
            "WITH x AS (SELECT 1) UPDATE t SET a = 1",
        ] {
            assert_eq!(one(&Postgres, sql), None, "{sql}");
        }
        assert_eq!(one(&Sqlite, "UPDATE OR REPLACE t SET a = 1"), None);
    }

    #[test]
    fn what_the_undo_does_before_it_counts() {
        let own = |columns: &str, only: &str| (columns.to_owned(), only.to_owned());
        let last = |script: &[&str]| {
            of(&Mysql, script)
                .pop()
                .map(|(_, columns, only)| (columns, only))
        };
        let update = "UPDATE t SET a = 1 WHERE b = 2";
        assert_eq!(
            last(&["UPDATE t SET c = 1", update]),
            Some(own("a", "(b = 2)"))
        );
        assert_eq!(
            last(&["UPDATE u SET b = 1", update]),
            Some(own("a", "(b = 2)"))
        );
        // It may find other rows by then.
        assert_eq!(
            last(&["UPDATE t SET b = 1", update]),
            Some(own("a", "(1 = 1)"))
        );
        assert_eq!(
            last(&["CALL something()", update]),
            Some(own("a", "(1 = 1)"))
        );
        assert_eq!(
            last(&["UPDATE t JOIN u ON t.b = u.b SET t.b = 1", update]),
            Some(own("a", "(1 = 1)"))
        );
        // Another name, of the table and of columns.
        assert_eq!(
            last(&["ALTER TABLE u RENAME TO t", update]),
            Some(own("a", "(b = 2)"))
        );
        assert_eq!(
            last(&[
                "ALTER TABLE u RENAME TO t",
                "UPDATE t SET a = 1 WHERE t.b = 2"
            ]),
            None
        );
        assert_eq!(last(&["ALTER TABLE t RENAME COLUMN c TO a", update]), None);
        // Asked for otherwise.
        assert_eq!(last(&[update, "DROP TABLE t"]), None);
        assert_eq!(last(&["CREATE TABLE t (a int, b int)", update]), None);
        assert_eq!(
            last(&["UPDATE t SET a = 1, c = 2", "ALTER TABLE t DROP COLUMN c"]),
            Some(own("a", "(1 = 1)"))
        );
        assert_eq!(
            last(&["UPDATE t SET c = 2", "ALTER TABLE t DROP COLUMN c"]),
            None
        );
        let many: Vec<String> = (0..30)
            .map(|at| format!("UPDATE t SET a = {at} WHERE b = {at}"))
            .collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        let found = of(&Mysql, &many);
        assert_eq!((found.len(), found[0].0), (1, 29));
        assert!(found[0].2.contains("(b = 29)"));
    }
}
