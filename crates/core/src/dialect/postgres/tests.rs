//! What each statement is.
#![allow(clippy::unwrap_used)]

use super::concurrent::name_concurrent_index;
use super::lex::classify;
use crate::sql::{Condition, Kind, LexMode, SessionState, StatementClass, TxUse};

fn class(sql: &str) -> StatementClass {
    classify(sql, &LexMode::default())
}

fn post(sql: &str) -> Vec<String> {
    let show = |condition: &Condition| match condition {
        Condition::Exists(object) => format!("+{object}"),
        Condition::Missing(object) => format!("-{object}"),
        Condition::Empty(object) => format!("empty {object}"),
        Condition::ColumnType(object, text) => format!("{object}: {text}"),
        Condition::Body(object, text) => format!("{object} = {text}"),
        Condition::Rows(..) | Condition::Unwritten(_) => "asked by an undo only".into(),
    };
    class(sql).post.iter().map(show).collect()
}

#[test]
fn families_and_transactions() {
    use {Kind::*, TxUse::*};
    for (sql, kind, tx) in [
        ("CREATE TABLE t (a int)", Ddl, Inside),
        ("CREATE INDEX CONCURRENTLY i ON t (a)", Ddl, Outside),
        (
            "CREATE UNIQUE INDEX concurrently IF NOT EXISTS i ON t (a)",
            Ddl,
            Outside,
        ),
        ("DROP INDEX CONCURRENTLY i", Ddl, Outside),
        ("REINDEX TABLE CONCURRENTLY t", Maintenance, Outside),
        ("REINDEX (VERBOSE) TABLE t", Maintenance, Inside),
        ("VACUUM FULL t", Maintenance, Outside),
        ("ANALYZE t", Maintenance, Inside),
        (
            "REFRESH MATERIALIZED VIEW CONCURRENTLY v",
            Maintenance,
            Inside,
        ),
        ("ALTER TYPE mood ADD VALUE 'x'", Ddl, Outside),
        ("ALTER TYPE mood RENAME TO m", Ddl, Inside),
        ("CREATE DATABASE d", Ddl, Outside),
        ("DROP DATABASE IF EXISTS d", Ddl, Outside),
        ("CREATE TABLESPACE x LOCATION '/x'", Ddl, Outside),
        ("ALTER SYSTEM SET a = 1", Ddl, Outside),
        (
            "CREATE SUBSCRIPTION s CONNECTION 'x' PUBLICATION p",
            Ddl,
            Outside,
        ),
        (
            "ALTER TABLE t DETACH PARTITION p CONCURRENTLY",
            Ddl,
            Outside,
        ),
        ("COMMENT ON TABLE t IS 'x'", Ddl, Inside),
        ("CREATE ROLE r", Rights, Inside),
        (
            "ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO r",
            Rights,
            Inside,
        ),
        ("CREATE USER MAPPING FOR u SERVER s", Ddl, Inside),
        (
            "WITH gone AS (DELETE FROM t RETURNING *) INSERT INTO u SELECT * FROM gone",
            Dml,
            Inside,
        ),
        (
            "WITH gone AS (DELETE FROM t RETURNING *) SELECT count(*) FROM gone",
            Dml,
            Inside,
        ),
        ("WITH x AS (SELECT 1) SELECT * FROM x", Query, Inside),
        ("SELECT setval('s', 5)", Call, Inside),
        (
            "SELECT pg_catalog.set_config('search_path', '', false)",
            Session,
            Inside,
        ),
        ("SELECT 1 INTO t", Ddl, Inside),
        ("COPY t (a) FROM stdin", CopyIn, Inside),
        ("COPY t TO stdout", Query, Inside),
        ("DO $$ BEGIN END $$", Call, Inside),
        ("SET LOCAL search_path = a", Session, Inside),
        ("PREPARE TRANSACTION 'x'", Transaction, Inside),
        ("END", Transaction, Inside),
        ("EXPLAIN ANALYZE DELETE FROM t", Call, Inside),
        ("FROBNICATE", Unknown, Inside),
    ] {
        let class = class(sql);
        assert_eq!((class.kind, class.tx), (kind, tx), "{sql}");
    }
    for (sql, state) in [
        ("CREATE TEMP TABLE t (a int)", SessionState::Shares),
        ("PREPARE s AS SELECT 1", SessionState::Shares),
        ("INSERT INTO t VALUES (currval('s'))", SessionState::Shares),
        ("SET x = 1", SessionState::Sets),
        ("INSERT INTO t VALUES (nextval('s'))", SessionState::None),
    ] {
        assert_eq!(class(sql).state, state, "{sql}");
    }
}

