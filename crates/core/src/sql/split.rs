//! A script into its pieces. The pieces' spans, joined, are the file, whatever is in it.

use super::body::Body;
use super::normal::Meaning;
use super::{Fault, Fingerprint, LexRules, Lexer, Piece, PieceKind, Token, TokenKind};
use std::ops::Range;

/// The pieces of a script, and what is wrong with it.
///
/// White space and comments before a statement belong to its piece. Before a client command, and where a delimiter
/// ends nothing, they are a [`PieceKind::Blank`] of their own, so directives in them can be carried to the statement
/// that follows.
pub fn split(text: &str, rules: &LexRules) -> (Vec<Piece>, Vec<Fault>) {
    split_beside(text, rules, |_| ())
}

/// The same with the script's fingerprints, in one look at its tokens.
pub fn split_and_fingerprint(
    text: &str,
    rules: &LexRules,
) -> (Vec<Piece>, Vec<Fault>, Fingerprint) {
    let mut meaning = Meaning::of(text.len());
    let (pieces, faults) = split_beside(text, rules, |token| meaning.take(token, text));
    (pieces, faults, meaning.fingerprint(text))
}

fn split_beside(
    text: &str,
    rules: &LexRules,
    mut seen: impl FnMut(Token),
) -> (Vec<Piece>, Vec<Fault>) {
    let mut splitter = Splitter {
        text,
        pieces: Vec::new(),
        faults: Vec::new(),
        begin: 0,
        code: None,
        hint: None,
        copy: None,
        body: Body::new(rules.bodies),
    };
    let mut lexer = Lexer::new(text, rules);
    while let Some(token) = lexer.next() {
        seen(token);
        splitter.take(token, &lexer);
    }
    splitter.finish();
    let mut faults = lexer.into_faults();
    faults.append(&mut splitter.faults);
    faults.sort_by_key(|fault| fault.span.start);
    (splitter.pieces, faults)
}

/// Commands of psql that change only what a person sees, or what psql does about errors: left out without a word.
const FOR_THE_EYE: &[&str] = &[
    "echo",
    "qecho",
    "warn",
    "pset",
    "timing",
    "x",
    "t",
    "a",
    "set",
    "unset",
    "restrict",
    "unrestrict",
    "encoding",
];

#[derive(Debug)]
struct Splitter<'a> {
    text: &'a str,
    pieces: Vec<Piece>,
    faults: Vec<Fault>,
    /// Where the current piece begins.
    begin: usize,
    /// The code of the current statement.
    code: Option<Range<usize>>,
    /// Where a hint before any code began: it belongs to the statement.
    hint: Option<usize>,
    /// A COPY statement whose data is being read.
    copy: Option<(Range<usize>, Range<usize>)>,
    body: Body,
}

impl Splitter<'_> {
    fn take(&mut self, token: Token, lexer: &Lexer<'_>) {
        let span = token.span();
        match token.kind {
            TokenKind::Space
            | TokenKind::LineComment
            | TokenKind::BlockComment
            | TokenKind::Directive => {}
            TokenKind::Hint => {
                self.hint.get_or_insert(span.start);
            }
            TokenKind::CopyData => {
                if let Some((_, data)) = &mut self.copy {
                    *data = span;
                }
            }
            TokenKind::Client => self.client(span),
            TokenKind::Delimiter => self.delimiter(span, lexer),
            kind => {
                self.body.feed(kind, token.text(self.text));
                let start = self
                    .code
                    .as_ref()
                    .map(|code| code.start)
                    .or(self.hint)
                    .unwrap_or(span.start);
                self.code = Some(start..span.end);
            }
        }
    }

    fn piece(&mut self, end: usize, kind: PieceKind) {
        if end > self.begin {
            self.pieces.push(Piece {
                span: self.begin..end,
                kind,
            });
            self.begin = end;
        }
        self.code = None;
        self.hint = None;
        self.body.reset();
    }

    fn delimiter(&mut self, span: Range<usize>, lexer: &Lexer<'_>) {
        if lexer.plain_delimiter() && !self.body.ends_here() {
            if let Some(code) = &mut self.code {
                code.end = span.end;
            }
            return;
        }
        match self.code.take() {
            None => self.piece(span.end, PieceKind::Blank),
            Some(code) if lexer.copy_follows() => self.copy = Some((code, span.end..span.end)),
            Some(code) => self.piece(span.end, PieceKind::Statement(code)),
        }
    }

    fn client(&mut self, span: Range<usize>) {
        if let Some((statement, data)) = self.copy.take() {
            // The line `\.` behind the data.
            self.piece(span.end, PieceKind::Copy { statement, data });
            return;
        }
        match self.code.take() {
            Some(code) => self.piece(span.start, PieceKind::Statement(code)),
            None => self.piece(span.start, PieceKind::Blank),
        }
        let text = self.text[span.clone()].trim_end();
        let trimmed = text.len();
        if let Some(command) = text.strip_prefix('\\') {
            // Directly behind the backslash, or there is none.
            let name = command
                .split(|c: char| c.is_ascii_whitespace())
                .next()
                .unwrap_or_default();
            if !FOR_THE_EYE.contains(&name) {
                self.faults.push(Fault {
                    span: span.start..span.start + 1 + name.len(),
                    code: "client-command",
                    message: format!(
                        "`\\{name}` is a command of psql, which no server understands."
                    ),
                });
            }
        }
        self.piece(
            span.end,
            PieceKind::Client(span.start..span.start + trimmed),
        );
    }

    fn finish(&mut self) {
        let end = self.text.len();
        if let Some((statement, data)) = self.copy.take() {
            self.piece(end, PieceKind::Copy { statement, data });
            return;
        }
        match self.code.take() {
            None => self.piece(end, PieceKind::Blank),
            Some(code) => {
                if self.body.is_open() {
                    self.faults.push(Fault {
                        span: code.start..self.head_end(&code),
                        code: "unclosed-body",
                        message: "The body of this statement is never closed; an END is missing."
                            .into(),
                    });
                }
                self.piece(end, PieceKind::Statement(code));
            }
        }
    }

    /// The end of a statement's first line: enough to point at.
    fn head_end(&self, code: &Range<usize>) -> usize {
        let line = self.text[code.clone()].lines().next().unwrap_or_default();
        code.start + line.trim_end().len()
    }
}
