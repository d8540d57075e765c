//! What a statement locks, scans and rewrites: its hazards.

use crate::dialect::{Guard, Switch};
use crate::sql::change::{Change, ColumnFacts, ConstraintKind, Ddl};
use crate::sql::outside::WaysOut;
use crate::sql::rows::Written;
use crate::sql::words::Words;
use crate::sql::{Hazard, ObjectKind, ObjectRef, StatementClass, TxUse};

/// What leads out of a database here: the server's own objects, other servers, and its machine.
pub const WAYS_OUT: WaysOut = WaysOut {
    verbs: &[
        "CREATE DATABASE",
        "CREATE ROLE",
        "CREATE USER",
        "CREATE GROUP",
        "CREATE TABLESPACE",
        "CREATE SUBSCRIPTION",
        "CREATE SERVER",
        "CREATE FOREIGN",
        "ALTER DATABASE",
        "ALTER ROLE",
        "ALTER USER",
        "ALTER GROUP",
        "ALTER TABLESPACE",
        "ALTER SUBSCRIPTION",
        "ALTER SERVER",
        "ALTER FOREIGN",
        "ALTER SYSTEM",
        "DROP DATABASE",
        "DROP ROLE",
        "DROP USER",
        "DROP GROUP",
        "DROP TABLESPACE",
        "DROP SUBSCRIPTION",
        "IMPORT FOREIGN",
        "LOAD",
    ],
    words: &[],
    named: &[
        ("FROM", &["program"]),
        ("TO", &["program"]),
        (
            "EXTENSION",
            &[
                "dblink",
                "postgres_fdw",
                "file_fdw",
                "mysql_fdw",
                "oracle_fdw",
                "tds_fdw",
                "plpython3u",
                "plpythonu",
                "plperlu",
                "pltclu",
                "plsh",
                "pg_cron",
                "pg_net",
                "http",
                "adminpack",
                "pg_background",
            ],
        ),
        (
            "LANGUAGE",
            &["plpython3u", "plpythonu", "plperlu", "pltclu", "plsh"],
        ),
    ],
    calls: &[
        "lo_export",
        "pg_terminate_backend",
        "pg_cancel_backend",
        "pg_reload_conf",
        "pg_rotate_logfile",
        "pg_create_logical_replication_slot",
        "pg_drop_replication_slot",
        "pg_promote",
    ],
    runs_text: &[],
};

/// A concurrent build waits for transactions that began before it and blocks nobody meanwhile: the bound on lock waits
/// would only make it fail and begin again.
pub fn guard(statements: &[StatementClass]) -> Option<Guard> {
    let outside = statements
        .iter()
        .any(|statement| statement.tx == TxUse::Outside);
    outside.then(|| Guard {
        switches: vec![Switch {
            read: "SHOW lock_timeout".into(),
            set: "SET lock_timeout = 0".into(),
            restore: "SET lock_timeout = '{}'".into(),
        }],
        watches: vec![],
    })
}

fn hazard(code: &'static str, message: String) -> Hazard {
    Hazard { code, message }
}

/// What a DDL statement does to others: measured on versions 12 to 18, which agree but for what is said below.
pub fn hazards(ddl: &Ddl) -> Vec<Hazard> {
    if ddl.temporary {
        return vec![];
    }
    let mut found: Vec<Hazard> = ddl
        .changes
        .iter()
        .flat_map(|change| of_change(ddl, change))
        .collect();
    found.dedup();
    found
}

