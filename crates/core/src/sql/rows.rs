//! Statements that change or read rows: which tables they name, as far as tokens tell.

use super::words::{Cursor, Fold, Name, Tok, Words, by_commas};
use super::{ObjectRef, TokenKind};

/// Words behind FROM or a comma that begin something else than a table's name.
const NOT_A_TABLE: &[&str] = &[
    "SELECT", "LATERAL", "UNNEST", "VALUES", "ONLY", "WHERE", "SET", "ON", "USING", "DUAL",
    "TABLE", "ROWS",
];

fn table(name: &Name) -> ObjectRef {
    ObjectRef::table(name.schema.as_deref(), &name.name)
}

/// Functions whose arguments may hold a FROM that names no table.
const FROM_WITHIN: &[&str] = &[
    "EXTRACT",
    "TRIM",
    "SUBSTRING",
    "SUBSTR",
    "OVERLAY",
    "POSITION",
    "LTRIM",
    "RTRIM",
];

/// Tables that a statement reads: behind FROM, JOIN and REFERENCES, without its common table expressions.
pub fn reads(words: &Words<'_>, fold: Fold) -> Vec<ObjectRef> {
    let toks = &words.toks;
    let mut found: Vec<ObjectRef> = vec![];
    let own = common_tables(toks, fold);
    let mut within: Vec<bool> = vec![];
    for (at, tok) in toks.iter().enumerate() {
        let before = at.checked_sub(1).map(|before| &toks[before]);
        if tok.op("(") {
            within.push(before.is_some_and(|tok| tok.is_any(FROM_WITHIN)));
        } else if tok.op(")") {
            within.pop();
        }
        let no_table = within.last() == Some(&true) || before.is_some_and(|tok| tok.is("DISTINCT"));
        let list = tok.is("FROM") && !no_table;
        if !list && !tok.is("JOIN") && !tok.is("REFERENCES") {
            continue;
        }
        let mut cursor = Cursor::over(&toks[at + 1..]);
        loop {
            cursor.eat(&["ONLY"]);
            let start = cursor;
            let Some(name) = cursor.name(fold).filter(|_| !start.is_any(NOT_A_TABLE)) else {
                break;
            };
            let is_function = cursor.op("(") && !tok.is("REFERENCES");
            if !(is_function || name.schema.is_none() && own.contains(&name.name)) {
                found.push(table(&name));
            }
            // `FROM a AS x, b`: an alias may stand before the comma.
            cursor.eat(&["AS"]);
            if !cursor.op(",") && cursor.peek(1).is_some_and(|tok| tok.op(",")) {
                cursor.bump();
            }
            if !list || !cursor.eat_op(",") {
                break;
            }
        }
    }
    found.sort();
    found.dedup();
    found
}

/// The names that a WITH defines.
fn common_tables(toks: &[Tok<'_>], fold: Fold) -> Vec<String> {
    let mut names = vec![];
    for (at, tok) in toks.iter().enumerate() {
        let opens = tok.is("AS")
            && toks
                .get(at + 1)
                .is_some_and(|next| next.op("(") || next.is_any(&["MATERIALIZED", "NOT"]));
        if !opens {
            continue;
        }
        // `name AS (` or `name (a, b) AS (`.
        let mut back = at;
        if back > 0 && toks[back - 1].op(")") {
            while back > 0 && !toks[back - 1].op("(") {
                back -= 1;
            }
            back = back.saturating_sub(1);
        }
        if let Some(name) = back
            .checked_sub(1)
            .and_then(|before| toks.get(before))
            .filter(|tok| tok.is_name())
        {
            names.push(super::words::unquoted(name, fold));
        }
    }
    names
}

/// What a statement that writes rows is, and which tables it writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// INSERT, REPLACE, UPDATE, DELETE, MERGE, LOAD, COPY.
    pub verb: &'static str,
    /// The tables whose rows it writes; of several tables in one statement, all that it names.
    pub tables: Vec<ObjectRef>,
    /// An UPDATE or DELETE without WHERE or LIMIT.
    pub every_row: bool,
}

/// Reads a statement that writes rows, a WITH before it included. `None`: it writes none that tokens tell.
pub fn written(words: &Words<'_>, fold: Fold) -> Option<Written> {
    let mut cursor = words.cursor();
    if cursor.is("EXPLAIN") {
        return None;
    }
    if cursor.is("WITH") {
        let mut main = cursor;
        if !main.seek(&[
            "INSERT", "REPLACE", "UPDATE", "DELETE", "MERGE", "SELECT", "VALUES", "TABLE",
        ]) {
            return None;
        }
        if main.is_any(&["SELECT", "VALUES", "TABLE"]) {
            return within_with(cursor, fold);
        }
        cursor = main;
    }
    one(cursor, fold)
}

