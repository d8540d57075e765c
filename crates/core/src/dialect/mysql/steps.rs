//! The steps of a plan: how they are rendered, and what takes them back.

use super::ddl::{self, quote};
use super::dml::literal;
use super::{inverse, lex, require, types};
use crate::dialect::catalog::Part;
use crate::dialect::steps::{Demands, Move, NewColumn, NewIndex, StepDialect, plain};
use crate::dialect::{Caps, EngineKind};
use crate::schema::{Catalog, Column, Index, NeutralType, Table};
use crate::sql::LexMode;
use crate::sql::change::Ddl;
use crate::sql::words::{Fold, Words};

/// How steps are rendered.
#[derive(Debug, Clone, Copy)]
pub struct Steps;

/// A text in SQL, the same in every `sql_mode`: what a backslash means depends on it.
fn text(value: &str) -> String {
    if value.contains(['\\', '\0']) {
        let hex: String = value.bytes().map(|byte| format!("{byte:02x}")).collect();
        format!("_utf8mb4 X'{hex}'")
    } else {
        literal(value)
    }
}

fn is_innodb(table: &Table) -> bool {
    table
        .options
        .get("engine")
        .is_none_or(|engine| engine.eq_ignore_ascii_case("innodb"))
}

/// Building an index of a usual kind lets others read and write, where the storage engine can.
pub(super) fn online(table: &Table) -> &'static str {
    if is_innodb(table) {
        ", ALGORITHM=INPLACE, LOCK=NONE"
    } else {
        ""
    }
}

/// Whether these columns can be added without touching a row. Where it is not sure, the server is left to choose.
fn instant(caps: &Caps, table: &Table, columns: &[NewColumn]) -> bool {
    let mariadb = caps.engine == EngineKind::Mariadb;
    let (at_end, anywhere) = if mariadb {
        ((10, 3, 2), (10, 4, 0))
    } else {
        ((8, 0, 12), (8, 0, 29))
    };
    let compressed = table
        .options
        .get("options")
        .is_some_and(|options| options.to_ascii_lowercase().contains("compressed"));
    let fulltext = table
        .indexes
        .iter()
        .any(|index| index.method.as_deref() == Some("FULLTEXT"));
    let plain = |column: &NewColumn| {
        let facts = &column.facts;
        let placed = Words::read(&column.definition, &lex::rules(&LexMode::default()))
            .has(&["FIRST", "AFTER"]);
        // Measured on the newest releases of both servers.
        let heavy = facts.stored
            || facts.counter
            || facts.unique
            || facts.references
            || (facts.check && !mariadb)
            || (facts.is_virtual && columns.len() > 1)
            || facts.default_computed;
        !heavy && (!placed || caps.version >= anywhere)
    };
    is_innodb(table)
        && caps.version >= at_end
        && !compressed
        && !fulltext
        && columns.iter().all(plain)
}

/// A text letter by letter: collations take letters of either case, and blanks at the end, for equal.
fn letters(what: &str) -> String {
    format!("HEX(CONVERT({what} USING utf8mb4))")
}

