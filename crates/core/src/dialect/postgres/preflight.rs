//! What a server is asked before a plan begins.

use crate::dialect::preflight::{Lacking, PreflightDialect, Rights};
use crate::dialect::{Caps, Dialect};
use crate::preflight::rights::{Right, Wanted};
use crate::value::{Query, Row};

/// PostgreSQL's answers.
#[derive(Debug)]
pub struct Preflight;

/// The schema where nothing is said.
const PUBLIC: &str = "public";

fn literal(text: &str) -> String {
    super::Postgres.literal(text)
}

fn quote(name: &str) -> String {
    super::Postgres.quote(name)
}

fn name_of(wanted: &Wanted, caps: &Caps) -> String {
    let table = quote(wanted.table.as_deref().unwrap_or_default());
    match wanted.schema.as_deref().or(caps.default_schema.as_deref()) {
        Some(schema) => format!("{}.{table}", quote(schema)),
        None => table,
    }
}

/// A condition that is NULL where there is no such table yet: whoever makes it owns it.
fn condition(wanted: &Wanted, caps: &Caps) -> String {
    let schema = wanted.schema.as_deref().or(caps.default_schema.as_deref());
    let schema = literal(schema.unwrap_or(PUBLIC));
    let create = format!(
        "(SELECT has_schema_privilege(oid, 'CREATE') FROM pg_namespace WHERE nspname = {schema})"
    );
    if wanted.table.is_none() || wanted.right.makes() {
        return create;
    }
    let table = format!("to_regclass({})", literal(&name_of(wanted, caps)));
    let owns =
        format!("(SELECT pg_has_role(c.relowner, 'USAGE') FROM pg_class c WHERE c.oid = {table})");
    match wanted.right {
        Right::Index => format!("{owns} AND {create}"),
        Right::Drop => format!(
            "(SELECT pg_has_role(c.relowner, 'USAGE') OR pg_has_role(n.nspowner, 'USAGE') FROM pg_class c \
             JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = {table})"
        ),
        Right::Alter => owns,
        other => format!("has_table_privilege({table}, '{}')", other.word()),
    }
}

impl PreflightDialect for Preflight {
    fn health(&self) -> &'static str {
        "SELECT 'the server is a standby: it may only be read' WHERE pg_is_in_recovery() \
         UNION ALL SELECT 'new transactions of this database only read (default_transaction_read_only)' \
         FROM pg_db_role_setting s JOIN pg_database d ON d.oid = s.setdatabase \
         WHERE d.datname = current_database() AND s.setrole = 0 AND 'default_transaction_read_only=on' = ANY (s.setconfig)"
    }
    fn read_health(&self, rows: &[Row]) -> Vec<String> {
        let said = rows.iter().filter_map(|row| row.first()?.as_str());
        said.map(str::to_owned).collect()
    }
    fn database_bytes(&self) -> Option<&'static str> {
        Some("SELECT pg_database_size(current_database())")
    }
    fn clock(&self) -> Option<&'static str> {
        Some("SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint")
    }
    fn transactions(&self, seconds: u64) -> Vec<Query> {
        vec![Query::new(
            format!(
                "SELECT pid::text, coalesce(usename::text, '') || coalesce(' (' || nullif(application_name, '') || ')', ''), \
                 extract(epoch FROM clock_timestamp() - xact_start)::bigint, \
                 to_char(xact_start AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'), \
                 state || ': ' || left(query, 120) \
                 FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() \
                 AND (xact_start < clock_timestamp() - interval '{seconds} seconds' AND backend_type = 'client backend' \
                 OR query = '<insufficient privilege>') \
                 ORDER BY xact_start LIMIT 20"
            ),
            vec![],
        )]
    }
    fn blockers(&self, _caps: &Caps, session: i64, _tables: &[&str]) -> Option<Query> {
        Some(Query::new(
            "SELECT pid::bigint, coalesce(usename::text, '') || coalesce(' (' || nullif(application_name, '') || ')', ''), \
             coalesce(state || ': ', '') || left(query, 120) \
             FROM pg_stat_activity WHERE pid = ANY (pg_blocking_pids($1::bigint::int))",
            vec![session.into()],
        ))
    }
    fn extension(&self, name: &str) -> Option<Query> {
        Some(Query::new(
            "SELECT extversion FROM pg_extension WHERE extname = $1",
            vec![name.into()],
        ))
    }
    fn install(&self, extension: &str) -> String {
        format!("CREATE EXTENSION {};", quote(extension))
    }
    fn rights(&self, wanted: &[Wanted], caps: &Caps) -> Option<Query> {
        let rows: Vec<String> = wanted
            .iter()
            .enumerate()
            .map(|(at, wanted)| format!("SELECT {at}::bigint, {}", condition(wanted, caps)))
            .collect();
        match rows.is_empty() {
            true => None,
            false => Some(Query::new(rows.join(" UNION ALL "), vec![])),
        }
    }
    fn read_rights(&self, wanted: &[Wanted], rows: &[Row], _database: &str) -> Rights {
        let mut rights = Rights::default();
        for row in rows {
            let (Some(at), Some(false)) = (
                row.first().and_then(|value| value.as_i64()),
                row.get(1).and_then(|value| value.as_bool()),
            ) else {
                continue;
            };
            let at = usize::try_from(at).unwrap_or(usize::MAX);
            let Some(wanted) = wanted.get(at) else {
                continue;
            };
            let schema = quote(wanted.schema.as_deref().unwrap_or(PUBLIC));
            let table = quote(wanted.table.as_deref().unwrap_or_default());
            let grant = match wanted.right {
                right if right.makes() => format!("GRANT CREATE ON SCHEMA {schema} TO your_user;"),
                Right::Alter | Right::Index | Right::Drop => {
                    format!("ALTER TABLE {schema}.{table} OWNER TO your_user;")
                }
                right => format!("GRANT {} ON {schema}.{table} TO your_user;", right.word()),
            };
            rights.lacking.push(Lacking { at, grant });
        }
        rights
    }
    fn dump_tools(&self) -> &'static [&'static str] {
        &["pg_dump"]
    }
    fn data_folder(&self) -> Option<&'static str> {
        Some("SHOW data_directory")
    }
}