/// A statement that writes within a WITH: `WITH gone AS (DELETE …) SELECT …`.
fn within_with(mut cursor: Cursor<'_>, fold: Fold) -> Option<Written> {
    let mut found: Option<Written> = None;
    while let Some(tok) = cursor.bump() {
        let begins = tok.op("(") && cursor.is_any(&["INSERT", "UPDATE", "DELETE", "MERGE"]);
        if begins && let Some(more) = one(cursor, fold) {
            match &mut found {
                None => found = Some(more),
                Some(written) => written.tables.extend(more.tables),
            }
        }
    }
    found
}

fn one(mut cursor: Cursor<'_>, fold: Fold) -> Option<Written> {
    let verb = cursor.bump()?;
    let (verb, tables) = match verb.text.to_ascii_uppercase().as_str() {
        "INSERT" => ("INSERT", into(&mut cursor, fold)),
        "REPLACE" => ("REPLACE", into(&mut cursor, fold)),
        "MERGE" => ("MERGE", into(&mut cursor, fold)),
        "UPDATE" => ("UPDATE", updated(cursor, fold)),
        "DELETE" => ("DELETE", deleted(cursor, fold)),
        "LOAD" => {
            let found = cursor.seek(&["INTO"]);
            cursor.bump();
            (
                "LOAD",
                if found && cursor.eat(&["TABLE"]) {
                    cursor.name(fold).iter().map(table).collect()
                } else {
                    vec![]
                },
            )
        }
        "COPY" => ("COPY", cursor.name(fold).iter().map(table).collect()),
        _ => return None,
    };
    let mut rest = cursor;
    let every_row =
        matches!(verb, "UPDATE" | "DELETE") && !rest.seek(&["WHERE", "LIMIT", "JOIN", "USING"]);
    Some(Written {
        verb,
        tables,
        every_row,
    })
}

/// `INSERT [OR x] [modifiers] [INTO] name`.
fn into(cursor: &mut Cursor<'_>, fold: Fold) -> Vec<ObjectRef> {
    if cursor.eat(&["OR"]) {
        cursor.bump();
    }
    while cursor.eat_any(&[
        "LOW_PRIORITY",
        "DELAYED",
        "HIGH_PRIORITY",
        "IGNORE",
        "OVERWRITE",
    ]) {}
    cursor.eat(&["INTO"]);
    cursor.eat(&["ONLY"]);
    cursor.name(fold).iter().map(table).collect()
}

/// `UPDATE [OR x] a [alias] [, b | JOIN c ON …] SET`: every table that is named before SET.
fn updated(mut cursor: Cursor<'_>, fold: Fold) -> Vec<ObjectRef> {
    if cursor.eat(&["OR"]) {
        cursor.bump();
    }
    while cursor.eat_any(&["LOW_PRIORITY", "IGNORE", "ONLY"]) {}
    let all = cursor.rest();
    let mut set = cursor;
    let end = if set.seek(&["SET"]) {
        all.len() - set.rest().len()
    } else {
        all.len()
    };
    tables_of(&all[..end], fold)
}

/// `DELETE FROM a …`, `DELETE a, b FROM a JOIN b …`, `DELETE FROM a USING b …`: every table that is named.
fn deleted(mut cursor: Cursor<'_>, fold: Fold) -> Vec<ObjectRef> {
    if !cursor.seek(&["FROM"]) {
        return vec![];
    }
    cursor.bump();
    cursor.eat(&["ONLY"]);
    let all = cursor.rest();
    let mut stop = cursor;
    let end = if stop.seek(&["WHERE", "RETURNING", "ORDER", "LIMIT", "USING"]) {
        all.len() - stop.rest().len()
    } else {
        all.len()
    };
    tables_of(&all[..end], fold)
}

