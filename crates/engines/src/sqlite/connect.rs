//! Addresses: URLs as people write them, and opening sessions.

use crate::{DbError, Engine, Purpose, Session, Settings};
use async_trait::async_trait;
use dunlin_core::dialect::Dialect;
use dunlin_core::failure::ErrorClass;
use dunlin_core::redact::SecretUrl;

/// An address of a server.
#[derive(Debug)]
pub struct SqliteEngine {
    url: SecretUrl,
}

impl SqliteEngine {
    /// Reads the URL; connects to nothing.
    pub fn new(url: &SecretUrl, _settings: Settings) -> Result<Self, DbError> {
        Ok(SqliteEngine { url: url.clone() })
    }
}

#[async_trait]
impl Engine for SqliteEngine {
    fn dialect(&self) -> &'static dyn Dialect {
        &dunlin_core::dialect::sqlite::Sqlite
    }
    fn describe(&self) -> String {
        self.url.to_string()
    }
    fn database(&self) -> String {
        String::new()
    }
    async fn open(&self, _purpose: Purpose) -> Result<Box<dyn Session>, DbError> {
        Err(DbError::new(ErrorClass::Unreachable, "not written yet"))
    }
    async fn create_database(&self) -> Result<(), DbError> {
        Err(DbError::new(ErrorClass::Unreachable, "not written yet"))
    }
    async fn drop_database(&self) -> Result<(), DbError> {
        Err(DbError::new(ErrorClass::Unreachable, "not written yet"))
    }
    fn sibling(&self, _database: &str) -> Result<Box<dyn Engine>, DbError> {
        Err(DbError::new(ErrorClass::Unreachable, "not written yet"))
    }
    fn file(&self) -> Option<&std::path::Path> {
        None
    }
    fn secrets(&self) -> Vec<String> {
        self.url.secrets()
    }
}
