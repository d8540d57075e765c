//! One statement as the tokens that the server sees, and a cursor over them: enough grammar to tell what a statement
//! changes, far short of a parser. What is not recognised stays unknown, and unknown means risky.

use super::{LexRules, Lexer, TokenKind};
use std::ops::Range;

/// How many tokens of one statement are kept whole. Behind them (the rows of a large INSERT) only words and variables
/// are, and of those none that a row of values is full of: 16,384 tokens of 40 bytes are 640 KiB.
pub(crate) const TOKENS_MAX: usize = 16_384;

/// A token that counts.
#[derive(Debug, Clone, Copy)]
pub struct Tok<'a> {
    /// What it is.
    pub kind: TokenKind,
    /// Its text.
    pub text: &'a str,
    /// Where it begins in the statement.
    pub start: usize,
}

impl Tok<'_> {
    /// Whether it is this word, in any case.
    pub fn is(&self, word: &str) -> bool {
        self.kind == TokenKind::Word && self.text.eq_ignore_ascii_case(word)
    }

    /// Whether it is one of these words.
    pub fn is_any(&self, words: &[&str]) -> bool {
        words.iter().any(|word| self.is(word))
    }

    /// Whether it is this operator.
    pub fn op(&self, operator: &str) -> bool {
        self.kind == TokenKind::Operator && self.text == operator
    }

    /// Whether it may be a name.
    pub fn is_name(&self) -> bool {
        matches!(self.kind, TokenKind::Word | TokenKind::Quoted)
    }

    /// Where it ends in the statement.
    pub fn end(&self) -> usize {
        self.start + self.text.len()
    }
}

/// A statement, read.
#[derive(Debug)]
pub struct Words<'a> {
    /// Its text.
    pub sql: &'a str,
    /// Its tokens without comments, hints and the marks of versioned comments.
    pub toks: Vec<Tok<'a>>,
    /// Where versioned comments open and close.
    pub versioned: Vec<usize>,
}

impl<'a> Words<'a> {
    /// Whether these words stand one behind the other.
    pub fn follow(&self, wanted: &[&str]) -> bool {
        let mut places = self.toks.windows(wanted.len());
        places.any(|toks| toks.iter().zip(wanted).all(|(tok, word)| tok.is(word)))
    }

    /// Reads a statement.
    pub fn read(sql: &'a str, rules: &LexRules) -> Self {
        let mut words = Words {
            sql,
            toks: Vec::new(),
            versioned: Vec::new(),
        };
        for token in Lexer::new(sql, rules) {
            let (kind, text, start) = (token.kind, token.text(sql), token.span().start);
            match kind {
                TokenKind::VersionedOpen | TokenKind::VersionedClose => words.versioned.push(start),
                _ if !kind.is_code() => {}
                _ if words.toks.len() < TOKENS_MAX => words.toks.push(Tok { kind, text, start }),
                TokenKind::Word
                    if matches!(
                        text,
                        "NULL" | "null" | "TRUE" | "true" | "FALSE" | "false" | "DEFAULT"
                    ) => {}
                TokenKind::Word | TokenKind::Parameter => {
                    words.toks.push(Tok { kind, text, start })
                }
                _ => {}
            }
        }
        // Under another delimiter a statement may end with a `;` of its own.
        while words
            .toks
            .last()
            .is_some_and(|tok| tok.kind == TokenKind::Delimiter)
        {
            words.toks.pop();
        }
        words
    }

    /// A cursor at the beginning.
    pub fn cursor(&self) -> Cursor<'_> {
        Cursor {
            toks: &self.toks,
            at: 0,
        }
    }

    /// Whether any token is one of these words.
    pub fn has(&self, words: &[&str]) -> bool {
        self.toks.iter().any(|tok| tok.is_any(words))
    }

    /// Whether a function of one of these names is called.
    pub fn calls(&self, names: &[&str]) -> bool {
        self.toks
            .windows(2)
            .any(|pair| pair[0].is_any(names) && pair[1].op("("))
    }

    /// Whether a versioned comment opens or closes within a range.
    pub fn is_versioned_within(&self, range: &Range<usize>) -> bool {
        self.versioned.iter().any(|at| range.contains(at))
    }
}

/// A name as written, folded: the schema where one is named, and the name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name {
    /// The schema.
    pub schema: Option<String>,
    /// The name.
    pub name: String,
}

/// How an engine folds a name: its text without quotes, and whether it stood in quotes.
pub type Fold = fn(&str, bool) -> String;

/// A place among tokens.
#[derive(Debug, Clone, Copy)]
pub struct Cursor<'a> {
    toks: &'a [Tok<'a>],
    at: usize,
}

