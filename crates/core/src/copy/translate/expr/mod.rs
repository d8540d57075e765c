//! Expressions of one engine in the words of another: checks, defaults, conditions of partial indexes, computed columns.
//!
//! A text is read into a small tree by the source's lexer. Only operators and functions whose meaning is known on both
//! sides are let through; everything else is an error with its reason, and the object is listed with its text instead.
//! Nothing is guessed.

mod call;
mod compare;
mod literal;
pub mod parse;
pub mod render;
mod value;

pub use parse::{Parser, parse};
pub use render::{Column, Scope, predicate, value};

/// An expression.
#[derive(Debug, Clone, PartialEq)]
pub enum Expr {
    /// NULL.
    Null,
    /// `TRUE`, `FALSE`.
    Bool(bool),
    /// A number as it is spelled.
    Number(String),
    /// A text.
    Text(String),
    /// Bytes.
    Bytes(Vec<u8>),
    /// A column: the table (or alias) where it is said, and its name.
    Column(Option<String>, String),
    /// The present moment, or chance.
    Now(Now),
    /// `- x`.
    Minus(Box<Expr>),
    /// `NOT x`.
    Not(Box<Expr>),
    /// An operator between two.
    Binary(Op, Box<Expr>, Box<Expr>),
    /// A function.
    Call(Function, Vec<Expr>),
    /// `x IS [NOT] NULL`: negated, x.
    IsNull(bool, Box<Expr>),
    /// `x [NOT] IN (…)`: negated, x, list.
    In(bool, Box<Expr>, Vec<Expr>),
    /// `x [NOT] BETWEEN a AND b`.
    Between(bool, Box<Expr>, Box<Expr>, Box<Expr>),
    /// `x [NOT] LIKE pattern`: negated, x, pattern, and whether A and a are one there, and what escapes.
    Like(bool, Box<Expr>, Box<Expr>, LikeKind),
    /// `CASE [x] WHEN a THEN b … ELSE c END`.
    Case(Option<Box<Expr>>, Vec<(Expr, Expr)>, Option<Box<Expr>>),
    /// `CAST(x AS …)`.
    Cast(Box<Expr>, Cast),
    /// `count(*)`.
    CountAll,
}

/// What a pattern's comparison takes for equal, and how it is escaped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LikeKind {
    /// `LIKE` where A and a are one (among ASCII letters alone: `ascii`), with a character that escapes.
    Like {
        /// A and a are one.
        folds: bool,
        /// What escapes, where something does.
        escape: Option<char>,
    },
    /// `GLOB`.
    Glob,
    /// A regular expression in which A and a are two.
    Regex,
}

/// An operator between two operands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Op {
    /// OR
    Or,
    /// AND
    And,
    /// =
    Equal,
    /// <>
    Unequal,
    /// <
    Less,
    /// <=
    LessEqual,
    /// >
    Greater,
    /// >=
    GreaterEqual,
    /// Equal, NULL to NULL too.
    Same,
    /// The opposite of [`Op::Same`].
    NotSame,
    /// +
    Plus,
    /// -
    Minus,
    /// *
    Times,
    /// / as the source divides.
    Divide,
    /// The remainder of whole numbers.
    Modulo,
    /// Texts put together; NULL where one is.
    Concat,
}

/// What a cast makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cast {
    /// Text.
    Text,
    /// A whole number.
    Int,
    /// A double.
    Float,
    /// A decimal.
    Decimal,
}

/// A function whose meaning is the same on all sides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Function {
    /// Lower case: of all letters, or (`true`) of A to Z alone.
    Lower(bool),
    /// Upper case, as [`Function::Lower`].
    Upper(bool),
    /// Characters of a text.
    Length,
    /// Bytes of a text or of bytes.
    Bytes,
    /// Without its sign.
    Abs,
    /// The first that is not NULL.
    Coalesce,
    /// NULL where two are equal.
    NullIf,
    /// Rounded, to some digits.
    Round,
    /// A part of a text, from a place counted from 1, and how many characters.
    Substr,
    /// Without spaces on both sides.
    Trim,
    /// Without spaces before.
    TrimLeft,
    /// Without spaces behind.
    TrimRight,
    /// Every occurrence of one text by another.
    Replace,
    /// Where a text occurs in another, from 1.
    Position,
    /// The first characters.
    Left,
    /// Texts put together.
    Concat,
    /// Whether a text is JSON.
    JsonValid,
    /// The class of a value.
    TypeOf,
    /// A condition with two outcomes.
    If,
    /// How many.
    Count,
    /// The sum.
    Sum,
    /// The least.
    Min,
    /// The largest.
    Max,
    /// The average.
    Average,
}

/// The present moment, or chance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Now {
    /// The moment in UTC, with so many digits of its second.
    Utc(u8),
    /// The moment by the server's or session's clock.
    Local(u8),
    /// The day (in UTC, or by the session's clock: what the source says).
    Date,
    /// The time of day.
    Time,
    /// Seconds since 1970.
    Seconds,
    /// Milliseconds since 1970.
    Milliseconds,
    /// A random UUID.
    Uuid,
    /// So many random bytes as hexadecimal digits.
    Hex(u32),
    /// A random number.
    Random,
}

/// How an engine spells expressions.
#[derive(Debug, Clone, Copy)]
pub struct Style {
    /// An identifier, quoted.
    pub quote: fn(&str) -> String,
    /// A text literal.
    pub text: fn(&str) -> String,
    /// A bytes literal.
    pub bytes: fn(&[u8]) -> String,
    /// A literal of bits, given as their digits.
    pub bits: fn(&str) -> String,
    /// A text in double quotes is a text where no column has its name (`Some(true)`), is always one (`Some(false)`).
    pub double_quoted: Option<bool>,
    /// A backslash escapes in text literals.
    pub backslash: bool,
    /// `||` puts texts together (and is no OR).
    pub pipes: bool,
    /// Booleans are a class of their own.
    pub booleans: bool,
    /// Between NULLs too: equal, not equal (with `{0}` and `{1}`).
    pub same: (&'static str, &'static str),
    /// `/` between whole numbers cuts.
    pub cuts: bool,
    /// `LIKE`: A and a are one; the character that escapes by itself.
    pub like: (bool, Option<char>),
    /// A function with its arguments; `None`: there is none that means the same.
    pub function: fn(Function, &[String]) -> Option<String>,
    /// `x LIKE pattern` for a pattern that may not be rendered as it stands: negated, x, pattern, kind.
    pub pattern: fn(bool, &str, &str, LikeKind) -> Option<String>,
    /// A cast.
    pub cast: fn(Cast, &str) -> Option<String>,
    /// Decimals are numbers (and not texts that only a cast compares as such).
    pub decimals: bool,
}
