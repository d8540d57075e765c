//! A lossless lexer: the tokens' texts, joined, are the text. It never fails; what is unclosed becomes a [`Fault`].
//!
//! It works as an iterator of small state, so that a script of any size is read with the memory of one token, and it
//! knows the two things that clients know and servers do not: the `DELIMITER` command and `COPY` data blocks.

use super::scan;
use super::{Fault, LexRules};
use std::ops::Range;

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TokenKind {
    /// White space; a byte order mark at the very beginning counts as such.
    Space,
    /// A comment up to the end of its line, without the line end.
    LineComment,
    /// A block comment.
    BlockComment,
    /// A line comment that speaks to Dunlin: `-- dunlin: …`.
    Directive,
    /// An optimizer hint, `/*+ … */`.
    Hint,
    /// The opening of a versioned comment with its number, `/*!50003`; what follows is code.
    VersionedOpen,
    /// The end of a versioned comment.
    VersionedClose,
    /// A word: keyword or unquoted name, placeholders glued to it included.
    Word,
    /// A quoted name, with its quotes.
    Quoted,
    /// A literal in quotes of any kind, with prefix and quotes.
    Text,
    /// A number.
    Number,
    /// A parameter or a variable: `?`, `$1`, `@name`, `@@name`.
    Parameter,
    /// An operator or a punctuation mark.
    Operator,
    /// What ends a statement: `;`, or what the last `DELIMITER` command said.
    Delimiter,
    /// A command of the client, up to the end of its line: `DELIMITER //`, `\set x`, the `\.` after COPY data.
    Client,
    /// The data lines of a COPY block; may be empty.
    CopyData,
}

impl TokenKind {
    /// Whether the token belongs to a statement as the server reads it.
    pub const fn is_code(self) -> bool {
        use TokenKind::*;
        !matches!(
            self,
            Space | LineComment | BlockComment | Directive | Hint | Client | CopyData
        )
    }

    /// Whether a change of the token changes what a script means (invariant 11).
    pub const fn has_meaning(self) -> bool {
        !matches!(
            self,
            TokenKind::Space | TokenKind::LineComment | TokenKind::BlockComment
        )
    }
}

/// A token: twelve bytes, so that a large script's tokens stay affordable. Offsets are of bytes; scripts are bounded
/// far below 4 GiB by [`crate::limits::SCRIPT_BYTES_MAX`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Token {
    /// Where it begins.
    pub start: u32,
    /// Where it ends.
    pub end: u32,
    /// What it is.
    pub kind: TokenKind,
}

impl Token {
    /// The bytes that it covers.
    pub fn span(self) -> Range<usize> {
        self.start as usize..self.end as usize
    }

    /// Its text within the text that was lexed; empty where it does not belong to it.
    pub fn text(self, text: &str) -> &str {
        text.get(self.span()).unwrap_or_default()
    }
}

/// All tokens of a text, and what is wrong with it.
pub fn lex(text: &str, rules: &LexRules) -> (Vec<Token>, Vec<Fault>) {
    let mut lexer = Lexer::new(text, rules);
    let tokens = lexer.by_ref().collect();
    (tokens, lexer.into_faults())
}

/// How far a COPY statement with its data has been seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Copy {
    No,
    Statement,
    From,
    Stdin,
    RestOfLine,
    Data,
    End,
}

/// The lexer. Iterate over it, then ask for its faults.
#[derive(Debug)]
pub struct Lexer<'a> {
    text: &'a str,
    rules: &'a LexRules,
    at: usize,
    delimiter: &'a str,
    /// Where the outermost versioned comment that is open began, and how many are.
    versioned: (usize, u32),
    /// No code since the last delimiter.
    fresh: bool,
    /// The last code token is a name, so a `.` belongs to it and not to a number.
    after_name: bool,
    /// The last code token is a literal with escapes; after a line end a plain literal continues it.
    after_escapes: bool,
    line_end_since: bool,
    copy: Copy,
    /// No line `\.` stands in the rest of the text: not looked for again.
    no_data_end: bool,
    faults: Vec<Fault>,
}

