//! History tables that are not ours: those of other migration tools, known by name and columns, and tables of the
//! journal's names that have another shape.
//!
//! Where another tool has brought a database to where it is, its scripts must not run a second time in silence. Which
//! version that is, a person says (`baseline`).

use crate::dialect::JournalNames;
use crate::finding::{Finding, Place};
use crate::value::Row;

/// A table with its columns, as the catalog has them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// The schema, where the engine has several.
    pub schema: Option<String>,
    /// The name.
    pub name: String,
    /// The columns' names, in lower case.
    pub columns: Vec<String>,
}

/// A tool's history table: whose it is, its name and the columns that tell it from a namesake, all in lower case.
struct Known {
    tool: &'static str,
    table: &'static str,
    columns: &'static [&'static str],
}

const fn known(tool: &'static str, table: &'static str, columns: &'static [&'static str]) -> Known {
    Known {
        tool,
        table,
        columns,
    }
}

/// The more telling of two entries of one name stands first.
const KNOWN: &[Known] = &[
    known(
        "Flyway",
        "flyway_schema_history",
        &["installed_rank", "checksum"],
    ),
    known("Flyway", "schema_version", &["installed_rank", "checksum"]),
    known(
        "Liquibase",
        "databasechangelog",
        &["id", "author", "filename"],
    ),
    known("sqlx", "_sqlx_migrations", &["version", "checksum"]),
    known(
        "refinery",
        "refinery_schema_history",
        &["version", "checksum"],
    ),
    known("diesel", "__diesel_schema_migrations", &["version"]),
    known("SeaORM", "seaql_migrations", &["version", "applied_at"]),
    known(
        "Prisma",
        "_prisma_migrations",
        &["migration_name", "checksum"],
    ),
    known("golang-migrate", "schema_migrations", &["version", "dirty"]),
    known("Ecto", "schema_migrations", &["version", "inserted_at"]),
    known("Supabase", "schema_migrations", &["version", "statements"]),
    known("dbmate or Rails", "schema_migrations", &["version"]),
    known("goose", "goose_db_version", &["version_id", "is_applied"]),
    known("Atlas", "atlas_schema_revisions", &["version", "hash"]),
    known("Knex", "knex_migrations", &["name", "batch"]),
    known("Sequelize", "sequelizemeta", &["name"]),
    known("Drizzle", "__drizzle_migrations", &["hash", "created_at"]),
    known("node-pg-migrate", "pgmigrations", &["name", "run_on"]),
    known("Laravel", "migrations", &["migration", "batch"]),
    known("TypeORM", "migrations", &["timestamp", "name"]),
    known("db-migrate", "migrations", &["name", "run_on"]),
    known("Django", "django_migrations", &["app", "name"]),
    known("Alembic", "alembic_version", &["version_num"]),
    known("yoyo", "_yoyo_migration", &["migration_id"]),
    known(
        "Entity Framework",
        "__efmigrationshistory",
        &["migrationid", "productversion"],
    ),
    known("DbUp", "schemaversions", &["scriptname", "applied"]),
    known(
        "Doctrine",
        "doctrine_migration_versions",
        &["version", "executed_at"],
    ),
    known("Phinx", "phinxlog", &["version", "migration_name"]),
    known("MyBatis", "changelog", &["id", "applied_at", "description"]),
    known("Sqitch", "changes", &["change_id", "script_hash"]),
];

/// Schemas that tools make for themselves, and the one that stands for "unqualified".
pub const SCHEMAS: &[&str] = &[
    "public",
    "atlas_schema_revisions",
    "drizzle",
    "sqitch",
    "supabase_migrations",
];

/// The names of all known tables, in lower case.
pub fn names() -> Vec<&'static str> {
    let mut names: Vec<_> = KNOWN.iter().map(|known| known.table).collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// Groups rows of schema, table, column into tables.
pub fn read_tables(rows: &[Row]) -> Vec<Table> {
    let mut tables: Vec<Table> = vec![];
    for row in rows {
        let [schema, name, column] = row.as_slice() else {
            continue;
        };
        let (Some(name), Some(column)) = (name.as_str(), column.as_str()) else {
            continue;
        };
        let schema = schema.as_str().map(str::to_owned);
        match tables.last_mut() {
            Some(last) if last.name == name && last.schema == schema => {
                last.columns.push(column.to_lowercase());
            }
            _ => tables.push(Table {
                schema,
                name: name.to_owned(),
                columns: vec![column.to_lowercase()],
            }),
        }
    }
    tables
}

/// The tool whose history a table is, if it is one.
pub fn tool_of(table: &Table) -> Option<&'static str> {
    let name = table.name.to_lowercase();
    let has = |column: &&str| table.columns.iter().any(|have| have == column);
    KNOWN
        .iter()
        .find(|known| known.table == name && known.columns.iter().all(has))
        .map(|known| known.tool)
}

