//! How scripts are lexed, and what each statement is.

use super::{inverse, lock};
use crate::sql::alter::Grammar;
use crate::sql::change::Ddl;
use crate::sql::words::Words;
use crate::sql::{Bodies, Kind, LexMode, LexRules, SessionState, StatementClass, TxUse};
use crate::sql::{create, rows};

/// The lexing rules. No mode of a session changes them.
pub fn rules(_mode: &LexMode) -> LexRules {
    LexRules {
        backticks: true,
        brackets: true,
        bodies: Bodies::Triggers,
        ..LexRules::default()
    }
}

pub(super) fn fold(name: &str, _quoted: bool) -> String {
    name.to_owned()
}

const GRAMMAR: Grammar = Grammar {
    fold,
    keys_in_tables: false,
    constraint_name: |_table, _columns, _kind| None,
    primary: None,
};

/// The class of one statement.
pub fn classify(sql: &str, mode: &LexMode) -> StatementClass {
    let words = Words::read(sql, &rules(mode));
    let mut class = StatementClass::default();
    let Some(first) = words.toks.first() else {
        return class;
    };
    let verb = first.text.to_ascii_uppercase();
    class.verb.clone_from(&verb);
    match verb.as_str() {
        "CREATE" | "DROP" | "ALTER" => definition(&words, &mut class),
        "INSERT" | "REPLACE" | "UPDATE" | "DELETE" | "SELECT" | "WITH" | "VALUES" => {
            rows_statement(&words, &mut class)
        }
        "EXPLAIN" => class.kind = Kind::Query,
        "PRAGMA" => pragma(&words, &mut class),
        "ATTACH" | "DETACH" => session(&mut class, TxUse::Outside),
        "BEGIN" | "COMMIT" | "END" | "ROLLBACK" | "SAVEPOINT" | "RELEASE" => {
            class.kind = Kind::Transaction
        }
        "VACUUM" => {
            class.kind = Kind::Maintenance;
            class.tx = TxUse::Outside;
            class.hazards = lock::of_vacuum();
        }
        "ANALYZE" | "REINDEX" => class.kind = Kind::Maintenance,
        _ => {}
    }
    class
}

fn session(class: &mut StatementClass, tx: TxUse) {
    class.kind = Kind::Session;
    class.state = SessionState::Sets;
    class.tx = tx;
}

/// What a CREATE, DROP or ALTER changes.
pub(super) fn ddl(words: &Words<'_>) -> Option<Ddl> {
    create::create(words, &GRAMMAR)
        .or_else(|| create::drop(words, &GRAMMAR))
        .or_else(|| create::alter(words, &GRAMMAR))
}

fn definition(words: &Words<'_>, class: &mut StatementClass) {
    let Some(mut ddl) = ddl(words) else { return };
    let rows = std::mem::take(&mut ddl.rows);
    // Rows that come with a new table are there with it or not at all, so its being there still tells.
    ddl.describe(class);
    class.catalog_only &= !rows;
    class.inverse = inverse::of(&ddl);
    class.hazards = lock::hazards(&ddl);
    class.reads = rows::reads(words, fold);
    class.reads.retain(|table| !class.touches.contains(table));
    if ddl.temporary {
        class.state = SessionState::Shares;
    }
}

fn rows_statement(words: &Words<'_>, class: &mut StatementClass) {
    if words.calls(&["last_insert_rowid", "changes", "total_changes"]) {
        class.state = SessionState::Shares;
    }
    class.reads = rows::reads(words, fold);
    match rows::written(words, fold) {
        Some(written) => {
            class.kind = Kind::Dml;
            class.verb = written.verb.to_owned();
            class.hazards = lock::of_rows(&written);
            class.touches = written.tables;
            class.reads.retain(|table| !class.touches.contains(table));
        }
        None if words.calls(&["load_extension", "writefile", "edit"]) => class.kind = Kind::Call,
        // Statements cannot define functions, so a query leaves nothing behind.
        None => class.kind = Kind::Query,
    }
}

/// `PRAGMA [schema.]name [= value | (value)]`.
fn pragma(words: &Words<'_>, class: &mut StatementClass) {
    // Their argument names what to look at.
    const LOOKS: &[&str] = &[
        "table_info",
        "table_xinfo",
        "table_list",
        "index_info",
        "index_xinfo",
        "index_list",
        "foreign_key_list",
        "foreign_key_check",
        "integrity_check",
        "quick_check",
        "database_list",
        "collation_list",
        "function_list",
        "compile_options",
        "pragma_list",
        "module_list",
        "data_version",
        "freelist_count",
        "page_count",
    ];
    let mut cursor = words.cursor();
    cursor.bump();
    let Some(name) = cursor.name(fold) else {
        return;
    };
    let name = name.name.to_ascii_lowercase();
    class.verb = format!("PRAGMA {name}");
    match name.as_str() {
        name if LOOKS.contains(&name) => class.kind = Kind::Query,
        "optimize" | "shrink_memory" | "incremental_vacuum" => class.kind = Kind::Maintenance,
        "wal_checkpoint" => {
            class.kind = Kind::Maintenance;
            class.tx = TxUse::Outside;
        }
        _ if cursor.is_done() => class.kind = Kind::Query,
        // They stand in the file and roll back with it.
        "user_version" | "application_id" | "schema_version" => class.kind = Kind::Ddl,
        // It lasts until the end of its transaction.
        "defer_foreign_keys" => session(class, TxUse::Inside),
        // Within a transaction some of them do nothing and say nothing.
        _ => session(class, TxUse::Outside),
    }
}
