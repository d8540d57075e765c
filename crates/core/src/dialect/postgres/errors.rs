//! Native error codes (SQLSTATE), and what kind of trouble each is.

use crate::failure::ErrorClass;

/// The class of a SQLSTATE.
pub fn class(code: &str, message: &str) -> ErrorClass {
    match code {
        "57P03" => ErrorClass::Starting,
        "3D000" => ErrorClass::DatabaseMissing,
        "28000" if message.contains("no encryption") || message.contains("SSL off") => {
            ErrorClass::Tls
        }
        "28P01" | "28000" => ErrorClass::AuthFailed,
        "42501" => ErrorClass::PermissionDenied,
        "53300" => ErrorClass::TooManyConnections,
        // The server ended the session: told to (57P01), crashed (57P02), idle too long (57P05, 25P03).
        "57P01" | "57P02" | "57P05" | "25P03" | "25P04" => ErrorClass::ConnectionLost,
        "40P01" => ErrorClass::Deadlock,
        "40001" => ErrorClass::Serialization,
        "55P03" => ErrorClass::LockTimeout,
        "57014" if message.contains("lock timeout") => ErrorClass::LockTimeout,
        "57014" if message.contains("statement timeout") => ErrorClass::StatementTimeout,
        "57014" => ErrorClass::Cancelled,
        "42601" | "42602" | "42622" | "42939" => ErrorClass::Syntax,
        "42P07" | "42710" | "42723" | "42P06" | "42P04" | "42712" => ErrorClass::ObjectExists,
        "42701" => ErrorClass::ColumnExists,
        "42P01" | "42703" | "42704" | "42883" | "3F000" => ErrorClass::ObjectMissing,
        "42804" | "42846" | "42P18" | "42809" => ErrorClass::TypeMismatch,
        "23505" | "23P01" => ErrorClass::Unique,
        "23503" | "2BP01" => ErrorClass::ForeignKey,
        "23502" => ErrorClass::NotNull,
        "23514" => ErrorClass::Check,
        "53100" => ErrorClass::DiskFull,
        "25006" => ErrorClass::ReadOnly,
        "54000" if message.contains("index row") => ErrorClass::Data,
        _ if code.starts_with("08") => ErrorClass::ConnectionLost,
        _ if code.starts_with("22") => ErrorClass::Data,
        _ if code.starts_with("28") => ErrorClass::AuthFailed,
        _ => ErrorClass::Other,
    }
}

/// Advice for a SQLSTATE, where more than its class can be said.
pub fn hint(code: &str, message: &str) -> Option<String> {
    let text = match code {
        "42501" => return Some(right(message)),
        "28P01" => {
            "check user and password of the URL (special characters are percent-encoded), \
                    `PGPASSWORD` and `~/.pgpass`"
        }
        "28000" if message.contains("no encryption") || message.contains("SSL off") => {
            "the server takes encrypted connections only: add `sslmode=require` to the URL"
        }
        "28000" if message.contains("pg_hba.conf") => {
            "the server's pg_hba.conf has no line that lets this user in from this host"
        }
        "28000" => "the role of the URL does not exist or may not log in: `CREATE ROLE … LOGIN`",
        "3D000" => "`dunlin up --create` makes it, if this user may",
        "57P03" => "the server is starting or stopping; `--wait 30s` waits for it",
        "53300" => {
            "all connections of the server are in use; raise `max_connections` or close some"
        }
        "55P03" => "another transaction holds the lock; `lock_timeout` bounds the wait",
        "53100" => "make room on the server's disk, then run the command again",
        "25006" => "the server is a read-only standby, or the session may only read",
        "2BP01" => "other objects depend on it: drop them first, or say CASCADE",
        "25001" => "this statement cannot run inside a transaction block",
        _ => return None,
    };
    Some(text.into())
}

