//! Reading a whole catalog: its queries, and the reading of their rows.
//!
//! What the two servers spell differently is evened here: display widths, `utf8` for `utf8mb3`, defaults as bare texts
//! or as SQL, JSON as text with a check, the database's own name in views.

use super::ddl;
use super::dml::literal;
use crate::dialect::catalog::{CatalogDialect, Part, Rendered, number, some, text, truth};
use crate::dialect::{Caps, EngineKind, RowsDialect};
use crate::schema::{
    Catalog, Check, Column, Event, ForeignKey, Generated, Index, IndexPart, Key, Routine, Sequence,
    Table, Trigger, View,
};
use crate::value::{Query, Row, Value};
use std::collections::{BTreeMap, BTreeSet};

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
                    disabled: None,
                });
            }
        }
        catalog.views = views
            .iter()
            .map(|row| view(row, &database, &names))
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

/// `utf8_…` is what older servers call `utf8mb3_…`.
fn collation(name: &str) -> String {
    match name.strip_prefix("utf8_") {
        Some(rest) => format!("utf8mb3_{rest}"),
        None => name.to_owned(),
    }
}

fn table(row: &Row) -> Table {
    let mut options = BTreeMap::new();
    if let Some(engine) = some(row, 2) {
        options.insert("engine".into(), engine);
    }
    if let Some(name) = some(row, 3) {
        options.insert("collation".into(), collation(&name));
    }
    if let Some(more) = some(row, 4) {
        let more = more.trim().to_owned();
        if !more.is_empty() {
            options.insert("options".into(), more);
        }
    }
    Table {
        name: text(row, 0),
        options,
        comment: some(row, 5),
        ..Table::default()
    }
}

/// The type without display widths, which newer servers do not show; `tinyint(1)` and ZEROFILL keep theirs.
fn native(spelled: &str) -> String {
    if spelled.starts_with("enum(") || spelled.starts_with("set(") || spelled.contains("zerofill") {
        return spelled.to_owned();
    }
    let (base, rest) = spelled.split_once('(').unwrap_or((spelled, ""));
    let widths = ["tinyint", "smallint", "mediumint", "int", "bigint", "year"];
    match rest.split_once(')') {
        Some((width, tail)) if widths.contains(&base) && !(base == "tinyint" && width == "1") => {
            format!("{base}{tail}")
        }
        _ => spelled.to_owned(),
    }
}

/// Expressions in MySQL's catalog views are escaped once more: a backslash stands before quotes and backslashes.
fn expression(caps: &Caps, text: &str) -> String {
    if caps.engine != EngineKind::Mysql {
        return text.to_owned();
    }
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some('n') => out.push('\n'),
                Some(escaped) => out.push(escaped),
                None => out.push(c),
            },
            _ => out.push(c),
        }
    }
    out
}

/// A default as SQL.
fn default(caps: &Caps, row: &Row, native: &str, extra: &str) -> Option<String> {
    let raw = row.get(2)?.as_str()?;
    if caps.engine == EngineKind::Mariadb {
        return match raw {
            "NULL" => None,
            raw => Some(now(raw)),
        };
    }
    if extra.contains("default_generated") {
        let shown = expression(caps, raw);
        return Some(
            if shown.to_ascii_uppercase().starts_with("CURRENT_TIMESTAMP") {
                shown
            } else {
                format!("({shown})")
            },
        );
    }
    let base = native.split(['(', ' ']).next().unwrap_or_default();
    let numeric = [
        "tinyint",
        "smallint",
        "mediumint",
        "int",
        "bigint",
        "decimal",
        "float",
        "double",
        "year",
        "bit",
    ];
    if raw.to_ascii_uppercase().starts_with("CURRENT_TIMESTAMP")
        && ["timestamp", "datetime"].contains(&base)
    {
        return Some(raw.to_owned());
    }
    Some(if numeric.contains(&base) {
        raw.to_owned()
    } else {
        literal(&raw.replace('\\', "\\\\"))
    })
}

/// `current_timestamp()` and `current_timestamp(3)` in the form that both servers take.
fn now(text: &str) -> String {
    match text.strip_prefix("current_timestamp") {
        Some("()") => "CURRENT_TIMESTAMP".into(),
        Some(rest) if rest.starts_with('(') => format!("CURRENT_TIMESTAMP{rest}"),
        _ => text.to_owned(),
    }
}

