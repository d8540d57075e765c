//! Reading a whole catalog: its queries, and the reading of their rows.
//!
//! What the two servers spell differently is evened here: display widths, `utf8` for `utf8mb3`, defaults as bare texts
//! or as SQL, JSON as text with a check, the database's own name in views.

mod objects;
mod tables;

use super::ddl;
use crate::dialect::catalog::{CatalogDialect, Hold, Part, Rendered, some, text};
use crate::dialect::{Caps, EngineKind};
use crate::schema::{Catalog, Index, Sequence, Table, Trigger};
use crate::value::{Query, Row};
use objects::{event, routine, view};
use std::collections::{BTreeMap, BTreeSet};
use tables::{check, column, joined_checks, read_foreign_keys, read_indexes, table};

/// Reading catalogs, and rendering their parts.
#[derive(Debug, Clone, Copy)]
pub struct Catalogs;

const TABLES: &str = "SELECT TABLE_NAME, TABLE_TYPE, ENGINE, TABLE_COLLATION, CREATE_OPTIONS, TABLE_COMMENT, DATABASE() \
    FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE() ORDER BY TABLE_NAME";
const COLUMNS: &str = "SELECT TABLE_NAME, COLUMN_NAME, COLUMN_DEFAULT, IS_NULLABLE, COLUMN_TYPE, COLLATION_NAME, EXTRA, \
    GENERATION_EXPRESSION, COLUMN_COMMENT, DATA_TYPE FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = DATABASE() \
    ORDER BY TABLE_NAME, ORDINAL_POSITION";
const FOREIGN_COLUMNS: &str = "SELECT TABLE_NAME, CONSTRAINT_NAME, COLUMN_NAME, NULLIF(REFERENCED_TABLE_SCHEMA, \
    DATABASE()), REFERENCED_TABLE_NAME, REFERENCED_COLUMN_NAME FROM information_schema.KEY_COLUMN_USAGE WHERE \
    TABLE_SCHEMA = DATABASE() AND REFERENCED_TABLE_NAME IS NOT NULL ORDER BY TABLE_NAME, CONSTRAINT_NAME, \
    ORDINAL_POSITION";
const FOREIGN_RULES: &str = "SELECT TABLE_NAME, CONSTRAINT_NAME, UPDATE_RULE, DELETE_RULE FROM \
    information_schema.REFERENTIAL_CONSTRAINTS WHERE CONSTRAINT_SCHEMA = DATABASE()";
const TRIGGERS: &str = "SELECT EVENT_OBJECT_TABLE, TRIGGER_NAME, ACTION_TIMING, EVENT_MANIPULATION, ACTION_STATEMENT \
    FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = DATABASE() ORDER BY EVENT_OBJECT_TABLE, ACTION_TIMING, \
    EVENT_MANIPULATION, ACTION_ORDER";
const ROUTINES: &str = "SELECT ROUTINE_TYPE, SPECIFIC_NAME, ROUTINE_NAME, ROUTINE_DEFINITION, IS_DETERMINISTIC, \
    SQL_DATA_ACCESS, SECURITY_TYPE, ROUTINE_COMMENT FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA = DATABASE() \
    AND ROUTINE_TYPE IN ('FUNCTION', 'PROCEDURE') ORDER BY ROUTINE_NAME, ROUTINE_TYPE";
const PARAMETERS: &str = "SELECT ROUTINE_TYPE, SPECIFIC_NAME, ORDINAL_POSITION, PARAMETER_MODE, PARAMETER_NAME, \
    DTD_IDENTIFIER FROM information_schema.PARAMETERS WHERE SPECIFIC_SCHEMA = DATABASE() ORDER BY SPECIFIC_NAME, \
    ROUTINE_TYPE, ORDINAL_POSITION";
const EVENTS: &str = "SELECT EVENT_NAME, EVENT_DEFINITION, EVENT_TYPE, CAST(EXECUTE_AT AS CHAR), INTERVAL_VALUE, \
    INTERVAL_FIELD, CAST(ENDS AS CHAR), STATUS, ON_COMPLETION, EVENT_COMMENT FROM information_schema.EVENTS WHERE \
    EVENT_SCHEMA = DATABASE() ORDER BY EVENT_NAME";
