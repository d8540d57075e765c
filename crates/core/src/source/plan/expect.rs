//! What a value must be: `= 0`, `>= 1`, `between 1 and 5`, or a text; and what must hold for every row.

/// What a value must be.
#[derive(Debug, Clone, PartialEq)]
pub enum Expect {
    /// Compared with a literal.
    Is(Op, String),
    /// Not below the first and not above the second.
    Between(String, String),
}

/// A comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Op {
    /// `=`
    Equal,
    /// `<>` or `!=`
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
}

/// What must hold for every row: two sides, each a column's name or a literal.
#[derive(Debug, Clone, PartialEq)]
pub struct RowExpect {
    /// The left side.
    pub left: String,
    /// The comparison.
    pub op: Op,
    /// The right side.
    pub right: String,
}