impl<'a> Lexer<'a> {
    /// A lexer at the beginning of a text.
    pub fn new(text: &'a str, rules: &'a LexRules) -> Self {
        Lexer {
            text,
            rules,
            at: 0,
            delimiter: ";",
            versioned: (0, 0),
            fresh: true,
            after_name: false,
            after_escapes: false,
            line_end_since: false,
            copy: Copy::No,
            no_data_end: false,
            faults: Vec::new(),
        }
    }

    /// Whether statements end with `;` at this point of the text.
    pub fn plain_delimiter(&self) -> bool {
        self.delimiter == ";"
    }

    /// Whether the statement that has just ended is followed by COPY data.
    pub fn copy_follows(&self) -> bool {
        matches!(self.copy, Copy::RestOfLine | Copy::Data)
    }

    /// What was found wrong, in the order of the text.
    pub fn into_faults(mut self) -> Vec<Fault> {
        if self.versioned.1 > 0 {
            let span = self.versioned.0..self.versioned.0 + 3;
            self.fault(
                span,
                "unclosed-comment",
                "this versioned comment `/*! … */` is never closed",
            );
        }
        self.faults
    }

    fn fault(&mut self, span: Range<usize>, code: &'static str, message: &str) {
        let end = span.end.min(self.text.len());
        self.faults.push(Fault {
            span: span.start..end,
            code,
            message: message.to_owned(),
        });
    }

