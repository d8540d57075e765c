//! Which values an undo's UPDATEs, and its INSERTs into rows that are there, write over: columns of the rows that meet a
//! condition, by which they are compared with what the step has left, and saved before.

use super::delete::ALL;
use super::inverse::{self, Gone, Renames};
use super::updated::{self, Updated};
use super::upsert::{self, Given};
use crate::dialect::Dialect;
use crate::failure::ErrorClass;
use crate::limits;
use crate::schema::{Table, key};
use crate::sql::{Condition, Kind, LexMode, ObjectKind, ObjectRef, StatementClass};

/// How many conditions are asked at once; where there are more, all rows are.
const CONDITIONS: usize = 100;

/// What a statement of an undo writes over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Over {
    /// Which statement.
    pub at: usize,
    /// The table as the statement names it.
    pub named: ObjectRef,
    /// The name that it has before the undo.
    pub first: ObjectRef,
    columns: Vec<String>,
    /// All columns are written over but these, which the undo takes away itself, and those of the key.
    but: Option<Vec<String>>,
    only: String,
    given: Option<Given>,
}

impl Over {
    /// Its columns that hold something of their own, as the catalog spells them. One that is not there the undo makes itself.
    pub fn columns_of(&self, table: &Table) -> Vec<String> {
        let among = |all: &[String], name: &str| {
            let mut all = all.iter();
            all.any(|column| column.eq_ignore_ascii_case(name))
        };
        let key = key::of(table).unwrap_or_default();
        let is = |name: &str| match &self.but {
            Some(but) => !among(but, name) && !among(&key, name),
            None => among(&self.columns, name),
        };
        let there = table.columns.iter();
        let there = there.filter(|column| column.generated.is_none() && is(&column.name));
        there.map(|column| column.name.clone()).collect()
    }

    /// The condition that the rows meet before the undo.
    pub fn only_of(&self, table: &Table, dialect: &dyn Dialect) -> String {
        match &self.given {
            Some(given) => given.only(table, dialect).unwrap_or_else(|| ALL.into()),
            None => self.only.clone(),
        }
    }

    /// The same of all rows.
    pub fn of_all_rows(mut self) -> Self {
        self.only = ALL.into();
        self.given = None;
        self
    }
}

/// Whether a condition that cannot be asked is about what the undo itself makes, or of other types than it will be then: all rows are
/// meant.
pub fn asks_too_much(error: ErrorClass) -> bool {
    use ErrorClass::{Data, ObjectMissing, Other, Syntax, TypeMismatch};
    matches!(error, ObjectMissing | Syntax | TypeMismatch | Data | Other)
}

