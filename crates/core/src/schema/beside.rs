//! What belongs to a part of a table and does not stand in the statement that makes it.

/// Comments, marks and where it is stored, in the engine's words. It is no part of what is compared, kept or taken
/// elsewhere, so two of them are always equal; who takes a part away and gives it back gives this back too.
#[derive(Debug, Clone, Default)]
pub struct Beside {
    /// How its index is stored: `fillfactor=70`.
    pub with: Option<String>,
    /// Where its index is stored, quoted.
    pub tablespace: Option<String>,
    /// Statements that give it what it is not made with.
    pub statements: Vec<String>,
}

impl PartialEq for Beside {
    fn eq(&self, _other: &Self) -> bool {
        true
    }
}

impl Eq for Beside {}
