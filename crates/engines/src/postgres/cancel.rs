//! Cancelling what a session runs.

use super::address::Host;
use super::wire::{UntilEnd, Wire};
use crate::gate::Gate;
use crate::{Cancel, DbError};
use async_trait::async_trait;
use dunlin_core::failure::ErrorClass;
use std::sync::Arc;
use std::time::Duration;
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::{CancelToken, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;

/// How to reach the server that a session is connected to.
#[derive(Clone)]
pub(super) struct Route {
    pub(super) host: Host,
    pub(super) patience: Duration,
    pub(super) tls: Option<(MakeRustlsConnect, String)>,
}

/// Cancels by the server's cancel request: a connection of its own, which the server closes after it has signalled.
pub(super) struct Canceller {
    pub(super) token: CancelToken,
    pub(super) route: Route,
    pub(super) gate: Arc<Gate>,
}

#[async_trait]
impl Cancel for Canceller {
    async fn cancel(&self) -> Result<(), DbError> {
        let _asked = self.gate.ask().await;
        let wire = Wire::open(&self.route.host, self.route.patience).await?;
        let wire = UntilEnd(wire, false);
        let sent = match &self.route.tls {
            None => self.token.cancel_query_raw(wire, NoTls).await,
            Some((connector, name)) => {
                let mut connector = connector.clone();
                let connect = MakeTlsConnect::<UntilEnd>::make_tls_connect(&mut connector, name)
                    .map_err(|never| match never {})?;
                self.token.cancel_query_raw(wire, connect).await
            }
        };
        sent.map_err(|error| {
            DbError::new(
                ErrorClass::Unreachable,
                format!("the cancel request did not reach the server: {error}"),
            )
        })
    }
}
