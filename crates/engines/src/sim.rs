//! Fault injection around SQLite, for tests.