fn column(caps: &Caps, row: &Row) -> Column {
    let native = native(&text(row, 4));
    let extra = text(row, 6).to_ascii_lowercase();
    let generated = some(row, 7).map(|shown| Generated {
        expression: expression(caps, &shown),
        stored: extra.contains("stored") || extra.contains("persistent"),
    });
    let on_update = extra.find("on update ").map(|at| {
        let rest = &extra[at + "on update ".len()..];
        let word = rest.split([' ', ',']).next().unwrap_or_default();
        now(&word.to_ascii_lowercase()).replace("current_timestamp", "CURRENT_TIMESTAMP")
    });
    Column {
        name: text(row, 1),
        neutral: super::rows::Rows.neutral(&native, ""),
        nullable: text(row, 3) == "YES",
        default: if generated.is_some() {
            None
        } else {
            default(caps, row, &native, &extra)
        },
        generated,
        identity: extra
            .contains("auto_increment")
            .then(|| "AUTO_INCREMENT".into()),
        on_update,
        collation: some(row, 5).map(|name| collation(&name)),
        attributes: extra.contains("invisible").then(|| "INVISIBLE".into()),
        comment: some(row, 8),
        native,
    }
}

fn read_indexes(caps: &Caps, tables: &mut BTreeMap<String, Table>, rows: &[Row]) {
    for row in rows {
        let Some(table) = tables.get_mut(&text(row, 0)) else {
            continue;
        };
        let name = text(row, 1);
        if table.indexes.last().is_none_or(|last| last.name != name) {
            let kind = text(row, 6);
            table.indexes.push(Index {
                name,
                parts: vec![],
                unique: !truth(row, 2),
                method: (kind != "BTREE").then_some(kind),
                attributes: truth(row, 9).then(|| {
                    if caps.engine == EngineKind::Mariadb {
                        "IGNORED"
                    } else {
                        "INVISIBLE"
                    }
                    .to_owned()
                }),
                comment: some(row, 7),
                ..Index::default()
            });
        }
        let Some(index) = table.indexes.last_mut() else {
            continue;
        };
        let computed = some(row, 8);
        let spatial = matches!(index.method.as_deref(), Some("SPATIAL" | "RTREE"));
        index.parts.push(IndexPart {
            expression: computed.is_some(),
            what: computed.map_or_else(|| text(row, 3), |shown| expression(caps, &shown)),
            descending: text(row, 5) == "D",
            length: number(row, 4)
                .filter(|_| !spatial)
                .and_then(|length| u32::try_from(length).ok()),
            collation: None,
        });
    }
    for table in tables.values_mut() {
        let (primary, others): (Vec<_>, Vec<_>) = std::mem::take(&mut table.indexes)
            .into_iter()
            .partition(|index| index.name == "PRIMARY");
        table.indexes = others;
        table.keys = primary
            .into_iter()
            .map(|index| {
                let plain = index
                    .parts
                    .iter()
                    .all(|part| part.length.is_none() && !part.descending);
                Key {
                    name: None,
                    primary: true,
                    clause: (!plain).then(|| format!("PRIMARY KEY ({})", ddl::parts(&index))),
                    columns: index.parts.into_iter().map(|part| part.what).collect(),
                }
            })
            .collect();
    }
}

fn read_foreign_keys(tables: &mut BTreeMap<String, Table>, columns: &[Row], rules: &[Row]) {
    let action = |text: String| match text.as_str() {
        // The two mean the same to these servers.
        "RESTRICT" | "NO ACTION" | "" => None,
        _ => Some(text),
    };
    let rules: BTreeMap<(String, String), (Option<String>, Option<String>)> = rules
        .iter()
        .map(|row| {
            (
                (text(row, 0), text(row, 1)),
                (action(text(row, 2)), action(text(row, 3))),
            )
        })
        .collect();
    for row in columns {
        let name = text(row, 1);
        let Some(table) = tables.get_mut(&text(row, 0)) else {
            continue;
        };
        if table
            .foreign_keys
            .last()
            .is_none_or(|last| last.name.as_ref() != Some(&name))
        {
            let (on_update, on_delete) = rules
                .get(&(table.name.clone(), name.clone()))
                .cloned()
                .unwrap_or((None, None));
            table.foreign_keys.push(ForeignKey {
                name: Some(name),
                columns: vec![],
                references_schema: some(row, 3),
                references: text(row, 4),
                references_columns: vec![],
                on_delete,
                on_update,
                attributes: None,
            });
        }
        if let Some(key) = table.foreign_keys.last_mut() {
            key.columns.push(text(row, 2));
            key.references_columns.push(text(row, 5));
        }
    }
}

