//! Native error codes, and what kind of trouble each is.

use crate::failure::ErrorClass;

/// The class of a native code.
pub fn class(_code: &str, _message: &str) -> ErrorClass {
    ErrorClass::Other
}

/// Advice for a native code, where more than its class can be said.
pub fn hint(_code: &str, _message: &str) -> Option<String> {
    None
}
