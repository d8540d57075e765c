//! How scripts are lexed, and what each statement is.

use super::mode::{ANSI_QUOTES, NO_BACKSLASH_ESCAPES};
use super::{inverse, lock};
use crate::sql::alter::Grammar;
use crate::sql::change::{Change, Ddl, object};
use crate::sql::words::{Cursor, Tok, Words, by_commas};
use crate::sql::{
    Bodies, Kind, LexMode, LexRules, ObjectKind, SessionState, StatementClass, TokenKind, TxUse,
};
use crate::sql::{create, rows};

/// The lexing rules under a session's mode.
pub fn rules(mode: &LexMode) -> LexRules {
    let has = |wanted: &str| {
        mode.sql_mode
            .split(',')
            .any(|one| one.trim().eq_ignore_ascii_case(wanted))
    };
    LexRules {
        hash_comments: true,
        dashes_need_space: true,
        versioned_comments: true,
        backticks: true,
        double_quotes_are_text: !ANSI_QUOTES.iter().any(|mode| has(mode)),
        backslash_escapes: !has(NO_BACKSLASH_ESCAPES),
        delimiter_command: true,
        at_variables: true,
        digit_words: true,
        bodies: Bodies::Compound,
        ..LexRules::default()
    }
}

pub(super) fn fold(name: &str, _quoted: bool) -> String {
    name.to_owned()
}

/// The grammar's own ways. Indexes without a name are called after their first column, which the reader knows;
/// foreign keys and checks get a number that only the server knows.
pub(super) const GRAMMAR: Grammar = Grammar {
    fold,
    keys_in_tables: true,
    constraint_name: |_table, _columns, _kind| None,
    primary: Some("PRIMARY"),
};

/// The class of one statement.
pub fn classify(sql: &str, mode: &LexMode) -> StatementClass {
    let words = Words::read(sql, &rules(mode));
    let mut class = StatementClass {
        tx: TxUse::CommitsItself,
        ..StatementClass::default()
    };
    let Some(first) = words.toks.iter().find(|tok| !tok.op("(")) else {
        return class;
    };
    let verb = first.text.to_ascii_uppercase();
    class.verb.clone_from(&verb);
    match verb.as_str() {
        "CREATE" | "DROP" | "ALTER" | "RENAME" | "TRUNCATE" => definition(&words, &mut class),
        "INSERT" | "REPLACE" | "UPDATE" | "DELETE" | "LOAD" | "SELECT" | "WITH" | "VALUES"
        | "TABLE" => {
            rows_statement(&words, &mut class);
        }
        "SHOW" | "DESCRIBE" | "DESC" | "EXPLAIN" | "HELP" => query(&mut class),
        "SET" => set(&words, &mut class),
        "USE" => session(&mut class, SessionState::Sets),
        "PREPARE" | "DEALLOCATE" => session(&mut class, SessionState::Shares),
        "EXECUTE" | "HANDLER" => call(&mut class, SessionState::Shares),
        "CALL" | "DO" | "IF" | "CASE" | "LOOP" | "WHILE" | "REPEAT" | "FOR" => {
            call(&mut class, shared(&words))
        }
        "BEGIN" if words.toks.get(1).is_some_and(|tok| tok.is("NOT")) => {
            call(&mut class, shared(&words))
        }
        "BEGIN" | "START" | "COMMIT" | "ROLLBACK" | "SAVEPOINT" | "RELEASE" | "XA" => {
            let transaction =
                verb != "START" || words.toks.get(1).is_some_and(|tok| tok.is("TRANSACTION"));
            class.kind = if transaction {
                Kind::Transaction
            } else {
                Kind::Unknown
            };
        }
        // They hold every other table shut, the journal's too, and end the transaction.
        "LOCK" | "UNLOCK" => class.kind = Kind::Transaction,
        "ANALYZE" | "OPTIMIZE" | "CHECK" | "REPAIR" | "CHECKSUM" | "FLUSH" | "CACHE" => {
            maintenance(&words, &mut class)
        }
        "GRANT" | "REVOKE" => class.kind = Kind::Rights,
        _ => {}
    }
    class
}

