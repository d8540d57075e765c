//! Where a statement with inner semicolons ends: the bodies of triggers, routines and events.
//!
//! Each language has its own rule, the same as its own clients use: SQLite's trigger ends at `; END ;`, PostgreSQL's
//! `BEGIN ATOMIC` counts `CASE` and `END`, MySQL's compound statements nest as written.

use super::{Bodies, TokenKind};

/// What stands open in a compound statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Block {
    Begin,
    CaseStatement,
    CaseExpression,
    If,
    Loop,
    While,
    Repeat,
    For,
}

/// What a statement turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    /// Its first words are still being read: how many were.
    Undecided(u8),
    /// It has no inner semicolons.
    Plain,
    /// It ends at `; END ;`: how much of that has been seen.
    EndsWithEnd(u8),
    /// It ends outside of parentheses.
    Parenthesised,
    /// `BEGIN ATOMIC` may come.
    Atomic,
    /// A compound statement, or the header before one.
    Compound,
}

/// `END` was read, and what it ends is told by the next word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum AfterEnd {
    No,
    Closes,
    /// Only if `REPEAT` follows: no semicolon stands before the end of that one.
    ClosesRepeat,
}

/// Follows the tokens of one statement.
#[derive(Debug)]
pub(super) struct Body {
    rule: Bodies,
    shape: Shape,
    stack: Vec<Block>,
    /// An inner statement may begin with the next token.
    fresh: bool,
    /// The body of the routine has not begun.
    header: bool,
    /// Within a DECLARE, where a handler's block may begin in the middle.
    declaring: bool,
    /// The name of another trigger follows, then the body.
    trigger_name: bool,
    after_end: AfterEnd,
    parentheses: i32,
    last: Word,
}

/// The words that matter here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Word {
    None,
    Other,
    Dot,
    Kind,
    Begin,
    End,
    Case,
    If,
    Loop,
    While,
    Repeat,
    For,
    Then,
    Else,
    Do,
    Each,
    Row,
    Neighbour,
    Declare,
    Verb,
    Not,
    Atomic,
}

fn word_of(text: &str) -> Word {
    const WORDS: &[(&str, Word)] = &[
        ("BEGIN", Word::Begin),
        ("END", Word::End),
        ("CASE", Word::Case),
        ("IF", Word::If),
        ("LOOP", Word::Loop),
        ("WHILE", Word::While),
        ("REPEAT", Word::Repeat),
        ("FOR", Word::For),
        ("THEN", Word::Then),
        ("ELSE", Word::Else),
        ("DO", Word::Do),
        ("EACH", Word::Each),
        ("ROW", Word::Row),
        ("FOLLOWS", Word::Neighbour),
        ("PRECEDES", Word::Neighbour),
        ("DECLARE", Word::Declare),
        ("NOT", Word::Not),
        ("ATOMIC", Word::Atomic),
        ("FUNCTION", Word::Kind),
        ("PROCEDURE", Word::Kind),
        ("TRIGGER", Word::Kind),
        ("EVENT", Word::Kind),
        ("PACKAGE", Word::Kind),
        ("RETURN", Word::Verb),
        ("SELECT", Word::Verb),
        ("SET", Word::Verb),
        ("CALL", Word::Verb),
        ("WITH", Word::Verb),
        ("REPLACE", Word::Verb),
    ];
    if text.len() < 2 || text.len() > 9 {
        return Word::Other;
    }
    WORDS
        .iter()
        .find(|(word, _)| word.eq_ignore_ascii_case(text))
        .map_or(Word::Other, |(_, kind)| *kind)
}

impl Body {
    pub(super) fn new(rule: Bodies) -> Self {
        Body {
            rule,
            shape: if rule == Bodies::None {
                Shape::Plain
            } else {
                Shape::Undecided(0)
            },
            stack: Vec::new(),
            fresh: false,
            header: false,
            declaring: false,
            trigger_name: false,
            after_end: AfterEnd::No,
            parentheses: 0,
            last: Word::None,
        }
    }

    /// Begins the next statement.
    pub(super) fn reset(&mut self) {
        let stack = std::mem::take(&mut self.stack);
        *self = Body {
            stack,
            ..Body::new(self.rule)
        };
        self.stack.clear();
    }

