//! The texts of tables and indexes: SQLite keeps what made them, so what has no text cannot be made.

use super::super::ddl::{self, quote};
use crate::dialect::Dialect;
use crate::dialect::copy::Notes;
use crate::schema::text::code;
use crate::schema::{Catalog, Column, Index, Table};
use crate::sql::LexMode;

/// Whether the key is declared at the column as `PRIMARY KEY DESC`.
pub(super) fn descending_key(table: &Table, column: &Column) -> bool {
    let Some(definition) = &table.definition else {
        return false;
    };
    let tokens = code(
        definition,
        &super::super::Sqlite.lex_rules(&LexMode::default()),
    );
    tokens.windows(3).enumerate().any(|(at, words)| {
        words[0].is("PRIMARY")
            && words[1].is("KEY")
            && words[2].is("DESC")
            && tokens[..at]
                .iter()
                .rev()
                .take(4)
                .any(|token| token.name().eq_ignore_ascii_case(&column.name))
    })
}

/// Gives every table and index its text.
pub(super) fn write(catalog: &mut Catalog, notes: &mut Notes) {
    for table in &mut catalog.tables {
        counters(table, notes);
        let definition = table_text(table);
        let name = table.name.clone();
        for index in &mut table.indexes {
            index.definition = Some(index_text(&name, index));
        }
        table.definition = Some(definition);
    }
}

/// Only what is the whole primary key numbers rows by itself.
fn counters(table: &mut Table, notes: &mut Notes) {
    let label = table.label();
    let alone = table
        .keys
        .iter()
        .find(|key| key.primary && key.columns.len() == 1)
        .map(|key| key.columns[0].clone());
    for column in &mut table.columns {
        if column.identity.is_some() && alone.as_ref() != Some(&column.name) {
            notes.lack(
                format!("counter of {label}.{}", column.name),
                "the target numbers a table's primary key alone",
                column.identity.take(),
            );
        }
    }
}

fn table_text(table: &Table) -> String {
    let numbered = table
        .columns
        .iter()
        .find(|column| column.identity.is_some())
        .map(|column| column.name.clone());
    let mut lines: Vec<String> = table
        .columns
        .iter()
        .map(|column| match &column.identity {
            Some(word) => format!(
                "{} {} PRIMARY KEY {word}",
                quote(&column.name),
                column.native
            ),
            None => ddl::column_clause(column),
        })
        .collect();
    let names = |columns: &[String]| {
        let quoted: Vec<String> = columns.iter().map(|column| quote(column)).collect();
        quoted.join(", ")
    };
    let named = |name: &Option<String>, clause: String| match name {
        Some(name) => format!("CONSTRAINT {} {clause}", quote(name)),
        None => clause,
    };
    for key in &table.keys {
        let own = key.primary && numbered.is_some();
        if own {
            continue;
        }
        let word = if key.primary { "PRIMARY KEY" } else { "UNIQUE" };
        lines.push(named(
            &key.name,
            format!("{word} ({})", names(&key.columns)),
        ));
    }
    for key in &table.foreign_keys {
        lines.push(named(&key.name, ddl::foreign_key_clause(key)));
    }
    for check in &table.checks {
        lines.push(named(&check.name, check.clause.clone()));
    }
    format!(
        "CREATE TABLE {} (\n  {}\n)",
        quote(&table.name),
        lines.join(",\n  ")
    )
}

fn index_text(table: &str, index: &Index) -> String {
    let clause = ddl::index_clause(index);
    // `INDEX "name" (…)`: the table stands between the two.
    let head = format!("INDEX {} ", quote(&index.name));
    format!(
        "CREATE {}",
        clause.replacen(&head, &format!("{head}ON {} ", quote(table)), 1)
    )
}