fn query(class: &mut StatementClass) {
    class.kind = Kind::Query;
    class.tx = TxUse::Inside;
}

fn session(class: &mut StatementClass, state: SessionState) {
    class.kind = Kind::Session;
    class.tx = TxUse::Inside;
    class.state = state;
}

fn call(class: &mut StatementClass, state: SessionState) {
    class.kind = Kind::Call;
    class.tx = TxUse::Inside;
    class.state = state;
}

/// What a CREATE, DROP, ALTER, RENAME or TRUNCATE changes.
pub(super) fn ddl(words: &Words<'_>) -> Option<Ddl> {
    create::create(words, &GRAMMAR)
        .or_else(|| create::drop(words, &GRAMMAR))
        .or_else(|| create::alter(words, &GRAMMAR))
        .or_else(|| create::rename_tables(words, &GRAMMAR))
        .or_else(|| truncate(words))
}

fn definition(words: &Words<'_>, class: &mut StatementClass) {
    if words.toks.get(1).is_some_and(|tok| tok.is("PREPARE")) {
        session(class, SessionState::Shares);
        return;
    }
    let mut cursor = words.cursor();
    cursor.bump();
    cursor.eat(&["OR", "REPLACE"]);
    if cursor.is_any(&["USER", "ROLE"]) {
        class.kind = Kind::Rights;
        class.verb = format!("{} USER", class.verb);
        return;
    }
    let Some(mut ddl) = ddl(words) else { return };
    ddl.body = body(words);
    ddl.describe(class);
    // No type of a column is computed from the old value here (there is no USING), so a definition can be given twice.
    class.repeatable = ddl.is_repeatable();
    if class.drops_many {
        class.drop_rest = format!("{} IF EXISTS", class.verb);
    }
    class.inverse = inverse::of(&ddl);
    class.hazards = lock::hazards(&ddl);
    class.reads = rows::reads(words, fold);
    class.reads.retain(|table| !class.touches.contains(table));
    if ddl.temporary {
        class.tx = TxUse::Inside;
        class.state = SessionState::Shares;
    }
}

/// `TRUNCATE [TABLE] name`.
fn truncate(words: &Words<'_>) -> Option<Ddl> {
    let mut cursor = words.cursor();
    if !cursor.eat(&["TRUNCATE"]) {
        return None;
    }
    cursor.eat(&["TABLE"]);
    let table = object(ObjectKind::Table, &cursor.name(fold)?);
    let changes = vec![Change::Empty(table)];
    Some(Ddl {
        verb: "TRUNCATE TABLE".into(),
        changes,
        empties: true,
        ..Ddl::default()
    })
}

fn rows_statement(words: &Words<'_>, class: &mut StatementClass) {
    class.tx = TxUse::Inside;
    class.state = shared(words);
    class.reads = rows::reads(words, fold);
    match rows::written(words, fold) {
        Some(written) => {
            class.kind = Kind::Dml;
            class.verb = written.verb.to_owned();
            class.hazards = lock::of_rows(&written);
            class.touches = written.tables;
            class.reads.retain(|table| !class.touches.contains(table));
        }
        // A stored function may write.
        None if rows::calls_unknown(words, QUERY_FUNCTIONS) => class.kind = Kind::Call,
        None => class.kind = Kind::Query,
    }
}

