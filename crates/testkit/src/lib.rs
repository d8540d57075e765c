//! What the tests stand on: throwaway real servers, databases of their own in them, and a sealed room for the binary.
//!
//! A test that needs a server gets one here; nothing depends on a server that somebody started, and a server that
//! cannot be had **fails** the test with the command that installs it. Start with [`for_each_engine!`] for one test per
//! engine, [`servers::Server::private`] where the server itself is to be killed, [`sandbox::Sandbox`] for the binary.

#![cfg_attr(feature = "clients", allow(clippy::expect_used))]

#[cfg(feature = "clients")]
pub mod bench;
#[cfg(feature = "clients")]
pub mod conformance;
#[cfg(feature = "clients")]
pub mod console;
#[cfg(feature = "clients")]
pub mod crash;
#[cfg(feature = "clients")]
pub mod database;
#[cfg(feature = "clients")]
pub mod engines;
#[cfg(feature = "clients")]
pub mod gate;
#[cfg(feature = "clients")]
pub mod knowledge;
#[cfg(feature = "clients")]
pub mod line;
#[cfg(feature = "clients")]
pub mod sandbox;
pub mod servers;
#[cfg(feature = "clients")]
pub mod terminal;

#[cfg(feature = "clients")]
pub use database::TestDatabase;
#[cfg(feature = "clients")]
pub use engines::{TestEngine, engines};
#[cfg(feature = "clients")]
pub use gate::{Gate, Pause};