impl<'a> Cursor<'a> {
    /// A cursor at the beginning of some tokens.
    pub fn over(toks: &'a [Tok<'a>]) -> Self {
        Cursor { toks, at: 0 }
    }

    /// The token `ahead` of here.
    pub fn peek(&self, ahead: usize) -> Option<&'a Tok<'a>> {
        self.toks.get(self.at + ahead)
    }

    /// Whether nothing is left.
    pub fn is_done(&self) -> bool {
        self.at >= self.toks.len()
    }

    /// What is left.
    pub fn rest(&self) -> &'a [Tok<'a>] {
        self.toks.get(self.at..).unwrap_or_default()
    }

    /// Takes the next token.
    pub fn bump(&mut self) -> Option<&'a Tok<'a>> {
        let tok = self.toks.get(self.at)?;
        self.at += 1;
        Some(tok)
    }

    /// Whether the next token is this word.
    pub fn is(&self, word: &str) -> bool {
        self.peek(0).is_some_and(|tok| tok.is(word))
    }

    /// Whether the next token is one of these words.
    pub fn is_any(&self, words: &[&str]) -> bool {
        self.peek(0).is_some_and(|tok| tok.is_any(words))
    }

    /// Whether the next token is this operator.
    pub fn op(&self, operator: &str) -> bool {
        self.peek(0).is_some_and(|tok| tok.op(operator))
    }

    /// Takes these words, if all of them follow.
    pub fn eat(&mut self, words: &[&str]) -> bool {
        let follow = words
            .iter()
            .enumerate()
            .all(|(ahead, word)| self.peek(ahead).is_some_and(|tok| tok.is(word)));
        if follow {
            self.at += words.len();
        }
        follow
    }

    /// Takes one of these words, if it follows.
    pub fn eat_any(&mut self, words: &[&str]) -> bool {
        let follows = self.is_any(words);
        self.at += usize::from(follows);
        follows
    }

    /// Takes this operator, if it follows.
    pub fn eat_op(&mut self, operator: &str) -> bool {
        let follows = self.op(operator);
        self.at += usize::from(follows);
        follows
    }

    /// Takes one identifier, folded.
    pub fn ident(&mut self, fold: Fold) -> Option<String> {
        let tok = self.peek(0).filter(|tok| tok.is_name())?;
        self.at += 1;
        Some(unquoted(tok, fold))
    }

    /// Takes a name with its schema, folded; of three parts the last two.
    pub fn name(&mut self, fold: Fold) -> Option<Name> {
        let mut parts = vec![self.ident(fold)?];
        while self.op(".") && self.peek(1).is_some_and(Tok::is_name) {
            self.at += 1;
            parts.push(self.ident(fold)?);
        }
        let name = parts.pop()?;
        Some(Name {
            schema: parts.pop(),
            name,
        })
    }

    /// Takes a parenthesised group, if one follows: what is between the parentheses.
    pub fn group(&mut self) -> Option<&'a [Tok<'a>]> {
        if !self.op("(") {
            return None;
        }
        let start = self.at + 1;
        let mut depth = 0_usize;
        while let Some(tok) = self.bump() {
            match (tok.kind, tok.text) {
                (TokenKind::Operator, "(") => depth += 1,
                (TokenKind::Operator, ")") => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                return Some(&self.toks[start..self.at - 1]);
            }
        }
        Some(&self.toks[start..])
    }

    /// Goes on to the first of these words outside of parentheses, if there is one.
    pub fn seek(&mut self, words: &[&str]) -> bool {
        let mut ahead = *self;
        while !ahead.is_done() {
            if ahead.is_any(words) {
                *self = ahead;
                return true;
            }
            if ahead.group().is_none() {
                ahead.bump();
            }
        }
        false
    }
}

/// A name's text without its quotes.
pub fn unquoted(tok: &Tok<'_>, fold: Fold) -> String {
    if tok.kind != TokenKind::Quoted {
        return fold(tok.text, false);
    }
    let quoted = tok.text.trim_start_matches(['u', 'U', '&']);
    let Some(quote) = quoted.chars().next() else {
        return String::new();
    };
    let close = if quote == '[' { ']' } else { quote };
    let inner = &quoted[quote.len_utf8()..];
    let inner = inner.strip_suffix(close).unwrap_or(inner);
    let doubled: String = [close, close].iter().collect();
    fold(
        &if quote == '[' {
            inner.to_owned()
        } else {
            inner.replace(&doubled, &close.to_string())
        },
        true,
    )
}

/// Cuts tokens at the commas outside of parentheses.
pub fn by_commas<'a>(toks: &'a [Tok<'a>]) -> Vec<&'a [Tok<'a>]> {
    let (mut parts, mut depth, mut from) = (vec![], 0_i32, 0);
    for (at, tok) in toks.iter().enumerate() {
        match (tok.kind, tok.text) {
            (TokenKind::Operator, "(" | "[") => depth += 1,
            (TokenKind::Operator, ")" | "]") => depth -= 1,
            (TokenKind::Operator, ",") if depth == 0 => {
                parts.push(&toks[from..at]);
                from = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&toks[from..]);
    parts
}