/// Rows of checks with their table and state, where the query gives these as rows of their own.
fn joined_checks(rows: &[Row]) -> Vec<Row> {
    let named: BTreeMap<String, &Row> = rows
        .iter()
        .filter(|row| row.get(2).is_none_or(Value::is_null))
        .map(|row| (text(row, 1), row))
        .collect();
    let clauses = rows
        .iter()
        .filter(|row| row.get(2).is_some_and(|value| !value.is_null()));
    clauses
        .map(|row| {
            let mut row = row.clone();
            if let Some(of) = named.get(&text(&row, 1))
                && let [table, _, _, _, enforced] = row.as_mut_slice()
            {
                *table = of[0].clone();
                *enforced = of[4].clone();
            }
            row
        })
        .collect()
}

fn check(caps: &Caps, table: &mut Table, row: &Row) {
    let name = text(row, 1);
    let clause = format!("CHECK ({})", unwrapped(&expression(caps, &text(row, 2))));
    let level = some(row, 3);
    let of_column = caps.engine == EngineKind::Mariadb
        && level
            .as_deref()
            .is_none_or(|level| level.eq_ignore_ascii_case("column"))
        && table.column(&name).is_some();
    if !of_column {
        let enforced = if text(row, 4) == "NO" {
            " NOT ENFORCED"
        } else {
            ""
        };
        table.checks.push(Check {
            name: Some(name),
            clause: format!("{clause}{enforced}"),
        });
        return;
    }
    let json = format!("CHECK (json_valid({}))", ddl::quote(&name));
    let Some(column) = table.columns.iter_mut().find(|column| column.name == name) else {
        return;
    };
    if clause == json
        && column.native == "longtext"
        && column.collation.as_deref() == Some("utf8mb4_bin")
    {
        column.native = "json".into();
        column.collation = None;
        column.neutral = crate::schema::NeutralType::Json;
        return;
    }
    column.attributes = Some(match column.attributes.take() {
        Some(attributes) => format!("{attributes} {clause}"),
        None => clause,
    });
}

/// An expression without the brackets around the whole of it.
fn unwrapped(text: &str) -> &str {
    let inner = text.trim();
    let Some(stripped) = inner
        .strip_prefix('(')
        .and_then(|rest| rest.strip_suffix(')'))
    else {
        return inner;
    };
    let (mut depth, mut quote) = (0_i32, None);
    for c in stripped.chars() {
        match (quote, c) {
            (None, '\'' | '"' | '`') => quote = Some(c),
            (Some(open), c) if c == open => quote = None,
            (None, '(') => depth += 1,
            (None, ')') => depth -= 1,
            _ => {}
        }
        if depth < 0 {
            return inner;
        }
    }
    stripped
}

fn view(row: &Row, database: &str, names: &BTreeSet<String>) -> View {
    let name = text(row, 0);
    let query = without_database(&text(row, 1), database, names);
    let algorithm = match text(row, 4).as_str() {
        "UNDEFINED" | "" => String::new(),
        other => format!("ALGORITHM={other} "),
    };
    let security = if text(row, 3) == "INVOKER" {
        "SQL SECURITY INVOKER "
    } else {
        ""
    };
    let option = match text(row, 2).as_str() {
        "NONE" | "" => String::new(),
        option => format!(" WITH {option} CHECK OPTION"),
    };
    let definition = if query.is_empty() {
        String::new()
    } else {
        format!(
            "CREATE {algorithm}{security}VIEW {} AS {query}{option}",
            ddl::quote(&name)
        )
    };
    View {
        name,
        definition,
        ..View::default()
    }
}