/// The server's own functions that a query may call and that leave nothing behind, besides those of every engine.
const QUERY_FUNCTIONS: &[&str] = &[
    "LAST_INSERT_ID",
    "FOUND_ROWS",
    "ROW_COUNT",
    "CONNECTION_ID",
    "SCHEMA",
    "JSON_TABLE",
    "JSON_ARRAYAGG",
    "ADDDATE",
    "JSON_OBJECTAGG",
    "JSON_CONTAINS",
    "JSON_LENGTH",
    "JSON_KEYS",
    "JSON_TYPE",
    "JSON_SET",
    "JSON_REMOVE",
    "FIELD",
    "FIND_IN_SET",
    "ELT",
    "TIMESTAMPDIFF",
    "TIMESTAMPADD",
    "TIMESTAMP",
    "TIME",
    "HOUR",
    "MINUTE",
    "SECOND",
    "RAND",
    "CRC32",
    "BIT_COUNT",
    "BIN_TO_UUID",
    "UUID_TO_BIN",
    "REGEXP_LIKE",
    "REGEXP_SUBSTR",
    "REGEXP_INSTR",
    "SPACE",
    "UTC_TIMESTAMP",
    "UTC_DATE",
    "SYSDATE",
    "LAST_DAY",
    "DAYOFWEEK",
    "WEEK",
    "QUARTER",
    "TO_DAYS",
    "FROM_DAYS",
    "INSERT",
    "MAKEDATE",
    "INET_ATON",
    "INET_NTOA",
    "ANY_VALUE",
    "STD",
    "STDDEV",
    "VARIANCE",
    "BIT_OR",
    "BIT_AND",
    "BIT_XOR",
    "TRUNCATE",
    "LCASE",
    "UCASE",
    "MID",
    "ASCII",
    "ORD",
    "BIN",
    "OCT",
    "CONV",
    "QUOTE",
    "COLLATION",
    "CHARSET",
    "BINARY",
    "MATCH",
    "AGAINST",
];

/// User variables, LAST_INSERT_ID() and their kin: state that the session made from data.
fn shared(words: &Words<'_>) -> SessionState {
    const FUNCTIONS: &[&str] = &[
        "LAST_INSERT_ID",
        "ROW_COUNT",
        "FOUND_ROWS",
        "GET_LOCK",
        "RELEASE_LOCK",
    ];
    let variable = |tok: &Tok<'_>| {
        let name = tok.text.to_ascii_lowercase();
        let made_by_rows =
            ["@@identity", "@@last_insert_id", "@@insert_id"].contains(&name.as_str());
        tok.kind == TokenKind::Parameter && (is_user_variable(tok) || made_by_rows)
    };
    if words.toks.iter().any(variable) || words.calls(FUNCTIONS) {
        SessionState::Shares
    } else {
        SessionState::None
    }
}

fn is_user_variable(tok: &Tok<'_>) -> bool {
    tok.kind == TokenKind::Parameter && tok.text.starts_with('@') && !tok.text.starts_with("@@")
}

/// `SET`: pure where every value is made of literals, names and the server's settings.
fn set(words: &Words<'_>, class: &mut StatementClass) {
    let mut cursor = words.cursor();
    cursor.bump();
    if cursor.is_any(&["PASSWORD", "DEFAULT"]) {
        class.kind = Kind::Rights;
        return;
    }
    let mut state = SessionState::Sets;
    for assignment in by_commas(cursor.rest()) {
        let mut cursor = Cursor::over(assignment);
        cursor.eat_any(&[
            "SESSION",
            "GLOBAL",
            "LOCAL",
            "PERSIST",
            "PERSIST_ONLY",
            "STATEMENT",
        ]);
        let Some(target) = cursor.bump() else {
            continue;
        };
        let name = target.text.to_ascii_lowercase();
        if name
            .trim_start_matches("@@session.")
            .trim_start_matches("@@")
            == "autocommit"
        {
            class.kind = Kind::Transaction;
            return;
        }
        if !is_pure(cursor.rest(), is_user_variable(target)) {
            state = SessionState::Shares;
        }
    }
    session(class, state);
}

