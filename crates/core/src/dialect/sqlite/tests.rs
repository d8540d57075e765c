//! What each statement is.
#![allow(clippy::unwrap_used)]

use super::lex::classify;
use crate::sql::{Condition, Kind, LexMode, SessionState, StatementClass, TxUse};

fn class(sql: &str) -> StatementClass {
    classify(sql, &LexMode::default())
}

fn post(sql: &str) -> Vec<String> {
    let show = |condition: &Condition| match condition {
        Condition::Exists(object) => format!("+{object}"),
        Condition::Missing(object) => format!("-{object}"),
        other => format!("{other:?}"),
    };
    class(sql).post.iter().map(show).collect()
}

#[test]
fn families_and_transactions() {
    use {Kind::*, TxUse::*};
    for (sql, kind, tx) in [
        ("CREATE TABLE t (a)", Ddl, Inside),
        ("VACUUM", Maintenance, Outside),
        ("REINDEX", Maintenance, Inside),
        ("PRAGMA foreign_keys = OFF", Session, Outside),
        ("PRAGMA main.journal_mode(WAL)", Session, Outside),
        ("PRAGMA defer_foreign_keys = ON", Session, Inside),
        ("PRAGMA user_version = 5", Ddl, Inside),
        ("PRAGMA user_version", Query, Inside),
        ("PRAGMA table_info(t)", Query, Inside),
        ("PRAGMA foreign_key_check", Query, Inside),
        ("ATTACH 'x' AS y", Session, Outside),
        ("BEGIN IMMEDIATE", Transaction, Inside),
        (
            "WITH x AS (SELECT 1) INSERT INTO t SELECT * FROM x",
            Dml,
            Inside,
        ),
        ("INSERT OR IGNORE INTO t VALUES (1)", Dml, Inside),
        ("SELECT anything(1)", Query, Inside),
        ("FROBNICATE", Unknown, Inside),
    ] {
        let class = class(sql);
        assert_eq!((class.kind, class.tx), (kind, tx), "{sql}");
    }
    assert_eq!(class("CREATE TEMP TABLE t (a)").state, SessionState::Shares);
    assert_eq!(
        class("INSERT INTO t VALUES (last_insert_rowid())").state,
        SessionState::Shares
    );
    assert_eq!(class("PRAGMA foreign_keys = OFF").state, SessionState::Sets);
}

#[test]
fn postconditions_inverses_and_hazards() {
    #[allow(clippy::type_complexity)]
    let cases: &[(&str, &[&str], &[&str], &[&str])] = &[
        (
            "CREATE TABLE [a b] (x)",
            &["+table a b"],
            &["DROP TABLE \"a b\""],
            &[],
        ),
        (
            "CREATE VIRTUAL TABLE f USING fts5(x)",
            &["+table f"],
            &["DROP TABLE \"f\""],
            &[],
        ),
        (
            "CREATE UNIQUE INDEX main.i ON t (x) WHERE x > 1",
            &["+index main.t.i"],
            &["DROP INDEX \"main\".\"i\""],
            &["blocking-index"],
        ),
        (
            "CREATE TRIGGER g INSTEAD OF INSERT ON v BEGIN SELECT 1; END",
            &["+trigger v.g"],
            &["DROP TRIGGER \"g\""],
            &[],
        ),
        (
            "CREATE VIEW IF NOT EXISTS v AS SELECT 1",
            &["+view v"],
            &["DROP VIEW \"v\""],
            &[],
        ),
        (
            "ALTER TABLE t_new RENAME TO t",
            &["-table t_new", "+table t"],
            &["ALTER TABLE \"t\" RENAME TO \"t_new\""],
            &[],
        ),
        (
            "ALTER TABLE t RENAME x TO y",
            &["-column t.x", "+column t.y"],
            &["ALTER TABLE \"t\" RENAME COLUMN \"y\" TO \"x\""],
            &["rename-breaks-clients"],
        ),
        (
            "ALTER TABLE t ADD x TEXT NOT NULL DEFAULT ''",
            &["+column t.x"],
            &["ALTER TABLE \"t\" DROP COLUMN \"x\""],
            &[],
        ),
        (
            "ALTER TABLE t DROP COLUMN x",
            &["-column t.x"],
            &["none"],
            &["data-loss", "table-rewrite"],
        ),
        (
            "DROP TABLE IF EXISTS t",
            &["-table t"],
            &["none"],
            &["data-loss"],
        ),
        ("UPDATE t SET x = 1", &[], &["none"], &["data-loss"]),
    ];
    for (sql, after, back, hazards) in cases {
        assert_eq!(post(sql), *after, "{sql}");
        let class = class(sql);
        assert_eq!(
            class.inverse.unwrap_or_else(|| vec!["none".into()]),
            *back,
            "{sql}"
        );
        assert_eq!(
            class
                .hazards
                .iter()
                .map(|hazard| hazard.code)
                .collect::<Vec<_>>(),
            *hazards,
            "{sql}"
        );
    }
}
