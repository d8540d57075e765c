//! The steps of a plan: how they are rendered, and what takes them back.

use super::ddl::quote;
use super::dml::literal;
use super::{inverse, lex, rebuild, require};
use crate::dialect::Caps;
use crate::dialect::steps::{Demands, Move, NewColumn, NewIndex, StepDialect, plain};
use crate::schema::{Catalog, Column, Index, NeutralType, Table};
use crate::sql::LexMode;
use crate::sql::change::Ddl;
use crate::sql::words::{Fold, Words};

/// How steps are rendered.
#[derive(Debug, Clone, Copy)]
pub struct Steps;

/// A text in SQL: a zero byte would end the statement.
fn text(value: &str) -> String {
    if value.contains('\0') {
        let hex: String = value.bytes().map(|byte| format!("{byte:02x}")).collect();
        format!("CAST(X'{hex}' AS TEXT)")
    } else {
        literal(value)
    }
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
        a.eq_ignore_ascii_case(b)
    }
    fn moves_counters_only(&self, _sql: &str, _mode: &LexMode) -> bool {
        false
    }
    fn same_type(&self, declared: &str, column: &Column) -> bool {
        let words: Vec<&str> = declared.split_whitespace().collect();
        words.join(" ").eq_ignore_ascii_case(&column.native)
    }
    fn add_columns(&self, _caps: &Caps, table: &Table, columns: &[NewColumn]) -> Vec<Move> {
        let one = |column: &NewColumn| {
            let (table, name) = (quote(&table.name), quote(&column.name));
            let up = format!(
                "ALTER TABLE {table} ADD COLUMN {name} {}",
                column.definition
            );
            let back = format!("ALTER TABLE {table} DROP COLUMN {name}");
            Move::new(up.trim_end(), vec![back])
        };
        columns.iter().map(one).collect()
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
            "CREATE {unique}INDEX {} ON {} ({}){only}",
            quote(&index.name),
            quote(&table.name),
            index.parts.join(", ")
        )]
    }
    fn add_known_index(&self, _table: &Table, index: &Index) -> Result<Vec<String>, String> {
        let text = index.definition.clone();
        text.map(|text| vec![text])
            .ok_or_else(|| "the index's text is not known".into())
    }
    fn drop_index(&self, _table: &Table, name: &str) -> Vec<String> {
        vec![format!("DROP INDEX {}", quote(name))]
    }
    fn has_named(&self, table: &Table, name: &str) -> bool {
        let text = table.definition.as_deref();
        text.is_some_and(|text| rebuild::has_named(text, name))
    }
    fn require(
        &self,
        caps: &Caps,
        _mode: &LexMode,
        catalog: &Catalog,
        table: &Table,
        demands: &Demands<'_>,
    ) -> Result<Vec<Move>, String> {
        require::statements(caps, catalog, table, demands)
    }
    fn requires_apart(&self) -> bool {
        false
    }
    fn is_invalid(&self, _index: &Index) -> bool {
        false
    }
    fn value(&self, column: &Column, value: &serde_json::Value) -> String {
        use serde_json::Value;
        let as_text = column.neutral == NeutralType::Text;
        match value {
            Value::Bool(value) if !as_text => u8::from(*value).to_string(),
            Value::Number(value) if !as_text => value.to_string(),
            value => plain(value).map_or_else(|| "NULL".to_owned(), |value| text(&value)),
        }
    }
    fn kept(&self, column: &Column) -> String {
        format!("quote({})", quote(&column.name))
    }
    fn read_kept(&self, _column: &Column, text: Option<&str>) -> String {
        // What `quote()` gives is SQL already.
        text.unwrap_or("NULL").to_owned()
    }
    fn holds(&self, _caps: &Caps, column: &Column, value: &str) -> String {
        format!("({} IS {value} COLLATE BINARY)", quote(&column.name))
    }
    fn still(&self, column: &Column, kept: Option<&str>) -> String {
        let (name, kept) = (quote(&column.name), kept.unwrap_or("NULL"));
        match kept.as_bytes().first() {
            // As numbers, 1 and 1.0 would be the same.
            Some(b'-' | b'0'..=b'9') => format!("({} IS {})", self.kept(column), text(kept)),
            _ => format!("({name} IS {kept} COLLATE BINARY)"),
        }
    }
    fn shown(&self, column: &Column) -> String {
        let name = quote(&column.name);
        format!("CASE typeof({name}) WHEN 'blob' THEN hex({name}) ELSE CAST({name} AS TEXT) END")
    }
}