/// What the session may see depends on what it may do.
const RIGHTS: &str = "SELECT DISTINCT PRIVILEGE_TYPE FROM information_schema.USER_PRIVILEGES UNION SELECT DISTINCT \
    PRIVILEGE_TYPE FROM information_schema.SCHEMA_PRIVILEGES WHERE DATABASE() LIKE TABLE_SCHEMA UNION SELECT DISTINCT \
    PRIVILEGE_TYPE FROM information_schema.TABLE_PRIVILEGES WHERE TABLE_SCHEMA = DATABASE()";

fn indexes(caps: &Caps) -> String {
    let mariadb = caps.engine == EngineKind::Mariadb;
    let (expression, hidden) = match (mariadb, caps.version) {
        (true, version) if version >= (10, 6, 0) => ("NULL", "IGNORED = 'YES'"),
        (false, version) if version >= (8, 0, 13) => ("EXPRESSION", "IS_VISIBLE = 'NO'"),
        _ => ("NULL", "0"),
    };
    format!(
        "SELECT TABLE_NAME, INDEX_NAME, NON_UNIQUE, COLUMN_NAME, SUB_PART, COLLATION, INDEX_TYPE, INDEX_COMMENT, \
         {expression}, {hidden} FROM information_schema.STATISTICS WHERE TABLE_SCHEMA = DATABASE() ORDER BY TABLE_NAME, \
         INDEX_NAME, SEQ_IN_INDEX"
    )
}

fn checks(caps: &Caps) -> String {
    match (caps.engine, caps.version) {
        (EngineKind::Mariadb, version) if version >= (10, 2, 22) => {
            // The level came with 10.5.10; before it, a check of a column's name is the column's.
            let level = if version >= (10, 5, 10) {
                "LEVEL"
            } else {
                "NULL"
            };
            format!(
                "SELECT TABLE_NAME, CONSTRAINT_NAME, CHECK_CLAUSE, {level}, 'YES' FROM \
                 information_schema.CHECK_CONSTRAINTS WHERE CONSTRAINT_SCHEMA = DATABASE() ORDER BY 1, 2"
            )
        }
        (EngineKind::Mysql, version) if version >= (8, 0, 16) => {
            // Joined with the constraints' table by name; the server's own join of its views takes a minute for
            // 2,000 tables.
            "SELECT NULL, CONSTRAINT_NAME, CHECK_CLAUSE, 'Table', NULL FROM information_schema.CHECK_CONSTRAINTS \
             WHERE CONSTRAINT_SCHEMA = DATABASE() UNION ALL SELECT TABLE_NAME, CONSTRAINT_NAME, NULL, NULL, ENFORCED \
             FROM information_schema.TABLE_CONSTRAINTS WHERE CONSTRAINT_SCHEMA = DATABASE() AND CONSTRAINT_TYPE = \
             'CHECK' ORDER BY 1, 2"
                .into()
        }
        _ => "SELECT NULL, NULL, NULL, NULL, NULL FROM DUAL WHERE 1 = 0".into(),
    }
}

fn views(caps: &Caps) -> String {
    let algorithm = if caps.engine == EngineKind::Mariadb {
        "ALGORITHM"
    } else {
        "'UNDEFINED'"
    };
    format!(
        "SELECT TABLE_NAME, VIEW_DEFINITION, CHECK_OPTION, SECURITY_TYPE, {algorithm} FROM information_schema.VIEWS \
         WHERE TABLE_SCHEMA = DATABASE() ORDER BY TABLE_NAME"
    )
}

impl CatalogDialect for Catalogs {
    fn partitions(&self, table: &Table, statement: &str) -> Option<String> {
        let options = table.options.get("options");
        if !options.is_some_and(|words| words.contains("partitioned")) {
            return None;
        }
        // At the beginning of a line: subpartitions, and words of a comment, are not there.
        let begins = |at: &usize| {
            let line = statement[..*at].rsplit('\n').next().unwrap_or_default();
            line.trim().is_empty() || (line.starts_with("/*!") && !line.contains('('))
        };
        let mut found = statement.match_indices("PARTITION BY ").map(|(at, _)| at);
        let at = found.find(|at| begins(at) && !statement[..*at].ends_with("SUB"))?;
        let clause = statement[at..].trim_end();
        // One of the two servers has it in a comment that it reads.
        Some(
            clause
                .strip_suffix("*/")
                .unwrap_or(clause)
                .trim_end()
                .to_owned(),
        )
    }

