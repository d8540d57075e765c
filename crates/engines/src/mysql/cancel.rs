//! Cancelling what a session runs.

use super::connect::MysqlEngine;
use super::session::db_error;
use crate::gate::Gate;
use crate::{Cancel, DbError};
use async_trait::async_trait;
use dunlin_core::failure::ErrorClass;
use mysql_async::prelude::Queryable;
use std::sync::Arc;

/// Cancels by `KILL QUERY` through a connection of its own.
pub(super) struct Canceller {
    pub(super) engine: MysqlEngine,
    pub(super) id: u32,
    pub(super) gate: Arc<Gate>,
}

#[async_trait]
impl Cancel for Canceller {
    async fn cancel(&self) -> Result<(), DbError> {
        let _asked = self.gate.ask().await;
        let mut side = self.engine.dial().await?;
        let killed = side.query_drop(format!("KILL QUERY {}", self.id)).await;
        let _ = side.disconnect().await;
        match killed.map_err(|error| db_error(&error)) {
            // The session has ended: there is nothing left to cancel.
            Err(error) if error.class == ErrorClass::ObjectMissing => Ok(()),
            outcome => outcome,
        }
    }
}