    /// Takes one code token of the statement.
    pub(super) fn feed(&mut self, kind: TokenKind, text: &str) {
        if self.shape == Shape::Plain
            || matches!(kind, TokenKind::VersionedOpen | TokenKind::VersionedClose)
        {
            return;
        }
        let word = match kind {
            TokenKind::Word => word_of(text),
            TokenKind::Operator if text == "." => Word::Dot,
            _ => Word::None,
        };
        match self.shape {
            Shape::Plain => {}
            Shape::Undecided(seen) => self.decide(seen, kind, text, word),
            Shape::EndsWithEnd(seen) => {
                self.shape = Shape::EndsWithEnd(if seen == 1 && word == Word::End { 2 } else { 0 });
            }
            Shape::Parenthesised => self.count_parentheses(text),
            Shape::Atomic => self.atomic(word),
            Shape::Compound => self.compound(kind, text, word),
        }
        self.last = word;
    }

    /// Whether the statement ends at the `;` that was just read.
    pub(super) fn ends_here(&mut self) -> bool {
        match self.shape {
            Shape::Plain | Shape::Undecided(_) => true,
            Shape::EndsWithEnd(2) => true,
            Shape::EndsWithEnd(_) => {
                self.shape = Shape::EndsWithEnd(1);
                false
            }
            Shape::Parenthesised => self.parentheses <= 0,
            Shape::Atomic => self.stack.is_empty(),
            Shape::Compound => {
                self.close_after_end(Word::None);
                self.inner_end();
                self.stack.is_empty()
            }
        }
    }

    /// Whether a body stands open at the end of the text.
    pub(super) fn is_open(&mut self) -> bool {
        match self.shape {
            Shape::EndsWithEnd(seen) => seen != 2,
            Shape::Parenthesised => self.parentheses > 0,
            Shape::Compound => {
                self.close_after_end(Word::None);
                !self.stack.is_empty()
            }
            _ => !self.stack.is_empty(),
        }
    }

    fn decide(&mut self, seen: u8, kind: TokenKind, text: &str, word: Word) {
        let is = |wanted: &[&str]| {
            kind == TokenKind::Word && wanted.iter().any(|w| w.eq_ignore_ascii_case(text))
        };
        let on = Shape::Undecided(seen.saturating_add(1));
        self.shape = match (self.rule, seen) {
            (Bodies::None, _) => Shape::Plain,
            (_, 0) if is(&["CREATE"]) => on,
            (Bodies::Triggers, 0) if is(&["EXPLAIN"]) => Shape::Undecided(0),
            (Bodies::Triggers, 1..) if is(&["TEMP", "TEMPORARY"]) => on,
            (Bodies::Triggers, 1..) if is(&["TRIGGER"]) => Shape::EndsWithEnd(0),
            (Bodies::Atomic, 1..) if is(&["OR", "REPLACE"]) => on,
            (Bodies::Atomic, 1..) if is(&["FUNCTION", "PROCEDURE"]) => Shape::Atomic,
            (Bodies::Atomic, 1..) if is(&["RULE"]) => Shape::Parenthesised,
            (Bodies::Compound, 0) if is(&["ALTER"]) => Shape::Undecided(1),
            (Bodies::Compound, 0) if is(&["BEGIN"]) => Shape::Undecided(100),
            (Bodies::Compound, 100) if word == Word::Not => {
                self.stack.push(Block::Begin);
                self.fresh = true;
                Shape::Compound
            }
            (Bodies::Compound, 0) if is(&["IF", "CASE", "LOOP", "WHILE", "REPEAT", "FOR"]) => {
                self.fresh = true;
                self.compound(kind, text, word);
                Shape::Compound
            }
            (Bodies::Compound, 1..24) if word == Word::Kind => {
                self.header = true;
                Shape::Compound
            }
            (Bodies::Compound, 1..24) if is(NO_BODY) => Shape::Plain,
            (Bodies::Compound, 1..24) => on,
            _ => Shape::Plain,
        };
    }

    fn count_parentheses(&mut self, text: &str) {
        match text {
            "(" => self.parentheses += 1,
            ")" => self.parentheses -= 1,
            _ => {}
        }
    }

    fn atomic(&mut self, word: Word) {
        match word {
            Word::Atomic if self.last == Word::Begin && self.stack.is_empty() => {
                self.stack.push(Block::Begin)
            }
            Word::Case if !self.stack.is_empty() && self.last != Word::Dot => {
                self.stack.push(Block::CaseExpression)
            }
            Word::End if self.last != Word::Dot => {
                self.stack.pop();
            }
            _ => {}
        }
    }