/// What is to be said of another tool's table. `rows`: how many entries it has, where it may be read. `ours`: whether
/// what the table speaks of is ours, as far as the settings tell.
pub fn finding(tool: &str, table: &Table, rows: Option<u64>, ours: bool) -> Finding {
    let name = match &table.schema {
        Some(schema) if schema != "public" => format!("{schema}.{}", table.name),
        _ => table.name.clone(),
    };
    let entries = match rows {
        None => "that may not be read".to_owned(),
        Some(1) => "with 1 entry".to_owned(),
        Some(rows) => format!("with {rows} entries"),
    };
    let message = format!(
        "{tool} has migrated this database: its history `{name}` is there, {entries}, and Dunlin has none of its own"
    );
    let place = Place::object(name);
    if !ours {
        return Finding::info("foreign-history", place, message);
    }
    match rows {
        Some(0) => Finding::warning("foreign-history", place, message),
        _ => Finding::error("foreign-history", place, message).help(
            "say at which version of the folder the database is, and only what is newer runs: `dunlin baseline V`; \
             where that history is not of this project, say what is ours (`owns = [\"shop_*\"]` in dunlin.toml)",
        ),
    }
}

/// The columns that the journal's own tables have, by the end of their names.
const OURS: &[(&str, &[&str])] = &[
    (
        "journal",
        &[
            "id", "run", "at", "event", "scope", "unit", "stmt", "hash", "detail", "token",
        ],
    ),
    ("fence", &["id", "token", "format", "identity"]),
    ("lease", &["id", "token", "holder", "since", "beat_at"]),
    ("undo", &["unit", "batch", "run", "image"]),
];

/// The names of the journal's own tables.
pub fn own_names(names: &JournalNames) -> Vec<String> {
    OURS.iter()
        .map(|(end, _)| format!("{}{end}", names.prefix))
        .collect()
}

/// A table that has the name of one of the journal's and is none: its name and the columns it lacks.
pub fn stranger<'t>(
    names: &JournalNames,
    tables: &'t [Table],
) -> Option<(&'t str, Vec<&'static str>)> {
    tables.iter().find_map(|table| {
        let (_, columns) = OURS
            .iter()
            .find(|(end, _)| format!("{}{end}", names.prefix).eq_ignore_ascii_case(&table.name))?;
        let lacks: Vec<_> = columns
            .iter()
            .copied()
            .filter(|column| !table.columns.iter().any(|have| have == column))
            .collect();
        (!lacks.is_empty()).then_some((table.name.as_str(), lacks))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::Severity;
    use crate::value::Value;

    fn table(name: &str, columns: &[&str]) -> Table {
        Table {
            schema: None,
            name: name.into(),
            columns: columns.iter().map(|&column| column.into()).collect(),
        }
    }

    #[test]
    fn a_table_is_known_by_name_and_columns() {
        let tool = |name, columns| tool_of(&table(name, columns));
        assert_eq!(
            tool("DATABASECHANGELOG", &["id", "author", "filename", "md5sum"]),
            Some("Liquibase")
        );
        assert_eq!(
            tool("schema_migrations", &["version"]),
            Some("dbmate or Rails")
        );
        assert_eq!(
            tool("schema_migrations", &["version", "dirty"]),
            Some("golang-migrate")
        );
        assert_eq!(
            tool("migrations", &["id", "migration", "batch"]),
            Some("Laravel")
        );
        assert_eq!(
            tool("migrations", &["id", "bird", "from", "to"]),
            None,
            "a namesake"
        );
        assert_eq!(tool("customers", &["version"]), None);
    }

    #[test]
    fn rows_become_tables() {
        let row = |name: &str, column: &str| vec![Value::Null, name.into(), column.into()];
        let rows = [row("A", "ID"), row("A", "X"), row("b", "id")];
        assert_eq!(
            read_tables(&rows),
            [table("A", &["id", "x"]), table("b", &["id"])]
        );
    }

    #[test]
    fn an_empty_history_warns_and_a_filled_one_stops() {
        let table = table("alembic_version", &["version_num"]);
        let weight = |rows, ours| finding("Alembic", &table, rows, ours).severity;
        assert_eq!(weight(Some(0), true), Severity::Warning);
        assert_eq!(weight(Some(3), true), Severity::Error);
        assert_eq!(
            weight(None, true),
            Severity::Error,
            "what may not be read may be full"
        );
        assert_eq!(weight(Some(3), false), Severity::Info);
    }

    #[test]
    fn a_stranger_of_our_name_is_told_apart() {
        let names = JournalNames::default();
        let whole = table(
            "dunlin_fence",
            &["id", "token", "format", "identity", "more"],
        );
        assert_eq!(stranger(&names, std::slice::from_ref(&whole)), None);
        let other = table("dunlin_journal", &["id", "entry"]);
        let tables = [whole, other];
        let (name, lacks) = stranger(&names, &tables).unwrap();
        assert_eq!((name, lacks.len()), ("dunlin_journal", 9));
    }
}