#[test]
fn postconditions_and_inverses() {
    let cases: &[(&str, &[&str], &[&str])] = &[
        (
            "CREATE TABLE IF NOT EXISTS A.\"T\" (id serial)",
            &["+table a.T"],
            &["DROP TABLE \"a\".\"T\""],
        ),
        (
            "CREATE TABLE t AS SELECT 1",
            &["+table t"],
            &["DROP TABLE \"t\""],
        ),
        (
            "CREATE INDEX CONCURRENTLY I ON s.T (a)",
            &["+index s.t.i"],
            &["DROP INDEX CONCURRENTLY \"s\".\"i\""],
        ),
        ("CREATE INDEX ON t (a)", &[], &["none"]),
        (
            "CREATE CONSTRAINT TRIGGER g AFTER UPDATE OF a, b ON s.t FOR EACH ROW EXECUTE FUNCTION f()",
            &["+trigger s.t.g"],
            &["DROP TRIGGER \"g\" ON \"s\".\"t\""],
        ),
        (
            "CREATE FUNCTION f(a int DEFAULT 1, OUT b text) RETURNS text AS $$ SELECT 1 $$ LANGUAGE sql",
            &["+function f"],
            &["DROP FUNCTION \"f\"(a int, OUT b text)"],
        ),
        (
            "CREATE OR REPLACE FUNCTION f() RETURNS int AS 'x'",
            &["+function f"],
            &["none"],
        ),
        (
            "CREATE MATERIALIZED VIEW v AS SELECT 1",
            &["+materialized view v"],
            &["DROP MATERIALIZED VIEW \"v\""],
        ),
        (
            "CREATE TYPE mood AS ENUM ('a')",
            &["+type mood"],
            &["DROP TYPE \"mood\""],
        ),
        (
            "CREATE DOMAIN d AS int CHECK (VALUE > 0)",
            &["+type d"],
            &["DROP TYPE \"d\""],
        ),
        (
            "CREATE EXTENSION IF NOT EXISTS pgcrypto",
            &["+extension pgcrypto"],
            &["DROP EXTENSION \"pgcrypto\""],
        ),
        (
            "ALTER TYPE s.mood ADD VALUE IF NOT EXISTS 'it''s' BEFORE 'b'",
            &["+enum value s.mood.it's"],
            &["none"],
        ),
        (
            "ALTER TABLE ONLY t ADD a int, ADD COLUMN b timestamp with time zone DEFAULT now(), ADD CONSTRAINT k \
             CHECK (a > 0) NOT VALID, ADD PRIMARY KEY (a)",
            &[
                "+column t.a",
                "+column t.b",
                "+constraint t.k",
                "+constraint t.t_pkey",
            ],
            &[
                "ALTER TABLE \"t\" DROP CONSTRAINT \"t_pkey\"",
                "ALTER TABLE \"t\" DROP CONSTRAINT \"k\"",
                "ALTER TABLE \"t\" DROP COLUMN \"b\"",
                "ALTER TABLE \"t\" DROP COLUMN \"a\"",
            ],
        ),
        (
            "ALTER TABLE t ALTER a TYPE numeric(10, 2) USING a::numeric",
            &["column t.a: numeric(10, 2)"],
            &["none"],
        ),
        (
            "ALTER TABLE t RENAME a TO b",
            &["-column t.a", "+column t.b"],
            &["ALTER TABLE \"t\" RENAME COLUMN \"b\" TO \"a\""],
        ),
        (
            "ALTER TABLE s.t RENAME TO u",
            &["-table s.t", "+table s.u"],
            &["ALTER TABLE \"s\".\"u\" RENAME TO \"t\""],
        ),
        (
            "ALTER TABLE s.t SET SCHEMA z",
            &["-table s.t", "+table z.t"],
            &["ALTER TABLE \"z\".\"t\" SET SCHEMA \"s\""],
        ),
        (
            "ALTER INDEX i RENAME TO j",
            &["-index i", "+index j"],
            &["ALTER INDEX \"j\" RENAME TO \"i\""],
        ),
        ("ALTER TABLE t OWNER TO me", &[], &["none"]),
        (
            "DROP TABLE a, b CASCADE",
            &["-table a", "-table b"],
            &["none"],
        ),
        (
            "DROP FUNCTION f(int, text), g()",
            &["-function f", "-function g"],
            &["none"],
        ),
        (
            "DROP TRIGGER IF EXISTS g ON t",
            &["-trigger t.g"],
            &["none"],
        ),
        (
            "TRUNCATE ONLY a, b RESTART IDENTITY",
            &["empty table a", "empty table b"],
            &["none"],
        ),
        ("CREATE POLICY p ON t", &[], &["none"]),
    ];
    for (sql, after, back) in cases {
        assert_eq!(post(sql), *after, "{sql}");
        assert_eq!(
            class(sql).inverse.unwrap_or_else(|| vec!["none".into()]),
            *back,
            "{sql}"
        );
    }
    let long = "x".repeat(70);
    assert_eq!(
        post(&format!("CREATE TABLE {long} (a int)")),
        [format!("+table {}", "x".repeat(63))]
    );
}