    fn inner_end(&mut self) {
        self.fresh = true;
        self.declaring = false;
    }

    fn compound(&mut self, kind: TokenKind, text: &str, word: Word) {
        let fresh = std::mem::take(&mut self.fresh);
        if self.after_end != AfterEnd::No && self.close_after_end(word) {
            return;
        }
        if kind == TokenKind::Operator {
            match text {
                ";" => self.inner_end(),
                // A label.
                ":" => self.fresh = true,
                _ => self.count_parentheses(text),
            }
            return;
        }
        if kind != TokenKind::Word {
            self.fresh = std::mem::take(&mut self.trigger_name);
            return;
        }
        if std::mem::take(&mut self.trigger_name) {
            self.fresh = true;
            return;
        }
        let in_header = self.header && self.parentheses == 0 && self.last != Word::Kind;
        self.open_or_close(word, fresh, in_header);
    }

    /// A word of a compound statement: what it opens, what it closes, whether an inner statement begins behind it.
    fn open_or_close(&mut self, word: Word, fresh: bool, in_header: bool) {
        let top = self.stack.last().copied();
        let begins = fresh || in_header;
        match word {
            Word::Begin if begins || self.declaring => self.open(Block::Begin, true),
            Word::Case if begins => self.open(Block::CaseStatement, false),
            Word::Case if self.last != Word::Dot => self.stack.push(Block::CaseExpression),
            Word::If if begins => self.open(Block::If, false),
            Word::Loop if begins => self.open(Block::Loop, true),
            Word::While if begins => self.open(Block::While, false),
            Word::Repeat if begins => self.open(Block::Repeat, true),
            Word::For if fresh => self.open(Block::For, false),
            // `BEGIN NOT ATOMIC` is still the beginning.
            Word::Not | Word::Atomic if fresh => self.fresh = true,
            Word::Then | Word::Else => {
                self.fresh = matches!(top, Some(Block::If | Block::CaseStatement))
            }
            Word::Do => {
                self.fresh =
                    self.stack.is_empty() || matches!(top, Some(Block::While | Block::For));
                self.header = false;
            }
            Word::Row if self.last == Word::Each => self.fresh = true,
            Word::Neighbour if self.stack.is_empty() => self.trigger_name = true,
            Word::Declare if fresh => self.declaring = true,
            Word::Verb if self.parentheses == 0 => self.header = false,
            Word::End if self.last == Word::Dot => {}
            Word::End if top == Some(Block::CaseExpression) => {
                self.stack.pop();
            }
            Word::End if fresh => self.after_end = AfterEnd::Closes,
            Word::End if top == Some(Block::Repeat) => self.after_end = AfterEnd::ClosesRepeat,
            _ => {}
        }
    }

    fn open(&mut self, block: Block, fresh: bool) {
        self.stack.push(block);
        self.fresh = fresh;
        self.header = false;
        self.declaring = false;
    }

    /// Settles an `END` by the word behind it; true if that word belongs to it.
    fn close_after_end(&mut self, word: Word) -> bool {
        let (block, belongs) = match word {
            Word::If => (Block::If, true),
            Word::Case => (Block::CaseStatement, true),
            Word::Loop => (Block::Loop, true),
            Word::While => (Block::While, true),
            Word::Repeat => (Block::Repeat, true),
            Word::For => (Block::For, true),
            _ => (Block::Begin, false),
        };
        match std::mem::replace(&mut self.after_end, AfterEnd::No) {
            AfterEnd::No => return false,
            AfterEnd::ClosesRepeat if block != Block::Repeat => return false,
            _ => {}
        }
        // What stands open above it was a misreading; better to end the statement than to swallow the script.
        match self.stack.iter().rposition(|open| *open == block) {
            Some(found) => self.stack.truncate(found),
            None => {
                self.stack.pop();
            }
        }
        belongs
    }
}

/// What a CREATE or ALTER may make that has no body; one of these words settles it.
const NO_BODY: &[&str] = &[
    "TABLE",
    "VIEW",
    "INDEX",
    "DATABASE",
    "SCHEMA",
    "USER",
    "ROLE",
    "SERVER",
    "SEQUENCE",
    "TABLESPACE",
    "LOGFILE",
    "INSTANCE",
    "RESOURCE",
    "SPATIAL",
    "TEMPORARY",
    "UNIQUE",
    "FULLTEXT",
];
