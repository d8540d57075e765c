//! The steps of a plan: how they are rendered, and what takes them back.

use super::ddl::{self, qualified, quote};
use super::dml::literal;
use super::{inverse, lex, require, types};
use crate::dialect::Caps;
use crate::dialect::steps::{Demands, Move, NewColumn, NewIndex, StepDialect, plain};
use crate::schema::{Catalog, Column, Index, NeutralType, Table};
use crate::sql::change::Ddl;
use crate::sql::rows;
use crate::sql::words::{Fold, Words};
use crate::sql::{LexMode, LexRules};

/// How steps are rendered.
#[derive(Debug, Clone, Copy)]
pub struct Steps;

/// A text in SQL, the same whatever the session takes a backslash for.
fn text(value: &str) -> String {
    if value.contains('\\') {
        format!("E{}", literal(&value.replace('\\', "\\\\")))
    } else {
        literal(value)
    }
}

fn table_name(table: &Table) -> String {
    qualified(table.schema.as_deref(), &table.name)
}

/// A partitioned table takes no CONCURRENTLY; building on each partition by itself is the author's to say.
fn concurrently(table: &Table) -> &'static str {
    if table.options.contains_key("partition_by") {
        ""
    } else {
        "CONCURRENTLY "
    }
}

/// A type's name as `format_type` spells it.
fn canonical(base: &str) -> String {
    let lower = base.split_whitespace().collect::<Vec<_>>().join(" ");
    let lower = lower.to_ascii_lowercase();
    let known = match lower.as_str() {
        "int8" => "bigint",
        "int" | "int4" => "integer",
        "int2" => "smallint",
        "bool" => "boolean",
        "varchar" | "char varying" => "character varying",
        "char" | "bpchar" | "nchar" => "character",
        "float8" | "float" => "double precision",
        "float4" => "real",
        "decimal" | "dec" => "numeric",
        "timestamptz" => "timestamp with time zone",
        "timestamp" => "timestamp without time zone",
        "timetz" => "time with time zone",
        "time" => "time without time zone",
        "varbit" => "bit varying",
        _ => return lower,
    };
    known.to_owned()
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
        false
    }
    fn same_name(&self, a: &str, b: &str) -> bool {
        a == b
    }
    fn moves_counters_only(&self, sql: &str, mode: &LexMode) -> bool {
        let rules: LexRules = lex::rules(mode);
        let words = Words::read(sql, &rules);
        let calls = ["SETVAL", "NEXTVAL", "PG_GET_SERIAL_SEQUENCE"];
        words.toks.first().is_some_and(|tok| tok.is("SELECT"))
            && words.calls(&calls[..2])
            && rows::written(&words, lex::fold).is_none()
            && !rows::calls_unknown(&words, &calls)
            && !words.has(&["INTO"])
    }
    fn same_type(&self, declared: &str, column: &Column) -> bool {
        let parts = |text: &str| {
            types::split_declared(text).map(|(base, modifier)| (canonical(&base), modifier))
        };
        parts(declared).is_some_and(|one| parts(&column.native) == Some(one))
    }
    fn add_columns(&self, _caps: &Caps, table: &Table, columns: &[NewColumn]) -> Vec<Move> {
        let table_name = table_name(table);
        let add = columns
            .iter()
            .map(|column| format!("ADD COLUMN {} {}", quote(&column.name), column.definition));
        let drop = columns
            .iter()
            .rev()
            .map(|column| format!("DROP COLUMN {}", quote(&column.name)));
        let (add, drop): (Vec<_>, Vec<_>) = (add.collect(), drop.collect());
        vec![Move::new(
            format!("ALTER TABLE {table_name} {}", add.join(", ")),
            vec![format!("ALTER TABLE {table_name} {}", drop.join(", "))],
        )]
    }
    fn partial_indexes(&self) -> bool {
        true
    }
    fn prefix_indexes(&self) -> bool {
        false
    }
    fn add_index(&self, _caps: &Caps, table: &Table, index: &NewIndex) -> Vec<String> {
        let unique = if index.unique { "UNIQUE " } else { "" };
        let only = index
            .only
            .as_ref()
            .map_or(String::new(), |only| format!(" WHERE {only}"));
        vec![format!(
            "CREATE {unique}INDEX {}{} ON {} ({}){only}",
            concurrently(table),
            quote(&index.name),
            table_name(table),
            index.parts.join(", ")
        )]
    }
    fn add_known_index(&self, table: &Table, index: &Index) -> Result<Vec<String>, String> {
        let part =
            crate::dialect::catalog::Part::Index(table.schema.as_deref(), &table.name, index);
        let mut statements = ddl::again(part)?;
        // The server shows `CREATE [UNIQUE] INDEX name ON …`.
        if let Some(first) = statements.first_mut() {
            *first = first.replacen("INDEX ", &format!("INDEX {}", concurrently(table)), 1);
        }
        Ok(statements)
    }
    fn drop_index(&self, table: &Table, name: &str) -> Vec<String> {
        vec![format!(
            "DROP INDEX {}{}",
            concurrently(table),
            qualified(table.schema.as_deref(), name)
        )]
    }
    fn has_named(&self, _table: &Table, _name: &str) -> bool {
        false
    }
    fn require(
        &self,
        _caps: &Caps,
        _mode: &LexMode,
        _catalog: &Catalog,
        table: &Table,
        demands: &Demands<'_>,
    ) -> Result<Vec<Move>, String> {
        require::statements(table, demands)
    }
    fn requires_apart(&self) -> bool {
        true
    }
    fn is_invalid(&self, index: &Index) -> bool {
        let attributes = index.attributes.as_deref();
        attributes.is_some_and(|attributes| attributes.ends_with(" INVALID"))
    }
    fn value(&self, _column: &Column, value: &serde_json::Value) -> String {
        // A literal in quotes takes the type of the column that it goes to, whatever that is.
        plain(value).map_or_else(|| "NULL".to_owned(), |value| text(&value))
    }
    fn kept(&self, column: &Column) -> String {
        format!("{}::text", quote(&column.name))
    }
    fn read_kept(&self, _column: &Column, kept: Option<&str>) -> String {
        kept.map_or_else(|| "NULL".to_owned(), text)
    }
    fn holds(&self, _caps: &Caps, column: &Column, value: &str) -> String {
        let name = quote(&column.name);
        // A cast to a text type of a length would cut the value; one to any other type spells it as it would be stored.
        let wanted = match column.neutral {
            NeutralType::Text => value.to_owned(),
            _ => format!("({value}::{})::text", column.native),
        };
        format!("({name}::text IS NOT DISTINCT FROM {wanted})")
    }
    fn still(&self, column: &Column, kept: Option<&str>) -> String {
        match kept {
            None => format!("({} IS NULL)", quote(&column.name)),
            // A column's own collation may take other letters for the same.
            Some(kept) => format!(
                "({} COLLATE \"C\" IS NOT DISTINCT FROM {})",
                self.kept(column),
                text(kept)
            ),
        }
    }
    fn shown(&self, column: &Column) -> String {
        format!("{}::text", quote(&column.name))
    }
}