#[test]
fn hazards() {
    let hazards = |sql: &str| {
        class(sql)
            .hazards
            .iter()
            .map(|hazard| hazard.code)
            .collect::<Vec<_>>()
    };
    let cases: &[(&str, &[&str])] = &[
        ("ALTER TABLE t ADD a int", &[]),
        ("ALTER TABLE t ADD a int NOT NULL DEFAULT 1", &[]),
        (
            "ALTER TABLE t ADD a timestamptz NOT NULL DEFAULT now()",
            &[],
        ),
        (
            "ALTER TABLE t ADD a int NOT NULL",
            &["not-null-without-default"],
        ),
        (
            "ALTER TABLE t ADD a uuid DEFAULT gen_random_uuid()",
            &["table-rewrite"],
        ),
        ("ALTER TABLE t ADD a bigserial", &["table-rewrite"]),
        (
            "ALTER TABLE t ADD a int GENERATED ALWAYS AS (b + 1) STORED",
            &["table-rewrite"],
        ),
        (
            "ALTER TABLE t ADD a int CHECK (a > 0)",
            &["lock-table-scan"],
        ),
        ("ALTER TABLE t ALTER a SET NOT NULL", &["lock-table-scan"]),
        ("ALTER TABLE t ALTER a TYPE bigint", &["table-rewrite"]),
        (
            "ALTER TABLE t ADD CONSTRAINT f FOREIGN KEY (a) REFERENCES u (b)",
            &["lock-table-scan"],
        ),
        (
            "ALTER TABLE t ADD CONSTRAINT f FOREIGN KEY (a) REFERENCES u (b) NOT VALID",
            &["lock-writes"],
        ),
        ("ALTER TABLE t ADD CONSTRAINT u UNIQUE USING INDEX i", &[]),
        ("ALTER TABLE t VALIDATE CONSTRAINT f", &[]),
        ("CREATE INDEX i ON t (a)", &["blocking-index"]),
        ("CREATE INDEX ON t (a)", &["blocking-index"]),
        (
            "CREATE INDEX CONCURRENTLY i ON t (a)",
            &["index-may-stay-invalid"],
        ),
        ("ALTER TABLE t DROP a, DROP CONSTRAINT b", &["data-loss"]),
        ("DELETE FROM t", &["data-loss"]),
        ("VACUUM FULL t", &["table-rewrite"]),
        ("ALTER TABLE a RENAME TO b", &["rename-breaks-clients"]),
    ];
    for (sql, expected) in cases {
        assert_eq!(hazards(sql), *expected, "{sql}");
    }
}

#[test]
fn indexes_without_a_name_get_one() {
    let named = |sql: &str| name_concurrent_index(sql).unwrap();
    assert_eq!(
        named(
            "CREATE UNIQUE INDEX CONCURRENTLY /* on */ ON ONLY s.Users USING btree (Email, lower(name)) WHERE x"
        ),
        "CREATE UNIQUE INDEX CONCURRENTLY /* on */ \"users_email_lower_idx\" ON ONLY s.Users USING btree (Email, \
         lower(name)) WHERE x"
    );
    assert_eq!(
        named("CREATE INDEX CONCURRENTLY ON t ((a || b))"),
        "CREATE INDEX CONCURRENTLY \"t_expr_idx\" ON t ((a || b))"
    );
    let long = named(&format!(
        "CREATE INDEX CONCURRENTLY ON {} ({})",
        "t".repeat(50),
        "c".repeat(50)
    ));
    let name = long.split('"').nth(1).unwrap();
    assert!(name.len() <= 63 && name.ends_with("_idx"), "{name}");
    assert_eq!(
        name_concurrent_index("CREATE INDEX CONCURRENTLY i ON t (a)"),
        None
    );
    assert_eq!(name_concurrent_index("CREATE INDEX ON t (a)"), None);
}
