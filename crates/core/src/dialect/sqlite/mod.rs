//! Sqlite's room.

mod aside;
pub mod bulk;
pub mod caps;
pub mod catalog;
pub mod change;
pub mod checks;
pub mod copy;
pub mod ddl;
pub mod dml;
pub mod errors;
mod follow;
pub mod introspect;
pub mod inverse;
pub mod journal;
mod landing;
pub mod lex;
pub mod lock;
mod preflight;
pub mod probe;
mod rebuild;
mod require;
pub mod rows;
mod rules;
pub mod steps;
#[cfg(test)]
mod tests;
pub mod types;

use super::{Caps, Dialect, Guard, JournalNames, JournalSql, LeaseSql, RowsDialect};
use crate::facts::TableSize;
use crate::failure::ErrorClass;
use crate::sql::{Condition, LexMode, LexRules, ObjectRef, StatementClass};
use crate::value::{Query, Row};

/// The dialect of Sqlite.
#[derive(Debug, Clone, Copy)]
pub struct Sqlite;

impl Dialect for Sqlite {
    fn schemes(&self) -> &'static [&'static str] {
        caps::SCHEMES
    }
    fn caps(&self, version: &str) -> Caps {
        caps::of(version)
    }
    fn lex_rules(&self, mode: &LexMode) -> LexRules {
        lex::rules(mode)
    }
    fn quote(&self, identifier: &str) -> String {
        ddl::quote(identifier)
    }
    fn literal(&self, text: &str) -> String {
        dml::literal(text)
    }
    fn param(&self, n: usize) -> String {
        dml::param(n)
    }
    fn classify(&self, sql: &str, mode: &LexMode) -> StatementClass {
        lex::classify(sql, mode)
    }
    fn completed(&self, _sql: &str) -> Option<String> {
        None
    }
    fn error_class(&self, code: &str, message: &str) -> ErrorClass {
        errors::class(code, message)
    }
    fn error_hint(&self, code: &str, message: &str) -> Option<String> {
        errors::hint(code, message)
    }
    fn probe(&self, condition: &Condition) -> Option<Query> {
        probe::condition(condition)
    }
    fn fingerprint(&self, object: &ObjectRef) -> Option<Query> {
        probe::fingerprint(object)
    }
    fn read_fingerprint(&self, rows: &[Row]) -> Option<String> {
        probe::read_fingerprint(rows)
    }
    fn invalid_index(&self, _index: &ObjectRef) -> Option<Query> {
        None
    }
    fn slow_commit(&self) -> Option<&'static str> {
        None
    }
    fn table_sizes(&self) -> Query {
        introspect::table_sizes()
    }
    fn read_table_size(&self, row: &Row) -> Option<TableSize> {
        introspect::read_table_size(row)
    }
    fn columns_of(&self, schemas: &[&str], tables: &[&str]) -> Query {
        introspect::columns_of(schemas, tables)
    }
    fn journal(&self, names: &JournalNames) -> JournalSql {
        journal::sql(names)
    }
    fn database_facts(&self) -> Query {
        introspect::database_facts()
    }
    fn reaches_out(&self, texts: &[&str], mode: &LexMode, _others: &[String]) -> Option<String> {
        // A name cannot lead to another database.
        crate::sql::outside::reaches_out(texts, &self.lex_rules(mode), &lock::WAYS_OUT, &[])
    }
    fn guard(&self, statements: &[StatementClass]) -> Option<Guard> {
        lock::guard(statements)
    }
    fn storage(&self, tables: &[ObjectRef]) -> Option<Query> {
        introspect::storage(tables)
    }
    fn lease(&self, names: &JournalNames) -> Option<LeaseSql> {
        journal::lease(names)
    }
    fn rows(&self) -> &'static dyn RowsDialect {
        &rows::Rows
    }
    fn landing(&self) -> &'static dyn super::landing::LandingDialect {
        &landing::Landing
    }
    fn change(&self) -> &'static dyn super::change::ChangeDialect {
        &change::Changes
    }
    fn preflight(&self) -> &'static dyn super::preflight::PreflightDialect {
        &preflight::Preflight
    }
    fn catalog(&self) -> &'static dyn super::catalog::CatalogDialect {
        &catalog::Catalogs
    }
    fn copy(&self) -> &'static dyn super::copy::CopyDialect {
        &copy::Copies
    }
    fn steps(&self) -> &'static dyn super::steps::StepDialect {
        &steps::Steps
    }
    fn bulk(&self) -> &'static dyn super::bulk::BulkDialect {
        &bulk::Bulk
    }
    fn checks(&self) -> &'static dyn super::checks::ChecksDialect {
        &checks::Checks
    }
    fn aside(&self) -> &'static dyn super::aside::AsideDialect {
        &aside::Aside
    }
    fn rules(&self) -> &'static dyn super::rules::RulesDialect {
        &rules::Rules
    }
}
