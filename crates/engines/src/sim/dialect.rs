//! SQLite's dialect under two other names: as it is, and with DDL that commits by itself.

use dunlin_core::dialect::sqlite::Sqlite;
use dunlin_core::dialect::{Caps, Dialect, Guard, JournalNames, JournalSql, LeaseSql, RowsDialect};
use dunlin_core::facts::TableSize;
use dunlin_core::failure::ErrorClass;
use dunlin_core::sql::{Condition, Kind, LexMode, LexRules, ObjectRef, StatementClass, TxUse};
use dunlin_core::value::{Query, Row};

/// SQLite as it is.
pub static PLAIN: SimDialect = SimDialect { ddl_commits: false };
/// SQLite with DDL that commits by itself.
pub static AUTO_COMMIT: SimDialect = SimDialect { ddl_commits: true };

/// A dialect that asks SQLite's for everything but its transactions.
#[derive(Debug)]
pub struct SimDialect {
    ddl_commits: bool,
}

impl Dialect for SimDialect {
    fn schemes(&self) -> &'static [&'static str] {
        Sqlite.schemes()
    }
    fn caps(&self, version: &str) -> Caps {
        Caps {
            transactional_ddl: !self.ddl_commits,
            ..Sqlite.caps(version)
        }
    }
    fn lex_rules(&self, mode: &LexMode) -> LexRules {
        Sqlite.lex_rules(mode)
    }
    fn quote(&self, identifier: &str) -> String {
        Sqlite.quote(identifier)
    }
    fn literal(&self, text: &str) -> String {
        Sqlite.literal(text)
    }
    fn param(&self, n: usize) -> String {
        Sqlite.param(n)
    }
    fn classify(&self, sql: &str, mode: &LexMode) -> StatementClass {
        let mut class = Sqlite.classify(sql, mode);
        if self.ddl_commits && class.kind == Kind::Ddl && class.tx == TxUse::Inside {
            class.tx = TxUse::CommitsItself;
        }
        class
    }
    fn completed(&self, sql: &str) -> Option<String> {
        Sqlite.completed(sql)
    }
    fn error_class(&self, code: &str, message: &str) -> ErrorClass {
        Sqlite.error_class(code, message)
    }
    fn error_hint(&self, code: &str, message: &str) -> Option<String> {
        Sqlite.error_hint(code, message)
    }
    fn probe(&self, condition: &Condition) -> Option<Query> {
        Sqlite.probe(condition)
    }
    fn fingerprint(&self, object: &ObjectRef) -> Option<Query> {
        Sqlite.fingerprint(object)
    }
    fn read_fingerprint(&self, rows: &[Row]) -> Option<String> {
        Sqlite.read_fingerprint(rows)
    }
    fn invalid_index(&self, index: &ObjectRef) -> Option<Query> {
        Sqlite.invalid_index(index)
    }
    fn slow_commit(&self) -> Option<&'static str> {
        Sqlite.slow_commit()
    }
    fn table_sizes(&self) -> Query {
        Sqlite.table_sizes()
    }
    fn read_table_size(&self, row: &Row) -> Option<TableSize> {
        Sqlite.read_table_size(row)
    }
    fn columns_of(&self, schemas: &[&str], tables: &[&str]) -> Query {
        Sqlite.columns_of(schemas, tables)
    }
    fn journal(&self, names: &JournalNames) -> JournalSql {
        Sqlite.journal(names)
    }
    fn database_facts(&self) -> Query {
        Sqlite.database_facts()
    }
    fn reaches_out(&self, texts: &[&str], mode: &LexMode, others: &[String]) -> Option<String> {
        Sqlite.reaches_out(texts, mode, others)
    }
    fn guard(&self, statements: &[StatementClass]) -> Option<Guard> {
        if self.ddl_commits {
            None
        } else {
            Sqlite.guard(statements)
        }
    }
    fn storage(&self, tables: &[ObjectRef]) -> Option<Query> {
        Sqlite.storage(tables)
    }
    fn lease(&self, names: &JournalNames) -> Option<LeaseSql> {
        Sqlite.lease(names)
    }
    fn rows(&self) -> &'static dyn RowsDialect {
        Sqlite.rows()
    }
    fn landing(&self) -> &'static dyn dunlin_core::dialect::landing::LandingDialect {
        Sqlite.landing()
    }
    fn change(&self) -> &'static dyn dunlin_core::dialect::change::ChangeDialect {
        Sqlite.change()
    }
    fn preflight(&self) -> &'static dyn dunlin_core::dialect::preflight::PreflightDialect {
        Sqlite.preflight()
    }
    fn catalog(&self) -> &'static dyn dunlin_core::dialect::catalog::CatalogDialect {
        Sqlite.catalog()
    }
    fn copy(&self) -> &'static dyn dunlin_core::dialect::copy::CopyDialect {
        Sqlite.copy()
    }
    fn steps(&self) -> &'static dyn dunlin_core::dialect::steps::StepDialect {
        Sqlite.steps()
    }
    fn bulk(&self) -> &'static dyn dunlin_core::dialect::bulk::BulkDialect {
        Sqlite.bulk()
    }
    fn checks(&self) -> &'static dyn dunlin_core::dialect::checks::ChecksDialect {
        Sqlite.checks()
    }
    fn aside(&self) -> &'static dyn dunlin_core::dialect::aside::AsideDialect {
        Sqlite.aside()
    }
    fn rules(&self) -> &'static dyn dunlin_core::dialect::rules::RulesDialect {
        Sqlite.rules()
    }
}