/// The statements of an undo of which it can be asked beforehand what they write over. Of tables that the undo makes, or that go
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
            .filter(|over| !over.columns.is_empty() || over.but.is_some())
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
        let Some(class) = classes.get(at).filter(|class| class.kind == Kind::Dml) else {
            continue;
        };
        let renamed = renames.get(..at).unwrap_or_default();
        let Some(read) = read(sql, class, dialect, lex) else {
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
        let whole = gone.iter().any(|gone| {
            let mut objects = [&gone.object, &gone.was].into_iter();
            objects.any(|object| object.kind == ObjectKind::Table && is_it(&object.name))
        });
        if (read.named && first != named) || column_renamed || made || whole {
            before.push((first, read));
            continue;
        }
        let dropped = columns_of(&gone, is_it);
        let goes = |name: &str| dropped.iter().any(|one| one.eq_ignore_ascii_case(name));
        let columns = read.columns.iter().filter(|name| !goes(name));
        let given = read.given.clone();
        let over = Over {
            at,
            columns: columns.cloned().collect(),
            given: given.map(|given| given.after(changed(&before, &first))),
            but: read.columns.is_empty().then_some(dropped),
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

fn read(
    sql: &str,
    class: &StatementClass,
    dialect: &dyn Dialect,
    lex: &LexMode,
) -> Option<Updated> {
    match class.verb.as_str() {
        "UPDATE" => updated::read(sql, dialect, lex),
        "INSERT" | "REPLACE" => upsert::read(sql, dialect, lex),
        _ => None,
    }
}

/// The columns of a table that these statements change.
fn changed(before: &[(ObjectRef, Updated)], first: &ObjectRef) -> Vec<String> {
    let before = before.iter().filter(|(table, _)| table == first);
    before
        .flat_map(|(_, update)| update.columns.clone())
        .collect()
}

/// The columns that an undo takes away from a table.
fn columns_of(gone: &[Gone], is_it: impl Fn(&str) -> bool) -> Vec<String> {
    let columns = gone.iter().flat_map(|gone| [&gone.object, &gone.was]);
    let columns = columns.filter(|object| {
        object.kind == ObjectKind::Column && object.parent.as_deref().is_some_and(&is_it)
    });
    columns.map(|object| object.name.clone()).collect()
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
        Kind::Dml if read.given.is_some() && ["INSERT", "REPLACE"].contains(&&*other.verb) => true,
        Kind::Dml | Kind::CopyIn => !touches(other),
        Kind::Ddl | Kind::Query | Kind::Session | Kind::Maintenance | Kind::Rights => true,
        Kind::Transaction | Kind::Call | Kind::Unknown => false,
    });
    let apart = before.iter().all(|(table, update)| {
        let asks = |column: &String| {
            let mut names = read.names.iter();
            names.any(|name| name.eq_ignore_ascii_case(column))
        };
        // Of a row that is given its keys tell.
        table != first || read.given.is_some() || !update.columns.iter().any(asks)
    });
    // What another table holds is asked before the undo, too.
    let said = |object: &ObjectRef| {
        let is = |name: &String| name.eq_ignore_ascii_case(&object.name);
        read.names.iter().any(is)
    };
    let mut changes = classes[..at]
        .iter()
        .filter(|other| !inverse::is_harmless(other));
    let still = !read.others
        || changes.all(|other| !other.touches.is_empty() && !other.touches.iter().any(said));
    let updates = before.iter().filter(|(_, update)| update.given.is_none());
    quiet && apart && still && read_before == updates.count()
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
                && (&other.0.columns, &other.0.but) == (&one.columns, &one.but)
                && other.0.given.is_some() == one.given.is_some()
        };
        match all.iter_mut().find(is_like) {
            Some((known, count)) => {
                *count += 1;
                known.at = one.at;
                known.only = format!("{} OR {}", known.only, one.only);
                known.given = known.given.take().zip(one.given).and_then(Given::and);
            }
            None => all.push((one, 1)),
        }
    }
    let each =
        all.into_iter().map(
            |(one, count)| match count > CONDITIONS && one.given.is_none() {
                true => one.of_all_rows(),
                false => one,
            },
        );
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
    fn an_update_that_reads_other_tables_finds_its_rows_by_them() {
        let itself = "EXISTS (SELECT 1 FROM (SELECT 1 AS dunlin_one) AS dunlin_one";
        for (sql, columns, only) in [
            (
                "UPDATE t JOIN u ON t.a = u.a SET t.b = u.b WHERE u.c = 1",
                "b",
                format!("({itself} JOIN u ON t.a = u.aWHERE (u.c = 1)))"),
            ),
            (
                "UPDATE t x, u SET x.b = 1, x.c = 2 WHERE x.a = u.a",
                "b c",
                format!("({itself} , uWHERE (t.a = u.a)))"),
            ),
            (
                "UPDATE t SET a = 1 WHERE b IN (SELECT b FROM u)",
                "a",
                "(b IN (SELECT b FROM u))".to_owned(),
            ),
        ] {
            let found = one(&Mysql, sql);
            assert_eq!(found, Some((columns.to_owned(), only)), "{sql}");
        }
        let from = "UPDATE t AS x SET a = u.a FROM u JOIN v ON u.d = v.d WHERE x.b = u.b";
        let only = "(EXISTS (SELECT 1 FROM u JOIN v ON u.d = v.dWHERE (t.b = u.b)))";
        for dialect in [&Postgres as &dyn Dialect, &Sqlite] {
            assert_eq!(one(dialect, from), Some(("a".into(), only.into())));
        }
        // It may be another thing by then.
        let before = ["DELETE FROM u", "UPDATE t SET a = 1 FROM u WHERE t.b = u.b"];
        let found = of(&Postgres, &before).pop().map(|(_, _, only)| only);
        assert_eq!(found.as_deref(), Some("(1 = 1)"));
    }

    #[test]
    fn what_cannot_be_asked_by_rows_of_one_table_is_none() {
        for sql in [
            "UPDATE t, u SET u.a = 1 WHERE t.b = u.b",
            "UPDATE t, u SET a = 1 WHERE t.b = u.b",
            "UPDATE t NATURAL JOIN u SET t.b = 1",
            "UPDATE t RIGHT JOIN u ON t.a = u.a SET t.b = 1",
            "UPDATE t PARTITION (p) SET b = 1",
            "UPDATE t x SET a = 1 WHERE x.b = t.b",
        ] {
            assert_eq!(one(&Mysql, sql), None, "{sql}");
        }
        for sql in [
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
            last(&["UPDATE u JOIN t ON t.b = u.b SET t.b = 1", update]),
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
