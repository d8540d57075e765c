//! What every room must answer about being one end of a copy: how readers share one state of a source, and what of a table
//! must be made before its rows.

/// What is made with a table, before its rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Inline {
    /// Columns alone.
    Nothing,
    /// The primary key, what numbers rows, and checks.
    Primary,
    /// Everything but indexes: nothing else can be added later.
    Everything,
}

/// How several sessions come to read one state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sharing {
    /// By the name of an exported snapshot, with the statements that [`LandingDialect::join`] gives.
    Exported,
    /// By writers being kept out for a moment, while all of them begin.
    Still {
        /// Keeps writers out, in a session of its own.
        hold: &'static str,
        /// Lets them in again.
        free: &'static str,
    },
    /// Not at all: one session reads everything.
    One,
}

/// Being one end of a copy.
pub trait LandingDialect: Send + Sync + std::fmt::Debug {
    /// What is made with a table.
    fn inline(&self) -> Inline;
    /// How several sessions come to read one state.
    fn sharing(&self) -> Sharing;
    /// The statements that begin a transaction in the snapshot of this name.
    fn join(&self, snapshot: &str) -> Vec<String>;
    /// A query whose rows are faults of the file itself, `ok` being none; `None`: a server sees to that.
    fn sound(&self) -> Option<&'static str>;
    /// Statements for a session that builds indexes: more memory than one of many would take.
    fn building(&self) -> &'static [&'static str];
    /// A statement after a table was filled, so that its planner knows it.
    fn settle(&self, table: &str) -> Option<String>;
}