    fn queries(&self, caps: &Caps) -> Vec<Query> {
        [
            TABLES.into(),
            COLUMNS.into(),
            indexes(caps),
            FOREIGN_COLUMNS.into(),
            FOREIGN_RULES.into(),
            checks(caps),
            TRIGGERS.into(),
            views(caps),
            ROUTINES.into(),
            PARAMETERS.into(),
            EVENTS.into(),
            RIGHTS.to_owned(),
        ]
        .into_iter()
        .map(|sql: String| Query::new(sql, vec![]))
        .collect()
    }

    fn read(&self, caps: &Caps, answers: &[Vec<Row>]) -> Catalog {
        let engine = caps.engine.to_string();
        let [
            tables,
            columns,
            indexes,
            foreign,
            rules,
            checks,
            triggers,
            views,
            routines,
            parameters,
            events,
            rights,
        ] = answers
        else {
            return Catalog::new(engine);
        };
        let mut catalog = Catalog::new(engine);
        let names: BTreeSet<String> = tables.iter().map(|row| text(row, 0)).collect();
        let database = tables.first().map(|row| text(row, 6)).unwrap_or_default();
        let mut made: BTreeMap<String, Table> = BTreeMap::new();
        for row in tables {
            match text(row, 1).as_str() {
                "VIEW" | "SYSTEM VIEW" => {}
                "SEQUENCE" => catalog.sequences.push(Sequence {
                    schema: None,
                    name: text(row, 0),
                    settings: None,
                    owned_by: None,
                }),
                _ => drop(made.insert(text(row, 0), table(row))),
            }
        }
        for row in columns {
            if let Some(table) = made.get_mut(&text(row, 0)) {
                table.columns.push(column(caps, row));
            }
        }
        read_indexes(caps, &mut made, indexes);
        read_foreign_keys(&mut made, foreign, rules);
        for row in &joined_checks(checks) {
            if let Some(table) = made.get_mut(&text(row, 0)) {
                check(caps, table, row);
            }
        }
        for row in triggers {
            if let Some(table) = made.get_mut(&text(row, 0)) {
                table.triggers.push(Trigger {
                    name: text(row, 1),
                    definition: format!(
                        "CREATE TRIGGER {} {} {} ON {} FOR EACH ROW {}",
                        ddl::quote(&text(row, 1)),
                        text(row, 2),
                        text(row, 3),
                        ddl::quote(&text(row, 0)),
                        text(row, 4).trim()
                    ),
                    ..Trigger::default()
                });
            }
        }
        catalog.views = views
            .iter()
            .map(|row| view(row, columns, &database, &names))
            .collect();
        catalog.routines = routines
            .iter()
            .map(|row| routine(row, parameters))
            .collect();
        catalog.events = events.iter().map(event).collect();
        catalog.tables = made.into_values().collect();
        catalog.unseen = unseen(caps, &catalog, rights);
        catalog.sort();
        catalog
    }

    fn show(&self, part: Part<'_>) -> Option<Query> {
        let (word, name) = match part {
            Part::Table(table) => ("TABLE", &table.name),
            Part::View(view) => ("VIEW", &view.name),
            Part::Trigger(_, _, trigger) => ("TRIGGER", &trigger.name),
            Part::Routine(routine) if routine.kind == "PROCEDURE" => ("PROCEDURE", &routine.name),
            Part::Routine(routine) => ("FUNCTION", &routine.name),
            Part::Event(event) => ("EVENT", &event.name),
            Part::Sequence(sequence) => ("CREATE SEQUENCE", &sequence.name),
            _ => return None,
        };
        let word = word.trim_start_matches("CREATE ");
        Some(Query::new(
            format!("SHOW CREATE {word} {}", ddl::quote(name)),
            vec![],
        ))
    }

    fn read_show(&self, part: Part<'_>, rows: &[Row]) -> Option<String> {
        let at = match part {
            Part::Table(_) | Part::View(_) | Part::Sequence(_) => 1,
            Part::Event(_) => 3,
            _ => 2,
        };
        let shown = some(rows.first()?, at)?;
        Some(match part {
            Part::Table(_) => super::probe::without_counter(&shown),
            _ => ddl::without_definer(&shown),
        })
    }