/// A view's query as the server shows it, without the database's own name before tables: a copy under another name
/// reads the same.
fn without_database(query: &str, database: &str, names: &BTreeSet<String>) -> String {
    let own = ddl::quote(database);
    let quoted: BTreeSet<String> = names.iter().map(|name| ddl::quote(name)).collect();
    let mut out = String::with_capacity(query.len());
    let mut rest = query;
    while let Some(at) = rest.find(['`', '\'']) {
        let (before, from) = rest.split_at(at);
        out.push_str(before);
        let end = quoted_end(from);
        let token = &from[..end];
        rest = &from[end..];
        // `database`.`table`, or `database`.`alias`.`column`
        if token == own
            && let Some(next) = rest.strip_prefix('.').filter(|next| next.starts_with('`'))
        {
            let end = quoted_end(next);
            if quoted.contains(&next[..end]) || next[end..].starts_with(".`") {
                rest = next;
                continue;
            }
        }
        out.push_str(token);
    }
    out.push_str(rest);
    out
}

/// The length of the quoted name or literal at the beginning.
fn quoted_end(text: &str) -> usize {
    let bytes = text.as_bytes();
    let quote = bytes.first().copied().unwrap_or(b'`');
    let mut at = 1;
    while let Some(&byte) = bytes.get(at) {
        if byte == b'\\' && quote == b'\'' {
            at += 1;
        } else if byte == quote {
            if bytes.get(at + 1) != Some(&quote) {
                return at + 1;
            }
            at += 1;
        }
        at += 1;
    }
    text.len()
}

fn routine(row: &Row, parameters: &[Row]) -> Routine {
    let (kind, specific, name) = (text(row, 0), text(row, 1), text(row, 2));
    let mine = parameters
        .iter()
        .filter(|parameter| text(parameter, 0) == kind && text(parameter, 1) == specific);
    let (mut returns, mut arguments) = (None, vec![]);
    for parameter in mine {
        if number(parameter, 2) == Some(0) {
            returns = some(parameter, 5);
        } else {
            let mode = if kind == "PROCEDURE" {
                format!("{} ", text(parameter, 3))
            } else {
                String::new()
            };
            arguments.push(format!(
                "{mode}{} {}",
                ddl::quote(&text(parameter, 4)),
                native(&text(parameter, 5))
            ));
        }
    }
    let definition = some(row, 3).map(|body| {
        let mut text_of = format!(
            "CREATE {kind} {}({})",
            ddl::quote(&name),
            arguments.join(", ")
        );
        if let Some(returns) = &returns {
            text_of.push_str(&format!(" RETURNS {}", native(returns)));
        }
        if text(row, 4) == "YES" {
            text_of.push_str(" DETERMINISTIC");
        }
        if text(row, 5) != "CONTAINS SQL" {
            text_of.push_str(&format!(" {}", text(row, 5)));
        }
        if text(row, 6) == "INVOKER" {
            text_of.push_str(" SQL SECURITY INVOKER");
        }
        if let Some(comment) = some(row, 7) {
            text_of.push_str(&format!(" COMMENT {}", literal(&comment)));
        }
        format!("{text_of} {}", body.trim())
    });
    Routine {
        schema: None,
        name,
        arguments: None,
        kind,
        definition,
    }
}

fn event(row: &Row) -> Event {
    let name = text(row, 0);
    let schedule = match some(row, 3) {
        Some(at) => format!("AT {}", literal(&at)),
        None => {
            let ends =
                some(row, 6).map_or(String::new(), |ends| format!(" ENDS {}", literal(&ends)));
            format!(
                "EVERY {} {}{ends}",
                literal(text(row, 4).trim_matches('\'')),
                text(row, 5)
            )
        }
    };
    let keep = if text(row, 8) == "PRESERVE" {
        " ON COMPLETION PRESERVE"
    } else {
        ""
    };
    let status = if text(row, 7) == "ENABLED" {
        ""
    } else {
        " DISABLE"
    };
    let comment = some(row, 9).map_or(String::new(), |comment| {
        format!(" COMMENT {}", literal(&comment))
    });
    Event {
        definition: format!(
            "CREATE EVENT {} ON SCHEDULE {schedule}{keep}{status}{comment} DO {}",
            ddl::quote(&name),
            text(row, 1).trim()
        ),
        name,
    }
}