impl StepDialect for Steps {
    fn ddl(&self, sql: &str, mode: &LexMode) -> Option<Ddl> {
        lex::ddl(&Words::read(sql, &lex::rules(mode)))
    }
    fn inverse(&self, ddl: &Ddl) -> Option<Vec<String>> {
        inverse::of(ddl)
    }
    fn fold(&self) -> Fold {
        lex::fold
    }
    fn indexes_keys(&self) -> bool {
        true
    }
    fn same_name(&self, a: &str, b: &str) -> bool {
        a.to_lowercase() == b.to_lowercase()
    }
    fn moves_counters_only(&self, _sql: &str, _mode: &LexMode) -> bool {
        false
    }
    fn same_type(&self, declared: &str, column: &Column) -> bool {
        types::spellings(declared).is_some_and(|spellings| {
            spellings
                .iter()
                .any(|spelling| spelling.eq_ignore_ascii_case(&column.native))
        })
    }
    fn add_columns(&self, caps: &Caps, table: &Table, columns: &[NewColumn]) -> Vec<Move> {
        let table_name = quote(&table.name);
        let add = columns
            .iter()
            .map(|column| format!("ADD COLUMN {} {}", quote(&column.name), column.definition));
        let drop = columns
            .iter()
            .rev()
            .map(|column| format!("DROP COLUMN {}", quote(&column.name)));
        let (add, drop): (Vec<_>, Vec<_>) = (add.collect(), drop.collect());
        let how = if instant(caps, table, columns) {
            ", ALGORITHM=INSTANT"
        } else {
            ""
        };
        vec![Move::new(
            format!("ALTER TABLE {table_name} {}{how}", add.join(", ")),
            vec![format!("ALTER TABLE {table_name} {}", drop.join(", "))],
        )]
    }
    fn partial_indexes(&self) -> bool {
        false
    }
    fn prefix_indexes(&self) -> bool {
        true
    }
    fn add_index(&self, _caps: &Caps, table: &Table, index: &NewIndex) -> Vec<String> {
        let word = if index.unique { "UNIQUE KEY" } else { "KEY" };
        let mut statements = require::keep_own_indexes(table, &index.parts);
        statements.push(format!(
            "ALTER TABLE {} ADD {word} {} ({}){}",
            quote(&table.name),
            quote(&index.name),
            index.parts.join(", "),
            online(table)
        ));
        statements
    }
    fn add_known_index(&self, table: &Table, index: &Index) -> Result<Vec<String>, String> {
        let mut statements = ddl::create(Part::Index(None, &table.name, index))?;
        // An expression is a hidden column, whose making lets nobody write.
        let usual = matches!(index.method.as_deref(), None | Some("HASH"))
            && !index.parts.iter().any(|part| part.expression);
        if let Some(first) = statements.first_mut().filter(|_| usual) {
            first.push_str(online(table));
        }
        Ok(statements)
    }
    fn drop_index(&self, table: &Table, name: &str) -> Vec<String> {
        vec![format!(
            "ALTER TABLE {} DROP INDEX {}",
            quote(&table.name),
            quote(name)
        )]
    }
    fn has_named(&self, _table: &Table, _name: &str) -> bool {
        false
    }
    fn require(
        &self,
        caps: &Caps,
        mode: &LexMode,
        _catalog: &Catalog,
        table: &Table,
        demands: &Demands<'_>,
    ) -> Result<Vec<Move>, String> {
        require::statements(caps, mode, table, demands)
    }
    fn requires_apart(&self) -> bool {
        true
    }
    fn is_invalid(&self, _index: &Index) -> bool {
        false
    }
    fn value(&self, column: &Column, value: &serde_json::Value) -> String {
        use serde_json::Value;
        let as_text = matches!(column.neutral, NeutralType::Text | NeutralType::Json);
        match value {
            Value::Bool(value) if !as_text => u8::from(*value).to_string(),
            Value::Number(value) if !as_text => value.to_string(),
            value => plain(value).map_or_else(|| "NULL".to_owned(), |value| text(&value)),
        }
    }
    fn kept(&self, column: &Column) -> String {
        let name = quote(&column.name);
        match column.neutral {
            NeutralType::Bytes | NeutralType::Bits | NeutralType::Opaque(_) => {
                format!("HEX({name})")
            }
            // A single as a double is exact, and so is the text of a double.
            NeutralType::Float => format!("CAST({name} + 0e0 AS CHAR)"),
            // An instant, whatever zone the session is in.
            NeutralType::TimestampTz => format!("CAST(UNIX_TIMESTAMP({name}) AS CHAR)"),
            _ => format!("CONVERT({name} USING utf8mb4)"),
        }
    }
    fn read_kept(&self, column: &Column, kept: Option<&str>) -> String {
        let Some(kept) = kept else {
            return "NULL".into();
        };
        match column.neutral {
            NeutralType::Bytes | NeutralType::Bits | NeutralType::Opaque(_) => {
                format!("X'{kept}'")
            }
            NeutralType::Float | NeutralType::Int | NeutralType::Decimal => kept.to_owned(),
            NeutralType::TimestampTz => format!("FROM_UNIXTIME({kept})"),
            _ => text(kept),
        }
    }
    fn holds(&self, caps: &Caps, column: &Column, value: &str) -> String {
        let name = quote(&column.name);
        match column.neutral {
            NeutralType::Json if caps.engine == EngineKind::Mysql => {
                format!("({name} <=> CAST({value} AS JSON))")
            }
            NeutralType::Text | NeutralType::Json => {
                format!("({} <=> {})", letters(&name), letters(value))
            }
            _ => format!("({name} <=> {value})"),
        }
    }
    fn still(&self, column: &Column, kept: Option<&str>) -> String {
        let name = quote(&column.name);
        let Some(kept) = kept else {
            return format!("({name} IS NULL)");
        };
        match column.neutral {
            NeutralType::Bool | NeutralType::Int | NeutralType::Decimal => {
                format!("({name} <=> {kept})")
            }
            // What is read of these has no letters that a collation could take for others.
            NeutralType::Bytes
            | NeutralType::Bits
            | NeutralType::Opaque(_)
            | NeutralType::Float
            | NeutralType::TimestampTz => format!("({} <=> {})", self.kept(column), text(kept)),
            _ => format!("({} <=> {})", letters(&name), letters(&text(kept))),
        }
    }
    fn shown(&self, column: &Column) -> String {
        let name = quote(&column.name);
        match column.neutral {
            NeutralType::Bytes | NeutralType::Bits | NeutralType::Opaque(_) => {
                format!("HEX({name})")
            }
            _ => format!("CONVERT({name} USING utf8mb4)"),
        }
    }
}