/// Names the right that is missing and the statement that grants it, as far as the server's sentence tells.
fn right(message: &str) -> String {
    let user = "your_user";
    let rest = message
        .strip_prefix("permission denied for ")
        .or_else(|| message.strip_prefix("must be owner of "));
    let owner = message.starts_with("must be owner of ");
    if let Some((kind, name)) = rest.and_then(|rest| rest.split_once(' ')) {
        let name = super::ddl::quote(name.trim_matches('"'));
        if owner {
            return format!(
                "only the owner may do this: as a superuser, `ALTER {} {name} OWNER TO {user}`, or \
                 make {user} a member of the owning role",
                kind.to_uppercase()
            );
        }
        return match kind {
            "schema" => format!(
                "the right USAGE or CREATE on the schema is missing: \
                 `GRANT USAGE, CREATE ON SCHEMA {name} TO {user}`"
            ),
            "table" | "view" | "relation" => format!(
                "a right on the table is missing: \
                 `GRANT SELECT, INSERT, UPDATE, DELETE ON {name} TO {user}`"
            ),
            "sequence" => format!(
                "the right USAGE on the sequence is missing: `GRANT USAGE, SELECT ON SEQUENCE {name} TO {user}`"
            ),
            "function" | "procedure" => format!(
                "the right EXECUTE is missing: `GRANT EXECUTE ON {} {name} TO {user}`",
                kind.to_uppercase()
            ),
            "database" => format!(
                "the right CONNECT or CREATE on the database is missing: \
                 `GRANT CONNECT, CREATE ON DATABASE {name} TO {user}`"
            ),
            "language" => format!("`GRANT USAGE ON LANGUAGE {name} TO {user}`"),
            "type" => format!("`GRANT USAGE ON TYPE {name} TO {user}`"),
            _ => format!("ask the owner of {kind} {name} for the right"),
        };
    }
    if message.contains("to create database") {
        return format!("the right CREATEDB is missing: `ALTER ROLE {user} CREATEDB`");
    }
    if message.contains("to create extension") {
        return "a superuser must create this extension once: `CREATE EXTENSION …`".into();
    }
    if message.contains("to create role") {
        return format!("the right CREATEROLE is missing: `ALTER ROLE {user} CREATEROLE`");
    }
    if message.contains("terminate") || message.contains("cancel") {
        return format!(
            "the right to end other sessions is missing: `GRANT pg_signal_backend TO {user}`"
        );
    }
    if message.contains("row-level security") || message.contains("row security") {
        return format!(
            "row security hides rows from this user: as a superuser, `ALTER ROLE {user} BYPASSRLS`"
        );
    }
    "this user lacks a right; the server's sentence says which".into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_right_is_named_with_the_statement_that_grants_it() {
        for (message, part) in [
            (
                "permission denied for schema public",
                "GRANT USAGE, CREATE ON SCHEMA \"public\" TO",
            ),
            ("permission denied for table odd name", "ON \"odd name\" TO"),
            (
                "permission denied for sequence s",
                "GRANT USAGE, SELECT ON SEQUENCE \"s\"",
            ),
            ("must be owner of table t", "ALTER TABLE \"t\" OWNER TO"),
            ("permission denied to create database", "CREATEDB"),
            (
                "must be a member of the role whose process is being terminated or member of pg_signal_backend",
                "pg_signal_backend",
            ),
        ] {
            let hint = hint("42501", message).unwrap_or_default();
            assert!(hint.contains(part), "{message}: {hint}");
        }
    }

    #[test]
    fn codes_are_classed() {
        let user = "canceling statement due to user request";
        for (code, message, expected) in [
            ("57014", user, ErrorClass::Cancelled),
            (
                "57014",
                "canceling statement due to statement timeout",
                ErrorClass::StatementTimeout,
            ),
            ("55P03", "", ErrorClass::LockTimeout),
            ("42P01", "", ErrorClass::ObjectMissing),
            ("08006", "", ErrorClass::ConnectionLost),
            ("22012", "division by zero", ErrorClass::Data),
            (
                "28000",
                "no pg_hba.conf entry for host \"::1\", user \"a\", database \"b\", no encryption",
                ErrorClass::Tls,
            ),
        ] {
            assert_eq!(class(code, message), expected, "{code}");
        }
    }
}