/// The names of a list of tables with aliases and joins.
fn tables_of(toks: &[Tok<'_>], fold: Fold) -> Vec<ObjectRef> {
    let mut tables = vec![];
    for part in by_commas(toks) {
        let mut cursor = Cursor::over(part);
        if let Some(name) = cursor.name(fold) {
            tables.push(table(&name));
        }
        while cursor.seek(&["JOIN", "STRAIGHT_JOIN"]) {
            cursor.bump();
            if let Some(name) = cursor.name(fold) {
                tables.push(table(&name));
            }
        }
    }
    tables.dedup();
    tables
}

/// Functions that read and compute and leave nothing behind, in every engine that has them.
const HARMLESS: &[&str] = &[
    "ABS",
    "ARRAY",
    "ARRAY_AGG",
    "ARRAY_LENGTH",
    "ARRAY_TO_STRING",
    "AVG",
    "CAST",
    "CEIL",
    "CEILING",
    "CHAR",
    "CHAR_LENGTH",
    "CHARACTER_LENGTH",
    "COALESCE",
    "CONCAT",
    "CONCAT_WS",
    "CONVERT",
    "COUNT",
    "CURDATE",
    "CURRENT_DATE",
    "CURRENT_DATABASE",
    "CURRENT_SCHEMA",
    "CURRENT_SETTING",
    "CURRENT_TIME",
    "CURRENT_TIMESTAMP",
    "CURRENT_USER",
    "DATABASE",
    "DATE",
    "DATE_ADD",
    "DATE_FORMAT",
    "DATE_PART",
    "DATE_SUB",
    "DATE_TRUNC",
    "DATEDIFF",
    "DAY",
    "DENSE_RANK",
    "EXISTS",
    "EXTRACT",
    "FIRST_VALUE",
    "FLOOR",
    "FORMAT",
    "FROM_UNIXTIME",
    "GENERATE_SERIES",
    "GREATEST",
    "GROUP_CONCAT",
    "HEX",
    "IF",
    "IFNULL",
    "IN",
    "INSTR",
    "ISNULL",
    "JSON_ARRAY",
    "JSON_EXTRACT",
    "JSON_OBJECT",
    "JSON_UNQUOTE",
    "JSON_VALID",
    "JSONB_AGG",
    "JSONB_ARRAY_ELEMENTS",
    "JSONB_BUILD_OBJECT",
    "LAG",
    "LAST_VALUE",
    "LEAD",
    "LEAST",
    "LEFT",
    "LENGTH",
    "LOCATE",
    "LOWER",
    "LPAD",
    "LTRIM",
    "MAX",
    "MD5",
    "MIN",
    "MOD",
    "MONTH",
    "NOW",
    "NULLIF",
    "OVER",
    "POSITION",
    "POW",
    "POWER",
    "QUOTE_IDENT",
    "QUOTE_LITERAL",
    "RANK",
    "REGEXP_REPLACE",
    "REPEAT",
    "REPLACE",
    "REVERSE",
    "RIGHT",
    "ROUND",
    "ROW",
    "ROW_NUMBER",
    "ROW_TO_JSON",
    "RPAD",
    "RTRIM",
    "SHA1",
    "SHA2",
    "SIGN",
    "SPLIT_PART",
    "SQRT",
    "STR_TO_DATE",
    "STRFTIME",
    "STRING_AGG",
    "SUBSTR",
    "SUBSTRING",
    "SUBSTRING_INDEX",
    "SUM",
    "TO_CHAR",
    "TO_DATE",
    "TO_JSON",
    "TO_JSONB",
    "TO_REGCLASS",
    "TO_TIMESTAMP",
    "TRIM",
    "UNHEX",
    "UNIX_TIMESTAMP",
    "UNNEST",
    "UPPER",
    "USER",
    "USING",
    "UUID",
    "VALUES",
    "VERSION",
    "WHEN",
    "WHERE",
    "AND",
    "OR",
    "NOT",
    "ON",
    "AS",
    "ANY",
    "ALL",
    "SOME",
    "SELECT",
    "FROM",
    "THEN",
    "ELSE",
    "BY",
    "FILTER",
    "WITHIN",
    "DISTINCT",
    "LIMIT",
    "OFFSET",
    "UNION",
    "EXCEPT",
    "INTERSECT",
    "HAVING",
    "JOIN",
    "LATERAL",
    "CASE",
    "WITH",
    "BETWEEN",
    "LIKE",
    "IS",
    "INTERVAL",
    "GROUPING",
    "SETS",
    "CUBE",
    "ROLLUP",
    "PARTITION",
    "MATERIALIZED",
    "RECURSIVE",
    "VARCHAR",
    "DECIMAL",
    "NUMERIC",
    "TABLE",
    "OF",
    "INTO",
    "SLEEP",
    "PG_SLEEP",
    "YEAR",
    "TYPEOF",
    "TOTAL",
    "GROUP",
    "ORDER",
];

/// Whether a query calls a function that is not known to leave nothing behind. `more` are an engine's own.
pub fn calls_unknown(words: &Words<'_>, more: &[&str]) -> bool {
    words.toks.windows(2).enumerate().any(|(at, pair)| {
        let is_call = pair[0].is_name() && pair[1].op("(");
        // `name AS (` and `WITH name (columns)` define something; `t (a, b)` behind AS is an alias with columns.
        let defines = at > 0 && words.toks[at - 1].is_any(&["WITH", "AS", "RECURSIVE"]);
        is_call
            && !defines
            && !(pair[0].kind == TokenKind::Word
                && (pair[0].is_any(HARMLESS) || pair[0].is_any(more)))
    })
}
