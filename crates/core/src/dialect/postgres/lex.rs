//! How scripts are lexed, and what each statement is.

use super::{concurrent, inverse, lock};
use crate::sql::alter::Grammar;
use crate::sql::change::{Change, ConstraintKind, Ddl, object};
use crate::sql::words::Words;
use crate::sql::{
    Bodies, Kind, LexMode, LexRules, ObjectKind, SessionState, StatementClass, TxUse,
};
use crate::sql::{create, rows};

/// The lexing rules under a session's mode.
pub fn rules(mode: &LexMode) -> LexRules {
    LexRules {
        dollar_quotes: true,
        nested_comments: true,
        backslash_escapes: mode.plain_backslashes,
        prefixed_literals: true,
        copy_blocks: true,
        custom_operators: true,
        cr_ends_line: true,
        bodies: Bodies::Atomic,
        ..LexRules::default()
    }
}

/// The longest name, in bytes; the server cuts what is longer.
pub(super) const NAME_MAX: usize = 63;

/// A text cut to a number of bytes, between characters.
pub(super) fn cut(text: &str, bytes: usize) -> &str {
    let mut end = bytes.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// The modes in which what follows a statement may be read, where the statement sets one.
pub fn modes_after(sql: &str, mode: &LexMode) -> Vec<LexMode> {
    let found = |off: &[bool]| {
        let modes = off.iter().map(|off| LexMode {
            plain_backslashes: *off,
            ..mode.clone()
        });
        modes.collect()
    };
    let lower = sql.to_ascii_lowercase();
    let Some((before, value)) = lower.split_once("standard_conforming_strings") else {
        return vec![];
    };
    if before.contains("set_config") {
        return found(&[false, true]);
    }
    let scope = before.strip_prefix("set").map(str::trim);
    if !scope.is_some_and(|scope| ["", "session", "local"].contains(&scope)) {
        return vec![];
    }
    let value = value.trim_start_matches(|c: char| c == '=' || c.is_whitespace());
    let value = value.strip_prefix("to").unwrap_or(value);
    let value = value.trim_matches(|c: char| c == '\'' || c.is_whitespace());
    let off = [
        "off", "false", "no", "0", "f", "n", "of", "fa", "fal", "fals",
    ];
    found(&[off.contains(&value)])
}

/// Unquoted names are folded to lower case (ASCII letters, as servers with multi-byte encodings do).
pub(super) fn fold(name: &str, quoted: bool) -> String {
    let name = cut(name, NAME_MAX);
    if quoted {
        name.to_owned()
    } else {
        name.to_ascii_lowercase()
    }
}

/// The grammar's own ways. Of constraints without a name only the primary key's can be told: a table has one.
pub(super) const GRAMMAR: Grammar = Grammar {
    fold,
    keys_in_tables: false,
    constraint_name: |table, _columns, kind| {
        let primary = kind == ConstraintKind::PrimaryKey;
        primary.then(|| concurrent::object_name(table, "", "pkey"))
    },
    primary: None,
};

/// The class of one statement.
pub fn classify(sql: &str, mode: &LexMode) -> StatementClass {
    let words = Words::read(sql, &rules(mode));
    let mut class = StatementClass::default();
    let Some(first) = words.toks.iter().find(|tok| !tok.op("(")) else {
        return class;
    };
    let verb = first.text.to_ascii_uppercase();
    class.verb.clone_from(&verb);
    let second = |wanted: &[&str]| words.toks.get(1).is_some_and(|tok| tok.is_any(wanted));
    match verb.as_str() {
        "CREATE" | "DROP" | "ALTER" => definition(&words, &mut class),
        "TRUNCATE" => truncate(&words, &mut class),
        "INSERT" | "UPDATE" | "DELETE" | "MERGE" | "SELECT" | "WITH" | "VALUES" | "TABLE" => {
            rows_statement(&words, &mut class);
        }
        "COPY" => copy(&words, &mut class),
        "SHOW" => class.kind = Kind::Query,
        // `EXPLAIN ANALYZE` runs what it explains.
        "EXPLAIN" => {
            class.kind = if words.has(&["ANALYZE", "ANALYSE"]) {
                Kind::Call
            } else {
                Kind::Query
            }
        }
        "SET" | "RESET" | "LISTEN" | "UNLISTEN" | "LOAD" => session(&mut class, SessionState::Sets),
        "DISCARD" => {
            session(&mut class, SessionState::Sets);
            class.tx = TxUse::Outside;
        }
        "PREPARE" if second(&["TRANSACTION"]) => class.kind = Kind::Transaction,
        "PREPARE" | "DEALLOCATE" => session(&mut class, SessionState::Shares),
        "EXECUTE" => call(&mut class, SessionState::Shares),
        "DECLARE" | "FETCH" | "MOVE" | "CLOSE" => {
            class.kind = Kind::Query;
            class.state = SessionState::Shares;
        }
        "CALL" | "DO" | "NOTIFY" => call(&mut class, SessionState::None),
        "BEGIN" | "START" | "COMMIT" | "END" | "ROLLBACK" | "ABORT" | "SAVEPOINT" | "RELEASE" => {
            class.kind = Kind::Transaction;
        }
        "VACUUM" | "ANALYZE" | "ANALYSE" | "REINDEX" | "CLUSTER" | "REFRESH" | "CHECKPOINT"
        | "LOCK" => {
            maintenance(&words, &mut class);
        }
        "GRANT" | "REVOKE" | "REASSIGN" | "SECURITY" => class.kind = Kind::Rights,
        "COMMENT" | "IMPORT" => {
            class.kind = Kind::Ddl;
            class.catalog_only = verb == "COMMENT";
        }
        _ => {}
    }
    class
}

fn session(class: &mut StatementClass, state: SessionState) {
    class.kind = Kind::Session;
    class.state = state;
}

fn call(class: &mut StatementClass, state: SessionState) {
    class.kind = Kind::Call;
    class.state = state;
}

/// What a CREATE, DROP or ALTER changes.
pub(super) fn ddl(words: &Words<'_>) -> Option<Ddl> {
    create::create(words, &GRAMMAR)
        .or_else(|| create::drop(words, &GRAMMAR))
        .or_else(|| create::alter(words, &GRAMMAR))
}

fn definition(words: &Words<'_>, class: &mut StatementClass) {
    let mut cursor = words.cursor();
    cursor.bump();
    cursor.eat(&["OR", "REPLACE"]);
    let mapping = cursor.peek(1).is_some_and(|tok| tok.is("MAPPING"));
    if (cursor.is_any(&["ROLE", "USER", "GROUP"]) && !mapping) || cursor.is("DEFAULT") {
        class.kind = Kind::Rights;
        class.verb = format!("{} ROLE", class.verb);
        return;
    }
    let by_itself = cursor.is_any(&["DATABASE", "TABLESPACE", "SYSTEM", "SUBSCRIPTION"]);
    let Some(mut ddl) = ddl(words) else { return };
    let rows = std::mem::take(&mut ddl.rows);
    // Rows that come with a new table are there with it or not at all, so its being there still tells.
    ddl.describe(class);
    class.catalog_only &= !rows;
    class.inverse = inverse::of(&ddl);
    class.hazards = lock::hazards(&ddl);
    class.reads = rows::reads(words, fold);
    class.reads.retain(|table| !class.touches.contains(table));
    let value = ddl
        .changes
        .iter()
        .any(|change| matches!(change, Change::AddValue(_)));
    if by_itself || ddl.concurrently || value {
        class.tx = TxUse::Outside;
    }
    if ddl.temporary {
        class.state = SessionState::Shares;
    }
}

/// `TRUNCATE [TABLE] [ONLY] a, b …`.
fn truncate(words: &Words<'_>, class: &mut StatementClass) {
    let mut cursor = words.cursor();
    cursor.bump();
    cursor.eat(&["TABLE"]);
    let mut ddl = Ddl {
        verb: "TRUNCATE TABLE".into(),
        empties: true,
        ..Ddl::default()
    };
    loop {
        cursor.eat(&["ONLY"]);
        match cursor.name(fold) {
            Some(name) => ddl
                .changes
                .push(Change::Empty(object(ObjectKind::Table, &name))),
            None => ddl.changes.push(Change::Opaque),
        }
        cursor.eat_op("*");
        if !cursor.eat_op(",") {
            break;
        }
    }
    ddl.describe(class);
    class.hazards = lock::hazards(&ddl);
}

fn rows_statement(words: &Words<'_>, class: &mut StatementClass) {
    // What the session's own earlier calls of a sequence gave.
    if words.calls(&["currval", "lastval"]) {
        class.state = SessionState::Shares;
    }
    class.reads = rows::reads(words, fold);
    if let Some(written) = rows::written(words, fold) {
        class.kind = Kind::Dml;
        class.verb = written.verb.to_owned();
        class.hazards = lock::of_rows(&written);
        class.touches = written.tables;
        class.reads.retain(|table| !class.touches.contains(table));
        return;
    }
    let mut cursor = words.cursor();
    let makes_table = cursor.seek(&["SELECT"]) && cursor.seek(&["INTO"]);
    if makes_table {
        cursor.bump();
        let temporary = cursor.eat_any(&["TEMP", "TEMPORARY"]);
        cursor.eat_any(&["UNLOGGED", "TABLE"]);
        class.kind = Kind::Ddl;
        class.verb = "SELECT INTO".into();
        class.touches = cursor
            .name(fold)
            .iter()
            .map(|name| object(ObjectKind::Table, name))
            .collect();
        class.state = if temporary {
            SessionState::Shares
        } else {
            class.state
        };
    } else if words.calls(&["set_config"])
        && !words.has(&["FROM"])
        && !rows::calls_unknown(words, &["set_config"])
    {
        // As dumps set the search path.
        session(class, SessionState::Sets);
    } else if rows::calls_unknown(words, QUERY_FUNCTIONS) {
        class.kind = Kind::Call;
    } else {
        class.kind = Kind::Query;
    }
}

/// The server's own functions that a query may call and that leave nothing behind, besides those of every engine.
const QUERY_FUNCTIONS: &[&str] = &[
    "JSON_AGG",
    "JSON_BUILD_OBJECT",
    "JSONB_OBJECT_AGG",
    "JSONB_EACH",
    "JSONB_EACH_TEXT",
    "JSONB_OBJECT_KEYS",
    "AGE",
    "JSONB_ARRAY_LENGTH",
    "JSONB_TYPEOF",
    "JSONB_SET",
    "JSON_ARRAY_ELEMENTS",
    "REGEXP_MATCHES",
    "REGEXP_MATCH",
    "STRING_TO_ARRAY",
    "GEN_RANDOM_UUID",
    "CLOCK_TIMESTAMP",
    "STATEMENT_TIMESTAMP",
    "TRANSACTION_TIMESTAMP",
    "RANDOM",
    "BOOL_AND",
    "BOOL_OR",
    "PERCENTILE_CONT",
    "ENCODE",
    "DECODE",
    "INITCAP",
    "TRANSLATE",
    "ENUM_RANGE",
    "BTRIM",
    "PG_TYPEOF",
    "PG_RELATION_SIZE",
    "PG_TOTAL_RELATION_SIZE",
    "PG_SIZE_PRETTY",
    "TO_REGTYPE",
    "TO_NUMBER",
    "MAKE_DATE",
    "HAS_TABLE_PRIVILEGE",
    "PG_GET_CONSTRAINTDEF",
    "PG_GET_INDEXDEF",
    "PG_GET_SERIAL_SEQUENCE",
    "ARRAY_POSITION",
    "CURRVAL",
    "LASTVAL",
    "FORMAT_TYPE",
    "OBJ_DESCRIPTION",
    "COL_DESCRIPTION",
    "STDDEV",
    "VARIANCE",
    "WIDTH_BUCKET",
];

/// `COPY t FROM stdin` is followed by its rows; `COPY … TO` only reads.
fn copy(words: &Words<'_>, class: &mut StatementClass) {
    let mut direction = words.cursor();
    if !direction.seek(&["FROM"]) {
        class.kind = if words.has(&["PROGRAM"]) {
            Kind::Call
        } else {
            Kind::Query
        };
        return;
    }
    direction.bump();
    class.kind = if direction.is("STDIN") {
        Kind::CopyIn
    } else {
        Kind::Dml
    };
    class.touches = rows::written(words, fold)
        .map(|written| written.tables)
        .unwrap_or_default();
}

/// What is rebuilt while others write: what a rebuild that dies leaves behind is found by it.
fn rebuilt(words: &Words<'_>) -> Option<crate::sql::ObjectRef> {
    let mut options = words.toks.iter().take(8);
    if !options.any(|tok| tok.is("CONCURRENTLY")) {
        return None;
    }
    let mut cursor = words.cursor();
    if !cursor.seek(&["INDEX", "TABLE", "SCHEMA", "DATABASE"]) {
        return None;
    }
    let what = cursor.bump()?;
    cursor.eat(&["CONCURRENTLY"]);
    let kind = match what.text.to_ascii_uppercase().as_str() {
        "INDEX" => ObjectKind::Index,
        "TABLE" => ObjectKind::Table,
        "SCHEMA" => ObjectKind::Schema,
        // Its name may be left out: there is only one that it can be.
        _ => {
            let name = cursor.name(fold).map_or_else(String::new, |name| name.name);
            return Some(crate::sql::ObjectRef {
                kind: ObjectKind::Database,
                schema: None,
                parent: None,
                name,
            });
        }
    };
    Some(object(kind, &cursor.name(fold)?))
}

fn maintenance(words: &Words<'_>, class: &mut StatementClass) {
    class.kind = Kind::Maintenance;
    let one = words.toks.len() == 1;
    let wide = words
        .toks
        .iter()
        .take(6)
        .any(|tok| tok.is_any(&["CONCURRENTLY", "DATABASE", "SYSTEM", "SCHEMA"]));
    let outside = match class.verb.as_str() {
        "VACUUM" => true,
        "REINDEX" => wide,
        "CLUSTER" => one,
        _ => false,
    };
    if outside {
        class.tx = TxUse::Outside;
    }
    if outside && class.verb == "REINDEX" {
        class.touches = rebuilt(words).into_iter().collect();
    }
    class.hazards = lock::of_maintenance(words, &class.verb);
}