    fn reloaded(&self, text: &str) -> String {
        text.to_owned()
    }
    fn is_unfinished(&self, _: &Index) -> bool {
        false
    }
    fn auto_named(&self, table: &str, name: &str) -> bool {
        let bare = name.trim_end_matches(|c: char| c.is_ascii_digit());
        bare.len() < name.len()
            && (bare == "CONSTRAINT_"
                || bare
                    .strip_prefix(table)
                    .is_some_and(|rest| rest == "_ibfk_" || rest == "_chk_"))
            || !name.is_empty() && bare.is_empty()
    }
    fn foreign_keys_inline(&self) -> bool {
        true
    }
    fn clause(&self, part: Part<'_>) -> String {
        ddl::clause(part)
    }
    fn create(&self, part: Part<'_>) -> Rendered {
        ddl::create(part)
    }
    fn drop(&self, part: Part<'_>) -> Rendered {
        ddl::drop(part)
    }
    fn change(&self, from: Part<'_>, to: Part<'_>) -> Rendered {
        ddl::change(from, to)
    }
    fn rebuild(&self, _from: &Table, _to: &Table) -> Option<Vec<String>> {
        None
    }
    fn create_schema(&self, _name: &str) -> Option<String> {
        None
    }
    fn shape_default(&self, default: &str) -> String {
        default.to_owned()
    }
    fn defaults(&self) -> Option<Query> {
        Some(Query::new(
            "SELECT @@character_set_database, @@collation_database",
            vec![],
        ))
    }
    fn take_defaults(&self, row: &Row) -> Vec<String> {
        let plain = |name: &str| {
            !name.is_empty()
                && name
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        };
        let (charset, collation) = (text(row, 0), text(row, 1));
        if plain(&charset) && plain(&collation) {
            vec![format!(
                "ALTER DATABASE CHARACTER SET {charset} COLLATE {collation}"
            )]
        } else {
            vec![]
        }
    }
    fn dump_begin(&self) -> &'static [&'static str] {
        &[
            "SET NAMES utf8mb4",
            "SET FOREIGN_KEY_CHECKS = 0",
            "SET UNIQUE_CHECKS = 0",
        ]
    }
    fn counters(&self) -> Option<&'static str> {
        None
    }
    fn hold(&self, tables: &[(Option<&str>, &str)]) -> Hold {
        let locks: Vec<String> = tables
            .iter()
            .map(|(_, table)| format!("{} WRITE", ddl::quote(table)))
            .collect();
        if locks.is_empty() {
            return Hold::default();
        }
        Hold {
            take: vec![format!("LOCK TABLES {}", locks.join(", "))],
            free: vec!["UNLOCK TABLES".into()],
            tables: tables
                .iter()
                .map(|(_, table)| (*table).to_owned())
                .collect(),
        }
    }
    fn part(&self) -> Option<[&'static str; 3]> {
        None
    }
    fn keys_hold_tables(&self) -> bool {
        false
    }
    fn dump_end(&self) -> &'static [&'static str] {
        &["SET UNIQUE_CHECKS = 1", "SET FOREIGN_KEY_CHECKS = 1"]
    }
}

/// What the rights of the session do not let it see.
fn unseen(caps: &Caps, catalog: &Catalog, rights: &[Row]) -> Vec<String> {
    let rights: BTreeSet<String> = rights
        .iter()
        .map(|row| text(row, 0).to_ascii_uppercase())
        .collect();
    let mut unseen = vec![];
    let looks_only = rights
        .iter()
        .all(|right| ["USAGE", "SELECT", "SHOW VIEW"].contains(&right.as_str()));
    // MariaDB shows constraints to those only who may do more than read.
    if looks_only
        && caps.engine == EngineKind::Mariadb
        && catalog
            .tables
            .iter()
            .all(|table| table.foreign_keys.is_empty())
    {
        unseen.extend(["foreign_keys".to_owned(), "checks".to_owned()]);
    }
    if !rights.contains("TRIGGER") && catalog.tables.iter().all(|table| table.triggers.is_empty()) {
        unseen.push("triggers".into());
    }
    if !rights.contains("EVENT") && catalog.events.is_empty() {
        unseen.push("events".into());
    }
    if looks_only {
        unseen.push("routines".into());
    }
    if catalog.views.iter().any(|view| view.definition.is_empty()) {
        unseen.push("views".into());
    }
    unseen
}
