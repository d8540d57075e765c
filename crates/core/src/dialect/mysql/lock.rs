//! What a statement locks, scans and rewrites: its hazards.

use crate::dialect::Guard;
use crate::sql::change::{Change, ColumnFacts, ConstraintKind, Ddl};
use crate::sql::outside::WaysOut;
use crate::sql::rows::Written;
use crate::sql::{Hazard, ObjectKind, ObjectRef, StatementClass};

/// What leads out of a database here. Names of other databases do, too; tables of these engines keep their rows
/// elsewhere.
pub const WAYS_OUT: WaysOut = WaysOut {
    verbs: &[
        "USE",
        "GRANT",
        "REVOKE",
        "RENAME USER",
        "KILL",
        "FLUSH",
        "RESET",
        "PURGE",
        "CHANGE",
        "START",
        "STOP",
        "INSTALL",
        "UNINSTALL",
        "SHUTDOWN",
        "RESTART",
        "CLONE",
        "LOAD INDEX",
        "CACHE",
        "BINLOG",
        "HANDLER",
        "SET GLOBAL",
        "SET PERSIST",
        "SET PERSIST_ONLY",
        "SET PASSWORD",
        "SET ROLE",
        "SET DEFAULT ROLE",
        "LOCK INSTANCE",
        "CREATE DATABASE",
        "CREATE SCHEMA",
        "CREATE USER",
        "CREATE ROLE",
        "CREATE SERVER",
        "CREATE TABLESPACE",
        "CREATE LOGFILE",
        "CREATE RESOURCE",
        "CREATE OR REPLACE DATABASE",
        "CREATE OR REPLACE SCHEMA",
        "CREATE OR REPLACE USER",
        "CREATE OR REPLACE ROLE",
        "CREATE OR REPLACE SERVER",
        "ALTER DATABASE",
        "ALTER SCHEMA",
        "ALTER USER",
        "ALTER INSTANCE",
        "ALTER SERVER",
        "ALTER TABLESPACE",
        "ALTER RESOURCE",
        "DROP DATABASE",
        "DROP SCHEMA",
        "DROP USER",
        "DROP ROLE",
        "DROP SERVER",
        "DROP TABLESPACE",
        "DROP RESOURCE",
    ],
    words: &["OUTFILE", "DUMPFILE", "SONAME"],
    named: &[(
        "ENGINE",
        &["federated", "federatedx", "spider", "connect", "s3"],
    )],
    calls: &["sys_exec", "sys_eval", "MASTER_POS_WAIT"],
    runs_text: &["PREPARE", "EXECUTE"],
};

/// Nothing needs watching here: what a statement does, it says.
pub fn guard(_statements: &[StatementClass]) -> Option<Guard> {
    None
}

fn hazard(code: &'static str, message: String) -> Hazard {
    Hazard { code, message }
}

/// What a DDL statement does to others. Measured on the newest releases of both servers; where they differ, the worse.
pub fn hazards(ddl: &Ddl) -> Vec<Hazard> {
    let fresh = |object: &ObjectRef| ddl.changes.contains(&Change::Create(object.clone()));
    let mut found: Vec<Hazard> = ddl.changes.iter().flat_map(of_change).collect();
    if ddl.or_replace && ddl.verb == "CREATE TABLE" {
        found.push(hazard(
            "data-loss",
            "a table that is there is dropped with its rows".into(),
        ));
    }
    if ddl.table.as_ref().is_some_and(fresh) || ddl.temporary {
        found.clear();
    }
    if ddl.changes.contains(&Change::Quiet("ONLINE")) {
        found.retain(|hazard| !["table-rewrite", "blocking-index"].contains(&hazard.code));
    }
    found.dedup_by(|a, b| a.code == b.code && a.message == b.message);
    found
}

fn of_change(change: &Change) -> Vec<Hazard> {
    match change {
        Change::Drop(object) => match object.kind {
            ObjectKind::Table | ObjectKind::Column | ObjectKind::Schema | ObjectKind::Database => {
                vec![hazard(
                    "data-loss",
                    format!("{object} goes with everything in it"),
                )]
            }
            _ => vec![],
        },
        Change::Empty(table) => vec![hazard("data-loss", format!("all rows of {table} go"))],
        Change::AddColumn(column, facts) => of_column(column, facts),
        Change::ColumnType(column, _) => vec![hazard(
            "table-rewrite",
            format!(
                "{column} may get another type: then the whole table is copied, and writes wait"
            ),
        )],
        Change::AddIndex {
            index,
            special: true,
            ..
        } => {
            vec![hazard(
                "blocking-index",
                format!("writes wait while {index} is built"),
            )]
        }
        Change::AddConstraint {
            kind: ConstraintKind::ForeignKey,
            ..
        } => {
            let message = "the table is copied to add a foreign key, and writes wait";
            vec![hazard(
                "table-rewrite",
                format!("{message} (unless foreign_key_checks is off)"),
            )]
        }
        Change::AddConstraint {
            kind: ConstraintKind::Check,
            cheap: false,
            ..
        } => {
            vec![hazard(
                "table-rewrite",
                "the table is copied to check its rows, and writes wait".into(),
            )]
        }
        Change::AddConstraint {
            kind: ConstraintKind::PrimaryKey,
            ..
        }
        | Change::DropConstraint(_, ConstraintKind::PrimaryKey) => {
            vec![hazard(
                "table-rewrite",
                "the table is rebuilt around another primary key".into(),
            )]
        }
        Change::Quiet("REBUILD" | "ENGINE") => {
            vec![hazard("table-rewrite", "the whole table is rebuilt".into())]
        }
        Change::Rename(from, _) if matches!(from.kind, ObjectKind::Table | ObjectKind::Column) => {
            let message = format!("whoever still says {from} fails from this moment on");
            vec![hazard("rename-breaks-clients", message)]
        }
        _ => vec![],
    }
}

fn of_column(column: &ObjectRef, facts: &ColumnFacts) -> Vec<Hazard> {
    let mut found = vec![];
    if facts.stored
        || facts.check
        || facts.counter
        || facts.references
        || (facts.default_computed && !facts.is_virtual)
    {
        found.push(hazard(
            "table-rewrite",
            format!("the table is copied to add {column}, and writes wait"),
        ));
    }
    if facts.not_null && !facts.default && !facts.counter && !facts.stored && !facts.is_virtual {
        let message = format!(
            "{column} is NOT NULL without a default: rows that are there get 0 or an empty text"
        );
        found.push(hazard("not-null-without-default", message));
    }
    found
}

/// What a statement on rows does to others.
pub fn of_rows(written: &Written) -> Vec<Hazard> {
    if !written.every_row {
        return vec![];
    }
    let tables: Vec<String> = written.tables.iter().map(ToString::to_string).collect();
    let what = if written.verb == "DELETE" {
        "deletes"
    } else {
        "overwrites"
    };
    vec![hazard(
        "data-loss",
        format!(
            "it has no WHERE: it {what} every row of {}",
            tables.join(", ")
        ),
    )]
}