    fn bytes(&self) -> &'a [u8] {
        self.text.as_bytes()
    }

    fn byte(&self, ahead: usize) -> u8 {
        self.bytes().get(self.at + ahead).copied().unwrap_or(0)
    }

    fn rest(&self) -> &'a [u8] {
        &self.bytes()[self.at..]
    }

    /// Reads one token: its kind; `self.at` is moved behind it.
    fn scan(&mut self) -> Option<TokenKind> {
        if self.copy_follows() || self.copy == Copy::End {
            return Some(self.copy_block());
        }
        if self.at >= self.text.len() {
            return None;
        }
        let first = self.byte(0);
        if scan::is_space(first) || (self.at == 0 && self.text.starts_with('\u{feff}')) {
            return Some(self.space());
        }
        if self.versioned.1 == 0 && self.rest().starts_with(self.delimiter.as_bytes()) {
            self.at += self.delimiter.len();
            return Some(TokenKind::Delimiter);
        }
        if self.rules.delimiter_command && matches!(first, b'd' | b'D') && self.delimiter_command()
        {
            return Some(TokenKind::Client);
        }
        Some(match first {
            b'-' if self.dashes_begin_comment() => self.line_comment(),
            b'#' if self.rules.hash_comments => self.line_comment(),
            b'/' if self.byte(1) == b'*' => self.block_comment(),
            b'*' if self.byte(1) == b'/' && self.versioned.1 > 0 => {
                self.at += 2;
                self.versioned.1 -= 1;
                TokenKind::VersionedClose
            }
            b'\'' => self.text_literal(0, self.escapes_apply()),
            b'"' if self.rules.double_quotes_are_text => {
                self.text_literal(0, self.rules.backslash_escapes)
            }
            b'"' => self.quoted(0, b'"'),
            b'`' if self.rules.backticks => self.quoted(0, b'`'),
            b'[' if self.rules.brackets => self.quoted(0, b']'),
            b'$' => self.dollar(),
            b'\\' if self.rules.copy_blocks => {
                self.meta_command();
                TokenKind::Client
            }
            b'@' if self.rules.at_variables => self.variable(),
            b'?' if !self.rules.custom_operators => {
                self.at += 1 + scan::digits(&self.rest()[1..]);
                TokenKind::Parameter
            }
            b'0'..=b'9' => self.number(),
            b'.' if self.byte(1).is_ascii_digit() && !self.after_name => self.number(),
            _ if scan::is_word(self.rest(), self.word_stop()) => self.word(),
            _ => {
                self.at += scan::operator_length(self.rest(), self.rules);
                TokenKind::Operator
            }
        })
    }

    /// Where a delimiter of symbols would end a word that it is glued to, as in `END$$`.
    fn word_stop(&self) -> &'a [u8] {
        let delimiter = self.delimiter.as_bytes();
        let symbols = delimiter
            .first()
            .is_some_and(|byte| !byte.is_ascii_alphanumeric());
        if symbols { delimiter } else { b";" }
    }

    fn space(&mut self) -> TokenKind {
        if self.at == 0 && self.text.starts_with('\u{feff}') {
            self.at = '\u{feff}'.len_utf8();
        }
        while scan::is_space(self.byte(0)) && self.at < self.text.len() {
            self.line_end_since |= self.byte(0) == b'\n';
            self.at += 1;
        }
        TokenKind::Space
    }

    fn dashes_begin_comment(&self) -> bool {
        if self.byte(1) != b'-' {
            return false;
        }
        // The server's rule: white space or a control character, or the end of the text, follows the dashes.
        !self.rules.dashes_need_space || self.at + 2 >= self.text.len() || self.byte(2) <= b' '
    }

    fn line_comment(&mut self) -> TokenKind {
        let start = self.at;
        self.at = scan::comment_end(self.bytes(), self.at, self.rules.cr_ends_line);
        let dashes = self.text[start..self.at].strip_prefix("--");
        match dashes {
            Some(rest) if rest.trim_start().starts_with("dunlin:") => TokenKind::Directive,
            _ => TokenKind::LineComment,
        }
    }

    fn block_comment(&mut self) -> TokenKind {
        let start = self.at;
        if self.rules.versioned_comments
            && let Some(length) = scan::versioned_open(self.rest())
        {
            if self.versioned.1 == 0 {
                self.versioned.0 = start;
            }
            self.versioned.1 += 1;
            self.at += length;
            return TokenKind::VersionedOpen;
        }
        match scan::block_comment_end(self.bytes(), start, self.rules.nested_comments) {
            Some(end) => self.at = end,
            None => {
                self.at = self.text.len();
                self.fault(
                    start..start + 2,
                    "unclosed-comment",
                    "this comment `/* … */` is never closed",
                );
            }
        }
        if self.bytes()[start..].starts_with(b"/*+") {
            TokenKind::Hint
        } else {
            TokenKind::BlockComment
        }
    }

    /// Whether a backslash escapes in a plain literal that begins here.
    fn escapes_apply(&self) -> bool {
        self.rules.backslash_escapes
            || (self.rules.prefixed_literals && self.after_escapes && self.line_end_since)
    }

    /// A literal whose opening quote stands `prefix` bytes from here.
    fn text_literal(&mut self, prefix: usize, escapes: bool) -> TokenKind {
        let start = self.at;
        let quote = self.byte(prefix);
        match scan::quoted_end(self.bytes(), start + prefix + 1, quote, escapes) {
            Some(end) => self.at = end,
            None => {
                self.at = self.text.len();
                self.fault(
                    start..start + prefix + 1,
                    "unclosed-literal",
                    "this literal is never closed",
                );
            }
        }
        TokenKind::Text
    }

    fn quoted(&mut self, prefix: usize, close: u8) -> TokenKind {
        let start = self.at;
        let from = start + prefix + 1;
        let end = if close == b']' {
            self.bytes()[from..]
                .iter()
                .position(|byte| *byte == b']')
                .map(|found| from + found + 1)
        } else {
            scan::quoted_end(self.bytes(), from, close, false)
        };
        match end {
            Some(end) => self.at = end,
            None => {
                self.at = self.text.len();
                self.fault(
                    start..start + prefix + 1,
                    "unclosed-identifier",
                    "this quoted name is never closed",
                );
            }
        }
        TokenKind::Quoted
    }

    /// `$$ … $$`, `$tag$ … $tag$`, `$1`, or a word that begins with `$`.
    fn dollar(&mut self) -> TokenKind {
        let start = self.at;
        if self.rules.dollar_quotes
            && let Some(length) = scan::dollar_tag(self.rest())
        {
            let (tag, from) = (&self.text[start..start + length], start + length);
            match self.text[from..].find(tag) {
                Some(found) => self.at = from + found + length,
                None => {
                    self.at = self.text.len();
                    let message = format!(
                        "this literal in dollar quotes is never closed; `{tag}` is missing"
                    );
                    self.fault(start..from, "unclosed-literal", &message);
                }
            }
            return TokenKind::Text;
        }
        let length = scan::word_length(&self.rest()[1..], self.word_stop());
        self.at += 1 + length;
        match (length, self.rules.digit_words) {
            (0, _) => TokenKind::Operator,
            (_, true) => TokenKind::Word,
            (_, false) => TokenKind::Parameter,
        }
    }

    /// `@name`, `@@name`, `@'name'`: a variable, or the host part of an account.
    fn variable(&mut self) -> TokenKind {
        let ats = if self.byte(1) == b'@' { 2 } else { 1 };
        match self.byte(ats) {
            b'`' if self.rules.backticks => {
                self.quoted(ats, b'`');
            }
            quote @ (b'\'' | b'"') => {
                let escapes = self.rules.backslash_escapes && quote != b'`';
                self.text_literal(ats, escapes);
            }
            _ => {
                let name = scan::variable_length(&self.rest()[ats..], self.word_stop());
                self.at += ats + name;
                if name == 0 {
                    return TokenKind::Operator;
                }
            }
        }
        TokenKind::Parameter
    }

    fn number(&mut self) -> TokenKind {
        let length = scan::number_length(self.rest());
        let word = scan::word_length(self.rest(), self.word_stop());
        if word <= length {
            self.at += length;
            return TokenKind::Number;
        }
        self.at += word;
        if self.rules.digit_words {
            TokenKind::Word
        } else {
            TokenKind::Number
        }
    }

    fn word(&mut self) -> TokenKind {
        let length = scan::word_length(self.rest(), self.word_stop());
        let first = self.byte(0).to_ascii_lowercase();
        match (length, first, self.byte(1), self.byte(2)) {
            (1, b'u', b'&', b'\'') if self.rules.prefixed_literals => {
                return self.text_literal(2, false);
            }
            (1, b'u', b'&', b'"') if self.rules.prefixed_literals => return self.quoted(2, b'"'),
            (1, b'e', b'\'', _) if self.rules.prefixed_literals => {
                return self.text_literal(1, true);
            }
            (1, b'b' | b'x' | b'n', b'\'', _) => {
                return self.text_literal(1, self.rules.backslash_escapes);
            }
            _ => self.at += length,
        }
        TokenKind::Word
    }

    /// `DELIMITER x`: where a statement may begin, or on a line of its own within one (nothing but symbols follows).
    fn delimiter_command(&mut self) -> bool {
        let rest = self.rest();
        let is_word = rest
            .get(..9)
            .is_some_and(|word| word.eq_ignore_ascii_case(b"delimiter"));
        if !is_word || !rest.get(9).is_none_or(|byte| scan::is_space(*byte)) {
            return false;
        }
        let end = scan::line_end(self.bytes(), self.at);
        let argument = self.text[self.at + 9..end]
            .split_ascii_whitespace()
            .next()
            .unwrap_or_default();
        let own_line = scan::first_of_line(self.bytes(), self.at);
        let symbols = !argument.is_empty()
            && !argument
                .bytes()
                .any(|byte| byte.is_ascii_alphanumeric() || byte > 127);
        if !(self.fresh || own_line && symbols) {
            return false;
        }
        let start = self.at;
        self.at = end;
        if argument.is_empty() {
            self.fault(
                start..end,
                "delimiter-missing",
                "DELIMITER names no delimiter.",
            );
        } else {
            self.delimiter = argument;
        }
        true
    }

    /// A command of psql: its line, and behind `\copy … from stdin` its data.
    fn meta_command(&mut self) {
        let bytes = self.bytes();
        let end = scan::line_end(bytes, self.at);
        let has_data = !self.no_data_end && scan::is_copy_from_here(&bytes[self.at..end]);
        self.at = end;
        if has_data {
            match scan::copy_data_end(bytes, end + 1) {
                Some(data) => self.at = scan::line_end(bytes, data),
                None => self.no_data_end = true,
            }
        }
    }

    /// The rest of the COPY statement's line, its data, and the line `\.`.
    fn copy_block(&mut self) -> TokenKind {
        let bytes = self.bytes();
        match self.copy {
            Copy::RestOfLine => {
                self.copy = Copy::Data;
                let end = scan::line_end(bytes, self.at);
                let blank = bytes[self.at..end].iter().all(|byte| scan::is_space(*byte));
                self.at = (end + 1).min(bytes.len());
                if blank {
                    TokenKind::Space
                } else {
                    TokenKind::LineComment
                }
            }
            Copy::Data => {
                let start = self.at;
                self.copy = Copy::End;
                match scan::copy_data_end(bytes, start) {
                    Some(end) => self.at = end,
                    None => {
                        self.at = bytes.len();
                        self.copy = Copy::No;
                        self.fault(
                            start..start,
                            "unclosed-copy",
                            "The line `\\.` that ends this COPY data is missing.",
                        );
                    }
                }
                TokenKind::CopyData
            }
            _ => {
                self.copy = Copy::No;
                self.at = scan::line_end(bytes, self.at);
                TokenKind::Client
            }
        }
    }

    /// Keeps the little that later tokens depend on.
    fn remember(&mut self, kind: TokenKind, start: usize) {
        match kind {
            TokenKind::Delimiter | TokenKind::Client => {
                self.fresh = true;
                self.after_name = false;
                self.after_escapes = false;
                if kind == TokenKind::Delimiter {
                    self.copy = if self.copy == Copy::Stdin {
                        Copy::RestOfLine
                    } else {
                        Copy::No
                    };
                }
            }
            _ if !kind.is_code() => {}
            _ => {
                let text = &self.text[start..self.at];
                if self.rules.copy_blocks && kind == TokenKind::Word {
                    self.copy = match self.copy {
                        Copy::No if self.fresh && text.eq_ignore_ascii_case("copy") => {
                            Copy::Statement
                        }
                        Copy::Statement if text.eq_ignore_ascii_case("from") => Copy::From,
                        Copy::From if text.eq_ignore_ascii_case("stdin") => Copy::Stdin,
                        Copy::From => Copy::Statement,
                        other => other,
                    };
                }
                // A literal that continues one with escapes has them too.
                self.after_escapes = kind == TokenKind::Text
                    && (matches!(text.as_bytes(), [b'e' | b'E', ..])
                        || (self.after_escapes && self.line_end_since && text.starts_with('\'')));
                self.line_end_since = false;
                self.after_name = matches!(kind, TokenKind::Word | TokenKind::Quoted);
                self.fresh = false;
            }
        }
    }
}

impl Iterator for Lexer<'_> {
    type Item = Token;

    fn next(&mut self) -> Option<Token> {
        let start = self.at;
        // No more than a zero-length COPY block stands between the end of a text and the end of its tokens.
        let kind = self.scan()?;
        self.remember(kind, start);
        let offset = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
        Some(Token {
            start: offset(start),
            end: offset(self.at),
            kind,
        })
    }
}
