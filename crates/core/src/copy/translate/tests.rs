//! Rows of the hard-case tables that concern types and DDL, by their ids.
