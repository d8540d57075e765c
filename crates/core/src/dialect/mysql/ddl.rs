//! Names in SQL: quoting, and DDL that Dunlin renders itself.

/// An identifier, quoted.
pub fn quote(identifier: &str) -> String {
    let doubled = identifier.replace('`', "``");
    format!("`{doubled}`")
}