fn is_pure(value: &[Tok<'_>], of_user_variable: bool) -> bool {
    // The same in every session of the same user and database.
    const FUNCTIONS: &[&str] = &[
        "CONCAT",
        "CONCAT_WS",
        "REPLACE",
        "IF",
        "IFNULL",
        "NULLIF",
        "COALESCE",
        "UPPER",
        "LOWER",
        "TRIM",
        "DATABASE",
        "SCHEMA",
        "USER",
        "CURRENT_USER",
        "VERSION",
        "CAST",
        "LEFT",
        "RIGHT",
        "SUBSTRING",
        "LEAST",
        "GREATEST",
    ];
    let calls_other = value.windows(2).any(|pair| {
        pair[0].kind == TokenKind::Word && pair[1].op("(") && !pair[0].is_any(FUNCTIONS)
    });
    let selects = value.iter().any(|tok| tok.is("SELECT"));
    // A setting that is put back from a variable is pure; a variable made from a variable may be made from data.
    let from_variable = of_user_variable && value.iter().any(is_user_variable);
    let moment = value
        .iter()
        .any(|tok| tok.is_any(&["CURRENT_TIMESTAMP", "CURRENT_DATE", "CURRENT_TIME"]));
    !calls_other && !selects && !from_variable && !moment
}

fn maintenance(words: &Words<'_>, class: &mut StatementClass) {
    let mut cursor = words.cursor();
    cursor.bump();
    cursor.eat_any(&["LOCAL", "NO_WRITE_TO_BINLOG"]);
    let of_tables = cursor.eat_any(&["TABLE", "TABLES"]);
    if class.verb == "ANALYZE" && !of_tables {
        // MariaDB's `ANALYZE UPDATE …` runs what it analyses.
        return;
    }
    class.kind = Kind::Maintenance;
    if of_tables {
        let names = by_commas(cursor.rest())
            .into_iter()
            .filter_map(|part| Cursor::over(part).name(fold));
        class.touches = names.map(|name| object(ObjectKind::Table, &name)).collect();
    }
}

/// The body of a routine, trigger or event, as the server stores it: the text from its first token to its last.
fn body(words: &Words<'_>) -> Option<String> {
    let mut cursor = words.cursor();
    if !cursor.eat(&["CREATE"]) || !cursor.seek(&["PROCEDURE", "FUNCTION", "TRIGGER", "EVENT"]) {
        return None;
    }
    let kind = cursor.bump()?;
    if kind.is("TRIGGER") {
        let row = cursor.seek(&["EACH"]) && cursor.eat(&["EACH", "ROW"]);
        if !row {
            return None;
        }
        if cursor.eat_any(&["FOLLOWS", "PRECEDES"]) {
            cursor.name(fold)?;
        }
    } else if kind.is("EVENT") {
        if !cursor.seek(&["DO"]) {
            return None;
        }
        cursor.bump();
    } else {
        cursor.eat(&["IF", "NOT", "EXISTS"]);
        cursor.name(fold)?;
        cursor.group()?;
        if cursor.eat(&["RETURNS"]) {
            cursor.bump();
            cursor.group();
        }
        while characteristic(&mut cursor) {}
    }
    // Servers store the text with its literals decoded: one that decoding changes would never be found again.
    let plain = |pair: &[Tok<'_>]| {
        let inner = pair[1]
            .text
            .get(1..pair[1].text.len().saturating_sub(1))
            .unwrap_or_default();
        let odd = inner
            .bytes()
            .any(|byte| matches!(byte, b'\\' | b'\'' | b'"' | 0..=31));
        pair[1].kind != TokenKind::Text || !(odd || pair[0].text.starts_with('_'))
    };
    let range = cursor.peek(0)?.start..words.toks.last()?.end();
    if !cursor.rest().windows(2).all(plain) {
        return None;
    }
    (!words.is_versioned_within(&range)).then(|| words.sql.get(range).map(str::to_owned))?
}

/// Takes one characteristic of a routine or one attribute of its type.
fn characteristic(cursor: &mut Cursor<'_>) -> bool {
    if cursor.eat_any(&["COMMENT", "LANGUAGE", "CHARSET", "COLLATE"]) {
        return cursor.bump().is_some();
    }
    cursor.eat(&["CHARACTER", "SET"]) && cursor.bump().is_some()
        || cursor.eat(&["NOT", "DETERMINISTIC"])
        || cursor.eat(&["CONTAINS", "SQL"])
        || cursor.eat(&["NO", "SQL"])
        || cursor.eat(&["READS", "SQL", "DATA"])
        || cursor.eat(&["MODIFIES", "SQL", "DATA"])
        || (cursor.eat(&["SQL", "SECURITY"]) && cursor.bump().is_some())
        || cursor.eat_any(&[
            "DETERMINISTIC",
            "UNSIGNED",
            "SIGNED",
            "ZEROFILL",
            "BINARY",
            "PRECISION",
            "VARYING",
        ])
}