fn of_change(ddl: &Ddl, change: &Change) -> Vec<Hazard> {
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
        Change::Create(object) if object.kind == ObjectKind::Trigger => {
            vec![hazard(
                "lock-writes",
                "writes to the table wait while the trigger is made".into(),
            )]
        }
        Change::AddColumn(column, facts) => of_column(column, facts),
        Change::ColumnType(column, _) => {
            let message = format!(
                "{column} gets another type: unless it only widens, the whole table is rewritten and everyone waits"
            );
            vec![hazard("table-rewrite", message)]
        }
        Change::SetNotNull(column) => {
            let message = format!(
                "every row is looked at for {column}, and everyone waits (unless a validated CHECK proves it)"
            );
            vec![hazard("lock-table-scan", message)]
        }
        Change::AddIndex { index, .. } if ddl.concurrently => {
            vec![hazard(
                "index-may-stay-invalid",
                format!("{index} stays behind, invalid, if its build is interrupted"),
            )]
        }
        Change::AddIndex { index, .. } => vec![hazard(
            "blocking-index",
            format!("writes wait while {index} is built"),
        )],
        Change::Quiet("INDEX") if !ddl.concurrently => {
            vec![hazard(
                "blocking-index",
                "writes wait while the index is built".into(),
            )]
        }
        Change::AddConstraint {
            kind, cheap: false, ..
        } => of_constraint(*kind),
        Change::AddConstraint {
            kind: ConstraintKind::ForeignKey,
            ..
        } => {
            vec![hazard(
                "lock-writes",
                "writes to both tables wait for a moment".into(),
            )]
        }
        Change::Quiet("ATTACH") => vec![hazard(
            "lock-table-scan",
            "every row of the new partition is looked at".into(),
        )],
        Change::Quiet("REBUILD") => vec![hazard(
            "table-rewrite",
            "the whole table is written anew, and everyone waits".into(),
        )],
        Change::Quiet("IDENTITY") => {
            vec![hazard("lock-writes", "everyone waits for a moment".into())]
        }
        Change::Rename(from, _)
            if matches!(
                from.kind,
                ObjectKind::Table | ObjectKind::Column | ObjectKind::View
            ) =>
        {
            let message = format!("whoever still says {from} fails from this moment on");
            vec![hazard("rename-breaks-clients", message)]
        }
        _ => vec![],
    }
}

fn of_constraint(kind: ConstraintKind) -> Vec<Hazard> {
    let message = match kind {
        ConstraintKind::ForeignKey => "every row is looked at, and writes to both tables wait",
        ConstraintKind::Unique | ConstraintKind::PrimaryKey | ConstraintKind::Exclude => {
            "an index is built over the whole table, and everyone waits"
        }
        _ => "every row is looked at, and everyone waits",
    };
    vec![hazard("lock-table-scan", message.into())]
}

fn of_column(column: &ObjectRef, facts: &ColumnFacts) -> Vec<Hazard> {
    // Their value is taken once for all rows that are there.
    const STABLE: &[&str] = &[
        "now",
        "current_timestamp",
        "current_date",
        "current_time",
        "transaction_timestamp",
        "statement_timestamp",
        "localtimestamp",
        "localtime",
        "current_user",
        "session_user",
        "timezone",
        "date_trunc",
        "to_timestamp",
    ];
    let unstable = facts
        .default_calls
        .iter()
        .any(|call| !STABLE.contains(&call.as_str()));
    let mut found = vec![];
    if facts.counter || facts.stored || unstable {
        let message = format!("the whole table is rewritten to fill {column}, and everyone waits");
        found.push(hazard("table-rewrite", message));
    }
    if facts.check {
        found.push(hazard(
            "lock-table-scan",
            format!("every row is looked at for the CHECK of {column}, and everyone waits"),
        ));
    }
    if facts.unique {
        found.push(hazard(
            "lock-table-scan",
            format!("an index is built for {column}, and everyone waits"),
        ));
    }
    if facts.not_null && !facts.default && !facts.counter && !facts.stored && !facts.is_virtual {
        let message = format!(
            "{column} is NOT NULL without a default: the statement fails if the table holds a row"
        );
        found.push(hazard("not-null-without-default", message));
    }
    found
}

/// What maintenance does to others.
pub fn of_maintenance(words: &Words<'_>, verb: &str) -> Vec<Hazard> {
    let concurrently = words.has(&["CONCURRENTLY"]);
    match verb {
        "VACUUM" if words.has(&["FULL"]) => vec![hazard(
            "table-rewrite",
            "the whole table is written anew, and everyone waits".into(),
        )],
        "CLUSTER" => vec![hazard(
            "table-rewrite",
            "the whole table is written anew, and everyone waits".into(),
        )],
        "REINDEX" if !concurrently => vec![hazard(
            "blocking-index",
            "writes wait while indexes are built anew".into(),
        )],
        "REFRESH" if !concurrently => vec![hazard(
            "lock-table-scan",
            "readers of the view wait until it is filled anew".into(),
        )],
        _ => vec![],
    }
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
